//! Saved queries and reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use logsql::query::{Clock, Library};
use logsql::session::Session;
use tempfile::TempDir;

use super::{READINGS, logsql, ran, root, session};

/// Kernel messages of the kinds that the two queries look for; testdata has no broken disk.
const KERNEL: &str = "\
Nov 21 00:55:04 web1 kernel: [12.5] EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0
Nov 21 00:55:05 web1 kernel: [13.0] Out of memory: Killed process 4711 (java) total-vm:4194304kB
";

/// A folder with one log per built-in pattern, of the samples that its definition is tested with.
fn samples() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("kernel.log"), KERNEL).expect("written");
    let mut by_pattern: BTreeMap<String, String> = BTreeMap::new();
    let catalog = logsql::kernel::format::Catalog::builtin();
    for format in catalog.formats() {
        for sample in format.samples() {
            let name = format!("{}-{}", format.name, sample.pattern.as_deref().unwrap_or("none"));
            let text = by_pattern.entry(name).or_default();
            *text += sample.line.trim_end_matches('\n');
            text.push('\n');
        }
    }
    for (pattern, text) in by_pattern {
        std::fs::write(folder.path().join(format!("{pattern}.log")), text).expect("written");
    }
    folder
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

/// The number of rows of each query that is wanted.
fn rows(session: &Session, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, usize> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let clock = Clock { now: Timestamp::now(), zone: TimeZone::UTC };
    let library = Library::load(None).expect("loaded");
    let mut found = BTreeMap::new();
    for query in library.queries().iter().filter(|query| wanted(&query.name)) {
        let rows = runtime.block_on(async {
            let statement = query.statement().expect("is right");
            let values = query.bind(&[], &clock).expect("has defaults");
            let mut answer = session.run_bound(statement, values).await.unwrap_or_else(|error| panic!("{}: {error}", query.name));
            if let Some(chart) = &query.chart {
                let schema = answer.rows.schema();
                for column in chart.x.iter().chain(&chart.y) {
                    assert!(schema.column_with_name(column).is_some(), "{}: there is no column `{column}`", query.name);
                }
            }
            let mut rows = 0;
            while let Some(batch) = answer.rows.next().await {
                rows += batch.unwrap_or_else(|error| panic!("{}: {error}", query.name)).num_rows();
            }
            rows
        });
        found.insert(query.name.clone(), rows);
    }
    found
}

#[test]
fn every_saved_query_has_rows_where_there_are_logs_for_it() {
    let mut logs = vec![];
    files(&root().join("testdata/logs"), &mut logs);
    let over_testdata = rows(&session(logs, READINGS[1]), |_| true);
    let without: Vec<&str> = over_testdata.iter().filter(|(_, rows)| **rows == 0).map(|(name, _)| name.as_str()).collect();
    assert!(over_testdata.len() - without.len() >= 40, "{without:?}");
    let folder = samples();
    let mut logs = vec![];
    files(folder.path(), &mut logs);
    let over_samples = rows(&session(logs, READINGS[1]), |name| without.contains(&name));
    let empty: Vec<&String> = over_samples.iter().filter(|(_, rows)| **rows == 0).map(|(name, _)| name).collect();
    assert_eq!(empty, [] as [&String; 0], "no rows in testdata, nor in samples");
}

fn report(home: &Path, args: &[&str]) -> (i32, String, String) {
    ran(logsql(home).arg("report").args(args))
}

const COMBINED: &str = "testdata/logs/nginx/combined.log";

#[test]
fn a_query_is_run_by_its_name_with_parameters_before_the_paths() {
    let home = tempfile::tempdir().expect("a folder");
    let (code, out, err) = report(home.path(), &["not-found", "--param", "top=1", COMBINED, "--csv"]);
    assert_eq!((code, out.lines().count(), err.as_str()), (0, 2, ""), "{out}");
    assert!(out.starts_with("path,hits,clients,latest\n"), "{out}");
    for (args, code, error) in [
        (vec!["not-fuond", COMBINED], 2, "error: there is no saved query `not-fuond`\nhint: did you mean `not-found`?\n"),
        (vec!["not-found", "--param", "tpo=1", COMBINED], 2, "error: there is no parameter `tpo`\nhint: there is `top`\n"),
        (vec!["not-found", "--param", "top", COMBINED], 2, "error: `top` has no value\nhint: write `--param NAME=VALUE`\n"),
        (
            vec!["not-found", "--param", "top=1; DROP TABLE x", COMBINED],
            2,
            "error: the parameter `top` cannot be `1; DROP TABLE x`\nhint: it is a whole number\n",
        ),
        (vec![COMBINED], 2, "error: name a saved query, or a topic\nhint: `logsql report --list` lists them\n"),
    ] {
        let got = report(home.path(), &args);
        assert_eq!((got.0, got.2.as_str()), (code, error), "{args:?}");
    }
}

#[test]
fn a_query_of_ones_own_is_listed_shown_and_wins_and_a_broken_one_says_where() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".config/logsql/queries");
    std::fs::create_dir_all(&folder).expect("made");
    let mine = "-- description: mine\n-- param: what text = 'it''s'\nSELECT $what AS what\n";
    std::fs::write(folder.join("methods.sql"), mine).expect("written");
    std::fs::write(folder.join("broken.sql"), "-- description: x\nSELECT 1 FORM y z").expect("written");
    assert_eq!(report(home.path(), &["methods"]).1, "what\nit's\n");
    // A value is a value, whatever it looks like.
    assert_eq!(report(home.path(), &["methods", "-p", "what=' OR 1=1; --"]).1, "what\n' OR 1=1; --\n");
    let (_, list, _) = report(home.path(), &["--list"]);
    assert!(list.contains("  methods ") && list.contains("mine [what=it's]") && list.contains("\nweb\n"), "{list}");
    assert!(report(home.path(), &["--show", "methods"]).1.ends_with(mine));
    let (code, _, err) = report(home.path(), &["broken"]);
    assert!(code == 2 && err.contains("broken.sql:2:") && err.contains("the SQL does not parse"), "{err}");
}

#[test]
fn an_edited_query_is_checked() {
    let home = tempfile::tempdir().expect("a folder");
    let edit = |editor: &str| {
        let (code, _, err) = ran(logsql(home.path()).env("EDITOR", editor).args(["report", "--edit", "methods"]));
        (Some(code), err)
    };
    let (code, err) = edit("true");
    assert!(code == Some(0) && err.contains("run it with `logsql report methods`"), "{err}");
    let path = home.path().join(".config/logsql/queries/methods.sql");
    assert_eq!(std::fs::read(&path).expect("copied"), std::fs::read(root().join("queries/methods.sql")).expect("shipped"));
    let (code, err) = edit("sed -i s/SELECT/SELEKT/");
    assert!(code == Some(2) && err.contains("methods.sql:6:"), "{err}");
    assert_eq!(edit("false").0, Some(1));
}

/// What attackers write into logs: markup, ends of tags and attributes, controls, bidirectional overrides.
const HOSTILE: &str = "\
192.0.2.7 - - [21/Nov/2026:00:55:04 +0000] \"GET /<script>alert(1)</script>?\u{202e}x HTTP/1.1\" 404 12 \"https://x.example/'><img/src=x onerror=alert(2)>\" \"</title></svg></pre><script>alert(3)</script>\u{1b}]52;c;AA\u{7} &amp;\"
192.0.2.7 - - [21/Nov/2026:00:55:05 +0000] \"GET /]]>--><b>&lt; HTTP/1.1\" 500 12 \"javascript:alert(4)\" \"bot \u{200b}\u{2066}\"
";

#[test]
fn a_page_is_whole_and_harmless_whatever_a_log_holds() {
    let home = tempfile::tempdir().expect("a folder");
    let log = home.path().join("<b>&\".log");
    std::fs::write(&log, HOSTILE).expect("written");
    let page = home.path().join("report.html");
    let page_name = page.to_str().expect("UTF-8");
    let title = "<script>title</script>";
    let args = ["web", "security", "logs", "--title", title, "-o", page_name, log.to_str().expect("UTF-8")];
    let (code, out, err) = report(home.path(), &args);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let html = std::fs::read_to_string(&page).expect("written");
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;?\\u{202e}x"), "what was logged is seen");
    assert!(html.contains("<title>&lt;script&gt;title"));
    // Every tag is one of ours, so none is of the log; and nothing is fetched or run.
    // The one script is ours, at the end, and allowed by its hash alone.
    let (html, script) = html.split_once("<script>// A click on the name of a column").expect("it sorts");
    assert!(html.contains("; script-src 'sha256-") && script.matches("</script>").count() == 1, "{script}");
    let tags: std::collections::BTreeSet<&str> = html
        .split('<')
        .skip(1)
        .map(|rest| {
            rest.trim_start_matches('/').split(|c: char| !(c.is_ascii_alphanumeric() || c == '!')).next().unwrap_or_default()
        })
        .collect();
    let ours = [
        "!doctype", "a", "body", "br", "details", "footer", "h1", "h2", "head", "header", "html", "li", "line", "main", "meta",
        "nav", "p", "polyline", "pre", "rect", "section", "style", "summary", "svg", "table", "tbody", "td", "text", "th",
        "thead", "title", "tr", "ul", "div",
    ];
    assert!(tags.iter().all(|tag| ours.contains(tag)), "{tags:?}");
    for bad in ["<script", "src=", "href=\"http", "\u{1b}", "\u{202e}", "\u{2066}", "\u{200b}", "\u{7}"] {
        let inside_text = bad == "src=";
        assert!(!html.contains(bad) || (inside_text && !html.contains("<img")), "{bad:?}");
    }
    // The Markdown and the JSON of the same.
    let (_, markdown, _) = report(home.path(), &["web", "--format", "markdown", log.to_str().expect("UTF-8")]);
    assert!(markdown.contains("&lt;script>alert(1)") && !markdown.contains("<script>") && !markdown.contains('\u{1b}'));
    let (_, json, _) = report(home.path(), &["web", "--format", "json", log.to_str().expect("UTF-8")]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let names = json["queries"].as_array().expect("queries").len();
    assert!(names >= 20 && json["files"][0]["lines"] == 2, "{names}");
}

#[test]
fn a_query_that_fails_is_a_section_and_an_exit_code() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".config/logsql/queries");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("failing.sql"), "-- description: fails\nSELECT nothing FROM access_log").expect("written");
    let (code, html, err) = report(home.path(), &["failing", "methods", "--format", "html", COMBINED]);
    assert_eq!(code, 1);
    assert!(err.contains("failing: there is no column `nothing`"), "{err}");
    assert!(html.contains("class=\"alarm\">there is no column `nothing`") && html.contains("<h2>Requests by method"), "{html}");
    let (code, html, _) = report(home.path(), &["mail-queue", "--format", "html", COMBINED]);
    assert!(code == 0 && html.contains("No file feeds mail_log."), "{html}");
}

/// A browser that can run without a screen: the one that `LOGSQL_CHROMIUM` names, or one that is there.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("LOGSQL_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "google-chrome", "chromium-browser", "chrome"];
    let mut found = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    named.or_else(|| found.find(|path| path.is_file()))
}

/// Where there is a browser, it is asked: nothing of a hostile log is markup or runs, on a telephone and on a desk.
#[test]
fn a_browser_shows_a_page_of_hostile_lines_as_text() {
    let Some(browser) = browser() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let evil = "</td></svg><script>document.title='owned'</script><img/src=x onerror=document.title='owned'>\u{202e}";
    let log = home.path().join("access.log");
    let line = |hour: u8| {
        format!("192.0.2.{hour} - - [21/Nov/2026:{hour:02}:00:00 +0000] \"GET /{evil} HTTP/1.1\" 404 1 \"-\" \"{evil}\"\n")
    };
    std::fs::write(&log, (0..20).map(line).collect::<String>()).expect("written");
    let page = home.path().join("report.html");
    let (log, page) = (log.to_str().expect("UTF-8"), page.to_str().expect("UTF-8"));
    let (code, _, err) = report(home.path(), &["web", log, "-o", page]);
    assert_eq!(code, 0, "{err}");
    for size in ["390,844", "1280,900"] {
        let picture = home.path().join(format!("{size}.png"));
        let run = |job: &str| {
            let mut command = Command::new(&browser);
            command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=1000"]);
            command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
            let output =
                command.arg(format!("--window-size={size}")).arg(job).arg(format!("file://{page}")).output().expect("runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let dom = run("--dump-dom");
        assert!(dom.contains("<h1>") && dom.contains("</html>"), "{dom}");
        assert!(dom.contains("<title>Log report</title>"), "the title was changed");
        // The page lets its own script run, which is known by its hash.
        assert!(dom.contains("<th scope=\"col\" tabindex=\"0\">"), "no table can be sorted at {size}");
        let (dom, _) = dom.split_once("<script>// A click on the name of a column").expect("our script");
        for tag in ["<script", "<img", "<iframe", "<link"] {
            assert!(!dom.contains(tag), "{tag} at {size}");
        }
        assert!(dom.contains("&lt;script&gt;document.title='owned'&lt;/script&gt;"), "it is shown as text");
        run(&format!("--screenshot={}", picture.display()));
        let bytes = std::fs::metadata(&picture).expect("a picture").len();
        assert!(bytes > 10_000, "an empty page at {size}: {bytes} bytes");
    }
}
