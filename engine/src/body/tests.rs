//! What is read of bodies, however they are cut into chunks.

use super::*;
use crate::request::{Attributes, Header, NoHost};

/// What a body gives in chunks of this length: the model that was known before the end, and the end.
fn read(body: &[u8], chunk: usize) -> (Option<String>, Result<String, &'static str>) {
    let mut reader = ModelReader::default();
    for chunk in body.chunks(chunk) {
        if let Err(refusal) = reader.read(chunk) {
            return (reader.model().map(str::to_owned), Err(refusal.reason));
        }
    }
    let model = reader.model().map(str::to_owned);
    (model, reader.finish().map(str::to_owned).map_err(|refusal| refusal.reason))
}

/// The same for every length of chunks.
fn model(body: impl AsRef<[u8]>) -> Result<String, &'static str> {
    let body = body.as_ref();
    let (_, whole) = read(body, body.len().max(1));
    for chunk in [1, 2, 3, 5, 7, 8, 9, 16, 31] {
        assert_eq!(read(body, chunk).1, whole, "{} by {chunk}", body.escape_ascii());
    }
    whole
}

#[test]
fn the_model_is_the_top_level_member() {
    for (body, is) in [
        (r#"{"model":"gpt-oss:20b"}"#, "gpt-oss:20b"),
        (" \t\r\n{ \"model\" : \"a\" } \n", "a"),
        (
            r#"{"messages":[{"role":"user","content":"hi"}],"model":"meta-llama/Llama-3.1-8B-Instruct"}"#,
            "meta-llama/Llama-3.1-8B-Instruct",
        ),
        (r#"{"model":"a","stream":true,"n":1,"seed":null,"top_p":1.0e-3}"#, "a"),
        (r#"{"a":{"model":"inner"},"model":"outer"}"#, "outer"),
        (r#"{"a":[{"model":"inner"}],"model":"outer","b":{"model":1}}"#, "outer"),
        (r#"{"a":"\"model\":\"x\"","model":"outer"}"#, "outer"),
        (r#"{"a":"\\","model":"outer"}"#, "outer"),
        (r#"{"mod\u0065l":"a"}"#, "a"),
        (r#"{"\u006d\u006F\u0064\u0065\u006c":"a\/b\"c"}"#, "a/b\"c"),
        (r#"{"modalities":["x"],"mode":"y","model":"a","adapt":"z","lor":1}"#, "a"),
        (r#"{"model":"\u00e9\ud83d\ude00é😀"}"#, "é😀é😀"),
        (r#"{"a":NaN,"b":-Infinity,"model":"a"}"#, "a"),
        (r#"{"a":"\ud800 alone","model":"a"}"#, "a"),
        (r#"{"model":"a","x":{}}"#, "a"),
        (r#"{"model":"a","x":[]}"#, "a"),
        (r#"{"x":[[],{}],"model":"a"}"#, "a"),
    ] {
        assert_eq!(model(body).as_deref(), Ok(is), "{body}");
    }
}

#[test]
fn what_readers_take_in_different_ways_is_refused() {
    let twice = "the body names a model twice";
    let alike = "the body has a member that servers may take for model";
    let not_json = "the body is not a JSON object";
    let early = "the body ends before its JSON does";
    let none = "the body names no model";
    let no_name = "the body's model is not a name: text of 1 to 256 bytes, with no comma and no empty or dot segment";
    for (body, why) in [
        (r#"{"model":"a","model":"b"}"#, twice),
        (r#"{"model":"a","model":"a"}"#, twice),
        (r#"{"model":"a","x":[1,{"y":2}],"m\u006fdel":"b"}"#, twice),
        (r#"{"model":"a","model":1}"#, twice),
        (r#"{"Model":"a"}"#, alike),
        (r#"{"model":"a","MODEL":"b"}"#, alike),
        (r#"{"model":"a","M\u006fdel":"b"}"#, alike),
        (r#"{"model\u0000":"b","model":"a"}"#, alike),
        (r#"{"\u0000model":"b","model":"a"}"#, alike),
        (r#"{"model":1}"#, no_name),
        (r#"{"model":null}"#, no_name),
        (r#"{"model":["a"]}"#, no_name),
        (r#"{"model":{"a":"b"}}"#, no_name),
        (r#"{"model":""}"#, no_name),
        (r#"{"model":"a\u0000"}"#, no_name),
        (r#"{"model":"a\nb"}"#, no_name),
        (r#"{"model":"a\u007f"}"#, no_name),
        (r#"{"model":"\ud83d"}"#, not_json),
        (r#"{"model":"\ud83dx"}"#, not_json),
        (r#"{"model":"\ude00"}"#, not_json),
        (r#"{"model":"\ud83d\n"}"#, not_json),
        (r#"{"\ud83d":1,"model":"a"}"#, not_json),
        ("{}", none),
        (r#"{"a":{"model":"b"}}"#, none),
        ("", early),
        ("  ", early),
        ("{", early),
        (r#"{"model":"a""#, early),
        (r#"{"model":"a","#, early),
        (r#"{"model":"a"#, early),
        (r#"{"model":"a","x":[{}"#, early),
        (r#"["model"]"#, not_json),
        (r#""model""#, not_json),
        ("null", not_json),
        ("model=a", not_json),
        (r#"{"model":"a",}"#, not_json),
        (r#"{,"model":"a"}"#, not_json),
        (r#"{"model" "a"}"#, not_json),
        (r#"{"model"::"a"}"#, no_name),
        (r#"{"x":1 2,"model":"a"}"#, not_json),
        (r#"{"x":"y" "model":"a"}"#, not_json),
        (r#"{"model":"a"}{"model":"b"}"#, not_json),
        (r#"{"model":"a"}x"#, not_json),
        (r#"{"model":"a"}}"#, not_json),
        (r#"{"x":[}],"model":"a"}"#, not_json),
        (r#"{"x":{]},"model":"a"}"#, not_json),
        (r#"{'model':'a'}"#, not_json),
        (r#"{model:"a"}"#, not_json),
        (r#"{/*"model":"b",*/"model":"a"}"#, not_json),
        (
            r#"{"x":[1,//"
            2],"model":"a"}"#,
            not_json,
        ),
        ("{\"x\":[1 # \"\n],\"model\":\"a\"}", not_json),
        (r#"{"x":"\x41","model":"a"}"#, not_json),
        (r#"{"x":"\u00g0","model":"a"}"#, not_json),
        ("{\"x\":\"a\nb\",\"model\":\"a\"}", not_json),
        ("{\"x\":\"a\0b\",\"model\":\"a\"}", not_json),
        ("\u{feff}{\"model\":\"a\"}", not_json),
    ] {
        assert_eq!(model(body), Err(why), "{body}");
    }
    // UTF-16, with and without its mark, and bytes that are no UTF-8.
    let utf_16 = |mark: &[u8]| {
        let units = r#"{"model":"a"}"#.encode_utf16().flat_map(u16::to_le_bytes);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    assert_eq!(model(utf_16(b"")), Err(not_json));
    assert_eq!(model(utf_16(b"\xff\xfe")), Err(not_json));
    assert_eq!(model(b"{\"model\":\"a\xff\"}"), Err(no_name));
    assert_eq!(model(b"{\"x\":\"\xff\",\"model\":\"a\"}").as_deref(), Ok("a"));
}

#[test]
fn names_have_256_bytes_at_most() {
    let long = |length: usize| model(format!(r#"{{"model":"{}"}}"#, "x".repeat(length)));
    assert_eq!(long(256).as_deref(), Ok(&*"x".repeat(256)));
    assert!(long(257).is_err());
    assert!(long(100_000).is_err());
}

#[test]
fn lists_and_objects_lie_128_deep_at_most() {
    let deep = |depth: usize| {
        model(format!(r#"{{"x":{}{},"model":"a"}}"#, "[".repeat(depth), "]".repeat(depth)))
    };
    assert_eq!(deep(127).as_deref(), Ok("a"));
    assert_eq!(deep(128), Err("the body's JSON is nested too deeply"));
}

#[test]
fn the_model_is_known_before_the_rest_has_come() {
    let mut reader = ModelReader::default();
    reader.read(br#"{"model":"a"#).unwrap();
    assert_eq!(reader.model(), None);
    reader.read(br#"b","messages":[{"content":"#).unwrap();
    assert_eq!(reader.model(), Some("ab"));
    assert!(reader.finish().is_err());
    assert!(reader.read(br#""x"}],"model":"c"}"#).is_err());
}

#[test]
fn what_is_read_is_what_serde_reads() {
    use proptest::prelude::*;
    // Pieces of which some make JSON, and most do not.
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\"model\""),
        Just("\"a\""),
        Just("\"\\u006dodel\""),
        Just("\"b\\n\""),
        Just(" "),
        Just("1"),
        Just("null"),
        Just("\"model\":\"x\""),
        Just("\"k\":1,"),
        Just("{\"model\":\"y\"}"),
        Just("\"Model\":2"),
        Just("\\"),
        Just("\""),
    ];
    let body = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    let mut runner = proptest::test_runner::TestRunner::default();
    let test = |body: String| {
        for body in [body.clone(), format!("{{{body}}}")] {
            let Ok(model) = model(&body) else { continue };
            // A scalar or a list may be wrong inside: then every server refuses the body.
            if let Ok(read) = serde_json::from_str::<serde_json::Value>(&body) {
                prop_assert_eq!(read.get("model").and_then(|m| m.as_str()), Some(&*model));
            }
        }
        Ok(())
    };
    runner.run(&body, test).unwrap();
}

#[test]
fn only_plain_json_is_read() {
    let check = |headers: &[Header<'_>]| {
        check_head(&Request::new(headers, &Attributes::new(&NoHost))).is_ok()
    };
    let typed = |kind: &str| check(&[(b"content-type", kind.as_bytes())]);
    assert!(check(&[]));
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"] {
        assert!(typed(kind), "{kind}");
    }
    for kind in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json,multipart/form-data; boundary=x",
        "application/json; a=b, text/plain",
        "application/jsonl",
        "application",
    ] {
        assert!(!typed(kind), "{kind}");
    }
    assert!(!check(&[(b"content-type", b"application/json"), (b"content-type", b"text/plain")]));
    assert!(check(&[(b"content-encoding", b"identity")]));
    assert!(!check(&[(b"content-encoding", b"gzip")]));
    assert!(!check(&[(b"content-encoding", b"identity, gzip")]));
}
