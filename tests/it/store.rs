//! `logsql convert`, `logsql collect` and `--store`, as users run them; also killed while they do.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{ran, root};

fn logsql(home: &Path, args: &[&str]) -> Command {
    let mut command = super::logsql(home);
    command.current_dir(home).args(args);
    command
}

fn run(home: &Path, args: &[&str]) -> (i32, String, String) {
    ran(&mut logsql(home, args))
}

fn append(log: &Path, numbers: std::ops::Range<usize>) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(log).expect("opened");
    for number in numbers {
        let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
        let line = format!(
            "192.0.2.1 - - [09/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /{number} HTTP/1.1\" 200 1 \"-\" \"-\""
        );
        writeln!(file, "{line}").expect("written");
    }
}

#[test]
fn what_is_converted_is_queried_by_its_folder() {
    let home = tempfile::tempdir().expect("a folder");
    let logs = root().join("testdata/logs/rotated");
    let logs = format!("{}/*", logs.display());
    let (code, out, err) = run(home.path(), &["convert", &logs, "-o", "archive"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(err.contains("100 rows") && err.contains("100 access_log"), "{err}");
    let sql = "SELECT status, count(*) AS hits, min(_source) AS s FROM access_log GROUP BY 1 ORDER BY 1";
    let (code, out, err) = run(home.path(), &[sql, "archive/"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "status\thits\ts\n200\t86\tstore\n404\t14\tstore\n", ""));
    let (code, _, err) = run(home.path(), &["convert", &logs, "-o", "archive"]);
    assert!(code == 0 && err.contains("nothing new"), "{err}");
    // Beside its store, a log has nothing of its own.
    let (code, out, err) = run(home.path(), &["--store", "archive", "SELECT count(*) AS n FROM access_log", &logs]);
    assert_eq!((code, out.as_str()), (0, "n\n100\n"), "{err}");
    let (code, out, err) = run(home.path(), &["SELECT url, request FROM access_log ORDER BY time, _offset LIMIT 1", "archive"]);
    let (_, expected, _) = run(home.path(), &["SELECT url, request FROM access_log ORDER BY time, _offset LIMIT 1", &logs]);
    assert_eq!((code, out), (0, expected), "{err}");
}

#[test]
fn usage_of_stores_is_checked() {
    let home = tempfile::tempdir().expect("a folder");
    for (args, told) in [
        (vec!["collect"], "needs a folder"),
        (vec!["convert", "x.log"], "needs a folder"),
        (vec!["collect", "--store", "s", "--keep", "soon", "x.log"], "no length of time"),
        (vec!["collect", "--store", "s", "--since", "1h", "x.log"], "takes no --since"),
    ] {
        let (code, _, err) = run(home.path(), &args);
        assert!(code == 2 && err.contains(told), "{args:?}: {err}");
    }
    let (code, _, err) = run(home.path(), &["--store", "nowhere", "SELECT 1"]);
    assert!(code == 2 && err.contains("is no store") && err.contains("hint:"), "{err}");
}

#[test]
fn a_collector_that_is_killed_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let log = home.path().join("access.log");
    let runs = std::env::var("LOGSQL_KILL_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(6);
    let count = |args: &[&str]| {
        let (code, out, err) = run(home.path(), args);
        assert_eq!(code, 0, "{err}");
        out
    };
    let sql = "SELECT count(*) AS n, count(DISTINCT path) AS d FROM access_log";
    append(&log, 0..1000);
    count(&["collect", "-q", "--store", "s", "access.log"]);
    let mut written = 1000;
    for turn in 0..runs {
        append(&log, written..written + 2000);
        written += 2000;
        let mut collector = logsql(home.path(), &["collect", "-q", "--store", "s", "access.log"]).spawn().expect("started");
        std::thread::sleep(Duration::from_millis(turn * 83 % 700));
        collector.kill().expect("killed");
        collector.wait().expect("gone");
        assert_eq!(count(&["--store", "s", sql, "access.log"]), format!("n\td\n{written}\t{written}\n"), "turn {turn}");
    }
    count(&["collect", "-q", "--store", "s", "access.log"]);
    assert_eq!(count(&[sql, "s"]), format!("n\td\n{written}\t{written}\n"));
}
