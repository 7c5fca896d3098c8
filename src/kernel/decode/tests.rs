//! The decoder against itself: however a file is cut, and however its bytes arrive, the rows and the counts are the same.

use std::collections::BTreeMap;

use super::*;
use crate::format::{Catalog, Pattern};
use crate::table::{UNPARSED, table, tables};
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

const COLUMNS: &str = r##"
name = "columns"
table = "access_log"
title = "a test"
url = "https://example.org"
[records]
comment = '#'
day = "#D:"
[delimited]
header = "#F:"
[capture]
clock = { type = "time", layout = "clock_utc", column = "time" }
[[pattern]]
name = "columns_user"
columns = { user_name = "u", method = "m", url = "p" }
has = { user_name = true }
[[pattern]]
name = "columns"
columns = { clock = "t", method = "m", url = "p" }
[[sample]]
line = """
#F: p m
/x GET"""
pattern = "columns"
expect = { method = "GET" }
"##;

const CSV: &str = r#"
name = "csv"
table = "error_log"
title = "a test"
url = "https://example.org"
[records]
start = '\d\d,'
[delimited]
separator = ","
titles = "pid,"
[[pattern]]
name = "csv"
columns = { pid = "pid", level = "level", message = "message" }
[pattern.capture]
pid = { type = "integer" }
[[sample]]
line = """
pid,level,message
12,warn,"x
y\""""
pattern = "csv"
expect = { message = "x\ny" }
"#;

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for text in [FORMATS, LINES, INNER, COLUMNS, CSV] {
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
    read_asking(plan, file, piece, dose, StampContext::default())
}

/// Does the same, and says `stamps` if the decoder asks for what is before the piece.
fn read_asking(plan: &Arc<ScanPlan>, file: &[u8], piece: Piece, dose: usize, stamps: StampContext) -> (Run, StampSummary) {
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
        if decoded.status == Status::NeedStamps {
            assert!(piece.stamps.is_none(), "it was told");
            decoder.set_stamps(stamps);
        } else if decoded.status == Status::NeedHeader {
            assert!(piece.start > 0, "nothing is before the file");
            decoder.set_header(header_before(plan, file, piece.start as usize));
        } else if decoded.status != Status::NeedMore
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

/// The last line that begins before `start` and says what columns are.
fn header_before<'a>(plan: &ScanPlan, file: &'a [u8], start: usize) -> Option<&'a [u8]> {
    let mut begin = 0;
    let lines = file.split_inclusive(|&byte| byte == b'\n').map(|line| {
        begin += line.len();
        (begin - line.len(), line)
    });
    let lines: Vec<(usize, &[u8])> = lines.collect();
    let mut before = lines.into_iter().filter(|(begin, _)| *begin < start).map(|(_, line)| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let nuls = line.iter().take_while(|&&byte| byte == 0).count();
        line[nuls..].strip_suffix(b"\r").unwrap_or_else(|| &line[nuls..])
    });
    before.rfind(|line| plan.is_header(line) && line.len() <= 64)
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
            let summaries = bounds.map(|bounds| read(&plan, file, piece(bounds, Some(StampContext::default())), 40).1);
            for (index, bounds) in bounds.into_iter().enumerate() {
                let rest = summaries[index..].iter().copied().fold(StampSummary::default(), StampSummary::then);
                let before = summaries[..index].iter().copied().fold(StampSummary::default(), StampSummary::then);
                let first_year = rest.first_year(plan.reference_us());
                let stamps = StampContext { first_year, day: before.days.day(), ..StampContext::default() };
                let (part, _) = read(&plan, file, piece(bounds, Some(stamps)), 40);
                let (asked, _) = read_asking(&plan, file, piece(bounds, None), 40, stamps);
                assert_eq!(asked.rows, part.rows, "a decoder that asks for the stamps before its piece gives the same rows");
                assert_eq!(asked.counts.lines, part.counts.lines);
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
fn days_that_other_lines_tell_are_the_same_at_every_cut() {
    let file = b"#F: t m p\n01:00:00 GET /untold\n#D: 2026-11-20 23:59:00\n23:59:59 GET /a\n0:00:01 GET /b\n23:59:58 GET /late\n\
        00:00:02 GET /c\nstray\n12:00:00 GET /noon\n00:00:00 GET /d\n#D: 2026-11-30\n#F: p t\n/e 00:00:05.25\n/f -\n/g 11:00:00\n/h 01:00:00\n/i 22:00:00\n/j 09:00:00\n";
    let run = every_cut_gives_the_same("columns", "access_log", file);
    let time = |row: &String| Some(row.split_once("[2026-")?.1.get(..14)?.to_owned());
    let got: Vec<_> = run.rows.iter().map(time).collect();
    let expected = [
        "-",
        "2026-11-20T23:59:59",
        "2026-11-21T00:00:01",
        "2026-11-20T23:59:58",
        "2026-11-21T00:00:02",
        "2026-11-21T12:00:00",
        "2026-11-22T00:00:00",
        "2026-11-30T00:00:05",
        "-",
        "2026-11-30T11:00:00",
        "2026-12-01T01:00:00",
        "2026-12-01T22:00:00",
        "2026-12-02T09:00:00",
    ];
    let expected: Vec<_> = expected.iter().map(|time| time.get(5..).map(str::to_owned)).collect();
    assert_eq!(got, expected, "{:#?}", run.rows);
}

#[test]
fn what_the_kernel_and_the_journal_hold_is_read_as_in_syslog() {
    let catalog = Catalog::builtin();
    for (format, table_name, line, expected) in [
        (
            "kernel",
            "firewall_log",
            "[12345.678901] [UFW BLOCK] IN=eth0 OUT= MAC=00:1a:2b:3c:4d:5e:00:1a:2b:3c:4d:5f:08:00 SRC=192.0.2.66 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=49 ID=4711 DF PROTO=TCP SPT=40123 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0",
            "192.0.2.66",
        ),
        (
            "journald_export",
            "auth_log",
            "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795222923123456\nPRIORITY=6\nSYSLOG_IDENTIFIER=sshd\n_PID=4711\n_HOSTNAME=web1\nMESSAGE=Accepted publickey for ann from 192.0.2.66 port 40123 ssh2",
            "2026-11-21T01:02:03.123456",
        ),
    ] {
        let def = table(table_name).expect("a table");
        let columns: Vec<usize> = (0..def.columns.len()).collect();
        let plan = plan_of(&catalog, (format, table_name), &columns, &[], &[]);
        let mut decoder = LogDecoder::new(plan, Piece::whole(line.len() as u64), DecodeOptions::default());
        assert_eq!(decoder.decode(line.as_bytes(), true).expect("decodes").status, Status::Done);
        let rows: Vec<String> = decoder.flush().expect("a batch").iter().flat_map(render).collect();
        assert!(rows.len() == 1 && rows[0].contains(expected), "{format}: {rows:?}");
        assert!(catalog.feeds(format, table_name), "{format}");
    }
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
fn columns_are_the_same_at_every_cut() {
    let file = b"stray GET /\n#x\n#F: p m\n/1 GET\n/2 PUT\n\n#F: u m p x\r\nann GET /3 y\nann GET\n#F: m p\nGET /4\n\0\0#F: p m\nGET /5\n#F: 0123456789012345678901234567890123456789012345678901234567890123456789 m\n/6 GET";
    let run = every_cut_gives_the_same("columns", "access_log", file);
    let shown: Vec<String> = run.rows.iter().map(|row| row.split('|').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(shown, ["GET /1", "PUT /2", "ann GET", "GET /4", "/5 GET", "GET /6"], "{:#?}", run.rows);
    assert_eq!((run.counts.unparsed, run.counts.blank), (2, 7), "the line before all headers, and the short one");
    every_cut_gives_the_same("columns", UNPARSED, file);
    for odd in [&b""[..], b"#F:", b"#F: a b\n", b"#F: a b\nx", b"x\n#F: m p", b"\0#F: m p\na b\n#F"] {
        every_cut_gives_the_same("columns", "access_log", odd);
    }
}

#[test]
fn columns_with_line_ends_in_them_are_the_same_at_every_cut() {
    let file = b"pid,level,message\n12,warn,\"a\nb, \"\"c\"\"\"\n13,err,x\npid,message,level\n14,\"d\n\ne\",info\n15,err\ntail\n";
    let run = every_cut_gives_the_same("csv", "error_log", file);
    assert_eq!(run.rows.len(), 3, "{:#?}", run.rows);
    assert!(run.rows[0].contains("|a\nb, \"c\"|") && run.rows[2].contains("|d\n\ne|"), "{:#?}", run.rows);
    every_cut_gives_the_same("csv", UNPARSED, file);
}

#[test]
fn what_containers_write_is_read_as_what_it_is() {
    let catalog = Catalog::builtin();
    let file = concat!(
        r#"{"log":"{\"level\":\"info\",\"msg\":\"a \\\"b\\\"\",\"n\":1}\n","stream":"stderr","time":"2026-11-21T01:02:03.5Z"}"#,
        "\n2026-11-21T01:02:04.5Z stdout F 192.0.2.1 - - [21/Nov/2026:01:02:04 +0000] \"GET /x HTTP/1.1\" 200 17\n",
        r#"{"log":"192.0.2.2 - - [21/Nov/2026:02:02:04 +0100] \"GET /y HTTP/1.1\" 404 0\n","stream":"stdout","time":"2026-11-21T01:02:05Z"}"#,
        "\n2026-11-21T01:02:06.5Z stdout F any text\n",
        "2026-11-21T01:02:07.25Z stdout F time=2026-11-21T03:04:05 level=warn msg=local\n",
    );
    let columns = |of: &str, names: &[&str]| -> Vec<usize> {
        names.iter().map(|name| table(of).expect("a table").column(name).expect("a column")).collect()
    };
    let read = |of: &str, names: &[&str]| {
        let plan = plan_of(&catalog, ("docker_cri", of), &columns(of, names), &[], &[]);
        let mut decoder = LogDecoder::new(plan, Piece::whole(file.len() as u64), DecodeOptions::default());
        let mut at = 0;
        while decoder.decode(&file.as_bytes()[at..], true).map(|decoded| (at += decoded.used, decoded.status).1).expect("decodes")
            != Status::Done
        {}
        (render(&decoder.flush().expect("a batch").expect("rows")), decoder.counts().clone())
    };
    let (rows, counts) = read("app_log", &["level", "message", "stream", "_format", "fields", "_line"]);
    assert_eq!((rows.len(), counts.records, counts.unparsed), (5, 5, 0), "{rows:#?}");
    assert!(rows[0].starts_with("info|a \"b\"|stderr|json|") && rows[0].contains("\"n\""), "{}", rows[0]);
    assert!(rows[3].starts_with("any text|stdout|docker_cri"), "{}", rows[3]);
    assert!(rows[4].starts_with("warn|local|stdout|logfmt|"), "{}", rows[4]);
    let (rows, counts) = read("access_log", &["client_ip", "status", "url", "time_offset"]);
    assert_eq!((rows.len(), counts.records), (2, 5), "{rows:#?}");
    assert!(rows[0].contains("/x") && rows[1].contains("/y") && rows[1].contains("60"), "{rows:#?}");
    let (times, _) = read("app_log", &["time"]);
    // The zone of the last one's own stamp is not known; that of the container's is.
    assert!(times[4].contains("2026-11-21T01:02:07.250"), "{times:#?}");
}

/// What syslog carries, a container carries whose program writes as syslog does.
#[test]
fn an_envelope_in_an_envelope_holds_what_it_holds_alone() {
    let catalog = Catalog::builtin();
    let syslog = catalog.format("syslog").expect("it is built in");
    let in_containers: Vec<_> = syslog.patterns().iter().filter(|p| p.within.as_deref() == Some("docker_cri")).collect();
    let mut scratch = Scratch::default();
    let mut is_syslog = |line: &str| {
        let mut takes = |p: &Pattern| {
            p.matcher.find(line.as_bytes(), &mut vec![Span::NONE; p.matcher.captures().len()], &mut scratch).is_ok()
        };
        in_containers.iter().any(|p| takes(p))
    };
    let mut of_tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for format in catalog.formats() {
        let inside: Vec<&Arc<Pattern>> = format.patterns().iter().filter(|p| p.within.as_deref() == Some("syslog")).collect();
        for sample in format.samples().iter().filter(|sample| !sample.line.contains('\n') && is_syslog(&sample.line)) {
            let Some(pattern) = inside.iter().find(|p| Some(&p.name) == sample.pattern.as_ref()) else { continue };
            of_tables.entry(pattern.table.name).or_default().push(&sample.line);
        }
    }
    let seen: usize = of_tables.values().map(Vec::len).sum();
    assert!(seen > 200, "only {seen} samples");
    let json = |line: &str| {
        let line = serde_json::to_string(&format!("{line}\n")).expect("a text is JSON");
        format!(r#"{{"log":{line},"stream":"stdout","time":"2026-11-21T01:02:03.123456789Z"}}"#)
    };
    let wraps: [&dyn Fn(&str) -> String; 3] =
        [&|line| format!("mail-1  | {line}"), &|line| format!("2026-11-21T01:02:03.123456789Z stdout F {line}"), &json];
    for (table, lines) in of_tables {
        assert!(catalog.feeds("docker_cri", table), "{table}");
        let without = ["time", "_line", "_offset", "_raw", "container", "stream", "time_offset"];
        let alone = rows_without(&catalog, ("syslog", table), &without, lines.join("\n").as_bytes());
        assert_eq!(alone.len(), lines.len(), "{table}");
        for wrap in wraps {
            let wrapped: Vec<String> = lines.iter().map(|line| wrap(line)).collect();
            let document = wrapped.join("\n");
            assert_eq!(
                rows_without(&catalog, ("docker_cri", table), &without, document.as_bytes()),
                alone,
                "{table}: {document}"
            );
            let rows = rows_without(&catalog, ("docker_cri", "syslog"), &without, document.as_bytes());
            assert_eq!(rows.len(), lines.len(), "{table}: {document}");
        }
    }
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
    rows_without(catalog, (format, of), &["time", "_line", "_offset"], document)
}

/// The rows of a table in a document, without these columns.
fn rows_without(catalog: &Catalog, (format, of): (&str, &str), without: &[&str], document: &[u8]) -> Vec<String> {
    let plan = plan_without(catalog, (format, of), without);
    plan.set.forget();
    rows_by(&plan, document)
}

fn plan_without(catalog: &Catalog, (format, of): (&str, &str), without: &[&str]) -> Arc<ScanPlan> {
    let def = table(of).expect("a table");
    let columns: Vec<usize> = (0..def.columns.len()).filter(|&column| !without.contains(&def.columns[column].name)).collect();
    plan_of(catalog, (format, of), &columns, &[], &[])
}

/// The same by a reader that may know what others have learned.
fn rows_by(plan: &Arc<ScanPlan>, document: &[u8]) -> Vec<String> {
    let mut decoder = LogDecoder::new(Arc::clone(plan), Piece::whole(document.len() as u64), DecodeOptions::default());
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
    let mut kept = vec![];
    for format in catalog.formats() {
        // Lines of a file are alike, and now and then one is not.
        let lines: Vec<String> = format.samples().iter().map(|sample| sample.line.clone() + "\n").collect();
        let of = ["access_log", "error_log", "dns_log", "syslog", UNPARSED].into_iter();
        // Whether a header is above a line does change what it is.
        let has_headers = !catalog.lines_of(&format.name).headings.is_empty();
        for of in of.filter(|of| catalog.feeds(&format.name, of) && !(has_headers && *of == UNPARSED)) {
            let alone: Vec<Vec<String>> = lines.iter().map(|line| rows_of(&catalog, &format.name, of, line.as_bytes())).collect();
            // A line that begins no record would belong to the one before it.
            let starts = catalog.lines_of(&format.name).starts.is_none();
            let whole: Vec<usize> = (0..lines.len()).filter(|&i| starts || (of != UNPARSED && !alone[i].is_empty())).collect();
            let order: Vec<usize> = whole.iter().flat_map(|&i| [i, i, i]).chain(whole.iter().rev().copied()).collect();
            let document: String = order.iter().map(|&i| lines[i].as_str()).collect();
            let expected: Vec<&String> = order.iter().flat_map(|&i| &alone[i]).collect();
            let got = rows_of(&catalog, &format.name, of, document.as_bytes());
            assert_eq!(got.iter().collect::<Vec<_>>(), expected, "{} as {of}", format.name);
            let plan = plan_without(&catalog, (&format.name, of), &["time", "_line", "_offset"]);
            plan.set.forget();
            for (document, expected) in std::iter::repeat_n((document.as_bytes(), &got), 2)
                .chain(lines.iter().zip(&alone).map(|(line, alone)| (line.as_bytes(), alone)))
            {
                assert_eq!(rows_by(&plan, document), *expected, "{} as {of}, learned in other files", format.name);
            }
            kept.push(plan.set.forget());
        }
    }
    // One after the other, they need no more than one; what is full is not handed on.
    assert!(kept.iter().all(|&kept| kept <= 1), "{kept:?}");
    assert!(kept.iter().sum::<usize>() * 10 > kept.len() * 9, "{kept:?}");
}

/// What is not looked at is not read where it decides nothing: whole lines, cut ones and such that have something odd in them.
#[test]
fn a_column_is_the_same_alone_and_among_all() {
    let catalog = Catalog::builtin();
    for format in catalog.formats() {
        let samples = format.samples().iter().map(|sample| sample.line.as_str());
        let lines = samples.flat_map(|line| {
            let at = |part: usize| (line.len() * part / 4..).find(|&at| line.is_char_boundary(at)).unwrap_or(line.len());
            let (begin, end) = line.split_at(at(2));
            [
                line.to_owned(),
                line[..at(1)].to_owned(),
                begin.to_owned(),
                line[..at(3)].to_owned(),
                format!("{begin}, \"[: {end}"),
            ]
        });
        let document: String = lines.map(|line| line + "\n").collect();
        for def in tables().iter().filter(|def| catalog.feeds(&format.name, def.name)) {
            // Those that some pattern has a value for, and those that every row has.
            let all: Vec<usize> = (0..def.columns.len())
                .filter(|&column| {
                    let feeds = |pattern: &Arc<Pattern>| pattern.table.name == def.name && !pattern.columns[column].is_empty();
                    format.patterns().iter().any(feeds) || def.columns[column].name.starts_with('_')
                })
                .collect();
            let read_columns = |columns: &[usize]| {
                let plan = plan_of(&catalog, (&format.name, def.name), columns, &[], &[]);
                let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), DecodeOptions::default());
                let mut batches = vec![];
                let mut at = 0;
                loop {
                    let decoded = decoder.decode(&document.as_bytes()[at..], true).expect("decodes");
                    at += decoded.used;
                    batches.extend(decoder.flush().expect("a batch"));
                    if decoded.status == Status::Done {
                        let counts = decoder.counts();
                        let counts =
                            [counts.lines, counts.records, counts.continuations, counts.blank, counts.unparsed, counts.rows];
                        return (batches, counts);
                    }
                }
            };
            let (whole, counts) = read_columns(&all);
            assert_eq!(read_columns(&[]).1, counts, "{} as {}", format.name, def.name);
            for (index, &column) in all.iter().enumerate() {
                let (alone, counts_alone) = read_columns(&[column]);
                assert_eq!(counts_alone, counts, "{} as {}: {}", format.name, def.name, def.columns[column].name);
                let values = |batches: &[RecordBatch], column: usize| {
                    batches.iter().flat_map(|batch| render(&batch.project(&[column]).expect("a column"))).collect::<Vec<_>>()
                };
                let name = def.columns[column].name;
                assert_eq!(values(&alone, 0), values(&whole, index), "{} as {}: {name}", format.name, def.name);
            }
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

#[test]
fn the_times_of_a_piece_are_known_only_if_all_were_read() {
    let catalog = Catalog::builtin();
    let def = table("access_log").expect("a table");
    let line = |minute: u8| format!("192.0.2.1 - - [21/Nov/2026:00:{minute:02}:00 +0000] \"GET /{minute} HTTP/1.1\" 200 17\n");
    let broken = line(9).replace("00:09", "00:99");
    let document = [line(5), "rubbish\n".to_owned(), line(3), broken, line(7)].concat();
    let [time, url] = ["time", "url"].map(|name| def.column(name).expect("a column"));
    let bounds = |columns: &[usize], filter: Option<(usize, &'static str)>, required: &[Required], limit: Option<usize>| {
        let filter_columns: Vec<usize> = filter.iter().map(|(column, _)| *column).collect();
        let plan = plan_of(&catalog, ("access", "access_log"), columns, &filter_columns, required);
        let options = DecodeOptions { limit, ..DecodeOptions::default() };
        let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), options);
        if let Some((_, text)) = filter {
            decoder = decoder.with_filter(Box::new(Holds(text)));
        }
        while decoder.decode(document.as_bytes(), true).expect("decodes").status != Status::Done {}
        decoder.time_bounds()
    };
    let minute = |minute: i64| 1_795_219_200_000_000 + minute * 60_000_000;
    let all = TimeBounds { min: minute(3), max: minute(7), times: 3, nulls: 1 };
    assert_eq!(bounds(&[time], None, &[], None), Some(all));
    assert_eq!(bounds(&[url, time], Some((time, "nothing")), &[], None), Some(all), "also those that the filter does not take");
    assert_eq!(bounds(&[time], None, &[], Some(4)), None, "there may be more behind the limit");
    assert_eq!(bounds(&[url], None, &[], None), None, "it was not asked for");
    assert_eq!(bounds(&[time], Some((url, "/5")), &[], None), None, "only of the rows that passed");
    let required = Required { column: url, any: vec!["/nowhere".to_owned()] };
    assert_eq!(bounds(&[time, url], Some((time, "x")), &[required], None), None, "lines were passed over");
}

#[test]
fn the_stamps_before_a_piece_are_asked_for_when_a_record_needs_them() {
    let catalog = Catalog::builtin();
    let def = table("syslog").expect("a table");
    let columns = ["time", "message"].map(|name| def.column(name).expect("a column"));
    let plan = plan_of(&catalog, ("syslog", "syslog"), &columns, &[], &[]);
    let document =
        b"2026-11-21T10:00:00+00:00 web1 app: one\n2026-11-21T10:00:01+00:00 web1 app: two\nNov 21 10:00:02 web1 app: three\n";
    let piece = Piece { stamps: None, ..Piece::whole(document.len() as u64) };
    let mut decoder = LogDecoder::new(plan, piece, DecodeOptions::default());
    let first = decoder.decode(document, true).expect("decodes");
    assert_eq!(first.status, Status::NeedStamps, "the third record has no year");
    assert_eq!((decoder.counts().lines, &document[first.used..first.used + 3]), (2, &b"Nov"[..]));
    decoder.set_stamps(StampContext { first_year: Some(2019), ..StampContext::default() });
    assert_eq!(decoder.decode(&document[first.used..], true).expect("decodes").status, Status::Done);
    let rows: Vec<String> = decoder.flush().expect("a batch").iter().flat_map(render).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[2].contains("2019-11-21T10:00:02") && rows[2].ends_with("three"), "{rows:?}");
}

const BOXED: &str = r#"
name = "boxed"
table = "syslog"
title = "a test"
url = "https://example.org"
[carries]
capture = "message"
[[pattern]]
name = "boxed"
json = { time = ["t", "time"], message = "log", program = "app" }
has = { message = true }
[pattern.capture]
time = { type = "time", layout = ["rfc3339", "epoch"] }
message = { chomp = true }
[[sample]]
line = '{"t":1795000000,"log":"a\tb\n","n":{"x":[1,"y"]},"time":2}'
pattern = "boxed"
expect = { time = "2026-11-18T11:06:40Z", message = "a	b", "fields.n.x" = '[1,"y"]', "fields.time" = "2" }
null = ["program"]
[[sample]]
line = '{"log":null}'
"#;

const IN_BOXES: &str = r#"
name = "in_boxes"
table = "dns_log"
title = "a test"
url = "https://example.org"
[[pattern]]
name = "json_in_a_box"
within = "boxed"
requires = { program = "x" }
json = { query_name = "q", client_ip = "c" }
has = { query_name = { type = "text" } }
[[pattern]]
name = "logfmt_in_a_box"
within = "boxed"
logfmt = { query_name = "q", client_ip = "c" }
[[pattern]]
name = "regex_in_a_box"
within = "boxed"
regex = 'query: (?<query_name>\S+) (?<rest>.*)'
[[sample]]
line = '{"app":"x","log":"{\"q\":\"a.example\"}\n"}'
pattern = "json_in_a_box"
expect = { query_name = "a.example", program = "x" }
"#;

/// What is inside of a text of JSON is read without its escapes, whichever way it is written.
#[test]
fn records_inside_of_texts_with_escapes_are_read() {
    let mut catalog = Catalog::default();
    for text in [BOXED, IN_BOXES] {
        catalog.add("test", text).unwrap_or_else(|error| panic!("{error}"));
    }
    let document = r#"
{"app":"x","log":"{\"q\":\"\\u0061\\\"\\n.example\",\"c\":\"192.0.2.1\",\"more\":\"a\\tb\",\"no\":null}\n"}
{"app":"y","log":"{\"q\":\"not x\"}\n"}
{"app":"\u0078","log":"query: b.example IN A"}
{"log":"query: \u0063.example IN\tA\r\n","app":"z"}
{"log":"q=d.example c=\"192.0.2.2\" m=\"x\\ty\"\n"}
{"log":"q=e.example c=192.0.2.3"}
{"log":["q=f.example"]}
{"log":"q=g.example\n"
"#;
    let def = table("dns_log").expect("a table");
    let columns = ["query_name", "client_ip", "program", "_format", "fields"].map(|name| def.column(name).expect("a column"));
    let plan = plan_of(&catalog, ("boxed", "dns_log"), &columns, &[], &[]);
    let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), DecodeOptions::default());
    decoder.decode(document.as_bytes(), true).expect("decodes");
    let rows: Vec<String> = decoder.flush().expect("a batch").iter().flat_map(render).collect();
    let heads: Vec<&str> = rows.iter().map(|row| row.split("|MapArray").next().unwrap_or_default()).collect();
    let expected = [
        "a\"\n.example|192.0.2.1|x|json_in_a_box",
        "b.example|x|regex_in_a_box",
        "c.example|z|regex_in_a_box",
        "d.example|192.0.2.2|logfmt_in_a_box",
        "e.example|192.0.2.3|logfmt_in_a_box",
    ];
    assert_eq!(heads, expected, "{rows:#?}");
    for (row, field) in [(0, r#""more",]"#), (0, r#""a\tb",]"#), (1, "INA"), (2, r"IN\tA"), (3, r#""x\ty",]"#)] {
        assert!(rows[row].contains(field), "{field} in {}", rows[row]);
    }
    let counts = decoder.counts();
    assert_eq!((counts.lines, counts.records, counts.blank, counts.unparsed), (9, 7, 1, 1));
    assert!(decoder.rows.unescaped.is_empty());

    // What gives no row is not kept.
    let plan = plan_of(&catalog, ("boxed", "dns_log"), &columns, &[], &[]);
    let mut decoder = LogDecoder::new(plan, Piece::whole(u64::MAX), DecodeOptions::default());
    decoder.decode(b"{\"log\":\"no\\trow\"}\n", false).expect("decodes");
    assert_eq!((decoder.counts().records, decoder.rows.unescaped.len()), (1, 0));

    let plan = plan_of(&catalog, ("boxed", UNPARSED), &[3, 4, 5, 6], &[], &[]);
    let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), DecodeOptions::default());
    decoder.decode(document.as_bytes(), true).expect("decodes");
    let rows: Vec<String> = decoder.flush().expect("a batch").iter().flat_map(render).collect();
    assert!(rows[0].starts_with("no format takes it|boxed|"), "{rows:#?}");
}

/// nginx writes a status that is no status with its zeros, which is no number of JSON.
#[test]
fn what_is_meant_to_be_json_fails_as_json() {
    let catalog = Catalog::builtin();
    let document = b"{\"time\":\"2026-11-21T01:02:03Z\",\"remote_addr\":\"192.0.2.1\",\"status\":009,\"bytes_sent\":0}\n";
    let plan = plan_of(&catalog, ("nginx_json", UNPARSED), &[4, 5, 6], &[], &[]);
    let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), DecodeOptions::default());
    decoder.decode(document, true).expect("decodes");
    let rows: Vec<String> = decoder.flush().expect("a batch").iter().flat_map(render).collect();
    let column = document.windows(3).position(|three| three == b"009").expect("it is there") + 2;
    assert!(rows[0].starts_with("nginx_json|") && rows[0].contains(&column.to_string()), "{column} in {rows:?}");
}

/// An escaped byte may be one of the text that a filter asks for.
#[test]
fn the_prefilter_minds_the_escapes_of_json() {
    let mut catalog = Catalog::default();
    catalog.add("test", BOXED).unwrap_or_else(|error| panic!("{error}"));
    let message = table("syslog").expect("a table").column("message").expect("a column");
    let required = [Required { column: message, any: vec!["needle".to_owned()] }];
    let document =
        b"{\"log\":\"a needle\"}\n{\"log\":\"a ne\\u0065dle\"}\n{\"log\":\"hay\"}\n{\"log\":\"hay\",\"x\":\"needle\"}\n";
    let plan = plan_of(&catalog, ("boxed", "syslog"), &[message], &[message], &required);
    let options = DecodeOptions::default();
    let mut decoder = LogDecoder::new(plan, Piece::whole(document.len() as u64), options).with_filter(Box::new(Holds("needle")));
    decoder.decode(document, true).expect("decodes");
    let rows: Vec<String> = decoder.flush().expect("a batch").iter().flat_map(render).collect();
    assert_eq!(rows, ["a needle", "a needle"]);
    assert_eq!((decoder.counts().records, decoder.counts().ruled_out), (3, 1));
}
