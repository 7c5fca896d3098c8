//! Definitions from what other programs know: a server's own configuration.
//!
//! ```text
//!   nginx.conf ──nginx_conf.rs──┐
//!                               ├──► ServerLogs: which file is written in which layout ──► definitions, and places to look at
//!   httpd.conf ──httpd_conf.rs──┘
//! ```
//!
//! What is read here is made by others, and may be hostile or broken: nothing in it is an error. What is not understood is a note.
//! Bytes of files come from the caller ([`ConfigFiles`]), who bounds how many and how large they are.

mod example;
mod grok_file;
mod httpd_conf;
mod lnav;
mod nginx_conf;
mod pylogsparser;
mod python;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Catalog;
use super::notation::{self, Translated};

use httpd_conf::httpd_conf;
use nginx_conf::nginx_conf;

/// Files of a configuration, by their names in it.
pub trait ConfigFiles {
    /// The files that a pattern means now, in the order of their names. What cannot be read is a note.
    fn read(&mut self, pattern: &str, notes: &mut Vec<String>) -> Vec<ConfigFile>;
    /// Is there a folder of this name?
    fn is_folder(&mut self, path: &str) -> bool;
}

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path.
    pub path: String,
    /// Its text; what is no UTF-8 is replaced.
    pub text: String,
}

/// Files in files at most.
const MAX_DEPTH: usize = 16;
/// Layouts and logs of a configuration at most.
const MAX_ITEMS: usize = 4096;
/// Bytes of a layout at most: a server's own limit is below that.
const MAX_LAYOUT_BYTES: usize = 16 << 10;

/// Whose layout it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// nginx.
    Nginx,
    /// Apache httpd.
    Apache,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
        }
    }

    /// The key of such a layout in a definition, and the server's own documentation of it.
    fn key(self, what: Records) -> (&'static str, &'static str) {
        match (self, what) {
            (Self::Nginx, _) => ("log_format", "https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format"),
            (Self::Apache, Records::Requests) => ("apache", "https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats"),
            (Self::Apache, Records::Errors) => {
                ("error_log_format", "https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat")
            }
        }
    }

    fn translate(self, what: Records, text: &str) -> Result<Translated, notation::NotationError> {
        match (self, what) {
            (Self::Nginx, _) => notation::nginx(text),
            (Self::Apache, Records::Requests) => notation::apache(text),
            (Self::Apache, Records::Errors) => notation::error_log_format(text),
        }
    }
}

/// What is written in a layout. Only Apache has layouts of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// A record for each request.
    #[default]
    Requests,
    /// A record for each error.
    Errors,
}

impl Records {
    fn table(self) -> &'static str {
        match self {
            Self::Requests => "access_log",
            Self::Errors => "error_log",
        }
    }
}

/// A layout, and the files that are written in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLayout {
    /// Its name in the configuration.
    pub name: String,
    /// What is written in it.
    pub records: Records,
    /// Its text.
    pub text: String,
    /// Where it is written: file and line.
    pub place: String,
    /// Paths of logs, with wildcards where the server puts something in.
    pub files: Vec<String>,
}

/// What a server's configuration says of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerLogs {
    /// Layouts that are written somewhere, or at least have a name.
    pub layouts: Vec<ServerLayout>,
    /// Logs of errors in the server's own layout.
    pub errors: Vec<String>,
    /// What was not understood.
    pub notes: Vec<String>,
}

/// A definition that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Name of the family.
    pub name: String,
    /// The definition.
    pub text: String,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// The definitions.
    pub made: Vec<Made>,
    /// What could not be carried over, and why.
    pub notes: Vec<String>,
}

/// What a file to import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server's configuration.
    Server(Server),
    /// Named patterns, as Logstash reads them.
    Grok,
    /// lnav's formats.
    Lnav,
    /// A normalizer of pylogsparser, or what such have in common.
    Pylogsparser,
}

impl Kind {
    /// What the content says that the file is.
    pub fn guess(file: &ConfigFile) -> Option<Self> {
        let text = file.text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with('{') {
            return Some(Self::Lnav);
        }
        // Their root, behind a declaration, comments and a document type.
        if text.starts_with('<') && ["<normalizer", "<tagTypes", "<callBacks"].iter().any(|root| text.contains(root)) {
            return Some(Self::Pylogsparser);
        }
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let first = |line: &str| line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let says = |words: &[&str]| lines().any(|line| words.contains(&first(line).as_str()));
        if says(&["log_format", "access_log", "http", "server", "worker_processes"]) {
            return Some(Self::Server(Server::Nginx));
        }
        if says(&["logformat", "customlog", "errorlog", "serverroot", "<virtualhost", "documentroot"]) {
            return Some(Self::Server(Server::Apache));
        }
        let is_pattern = |line: &str| {
            line.split_once(char::is_whitespace).is_some_and(|(name, _)| {
                name.starts_with(|c: char| c.is_ascii_uppercase())
                    && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            })
        };
        (lines().next().is_some() && lines().all(is_pattern)).then_some(Self::Grok)
    }
}

impl Imported {
    /// Adds the layouts of a server's configuration.
    pub fn server(&mut self, catalog: &Catalog, server: Server, main: &ConfigFile, files: &mut dyn ConfigFiles) {
        let logs = match server {
            Server::Nginx => nginx_conf(main, files),
            Server::Apache => httpd_conf(main, files),
        };
        let made = definitions(Some(catalog), server, &logs, &mut self.notes);
        self.made.extend(made);
        self.notes.extend(logs.notes);
        for path in logs.errors {
            self.notes
                .push(format!("errors go to {path}: no definition is needed, but on another machine the path has to be named"));
        }
    }

    /// Adds a definition that passes, or says why it does not.
    fn add(&mut self, catalog: &Catalog, about: &str, name: String, text: String) -> bool {
        match catalog.test(&format!("{name}.toml"), &text) {
            Ok((_, failures)) if failures.is_empty() => {
                self.made.push(Made { name, text });
                true
            }
            Ok((_, failures)) => {
                self.notes.extend(failures.iter().map(|failure| format!("{about}: {failure}")));
                false
            }
            Err(error) => {
                self.notes.push(format!("{about}: {}", error.message));
                false
            }
        }
    }
}

/// Layouts of errors that the built-in format reads as well.
const STANDARD_ERRORS: &[&str] = &[
    r"[%{u}t] [%-m:%l] [pid %P:tid %T] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i",
    r"[%{u}t] [%-m:%l] [pid %P] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i",
    r"[%t] [%l] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i",
];

/// Layouts that the built-in formats read as well, so that nobody needs a definition of them.
const STANDARD: &[(Server, &str)] = &[
    (
        Server::Nginx,
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    ),
    (
        Server::Nginx,
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#,
    ),
    (Server::Apache, r#"%h %l %u %t "%r" %>s %b"#),
    (Server::Apache, r#"%h %l %u %t "%r" %>s %O"#),
    (Server::Apache, r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#),
    (Server::Apache, r#"%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#),
    (Server::Apache, r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#),
    (Server::Apache, r#"%v:%p %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#),
    (Server::Apache, r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %I %O"#),
];

/// Reads the configuration of a server, from its main file on. `None` if there is no such file.
pub fn read_server(server: Server, main: &str, files: &mut dyn ConfigFiles, notes: &mut Vec<String>) -> Option<ServerLogs> {
    let main = files.read(main, notes).into_iter().next()?;
    Some(match server {
        Server::Nginx => nginx_conf(&main, files),
        Server::Apache => httpd_conf(&main, files),
    })
}

/// The family that reads a layout without a definition of its own.
pub fn standard(server: Server, what: Records, text: &str) -> Option<&'static str> {
    let regex = server.translate(what, text).ok()?.regex;
    let is_like = |known: &str| server.translate(what, known).is_ok_and(|known| known.regex == regex);
    match what {
        Records::Requests => STANDARD.iter().any(|known| known.0 == server && is_like(known.1)).then_some("access"),
        Records::Errors => STANDARD_ERRORS.iter().any(|known| is_like(known)).then_some("apache_error"),
    }
}

/// Makes a definition of each layout. With a catalog to try it in, a layout that cannot be read back with it is a note.
pub fn definitions(catalog: Option<&Catalog>, server: Server, logs: &ServerLogs, notes: &mut Vec<String>) -> Vec<Made> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut made = vec![];
    for layout in &logs.layouts {
        let about = format!("layout `{}` ({})", layout.name, layout.place);
        let translated = match server.translate(layout.records, &layout.text) {
            Ok(translated) => translated,
            Err(error) => {
                let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                notes.push(format!("{about}: {}{hint}", error.message));
                continue;
            }
        };
        let name = free_name(&format!("{}_conf_{}", server.name(), layout.name), &mut taken);
        let Some(catalog) = catalog else {
            made.push(Made { text: write_definition(&name, server, layout, &translated, true), name });
            continue;
        };
        // Where values cannot be told apart, as in `$a$b`, the line is read all the same.
        let texts = [true, false].map(|expects| write_definition(&name, server, layout, &translated, expects));
        let origin = format!("{name}.toml");
        match texts.iter().find(|text| catalog.test(&origin, text).is_ok_and(|(_, failures)| failures.is_empty())) {
            Some(text) => made.push(Made { name, text: text.clone() }),
            None => {
                let why = match catalog.test(&origin, &texts[1]) {
                    Ok((_, failures)) => failures.first().map(ToString::to_string).unwrap_or_default(),
                    Err(error) => error.message,
                };
                notes.push(format!("{about}: {why}"));
            }
        }
    }
    made
}

/// A name of letters, digits and underscores that is not taken yet.
fn free_name(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let plain: String = plain.take(60).collect();
    let mut name = plain.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{plain}_{count}");
    }
    name
}

/// A text of TOML.
pub(super) fn quoted(text: &str) -> String {
    // A literal string is what people would have written, where that is possible.
    let is_plain = text.chars().all(|c| c != '\'' && (c == '\t' || !c.is_control()));
    if is_plain { format!("'{text}'") } else { toml::Value::String(text.to_owned()).to_string() }
}

fn write_definition(name: &str, server: Server, layout: &ServerLayout, translated: &Translated, expects: bool) -> String {
    let mut text = format!("# From {}\n", layout.place.replace(|c: char| c.is_control(), "?"));
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    line("name", &quoted(name));
    line("table", &quoted(layout.records.table()));
    line("title", &quoted(&format!("{}: the layout `{}` of {}", server.name(), layout.name, layout.place)));
    let (key, url) = server.key(layout.records);
    line("url", &quoted(url));
    let files: Vec<String> = layout.files.iter().map(|file| quoted(file)).collect();
    line("files", &format!("[{}]", files.join(", ")));
    // Messages may have several lines.
    let start = Some(&layout.text).filter(|_| layout.records == Records::Errors).and_then(|text| notation::error_log_start(text));
    if let Some(start) = start {
        let _ = writeln!(text, "\n[records]\nstart = {}", quoted(&start));
    }
    text += "\n[[pattern]]\n";
    let _ = writeln!(text, "name = {}\n{key} = {}", quoted(name), quoted(&layout.text));
    text += "\n[[sample]]\n";
    let _ = writeln!(text, "line = {}\npattern = {}", quoted(&translated.line), quoted(name));
    // For times without a year.
    text += "reference = '2026-11-30T00:00:00Z'\n";
    if expects && !translated.expect.is_empty() {
        let pairs: Vec<String> =
            translated.expect.iter().map(|(column, value)| format!("{column} = {}", quoted(value))).collect();
        let _ = writeln!(text, "expect = {{ {} }}", pairs.join(", "));
    }
    text
}

/// Adds a log to the layout that it is written in.
fn add_file(files: &mut Vec<String>, path: String) {
    if !files.contains(&path) && files.len() < MAX_ITEMS {
        files.push(path);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Files by name, for tests.
    #[derive(Default)]
    pub(in crate::format) struct Files(pub(in crate::format) Vec<(&'static str, String)>);

    impl ConfigFiles for Files {
        fn read(&mut self, pattern: &str, _: &mut Vec<String>) -> Vec<ConfigFile> {
            let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
            let fits = |path: &str| {
                if pattern.contains('*') { path.starts_with(before) && path.ends_with(after) } else { path == pattern }
            };
            let found = self.0.iter().filter(|(path, _)| fits(path));
            found.map(|(path, text)| ConfigFile { path: (*path).to_owned(), text: text.clone() }).collect()
        }

        fn is_folder(&mut self, path: &str) -> bool {
            self.0.iter().any(|(file, _)| file.starts_with(&format!("{path}/")))
        }
    }

    #[test]
    fn what_the_built_in_formats_read_needs_no_definition() {
        let default = r"[%{u}t] [%-m:%l] [pid %P:tid %T] %7F: %E: [client\ %a] %M% ,\ referer\ %{Referer}i";
        assert_eq!(standard(Server::Apache, Records::Errors, default), Some("apache_error"));
        assert_eq!(standard(Server::Apache, Records::Errors, "[%t] %M"), None);
        let standard = |server, text| standard(server, Records::Requests, text);
        assert_eq!(standard(Server::Apache, r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\""#), Some("access"));
        assert_eq!(standard(Server::Apache, r#"%h %l %u %t \"%r\" %>s %b %T"#), None);
        assert_eq!(standard(Server::Nginx, "$remote_addr"), None);
    }

    #[test]
    fn a_definition_is_made_of_each_layout_and_passes_its_sample() {
        let layout = |name: &str, text: &str| ServerLayout {
            name: name.to_owned(),
            records: Records::Requests,
            text: text.to_owned(),
            place: "/etc/nginx/nginx.conf:3".to_owned(),
            files: vec!["/srv/logs/it's.log".to_owned()],
        };
        let logs = ServerLogs {
            layouts: vec![
                layout("shop-1", "$msec $remote_addr '$request' $status"),
                layout("shop_1", "$a$b$c$status"),
                layout("bad", "nothing"),
            ],
            ..ServerLogs::default()
        };
        let mut notes = vec![];
        let catalog = Catalog::builtin();
        let made = definitions(Some(&catalog), Server::Nginx, &logs, &mut notes);
        let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
        assert_eq!(names, ["nginx_conf_shop_1", "nginx_conf_shop_1_2"]);
        assert!(made[0].text.contains("status = '404'") && made[0].text.contains("/srv/logs/it's.log"), "{}", made[0].text);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].starts_with("layout `bad` (/etc/nginx/nginx.conf:3): a `log_format` without a variable"), "{notes:?}");
        let mut catalog = catalog.clone();
        for made in &made {
            catalog.add(&made.name, &made.text).unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(catalog.format("nginx_conf_shop_1").unwrap().files, ["/srv/logs/it's.log"]);

        let errors = ServerLayout { records: Records::Errors, ..layout("error", r"[%{cu}t] [%l] %-a %L %M") };
        let logs = ServerLogs { layouts: vec![errors], ..ServerLogs::default() };
        let mut notes = vec![];
        let made = definitions(Some(&catalog), Server::Apache, &logs, &mut notes);
        assert_eq!((made.len(), notes), (1, vec![]), "{made:?}");
        catalog.add("x", &made[0].text).unwrap_or_else(|error| panic!("{error}"));
        let format = catalog.format("apache_conf_error").expect("added");
        assert!(format.is_joined() && format.table.name == "error_log", "{}", made[0].text);
    }
}
