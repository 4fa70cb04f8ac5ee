//! What the settings look like, told by their declarations: the source of the JSON Schema, of the
//! reference, and of `modelgate explain`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::values::{Entries, Json, Size};

/// A type of the configuration document that can tell what it looks like.
pub trait Describe {
    /// What the document may hold where such a value belongs.
    fn shape() -> Shape;

    /// The value as the document writes it; [`Value::Null`] for one that is absent.
    fn written(&self) -> Value;
}

/// What the document may hold in a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A text.
    String,
    /// A whole number from 0 to 2^32 - 1.
    Count,
    /// A number that is not negative.
    Number,
    /// A whole number with `ms`, `s`, `m` or `h`.
    Duration,
    /// A whole number with `B`, `KiB` or `MiB`.
    Size,
    /// Any JSON.
    Any,
    /// One of these words.
    Words(Vec<Word>),
    /// A list.
    List(Box<Shape>),
    /// An object whose names the author chooses.
    Entries(Box<Shape>),
    /// An object with these fields and no others.
    Settings(Settings),
}

/// A word that the document may hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As the document spells it.
    pub word: &'static str,
    /// What it means; lines, each with a space before it.
    pub about: &'static str,
}

/// A group of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name, which no other group has.
    pub name: &'static str,
    /// What it is for; lines, each with a space before it.
    pub about: &'static str,
    /// Its fields, in the order in which one reads them.
    pub fields: Vec<Field>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// As the document spells it.
    pub name: String,
    /// What it means; lines, each with a space before it.
    pub about: &'static str,
    /// What it may hold.
    pub shape: Shape,
    /// What its absence means, [`Value::Null`] where that has no value of its own; `None` for a field
    /// that must be given.
    pub default: Option<Value>,
}

impl Describe for String {
    fn shape() -> Shape {
        Shape::String
    }
    fn written(&self) -> Value {
        self.clone().into()
    }
}

impl Describe for bool {
    fn shape() -> Shape {
        Shape::Bool
    }
    fn written(&self) -> Value {
        (*self).into()
    }
}

impl Describe for u32 {
    fn shape() -> Shape {
        Shape::Count
    }
    fn written(&self) -> Value {
        (*self).into()
    }
}

impl Describe for f64 {
    fn shape() -> Shape {
        Shape::Number
    }
    fn written(&self) -> Value {
        (*self).into()
    }
}

impl Describe for Duration {
    fn shape() -> Shape {
        Shape::Duration
    }
    fn written(&self) -> Value {
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        in_units(self.as_millis(), &units).into()
    }
}

impl Describe for Size {
    fn shape() -> Shape {
        Shape::Size
    }
    fn written(&self) -> Value {
        let bytes = u128::try_from(self.0).unwrap_or(u128::MAX);
        in_units(bytes, &[("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]).into()
    }
}

/// In the largest unit that leaves no fraction.
fn in_units(amount: u128, units: &[(&str, u128)]) -> String {
    let whole = units.iter().find_map(|(unit, scale)| {
        let fits = amount.checked_rem(*scale) == Some(0) && amount >= *scale;
        fits.then(|| amount.checked_div(*scale)).flatten().map(|count| format!("{count}{unit}"))
    });
    whole.unwrap_or_else(|| format!("0{}", units.last().map_or("", |(unit, _)| unit)))
}

impl Describe for Json {
    fn shape() -> Shape {
        Shape::Any
    }
    fn written(&self) -> Value {
        self.0.clone()
    }
}

impl<T: Describe> Describe for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }
    fn written(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::written)
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
    fn written(&self) -> Value {
        self.iter().map(T::written).collect()
    }
}

impl<T: Describe> Describe for Entries<T> {
    fn shape() -> Shape {
        Shape::Entries(Box::new(T::shape()))
    }
    fn written(&self) -> Value {
        let entries: Map<String, Value> =
            self.0.iter().map(|(name, value)| (name.clone(), value.written())).collect();
        entries.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Errors, Path, read::Read};

    #[test]
    fn amounts_are_written_as_they_are_read() {
        let durations = [0, 1, 250, 1_000, 90_000, 300_000, 86_400_000];
        for millis in durations {
            let duration = Duration::from_millis(millis);
            let mut errors = Errors::default();
            let written = duration.written();
            let read = Duration::read(&written.clone().into(), &Path::ROOT, &mut errors);
            assert_eq!(read, Some(duration), "{written}");
        }
        assert_eq!(Duration::from_secs(24 * 3600).written(), "24h");
        for bytes in [0, 1, 1024, 1025, 64 << 10, 8 << 20] {
            let mut errors = Errors::default();
            let written = Size(bytes).written();
            let read = Size::read(&written.clone().into(), &Path::ROOT, &mut errors);
            assert_eq!(read, Some(Size(bytes)), "{written}");
        }
        assert_eq!(Size::mib(8).written(), "8MiB");
    }
}
