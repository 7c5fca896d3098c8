//! What is known about each job between two runs: a file of JSON that is replaced as a whole, a lock, and a log.
//!
//! A state is on the disk before what it says is done: written beside, synced, renamed, and the folder synced.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::run::ScheduleError;
use crate::output::write_whole;

/// A log that is longer begins anew; the old one stays beside it.
const LOG_BYTES: u64 = 8 << 20;

/// How often a lock is asked for, 20 ms apart.
const LOCK_ATTEMPTS: u32 = 10;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Its result was delivered.
    Delivered,
    /// There was nothing that the job wants to be told of.
    Nothing,
    /// It failed, and so did its retries.
    GaveUp,
}

/// The last run that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it was due.
    #[serde(with = "moment")]
    pub due: Timestamp,
    /// When it ended.
    #[serde(with = "moment")]
    pub at: Timestamp,
    /// How.
    pub ending: Ending,
    /// Why, if it failed.
    pub error: Option<String>,
}

/// A run that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    #[serde(with = "moment")]
    pub(super) due: Timestamp,
    #[serde(with = "maybe")]
    pub(super) since: Option<Timestamp>,
    #[serde(with = "moment")]
    pub(super) until: Timestamp,
    /// Attempts that failed.
    pub(super) failures: u32,
    /// Attempts that ended with their process.
    pub(super) interruptions: u32,
    /// Whether an attempt is going on, or was when the process ended.
    pub(super) is_running: bool,
    /// The next attempt comes then.
    #[serde(with = "maybe")]
    pub(super) not_before: Option<Timestamp>,
    /// What was made.
    pub(super) made: Option<super::run::Made>,
    /// Targets that have it.
    pub(super) delivered: Vec<String>,
    /// The target that may have it.
    pub(super) delivering: Option<String>,
    pub(super) error: Option<String>,
}

/// The state of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Due times up to this one are done with.
    #[serde(with = "maybe", default)]
    pub settled: Option<Timestamp>,
    /// The end of the window of the last success.
    #[serde(with = "maybe", default)]
    pub covered: Option<Timestamp>,
    /// The last run that ended.
    #[serde(default)]
    pub last: Option<Ended>,
    #[serde(default)]
    pub(super) pending: Option<Pending>,
}

impl State {
    /// The run that has begun and not ended: when it was due, when it goes on, and what went wrong.
    pub fn pending(&self) -> Option<(Timestamp, Option<Timestamp>, Option<&str>)> {
        self.pending.as_ref().map(|pending| (pending.due, pending.not_before, pending.error.as_deref()))
    }
}

/// The folder of states.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A lock, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    /// A store in this folder, which is made.
    pub fn open(folder: &Path) -> Result<Self, ScheduleError> {
        let store = Self { folder: folder.to_owned() };
        std::fs::create_dir_all(store.folder.join("jobs")).map_err(|source| store.failed("make", &store.folder, source))?;
        Ok(store)
    }

    fn failed(&self, verb: &'static str, path: &Path, source: io::Error) -> ScheduleError {
        ScheduleError::Io { verb, path: path.to_owned(), source }
    }

    fn of(&self, job: &str, extension: &str) -> PathBuf {
        self.folder.join("jobs").join(format!("{job}.{extension}"))
    }

    /// The log of all runs: one JSON object per line.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("runs.log")
    }

    /// Where the results of a job wait for their delivery.
    pub fn spool(&self, job: &str) -> PathBuf {
        self.of(job, "spool")
    }

    /// Takes the lock of a job, or of the whole schedule (an empty name). `None`: another process has it.
    pub fn lock(&self, job: &str) -> Result<Option<Lock>, ScheduleError> {
        let path = if job.is_empty() { self.folder.join("schedule.lock") } else { self.of(job, "lock") };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| self.failed("open", &path, source))?;
        // A process that was just started has it too, until it becomes another program.
        for _ in 0..LOCK_ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::Error(source)) => return Err(self.failed("lock", &path, source)),
            }
        }
        Ok(None)
    }

    /// The state of a job.
    pub fn load(&self, job: &str) -> Result<State, ScheduleError> {
        let path = self.of(job, "json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(source) => return Err(self.failed("read", &path, source)),
        };
        serde_json::from_str(&text).map_err(|error| ScheduleError::State { path, message: error.to_string() })
    }

    /// Writes the state of a job; it is on the disk when this returns.
    pub fn save(&self, job: &str, state: &State) -> Result<(), ScheduleError> {
        let path = self.of(job, "json");
        let text = serde_json::to_string_pretty(state)
            .map_err(|error| ScheduleError::State { path: path.clone(), message: error.to_string() })?;
        Ok(write_whole(text + "\n", &path)?)
    }

    /// Forgets a job.
    pub fn forget(&self, job: &str) -> Result<(), ScheduleError> {
        let path = self.of(job, "json");
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(self.failed("remove", &path, source)),
            _ => {}
        }
        self.clear_spool(job);
        Ok(())
    }

    /// Removes what waited for its delivery. What stays behind is overwritten by the next run.
    pub fn clear_spool(&self, job: &str) {
        let _ = std::fs::remove_dir_all(self.spool(job));
    }

    /// Writes a line of the log. A log that cannot be written stops no run.
    pub fn note(&self, now: Timestamp, level: &str, job: &str, event: &str, fields: &[(&str, String)]) {
        let path = self.log_path();
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES) {
            let _ = std::fs::rename(&path, path.with_extension("log.1"));
        }
        let mut line = serde_json::Map::new();
        line.insert("time".to_owned(), now.to_string().into());
        line.insert("level".to_owned(), level.into());
        line.insert("job".to_owned(), job.into());
        line.insert("message".to_owned(), event.into());
        for (key, value) in fields {
            line.insert((*key).to_owned(), value.clone().into());
        }
        let line = format!("{}\n", serde_json::Value::Object(line));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// A moment as text.
mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(moment)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A moment as text, or null.
mod maybe {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        moment.map(|moment| moment.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}
