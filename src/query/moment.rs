//! Points in time as people write them: `2026-11-21`, RFC 3339, `2h`, `-1d`, `yesterday`.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// How a time may be written: for hints.
pub const TIME_FORMS: &str =
    "write `2026-11-21`, `2026-11-21 08:00`, `2026-11-21T08:00:00Z`, `2h`, `-1d`, `today` or `yesterday`";

/// When it is, and where the clock hangs that it is read from.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The time.
    pub now: Timestamp,
    /// The zone of times without one.
    pub zone: TimeZone,
}

/// A point in time, exact, local to the asker, or so long ago: in microseconds since the epoch.
pub fn moment(text: &str, clock: &Clock) -> Option<i64> {
    let (text, Clock { now, zone }) = (text.trim(), clock);
    let day = |days: i64| -> Option<Timestamp> {
        let today = now.to_zoned(zone.clone());
        Some(today.start_of_day().ok()?.checked_add(Span::new().try_days(days).ok()?).ok()?.timestamp())
    };
    let local = |civil: DateTime| civil.to_zoned(zone.clone()).map(|zoned| zoned.timestamp()).ok();
    let found = match text {
        "now" => Some(*now),
        "today" => day(0),
        "yesterday" => day(-1),
        _ => text
            .parse::<Timestamp>()
            .ok()
            .or_else(|| text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp()))
            .or_else(|| text.parse::<DateTime>().ok().and_then(local))
            .or_else(|| text.parse::<Date>().ok().and_then(|date| local(date.to_datetime(jiff::civil::Time::midnight()))))
            .or_else(|| ago(text, *now)),
    };
    found.map(Timestamp::as_microsecond)
}

/// `2h`, `-90m`, `1d ago`.
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let length = duration(text.strip_prefix('-').unwrap_or(text).trim_end_matches("ago"))?;
    now.checked_sub(Span::new().try_seconds(i64::try_from(length.as_secs()).ok()?).ok()?).ok()
}

/// A length of time: `2h`, `90m`, `1d`, `1h30m`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let unit = match rest[digits..unit_end].trim() {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            "w" | "week" | "weeks" => 7 * 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[unit_end..];
    }
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_local_or_ago() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let clock = Clock { now, zone: berlin };
        let at = |text: &str| moment(text, &clock).map(|us| Timestamp::from_microsecond(us).expect("in range").to_string());
        for (text, expected) in [
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00+05:30", "2026-11-20T02:30:00Z"),
            ("2026-11-20 08:00", "2026-11-20T07:00:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("yesterday", "2026-11-19T23:00:00Z"),
            ("2h", "2026-11-21T10:00:00Z"),
            ("-1d", "2026-11-20T12:00:00Z"),
            ("1h30m", "2026-11-21T10:30:00Z"),
            ("90 minutes ago", "2026-11-21T10:30:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", "tomorrowish", "5", "h", "5x", "2026-13-01"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
