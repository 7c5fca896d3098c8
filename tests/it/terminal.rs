//! The REPL on a terminal: what is typed, and what the screen shows.
//!
//! A test waits for a text to appear, never for a time to pass.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::root;

/// No machine is so slow that what is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

const COMBINED: &str = "testdata/logs/nginx/combined.log";

/// A program on a terminal of its own.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
    /// The home of the user.
    home: tempfile::TempDir,
}

/// What came out, as bytes and as a screen.
struct Seen {
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    fn open(args: &[&str]) -> Self {
        Self::with(args, &[], (30, 100))
    }

    /// logsql with an empty home, and with these variables besides.
    fn with(args: &[&str], variables: &[(&str, &str)], (rows, cols): (u16, u16)) -> Self {
        let mut words = vec![env!("CARGO_BIN_EXE_logsql")];
        words.extend(args);
        Self::run(&words, variables, (rows, cols))
    }

    fn run(words: &[&str], variables: &[(&str, &str)], (rows, cols): (u16, u16)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let pair = native_pty_system().openpty(size(rows, cols)).expect("a terminal");
        let mut command = CommandBuilder::new(words[0]);
        command.args(&words[1..]);
        command.cwd(root());
        command.env_clear();
        command.env("LOGSQL_NO_SERVER_CONFIG", "true");
        let program = Path::new(env!("CARGO_BIN_EXE_logsql")).parent().expect("a folder").display().to_string();
        let path = format!("{program}:{}", std::env::var("PATH").unwrap_or_default());
        let home_name = home.path().display().to_string();
        let usual =
            [("PATH", path.as_str()), ("HOME", &home_name), ("TZ", "UTC"), ("LC_ALL", "C.UTF-8"), ("TERM", "xterm-256color")];
        for (name, value) in usual.iter().chain(variables) {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("runs");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let seen = Arc::new(Mutex::new(Seen { bytes: vec![], screen: vt100::Parser::new(some(rows), some(cols), 1000) }));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended gives an error.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = sink.lock().expect("no panic");
                seen.bytes.extend_from_slice(&buffer[..count]);
                seen.screen.process(&buffer[..count]);
            }
        });
        Self { master: pair.master, keys, child, seen, home }
    }

    fn keys(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("typed");
        self.keys.flush().expect("typed");
    }

    /// What is on the screen, without the blanks at the ends of lines.
    fn screen(&self) -> String {
        let contents = self.seen.lock().expect("no panic").screen.screen().contents();
        contents.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no panic").bytes).into_owned()
    }

    /// The screen, once it is as wanted.
    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "no {what} on\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn shows(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Types a key until a text is there.
    fn wait_with(&mut self, key: &str, text: &str) {
        let began = Instant::now();
        while !self.screen().contains(text) {
            assert!(began.elapsed() < PATIENCE, "no {text} on\n{}", self.screen());
            self.keys(key);
            for _ in 0..100 {
                std::thread::sleep(Duration::from_millis(10));
                if self.screen().contains(text) {
                    return;
                }
            }
        }
    }

    /// Waits for an empty prompt at the bottom.
    fn prompt(&self) -> String {
        self.wait("prompt", |screen| screen.trim_end().ends_with("logsql>"))
    }

    fn resize(&self, rows: u16, cols: u16) {
        self.seen.lock().expect("no panic").screen.screen_mut().set_size(some(rows), some(cols));
        self.master.resize(size(rows, cols)).expect("resized");
    }

    /// Leaves, and gives the exit code. The terminal is as it was.
    fn quit(mut self) -> u32 {
        self.prompt();
        self.keys("\\q\r");
        self.ends()
    }

    fn ends(&mut self) -> u32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.exit_code();
            }
            assert!(began.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Time of the processors that it has taken so far, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let id = self.child.process_id().expect("an id");
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a process");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn some(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("not zero")
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

#[test]
fn a_first_start_greets_and_says_what_there_is() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    let screen = terminal.shows("access_log  1 file");
    assert!(screen.contains("`\\?` for help"), "{screen}");
    terminal.keys("SELECT status, count(*) AS hits FROM access_log WHERE status = 404 GROUP BY 1;\r");
    let screen = terminal.shows("1 row");
    assert!(screen.contains("│ status │ hits │") && screen.contains("│    404 │"), "{screen}");
    let history = terminal.home.path().join(".local/state/logsql/history");
    assert!(std::fs::read_to_string(history).expect("a history").contains("status = 404"));
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn names_are_completed_and_history_is_searched() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    terminal.prompt();
    terminal.keys("SELECT user_ag\t");
    terminal.shows("logsql> SELECT user_agent");
    terminal.keys(" FROM acc\t");
    terminal.shows("SELECT user_agent FROM access_log");
    terminal.keys(" LIMIT 1;\r");
    terminal.shows("1 row");
    terminal.keys("\\ti\t");
    terminal.shows("logsql> \\ti");
    terminal.keys("\x15\x12user_ag");
    terminal.shows("SELECT user_agent FROM access_log LIMIT 1;");
    terminal.keys("\x03");
    terminal.prompt();
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_wrong_column_is_marked_and_the_session_goes_on() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    terminal.prompt();
    terminal.keys("SELECT statsu FROM access_log;\r");
    let screen = terminal.shows("hint:");
    assert!(
        screen.contains("error: there is no column `statsu`\n  SELECT statsu FROM access_log\n         ^^^^^^\n"),
        "{screen}"
    );
    terminal.keys("SELECT 41 + 1 AS answer;\r");
    terminal.shows("│     42 │");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn values_are_completed_from_results_and_from_columns_that_have_few() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    terminal.prompt();
    terminal.keys("SELECT count(*) AS n FROM access_log WHERE method = 'DEL");
    // A machine that has other things to do finds nothing in time at first.
    terminal.wait_with("\t", "WHERE method = 'DELETE'");
    terminal.keys(";\r");
    terminal.shows("1 row");
    terminal.keys("SELECT 'a value of mine' AS mine;\r");
    terminal.shows("│ a value of mine │");
    terminal.prompt();
    terminal.keys("SELECT 1 FROM access_log WHERE mine IN ('a\t");
    terminal.shows("IN ('a value of mine'");
    terminal.keys("\x03");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_row_leads_back_to_its_line() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    terminal.prompt();
    terminal.keys("SELECT url FROM access_log WHERE status = 502 ORDER BY time DESC, url;\r");
    terminal.shows("5 rows");
    terminal.keys("\\raw 2\r");
    let screen = terminal.shows("testdata/logs/nginx/combined.log:");
    let mut lines = screen.lines().skip_while(|line| !line.starts_with(COMBINED));
    let number = lines.next().and_then(|line| line.rsplit(':').next()?.parse::<usize>().ok()).expect("a number");
    let log = std::fs::read_to_string(root().join(COMBINED)).expect("testdata");
    let line = log.lines().nth(number - 1).expect("that line");
    let shown: String = lines.take_while(|line| !line.starts_with("logsql>")).collect();
    assert!(line.contains(" 502 "), "{line}");
    assert_eq!(shown, line.replace('\t', " "), "{screen}");
    terminal.keys("\\raw 9\r");
    terminal.shows("error: the last result has 5 rows");
    terminal.keys("SELECT status, count(*) FROM access_log GROUP BY 1 LIMIT 1;\r");
    terminal.shows("1 row");
    terminal.keys("\\raw 1\r");
    terminal.shows("error: a row of the last result is no single line of a log");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_row_of_a_store_leads_back_to_its_line_wherever_that_is_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let line = |day: u32, second: u32| {
        format!("192.0.2.7 - - [{day:02}/Nov/2026:00:00:{second:02} +0000] \"GET /{second} HTTP/1.1\" 200 1 \"-\" \"x\"\n")
    };
    let (log, store) = (path("access.log"), path("store"));
    let collect = || {
        let done = super::logsql(folder.path()).args(["collect", "--store", &store, &path("access.log*")]).output();
        assert_eq!(done.expect("runs").status.code(), Some(0));
    };
    // Two days of one log have a record at each of its places.
    std::fs::write(&log, line(20, 1) + &line(20, 2) + &line(20, 3)).expect("written");
    collect();
    std::fs::rename(&log, path("access.log.1")).expect("rotated");
    std::fs::write(&log, line(21, 1) + &line(21, 2)).expect("written");
    collect();
    let mut terminal = Terminal::open(&["repl", "--store", &store, &path("access.log*")]);
    terminal.prompt();
    terminal.keys("SELECT time, path, _source FROM access_log ORDER BY 1;\r");
    let screen = terminal.shows("5 rows");
    assert!(screen.matches("store").count() >= 5 && !screen.contains("live"), "{screen}");
    terminal.keys("\\raw 2\r");
    let screen = terminal.shows("access.log.1:2");
    assert!(screen.contains("[20/Nov/2026:00:00:02 +0000]"), "{screen}");
    terminal.keys("\\raw 5\r");
    let screen = terminal.shows("access.log:2");
    assert!(screen.contains("[21/Nov/2026:00:00:02 +0000]"), "{screen}");
    // Another text at the place of the old one is not taken for it.
    std::fs::write(path("access.log.1"), line(19, 1) + &line(19, 2) + &line(19, 3)).expect("written");
    terminal.keys("\\raw 3\r");
    let screen = terminal.shows("with `--raw` keeps them");
    assert!(screen.contains("it was line 3 of"), "{screen}");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_statement_is_watched_edited_and_drawn() {
    let mut terminal = Terminal::with(&["repl", COMBINED], &[("EDITOR", "sed -i s/41/42/")], (40, 80));
    terminal.prompt();
    terminal.keys("SELECT 41 AS number \\watch 0.2\r");
    terminal.wait("three runs", |screen| screen.matches("│     41 │").count() >= 3);
    terminal.keys("\x03");
    terminal.prompt();
    terminal.keys("\\e\r");
    terminal.shows("logsql> SELECT 42 AS number;");
    terminal.keys("\r");
    terminal.shows("│     42 │");
    terminal.keys("\\chart bar\r");
    terminal.shows("results are drawn");
    terminal.keys("SELECT 'half' AS what, 1 AS size UNION ALL SELECT 'all', 2 ORDER BY 2;\r");
    let screen = terminal.shows("2 rows");
    assert!(screen.contains("half     1  ███") && screen.contains("all      2  ██████"), "{screen}");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn what_is_higher_than_the_terminal_is_paged() {
    let pager = "sed -e 's/^/> /'";
    let mut terminal = Terminal::with(&["repl", COMBINED], &[("LOGSQL_PAGER", pager), ("NO_COLOR", "1")], (12, 80));
    terminal.prompt();
    terminal.keys("SELECT 5 AS low;\r");
    terminal.shows("│   5 │");
    terminal.keys("SELECT value AS high FROM generate_series(1, 20);\r");
    let screen = terminal.wait("the end of the table", |screen| screen.contains("> └──────┘") && screen.contains("20 rows"));
    assert!(screen.contains("> │   20 │"), "{screen}");
    // What somebody reads takes its time, and not the query's.
    let mut slow = Terminal::with(&["repl", COMBINED], &[("LOGSQL_PAGER", "sleep 3; cat"), ("NO_COLOR", "1")], (12, 80));
    slow.prompt();
    slow.keys("SELECT value AS high FROM generate_series(1, 20);\r");
    let screen = slow.shows("20 rows · ");
    let took = screen.split("20 rows · ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(took.is_some_and(|seconds| seconds < 3.0), "{screen}");
    assert_eq!(slow.quit(), 0);
    // A pager that is left at once ends neither the session nor its next query.
    assert_eq!(terminal.quit(), 0);
    let mut terminal = Terminal::with(&["repl", COMBINED], &[("LOGSQL_PAGER", "true")], (12, 80));
    terminal.prompt();
    terminal.keys("\\maxrows inf\rSELECT value FROM generate_series(1, 3000000);\r");
    terminal.wait("the next prompt", |screen| screen.contains("3000000);") && screen.trim_end().ends_with("logsql>"));
    terminal.keys("SELECT 6 AS low;\r");
    terminal.shows("│   6 │");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_pager_has_the_terminal_in_whatever_size_it_gets() {
    // Reads all of it, waits for the new size, and says it.
    let pager =
        "cat > /dev/null; echo opened; until [ \"$(stty size < /dev/tty)\" = '20 50' ]; do sleep 0.05; done; echo resized";
    let mut terminal = Terminal::with(&["repl", COMBINED], &[("LOGSQL_PAGER", pager), ("NO_COLOR", "1")], (12, 120));
    terminal.prompt();
    terminal.keys("SELECT url, user_agent FROM access_log LIMIT 30;\r");
    terminal.shows("opened");
    terminal.resize(20, 50);
    terminal.shows("resized");
    terminal.prompt();
    // What comes next fits, and typing a line that is longer than the terminal is wide works.
    terminal.keys("\x0cSELECT status, method, protocol, url, user_agent FROM access_log WHERE status = 502 LIMIT 1;\r");
    let screen = terminal.shows("1 row");
    let mut table = screen.lines().skip_while(|line| !line.starts_with("status"));
    assert!(table.next().is_some_and(|line| line.ends_with("502")), "{screen}");
    assert!(table.all(|line| line.chars().count() <= 50), "{screen}");
    assert_eq!(terminal.quit(), 0);
}

/// One that takes connections and says nothing, and one that stops in the middle of what it says.
#[test]
fn a_server_that_hangs_is_left_at_once() {
    let mut terminal = Terminal::with(&["repl", COMBINED], &[("NO_COLOR", "1")], (30, 100));
    terminal.prompt();
    let told =
        "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\nLast-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\nETag: \"1\"\r\n\r\n";
    for answer in ["", told] {
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("an address");
        let (heard, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut open = vec![];
            for connection in server.incoming() {
                let mut connection = connection.expect("a connection");
                let _ = connection.read(&mut [0; 4096]);
                let _ = connection.write_all(answer.as_bytes());
                open.push(connection);
                let _ = heard.send(());
            }
        });
        terminal.keys(&format!("SELECT count(*) FROM 'http://{address}/access.log';\r"));
        asked.recv_timeout(PATIENCE).expect("a request");
        std::thread::sleep(Duration::from_millis(500));
        let pressed = Instant::now();
        terminal.keys("\x03");
        terminal.shows("cancelled");
        assert!(pressed.elapsed() < Duration::from_secs(3), "{:?}", pressed.elapsed());
        terminal.keys("\x0cSELECT 41 + 1 AS answer;\r");
        terminal.shows("│     42 │");
        terminal.keys("\x0c");
        terminal.prompt();
    }
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_long_query_says_how_far_it_is_and_the_line_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let text = std::fs::read_to_string(root().join("testdata/logs/rotated/access.log.1")).expect("testdata");
    std::fs::write(&log, text.repeat(40_000)).expect("written");
    let mut terminal = Terminal::with(&["repl", log.to_str().expect("UTF-8")], &[], (30, 100));
    terminal.prompt();
    terminal.keys("SELECT count(*) AS n, count(DISTINCT log_template(_raw)) AS m FROM access_log WHERE redact(_raw) <> '';\r");
    let screen = terminal.wait("progress", |screen| screen.contains(" left"));
    assert!(screen.contains(" of 132.7 MB (") && screen.contains(" %) · ") && screen.contains("/s"), "{screen}");
    // The window becomes narrow: so does the line, and what it was broken into goes away.
    terminal.resize(20, 40);
    let screen = terminal
        .wait("a narrow line", |screen| screen.lines().any(|line| line.contains(" of 132.7 MB (") && !line.contains("left")));
    assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
    terminal.resize(30, 100);
    terminal.wait("progress", |screen| screen.contains(" left"));
    terminal.keys("\x03");
    let screen = terminal.prompt();
    assert!(screen.contains("cancelled") && !screen.contains(" %) · "), "{screen}");
    assert_eq!(terminal.quit(), 0);
}

/// Scan, slow functions, sort, aggregation, window, cross join, hash join with a filter: none of them pauses for long, and none goes on in the dark.
#[test]
fn a_query_is_cancelled_whatever_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let text = std::fs::read_to_string(root().join("testdata/logs/rotated/access.log.1")).expect("testdata");
    std::fs::write(&log, text.repeat(60_000)).expect("written");
    let mut terminal = Terminal::with(&["repl", log.to_str().expect("UTF-8")], &[("NO_COLOR", "1")], (30, 100));
    terminal.prompt();
    let mut waited = vec![];
    for (number, sql) in [
        "SELECT count(*) FROM access_log WHERE md5(_raw) = 'x'",
        "SELECT max(length(repeat(_raw, 300))) FROM access_log",
        "SELECT redact(_raw), count(*) FROM access_log GROUP BY 1 ORDER BY 2 LIMIT 1",
        "SELECT max(length(repeat(md5(CAST(value AS VARCHAR)), 2000))) FROM generate_series(1, 100000000)",
        "SELECT url, time FROM access_log ORDER BY reverse(url), time, _offset OFFSET 10000000",
        "SELECT _offset, count(*) FROM access_log GROUP BY 1 ORDER BY 2 LIMIT 1",
        "SELECT max(n) FROM (SELECT row_number() OVER (PARTITION BY value % 7 ORDER BY value % 1000003) AS n FROM \
         generate_series(1, 100000000))",
        "SELECT count(*) FROM generate_series(1, 1000000000000)",
        "SELECT value FROM generate_series(1, 1000000000000) ORDER BY value % 1000003, value LIMIT 3",
        "SELECT value % 100003, count(*) FROM generate_series(1, 1000000000000) GROUP BY 1 ORDER BY 2 LIMIT 1",
        "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 3000000) b WHERE a.value * b.value = 7.5",
        "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 3000000) b",
        "SELECT count(*) FROM (SELECT value, 1 AS k FROM generate_series(1, 300000)) a JOIN (SELECT value, 1 AS k FROM \
         generate_series(1, 300000)) b ON a.k = b.k AND a.value * b.value = 7.5",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    ]
    .into_iter()
    .enumerate()
    {
        terminal.keys(&format!("{sql};\r"));
        let before = terminal.ticks();
        while terminal.ticks() < before + 30 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let pressed = Instant::now();
        terminal.keys("\x03");
        terminal.wait("cancelled", |screen| screen.matches("cancelled").count() > 0);
        waited.push((pressed.elapsed(), sql));
        terminal.keys(&format!("SELECT {number} + 700 AS answer;\r"));
        terminal.shows(&format!("│    {} │", number + 700));
        let took = pressed.elapsed();
        assert!(took < Duration::from_secs(5), "{sql}: {took:?}");
        std::thread::sleep(Duration::from_millis(700));
        let still = terminal.ticks();
        std::thread::sleep(Duration::from_millis(500));
        let more = terminal.ticks() - still;
        assert!(more < 20, "{sql}: it still takes {more} ticks of 50");
        terminal.keys("\x0c");
        terminal.prompt();
    }
    // A saved query, one that is run again and again, and one that is not even planned yet, since all of it is constant.
    for command in [
        "\\report visits",
        "SELECT count(*) FROM access_log WHERE md5(_raw) = 'x' \\watch 1",
        "SELECT levenshtein(repeat('a', 40000), repeat('b', 40000));",
    ] {
        let before = terminal.ticks();
        terminal.keys(&format!("\x0c{command}\r"));
        while terminal.ticks() < before + 30 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let pressed = Instant::now();
        terminal.keys("\x03");
        terminal.shows("cancelled");
        waited.push((pressed.elapsed(), command));
        terminal.keys("\x0c");
        terminal.prompt();
    }
    // What a machine that has other things to do takes longer is no failure: `cargo test -- --nocapture` tells.
    let longest = waited.iter().max().expect("some");
    let told: String = waited.iter().map(|(took, sql)| format!("{:>5} ms  {sql:.70}\n", took.as_millis())).collect();
    let _ = std::io::stderr().write_all(told.as_bytes());
    assert!(longest.0 < Duration::from_secs(3), "{told}");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn new_lines_are_followed_until_ctrl_c() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let line = |second: u32| {
        format!("192.0.2.7 - - [21/Nov/2026:00:00:{second:02} +0000] \"GET /{second} HTTP/1.1\" 200 1 \"-\" \"x\x1b[2J\"\n")
    };
    std::fs::write(&log, (0..20).map(line).collect::<String>()).expect("written");
    let append = |text: &str| {
        let mut file = std::fs::File::options().append(true).open(&log).expect("opens");
        file.write_all(text.as_bytes()).expect("written");
    };
    let mut terminal = Terminal::with(&["repl", log.to_str().expect("UTF-8")], &[("NO_COLOR", "1")], (30, 100));
    terminal.prompt();
    terminal.keys("SELECT url, user_agent FROM access_log \\tail 2\r");
    let screen = terminal.shows("│ /19");
    assert!(screen.contains("│ /18 ") && !screen.contains("│ /17 ") && !screen.contains('└'), "{screen}");
    append(&line(20));
    terminal.shows("│ /20");
    append(&(line(21) + "nonsense\n" + &line(22)));
    terminal.shows("│ /22");
    terminal.keys("\x03");
    let screen = terminal.prompt();
    assert!(screen.contains("└───") && screen.contains("warning: 1 new line fits no format"), "{screen}");
    assert!(screen.contains("5 rows"), "{screen}");
    terminal.keys("\\raw 5\r");
    let screen = terminal.shows("access.log:24");
    assert!(screen.contains("\"GET /22 HTTP/1.1\" 200"), "{screen}");
    // A table by its name; and what cannot be followed says what can.
    terminal.keys("\x0c\\x on\r\\tail access_log 1\r");
    terminal.shows("/22");
    append(&line(23));
    terminal.shows("/23");
    terminal.keys("\x03");
    terminal.prompt();
    terminal.keys("\x0cSELECT count(*) FROM access_log;\r\\tail\r");
    terminal.shows("error: only rows that are one record of a log each can be followed");
    assert!(!terminal.bytes().contains("\x1b[2Jx") && !terminal.bytes().contains("x\x1b[2J"));
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn settings_and_variables_are_set_and_listed() {
    let mut terminal = Terminal::with(&["repl", COMBINED], &[("NO_COLOR", "1")], (40, 100));
    terminal.prompt();
    terminal.keys("\\set code 404\r\\set\r");
    let screen = terminal.shows("a variable");
    for setting in ["expanded", "format", "headers", "maxrows", "null", "timing", "tz", "a variable"] {
        assert!(screen.contains(setting), "{setting}: {screen}");
    }
    terminal.keys("\x0cSELECT count(*) AS n FROM access_log WHERE status = $code;\r");
    terminal.shows("│ 32 │");
    terminal.keys("\x0c\\set tz Asia/Kolkata\rSELECT max(time) AS t FROM access_log;\r");
    terminal.shows("+05:30 │");
    terminal.keys("\x0c.parameter unset code\rSELECT 1 WHERE 1 = $code;\r");
    terminal.shows("hint: `\\set code VALUE`");
    terminal.keys("\x0c\\set datafusion.execution.batch_size 512\r\\set datafusion.execution.batch\r");
    terminal.shows("│ 512");
    terminal.keys("\x0c\\set maxrows 1\rSELECT 1 AS a UNION ALL SELECT 2;\r");
    terminal.shows("2 rows (1 shown)");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn a_table_fits_the_window_as_it_is_now() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    terminal.prompt();
    terminal.resize(30, 50);
    terminal.keys("SELECT client_ip, url FROM access_log\nLIMIT 2;\r");
    let screen = terminal.shows("2 rows");
    let frame = screen.lines().find(|line| line.starts_with('┌')).expect("a frame");
    assert!(frame.chars().count() <= 50 && frame.ends_with('┐'), "{screen}");
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn many_pasted_lines_are_one_input() {
    let mut terminal = Terminal::open(&["repl", COMBINED]);
    terminal.prompt();
    terminal.keys("\x1b[200~SELECT\n  'first' AS a,\n\n  'it;s' AS b -- no; end\n;\nSELECT 6 * 7 AS c;\n\x1b[201~");
    terminal.keys("\r");
    let screen = terminal.shows("│ 42 │");
    assert!(screen.contains("first") && screen.contains("it;s"), "{screen}");
    terminal.prompt();
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn hostile_log_text_reaches_no_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let evil = "\x1b]0;owned\x07\x1b[2J\x1b]52;c;ZXZpbA==\x07\u{202e}\u{9b}31m";
    let line = format!("192.0.2.1 - - [21/Nov/2026:00:00:00 +0000] \"GET /{evil} HTTP/1.1\" 404 1 \"-\" \"{evil}\"\n");
    std::fs::write(&log, format!("{line}{evil} is no record\n{line}")).expect("written");
    let mut terminal = Terminal::with(&["repl", log.to_str().expect("UTF-8")], &[], (40, 100));
    terminal.prompt();
    for (sql, end) in [
        ("SELECT url, user_agent FROM access_log;", "2 rows"),
        ("\\unparsed", "1 row"),
        ("\\pset format json\rSELECT url FROM access_log;", "2 rows"),
        ("\\pset format csv\rSELECT url FROM access_log;", "2 rows"),
        ("SELECT CAST(url AS BIGINT) FROM access_log;", "error"),
    ] {
        terminal.keys(&format!("\x0c{sql}\r"));
        terminal.shows(end);
        terminal.keys("\x0c");
        terminal.prompt();
    }
    let bytes = terminal.bytes();
    assert!(!bytes.contains("\x1b]") && !bytes.contains('\u{202e}') && !bytes.contains('\u{9b}') && !bytes.contains('\x07'));
    assert_eq!(terminal.quit(), 0);
}

#[test]
fn colours_and_keys_are_used_only_where_there_are_some() {
    let sgr = |bytes: &str| {
        bytes.split("\x1b[").skip(1).any(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
            end.is_some_and(|end| rest[end..].starts_with('m') && !matches!(&rest[..end], "" | "0"))
        })
    };
    for (variables, colours, escapes) in
        [(&[][..], true, true), (&[("NO_COLOR", "1")][..], false, true), (&[("TERM", "dumb")][..], false, false)]
    {
        let mut terminal = Terminal::with(&["repl", COMBINED], variables, (30, 100));
        terminal.prompt();
        terminal.keys("SELECT NULL AS nothing, 5 AS five;\r");
        terminal.shows("1 row");
        terminal.prompt();
        let bytes = terminal.bytes();
        assert_eq!((sgr(&bytes), bytes.contains('\x1b')), (colours, escapes), "{variables:?}");
        assert_eq!(terminal.quit(), 0);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let sql = "logsql 'SELECT value FROM generate_series(1, 50000000)' | head -n 1; echo \"left with $?\"";
    let mut terminal = Terminal::run(&["/bin/sh", "-c", sql], &[], (30, 100));
    let screen = terminal.shows("left with");
    assert_eq!(screen.trim(), "value\nleft with 0");
    assert_eq!(terminal.ends(), 0);
}
