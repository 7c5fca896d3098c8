//! Templates of messages: what the program wrote stays, what it filled in becomes a mark.
//!
//! ```text
//!   Failed password for root from 192.0.2.7 port 55212 ssh2
//!   Failed password for root from <ip> port <num> ssh<num>          log_template
//!                                 192.0.2.7  55212    2             log_params
//! ```
//!
//! Drain and its kin keep a tree of the messages that they have seen and generalise where those differ. Their templates depend on
//! what came before, so two runs, two files or two machines give one message two templates, and a new template may only be an
//! old one that was met in another order. Here each message is looked at by itself: a template and its id are the same today, tomorrow and on
//! every machine, so they can be counted, compared and alerted on, in parallel and without memory. The price is that a variable
//! that looks like a word (a user, a host) stays.
//!
//! | mark | what |
//! |---|---|
//! | `<url>` `<email>` `<path>` | `https://…`, `a@b.c`, `/var/log/x`, `C:\x` |
//! | `<ip>` `<mac>` `<uuid>` | addresses (a port behind one is `<num>`), ids |
//! | `<time>` | dates and clocks |
//! | `<hex>` | `0x…`, and 8 or more hex digits with a figure and a letter among them |
//! | `<num>` | numbers, also as a part of a word: `eth<num>`, `<num>ms` |
//! | `<str>` | what stands between quotes, which stay |

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result as DfResult;

use super::{Arg, Args, Function, Kind, arg, texts};
use crate::source::stable_hash;

const MESSAGE: &[Arg] = &[arg("message", Kind::Text)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "log_template",
        args: MESSAGE,
        about: "the message with numbers, addresses, ids, paths and quoted text as marks; the same in every run",
        example: "log_template('port 22 of 192.0.2.7 closed') → port <num> of <ip> closed",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|message| message.map(template))),
    },
    Function {
        name: "log_params",
        args: MESSAGE,
        about: "what log_template replaced, in order",
        example: "log_params('port 22 of 192.0.2.7 closed') → [22, 192.0.2.7]",
        returns: || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true))),
        run: log_params,
    },
    Function {
        name: "template_id",
        args: MESSAGE,
        about: "id of the message's template, the same in every run and on every machine",
        example: "template_id('port 22 closed') = template_id('port 80 closed') → true",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|message| message.map(template_id))),
    },
];

fn log_params(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut out = ListBuilder::new(StringViewBuilder::new());
    for message in args.text(0) {
        if let Some(message) = message {
            for (range, _) in variables(message) {
                out.values().append_value(&message[range]);
            }
        }
        out.append(message.is_some());
    }
    Ok(Arc::new(out.finish()))
}

fn template(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut done = 0;
    for (range, mark) in variables(message) {
        out.push_str(&message[done..range.start]);
        out.push_str(mark);
        done = range.end;
    }
    out.push_str(&message[done..]);
    out
}

fn template_id(message: &str) -> String {
    format!("{:016x}", stable_hash(template(message).as_bytes()))
}

/// The variable parts of a message, in order and apart, each with its mark. All ends are at ASCII characters, so they are
/// boundaries.
pub(crate) fn variables(message: &str) -> Vec<(Range<usize>, &'static str)> {
    let bytes = message.as_bytes();
    let mut found = vec![];
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = quoted(bytes, at) {
            if end > at + 2 {
                found.push((at + 1..end - 1, "<str>"));
            }
            at = end;
        } else if is_delimiter(bytes[at]) {
            at += 1;
        } else {
            let mut end = until(bytes, at, is_delimiter);
            let word = &message[at..end];
            if word.contains("://") || (word.starts_with('/') && word.len() > 1) {
                end = until(bytes, end, |byte| byte != b'=' && is_delimiter(byte));
            }
            token(message, at..end, &mut found);
            at = end;
        }
    }
    found
}

fn until(bytes: &[u8], at: usize, is_end: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|byte| is_end(*byte)).map_or(bytes.len(), |length| at + length)
}

/// What stands between words. Not `:`, `/`, `.`, `-`, `@`: they are inside of addresses, paths and times.
fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'`()[]{}<>,;=|".contains(&byte)
}

/// The end of the quoted text that begins here. An apostrophe inside of a word is none.
fn quoted(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = bytes[at];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] >= 0x80);
    if !matches!(quote, b'"' | b'\'' | b'`') || (quote == b'\'' && in_word) {
        return None;
    }
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            // An escaped character, which may be a quote; what follows in it is no ASCII and so no quote.
            b'\\' => end += 1,
            byte if byte == quote => return Some(end + 1),
            _ => {}
        }
        end += 1;
    }
    None
}

/// The variables of a word.
fn token(message: &str, range: Range<usize>, found: &mut Vec<(Range<usize>, &'static str)>) {
    // A full stop or a colon behind a word belongs to the sentence.
    let end = range.start + message[range.clone()].trim_end_matches(['.', ':', '!', '?']).len();
    let (start, text) = (range.start, &message[range.start..end]);
    if let Some(mark) = whole(text) {
        found.push((start..end, mark));
        return;
    }
    // `192.0.2.7:443`, `192.0.2.0/24`, `192.0.2.7#53`
    if let Some((address, port)) = text.rsplit_once([':', '/', '#'])
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && address.parse::<IpAddr>().is_ok()
    {
        found.push((start..start + address.len(), "<ip>"));
        found.push((end - port.len()..end, "<num>"));
        return;
    }
    runs(text.as_bytes(), start, found);
}

/// The mark of a word that is a variable as a whole.
fn whole(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    if text.contains("://") {
        return Some("<url>");
    }
    if (first == b'/' || text.starts_with("~/")) && bytes.len() > 1
        || (bytes.len() > 2 && first.is_ascii_alphabetic() && bytes[1..3] == *b":\\")
    {
        return Some("<path>");
    }
    if let Some((user, host)) = text.split_once('@')
        && !user.is_empty()
        && host.contains('.')
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    {
        return Some("<email>");
    }
    let (colons, dashes) = (count(bytes, b':'), count(bytes, b'-'));
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    if dashes == 4
        && bytes.len() == 36
        && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && bytes.iter().all(|b| is_hex(b) || *b == b'-')
    {
        return Some("<uuid>");
    }
    if bytes.len() == 17
        && (colons == 5 || dashes == 5)
        && text.split([':', '-']).all(|part| part.len() == 2 && part.bytes().all(|b| is_hex(&b)))
    {
        return Some("<mac>");
    }
    let is_clock = |byte: &u8| byte.is_ascii_digit() || b":-/.+TZ".contains(byte);
    if first.is_ascii_digit() && bytes.iter().all(is_clock) && (colons >= 2 || dashes >= 2 || count(bytes, b'/') == 2) {
        return Some("<time>");
    }
    // Before the more costly look: an address has figures, and `:` or three dots.
    if (colons >= 2 || count(bytes, b'.') == 3) && text.parse::<IpAddr>().is_ok() {
        return Some("<ip>");
    }
    None
}

fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().filter(|byte| **byte == wanted).count()
}

/// The numbers of a word that is a variable in parts.
fn runs(bytes: &[u8], start: usize, found: &mut Vec<(Range<usize>, &'static str)>) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(&bytes[at]) {
            at += 1;
            continue;
        }
        let end = until(bytes, at, |byte| !is_word(&byte));
        if is_hex_number(&bytes[at..end]) {
            found.push((start + at..start + end, "<hex>"));
            at = end;
            continue;
        }
        while at < end {
            if !bytes[at].is_ascii_digit() {
                at += 1;
                continue;
            }
            let from = at;
            at = number_end(bytes, at);
            found.push((start + from..start + at, "<num>"));
        }
    }
}

/// The end of a number: figures, and single dots, commas or colons between them.
fn number_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(digit), _) if digit.is_ascii_digit() => at += 1,
            (Some(b'.' | b':'), Some(digit)) if digit.is_ascii_digit() => at += 1,
            _ => return at,
        }
    }
}

fn is_hex_number(run: &[u8]) -> bool {
    if let Some(digits) = run.strip_prefix(b"0x").or_else(|| run.strip_prefix(b"0X")) {
        return !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    }
    run.len() >= 8
        && run.iter().all(u8::is_ascii_hexdigit)
        && run.iter().any(u8::is_ascii_digit)
        && run.iter().any(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn constants_stay_and_variables_are_marked() {
        for (message, expected) in [
            ("Failed password for root from 192.0.2.7 port 55212 ssh2", "Failed password for root from <ip> port <num> ssh<num>"),
            (
                "connect to [2001:db8::1]:443 failed (111: Connection refused)",
                "connect to [<ip>]:<num> failed (<num>: Connection refused)",
            ),
            ("open() \"/srv/www/a b\" failed, client: 192.0.2.7:80.", "open() \"<str>\" failed, client: <ip>:<num>."),
            ("wrote 12.5ms to /var/lib/x/1.db in eth0", "wrote <num>ms to <path> in eth<num>"),
            ("it's done at 2026-11-21T00:55:04.123Z, isn't it", "it's done at <time>, isn't it"),
            ("job 550e8400-e29b-41d4-a716-446655440000 of a@example.com", "job <uuid> of <email>"),
            ("lease 52:54:00:12:34:56 id deadbeef01 at 0xffff", "lease <mac> id <hex> at <hex>"),
            ("GET https://example.com/x?y=1 user=7 net 10.0.0.0/8", "GET <url> user=<num> net <ip>/<num>"),
            ("Größe 7µs über größe2", "Größe <num>µs über größe<num>"),
            ("deceased beadfeed", "deceased beadfeed"),
            ("a 'quote \\' inside' and an 'open one", "a '<str>' and an 'open one"),
            ("", ""),
        ] {
            assert_eq!(template(message), expected);
        }
    }

    #[test]
    fn an_id_is_the_same_for_ever() {
        assert_eq!(template_id("port 22 closed"), "356347012a714cec");
    }

    proptest! {
        #[test]
        fn template_and_parameters_are_the_message(message in "([a-c9:/.@\"'\\\\=é\u{1F600} -]|0x|::1|10\\.0\\.0\\.1){0,40}") {
            let variables = variables(&message);
            let mut end = 0;
            let mut rebuilt = template(&message);
            for (range, mark) in variables {
                prop_assert!(end <= range.start && range.start < range.end);
                end = range.end;
                // No constant of this alphabet looks like a mark.
                rebuilt = rebuilt.replacen(mark, &message[range], 1);
            }
            prop_assert_eq!(rebuilt, message);
        }

        #[test]
        fn no_message_is_too_odd(message in any::<String>()) {
            prop_assert!(template(&message).len() <= message.len() * 6);
        }
    }
}
