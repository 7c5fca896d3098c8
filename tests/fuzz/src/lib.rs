//! What the fuzz targets share: the built-in formats, and the comparison of a program with its twin. Patterns that go by keys
//! have none; their readers are compared with and without what was learned.
//!
//! Each target takes its choices from the first bytes of the input and data from the rest, so that a log file with a few
//! bytes in front of it is a seed. The bin `seeds` makes such inputs from `testdata/logs` and from the definitions.

use std::sync::{Arc, LazyLock};

use logsql_kernel::format::{Catalog, Pattern};
use logsql_kernel::scan::{Failure, Found, Matcher, PatternSet, Planes, Scratch, Span, Traces, Ways};

/// The built-in formats.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

/// All patterns of all families.
pub static PATTERNS: LazyLock<Vec<Arc<Pattern>>> =
    LazyLock::new(|| CATALOG.formats().iter().flat_map(|format| format.patterns()).map(Arc::clone).collect());

/// The line patterns of each family as sets, joined in both ways.
pub static SETS: LazyLock<Vec<PatternSet>> = LazyLock::new(|| {
    let sets = CATALOG.formats().iter().flat_map(|format| {
        [Ways::Each, Ways::Together].map(|ways| {
            let lines = format.patterns().iter().filter(|pattern| pattern.within.is_none());
            PatternSet::new(lines.map(|pattern| &pattern.matcher), ways)
        })
    });
    sets.collect()
});

/// What the spans hold before a match: nothing of it may be left behind.
const LEFT_OVER: Span = Span { start: 3, end: 5 };

/// The program and the regex give the same verdict and the same spans.
pub fn matcher_agrees(matcher: &Matcher, record: &[u8], scratch: &mut Scratch) {
    let mut fast = vec![LEFT_OVER; matcher.captures().len()];
    let mut slow = vec![Span::NONE; fast.len()];
    let found = matcher.find(record, &mut fast, scratch);
    let expected = match matcher.as_regex() {
        Some(regex) => regex.find_by_regex(record, &mut slow, scratch),
        None => matcher.find(record, &mut slow, scratch),
    };
    let shown = || format!("{matcher:?} on `{}`", record.escape_ascii());
    assert_eq!(found.is_ok(), expected.is_ok(), "verdict of {}", shown());
    match found {
        Ok(()) => {
            assert_eq!(fast, slow, "spans of {}", shown());
            fast.iter().for_each(|span| check_span(*span, record));
        }
        Err(failure) => check_failure(failure, record, matcher.captures().len()),
    }
}

/// The same for several patterns as one.
pub fn set_agrees(set: &PatternSet, record: &[u8], scratch: &mut Scratch) {
    let mut fast = vec![LEFT_OVER; set.captures()];
    let mut slow = vec![Span::NONE; fast.len()];
    let found = set.find(record, &mut fast, scratch);
    let expected = set.find_by_regex(record, &mut slow, scratch);
    let shown = || format!("{set:?} on `{}`", record.escape_ascii());
    assert_eq!(found.ok(), expected.ok(), "verdict of {}", shown());
    match found {
        Ok(pattern) => {
            let (fast, slow) = (set.spans_of(pattern, &fast), set.spans_of(pattern, &slow));
            assert_eq!(fast, slow, "spans of {}", shown());
            fast.iter().for_each(|span| check_span(*span, record));
        }
        Err(failure) => check_failure(failure, record, set.captures()),
    }
}

/// What was learned from the lines of `document` gives what the set finds in each of them alone.
pub fn traces_agree(set: &PatternSet, document: &[u8], scratch: &mut Scratch) {
    let (mut planes, mut traces) = (Planes::default(), Traces::default());
    let mut fast = vec![LEFT_OVER; set.captures()];
    let mut slow = fast.clone();
    // The second time, all is learned.
    let window = [document, b"\n", document].concat();
    let mut start = 0;
    for record in window.split(|&byte| byte == b'\n') {
        let place = (start, start + record.len());
        let found = set.find_in(&window, place, &mut fast, scratch, (&mut planes, &mut traces));
        let expected = set.find(record, &mut slow, scratch);
        let shown = || format!("{set:?} on `{}`", record.escape_ascii());
        assert_eq!(found.map(|found| found.pattern), expected, "verdict of {}", shown());
        if let Ok(Found { trace, pattern }) = found {
            let spans = trace.map_or(&fast[..], |trace| traces.spans(trace));
            assert_eq!(set.spans_of(pattern, spans), set.spans_of(pattern, &slow), "spans of {}", shown());
        }
        start = place.1 + 1;
    }
}

fn check_span(span: Span, record: &[u8]) {
    if span != Span::NONE {
        assert!(span.start <= span.end && span.end as usize <= record.len(), "{span:?} in {} bytes", record.len());
    }
}

fn check_failure(failure: Failure, record: &[u8], captures: usize) {
    assert!(failure.at as usize <= record.len(), "{failure:?} in {} bytes", record.len());
    assert!(failure.capture.is_none_or(|slot| usize::from(slot) < captures), "{failure:?} of {captures} captures");
}
