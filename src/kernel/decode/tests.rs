//! The decoder against itself: however a file is cut, and however its bytes arrive, the rows and the counts are the same.

use super::*;
use crate::format::Catalog;
use crate::table::{UNPARSED, table};
use arrow_array::cast::AsArray;
use jiff::tz::TimeZone;

const FORMATS: &str = r#"
name = "test"
table = "error_log"
title = "a test"
url = "https://example.org"
[records]
start = '\d\d '
comment = '#'
[[pattern]]
name = "test"
regex = '(?<pid>\d\d) (?<level>[a-z]+)(?: (?<message>.*))?'
[pattern.capture]
pid = { type = "integer" }
[[sample]]
line = "12 warn x"
pattern = "test"
"#;

const LINES: &str = r#"
name = "lines"
table = "syslog"
title = "a test"
url = "https://example.org"
[carries]
capture = "message"
[[pattern]]
name = "stamped"
regex = '(?<time>[A-Z][a-z]{2} [ \d]\d [\d:]{8}) (?<program>\w+): (?<message>.*)'
[pattern.capture]
time = { type = "time", layout = "syslog" }
[[sample]]
line = "Nov 21 00:00:00 x: y"
pattern = "stamped"
"#;

const INNER: &str = r#"
name = "inner"
table = "dns_log"
title = "a test"
url = "https://example.org"
[[pattern]]
name = "inner"
within = "lines"
requires = { program = ["bind9", "name*"] }
regex = 'query: (?<query_name>\S+) IN (?<query_type>\S+)'
[[sample]]
line = "Nov 21 00:00:00 named: query: a.example IN A"
pattern = "inner"
expect = { query_name = "a.example", program = "named" }
"#;

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for text in [FORMATS, LINES, INNER] {
        catalog.add("test", text).unwrap_or_else(|error| panic!("{error}"));
    }
    catalog
}

struct Run {
    rows: Vec<String>,
    counts: ScanCounts,
}

fn plan(format: &str, of: &str) -> Arc<ScanPlan> {
    let columns: Vec<usize> = (0..table(of).expect("a table").columns.len()).collect();
    plan_of(&catalog(), (format, of), &columns, &[], &[])
}

/// A plan for some columns, over a file of this format and for the rows of this table.
fn plan_of(
    catalog: &Catalog,
    (format, of): (&str, &str),
    columns: &[usize],
    filter_columns: &[usize],
    required: &[Required],
) -> Arc<ScanPlan> {
    let args = ScanPlanArgs {
        catalog,
        format,
        table: of,
        columns,
        filter_columns,
        required,
        file: "f",
        zone: TimeZone::UTC,
        reference_us: 1_800_000_000_000_000,
    };
    Arc::new(ScanPlan::try_new(&args).expect("a plan"))
}

/// Reads one piece, giving `dose` more bytes at a time.
fn read(plan: &Arc<ScanPlan>, file: &[u8], piece: Piece, dose: usize) -> (Run, StampSummary) {
    let mut decoder =
        LogDecoder::new(Arc::clone(plan), piece, DecodeOptions { batch_rows: 3, limit: None, max_record_bytes: 64 });
    let mut rows = vec![];
    let mut at = decoder.start_offset() as usize;
    let mut given = dose;
    loop {
        let stop = (at + given).min(file.len());
        let decoded = decoder.decode(&file[at..stop], stop == file.len()).expect("decodes");
        at += decoded.used;
        given = if decoded.used == 0 { given + dose } else { dose };
        if decoded.status != Status::NeedMore
            && let Some(batch) = decoder.flush().expect("a batch")
        {
            rows.extend(render(&batch));
        }
        if decoded.status == Status::Done {
            let counts = decoder.counts().clone();
            assert_eq!(counts.records + counts.continuations + counts.blank + counts.unparsed + counts.ruled_out, counts.lines);
            return (Run { rows, counts }, decoder.stamp_summary());
        }
    }
}

fn render(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|row| {
            let cells = batch.columns().iter().filter(|column| column.is_valid(row)).map(|column| {
                if let Some(text) = column.as_string_view_opt() {
                    text.value(row).to_owned()
                } else {
                    format!("{:?}", column.slice(row, 1)).split_whitespace().collect::<Vec<_>>().join("")
                }
            });
            cells.collect::<Vec<_>>().join("|")
        })
        .collect()
}

fn every_cut_gives_the_same(format: &str, of: &str, file: &[u8]) -> Run {
    let plan = plan(format, of);
    let whole = read(&plan, file, Piece::whole(file.len() as u64), file.len().max(1)).0;
    for dose in [1, 2, 7] {
        let (run, _) = read(&plan, file, Piece::whole(file.len() as u64), dose);
        assert_eq!(run.rows, whole.rows, "{dose} bytes at a time");
    }
    for first in 0..=file.len() {
        for second in [first, first + 1, first + 5, file.len()] {
            let second = second.min(file.len());
            let mut run = Run { rows: vec![], counts: ScanCounts::default() };
            let bounds = [(0, first), (first, second), (second, file.len())];
            let piece = |(start, end): (usize, usize), stamps| Piece {
                start: start as u64,
                end: end as u64,
                first_line: 1 + count_lines(&file[..start]),
                stamps,
            };
            let summaries = bounds.map(|bounds| read(&plan, file, piece(bounds, StampContext::default()), 40).1);
            for (index, bounds) in bounds.into_iter().enumerate() {
                let rest = summaries[index..].iter().copied().fold(StampSummary::default(), StampSummary::then);
                let stamps = StampContext { first_year: rest.first_year(plan.reference_us()), ..StampContext::default() };
                let (part, _) = read(&plan, file, piece(bounds, stamps), 40);
                run.rows.extend(part.rows);
                run.counts.lines += part.counts.lines;
                run.counts.records += part.counts.records;
                run.counts.continuations += part.counts.continuations;
                run.counts.blank += part.counts.blank;
                run.counts.unparsed += part.counts.unparsed;
            }
            assert_eq!(run.rows, whole.rows, "cut at {first} and {second}");
            let count = |c: &ScanCounts| (c.lines, c.records, c.continuations, c.blank, c.unparsed);
            assert_eq!(count(&run.counts), count(&whole.counts), "cut at {first} and {second}");
        }
    }
    whole
}

#[test]
fn records_of_several_lines_are_the_same_at_every_cut() {
    let file = b"#head\nstray\n\n12 warn one\n  two\n\nthree\r\n13 err\n14 bad!\nafter\n15 warn long\n0123456789\n0123456789\n0123456789\n0123456789\n0123456789\n0123456789\n16 end\n\n\nlast";
    let run = every_cut_gives_the_same("test", "error_log", file);
    assert_eq!(run.rows.len(), 4, "{:#?}", run.rows);
    assert!(run.rows[0].contains("one\n  two\n\nthree"), "{}", run.rows[0]);
    assert_eq!(run.counts.unparsed, 4, "`stray`, `14 bad!`, `after` and `last`");
    every_cut_gives_the_same("test", UNPARSED, file);
}

#[test]
fn lines_are_the_same_at_every_cut() {
    let file = b"Nov 21 10:00:00 named: query: a.example IN A\nDec 31 23:59:59 cron: x\n\0\0\0Jan  1 00:00:00 cron: y\r\n\n  \nrubbish\nJan  1 00:00:01 named: query: b.example IN AAAA\nJan  1 00:00:02 named: running\nJan  1 00:00:03 cron: 0123456789012345678901234567890123456789012345678901234567890123456789\nJan  1 00:00:04 x: no line feed";
    let run = every_cut_gives_the_same("lines", "syslog", file);
    assert_eq!((run.rows.len(), run.counts.unparsed, run.counts.blank), (6, 2, 2), "{:#?}", run.rows);
    let run = every_cut_gives_the_same("lines", "dns_log", file);
    assert_eq!(run.rows.len(), 2, "{:#?}", run.rows);
    assert_eq!(run.counts.records, 6, "a record of another table is a record");
    every_cut_gives_the_same("lines", UNPARSED, file);
}

#[test]
fn odd_files_are_read() {
    for file in [&b""[..], b"\n", b"\r\n", b"\0", b"\0\0\n\0", b"x", b"\xff\xfe", b"12 warn \xff\xfe\n"] {
        for (format, of) in [("test", "error_log"), ("lines", "syslog"), ("test", UNPARSED), ("", UNPARSED)] {
            every_cut_gives_the_same(format, of, file);
        }
    }
}

#[test]
fn a_limit_stops_the_reading_and_a_held_tail_is_left() {
    let file = b"12 a\n13 b\n14 c\n15 d";
    let plan = plan("test", "error_log");
    let options = DecodeOptions { limit: Some(2), ..DecodeOptions::default() };
    let mut decoder = LogDecoder::new(Arc::clone(&plan), Piece::whole(u64::MAX), options);
    assert_eq!(decoder.decode(file, true).expect("decodes").status, Status::Done);
    assert_eq!(decoder.flush().expect("a batch").expect("rows").num_rows(), 2);

    let mut decoder = LogDecoder::new(plan, Piece::whole(u64::MAX), DecodeOptions::default());
    decoder.set_tail(Tail::Hold);
    decoder.decode(file, true).expect("decodes");
    assert_eq!(decoder.flush().expect("a batch").expect("rows").num_rows(), 3);
    assert_eq!(decoder.counts().lines, 3);
}

/// The rows of a table in a document, without what depends on the place in it.
fn rows_of(catalog: &Catalog, format: &str, of: &str, document: &[u8]) -> Vec<String> {
    let def = table(of).expect("a table");
    let depends = ["time", "_line", "_offset"];
    let columns: Vec<usize> = (0..def.columns.len()).filter(|&column| !depends.contains(&def.columns[column].name)).collect();
    let plan = plan_of(catalog, (format, of), &columns, &[], &[]);
    let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), DecodeOptions::default());
    let mut rows = vec![];
    let mut at = 0;
    loop {
        let decoded = decoder.decode(&document[at..], true).expect("decodes");
        at += decoded.used;
        rows.extend(decoder.flush().expect("a batch").iter().flat_map(render));
        if decoded.status == Status::Done {
            return rows;
        }
    }
}

#[test]
fn what_was_learned_of_other_lines_changes_no_row() {
    let catalog = Catalog::builtin();
    for format in catalog.formats() {
        // Lines of a file are alike, and now and then one is not.
        let lines: Vec<String> = format.samples().iter().map(|sample| sample.line.clone() + "\n").collect();
        for of in
            ["access_log", "error_log", "dns_log", "syslog", UNPARSED].into_iter().filter(|of| catalog.feeds(&format.name, of))
        {
            let alone: Vec<Vec<String>> = lines.iter().map(|line| rows_of(&catalog, &format.name, of, line.as_bytes())).collect();
            // A line that begins no record would belong to the one before it.
            let starts = catalog.lines_of(&format.name).starts.is_none();
            let whole: Vec<usize> = (0..lines.len()).filter(|&i| starts || (of != UNPARSED && !alone[i].is_empty())).collect();
            let order: Vec<usize> = whole.iter().flat_map(|&i| [i, i, i]).chain(whole.iter().rev().copied()).collect();
            let document: String = order.iter().map(|&i| lines[i].as_str()).collect();
            let expected: Vec<&String> = order.iter().flat_map(|&i| &alone[i]).collect();
            let got = rows_of(&catalog, &format.name, of, document.as_bytes());
            assert_eq!(got.iter().collect::<Vec<_>>(), expected, "{} as {of}", format.name);
        }
    }
}

/// Keeps rows whose first filter column holds a text.
struct Holds(&'static str);

impl RowFilter for Holds {
    fn evaluate(&mut self, batch: &RecordBatch) -> Result<BooleanArray, Box<dyn Error + Send + Sync>> {
        let column = batch.column(0);
        let text = |row: usize| match column.as_string_view_opt() {
            Some(text) => text.value(row).to_owned(),
            None => format!("{:?}", column.slice(row, 1)),
        };
        Ok((0..batch.num_rows()).map(|row| Some(column.is_valid(row) && text(row).contains(self.0))).collect())
    }
}

#[test]
fn what_the_prefilter_rules_out_would_not_have_passed() {
    let catalog = Catalog::builtin();
    let def = table("access_log").expect("a table");
    let line = |url: &str, status: u16, agent: &str| {
        format!("192.0.2.1 - - [21/Nov/2026:00:00:00 +0000] \"GET {url} HTTP/1.1\" {status} 17 \"-\" \"{agent}\"\n")
    };
    let document = [
        line("/", 200, "bingbot"),
        line("/", 404, "curl"),
        "\n".to_owned(),
        line("/404", 200, "curl"),
        "bingbot rubbish\n".to_owned(),
        line("/", 200, "\\x62ingbot"),
        line("/x", 200, "curl"),
        "\0\0".to_owned() + &line("/", 404, "bingbot"),
        line("/", 200, "Bingbot"),
        line("/", 200, "-"),
        line("/last", 404, "the bingbot").trim_end().to_owned(),
    ]
    .concat();
    let document = document.as_bytes();
    let column = |name: &str| def.column(name).expect("a column");
    for (name, text, passing) in [("user_agent", "bingbot", 4), ("status", "404", 3), ("url", "nowhere", 0)] {
        let run = |required: &[Required], cuts: &[usize]| {
            let columns = [column("url"), column("_line"), column("_offset")];
            let plan = plan_of(&catalog, ("access", "access_log"), &columns, &[column(name)], required);
            assert_eq!(plan.prefilter.is_some(), !required.is_empty());
            let mut rows = vec![];
            let mut counts = ScanCounts::default();
            for bounds in cuts.windows(2) {
                let piece = Piece {
                    first_line: 1 + count_lines(&document[..bounds[0]]),
                    ..Piece { start: bounds[0] as u64, ..Piece::whole(bounds[1] as u64) }
                };
                let mut decoder =
                    LogDecoder::new(Arc::clone(&plan), piece, DecodeOptions::default()).with_filter(Box::new(Holds(text)));
                let mut at = decoder.start_offset() as usize;
                let mut given = 150;
                loop {
                    let stop = (at + given).min(document.len());
                    let decoded = decoder.decode(&document[at..stop], stop == document.len()).expect("decodes");
                    at += decoded.used;
                    given = if decoded.used == 0 { given + 150 } else { 150 };
                    rows.extend(decoder.flush().expect("a batch").iter().flat_map(render));
                    if decoded.status == Status::Done {
                        break;
                    }
                }
                let own = decoder.counts();
                assert_eq!(own.records + own.continuations + own.blank + own.unparsed + own.ruled_out, own.lines);
                counts.lines += own.lines;
                counts.ruled_out += own.ruled_out;
            }
            (rows, counts)
        };
        let required = [Required { column: column(name), any: vec![text.to_owned()] }];
        let (expected, all) = run(&[], &[0, document.len()]);
        assert_eq!(expected.len(), passing, "{expected:#?}");
        for cut in 0..=document.len() {
            let (rows, counts) = run(&required, &[0, cut, document.len()]);
            assert_eq!(rows, expected, "{name} cut at {cut}");
            assert_eq!(counts.lines, all.lines, "{name} cut at {cut}");
            assert!(counts.ruled_out > 3, "{name}: {counts:?}");
        }
    }
    // What is not in the line as it stands rules nothing out.
    for name in ["time", "_file", "_format", "duration_ms"] {
        let required = [Required { column: column(name), any: vec!["2026".to_owned()] }];
        let plan = plan_of(&catalog, ("access", "access_log"), &[], &[column(name)], &required);
        assert!(plan.prefilter.is_none(), "{name}");
    }
}
