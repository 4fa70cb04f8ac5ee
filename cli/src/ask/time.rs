//! Times as people and logs write them: RFC 3339 or seconds since the Unix epoch.

use anyhow::{Context as _, Result, ensure};

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch, by the system's clock.
///
/// # Errors
///
/// The clock is set before 1970.
#[expect(clippy::disallowed_methods, reason = "this is no module for a proxy, and has a clock")]
pub fn now() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos())?)
}

/// Nanoseconds since the Unix epoch of `2026-11-28T20:00:00Z`, with an offset or a fraction too, or of seconds.
///
/// # Errors
///
/// It is no such time.
pub fn read(text: &str) -> Result<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(SECOND).context("a time later than any");
    }
    parse(text).with_context(|| {
        format!("{text} is not a time: RFC 3339 as 2026-11-28T20:00:00Z, or seconds since 1970")
    })
}

fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-');
    let mut number = || date.next()?.parse::<u64>().ok();
    let (year, month, day) = (number()?, number()?, number()?);
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at_checked(zone)?;
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (clock.next()?.parse::<u64>().ok()?, clock.next()?.parse::<u64>().ok()?);
    let (second, fraction) = clock.next().map(|s| s.split_once('.').unwrap_or((s, "")))?;
    let second = second.parse::<u64>().ok()?;
    let is_right = (1970..2500).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61
        && fraction.bytes().all(|c| c.is_ascii_digit());
    if !is_right {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-offset(zone)?)?;
    Some(seconds.checked_mul(SECOND)?.saturating_add(digits.parse().ok()?))
}

/// Seconds that a zone is ahead.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// Days from 1970-01-01 to a day of the Gregorian calendar (years that begin in March).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era_year = year % 400;
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = era_year * 365 + era_year / 4 - era_year / 100 + day_of_year;
    (year / 400) * 146_097 + day_of_era - 719_468
}

/// A duration as `90s`, `5m`, `2h`, which `test` adds to a time.
///
/// # Errors
///
/// It is no such duration.
pub fn seconds(text: &str) -> Result<i64> {
    let (sign, bare) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let unit = bare.chars().last().context("no duration")?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => 0,
    };
    let number = bare.strip_suffix(unit).and_then(|n| n.parse::<i64>().ok());
    ensure!(factor > 0 && number.is_some(), "{text} is not a duration, as 90s, 5m, 2h or -1d");
    Ok(sign * factor * number.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:30:15Z", Some(951_827_415)),
            ("2026-11-28T20:00:00Z", Some(1_795_896_000)),
            ("2026-11-28T21:00:00+01:00", Some(1_795_896_000)),
            ("2026-11-28 20:00:00.250Z", Some(1_795_896_000)),
            ("1795896000", Some(1_795_896_000)),
            ("2026-11-28", None),
            ("2026-13-28T20:00:00Z", None),
            ("2026-11-28T20:00Z", None),
            ("yesterday", None),
        ] {
            assert_eq!(read(text).ok().map(|nanos| nanos / SECOND), seconds, "{text}");
        }
        assert_eq!(read("1970-01-01T00:00:00.25Z").expect("a time"), 250_000_000);
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, wanted) in
            [("90s", Some(90)), ("5m", Some(300)), ("-1d", Some(-86_400)), ("5", None), ("", None)]
        {
            assert_eq!(seconds(text).ok(), wanted, "{text}");
        }
    }
}
