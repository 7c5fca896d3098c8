//! Log files as DataFusion tables.
//!
//! ```text
//!   name in the query ──► LogSchema (catalog.rs) ──► LogTable ──► FileSet ──► Listing: files, formats
//!   CREATE EXTERNAL TABLE ─► LogTableFactory ───────────▲ │ scan
//!                                                         ▼
//!                              DataSourceExec ── LogSource (source.rs, pushdown.rs)
//!                                                         │ one piece of one file
//!                                                         ▼
//!                                            LogOpener ── kernel::decode ──► RecordBatch
//!                                                         │
//!                                                         └──► ScanReport ──► `scan_report`, the lines on stderr
//! ```
//!
//! The contract with the layer above: call [`ScanReport::begin_query`] before a query is planned, so that its tables look
//! at their files anew; rewrite its `*` with [`star::hide_meta`]; run it; then read [`ScanReport::current`].
//!
//! Nothing here reads bytes (layer 1 does) or knows what a line means (layer 0 does).

mod bounds;
pub mod catalog;
mod error;
pub mod factory;
mod facts;
mod file_index;
mod file_set;
mod gap;
mod history;
mod lanes;
mod log_table;
mod opener;
mod options;
mod pushdown;
mod report;
mod saved_index;
mod source;
pub mod star;
mod stores;
mod values;

pub use error::{TableError, nearest};
pub use file_set::{FileFormat, FileSet, InputSpec, Listing, LogFile};
pub use history::{Begin, History, HistoryTable, Part, Rest, Stored, def_of, log_table_of};
pub use log_table::LogTable;
pub use opener::LogOpener;
pub use options::{ConfiguredLog, Formats, MakeFormats, OnChange, ScanContext, ScanOptions};
pub use report::{FileReport, FileStatus, LineCounts, Progress, Remark, ReportTable, SCAN_REPORT, ScanReport, Summary};
pub use saved_index::{IndexEntry, IndexOptions, IndexedTable};
pub use source::{LogSource, settle};
pub use stores::Stores;

#[cfg(test)]
mod tests;
