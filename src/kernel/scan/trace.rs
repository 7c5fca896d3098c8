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
//! A trace holds only first choices of the program, for every record that it takes: that follows from the bytes that the rest
//! of the trace asks for, or a [`Guard`] looks at each record. So a record that a trace takes is one that the program takes in
//! the same way, and a record that it does not take is left to the program.

use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::keys::Learned;
use super::planes::Planes;
use super::program::{Prefer, Program, SKIP, Step, TAKE};
use super::{Span, json};

/// Traces of one program at most.
const MAX_TRACES: usize = 24;
/// Records that may be recorded in vain before no more are.
const MAX_FAILURES: u32 = 64;
/// Steps of a trace at most.
const MAX_OPS: usize = 64;
/// The literal of a step is compared as one number.
const LITERAL_BYTES: usize = 8;
/// Captures of a program that has traces at most, one less: an index of one byte is always inside.
const SLOTS: usize = 256;
/// What is written here is not read.
const NO_CAPTURE: u8 = u8::MAX;
/// No guard.
const NO_GUARD: u8 = u8::MAX;

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
    /// Where the closing capture ends, behind the run.
    close_behind: u8,
    otherwise: Otherwise,
    /// The captures that begin and end here, or [`NO_CAPTURE`].
    open: u8,
    close: u8,
    /// The capture that is a part of the literal, and which part.
    inner: u8,
    inner_part: (u8, u8),
    /// What has to hold where the step begins, and where its run can end; or [`NO_GUARD`].
    guard: u8,
    candidate: u8,
    /// Bytes of the run: at least, and how many more there may be.
    min: u32,
    more: u32,
    literal: u64,
    mask: u64,
}

struct Trace {
    ops: Vec<Op>,
    pattern: u32,
    hits: u64,
    /// So many steps it begins with are those of each of the other traces.
    shared: Vec<usize>,
    /// The captures of the record that it takes. Those that it does not have stay as they are.
    slots: Box<[Span; SLOTS]>,
}

/// The traces of one program over one decoder's records.
#[derive(Default)]
pub struct Traces {
    traces: Vec<Trace>,
    guards: Vec<Guard>,
    /// The traces by how often they were right.
    order: Vec<usize>,
    failures: u32,
    /// Where each step of the trace that was tried last began.
    starts: Vec<usize>,
    /// The steps of the program on the record that is being recorded.
    pub(super) path: Vec<u32>,
    /// What was learned of keys, for each syntax that has any.
    pub(super) learned: [Learned; 2],
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
    pub(super) fn is_learning(&self) -> bool {
        self.failures < MAX_FAILURES && self.traces.len() < MAX_TRACES
    }

    /// The trace that takes `window[start..end]`, if one does.
    #[inline]
    pub(super) fn find(&mut self, planes: &Planes, window: &[u8], (start, end): (usize, usize)) -> Option<usize> {
        if end - start > u32::MAX as usize {
            return None;
        }
        let mut before: Option<(usize, usize)> = None;
        for place in 0..self.order.len() {
            let index = self.order[place];
            let from = match before {
                // The steps that both begin with are done.
                Some((other, failed)) => {
                    let done = failed.min(self.traces[index].shared[other]);
                    self.carry(other, index, done);
                    done
                }
                None => {
                    self.starts[0] = start;
                    0
                }
            };
            match self.traces[index].run(&self.guards, planes, window, (start, end), (from, &mut self.starts)) {
                Ok(()) => {
                    self.hit(place);
                    return Some(index);
                }
                Err(failed) => before = Some((index, failed)),
            }
        }
        None
    }

    /// The pattern of a trace.
    #[inline]
    pub(super) fn pattern(&self, trace: usize) -> usize {
        self.traces[trace].pattern as usize
    }

    /// The captures of the record that the trace took last, and more of no meaning.
    #[inline]
    pub fn spans(&self, trace: usize) -> &[Span] {
        &*self.traces[trace].slots
    }

    /// Carries the captures of the first `ops` steps over from one trace to another one.
    fn carry(&mut self, from: usize, to: usize, ops: usize) {
        for op in 0..ops {
            let Op { open, close, inner, .. } = self.traces[from].ops[op];
            self.traces[to].slots[usize::from(inner)] = self.traces[from].slots[usize::from(inner)];
            self.traces[to].slots[usize::from(open)].start = self.traces[from].slots[usize::from(open)].start;
            self.traces[to].slots[usize::from(close)].end = self.traces[from].slots[usize::from(close)].end;
        }
    }

    #[inline]
    fn hit(&mut self, place: usize) {
        let hits = &mut self.traces[self.order[place]].hits;
        *hits += 1;
        if place > 0 && *hits > self.traces[self.order[place - 1]].hits {
            self.order.swap(place, place - 1);
        }
    }

    /// Makes a trace of the recorded path, if there can be one.
    pub(super) fn learn(&mut self, program: &Program, planes: &mut Planes, window: &[u8]) {
        let ahead = ahead_of(program, &self.path);
        let mut compiler = Compiler { program, path: &self.path, ahead, planes, window, guards: &mut self.guards, ops: vec![] };
        let ops = match compiler.compile() {
            Some(())
                if program.captures <= usize::from(NO_CAPTURE)
                    && !compiler.ops.is_empty()
                    && !self.traces.iter().any(|trace| trace.ops == compiler.ops) =>
            {
                compiler.ops
            }
            _ => return self.failures += 1,
        };
        let Some(Step::Accept(pattern)) = self.path.last().map(|&pc| &program.steps[pc as usize]) else { return };
        let shared = |other: &Trace| ops.iter().zip(&other.ops).take_while(|(a, b)| a == b).count();
        let mut own: Vec<usize> = self.traces.iter().map(shared).collect();
        for (trace, &shared) in self.traces.iter_mut().zip(&own) {
            trace.shared.push(shared);
        }
        own.push(ops.len());
        self.order.push(self.traces.len());
        self.starts.resize(self.starts.len().max(ops.len()), 0);
        let slots = Box::new([Span::NONE; SLOTS]);
        self.traces.push(Trace { ops, pattern: *pattern, hits: 0, shared: own, slots });
    }
}

impl Trace {
    /// Goes on with the step `from`; on failure, which step failed.
    #[inline]
    fn run(
        &mut self,
        guards: &[Guard],
        planes: &Planes,
        window: &[u8],
        (start, limit): (usize, usize),
        (from, starts): (usize, &mut [usize]),
    ) -> Result<(), usize> {
        let Some((last, ops)) = self.ops.split_last() else { return Err(0) };
        let (Some(ops), Some(starts)) = (ops.get(from..), starts.get_mut(from..self.ops.len())) else { return Err(0) };
        let is_free = |op: &Op, at: usize| op.guard == NO_GUARD || guards[usize::from(op.guard)].allows(&window[..limit], at);
        let mut at = starts[0];
        for (index, (op, op_start)) in ops.iter().zip(starts.iter_mut()).enumerate() {
            *op_start = at;
            if !is_free(op, at) {
                return Err(from + index);
            }
            let end = planes.plane(op.plane).next(at, limit);
            let end = if op.is_at(window, at, end) {
                end
            } else {
                op.search(guards, planes, window, (at, end), limit).ok_or(from + index)?
            };
            op.capture(&mut self.slots, at - start, end - start);
            at = end + usize::from(op.literal_len);
        }
        starts[ops.len()] = at;
        // Only the last run may be one that ends with the record.
        let end = planes.plane(last.plane).next(at, limit).min(limit);
        let end = if last.is_at(window, at, end) { Some(end) } else { last.search(guards, planes, window, (at, end), limit) };
        let is_end = |end: &usize| end + usize::from(last.literal_len) == limit && is_free(last, at);
        let end = end.filter(is_end).ok_or(from + ops.len())?;
        last.capture(&mut self.slots, at - start, end - start);
        Ok(())
    }
}

impl Op {
    #[inline(always)]
    fn capture(&self, slots: &mut [Span; SLOTS], start: usize, end: usize) {
        slots[usize::from(self.open)].start = start as u32;
        slots[usize::from(self.close)].end = end as u32 + u32::from(self.close_behind);
        let (from, to) = self.inner_part;
        slots[usize::from(self.inner)] = Span { start: end as u32 + u32::from(from), end: end as u32 + u32::from(to) };
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

/// The slot of a capture, if traces have it.
fn capture(slot: u16) -> Option<u8> {
    u8::try_from(slot).ok().filter(|&slot| slot < NO_CAPTURE)
}

struct Compiler<'a> {
    program: &'a Program,
    path: &'a [u32],
    /// What can come at each step of the path.
    ahead: Vec<Ahead>,
    planes: &'a mut Planes,
    window: &'a [u8],
    guards: &'a mut Vec<Guard>,
    ops: Vec<Op>,
}

impl Compiler<'_> {
    fn compile(&mut self) -> Option<()> {
        let mut next = 0;
        while next < self.path.len() {
            let index = next;
            next += 1;
            if self.ops.len() > MAX_OPS {
                return None;
            }
            match &self.program.steps[self.path[index] as usize] {
                Step::Byte(byte) => self.literal(*byte)?,
                Step::Literal(literal) => literal.bytes().iter().try_for_each(|&byte| self.literal(byte))?,
                Step::Set(set) => self.set(*set)?,
                Step::Run { run, min, max } => self.run(run.set(), *min, *max)?,
                Step::Field { slot, run, min, max } => {
                    self.open(*slot)?;
                    self.run(run.set(), *min, *max)?;
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
                    let plane = self.plane(run.set().complement().union(follow.first()))?;
                    self.candidate(run.set(), follow, (plane, *min, u32::MAX, Otherwise::GoOn))?;
                }
                Step::Greedy { run, min, max, follow } => {
                    let plane = self.plane(run.set().complement())?;
                    self.candidate(run.set(), follow, (plane, *min, max - min, Otherwise::GoBack))?;
                }
                Step::Lazy { .. } | Step::WordBoundary { .. } => return None,
                Step::Open(slot) => match self.literal_capture(index)? {
                    Some(behind) => next = behind,
                    None => self.open(*slot)?,
                },
                Step::Close(slot) => self.close(*slot)?,
                Step::Branch { .. } => {
                    if let Some(guard) = self.branch(index) {
                        let guard = self.guard(guard)?;
                        if self.fresh()?.guard != NO_GUARD {
                            self.blank()?;
                        }
                        self.ops.last_mut()?.guard = guard;
                    }
                }
                Step::Jump(_) => {}
                Step::Start if self.ops.is_empty() => {}
                Step::Start => return None,
                // Nothing but the end of the record may follow.
                Step::End if self.ahead[index + 1] == Ahead::END => {}
                Step::End => return None,
                Step::Accept(_) => {}
            }
        }
        // Text with escapes has to know where it ends.
        let is_endless = |op: &Op| matches!(op.otherwise, Otherwise::Escape(_)) && op.literal_len == 0;
        if self.ops.iter().any(is_endless) {
            return None;
        }
        Some(())
    }

    /// The number of a guard.
    fn guard(&mut self, guard: Guard) -> Option<u8> {
        let known = self.guards.iter().position(|other| *other == guard);
        let index = known.unwrap_or_else(|| {
            self.guards.push(guard);
            self.guards.len() - 1
        });
        u8::try_from(index).ok().filter(|&index| index != NO_GUARD)
    }

    /// A run that ends at a candidate.
    fn candidate(
        &mut self,
        set: ByteSet,
        follow: &Ahead,
        (plane, min, more, otherwise): (u8, u32, u32, Otherwise),
    ) -> Option<()> {
        let candidate = self.guard(Guard::Candidate { set, follow: Box::new(*follow) })?;
        let op = self.fresh()?;
        (op.plane, op.min, op.more, op.otherwise, op.candidate) = (plane, min, more, otherwise, candidate);
        // Where no fixed text tells a candidate, none is like this.
        (op.literal, op.mask) = follow.fixed().unwrap_or((1, 0));
        Some(())
    }

    fn plane(&mut self, stops: ByteSet) -> Option<u8> {
        self.planes.plane_of(stops, self.window)
    }

    /// A step whose run is not chosen yet.
    fn fresh(&mut self) -> Option<&mut Op> {
        let is_fresh = |op: &Op| (op.min, op.more, op.literal_len, op.close, op.candidate) == (0, 0, 0, NO_CAPTURE, NO_GUARD);
        if !self.ops.last().is_some_and(is_fresh) {
            self.blank()?;
        }
        self.ops.last_mut()
    }

    /// A step of its own.
    fn blank(&mut self) -> Option<()> {
        // No run at all is one that every byte ends.
        let plane = self.plane(ByteSet::ALL)?;
        self.ops.push(Op {
            plane,
            literal_len: 0,
            close_behind: 0,
            otherwise: Otherwise::Fail,
            open: NO_CAPTURE,
            close: NO_CAPTURE,
            inner: NO_CAPTURE,
            inner_part: (0, 0),
            guard: NO_GUARD,
            candidate: NO_GUARD,
            min: 0,
            more: 0,
            literal: 0,
            mask: 0,
        });
        Some(())
    }

    fn open(&mut self, slot: u16) -> Option<()> {
        let op = self.fresh()?;
        if op.open != NO_CAPTURE {
            return None;
        }
        op.open = capture(slot)?;
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
        let fits = |op: &&mut Op| {
            op.literal_len > 0 && op.inner == NO_CAPTURE && usize::from(op.literal_len) + text.len() <= LITERAL_BYTES
        };
        let Some(op) = self.ops.last_mut().filter(fits) else { return Some(None) };
        op.inner = capture(slot)?;
        op.inner_part = (op.literal_len, op.literal_len + text.len() as u8);
        text.into_iter().try_for_each(|byte| self.literal(byte))?;
        Some(Some(end + 1))
    }

    fn close(&mut self, slot: u16) -> Option<()> {
        if self.ops.last().is_none_or(|op| op.close != NO_CAPTURE) {
            self.fresh()?;
        }
        let op = self.ops.last_mut()?;
        (op.close, op.close_behind) = (capture(slot)?, op.literal_len);
        Some(())
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        // What a run that ends at a candidate ends at is the same for all traces, what is there is not.
        let is_full = |op: &Op| usize::from(op.literal_len) >= LITERAL_BYTES || op.candidate != NO_GUARD;
        if self.ops.last().is_none_or(is_full) {
            self.fresh()?;
        }
        let op = self.ops.last_mut()?;
        let shift = 8 * u32::from(op.literal_len);
        op.literal |= u64::from(byte) << shift;
        op.mask |= 0xff << shift;
        op.literal_len += 1;
        Some(())
    }

    fn run(&mut self, set: ByteSet, min: u32, max: u32) -> Option<()> {
        let plane = self.plane(set.complement())?;
        let op = self.fresh()?;
        (op.plane, op.min, op.more) = (plane, min, max - min);
        Some(())
    }

    /// One byte of a set; several in a row are a run of as many.
    fn set(&mut self, set: ByteSet) -> Option<()> {
        let plane = self.plane(set.complement())?;
        if let Some(op) = self.ops.last_mut()
            && (op.plane, op.literal_len, op.close, op.more) == (plane, 0, NO_CAPTURE, 0)
            && op.min > 0
        {
            op.min += 1;
            return Some(());
        }
        self.run(set, 1, 1)
    }

    fn escaped(&mut self, stop: u8, escape: u8) -> Option<()> {
        let plane = self.plane(ByteSet::of(stop).union(ByteSet::of(escape)))?;
        let op = self.fresh()?;
        (op.plane, op.more, op.otherwise) = (plane, u32::MAX, Otherwise::Escape(escape));
        Some(())
    }

    /// The way that was recorded has to be the first choice for every record that the rest of the path takes. What to look at
    /// in a record where the path alone does not make sure of that.
    fn branch(&self, index: usize) -> Option<Guard> {
        let pc = self.path[index];
        let Step::Branch { ways, ahead, prefer, .. } = &self.program.steps[pc as usize] else { return None };
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
        Some(Guard::Branch { ways: ways.clone(), other, ahead: other_ahead.map(Box::new) })
    }
}
