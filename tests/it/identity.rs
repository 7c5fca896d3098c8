//! Every line has its place, whatever is asked and however files are cut; and the rows are the same.
//!
//! Over all of testdata; and, where `LOGSQL_CORPUS` names a folder of real logs, over that.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use logsql::session::Session;

use super::{Reading, root, session};

const TABLES: [&str; 5] = ["access_log", "error_log", "dns_log", "syslog", "unparsed"];

/// Plans that look at lines in different ways.
fn queries(table: &str) -> Vec<String> {
    let mut queries = vec![format!("SELECT count(*) FROM {table}"), format!("SELECT * FROM {table}")];
    if table != "unparsed" {
        queries.push(format!("SELECT _line, _offset, * FROM {table}"));
        queries.push(format!("SELECT count(*) FROM {table} WHERE time IS NOT NULL"));
        queries.push(format!("SELECT _raw FROM {table} WHERE _line % 3 = 1"));
    }
    queries
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

/// The number of rows; all lines of all files have to be accounted for.
async fn rows(session: &Session, sql: &str) -> usize {
    let mut total = 0;
    for statement in session.statements(sql).expect("parses") {
        let mut answer = session.run(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        while let Some(batch) = answer.rows.next().await {
            let batch = batch.unwrap_or_else(|error| panic!("{sql}: {error}"));
            total += if sql.starts_with("SELECT count") {
                arrow::array::cast::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0)).value(0) as usize
            } else {
                batch.num_rows()
            };
        }
    }
    session.report().settle().await;
    for file in session.report().current() {
        assert!(file.counts.balanced(), "{sql}: {}: {:?}", file.path.display(), file.counts);
    }
    total
}

fn check(all: &[PathBuf], readings: &[Reading]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    for group in all.chunks(40) {
        for table in TABLES {
            for query in queries(table) {
                let counts: Vec<usize> =
                    readings.iter().map(|&reading| runtime.block_on(rows(&session(group.to_vec(), reading), &query))).collect();
                assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{query}: {counts:?} over {group:?}");
            }
        }
    }
}

#[test]
fn every_line_of_testdata_has_its_place_in_every_plan() {
    let mut all = vec![];
    files(&root().join("testdata/logs"), &mut all);
    assert!(all.len() > 60, "testdata is gone");
    check(&all, &super::READINGS);
}

#[test]
fn every_line_of_the_corpus_has_its_place_in_every_plan() {
    let Some(folder) = std::env::var_os("LOGSQL_CORPUS") else {
        // The corpus is not part of the repository. libtest has no way to say that a test was skipped but its output.
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: LOGSQL_CORPUS is not set\n").expect("stderr");
        return;
    };
    let mut all = vec![];
    files(Path::new(&folder), &mut all);
    all.retain(|path| !path.components().any(|part| part.as_os_str() == "pcap"));
    check(&all, &[super::READINGS[0], Reading { partitions: 2, piece_bytes: 997 }]);
}
