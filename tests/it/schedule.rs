//! Reports by the clock, as users see them: jobs, files, commands, mails.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{logsql, ran, root};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = logsql(self.path());
        command.args(args);
        command
    }

    /// Exit code, stdout, stderr.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        ran(&mut self.command(args))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap_or_default()
    }

    /// Makes a file look as if it had been there for an hour.
    fn age(&self, path: &str) {
        let file = std::fs::File::options().write(true).open(self.path().join(path)).expect("opens");
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("set");
    }
}

const LOG: &str = "testdata/logs/nginx/combined.log";

#[test]
fn a_job_is_added_listed_run_and_removed() {
    let home = Home::new();
    let out = format!("{}/out/{{job}}-%Y.html", home.path().display());
    let add = ["schedule", "add", "codes", "0 6 * * *", "--tz", "Europe/Berlin", "-o", &out, "--window", "all", "--"];
    let (code, _, err) = home.run(&[&add[..], &["report", "status-codes", LOG]].concat());
    assert!(code == 0 && err.contains("schedules/codes.toml"), "{err}");
    let (code, text, _) = home.run(&["schedule", "list"]);
    assert!(code == 0 && text.contains("codes") && text.contains("0 6 * * * Europe/Berlin") && text.contains("never"), "{text}");
    let (_, text, _) = home.run(&["schedule", "next", "codes", "-n", "3"]);
    assert!(
        text.lines().count() == 3 && text.lines().all(|line| line.contains(" 06:00 +0") && line.ends_with("  codes")),
        "{text}"
    );
    let (code, _, err) = home.run(&["schedule", "run", "codes"]);
    assert!(code == 0 && err.contains("not due before"), "{err}");
    let (code, _, err) = home.run(&["schedule", "run", "--now", "codes"]);
    assert!(code == 0 && err.contains("delivered"), "{err}");
    let files: Vec<_> =
        std::fs::read_dir(home.path().join("out")).expect("made").map(|entry| entry.expect("one").path()).collect();
    let page = std::fs::read_to_string(&files[0]).expect("a page");
    assert!(files.len() == 1 && page.contains("<!doctype html>") && page.contains("Log report: status-codes"), "{files:?}");
    let (_, text, _) = home.run(&["schedule", "list"]);
    assert!(text.contains("delivered, due"), "{text}");
    let log = home.read(".local/state/logsql/schedule/runs.log");
    assert!(log.contains("\"message\":\"delivered\"") && log.contains("\"job\":\"codes\""), "{log}");
    let (code, text, _) = home.run(&["schedule", "export", "crontab"]);
    assert!(
        code == 0 && text.lines().any(|line| line.starts_with("* * * * * ") && line.ends_with("schedule run codes")),
        "{text}"
    );
    let units = home.path().join("units");
    home.run(&["schedule", "export", "systemd", "--dir", units.to_str().expect("UTF-8")]);
    assert!(home.read("units/logsql-codes.timer").contains("OnCalendar=*-*-* 06:00:00 Europe/Berlin\n"));
    assert!(home.read("units/logsql-codes.service").contains("schedule run codes\n"));
    let (code, _, err) = home.run(&["schedule", "remove", "codez"]);
    assert!(code == 2 && err.contains("did you mean `codes`?"), "{err}");
    assert_eq!(home.run(&["schedule", "remove", "codes"]).0, 0);
    assert_eq!(home.run(&["schedule", "list"]).1, "no jobs\n");
}

#[test]
fn what_makes_no_job_is_refused_when_it_is_added() {
    let home = Home::new();
    for (args, message, hint) in [
        (&["x", "61 * * * *", "-o", "x.html", "--", "report", "web"][..], "`61` is no minute of a schedule", "as in a crontab"),
        (&["x", "0 6 * * *", "--", "report", "web"], "the result goes nowhere", "--mail"),
        (&["x", "0 6 * * *", "-o", "x.html", "--", "report", "wbe"], "there is no saved query `wbe`", "`web`"),
        (
            &["x", "0 6 * * *", "-o", "x.html", "--", "report", "web", "--tpo"],
            "unexpected argument '--tpo'",
            "logsql report --help",
        ),
        (&["x", "0 6 * * *", "-o", "x.csv", "--", "report", "web"], "csv holds one result", "html, markdown and json"),
        (&["x", "0 6 * * *", "-o", "x.html", "--", "tables"], "there is nothing to run", "report NAME"),
        (&["x", "0 6 * * *", "-o", "x.html", "--", "DROP TABLE access_log"], "it does more than read", "one SELECT"),
        (
            &["x", "0 6 * * *", "-o", "x.html", "--window", "new", "--", "report", "web", "--since", "1d"],
            "has no --since",
            "window = \"all\"",
        ),
        (&["x", "0 6 * * *", "-o", "x.html", "--strict", "--", "report", "web"], "--strict is no option of a job", "behind `--`"),
        (&["x", "0 6 * * *", "--mail", "nobody", "--", "report", "web"], "`nobody` is no address", "name@example.org"),
        (&["web", "-o", "x.html"], "there is no schedule", "0 6 * * *"),
        (&["../x", "0 6 * * *", "-o", "x.html"], "is no name for a job", "letters"),
    ] {
        let (code, _, err) = home.run(&[&["schedule", "add"], args].concat());
        assert!(code == 2 && err.contains(message) && err.contains(hint), "{args:?}: {code} {err}");
    }
    assert_eq!(home.run(&["schedule", "list"]).1, "no jobs\n");
}

#[test]
fn the_header_of_a_saved_query_makes_it_a_job_and_an_alert() {
    let home = Home::new();
    let query = |alert: &str| {
        format!(
            "-- description: Codes\n-- needs: access_log\n-- param: until time\n-- schedule: @hourly UTC\n-- alert: {alert}\n\n\
             SELECT count(*) AS hits, $until AS until FROM access_log\n"
        )
    };
    let path = ".config/logsql/queries/hits.sql";
    home.write(path, &query("hits >= 0"));
    home.age(path);
    let (code, text, err) = home.run(&["schedule", "list"]);
    assert!(code == 0 && text.contains("hits") && text.contains("0 * * * * UTC") && text.contains("file"), "{text} {err}");
    let (code, _, err) = home.run(&["schedule", "run", "hits"]);
    assert!(code == 0 && err.contains("delivered"), "{err}");
    let reports = home.path().join(".local/share/logsql/reports");
    let files = || std::fs::read_dir(&reports).map(|files| files.count()).unwrap_or_default();
    assert_eq!(files(), 1);
    let (_, _, err) = home.run(&["schedule", "run", "hits"]);
    assert!(err.contains("not due before"), "once is enough: {err}");
    home.write(path, &query("hits < 0"));
    let (code, _, err) = home.run(&["schedule", "run", "--now", "hits"]);
    assert!(code == 0 && err.contains("nothing to deliver"), "{err}");
    assert_eq!(files(), 1);
    let (code, _, err) = home.run(&["schedule", "remove", "hits"]);
    assert!(code == 2 && err.contains("is scheduled by its query"), "{err}");
}

#[test]
fn a_command_gets_the_result_and_a_failure_is_tried_again() {
    let home = Home::new();
    let out = home.path().join("out").display().to_string();
    let pipe = format!(
        "cat > '{out}'; echo \"$LOGSQL_RUN_JOB $LOGSQL_RUN_ROWS\" >> '{out}'; test -e '{out}.ok' || {{ echo not yet >&2; exit 3; }}"
    );
    let sql = "SELECT status, count(*) AS hits FROM access_log WHERE status = 404 GROUP BY 1";
    let (code, _, err) = home.run(&[
        "schedule",
        "add",
        "codes",
        "@daily",
        "--pipe",
        &pipe,
        "--window",
        "all",
        "--retry-delay",
        "1s",
        "--format",
        "csv",
        "--",
        sql,
        LOG,
    ]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = home.run(&["schedule", "run", "--now", "--no-wait", "codes"]);
    assert!(err.contains("failed and is tried again") && err.contains("not yet"), "{code} {err}");
    let (_, text, err) = home.run(&["schedule", "list"]);
    assert!(err.contains("is tried again") && err.contains("exit status: 3"), "{text} {err}");
    home.write("out.ok", "");
    std::thread::sleep(Duration::from_millis(1100));
    let (code, _, err) = home.run(&["schedule", "run", "codes"]);
    assert!(code == 0 && err.contains("delivered"), "{err}");
    let got = home.read("out");
    assert!(got.starts_with("status,hits\n404,") && got.ends_with("codes 1\n"), "{got}");
}

/// How a mail server speaks.
#[derive(Clone, Copy, PartialEq)]
enum Speech {
    Plain,
    /// In the clear until it is asked for TLS.
    StartTls,
    Tls,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection with TLS, by a certificate of `testdata/tls`.
fn tls(socket: TcpStream, certificate: &str) -> std::io::Result<Box<dyn Stream>> {
    let folder = root().join("testdata/tls");
    let certificates = CertificateDer::pem_file_iter(folder.join(certificate)).expect("a file");
    let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(certificates, key).expect("they fit");
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).expect("a connection"), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Box::new(stream))
}

/// A mail server that takes one mail, and what it was told; nothing more, once TLS fails.
fn mail_server(speech: Speech, certificate: &'static str) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        let mut told = vec![];
        let plain: Box<dyn Stream> = Box::new(socket.try_clone().expect("cloned"));
        let first = if speech == Speech::Tls { tls(socket.try_clone().expect("cloned"), certificate) } else { Ok(plain) };
        let Ok(stream) = first else { return told };
        let mut stream = BufReader::new(stream);
        stream.get_mut().write_all(b"220 here\r\n").expect("sent");
        let (mut in_message, mut is_secret) = (false, speech == Speech::Tls);
        let mut line = String::new();
        while matches!(stream.read_line(&mut line), Ok(1..)) {
            let said = line.trim_end().to_owned();
            line.clear();
            told.push(if is_secret && !in_message { format!("secret {said}") } else { said.clone() });
            let answer = match said.as_str() {
                "." => {
                    in_message = false;
                    "250 taken\r\n"
                }
                _ if in_message => continue,
                "DATA" => {
                    in_message = true;
                    "354 go on\r\n"
                }
                "QUIT" => "221 bye\r\n",
                line if line.starts_with("EHLO") && speech == Speech::StartTls && !is_secret => "250-here\r\n250 STARTTLS\r\n",
                line if line.starts_with("EHLO") => "250-here\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
                line if line.starts_with("AUTH") => "235 welcome\r\n",
                _ => "250 ok\r\n",
            };
            if said == "STARTTLS" {
                stream.get_mut().write_all(b"220 go on\r\n").expect("sent");
                let Ok(secret) = tls(socket.try_clone().expect("cloned"), certificate) else { return told };
                (stream, is_secret) = (BufReader::new(secret), true);
                continue;
            }
            let stream = stream.get_mut();
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
                break;
            }
        }
        told
    });
    (port, thread)
}

#[test]
fn a_mail_goes_over_tls_from_the_start_or_after_starttls_and_a_wrong_certificate_says_what_to_do() {
    let cases = [
        (Speech::Tls, "tls", "server.pem", "localhost", true, ""),
        (Speech::StartTls, "starttls", "server.pem", "127.0.0.1", true, ""),
        (Speech::Tls, "tls", "server.pem", "localhost", false, "name the file with its authority's certificate in `ca-file`"),
        (Speech::StartTls, "starttls", "other.pem", "localhost", true, "the server's certificate is not for `localhost`"),
        (Speech::Tls, "tls", "expired.pem", "localhost", true, "the server's certificate is out of date"),
        (Speech::Plain, "tls", "", "localhost", true, "the server does not speak TLS there"),
        (Speech::Plain, "starttls", "", "localhost", true, "the server has no STARTTLS"),
    ];
    for (speech, how, certificate, host, trusts, problem) in cases {
        let home = Home::new();
        let (port, server) = mail_server(speech, certificate);
        home.write("secret", "pass word\n");
        let trusted = root().join("testdata/tls/ca.pem").display().to_string();
        let ca = if trusts { format!("ca-file = '{trusted}'\n") } else { String::new() };
        let settings =
            format!("[mail]\nhost = '{host}'\nport = {port}\ntls = '{how}'\n{ca}user = 'me'\npassword-file = '~/secret'\n");
        home.write(".config/logsql/config.toml", &settings);
        let job = ["--mail", "a@example.org", "--window", "all", "--", "report", "status-codes", LOG];
        let (code, _, err) = home.run(&[&["schedule", "add", "codes", "@daily"][..], &job].concat());
        assert_eq!(code, 0, "{err}");
        let (_, _, err) = home.run(&["schedule", "run", "--now", "--no-wait", "codes"]);
        let told = server.join().expect("ended");
        if problem.is_empty() {
            assert!(err.contains("delivered"), "{how} {certificate}: {err}");
            for line in ["AUTH PLAIN AG1lAHBhc3Mgd29yZA==", "RCPT TO:<a@example.org>", "QUIT"] {
                assert!(told.contains(&format!("secret {line}")), "{line}: {told:?}");
            }
        } else {
            assert!(err.contains("failed and is tried again") && err.contains(problem), "{how} {certificate}: {err}");
            assert!(told.iter().all(|line| !line.contains("AUTH") && !line.contains("MAIL")), "{told:?}");
        }
    }
}

#[test]
fn a_mail_has_a_page_and_a_text_and_a_name_that_stays() {
    let home = Home::new();
    let (port, server) = mail_server(Speech::Plain, "");
    home.write("secret", "pass word\n");
    home.write(
        ".config/logsql/config.toml",
        &format!(
            "[mail]\nhost = '127.0.0.1'\nport = {port}\nuser = 'me'\npassword-file = '~/secret'\nfrom = 'logs@example.org'\n"
        ),
    );
    let mails = ["--mail", "a@example.org", "--mail", "b@example.org"];
    let job = ["--window", "all", "--", "report", "status-codes", "--title", "Codes \u{20ac}", LOG];
    let (code, _, err) = home.run(&[&["schedule", "add", "codes", "@daily"][..], &mails, &job].concat());
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = home.run(&["schedule", "run", "--now", "codes"]);
    assert!(code == 0 && err.contains("delivered"), "{err}");
    let told = server.join().expect("ended");
    assert!(told.contains(&"AUTH PLAIN AG1lAHBhc3Mgd29yZA==".to_owned()), "{told:?}");
    for line in ["MAIL FROM:<logs@example.org>", "RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>", "QUIT"] {
        assert!(told.iter().any(|told| told == line), "{line}: {told:?}");
    }
    let message = told.join("\n");
    for part in ["multipart/alternative", "text/plain", "text/html", "Auto-Submitted: auto-generated", "Subject: =?utf-8?"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(message.lines().any(|line| line.starts_with("Message-ID: <codes.")), "{message}");
    // Nobody listens any more: the run waits for its next attempt, and says why.
    let (_, _, err) = home.run(&["schedule", "run", "--now", "--no-wait", "codes"]);
    assert!(err.contains("failed and is tried again") && err.contains(&format!("mail: 127.0.0.1:{port}: ")), "{err}");
}

#[test]
fn the_long_lived_process_runs_what_is_due_and_survives_being_killed() {
    let home = Home::new();
    let out = format!("{}/out-%Y.txt", home.path().display());
    // What runs takes a while to deliver, so that it can be met at it.
    let pipe = format!("sleep 1; echo delivered >> '{}'", home.path().join("piped").display());
    let (code, _, err) = home.run(&[
        "schedule",
        "add",
        "now",
        "0 * * * *",
        "-o",
        &out,
        "--pipe",
        &pipe,
        "--format",
        "tsv",
        "--",
        "SELECT 1 AS one",
    ]);
    assert_eq!(code, 0, "{err}");
    home.age(".config/logsql/schedules/now.toml");
    let start = || home.command(&["schedule", "run"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("runs");
    let wait_for = |what: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(60), "it takes too long");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let state = || home.read(".local/state/logsql/schedule/jobs/now.json");
    let mut keeper = start();
    wait_for(&|| state().contains("\"delivering\": \"pipe\""));
    let (code, _, err) = home.run(&["schedule", "run"]);
    assert!(code == 1 && err.contains("kept by another process"), "{err}");
    keeper.kill().expect("killed");
    keeper.wait().expect("ended");
    // The run itself goes on in its own process; another keeper does not begin it anew.
    let mut keeper = start();
    wait_for(&|| state().contains("\"ending\": \"delivered\""));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(home.read("piped"), "delivered\n");
    // SAFETY: a signal to a process that we started and have not waited for.
    unsafe { libc::kill(libc::pid_t::try_from(keeper.id()).expect("small"), libc::SIGTERM) };
    assert_eq!(keeper.wait().expect("ended").code(), Some(0));
}
