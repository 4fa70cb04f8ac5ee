//! Names of Kubernetes objects, as they may stand in an address.

use std::rc::Rc;

use crate::order;
use crate::path::segments::cut;
use crate::refusal::Refusal;

/// What is said of a name that no object can have.
pub(crate) const NOT_A_NAME: Refusal =
    Refusal::new("a namespace, model or predictor in the address is not a DNS-1123 subdomain");

/// Whether an object can have this name: a DNS-1123 subdomain as Kubernetes checks it, which bounds
/// the whole (253 bytes) and not its labels.
pub(crate) fn is_name(name: &[u8]) -> bool {
    name.len() <= 253 && name.split(|c| *c == b'.').all(has_letters)
}

/// The longest label, in bytes.
pub(crate) const LABEL_MAX: usize = 63;

/// A DNS-1123 label: the name of a namespace or a service.
pub(crate) fn is_label(name: &[u8]) -> bool {
    name.len() <= LABEL_MAX && has_letters(name)
}

/// Whether `namespace/name` may be a model's.
pub(crate) fn is_model(id: &str) -> bool {
    let names = id.split_once('/');
    names.is_some_and(|(ns, name)| is_name(ns.as_bytes()) && is_name(name.as_bytes()))
}

/// Whether it is of a label's letters.
fn has_letters(label: &[u8]) -> bool {
    let edge = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    label.first().is_some_and(edge)
        && label.last().is_some_and(edge)
        && label.iter().all(|c| edge(c) || *c == b'-')
}

/// `namespace/name` of names.
pub(super) fn id(namespace: &[u8], service: &[u8]) -> Result<Rc<str>, Refusal> {
    Ok([name(namespace)?, "/", name(service)?].concat().into())
}

/// Namespace and name, and how many segments of a path they are.
pub(super) type Named<'a> = (&'a [u8], &'a [u8], usize);

/// The service that a path without its leading `/` names, of one of the namespaces, which are in order.
pub(super) fn named<'a>(namespaces: &[String], path: &'a [u8]) -> Option<Named<'a>> {
    let (mut namespace, mut rest) = cut(path);
    let mut segments = 2;
    if namespace == b"publishers"
        && let (publisher, Some(model)) = cut(rest?)
        && let Some(model) = model.strip_prefix(b"models/")
    {
        (namespace, rest, segments) = (publisher, Some(model), 4);
    }
    let name = cut(rest.filter(|rest| !rest.is_empty())?).0;
    let is_listed = std::str::from_utf8(namespace).is_ok_and(|one| order::holds(namespaces, one));
    is_listed.then_some((namespace, name, segments))
}

/// The bytes as a name.
pub(crate) fn name(bytes: &[u8]) -> Result<&str, Refusal> {
    if !is_name(bytes) {
        return Err(NOT_A_NAME);
    }
    std::str::from_utf8(bytes).map_err(|_| NOT_A_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_accepts() {
        let longest = "a".repeat(253);
        for good in ["a", "iris", "iris-2", "1", "a.b-c.d", "m-explainer", longest.as_str()] {
            assert!(is_name(good.as_bytes()), "{good}");
        }
        let longer = "a".repeat(254);
        for bad in [
            "", "-", "a-", "-a", "A", "iRis", "a_b", "a..b", ".a", "a.", "a.-b", "a b", "a%62",
            "a/b", "é", "*", &longer,
        ] {
            assert!(!is_name(bad.as_bytes()), "{bad}");
            assert!(!is_label(bad.as_bytes()), "{bad}");
        }
        assert!(!is_name(b"\xff"));
    }

    #[test]
    fn a_label_has_no_dots_and_a_model_two_names() {
        let longest = "a".repeat(63);
        for (label, right) in [("prod", true), ("a.b", false), (longest.as_str(), true)] {
            assert_eq!(is_label(label.as_bytes()), right, "{label}");
        }
        assert!(!is_label("a".repeat(64).as_bytes()));
        for (id, right) in [
            ("prod/iris", true),
            ("prod/a.b", true),
            ("prod", false),
            ("a/b/c", false),
            ("/b", false),
        ] {
            assert_eq!(is_model(id), right, "{id}");
        }
    }
}
