//! Tokens that models' pods check themselves, beside the gateway or in its place.

use serde_json::{Value, json};

use super::view::Tokens;
use crate::convert::authentication::{Checks, OfPods};
use crate::convert::part::{Done, Part, Remark};
use crate::convert::pods::{covers, overlap};

/// Fields that say where a token is and what verifies it.
const SAME: [&str; 5] = ["jwks", "jwksUri", "fromHeaders", "fromParams", "fromCookies"];

/// Whether policies of these models' pods know who calls.
pub fn known(checks: &Checks<'_>, models: &[String]) -> Tokens {
    if checks.gateway.is_empty() && checks.pods.is_empty() {
        return Tokens::Same;
    }
    let covered = |pods: &OfPods<'_>| {
        models.iter().all(|model| pods.models.iter().any(|own| covers(own, model)))
    };
    let touched = |pods: &OfPods<'_>| {
        models.iter().any(|model| pods.models.iter().any(|own| overlap(own, model)))
    };
    if !checks.pods.iter().any(covered) {
        return match checks.pods.iter().any(touched) {
            true => Tokens::Unknown,
            false => Tokens::Nobody,
        };
    }
    let forwarded = checks.gateway.iter().filter(|rule| forwards(rule)).count();
    match forwarded {
        _ if forwarded == checks.gateway.len() => Tokens::Same,
        0 => Tokens::Nobody,
        _ => Tokens::Unknown,
    }
}

fn forwards(rule: &Value) -> bool {
    rule.get("forwardOriginalToken").and_then(Value::as_bool) == Some(true)
}

/// DENY policies that keep to models the tokens that their pods take, where the gateway takes others as well.
pub fn guards(checks: &Checks<'_>, rules: &[Value]) -> (Vec<Part>, Vec<Remark>) {
    let (mut parts, mut remarks) = (Vec::new(), Vec::new());
    // What the gateway takes off, pods do not see.
    let rules: Vec<Value> = match checks.gateway.is_empty() {
        true => rules.to_vec(),
        false => rules.iter().filter(|rule| forwards(rule)).cloned().collect(),
    };
    for (i, pods) in checks.pods.iter().enumerate().filter(|(_, pods)| !pods.is_also) {
        let others = checks.pods.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, o)| o);
        let others: Vec<&OfPods<'_>> = others.collect();
        let mut refused = |reason: &str| {
            remarks.push(Remark::new(pods.document, "spec.jwtRules", Done::Refused, reason));
        };
        // What pods of more models have, these have as well.
        let wider = |other: &&OfPods<'_>| {
            let is_within = |model: &String| other.models.iter().any(|own| covers(own, model));
            pods.models.iter().all(is_within)
        };
        let own: Vec<&Value> = others
            .iter()
            .copied()
            .filter(wider)
            .flat_map(|o| &o.rules)
            .chain(&pods.rules)
            .collect();
        if rules.iter().all(|rule| own.contains(&rule)) {
            continue;
        }
        let conditions = match conditions(&rules, &own) {
            Ok(conditions) => conditions,
            Err(reason) => {
                refused(reason);
                continue;
            }
        };
        // Those of fewer models take other tokens as well.
        let narrower = others.iter().filter(|other| !wider(other));
        let narrower: Vec<&String> = narrower.flat_map(|other| &other.models).collect();
        let to = |when: &Value| match narrower.is_empty() {
            true => json!({"when": when}),
            false => json!({"to": [{"operation": {"notModels": narrower}}], "when": when}),
        };
        let policy = json!({
            "name": format!("{}-tokens", pods.document.name),
            "namespace": pods.document.namespace,
            "action": "DENY",
            "models": pods.models,
            "rules": conditions.iter().map(to).collect::<Vec<_>>(),
        });
        if !conditions.is_empty() {
            parts.push(Part::entry("authorization.policies", policy, pods.document));
        }
    }
    (parts, remarks)
}

/// Conditions of tokens that the gateway takes and the pods do not, each a list of them.
fn conditions(rules: &[Value], own: &[&Value]) -> Result<Vec<Value>, &'static str> {
    let issuer = |rule: &Value| rule.get("issuer").and_then(Value::as_str).map(str::to_owned);
    let mut conditions = Vec::new();
    let mut issuers: Vec<String> = Vec::new();
    for rule in own {
        let Some(issuer) = issuer(rule) else {
            return Err(
                "takes tokens of any issuer, and others check tokens by other rules: one list of rules cannot say that",
            );
        };
        issuers.push(issuer);
    }
    for rule in rules {
        let Some(of) = issuer(rule) else {
            return Err(
                "stands beside a rule for tokens of any issuer, and one list of rules cannot keep them apart",
            );
        };
        let Some(own) = own.iter().find(|own| issuer(own).as_ref() == Some(&of)) else { continue };
        if SAME.iter().any(|field| own.get(*field) != rule.get(*field)) {
            return Err(
                "looks for the same issuer's tokens elsewhere, or with other keys, than another rule: one list of rules cannot keep them apart",
            );
        }
        let audiences = own.get("audiences").cloned().unwrap_or(json!([]));
        let is_open = audiences.as_array().is_some_and(Vec::is_empty);
        if !is_open && rule.get("audiences") != Some(&audiences) {
            conditions.push(json!([
                {"key": "request.auth.claims[iss]", "values": [of]},
                {"key": "request.auth.audiences", "notValues": audiences},
            ]));
        }
    }
    issuers.sort();
    issuers.dedup();
    if rules.iter().filter_map(issuer).any(|issuer| !issuers.contains(&issuer)) {
        conditions.push(json!([
            {"key": "request.auth.claims[iss]", "values": ["*"], "notValues": issuers},
        ]));
    }
    Ok(conditions)
}
