//! Which family is a file of? The content decides, never the name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use super::screen::{Sample, Screen};
use super::{Catalog, Format, Pattern, nearest_pattern};
use crate::scan::{PatternSet, Reader, Scratch, Span, Syntax, Tracing, Ways};
use crate::table::TableDef;

/// Lines of a sample that are tried at most.
const MAX_LINES: usize = 200;
/// Bytes of a line that are looked at; a longer one says nothing.
const MAX_LINE_BYTES: usize = 16 << 10;
/// Lines that are looked at for the texts that a family needs, before it is compiled to take all.
const SCREENED: usize = 4;
/// The share of lines that a family has to take.
const MIN_SHARE: f64 = 0.5;
/// Lines that are looked into at most.
const INSIDE: usize = 50;
/// One of so many lines has to be a message of a family, not counting its catch-alls, for a file to be said to be of its messages.
const MIN_INNER: usize = 4;

/// What a family made of a sample.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The family.
    pub format: String,
    /// The pattern that took most lines.
    pub pattern: String,
    /// Lines that the family takes, and those it was shown.
    pub taken: usize,
    /// Lines it was shown; blank ones and comments do not count.
    pub lines: usize,
    /// How much the lines that it takes say: catch-alls say nothing.
    pub score: usize,
    /// The first line that it does not take, if that was asked for.
    pub miss: Option<Miss>,
    /// A line names the columns, as this family does it.
    pub has_heading: bool,
    /// What it takes may be somebody else's lines in a head of its own.
    is_envelope: bool,
    /// The family's table if any of the lines is a row of it, else the one that most of them are rows of.
    pub table: &'static TableDef,
}

impl Candidate {
    fn of(format: &Format) -> Self {
        Self {
            format: format.name.clone(),
            pattern: String::new(),
            taken: 0,
            lines: 0,
            score: 0,
            miss: None,
            has_heading: false,
            is_envelope: format.is_envelope,
            table: format.table,
        }
    }

    /// By how many lines each of the family's patterns took.
    fn score_by(&mut self, patterns: &[&Arc<Pattern>], by_pattern: &[usize]) {
        let worth = |pattern: &Pattern| if pattern.catch_all { 0 } else { pattern.specificity };
        self.score = patterns.iter().zip(by_pattern).map(|(pattern, count)| worth(pattern) * count).sum();
        let most = by_pattern.iter().enumerate().max_by_key(|(index, count)| (**count, usize::MAX - index));
        if let Some((index, _)) = most {
            self.pattern = patterns[index].name.clone();
            let mut fed = patterns.iter().zip(by_pattern).filter(|(_, count)| **count > 0);
            if !fed.any(|(pattern, _)| pattern.table.name == self.table.name) {
                self.table = patterns[index].table;
            }
        }
    }
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
    /// Where no family is the best one: a family whose records are inside of others', which takes most lines if it is forced.
    pub inner: Option<Candidate>,
}

/// Finds the family of a file by chunks of it: its head, and what more there is. All but the first chunk begin anywhere,
/// so their first line is passed over, and the last line of each one that does not end the file. A family that is `expected`,
/// since a configuration says so, wins over others that take hardly more.
pub fn detect(catalog: &Catalog, chunks: &[&[u8]], expected: Option<&str>) -> Detection {
    let lines = sample_lines(chunks);
    // Where a family takes every line, only others that do can be better, and most fail at the first one.
    let sample = Sample::new(chunks);
    let before = catalog.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let judge_whole = |format| judge_whole(format, before.as_deref(), &lines, &sample);
    let whole = choose(catalog.formats().iter().map(Arc::as_ref).filter_map(judge_whole), expected);
    let is_like = |best: &Candidate| best.score > 0 && expected.is_none_or(|expected| expected == best.format);
    let chosen = match whole.best.as_ref().is_some_and(is_like) {
        true => whole,
        false => {
            let may_win = MayWin::new(catalog, &lines, expected, before.as_deref());
            let asked = catalog.formats().iter().filter(|format| may_win.asked_of(format));
            let judged = |format: &Arc<Format>| {
                let known = may_win.before.iter().find(|known| known.format == format.name).cloned();
                known.unwrap_or_else(|| judge(catalog, format, None, &lines).0)
            };
            choose(possible(asked, &lines, &sample).map(judged), expected)
        }
    };
    let chosen = with_envelope(chosen, catalog, &lines, expected);
    if let Some(best) = &chosen.best {
        *catalog.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(best.format.clone());
    }
    chosen
}

/// Files that are looked at one after the other are often alike. What cannot take four fifths as many lines as the family of the one
/// before can neither win nor be the envelope of what wins; so this saves time, and no outcome depends on it.
struct MayWin<'a> {
    lines: &'a [(usize, &'a [u8])],
    expected: Option<&'a str>,
    /// What the family of the file before makes of them.
    before: Option<Candidate>,
    /// Lines that another one may not take, if there was a file before.
    most_missed: Option<usize>,
    /// How many lines begin with each byte.
    firsts: BTreeMap<u8, usize>,
}

impl<'a> MayWin<'a> {
    fn new(catalog: &Catalog, lines: &'a [(usize, &'a [u8])], expected: Option<&'a str>, before: Option<&str>) -> Self {
        let family = before.and_then(|name| catalog.format(name));
        let before = family.map(|family| judge(catalog, family, before, lines).0).filter(|candidate| candidate.taken > 0);
        let most_missed = before.as_ref().map(|candidate| lines.len() - candidate.taken * 4 / 5);
        let mut firsts = BTreeMap::new();
        for first in lines.iter().filter_map(|(_, line)| line.first()) {
            *firsts.entry(*first).or_default() += 1;
        }
        Self { lines, expected, before, most_missed, firsts }
    }

    fn asked_of(&self, format: &Format) -> bool {
        let Some(most_missed) = self.most_missed else { return true };
        if format.has_header || Some(format.name.as_str()) == self.expected {
            return true;
        }
        // Most families fail by the first bytes alone.
        let is_first = |byte: u8| format.screens.iter().any(|screen| screen.begin.first().contains(byte));
        let missed: usize = self.firsts.iter().filter(|(byte, _)| !is_first(**byte)).map(|(_, count)| count).sum();
        let begins = |line: &[u8]| format.screens.iter().any(|screen| screen.begin.accepts(line, 0));
        missed <= most_missed && self.lines.iter().filter(|(_, line)| !begins(line)).nth(most_missed).is_none()
    }
}

/// The same, and for each family the first line that it does not take.
pub fn explain(catalog: &Catalog, chunks: &[&[u8]], expected: Option<&str>) -> Detection {
    let lines = sample_lines(chunks);
    let sample = Sample::new(chunks);
    let candidates = possible(catalog.formats().iter(), &lines, &sample).map(|format| {
        let (candidate, missed) = judge(catalog, format, None, &lines);
        let miss = missed.and_then(|(number, line)| miss(format, number, line));
        Candidate { miss, ..candidate }
    });
    let chosen = with_envelope(choose(candidates, expected), catalog, &lines, expected);
    let inner = if chosen.best.is_none() { choose_inner(catalog, &lines) } else { None };
    Detection { inner, ..chosen }
}

/// The family of messages that have lost their envelope, as `journalctl -o cat` writes them. They lack a time and what is required
/// of the envelope, so this is to be told, not to be done.
fn choose_inner(catalog: &Catalog, lines: &[(usize, &[u8])]) -> Option<Candidate> {
    let mut scratch = Scratch::default();
    let mut judge_inner = |format: &Arc<Format>| {
        let patterns: Vec<&Arc<Pattern>> = format.patterns().iter().filter(|pattern| !pattern.catch_all).collect();
        let set = PatternSet::new(patterns.iter().map(|pattern| &pattern.matcher), Ways::Each);
        let mut by_pattern = vec![0; patterns.len()];
        let mut slots = vec![Span::NONE; set.captures()];
        for (_, line) in lines {
            if let Ok(index) = set.find(line, &mut slots, &mut scratch) {
                by_pattern[index] += 1;
            }
        }
        let mut candidate = Candidate::of(format);
        (candidate.taken, candidate.lines) = (by_pattern.iter().sum(), lines.len());
        candidate.score_by(&patterns, &by_pattern);
        candidate
    };
    let inner = catalog.formats().iter().filter(|format| format.is_inner()).map(&mut judge_inner);
    choose(inner, None).candidates.into_iter().next().filter(|best| best.taken * MIN_INNER >= best.lines)
}

/// The families that may take one of the lines: the first bytes rule most of them out, which costs much less than compiling them.
fn possible<'a>(
    formats: impl Iterator<Item = &'a Arc<Format>>,
    lines: &[(usize, &[u8])],
    sample: &Sample<'_>,
) -> impl Iterator<Item = &'a Arc<Format>> {
    let begins = |screen: &Screen| lines.iter().any(|(_, line)| screen.begin.accepts(line, 0));
    let is_possible = move |screen: &Screen| screen.is_held(|text| sample.may_hold(text)) && begins(screen);
    formats.filter(move |format| format.screens.iter().any(is_possible))
}

fn choose(candidates: impl Iterator<Item = Candidate>, expected: Option<&str>) -> Detection {
    let mut candidates: Vec<Candidate> = candidates.filter(|candidate| candidate.taken > 0).collect();
    // Most lines first; among equals the one whose lines say most, and no envelope where nothing is known of what is inside.
    candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.taken, candidate.score, !candidate.is_envelope)));
    let most = candidates.first().map_or(0, |first| first.taken);
    // A catch-all takes what nobody else does; it must not win by those few lines.
    let specific = candidates.iter().position(|c| c.score > 0 && c.taken * 10 >= most * 9);
    let is_expected = |c: &Candidate| Some(c.format.as_str()) == expected && c.taken * 10 >= most * 9;
    // Who names the columns knows what the file is, even if some lines are damaged that a laxer family takes.
    let is_named = |c: &Candidate| c.has_heading && c.score > 0 && c.taken as f64 >= c.lines as f64 * MIN_SHARE;
    let named = candidates.iter().position(is_named);
    if let Some(index) = candidates.iter().position(is_expected).or(named).or(specific) {
        let chosen = candidates.remove(index);
        candidates.insert(0, chosen);
    }
    let best = candidates.first().filter(|best| best.taken as f64 >= best.lines as f64 * MIN_SHARE).cloned();
    Detection { best, candidates, inner: None }
}

/// `Nov 22 09:33:51 web1 nginx: 192.0.2.1 - - [22/Nov/2026…` is a line of an access log whose client is `Nov`, if one will. Where the
/// best family takes what an envelope carries as it takes the whole line, the file is of the envelope. So it is where only catch-alls,
/// or an envelope with nothing that is known in it, take the lines, and families take what another envelope carries.
fn with_envelope(mut chosen: Detection, catalog: &Catalog, lines: &[(usize, &[u8])], expected: Option<&str>) -> Detection {
    let Some(best) = chosen.best.as_ref().filter(|best| Some(best.format.as_str()) != expected) else { return chosen };
    let Some(family) = catalog.format(&best.format).filter(|family| !family.carries_lines) else { return chosen };
    let inside = Inside { catalog, family, is_any: best.score == 0 || family.is_envelope };
    let mut others = chosen.candidates.iter().enumerate().skip(1).filter_map(|(index, candidate)| {
        let envelope = catalog.format(&candidate.format).filter(|format| format.is_envelope)?;
        (candidate.taken * 10 >= best.taken * 9).then_some((index, envelope))
    });
    let carries = |envelope: &Format| inside.share_in(envelope, lines) >= 0.9;
    let found = others.find(|(_, envelope)| carries(envelope));
    if let Some((index, _)) = found {
        let envelope = chosen.candidates.remove(index);
        chosen.best = Some(envelope.clone());
        chosen.candidates.insert(0, envelope);
    }
    chosen
}

/// Whose lines are looked for in an envelope.
struct Inside<'a> {
    catalog: &'a Catalog,
    family: &'a Format,
    /// Any family's.
    is_any: bool,
}

impl Inside<'_> {
    /// The share of an envelope's lines that carry one of the family, or of another one of the same table. A family that is not read
    /// inside of the envelope and takes its head knows that head, and so does one that reads the same with and without it.
    fn share_in(&self, envelope: &Format, lines: &[(usize, &[u8])]) -> f64 {
        let Some(capture) = envelope.carries() else { return 0.0 };
        let patterns: Vec<_> = envelope.own().collect();
        let set = envelope.set();
        let mut slots = vec![Span::NONE; set.captures()];
        let mut scratch = Scratch::default();
        let is_read_inside = envelope.carries_lines || self.catalog.is_read_inside(&self.family.name, &envelope.name);
        let (mut looked_at, mut told) = (0u32, 0u32);
        for (_, line) in lines.iter().step_by(lines.len().div_ceil(INSIDE)) {
            let Ok(index) = set.find(line, &mut slots, &mut scratch) else { continue };
            let slot = patterns[index].matcher.captures().iter().position(|name| **name == *capture);
            let Some(text) = slot.and_then(|slot| slots[set.slot(index, slot)].of(line)) else { continue };
            looked_at += 1;
            // A head that any line may have is one only where nobody knows the whole line.
            if patterns[index].catch_all && !self.is_any {
                continue;
            }
            let mut others = self.catalog.formats().iter().filter(|other| {
                let is_near = self.family.table.name == other.table.name && other.is_joined == self.family.is_joined;
                let is_inside = !other.is_envelope || self.catalog.is_read_inside(&other.name, &envelope.name);
                other.name != self.family.name && is_inside && (self.is_any || is_near)
            });
            let is_own = is_read_inside
                && !self.family.is_envelope
                && takes(self.family, text, &mut scratch)
                && (self.is_any || !reads_the_same(self.family, line, text, &mut scratch));
            told += u32::from(is_own || others.any(|other| takes(other, text, &mut scratch)));
        }
        f64::from(told) / f64::from(looked_at.max(1))
    }
}

/// Has each capture of what is inside the same text in the whole line?
fn reads_the_same(format: &Format, whole: &[u8], inside: &[u8], scratch: &mut Scratch) -> bool {
    let set = format.set();
    let mut captures = |record: &[u8]| -> Option<BTreeMap<String, Vec<u8>>> {
        let mut slots = vec![Span::NONE; set.captures()];
        let index = set.find(record, &mut slots, scratch).ok()?;
        let names = format.own().nth(index)?.matcher.captures().iter().enumerate();
        let text = |slot: usize| slots[set.slot(index, slot)].of(record).map(<[u8]>::to_vec);
        Some(names.filter_map(|(slot, name)| Some((name.to_string(), text(slot)?))).collect())
    };
    let (Some(whole), Some(inside)) = (captures(whole), captures(inside)) else { return false };
    inside.iter().all(|(name, text)| whole.get(name).is_none_or(|other| other == text))
}

/// Does a pattern that says something take the line? That it is JSON says something.
fn takes(format: &Format, line: &[u8], scratch: &mut Scratch) -> bool {
    let holds = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    if !format.screens.iter().any(|screen| screen.begin.accepts(line, 0) && screen.is_held(holds)) {
        return false;
    }
    let set = format.set();
    let taken = set.find(line, &mut vec![Span::NONE; set.captures()], scratch);
    let says =
        |pattern: &Pattern| !pattern.catch_all || pattern.matcher.as_keyed().is_some_and(|keyed| keyed.syntax() == Syntax::Json);
    taken.is_ok_and(|index| format.own().nth(index).is_some_and(|pattern| says(pattern)))
}

fn sample_lines<'a>(chunks: &[&'a [u8]]) -> Vec<(usize, &'a [u8])> {
    let mut lines = vec![];
    let share = MAX_LINES / chunks.len().max(1);
    for (index, chunk) in chunks.iter().enumerate() {
        let whole = memchr::memrchr(b'\n', chunk).map_or(*chunk, |last| &chunk[..=last]);
        let numbered = split_lines(whole).enumerate().skip(usize::from(index > 0));
        let numbered = numbered.map(|(number, line)| (number + 1, clean(line)));
        lines.extend(numbered.filter(|(_, line)| !line.is_empty() && line.len() <= MAX_LINE_BYTES).take(share));
    }
    lines
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b'\n', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn clean(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = line.iter().position(|&byte| byte != 0).unwrap_or(line.len());
    let line = &line[text..];
    if line.iter().all(u8::is_ascii_whitespace) { &[] } else { line }
}

/// A family, while its patterns for whole lines are tried on some.
struct Asked<'a> {
    set: &'a PatternSet,
    slots: Vec<Span>,
    scratch: Scratch,
    /// What was learned of its lines in files before.
    tracing: Option<Tracing>,
}

impl<'a> Asked<'a> {
    /// What its lines look like is learned where it was the family of the file before, since several files may be alike.
    fn of(format: &'a Format, before: Option<&str>) -> Self {
        let set = format.set();
        let reader = Reader { read: &BTreeSet::new(), starts: None, carried: vec![] };
        let tracing = (before == Some(format.name.as_str())).then(|| set.tracing(&reader));
        Self { set, slots: vec![Span::NONE; set.captures()], scratch: Scratch::default(), tracing }
    }

    /// Which of the patterns takes the line.
    fn find(&mut self, line: &[u8]) -> Option<usize> {
        let Some(Tracing { planes, traces, .. }) = &mut self.tracing else {
            return self.set.find(line, &mut self.slots, &mut self.scratch).ok();
        };
        planes.reset();
        let found = self.set.find_in(line, (0, line.len()), &mut self.slots, &mut self.scratch, (planes, traces));
        found.ok().map(|found| found.pattern)
    }

    /// Done; what was learned is for the next file.
    fn end(self) {
        if let Some(tracing) = self.tracing {
            self.set.hand_on(tracing);
        }
    }
}

/// What a family that takes all of the lines makes of them.
fn judge_whole(format: &Format, before: Option<&str>, lines: &[(usize, &[u8])], sample: &Sample<'_>) -> Option<Candidate> {
    // What a few lines begin with, and have to hold, rules most families out. It costs less than the patterns, and nothing is compiled.
    let few = lines.iter().take(SCREENED).chain(lines.last());
    let may_take =
        |screen: &Screen, line: &[u8]| screen.begin.accepts(line, 0) && screen.is_held(|text| sample.holds(line, text));
    if lines.is_empty() || !few.into_iter().all(|(_, line)| format.screens.iter().any(|screen| may_take(screen, line))) {
        return None;
    }
    // Who was compiled for a file before says it at once.
    let mut scratch = Scratch::default();
    let mut is_taken = |set: &PatternSet| set.find(lines[0].1, &mut vec![Span::NONE; set.captures()], &mut scratch).is_ok();
    if format.known_set().is_some_and(|set| !is_taken(set)) {
        return None;
    }
    let begins = |line: &[u8]| format.screens.iter().any(|screen| screen.begin.accepts(line, 0));
    if !lines.iter().all(|(_, line)| begins(line)) {
        return None;
    }
    let patterns: Vec<_> = format.own().collect();
    let mut asked = Asked::of(format, before);
    let mut by_pattern = vec![0usize; patterns.len()];
    let takes_all = lines.iter().all(|(_, line)| {
        asked.find(line).is_some_and(|pattern| {
            by_pattern[pattern] += 1;
            true
        })
    });
    asked.end();
    if !takes_all {
        return None;
    }
    let mut candidate = Candidate::of(format);
    (candidate.taken, candidate.lines) = (lines.len(), lines.len());
    candidate.score_by(&patterns, &by_pattern);
    Some(candidate)
}

/// What a family makes of the lines, and the first line that it does not take.
fn judge<'a>(
    catalog: &Catalog,
    format: &Format,
    before: Option<&str>,
    lines: &[(usize, &'a [u8])],
) -> (Candidate, Option<(usize, &'a [u8])>) {
    let patterns: Vec<_> = format.own().collect();
    let mut asked = Asked::of(format, before);
    let mut candidate = Candidate::of(format);
    let mut missed = None;
    let mut by_pattern = vec![0usize; patterns.len()];
    let mut in_record = false;
    for &(number, line) in lines {
        if format.headings().any(|heading| heading.is(line)) {
            asked.scratch.set_header(Some(line));
            candidate.has_heading = true;
            continue;
        }
        let taken = asked.find(line);
        if taken.is_none()
            && in_record
            && format.is_joined
            && let Some(starts) = catalog.starts_of(&format.name)
            && starts.find(line, &mut vec![Span::NONE; starts.captures()], &mut asked.scratch).is_err()
        {
            // A continuation speaks neither for the family nor against it.
            continue;
        }
        if taken.is_none() && format.is_comment(line, &mut asked.scratch) {
            continue;
        }
        candidate.lines += 1;
        in_record = taken.is_some();
        match taken {
            Some(index) => {
                candidate.taken += 1;
                by_pattern[index] += 1;
            }
            None => missed = missed.or(Some((number, line))),
        }
    }
    asked.end();
    candidate.score_by(&patterns, &by_pattern);
    (candidate, missed)
}

/// The line as one that the family does not take.
fn miss(format: &Format, line: usize, text: &[u8]) -> Option<Miss> {
    let near = nearest_pattern(format.own(), text, &mut Scratch::default())?;
    let field = near.field.map(str::to_owned);
    Some(Miss { line, pattern: near.pattern.name.clone(), column: near.column, field, text: text.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_comes_to_what_the_slow_one_does() {
        let catalog = Catalog::builtin();
        for format in catalog.formats() {
            let samples: Vec<&str> = format.samples().iter().map(|sample| sample.line.as_str()).collect();
            let mut chunks: Vec<String> = samples.iter().map(|line| format!("{line}\n")).collect();
            chunks.push(samples.join("\n"));
            chunks.push(format!("{}\nno format takes this line\n", samples.join("\n")));
            for chunk in &chunks {
                let lines = sample_lines(&[chunk.as_bytes()]);
                let all = catalog.formats().iter();
                let slow = choose(all.map(|format| judge(&catalog, format, None, &lines).0), None);
                let slow = with_envelope(slow, &catalog, &lines, None).best;
                let quick = detect(&catalog, &[chunk.as_bytes()], None).best;
                let facts = |best: Option<Candidate>| best.map(|best| (best.format, best.pattern, best.taken, best.score));
                assert_eq!(facts(quick), facts(slow), "{}: {chunk}", format.name);
            }
        }
    }

    #[test]
    fn an_envelope_stands_in_an_envelope() {
        let catalog = Catalog::builtin();
        let lines =
            ["web1 sshd[7]: Server listening on 0.0.0.0 port 22.", "mail postfix/smtpd[12]: connect from unknown[192.0.2.1]"];
        for (head, stamp) in [
            ("2026-11-21T01:02:03.123456789Z ", "Nov 21 01:02:03"),
            ("mail-1  | ", "Nov 21 01:02:03"),
            ("mail-1  | ", "2026-11-21T01:02:03.123456+00:00"),
            ("mail-1  | 2026-11-21T01:02:03.123456789Z ", "<22>Nov 21 01:02:03"),
        ] {
            let document: String = lines.iter().map(|line| format!("{head}{stamp} {line}\n")).collect();
            let best = detect(&catalog, &[document.as_bytes()], None).best.map(|best| best.format);
            assert_eq!(best.as_deref(), Some("docker_cri"), "{document}");
        }
    }

    #[test]
    fn what_stands_in_an_envelope_is_of_the_envelope() {
        let catalog = Catalog::builtin();
        let stamp = "2026-11-21T01:02:03.123456789Z ";
        let envelopes = [
            ("docker_cri", "2026-11-21T01:02:03.123456789Z stdout F "),
            ("docker_cri", "web-1  | 2026-11-21T01:02:03.123456789Z "),
            ("docker_cri", "[pod/web-5d4f/nginx] "),
            ("docker_cri", stamp),
            ("syslog", "Nov 21 01:02:03 web1 nginx: "),
            ("syslog", "<190>Nov 21 01:02:03 web1 nginx[12]: "),
            ("syslog", "<190>1 2026-11-21T01:02:03.123456Z web1 nginx - - - "),
            ("syslog", "2026-11-21T01:02:03.123456+00:00 web1 nginx[12]: "),
            ("syslog", "2026-11-21T01:02:03.123456+00:00 web1.example.com nginx: "),
        ];
        let mut wrong = String::new();
        for format in catalog.formats().iter().filter(|format| !format.is_envelope && format.headings().next().is_none()) {
            let is_own = |line: &&str| !line.contains('\n') && takes(format, line.as_bytes(), &mut Scratch::default());
            let own: Vec<&str> = format.samples().iter().map(|sample| sample.line.as_str()).filter(is_own).collect();
            for (envelope, head) in envelopes.iter().filter(|_| !own.is_empty()) {
                // A stamp may be the program's own.
                let is_known = |line: &&str| takes(format, format!("{head}{line}").as_bytes(), &mut Scratch::default());
                if *head == stamp && own.iter().any(is_known) {
                    continue;
                }
                let wrapped: String = own.iter().map(|line| format!("{head}{line}\n")).collect();
                let best = detect(&catalog, &[wrapped.as_bytes()], None).best;
                if best.as_ref().is_none_or(|best| best.format != *envelope) {
                    let best = best.map(|best| format!("{} ({})", best.format, best.pattern));
                    wrong += &format!("{} in `{head}`: {best:?}\n", format.name);
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }
}
