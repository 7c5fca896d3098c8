//! Reads one JSON object: where its values are, and whether all of it is JSON (RFC 8259).
//!
//! One pass over the bytes, with a stack of its own. Texts are passed over by a bit plane of the bytes that may end them.
//! Numbers are checked by their grammar and not by their size. Texts are not checked to be UTF-8, and half of a surrogate
//! pair may stand alone: logs hold what programs wrote, and decoding has an answer to both.

use std::borrow::Cow;

use super::Span;
use super::byteset::ByteSet;
use super::find::find2;
use super::keys::{Entry, Field, KeySet, Keys, NONE, ROOT, WHOLE};
use super::program::Failure;

/// Objects and arrays inside of each other at most, the outermost one included.
pub(super) const MAX_DEPTH: usize = 127;
/// A path that is longer is not made longer: an object there is one field. Many members with a long path in front of each
/// would be far more bytes than the record has.
const MAX_PATH: usize = 128;
/// In the place of an item's number: not an array.
const OBJECT: u32 = u32::MAX;

/// An object or array that is being read.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// The keys that are wanted inside.
    node: u16,
    /// The slot of all of it.
    slot: u16,
    start: u32,
    /// The number of the item, or [`OBJECT`].
    index: u32,
}

#[inline(always)]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[inline(always)]
fn blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&byte| is_blank(byte)) {
        at += 1;
    }
    at
}

/// The bytes that may end a text.
pub(super) fn text_ends() -> ByteSet {
    let mut set = ByteSet::of(b'"').union(ByteSet::of(b'\\'));
    set.insert_range(0, b' ' - 1);
    set
}

/// The first quote, backslash or control character at or behind `at`, or the length.
pub(super) fn end_of_text(text: &[u8], at: usize) -> usize {
    let end = find2(text, at.min(text.len()), b'"', b'\\');
    text[at.min(end)..end].iter().position(|&byte| byte < b' ').map_or(end, |control| at + control)
}

/// The closing quote of the text that begins at `at`, behind its quote, and whether it has escapes; or where it is no text.
#[inline(always)]
fn closing_quote(text: &[u8], at: usize, ends: impl Fn(usize) -> usize) -> Result<(usize, bool), usize> {
    let end = ends(at);
    if text.get(end) == Some(&b'"') { Ok((end, false)) } else { escaped_end(text, end, ends) }
}

#[cold]
#[inline(never)]
fn escaped_end(text: &[u8], mut at: usize, ends: impl Fn(usize) -> usize) -> Result<(usize, bool), usize> {
    loop {
        match text.get(at) {
            Some(b'"') => return Ok((at, true)),
            Some(b'\\') => match text.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') => {
                    let digits = text.get(at + 2..at + 6).ok_or(text.len())?;
                    if let Some(bad) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
                        return Err(at + 2 + bad);
                    }
                    at += 6;
                }
                _ => return Err(at + 1),
            },
            _ => return Err(at),
        }
        at = ends(at);
    }
}

/// Behind the number that begins at `at`, or where it is none.
#[inline]
fn number_end(text: &[u8], mut at: usize) -> Result<usize, usize> {
    let digits = |mut at: usize| {
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let some = |from: usize| Some(digits(from)).filter(|&end| end > from).ok_or(from);
    at += usize::from(text.get(at) == Some(&b'-'));
    at = if text.get(at) == Some(&b'0') { at + 1 } else { some(at)? };
    if text.get(at) == Some(&b'.') {
        at = some(at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at = some(at)?;
    }
    Ok(at)
}

/// Behind `true`, `false`, `null` or a number, or where it is none of these.
#[inline]
fn scalar_end(text: &[u8], at: usize) -> Result<usize, usize> {
    let word: &[u8] = match text.get(at) {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        _ => return number_end(text, at),
    };
    let same = text[at..].iter().zip(word).take_while(|(a, b)| a == b).count();
    if same == word.len() { Ok(at + same) } else { Err(at + same) }
}

/// Reads a record. `ends` gives what [`end_of_text`] does.
pub(super) fn scan(
    mut keys: Keys<'_>,
    text: &[u8],
    slots: &mut [Span],
    frames: &mut Vec<Frame>,
    ends: impl Fn(usize) -> usize,
) -> Result<(), Failure> {
    frames.clear();
    let mut at = blanks(text, 0);
    let failed = |at: usize, slot: u16| Failure { at: at.min(text.len()) as u32, capture: Some(slot).filter(|&s| s != NONE) };
    if text.get(at) != Some(&b'{') {
        return Err(failed(at, NONE));
    }
    let mut frame = Frame { node: ROOT, slot: WHOLE, start: at as u32, index: OBJECT };
    at = blanks(text, at + 1);
    // Whether the frame is empty and ends here.
    let mut is_over = text.get(at) == Some(&b'}');
    loop {
        if !is_over {
            let entry = if frame.index == OBJECT {
                let entry = key(&mut keys, text, &mut at, frame.node, &ends).map_err(|at| failed(at, NONE))?;
                at = blanks(text, at);
                if text.get(at) != Some(&b':') {
                    return Err(failed(at, entry.slot));
                }
                at = blanks(text, at + 1);
                entry
            } else {
                keys.set.item(frame.node, frame.index)
            };
            match text.get(at) {
                Some(b'"') => {
                    let (end, _) = closing_quote(text, at + 1, &ends).map_err(|at| failed(at, entry.slot))?;
                    if let Some(slot) = slots.get_mut(usize::from(entry.slot)) {
                        *slot = Span { start: at as u32 + 1, end: end as u32 };
                    }
                    at = end + 1;
                }
                Some(open @ (b'{' | b'[')) => {
                    if frames.len() + 1 >= MAX_DEPTH {
                        return Err(failed(at, entry.slot));
                    }
                    frames.push(frame);
                    let index = if *open == b'{' { OBJECT } else { 0 };
                    frame = Frame { node: entry.node, slot: entry.slot, start: at as u32, index };
                    at = blanks(text, at + 1);
                    is_over = text.get(at) == Some(&(open + 2));
                    continue;
                }
                _ => {
                    let end = scalar_end(text, at).map_err(|at| failed(at, entry.slot))?;
                    if let Some(slot) = slots.get_mut(usize::from(entry.slot)) {
                        let is_null = text[at] == b'n';
                        *slot = if is_null { Span::NONE } else { Span { start: at as u32, end: end as u32 } };
                    }
                    at = end;
                }
            }
        }
        // Behind a value.
        loop {
            at = blanks(text, at);
            let close = if frame.index == OBJECT { b'}' } else { b']' };
            match text.get(at) {
                Some(b',') if !is_over => {
                    frame.index = frame.index.saturating_add(u32::from(frame.index < OBJECT - 1));
                    at = blanks(text, at + 1);
                    break;
                }
                Some(&byte) if byte == close => {
                    at += 1;
                    is_over = false;
                    if let Some(slot) = slots.get_mut(usize::from(frame.slot)) {
                        *slot = Span { start: frame.start, end: at as u32 };
                    }
                    match frames.pop() {
                        Some(outer) => frame = outer,
                        None => {
                            at = blanks(text, at);
                            return if at == text.len() { Ok(()) } else { Err(failed(at, NONE)) };
                        }
                    }
                }
                _ => return Err(failed(at, frame.slot)),
            }
        }
    }
}

/// Reads the key at `at`, with its quotes, and says what is known of it.
#[inline(always)]
fn key(keys: &mut Keys<'_>, text: &[u8], at: &mut usize, node: u16, ends: &impl Fn(usize) -> usize) -> Result<Entry, usize> {
    if text.get(*at) != Some(&b'"') {
        return Err(*at);
    }
    let start = *at + 1;
    if node == NONE {
        *at = closing_quote(text, start, ends)?.0 + 1;
        return Ok(Entry::NONE);
    }
    if let Some((len, entry)) = keys.guess(node, &text[start..]) {
        *at = start + len;
        return Ok(entry);
    }
    let (end, is_escaped) = closing_quote(text, start, ends)?;
    *at = end + 1;
    if is_escaped {
        return Ok(keys.set.entry(node, &unescape(&text[start..end])));
    }
    Ok(keys.look_up(node, &text[start..=end]))
}

/// Undoes the escapes of JSON, and those that Go's logfmt writes beside them (`\a`, `\v`, `\xhh`, `\Uhhhhhhhh`).
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    let hex = |from: usize, count: usize| {
        let digits = text.get(from..from + count)?;
        digits.iter().try_fold(0u32, |number, &digit| Some(number << 4 | (digit as char).to_digit(16)?))
    };
    while at < text.len() {
        let next = memchr::memchr(b'\\', &text[at..]).map_or(text.len(), |found| at + found);
        plain.extend_from_slice(&text[at..next]);
        at = next + 2;
        let code = match text.get(next + 1) {
            Some(b'n') => Some(u32::from(b'\n')),
            Some(b't') => Some(u32::from(b'\t')),
            Some(b'r') => Some(u32::from(b'\r')),
            Some(b'b') => Some(8),
            Some(b'f') => Some(12),
            Some(b'a') => Some(7),
            Some(b'v') => Some(11),
            Some(&plain @ (b'"' | b'\\' | b'/' | b'\'')) => Some(u32::from(plain)),
            Some(b'x') => {
                // A byte, not a character.
                if let Some(byte) = hex(next + 2, 2) {
                    plain.push(byte as u8);
                    at = next + 4;
                    continue;
                }
                None
            }
            Some(b'u') => match hex(next + 2, 4) {
                Some(high @ 0xD800..=0xDBFF) => {
                    let low = if text[next + 6..].starts_with(b"\\u") { hex(next + 8, 4) } else { None };
                    match low {
                        Some(low @ 0xDC00..=0xDFFF) => {
                            at = next + 12;
                            Some(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
                        }
                        _ => {
                            at = next + 6;
                            Some(high)
                        }
                    }
                }
                code => {
                    at = next + 6;
                    code
                }
            },
            Some(b'U') => {
                at = next + 10;
                hex(next + 2, 8)
            }
            _ => None,
        };
        match code {
            // Half of a pair is no character.
            Some(code) => {
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            // Not an escape: it is text, or the end of it.
            None if next < text.len() => {
                plain.push(b'\\');
                at = next + 1;
            }
            None => {}
        }
    }
    plain
}

/// The text without escapes.
pub(crate) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_some() { Cow::Owned(unescape(text)) } else { Cow::Borrowed(text) }
}

/// The fields of a record that was read: objects by their keys, arrays and what has one of the first slots as a whole.
pub(super) fn fields<'a>(set: &KeySet, captured: usize, record: &'a [u8], found: &mut Vec<Field<'a>>) {
    let start = blanks(record, 0) + 1;
    let mut walk = Walk { set, captured, record, at: start, path: None, found };
    walk.object(ROOT);
}

/// Goes through a record that is known to be JSON; what is not ends the walk.
struct Walk<'a, 'b> {
    set: &'b KeySet,
    captured: usize,
    record: &'a [u8],
    at: usize,
    /// Of the object that is being read; none for the outermost one.
    path: Option<Vec<u8>>,
    found: &'b mut Vec<Field<'a>>,
}

impl Walk<'_, '_> {
    fn skip_blanks(&mut self) {
        self.at = blanks(self.record, self.at);
    }

    fn text(&mut self) -> Option<(usize, usize)> {
        let start = self.at + 1;
        let (end, _) = closing_quote(self.record, start, |at| end_of_text(self.record, at)).ok()?;
        self.at = end + 1;
        Some((start, end))
    }

    /// The members of the object whose brace is behind us. It is read no deeper than it was found to be.
    fn object(&mut self, node: u16) -> Option<()> {
        loop {
            self.skip_blanks();
            if self.record.get(self.at) == Some(&b',') {
                self.at += 1;
                self.skip_blanks();
            }
            if self.record.get(self.at) != Some(&b'"') {
                self.at += 1;
                return Some(());
            }
            let (start, end) = self.text()?;
            let key = plain(&self.record[start..end]);
            let entry = self.set.entry(node, &key);
            self.skip_blanks();
            self.at += 1;
            self.skip_blanks();
            let outer = self.path.take();
            self.path = Some(outer.as_ref().map_or_else(|| key.to_vec(), |outer| [outer, &b"."[..], &key].concat()));
            self.value(entry)?;
            self.path = outer;
        }
    }

    fn value(&mut self, entry: Entry) -> Option<()> {
        let start = self.at;
        let (value, quoted) = match self.record.get(start)? {
            b'"' => {
                let (start, end) = self.text()?;
                ((start, end), true)
            }
            b'{' if usize::from(entry.slot) >= self.captured && self.path.as_ref().is_none_or(|path| path.len() <= MAX_PATH) => {
                self.at += 1;
                return self.object(entry.node);
            }
            b'{' | b'[' => {
                self.skip_container()?;
                ((start, self.at), false)
            }
            _ => {
                self.at = scalar_end(self.record, start).ok()?;
                ((start, self.at), false)
            }
        };
        let value = &self.record[value.0..value.1];
        if quoted || value != b"null" {
            // The caller puts back the path of the object.
            let path = self.path.take().unwrap_or_default();
            self.found.push(Field { path, value, quoted, slot: entry.slot });
        }
        Some(())
    }

    fn skip_container(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            match self.record.get(self.at)? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt;

    use proptest::prelude::*;
    use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
    use serde_json::Value;

    use super::*;
    use crate::scan::{Keyed, Matcher, PatternSet, Scratch, Syntax, Ways, check_traces};

    /// All values of a document with their paths, in the order in which they end, by serde_json.
    struct Flatten<'a> {
        path: String,
        is_outermost: bool,
        all: &'a mut Vec<(String, Value)>,
    }

    impl Flatten<'_> {
        fn leaf(self, value: Value) -> Value {
            if !self.is_outermost {
                self.all.push((self.path, value.clone()));
            }
            value
        }

        fn inner(&mut self, key: &str) -> Flatten<'_> {
            let path = if self.is_outermost { key.to_owned() } else { format!("{}.{key}", self.path) };
            Flatten { path, is_outermost: false, all: self.all }
        }
    }

    impl<'de> DeserializeSeed<'de> for Flatten<'_> {
        type Value = Value;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }

    impl<'de> Visitor<'de> for Flatten<'_> {
        type Value = Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E: Error>(self) -> Result<Value, E> {
            Ok(self.leaf(Value::Null))
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
            Ok(self.leaf(value.into()))
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
            Ok(self.leaf(value.into()))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
            Ok(self.leaf(value.into()))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
            Ok(self.leaf(value.into()))
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
            Ok(self.leaf(value.into()))
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
            let mut values = vec![];
            while let Some(value) = items.next_element_seed(self.inner(&values.len().to_string()))? {
                values.push(value);
            }
            Ok(self.leaf(values.into()))
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
            let mut map = serde_json::Map::new();
            while let Some(key) = members.next_key::<String>()? {
                let value = members.next_value_seed(self.inner(&key))?;
                map.insert(key, value);
            }
            Ok(self.leaf(map.into()))
        }
    }

    /// What serde_json says: all values, that it is no object, or nothing where it refuses what is JSON.
    fn oracle(text: &[u8]) -> Option<Option<Vec<(String, Value)>>> {
        let mut all = vec![];
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let seed = Flatten { path: String::new(), is_outermost: true, all: &mut all };
        let result = seed.deserialize(&mut deserializer).and_then(|whole| deserializer.end().map(|()| whole));
        match result {
            // Sizes of numbers, halves of pairs and UTF-8 are not ours to judge.
            Err(error) if ["range", "surrogate", "unicode", "hex"].iter().any(|what| error.to_string().contains(what)) => None,
            Err(_) => Some(None),
            Ok(whole) => Some(whole.is_object().then_some(all)),
        }
    }

    fn is_same(value: &[u8], is_quoted: bool, expected: &Value) -> bool {
        if is_quoted {
            return expected.as_str().is_some_and(|text| text.as_bytes() == unescape(value));
        }
        !expected.is_string() && serde_json::from_slice::<Value>(value).is_ok_and(|value| value == *expected)
    }

    const PATHS: &[&str] = &["a", "b", "a.b", "a.b.c", "b.0", "b.1.a", "c.c", "a\"b", "é", "a.0", "x.y.z", "0"];

    fn keyed(paths: &[&str]) -> Keyed {
        let captures: BTreeMap<String, Vec<String>> =
            paths.iter().map(|path| (format!("capture_{path}"), vec![(*path).to_owned()])).collect();
        Keyed::try_new(Syntax::Json, &captures, &BTreeMap::new()).expect("no path stands twice")
    }

    fn agree_with_serde_json(matcher: &Matcher, text: &[u8]) {
        let keyed = matcher.as_keyed().expect("it goes by keys");
        let Some(expected) = oracle(text) else { return };
        let mut slots = vec![Span::NONE; matcher.captures().len()];
        let found = matcher.find(text, &mut slots, &mut Scratch::default());
        let shown = text.escape_ascii().to_string();
        assert_eq!(found.is_ok(), expected.is_some(), "{found:?} on {shown}");
        let Some(all) = expected else { return };
        let last = |path: &str| all.iter().rev().find(|(other, _)| other == path).map(|(_, value)| value);
        for (name, span) in matcher.captures().iter().zip(&slots).skip(1) {
            let expected = last(&name["capture_".len()..]).filter(|value| !value.is_null());
            let is_quoted = span.start.checked_sub(1).is_some_and(|before| text.get(before as usize) == Some(&b'"'));
            match (span.of(text), expected) {
                (None, None) => {}
                (Some(value), Some(expected)) => assert!(is_same(value, is_quoted, expected), "{name} on {shown}"),
                (got, expected) => panic!("{name} is {got:?} and not {expected:?} on {shown}"),
            }
        }
        let mut rest = BTreeMap::new();
        for field in keyed.rest(text, None) {
            rest.insert(String::from_utf8(field.path).expect("UTF-8"), (field.value, field.quoted));
        }
        for (path, (value, is_quoted)) in &rest {
            // An item of an array has no field of its own, but may have the path of one.
            let is_there = all.iter().any(|(other, expected)| other == path && is_same(value, *is_quoted, expected));
            assert!(is_there, "{path} on {shown}");
        }
        // Without captures, what is no field is nothing, or inside of one.
        for (path, value) in all.iter().filter(|_| keyed.captured() == 1) {
            let is_nothing = matches!(value, Value::Null | Value::Object(_)) || value == "" || value == "-";
            let is_inside =
                rest.keys().any(|field| path == field || path.strip_prefix(field).is_some_and(|r| r.starts_with('.')));
            let was_last = last(path) == Some(value);
            assert!(is_nothing || is_inside || !was_last, "{path} is lost on {shown}");
        }
    }

    fn spaced(inner: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
        let blank = prop::sample::select(vec!["", "", "", " ", "\t", "\r\n "]);
        (blank.clone(), inner, blank).prop_map(|(a, b, c)| format!("{a}{b}{c}")).boxed()
    }

    fn text() -> impl Strategy<Value = String> {
        let texts = [
            "",
            "-",
            "a",
            "b",
            "c",
            "a.b",
            "x",
            "0",
            "y.z",
            "é",
            r"\u00e9",
            r"\n",
            r#"\""#,
            r#"a\"b"#,
            r"\\",
            r"\/",
            r"\ud83d\ude00",
            r"\u0041",
            "a longer text, of more than sixteen bytes",
            "{",
            "]",
            ":",
        ];
        prop::sample::select(texts.to_vec()).prop_map(|text| format!("\"{text}\""))
    }

    fn object(value: BoxedStrategy<String>) -> BoxedStrategy<String> {
        let member = (spaced(text()), value).prop_map(|(key, value)| format!("{key}:{value}"));
        prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))).boxed()
    }

    fn document() -> impl Strategy<Value = String> {
        let others =
            ["0", "-0", "1", "-17", "1.5", "1e3", "2E-3", "0.25e+1", "12345678901234567890", "true", "false", "null", "{}", "[]"];
        let scalar = prop_oneof![text(), prop::sample::select(others.to_vec()).prop_map(str::to_owned)];
        let value = scalar.prop_recursive(4, 24, 5, |inner| {
            let value = spaced(inner);
            let array = prop::collection::vec(value.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(",")));
            prop_oneof![object(value), array]
        });
        spaced(object(spaced(value)))
    }

    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let telling = prop::sample::select(b"\"\\{}[]:,-.+eEtnu0 \n\x01\xff".to_vec());
        let edit = (any::<prop::sample::Index>(), 0..4u8, telling);
        (document(), prop::collection::vec(edit, 0..4)).prop_map(|(document, edits)| {
            let mut text = document.into_bytes();
            for (at, how, byte) in edits {
                let at = at.index(text.len() + 1);
                match how {
                    0 => text.insert(at, byte),
                    1 if at < text.len() => text[at] = byte,
                    2 if at < text.len() => drop(text.remove(at)),
                    _ => text.truncate(at.max(text.len().saturating_sub(3))),
                }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn documents_are_worth_what_serde_json_says(text in document()) {
            let matcher = Matcher::Keyed(keyed(PATHS).into());
            agree_with_serde_json(&matcher, text.as_bytes());
            agree_with_serde_json(&Matcher::Keyed(keyed(&[]).into()), text.as_bytes());
        }

        #[test]
        fn damaged_documents_are_judged_as_by_serde_json(text in damaged()) {
            agree_with_serde_json(&Matcher::Keyed(keyed(PATHS).into()), &text);
        }

        #[test]
        fn what_was_learned_of_keys_changes_nothing(texts in prop::collection::vec(damaged(), 1..8)) {
            let (one, other) = (Matcher::Keyed(keyed(PATHS).into()), Matcher::Keyed(keyed(&["b", "a.b.c"]).into()));
            let set = PatternSet::new([&one, &other], Ways::Each);
            let texts: Vec<Vec<u8>> = texts.into_iter().map(|text| text.into_iter().filter(|&byte| byte != b'\n').collect()).collect();
            check_traces(&set, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }

    #[test]
    fn of_values_with_one_path_the_last_one_counts() {
        let matcher = Matcher::Keyed(keyed(&["a.b", "c"]).into());
        let text = br#"{"a.b":1,"c":2,"d":3,"a":{"b":"x"},"d":"y","c":null,"e":{"f":4},"e.f":5}"#;
        let mut slots = [Span::NONE; 3];
        assert_eq!(matcher.find(text, &mut slots, &mut Scratch::default()), Ok(()));
        assert_eq!([slots[1].of(text), slots[2].of(text)], [Some(&b"x"[..]), None]);
        let rest = matcher.as_keyed().expect("it goes by keys").rest(text, None);
        let rest: Vec<(&[u8], &[u8])> = rest.iter().map(|field| (&*field.path, field.value)).collect();
        assert_eq!(rest, [(&b"d"[..], &b"y"[..]), (b"e.f", b"5")]);
    }

    #[test]
    fn fields_are_not_many_times_longer_than_the_record() {
        let members: Vec<String> = (0..1000).map(|i| format!("\"{i}\":{{\"x\":{i}}}")).collect();
        let text = format!(r#"{{"{}":{{{}}}}}"#, "k".repeat(10_000), members.join(","));
        let none = keyed(&[]);
        let fields = none.rest(text.as_bytes(), None);
        let sizes: Vec<(usize, usize)> = fields.iter().map(|field| (field.path.len(), field.value.len())).collect();
        assert_eq!(sizes, [(10_000, text.len() - 10_000 - 5)]);
        assert_eq!(none.rest(text.replace(&"k".repeat(10_000), "k").as_bytes(), None).len(), 1000);
    }

    #[test]
    fn depth_is_bounded() {
        for depth in [1, 2, 126, 127, 128, 200, 100_000] {
            for (open, inmost, close) in [("{\"a\":", "1", "}"), ("[", "1", "]"), ("{\"b\":[", "1", "]}")] {
                let text = format!("{{\"x\":{}{inmost}{}}}", open.repeat(depth), close.repeat(depth));
                agree_with_serde_json(&Matcher::Keyed(keyed(PATHS).into()), text.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_json_fails_where_it_is_none() {
        let cases: [(&str, u32, Option<u16>); 10] = [
            (r#"{"a":1} x"#, 8, None),
            (r#"{"a":1"#, 6, Some(0)),
            (r#"{"a":tru}"#, 8, Some(1)),
            (r#"{"a":"x"#, 7, Some(1)),
            (r#"{"a":"\x"}"#, 7, Some(1)),
            (r#"{"a":"\u00g0"}"#, 10, Some(1)),
            (r#"{"a":01}"#, 6, Some(0)),
            (r#"{"a" 1}"#, 5, Some(1)),
            (r#"{"a":[1,]}"#, 8, None),
            (r#"["a"]"#, 0, None),
        ];
        let matcher = Matcher::Keyed(keyed(&["a"]).into());
        for (text, at, capture) in cases {
            let failure = matcher.find(text.as_bytes(), &mut [Span::NONE; 2], &mut Scratch::default());
            assert_eq!(failure, Err(Failure { at, capture }), "{text}");
        }
    }

    #[test]
    fn escapes_of_json_and_of_go_are_undone_and_others_kept() {
        let cases: &[(&str, &str)] = &[
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u00e9 \ud83d\ude00 \ud83d x \ude00 \ud83d\u0041", "é 😀 \u{fffd} x \u{fffd} \u{fffd}A"),
            (r"\a\v\x41\U0001F600\'", "\u{7}\u{b}A😀'"),
            (r"\q \u12 \x4 \", r"\q \u12 \x4 \"),
        ];
        for (from, to) in cases {
            assert_eq!(String::from_utf8_lossy(&unescape(from.as_bytes())), *to, "{from}");
        }
    }
}
