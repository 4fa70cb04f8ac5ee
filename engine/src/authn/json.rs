//! JSON as strict as a credential deserves: no duplicate names, no deep nesting, nothing behind it.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How many objects and lists may stand inside each other, the outermost included. Envoy's limit.
pub const MAX_LEVELS: u8 = 100;

/// How many values a token's part may hold. One that fits into the 60 KiB that Envoy lets headers
/// have cannot hold as many; a proxy may be set to let through much more.
const MAX_VALUES: usize = 24 * 1024;

/// Reads a whole text of at most so many values. (A small object takes a hundred times its text.)
///
/// RFC 8259, with two things it leaves open refused: a name that an object holds twice (RFC 7515 §4
/// and RFC 7519 §4 allow either that or the last one to win; readers that choose differently see
/// different claims), and more than [`MAX_LEVELS`].
pub fn read(text: &[u8], values: usize) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let strict = Strict { levels: MAX_LEVELS, values: &Cell::new(values) };
    let value = strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a part of a token, which must be an object.
pub fn read_object(text: &[u8]) -> Option<Map<String, Value>> {
    match read(text, MAX_VALUES) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Strict<'c> {
    /// How many more may be opened.
    levels: u8,
    /// How many more may be read.
    values: &'c Cell<usize>,
}

impl Strict<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("too deeply nested"))?;
        Ok(Self { levels, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let left = self.values.get().checked_sub(1);
        self.values.set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            let value = items.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice in an object"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
        super::read(text, 1_000)
    }

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "{",
            "{}x",
            "{} {}",
            "{,}",
            "[1,]",
            "{'a':1}",
            "{a:1}",
            "\"\u{1}\"",
            "1e309",
            "-1e309",
            r#""\ud800""#,
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"[{"a":1,"\u0061":2}]"#,
            "NaN",
            "01",
            "+1",
            ".5",
            "\u{feff}{}",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\"\xff\"").is_err());
        assert!(read(b"{\"\xc0\x80\":1}").is_err());
    }

    #[test]
    fn nesting_ends_at_a_hundred() {
        assert!(read(nested(100).as_bytes()).is_ok());
        assert!(read(nested(101).as_bytes()).is_err());
        assert!(read(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn values_are_counted_at_every_level() {
        for (text, values) in
            [("1", 1), ("[]", 1), ("[1,2]", 3), (r#"{"a":{"b":[1]},"c":2}"#, 5), ("[[],[]]", 3)]
        {
            assert!(super::read(text.as_bytes(), values).is_ok(), "{text}");
            let error = super::read(text.as_bytes(), values - 1).unwrap_err();
            assert!(error.to_string().starts_with("too many values"), "{text}: {error}");
        }
        let list = |values: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(values - 3));
        assert!(read_object(list(MAX_VALUES).as_bytes()).is_some());
        assert!(read_object(list(MAX_VALUES + 1).as_bytes()).is_none());
        // What no header of 60 KiB can hold.
        assert!(list(MAX_VALUES + 1).len() > 60 * 1024 / 4 * 3);
    }

    #[test]
    fn only_objects_are_objects() {
        for text in ["null", "[]", "1", "\"\""] {
            assert_eq!(read_object(text.as_bytes()), None);
        }
        assert!(read_object(b" {\"a\":{\"a\":[]}} ").is_some());
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_reader_on_what_it_accepts(text in r#"[\[\]{}:,"a0-9.eE+ \\-]{0,24}"#) {
            if let Ok(value) = read(text.as_bytes()) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
