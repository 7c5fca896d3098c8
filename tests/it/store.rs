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

/// One request of a server; whether it failed follows from its number.
fn request(server: u32, second: i64, number: usize) -> String {
    let time = jiff::Timestamp::from_second(second).expect("a time").strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    let status = if number.is_multiple_of(7) { 500 } else { 200 };
    format!("10.0.{server}.{} - - [{time}] \"GET /{server}/{number} HTTP/1.1\" {status} {number} \"-\" \"-\"\n", number % 200)
}

/// So many of them, each `step` seconds behind the one before; their times and numbers go to `all`.
fn requests(all: &mut Vec<(i64, usize)>, server: u32, from: i64, count: i64, step: i64) -> String {
    let mut text = String::new();
    for second in (0..count).map(|at| from + at * step) {
        all.push((second, all.len() + 1));
        text += &request(server, second, all.len());
    }
    text
}

fn packed(kind: &str, bytes: &[u8]) -> Vec<u8> {
    match kind {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
            encoder.write_all(bytes).expect("packed");
            encoder.finish().expect("packed")
        }
        "zst" => zstd::encode_all(bytes, 3).expect("packed"),
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(vec![], 1);
            encoder.write_all(bytes).expect("packed");
            encoder.finish().expect("packed")
        }
        _ => bytes.to_vec(),
    }
}

fn archive(members: &[(String, Vec<u8>)], is_zip: bool) -> Vec<u8> {
    if is_zip {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
        for (name, bytes) in members {
            let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file(name.as_str(), stored).expect("begun");
            zip.write_all(bytes).expect("written");
        }
        return zip.finish().expect("packed").into_inner();
    }
    let mut tar = tar::Builder::new(vec![]);
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).expect("written");
    }
    tar.into_inner().expect("packed")
}

/// What an administrator has: the last year in archives as each server's rotation has left them, and logs that are rotated, each in
/// its own way, while they are collected.
#[test]
fn a_year_of_archives_and_nights_of_rotation_add_up() {
    const DAY: i64 = 86_400;
    let home = tempfile::tempdir().expect("a folder");
    let path = |name: &str| home.path().join(name);
    // The year ends where the nights begin.
    let first_night = 1_794_355_200;
    let mut all: Vec<(i64, usize)> = vec![];
    fs::create_dir(path("past")).expect("made");
    for (server, (outer, inner)) in (1..).zip([("gz", "gz"), ("zst", ""), ("zip", "xz")]) {
        for month in 0..12 {
            let begin = first_night - (12 - month) * 30 * DAY;
            let weeks = (0..4).map(|week| {
                let text = requests(&mut all, server, begin + week * 7 * DAY, 40, 14_000);
                (format!("var/log/access.log.{week}"), packed(if week % 2 == 0 { inner } else { "" }, text.as_bytes()))
            });
            let weeks: Vec<_> = weeks.collect();
            let bytes = archive(&weeks, outer == "zip");
            fs::write(path(&format!("past/{server}-{month:02}.{outer}")), packed(outer, &bytes)).expect("written");
        }
    }
    let (code, _, err) = run(home.path(), &["convert", "past/*", "-o", "s"]);
    assert!(code == 0 && err.contains("5,760 access_log"), "{err}");
    let append = |name: &str, text: &str| {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(path(name)).expect("opened");
        log.write_all(text.as_bytes()).expect("written");
    };
    for night in 0..5 {
        let evening = first_night + night * DAY;
        for server in 1..=3 {
            let log = format!("{server}.log");
            append(&log, &requests(&mut all, server, evening, 60, 700));
            let older = path(&format!("{server}.log.1"));
            match server {
                // By its name; the one before is packed.
                1 => {
                    if let Ok(bytes) = fs::read(&older) {
                        fs::write(path(&format!("1.log.{}.gz", 9 - night)), packed("gz", &bytes)).expect("written");
                    }
                    fs::rename(path(&log), &older).expect("renamed");
                }
                // Copied and truncated.
                2 => {
                    fs::copy(path(&log), path(&format!("2.log-{night}"))).expect("copied");
                    fs::write(path(&log), "").expect("truncated");
                }
                // Every other night; what was there is gone.
                _ if night % 2 == 1 => fs::rename(path(&log), &older).expect("renamed"),
                _ => {}
            }
            append(&log, &requests(&mut all, server, evening + 60 * 700, 20, 700));
        }
        let (code, _, err) = run(home.path(), &["collect", "-q", "--store", "s", "*.log*"]);
        assert_eq!(code, 0, "night {night}: {err}");
        // These are not collected yet.
        for server in 1..=3 {
            append(&format!("{server}.log"), &requests(&mut all, server, evening + DAY - 400, 30, 10));
        }
        let now = evening + DAY - 100;
        let (month, minutes) = (now - 30 * DAY, now - 300);
        let expected = [
            all.len(),
            all.iter().filter(|(_, number)| number.is_multiple_of(7)).count(),
            all.iter().filter(|(second, _)| *second >= month).count(),
            all.iter().filter(|(second, _)| *second >= minutes).count(),
            all.iter().map(|(_, number)| number).sum(),
        ];
        let time = |second: i64| jiff::Timestamp::from_second(second).expect("a time");
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE status = 500), count(*) FILTER (WHERE time >= '{}'), \
             (SELECT count(*) FROM access_log WHERE time >= '{}') AS minutes, sum(bytes) FROM access_log",
            time(month),
            time(minutes)
        );
        let (code, out, err) = run(home.path(), &["--no-header", "--store", "s", &sql, "*.log*"]);
        assert_eq!((code, out.trim_end()), (0, expected.map(|n| n.to_string()).join("\t").as_str()), "night {night}: {err}");
    }
}
