//! One job: what is due, and one run after the other, with a note on the disk before and after each step.
//!
//! ```text
//!   Planned ──► Started ──► Made ──► Delivering ──► Delivered ──► Noted ──► Settled
//!     │            │          │           │   └ in doubt ┘           │
//!     │            └ failed: waits 1, 2, 4 … delays, then again; after the last retry it is given up
//!     └ window and due time are fixed
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::job::{CatchUp, InDoubt, Job, Target, When, Window};
use super::state::{Ended, Ending, Pending, State, Store};
use crate::output::OutputError;

/// A run that ended so often with its process is given up: it may be what ends it.
const MOST_INTERRUPTIONS: u32 = 5;

/// Missed runs that are caught up one by one; what is older is left out.
const MOST_MISSED: usize = 1000;

/// A run that begins later than this after its due time is a missed one.
const ON_TIME: Duration = Duration::from_secs(300);

/// What cannot be done with the schedule.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// A file or folder.
    #[error("cannot {verb} `{}`", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A state that is none.
    #[error("`{}` is damaged: {message}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A state that cannot be written.
    #[error("cannot write down the state")]
    Save(#[from] OutputError),
}

impl ScheduleError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::State { path, .. } => Some(format!("remove it: the job then begins anew (`rm {}`)", path.display())),
            Self::Save(error) => error.hint(),
            Self::Io { .. } => None,
        }
    }
}

/// A step of a run: after it a process may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Due time and window are written down.
    Planned,
    /// An attempt is written down.
    Started,
    /// The result is there and written down.
    Made,
    /// It is written down that a delivery begins.
    Delivering,
    /// A delivery is done, and nobody has written that down.
    Delivered,
    /// That is written down.
    Noted,
    /// The run is over, and that is written down.
    Settled,
}

/// A run, for those who make and deliver its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it was due.
    pub due: Timestamp,
    /// The first moment that it is about.
    pub since: Option<Timestamp>,
    /// The first moment behind that.
    pub until: Timestamp,
    /// Whether the window is the job's, and not the command line's.
    pub is_windowed: bool,
    /// Its name: the same for each attempt.
    pub id: String,
    /// The folder for its results.
    pub spool: PathBuf,
}

/// What a run has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What stands above it.
    pub title: String,
    /// The file in the spool.
    pub file: PathBuf,
    /// The same as text for people, where `file` is no text.
    pub text: Option<PathBuf>,
    /// Rows of all results.
    pub rows: u64,
    /// Whether an alert came true.
    pub is_alert: bool,
    /// What was not right and did not stop it.
    pub warning: Option<String>,
}

/// A delivery that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    /// Why.
    pub message: String,
    /// Whether it may have happened all the same.
    pub in_doubt: bool,
}

/// What a run needs of the world; tests have their own.
pub trait World {
    /// The time.
    fn now(&self) -> Timestamp;
    /// Waits until then.
    fn wait_until(&self, moment: Timestamp);
    /// Makes the result.
    fn make(&self, job: &Job, run: &Run) -> Result<Made, String>;
    /// Hands it over.
    fn deliver(&self, job: &Job, run: &Run, made: &Made, target: Target) -> Result<(), DeliveryError>;
    /// Says something to whoever watches.
    fn say(&self, _job: &Job, _level: &str, _text: &str) {}
    /// A step is done.
    fn reached(&self, _step: Step) {}
}

/// Why a job is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It may be due; a retry is waited for.
    Due,
    /// It may be due; who asks will ask again for a retry.
    DueNoWait,
    /// It is to run now, due or not.
    Now,
    /// It is to run now, and who asks will ask again for a retry.
    NowNoWait,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Runs that ended well, and whether the last one failed.
    Ran {
        /// How many.
        done: u32,
        /// Why the last one was given up.
        failed: Option<String>,
    },
    /// Nothing is due before this moment.
    NotDue(Option<Timestamp>),
    /// A run failed and is tried again then.
    Waits(Timestamp),
    /// Another process is at it.
    Busy,
}

/// Does what is due.
pub fn run_job(job: &Job, store: &Store, world: &dyn World, trigger: Trigger) -> Result<Outcome, ScheduleError> {
    let Some(_lock) = store.lock(&job.name)? else { return Ok(Outcome::Busy) };
    let state = store.load(&job.name)?;
    let mut worker = Worker { job, store, world, state };
    let (mut done, mut failed) = (0, None);
    let mut by_hand = matches!(trigger, Trigger::Now | Trigger::NowNoWait);
    loop {
        if worker.state.pending.is_none() && !worker.plan(std::mem::take(&mut by_hand))? {
            return Ok(if done > 0 || failed.is_some() {
                Outcome::Ran { done, failed }
            } else {
                Outcome::NotDue(job.cron.next(world.now()))
            });
        }
        if let Some(moment) = worker.waits() {
            if matches!(trigger, Trigger::DueNoWait | Trigger::NowNoWait) {
                return Ok(Outcome::Waits(moment));
            }
            world.wait_until(moment);
        }
        match worker.attempt()? {
            Attempt::Done => (done, failed) = (done + 1, None),
            Attempt::GivenUp(error) => failed = Some(error),
            Attempt::Again => {}
        }
    }
}

enum Attempt {
    Done,
    Again,
    GivenUp(String),
}

struct Worker<'a> {
    job: &'a Job,
    store: &'a Store,
    world: &'a dyn World,
    state: State,
}

impl Worker<'_> {
    fn save(&self) -> Result<(), ScheduleError> {
        self.store.save(&self.job.name, &self.state)
    }

    fn note(&self, level: &str, event: &str, due: Timestamp, more: &[(&str, String)]) {
        let mut fields = vec![("due", due.to_string())];
        fields.extend(more.iter().map(|(key, value)| (*key, value.clone())));
        self.store.note(self.world.now(), level, &self.job.name, event, &fields);
        let more: String = more.iter().map(|(key, value)| format!(", {key}: {value}")).collect();
        self.world.say(
            self.job,
            level,
            &format!("{event} (due {}{more})", self.job.cron.local(due).strftime("%Y-%m-%d %H:%M %:z")),
        );
    }

    /// Writes down the next run, if one is due.
    fn plan(&mut self, by_hand: bool) -> Result<bool, ScheduleError> {
        let now = self.world.now();
        let due = if by_hand { Some(now) } else { self.due(now)? };
        let Some(due) = due else { return Ok(false) };
        let ago = |moment: Timestamp, length: Duration| moment.checked_sub(length).unwrap_or(Timestamp::MIN);
        let until = ago(due, self.job.lag);
        let before = || self.job.cron.before(due).map(|before| ago(before, self.job.lag));
        let since = match self.job.window {
            Window::New => self.state.covered.or_else(before),
            Window::Period => before(),
            Window::Last(length) => Some(ago(until, length)),
            Window::All => None,
        };
        self.state.pending = Some(Pending {
            due,
            // A lag that was made longer moves no window back.
            since: since.map(|since| since.min(until)),
            until,
            failures: 0,
            interruptions: 0,
            is_running: false,
            not_before: None,
            made: None,
            delivered: vec![],
            delivering: None,
            error: None,
        });
        self.save()?;
        self.world.reached(Step::Planned);
        Ok(true)
    }

    /// The due time that is run next. What is left out is settled, and told.
    fn due(&mut self, now: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        let cron = &self.job.cron;
        let Some(settled) = self.state.settled else {
            // Seen for the first time: what was due before the job was written down is none of its business.
            self.state.settled = Some(self.job.known_since().unwrap_or(now).min(now));
            self.save()?;
            return self.due(now);
        };
        let Some(last) = cron.last(now).filter(|last| *last > settled) else { return Ok(None) };
        let (chosen, left_out) = match self.job.catch_up {
            CatchUp::Latest => (Some(last), cron.before(last).filter(|before| *before > settled)),
            CatchUp::All => {
                let (mut first, mut seen) = (last, 1);
                while let Some(before) = cron.before(first).filter(|before| *before > settled && seen < MOST_MISSED) {
                    (first, seen) = (before, seen + 1);
                }
                (Some(first), cron.before(first).filter(|before| *before > settled))
            }
            CatchUp::None => {
                let is_late = now.duration_since(last) > SignedDuration::try_from(ON_TIME).unwrap_or(SignedDuration::MAX);
                if is_late { (None, Some(last)) } else { (Some(last), cron.before(last).filter(|before| *before > settled)) }
            }
        };
        if let Some(left_out) = left_out {
            let until = self.job.window == Window::New && chosen.is_some();
            let why = if until { "missed; the next run is about its time too" } else { "missed and left out" };
            self.note("warn", why, left_out, &[("after", settled.to_string())]);
            self.state.settled = Some(left_out);
            self.save()?;
        }
        Ok(chosen)
    }

    /// When the run that has begun may go on, if that is not yet.
    fn waits(&self) -> Option<Timestamp> {
        let moment = self.state.pending.as_ref()?.not_before?;
        (moment > self.world.now()).then_some(moment)
    }

    /// Tries the run that has begun, and writes down what came of it.
    fn attempt(&mut self) -> Result<Attempt, ScheduleError> {
        let Some(pending) = self.state.pending.as_mut() else { return Ok(Attempt::Done) };
        let due = pending.due;
        if std::mem::replace(&mut pending.is_running, true) {
            pending.interruptions += 1;
            let interruptions = pending.interruptions;
            self.note("warn", "goes on with a run whose process ended", due, &[("interruptions", interruptions.to_string())]);
            if interruptions > MOST_INTERRUPTIONS {
                return self.give_up(format!("its process ended {interruptions} times"));
            }
        }
        self.save()?;
        self.world.reached(Step::Started);
        match self.deliver_all()? {
            Ok(ending) => {
                self.end(ending, None)?;
                Ok(Attempt::Done)
            }
            Err(error) => {
                let Some(pending) = self.state.pending.as_mut() else { return Ok(Attempt::Done) };
                pending.failures += 1;
                let failures = pending.failures;
                if failures > self.job.retries {
                    return self.give_up(error);
                }
                let moment = self.world.now().checked_add(self.job.back_off(failures)).unwrap_or(Timestamp::MAX);
                pending.not_before = Some(moment);
                pending.is_running = false;
                pending.error = Some(error.clone());
                self.save()?;
                self.note("error", "failed and is tried again", due, &[("error", error), ("again", moment.to_string())]);
                Ok(Attempt::Again)
            }
        }
    }

    fn give_up(&mut self, error: String) -> Result<Attempt, ScheduleError> {
        self.end(Ending::GaveUp, Some(error.clone()))?;
        Ok(Attempt::GivenUp(error))
    }

    fn end(&mut self, ending: Ending, error: Option<String>) -> Result<(), ScheduleError> {
        let Some(pending) = self.state.pending.take() else { return Ok(()) };
        let rows = pending.made.as_ref().map(|made| made.rows);
        let warning = pending.made.as_ref().and_then(|made| made.warning.clone());
        self.state.settled = self.state.settled.max(Some(pending.due));
        if ending != Ending::GaveUp {
            // What was given up is still new to the next run.
            self.state.covered = self.state.covered.max(Some(pending.until));
        }
        self.state.last = Some(Ended { due: pending.due, at: self.world.now(), ending, error: error.clone() });
        self.save()?;
        self.world.reached(Step::Settled);
        self.store.clear_spool(&self.job.name);
        let (level, event) = match ending {
            Ending::Delivered => ("info", "delivered"),
            Ending::Nothing => ("info", "nothing to deliver"),
            Ending::GaveUp => ("error", "given up"),
        };
        let mut more = vec![];
        more.extend(rows.map(|rows| ("rows", rows.to_string())));
        more.extend(pending.since.map(|since| ("since", since.to_string())));
        more.push(("until", pending.until.to_string()));
        more.extend(warning.map(|warning| ("warning", warning)));
        more.extend(error.map(|error| ("error", error)));
        self.note(level, event, pending.due, &more);
        Ok(())
    }

    fn run(&self, pending: &Pending) -> Run {
        Run {
            due: pending.due,
            since: pending.since,
            until: pending.until,
            is_windowed: self.job.window != Window::All,
            id: format!("{}.{}", self.job.name, pending.due.as_millisecond()),
            spool: self.store.spool(&self.job.name),
        }
    }

    /// Makes the result, unless it is there, and hands it to all who do not have it. The outer error is one of the state.
    fn deliver_all(&mut self) -> Result<Result<Ending, String>, ScheduleError> {
        let Some(mut pending) = self.state.pending.clone() else { return Ok(Ok(Ending::Nothing)) };
        let run = self.run(&pending);
        let is_there = |made: &Made| made.file.is_file() && made.text.as_deref().is_none_or(Path::is_file);
        let made = match pending.made.clone().filter(is_there) {
            Some(made) => made,
            None => {
                self.store.clear_spool(&self.job.name);
                if let Err(source) = std::fs::create_dir_all(&run.spool) {
                    return Ok(Err(format!("cannot make `{}`: {source}", run.spool.display())));
                }
                match self.world.make(self.job, &run) {
                    Ok(made) => made,
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        pending.made = Some(made.clone());
        self.put(&pending)?;
        self.world.reached(Step::Made);
        let is_wanted = match self.job.when {
            When::Always => true,
            When::Rows => made.rows > 0,
            When::Empty => made.rows == 0,
            When::Alert => made.is_alert,
        };
        if !is_wanted {
            return Ok(Ok(Ending::Nothing));
        }
        for target in self.job.targets() {
            if pending.delivered.iter().any(|name| name == target.name()) {
                continue;
            }
            let name = target.name().to_owned();
            let is_doubtful = pending.delivering.as_ref() == Some(&name) && target != Target::File;
            if is_doubtful {
                let event = match self.job.in_doubt {
                    InDoubt::Again => "delivers again what may have been delivered",
                    InDoubt::Drop => "leaves out what may have been delivered",
                };
                self.note("warn", event, pending.due, &[("target", name.clone())]);
            }
            if !(is_doubtful && self.job.in_doubt == InDoubt::Drop) {
                pending.delivering = Some(name.clone());
                self.put(&pending)?;
                self.world.reached(Step::Delivering);
                match self.world.deliver(self.job, &run, &made, target) {
                    Ok(()) => self.world.reached(Step::Delivered),
                    Err(error) => {
                        if !error.in_doubt {
                            pending.delivering = None;
                        }
                        self.put(&pending)?;
                        return Ok(Err(format!("{name}: {}", error.message)));
                    }
                }
            }
            pending.delivered.push(name);
            pending.delivering = None;
            self.put(&pending)?;
            self.world.reached(Step::Noted);
        }
        Ok(Ok(Ending::Delivered))
    }

    fn put(&mut self, pending: &Pending) -> Result<(), ScheduleError> {
        self.state.pending = Some(pending.clone());
        self.save()
    }
}
