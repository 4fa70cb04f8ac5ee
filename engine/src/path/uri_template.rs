//! Path templates: `{*}` is one segment, `{**}` any number of them, as Envoy's `uri_template` has it.

use super::segments::cut;
use crate::reasons::reasons;

reasons! {
    /// Why a value is not a template.
    pub(crate) enum TemplateError {
        NotAbsolute = "does not begin with /",
        BehindMany = "has an operator behind {**}",
        EmptySegment = "has an empty segment",
        Operator = "has {, } or * elsewhere than in a segment that is {*} or {**}",
        Character = "has a character that no template can match",
    }
}

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// The segments up to `{**}`, or all of them.
    head: Box<[Segment]>,
    /// What follows `{**}`, with its leading `/`.
    tail: Option<Box<[u8]>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// These very bytes; empty only behind a trailing `/`.
    Literal(Box<[u8]>),
    /// `{*}`
    One,
}

impl Template {
    /// Whether Istio takes a `paths` value for a template.
    pub(crate) fn is_template(value: &str) -> bool {
        value.contains("{*}") || value.contains("{**}")
    }

    /// Reads a template; an error says what is wrong with it.
    pub(crate) fn parse(value: &str) -> Result<Self, TemplateError> {
        let path = value.strip_prefix('/').ok_or(TemplateError::NotAbsolute)?;
        let mut head = Vec::new();
        let mut tail: Option<String> = None;
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            match (segment, &mut tail) {
                ("{*}" | "{**}", Some(_)) => return Err(TemplateError::BehindMany),
                ("{*}", None) => head.push(Segment::One),
                ("{**}", None) => tail = Some(String::new()),
                ("", _) if !last => return Err(TemplateError::EmptySegment),
                (literal, _) if !literal.bytes().all(|c| c != b'*' && is_segment(c)) => {
                    return Err(if literal.contains(['{', '}', '*']) {
                        TemplateError::Operator
                    } else {
                        TemplateError::Character
                    });
                }
                (literal, None) => head.push(Segment::Literal(literal.as_bytes().into())),
                (literal, Some(tail)) => {
                    tail.push('/');
                    tail.push_str(literal);
                }
            }
        }
        Ok(Self { head: head.into(), tail: tail.map(|tail| tail.into_bytes().into()) })
    }

    /// Whether a path, without query and fragment, fits as a whole.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let mut rest = path;
        for segment in &self.head {
            let Some(behind) = rest.strip_prefix(b"/") else { return false };
            let (part, _) = cut(behind);
            let Some(after) = behind.get(part.len()..) else { return false };
            let fits = match segment {
                Segment::Literal(literal) => **literal == *part,
                Segment::One => !part.is_empty() && part.iter().all(|c| is_segment(*c)),
            };
            if !fits {
                return false;
            }
            rest = after;
        }
        let Some(tail) = &self.tail else { return rest.is_empty() };
        let many = rest.strip_prefix(b"/").and_then(|rest| rest.strip_suffix(&**tail));
        many.is_some_and(|many| many.iter().all(|c| *c == b'/' || is_segment(*c)))
    }
}

impl std::fmt::Display for Template {
    /// As it was written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.head {
            match segment {
                Segment::Literal(literal) => write!(f, "/{}", String::from_utf8_lossy(literal))?,
                Segment::One => f.write_str("/{*}")?,
            }
        }
        match &self.tail {
            Some(tail) => write!(f, "/{{**}}{}", String::from_utf8_lossy(tail)),
            None => Ok(()),
        }
    }
}

/// The characters that an operator takes: RFC 3986 `pchar`, and `*`.
fn is_segment(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=*".contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_as_envoys() {
        for (template, path, fits) in [
            ("/foo/{*}", "/foo/bar", true),
            ("/foo/{*}", "/foo/", false),
            ("/foo/{*}", "/foo", false),
            ("/foo/{*}", "/foo/bar/", false),
            ("/foo/{*}", "/foo/a/b", false),
            ("/foo/{*}", "/foo/a*b", true),
            ("/foo/{*}", "/foo/a%2Fb", true),
            ("/foo/{*}", "/foo/a b", false),
            ("/foo/{*}", "/foo/a|b", false),
            ("/foo/{*}", "/foo/\"", false),
            ("/foo/{*}", "/foo/\u{e9}", false),
            ("/foo/{*}/", "/foo/bar/", true),
            ("/foo/{*}/", "/foo/bar", false),
            ("/{*}/b/{*}", "/a/b/c", true),
            ("/{*}/b/{*}", "/a/x/c", false),
            ("/foo/{**}", "/foo/", true),
            ("/foo/{**}", "/foo", false),
            ("/foo/{**}", "/foo/a/b//c/", true),
            ("/foo/{**}", "/foo/a b", false),
            ("/foo/{**}/", "/foo//", true),
            ("/foo/{**}/", "/foo/bar", false),
            ("/foo/{**}/", "/foo/bar/", true),
            ("/foo/{**}/", "/foo/", false),
            ("/{**}/path/template", "/a/b/path/template", true),
            ("/{**}/path/template", "//path/template", true),
            ("/{**}/path/template", "/path/template", false),
            ("/{**}", "/", true),
            ("/{**}", "", false),
            ("/{*}/{**}", "/a/", true),
            ("/{*}/{**}", "/a", false),
            ("/a.b/(c)/$+/{*}", "/a.b/(c)/$+/d", true),
            ("/a.b/{*}", "/axb/d", false),
        ] {
            let compiled = Template::parse(template).unwrap();
            assert_eq!(compiled.matches(path.as_bytes()), fits, "{template} {path}");
        }
    }

    #[test]
    fn what_envoy_could_not_match_is_refused() {
        for (template, why) in [
            ("foo/{*}", TemplateError::NotAbsolute),
            ("{**}", TemplateError::NotAbsolute),
            ("/{**}/{*}", TemplateError::BehindMany),
            ("/{**}/a/{**}", TemplateError::BehindMany),
            ("/a{*}", TemplateError::Operator),
            ("/{*}/{a}", TemplateError::Operator),
            ("/{*}/b*", TemplateError::Operator),
            ("/{*}/a b", TemplateError::Character),
            ("/{*}/\u{e9}", TemplateError::Character),
            ("/{*}//a", TemplateError::EmptySegment),
            ("//{*}", TemplateError::EmptySegment),
        ] {
            assert_eq!(Template::parse(template), Err(why), "{template}");
        }
    }
}
