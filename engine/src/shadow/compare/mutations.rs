//! Answers of real servers, changed in every place: each change is found, or rightly tolerated.

use super::tests::{head, rules};
use super::*;
use serde_json::Value;

/// Seldon's Python wrapper, MLServer and TensorFlow Serving; what of their answers is noise, and what
/// differs by nature.
const ANSWERS: [(&str, &[&str], &[&str]); 3] = [
    (
        r#"{"data":{"names":["setosa","versicolor","virginica"],"ndarray":[[0.0125,0.8325,0.155],[0.97,0.02,0.01],[0.003,0.127,0.87],[0.25,0.5,0.25],[0.6,0.3,0.1]]},"meta":{"metrics":[{"key":"calls","type":"COUNTER","value":1.0}],"puid":"6f1c","requestPath":{"iris":"seldonio/iris:1.0"},"tags":{"version":"1.0","canary":false}}}"#,
        &["/meta"],
        &["/meta"],
    ),
    (
        r#"{"model_name":"iris","model_version":"v0.1.0","id":"c7b0","parameters":{"content_type":"np"},"outputs":[{"name":"predict","shape":[4,1],"datatype":"INT64","parameters":{"content_type":"np"},"data":[1,0,2,1]},{"name":"predict_proba","shape":[4,3],"datatype":"FP64","data":[0.01,0.98,0.01,0.9,0.06,0.04,0.05,0.15,0.8,0.2,0.7,0.1]},{"name":"label","shape":[4,1],"datatype":"BYTES","data":["versicolor","setosa","virginica","versicolor"]}]}"#,
        &["/id"],
        &["/id", "/model_name", "/model_version"],
    ),
    (
        r#"{"predictions":[{"scores":[0.1,0.9],"class":"b","sure":true},{"scores":[0.7,0.3],"class":"a","sure":false}]}"#,
        &[],
        &[],
    ),
];

/// A changed answer, where it was changed, and whether that may go unnoticed anyway.
struct Mutant {
    at: String,
    what: &'static str,
    answer: Value,
    tolerable: bool,
}

fn mutants(answer: &Value) -> Vec<Mutant> {
    let mut places = Vec::new();
    places_of(answer, "", &mut places);
    let mut mutants = Vec::new();
    for at in places {
        let mut add = |what, tolerable, change: &dyn Fn(&mut Value)| {
            let mut changed = answer.clone();
            change(changed.pointer_mut(&at).unwrap());
            mutants.push(Mutant { at: at.clone(), what, answer: changed, tolerable });
        };
        let value = answer.pointer(&at).unwrap().clone();
        if !at.is_empty() {
            add("null", false, &|v| *v = Value::Null);
            add("another type", false, &|v| {
                *v = match &value {
                    Value::Object(_) | Value::Array(_) => 1.into(),
                    Value::String(_) => true.into(),
                    other => other.to_string().into(),
                };
            });
        }
        match &value {
            Value::Number(n) => {
                let n = n.as_f64().unwrap();
                add("far", false, &|v| *v = (n + 0.75).into());
                add("below", false, &|v| *v = (n - 1.5).into());
                // Labels and dimensions have no tolerance.
                let exact = at.starts_with("/outputs/0/data") || at.contains("/shape/");
                add("by a hair", !exact, &|v| *v = (n + 1e-10).into());
            }
            Value::String(text) => add("other text", false, &|v| *v = format!("{text}x").into()),
            Value::Bool(set) => add("flipped", false, &|v| *v = (!set).into()),
            Value::Array(items) => {
                add("shorter", false, &|v| {
                    v.as_array_mut().unwrap().pop();
                });
                add("longer", false, &|v| v.as_array_mut().unwrap().push(items[0].clone()));
                let reversed: Vec<Value> = items.iter().rev().cloned().collect();
                // Outputs are joined by name; a palindrome is what it was.
                let tolerable = at == "/outputs" || reversed == *items;
                add("reversed", tolerable, &|v| *v = reversed.clone().into());
            }
            Value::Object(members) => {
                add("one more", false, &|v| v["more"] = 1.into());
                for name in members.keys() {
                    add("one less", false, &|v| {
                        v.as_object_mut().unwrap().remove(name);
                    });
                }
            }
            Value::Null => {}
        }
    }
    mutants
}

fn places_of(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                places_of(item, &format!("{at}/{i}"), places);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                places_of(member, &format!("{at}/{name}"), places);
            }
        }
        _ => {}
    }
}

fn compare(rules: &Rules, live: &Value, shadow: &Value) -> Comparison {
    let json = head("200", "application/json");
    let (live, shadow) = (live.to_string(), shadow.to_string());
    rules.compare(
        Whole { head: &json, body: live.as_bytes() },
        Whole { head: &json, body: shadow.as_bytes() },
        &About::default(),
    )
}

/// Where the highest of a row is.
fn class(row: &Value) -> Option<usize> {
    let scores: Option<Vec<f64>> = row.as_array()?.iter().map(Value::as_f64).collect();
    let scores = scores?;
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
}

#[test]
fn every_change_is_found_or_rightly_tolerated() {
    let (mut found, mut tolerated, mut decided) = (0, 0, 0);
    let both = |(text, noise, volatile)| [(text, noise, true), (text, volatile, false)];
    for (text, noise, named) in ANSWERS.into_iter().flat_map(both) {
        let live: Value = serde_json::from_str(text).unwrap();
        // What differs by nature is left out as what is named would be, and nothing else is.
        let rules = match named {
            true => Rules { volatile: None, ..rules(noise, &[]) },
            false => rules(&[], &[]),
        };
        assert_eq!(compare(&rules, &live, &live).agreement, Agreement::Matched);
        for Mutant { at, what, answer, tolerable } in mutants(&live) {
            let ignored = |name: &&str| {
                let gone = at.is_empty() && answer.pointer(name) != live.pointer(name);
                gone || at == **name || at.starts_with(&format!("{name}/"))
            };
            let tolerable = tolerable || noise.iter().any(ignored);
            let verdict = compare(&rules, &live, &answer).agreement;
            match &verdict {
                Agreement::Matched => {
                    assert!(tolerable, "{at} {what} was not found");
                    tolerated += 1;
                }
                Agreement::Mismatched(report) => {
                    assert!(!tolerable, "{at} {what}: {report}");
                    found += 1;
                    let row = at.rsplit_once('/').map_or("", |(row, _)| row);
                    let rows = row.starts_with("/data/ndarray/") || row.ends_with("/scores");
                    if let (true, "far" | "below") = (rows, what) {
                        let of = |answer: &Value| class(answer.pointer(row).unwrap());
                        let expected = match of(&live) == of(&answer) {
                            true => Kind::Score,
                            false => Kind::Class,
                        };
                        assert_eq!(report.kinds, [expected], "{at} {what}");
                        decided += 1;
                    }
                }
                Agreement::Uncomparable(reason) => panic!("{at} {what}: {reason}"),
            }
        }
    }
    assert!(found >= 600 && tolerated >= 100 && decided >= 60, "{found} {tolerated} {decided}");
}
