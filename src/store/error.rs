//! What can be wrong with a store.

use std::io;
use std::path::PathBuf;

use datafusion::error::DataFusionError;

use crate::table::TableError;

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("cannot {verb} `{}`", .path.display())]
    Io {
        /// What was to be done.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no store.
    #[error("`{}` is no store", .path.display())]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// A folder with something else in it.
    #[error("`{}` is not empty, and no store", .path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A store of another version of the program.
    #[error("`{}` has form {version}, which this program does not know", .path.display())]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its form.
        version: u32,
    },
    /// Somebody else writes.
    #[error("`{}` is being written by {owner}", .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who it is.
        owner: String,
    },
    /// A Parquet file that was just written cannot be read back.
    #[error("`{}` cannot be read back: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A Parquet file cannot be encoded.
    #[error("cannot encode `{}`", .path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The logs cannot be scanned.
    #[error(transparent)]
    Scan(#[from] DataFusionError),
    /// The logs cannot be listed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A task of ours ended without an answer.
    #[error("internal error while {doing}")]
    Task {
        /// What it did.
        doing: &'static str,
    },
}

impl StoreError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoStore { .. } => {
                Some("a store is made by `logsql convert PATH… -o DIR` or `logsql collect --store DIR`".to_owned())
            }
            Self::Occupied { .. } => Some("name a folder that is empty, or does not exist yet".to_owned()),
            Self::Version { .. } => Some("use the version of logsql that wrote it, or a newer one".to_owned()),
            Self::Locked { .. } => Some("one writer at a time: wait for it, or end it".to_owned()),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "nothing was lost: what was collected so far is in the store, and the next run goes on from there".to_owned(),
            ),
            Self::Unreadable { .. } => {
                Some("the disk or its memory may be failing; what was there before is untouched".to_owned())
            }
            Self::Table(error) => error.hint(),
            _ => None,
        }
    }
}
