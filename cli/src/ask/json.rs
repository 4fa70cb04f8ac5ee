//! A decision for programs. The shape is documented in docs/decide.md; fields are only ever added.

use modelgate_engine::authn::{CredentialsView, Identity};
use modelgate_engine::authz::{
    BypassView, ClauseView, Had, ListView, NoPolicy, PoliciesView, PolicyView, RuleView,
};
use modelgate_engine::pipeline::{EditView, Explanation, RouteView, Stage};
use modelgate_engine::quota::QuotaView;
use modelgate_engine::split::{ChoiceView, Key, SplitView};
use serde_json::{Value, json};

use super::decided::{Bench, Decided};
use super::request::Asked;

/// The document about one request.
pub fn document(bench: &Bench, asked: &Asked, decided: &Decided) -> Value {
    let facts = &decided.decision.facts;
    let explanation = &decided.explanation;
    json!({
        "version": 1,
        "configuration": bench.configuration.name,
        "mode": if bench.plan.is_report_only() { "REPORT" } else { "ENFORCE" },
        "assumedSignatures": bench.assumed.names(),
        "request": {
            "method": asked.method(),
            "host": host(&asked.host),
            "path": path(&asked.path),
            "at": asked.at / 1_000_000_000,
        },
        "decision": if decided.needs_body { "undecided" } else { facts.verdict.as_str() },
        "allowed": decided.is_allowed() && !decided.needs_body,
        "model": facts.model.as_deref(),
        "operation": facts.operation.map(|operation| operation.as_str()),
        "namedInBody": decided.named_in_body,
        "principal": facts.identity.as_deref().and_then(Identity::principal),
        "policy": some(bench.plan.decided_by(facts)),
        "rule": facts.rule,
        "answer": answer(decided),
        "variant": decided.variant(),
        "shadows": decided.shadows(&bench.plan),
        "stages": stages(bench, explanation, decided.decision.reply().is_some()),
    })
}

/// A path without its query, which may carry a token, and in absolute form without a user and password.
pub fn path(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else { return path.to_owned() };
    let (authority, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{rest}", host(authority))
}

/// A host without a user and password before it.
pub fn host(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A challenge without the query of its realm, which may hold what nobody else should see.
pub fn challenge(said: &str) -> String {
    const REALM: &str = "realm=\"";
    let realm = said.find(REALM).map(|at| at.saturating_add(REALM.len()));
    let Some((before, realm)) = realm.and_then(|at| said.split_at_checked(at)) else {
        return said.to_owned();
    };
    let (realm, after) = realm.split_at(realm.find('"').unwrap_or(realm.len()));
    match realm.split_once('?') {
        Some((path, _)) => format!("{before}{path}?...{after}"),
        None => said.to_owned(),
    }
}

fn answer(decided: &Decided) -> Value {
    let Some(reply) = decided.decision.reply() else { return Value::Null };
    json!({
        "status": reply.code,
        "body": reply.body,
        "responseCodeDetails": reply.details,
        "wwwAuthenticate": reply.www_authenticate.as_deref().map(challenge),
        "retryAfter": reply.retry_after,
        "grpcStatus": reply.grpc_status,
    })
}

fn stages(bench: &Bench, explanation: &Explanation, is_answered: bool) -> Value {
    json!({
        "route": route(bench, &explanation.route),
        "removedHeaders": explanation.removed.iter().map(|removed| {
            json!({"name": text(&removed.name), "why": removed.why})
        }).collect::<Vec<_>>(),
        "bypass": explanation.bypasses.iter().map(bypass).collect::<Vec<_>>(),
        "preflight": explanation.is_preflight,
        "credentials": explanation.credentials.as_ref().map(|seen| credentials(bench, seen)),
        "policies": explanation.policies.as_ref().map(|seen| policies(bench, seen)),
        "splits": explanation.splits.iter().map(|one| split(bench, one)).collect::<Vec<_>>(),
        "quotas": explanation.quotas.iter().map(|one| quota(bench, one)).collect::<Vec<_>>(),
        "shadows": explanation.shadows.iter().map(|(view, when)| {
            let name = bench.plan.shadows().get(view.id).map(|shadow| &*shadow.name);
            json!({
                "name": name,
                "selected": view.unselected.is_none(),
                "why": view.unselected.map(|why| why.as_str()),
                "percent": view.percent,
                "sampledBy": if view.by_principal { "principal" } else { "request" },
                "when": list(when),
            })
        }).collect::<Vec<_>>(),
        "edits": explanation.edits.iter().filter(|_| !is_answered).map(edit).collect::<Vec<_>>(),
    })
}

fn route(bench: &Bench, view: &RouteView) -> Value {
    let rewrites = view.rewrites.iter().enumerate().map(|(i, rewrite)| {
        json!({"name": bench.configuration.name_of("rewrites", i), "result": rewrite.as_str()})
    });
    json!({
        "excluded": view.excluded,
        "rewrites": rewrites.collect::<Vec<_>>(),
        "path": view.path.as_deref().map(text),
        "authority": view.authority.as_deref().map(text),
        "refusal": view.refusal.map(|refusal| refusal.reason),
        "namedBy": view.named_by.map(|by| by.as_str()),
        "address": view.address.as_ref().map(|address| json!({
            "family": address.family.as_str(),
            "operation": address.operation.as_str(),
            "closed": address.operation.is_closed(),
            "model": address.model.as_ref().map(|model| &*model.id),
            "predictor": address.model.as_ref().and_then(|model| model.predictor.as_deref()),
            "inBody": address.in_body.as_ref().map(|in_body| in_body.about()),
        })),
    })
}

fn bypass(view: &BypassView) -> Value {
    json!({
        "name": view.name,
        "matches": view.matches,
        "from": lists(&view.from),
        "to": lists(&view.to),
    })
}

fn credentials(bench: &Bench, view: &CredentialsView) -> Value {
    let tokens = view.tokens.iter().map(|token| {
        let issuer = token.claims.as_ref().and_then(|claims| claims.get("iss")?.as_str());
        json!({
            "rule": token.issuer,
            "keysFrom": token.fetched_from,
            "place": token.place,
            "algorithm": token.algorithm,
            "keyId": token.key_id,
            "claims": token.claims,
            "result": token.result.as_str(),
            "refused": token.refused,
            "signatureAssumed": token.refused.is_none() && issuer.is_some_and(|i| bench.assumed.is_of(i)),
        })
    });
    json!({
        "places": view.places,
        "apiKey": view.api_key.as_ref().map(|key| match key {
            Ok(principal) => json!({"principal": principal}),
            Err(why) => json!({"refused": why}),
        }),
        "tokens": tokens.collect::<Vec<_>>(),
    })
}

fn policies(bench: &Bench, view: &PoliciesView) -> Value {
    json!({
        "asked": view.list.iter().map(|one| policy(bench, one)).collect::<Vec<_>>(),
        "ofOtherModels": view.others,
        "withoutOne": without(view.without),
    })
}

fn policy(bench: &Bench, view: &PolicyView) -> Value {
    json!({
        "name": bench.plan.policy_name(view.id),
        "action": view.action,
        "dryRun": view.dry_run,
        "applies": view.applies,
        "asked": view.asked,
        "rule": view.matched,
        "effect": view.matched.map(|_| view.effect.as_str()),
        "rules": view.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(view: &RuleView) -> Value {
    json!({
        "matches": view.matches,
        "needsOperation": view.naming,
        "from": lists(&view.from),
        "to": lists(&view.to),
        "when": list(&view.when),
    })
}

/// Why it is as it is where no policy decides.
pub fn without(why: NoPolicy) -> &'static str {
    match why {
        NoPolicy::Bypassed => "a bypass lets it through, unless a DENY policy matches",
        NoPolicy::Closed => {
            "metrics, admin and other are opened by a rule that names them, and none matches"
        }
        NoPolicy::NoneMatches => "ALLOW policies exist for it, and none matches",
        NoPolicy::InBody => "a model that the body names needs an ALLOW policy that matches",
        NoPolicy::Default { allows: true } => {
            "no ALLOW policy exists for it, and defaultAction is ALLOW"
        }
        NoPolicy::Default { allows: false } => "no ALLOW policy matches, and defaultAction is DENY",
    }
}

fn lists(lists: &[ListView]) -> Vec<Value> {
    lists.iter().map(list).collect()
}

fn list(list: &ListView) -> Value {
    list.clauses.iter().map(clause).collect()
}

fn clause(view: &ClauseView) -> Value {
    let had = match &view.had {
        Had::Values(values) => json!(values),
        Had::Unknown => json!({"unknown": true}),
        Had::Hidden(lines) => json!({"hidden": lines}),
    };
    json!({"clause": view.path, "holds": view.holds, "wanted": view.wanted, "had": had})
}

fn split(bench: &Bench, view: &SplitView) -> Value {
    json!({
        "name": bench.configuration.name_of("splits", view.index),
        "forModel": view.is_for_model,
        "when": list(&view.when),
        "chosen": view.chosen.as_ref().map(|choice| json!({
            "header": choice.header,
            "variant": choice.variant,
            "weights": choice.variants.iter().map(|(name, weight)| {
                json!({"name": name, "weight": weight})
            }).collect::<Vec<_>>(),
            "by": by(choice),
            "setsCookie": choice.sets_cookie,
        })),
    })
}

fn quota(bench: &Bench, view: &QuotaView) -> Value {
    json!({
        "name": bench.configuration.name_of("quotas", view.index),
        "forModel": view.is_for_model,
        "when": list(&view.when),
        "counted": view.counted.as_ref().map(|counted| json!({
            "by": counted.by,
            "value": counted.value,
            "model": counted.model,
            "requests": counted.requests,
            "tokens": counted.tokens,
            "windowSeconds": counted.window,
        })),
    })
}

/// What the variant is chosen by, for people.
pub fn by(choice: &ChoiceView) -> String {
    match &choice.by {
        Key::Principal(principal) => format!("the principal {principal}"),
        Key::Header(name) => format!("the header {name}"),
        Key::Cookie(name) => format!("the cookie {name}"),
        Key::NewCookie(name) => format!("the cookie {name}, which the answer sets"),
        Key::RequestId => "the request's id".to_owned(),
        Key::Time => "the time, because there is no x-request-id: a gateway makes one".to_owned(),
    }
}

/// What a change comes from, for people.
pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Sanitized => "sanitized",
        Stage::Authenticated => "authentication",
        Stage::Rewritten => "credentials and rewrite",
        Stage::Identified => "request id",
        Stage::Varied => "split",
    }
}

fn edit(view: &EditView) -> Value {
    json!({
        "from": stage(view.stage),
        "action": if view.value.is_some() { "set" } else { "remove" },
        "name": text(&view.name),
        "value": view.value.as_deref().map(|value| shown(view, value)),
    })
}

/// A line that comes, unless it is a credential. Of a path the query is not shown.
pub fn shown(view: &EditView, value: &[u8]) -> String {
    match view.name.as_slice() {
        _ if view.is_secret => "(not shown)".to_owned(),
        b":path" => path(&text(value)),
        _ => text(value),
    }
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
