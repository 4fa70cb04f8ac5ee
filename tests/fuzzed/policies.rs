//! Policies, which an index finds by model, against a slow reading of what Istio says of them: each is looked at, in the
//! order of the document.

use std::rc::Rc;

use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use modelgate_engine::request::{Attributes, Header, Host, Peer, Request};
use serde_json::{Map, Value, json};

/// Decisions of the one who makes policies and requests: a byte each, and the first choice where there are no more.
struct Choices<'d>(std::slice::Iter<'d, u8>);

impl Choices<'_> {
    fn below(&mut self, most: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte) % most)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// One or two of them.
    fn some(&mut self, all: &[&str]) -> Value {
        let one = self.of(all);
        if self.below(3) == 0 { json!([one, self.of(all)]) } else { json!([one]) }
    }
}

const MODELS: [&str; 8] =
    ["prod/iris", "prod/*", "*/iris", "*", "dev/iris", "dev/*", "prod/fraud", "*/fraud"];
const PRINCIPALS: [&str; 5] = ["td/ns/a/sa/one", "td/ns/a/*", "*/sa/one", "*", "other/ns/b/sa/two"];
const PATHS: [&str; 6] =
    ["/other", "/seldon/*", "*/predictions", "*", "/seldon/prod/iris/api/v1.0/predictions", "/o*"];
const METHODS: [&str; 4] = ["GET", "POST", "P*", "*"];
const HOSTS: [&str; 4] = ["models.example", "*.example", "models.*", "*"];
const TEAMS: [&str; 4] = ["ds", "d*", "*s", "*"];
const OPERATIONS: [&str; 3] = ["predict", "metadata", "*"];

fn fields(choices: &mut Choices<'_>, known: &[(&str, &str, &[&str])]) -> Value {
    let mut fields = Map::new();
    for _ in 0..=choices.below(2) {
        let (name, negated, values) = choices.of(known);
        let name = if choices.below(3) == 0 { negated } else { name };
        fields.insert(name.to_owned(), choices.some(values));
    }
    fields.into()
}

fn rule(choices: &mut Choices<'_>) -> Value {
    let mut rule = Map::new();
    if choices.below(2) == 1 {
        let mut list = Vec::new();
        for _ in 0..=choices.below(2) {
            list.push(
                json!({"source": fields(choices, &[("principals", "notPrincipals", &PRINCIPALS)])}),
            );
        }
        rule.insert("from".into(), list.into());
    }
    if choices.below(3) > 0 {
        let known: [(&str, &str, &[&str]); 5] = [
            ("models", "notModels", &MODELS),
            ("paths", "notPaths", &PATHS),
            ("methods", "notMethods", &METHODS),
            ("hosts", "notHosts", &HOSTS),
            ("operations", "notOperations", &OPERATIONS),
        ];
        let mut list = Vec::new();
        for _ in 0..=choices.below(2) {
            list.push(json!({"operation": fields(choices, &known)}));
        }
        rule.insert("to".into(), list.into());
    }
    if choices.below(3) == 1 {
        let name = choices.of(&["values", "notValues"]);
        rule.insert(
            "when".into(),
            json!([{"key": "request.headers[x-team]", name: choices.some(&TEAMS)}]),
        );
    }
    rule.into()
}

fn policies(choices: &mut Choices<'_>) -> Value {
    let policies = (0..choices.below(7)).map(|i| {
        let action = choices.of(&["ALLOW", "DENY", "AUDIT"]);
        let mut policy = Map::new();
        policy.insert("name".into(), format!("p{i}").into());
        policy.insert("action".into(), action.into());
        if action != "AUDIT" && choices.below(4) == 1 {
            policy.insert("dryRun".into(), true.into());
        }
        if choices.below(2) == 1 {
            policy.insert("models".into(), choices.some(&MODELS));
        }
        let least = usize::from(action != "ALLOW");
        let rules: Vec<Value> = (0..least + choices.below(3)).map(|_| rule(choices)).collect();
        policy.insert("rules".into(), rules.into());
        policy.into()
    });
    let policies: Vec<Value> = policies.collect();
    json!({"defaultAction": choices.of(&["ALLOW", "DENY"]), "policies": policies})
}

/// A request, as far as policies ask.
struct Sent {
    path: &'static str,
    model: Option<&'static str>,
    operation: Option<&'static str>,
    method: &'static str,
    host: &'static str,
    teams: Vec<&'static str>,
    principal: Option<&'static str>,
}

impl Host for Sent {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn peer(&self) -> Option<Rc<Peer>> {
        let uri_sans = vec![format!("spiffe://{}", self.principal?).into_bytes()];
        Some(Rc::new(Peer { uri_sans, all_known: true, ..Peer::default() }))
    }
}

fn request(choices: &mut Choices<'_>) -> Sent {
    let (path, model, operation) = choices.of(&[
        ("/seldon/prod/iris/api/v1.0/predictions", Some("prod/iris"), Some("predict")),
        ("/seldon/dev/iris/api/v1.0/predictions", Some("dev/iris"), Some("predict")),
        ("/seldon/prod/fraud/api/v1.0/predictions", Some("prod/fraud"), Some("predict")),
        ("/other", None, None),
        ("/", None, None),
    ]);
    // Nothing but POST asks for a prediction.
    let method = choices.of(&["POST", "GET", "PUT"]);
    let method = if model.is_some() { "POST" } else { method };
    let host = choices.of(&["models.example", "MODELS.example", "x.example", "models.test"]);
    let teams = (0..choices.below(3)).map(|_| choices.of(&["ds", "ops", "", "d"])).collect();
    let principal = choices.of(&[
        None,
        Some("td/ns/a/sa/one"),
        Some("td/ns/a/sa/two"),
        Some("other/ns/b/sa/two"),
        Some("td/ns/ab/sa/one"),
    ]);
    Sent { path, model, operation, method, host, teams, principal }
}

/// Istio's string match; of a header that is there, `*` takes also what is empty.
fn fits(pattern: &str, value: &str) -> bool {
    match (pattern, pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        ("*", ..) => true,
        (_, Some(end), _) => value.ends_with(end),
        (_, _, Some(start)) => value.starts_with(start),
        _ => value == pattern,
    }
}

fn any(values: &Value, fits: impl Fn(&str) -> bool) -> bool {
    values.as_array().into_iter().flatten().filter_map(Value::as_str).any(fits)
}

fn fits_model(pattern: &str, model: &str) -> bool {
    match (pattern.split_once('/'), model.split_once('/')) {
        (Some((namespace, name)), Some((of, this))) => {
            (namespace == "*" || namespace == of) && (name == "*" || name == this)
        }
        _ => pattern == "*",
    }
}

impl Sent {
    /// One field of a source, an operation or a condition, without its `not`.
    fn has(&self, field: &str, values: &Value) -> bool {
        any(values, |value| match field {
            "principals" => self.principal.is_some_and(|principal| fits(value, principal)),
            "models" => self.model.is_some_and(|model| fits_model(value, model)),
            "operations" => {
                self.operation.is_some_and(|operation| value == "*" || value == operation)
            }
            "paths" => fits(value, self.path),
            "methods" => fits(value, self.method),
            "hosts" => fits(value, &self.host.to_ascii_lowercase()),
            _ => self.teams.iter().any(|team| fits(value, team)),
        })
    }

    fn has_all(&self, fields: &Value) -> bool {
        fields.as_object().into_iter().flatten().all(|(name, values)| {
            match name.strip_prefix("not") {
                Some(negated) => !self.has(&negated.to_ascii_lowercase(), values),
                None => name == "key" || self.has(name, values),
            }
        })
    }

    fn has_one_of(&self, list: Option<&Value>, inner: &str) -> bool {
        let Some(list) = list.and_then(Value::as_array) else { return true };
        list.iter().any(|one| self.has_all(&one[inner]))
    }

    fn matches(&self, rule: &Value) -> bool {
        let conditions = rule.get("when").and_then(Value::as_array).into_iter().flatten();
        self.has_one_of(rule.get("from"), "source")
            && self.has_one_of(rule.get("to"), "operation")
            && conditions.into_iter().all(|condition| self.has_all(condition))
    }

    /// Whether it is let through, and the policy that decides.
    fn decide<'p>(&self, settings: &'p Value) -> (bool, &'p str) {
        let policies = || settings["policies"].as_array().into_iter().flatten();
        let of = |action: &'static str| {
            policies().filter(move |policy| {
                let scope = policy.get("models");
                policy["action"] == action
                    && policy.get("dryRun").is_none()
                    && scope.is_none_or(|models| self.has("models", models))
            })
        };
        let matching = |action| {
            of(action).find(|policy| {
                let mut rules = policy["rules"].as_array().into_iter().flatten();
                rules.any(|rule| self.matches(rule))
            })
        };
        let name = |policy: &'p Value| policy["name"].as_str().unwrap_or_default();
        if let Some(policy) = matching("DENY") {
            return (false, name(policy));
        }
        if let Some(policy) = matching("ALLOW") {
            return (true, name(policy));
        }
        (of("ALLOW").next().is_none() && settings["defaultAction"] == "ALLOW", "")
    }
}

/// Data of a fuzzer: a byte for each choice. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let mut choices = Choices(data.iter());
    let settings = policies(&mut choices);
    let config = json!({"authorization": settings}).to_string();
    let mut errors = Errors::default();
    let plan = Plan::read(config.as_bytes(), &mut errors);
    let plan = plan.ok_or_else(|| format!("{config}: {errors}"))?;
    for _ in 0..3 {
        let sent = request(&mut choices);
        let lines = [
            (&b":method"[..], sent.method.as_bytes()),
            (b":authority", sent.host.as_bytes()),
            (b":path", sent.path.as_bytes()),
        ];
        let teams = sent.teams.iter().map(|team| (&b"x-team"[..], team.as_bytes()));
        let lines: Vec<Header<'_>> = lines.into_iter().chain(teams).collect();
        let attributes = Attributes::new(&sent);
        let request = Request::new(&lines, &attributes);
        let decision = plan.decide(&request, &mut plan.token_cache(), |_| Ok(()));
        let name = decision.facts.policy.map_or("", |policy| plan.policy_name(policy));
        let found = (decision.reply().is_none(), name);
        let expected = sent.decide(&settings);
        if found != expected {
            let Sent { path, method, host, teams, principal, .. } = sent;
            return Err(format!(
                "{found:?} and not {expected:?}: {method} {path} {host} {teams:?} {principal:?} by {config}"
            ));
        }
    }
    Ok(())
}
