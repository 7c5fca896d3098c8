//! A value of a source beside the one that was read.

use std::net::IpAddr;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use logsql_kernel::table::table;
use serde_json::Value;

use super::expectation::Rule;
use super::read::{Cell, Row};

/// What a comparison found.
pub(crate) enum Verdict {
    Equal,
    /// With what was read.
    Differs(String),
    /// The table has no such column, or the source says nothing.
    Unasked,
}

/// The value of a word, as the column should have it; `None` where the source says nothing about the line.
fn wanted(rule: &Rule, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if rule.ignore.contains(&text) {
        return None;
    }
    let mut text = text;
    if rule.unescape {
        text = unescape(&text);
    }
    text = text.trim_matches(|around| rule.trim.contains(around)).to_owned();
    if let Some(other) = rule.map.get(&text) {
        text = other.clone();
    }
    if text.is_empty() || text == "-" {
        return Some(String::new());
    }
    Some(rule.prefix.clone() + &text)
}

/// The text with `\xAD` as the byte that it stands for; what is no UTF-8 then is shown as the decoder shows it.
fn unescape(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind.strip_prefix(b"x").and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex.get(..2)?).ok()?, 16).ok());
        match hex.filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What it is worth that a record did not land.
pub(crate) fn missing(rule: &Rule, value: &Value) -> Verdict {
    if wanted(rule, value).is_none() { Verdict::Unasked } else { Verdict::Differs("no row".to_owned()) }
}

/// Is the value what one of the rule's columns holds?
pub(crate) fn compare(rule: &Rule, value: &Value, row: &Row, raw: &[u8], zone: &TimeZone) -> Verdict {
    let Some(wanted) = wanted(rule, value) else { return Verdict::Unasked };
    let def = table(row.table).expect("a table");
    let mut got = vec![];
    for name in rule.column.split(' ') {
        let cell = match name.split_once('.') {
            Some((map, key)) => match row.cells.get(map) {
                Some(Cell::Map(entries)) => {
                    entries.iter().find(|(name, _)| name == key).map(|(_, text)| Cell::Text(text.clone()))
                }
                _ => None,
            },
            None if def.column(name).is_some() => row.cells.get(name).cloned(),
            None => continue,
        };
        if is_equal(rule, &wanted, cell.as_ref(), raw, zone) {
            return Verdict::Equal;
        }
        got.push(format!("{name} = {}", cell.map_or_else(|| "NULL".to_owned(), |cell| show(&cell, zone))));
    }
    if got.is_empty() { Verdict::Unasked } else { Verdict::Differs(got.join(", ")) }
}

fn show(cell: &Cell, zone: &TimeZone) -> String {
    match cell {
        Cell::Time(time) => {
            Timestamp::from_microsecond(*time).map_or_else(|_| time.to_string(), |time| time.to_zoned(zone.clone()).to_string())
        }
        Cell::Text(text) => format!("{:.200}", text.escape_debug().to_string()),
        Cell::Number(number) => number.to_string(),
        Cell::Map(_) => "a map".to_owned(),
    }
}

fn is_equal(rule: &Rule, wanted: &str, cell: Option<&Cell>, raw: &[u8], zone: &TimeZone) -> bool {
    match cell {
        None => wanted.is_empty(),
        Some(Cell::Number(number)) => {
            let wanted: Option<f64> = wanted.trim().parse().ok();
            let wanted = wanted.map(|wanted| wanted * rule.factor.unwrap_or(1.0));
            wanted.is_some_and(|wanted| (wanted - number).abs() <= 1e-9 * number.abs().max(1.0))
        }
        Some(Cell::Time(time)) => is_same_time(rule, wanted, *time, raw, zone),
        Some(Cell::Text(text)) => {
            let ip = |text: &str| text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
            let is_same_time = || {
                let (own, wanted) = (time_of(rule, text, zone), time_of(rule, wanted, zone));
                own.zip(wanted).is_some_and(|((own, _), (wanted, _))| own == wanted)
            };
            text == wanted
                || text.trim() == wanted.trim()
                || (rule.within && wanted.contains(text.trim()))
                || (rule.holds && !wanted.is_empty() && text.contains(wanted))
                || (!rule.time.is_empty() && is_same_time())
                || (rule.fold && text.eq_ignore_ascii_case(wanted))
                || ip(text).is_some_and(|own| ip(wanted) == Some(own))
        }
        Some(Cell::Map(_)) => false,
    }
}

/// The source's time; whether it says the year.
fn time_of(rule: &Rule, text: &str, zone: &TimeZone) -> Option<(Timestamp, bool)> {
    let in_zone = |civil: DateTime| zone.to_ambiguous_timestamp(civil).compatible().ok();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some((time, true));
    }
    if let Some(time) = text.parse::<DateTime>().ok().and_then(in_zone) {
        return Some((time, true));
    }
    rule.time.iter().find_map(|layout| {
        if layout == "%s" {
            let seconds: f64 = text.parse().ok()?;
            return Some((Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()?, true));
        }
        // A leap year stands in for one that is not there.
        let has_year = layout.contains("%Y") || layout.contains("%y") || layout.contains("%D");
        let broken = match has_year {
            true => strtime::parse(layout, text).ok()?,
            false => strtime::parse(format!("%Y {layout}"), format!("2024 {text}")).ok()?,
        };
        let time = broken.to_timestamp().ok().or_else(|| in_zone(broken.to_datetime().ok()?))?;
        Some((time, has_year))
    })
}

/// As exact as the source is. A line that does not say its year is compared without it: the source took one of its own.
fn is_same_time(rule: &Rule, wanted: &str, time: i64, raw: &[u8], zone: &TimeZone) -> bool {
    let Some((wanted, has_year)) = time_of(rule, wanted, zone) else { return false };
    let Ok(time) = Timestamp::from_microsecond(time) else { return false };
    let fraction = wanted.subsec_microsecond();
    let unit = [(1_000_000, fraction == 0), (1000, fraction % 1000 == 0)]
        .into_iter()
        .find(|(_, fits)| *fits)
        .map_or(1, |(unit, _)| unit);
    let cut = |time: Timestamp| time.as_microsecond().div_euclid(unit);
    if cut(time) == cut(wanted) {
        return true;
    }
    let (time, wanted) = (time.to_zoned(zone.clone()).datetime(), wanted.to_zoned(zone.clone()).datetime());
    let year = wanted.year().to_string();
    // Some stamps begin with two digits of it.
    let says_year = memchr::memmem::find(raw, year.as_bytes()).is_some() || raw.starts_with(&year.as_bytes()[2..]);
    let moved = time.checked_add((i32::from(wanted.year()) - i32::from(time.year())).years());
    let to_the_second = |time: DateTime| (time.date(), time.hour(), time.minute(), time.second());
    !(has_year && says_year) && moved.is_ok_and(|moved| to_the_second(moved) == to_the_second(wanted))
}
