//! Mail over SMTP (RFC 5321): one message, one connection, answers read line by line.
//!
//! ```text
//!   EHLO ─► STARTTLS ─► TLS ─► EHLO ─► AUTH ─► MAIL FROM ─► RCPT TO … ─► DATA ─► message . ─► 250
//!                                                                                        └ from here on a delivery may be in doubt
//! ```
//!
//! The message is built by mail-builder: HTML with a plain text beside it, or the result as an attachment. A password never crosses the net in
//! the clear.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mail_builder::MessageBuilder;
use mail_builder::encoders::base64::base64_encode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::deliver::Report;
use super::run::DeliveryError;
use crate::output::html::without_scripts;
use crate::output::sanitise_cell;
use crate::settings::{Setting, SettingsError};

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// … and after the message, which it may look at for long (RFC 5321 asks for ten minutes).
const LAST_PATIENCE: Duration = Duration::from_secs(600);
/// A line of an answer, and all lines of one.
const MOST_ANSWER: u64 = 64 * 1024;

/// How the connection is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It begins in the clear and goes on with TLS (port 587).
    StartTls,
    /// TLS from its beginning (port 465).
    Tls,
    /// In the clear: for a server of this machine (port 25).
    None,
}

/// Who sends mails: `[mail]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// The server.
    pub host: String,
    /// Its port, if it is not the usual one.
    pub port: Option<u16>,
    /// How the connection is kept secret.
    pub tls: Tls,
    /// Who logs in.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The sender.
    pub from: Option<String>,
    /// A file with certificates that are trusted besides those of this machine.
    pub ca_file: Option<PathBuf>,
}

impl Default for MailSettings {
    fn default() -> Self {
        let host = "localhost".to_owned();
        Self { host, port: None, tls: Tls::None, user: None, password_file: None, from: None, ca_file: None }
    }
}

impl MailSettings {
    /// Reads `[mail]`. `beside` makes a path of what is written there.
    pub fn read<'a>(
        settings: impl Iterator<Item = &'a Setting>,
        beside: impl Fn(&Setting, &str) -> PathBuf,
    ) -> Result<Self, SettingsError> {
        let mut mail = Self::default();
        let mut tls = None;
        for setting in settings {
            let value = setting.one()?;
            match setting.key.as_str() {
                "host" => mail.host = value.to_owned(),
                "port" => {
                    let port = value
                        .parse()
                        .map_err(|_| setting.wrong(format!("`{value}` is no port"), Some("it is a number up to 65535")))?;
                    mail.port = Some(port);
                }
                "tls" => {
                    tls = Some(match value {
                        "starttls" => Tls::StartTls,
                        "tls" | "true" => Tls::Tls,
                        "none" | "false" => Tls::None,
                        other => {
                            return Err(
                                setting.wrong(format!("`tls` cannot be `{other}`"), Some("there are starttls, tls and none"))
                            );
                        }
                    });
                }
                "user" => mail.user = Some(value.to_owned()),
                "password-file" => mail.password_file = Some(beside(setting, value)),
                "ca-file" => mail.ca_file = Some(beside(setting, value)),
                "from" if is_address(value) => mail.from = Some(value.to_owned()),
                "from" => return Err(setting.wrong(format!("`{value}` is no address"), Some("write `name@example.org`"))),
                _ => {}
            }
        }
        // What leaves the machine is secret unless somebody says otherwise.
        mail.tls = tls.unwrap_or_else(|| if is_here(&mail.host) { Tls::None } else { Tls::StartTls });
        Ok(mail)
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Tls::StartTls => 587,
            Tls::Tls => 465,
            Tls::None => 25,
        })
    }

    fn sender(&self) -> String {
        self.from.clone().unwrap_or_else(|| format!("logsql@{}", host_name()))
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The name of this machine, for `EHLO` and for addresses.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// An address that can be put between `<` and `>` and do nothing else there.
pub(super) fn is_address(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte));
    is_plain
        && text.len() <= 254
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// The message.
fn message(report: Report<'_>, settings: &MailSettings) -> io::Result<Vec<u8>> {
    let Report { job, run, made } = report;
    let is_html = made.file.extension().is_some_and(|extension| extension == "html");
    let content = fs::read(&made.file)?;
    let from = settings.sender();
    let date = job.cron.local(run.due).strftime("%Y-%m-%d %H:%M").to_string();
    let subject = format!("{} ({date})", sanitise_cell(&made.title));
    let text = match &made.text {
        Some(path) => fs::read_to_string(path)?,
        None => format!("{}\n\n{} rows; see the attached file.\n", sanitise_cell(&made.title), made.rows),
    };
    let message = MessageBuilder::new()
        .from(("logsql", from.as_str()))
        .to(job.mail.iter().map(String::as_str).collect::<Vec<_>>())
        .subject(subject)
        .date(run.due.as_second())
        // The same for each attempt: a receiver knows a second copy by it.
        .message_id(format!("{}@{}", run.id, host_name()))
        .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"));
    let message = if is_html {
        message.text_body(text).html_body(without_scripts(&String::from_utf8_lossy(&content)))
    } else {
        let name = made.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = match made.file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => "text/csv",
            Some("json") => "application/json",
            Some("md") => "text/markdown",
            Some("tsv" | "txt" | "ndjson") => "text/plain",
            _ => "application/octet-stream",
        };
        message.text_body(text).attachment(kind, name, content)
    };
    message.write_to_vec()
}

/// Sends a result to all of a job's addresses.
pub(super) fn send(report: Report<'_>, settings: &MailSettings) -> Result<(), DeliveryError> {
    let message = message(report, settings).map_err(|error| DeliveryError::certain(format!("cannot make the mail: {error}")))?;
    let server = format!("{}:{}", settings.host, settings.port());
    let at = |error: String| DeliveryError::certain(format!("{server}: {error}"));
    let password = match (&settings.user, &settings.password_file) {
        (Some(_), Some(path)) => {
            let text = fs::read_to_string(path).map_err(|error| at(format!("cannot read `{}`: {error}", path.display())))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (Some(user), None) => return Err(at(format!("there is a user `{user}` and no `password-file`"))),
        (None, _) => None,
    };
    if password.is_some() && settings.tls == Tls::None && !is_here(&settings.host) {
        return Err(at("a password is not sent in the clear; set `tls` in [mail]".to_owned()));
    }
    let mut talk = Talk::open(settings).map_err(at)?;
    if let (Some(user), Some(password)) = (&settings.user, &password) {
        talk.log_in(user, password).map_err(at)?;
    }
    talk.ask(&format!("MAIL FROM:<{}>", settings.sender()), 250).map_err(at)?;
    for address in &report.job.mail {
        // One that is refused refuses the mail: half of the receivers told is a result that nobody sees.
        talk.ask(&format!("RCPT TO:<{address}>"), 250).map_err(at)?;
    }
    talk.ask("DATA", 354).map_err(at)?;
    let handed = talk.hand_over(&message);
    if handed.is_ok() {
        let _ = talk.ask("QUIT", 221);
    }
    handed.map_err(|(error, in_doubt)| DeliveryError { message: format!("{server}: {error}"), in_doubt })
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A conversation with a server.
struct Talk {
    stream: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
    /// What it says that it can do.
    abilities: Vec<String>,
}

impl Talk {
    /// Connects, greets and makes the connection secret.
    fn open(settings: &MailSettings) -> Result<Self, String> {
        let addresses = (settings.host.as_str(), settings.port()).to_socket_addrs().map_err(|error| error.to_string())?;
        let mut failure = "there is no such server".to_owned();
        let socket = addresses.into_iter().find_map(|address| match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => Some(socket),
            Err(error) => {
                failure = error.to_string();
                None
            }
        });
        let socket = socket.ok_or(failure)?;
        let text = |error: io::Error| error.to_string();
        socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(text)?;
        let plain = socket.try_clone().map_err(text)?;
        let stream: Box<dyn Stream> = if settings.tls == Tls::Tls { secret(plain, settings)? } else { Box::new(plain) };
        let mut talk = Self { stream: BufReader::new(stream), socket, abilities: vec![] };
        talk.answer(220)?;
        talk.greet()?;
        if settings.tls == Tls::StartTls {
            if !talk.can("STARTTLS") {
                return Err("the server has no STARTTLS; set `tls` in [mail]".to_owned());
            }
            talk.ask("STARTTLS", 220)?;
            // What was sent before TLS began may be from anybody.
            if !talk.stream.buffer().is_empty() {
                return Err("the server says more than it should before TLS begins".to_owned());
            }
            let plain = talk.socket.try_clone().map_err(text)?;
            talk.stream = BufReader::new(secret(plain, settings)?);
            talk.greet()?;
        }
        Ok(talk)
    }

    fn greet(&mut self) -> Result<(), String> {
        let answer = self.ask(&format!("EHLO {}", host_name()), 250)?;
        self.abilities = answer.lines().skip(1).map(str::to_ascii_uppercase).collect();
        Ok(())
    }

    fn can(&self, what: &str) -> bool {
        self.abilities.iter().any(|ability| ability.split([' ', '=']).next() == Some(what))
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<(), String> {
        let auth = self.abilities.iter().find(|ability| ability.starts_with("AUTH")).cloned().unwrap_or_default();
        let code = |text: &str| {
            let encoded = base64_encode(text.as_bytes()).map_err(|error| error.to_string())?;
            String::from_utf8(encoded).map_err(|error| error.to_string())
        };
        let has = |name: &str| auth.split([' ', '=']).any(|word| word == name);
        if has("PLAIN") {
            self.ask(&format!("AUTH PLAIN {}", code(&format!("\0{user}\0{password}"))?), 235)?;
        } else if has("LOGIN") {
            self.ask("AUTH LOGIN", 334)?;
            self.ask(&code(user)?, 334)?;
            self.ask(&code(password)?, 235)?;
        } else {
            return Err("the server takes neither AUTH PLAIN nor AUTH LOGIN".to_owned());
        }
        Ok(())
    }

    /// Sends a command and wants this answer.
    fn ask(&mut self, command: &str, wanted: u16) -> Result<String, String> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{command}\r\n").as_bytes()).and_then(|()| stream.flush()).map_err(|error| error.to_string())?;
        self.answer(wanted).map_err(|error| match command.split(' ').next() {
            // What stands behind AUTH is secret.
            Some("AUTH") | None => format!("AUTH: {error}"),
            Some(_) if wanted == 334 || wanted == 235 => format!("AUTH: {error}"),
            Some(_) => format!("{command}: {error}"),
        })
    }

    /// Reads an answer: lines that begin with a code, and `-` behind it in all but the last.
    fn answer(&mut self, wanted: u16) -> Result<String, String> {
        let mut text = String::new();
        let mut limited = (&mut self.stream).take(MOST_ANSWER);
        loop {
            let mut line = vec![];
            let read = limited.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server ended the connection".to_owned());
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let Some(code) = code else { return Err(format!("the server does not speak SMTP: {}", sanitise_cell(line))) };
            text += line.get(4..).unwrap_or_default();
            text.push('\n');
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            return if code == wanted { Ok(text) } else { Err(format!("{code} {}", sanitise_cell(text.trim()))) };
        }
    }

    /// Sends the message. The answer to its end is the delivery: without one it is in doubt.
    fn hand_over(&mut self, message: &[u8]) -> Result<(), (String, bool)> {
        let bytes = dotted(message);
        let stream = self.stream.get_mut();
        // Without its end it is no message yet.
        stream.write_all(&bytes).and_then(|()| stream.flush()).map_err(|error| (error.to_string(), false))?;
        let _ = self.socket.set_read_timeout(Some(LAST_PATIENCE));
        let stream = self.stream.get_mut();
        stream.write_all(b".\r\n").and_then(|()| stream.flush()).map_err(|error| (error.to_string(), true))?;
        self.answer(250).map(drop).map_err(|error| {
            let is_refused = error.starts_with(|c: char| c.is_ascii_digit());
            (error, !is_refused)
        })
    }
}

/// A message as it is sent: lines end with CR LF, and a dot at the begin of one is doubled.
fn dotted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 50 + 2);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(content.strip_suffix(b"\r").unwrap_or(content));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// TLS with the certificates that this machine trusts (`SSL_CERT_FILE` names others), and those of the settings.
fn secret(mut socket: TcpStream, settings: &MailSettings) -> Result<Box<dyn Stream>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &settings.ca_file {
        let failed = |error: &dyn std::fmt::Display| format!("cannot take certificates from `{}`: {error}", path.display());
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(&error))?;
            roots.add(certificate).map_err(|error| failed(&error))?;
        }
        if roots.len() == before {
            return Err(failed(&"there is none in it (`-----BEGIN CERTIFICATE-----`)"));
        }
    }
    if roots.is_empty() {
        return Err(
            "this machine trusts no certificates; install ca-certificates, or name a file in `ca-file` of [mail]".to_owned()
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = &settings.host;
    let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    // At once: what is wrong with a certificate is said as that, not as a failure of whatever is sent first.
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| no_tls(&error, host))?;
    }
    Ok(Box::new(StreamOwned::new(connection, socket)))
}

/// Why there is no TLS, and what to do about it.
fn no_tls(error: &io::Error, host: &str) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let advice = match tls {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            CertificateError::UnknownIssuer => {
                "nobody whom this machine trusts has signed the server's certificate; name the file with its authority's certificate in `ca-file` of [mail]"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                return format!(
                    "the server's certificate is not for `{host}`; write a name that is in it as `host` of [mail] ({})",
                    sanitise_cell(&error.to_string())
                );
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate is out of date; it has to be renewed there, unless the clock of this machine is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; is the clock of this machine right?"
            }
            _ => "the server's certificate is refused",
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            "the server does not speak TLS there; `tls = \"starttls\"` of [mail] begins in the clear, as port 587 does"
        }
        _ => "TLS does not come about",
    };
    format!("{advice} ({})", sanitise_cell(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_address_can_be_a_command() {
        for address in ["ops@example.org", "a.b+c@x", "o'brien@example.org"] {
            assert!(is_address(address), "{address}");
        }
        for address in ["", "@", "a@", "@b", "a b@c", "a@b>\r\nRCPT TO:<x@y", "a@b\n", "ä@b", "a@b@c", "<a@b>"] {
            assert!(!is_address(address), "{address}");
        }
    }

    #[test]
    fn a_dot_at_the_begin_of_a_line_does_not_end_the_message() {
        assert_eq!(dotted(b"a\n.\r\n..b\nc"), b"a\r\n..\r\n...b\r\nc\r\n");
        assert_eq!(dotted(b""), b"");
    }

    #[test]
    fn what_leaves_the_machine_is_secret_unless_somebody_says_otherwise() {
        let read = |text: &str| {
            let settings = crate::settings::read(
                "c.toml",
                text,
                &[("", vec!["host", "port", "tls", "user", "password-file", "from", "ca-file"])],
            );
            let settings = settings.expect("is right");
            MailSettings::read(settings.iter(), |_, path| PathBuf::from(path)).map_err(|error| error.to_string())
        };
        let tls = |text: &str| read(text).map(|mail| (mail.tls, mail.port()));
        assert_eq!(tls("host = 'mail.example.org'"), Ok((Tls::StartTls, 587)));
        assert_eq!(tls("host = 'mail.example.org'\ntls = 'tls'"), Ok((Tls::Tls, 465)));
        assert_eq!(tls("host = '127.0.0.1'"), Ok((Tls::None, 25)));
        assert_eq!(tls(""), Ok((Tls::None, 25)));
        assert_eq!(tls("tls = 'ssl'"), Err("c.toml:1:7: `tls` cannot be `ssl`".to_owned()));
        assert_eq!(tls("port = 99999"), Err("c.toml:1:8: `99999` is no port".to_owned()));
    }
}
