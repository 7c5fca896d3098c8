//! Which family is a file of? The content decides, never the name.

use super::Catalog;
use crate::scan::{Scratch, Span};

/// Lines of a sample that are tried at most.
const MAX_LINES: usize = 200;
/// Bytes of a line that are looked at; a longer one says nothing.
const MAX_LINE_BYTES: usize = 16 << 10;
/// The share of lines that a family has to take.
const MIN_SHARE: f64 = 0.5;

/// What a family made of a sample.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The family.
    pub format: String,
    /// The pattern that took most lines.
    pub pattern: String,
    /// Lines that the family takes, and those it was shown.
    pub taken: usize,
    /// Lines it was shown; blank ones do not count.
    pub lines: usize,
    /// How much the lines that it takes say: catch-alls say nothing.
    pub score: usize,
    /// The first line that it does not take.
    pub miss: Option<Miss>,
}

/// A line that a family does not take.
#[derive(Clone, Debug)]
pub struct Miss {
    /// Number of the line in the sample, from 1, where the sample is the head of the file.
    pub line: usize,
    /// The pattern that came nearest.
    pub pattern: String,
    /// The byte of the line where it failed, from 1.
    pub column: usize,
    /// The field that was being read there.
    pub field: Option<String>,
    /// The line.
    pub text: Vec<u8>,
}

/// All families that take a line of the sample, best first.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// The family that the file is of.
    pub best: Option<Candidate>,
    /// All that took a line, best first.
    pub candidates: Vec<Candidate>,
}

/// Finds the family of a file by chunks of it: its head, and what more there is. All but the first chunk begin anywhere,
/// so their first line is passed over, and the last line of each one that does not end the file.
pub fn detect(catalog: &Catalog, chunks: &[&[u8]]) -> Detection {
    let lines = sample_lines(chunks);
    let mut scratch = Scratch::default();
    let mut candidates: Vec<Candidate> = catalog
        .formats()
        .iter()
        .map(|format| judge(catalog, &format.name, &lines, &mut scratch))
        .filter(|candidate| candidate.taken > 0)
        .collect();
    // Most lines first; among equals the one whose lines say most.
    candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.taken, candidate.score)));
    let most = candidates.first().map_or(0, |first| first.taken);
    // A catch-all takes what nobody else does; it must not win by those few lines.
    let specific = candidates.iter().position(|c| c.score > 0 && c.taken * 10 >= most * 9);
    if let Some(index) = specific {
        let chosen = candidates.remove(index);
        candidates.insert(0, chosen);
    }
    let best = candidates.first().filter(|best| best.taken as f64 >= best.lines as f64 * MIN_SHARE).cloned();
    Detection { best, candidates }
}

fn sample_lines<'a>(chunks: &[&'a [u8]]) -> Vec<(usize, &'a [u8])> {
    let mut lines = vec![];
    let share = MAX_LINES / chunks.len().max(1);
    for (index, chunk) in chunks.iter().enumerate() {
        let whole = memchr::memrchr(b'\n', chunk).map_or(*chunk, |last| &chunk[..=last]);
        let numbered = whole.split(|&byte| byte == b'\n').enumerate().skip(usize::from(index > 0));
        let numbered = numbered.map(|(number, line)| (number + 1, clean(line)));
        lines.extend(numbered.filter(|(_, line)| !line.is_empty() && line.len() <= MAX_LINE_BYTES).take(share));
    }
    lines
}

fn clean(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = line.iter().position(|&byte| byte != 0).unwrap_or(line.len());
    let line = &line[text..];
    if line.iter().all(u8::is_ascii_whitespace) { &[] } else { line }
}

fn judge(catalog: &Catalog, format: &str, lines: &[(usize, &[u8])], scratch: &mut Scratch) -> Candidate {
    let family = catalog.format(format);
    let patterns: Vec<_> = family.iter().flat_map(|family| &family.patterns).filter(|pattern| pattern.within.is_none()).collect();
    let starts = catalog.starts_of(format);
    let mut candidate = Candidate { format: format.to_owned(), pattern: String::new(), taken: 0, lines: 0, score: 0, miss: None };
    let mut by_pattern = vec![0usize; patterns.len()];
    let mut in_record = false;
    for (number, line) in lines {
        let mut slots = vec![];
        let mut nearest: Option<Miss> = None;
        let taken = patterns.iter().position(|pattern| {
            slots.resize(pattern.matcher.captures().len(), Span::NONE);
            match pattern.matcher.find(line, &mut slots[..pattern.matcher.captures().len()], scratch) {
                Ok(()) => true,
                Err(failure) => {
                    let column = failure.at as usize + 1;
                    if nearest.as_ref().is_none_or(|miss| column > miss.column) {
                        let field = failure.capture.and_then(|slot| pattern.matcher.captures().get(usize::from(slot)));
                        nearest = Some(Miss {
                            line: *number,
                            pattern: pattern.name.clone(),
                            column,
                            field: field.map(ToString::to_string),
                            text: line.to_vec(),
                        });
                    }
                    false
                }
            }
        });
        if taken.is_none() && in_record && !starts.is_empty() && !starts.iter().any(|start| takes(start, line, scratch)) {
            // A continuation speaks neither for the family nor against it.
            continue;
        }
        candidate.lines += 1;
        in_record = taken.is_some();
        match taken {
            Some(index) => {
                candidate.taken += 1;
                by_pattern[index] += 1;
                candidate.score += if patterns[index].catch_all { 0 } else { patterns[index].specificity };
            }
            None => candidate.miss = candidate.miss.or(nearest),
        }
    }
    if let Some((index, _)) = by_pattern.iter().enumerate().max_by_key(|(index, count)| (**count, usize::MAX - index)) {
        candidate.pattern = patterns[index].name.clone();
    }
    candidate
}

fn takes(matcher: &crate::scan::Matcher, line: &[u8], scratch: &mut Scratch) -> bool {
    let mut slots = vec![Span::NONE; matcher.captures().len()];
    matcher.find(line, &mut slots, scratch).is_ok()
}
