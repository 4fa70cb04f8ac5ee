//! Whatever rules an operator writes: the backend that the routes reach belongs to the model that was
//! authorized, or the request is refused.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::models::SERVERS_HOST;
use crate::site::{Outcome, Site};
use crate::spellings::Spellings;
use crate::{borrowed, lines, shown};

const OWN: &str = "prod/iris";

/// How a client may write the host that some rules ask for.
const HOSTS: [&str; 2] = [SERVERS_HOST, "servers.example.com."];

/// A segment of a pattern or of a template.
fn segment() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "{a}",
        "{a}",
        "{b}",
        "{b}",
        "x{a}",
        "{a}:predict",
        "{b}-explainer",
        "seldon",
        "prod",
        "iris",
        "fraud",
        "v2",
        "models",
        "infer",
        "api",
        "v1.0",
        "predictions",
        "serving",
        "toxic",
        "default",
        "inference.GRPCInferenceService",
        "ModelInfer",
        "seldon.protos.Seldon",
        "x",
    ])
}

/// A path of such segments, perhaps with `rest` behind them, or one that operators would write.
fn path(rest: &'static str) -> impl Strategy<Value = String> {
    let segments = proptest::collection::vec(segment(), 0..5);
    let any = (segments, any::<bool>()).prop_map(move |(segments, open)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if open || path.is_empty() { format!("{path}/{rest}") } else { path }
    });
    let written = proptest::sample::select(vec![
        "/seldon/{b}/{a}/api/v1.0/predictions",
        "/seldon/{b}/{a}-explainer/default/api/v1.0/explain",
        "/models/{b}/{a}:predict",
        "/v2/models/{a}/infer",
        "/serving/{b}/{a}/v1/models/x:predict",
    ]);
    prop_oneof![2 => any, 1 => written.prop_map(str::to_owned)]
}

/// The pattern with each variable once.
fn with_variables_once(pattern: &str) -> String {
    let mut pattern = pattern.to_owned();
    for variable in ["{a}", "{b}"] {
        if let Some(at) = pattern.find(variable) {
            let (first, rest) = pattern.split_at(at + variable.len());
            pattern = first.to_owned() + &rest.replace(variable, "x");
        }
    }
    pattern
}

/// The template with the variables of the pattern, and words in the place of others.
fn known(template: &str, pattern: &str) -> String {
    let mut template = template.to_owned();
    for (variable, word) in [("{a}", "iris"), ("{b}", "prod")] {
        if !pattern.contains(variable) {
            template = template.replace(variable, word);
        }
    }
    if pattern.contains("{r=**}") { template } else { template.replace("{r}", "x") }
}

fn word() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["{a}", "{b}", "iris", "fraud", "prod", "flower"])
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let name = proptest::sample::select(vec!["seldon", "namespace", "seldon-model", "x-user"]);
    proptest::collection::vec((name, word()), 0..4)
}

/// A rule; many are refused when they are loaded. A host that a rule writes has routes of its own.
fn rule() -> impl Strategy<Value = Value> {
    let host = proptest::sample::select(vec!["", "", "chat.example.com", "{a}-prod.example.com"]);
    let target = proptest::option::of((word(), word()));
    let hosts = proptest::sample::select(vec!["", "", SERVERS_HOST]);
    (path("{r=**}"), proptest::option::of(path("{r}")), headers(), headers(), host, target, hosts)
        .prop_map(|(pattern, path, set, removed, host, target, hosts)| {
            let pattern = with_variables_once(&pattern);
            let known = |template: &str| known(template, &pattern);
            let mut rule = json!({"match": {"path": pattern}, "authority": known(host)});
            if !hosts.is_empty() {
                rule["match"]["hosts"] = json!([hosts]);
            }
            let mut set: serde_json::Map<_, _> = set
                .into_iter()
                .map(|(name, value)| (name.to_owned(), known(value).into()))
                .collect();
            // On that host the route asks for the model in a header.
            if let Some((namespace, model)) = target.filter(|_| !hosts.is_empty()) {
                let id = format!("{}/{}", known(namespace), known(model));
                set.insert("x-model".to_owned(), id.into());
            }
            let removed: Vec<_> = removed
                .into_iter()
                .map(|(name, _)| name)
                .filter(|n| !set.contains_key(*n))
                .collect();
            rule["setHeaders"] = set.into();
            rule["removeHeaders"] = removed.into();
            if let Some(path) = path {
                rule["path"] = known(&path).into();
            }
            // The operator answers for a literal host of a target's.
            if let Some((namespace, model)) = target.filter(|_| host.is_empty()) {
                rule["target"] = json!({"namespace": known(namespace), "model": known(model)});
            }
            rule
        })
}

/// What a client writes where a pattern has a variable.
fn caught() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "iris",
        "iris",
        "iris",
        "fraud",
        "prod",
        "prod",
        "prod",
        "toxic",
        "seldon",
        "v2",
        "models",
        "..",
        "%2e%2e",
        "%73eldon",
        "%zz",
        "inference.GRPCInferenceService",
        "%69nference.x",
        "a%2fb",
        "a;b",
        "chat",
        "flower",
        "models",
    ])
}

#[test]
fn no_rules_lead_to_another_model() {
    const CASES: u32 = 5_000;
    let (loaded, own) = (Cell::new(0), Cell::new(0));
    let cases = (
        proptest::collection::vec(rule(), 1..4),
        any::<proptest::sample::Index>(),
        (caught(), caught(), proptest::collection::vec(caught(), 0..4)),
        any::<u64>(),
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let result = runner.run(&cases, |(rules, chosen, (a, b, r), seed)| {
        let mut config: Value = serde_json::from_str(include_str!("site.json")).unwrap();
        let patterns: Vec<String> =
            rules.iter().map(|rule| rule["match"]["path"].as_str().unwrap().to_owned()).collect();
        let named = rules.into_iter().enumerate().map(|(i, mut rule)| {
            rule["name"] = i.to_string().into();
            rule
        });
        config["rewrites"] = named.collect();
        let Ok(mut site) = Site::with(OWN, &config.to_string()) else { return Ok(()) };
        loaded.set(loaded.get() + 1);
        let pattern = chosen.get(&patterns);
        let fitting = pattern.replace("{a}", a).replace("{b}", b).replace("{r=**}", &r.join("/"));
        for (i, mut spelling) in Spellings::new(seed).take(8).enumerate() {
            if i % 2 == 0 {
                spelling.path = fitting.clone().into_bytes();
            }
            if i % 4 == 0 {
                spelling.host = HOSTS[i / 4 % HOSTS.len()].to_owned();
            }
            let lines = lines(&spelling);
            match site.send(&borrowed(&lines)) {
                Ok(Outcome::Own) => own.set(own.get() + 1),
                Ok(_) => {}
                Err(wrong) => {
                    prop_assert!(false, "{wrong}\n{}{}", shown(&lines), config["rewrites"])
                }
            }
        }
        Ok(())
    });
    result.unwrap();
    // Neither are all rules refused, nor all requests.
    println!("{} of {CASES} sets of rules are legal, {} requests arrive", loaded.get(), own.get());
    assert!(loaded.get() > CASES / 10 && own.get() > CASES / 20);
}
