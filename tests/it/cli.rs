//! The binary as users see it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{logsql, root};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn run(args: &[&str]) -> Ran {
    let home = tempfile::tempdir().expect("a folder");
    ran(&logsql(home.path()).args(args).output().expect("runs"))
}

const COMBINED: &str = "testdata/logs/nginx/combined.log";
const CUT: &str = "testdata/logs/malformed/cut-within-first-line.log";
const THREE: &str = "SELECT status, count(*) AS hits FROM access_log WHERE status IN (200, 404) GROUP BY 1 ORDER BY 1";

#[test]
fn columns_are_called_what_was_written() {
    let cases = [
        (
            "SELECT 'a', 1 + 1, upper(method), max(status) FROM access_log GROUP BY 3 LIMIT 0",
            "'a',1 + 1,upper(method),max(status)",
        ),
        ("SELECT a.status, a.bytes * 2, status AS s FROM access_log a LIMIT 0", "status,a.bytes * 2,s"),
        ("(SELECT sum(bytes) FROM access_log) UNION ALL SELECT 1 LIMIT 0", "sum(bytes)"),
        ("SELECT 0, *, 'last' FROM (SELECT status, bytes FROM access_log) LIMIT 0", "0,status,bytes,'last'"),
        (
            "SELECT date_trunc('hour', time), count(*) FROM access_log GROUP BY 1 ORDER BY count(*) LIMIT 0",
            "\"date_trunc('hour', time)\",count(*)",
        ),
    ];
    for (sql, header) in cases {
        let got = run(&["--csv", sql, COMBINED]);
        assert_eq!((got.out.trim_end(), got.err.as_str()), (header, ""), "{sql}");
    }
    // What the window, the order and the number of rows are about is under the names.
    let sql = "SELECT status, sum(bytes) FROM access_log GROUP BY 1 ORDER BY sum(bytes) DESC LIMIT 1";
    assert_eq!(run(&["--ndjson", sql, "testdata/logs/rotated/access.log.1"]).out.matches("\"sum(bytes)\":").count(), 1);
}

#[test]
fn each_text_format_is_written() {
    let rotated = "testdata/logs/rotated/access.log.1";
    let cases: [(&str, &str); 7] = [
        ("--tsv", "status\thits\n200\t17\n404\t3\n"),
        ("--csv", "status,hits\n200,17\n404,3\n"),
        ("--json", "[\n{\"status\":200,\"hits\":17},\n{\"status\":404,\"hits\":3}\n]\n"),
        ("--ndjson", "{\"status\":200,\"hits\":17}\n{\"status\":404,\"hits\":3}\n"),
        ("--markdown", "| status | hits |\n| ---: | ---: |\n| 200 | 17 |\n| 404 | 3 |\n"),
        ("--line", "status = 200\nhits   = 17\n\nstatus = 404\nhits   = 3\n"),
        (
            "--format=table",
            "┌────────┬──────┐\n│ status │ hits │\n├────────┼──────┤\n│    200 │   17 │\n│    404 │    3 │\n└────────┴──────┘\n",
        ),
    ];
    for (format, expected) in cases {
        let got = run(&[format, THREE, rotated]);
        assert_eq!((got.code, got.out.as_str(), got.err.as_str()), (0, expected, ""), "{format}");
    }
    assert_eq!(run(&["--no-header", THREE, rotated]).out, "200\t17\n404\t3\n");
}

#[test]
fn files_are_written_whole_and_read_back() {
    let home = tempfile::tempdir().expect("a folder");
    for name in ["out.parquet", "out.arrow", "out.csv"] {
        let path = home.path().join(name);
        let got = ran(&logsql(home.path()).args(["-o", path.to_str().expect("UTF-8"), THREE, COMBINED]).output().expect("runs"));
        assert_eq!((got.code, got.out.as_str()), (0, ""), "{name}: {}", got.err);
        assert!(std::fs::metadata(&path).expect("written").len() > 0, "{name}");
    }
    let parquet = std::fs::File::open(home.path().join("out.parquet")).expect("opens");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(parquet).expect("a Parquet file");
    let rows: usize = reader.build().expect("a reader").map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 2);
    let arrow = std::fs::File::open(home.path().join("out.arrow")).expect("opens");
    let rows: usize = arrow::ipc::reader::FileReader::try_new(arrow, None)
        .expect("an Arrow file")
        .map(|batch| batch.expect("a batch").num_rows())
        .sum();
    assert_eq!(rows, 2);
    let left: Vec<_> =
        std::fs::read_dir(home.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left.len(), 3, "nothing else is left behind: {left:?}");
}

#[test]
fn sql_comes_from_words_options_files_and_standard_input() {
    let home = tempfile::tempdir().expect("a folder");
    let script = home.path().join("a.sql");
    std::fs::write(&script, "SELECT 1 AS a; SELECT 2 AS b").expect("written");
    let got = run(&["--no-header", "-c", "SELECT 0", "-f", script.to_str().expect("UTF-8")]);
    assert_eq!((got.code, got.out.as_str()), (0, "0\n1\n2\n"));
    let mut child = logsql(home.path()).arg("--no-header").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("a pipe").write_all(b"SELECT 3").expect("written");
    assert_eq!(ran(&child.wait_with_output().expect("ends")).out, "3\n");
}

/// What comes of `input` on standard input.
fn piped(args: &[&str], input: &[u8]) -> Ran {
    let home = tempfile::tempdir().expect("a folder");
    let mut child =
        logsql(home.path()).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // Who refuses it does not read it all.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let got = ran(&child.wait_with_output().expect("ends"));
    writer.join().expect("no panic");
    got
}

#[test]
fn an_archive_comes_in_by_a_pipe() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, path: &str| {
        let bytes = std::fs::read(root().join("testdata/logs").join(path)).expect("testdata");
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_756_728_000);
        tar.append_data(&mut header, name, &bytes[..]).expect("appended");
    };
    add("var/log/nginx/access.log.1", "rotated/access.log.1");
    add("var/log/nginx/access.log.2.gz", "rotated/access.log.2.gz");
    let tar = tar.into_inner().expect("a tar");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(&tar).expect("packed");
    let sql = "SELECT _file, count(*) AS n FROM access_log GROUP BY 1 ORDER BY 1";
    for input in [tar.clone(), gz.finish().expect("packed"), zstd::encode_all(&tar[..], 1).expect("packed")] {
        let got = piped(&["--no-header", sql, "-"], &input);
        let names: Vec<&str> = got.out.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!((got.code, got.err.as_str()), (0, ""), "{}", got.out);
        assert_eq!(names, ["-!/var/log/nginx/access.log.1", "-!/var/log/nginx/access.log.2.gz"]);
        // The rows of a member in SQL of its own, and read twice.
        let twice = "SELECT a.n = b.n FROM (SELECT count(*) n FROM access_log) a, (SELECT count(*) n FROM access_log) b";
        assert_eq!(piped(&["--no-header", twice, "-"], &input).out, "true\n");
    }
    let got = piped(&[sql, "-"], &tar[..tar.len() / 2]);
    assert!(got.code == 3 && got.err.contains("the archive ends within this member"), "{} {}", got.code, got.err);
    let got = piped(&[sql, "-"], b"PK\x03\x04 and so on, which is no tar");
    assert!(
        got.code != 0 && got.err.contains("zip archive from a stream") && got.err.contains("write it to a file"),
        "{}",
        got.err
    );
}

#[test]
fn lines_of_a_stream_behind_a_byte_order_mark_are_where_they_are() {
    let line = b"192.0.2.1 - - [09/Mar/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n";
    let input = [b"\xEF\xBB\xBF".to_vec(), line.to_vec(), line.to_vec()].concat();
    let got = piped(&["--no-header", "SELECT _offset FROM access_log ORDER BY 1", "-"], &input);
    assert_eq!((got.code, got.out), (0, format!("3\n{}\n", 3 + line.len())), "{}", got.err);
}

#[test]
fn a_log_comes_in_by_a_pipe_compressed_or_not_and_can_be_read_twice() {
    let home = tempfile::tempdir().expect("a folder");
    for file in ["testdata/logs/rotated/access.log.1", "testdata/logs/rotated/access.log.2.gz"] {
        let input = std::fs::read(root().join(file)).expect("testdata");
        let sql =
            "SELECT a.n, b.n FROM (SELECT count(*) n FROM access_log) a, (SELECT count(*) n FROM access_log WHERE status > 0) b";
        let mut child = logsql(home.path())
            .args(["--no-header", sql, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs");
        child.stdin.take().expect("a pipe").write_all(&input).expect("written");
        let got = ran(&child.wait_with_output().expect("ends"));
        let rows: Vec<&str> = got.out.trim().split('\t').collect();
        assert_eq!(rows.len(), 2, "{}", got.out);
        assert!(rows[0] == rows[1] && rows[0] != "0", "{file}: {}", got.out);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = tempfile::tempdir().expect("a folder");
    let sql = "SELECT value FROM generate_series(1, 50000000)";
    let mut child = logsql(home.path()).args([sql]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    let got = ran(&child.wait_with_output().expect("ends"));
    assert_eq!((first.as_str(), got.code, got.err.as_str()), ("value\n", 0, ""));
}

#[test]
fn errors_say_what_and_what_to_do() {
    let cases: [(&[&str], i32, &str); 14] = [
        (
            &["SELECT ip FROM access_log", COMBINED],
            1,
            "error: there is no column `ip`\n  SELECT ip FROM access_log\n         ^^\nhint: it is called `client_ip` here\n",
        ),
        (
            &["SELECT 1,\n  statsu FROM access_log", COMBINED],
            1,
            "error: there is no column `statsu`\n  2 |   statsu FROM access_log\n        ^^^^^^\nhint: did you mean `status`",
        ),
        (
            &["SELECT * FROM acess_log", COMBINED],
            1,
            "error: unknown table `acess_log`\n  SELECT * FROM acess_log\n                ^^^^^^^^^\nhint: did you mean `access_log`?\n",
        ),
        (
            &["SELECT status FRM access_log"],
            1,
            "error: the SQL does not parse: expected end of statement, found access_log\n  SELECT status FRM access_log\n\
             \x20                   ^^^^^^^^^^\nhint: `FRM` may be meant as `FROM`\n",
        ),
        (
            &["SELECT log_templat('a')"],
            1,
            "error: there is no function `log_templat`\n  SELECT log_templat('a')\n         ^^^^^^^^^^^\nhint: did you mean `log_template`",
        ),
        (
            &["SELECT max(time) OVER () m FROM access_log GROUP BY m", COMBINED],
            1,
            "error: a window function cannot be in GROUP BY, WHERE or HAVING\nhint: ",
        ),
        (
            &["SELECT status, rank() OVER (ORDER BY time) FROM access_log GROUP BY status", COMBINED],
            1,
            "error: `time` is neither in GROUP BY nor inside of an aggregate function\n",
        ),
        (&["SELECT 1 / 0"], 1, "error: division by zero\nhint: "),
        (&["SELECT * FROM 'no/such/*.log'"], 1, "error: no file matches 'no/such/*.log'"),
        (&["--no-such-option"], 2, "error: unexpected argument '--no-such-option' found"),
        (&["--format", "xml", "SELECT 1"], 2, "error: unknown output format `xml`"),
        (&["--since", "soon", "SELECT 1"], 2, "error: --since: `soon` is no time\nhint: write `2026-11-21`"),
        (
            &["-i", "combinde", "SELECT 1", COMBINED],
            2,
            "error: unknown format `combinde`\nhint: did you mean `combined` or `bind`?",
        ),
        (&["-m", "lots", "SELECT 1"], 2, "error: --memory-limit: `lots` is no size\nhint: write `512M` or `4G`\n"),
    ];
    for (args, code, err) in cases {
        let got = run(args);
        assert_eq!(got.code, code, "{args:?}: {}", got.err);
        assert!(got.err.starts_with(err), "{args:?}\nexpected {err}\ngot      {}", got.err);
    }
}

#[test]
fn what_is_not_parsed_is_said_and_counts_if_asked() {
    let sql = "SELECT count(*) FROM access_log";
    let said = format!("warning: 1 of 20 lines is not parsed, first {CUT}:1: ");
    let got = run(&["--no-header", sql, CUT]);
    assert_eq!((got.code, got.out.as_str()), (0, "19\n"));
    assert!(got.err.starts_with(&said), "{}", got.err);
    assert_eq!(run(&["-q", sql, CUT]).err, "");
    assert_eq!(run(&["--strict", sql, CUT]).code, 3);
    assert_eq!(run(&["--max-errors", "0", sql, CUT]).code, 3);
    assert_eq!(run(&["--max-errors", "1", sql, CUT]).code, 0);
    let got = run(&[sql, COMBINED, "no-such.log"]);
    assert_eq!(got.code, 3, "a file that was named is missed: {}", got.err);
    assert!(got.err.contains("no-such.log"), "{}", got.err);
}

#[test]
fn alerts_have_a_code_of_their_own() {
    assert_eq!(run(&["--fail-if-rows", "SELECT 1"]).code, 10);
    assert_eq!(run(&["--fail-if-rows", "SELECT 1 WHERE false"]).code, 0);
    assert_eq!(run(&["--fail-if-empty", "SELECT 1 WHERE false"]).code, 10);
}

#[test]
fn a_window_of_time_is_half_open() {
    let count = |args: &[&str]| {
        let sql = "SELECT count(*), min(time), max(time) FROM access_log";
        run(&[&["--no-header", sql, COMBINED][..], args].concat()).out
    };
    let all = count(&[]);
    let (first, last) = {
        let mut parts = all.trim().split('\t').skip(1);
        (parts.next().expect("min").to_owned(), parts.next().expect("max").to_owned())
    };
    assert_eq!(count(&["--since", &first]), all);
    assert!(count(&["--until", &first]).starts_with("0\t"), "{}", count(&["--until", &first]));
    assert_ne!(count(&["--until", &last]), all);
}

#[test]
fn tables_and_formats_are_listed_and_explained() {
    // What is inside of syslog may be anything; the file is listed where its lines belong.
    let got = run(&["tables", "testdata/logs/syslog/traditional.log"]);
    assert!(got.out.contains("syslog records may also hold rows of "), "{}", got.out);
    assert_eq!(got.out.matches("traditional.log").count(), 1, "{}", got.out);
    let got = run(&["tables", COMBINED, "testdata/logs/bind/query_all.log"]);
    assert_eq!(got.code, 0, "{}", got.err);
    assert!(
        got.out.contains("access_log: ") && got.out.contains("dns_log: ") && got.out.contains("query_all.log  bind"),
        "{}",
        got.out
    );
    let got = run(&["format", "list"]);
    assert!(got.out.contains("nginx_error") && got.out.contains("https://"), "{}", got.out);
    assert!(run(&["format", "show", "combined"]).out.contains("[[pattern]]"));
    assert!(run(&["format", "show", "combined", "--program"]).out.contains("accept"));
    let got = run(&["format", "why", "testdata/logs/malformed/three-formats-mixed.log"]);
    assert!(got.out.contains("→ access: ") && got.out.contains("first miss"), "{}", got.out);
    let got = run(&["format", "test"]);
    assert_eq!(got.code, 0, "{}", got.out);
    for command in [&["--help"][..], &["-h"], &["tables", "--help"], &["repl", "--help"], &["format", "why", "--help"]] {
        let got = run(command);
        assert_eq!((got.code, got.err.as_str()), (0, ""), "{command:?}");
        assert!(got.out.contains("Usage: logsql"), "{command:?}");
    }
}

const MINE: &str = r#"
name = "mine"
table = "error_log"
title = "a test"
url = "https://example.org"
[capture]
time = { type = "time", layout = "rfc3339" }
[[pattern]]
name = "mine"
regex = '<(?<time>[^>]+)> (?<level>[A-Z]+) (?<shard>\d+): (?<message>.*)'
[[sample]]
line = "<2026-11-21T00:00:00Z> WARN 7: hello"
pattern = "mine"
expect = { level = "WARN", message = "hello", "fields.shard" = "7" }
"#;

#[test]
fn a_definition_of_ones_own_is_used_and_a_bad_one_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let formats = home.path().join("formats");
    std::fs::create_dir(&formats).expect("made");
    std::fs::write(formats.join("mine.toml"), MINE).expect("written");
    let log = home.path().join("my.log");
    std::fs::write(&log, "<2026-11-21T10:00:00Z> FATAL 3: no more\n<2026-11-21T10:00:01Z> INFO 4: fine\n").expect("written");
    let sql = "SELECT level, fields['shard'] FROM error_log WHERE level = 'FATAL'";
    let args = ["--no-header", "--formats", formats.to_str().expect("UTF-8"), sql, log.to_str().expect("UTF-8")];
    let got = ran(&logsql(home.path()).args(args).output().expect("runs"));
    assert_eq!((got.code, got.out.as_str(), got.err.as_str()), (0, "FATAL\t3\n", ""));

    let bad = home.path().join("bad.toml");
    std::fs::write(&bad, MINE.replace("\"time\", layout", "\"tiem\", layout")).expect("written");
    let got = ran(&logsql(home.path()).args(["format", "test", bad.to_str().expect("UTF-8")]).output().expect("runs"));
    assert_eq!(got.code, 2, "{}", got.err);
    assert!(got.err.contains("bad.toml:7:8: unknown field type `tiem`\nhint: did you mean `time`?"), "{}", got.err);
}

#[test]
fn tables_are_bound_and_formats_forced() {
    let got = run(&["--no-header", "--table", "shop:combined=testdata/logs/rotated/*", "SELECT count(*) FROM shop"]);
    assert_eq!((got.code, got.out.as_str()), (0, "100\n"), "{}", got.err);
    let got = run(&["--no-header", "-i", "nginx_error", "SELECT count(*) FROM error_log", COMBINED]);
    assert_eq!(got.out, "0\n", "a forced format takes no line of another");
    assert!(got.err.contains("not parsed"), "{}", got.err);
}

#[test]
fn what_is_inside_of_other_logs_is_forced_with_and_without_their_heads() {
    let home = tempfile::tempdir().expect("a folder");
    let bodies = [
        "Accepted publickey for deploy from 192.0.2.7 port 11572 ssh2: ED25519 SHA256:01bf40410d878ebb00005269",
        "Invalid user oracle from 198.51.100.3 port 32633",
    ];
    let bare = home.path().join("bare.log");
    std::fs::write(&bare, bodies.map(|body| format!("{body}\n")).concat()).expect("written");
    let whole = home.path().join("whole.log");
    std::fs::write(&whole, bodies.map(|body| format!("Mar  9 00:00:00 web1 sshd[22414]: {body}\n")).concat()).expect("written");
    for (file, host) in [(&bare, ""), (&whole, "web1")] {
        let file = file.to_str().expect("UTF-8");
        let got = run(&[
            "--no-header",
            "--csv",
            "-i",
            "sshd",
            "SELECT action, user_name, client_ip, host FROM auth_log ORDER BY _line",
            file,
        ]);
        assert_eq!(got.out, format!("login,deploy,192.0.2.7,{host}\ninvalid_user,oracle,198.51.100.3,{host}\n"), "{}", got.err);
        assert_eq!(got.err, "", "{file}");
        let got = run(&["--no-header", "-i", "sshd", "SELECT count(*) FROM unparsed", file]);
        assert_eq!(got.out, "0\n", "{file}");
    }
    let got = run(&["format", "why", bare.to_str().expect("UTF-8")]);
    assert!(got.out.contains("2 of 2 lines are messages of `sshd` without a log's head: `-i sshd` reads them"), "{}", got.out);
}

#[test]
fn log_text_does_not_steer_a_terminal() {
    let sql = "SELECT request, user_agent, referer, user_name FROM access_log";
    for file in ["testdata/logs/nginx/combined.log", "testdata/logs/apache/combined.log"] {
        for format in ["table", "markdown", "line"] {
            let got = run(&["--format", format, sql, file]);
            assert!(
                !got.out.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)),
                "{file} {format}"
            );
        }
    }
}

#[test]
fn results_are_drawn_in_characters() {
    let got = run(&["--chart", "bar", THREE, "testdata/logs/rotated/access.log.1"]);
    assert_eq!((got.code, got.err.as_str()), (0, ""));
    let lines: Vec<&str> = got.out.lines().collect();
    assert_eq!(lines[0], "status  hits");
    assert!(lines[1].starts_with("200       17  ████") && lines[2].starts_with("404        3  ██"), "{}", got.out);
    for (args, error) in [
        (
            &["--chart", "pie", "SELECT 1"][..],
            "error: --chart: there is no chart `pie`\nhint: there are bar, line, spark and heatmap\n",
        ),
        (&["--chart", "bar", "--csv", "SELECT 1"][..], "error: --chart draws with characters, and the result is to be csv\n"),
        (&["--chart", "bar", "SELECT 'a' AS a"][..], "error: the result has no column of numbers to draw\nhint: "),
        (&["--chart", "bar y=b", "SELECT 'a' AS a"][..], "error: the result has no column `b` to draw\nhint: columns: a\n"),
    ] {
        let got = run(args);
        assert!(got.code != 0 && got.err.starts_with(error), "{args:?}: {}", got.err);
    }
}

#[test]
fn pseudonyms_hide_addresses_and_names_wherever_they_go() {
    let home = tempfile::tempdir().expect("a folder");
    let log = home.path().join("access.log");
    let lines = [
        "192.0.2.7 - alice [21/Nov/2026:00:00:00 +0000] \"GET /a?from=192.0.2.7 HTTP/1.1\" 200 1 \"-\" \"x\"",
        "192.0.2.9 - bob [21/Nov/2026:00:00:01 +0000] \"GET /b/~bob HTTP/1.1\" 404 2 \"-\" \"mail bob@example.com\"",
        "alice of 192.0.2.7 wrote this by hand",
    ];
    std::fs::write(&log, lines.join("\n") + "\n").expect("written");
    let log = log.to_str().expect("UTF-8");
    let hidden = |args: &[&str]| {
        let mut all = vec!["--anonymize", "--no-header"];
        all.extend(args);
        all.push(log);
        ran(&logsql(home.path()).args(&all).output().expect("runs"))
    };
    let sql = "SELECT client_ip, user_name FROM access_log WHERE client_ip = '192.0.2.7'";
    let (first, again) = (hidden(&[sql]), hidden(&[sql]));
    assert_eq!((first.code, &first.out), (0, &again.out), "{}", first.err);
    assert!(first.out.contains("\tuser-") && first.out.lines().count() == 1, "the filter sees what was logged: {}", first.out);
    for sql in [
        "SELECT * FROM access_log",
        "SELECT _raw, _line FROM access_log",
        "SELECT upper(user_name) AS x, max(client_ip) AS y, count(*) FROM access_log GROUP BY user_name",
        "SELECT concat(user_name, ' of ', client_ip) AS x FROM access_log",
        "SELECT a.u FROM (SELECT user_name AS u FROM access_log) a JOIN (SELECT user_name AS u FROM access_log) b ON a.u = b.u",
        "SELECT user_name FROM access_log UNION ALL SELECT client_ip FROM access_log",
        "SELECT array_agg(user_name), array_agg(client_ip) FROM access_log",
        "SELECT (SELECT max(user_name) FROM access_log) AS x",
        "SELECT user_name, row_number() OVER (ORDER BY client_ip), first_value(client_ip) OVER (ORDER BY time) FROM access_log",
        "SELECT substr(client_ip, 1, 5) AS x FROM access_log",
        "SELECT CASE WHEN status = 200 THEN user_name ELSE 'x' END AS x FROM access_log",
        // Names of the record, inside of other text of it.
        "SELECT url FROM access_log WHERE url LIKE '%bob%'",
        "SELECT url, count(*) AS n FROM access_log GROUP BY 1 ORDER BY 1",
        "SELECT a.path FROM access_log a JOIN access_log b ON a.url = b.url ORDER BY a.path",
        "WITH t AS (SELECT url FROM access_log) SELECT max(url) FROM t UNION ALL SELECT log_template(path) FROM access_log",
        "SELECT CAST(url AS BIGINT) FROM access_log",
        "SELECT * FROM unparsed",
    ] {
        for format in ["--csv", "--json", "--format=table"] {
            let got = hidden(&[format, sql]);
            assert_eq!(got.code, i32::from(sql.contains("BIGINT")), "{sql}: {}", got.err);
            for secret in ["192.0", "alice", "ALICE", "bob", "example.com", "by hand"] {
                let told = format!("{}{}", got.out, got.err.replace(sql, "").replace(log, ""));
                assert!(!told.contains(secret), "{sql} tells {secret}:\n{told}");
            }
        }
    }
    let got = hidden(&["COPY (SELECT * FROM access_log) TO 'x.csv'"]);
    assert!(got.code == 1 && got.err.contains("write with -o FILE"), "{}", got.err);
    let shared = |key: &str| {
        let args = ["--anonymize-key", key, "--no-header", sql, log];
        ran(&logsql(home.path()).args(args).output().expect("runs")).out
    };
    assert!(shared("a") == shared("a") && shared("a") != shared("b") && shared("a") != first.out);
}

#[test]
fn an_interrupt_ends_a_long_query_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let sql = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let child = logsql(home.path()).arg(sql).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    std::thread::sleep(Duration::from_millis(700));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let began = Instant::now();
    let got = ran(&child.wait_with_output().expect("ends"));
    assert_eq!(got.code, 130, "{}", got.err);
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
}

#[test]
fn an_interrupt_ends_what_comes_in_by_a_pipe_and_operators_that_never_pause() {
    let home = tempfile::tempdir().expect("a folder");
    let endless =
        "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 3000000) b WHERE a.value * b.value = 7.5;\n";
    for args in [&["repl"][..], &["-c", endless]] {
        let mut child = logsql(home.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(endless.as_bytes()).expect("written");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
        let began = Instant::now();
        let got = ran(&child.wait_with_output().expect("ends"));
        assert_eq!((got.code, got.err.as_str()), (130, "interrupted\n"), "{args:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
        drop(stdin);
    }
}

#[test]
fn a_file_that_changes_under_the_query_never_ends_the_program() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("access.log");
    let line = "192.0.2.1 - - [21/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"\n";
    for round in 0..20 {
        std::fs::write(&path, line.repeat(60_000)).expect("written");
        // Old enough to be mapped.
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().write(true).open(&path).expect("opens").set_modified(old).expect("set");
        let sql = "SELECT status, client_ip, count(*) FROM access_log GROUP BY 1, 2";
        let mut command = logsql(home.path());
        command.args(["--no-header", "--mmap", "always", sql]).arg(&path);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        std::thread::sleep(Duration::from_millis(40 + round * 5));
        match round % 3 {
            0 => std::fs::File::options().write(true).open(&path).expect("opens").set_len(1000).expect("truncated"),
            1 => std::fs::rename(&path, home.path().join("access.log.1")).expect("renamed"),
            _ => std::fs::write(&path, "x\n".repeat(2_000_000)).expect("written anew"),
        }
        let got = ran(&child.wait_with_output().expect("ends"));
        assert!(got.code == 0 || got.code == 3, "round {round}: {} {}", got.code, got.err);
        // Either nothing, or rows of the old generation only.
        assert!(got.out.is_empty() || got.out.starts_with("200\t192.0.2.1\t"), "round {round}: {}", got.out);
        assert!(got.out.lines().count() <= 1, "round {round}: {}", got.out);
    }
}

#[test]
fn options_are_set_in_files_variables_and_on_the_command_line_in_this_order() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".config/logsql");
    std::fs::create_dir_all(&folder).expect("made");
    let file = folder.join("config.toml");
    let set = |text: &str| std::fs::write(&file, text).expect("written");
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        ran(&logsql(home.path()).envs(variables.iter().copied()).args(args).output().expect("runs"))
    };
    let sql = "SELECT 1 AS a, 'x' AS b";
    set("format = \"csv\"\nno-header = true\n");
    assert_eq!(run(&[], &[sql]).out, "1,x\n");
    assert_eq!(run(&[("LOGSQL_FORMAT", "json")], &[sql]).out, "[\n{\"a\":1,\"b\":\"x\"}\n]\n");
    assert_eq!(run(&[("LOGSQL_FORMAT", "json")], &["--tsv", "--no-header=false", sql]).out, "a\tb\n1\tx\n");
    assert_eq!(run(&[("LOGSQL_NO_HEADER", "0")], &[sql]).out, "a,b\n1,x\n");
    assert_eq!(run(&[], &["--no-config", sql]).out, "a\tb\n1\tx\n");
    let named = home.path().join("named.json");
    run(&[], &["-o", named.to_str().expect("UTF-8"), sql]);
    assert!(
        std::fs::read_to_string(&named).expect("written").starts_with('['),
        "the name of a file that is typed wins over a file of settings"
    );

    let got = run(&[("LOGSQL_TZ", "UTC"), ("LOGSQL_FORMT", "csv")], &["config", "show", "--threads", "1"]);
    let line = |start: &str| got.out.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(line("format = \"csv\"").ends_with("config.toml:1:10"), "{}", got.out);
    assert!(line("tz = \"UTC\"").ends_with("# LOGSQL_TZ"), "{}", got.out);
    assert!(line("threads = 1").ends_with("# command line"), "{}", got.out);
    assert!(line("# memory-limit =").contains("default: 60 %"), "{}", got.out);
    assert!(
        got.err.contains("`LOGSQL_FORMT` is no option's") && got.err.contains("did you mean `LOGSQL_FORMAT`?"),
        "{}",
        got.err
    );
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_with_its_place() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".config/logsql");
    std::fs::create_dir_all(&folder).expect("made");
    let file = folder.join("config.toml");
    let shown = file.display();
    for (text, message, hint) in [
        (
            "tz = 'UTC'\nmemroy-limit = '1G'\n",
            format!("{shown}:2:1: there is no setting `memroy-limit`"),
            "did you mean `memory-limit`?",
        ),
        ("threads = 'two'\n", format!("{shown}:1:11: threads: invalid value 'two': invalid digit found in string"), ""),
        ("color = 'sometimes'\n", format!("{shown}:1:9: color: invalid value 'sometimes'"), "there are auto, always, never"),
        ("\ntz = 'Mars/Base'\n", format!("{shown}:2:6: tz: unknown time zone `Mars/Base`"), "use a name such as"),
        ("format = 'cvs'\n", format!("{shown}:1:10: format: "), "cvs"),
        ("[mail]\nhots = 'x'\n", format!("{shown}:2:1: there is no setting `hots` in [mail]"), "did you mean `host`?"),
        ("tz = \n", format!("{shown}:1:"), ""),
    ] {
        std::fs::write(&file, text).expect("written");
        for args in [&["SELECT 1"][..], &["config", "check"]] {
            let got = ran(&logsql(home.path()).args(args).output().expect("runs"));
            assert!(got.code == 2 && got.err.contains(&message) && got.err.contains(hint), "{text}: {args:?}: {}", got.err);
        }
        let path = ran(&logsql(home.path()).args(["config", "path"]).output().expect("runs"));
        assert_eq!((path.code, path.out.lines().last()), (0, Some(shown.to_string().as_str())));
    }
}

#[test]
fn shells_and_man_get_what_they_read() {
    let home = tempfile::tempdir().expect("a folder");
    for (shell, mark) in [("bash", "complete "), ("zsh", "#compdef logsql"), ("fish", "complete ")] {
        let got = run(&["completions", shell]);
        assert!(got.code == 0 && got.out.contains(mark) && got.out.contains("LOGSQL_COMPLETE"), "{shell}: {}", got.out);
        assert_eq!(run(&["--completions", shell]).out, got.out);
    }
    let asked = |words: &[&str]| {
        let mut command = logsql(home.path());
        command.env("LOGSQL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "false");
        ran(&command.arg("--").args(words).output().expect("runs")).out
    };
    assert!(asked(&["logsql", "report", "slow"]).contains("slowest-urls"));
    assert!(asked(&["logsql", "-i", "comb"]).contains("combined"));
    assert!(asked(&["logsql", "--format", "mark"]).contains("markdown"));
    assert!(asked(&["logsql", "SELECT * FROM acc"]).contains("access_log"));
    assert!(asked(&["logsql", "tables", "Carg"]).contains("Cargo.toml"));
    let man = run(&["man", "report"]);
    assert!(man.code == 0 && man.out.contains(".TH logsql-report 1"), "{}", man.out);
    assert_eq!(run(&["--man-page"]).out, run(&["man"]).out);
    let got = run(&["man", "reprot"]);
    assert!(got.code == 2 && got.err.contains("did you mean `report`?"), "{}", got.err);
    let pages = home.path().join("man1");
    run(&["man", "--dir", pages.to_str().expect("UTF-8")]);
    for page in ["logsql.1", "logsql-report.1", "logsql-format-why.1"] {
        assert!(pages.join(page).is_file(), "{page}");
    }
}

#[test]
fn what_is_known_of_a_large_file_is_kept_listed_and_forgotten() {
    let home = tempfile::tempdir().expect("a folder");
    let log = home.path().join("access.log");
    let line = |i: usize| {
        let (hour, minute, second) = (i / 36_000, i / 600 % 60, i / 10 % 60);
        format!(
            "192.0.2.1 - - [21/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /{i:0140} HTTP/1.1\" 200 1 \"-\" \"curl/8\"\n"
        )
    };
    let mut text: String = (0..180_000).map(line).collect();
    text += "no format takes this line\n";
    assert!(text.len() > 32 << 20);
    std::fs::write(&log, &text).expect("written");
    let log = log.to_str().expect("UTF-8");
    let run = |args: &[&str]| ran(&logsql(home.path()).args(args).output().expect("runs"));
    let count = "SELECT count(*), max(time) FROM access_log";
    let without = run(&["--no-index", count, log]);
    assert_eq!(run(&["index", "--list"]).out, "0 files, index 0 B\n");
    let first = run(&[count, log]);
    assert_eq!((first.code, first.out.as_str()), (0, without.out.as_str()), "{}", first.err);
    let second = run(&["-v", count, log]);
    assert_eq!(second.out, first.out);
    assert!(second.err.contains("known from the index, 180,001 lines, 180,000 records, 1 unparsed"), "{}", second.err);
    assert_eq!(run(&["--strict", count, log]).code, 3, "an unparsed line counts, though it was not read again");
    let hour = "SELECT count(*) FROM access_log WHERE time >= '2026-11-21T02:00:00Z' AND time < '2026-11-21T02:10:00Z'";
    assert!(run(&[&format!("EXPLAIN {hour}"), log]).out.contains("skipped="));
    assert_eq!(run(&["--no-header", hour, log]).out, "6000\n");
    let listed = run(&["index", "--list"]).out;
    assert!(listed.contains("180,000 rows, 2026-11-21T00:00:00Z to 2026-11-21T04:59:59Z") && listed.contains(log), "{listed}");
    assert_eq!(run(&["index", "--remove", log]).out, "forgot what was known of 1 file\n");
    let built = run(&["index", log]);
    assert!(
        built.out.contains("180,000 rows") && built.err.contains("1 of 180,001 lines is not parsed"),
        "{} {}",
        built.out,
        built.err
    );
    assert!(built.out.contains(", values of client_ip, status\n"), "{}", built.out);
    let never = "SELECT path FROM access_log WHERE status >= 500 OR client_ip = '192.0.2.2'";
    let plan = run(&[&format!("EXPLAIN {never}"), log]).out;
    assert!(plan.contains("EmptyExec") || plan.contains("skipped=3 of 3 pieces"), "{plan}");
    let none = run(&["--no-header", "-v", never, log]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{}", none.err);
    // All is known: nothing is read.
    assert!(run(&["-v", "index", log]).err.contains("known from the index"));
    assert_eq!(run(&["index", "--clear"]).out, "forgot what was known of 1 file\n");
    assert_eq!(run(&["index", "--no-index", log]).code, 1);
    // Nowhere to write is no reason to say anything.
    let silent = ran(&logsql(Path::new("/proc")).args([count, log]).output().expect("runs"));
    assert_eq!((silent.code, silent.out, silent.err), (0, first.out, first.err));
}

#[test]
fn new_rows_are_followed_through_a_rotation() {
    let home = tempfile::tempdir().expect("a folder");
    let log = home.path().join("access.log");
    let line = |second: u32, status: u32| {
        format!("192.0.2.7 - - [21/Nov/2026:00:00:{second:02} +0000] \"GET /{second} HTTP/1.1\" {status} 1 \"-\" \"x\"\n")
    };
    let append = |path: &Path, text: &str| {
        let mut file = std::fs::File::options().append(true).create(true).open(path).expect("opens");
        file.write_all(text.as_bytes()).expect("written");
    };
    append(&log, &(line(0, 500) + &line(1, 500) + &line(2, 200) + &line(3, 500)));
    let sql = "SELECT url, _line FROM access_log WHERE status = 500";
    let glob = home.path().join("access.log*");
    let args = ["--csv", "--no-header", "--tail", "2", sql, glob.to_str().expect("UTF-8")];
    let mut child = logsql(home.path()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let mut rows = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || rows.next().expect("a row").expect("text");
    assert_eq!([next(), next()], ["/1,2", "/3,4"]);
    append(&log, &(line(4, 200) + &line(5, 500)));
    assert_eq!(next(), "/5,6");
    // The daemon goes on in the renamed file for a moment, and a line comes in two pieces.
    std::fs::rename(&log, home.path().join("access.log.1")).expect("renamed");
    append(&home.path().join("access.log.1"), &line(6, 500));
    assert_eq!(next(), "/6,7");
    let whole = line(7, 500);
    append(&log, &whole[..20]);
    std::thread::sleep(Duration::from_millis(700));
    append(&log, &(whole[20..].to_owned() + "no request 500\n"));
    assert_eq!(next(), "/7,1");
    // Copied and truncated: what was there is no news.
    std::fs::copy(&log, home.path().join("access.log.2")).expect("copied");
    std::fs::File::options().write(true).open(&log).expect("opens").set_len(0).expect("truncated");
    append(&log, &line(8, 500));
    assert_eq!(next(), "/8,1");
    // SAFETY: a signal to a process that we started and have not waited for.
    unsafe { libc::kill(libc::pid_t::try_from(child.id()).expect("small"), libc::SIGINT) };
    assert!(rows.next().is_none());
    let ended = child.wait_with_output().expect("ended");
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{err}");
    assert!(err.contains("1 new line fits no format"), "{err}");
    for (sql, problem) in [
        ("SELECT status, count(*) FROM access_log GROUP BY 1", "only rows that are one record of a log each can be followed"),
        ("SELECT url FROM access_log LIMIT 3", "LIMIT ends, and what is followed does not"),
        ("SELECT 1 AS one", "only rows that are one record"),
    ] {
        let got = ran(&logsql(home.path()).args(["-F", sql, log.to_str().expect("UTF-8")]).output().expect("runs"));
        assert!(got.code == 1 && got.err.contains(problem), "{sql}: {}", got.err);
    }
}
