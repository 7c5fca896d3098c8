//! What a session decides about scanning, and what all its tables share.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::report::ScanReport;
use crate::kernel::format::Catalog;
use crate::source::{ReadOptions, ResolveOptions};

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
        }
    }
}

/// What all tables of a session share.
#[derive(Debug)]
pub struct ScanContext {
    /// The formats.
    pub formats: Arc<Catalog>,
    /// The decisions.
    pub options: ScanOptions,
    /// What was read, and what was not.
    pub report: Arc<ScanReport>,
}

impl ScanContext {
    /// A context with an empty report.
    pub fn new(formats: Arc<Catalog>, options: ScanOptions) -> Self {
        Self { formats, options, report: Arc::new(ScanReport::default()) }
    }
}
