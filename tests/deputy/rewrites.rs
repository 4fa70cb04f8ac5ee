//! Whatever rules an operator writes: the backend that the routes reach belongs to the model that was
//! authorized, or the request is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::site::Site;
use crate::spellings::Spellings;
use crate::{borrowed, lines, shown};

const OWN: &str = "prod/iris";

/// A segment of a pattern or of a template.
fn segment() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "{a}", "{a}", "{b}", "{b}", "x{a}", "{a}:predict", "{b}-explainer", "seldon", "prod", "iris",
        "fraud", "v2", "models", "infer", "api", "v1.0", "predictions", "serving", "toxic", "default",
        "inference.GRPCInferenceService", "ModelInfer", "seldon.protos.Seldon", "x",
    ])
}

/// A path of such segments, perhaps with `rest` behind them.
fn path(rest: &'static str) -> impl Strategy<Value = String> {
    (proptest::collection::vec(segment(), 0..5), any::<bool>()).prop_map(move |(segments, open)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if open || path.is_empty() { format!("{path}/{rest}") } else { path }
    })
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
    (path("{r=**}"), proptest::option::of(path("{r}")), headers(), headers(), host, target).prop_map(
        |(pattern, path, set, removed, host, target)| {
            let mut rule = json!({"match": {"path": pattern}, "authority": host});
            let set: serde_json::Map<_, _> =
                set.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            let removed: Vec<_> =
                removed.into_iter().map(|(name, _)| name).filter(|n| !set.contains_key(*n)).collect();
            rule["setHeaders"] = set.into();
            rule["removeHeaders"] = removed.into();
            if let Some(path) = path {
                rule["path"] = path.into();
            }
            // The operator answers for a literal host of a target's.
            if let Some((namespace, model)) = target.filter(|_| host.is_empty()) {
                rule["target"] = json!({"namespace": namespace, "model": model});
            }
            rule
        },
    )
}

/// What a client writes where a pattern has a variable.
fn caught() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "iris", "fraud", "prod", "toxic", "seldon", "v2", "models", "..", "%2e%2e", "%73eldon", "%zz",
        "inference.GRPCInferenceService", "%69nference.x", "a%2fb", "a;b", "chat", "flower", "models",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_rules_lead_to_another_model(
        rules in proptest::collection::vec(rule(), 1..4),
        chosen in any::<proptest::sample::Index>(),
        a in caught(), b in caught(), r in proptest::collection::vec(caught(), 0..4),
        seed in any::<u64>(),
    ) {
        let mut config: Value = serde_json::from_str(include_str!("site.json")).unwrap();
        let patterns: Vec<String> =
            rules.iter().map(|rule| rule["match"]["path"].as_str().unwrap().to_owned()).collect();
        let named = rules.into_iter().enumerate().map(|(i, mut rule)| {
            rule["name"] = i.to_string().into();
            rule
        });
        config["rewrites"] = named.collect();
        let Ok(mut site) = Site::with(OWN, &config.to_string()) else { return Ok(()) };
        let pattern = chosen.get(&patterns);
        let fitting = pattern.replace("{a}", a).replace("{b}", b).replace("{r=**}", &r.join("/"));
        for (i, mut spelling) in Spellings::new(seed).take(8).enumerate() {
            if i % 2 == 0 {
                spelling.path = fitting.clone().into_bytes();
            }
            let lines = lines(&spelling);
            let outcome = site.send(&borrowed(&lines));
            prop_assert!(outcome.is_ok(), "{}\n{}{}", outcome.unwrap_err(), shown(&lines), config["rewrites"]);
        }
    }
}
