//! Runs by a clock of our own, and processes that are killed at each step.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::cron::Cron;
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A job that was written down at this time.
fn job(folder: &Path, cron: &str, known_since: &str) -> Job {
    let path = folder.join("j.toml");
    let file = fs::File::create(&path).expect("made");
    file.set_modified(at(known_since).into()).expect("set");
    let mut job =
        Job::new("j", Source::File(path), Cron::parse(cron).expect("is right"), vec!["report".to_owned(), "web".to_owned()]);
    job.pipe = Some("cat".to_owned());
    job
}

/// A world with a clock of its own, where the first few attempts fail.
struct Fake {
    now: Cell<Timestamp>,
    failures: Cell<u32>,
    rows: u64,
    /// `since..until` of what was delivered.
    delivered: RefCell<Vec<String>>,
    waited: RefCell<Vec<i64>>,
}

impl Fake {
    fn new(now: &str) -> Self {
        Self {
            now: Cell::new(at(now)),
            failures: Cell::new(0),
            rows: 1,
            delivered: RefCell::default(),
            waited: RefCell::default(),
        }
    }

    fn run(&self, job: &Job, store: &Store, now: &str) -> Outcome {
        self.now.set(at(now));
        run_job(job, store, self, Trigger::Due).expect("the state can be kept")
    }

    fn delivered(&self) -> Vec<String> {
        std::mem::take(&mut *self.delivered.borrow_mut())
    }
}

impl World for Fake {
    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn wait_until(&self, moment: Timestamp) {
        self.waited.borrow_mut().push(moment.as_second() - self.now.get().as_second());
        self.now.set(moment);
    }

    fn make(&self, _job: &Job, run: &Run) -> Result<Made, String> {
        if self.failures.get() > 0 {
            self.failures.set(self.failures.get() - 1);
            return Err("no rows today".to_owned());
        }
        let file = run.spool.join("report.html");
        fs::write(&file, "report").expect("written");
        Ok(Made { title: "t".to_owned(), file, text: None, rows: self.rows, is_alert: false, warning: None })
    }

    fn deliver(&self, _job: &Job, run: &Run, _made: &Made, _target: Target) -> Result<(), DeliveryError> {
        let short = |moment: Timestamp| moment.strftime("%dT%H:%M").to_string();
        self.delivered.borrow_mut().push(format!("{}..{}", run.since.map(short).unwrap_or_default(), short(run.until)));
        Ok(())
    }
}

const DONE: fn(u32) -> Outcome = |done| Outcome::Ran { done, failed: None };

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("state")).expect("opened");
    (folder, store)
}

#[test]
fn windows_follow_each_other_whenever_runs_come() {
    let (folder, store) = store();
    let job = job(folder.path(), "0 * * * * UTC", "2026-11-20T10:30:00Z");
    let world = Fake::new("2026-11-20T10:30:00Z");
    assert_eq!(world.run(&job, &store, "2026-11-20T10:59:59Z"), Outcome::NotDue(Some(at("2026-11-20T11:00:00Z"))));
    assert_eq!(world.run(&job, &store, "2026-11-20T11:00:00Z"), DONE(1));
    assert_eq!(world.run(&job, &store, "2026-11-20T11:00:30Z"), Outcome::NotDue(Some(at("2026-11-20T12:00:00Z"))));
    assert_eq!(world.run(&job, &store, "2026-11-20T12:20:00Z"), DONE(1));
    // The machine was off for four hours: one run is about all of them.
    assert_eq!(world.run(&job, &store, "2026-11-20T16:10:00Z"), DONE(1));
    assert_eq!(world.delivered(), ["20T10:00..20T11:00", "20T11:00..20T12:00", "20T12:00..20T16:00"]);
    let log = fs::read_to_string(store.log_path()).expect("a log");
    assert!(log.contains("missed; the next run is about its time too"), "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON");
    }
}

#[test]
fn missed_runs_are_caught_up_as_the_policy_says() {
    for (policy, window, expected) in [
        (CatchUp::Latest, Window::Period, vec!["20T13:00..20T14:00"]),
        (CatchUp::All, Window::Period, vec!["20T11:00..20T12:00", "20T12:00..20T13:00", "20T13:00..20T14:00"]),
        (CatchUp::All, Window::New, vec!["20T11:00..20T12:00", "20T12:00..20T13:00", "20T13:00..20T14:00"]),
        (CatchUp::None, Window::Period, vec![]),
    ] {
        let (folder, store) = store();
        let job = Job { catch_up: policy, window, ..job(folder.path(), "0 * * * * UTC", "2026-11-20T10:30:00Z") };
        let world = Fake::new("2026-11-20T10:30:00Z");
        assert_eq!(world.run(&job, &store, "2026-11-20T11:00:01Z"), DONE(1));
        assert_eq!(world.delivered(), ["20T10:00..20T11:00"]);
        world.run(&job, &store, "2026-11-20T14:30:00Z");
        assert_eq!(world.delivered(), expected, "{policy:?}");
        assert_eq!(world.run(&job, &store, "2026-11-20T14:31:00Z"), Outcome::NotDue(Some(at("2026-11-20T15:00:00Z"))));
        // On time again.
        assert_eq!(world.run(&job, &store, "2026-11-20T15:00:10Z"), DONE(1), "{policy:?}");
    }
}

#[test]
fn a_run_that_fails_is_tried_again_ever_later_and_its_records_are_not_lost() {
    let (folder, store) = store();
    let job = Job { retries: 3, ..job(folder.path(), "0 6 * * * UTC", "2026-11-19T00:00:00Z") };
    let world = Fake::new("2026-11-19T06:00:00Z");
    world.failures.set(2);
    assert_eq!(world.run(&job, &store, "2026-11-19T06:00:00Z"), DONE(1));
    assert_eq!(*world.waited.borrow(), [60, 120]);
    assert_eq!(world.delivered(), ["18T06:00..19T06:00"]);
    world.failures.set(4);
    let failed = Outcome::Ran { done: 0, failed: Some("no rows today".to_owned()) };
    assert_eq!(world.run(&job, &store, "2026-11-20T06:00:00Z"), failed);
    assert_eq!(store.load("j").expect("a state").last.expect("ended").ending, Ending::GaveUp);
    // What was given up is still new to the next run.
    assert_eq!(world.run(&job, &store, "2026-11-21T06:00:00Z"), DONE(1));
    assert_eq!(world.delivered(), ["19T06:00..21T06:00"]);
    assert_eq!((job.back_off(1), job.back_off(3)), (Duration::from_secs(60), Duration::from_secs(240)));
    assert_eq!(job.back_off(90), Duration::from_secs(3600));
}

#[test]
fn who_does_not_wait_is_told_when_to_come_again() {
    let (folder, store) = store();
    let job = job(folder.path(), "0 6 * * * UTC", "2026-11-19T00:00:00Z");
    let world = Fake::new("2026-11-19T06:00:00Z");
    world.failures.set(1);
    let run = || run_job(&job, &store, &world, Trigger::DueNoWait).expect("kept");
    assert_eq!(run(), Outcome::Waits(at("2026-11-19T06:01:00Z")));
    assert_eq!(run(), Outcome::Waits(at("2026-11-19T06:01:00Z")));
    world.now.set(at("2026-11-19T06:01:00Z"));
    assert_eq!(run(), DONE(1));
}

#[test]
fn what_nobody_wants_to_be_told_of_is_not_delivered_and_is_not_new_again() {
    let (folder, store) = store();
    let job = Job { when: When::Rows, ..job(folder.path(), "0 * * * * UTC", "2026-11-20T10:30:00Z") };
    let mut world = Fake::new("2026-11-20T11:00:00Z");
    world.rows = 0;
    assert_eq!(world.run(&job, &store, "2026-11-20T11:00:00Z"), DONE(1));
    assert_eq!(store.load("j").expect("a state").last.expect("ended").ending, Ending::Nothing);
    world.rows = 1;
    assert_eq!(world.run(&job, &store, "2026-11-20T12:00:00Z"), DONE(1));
    assert_eq!(world.delivered(), ["20T11:00..20T12:00"]);
}

#[test]
fn a_job_runs_once_at_a_time_and_by_hand_when_it_is_not_due() {
    let (folder, store) = store();
    let job = Job { lag: Duration::from_secs(300), ..job(folder.path(), "0 * * * * UTC", "2026-11-20T10:30:00Z") };
    let world = Fake::new("2026-11-20T11:20:00Z");
    let lock = store.lock("j").expect("opened").expect("free");
    assert_eq!(world.run(&job, &store, "2026-11-20T11:20:00Z"), Outcome::Busy);
    drop(lock);
    world.now.set(at("2026-11-20T10:45:00Z"));
    assert_eq!(run_job(&job, &store, &world, Trigger::Now).expect("kept"), DONE(1));
    assert_eq!(world.run(&job, &store, "2026-11-20T11:00:00Z"), DONE(1));
    assert_eq!(world.delivered(), ["20T09:55..20T10:40", "20T10:40..20T10:55"]);
}

#[test]
fn a_damaged_state_says_so() {
    let (folder, store) = store();
    let job = job(folder.path(), "0 * * * * UTC", "2026-11-20T10:30:00Z");
    fs::write(folder.path().join("state/jobs/j.json"), "{").expect("written");
    let error = run_job(&job, &store, &Fake::new("2026-11-20T11:20:00Z"), Trigger::Due).expect_err("is damaged");
    assert!(error.to_string().contains("is damaged") && error.hint().expect("one").contains("remove it"), "{error}");
}

#[test]
fn a_job_is_read_with_the_place_of_what_is_wrong() {
    let path = Path::new("s/j.toml");
    let parse = |text: &str| Job::parse("j", path, text, &[]).map_err(|errors| errors[0].to_string());
    let text = "schedule = '0 6 * * *'\nzone = 'Europe/Berlin'\nrun = ['report', 'web']\nfile = '/srv/{job}-%Y-%m-%d.html'\nwindow = '2d'\n";
    let job = parse(text).expect("is right");
    assert_eq!(job.window, Window::Last(Duration::from_secs(2 * 86_400)));
    let due = at("2026-11-20T23:30:00Z");
    assert_eq!(job.file_for(due), Some(Ok(PathBuf::from("/srv/j-2026-11-21.html"))), "the date is the one of the zone");
    for (line, expected) in [
        ("mial = 'x'", "s/j.toml:3:1: there is no setting `mial`"),
        ("mail = ['x']", "s/j.toml:3:8: `x` is no address"),
        ("when = 'never'", "s/j.toml:3:8: `when` cannot be `never`"),
        ("retries = 1000", "s/j.toml:3:11: `retries` cannot be `1000`"),
        ("lag = 'soon'", "s/j.toml:3:7: `lag` cannot be `soon`"),
        ("zone = 'Mars'", "s/j.toml:3:8: unknown time zone `Mars`"),
        ("file = 'x-%!'", "s/j.toml:3:8: `x-%!` is no name of a file"),
    ] {
        let error = parse(&format!("schedule = '0 6 * * *'\nrun = 'tables'\n{line}\n")).expect_err(line);
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(parse("run = 'x'"), Err("s/j.toml:1:1: there is no `schedule`".to_owned()));
}

#[test]
fn units_and_lines_are_quoted() {
    let (folder, _) = store();
    let job = Job { description: Some("50 % of\nall".to_owned()), ..job(folder.path(), "0 6 * * *", "2026-11-20T00:00:00Z") };
    let units = systemd(&[&job], Path::new("/opt/my logs/logsql"), &["--config".to_owned(), "/etc/a%b.toml".to_owned()]);
    assert_eq!(units[0].name, "logsql-j.service");
    assert!(
        units[0].text.contains("ExecStart=\"/opt/my logs/logsql\" --config /etc/a%%b.toml schedule run j\n"),
        "{}",
        units[0].text
    );
    assert!(units[0].text.contains("Description=logsql j: 50 %% of all\n"));
    assert!(
        units[1].text.contains("OnCalendar=*-*-* 06:00:00\n") && units[1].text.contains("Persistent=true"),
        "{}",
        units[1].text
    );
    let lines = crontab(&[&job], Path::new("/opt/my logs/logsql"), &["--config".to_owned(), "/etc/a%b.toml".to_owned()]);
    assert_eq!(lines, "0 6 * * * '/opt/my logs/logsql' --config /etc/a\\%b.toml schedule run j\n");
}

/// The victim's orders: a folder, a step, which time it is reached, and the policy.
const ORDERS: &str = "SCHEDULE_VICTIM";

/// A world that delivers for real, and ends its process without a farewell.
struct Mortal {
    folder: PathBuf,
    dies_at: Option<(Step, u32)>,
    reached: Cell<u32>,
}

impl World for Mortal {
    fn now(&self) -> Timestamp {
        at("2026-11-20T06:00:00Z")
    }

    fn wait_until(&self, _moment: Timestamp) {}

    fn make(&self, _job: &Job, run: &Run) -> Result<Made, String> {
        append(&self.folder.join("made"), &format!("{:?}..{}\n", run.since, run.until));
        let file = run.spool.join("report.html");
        fs::write(&file, "report\n").map_err(|error| error.to_string())?;
        Ok(Made { title: "t".to_owned(), file, text: None, rows: 1, is_alert: false, warning: None })
    }

    fn deliver(&self, job: &Job, run: &Run, made: &Made, target: Target) -> Result<(), DeliveryError> {
        deliver(Report { job, run, made }, target, &MailSettings::default())
    }

    fn reached(&self, step: Step) {
        let Some((dies_at, nth)) = self.dies_at.filter(|(dies_at, _)| *dies_at == step) else { return };
        self.reached.set(self.reached.get() + 1);
        if (dies_at, nth) == (step, self.reached.get()) {
            // SAFETY: the process asks for its own end; nothing of it is used after that.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("opened");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
}

fn mortal_job(folder: &Path, in_doubt: InDoubt) -> Job {
    let pipe = format!("cat >> '{}'", folder.join("piped").display());
    let file = format!("{}/report-%Y-%m-%d.html", folder.join("out").display());
    let job = job(folder, "0 6 * * * UTC", "2026-11-20T00:00:00Z");
    Job { pipe: Some(pipe), file: Some(file), in_doubt, ..job }
}

const STEPS: [(Step, u32); 10] = [
    (Step::Planned, 1),
    (Step::Started, 1),
    (Step::Made, 1),
    (Step::Delivering, 1),
    (Step::Delivered, 1),
    (Step::Noted, 1),
    (Step::Delivering, 2),
    (Step::Delivered, 2),
    (Step::Noted, 2),
    (Step::Settled, 1),
];

#[test]
#[ignore = "ends its process; `a_process_that_is_killed_…` starts it"]
fn victim() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let mut orders = orders.split('|');
    let mut next = || orders.next().expect("an order");
    let (folder, index, doubt) = (PathBuf::from(next()), next().parse::<usize>().expect("a number"), next());
    let in_doubt = if doubt == "drop" { InDoubt::Drop } else { InDoubt::Again };
    let store = Store::open(&folder.join("state")).expect("opened");
    let world = Mortal { folder: folder.clone(), dies_at: Some(STEPS[index]), reached: Cell::new(0) };
    let _ = run_job(&mortal_job(&folder, in_doubt), &store, &world, Trigger::Due);
}

#[test]
fn a_process_that_is_killed_at_any_step_loses_no_run_and_makes_none_twice() {
    for (index, step) in STEPS.into_iter().enumerate() {
        for (doubt, in_doubt) in [("again", InDoubt::Again), ("drop", InDoubt::Drop)] {
            let folder = tempfile::tempdir().expect("a folder");
            let status = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "schedule::tests::victim", "--ignored", "--nocapture", "--test-threads=1"])
                .env(ORDERS, format!("{}|{index}|{doubt}", folder.path().display()))
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status()
                .expect("runs");
            assert_eq!(status.signal(), Some(libc::SIGKILL), "{step:?}");
            let store = Store::open(&folder.path().join("state")).expect("opened");
            let world = Mortal { folder: folder.path().to_owned(), dies_at: None, reached: Cell::new(0) };
            // The victim wrote the file of the job anew; the one who goes on must not, or it would be known since now.
            let job = mortal_job(folder.path(), in_doubt);
            run_job(&job, &store, &world, Trigger::Due).expect("goes on");
            let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
            assert_eq!(
                read("made").lines().collect::<Vec<_>>(),
                ["Some(2026-11-19T06:00:00Z)..2026-11-20T06:00:00Z"],
                "{step:?}"
            );
            assert_eq!(read("out/report-2026-11-20.html"), "report\n", "{step:?}: a file is there once");
            // The one moment that nobody can know about, and the one before it, which looks the same from outside.
            let piped = match (step, in_doubt) {
                ((Step::Delivered, 2), InDoubt::Again) => 2,
                ((Step::Delivering, 2), InDoubt::Drop) => 0,
                _ => 1,
            };
            assert_eq!(read("piped").lines().count(), piped, "{step:?} {doubt}");
            let state = store.load("j").expect("a state");
            assert_eq!((state.pending(), state.settled), (None, Some(at("2026-11-20T06:00:00Z"))), "{step:?}");
            assert!(matches!(run_job(&job, &store, &world, Trigger::Due), Ok(Outcome::NotDue(_))), "{step:?}: once is enough");
        }
    }
}
