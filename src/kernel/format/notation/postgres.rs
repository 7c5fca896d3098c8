//! PostgreSQL's `log_line_prefix`, and what stands behind it in a server log: the level and the text.
//!
//! Reference: <https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-LINE-PREFIX>.

use std::collections::BTreeMap;

use super::super::definition::{CaptureDef, OneOrMany};
use super::{NotationError, Translated, literal, typed};

/// Escape, name of the capture, how it looks, a value.
type Known = (char, &'static str, &'static str, &'static str);

const TEXT: &str = r"[^\n]*?";
const STAMP: &str = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:[A-Z][A-Za-z0-9]*|[+-]\d\d(?::?\d\d)?)";

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    ('a', "application", TEXT, "psql"),
    ('u', "user_name", TEXT, "alice"),
    ('d', "database", TEXT, "shop"),
    ('r', "client", r"[^ ()]*", "192.0.2.1(40000)"),
    ('h', "client_only", r"[^ ]*?", "192.0.2.1"),
    ('L', "local_address", r"[^ ]*?", "192.0.2.2"),
    ('b', "backend_type", TEXT, "client backend"),
    ('p', "pid", r"\d+", "4711"),
    ('P', "leader_pid", r"\d*", "4710"),
    ('t', "time", STAMP, "2026-11-21 00:55:04 UTC"),
    ('m', "time_ms", STAMP, "2026-11-21 00:55:04.000 UTC"),
    ('n', "time_epoch", r"\d+\.\d{3}", "1795222504.000"),
    ('i', "command_tag", TEXT, "SELECT"),
    ('e', "code", r"[0-9A-Z]{5}", "00000"),
    ('c', "session_id", r"[0-9a-f]+\.[0-9a-f]+", "6b01c2a8.1267"),
    ('l', "session_line", r"\d+", "3"),
    ('s', "session_start", STAMP, "2026-11-21 00:50:00 UTC"),
    ('v', "virtual_xid", r"[0-9/-]*", "3/17"),
    ('x', "xid", r"\d+", "0"),
    ('Q', "query_id", r"-?\d+", "42"),
];

/// What stands behind the prefix.
const BEHIND: &str = concat!(
    r"(?<level>LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG\d?|DETAIL|HINT|CONTEXT|QUERY|STATEMENT|LOCATION|BACKTRACE):  ?",
    r"(?<message>(?:duration: (?<duration>[\d.]+) ms)?(?:  )?(?:(?:statement|(?:parse|bind|execute)(?: fetch from)? [^:\n]*): (?<statement>.*)|.*))"
);

/// Reads a prefix.
pub(crate) fn log_line_prefix(text: &str) -> Result<Translated, NotationError> {
    let mut translated = Translated::default();
    let mut is_open = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            translated.regex += &literal(&c.to_string());
            translated.line.push(c);
            continue;
        }
        // A width: blanks in front of the value, or behind it.
        let mut width = String::new();
        while let Some(digit) = chars.next_if(|c| c.is_ascii_digit() || (*c == '-' && width.is_empty())) {
            width.push(digit);
        }
        match chars.next() {
            Some('%') => {
                translated.regex.push('%');
                translated.line.push('%');
            }
            // Processes without a session end here.
            Some('q') if !is_open => {
                is_open = true;
                translated.regex += "(?:";
            }
            Some('q') => {}
            Some(escape) => variable(&mut translated, escape, &width)?,
            None => return Err(NotationError::new("a `%` with nothing behind it")),
        }
    }
    if translated.captures.is_empty() {
        let hint = Some("such as '%m [%p] %q%u@%d '".to_owned());
        return Err(NotationError { message: "a `log_line_prefix` without an escape".to_owned(), hint });
    }
    translated.regex += if is_open { ")?" } else { "" };
    translated.regex += BEHIND;
    translated.line += "LOG:  checkpoint starting: time";
    let more =
        [("level", typed("text", "level")), ("message", typed("text", "message")), ("statement", typed("text", "statement"))];
    translated.captures.extend(more.map(|(name, meant)| (name.to_owned(), meant)));
    let duration = CaptureDef { unit: Some("ms".to_owned()), ..typed("duration", "duration_ms") };
    translated.captures.insert("duration".to_owned(), duration);
    translated.expect.extend([("level", "LOG"), ("message", "checkpoint starting: time")]);
    Ok(translated)
}

fn variable(translated: &mut Translated, escape: char, width: &str) -> Result<(), NotationError> {
    let Some((_, name, shape, example)) = KNOWN.iter().find(|known| known.0 == escape) else {
        let known: Vec<String> = KNOWN.iter().map(|known| format!("%{}", known.0)).collect();
        let hint = Some(format!("there are {}, %q and %%", known.join(", ")));
        return Err(NotationError { message: format!("unknown escape `%{escape}`"), hint });
    };
    if translated.captures.contains_key(*name) {
        return Err(NotationError::new(format!("`%{escape}` stands twice")));
    }
    let blanks = if width.is_empty() { "" } else { " *" };
    let port = if escape == 'r' { r"(?:\((?<client_port>\d+)\))?" } else { "" };
    let (before, behind) = if width.starts_with('-') { ("", blanks) } else { (blanks, "") };
    translated.regex += &format!("{before}(?<{name}>{shape}){port}{behind}");
    translated.line += example;
    let unknown = |column: &str| CaptureDef { null: vec!["[unknown]".to_owned()], ..typed("text", column) };
    let time = |layout: &str| CaptureDef { layout: Some(OneOrMany::One(layout.to_owned())), ..typed("time", "time") };
    let meant = match escape {
        'a' | 'u' | 'd' => unknown(name),
        'r' | 'h' => CaptureDef { null: vec!["[local]".to_owned()], ..typed("host", "client") },
        'p' => typed("integer", "pid"),
        'e' => typed("text", "code"),
        'c' => typed("text", "session_id"),
        't' | 'm' => time("rfc3339"),
        'n' => time("epoch"),
        _ => typed("text", &format!("fields.{name}")),
    };
    if escape == 'r' {
        translated.captures.insert("client_port".to_owned(), typed("port", "client_port"));
        translated.expect.insert("client_port", "40000");
    }
    let expected: &[(&'static str, &'static str)] = match escape {
        'a' => &[("application", "psql")],
        'u' => &[("user_name", "alice")],
        'd' => &[("database", "shop")],
        'r' | 'h' => &[("client_ip", "192.0.2.1")],
        'p' => &[("pid", "4711")],
        't' | 'm' | 'n' => &[("time", "2026-11-21T00:55:04Z")],
        'e' => &[("code", "00000")],
        _ => &[],
    };
    translated.expect.extend(expected.iter().copied().collect::<BTreeMap<_, _>>());
    translated.captures.insert((*name).to_owned(), meant);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_translated_and_takes_its_own_line() {
        for prefix in ["%m [%p] %q%u@%d ", "%t:%r:%u@%d:[%p]: ", "%n %-10u|%5p|%a %e %c %l %s %v %x %Q %b %i%% ", "<%h> "] {
            let got = log_line_prefix(prefix).unwrap();
            let regex = regex::bytes::Regex::new(&format!(r"(?s-u)\A(?:{})\z", got.regex)).unwrap();
            assert!(regex.is_match(got.line.as_bytes()), "{prefix}: {} does not take {}", got.regex, got.line);
        }
        let regex = log_line_prefix("%m [%p] %q%u@%d ").unwrap().regex;
        let regex = regex::bytes::Regex::new(&format!(r"(?s-u)\A(?:{regex})\z")).unwrap();
        assert!(regex.is_match(b"2026-11-21 00:55:04.123 CET [17] LOG:  database system is ready"), "without a session");
        let found =
            regex.captures(b"2026-11-21 00:55:04.123 CET [17] bob@shop LOG:  duration: 1.5 ms  statement: SELECT 1").unwrap();
        assert_eq!((&found["duration"], &found["statement"]), (&b"1.5"[..], &b"SELECT 1"[..]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, message) in [
            ("log: ", "a `log_line_prefix` without an escape"),
            ("%m %", "a `%` with nothing behind it"),
            ("%z", "unknown escape `%z`"),
            ("%p %p", "`%p` stands twice"),
        ] {
            assert_eq!(log_line_prefix(text).unwrap_err().message, message);
        }
    }
}
