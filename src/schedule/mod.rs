//! Saved queries and SQL that run by the clock.
//!
//! ```text
//!   schedules/NAME.toml ┐                                          ┌─► file     dated name, whole or not at all
//!                       ├─► Job ──due?──► Run ──make──► Made ──────┼─► pipe     a command's standard input
//!   -- schedule: … ─────┘    │             │  (the caller's)       └─► mail     SMTP
//!                            │             │
//!                          cron.rs       state.rs: what is settled, what is going on; written before and after each step
//! ```
//!
//! Nothing here keeps anything in memory between runs: the long-lived process, a systemd timer and a crontab line all start the same
//! `logsql schedule run NAME`, which looks into the state, does what is due and writes down what it did.
//!
//! # What holds when a process is killed, or the power goes
//!
//! - **A run is not lost.** A due time is settled only when its result was delivered, was given up after its retries, or was left out as the
//!   catch-up policy says; until then the next start goes on with it. The log has a line for each of these.
//! - **A run is not made twice at once.** A lock that ends with its process stands around each job.
//! - **The window of a run does not move.** It is written down before the run begins, so a run that goes on is about the same
//!   records, and the window of the next one begins where it ended.
//! - **A file is delivered exactly once**, as its name comes from the due time and it appears by a rename: again is the same.
//! - **A mail or a command is delivered at least once**, and exactly once except for one moment: between the server's `250` (or the
//!   end of the command) and our note of it. Two machines cannot agree on that moment, so a process that is killed in it leaves
//!   a delivery in doubt. It is done again, with the same `Message-ID` (`LOGSQL_RUN_ID`), by which a receiver knows it: a report that comes twice
//!   is a nuisance, and an alert that never comes is an outage. `in-doubt = "drop"` chooses at most once.

pub mod cron;
mod deliver;
mod export;
mod job;
mod mail;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub use deliver::{Report, deliver};
pub use export::{Unit, crontab, systemd};
pub use job::{CatchUp, InDoubt, Job, JobFolders, Jobs, KEYS, Source, Target, When, Window, to_toml};
pub use mail::{MailSettings, Tls};
pub use run::{DeliveryError, Made, Outcome, Run, ScheduleError, Step, Trigger, World, run_job};
pub use state::{Ended, Ending, State, Store};
