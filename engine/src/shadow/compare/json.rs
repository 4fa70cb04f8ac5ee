//! A JSON reader for model answers: RFC 8259, and the `NaN`, `Infinity` and `-Infinity` that Python
//! writes. It borrows from the text, keeps numbers as they were written, and is bounded.

use std::borrow::Cow;

use super::number::{Number, after_number};
use crate::steps::Steps;

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
    Object(Members<'a>),
}

impl<'a> Json<'a> {
    /// A member, if it is an object that has it.
    pub fn member(&self, name: &[u8]) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let i = members.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        members.get(i).map(|(_, value)| value)
    }

    /// A member, if it is an object that has it.
    pub fn member_mut(&mut self, name: &[u8]) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|(n, _)| **n == *name).map(|(_, value)| value)
    }

    /// A member, if it is text.
    pub fn text(&self, name: &[u8]) -> Option<&[u8]> {
        match self.member(name)? {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is an object with no other members than these.
    pub fn has_only(&self, names: &[&[u8]]) -> bool {
        matches!(self, Self::Object(members)
            if members.iter().all(|(name, _)| names.contains(&&**name)))
    }

    /// Whether it is an object with a list of this name, in which each is one of these, and which is not
    /// empty.
    pub fn has_list_of(&self, name: &[u8], is_one: fn(&Self) -> bool, steps: &mut Steps) -> bool {
        matches!(self.member(name), Some(Self::Array(items))
            if !items.is_empty() && steps.take(items.len()) && items.iter().all(is_one))
    }

    /// Whether it is an object with a list of this name that is empty.
    pub fn has_empty(&self, name: &[u8]) -> bool {
        matches!(self.member(name), Some(Self::Array(items)) if items.is_empty())
    }

    /// Whether it is, or holds, a number, a boolean or a text that is not empty.
    pub fn says_something(&self, steps: &mut Steps) -> bool {
        steps.take(1);
        match self {
            Self::Null => false,
            Self::Bool(_) | Self::Number(_) => true,
            Self::String(text) => !text.is_empty(),
            Self::Array(items) => items.iter().any(|item| item.says_something(steps)),
            Self::Object(members) => members.iter().any(|(_, item)| item.says_something(steps)),
        }
    }

    /// The number in a row of scores: a number, or the `null` in its place.
    pub fn score(&self) -> Option<Number<'a>> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Null => Some(Number::Null),
            _ => None,
        }
    }
}

/// Members of an object.
pub type Members<'a> = Vec<(Cow<'a, [u8]>, Json<'a>)>;

/// Why a text was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is not JSON.
    Malformed,
    /// It has more levels, values or parts than are compared.
    TooComplex,
}

/// Levels of nesting: a batch of videos has five, and the stack of a module is small.
pub const MAX_DEPTH: u32 = 64;

/// Values in one text: a value takes up to 32 bytes, more than the two of `0,`.
pub const MAX_VALUES: u32 = 1 << 18;

/// Reads a whole text. Strings may hold any bytes: a server that writes bytes as they are into its
/// strings is compared by them.
///
/// # Errors
/// Says whether it is not JSON, or more of it than [`MAX_DEPTH`], [`MAX_VALUES`] and the steps allow.
pub fn read<'a>(text: &'a [u8], steps: &mut Steps) -> Result<Json<'a>, Unread> {
    let mut reader = Reader { rest: text, values: MAX_VALUES, steps, paid: true };
    reader.pay(text.len() / 32)?;
    let value = reader.value(MAX_DEPTH)?;
    reader.space();
    if reader.rest.is_empty() { Ok(value) } else { Err(Unread::Malformed) }
}

/// Members in the order of their names, the last of equal ones only.
///
/// # Errors
/// Says if there are no steps left for it.
pub fn ordered<'a>(mut members: Members<'a>, steps: &mut Steps) -> Result<Json<'a>, Unread> {
    // A stable sort of the reverse puts the last of equal names first.
    members.reverse();
    sort(&mut members, steps)?;
    members.dedup_by(|later, kept| later.0 == kept.0);
    Ok(Json::Object(members))
}

/// Members in the order of their names, each the list of all that have its name.
///
/// # Errors
/// Says if there are no steps left for it.
pub fn grouped<'a>(mut members: Members<'a>, steps: &mut Steps) -> Result<Members<'a>, Unread> {
    sort(&mut members, steps)?;
    for (_, value) in &mut members {
        *value = Json::Array(vec![std::mem::replace(value, Json::Null)]);
    }
    members.dedup_by(|(name, later), (kept, all)| {
        if let (true, Json::Array(later), Json::Array(all)) = (name == kept, later, all) {
            all.append(later);
        }
        name == kept
    });
    Ok(members)
}

fn sort(members: &mut Members<'_>, steps: &mut Steps) -> Result<(), Unread> {
    if members.len() > 1 {
        let bytes = members.iter().fold(0usize, |sum, (name, _)| sum.saturating_add(name.len()));
        if !steps.sort(members.len(), bytes) {
            return Err(Unread::TooComplex);
        }
        members.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(())
}

struct Reader<'a, 's> {
    rest: &'a [u8],
    values: u32,
    steps: &'s mut Steps,
    /// Whether the last escape is paid for.
    paid: bool,
}

impl<'a> Reader<'a, '_> {
    fn pay(&mut self, steps: usize) -> Result<(), Unread> {
        if self.steps.take(steps) { Ok(()) } else { Err(Unread::TooComplex) }
    }

    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes the text if it comes next.
    fn take(&mut self, text: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn need(&mut self, text: &[u8]) -> Result<(), Unread> {
        self.space();
        if self.take(text) { Ok(()) } else { Err(Unread::Malformed) }
    }

    fn value(&mut self, depth: u32) -> Result<Json<'a>, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.values = self.values.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.pay(1)?;
        self.space();
        match self.rest.first() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'n') if self.take(b"null") => Ok(Json::Null),
            Some(b't') if self.take(b"true") => Ok(Json::Bool(true)),
            Some(b'f') if self.take(b"false") => Ok(Json::Bool(false)),
            _ => {
                let rest = after_number(self.rest).ok_or(Unread::Malformed)?;
                let text = std::str::from_utf8(self.until(rest)).map_err(|_| Unread::Malformed)?;
                Ok(Json::Number(Number::text(text)))
            }
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json<'a>, Unread> {
        self.need(b"{")?;
        self.space();
        let mut members = Members::new();
        if !self.take(b"}") {
            loop {
                self.space();
                let name = self.string()?;
                self.need(b":")?;
                members.push((name, self.value(depth)?));
                self.space();
                if self.take(b"}") {
                    break;
                }
                self.need(b",")?;
            }
        }
        // It has room for four, and an answer may hold a hundred thousand of one member.
        members.shrink_to_fit();
        ordered(members, self.steps)
    }

    fn array(&mut self, depth: u32) -> Result<Json<'a>, Unread> {
        self.need(b"[")?;
        self.space();
        let mut items = Vec::new();
        if !self.take(b"]") {
            loop {
                items.push(self.value(depth)?);
                self.space();
                if self.take(b"]") {
                    break;
                }
                self.need(b",")?;
            }
        }
        items.shrink_to_fit();
        Ok(Json::Array(items))
    }

    /// What lies before `rest`, a tail of the remaining text.
    fn until(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let len = self.rest.len().saturating_sub(rest.len());
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn string(&mut self) -> Result<Cow<'a, [u8]>, Unread> {
        if !self.take(b"\"") {
            return Err(Unread::Malformed);
        }
        let mut decoded: Option<Vec<u8>> = None;
        loop {
            let special = |c: &u8| *c == b'"' || *c == b'\\' || *c < b' ';
            let end = self.rest.iter().position(special).ok_or(Unread::Malformed)?;
            let (plain, rest) = self.rest.split_at_checked(end).ok_or(Unread::Malformed)?;
            self.rest = rest;
            if self.take(b"\"") {
                return Ok(match decoded {
                    None => Cow::Borrowed(plain),
                    Some(mut bytes) => {
                        bytes.extend_from_slice(plain);
                        Cow::Owned(bytes)
                    }
                });
            }
            let bytes = decoded.get_or_insert_default();
            bytes.extend_from_slice(plain);
            if !self.take(b"\\") {
                return Err(Unread::Malformed);
            }
            self.escape(bytes)?;
        }
    }

    /// Two of them take as long as a value does.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Unread> {
        self.paid = !self.paid;
        if self.paid {
            self.pay(1)?;
        }
        let (first, rest) = self.rest.split_first().ok_or(Unread::Malformed)?;
        self.rest = rest;
        out.push(match first {
            c @ (b'"' | b'\\' | b'/') => *c,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = self.hex()?;
                if (0xD800..0xDC00).contains(&unit) {
                    let high = self.rest;
                    let low = if self.take(b"\\u") { self.hex()? } else { 0 };
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
        });
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, Unread> {
        let (digits, rest) = self.rest.split_first_chunk::<4>().ok_or(Unread::Malformed)?;
        self.rest = rest;
        digits.iter().try_fold(0, |unit, c| {
            let digit = char::from(*c).to_digit(16).ok_or(Unread::Malformed)?;
            Ok((unit << 4) | digit)
        })
    }
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

    fn read(text: &[u8]) -> Result<Json<'_>, Unread> {
        super::read(text, &mut Steps::default())
    }

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
            assert_eq!(read, Ok(Json::Number(Number::text(number))), "{number}");
        }
        assert_eq!(string(r#""a\u00e9\n\ud83d\ude00""#), "a\u{e9}\n\u{1f600}".as_bytes());
        assert_eq!(string(r#""\ud800x""#), [0xED, 0xA0, 0x80, b'x']);
        assert_eq!(string(r#""\ud800\u0041""#), [0xED, 0xA0, 0x80, b'A']);
        let Ok(Json::Object(members)) = read(br#" {"b":1,"a":2, "b" : 3} "#) else { panic!() };
        let number = |n: &'static str| Json::Number(Number::text(n));
        let expected = [("a", number("2")), ("b", number("3"))];
        let expected = expected.map(|(name, value)| (Cow::Borrowed(name.as_bytes()), value));
        assert_eq!(members, expected, "sorted, the last wins");
    }

    #[test]
    fn small_objects_take_no_more_room_than_they_need() {
        fn spare(value: &Json<'_>) -> usize {
            match value {
                Json::Array(items) => {
                    items.capacity() - items.len() + items.iter().map(spare).sum::<usize>()
                }
                Json::Object(members) => {
                    let below = members.iter().map(|(_, value)| spare(value)).sum::<usize>();
                    members.capacity() - members.len() + below
                }
                _ => 0,
            }
        }
        let text =
            br#"[{"a":0},{"a":0,"b":{}},[0],[[1,2],[3,4,5,6,7]],{"a":0,"b":1,"c":2,"d":3,"e":4}]"#;
        assert_eq!(spare(&read(text).unwrap()), 0);
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
    }

    /// Triton writes bytes that are no text into its strings as they are.
    #[test]
    fn strings_hold_any_bytes() {
        let bytes = |text| read(text).map(|json| json == Json::String(Cow::Borrowed(b"\xff\0PNG")));
        assert_eq!(bytes(b"\"\xff\\u0000PNG\""), Ok(true));
        assert_eq!(bytes(b"\"\xfe\\u0000PNG\""), Ok(false));
        assert_eq!(bytes(b"\xff"), Err(Unread::Malformed));
        assert_eq!(bytes(b"\"\xff\x00PNG\""), Err(Unread::Malformed));
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
