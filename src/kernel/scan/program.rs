//! Runs a lowered pattern over a record.
//!
//! A [`Program`] is a list of steps. Most of a log pattern is deterministic: a run of bytes that ends where the next step
//! begins. Such runs are *possessive*, they never give a byte back, and are found with [`find`](super::find). Where the
//! pattern really is ambiguous (`.*`, overlapping alternatives) the step leaves a frame on a stack and the machine comes
//! back to it on failure, in the order in which a backtracking regex would: the first match found is therefore the one
//! that the regex crate finds. A budget bounds the work on one record; [`Matcher`](super::Matcher) takes the regex
//! itself, which is linear, for the record that exhausts it.

use std::fmt;

use super::Span;
use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::find::{find1, find2, find3};

/// The bytes of a run, in the form that is quickest to search.
#[derive(Clone)]
pub(super) enum Run {
    All,
    Until1(u8),
    Until2(u8, u8),
    Until3(u8, u8, u8),
    Table(Box<[bool; 256]>),
}

impl Run {
    pub(super) fn new(set: ByteSet) -> Self {
        let stops: Vec<u8> = if set.len() >= 253 { set.complement().iter().collect() } else { vec![0; 4] };
        match stops[..] {
            [] => Self::All,
            [a] => Self::Until1(a),
            [a, b] => Self::Until2(a, b),
            [a, b, c] => Self::Until3(a, b, c),
            _ => Self::Table(Box::new(std::array::from_fn(|byte| set.contains(byte as u8)))),
        }
    }

    /// The bytes that it takes.
    pub(super) fn set(&self) -> ByteSet {
        let mut stops = ByteSet::EMPTY;
        match self {
            Self::All => {}
            Self::Until1(a) => stops.insert(*a),
            Self::Until2(a, b) => [a, b].into_iter().for_each(|stop| stops.insert(*stop)),
            Self::Until3(a, b, c) => [a, b, c].into_iter().for_each(|stop| stops.insert(*stop)),
            Self::Table(table) => (0..=255).filter(|&byte| !table[usize::from(byte)]).for_each(|stop| stops.insert(stop)),
        }
        stops.complement()
    }

    /// Where the longest run from `from` ends, at most `max` bytes on.
    #[inline]
    fn end(&self, record: &[u8], from: usize, max: u32) -> usize {
        let hay = if max == u32::MAX { record } else { &record[..record.len().min(from.saturating_add(max as usize))] };
        match self {
            Self::All => hay.len(),
            Self::Until1(a) => find1(hay, from, *a),
            Self::Until2(a, b) => find2(hay, from, *a, *b),
            Self::Until3(a, b, c) => find3(hay, from, *a, *b, *c),
            Self::Table(table) => {
                hay[from..].iter().position(|&byte| !table[usize::from(byte)]).map_or(hay.len(), |at| from + at)
            }
        }
    }
}

/// Fixed text. Short ones are compared as one number, which saves the call that a comparison of unknown length is.
#[derive(Clone)]
pub(super) struct Literal {
    bytes: Box<[u8]>,
    word: u64,
    mask: u64,
}

impl Literal {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut word = [0; 8];
        let mut mask = [0; 8];
        for (index, &byte) in bytes.iter().take(8).enumerate() {
            (word[index], mask[index]) = (byte, 0xff);
        }
        Self { bytes: bytes.into(), word: u64::from_le_bytes(word), mask: u64::from_le_bytes(mask) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    fn is_at(&self, record: &[u8], at: usize) -> bool {
        let Some(rest) = record.get(at..) else { return false };
        match rest.first_chunk() {
            Some(next) if u64::from_le_bytes(*next) & self.mask != self.word => false,
            Some(_) if self.bytes.len() <= 8 => true,
            _ => rest.starts_with(&self.bytes),
        }
    }
}

/// A branch: which of the two ways can succeed, by the next byte (index 256: the end of the record).
pub(super) const TAKE: u8 = 1;
pub(super) const SKIP: u8 = 2;

/// Which way a branch prefers where both could succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefer {
    Take,
    Skip,
}

#[derive(Clone)]
pub(super) enum Step {
    Byte(u8),
    Literal(Literal),
    Set(ByteSet),
    /// The longest run; nothing that follows can begin inside of it.
    Run {
        run: Run,
        min: u32,
        max: u32,
    },
    /// Bytes up to one of two stops, where `escape` (the second stop) makes the byte behind it ordinary.
    Escaped {
        stop: u8,
        escape: u8,
    },
    /// A run that may give back bytes from its end.
    Greedy {
        run: Run,
        min: u32,
        max: u32,
        follow: Box<Ahead>,
    },
    /// A run that takes as few bytes as it can. `literal` is what must follow, where that is known.
    Lazy {
        run: Run,
        min: u32,
        max: u32,
        follow: Box<Ahead>,
        literal: Option<Box<[u8]>>,
    },
    Open(u16),
    Close(u16),
    /// A run that is a whole capture.
    Field {
        slot: u16,
        run: Run,
        min: u32,
        max: u32,
    },
    /// Text with escapes that is a whole capture.
    Quoted {
        slot: u16,
        stop: u8,
        escape: u8,
    },
    /// Goes on here or at `skip`, whichever the next byte allows. Where that is both, more of the next bytes may tell.
    Branch {
        ways: Box<[u8; 257]>,
        ahead: Option<Box<[Ahead; 2]>>,
        skip: u32,
        prefer: Prefer,
    },
    Jump(u32),
    Start,
    End,
    WordBoundary {
        negated: bool,
    },
    /// The record has to end here; then it is taken by this pattern of the set.
    Accept(u32),
}

/// Where a record stopped fitting a pattern: the furthest byte that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Failure {
    /// Offset in the record.
    pub at: u32,
    /// The capture that was being read there.
    pub capture: Option<u16>,
}

pub(super) enum Outcome {
    /// By this pattern of the set.
    Matched(u32),
    Failed(Failure),
    /// The budget is spent; the regex has to decide.
    Exhausted,
}

enum Frame {
    /// Go on at `pc` from `at`.
    Resume { pc: u32, at: u32, trail: u32 },
    /// A greedy run that may still end at a candidate below `at`, down to `low`.
    Shorter { pc: u32, at: u32, low: u32, trail: u32 },
    /// A lazy run that may still end at a candidate above `at`, up to `high`.
    Longer { pc: u32, at: u32, high: u32, trail: u32 },
}

/// The machine's stacks, kept between records so that they are allocated once.
#[derive(Default)]
pub(super) struct Stacks {
    frames: Vec<Frame>,
    /// Captures that were overwritten since a frame was pushed, to put back.
    trail: Vec<(u16, Span)>,
    /// Where each open capture began.
    opened: Vec<u32>,
}

/// What the machine does.
#[derive(Clone, Copy)]
enum Event {
    /// It begins a step at a byte of the record.
    Step(u32, usize),
    /// It leaves a frame; so many there are now.
    Pushed(usize),
    /// It comes back to the latest frame; so many are left. That of a branch, or of a run that may end elsewhere?
    Back { frames: usize, is_branch: bool },
}

/// The steps that led to a match, without those that led nowhere.
#[derive(Default)]
pub(super) struct Path {
    pub(super) steps: Vec<u32>,
    /// Where in the record each of them begins.
    pub(super) places: Vec<u32>,
    /// Which of them are branches whose first way led nowhere.
    pub(super) detours: Vec<usize>,
    /// Which of them are runs that did not end where they first could.
    second_tries: Vec<usize>,
    /// How many steps there were when each frame was left.
    marks: Vec<usize>,
}

impl Path {
    fn clear(&mut self) {
        self.steps.clear();
        self.places.clear();
        self.detours.clear();
        self.second_tries.clear();
        self.marks.clear();
    }

    fn has_second_tries(&self) -> bool {
        !self.second_tries.is_empty()
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Step(pc, at) => {
                self.steps.push(pc);
                self.places.push(at as u32);
            }
            Event::Pushed(frames) => {
                self.marks.truncate(frames - 1);
                self.marks.push(self.steps.len());
            }
            Event::Back { frames, is_branch } => {
                let steps = self.marks.get(frames).copied().unwrap_or(0);
                self.marks.truncate(frames);
                self.steps.truncate(steps);
                self.places.truncate(steps);
                let last = steps.saturating_sub(1);
                self.detours.retain(|&step| step < last);
                self.second_tries.retain(|&step| step < last);
                if is_branch { &mut self.detours } else { &mut self.second_tries }.push(last);
            }
        }
    }
}

/// A pattern as steps over bytes. Made by [`lower`](super::lower).
#[derive(Clone)]
pub struct Program {
    pub(super) steps: Vec<Step>,
    /// The capture that each step is inside of, for messages.
    pub(super) owners: Vec<Option<u16>>,
    pub(super) captures: usize,
}

impl Program {
    /// Matches the whole of `record`. `slots` has one span for each capture.
    pub(super) fn run(&self, record: &[u8], slots: &mut [Span], stacks: &mut Stacks) -> Outcome {
        self.run_with(record, (0, 0), slots, stacks, |_| {})
    }

    /// Is there no way to the end of the record from the step `pc` at byte `at`? What is in `slots` then means nothing.
    pub(super) fn fails_from(&self, record: &[u8], from: (usize, usize), slots: &mut [Span], stacks: &mut Stacks) -> bool {
        matches!(self.run_with(record, from, slots, stacks, |_| {}), Outcome::Failed(_))
    }

    /// The same as [`run`](Self::run), and writes down the steps that led to the match.
    pub(super) fn record(&self, record: &[u8], slots: &mut [Span], stacks: &mut Stacks, path: &mut Path) -> Outcome {
        path.clear();
        let outcome = self.run_with(record, (0, 0), slots, stacks, |event| path.note(event));
        if !matches!(outcome, Outcome::Matched(_)) || path.has_second_tries() {
            path.clear();
        }
        outcome
    }

    /// Begins with a step at a byte, and tells `note` what it does.
    #[inline(always)]
    fn run_with(
        &self,
        record: &[u8],
        (mut pc, mut at): (usize, usize),
        slots: &mut [Span],
        stacks: &mut Stacks,
        mut note: impl FnMut(Event),
    ) -> Outcome {
        slots.fill(Span::NONE);
        stacks.frames.clear();
        stacks.trail.clear();
        stacks.opened.resize(self.captures, 0);
        let mut budget = 1024 + 8 * record.len();
        let mut failure = Failure::default();
        loop {
            // Runs steps until one fails or all are done.
            let failed_at = 'steps: loop {
                note(Event::Step(pc as u32, at));
                match &self.steps[pc] {
                    Step::Byte(byte) => {
                        if record.get(at) != Some(byte) {
                            break 'steps at;
                        }
                        at += 1;
                    }
                    Step::Literal(literal) => {
                        if !literal.is_at(record, at) {
                            let same = record[at..].iter().zip(&literal.bytes).take_while(|(a, b)| a == b).count();
                            break 'steps at + same;
                        }
                        at += literal.bytes.len();
                    }
                    Step::Set(set) => {
                        if !record.get(at).is_some_and(|&byte| set.contains(byte)) {
                            break 'steps at;
                        }
                        at += 1;
                    }
                    Step::Run { run, min, max } => {
                        let end = run.end(record, at, *max);
                        if end - at < *min as usize {
                            break 'steps end;
                        }
                        at = end;
                    }
                    Step::Field { slot, run, min, max } => {
                        let end = run.end(record, at, *max);
                        if end - at < *min as usize {
                            break 'steps end;
                        }
                        stacks.capture(*slot, at, end, slots);
                        at = end;
                    }
                    Step::Escaped { stop, escape } => at = escaped_end(record, at, *stop, *escape),
                    Step::Quoted { slot, stop, escape } => {
                        let end = escaped_end(record, at, *stop, *escape);
                        stacks.capture(*slot, at, end, slots);
                        at = end;
                    }
                    Step::Greedy { run, min, max, follow } => {
                        let high = run.end(record, at, *max);
                        let low = at + *min as usize;
                        let Some(end) = last_candidate(record, low, high, follow) else { break 'steps high };
                        if end > low {
                            stacks.push(Frame::Shorter { pc: pc as u32, at: end as u32, low: low as u32, trail: 0 });
                            note(Event::Pushed(stacks.frames.len()));
                        }
                        at = end;
                    }
                    Step::Lazy { run, min, max, follow, literal } => {
                        let high = run.end(record, at, *max);
                        let low = at + *min as usize;
                        let Some(end) = next_candidate(record, low, high, follow, literal.as_deref()) else { break 'steps high };
                        if end < high {
                            stacks.push(Frame::Longer { pc: pc as u32, at: end as u32, high: high as u32, trail: 0 });
                            note(Event::Pushed(stacks.frames.len()));
                        }
                        at = end;
                    }
                    Step::Open(slot) => {
                        stacks.opened[usize::from(*slot)] = at as u32;
                    }
                    Step::Close(slot) => {
                        stacks.capture(*slot, stacks.opened[usize::from(*slot)] as usize, at, slots);
                    }
                    Step::Branch { ways, ahead, skip, prefer } => {
                        let mut way = ways[record.get(at).map_or(256, |&byte| usize::from(byte))];
                        if way == TAKE | SKIP
                            && let Some(ahead) = ahead
                        {
                            let [take, skip] = [ahead[0].check(record, at), ahead[1].check(record, at)];
                            way = if take.is_ok() { TAKE } else { 0 } | if skip.is_ok() { SKIP } else { 0 };
                            // The way that is out of question got as far as that, for the message.
                            let seen = take.err().max(skip.err()).unwrap_or(at);
                            if way == 0 {
                                break 'steps seen;
                            }
                            if way != TAKE | SKIP && seen as u32 >= failure.at {
                                failure = Failure { at: seen as u32, capture: self.owners[pc] };
                            }
                        }
                        match (way, prefer) {
                            (TAKE, _) => {}
                            (SKIP, _) => {
                                pc = *skip as usize;
                                continue 'steps;
                            }
                            (0, _) => break 'steps at,
                            (_, Prefer::Take) => {
                                stacks.push(Frame::Resume { pc: *skip, at: at as u32, trail: 0 });
                                note(Event::Pushed(stacks.frames.len()));
                            }
                            (_, Prefer::Skip) => {
                                stacks.push(Frame::Resume { pc: pc as u32 + 1, at: at as u32, trail: 0 });
                                note(Event::Pushed(stacks.frames.len()));
                                pc = *skip as usize;
                                continue 'steps;
                            }
                        }
                    }
                    Step::Jump(to) => {
                        pc = *to as usize;
                        continue 'steps;
                    }
                    Step::Start => {
                        if at != 0 {
                            break 'steps at;
                        }
                    }
                    Step::End => {
                        if at != record.len() {
                            break 'steps at;
                        }
                    }
                    Step::WordBoundary { negated } => {
                        let word = |i: Option<usize>| {
                            i.and_then(|i| record.get(i)).is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_')
                        };
                        if (word(at.checked_sub(1)) != word(Some(at))) == *negated {
                            break 'steps at;
                        }
                    }
                    Step::Accept(pattern) => {
                        if at == record.len() {
                            return Outcome::Matched(*pattern);
                        }
                        break 'steps at;
                    }
                }
                pc += 1;
            };

            if failed_at as u32 >= failure.at {
                failure = Failure { at: failed_at as u32, capture: self.owners[pc] };
            }
            // Comes back to the latest frame that has another way to offer.
            loop {
                if budget == 0 {
                    return Outcome::Exhausted;
                }
                budget -= 1;
                let Some(frame) = stacks.frames.pop() else { return Outcome::Failed(failure) };
                match frame {
                    Frame::Resume { pc: to, at: from, trail } => {
                        note(Event::Back { frames: stacks.frames.len(), is_branch: true });
                        stacks.undo(trail, slots);
                        (pc, at) = (to as usize, from as usize);
                        break;
                    }
                    Frame::Shorter { pc: run, at: end, low, trail } => {
                        note(Event::Back { frames: stacks.frames.len(), is_branch: false });
                        stacks.undo(trail, slots);
                        let Step::Greedy { follow, .. } = &self.steps[run as usize] else { continue };
                        let Some(high) = (end as usize).checked_sub(1) else { continue };
                        let Some(end) = last_candidate(record, low as usize, high, follow) else { continue };
                        if end > low as usize {
                            stacks.push(Frame::Shorter { pc: run, at: end as u32, low, trail: 0 });
                            note(Event::Pushed(stacks.frames.len()));
                        }
                        (pc, at) = (run as usize + 1, end);
                        break;
                    }
                    Frame::Longer { pc: run, at: end, high, trail } => {
                        note(Event::Back { frames: stacks.frames.len(), is_branch: false });
                        stacks.undo(trail, slots);
                        let Step::Lazy { follow, literal, .. } = &self.steps[run as usize] else { continue };
                        let next = next_candidate(record, end as usize + 1, high as usize, follow, literal.as_deref());
                        let Some(end) = next else { continue };
                        if end < high as usize {
                            stacks.push(Frame::Longer { pc: run, at: end as u32, high, trail: 0 });
                            note(Event::Pushed(stacks.frames.len()));
                        }
                        (pc, at) = (run as usize + 1, end);
                        break;
                    }
                }
            }
        }
    }
}

impl Stacks {
    #[inline]
    fn push(&mut self, mut frame: Frame) {
        let (Frame::Resume { trail, .. } | Frame::Shorter { trail, .. } | Frame::Longer { trail, .. }) = &mut frame;
        *trail = self.trail.len() as u32;
        self.frames.push(frame);
    }

    #[inline]
    fn capture(&mut self, slot: u16, start: usize, end: usize, slots: &mut [Span]) {
        let span = &mut slots[usize::from(slot)];
        if !self.frames.is_empty() {
            self.trail.push((slot, *span));
        }
        *span = Span { start: start as u32, end: end as u32 };
    }

    fn undo(&mut self, to: u32, slots: &mut [Span]) {
        while self.trail.len() > to as usize {
            let Some((slot, span)) = self.trail.pop() else { break };
            slots[usize::from(slot)] = span;
        }
    }
}

/// Where text with escapes ends: at `stop`, or at the end of the record.
#[inline]
fn escaped_end(record: &[u8], mut at: usize, stop: u8, escape: u8) -> usize {
    loop {
        at = find2(record, at, stop, escape);
        // A lone escape at the very end is not an escaped byte: the run ends before it.
        if record.get(at) != Some(&escape) || at + 1 == record.len() {
            return at;
        }
        at += 2;
    }
}

/// The last place in `low..=high` where what follows can begin.
fn last_candidate(record: &[u8], low: usize, high: usize, follow: &Ahead) -> Option<usize> {
    (low..=high).rev().find(|&at| can_be_at(record, at, follow))
}

/// Can what follows begin here? Most often its first byte says no.
#[inline(always)]
fn can_be_at(record: &[u8], at: usize, follow: &Ahead) -> bool {
    record.get(at).is_none_or(|&byte| follow.first().contains(byte)) && follow.accepts(record, at)
}

/// The first place in `low..=high` where what follows can begin.
fn next_candidate(record: &[u8], low: usize, high: usize, follow: &Ahead, literal: Option<&[u8]>) -> Option<usize> {
    if low > high {
        return None;
    }
    if let Some(literal) = literal {
        // What follows is nearly always near: its first byte is looked for in line, then the rest compared.
        let mut at = low;
        while at <= high {
            at = find1(record, at, literal[0]);
            if at <= high && record[at..].starts_with(literal) {
                return Some(at);
            }
            at += 1;
        }
        return None;
    }
    (low..=high).find(|&at| can_be_at(record, at, follow))
}

/// One step a line, as `logsql format show NAME --program` prints it.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (pc, step) in self.steps.iter().enumerate() {
            write!(f, "{pc:4}  ")?;
            match step {
                Step::Byte(byte) => writeln!(f, "byte      '{}'", byte.escape_ascii())?,
                Step::Literal(bytes) => writeln!(f, "literal   \"{}\"", bytes.bytes.escape_ascii())?,
                Step::Set(set) => writeln!(f, "one of    {set:?}")?,
                Step::Run { run, min, max } => writeln!(f, "run       {}", Counted(run, *min, *max))?,
                Step::Escaped { stop, escape } => {
                    writeln!(f, "quoted    until '{}', escape '{}'", stop.escape_ascii(), escape.escape_ascii())?;
                }
                Step::Greedy { run, min, max, .. } => writeln!(f, "greedy    {} (may give back)", Counted(run, *min, *max))?,
                Step::Lazy { run, min, max, literal, .. } => {
                    write!(f, "lazy      {}", Counted(run, *min, *max))?;
                    match literal {
                        Some(literal) => writeln!(f, " up to \"{}\"", literal.escape_ascii())?,
                        None => writeln!(f)?,
                    }
                }
                Step::Field { slot, run, min, max } => writeln!(f, "field {slot:3} {}", Counted(run, *min, *max))?,
                Step::Quoted { slot, stop, escape } => {
                    writeln!(f, "field {slot:3} quoted until '{}', escape '{}'", stop.escape_ascii(), escape.escape_ascii())?;
                }
                Step::Open(slot) => writeln!(f, "open      {slot}")?,
                Step::Close(slot) => writeln!(f, "close     {slot}")?,
                Step::Branch { ahead, skip, .. } => {
                    let note = match ahead.as_deref() {
                        Some([take, skip]) if !take.is_disjoint(skip) => " (may come back)",
                        Some(_) => " (looks ahead)",
                        None => "",
                    };
                    writeln!(f, "branch    or {skip}{note}")?;
                }
                Step::Jump(to) => writeln!(f, "jump      {to}")?,
                Step::Start => writeln!(f, "start")?,
                Step::End => writeln!(f, "end")?,
                Step::WordBoundary { negated } => writeln!(f, "word edge{}", if *negated { " (not)" } else { "" })?,
                Step::Accept(0) => writeln!(f, "accept    at the end")?,
                Step::Accept(pattern) => writeln!(f, "accept    at the end, as {pattern}")?,
            }
        }
        Ok(())
    }
}

struct Counted<'a>(&'a Run, u32, u32);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Run::All => write!(f, "any")?,
            Run::Until1(a) => write!(f, "until '{}'", a.escape_ascii())?,
            Run::Until2(a, b) => write!(f, "until '{}' '{}'", a.escape_ascii(), b.escape_ascii())?,
            Run::Until3(a, b, c) => {
                write!(f, "until '{}' '{}' '{}'", a.escape_ascii(), b.escape_ascii(), c.escape_ascii())?;
            }
            Run::Table(_) => write!(f, "{:?}", self.0.set())?,
        }
        match (self.1, self.2) {
            (min, u32::MAX) => write!(f, " {min}+"),
            (min, max) if min == max => write!(f, " ×{min}"),
            (min, max) => write!(f, " ×{min}–{max}"),
        }
    }
}
