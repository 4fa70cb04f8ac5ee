//! Which answers agree, by table and by property.

use super::*;
use crate::config::{Errors, Path};
use crate::request::Header;
use proptest::prelude::*;

pub fn rules(ignore: &[&str], unordered: &[&str]) -> Rules {
    let mut errors = Errors::default();
    let mut read = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        Pointers::compile(&texts, "", &Path::ROOT, &mut errors)
    };
    let (ignore, unordered, values) = (read(ignore), read(unordered), read(&[]));
    assert!(errors.is_empty());
    let tolerance = Tolerance { relative: 1e-6, absolute: 1e-9 };
    Rules {
        tolerance,
        ignore,
        unordered,
        values,
        volatile: Some(Volatile::default()),
        max_differences: 8,
        show_values: true,
        max_bytes: 1 << 20,
    }
}

pub fn head(status: &str, media: &str) -> Head {
    Head::of(&[(b":status", status.as_bytes()), (b"content-type", media.as_bytes())])
}

fn verdict(rules: &Rules, live: &str, shadow: &str) -> Agreement {
    let head = head("200", "application/json");
    rules
        .compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        )
        .agreement
}

/// The differences as a log line shows them; empty for agreement.
pub fn line(rules: &Rules, live: &str, shadow: &str) -> String {
    let verdict = verdict(rules, live, shadow);
    shown(&Comparison { agreement: verdict, max_score_delta: None, noise: None, steps: 0 })
}

/// The verdict, as [`line`] shows it.
pub fn shown(compared: &Comparison) -> String {
    match &compared.agreement {
        Agreement::Matched => String::new(),
        Agreement::Mismatched(report) => report.to_string(),
        Agreement::Uncomparable(reason) => format!("uncomparable: {reason}"),
    }
}

/// Quadratic work on such lists would keep a worker busy for minutes, and this test as well.
#[test]
fn long_lists_without_order_are_compared() {
    let list = format!("{{\"bag\":[{}0]}}", "0,".repeat(120_000));
    assert_eq!(line(&rules(&[], &["/bag"]), &list, &format!("{list} ")), "");
}

#[test]
fn json_by_value() {
    let rules = rules(&["/meta", "/list/*/id", "/b/1"], &["/bag", "/outputs/*/tags"]);
    for (live, shadow, expected) in [
        ("{}", " { } ", ""),
        (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1.0,9],"a":1.0000000001}"#, ""),
        (r#"{"a":1}"#, r#"{"a":2}"#, "value at /a by 1, live 1, shadow 2"),
        (r#"{"a":1}"#, r#"{"a":"1"}"#, r#"value at /a, live 1, shadow "1""#),
        (r#"{"a":null}"#, r#"{"a":false}"#, "value at /a, live null, shadow false"),
        (r#"{"a":"x"}"#, r#"{"a":"\u0078"}"#, ""),
        (r#"{"a":1}"#, "{}", "missing at /a, live 1, shadow nothing"),
        ("{}", r#"{"a/b":[]}"#, "extra at /a~1b, live nothing, shadow a list of 0"),
        (
            r#"{"a":1,"c":1}"#,
            r#"{"b":1,"c":1}"#,
            "missing at /a, live 1, shadow nothing; extra at /b, live nothing, shadow 1",
        ),
        (r#"{"a":[1]}"#, r#"{"a":[1,2,3]}"#, "shape at /a by 2, live 1 values, shadow 3 values"),
        (r#"{"a":[1]}"#, r#"{"a":{}}"#, "shape at /a, live a list of 1, shadow an object of 0"),
        (r#"{"a":[1]}"#, r#"{"a":1}"#, "shape at /a, live a list of 1, shadow 1"),
        ("[1,2]", "[1,3]", "class at /1 by 1, live 2, shadow 3"),
        (r#"{"meta":{"puid":"a"}}"#, r#"{"meta":{"puid":"b"}}"#, ""),
        (r#"{"meta":1}"#, "{}", ""),
        ("{}", r#"{"meta":1}"#, ""),
        (r#"{"list":[{"id":1,"v":1}]}"#, r#"{"list":[{"id":2,"v":1}]}"#, ""),
        (r#"{"bag":[1,2,2]}"#, r#"{"bag":[2,1,2.0]}"#, ""),
        (
            r#"{"bag":[1,2,2]}"#,
            r#"{"bag":[1,1,2]}"#,
            "missing at /bag/2, live 2, shadow nothing; extra at /bag/1, live nothing, shadow 1",
        ),
        (r#"{"a":NaN,"b":Infinity}"#, r#"{"b":Infinity,"a":NaN}"#, ""),
        (r#"{"a":1e300}"#, r#"{"a":2}"#, "value at /a by 1e300, live 1e300, shadow 2"),
        (r#"{"a":NaN}"#, r#"{"a":1}"#, "value at /a by NaN, live NaN, shadow 1"),
        (r#"{"a":1}"#, "<html>", "shape"),
        ("<html>", "<htm>", "uncomparable: they claim to be JSON and are not"),
        ("<html>", "<html>", ""),
    ] {
        assert_eq!(line(&rules, live, shadow), expected, "{live} {shadow}");
    }
}

#[test]
fn predictions_decide_or_score() {
    let rules = Rules { show_values: false, ..rules(&[], &[]) };
    let seldon = |s: &str| format!(r#"{{"data":{{"names":["a","b"],"ndarray":{s}}}}}"#);
    let tensor = |shape: &str, s: &str| {
        format!(r#"{{"data":{{"tensor":{{"shape":{shape},"values":{s}}}}}}}"#)
    };
    let oip = |kind: &str, shape: &str, s: &str| {
        format!(r#"{{"outputs":[{{"name":"o","datatype":"{kind}","shape":{shape},"data":{s}}}]}}"#)
    };
    let tf = |s: &str| format!(r#"{{"predictions":{s}}}"#);
    for (live, shadow, expected) in [
        (seldon("[[0.1,0.9]]"), seldon("[[0.1,0.9000000001]]"), ""),
        (seldon("[[0.1,0.9]]"), seldon("[[0.2,0.8]]"), "score at /data/ndarray/0/0 by 0.1"),
        (
            seldon("[[1.0,3.0],[1.0,2.0]]"),
            seldon("[[1.0,3.0],[2.0,1.0]]"),
            "class at /data/ndarray/1/0 by 1",
        ),
        (seldon("[1.0,3.0]"), seldon("[2.0,3.0]"), "score at /data/ndarray/0 by 1"),
        (seldon("[\"setosa\"]"), seldon("[\"virginica\"]"), "class at /data/ndarray/0"),
        (seldon("[\"7\"]"), seldon("[\"8\"]"), "class at /data/ndarray/0"),
        (seldon("[\"0.7\"]"), seldon("[\"0.70000000001\"]"), ""),
        (seldon("[\"0.7\"]"), seldon("[\"0.8\"]"), "score at /data/ndarray/0 by 0.1"),
        (seldon("[0.7]"), seldon("[\"0.7\"]"), "value at /data/ndarray/0"),
        // Within the tolerance, and the other class all the same.
        (
            seldon("[[0.5,0.5000000001]]"),
            seldon("[[0.5000000001,0.5]]"),
            "class at /data/ndarray/0/0 by 1e-10",
        ),
        (seldon("[[1,2]]"), seldon("[[1,2],[1,2]]"), "shape at /data/ndarray by 1"),
        (seldon("[[1,2]]"), seldon("[[1,2,3]]"), "shape at /data/ndarray/0 by 1"),
        (
            tensor("[2,2]", "[1,3,1,2]"),
            tensor("[2,2]", "[1,3,4,2]"),
            "class at /data/tensor/values/2 by 3",
        ),
        (
            tensor("[2,2]", "[1,3,1,2]"),
            tensor("[1,4]", "[1,3,1,2]"),
            "shape at /data/tensor/shape/0 by 1; shape at /data/tensor/shape/1 by 2",
        ),
        (
            oip("FP32", "[1,3]", "[0.2,0.3,0.5]"),
            oip("FP32", "[1,3]", "[0.2,0.5,0.3]"),
            "class at /outputs/0/data/1 by 0.2",
        ),
        (
            oip("FP32", "[1,2]", "[[4,5]]"),
            oip("FP32", "[1,2]", "[[5,6]]"),
            "score at /outputs/0/data/0/0 by 1",
        ),
        (
            oip("FP32", "[2]", "[1,2]"),
            oip("FP32", "[2]", "[2,1]"),
            "score at /outputs/0/data/0 by 1; score at /outputs/0/data/1 by 1",
        ),
        (
            oip("INT64", "[1,1]", "[1]"),
            oip("INT64", "[1,1]", "[2]"),
            "class at /outputs/0/data/0 by 1",
        ),
        (tf("[[0.1,0.9]]"), tf("[[0.9,0.1]]"), "class at /predictions/0/0 by 0.8"),
        (
            tf("[{\"p\":[1.5,2.0],\"c\":\"x\"}]"),
            tf("[{\"p\":[2.5,1.0],\"c\":\"y\"}]"),
            "class at /predictions/0/c; class at /predictions/0/p/0 by 1",
        ),
        (
            r#"{"outputs":{"p":[[1.0,2.0]]}}"#.into(),
            r#"{"outputs":{"p":[[2.0,1.0]]}}"#.into(),
            "class at /outputs/p/0/0 by 1",
        ),
    ] {
        assert_eq!(line(&rules, &live, &shadow), expected, "{live} {shadow}");
    }
}

#[test]
fn scores_move_also_within_the_tolerance() {
    let rules = rules(&[], &[]);
    let json = head("200", "application/json");
    let moved = |live: &str, shadow: &str| {
        let (a, b) = (live.as_bytes(), shadow.as_bytes());
        rules
            .compare(
                Whole { head: &json, body: a },
                Whole { head: &json, body: b },
                &About::default(),
            )
            .max_score_delta
    };
    for (live, shadow, expected) in [
        ("[[0.25,0.75]]", "[[0.25,0.75]]", Some(0.0)),
        ("[[0.25,0.75],[1,2]]", "[[0.5,0.5],[1.5,2]]", Some(0.5)),
        ("[[1e-10,0.75]]", "[[0,0.75]]", Some(1e-10)),
        ("[[NaN,0.75]]", "[[0,0.5]]", Some(f64::INFINITY)),
        ("[\"a\"]", "[\"b\"]", None),
        ("[[0.1,0.9],[0.2,0.8,0.0]]", "[[0.1,0.9],[0.9,0.1]]", None),
        ("[[0.1,0.9]]", "[[0.1,0.9],[0.9,0.1]]", None),
        ("<", "[1]", None),
    ] {
        let body = |predictions: &str| format!("{{\"predictions\":{predictions}}}");
        assert_eq!(moved(&body(live), &body(shadow)), expected, "{live} {shadow}");
    }
}

#[test]
fn an_ignored_score_decides_nothing() {
    let third = Rules { show_values: false, ..rules(&["/predictions/*/2"], &[]) };
    let tf = |s: &str| format!(r#"{{"predictions":{s}}}"#);
    assert_eq!(line(&third, &tf("[[1.5,2.5,3.5]]"), &tf("[[1.5,2.5,0.5]]")), "");
    assert_eq!(
        line(&third, &tf("[[1.5,2.5,3.5]]"), &tf("[[2.5,1.5,0.5]]")),
        "class at /predictions/0/0 by 1"
    );
    // A pointer for other answers leaves a row what it is.
    for pointer in ["/predictions/*/id", "/predictions/*/0/id", "/*/id"] {
        let rules = Rules {
            show_values: false,
            tolerance: Tolerance { relative: 0.0, absolute: 0.05 },
            ..rules(&[pointer], &[])
        };
        assert_eq!(
            line(&rules, &tf("[[0.51,0.49]]"), &tf("[[0.49,0.51]]")),
            "class at /predictions/0/0 by 0.02",
            "{pointer}"
        );
        assert_eq!(
            line(&rules, &tf(r#"[{"a":0.51,"b":0.49}]"#), &tf(r#"[{"a":0.49,"b":0.51}]"#)),
            "class at /predictions/0/a by 0.02",
            "{pointer}"
        );
    }
}

/// The first partner that is near must not be one that another value needs.
#[test]
fn partners_are_found_where_there_are_some() {
    let rules =
        Rules { tolerance: Tolerance { relative: 0.0, absolute: 0.5 }, ..rules(&[], &["/p"]) };
    for (live, shadow) in [
        ("[1.4,1.01]", "[1.01,1.8]"),
        ("[1.8,1.01,2.2]", "[2.6,1.4,1.9]"),
        (r#"[{"l":"a","s":1.4},{"l":"a","s":1.01}]"#, r#"[{"l":"a","s":1.01},{"l":"a","s":1.8}]"#),
    ] {
        let bag = |list: &str| format!("{{\"p\":{list}}}");
        assert_eq!(line(&rules, &bag(live), &bag(shadow)), "", "{live} {shadow}");
    }
}

#[test]
fn outputs_are_joined_by_name() {
    let rules = Rules { show_values: false, ..rules(&[], &[]) };
    let output = |n: &str, v: u8| format!(r#"{{"name":"{n}","datatype":"FP64","data":[{v}]}}"#);
    let doc = |outputs: &[String]| format!(r#"{{"outputs":[{}]}}"#, outputs.join(","));
    let live = doc(&[output("a", 1), output("b", 2)]);
    assert_eq!(line(&rules, &live, &doc(&[output("b", 2), output("a", 1)])), "");
    assert_eq!(
        line(&rules, &live, &doc(&[output("b", 3), output("c", 1)])),
        "missing at /outputs/0; score at /outputs/1/data/0 by 1; extra at /outputs/1"
    );
}

#[test]
fn heads_come_first() {
    let rules = rules(&[], &[]);
    let compare = |a: &Head, b: &Head, live: &str, shadow: &str| match rules
        .compare(
            Whole { head: a, body: live.as_bytes() },
            Whole { head: b, body: shadow.as_bytes() },
            &About::default(),
        )
        .agreement
    {
        Agreement::Matched => String::new(),
        Agreement::Mismatched(report) => report.to_string(),
        Agreement::Uncomparable(reason) => reason.to_string(),
    };
    let json = head("200", "application/json");
    let text = head("200", "text/plain; charset=utf-8");
    assert_eq!(compare(&json, &head("500", "text/html"), "1", "2"), "status, live 200, shadow 500");
    assert_eq!(
        compare(&json, &text, "1", "1"),
        "content_type, live application/json, shadow text/plain"
    );
    assert_eq!(compare(&json, &head("200", "Application/JSON;x"), "1", "1.0"), "");
    assert!(
        compare(&json, &head("200", "text/json"), "1", "2")
            .ends_with("value by 1, live 1, shadow 2")
    );
    assert_eq!(compare(&text, &text, "abc", "abd"), "bytes at byte 2");
    let none = head("200", "");
    assert_eq!(compare(&none, &none, "[1]", "[1.0]"), "");
    assert_eq!(compare(&none, &none, "ab", "ac"), "bytes at byte 1");
    let grpc = |status: Option<&str>| {
        let mut head = head("200", "application/grpc");
        let trailer = status.map(|status| (&b"grpc-status"[..], status.as_bytes()));
        head.add_trailers(trailer.as_slice());
        head
    };
    // A status that is not there, or cannot be read, is UNKNOWN to whoever asks.
    for (status, shown) in
        [(Some("5"), "5"), (None, "2"), (Some("x"), "2"), (Some(""), "2"), (Some("70000"), "2")]
    {
        assert_eq!(
            compare(&grpc(Some("0")), &grpc(status), "", ""),
            format!("status, live 200, shadow 200 with grpc-status {shown}"),
            "{status:?}"
        );
    }
}

#[test]
fn codings_are_undone() {
    let rules = rules(&[], &[]);
    let coded = |coding: &str| {
        let lines: [Header<'_>; 3] = [
            (b":status", b"200"),
            (b"content-type", b"application/json"),
            (b"content-encoding", coding.as_bytes()),
        ];
        Head::of(&lines)
    };
    let live = Whole { head: &coded("gzip"), body: GZIP };
    let plain = head("200", "application/json");
    let same = br#"{"data": {"ndarray": [[0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]}}"#;
    assert_eq!(
        rules.compare(live, Whole { head: &plain, body: same }, &About::default()).agreement,
        Agreement::Matched
    );
    assert_eq!(rules.compare(live, live, &About::default()).agreement, Agreement::Matched);
    let brotli = Whole { head: &coded("br"), body: GZIP };
    let verdict =
        rules.compare(brotli, Whole { head: &plain, body: same }, &About::default()).agreement;
    assert_eq!(verdict, Agreement::Uncomparable(Reason::Unreadable(Unreadable::LiveCoding)));
    assert_eq!(
        rules.compare(brotli, brotli, &About::default()).agreement,
        Agreement::Matched,
        "the same bytes"
    );
    let small = Rules { max_bytes: 20, ..rules };
    let verdict =
        small.compare(live, Whole { head: &plain, body: same }, &About::default()).agreement;
    assert_eq!(verdict, Agreement::Uncomparable(Reason::Unreadable(Unreadable::LiveCoding)));
}

/// `{"data":{"ndarray":[[0.1,0.9],[0.1,0.9],[0.1,0.9]]}}`, by Python's gzip.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x49, 0x2c, 0x49,
    0x54, 0xb2, 0xaa, 0x56, 0xca, 0x4b, 0x49, 0x2c, 0x2a, 0x4a, 0xac, 0x54, 0xb2, 0x8a, 0x8e, 0x36,
    0xd0, 0x33, 0xd4, 0x31, 0xd0, 0xb3, 0x8c, 0xd5, 0xc1, 0xc2, 0x8a, 0xad, 0xad, 0x05, 0x00, 0x2b,
    0x6c, 0x30, 0xe3, 0x34, 0x00, 0x00, 0x00,
];

#[test]
fn reports_are_bounded_and_kinds_are_all_there() {
    let rules = Rules { max_differences: 2, ..rules(&[], &[]) };
    let live = r#"{"a":1,"b":2,"c":3,"d":[]}"#;
    let Agreement::Mismatched(report) = verdict(&rules, live, r#"{"a":2,"b":3,"c":4,"d":0}"#)
    else {
        panic!()
    };
    assert_eq!((report.differences.len(), report.more), (2, 2));
    assert_eq!(report.kinds, [Kind::Value, Kind::Shape]);
    assert!(report.to_string().ends_with("; 2 more"));
}

#[test]
fn lists_without_order_are_compared_whatever_their_order() {
    let rules = Rules { show_values: false, ..rules(&[], &[""]) };
    let list = |items: &mut dyn Iterator<Item = u32>| {
        let items: Vec<String> = items.map(|n| format!("{n}.0000000001")).collect();
        format!("[{}]", items.join(","))
    };
    let exact = list(&mut (0..3000)).replace(".0000000001", ".0");
    assert_eq!(line(&rules, &exact, &list(&mut (0..3000).rev())), "");
    let other = line(&rules, &exact, &list(&mut (0..3000).rev().map(|n| n.max(1))));
    assert_eq!(other, "missing at /0; extra at /2999");
    for (live, shadow, expected) in [
        // Near each other, in an order of their own.
        ("[[1e-12,5.5],[0,7.5]]", "[[0,5.5],[1e-12,7.5]]", ""),
        ("[[0.4,5.5],[0.4,7.5]]", "[[0.4,7.5],[0.4,6.5]]", "missing at /0; extra at /1"),
        (
            r#"[{"a":"x","s":0.5},{"a":"y","s":0.5}]"#,
            r#"[{"s":0.5,"a":"y"},{"s":0.5,"a":"x"}]"#,
            "",
        ),
        (
            r#"[{"a":"x","s":0.5},{"a":"y"}]"#,
            r#"[{"a":"y","s":0.5},{"a":"x"}]"#,
            "missing at /0; missing at /1; extra at /0; extra at /1",
        ),
        ("[null,NaN,true,1.5]", "[true,NaN,1.5,null]", ""),
        ("[null]", "[NaN]", "missing at /0; extra at /0"),
        ("[Infinity,-Infinity]", "[-Infinity,Infinity]", ""),
        ("[1e308,1.5]", "[1.5,1e308]", ""),
        ("[1e308]", "[1e307]", "missing at /0; extra at /0"),
        (r#"["0.5","a"]"#, r#"["a","0.50000000001"]"#, ""),
        // A name that the other server writes with a fraction.
        ("[1,2,3]", "[3.0,2.0,1.0]", ""),
        ("[1,2.5,3]", "[3,1,2.5]", ""),
        ("[[1,0.5],[2,0.7]]", "[[2.0,0.7],[1,0.5]]", ""),
        (r#"["{\"s\":0.5}","b"]"#, r#"["b","{ \"s\": 0.50000000001 }"]"#, ""),
        (r#"["{\"s\":0.5}","b"]"#, r#"["b","{\"s\":0.7}"]"#, "missing at /0; extra at /1"),
    ] {
        assert_eq!(line(&rules, live, shadow), expected, "{live} {shadow}");
    }
}

/// Ids are so large that hundreds of them are within a tolerance of each other.
#[test]
fn large_ids_without_order_are_told_apart() {
    let rules = Rules { show_values: false, ..rules(&[], &["/ids", "/items", "/predictions"]) };
    for name in ["ids", "items", "predictions"] {
        let list = |first: u64| {
            let items: Vec<String> = (0..2000).map(|i| (first + 2 * i).to_string()).collect();
            format!("{{\"{name}\":[{}]}}", items.join(","))
        };
        assert_eq!(line(&rules, &list(1 << 60), &list(1 << 60)), "");
        let found = line(&rules, &list(1 << 60), &list((1 << 60) + 1));
        assert!(found.starts_with("missing at"), "{name}: {found}");
        // With a score each.
        let scored = |first: u64| {
            let items: Vec<String> =
                (0..2000).map(|i| format!("[{},0.5]", first + 2 * i)).collect();
            format!("{{\"{name}\":[{}]}}", items.join(","))
        };
        let found = line(&rules, &scored(1 << 40), &scored((1 << 40) + 1));
        assert!(found.starts_with("missing at"), "{name}: {found}");
    }
}

/// Values that are alike in all but what is looked at last: there is no saying in a bounded time.
#[test]
fn work_on_lists_without_order_is_bounded() {
    let rules = rules(&[], &["/bag"]);
    let list =
        |n: &str| format!("{{\"bag\":[{}]}}", vec![format!("[[1e305,{n}]]"); 2000].join(","));
    assert_eq!(
        verdict(&rules, &list("1e301"), &list("2e302")),
        Agreement::Uncomparable(Reason::Unreadable(Unreadable::TooLong))
    );
}

#[test]
fn logs_show_no_values_and_no_control_characters_unless_asked() {
    let quiet = Rules { show_values: false, ..rules(&[], &[]) };
    let (live, shadow) = (r#"{"a\n\u001b":"s3cret"}"#, r#"{"a\n\u001b":"t\u0007"}"#);
    assert_eq!(line(&quiet, live, shadow), r"value at /a\n\u{1b}");
    assert_eq!(
        line(&rules(&[], &[]), live, shadow),
        r#"value at /a\n\u{1b}, live "s3cret", shadow "t\u{7}""#
    );
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-5i32..5).prop_map(Into::into),
        "[a-c\\\\\"\n]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map("data|ndarray|outputs|name|[a-c]", inner, 0..5)
                .prop_map(|m| m.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn agreement_is_equality(a in any_json(), b in any_json()) {
        // Names join outputs in any order: the only way in which unequal documents agree.
        let exact = rules(&[], &[]);
        let (x, y) = (a.to_string(), b.to_string());
        prop_assert_eq!(verdict(&exact, &x, &serde_json::to_string_pretty(&a).unwrap()), Agreement::Matched);
        let agree = verdict(&exact, &x, &y) == Agreement::Matched;
        prop_assert!(agree == (a == b) || x.contains("outputs"), "{x} {y}");
        prop_assert_eq!(verdict(&exact, &y, &x) == Agreement::Matched, agree);
    }

    #[test]
    fn never_panics(a in prop::collection::vec(any::<u8>(), 0..64), b in prop::collection::vec(any::<u8>(), 0..64)) {
        let rules = rules(&["/a"], &["/b"]);
        for coding in ["", "gzip", "deflate"] {
            let head = Head::of(&[(b"content-encoding", coding.as_bytes())]);
            for message in [None, Some(Message::ModelInferResponse), Some(Message::SeldonMessage)] {
                let about = About { message, ..About::default() };
                rules.compare(Whole { head: &head, body: &a }, Whole { head: &head, body: &b }, &about);
            }
        }
    }
}
