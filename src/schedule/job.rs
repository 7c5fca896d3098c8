//! What is run when, and who gets it: `schedules/NAME.toml`, and saved queries with a `schedule` in their header.
//!
//! ```toml
//! schedule = "0 6 * * mon-fri"
//! zone = "Europe/Berlin"
//! run = ["report", "web", "--param", "top=5", "/var/log/nginx/access.log*"]     # what one would type behind `logsql`
//! file = "/srv/reports/web-%Y-%m-%d.html"
//! mail = ["ops@example.org"]
//! ```
//!
//! What a file does not say is taken from `[schedule]` of the configuration, and then from here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::cron::{Cron, CronError};
use crate::query::{SavedQuery, duration, is_name};
use crate::settings::{Setting, SettingsError, Written, quoted};

/// The keys of a job.
pub const KEYS: [&str; 17] = [
    "schedule",
    "zone",
    "run",
    "folder",
    "format",
    "file",
    "mail",
    "pipe",
    "when",
    "window",
    "catch-up",
    "retries",
    "retry-delay",
    "lag",
    "timeout",
    "in-doubt",
    "description",
];

/// Which results are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// Those with rows.
    Rows,
    /// Those without rows.
    Empty,
    /// Those for which the `alert` of a query's header comes true.
    Alert,
}

/// Which records a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// From the end of the last successful run's window to the due time: each record once.
    New,
    /// From the due time before to this one.
    Period,
    /// So long before the due time.
    Last(Duration),
    /// Whatever the command line says.
    All,
}

/// What becomes of due times at which nothing could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// The latest one is run.
    Latest,
    /// All are, one after the other.
    All,
    /// None is.
    None,
}

/// What becomes of a delivery of which nobody knows whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// It is done again: at least once.
    Again,
    /// It is not: at most once.
    Drop,
}

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file with a dated name.
    File,
    /// The standard input of a command.
    Pipe,
    /// A mail.
    Mail,
}

impl Target {
    /// Its name in the state and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Pipe => "pipe",
            Self::Mail => "mail",
        }
    }
}

/// Where a job is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file of its own.
    File(PathBuf),
    /// In the header of a saved query.
    Query(PathBuf),
}

impl Source {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Query(path) => path,
        }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Where it is written down.
    pub source: Source,
    /// When it is due.
    pub cron: Cron,
    /// What one would type behind `logsql`.
    pub run: Vec<String>,
    /// The folder that its paths are relative to.
    pub folder: Option<PathBuf>,
    /// The form of the result.
    pub format: Option<String>,
    /// The name of a file, with `%Y-%m-%d` and the like for its due time, and `{job}`.
    pub file: Option<String>,
    /// Addresses.
    pub mail: Vec<String>,
    /// A command for the shell.
    pub pipe: Option<String>,
    /// Which results are delivered.
    pub when: When,
    /// Which records it is about.
    pub window: Window,
    /// What becomes of missed runs.
    pub catch_up: CatchUp,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// How long after the first failure; doubled after each other one.
    pub retry_delay: Duration,
    /// How long before the due time the window ends: for lines that are written late.
    pub lag: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What becomes of a delivery in doubt.
    pub in_doubt: InDoubt,
    /// What it is for.
    pub description: Option<String>,
}

impl Job {
    /// A job with nothing but what is needed.
    pub fn new(name: &str, source: Source, cron: Cron, run: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            source,
            cron,
            run,
            folder: None,
            format: None,
            file: None,
            mail: vec![],
            pipe: None,
            when: When::Always,
            window: Window::New,
            catch_up: CatchUp::Latest,
            retries: 3,
            retry_delay: Duration::from_secs(60),
            lag: Duration::ZERO,
            timeout: Duration::from_secs(3600),
            in_doubt: InDoubt::Again,
            description: None,
        }
    }

    /// Reads a job's file. `defaults` come from the configuration.
    pub fn parse(name: &str, path: &Path, text: &str, defaults: &[Setting]) -> Result<Self, Vec<SettingsError>> {
        let settings = crate::settings::read(&path.display().to_string(), text, &[("", KEYS.to_vec())])?;
        let find = |key: &str| settings.iter().find(|setting| setting.key == key);
        let lacks = |key: &str, hint: &str| SettingsError {
            place: crate::settings::Place { file: path.display().to_string(), line: 1, column: 1 },
            message: format!("there is no `{key}`"),
            hint: Some(hint.to_owned()),
        };
        let read = || {
            let schedule = find("schedule").ok_or_else(|| lacks("schedule", "write `schedule = \"0 6 * * *\"`"))?;
            let run = find("run").ok_or_else(|| lacks("run", "write `run = [\"report\", \"web\"]`"))?;
            let cron = Cron::parse(schedule.one()?).map_err(|error| wrong_cron(schedule, &error))?;
            let cron = match find("zone") {
                Some(zone) => cron.or_zone(Some(zone.one()?)).map_err(|error| wrong_cron(zone, &error))?,
                None => cron,
            };
            let mut job = Self::new(name, Source::File(path.to_owned()), cron, run.many()?);
            for setting in defaults.iter().chain(&settings) {
                job.set(setting)?;
            }
            Ok(job)
        };
        read().map_err(|error| vec![error])
    }

    /// The job of a saved query whose header has a schedule.
    pub fn of_query(
        query: &SavedQuery,
        path: &Path,
        reports: Option<&Path>,
        defaults: &[Setting],
    ) -> Option<Result<Self, SettingsError>> {
        let cron = query.schedule.clone()?;
        let run = vec!["report".to_owned(), query.name.clone()];
        let mut job = Self::new(&query.name, Source::Query(path.to_owned()), cron, run);
        job.description = Some(query.description.clone());
        if query.alert.is_some() {
            job.when = When::Alert;
        }
        for setting in defaults {
            if let Err(error) = job.set(setting) {
                return Some(Err(error));
            }
        }
        if job.targets().is_empty() {
            let folder = reports.map(|folder| folder.display().to_string().replace('%', "%%"));
            job.file = folder.map(|folder| format!("{folder}/{{job}}-%Y-%m-%dT%H%M.html"));
        }
        Some(Ok(job))
    }

    /// Takes a value.
    pub fn set(&mut self, setting: &Setting) -> Result<(), SettingsError> {
        let one_of = |names: &[&str]| format!("there are {}", names.join(", "));
        match setting.key.as_str() {
            "folder" => self.folder = Some(PathBuf::from(setting.one()?)),
            "format" => self.format = Some(setting.one()?.to_owned()),
            "file" => {
                let pattern = setting.one()?;
                file_name(pattern, &self.name, &self.cron.local(Timestamp::UNIX_EPOCH))
                    .map_err(|message| setting.wrong(message, Some("it takes %Y %m %d %H %M and the like, and {job}")))?;
                self.file = Some(pattern.to_owned());
            }
            "mail" => {
                let addresses = setting.many()?;
                if let Some(wrong) = addresses.iter().find(|address| !super::mail::is_address(address)) {
                    return Err(setting.wrong(format!("`{wrong}` is no address"), Some("write `name@example.org`")));
                }
                self.mail = addresses;
            }
            "pipe" => self.pipe = Some(setting.one()?.to_owned()),
            "description" => self.description = Some(setting.one()?.to_owned()),
            "when" => {
                self.when = match setting.one()? {
                    "always" => When::Always,
                    "rows" => When::Rows,
                    "empty" => When::Empty,
                    "alert" => When::Alert,
                    other => {
                        let hint = one_of(&["always", "rows", "empty", "alert"]);
                        return Err(setting.wrong(format!("`when` cannot be `{other}`"), Some(&hint)));
                    }
                }
            }
            "window" => {
                self.window = match setting.one()? {
                    "new" => Window::New,
                    "period" => Window::Period,
                    "all" => Window::All,
                    other => Window::Last(duration(other).filter(|length| !length.is_zero()).ok_or_else(|| {
                        setting.wrong(
                            format!("`window` cannot be `{other}`"),
                            Some("there are new, period, all, or a length such as `1d`"),
                        )
                    })?),
                }
            }
            "catch-up" => {
                self.catch_up = match setting.one()? {
                    "latest" => CatchUp::Latest,
                    "all" => CatchUp::All,
                    "none" => CatchUp::None,
                    other => {
                        let hint = one_of(&["latest", "all", "none"]);
                        return Err(setting.wrong(format!("`catch-up` cannot be `{other}`"), Some(&hint)));
                    }
                }
            }
            "in-doubt" => {
                self.in_doubt = match setting.one()? {
                    "again" => InDoubt::Again,
                    "drop" => InDoubt::Drop,
                    other => {
                        return Err(setting.wrong(format!("`in-doubt` cannot be `{other}`"), Some("there are again and drop")));
                    }
                }
            }
            "retries" => {
                let retries = setting.one()?;
                self.retries =
                    retries.parse().ok().filter(|retries| *retries <= 100).ok_or_else(|| {
                        setting.wrong(format!("`retries` cannot be `{retries}`"), Some("it is a number up to 100"))
                    })?;
            }
            "retry-delay" => self.retry_delay = length(setting)?,
            "lag" => self.lag = length(setting)?,
            "timeout" => self.timeout = length(setting)?,
            // Of a job itself, and read before.
            _ => {}
        }
        Ok(())
    }

    /// Where its result goes, in this order.
    pub fn targets(&self) -> Vec<Target> {
        let file = self.file.as_ref().map(|_| Target::File);
        let pipe = self.pipe.as_ref().map(|_| Target::Pipe);
        let mail = (!self.mail.is_empty()).then_some(Target::Mail);
        [file, pipe, mail].into_iter().flatten().collect()
    }

    /// The file for a run.
    pub fn file_for(&self, due: Timestamp) -> Option<Result<PathBuf, String>> {
        self.file.as_ref().map(|pattern| file_name(pattern, &self.name, &self.cron.local(due)))
    }

    /// When a run that failed so often is tried again: after 1, 2, 4 … delays, and an hour at most.
    pub fn back_off(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.retry_delay.saturating_mul(factor).min(self.retry_delay.max(Duration::from_secs(3600)))
    }

    /// Since when it is there: a job is not due for times before.
    pub fn known_since(&self) -> Option<Timestamp> {
        let modified = std::fs::metadata(self.source.path()).and_then(|metadata| metadata.modified()).ok()?;
        Timestamp::try_from(modified).ok()
    }
}

/// The file of a job, with values as they are written: only those that are given.
pub fn to_toml(values: &[(&str, Written)]) -> String {
    let mut text = String::new();
    for (key, value) in values {
        let list = |values: &[String]| values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
        text += &match value {
            Written::One(value) => format!("{key} = {}\n", quoted(value)),
            Written::Many(values) => format!("{key} = [{}]\n", list(values)),
            Written::Named(_) => String::new(),
        };
    }
    text
}

fn wrong_cron(setting: &Setting, error: &CronError) -> SettingsError {
    setting.wrong(error.message.clone(), error.hint.as_deref())
}

fn length(setting: &Setting) -> Result<Duration, SettingsError> {
    let text = setting.one()?;
    let found = if text == "0" { Some(Duration::ZERO) } else { duration(text) };
    // A year: what is longer is a slip of the pen, and would not be a time any more.
    found.filter(|found| found.as_secs() <= 366 * 86_400).ok_or_else(|| {
        setting.wrong(format!("`{}` cannot be `{text}`", setting.key), Some("write a length of time such as `90s`, `5m` or `1h`"))
    })
}

fn file_name(pattern: &str, job: &str, due: &jiff::Zoned) -> Result<PathBuf, String> {
    let named = pattern.replace("{job}", job);
    let path = jiff::fmt::strtime::format(&named, due).map_err(|error| format!("`{pattern}` is no name of a file: {error}"))?;
    if path.is_empty() || path.ends_with('/') {
        return Err(format!("`{pattern}` is no name of a file"));
    }
    Ok(PathBuf::from(path))
}

/// All jobs, and what is wrong with others.
#[derive(Debug, Default)]
pub struct Jobs {
    /// By name.
    pub jobs: Vec<Job>,
    /// What is wrong.
    pub broken: Vec<SettingsError>,
}

/// Where jobs are.
#[derive(Clone, Debug, Default)]
pub struct JobFolders {
    /// Files of jobs.
    pub schedules: Option<PathBuf>,
    /// The user's saved queries.
    pub queries: Option<PathBuf>,
    /// Where reports of queries go that name no other place.
    pub reports: Option<PathBuf>,
}

impl JobFolders {
    /// Reads all jobs. A file of a job wins over the header of a query of the same name.
    pub fn load(&self, defaults: &[Setting]) -> std::io::Result<Jobs> {
        let mut found = Jobs::default();
        let mut names = vec![];
        for path in files(self.schedules.as_deref(), "toml")? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            names.push(name.clone());
            let wrong = |message: String, hint: &str| SettingsError {
                place: crate::settings::Place { file: path.display().to_string(), line: 1, column: 1 },
                message,
                hint: Some(hint.to_owned()),
            };
            if !is_name(&name) {
                found
                    .broken
                    .push(wrong(format!("`{name}` is no name for a job"), "use letters, figures, `_` and `-`, 64 at most"));
                continue;
            }
            match std::fs::read_to_string(&path).map_err(|error| vec![wrong(error.to_string(), "look at its permissions")]) {
                Ok(text) => match Job::parse(&name, &path, &text, defaults) {
                    Ok(job) => found.jobs.push(job),
                    Err(errors) => found.broken.extend(errors),
                },
                Err(errors) => found.broken.extend(errors),
            }
        }
        for path in files(self.queries.as_deref(), "sql")? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            // What is wrong with a saved query is told by `report`.
            let Ok(query) = SavedQuery::parse(&name, crate::query::Origin::File(path.clone()), &text) else { continue };
            if names.contains(&name) || !is_name(&name) {
                continue;
            }
            match Job::of_query(&query, &path, self.reports.as_deref(), defaults) {
                Some(Ok(job)) => found.jobs.push(job),
                Some(Err(error)) => found.broken.push(error),
                None => {}
            }
        }
        found.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

fn files(folder: Option<&Path>, wanted: &str) -> std::io::Result<Vec<PathBuf>> {
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else { return Ok(vec![]) };
    let mut files = vec![];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == wanted) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
