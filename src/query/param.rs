//! Parameters: `-- param: NAME TYPE [= DEFAULT] [-- what it is]`.

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use datafusion::common::ScalarValue;

use super::header::Wrong;
use super::moment::{Clock, TIME_FORMS, moment};
use super::{SavedQueryError, is_name};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A point in time, as `--since` takes it.
    Time,
    /// `5 minutes`, `1 day`.
    Interval,
    /// `true` or `false`.
    Boolean,
}

impl ParamKind {
    const ALL: [Self; 6] = [Self::Text, Self::Integer, Self::Number, Self::Time, Self::Interval, Self::Boolean];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Time => "time",
            Self::Interval => "interval",
            Self::Boolean => "boolean",
        }
    }

    /// What a value has to be.
    fn expected(self) -> &'static str {
        match self {
            Self::Text => "it is a text",
            Self::Integer => "it is a whole number",
            Self::Number => "it is a number",
            Self::Time => TIME_FORMS,
            Self::Interval => "it is an interval, such as `5 minutes` or `1 day`",
            Self::Boolean => "it is `true` or `false`",
        }
    }

    fn null(self) -> ScalarValue {
        match self {
            Self::Text => ScalarValue::Utf8(None),
            Self::Integer => ScalarValue::Int64(None),
            Self::Number => ScalarValue::Float64(None),
            Self::Time => ScalarValue::TimestampMicrosecond(None, Some("UTC".into())),
            Self::Interval => ScalarValue::IntervalMonthDayNano(None),
            Self::Boolean => ScalarValue::Boolean(None),
        }
    }
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name, in SQL with a `$` before it.
    pub name: String,
    /// Its type.
    pub kind: ParamKind,
    /// Its value where none is given, as it is written.
    pub default: Option<String>,
    /// What it is.
    pub about: String,
    /// Its line in the file.
    pub(super) line: u64,
}

impl Param {
    /// Reads what stands behind `param: `.
    pub(super) fn parse(text: &str, line: u64, clock: &Clock) -> Result<Self, Wrong> {
        let form = |message: String| (0, message, Some("write `-- param: NAME TYPE = DEFAULT -- what it is`".to_owned()));
        let (definition, about) = text.split_once(" -- ").unwrap_or((text, ""));
        let (left, default) = match definition.split_once('=') {
            Some((left, default)) => (left, Some(default.trim())),
            None => (definition, None),
        };
        let mut words = left.split_whitespace();
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err(form("a parameter has a name and a type".to_owned()));
        };
        if !is_name(name) || name.contains('-') || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(form(format!("`{name}` is no name of a parameter")));
        }
        let at = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
        let Some(kind) = ParamKind::ALL.into_iter().find(|known| kind.eq_ignore_ascii_case(known.name())) else {
            let hint = "there are text, integer, number, time, interval and boolean";
            return Err((at(kind), format!("there is no type `{kind}`"), Some(hint.to_owned())));
        };
        let about = about.trim().to_owned();
        let param = Self { name: name.to_owned(), kind, default: default.map(unquote), about, line };
        if let (Some(written), Some(default)) = (default, &param.default)
            && let Err(error) = param.value(default, clock)
        {
            return Err((at(written), error.to_string(), error.hint()));
        }
        Ok(param)
    }

    /// Its value as it is written: the last one that is given, or the default.
    pub fn text<'a>(&'a self, given: &'a [(String, String)]) -> Option<&'a str> {
        let given = given.iter().rev().find(|(name, _)| *name == self.name).map(|(_, text)| text.as_str());
        given.or(self.default.as_deref())
    }

    /// A value of its type. `null` is NULL.
    pub(super) fn value(&self, text: &str, clock: &Clock) -> Result<ScalarValue, SavedQueryError> {
        let value = match self.kind {
            kind if text.eq_ignore_ascii_case("null") => Some(kind.null()),
            ParamKind::Text => Some(ScalarValue::from(text)),
            ParamKind::Integer => text.parse::<i64>().ok().map(ScalarValue::from),
            ParamKind::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(ScalarValue::from),
            ParamKind::Time => moment(text, clock).map(|us| ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into()))),
            ParamKind::Interval => {
                parse_interval_month_day_nano(text).ok().map(|interval| ScalarValue::IntervalMonthDayNano(Some(interval)))
            }
            ParamKind::Boolean => text.to_ascii_lowercase().parse::<bool>().ok().map(ScalarValue::from),
        };
        value.ok_or_else(|| SavedQueryError::BadValue {
            name: self.name.clone(),
            value: text.to_owned(),
            expected: self.kind.expected(),
        })
    }
}

fn unquote(text: &str) -> String {
    let inside = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inside.map_or_else(|| text.to_owned(), |inside| inside.replace("''", "'"))
}
