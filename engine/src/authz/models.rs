//! `models` and `operations`: what a request reaches, in a policy's scope and in its rules.

use super::values::Values;
use crate::config::{Errors, Path};
use crate::matcher::StringMatch;
use crate::target::Operation;

/// One value of a `models` list: `namespace/name`, either end of it with a `*`, or `*` for any model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMatch(StringMatch);

impl ModelMatch {
    /// Whether a model, written `namespace/name`, fits.
    pub fn matches(&self, id: &str) -> bool {
        self.0.matches(id.as_bytes())
    }

    /// The one model that fits, if there is just one.
    pub fn exact(&self) -> Option<&str> {
        match &self.0 {
            StringMatch::Exact(id) => std::str::from_utf8(id).ok(),
            _ => None,
        }
    }
}

/// Reads a `models` list. A value that could match nothing is an error: a DENY must not be void.
pub fn compile_models(
    values: &[String],
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Vec<ModelMatch>> {
    let read: Vec<Option<ModelMatch>> = values
        .iter()
        .enumerate()
        .map(|(i, value)| match mistake(value) {
            None => Some(ModelMatch(StringMatch::new(value))),
            Some(what) => {
                let fix = "namespace/name, namespace/*, */name, or * for any model";
                errors.add_value(&path.index(i), what, value, fix);
                None
            }
        })
        .collect();
    read.into_iter().collect()
}

pub(super) fn values(matches: Vec<ModelMatch>) -> Values {
    Values::new(matches.into_iter().map(|m| m.0))
}

fn mistake(value: &str) -> Option<&'static str> {
    if value == "*" {
        return None;
    }
    let open_start = value.starts_with('*');
    let open_end = value.ends_with('*');
    let literal = value.strip_prefix('*').unwrap_or(value);
    let literal = if open_start { literal } else { literal.strip_suffix('*').unwrap_or(literal) };
    let Some((namespace, name)) = literal.split_once('/') else {
        return Some("is not a model");
    };
    if literal.contains('*') {
        Some("has * elsewhere than at one end")
    } else if (namespace.is_empty() && !open_start) || (name.is_empty() && !open_end) {
        Some("has an empty namespace or name")
    } else if name.contains('/') {
        Some("has more than one /")
    } else if !literal
        .bytes()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.' | b'/'))
    {
        Some("has a character that no model's name has")
    } else {
        None
    }
}

/// A set of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Operations(u16);

impl Operations {
    /// `*` where it refuses, counts, or is negated.
    pub(super) const ALL: Self = Self(u16::MAX);

    /// `*` where it opens: closed operations are opened by their names only.
    pub(super) fn open() -> Self {
        let words = Operation::WORDS.iter().filter_map(|word| Operation::from_word(word));
        words.filter(|operation| !operation.is_closed()).fold(Self::default(), Self::with)
    }

    pub(super) fn with(self, operation: Operation) -> Self {
        Self(self.0 | Self::bit(operation))
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contains(self, operation: Operation) -> bool {
        self.0 & Self::bit(operation) != 0
    }

    fn bit(operation: Operation) -> u16 {
        1 << operation as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_value_is_a_model_or_open_at_one_end() {
        for (value, right) in [
            ("*", true),
            ("prod/iris", true),
            ("prod/*", true),
            ("prod/fraud-*", true),
            ("*/iris", true),
            ("*-prod/iris", true),
            ("seldon-mesh/iris.pipeline", true),
            ("", false),
            ("iris", false),
            ("prod*", false),
            ("*iris", false),
            ("**", false),
            ("*/*", false),
            ("*/ir*", false),
            ("prod/*/x", false),
            ("pr*d/iris", false),
            ("prod/ir*s", false),
            ("/iris", false),
            ("prod/", false),
            ("/*", false),
            ("*/", false),
            ("prod/iris/v2", false),
            ("Prod/iris", false),
            ("prod/iris model", false),
        ] {
            let mut errors = Errors::default();
            let read =
                compile_models(&[value.to_owned()], &Path::ROOT.field("models"), &mut errors);
            assert_eq!(read.is_some(), right, "{value} {errors}");
            assert_eq!(errors.is_empty(), right, "{value} {errors}");
        }
    }

    #[test]
    fn a_models_value_matches_the_whole_id() {
        for (value, id, fits) in [
            ("*", "prod/iris", true),
            ("prod/iris", "prod/iris", true),
            ("prod/iris", "prod/iris2", false),
            ("prod/*", "prod/iris", true),
            ("prod/*", "prod2/iris", false),
            ("*/iris", "prod/iris", true),
            ("*/iris", "prod/x-iris", false),
        ] {
            let read =
                compile_models(&[value.to_owned()], &Path::ROOT, &mut Errors::default()).unwrap();
            assert_eq!(read[0].matches(id), fits, "{value} {id}");
            assert_eq!(read[0].exact().is_some(), !value.contains('*'), "{value}");
        }
    }

    #[test]
    fn every_operation_has_its_own_bit() {
        for word in Operation::WORDS {
            let one = Operation::from_word(word).unwrap();
            for other in Operation::WORDS {
                let other = Operation::from_word(other).unwrap();
                assert_eq!(Operations::default().with(one).contains(other), one == other);
            }
            assert!(Operations::ALL.contains(one));
        }
    }
}
