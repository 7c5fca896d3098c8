//! Reads logfmt: `key=value key="quoted value"`, blanks between the pairs.
//!
//! Nobody has written down what logfmt is, and any word could be a key without a value. Here a record is one only if all of it
//! are pairs. A quote at the begin of a value ends at the next one without a backslash in front of it; any other value ends at a
//! blank.
//!
//! Firewalls send the same by syslog: behind `<189>`, and cut off where the message is too long for it.

use super::Span;
use super::find::{find1, find2};
use super::keys::{Field, KeySet, Keys, ROOT, WHOLE};
use super::program::Failure;

/// Can a key begin with it?
pub(super) fn begins_key(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@')
}

#[inline]
fn is_key(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'=' | b'"' | b'\\' | 0x7f)
}

/// How a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its last pair.
    Whole,
    /// Anywhere; and it may begin with a priority.
    MayBeCut,
}

/// Behind the priority in front of the pairs.
fn begin(record: &[u8], end: End) -> usize {
    let close = if end == End::MayBeCut && record.first() == Some(&b'<') {
        record.iter().take(5).position(|&byte| byte == b'>')
    } else {
        None
    };
    let is_priority = |close: &usize| record[1..*close].iter().all(u8::is_ascii_digit);
    blanks(record, close.filter(is_priority).map_or(0, |close| close + 1))
}

fn blanks(record: &[u8], mut at: usize) -> usize {
    while matches!(record.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// Behind the key at `at`: where its `=` is.
#[inline]
fn key_end(record: &[u8], at: usize) -> Result<usize, usize> {
    if !record.get(at).is_some_and(|&byte| begins_key(byte)) {
        return Err(at);
    }
    let end = record[at..].iter().position(|&byte| !is_key(byte)).map_or(record.len(), |len| at + len);
    if record.get(end) == Some(&b'=') { Ok(end) } else { Err(end) }
}

/// The value at `at`: where it begins and ends, and where what is behind it begins.
#[inline]
fn value(record: &[u8], at: usize, cut: End) -> Result<((usize, usize), usize), usize> {
    if record.get(at) != Some(&b'"') {
        let end = find1(record, at, b' ');
        return Ok(((at, end), end));
    }
    let mut end = find2(record, at + 1, b'"', b'\\');
    while record.get(end) == Some(&b'\\') {
        end = find2(record, (end + 2).min(record.len()), b'"', b'\\');
    }
    let next = end + 1;
    match record.get(next) {
        _ if end >= record.len() && cut == End::MayBeCut => Ok(((at + 1, record.len()), record.len())),
        _ if end >= record.len() => Err(record.len()),
        None | Some(b' ' | b'\t') => Ok(((at + 1, end), next)),
        Some(_) => Err(next),
    }
}

/// Reads a record.
#[inline]
pub(super) fn scan(mut keys: Keys<'_>, record: &[u8], end: End, slots: &mut [Span]) -> Result<(), Failure> {
    let cut = end;
    let mut at = begin(record, end);
    slots[usize::from(WHOLE)] = Span { start: 0, end: record.len() as u32 };
    while at < record.len() {
        let entry = match keys.guess(ROOT, &record[at..]) {
            Some((len, entry)) => {
                at += len;
                entry
            }
            None => {
                let end = match key_end(record, at) {
                    // The begin of a key.
                    Err(end) if end == record.len() && end > at && cut == End::MayBeCut => break,
                    end => end.map_err(|at| Failure { at: at as u32, capture: None })?,
                };
                let entry = keys.look_up(ROOT, &record[at..=end]);
                at = end + 1;
                entry
            }
        };
        let failed =
            |at: usize| Failure { at: at as u32, capture: (usize::from(entry.slot) < slots.len()).then_some(entry.slot) };
        let ((start, end), next) = value(record, at, cut).map_err(failed)?;
        if let Some(slot) = slots.get_mut(usize::from(entry.slot)) {
            *slot = Span { start: start as u32, end: end as u32 };
        }
        at = blanks(record, next);
    }
    Ok(())
}

/// The fields of a record that was read.
pub(super) fn fields<'a>(set: &KeySet, record: &'a [u8], end: End, found: &mut Vec<Field<'a>>) {
    let cut = end;
    let mut at = begin(record, end);
    while let Ok(end) = key_end(record, at) {
        let Ok(((start, stop), next)) = value(record, end + 1, cut) else { return };
        let path = record[at..end].to_vec();
        let slot = set.entry(ROOT, &path).slot;
        found.push(Field { path, value: &record[start..stop], quoted: start == end + 2, slot });
        at = blanks(record, next);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scan::{Keyed, Matcher, PatternSet, Scratch, Syntax, Test, Ways, check_traces};

    fn matcher() -> Matcher {
        let captures = BTreeMap::from([
            ("level".to_owned(), vec!["level".to_owned(), "lvl".to_owned()]),
            ("message".to_owned(), vec!["msg".to_owned()]),
        ]);
        let has = BTreeMap::from([("level".to_owned(), Test::Present)]);
        Matcher::Keyed(Keyed::try_new(Syntax::Logfmt, &captures, &has).expect("no path stands twice").into())
    }

    /// The values of `level`, `lvl` and `msg`, and the other fields.
    fn read(record: &str) -> Result<(Vec<Option<&str>>, Vec<String>), Failure> {
        let matcher = matcher();
        let mut slots = [Span::NONE; 4];
        matcher.find(record.as_bytes(), &mut slots, &mut Scratch::default())?;
        let text = |span: &Span| span.of(record.as_bytes()).map(|text| std::str::from_utf8(text).expect("UTF-8"));
        let rest = matcher.as_keyed().expect("it goes by keys").rest(record.as_bytes(), None).into_iter().map(|field| {
            let quote = if field.quoted { "\"" } else { "" };
            format!("{}={quote}{}{quote}", String::from_utf8_lossy(&field.path), String::from_utf8_lossy(field.value))
        });
        let rest = rest.collect();
        Ok((slots[1..].iter().map(text).collect(), rest))
    }

    #[test]
    fn pairs_are_read_and_what_is_not_captured_is_a_field() {
        let fields = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
        let line = r#"level=info msg="a \"b\" c" x=1 url=/a?b=c  empty= d="" err="""#;
        assert_eq!(read(line), Ok((vec![Some("info"), None, Some(r#"a \"b\" c"#)], fields(&["x=1", "url=/a?b=c"]))));
        assert_eq!(read(" lvl=warn a.b=\"x\" "), Ok((vec![None, Some("warn"), None], fields(&["a.b=\"x\""]))));
        assert_eq!(read("lvl=a level=b lvl=c"), Ok((vec![Some("b"), Some("c"), None], fields(&["lvl=c"]))));
    }

    #[test]
    fn what_is_not_all_pairs_fails_where_it_is_none() {
        let cases: [(&str, u32, Option<u16>); 7] = [
            ("level=info hello", 16, None),
            ("hello world", 5, None),
            ("level=info msg=\"x", 17, Some(3)),
            ("level=info msg=\"x\"y", 18, Some(3)),
            ("level=info =x", 11, None),
            ("msg=x", 5, Some(1)),
            ("level=\"\\", 8, Some(1)),
        ];
        for (record, at, capture) in cases {
            assert_eq!(read(record), Err(Failure { at, capture }), "{record}");
        }
        assert!(read("").is_err() && read("[level=x]").is_err());
    }

    #[test]
    fn what_firewalls_send_may_be_cut() {
        let captures =
            BTreeMap::from([("time".to_owned(), vec!["date + time".to_owned()]), ("x".to_owned(), vec!["msg".to_owned()])]);
        let matcher = Matcher::Keyed(Keyed::try_new(Syntax::Pairs, &captures, &BTreeMap::new()).expect("no path twice").into());
        let read = |record: &str| {
            let mut slots = vec![Span::NONE; matcher.captures().len()];
            matcher.find(record.as_bytes(), &mut slots, &mut Scratch::default()).ok()?;
            let rest = matcher.as_keyed().expect("it goes by keys").rest(record.as_bytes(), None);
            let rest = rest.iter().map(|field| String::from_utf8_lossy(&field.path).into_owned()).collect::<Vec<_>>().join(" ");
            let text = |span: &Span| span.of(record.as_bytes()).map(|text| String::from_utf8_lossy(text).into_owned());
            Some((text(&slots[1]), text(&slots[2]), rest))
        };
        let time = Some("2026-11-21 time=01:02:03".to_owned());
        let message = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("<189>date=2026-11-21 time=01:02:03 msg=\"a b\" x=1"),
            Some((time.clone(), message("a b"), "x".to_owned()))
        );
        assert_eq!(read("date=2026-11-21 time=01:02:03 msg=\"a b"), Some((time.clone(), message("a b"), String::new())));
        assert_eq!(read("date=2026-11-21 time=01:02:03 ms"), Some((time, None, String::new())));
        let apart = "time=01:02:03 msg=\"what is far\" date=2026-11-21";
        assert_eq!(read(apart), Some((None, message("what is far"), "time date".to_owned())));
        assert_eq!(read("<189>hello world"), None);
        assert_eq!(read("<1x9>msg=a"), None);
    }

    /// The pairs of a record, a character at a time; `None` if it is not all pairs.
    fn slowly(record: &str, end: End) -> Option<Vec<(String, String)>> {
        let mut rest = record;
        if end == End::MayBeCut
            && let Some((priority, behind)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))
            && priority.len() <= 3
            && priority.chars().all(|c| c.is_ascii_digit())
        {
            rest = behind;
        }
        let mut pairs = vec![];
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            let Some(first) = rest.chars().next() else { return Some(pairs) };
            if !first.is_ascii_alphabetic() && !"_@".contains(first) {
                return None;
            }
            let len = rest.find(|c: char| c <= ' ' || "=\"\\\u{7f}".contains(c)).unwrap_or(rest.len());
            let (key, behind) = rest.split_at(len);
            let Some(value) = behind.strip_prefix('=') else {
                return (behind.is_empty() && end == End::MayBeCut).then_some(pairs);
            };
            let Some(quoted) = value.strip_prefix('"') else {
                let (value, behind) = value.split_at(value.find(' ').unwrap_or(value.len()));
                pairs.push((key.to_owned(), value.to_owned()));
                rest = behind;
                continue;
            };
            let mut is_escaped = false;
            let close = quoted.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            });
            let Some(close) = close else {
                pairs.push((key.to_owned(), quoted.to_owned()));
                return (end == End::MayBeCut).then_some(pairs);
            };
            pairs.push((key.to_owned(), quoted[..close].to_owned()));
            rest = &quoted[close + 1..];
            if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
                return None;
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn pairs_are_worth_what_their_characters_say(
            priority in proptest::sample::select(vec!["", "", "<189>", "<1x>", "<1899>"]),
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "a=1", "b=\"x y\"", "c=\"x\\\"y\"", "level=info", "msg=\"a=b", "\"", "msg=", "a=\"\"", "hello", "=x", "_k=é", "b=\t2", "\\", "msg=-", "level=x\"y",
                ]),
                1..7,
            ),
        ) {
            let record = format!("{priority}{}", words.join(" "));
            for (syntax, end) in [(Syntax::Logfmt, End::Whole), (Syntax::Pairs, End::MayBeCut)] {
                let captures = ["level", "msg"].map(|key| (key.to_owned(), vec![key.to_owned()]));
                let keyed = Keyed::try_new(syntax, &BTreeMap::from(captures), &BTreeMap::new()).expect("no path stands twice");
                let matcher = Matcher::Keyed(keyed.into());
                let mut slots = vec![Span::NONE; matcher.captures().len()];
                let found = matcher.find(record.as_bytes(), &mut slots, &mut Scratch::default());
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let fast = found.ok().map(|()| {
                    let captured = matcher.captures().iter().zip(&slots).skip(1);
                    let captured = captured.filter_map(|(name, span)| Some((name.to_string(), text(span.of(record.as_bytes())?))));
                    let rest = matcher.as_keyed().expect("it goes by keys").rest(record.as_bytes(), None).into_iter();
                    let mut all: BTreeMap<_, _> = captured.chain(rest.map(|field| (text(&field.path), text(field.value)))).collect();
                    all.retain(|_, value| !matches!(value.as_str(), "" | "-"));
                    all
                });
                let slow = slowly(&record, end).map(|mut pairs| {
                    // What is no value is no field; of what is captured the last pair counts, whatever it says.
                    pairs.retain(|(key, value)| matches!(key.as_str(), "level" | "msg") || !matches!(value.as_str(), "" | "-"));
                    let mut all: BTreeMap<_, _> = pairs.into_iter().collect();
                    all.retain(|_, value| !matches!(value.as_str(), "" | "-"));
                    all
                });
                proptest::prop_assert_eq!(fast, slow, "{:?} as {:?}", record, syntax);
            }
        }
    }

    #[test]
    fn what_was_learned_of_keys_changes_nothing() {
        let matcher = matcher();
        let set = PatternSet::new([&matcher], Ways::Each);
        check_traces(
            &set,
            &[b"level=a msg=b", b"lvl=a x=1 msg=\"b c\"", b"level=a", b"levels=a", b"msg=\"x level=y", b"level=a msg=b z"],
        );
    }
}
