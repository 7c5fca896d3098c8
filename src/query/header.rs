//! The header: comment lines `-- key: value` before the SQL.
//!
//! ```text
//!   -- description: Requests by status        what it answers
//!   -- topic: web                             what it is listed under; `logsql report web` runs all of it
//!   -- needs: access_log                      tables, apart by commas
//!   -- param: top integer = 20 -- rows        $top in the SQL
//!   -- chart: bar x=status y=hits             how a report draws it
//!   -- schedule: 0 6 * * *                    when it is run, as in a crontab; a time zone may stand behind it
//!   -- alert: rows > 0                        when its result is an alert
//!   -- metric: requests_total counter         its name for a metrics server
//! ```
//!
//! The header ends with the first line that is no comment. Schedules, alerts and metrics are checked and kept for what runs them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::moment::Clock;
use super::param::Param;
use super::{Origin, QueryFileError, SavedQuery, file_name, is_name};
use crate::kernel::table::{table, tables};
use crate::output::ChartSpec;
use crate::schedule::cron::Cron;
use crate::table::{SCAN_REPORT, nearest};

const KEYS: [&str; 8] = ["description", "topic", "needs", "param", "chart", "schedule", "alert", "metric"];

/// When a result is an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What is compared.
    pub on: AlertOn,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub bound: f64,
}

/// What an alert looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertOn {
    /// The number of rows.
    Rows,
    /// A column of the first row.
    Column(String),
}

/// How an alert compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
}

impl Comparison {
    /// Whether it holds.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Equal => value == bound,
        }
    }
}

/// A name for a metrics server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name.
    pub name: String,
    /// Whether it only grows.
    pub is_counter: bool,
}

/// What is wrong with a value: where in it, in bytes; what; and what to do.
pub(super) type Wrong = (usize, String, Option<String>);

/// Reads the header of a file.
pub(super) fn parse(name: &str, origin: Origin, text: &str) -> Result<SavedQuery, QueryFileError> {
    let file = file_name(name, &origin);
    let mut query = SavedQuery {
        name: name.to_owned(),
        origin,
        description: String::new(),
        topic: None,
        needs: vec![],
        params: vec![],
        chart: None,
        schedule: None,
        alert: None,
        metric: None,
        text: text.to_owned(),
        sql_at: 0,
    };
    let mut seen: Vec<&str> = vec![];
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let Some(content) = line.trim_end().strip_prefix("--").map(str::trim_start) else { break };
        query.sql_at += line.len();
        if content.is_empty() {
            continue;
        }
        let at = |part: &str| part.as_ptr() as usize - line.as_ptr() as usize;
        let wrong = |(at, message, hint): Wrong| {
            let column = line[..at].chars().count() as u64 + 1;
            QueryFileError { file: file.clone(), line: number, column, message, hint }
        };
        let Some((key, value)) = content.split_once(':').filter(|(key, _)| !key.contains(' ')) else {
            let hint = "leave an empty line before a comment".to_owned();
            return Err(wrong((at(content), "a header is written `key: value`".to_owned(), Some(hint))));
        };
        let Some(key) = KEYS.into_iter().find(|known| *known == key) else {
            let near = nearest(key, KEYS);
            let hint =
                near.first().map_or_else(|| format!("there are {}", KEYS.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(wrong((at(content), format!("there is no header `{key}`"), Some(hint))));
        };
        if key != "param" && seen.contains(&key) {
            return Err(wrong((at(content), format!("`{key}` is there twice"), None)));
        }
        seen.push(key);
        let value = value.trim();
        set(&mut query, key, value, number).map_err(|(inside, message, hint)| wrong((at(value) + inside, message, hint)))?;
    }
    if query.description.is_empty() {
        let hint = Some("begin with `-- description: what it answers`".to_owned());
        return Err(QueryFileError { file, line: 1, column: 1, message: "there is no description".to_owned(), hint });
    }
    Ok(query)
}

fn set(query: &mut SavedQuery, key: &str, value: &str, line: u64) -> Result<(), Wrong> {
    match key {
        "description" => query.description = value.to_owned(),
        "topic" if is_name(value) => query.topic = Some(value.to_owned()),
        "topic" => return Err((0, format!("`{value}` is no topic"), Some("write one word".to_owned()))),
        "needs" => query.needs = needs(value)?,
        "param" => {
            // Defaults such as `yesterday` are worked out when they are bound; here they only have to make sense.
            let clock = Clock { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
            let param = Param::parse(value, line, &clock)?;
            if query.params.iter().any(|other| other.name == param.name) {
                return Err((0, format!("the parameter `{}` is there twice", param.name), None));
            }
            query.params.push(param);
        }
        "chart" => query.chart = Some(value.parse::<ChartSpec>().map_err(|error| (0, error.to_string(), error.hint()))?),
        "schedule" => {
            query.schedule = Some(Cron::parse(value).map_err(|error| (error.at, error.message, error.hint))?);
        }
        "alert" => query.alert = Some(alert(value)?),
        _ => query.metric = Some(metric(value)?),
    }
    Ok(())
}

fn needs(value: &str) -> Result<Vec<String>, Wrong> {
    let mut names = vec![];
    for name in value.split(',').map(str::trim) {
        if table(name).is_none() && name != SCAN_REPORT {
            let at = name.as_ptr() as usize - value.as_ptr() as usize;
            let near = nearest(name, tables().iter().map(|table| table.name));
            let hint = near.first().map(|near| format!("did you mean `{near}`?"));
            return Err((at, format!("there is no table `{name}`"), hint));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn alert(value: &str) -> Result<Alert, Wrong> {
    let read = || {
        let mut words = value.split_whitespace();
        let (on, comparison, bound, None) = (words.next()?, words.next()?, words.next()?, words.next()) else { return None };
        let comparison = match comparison {
            ">" => Comparison::Above,
            ">=" => Comparison::AtLeast,
            "<" => Comparison::Below,
            "<=" => Comparison::AtMost,
            "=" => Comparison::Equal,
            _ => return None,
        };
        let bound = bound.parse::<f64>().ok().filter(|bound| bound.is_finite())?;
        let on = if on == "rows" { AlertOn::Rows } else { AlertOn::Column(on.to_owned()) };
        Some(Alert { on, comparison, bound })
    };
    let hint = "write `rows > 0`, or `COLUMN >= 0.5` for the first row";
    read().ok_or_else(|| (0, "an alert is a comparison".to_owned(), Some(hint.to_owned())))
}

fn metric(value: &str) -> Result<Metric, Wrong> {
    let (name, kind) = value.split_once(char::is_whitespace).unwrap_or((value, "gauge"));
    let is_counter = match kind.trim() {
        "gauge" => false,
        "counter" => true,
        other => return Err((0, format!("there is no metric `{other}`"), Some("there are gauge and counter".to_owned()))),
    };
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if !name.bytes().next().is_some_and(is_first) || !name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit()) {
        return Err((0, format!("`{name}` is no name of a metric"), Some("use letters, figures and `_`".to_owned())));
    }
    Ok(Metric { name: name.to_owned(), is_counter })
}
