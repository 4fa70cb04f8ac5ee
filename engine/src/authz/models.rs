//! `models` and `operations`: what a request reaches, in a policy's scope and in its rules.

use super::values::Values;
use crate::config::{Errors, Path};
use crate::matcher::StringMatch;
use crate::routing::Operation;
use crate::routing::names::is_name;

/// A `models` list: values of `namespace/name`, either end of it with a `*`, or `*` for any model. What it fits is any
/// of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Models(Values);

/// What names models may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelNames {
    /// Those of Kubernetes' objects.
    Objects,
    /// Any text, because bodies name models: `meta-llama/Llama-3.1-8B-Instruct`, `gpt-oss:20b`.
    Texts,
}

impl Models {
    /// Reads the list at `path`; `None` after at least one error was recorded. A value that could match nothing is
    /// one: a DENY must not be void.
    pub fn compile(
        values: &[String],
        names: ModelNames,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| {
            for (i, value) in values.iter().enumerate() {
                if let Some(what) = mistake(value, names) {
                    let fix = "namespace/name, namespace/*, */name, or * for any model";
                    errors.add_value(&path.index(i), what, value, fix);
                }
            }
            Self(Values::new(values.iter().map(|value| StringMatch::new(value))))
        })
    }

    /// The same where it has to name a model.
    pub fn compile_some(
        values: &[String],
        names: ModelNames,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        if values.is_empty() {
            errors.add(path, "is empty", "namespace/name of the models, or \"*\" for all of them");
            return None;
        }
        Self::compile(values, names, path, errors)
    }

    /// Whether a model, written `namespace/name`, fits.
    pub fn matches(&self, id: &str) -> bool {
        self.0.match_header(id.as_bytes())
    }

    /// The values.
    pub(super) fn values(&self) -> &Values {
        &self.0
    }

    /// The keys under which a [`ModelMap`] finds all models that fit: `namespace/name`, and `namespace/` for those of a
    /// namespace. `None` if they may be in any.
    pub(super) fn keys<'m>(&'m self, found: &mut Vec<&'m [u8]>) -> Option<()> {
        if self.0.has_any() {
            return None;
        }
        found.extend(self.0.exact());
        for pattern in self.0.patterns() {
            let StringMatch::Prefix(prefix) = pattern else { return None };
            let slash = prefix.iter().position(|c| *c == b'/')?;
            found.push(prefix.get(..=slash)?);
        }
        Some(())
    }
}

fn mistake(value: &str, names: ModelNames) -> Option<&'static str> {
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
    } else if names == ModelNames::Texts && (open_start || is_name(namespace.as_bytes())) {
        name.contains(char::is_control).then_some("has a character that no model's name has")
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
    fn an_operation_that_is_named_twice_is_named() {
        let predict = Operations::default().with(Operation::Predict);
        for set in [
            predict.with(Operation::Predict),
            predict.union(predict),
            predict.union(Operations::open()),
            Operations::open().union(predict),
        ] {
            assert!(set.contains(Operation::Predict) && !set.contains(Operation::Metrics));
        }
    }

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
            let path = Path::ROOT.field("models");
            let read =
                Models::compile(&[value.to_owned()], ModelNames::Objects, &path, &mut errors);
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
            let values = [value.to_owned()];
            let read =
                Models::compile(&values, ModelNames::Objects, &Path::ROOT, &mut Errors::default())
                    .unwrap();
            assert_eq!(read.matches(id), fits, "{value} {id}");
        }
    }

    #[test]
    fn a_list_that_has_to_name_a_model_is_not_empty() {
        let mut errors = Errors::default();
        assert!(
            Models::compile_some(
                &[],
                ModelNames::Objects,
                &Path::ROOT.field("models"),
                &mut errors
            )
            .is_none()
        );
        assert_eq!(
            errors.to_string(),
            "models: is empty: namespace/name of the models, or \"*\" for all of them"
        );
        assert!(Models::compile(&[], ModelNames::Objects, &Path::ROOT, &mut errors).is_some());
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
