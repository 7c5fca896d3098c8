//! Definitions that are proposed for logs of no known format: their samples pass, and they read the log.

use std::path::Path;

use super::ran;

/// Logs of our own making, each of a form that no built-in format takes.
fn logs() -> Vec<(&'static str, String)> {
    let levels = ["INFO", "WARN", "ERROR"];
    let several = |line: &dyn Fn(usize) -> String| (0..60).map(|n| line(n) + "\n").collect::<String>();
    vec![
        (
            "orders",
            several(&|n| {
                let message = match n % 3 {
                    0 => format!("order {} of customer {} was shipped", n * 7, n + 100),
                    1 => format!("payment of {} refused by 192.0.2.{n}", n * 3),
                    _ => "nothing to do for now".to_owned(),
                };
                format!("~ 2026/11/21 00:{:02}:{:02} <{}> {{shop}} {message}", n / 60, n % 60, levels[n % 3])
            }),
        ),
        (
            "rows",
            several(&|n| format!("21-Nov-2026 00:55:{n:02}.123|node{}|192.0.2.{n} @@ {} bytes in {}us", n % 4, n * 10, n * 3)),
        ),
        ("pairs", several(&|n| format!("!21/Nov/2026:00:55:{n:02} +0100! act=login who=user{n} from=192.0.2.{n} took={n}ms"))),
        (
            "traces",
            several(&|n| {
                let head = format!("[[2026.11.21 00:55:{n:02}]] ## {} ## worker-{} ## ", levels[n % 3], n % 5);
                if n % 10 == 0 {
                    format!("{head}job {n} failed\n    caused by 'quota''s end'\n    at step {n}")
                } else {
                    format!("{head}job {n} done")
                }
            }),
        ),
        ("words", several(&|n| format!("%% {} it's {{strange}} and has [no] (stamp) $^.*+?|\\ {n}", levels[n % 3]))),
        (
            "workers",
            several(&|n| {
                let message = match n % 4 {
                    0 => "cache cleared".to_owned(),
                    3 => format!("job={n} failed\n    at step {n}"),
                    _ => format!("job={n} queue={} took {n}ms", ["mail", "thumbs"][n % 2]),
                };
                format!("[worker-{}] 2026/11/20 14:03:{n:02}.120 ({}) {message}", n % 5, levels[n % 3])
            }),
        ),
        ("one", "?? a single line \u{2713}\n".to_owned()),
    ]
}

fn logsql(home: &Path, args: &[&str]) -> (i32, String, String) {
    ran(super::logsql(home).args(args))
}

#[test]
fn a_proposed_definition_passes_its_samples_and_reads_the_log() {
    let home = tempfile::tempdir().expect("a folder");
    let formats = home.path().join("formats");
    std::fs::create_dir(&formats).expect("made");
    let mut wrong = String::new();
    for (name, log) in logs() {
        let path = home.path().join(format!("{name}.log"));
        std::fs::write(&path, &log).expect("written");
        let (path, definition) = (path.display().to_string(), formats.join(format!("{name}.toml")).display().to_string());
        let (code, _, err) = logsql(home.path(), &["format", "new", &path, "-o", &definition]);
        let text = std::fs::read_to_string(&definition).unwrap_or_default();
        if code != 0 {
            wrong += &format!("{name}: {code} {err}\n");
            continue;
        }
        let (code, out, err) = logsql(home.path(), &["format", "test", &definition]);
        if code != 0 {
            wrong += &format!("{name}: {out}{err}\n{text}\n");
            let _ = std::fs::remove_file(&definition);
            continue;
        }
        let sql = "SELECT count(*) AS records, (SELECT count(*) FROM unparsed) AS others FROM app_log";
        let (code, out, err) = logsql(home.path(), &["--no-header", "--formats", &formats.display().to_string(), sql, &path]);
        let records = log.lines().filter(|line| !line.starts_with("    ")).count();
        if code != 0 || out != format!("{records}\t0\n") {
            wrong += &format!("{name}: {code} {out}{err}\n{text}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let read_of = |log: &str, sql: &str| {
        let path = home.path().join(format!("{log}.log")).display().to_string();
        logsql(home.path(), &["--no-header", "--formats", &formats.display().to_string(), sql, &path]).1
    };
    let read = |sql: &str| read_of("orders", sql);
    let workers = "SELECT count(DISTINCT thread), count(fields['job']), count(fields['queue']), count(stack) FROM app_log";
    assert_eq!(read_of("workers", workers), "5\t45\t30\t15\n");
    assert_eq!(read_of("traces", "SELECT count(stack) FROM app_log"), "6\n");
    assert_eq!(read("SELECT time, level FROM app_log ORDER BY time LIMIT 1"), "2026-11-21T00:00:00Z\tINFO\n");
    assert_eq!(read("SELECT count(client_ip), count(fields['number']) FROM app_log"), "20\t40\n");
}

#[test]
fn what_is_known_needs_no_proposal() {
    let home = tempfile::tempdir().expect("a folder");
    let (code, _, err) = logsql(home.path(), &["format", "new", "testdata/logs/nginx/error.log"]);
    assert!(code == 1 && err.contains("there is no line that no format takes") && err.contains("format why"), "{code} {err}");
    let (code, _, err) = logsql(home.path(), &["format", "new", "Cargo.toml", "--feeds", "ap_log"]);
    assert!(code == 2 && err.contains("did you mean `app_log`?"), "{err}");
}
