//! logsql: every log on a machine, and every archive of one, is a SQL table.
//!
//! ```text
//!   L5  cli, main.rs     options → config → one call
//!   L4  repl, report     the faces; they share through L3, never with each other
//!   L3  session, output  one place that builds a session; writers
//!       query, settings  saved queries; files of settings
//!       schedule         what is due, and what has happened
//!       store            logs as Parquet
//!       propose          a definition for lines that no format takes
//!   L2  table, function  the DataFusion seam: tables, push-down, detection of each file; SQL functions
//!   L1  source           bytes of files and streams; what a file was when it was opened
//!       interrupt        Ctrl-C
//!   L0  kernel           definitions, scanning, decoding: knows no files and no SQL (package `logsql-kernel`)
//! ```
//!
//! A layer imports only from the ones below it; `tests/it/layering.rs` holds that.

pub use logsql_kernel as kernel;

pub mod cli;
pub mod function;
mod interrupt;
pub mod output;
pub mod propose;
pub mod query;
pub mod repl;
pub mod report;
pub mod schedule;
pub mod session;
pub mod settings;
pub mod source;
pub mod store;
pub mod table;
