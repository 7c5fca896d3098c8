//! What a session decides about scanning, and what all its tables share.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::file_set::LogFile;
use super::report::ScanReport;
use super::saved_index::{self, IndexOptions};
use crate::kernel::format::Catalog;
use crate::source::{ReadOptions, ResolveOptions, Snapshot, stable_hash};

/// What happens to a query when one of its files changes under it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// The rest of the file is left out, and the report says so.
    #[default]
    Report,
    /// The query fails.
    Fail,
}

/// How files are scanned.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// How bytes are read.
    pub read: ReadOptions,
    /// How arguments become files.
    pub resolve: ResolveOptions,
    /// Size of the pieces that a large plain file is cut into.
    pub piece_bytes: u64,
    /// How much is decoded before other tasks get their turn: what cancelling waits for.
    pub step_bytes: usize,
    /// Bytes of one sample (head, middle, tail) that a format is detected from.
    pub sample_bytes: usize,
    /// What a record may be long at most; the rest of a longer one is skipped.
    pub max_record_bytes: usize,
    /// Zone of stamps without one.
    pub zone: TimeZone,
    /// How far a line may be from its place in the order of time, where the user says so: then pieces are skipped by the
    /// stamps at their ends.
    pub assume_ordered: Option<Duration>,
    /// The format of all inputs, where the user named it; otherwise each file's content decides.
    pub input_format: Option<String>,
    /// What to do about a file that changes while it is read.
    pub on_change: OnChange,
    /// Where what is found out about large files is kept from run to run, if it is.
    pub index: Option<IndexOptions>,
}

/// The formats that a session knows.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    /// Their definitions.
    pub catalog: Arc<Catalog>,
    /// Logs that servers are configured to write, and the formats they are then in.
    pub configured: Vec<ConfiguredLog>,
}

/// What gives the formats of a session as soon as a query needs them: `SELECT 1` waits for no server's configuration.
pub type MakeFormats = Box<dyn FnOnce() -> Formats + Send>;

/// A log that some configuration or definition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredLog {
    /// Its path from the root on, with wildcards.
    pub pattern: PathBuf,
    /// The family that reads it, where that is known: it is preferred, as long as the content does not say otherwise.
    pub format: Option<String>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            resolve: ResolveOptions::default(),
            piece_bytes: 16 << 20,
            step_bytes: 1 << 20,
            sample_bytes: 64 << 10,
            max_record_bytes: 1 << 20,
            zone: TimeZone::UTC,
            assume_ordered: None,
            input_format: None,
            on_change: OnChange::Report,
            index: None,
        }
    }
}

/// What all tables of a session share.
#[derive(Debug)]
pub struct ScanContext {
    formats: LazyLock<Formats, MakeFormats>,
    /// The decisions.
    pub options: ScanOptions,
    /// What was read, and what was not.
    pub report: Arc<ScanReport>,
    /// Files that something was found out about which is to be kept.
    learned: Mutex<Vec<Weak<LogFile>>>,
    fingerprint: OnceLock<u64>,
}

impl ScanContext {
    /// A context with an empty report.
    pub fn new(formats: MakeFormats, options: ScanOptions) -> Self {
        let (report, learned, fingerprint) = (Arc::new(ScanReport::default()), Mutex::default(), OnceLock::new());
        Self { formats: LazyLock::new(formats), options, report, learned, fingerprint }
    }

    /// The formats.
    pub fn formats(&self) -> &Arc<Catalog> {
        &self.formats.catalog
    }

    /// Logs that some configuration or definition names.
    pub(super) fn configured(&self) -> &[ConfiguredLog] {
        &self.formats.configured
    }

    /// A number that is another one as soon as any definition is.
    pub(super) fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| self.formats().fingerprint(stable_hash))
    }

    /// Is what is found out about this file kept?
    pub(super) fn keeps(&self, snapshot: &Snapshot) -> bool {
        self.options.index.as_ref().is_some_and(|index| index.takes(snapshot))
    }

    /// Something was found out about a file.
    pub(super) fn learned(&self, file: &Arc<LogFile>) {
        if !self.keeps(&file.snapshot) {
            return;
        }
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if !learned.iter().any(|known| known.as_ptr() == Arc::as_ptr(file)) {
            learned.push(Arc::downgrade(file));
        }
    }

    /// Writes down what the scans so far have found out. This writes to a disk.
    pub fn keep_learned(&self) {
        let learned = std::mem::take(&mut *self.learned.lock().unwrap_or_else(PoisonError::into_inner));
        for file in learned.iter().filter_map(Weak::upgrade) {
            saved_index::keep(self, &file);
        }
    }
}
