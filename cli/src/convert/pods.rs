//! Which models the pods are that a selector is for.

use std::collections::{BTreeMap, BTreeSet};

use super::part::Workload;

/// The label of a SeldonDeployment's pods, with its name.
const SELDON: &str = "seldon-deployment-id";

/// The label of an InferenceService's pods, with its name.
pub const KSERVE: &str = "serving.kserve.io/inferenceservice";

/// Models whose pods are selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pods {
    /// Their names, as `prod/iris` or `prod/*`.
    pub models: Vec<String>,
    /// What routes take off paths, if that is one thing and known.
    pub prefix: Option<String>,
    /// Whether some of a model's pods are not selected.
    pub is_part: bool,
    /// Whether they are known to be KServe's.
    pub is_kserve: bool,
}

/// The models with these labels in a namespace, or in any; none if no model is known to have them.
pub fn select(
    namespace: Option<&str>,
    labels: &BTreeMap<String, String>,
    workloads: &[Workload],
) -> Option<Pods> {
    let is_there = |workload: &&Workload| namespace.is_none_or(|n| n == workload.namespace);
    if let (Some(namespace), true) = (namespace, labels.is_empty()) {
        let models = vec![format!("{namespace}/*")];
        return Some(Pods { models, prefix: None, is_part: false, is_kserve: false });
    }
    let fits = |workload: &Workload| {
        labels.iter().all(|(name, value)| workload.labels.get(name) == Some(value))
    };
    let there: Vec<&Workload> = workloads.iter().filter(is_there).collect();
    let found: Vec<&&Workload> = there.iter().filter(|workload| fits(workload)).collect();
    let models: BTreeSet<&String> = found.iter().map(|workload| &workload.model).collect();
    if !models.is_empty() {
        let is_part =
            there.iter().any(|workload| models.contains(&workload.model) && !fits(workload));
        let prefixes: BTreeSet<&Option<String>> = found.iter().map(|w| &w.prefix).collect();
        let prefix = match prefixes.first() {
            Some(prefix) if prefixes.len() == 1 => (*prefix).clone(),
            _ => None,
        };
        let is_kserve = found.iter().any(|workload| workload.labels.contains_key(KSERVE));
        let models = models.into_iter().cloned().collect();
        return Some(Pods { models, prefix, is_part, is_kserve });
    }
    let of = namespace.unwrap_or("*");
    let is_part = labels.len() > 1;
    let (name, is_kserve) = match (labels.get(SELDON), labels.get(KSERVE)) {
        (Some(name), None) => (name, false),
        (None, Some(name)) => (name, true),
        _ => return None,
    };
    let prefix = namespace.filter(|_| !is_kserve).map(|n| format!("/seldon/{n}/{name}"));
    Some(Pods { models: vec![format!("{of}/{name}")], prefix, is_part, is_kserve })
}

/// Whether every model that the second fits is one that the first fits.
pub fn covers(one: &str, other: &str) -> bool {
    let (prefix, suffix) = (one.strip_suffix('*'), one.strip_prefix('*'));
    one == other
        || one == "*"
        || prefix.is_some_and(|prefix| other.starts_with(prefix))
        || suffix.is_some_and(|suffix| !suffix.ends_with('*') && other.ends_with(suffix))
}

/// Whether there may be a model that both fit.
pub fn overlap(one: &str, other: &str) -> bool {
    let both_ends = one.starts_with('*') && other.ends_with('*')
        || one.ends_with('*') && other.starts_with('*');
    covers(one, other) || covers(other, one) || both_ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn labels_select_models() {
        let workload = |model: &str, version: &str| Workload {
            labels: labels(&[("app", model), ("version", version), ("tier", "models")]),
            namespace: "prod".to_owned(),
            model: format!("prod/{model}"),
            prefix: Some(format!("/seldon/prod/{model}")),
        };
        let known =
            [workload("iris", "main"), workload("iris", "canary"), workload("fraud", "main")];
        for (namespace, selector, wanted) in [
            (Some("prod"), &[][..], Some((&["prod/*"][..], None, false))),
            (
                Some("prod"),
                &[("app", "iris")],
                Some((&["prod/iris"], Some("/seldon/prod/iris"), false)),
            ),
            (
                Some("prod"),
                &[("version", "canary")],
                Some((&["prod/iris"], Some("/seldon/prod/iris"), true)),
            ),
            (
                Some("prod"),
                &[("tier", "models")],
                Some((&["prod/fraud", "prod/iris"], None, false)),
            ),
            (Some("test"), &[("app", "iris")], None),
            (None, &[("app", "fraud")], Some((&["prod/fraud"], Some("/seldon/prod/fraud"), false))),
            (Some("test"), &[(SELDON, "x")], Some((&["test/x"], Some("/seldon/test/x"), false))),
            (
                Some("test"),
                &[(SELDON, "x"), ("version", "a")],
                Some((&["test/x"], Some("/seldon/test/x"), true)),
            ),
            (None, &[(SELDON, "x")], Some((&["*/x"], None, false))),
            (Some("test"), &[(KSERVE, "x")], Some((&["test/x"], None, false))),
            (Some("test"), &[(KSERVE, "x"), (SELDON, "x")], None),
        ] {
            let found = select(namespace, &labels(selector), &known);
            let found = found.map(|pods| (pods.models, pods.prefix, pods.is_part));
            let wanted = wanted.map(|(models, prefix, is_part)| {
                let models = models.iter().map(|model| (*model).to_owned()).collect::<Vec<_>>();
                (models, prefix.map(str::to_owned), is_part)
            });
            assert_eq!(found, wanted, "{namespace:?} {selector:?}");
        }
    }

    #[test]
    fn patterns_cover_and_overlap() {
        for (one, other, covering, overlapping) in [
            ("prod/*", "prod/iris", true, true),
            ("prod/iris", "prod/*", false, true),
            ("*/iris", "prod/iris", true, true),
            ("*/iris", "prod/*", false, true),
            ("prod/*", "*/iris", false, true),
            ("prod/a", "prod/b", false, false),
            ("prod/*", "test/*", false, false),
            ("*", "prod/*", true, true),
        ] {
            assert_eq!(
                (covers(one, other), overlap(one, other)),
                (covering, overlapping),
                "{one} {other}"
            );
        }
    }
}
