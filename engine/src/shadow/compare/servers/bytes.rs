//! Messages, tensors in their binary form, and streams.

use super::*;

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

/// The verdict on two messages of gRPC, by the method.
fn by_grpc(rules: &Rules, method: &str, live: &[u8], shadow: &[u8]) -> String {
    let mut head = head("200", "application/grpc");
    head.grpc_status = Some(0);
    let about = About { message: Message::of_path(method.as_bytes()), ..About::default() };
    let frame = |message: &[u8]| {
        [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    };
    let (live, shadow) = (frame(live), frame(shadow));
    shown(&rules.compare(
        Whole { head: &head, body: &live },
        Whole { head: &head, body: &shadow },
        &about,
    ))
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

#[test]
fn tensorflows_messages_are_compared_by_value() {
    const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";
    let spec = |version: u8| field(2, &[field(1, b"iris"), field(2, &[8, version])].concat());
    let tensor = |number: u8, datatype: u8, data: &[u8]| {
        let shape = field(2, &[field(2, &[8, 1]), field(2, &[8, 2])].concat());
        [&[8, datatype][..], &shape, &field(number, data)].concat()
    };
    let named = |name: &str, tensor: &[u8]| {
        field(1, &[field(1, name.as_bytes()), field(2, tensor)].concat())
    };
    let floats = |number: u8, a: f32, b: f32| {
        tensor(number, 1, &[a.to_le_bytes(), b.to_le_bytes()].concat())
    };
    let one = floats(5, 0.52, 0.48);
    let two = named("b", &tensor(10, 9, &[7, 8]));
    let answer = |a: &[u8], version| [&named("a", a)[..], &two, &spec(version)].concat();
    let live = answer(&one, 1);
    let predict = |rules: &Rules, shadow: &[u8]| by_grpc(rules, PREDICT, &live, shadow);
    assert_eq!(predict(&plain(), &answer(&one, 2)), "");
    assert_eq!(predict(&plain(), &[&spec(1)[..], &two, &named("a", &one)].concat()), "");
    let compare = Rules { volatile: None, ..plain() };
    assert_eq!(predict(&compare, &answer(&one, 2)), "value at /modelSpec/version/value by 1");
    assert_eq!(predict(&within(0.1), &answer(&floats(5, 0.53, 0.47), 1)), "");
    assert_eq!(
        predict(&within(0.1), &answer(&floats(5, 0.48, 0.52), 1)),
        "class at /outputs/a/floatVal/0 by 0.04"
    );
    let content = |a, b| answer(&floats(4, a, b), 1);
    assert_eq!(
        by_grpc(&within(0.1), PREDICT, &content(0.52, 0.48), &content(0.48, 0.52)),
        "class at /outputs/a/tensorContent/0 by 0.04"
    );
    let other = named("b", &tensor(10, 9, &[7, 9]));
    assert_eq!(
        predict(&within(2.0), &[&named("a", &one)[..], &other, &spec(1)].concat()),
        "class at /outputs/b/int64Val/1 by 1"
    );
    // Boxes by the name of the output.
    let boxes = |a, b| named("detection_boxes", &floats(5, a, b));
    assert_eq!(by_grpc(&within(0.1), PREDICT, &boxes(0.52, 0.48), &boxes(0.48, 0.52)), "");
    let columns = |list: &str| format!(r#"{{"outputs":{{"detection_boxes":{list}}}}}"#);
    assert_eq!(line(&within(0.1), &columns("[[0.52,0.48]]"), &columns("[[0.48,0.52]]")), "");
    // Seldon's, by gRPC and by REST, where JSON has text for wide numbers.
    let seldon = |a: f32, b: f32| field(3, &field(4, &floats(5, a, b)));
    assert_eq!(
        by_grpc(
            &within(0.1),
            "/seldon.protos.Seldon/Predict",
            &seldon(0.52, 0.48),
            &seldon(0.48, 0.52)
        ),
        "class at /data/tftensor/floatVal/0 by 0.04"
    );
    assert_eq!(
        by_grpc(
            &within(0.1),
            "/seldon.protos.Seldon/Predict",
            &seldon(0.52, 0.48),
            &seldon(0.53, 0.47)
        ),
        ""
    );
    let rest = |rows: &str, values: &str| {
        format!(
            r#"{{"data":{{"names":[],"tftensor":{{"dtype":"DT_FLOAT","tensorShape":{{"dim":[{{"size":"{rows}"}},{{"size":"2"}}]}},"floatVal":{values}}}}},"meta":{{}}}}"#
        )
    };
    for (rows, live, shadow, expected) in [
        ("1", "[0.52,0.48]", "[0.48,0.52]", "class at /data/tftensor/floatVal/0 by 0.04"),
        ("1", "[0.52,0.48]", "[0.53,0.47]", ""),
        (
            "2",
            "[9.5,9.0,0.52,0.48]",
            "[9.5,9.0,0.48,0.52]",
            "class at /data/tftensor/floatVal/2 by 0.04",
        ),
    ] {
        assert_eq!(line(&within(0.1), &rest(rows, live), &rest(rows, shadow)), expected);
    }
    assert_eq!(
        line(&plain(), &rest("1", "[0.52,0.48]"), &rest("2", "[0.52,0.48]")),
        "shape at /data/tftensor/tensorShape/dim/0/size"
    );
}

/// One message may be written in different bytes, so that bytes that differ say nothing.
#[test]
fn messages_that_are_not_read_are_not_compared() {
    const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
    let unread = format!("uncomparable: {}", Unreadable::Messages.as_str());
    let (a, b) = (field(1, b"cat"), field(1, b"dog"));
    for method in ["/own.Service/Predict", "/tensorflow.serving.PredictionService/Classify"] {
        assert_eq!(by_grpc(&plain(), method, &a, &b), unread);
        assert_eq!(by_grpc(&plain(), method, &a, &a), "");
    }
    assert_eq!(by_grpc(&plain(), INFER, &[0x0b], &[0x0c]), unread, "neither can be read");
    assert_eq!(by_grpc(&plain(), INFER, &a, &[0x0c]), "shape", "one of them can");
    let head = head("200", "application/grpc");
    let about = About { message: Some(Message::ModelInferResponse), ..About::default() };
    for (live, shadow, expected) in [
        (&b"\0\0\0\0\0"[..], &b""[..], "shape"),
        (b"", b"\0\0\0\0\0", "shape"),
        (b"\0\0\0\0\0\0\0\0\0\0", b"", &unread),
    ] {
        let (live, shadow) =
            (Whole { head: &head, body: live }, Whole { head: &head, body: shadow });
        assert_eq!(shown(&plain().compare(live, shadow, &about)), expected);
    }
    let data = |first: &[u8]| [field(3, &field(1, first)), field(3, &field(1, b"x"))].concat();
    assert_eq!(
        by_grpc(&plain(), "/seldon.protos.Seldon/Predict", &data(b"cat"), &data(b"dog")),
        "uncomparable: they have too many values, levels or parts"
    );
    for media in ["application/x-protobuf", "application/grpc-web+proto", "application/proto"] {
        let head = super::head("200", media);
        let (live, shadow) = (Whole { head: &head, body: &a }, Whole { head: &head, body: &b });
        assert_eq!(shown(&plain().compare(live, shadow, &About::default())), unread, "{media}");
    }
    // What the messages do not have is compared, each by itself.
    for (live, shadow, expected) in [
        (
            [field(7, b"cat"), field(7, b"same")],
            [field(7, b"dog"), field(7, b"same")],
            "value at /7:2/0",
        ),
        ([field(7, b"cat"), field(7, b"same")], [field(7, b"same"), vec![]], "shape at /7:2 by 1"),
        (
            [vec![7 << 3, 1], vec![]],
            [vec![7 << 3 | 5, 1, 0, 0, 0], vec![]],
            "missing at /7:0; extra at /7:5",
        ),
        (
            [field(5, &[field(1, b"o"), field(9, b"cat"), field(9, b"x")].concat()), vec![]],
            [field(5, &[field(1, b"o"), field(9, b"dog"), field(9, b"x")].concat()), vec![]],
            "value at /outputs/0/9:2/0",
        ),
        ([vec![7 << 3, 1], vec![]], [vec![7 << 3, 2], vec![]], "value at /7:0/0"),
    ] {
        assert_eq!(by_grpc(&within(9.0), INFER, &live.concat(), &shadow.concat()), expected);
    }
}

#[test]
fn nested_and_flat_tensors_without_order_agree() {
    let unordered = Rules { show_values: false, ..rules(&[], &["/outputs/*/data"]) };
    let nested = oip("FP32", "[2,2]", "[[0.1,0.9],[0.8,0.2]]");
    let flat = |data: &str| oip("FP32", "[2,2]", data);
    assert_eq!(line(&unordered, &nested, &flat("[0.8,0.2,0.1,0.9]")), "");
    assert_eq!(line(&unordered, &flat("[0.8,0.2,0.1,0.9]"), &nested), "");
    assert_eq!(
        line(&unordered, &nested, &flat("[0.8,0.2,0.1,0.7]")),
        "missing at /outputs/0/data/1; extra at /outputs/0/data/3"
    );
    assert_eq!(line(&unordered, &nested, &flat("[[0.8,0.2],[0.1,0.9]]")), "");
    assert_eq!(
        line(
            &unordered,
            &oip("FP32", "[3]", "[[0.1],[0.2],[0.3]]"),
            &oip("FP32", "[3]", "[0.1,0.2,0.3]")
        ),
        "shape at /outputs/0/data"
    );
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
        ("application/jsonlines", lines, longer),
        ("application/x-jsonlines", lines, longer),
        ("application/x-jsonl", lines, longer),
        ("application/json-seq", lines, longer),
        ("", lines, longer),
        ("", events, others),
    ] {
        let streams = format!("uncomparable: {}", Unreadable::Streams.as_str());
        assert_eq!(compare(media, live, shadow), streams, "{media}");
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
