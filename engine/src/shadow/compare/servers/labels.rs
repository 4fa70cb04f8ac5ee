//! Labels and scores, however they are written.

use super::*;

#[test]
fn labels_are_names_and_have_no_tolerance() {
    let tf = |s: &str| format!("{{\"predictions\":{s}}}");
    let seldon = |s: &str| format!("{{\"data\":{{\"names\":[],\"ndarray\":{s}}},\"meta\":{{}}}}");
    for (live, shadow, expected) in [
        (
            oip("INT64", "[1,1]", "[1234567]"),
            oip("INT64", "[1,1]", "[1234568]"),
            "class at /outputs/0/data/0 by 1",
        ),
        (
            oip("INT64", "[1,1]", "[9007199254740993]"),
            oip("INT64", "[1,1]", "[9007199254740992]"),
            "class at /outputs/0/data/0 by 1",
        ),
        (
            oip("UINT64", "[1,1]", "[18446744073709551615]"),
            oip("UINT64", "[1,1]", "[18446744073709551614]"),
            "class at /outputs/0/data/0 by 1",
        ),
        (
            oip("INT64", "[1,3]", "[4000001,4000002,4000003]"),
            oip("INT64", "[1,3]", "[4000003,4000002,4000001]"),
            "class at /outputs/0/data/0 by 2; class at /outputs/0/data/2 by 2",
        ),
        (tf("[1234567]"), tf("[1234568]"), "class at /predictions/0 by 1"),
        (seldon("[1234567]"), seldon("[1234568]"), "class at /data/ndarray/0 by 1"),
        (tf("[1]"), tf("[2]"), "class at /predictions/0 by 1"),
        (tf("[[1]]"), tf("[[2]]"), "class at /predictions/0/0 by 1"),
        (tf("[1, 1]"), tf("[0, 2]"), "class at /predictions/0 by 1; class at /predictions/1 by 1"),
        (seldon("[1,0]"), seldon("[0,0]"), "class at /data/ndarray/0 by 1"),
        (seldon("[[1]]"), seldon("[[2]]"), "class at /data/ndarray/0/0 by 1"),
        // Rows that hold labels beside scores, as detectors and recommenders write them.
        (tf("[[1234567,0.93]]"), tf("[[1234568,0.93]]"), "class at /predictions/0/0 by 1"),
        (tf("[[1234567,0.93]]"), tf("[[1234567,0.90]]"), "score at /predictions/0/1 by 0.03"),
        (
            tf("[[null,1234567,0.93]]"),
            tf("[[null,1234568,0.93]]"),
            "class at /predictions/0/1 by 1",
        ),
        (
            tf("[[10.5,20.5,30.5,40.5,0.9,4]]"),
            tf("[[10.5,20.5,30.5,40.5,0.9,5]]"),
            "class at /predictions/0/5 by 1",
        ),
        (
            tf("[[40.5,40.50000001,0.9,1234567]]"),
            tf("[[40.50000001,40.5,0.9,1234568]]"),
            "class at /predictions/0/3 by 1",
        ),
        (tf("[[0.5,0.5],[7,0.5]]"), tf("[[0.5,0.5],[8,0.5]]"), "class at /predictions/1/0 by 1"),
        // Probabilities, one of which is written short.
        (tf("[[0,0.3,0.7]]"), tf("[[0,0.7,0.3]]"), "class at /predictions/0/1 by 0.4"),
        (
            r#"{"data":{"tensor":{"shape":[1,2],"values":[1234567,2]}}}"#.into(),
            r#"{"data":{"tensor":{"shape":[1,2],"values":[1234568,2]}}}"#.into(),
            "class at /data/tensor/values/0 by 1",
        ),
        (
            r#"{"data":{"tensor":{"shape":[1,2],"values":[0.1,0.9]}}}"#.into(),
            r#"{"data":{"tensor":{"shape":[1,2],"values":[0.9,0.1]}}}"#.into(),
            "class at /data/tensor/values/0 by 0.8",
        ),
        // Boxes by name: a word of its own, with coordinates, of a type that has fractions.
        (
            tf(r#"[{"checkbox":[1234567]}]"#),
            tf(r#"[{"checkbox":[1234568]}]"#),
            "class at /predictions/0/checkbox/0 by 1",
        ),
        (
            tf(r#"[{"box":1234567}]"#),
            tf(r#"[{"box":1234568}]"#),
            "class at /predictions/0/box by 1",
        ),
        (
            r#"{"outputs":[{"name":"boxes","datatype":"INT64","shape":[1],"data":[1234567]}]}"#
                .into(),
            r#"{"outputs":[{"name":"boxes","datatype":"INT64","shape":[1],"data":[1234568]}]}"#
                .into(),
            "class at /outputs/0/data/0 by 1",
        ),
        (tf(r#"[{"boundingBox":[1234567]}]"#), tf(r#"[{"boundingBox":[1234568]}]"#), ""),
        // What has a name of its own in a box is none of its coordinates.
        (
            tf(r#"[{"boxes":[{"class":1234567,"x1":10.5,"score":0.9}]}]"#),
            tf(r#"[{"boxes":[{"class":1234568,"x1":10.5,"score":0.9}]}]"#),
            "class at /predictions/0/boxes/0/class by 1",
        ),
        (
            tf(r#"[{"bounding_box":{"class":1234567,"xmin":1234567}}]"#),
            tf(r#"[{"bounding_box":{"class":1234568,"xmin":1234568}}]"#),
            "class at /predictions/0/bounding_box/class by 1",
        ),
        (
            tf(r#"[{"boxes":[[10.5,20.5,30.5,40.5,0.9,1234567]]}]"#),
            tf(r#"[{"boxes":[[10.5,20.5,30.5,40.5,0.9,1234568]]}]"#),
            "class at /predictions/0/boxes/0/5 by 1",
        ),
        (
            tf(r#"[{"boxes":[{"probs":[0.75,0.25]}]}]"#),
            tf(r#"[{"boxes":[{"probs":[0.25,0.75]}]}]"#),
            "class at /predictions/0/boxes/0/probs/0 by 0.5",
        ),
        // A double holds neither, and they have the same one.
        (
            oip("INT64", "[1]", "[9007199254740993]"),
            oip("INT64", "[1]", "[9007199254740992.0]"),
            "class at /outputs/0/data/0 by 1",
        ),
        (tf("[9007199254740992.0]"), tf("[9007199254740993]"), "class at /predictions/0 by 1"),
        (
            tf("[200000000000000000000000000000000000000001]"),
            tf("[200000000000000000000000000000000000000002.0]"),
            "class at /predictions/0 by 0",
        ),
        // Of more than 128 bits.
        (
            tf("[200000000000000000000000000000000000001]"),
            tf("[200000000000000000000000000000000000002]"),
            "class at /predictions/0 by 0",
        ),
        // TensorFlow's column format, of one column without a name.
        (
            r#"{"outputs":[0.75,0.25]}"#.into(),
            r#"{"outputs":[0.25,0.75]}"#.into(),
            "class at /outputs/0 by 0.5",
        ),
        // Floats are written with a fraction.
        (tf("[1.0]"), tf("[2.0]"), "score at /predictions/0 by 1"),
        (tf("[1.0]"), tf("[1]"), ""),
        (tf("[[0, 1]]"), tf("[[0.25,0.75]]"), "score at /predictions/0/0 by 0.25"),
        (
            oip("FP64", "[1,1]", "[1]"),
            oip("FP64", "[1,1]", "[2]"),
            "score at /outputs/0/data/0 by 1",
        ),
        // Names of a tensor of text, whatever they look like.
        (
            oip("BYTES", "[1]", "[\"1.10\"]"),
            oip("BYTES", "[1]", "[\"1.1\"]"),
            "class at /outputs/0/data/0",
        ),
        (
            oip("BYTES", "[1]", "[\"1e3\"]"),
            oip("BYTES", "[1]", "[\"1000.0\"]"),
            "class at /outputs/0/data/0",
        ),
        // What numpy makes of a list of names and numbers.
        (seldon("[\"0.7\",\"a\"]"), seldon("[\"0.70000000001\",\"a\"]"), ""),
    ] {
        assert_eq!(line(&plain(), &live, &shadow), expected, "{live} {shadow}");
        assert_eq!(line(&within(1e-9), &live, &shadow), expected, "{live} {shadow}");
    }
    // JSON in a text that is more than is read is no other label.
    let deep = |v: &str| tf(&format!("[\"{}{v}{}\"]", "[".repeat(70), "]".repeat(70)));
    assert_eq!(
        line(&plain(), &deep("1"), &deep("2")),
        "uncomparable: they take too long to compare"
    );
    // No absolute tolerance excuses another label, either.
    assert_eq!(line(&within(5.0), &tf("[1]"), &tf("[2]")), "class at /predictions/0 by 1");
    // Elsewhere a whole number is an amount, but a part of a large one is another amount.
    assert_eq!(line(&plain(), r#"{"n":1234567}"#, r#"{"n":1234568}"#), "value at /n by 1");
    assert_eq!(line(&within(1.0), r#"{"n":1234567}"#, r#"{"n":1234568}"#), "");
}

/// How far scores are apart, for the histogram: nothing, where no two were compared.
#[test]
fn what_is_not_known_of_scores_is_not_zero() {
    let moved = |rules: &Rules, live: &str, shadow: &str| {
        let head = head("200", "application/json");
        let (a, b) = (live.as_bytes(), shadow.as_bytes());
        let (a, b) = (Whole { head: &head, body: a }, Whole { head: &head, body: b });
        rules.compare(a, b, &About::default()).max_score_delta
    };
    let tf = |s: &str| format!("{{\"predictions\":{s}}}");
    let far = Some(f64::INFINITY);
    for (live, shadow, expected) in [
        ("[[0.1,0.9]]", "[[0.1,0.9]]", Some(0.0)),
        ("[[0.1,0.9]]", "[[0.1,0.90]]", Some(0.0)),
        ("[\"a\"]", "[ \"a\"]", Some(0.0)),
        ("[[0.1,0.9]]", "[[NaN,NaN]]", far),
        ("[[0.1,0.9]]", "[[null,0.9]]", far),
        ("[0.5]", "[null]", far),
        ("[[0.1,0.9]]", "[[0.1]]", None),
        ("[[0.1,0.9]]", "[\"0.1\",\"0.9\"]", None),
        ("[\"a\"]", "[\"b\"]", None),
    ] {
        assert_eq!(moved(&plain(), &tf(live), &tf(shadow)), expected, "{live} {shadow}");
    }
    assert_eq!(moved(&plain(), &tf("[[0.1,0.9]]"), r#"{"error":"no"}"#), None);
    let bag = Rules { unordered: values(&["/predictions"]), ..within(0.5) };
    assert_eq!(moved(&bag, &tf("[0.25,2.5]"), &tf("[2.75,0.25]")), Some(0.25));
}

/// OpenAI's client asks for base64 unless it is told otherwise.
#[test]
fn embeddings_in_base64_are_numbers() {
    let answer = |text: &str| {
        format!(
            r#"{{"object":"list","model":"a","data":[{{"object":"embedding","index":0,"embedding":"{text}"}}]}}"#
        )
    };
    // 0.1 and 0.14; the first moved by a hair; both swapped; one of them; no floats.
    let live = answer("zczMPSlcDz4=");
    let at = "/data/0/embedding";
    for (rules, shadow, expected) in [
        (plain(), "zszMPSlcDz4=", String::new()),
        (plain(), "KVwPPs3MzD0=", format!("score at {at}/0 by 0.04; score at {at}/1 by 0.04")),
        (within(0.1), "KVwPPs3MzD0=", String::new()),
        (within(0.1), "zczMPQ==", format!("shape at {at} by 1")),
        (within(0.1), "zczM", format!("shape at {at}")),
        (within(0.1), "!", format!("shape at {at}")),
    ] {
        assert_eq!(line(&rules, &live, &answer(shadow)), expected, "{shadow}");
    }
    // Without order as well.
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"object":"list","model":"a","data":[{{"object":"embedding","embedding":"{a}"}},{{"object":"embedding","embedding":"{b}"}}]}}"#
        )
    };
    let unordered = Rules { show_values: false, ..rules(&[], &["/data"]) };
    let (a, b, moved) = ("zczMPSlcDz4=", "KVwPPs3MzD0=", "zszMPSlcDz4=");
    assert_eq!(line(&unordered, &two(a, b), &two(b, moved)), "");
    assert_eq!(line(&unordered, &two(a, b), &two(b, b)), "missing at /data/0; extra at /data/1");
}

/// A number without a fraction is whole, however one of the two servers writes it.
#[test]
fn labels_are_whole_however_they_are_written() {
    for (live, shadow, expected) in [
        ("[1234567]", "[1234568.0]", "class at /predictions/0 by 1"),
        ("[1234567]", "[1.234568e6]", "class at /predictions/0 by 1"),
        ("[1234567.0]", "[1234568]", "class at /predictions/0 by 1"),
        ("[1234567]", "[1234567.0]", ""),
        ("[[1234567,0.93]]", "[[1234568.0,0.93]]", "class at /predictions/0/0 by 1"),
        // Neither is written as a whole one: floats of the same type.
        ("[1234567.0]", "[1234568.0]", ""),
        ("[1234567]", "[1234567.5]", ""),
        ("[[0.0,1.0]]", "[[0,1]]", ""),
        // To the last digit, with an exponent and without one.
        ("[9007199254740993e0]", "[9007199254740992]", "class at /predictions/0 by 1"),
        ("[9007199254740992]", "[9007199254740993.0E+00]", "class at /predictions/0 by 1"),
        (
            "[200000000000000000000000000000000000000001e0]",
            "[200000000000000000000000000000000000000002]",
            "class at /predictions/0 by 0",
        ),
        ("[9007199254740993e-0]", "[9007199254740993]", ""),
        ("[-1.5e1]", "[-15]", ""),
        // As a double is written, shorter than its digits.
        ("[1.2345678901234568e+20]", "[123456789012345683968]", ""),
    ] {
        let answer = |list: &str| format!(r#"{{"predictions":{list}}}"#);
        assert_eq!(line(&plain(), &answer(live), &answer(shadow)), expected, "{live} {shadow}");
        let values = Rules { values: values(&["/predictions"]), ..plain() };
        assert_eq!(line(&values, &answer(live), &answer(shadow)), "", "{live} {shadow}");
    }
    let own = |n: &str| format!(r#"{{"item":{n}}}"#);
    assert_eq!(line(&plain(), &own("1234567"), &own("1234568.0")), "value at /item by 1");
    assert_eq!(line(&within(1.0), &own("1234567"), &own("1234568.0")), "");
}

/// Types are written in many ways, and where nobody knows one it is as if none were told.
#[test]
fn types_are_known_however_they_are_written() {
    let class = "class at /outputs/0/data/0 by 1";
    let score = "score at /outputs/0/data/0 by 1";
    for (datatype, of_one, of_many) in [
        ("INT64", class, class),
        ("int64", class, class),
        ("Int64", class, class),
        ("TYPE_INT64", class, class),
        ("DT_UINT8", class, class),
        ("numpy.uint32", class, class),
        ("integer", class, class),
        ("", class, class),
        ("object", class, class),
        ("long", class, class),
        ("\u{e9}", class, class),
        ("FP32", score, ""),
        ("fp64", score, ""),
        ("TYPE_BF16", score, ""),
        ("DT_DOUBLE", score, ""),
        ("DT_FLOAT8_E5M2", score, ""),
        ("DT_HALF", score, ""),
        ("float64", score, ""),
        ("bfloat16", score, ""),
    ] {
        let of = |data: &str| oip(datatype, "[1]", data);
        assert_eq!(line(&plain(), &of("[1]"), &of("[2]")), of_one, "{datatype}");
        assert_eq!(line(&plain(), &of("[5000000]"), &of("[5000001]")), of_many, "{datatype}");
    }
    // A text with a fraction is a name where the type says that it is text.
    for (datatype, expected) in [
        ("BYTES", "class at /outputs/0/data/0"),
        ("bytes", "class at /outputs/0/data/0"),
        ("str", "class at /outputs/0/data/0"),
        ("TYPE_STRING", "class at /outputs/0/data/0"),
        ("object", ""),
        ("", ""),
    ] {
        let of = |data: &str| oip(datatype, "[1]", data);
        assert_eq!(line(&plain(), &of(r#"["1.10"]"#), &of(r#"["1.1"]"#)), expected, "{datatype}");
    }
    // Rows of an unknown type have labels in them, or scores.
    let of = |data: &str| oip("object", "[1,2]", data);
    assert_eq!(
        line(&within(5.0), &of(r#"["a",1]"#), &of(r#"["a",2]"#)),
        "class at /outputs/0/data/1 by 1"
    );
    let swapped = line(&within(0.1), &of("[0.51,0.49]"), &of("[0.49,0.51]"));
    assert_eq!(swapped, "class at /outputs/0/data/0 by 0.02");
}

/// Triton answers a request for classes with texts: `score:index`, or `score:index:label`.
#[test]
fn classes_in_texts_have_scores() {
    let of = |s: &str| oip("BYTES", "[2]", s);
    for (live, shadow, expected) in [
        (
            r#"["0.82:5:mug","0.1:7:cup"]"#,
            r#"["0.79:5:mug","0.1:7:cup"]"#,
            "score at /outputs/0/data/0 by 0.03",
        ),
        (r#"["0.82:5:mug","0.1:7:cup"]"#, r#"["0.8200000001:5:mug","0.1:7:cup"]"#, ""),
        (r#"["0.82:5","0.1:7"]"#, r#"["0.79:5","0.1:7"]"#, "score at /outputs/0/data/0 by 0.03"),
        (
            r#"["0.82:5:mug","0.1:7:cup"]"#,
            r#"["0.82:7:cup","0.1:5:mug"]"#,
            "class at /outputs/0/data/0; class at /outputs/0/data/1",
        ),
        (
            r#"["0.82:5:mug","0.1:7:cup"]"#,
            r#"["0.82:5:cup","0.1:7:cup"]"#,
            "class at /outputs/0/data/0",
        ),
        (r#"["0.82:5:a:b","x"]"#, r#"["0.79:5:a:b","x"]"#, "score at /outputs/0/data/0 by 0.03"),
        // No score, no index.
        (r#"["12:30","a"]"#, r#"["13:30","a"]"#, "class at /outputs/0/data/0"),
        (r#"["0.5:x","a"]"#, r#"["0.6:x","a"]"#, "class at /outputs/0/data/0"),
        (r#"["0.5:","a"]"#, r#"["0.6:","a"]"#, "class at /outputs/0/data/0"),
    ] {
        let (live, shadow) = (of(live), of(shadow));
        assert_eq!(line(&plain(), &live, &shadow), expected, "{live} {shadow}");
    }
}

/// A server that keeps to JSON writes `null` for what another writes as `NaN`.
#[test]
fn no_number_is_null_or_nan() {
    for (live, shadow, expected) in [
        ("[NaN,1.5]", "[null,1.5]", ""),
        ("[null,1.5]", "[NaN,1.5]", ""),
        ("[null,1.5]", "[0.5,1.5]", "score at /outputs/0/data/0 by NaN"),
        ("[0.5,1.5]", "[null,1.5]", "score at /outputs/0/data/0 by NaN"),
        ("[Infinity,1.5]", "[null,1.5]", "score at /outputs/0/data/0 by NaN"),
    ] {
        let (live, shadow) = (oip("FP64", "[2]", live), oip("FP64", "[2]", shadow));
        assert_eq!(line(&plain(), &live, &shadow), expected, "{live} {shadow}");
    }
}
