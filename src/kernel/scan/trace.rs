//! The way that most records of a file take through a program, as a list of equal steps without a jump.
//!
//! The lines of a file are alike: the program takes the same branches on nearly all of them. A [`Trace`] is what it did on
//! one record, without the branches. Its steps all have the same form, so that one short loop runs them, and they find the
//! ends of fields in bit [`Planes`](super::planes) instead of looking at bytes:
//!
//! ```text
//!   [open capture] run up to a byte of a plane, min to max bytes [close capture] literal
//! ```
//!
//! A trace holds only first choices: where the program preferred another way for some record that the trace would take,
//! there is no trace. So a record that a trace takes is one that the program takes in the same way, and a record that it
//! does not take is left to the program.

use super::Span;
use super::byteset::ByteSet;
use super::planes::Planes;
use super::program::{Prefer, Program, SKIP, Step, TAKE};

/// Traces of one program at most.
const MAX_TRACES: usize = 6;
/// Records that may be recorded in vain before no more are.
const MAX_FAILURES: u32 = 64;
/// Steps of a trace at most.
const MAX_OPS: usize = 64;
/// The literal of a step is compared as one number.
const LITERAL_BYTES: usize = 8;

/// What it means that a run ends where its literal is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Otherwise {
    /// Another record.
    Fail,
    /// The run goes on behind this byte and the next one, if it is this byte.
    Escape(u8),
    /// The run goes on.
    GoOn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Op {
    plane: u8,
    literal_len: u8,
    /// Where the closing capture ends, behind the run.
    close_behind: u8,
    otherwise: Otherwise,
    /// The captures that begin and end here; that behind all others if there is none.
    open: u16,
    close: u16,
    min: u32,
    max: u32,
    /// Bytes that are in the run without a look at the plane.
    skip: u32,
    literal: u64,
    mask: u64,
}

struct Trace {
    ops: Vec<Op>,
    pattern: u32,
    hits: u64,
    /// So many steps it begins with are those of each of the other traces.
    shared: Vec<usize>,
}

/// The traces of one program over one decoder's records.
#[derive(Default)]
pub struct Traces {
    traces: Vec<Trace>,
    /// The traces by how often they were right.
    order: Vec<usize>,
    failures: u32,
    /// The steps of the program on the record that is being recorded.
    pub(super) path: Vec<u32>,
}

impl Traces {
    /// Is there room for the way of another record?
    #[inline]
    pub(super) fn is_learning(&self) -> bool {
        self.failures < MAX_FAILURES && self.traces.len() < MAX_TRACES
    }

    /// The pattern that takes `window[start..end]`, if a trace does; the spans of `slots`, which has one more than there are
    /// captures, are then those of the record.
    #[inline]
    pub(super) fn find(
        &mut self,
        planes: &Planes,
        window: &[u8],
        (start, end): (usize, usize),
        slots: &mut [Span],
    ) -> Option<u32> {
        // Literals are compared eight bytes at a time.
        if end + LITERAL_BYTES > window.len() {
            return None;
        }
        let mut before: Option<(usize, usize, usize)> = None;
        for place in 0..self.order.len() {
            let index = self.order[place];
            let trace = &self.traces[index];
            let (from, at) = match before {
                // The steps that both begin with are done.
                Some((other, op, at)) if op > 0 && trace.shared[other] >= op => (op, at),
                _ => {
                    slots.fill(Span::NONE);
                    (0, start)
                }
            };
            match trace.run(planes, window, (start, end), (from, at), slots) {
                Ok(()) => {
                    let pattern = trace.pattern;
                    self.hit(place);
                    return Some(pattern);
                }
                Err((op, at)) => before = Some((index, op, at)),
            }
        }
        None
    }

    #[inline]
    fn hit(&mut self, place: usize) {
        let hits = &mut self.traces[self.order[place]].hits;
        *hits += 1;
        if place > 0 && *hits > self.traces[self.order[place - 1]].hits {
            self.order.swap(place, place - 1);
        }
    }

    /// Makes a trace of the recorded path, if there is one, that took a record which begins at `start`.
    pub(super) fn learn(&mut self, program: &Program, planes: &mut Planes, window: &[u8], start: usize) {
        let mut compiler = Compiler { program, path: &self.path, planes, window, start, ops: vec![] };
        let ops = match compiler.compile() {
            Some(()) if !self.traces.iter().any(|trace| trace.ops == compiler.ops) => compiler.ops,
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
        self.traces.push(Trace { ops, pattern: *pattern, hits: 0, shared: own });
    }
}

impl Trace {
    /// Where it stopped: the step, and the offset at which that begins.
    #[inline]
    fn run(
        &self,
        planes: &Planes,
        window: &[u8],
        (start, limit): (usize, usize),
        (from, mut at): (usize, usize),
        slots: &mut [Span],
    ) -> Result<(), (usize, usize)> {
        for (index, op) in self.ops.iter().enumerate().skip(from) {
            let mut end = planes.next(op.plane, at + op.skip as usize, limit).min(at + op.max as usize);
            if end < at + op.min as usize {
                return Err((index, at));
            }
            let Some(next) = window.get(end..).and_then(|rest| rest.first_chunk()) else { return Err((index, at)) };
            if u64::from_le_bytes(*next) & op.mask != op.literal {
                end = op.search(planes, window, limit, end).ok_or((index, at))?;
            }
            let (Ok(open), Ok(close)) = (u32::try_from(at - start), u32::try_from(end - start)) else { return Err((index, at)) };
            slots[usize::from(op.open)].start = open;
            slots[usize::from(op.close)].end = close + u32::from(op.close_behind);
            at = end + usize::from(op.literal_len);
        }
        if at == limit { Ok(()) } else { Err((self.ops.len(), at)) }
    }
}

impl Op {
    /// The next place where a run ends and the literal follows, behind `end`, where it does not.
    #[cold]
    fn search(&self, planes: &Planes, window: &[u8], limit: usize, mut end: usize) -> Option<usize> {
        loop {
            let step = match self.otherwise {
                Otherwise::Fail => return None,
                // A lone escape at the very end is no escape.
                Otherwise::Escape(escape) if window.get(end) == Some(&escape) && end + 1 < limit => 2,
                Otherwise::Escape(_) => return None,
                Otherwise::GoOn => 1,
            };
            end = planes.next(self.plane, end + step, limit);
            let next = window.get(end..)?.first_chunk()?;
            if u64::from_le_bytes(*next) & self.mask == self.literal {
                return Some(end);
            }
            if end == limit {
                return None;
            }
        }
    }
}

struct Compiler<'a> {
    program: &'a Program,
    path: &'a [u32],
    planes: &'a mut Planes,
    window: &'a [u8],
    start: usize,
    ops: Vec<Op>,
}

impl Compiler<'_> {
    fn compile(&mut self) -> Option<()> {
        for index in 0..self.path.len() {
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
                Step::Lazy { run, min, max: u32::MAX, follow, literal } => {
                    let stops = run.set().complement();
                    let (stops, otherwise) = match literal {
                        // Any place of the literal will do, as long as the run reaches it.
                        Some(literal) if run.set() == ByteSet::ALL => (ByteSet::of(literal[0]), Otherwise::GoOn),
                        Some(literal) => (stops.union(ByteSet::of(literal[0])), Otherwise::Fail),
                        None => (stops.union(follow.set), Otherwise::Fail),
                    };
                    let plane = self.plane(stops)?;
                    let op = self.fresh()?;
                    (op.plane, op.min, op.max, op.skip, op.otherwise) = (plane, *min, u32::MAX, *min, otherwise);
                }
                Step::Lazy { .. } | Step::Greedy { .. } | Step::WordBoundary { .. } => return None,
                Step::Open(slot) => self.open(*slot)?,
                Step::Close(slot) => self.close(*slot)?,
                Step::Branch { .. } => self.branch(index)?,
                Step::Jump(_) => {}
                Step::Start if self.ops.is_empty() => {}
                Step::Start => return None,
                // Nothing but the end of the record may follow.
                Step::End => {
                    let (set, end) = self.first(index + 1);
                    if !end || !set.is_empty() {
                        return None;
                    }
                }
                Step::Accept(_) => {}
            }
        }
        // A run that may go on has to know where it ends.
        let needs_literal = |op: &Op| op.otherwise != Otherwise::Fail && op.literal_len == 0;
        (!self.ops.iter().any(needs_literal)).then_some(())
    }

    fn none(&self) -> u16 {
        self.program.captures as u16
    }

    fn plane(&mut self, stops: ByteSet) -> Option<u8> {
        self.planes.plane_of(stops, self.window, self.start)
    }

    /// A step whose run is not chosen yet.
    fn fresh(&mut self) -> Option<&mut Op> {
        let none = self.none();
        let is_fresh = |op: &Op| op.max == 0 && op.literal_len == 0 && op.close == none;
        if !self.ops.last().is_some_and(is_fresh) {
            self.ops.push(Op {
                plane: super::planes::FEEDS,
                literal_len: 0,
                close_behind: 0,
                otherwise: Otherwise::Fail,
                open: none,
                close: none,
                min: 0,
                max: 0,
                skip: 0,
                literal: 0,
                mask: 0,
            });
        }
        self.ops.last_mut()
    }

    fn open(&mut self, slot: u16) -> Option<()> {
        let none = self.none();
        let op = self.fresh()?;
        if op.open != none {
            return None;
        }
        op.open = slot;
        Some(())
    }

    fn close(&mut self, slot: u16) -> Option<()> {
        let none = self.none();
        if !self.ops.last().is_some_and(|op| op.close == none) {
            self.fresh()?;
        }
        let op = self.ops.last_mut()?;
        (op.close, op.close_behind) = (slot, op.literal_len);
        Some(())
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        if !self.ops.last().is_some_and(|op| usize::from(op.literal_len) < LITERAL_BYTES) {
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
        (op.plane, op.min, op.max) = (plane, min, max);
        Some(())
    }

    /// One byte of a set; several in a row are a run of as many.
    fn set(&mut self, set: ByteSet) -> Option<()> {
        let plane = self.plane(set.complement())?;
        let none = self.none();
        if let Some(op) = self.ops.last_mut()
            && (op.plane, op.literal_len, op.close) == (plane, 0, none)
            && op.min == op.max
            && op.max > 0
        {
            op.min += 1;
            op.max += 1;
            return Some(());
        }
        self.run(set, 1, 1)
    }

    fn escaped(&mut self, stop: u8, escape: u8) -> Option<()> {
        let plane = self.plane(ByteSet::of(stop).union(ByteSet::of(escape)))?;
        let op = self.fresh()?;
        (op.plane, op.max, op.otherwise) = (plane, u32::MAX, Otherwise::Escape(escape));
        Some(())
    }

    /// The way that was recorded has to be the first choice for every record that the rest of the path takes.
    fn branch(&mut self, index: usize) -> Option<()> {
        let pc = self.path[index];
        let Step::Branch { ways, prefer, .. } = &self.program.steps[pc as usize] else { return None };
        let took = self.path.get(index + 1) == Some(&(pc + 1));
        if took == (*prefer == Prefer::Take) {
            return Some(());
        }
        let other = if took { SKIP } else { TAKE };
        let (set, end) = self.first(index + 1);
        let is_open = set.iter().any(|byte| ways[usize::from(byte)] & other != 0) || (end && ways[256] & other != 0);
        (!is_open).then_some(())
    }

    /// What the path can begin with from its step `index` on: a byte of a set, or the end of the record.
    fn first(&self, index: usize) -> (ByteSet, bool) {
        let mut first = ByteSet::EMPTY;
        for &pc in &self.path[index..] {
            match &self.program.steps[pc as usize] {
                Step::Byte(byte) => return (first.union(ByteSet::of(*byte)), false),
                Step::Literal(literal) => return (first.union(ByteSet::of(literal.bytes()[0])), false),
                Step::Set(set) => return (first.union(*set), false),
                Step::Run { run, min, .. }
                | Step::Field { run, min, .. }
                | Step::Greedy { run, min, .. }
                | Step::Lazy { run, min, .. } => {
                    first = first.union(run.set());
                    if *min > 0 {
                        return (first, false);
                    }
                }
                Step::Escaped { .. } | Step::Quoted { .. } => first = ByteSet::ALL,
                Step::Accept(_) => return (first, true),
                Step::Open(_)
                | Step::Close(_)
                | Step::Branch { .. }
                | Step::Jump(_)
                | Step::Start
                | Step::End
                | Step::WordBoundary { .. } => {}
            }
        }
        (ByteSet::ALL, true)
    }
}
