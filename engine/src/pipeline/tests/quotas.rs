//! Which requests count, against what, and what becomes of those beyond a quota.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ABC, PREDICT, code, decide, plan};
use crate::pipeline::{Decision, Plan};
use crate::quota::SharedData;
use crate::telemetry::Verdict;

#[derive(Default)]
struct Shared(RefCell<BTreeMap<String, Vec<u8>>>);

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        Some((self.0.borrow().get(key)?.clone(), 1))
    }

    fn set(&self, key: &str, value: &[u8], _: u32) -> bool {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        true
    }
}

/// The SHA-256 of "abd".
const ABD: &str = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";

fn with(quota: Value) -> Plan {
    in_mode("ENFORCE", quota)
}

fn in_mode(mode: &str, quota: Value) -> Plan {
    let mut settings = json!({"name": "q", "models": ["prod/*"], "requests": 1, "window": "1h"});
    settings.as_object_mut().unwrap().extend(quota.as_object().unwrap().clone());
    plan(json!({
        "mode": mode,
        "authentication": {"apiKeys": {"keys": [
            {"name": "a", "sha256": ABC, "claims": {"tier": "free", "team": "x", "tenant": 7}},
            {"name": "b", "sha256": ABD, "claims": {"tier": "gold", "team": "x", "tenant": "7"}},
        ]}},
        "bypass": [{"name": "probe", "to": [{"operation": {"methods": ["GET"], "paths": ["/seldon/prod/iris/metrics"]}}]}],
        "quotas": [settings],
    }))
}

fn limited(plan: &Plan, data: &Shared, request: &str, lines: &[(&str, &str)]) -> Decision {
    let mut decision = decide(plan, request, lines);
    plan.limit(&mut decision, data, 3_600_000_000_000);
    decision
}

const A: &[(&str, &str)] = &[("x-api-key", "abc"), ("x-team", "a")];
const B: &[(&str, &str)] = &[("x-api-key", "abd"), ("x-team", "b")];
const PREFLIGHT: &str = "OPTIONS /seldon/prod/iris/api/v1.0/predictions";
const OTHER: &str = "POST /seldon/prod/wine/api/v1.0/predictions";
const ELSEWHERE: &str = "POST /seldon/dev/iris/api/v1.0/predictions";
const STATUS: &str = "GET /seldon/prod/iris/health/status";

#[test]
fn a_quota_counts_what_it_names() {
    // The first request is A's for iris. Whether these are let through after it: A's again, B's, A's of another model, of
    // another namespace, of another operation, and one of nobody.
    for (quota, want) in [
        (json!({}), [false, true, false, true, true, true]),
        (json!({"by": "none"}), [false, false, false, true, true, false]),
        (json!({"by": "none", "perModel": true}), [false, false, true, true, true, false]),
        (json!({"perModel": true}), [false, true, true, true, true, true]),
        (json!({"by": "claim:team"}), [false, false, false, true, true, true]),
        (json!({"by": "claim:tenant"}), [false, false, false, true, true, true]),
        (json!({"by": "header:X-Team"}), [false, true, false, true, true, true]),
        (json!({"operations": ["status", "predict"]}), [false, true, false, true, false, true]),
        (json!({"models": ["*"]}), [false, true, false, false, true, true]),
        (
            json!({"when": [{"key": "request.auth.claims[tier]", "values": ["free"]}], "by": "none"}),
            [false, true, false, true, true, true],
        ),
    ] {
        let (plan, data) = (with(quota.clone()), Shared::default());
        assert_eq!(code(&limited(&plan, &data, PREDICT, A)), None, "{quota}");
        let asked =
            [(PREDICT, A), (PREDICT, B), (OTHER, A), (ELSEWHERE, A), (STATUS, A), (PREDICT, &[])];
        for ((request, lines), want) in asked.into_iter().zip(want) {
            // What one of them uses up is no other's.
            let data = Shared(RefCell::new(data.0.borrow().clone()));
            let found = code(&limited(&plan, &data, request, lines));
            assert_eq!(found, (!want).then_some(429), "{quota}: {request} {lines:?}");
        }
    }
}

#[test]
fn the_answer_says_when_to_come_again_and_which_quota_it_is() {
    let (plan, data) = (with(json!({})), Shared::default());
    let _ = limited(&plan, &data, PREDICT, A);
    let decision = limited(&plan, &data, PREDICT, A);
    let reply = decision.reply().unwrap();
    assert_eq!((reply.code, reply.body, reply.grpc_status), (429, "quota exceeded", Some(8)));
    assert_eq!((reply.retry_after, &*reply.details), (Some(3600), "modelgate_quota_exceeded[q]"));
    assert_eq!(decision.facts.verdict, Verdict::Limited);
    assert_eq!(plan.decided_by(&decision.facts), "q");
}

#[test]
fn what_is_not_allowed_or_bypassed_or_asks_for_nothing_counts_nowhere() {
    let (plan, data) = (with(json!({"operations": ["predict", "metrics"]})), Shared::default());
    for (request, lines, want) in [
        (PREDICT, &[("x-api-key", "wrong")][..], Some(401)),
        ("GET /seldon/prod/iris/metrics", A, None),
        ("GET /seldon/prod/iris/metrics", A, None),
        (
            PREFLIGHT,
            &[("origin", "https://a.example.com"), ("access-control-request-method", "POST")],
            None,
        ),
        (
            PREFLIGHT,
            &[("origin", "https://a.example.com"), ("access-control-request-method", "POST")],
            None,
        ),
        // Only what browsers ask before is one.
        (PREFLIGHT, &[], None),
        (PREFLIGHT, &[], Some(429)),
        (PREDICT, A, None),
    ] {
        assert_eq!(code(&limited(&plan, &data, request, lines)), want, "{request}");
    }
}

#[test]
fn in_report_mode_it_is_counted_and_goes_on() {
    let (plan, data) = (in_mode("REPORT", json!({})), Shared::default());
    let verdicts: Vec<Verdict> =
        (0..3).map(|_| limited(&plan, &data, PREDICT, A).facts.verdict).collect();
    assert_eq!(verdicts, [Verdict::Allowed, Verdict::Limited, Verdict::Limited]);
    assert_eq!(code(&limited(&plan, &data, PREDICT, A)), None);
}

#[test]
fn answers_that_are_charged_come_uncompressed_and_are_read() {
    let lines = [A, &[("accept-encoding", "gzip")]].concat();
    for (quota, reads) in [(json!({}), false), (json!({"tokens": 5}), true)] {
        let plan = with(quota);
        let decision = decide(&plan, PREDICT, &lines);
        let edits = decision.edits().unwrap();
        assert_eq!(edits.removes(b"accept-encoding"), reads);
        assert_eq!(plan.reads_answers() && plan.usage(&decision.facts).is_some(), reads);
    }
}
