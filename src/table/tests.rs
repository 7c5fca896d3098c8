//! The tables as a session sees them, over real logs.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;

use super::catalog::{Binding, CATALOG, LogCatalog, LogSchema, SCHEMA};
use super::*;
use crate::kernel::format::Catalog;
use crate::source::Severity;

/// The logs of the real daemons.
fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/logs")
}

fn log(name: &str) -> InputSpec {
    InputSpec::Args(vec![logs().join(name).into_os_string()])
}

fn builtin() -> Formats {
    Formats { catalog: Arc::new(Catalog::builtin()), configured: vec![] }
}

struct Session {
    context: SessionContext,
    schema: Arc<LogSchema>,
}

impl Session {
    fn new(inputs: InputSpec, options: ScanOptions, partitions: usize) -> Self {
        let shared = Arc::new(ScanContext::new(Box::new(builtin), options));
        let schema = Arc::new(LogSchema::try_new(Arc::clone(&shared), inputs, None).unwrap());
        let config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false);
        let factories = factory::factories(&shared).into_iter().collect();
        let state =
            SessionStateBuilder::new().with_default_features().with_config(config).with_table_factories(factories).build();
        let context = SessionContext::new_with_state(state);
        context.register_catalog(CATALOG, Arc::new(LogCatalog::new(Arc::clone(&schema))));
        Self { context, schema }
    }

    fn over(name: &str) -> Self {
        Self::new(log(name), ScanOptions::default(), 2)
    }

    fn report(&self) -> Vec<FileReport> {
        self.schema.context().report.current()
    }

    async fn query(&self, sql: &str) -> DfResult<Vec<RecordBatch>> {
        self.schema.context().report.begin_query();
        let state = self.context.state();
        let mut statement = state.sql_to_statement(sql, &datafusion::config::Dialect::Generic)?;
        let defs = self.schema.log_tables(&state.resolve_table_references(&statement)?).await;
        star::hide_meta(&mut statement, &|name| defs.get(name).copied());
        let plan = state.statement_to_plan(statement).await?;
        self.context.execute_logical_plan(plan).await?.collect().await
    }

    /// Each row as text.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<_> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
                rows.push(values.join("|"));
            }
        }
        rows
    }

    async fn plan(&self, sql: &str) -> String {
        let rows = self.query(&format!("EXPLAIN FORMAT INDENT {sql}")).await.unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        text.split_once("physical_plan").unwrap().1.to_owned()
    }

    async fn error(&self, sql: &str) -> TableError {
        let error = self.query(sql).await.expect_err(sql);
        match error.find_root() {
            DataFusionError::External(inner) => {
                let text = inner.to_string();
                match error {
                    DataFusionError::External(inner) => *inner.downcast::<TableError>().expect(&text),
                    other => panic!("{sql}: {other}"),
                }
            }
            other => panic!("{sql}: {other}"),
        }
    }
}

/// A folder with files of its own.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

const ACCESS: &str = "192.0.2.1 - - [21/Nov/2026:00:55:04 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";

fn access_lines(count: usize) -> Vec<u8> {
    let line = |i: usize| ACCESS.replace("/a ", &format!("/{i} ")).replace(" 200 ", &format!(" {} ", 200 + i % 4));
    (0..count).map(line).collect::<String>().into_bytes()
}

#[tokio::test]
async fn the_filter_and_the_projection_are_inside_the_scan() {
    let session = Session::over("nginx/combined.log");
    let plan = session.plan("SELECT client_ip FROM access_log WHERE status >= 400").await;
    assert!(!plan.contains("FilterExec"), "{plan}");
    assert!(!plan.contains("ProjectionExec"), "{plan}");
    assert!(plan.contains("projection=[client_ip]"), "{plan}");
    assert!(plan.contains("file_type=log, table=access_log, formats=["), "{plan}");
    assert!(plan.contains("predicate=status@12 >= 400"), "{plan}");
    let volatile = session.plan("SELECT client_ip FROM access_log WHERE random() < 2 AND status = 404").await;
    assert!(volatile.contains("FilterExec: random() < 2"), "{volatile}");
    assert!(volatile.contains("predicate=status@12 = 404"), "{volatile}");
}

#[tokio::test]
async fn a_limit_reaches_the_scan_and_count_reads_no_column() {
    let session = Session::over("nginx/combined.log");
    let plan = session.plan("SELECT url FROM access_log LIMIT 3").await;
    assert!(plan.contains("limit=3"), "{plan}");
    let plan = session.plan("SELECT url FROM access_log WHERE status = 404 LIMIT 3").await;
    assert!(plan.contains("limit=3") && !plan.contains("FilterExec"), "{plan}");
    let plan = session.plan("SELECT count(*) FROM access_log").await;
    let scan = plan.lines().find(|line| line.contains("DataSourceExec")).unwrap();
    assert!(!scan.contains("projection"), "{scan}");
    let counted = session.rows("SELECT count(*) FROM access_log").await;
    let rows = session.rows("SELECT url FROM access_log").await;
    assert_eq!(counted, [rows.len().to_string()]);
}

#[tokio::test]
async fn the_threshold_of_a_top_k_reaches_the_scan_and_changes_no_row() {
    let session = Session::over("nginx/combined.log");
    let plan = session.plan("SELECT url, bytes FROM access_log ORDER BY bytes DESC, url LIMIT 3").await;
    assert!(plan.contains("dynamic=DynamicFilter"), "{plan}");
    let top = session.rows("SELECT url, bytes FROM access_log ORDER BY bytes DESC, url LIMIT 3").await;
    let all = session.rows("SELECT url, bytes FROM access_log ORDER BY bytes DESC, url").await;
    assert_eq!(top, all[..3]);
}

/// Queries whose rows have to be the same however the files are cut, and in however many partitions they are read.
const INVARIANT: &[&str] = &[
    "SELECT * , _file, _line, _offset, _format, _raw FROM access_log ORDER BY _file, _offset",
    "SELECT *, _file, _line, _offset FROM error_log ORDER BY _file, _offset",
    "SELECT *, _file, _line, _offset FROM dns_log ORDER BY _file, _offset",
    "SELECT *, _file, _line, _offset FROM syslog ORDER BY _file, _offset",
    "SELECT * FROM unparsed ORDER BY _file, _offset",
    "SELECT status, count(*), sum(bytes) FROM access_log GROUP BY 1 ORDER BY 1",
    "SELECT _line, url FROM access_log WHERE status >= 400 AND url LIKE '%a%' ORDER BY _file, _line",
    "SELECT count(*) FROM syslog WHERE message LIKE '%query%'",
    "SELECT a.status, count(*) FROM access_log a JOIN error_log e ON a.client_ip = e.client_ip GROUP BY 1 ORDER BY 1",
];

#[tokio::test]
async fn rows_are_the_same_for_any_number_of_partitions_and_any_size_of_pieces() {
    let folders = ["nginx/*", "apache/*", "bind/*", "dnsmasq/*", "unbound/*", "syslog/*", "rotated/*", "malformed/*"];
    for folder in folders {
        let whole = Session::new(log(folder), ScanOptions::default(), 1);
        let cut = [(7, 16 << 20), (2, 997)].map(|(partitions, piece_bytes)| {
            let options = ScanOptions { piece_bytes, step_bytes: 512, ..ScanOptions::default() };
            (piece_bytes, Session::new(log(folder), options, partitions))
        });
        for sql in INVARIANT {
            let expected = whole.rows(sql).await;
            for (piece_bytes, session) in &cut {
                let rows = session.rows(sql).await;
                let differs = rows.iter().zip(&expected).position(|(a, b)| a != b);
                if let Some(at) = differs {
                    panic!("{folder}, {piece_bytes}: {sql}\n  whole: {}\n  cut:   {}", expected[at], rows[at]);
                }
                assert_eq!(rows.len(), expected.len(), "{folder}, {piece_bytes}: {sql}");
            }
        }
    }
}

#[tokio::test]
async fn every_line_has_its_place_whatever_the_plan() {
    let plans = [
        "SELECT * FROM access_log",
        "SELECT count(*) FROM access_log",
        "SELECT url FROM access_log WHERE status = 404",
        "SELECT count(*) FROM error_log",
        "SELECT time, message FROM syslog WHERE program = 'sshd'",
        "SELECT count(*) FROM dns_log",
        "SELECT * FROM unparsed",
    ];
    for piece_bytes in [16 << 20, 1000] {
        let options = ScanOptions { piece_bytes, ..ScanOptions::default() };
        let session = Session::new(log("*/*"), options, 2);
        let mut lines: std::collections::HashMap<PathBuf, u64> = std::collections::HashMap::new();
        for sql in plans {
            session.rows(sql).await;
            for file in session.report() {
                assert!(file.counts.balanced(), "{piece_bytes}: {sql}: {file:?}");
                if file.status == FileStatus::Read {
                    let known = *lines.entry(file.path.clone()).or_insert(file.counts.lines);
                    assert_eq!(known, file.counts.lines, "{piece_bytes}: {sql}: {}", file.path.display());
                }
            }
        }
        assert!(lines.len() > 40, "{}", lines.len());
    }
}

#[tokio::test]
async fn the_star_does_not_show_meta_columns_and_names_do() {
    let session = Session::over("nginx/combined.log");
    let all = session.query("SELECT * FROM access_log LIMIT 1").await.unwrap();
    assert!(all[0].schema().fields().iter().all(|field| !field.name().starts_with('_')));
    let named = session.rows("SELECT _line, _format FROM access_log ORDER BY _line LIMIT 2").await;
    assert_eq!(named.len(), 2);
    assert!(named[0].starts_with("1|"), "{named:?}");
    // Through joins, too: DataFusion's own planner has to take what the rewriting made.
    for sql in [
        "SELECT * FROM access_log a, access_log b LIMIT 1",
        "SELECT * FROM access_log a JOIN access_log b USING (time, url) LIMIT 1",
        "SELECT * FROM access_log a RIGHT JOIN (SELECT 404 AS status) s USING (status) LIMIT 1",
        "SELECT * FROM access_log NATURAL JOIN error_log LIMIT 1",
        "SELECT * FROM access_log NATURAL JOIN (SELECT 404 AS status) LIMIT 1",
        "SELECT * FROM access_log LEFT ANTI JOIN error_log USING (client_ip) LIMIT 1",
        "WITH access_log AS (SELECT * FROM access_log) SELECT * FROM access_log LIMIT 1",
        "FROM access_log LIMIT 1",
    ] {
        let batches = session.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        for batch in batches {
            assert!(batch.schema().fields().iter().all(|field| !field.name().starts_with('_')), "{sql}");
        }
    }
    let once = session.query("SELECT * FROM access_log a JOIN access_log b USING (url)").await.unwrap();
    let urls = once[0].schema().fields().iter().filter(|field| field.name() == "url").count();
    assert_eq!(urls, 1);
}

#[tokio::test]
async fn one_bad_file_is_a_remark_and_the_others_are_read() {
    let folder = folder(&[("a.log", &access_lines(3)), ("b.log", b"no log\nat all\nof any kind\n"), ("empty.log", b"")]);
    let args = ["*.log", "missing.log"].map(|name| folder.path().join(name).into_os_string());
    let session = Session::new(InputSpec::Args(args.to_vec()), ScanOptions::default(), 2);
    assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["3"]);
    let report = session.report();
    let status = |name: &str| report.iter().find(|file| file.path.ends_with(name)).map(|file| file.status);
    assert_eq!(status("a.log"), Some(FileStatus::Read));
    assert_eq!(status("b.log"), Some(FileStatus::NoFormat));
    assert_eq!(status("empty.log"), Some(FileStatus::Empty));
    assert_eq!(status("missing.log"), Some(FileStatus::Failed));
    let summary = session.schema.context().report.summary();
    assert_eq!((summary.files, summary.lines, summary.no_format, summary.failed), (1, 3, 1, 1));
    // Their lines are all in `unparsed`.
    assert_eq!(session.rows("SELECT count(*) FROM unparsed").await, ["3"]);
    let rows = session.rows("SELECT table_name, status, lines FROM scan_report WHERE file LIKE '%b.log'").await;
    assert_eq!(rows, ["unparsed|read|3"]);
}

#[tokio::test]
async fn a_query_without_any_file_is_empty_and_not_an_error() {
    let folder = folder(&[("a.log", &access_lines(3))]);
    let session = Session::new(InputSpec::Args(vec![folder.path().join("*.log").into()]), ScanOptions::default(), 2);
    assert_eq!(session.rows("SELECT * FROM dns_log").await, [] as [String; 0]);
    assert_eq!(session.rows("SELECT count(*) FROM dns_log").await, ["0"]);
    assert_eq!(session.report()[0].status, FileStatus::OtherTable);
}

#[tokio::test]
async fn a_limit_stops_reading_and_the_report_says_so() {
    let folder = folder(&[("a.log", &access_lines(50_000))]);
    let inputs = InputSpec::Args(vec![folder.path().join("a.log").into()]);
    let options = ScanOptions { piece_bytes: 100_000, ..ScanOptions::default() };
    let session = Session::new(inputs, options, 2);
    assert_eq!(session.rows("SELECT url FROM access_log LIMIT 5").await.len(), 5);
    let report = &session.schema.context().report;
    report.settle().await;
    let file = &report.current()[0];
    assert_eq!(file.status, FileStatus::StoppedEarly);
    assert!(file.counts.lines < 50_000 && file.counts.lines >= 5, "{file:?}");
    assert!(file.counts.balanced());
}

#[tokio::test]
async fn a_stream_that_is_dropped_counts_what_it_decoded() {
    let folder = folder(&[("a.log", &access_lines(50_000))]);
    let session = Session::new(InputSpec::Args(vec![folder.path().join("a.log").into()]), ScanOptions::default(), 1);
    session.schema.context().report.begin_query();
    let frame = session.context.sql("SELECT url FROM access_log").await.unwrap();
    let mut stream = frame.execute_stream().await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    drop(stream);
    let file = &session.report()[0];
    assert_eq!(file.status, FileStatus::StoppedEarly);
    assert!(file.counts.lines >= first.num_rows() as u64 && file.counts.lines < 50_000, "{file:?}");
}

#[tokio::test]
async fn a_file_that_changed_since_the_query_was_planned_gives_no_row_of_another_generation() {
    for on_change in [OnChange::Report, OnChange::Fail] {
        let folder = folder(&[("a.log", &access_lines(1000))]);
        let path = folder.path().join("a.log");
        let options = ScanOptions { on_change, ..ScanOptions::default() };
        let session = Session::new(InputSpec::Args(vec![path.clone().into()]), options, 2);
        session.schema.context().report.begin_query();
        let frame = session.context.sql("SELECT url FROM access_log").await.unwrap();
        let plan = frame.create_physical_plan().await.unwrap();
        std::fs::write(&path, access_lines(10)).unwrap();
        let rows = datafusion::physical_plan::collect(plan, session.context.task_ctx()).await;
        assert_eq!(session.report()[0].status, FileStatus::Changed);
        match (on_change, rows) {
            (OnChange::Report, Ok(rows)) => assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 0),
            (OnChange::Fail, Err(error)) => assert!(error.to_string().contains("a.log"), "{error}"),
            (_, other) => panic!("{on_change:?}: {other:?}"),
        }
        // The next query looks again.
        assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["10"]);
    }
}

#[tokio::test]
async fn a_file_that_grows_is_read_to_where_it_was_and_further_by_the_next_query() {
    let folder = folder(&[("a.log", &access_lines(10))]);
    let path = folder.path().join("a.log");
    let session = Session::new(InputSpec::Args(vec![path.clone().into()]), ScanOptions::default(), 2);
    session.schema.context().report.begin_query();
    let frame = session.context.sql("SELECT url FROM access_log").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&access_lines(5)).unwrap();
    let rows = datafusion::physical_plan::collect(plan, session.context.task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["15"]);
}

#[tokio::test]
async fn an_error_in_the_filter_is_the_error_of_the_query() {
    let session = Session::over("nginx/combined.log");
    let error = session.query("SELECT url FROM access_log WHERE CAST(user_agent AS INT) = 1").await.unwrap_err();
    assert!(error.to_string().contains("Cannot cast"), "{error}");
}

#[tokio::test]
async fn a_filter_on_the_file_leaves_the_others_unread() {
    let session = Session::new(log("nginx/*.log"), ScanOptions::default(), 2);
    let name = logs().join("nginx/combined.log");
    let sql = format!("SELECT count(*) FROM access_log WHERE _file = '{}' AND status > 0", name.display());
    let counted = session.rows(&sql).await;
    assert_ne!(counted, ["0"]);
    for file in session.report().iter().filter(|file| file.table == "access_log") {
        let read = file.counts.lines > 0;
        assert_eq!(read, file.path == name, "{file:?}");
    }
    assert_eq!(session.rows("SELECT count(*) FROM access_log WHERE _file = 'nowhere'").await, ["0"]);
}

#[tokio::test]
async fn a_path_in_a_query_is_the_table_that_its_files_feed() {
    let session = Session::new(InputSpec::Args(vec![]), ScanOptions::default(), 2);
    let rotated = logs().join("rotated/access.log*");
    let rows = session.rows(&format!("SELECT * FROM '{}'", rotated.display())).await;
    assert!(rows.len() > 10, "{}", rows.len());
    let error = session.error(&format!("SELECT * FROM '{}'", logs().join("nginx/*").display())).await;
    assert!(matches!(&error, TableError::Ambiguous { tables, .. } if tables.len() == 2), "{error}");
    assert!(error.hint().unwrap().contains("--table access_log="), "{:?}", error.hint());
    let error = session.error("SELECT * FROM 'no/such/*.log'").await;
    assert!(matches!(error, TableError::NoFile { .. }), "{error}");
    let folder = folder(&[("b.log", b"no log\nat all\nof any kind\n")]);
    let error = session.error(&format!("SELECT * FROM '{}/b.log'", folder.path().display())).await;
    assert!(matches!(error, TableError::NoFormat { .. }), "{error}");
    assert!(matches!(session.schema.unknown("acess_log"), TableError::UnknownTable { nearest, .. } if nearest == ["access_log"]));
}

#[tokio::test]
async fn tables_of_the_user_are_bound_created_and_viewed() {
    let session = Session::new(InputSpec::Args(vec![]), ScanOptions::default(), 2);
    let path = logs().join("nginx/combined.log");
    session.schema.bind(Binding::parse(&format!("shop={}", path.display())).unwrap()).unwrap();
    let bound = session.rows("SELECT * FROM shop ORDER BY _line").await;
    assert!(bound.len() > 10);
    let sql = format!("CREATE EXTERNAL TABLE web STORED AS ACCESS_LOG LOCATION '{}'", path.display());
    session.rows(&sql).await;
    assert_eq!(session.rows("SELECT * FROM web ORDER BY _line").await, bound);
    session.rows("CREATE VIEW errors AS SELECT * FROM web WHERE status >= 400").await;
    let seen = session.rows("SELECT * FROM errors").await;
    assert_eq!(seen.len(), session.rows("SELECT url FROM shop WHERE status >= 400").await.len());
    for (sql, wrong) in [
        ("CREATE EXTERNAL TABLE x (a INT) STORED AS ACCESS_LOG LOCATION 'x'", "a list of columns"),
        ("CREATE EXTERNAL TABLE x STORED AS ACCESS_LOG LOCATION 'x' OPTIONS ('formt' 'y')", "unknown option"),
        ("CREATE EXTERNAL TABLE x STORED AS ACCESS_LOG LOCATION 'x' OPTIONS ('format' 'y')", "unknown format `y`"),
    ] {
        let error = session.query(sql).await.unwrap_err();
        assert!(error.to_string().contains(wrong), "{sql}: {error}");
    }
    session.rows("DROP TABLE web").await;
    assert!(session.query("SELECT * FROM web").await.is_err());
}

#[tokio::test]
async fn a_format_that_is_named_is_taken_as_said() {
    let folder = folder(&[("b.log", b"no log\nat all\n")]);
    let path = folder.path().join("b.log").into_os_string();
    let family = "access".to_owned();
    let mut arg = OsString::from(format!("{family}="));
    arg.push(&path);
    let session = Session::new(InputSpec::Args(vec![arg]), ScanOptions::default(), 2);
    assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["0"]);
    assert_eq!(session.report()[0].format.as_ref(), Some(&family));
    assert_eq!(session.report()[0].counts.unparsed, 2);
    let options = ScanOptions { input_format: Some("no_such".to_owned()), ..ScanOptions::default() };
    let shared = Arc::new(ScanContext::new(Box::new(builtin), options));
    let refused = LogSchema::try_new(shared, InputSpec::Args(vec![path]), None);
    assert!(matches!(refused, Err(TableError::UnknownFormat { .. })));
}

#[tokio::test]
async fn a_file_that_nobody_named_matters_beside_a_log_of_the_table() {
    let old_lz4 = [b"\x02\x21\x4C\x18".as_slice(), &[0; 100]].concat();
    for (place, severity) in [("var/log/nginx", Severity::Loss), ("var/log/apt", Severity::Warning)] {
        let folder = folder(&[]);
        for file in ["var/log/nginx", "var/log/apt"] {
            std::fs::create_dir_all(folder.path().join(file)).unwrap();
        }
        std::fs::write(folder.path().join("var/log/nginx/access.log"), access_lines(5)).unwrap();
        std::fs::write(folder.path().join(place).join("other.log.1"), &old_lz4).unwrap();
        let session = Session::new(InputSpec::WellKnown(folder.path().to_owned()), ScanOptions::default(), 2);
        assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["5"]);
        let report = session.report();
        let other = report.iter().find(|file| file.path.ends_with("other.log.1")).expect(place);
        assert_eq!(other.remarks[0].severity, severity, "{place}: {:?}", other.remarks);
    }
}

#[tokio::test]
async fn filters_rule_lines_out_without_changing_the_rows() {
    let mut lines = access_lines(500);
    lines.extend_from_slice(b"rubbish /404\n\n");
    let folder = folder(&[("a.log", &lines)]);
    let session = Session::new(InputSpec::Args(vec![folder.path().join("a.log").into()]), ScanOptions::default(), 2);
    // What a scan may rule lines out for, and the same in a form in which it may not.
    for (quick, slow) in [
        ("url = '/404'", "url || '' = '/404'"),
        ("'/404' = url", "'/404' = url || ''"),
        ("url LIKE '%/40_'", "url || '' LIKE '%/40_'"),
        ("url LIKE '/40%' AND status = 200", "url || '' LIKE '/40%' AND status + 0 = 200"),
        ("url IN ('/7', '/123', '/499')", "url || '' IN ('/7', '/123', '/499')"),
        ("url ~ '^/4[0-9]{2}$'", "url || '' ~ '^/4[0-9]{2}$'"),
        ("url ~ '/404|/405'", "url || '' ~ '/404|/405'"),
        ("starts_with(url, '/40')", "starts_with(url || '', '/40')"),
        ("url NOT LIKE '%/40%'", "url || '' NOT LIKE '%/40%'"),
        ("NOT (url = '/404')", "url || '' <> '/404'"),
        ("url = '/404' OR url = '/405'", "url || '' IN ('/404', '/405')"),
        ("url ILIKE '/404'", "url || '' ILIKE '/404'"),
        ("url = '/404' AND url IS NOT NULL AND _line > 0", "url || '' = '/404'"),
        ("_raw LIKE '%/404 %'", "_raw || '' LIKE '%/404 %'"),
        ("status = 200", "status + 0 = 200"),
    ] {
        let expected = session.rows(&format!("SELECT _line, url FROM access_log WHERE {slow} ORDER BY 1")).await;
        assert!(!expected.is_empty(), "{slow}");
        let got = session.rows(&format!("SELECT _line, url FROM access_log WHERE {quick} ORDER BY 1")).await;
        assert_eq!(got, expected, "{quick}");
        let counts = &session.report()[0].counts;
        let sum = counts.records + counts.continuations + counts.blank + counts.unparsed + counts.ruled_out;
        assert_eq!((sum, counts.lines), (502, 502), "{quick}: {counts:?}");
    }
    session.rows("SELECT 1 FROM access_log WHERE url = '/404'").await;
    assert_eq!(session.report()[0].counts.ruled_out, 500, "all but the record and the line that only looks like it");
}

#[tokio::test]
async fn lines_have_the_numbers_that_an_editor_shows() {
    let folder = folder(&[("bom.log", &[b"\xEF\xBB\xBF".as_slice(), &access_lines(40)].concat())]);
    for piece_bytes in [1, 2, 3, 5, 64, 1000, 1 << 20] {
        let options = ScanOptions { piece_bytes, ..ScanOptions::default() };
        let inputs = InputSpec::Args(vec![folder.path().join("bom.log").into()]);
        let session = Session::new(inputs, options, 3);
        let rows = session.rows("SELECT _line, url, _offset FROM access_log ORDER BY _offset").await;
        assert_eq!(rows.len(), 40, "{piece_bytes}");
        for (at, row) in rows.iter().enumerate() {
            assert!(row.starts_with(&format!("{}|/{at}|", at + 1)), "{piece_bytes}: {row}");
        }
        assert!(rows[0].ends_with("|3"), "{}", rows[0]);
    }
}

#[tokio::test]
async fn lines_behind_a_hole_are_lines() {
    use std::io::{Seek as _, SeekFrom};
    let folder = folder(&[("sparse.log", b"")]);
    let path = folder.path().join("sparse.log");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all(&access_lines(3)).unwrap();
    file.seek(SeekFrom::Start(64 << 20)).unwrap();
    file.write_all(&access_lines(4)).unwrap();
    drop(file);
    for piece_bytes in [16 << 20, 100] {
        let options = ScanOptions { piece_bytes, ..ScanOptions::default() };
        let session = Session::new(InputSpec::Args(vec![path.clone().into()]), options, 2);
        let rows = session.rows("SELECT url, status FROM access_log ORDER BY _offset").await;
        assert_eq!(rows.len(), 7, "{piece_bytes}: {rows:?} {:?}", session.report());
    }
}

/// What a daemon leaves that goes on at its old offset, after somebody has truncated its log.
#[tokio::test]
async fn a_log_that_begins_with_a_hole_is_known() {
    use std::io::{Seek as _, SeekFrom};
    let folder = folder(&[("sparse.log", b"")]);
    let path = folder.path().join("sparse.log");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // No hole ends where the text begins.
    file.seek(SeekFrom::Start((64 << 20) + 100)).unwrap();
    file.write_all(&access_lines(4)).unwrap();
    drop(file);
    let session = Session::new(InputSpec::Args(vec![path.into()]), ScanOptions::default(), 2);
    let rows = session.rows("SELECT url, status FROM access_log").await;
    assert_eq!(rows.len(), 4, "{rows:?} {:?}", session.report());
}

#[tokio::test]
async fn years_and_doubled_hours_are_the_same_wherever_the_file_is_cut() {
    // Two turns of the year without a year in any stamp, and a night in which the clock is set back.
    let mut lines = String::new();
    for (month, day) in [("Nov", 3), ("Dec", 31), ("Jan", 1), ("Jun", 5), ("Dec", 30), ("Jan", 2)] {
        lines.push_str(&format!("{month} {day:2} 01:00:00 host prog[1]: a\n"));
    }
    for minute in 0..50 {
        lines.push_str(&format!("Oct 25 02:{minute:02}:30 host prog[1]: before\n"));
    }
    for minute in 0..50 {
        lines.push_str(&format!("Oct 25 02:{minute:02}:31 host prog[1]: after\n"));
    }
    let folder = folder(&[("syslog", lines.as_bytes())]);
    let file = std::fs::File::options().append(true).open(folder.path().join("syslog")).unwrap();
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_793_000_000);
    file.set_modified(modified).unwrap();
    let sql = "SELECT time, message FROM syslog ORDER BY _offset";
    for piece_bytes in [1 << 20, 1000, 50, 7] {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let options = ScanOptions { piece_bytes, zone, ..ScanOptions::default() };
        let inputs = InputSpec::Args(vec![folder.path().join("syslog").into()]);
        let rows = Session::new(inputs, options, 3).rows(sql).await;
        let years: Vec<&str> = rows[..6].iter().map(|row| &row[..4]).collect();
        assert_eq!(years, ["2024", "2024", "2025", "2025", "2025", "2026"], "{piece_bytes}");
        assert_eq!(rows[6], "2026-10-25T00:00:30Z|before", "{piece_bytes}");
        assert_eq!(rows[56], "2026-10-25T01:00:31Z|after", "{piece_bytes}");
        assert_eq!(rows[105], "2026-10-25T01:49:31Z|after", "{piece_bytes}");
    }
}

#[tokio::test]
async fn a_range_over_a_compressed_file_reads_it_once() {
    use datafusion::datasource::physical_plan::FileScanConfig;
    use datafusion::datasource::source::DataSourceExec;
    let session = Session::over("rotated/access.log.2.gz");
    session.schema.context().report.begin_query();
    let frame = session.context.sql("SELECT url FROM access_log").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let whole = datafusion::physical_plan::collect(Arc::clone(&plan), session.context.task_ctx()).await.unwrap();
    let scan = plan.downcast_ref::<DataSourceExec>().unwrap();
    let config = scan.data_source().downcast_ref::<FileScanConfig>().unwrap();
    // What another planner might make of it.
    let mut cut = config.clone();
    for group in &mut cut.file_groups {
        let file = group.files()[0].clone();
        let end = i64::try_from(file.object_meta.size).unwrap();
        *group = vec![file.clone().with_range(0, 9), file.with_range(9, end)].into();
    }
    let plan = DataSourceExec::from_data_source(cut);
    let again = datafusion::physical_plan::collect(plan, session.context.task_ctx()).await.unwrap();
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    assert!(rows(&whole) > 0);
    assert_eq!(rows(&whole), rows(&again));
}

/// A line for each second from midnight on; `late` of them at the end are stamped an hour after the others.
fn ordered_lines(count: usize, late: usize) -> Vec<u8> {
    let stamp = |second: usize| format!("[21/Nov/2026:{:02}:{:02}:{:02} ", second / 3600, second / 60 % 60, second % 60);
    let line = |i: usize| {
        let second = if i + late >= count { i + 3600 } else { i };
        ACCESS.replace("[21/Nov/2026:00:55:04 ", &stamp(second)).replace("/a ", &format!("/{i} "))
    };
    (0..count).map(line).collect::<String>().into_bytes()
}

fn skipped(session: &Session) -> u64 {
    session.report().iter().map(|file| file.bytes_skipped).sum()
}

const MINUTE: &str = "SELECT count(*) FROM access_log WHERE time >= '2026-11-21T00:10:00Z' AND time < '2026-11-21T00:11:00Z'";

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_skipped_once_their_times_are_known() {
    let folder = folder(&[("access.log", &ordered_lines(3000, 0))]);
    let options = ScanOptions { piece_bytes: 4096, ..ScanOptions::default() };
    let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), options, 2);
    assert_eq!(session.rows(MINUTE).await, ["60"]);
    assert_eq!(skipped(&session), 0, "nothing is known of them yet");
    assert_eq!(session.rows(MINUTE).await, ["60"]);
    let report = session.report();
    assert_eq!(report[0].status, FileStatus::PartsSkipped);
    assert!(report[0].bytes_skipped > report[0].bytes * 9 / 10, "{report:?}");
    assert!(report[0].counts.balanced());
    // Other filters, other tables, and queries without a filter on time are not touched by it.
    assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["3000"]);
    assert_eq!(
        session.rows("SELECT count(*) FROM access_log WHERE status = 200 OR time < '2026-11-21T00:00:10Z'").await,
        ["3000"]
    );
    assert_eq!(skipped(&session), 0);
    assert_eq!(session.rows("SELECT count(*) FROM unparsed").await, ["0"]);
    assert_eq!(session.rows("SELECT count(*) FROM access_log WHERE time IS NULL").await, ["0"]);
    assert!(skipped(&session) > 0, "none of its rows is without a time");
    // The file is another one now, and nothing is known of it.
    std::fs::write(folder.path().join("access.log"), ordered_lines(3000, 3000)).unwrap();
    assert_eq!(session.rows(MINUTE).await, ["0"]);
    assert_eq!(skipped(&session), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_piece_is_read_first_for_the_newest_rows() {
    let folder = folder(&[("access.log", &ordered_lines(3000, 0))]);
    let options = ScanOptions { piece_bytes: 4096, ..ScanOptions::default() };
    let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), options, 1);
    let newest = "SELECT path FROM access_log ORDER BY time DESC LIMIT 2";
    let plan = session.plan(newest).await;
    assert!(plan.contains("newest first"), "{plan}");
    let oldest = session.plan("SELECT path AS p, time AS t FROM access_log ORDER BY t LIMIT 2").await;
    assert!(oldest.contains("oldest first"), "{oldest}");
    let other = session.plan("SELECT path FROM access_log ORDER BY path LIMIT 2").await;
    assert!(!other.contains(" first"), "{other}");
    assert_eq!(session.rows(newest).await, ["/2999", "/2998"]);
    assert_eq!(session.rows(newest).await, ["/2999", "/2998"]);
    let report = session.report();
    assert!(report[0].bytes_skipped > report[0].bytes / 2, "the threshold stops it once the times are known: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_the_user_is_taken_for_the_order_of_lines() {
    let files = folder(&[("access.log", &ordered_lines(6000, 30))]);
    let over = |slack: u64| {
        let assume_ordered = Some(std::time::Duration::from_secs(slack));
        let options = ScanOptions { piece_bytes: 4096, assume_ordered, ..ScanOptions::default() };
        Session::new(InputSpec::Args(vec![files.path().join("access.log").into()]), options, 2)
    };
    let session = over(60);
    assert_eq!(session.rows(MINUTE).await, ["60"]);
    let report = session.report();
    assert!(report[0].bytes_skipped > report[0].bytes / 2, "at the first query: {report:?}");
    let newest = "SELECT path FROM access_log ORDER BY time DESC LIMIT 2";
    assert_eq!(session.rows(newest).await, ["/5999", "/5998"]);
    assert!(skipped(&session) > report[0].bytes / 2);
    let last_minute = "SELECT count(*) FROM access_log WHERE time >= '2026-11-21T02:39:31Z'";
    assert_eq!(session.rows(last_minute).await, ["29"]);
    // Without years, the ends of pieces say nothing, and everything is read.
    let lines = |i: usize| format!("Nov 21 {:02}:{:02}:{:02} web1 app: {i}\n", i / 3600, i / 60 % 60, i % 60);
    let syslog = folder(&[("syslog", (0..3000).map(lines).collect::<String>().as_bytes())]);
    let options = ScanOptions { piece_bytes: 4096, assume_ordered: Some(std::time::Duration::ZERO), ..ScanOptions::default() };
    let session = Session::new(InputSpec::Args(vec![syslog.path().join("syslog").into()]), options, 2);
    let all = session.rows("SELECT count(*) FROM syslog WHERE time > '2000-01-01T00:00:00Z'").await;
    assert_eq!((all, skipped(&session)), (vec!["3000".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_hour_is_followed_through_pieces_that_say_nothing() {
    // The second 02:30 is stamped in the last piece; before it are pieces whose stamps have a zone.
    let stamps: String = ["Oct 25 02:10:00 web1 app: a\n", "Oct 25 02:50:00 web1 app: b\n", "Oct 25 02:05:00 web1 app: c\n"]
        .into_iter()
        .map(str::to_owned)
        .chain(std::iter::repeat_n("2026-10-25T01:06:00+00:00 web1 app: x\n".to_owned(), 500))
        .chain(std::iter::once("Oct 25 02:30:00 web1 app: d\n".to_owned()))
        .collect();
    let folder = folder(&[("syslog", stamps.as_bytes())]);
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let options = ScanOptions { piece_bytes: 1024, zone, ..ScanOptions::default() };
    let session = Session::new(InputSpec::Args(vec![folder.path().join("syslog").into()]), options, 2);
    let rows = session.rows("SELECT time, message FROM syslog WHERE message <> 'x' ORDER BY message").await;
    let times: Vec<&str> = rows.iter().map(|row| &row[11..16]).collect();
    assert_eq!(times, ["00:10", "00:50", "01:05", "01:30"], "{rows:?}");
}

/// A large compressed file of which each line is another one.
fn large_gz(lines: usize) -> (Vec<u8>, Vec<u8>) {
    let line = |i: usize| {
        ACCESS.replace("/a ", &format!("/{:x} ", i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).replace(" 12 ", &format!(" {i} "))
    };
    let text = (0..lines).map(line).collect::<String>().into_bytes();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    (text, encoder.finish().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_compressed_file_are_the_same_for_any_number_of_partitions() {
    let (text, packed) = large_gz(120_000);
    assert!(packed.len() > 1 << 20, "too small to be shared");
    let folder = folder(&[("access.log", &text), ("access.log.gz", &packed), ("cut.gz", &packed[..packed.len() / 2])]);
    let over = |name: &str| InputSpec::Args(vec![folder.path().join(name).into_os_string()]);
    let sql = "SELECT _line, _offset, url, bytes FROM access_log";
    let mut expected = Session::new(over("access.log"), ScanOptions::default(), 1).rows(sql).await;
    expected.sort();
    for partitions in [1, 2, 7] {
        let session = Session::new(over("access.log.gz"), ScanOptions::default(), partitions);
        let mut rows = session.rows(sql).await;
        rows.sort();
        assert!(rows == expected, "{partitions} partitions: {} rows of {}", rows.len(), expected.len());
        let file = &session.report()[0];
        assert_eq!((file.status, file.counts.lines, file.bytes_read), (FileStatus::Read, 120_000, packed.len() as u64));
        assert_eq!(session.rows("SELECT count(*) FROM access_log WHERE bytes < 50000").await, ["50000"]);
        // Half of a file: its good lines, and one word about it.
        let session = Session::new(over("cut.gz"), ScanOptions::default(), partitions);
        let rows = session.rows(sql).await;
        assert!(rows.len() > 50_000 && rows.iter().all(|row| expected.binary_search(row).is_ok()), "{} rows", rows.len());
        let file = &session.report()[0];
        assert!(file.counts.balanced());
        assert_eq!(file.remarks.len(), 1, "{:?}", file.remarks);
    }
    let session = Session::new(over("access.log.gz"), ScanOptions::default(), 2);
    assert_eq!(session.rows("SELECT url FROM access_log LIMIT 5").await.len(), 5);
    session.schema.context().report.settle().await;
    assert_eq!(session.report()[0].status, FileStatus::StoppedEarly);
}

#[tokio::test]
async fn the_first_line_behind_a_mark_is_at_offset_3_in_a_compressed_file_too() {
    let text = [b"\xEF\xBB\xBF".to_vec(), access_lines(3)].concat();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    let packed = encoder.finish().unwrap();
    let folder = folder(&[("a.log", &text), ("b.log.gz", &packed)]);
    let sql = |name: &str| format!("SELECT _line, _offset, _raw FROM '{}'", folder.path().join(name).display());
    let session = Session::over("nginx/combined.log");
    let plain = session.rows(&sql("a.log")).await;
    assert!(plain[0].starts_with("1|3|192.0.2.1 "), "{plain:?}");
    assert_eq!(session.rows(&sql("b.log.gz")).await, plain);
}

/// The files in these folders of the test logs, in a tar archive with their times.
fn tar_of(folders: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in folders {
        let mut paths: Vec<_> = std::fs::read_dir(logs().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            tar.append_path_with_name(&path, path.strip_prefix(logs()).unwrap()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_members_of_archives_are_those_of_the_files() {
    const FOLDERS: [&str; 5] = ["apache", "nginx", "rotated", "syslog", "malformed"];
    let tar = tar_of(&FOLDERS);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&tar).unwrap();
    let zstd = zstd::encode_all(&tar[..], 1).unwrap();
    let folder = folder(&[("logs.tar", &tar), ("logs.tgz", &encoder.finish().unwrap()), ("logs.tar.zst", &zstd)]);
    let queries = [
        "SELECT _file, _line, _offset, time, status, url FROM access_log",
        "SELECT _file, _line, time, program, message FROM syslog",
        "SELECT _file, _line, level, message FROM error_log",
        "SELECT _file, _line, raw FROM unparsed",
    ];
    let all = InputSpec::Args(FOLDERS.iter().map(|folder| logs().join(folder).join("*").into_os_string()).collect());
    let plain = Session::new(all, ScanOptions::default(), 2);
    for sql in queries {
        let mut expected = plain.rows(sql).await;
        let root = format!("{}/", logs().display());
        expected.iter_mut().for_each(|row| *row = row.replace(&root, ""));
        // Members that hold no text are left out of an archive, as they are of a folder.
        expected.retain(|row| !row.contains("only-nul.log") && !row.contains("utf16le-without-bom.log"));
        expected.sort();
        assert!(!expected.is_empty());
        for archive in ["logs.tar", "logs.tgz", "logs.tar.zst"] {
            for partitions in [1, 2, 7] {
                let path = folder.path().join(archive);
                // Without room for members, for some of them, and for all.
                let keep = crate::source::Keep::new([0, 60_000, usize::MAX][partitions % 3], |_| Some(Box::new(())));
                let read = crate::source::ReadOptions { keep: keep.clone(), ..crate::source::ReadOptions::default() };
                let options = ScanOptions { read, ..ScanOptions::default() };
                let session = Session::new(InputSpec::Args(vec![path.clone().into_os_string()]), options, partitions);
                let mut rows = session.rows(sql).await;
                keep.release();
                // What was given away is read from the archive.
                assert_eq!(session.rows(sql).await.len(), rows.len(), "{archive}, {partitions} partitions, {sql}");
                let root = format!("{}!/", path.display());
                rows.iter_mut().for_each(|row| *row = row.replace(&root, ""));
                rows.retain(|row| !row.contains("only-nul.log") && !row.contains("utf16le-without-bom.log"));
                rows.sort();
                let differs = expected.iter().zip(&rows).find(|(a, b)| a != b);
                assert!(
                    rows == expected,
                    "{archive}, {partitions} partitions, {sql}: {} of {}: {differs:?}",
                    rows.len(),
                    expected.len()
                );
                assert!(session.report().iter().all(|file| file.counts.balanced()));
            }
        }
    }
}

#[tokio::test]
async fn a_member_of_an_archive_is_a_table_by_its_path() {
    let tar = zstd::encode_all(&tar_of(&["nginx", "syslog"])[..], 1).unwrap();
    let folder = folder(&[("web.tar.zst", &tar)]);
    let archive = folder.path().join("web.tar.zst");
    let session = Session::over("nginx/combined.log");
    let count = |of: String| format!("SELECT count(*) FROM '{of}'");
    let expected = session.rows(&count(logs().join("nginx/main.log").display().to_string())).await;
    assert_eq!(session.rows(&count(format!("{}!/nginx/main.log", archive.display()))).await, expected);
    // The whole archive feeds several tables, a pattern of members one.
    assert!(matches!(session.error(&count(archive.display().to_string())).await, TableError::Ambiguous { .. }));
    assert_eq!(session.rows(&count(format!("{}!/nginx/mai?.log", archive.display()))).await, expected);
    assert!(matches!(session.error(&count(format!("{}!/nothing.log", archive.display()))).await, TableError::NoFile { .. }));
}

#[tokio::test]
async fn a_solid_archive_is_read_once_however_many_of_its_members_are_asked_for() {
    let mut tar = tar::Builder::new(Vec::new());
    for i in 0..50 {
        let lines = access_lines(100 + i);
        let mut header = tar::Header::new_gnu();
        header.set_size(lines.len() as u64);
        tar.append_data(&mut header, format!("{i}.log"), &lines[..]).unwrap();
    }
    let packed = zstd::encode_all(&tar.into_inner().unwrap()[..], 1).unwrap();
    let folder = folder(&[("logs.tar.zst", &packed)]);
    let inputs = InputSpec::Args(vec![folder.path().join("logs.tar.zst").into_os_string()]);
    let session = Session::new(inputs, ScanOptions::default(), 4);
    assert_eq!(session.rows("SELECT count(*), count(DISTINCT _file) FROM access_log").await, ["6225|50"]);
    let report = session.report();
    assert_eq!(report.len(), 50);
    assert!(report.iter().all(|file| file.status == FileStatus::Read));
    assert!(report.iter().map(|file| file.bytes_read).sum::<u64>() <= packed.len() as u64);
    // A filter on the name leaves the others out.
    let one = "SELECT count(*) FROM access_log WHERE _file LIKE '%!/7.log'";
    assert_eq!(session.rows(one).await, ["107"]);
}

/// Options that keep what is known of files of any size in `folder`.
fn keeping(folder: &Path) -> ScanOptions {
    let index = IndexOptions { min_bytes: 0, min_packed_bytes: 0, ..IndexOptions::new(folder.join("index")) };
    ScanOptions { piece_bytes: 4096, index: Some(index), ..ScanOptions::default() }
}

/// A session of another run over the same log, which keeps what it finds out.
async fn next_run(folder: &Path, name: &str, sql: &str) -> (Vec<String>, Vec<FileReport>) {
    let session = Session::new(InputSpec::Args(vec![folder.join(name).into()]), keeping(folder), 2);
    let rows = session.rows(sql).await;
    session.schema.context().keep_learned();
    (rows, session.report())
}

/// Lines whose addresses, and one status, are in one part of the file each.
fn lines_of_many(count: usize) -> String {
    let lines = String::from_utf8(ordered_lines(count, 0)).unwrap();
    let told = |(at, line): (usize, &str)| {
        let status = match (at * 6 / count, at % 7) {
            (4, _) => "\" 500 ",
            (_, 3) => "\" 404 ",
            (2, 4) => "\" - ",
            _ => "\" 200 ",
        };
        let (_, rest) = line.split_once(' ').unwrap();
        let ip = if at % 50 == 7 { format!("2001:db8::{at:x}") } else { format!("10.0.{}.{}", at * 10 / count, at % 200) };
        format!("{ip} {rest}\n").replacen("\" 200 ", status, 1)
    };
    lines.lines().enumerate().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_without_a_value_are_skipped() {
    let text = lines_of_many(3000);
    let folder = folder(&[("access.log", text.as_bytes())]);
    let sql = |filter: &str| format!("SELECT client_ip, status, path FROM access_log WHERE {filter} ORDER BY _offset");
    let asked = [
        ("client_ip = '10.0.3.8'", true),
        ("client_ip IN ('10.0.3.8', '10.0.8.9')", true),
        ("client_ip IN ('10.0.1.1', '10.0.2.2', '10.0.3.3', '10.0.4.4', '172.16.0.1')", true),
        ("client_ip = '192.0.2.1'", true),
        ("status = 500", true),
        ("500 = status AND client_ip = '10.0.7.3'", true),
        ("status IN (500, 502)", true),
        ("status >= 500", true),
        ("status = '500'", true),
        ("status <> 200 AND status <> 404", true),
        ("client_ip = '2001:db8::7' OR client_ip = '10.0.9.199'", true),
        // The same address in another spelling is another text, here as everywhere.
        ("client_ip = '2001:DB8::7'", true),
        ("client_ip = '2001:db8:0:0:0:0:0:7'", true),
        ("status IS NULL", false),
        ("status IS NULL OR status = 500", false),
        ("path = '/7'", false),
    ];
    let without = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), ScanOptions::default(), 2);
    let mut expected = Vec::new();
    for (filter, _) in asked {
        expected.push(without.rows(&sql(filter)).await);
    }
    assert_eq!(expected.iter().filter(|rows| rows.is_empty()).count(), 3, "{expected:?}");
    let (_, report) = next_run(folder.path(), "access.log", &sql(asked[0].0)).await;
    assert_eq!(report[0].bytes_skipped, 0, "nothing is known yet");
    next_run(folder.path(), "access.log", "SELECT client_ip, max(status) FROM access_log GROUP BY 1").await;
    for ((filter, skips), expected) in asked.iter().zip(&expected) {
        let (rows, report) = next_run(folder.path(), "access.log", &sql(filter)).await;
        assert_eq!(rows, *expected, "{filter}");
        assert_eq!(report[0].bytes_skipped > report[0].bytes / 4, *skips, "{filter}: {report:?}");
        assert!(report[0].counts.balanced());
    }
    let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), keeping(folder.path()), 2);
    let plan = session.plan(&sql("status = 500")).await;
    assert!(plan.contains("skipped="), "{plan}");
    // Addresses that come out of a join.
    let join = "SELECT count(*) FROM access_log JOIN (VALUES ('10.0.3.8'), ('10.0.3.8')) AS v(ip) ON client_ip = ip";
    assert_eq!(session.rows(join).await, without.rows(join).await);
    // Once the file has grown, the new part is read.
    std::fs::OpenOptions::new().append(true).open(folder.path().join("access.log")).unwrap().write_all(text.as_bytes()).unwrap();
    let (rows, report) = next_run(folder.path(), "access.log", &sql("status = 500")).await;
    assert_eq!(rows.len(), 1000);
    assert!(report[0].bytes_skipped > 0 && report[0].bytes_skipped < report[0].bytes / 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_the_same_whatever_is_known_of_values() {
    let text = lines_of_many(8000) + "no format takes this\n" + &lines_of_many(500);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(3));
    packed.write_all(text.as_bytes()).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(text.as_bytes()).unwrap();
    let xz = xz.finish().unwrap();
    let folder = folder(&[("access.log", text.as_bytes()), ("a.gz", &packed.finish().unwrap()), ("a.xz", &xz)]);
    let read = || crate::source::ReadOptions { restart_bytes: 100_000, ..crate::source::ReadOptions::default() };
    let mut seed = 7_u64;
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let term = |next: &mut dyn FnMut(u64) -> u64| match next(9) {
        0 => format!("client_ip = '10.0.{}.{}'", next(12), next(210)),
        1 => format!("client_ip IN ('10.0.{}.{}', '2001:db8::{:x}', 'x')", next(12), next(210), next(40) * 50 + 7),
        2 => format!("status = {}", [200, 404, 500, 302][next(4) as usize]),
        3 => format!("status IN ({}, 500)", 200 + next(300)),
        4 => format!("status <> {}", [200, 404, 500, 302][next(4) as usize]),
        5 => format!("status {} {}", ["<", ">", "<=", ">="][next(4) as usize], 190 + next(320)),
        6 => format!("client_ip NOT IN ('10.0.{}.{}', '10.0.1.1')", next(12), next(210)),
        7 => format!("time {} '2026-11-21T{:02}:00:00Z'", ["<", ">="][next(2) as usize], next(3)),
        _ => ["status IS NULL", "client_ip LIKE '10.0.4.1%'", "client_ip > '10.0.7'", "NOT (status = 200)"][next(4) as usize]
            .to_owned(),
    };
    let mut asked = Vec::new();
    for _ in 0..40 {
        let mut filter = term(&mut next);
        for _ in 0..next(3) {
            let joined = ["AND", "OR"][next(2) as usize];
            filter = format!("({filter}) {joined} {}", term(&mut next));
        }
        asked.push(filter);
    }
    for name in ["access.log", "a.gz", "a.xz"] {
        let session = |index| {
            let index = Some(keeping(folder.path())).filter(|_| index).and_then(|keeping| keeping.index);
            let options = ScanOptions { read: read(), index, piece_bytes: 20_000, ..ScanOptions::default() };
            Session::new(InputSpec::Args(vec![folder.path().join(name).into()]), options, 2)
        };
        let without = session(false);
        let first = session(true);
        first.rows("SELECT client_ip, status, time FROM access_log").await;
        first.schema.context().keep_learned();
        let with = session(true);
        let mut skipped_bytes = 0;
        for filter in &asked {
            let sql = format!("SELECT count(*), sum(_line), min(path), max(path) FROM access_log WHERE {filter}");
            assert_eq!(with.rows(&sql).await, without.rows(&sql).await, "{name}: {filter}");
            assert!(with.report()[0].counts.balanced(), "{name}: {filter}");
            skipped_bytes += skipped(&with);
        }
        assert!(skipped_bytes > 0, "{name}");
        // What is read has been counted, and what is skipped has not.
        assert_eq!(with.rows("SELECT count(*) FROM unparsed").await, ["1"], "{name}");
    }
}

const EXTENT: &str = "SELECT count(*), min(time), max(time) FROM access_log";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_run_found_out_the_next_one_knows() {
    let folder = folder(&[("access.log", &ordered_lines(3000, 0))]);
    let (rows, report) = next_run(folder.path(), "access.log", MINUTE).await;
    assert_eq!((rows, report[0].bytes_skipped), (vec!["60".to_owned()], 0));
    let (rows, report) = next_run(folder.path(), "access.log", MINUTE).await;
    assert_eq!(rows, ["60"]);
    assert!(report[0].bytes_skipped > report[0].bytes * 9 / 10 && report[0].status == FileStatus::PartsSkipped, "{report:?}");
    let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), keeping(folder.path()), 2);
    let plan = session.plan(MINUTE).await;
    assert!(plan.contains("skipped="), "{plan}");
    // Nothing can be between these times.
    let never = "SELECT path FROM access_log WHERE time < '2000-01-01T00:00:00Z'";
    assert!(session.rows(never).await.is_empty());
    let report = session.report();
    assert_eq!((report[0].status, report[0].bytes_read), (FileStatus::PartsSkipped, 0));
    assert_eq!(report[0].bytes_skipped, report[0].bytes);
    // All rows have been counted, and their times read.
    let plan = session.plan(EXTENT).await;
    assert!(plan.contains("PlaceholderRowExec") && !plan.contains("DataSourceExec"), "{plan}");
    assert_eq!(session.rows(EXTENT).await, ["3000|2026-11-21T00:00:00Z|2026-11-21T00:49:59Z"]);
    for other in [
        "SELECT count(*) FROM access_log WHERE status = 200",
        "SELECT count(*) FROM (SELECT * FROM access_log LIMIT 3000)",
        "SELECT count(path) FROM access_log",
        "SELECT count(*) FROM access_log WHERE time >= '2026-11-21T00:00:00Z'",
    ] {
        assert!(session.plan(other).await.contains("DataSourceExec"), "{other}");
        assert_eq!(session.rows(other).await, ["3000"], "{other}");
    }
    assert_eq!(session.rows("SELECT count(*) FROM unparsed").await, ["0"]);
    // Another zone may mean other times.
    let elsewhere = ScanOptions { zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(), ..keeping(folder.path()) };
    let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), elsewhere, 2);
    assert_eq!((session.rows(MINUTE).await, skipped(&session)), (vec!["60".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_a_scan_says_what_it_did_without() {
    let folder = folder(&[("access.log", &[ordered_lines(3000, 0), b"no format takes this\n".to_vec()].concat())]);
    next_run(folder.path(), "access.log", EXTENT).await;
    let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log").into()]), keeping(folder.path()), 2);
    session.schema.context().report.begin_query();
    let frame = session.context.sql(EXTENT).await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    settle(&plan, &session.schema.context().report).unwrap();
    let report = session.report();
    assert_eq!((report[0].status, report[0].bytes_read), (FileStatus::FromIndex, 0));
    let counts = report[0].counts;
    assert_eq!((counts.lines, counts.rows, counts.unparsed, counts.balanced()), (3001, 3000, 1, true));
    // Where the scan is in the plan, it says for itself what it read.
    session.schema.context().report.begin_query();
    let frame = session.context.sql("SELECT path FROM access_log LIMIT 1").await.unwrap();
    settle(&frame.create_physical_plan().await.unwrap(), &session.schema.context().report).unwrap();
    assert_eq!(session.report()[0].status, FileStatus::NotRead);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grew_is_read_from_where_it_was_known() {
    let folder = folder(&[("access.log", &ordered_lines(3000, 0))]);
    next_run(folder.path(), "access.log", EXTENT).await;
    std::fs::write(folder.path().join("access.log"), ordered_lines(3600, 0)).unwrap();
    let last = "SELECT count(*) FROM access_log WHERE time >= '2026-11-21T00:50:00Z'";
    let (rows, report) = next_run(folder.path(), "access.log", last).await;
    assert_eq!(rows, ["600"]);
    assert!(report[0].bytes_skipped > report[0].bytes / 2, "{report:?}");
    let (rows, report) = next_run(folder.path(), "access.log", EXTENT).await;
    assert_eq!(rows, ["3600|2026-11-21T00:00:00Z|2026-11-21T00:59:59Z"]);
    assert_eq!(report[0].bytes_read, 0, "the part behind was read by the query before");
    // Renamed by a rotation, it is the same log.
    std::fs::rename(folder.path().join("access.log"), folder.path().join("access.log.1")).unwrap();
    let (rows, report) = next_run(folder.path(), "access.log.1", EXTENT).await;
    assert_eq!((rows[0].split('|').next(), report[0].bytes_read), (Some("3600"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_file_is_not_said_of_another() {
    let first = ordered_lines(3000, 0);
    let changed = String::from_utf8(first.clone()).unwrap().replace("21/Nov/2026:00:1", "22/Nov/2026:00:1").into_bytes();
    let same_head = |lines: usize| [&first[..2000], &changed[2000..], &ordered_lines(lines, 0)].concat();
    let grown_after_a_cut = same_head(100);
    let in_the_middle = same_head(0);
    assert_eq!(in_the_middle.len(), first.len());
    let shorter = &first[..first.len() / 2];
    for (what, bytes) in [("cut", shorter), ("in place", &in_the_middle), ("cut and grown", &grown_after_a_cut)] {
        let folder = folder(&[("access.log", &first)]);
        let path = folder.path().join("access.log");
        next_run(folder.path(), "access.log", EXTENT).await;
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, bytes).unwrap();
        // As if nothing had happened.
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        let (rows, report) = next_run(folder.path(), "access.log", MINUTE).await;
        let expected = bytes.split(|b| *b == b'\n').filter(|line| line.windows(18).any(|w| w == b"21/Nov/2026:00:10:")).count();
        assert_eq!(rows, [expected.to_string()], "{what}");
        assert_eq!(report[0].bytes_skipped, 0, "{what}");
    }
    // A file that is damaged is no reason to fail, and neither is a folder that is none.
    let folder = folder(&[("access.log", &first)]);
    next_run(folder.path(), "access.log", EXTENT).await;
    for entry in std::fs::read_dir(folder.path().join("index")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"logsql index 1\r\nand then garbage").unwrap();
    }
    assert_eq!(next_run(folder.path(), "access.log", MINUTE).await.0, ["60"]);
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    std::fs::write(folder.path().join("index"), b"a file").unwrap();
    assert_eq!(next_run(folder.path(), "access.log", MINUTE).await.0, ["60"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_depend_on_the_time_of_the_file_are_forgotten_when_it_grows() {
    let line = |i: usize| format!("Nov {:2} {:02}:{:02}:00 web1 app: {i}\n", 1 + i / 1440, i / 60 % 24, i % 60);
    let text = |count: usize| (0..count).map(line).collect::<String>();
    let folder = folder(&[("syslog", text(3000).as_bytes())]);
    let extent = "SELECT count(*), max(time) - min(time) FROM syslog";
    let (first, _) = next_run(folder.path(), "syslog", extent).await;
    let (again, report) = next_run(folder.path(), "syslog", extent).await;
    assert_eq!((first, report[0].bytes_read), (again, 0));
    std::fs::write(folder.path().join("syslog"), text(3100)).unwrap();
    let (rows, report) = next_run(folder.path(), "syslog", "SELECT count(*) FROM syslog WHERE time IS NOT NULL").await;
    assert_eq!((rows, report[0].bytes_skipped), (vec!["3100".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_file_that_was_read_once_is_entered_in_the_middle() {
    let line = |i: usize| {
        let stamp = format!("[21/Nov/2026:{:02}:{:02}:{:02} ", i / 3600, i / 60 % 60, i % 60);
        let noise = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ACCESS
            .replace("[21/Nov/2026:00:55:04 ", &stamp)
            .replace("/a ", &format!("/{i}/{noise:x}{:x}{:x} ", noise ^ 77, noise.rotate_left(9)))
    };
    let text: String = (0..60_000).map(line).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(3));
    packed.write_all(text.as_bytes()).unwrap();
    let folder = folder(&[("access.log.gz", &packed.finish().unwrap())]);
    let options = || {
        let read = crate::source::ReadOptions { restart_bytes: 200_000, ..crate::source::ReadOptions::default() };
        ScanOptions { read, ..keeping(folder.path()) }
    };
    let input = || InputSpec::Args(vec![folder.path().join("access.log.gz").into()]);
    let hour = "SELECT count(*), min(path), max(_line), min(_line) FROM access_log \
                WHERE time >= '2026-11-21T05:00:00Z' AND time < '2026-11-21T06:00:00Z'";
    let first = Session::new(input(), options(), 2);
    let expected = first.rows(hour).await;
    assert!(expected[0].starts_with("3600|/18000/") && expected[0].ends_with("|21600|18001"), "{expected:?}");
    assert_eq!(skipped(&first), 0);
    first.schema.context().keep_learned();
    let again = Session::new(input(), options(), 2);
    assert_eq!(again.rows(hour).await, expected);
    let report = again.report();
    let file = &report[0];
    assert!(file.bytes_skipped > file.bytes / 2 && file.bytes_read < file.bytes / 2, "{report:?}");
    assert!(file.remarks.is_empty() && file.counts.balanced() && file.status == FileStatus::PartsSkipped, "{report:?}");
    // All of it, by several readers at once.
    let all = "SELECT count(*), count(DISTINCT path), sum(_line) FROM access_log WHERE status = 200";
    assert_eq!(again.rows(all).await, first.rows(all).await);
    assert_eq!(again.report()[0].status, FileStatus::Read);
    assert_eq!(again.rows("SELECT count(*) FROM access_log").await, ["60000"]);
    let plan = again.plan("SELECT count(*) FROM access_log").await;
    assert!(plan.contains("PlaceholderRowExec"), "{plan}");
    // Compressed anew, it is another file.
    let mut other = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(2));
    other.write_all(text.as_bytes()).unwrap();
    std::fs::write(folder.path().join("access.log.gz"), other.finish().unwrap()).unwrap();
    let anew = Session::new(input(), options(), 2);
    assert_eq!((anew.rows(hour).await, skipped(&anew)), (expected, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_that_is_cut_before_its_first_block_is_not_empty() {
    let whole = zstd::bulk::compress(&access_lines(1000), 3).unwrap();
    for cut in [5, 20, whole.len() / 2] {
        let folder = folder(&[("access.log.zst", &whole[..cut])]);
        let session = Session::new(InputSpec::Args(vec![folder.path().join("access.log.zst").into()]), ScanOptions::default(), 2);
        assert_eq!(session.rows("SELECT count(*) FROM access_log").await, ["0"], "{cut}");
        let report = session.report();
        assert!(
            report.iter().any(|file| file.status == FileStatus::Failed && file.remarks[0].severity == Severity::Loss),
            "{report:?}"
        );
    }
}
