//! What a model decided, in every form of answer, and forms that decide nothing.

use super::*;

#[test]
fn decisions_show_in_every_form() {
    let tf = |s: &str| format!("{{\"predictions\":{s}}}");
    for (live, shadow, expected) in [
        // `null` stands for NaN and the infinities.
        (
            oip("FP64", "[1,3]", "[null,0.9,0.1]"),
            oip("FP64", "[1,3]", "[null,0.1,0.9]"),
            "class at /outputs/0/data/1 by 0.8",
        ),
        (tf("[[null,0.9,0.1]]"), tf("[[null,0.1,0.9]]"), "class at /predictions/0/1 by 0.8"),
        (tf("[[null,-0.1,-2.3]]"), tf("[[null,-2.3,-0.1]]"), "class at /predictions/0/1 by 2.2"),
        (tf("[[NaN,0.9,0.1]]"), tf("[[NaN,0.1,0.9]]"), "class at /predictions/0/1 by 0.8"),
        (
            oip("FP64", "[1,1]", "[null]"),
            oip("FP64", "[1,1]", "[0.0]"),
            "score at /outputs/0/data/0 by NaN",
        ),
        (
            oip("FP64", "[1,1]", "[NaN]"),
            oip("FP64", "[1,1]", "[0.0]"),
            "score at /outputs/0/data/0 by NaN",
        ),
        (tf("[null]"), tf("[0.5]"), "score at /predictions/0 by NaN"),
        (tf("[null]"), tf("[null]"), ""),
        // One dimension, and probabilities in both.
        (
            oip("FP64", "[3]", "[0.1,0.7,0.2]"),
            oip("FP64", "[3]", "[0.7,0.1,0.2]"),
            "class at /outputs/0/data/0 by 0.6",
        ),
        (tf("[0.1,0.9]"), tf("[0.9,0.1]"), "class at /predictions/0 by 0.8"),
        (tf("[0.1,0.9]"), tf("[0.2,0.8]"), "score at /predictions/0 by 0.1"),
        (
            r#"{"data":{"ndarray":[0.1,0.9]}}"#.into(),
            r#"{"data":{"ndarray":[0.9,0.1]}}"#.into(),
            "class at /data/ndarray/0 by 0.8",
        ),
        // Not together one: a score for each instance.
        (
            tf("[0.3,0.9]"),
            tf("[0.9,0.3]"),
            "score at /predictions/0 by 0.6; score at /predictions/1 by 0.6",
        ),
        (
            oip("FP64", "[2,1]", "[0.1,0.9]"),
            oip("FP64", "[2,1]", "[0.9,0.1]"),
            "score at /outputs/0/data/0 by 0.8; score at /outputs/0/data/1 by 0.8",
        ),
        // A list at the top.
        ("[[0.1,0.9]]".into(), "[[0.9,0.1]]".into(), "class at /0/0 by 0.8"),
        ("[\n  0.25\n]".into(), "[0.5]".into(), "score at /0 by 0.25"),
        (
            r#"[{"label": "b", "score": NaN}]"#.into(),
            r#"[{"label": "c", "score": NaN}]"#.into(),
            "class at /0/label",
        ),
        // By name.
        (
            tf(r#"[{"setosa":0.1,"virginica":0.9}]"#),
            tf(r#"[{"setosa":0.9,"virginica":0.1}]"#),
            "class at /predictions/0/setosa by 0.8",
        ),
        (
            tf(r#"[{"setosa":0.1,"virginica":0.9}]"#),
            tf(r#"[{"setosa":0.2,"virginica":0.8}]"#),
            "score at /predictions/0/setosa by 0.1",
        ),
        (
            tf(r#"[{"height":1.5,"width":2.5}]"#),
            tf(r#"[{"height":2.5,"width":1.5}]"#),
            "score at /predictions/0/height by 1; score at /predictions/0/width by 1",
        ),
        // Seldon's other forms.
        (
            r#"{"jsonData":{"label":"setosa","score":0.97},"meta":{}}"#.into(),
            r#"{"jsonData":{"label":"setosa","score":0.93},"meta":{}}"#.into(),
            "score at /jsonData/score by 0.04",
        ),
        (
            r#"{"strData":"setosa","meta":{}}"#.into(),
            r#"{"strData":"virginica","meta":{}}"#.into(),
            "class at /strData",
        ),
        // Boxes are no decision, what is in them is.
        (
            tf(r#"[{"boxes":[[10,20,30,40]],"scores":[0.9],"classes":[3]}]"#),
            tf(r#"[{"boxes":[[10,20,30,40]],"scores":[0.9],"classes":[4]}]"#),
            "class at /predictions/0/classes/0 by 1",
        ),
        (
            tf(r#"[{"boxes":[[10,40,30,39]]}]"#),
            tf(r#"[{"boxes":[[10,39,30,40]]}]"#),
            "score at /predictions/0/boxes/0/1 by 1; score at /predictions/0/boxes/0/3 by 1",
        ),
        // Flat and nested data are the same.
        (
            oip("FP64", "[2,2]", "[0.1,0.9,0.5,0.5]"),
            oip("FP64", "[2,2]", "[[0.1,0.9],[0.5,0.5]]"),
            "",
        ),
        (
            oip("FP64", "[2,2]", "[0.1,0.9,0.4,0.6]"),
            oip("FP64", "[2,2]", "[[0.1,0.9],[0.6,0.4]]"),
            "class at /outputs/0/data/2 by 0.2",
        ),
        (
            oip("FP64", "[2,2]", "[0.1,0.9,0.4]"),
            oip("FP64", "[2,2]", "[[0.1,0.9],[0.6,0.4]]"),
            "shape at /outputs/0/data by 1",
        ),
        // JSON in text.
        (
            oip("BYTES", "[1]", r#"["{\"label\": \"setosa\", \"score\": 0.97}"]"#),
            oip("BYTES", "[1]", r#"["{\"label\":\"setosa\",\"score\":0.970000000001}"]"#),
            "",
        ),
        (
            oip("BYTES", "[1]", r#"["{\"label\": \"setosa\", \"score\": 0.97}"]"#),
            oip("BYTES", "[1]", r#"["{\"label\": \"setosa\", \"score\": 0.5}"]"#),
            "score at /outputs/0/data/0/score by 0.47",
        ),
        (
            oip("BYTES", "[1]", r#"["{\"label\": \"setosa\"}"]"#),
            oip("BYTES", "[1]", r#"["{\"label\": \"other\"}"]"#),
            "class at /outputs/0/data/0/label",
        ),
        (
            oip("BYTES", "[1]", r#"["{\"label\": \"setosa\"}"]"#),
            oip("BYTES", "[1]", r#"["{label}"]"#),
            "class at /outputs/0/data/0",
        ),
    ] {
        assert_eq!(line(&plain(), &live, &shadow), expected, "{live} {shadow}");
    }
    let strict = line(
        &within(0.01),
        &tf(r#"[{"0":0.4951,"1":0.5049}]"#),
        &tf(r#"[{"0":0.5020,"1":0.4980}]"#),
    );
    assert_eq!(strict, "class at /predictions/0/0 by 0.0069");
    let strict = line(
        &within(0.05),
        &tf(r#"[{"neg":0.49,"pos":0.51}]"#),
        &tf(r#"[{"neg":0.505,"pos":0.495}]"#),
    );
    assert_eq!(strict, "class at /predictions/0/neg by 0.015");
    let text = |score: &str| {
        oip("BYTES", "[1,1]", &format!(r#"["{{\"label\": \"POSITIVE\", \"score\": {score}}}"]"#))
    };
    assert_eq!(line(&within(0.01), &text("0.9998704195022583"), &text("0.9998702")), "");
    assert_eq!(
        line(&within(0.01), &text("0.51"), &text("0.49")),
        "score at /outputs/0/data/0/score by 0.02"
    );
}

/// An answer of two scores.
type Form<'f> = &'f dyn Fn(&str, &str) -> String;

/// All scores of a classifier, as Hugging Face's runtimes write them, and numpy lists with texts in them.
#[test]
fn decisions_show_beside_labels_and_in_texts() {
    let tf = |s: &str| format!("{{\"predictions\":{s}}}");
    let scores =
        |p: &str, n: &str| format!(r#"[{{"label":"P","score":{p}}},{{"label":"N","score":{n}}}]"#);
    let pairs = |p: &str, n: &str| format!(r#"[["P",{p}],["N",{n}]]"#);
    let texts = |p: &str, n: &str| format!(r#"["{p}","{n}"]"#);
    for form in [&scores as Form<'_>, &pairs, &texts] {
        let (live, shadow, near) =
            (form("0.51", "0.49"), form("0.49", "0.51"), form("0.52", "0.48"));
        for wrap in [|s: &str| format!("[{s}]"), |s: &str| s.to_owned()] {
            let (live, shadow, near) = (wrap(&live), wrap(&shadow), wrap(&near));
            for (live, shadow, near) in
                [(tf(&live), tf(&shadow), tf(&near)), (live.clone(), shadow.clone(), near.clone())]
            {
                let found = line(&within(0.05), &live, &shadow);
                assert!(found.starts_with("class at /") && !found.contains(';'), "{live} {found}");
                assert_eq!(line(&within(0.05), &live, &near), "", "{live}");
                assert!(line(&plain(), &live, &near).starts_with("score at "), "{live}");
            }
        }
    }
    for (live, shadow, expected) in [
        // Another order is another label at each place.
        (
            tf(&format!("[{}]", scores("0.51", "0.49"))),
            tf(r#"[[{"label":"N","score":0.51},{"label":"P","score":0.49}]]"#),
            "class at /predictions/0/0/label; class at /predictions/0/1/label",
        ),
        // No probabilities of one decision: of several labels each, or beside boxes.
        (
            tf(&format!("[{}]", scores("0.91", "0.89"))),
            tf(&format!("[{}]", scores("0.89", "0.91"))),
            "",
        ),
        (
            tf(
                r#"[{"label":"P","score":0.51,"box":[1.5]},{"label":"N","score":0.49,"box":[2.5]}]"#,
            ),
            tf(
                r#"[{"label":"P","score":0.49,"box":[1.5]},{"label":"N","score":0.51,"box":[2.5]}]"#,
            ),
            "",
        ),
        (tf(&format!("[{}]", texts("0.51", "a"))), tf(&format!("[{}]", texts("0.49", "a"))), ""),
        // Names, not numbers, where a type says so.
        (
            oip("BYTES", "[1,2]", &texts("0.51", "0.49")),
            oip("BYTES", "[1,2]", &texts("0.49", "0.51")),
            "class at /outputs/0/data/0; class at /outputs/0/data/1",
        ),
        // In a text of JSON.
        (
            oip(
                "BYTES",
                "[1,1]",
                r#"["[{\"label\":\"P\",\"score\":0.51},{\"label\":\"N\",\"score\":0.49}]"]"#,
            ),
            oip(
                "BYTES",
                "[1,1]",
                r#"["[{\"label\":\"P\",\"score\":0.49},{\"label\":\"N\",\"score\":0.51}]"]"#,
            ),
            "class at /outputs/0/data/0/0 by 0.02",
        ),
    ] {
        assert_eq!(line(&within(0.05), &live, &shadow), expected, "{live} {shadow}");
    }
    // What is ignored, or told to be values, decides nothing.
    let (live, shadow) = (tf(&scores("0.51", "0.49")), tf(&scores("0.49", "0.51")));
    for pointer in ["/predictions/*/score", "/predictions/0/score"] {
        let ignore = Rules { ignore: values(&[pointer]), ..within(0.05) };
        assert_eq!(line(&ignore, &live, &shadow), "", "{pointer}");
        let values = Rules { values: values(&[pointer]), ..within(0.05) };
        assert_eq!(line(&values, &live, &shadow), "", "{pointer}");
    }
}

#[test]
fn values_are_no_decisions() {
    let person = |p: &str, b: &str| {
        format!(r#"{{"predictions":[{{"label":"person","probability":{p},"detection_box":{b}}}]}}"#)
    };
    // By their name.
    assert_eq!(
        line(
            &within(0.01),
            &person("0.944", "[0.1242,0.1259,0.8423,0.8426]"),
            &person("0.941", "[0.1243,0.1257,0.8428,0.8424]")
        ),
        ""
    );
    let named = |data: &str| {
        format!(
            r#"{{"outputs":[{{"name":"sentence_embedding","datatype":"FP32","shape":[1,3],"data":{data}}}]}}"#
        )
    };
    assert_eq!(
        line(&plain(), &named("[0.5,0.50000001,-0.2]"), &named("[0.50000001,0.5,-0.2]")),
        ""
    );
    for (pointer, live, shadow) in [
        (
            "/predictions",
            r#"{"predictions":[[101.0,102.0,103.0,102.9]]}"#,
            r#"{"predictions":[[101.2,102.1,102.9,103.1]]}"#,
        ),
        (
            "/data/ndarray",
            r#"{"data":{"names":["height_mm","width_mm"],"ndarray":[[120.4,120.1]]}}"#,
            r#"{"data":{"names":["height_mm","width_mm"],"ndarray":[[120.2,120.3]]}}"#,
        ),
        (
            "/predictions/*/next",
            r#"{"predictions":[{"next":[5,4]}]}"#,
            r#"{"predictions":[{"next":[4,5]}]}"#,
        ),
        ("", "[[1,2]]", "[[2,1]]"),
    ] {
        let rules = Rules { values: values(&[pointer]), ..within(1.0) };
        assert_eq!(line(&rules, live, shadow), "", "{live}");
        let strict = Rules { values: values(&[pointer]), ..within(0.01) };
        assert!(line(&strict, live, shadow).starts_with("score at"), "{live}");
        // Nobody can tell from the answer alone.
        assert!(line(&within(1.0), live, shadow).starts_with("class at"), "{live}");
    }
    let rules = Rules { values: values(&["/outputs/*/data"]), ..within(1.0) };
    assert_eq!(line(&rules, &oip("INT32", "[2]", "[7,8]"), &oip("INT32", "[2]", "[8,7]")), "");
    assert_eq!(
        line(&rules, &oip("BYTES", "[1]", "[\"7\"]"), &oip("BYTES", "[1]", "[\"8\"]")),
        "class at /outputs/0/data/0"
    );
}

/// The name of a list says that it holds values, that of an object or of labels with their scores does not.
#[test]
fn decisions_show_below_names_of_values() {
    let tf = |s: &str| format!(r#"{{"predictions":[{{{s}}}]}}"#);
    let ps = |first: &str, second: &str| {
        format!(r#"[{{"label":"P","score":{first}}},{{"label":"N","score":{second}}}]"#)
    };
    let class = "class at /predictions/0/";
    for (live, shadow, expected) in [
        (
            r#""forecast":{"rain":0.51,"sun":0.49}"#.to_owned(),
            r#""forecast":{"rain":0.49,"sun":0.51}"#.to_owned(),
            format!("{class}forecast/rain by 0.02"),
        ),
        (
            r#""embedding":{"a":0.51,"b":0.49}"#.into(),
            r#""embedding":{"a":0.49,"b":0.51}"#.into(),
            format!("{class}embedding/a by 0.02"),
        ),
        (
            r#""boxes":[{"cat":0.51,"dog":0.49}]"#.into(),
            r#""boxes":[{"cat":0.49,"dog":0.51}]"#.into(),
            format!("{class}boxes/0/cat by 0.02"),
        ),
        (
            format!(r#""forecast":{}"#, ps("0.51", "0.49")),
            format!(r#""forecast":{}"#, ps("0.49", "0.51")),
            format!("{class}forecast/0 by 0.02"),
        ),
        (
            r#""forecast":[["P",0.51],["N",0.49]]"#.into(),
            r#""forecast":[["P",0.49],["N",0.51]]"#.into(),
            format!("{class}forecast/0 by 0.02"),
        ),
        // Coordinates, one for each box or for each axis, and steps of a forecast.
        (
            r#""box":{"x":0.51,"y":0.49}"#.into(),
            r#""box":{"x":0.49,"y":0.51}"#.into(),
            String::new(),
        ),
        (
            r#""boxes":[{"label":"a","x":10},{"label":"b","x":20}]"#.into(),
            r#""boxes":[{"label":"a","x":10.01},{"label":"b","x":20}]"#.into(),
            String::new(),
        ),
        (r#""forecast":[0.51,0.49]"#.into(), r#""forecast":[0.49,0.51]"#.into(), String::new()),
        (r#""forecast":[[0.51,0.49]]"#.into(), r#""forecast":[[0.49,0.51]]"#.into(), String::new()),
    ] {
        assert_eq!(line(&within(0.05), &tf(&live), &tf(&shadow)), expected, "{live}");
        // The settings may say it of all of them.
        let said = Rules { values: values(&["/predictions"]), ..within(0.05) };
        assert_eq!(line(&said, &tf(&live), &tf(&shadow)), "", "{live}");
    }
    let hair = tf(r#""forecast":{"rain":0.5000001,"sun":0.4999999}"#);
    let other = tf(r#""forecast":{"rain":0.4999999,"sun":0.5000001}"#);
    assert_eq!(line(&plain(), &hair, &other), "class at /predictions/0/forecast/rain by 2e-7");
}

/// What is neither of a known form nor a list at the top is compared, and decides nothing.
#[test]
fn forms_that_nobody_knows_have_values_and_no_decisions() {
    for (live, shadow, expected) in [
        (r#"{"output":[1]}"#, r#"{"output":[2]}"#, "value at /output/0 by 1"),
        (r#"{"output":["cat"]}"#, r#"{"output":["dog"]}"#, "value at /output/0"),
        (
            r#"{"output":[[0.1,0.9]]}"#,
            r#"{"output":[[0.9,0.1]]}"#,
            "value at /output/0/0 by 0.8; value at /output/0/1 by 0.8",
        ),
        (r#"{"output":1234567}"#, r#"{"output":1234568}"#, "value at /output by 1"),
        (
            r#"{"result":{"label":"cat"}}"#,
            r#"{"result":{"label":"dog"}}"#,
            "value at /result/label",
        ),
        (r#""cat""#, r#""dog""#, "value"),
        ("1", "2", "value by 1"),
        // A list at the top is one of predictions.
        ("[1]", "[2]", "class at /0 by 1"),
        (r#"["cat"]"#, r#"["dog"]"#, "class at /0"),
        (r#"[{"label":"cat"}]"#, r#"[{"label":"dog"}]"#, "class at /0/label"),
        ("[[0.1,0.9]]", "[[0.9,0.1]]", "class at /0/0 by 0.8"),
    ] {
        assert_eq!(line(&plain(), live, shadow), expected, "{live} {shadow}");
    }
}

/// A model that has lost its mind gives the same score to each class.
#[test]
fn a_row_of_equal_scores_decides_nothing() {
    for (live, shadow, expected) in [
        ("[0.01,0.05,0.02]", "[0.0,0.0,0.0]", "class at /predictions/0/1 by 0.05"),
        ("[0.0,0.0,0.0]", "[0.01,0.05,0.02]", "class at /predictions/0/1 by 0.05"),
        ("[0.01,0.05,0.02]", "[0.0,0.05,0.0]", ""),
        ("[0.01,0.05,0.05]", "[0.05,0.0,0.05]", ""),
        ("[0.0,0.0,0.0]", "[0.05,0.05,0.05]", ""),
        // Two may be equal by chance.
        ("[0.5,0.5]", "[0.45,0.55]", ""),
        ("[null,0.5,null]", "[0.5,0.55,0.0]", "score at /predictions/0/2 by NaN"),
    ] {
        let answer = |row: &str| format!(r#"{{"predictions":[{row}]}}"#);
        assert_eq!(line(&within(0.1), &answer(live), &answer(shadow)), expected, "{live} {shadow}");
    }
}
