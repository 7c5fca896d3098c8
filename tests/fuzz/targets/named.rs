//! Any bytes as pairs, CEF, LEEF, XML and columns: what was learned of records changes nothing, spans and fields lie inside of the
//! record, and nothing panics. The first line is the header of the columns.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use logsql_fuzz::traces_agree;
use logsql_kernel::scan::{Dialect, Heading, Keyed, Matcher, PatternSet, Scratch, Span, Syntax, Ways};

/// Names that are short, so that they come up.
const PATHS: [&str; 7] = ["a", "b", "a.b", "a + b", "Data", "name", "0"];

fn captures() -> BTreeMap<String, Vec<String>> {
    PATHS.map(|path| (path.to_owned(), vec![path.to_owned()])).into()
}

fn columns(separator: Option<u8>, names: &[&str]) -> Matcher {
    let heading = Heading { begin: b"#F".as_slice().into(), is_behind: true };
    let names = names.iter().map(|name| Box::from(*name)).collect();
    let dialect = Dialect { separator, heading: Some(heading), names, optional: 0 };
    let keyed = Keyed::delimited(Arc::new(dialect), &captures(), &BTreeMap::new());
    Matcher::Keyed(keyed.expect("no path stands twice").into())
}

static MATCHERS: LazyLock<Vec<Matcher>> = LazyLock::new(|| {
    let keyed = |syntax| Keyed::try_new(syntax, &captures(), &BTreeMap::new()).expect("no path stands twice");
    let syntaxes = [Syntax::Pairs, Syntax::Cef, Syntax::Leef, Syntax::Xml].into_iter();
    let by_keys = syntaxes.map(|syntax| Matcher::Keyed(keyed(syntax).into()));
    by_keys.chain([columns(None, &[]), columns(Some(b','), &["a", "b", "x"])]).collect()
});
static SET: LazyLock<PatternSet> = LazyLock::new(|| PatternSet::new(&*MATCHERS, Ways::Each));

fuzz_target!(|data: &[u8]| {
    let (header, record) = data.split_at(data.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let record = record.strip_prefix(b"\n").unwrap_or(record);
    let mut scratch = Scratch::default();
    scratch.set_header(Some(header));
    traces_agree(&SET, record, &mut scratch);
    for matcher in &*MATCHERS {
        let mut slots = vec![Span::NONE; matcher.captures().len()];
        if matcher.find(record, &mut slots, &mut scratch).is_err() {
            continue;
        }
        for span in slots.iter().filter(|span| **span != Span::NONE) {
            assert!(span.of(record).is_some(), "{span:?} of {}", record.escape_ascii());
        }
        for field in matcher.as_keyed().expect("it goes by names").rest(record, Some(header)) {
            assert!(field.path.len() <= data.len() + 16 && field.value.len() <= record.len());
        }
    }
});
