//! The text of a configuration as a tree, as small as it can be: it is in memory beside the settings
//! that are read from it and the plan that it will replace, and a module's memory never shrinks.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::order;

/// A JSON value. Strings without escapes are borrowed from the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Document<'t> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// Exactly what the text says, as far as 64 bits can.
    Number(Number),
    /// A string.
    String(Cow<'t, str>),
    /// A list.
    List(Box<[Document<'t>]>),
    /// An object.
    Object(Members<'t>),
}

/// The members of an object, in the order of their names. No name stands twice: readers that choose
/// differently between the two would see different configurations.
pub type Members<'t> = Box<[(Cow<'t, str>, Document<'t>)]>;

impl From<&Document<'_>> for Value {
    fn from(document: &Document<'_>) -> Self {
        match document {
            Document::Null => Self::Null,
            Document::Bool(value) => Self::Bool(*value),
            Document::Number(number) => Self::Number(number.clone()),
            Document::String(text) => Self::String(text.clone().into_owned()),
            Document::List(items) => items.iter().map(Self::from).collect(),
            Document::Object(members) => {
                members.iter().map(|(name, value)| (name.as_ref(), Self::from(value))).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Document<'de>, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Document<'de>, E> {
        Ok(Document::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Document<'de>, E> {
        Ok(Document::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Document<'de>, E> {
        Ok(Document::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Document<'de>, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is infinite"))?;
        Ok(Document::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Document<'de>, E> {
        Ok(Document::String(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Document<'de>, E> {
        Ok(Document::String(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Document::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Document<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Document<'de>)> = Vec::new();
        while let Some((name, value)) = items.next_entry()? {
            let Document::String(name) = name else {
                return Err(A::Error::custom("a name is not a string"));
            };
            members.push((name, value));
        }
        order::sort_by(&mut members, |(a, _), (b, _)| a.cmp(b));
        for pair in members.windows(2) {
            if let [(name, _), (next, _)] = pair
                && name == next
            {
                return Err(A::Error::custom(format_args!("{name:?} stands twice in an object")));
            }
        }
        Ok(Document::Object(members.into()))
    }
}

#[cfg(test)]
impl From<Value> for Document<'static> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::String(text.into()),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let members = members.into_iter();
                Self::Object(members.map(|(name, value)| (name.into(), value.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Document<'_>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn strings_are_borrowed_where_they_can_be() {
        let document = read(r#"{"plain": "as it is", "esc\u0061ped": "\n"}"#).unwrap();
        let Document::Object(members) = document else { panic!() };
        let [(escaped, newline), (plain, text)] = &*members else { panic!() };
        assert!(matches!((escaped, plain), (Cow::Owned(_), Cow::Borrowed("plain"))));
        assert!(matches!(newline, Document::String(Cow::Owned(_))));
        assert!(matches!(text, Document::String(Cow::Borrowed("as it is"))));
    }

    #[test]
    fn no_name_stands_twice() {
        for text in [r#"{"b": 1, "a": 1, "b": 1}"#, r#"[{"o": {"b": 1, "\u0062": 2}}]"#] {
            let error = read(text).unwrap_err();
            assert!(
                error.is_data() && error.to_string().contains(r#""b" stands twice"#),
                "{error}"
            );
        }
        assert!(read(r#"{"a": {"b": 1}, "b": {"a": 1}}"#).is_ok());
    }

    proptest! {
        #[test]
        fn is_what_any_reader_reads(text in r#"[\[\]{}:,"a0-9.eE+ \\-]{0,24}"#) {
            let plain: Result<Value, _> = serde_json::from_str(&text);
            match (read(&text), plain) {
                (Ok(document), Ok(plain)) => {
                    prop_assert_eq!(Value::from(&document), plain.clone());
                    prop_assert_eq!(Document::from(plain), document);
                }
                (Err(error), Err(plain)) => prop_assert_eq!(error.to_string(), plain.to_string()),
                (Err(error), Ok(_)) => prop_assert!(error.is_data(), "{}", error),
                (document, plain) => prop_assert!(false, "{:?} {:?}", document, plain),
            }
        }
    }
}
