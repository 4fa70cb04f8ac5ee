//! Which gateway a page is of: one that would count twice, or one whose earlier page is taken off.
//!
//! No page says whose it is. But what a proxy counts never falls while it runs, and it took some time to start,
//! once: a page whose counters are all at least those of another may be of the same proxy, later, and one of which
//! some are less is not. Whole pages hold hundreds.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::counts::is_read;
use super::samples::Sample;

/// For how many seconds the proxy has run.
const UPTIME: &str = "envoy_server_uptime";

/// How long it took to start; 0 until that is merged, five seconds later.
const STARTED: &str = "envoy_server_initialization_time_ms_sum";

/// What is compared of two pages.
struct Page<'s> {
    counters: BTreeMap<(&'s str, &'s BTreeMap<String, String>), f64>,
    /// Whether copies were counted at all.
    has_copies: bool,
    uptime: Option<f64>,
    started: Option<f64>,
}

impl<'s> Page<'s> {
    fn new(samples: &'s [Sample]) -> Self {
        let value = |name: &str| samples.iter().find(|s| s.name == name).map(|s| s.value);
        let read = |sample: &&Sample| sample.counts || is_read(&sample.name);
        let mut counters: BTreeMap<_, f64> = BTreeMap::new();
        for sample in samples.iter().filter(read) {
            *counters.entry((sample.name.as_str(), &sample.labels)).or_default() += sample.value;
        }
        Self {
            has_copies: samples.iter().any(|s| is_read(&s.name) && s.value > 0.0),
            counters,
            uptime: value(UPTIME),
            started: value(STARTED).filter(|started| *started > 0.0),
        }
    }

    /// Why it cannot be a later page of the proxy that this earlier one is of; none where it can.
    fn is_no_later(&self, before: &Self) -> Option<String> {
        let is_known_less = |now: Option<f64>, then| now.zip(then).is_some_and(|(n, t)| n < t);
        if is_known_less(self.uptime, before.uptime) {
            return Some(format!("{UPTIME} is less than it was"));
        }
        if self.started.zip(before.started).is_some_and(|(now, then)| now != then) {
            return Some(format!("{STARTED} is another one"));
        }
        before.counters.iter().find_map(|((name, labels), then)| {
            match self.counters.get(&(*name, *labels)) {
                Some(now) if now < then => Some(format!("{name} fell from {then} to {now}")),
                // A proxy forgets counters of clusters that it no longer has.
                None if is_read(name) && *then > 0.0 => Some(format!("{name} is gone")),
                _ => None,
            }
        })
    }
}

/// Refuses pages of which one may be of the same gateway as another, at another time: what both count would count twice.
///
/// # Errors
/// Two such pages, named.
pub fn check_apart(pages: &[Vec<Sample>], names: &[String]) -> Result<()> {
    let pages: Vec<Page<'_>> = pages.iter().map(|samples| Page::new(samples)).collect();
    let named = || pages.iter().zip(names).enumerate().filter(|(_, (page, _))| page.has_copies);
    for (i, (one, name)) in named() {
        for (_, (other, later)) in named().filter(|(j, _)| i != *j) {
            ensure!(
                other.is_no_later(one).is_some(),
                "{later} may be a later page of the gateway that {name} is of: no counter is less. Its copies \
                 would count twice. Give one page of each gateway, whole; if they are different gateways, say so \
                 with --distinct"
            );
        }
    }
    Ok(())
}

/// Refuses an earlier page that is not of the proxy that the page is of.
///
/// # Errors
/// What tells them apart, and what to do.
pub fn check_later(page: &[Sample], before: &[Sample], names: [&str; 2]) -> Result<()> {
    let (page, before, [name, earlier]) = (Page::new(page), Page::new(before), names);
    for (page, name) in [(&page, name), (&before, earlier)] {
        ensure!(
            page.uptime.is_some(),
            "{name}: there is no {UPTIME}, which tells whether the proxy began anew in between: give whole pages"
        );
    }
    if let Some(why) = page.is_no_later(&before) {
        bail!(
            "{name} does not continue {earlier}: {why}. It is of another gateway (--since are in the order of the \
             sources), or the proxy or the plugin began anew after it: then everything that {name} counts is from \
             later, and `--since none` in the place of {earlier} says so"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::parse;

    const SELECTED: &str = "modelgate_shadow_selected_total{shadow=\"a\"}";

    fn page(uptime: u32, started: f64, selected: u32, requests: u32) -> Vec<Sample> {
        let text = format!(
            "{SELECTED} {selected}\n# TYPE envoy_x gauge\nenvoy_x {}\n# TYPE envoy_rq counter\nenvoy_rq {requests}\n\
             # TYPE envoy_server_uptime gauge\n{UPTIME} {uptime}\n{STARTED} {started}\n",
            1000 - uptime
        );
        parse(&text).expect("a page")
    }

    #[test]
    fn one_gateway_at_two_times_is_told_from_two() {
        let first = page(10, 21.5, 100, 100);
        for (other, apart) in [
            (page(10, 21.5, 100, 101), false),
            (page(20, 21.5, 130, 150), false),
            (page(5, 21.5, 90, 80), false),
            // It was not merged yet.
            (page(5, 0.0, 90, 80), false),
            (page(20, 22.5, 130, 150), true),
            (page(20, 21.5, 99, 150), true),
            (page(20, 21.5, 130, 99), true),
            (page(5, 21.5, 130, 150), true),
            // Nothing that would count twice.
            (page(5, 21.5, 0, 80), true),
        ] {
            let names = ["one".to_owned(), "two".to_owned()];
            for pages in [[first.clone(), other.clone()], [other.clone(), first.clone()]] {
                let found = check_apart(&pages, &names);
                assert_eq!(found.is_ok(), apart, "{other:?}: {found:?}");
            }
        }
        let bare = |count: u32| parse(&format!("{SELECTED} {count}\n")).expect("a page");
        let names = ["one".to_owned(), "two".to_owned()];
        assert!(check_apart(&[bare(1), bare(2)], &names).is_err());
    }

    #[test]
    fn an_earlier_page_is_of_the_same_proxy() {
        let before = page(10, 21.5, 100, 100);
        for (now, told) in [
            (page(20, 21.5, 130, 150), None),
            (page(10, 21.5, 100, 100), None),
            (page(9, 21.5, 130, 150), Some("envoy_server_uptime is less")),
            (page(20, 33.5, 130, 150), Some("initialization_time_ms_sum is another")),
            (page(20, 21.5, 99, 150), Some("selected_total fell from 100 to 99")),
            (page(20, 21.5, 130, 99), Some("envoy_rq fell from 100 to 99")),
            (parse(&format!("{UPTIME} 20\n")).expect("a page"), Some("selected_total is gone")),
            (parse(&format!("{SELECTED} 200\n")).expect("a page"), Some("whole pages")),
        ] {
            let found = check_later(&now, &before, ["now", "before"]).map_err(|e| e.to_string());
            let is_told = told.map_or(found.is_ok(), |told| {
                found.as_ref().is_err_and(|error| error.contains(told))
            });
            assert!(is_told, "{told:?}: {found:?}");
        }
    }
}
