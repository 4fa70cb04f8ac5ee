//! When a key set is fetched again: its age, back-off (exponential backoff) after failures, and the spread of both.

use std::time::Duration;

use crate::config::types::RemoteJwks;
use crate::config::values::Size;
use crate::config::{Errors, Path};
use crate::request::Header;
use crate::time::{SECOND, nanos};

/// An issuer's `max-age` brings a fetch forward, but not below this age. (Some say 15 s, and a
/// gateway has many workers.)
const MIN_AGE: u64 = 60 * SECOND;

/// How long after a failure the next attempt is made; doubles with each further one.
const FIRST_RETRY: u64 = SECOND;

/// The bound of the doubling.
const LAST_RETRY: u64 = 60 * SECOND;

/// How often tokens with unknown key ids may bring a fetch forward: anybody can make such tokens.
pub const ASK_EVERY: u64 = 30 * SECOND;

/// For how long after its timeout a fetch is still believed to be answered.
pub const GRACE: u64 = 5 * SECOND;

/// Ages, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    refresh: u64,
    /// How long a set serves while fetches fail.
    pub max_stale: u64,
}

impl Times {
    /// As set.
    pub fn new(settings: &RemoteJwks) -> Self {
        Self { refresh: nanos(settings.refresh), max_stale: nanos(settings.max_stale) }
    }

    /// The age at which a set is fetched again: at most `refresh`, so that a removed key is known
    /// to be refused by then.
    pub fn age(&self, max_age: Option<u64>, spread: u64) -> u64 {
        let wanted = max_age.map_or(self.refresh, |age| age.max(MIN_AGE).min(self.refresh));
        earlier(wanted, wanted / 10, spread)
    }
}

/// How long to wait after so many failures in a row.
pub fn wait_after_failures(failures: u32, spread: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
    earlier(wait, wait / 4, spread)
}

/// A duration less up to `most`.
fn earlier(duration: u64, most: u64, spread: u64) -> u64 {
    duration.saturating_sub((most / 1024).saturating_mul(spread % 1024))
}

/// What `spread` a worker has at a time: workers and gateways that began together do not go on so.
pub fn spread(now: u64, salt: u64) -> u64 {
    salt ^ now.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

/// `max-age` of `cache-control` (RFC 9111 §5.2.2.1), in nanoseconds.
pub fn max_age(headers: &[Header<'_>]) -> Option<u64> {
    let lines = headers.iter().filter(|(name, _)| *name == b"cache-control");
    let directives = lines.flat_map(|(_, value)| value.split(|c| *c == b','));
    let ages = directives.filter_map(|directive| {
        let text = std::str::from_utf8(directive).ok()?.trim();
        let (name, value) = text.split_once('=')?;
        let seconds: u64 = value.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then_some(seconds.saturating_mul(SECOND))
    });
    ages.min()
}

/// Refuses what would leave an issuer in peace too little, or a removed key in use too long.
pub fn check(settings: &RemoteJwks, path: &Path<'_>, errors: &mut Errors) {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
    let shown = |duration: Duration| format!("{}ms", duration.as_millis());
    if !(second..=day).contains(&settings.refresh) {
        let place = path.field("refresh");
        errors.add_value(&place, "is out of range", shown(settings.refresh), "1s to 24h");
    }
    if settings.max_stale < settings.refresh || settings.max_stale > day.saturating_mul(30) {
        let fix = "at least refresh, or sets end before they are renewed, and at most 720h";
        let place = path.field("maxStale");
        errors.add_value(&place, "is out of range", shown(settings.max_stale), fix);
    }
    if !(Size::kib(1)..=Size::mib(16)).contains(&settings.max_bytes) {
        let shown = format!("{}B", settings.max_bytes.0);
        errors.add_value(&path.field("maxBytes"), "is out of range", shown, "1KiB to 16MiB");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn max_ages() {
        for (lines, want) in [
            (&[][..], None),
            (&["no-cache"], None),
            (&["public, Max-Age=60 , must-revalidate"], Some(60)),
            (&["max-age=\"7\""], Some(7)),
            (&["max-age=9", "max-age=8"], Some(8)),
            (&["max-age=-1", "s-maxage=5", "max-age=x"], None),
            (&["max-age=18446744073709551615"], Some(u64::MAX / SECOND + 1)),
        ] {
            let headers: Vec<Header<'_>> =
                lines.iter().map(|v| (&b"cache-control"[..], v.as_bytes())).collect();
            assert_eq!(max_age(&headers), want.map(|s: u64| s.saturating_mul(SECOND)), "{lines:?}");
        }
        assert_eq!(
            max_age(&[(b"cache-control", b"\xff, max-age=1"), (b"x", b"max-age=1")]),
            Some(SECOND)
        );
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits: Vec<u64> = (1..10).map(|n| wait_after_failures(n, 0) / SECOND).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_after_failures(u32::MAX, 0), LAST_RETRY);
    }

    proptest! {
        #[test]
        fn ages_and_waits_are_within_bounds(
            refresh in 1u64..86_400, max_age in proptest::option::of(any::<u64>()),
            failures in any::<u32>(), now in any::<u64>(), salt in any::<u64>(),
        ) {
            let times = Times { refresh: refresh * SECOND, max_stale: 0 };
            let spread = spread(now, salt);
            let age = times.age(max_age, spread);
            prop_assert!(age <= times.refresh);
            prop_assert!(age >= times.refresh.min(MIN_AGE) / 10 * 9);
            let wait = wait_after_failures(failures, spread);
            prop_assert!((FIRST_RETRY * 3 / 4..=LAST_RETRY).contains(&wait));
        }
    }
}
