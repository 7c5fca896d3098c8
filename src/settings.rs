//! Files of settings: `key = value` lines of TOML, in sections at most one deep, each with its place.
//!
//! ```text
//!   config.toml, schedules/NAME.toml ──read──► Setting { section, key, values, place } …
//!                                       │
//!                                       └─ a key that there is not: file:line:column, and the nearest one that there is
//! ```
//!
//! What a value means is for those who know the key; here is only where it stands and that its key is known.

use std::fmt;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::table::nearest;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The character of the line, from 1.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong with a file of settings, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{place}: {message}")]
pub struct SettingsError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Text, a number, `true` or `false`: as text.
    One(String),
    /// A list of them.
    Many(Vec<String>),
    /// Names with values: `{ top = 5 }`.
    Named(Vec<(String, String)>),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The section, empty at the head of the file.
    pub section: String,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Written,
    /// Where the value stands.
    pub place: Place,
}

impl Setting {
    /// An error about this value.
    pub fn wrong(&self, message: impl Into<String>, hint: Option<&str>) -> SettingsError {
        SettingsError { place: self.place.clone(), message: message.into(), hint: hint.map(str::to_owned) }
    }

    /// The value, where there is to be one.
    pub fn one(&self) -> Result<&str, SettingsError> {
        match &self.value {
            Written::One(value) => Ok(value),
            _ => Err(self.wrong(format!("`{}` takes one value", self.key), None)),
        }
    }

    /// The values, where there may be several.
    pub fn many(&self) -> Result<Vec<String>, SettingsError> {
        match &self.value {
            Written::One(value) => Ok(vec![value.clone()]),
            Written::Many(values) => Ok(values.clone()),
            Written::Named(_) => Err(self.wrong(format!("`{}` takes a list", self.key), None)),
        }
    }
}

/// A section and its keys. The first one, without a name, is the head of the file.
pub type Known<'a> = (&'a str, Vec<&'a str>);

/// Reads a file. Every key has to be known; all that is wrong is told.
pub fn read(file: &str, text: &str, known: &[Known<'_>]) -> Result<Vec<Setting>, Vec<SettingsError>> {
    let reader = Reader { file, text, known };
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![SettingsError { place: reader.place(at), message: error.message().to_owned(), hint: None }]
    })?;
    let (mut settings, mut errors) = (vec![], vec![]);
    let mut add = |found: Result<Setting, SettingsError>| match found {
        Ok(setting) => settings.push(setting),
        Err(error) => errors.push(error),
    };
    for (key, value) in document.get_ref() {
        let is_section = known.iter().any(|(name, _)| !name.is_empty() && *name == key.get_ref().as_ref());
        match value.get_ref().as_table().filter(|_| is_section) {
            Some(section) => {
                for (inner, value) in section {
                    add(reader.setting(key.get_ref(), inner, value));
                }
            }
            None => add(reader.setting("", key, value)),
        }
    }
    // The parser sorts keys; people read from the top.
    settings.sort_by_key(|setting| (setting.place.line, setting.place.column));
    errors.sort_by_key(|error| (error.place.line, error.place.column));
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    known: &'a [Known<'a>],
}

impl Reader<'_> {
    fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() as u64 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
        Place { file: self.file.to_owned(), line, column }
    }

    fn setting(
        &self,
        section: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, SettingsError> {
        let name: &str = key.get_ref();
        let keys = self.known.iter().find(|(name, _)| *name == section).map(|(_, keys)| keys.as_slice()).unwrap_or_default();
        if !keys.contains(&name) {
            return Err(self.unknown(section, key, keys));
        }
        let place = self.place(value.span().start);
        let value = written(value.get_ref()).ok_or_else(|| SettingsError {
            place: place.clone(),
            message: format!("`{name}` cannot be this"),
            hint: Some("a value is a text, a number, true or false, or a list of them".to_owned()),
        })?;
        Ok(Setting { section: section.to_owned(), key: name.to_owned(), value, place })
    }

    fn unknown(&self, section: &str, key: &Spanned<std::borrow::Cow<'_, str>>, keys: &[&str]) -> SettingsError {
        let name: &str = key.get_ref();
        // `memory_limit` and `LOGSQL_MEMORY_LIMIT` are what one writes who knows the variables.
        let dashed = name.to_ascii_lowercase().replace('_', "-");
        let dashed = dashed.strip_prefix("logsql-").unwrap_or(&dashed);
        let elsewhere = self.known.iter().find(|(other, keys)| *other != section && keys.contains(&dashed));
        let sections = self.known.iter().map(|(name, _)| *name).filter(|name| section.is_empty() && !name.is_empty());
        let hint = if keys.contains(&dashed) {
            Some(format!("write `{dashed}`"))
        } else if let Some(near) = nearest(dashed, keys.iter().copied().chain(sections)).first() {
            Some(format!("did you mean `{near}`?"))
        } else {
            elsewhere.map(|(other, _)| match *other {
                "" => format!("`{dashed}` stands above all sections"),
                other => format!("`{dashed}` belongs into [{other}]"),
            })
        };
        let hint = hint.or_else(|| Some(format!("there are {}", keys.join(", "))));
        let message = match section {
            "" => format!("there is no setting `{name}`"),
            section => format!("there is no setting `{name}` in [{section}]"),
        };
        SettingsError { place: self.place(key.span().start), message, hint }
    }
}

fn written(value: &DeValue<'_>) -> Option<Written> {
    if let Some(list) = value.as_array() {
        return list.iter().map(|value| scalar(value.get_ref())).collect::<Option<_>>().map(Written::Many);
    }
    if let Some(table) = value.as_table() {
        let pair = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            Some((name.get_ref().to_string(), scalar(value.get_ref())?))
        };
        return table.iter().map(pair).collect::<Option<_>>().map(Written::Named);
    }
    scalar(value).map(Written::One)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[(&str, &[&str])] = &[("", &["memory-limit", "strict", "tz", "formats"]), ("mail", &["host", "port"])];

    fn try_read(text: &str) -> Result<Vec<Setting>, Vec<SettingsError>> {
        let known: Vec<Known<'_>> = KNOWN.iter().map(|(name, keys)| (*name, keys.to_vec())).collect();
        read("c.toml", text, &known)
    }

    #[test]
    fn values_have_places() {
        let read = try_read("tz = \"UTC\"\nstrict = true\nformats = ['a', 'b']\n\n[mail]\nport = 5_87\n").expect("is right");
        let shown: Vec<String> = read.iter().map(|s| format!("{} [{}]{}={:?}", s.place, s.section, s.key, s.value)).collect();
        assert_eq!(
            shown,
            [
                "c.toml:1:6 []tz=One(\"UTC\")",
                "c.toml:2:10 []strict=One(\"true\")",
                "c.toml:3:11 []formats=Many([\"a\", \"b\"])",
                "c.toml:6:8 [mail]port=One(\"587\")",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_a_suggestion() {
        for (text, expected, hint) in [
            ("memroy-limit = 1", "c.toml:1:1: there is no setting `memroy-limit`", "did you mean `memory-limit`?"),
            ("memory_limit = 1", "c.toml:1:1: there is no setting `memory_limit`", "write `memory-limit`"),
            ("tz = 'UTC'\nhost = 'x'", "c.toml:2:1: there is no setting `host`", "`host` belongs into [mail]"),
            (
                "[mail]\n  strict = true",
                "c.toml:2:3: there is no setting `strict` in [mail]",
                "`strict` stands above all sections",
            ),
            ("[mial]\nhost = 'x'", "c.toml:1:2: there is no setting `mial`", "did you mean `mail`?"),
            ("wholly = 1", "c.toml:1:1: there is no setting `wholly`", "there are memory-limit, strict, tz, formats"),
        ] {
            let errors = try_read(text).expect_err(text);
            assert_eq!((errors[0].to_string().as_str(), errors[0].hint.as_deref()), (expected, Some(hint)), "{text}");
        }
        let errors = try_read("a = 1\nb = 2\n").expect_err("both are wrong");
        assert_eq!(errors.iter().map(|error| error.place.line).collect::<Vec<_>>(), [1, 2]);
        assert!(try_read("tz = ").expect_err("no TOML")[0].to_string().starts_with("c.toml:1:"));
    }
}
