//! Logs as Parquet: what was converted or collected, and how it is read together with what was not yet.
//!
//! ```text
//!   logs ──seam.rs: what is new──► collect.rs ─sort.rs──► write.rs ──► table=…/date=…/17-0.parquet ─┐
//!                                     │                                                             ├─► table.rs ──► queries
//!                                     └─ writer.rs: one commit ─► logsql-store.json ────────────────┘
//!                                          rows and checkpoints together    ▲
//!                                                     keep.rs: small files to large ones, old ones away
//! ```
//!
//! | file | question |
//! |---|---|
//! | `manifest.rs` | What does the store hold, and up to where was each log collected? |
//! | `seam.rs` | Which log is this file, and what of it is in the store? |
//! | `collect.rs` | How does what is new get there? |
//! | `follow.rs` | What is new for somebody who just looks on? |
//! | `sort.rs` | In which order are rows stored? |
//! | `write.rs`, `derive.rs` | How are rows written, and which columns follow from others? |
//! | `writer.rs`, `disk.rs`, `lock.rs` | How is it there as a whole or not at all? |
//! | `keep.rs` | What becomes of small and of old files? |
//! | `table.rs` | How is it read? |

mod collect;
mod derive;
mod disk;
mod error;
mod follow;
mod keep;
mod lock;
mod manifest;
mod seam;
mod sort;
mod table;
mod write;
mod writer;

use std::path::Path;

pub use collect::{CollectOptions, Collected, Sizes, collect};
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::StoreError;
pub use follow::Follower;
pub use keep::{KeepOptions, Kept, keep};
pub use manifest::{MANIFEST, Manifest, Source, State, StoredFile, Text};
pub use seam::Copies;
pub use table::StoreHistory;
pub use writer::StoreWriter;

/// Is there a store in this folder?
pub fn is_store(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file()
}

#[cfg(test)]
mod tests;
