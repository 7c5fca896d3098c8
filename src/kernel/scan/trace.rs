//! The way that most records of a file take through a program, as a list of equal steps without a jump.
//!
//! The lines of a file are alike: the program takes the same branches on nearly all of them. A [`Trace`] is what it did on
//! one record, without the branches. Its steps all have the same form, so that one short loop runs them, and they find the
//! ends of fields in bit [`Planes`](super::planes) instead of looking at bytes:
//!
//! ```text
//!   [open capture] run up to a byte of a plane, min to max bytes [close capture] literal, of which a part may be a capture
//! ```
//!
//! Steps behind each other whose runs have one length, such as the parts of a stamp, are one step: a [`Shape`].
//!
//! Where most records are of one trace, some of them are read abreast: each step is done for all of them before the next one is.
//!
//! A trace holds only first choices of the program, for every record that it takes: that follows from the bytes that the rest
//! of the trace asks for, or a [`Guard`] looks at each record. So a record that a trace takes is one that the program takes in
//! the same way, and a record that it does not take is left to the program.

use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::keys::Learned;
use super::planes::Planes;
use super::program::{Path, Prefer, Program, SKIP, Stacks, Step, TAKE};
use super::shape::{self, Near, Shape};
use super::{Span, json};

/// Traces of one program at most.
const MAX_TRACES: usize = 64;
/// Guesses about the records that the first trace does not take.
const GUESSES: usize = 256;
/// So many records that no trace is guessed to take go to the program at once, before one of them is tried with all traces again.
const TURNS: u8 = 32;
/// Records that may be recorded in vain before no more are.
const MAX_FAILURES: u32 = 64;
/// Steps of a trace at most.
const MAX_OPS: usize = 64;
/// The literal of a step is compared as one number.
const LITERAL_BYTES: usize = 8;
/// Captures of a program that has traces at most: an index of one byte is always inside.
const SLOTS: usize = 256;
/// No guard.
const NO_GUARD: u8 = u8::MAX;
/// No shape.
const NO_SHAPE: u8 = u8::MAX;
/// The end of the run is looked for in its plane.
const FAR: u8 = u8::MAX;
/// A run that takes one byte or two is taken for as long as it was, so that it can be part of a shape, in so many traces.
const EXACT_TRACES: usize = 6;
/// Runs that are so long on the record that is learned are short.
const NEAR_BYTES: usize = 12;

/// Records that are tried at once. What is looked at of them fits into the first cache, with its planes.
pub const ABREAST: usize = 32;
/// The trace takes the record.
const TAKEN: u8 = u8::MAX;
/// Bytes of a window in which records are tried at once: places are kept in 32 bits.
const MAX_WINDOW: usize = 1 << 31;
/// So many records are read one by one behind some of which most were not of the first trace.
const APART: u32 = 1024;

/// What it means that a run ends where its literal is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Otherwise {
    /// Another record.
    Fail,
    /// The run goes on behind this byte and the next one, if it is this byte.
    Escape(u8),
    /// The run goes on to the first place that its guard calls a candidate.
    GoOn,
    /// The run goes back to the last place that its guard calls a candidate.
    GoBack,
}

/// What has to be seen in each record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Guard {
    /// The program does not go the other way here.
    Branch { ways: Box<[u8; 257]>, other: u8, ahead: Option<Box<Ahead>> },
    /// Where a run of the set can end.
    Candidate { set: ByteSet, follow: Box<Ahead> },
}

impl Guard {
    /// Does the program not go the other way here? Is it a candidate?
    fn allows(&self, record: &[u8], at: usize) -> bool {
        match self {
            Self::Branch { ways, other, ahead } => {
                let way = ways[record.get(at).map_or(256, |&byte| usize::from(byte))];
                way & other == 0 || (way == TAKE | SKIP && ahead.as_ref().is_some_and(|ahead| !ahead.accepts(record, at)))
            }
            Self::Candidate { follow, .. } => follow.accepts(record, at),
        }
    }

    /// Can a run go on over this byte?
    fn goes_on(&self, byte: u8) -> bool {
        matches!(self, Self::Candidate { set, .. } if set.contains(byte))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Op {
    plane: u8,
    literal_len: u8,
    otherwise: Otherwise,
    /// What has to hold where the step begins, and where its run can end; or [`NO_GUARD`].
    guard: u8,
    candidate: u8,
    /// The shape that stands for all else, or [`NO_SHAPE`].
    shape: u8,
    /// What finds the end of a short run, or [`FAR`].
    near: u8,
    /// Bytes of the run: at least, and how many more there may be.
    min: u32,
    more: u32,
    literal: u64,
    mask: u64,
}

/// A step that takes nothing.
const BLANK: Op = Op {
    plane: 0,
    literal_len: 0,
    otherwise: Otherwise::Fail,
    guard: NO_GUARD,
    candidate: NO_GUARD,
    shape: NO_SHAPE,
    near: FAR,
    min: 0,
    more: 0,
    literal: 0,
    mask: 0,
};

/// Where a capture begins or ends: so many bytes behind where a step or its run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    slot: u8,
    is_begin: bool,
    /// Twice the number of the step, and one more for the end of its run.
    place: u8,
    offset: u8,
}

/// A branch whose first way led nowhere on the record that was learned, but only behind more bytes than a guard looks at: it has
/// to lead nowhere on each record.
struct Detour {
    /// Where the branch is, as of an [`Edge`].
    place: u8,
    offset: u8,
    /// Rules the way out, if it does, without going it.
    guard: Guard,
    /// The first step of that way.
    pc: u32,
}

/// Several records that one trace was tried on at once.
///
/// Whether a step fits is known long before where the next one begins, so records one after the other keep a CPU waiting; a step
/// of 32 records one after the other does not, and is the same few instructions for all of them.
#[derive(Default)]
struct Abreast {
    trace: usize,
    /// By place, as of an [`Edge`].
    places: Vec<[u32; ABREAST]>,
    /// Which step of the trace each record failed at, or [`TAKEN`].
    failed: [u8; ABREAST],
    /// The record that comes next was tried with this trace, which failed at this step.
    resumed: Option<(usize, usize)>,
    /// So many records more are read one by one.
    apart: u32,
}

/// A record that traces are tried on.
struct Attempt<'a> {
    machine: (&'a Program, &'a mut Stacks),
    planes: &'a Planes,
    window: &'a [u8],
    record: (usize, usize),
    /// The trace that was tried last, and which of its steps failed.
    before: Option<(usize, usize)>,
}

struct Trace {
    ops: Vec<Op>,
    /// They are looked at when all else fits.
    detours: Vec<Detour>,
    /// The captures that are asked for.
    edges: Vec<Edge>,
    pattern: u32,
    hits: u64,
    /// So many steps it begins with are those of each of the other traces.
    shared: Vec<usize>,
    /// The captures of the record that it takes. Those that it does not have stay as they are.
    slots: Box<[Span; SLOTS]>,
}

/// Room for the places of the longest trace: an index of one byte is always inside.
struct Places(Box<[usize; 256]>);

impl Default for Places {
    fn default() -> Self {
        Self(Box::new([0; 256]))
    }
}

/// What steps of traces ask for, each once.
#[derive(Default)]
struct Rules {
    guards: Vec<Guard>,
    shapes: Vec<Shape>,
    nears: Vec<Near>,
}

impl Rules {
    /// Where the run of the step ends that begins at `at`, if it does before `limit`.
    #[inline(always)]
    fn end(&self, op: &Op, planes: &Planes, window: &[u8], at: usize, limit: usize) -> usize {
        match self.nears.get(usize::from(op.near)) {
            None => planes.plane(op.plane).next(at, limit),
            Some(near) => near.next(window, at, limit),
        }
    }

    /// Does the guard of the step, if it has one, let it begin at `at`?
    #[inline(always)]
    fn is_free(&self, op: &Op, window: &[u8], at: usize, limit: usize) -> bool {
        op.guard == NO_GUARD || self.guards[usize::from(op.guard)].allows(&window[..limit], at)
    }

    /// Does a step that begins at `at`: where its run ends, and where the next step begins. Where it fails, the end of its run
    /// if that was seen.
    #[inline(always)]
    fn pass(&self, op: &Op, planes: &Planes, window: &[u8], at: usize, limit: usize) -> Result<(usize, usize), usize> {
        if op.is_odd() {
            if let Some(shape) = self.shapes.get(usize::from(op.shape)) {
                return if shape.is_at(window, at, limit) { Ok((at, at + shape.len())) } else { Err(at) };
            }
            if !self.is_free(op, window, at, limit) {
                return Err(at);
            }
        }
        self.pass_run(op, planes, window, (at, self.end(op, planes, window, at, limit)), limit)
    }

    /// The same behind its guard, where `end` is the first place at which its run may end.
    #[inline(always)]
    fn pass_run(
        &self,
        op: &Op,
        planes: &Planes,
        window: &[u8],
        (at, mut end): (usize, usize),
        limit: usize,
    ) -> Result<(usize, usize), usize> {
        if !op.is_at(window, at, end) {
            end = op.search(&self.guards, planes, window, (at, end), limit).ok_or(end)?;
        }
        Ok((end, end + usize::from(op.literal_len)))
    }

    /// The same for the last step, with which the record has to end: where its run ends.
    #[inline(always)]
    fn pass_last(&self, op: &Op, planes: &Planes, window: &[u8], at: usize, limit: usize) -> Result<usize, usize> {
        // Planes and literals know nothing of where the record ends.
        if at > limit {
            return Err(at);
        }
        let end = self.end(op, planes, window, at, limit).min(limit);
        let is_at = op.is_at(window, at, end);
        let end = if is_at { end } else { op.search(&self.guards, planes, window, (at, end), limit).ok_or(at)? };
        let is_end = end + usize::from(op.literal_len) == limit && self.is_free(op, window, at, limit);
        if is_end { Ok(end) } else { Err(end) }
    }
}

/// Where one capture begins and ends in records that were tried at once: places in the window, and how far behind them.
pub struct CaptureAbreast<'a> {
    begin: (&'a [u32; ABREAST], u32),
    end: (&'a [u32; ABREAST], u32),
}

impl CaptureAbreast<'_> {
    /// The span in record `lane`, which begins at `start` of the window.
    #[inline]
    pub fn span(&self, lane: usize, start: usize) -> Span {
        let at = |(places, offset): (&[u32; ABREAST], u32)| places[lane] - start as u32 + offset;
        Span { start: at(self.begin), end: at(self.end) }
    }
}

/// Who takes a record that the first trace does not. A guess may be wrong: each trace is right about the records that it takes.
#[derive(Clone, Copy, Default)]
enum Guess {
    #[default]
    Unknown,
    Trace(u8),
    /// The program, for so many times.
    Program(u8),
}

/// The traces of one program over one decoder's records.
#[derive(Default)]
pub struct Traces {
    traces: Vec<Trace>,
    rules: Rules,
    /// The traces by how often they were right.
    order: Vec<usize>,
    /// By [`key`](Self::key): what stands where the first trace failed mostly tells which other one does not.
    guesses: Vec<Guess>,
    /// The key of the record that was tried last, and whether it went to the program untried.
    key: usize,
    is_passed_on: bool,
    failures: u32,
    /// Where each step of the trace that was tried last began, and where its run ended.
    places: Places,
    abreast: Abreast,
    /// The captures that nobody asks for.
    unwanted: Vec<bool>,
    /// The steps of the program on the record that is being recorded.
    pub(super) path: Path,
    /// Room for the captures of ways that lead nowhere.
    nowhere: Vec<Span>,
    /// What was learned of keys, for each kind of record that has any.
    pub(super) learned: Vec<Learned>,
    /// The plane of the bytes that may end a text, once it was asked for.
    text_plane: Option<Option<u8>>,
}

impl Traces {
    /// The plane of the bytes that may end a text of JSON; none if there are too many planes.
    #[inline]
    pub(super) fn text_plane(&mut self, planes: &mut Planes, window: &[u8]) -> Option<u8> {
        *self.text_plane.get_or_insert_with(|| planes.plane_of(json::text_ends(), window))
    }

    /// Is there room for the way of another record?
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.failures < MAX_FAILURES && self.traces.len() < MAX_TRACES
    }

    /// Would the way of this record be one more?
    #[inline]
    pub(super) fn is_learning(&self) -> bool {
        self.has_room() && !self.is_passed_on
    }

    /// The trace that takes `window[start..end]`, if one does.
    #[inline]
    pub(super) fn find(
        &mut self,
        machine: (&Program, &mut Stacks),
        planes: &Planes,
        window: &[u8],
        (start, end): (usize, usize),
    ) -> Option<usize> {
        self.is_passed_on = false;
        let first = *self.order.first()?;
        if end - start > u32::MAX as usize {
            return None;
        }
        self.places.0[0] = start;
        let before = self.abreast.resumed.take();
        let mut attempt = Attempt { machine, planes, window, record: (start, end), before };
        let first = match before {
            Some((tried, _)) => tried,
            None if self.takes(first, &mut attempt) => {
                self.traces[first].hits += 1;
                return Some(first);
            }
            None => first,
        };
        self.key = self.key(&attempt);
        let guess = self.guesses.get(self.key).copied().unwrap_or_default();
        let mut guessed = first;
        match guess {
            Guess::Trace(trace) if usize::from(trace) != first => {
                guessed = usize::from(trace);
                if self.takes(guessed, &mut attempt) {
                    self.traces[guessed].hits += 1;
                    if self.is_more_frequent(guessed, self.order[0]) {
                        let place = self.order.iter().position(|&other| other == guessed)?;
                        self.order.swap(0, place);
                    }
                    return Some(guessed);
                }
            }
            Guess::Program(turns) if turns > 0 => {
                self.guesses[self.key] = Guess::Program(turns - 1);
                self.is_passed_on = true;
                return None;
            }
            _ => {}
        }
        for place in 0..self.order.len() {
            let index = self.order[place];
            if index != first && index != guessed && self.takes(index, &mut attempt) {
                self.guess(Guess::Trace(index as u8));
                self.traces[index].hits += 1;
                let before = place.saturating_sub(1);
                if self.is_more_frequent(index, self.order[before]) {
                    self.order.swap(place, before);
                }
                return Some(index);
            }
        }
        self.guess(Guess::Program(TURNS));
        None
    }

    /// The most frequent trace, which is tried first.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        self.order.first().copied()
    }

    /// Tries the trace on several records at once, as long as most of them are its. [`choose`](Self::choose) says which are.
    pub(super) fn try_abreast(&mut self, index: usize, planes: &Planes, window: &[u8], records: &[(usize, usize)]) -> bool {
        let trace = &mut self.traces[index];
        if self.abreast.apart > 0 || !trace.detours.is_empty() || window.len() > MAX_WINDOW {
            self.abreast.apart = self.abreast.apart.saturating_sub(records.len() as u32);
            return false;
        }
        trace.run_abreast(&self.rules, planes, window, records, &mut self.abreast);
        self.abreast.trace = index;
        let taken = self.abreast.failed[..records.len()].iter().filter(|&&failed| failed == TAKEN).count();
        trace.hits += taken as u64;
        // A few records say nothing of those behind them.
        self.abreast.apart = if taken * 2 < records.len() && records.len() * 2 >= ABREAST { APART } else { 0 };
        true
    }

    /// Tries records at once again, however few of the last ones were alike.
    #[cfg(test)]
    pub(super) fn try_abreast_again(&mut self) {
        self.abreast.apart = 0;
    }

    /// How many records from `lane` on, of those that were tried at once, the trace takes.
    #[inline]
    pub(super) fn taken_from(&self, lane: usize, records: usize) -> usize {
        self.abreast.failed[lane..records].iter().take_while(|&&failed| failed == TAKEN).count()
    }

    /// The trace that was tried on several records at once.
    pub(super) fn tried(&self) -> usize {
        self.abreast.trace
    }

    /// Where a capture is in the records that the trace took, if it has it.
    pub fn capture_abreast(&self, slot: usize) -> Option<CaptureAbreast<'_>> {
        let Abreast { trace, places, .. } = &self.abreast;
        let edge = |is_begin: bool| {
            let edges = self.traces[*trace].edges.iter().rev();
            edges.clone().find(|edge| usize::from(edge.slot) == slot && edge.is_begin == is_begin)
        };
        let place = |edge: &Edge| (&places[usize::from(edge.place)], u32::from(edge.offset));
        Some(CaptureAbreast { begin: place(edge(true)?), end: place(edge(false)?) })
    }

    /// The trace that takes record `lane` of those that were tried at once. If it does not take it, the record is the next one to
    /// be looked for, from where the trace failed.
    #[inline]
    pub(super) fn choose(&mut self, lane: usize) -> Option<usize> {
        let Abreast { trace, places, failed, resumed, .. } = &mut self.abreast;
        if failed[lane] == TAKEN {
            self.traces[*trace].mark(places[0][lane] as usize, |place| places[place][lane] as usize);
            return Some(*trace);
        }
        let failed = usize::from(failed[lane]);
        for (place, at) in self.places.0.iter_mut().zip(&places[..2 * failed + 2]) {
            *place = at[lane] as usize;
        }
        *resumed = Some((*trace, failed));
        None
    }

    /// Does the trace take the record? The steps that it begins with as the one before are done.
    #[inline]
    fn takes(&mut self, index: usize, attempt: &mut Attempt<'_>) -> bool {
        let Attempt { machine: (program, stacks), planes, window, record: (start, end), before } = attempt;
        let trace = &mut self.traces[index];
        let from = before.map_or(0, |(other, failed)| failed.min(trace.shared[other]));
        let failed = match trace.run(&self.rules, planes, window, (*start, *end), (from, &mut self.places)) {
            Ok(()) if trace.detours.is_empty() => return true,
            Ok(()) if trace.detours_fail((*program, &mut **stacks), &self.places, &window[..*end], *start, &mut self.nowhere) => {
                return true;
            }
            Ok(()) => trace.ops.len() - 1,
            Err(failed) => failed,
        };
        *before = Some((index, failed));
        false
    }

    /// A number for where the trace failed that was tried, and for what stands there. Digits are alike.
    #[inline]
    fn key(&self, attempt: &Attempt<'_>) -> usize {
        let Some((index, failed)) = attempt.before else { return 0 };
        let mut place = self.places.0[(failed * 2 + 1) & 0xff];
        if let Some(shape) = self.rules.shapes.get(usize::from(self.traces[index].ops[failed].shape)) {
            place = shape.differs_at(attempt.window, place, attempt.record.1);
        }
        let text = attempt.window.get(place..).and_then(|rest| rest.first_chunk()).map_or(0, |next| u32::from_le_bytes(*next));
        let high = text & 0xf0f0_f0f0 ^ 0x3030_3030;
        let is_digit = (high.wrapping_sub(0x0101_0101) & !high & 0x8080_8080) >> 7;
        let text = text & !(is_digit * 0x0f);
        let number = u64::from(text) << 16 | (index as u64) << 8 | failed as u64;
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
    }

    fn guess(&mut self, guess: Guess) {
        self.guesses.resize(GUESSES, Guess::Unknown);
        self.guesses[self.key] = guess;
    }

    /// By so much that they do not change places again and again?
    #[inline]
    fn is_more_frequent(&self, trace: usize, other: usize) -> bool {
        let other = self.traces[other].hits;
        self.traces[trace].hits > other + other / 8 + 8
    }

    /// The pattern of a trace.
    #[inline]
    pub(super) fn pattern(&self, trace: usize) -> usize {
        self.traces[trace].pattern as usize
    }

    /// Only the spans of these captures will be asked for, by slot.
    pub(crate) fn of_slots(slots: impl IntoIterator<Item = usize>) -> Self {
        let mut unwanted = vec![true; SLOTS];
        slots.into_iter().filter(|&slot| slot < SLOTS).for_each(|slot| unwanted[slot] = false);
        Self { unwanted, ..Self::default() }
    }

    /// The captures of the record that the trace took last, as far as they are asked for, and more of no meaning.
    #[inline]
    pub fn spans(&self, trace: usize) -> &[Span] {
        &*self.traces[trace].slots
    }

    /// Makes a trace of the recorded path, if there can be one.
    pub(super) fn learn(&mut self, program: &Program, planes: &mut Planes, window: &[u8]) {
        let path = &self.path.steps[..];
        let ahead = ahead_of(program, path);
        let is_exact = self.traces.len() < EXACT_TRACES;
        let Path { places, detours, .. } = &self.path;
        let rules = &mut self.rules;
        let mut compiler = Compiler { program, path, places, detours, is_exact, ahead, rules, drafts: vec![] };
        let made = compiler.compile().and_then(|()| compiler.finish(planes, window));
        let is_new = |ops: &Vec<Op>| !ops.is_empty() && !self.traces.iter().any(|trace| trace.ops == *ops);
        let Some((ops, mut edges, detours)) = made.filter(|(ops, ..)| program.captures <= SLOTS && is_new(ops)) else {
            return self.failures += 1;
        };
        edges.retain(|edge| !self.unwanted.get(usize::from(edge.slot)).is_some_and(|unwanted| *unwanted));
        let Some(Step::Accept(pattern)) = path.last().map(|&pc| &program.steps[pc as usize]) else { return };
        let shared = |other: &Trace| ops.iter().zip(&other.ops).take_while(|(a, b)| a == b).count();
        let mut own: Vec<usize> = self.traces.iter().map(shared).collect();
        for (trace, &shared) in self.traces.iter_mut().zip(&own) {
            trace.shared.push(shared);
        }
        own.push(ops.len());
        self.guess(Guess::Trace(self.traces.len() as u8));
        self.order.push(self.traces.len());
        let slots = Box::new([Span::NONE; SLOTS]);
        self.nowhere.resize(program.captures, Span::NONE);
        self.traces.push(Trace { ops, detours, edges, pattern: *pattern, hits: 0, shared: own, slots });
    }
}

impl Trace {
    /// Goes on with the step `from`; on failure, which step failed, and `places` has for the end of its run where that was seen.
    #[inline]
    fn run(
        &mut self,
        rules: &Rules,
        planes: &Planes,
        window: &[u8],
        (start, limit): (usize, usize),
        (from, places): (usize, &mut Places),
    ) -> Result<(), usize> {
        let places = &mut *places.0;
        let Some((last, ops)) = self.ops.split_last() else { return Err(0) };
        let mut at = places[(from * 2) & 0xff];
        let mut index = from;
        for op in ops.iter().skip(from) {
            match rules.pass(op, planes, window, at, limit) {
                Ok((end, next)) => {
                    places[(index * 2 + 1) & 0xff] = end;
                    at = next;
                }
                Err(end) => {
                    places[(index * 2 + 1) & 0xff] = end;
                    return Err(index);
                }
            }
            index += 1;
            places[(index * 2) & 0xff] = at;
        }
        let end = rules.pass_last(last, planes, window, at, limit);
        places[(index * 2 + 1) & 0xff] = end.unwrap_or_else(|end| end);
        end.map_err(|_| index)?;
        self.mark(start, |place| places[place]);
        Ok(())
    }

    /// Takes down where the captures of the record that begins at `start` are.
    #[inline(always)]
    fn mark(&mut self, start: usize, place_of: impl Fn(usize) -> usize) {
        for edge in &self.edges {
            let place = (place_of(usize::from(edge.place)) - start) as u32 + u32::from(edge.offset);
            let span = &mut self.slots[usize::from(edge.slot)];
            if edge.is_begin {
                span.start = place;
            } else {
                span.end = place;
            }
        }
    }

    /// The same for several records at once: each step is done for all that are left of them before the next one is.
    fn run_abreast(&self, rules: &Rules, planes: &Planes, window: &[u8], records: &[(usize, usize)], abreast: &mut Abreast) {
        let Abreast { places, failed, .. } = abreast;
        places.resize(places.len().max(2 * self.ops.len() + 1), [0; ABREAST]);
        failed.fill(TAKEN);
        let Some((last, ops)) = self.ops.split_last() else { return failed.fill(0) };
        let mut limits = [0; ABREAST];
        for (lane, &(start, limit)) in records.iter().enumerate() {
            (places[0][lane], limits[lane]) = (start as u32, limit);
        }
        let lanes = std::array::from_fn(|lane| lane as u8);
        let mut left = Left { lanes, count: records.len(), limits, failed };
        for (index, op) in ops.iter().enumerate() {
            let Some(places) = places[2 * index..].first_chunk_mut() else { return left.failed.fill(0) };
            // What a step is does not change from record to record: each kind has a loop of its own, with nothing else in it.
            let plane = planes.plane(op.plane);
            let is_free = op.guard == NO_GUARD;
            match (rules.shapes.get(usize::from(op.shape)), rules.nears.get(usize::from(op.near))) {
                (Some(shape), _) => left.pass(index, places, |at, limit| match shape.is_at(window, at, limit) {
                    true => Ok((at, at + shape.len())),
                    false => Err(at),
                }),
                (None, None) if is_free => {
                    left.pass(index, places, |at, limit| rules.pass_run(op, planes, window, (at, plane.next(at, limit)), limit))
                }
                (None, Some(near)) if is_free => left.pass(index, places, |at, limit| {
                    rules.pass_run(op, planes, window, (at, near.next(window, at, limit)), limit)
                }),
                (None, _) => left.pass(index, places, |at, limit| rules.pass(op, planes, window, at, limit)),
            }
        }
        let Some(places) = places[2 * ops.len()..].first_chunk_mut() else { return left.failed.fill(0) };
        left.pass(ops.len(), places, |at, limit| rules.pass_last(last, planes, window, at, limit).map(|end| (end, end)));
    }
}

/// Those of several records that fit so far.
struct Left<'a> {
    lanes: [u8; ABREAST],
    count: usize,
    limits: [usize; ABREAST],
    failed: &'a mut [u8; ABREAST],
}

impl Left<'_> {
    /// Does step `index` on each: `step` is told where it begins and where its record ends.
    #[inline(always)]
    fn pass(
        &mut self,
        index: usize,
        [begins, ends, nexts]: &mut [[u32; ABREAST]; 3],
        step: impl Fn(usize, usize) -> Result<(usize, usize), usize>,
    ) {
        let mut left = 0;
        for which in 0..self.count.min(ABREAST) {
            let lane = usize::from(self.lanes[which]) % ABREAST;
            match step(begins[lane] as usize, self.limits[lane]) {
                Ok((end, next)) => {
                    (ends[lane], nexts[lane]) = (end as u32, next as u32);
                    self.lanes[left % ABREAST] = lane as u8;
                    left += 1;
                }
                Err(end) => (ends[lane], self.failed[lane]) = (end as u32, index as u8),
            }
        }
        self.count = left;
    }
}

impl Trace {
    /// Do the ways that the program would have tried first lead nowhere on the record that was just read?
    #[cold]
    #[inline(never)]
    fn detours_fail(
        &self,
        (program, stacks): (&Program, &mut Stacks),
        places: &Places,
        record: &[u8],
        start: usize,
        slots: &mut [Span],
    ) -> bool {
        self.detours.iter().all(|detour| {
            let at = places.0[usize::from(detour.place)] + usize::from(detour.offset);
            detour.guard.allows(record, at)
                || program.fails_from(&record[start..], (detour.pc as usize, at - start), slots, stacks)
        })
    }
}

impl Op {
    /// Does it need a look before its run is?
    #[inline(always)]
    fn is_odd(&self) -> bool {
        self.guard & self.shape != u8::MAX
    }

    /// Is the run `at..end` of the right length, and the literal behind it? If not, [`search`](Self::search) knows more.
    #[inline(always)]
    fn is_at(&self, window: &[u8], at: usize, end: usize) -> bool {
        let Some(next) = window.get(end..).and_then(|rest| rest.first_chunk()) else { return false };
        let is_literal = u64::from_le_bytes(*next) & self.mask == self.literal;
        let is_long = end.wrapping_sub(at).wrapping_sub(self.min as usize) <= self.more as usize;
        is_literal & is_long
    }

    fn has_literal(&self, window: &[u8], end: usize) -> bool {
        let mut next = [0; LITERAL_BYTES];
        let Some(rest) = window.get(end..end + usize::from(self.literal_len)) else { return false };
        next[..rest.len()].copy_from_slice(rest);
        self.literal_len == 0 || u64::from_le_bytes(next) == self.literal
    }

    /// Where the run ends that begins at `at`, and that does not simply end at `end`, the next byte of the plane.
    #[cold]
    #[inline(never)]
    fn search(&self, guards: &[Guard], planes: &Planes, window: &[u8], (at, end): (usize, usize), limit: usize) -> Option<usize> {
        if at > limit {
            return None;
        }
        let plane = planes.plane(self.plane);
        let (shortest, longest) = (at + self.min as usize, at + self.min as usize + self.more as usize);
        let mut end = end.min(limit);
        let record = &window[..limit];
        match self.otherwise {
            Otherwise::Fail => {
                end = end.min(longest);
                (end >= shortest && self.has_literal(window, end)).then_some(end)
            }
            Otherwise::Escape(escape) => {
                while !self.has_literal(window, end) {
                    // A lone escape at the very end is no escape.
                    if end + 1 >= limit || window[end] != escape {
                        return None;
                    }
                    end = plane.next(end + 2, limit).min(limit);
                }
                (end >= shortest && end <= longest).then_some(end)
            }
            Otherwise::GoOn => {
                let guard = guards.get(usize::from(self.candidate))?;
                if end < shortest {
                    end = plane.next(shortest, limit).min(limit);
                }
                while !guard.allows(record, end) {
                    if end >= limit || !guard.goes_on(window[end]) {
                        return None;
                    }
                    end = plane.next(end + 1, limit).min(limit);
                }
                self.has_literal(window, end).then_some(end)
            }
            Otherwise::GoBack => {
                let guard = guards.get(usize::from(self.candidate))?;
                let candidate = (shortest..=end.min(longest)).rev().find(|&end| guard.allows(record, end))?;
                self.has_literal(window, candidate).then_some(candidate)
            }
        }
    }
}

/// What can come at each step of the path, as the path goes on from there.
fn ahead_of(program: &Program, path: &[u32]) -> Vec<Ahead> {
    let mut ahead = vec![Ahead::END; path.len() + 1];
    for (index, &pc) in path.iter().enumerate().rev() {
        let behind = ahead[index + 1];
        ahead[index] = match &program.steps[pc as usize] {
            Step::Byte(byte) => behind.behind(ByteSet::of(*byte), 1),
            Step::Literal(literal) => {
                literal.bytes().iter().rev().fold(behind, |behind, &byte| behind.behind(ByteSet::of(byte), 1))
            }
            Step::Set(set) => behind.behind(*set, 1),
            Step::Run { run, min, max }
            | Step::Field { run, min, max, .. }
            | Step::Greedy { run, min, max, .. }
            | Step::Lazy { run, min, max, .. } => behind.behind_run(run.set(), *min, *max),
            Step::Escaped { .. } | Step::Quoted { .. } => behind.behind_run(ByteSet::ALL, 0, u32::MAX),
            Step::End | Step::Accept(_) => Ahead::END,
            Step::Open(_) | Step::Close(_) | Step::Branch { .. } | Step::Jump(_) | Step::Start | Step::WordBoundary { .. } => {
                behind
            }
        };
    }
    ahead
}

/// The number of a rule among those that are known.
fn numbered<T: PartialEq>(rules: &mut Vec<T>, rule: T) -> Option<u8> {
    let known = rules.iter().position(|other| *other == rule);
    let index = known.unwrap_or_else(|| {
        rules.push(rule);
        rules.len() - 1
    });
    u8::try_from(index).ok().filter(|&index| index != u8::MAX)
}

/// The slot of a capture, if traces have it.
fn capture(slot: u16) -> Option<u8> {
    u8::try_from(slot).ok()
}

struct Compiler<'a> {
    program: &'a Program,
    path: &'a [u32],
    /// Where in the record each step of the path begins.
    places: &'a [u32],
    /// May runs be taken for as long as they are?
    is_exact: bool,
    /// Steps of the path that are branches whose first way led nowhere.
    detours: &'a [usize],
    /// What can come at each step of the path.
    ahead: Vec<Ahead>,
    rules: &'a mut Rules,
    drafts: Vec<Draft>,
}

/// A step, the bytes that end its run, which get a plane when it is known that the step needs one, and its captures.
struct Draft {
    op: Op,
    stops: ByteSet,
    /// The capture that begins here, and the one that ends so many bytes behind the run.
    open: Option<u8>,
    close: Option<(u8, u8)>,
    /// The capture that is a part of the literal, and which part.
    inner: Option<(u8, u8, u8)>,
    /// The branches before the run, and those so many bytes behind it.
    detours: Vec<(Guard, u32, Option<u8>)>,
    /// Is the run short on the record that is learned?
    is_short: bool,
}

impl Draft {
    /// Is its run not chosen yet?
    fn is_fresh(&self) -> bool {
        let Self { op, close, .. } = self;
        (op.min, op.more, op.literal_len, op.candidate) == (0, 0, 0, NO_GUARD) && close.is_none()
    }

    /// Does the step take the same number of bytes of every record?
    fn is_fixed(&self) -> bool {
        let Op { more, otherwise, guard, candidate, .. } = self.op;
        (more, otherwise, guard, candidate) == (0, Otherwise::Fail, NO_GUARD, NO_GUARD)
    }

    /// How many bytes a fixed one takes.
    fn fixed_len(&self) -> usize {
        self.op.min as usize + usize::from(self.op.literal_len)
    }

    /// The bytes that a fixed one takes.
    fn fixed_bytes(&self) -> impl Iterator<Item = ByteSet> {
        let literal = self.op.literal.to_le_bytes().into_iter().take(usize::from(self.op.literal_len));
        std::iter::repeat_n(self.stops.complement(), self.op.min as usize).chain(literal.map(ByteSet::of))
    }

    /// Its detours, where the step begins and its run ends at these places, so many bytes behind them.
    fn detours(&self, [begin, end]: [(u8, u8); 2], detours: &mut Vec<Detour>) {
        for (guard, pc, behind) in &self.detours {
            let (place, offset) = behind.map_or(begin, |behind| (end.0, end.1 + behind));
            detours.push(Detour { place, offset, guard: guard.clone(), pc: *pc });
        }
    }

    /// Its captures, where the step begins and its run ends at these places, so many bytes behind them.
    fn edges(&self, [begin, end]: [(u8, u8); 2], edges: &mut Vec<Edge>) {
        let mut edge = |slot, is_begin, (place, behind): (u8, u8), offset| {
            edges.push(Edge { slot, is_begin, place, offset: behind + offset });
        };
        if let Some(slot) = self.open {
            edge(slot, true, begin, 0);
        }
        if let Some((slot, offset)) = self.close {
            edge(slot, false, end, offset);
        }
        if let Some((slot, from, to)) = self.inner {
            edge(slot, true, end, from);
            edge(slot, false, end, to);
        }
    }
}

impl Compiler<'_> {
    fn compile(&mut self) -> Option<()> {
        let mut next = 0;
        while next < self.path.len() {
            let index = next;
            next += 1;
            if self.drafts.len() > MAX_OPS {
                return None;
            }
            match &self.program.steps[self.path[index] as usize] {
                Step::Byte(byte) => self.literal(*byte)?,
                Step::Literal(literal) => literal.bytes().iter().try_for_each(|&byte| self.literal(byte))?,
                Step::Set(set) => self.set(*set)?,
                Step::Run { run, min, max } => self.run_at(index, run.set(), (*min, *max))?,
                Step::Field { slot, run, min, max } => {
                    self.open(*slot)?;
                    self.run_at(index, run.set(), (*min, *max))?;
                    self.close(*slot)?;
                }
                Step::Escaped { stop, escape } => self.escaped(*stop, *escape)?,
                Step::Quoted { slot, stop, escape } => {
                    self.open(*slot)?;
                    self.escaped(*stop, *escape)?;
                    self.close(*slot)?;
                }
                Step::Lazy { run, min, max: u32::MAX, follow, .. } => {
                    // A byte that ends the run is not looked for behind the shortest form of it.
                    if *min > 0 && run.set() != ByteSet::ALL {
                        return None;
                    }
                    let stops = run.set().complement().union(follow.first());
                    self.candidate(run.set(), follow, (stops, *min, u32::MAX, Otherwise::GoOn))?;
                }
                Step::Greedy { run, min, max, follow } => {
                    let stops = run.set().complement();
                    self.candidate(run.set(), follow, (stops, *min, max - min, Otherwise::GoBack))?;
                }
                Step::Lazy { .. } | Step::WordBoundary { .. } => return None,
                Step::Open(slot) => match self.literal_capture(index)? {
                    Some(behind) => next = behind,
                    None => self.open(*slot)?,
                },
                Step::Close(slot) => self.close(*slot)?,
                Step::Branch { .. } => {
                    if let Some((guard, other)) = self.branch(index) {
                        if self.detours.contains(&index) {
                            self.detour(guard, other)?;
                            continue;
                        }
                        let guard = numbered(&mut self.rules.guards, guard)?;
                        if self.fresh()?.op.guard != NO_GUARD {
                            self.blank();
                        }
                        self.drafts.last_mut()?.op.guard = guard;
                    }
                }
                Step::Jump(_) => {}
                Step::Start if self.drafts.is_empty() => {}
                Step::Start => return None,
                // Nothing but the end of the record may follow.
                Step::End if self.ahead[index + 1] == Ahead::END => {}
                Step::End => return None,
                Step::Accept(_) => {}
            }
        }
        // Text with escapes has to know where it ends.
        let is_endless = |draft: &Draft| matches!(draft.op.otherwise, Otherwise::Escape(_)) && draft.op.literal_len == 0;
        if self.drafts.iter().any(is_endless) {
            return None;
        }
        Some(())
    }

    /// Puts fixed steps together, gives the others their planes, and says where the captures are.
    fn finish(&mut self, planes: &mut Planes, window: &[u8]) -> Option<(Vec<Op>, Vec<Edge>, Vec<Detour>)> {
        let (mut ops, mut edges, mut detours) = (vec![], vec![], vec![]);
        let mut next = 0;
        while next < self.drafts.len() {
            let place = u8::try_from(ops.len() * 2).ok()?;
            // The last step has to end with the record, which no shape knows of.
            let rest = &self.drafts[next..self.drafts.len() - 1];
            let mut len = 0;
            let fixed = rest.iter().take_while(|draft| {
                len += draft.fixed_len();
                draft.is_fixed() && len <= shape::MAX_BYTES
            });
            let fixed = &rest[..fixed.count()];
            let bytes: Vec<ByteSet> = fixed.iter().flat_map(Draft::fixed_bytes).collect();
            // One alone is worth it where it saves a plane.
            let saves = |draft: &Draft| draft.op.min > 0 && draft.fixed_len() <= 8 && !planes.has(draft.stops);
            if (fixed.len() > 1 || fixed.first().is_some_and(saves))
                && let Some(shape) = Shape::new(&bytes)
            {
                let mut begin = 0;
                for draft in fixed {
                    let places = [(place, begin), (place, begin + draft.op.min as u8)];
                    draft.edges(places, &mut edges);
                    draft.detours(places, &mut detours);
                    begin += draft.fixed_len() as u8;
                }
                ops.push(Op { shape: numbered(&mut self.rules.shapes, shape)?, ..BLANK });
                next += fixed.len();
                continue;
            }
            let draft = &self.drafts[next];
            let places = [(place, 0), (place + 1, 0)];
            draft.edges(places, &mut edges);
            draft.detours(places, &mut detours);
            let Op { otherwise, candidate, .. } = draft.op;
            let is_short = draft.is_short && (otherwise, candidate) == (Otherwise::Fail, NO_GUARD) && !planes.has(draft.stops);
            let near = if is_short { Near::new(draft.stops) } else { None };
            let (plane, near) = match near {
                Some(near) => (0, numbered(&mut self.rules.nears, near)?),
                None => (planes.plane_of(draft.stops, window)?, FAR),
            };
            ops.push(Op { plane, near, ..draft.op.clone() });
            next += 1;
        }
        Some((ops, edges, detours))
    }

    /// A run that ends at a candidate.
    fn candidate(
        &mut self,
        set: ByteSet,
        follow: &Ahead,
        (stops, min, more, otherwise): (ByteSet, u32, u32, Otherwise),
    ) -> Option<()> {
        let candidate = numbered(&mut self.rules.guards, Guard::Candidate { set, follow: Box::new(*follow) })?;
        let draft = self.fresh()?;
        draft.stops = stops;
        let op = &mut draft.op;
        (op.min, op.more, op.otherwise, op.candidate) = (min, more, otherwise, candidate);
        // Where no fixed text tells a candidate, none is like this.
        (op.literal, op.mask) = follow.fixed().unwrap_or((1, 0));
        Some(())
    }

    /// A branch whose other way is gone on each record to see that it leads nowhere.
    fn detour(&mut self, guard: Guard, other: u32) -> Option<()> {
        if self.drafts.is_empty() {
            self.blank();
        }
        let draft = self.drafts.last_mut()?;
        let behind = (!draft.is_fresh()).then_some(draft.op.literal_len);
        draft.detours.push((guard, other, behind));
        Some(())
    }

    /// A step whose run is not chosen yet.
    fn fresh(&mut self) -> Option<&mut Draft> {
        if !self.drafts.last().is_some_and(Draft::is_fresh) {
            self.blank();
        }
        self.drafts.last_mut()
    }

    /// A step of its own.
    fn blank(&mut self) {
        // No run at all is one that every byte ends.
        self.drafts.push(Draft {
            op: BLANK,
            stops: ByteSet::ALL,
            open: None,
            close: None,
            inner: None,
            detours: vec![],
            is_short: false,
        });
    }

    fn open(&mut self, slot: u16) -> Option<()> {
        // A step has room for one.
        if self.fresh()?.open.is_some() {
            self.blank();
        }
        self.drafts.last_mut()?.open = Some(capture(slot)?);
        Some(())
    }

    /// A capture that is fixed text behind other text, such as the `-` of a missing value, takes no step of its own. Where the
    /// path goes on behind it.
    fn literal_capture(&mut self, index: usize) -> Option<Option<usize>> {
        let Step::Open(slot) = self.program.steps[self.path[index] as usize] else { return None };
        let mut text = vec![];
        let mut end = index + 1;
        loop {
            match self.path.get(end).map(|&pc| &self.program.steps[pc as usize]) {
                Some(Step::Byte(byte)) => text.push(*byte),
                Some(Step::Literal(literal)) => text.extend_from_slice(literal.bytes()),
                Some(Step::Jump(_)) => {}
                Some(Step::Branch { .. }) if self.branch(end).is_none() => {}
                Some(Step::Close(closed)) if *closed == slot => break,
                _ => return Some(None),
            }
            end += 1;
        }
        let fits = |Draft { op, inner, .. }: &&mut Draft| {
            op.literal_len > 0 && inner.is_none() && usize::from(op.literal_len) + text.len() <= LITERAL_BYTES
        };
        let Some(Draft { op, inner, .. }) = self.drafts.last_mut().filter(fits) else { return Some(None) };
        *inner = Some((capture(slot)?, op.literal_len, op.literal_len + text.len() as u8));
        text.into_iter().try_for_each(|byte| self.literal(byte))?;
        Some(Some(end + 1))
    }

    fn close(&mut self, slot: u16) -> Option<()> {
        if self.drafts.last().is_none_or(|draft| draft.close.is_some()) {
            self.fresh()?;
        }
        let draft = self.drafts.last_mut()?;
        draft.close = Some((capture(slot)?, draft.op.literal_len));
        Some(())
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        // What a run that ends at a candidate ends at is the same for all traces, what is there is not.
        let is_full = |Draft { op, .. }: &Draft| usize::from(op.literal_len) >= LITERAL_BYTES || op.candidate != NO_GUARD;
        if self.drafts.last().is_none_or(is_full) {
            self.fresh()?;
        }
        let op = &mut self.drafts.last_mut()?.op;
        let shift = 8 * u32::from(op.literal_len);
        op.literal |= u64::from(byte) << shift;
        op.mask |= 0xff << shift;
        op.literal_len += 1;
        Some(())
    }

    /// The run of a step of the path.
    fn run_at(&mut self, index: usize, set: ByteSet, (min, max): (u32, u32)) -> Option<()> {
        let seen = self.places.get(index + 1).zip(self.places.get(index)).map(|(end, begin)| end - begin);
        // A run gives no byte back, as nothing that follows can begin inside of it: what follows says how long it is.
        let exact = seen.filter(|_| self.is_exact && max <= 2);
        self.run(set, exact.unwrap_or(min), exact.unwrap_or(max))?;
        self.drafts.last_mut()?.is_short = seen.is_some_and(|seen| seen as usize <= NEAR_BYTES);
        Some(())
    }

    fn run(&mut self, set: ByteSet, min: u32, max: u32) -> Option<()> {
        let draft = self.fresh()?;
        draft.stops = set.complement();
        (draft.op.min, draft.op.more) = (min, max - min);
        Some(())
    }

    /// One byte of a set; several in a row are a run of as many.
    fn set(&mut self, set: ByteSet) -> Option<()> {
        // What is behind the run counts from its end.
        let moves = |draft: &Draft| draft.close.is_none() && draft.detours.iter().all(|(.., behind)| behind.is_none());
        if let Some(Draft { op, stops, .. }) = self.drafts.last_mut().filter(|draft| moves(draft))
            && (*stops, op.literal_len, op.more) == (set.complement(), 0, 0)
            && op.min > 0
        {
            op.min += 1;
            return Some(());
        }
        self.run(set, 1, 1)
    }

    fn escaped(&mut self, stop: u8, escape: u8) -> Option<()> {
        let draft = self.fresh()?;
        draft.stops = ByteSet::of(stop).union(ByteSet::of(escape));
        (draft.op.more, draft.op.otherwise) = (u32::MAX, Otherwise::Escape(escape));
        Some(())
    }

    /// The way that was recorded has to be the first choice for every record that the rest of the path takes. What to look at
    /// in a record where the path alone does not make sure of that, and where the other way begins.
    fn branch(&self, index: usize) -> Option<(Guard, u32)> {
        let pc = self.path[index];
        let Step::Branch { ways, ahead, prefer, skip } = &self.program.steps[pc as usize] else { return None };
        let took = self.path.get(index + 1) == Some(&(pc + 1));
        if took == (*prefer == Prefer::Take) {
            return None;
        }
        let (other, other_ahead) = if took { (SKIP, 1) } else { (TAKE, 0) };
        let path = &self.ahead[index + 1];
        let is_open =
            path.first().iter().any(|byte| ways[usize::from(byte)] & other != 0) || (path.can_end() && ways[256] & other != 0);
        let other_ahead = ahead.as_ref().map(|ahead| ahead[other_ahead]);
        if !is_open || other_ahead.is_some_and(|ahead| ahead.is_disjoint(path)) {
            return None;
        }
        let guard = Guard::Branch { ways: ways.clone(), other, ahead: other_ahead.map(Box::new) };
        Some((guard, if took { *skip } else { pc + 1 }))
    }
}
