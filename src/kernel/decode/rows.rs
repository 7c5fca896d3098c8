//! The rows of one chunk, between finding their fields and reading their values.

use std::cell::RefCell;

use super::plan::ScanPlan;
use super::stamp::{StampContext, StampTracker};
use super::time::{Stamp, Zone};
use super::value;
use crate::scan::{Escapes, Span, Traces};

/// Why a line is unparsed.
#[derive(Clone, Debug)]
pub(super) struct LineFailure {
    pub(super) reason: &'static str,
    /// The pattern that came nearest, the byte of the line where it failed (from 1), and the field that was read there.
    pub(super) pattern: Option<Box<str>>,
    pub(super) column: Option<u64>,
    pub(super) field: Option<Box<str>>,
}

/// Added to offsets in [`Rows::unescaped`]. A chunk has far fewer bytes.
const UNESCAPED: u32 = 1 << 31;

/// What a row is, and where its record lies.
#[derive(Clone, Copy)]
struct Head {
    start: u32,
    len: u32,
    kind: u16,
}

/// Rows in the order of their records. Offsets are in the bytes that the decoder was given.
pub(super) struct Rows {
    heads: Vec<Head>,
    /// Numbers of lines, if they are asked for.
    pub(super) lines: Vec<u64>,
    /// Times that depend on the records before, if they are asked for.
    pub(super) times: Vec<Option<i64>>,
    spans: Vec<Span>,
    stride: usize,
    /// Records that stood inside of others with escapes, without them. Spans with [`UNESCAPED`] are in here.
    pub(super) unescaped: Vec<u8>,
    /// The failures of unparsed rows; empty where rows are records.
    failures: Vec<LineFailure>,
    /// For times that depend on nothing but the zone.
    alone: RefCell<StampTracker>,
}

impl Rows {
    pub(super) fn new(stride: usize, zone: Zone, reference_us: i64) -> Self {
        Self {
            heads: vec![],
            lines: vec![],
            times: vec![],
            spans: vec![],
            stride,
            unescaped: vec![],
            failures: vec![],
            alone: RefCell::new(StampTracker::new(zone, reference_us, Some(StampContext::default()))),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.lines.clear();
        self.times.clear();
        self.spans.clear();
        self.unescaped.clear();
        self.failures.clear();
    }

    /// Adds a row whose record lies at `start..end`.
    #[inline]
    pub(super) fn push(&mut self, kind: u16, start: usize, end: usize) {
        self.heads.push(Head { start: start as u32, len: (end - start) as u32, kind });
    }

    /// Adds the row of a record, with the captures that its kind needs out of all that the record has, and with what the plan wants
    /// to know of its place in the file: the number of its line, and its time.
    #[inline]
    pub(super) fn add(
        &mut self,
        plan: &ScanPlan,
        (kind, record): (u16, (usize, usize)),
        slots: &[Span],
        (line, time): (u64, Option<i64>),
    ) {
        self.push(kind, record.0, record.1);
        let needed = &plan.kinds[usize::from(kind)].needed;
        for &slot in needed {
            self.spans.push(slots[usize::from(slot)]);
        }
        if needed.len() < self.stride {
            self.spans.resize(self.heads.len() * self.stride, Span::NONE);
        }
        if plan.needs_line_numbers() {
            self.lines.push(line);
        }
        if plan.needs_stamp_context() {
            self.times.push(time);
        }
    }

    /// The same for records that one pattern takes, from lane `first` of those that were tried at once on. None of them has a time that depends on
    /// others.
    #[inline]
    pub(super) fn add_all(
        &mut self,
        plan: &ScanPlan,
        (kind, first): (u16, usize),
        records: &[(usize, usize)],
        traces: &Traces,
        line: u64,
    ) {
        let before = self.heads.len();
        let head = |&(start, end): &(usize, usize)| Head { start: start as u32, len: (end - start) as u32, kind };
        self.heads.extend(records.iter().map(head));
        self.spans.resize(self.heads.len() * self.stride, Span::NONE);
        let own = &mut self.spans[before * self.stride..];
        for (at, &slot) in plan.kinds[usize::from(kind)].needed.iter().enumerate() {
            let Some(capture) = traces.capture_abreast(usize::from(slot)) else { continue };
            for ((spans, record), lane) in own.chunks_exact_mut(self.stride).zip(records).zip(first..) {
                spans[at] = capture.span(lane, record.0);
            }
        }
        if plan.needs_line_numbers() {
            self.lines.extend(line..line + records.len() as u64);
        }
        if plan.needs_stamp_context() {
            self.times.resize(self.heads.len(), None);
        }
    }

    pub(super) fn fail(&mut self, failure: LineFailure) {
        self.failures.push(failure);
        self.spans.resize(self.heads.len() * self.stride, Span::NONE);
    }

    #[inline]
    pub(super) fn kind(&self, row: usize) -> usize {
        usize::from(self.heads[row].kind)
    }

    /// Where the record begins.
    #[inline]
    pub(super) fn start(&self, row: usize) -> u32 {
        self.heads[row].start
    }

    pub(super) fn record(&self, row: usize) -> Span {
        let Head { start, len, .. } = self.heads[row];
        Span { start, end: start + len }
    }

    /// Takes in a record that stood inside of another one with escapes; its place is for [`unescaped`](Self::unescaped).
    pub(super) fn unescape(&mut self, text: &[u8], before: Option<u8>, escapes: Escapes) -> (usize, usize) {
        let start = self.unescaped.len();
        self.unescaped.extend_from_slice(value::chomp(&escapes.undo(text, before)));
        (start, self.unescaped.len())
    }

    /// The same of what was taken in already.
    pub(super) fn unescape_again(&mut self, place: (usize, usize), escapes: Escapes) -> (usize, usize) {
        let text = self.unescaped(place).to_vec();
        let before = place.0.checked_sub(1).map(|before| self.unescaped[before]);
        self.unescape(&text, before, escapes)
    }

    /// What was taken in.
    pub(super) fn unescaped(&self, (start, end): (usize, usize)) -> &[u8] {
        &self.unescaped[start..end]
    }

    /// Where a text that was taken in lies, if the span is one of those.
    pub(super) fn place_of(span: Span) -> Option<(usize, usize)> {
        let is_unescaped = span != Span::NONE && span.start & UNESCAPED != 0;
        is_unescaped.then(|| ((span.start - UNESCAPED) as usize, (span.end - UNESCAPED) as usize))
    }

    /// The span of a capture of such a record, which begins at `start`.
    pub(super) fn unescaped_span(span: Span, start: usize) -> Span {
        let moved = |at: u32| UNESCAPED + start as u32 + at;
        Span { start: moved(span.start), end: moved(span.end) }
    }

    /// The kind of all rows, if they are of one.
    pub(super) fn only_kind(&self) -> Option<u16> {
        let first = self.heads.first()?.kind;
        self.heads.iter().all(|head| head.kind == first).then_some(first)
    }

    /// The bytes of a capture, and the one before it. `None` if it took no part.
    #[inline]
    pub(super) fn capture<'a>(&'a self, bytes: &'a [u8], row: usize, slot: u16) -> Option<(&'a [u8], Option<u8>)> {
        let span = self.spans[row * self.stride + usize::from(slot)];
        if span == Span::NONE {
            return None;
        }
        let (text, start, end) = if span.start & UNESCAPED == 0 {
            let start = self.start(row);
            (bytes, start + span.start, start + span.end)
        } else {
            (&*self.unescaped, span.start - UNESCAPED, span.end - UNESCAPED)
        };
        let before = (start as usize).checked_sub(1).and_then(|before| text.get(before)).copied();
        Some((text.get(start as usize..end as usize)?, before))
    }

    pub(super) fn failure(&self, row: usize) -> Option<&LineFailure> {
        self.failures.get(row)
    }

    /// The point in time of a stamp that stands for itself.
    pub(super) fn alone(&self, stamp: &Stamp) -> Option<i64> {
        self.alone.borrow_mut().resolve_alone(stamp)
    }
}
