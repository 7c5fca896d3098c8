//! The part of logsql that turns bytes of logs into Arrow batches. It knows no files, no clock and no SQL.
//!
//! ```text
//!   definition (TOML) ──► Format ──► Pattern { Matcher }        format/   what a log line looks like
//!                                       │
//!   bytes ──► records ──► Matcher ──► Spans                     scan/     where its fields are
//!                            │           │
//!                            │           └─► columns ──► RecordBatch      decode/   what they are worth
//!                            └─► lines that fit nothing ──► `unparsed`
//! ```
//!
//! The caller gives bytes of one piece of a file, in order; [`decode::LogDecoder`] gives batches and counts.

pub mod decode;
pub mod format;
pub mod scan;
pub mod table;
