//! nginx's `log_format`: `$remote_addr - $remote_user [$time_local] "$request"`.
//!
//! Reference: <https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format>.

use super::server::{Escape, Item, Meaning, Shape, Variable, assemble};
use super::{NotationError, Translated};

/// Variables that are more than a text: name, how they look, what they mean, which of several comes first, a value, what it is worth.
type Known = (&'static str, Shape, Meaning, u8, &'static str, &'static [(&'static str, &'static str)]);

const TIME: &[(&str, &str)] = &[("time", super::strftime::MOMENT)];
const REQUEST: &[(&str, &str)] = &[("method", "GET"), ("path", "/a"), ("query", "b=c"), ("protocol", "HTTP/1.1")];
const UPSTREAM: &[(&str, &str)] = &[("upstream_ip", "192.0.2.9"), ("upstream_port", "8080")];
const CLOCK: &str = r"\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}";
const ISO: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)";

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    ("remote_addr", Shape::Word, Meaning::Host("client"), 0, "192.0.2.1", &[("client_ip", "192.0.2.1")]),
    ("realip_remote_addr", Shape::Word, Meaning::Host("client"), 2, "192.0.2.1", &[("client_ip", "192.0.2.1")]),
    ("proxy_protocol_addr", Shape::Word, Meaning::Host("client"), 1, "192.0.2.1", &[("client_ip", "192.0.2.1")]),
    ("remote_port", Shape::Number, Meaning::Integer("client_port"), 0, "40000", &[("client_port", "40000")]),
    ("realip_remote_port", Shape::Number, Meaning::Integer("client_port"), 1, "40000", &[("client_port", "40000")]),
    ("remote_user", Shape::Text, Meaning::Text("user_name"), 0, "alice", &[("user_name", "alice")]),
    ("time_iso8601", Shape::Is(ISO), Meaning::Time(&["rfc3339"]), 1, "2026-11-21T00:55:04+00:00", TIME),
    ("time_local", Shape::Is(CLOCK), Meaning::Time(&["clf"]), 2, "21/Nov/2026:00:55:04 +0000", TIME),
    // The only one with a fraction of the second.
    ("msec", Shape::Decimal, Meaning::Time(&["epoch"]), 0, "1795222504.000", TIME),
    ("request", Shape::Text, Meaning::Request, 0, "GET /a?b=c HTTP/1.1", REQUEST),
    ("request_uri", Shape::Text, Meaning::Url, 1, "/a?b=c", &[("url", "/a?b=c"), ("path", "/a")]),
    ("request_method", Shape::Word, Meaning::Text("method"), 1, "GET", &[("method", "GET")]),
    ("server_protocol", Shape::Word, Meaning::Text("protocol"), 1, "HTTP/1.1", &[("protocol", "HTTP/1.1")]),
    ("uri", Shape::Path, Meaning::Text("path"), 2, "/a", &[("path", "/a")]),
    ("document_uri", Shape::Path, Meaning::Text("path"), 3, "/a", &[("path", "/a")]),
    ("args", Shape::Text, Meaning::Text("query"), 2, "b=c", &[("query", "b=c")]),
    ("is_args", Shape::Is(r"\??"), Meaning::Field, 0, "?", &[]),
    ("query_string", Shape::Text, Meaning::Text("query"), 3, "b=c", &[("query", "b=c")]),
    ("status", Shape::Number, Meaning::Integer("status"), 0, "404", &[("status", "404")]),
    // Of bytes on the wire and bytes of the body, those on the wire count.
    ("bytes_sent", Shape::Number, Meaning::Integer("bytes"), 0, "512", &[("bytes", "512")]),
    ("body_bytes_sent", Shape::Number, Meaning::Integer("bytes"), 1, "512", &[("bytes", "512")]),
    ("request_length", Shape::Number, Meaning::Integer("request_bytes"), 0, "77", &[("request_bytes", "77")]),
    ("bytes_received", Shape::Number, Meaning::Integer("request_bytes"), 1, "77", &[("request_bytes", "77")]),
    ("request_time", Shape::Decimal, Meaning::Duration("duration_ms", "s"), 0, "0.250", &[("duration_ms", "250")]),
    ("session_time", Shape::Decimal, Meaning::Duration("duration_ms", "s"), 1, "0.250", &[("duration_ms", "250")]),
    ("http_referer", Shape::Text, Meaning::Text("referer"), 0, "https://example.com/", &[("referer", "https://example.com/")]),
    ("http_user_agent", Shape::Text, Meaning::Text("user_agent"), 0, "curl/8.0", &[("user_agent", "curl/8.0")]),
    ("http_x_forwarded_for", Shape::Text, Meaning::Text("forwarded_for"), 0, "198.51.100.7", &[("forwarded_for", "198.51.100.7")]),
    ("proxy_add_x_forwarded_for", Shape::Text, Meaning::Text("forwarded_for"), 1, "198.51.100.7", &[("forwarded_for", "198.51.100.7")]),
    ("host", Shape::Word, Meaning::Text("vhost"), 0, "www.example.com", &[("vhost", "www.example.com")]),
    ("http_host", Shape::Text, Meaning::Text("vhost"), 1, "www.example.com", &[("vhost", "www.example.com")]),
    ("server_name", Shape::Word, Meaning::Text("vhost"), 2, "www.example.com", &[("vhost", "www.example.com")]),
    ("ssl_server_name", Shape::Word, Meaning::Text("vhost"), 3, "www.example.com", &[("vhost", "www.example.com")]),
    ("ssl_preread_server_name", Shape::Word, Meaning::Text("vhost"), 4, "www.example.com", &[("vhost", "www.example.com")]),
    ("server_addr", Shape::Word, Meaning::Ip("server_ip"), 0, "192.0.2.2", &[("server_ip", "192.0.2.2")]),
    ("server_port", Shape::Number, Meaning::Integer("server_port"), 0, "443", &[("server_port", "443")]),
    ("upstream_addr", Shape::List, Meaning::IpPort("upstream"), 0, "192.0.2.9:8080", UPSTREAM),
    ("upstream_status", Shape::List, Meaning::Integer("upstream_status"), 0, "502", &[("upstream_status", "502")]),
    ("upstream_response_time", Shape::List, Meaning::Duration("upstream_ms", "s"), 0, "0.125", &[("upstream_ms", "125")]),
    ("upstream_session_time", Shape::List, Meaning::Duration("upstream_ms", "s"), 1, "0.125", &[("upstream_ms", "125")]),
    ("upstream_connect_time", Shape::List, Meaning::Field, 0, "0.001", &[]),
    ("upstream_header_time", Shape::List, Meaning::Field, 0, "0.100", &[]),
    ("upstream_first_byte_time", Shape::List, Meaning::Field, 0, "0.100", &[]),
    ("upstream_response_length", Shape::List, Meaning::Field, 0, "500", &[]),
    ("upstream_bytes_sent", Shape::List, Meaning::Field, 0, "500", &[]),
    ("upstream_bytes_received", Shape::List, Meaning::Field, 0, "500", &[]),
    ("upstream_cache_status", Shape::Word, Meaning::Text("cache_status"), 0, "HIT", &[("cache_status", "HIT")]),
    ("ssl_protocol", Shape::Word, Meaning::Text("tls_version"), 0, "TLSv1.3", &[("tls_version", "TLSv1.3")]),
    ("request_id", Shape::Word, Meaning::Text("request_id"), 0, "0af7651916cd43dd", &[("request_id", "0af7651916cd43dd")]),
    ("http_x_request_id", Shape::Text, Meaning::Text("request_id"), 1, "0af7651916cd43dd", &[("request_id", "0af7651916cd43dd")]),
    ("hostname", Shape::Word, Meaning::Text("host"), 0, "web1", &[("host", "web1")]),
    ("pid", Shape::Number, Meaning::Integer("pid"), 0, "4711", &[("pid", "4711")]),
    ("protocol", Shape::Word, Meaning::Text("protocol"), 2, "TCP", &[("protocol", "TCP")]),
    ("scheme", Shape::Word, Meaning::Field, 0, "https", &[]),
    ("https", Shape::Word, Meaning::Field, 0, "on", &[]),
    ("connection", Shape::Number, Meaning::Field, 0, "17", &[]),
    ("connection_requests", Shape::Number, Meaning::Field, 0, "1", &[]),
    ("connection_time", Shape::Decimal, Meaning::Field, 0, "0.300", &[]),
    ("gzip_ratio", Shape::Decimal, Meaning::Field, 0, "2.50", &[]),
    ("pipe", Shape::Is("[.p]"), Meaning::Field, 0, ".", &[]),
    ("ssl_cipher", Shape::Word, Meaning::Field, 0, "TLS_AES_256_GCM_SHA384", &[]),
    ("ssl_session_reused", Shape::Word, Meaning::Field, 0, "r", &[]),
    ("content_length", Shape::Word, Meaning::Field, 0, "3", &[]),
    ("nginx_version", Shape::Word, Meaning::Field, 0, "1.28.0", &[]),
];

fn variable(name: &str) -> Variable {
    let known = KNOWN.iter().find(|known| known.0 == name);
    let (shape, meaning, rank, example, expect) = known.map_or((Shape::Text, Meaning::Field, 0, "x", &[][..]), |known| {
        let (_, shape, meaning, rank, example, expect) = known;
        (shape.clone(), *meaning, *rank, *example, *expect)
    });
    Variable { name: name.to_owned(), shape, meaning, rank, example: example.to_owned(), expect: expect.to_vec() }
}

/// Reads the text of a `log_format`, perhaps with `escape=json` or `escape=none` in front.
pub(crate) fn log_format(text: &str) -> Result<Translated, NotationError> {
    let (escape, format) = match text.split_once(' ').filter(|(first, _)| first.starts_with("escape=")) {
        None => (Escape::Backslash, text),
        Some(("escape=default", rest)) => (Escape::Backslash, rest),
        Some(("escape=json", rest)) => (Escape::Json, rest),
        Some(("escape=none", rest)) => (Escape::None, rest),
        Some((other, _)) => {
            let hint = Some("`escape=default`, `escape=json` or `escape=none`".to_owned());
            return Err(NotationError { message: format!("unknown `{other}`"), hint });
        }
    };
    let mut items = vec![];
    let mut rest = format;
    while let Some(at) = rest.find('$') {
        items.push(Item::Literal(rest[..at].to_owned()));
        let behind = &rest[at + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = match behind.strip_prefix('{') {
            Some(braced) => {
                braced.split_once('}').ok_or_else(|| NotationError::new(format!("`${{` without `}}` in `${behind}`")))?
            }
            None => behind.split_at(behind.find(|c| !is_name(c)).unwrap_or(behind.len())),
        };
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(NotationError::new(format!("`$` without the name of a variable in front of `{after}`")));
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            // `$1` of some `location`: a text like others, but no name of a capture.
            items.push(Item::Variable(variable(&format!("capture_{name}"))));
        } else {
            items.push(Item::Variable(variable(name)));
        }
        rest = after;
    }
    items.push(Item::Literal(rest.to_owned()));
    if !items.iter().any(|item| matches!(item, Item::Variable(_))) {
        let hint = Some("such as '$remote_addr [$time_local] \"$request\" $status'".to_owned());
        return Err(NotationError { message: "a `log_format` without a variable".to_owned(), hint });
    }
    Ok(assemble(&items, escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_is_translated() {
        let got = log_format(
            r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
        );
        let got = got.unwrap();
        let expected = concat!(
            r#"(?<remote_addr>[^ "]+) \- (?<remote_user>.*?) \[(?<time_local>\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "#,
            r#""(?<request>(?:[^"\\]|\\.)*)" (?<status>\d+|-) (?<body_bytes_sent>\d+|-) "(?<http_referer>(?:[^"\\]|\\.)*)" "#,
            r#""(?<http_user_agent>(?:[^"\\]|\\.)*)""#
        );
        assert_eq!(got.regex, expected);
        let line =
            r#"192.0.2.1 - alice [21/Nov/2026:00:55:04 +0000] "GET /a?b=c HTTP/1.1" 404 512 "https://example.com/" "curl/8.0""#;
        assert_eq!(got.line, line);
        assert_eq!(got.expect["method"], "GET");
    }

    #[test]
    fn a_path_and_its_query_are_the_target() {
        let got = log_format(r#""$request_method $uri$is_args$args" $status"#).unwrap();
        assert_eq!(got.regex, r#""(?<request_method>[^ "]+) (?<url>/.*?|\*|-|)" (?<status>\d+|-)"#);
        assert_eq!((got.line.as_str(), got.expect["path"]), (r#""GET /a?b=c" 404"#, "/a"));
        let got = log_format("$uri$is_args $args").unwrap();
        assert_eq!(got.regex, r"(?<uri>/.*?|\*|-|)(?<is_args>\??) (?<args>.*)");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, message) in [
            ("no variable", "a `log_format` without a variable"),
            ("escape=xml $a", "unknown `escape=xml`"),
            ("a $ b", "`$` without the name of a variable in front of ` b`"),
            ("${a", "`${` without `}` in `${a`"),
        ] {
            assert_eq!(log_format(text).unwrap_err().message, message);
        }
    }
}
