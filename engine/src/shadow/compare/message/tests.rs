//! Messages as servers encode them, against the JSON that the same servers would write.

use super::*;
use proptest::prelude::*;

/// A field that holds bytes, with its length.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    let mut length = content.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(content);
    out
}

/// A field that holds a small number.
fn small(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn output(name: &str, datatype: &str, shape: &[u8], more: &[u8]) -> Vec<u8> {
    let parts =
        [bytes(1, name.as_bytes()), bytes(2, datatype.as_bytes()), bytes(3, shape), more.to_vec()];
    bytes(5, &parts.concat())
}

/// As JSON text, for comparison with what a server writes.
fn shown(json: &Json<'_>) -> String {
    match json {
        Json::Null => "null".into(),
        Json::Bool(set) => set.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(","))
        }
        Json::Object(members) => {
            let member = |(name, value): &(Cow<'_, [u8]>, Json<'_>)| {
                format!("{:?}:{}", String::from_utf8_lossy(name), shown(value))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
    }
}

fn read(message: Message, bytes: &[u8]) -> String {
    message
        .read(bytes, &mut Steps::default())
        .map_or_else(|unread| format!("{unread:?}"), |json| shown(&json))
}

#[test]
fn typed_and_raw_contents_are_the_same() {
    let doubles: Vec<u8> = [0.25f64, 0.75].iter().flat_map(|n| n.to_le_bytes()).collect();
    let singles: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let strings = b"\x03\0\0\0abc\0\0\0\0";
    let head = bytes(1, b"iris");
    let typed = [
        head.clone(),
        output("p", "FP64", &[1, 2], &bytes(5, &bytes(7, &doubles))),
        output("q", "FP32", &[2], &bytes(5, &bytes(6, &singles))),
        output("s", "BYTES", &[2], &bytes(5, &[bytes(8, b"abc"), bytes(8, b"")].concat())),
    ];
    let raw = [
        head,
        output("p", "FP64", &[1, 2], &[]),
        output("q", "FP32", &[2], &[]),
        output("s", "BYTES", &[2], &[]),
        bytes(6, &doubles),
        bytes(6, &singles),
        bytes(6, strings),
    ];
    let expected = r#"{"model_name":"iris","outputs":[{"data":[0.25,0.75],"datatype":"FP64","name":"p","shape":[1,2]},{"data":[0.5,-2],"datatype":"FP32","name":"q","shape":[2]},{"data":["abc",""],"datatype":"BYTES","name":"s","shape":[2]}]}"#;
    assert_eq!(read(Message::ModelInferResponse, &typed.concat()), expected);
    assert_eq!(read(Message::ModelInferResponse, &raw.concat()), expected);
}

#[test]
fn every_raw_datatype() {
    for (datatype, raw, expected) in [
        ("BOOL", &[1u8, 0][..], "[true,false]"),
        ("INT8", &[0xff], "[-1]"),
        ("INT16", &[0xfe, 0xff], "[-2]"),
        ("INT32", &[5, 0, 0, 0x80], "[-2147483643]"),
        ("INT64", &[7, 0, 0, 0, 0, 0, 0, 0], "[7]"),
        ("UINT8", &[0xff], "[255]"),
        ("UINT16", &[1, 1], "[257]"),
        ("UINT32", &[0, 0, 0, 0x80], "[2147483648]"),
        ("UINT64", &[0xff; 8], "[18446744073709551615]"),
        // 1, -2, the smallest there is, infinity.
        ("FP16", &[0, 0x3c, 0, 0xc0, 1, 0, 0, 0x7c], "[1,-2,0.00000005960464477539063,inf]"),
        ("BF16", &[0x80, 0x3f], "[1]"),
        ("FP16", &[0], "Malformed"),
        ("BYTES", &[9, 0, 0, 0, b'a'], "Malformed"),
        ("COMPLEX", &[1], "Malformed"),
    ] {
        let message = [output("o", datatype, &[1], &[]), bytes(6, raw)].concat();
        let read = read(Message::ModelInferResponse, &message);
        assert!(read.contains(expected), "{datatype} {raw:?}: {read}");
    }
}

#[test]
fn seldon_messages() {
    let numbers: Vec<u8> = [0.1f64, 0.9].iter().flat_map(|n| n.to_le_bytes()).collect();
    let number = |n: f64| [vec![(2 << 3) | 1], n.to_le_bytes().to_vec()].concat();
    let tensor = [bytes(1, &[1, 2]), bytes(2, &numbers)].concat();
    let meta = [
        bytes(1, b"puid"),
        bytes(4, &[bytes(1, b"iris"), bytes(2, b"image:1")].concat()),
        bytes(3, &bytes(1, b"router")),
    ];
    let row = bytes(1, &bytes(6, &[bytes(1, &number(1.5)), bytes(1, &bytes(3, b"x"))].concat()));
    for (message, expected) in [
        (
            [
                bytes(2, &meta.concat()),
                bytes(3, &[bytes(1, b"a"), bytes(1, b"b"), bytes(2, &tensor)].concat()),
            ]
            .concat(),
            r#"{"data":{"names":["a","b"],"tensor":{"shape":[1,2],"values":[0.1,0.9]}},"meta":{"puid":"puid","requestPath":{"iris":"image:1"},"routing":{"router":0}}}"#,
        ),
        (bytes(3, &bytes(3, &row)), r#"{"data":{"ndarray":[[1.5,"x"]]}}"#),
        (bytes(5, b""), r#"{"strData":""}"#),
        (
            bytes(6, &bytes(5, &bytes(1, &[bytes(1, b"k"), bytes(2, &small(4, 1))].concat()))),
            r#"{"jsonData":{"k":true}}"#,
        ),
        (bytes(1, &[small(1, 7), small(4, 0)].concat()), r#"{"status":{"code":7}}"#),
        // A field of a later version is not passed over.
        (small(9, 3), r#"{"9:0":["3"]}"#),
        (vec![0x0b], "Malformed"),
        (small(3, 1), "Malformed"),
    ] {
        assert_eq!(read(Message::SeldonMessage, &message), expected);
    }
}

#[test]
fn unknown_fields_are_kept_each() {
    for (message, expected) in [
        (bytes(7, b"a"), r#"{"7:2":["a"]}"#),
        (
            [bytes(7, b"a"), small(8, 1), bytes(7, b"b")].concat(),
            r#"{"7:2":["a","b"],"8:0":["1"]}"#,
        ),
        (
            [
                small(7, 1),
                vec![7 << 3 | 5, b'1', 0, 0, 0],
                [&[7 << 3 | 1][..], b"12345678"].concat(),
            ]
            .concat(),
            r#"{"7:0":["1"],"7:1":["12345678"],"7:5":["1\0\0\0"]}"#,
        ),
        (
            bytes(4, &[bytes(1, b"k"), bytes(2, &bytes(9, b"x"))].concat()),
            r#"{"parameters":{"k":{"9:2":"x"}}}"#,
        ),
        // Of text that is there twice readers take the last one.
        ([bytes(3, b"a"), bytes(3, b"b")].concat(), r#"{"id":"b"}"#),
    ] {
        assert_eq!(read(Message::ModelInferResponse, &message), expected);
    }
}

/// Readers merge them, or take the one or the other.
#[test]
fn messages_in_parts_are_not_read() {
    let parameter = |value: &[Vec<u8>]| {
        let value: Vec<u8> = value.iter().flat_map(|value| bytes(2, value)).collect();
        bytes(4, &[bytes(1, b"k"), value].concat())
    };
    let content = bytes(5, &bytes(3, &[1]));
    let list = bytes(1, &bytes(3, b"x"));
    for (message, parts) in [
        (Message::ModelInferResponse, output("o", "INT64", &[2], &content.repeat(2))),
        (Message::ModelInferResponse, parameter(&[[bytes(9, b"cat"), bytes(3, b"x")].concat()])),
        (Message::ModelInferResponse, parameter(&[bytes(3, b"cat"), bytes(3, b"x")])),
        (Message::SeldonMessage, bytes(3, &bytes(1, b"x")).repeat(2)),
        (Message::SeldonMessage, bytes(2, &bytes(1, b"x")).repeat(2)),
        (Message::SeldonMessage, bytes(3, &bytes(3, &list).repeat(2))),
        (Message::SeldonMessage, bytes(3, &bytes(4, b"").repeat(2))),
        (Message::SeldonMessage, bytes(6, b"").repeat(2)),
        (Message::SeldonMessage, bytes(6, &bytes(6, &list).repeat(2))),
        (Message::PredictResponse, bytes(2, b"").repeat(2)),
    ] {
        assert_eq!(read(message, &parts), "TooComplex", "{parts:?}");
    }
}

#[test]
fn tensorflows_messages() {
    let singles: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let shape = bytes(2, &[bytes(2, &small(1, 1)), bytes(2, &small(1, 2))].concat());
    let tensor = |data: Vec<u8>| [small(1, 1), shape.clone(), data].concat();
    let named =
        |name: &[u8], tensor: Vec<u8>| bytes(1, &[bytes(1, name), bytes(2, &tensor)].concat());
    let spec = bytes(2, &[bytes(1, b"iris"), bytes(2, &small(1, 7))].concat());
    let of = |list: &str| {
        format!(
            r#"{{"outputs":{{"a":{{"dtype":"FP32",{list}"tensorShape":{{"dim":[{{"size":1}},{{"size":2}}]}}}}}},"modelSpec":{{"name":"iris","version":{{"value":7}}}}}}"#
        )
    };
    let sorted = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        value.to_string()
    };
    for (field, list) in [(5, r#""floatVal":[0.5,-2],"#), (4, r#""tensorContent":[0.5,-2],"#)] {
        let message = [named(b"a", tensor(bytes(field, &singles))), spec.clone()].concat();
        assert_eq!(sorted(&read(Message::PredictResponse, &message)), sorted(&of(list)));
    }
}

#[test]
fn what_does_not_fit_together_is_no_message() {
    for message in [
        bytes(6, b"1"),
        [output("a", "BOOL", &[1], &[]), bytes(6, b"1"), bytes(6, b"1")].concat(),
        [output("a", "BOOL", &[1], &bytes(5, &small(1, 1))), bytes(6, b"1")].concat(),
    ] {
        assert_eq!(
            Message::ModelInferResponse.read(&message, &mut Steps::default()),
            Err(Unread::Malformed)
        );
    }
}

#[test]
fn is_bounded() {
    let mut deep = bytes(3, b"x");
    for _ in 0..100 {
        deep = bytes(6, &bytes(1, &deep));
    }
    assert_eq!(
        Message::SeldonMessage.read(&bytes(6, &deep), &mut Steps::default()),
        Err(Unread::TooComplex)
    );
    let wide = bytes(2, &vec![0; 8 * (1 + MAX_VALUES as usize)]);
    let wide = bytes(3, &bytes(2, &wide));
    assert_eq!(Message::SeldonMessage.read(&wide, &mut Steps::default()), Err(Unread::TooComplex));
}

#[test]
fn paths_name_messages() {
    for (path, message) in [
        ("/inference.GRPCInferenceService/ModelInfer", Some(Message::ModelInferResponse)),
        ("/inference.GRPCInferenceService/ModelMetadata", None),
        ("/seldon.protos.Seldon/Predict", Some(Message::SeldonMessage)),
        ("/seldon.protos.Model/Predict", Some(Message::SeldonMessage)),
        ("/seldon.protos.Model/Predict?a=/b", Some(Message::SeldonMessage)),
        ("/seldon.protos.Seldon/ModelMetadata", None),
        ("/tensorflow.serving.PredictionService/Predict", Some(Message::PredictResponse)),
        ("/tensorflow.serving.PredictionService/Classify", None),
        ("/tensorflow.serving.PredictionService/MultiInference", None),
        ("/api/v1.0/predictions", None),
    ] {
        assert_eq!(Message::of_path(path.as_bytes()), message, "{path}");
    }
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
        let _ = Message::ModelInferResponse.read(&bytes, &mut Steps::default());
        let _ = Message::SeldonMessage.read(&bytes, &mut Steps::default());
        let _ = Message::PredictResponse.read(&bytes, &mut Steps::default());
        let _ = unary(&bytes);
    }
}
