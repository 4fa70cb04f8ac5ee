//! Templates: text with variables, filled in.

use crate::config::{Errors, Path};

/// Room for most of what templates give, in bytes: allocated once instead of part by part.
const EXPANDED: usize = 128;

/// Text with `{variables}`, as `/seldon/{namespace}/{model}/api/v1.0/predictions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Template {
    /// Reads a template; `None` after an error was recorded at `path`. `{` and `}` stand for nothing
    /// but variables, whose names are letters, digits and `_`.
    pub fn parse(text: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let parsed = parts(text);
        match &parsed {
            None => {
                let fix = "variables as {model}, and no other { or }";
                errors.add_value(path, "is not a template", text, fix);
            }
            Some(_) if text.contains(char::is_control) => {
                errors.add_value(path, "holds a control character", text, "printable text");
                return None;
            }
            Some(_) => {}
        }
        parsed.map(|parts| Self { parts })
    }

    /// Records every variable that is not one of `known`.
    pub fn check(&self, known: &[&str], path: &Path<'_>, errors: &mut Errors) {
        for variable in self.variables().filter(|v| !known.contains(v)) {
            let fix = if known.is_empty() {
                "no variable is known here".to_owned()
            } else {
                format!("one of {{{}}}", known.join("}, {"))
            };
            errors.add_value(path, "uses an unknown variable", format!("{{{variable}}}"), fix);
        }
    }

    /// The variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The text before the first variable, and whether that is all.
    pub fn literal_start(&self) -> (&str, bool) {
        match self.parts.as_slice() {
            [] => ("", true),
            [Part::Literal(text)] => (text, true),
            [Part::Literal(text), ..] => (text, false),
            [Part::Variable(_), ..] => ("", false),
        }
    }

    /// Whether what stands for a variable is the end of the host that this is, perhaps before a port.
    pub fn ends_captured_host(&self) -> bool {
        match self.parts.as_slice() {
            [.., Part::Variable(_)] => true,
            [.., Part::Variable(_), Part::Literal(text)] => text.starts_with(':'),
            _ => false,
        }
    }

    /// The text with every variable replaced; `None` if `lookup` does not know one.
    pub fn expand<'v>(&self, lookup: impl Fn(&str) -> Option<&'v [u8]>) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(EXPANDED);
        for part in &self.parts {
            text.extend_from_slice(match part {
                Part::Literal(literal) => literal.as_bytes(),
                Part::Variable(name) => lookup(name)?,
            });
        }
        Some(text)
    }
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, from)) = rest.split_once('{') {
        let (name, after) = from.split_once('}')?;
        if literal.contains('}') || !is_variable(name) {
            return None;
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        parts.push(Part::Variable(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    Some(parts)
}

/// Whether a variable may have this name.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

impl std::fmt::Display for Template {
    /// As it was written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Variable(name) => write!(f, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Template>, bool) {
        let mut errors = Errors::default();
        let read = Template::parse(text, &Path::ROOT, &mut errors);
        (read, errors.is_empty())
    }

    #[test]
    fn what_is_a_template() {
        for text in ["", "/a", "{a}", "/a/{b_2}/c", "{a}{b}", "é{a}"] {
            let (template, right) = read(text);
            assert!(right, "{text}");
            assert_eq!(template.unwrap().to_string(), text);
        }
        for text in [
            "{",
            "}",
            "{a",
            "a}",
            "a}b{c}",
            "{c}a}",
            "{}",
            "{a-b}",
            "{a b}",
            "{é}",
            "a\tb",
            "{a}\u{7f}",
        ] {
            let (template, right) = read(text);
            assert!(template.is_none() && !right, "{text}");
        }
    }

    #[test]
    fn what_stands_at_its_beginning_and_at_its_end() {
        for (text, start, is_captured) in [
            ("", ("", true), false),
            ("a:80", ("a:80", true), false),
            ("x.{a}", ("x.", false), true),
            ("{a}", ("", false), true),
            ("{a}:80", ("", false), true),
            ("{a}.x:80", ("", false), false),
            ("x{a}.x", ("x", false), false),
        ] {
            let template = read(text).0.unwrap();
            assert_eq!(template.literal_start(), start, "{text}");
            assert_eq!(template.ends_captured_host(), is_captured, "{text}");
        }
    }
}
