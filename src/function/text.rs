//! Text: what must not leave the house is blacked out; `key=value` is looked up.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use arrow::datatypes::DataType;
use regex::{Captures, Regex};

use super::{Function, Kind, arg, texts};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "redact",
        args: &[arg("text", Kind::Text)],
        about: "the text without addresses, e-mail addresses, passwords, tokens and card numbers",
        example: "redact('login of a@example.com from 192.0.2.7') → login of [email] from [ip]",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|text| text.map(redact))),
    },
    Function {
        name: "key_value",
        args: &[arg("text", Kind::Text), arg("key", Kind::Text)],
        about: "value of `key=value` in a text, without its quotes",
        example: "key_value('level=warn msg=\"disk full\"', 'msg') → disk full",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().zip(args.text(1)).map(|(text, key)| key_value(text?, key?))),
    },
];

/// What is secret, by its looks. A pattern of names comes first, since what stands behind `password=` is one, whatever it is.
///
/// Classes are of ASCII: those of Unicode make an automaton so large that the regex crate searches without one, at a fortieth of the speed.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let parts = [
        r#"(?P<keep>(?i-u:passw(?:or)?d|passwd|pwd|secret|[a-z_-]*token|api[_-]?key|authorization|session_?id|phpsessid|jsessionid)["']?[ \t\r\n]*[=:][ \t\r\n]*["']?(?i-u:(?:bearer|basic|digest)[ \t\r\n]+)?|(?i-u:bearer|basic)[ \t\r\n]+|://[^/\s:@]*:)(?P<secret>[^\s"'&;,@]+)"#,
        r"(?P<token>\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[a-z]_[0-9A-Za-z_]{20,}|\bgithub_pat_[0-9A-Za-z_]{20,}|\bxox[a-z]-[0-9A-Za-z_-]{10,}|\bsk-[0-9A-Za-z_-]{20,})",
        r"(?P<email>[0-9A-Za-z_\u{80}-\u{10FFFF}.+%-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
        r"(?P<mac>\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b)",
        r"(?P<ip>\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)",
        r"(?P<card>\b[0-9](?:[ -]?[0-9]){12,18}\b)",
    ];
    Regex::new(&parts.join("|").replace(r"\b", r"(?-u:\b)")).expect("written here, and tested")
});

fn redact(text: &str) -> Cow<'_, str> {
    SECRET.replace_all(text, |found: &Captures<'_>| {
        let all = &found[0];
        let keep = |is: bool, mark: &str| if is { mark.to_owned() } else { all.to_owned() };
        if let Some(before) = found.name("keep") {
            return format!("{}[secret]", before.as_str());
        }
        match ["token", "email", "mac", "ip", "card"].into_iter().find(|name| found.name(name).is_some()) {
            // A clock has colons too, and a version has dots.
            Some("ip") => keep(all.parse::<IpAddr>().is_ok(), "[ip]"),
            Some("card") => keep(is_card(all), "[card]"),
            Some(name) => format!("[{name}]"),
            None => all.to_owned(),
        }
    })
}

/// The checksum of Luhn, which card numbers have and most other numbers don't.
fn is_card(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits.enumerate().map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}

/// The value behind `key=`, where the key is a word of its own.
fn key_value<'a>(text: &'a str, key: &str) -> Option<Cow<'a, str>> {
    if key.is_empty() {
        return None;
    }
    let mut from = 0;
    while let Some(found) = text[from..].find(key) {
        let at = from + found;
        let before = text[..at].chars().next_back();
        let is_word = before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
        if let Some(value) = text[at + key.len()..].strip_prefix('=')
            && is_word
        {
            return Some(value_at(value));
        }
        from = at + key.len();
    }
    None
}

/// The value that a text begins with: up to its quote, or to a blank or a comma.
fn value_at(text: &str) -> Cow<'_, str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let end = text.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).unwrap_or(text.len());
        return Cow::Borrowed(&text[..end]);
    };
    let inside = &text[1..];
    let mut out = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote && out.len() == at => return Cow::Borrowed(&inside[..at]),
            c if c == quote => return Cow::Owned(out),
            c => out.push(c),
        }
    }
    // Nothing closes it: a message that was cut.
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_blacked_out_and_the_rest_stays() {
        for (text, expected) in [
            ("from 192.0.2.7 at 10:20:30, v1.2.3.400", "from [ip] at 10:20:30, v1.2.3.400"),
            ("via 2001:db8::1 and ::1", "via [ip] and [ip]"),
            ("mail to <a.b+c@mail.example.com>", "mail to <[email]>"),
            ("GET /?token=abc123&x=1", "GET /?token=[secret]&x=1"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
            ("postgres://app:hunter2@db/x", "postgres://app:[secret]@db/x"),
            ("{\"password\": \"p w\"}", "{\"password\": \"[secret] w\"}"),
            ("card 4111 1111 1111 1111 order 4111 1111 1111 1112", "card [card] order 4111 1111 1111 1112"),
            ("key AKIAIOSFODNN7EXAMPLE of 52:54:00:12:34:56", "key [token] of [mac]"),
            ("nothing to see", "nothing to see"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn a_value_is_found_by_its_whole_key() {
        let text = "level=warn msg=\"disk \\\"a\\\" full\" sub.id=7 id=8, empty= last='x y'";
        for (key, value) in [
            ("level", Some("warn")),
            ("msg", Some("disk \"a\" full")),
            ("id", Some("8")),
            ("sub.id", Some("7")),
            ("empty", Some("")),
            ("last", Some("x y")),
            ("evel", None),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(key_value(text, key).as_deref(), value, "{key}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in any::<String>(), key in "[a-zé=\"]{0,3}", odd in "([a-z=\"'\\\\é:.@ ]|key=|::|\\d){0,40}") {
            let _ = (redact(&text), redact(&odd), key_value(&text, &key), key_value(&odd, "key"));
        }

        #[test]
        fn an_address_never_stays(a in any::<u32>(), b in any::<u128>()) {
            let (four, six) = (IpAddr::from(a.to_be_bytes()), IpAddr::from(b.to_be_bytes()));
            let text = format!("from {four} to {six} end");
            prop_assert_eq!(redact(&text), "from [ip] to [ip] end");
        }
    }
}
