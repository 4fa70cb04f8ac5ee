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
