//! Whose answers are read, and by which claim of the caller they are counted.

use serde_json::Value;

use crate::authn::Identity;
use crate::authz::{ModelNames, Models, claim_path};
use crate::config::types;
use crate::config::{Errors, Path};

/// The compiled setting `usage`.
#[derive(Debug)]
pub struct Usage {
    models: Models,
    /// Names from the outermost object on; empty: no claim.
    claim: Vec<String>,
    /// How many values of the claim have a label of their own.
    pub max_labels: u32,
}

impl Usage {
    /// `None` where no answer is read; errors are recorded.
    pub(crate) fn compile(
        settings: &types::Usage,
        names: ModelNames,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let models = path.field("models");
        if settings.models.is_empty() {
            if settings.claim.is_some() {
                let fix = "namespace/name of the models whose answers are read, or \"*\" for all";
                errors.add(&models, "is empty, so that nothing is counted by the claim", fix);
            }
            return None;
        }
        let text = settings.claim.as_deref();
        let claim = text.map_or(Some(Vec::new()), claim_names);
        if let (None, Some(text)) = (&claim, text) {
            let fix =
                "a claim's name, as team, with a . between nested names; or each name in brackets";
            errors.add_value(&path.field("claim"), "is not a path of a claim", text, fix);
        }
        let claim = claim.unwrap_or_default();
        let models = Models::compile(&settings.models, names, &models, errors)?;
        Some(Self { models, claim, max_labels: settings.claim_labels.max })
    }

    /// Whether answers of this model are read.
    pub fn reads(&self, model: &str) -> bool {
        self.models.matches(model)
    }

    /// What the claim says of a caller: a text, or the only one of a list.
    pub fn caller<'i>(&self, identity: &'i Identity) -> Option<&'i str> {
        match identity.claim(&self.claim)? {
            Value::Array(list) => list.first().filter(|_| list.len() == 1)?.as_str(),
            value => value.as_str(),
        }
    }

    /// Whether callers are told apart.
    pub fn has_claim(&self) -> bool {
        !self.claim.is_empty()
    }
}

/// `team`, `org.team`; or as policies have it, `[https://example.com/team]`, `[org][team]`.
pub(crate) fn claim_names(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        return claim_path(text)
            .map(|names| names.iter().map(|name| (**name).to_owned()).collect());
    }
    let names = text.split('.').map(str::to_owned);
    names.map(|name| (!name.is_empty()).then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_named_by_dots_or_brackets() {
        for (text, names) in [
            ("team", Some(&["team"][..])),
            ("org.team", Some(&["org", "team"])),
            ("[https://example.com/team]", Some(&["https://example.com/team"])),
            ("[kubernetes.io][namespace]", Some(&["kubernetes.io", "namespace"])),
            ("", None),
            ("a..b", None),
            ("[a][]", None),
            ("[a", None),
        ] {
            let names = names.map(|names| names.iter().map(|one| (*one).to_owned()).collect());
            assert_eq!(claim_names(text), names, "{text}");
        }
    }

    #[test]
    fn a_claim_is_a_text_or_the_only_one_of_a_list() {
        let Value::Object(claims) = json!({
            "team": "fraud", "one": ["ops"], "two": ["a", "b"], "n": 7, "none": [], "deep": {"team": "x"},
        }) else {
            panic!()
        };
        let identity = Identity { issuer: None, subject: None, claims };
        for (claim, want) in [
            ("team", Some("fraud")),
            ("one", Some("ops")),
            ("two", None),
            ("n", None),
            ("none", None),
            ("deep", None),
            ("deep.team", Some("x")),
            ("team.x", None),
            ("absent", None),
        ] {
            let claim = claim.split('.').map(str::to_owned).collect();
            let usage = Usage { models: Models::default(), claim, max_labels: 0 };
            assert_eq!(usage.caller(&identity), want, "{:?}", usage.claim);
        }
    }
}
