//! What scans have found out about the records of a file, stretch by stretch.
//!
//! ```text
//!   stretch        0–16 MiB              16–32 MiB              …         pieces of a plain file, blocks of an unpacked one
//!   access_log     82,113 rows           81,950 rows            ?         once a scan has looked at all of its rows
//!                  18:00:01–18:03:12     18:03:10–18:06:40      ?         once one has read all of their times, too
//! ```
//!
//! They are exact: a scan adds those of a stretch when it has read it to its end, without an error.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::report::LineCounts;
use crate::kernel::decode::TimeBounds;
use crate::kernel::table::table;

/// What is known of the records that begin in a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Its lines; `rows` are those of the table.
    pub(super) counts: LineCounts,
    /// Between which times its rows lie.
    #[serde(with = "bounds")]
    pub(super) times: Option<TimeBounds>,
}

impl Facts {
    /// Those of this stretch and of that one.
    fn with(self, other: Self) -> Self {
        let mut counts = self.counts;
        counts.add(&other.counts);
        Self { counts, times: self.times.zip(other.times).map(|(one, other)| one.with(other)) }
    }
}

/// The kernel's bounds as four numbers.
mod bounds {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::kernel::decode::TimeBounds;

    pub(super) fn serialize<S: Serializer>(bounds: &Option<TimeBounds>, to: S) -> Result<S::Ok, S::Error> {
        bounds.map(|TimeBounds { min, max, times, nulls }| (min, max, times, nulls)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TimeBounds>, D::Error> {
        let bounds = Option::<(i64, i64, u64, u64)>::deserialize(from)?;
        Ok(bounds.map(|(min, max, times, nulls)| TimeBounds { min, max, times, nulls }))
    }
}

/// What is known of stretches that do not overlap, by the begin of each: its end, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Stretches<T>(BTreeMap<u64, (u64, T)>);

impl<T> Default for Stretches<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Stretches<T> {
    /// Those that it overlaps are gone. What was known of just this range is given back.
    pub(super) fn put(&mut self, range: &Range<u64>, known: T) -> Option<T> {
        let before = self.0.range(..range.start).next_back().map(|(start, (end, _))| (*start, *end));
        let overlapping: Vec<u64> = self.0.range(range.clone()).map(|(start, _)| *start).collect();
        let before = before.filter(|(_, end)| *end > range.start).map(|(start, _)| start);
        let mut same = None;
        for start in before.into_iter().chain(overlapping) {
            let older = self.0.remove(&start);
            if let Some((_, older)) = older.filter(|(end, _)| (start, *end) == (range.start, range.end)) {
                same = Some(older);
            }
        }
        self.0.insert(range.start, (range.end, known));
        same
    }

    /// What is known of the stretches that `range` lies in, and from where to where they reach; `None` if there is a gap.
    pub(super) fn over(&self, range: &Range<u64>) -> Option<(Range<u64>, Vec<&T>)> {
        let first = *self.0.range(..=range.start).next_back()?.0;
        let (mut at, mut all) = (first, Vec::new());
        for (start, (end, known)) in self.0.range(first..) {
            if at >= range.end {
                break;
            }
            if *start != at {
                return None;
            }
            // What ends before the range says nothing about it.
            if *end > range.start {
                all.push(known);
            }
            at = *end;
        }
        (at >= range.end && !all.is_empty()).then_some((first..at, all))
    }

    /// Only those that end before `end` stay.
    pub(super) fn retain_before(&mut self, end: u64) {
        self.0.retain(|_, (stop, _)| *stop < end);
    }

    /// Each, with where it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Range<u64>, &T)> {
        self.0.iter().map(|(start, (end, known))| (*start..*end, known))
    }

    /// What is known of each.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut().map(|(_, known)| known)
    }

    /// Can they have been written down by us?
    pub(super) fn is_plausible(&self) -> bool {
        self.0.len() < 1 << 20 && self.iter().all(|(range, _)| range.start < range.end)
    }
}

/// The facts of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableFacts {
    /// Times depend on the time of the file: stamps have no year.
    pub(super) is_anchored: bool,
    stretches: Stretches<Facts>,
}

impl TableFacts {
    fn learn(&mut self, range: &Range<u64>, facts: Facts) {
        // What is known of the same stretch stays known.
        if let Some(older) = self.stretches.put(range, facts).filter(|older| older.times.is_some() && facts.times.is_none()) {
            self.stretches.put(range, Facts { times: older.times, ..facts });
        }
    }

    /// What is known of all stretches that lie in `range`, and whether they are just that range; `None` if there is a gap.
    fn over(&self, range: &Range<u64>) -> Option<(Facts, bool)> {
        let (covered, facts) = self.stretches.over(range)?;
        let sum = facts.into_iter().copied().reduce(Facts::with)?;
        Some((sum, covered == *range))
    }

    /// Stretches of at least `bytes`, made of those that touch.
    fn coarser(&self, bytes: u64) -> Self {
        let mut coarse: BTreeMap<u64, (u64, Facts)> = BTreeMap::new();
        for (&start, &(end, facts)) in &self.stretches.0 {
            if let Some(mut last) = coarse.last_entry()
                && last.get().0 == start
                && start - *last.key() < bytes
                && last.get().1.times.is_some() == facts.times.is_some()
            {
                let known = last.get().1;
                last.insert((end, known.with(facts)));
            } else {
                coarse.insert(start, (end, facts));
            }
        }
        Self { stretches: Stretches(coarse), ..*self }
    }

    /// Those that end before `end`.
    fn before(mut self, end: u64) -> Self {
        self.stretches.retain_before(end);
        self
    }

    /// Can it be true? Sums of such numbers do not overflow.
    pub(super) fn is_plausible(&self) -> bool {
        const MOST: u64 = 1 << 40;
        self.stretches.is_plausible()
            && self.stretches.iter().all(|(_, Facts { counts, times })| {
                let times = times.map_or(0, |bounds| bounds.times.max(bounds.nulls));
                counts.lines < MOST && times < MOST && counts.rows < MOST && counts.is_within(counts.lines)
            })
    }

    /// All rows that are known, and between which times they lie.
    pub(super) fn totals(&self) -> (u64, Option<TimeBounds>) {
        let sum = sum(self.stretches.iter().map(|(_, facts)| Some(*facts)));
        sum.map_or((0, None), |sum| (sum.counts.rows, sum.times.filter(|bounds| bounds.times > 0)))
    }

    /// Where its stretches end.
    pub(super) fn ends(&self) -> impl Iterator<Item = u64> {
        self.stretches.iter().map(|(range, _)| range.end)
    }
}

/// The facts of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileFacts {
    by_table: HashMap<&'static str, TableFacts>,
    /// There are some that have not been written down.
    pub(super) is_news: bool,
}

impl FileFacts {
    /// Those that were written down.
    pub(super) fn of(saved: Vec<(String, TableFacts)>) -> Self {
        let known = |(name, facts): (String, TableFacts)| Some((table(&name)?.name, facts));
        Self { by_table: saved.into_iter().filter_map(known).collect(), is_news: false }
    }

    /// To be written down, in stretches of at least `bytes`.
    pub(super) fn to_save(&self, bytes: u64) -> Vec<(String, TableFacts)> {
        let mut all: Vec<_> = self.by_table.iter().map(|(name, facts)| ((*name).to_owned(), facts.coarser(bytes))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// What stays true once the file has grown from `size`: its last stretch may have been cut in a record.
    pub(super) fn before(saved: Vec<(String, TableFacts)>, size: u64) -> Vec<(String, TableFacts)> {
        let kept = saved.into_iter().filter(|(_, facts)| !facts.is_anchored);
        kept.map(|(name, facts)| (name, facts.before(size))).collect()
    }

    /// A scan has read all of a stretch. What is cut otherwise than before says nothing new.
    pub(super) fn learn(&mut self, table: &'static str, range: &Range<u64>, facts: Facts, is_anchored: bool) {
        let of_table = self.by_table.entry(table).or_default();
        of_table.is_anchored |= is_anchored;
        if of_table.over(range).is_none_or(|(known, _)| known.times.is_none() && facts.times.is_some()) {
            of_table.learn(range, facts);
            self.is_news = true;
        }
    }

    /// Between which times all rows of `table` in `range` lie, and perhaps some others.
    pub(super) fn bounds(&self, table: &str, range: &Range<u64>) -> Option<TimeBounds> {
        self.by_table.get(table)?.over(range)?.0.times
    }

    /// What is known of just this range.
    pub(super) fn exact(&self, table: &str, range: &Range<u64>) -> Option<Facts> {
        self.by_table.get(table)?.over(range).filter(|(_, is_whole)| *is_whole).map(|(facts, _)| facts)
    }
}

/// The facts of all of these ranges together; `None` if those of one are missing.
pub(super) fn sum(facts: impl IntoIterator<Item = Option<Facts>>) -> Option<Facts> {
    let none = Facts { counts: LineCounts::default(), times: Some(TimeBounds::default()) };
    facts.into_iter().try_fold(none, |sum, facts| Some(sum.with(facts?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rows: u64, times: Option<(i64, i64)>) -> Facts {
        let counts = LineCounts { lines: rows, records: rows, rows, ..LineCounts::default() };
        Facts { counts, times: times.map(|(min, max)| TimeBounds { min, max, times: rows, nulls: 0 }) }
    }

    #[test]
    fn stretches_add_up_where_there_is_no_gap() {
        let mut known = FileFacts::default();
        known.learn("access_log", &(0..10), facts(1, Some((5, 7))), false);
        known.learn("access_log", &(20..30), facts(4, Some((9, 12))), false);
        assert_eq!(known.exact("access_log", &(0..30)), None);
        known.learn("access_log", &(10..20), facts(2, Some((3, 6))), false);
        let all = known.exact("access_log", &(0..30)).unwrap();
        assert_eq!((all.counts.rows, all.times.unwrap().min, all.times.unwrap().max), (7, 3, 12));
        assert_eq!(known.exact("access_log", &(0..25)), None);
        assert_eq!(known.bounds("access_log", &(12..25)).map(|bounds| (bounds.min, bounds.max)), Some((3, 12)));
        assert_eq!(known.bounds("access_log", &(12..31)), None);
        assert_eq!(known.bounds("error_log", &(0..10)), None);
    }

    #[test]
    fn a_scan_that_read_no_times_forgets_none() {
        let mut known = FileFacts::default();
        known.learn("access_log", &(0..10), facts(1, None), false);
        assert_eq!(known.bounds("access_log", &(0..10)), None);
        known.learn("access_log", &(0..10), facts(1, Some((5, 7))), false);
        known.is_news = false;
        known.learn("access_log", &(0..10), facts(1, None), false);
        assert!(!known.is_news && known.bounds("access_log", &(0..10)).is_some());
        // Cut otherwise, the stretches before are gone.
        known.learn("access_log", &(5..15), facts(1, None), false);
        assert_eq!(known.exact("access_log", &(0..10)), None);
        assert!(known.exact("access_log", &(5..15)).is_some());
        known.learn("access_log", &(6..8), facts(1, None), false);
        assert!(known.exact("access_log", &(5..15)).is_some());
    }

    #[test]
    fn what_is_saved_is_coarse_and_loses_nothing() {
        let mut known = FileFacts::default();
        for at in 0..10 {
            known.learn("syslog", &(at * 10..at * 10 + 10), facts(1, Some((at as i64, at as i64 + 3))), false);
        }
        let saved = known.to_save(35);
        assert_eq!(saved[0].1.ends().collect::<Vec<_>>(), [40, 80, 100]);
        assert_eq!(FileFacts::of(saved.clone()).exact("syslog", &(0..100)), known.exact("syslog", &(0..100)));
        let grown = FileFacts::of(FileFacts::before(saved, 100));
        assert!(grown.exact("syslog", &(0..80)).is_some() && grown.bounds("syslog", &(80..100)).is_none());
    }
}
