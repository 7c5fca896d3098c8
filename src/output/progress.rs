//! How far a long query is: one line on a terminal that comes after half a second and goes before anything else is written.
//!
//! ```text
//!   1.2 GB of 4.0 GB (30 %) · 3 of 12 files · 850 MB/s · 4 s left · 5,234,871 rows
//! ```
//!
//! A thread of its own writes it, since all workers may be computing. The cursor waits at the begin of the line and all behind it is cleared: a terminal
//! that becomes narrow breaks the line into several, and they are gone with the next one.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::people::{bytes, count};
use crate::table::Progress;

/// What takes less is over before it can be read.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two lines.
const PAUSE: Duration = Duration::from_millis(200);

/// The line. It is gone when this is dropped.
#[derive(Debug)]
pub struct ProgressLine {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Hidden,
    Shown,
    Over,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressLine {
    /// Shows what `look` sees, on standard error.
    pub fn start(look: impl Fn() -> Progress + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let inside = Arc::clone(&shared);
        // Without a thread there is no line, and nothing is lost.
        let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(move || run(&inside, &look));
        Self { shared }
    }

    /// Takes the line away, for good.
    pub fn end(&self) {
        let mut state = self.shared.state();
        if std::mem::replace(&mut *state, State::Over) == State::Shown {
            // Nobody is left to be told that stderr is gone.
            let _ = std::io::stderr().write_all(b"\r\x1b[J");
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(shared: &Shared, look: &dyn Fn() -> Progress) {
    let began = Instant::now();
    let mut wait = PATIENCE;
    loop {
        let waited = shared.changed.wait_timeout_while(shared.state(), wait, |state| *state != State::Over);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if *state == State::Over {
            return;
        }
        wait = PAUSE;
        let width = terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        let text: String = line(look(), began.elapsed()).chars().take(width.saturating_sub(1)).collect();
        if !text.is_empty() {
            *state = State::Shown;
            let _ = write!(std::io::stderr(), "\r\x1b[J{text}\r");
        }
    }
}

/// The line; empty where nothing is known.
fn line(progress: Progress, took: Duration) -> String {
    let Progress { files, files_done, bytes: all, bytes_done, rows } = progress;
    let seconds = took.as_secs_f64().max(1e-3);
    if files == 0 {
        return format!("{seconds:.0} s");
    }
    let rate = bytes_done as f64 / seconds;
    let mut text = bytes(bytes_done);
    if all > 0 {
        text += &format!(" of {} ({:.0} %)", bytes(all), 100.0 * bytes_done as f64 / all as f64);
    }
    if files > 1 {
        text += &format!(" · {} of {} files", count(files_done), count(files));
    }
    text += &format!(" · {}/s", bytes(rate as u64));
    let left = all.saturating_sub(bytes_done) as f64 / rate.max(1.0);
    text += &match left {
        // What has not begun says nothing about its end, and what is read may still be sorted.
        _ if bytes_done == 0 || all == 0 => String::new(),
        _ if bytes_done >= all => format!(" · {seconds:.0} s"),
        left if left < 90.0 => format!(" · {left:.0} s left"),
        left if left < 5400.0 => format!(" · {:.0} min left", left / 60.0),
        left => format!(" · {:.1} h left", left / 3600.0),
    };
    // Last, since a narrow terminal cuts the end off.
    match rows {
        0 => {}
        1 => text += " · 1 row",
        rows => text += &format!(" · {} rows", count(rows)),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_is_known() {
        let progress =
            |files, files_done, bytes, bytes_done| Progress { files, files_done, bytes, bytes_done, ..Progress::default() };
        let two = Duration::from_secs(2);
        for (progress, expected) in [
            (progress(0, 0, 0, 0), "2 s"),
            (progress(1, 0, 0, 2_000_000), "2.0 MB · 1.0 MB/s"),
            (progress(1, 0, 8_000_000, 2_000_000), "2.0 MB of 8.0 MB (25 %) · 1.0 MB/s · 6 s left"),
            (progress(3, 2, 1_000_000_000, 1_000_000), "1.0 MB of 1.0 GB (0 %) · 2 of 3 files · 500.0 kB/s · 33 min left"),
            (progress(3, 0, 1_000_000, 0), "0 B of 1.0 MB (0 %) · 0 of 3 files · 0 B/s"),
            (progress(1, 1, 10, 10), "10 B of 10 B (100 %) · 5 B/s · 2 s"),
        ] {
            assert_eq!(line(progress, two), expected);
            let with_rows = Progress { rows: 12_345, ..progress };
            let rows = if progress.files > 0 { " · 12,345 rows" } else { "" };
            assert_eq!(line(with_rows, two), format!("{expected}{rows}"));
        }
    }
}
