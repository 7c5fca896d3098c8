//! Which table a name in a query means.
//!
//! ```text
//!   1. registered      CREATE EXTERNAL TABLE, CREATE VIEW
//!   2. bound           --table name[:format]=glob
//!   3. the taxonomy    access_log, error_log, … , unparsed      over the inputs of the command line, or the usual places
//!   4. scan_report
//!   5. a path or glob  'dir/*.gz', '/var/log/x.log', 'x.log', '-'
//! ```
//!
//! No file is looked at before a query needs to: the columns of a table of the taxonomy are known without.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{Result as DfResult, TableReference, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::TableType;

use super::error::{TableError, nearest};
use super::file_set::{FileFormat, FileSet, InputSpec, Listing};
use super::history::{History, HistoryTable, def_of};
use super::log_table::LogTable;
use super::options::ScanContext;
use super::report::{ReportTable, SCAN_REPORT};
use crate::kernel::table::{TableDef, table, table_with_source, tables};

/// Name of the catalog: DataFusion's own default.
pub const CATALOG: &str = "datafusion";

/// Name of its schema.
pub const SCHEMA: &str = "public";

/// The catalog of a session, with one schema.
#[derive(Debug)]
pub struct LogCatalog {
    schema: Arc<LogSchema>,
}

impl LogCatalog {
    /// The catalog around a schema.
    pub fn new(schema: Arc<LogSchema>) -> Self {
        Self { schema }
    }
}

impl CatalogProvider for LogCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::clone(&self.schema) as Arc<dyn SchemaProvider>)
    }
}

/// `name[:format]=glob`: a table of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name in SQL.
    pub name: String,
    /// The format of its files, where it is named.
    pub format: Option<String>,
    /// Its files.
    pub files: Vec<OsString>,
}

impl Binding {
    /// Reads `name[:format]=glob`.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let wrong = || TableError::Binding { text: text.to_owned() };
        let (name, glob) = text.split_once('=').ok_or_else(wrong)?;
        let (name, format) = match name.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (name, None),
        };
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if glob.is_empty() || format == Some("") || name.is_empty() || !name.chars().all(word) {
            return Err(wrong());
        }
        let format = format.map(str::to_owned);
        // Identifiers without quotes are lower case.
        Ok(Self { name: name.to_lowercase(), format, files: vec![OsString::from(glob)] })
    }
}

/// A binding, and the files behind it.
#[derive(Clone, Debug)]
struct Bound {
    name: String,
    format: Option<String>,
    args: Vec<OsString>,
    files: Arc<FileSet>,
}

/// The tables of a session.
#[derive(Debug)]
pub struct LogSchema {
    context: Arc<ScanContext>,
    inputs: Arc<FileSet>,
    history: Option<Arc<dyn History>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    registered: HashMap<String, Arc<dyn TableProvider>>,
    bound: Vec<Bound>,
    /// What paths in queries led to, so that the next query finds their formats known.
    by_path: HashMap<String, Arc<FileSet>>,
}

impl LogSchema {
    /// The tables over `inputs`: what the command line names, or the usual places.
    /// With a store, they are its rows and what it has not of the inputs.
    pub fn try_new(context: Arc<ScanContext>, inputs: InputSpec, history: Option<Arc<dyn History>>) -> Result<Self, TableError> {
        let inputs = FileSet::try_new(Arc::clone(&context), inputs, None)?.with_history(history.as_ref().map(Arc::clone));
        Ok(Self { context, inputs: Arc::new(inputs), history, state: Mutex::default() })
    }

    /// What all tables share.
    pub fn context(&self) -> &Arc<ScanContext> {
        &self.context
    }

    /// The files behind the tables of the taxonomy.
    pub fn inputs(&self) -> &Arc<FileSet> {
        &self.inputs
    }

    /// Adds a table of the user's own. Bindings of one name and format are one table.
    pub fn bind(&self, binding: Binding) -> Result<(), TableError> {
        let Binding { name, format, mut files } = binding;
        let mut state = self.state();
        let known = state.bound.iter().position(|bound| bound.name == name && bound.format == format);
        if let Some(at) = known {
            let mut args = state.bound[at].args.clone();
            args.append(&mut files);
            files = args;
        }
        let spec = InputSpec::Args(files.clone());
        let set = Arc::new(FileSet::try_new(Arc::clone(&self.context), spec, format.as_deref())?);
        let bound = Bound { name, format, args: files, files: set };
        match known {
            Some(at) => state.bound[at] = bound,
            None => {
                state.bound.retain(|other| other.name != bound.name);
                state.bound.push(bound);
            }
        }
        Ok(())
    }

    /// The error for a name that is no table: with those that are like it.
    pub fn unknown(&self, name: &str) -> TableError {
        let names = self.table_names();
        TableError::UnknownTable { name: name.to_owned(), nearest: nearest(name, names.iter().map(String::as_str)) }
    }

    /// Which of these references are tables of the taxonomy under whatever name. Looks at files where the name alone
    /// does not tell.
    pub async fn log_tables(&self, names: &[TableReference]) -> HashMap<String, &'static TableDef> {
        let mut found = HashMap::new();
        for name in names {
            let ours = name.schema().is_none_or(|s| s == SCHEMA) && name.catalog().is_none_or(|c| c == CATALOG);
            // A name that is no table is an error of the planner, which says it better.
            if ours
                && let Ok(Some(provider)) = self.table(name.table()).await
                && let Some(def) = def_of(provider.as_ref())
            {
                found.insert(name.table().to_owned(), def);
            }
        }
        found
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_table(&self, def: &'static TableDef, files: Arc<FileSet>) -> Arc<dyn TableProvider> {
        Arc::new(LogTable::new(Arc::clone(&self.context), def, files))
    }

    /// A table over the inputs, and over the store if there is one.
    fn taxonomy_table(&self, def: &'static TableDef) -> Result<Arc<dyn TableProvider>, TableError> {
        let (Some(history), Some(with_source)) = (&self.history, table_with_source(def.name)) else {
            return Ok(self.log_table(def, Arc::clone(&self.inputs)));
        };
        let stored = history.at(self.context.report.generation())?;
        let present = Arc::new(LogTable::new(Arc::clone(&self.context), def, Arc::clone(&self.inputs)));
        Ok(Arc::new(HistoryTable::new(with_source, stored, present)))
    }

    async fn bound_table(&self, bound: Bound) -> Result<Arc<dyn TableProvider>, TableError> {
        let named = match &bound.format {
            Some(format) => self.context.formats().family_of(format).map(|family| family.table),
            None => None,
        };
        // `--table access_log=…` and `--table dns_log:syslog=…` mean that table, whatever else the files feed.
        if let Some(def) = table(&bound.name).or(named) {
            return Ok(self.log_table(def, bound.files));
        }
        let listing = bound.files.listing().await?;
        let pattern = bound.args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
        let ambiguous = |tables| TableError::AmbiguousBinding { name: bound.name.clone(), tables };
        let def = self.table_of(&listing, &pattern, &ambiguous)?;
        Ok(self.log_table(def, bound.files))
    }

    async fn path_table(&self, name: &str) -> Result<Arc<dyn TableProvider>, TableError> {
        let known = self.state().by_path.get(name).map(Arc::clone);
        let files = match known {
            Some(files) => files,
            None => {
                let spec = InputSpec::Args(vec![expand_home(name)]);
                let files = Arc::new(FileSet::try_new(Arc::clone(&self.context), spec, None)?);
                self.state().by_path.insert(name.to_owned(), Arc::clone(&files));
                files
            }
        };
        let listing = files.listing().await?;
        let ambiguous = |tables| TableError::Ambiguous { path: name.to_owned(), tables };
        let def = self.table_of(&listing, name, &ambiguous)?;
        Ok(self.log_table(def, files))
    }

    /// The one table that the files feed.
    fn table_of(
        &self,
        listing: &Listing,
        path: &str,
        ambiguous: &dyn Fn(Vec<String>) -> TableError,
    ) -> Result<&'static TableDef, TableError> {
        let path = path.to_owned();
        match listing.tables(self.context.formats()).as_slice() {
            [(def, _)] => Ok(def),
            [] => {
                let unreadable = listing.files.iter().find_map(|file| match &file.format {
                    FileFormat::Unreadable(remark) => Some(remark.text.clone()),
                    _ => None,
                });
                let problem = listing.problems.first().map(|(_, remark)| remark.text.clone());
                match listing.files.is_empty() {
                    true => Err(TableError::NoFile { path, reason: problem }),
                    false => Err(TableError::NoFormat { path, reason: unreadable }),
                }
            }
            several => Err(ambiguous(several.iter().map(|(def, _)| def.name.to_owned()).collect())),
        }
    }
}

/// Does a name in a query mean files?
fn is_path(name: &str) -> bool {
    name == "-" || name.contains(['/', '.', '*', '?']) || Path::new(name).exists()
}

/// `~/` is the user's folder: inside of SQL no shell sees it.
fn expand_home(name: &str) -> OsString {
    match (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest).into_os_string(),
        _ => OsString::from(name),
    }
}

#[async_trait]
impl SchemaProvider for LogSchema {
    fn table_names(&self) -> Vec<String> {
        let state = self.state();
        let mut names: Vec<String> = tables().iter().map(|table| table.name.to_owned()).collect();
        names.push(SCAN_REPORT.to_owned());
        let own = state.bound.iter().map(|bound| &bound.name).chain(state.registered.keys());
        for name in own {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let bound = {
            let state = self.state();
            if let Some(table) = state.registered.get(name) {
                return Ok(Some(Arc::clone(table)));
            }
            state.bound.iter().find(|bound| bound.name == name).cloned()
        };
        if let Some(bound) = bound {
            return Ok(Some(self.bound_table(bound).await?));
        }
        if let Some(def) = table(name) {
            return Ok(Some(self.taxonomy_table(def)?));
        }
        if name == SCAN_REPORT {
            return Ok(Some(Arc::new(ReportTable::new(Arc::clone(&self.context.report)))));
        }
        if is_path(name) {
            return Ok(Some(self.path_table(name).await?));
        }
        Ok(None)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        let registered = self.state().registered.get(name).map(|table| table.table_type());
        Ok(registered.or_else(|| self.table_exist(name).then_some(TableType::Base)))
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> DfResult<Option<Arc<dyn TableProvider>>> {
        let mut state = self.state();
        if state.registered.contains_key(&name) {
            return exec_err!("the table {name} already exists");
        }
        Ok(state.registered.insert(name, table))
    }

    fn deregister_table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.state().registered.remove(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        let state = self.state();
        table(name).is_some()
            || name == SCAN_REPORT
            || state.registered.contains_key(name)
            || state.bound.iter().any(|bound| bound.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_has_a_name_perhaps_a_format_and_files() {
        let binding = Binding::parse("Shop:nginx_combined=/srv/a=b/*.log").unwrap();
        assert_eq!(binding.name, "shop");
        assert_eq!(binding.format.as_deref(), Some("nginx_combined"));
        assert_eq!(binding.files, [OsString::from("/srv/a=b/*.log")]);
        assert_eq!(Binding::parse("shop=x").unwrap().format, None);
        for wrong in ["shop", "=x", "shop=", "shop:=x", "a b=x", "/srv/x=y"] {
            assert!(Binding::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_a_path_if_it_looks_like_one_or_is_one() {
        for path in ["-", "/var/log/syslog", "x.log", "logs/*", "access?"] {
            assert!(is_path(path), "{path}");
        }
        for name in ["access_log", "shop", "no_such_file_here"] {
            assert!(!is_path(name), "{name}");
        }
    }
}
