//! The only place that builds a session: catalog, limits, settings; and the only way from SQL text to a stream of rows.
//!
//! ```text
//!   SQL ──parse──► Statement ──star.rs──► without meta columns ──plan──► LogicalPlan ──window──► DataFrame ──► Answer
//!                     │                                                                │
//!                     └─ tables that do not exist: nearest names                       └─ --since/--until on each log table
//! ```
//!
//!
//! running.rs: the rows come from a task of their own, which ends when nobody wants them any more. follow.rs: rows that are still to come.
//! explain.rs: what the engine's errors mean.
//!
//! Faces (command line, REPL, and later servers) call [`Session::statements`] and [`Session::run`], and render
//! [`QueryError`] with its hint.

mod explain;
mod follow;
mod headings;
mod origin;
mod pseudonym;
mod running;
mod why;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, col, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use futures::StreamExt as _;
use thiserror::Error;

pub use explain::QueryError;
pub use follow::FollowOptions;
pub use origin::{Origin, Place, SourceLine};
pub use pseudonym::PseudonymKey;

use pseudonym::Pseudonyms;

use self::headings::Headings;
use crate::function;
use crate::kernel::format::import::{self, Server};
use crate::kernel::format::{Catalog, DefinitionError, Format};
use crate::source::{Claim, ConfigReader, Keep, ReadOptions};
use crate::store::{Copies, StoreError, StoreHistory};
use crate::table::catalog::{Binding, CATALOG, LogCatalog, LogSchema, SCHEMA};
use crate::table::{
    ConfiguredLog, Formats, History, InputSpec, MakeFormats, ScanContext, ScanOptions, ScanReport, Stores, TableError, def_of,
    factory, settle, star,
};

/// Consumers of memory that are named when there is too little of it.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The files behind the tables.
    pub inputs: InputSpec,
    /// The store with the past of the tables.
    pub store: Option<PathBuf>,
    /// What about files that are the beginning of others, where there is a store.
    pub copies: Copies,
    /// Tables of the user's own: `name[:format]=glob`.
    pub bindings: Vec<String>,
    /// Folders with definitions; the first one wins.
    pub definition_folders: Vec<PathBuf>,
    /// The root of the machine whose servers' configuration is read, if any is.
    pub server_root: Option<PathBuf>,
    /// How files are scanned.
    pub scan: ScanOptions,
    /// Which records count at all.
    pub window: TimeWindow,
    /// Memory of all queries together, in bytes.
    pub memory_bytes: usize,
    /// Disk for what does not fit, in bytes.
    pub disk_bytes: u64,
    /// Partitions of a query.
    pub threads: usize,
    /// The zone of `now()` and of casts to times with a zone.
    pub shown_zone: Option<String>,
    /// Settings of the engine, as variables: `DATAFUSION_EXECUTION_BATCH_SIZE`.
    pub settings: Vec<(String, String)>,
    /// Results have pseudonyms, by this key, in place of addresses and names.
    pub pseudonyms: Option<PseudonymKey>,
}

/// A half-open stretch of time, in microseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeWindow {
    /// The first moment in it.
    pub since: Option<i64>,
    /// The first moment behind it.
    pub until: Option<i64>,
}

/// A session that cannot be built.
#[derive(Debug, Error)]
pub enum SessionError {
    /// A definition is refused.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A definition cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadDefinition {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A table binding makes no sense.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine refuses a setting.
    #[error("bad setting")]
    Engine(#[from] DataFusionError),
}

impl SessionError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Definition(error) => error.hint.clone(),
            Self::Table(error) => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// What a statement gives.
pub struct Answer {
    /// Its rows.
    pub rows: SendableRecordBatchStream,
    /// Is there something to show? `CREATE VIEW` and `SET` give nothing.
    pub shows: bool,
    /// Where the rows come from, if that was asked for and a row is one record.
    pub origin: Option<Origin>,
}

/// Whether rows are to tell where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Rows have the columns that were asked for.
    No,
    /// Some more, where there is an [`Origin`].
    Records,
}

/// One session: tables, settings, limits. Clones are the same one.
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    schema: Arc<LogSchema>,
    window: TimeWindow,
    pseudonyms: Option<Arc<Pseudonyms>>,
}

impl Session {
    /// Builds a session. No log file is looked at yet.
    pub fn try_new(options: &SessionOptions) -> Result<Self, SessionError> {
        let formats = make_formats(options)?;
        let mut state = engine(options)?;
        let read = ReadOptions { keep: keep(options, state.runtime_env()), ..options.scan.read.clone() };
        let scan = Arc::new(ScanContext::new(formats, ScanOptions { read, ..options.scan.clone() }));
        let history = match &options.store {
            Some(folder) => {
                let history = StoreHistory::open(folder, options.copies, options.scan.read.clone())?;
                Some(Arc::new(history) as Arc<dyn History>)
            }
            None => None,
        };
        let schema = Arc::new(LogSchema::try_new(Arc::clone(&scan), options.inputs.clone(), history)?);
        for binding in &options.bindings {
            schema.bind(Binding::parse(binding)?)?;
        }
        for (name, factory) in factory::factories(&scan) {
            state.table_factories_mut().insert(name, factory);
        }
        function::register(&mut state)?;
        let context = SessionContext::new_with_state(state);
        context.register_catalog(CATALOG, Arc::new(LogCatalog::new(Arc::clone(&schema))));
        let pseudonyms = options.pseudonyms.as_ref().map(|key| Arc::new(Pseudonyms::new(key)));
        Ok(Self { context, schema, window: options.window, pseudonyms })
    }

    /// The tables.
    pub fn schema(&self) -> &Arc<LogSchema> {
        &self.schema
    }

    /// The formats.
    pub fn formats(&self) -> &Arc<Catalog> {
        self.schema.context().formats()
    }

    /// What was read by the query that runs or has just run.
    pub fn report(&self) -> &Arc<ScanReport> {
        &self.schema.context().report
    }

    /// The statements of a script, in order.
    pub fn statements(&self, sql: &str) -> Result<Vec<Statement>, QueryError> {
        let statements = DFParser::parse_sql_with_dialect(sql, &GenericDialect {});
        statements.map(Vec::from).map_err(|error| self.explain(&error))
    }

    /// Plans a statement and starts it. Rows come as the answer is polled.
    pub async fn run(&self, statement: Statement) -> Result<Answer, QueryError> {
        self.run_bound(statement, vec![]).await
    }

    /// [`Self::run`] with values for the parameters of the statement (`$name`). They are literals of the plan, never SQL.
    pub async fn run_bound(&self, statement: Statement, values: Vec<(String, ScalarValue)>) -> Result<Answer, QueryError> {
        self.run_traced(statement, values, Trace::No).await
    }

    /// [`Self::run_bound`], and the rows may tell where they come from.
    pub async fn run_traced(
        &self,
        statement: Statement,
        values: Vec<(String, ScalarValue)>,
        trace: Trace,
    ) -> Result<Answer, QueryError> {
        self.report().begin_query();
        // What is constant is computed while it is planned, and that may take its time: so whoever waits for it can go away.
        let session = self.clone();
        let task = SpawnedTask::spawn(async move { Box::pin(session.started(statement, values, trace)).await });
        match task.join_unwind().await {
            Ok(answer) => answer,
            Err(error) => Err(self.explain(&DataFusionError::ExecutionJoin(Box::new(error)))),
        }
    }

    /// Plans a statement and starts it.
    async fn started(
        &self,
        statement: Statement,
        values: Vec<(String, ScalarValue)>,
        trace: Trace,
    ) -> Result<Answer, QueryError> {
        let plan = Box::pin(self.planned(statement, values)).await?;
        let shows = !matches!(plan, LogicalPlan::Ddl(_) | LogicalPlan::Statement(_));
        if self.pseudonyms.is_some() && matches!(plan, LogicalPlan::Copy(_) | LogicalPlan::Dml(_)) {
            let error =
                DataFusionError::Plan("COPY and INSERT write what was logged, without pseudonyms; write with -o FILE".to_owned());
            return Err(self.explain(&error));
        }
        let (plan, origin) = self.with_origin(plan, trace).map_err(|error| self.explain(&error))?;
        let rows = Box::pin(self.start(plan)).await.map_err(|error| self.explain(&error))?;
        Ok(Answer { rows, shows, origin })
    }

    /// The plan of a statement: without meta columns in its `*`, inside of the window, with the headings that were written.
    async fn planned(&self, mut statement: Statement, values: Vec<(String, ScalarValue)>) -> Result<LogicalPlan, QueryError> {
        let state = self.context.state();
        let names = state.resolve_table_references(&statement).map_err(|error| self.explain(&error))?;
        let log_tables = self.schema.log_tables(&names).await;
        let headings = Headings::of(&statement);
        star::hide_meta(&mut statement, &|name: &str| log_tables.get(name).copied());
        let plan = state.statement_to_plan(statement).await.map_err(|error| self.explain(&error))?;
        let plan = if values.is_empty() { Ok(plan) } else { plan.with_param_values(values) };
        let plan = plan.and_then(|plan| self.windowed(plan));
        let plan = plan.and_then(|plan| match headings {
            Some(headings) => headings.over(plan),
            None => Ok(plan),
        });
        plan.map_err(|error| self.explain(&error))
    }

    /// The plan, with the columns that tell where its rows come from, if that is wanted and a row is one record.
    fn with_origin(&self, plan: LogicalPlan, trace: Trace) -> DfResult<(LogicalPlan, Option<Origin>)> {
        let traced = match trace {
            // The line behind a row has no pseudonyms.
            Trace::Records if self.pseudonyms.is_some() => None,
            Trace::Records => origin::with_origin(&plan)?,
            Trace::No => None,
        };
        Ok(match traced {
            Some((plan, origin)) => (plan, Some(origin)),
            None => (plan, None),
        })
    }

    /// The rows of a plan; with pseudonyms, if there are to be some.
    async fn start(&self, plan: LogicalPlan) -> DfResult<SendableRecordBatchStream> {
        // Without ANALYZE, nothing of what the plan is about happens.
        let runs = !matches!(plan, LogicalPlan::Explain(_));
        let plan = match &self.pseudonyms {
            Some(pseudonyms) => pseudonyms.in_texts(plan)?,
            None => plan,
        };
        let hidden = self.pseudonyms.as_ref().map(|pseudonyms| (Arc::clone(pseudonyms), plan.clone()));
        let frame = self.context.execute_logical_plan(plan).await?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        if runs {
            settle(&plan, self.report())?;
        }
        let rows = self.keeping(running::start(plan, context)?);
        Ok(match hidden {
            Some((pseudonyms, plan)) => pseudonyms.hide(&plan, rows),
            None => rows,
        })
    }

    /// Whether results have pseudonyms: then nothing else shows what was logged, either.
    pub fn has_pseudonyms(&self) -> bool {
        self.pseudonyms.is_some()
    }

    /// The names of all functions, ours and the engine's, in order.
    pub fn function_names(&self) -> Vec<String> {
        let state = self.context.state();
        let scalar = state.scalar_functions().keys();
        let mut names: Vec<String> =
            scalar.chain(state.aggregate_functions().keys()).chain(state.window_functions().keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// These rows; behind the last one, what the scans have found out is kept for the next run.
    fn keeping(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let scans = Arc::clone(self.schema.context());
        // If the task cannot be run, the process ends: the next one finds it out anew.
        let release = Release(Arc::clone(&scans));
        let keep = async move {
            let _release = release;
            drop(tokio::task::spawn_blocking(move || scans.keep_learned()).await);
        };
        let kept = futures::stream::once(keep).filter_map(|()| async { None });
        Box::pin(RecordBatchStreamAdapter::new(rows.schema(), rows.chain(kept)))
    }

    /// What plans are made and run with.
    pub fn state(&self) -> SessionState {
        self.context.state()
    }

    /// The rows of a table that has no name, to be selected from and sorted.
    pub fn frame(&self, table: Arc<dyn TableProvider>) -> Result<DataFrame, DataFusionError> {
        self.context.read_table(table)
    }

    /// The columns of a table, or `None` if there is no such table.
    pub async fn columns_of(&self, table: &str) -> Result<Option<SchemaRef>, QueryError> {
        match self.context.table_provider(table).await {
            Ok(provider) => Ok(Some(provider.schema())),
            Err(DataFusionError::Plan(_)) => Ok(None),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// Puts the window around each log table.
    fn windowed(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        if self.window == TimeWindow::default() {
            return Ok(plan);
        }
        let moment = |us: i64| lit(ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())));
        let mut bounded = false;
        let plan = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = &node else {
                bounded = false;
                return Ok(Transformed::no(node));
            };
            let provider = source_as_provider(&scan.source)?;
            let is_log = def_of(provider.as_ref()).is_some_and(|def| def.column("time").is_some());
            // The scan below a filter of ours is met again on the way down.
            if !is_log || std::mem::replace(&mut bounded, true) {
                bounded = false;
                return Ok(Transformed::no(node));
            }
            let time = col(datafusion::common::Column::new(Some(scan.table_name.clone()), "time"));
            let since = self.window.since.map(|us| time.clone().gt_eq(moment(us)));
            let until = self.window.until.map(|us| time.clone().lt(moment(us)));
            let Some(inside) = since.into_iter().chain(until).reduce(Expr::and) else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(inside, Arc::new(node))?)))
        })?;
        Ok(plan.data)
    }
}

/// What members of archives that wait to be read may take of the memory.
const KEPT_SHARE: usize = 4;

/// Room for members of archives, which counts as memory of queries.
fn keep(options: &SessionOptions, runtime: &RuntimeEnv) -> Keep {
    let memory = MemoryConsumer::new("members of archives").register(&runtime.memory_pool);
    Keep::new(options.memory_bytes / KEPT_SHARE, move |bytes| {
        let own = memory.new_empty();
        own.try_grow(bytes).ok().map(|()| Box::new(own) as Claim)
    })
}

/// At the end of a query, however it ends, what it has not read of archives is not kept any more.
struct Release(Arc<ScanContext>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.options.read.keep.release();
    }
}

/// DataFusion with our limits and the user's settings, and without tables.
fn engine(options: &SessionOptions) -> Result<SessionState, SessionError> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(true)
        .with_target_partitions(options.threads);
    // Log tables cut their files themselves, where records allow it.
    config.options_mut().optimizer.repartition_file_scans = false;
    // So that errors can show their place.
    config.options_mut().sql_parser.collect_spans = true;
    if let Some(zone) = &options.shown_zone {
        config.options_mut().execution.time_zone = Some(zone.clone());
    }
    for (name, value) in &options.settings {
        set_by_variable(&mut config, name, value)?;
    }
    let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes), NAMED_CONSUMERS);
    let disk = DiskManagerBuilder::default().with_max_temp_directory_size(options.disk_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(Stores::default()))
        .build_arc()?;
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
    Ok(state)
}

/// What gives the formats of a session. Those of the user are compiled at once, since what is wrong with them is an error.
fn make_formats(options: &SessionOptions) -> Result<MakeFormats, SessionError> {
    let root = options.server_root.clone();
    let own = definitions(&options.definition_folders)?;
    if own.iter().all(Vec::is_empty) {
        return Ok(Box::new(move || with_named_logs(server_formats(root.as_deref()))));
    }
    let formats = all_formats(root.as_deref(), own)?;
    Ok(Box::new(|| formats))
}

/// The built-in formats, those of servers that log in layouts of their own before them, and those of the user before all; and
/// where logs of these formats are.
pub fn load_formats(folders: &[PathBuf], server_root: Option<&Path>) -> Result<Formats, SessionError> {
    all_formats(server_root, definitions(folders)?)
}

fn all_formats(server_root: Option<&Path>, own: Vec<Vec<(String, String)>>) -> Result<Formats, SessionError> {
    let (mut catalog, configured) = server_formats(server_root);
    // Later additions come first, so the folder that is to win goes last.
    for folder in own.into_iter().rev() {
        catalog.add_all(folder)?;
    }
    Ok(with_named_logs((catalog, configured)))
}

/// Definitions may name logs, too; these count before those of servers.
fn with_named_logs((catalog, configured): (Catalog, Vec<ConfiguredLog>)) -> Formats {
    let of_format = |format: &Arc<Format>| {
        let log = |file: &String| ConfiguredLog { pattern: file.into(), format: Some(format.name.clone()) };
        format.files.iter().map(log).collect::<Vec<_>>()
    };
    let configured = catalog.formats().iter().flat_map(of_format).chain(configured).collect();
    Formats { catalog: Arc::new(catalog), configured }
}

/// Where servers have their configuration.
const SERVER_CONFIGURATIONS: &[(Server, &str)] = &[
    (Server::Nginx, "/etc/nginx/nginx.conf"),
    (Server::Nginx, "/usr/local/nginx/conf/nginx.conf"),
    (Server::Apache, "/etc/apache2/apache2.conf"),
    (Server::Apache, "/etc/httpd/conf/httpd.conf"),
    (Server::Apache, "/etc/apache2/httpd.conf"),
];

/// The built-in formats, before them the layouts in which the servers of this machine log, and where all of their logs are.
fn server_formats(root: Option<&Path>) -> (Catalog, Vec<ConfiguredLog>) {
    let (mut catalog, mut configured) = (Catalog::builtin(), vec![]);
    let Some(root) = root else { return (catalog, configured) };
    for (server, path) in SERVER_CONFIGURATIONS {
        // Nobody asked for the configuration, so nobody is told what is odd in it; `logsql format import` tells.
        let mut notes = vec![];
        let Some(mut logs) = import::read_server(*server, path, &mut ConfigReader::new(root), &mut notes) else { continue };
        configured.extend(logs.errors.iter().map(|path| ConfiguredLog { pattern: path.into(), format: None }));
        logs.layouts.retain(|layout| {
            let standard = import::standard(*server, layout.records, &layout.text);
            let format = standard.map(str::to_owned);
            if format.is_some() {
                configured.extend(layout.files.iter().map(|path| ConfiguredLog { pattern: path.into(), format: format.clone() }));
            }
            format.is_none() && !layout.files.is_empty()
        });
        for made in import::definitions(None, *server, &logs, &mut notes) {
            // The server may have two of one name in two files: the user's own definitions are not here yet, so nothing is lost.
            let _ = catalog.add_made(path, &made.text);
        }
    }
    (catalog, configured)
}

/// The definitions in each of the folders, and the files that they are from.
fn definitions(folders: &[PathBuf]) -> Result<Vec<Vec<(String, String)>>, SessionError> {
    let read = |path: PathBuf| match std::fs::read_to_string(&path) {
        Ok(text) => Ok((path.display().to_string(), text)),
        Err(source) => Err(SessionError::ReadDefinition { path, source }),
    };
    folders.iter().map(|folder| definition_files(folder)?.into_iter().map(read).collect()).collect()
}

fn definition_files(folder: &Path) -> Result<Vec<PathBuf>, SessionError> {
    let failed = |source| SessionError::ReadDefinition { path: folder.to_owned(), source };
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `DATAFUSION_EXECUTION_BATCH_SIZE` is `datafusion.execution.batch_size`: which underscores are dots, the known names tell.
fn set_by_variable(config: &mut SessionConfig, variable: &str, value: &str) -> Result<(), SessionError> {
    let wanted = variable.to_ascii_lowercase();
    let entries = config.options().entries();
    if let Some(entry) = entries.iter().find(|entry| entry.key.replace('.', "_") == wanted) {
        config.options_mut().set(&entry.key, value)?;
    }
    Ok(())
}

/// `$NAME/logsql`, or the folder that the XDG base directory specification has in its place.
pub fn xdg_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(below_home)))?;
    Some(base.join("logsql"))
}
