//! A JSON reader for model answers: RFC 8259, and the `NaN`, `Infinity` and `-Infinity` that Python
//! writes. It borrows from the text, keeps numbers as they were written, and is bounded.

use std::borrow::Cow;

use super::number::Number;

/// A JSON value, or one of a message that is read as if it were JSON.
#[derive(Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As it was written.
    Number(Number<'a>),
    /// Decoded. Bytes, because Python may write half of a surrogate pair, which no `str` holds.
    String(Cow<'a, [u8]>),
    /// In order.
    Array(Vec<Json<'a>>),
    /// In the order of the names, the last of equal names only, as Python reads them.
    Object(Vec<(Cow<'a, [u8]>, Json<'a>)>),
}

/// Why a text was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is not JSON.
    Malformed,
    /// It has more levels or values than are compared.
    TooComplex,
}

/// Levels of nesting: a batch of videos has five, and the stack of a module is small.
pub const MAX_DEPTH: u32 = 64;

/// Values in one text: a value takes up to 32 bytes, more than the two of `0,`.
pub const MAX_VALUES: u32 = 1 << 18;

/// Reads a whole text.
///
/// # Errors
/// Says whether it is not JSON, or more of it than [`MAX_DEPTH`] and [`MAX_VALUES`] allow.
pub fn read(text: &[u8]) -> Result<Json<'_>, Unread> {
    let text = std::str::from_utf8(text).map_err(|_| Unread::Malformed)?;
    let mut reader = Reader { rest: text, values: MAX_VALUES };
    let value = reader.value(MAX_DEPTH)?;
    reader.space();
    if reader.rest.is_empty() { Ok(value) } else { Err(Unread::Malformed) }
}

struct Reader<'a> {
    rest: &'a str,
    values: u32,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes the text if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn need(&mut self, text: &str) -> Result<(), Unread> {
        self.space();
        if self.take(text) { Ok(()) } else { Err(Unread::Malformed) }
    }

    fn value(&mut self, depth: u32) -> Result<Json<'a>, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.values = self.values.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.space();
        match self.rest.as_bytes().first() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'n') if self.take("null") => Ok(Json::Null),
            Some(b't') if self.take("true") => Ok(Json::Bool(true)),
            Some(b'f') if self.take("false") => Ok(Json::Bool(false)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json<'a>, Unread> {
        self.need("{")?;
        self.space();
        let mut members: Vec<(Cow<'a, [u8]>, Json<'a>)> = Vec::new();
        if !self.take("}") {
            loop {
                self.space();
                let name = self.string()?;
                self.need(":")?;
                members.push((name, self.value(depth)?));
                self.space();
                if self.take("}") {
                    break;
                }
                self.need(",")?;
            }
        }
        // A stable sort of the reverse puts the last of equal names first.
        members.reverse();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        members.dedup_by(|later, kept| later.0 == kept.0);
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: u32) -> Result<Json<'a>, Unread> {
        self.need("[")?;
        self.space();
        let mut items = Vec::new();
        if !self.take("]") {
            loop {
                items.push(self.value(depth)?);
                self.space();
                if self.take("]") {
                    break;
                }
                self.need(",")?;
            }
        }
        Ok(Json::Array(items))
    }

    fn number(&mut self) -> Result<Json<'a>, Unread> {
        for word in ["NaN", "Infinity", "-Infinity"] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                return Ok(Json::Number(Number::Text(self.advance(rest))));
            }
        }
        let rest = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let mut rest = match rest.strip_prefix('0') {
            Some(rest) => rest,
            None => digits(rest)?,
        };
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = digits(fraction)?;
        }
        if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
            rest = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))?;
        }
        Ok(Json::Number(Number::Text(self.advance(rest))))
    }

    /// What lies before `rest`, a tail of the remaining text.
    fn advance(&mut self, rest: &'a str) -> &'a str {
        let len = self.rest.len().saturating_sub(rest.len());
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn string(&mut self) -> Result<Cow<'a, [u8]>, Unread> {
        if !self.take("\"") {
            return Err(Unread::Malformed);
        }
        let mut decoded: Option<Vec<u8>> = None;
        loop {
            let special = |c: u8| c == b'"' || c == b'\\' || c < b' ';
            let end = self.rest.bytes().position(special).ok_or(Unread::Malformed)?;
            let (plain, rest) = self.rest.split_at_checked(end).ok_or(Unread::Malformed)?;
            self.rest = rest;
            if self.take("\"") {
                return Ok(match decoded {
                    None => Cow::Borrowed(plain.as_bytes()),
                    Some(mut bytes) => {
                        bytes.extend_from_slice(plain.as_bytes());
                        Cow::Owned(bytes)
                    }
                });
            }
            let bytes = decoded.get_or_insert_default();
            bytes.extend_from_slice(plain.as_bytes());
            if !self.take("\\") {
                return Err(Unread::Malformed);
            }
            self.escape(bytes)?;
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Unread> {
        let mut rest = self.rest.chars();
        let plain = match rest.next().ok_or(Unread::Malformed)? {
            c @ ('"' | '\\' | '/') => c as u8,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'u' => {
                self.rest = rest.as_str();
                let mut unit = self.hex()?;
                if (0xD800..0xDC00).contains(&unit) {
                    let high = self.rest;
                    let low = if self.take("\\u") { self.hex()? } else { 0 };
                    if (0xDC00..0xE000).contains(&low) {
                        unit = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    } else {
                        self.rest = high;
                    }
                }
                push_scalar(unit, out);
                return Ok(());
            }
            _ => return Err(Unread::Malformed),
        };
        self.rest = rest.as_str();
        out.push(plain);
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, Unread> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(Unread::Malformed)?;
        if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(Unread::Malformed);
        }
        self.rest = rest;
        u32::from_str_radix(digits, 16).map_err(|_| Unread::Malformed)
    }
}

/// The text after at least one digit.
fn digits(text: &str) -> Result<&str, Unread> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == text.len() { Err(Unread::Malformed) } else { Ok(rest) }
}

/// UTF-8, and for half of a surrogate pair the three bytes that it would have.
fn push_scalar(scalar: u32, out: &mut Vec<u8>) {
    match char::from_u32(scalar) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            let low = |shift: u32| (scalar >> shift).to_le_bytes().first().map_or(0, |b| b & 0x3F);
            out.extend_from_slice(&[0xE0 | (low(12) & 0x0F), 0x80 | low(6), 0x80 | low(0)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> Vec<u8> {
        match read(text.as_bytes()) {
            Ok(Json::String(s)) => s.into_owned(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reads_what_python_writes() {
        for number in ["0", "-0", "12.5", "1e-7", "1E+300", "NaN", "Infinity", "-Infinity"] {
            let read = read(number.as_bytes());
            assert_eq!(read, Ok(Json::Number(Number::Text(number))), "{number}");
        }
        assert_eq!(string(r#""a\u00e9\n\ud83d\ude00""#), "a\u{e9}\n\u{1f600}".as_bytes());
        assert_eq!(string(r#""\ud800x""#), [0xED, 0xA0, 0x80, b'x']);
        assert_eq!(string(r#""\ud800\u0041""#), [0xED, 0xA0, 0x80, b'A']);
        let Ok(Json::Object(members)) = read(br#" {"b":1,"a":2, "b" : 3} "#) else { panic!() };
        let number = |n: &'static str| Json::Number(Number::Text(n));
        let expected = [("a", number("2")), ("b", number("3"))];
        let expected = expected.map(|(name, value)| (Cow::Borrowed(name.as_bytes()), value));
        assert_eq!(members, expected, "sorted, the last wins");
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "nan",
            "tru",
            "\"\\x\"",
            "\"a",
            "\"\\u12\"",
            "\"\\u+123\"",
            "[1 2]",
            "{a:1}",
            "1 1",
            "\"\n\"",
            "'a'",
            "-NaN",
            "\"\\\u{e9}\"",
        ] {
            assert_eq!(read(text.as_bytes()), Err(Unread::Malformed), "{text}");
        }
        assert_eq!(read(b"\"\xff\""), Err(Unread::Malformed));
    }

    #[test]
    fn is_bounded() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(read(&deep(MAX_DEPTH as usize)).is_ok());
        assert_eq!(read(&deep(MAX_DEPTH as usize + 1)), Err(Unread::TooComplex));
        assert_eq!(read(&deep(1_000_000)), Err(Unread::TooComplex));
        let wide = format!("[{}0]", "0,".repeat(MAX_VALUES as usize));
        assert_eq!(read(wide.as_bytes()), Err(Unread::TooComplex));
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&text);
        }

        #[test]
        fn agrees_with_serde(text in r#"[\[\]{}",:\\u0-9a-e.+n \-]{0,24}"#) {
            // serde_json refuses numbers that a double cannot hold, and halves of surrogate pairs.
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(read(text.as_bytes()).is_ok());
            }
        }
    }
}
