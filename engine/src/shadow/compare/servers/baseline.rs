//! What the live model differs in itself says nothing of a shadow, neither yes nor no.

use super::*;

/// Status, media type, body.
type Answer<'a> = (&'a str, &'a str, &'a str);

/// The verdict on a shadow whose live model gave these two answers.
fn beside(rules: &Rules, live: Answer<'_>, again: Answer<'_>, shadow: Answer<'_>) -> String {
    let heads = [live, again, shadow].map(|(status, media, _)| head(status, media));
    let a = Whole { head: &heads[0], body: live.2.as_bytes() };
    let b = Whole { head: &heads[1], body: again.2.as_bytes() };
    let c = Whole { head: &heads[2], body: shadow.2.as_bytes() };
    let about = About { is_baseline: true, ..About::default() };
    let Some(noise) = rules.compare(a, b, &about).noise else {
        return "uncomparable: no noise is known".to_owned();
    };
    let about = About { noise: Some(Rc::new(noise)), ..About::default() };
    shown(&rules.compare(a, c, &about))
}

#[test]
fn a_baseline_never_says_yes_to_anything() {
    const JSON: &str = "application/json";
    let unknown = "uncomparable: they differ where the live model differs from itself";
    let live = ("200", JSON, r#"{"predictions":[[0.1,0.9]]}"#);
    let overloaded = ("503", JSON, r#"{"error":"overloaded"}"#);
    for status in ["500", "404"] {
        let broken = (status, JSON, r#"{"error":"broken"}"#);
        assert_eq!(beside(&plain(), live, overloaded, broken), unknown, "{status}");
    }
    assert_eq!(beside(&plain(), live, overloaded, live), "");
    // Nobody knows what else is noise.
    assert_eq!(
        beside(&plain(), live, overloaded, ("200", JSON, r#"{"predictions":[[0.9,0.1]]}"#)),
        "uncomparable: they differ at /predictions/0/0, where the live model differs from itself"
    );
    // Another label, and the same double.
    let label = |n: &str| oip("INT64", "[1]", &format!("[{n}]"));
    let (one, other) = (label("9007199254740992.0"), label("9007199254740993.0"));
    assert_eq!(
        beside(&plain(), ("200", JSON, &label("5")), ("200", JSON, &one), ("200", JSON, &other)),
        "uncomparable: they differ at /outputs/0/data/0, where the live model differs from itself"
    );
    // A rewrite that copies do not follow.
    let chat = ("200", JSON, r#"{"choices":[]}"#);
    let nowhere = ("404", JSON, r#"{"detail":"Not Found"}"#);
    assert_eq!(beside(&plain(), chat, nowhere, nowhere), unknown);
    // Another media type, other bytes.
    let text = |text: &'static str| ("200", "text/plain", text);
    assert_eq!(beside(&plain(), live, text("a"), text("b")), unknown);
    assert_eq!(
        beside(&plain(), text("a"), text("b"), text("c")),
        "uncomparable: they differ at byte 0, where the live model differs from itself"
    );
    assert_eq!(beside(&plain(), text("a"), text("b"), text("a")), "");
    // Events of a stream.
    let events = |text: &'static str| ("200", "text/event-stream", text);
    let streams = beside(
        &plain(),
        events("data: {\"id\":1,\"d\":\"hel\"}\n\n"),
        events("data: {\"id\":2,\"d\":\"hel\"}\n\n"),
        events("data: {\"id\":3,\"d\":\"no\"}\n\n"),
    );
    assert!(streams.starts_with("uncomparable"), "{streams}");
    // Lists of another length.
    let unknown_at = |path: &str| {
        format!("uncomparable: they differ at {path}, where the live model differs from itself")
    };
    let (b, c) = (r#"{"box":[1,2],"class":"cat"}"#, r#"{"box":[900,900],"class":"dog"}"#);
    let answer =
        |items: &[&str], more: &str| format!(r#"{{"predictions":[{}]{more}}}"#, items.join(","));
    let (two, three) = (answer(&[b, b], ""), answer(&[b, b, b], ""));
    let ok = |text: &'static str| ("200", JSON, text);
    let leaked = |text: String| ok(Box::leak(text.into_boxed_str()));
    let (two, three) = (leaked(two), leaked(three));
    assert_eq!(
        beside(&plain(), two, three, leaked(answer(&[c; 7], ""))),
        unknown_at("/predictions")
    );
    assert_eq!(
        beside(&plain(), two, three, leaked(answer(&[c; 2], ""))),
        unknown_at("/predictions/0/box/0"),
        "below the list"
    );
    assert_eq!(beside(&plain(), two, three, two), "");
    // What differs elsewhere does.
    let mut other = beside(&plain(), two, three, leaked(answer(&[c; 7], r#","more":1"#)));
    assert_eq!(other, "extra at /more");
    // That there is more is noise; what it is was never compared.
    other = beside(
        &plain(),
        ok(r#"{"a":1}"#),
        ok(r#"{"a":1,"b":{"c":1}}"#),
        ok(r#"{"a":1,"b":{"d":2}}"#),
    );
    assert_eq!(other, unknown_at("/b"));
    other = beside(&plain(), ok("1.5"), ok("2.5"), ok("900.5"));
    assert_eq!(other, unknown);
    // Noise at a place of its own is left out if it is as large.
    for (live, again, shadow, expected) in [
        (r#"{"a":1.5,"t":1.5}"#, r#"{"a":1.5,"t":2.5}"#, r#"{"a":1.5,"t":3.5}"#, ""),
        (
            r#"{"a":1.5,"t":1.5}"#,
            r#"{"a":1.5,"t":2.5}"#,
            r#"{"a":2.5,"t":3.5}"#,
            "value at /a by 1",
        ),
        // Infinite once: no size to measure others by.
        (
            r#"{"predictions":[[0.1]]}"#,
            r#"{"predictions":[[1e400]]}"#,
            r#"{"predictions":[[5000.0]]}"#,
            "?/predictions/0/0",
        ),
        (
            r#"{"predictions":[[0.1,0.9]]}"#,
            r#"{"predictions":[[-Infinity,0.9]]}"#,
            r#"{"predictions":[[-1000.0,0.9]]}"#,
            "?/predictions/0/0",
        ),
        (r#"{"t":0.5}"#, r#"{"t":Infinity}"#, r#"{"t":900.5}"#, "?/t"),
        (r#"{"t":0.5}"#, r#"{"t":0.75}"#, r#"{"t":Infinity}"#, "value at /t by inf"),
        // Whole numbers that no word holds: each is a name.
        (
            r#"{"predictions":[10000000000000000000000000000000000000000000]}"#,
            r#"{"predictions":[10000000000000000000000000000000000000000001]}"#,
            r#"{"predictions":[10000000000000000000000000000000000000000002]}"#,
            "?/predictions/0",
        ),
        (
            r#"{"predictions":[10000000000000000000000000000000000000000000]}"#,
            r#"{"predictions":[10000000000000000000000000000000000000000001]}"#,
            r#"{"predictions":[10000000000000000000000000000000000000000001]}"#,
            "",
        ),
        (
            r#"{"predictions":[[100.0]]}"#,
            r#"{"predictions":[[100.001]]}"#,
            r#"{"predictions":[[99.998]]}"#,
            "",
        ),
        (
            r#"{"predictions":[[100.0]]}"#,
            r#"{"predictions":[[100.001]]}"#,
            r#"{"predictions":[[100.01]]}"#,
            "?/predictions/0/0",
        ),
        (
            r#"{"predictions":[[100.0]]}"#,
            r#"{"predictions":[[100.001]]}"#,
            r#"{"predictions":[[5000.0]]}"#,
            "score at /predictions/0/0 by 4900",
        ),
        (
            r#"{"predictions":[[0.5,0.5001]]}"#,
            r#"{"predictions":[[0.5001,0.5]]}"#,
            r#"{"predictions":[[0.50005,0.5]]}"#,
            "",
        ),
        (
            r#"{"predictions":[[0.5,0.5001]]}"#,
            r#"{"predictions":[[0.5001,0.5]]}"#,
            r#"{"predictions":[[0.9,0.1]]}"#,
            "class at /predictions/0/1 by 0.4001",
        ),
        // Noise within the tolerance is noise as well.
        (
            r#"{"predictions":[[100.0]]}"#,
            r#"{"predictions":[[100.00009]]}"#,
            r#"{"predictions":[[100.00012]]}"#,
            "",
        ),
        (
            r#"{"predictions":[[100.0,1.5]]}"#,
            r#"{"predictions":[[100.00009,1.5]]}"#,
            r#"{"predictions":[[100.00012,1.5]]}"#,
            "",
        ),
        (
            r#"{"predictions":[[100.0]]}"#,
            r#"{"predictions":[[100.0]]}"#,
            r#"{"predictions":[[100.5]]}"#,
            "score at /predictions/0/0 by 0.5",
        ),
        // A third decision is neither of the live model's.
        (
            r#"{"predictions":[[0.9,0.05,0.05]]}"#,
            r#"{"predictions":[[0.3,0.7,0.0]]}"#,
            r#"{"predictions":[[0.2,0.8,0.0]]}"#,
            "",
        ),
        (
            r#"{"predictions":[[0.9,0.05,0.05]]}"#,
            r#"{"predictions":[[0.3,0.7,0.0]]}"#,
            r#"{"predictions":[[0.0,0.0,1.0]]}"#,
            "?/predictions/0/2",
        ),
        (r#"{"output":3}"#, r#"{"output":5}"#, r#"{"output":9}"#, "?/output"),
        (r#"{"output":3}"#, r#"{"output":5}"#, r#"{"output":5}"#, ""),
        // A label is one that the live model gave, or there is no saying.
        (
            r#"{"predictions":["cat"]}"#,
            r#"{"predictions":["dog"]}"#,
            r#"{"predictions":["dog"]}"#,
            "",
        ),
        (
            r#"{"predictions":["cat"]}"#,
            r#"{"predictions":["dog"]}"#,
            r#"{"predictions":["cow"]}"#,
            "?/predictions/0",
        ),
        (r#"{"predictions":[3]}"#, r#"{"predictions":[7]}"#, r#"{"predictions":[7]}"#, ""),
        (
            r#"{"predictions":[3]}"#,
            r#"{"predictions":[7]}"#,
            r#"{"predictions":[5]}"#,
            "?/predictions/0",
        ),
        (
            r#"{"choices":[{"message":{"content":"hello"}}]}"#,
            r#"{"choices":[{"message":{"content":"hi"}}]}"#,
            r#"{"choices":[{"message":{"content":"bye"}}]}"#,
            "?/choices/0/message/content",
        ),
        (r#"{"a":true}"#, r#"{"a":false}"#, r#"{"a":false}"#, ""),
        (r#"{"a":true}"#, r#"{"a":null}"#, r#"{"a":false}"#, "?/a"),
        // Members that are there each second time.
        (r#"{"a":1}"#, r#"{"a":1,"label":"cat"}"#, r#"{"a":1,"label":"cat"}"#, ""),
        (r#"{"a":1}"#, r#"{"a":1,"label":"cat"}"#, r#"{"a":1,"label":"dog"}"#, "?/label"),
        (r#"{"a":1}"#, r#"{"a":1,"b":{"c":[1]}}"#, r#"{"a":1,"b":{"c":[1]}}"#, ""),
        (r#"{"a":1,"label":"cat"}"#, r#"{"a":1}"#, r#"{"a":1}"#, ""),
        (r#"{"a":1,"label":"cat"}"#, r#"{"a":1}"#, r#"{"a":1,"label":"dog"}"#, "?/label"),
        // Another kind of difference at the same place.
        (r#"{"a":"x"}"#, r#"{"a":"y"}"#, r#"{"a":["y"]}"#, "shape at /a"),
    ] {
        let found = beside(&plain(), ok(live), ok(again), ok(shadow));
        let expected = match expected.strip_prefix('?') {
            Some(at) => format!(
                "uncomparable: they differ at {at}, where the live model differs from itself"
            ),
            None => expected.to_owned(),
        };
        assert_eq!(found, expected, "{live} {again} {shadow}");
    }
    let bag = Rules { unordered: values(&["/bag"]), ..plain() };
    for (again, shadow, expected) in [
        (r#"{"bag":[2,1]}"#, r#"{"bag":[2,1]}"#, ""),
        (r#"{"bag":[2,1]}"#, r#"{"bag":[2,3]}"#, "missing at /bag/0; extra at /bag/1"),
        (
            r#"{"bag":[1,7]}"#,
            r#"{"bag":[9,1]}"#,
            "uncomparable: they differ at /bag/0, where the live model differs from itself",
        ),
    ] {
        assert_eq!(
            beside(&bag, ok(r#"{"bag":[1,2]}"#), ok(again), ok(shadow)),
            expected,
            "{shadow}"
        );
    }
    // Binary tensors with an id of their own: the class is seen.
    let tail = |a: f64, b: f64| [a.to_le_bytes(), b.to_le_bytes()].concat();
    let with = |id: &str, tail: &[u8]| binary(&tensors(id, &[("FP64", 16)]), tail);
    let (x, y, z) =
        (with("a", &tail(0.1, 0.9)), with("b", &tail(0.1, 0.9)), with("c", &tail(0.9, 0.1)));
    for rules in [plain(), Rules { volatile: None, ..plain() }] {
        let whole = |answer: &'static (Head, Vec<u8>)| Whole { head: &answer.0, body: &answer.1 };
        let [x, y, z] =
            [x.clone(), y.clone(), z.clone()].map(|answer| whole(Box::leak(Box::new(answer))));
        let about = About { is_baseline: true, ..About::default() };
        let noise = rules.compare(x, y, &about).noise.unwrap();
        let about = About { noise: Some(Rc::new(noise)), ..About::default() };
        assert_eq!(shown(&rules.compare(x, z, &about)), "class at /outputs/0/data/0 by 0.8");
    }
}
