//! Policies of the gateway and of a model's pods: in Istio both must allow, in one list any may. So the rules of the pods'
//! ALLOW policies get the conditions of the gateway's, pair by pair, and the gateway's leave those models to them.

use modelgate_engine::matcher::StringMatch;

use super::rule::{Condition, Fields, Rule};
use crate::convert::pods::{covers, overlap};

/// The most rules that one policy may get.
const MOST: usize = 256;

/// A rule for each pair, that fits what both fit.
///
/// # Errors
///
/// No rule can say it: why.
pub fn pairs(
    gateways: &[(Rule, String)],
    pods: &[Rule],
    namespace: &str,
) -> Result<Vec<Rule>, String> {
    let mut made = Vec::new();
    for pod in pods {
        for (gateway, of) in gateways {
            made.extend(pair(&qualified(gateway, of), &qualified(pod, namespace))?);
            if made.len() > MOST {
                return Err(format!(
                    "would have more than {MOST} rules together with those of the gateway"
                ));
            }
        }
    }
    Ok(made)
}

/// The rules without operations of other models than these.
pub fn of_models(mut rules: Vec<Rule>, models: &[String]) -> Vec<Rule> {
    let is_theirs = |fields: &Fields| {
        fields.get("models").is_none_or(|named| {
            named.iter().any(|named| models.iter().any(|model| overlap(named, model)))
        })
    };
    rules.retain_mut(|rule| {
        let is_any = rule.to.is_empty();
        rule.to.retain(is_theirs);
        is_any || !rule.to.is_empty()
    });
    rules
}

/// Has the rules leave these models to others.
pub fn leave(rules: &mut Vec<Rule>, models: &[String]) {
    let is_left = |named: &String| models.iter().any(|model| covers(model, named));
    rules.retain_mut(|rule| {
        if rule.to.is_empty() {
            rule.to.push(Fields::new());
        }
        rule.to.retain(|fields| !fields.get("models").is_some_and(|m| m.iter().all(is_left)));
        for fields in &mut rule.to {
            let may_be = |named: &String| models.iter().any(|model| overlap(model, named));
            if fields.get("models").is_none_or(|named| named.iter().any(may_be)) {
                fields.entry("notModels".to_owned()).or_default().extend(models.iter().cloned());
            }
        }
        !rule.to.is_empty()
    });
}

/// The same in another namespace: service accounts say theirs.
fn qualified(rule: &Rule, namespace: &str) -> Rule {
    let whole = |value: &String| match value.contains('/') {
        true => value.clone(),
        false => format!("{namespace}/{value}"),
    };
    let mut rule = rule.clone();
    for source in &mut rule.from {
        for name in ["serviceAccounts", "notServiceAccounts"] {
            if let Some(values) = source.get_mut(name) {
                *values = values.iter().map(whole).collect();
            }
        }
    }
    for condition in rule.when.iter_mut().filter(|c| c.key == "source.serviceAccount") {
        condition.values = condition.values.iter().map(whole).collect();
        condition.not_values = condition.not_values.iter().map(whole).collect();
    }
    rule
}

fn pair(gateway: &Rule, pod: &Rule) -> Result<Vec<Rule>, String> {
    if gateway == pod {
        return Ok(vec![pod.clone()]);
    }
    let mut to = Vec::new();
    for one in either(&gateway.to) {
        for other in either(&pod.to) {
            to.extend(operation(&one, &other)?);
        }
    }
    let is_any = gateway.to.is_empty() && pod.to.is_empty();
    if to.is_empty() && !is_any {
        return Ok(Vec::new());
    }
    let to = if is_any { Vec::new() } else { to };
    let when: Vec<Condition> = gateway.when.iter().chain(&pod.when).cloned().collect();
    if gateway.from.is_empty() || pod.from.is_empty() {
        let from = if gateway.from.is_empty() { &pod.from } else { &gateway.from };
        return Ok(vec![Rule { from: from.clone(), to, when }]);
    }
    // A source of the pods' is as many conditions.
    let rule = |source: &Fields| {
        let conditions = source.iter().filter_map(|(name, values)| condition(name, values));
        let when = when.iter().cloned().chain(conditions).collect();
        Rule { from: gateway.from.clone(), to: to.clone(), when }
    };
    Ok(pod.from.iter().map(rule).collect())
}

/// The operations, or one that fits everything.
fn either(to: &[Fields]) -> Vec<Fields> {
    if to.is_empty() { vec![Fields::new()] } else { to.to_vec() }
}

/// What both operations fit, if anything.
fn operation(one: &Fields, other: &Fields) -> Result<Option<Fields>, String> {
    let mut made = one.clone();
    for (name, values) in other {
        let Some(first) = made.get(name) else {
            made.insert(name.clone(), values.clone());
            continue;
        };
        let both = if name.starts_with("not") {
            first.iter().chain(values).cloned().collect()
        } else {
            // Hosts are compared in any case.
            let lower = |texts: &[String]| match name.as_str() {
                "hosts" => texts.iter().map(|text| text.to_ascii_lowercase()).collect(),
                _ => texts.to_vec(),
            };
            let both = common(&lower(first), &lower(values)).ok_or_else(|| {
                format!("asks for {name}, as a policy of the gateway does, and what both fit cannot be said in one list")
            })?;
            if both.is_empty() {
                return Ok(None);
            }
            both
        };
        made.insert(name.clone(), both);
    }
    Ok((!made.is_empty()).then_some(made))
}

/// Values that fit what both fit; none where no list of values does.
fn common(one: &[String], other: &[String]) -> Option<Vec<String>> {
    let mut made: Vec<String> = Vec::new();
    for a in one {
        for b in other {
            let (fits_a, fits_b) = (StringMatch::new(a), StringMatch::new(b));
            let is_template = |value: &String| value.contains('{');
            let both = match (&fits_a, &fits_b) {
                _ if a == b => Some(a),
                (StringMatch::Present, _) => Some(b),
                (_, StringMatch::Present) => Some(a),
                _ if is_template(a) || is_template(b) => return None,
                (StringMatch::Exact(text), _) if fits_b.matches(text) => Some(a),
                (_, StringMatch::Exact(text)) if fits_a.matches(text) => Some(b),
                (StringMatch::Exact(_), _) | (_, StringMatch::Exact(_)) => None,
                (StringMatch::Prefix(x), StringMatch::Prefix(y)) if x.starts_with(y) => Some(a),
                (StringMatch::Prefix(x), StringMatch::Prefix(y)) if y.starts_with(x) => Some(b),
                (StringMatch::Prefix(_), StringMatch::Prefix(_)) => None,
                _ => return None,
            };
            made.extend(both.cloned());
        }
    }
    made.sort();
    made.dedup();
    Some(made)
}

/// The condition that asks what a field of a source asks.
fn condition(name: &str, values: &[String]) -> Option<Condition> {
    let negated = name.starts_with("not");
    let key = match name.trim_start_matches("not").to_ascii_lowercase().as_str() {
        "principals" => "source.principal",
        "requestprincipals" => "request.auth.principal",
        "namespaces" => "source.namespace",
        "serviceaccounts" => "source.serviceAccount",
        "trustdomains" => "source.trustDomain",
        "ipblocks" => "source.ip",
        "remoteipblocks" => "remote.ip",
        _ => return None,
    };
    let (values, not_values) =
        if negated { (Vec::new(), values.to_vec()) } else { (values.to_vec(), Vec::new()) };
    Some(Condition { key: key.to_owned(), values, not_values })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn both(gateway: Value, pods: Value) -> Result<Value, String> {
        let read = |value: &Value| Rule::read(value).expect("a rule");
        let made = pairs(&[(read(&gateway), "istio-system".to_owned())], &[read(&pods)], "prod")?;
        Ok(made.iter().map(Rule::value).collect())
    }

    #[test]
    fn a_pair_fits_what_both_fit() {
        for (gateway, pods, wanted) in [
            (json!({}), json!({}), json!([{}])),
            (
                json!({"from": [{"source": {"requestPrincipals": ["a/*"]}}]}),
                json!({"when": [{"key": "request.auth.claims[groups]", "values": ["ds"]}]}),
                json!([{"from": [{"source": {"requestPrincipals": ["a/*"]}}],
                    "when": [{"key": "request.auth.claims[groups]", "values": ["ds"]}]}]),
            ),
            (
                json!({"from": [{"source": {"requestPrincipals": ["a/*"]}}]}),
                json!({"from": [{"source": {"requestPrincipals": ["a/x"]}}, {"source": {"notServiceAccounts": ["x"], "ipBlocks": ["::1"]}}]}),
                json!([
                    {"from": [{"source": {"requestPrincipals": ["a/*"]}}],
                        "when": [{"key": "request.auth.principal", "values": ["a/x"]}]},
                    {"from": [{"source": {"requestPrincipals": ["a/*"]}}],
                        "when": [{"key": "source.ip", "values": ["::1"]}, {"key": "source.serviceAccount", "notValues": ["prod/x"]}]},
                ]),
            ),
            (
                json!({"to": [{"operation": {"methods": ["POST", "GET"], "notPaths": ["/a"]}}, {"operation": {"hosts": ["h"]}}]}),
                json!({"to": [{"operation": {"methods": ["POST", "PUT"], "notPaths": ["/b"]}}]}),
                json!([{"to": [
                    {"operation": {"methods": ["POST"], "notPaths": ["/a", "/b"]}},
                    {"operation": {"hosts": ["h"], "methods": ["POST", "PUT"], "notPaths": ["/b"]}},
                ]}]),
            ),
            (
                json!({"to": [{"operation": {"paths": ["/seldon/*", "/x"]}}]}),
                json!({"to": [{"operation": {"paths": ["/seldon/prod/iris/*", "*/y", "/x"]}}]}),
                json!("both fit cannot be said"),
            ),
            (
                json!({"to": [{"operation": {"paths": ["/seldon/*"]}}]}),
                json!({"to": [{"operation": {"paths": ["/seldon/prod/iris/*", "/x"]}}]}),
                json!([{"to": [{"operation": {"paths": ["/seldon/prod/iris/*"]}}]}]),
            ),
            (
                json!({"to": [{"operation": {"methods": ["GET"]}}]}),
                json!({"to": [{"operation": {"methods": ["POST"]}}]}),
                json!([]),
            ),
            (
                json!({"to": [{"operation": {"paths": ["/a/{*}"]}}]}),
                json!({"to": [{"operation": {"paths": ["/a/b"]}}]}),
                json!("both fit cannot be said"),
            ),
        ] {
            match (both(gateway, pods), wanted) {
                (Ok(made), wanted) => assert_eq!(made, wanted),
                (Err(why), Value::String(wanted)) => assert!(why.contains(&wanted), "{why}"),
                (Err(why), wanted) => panic!("{why}, not {wanted}"),
            }
        }
    }
}
