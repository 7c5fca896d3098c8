//! What is known about the pieces of one file beyond their bytes: at which line each one begins, and what the stamps
//! before it say about its times.
//!
//! ```text
//!   piece       0            1            2            3
//!   counts     [812]        [790]         …            …       line feeds, counted once, by whoever asks first
//!   first_line  1           813          1603          …       number of the line that its first byte is in
//!   stamps      Nov … Dec   Dec … Jan    Jan … Feb     Feb     years run backwards from the time of the file, so all
//!   first_year  2025        2025         2026          2026    pieces have to be seen before the first one has a year
//! ```
//!
//! Nothing is read ahead unless a query asks for `_line`, or for the `time` of a format whose stamps have no year (or no
//! zone, where the clock is changed twice a year). What was found out stays with the file as long as it is the same.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::tz::TimeZone;
use rayon::prelude::*;

use crate::kernel::decode::{DecodeOptions, LogDecoder, Piece, ScanPlan, StampContext, StampSummary, Status, count_lines};
use crate::source::{self, Fill, Pass, ReadOptions, Snapshot, SourceError};

/// How far before a piece the first look for the last stamp goes.
const LOOK_BACK: u64 = 64 << 10;

/// What is known about the pieces of one file.
#[derive(Debug, Default)]
pub(super) struct FileIndex {
    counts: OnceLock<Vec<OnceLock<Count>>>,
    stamps: OnceLock<Vec<StampContext>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    line_feeds: u64,
    /// The piece's last byte is a line feed.
    closed: bool,
}

/// How to read ahead.
pub(super) struct ReadAhead<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// The walk through the archive that it is in.
    pub(super) pass: &'a Pass,
    /// All pieces of the file.
    pub(super) pieces: &'a [Range<u64>],
    pub(super) read: &'a ReadOptions,
    pub(super) zone: &'a TimeZone,
    pub(super) max_record_bytes: usize,
    /// Nobody waits for the answer any more.
    pub(super) cancelled: &'a AtomicBool,
}

impl FileIndex {
    /// The number, from 1, of the line that the first byte of piece `index` is in. Reads the pieces before it, as far
    /// as nobody has yet.
    pub(super) fn first_line(&self, ahead: &ReadAhead<'_>, index: usize) -> Result<u64, SourceError> {
        let counts = self.counts.get_or_init(|| ahead.pieces.iter().map(|_| OnceLock::new()).collect());
        let earlier: Vec<_> = ahead.pieces.iter().zip(counts).take(index).collect();
        earlier.par_iter().try_for_each(|(piece, count)| {
            if count.get().is_none() && !ahead.is_cancelled() {
                // Two that count the same piece at once come to the same number.
                let _ = count.set(ahead.count(piece)?);
            }
            Ok::<_, SourceError>(())
        })?;
        let mut line = 1;
        for (at, (piece, count)) in earlier.iter().enumerate() {
            let Some(count) = count.get() else { continue };
            line += count.line_feeds;
            // A hole ends a line as a line feed does.
            if !count.closed && piece.end < ahead.pieces[at + 1].start {
                line += 1;
            }
        }
        Ok(line)
    }

    /// What the stamps before piece `index` say about those in it. `plan` reads the time of each record.
    pub(super) fn stamps(&self, ahead: &ReadAhead<'_>, index: usize, plan: &Arc<ScanPlan>) -> Result<StampContext, SourceError> {
        if let Some(contexts) = self.stamps.get() {
            return Ok(contexts.get(index).copied().unwrap_or_default());
        }
        let contexts = ahead.stamp_contexts(plan)?;
        if ahead.is_cancelled() {
            return Ok(StampContext::default());
        }
        Ok(self.stamps.get_or_init(|| contexts).get(index).copied().unwrap_or_default())
    }
}

impl ReadAhead<'_> {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn count(&self, piece: &Range<u64>) -> Result<Count, SourceError> {
        let mut reader = source::open_in(self.pass, self.snapshot, piece.start, self.read)?;
        let mut count = Count { line_feeds: 0, closed: true };
        // A byte order mark is skipped but counted.
        let mut left = piece.end.saturating_sub(reader.offset());
        while left > 0 && !self.is_cancelled() {
            let Fill { bytes, end } = reader.fill(1)?;
            let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let bytes = &bytes[..take];
            count.line_feeds += count_lines(bytes);
            count.closed = bytes.last().map_or(count.closed, |byte| *byte == b'\n');
            left -= take as u64;
            reader.consume(take);
            // What was counted of a file that has changed since goes away with its rows, where those are checked.
            if (end && take == 0) || reader.verify().is_err() {
                break;
            }
        }
        Ok(count)
    }

    fn stamp_contexts(&self, plan: &Arc<ScanPlan>) -> Result<Vec<StampContext>, SourceError> {
        let summaries = self.pieces.par_iter().map(|piece| {
            let (summary, _) = self.follow(piece.clone(), StampContext::default(), plan)?;
            Ok(summary)
        });
        let summaries = summaries.collect::<Result<Vec<StampSummary>, SourceError>>()?;
        let whole = summaries.iter().copied().fold(StampSummary::default(), StampSummary::then);
        let first_year = whole.first_year(plan.reference_us());
        // Where the clock is never changed, a local time is one point in time.
        let doubled = self.zone.to_fixed_offset().is_err();
        let mut before = StampSummary::default();
        let mut starts = Vec::with_capacity(summaries.len());
        for summary in &summaries {
            let first = StampSummary { first: summary.first, last: summary.first, turns: 0 };
            let year = first_year.map(|year| year + before.then(first).turns);
            let last_year = first_year.map(|year| year + before.turns);
            starts.push((year, last_year));
            before = before.then(*summary);
        }
        let contexts = starts.par_iter().enumerate().map(|(index, (first_year, last_year))| {
            let before = match self.pieces[index].start {
                start if doubled && start > 0 => self.last_stamp_before(start, *last_year, plan)?,
                _ => StampContext::default(),
            };
            Ok(StampContext { first_year: *first_year, ..before })
        });
        contexts.collect()
    }

    /// Follows the stamps back from `end` as far as it takes: until it does not matter any more what was before them.
    fn last_stamp_before(&self, end: u64, last_year: Option<i32>, plan: &Arc<ScanPlan>) -> Result<StampContext, SourceError> {
        let mut back = LOOK_BACK;
        loop {
            let start = end.saturating_sub(back);
            let unknown = StampContext::default();
            let (summary, _) = self.follow(start..end, unknown, plan)?;
            let first_year = last_year.map(|year| year - summary.turns);
            let early = StampContext { first_year, ..unknown };
            let late = StampContext { first_year, last_local_us: Some(i64::MAX), second: true };
            let (_, after_early) = self.follow(start..end, early, plan)?;
            if start == 0 || self.is_cancelled() {
                return Ok(after_early);
            }
            let (_, after_late) = self.follow(start..end, late, plan)?;
            if after_early == after_late {
                return Ok(after_early);
            }
            back = back.saturating_mul(8);
        }
    }

    /// Decodes the times of a stretch of the file; the rows are of no interest.
    fn follow(
        &self,
        range: Range<u64>,
        stamps: StampContext,
        plan: &Arc<ScanPlan>,
    ) -> Result<(StampSummary, StampContext), SourceError> {
        let piece = Piece { start: range.start, end: range.end, first_line: 1, stamps };
        let options = DecodeOptions { limit: None, max_record_bytes: self.max_record_bytes, ..DecodeOptions::default() };
        let (piece, mut reader) = super::opener::open_piece(self.pass, self.snapshot, piece, self.read)?;
        let mut decoder = LogDecoder::new(Arc::clone(plan), piece, options);
        let mut want = 1;
        while !self.is_cancelled() {
            let Fill { bytes, end } = reader.fill(want)?;
            let given = bytes.len();
            // Without a filter nothing can fail but the making of a batch of one column of times.
            let Ok(decoded) = decoder.decode(bytes, end) else { break };
            reader.consume(decoded.used);
            want = if decoded.used == 0 { decoder.wants(given) } else { 1 };
            match decoded.status {
                Status::NeedMore if end && decoded.used == 0 => break,
                Status::NeedMore => {}
                Status::BatchReady => drop(decoder.flush()),
                Status::Done => break,
            }
            // As for the line counts: a change is found, and told, where the rows are made.
            if reader.verify().is_err() {
                break;
            }
        }
        Ok((decoder.stamp_summary(), decoder.stamp_context()))
    }
}
