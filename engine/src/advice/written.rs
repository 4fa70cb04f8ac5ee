//! Values that are compared as they are written, and are written for something else: with a blank at an end, with
//! characters that nobody sees, as a regular expression, or with quotes around the name of a claim.

use super::Advisor;
use crate::authz::claim_path;
use crate::config::types::{Condition, Source};
use crate::config::{Path, Warning};

impl Advisor<'_, '_> {
    /// The texts of a source.
    pub(super) fn written_source(&mut self, source: &Source, path: &Path<'_>) {
        for (field, values) in [
            ("principals", &source.principals),
            ("notPrincipals", &source.not_principals),
            ("requestPrincipals", &source.request_principals),
            ("notRequestPrincipals", &source.not_request_principals),
            ("namespaces", &source.namespaces),
            ("notNamespaces", &source.not_namespaces),
            ("serviceAccounts", &source.service_accounts),
            ("notServiceAccounts", &source.not_service_accounts),
            ("trustDomains", &source.trust_domains),
            ("notTrustDomains", &source.not_trust_domains),
        ] {
            let path = path.field(field);
            self.written(values, &path);
            if field.ends_with("equestPrincipals") {
                self.subjects(values, &path);
            }
        }
    }

    /// A condition's key and values, where they are texts.
    pub(super) fn written_condition(&mut self, condition: &Condition, path: &Path<'_>) {
        let key = condition.key.as_str();
        if let Some(brackets) = key.strip_prefix("request.auth.claims")
            && let Some(what) = claim_path(brackets).and_then(|names| no_claim(&names))
        {
            let fix = "names as they stand in tokens, as request.auth.claims[realm_access][roles]";
            self.never(&path.field("key"), what, key, fix);
        }
        let is_text = key.starts_with("request.auth.")
            || key.starts_with("source.") && key != "source.ip"
            || key.starts_with("request.headers[") && !key.starts_with("request.headers[:")
            || key == "connection.sni";
        for (field, values) in [("values", &condition.values), ("notValues", &condition.not_values)]
        {
            let path = path.field(field);
            if is_text {
                self.written(values, &path);
            }
            if key == "request.auth.principal" {
                self.subjects(values, &path);
            }
        }
    }

    fn written(&mut self, values: &[String], path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            if let Some((what, fix)) = mistaken(value) {
                self.errors.warn_value(Warning::NeverMatches, &path.index(i), what, value, fix);
            }
        }
    }

    /// Principals that end with the `/` behind the issuer.
    fn subjects(&mut self, values: &[String], path: &Path<'_>) {
        let bare = |value: &String| value.ends_with('/') && !value.starts_with('*');
        for (i, value) in values.iter().enumerate().filter(|(_, value)| bare(value)) {
            let what = "matches only tokens with an empty `sub`, as in Istio";
            let fix = format!("{value}* for every subject");
            self.errors.warn_value(Warning::NeverMatches, &path.index(i), what, value, &fix);
        }
    }
}

/// Why a value fits nothing that its author can have meant, and what would be right.
fn mistaken(value: &str) -> Option<(&'static str, &'static str)> {
    let trimmed = value.trim();
    if value.chars().any(|c| c.is_control() || is_unseen(c)) {
        Some(("holds a character that nobody sees, and is compared with it", "the text without it"))
    } else if trimmed != value && !trimmed.is_empty() {
        Some(("has a blank at an end, and is compared with it", "the text without it"))
    } else if is_expression(value) {
        let fix = "each text as a value of its own, or one * at an end";
        Some(("matches only this very text: it is not read as a pattern", fix))
    } else {
        None
    }
}

/// Characters without width, and the blanks that word processors write.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Whether a text looks like a regular expression, and like nothing that names somebody: subjects hold `|`, names of
/// machines end with `$`, and `com.example.*` is a prefix.
fn is_expression(value: &str) -> bool {
    let mut brackets = value.split('[').skip(1);
    let is_choice = value.split_once('(').is_some_and(|(_, inner)| {
        inner.split_once(')').is_some_and(|(choice, _)| choice.contains('|'))
    });
    matches!(value, ".*" | ".+")
        || value.starts_with('^')
        || is_choice
        || brackets.any(|inner| inner.as_bytes().get(1) == Some(&b'-') && inner.contains(']'))
}

/// Why no token has such a claim.
fn no_claim(names: &[Box<str>]) -> Option<&'static str> {
    let is_quoted = |name: &str| name.starts_with(['"', '\'']) || name.ends_with(['"', '\'']);
    let is_place = |name: &str| name == "*" || name.bytes().all(|c| c.is_ascii_digit());
    if names.iter().any(|name| is_quoted(name)) {
        Some("the quotes are taken for a part of the claim's name")
    } else if names.iter().any(|name| name.trim() != &**name) {
        Some("the blank is taken for a part of the claim's name")
    } else if names.iter().skip(1).any(|name| is_place(name))
        || names.iter().any(|name| name.contains('[') && name.ends_with(']'))
    {
        Some("no name leads into a list: any of its texts may fit")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_something_else() {
        for value in [
            "ds ",
            " ds",
            "ds\n",
            "ds\u{200b}",
            "d\u{a0}s",
            "\u{feff}ds",
            "ds\0",
            "ds *\t",
            ".*",
            ".+",
            "^ds$",
            "^ds",
            "[a-z]+",
            "team-[0-9]",
            "(ds|ops)",
            "x-(a|b)",
        ] {
            assert!(mistaken(value).is_some(), "{value:?}");
        }
        for value in [
            "ds",
            "d s",
            "*",
            "* ds",
            "ds *",
            "ds*",
            "*@example.com",
            "com.example.*",
            "auth0|123",
            "HOST$",
            "a|b",
            "R&D (EU)",
            "a(b)c|d",
            "[ds]",
            "[-",
            "a^b",
            "\u{e9}",
            "cluster.local/ns/a/sa/b",
            "*.example.org",
            " ",
        ] {
            assert_eq!(mistaken(value), None, "{value:?}");
        }
    }

    #[test]
    fn keys_that_are_no_claims() {
        for (brackets, told) in [
            (r#"["groups"]"#, true),
            ("['groups']", true),
            ("[ groups]", true),
            ("[groups ]", true),
            ("[groups[0]]", true),
            ("[groups][0]", true),
            ("[groups][*]", true),
            ("[realm_access][\"roles\"]", true),
            ("[groups]", false),
            ("[realm_access][roles]", false),
            ("[https://example.com/roles]", false),
            ("[kubernetes.io][namespace]", false),
            ("[cognito:groups]", false),
            ("[a b]", false),
            ("[0]", false),
        ] {
            assert_eq!(no_claim(&claim_path(brackets).unwrap()).is_some(), told, "{brackets}");
        }
    }
}
