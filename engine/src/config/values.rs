//! How values of each type are read: texts, numbers, durations, sizes, lists and entries.

use std::time::Duration;

use serde_json::Value;

use super::document::Document;
use super::error::{Errors, Path};
use super::read::{Read, mistaken, number, string};

/// A size in bytes, written `64KiB` or `1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

impl Size {
    /// So many kibibytes.
    pub const fn kib(n: usize) -> Self {
        Self(n.saturating_mul(1024))
    }

    /// So many mebibytes.
    pub const fn mib(n: usize) -> Self {
        Self(n.saturating_mul(1024 * 1024))
    }
}

/// Any JSON value, taken as it is; an absent one is `null`.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub Value);

/// Names that the author chose, with a value for each, in the order of the names.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<T>(pub Vec<(String, T)>);

impl Read for String {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        string(value, path, errors).map(str::to_owned)
    }
    fn placeholder() -> Option<Self> {
        Some(Self::new())
    }
}

impl Read for bool {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        match value {
            Document::Bool(value) => Some(*value),
            other => mistaken(other, "true or false", path, errors),
        }
    }
    fn placeholder() -> Option<Self> {
        Some(false)
    }
}

impl Read for u32 {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        // A number of a Struct is a double: istiod may write 500 as 500.0 or 5e2.
        let whole =
            number(value).filter(|n| n.fract() == 0.0 && (0.0..=4_294_967_295.0).contains(n));
        match whole {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked above"
            )]
            Some(n) => Some(n as u32),
            None => mistaken(value, "a whole number from 0 to 4294967295", path, errors),
        }
    }
    fn placeholder() -> Option<Self> {
        Some(0)
    }
}

impl Read for f64 {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        match number(value).filter(|n| n.is_finite() && *n >= 0.0) {
            Some(n) => Some(n),
            None => mistaken(value, "a number that is not negative", path, errors),
        }
    }
    fn placeholder() -> Option<Self> {
        Some(0.0)
    }
}

impl Read for Duration {
    /// A whole number with `ms`, `s`, `m` or `h`.
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let text = string(value, path, errors)?;
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at_checked(split).unwrap_or((text, ""));
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let total = millis.and_then(|m| digits.parse::<u64>().ok()?.checked_mul(m));
        if total.is_none() {
            errors.add_value(
                path,
                "is not a duration",
                text,
                "a number with ms, s, m or h, as 250ms or 5m",
            );
        }
        total.map(Duration::from_millis)
    }
    fn placeholder() -> Option<Self> {
        Some(Self::ZERO)
    }
}

impl Read for Size {
    /// A whole number with `B`, `KiB` or `MiB`; at most 1 GiB, which is all that a module can hold.
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let text = string(value, path, errors)?;
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at_checked(split).unwrap_or((text, ""));
        let scale = match unit {
            "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            _ => None,
        };
        let bytes = scale
            .and_then(|s: usize| digits.parse::<usize>().ok()?.checked_mul(s))
            .filter(|n| *n <= 1 << 30);
        match bytes {
            Some(n) => Some(Self(n)),
            None => {
                let right = "a number with B, KiB or MiB, at most 1024MiB, as 64KiB";
                errors.add_value(path, "is not a size", text, right);
                None
            }
        }
    }
    fn placeholder() -> Option<Self> {
        Some(Self(0))
    }
}

impl Read for Json {
    fn read(value: &Document<'_>, _: &Path<'_>, _: &mut Errors) -> Option<Self> {
        Some(Self(value.into()))
    }
    fn absent() -> Option<Self> {
        Some(Self(Value::Null))
    }
}

impl<T: Read> Read for Option<T> {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        T::read(value, path, errors).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let Document::List(items) = value else {
            return mistaken(value, "a list", path, errors);
        };
        // An element that cannot be read keeps its place: later errors count from it.
        let read = items
            .iter()
            .enumerate()
            .map(|(i, item)| T::read(item, &path.index(i), errors).or_else(T::placeholder));
        read.collect()
    }
    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

impl<T: Read> Read for Entries<T> {
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let Document::Object(object) = value else {
            return mistaken(value, "an object", path, errors);
        };
        let read = object.iter().map(|(key, item)| {
            let value = T::read(item, &path.field(key), errors).or_else(T::placeholder)?;
            Some((key.clone().into_owned(), value))
        });
        read.collect::<Option<_>>().map(Self)
    }
    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}
