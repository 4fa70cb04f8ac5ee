//! Which models and operations the paths of an ALLOW policy are, by the tables of the filter.
//!
//! The paths stay: a model has other addresses besides, as those of gRPC, which the policy does not allow. Naming the
//! operations of paths that are written out opens those that are closed otherwise (metrics, admin, other), as in Istio.

use std::collections::BTreeSet;

use anyhow::Result;
use modelgate_engine::pipeline::{Next, Plan};
use modelgate_engine::request::{Attributes, Host, Request};
use serde_json::{Value, json};

use super::rule::{Fields, Rule};
use crate::ask::configuration;

/// Methods that are tried where a policy names none: every table has one of these, and what no table has is `other`.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"];

/// Where addresses of models that a path alone tells begin.
const ROOTS: [&str; 5] = ["/v2", "/inference.", "/seldon.protos.", "/tensorflow.", "/grpc."];

/// A proxy of which nothing is known.
struct Desk;

impl Host for Desk {
    fn now(&self) -> u64 {
        0
    }

    fn is_inbound(&self) -> bool {
        false
    }
}

/// The tables, as the output has them.
#[derive(Debug)]
pub struct Tables {
    plan: Plan,
    /// The first segment of Seldon v1's paths.
    seldon: String,
    /// Whether hosts, headers or bodies name models as well.
    is_any_path: bool,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    models: BTreeSet<String>,
    operations: BTreeSet<&'static str>,
}

impl Tables {
    /// Of the setting `targets`.
    ///
    /// # Errors
    ///
    /// The engine refuses it.
    pub fn new(targets: &Value) -> Result<Self> {
        let mut settings = json!({"authorization": {"defaultAction": "ALLOW"}});
        if let (Some(fields), true) = (settings.as_object_mut(), targets.is_object()) {
            fields.insert("targets".to_owned(), targets.clone());
        }
        let seldon = targets.get("seldonPrefix").and_then(Value::as_str).unwrap_or("/seldon");
        let by_others = ["kserve", "llmisvc", "fixed", "openai"];
        Ok(Self {
            plan: configuration::plan(&settings)?,
            seldon: seldon.trim_end_matches('/').to_owned(),
            is_any_path: by_others.iter().any(|name| targets.get(name).is_some()),
        })
    }

    /// A rule of an ALLOW policy with the models and operations of its paths, and whether it fits closed operations that it
    /// does not name.
    pub fn name(&self, rule: &Rule) -> (Rule, bool) {
        let mut made = Rule { to: Vec::new(), ..rule.clone() };
        let mut is_wide = rule.to.is_empty();
        for operation in &rule.to {
            let (named, wide) = self.operation(operation);
            made.to.extend(named);
            is_wide |= wide;
        }
        (made, is_wide)
    }

    fn operation(&self, fields: &Fields) -> (Vec<Fields>, bool) {
        let Some(paths) = fields.get("paths") else { return (vec![fields.clone()], true) };
        let (literal, patterns): (Vec<&String>, Vec<&String>) =
            paths.iter().partition(|path| !path.contains(['*', '{']));
        let mut made = Vec::new();
        let with = |paths: Vec<&String>| {
            let mut fields = fields.clone();
            fields.insert("paths".to_owned(), paths.into_iter().cloned().collect());
            fields
        };
        let is_wide = patterns.iter().any(|pattern| self.is_models(pattern));
        let (known, mut others): (Vec<_>, Vec<_>) = literal
            .into_iter()
            .map(|path| (self.look(path, fields), path))
            .partition(|(seen, _)| seen.as_ref().is_some_and(|seen| !seen.operations.is_empty()));
        if !known.is_empty() {
            let models = known.iter().filter_map(|(seen, _)| seen.as_ref()).flat_map(|s| &s.models);
            let models: BTreeSet<&String> = models.collect();
            let seen = known.iter().filter_map(|(seen, _)| seen.as_ref());
            let operations: BTreeSet<&str> =
                seen.clone().flat_map(|s| s.operations.iter().copied()).collect();
            let all = seen.clone().all(|seen| !seen.models.is_empty());
            let mut fields = with(known.iter().map(|(_, path)| *path).collect());
            let texts = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect();
            fields.insert("operations".to_owned(), texts(operations));
            if all {
                fields.insert("models".to_owned(), models.into_iter().cloned().collect());
            }
            made.push(fields);
        }
        let mut rest: Vec<&String> = others.drain(..).map(|(_, path)| path).collect();
        rest.extend(&patterns);
        if !rest.is_empty() {
            let models: Option<BTreeSet<String>> =
                rest.iter().map(|pattern| self.model_of(pattern)).collect();
            let mut fields = with(rest);
            if let Some(models) = models {
                fields.insert("models".to_owned(), models.into_iter().collect());
            }
            made.push(fields);
        }
        (made, is_wide)
    }

    /// What a path leads to, with each method that fits; none where it is nothing that is told by the path.
    fn look(&self, path: &str, fields: &Fields) -> Option<Seen> {
        let mut seen = Seen { models: BTreeSet::new(), operations: BTreeSet::new() };
        let given =
            fields.get("methods").filter(|methods| methods.iter().all(|m| !m.contains('*')));
        let methods: Vec<&str> = match given {
            Some(methods) => methods.iter().map(String::as_str).collect(),
            None => METHODS.to_vec(),
        };
        let mut models = Some(BTreeSet::new());
        for method in methods {
            let headers: [(&[u8], &[u8]); 3] = [
                (b":method", method.as_bytes()),
                (b":authority", b"models.example.com"),
                (b":path", path.as_bytes()),
            ];
            let attributes = Attributes::new(&Desk);
            let mut cache = self.plan.token_cache();
            let decision =
                self.plan.decide(&Request::new(&headers, &attributes), &mut cache, |_| Ok(()));
            match &decision.next {
                Next::Reply(reply) if reply.code == 400 => continue,
                Next::AwaitModel(_) => return None,
                _ => {}
            }
            let operation = decision.facts.operation?;
            seen.operations.insert(operation.as_str());
            match (&decision.facts.model, &mut models) {
                (Some(model), Some(models)) => drop(models.insert(model.to_string())),
                _ => models = None,
            }
        }
        seen.models = models.unwrap_or_default();
        Some(seen)
    }

    /// Whether requests for models may fit a pattern.
    fn is_models(&self, pattern: &str) -> bool {
        let start = pattern.split(['*', '{']).next().unwrap_or_default();
        let seldon = format!("{}/", self.seldon);
        let mut roots = ROOTS.iter().copied().chain([seldon.as_str()]);
        self.is_any_path || roots.any(|root| root.starts_with(start) || start.starts_with(root))
    }

    /// The model of a pattern whose beginning names one.
    fn model_of(&self, pattern: &str) -> Option<String> {
        let start = pattern.split(['*', '{']).next().unwrap_or_default();
        let rest = start.strip_prefix(&self.seldon)?.strip_prefix('/')?;
        let mut segments = rest.split('/');
        let (namespace, name, behind) = (segments.next()?, segments.next()?, segments.next());
        // `/seldon/prod/iris*` fits other models, too, and an explainer's address names another one.
        behind.filter(|_| !name.ends_with("-explainer"))?;
        let is_name =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let is_one = |text: &str| !text.is_empty() && text.chars().all(is_name);
        (is_one(namespace) && is_one(name)).then(|| format!("{namespace}/{name}"))
    }
}

/// The models that every operation of every rule names, for the scope of the policy.
pub fn scope(rules: &[Rule]) -> Option<Vec<String>> {
    let mut models = BTreeSet::new();
    for rule in rules {
        if rule.to.is_empty() {
            return None;
        }
        for fields in &rule.to {
            models.extend(fields.get("models")?.iter().cloned());
        }
    }
    (!models.is_empty()).then(|| models.into_iter().collect())
}

/// The rules without the models that are the scope of the policy.
pub fn within(rules: &mut [Rule], models: &[String]) {
    for fields in rules.iter_mut().flat_map(|rule| &mut rule.to) {
        if fields.get("models").is_some_and(|own| own == models) {
            fields.remove("models");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(operation: Value) -> (Value, bool) {
        let rule = Rule::read(&json!({"to": [{"operation": operation}]})).expect("a rule");
        let tables = Tables::new(&Value::Null).expect("tables");
        let (rule, is_wide) = tables.name(&rule);
        let operations = rule.value();
        let operations = operations["to"].as_array().expect("a list").iter();
        (operations.map(|to| to["operation"].clone()).collect(), is_wide)
    }

    #[test]
    fn paths_have_models_and_operations() {
        let predict = "/seldon/prod/iris/api/v1.0/predictions";
        for (operation, wanted, wide) in [
            (
                json!({"methods": ["POST"], "paths": [predict, "/seldon/prod/iris/api/v1.0/feedback"]}),
                json!([{"methods": ["POST"], "paths": [predict, "/seldon/prod/iris/api/v1.0/feedback"],
                    "models": ["prod/iris"], "operations": ["feedback", "predict"]}]),
                false,
            ),
            (
                json!({"paths": ["/seldon/prod/iris/prometheus", "/web"]}),
                json!([{"paths": ["/seldon/prod/iris/prometheus"], "models": ["prod/iris"], "operations": ["metrics"]},
                    {"paths": ["/web"]}]),
                false,
            ),
            (
                json!({"paths": [predict]}),
                json!([{"paths": [predict], "models": ["prod/iris"], "operations": ["other", "predict"]}]),
                false,
            ),
            (
                json!({"paths": ["/seldon/prod/iris/*"]}),
                json!([{"paths": ["/seldon/prod/iris/*"], "models": ["prod/iris"]}]),
                true,
            ),
            (
                json!({"paths": ["/seldon/prod/iris*"]}),
                json!([{"paths": ["/seldon/prod/iris*"]}]),
                true,
            ),
            (
                json!({"paths": ["/seldon/prod/iris-explainer/default/*"]}),
                json!([{"paths": ["/seldon/prod/iris-explainer/default/*"]}]),
                true,
            ),
            (
                json!({"methods": ["POST"], "paths": ["/v2/models/iris/infer"]}),
                json!([{"methods": ["POST"], "paths": ["/v2/models/iris/infer"], "models": ["seldon-mesh/iris"],
                    "operations": ["predict"]}]),
                false,
            ),
            (
                json!({"methods": ["GET"], "paths": ["/v2/health/ready"]}),
                json!([{"methods": ["GET"], "paths": ["/v2/health/ready"], "operations": ["status"]}]),
                false,
            ),
            (json!({"paths": ["/web/*"]}), json!([{"paths": ["/web/*"]}]), false),
            (json!({"paths": ["*/predict"]}), json!([{"paths": ["*/predict"]}]), true),
            (json!({"paths": ["/{**}"]}), json!([{"paths": ["/{**}"]}]), true),
            (json!({"paths": ["/s*"]}), json!([{"paths": ["/s*"]}]), true),
            (json!({"hosts": ["a.example.com"]}), json!([{"hosts": ["a.example.com"]}]), true),
        ] {
            assert_eq!(named(operation.clone()), (wanted, wide), "{operation}");
        }
    }
}
