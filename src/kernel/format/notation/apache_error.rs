//! Apache's `ErrorLogFormat`: `[%{u}t] [%-m:%l] [pid %P:tid %T] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i`.
//!
//! Reference: <https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat>.
//!
//! A blank begins a field, `\ ` is a blank inside of one, and `% ` begins one without writing anything. A field with an item that has
//! nothing to say is left out as a whole, its blank included; `%-m` writes a hyphen instead.

use std::collections::BTreeSet;

use super::super::definition::{CaptureDef, OneOrMany};
use super::strftime::MOMENT;
use super::{NotationError, Translated, literal, typed};

/// A field: what is written from one delimiter to the next.
#[derive(Default)]
struct Field {
    regex: String,
    line: String,
    /// It may be left out.
    is_optional: bool,
}

/// What an item writes: its shape with its captures, an example, and whether every record has it.
struct Item {
    regex: String,
    example: &'static str,
    is_sure: bool,
    captures: Vec<(String, CaptureDef)>,
    expect: &'static [(&'static str, &'static str)],
}

/// Reads the text of an `ErrorLogFormat` as it stands between the quotes of the configuration.
pub(crate) fn error_log_format(text: &str) -> Result<Translated, NotationError> {
    let mut out = Translated::default();
    let mut fields = vec![Field::default()];
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let field = fields.last_mut().expect("there is one at least");
        let mut write = |text: &str| {
            field.regex += &literal(text);
            field.line += text;
        };
        match c {
            '\\' => {
                let escaped = rest[1..].chars().next();
                match escaped {
                    Some(other @ (' ' | '"' | '\'' | '\\' | '%')) => write(other.encode_utf8(&mut [0; 4])),
                    Some(other) => write(&format!("\\{other}")),
                    None => write("\\"),
                }
                rest = &rest[1 + escaped.map_or(0, char::len_utf8)..];
            }
            ' ' => {
                fields.push(Field { regex: " ".to_owned(), line: " ".to_owned(), is_optional: false });
                rest = &rest[1..];
            }
            '%' if rest.starts_with("%%") => {
                write("%");
                rest = &rest[2..];
            }
            '%' if rest.starts_with("% ") => {
                fields.push(Field::default());
                rest = &rest[2..];
            }
            '%' => {
                let (item, behind, has_hyphen) = item(rest)?;
                let is_first = item.captures.iter().all(|(name, _)| seen.insert(name.clone()));
                // The same value once more has no capture of its own.
                let regex = if is_first { item.regex } else { bare(&item.regex, &item.captures) };
                field.regex += &if has_hyphen { format!("(?:-|{regex})") } else { regex };
                field.is_optional |= !item.is_sure && !has_hyphen;
                field.line += item.example;
                if is_first {
                    out.captures.extend(item.captures);
                    out.expect.extend(item.expect.iter().copied());
                }
                rest = behind;
            }
            c => {
                write(c.encode_utf8(&mut [0; 4]));
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    if out.captures.is_empty() {
        let hint = Some(r"such as '[%t] [%l] [pid %P] %F: %E: [client\ %a] %M'".to_owned());
        return Err(NotationError { message: "an `ErrorLogFormat` without an item".to_owned(), hint });
    }
    for field in &fields {
        out.regex += &if field.is_optional { format!("(?:{})?", field.regex) } else { field.regex.clone() };
        out.line += &field.line;
    }
    Ok(out)
}

/// What a record in this layout begins with, if it says so: text and a time. Other lines belong to the record before them.
pub(crate) fn error_log_start(text: &str) -> Option<String> {
    let before = text.find('%')?;
    let is_time = ["%t", "%{u}t", "%{c}t", "%{cu}t", "%{uc}t"].iter().any(|time| text[before..].starts_with(time));
    let is_plain = !text[..before].contains(['\\', ' ']);
    let (item, ..) = item(&text[before..]).ok().filter(|_| is_time && is_plain)?;
    Some(literal(&text[..before]) + &bare(&item.regex, &item.captures))
}

/// The shape without its captures.
fn bare(regex: &str, captures: &[(String, CaptureDef)]) -> String {
    captures.iter().fold(regex.to_owned(), |regex, (name, _)| regex.replace(&format!("?<{name}>"), "?:"))
}

/// The item that a text begins with, what is behind it, and whether it writes a hyphen for nothing.
fn item(text: &str) -> Result<(Item, &str, bool), NotationError> {
    let bad = |what: &str| NotationError::new(format!("{what} in `{}`", text.chars().take(20).collect::<String>()));
    let mut rest = &text[1..];
    let (mut argument, mut has_hyphen, mut is_required, mut is_conditional) = (None, false, false, false);
    let code = loop {
        let Some(c) = rest.chars().next() else { return Err(bad("`%` with nothing behind it")) };
        rest = &rest[c.len_utf8()..];
        match c {
            '-' => has_hyphen = true,
            // A record without it is not written.
            '+' => is_required = true,
            // Only for records of this level or less important ones.
            '0'..='9' => is_conditional = true,
            '{' => {
                let (inside, behind) = rest.split_once('}').ok_or_else(|| bad("`{` without `}`"))?;
                (argument, rest) = (Some(inside), behind);
            }
            code => break code,
        }
    };
    let mut item = known(code, argument)?;
    item.is_sure = is_required || (item.is_sure && !is_conditional);
    Ok((item, rest, has_hyphen))
}

fn known(code: char, argument: Option<&str>) -> Result<Item, NotationError> {
    let of = |name: &str, shape: &str, meaning: CaptureDef, example: &'static str, is_sure: bool| Item {
        regex: format!("(?<{name}>{shape})"),
        example,
        is_sure,
        captures: vec![(name.to_owned(), meaning)],
        expect: &[],
    };
    let field = |name: &str, shape: &str, example: &'static str, is_sure: bool| {
        of(name, shape, typed("text", &format!("fields.{name}")), example, is_sure)
    };
    let address = |prefix: &str, meaning: CaptureDef, port: CaptureDef, example: &'static str| Item {
        // The last colon is that of the port, also behind IPv6.
        regex: format!(r"(?<{prefix}>[^ \[\]]+):(?<{prefix}_port>\d+)"),
        example,
        is_sure: false,
        captures: vec![(prefix.to_owned(), meaning), (format!("{prefix}_port"), port)],
        expect: &[],
    };
    let named = argument.unwrap_or_default();
    let lower: String =
        named.chars().take(60).map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let stamp = r"[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}";
    let time = |layout: &str| CaptureDef { layout: Some(OneOrMany::One(layout.to_owned())), ..typed("time", "time") };
    let escaped = |column: &str| CaptureDef { unescape: Some("apache".to_owned()), ..typed("text", column) };
    Ok(match (code, named) {
        ('t', "" | "u") => {
            let example = if named.is_empty() { "Sat Nov 21 00:55:04 2026" } else { "Sat Nov 21 00:55:04.000000 2026" };
            Item { expect: &[("time", MOMENT)], ..of("time", stamp, time("asctime"), example, true) }
        }
        ('t', "c" | "cu" | "uc") => {
            let example = if named == "c" { "2026-11-21 00:55:04" } else { "2026-11-21 00:55:04.000000" };
            let shape = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?";
            Item { expect: &[("time", MOMENT)], ..of("time", shape, time("rfc3339"), example, true) }
        }
        ('l', _) => Item { expect: &[("level", "error")], ..of("level", r"[a-z]+\d?", typed("text", "level"), "error", true) },
        ('m', _) => Item { expect: &[("module", "core")], ..of("module", r"[^ :\]]+", typed("text", "module"), "core", false) },
        ('P', _) => Item { expect: &[("pid", "4711")], ..of("pid", r"\d+", typed("integer", "pid"), "4711", true) },
        ('T', _) => Item { expect: &[("tid", "4712")], ..of("tid", r"\d+", typed("integer", "tid"), "4712", true) },
        ('E', _) => Item {
            expect: &[("os_error", "(13)Permission denied")],
            ..of("os_error", r"\((?:OS )?\d+\)[^:\[]+", typed("text", "os_error"), "(13)Permission denied", false)
        },
        ('F', _) => field("source", r"[^ ()]+\(\d+\)", "core.c(42)", false),
        ('a', "c") => address("peer", typed("text", "fields.peer"), typed("text", "fields.peer_port"), "192.0.2.9:40009"),
        ('a', _) => Item {
            expect: &[("client_ip", "192.0.2.1"), ("client_port", "40000")],
            ..address("client", typed("host", "client"), typed("port", "client_port"), "192.0.2.1:40000")
        },
        ('A', _) => address("local", typed("text", "fields.local"), typed("text", "fields.local_port"), "192.0.2.2:443"),
        ('k', _) => field("keepalive", r"\d+", "1", false),
        ('L', "c" | "C") => field("connection_log_id", r"[^ \]]+", "wJ0A38AAQEA", false),
        ('L', _) => field("log_id", r"[^ \]]+", "YkJ0A38AAQEAAB", false),
        ('v' | 'V', _) => Item {
            expect: &[("vhost", "www.example.com")],
            ..of("vhost", r"[^ \]]+", typed("text", "vhost"), "www.example.com", false)
        },
        ('M', _) => Item {
            regex: r"(?:(?<code>AH\d{5}): )?(?<message>.*?)".to_owned(),
            example: "AH00132: file permissions deny server access",
            is_sure: true,
            captures: vec![("code".to_owned(), typed("text", "code")), ("message".to_owned(), escaped("message"))],
            expect: &[("code", "AH00132"), ("message", "file permissions deny server access")],
        },
        ('i', _) if named.eq_ignore_ascii_case("referer") => Item {
            expect: &[("referer", "https://example.com/")],
            ..of("referer", ".*?", escaped("referer"), "https://example.com/", false)
        },
        ('i' | 'e' | 'n', _) if !named.is_empty() => {
            let prefix = match code {
                'i' => "http",
                'e' => "env",
                _ => "note",
            };
            let name = format!("{prefix}_{lower}");
            of(&name, ".*?", escaped(&format!("fields.{name}")), "x", false)
        }
        ('i' | 'e' | 'n', _) => return Err(NotationError::new(format!("`%{code}` needs a name: `%{{NAME}}{code}`"))),
        (other, _) => {
            return Err(NotationError {
                message: format!("unknown item `%{other}` of `ErrorLogFormat`"),
                hint: Some("a percent sign alone is written `%%`".to_owned()),
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> regex::bytes::Regex {
        regex::bytes::Regex::new(&format!(r"(?s-u)\A(?:{})\z", error_log_format(text).unwrap().regex)).unwrap()
    }

    #[test]
    fn a_layout_takes_its_own_line() {
        for text in [
            r"[%{u}t] [%-m:%l] [pid %P:tid %T] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i",
            r"[%t] [%l] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i",
            r"[%{cu}t] [%-m:%-l] %-a %-L %M",
            r"[%{uc}t] [R:%L] UA:'%+{User-Agent}i'",
            r"%t|%l|%v|%P|%{c}a|%A|%k|%{c}L|%{X-Y}i|%{e}e|%{n}n|%% %M %M",
        ] {
            let got = error_log_format(text).unwrap();
            assert!(whole(text).is_match(got.line.as_bytes()), "{text}: {} does not take {}", got.regex, got.line);
        }
    }

    #[test]
    fn a_field_without_a_value_is_left_out() {
        let regex = whole(r"[%{u}t] [%-m:%l] [pid %P:tid %T] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i");
        let lines = [
            "[Sat Nov 21 00:55:04.123456 2026] [core:error] [pid 17:tid 18] AH00132: x",
            "[Sat Nov 21 00:55:04.123456 2026] [-:notice] [pid 17:tid 18] x",
            "[Sat Nov 21 00:55:04.123456 2026] [core:debug] [pid 17:tid 18] core.c(1): (13)Denied: [client ::1:80] x: y, referer http://a/",
        ];
        for line in lines {
            assert!(regex.is_match(line.as_bytes()), "{line}");
        }
        let found = regex.captures(lines[2].as_bytes()).unwrap();
        assert_eq!((&found["client"], &found["client_port"], &found["referer"]), (&b"::1"[..], &b"80"[..], &b"http://a/"[..]));
        assert_eq!((&found["message"], &found["source"]), (&b"x: y"[..], &b"core.c(1)"[..]));
    }

    #[test]
    fn a_record_begins_with_its_time() {
        let start = error_log_start("[%t] %M").unwrap();
        assert!(regex::bytes::Regex::new(&format!("^{start}")).unwrap().is_match(b"[Sat Nov 21 00:55:04 2026] x"), "{start}");
        for text in ["%M", "[%l] [%t] %M", r"\%t", "x"] {
            assert_eq!(error_log_start(text), None, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, message) in [
            ("[x]", "an `ErrorLogFormat` without an item"),
            ("%M %", "`%` with nothing behind it in `%`"),
            ("%M %{x", "`{` without `}` in `%{x`"),
            ("%M %Y", "unknown item `%Y` of `ErrorLogFormat`"),
            ("%M %i", "`%i` needs a name: `%{NAME}i`"),
        ] {
            assert_eq!(error_log_format(text).unwrap_err().message, message);
        }
    }
}
