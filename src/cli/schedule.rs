//! `logsql schedule add|list|run|remove|next|export`: reports by the clock. What is due and what has happened is `crate::schedule`'s; here is how a result is
//! made, which is how `logsql report` makes it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Exit;
use super::config::{Config, Script, config_folder};
use super::options::{AddOptions, Command as Decided, ExportKind, ScheduleCommand};
use super::query::{LAST_MOMENT, runtime};
use super::sources::{self, Refused, Sources, beside};
use super::tell::{self, Mark, Problem};
use crate::output::{Color, OutputFormat, OutputOptions, Target as OutputTarget, sanitise_cell, write_file, write_whole};
use crate::query::{Alert, AlertOn, Library, Origin, ParamKind, SavedQuery, SavedQueryError, is_name};
use crate::report::{Report, ReportFormat};
use crate::schedule::cron::Cron;
use crate::schedule::{
    DeliveryError, Ending, Job, JobFolders, Jobs, Made, MailSettings, Outcome, Run, ScheduleError, Source, Store, Target,
    Trigger, When, Window, World, crontab, deliver, run_job, systemd, to_toml,
};
use crate::session::{Session, xdg_folder};
use crate::settings::Written;
use crate::table::nearest;

/// Jobs that run beside each other.
const BESIDE: usize = 2;
/// How often the long-lived process looks for new jobs, and whether the clock was set.
const LOOK: Duration = Duration::from_secs(15);
/// … and for the end of those that run.
const LOOK_AT_CHILDREN: Duration = Duration::from_millis(250);
/// A job whose process failed is not started again before.
const REST: Duration = Duration::from_secs(60);
/// What runs may end by itself when the long-lived process is told to end.
const FAREWELL: Duration = Duration::from_secs(30);

/// Runs a `schedule` command.
pub(super) fn run(sources: &Sources, command: &ScheduleCommand) -> Result<Exit, Problem> {
    let schedule = Schedule::open(sources)?;
    match command {
        ScheduleCommand::Add(options) => schedule.add(options),
        ScheduleCommand::List => schedule.list(),
        ScheduleCommand::Run { names, .. } if names.is_empty() => schedule.keep_running(),
        ScheduleCommand::Run { names, now, no_wait } => {
            let trigger = match (now, no_wait) {
                (true, false) => Trigger::Now,
                (true, true) => Trigger::NowNoWait,
                (false, true) => Trigger::DueNoWait,
                (false, false) => Trigger::Due,
            };
            schedule.run_once(names, trigger)
        }
        ScheduleCommand::Remove { names } => schedule.remove(names),
        ScheduleCommand::Next { names, count } => schedule.next(names, *count),
        ScheduleCommand::Export { kind, names, dir } => schedule.export(*kind, names, dir.as_deref()),
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        Self::of(Exit::Failed, &error, error.hint())
    }
}

struct Schedule<'a> {
    sources: &'a Sources,
    folders: JobFolders,
    store: Store,
    mail: MailSettings,
}

impl<'a> Schedule<'a> {
    fn open(sources: &'a Sources) -> Result<Self, Problem> {
        let homeless =
            || Problem::usage("there is no home folder", Some("set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME".to_owned()));
        let config = config_folder().ok_or_else(homeless)?;
        let state = xdg_folder("XDG_STATE_HOME", ".local/state").ok_or_else(homeless)?;
        let folders = JobFolders {
            schedules: Some(config.join("schedules")),
            queries: Some(config.join("queries")),
            reports: xdg_folder("XDG_DATA_HOME", ".local/share").map(|data| data.join("reports")),
        };
        let mail = MailSettings::read(sources.section("mail"), |setting, path| beside(Path::new(&setting.place.file), path))?;
        Ok(Self { sources, folders, store: Store::open(&state.join("schedule"))?, mail })
    }

    fn jobs(&self) -> Result<Jobs, Problem> {
        let defaults: Vec<_> = self.sources.section("schedule").cloned().collect();
        let loaded = self.folders.load(&defaults);
        loaded.map_err(|error| Problem::new(Exit::Failed, format!("cannot read the jobs: {error}"), None))
    }

    /// The jobs of these names, or all. What is wrong with others is told.
    fn named(&self, names: &[String]) -> Result<Vec<Job>, Problem> {
        let Jobs { jobs, broken } = self.jobs()?;
        for error in &broken {
            tell::problem(&error.clone().into());
        }
        if names.is_empty() {
            return Ok(jobs);
        }
        let find = |name: &String| {
            jobs.iter().find(|job| job.name == *name).cloned().ok_or_else(|| {
                let near = nearest(name, jobs.iter().map(|job| job.name.as_str()));
                let hint = near
                    .first()
                    .map_or_else(|| "`logsql schedule list` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
                Problem::usage(format!("there is no job `{name}`"), Some(hint))
            })
        };
        names.iter().map(find).collect()
    }

    /// Options that other processes of ours need to find the same jobs.
    fn options(&self) -> Vec<String> {
        match (self.sources.is_typed("no-config"), self.sources.files.first()) {
            (true, _) => vec!["--no-config".to_owned()],
            (false, Some(file)) if self.sources.is_typed("config") => {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                vec!["--config".to_owned(), file.display().to_string()]
            }
            _ => vec![],
        }
    }

    fn add(&self, options: &AddOptions) -> Result<Exit, Problem> {
        let name = &options.name;
        if !is_name(name) {
            return Err(Problem::usage(
                format!("`{name}` is no name for a job"),
                Some("use letters, figures, `_` and `-`, 64 at most".to_owned()),
            ));
        }
        // What stands before `--` and is not of this command would be forgotten in silence.
        if let Some(option) =
            self.sources.typed_beside(&["tz", "output", "format", "config", "no-config", "quiet", "verbose", "color"])
        {
            let hint = format!("write it behind `--`: `logsql schedule add {name} … -- report {name} --{option} …`");
            return Err(Problem::usage(format!("--{option} is no option of a job"), Some(hint)));
        }
        let run = if options.run.is_empty() { vec!["report".to_owned(), name.clone()] } else { options.run.clone() };
        let text = |value: &Option<String>| value.clone().map(Written::One);
        let schedule = match &options.schedule {
            Some(schedule) => schedule.clone(),
            None => self.schedule_of(&run)?,
        };
        let file = self.sources.typed_value("output");
        let here = std::env::current_dir().ok().map(|folder| folder.display().to_string());
        let values: Vec<(&str, Option<Written>)> = vec![
            ("schedule", Some(Written::One(schedule))),
            ("zone", self.sources.value("tz").map(Written::One)),
            ("run", Some(Written::Many(run))),
            ("folder", here.map(Written::One)),
            ("format", self.sources.typed_value("format").map(Written::One)),
            ("file", file.map(Written::One)),
            ("mail", (!options.mail.is_empty()).then(|| Written::Many(options.mail.clone()))),
            ("pipe", text(&options.pipe)),
            ("when", text(&options.when)),
            ("window", text(&options.window)),
            ("catch-up", text(&options.catch_up)),
            ("retries", text(&options.retries)),
            ("retry-delay", text(&options.retry_delay)),
            ("lag", text(&options.lag)),
            ("timeout", text(&options.timeout)),
            ("in-doubt", text(&options.in_doubt)),
        ];
        let mut values: Vec<(&str, Written)> = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        // A line that says itself since when it is about has its window.
        if options.window.is_none() && has_times(&job_line(&values)) {
            values.push(("window", Written::One("all".to_owned())));
        }
        let folder = self.folders.schedules.clone().unwrap_or_default();
        let path = folder.join(format!("{name}.toml"));
        let defaults: Vec<_> = self.sources.section("schedule").cloned().collect();
        // What the values are called on the command line is close enough to what they are called in the file.
        let text = to_toml(&values);
        let job = Job::parse(name, &path, &text, &defaults).map_err(|mut errors| {
            let error = errors.swap_remove(0);
            Problem::usage(error.message, error.hint)
        })?;
        if job.targets().is_empty() {
            let hint = "say where to: `-o 'reports/web-%Y-%m-%d.html'`, `--mail ops@example.org` or `--pipe COMMAND`";
            return Err(Problem::usage("the result goes nowhere", Some(hint.to_owned())));
        }
        self.decide(&job, None)?;
        if path.exists() && !options.replace {
            let hint = format!("replace it with `--replace`, or edit `{}`", path.display());
            return Err(Problem::usage(format!("there is a job `{name}`"), Some(hint)));
        }
        std::fs::create_dir_all(&folder)
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot make `{}`: {error}", folder.display()), None))?;
        write_whole(
            format!("# Made by `logsql schedule add`; see `logsql schedule add --help` for what may stand here.\n{text}"),
            &path,
        )?;
        let next =
            job.cron.next(Timestamp::now()).map(|next| format!(", next {}", clock_of(&job.cron, next))).unwrap_or_default();
        tell::line(tell::color(), Mark::Note, &format!("wrote `{}`{next}", path.display()));
        tell::line(
            tell::color(),
            Mark::Hint,
            &format!("try it with `logsql schedule run --now {name}`; `logsql schedule run` keeps running all jobs"),
        );
        Ok(Exit::Done)
    }

    /// The schedule in the header of the saved query that a job runs.
    fn schedule_of(&self, run: &[String]) -> Result<String, Problem> {
        let library = Library::load(self.folders.queries.as_deref())?;
        let names = run.iter().skip(1).filter(|word| library.has(word));
        for name in names {
            if let [SavedQuery { schedule: Some(cron), .. }] = library.find(name)?.as_slice() {
                return Ok(cron.to_string());
            }
        }
        Err(Problem::usage("there is no schedule", Some("write one behind the name: `'0 6 * * *'`".to_owned())))
    }

    fn list(&self) -> Result<Exit, Problem> {
        let Jobs { jobs, broken } = self.jobs()?;
        let now = Timestamp::now();
        let mut rows = vec![["job", "schedule", "next", "last", "to", "runs"].map(str::to_owned)];
        let mut remarks = vec![];
        for job in &jobs {
            let state = self.store.load(&job.name)?;
            let next = job.cron.next(now).map_or_else(|| "never".to_owned(), |next| clock_of(&job.cron, next));
            let last = state.last.as_ref().map_or_else(
                || "never".to_owned(),
                |last| {
                    let what = match last.ending {
                        Ending::Delivered => "delivered",
                        Ending::Nothing => "nothing to deliver",
                        Ending::GaveUp => "FAILED",
                    };
                    format!("{what}, due {}", clock_of(&job.cron, last.due))
                },
            );
            if let Some(error) = state.last.as_ref().and_then(|last| last.error.as_ref()) {
                remarks.push(format!("{}: {error}", job.name));
            }
            if let Some((due, again, error)) = state.pending() {
                let again = again.map_or_else(
                    || "goes on with the next start".to_owned(),
                    |again| format!("is tried again {}", clock_of(&job.cron, again)),
                );
                let why = error.map(|error| format!(": {error}")).unwrap_or_default();
                remarks.push(format!("{}: the run due {} {again}{why}", job.name, clock_of(&job.cron, due)));
            }
            let targets: Vec<&str> = job.targets().into_iter().map(Target::name).collect();
            rows.push([job.name.clone(), job.cron.to_string(), next, last, targets.join(", "), job.run.join(" ")]);
        }
        let mut text = String::new();
        if jobs.is_empty() {
            text += "no jobs\n";
        } else {
            let widths: Vec<usize> =
                (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
            for row in &rows {
                let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", sanitise_cell(cell)));
                text += &format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end());
            }
        }
        tell::out(&text)?;
        for remark in &remarks {
            tell::line(tell::color(), Mark::Warning, remark);
        }
        for error in &broken {
            tell::problem(&error.clone().into());
        }
        if std::io::stdout().is_terminal() {
            let hint = match jobs.is_empty() {
                true => "add one: `logsql schedule add web '0 6 * * *' -o 'web-%Y-%m-%d.html'`".to_owned(),
                false => format!("what ran when is in `{}`", self.store.log_path().display()),
            };
            tell::line(tell::color(), Mark::Hint, &hint);
        }
        Ok(if broken.is_empty() { Exit::Done } else { Exit::Usage })
    }

    fn remove(&self, names: &[String]) -> Result<Exit, Problem> {
        for job in self.named(names)? {
            let Source::File(path) = &job.source else {
                let hint = format!("remove the line `-- schedule:` from `{}`", job.source.path().display());
                return Err(Problem::usage(format!("`{}` is scheduled by its query", job.name), Some(hint)));
            };
            let Some(_lock) = self.store.lock(&job.name)? else {
                return Err(Problem::new(
                    Exit::Failed,
                    format!("`{}` is running", job.name),
                    Some("wait for its end".to_owned()),
                ));
            };
            std::fs::remove_file(path)
                .map_err(|error| Problem::new(Exit::Failed, format!("cannot remove `{}`: {error}", path.display()), None))?;
            self.store.forget(&job.name)?;
            tell::line(tell::color(), Mark::Note, &format!("removed `{}`", path.display()));
        }
        Ok(Exit::Done)
    }

    fn next(&self, names: &[String], count: usize) -> Result<Exit, Problem> {
        let mut due: Vec<(Timestamp, String, String)> = vec![];
        for job in self.named(names)? {
            let mut at = Timestamp::now();
            for _ in 0..count {
                let Some(next) = job.cron.next(at) else { break };
                due.push((next, clock_of(&job.cron, next), job.name.clone()));
                at = next;
            }
        }
        due.sort();
        due.truncate(count * names.len().max(1));
        let text: String = due.iter().map(|(_, clock, name)| format!("{clock}  {name}\n")).collect();
        tell::out(&text)?;
        Ok(Exit::Done)
    }

    fn export(&self, kind: ExportKind, names: &[String], folder: Option<&Path>) -> Result<Exit, Problem> {
        let jobs = self.named(names)?;
        let jobs: Vec<&Job> = jobs.iter().collect();
        let program = program()?;
        let options = self.options();
        match kind {
            ExportKind::Crontab => tell::out(&crontab(&jobs, &program, &options))?,
            ExportKind::Systemd => {
                let units = systemd(&jobs, &program, &options);
                let Some(folder) = folder else {
                    let text: String = units.iter().map(|unit| format!("# {}\n{}\n", unit.name, unit.text)).collect();
                    tell::out(&text)?;
                    return Ok(Exit::Done);
                };
                std::fs::create_dir_all(folder)
                    .map_err(|error| Problem::new(Exit::Failed, format!("cannot make `{}`: {error}", folder.display()), None))?;
                for unit in &units {
                    write_whole(&unit.text, &folder.join(&unit.name))?;
                }
                let timers: Vec<&str> =
                    units.iter().map(|unit| unit.name.as_str()).filter(|name| name.ends_with(".timer")).collect();
                tell::line(tell::color(), Mark::Note, &format!("wrote {} units to `{}`", units.len(), folder.display()));
                let user = if folder.starts_with("/etc") { "" } else { "--user " };
                tell::line(
                    tell::color(),
                    Mark::Hint,
                    &format!("`systemctl {user}daemon-reload && systemctl {user}enable --now {}`", timers.join(" ")),
                );
            }
        }
        Ok(Exit::Done)
    }

    /// Does what is due of these jobs, and ends.
    fn run_once(&self, names: &[String], trigger: Trigger) -> Result<Exit, Problem> {
        let mut exit = Exit::Done;
        for job in self.named(names)? {
            if let Some(folder) = &job.folder
                && let Err(error) = std::env::set_current_dir(folder)
            {
                return Err(Problem::new(
                    Exit::Failed,
                    format!("{}: cannot go to `{}`: {error}", job.name, folder.display()),
                    None,
                ));
            }
            let note = |text: &str| tell::line(tell::color(), Mark::Note, &format!("{}: {text}", job.name));
            match run_job(&job, &self.store, &Real { schedule: self }, trigger)? {
                Outcome::Ran { failed: None, .. } => {}
                Outcome::Ran { failed: Some(_), .. } => exit = Exit::Failed,
                Outcome::NotDue(Some(next)) => note(&format!("not due before {}", clock_of(&job.cron, next))),
                Outcome::NotDue(None) => note("never due"),
                Outcome::Waits(_) => exit = Exit::Failed,
                Outcome::Busy => note("another process runs it"),
            }
        }
        Ok(exit)
    }

    /// Starts what is due, until it is told to end. It keeps nothing in memory that matters: each job runs in a process of its own, which looks
    /// into the state and writes into it.
    fn keep_running(&self) -> Result<Exit, Problem> {
        let Some(_lock) = self.store.lock("")? else {
            let hint = "two would start the same jobs; look for it with `pgrep -af 'schedule run'`";
            return Err(Problem::new(Exit::Failed, "the schedule is kept by another process", Some(hint.to_owned())));
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Problem::new(Exit::Failed, format!("cannot wait: {error}"), None))?;
        let mut keeper =
            Keeper { schedule: self, program: program()?, children: BTreeMap::new(), rest: BTreeMap::new(), told: vec![] };
        let count = self.jobs()?.jobs.len();
        tell::line(
            tell::color(),
            Mark::Note,
            &format!("keeping {count} jobs; what runs when goes to `{}`", self.store.log_path().display()),
        );
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let ends = |error: std::io::Error| Problem::new(Exit::Failed, format!("cannot listen for signals: {error}"), None);
            let mut terminate = signal(SignalKind::terminate()).map_err(ends)?;
            let mut hang_up = signal(SignalKind::hangup()).map_err(ends)?;
            loop {
                let pause = keeper.look()?;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = hang_up.recv() => {}
                    _ = terminate.recv() => break,
                    _ = tokio::signal::ctrl_c() => break,
                }
            }
            keeper.end();
            Ok(Exit::Done)
        })
    }

    /// What a job's line asks for: decided as if it had been typed, and checked.
    fn decide(&self, job: &Job, run: Option<&Run>) -> Result<(Config, Vec<Script>, OutputFormat), Problem> {
        let given = job.run.iter().map(OsString::from);
        let mut args: Vec<OsString> = vec!["logsql".into()];
        args.extend(self.options().into_iter().map(OsString::from));
        if let Some(zone) = job.cron.zone_name() {
            args.push(format!("--tz={zone}").into());
        }
        if let (Some(run), true) = (run, job.window != Window::All) {
            args.extend(run.since.map(|since| OsString::from(format!("--since={since}"))));
            args.push(format!("--until={}", run.until).into());
        }
        args.extend(given);
        let (options, sources) = match sources::parse(args) {
            Ok(parsed) => parsed,
            Err(Refused::Problem(problem)) => return Err(problem),
            Err(Refused::Clap(error)) => {
                let text = error.to_string();
                let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                return Err(Problem::usage(format!("{}: {message}", job.name), Some("see `logsql report --help`".to_owned())));
            }
        };
        let by_line = sources.typed_value("format").is_some();
        let mut config = Config::resolve(options, &sources)?;
        if !matches!(config.command, Decided::Report(_) | Decided::Query) || config.scripts.is_empty() {
            let hint = "behind `--` stand `report NAME…` or SQL, and paths";
            return Err(Problem::usage(format!("{}: there is nothing to run", job.name), Some(hint.to_owned())));
        }
        if has_times(&job.run) && job.window != Window::All {
            let hint = "remove them, or set `window = \"all\"`";
            return Err(Problem::usage(
                format!("{}: a job with a window has no --since and --until", job.name),
                Some(hint.to_owned()),
            ));
        }
        let by_name = job.file.as_deref().map(Path::new).and_then(OutputFormat::from_extension);
        let format = match &job.format {
            Some(name) => name
                .parse()
                .map_err(|error: crate::output::UnknownFormat| Problem::usage(format!("{}: {error}", job.name), None))?,
            None if by_line => config.output.format,
            None => by_name.unwrap_or_else(|| {
                if job.mail.is_empty() && job.file.is_none() { OutputFormat::Markdown } else { OutputFormat::Html }
            }),
        };
        let mut scripts = vec![];
        for script in std::mem::take(&mut config.scripts) {
            scripts.push(match script {
                Script::Saved(query, mut given) => {
                    for (name, moment) in [("since", run.and_then(|run| run.since)), ("until", run.map(|run| run.until))] {
                        let takes = query.params.iter().any(|param| param.name == name && param.kind == ParamKind::Time);
                        if takes && given.iter().all(|(given, _)| given != name) {
                            given.extend(moment.map(|moment| (name.to_owned(), moment.to_string())));
                        }
                    }
                    Script::Saved(query, given)
                }
                Script::Text(sql) => {
                    let text = format!("-- description: {}\n\n{sql}\n", job.name);
                    let query = SavedQuery::parse(&job.name, Origin::File(job.source.path().to_owned()), &text)
                        .map_err(SavedQueryError::from)?;
                    Script::Saved(Box::new(query), vec![])
                }
                Script::File(path) => {
                    let hint = "make a saved query of it: `logsql report --edit NAME`".to_owned();
                    return Err(Problem::usage(format!("{}: a job runs no script `{}`", job.name, path.display()), Some(hint)));
                }
            });
        }
        for script in &scripts {
            if let Script::Saved(query, given) = script {
                query.statement().map_err(SavedQueryError::from)?;
                let mut clock = config.clock.clone();
                clock.now = run.map_or(clock.now, |run| run.due);
                let takes_times = query.params.iter().any(|param| matches!(param.name.as_str(), "since" | "until"));
                if run.is_some() || !takes_times {
                    query.bind(given, &clock)?;
                }
            }
        }
        if ReportFormat::of(format).is_none() && scripts.len() != 1 {
            let hint = Some("html, markdown and json hold several".to_owned());
            return Err(Problem::usage(
                format!("{}: {} holds one result, and there are {}", job.name, format.name(), scripts.len()),
                hint,
            ));
        }
        Ok((config, scripts, format))
    }

    /// Makes the result of a run.
    fn make(&self, job: &Job, run: &Run) -> Result<Made, Problem> {
        let (mut config, scripts, format) = self.decide(job, Some(run))?;
        config.scripts = scripts;
        // `yesterday` is the day before the due time, however late the run is.
        config.clock.now = run.due;
        config.output = OutputOptions { format, target: OutputTarget::File, width: None, color: Color::Never, ..config.output };
        let name = job.cron.local(run.due).strftime("%Y-%m-%dT%H%M");
        let file = run.spool.join(format!("{}-{name}.{}", job.name, extension(format)));
        let runtime = runtime(&config)?;
        let session = Session::try_new(&config.session)?;
        let made = runtime.block_on(async {
            match tokio::time::timeout(job.timeout, Box::pin(self.render(job, &config, &session, file))).await {
                Ok(made) => made,
                Err(_) => Err(Problem::new(Exit::Failed, format!("it took longer than {} s", job.timeout.as_secs()), None)),
            }
        });
        runtime.shutdown_timeout(LAST_MOMENT);
        made
    }

    async fn render(&self, job: &Job, config: &Config, session: &Session, file: PathBuf) -> Result<Made, Problem> {
        let incomplete =
            |exit: Exit| (exit == Exit::Incomplete).then(|| "not all of the input could be read or parsed".to_owned());
        let Some(format) = ReportFormat::of(config.output.format) else {
            let Some(Script::Saved(query, given)) = config.scripts.first() else {
                return Err(Problem::usage("there is nothing to run", None));
            };
            let statement = query.statement().map_err(SavedQueryError::from)?;
            let answer = session.run_bound(statement, query.bind(given, &config.clock)?).await?;
            let written = write_file(answer.rows, &file, &config.output).await.map_err(|error| match error {
                crate::output::OutputError::Query(error) => Problem::from(session.explain(&error)),
                error => error.into(),
            })?;
            session.report().settle().await;
            let exit = tell::input(config, &session.report().current(), session.report().summary(), written.rows);
            let is_alert = match &query.alert {
                Some(Alert { on: AlertOn::Rows, comparison, bound }) => comparison.holds(written.rows as f64, *bound),
                Some(_) if job.when == When::Alert => {
                    let hint = Some("html, markdown and json look at its columns".to_owned());
                    return Err(Problem::usage(format!("the alert of `{}` looks at a column", query.name), hint));
                }
                _ => false,
            };
            let title = format!("{}: {}", job.name, query.description);
            return Ok(Made { title, file, text: None, rows: written.rows, is_alert, warning: incomplete(exit) });
        };
        let mut exit = Exit::Done;
        let sections = super::report::sections(config, session, &config.clock, &mut exit).await?;
        for section in &sections {
            if let Err(error) = &section.rows {
                return Err(Problem::new(Exit::Failed, format!("{}: {}", section.name, error.message), error.hint.clone()));
            }
        }
        let rows = sections.iter().filter_map(|section| section.rows.as_ref().ok()).map(|rows| rows.total).sum();
        let is_alert = sections.iter().any(crate::report::Section::is_alert);
        let title = match &config.command {
            Decided::Report(options) => super::report::title(options, &sections),
            _ => job.name.clone(),
        };
        let report = Report { title: title.clone(), made: Timestamp::now(), window: config.session.window, sections };
        write_whole(report.render(format, &config.output)?, &file)?;
        let text = match format {
            ReportFormat::Html if !job.mail.is_empty() => {
                let text = file.with_extension("txt");
                write_whole(report.render(ReportFormat::Markdown, &config.output)?, &text)?;
                Some(text)
            }
            ReportFormat::Markdown => Some(file.clone()),
            _ => None,
        };
        Ok(Made { title, file, text, rows, is_alert, warning: incomplete(exit) })
    }
}

/// The world as it is.
struct Real<'a> {
    schedule: &'a Schedule<'a>,
}

impl World for Real<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn wait_until(&self, moment: Timestamp) {
        // In short sleeps, so that a clock that is set and a machine that was asleep are noticed.
        while let Ok(left) = Duration::try_from(moment.duration_since(Timestamp::now())) {
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn make(&self, job: &Job, run: &Run) -> Result<Made, String> {
        self.schedule.make(job, run).map_err(|problem| problem.text())
    }

    fn deliver(&self, job: &Job, run: &Run, made: &Made, target: Target) -> Result<(), DeliveryError> {
        deliver(crate::schedule::Report { job, run, made }, target, &self.schedule.mail)
    }

    fn say(&self, job: &Job, level: &str, text: &str) {
        let mark = match level {
            "error" => Mark::Error,
            "warn" => Mark::Warning,
            _ => Mark::Note,
        };
        tell::line(tell::color(), mark, &format!("{}: {text}", job.name));
    }
}

/// The long-lived process.
struct Keeper<'a> {
    schedule: &'a Schedule<'a>,
    program: PathBuf,
    children: BTreeMap<String, Child>,
    /// Jobs whose process failed.
    rest: BTreeMap<String, Instant>,
    /// What was told of files of jobs.
    told: Vec<String>,
}

impl Keeper<'_> {
    /// Starts what is due, and says how long there is nothing to do.
    fn look(&mut self) -> Result<Duration, Problem> {
        let now = Timestamp::now();
        self.children.retain(|name, child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) if status.success() => false,
            _ => {
                self.rest.insert(name.clone(), Instant::now() + REST);
                false
            }
        });
        self.rest.retain(|_, until| *until > Instant::now());
        let Jobs { jobs, broken } = self.schedule.jobs()?;
        let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
        for error in broken.iter().filter(|error| !self.told.contains(error)) {
            tell::line(tell::color(), Mark::Error, error);
        }
        self.told = broken;
        let mut pause = if self.children.is_empty() { LOOK } else { LOOK_AT_CHILDREN };
        for job in &jobs {
            if self.children.contains_key(&job.name) || self.children.len() >= BESIDE {
                continue;
            }
            let Some(moment) = self.schedule.wakes(job, now)? else { continue };
            let left = Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO);
            if !left.is_zero() {
                pause = pause.min(left);
            } else if !self.rest.contains_key(&job.name) {
                self.start(job);
                pause = pause.min(LOOK_AT_CHILDREN);
            }
        }
        Ok(pause)
    }

    fn start(&mut self, job: &Job) {
        let mut command = Command::new(&self.program);
        command
            .args(self.schedule.options())
            .args(["schedule", "run", "--no-wait", &job.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        match command.spawn() {
            Ok(child) => drop(self.children.insert(job.name.clone(), child)),
            Err(error) => {
                tell::line(
                    tell::color(),
                    Mark::Error,
                    &format!("{}: cannot start `{}`: {error}", job.name, self.program.display()),
                );
                self.rest.insert(job.name.clone(), Instant::now() + REST);
            }
        }
    }

    /// Waits a while for what runs. What is ended after that goes on with the next start.
    fn end(&mut self) {
        let until = Instant::now() + FAREWELL;
        if !self.children.is_empty() {
            tell::line(tell::color(), Mark::Note, &format!("waiting for {} runs", self.children.len()));
        }
        while Instant::now() < until && !self.children.is_empty() {
            self.children.retain(|_, child| matches!(child.try_wait(), Ok(None)));
            std::thread::sleep(LOOK_AT_CHILDREN);
        }
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Schedule<'_> {
    /// When there is something to do for a job.
    fn wakes(&self, job: &Job, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let state = self.store.load(&job.name)?;
        Ok(match (state.pending(), state.settled) {
            (Some((_, again, _)), _) => Some(again.unwrap_or(now)),
            (None, Some(settled)) => job.cron.next(settled),
            (None, None) => job.cron.next(job.known_since().unwrap_or(now)),
        })
    }
}

/// This program, also after it was replaced by a newer one.
fn program() -> Result<PathBuf, Problem> {
    let path = std::env::current_exe()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot find this program: {error}"), None))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

fn clock_of(cron: &Cron, moment: Timestamp) -> String {
    cron.local(moment).strftime("%a %Y-%m-%d %H:%M %:z").to_string()
}

fn job_line(values: &[(&str, Written)]) -> Vec<String> {
    values
        .iter()
        .find_map(|(key, value)| if let (&"run", Written::Many(run)) = (key, value) { Some(run.clone()) } else { None })
        .unwrap_or_default()
}

/// Whether a line says since when or until when it is about.
fn has_times(run: &[String]) -> bool {
    let flags = ["--since", "--until", "--from", "--to"];
    run.iter()
        .any(|word| flags.iter().any(|flag| word == flag || word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))))
}

fn extension(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Markdown => "md",
        OutputFormat::Table | OutputFormat::Line => "txt",
        other => other.name(),
    }
}
