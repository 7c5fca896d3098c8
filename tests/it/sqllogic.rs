//! What SQL means: `testdata/slt/*.slt`, one topic per file, an own session each, read in several ways with the same rows.
//!
//! `UPDATE_SLT=1 cargo test --test it sqllogic` writes what comes out; read it before you keep it.

use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::StreamExt as _;
use logsql::session::{QueryError, Session};
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer, default_validator,
};

use super::{READINGS, Reading, root, session};

struct Db(Session);

#[async_trait]
impl AsyncDB for Db {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, QueryError> {
        let mut rows = vec![];
        let mut columns = 0;
        let mut shows = false;
        for statement in self.0.statements(sql)? {
            let mut answer = self.0.run(statement).await?;
            shows = answer.shows;
            columns = answer.rows.schema().fields().len();
            while let Some(batch) = answer.rows.next().await {
                let batch = batch.map_err(|error| self.0.explain(&error))?;
                let options = FormatOptions::default().with_null("NULL");
                let formatters: Vec<ArrayFormatter<'_>> = batch
                    .columns()
                    .iter()
                    .map(|column| ArrayFormatter::try_new(column, &options).expect("can be shown"))
                    .collect();
                for row in 0..batch.num_rows() {
                    if sql.starts_with("EXPLAIN") {
                        rows.extend(scan_line(&formatters[1].value(row).to_string()).map(|line| vec![line]));
                        columns = 1;
                        continue;
                    }
                    let cell = |formatter: &ArrayFormatter<'_>| {
                        let text = formatter.value(row).to_string();
                        if text.is_empty() {
                            "(empty)".to_owned()
                        } else if text.trim().is_empty() {
                            "(blank)".to_owned()
                        } else {
                            text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
                        }
                    };
                    rows.push(formatters.iter().map(cell).collect());
                }
            }
        }
        Ok(if shows {
            DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows }
        } else {
            DBOutput::StatementComplete(0)
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "logsql"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The line of the scan in a physical plan, without its files: where they are depends on the checkout.
fn scan_line(plan: &str) -> Option<String> {
    let line = plan.lines().find(|line| line.contains("DataSourceExec: "))?.trim();
    let (before, behind) = line.split_once("file_groups={")?;
    let (_, behind) = behind.split_once("}, ")?;
    let above = plan.lines().filter(|line| line.contains("FilterExec")).count();
    Some(format!("{before}{behind}{}", if above > 0 { " below a FilterExec" } else { "" }))
}

#[test]
fn sql_gives_the_same_rows_however_files_are_read() {
    std::env::set_current_dir(root()).expect("the repository");
    let mut files: Vec<_> =
        std::fs::read_dir("testdata/slt").expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 5, "the files are gone: {files:?}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let mut failures = vec![];
    for file in &files {
        if std::env::var_os("UPDATE_SLT").is_some() {
            let mut runner = Runner::new(|| async { Ok(Db(session(vec![], READINGS[0]))) });
            let updated = runtime.block_on(runner.update_test_file(
                file,
                "\t",
                default_validator,
                default_normalizer,
                default_column_validator,
            ));
            updated.expect("updated");
            continue;
        }
        for reading in READINGS {
            let mut runner = Runner::new(|| async { Ok(Db(session(vec![], reading))) });
            if let Err(error) = runtime.block_on(runner.run_file_async(file)) {
                failures.push(format!("{reading:?}: {error}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Each function that is ours is told in `\h`, with an example that gives what it says.
#[test]
fn every_function_of_ours_has_an_example_that_runs() {
    std::env::set_current_dir(root()).expect("the repository");
    let logs = ["testdata/logs/nginx/combined.log", "testdata/logs/syslog/traditional.log"].map(Into::into).to_vec();
    let session = session(logs, READINGS[0]);
    let engine = datafusion::prelude::SessionContext::new().state();
    let known = |name: &String| {
        engine.scalar_functions().contains_key(name)
            || engine.aggregate_functions().contains_key(name)
            || engine.window_functions().contains_key(name)
    };
    let ours: Vec<String> = session.function_names().into_iter().filter(|name| !known(name)).collect();
    let described = logsql::function::described();
    let mut names: Vec<String> = described.iter().map(|function| function.name.to_owned()).collect();
    names.sort();
    assert_eq!(names, ours);
    let mut db = Db(session);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let mut run = |sql: &str| match runtime.block_on(db.run(sql)) {
        Ok(DBOutput::Rows { rows, .. }) => rows,
        Ok(_) => panic!("{sql}: it gives no rows"),
        Err(error) => panic!("{sql}: {error}"),
    };
    for function in &described {
        let example = function.example;
        assert!(example.contains(&format!("{}(", function.name)) && !function.about.is_empty(), "{}", function.name);
        if example.starts_with("SELECT ") {
            assert!(!run(example).is_empty(), "{example}: no rows");
            continue;
        }
        for case in example.replace(&format!("; {}(", function.name), &format!("\n{}(", function.name)).lines() {
            let (expression, expected) = case.split_once(" → ").unwrap_or_else(|| panic!("{example}: what does it give?"));
            let found = run(&format!("SELECT {expression}")).remove(0).remove(0);
            assert_eq!(found.trim_end_matches(".0"), expected, "{expression}");
        }
        let nulls = vec!["NULL"; function.usage.split(", ").filter(|arg| !arg.contains('[')).count()];
        let call = format!("{}({})", function.name, nulls.join(", "));
        assert_eq!(run(&format!("SELECT {call}")), [["NULL"]], "NULL in, NULL out: {call}");
    }
}

#[test]
fn the_readings_differ() {
    let cut: Vec<Reading> = READINGS.into_iter().filter(|reading| reading.piece_bytes < 1000).collect();
    assert!(!cut.is_empty(), "no reading cuts files into small pieces");
}
