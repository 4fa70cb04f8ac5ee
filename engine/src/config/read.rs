//! Reads settings from JSON, collecting every error with its path instead of stopping at the first.

use super::document::{Document, Members};
use super::error::{Errors, Path};

/// A type that can be read from a value of the configuration document.
pub trait Read: Sized {
    /// Reads the value at `path`; `None` after at least one error was recorded.
    fn read(value: &Document<'_>, path: &Path<'_>, errors: &mut Errors) -> Option<Self>;

    /// What an absent field means; `None` for a field that must be given.
    fn absent() -> Option<Self> {
        None
    }

    /// What stands for a value that could not be read, so that the rest can still be checked.
    fn placeholder() -> Option<Self> {
        Self::absent()
    }
}

/// The object at `path`, after its unknown fields were reported. `fields` are in snake case.
pub fn object<'v, 't>(
    value: &'v Document<'t>,
    path: &Path<'_>,
    fields: &[&str],
    errors: &mut Errors,
) -> Option<&'v Members<'t>> {
    let Document::Object(object) = value else {
        return mistaken(value, "an object", path, errors);
    };
    for (key, _) in object {
        if !fields.iter().any(|f| names(key, f)) {
            errors.add(&path.field(key), "is not a field here", remedy(key, fields));
        }
    }
    Some(object)
}

/// Reads one field of an object, or takes its default.
pub fn field<T: Read>(
    object: &Members<'_>,
    field: &str,
    default: fn() -> Option<T>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<T> {
    let found = object.iter().find(|(key, _)| names(key, field));
    if let Some((key, value)) = found {
        return T::read(value, &path.field(key), errors);
    }
    let value = default();
    if value.is_none() {
        errors.add(&path.field(&camel(field)), "is missing", "it must be given");
    }
    value
}

/// The string at `path`.
pub fn string<'v>(
    value: &'v Document<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<&'v str> {
    match value {
        Document::String(text) => Some(text),
        other => mistaken(other, "a string", path, errors),
    }
}

pub(super) fn number(value: &Document<'_>) -> Option<f64> {
    match value {
        Document::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// Records that a value is something else than `wanted`.
pub(super) fn mistaken<T>(
    value: &Document<'_>,
    wanted: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<T> {
    say_mistaken(value, wanted, path, errors);
    None
}

/// In the module once, for all types.
#[inline(never)]
fn say_mistaken(value: &Document<'_>, wanted: &str, path: &Path<'_>, errors: &mut Errors) {
    match value {
        // YAML writes nothing after the colon as null; taking that for an empty list would turn a
        // forgotten `models:` into "every model".
        Document::Null => {
            errors.add(path, "has no value", format!("{wanted}, or leave the field out"))
        }
        // The value of a condition: in quotes it is read, and fits no claim that is a boolean or a number.
        Document::Bool(_) | Document::Number(_) if path.is_in(&["values", "notValues"]) => {
            let (what, value) = match value {
                Document::Bool(b) => ("is a boolean", b.to_string()),
                Document::Number(n) => ("is a number", n.to_string()),
                _ => ("", String::new()),
            };
            let fix = "a string: in quotes for a header or a text. Claims that are booleans or numbers are never \
                       compared: another claim, that is a text";
            errors.add_value(path, what, value, fix);
        }
        Document::Number(n) if wanted == "a string" => {
            errors.add_value(path, "is a number", n, format!("{wanted}: put it in quotes"));
        }
        Document::Bool(b) if wanted == "a string" => {
            errors.add_value(path, "is a boolean", b, format!("{wanted}: put it in quotes"));
        }
        Document::Bool(b) => errors.add_value(path, "is a boolean", b, wanted),
        Document::Number(n) if wanted.contains("number") => {
            errors.add_value(path, "does not fit", n, wanted);
        }
        Document::Number(n) => errors.add_value(path, "is a number", n, wanted),
        // Where settings belong, a string may be the key itself instead of its hash.
        Document::String(_) if matches!(wanted, "an object" | "a list") => {
            errors.add(path, "is a string", wanted);
        }
        Document::String(s) => errors.add_value(path, "is a string", s, wanted),
        Document::List(_) => errors.add(path, "is a list", wanted),
        Document::Object(_) => errors.add(path, "is an object", wanted),
    }
}

/// Whether a key of the document (camelCase) is the field (snake case).
fn names(key: &str, field: &str) -> bool {
    let mut key = key.chars();
    let field = plain(field);
    let mut field = field.chars();
    loop {
        match field.next() {
            None => return key.next().is_none(),
            Some('_') => {
                let upper = field.next().map(|c| c.to_ascii_uppercase());
                if upper.is_none() || key.next() != upper {
                    return false;
                }
            }
            plain => {
                if key.next() != plain {
                    return false;
                }
            }
        }
    }
}

/// A field whose name is a keyword of Rust's, as `match`, is declared with `r#`.
fn plain(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// The name of a field (snake case) as the document spells it.
pub(crate) fn camel(field: &str) -> String {
    let field = plain(field);
    let mut out = String::with_capacity(field.len());
    let mut upper = false;
    for c in field.chars() {
        if c == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.push(c.to_ascii_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

fn remedy(key: &str, fields: &[&str]) -> String {
    if key == "true" || key == "false" {
        return "YAML 1.1 reads an unquoted y, n, yes, no, on or off as a boolean: quote the key"
            .into();
    }
    let known: Vec<String> = fields.iter().map(|f| camel(f)).collect();
    match known.iter().filter(|k| close(key, k)).min_by_key(|k| k.len().abs_diff(key.len())) {
        Some(meant) => format!("did you mean {meant}?"),
        None if known.is_empty() => "no field is known here".into(),
        None => format!("known fields are {}", known.join(", ")),
    }
}

/// Whether two names differ by case, by separators, or by one edit.
fn close(a: &str, b: &str) -> bool {
    let plain = |s: &str| -> Vec<u8> {
        s.bytes().filter(u8::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (a, b) = (plain(a), plain(b));
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    if long.len().saturating_sub(short.len()) > 1 {
        return false;
    }
    let same_start = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let same_end = short.iter().rev().zip(long.iter().rev()).take_while(|(x, y)| x == y).count();
    same_start.saturating_add(same_end).saturating_add(1) >= long.len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::declare::{settings, words};
    use crate::config::values::Size;
    use serde_json::Value;
    use serde_json::json;

    settings! {
        /// A pear.
        pub struct Pear { max_bytes: Size = Size::mib(1), names: Vec<String>, wait: Option<Duration> }
        /// A tree.
        pub struct Tree { pear: Pear, kind: Kind, count: u32 = 3 }
    }
    words! {
        /// A kind.
        pub enum Kind {
            /// Grows by itself.
            Wild = "WILD",
            /// Is tended.
            Tame = "TAME",
        }
    }

    fn read<T: Read>(value: Value) -> (Option<T>, String) {
        let mut errors = Errors::default();
        let read = T::read(&value.into(), &Path::ROOT, &mut errors);
        (read, errors.to_string())
    }

    #[test]
    fn defaults_fill_what_is_absent() {
        let (tree, errors) = read::<Tree>(json!({"kind": "WILD"}));
        let pear = Pear { max_bytes: Size::mib(1), names: vec![], wait: None };
        assert_eq!((tree, errors.as_str()), (Some(Tree { pear, kind: Kind::Wild, count: 3 }), ""));
    }

    #[test]
    fn what_stands_in_the_place_of_settings_is_not_shown() {
        for pear in [json!("hunter2"), json!({"names": "hunter2"})] {
            let (_, errors) = read::<Tree>(json!({"pear": pear, "kind": "WILD"}));
            assert!(errors.contains("is a string") && !errors.contains("hunter2"), "{errors}");
        }
    }

    #[test]
    fn every_error_is_reported_with_its_path_and_remedy() {
        let (tree, errors) = read::<Tree>(json!({
            "pear": {"maxbytes": "1MiB", "maxBytes": "1MB", "names": ["a", 6000, null], "wait": "5"},
            "count": -1, "true": 1,
        }));
        assert_eq!(
            tree.map(|tree| tree.pear.names),
            Some(vec!["a".into(), String::new(), String::new()])
        );
        let mut lines: Vec<&str> = errors.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "count: does not fit (-1): a whole number from 0 to 4294967295",
                "kind: is missing: it must be given",
                "pear.maxBytes: is not a size (1MB): a number with B, KiB or MiB, at most 1024MiB, as 64KiB",
                "pear.maxbytes: is not a field here: did you mean maxBytes?",
                "pear.names[1]: is a number (6000): a string: put it in quotes",
                "pear.names[2]: has no value: a string, or leave the field out",
                "pear.wait: is not a duration (5): a number with ms, s, m or h, as 250ms or 5m",
                "true: is not a field here: YAML 1.1 reads an unquoted y, n, yes, no, on or off as a boolean: quote the key",
            ]
        );
    }

    #[test]
    fn fields_that_are_keywords_are_written_plainly() {
        assert!(names("match", "r#match"));
        assert_eq!(camel("r#match"), "match");
    }

    #[test]
    fn words_are_written_as_they_are_read() {
        assert_eq!(Kind::from_word(Kind::Tame.as_str()), Some(Kind::Tame));
    }

    #[test]
    fn doubles_that_are_whole_are_counts() {
        assert_eq!(read::<u32>(json!(5e2)).0, Some(500));
        assert_eq!(read::<u32>(json!(0.5)).0, None);
        assert_eq!(read::<u32>(json!(4_294_967_296u64)).0, None);
    }
}
