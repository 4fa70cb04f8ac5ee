//! What can be configured: the JSON Schema, the reference, and `modelgate explain`, all made from the
//! declarations that the filter itself reads by.

pub mod explain;
pub mod reference;
pub mod schema;
pub mod warnings;

use modelgate_engine::config::describe::{Field, Settings, Shape};
use serde_json::Value;

/// A comment as running text: its lines joined, its paragraphs kept.
fn text(about: &str) -> String {
    let mut text = String::new();
    for line in about.lines().map(str::trim) {
        match (line, text.ends_with('\n')) {
            ("", false) => text.push_str("\n\n"),
            ("", true) => {}
            (_, true) => text.push_str(line),
            _ if text.is_empty() => text.push_str(line),
            _ => {
                text.push(' ');
                text.push_str(line);
            }
        }
    }
    text.trim_end().to_owned()
}

/// The settings at the end of lists and objects, if that is what a shape holds.
fn inner(shape: &Shape) -> Option<&Settings> {
    match shape {
        Shape::Settings(settings) => Some(settings),
        Shape::List(item) | Shape::Entries(item) => inner(item),
        _ => None,
    }
}

/// A shape in words, as a column of a table or behind a name.
fn words(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "boolean".into(),
        Shape::String => "string".into(),
        Shape::Count => "whole number".into(),
        Shape::Number => "number".into(),
        Shape::Duration => "duration".into(),
        Shape::Size => "size".into(),
        Shape::Any => "any JSON".into(),
        Shape::Words(_) => "word".into(),
        Shape::Settings(_) => "object".into(),
        Shape::List(item) => match &**item {
            Shape::Settings(_) => "list of objects".into(),
            item => format!("list of {}s", words(item)),
        },
        Shape::Entries(item) => format!("{} for each name", words(item)),
    }
}

/// What the absence of a field means, as YAML writes it; `None` where that goes without saying: it is
/// required, has no value of its own, or has the defaults of its settings.
fn default(field: &Field) -> Option<String> {
    match field.default.as_ref()? {
        Value::Null => None,
        _ if inner(&field.shape).is_some() => None,
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        value => Some(value.to_string()),
    }
}
