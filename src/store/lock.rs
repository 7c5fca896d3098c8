//! Who may write, and who reads.
//!
//! ```text
//!   .lock      held alone by a writer, as long as it lives; says who that is
//!   .readers   shared by queries; held alone, for a moment, by a writer that removes files
//! ```
//!
//! Both are locks of the kernel on open files: they end with their process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::error::StoreError;

const LOCK: &str = ".lock";
const READERS: &str = ".readers";

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(super) struct WriteLock {
    _file: File,
}

impl WriteLock {
    /// Fails at once if somebody else has it. `command` is who we are, for the others.
    pub(super) fn take(folder: &Path, command: &str) -> Result<Self, StoreError> {
        let path = folder.join(LOCK);
        let failed = |source| StoreError::Io { verb: "lock", path: path.clone(), source };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Who it is is a help only.
                let _ = (&mut file).take(200).read_to_string(&mut owner);
                let owner = owner.trim();
                let owner = if owner.is_empty() { "another process".to_owned() } else { owner.to_owned() };
                return Err(StoreError::Locked { path: folder.to_owned(), owner });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let me = format!("process {} (`logsql {command}`, since {:.0})\n", std::process::id(), jiff::Timestamp::now());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(me.as_bytes()));
        written.map_err(failed)?;
        // A query may only be able to read the folder: what it locks has to be there.
        drop(OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(READERS)).map_err(failed)?);
        Ok(Self { _file: file })
    }
}

/// As long as somebody has this, no file of the store is removed.
#[derive(Debug)]
pub(super) struct ReadLock {
    _file: Option<File>,
}

impl ReadLock {
    /// Waits for a writer that is removing files: a moment. Where there is nothing to lock there is no writer.
    pub(super) fn take(folder: &Path) -> Self {
        let file = File::open(folder.join(READERS)).ok().filter(|file| file.lock_shared().is_ok());
        Self { _file: file }
    }
}

/// Runs `remove` if no query reads the store at this moment.
pub(super) fn without_readers<T>(folder: &Path, remove: impl FnOnce() -> T) -> Option<T> {
    let file = OpenOptions::new().write(true).open(folder.join(READERS)).ok()?;
    file.try_lock().is_ok().then(remove)
}
