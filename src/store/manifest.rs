//! What a store holds: one file that names all others, and says up to where each log was collected.
//!
//! ```text
//!   logsql-store.json    { files: table, day, name, rows, bytes, times;  sources: which log, collected up to where;  removed }
//! ```
//!
//! Rows and checkpoints change together because they are in one file, which is replaced as a whole: whoever reads it sees the rows
//! before a collection and the checkpoints before it, or both after it. A Parquet file that it does not name is not part of the
//! store.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::error::StoreError;

/// Its name in the folder of the store.
pub const MANIFEST: &str = "logsql-store.json";

/// The form that is written; another one is refused.
const VERSION: u32 = 1;

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the rest.
    logsql_store: u32,
    /// How often it was replaced.
    pub generation: u64,
    /// The column `_raw` is kept.
    pub raw: bool,
    /// The Parquet files.
    pub files: Vec<StoredFile>,
    /// The logs, and up to where each one was collected.
    pub sources: Vec<Source>,
    /// Files that are no part of it any more, and may still be read by a query.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path in the store.
    pub name: String,
    /// Its table.
    pub table: String,
    /// The day of its rows, UTC; `None` where they have no time.
    pub day: Option<String>,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The earliest time of its rows, in microseconds since 1970.
    pub min_time: Option<i64>,
    /// The latest.
    pub max_time: Option<i64>,
    /// Rows without a time.
    pub timeless: u64,
    /// When the logs of rows without a time were written last, in microseconds since 1970.
    pub written: i64,
}

impl StoredFile {
    /// The latest time of a row, or of the logs where rows have none.
    pub fn latest(&self) -> i64 {
        self.max_time.unwrap_or(self.written)
    }
}

/// One log, and up to where it was collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Where it was last seen.
    pub path: PathBuf,
    /// Its device and inode there.
    pub dev: u64,
    /// See `dev`.
    pub ino: u64,
    /// The state of the file when it was collected, or of the archive that it is in.
    pub state: State,
    /// Where it begins in its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<u64>,
    /// The text that was collected; `None` where the file was only seen packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// All of the file in this state was collected.
    pub done: bool,
    /// When it was last seen, in seconds since 1970.
    pub seen: i64,
}

/// What tells one state of a file from another, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    /// Its size.
    pub size: u64,
    /// The hash of its first 1 KiB.
    pub head: u64,
    /// The hash of its last 64 bytes.
    pub tail: u64,
}

/// The text of a log up to where it was collected. It is known again by this whatever becomes of its file: another name, another inode,
/// compressed, copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Bytes that were collected.
    pub end: u64,
    /// Number of the line that begins there, from 1.
    pub line: u64,
    /// The hash of the first 1 KiB, or of all if that is less.
    pub head: u64,
    /// The hash of the last 64 bytes before the end, or of all if that is less.
    pub tail: u64,
}

impl Manifest {
    /// Of a new store.
    pub fn new(raw: bool) -> Self {
        Self { logsql_store: VERSION, raw, ..Self::default() }
    }

    /// Reads that of the store in `folder`.
    pub fn read(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(MANIFEST);
        let failed = |source| StoreError::Io { verb: "read", path: path.clone(), source };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoStore { path: folder.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        match manifest.logsql_store {
            VERSION => Ok(manifest),
            version => Err(StoreError::Version { path, version }),
        }
    }

    /// Puts it in the place of the one of the store: there is the old one or this one at any moment.
    pub fn publish(&self, folder: &Path, temporary: &Path, disk: &dyn Disk) -> Result<(), StoreError> {
        let path = folder.join(MANIFEST);
        let failed = |source| StoreError::Io { verb: "write", path: path.clone(), source };
        let text = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let mut file = disk.create(temporary).map_err(failed)?;
        let written = file.write_all(&text).and_then(|()| file.flush()).and_then(|()| file.sync());
        drop(file);
        let published = written.and_then(|()| disk.rename(temporary, &path));
        if let Err(error) = published {
            // Best effort; the next writer sweeps.
            let _ = disk.remove(temporary);
            return Err(failed(error));
        }
        disk.sync_folder(folder).map_err(failed)
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
