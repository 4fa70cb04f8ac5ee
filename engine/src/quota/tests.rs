//! Counts that workers share: exact up to the limit, in every order of reads and writes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::counts::MOST_ENTRIES;
use super::*;
use crate::authz::ModelNames;
use crate::config::read::Read;
use crate::config::types::{self, SourceAddress};
use crate::config::{Errors, Path};
use crate::time::SECOND;
use crate::usage::{AnswerResult, Report};

/// A proxy's shared data, as Envoy keeps it.
#[derive(Default)]
struct Shared {
    values: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    last: Cell<u32>,
    /// How many of the next writes come too late, each with what another worker does before.
    late: Cell<u32>,
}

impl Shared {
    fn put(&self, key: &str, value: &[u8]) {
        self.last.set(self.last.get() + 1);
        self.values.borrow_mut().insert(key.to_owned(), (value.to_vec(), self.last.get()));
    }
}

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).cloned()
    }

    fn set(&self, key: &str, value: &[u8], number: u32) -> bool {
        if let Some(left) = self.late.get().checked_sub(1) {
            self.late.set(left);
            let known = self.get(key).map(|(value, _)| value).unwrap_or_default();
            self.put(key, &known);
        }
        let known = self.get(key).map(|(_, number)| number);
        let is_first = known.is_none_or(|known| known == number);
        if is_first {
            self.put(key, value);
        }
        is_first
    }
}

fn compile(settings: &Value) -> Result<Quotas, String> {
    let path = Path::ROOT.field("quotas");
    let mut errors = Errors::default();
    let list = Vec::<types::Quota>::read(&settings.clone().into(), &path, &mut errors);
    let (source, names) = (SourceAddress::Auto, ModelNames::Objects);
    let quotas = list.and_then(|list| Quotas::compile(&list, source, names, &path, &mut errors));
    quotas.filter(|_| errors.is_empty()).ok_or_else(|| errors.to_string())
}

fn quotas(settings: &Value) -> Quotas {
    compile(settings).unwrap_or_else(|errors| panic!("{errors}"))
}

fn hourly(requests: u32) -> Quotas {
    quotas(&json!([{"name": "q", "models": ["*"], "requests": requests, "window": "1h"}]))
}

/// The count of the caller with this number.
fn caller(n: u8) -> Vec<CountId> {
    let mut key = [7; 16];
    key[15] = n;
    vec![CountId { quota: 0, key, has_tokens: true }]
}

const HOUR: u64 = 3600 * SECOND;

#[test]
fn no_more_than_the_limit_is_ever_taken_and_the_next_window_begins_anew() {
    let (quotas, data) = (hourly(3), Shared::default());
    // Each with what is left of the window.
    for (now, want) in [
        (10 * HOUR, Ok(())),
        (10 * HOUR + 1, Ok(())),
        (11 * HOUR - 1, Ok(())),
        (11 * HOUR - 1, Err(1)),
        (11 * HOUR - 61 * SECOND, Err(61)),
        (10 * HOUR + 1, Err(3600)),
        (11 * HOUR, Ok(())),
        // A worker that read the clock before the other one counts in the new window.
        (11 * HOUR - 1, Ok(())),
        (11 * HOUR - 1, Ok(())),
        (11 * HOUR - 1, Err(3601)),
        (11 * HOUR + 5 * SECOND, Err(3595)),
        // The clock is set back by a day: what lies ahead stops nobody.
        (3 * HOUR, Ok(())),
    ] {
        let taken = quotas.take(&caller(1), &data, now).map_err(|e| e.retry_after);
        assert_eq!(taken, want, "{now}");
    }
}

#[test]
fn callers_have_counts_of_their_own_also_in_one_bucket() {
    let (quotas, data) = (hourly(1), Shared::default());
    for n in 0..20 {
        assert!(quotas.take(&caller(n), &data, HOUR).is_ok());
        assert!(quotas.take(&caller(n), &data, HOUR).is_err());
    }
    assert_eq!(data.values.borrow().len(), 1, "all in one");
}

#[test]
fn a_full_bucket_stays_as_large_as_it_is_and_lets_nobody_have_more() {
    let (quotas, data) = (hourly(2), Shared::default());
    for n in 0..MOST_ENTRIES as u8 {
        assert!(quotas.take(&caller(n), &data, HOUR).is_ok());
    }
    let late = |n| quotas.take(&caller(n), &data, HOUR).is_ok();
    // These share one count.
    assert_eq!([late(200), late(201), late(202), late(203)], [true, true, false, false]);
    assert!(late(5), "who was there keeps its own");
    let size = data.values.borrow().values().map(|(value, _)| value.len()).max();
    assert_eq!(size, Some((MOST_ENTRIES + 1) * 40));
    // With the next window there is room again.
    assert!(quotas.take(&caller(202), &data, 2 * HOUR).is_ok());
    assert_eq!(data.values.borrow().values().map(|(value, _)| value.len()).max(), Some(40));
}

#[test]
fn a_write_that_comes_too_late_is_done_again_and_one_that_never_gets_through_lets_nobody_in() {
    let (quotas, data) = (hourly(2), Shared::default());
    for late in [0, 1, 7] {
        data.late.set(late);
        let taken = quotas.take(&caller(1), &data, HOUR);
        assert_eq!(taken.is_ok(), late < 7, "{late}");
    }
    data.late.set(u32::MAX);
    assert_eq!(quotas.take(&caller(2), &data, HOUR).map_err(|e| e.retry_after), Err(1));
}

#[test]
fn a_request_counts_in_each_of_its_quotas_or_in_none() {
    let quotas = quotas(&json!([
        {"name": "wide", "models": ["*"], "requests": 2, "window": "1h"},
        {"name": "narrow", "models": ["*"], "requests": 1, "window": "1h"},
    ]));
    let data = Shared::default();
    let count = |quota| CountId { quota, key: [0; 16], has_tokens: false };
    let (both, wide) = ([count(0), count(1)], [count(0)]);
    assert!(quotas.take(&both, &data, HOUR).is_ok());
    let exceeded = quotas.take(&both, &data, HOUR).unwrap_err();
    assert_eq!(quotas.name(exceeded.quota), "narrow");
    assert!(quotas.take(&wide, &data, HOUR).is_ok(), "what was refused is given back");
    assert!(quotas.take(&wide, &data, HOUR).is_err());
}

#[test]
fn tokens_are_charged_afterwards_and_stop_who_has_used_them_up() {
    let quotas = quotas(&json!([{"name": "q", "models": ["*"], "tokens": 100, "window": "1m"}]));
    let data = Shared::default();
    let said = |input, output, events| {
        let mut report = Report::unread(AnswerResult::NoUsage);
        (report.tokens.input, report.tokens.output, report.events) = (input, output, events);
        report
    };
    let minute = 60 * SECOND;
    for (report, left) in [
        (said(Some(30), Some(20), 20), true),
        // A stream that does not say what it costs.
        (said(None, None, 40), true),
        (said(None, None, 0), true),
        (said(Some(10), None, 500), false),
    ] {
        assert!(quotas.take(&caller(1), &data, minute).is_ok());
        quotas.charge(&caller(1), &report, &data, minute + SECOND);
        assert_eq!(quotas.take(&caller(1), &data, minute + 2 * SECOND).is_ok(), left);
    }
    assert!(quotas.take(&caller(2), &data, minute).is_ok(), "another caller");
    assert!(quotas.take(&caller(1), &data, 2 * minute).is_ok(), "another window");
}

#[test]
fn what_another_plugin_writes_there_is_no_panic() {
    let quotas = hourly(1);
    for junk in [&b""[..], b"x", &[0xff; 39], &[0xff; 40], &[0xff; 4001]] {
        let data = Shared::default();
        data.put("q\u{0}7", junk);
        assert!(quotas.take(&caller(1), &data, HOUR).is_ok());
        assert!(quotas.take(&caller(1), &data, HOUR).is_err());
    }
}

#[test]
fn mistakes_are_told_at_their_place() {
    for (quota, path) in [
        (json!({"models": ["*"], "requests": 1}), "quotas[0].name"),
        (json!({"name": "", "models": ["*"], "requests": 1}), "quotas[0].name"),
        (json!({"name": "a\nb", "models": ["*"], "requests": 1}), "quotas[0].name"),
        (json!({"name": "n".repeat(65), "models": ["*"], "requests": 1}), "quotas[0].name"),
        (json!({"name": "q", "requests": 1}), "quotas[0].models"),
        (json!({"name": "q", "models": ["iris"], "requests": 1}), "quotas[0].models[0]"),
        (json!({"name": "q", "models": ["*"]}), "quotas[0]"),
        (json!({"name": "q", "models": ["*"], "requests": 0}), "quotas[0].requests"),
        (json!({"name": "q", "models": ["*"], "tokens": 0}), "quotas[0].tokens"),
        (json!({"name": "q", "models": ["*"], "tokens": 1, "window": "0s"}), "quotas[0].window"),
        (json!({"name": "q", "models": ["*"], "tokens": 1, "window": "500ms"}), "quotas[0].window"),
        (json!({"name": "q", "models": ["*"], "tokens": 1, "window": "745h"}), "quotas[0].window"),
        (
            json!({"name": "q", "models": ["*"], "tokens": 1, "operations": []}),
            "quotas[0].operations",
        ),
        (
            json!({"name": "q", "models": ["*"], "tokens": 1, "operations": ["infer"]}),
            "quotas[0].operations[0]",
        ),
        (
            json!({"name": "q", "models": ["*"], "tokens": 1, "by": "request.auth.principal"}),
            "quotas[0].by",
        ),
        (json!({"name": "q", "models": ["*"], "tokens": 1, "by": "claim:a..b"}), "quotas[0].by"),
        (json!({"name": "q", "models": ["*"], "tokens": 1, "by": "header:a b"}), "quotas[0].by"),
        (json!({"name": "q", "models": ["*"], "tokens": 1, "scope": "GLOBAL"}), "quotas[0].scope"),
        (
            json!({"name": "q", "models": ["*"], "tokens": 1, "when": [{"key": "x"}]}),
            "quotas[0].when[0]",
        ),
    ] {
        let errors = compile(&json!([quota])).expect_err(&quota.to_string());
        assert!(errors.contains(path), "{quota}: {errors}");
    }
    let many = |count: usize| {
        let quota = |i| json!({"name": format!("q{i}"), "models": ["*"], "requests": 1});
        compile(&(0..count).map(quota).collect())
    };
    assert!(many(MOST).is_ok() && many(MOST + 1).is_err());
    let twice = json!({"name": "q", "models": ["*"], "requests": 1});
    assert!(compile(&json!([twice, twice])).unwrap_err().contains("quotas[1].name"));
}
