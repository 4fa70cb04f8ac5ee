//! Which requests have answers that can be compared: not those that ask for streams of events, other protocols,
//! or heads without bodies.

use crate::request::Header;

/// Whether these header lines ask for an answer that says nothing about the model: a stream of events, another
/// protocol, or what `HEAD` and `OPTIONS` get. Two empty answers agree whatever the models are.
pub fn is_uncomparable(lines: &[Header<'_>]) -> bool {
    lines.iter().any(|(name, value)| match *name {
        b"accept" => is_accepted(value),
        b"upgrade" | b":protocol" => true,
        b":method" => matches!(*value, b"HEAD" | b"OPTIONS"),
        _ => false,
    })
}

/// Whether an `accept` header asks for events (RFC 9110 §12.5.1): `q=0` says the reverse.
fn is_accepted(accept: &[u8]) -> bool {
    accept.split(|c| *c == b',').any(|range| {
        let mut parts = range.split(|c| *c == b';').map(<[u8]>::trim_ascii);
        parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
            && !parts.any(is_unwanted)
    })
}

/// `q=0`, `q=0.0` and so on.
fn is_unwanted(parameter: &[u8]) -> bool {
    let weight = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|w| w.starts_with(b"0") && w.iter().all(|c| matches!(c, b'0' | b'.')))
}

/// Whether a body is a JSON object whose own member `stream` is set: so the OpenAI API, and KServe's and
/// others after it, ask for a stream, whatever the headers say. One pass; what is not JSON asks for
/// nothing.
pub fn asks_for_stream(body: &[u8]) -> bool {
    let mut rest = body.trim_ascii_start();
    if rest.first() != Some(&b'{') {
        return false;
    }
    let mut depth = 0usize;
    let mut asked = false;
    // The string before, where it stands in the object itself.
    let mut before: Option<&[u8]> = None;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let (text, tail) = string(rest);
                (before, rest) = (Some(text).filter(|_| depth == 1), tail);
                continue;
            }
            // The last of several counts, as for most readers.
            b':' if before.is_some_and(|name| spells(name, b"stream", |c| c)) => {
                asked = is_set(rest.trim_ascii_start());
            }
            _ => {}
        }
        if !first.is_ascii_whitespace() {
            before = None;
        }
    }
    asked
}

/// Whether a text begins with a value that servers take for true. Servers in Python declare a boolean, and
/// pydantic makes one of these in its lax mode, which is the usual one; others refuse all but `true`, or
/// answer as if it were not there, and then nothing is lost but a comparison.
fn is_set(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"true", b"1", b"t", b"y", b"yes", b"on"];
    if let Some(text) = value.strip_prefix(b"\"") {
        let (text, _) = string(text);
        return WORDS.iter().any(|word| spells(text, word, |c| c.to_ascii_lowercase()));
    }
    let is_number = |c: &u8| c.is_ascii_digit() || b"+-.eE".contains(c);
    let number = value.split(|c| !is_number(c)).next().unwrap_or_default();
    value.starts_with(b"true")
        || std::str::from_utf8(number).is_ok_and(|number| number.parse() == Ok(1.0f64))
}

/// The text of a string up to its closing quote, as it is written, and what follows.
fn string(text: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = text.iter().position(|c| {
        let closes = *c == b'"' && !escaped;
        escaped = *c == b'\\' && !escaped;
        closes
    });
    let (text, tail) = end.and_then(|end| text.split_at_checked(end)).unwrap_or((text, b""));
    (text, tail.get(1..).unwrap_or_default())
}

/// Whether a string as it is written, escapes included, says this word, each letter read by `read`.
fn spells(mut text: &[u8], word: &[u8], read: fn(u8) -> u8) -> bool {
    word.iter().all(|letter| take_letter(&mut text).map(read) == Some(*letter)) && text.is_empty()
}

/// Takes a letter from the front, as it is or as `\u` and its number: JSON has no other way to write one.
fn take_letter(text: &mut &[u8]) -> Option<u8> {
    let (letter, rest) = match *text {
        [b'\\', b'u', b'0', b'0', high, low, rest @ ..] => {
            ((digit(*high)? << 4) | digit(*low)?, rest)
        }
        [b'\\', ..] => return None,
        [letter, rest @ ..] => (*letter, rest),
        [] => return None,
    };
    *text = rest;
    Some(letter)
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_ask_for_a_stream() {
        for (body, expected) in [
            (r#"{"stream":true}"#, true),
            (" \n{ \"model\" : \"m\" , \"stream\" : true , \"n\": 1}", true),
            (r#"{"messages":[{"role":"user","content":"}]\"{\\"}],"stream":true}"#, true),
            (r#"{"s\u0074ream":true}"#, true),
            (r#"{"\u0073\u0074\u0072\u0065\u0061\u006d":true}"#, true),
            (r#"{"strea\u006D":true}"#, true),
            (r#"{"strea\u016d":true}"#, false),
            (r#"{"strea\u006":true}"#, false),
            (r#"{"strea\n":true}"#, false),
            (r#"{"streamm":true}"#, false),
            (r#"{"stream":false,"stream":true}"#, true),
            (r#"{"stream":true,"stream":false}"#, false),
            (r#"{"stream":false}"#, false),
            (r#"{"stream":null}"#, false),
            // What pydantic makes a boolean of.
            (r#"{"stream":"true"}"#, true),
            (r#"{"stream":"True"}"#, true),
            (r#"{"stream":"YES"}"#, true),
            (r#"{"stream":"on"}"#, true),
            (r#"{"stream":"y"}"#, true),
            (r#"{"stream":"t"}"#, true),
            (r#"{"stream": "1" }"#, true),
            (r#"{"stream":"\u0074r\u0055e"}"#, true),
            (r#"{"stream":1}"#, true),
            (r#"{"stream": 1.0,"n":1}"#, true),
            (r#"{"stream":10e-1}"#, true),
            (r#"{"stream":0}"#, false),
            (r#"{"stream":1,"stream":0}"#, false),
            (r#"{"stream":11}"#, false),
            (r#"{"stream":-1}"#, false),
            (r#"{"stream":2}"#, false),
            (r#"{"stream":"false"}"#, false),
            (r#"{"stream":"off"}"#, false),
            (r#"{"stream":"tru"}"#, false),
            (r#"{"stream":"trues"}"#, false),
            (r#"{"stream":""}"#, false),
            (r#"{"stream":[true]}"#, false),
            (r#"{"stream":{"a":1}}"#, false),
            (r#"{"Stream":true}"#, false),
            (r#"{"stream_options":true}"#, false),
            (r#"{"options":{"stream":true}}"#, false),
            (r#"{"a":["stream",true],"b":"stream"}"#, false),
            (r#"{"text":"\"stream\":true"}"#, false),
            (r#"[{"stream":true}]"#, false),
            (r#""stream":true"#, false),
            (r#"{"stream"#, false),
            (r#"{"stream":"#, false),
            (r#"{"\"#, false),
            ("", false),
            ("stream=true", false),
        ] {
            assert_eq!(asks_for_stream(body.as_bytes()), expected, "{body}");
        }
        assert!(!asks_for_stream(&[b'{'; 1 << 16]));
    }

    #[test]
    fn what_is_accepted() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("Text/Event-Stream", true),
            ("application/json, text/event-stream", true),
            ("text/event-stream;q=0.5", true),
            ("text/event-stream; charset=utf-8 ; q=0.001", true),
            ("application/json, text/event-stream;q=0", false),
            ("text/event-stream ; q=0", false),
            ("text/event-stream;Q=0.000, */*", false),
            ("text/event-stream2", false),
            ("application/json;x=text/event-stream", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(is_accepted(accept.as_bytes()), expected, "{accept}");
        }
    }
}
