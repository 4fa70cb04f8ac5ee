//! A disagreement made small.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::Value;

use crate::arena::{Arena, Side};
use crate::case::{Ask, Set};
use crate::certificates::Certificates;
use crate::differences::{Case, explain};

/// Smaller cases that are tried at once.
const TRIED: usize = 60;

/// Disagreements that are made small and shown; the others are counted.
const SHOWN: usize = 3;

/// The disagreements, one of each kind made small.
pub async fn report(certificates: &Arc<Certificates>, cases: Vec<Case>) -> Result<String> {
    let count = cases.len();
    let mut kinds: BTreeMap<String, (usize, Case)> = BTreeMap::new();
    for case in cases {
        kinds.entry(case.kind()).or_insert((0, case)).0 += 1;
    }
    let mut out = format!("{count} disagreements of {} kinds\n", kinds.len());
    for (kind, (count, case)) in kinds.iter().take(SHOWN) {
        out += &format!("\n== {count} like this: {kind}\n{}", smallest(certificates, case).await?);
    }
    for (kind, (count, _)) in kinds.iter().skip(SHOWN) {
        out += &format!("\n== {count}: {kind}");
    }
    Ok(out)
}

/// Takes away what can be, as long as the disagreement stays of its kind: first everything that can go by
/// itself, or else half of it.
async fn smallest(certificates: &Arc<Certificates>, case: &Case) -> Result<Case> {
    let mut best = case.clone();
    loop {
        let Ok(whole) = serde_json::to_value((&best.set, &best.ask)) else { return Ok(best) };
        let mut places = Vec::new();
        list(&whole, String::new(), &mut places);
        let each: Vec<Vec<String>> = places.into_iter().map(|place| vec![place]).collect();
        let alone: Vec<(Vec<String>, Case)> =
            still(certificates, case, &whole, each, false).await?;
        let gone: Vec<String> = alone.iter().flat_map(|(places, _)| places.clone()).collect();
        let (first, second) = gone.split_at(gone.len() / 2);
        let together = vec![gone.clone(), first.to_vec(), second.to_vec()];
        let together = still(certificates, case, &whole, together, true).await?;
        match together.into_iter().chain(alone).next() {
            Some((_, smaller)) => best = smaller,
            None => return Ok(best),
        }
    }
}

/// The cases without these places that still disagree in the same way, or the first of them.
async fn still(
    certificates: &Arc<Certificates>,
    case: &Case,
    whole: &Value,
    places: Vec<Vec<String>>,
    first: bool,
) -> Result<Vec<(Vec<String>, Case)>> {
    let smaller = places.into_iter().filter(|places| !places.is_empty()).filter_map(|places| {
        let (set, ask): (Set, Ask) = serde_json::from_value(without(whole, &places)?).ok()?;
        let smaller = (set, ask);
        is_taken(&smaller).then_some((places, smaller))
    });
    let smaller: Vec<(Vec<String>, (Set, Ask))> = smaller.collect();
    let mut found = Vec::new();
    for some in smaller.chunks(TRIED) {
        let sets: Vec<Set> = some.iter().map(|(_, (set, _))| set.clone()).collect();
        let arena = Arena::start(&sets, certificates).await?;
        for (i, (places, (set, ask))) in some.iter().enumerate() {
            let texts = ask.texts()?;
            let asks = [(ask.client.clone(), ask.with(&texts)?)];
            let native = arena.answers(Side::Native, i, &asks).await?.pop();
            let ours = arena.answers(Side::Modelgate, i, &asks).await?.pop();
            let Some((native, ours)) = native.zip(ours) else { continue };
            let smaller = Case { set: set.clone(), ask: ask.clone(), texts, native, ours };
            if smaller.native != smaller.ours
                && smaller.kind() == case.kind()
                && explain(&arena, i, &smaller).await?.is_none()
            {
                found.push((places.clone(), smaller));
                if first {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// Whether both sides take the set, and the request has its tokens.
fn is_taken((set, ask): &(Set, Ask)) -> bool {
    let config = set.at_port(1).and_then(|set| {
        testbed::native::filters(&set.rules()?, &set.policies)?;
        set.plugin_config()
    });
    let mut errors = Errors::default();
    let tokens = vec![String::new(); ask.tokens.len()];
    ask.with(&tokens).is_ok()
        && config
            .is_ok_and(|config| Plan::read(config.to_string().as_bytes(), &mut errors).is_some())
}

/// The document without what is at these places; a path, a method and a host become plain ones.
fn without(whole: &Value, places: &[String]) -> Option<Value> {
    const PLAIN: [(&str, &str); 3] =
        [("/1/path", "/"), ("/1/method", "GET"), ("/1/host", "models.example.com")];
    let mut document = whole.clone();
    // Later items first: those before them keep their places.
    let mut places: Vec<&String> = places.iter().collect();
    places.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| b.cmp(a)));
    for place in places {
        if let Some((_, plain)) = PLAIN.iter().find(|(pointer, _)| pointer == place) {
            let text = document.pointer_mut(place)?;
            if text == plain {
                return None;
            }
            *text = (*plain).into();
            continue;
        }
        let (parent, last) = place.rsplit_once('/')?;
        match document.pointer_mut(parent)? {
            Value::Object(fields) => {
                fields.remove(&last.replace("~1", "/").replace("~0", "~"))?;
            }
            Value::Array(items) => {
                let at = last.parse::<usize>().ok().filter(|at| *at < items.len())?;
                items.remove(at);
            }
            _ => return None,
        }
    }
    Some(document)
}

/// Pointers to every member and item.
fn list(value: &Value, at: String, places: &mut Vec<String>) {
    let mut each = |name: &str, value: &Value| {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        places.push(place.clone());
        list(value, place, places);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| each(name, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| each(&i.to_string(), value));
        }
        _ => {}
    }
}
