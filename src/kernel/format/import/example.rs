//! A text that a regular expression takes: for definitions of layouts that come without a line of a log.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes that a text may grow to.
const MAX_BYTES: usize = 4096;

/// A short text that the expression takes, of letters and digits where it may be, or `None` if it takes none that is UTF-8.
pub(super) fn example(regex: &str) -> Option<String> {
    let mut parser = ParserBuilder::new().utf8(false).unicode(false).dot_matches_new_line(true).nest_limit(250).build();
    let hir = parser.parse(regex).ok()?;
    let mut out = vec![];
    write(&hir, &mut out)?;
    String::from_utf8(out).ok()
}

fn write(hir: &Hir, out: &mut Vec<u8>) -> Option<()> {
    if out.len() > MAX_BYTES {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Bytes(class)) => {
            let has = |byte: u8| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&byte));
            let likely = b"1aAx0 -/.:_".iter().copied().chain(b' '..=b'~');
            out.push(likely.into_iter().find(|byte| has(*byte))?);
        }
        HirKind::Class(Class::Unicode(class)) => {
            let first = class.ranges().first()?.start();
            out.extend(first.to_string().bytes());
        }
        HirKind::Repetition(repetition) => {
            // What may be missing is missing, unless it is a run: a field with a value says more.
            let is_run = repetition.max.is_none();
            let count = repetition.min.max(u32::from(is_run));
            for _ in 0..count.min(1000) {
                write(&repetition.sub, out)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, out)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, out))?,
        HirKind::Alternation(ways) => write(ways.first()?, out)?,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_taken_by_its_expression() {
        for regex in [r"\d{2}:\d+ [a-z]*", "(?<x>a|b)?c[^ ]+", r"\[(?:x|y)\] .*", ""] {
            let text = example(regex).unwrap();
            assert!(regex::Regex::new(&format!("^(?:{regex})$")).unwrap().is_match(&text), "{regex}: {text}");
        }
        assert_eq!(example("a{1000}{1000}"), None);
        assert_eq!(example("("), None);
    }
}
