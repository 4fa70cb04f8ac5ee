//! The indexed decision is the one that a plain reading of all policies gives.

use proptest::prelude::*;
use proptest::sample::{Index as Pick, select, subsequence};

use super::*;
use crate::config::types::{Action, Authorization};

const MODELS: &[&str] = &["a/x", "a/y", "b/x", "b/xy", "c/z"];
const SCOPES: &[&str] = &["a/x", "a/y", "b/x", "a/*", "b/x*", "a/x*", "*/x", "*"];
const PATHS: &[&str] = &["/p", "/q"];
const WORDS: &[&str] = &["predict", "status", "metrics", "admin", "*"];

fn some(values: &'static [&'static str], at_most: usize) -> impl Strategy<Value = Vec<String>> {
    subsequence(values, 0..=at_most).prop_map(|v| v.into_iter().map(str::to_owned).collect())
}

fn operation() -> impl Strategy<Value = Value> {
    (
        some(SCOPES, 2),
        some(SCOPES, 1),
        some(WORDS, 2),
        some(WORDS, 1),
        some(PATHS, 1),
        any::<Pick>(),
    )
        .prop_map(|(models, not_models, words, not_words, paths, pick)| {
            let all = json!({"models": models, "notModels": not_models, "operations": words,
                "notOperations": not_words, "paths": paths});
            // One or two fields: more would hardly ever match.
            let mut kept = all.clone();
            let fields = ["models", "notModels", "operations", "notOperations", "paths"];
            for (i, field) in fields.iter().enumerate() {
                if i != pick.index(5) && i != 0 {
                    kept[*field] = json!([]);
                }
            }
            if fields.iter().all(|f| kept[*f] == json!([])) {
                kept["paths"] = json!(["/p"]);
            }
            json!({"operation": kept})
        })
}

fn rule() -> impl Strategy<Value = Value> {
    let source = select(vec![
        json!({"requestPrincipals": ["*"]}),
        json!({"notRequestPrincipals": ["*"]}),
        json!({"ipBlocks": ["10.0.0.0/8"]}),
        json!({"notIpBlocks": ["10.0.0.0/8"]}),
    ]);
    let from = proptest::option::weighted(0.3, source);
    (from, proptest::collection::vec(operation(), 0..3)).prop_map(|(from, to)| {
        let from: Vec<Value> = from.into_iter().map(|source| json!({"source": source})).collect();
        json!({"from": from, "to": to})
    })
}

fn policy() -> impl Strategy<Value = Value> {
    let action = prop_oneof![3 => Just("ALLOW"), 2 => Just("DENY"), 1 => Just("AUDIT")];
    let rules = proptest::collection::vec(rule(), 0..3);
    (action, any::<bool>(), some(SCOPES, 3), rules).prop_map(|(action, dry_run, models, mut rules)| {
        if action != "ALLOW" && rules.is_empty() {
            rules.push(json!({}));
        }
        json!({"action": action, "dryRun": dry_run && action != "AUDIT", "models": models, "rules": rules})
    })
}

fn scene() -> impl Strategy<Value = Scene> {
    let operations =
        vec![Operation::Predict, Operation::Status, Operation::Metrics, Operation::Other];
    let model = proptest::option::weighted(0.8, select(MODELS));
    let address = proptest::option::weighted(0.8, (model, select(operations)));
    let forwarded = select(vec![None, Some("10.1.2.3"), Some("192.0.2.1")]);
    (select(PATHS), address, any::<bool>(), forwarded).prop_map(
        |(path, address, known, forwarded)| {
            let mut scene = Scene::get(path);
            if let Some((model, operation)) = address {
                scene = scene.address(model, operation);
            }
            if known {
                scene = scene.identity("i", "s", json!({}));
            }
            if let Some(line) = forwarded {
                scene = scene.header("x-forwarded-for", line);
            }
            scene
        },
    )
}

// === The plain reading ===

fn fits(pattern: &str, value: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(end), _) => value.ends_with(end),
        (None, Some(start)) => value.starts_with(start),
        (None, None) => pattern == value,
    }
}

fn any_fits(patterns: &[String], value: Option<&str>) -> bool {
    value.is_some_and(|value| patterns.iter().any(|pattern| fits(pattern, value)))
}

fn field(values: &[String], not: &[String], value: Option<&str>) -> bool {
    (values.is_empty() || any_fits(values, value)) && !any_fits(not, value)
}

struct Reading<'s> {
    scene: &'s Scene,
    bypassed: bool,
}

impl Reading<'_> {
    fn model(&self) -> Option<&str> {
        Some(&self.scene.address.as_ref()?.model.as_ref()?.id)
    }

    fn operation(&self) -> Option<Operation> {
        self.scene.address.as_ref().map(|a| a.operation)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.scene.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn source(&self, from: &types::From, action: Action) -> bool {
        let source = &from.source;
        let known = self.scene.identity.is_some() && !self.bypassed;
        if !source.request_principals.is_empty() && !known {
            return false;
        }
        if !source.not_request_principals.is_empty() && known {
            return false;
        }
        if source.ip_blocks.is_empty() && source.not_ip_blocks.is_empty() {
            return true;
        }
        let Some(line) = self.header("x-forwarded-for") else { return action != Action::Allow };
        line.starts_with("10.") == source.not_ip_blocks.is_empty()
    }

    fn to(&self, to: &types::To, naming: bool) -> bool {
        let o = &to.operation;
        let word = self.operation().map(Operation::as_str);
        field(&o.models, &o.not_models, self.model())
            && field(&o.operations, &o.not_operations, word)
            && field(&o.paths, &o.not_paths, self.header(":path"))
            && (!naming || word.is_some_and(|word| o.operations.iter().any(|o| o == word)))
    }

    fn rule(&self, policy: &types::Policy, naming: bool) -> Option<usize> {
        policy.rules.iter().position(|rule| {
            let from = |from: &types::From| self.source(from, policy.action);
            let to = |to: &types::To| self.to(to, naming);
            (rule.from.is_empty() || rule.from.iter().any(from))
                && ((rule.to.is_empty() && !naming) || rule.to.iter().any(to))
        })
    }

    /// Allowed, the policy and rule that decided, and what was counted.
    fn decide(&self, settings: &Authorization) -> (bool, Option<(String, usize)>, Vec<String>) {
        let of = |action: Action, dry_run: bool| {
            settings
                .policies
                .iter()
                .filter(move |p| p.action == action && p.dry_run == dry_run)
                .filter(|p| p.models.is_empty() || any_fits(&p.models, self.model()))
        };
        let closed = !self.bypassed && self.operation().is_some_and(Operation::is_closed);
        let mut counted = Vec::new();
        let mut count = |action: Action, dry_run: bool, effect: &str, first: bool| {
            let naming = closed && action == Action::Allow;
            for policy in of(action, dry_run) {
                if let Some(rule) = self.rule(policy, naming) {
                    counted.push(format!("{} {effect}", policy.name));
                    if first {
                        return Some((policy.name.clone(), rule));
                    }
                }
            }
            None
        };
        count(Action::Audit, false, "audited", false);
        count(Action::Deny, true, "dry_run_denied", false);
        if let Some(by) = count(Action::Deny, false, "denied", true) {
            return (false, Some(by), counted);
        }
        if self.bypassed {
            return (true, None, counted);
        }
        count(Action::Allow, true, "dry_run_allowed", false);
        if let Some(by) = count(Action::Allow, false, "allowed", true) {
            return (true, Some(by), counted);
        }
        let demanded = of(Action::Allow, false).next().is_some();
        let open = settings.default_action == DefaultAction::Allow;
        (open && !demanded && !closed, None, counted)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_index_changes_nothing(
        policies in proptest::collection::vec(policy(), 0..12),
        scenes in proptest::collection::vec(scene(), 1..6),
        allow in any::<bool>(),
        bypassed in any::<bool>(),
    ) {
        let mut policies = policies;
        for (i, policy) in policies.iter_mut().enumerate() {
            policy["name"] = json!(format!("p{i}"));
        }
        let default_action = if allow { "ALLOW" } else { "DENY" };
        let settings = json!({"defaultAction": default_action, "policies": policies});
        let mut errors = Errors::default();
        let settings = Authorization::read(&settings.into(), &Path::ROOT, &mut errors).unwrap();
        let authorizer = Authorizer::compile(&settings, &[], SourceAddress::Auto, ModelNames::Objects, &mut errors);
        let authorizer = authorizer.ok_or_else(|| TestCaseError::fail(errors.to_string()))?;
        for scene in &scenes {
            let decision = scene.ask(|subject| authorizer.decide(subject, bypassed));
            let by = decision.policy.zip(decision.rule);
            let by = by.map(|(id, rule)| (authorizer.policy_name(id).to_owned(), rule));
            let found = (decision.allowed, by, effects(&authorizer, &decision));
            prop_assert_eq!(found, Reading { scene, bypassed }.decide(&settings));
        }
    }

    #[test]
    fn no_request_stops_the_engine(
        headers in proptest::collection::vec(("[a-z:-]{0,12}", ".{0,20}"), 0..6),
        path in ".{0,30}",
        name in ".{0,40}",
    ) {
        let authorizer = policies(json!([{"action": "DENY", "rules": [{
            "from": [{"source": {"principals": ["*a"], "ipBlocks": ["10.0.0.0/8"]}},
                {"source": {"namespaces": ["a*b"]}}, {"source": {"serviceAccounts": ["a/b"]}}],
            "to": [{"operation": {"paths": ["/{*}/a/{**}/b", "*x"], "hosts": ["*.A"]}}, {"operation": {"notHosts": ["a*"]}}],
            "when": [{"key": "request.headers[a]", "notValues": ["b*"]}],
        }]}]));
        let mut scene = Scene::get(&path).with(":authority", &name).peer(&name);
        scene.headers.extend(headers);
        scene.sni = Some(name.clone());
        scene.decide(&authorizer);
        let _ = scene.with("x-forwarded-for", &name).decide(&authorizer);
    }
}
