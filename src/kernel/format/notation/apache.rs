//! Apache's `LogFormat`: `%h %l %u %t "%r" %>s %b`.
//!
//! Reference: <https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats>.

use super::server::{Escape, Item, Meaning, Shape, Variable, assemble};
use super::strftime::{Directives, MOMENT};
use super::{NotationError, Translated};

const REQUEST: &[(&str, &str)] = &[("method", "GET"), ("path", "/a"), ("query", "b=c"), ("protocol", "HTTP/1.1")];

/// A directive, taken apart: `%!200,304{Referer}i`.
struct Directive<'a> {
    argument: Option<&'a str>,
    code: &'a str,
    /// `%<s`: of the request before it was redirected inside of the server.
    is_original: bool,
    /// `%>s`: of the one behind it.
    is_final: bool,
    /// It is written for some statuses only, and else `-`.
    is_conditional: bool,
    rest: &'a str,
}

/// Reads the text of a `LogFormat`: as it stands between the quotes of the configuration, or without those quotes' backslashes.
pub(crate) fn log_format(text: &str) -> Result<Translated, NotationError> {
    let mut items: Vec<Item> = vec![];
    let mut times: Vec<(usize, Directives)> = vec![];
    let mut rest = text;
    let mut literal = String::new();
    while let Some(c) = rest.chars().next() {
        match c {
            '\\' => {
                let escaped = rest[1..].chars().next();
                match escaped {
                    Some('n') => literal.push('\n'),
                    Some('t') => literal.push('\t'),
                    Some('r') => literal.push('\r'),
                    Some(other @ ('"' | '\'' | '\\')) => literal.push(other),
                    Some(other) => literal.extend(['\\', other]),
                    None => literal.push('\\'),
                }
                rest = &rest[1 + escaped.map_or(0, char::len_utf8)..];
            }
            '%' if rest.starts_with("%%") => {
                literal.push('%');
                rest = &rest[2..];
            }
            '%' => {
                items.push(Item::Literal(std::mem::take(&mut literal)));
                let directive = directive(rest)?;
                rest = directive.rest;
                if matches!(directive.code, "t" | "^tt") && directive.argument.is_some() {
                    times.push((items.len(), time(directive.argument.unwrap_or_default())?));
                    items.push(Item::Literal(String::new()));
                } else {
                    variable(&directive, &mut items)?;
                }
            }
            c => {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    items.push(Item::Literal(literal));
    let items = with_times(&items, &times);
    if !items.iter().any(|item| matches!(item, Item::Variable(_))) {
        let hint = Some("such as '%h %l %u %t \"%r\" %>s %b'".to_owned());
        return Err(NotationError { message: "a `LogFormat` without a directive".to_owned(), hint });
    }
    Ok(assemble(&items, Escape::Backslash))
}

fn directive(text: &str) -> Result<Directive<'_>, NotationError> {
    let bad = |what: &str| NotationError::new(format!("{what} in `{}`", text.chars().take(20).collect::<String>()));
    let mut rest = &text[1..];
    let (mut argument, mut is_original, mut is_final, mut is_conditional) = (None, false, false, false);
    loop {
        match rest.as_bytes().first() {
            Some(b'<') => (is_original, rest) = (true, &rest[1..]),
            Some(b'>') => (is_final, rest) = (true, &rest[1..]),
            Some(b'!' | b',' | b'0'..=b'9') => (is_conditional, rest) = (true, &rest[1..]),
            Some(b'{') => {
                let end = rest.find('}').ok_or_else(|| bad("`{` without `}`"))?;
                (argument, rest) = (Some(&rest[1..end]), &rest[end + 1..]);
            }
            Some(_) => break,
            None => return Err(bad("`%` without a directive")),
        }
    }
    // `%^FB`, `%^ti`, `%^to`.
    let len = if rest.starts_with('^') { 3 } else { rest.chars().next().map_or(0, char::len_utf8) };
    let code = rest.get(..len).ok_or_else(|| bad("`%^` without a directive"))?;
    Ok(Directive { argument, code, is_original, is_final, is_conditional, rest: &rest[len..] })
}

/// What `%{…}t` writes.
fn time(argument: &str) -> Result<Directives, NotationError> {
    let format = argument.strip_prefix("begin:").or_else(|| argument.strip_prefix("end:")).unwrap_or(argument);
    let mut directives = Directives::default();
    match format {
        "sec" => directives.epoch(0),
        "msec" => directives.epoch(3),
        "usec" => directives.epoch(6),
        "msec_frac" => directives.fraction(3),
        "usec_frac" => directives.fraction(6),
        "" => directives.text("[%d/%b/%Y:%H:%M:%S %z]").unwrap_or_default(),
        strftime => directives.text(strftime).map_err(|code| NotationError {
            message: format!("`%{code}` in `%{{{argument}}}t` is no directive of strftime"),
            hint: Some("see `man strftime`".to_owned()),
        })?,
    }
    Ok(directives)
}

/// Makes one variable of each stretch of times with nothing but text between them: `%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t`.
fn with_times(items: &[Item], times: &[(usize, Directives)]) -> Vec<Item> {
    let mut out: Vec<Item> = vec![];
    let mut count = 0;
    let mut at = 0;
    while at < items.len() {
        let Some((_, first)) = times.iter().find(|(place, _)| *place == at) else {
            out.push(items[at].clone());
            at += 1;
            continue;
        };
        let mut whole = first.clone();
        let mut end = at + 1;
        // A literal and then a time again?
        while let [Item::Literal(between), Item::Literal(_), ..] = &items[end..]
            && let Some((_, next)) = times.iter().find(|(place, _)| *place == end + 1)
        {
            let mut grown = whole.clone();
            grown.literal(between);
            grown.append(next);
            // Two whole times behind each other are two times.
            if whole.layout().is_some() && grown.layout().is_none() {
                break;
            }
            whole = grown;
            end += 2;
        }
        count += 1;
        let name = if count == 1 { "time".to_owned() } else { format!("time_{count}") };
        let layout = whole.layout();
        out.push(Item::Variable(Variable {
            name,
            shape: Shape::Owned(whole.regex().into()),
            meaning: layout.map_or(Meaning::Field, Meaning::TimeOf),
            rank: count,
            example: whole.example().to_owned(),
            expect: if layout.is_some() { vec![("time", MOMENT)] } else { vec![] },
        }));
        at = end;
    }
    out
}

/// Adds what a directive writes.
fn variable(directive: &Directive<'_>, items: &mut Vec<Item>) -> Result<(), NotationError> {
    use Meaning::{Duration, Field, Host, Integer, Ip, Request, Text as InText, Time};
    use Shape::{Number, Path, Text, Word};
    let argument = directive.argument.unwrap_or_default();
    let lower = argument.to_ascii_lowercase();
    let mut push = |name: &str,
                    shape: Shape,
                    meaning: Meaning,
                    rank: u8,
                    example: &str,
                    expect: &[(&'static str, &'static str)]| {
        // What is written for some statuses only may be missing everywhere; text and words take a `-` anyway.
        let shape = match (shape, directive.is_conditional) {
            (Shape::Is(_), true) => Text,
            (shape, _) => shape,
        };
        let name = name.to_owned();
        items.push(Item::Variable(Variable { name, shape, meaning, rank, example: example.to_owned(), expect: expect.to_vec() }));
    };
    match directive.code {
        "a" if lower == "c" => push("peer_ip", Word, Host("client"), 2, "192.0.2.1", &[("client_ip", "192.0.2.1")]),
        "a" => push("client_address", Word, Host("client"), 0, "192.0.2.1", &[("client_ip", "192.0.2.1")]),
        "h" => push("client", Word, Host("client"), 1, "192.0.2.1", &[("client_ip", "192.0.2.1")]),
        "A" => push("server_address", Word, Ip("server_ip"), 0, "192.0.2.2", &[("server_ip", "192.0.2.2")]),
        "l" => push("ident", Word, InText("ident"), 0, "-", &[]),
        "u" => push("user_name", Text, InText("user_name"), 0, "alice", &[("user_name", "alice")]),
        "t" => {
            items.push(Item::Literal("[".to_owned()));
            items.push(Item::Variable(Variable {
                name: "request_start".to_owned(),
                shape: Shape::Is(r"\d\d/[^\]]+"),
                meaning: Time(&["clf"]),
                rank: 1,
                example: "21/Nov/2026:00:55:04 +0000".to_owned(),
                expect: vec![("time", MOMENT)],
            }));
            items.push(Item::Literal("]".to_owned()));
        }
        "r" => push("request", Text, Request, 0, "GET /a?b=c HTTP/1.1", REQUEST),
        "m" => push("method", Word, InText("method"), 1, "GET", &[("method", "GET")]),
        "H" => push("protocol", Word, InText("protocol"), 1, "HTTP/1.1", &[("protocol", "HTTP/1.1")]),
        "U" => push("url_path", Path, InText("path"), 1, "/a", &[("path", "/a")]),
        "q" => {
            // It comes with its question mark, or not at all.
            push("query_string", Shape::Query, InText("query"), 1, "?b=c", &[("query", "b=c")]);
        }
        "s" if directive.is_original || !directive.is_final => {
            push("original_status", Number, Integer("status"), 1, "404", &[("status", "404")]);
        }
        "s" => push("status", Number, Integer("status"), 0, "404", &[("status", "404")]),
        // Of bytes on the wire and bytes of the body, those on the wire count.
        "b" | "B" => push("body_bytes", Number, Integer("bytes"), 1, "512", &[("bytes", "512")]),
        "O" => push("bytes_sent", Number, Integer("bytes"), 0, "512", &[("bytes", "512")]),
        "I" => push("bytes_received", Number, Integer("request_bytes"), 0, "77", &[("request_bytes", "77")]),
        "S" => push("bytes_transferred", Number, Field, 0, "589", &[]),
        "D" => push("duration_us", Number, Duration("duration_ms", "us"), 0, "250000", &[("duration_ms", "250")]),
        "T" => match lower.as_str() {
            "us" => push("duration_us", Number, Duration("duration_ms", "us"), 0, "250000", &[("duration_ms", "250")]),
            "ms" => push("duration_in_ms", Number, Duration("duration_ms", "ms"), 1, "250", &[("duration_ms", "250")]),
            _ => push("duration_s", Number, Duration("duration_ms", "s"), 2, "2", &[("duration_ms", "2000")]),
        },
        "^FB" => push("first_byte_us", Number, Field, 0, "200", &[]),
        "v" => push("vhost", Word, InText("vhost"), 0, "www.example.com", &[("vhost", "www.example.com")]),
        "V" => push("server_name", Word, InText("vhost"), 1, "www.example.com", &[("vhost", "www.example.com")]),
        "p" => match lower.as_str() {
            "remote" => push("client_port", Number, Integer("client_port"), 0, "40000", &[("client_port", "40000")]),
            "local" => push("local_port", Number, Integer("server_port"), 1, "443", &[("server_port", "443")]),
            _ => push("server_port", Number, Integer("server_port"), 0, "443", &[("server_port", "443")]),
        },
        "P" if lower == "tid" || lower == "hextid" => push("tid", Word, Field, 0, "4712", &[]),
        "P" => push("pid", Number, Integer("pid"), 0, "4711", &[("pid", "4711")]),
        "k" => push("keepalive", Number, Field, 0, "1", &[]),
        "X" => push("connection_status", Shape::Is("[X+-]"), Field, 0, "+", &[]),
        "L" => push("log_id", Word, InText("request_id"), 2, "YkJ0A38AAQEAAB", &[("request_id", "YkJ0A38AAQEAAB")]),
        "R" => push("handler", Word, Field, 0, "proxy-server", &[]),
        "f" => push("filename", Text, Field, 0, "/srv/www/a", &[]),
        "i" if !argument.is_empty() => match lower.as_str() {
            "referer" => {
                push("referer", Text, InText("referer"), 0, "https://example.com/", &[("referer", "https://example.com/")])
            }
            "user-agent" => push("user_agent", Text, InText("user_agent"), 0, "curl/8.0", &[("user_agent", "curl/8.0")]),
            "x-forwarded-for" => {
                push("forwarded_for", Text, InText("forwarded_for"), 0, "198.51.100.7", &[("forwarded_for", "198.51.100.7")]);
            }
            "host" => push("http_host", Text, InText("vhost"), 2, "www.example.com", &[("vhost", "www.example.com")]),
            "x-request-id" => {
                push(
                    "http_x_request_id",
                    Text,
                    InText("request_id"),
                    1,
                    "0af7651916cd43dd",
                    &[("request_id", "0af7651916cd43dd")],
                );
            }
            header => push(&name("http", header), Text, Field, 0, "x", &[]),
        },
        "o" if !argument.is_empty() => push(&name("sent_http", &lower), Text, Field, 0, "x", &[]),
        "^ti" if !argument.is_empty() => push(&name("trailer", &lower), Text, Field, 0, "x", &[]),
        "^to" if !argument.is_empty() => push(&name("sent_trailer", &lower), Text, Field, 0, "x", &[]),
        "C" if !argument.is_empty() => push(&name("cookie", &lower), Text, Field, 0, "x", &[]),
        "e" if lower == "unique_id" => {
            push("unique_id", Word, InText("request_id"), 0, "YkJ0A38AAQEAAB", &[("request_id", "YkJ0A38AAQEAAB")])
        }
        "e" if !argument.is_empty() => push(&name("env", &lower), Text, Field, 0, "x", &[]),
        "n" if !argument.is_empty() => push(&name("note", &lower), Text, Field, 0, "x", &[]),
        "x" | "c" if lower == "ssl_protocol" || lower == "version" => {
            push("tls_version", Word, InText("tls_version"), 0, "TLSv1.3", &[("tls_version", "TLSv1.3")]);
        }
        "x" | "c" if !argument.is_empty() => {
            push(&name("tls", lower.strip_prefix("ssl_").unwrap_or(&lower)), Text, Field, 0, "x", &[])
        }
        code @ ("i" | "o" | "C" | "e" | "n" | "x" | "c" | "^ti" | "^to") => {
            return Err(NotationError::new(format!("`%{code}` needs a name: `%{{NAME}}{code}`")));
        }
        other => {
            return Err(NotationError {
                message: format!("unknown directive `%{other}`"),
                hint: Some("a percent sign alone is written `%%`".to_owned()),
            });
        }
    }
    Ok(())
}

/// A name for a header, cookie or variable: `http_x_real_ip`.
fn name(prefix: &str, argument: &str) -> String {
    let plain = argument.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("{prefix}_{}", plain.take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<String> {
        let got = log_format(text).unwrap();
        got.captures.values().filter_map(|capture| capture.column.clone()).collect()
    }

    #[test]
    fn combined_is_translated() {
        let text = r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#;
        let got = log_format(text).unwrap();
        let line =
            r#"192.0.2.1 - alice [21/Nov/2026:00:55:04 +0000] "GET /a?b=c HTTP/1.1" 404 512 "https://example.com/" "curl/8.0""#;
        assert_eq!(got.line, line);
        assert!(regex::Regex::new(&format!("^(?:{})$", got.regex)).unwrap().is_match(line), "{}", got.regex);
        // The same without the backslashes of the configuration.
        assert_eq!(log_format(&text.replace('\\', "")).unwrap().regex, got.regex);
    }

    #[test]
    fn a_time_of_several_directives_is_one() {
        let got = log_format("[%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t] %h").unwrap();
        assert_eq!(got.captures["time"].column.as_deref(), Some("time"));
        assert_eq!(got.line, "[21/Nov/2026 00:55:04.000 +0000] 192.0.2.1");
        // Begin and end: two.
        let got = log_format("%{begin:%F %T}t %{end:%F %T}t %h").unwrap();
        assert_eq!(got.line, "2026-11-21 00:55:04 2026-11-21 00:55:04 192.0.2.1");
        assert_eq!(got.captures["time_2"].column.as_deref(), Some("fields.time_2"));
        // A time that we cannot read is kept as it stands.
        assert_eq!(columns("%{%I:%M %p}t %U"), ["fields.time", "path"]);
    }

    #[test]
    fn directives_have_modifiers_and_names() {
        assert_eq!(
            columns("%400,501{X-Real-IP}i %!200{Foo}o %{sid}C"),
            ["fields.cookie_sid", "fields.http_x_real_ip", "fields.sent_http_foo"]
        );
        assert_eq!(columns("%<s %>s"), ["fields.original_status", "status"]);
        assert_eq!(columns("%b %O"), ["fields.body_bytes", "bytes"]);
        assert_eq!(columns("%T/%D"), ["fields.duration_s", "duration_ms"]);
        assert_eq!(log_format("100%% %U").unwrap().line, "100% /a");
    }

    #[test]
    fn a_path_and_the_query_behind_it_are_the_target() {
        let got = log_format("%h \"%m %U%q %H\" %>s").unwrap();
        assert_eq!(got.line, r#"192.0.2.1 "GET /a?b=c HTTP/1.1" 404"#);
        assert_eq!((got.captures["url"].column.as_deref(), got.captures.len()), (Some("url"), 5));
        let regex = regex::Regex::new(&format!("^(?:{})$", got.regex)).unwrap();
        for target in ["/a?b=c", "/a", "/a b?c", "*"] {
            let line = format!(r#"::1 "GET {target} HTTP/1.1" 200"#);
            assert_eq!(regex.captures(&line).map(|found| found["url"].to_owned()).as_deref(), Some(target));
        }
        // With something between them they are two.
        assert_eq!(columns("%U %q"), ["query", "path"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, message) in [
            ("none", "a `LogFormat` without a directive"),
            ("%h %", "`%` without a directive in `%`"),
            ("%{Referer", "`{` without `}` in `%{Referer`"),
            ("%Y", "unknown directive `%Y`"),
            ("%i", "`%i` needs a name: `%{NAME}i`"),
            ("%{%Q}t", "`%Q` in `%{%Q}t` is no directive of strftime"),
        ] {
            assert_eq!(log_format(text).unwrap_err().message, message);
        }
    }
}
