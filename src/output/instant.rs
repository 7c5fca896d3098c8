//! Times, dates and durations as text.
//!
//! ```text
//!   1795222504123456 µs, "UTC"  ──►  2026-11-21T00:55:04.123456Z         csv, tsv, json, ndjson
//!                               ──►  2026-11-21 00:55:04.123456Z         tables
//!                               ──►  2026-11-21 01:55:04.123456+01:00    … with a zone
//! ```
//!
//! An instant always says its zone, and a fraction has 0, 3, 6 or 9 digits: as many as the value needs. The calendar
//! is computed here and not by a library so that each of the 2⁶⁴ values has a text: a log with a broken clock, or a
//! wrong cast, must not end a query at its very last step.

use std::fmt::Write;

use arrow::datatypes::TimeUnit;
use jiff::tz::TimeZone;

/// How the date and the time of day are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `T`, as RFC 3339 has it.
    Rfc3339,
    /// A blank: for people.
    Table,
}

/// Nanoseconds in one unit.
fn unit_nanos(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Whole seconds (rounded down) and the nanoseconds after them.
fn split(value: i64, unit: TimeUnit) -> (i64, u32) {
    let per_second = 1_000_000_000 / unit_nanos(unit);
    let rest = value.rem_euclid(per_second) * unit_nanos(unit);
    (value.div_euclid(per_second), rest as u32)
}

/// Appends an instant: a count of `unit` since 1970 in UTC, seen from `zone`.
pub(super) fn push_instant(out: &mut String, value: i64, unit: TimeUnit, zone: Option<&TimeZone>, stamp: Stamp) {
    let (seconds, nanos) = split(value, unit);
    let offset = zone.and_then(|zone| {
        let instant = jiff::Timestamp::from_second(seconds).ok()?;
        Some(zone.to_offset(instant).seconds())
    });
    push_civil(out, seconds.saturating_add(i64::from(offset.unwrap_or(0))), nanos, stamp);
    match offset {
        None => out.push('Z'),
        Some(offset) => push_offset(out, offset),
    }
}

/// Appends a date and time that has no zone.
pub(super) fn push_local(out: &mut String, value: i64, unit: TimeUnit, stamp: Stamp) {
    let (seconds, nanos) = split(value, unit);
    push_civil(out, seconds, nanos, stamp);
}

/// Appends a date, as days since 1970-01-01.
pub(super) fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    // RFC 3339 has four digits; ISO 8601 asks for a sign where there are more.
    if (0..=9999).contains(&year) {
        push_two(out, year / 100);
        push_two(out, year % 100);
    } else {
        push(out, format_args!("{year:+06}"));
    }
    out.push('-');
    push_two(out, i64::from(month));
    out.push('-');
    push_two(out, i64::from(day));
}

/// Appends a time of day.
pub(super) fn push_time(out: &mut String, value: i64, unit: TimeUnit) {
    let (seconds, nanos) = split(value, unit);
    push_clock(out, seconds, nanos);
}

/// Appends a duration: `PT93784.5S` (ISO 8601) for machines, `1 day 02:03:04.500` for people.
pub(super) fn push_duration(out: &mut String, value: i64, unit: TimeUnit, stamp: Stamp) {
    let (seconds, nanos) = split(value, unit);
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    if total < 0 {
        out.push('-');
    }
    let total = total.unsigned_abs();
    let (seconds, nanos) = ((total / 1_000_000_000) as u64, (total % 1_000_000_000) as u32);
    match stamp {
        Stamp::Rfc3339 => {
            push(out, format_args!("PT{seconds}"));
            push_fraction(out, nanos);
            out.push('S');
        }
        Stamp::Table => {
            match seconds / 86_400 {
                0 => {}
                1 => out.push_str("1 day "),
                days => push(out, format_args!("{days} days ")),
            }
            push_clock(out, (seconds % 86_400) as i64, nanos);
        }
    }
}

/// The zone that a column's type names, or `None` if that is UTC (or nothing known, which is shown in UTC).
pub(super) fn zone_of(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "Z" | "utc" | "Etc/UTC" | "+00:00" | "+00" | "+0000" | "-00:00" | "GMT") {
        return None;
    }
    fixed_offset(name).or_else(|| TimeZone::get(name).ok())
}

/// `+02:00`, `-0530`, `+02`: how Arrow writes a fixed zone.
fn fixed_offset(name: &str) -> Option<TimeZone> {
    let (sign, digits) = match name.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.len(), digits.split_once(':')) {
        (5, Some((hours, minutes))) => (hours, minutes),
        (4, None) => digits.split_at_checked(2)?,
        (2, None) => (digits, "0"),
        _ => return None,
    };
    let seconds = hours.parse::<u8>().ok()? as i32 * 3600 + minutes.parse::<u8>().ok()? as i32 * 60;
    Some(jiff::tz::Offset::from_seconds(sign * seconds).ok()?.to_time_zone())
}

fn push_civil(out: &mut String, seconds: i64, nanos: u32, stamp: Stamp) {
    push_date(out, seconds.div_euclid(86_400));
    out.push(match stamp {
        Stamp::Rfc3339 => 'T',
        Stamp::Table => ' ',
    });
    push_clock(out, seconds.rem_euclid(86_400), nanos);
}

fn push_clock(out: &mut String, seconds: i64, nanos: u32) {
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_two(out, hour);
    out.push(':');
    push_two(out, minute);
    out.push(':');
    push_two(out, second);
    push_fraction(out, nanos);
}

/// Two digits without the formatting machinery: a timestamp column is most of the work of a CSV of log lines.
fn push_two(out: &mut String, value: i64) {
    if (0..100).contains(&value) {
        out.push(char::from(b'0' + (value / 10) as u8));
        out.push(char::from(b'0' + (value % 10) as u8));
    } else {
        push(out, format_args!("{value}"));
    }
}

fn push_fraction(out: &mut String, nanos: u32) {
    if nanos == 0 {
    } else if nanos.is_multiple_of(1_000_000) {
        push(out, format_args!(".{:03}", nanos / 1_000_000));
    } else if nanos.is_multiple_of(1_000) {
        push(out, format_args!(".{:06}", nanos / 1_000));
    } else {
        push(out, format_args!(".{nanos:09}"));
    }
}

fn push_offset(out: &mut String, seconds: i32) {
    out.push(if seconds < 0 { '-' } else { '+' });
    let seconds = seconds.unsigned_abs();
    push(out, format_args!("{:02}:{:02}", seconds / 3600, seconds / 60 % 60));
    // Before the railways a zone was the sun over its town: such offsets have seconds.
    if !seconds.is_multiple_of(60) {
        push(out, format_args!(":{:02}", seconds % 60));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Year, month and day of a count of days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Counted in eras of 400 years (146 097 days) that begin on a 1 March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, u32, u32) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(value: i64, unit: TimeUnit) -> String {
        let mut out = String::new();
        push_instant(&mut out, value, unit, None, Stamp::Rfc3339);
        out
    }

    #[test]
    fn an_instant_has_its_zone_and_only_the_digits_it_needs() {
        assert_eq!(utc(1_795_222_504_123_456, TimeUnit::Microsecond), "2026-11-21T00:55:04.123456Z");
        assert_eq!(utc(1_795_222_504_123_000, TimeUnit::Microsecond), "2026-11-21T00:55:04.123Z");
        assert_eq!(utc(1_795_222_504_000_000, TimeUnit::Microsecond), "2026-11-21T00:55:04Z");
        assert_eq!(utc(1_795_222_504_000_000_001, TimeUnit::Nanosecond), "2026-11-21T00:55:04.000000001Z");
        assert_eq!(utc(-1, TimeUnit::Millisecond), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_calendar_agrees_with_a_library_on_every_day_of_nine_thousand_years() {
        let mut day = jiff::civil::date(1, 1, 1);
        let epoch = jiff::civil::date(1970, 1, 1);
        let mut count = i64::from(day.since(epoch).expect("in range").get_days());
        while day.year() < 9990 {
            let (year, month, number) = civil(count);
            assert_eq!((year, month, number), (day.year().into(), day.month() as u32, day.day() as u32));
            // 13 has no factor in common with 7, 4, 100 or 400: all kinds of days are met.
            day = day.saturating_add(jiff::ToSpan::days(13));
            count += 13;
        }
    }

    #[test]
    fn every_value_has_a_text() {
        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            for value in [i64::MIN, -1, 0, 1, i64::MAX] {
                for zone in [None, zone_of("+14:00")] {
                    let mut out = String::new();
                    push_instant(&mut out, value, unit, zone.as_ref(), Stamp::Table);
                    push_local(&mut out, value, unit, Stamp::Table);
                    push_duration(&mut out, value, unit, Stamp::Table);
                    push_time(&mut out, value, unit);
                    push_date(&mut out, value);
                    assert!(!out.is_empty());
                }
            }
        }
        assert_eq!(utc(253_402_300_800, TimeUnit::Second), "+10000-01-01T00:00:00Z");
    }

    #[test]
    fn a_zone_moves_the_clock_and_is_named_by_its_offset() {
        let berlin = TimeZone::get("Europe/Berlin").expect("the zone database is there");
        let mut out = String::new();
        push_instant(&mut out, 1_795_222_504, TimeUnit::Second, Some(&berlin), Stamp::Table);
        assert_eq!(out, "2026-11-21 01:55:04+01:00");
        out.clear();
        push_instant(&mut out, 0, TimeUnit::Second, zone_of("-0530").as_ref(), Stamp::Rfc3339);
        assert_eq!(out, "1969-12-31T18:30:00-05:30");
        assert!(zone_of("UTC").is_none() && zone_of("no such zone").is_none() && zone_of("ü").is_none());
    }

    #[test]
    fn durations_are_iso_for_machines_and_clocks_for_people() {
        let text = |value, stamp| {
            let mut out = String::new();
            push_duration(&mut out, value, TimeUnit::Millisecond, stamp);
            out
        };
        assert_eq!(text(93_784_500, Stamp::Rfc3339), "PT93784.500S");
        assert_eq!(text(93_784_500, Stamp::Table), "1 day 02:03:04.500");
        assert_eq!(text(-1_500, Stamp::Table), "-00:00:01.500");
        assert_eq!(text(2 * 86_400_000, Stamp::Table), "2 days 00:00:00");
    }
}
