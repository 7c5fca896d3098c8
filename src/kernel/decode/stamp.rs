//! What a stamp alone does not tell: its year, and which of two equal local times it is.
//!
//! Both follow from the stamps before it in the same file, so they are kept in a [`StampTracker`] that sees every record
//! in order. For pieces that are read beside each other, the state at the begin of each piece comes from the pieces
//! before it ([`StampSummary`]); the year is anchored at the *end* of the file, whose last line is not younger than the
//! file itself, and counted backwards:
//!
//! ```text
//!     piece 0          piece 1          piece 2        time of the file: 3 Jan 2026
//!   Nov … Dec … Dec │ Dec … Jan … Jan │ Jan … Jan      the last stamp lies in 2026
//!       2025        │ 2025 → 2026     │   2026         piece 1 has one turn of the year in it
//! ```

use super::time::{DAY, Local, Stamp, Zone, civil_of_days, is_leap, local_us};

/// Two days in a leap year that lie further apart than this, backwards, have a turn of the year between them. Less is
/// disorder: lines written by several threads, or files put together.
const TURN_US: i64 = 60 * DAY;
/// Forwards, a jump of nearly a year is a late line of December behind the first ones of January.
const LATE_US: i64 = 359 * DAY;
/// Lines may be this much younger than their file says: clocks and zones differ.
const AHEAD_US: i64 = 25 * 3_600_000_000;
/// A step back of at least this much inside a doubled hour is the clock being set back.
const STEP_BACK_US: i64 = 30 * 60_000_000;

/// What is known at the begin of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StampContext {
    /// The year of the piece's first stamp that has none. Without it, the year nearest to the file's time is taken.
    pub first_year: Option<i32>,
    /// The last local time before the piece, in microseconds, and whether the clock had been set back.
    pub last_local_us: Option<i64>,
    /// Was the last doubled local time before the piece its second occurrence?
    pub second: bool,
    /// For stamps without a day: the last day, and where on it.
    pub day: Option<Day>,
}

/// A day, and the last time of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Days since the epoch.
    number: i64,
    clock_us: i64,
}

/// Between which points in time all rows of a piece lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// The earliest time, in microseconds UTC; above `max` if no row has a time.
    pub min: i64,
    /// The latest one.
    pub max: i64,
    /// Rows with a time.
    pub times: u64,
    /// Rows without one.
    pub nulls: u64,
}

impl Default for TimeBounds {
    fn default() -> Self {
        Self { min: i64::MAX, max: i64::MIN, times: 0, nulls: 0 }
    }
}

impl TimeBounds {
    /// One more row.
    #[inline]
    pub(super) fn add(&mut self, time: Option<i64>) {
        match time {
            Some(time) => *self = Self { min: self.min.min(time), max: self.max.max(time), times: self.times + 1, ..*self },
            None => self.nulls += 1,
        }
    }

    /// The bounds of these rows and those.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            times: self.times + other.times,
            nulls: self.nulls + other.nulls,
        }
    }
}

/// The turns of the year in a stretch of a file. Stretches add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StampSummary {
    /// The first stamp, as microseconds in a leap year.
    pub first: Option<i64>,
    /// The last one.
    pub last: Option<i64>,
    /// How many years lie between them.
    pub turns: i32,
    /// The same for stamps without a day.
    pub days: DaySummary,
}

/// What a stretch of a file says about the days of stamps that have none. Stretches add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaySummary {
    /// The day that a line has told last.
    told: Option<i64>,
    /// The first clock since the begin, and the last one.
    first: Option<i64>,
    last: Option<i64>,
    /// How many days have gone by since that line, or since the first clock.
    turns: i64,
}

impl DaySummary {
    fn add(&mut self, clock_us: i64) {
        self.turns += self.last.map_or(0, |last| midnights(last, clock_us));
        self.first.get_or_insert(clock_us);
        self.last = Some(clock_us);
    }

    fn tell(&mut self, day: Day) {
        self.first.get_or_insert(day.clock_us);
        (self.told, self.last, self.turns) = (Some(day.number), Some(day.clock_us), 0);
    }

    fn then(self, next: Self) -> Self {
        let first = self.first.or(next.first);
        match (next.told, self.last, next.first) {
            (None, Some(last), Some(begin)) => {
                Self { told: self.told, first, last: next.last, turns: self.turns + midnights(last, begin) + next.turns }
            }
            (None, _, None) => self,
            _ => Self { first, ..next },
        }
    }

    /// What is known behind the stretch, if it begins with the file.
    pub fn day(self) -> Option<Day> {
        Some(Day { number: self.told? + self.turns, clock_us: self.last? })
    }
}

/// The midnights between two clocks that follow each other: 1, 0, or -1 for a late line. Lines are not later than an hour, but a
/// server may have nothing to do for most of a day.
fn midnights(last: i64, next: i64) -> i64 {
    const LATE_US: i64 = DAY / 24;
    i64::from(next < last - LATE_US) - i64::from(next > last + DAY - LATE_US)
}

impl StampSummary {
    /// Adds the next stamp.
    pub(crate) fn add(&mut self, stamp: &Stamp) {
        let at = in_year(stamp);
        if let Some(last) = self.last {
            self.turns += turn(last, at);
        }
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    /// This stretch and the one behind it.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let days = self.days.then(next.days);
        match (self.last, next.first) {
            (Some(last), Some(first)) => {
                Self { first: self.first, last: next.last, turns: self.turns + turn(last, first) + next.turns, days }
            }
            (Some(_), None) => Self { days, ..self },
            (None, _) => Self { days, ..next },
        }
    }

    /// The year of the first stamp, where the last one is not younger than the file.
    pub fn first_year(self, reference_us: i64) -> Option<i32> {
        Some(year_before(self.last?, reference_us) - self.turns)
    }
}

/// The years between two stamps that follow each other: 1, 0, or -1 for a late line.
fn turn(last: i64, next: i64) -> i32 {
    if next < last - TURN_US {
        1
    } else if next > last + LATE_US {
        -1
    } else {
        0
    }
}

/// Microseconds since the begin of a leap year.
fn in_year(stamp: &Stamp) -> i64 {
    local_us(2000, stamp) - local_us(2000, &Stamp { year: None, month: 1, day: 1, clock_us: 0, offset: None })
}

/// The latest year in which this point of a leap year is not behind the reference, which is local time near enough.
fn year_before(at: i64, reference_us: i64) -> i32 {
    let mut year = 1970 + reference_us.div_euclid(365 * DAY + DAY / 4) as i32 + 1;
    let start = |year: i32| local_us(year, &Stamp { year: None, month: 1, day: 1, clock_us: 0, offset: None });
    // In a common year everything from March on comes a day earlier; 29 February waits for a leap year.
    let leap_day = 59 * DAY..60 * DAY;
    loop {
        let shift = if !is_leap(year) && at >= leap_day.end { DAY } else { 0 };
        let exists = is_leap(year) || !leap_day.contains(&at);
        if exists && start(year) + at - shift <= reference_us + AHEAD_US {
            return year;
        }
        year -= 1;
    }
}

/// Has the stamp no day?
fn is_clock(stamp: &Stamp) -> bool {
    stamp.month == 0
}

/// Follows the stamps of one piece.
#[derive(Clone, Debug)]
pub(crate) struct StampTracker {
    zone: Zone,
    reference_us: i64,
    context: StampContext,
    /// It is known what was before the piece.
    is_told: bool,
    /// The last stamp without a year, as microseconds in a leap year, and its year.
    last: Option<(i64, i32)>,
    summary: StampSummary,
}

impl StampTracker {
    /// A tracker that was told what is before the piece, or not yet.
    pub(crate) fn new(zone: Zone, reference_us: i64, context: Option<StampContext>) -> Self {
        let is_told = context.is_some();
        Self { zone, reference_us, context: context.unwrap_or_default(), is_told, last: None, summary: StampSummary::default() }
    }

    /// What is before the piece.
    pub(crate) fn set_context(&mut self, before: StampContext) {
        self.is_told = true;
        self.context.first_year = before.first_year;
        let day = self.context.day.or(before.day);
        // A local time that was seen since then is the last one.
        if self.context.last_local_us.is_none() {
            self.context = before;
        }
        self.context.day = day;
    }

    /// A line says on which day those behind it are.
    pub(crate) fn set_day(&mut self, stamp: &Stamp) {
        let Some(year) = stamp.year else { return };
        let day = Day { number: local_us(year, stamp).div_euclid(DAY), clock_us: stamp.clock_us };
        self.summary.days.tell(day);
        self.context.day = Some(day);
    }

    /// Does the time of the next stamp depend on what is before the piece, and is that not known?
    #[inline]
    pub(crate) fn needs_context(&mut self, stamp: &Stamp) -> bool {
        !self.is_told && self.depends(stamp)
    }

    fn depends(&mut self, stamp: &Stamp) -> bool {
        if is_clock(stamp) {
            return self.context.day.is_none();
        }
        let Some(year) = stamp.year else { return true };
        let is_first = stamp.offset.is_none() && self.context.last_local_us.is_none();
        is_first && matches!(self.zone.utc(local_us(year, stamp)), Local::Twice { .. })
    }

    pub(crate) fn summary(&self) -> StampSummary {
        self.summary
    }

    /// The point in time of the next stamp of the file, in microseconds UTC.
    pub(crate) fn resolve(&mut self, stamp: &Stamp) -> Option<i64> {
        if is_clock(stamp) {
            self.summary.days.add(stamp.clock_us);
            let day = self.context.day.as_mut()?;
            *day = Day { number: day.number + midnights(day.clock_us, stamp.clock_us), clock_us: stamp.clock_us };
            let (year, month, day) = civil_of_days(day.number)?;
            return self.resolve(&Stamp { year: Some(year), month, day, ..*stamp });
        }
        let year = match stamp.year {
            Some(year) => year,
            None => self.year_of(stamp),
        };
        if stamp.month == 2 && stamp.day == 29 && !is_leap(year) {
            return None;
        }
        let local = local_us(year, stamp);
        if let Some(offset) = stamp.offset {
            return Some(local - i64::from(offset) * 1_000_000);
        }
        let time = match self.zone.utc(local) {
            Local::Once(time) => {
                self.context.second = false;
                time
            }
            Local::Twice { first, second } => {
                if self.context.last_local_us.is_some_and(|last| local <= last - STEP_BACK_US) {
                    self.context.second = true;
                }
                if self.context.second { second } else { first }
            }
        };
        self.context.last_local_us = Some(local);
        Some(time)
    }

    /// The point in time of a stamp that says nothing about its neighbours.
    pub(crate) fn resolve_alone(&mut self, stamp: &Stamp) -> Option<i64> {
        if is_clock(stamp) {
            return None;
        }
        let year = stamp.year.unwrap_or_else(|| year_before(in_year(stamp), self.reference_us));
        if stamp.month == 2 && stamp.day == 29 && !is_leap(year) {
            return None;
        }
        let local = local_us(year, stamp);
        Some(match stamp.offset {
            Some(offset) => local - i64::from(offset) * 1_000_000,
            None => match self.zone.utc(local) {
                Local::Once(time) | Local::Twice { first: time, .. } => time,
            },
        })
    }

    fn year_of(&mut self, stamp: &Stamp) -> i32 {
        self.summary.add(stamp);
        let at = in_year(stamp);
        let year = match (self.last, self.context.first_year) {
            (Some((last, year)), _) => year + turn(last, at),
            (None, Some(year)) => year,
            (None, None) => year_before(at, self.reference_us),
        };
        self.last = Some((at, year));
        year
    }

    /// Where the next piece begins.
    pub(crate) fn context(&self) -> StampContext {
        StampContext { first_year: None, ..self.context }
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Layout;
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    fn stamp(text: &str) -> Stamp {
        Layout::Syslog.parse(text.as_bytes()).expect(text)
    }

    fn years(lines: &[&str], reference: &str) -> Vec<i16> {
        let reference_us = reference.parse::<Timestamp>().expect("a time").as_microsecond();
        let mut summary = StampSummary::default();
        lines.iter().for_each(|line| summary.add(&stamp(line)));
        let context = StampContext { first_year: summary.first_year(reference_us), ..StampContext::default() };
        let mut tracker = StampTracker::new(Zone::new(TimeZone::UTC), reference_us, Some(context));
        lines
            .iter()
            .map(|line| {
                let time = tracker.resolve(&stamp(line)).expect(line);
                Timestamp::from_microsecond(time).expect("in range").to_zoned(TimeZone::UTC).year()
            })
            .collect()
    }

    #[test]
    fn a_file_over_new_year_is_walked_back_from_its_own_time() {
        assert_eq!(years(&["Dec 31 23:59:59", "Jan  1 00:00:01"], "2026-01-03T00:00:00Z"), [2025, 2026]);
        assert_eq!(years(&["Dec 31 23:59:59"], "2026-01-01T00:00:01Z"), [2025]);
        assert_eq!(years(&["Jan  1 00:00:01"], "2025-12-31T23:59:59Z"), [2026], "a clock or zone ahead is no reason to go back");
    }

    #[test]
    fn three_years_and_late_lines_are_counted() {
        let lines = [
            "Nov  1 00:00:00",
            "Feb  1 00:00:00",
            "Nov  1 00:00:00",
            "Dec 31 00:00:00",
            "Jan  1 00:00:00",
            "Dec 31 23:59:59",
            "Jan  2 00:00:00",
        ];
        assert_eq!(years(&lines, "2026-06-01T00:00:00Z"), [2024, 2025, 2025, 2025, 2026, 2025, 2026]);
        assert_eq!(years(&["Mar  1 00:00:00", "Feb 28 23:59:59", "Mar  1 00:00:01"], "2026-06-01T00:00:00Z"), [2026; 3]);
    }

    #[test]
    fn the_leap_day_waits_for_a_leap_year() {
        assert_eq!(years(&["Feb 29 12:00:00"], "2026-06-01T00:00:00Z"), [2024]);
        assert_eq!(years(&["Mar  1 12:00:00"], "2026-03-01T12:00:00Z"), [2026]);
    }

    #[test]
    fn summaries_of_pieces_add_up_at_every_cut() {
        let lines = [
            "Nov  1 00:00:00",
            "Dec 31 00:00:00",
            "Jan  1 00:00:00",
            "Dec 31 23:59:59",
            "Jan  2 00:00:00",
            "Jun  1 00:00:00",
            "Jan  1 00:00:00",
        ];
        let summary = |lines: &[&str]| {
            let mut summary = StampSummary::default();
            lines.iter().for_each(|line| summary.add(&stamp(line)));
            summary
        };
        for cut in 0..=lines.len() {
            assert_eq!(summary(&lines[..cut]).then(summary(&lines[cut..])), summary(&lines), "cut at {cut}");
        }
    }

    #[test]
    fn a_step_back_inside_a_doubled_hour_is_the_second_occurrence() {
        let zone = Zone::new(TimeZone::get("America/New_York").expect("a zone"));
        let mut tracker = StampTracker::new(zone, 0, Some(StampContext::default()));
        let mut at = |text: &str| {
            let stamp = Layout::Slash.parse(text.as_bytes()).expect(text);
            Timestamp::from_microsecond(tracker.resolve(&stamp).expect(text)).expect("in range").to_string()
        };
        assert_eq!(at("2026/11/01 01:10:00"), "2026-11-01T05:10:00Z");
        assert_eq!(at("2026/11/01 01:59:59"), "2026-11-01T05:59:59Z");
        assert_eq!(at("2026/11/01 01:00:00"), "2026-11-01T06:00:00Z");
        assert_eq!(at("2026/11/01 01:30:00"), "2026-11-01T06:30:00Z");
        assert_eq!(at("2026/11/01 02:00:00"), "2026-11-01T07:00:00Z");
    }
}
