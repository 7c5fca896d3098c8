//! Several patterns as one: what they begin with alike is matched once.
//!
//! ```text
//!   combined            C "ref" "agent"                       C "ref" "agent" ─┬─ end            → combined
//!   nginx_main          C "ref" "agent" "forwarded"    ──►                     └─ ' ' ─┬─ "…"    → nginx_main
//!   nginx_request_time  C "ref" "agent" 0.003                                          └─ digits → nginx_request_time
//! ```
//!
//! Patterns are flattened to a sequence of parts, fixed text to single bytes and captures to their begin, their parts and their end, and
//! neighbours with equal first parts are joined, again and again. The order among the patterns stays what it was: a part that is ambiguous in a pattern (a lazy
//! run) is joined only where the definition says [`Ways::Together`], and then its first way is tried with all patterns
//! behind it before its second way is.
//!
//! Patterns that go by keys are joined in their own way ([`keys`](super::keys)). A record that both kinds take is that of the
//! pattern which comes first.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex::bytes::{CaptureLocations, Regex};
use regex_syntax::hir::Hir;

use super::Span;
use super::keys::{KeySet, Keyed, Learned};
use super::lower::{NotLowered, clear_parts, lower};
use super::matcher::{Matcher, Scratch, build_set};
use super::planes::Planes;
use super::program::{Failure, Outcome, Program};
use super::rest::{Interest, without_rest};
#[cfg(test)]
use super::trace::ABREAST;
use super::trace::Traces;
use super::tracing::{Reader, Tracing};
use super::tree::Tree;

/// What readers have learned is kept for so many others.
const MAX_SPARE: usize = 16;

/// How patterns that begin alike come back to an ambiguous part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ways {
    /// One pattern tries all ways before the next pattern does.
    #[default]
    Each,
    /// All patterns try one way before the next way is tried: the part is read once.
    Together,
}

/// Patterns that are tried together.
pub struct PatternSet {
    /// The names of all captures of regexes; those that use the same name share it.
    captures: Vec<Box<str>>,
    /// For each pattern, the set's slot of each of its captures.
    slots: Vec<Vec<u16>>,
    /// The first pattern that is a regex, and the first one that goes by keys.
    first_regex: usize,
    first_keyed: usize,
    /// Those that go by keys, and where their slots begin: behind those of the regexes.
    keyed: Arc<Vec<(KeySet, usize)>>,
    joined: Tree,
    /// Lowered when the first record is read: of most sets only a part is.
    engine: OnceLock<Result<Program, NotLowered>>,
    oracle: OnceLock<Option<Twin>>,
    /// No other set has it.
    number: u64,
    /// What readers have learned that are done.
    spare: Mutex<Vec<Tracing>>,
}

/// Who takes a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The pattern.
    pub pattern: usize,
    /// The trace whose [spans](Traces::spans) are the record's captures; without one, they are in the slots.
    pub trace: Option<usize>,
}

/// The same set on the regex crate. Names may occur once in a regex, so each group has a number for a name.
struct Twin {
    regex: Regex,
    /// What each group is.
    groups: Vec<(usize, Role)>,
}

#[derive(Clone, Copy)]
enum Role {
    Slot(usize),
    Begin(usize),
    End(usize),
    Accept(usize),
}

impl fmt::Debug for PatternSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatternSet")
            .field("patterns", &self.slots.len())
            .field("captures", &self.captures)
            .finish_non_exhaustive()
    }
}

impl PatternSet {
    /// Joins the patterns; the first that takes a record wins, but for what the module says of ambiguous parts.
    pub fn new<'a>(matchers: impl IntoIterator<Item = &'a Matcher>, ways: Ways) -> Self {
        let mut captures: Vec<Box<str>> = vec![];
        let mut slots: Vec<Vec<u16>> = vec![];
        let mut sequences = vec![];
        let mut first_regex = usize::MAX;
        let mut by_keys = vec![];
        for (index, matcher) in matchers.into_iter().enumerate() {
            let regex = match matcher {
                Matcher::Regex(regex) => regex,
                Matcher::Keyed(keyed) => {
                    by_keys.push((index, &**keyed));
                    slots.push(vec![]);
                    continue;
                }
            };
            first_regex = first_regex.min(index);
            let own = regex.captures().iter().map(|name| {
                let known = captures.iter().position(|other| other == name);
                known.unwrap_or_else(|| {
                    captures.push(name.clone());
                    captures.len() - 1
                }) as u16
            });
            slots.push(own.collect());
            let mut parts = vec![];
            flatten(regex.as_tree(), &mut parts);
            parts.push(Tree::Accept(index as u32));
            sequences.push(parts);
        }
        let joined = join(&sequences_of(&sequences, ways));
        let mut keyed = vec![];
        let mut base = captures.len();
        while let Some((_, first)) = by_keys.first() {
            let is_alike = |other: &Keyed| other.syntax() == first.syntax() && other.dialect() == first.dialect();
            let (alike, others) = by_keys.iter().partition::<Vec<(usize, &Keyed)>, _>(|(_, pattern)| is_alike(pattern));
            by_keys = others;
            let set = KeySet::new(alike);
            for (pattern, own) in set.slots() {
                slots[pattern] = own.iter().map(|slot| slot + base as u16).collect();
            }
            let next = base + set.len();
            keyed.push((set, base));
            base = next;
        }
        let first_keyed = keyed.iter().map(|(set, _)| set.first()).min().unwrap_or(usize::MAX);
        let keyed = Arc::new(keyed);
        Self::of_parts(captures, slots, (first_regex, first_keyed), keyed, joined)
    }

    fn of_parts(
        captures: Vec<Box<str>>,
        slots: Vec<Vec<u16>>,
        (first_regex, first_keyed): (usize, usize),
        keyed: Arc<Vec<(KeySet, usize)>>,
        joined: Tree,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (engine, oracle, spare) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Self { captures, slots, first_regex, first_keyed, keyed, joined, engine, oracle, number, spare }
    }

    /// The set for somebody who looks at no captures but `needed`, and to whom patterns of one class are one: see [`rest`](super::rest).
    /// `None` where that saves nothing.
    pub(crate) fn without_rest(&self, needed: &BTreeSet<usize>, classes: &[usize]) -> Option<Self> {
        let slot = |name: &str| self.captures.iter().position(|other| **other == *name);
        // Which of them takes a record counts where one that goes by keys could come first.
        let is_keyed = |pattern: usize| self.keyed.iter().any(|(set, _)| set.slots().any(|(keyed, _)| keyed == pattern));
        let are_alike = |patterns: &[usize]| {
            let (first, last) = (patterns.iter().min().copied().unwrap_or(0), patterns.iter().max().copied().unwrap_or(0));
            patterns.iter().all(|&pattern| classes[pattern] == classes[first]) && !(first..last).any(is_keyed)
        };
        let interest = Interest { slot: &slot, needed, are_alike: &are_alike };
        let joined = without_rest(&self.joined, &interest)?;
        let (captures, slots, keyed) = (self.captures.clone(), self.slots.clone(), Arc::clone(&self.keyed));
        Some(Self::of_parts(captures, slots, (self.first_regex, self.first_keyed), keyed, joined))
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What to read records with: what another such reader has learned, or nothing yet.
    pub(crate) fn tracing(&self, reader: &Reader<'_>) -> Tracing {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let known = spare.iter().position(|tracing| tracing.serves(reader));
        known.map_or_else(|| Tracing::new(self, reader), |known| spare.remove(known))
    }

    /// For the next reader.
    pub(crate) fn hand_on(&self, tracing: Tracing) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if tracing.has_room() {
            // Who asked for something else long ago will not come back.
            if spare.len() == MAX_SPARE {
                spare.remove(0);
            }
            spare.push(tracing);
        }
    }

    /// So many readers have handed something on, which is gone now.
    #[cfg(test)]
    pub(crate) fn forget(&self) -> usize {
        std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }

    /// How many captures there are in all.
    pub fn captures(&self) -> usize {
        self.keyed.last().map_or(self.captures.len(), |(set, base)| base + set.len())
    }

    /// The set's slot of a pattern's capture.
    pub fn slot(&self, pattern: usize, capture: usize) -> usize {
        usize::from(self.slots[pattern][capture])
    }

    /// The joined program, or why there is none.
    pub fn program(&self) -> Result<&Program, &NotLowered> {
        let slot = |name: &str| self.captures.iter().position(|other| **other == *name).map(|slot| slot as u16);
        self.engine.get_or_init(|| lower(&self.joined, self.captures.len(), slot)).as_ref()
    }

    /// The captures of a pattern, out of the set's slots.
    pub fn spans_of(&self, pattern: usize, slots: &[Span]) -> Vec<Span> {
        self.slots[pattern].iter().map(|&slot| slots[usize::from(slot)]).collect()
    }

    /// Asks those that go by keys (`true`) and the regexes, as far as that can change which pattern comes first.
    #[inline]
    fn first_of(&self, mut ask: impl FnMut(bool) -> Result<Found, Failure>) -> Result<Found, Failure> {
        if self.keyed.is_empty() {
            return ask(false);
        }
        let keyed_first = self.first_keyed < self.first_regex;
        let one = ask(keyed_first);
        let first_other = if keyed_first { self.first_regex } else { self.first_keyed };
        if first_other == usize::MAX || one.is_ok_and(|found| found.pattern < first_other) {
            return one;
        }
        match (one, ask(!keyed_first)) {
            (Ok(one), Ok(other)) => Ok(if other.pattern < one.pattern { other } else { one }),
            (Err(one), Err(other)) => Err(if other.at > one.at { other } else { one }),
            (one, other) => one.or(other),
        }
    }

    /// Which of the patterns that go by keys takes the record.
    #[inline]
    fn find_keyed(
        &self,
        record: &[u8],
        slots: &mut [Span],
        scratch: &mut Scratch,
        mut learned: Option<&mut Vec<Learned>>,
        ends: Option<impl Fn(usize) -> usize + Copy>,
    ) -> Result<Found, Failure> {
        let mut furthest = Failure::default();
        let mut best: Option<usize> = None;
        if let Some(learned) = learned.as_deref_mut().filter(|learned| learned.len() < self.keyed.len()) {
            learned.resize_with(self.keyed.len(), Learned::default);
        }
        for (index, (set, base)) in self.keyed.iter().enumerate() {
            if best.is_some_and(|best| best < set.first()) {
                continue;
            }
            let own = &mut slots[*base..*base + set.len()];
            let learned = learned.as_deref_mut().map(|learned| &mut learned[index]);
            match set.find(record, own, &mut scratch.frames, learned, ends) {
                Ok(pattern) => best = Some(best.map_or(pattern, |best| best.min(pattern))),
                Err(failure) if failure.at > furthest.at => {
                    let capture = failure.capture.map(|slot| slot + *base as u16);
                    furthest = Failure { capture, ..failure };
                }
                Err(_) => {}
            }
        }
        best.map(|pattern| Found { pattern, trace: None }).ok_or(furthest)
    }

    /// Which pattern takes the whole record; `slots` then has the spans of its captures.
    #[inline]
    pub fn find(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<usize, Failure> {
        let found = self.first_of(|keyed| match keyed {
            true => self.find_keyed(record, slots, scratch, None, None::<fn(usize) -> usize>),
            false => self.find_regex(record, slots, scratch).map(|pattern| Found { pattern, trace: None }),
        });
        found.map(|found| found.pattern)
    }

    #[inline]
    fn find_regex(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<usize, Failure> {
        let slots = &mut slots[..self.captures.len()];
        if let Ok(program) = self.program() {
            match program.run(record, slots, &mut scratch.stacks) {
                Outcome::Matched(pattern) => return Ok(pattern as usize),
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Exhausted => {}
            }
        }
        self.find_by_twin(record, slots, scratch)
    }

    /// The same as [`find`](Self::find) for `window[record]`, with the planes of the window: records that are like others
    /// before them are read by a trace.
    #[inline]
    pub fn find_in(
        &self,
        window: &[u8],
        record: (usize, usize),
        slots: &mut [Span],
        scratch: &mut Scratch,
        (planes, traces): (&mut Planes, &mut Traces),
    ) -> Result<Found, Failure> {
        planes.fill(window, record.1);
        self.first_of(|keyed| match keyed {
            true => {
                let text = &window[record.0..record.1];
                if !self.keyed.iter().any(|(set, _)| set.begins(text)) {
                    return Err(Failure::default());
                }
                // Most files have no JSON, and then no need of the plane.
                let is_json = self.keyed.iter().any(|(set, _)| set.is_json() && set.begins(text));
                let plane = if is_json { traces.text_plane(planes, window) } else { None };
                let plane = plane.map(|plane| planes.plane(plane));
                let ends = plane.map(|plane| move |at: usize| plane.next(record.0 + at, record.1).min(record.1) - record.0);
                self.find_keyed(text, slots, scratch, Some(&mut traces.learned), ends)
            }
            false => self.find_regex_in(window, record, slots, scratch, (planes, traces)),
        })
    }

    #[inline]
    fn find_regex_in(
        &self,
        window: &[u8],
        record: (usize, usize),
        slots: &mut [Span],
        scratch: &mut Scratch,
        (planes, traces): (&mut Planes, &mut Traces),
    ) -> Result<Found, Failure> {
        let text = &window[record.0..record.1];
        let found = |pattern: usize| Found { pattern, trace: None };
        let Ok(program) = self.program() else { return self.find_regex(text, slots, scratch).map(found) };
        if let Some(trace) = traces.find((program, &mut scratch.stacks), planes, window, record) {
            return Ok(Found { pattern: traces.pattern(trace), trace: Some(trace) });
        }
        let own = &mut slots[..self.captures.len()];
        match program.run(text, own, &mut scratch.stacks) {
            Outcome::Matched(pattern) => {
                // It is written down in a second run, since most of the records that come here are of no pattern.
                if traces.is_learning()
                    && matches!(program.record(text, own, &mut scratch.stacks, &mut traces.path), Outcome::Matched(_))
                {
                    traces.learn(program, planes, window);
                }
                Ok(found(pattern as usize))
            }
            Outcome::Failed(failure) => Err(failure),
            Outcome::Exhausted => self.find_by_twin(text, own, scratch).map(found),
        }
    }

    /// Tries several records of the window at once, if that is quicker than one after the other: then [`choose`](Self::choose) says for
    /// each in turn who takes it.
    #[inline]
    pub fn try_abreast(&self, window: &[u8], records: &[(usize, usize)], (planes, traces): (&mut Planes, &mut Traces)) -> bool {
        // One that goes by keys may come before it.
        let is_first = |trace: &usize| self.first_regex < self.first_keyed && traces.pattern(*trace) < self.first_keyed;
        let (Some(trace), Some(last)) = (traces.first().filter(is_first), records.last()) else { return false };
        planes.fill(window, last.1);
        traces.try_abreast(trace, planes, window, records)
    }

    /// How many records from `lane` on, of those that were tried at once, one pattern takes, and which; [`Traces::capture_abreast`] has
    /// their captures.
    #[inline]
    pub fn chosen_from(&self, lane: usize, records: usize, traces: &Traces) -> (usize, usize) {
        (traces.taken_from(lane, records), traces.pattern(traces.tried()))
    }

    /// Who takes record `lane` of those that were tried at once. Where that is not known, [`find_in`](Self::find_in) has to be asked for
    /// that record next.
    #[inline]
    pub fn choose(&self, lane: usize, traces: &mut Traces) -> Option<Found> {
        let trace = traces.choose(lane)?;
        Some(Found { pattern: traces.pattern(trace), trace: Some(trace) })
    }

    /// The slow twin of [`find`](Self::find): the regex crate does the work of the programs.
    pub fn find_by_regex(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<usize, Failure> {
        let found = self.first_of(|keyed| match keyed {
            true => self.find_keyed(record, slots, scratch, None, None::<fn(usize) -> usize>),
            false => {
                let own = &mut slots[..self.captures.len()];
                self.find_by_twin(record, own, scratch).map(|pattern| Found { pattern, trace: None })
            }
        });
        found.map(|found| found.pattern)
    }

    fn find_by_twin(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<usize, Failure> {
        let Some(twin) = self.oracle.get_or_init(|| Twin::build(&self.joined, &self.captures)) else {
            return Err(Failure::default());
        };
        let locations: &mut CaptureLocations = scratch.locations(&twin.regex);
        slots.fill(Span::NONE);
        if twin.regex.captures_read(locations, record).is_none() {
            return Err(Failure::default());
        }
        let mut taken = None;
        for &(group, role) in &twin.groups {
            let Some((start, end)) = locations.get(group) else { continue };
            match role {
                Role::Slot(slot) => slots[slot] = Span { start: start as u32, end: end as u32 },
                Role::Begin(slot) => slots[slot].start = start as u32,
                Role::End(slot) => slots[slot].end = end as u32,
                Role::Accept(pattern) => taken = Some(pattern),
            }
        }
        taken.ok_or_else(Failure::default)
    }
}

impl Twin {
    fn build(joined: &Tree, captures: &[Box<str>]) -> Option<Self> {
        let (mut roles, mut text) = (vec![], String::from(r"\A(?:"));
        write_regex(joined, captures, &mut roles, &mut text).ok()?;
        let regex = build_set(&(text + r")\z")).ok()?;
        let groups = regex.capture_names().enumerate().filter_map(|(group, name)| {
            let number: usize = name?.strip_prefix('g')?.parse().ok()?;
            Some((group, *roles.get(number)?))
        });
        let groups = groups.collect();
        Some(Self { regex, groups })
    }
}

/// The parts of a pattern, as small as they can be joined.
fn flatten(tree: &Tree, parts: &mut Vec<Tree>) {
    match tree {
        Tree::Empty => {}
        Tree::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        Tree::Literal(text) => parts.extend(text.iter().map(|&byte| Tree::Byte(byte))),
        Tree::Capture(name, sub) if matches!(**sub, Tree::Concat(_)) => {
            parts.push(Tree::Open(Arc::clone(name)));
            flatten(sub, parts);
            parts.push(Tree::Close(Arc::clone(name)));
        }
        _ => parts.push(tree.clone()),
    }
}

/// The parts of a pattern, or the rest of them.
#[derive(Clone, Copy)]
struct Sequence<'a> {
    parts: &'a [Tree],
    /// So many of them may be joined: they have one way only.
    clear: usize,
}

impl Sequence<'_> {
    /// Can the part at `index` be joined with that of another one?
    fn is_alike(&self, other: &Self, index: usize) -> bool {
        index < self.clear.min(other.clear) && self.parts.get(index).is_some_and(|part| other.parts.get(index) == Some(part))
    }
}

/// The patterns of a set, and how much of each may be joined.
fn sequences_of(patterns: &[Vec<Tree>], ways: Ways) -> Vec<Sequence<'_>> {
    let clear = |index: usize, parts: &[Tree]| {
        if ways == Ways::Together {
            return usize::MAX;
        }
        // Only neighbours are joined, and only as far as they are alike.
        let neighbours = [index.checked_sub(1), Some(index + 1)].into_iter().flatten().filter_map(|index| patterns.get(index));
        let alike = neighbours.map(|other| parts.iter().zip(other).take_while(|(a, b)| a == b).count());
        clear_parts(parts, alike.max().unwrap_or(0))
    };
    patterns.iter().enumerate().map(|(index, parts)| Sequence { parts, clear: clear(index, parts) }).collect()
}

/// Joins neighbours with equal first parts.
fn join(sequences: &[Sequence<'_>]) -> Tree {
    let mut branches = vec![];
    let mut rest = sequences;
    while let Some(first) = rest.first() {
        let alike = 1 + rest[1..].iter().take_while(|other| first.is_alike(other, 0)).count();
        let (group, behind) = rest.split_at(alike);
        rest = behind;
        // As many parts as all of the group share; alone, that is all.
        let shared = match group {
            [_] => first.parts.len(),
            _ => (1..).find(|&n| !group[1..].iter().all(|other| first.is_alike(other, n))).unwrap_or(1),
        };
        let mut parts: Vec<Tree> = first.parts[..shared].to_vec();
        if group.len() > 1 {
            let tails: Vec<Sequence<'_>> = group
                .iter()
                .map(|other| Sequence { parts: &other.parts[shared..], clear: other.clear.saturating_sub(shared) })
                .collect();
            parts.push(join(&tails));
        }
        branches.push(Tree::concat(parts));
    }
    Tree::alternation(branches)
}

/// Writes the tree as a regular expression with a name of its own for each group.
fn write_regex(tree: &Tree, captures: &[Box<str>], roles: &mut Vec<Role>, out: &mut String) -> fmt::Result {
    let slot = |name: &str| captures.iter().position(|other| **other == *name).unwrap_or(0);
    let mut empty_group = |role: Role, out: &mut String| {
        write!(out, "(?<g{}>)", roles.len())?;
        roles.push(role);
        Ok(())
    };
    match tree {
        Tree::Empty => Ok(()),
        Tree::Byte(byte) => write!(out, r"\x{byte:02x}"),
        Tree::Literal(text) => text.iter().try_for_each(|byte| write!(out, r"\x{byte:02x}")),
        Tree::Set(set) if set.is_empty() => write!(out, "[a&&b]"),
        Tree::Set(set) => {
            write!(out, "[")?;
            set.ranges().try_for_each(|(first, last)| write!(out, r"\x{first:02x}-\x{last:02x}"))?;
            write!(out, "]")
        }
        Tree::Look(look) => write!(out, "{}", Hir::look(*look)),
        Tree::Capture(name, sub) => {
            write!(out, "(?<g{}>", roles.len())?;
            roles.push(Role::Slot(slot(name)));
            write_regex(sub, captures, roles, out)?;
            write!(out, ")")
        }
        Tree::Open(name) => empty_group(Role::Begin(slot(name)), out),
        Tree::Close(name) => empty_group(Role::End(slot(name)), out),
        Tree::Accept(pattern) => empty_group(Role::Accept(*pattern as usize), out),
        Tree::Concat(parts) => parts.iter().try_for_each(|part| write_regex(part, captures, roles, out)),
        Tree::Alternation(branches) => {
            for (index, branch) in branches.iter().enumerate() {
                write!(out, "{}", if index == 0 { "(?:" } else { "|" })?;
                write_regex(branch, captures, roles, out)?;
            }
            write!(out, ")")
        }
        Tree::Repetition(repetition) => {
            write!(out, "(?:")?;
            write_regex(&repetition.sub, captures, roles, out)?;
            write!(out, "){{{},", repetition.min)?;
            if repetition.max < u32::MAX {
                write!(out, "{}", repetition.max)?;
            }
            write!(out, "}}{}", if repetition.greedy { "" } else { "?" })
        }
    }
}

/// Reads the records of one window with traces, several times over, and compares with what the set alone finds in each.
#[cfg(test)]
pub(crate) fn check_traces(set: &PatternSet, records: &[&[u8]]) {
    use super::simd::Level;

    let mut window = vec![];
    let mut places = vec![];
    for _ in 0..3 {
        for record in records {
            places.push((window.len(), window.len() + record.len()));
            window.extend_from_slice(record);
            window.push(b'\n');
        }
    }
    let mut scratch = Scratch::default();
    let alone: Vec<_> = places
        .iter()
        .map(|place| {
            let mut slots = vec![Span::NONE; set.captures()];
            (set.find(&window[place.0..place.1], &mut slots, &mut scratch), slots)
        })
        .collect();
    for level in Level::all() {
        let check = |found: Result<Found, Failure>, slots: &[Span], traces: &Traces, index: usize| {
            let record = || window[places[index].0..places[index].1].escape_ascii();
            let (expected, alone) = &alone[index];
            assert_eq!(found.map(|found| found.pattern), *expected, "{level:?} {set:?} on {}", record());
            if let Ok(Found { trace, pattern }) = found {
                let slots = trace.map_or(slots, |trace| traces.spans(trace));
                assert_eq!(set.spans_of(pattern, slots), set.spans_of(pattern, alone), "{level:?} {set:?} on {}", record());
            }
        };
        let (mut planes, mut traces) = (Planes::new(level), Traces::default());
        let mut slots = vec![Span { start: 3, end: 5 }; set.captures()];
        for (index, &place) in places.iter().enumerate() {
            let found = set.find_in(&window, place, &mut slots, &mut scratch, (&mut planes, &mut traces));
            check(found, &slots, &traces, index);
        }
        // The planes are the same at all levels.
        let abreast = if level == Level::best() { &places[..] } else { &[] };
        for (first, places) in abreast.chunks(ABREAST).enumerate() {
            traces.try_abreast_again();
            let is_abreast = set.try_abreast(&window, places, (&mut planes, &mut traces));
            for (lane, &place) in places.iter().enumerate() {
                let chosen = if is_abreast { set.choose(lane, &mut traces) } else { None };
                let found = match chosen {
                    Some(found) => Ok(found),
                    None => set.find_in(&window, place, &mut slots, &mut scratch, (&mut planes, &mut traces)),
                };
                check(found, &slots, &traces, first * ABREAST + lane);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], lines: &[&[u8]]) -> Vec<Option<usize>> {
        let matchers: Vec<Matcher> = patterns.iter().map(|pattern| Matcher::try_new(pattern).expect(pattern)).collect();
        let set = PatternSet::new(&matchers, Ways::Each);
        assert!(set.program().is_ok(), "{:?}", set.program().err());
        check_traces(&set, lines);
        let mut scratch = Scratch::default();
        let taken = lines.iter().map(|line| {
            let mut fast = vec![Span::NONE; set.captures()];
            let mut slow = fast.clone();
            let a = set.find(line, &mut fast, &mut scratch).ok();
            let b = set.find_by_regex(line, &mut slow, &mut scratch).ok();
            let program = set.program().expect("lowered");
            assert_eq!(a, b, "{}\n{program}", line.escape_ascii());
            let first = matchers.iter().position(|matcher| {
                let mut alone = vec![Span::NONE; matcher.captures().len()];
                matcher.find(line, &mut alone, &mut scratch).is_ok()
            });
            assert_eq!(a, first, "{}\n{program}", line.escape_ascii());
            if let Some(pattern) = a {
                // The captures of the pattern that takes the record, as the pattern alone has them.
                let matcher = &matchers[pattern];
                let mut alone = vec![Span::NONE; matcher.captures().len()];
                assert!(matcher.find(line, &mut alone, &mut scratch).is_ok(), "{}", line.escape_ascii());
                for (capture, span) in alone.into_iter().enumerate() {
                    assert_eq!(fast[set.slot(pattern, capture)], span, "{} capture {capture}\n{program}", line.escape_ascii());
                    assert_eq!(slow[set.slot(pattern, capture)], span, "{} capture {capture}", line.escape_ascii());
                }
            }
            a
        });
        taken.collect()
    }

    #[test]
    fn the_first_pattern_that_takes_a_record_wins() {
        let patterns = [
            r#"(?<a>[^ ]+) "(?<q>[^"]*)" (?<n>\d+)"#,
            r#"(?<a>[^ ]+) "(?<q>[^"]*)""#,
            r#"(?<a>[^ ]+) "(?<q>[^"]*)" (?<rest>.*)"#,
            r"(?<b>\d+)",
            r"(?<a>[^ ]+)",
        ];
        let lines: [&[u8]; 7] = [br#"x "y" 1"#, br#"x "y""#, br#"x "y" z"#, b"12", b"x", b"", b"x y"];
        let expected = [Some(0), Some(1), Some(2), Some(3), Some(4), None, None];
        assert_eq!(check(&patterns, &lines), expected);
    }

    #[test]
    fn an_ambiguous_part_is_joined_only_on_demand() {
        let patterns = [r"(?<m>.*?), c: (?<c>[a-z]+)", r"(?<m>.*?), c: (?<c>.*)"];
        let line = b"x, c: 1, c: z";
        assert_eq!(check(&patterns, &[line]), [Some(0)]);
        let matchers = patterns.map(|pattern| Matcher::try_new(pattern).expect(pattern));
        let set = PatternSet::new(&matchers, Ways::Together);
        let mut slots = vec![Span::NONE; set.captures()];
        assert_eq!(set.find(line, &mut slots, &mut Scratch::default()), Ok(1));
        assert_eq!(set.find_by_regex(line, &mut slots, &mut Scratch::default()), Ok(1));
    }

    #[test]
    fn characters_of_several_bytes_are_bytes() {
        let patterns = ["(?<w>a|ä|€)=(?<v>[0-9]+)", "(?<w>(?:o|ö)+)=(?<v>.*)"];
        let lines = ["a=1", "ä=2", "€=3", "oöo=4", "ö=x", "\u{fc}=1"].map(str::as_bytes);
        assert_eq!(check(&patterns, &lines), [Some(0), Some(0), Some(0), Some(1), Some(1), None]);
    }

    /// Many sets have a layout in front that begins as most lines do, and that no line of the file has.
    #[test]
    fn a_way_that_leads_nowhere_keeps_no_record_from_its_trace() {
        let patterns = [
            r"(?<n>\d{9,12}) (?<zone>[A-Z]{2}): (?<m>.*)",
            r"(?<n>\d{9,12})(?: (?<extra>[a-z]+=[0-9]+))? (?<host>[^ ]+) (?<m>.*)",
            r"(?<n>\d{9,12}) (?<rest>.*)",
        ];
        let lines: [&[u8]; 9] = [
            b"1234567890 web x y",
            b"1234567890 AB: x",
            b"1234567890 AB x y",
            b"1234567890 abcdefghij=12 web y",
            b"1234567890 abcdefghij=x y",
            b"1234567890 abcdefghij=12",
            b"1234567890 AB:x",
            b"1234567890 ABC: x",
            b"1234567890 abcdefghij=1 ",
        ];
        let expected = [1, 0, 1, 1, 1, 2, 2, 1, 1].map(Some);
        assert_eq!(check(&patterns, &lines), expected);

        let matchers = patterns.map(|pattern| Matcher::try_new(pattern).expect(pattern));
        let set = PatternSet::new(&matchers, Ways::Each);
        let line = lines[4];
        let (mut planes, mut traces) = (Planes::default(), Traces::default());
        let mut find = || {
            let mut slots = vec![Span::NONE; set.captures()];
            set.find_in(line, (0, line.len()), &mut slots, &mut Scratch::default(), (&mut planes, &mut traces)).expect("taken")
        };
        assert_eq!((find().trace, find().trace), (None, Some(0)));
    }

    /// A run that does not find its end in a record must not find it in the next one.
    #[test]
    fn a_trace_stays_inside_of_its_record() {
        let patterns = [
            r"\[(?<level>[a-z]+)\] \[client (?<client>[^\]]+)\] (?<m>.*?)(?:, referer (?<referer>.*))?",
            r"\[(?<level>[a-z]+)\] (?<m>.*)",
        ];
        let lines: [&[u8]; 4] =
            [b"[error] [client ::1] no", b"[error] [client ::1] no, referer /", b"[error] [client 2", b"[error] [client ::1] no"];
        assert_eq!(check(&patterns, &lines), [Some(0), Some(0), Some(1), Some(0)]);
    }

    /// Whoever looks at the level only has no need of what stands behind it.
    #[test]
    fn the_rest_of_a_record_is_left_out_where_it_decides_nothing() {
        let patterns = [
            r"(?<level>[a-z]+): \*(?<number>[0-9]+) (?<m>.*?), client: (?<client>[^,]+)(?:, server: (?<server>[^,]*))?",
            r"(?<level>[a-z]+): (?<m>.*)",
            r"(?<level>[a-z]+) (?<code>[0-9]+)",
        ];
        let matchers: Vec<Matcher> = patterns.iter().map(|pattern| Matcher::try_new(pattern).expect(pattern)).collect();
        let set = PatternSet::new(&matchers, Ways::Each);
        let slots = |names: &[&str]| -> BTreeSet<usize> {
            names.iter().map(|name| set.captures.iter().position(|own| **own == **name).expect(name)).collect()
        };
        let steps = |set: &PatternSet| set.program().expect("lowered").steps.len();
        // A capture that begins before the rest ends in it.
        let parted = [r"(?<level>[a-z]+): (?<whole>a(?<m>.*?), b)", r"(?<level>[a-z]+): (?<whole>a.*)"];
        let parted: Vec<Matcher> = parted.iter().map(|pattern| Matcher::try_new(pattern).expect(pattern)).collect();
        let parted = PatternSet::new(&parted, Ways::Each);
        let slot = |name: &str| parted.captures.iter().position(|own| **own == *name).expect(name);
        assert!(parted.without_rest(&[slot("whole")].into(), &[0, 0]).is_none());
        assert!(parted.without_rest(&[slot("level"), slot("m")].into(), &[0, 0]).is_none());
        assert!(parted.without_rest(&[slot("level")].into(), &[0, 0]).is_some());
        let few = set.without_rest(&slots(&["level"]), &[0, 0, 0]).expect("less");
        assert!(steps(&few) * 2 < steps(&set), "{}", few.program().expect("lowered"));
        // Where what comes of them differs, or the rest is looked at, nothing is left out.
        assert!(set.without_rest(&slots(&["level"]), &[0, 1, 1]).is_none());
        assert!(set.without_rest(&slots(&["client"]), &[0, 0, 0]).is_none());
        assert!(set.without_rest(&slots(&["m"]), &[0, 0, 0]).is_none());
        for line in [
            &b"warn: *7 a, client: ::1"[..],
            b"warn: a",
            b"warn: ",
            b"warn",
            b"warn 7",
            b"warn 7a",
            b"Warn: a",
            b"warn: *7 a, client: ",
        ] {
            let mut scratch = Scratch::default();
            let (mut whole, mut part) = (vec![Span::NONE; set.captures()], vec![Span::NONE; set.captures()]);
            let (a, b) = (set.find(line, &mut whole, &mut scratch), few.find(line, &mut part, &mut scratch));
            assert_eq!((a.is_ok(), whole[0]), (b.is_ok(), part[0]), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn one_pattern_is_a_set_and_so_is_none() {
        assert_eq!(check(&["a+"], &[b"a", b"b", b""]), [Some(0), None, None]);
        assert_eq!(check(&["", "a"], &[b"a", b"b", b""]), [Some(1), None, Some(0)]);
        assert_eq!(check(&[""], &[b"", b"", b"a"]), [Some(0), Some(0), None]);
        assert_eq!(PatternSet::new([], Ways::Each).find(b"a", &mut [], &mut Scratch::default()), Err(Failure::default()));
    }
}
