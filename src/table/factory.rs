//! `CREATE EXTERNAL TABLE name STORED AS ACCESS_LOG LOCATION 'glob' [OPTIONS ('format' 'name')]`.

use std::ffi::OsString;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::CreateExternalTable;

use super::error::TableError;
use super::file_set::{FileSet, InputSpec};
use super::log_table::LogTable;
use super::options::ScanContext;
use crate::kernel::table::{TableDef, tables};

/// Makes external tables of one table of the taxonomy.
#[derive(Debug)]
pub struct LogTableFactory {
    context: Arc<ScanContext>,
    def: &'static TableDef,
}

/// One factory for each table, under the name that `STORED AS` has for it.
pub fn factories(context: &Arc<ScanContext>) -> Vec<(String, Arc<dyn TableProviderFactory>)> {
    let factory = |def: &'static TableDef| -> Arc<dyn TableProviderFactory> {
        Arc::new(LogTableFactory { context: Arc::clone(context), def })
    };
    tables().iter().map(|def| (def.name.to_uppercase(), factory(def))).collect()
}

#[async_trait]
impl TableProviderFactory for LogTableFactory {
    async fn create(&self, _state: &dyn Session, cmd: &CreateExternalTable) -> DfResult<Arc<dyn TableProvider>> {
        let clauses = [
            (!cmd.schema.fields().is_empty(), "a list of columns"),
            (!cmd.table_partition_cols.is_empty(), "PARTITIONED BY"),
            (!cmd.order_exprs.is_empty(), "WITH ORDER"),
            (!cmd.constraints.is_empty(), "a constraint"),
            (cmd.unbounded, "UNBOUNDED"),
        ];
        if let Some((_, clause)) = clauses.into_iter().find(|(given, _)| *given) {
            return Err(TableError::UnsupportedClause { clause }.into());
        }
        let mut format = None;
        for (name, value) in &cmd.options {
            // The planner puts `format.` before names without a dot.
            match name.strip_prefix("format.").unwrap_or(name) {
                "format" => format = Some(value.as_str()),
                _ => return Err(TableError::UnknownOption { name: name.clone() }.into()),
            }
        }
        let args = cmd.locations.iter().map(OsString::from).collect();
        let files = FileSet::try_new(Arc::clone(&self.context), InputSpec::Args(args), format)?;
        Ok(Arc::new(LogTable::new(Arc::clone(&self.context), self.def, Arc::new(files))))
    }
}
