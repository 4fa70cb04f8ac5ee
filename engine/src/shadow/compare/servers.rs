//! Answers as servers write them, by table: what is a decision, what is a score, what does not count.

use super::tests::{head, line, rules, shown};
use super::*;
use crate::config::{Errors, Path};

fn values(pointers: &[&str]) -> Pointers {
    let texts: Vec<String> = pointers.iter().map(|t| (*t).to_owned()).collect();
    Pointers::compile(&texts, "", &Path::ROOT, &mut Errors::default())
}

fn plain() -> Rules {
    Rules { show_values: false, ..rules(&[], &[]) }
}

fn within(absolute: f64) -> Rules {
    Rules { tolerance: Tolerance { relative: 1e-6, absolute }, ..plain() }
}

fn oip(datatype: &str, shape: &str, data: &str) -> String {
    format!(
        r#"{{"outputs":[{{"name":"o","datatype":"{datatype}","shape":{shape},"data":{data}}}]}}"#
    )
}

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

#[test]
fn what_differs_by_nature_does_not_count() {
    let mlserver = |id: &str, name: &str| {
        format!(
            r#"{{"model_name":"{name}","model_version":"v1","id":"{id}","parameters":{{}},"outputs":[{{"name":"predict","shape":[1,1],"datatype":"INT64","parameters":{{"content_type":"np"}},"data":[1]}}]}}"#
        )
    };
    let chat = |id: &str, created: u32, text: &str| {
        format!(
            r#"{{"id":"{id}","object":"chat.completion","created":{created},"model":"{id}.gguf","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}}}}],"usage":{{"total_tokens":{created}}}}}"#
        )
    };
    let compare = Rules { volatile: None, ..plain() };
    for (live, shadow, expected, all) in [
        (mlserver("feefa652", "iris"), mlserver("833fa7e0", "iris-v2"), "", "value at /id; value at /model_name"),
        (
            r#"{"model_name":"cases","model_version":"1","outputs":[]}"#.into(),
            r#"{"model_name":"cases","model_version":"2","id":"a","outputs":[]}"#.into(),
            "",
            "extra at /id; value at /model_version",
        ),
        (
            r#"{"data":{"names":[],"ndarray":["a"]},"meta":{"requestPath":{"iris":"seldonio/iris:1.0"},"metrics":[{"value":1}]}}"#.into(),
            r#"{"data":{"names":[],"ndarray":["a"]},"meta":{"requestPath":{"iris":"seldonio/iris:1.1"}}}"#.into(),
            "",
            "missing at /meta/metrics; value at /meta/requestPath/iris",
        ),
        (r#"{"strData":"a","meta":{"tags":{"version":1}}}"#.into(), r#"{"strData":"a"}"#.into(), "", "missing at /meta"),
        (
            chat("a", 1_795_795_088, "hello"),
            chat("b", 1_795_795_089, "hello"),
            "",
            "value at /created by 1; value at /id; value at /model; value at /usage/total_tokens by 1",
        ),
        (chat("a", 1, "hello"), chat("b", 1, "bye"), "value at /choices/0/message/content",
         "value at /choices/0/message/content; value at /id; value at /model"),
        (
            r#"{"object":"list","data":[{"embedding":[0.5]}],"model":"a","usage":{"total_tokens":1}}"#.into(),
            r#"{"object":"list","data":[{"embedding":[0.5]}],"model":"b","usage":{"total_tokens":2}}"#.into(),
            "",
            "value at /model; value at /usage/total_tokens by 1",
        ),
        (
            r#"{"id":"a","model":"m","results":[{"index":0,"relevance_score":0.5}]}"#.into(),
            r#"{"id":"b","model":"m","results":[{"index":0,"relevance_score":0.5}]}"#.into(),
            "",
            "value at /id",
        ),
        (
            r#"{"id":"a","object":"response","created_at":1,"model":"m","output":[{"id":"x","type":"function_call","call_id":"c1","name":"f","arguments":"{}"}]}"#.into(),
            r#"{"id":"b","object":"response","created_at":2,"model":"n","output":[{"id":"y","type":"function_call","call_id":"c2","name":"f","arguments":"{}"}]}"#.into(),
            "",
            "value at /created_at by 1; value at /id; value at /model; value at /output/0/call_id; value at /output/0/id",
        ),
        (
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}"#.into(),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"tool_calls":[{"id":"y","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}"#.into(),
            "value at /choices/0/message/tool_calls/0/function/name",
            "value at /choices/0/message/tool_calls/0/function/name; value at /choices/0/message/tool_calls/0/id",
        ),
        (
            r#"{"id":"a","object":"list","created":1,"model":"m","data":[{"index":0,"label":"cat","probs":[0.9,0.1],"num_classes":2}],"usage":{"total_tokens":1}}"#.into(),
            r#"{"id":"b","object":"list","created":2,"model":"n","data":[{"index":0,"label":"dog","probs":[0.1,0.9],"num_classes":2}],"usage":{"total_tokens":1}}"#.into(),
            "class at /data/0/label; class at /data/0/probs/0 by 0.8",
            "value at /created by 1; class at /data/0/label; class at /data/0/probs/0 by 0.8; value at /id; value at /model",
        ),
        (
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"a"}}],"timings":{"prompt_ms":1.5}}"#.into(),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"a"}}],"timings":{"prompt_ms":2.5}}"#.into(),
            "",
            "value at /timings/prompt_ms by 1",
        ),
        (
            r#"{"id":"sku-1","choices":[{"p":0.9}]}"#.into(),
            r#"{"id":"sku-2","choices":[{"p":0.9}]}"#.into(),
            "value at /id",
            "value at /id",
        ),
        // Cohere's rerank, OpenAI's moderations, Anthropic's messages.
        (
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{"version":"1"},"billed_units":{"search_units":1}}}"#.into(),
            r#"{"id":"b","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}"#.into(),
            "",
            "value at /id; value at /meta/api_version/version; value at /meta/billed_units/search_units by 1",
        ),
        (
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1}}}"#.into(),
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.6}],"meta":{"billed_units":{"search_units":1}}}"#.into(),
            "score at /results/0/relevance_score by 0.1",
            "score at /results/0/relevance_score by 0.1",
        ),
        (
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"country":"fr"}}"#.into(),
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"country":"de"}}"#.into(),
            "value at /meta/country",
            "value at /meta/country",
        ),
        (
            r#"{"id":"a","answer":"x","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{}}}"#.into(),
            r#"{"id":"b","answer":"x","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{}}}"#.into(),
            "value at /id",
            "value at /id",
        ),
        (
            r#"{"id":"a","model":"m","object":"list","results":[{"index":0,"relevance_score":0.5}],"usage":{"total_tokens":1}}"#.into(),
            r#"{"id":"b","model":"n","object":"list","results":[{"index":0,"relevance_score":0.5}],"usage":{"total_tokens":1}}"#.into(),
            "",
            "value at /id; value at /model",
        ),
        (
            r#"{"id":"modr-1","model":"a","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9,"violence":0.1}}]}"#.into(),
            r#"{"id":"modr-2","model":"b","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9,"violence":0.1}}]}"#.into(),
            "",
            "value at /id; value at /model",
        ),
        (
            r#"{"id":"modr-1","model":"a","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9}}]}"#.into(),
            r#"{"id":"modr-2","model":"a","results":[{"flagged":false,"categories":{"hate":true},"category_scores":{"hate":0.8}}]}"#.into(),
            "score at /results/0/category_scores/hate by 0.1; class at /results/0/flagged",
            "value at /id; score at /results/0/category_scores/hate by 0.1; class at /results/0/flagged",
        ),
        (
            r#"{"id":"a","model":"m","results":[{"flagged":true}]}"#.into(),
            r#"{"id":"b","model":"m","results":[{"flagged":true}]}"#.into(),
            "value at /id",
            "value at /id",
        ),
        (
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"a","content":[{"type":"thinking","thinking":"hm","signature":"s1"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"id":1}}],"stop_reason":"tool_use","usage":{"output_tokens":1}}"#.into(),
            r#"{"id":"msg_2","type":"message","role":"assistant","model":"b","content":[{"type":"thinking","thinking":"hm","signature":"s2"},{"type":"tool_use","id":"toolu_2","name":"f","input":{"id":1}}],"stop_reason":"tool_use","usage":{"output_tokens":2}}"#.into(),
            "",
            "value at /content/0/signature; value at /content/1/id; value at /id; value at /model; value at /usage/output_tokens by 1",
        ),
        (
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"a","content":[{"type":"tool_use","id":"t","name":"f","input":{"id":"x"}}],"stop_reason":"tool_use"}"#.into(),
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"a","content":[{"type":"tool_use","id":"t","name":"g","input":{"id":"y"}}],"stop_reason":"end_turn"}"#.into(),
            "value at /content/0/input/id; value at /content/0/name; value at /stop_reason",
            "value at /content/0/input/id; value at /content/0/name; value at /stop_reason",
        ),
        (
            r#"{"id":"a","type":"message","role":"user","model":"m","content":[],"stop_reason":null}"#.into(),
            r#"{"id":"b","type":"message","role":"user","model":"m","content":[],"stop_reason":null}"#.into(),
            "value at /id",
            "value at /id",
        ),
        // Tags may be all that a model has to say.
        (
            r#"{"meta":{"puid":"a","tags":{"class":"cat"}}}"#.into(),
            r#"{"meta":{"puid":"b","tags":{"class":"dog"}}}"#.into(),
            "value at /meta/tags/class",
            "value at /meta/puid; value at /meta/tags/class",
        ),
        // No answer of these protocols.
        (r#"{"id":"cat","outputs":[1]}"#.into(), r#"{"id":"dog","outputs":[1]}"#.into(), "value at /id", "value at /id"),
        (
            r#"{"model_name":"cat","outputs":[{"name":"o"}],"n":1}"#.into(),
            r#"{"model_name":"dog","outputs":[{"name":"o"}],"n":1}"#.into(),
            "value at /model_name",
            "value at /model_name",
        ),
        (
            r#"{"object":"car","model":"a","data":[1]}"#.into(),
            r#"{"object":"car","model":"b","data":[1]}"#.into(),
            "value at /model",
            "value at /model",
        ),
        (
            r#"{"results":[],"model":"a","id":"x"}"#.into(),
            r#"{"results":[],"model":"b","id":"x"}"#.into(),
            "value at /model",
            "value at /model",
        ),
        (r#"{"id":"a","answer":1}"#.into(), r#"{"id":"b","answer":1}"#.into(), "value at /id", "value at /id"),
        (r#"{"meta":1,"data":[1]}"#.into(), r#"{"meta":2,"data":[1]}"#.into(), "value at /meta by 1", "value at /meta by 1"),
        (r#"{"predictions":[1],"model":"a"}"#.into(), r#"{"predictions":[1],"model":"b"}"#.into(), "value at /model", "value at /model"),
        // Of two protocols: everything counts.
        (r#"{"id":"a","outputs":[]}"#.into(), r#"{"id":"b","predictions":[]}"#.into(),
         "value at /id; missing at /outputs; extra at /predictions", "value at /id; missing at /outputs; extra at /predictions"),
    ] {
        assert_eq!(line(&plain(), &live, &shadow), expected, "{live} {shadow}");
        assert_eq!(line(&compare, &live, &shadow), all, "{live} {shadow}");
    }
    let refused = |status: &str, name: &str| {
        let head = head(status, "application/json");
        let body = |name| format!(r#"{{"error":"Model {name} not found"}}"#);
        let (live, shadow) = (body("nope"), body(name));
        shown(&plain().compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        ))
    };
    assert_eq!(refused("404", "nope-v2"), "");
    assert_eq!(refused("400", "nope-v2"), "value at /error");
    let of_openai = |status: &str, form: &str| {
        let head = head(status, "application/json");
        let (live, shadow) = (form.replace('$', "nope"), form.replace('$', "nope-v2"));
        shown(&plain().compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        ))
    };
    for (form, at) in [
        (r#"{"error":{"message":"The model `$` does not exist.","code":404}}"#, "/error/message"),
        (r#"{"object":"error","message":"The model `$` does not exist.","code":404}"#, "/message"),
    ] {
        assert_eq!(of_openai("404", form), "", "{form}");
        assert_eq!(of_openai("400", form), format!("value at {at}"), "{form}");
    }
}

/// An outlier detector writes its verdict into the tags of an answer, perhaps beside a place for a
/// prediction that holds none.
#[test]
fn tags_count_where_nothing_else_is_said() {
    let answer = |content: &str, tags: &str| {
        let comma = if content.is_empty() { "" } else { "," };
        format!(
            r#"{{"meta":{{"puid":"{tags}","metrics":[{{"value":{tags}}}],"tags":{{"outlier":{tags}}}}}{comma}{content}}}"#
        )
    };
    for nothing in [
        "",
        r#""data":{}"#,
        r#""data":{"ndarray":[]}"#,
        r#""data":{"ndarray":[[]]}"#,
        r#""data":{"ndarray":[[null,""]]}"#,
        r#""data":{"ndarray":null}"#,
        r#""data":{"names":["a"],"ndarray":[]}"#,
        r#""data":{"tensor":{"shape":[0],"values":[]}}"#,
        r#""data":{"names":["a","b"]}"#,
        r#""jsonData":{}"#,
        r#""jsonData":null"#,
        r#""strData":"""#,
        r#""binData":"""#,
    ] {
        let found = line(&plain(), &answer(nothing, "1"), &answer(nothing, "2"));
        assert_eq!(found, "value at /meta/tags/outlier by 1", "{nothing}");
        assert_eq!(line(&plain(), &answer(nothing, "1"), &answer(nothing, "1.0")), "", "{nothing}");
    }
    for something in [
        r#""data":{"ndarray":[0]}"#,
        r#""data":{"ndarray":[[null,0.5]]}"#,
        r#""data":{"ndarray":[""," "]}"#,
        r#""data":{"tensor":{"shape":[1],"values":[0]}}"#,
        r#""data":{"tftensor":{"dtype":"DT_FLOAT"}}"#,
        r#""jsonData":{"a":false}"#,
        r#""strData":"a""#,
    ] {
        assert_eq!(line(&plain(), &answer(something, "1"), &answer(something, "2")), "");
    }
    // Of the shadow alone: its tags are all that it says.
    let (some, none) = (r#""data":{"ndarray":[1]}"#, r#""data":{"ndarray":[]}"#);
    assert_eq!(
        line(&plain(), &answer(some, "1"), &answer(none, "2")),
        "shape at /data/ndarray by 1; value at /meta/tags/outlier by 1"
    );
}

#[test]
fn nested_lists_that_are_no_tensor_are_not_flat_ones() {
    let nested = "shape at /outputs/0/data";
    for (shape, live, shadow, expected) in [
        ("[2,2]", "[1,2,3,4]", "[[1,2],[3,4]]", ""),
        ("[2,2,1]", "[1,2,3,4]", "[[[1],[2]],[[3],[4]]]", ""),
        ("[2,0]", "[]", "[[],[]]", ""),
        ("[2,2]", "[1,2,3]", "[[1,2],[3]]", nested),
        ("[2,2]", "[1,2,3,4]", "[[1,2],[3],[4]]", nested),
        ("[2,2]", "[1,2,3,4]", "[[1],[2,3],[4]]", nested),
        ("[2,2]", "[1,2,3,4]", "[1,2,[3,4]]", nested),
        ("[2,2]", "[1,2,3,4]", "[[1,2],3,4]", nested),
        ("[2,2]", "[1,2,3,4]", "[[1,2],[[3,4]]]", nested),
        ("[2,2]", "[1,2,3,4]", "[[1,2],[3,4],[]]", nested),
        ("[2,2]", "[]", "[[1],[]]", nested),
        // Of another shape than it says.
        ("[2,2]", "[1,2,3,4]", "[[1,2,3,4]]", nested),
        ("[2,2]", "[1,2,3,4]", "[[1],[2],[3],[4]]", nested),
        ("[4]", "[1,2,3,4]", "[[1,2],[3,4]]", nested),
        ("[4]", "[1,2,3,4]", "[[1],[2],[3],[4]]", nested),
        (
            "[2,2]",
            "[[1,2],[3]]",
            "[[1],[2,3]]",
            "shape at /outputs/0/data/0 by 1; shape at /outputs/0/data/1 by 1",
        ),
    ] {
        for datatype in ["FP64", "INT64"] {
            let (a, b) = (oip(datatype, shape, live), oip(datatype, shape, shadow));
            assert_eq!(line(&plain(), &a, &b), expected, "{shape} {live} {shadow}");
            assert_eq!(line(&plain(), &b, &a), expected, "{shape} {shadow} {live}");
        }
    }
    let tensor = |s: &str| format!(r#"{{"data":{{"tensor":{{"shape":[2,2],"values":{s}}}}}}}"#);
    assert_eq!(line(&plain(), &tensor("[1,2,3,4]"), &tensor("[[1,2],[3,4]]")), "");
    assert_eq!(
        line(&plain(), &tensor("[1,2,3,4]"), &tensor("[[1,2],[3],[4]]")),
        "shape at /data/tensor/values"
    );
    let shown = line(
        &rules(&[], &[]),
        &oip("FP64", "[2,2]", "[1,2,3]"),
        &oip("FP64", "[2,2]", "[[1,2],[3]]"),
    );
    assert_eq!(shown, "shape at /outputs/0/data, live one list, shadow nested lists");
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

fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |c: &u8| u8::try_from(char::from(*c).to_digit(16).unwrap()).unwrap();
    hex.as_bytes().chunks(2).map(|pair| digit(&pair[0]) << 4 | digit(&pair[1])).collect()
}

fn frame(hex: &str) -> Vec<u8> {
    let message = bytes_of(hex);
    [vec![0], u32::try_from(message.len()).unwrap().to_be_bytes().to_vec(), message].concat()
}

#[test]
fn mlservers_raw_messages_are_read() {
    let message = |rules: &Rules, live: &str, shadow: &str| {
        let mut head = head("200", "application/grpc");
        head.grpc_status = Some(0);
        let about = About { message: Some(Message::ModelInferResponse), ..About::default() };
        let (live, shadow) = (frame(live), frame(shadow));
        shown(&rules.compare(
            Whole { head: &head, body: &live },
            Whole { head: &head, body: &shadow },
            &about,
        ))
    };
    let output = "2a0f0a01701204465036341a0201022a00";
    let scores = "9a9999999999b93fcdccccccccccec3f";
    let swapped = "cdccccccccccec3f9a9999999999b93f";
    let answer = |version: &str, output: &str, scores: &str| {
        format!("0a016d120276{version}{output}3210{scores}")
    };
    let live = answer("31", output, scores);
    let compare = Rules { volatile: None, ..plain() };
    assert_eq!(message(&plain(), &live, &answer("32", output, scores)), "");
    assert_eq!(message(&compare, &live, &answer("32", output, scores)), "value at /model_version");
    assert_eq!(
        message(&compare, &live, &answer("31", output, swapped)),
        "class at /outputs/0/data/0 by 0.8"
    );
    // As KServe and Triton write it.
    assert_eq!(
        message(&compare, &live, &answer("31", "2a0d0a01701204465036341a020102", scores)),
        ""
    );
    // MLServer's own, and the same with contents besides: no message.
    let own = "0a056361736573120276312a250a01701204465036341a02010322140a0c636f6e74656e745f7479706512041a026e702a0032189a9999999999b93f666666666666e63f9a9999999999c93f";
    let moved = own.replace("666666666666e63f", "676666666666e63f");
    assert_eq!(message(&plain(), own, &moved), "");
    // `binary_data_size` says how the text came, and not what it is.
    let field = |number: u8, bytes: &[u8]| {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
    };
    let kserve = |texts: &[u8]| {
        let size = [16, u8::try_from(texts.len()).unwrap()];
        let parameters = [field(1, b"binary_data_size"), field(2, &size)].concat();
        let output = [field(1, b"o"), field(2, b"BYTES"), field(3, &[1]), field(4, &parameters)];
        let message = [field(5, &output.concat()), field(6, texts)].concat();
        message.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (live, shadow) = (kserve(b"\x04\0\0\x000.70"), kserve(b"\x03\0\0\x000.7"));
    assert_eq!(message(&plain(), &live, &shadow), "class at /outputs/0/data/0");
}

fn binary(head: &str, tail: &[u8]) -> (Head, Vec<u8>) {
    let length = head.len().to_string();
    let lines: [crate::request::Header<'_>; 3] = [
        (b":status", b"200"),
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", length.as_bytes()),
    ];
    (Head::of(&lines), [head.as_bytes(), tail].concat())
}

/// Of bytes only that they differ.
fn compare_binary(rules: &Rules, live: (&str, &[u8]), shadow: (&str, &[u8])) -> String {
    let (a, b) = (binary(live.0, live.1), binary(shadow.0, shadow.1));
    let found = shown(&rules.compare(
        Whole { head: &a.0, body: &a.1 },
        Whole { head: &b.0, body: &b.1 },
        &About::default(),
    ));
    if found.starts_with("bytes") { "bytes".to_owned() } else { found }
}

fn tensors(id: &str, tensors: &[(&str, usize)]) -> String {
    let outputs: Vec<String> = tensors
        .iter()
        .enumerate()
        .map(|(i, (datatype, size))| {
            format!(r#"{{"name":"o{i}","datatype":"{datatype}","shape":[1,2],"parameters":{{"binary_data_size":{size}}}}}"#)
        })
        .collect();
    format!(r#"{{"id":"{id}","model_name":"m","outputs":[{}]}}"#, outputs.join(","))
}

#[test]
fn binary_tensors_over_rest_are_read() {
    let doubles = |a: f64, b: f64| [a.to_le_bytes(), b.to_le_bytes()].concat();
    let head = |id| tensors(id, &[("FP64", 16)]);
    let live = doubles(0.1, 0.9);
    for (tail, expected) in [
        (doubles(0.1, 0.9), ""),
        (doubles(0.1 + 1e-10, 0.9), ""),
        (doubles(0.2, 0.8), "score at /outputs/0/data/0 by 0.1"),
        (doubles(0.9, 0.1), "class at /outputs/0/data/0 by 0.8"),
    ] {
        assert_eq!(compare_binary(&plain(), (&head("a"), &live), (&head("b"), &tail)), expected);
    }
    for (datatype, live, shadow, expected) in [
        ("BOOL", &[0u8, 1][..], &[0u8, 0][..], "class at /outputs/0/data/1"),
        ("INT8", &[1, 0xff], &[1, 0xfe], "class at /outputs/0/data/1 by 1"),
        ("UINT8", &[1, 0xff], &[1, 0xfe], "class at /outputs/0/data/1 by 1"),
        ("INT16", &[1, 0, 0, 0x80], &[1, 0, 1, 0x80], "class at /outputs/0/data/1 by 1"),
        ("UINT16", &[1, 0, 0, 0x80], &[1, 0, 1, 0x80], "class at /outputs/0/data/1 by 1"),
        ("INT32", &[1, 0, 0, 0x80], &[2, 0, 0, 0x80], "class at /outputs/0/data/0 by 1"),
        ("UINT32", &[1, 0, 0, 0x80], &[2, 0, 0, 0x80], "class at /outputs/0/data/0 by 1"),
        (
            "INT64",
            &[1, 0, 0, 0, 0, 0, 0, 0x7f],
            &[2, 0, 0, 0, 0, 0, 0, 0x7f],
            "class at /outputs/0/data/0 by 1",
        ),
        (
            "UINT64",
            &[0xff; 8],
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "class at /outputs/0/data/0 by 1",
        ),
        ("FP16", &[0, 0x3c, 0, 0x40], &[0, 0x3e, 0, 0x40], "score at /outputs/0/data/0 by 0.5"),
        (
            "BF16",
            &[0x80, 0x3f, 0, 0x40],
            &[0xc0, 0x3f, 0, 0x40],
            "score at /outputs/0/data/0 by 0.5",
        ),
        ("FP32", &[0, 0, 0x80, 0x3f], &[0, 0, 0xc0, 0x3f], "score at /outputs/0/data/0 by 0.5"),
        ("BYTES", b"\x06\0\0\0setosa", b"\x09\0\0\0virginica", "class at /outputs/0/data/0"),
        ("BYTES", b"\x04\0\0\x000.70", b"\x03\0\0\x000.7", "class at /outputs/0/data/0"),
        (
            "BYTES",
            b"\x02\0\0\0\xff\0\0\0\0\0",
            b"\x02\0\0\0\xff\0\x01\0\0\0x",
            "class at /outputs/0/data/1",
        ),
        ("BYTES", b"\x03\0\0\0[1]", b"\x04\0\0\0[ 1]", ""),
        ("FP64", &[], &[], ""),
        // What does not fit is no tensor.
        ("FP32", &[0, 0, 0x80], &[0, 0, 0x81], "bytes"),
        ("BYTES", b"\x09\0\0\0a", b"\x09\0\0\0b", "bytes"),
        ("COMPLEX", b"a", b"b", "bytes"),
        ("FP32", &[0, 0, 0x80, 0x3f], &[0, 0, 0x80], "shape"),
    ] {
        let (a, b) =
            (tensors("a", &[(datatype, live.len())]), tensors("a", &[(datatype, shadow.len())]));
        assert_eq!(
            compare_binary(&plain(), (&a, live), (&b, shadow)),
            expected,
            "{datatype} {live:?}"
        );
    }
    // Several, some of them in the JSON.
    let mixed = |id: &str| {
        format!(
            r#"{{"id":"{id}","outputs":[{{"name":"a","datatype":"INT8","shape":[1],"parameters":{{"binary_data_size":1}}}},{{"name":"b","datatype":"INT8","shape":[1],"data":[7]}},{{"name":"c","datatype":"INT16","shape":[1],"parameters":{{"binary_data_size":2}}}}]}}"#
        )
    };
    assert_eq!(
        compare_binary(&plain(), (&mixed("a"), b"\x01\x02\x03"), (&mixed("b"), b"\x01\x02\x03")),
        ""
    );
    assert_eq!(
        compare_binary(&plain(), (&mixed("a"), b"\x01\x02\x03"), (&mixed("b"), b"\x01\x03\x03")),
        "class at /outputs/2/data/0 by 1"
    );
    // Bytes that no output takes are compared as they are; too few are no answer.
    let ignoring = |pointer: &str| Rules { show_values: false, ..rules(&[pointer], &[]) };
    let half = 0.5f32.to_le_bytes();
    assert_eq!(
        compare_binary(&ignoring("/id"), (r#"{"id":"a"}"#, &half), (r#"{"id":"b"}"#, &half)),
        ""
    );
    let next = 0.500_000_06_f32.to_le_bytes();
    assert_eq!(
        compare_binary(&ignoring("/id"), (r#"{"id":"a"}"#, &half), (r#"{"id":"a"}"#, &next)),
        "value at /raw_output_contents"
    );
    assert_eq!(
        compare_binary(&plain(), (&mixed("a"), b"\x01\x02"), (&mixed("a"), b"\x01\x03")),
        "bytes"
    );
    // A length that is none, or more than there is.
    let (mut far, body) = binary("{}", b"");
    far.json_length = Some(9);
    let other = b"[]".to_vec();
    let compared = plain().compare(
        Whole { head: &far, body: &body },
        Whole { head: &far, body: &other },
        &About::default(),
    );
    assert_eq!(shown(&compared), "bytes at byte 0");
}

#[test]
fn streams_are_compared_by_their_bytes_or_not_at_all() {
    let compare = |media: &str, live: &str, shadow: &str| {
        let head = head("200", media);
        shown(&plain().compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        ))
    };
    let events = "data: {\"id\":\"1\",\"delta\":\"hel\"}\n\ndata: [DONE]\n\n";
    let others = "data: {\"id\":\"2\",\"delta\":\"hel\"}\n\ndata: [DONE]\n\n";
    let lines = "{\"delta\":\"hel\"}\n{\"delta\":\"lo\"}\n";
    let longer = "{\"delta\":\"hello\"}\n{\"delta\":\"\"}\n";
    for (media, live, shadow) in [
        ("text/event-stream; charset=utf-8", events, others),
        ("application/x-ndjson", lines, longer),
        ("application/jsonl", lines, longer),
        ("", lines, longer),
        ("", events, others),
    ] {
        assert_eq!(compare(media, live, shadow), format!("uncomparable: {STREAMS}"), "{media}");
        assert_eq!(compare(media, live, live), "", "{media}");
    }
    // Neither is text that happens to have lines.
    assert_eq!(compare("", "one\ntwo\n", "one\n"), "bytes at byte 4");
    assert_eq!(compare("", "{\"a\":\n1}", "{\"a\":2}"), "value at /a by 1");
    let (stream, json) = (head("200", "text/event-stream"), head("200", "application/json"));
    let compared = plain().compare(
        Whole { head: &stream, body: events.as_bytes() },
        Whole { head: &json, body: b"{}" },
        &About::default(),
    );
    assert!(shown(&compared).starts_with("content_type"));
}

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

/// How far scores are apart, for the histogram: nothing, where no two were compared.
#[test]
fn what_is_not_known_of_scores_is_not_zero() {
    let moved = |rules: &Rules, live: &str, shadow: &str| {
        let head = head("200", "application/json");
        let (a, b) = (live.as_bytes(), shadow.as_bytes());
        let (a, b) = (Whole { head: &head, body: a }, Whole { head: &head, body: b });
        rules.compare(a, b, &About::default()).moved
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

#[test]
fn the_same_bytes_are_the_same_if_they_are_read_alike() {
    let body = br#"{"id":"a"}1234"#;
    let head = |length: Option<&str>| {
        let mut lines: Vec<crate::request::Header<'_>> = vec![(b":status", b"200")];
        let length = length.map(|l| (&b"inference-header-content-length"[..], l.as_bytes()));
        lines.extend(length);
        Head::of(&lines)
    };
    let compare = |a: &Head, b: &Head| {
        let (a, b) = (Whole { head: a, body }, Whole { head: b, body });
        shown(&plain().compare(a, b, &About::default()))
    };
    assert_eq!(compare(&head(Some("10")), &head(Some("10"))), "");
    assert_eq!(compare(&head(Some("10")), &head(None)), "shape");
}

/// Every row of the page's table, by the settings in it.
#[test]
fn the_page_tells_the_truth() {
    let page = include_str!("../../../../docs/comparison.md");
    let rows: Vec<&str> =
        page.lines().skip_while(|l| !l.starts_with("| server |")).skip(2).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" |").map(str::trim).collect();
        let [server, live, shadow, compare, verdict] = cells[..] else { panic!("{row}") };
        let [live, shadow] = [live, shadow].map(|cell| cell.trim_matches('`'));
        let compare = Some(compare.trim_matches('`')).filter(|c| !c.is_empty()).unwrap_or("{}");
        let shadows = crate::shadow::settings::tests::shadows(&format!(
            r#"[{{"name": "a", "models": ["*"], "cluster": "c", "compare": {compare}}}]"#
        ));
        let json = head("200", "application/json");
        let compared = shadows.get(0).unwrap().compare.compare(
            Whole { head: &json, body: live.as_bytes() },
            Whole { head: &json, body: shadow.as_bytes() },
            &About::default(),
        );
        let found = match compared.verdict {
            Verdict::Matched => "matched".to_owned(),
            Verdict::Mismatched(report) => {
                report.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
            }
            Verdict::Uncomparable(_) => "uncomparable".to_owned(),
        };
        assert_eq!(found, verdict, "{server}: {live}");
    }
    assert!(rows.len() > 20);
}
