//! Jobs for others who know the time: systemd timers and crontab lines. Both start `logsql schedule run NAME`, which decides by itself
//! what is due; a timer that comes too often does no harm.

use std::path::Path;

use super::job::{CatchUp, Job};

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name of its file.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A service and a timer for each job. `options` stand before the command, such as `--config FILE`.
pub fn systemd(jobs: &[&Job], program: &Path, options: &[String]) -> Vec<Unit> {
    let mut units = vec![];
    for job in jobs {
        let what = job.description.as_deref().unwrap_or("scheduled report").replace(['\n', '\r'], " ").replace('%', "%%");
        let words = std::iter::once(program.display().to_string()).chain(options.iter().cloned());
        let words = words.chain(["schedule", "run"].map(str::to_owned)).chain([job.name.clone()]);
        let command: Vec<String> = words.map(|word| systemd_word(&word)).collect();
        units.push(Unit {
            name: format!("logsql-{}.service", job.name),
            text: format!(
                "[Unit]\nDescription=logsql {}: {what}\nWants=network-online.target\nAfter=network-online.target\n\n\
                 [Service]\nType=oneshot\nExecStart={}\nNice=10\n",
                job.name,
                command.join(" ")
            ),
        });
        let times: String = job.cron.on_calendar().iter().map(|line| format!("OnCalendar={line}\n")).collect();
        let persistent = job.catch_up != CatchUp::None;
        units.push(Unit {
            name: format!("logsql-{}.timer", job.name),
            text: format!(
                "[Unit]\nDescription=logsql {}: {}\n\n[Timer]\n{times}AccuracySec=1s\nPersistent={persistent}\n\n[Install]\nWantedBy=timers.target\n",
                job.name, job.cron
            ),
        });
    }
    units
}

/// A word of `ExecStart=`.
fn systemd_word(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    let is_plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:@=+%$".contains(&byte));
    if is_plain { escaped } else { format!("\"{escaped}\"") }
}

/// Lines for a crontab.
pub fn crontab(jobs: &[&Job], program: &Path, options: &[String]) -> String {
    let mut text = String::new();
    for job in jobs {
        let words = std::iter::once(program.display().to_string()).chain(options.iter().cloned());
        let words = words.chain(["schedule", "run"].map(str::to_owned)).chain([job.name.clone()]);
        let command: Vec<String> = words.map(|word| shell_word(&word)).collect();
        if let Some(zone) = job.cron.zone_name() {
            text += &format!(
                "# {}: {} ({zone} is not cron's zone, so it looks every minute whether it is due)\n",
                job.name, job.cron
            );
        }
        // cron takes a % for the end of the line.
        text += &format!("{} {}\n", job.cron.crontab(), command.join(" ").replace('%', "\\%"));
    }
    text
}

fn shell_word(word: &str) -> String {
    let is_plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:@=+,%".contains(&byte));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
