//! A file as a scan reads it: detected, and decoded whole for every table that it feeds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, TimestampMicrosecondType, UInt16Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use logsql_kernel::decode::{DecodeOptions, LogDecoder, Piece, ScanCounts, ScanPlan, ScanPlanArgs, StampContext, Status};
use logsql_kernel::format::{Catalog, detect};
use logsql_kernel::table::{TableDef, tables};

use super::expectation::FileSpec;

/// Bytes of each chunk that detection looks at.
const SAMPLE_BYTES: usize = 64 << 10;

/// A file of the corpus.
pub(crate) struct File {
    /// Folder and name.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Number(f64),
    Time(i64),
    Map(Vec<(String, String)>),
}

/// A row, without its NULLs.
pub(crate) struct Row {
    pub(crate) table: &'static str,
    pub(crate) cells: HashMap<&'static str, Cell>,
}

impl Row {
    pub(crate) fn has_time(&self) -> bool {
        self.cells.contains_key("time")
    }
}

/// What was read of a file.
pub(crate) struct Reading {
    /// The family that it was detected as; empty if none.
    pub(crate) format: String,
    /// How long that took.
    pub(crate) detection: Duration,
    /// By number of the line, from 1.
    pub(crate) rows: BTreeMap<u64, Vec<Row>>,
    /// By table.
    counts: Vec<(&'static str, ScanCounts)>,
    zone: TimeZone,
}

/// Reads a file with stamps without a zone in this one.
pub(crate) fn read(catalog: &Catalog, file: &File, spec: &FileSpec, zone: &TimeZone) -> Reading {
    let started = Instant::now();
    let format = detect(catalog, &chunks(&file.bytes), None).best.map_or_else(String::new, |best| best.format);
    let detection = started.elapsed();
    Reading { detection, ..read_as(catalog, &format, file, spec, zone) }
}

/// Reads a file as one of this family.
pub(crate) fn read_as(catalog: &Catalog, format: &str, file: &File, spec: &FileSpec, zone: &TimeZone) -> Reading {
    let detection = Duration::ZERO;
    let mut reading = Reading { format: format.to_owned(), detection, rows: BTreeMap::new(), counts: vec![], zone: zone.clone() };
    for def in tables().iter().filter(|def| catalog.feeds(&reading.format, def.name)) {
        let columns: Vec<usize> = (0..def.columns.len()).collect();
        let anchor: Timestamp = spec.anchor.as_deref().unwrap_or("2026-11-21T12:00:00Z").parse().expect("an anchor is RFC 3339");
        let args = ScanPlanArgs {
            catalog,
            format: &reading.format,
            table: def.name,
            columns: &columns,
            filter_columns: &[],
            required: &[],
            file: &file.name,
            zone: zone.clone(),
            reference_us: anchor.as_microsecond(),
        };
        let plan = Arc::new(ScanPlan::try_new(&args).expect("a plan"));
        // A first walk finds the turns of the year, as the index of files does for stamps without one.
        let turns = decode(&plan, &file.bytes, Piece::whole(file.bytes.len() as u64), |_| ());
        let mut piece = Piece::whole(file.bytes.len() as u64);
        let first_year = turns.stamp_summary().first_year(plan.reference_us());
        piece.stamps = Some(StampContext { first_year, ..StampContext::default() });
        let decoder = decode(&plan, &file.bytes, piece, |batch| keep_rows(&mut reading.rows, def, &batch));
        reading.counts.push((def.name, decoder.counts().clone()));
    }
    reading
}

/// The head, and the middle and the tail of a file that is larger.
fn chunks(bytes: &[u8]) -> Vec<&[u8]> {
    let len = bytes.len();
    let head = &bytes[..len.min(SAMPLE_BYTES)];
    if len <= 3 * SAMPLE_BYTES {
        return vec![head];
    }
    let middle = len / 2 - SAMPLE_BYTES / 2;
    vec![head, &bytes[middle..middle + SAMPLE_BYTES], &bytes[len - SAMPLE_BYTES..]]
}

fn decode(plan: &Arc<ScanPlan>, bytes: &[u8], piece: Piece, mut each: impl FnMut(RecordBatch)) -> LogDecoder {
    let mut decoder = LogDecoder::new(Arc::clone(plan), piece, DecodeOptions::default());
    let mut at = 0;
    loop {
        let decoded = decoder.decode(&bytes[at..], true).expect("decodes");
        at += decoded.used;
        if let Some(batch) = decoder.flush().expect("a batch") {
            each(batch);
        }
        if decoded.status == Status::Done {
            return decoder;
        }
    }
}

fn keep_rows(rows: &mut BTreeMap<u64, Vec<Row>>, def: &'static TableDef, batch: &RecordBatch) {
    for row in 0..batch.num_rows() {
        let columns = def.columns.iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
        let cells: HashMap<_, _> = columns.map(|(column, values)| (column.name, cell(values, row))).collect();
        let Some(Cell::Number(line)) = cells.get("_line") else { panic!("a row without a line") };
        rows.entry(*line as u64).or_default().push(Row { table: def.name, cells });
    }
}

fn cell(values: &dyn Array, row: usize) -> Cell {
    match values.data_type() {
        DataType::Utf8View => Cell::Text(values.as_string_view().value(row).to_owned()),
        DataType::UInt16 => Cell::Number(f64::from(values.as_primitive::<UInt16Type>().value(row))),
        DataType::UInt64 => Cell::Number(values.as_primitive::<UInt64Type>().value(row) as f64),
        DataType::Int16 => Cell::Number(f64::from(values.as_primitive::<Int16Type>().value(row))),
        DataType::Float64 => Cell::Number(values.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(..) => Cell::Time(values.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Map(..) => {
            let entries = values.as_map().value(row);
            let (keys, texts) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            let set = (0..entries.len()).filter(|&entry| texts.is_valid(entry));
            Cell::Map(set.map(|entry| (keys.value(entry).to_owned(), texts.value(entry).to_owned())).collect())
        }
        other => panic!("a column of the type {other}"),
    }
}

impl Reading {
    /// What may be wrong whatever the file holds: lines that are lost, counts that depend on the table or the zone, wrong years.
    pub(crate) fn problems(&self, file: &File, spec: &FileSpec, first: &Self) -> impl Iterator<Item = String> {
        let lines = file.bytes.split_inclusive(|&byte| byte == b'\n').count() as u64;
        let sums = |counts: &ScanCounts| [counts.lines, counts.records, counts.continuations, counts.blank, counts.unparsed];
        let mut problems = vec![];
        for ((table, counts), (_, other)) in self.counts.iter().zip(&first.counts) {
            let has_place = counts.records + counts.continuations + counts.blank + counts.unparsed + counts.ruled_out;
            if counts.lines != lines
                || has_place != lines
                || sums(counts) != sums(&first.counts[0].1)
                || sums(other) != sums(counts)
            {
                problems.push(format!("{table}: {lines} lines, but {counts:?}"));
            }
        }
        if self.format != first.format || self.counts.len() != first.counts.len() {
            problems.push(format!("detected as {} and as {}", self.format, first.format));
        }
        let mut wrong =
            self.rows.iter().flat_map(|(line, rows)| rows.iter().map(move |row| (line, row))).filter_map(|(line, row)| {
                let (Cell::Time(time), Cell::Text(raw)) = (row.cells.get("time")?, row.cells.get("_raw")?) else { return None };
                (!self.is_plausible(*time, raw, spec)).then_some((line, *time))
            });
        if let Some((line, time)) = wrong.next() {
            let time = Timestamp::from_microsecond(time).map_or_else(|_| time.to_string(), |time| time.to_string());
            problems.push(format!("year of line {line}: {time}, and {} more", wrong.count()));
        }
        problems.into_iter()
    }

    /// Is the year of the time in the line? If it is not, the line gives none, and it may be one of those that the file is of.
    fn is_plausible(&self, time: i64, raw: &str, spec: &FileSpec) -> bool {
        let Ok(time) = Timestamp::from_microsecond(time) else { return false };
        let zones =
            [self.zone.clone(), TimeZone::UTC, TimeZone::fixed(jiff::tz::offset(14)), TimeZone::fixed(jiff::tz::offset(-12))];
        let mut years = zones.map(|zone| time.to_zoned(zone).year()).into_iter();
        let [first, last] = spec.years.unwrap_or([2025, 2026]);
        years.any(|year| raw.contains(&year.to_string()) || (first..=last).contains(&year))
    }
}
