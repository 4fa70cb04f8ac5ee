//! Path patterns: what a rewrite applies to, and what its variables catch.

use crate::config::{Errors, Path};
use crate::order;

use super::escape::units;
use super::segments::cut;
use super::template::is_variable;

/// A path with variables, matched segment by segment; variables catch what the client wrote.
///
/// A variable catches one segment or a part of it, never empty; at most one in a segment, so that
/// there is only one way to match. `{name=**}` at the end, after a `/`, catches the rest of the path,
/// which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
    rest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable { before: String, name: String, after: String },
}

/// Variables and what they caught.
pub(crate) type Captures<'p, 'r> = Vec<(&'p str, &'r [u8])>;

impl Pattern {
    /// Reads a pattern; `None` after errors were recorded at `path`.
    pub(crate) fn parse(text: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let parsed = Self::read(text);
        if let Err((what, fix)) = parsed {
            errors.add_value(path, what, text, fix);
        }
        parsed.ok()
    }

    fn read(text: &str) -> Result<Self, (&'static str, &'static str)> {
        const FORM: &str = "a path as /models/{namespace}/{model}:predict or /a/{rest=**}";
        let bare = text.strip_prefix('/').ok_or(("does not begin with /", FORM))?;
        if text.contains(['?', '#']) {
            return Err(("holds ? or #", "the path alone: the query is kept and not matched"));
        }
        if text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(("holds a control character or \\", FORM));
        }
        let mut pattern = Self { segments: Vec::new(), rest: None };
        for segment in bare.split('/') {
            if pattern.rest.is_some() {
                return Err(("goes on behind {name=**}", "{name=**} at the very end"));
            }
            let rest = segment.strip_prefix('{').and_then(|s| s.strip_suffix("=**}"));
            if let Some(name) = rest.filter(|name| is_variable(name)) {
                pattern.rest = Some(name.to_owned());
            } else {
                pattern.segments.push(Segment::read(segment)?);
            }
        }
        let mut names: Vec<&str> = pattern.variables().collect();
        order::sort(&mut names);
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(("has a variable twice", "another name for one of them"));
        }
        Ok(pattern)
    }

    /// The variables, in order.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        let caught = self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable { name, .. } => Some(name.as_str()),
            Segment::Literal(_) => None,
        });
        caught.chain(self.rest.as_deref())
    }

    /// Whether every path that another pattern takes is taken by this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.segments.len(), other.segments.len());
        let ends = match (&self.rest, &other.rest) {
            (None, None) => ours == theirs,
            (None, Some(_)) => false,
            (Some(_), None) => ours < theirs,
            (Some(_), Some(_)) => ours <= theirs,
        };
        ends && self.segments.iter().zip(&other.segments).all(|(ours, theirs)| ours.covers(theirs))
    }

    /// What the variables catch in a path without query; `None` if it does not match.
    pub(crate) fn captures<'p, 'r>(&'p self, path: &'r [u8]) -> Option<Captures<'p, 'r>> {
        let mut captures = Vec::new();
        let mut left = Some(path.strip_prefix(b"/")?);
        for segment in &self.segments {
            let (first, rest) = cut(left?);
            match segment {
                Segment::Literal(text) if without(first, text, "") == Some(b"") => {}
                Segment::Literal(_) => return None,
                Segment::Variable { before, name, after } => {
                    let value = without(first, before, after)?;
                    if value.is_empty() {
                        return None;
                    }
                    captures.push((name.as_str(), value));
                }
            }
            left = rest;
        }
        match (&self.rest, left) {
            (Some(name), Some(rest)) => captures.push((name.as_str(), rest)),
            (None, None) => {}
            _ => return None,
        }
        Some(captures)
    }
}

impl Segment {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(ours), Self::Literal(theirs)) => ours == theirs,
            (Self::Literal(_), Self::Variable { .. }) => false,
            (Self::Variable { before, after, .. }, Self::Literal(text)) => {
                let inner = text.strip_prefix(&**before).and_then(|t| t.strip_suffix(&**after));
                inner.is_some_and(|inner| !inner.is_empty())
            }
            (
                Self::Variable { before, after, .. },
                Self::Variable { before: start, after: end, .. },
            ) => start.starts_with(&**before) && end.ends_with(&**after),
        }
    }

    fn read(text: &str) -> Result<Self, (&'static str, &'static str)> {
        const BRACES: (&str, &str) = (
            "has { or } without a variable",
            "variables as {model}; {name=**} as the last segment",
        );
        let Some((before, from)) = text.split_once('{') else {
            let literal = !text.contains('}');
            return if literal { Ok(Self::Literal(text.to_owned())) } else { Err(BRACES) };
        };
        let (name, after) = from.split_once('}').ok_or(BRACES)?;
        if after.contains('{') {
            return Err((
                "has two variables in one segment",
                "one variable between two /: where the first ends would be a guess",
            ));
        }
        if before.contains('}') || after.contains('}') || !is_variable(name) {
            return Err(BRACES);
        }
        let (before, name, after) = (before.to_owned(), name.to_owned(), after.to_owned());
        Ok(Self::Variable { before, name, after })
    }
}

/// What is left of a segment without these texts at its beginning and end; `None` if they are not there.
/// An escape counts as the byte that it stands for, as it does for a server and where targets are read:
/// Envoy decodes only what need not be encoded, and `:` reaches the filter as `%3A`.
fn without<'r>(segment: &'r [u8], before: &str, after: &str) -> Option<&'r [u8]> {
    let (before, after) = (before.as_bytes(), after.as_bytes());
    if ![segment, before, after].iter().any(|text| text.contains(&b'%')) {
        return segment.strip_prefix(before)?.strip_suffix(after);
    }
    let mut rest = units(segment);
    if !units(before).all(|(byte, _)| rest.next().is_some_and(|(found, _)| found == byte)) {
        return None;
    }
    let left: Vec<(u8, usize)> = rest.collect();
    let after: Vec<u8> = units(after).map(|(byte, _)| byte).collect();
    let kept = left.len().checked_sub(after.len())?;
    let (kept, end) = left.split_at_checked(kept)?;
    if !end.iter().map(|(byte, _)| byte).eq(&after) {
        return None;
    }
    let length = |units: &[(u8, usize)]| units.iter().map(|(_, length)| length).sum::<usize>();
    let start = segment.len().checked_sub(length(&left))?;
    segment.get(start..start.checked_add(length(kept))?)
}

#[cfg(test)]
impl std::fmt::Display for Pattern {
    /// As it was written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Variable { before, name, after } => {
                    write!(f, "/{before}{{{name}}}{after}")?;
                }
            }
        }
        self.rest.as_ref().map_or(Ok(()), |name| write!(f, "/{{{name}=**}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pattern() {
        for text in [
            "a",
            "",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a\tb",
            "/a\u{7f}",
            "/{r=**}/b",
            "/{r=**}x",
            "/{a}{b}",
            "/}{a}",
            "/{a}}",
            "/a}b",
            "/{a-b}",
            "/{}",
            "/{a",
            "/{=**}",
        ] {
            assert!(Pattern::read(text).is_err(), "{text}");
        }
        for text in ["/", "/a", "/{a}", "/x{a}y/{b_2}", "/a/{r=**}", "/{r=**}", "/a//b"] {
            assert!(Pattern::read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_what_takes_no_other_path() {
        let read = |text: &str| Pattern::read(text).unwrap();
        for (wide, narrow, covers) in [
            ("/a/{x}", "/a/{y}", true),
            ("/a/{x}", "/a/b", true),
            ("/a/b", "/a/{x}", false),
            ("/a/{x}", "/a/{x}/b", false),
            ("/a/{x}", "/a/", false),
            ("/a/{x}:predict", "/a/{x}:predict", true),
            ("/a/{x}", "/a/{x}:predict", true),
            ("/a/{x}:predict", "/a/{x}", false),
            ("/a/{x}:predict", "/a/:predict", false),
            ("/a/{r=**}", "/a/{x}", true),
            ("/a/{r=**}", "/a", false),
            ("/a/{r=**}", "/a/{x}/{r=**}", true),
            ("/a/{x}/{r=**}", "/a/{r=**}", false),
            ("/{r=**}", "/a/b/c", true),
            ("/a/{x}", "/a/{r=**}", false),
        ] {
            assert_eq!(read(wide).covers(&read(narrow)), covers, "{wide} {narrow}");
        }
    }
}
