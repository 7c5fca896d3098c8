//! Which values stand in a column, stretch by stretch: enough to say that some do not.
//!
//! ```text
//!   stretch      0–16 MiB                16–32 MiB               32–48 MiB
//!   status       200 304 404             200 304 500             ?                 few values: all of them
//!   client_ip    ▒▒▒▒▒▒ (9,120 values)   ▒▒▒▒▒▒                  ?                 many: a Bloom filter, Parquet's own
//!
//!   WHERE status = 500  reads the second and the third; WHERE client_ip = '192.0.2.7' those whose filter may hold it, and the third
//! ```
//!
//! They are a by-product of scans that read such a column of all rows of a stretch. A Bloom filter has no false negatives, so
//! what is left out on its word has no row that passes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::array::{Array as _, RecordBatch, StringViewArray, UInt16Array};
use parquet::bloom_filter::Sbbf;
use serde::{Deserialize, Serialize};

use super::facts::Stretches;
use crate::kernel::table::table;

/// The columns that this is worth its room for: few values, or values that are looked for one by one.
pub(super) const INDEXED: [&str; 4] = ["client_ip", "level", "severity", "status"];

/// More values than this are kept in a filter.
const MAX_LISTED: usize = 32;

/// Values that are longer are kept in a filter.
const MAX_LISTED_BYTES: usize = 64;

/// The size of a filter while it is made. Then it is folded until one of a hundred values that are not there seems to be.
const OPEN_FILTER_BYTES: usize = 64 << 10;
const FALSE_POSITIVES: f64 = 0.01;

/// A filter that is larger even then is not kept: it holds so many values (26,000) that it would save little.
const MAX_FILTER_BYTES: usize = 32 << 10;

/// The filters of one file take no more than this.
const MAX_BYTES_PER_FILE: usize = 64 << 20;

/// The values of a column in a stretch. NULL is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Values {
    /// All of them, in order.
    All(Vec<String>),
    Filter(Filter),
    /// Too many to say anything.
    Many,
}

/// The bits of a Bloom filter, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    bytes: usize,
    /// Kept beside the others, which are text.
    #[serde(skip)]
    bits: Vec<u8>,
}

impl Values {
    /// `true` if there are no others than these, `false` if there is none of these.
    fn contained(&self, values: &[String]) -> Option<bool> {
        match self {
            Self::All(known) if !known.iter().any(|known| values.contains(known)) => Some(false),
            Self::All(known) => known.iter().all(|known| values.contains(known)).then_some(true),
            Self::Filter(Filter { bits, .. }) => {
                let filter = Sbbf::new(bits);
                (!values.iter().any(|value| filter.check(value.as_str()))).then_some(false)
            }
            Self::Many => None,
        }
    }

    fn filter_bytes(&self) -> usize {
        if let Self::Filter(filter) = self { filter.bytes } else { 0 }
    }
}

/// What is seen of a column as it is read.
enum Seen {
    /// Numbers, one bit for each that there may be.
    Numbers(Vec<u64>),
    Few(Vec<String>),
    Many(Box<Sbbf>),
    /// Not what was expected.
    Nothing,
}

impl Seen {
    fn see(&mut self, batch: &RecordBatch, name: &str) {
        let Some(column) = batch.column_by_name(name) else {
            *self = Self::Nothing;
            return;
        };
        if let Some(numbers) = column.as_any().downcast_ref::<UInt16Array>() {
            self.see_numbers(numbers);
        } else if let Some(texts) = column.as_any().downcast_ref::<StringViewArray>() {
            let mut last = None;
            for text in texts.iter().flatten() {
                // Neighbours are often alike.
                if last != Some(text) {
                    self.see_text(text);
                    last = Some(text);
                }
            }
        } else {
            *self = Self::Nothing;
        }
    }

    fn see_numbers(&mut self, numbers: &UInt16Array) {
        if matches!(self, Self::Few(texts) if texts.is_empty()) {
            *self = Self::Numbers(vec![0; (usize::from(u16::MAX) + 1) / 64]);
        }
        let Self::Numbers(bits) = self else {
            *self = Self::Nothing;
            return;
        };
        for number in numbers.iter().flatten().map(usize::from) {
            bits[number / 64] |= 1 << (number % 64);
        }
    }

    fn see_text(&mut self, text: &str) {
        match self {
            Self::Few(texts) => {
                if texts.iter().rev().any(|known| known == text) {
                    return;
                }
                if texts.len() < MAX_LISTED && text.len() <= MAX_LISTED_BYTES {
                    texts.push(text.to_owned());
                    return;
                }
                let mut filter = Sbbf::new_with_num_of_bytes(OPEN_FILTER_BYTES);
                texts.iter().for_each(|known| filter.insert(known.as_str()));
                filter.insert(text);
                *self = Self::Many(Box::new(filter));
            }
            Self::Many(filter) => filter.insert(text),
            Self::Numbers(_) | Self::Nothing => *self = Self::Nothing,
        }
    }

    fn values(self) -> Values {
        match self {
            Self::Few(mut texts) => {
                texts.sort_unstable();
                Values::All(texts)
            }
            Self::Numbers(bits) => {
                let numbers = (0..=usize::from(u16::MAX)).filter(|number| bits[number / 64] >> (number % 64) & 1 == 1);
                let texts: BTreeSet<String> = numbers.take(MAX_LISTED + 1).map(|number| number.to_string()).collect();
                if texts.len() > MAX_LISTED { Values::Many } else { Values::All(texts.into_iter().collect()) }
            }
            Self::Many(mut filter) => {
                filter.fold_to_target_fpp(FALSE_POSITIVES);
                let mut bits = Vec::new();
                match filter.write_bitset(&mut bits) {
                    Ok(()) if bits.len() <= MAX_FILTER_BYTES => Values::Filter(Filter { bytes: bits.len(), bits }),
                    _ => Values::Many,
                }
            }
            Self::Nothing => Values::Many,
        }
    }
}

/// Looks at all rows of a piece, before any of them is left out.
pub(super) struct Observer {
    columns: Vec<(&'static str, Seen)>,
}

/// The observer of one piece.
pub(super) type SharedObserver = Arc<Mutex<Observer>>;

impl Observer {
    /// For these columns, as far as they are worth it. `None` if none is.
    pub(super) fn of<'a>(columns: impl Iterator<Item = &'a str>) -> Option<Self> {
        let indexed = columns.filter_map(|name| INDEXED.into_iter().find(|indexed| *indexed == name));
        let columns: Vec<_> = indexed.map(|name| (name, Seen::Few(Vec::new()))).collect();
        (!columns.is_empty()).then_some(Self { columns })
    }

    pub(super) fn see(&mut self, batch: &RecordBatch) {
        for (name, seen) in self.columns.iter_mut().filter(|(_, seen)| !matches!(seen, Seen::Nothing)) {
            seen.see(batch, name);
        }
    }
}

/// What is known of one column of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnValues {
    table: String,
    column: String,
    stretches: Stretches<Values>,
}

/// What is known of the values in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileValues {
    columns: Vec<ColumnValues>,
}

impl FileValues {
    /// A scan has read all rows of `table` in a stretch. What is cut otherwise than before says nothing new. Has that taught anything?
    pub(super) fn learn(&mut self, table: &str, range: &Range<u64>, seen: &mut Observer) -> bool {
        let mut is_news = false;
        for (column, seen) in std::mem::take(&mut seen.columns) {
            if self.knows(table, column, range) {
                continue;
            }
            let mut values = seen.values();
            if values.filter_bytes() > MAX_BYTES_PER_FILE.saturating_sub(self.filter_bytes()) {
                values = Values::Many;
            }
            let known = self.columns.iter().position(|known| known.table == table && known.column == column);
            let at = known.unwrap_or_else(|| {
                let (table, column) = (table.to_owned(), column.to_owned());
                self.columns.push(ColumnValues { table, column, stretches: Stretches::default() });
                self.columns.len() - 1
            });
            self.columns[at].stretches.put(range, values);
            is_news = true;
        }
        is_news
    }

    /// Is anything known of columns of this table?
    pub(super) fn is_about(&self, table: &str) -> bool {
        self.columns.iter().any(|known| known.table == table)
    }

    /// Is anything known of this column?
    pub(super) fn knows_some(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some()
    }

    /// Has the column been read of all rows in this range?
    pub(super) fn knows(&self, table: &str, column: &str, range: &Range<u64>) -> bool {
        self.over(table, column, range).is_some()
    }

    /// Has the column in this range no other values than these? Then `true`, and `false` if it has none of these.
    pub(super) fn contained(&self, table: &str, column: &str, range: &Range<u64>, values: &[String]) -> Option<bool> {
        let mut verdicts = self.over(table, column, range)?.into_iter().map(|known| known.contained(values));
        let first = verdicts.next()?;
        first.filter(|_| verdicts.all(|verdict| verdict == first))
    }

    /// All values of the column in this range, where there are few.
    pub(super) fn listed(&self, table: &str, column: &str, range: &Range<u64>) -> Option<Vec<&str>> {
        let mut all = Vec::new();
        for known in self.over(table, column, range)? {
            let Values::All(values) = known else { return None };
            all.extend(values.iter().map(String::as_str));
        }
        Some(all)
    }

    /// The columns that something is known of, by table.
    pub(super) fn known_columns(&self, table: &str) -> Vec<String> {
        self.columns.iter().filter(|known| known.table == table).map(|known| known.column.clone()).collect()
    }

    fn column(&self, table: &str, column: &str) -> Option<&ColumnValues> {
        self.columns.iter().find(|known| known.table == table && known.column == column)
    }

    fn over(&self, table: &str, column: &str, range: &Range<u64>) -> Option<Vec<&Values>> {
        let (_, stretches) = self.column(table, column)?.stretches.over(range)?;
        Some(stretches)
    }

    fn filter_bytes(&self) -> usize {
        self.all().map(Values::filter_bytes).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Values> {
        self.columns.iter().flat_map(|column| column.stretches.iter().map(|(_, values)| values))
    }

    /// What stays true once the file has grown from `size`: its last stretch may have been cut in a record.
    pub(super) fn before(mut self, size: u64) -> Self {
        self.columns.iter_mut().for_each(|column| column.stretches.retain_before(size));
        self
    }

    /// The bits of all filters, one behind the other.
    pub(super) fn bits(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.filter_bytes());
        for values in self.all() {
            if let Values::Filter(filter) = values {
                all.extend_from_slice(&filter.bits);
            }
        }
        all
    }

    /// Gives the filters their bits back; what is left of them is behind. `None` if these are not theirs, or there are no such
    /// filters.
    pub(super) fn restore<'a>(&mut self, mut bits: &'a [u8]) -> Option<&'a [u8]> {
        self.columns.retain(|column| table(&column.table).is_some_and(|table| table.column(&column.column).is_some()));
        for values in self.columns.iter_mut().flat_map(|column| column.stretches.values_mut()) {
            if let Values::Filter(filter) = values {
                let is_filter = filter.bytes > 0 && filter.bytes % 32 == 0 && filter.bytes <= MAX_FILTER_BYTES;
                let (own, rest) = bits.split_at_checked(filter.bytes).filter(|_| is_filter)?;
                filter.bits = own.to_vec();
                bits = rest;
            }
        }
        self.columns.iter().all(|column| column.stretches.is_plausible()).then_some(bits)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;

    use super::*;

    fn seen(ips: &[String], status: &[Option<u16>]) -> Observer {
        let ips: ArrayRef = Arc::new(StringViewArray::from_iter_values(ips));
        let status: ArrayRef = Arc::new(status.iter().copied().collect::<UInt16Array>());
        let batch = RecordBatch::try_from_iter_with_nullable([("client_ip", ips, true), ("status", status, true)]).unwrap();
        let mut observer = Observer::of(["client_ip", "status", "url"].into_iter()).unwrap();
        // Two batches, as a scan gives them.
        let half = batch.num_rows() / 2;
        observer.see(&batch.slice(0, half));
        observer.see(&batch.slice(half, batch.num_rows() - half));
        observer
    }

    fn saved_and_read(values: &FileValues) -> FileValues {
        let mut read: FileValues = serde_json::from_str(&serde_json::to_string(values).unwrap()).unwrap();
        let bits = [&values.bits()[..], b"behind"].concat();
        assert_eq!(read.restore(&bits), Some(&b"behind"[..]));
        assert_eq!(&read, values);
        read
    }

    #[test]
    fn what_is_there_is_never_said_to_be_missing() {
        for count in [1, 31, 32, 33, 1000, 20_000, 60_000] {
            let ips: Vec<String> = (0..count).map(|i| format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255)).collect();
            let mut values = FileValues::default();
            assert!(values.learn("access_log", &(0..10), &mut seen(&ips, &vec![Some(200); count])));
            assert!(!values.learn("access_log", &(0..10), &mut seen(&ips, &vec![Some(500); count])), "it is known already");
            let values = saved_and_read(&values);
            let contained = |ip: &str| values.contained("access_log", "client_ip", &(0..10), &[ip.to_owned()]);
            assert!(!ips.iter().step_by(1 + count / 500).any(|ip| contained(ip) == Some(false)), "{count}");
            let missing = (0..500).filter(|i| contained(&format!("192.0.{}.{}", i / 250, i % 250)) == Some(false)).count();
            assert!(missing > 475 || count > 26_000, "{count}: {missing} of 500 are known to be missing");
            assert!(values.filter_bytes() <= MAX_FILTER_BYTES && values.knows("access_log", "client_ip", &(0..10)));
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let status = |range, asked: &[&str]| values.contained("access_log", "status", &range, &texts(asked));
            assert_eq!(status(0..10, &["500"]), Some(false));
            assert_eq!(status(0..10, &["500", "200"]), Some(true));
            assert_eq!(values.listed("access_log", "status", &(0..10)), Some(vec!["200"]));
            // Nothing is known of another stretch, table or column.
            assert_eq!(status(0..11, &["500"]), None);
            assert_eq!(values.contained("error_log", "status", &(0..10), &texts(&["500"])), None);
            assert_eq!(values.before(10).contained("access_log", "status", &(0..10), &texts(&["500"])), None);
        }
    }

    #[test]
    fn stretches_that_touch_say_what_is_between_them() {
        let mut values = FileValues::default();
        let one = |status: &[u16]| {
            seen(&vec!["10.0.0.1".to_owned(); status.len()], &status.iter().copied().map(Some).collect::<Vec<_>>())
        };
        values.learn("access_log", &(0..10), &mut one(&[200, 404]));
        values.learn("access_log", &(20..u64::MAX), &mut one(&[200]));
        let status =
            |values: &FileValues, range, asked: &str| values.contained("access_log", "status", &range, &[asked.to_owned()]);
        assert_eq!(status(&values, 5..25, "500"), None, "there is a gap");
        values.learn("access_log", &(10..20), &mut one(&[500]));
        assert_eq!(status(&values, 5..25, "500"), None);
        assert_eq!(status(&values, 0..u64::MAX, "302"), Some(false));
        assert_eq!(status(&values, 25..30, "200"), Some(true));
        assert_eq!(values.listed("access_log", "status", &(3..12)), Some(vec!["200", "404", "500"]));
    }

    #[test]
    fn what_is_too_much_or_damaged_says_nothing() {
        let mut values = FileValues::default();
        let many: Vec<Option<u16>> = (0..100).map(Some).collect();
        let ips: Vec<String> = (0..100).map(|i| format!("10.0.0.{i}")).collect();
        values.learn("access_log", &(0..10), &mut seen(&ips, &many));
        assert_eq!(values.contained("access_log", "status", &(0..10), &["500".to_owned()]), None);
        let bits = values.bits();
        assert!(!bits.is_empty() && values.clone().restore(&bits[1..]).is_none());
        let text = serde_json::to_string(&values).unwrap();
        for bytes in ["0", "31", "16777216"] {
            let mut odd: FileValues =
                serde_json::from_str(&text.replace(&format!(":{}", bits.len()), &format!(":{bytes}"))).unwrap();
            assert!(odd.restore(&[0; 100]).is_none(), "{bytes}");
        }
        // No values at all: all rows have NULL.
        let mut values = FileValues::default();
        values.learn("access_log", &(0..10), &mut seen(&["a".to_owned()], &[None]));
        assert_eq!(values.contained("access_log", "status", &(0..10), &["200".to_owned()]), Some(false));
    }
}
