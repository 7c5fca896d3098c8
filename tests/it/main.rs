//! The one integration test binary: linking it costs most of the time, so there is no second one.
//!
//! - `layering`: which layer may use which.
//! - `sqllogic`: what SQL means, in `testdata/slt/*.slt`, read several ways with the same rows.
//! - `cli`: the binary as users see it: output, messages, exit codes.
//! - `identity`: every line has its place, in every plan, over all of testdata and the corpus.
//! - `terminal`: the REPL on a terminal, by its keys and its screen.
//! - `report`: every saved query runs, with rows where there are logs for it; pages are harmless whatever a log holds.
//! - `propose`: definitions that are proposed for unknown logs pass their samples and read the logs.
//! - `schedule`: jobs, what they deliver, and what is left when their process is killed.
//! - `store`: logs converted and collected, read back, and a collector that is killed.
//! - `remote`: logs in a store of a cloud and on a web server.
//! - `readme`: the commands of the README do what it says.

mod cli;
mod identity;
mod layering;
mod propose;
mod readme;
mod remote;
mod report;
mod schedule;
mod sqllogic;
mod store;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::tz::TimeZone;
use logsql::session::{Session, SessionOptions, TimeWindow};
use logsql::store::Copies;
use logsql::table::{InputSpec, ScanOptions};

/// The repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// logsql in the repository's folder, with an empty home and nothing of the caller's environment or of this machine's servers that it heeds.
fn logsql(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logsql"));
    command
        .current_dir(root())
        .env_clear()
        .env("LOGSQL_NO_SERVER_CONFIG", "true")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("TZ", "UTC").env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs it: exit code, stdout, stderr.
fn ran(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// How a test reads.
#[derive(Clone, Copy, Debug)]
struct Reading {
    partitions: usize,
    piece_bytes: u64,
}

/// Ways of reading that have to give the same rows: alone, beside each other, and in tiny pieces.
const READINGS: [Reading; 4] = [
    Reading { partitions: 1, piece_bytes: 16 << 20 },
    Reading { partitions: 2, piece_bytes: 16 << 20 },
    Reading { partitions: 7, piece_bytes: 4096 },
    Reading { partitions: 2, piece_bytes: 97 },
];

fn session(inputs: Vec<PathBuf>, reading: Reading) -> Session {
    let options = SessionOptions {
        inputs: InputSpec::Args(inputs.into_iter().map(Into::into).collect()),
        store: None,
        copies: Copies::Skip,
        bindings: vec![],
        definition_folders: vec![],
        server_root: None,
        scan: ScanOptions { piece_bytes: reading.piece_bytes, zone: TimeZone::UTC, ..ScanOptions::default() },
        window: TimeWindow::default(),
        memory_bytes: 512 << 20,
        disk_bytes: 1 << 30,
        threads: reading.partitions,
        shown_zone: None,
        settings: vec![],
        pseudonyms: None,
    };
    Session::try_new(&options).expect("a session")
}
