//! Reads ArcSight's CEF and QRadar's LEEF: a head between pipes, and then `key=value`.
//!
//! ```text
//!   CEF:0|vendor|product|version|id|name|severity|src=192.0.2.1 msg=text with blanks act=deny
//!   LEEF:1.0|vendor|product|version|id|src=192.0.2.1⇥msg=text with blanks⇥action=deny
//!   LEEF:2.0|vendor|product|version|id|^|src=192.0.2.1^msg=text with blanks
//! ```
//!
//! The parts of the head have the names of CEF's dictionary. A value of CEF ends where the next key begins: the last word before an
//! equals sign without a backslash; writers that leave out the backslash get what they wrote as far as it can be told. A label names
//! the field that it belongs to: `cs1Label=Rule cs1=4711` is the field `Rule`. Inside of syslog the name of the format has become
//! that of the program, so it may be missing.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::memchr;

use super::Span;
use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::find::find1;
use super::keys::{Field, KeySet, Keys, ROOT, WHOLE};
use super::program::Failure;

/// A longer word in front of an equals sign is no key.
const MAX_KEY_BYTES: usize = 128;

/// What the two differ in.
#[derive(Clone, Copy)]
pub(super) struct Head {
    name: &'static [u8],
    parts: &'static [&'static str],
    /// The separator is a tab, or the head says it.
    is_leef: bool,
}

impl Head {
    /// The slots of the parts.
    pub(super) fn slots(self, set: &KeySet) -> Vec<u16> {
        self.parts.iter().map(|part| set.entry(ROOT, part.as_bytes()).slot).collect()
    }
}

/// CEF's.
pub(super) const CEF: Head = Head {
    name: b"CEF:",
    parts: &["version", "deviceVendor", "deviceProduct", "deviceVersion", "signatureId", "name", "severity"],
    is_leef: false,
};
/// LEEF's.
pub(super) const LEEF: Head =
    Head { name: b"LEEF:", parts: &["version", "deviceVendor", "deviceProduct", "deviceVersion", "signatureId"], is_leef: true };

/// What a record can begin with.
pub(super) fn ahead<const N: usize>(head: Head) -> Ahead<N> {
    let mut digits = ByteSet::EMPTY;
    digits.insert_range(b'0', b'9');
    let bare = Ahead::ANYTHING.behind(digits, 1);
    let named = head.name.iter().rev().fold(Ahead::ANYTHING, |behind, &byte| behind.behind(ByteSet::of(byte), 1));
    bare.union(&named)
}

/// Behind the name of the format: where the version is.
fn version(head: Head, record: &[u8]) -> Option<usize> {
    let at = if record.starts_with(head.name) { head.name.len() } else { 0 };
    let at = at + usize::from(at > 0 && record.get(at) == Some(&b' '));
    let len = record.get(at..)?.iter().take(4).position(|&byte| byte == b'|')?;
    let is_version = len > 0 && record[at..at + len].iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    is_version.then_some(at)
}

/// May the record be one?
#[inline]
pub(super) fn begins(head: Head, record: &[u8]) -> bool {
    record.first().is_some_and(|first| first.is_ascii_digit() || *first == head.name[0]) && version(head, record).is_some()
}

/// Is the byte at `at` behind an odd number of backslashes?
#[inline]
fn is_escaped(record: &[u8], at: usize) -> bool {
    record[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The pipe that ends the part of the head that begins at `at`.
fn part_end(record: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = find1(record, at, b'|');
        if at >= record.len() {
            return None;
        }
        if !is_escaped(record, at) {
            return Some(at);
        }
        at += 1;
    }
}

#[inline]
fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']')
}

#[inline]
fn is_key(key: &[u8]) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.iter().all(|&byte| is_of_key(byte))
}

/// What LEEF 2 says stands between its pairs: a byte, or its number in hexadecimal.
fn delimiter(text: &[u8]) -> Option<u8> {
    match text {
        [] => Some(b'\t'),
        [byte] => Some(*byte),
        [b'x' | b'X', hex @ ..] | [b'0', b'x' | b'X', hex @ ..] => u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok(),
        _ => None,
    }
}

/// Where the pairs begin and what is between them, none for CEF. Each part of the head is told with its number.
fn head(head: Head, record: &[u8], mut part: impl FnMut(usize, (usize, usize))) -> Result<(usize, Option<u8>), usize> {
    let mut at = version(head, record).ok_or(0usize)?;
    let is_second = head.is_leef && record[at] == b'2';
    for index in 0..head.parts.len() {
        let end = match part_end(record, at) {
            Some(end) => end,
            // An event may have nothing behind its head.
            None if index + 1 == head.parts.len() => record.len(),
            None => return Err(record.len()),
        };
        part(index, (at, end));
        at = (end + 1).min(record.len());
    }
    if !head.is_leef {
        return Ok((at, None));
    }
    if is_second
        && let Some(end) = part_end(record, at)
        && let Some(byte) = delimiter(&record[at..end])
    {
        return Ok((end + 1, Some(byte)));
    }
    Ok((at, Some(b'\t')))
}

/// The next pair of CEF at or behind `at`, where a key may begin: the key, and where its value begins.
#[inline]
fn next_key(record: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut from = at;
    loop {
        let equals = find1(record, from, b'=');
        if equals >= record.len() {
            return None;
        }
        // Equals signs are fewer than blanks: the word is looked for from its end.
        let bytes = record[at..equals].iter().rev().take(MAX_KEY_BYTES + 1).take_while(|&&byte| is_of_key(byte)).count();
        let word = equals - bytes;
        let is_word = (1..=MAX_KEY_BYTES).contains(&bytes) && (word == at || record[word - 1] == b' ');
        if is_word && !is_escaped(record, equals) {
            return Some((word, equals));
        }
        from = equals + 1;
    }
}

/// The pairs of a record: where key and value are.
struct Pairs<'a> {
    record: &'a [u8],
    /// Of LEEF.
    delimiter: Option<u8>,
    /// The key of the next pair and its equals sign.
    next: Option<(usize, usize)>,
}

impl<'a> Pairs<'a> {
    /// The pairs from `at` on; or where there is none though there is text.
    fn new(record: &'a [u8], at: usize, delimiter: Option<u8>) -> Result<Self, usize> {
        let mut pairs = Self { record, delimiter, next: None };
        let at = at + record[at..].iter().take_while(|&&byte| byte == b' ' || Some(byte) == delimiter).count();
        pairs.next = pairs.key(at);
        match pairs.next {
            Some((start, _)) if start == at => Ok(pairs),
            None if at == record.len() => Ok(pairs),
            _ => Err(at),
        }
    }

    #[inline]
    fn key(&self, at: usize) -> Option<(usize, usize)> {
        match self.delimiter {
            None => next_key(self.record, at),
            Some(_) => {
                let near = &self.record[at..self.record.len().min(at + MAX_KEY_BYTES + 1)];
                let equals = at + memchr(b'=', near)?;
                is_key(&self.record[at..equals]).then_some((at, equals))
            }
        }
    }
}

impl Iterator for Pairs<'_> {
    type Item = ((usize, usize), (usize, usize));

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (start, equals) = self.next?;
        let value = equals + 1;
        let Some(delimiter) = self.delimiter else {
            self.next = self.key(value);
            let stop = self.next.map_or(self.record.len(), |(next, _)| next).max(value);
            let text = &self.record[value..stop];
            let value = value + (text.len() - text.trim_ascii_start().len());
            return Some(((start, equals), (value, value + text.trim_ascii().len())));
        };
        // What has no key continues the value, as a delimiter in a text does.
        let mut end = value;
        loop {
            end = memchr(delimiter, &self.record[end..]).map_or(self.record.len(), |found| end + found);
            self.next = if end < self.record.len() { self.key(end + 1) } else { None };
            if self.next.is_some() || end >= self.record.len() {
                let text = &self.record[value..end];
                let behind = text.iter().rev().take_while(|&&byte| byte == delimiter).count();
                return Some(((start, equals), (value, end - behind)));
            }
            end += 1;
        }
    }
}

/// Reads a record.
pub(super) fn scan(mut keys: Keys<'_>, of: Head, record: &[u8], slots: &mut [Span]) -> Result<(), Failure> {
    let failed = |at: usize| Failure { at: at as u32, capture: None };
    slots[usize::from(WHOLE)] = Span { start: 0, end: record.len() as u32 };
    let mut set = |slot: u16, (start, end): (usize, usize)| {
        if let Some(slot) = slots.get_mut(usize::from(slot)) {
            *slot = Span { start: start as u32, end: end as u32 };
        }
    };
    let (at, delimiter) = head(of, record, |index, span| set(keys.set.head_slot(index), span)).map_err(failed)?;
    for ((start, equals), value) in Pairs::new(record, at, delimiter).map_err(failed)? {
        let entry = match keys.guess(ROOT, &record[start..]) {
            Some((len, entry)) if len == equals + 1 - start => entry,
            _ => keys.look_up(ROOT, &record[start..=equals]),
        };
        set(entry.slot, value);
    }
    Ok(())
}

/// The fields of a record that was read.
pub(super) fn fields<'a>(set: &KeySet, of: Head, record: &'a [u8], found: &mut Vec<Field<'a>>) {
    let mut push = |key: &[u8], (start, end): (usize, usize)| {
        found.push(Field { path: key.to_vec(), value: &record[start..end], quoted: false, slot: set.entry(ROOT, key).slot });
    };
    let Ok((at, delimiter)) = head(of, record, |index, span| push(of.parts[index].as_bytes(), span)) else { return };
    let Ok(pairs) = Pairs::new(record, at, delimiter) else { return };
    pairs.for_each(|((start, equals), value)| push(&record[start..equals], value));
    let labels: HashMap<Vec<u8>, Vec<u8>> = found
        .iter()
        .filter_map(|field| Some((field.path.strip_suffix(b"Label")?.to_vec(), plain(field.value).into_owned())))
        .filter(|(_, label)| !label.is_empty())
        .collect();
    if labels.is_empty() {
        return;
    }
    let is_there: Vec<Vec<u8>> = found.iter().map(|field| field.path.clone()).collect();
    let names = |field: &Field<'_>| field.path.strip_suffix(b"Label").is_some_and(|own| is_there.iter().any(|path| path == own));
    found.retain(|field| !names(field));
    for field in found {
        if let Some(label) = labels.get(&field.path) {
            field.path.clone_from(label);
        }
    }
}

/// The text without backslashes in front of `=`, `|` and themselves, and with the line ends that `\n` and `\r` stand for.
pub(super) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        let escaped = rest.get(at + 1).copied();
        match escaped {
            Some(b'n') => plain.push(b'\n'),
            Some(b'r') => plain.push(b'\r'),
            Some(byte @ (b'=' | b'|' | b'\\')) => plain.push(byte),
            // A path of Windows.
            Some(byte) => plain.extend([b'\\', byte]),
            None => plain.push(b'\\'),
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::scan::{Keyed, Matcher, PatternSet, Scratch, Syntax, Ways, check_traces};

    fn matcher(syntax: Syntax) -> Matcher {
        let captures = ["deviceVendor", "name", "src", "msg"].map(|key| (key.to_owned(), vec![key.to_owned()]));
        Matcher::Keyed(Keyed::try_new(syntax, &BTreeMap::from(captures), &BTreeMap::new()).expect("no path stands twice").into())
    }

    /// All values, by key.
    fn read(syntax: Syntax, record: &str) -> Option<BTreeMap<String, String>> {
        let matcher = matcher(syntax);
        let mut slots = vec![Span::NONE; matcher.captures().len()];
        matcher.find(record.as_bytes(), &mut slots, &mut Scratch::default()).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(&plain(bytes)).into_owned();
        let captured = matcher.captures().iter().zip(&slots).skip(1);
        let captured = captured.filter_map(|(name, span)| Some((name.to_string(), text(span.of(record.as_bytes())?))));
        let rest = matcher.as_keyed().expect("it goes by keys").rest(record.as_bytes(), None).into_iter();
        Some(captured.chain(rest.map(|field| (text(&field.path), text(field.value)))).collect())
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    const HEAD: [(&str, &str); 6] = [
        ("version", "0"),
        ("deviceVendor", "a|b"),
        ("deviceProduct", "p"),
        ("deviceVersion", "1.0"),
        ("signatureId", "100"),
        ("severity", "5"),
    ];

    #[test]
    fn values_of_cef_have_blanks_escapes_and_labels() {
        let head = "CEF:0|a\\|b|p|1.0|100|a name|5|";
        let of = |own: &[(&str, &str)]| {
            let mut all = map(&HEAD);
            all.insert("name".to_owned(), "a name".to_owned());
            all.extend(map(own));
            all
        };
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("src=192.0.2.1 msg=one two  act=x", &[("src", "192.0.2.1"), ("msg", "one two"), ("act", "x")]),
            ("msg=a\\=b \\\\ c\\nd C:\\x act=", &[("msg", "a=b \\ c\nd C:\\x")]),
            ("request=http://h/?a=b&c=d src=1", &[("request", "http://h/?a=b&c=d"), ("src", "1")]),
            ("cs1=4711 cs1Label=Rule Name cs2Label=Other", &[("Rule Name", "4711"), ("cs2Label", "Other")]),
            ("", &[]),
            ("  src= 1", &[("src", "1")]),
        ];
        for (pairs, expected) in cases {
            assert_eq!(read(Syntax::Cef, &format!("{head}{pairs}")), Some(of(expected)), "{pairs}");
        }
        assert_eq!(read(Syntax::Cef, &format!("{}src=1", &head[4..])), Some(of(&[("src", "1")])), "behind syslog's tag");
        for bad in ["CEF:0|a|b", "CEF:x|a|p|1|2|3|4|a=b", "CEF:0|a|p|1|2|3|4|no pairs", "0", "", "1 message"] {
            assert_eq!(read(Syntax::Cef, bad), None, "{bad}");
        }
    }

    #[test]
    fn leef_says_what_is_between_its_pairs() {
        let own =
            [("version", "1.0"), ("deviceVendor", "v"), ("deviceProduct", "p"), ("deviceVersion", "2"), ("signatureId", "e")];
        let all = |version: &str| {
            let mut all = map(&own);
            all.insert("version".to_owned(), version.to_owned());
            all.extend(map(&[("src", "1"), ("msg", "a b=c"), ("sev", "5")]));
            all
        };
        assert_eq!(read(Syntax::Leef, "LEEF:1.0|v|p|2|e|src=1\tmsg=a b=c\tsev=5"), Some(all("1.0")));
        assert_eq!(read(Syntax::Leef, "1.0|v|p|2|e|src=1\tmsg=a b=c\tsev=5\t"), Some(all("1.0")));
        for between in ["^", "x5E", "0x5e"] {
            let line = format!("LEEF:2.0|v|p|2|e|{between}|src=1^msg=a b=c^sev=5");
            assert_eq!(read(Syntax::Leef, &line), Some(all("2.0")), "{line}");
        }
        assert_eq!(read(Syntax::Leef, "LEEF:2.0|v|p|2|e|src=1\tmsg=a b=c\tsev=5"), Some(all("2.0")));
    }

    #[test]
    fn what_was_learned_of_keys_changes_nothing() {
        let (cef, leef) = (matcher(Syntax::Cef), matcher(Syntax::Leef));
        let set = PatternSet::new([&cef, &leef], Ways::Each);
        let lines: [&[u8]; 6] = [
            b"CEF:0|a|p|1|2|3|4|src=1 msg=a b",
            b"CEF:0|a|p|1|2|3|4|src=1 msg=a src=2",
            b"CEF:0|a|p|1|2|3|4|msg=x srcs=1",
            b"LEEF:1.0|v|p|2|e|src=1\tmsg=a",
            b"LEEF:1.0|v|p|2|e|msg=1",
            b"CEF:0|a",
        ];
        check_traces(&set, &lines);
    }

    /// The pairs of a CEF extension by its words, as the format's document says it.
    fn slowly(extension: &str) -> BTreeMap<String, String> {
        let mut pairs: Vec<(String, String)> = vec![];
        for word in extension.split(' ') {
            let equals = word.char_indices().find(|(at, c)| *c == '=' && !word[..*at].ends_with('\\'));
            match equals {
                Some((at, _)) if at > 0 => pairs.push((word[..at].to_owned(), word[at + 1..].to_owned())),
                _ => {
                    let Some((_, value)) = pairs.last_mut() else { continue };
                    value.push(' ');
                    value.push_str(word);
                }
            }
        }
        pairs
            .into_iter()
            .map(|(key, value)| (key, value.trim().replace("\\=", "=")))
            .filter(|(_, value)| !value.is_empty() && value != "-")
            .collect()
    }

    /// The pairs of LEEF by its pieces: one without a key belongs to the value before it.
    fn slowly_leef(extension: &str, between: char) -> BTreeMap<String, String> {
        let mut pairs: Vec<(String, String)> = vec![];
        for piece in extension.split(between) {
            match piece.split_once('=').filter(|(key, _)| is_key(key.as_bytes())) {
                Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
                None => {
                    let (_, value) = pairs.last_mut().expect("the first piece is a pair");
                    value.push(between);
                    value.push_str(piece);
                }
            }
        }
        let pairs = pairs.into_iter().map(|(key, value)| (key, value.trim_end_matches(between).to_owned()));
        let mut all: BTreeMap<String, String> = pairs.collect();
        all.retain(|_, value| !value.is_empty() && value != "-");
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn extensions_are_worth_what_their_words_say(words in prop::collection::vec(
            prop::sample::select(vec!["src=1", "msg=a", "x=", "b", "c\\=d", "", "dst=2", "e", "msg=z\\="]), 0..8,
        )) {
            let extension = format!("first=1 {}", words.join(" "));
            let mut all = read(Syntax::Cef, &format!("CEF:0|v|p|1|2|3|4|{extension}")).expect("CEF");
            for (head, _) in HEAD.iter().chain(&[("name", "")]) {
                all.remove(*head);
            }
            all.retain(|_, value| !value.is_empty());
            prop_assert_eq!(all, slowly(&extension), "{}", extension);
        }

        #[test]
        fn pairs_of_leef_are_worth_what_their_pieces_say(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["src=1", "msg=a b", "x=1", "b", "c=d=e", "", "sev=5", "no key=2", "msg=z=", "-", "=", "msg="]), 0..8,
            ),
            delimiter in prop::sample::select(vec![("", '\t'), ("^|", '^'), ("x7C|", '|'), ("0x3b|", ';')]),
        ) {
            let (named, between) = delimiter;
            let extension = format!("first=1{between}{}", pieces.join(&between.to_string()));
            let version = if named.is_empty() { "1.0" } else { "2.0" };
            let line = format!("LEEF:{version}|v|p|2|e|{named}{extension}");
            let mut all = read(Syntax::Leef, &line).expect("LEEF");
            for (head, _) in HEAD {
                all.remove(head);
            }
            all.retain(|_, value| !value.is_empty() && value != "-");
            prop_assert_eq!(all, slowly_leef(&extension, between), "{:?}", line);
        }
    }
}
