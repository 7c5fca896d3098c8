//! Reads records whose values stand in columns: W3C extended logs, CSV, and values between tabs.
//!
//! ```text
//!   #Fields: date time c-ip cs-method          the header says which value is which, until the next one does
//!   2026-11-21 01:02:03 192.0.2.1 GET
//! ```
//!
//! Or a definition says it, where the columns are always the same. A value that begins with a quote ends at the next one that has
//! the separator or the end of the record behind it; two quotes inside of it are one. A quote that is never closed so is text: what
//! a client sent may begin with one. A record has as many values as there are columns; one that has not is none of these.

use super::Span;
use super::find::find1;
use super::keys::{Field, KeySet, NONE, ROOT, WHOLE};
use super::program::Failure;

/// Columns of a header at most.
const MAX_COLUMNS: usize = 1000;

/// A line that names the columns of those behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// What it begins with.
    pub begin: Box<[u8]>,
    /// What it begins with is no part of the names: `#Fields:`.
    pub is_behind: bool,
}

impl Heading {
    /// Is the line one?
    #[inline]
    pub fn is(&self, line: &[u8]) -> bool {
        line.starts_with(&self.begin)
    }
}

/// How values are told apart, and which one is which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between two values. Without it, the header has it: tabs if there is one in it, or else blanks.
    pub separator: Option<u8>,
    /// What the lines look like that name the columns.
    pub heading: Option<Heading>,
    /// The columns where no header names them.
    pub names: Vec<Box<str>>,
    /// The last so many of these may be missing.
    pub optional: usize,
}

impl Dialect {
    /// The columns under a header, the byte between values, and how many values there are at least.
    fn columns<'a>(&'a self, header: Option<&'a [u8]>) -> Option<(impl Iterator<Item = &'a [u8]>, u8, usize)> {
        let heading = self.heading.as_ref().and_then(|heading| Some((heading, header.filter(|header| heading.is(header))?)));
        let (named, fixed, separator, least) = match heading {
            Some((heading, header)) => {
                let names = if heading.is_behind { &header[heading.begin.len()..] } else { header };
                let has = |separator: u8| memchr::memchr(separator, names).is_some();
                let separator = self.separator.unwrap_or_else(|| if has(b'\t') { b'\t' } else { b' ' });
                // CloudFront has blanks between names and tabs between values.
                let between = if has(separator) { separator } else { b' ' };
                let names = names.split(move |&byte| byte == between).map(|name| name.trim_ascii());
                let names = names.filter(|name| !name.is_empty());
                let names = names.map(|name| name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name));
                let least = names.clone().take(MAX_COLUMNS + 1).count();
                (Some(names), None, separator, least)
            }
            None if self.names.is_empty() => return None,
            None => {
                (None, Some(self.names.iter().map(|name| name.as_bytes())), self.separator?, self.names.len() - self.optional)
            }
        };
        // Any text is a record of one column.
        if !(2..=MAX_COLUMNS).contains(&least) {
            return None;
        }
        Some((named.into_iter().flatten().chain(fixed.into_iter().flatten()), separator, least))
    }
}

/// Where the columns of a set are, under one header.
#[derive(Debug)]
pub(super) struct Layout {
    /// The slot of each column.
    slots: Vec<u16>,
    separator: u8,
    least: usize,
}

impl Layout {
    /// `None` if nobody has said which columns there are.
    pub(super) fn new(dialect: &Dialect, set: &KeySet, header: Option<&[u8]>) -> Option<Self> {
        let (names, separator, least) = dialect.columns(header)?;
        let slots = names.map(|name| set.entry(ROOT, name).slot).collect();
        Some(Self { slots, separator, least })
    }
}

/// Where the value at `at` begins and ends, and where its separator is.
#[inline(always)]
fn value(record: &[u8], at: usize, separator: u8) -> ((usize, usize), usize) {
    if record.get(at) == Some(&b'"')
        && let Some(end) = closing_quote(record, at + 1, separator)
    {
        return ((at + 1, end), end + 1);
    }
    let end = find1(record, at, separator);
    ((at, end), end)
}

/// The quote that ends the value which begins at `at`.
#[inline]
fn closing_quote(record: &[u8], mut at: usize, separator: u8) -> Option<usize> {
    loop {
        let quote = find1(record, at, b'"');
        match record.get(quote + 1) {
            _ if quote >= record.len() => return None,
            Some(b'"') => at = quote + 2,
            Some(&byte) if byte != separator => return None,
            _ => return Some(quote),
        }
    }
}

/// All values of a record, in order.
struct Values<'a> {
    record: &'a [u8],
    separator: u8,
    /// Where the next one begins, unless the last one was at the end.
    at: Option<usize>,
}

impl Iterator for Values<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let (span, end) = value(self.record, self.at?, self.separator);
        self.at = (end < self.record.len()).then_some(end + 1);
        Some(span)
    }
}

/// Reads a record.
#[inline]
pub(super) fn scan(layout: &Layout, record: &[u8], slots: &mut [Span]) -> Result<(), Failure> {
    slots[usize::from(WHOLE)] = Span { start: 0, end: record.len() as u32 };
    let mut values = Values { record, separator: layout.separator, at: Some(0) };
    for (index, &slot) in layout.slots.iter().enumerate() {
        let Some((start, end)) = values.next() else {
            if index >= layout.least {
                return Ok(());
            }
            return Err(Failure { at: record.len() as u32, capture: Some(slot).filter(|&slot| slot != NONE) });
        };
        if let Some(slot) = slots.get_mut(usize::from(slot)) {
            *slot = Span { start: start as u32, end: end as u32 };
        }
    }
    match values.at {
        // A separator behind the last value.
        Some(at) if at < record.len() => Err(Failure { at: at as u32, capture: None }),
        _ => Ok(()),
    }
}

/// The fields of a record that was read under this header.
pub(super) fn fields<'a>(set: &KeySet, dialect: &Dialect, header: Option<&[u8]>, record: &'a [u8], found: &mut Vec<Field<'a>>) {
    let Some((names, separator, _)) = dialect.columns(header) else { return };
    for (name, (start, end)) in names.zip(Values { record, separator, at: Some(0) }) {
        let quoted = start > 0 && record[start - 1] == b'"';
        found.push(Field { path: name.to_vec(), value: &record[start..end], quoted, slot: set.entry(ROOT, name).slot });
    }
}

/// Undoes `""`, as CSV writes a quote.
pub(crate) fn undouble(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"\"\"") {
        plain.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    plain.extend_from_slice(rest);
    plain
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::scan::{Escapes, Keyed, Matcher, PatternSet, Scratch, Ways, check_traces};

    fn matcher(dialect: Dialect, columns: &[&str]) -> Matcher {
        let captures = columns.iter().map(|name| (format!("capture_{name}"), vec![(*name).to_owned()]));
        let keyed = Keyed::delimited(Arc::new(dialect), &captures.collect(), &BTreeMap::new()).expect("no column stands twice");
        Matcher::Keyed(keyed.into())
    }

    fn w3c() -> Dialect {
        let heading = Heading { begin: b"#Fields:".as_slice().into(), is_behind: true };
        Dialect { heading: Some(heading), ..Dialect::default() }
    }

    /// The values of the captures, and the other fields.
    fn read(matcher: &Matcher, header: Option<&str>, record: &str) -> Result<(Vec<Option<String>>, Vec<String>), Failure> {
        let mut scratch = Scratch::default();
        scratch.set_header(header.map(str::as_bytes));
        let mut slots = vec![Span::NONE; matcher.captures().len()];
        matcher.find(record.as_bytes(), &mut slots, &mut scratch)?;
        let keyed = matcher.as_keyed().expect("it goes by columns");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let values = slots[1..keyed.captured()].iter().map(|span| span.of(record.as_bytes()).map(text)).collect();
        let rest = keyed.rest(record.as_bytes(), scratch.header());
        Ok((values, rest.into_iter().map(|field| format!("{}={}", text(&field.path), text(field.value))).collect()))
    }

    #[test]
    fn the_header_says_which_column_is_which() {
        let matcher = matcher(w3c(), &["c-ip", "sc-status", "date + time"]);
        let values =
            |c: &str, t: &str, s: &str| [c, t, s].map(|text| Some(text.to_owned()).filter(|text| !text.is_empty())).to_vec();
        let cases = [
            (
                "#Fields: date time c-ip sc-status",
                "2026-11-21 01:02:03 192.0.2.1 200",
                values("192.0.2.1", "2026-11-21 01:02:03", "200"),
                vec![],
            ),
            ("#Fields: sc-status c-ip x", "200 192.0.2.1 \"a b\"", values("192.0.2.1", "", "200"), vec!["x=a b"]),
            ("#Fields:\tc-ip\ttime\tdate\t", "192.0.2.1\t1\t2", values("192.0.2.1", "", ""), vec!["time=1", "date=2"]),
            ("#Fields: c-ip x", "\"a b", values("\"a", "", ""), vec!["x=b"]),
        ];
        for (header, record, expected, rest) in cases {
            let rest = rest.into_iter().map(str::to_owned).collect();
            assert_eq!(read(&matcher, Some(header), record), Ok((expected, rest)), "{header} | {record}");
        }
        assert!(read(&matcher, None, "192.0.2.1 200").is_err(), "no header");
        assert!(read(&matcher, Some("#Fields: c-ip"), "192.0.2.1").is_err(), "one column");
        assert!(read(&matcher, Some("#Other: c-ip x"), "192.0.2.1 200").is_err(), "another header");
    }

    #[test]
    fn a_record_has_as_many_values_as_there_are_columns() {
        let names = ["a", "b", "c", "d"].map(Box::from).to_vec();
        let matcher = matcher(Dialect { separator: Some(b','), names, optional: 1, heading: None }, &["a", "c"]);
        let taken = |a: &str, c: &str| Ok((vec![Some(a.to_owned()), Some(c.to_owned())], vec![]));
        assert_eq!(read(&matcher, None, "1,-,3,-"), taken("1", "3"));
        assert_eq!(read(&matcher, None, "1,-,3"), taken("1", "3"));
        assert_eq!(read(&matcher, None, "1,,\"3,\"\"\n\","), taken("1", "3,\"\"\n"));
        assert_eq!(read(&matcher, None, "1,-,3,-,"), taken("1", "3"));
        assert_eq!(read(&matcher, None, "1,-"), Err(Failure { at: 3, capture: Some(2) }));
        assert_eq!(read(&matcher, None, "1,-,3,-,5"), Err(Failure { at: 8, capture: None }));
    }

    #[test]
    fn the_header_that_came_last_counts() {
        let matcher = matcher(w3c(), &["a"]);
        let set = PatternSet::new([&matcher], Ways::Each);
        let mut scratch = Scratch::default();
        for (header, expected) in [("#Fields: a b", "1"), ("#Fields: b a", "2"), ("#Fields: a b", "1")] {
            scratch.set_header(Some(header.as_bytes()));
            let mut slots = vec![Span::NONE; set.captures()];
            assert_eq!(set.find(b"1 2", &mut slots, &mut scratch), Ok(0));
            assert_eq!(set.spans_of(0, &slots)[1].of(b"1 2"), Some(expected.as_bytes()), "{header}");
        }
        check_traces(&set, &[b"1 2", b"3 4 5", b""]);
    }

    /// A value as a writer of CSV may write it.
    fn cell() -> impl Strategy<Value = (String, String)> {
        let plain = prop::sample::select(vec!["", "a", "1.5", "two words", "x=y", "é"]);
        let odd = prop::sample::select(vec!["a,b", "a\"b", "\"", ",", "\n", "a\r\nb", "\"\",\"", ""]);
        let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        prop_oneof![
            plain.clone().prop_map(|text| (text.to_owned(), text.to_owned())),
            prop_oneof![plain, odd].prop_map(move |text| (text.to_owned(), quote(text)))
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn records_are_worth_what_the_csv_crate_says(cells in prop::collection::vec(cell(), 2..6)) {
            let line = cells.iter().map(|(_, written)| written.as_str()).collect::<Vec<_>>().join(",");
            let names: Vec<Box<str>> = (0..cells.len()).map(|index| index.to_string().into()).collect();
            let columns: Vec<&str> = names.iter().map(|name| &**name).collect();
            let matcher = matcher(Dialect { separator: Some(b','), names: names.clone(), ..Dialect::default() }, &columns);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let expected = reader.records().next().expect("a record").expect("CSV");
            let mut slots = vec![Span::NONE; matcher.captures().len()];
            prop_assert_eq!(matcher.find(line.as_bytes(), &mut slots, &mut Scratch::default()), Ok(()), "{}", line);
            for (index, (value, _)) in cells.iter().enumerate() {
                let span = slots[index + 1];
                let before = (span.start as usize).checked_sub(1).map(|at| line.as_bytes()[at]);
                let got = Escapes::Doubled.undo(span.of(line.as_bytes()).expect("a value"), before);
                prop_assert_eq!(&*got, value.as_bytes(), "{} of {}", index, line);
                prop_assert_eq!(&expected[index], value.as_str());
            }
        }
    }
}
