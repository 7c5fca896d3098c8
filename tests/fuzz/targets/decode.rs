//! Any bytes as a file: cut into three pieces anywhere, and given in doses of any size, it has the same rows and counts
//! as read in one go, of its table and of `unparsed`.
//!
//! ```text
//!   byte 0   family               bytes 2–3  first cut     byte 6   dose
//!   byte 1   table, zone, limit   bytes 4–5  second cut    from 7   the file
//! ```
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use logsql_fuzz::CATALOG;
use logsql_kernel::decode::{
    DecodeOptions, LogDecoder, Piece, ScanCounts, ScanPlan, ScanPlanArgs, StampContext, StampSummary, Status, count_lines,
};
use logsql_kernel::table::{UNPARSED, table, tables};

const HEADER: usize = 7;
/// What a record may be long at most: so little that records which are too long come up, or as much as usual.
const MAX_RECORD_BYTES: [usize; 2] = [256, 1 << 20];

/// The plans of a family: each table that it feeds and `unparsed`, in a zone without and one with doubled hours.
static PLANS: LazyLock<Vec<Vec<Arc<ScanPlan>>>> = LazyLock::new(|| {
    let formats = CATALOG.formats().iter().map(|format| format.name.as_str()).chain([""]);
    let zones = [TimeZone::UTC, TimeZone::get("Europe/Berlin").expect("the zone database has Berlin")];
    let plans = formats.map(|format| {
        let fed = tables().iter().map(|table| table.name).filter(|name| CATALOG.feeds(format, name) && *name != UNPARSED);
        let pairs = fed.chain([UNPARSED]).flat_map(|name| zones.iter().map(move |zone| (name, zone)));
        pairs.map(|(name, zone)| Arc::new(plan(format, name, zone))).collect()
    });
    plans.collect()
});

fn plan(format: &str, name: &str, zone: &TimeZone) -> ScanPlan {
    let columns: Vec<usize> = (0..table(name).expect("a table").columns.len()).collect();
    let args = ScanPlanArgs {
        catalog: &CATALOG,
        format,
        table: name,
        columns: &columns,
        filter_columns: &[],
        required: &[],
        file: "f",
        zone: zone.clone(),
        reference_us: 1_800_000_000_000_000,
    };
    ScanPlan::try_new(&args).expect("a plan")
}

/// What was read of a piece, or of several.
#[derive(Debug, Default, PartialEq)]
struct Run {
    rows: Vec<String>,
    /// Lines, records, continuations, blank, unparsed, bad values.
    counts: [u64; 6],
    /// Offset, number of the line, reason, first bytes.
    samples: Vec<(u64, u64, &'static str, Vec<u8>)>,
}

impl Run {
    fn count(&mut self, counts: &ScanCounts, piece: &Piece) {
        let identity = counts.records + counts.continuations + counts.blank + counts.unparsed + counts.ruled_out;
        assert_eq!(identity, counts.lines, "{counts:?}");
        let own = [counts.lines, counts.records, counts.continuations, counts.blank, counts.unparsed, counts.bad_values];
        self.counts.iter_mut().zip(own).for_each(|(sum, count)| *sum += count);
        for sample in &counts.samples {
            if self.samples.len() < 5 {
                let line = piece.first_line + sample.lines_before;
                self.samples.push((sample.offset, line, sample.reason, sample.raw.clone()));
            }
        }
    }
}

/// What is read, and how.
struct Reading<'a> {
    plan: &'a Arc<ScanPlan>,
    file: &'a [u8],
    max_record_bytes: usize,
}

/// Reads one piece, giving `dose` more bytes at a time, and says `stamps` when the decoder asks for what is before it.
fn read(reading: &Reading<'_>, piece: Piece, stamps: StampContext, dose: usize, run: &mut Run) -> (StampSummary, StampContext) {
    let &Reading { plan, file, max_record_bytes } = reading;
    let options = DecodeOptions { batch_rows: 3, limit: None, max_record_bytes };
    let mut decoder = LogDecoder::new(Arc::clone(plan), piece, options);
    let mut at = decoder.start_offset() as usize;
    let mut given = dose;
    let mut rows = 0;
    loop {
        let stop = (at + given).min(file.len());
        let end = stop == file.len();
        let decoded = decoder.decode(&file[at..stop], end).expect("it decodes");
        assert!(decoded.used <= stop - at, "used {} of {}", decoded.used, stop - at);
        assert!(!(end && decoded.used == 0 && decoded.status == Status::NeedMore), "more is wanted at the end of the file");
        at += decoded.used;
        given = if decoded.used == 0 { given + dose } else { dose };
        if decoded.status == Status::NeedStamps {
            assert!(piece.stamps.is_none(), "it was told");
            decoder.set_stamps(stamps);
        } else if decoded.status == Status::NeedHeader {
            assert!(piece.start > 0, "nothing is before the file");
            decoder.set_header(header_before(reading, piece.start as usize));
        } else if decoded.status != Status::NeedMore
            && let Some(batch) = decoder.flush().expect("a batch")
        {
            rows += batch.num_rows();
            run.rows.extend(render(&batch));
        }
        if decoded.status == Status::Done {
            assert_eq!(decoder.counts().rows, rows as u64);
            run.count(decoder.counts(), &piece);
            return (decoder.stamp_summary(), decoder.stamp_context());
        }
    }
}

/// The last line that begins before `start` and says what columns are.
fn header_before<'a>(reading: &Reading<'a>, start: usize) -> Option<&'a [u8]> {
    let mut begin = 0;
    let lines = reading.file.split_inclusive(|&byte| byte == b'\n').take_while(|line| {
        begin += line.len();
        begin - line.len() < start
    });
    let texts = lines.map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let nuls = line.iter().take_while(|&&byte| byte == 0).count();
        line[nuls..].strip_suffix(b"\r").unwrap_or(&line[nuls..])
    });
    texts.filter(|line| reading.plan.is_header(line) && line.len() <= reading.max_record_bytes).last()
}

fn render(batch: &RecordBatch) -> Vec<String> {
    let row = |row: usize| {
        let cells = batch.columns().iter().filter(|column| column.is_valid(row)).map(|column| {
            if let Some(text) = column.as_string_view_opt() {
                text.value(row).to_owned()
            } else {
                format!("{:?}", column.slice(row, 1))
            }
        });
        cells.collect::<Vec<_>>().join("|")
    };
    (0..batch.num_rows()).map(row).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((header, file)) = data.split_first_chunk::<HEADER>() else { return };
    let [family, which, a, b, c, d, dose] = *header;
    let plans = &PLANS[usize::from(family) % PLANS.len()];
    let plan = &plans[usize::from(which & 0x7f) % plans.len()];
    let reading = &Reading { plan, file, max_record_bytes: MAX_RECORD_BYTES[usize::from(which >> 7)] };
    let cut = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low])) % (file.len() + 1);
    let (first, second) = (cut(a, b), cut(c, d));
    let (first, second) = (first.min(second), first.max(second));
    let dose = usize::from(dose) + 1;

    let piece = |start: usize, end: usize, stamps: Option<StampContext>| Piece {
        start: start as u64,
        end: end as u64,
        first_line: 1 + count_lines(&file[..start]),
        stamps,
    };
    let ignored = &mut Run::default();
    let unknown = StampContext::default();
    let bounds = [(0, first), (first, second), (second, file.len())];
    let summaries = bounds.map(|(start, end)| read(reading, piece(start, end, Some(unknown)), unknown, dose, ignored).0);
    let (summary, _) = read(reading, piece(0, file.len(), Some(unknown)), unknown, file.len().max(1), ignored);
    let year_from = |index: usize| {
        let rest = summaries[index..].iter().copied().fold(StampSummary::default(), StampSummary::then);
        rest.first_year(plan.reference_us())
    };
    assert_eq!(year_from(0), summary.first_year(plan.reference_us()), "the turns of the year add up");

    let mut whole = Run::default();
    let stamps = StampContext { first_year: year_from(0), ..unknown };
    read(reading, piece(0, file.len(), Some(stamps)), stamps, file.len().max(1), &mut whole);
    let mut dosed = Run::default();
    read(reading, piece(0, file.len(), Some(stamps)), stamps, dose, &mut dosed);
    assert_eq!(dosed, whole, "{dose} bytes at a time");

    let mut parts = Run::default();
    let mut asking = Run::default();
    let mut before = unknown;
    for (index, (start, end)) in bounds.into_iter().enumerate() {
        let stamps = StampContext { first_year: year_from(index), ..before };
        before = read(reading, piece(start, end, Some(stamps)), stamps, dose, &mut parts).1;
        read(reading, piece(start, end, None), stamps, dose, &mut asking);
    }
    assert_eq!(parts, whole, "cut at {first} and {second}, {dose} bytes at a time");
    assert_eq!(asking, whole, "the same, where the stamps before a piece are asked for");
});
