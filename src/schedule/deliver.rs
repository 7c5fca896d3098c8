//! Files and commands; mails are in `mail.rs`.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::job::{Job, Target};
use super::mail::{self, MailSettings};
use super::run::{DeliveryError, Made, Run};
use crate::output::{sanitise_cell, write_whole};

/// What is kept of what a command says when it fails.
const MOST_SAID: usize = 2000;

/// A result that is to be handed over.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Whose it is.
    pub job: &'a Job,
    /// Of which run.
    pub run: &'a Run,
    /// What there is.
    pub made: &'a Made,
}

impl DeliveryError {
    /// It did not happen.
    pub(super) fn certain(message: impl Into<String>) -> Self {
        Self { message: message.into(), in_doubt: false }
    }

    /// It may have happened.
    pub(super) fn doubtful(message: impl Into<String>) -> Self {
        Self { message: message.into(), in_doubt: true }
    }
}

/// Hands a result over.
pub fn deliver(report: Report<'_>, target: Target, mail: &MailSettings) -> Result<(), DeliveryError> {
    let Report { job, run, made } = report;
    let read = || {
        let failed = |error| DeliveryError::certain(format!("cannot read `{}`: {error}", made.file.display()));
        std::fs::read(&made.file).map_err(failed)
    };
    match target {
        Target::File => {
            let path =
                job.file_for(run.due).unwrap_or_else(|| Err("there is no name".to_owned())).map_err(DeliveryError::certain)?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|error| DeliveryError::certain(format!("cannot make `{}`: {error}", folder.display())))?;
            }
            write_whole(read()?, &path).map_err(|error| {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                DeliveryError::certain(format!("{error}{cause}"))
            })
        }
        Target::Pipe => pipe(report, job.pipe.as_deref().unwrap_or_default(), &read()?),
        Target::Mail => mail::send(report, mail),
    }
}

/// Runs a command with the result as its standard input.
fn pipe(report: Report<'_>, command: &str, input: &[u8]) -> Result<(), DeliveryError> {
    let Report { job, run, made } = report;
    let text = |moment: Option<jiff::Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("LOGSQL_RUN_JOB", &job.name)
        .env("LOGSQL_RUN_ID", &run.id)
        .env("LOGSQL_RUN_DUE", run.due.to_string())
        .env("LOGSQL_RUN_SINCE", text(run.since))
        .env("LOGSQL_RUN_UNTIL", run.until.to_string())
        .env("LOGSQL_RUN_ROWS", made.rows.to_string())
        .env("LOGSQL_RUN_TITLE", &made.title)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own, so that all of it ends with the time that it has.
        .process_group(0)
        .spawn()
        .map_err(|error| DeliveryError::certain(format!("cannot start `{command}`: {error}")))?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that reads nothing is free to: its exit code says whether it is content.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&input);
        }
    });
    let reader = std::thread::spawn(move || {
        let mut said = vec![];
        if let Some(mut stderr) = stderr {
            let mut block = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut block) {
                said.extend_from_slice(&block[..read.min(MOST_SAID.saturating_sub(said.len()))]);
            }
        }
        said
    });
    let ends = Instant::now() + job.timeout;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < ends => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let group = libc::pid_t::try_from(child.id()).unwrap_or(libc::pid_t::MAX);
                // SAFETY: `killpg` touches no memory; the group is that of the child, which has not been waited for.
                unsafe { libc::killpg(group, libc::SIGKILL) };
                let _ = child.wait();
                return Err(DeliveryError::doubtful(format!("`{command}` took longer than {} s", job.timeout.as_secs())));
            }
            Err(error) => return Err(DeliveryError::doubtful(format!("cannot wait for `{command}`: {error}"))),
        }
    };
    let _ = writer.join();
    if status.success() {
        // What a child of it left running in the background holds open is not waited for.
        return Ok(());
    }
    let said = reader.join().unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = sanitise_cell(said.trim());
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    // It says itself that it failed.
    Err(DeliveryError::certain(format!("`{command}` ended with {status}{said}")))
}
