//! Shares, what moves when weights change, what a caller sticks to, and what is refused at load.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::authz::ModelNames;
use crate::config::read::Read;
use crate::config::types::{self, Family, SourceAddress};
use crate::config::{Errors, Path};
use crate::request::{Attributes, Edits, Header, NoHost};
use crate::routing::{Address, Model, Operation};
use crate::shadow::Credentials;

fn compile(settings: &Value) -> Result<Splits, String> {
    let path = Path::ROOT.field("splits");
    let mut errors = Errors::default();
    let list = Vec::<types::Split>::read(&settings.clone().into(), &path, &mut errors);
    let credentials = Credentials {
        headers: vec!["X-Api-Key".to_owned()],
        params: Vec::new(),
        identity: vec!["x-user".to_owned()],
    };
    let context = Context {
        source_address: SourceAddress::Auto,
        names: ModelNames::Objects,
        credentials: &credentials,
        cookies: ["session"].into(),
    };
    let read = errors.is_empty();
    let compiled = list.and_then(|list| Splits::compile(&list, &context, &path, &mut errors));
    assert_eq!(compiled.is_some() && read, errors.is_empty());
    compiled.filter(|_| read).ok_or_else(|| errors.to_string())
}

/// One split of prod/iris with these further settings.
fn split(more: Value) -> Splits {
    let mut split = json!({"name": "iris-canary", "models": ["prod/iris"],
        "variants": [{"name": "main", "weight": 75}, {"name": "canary", "weight": 25}]});
    split.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    compile(&json!([split])).unwrap()
}

fn weighted(name: &str, variants: &[(&str, u32)]) -> Splits {
    let variant = |(name, weight): &(&str, u32)| json!({"name": name, "weight": weight});
    split(json!({"name": name, "stickyBy": "principal",
        "variants": variants.iter().map(variant).collect::<Vec<_>>()}))
}

/// Variant and cookie of a request for this model.
fn choose(
    splits: &Splits,
    model: &str,
    lines: &[(&str, &str)],
    principal: Option<&str>,
) -> Option<(String, Option<String>)> {
    let lines: Vec<Header<'_>> = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let attributes = Attributes::new(&NoHost);
    let request = Request::new(&lines, &attributes);
    let identity = principal.map(|principal| {
        let (issuer, subject) = principal.rsplit_once('/').unwrap();
        Identity {
            issuer: Some(issuer.to_owned()),
            subject: Some(subject.to_owned()),
            claims: serde_json::Map::new(),
        }
    });
    let model = Model { id: model.into(), predictor: None };
    let address = Address::new(Family::SeldonV1, Operation::Predict, Some(model), 3);
    let subject = Subject {
        request: &request,
        edits: &Edits::default(),
        address: Some(&address),
        identity: identity.as_ref(),
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let choice = splits.choose(&subject)?;
    Some((text(choice.variant), choice.set_cookie.as_deref().map(text)))
}

const CALLERS: u32 = 100_000;

/// The variants of 100,000 callers.
fn variants(splits: &Splits) -> Vec<String> {
    let split = &splits.list[0];
    let callers = (0..CALLERS).map(|n| format!("https://idp.example.com/user-{n}"));
    let name = |caller: String| split.variant(caller.as_bytes()).unwrap().1.name.to_vec();
    callers.map(|caller| String::from_utf8(name(caller)).unwrap()).collect()
}

fn percent(count: usize) -> f64 {
    count as f64 * 100.0 / f64::from(CALLERS)
}

fn share(variants: &[String], name: &str) -> f64 {
    percent(variants.iter().filter(|variant| *variant == name).count())
}

/// How many per cent of the callers moved, by whence and where.
fn moves(before: &[String], after: &[String]) -> BTreeMap<(String, String), f64> {
    let mut moves: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (from, to) in before.iter().zip(after).filter(|(from, to)| from != to) {
        *moves.entry((from.clone(), to.clone())).or_default() += 1;
    }
    moves.into_iter().map(|(way, count)| (way, percent(count))).collect()
}

#[test]
fn shares_are_within_one_percent_of_the_weights() {
    for weights in [
        &[("main", 75), ("canary", 25)][..],
        &[("a", 50), ("b", 50)],
        &[("a", 1), ("b", 1), ("c", 1), ("d", 1)],
        &[("main", 99), ("canary", 1)],
        &[("main", 999_999_999), ("canary", 1)],
        &[("a", u32::MAX), ("b", u32::MAX)],
        &[("blue", 100), ("green", 0)],
    ] {
        let variants = variants(&weighted("iris-canary", weights));
        let sum: f64 = weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
        for (variant, weight) in weights {
            let (want, is) = (f64::from(*weight) * 100.0 / sum, share(&variants, variant));
            assert!((want - is).abs() < 1.0, "{variant} of {weights:?}: {is}");
            assert!(*weight > 0 || is == 0.0);
        }
    }
}

#[test]
fn only_the_share_that_changed_moves() {
    let before = variants(&weighted("s", &[("main", 75), ("canary", 25)]));
    let after = variants(&weighted("s", &[("main", 70), ("canary", 30)]));
    let moved = moves(&before, &after);
    let [(way, share)] = moved.iter().collect::<Vec<_>>()[..] else { panic!("{moved:?}") };
    assert_eq!((way.0.as_str(), way.1.as_str()), ("main", "canary"));
    assert!((4.5..=5.5).contains(share), "{share}");
}

#[test]
fn a_new_variant_takes_its_share_and_nobody_else_moves() {
    let before = variants(&weighted("s", &[("main", 75), ("canary", 25)]));
    for weights in [[60, 20, 20], [75, 25, 25]] {
        let [main, canary, third] = weights;
        let after =
            variants(&weighted("s", &[("third", third), ("main", main), ("canary", canary)]));
        let moved = moves(&before, &after);
        assert!(moved.keys().all(|(_, to)| to == "third"), "{moved:?}");
        let sum: f64 = moved.values().sum();
        assert!((sum - 20.0).abs() < 0.5, "{moved:?}");
    }
}

#[test]
fn nothing_depends_on_the_order_or_the_unit_of_the_weights() {
    let one = variants(&weighted("s", &[("main", 75), ("canary", 25)]));
    assert_eq!(one, variants(&weighted("s", &[("canary", 25), ("main", 75)])));
    assert_eq!(one, variants(&weighted("s", &[("main", 3), ("off", 0), ("canary", 1)])));
    let other = variants(&weighted("t", &[("main", 75), ("canary", 25)]));
    // The same quarter of two independent splits: 1/16 in both.
    let both = one.iter().zip(&other).filter(|(a, b)| *a == "canary" && *b == "canary").count();
    assert!((percent(both) - 6.25).abs() < 0.5, "{}", percent(both));
}

#[test]
fn a_split_and_a_sample_by_the_same_key_are_independent() {
    let split = weighted("iris", &[("main", 50), ("canary", 50)]);
    let sample = Scale::new(&["iris"]);
    let both = (0..CALLERS).map(|n| format!("id-{n}")).filter(|id| {
        sample.place(id.as_bytes()) < u64::MAX / 2
            && &*split.list[0].variant(id.as_bytes()).unwrap().1.name == b"canary"
    });
    let share = percent(both.count());
    assert!((share - 25.0).abs() < 0.5, "{share}");
}

#[test]
fn the_logarithm_is_that_of_the_place() {
    let mut place = 1u64;
    for _ in 0..10_000 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let exact = 64.0 - (place as f64).log2();
        let ours = negative_log2(place) as f64 / f64::from(2.0f32.powi(32));
        assert!((exact - ours).abs() < 1e-8, "{place}: {exact} {ours}");
    }
    assert_eq!(negative_log2(1 << 63), 1 << 32);
    assert_eq!(negative_log2(0), 64 << 32);
    assert_eq!(negative_log2(1), 64 << 32);
    assert_eq!(negative_log2(u64::MAX), 1);
}

#[test]
fn a_caller_sticks_by_what_the_split_says_or_else_by_request() {
    let ids: Vec<String> = (0..64).map(|n| format!("{n}-request")).collect();
    let differ = |splits: &Splits, lines: &[(&str, &str)], principal: Option<&str>| {
        let one = |id: &String| {
            let lines = [&[("x-request-id", id.as_str())], lines].concat();
            choose(splits, "prod/iris", &lines, principal).unwrap().0
        };
        ids.iter().map(one).collect::<std::collections::BTreeSet<_>>().len() > 1
    };
    let by = |sticky: &str| split(json!({"stickyBy": sticky}));
    let me = Some("https://idp.example.com/me");
    for (sticky, lines, principal, sticks) in [
        ("principal", &[][..], me, true),
        ("principal", &[], None, false),
        ("header:X-Session", &[("x-session", "1")], None, true),
        ("header:x-session", &[("x-session", "")], me, false),
        ("header:x-session", &[("x-sessions", "1")], me, false),
        ("cookie:variant", &[("cookie", "a=b; variant=1")], None, true),
        ("cookie:variant", &[("cookie", "a=b"), ("cookie", "variant=\"1\"")], None, true),
        ("cookie:variant", &[("cookie", "a=b; variants=1; variant=")], me, false),
        ("none", &[("cookie", "variant=1")], me, false),
    ] {
        assert_eq!(!differ(&by(sticky), lines, principal), sticks, "{sticky} {lines:?}");
    }
    let ids = ["1", "2", "3"];
    let by_default =
        ids.map(|id| choose(&split(json!({})), "prod/iris", &[("x-request-id", id)], me));
    let by_none = ids.map(|id| choose(&by("none"), "prod/iris", &[("x-request-id", id)], None));
    assert_eq!(by_default, by_none);
}

#[test]
fn a_cookie_is_set_once_and_then_decides() {
    let splits =
        split(json!({"stickyBy": "cookie:iris", "cookie": {"maxAge": "1h", "path": "/models"}}));
    let ask = |lines: &[(&str, &str)]| choose(&splits, "prod/iris", lines, None).unwrap();
    let (first, cookie) = ask(&[("x-request-id", "1-2-3")]);
    // By an implementation of its own.
    let value = "410cc30ebcab867c";
    let line = format!("iris={value}; Max-Age=3600; Path=/models; HttpOnly; SameSite=Lax");
    assert_eq!(cookie.as_deref(), Some(line.as_str()));
    let kept = format!("a=1; iris={value}");
    for id in ["1-2-3", "4", ""] {
        assert_eq!(ask(&[("x-request-id", id), ("cookie", &kept)]), (first.clone(), None));
    }
    let secure =
        |scheme: &str| ask(&[("x-request-id", "1-2-3"), ("x-forwarded-proto", scheme)]).1.unwrap();
    assert_eq!(secure("https"), format!("{line}; Secure"));
    assert_eq!(secure("http"), line);
    // What a client writes into its cookie never comes back.
    assert_eq!(ask(&[("cookie", "iris=x\"y")]).1, None);
    // Without an id of the request, by the time.
    let at_the_epoch = format!("{:016x}", Scale::new(&["iris-canary"]).place(&[0; 8]));
    assert!(ask(&[]).1.unwrap().starts_with(&format!("iris={at_the_epoch}; ")));
}

#[test]
fn the_first_split_that_fits_decides() {
    let one = |name: &str, models: &[&str], when: Value| {
        json!({"name": name, "models": models, "when": when,
            "variants": [{"name": name, "weight": 1}]})
    };
    let tester =
        json!([{"key": "request.auth.principal", "values": ["https://idp.example.com/tester"]}]);
    let splits = compile(&json!([
        one("pinned", &["prod/iris", "prod/*"], tester),
        one("exact", &["prod/iris"], json!([])),
        one("all", &["*"], json!([{"key": "request.headers[x-beta]", "values": ["*"]}])),
        one("prod", &["prod/*"], json!([])),
        one("unreachable", &["prod/iris"], json!([])),
    ]))
    .unwrap();
    let beta: &[(&str, &str)] = &[("x-beta", "1")];
    for (model, lines, who, expected) in [
        ("prod/iris", &[][..], Some("https://idp.example.com/tester"), Some("pinned")),
        ("prod/fraud", &[], Some("https://idp.example.com/tester"), Some("pinned")),
        ("prod/iris", beta, Some("https://idp.example.com/me"), Some("exact")),
        ("prod/iris", &[], None, Some("exact")),
        ("prod/fraud", beta, None, Some("all")),
        ("prod/fraud", &[], None, Some("prod")),
        ("test/iris", beta, None, Some("all")),
        ("test/iris", &[], None, None),
    ] {
        let got = choose(&splits, model, lines, who).map(|(variant, _)| variant);
        assert_eq!(got.as_deref(), expected, "{model} {lines:?} {who:?}");
    }
}

#[test]
fn what_is_wrong_makes_nothing() {
    let errors = compile(&json!([{"name": "", "models": ["*"], "variants": []}])).unwrap_err();
    assert_eq!(errors.lines().count(), 2, "{errors}");
}
