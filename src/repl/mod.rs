//! (being written)
#![expect(missing_docs)]
use crate::output::OutputOptions;
use crate::session::Session;
use crate::table::{FileReport, Summary};
pub struct ReplOptions<'a> {
    pub output: OutputOptions,
    pub rc: Option<String>,
    pub quiet: bool,
    pub report: &'a dyn Fn(&[FileReport], Summary, u64),
}
#[derive(Debug, thiserror::Error)]
pub enum ReplError {}
pub fn run(_: &tokio::runtime::Runtime, _: &Session, _: ReplOptions<'_>) -> Result<(), ReplError> {
    Ok(())
}
