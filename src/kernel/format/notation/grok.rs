//! Grok: regular expressions put together from named ones, `%{NAME:field:type}`.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};
use thiserror::Error;

use super::grok_library::{LIBRARY, TIMES};
use super::{Dialect, Lookaround, NotationError, literal, translate};

/// How deep patterns may name patterns.
const MAX_DEPTH: usize = 24;
/// How long an expression may become by them.
const MAX_BYTES: usize = 128 << 10;

/// Names of the Elastic Common Schema, and our columns.
const ECS: &[(&str, &str)] = &[
    ("source.address", "client_ip"),
    ("source.ip", "client_ip"),
    ("source.port", "client_port"),
    ("client.ip", "client_ip"),
    ("client.port", "client_port"),
    ("destination.ip", "server_ip"),
    ("user.name", "user_name"),
    ("http.request.method", "method"),
    ("url.original", "url"),
    ("url.path", "path"),
    ("url.query", "query"),
    ("url.domain", "vhost"),
    ("http.version", "protocol"),
    ("http.response.status_code", "status"),
    ("http.response.body.bytes", "bytes"),
    ("http.request.referrer", "referer"),
    ("user_agent.original", "user_agent"),
    ("host.hostname", "host"),
    ("host.name", "host"),
    ("process.name", "program"),
    ("process.pid", "pid"),
    ("process.thread.id", "tid"),
    ("log.level", "level"),
    ("log.logger", "logger"),
    ("error.stack_trace", "stack"),
    ("logsource", "host"),
    ("log_message", "message"),
];

/// Compiled size of an expression at most.
const SIZE_LIMIT: usize = 8 << 20;

/// Fields of an expression at most.
const MAX_FIELDS: usize = 400;

/// A Grok expression as one regular expression.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grok {
    /// With captures named as in `fields`.
    pub(crate) regex: String,
    /// What it captures, in the order of the text.
    pub(crate) fields: Vec<GrokField>,
    /// What was left away of it.
    pub(crate) left: Vec<String>,
}

/// A value that a Grok expression captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrokField {
    /// Name of the group.
    pub(crate) capture: String,
    /// Name of the field: `[a][b]` is `a.b`.
    pub(crate) field: String,
    /// The pattern that takes it, where it has a name.
    pub(crate) pattern: Option<String>,
    /// `int`, `float` and the like, where it is said.
    pub(crate) kind: Option<&'static str>,
}

impl GrokField {
    /// The layouts of the time that it is, if it is one.
    pub(crate) fn layouts(&self) -> Option<&'static [&'static str]> {
        let pattern = self.pattern.as_deref()?;
        TIMES.iter().find(|(name, _)| *name == pattern).map(|(_, layouts)| *layouts)
    }
}

/// An expression that makes no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct GrokError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A Grok expression that is looked for anywhere in a text, as Logstash does.
#[derive(Debug)]
pub struct GrokSearch {
    regex: Regex,
    /// The group of each field, and its name.
    fields: Vec<(usize, String)>,
}

impl GrokSearch {
    /// Compiles an expression over the patterns of the library.
    pub fn try_new(expression: &str) -> Result<Self, GrokError> {
        let grok = expand(expression, &|_| None, Lookaround::Refuse)?;
        let error = |error: regex::Error| GrokError {
            message: match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                // The text is one of several lines, with the place marked.
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            },
            hint: None,
        };
        let regex = RegexBuilder::new(&grok.regex).size_limit(SIZE_LIMIT).build().map_err(error)?;
        let names: Vec<Option<&str>> = regex.capture_names().collect();
        let group = |capture: &str| names.iter().position(|name| *name == Some(capture));
        let fields = grok.fields.iter().filter_map(|field| Some((group(&field.capture)?, field.field.clone()))).collect();
        Ok(Self { regex, fields })
    }

    /// The fields of the first place that it takes, or `None` if it takes none. Of two with one name, the first that is there counts.
    pub fn find<'a>(&'a self, text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let found = self.regex.captures(text)?;
        let mut fields: Vec<(&str, &str)> = vec![];
        for (group, name) in &self.fields {
            let Some(value) = found.get(*group) else { continue };
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name, value.as_str()));
            }
        }
        Some(fields)
    }
}

impl From<NotationError> for GrokError {
    fn from(error: NotationError) -> Self {
        Self { message: error.message, hint: error.hint }
    }
}

/// Puts the patterns in. Those of the user come before those of the library.
pub(crate) fn expand(
    expression: &str,
    custom: &dyn Fn(&str) -> Option<String>,
    lookaround: Lookaround,
) -> Result<Grok, GrokError> {
    let mut expansion = Expansion { custom, lookaround, grok: Grok::default(), taken: HashSet::new() };
    expansion.grok.regex = expansion.expand(expression, 0)?;
    Ok(expansion.grok)
}

/// The same for a whole record: what says so is not needed.
pub(crate) fn whole(
    expression: &str,
    custom: &dyn Fn(&str) -> Option<String>,
    lookaround: Lookaround,
) -> Result<Grok, GrokError> {
    let text = expression.strip_prefix(r"\A").or_else(|| expression.strip_prefix('^')).unwrap_or(expression);
    let end = [r"\z", r"\Z", "$"].iter().find_map(|end| text.strip_suffix(end));
    let text = end.filter(|text| !text.ends_with('\\')).unwrap_or(text);
    expand(text, custom, lookaround)
}

/// The column that a field by the names of the Elastic Common Schema fills.
pub(crate) fn column_of(field: &str) -> Option<&'static str> {
    ECS.iter().find(|(name, _)| *name == field).map(|(_, column)| *column)
}

fn library_names() -> Vec<&'static str> {
    LIBRARY.iter().map(|(name, _)| *name).collect()
}

struct Expansion<'a> {
    custom: &'a dyn Fn(&str) -> Option<String>,
    lookaround: Lookaround,
    grok: Grok,
    taken: HashSet<String>,
}

impl Expansion<'_> {
    fn expand(&mut self, expression: &str, depth: usize) -> Result<String, GrokError> {
        let error = |message: String, hint: Option<&str>| GrokError { message, hint: hint.map(str::to_owned) };
        if depth > MAX_DEPTH {
            return Err(error(format!("patterns are nested deeper than {MAX_DEPTH}"), Some("does one name itself?")));
        }
        // What stands between the references is translated as one text, since a group may begin before one and end behind it.
        // So each reference becomes a letter of a private area first, and its expression afterwards.
        let mut plain = String::new();
        let mut parts: Vec<String> = vec![];
        let mut rest = expression;
        while let Some(at) = rest.find("%{") {
            plain += &rest[..at];
            let behind = &rest[at + 2..];
            let end = behind.find('}').ok_or_else(|| error(format!("`%{{` without `}}` in `{}`", cut(behind)), None))?;
            let part = self.reference(&behind[..end], depth)?;
            plain.push(placeholder(parts.len()).ok_or_else(|| error("too many patterns in one".to_owned(), None))?);
            parts.push(part);
            rest = &behind[end + 1..];
        }
        plain += rest;
        if plain.chars().filter(|c| is_placeholder(*c)).count() != parts.len() {
            return Err(error("the pattern has a character of the private use area".to_owned(), None));
        }
        if self.grok.fields.len() > MAX_FIELDS {
            return Err(error(format!("more than {MAX_FIELDS} fields"), None));
        }
        let (taken, fields) = (&mut self.taken, &mut self.grok.fields);
        let mut named = |name: &str| {
            let capture = unique(taken, name);
            fields.push(GrokField { capture: capture.clone(), field: name.to_owned(), pattern: None, kind: None });
            capture
        };
        let ours = translate(&plain, Dialect::Oniguruma, self.lookaround, &mut named, &mut self.grok.left)?;
        let mut out = String::with_capacity(ours.len());
        for c in ours.chars() {
            if is_placeholder(c) {
                out += &parts[c as usize - FIRST_PLACEHOLDER as usize];
            } else {
                out.push(c);
            }
            if out.len() > MAX_BYTES {
                return Err(error(format!("the expression is longer than {MAX_BYTES} bytes with its patterns"), None));
            }
        }
        Ok(out)
    }

    /// `NAME`, `NAME:field`, `NAME:field:type`.
    fn reference(&mut self, text: &str, depth: usize) -> Result<String, GrokError> {
        let mut parts = text.splitn(3, ':').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let field = parts.next().filter(|field| !field.is_empty());
        let kind = match parts.next() {
            None => None,
            Some("int" | "integer" | "long") => Some("integer"),
            Some("float" | "double" | "number") => Some("float"),
            Some("string" | "text" | "keyword") => Some("text"),
            Some(other) => {
                let message = format!("unknown type `{other}` in `%{{{text}}}`");
                return Err(GrokError { message, hint: Some("`int`, `float` or `string`".to_owned()) });
            }
        };
        let built_in = || LIBRARY.iter().find(|(known, _)| *known == name).map(|(_, pattern)| (*pattern).to_owned());
        let Some(pattern) = (self.custom)(name).or_else(built_in) else {
            let near = super::super::nearest::nearest(&name.to_ascii_uppercase(), &library_names());
            let hint = near.map(|near| format!("did you mean `%{{{near}}}`?"));
            return Err(GrokError { message: format!("there is no pattern `{name}`"), hint });
        };
        let Some(field) = field else { return Ok(format!("(?:{})", self.expand(&pattern, depth + 1)?)) };
        let plain = plain_field(field);
        let capture = unique(&mut self.taken, &plain);
        self.grok.fields.push(GrokField { capture: capture.clone(), field: plain, pattern: Some(name.to_owned()), kind });
        Ok(format!("(?<{capture}>{})", self.expand(&pattern, depth + 1)?))
    }
}

const FIRST_PLACEHOLDER: char = '\u{F0000}';

fn placeholder(at: usize) -> Option<char> {
    char::from_u32(u32::try_from(at).ok()?.checked_add(FIRST_PLACEHOLDER as u32)?).filter(|c| is_placeholder(*c))
}

fn is_placeholder(c: char) -> bool {
    (FIRST_PLACEHOLDER..='\u{FFFFD}').contains(&c)
}

/// `[http][response][status_code]` is `http.response.status_code`.
fn plain_field(field: &str) -> String {
    if field.starts_with('[') { field.trim_matches(['[', ']']).replace("][", ".") } else { field.to_owned() }
}

/// A name for a group that no other one has.
fn unique(taken: &mut HashSet<String>, field: &str) -> String {
    let plain = field.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let mut name: String = plain.collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    let mut capture = name.clone();
    let mut count = 1;
    while !taken.insert(capture.clone()) {
        count += 1;
        capture = format!("{name}_{count}");
    }
    capture
}

fn cut(text: &str) -> String {
    literal(&text.chars().take(20).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(expression: &str) -> Regex {
        let grok = expand(expression, &|_| None, Lookaround::Refuse).unwrap_or_else(|error| panic!("{expression}: {error:?}"));
        Regex::new(&format!("^(?:{})$", grok.regex)).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    #[test]
    fn every_pattern_of_the_library_compiles() {
        for (name, _) in LIBRARY {
            regex(&format!("%{{{name}}}"));
        }
        for (name, _) in TIMES {
            assert!(LIBRARY.iter().any(|(known, _)| known == name), "{name}");
        }
    }

    #[test]
    fn patterns_of_the_library_take_what_they_are_for() {
        for (name, good, bad) in [
            (
                "IP",
                &["192.0.2.1", "::1", "2001:db8::7", "fe80::1%eth0", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"][..],
                &["300.1.1.1", "1.2.3", "x", "1:2"][..],
            ),
            ("NUMBER", &["1", "-1.5", "+.5"], &["", "1.", "x"]),
            ("MAC", &["00:1b:21:0a:0b:0c", "001b.210a.0b0c", "00-1B-21-0A-0B-0C"], &["00:1b:21:0a:0b"]),
            (
                "TIMESTAMP_ISO8601",
                &["2026-11-21T00:55:04.123Z", "2026-11-21 00:55:04,123", "2026-11-21T00:55:04+01:00"],
                &["21.11.2026"],
            ),
            ("HTTPDATE", &["21/Nov/2026:00:55:04 +0000"], &["21/11/2026"]),
            ("SYSLOGTIMESTAMP", &["Nov 21 00:55:04", "Nov  1 00:55:04.123"], &["2026 Nov 1"]),
            ("HOSTNAME", &["www.example.com", "web_1", "a."], &[".a", "a..b", ""]),
            ("QS", &[r#""a \" b""#, "'x'"], &[r#""a"#]),
            ("URI", &["https://u:p@example.com:8080/a/b?c=d", "ftp://x/"], &["/a"]),
            ("LOGLEVEL", &["ERROR", "warn", "Information"], &["errors"]),
            ("UNIXPATH", &["/a/b.c", "/"], &["a"]),
            ("EMAILADDRESS", &["a.b+c@example.com"], &["a@", "@b"]),
            ("SYSLOGBASE", &["Nov 21 00:55:04 web1 sshd[17]:", "Nov  1 00:55:04 web1 kernel:"], &["web1 sshd:"]),
            (
                "COMMONAPACHELOG",
                &[
                    r#"192.0.2.1 - bob [21/Nov/2026:00:55:04 +0000] "GET /a HTTP/1.1" 200 17"#,
                    r#"::1 - - [21/Nov/2026:00:55:04 +0000] "-" 400 -"#,
                ],
                &["x"],
            ),
        ] {
            let regex = regex(&format!("%{{{name}}}"));
            for text in good {
                assert!(regex.is_match(text), "{name}: {text}");
            }
            for text in bad {
                assert!(!regex.is_match(text), "{name}: {text}");
            }
        }
    }

    #[test]
    fn fields_are_named_typed_nested_and_doubled() {
        let custom = |name: &str| (name == "ID").then(|| "[A-F0-9]{4}|x%{WORD:inner}".to_owned());
        let expression = r"%{IP:[source][ip]} (?<took>\d+)ms %{NUMBER:n:int} (?:%{ID:id}|%{WORD:id}) %{HTTPDATE:ts}";
        let grok = expand(expression, &custom, Lookaround::Refuse).unwrap();
        let fields: Vec<(&str, &str, Option<&str>)> =
            grok.fields.iter().map(|field| (&*field.capture, &*field.field, field.kind)).collect();
        let expected = [
            ("source_ip", "source.ip", None),
            ("n", "n", Some("integer")),
            ("id", "id", None),
            ("inner", "inner", None),
            ("id_2", "id", None),
            ("ts", "ts", None),
            ("took", "took", None),
        ];
        assert_eq!(fields, expected);
        assert_eq!(grok.fields[5].layouts(), Some(&["clf"][..]));
        assert!(grok.regex.contains(r" (?<took>\d+)ms (?<n>"), "{}", grok.regex);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_advice() {
        let loops = |name: &str| (name == "LOOP").then(|| "%{LOOP}".to_owned());
        for (expression, message, hint) in [
            ("%{HTPDATE:x}", "there is no pattern `HTPDATE`", Some("did you mean `%{HTTPDATE}`?")),
            ("%{INT:x:bool}", "unknown type `bool` in `%{INT:x:bool}`", Some("`int`, `float` or `string`")),
            ("%{INT", "`%{` without `}` in `INT`", None),
            ("%{LOOP}", "patterns are nested deeper than 24", Some("does one name itself?")),
            ("(%{INT}", "`(` without `)` at byte 6 of the pattern", None),
        ] {
            let error = expand(expression, &loops, Lookaround::Refuse).unwrap_err();
            assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, hint));
        }
        // Patterns that name others many times would grow without end.
        let grows =
            |name: &str| name.strip_prefix('G').and_then(|n| n.parse::<u32>().ok()).map(|n| format!("%{{G{}}}", n + 1).repeat(9));
        assert!(expand("%{G1}", &grows, Lookaround::Refuse).is_err());
    }
}
