//! What is known about the pieces of one file beyond their bytes: at which line each one begins, and what the stamps
//! before it say about its times.
//!
//! ```text
//!   piece       0            1            2            3
//!   counts     [812]        [790]         …            …       line feeds, counted once, by whoever asks first
//!   first_line  1           813          1603          …       number of the line that its first byte is in
//!   stamps      Nov … Dec   Dec … Jan    Jan … Feb     Feb     years run backwards from the time of the file, so all
//!   first_year  2025        2025         2026          2026    pieces have to be seen before the first one has a year
//!   header      #Fields: …   (as 0)       (as 0)       #Fields: …  the line that says what the columns behind it are
//!   bounds      18:00–18:03  18:02–18:31  ?            ?       times of the rows of a table, once a query has read them all
//!   values      200 404      200          ?            ?       so for some columns: all values, or a filter (values.rs)
//! ```
//!
//! Nothing is read ahead unless a query asks for `_line`, or for the `time` of a format whose stamps have no year (or no
//! zone, where the clock is changed twice a year), or for a format whose columns are named by lines between the others. What was found out stays with the file as long as it is the same.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::facts::FileFacts;
use super::values::FileValues;
use crate::kernel::decode::{
    DecodeOptions, LogDecoder, Piece, ScanPlan, StampContext, StampSummary, Status, TimeBounds, count_lines,
};
use crate::source::{self, Fill, Pass, ReadOptions, RestartPoint, Snapshot, SourceError};

/// How far before a piece the first look for the last stamp goes.
const LOOK_BACK: u64 = 64 << 10;
/// The records that begin in so many bytes tell at which time a piece begins.
const FIRST_BYTES: u64 = 16 << 10;

/// A line that says what the columns of those behind it are.
pub(super) type Header = Arc<[u8]>;

/// What is known about the pieces of one file.
#[derive(Debug, Default)]
pub(super) struct FileIndex {
    counts: OnceLock<Vec<OnceLock<Count>>>,
    stamps: Mutex<Option<Vec<StampContext>>>,
    /// What scans have found out about its rows.
    facts: Mutex<FileFacts>,
    /// Which values stand in some of its columns.
    values: Mutex<FileValues>,
    /// Where a compressed file can be entered.
    points: OnceLock<Arc<[RestartPoint]>>,
    /// What reads the times of the first records.
    stamp_plan: OnceLock<Option<Arc<ScanPlan>>>,
    /// The last line of each piece that says what columns are.
    pub(super) headers: OnceLock<Vec<OnceLock<Option<Header>>>>,
    /// The times of the first records of each piece, where they have been looked at.
    firsts: Mutex<HashMap<u64, Option<TimeBounds>>>,
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
    /// What was found of each of them.
    pub(super) headers: &'a OnceLock<Vec<OnceLock<Option<Header>>>>,
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
        // Who comes second waits: the file is read once.
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let context = |contexts: &Vec<StampContext>| contexts.get(index).copied().unwrap_or_default();
        if let Some(contexts) = &*stamps {
            return Ok(context(contexts));
        }
        let contexts = ahead.stamp_contexts(plan)?;
        if ahead.is_cancelled() {
            return Ok(StampContext::default());
        }
        Ok(context(stamps.insert(contexts)))
    }
}

impl FileIndex {
    /// An index that begins with what was found out before.
    pub(super) fn with(facts: FileFacts, values: FileValues, points: Vec<RestartPoint>) -> Self {
        let index = Self { facts: Mutex::new(facts), values: Mutex::new(values), ..Self::default() };
        index.learn_points(points);
        index
    }

    /// Where a compressed file can be entered, if that has been found out.
    pub(super) fn points(&self) -> Option<&Arc<[RestartPoint]>> {
        self.points.get()
    }

    /// It has been unpacked from its begin to its end, and can be entered at these.
    pub(super) fn learn_points(&self, points: Vec<RestartPoint>) {
        if !points.is_empty() && self.points.set(points.into()).is_ok() {
            self.facts().is_news = true;
        }
    }

    /// What scans have found out about its rows.
    pub(super) fn facts(&self) -> MutexGuard<'_, FileFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which values stand in some of its columns.
    pub(super) fn values(&self) -> MutexGuard<'_, FileValues> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan for [`Self::assumed_bounds`], made once.
    pub(super) fn stamp_plan(&self, make: impl FnOnce() -> Option<Arc<ScanPlan>>) -> Option<Arc<ScanPlan>> {
        self.stamp_plan.get_or_init(make).clone()
    }

    /// Between which times the rows of piece `index` lie if no line of the file is further than `slack` from its place in the
    /// order of time. `plan` reads the time of each record. `None` if the stamps at the ends of the piece do not tell.
    pub(super) fn assumed_bounds(
        &self,
        ahead: &ReadAhead<'_>,
        index: usize,
        slack_us: i64,
        plan: &Arc<ScanPlan>,
    ) -> Result<Option<TimeBounds>, SourceError> {
        let Some(first) = self.first_times(ahead, index, plan)? else { return Ok(None) };
        let max = match index + 1 < ahead.pieces.len() {
            true => match self.first_times(ahead, index + 1, plan)? {
                Some(next) => next.max.max(first.max).saturating_add(slack_us),
                None => return Ok(None),
            },
            false => i64::MAX,
        };
        Ok(Some(TimeBounds { min: first.min.saturating_sub(slack_us), max, times: 1, nulls: 0 }))
    }

    fn first_times(&self, ahead: &ReadAhead<'_>, index: usize, plan: &Arc<ScanPlan>) -> Result<Option<TimeBounds>, SourceError> {
        let Some(piece) = ahead.pieces.get(index) else { return Ok(None) };
        let firsts = || self.firsts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = firsts().get(&piece.start) {
            return Ok(*known);
        }
        let found = ahead.first_times(piece, plan)?;
        firsts().insert(piece.start, found);
        Ok(found)
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

    /// The last line that begins before `start` and says what columns are.
    pub(super) fn header_before(&self, start: u64, plan: &ScanPlan) -> Result<Option<Header>, SourceError> {
        let headers = self.headers.get_or_init(|| self.pieces.iter().map(|_| OnceLock::new()).collect());
        for (piece, known) in self.pieces.iter().zip(headers).rev().filter(|(piece, _)| piece.start < start) {
            if piece.end > start {
                if let Some(header) = self.header_in(piece.start..start, plan)? {
                    return Ok(Some(header));
                }
                continue;
            }
            if known.get().is_none() {
                let found = self.header_in(piece.clone(), plan)?;
                if self.is_cancelled() {
                    return Ok(None);
                }
                // Two that look at the same piece at once find the same.
                let _ = known.set(found);
            }
            if let Some(Some(header)) = known.get() {
                return Ok(Some(Arc::clone(header)));
            }
        }
        Ok(None)
    }

    /// The last line that begins in the range and says what columns are.
    fn header_in(&self, range: Range<u64>, plan: &ScanPlan) -> Result<Option<Header>, SourceError> {
        let piece = Piece { start: range.start, end: range.end, first_line: 1, stamps: None };
        let (piece, mut reader) = super::opener::open_piece(self.pass, self.snapshot, piece, self.read)?;
        // The byte before the range tells whether a line begins with it.
        let mut begins = piece.start == 0;
        let mut last = None;
        let mut want = 1;
        while !self.is_cancelled() {
            let offset = reader.offset();
            let Fill { bytes, end } = reader.fill(want)?;
            let mut at = 0;
            while at < bytes.len() {
                if begins && offset + at as u64 >= range.end {
                    return Ok(last);
                }
                let feed = memchr::memchr(b'\n', &bytes[at..]).map(|feed| at + feed);
                let Some(stop) = feed.or_else(|| end.then_some(bytes.len())) else { break };
                if begins {
                    let line = &bytes[at..stop];
                    let nuls = line.iter().take_while(|&&byte| byte == 0).count();
                    let line = line[nuls..].strip_suffix(b"\r").unwrap_or_else(|| &line[nuls..]);
                    if plan.is_header(line) && line.len() <= self.max_record_bytes {
                        last = Some(Header::from(line));
                    }
                }
                begins = true;
                at = stop + 1;
            }
            let given = bytes.len();
            let mut used = at.min(given);
            // A line that is longer than a record may be, or a hole.
            if used == 0 && given > self.max_record_bytes + 1 {
                begins &= bytes.iter().all(|&byte| byte == 0);
                used = given;
            }
            reader.consume(used);
            if (end && used == given) || reader.verify().is_err() {
                break;
            }
            want = if used == 0 { (given * 2).max(1 << 16) } else { 1 };
        }
        Ok(last)
    }

    /// The times of the first records that begin in `piece`, where they stand for themselves.
    fn first_times(&self, piece: &Range<u64>, plan: &Arc<ScanPlan>) -> Result<Option<TimeBounds>, SourceError> {
        let end = piece.end.min(piece.start.saturating_add(FIRST_BYTES));
        let (decoder, status) = self.follow(piece.start..end, None, plan)?;
        let bounds = decoder.time_bounds().filter(|bounds| bounds.times > 0);
        Ok(bounds.filter(|_| status != Status::NeedStamps))
    }

    fn stamp_contexts(&self, plan: &Arc<ScanPlan>) -> Result<Vec<StampContext>, SourceError> {
        let summaries = self.pieces.par_iter().map(|piece| {
            let (decoder, _) = self.follow(piece.clone(), Some(StampContext::default()), plan)?;
            Ok(decoder.stamp_summary())
        });
        let summaries = summaries.collect::<Result<Vec<StampSummary>, SourceError>>()?;
        let whole = summaries.iter().copied().fold(StampSummary::default(), StampSummary::then);
        let first_year = whole.first_year(plan.reference_us());
        let mut before = StampSummary::default();
        let mut years = Vec::with_capacity(summaries.len());
        let mut days = Vec::with_capacity(summaries.len());
        for summary in &summaries {
            let first = StampSummary { first: summary.first, last: summary.first, ..StampSummary::default() };
            let year = first_year.map(|year| year + before.then(first).turns);
            days.push(before.days.day());
            before = before.then(*summary);
            let last_year = first_year.map(|year| year + before.turns);
            years.push((year, last_year));
        }
        // Where the clock is never changed, a local time is one point in time.
        if self.zone.to_fixed_offset().is_ok() {
            return Ok(years
                .iter()
                .zip(days)
                .map(|((first_year, _), day)| StampContext { first_year: *first_year, day, ..StampContext::default() })
                .collect());
        }
        let ends = self.pieces.par_iter().zip(&years).map(|(piece, (_, last_year))| self.end_of(piece, *last_year, plan));
        let ends = ends.collect::<Result<Vec<End>, SourceError>>()?;
        let mut contexts = Vec::with_capacity(ends.len());
        let mut before = StampContext::default();
        for (((piece, (first_year, _)), day), end) in self.pieces.iter().zip(&years).zip(days).zip(&ends) {
            let context = StampContext { first_year: *first_year, day, ..before };
            contexts.push(context);
            match end {
                End::Known(after) => before = *after,
                End::AsBefore => {}
                End::Depends => before = self.follow(piece.clone(), Some(context), plan)?.0.stamp_context(),
            }
        }
        Ok(contexts)
    }

    /// What the stamps of a piece say about those behind it. They are followed back from its end as far as it takes: until it
    /// does not matter any more what was before them.
    fn end_of(&self, piece: &Range<u64>, last_year: Option<i32>, plan: &Arc<ScanPlan>) -> Result<End, SourceError> {
        let unknown = StampContext::default();
        let mut back = LOOK_BACK;
        loop {
            let start = piece.end.saturating_sub(back).max(piece.start);
            let after = |context| Ok(self.follow(start..piece.end, Some(context), plan)?.0);
            let turns = after(unknown)?.stamp_summary().turns;
            let first_year = last_year.map(|year| year - turns);
            let [early, late] = [unknown, StampContext { last_local_us: Some(i64::MAX), second: true, ..unknown }];
            let after_early = after(StampContext { first_year, ..early })?.stamp_context();
            if start == 0 || self.is_cancelled() {
                return Ok(End::Known(after_early));
            }
            let after_late = after(StampContext { first_year, ..late })?.stamp_context();
            if after_early == after_late {
                return Ok(End::Known(after_early));
            }
            if start == piece.start {
                let is_untouched = after_early == early && after_late == late;
                return Ok(if is_untouched { End::AsBefore } else { End::Depends });
            }
            back = back.saturating_mul(8);
        }
    }

    /// Decodes the times of a stretch of the file; the rows are of no interest. The status is the one that it ended with.
    fn follow(
        &self,
        range: Range<u64>,
        stamps: Option<StampContext>,
        plan: &Arc<ScanPlan>,
    ) -> Result<(LogDecoder, Status), SourceError> {
        let start = range.start;
        let piece = Piece { start, end: range.end, first_line: 1, stamps };
        let options = DecodeOptions { limit: None, max_record_bytes: self.max_record_bytes, ..DecodeOptions::default() };
        let (piece, mut reader) = super::opener::open_piece(self.pass, self.snapshot, piece, self.read)?;
        let mut decoder = LogDecoder::new(Arc::clone(plan), piece, options);
        let mut status = Status::NeedMore;
        let mut want = 1;
        while !self.is_cancelled() {
            let Fill { bytes, end } = reader.fill(want)?;
            let given = bytes.len();
            // Without a filter nothing can fail but the making of a batch of one column of times.
            let Ok(decoded) = decoder.decode(bytes, end) else { break };
            reader.consume(decoded.used);
            want = if decoded.used == 0 { decoder.wants(given) } else { 1 };
            status = decoded.status;
            match status {
                Status::NeedMore if end && decoded.used == 0 => break,
                Status::NeedMore => {}
                Status::BatchReady => drop(decoder.flush()),
                Status::NeedHeader => decoder.set_header(self.header_before(start, plan)?.as_deref()),
                Status::NeedStamps | Status::Done => break,
            }
            // As for the line counts: a change is found, and told, where the rows are made.
            if reader.verify().is_err() {
                break;
            }
        }
        Ok((decoder, status))
    }
}

/// What is known behind a piece about doubled local times.
enum End {
    /// This, whatever was before the piece.
    Known(StampContext),
    /// What was known before it: it has no stamp that says anything.
    AsBefore,
    /// It depends on what was before it.
    Depends,
}
