//! When a job is due: five fields as in a crontab, with a time zone.
//!
//! croner finds the times; what a clock change means is its rule, which is Vixie cron's:
//!
//! | the clock | `30 2 * * *` (minute and hour are numbers) | `*/15 * * * *` (a `*` or a step among them) |
//! |---|---|---|
//! | skips 2:00–3:00 in spring | runs once, at 3:00 | what would be in the gap is left out |
//! | shows 2:00–3:00 twice in autumn | runs once, the first time | runs in both hours |

use std::fmt;
use std::str::FromStr as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use thiserror::Error;

const HINT: &str = "write `minute hour day month weekday`, as in a crontab: `0 6 * * *`; a time zone may stand behind it";
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A field: its name, its least and most, and names of its values, of which the first one is the least.
type Field = (&'static str, u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] =
    [("minute", 0, 59, &[]), ("hour", 0, 23, &[]), ("day", 1, 31, &[]), ("month", 1, 12, &MONTHS), ("weekday", 0, 7, &DAYS)];

const NICKNAMES: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

/// What is wrong with an expression.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct CronError {
    /// Where, in bytes of the expression.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// When a job is due.
#[derive(Clone, Debug)]
pub struct Cron {
    /// The five fields.
    fields: String,
    zone_name: Option<String>,
    zone: TimeZone,
    times: croner::Cron,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.fields, &self.zone_name) == (&other.fields, &other.zone_name)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields)?;
        self.zone_name.iter().try_for_each(|zone| write!(f, " {zone}"))
    }
}

impl Cron {
    /// Reads `0 6 * * *`, `@daily` or `0 6 * * * Europe/Berlin`. Without a zone it is this machine's.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let wrong = |at: usize, message: String, hint: &str| CronError { at, message, hint: Some(hint.to_owned()) };
        let words: Vec<&str> = text.split_whitespace().collect();
        let at = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let (fields, zone) = match words.as_slice() {
            [nickname, rest @ ..] if nickname.starts_with('@') => {
                let Some((_, fields)) = NICKNAMES.iter().find(|(name, _)| nickname.eq_ignore_ascii_case(name)) else {
                    let known = NICKNAMES.map(|(name, _)| name).join(", ");
                    return Err(wrong(at(nickname), format!("there is no `{nickname}`"), &format!("there are {known}")));
                };
                (fields.split(' ').collect::<Vec<_>>(), rest)
            }
            [_, _, _, _, _, ..] => {
                for (word, field) in words.iter().zip(FIELDS) {
                    if values(word, field).is_none() {
                        return Err(wrong(at(word), format!("`{word}` is no {} of a schedule", field.0), HINT));
                    }
                }
                (words[..5].to_vec(), &words[5..])
            }
            other => return Err(wrong(0, format!("a schedule has 5 fields, and this one {}", other.len()), HINT)),
        };
        let (zone_name, zone) = match zone {
            [] => (None, TimeZone::system()),
            [name] => {
                let zone = if name.eq_ignore_ascii_case("utc") { Ok(TimeZone::UTC) } else { TimeZone::get(name) };
                let hint = "use a name such as `Europe/Berlin` or `UTC`";
                let zone = zone.map_err(|_| wrong(at(name), format!("unknown time zone `{name}`"), hint))?;
                (Some((*name).to_owned()), zone)
            }
            [_, more, ..] => return Err(wrong(at(more), format!("`{more}` is too much for a schedule"), HINT)),
        };
        let fields = fields.join(" ");
        let times = croner::Cron::from_str(&fields).map_err(|error| wrong(0, format!("no schedule: {error}"), HINT))?;
        let cron = Self { fields, zone_name, zone, times };
        // `0 0 30 2 *`: right in every field, and never.
        if cron.next(Timestamp::UNIX_EPOCH).is_none() {
            return Err(wrong(0, "this schedule never comes true".to_owned(), "look at its day and month"));
        }
        Ok(cron)
    }

    /// The same times in another zone, unless it has one of its own.
    pub fn or_zone(self, name: Option<&str>) -> Result<Self, CronError> {
        match (&self.zone_name, name) {
            (None, Some(name)) => Self::parse(&format!("{} {name}", self.fields)),
            _ => Ok(self),
        }
    }

    /// The zone, if it has one of its own.
    pub fn zone_name(&self) -> Option<&str> {
        self.zone_name.as_deref()
    }

    /// A moment as this schedule's clock shows it.
    pub fn local(&self, moment: Timestamp) -> Zoned {
        moment.to_zoned(self.zone.clone())
    }

    /// The first due time after a moment.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.times.find_next_occurrence(&self.local(whole_second(after)?), false).ok().map(|found| found.timestamp())
    }

    /// The last due time up to a moment.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        self.times.find_previous_occurrence(&self.local(whole_second(until)?), true).ok().map(|found| found.timestamp())
    }

    /// The last due time before a moment.
    pub fn before(&self, moment: Timestamp) -> Option<Timestamp> {
        self.times.find_previous_occurrence(&self.local(whole_second(moment)?), false).ok().map(|found| found.timestamp())
    }

    /// As systemd writes it. A day that may be one of the month or one of the week is two lines.
    pub fn on_calendar(&self) -> Vec<String> {
        let fields: Vec<&str> = self.fields.split(' ').collect();
        let zone = self.zone_name.as_ref().map_or_else(String::new, |zone| format!(" {zone}"));
        let part = |index: usize| systemd(fields[index], FIELDS[index]);
        let line = |day: &str, weekday: &str| format!("{weekday}*-{}-{day} {}:{}:00{zone}", part(3), part(1), part(0));
        let weekdays = values(fields[4], FIELDS[4]).unwrap_or_default();
        let names: Vec<&str> = (0..7)
            .filter(|day| weekdays.contains(day) || (*day == 0 && weekdays.contains(&7)))
            .map(|day| SYSTEMD_DAYS[day as usize])
            .collect();
        let weekday = format!("{} ", names.join(","));
        match (fields[2] == "*", fields[4] == "*") {
            (true, true) => vec![line("*", "")],
            (false, true) => vec![line(&part(2), "")],
            (true, false) => vec![line("*", &weekday)],
            // cron takes a day that is either; systemd one that is both.
            (false, false) => vec![line(&part(2), ""), line("*", &weekday)],
        }
    }

    /// As a crontab has it, whose clock is the machine's: where the zone is another one, the line comes every minute, and the run itself finds
    /// out whether it is due.
    pub fn crontab(&self) -> &str {
        if self.zone_name.is_none() { &self.fields } else { "* * * * *" }
    }
}

const SYSTEMD_DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

fn whole_second(moment: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(moment.as_second() - i64::from(moment.subsec_nanosecond() < 0)).ok()
}

fn value(text: &str, (_, least, most, names): Field) -> Option<u32> {
    if let Some(at) = names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
        return Some(least + u32::try_from(at).ok()?);
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u32>().ok().filter(|number| is_number && (least..=most).contains(number))
}

/// The parts of a field: first, last and step of each.
fn parts(text: &str, field: Field) -> Option<Vec<(u32, u32, u32)>> {
    let part = |part: &str| {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step = match step {
            Some(step) => step.parse::<u32>().ok().filter(|step| *step > 0)?,
            None => 1,
        };
        match range.split_once('-') {
            _ if range == "*" => Some((field.1, field.2, step)),
            Some((first, last)) => {
                let (first, last) = (value(first, field)?, value(last, field)?);
                (first <= last).then_some((first, last, step))
            }
            // croner and Vixie cron take no `5/10`, and nobody agrees on what it means.
            None => value(range, field).filter(|_| step == 1).map(|one| (one, one, 1)),
        }
    };
    text.split(',').map(part).collect()
}

fn values(text: &str, field: Field) -> Option<Vec<u32>> {
    Some(parts(text, field)?.into_iter().flat_map(|(first, last, step)| (first..=last).step_by(step as usize)).collect())
}

/// A field as systemd writes it.
fn systemd(text: &str, field: Field) -> String {
    let part = |(first, last, step): (u32, u32, u32)| match (first == last, step) {
        (true, _) => format!("{first:02}"),
        (false, 1) if (first, last) == (field.1, field.2) => "*".to_owned(),
        (false, 1) => format!("{first:02}..{last:02}"),
        (false, step) => format!("{first:02}..{last:02}/{step}"),
    };
    parts(text, field).unwrap_or_default().into_iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron).expect("is right");
        let mut at: Timestamp = from.parse().expect("a time");
        let mut found = vec![];
        for _ in 0..count {
            at = cron.next(at).expect("there is a next one");
            assert_eq!(cron.last(at), Some(at), "a due time is the last one up to itself");
            found.push(cron.local(at).strftime("%m-%d %H:%M %:z").to_string());
        }
        found
    }

    #[test]
    fn an_hour_that_is_missing_and_one_that_comes_twice() {
        // Berlin skips 2:00-3:00 on 29 March 2026 and shows it twice on 25 October.
        assert_eq!(
            times("30 2 * * * Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["03-28 02:30 +01:00", "03-29 03:00 +02:00", "03-30 02:30 +02:00"]
        );
        assert_eq!(times("30 2 * * * Europe/Berlin", "2026-10-24T10:00:00Z", 2), ["10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
        assert_eq!(
            times("*/30 * * * * Europe/Berlin", "2026-03-29T00:20:00Z", 3),
            ["03-29 01:30 +01:00", "03-29 03:00 +02:00", "03-29 03:30 +02:00"]
        );
        assert_eq!(
            times("0 * * * * Europe/Berlin", "2026-10-24T23:30:00Z", 3),
            ["10-25 02:00 +02:00", "10-25 02:00 +01:00", "10-25 03:00 +01:00"]
        );
    }

    #[test]
    fn a_day_is_one_of_the_month_or_of_the_week() {
        assert_eq!(
            times("0 0 13 * fri UTC", "2026-11-01T00:00:00Z", 3),
            ["11-06 00:00 +00:00", "11-13 00:00 +00:00", "11-20 00:00 +00:00"]
        );
        assert_eq!(times("@weekly UTC", "2026-11-21T00:00:00Z", 1), ["11-22 00:00 +00:00"]);
    }

    #[test]
    fn fractions_of_a_second_make_no_difference() {
        let cron = Cron::parse("* * * * * UTC").expect("is right");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(cron.next(at("2026-11-21T06:00:00.5Z")), Some(at("2026-11-21T06:01:00Z")));
        assert_eq!(cron.next(at("2026-11-21T05:59:59.999Z")), Some(at("2026-11-21T06:00:00Z")));
        assert_eq!(cron.last(at("2026-11-21T06:00:00.5Z")), Some(at("2026-11-21T06:00:00Z")));
        assert_eq!(cron.before(at("2026-11-21T06:00:00Z")), Some(at("2026-11-21T05:59:00Z")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, at, message) in [
            ("61 * * * *", 0, "`61` is no minute of a schedule"),
            ("0 6 * * mo", 8, "`mo` is no weekday of a schedule"),
            ("0 6 * *", 0, "a schedule has 5 fields, and this one 4"),
            ("0 6 * * * Mars/Base", 10, "unknown time zone `Mars/Base`"),
            ("0 6 * * * UTC 2026", 14, "`2026` is too much for a schedule"),
            ("@dayly", 0, "there is no `@dayly`"),
            ("0 0 30 2 *", 0, "this schedule never comes true"),
            ("*/0 * * * *", 0, "`*/0` is no minute of a schedule"),
            ("30-10 * * * *", 0, "`30-10` is no minute of a schedule"),
            ("5/10 * * * *", 0, "`5/10` is no minute of a schedule"),
            ("+5 * * * *", 0, "`+5` is no minute of a schedule"),
        ] {
            let error = Cron::parse(text).expect_err(text);
            assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
        }
    }

    #[test]
    fn systemd_and_crontab_get_the_same_times() {
        for (cron, calendar, crontab) in [
            ("0 6 * * *", &["*-*-* 06:00:00"][..], "0 6 * * *"),
            ("*/5 0-6 * * mon-fri Europe/Berlin", &["Mon,Tue,Wed,Thu,Fri *-*-* 00..06:00..59/5:00 Europe/Berlin"], "* * * * *"),
            ("15,45 8 1-7/2 jan,jul *", &["*-01,07-01..07/2 08:15,45:00"], "15,45 8 1-7/2 jan,jul *"),
            ("0 0 13 * 5", &["*-*-13 00:00:00", "Fri *-*-* 00:00:00"], "0 0 13 * 5"),
            ("@weekly", &["Sun *-*-* 00:00:00"], "0 0 * * 0"),
            ("0 0 * * 5-7", &["Sun,Fri,Sat *-*-* 00:00:00"], "0 0 * * 5-7"),
        ] {
            let cron = Cron::parse(cron).expect("is right");
            assert_eq!((cron.on_calendar(), cron.crontab()), (calendar.iter().map(|line| (*line).to_owned()).collect(), crontab));
        }
    }
}
