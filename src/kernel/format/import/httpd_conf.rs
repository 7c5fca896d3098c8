//! httpd.conf: `LogFormat`, `CustomLog`, `TransferLog`, `ErrorLog`, `ErrorLogFormat`, `Include`, `Define`.

use std::collections::{HashMap, HashSet};

use super::{ConfigFile, ConfigFiles, MAX_DEPTH, MAX_ITEMS, MAX_LAYOUT_BYTES, Records, ServerLayout, ServerLogs, add_file};

/// What `TransferLog` means without a `LogFormat` in front of it.
const COMMON: &str = r#"%h %l %u %t \"%r\" %>s %b"#;

/// Lines that are continued, at most so many bytes of them.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Reads httpd.conf or apache2.conf, and all that it includes.
pub(super) fn httpd_conf(main: &ConfigFile, files: &mut dyn ConfigFiles) -> ServerLogs {
    let folder = main.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    // Fedora's has its main file in `conf`, and the root is above it.
    let root = folder.strip_suffix("/conf").unwrap_or(&folder).to_owned();
    let mut reader = Reader {
        files,
        root,
        variables: HashMap::new(),
        seen: HashSet::new(),
        layouts: vec![],
        nameless: None,
        logs: vec![],
        errors: vec![],
        error_layouts: vec![],
        macros: vec![],
        host: 0,
        hosts: 0,
        found: ServerLogs::default(),
    };
    reader.variables.insert("APACHE_CONFDIR".to_owned(), folder.clone());
    for path in [format!("{folder}/envvars"), "/etc/sysconfig/httpd".to_owned()] {
        let found = reader.files.read(&path, &mut vec![]);
        found.iter().for_each(|file| reader.envvars(&file.text));
    }
    // Debian's name for its folder, if its `envvars` may not be read.
    reader.variables.entry("APACHE_LOG_DIR".to_owned()).or_insert_with(|| "/var/log/apache2".to_owned());
    reader.file(main, 0);
    reader.finish()
}

/// A log as it is said: how a name is understood is known at the end only.
struct Log {
    host: usize,
    path: String,
    /// A name or a layout.
    layout: String,
    place: String,
}

struct Reader<'a> {
    files: &'a mut dyn ConfigFiles,
    /// `ServerRoot`.
    root: String,
    variables: HashMap<String, String>,
    seen: HashSet<String>,
    /// Layouts with a name, and the virtual host that they are said in.
    layouts: Vec<(usize, ServerLayout)>,
    /// The latest `LogFormat` without a name.
    nameless: Option<String>,
    logs: Vec<Log>,
    /// Logs of errors, and the virtual host of each.
    errors: Vec<(usize, String)>,
    /// Their layouts: the last one of a host counts, and those for what is told once of a connection or a request.
    error_layouts: Vec<(usize, ServerLayout)>,
    /// Parameters of the macros that are open.
    macros: Vec<String>,
    /// The virtual host that is open; 0 is none.
    host: usize,
    hosts: usize,
    found: ServerLogs,
}

impl Reader<'_> {
    fn note(&mut self, text: String) {
        if self.found.notes.len() < MAX_ITEMS {
            self.found.notes.push(text);
        }
    }

    /// `export NAME=value` lines of a shell script.
    fn envvars(&mut self, text: &str) {
        for line in text.lines().take(MAX_ITEMS) {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            let Some((name, value)) = line.split_once('=') else { continue };
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name || line.starts_with('#') {
                continue;
            }
            let value = value.trim().trim_matches(['"', '\'']);
            let value = self.shell(value);
            self.variables.insert(name.to_owned(), value);
        }
    }

    /// Puts variables of the shell in; what is not known is empty, as in the shell.
    fn shell(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out += &rest[..at];
            let behind = &rest[at + 1..];
            let (name, after) = match behind.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                Some(found) => found,
                None => behind.split_at(behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len())),
            };
            out += self.variables.get(name).map_or("", String::as_str);
            rest = after;
            if out.len() > MAX_LINE_BYTES {
                return String::new();
            }
        }
        out + rest
    }

    /// Puts in what `Define` and the environment say. What is not known stays.
    fn defined(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let Some((name, after)) = rest[at + 2..].split_once('}') else { break };
            out += &rest[..at];
            match self.variables.get(name) {
                Some(value) => out += value,
                None => out += &rest[at..at + 3 + name.len()],
            }
            rest = after;
            if out.len() > MAX_LINE_BYTES {
                return String::new();
            }
        }
        out + rest
    }

    fn file(&mut self, file: &ConfigFile, depth: usize) {
        if depth > MAX_DEPTH {
            return self.note(format!("{}: included too deep", file.path));
        }
        if !self.seen.insert(file.path.clone()) {
            return;
        }
        let mut lines = file.text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let mut whole = line.to_owned();
            while whole.ends_with('\\') && whole.len() < MAX_LINE_BYTES {
                whole.pop();
                match lines.next() {
                    Some((_, more)) => whole += more,
                    None => break,
                }
            }
            let whole = whole.trim();
            if whole.is_empty() || whole.starts_with('#') {
                continue;
            }
            let whole = self.defined(whole);
            let place = format!("{}:{}", file.path, number + 1);
            if let Some(section) = whole.strip_prefix('<') {
                self.section(section.trim_end_matches('>'));
                continue;
            }
            let words = words(&whole);
            self.directive(&words, &place, depth);
        }
    }

    fn section(&mut self, text: &str) {
        let words = words(text);
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [name, ..] if name.eq_ignore_ascii_case("VirtualHost") => {
                self.hosts += 1;
                self.host = self.hosts;
            }
            [name, ..] if name.eq_ignore_ascii_case("/VirtualHost") => self.host = 0,
            [name, _, parameters @ ..] if name.eq_ignore_ascii_case("Macro") => {
                self.macros = parameters.iter().take(64).map(|&parameter| parameter.to_owned()).collect();
            }
            [name, ..] if name.eq_ignore_ascii_case("/Macro") => self.macros.clear(),
            _ => {}
        }
    }

    fn directive(&mut self, words: &[String], place: &str, depth: usize) {
        let Some((name, args)) = words.split_first() else { return };
        let room = self.layouts.len() < MAX_ITEMS && self.logs.len() < MAX_ITEMS;
        match (name.to_ascii_lowercase().as_str(), args) {
            ("serverroot", [root]) => self.root.clone_from(root),
            ("define", [name, value]) if self.variables.len() < MAX_ITEMS => {
                self.variables.insert(name.clone(), value.clone());
            }
            ("undefine", [name]) => drop(self.variables.remove(name)),
            ("include" | "includeoptional", [pattern]) => {
                let mut pattern = self.below_root(pattern);
                if self.files.is_folder(&pattern) {
                    pattern = format!("{}/*", pattern.trim_end_matches('/'));
                }
                let mut notes = vec![];
                let found = self.files.read(&pattern, &mut notes);
                notes.into_iter().for_each(|note| self.note(note));
                for file in &found {
                    self.file(file, depth + 1);
                }
            }
            ("logformat", [text, ..]) if text.len() > MAX_LAYOUT_BYTES => {
                self.note(format!("{place}: `LogFormat` is too long"));
            }
            ("logformat", [text]) => self.nameless = Some(text.clone()),
            ("logformat", [text, name]) if room => {
                let (name, text, place) = (name.clone(), text.clone(), place.to_owned());
                let layout = ServerLayout { name, records: Records::Requests, text, place, files: vec![] };
                self.layouts.push((self.host, layout));
            }
            ("customlog" | "globallog", [path, layout, ..]) if room => self.log(path, layout, place),
            ("transferlog", [path]) if room => {
                let layout = self.nameless.clone().unwrap_or_else(|| COMMON.to_owned());
                self.log(path, &layout, place);
            }
            ("errorlog", [path, ..]) => {
                if let Some(path) = self.path(path, place).filter(|_| self.errors.len() < MAX_ITEMS) {
                    self.errors.push((self.host, path));
                }
            }
            ("errorlogformat", [.., text]) if text.len() > MAX_LAYOUT_BYTES => {
                self.note(format!("{place}: `ErrorLogFormat` is too long"));
            }
            ("errorlogformat", [of @ .., text]) if self.error_layouts.len() < MAX_ITEMS && of.len() < 2 => {
                let name = match of {
                    [] => "error".to_owned(),
                    [of, ..] => format!("error_{}", of.to_ascii_lowercase()),
                };
                let (text, place) = (text.clone(), place.to_owned());
                let layout = ServerLayout { name, records: Records::Errors, text, place, files: vec![] };
                self.error_layouts.push((self.host, layout));
            }
            _ => {}
        }
    }

    fn log(&mut self, path: &str, layout: &str, place: &str) {
        if layout.len() > MAX_LAYOUT_BYTES {
            return self.note(format!("{place}: the layout is too long"));
        }
        if let Some(path) = self.path(path, place) {
            self.logs.push(Log { host: self.host, path, layout: layout.to_owned(), place: place.to_owned() });
        }
    }

    fn below_root(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.root) }
    }

    /// The path of a log, with wildcards for what the server or a program behind a pipe puts in.
    fn path(&mut self, path: &str, place: &str) -> Option<String> {
        if path.starts_with("syslog") || path.starts_with("journald") {
            self.note(format!("{place}: `{path}` goes to another program"));
            return None;
        }
        if path.starts_with("/dev/") {
            return None;
        }
        let Some(command) = path.strip_prefix('|') else { return Some(self.pattern(&self.below_root(path), false)) };
        // `|/usr/bin/rotatelogs -l /var/log/access.%Y%m%d 86400`
        let arguments = words(command.trim_start_matches(['|', '$']));
        let program = arguments.first().map_or("", |program| program.rsplit('/').next().unwrap_or_default());
        if !matches!(program, "rotatelogs" | "rotatelogs2" | "cronolog" | "httplog") {
            self.note(format!("{place}: `{path}` is a program that is not known"));
            return None;
        }
        let file = arguments.iter().skip(1).find(|argument| argument.starts_with('/') || argument.starts_with("logs/"))?;
        Some(self.pattern(&self.below_root(file), true))
    }

    fn pattern(&self, path: &str, is_strftime: bool) -> String {
        let mut path = path.to_owned();
        for parameter in &self.macros {
            path = path.replace(parameter.as_str(), "\0");
        }
        let mut out = String::new();
        let mut chars = path.chars();
        while let Some(c) = chars.next() {
            match c {
                '\0' => out.push('*'),
                '%' if is_strftime => {
                    chars.next();
                    out.push('*');
                }
                '*' | '?' | '[' | '\\' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
        while out.contains("**") {
            out = out.replace("**", "*");
        }
        out
    }

    fn finish(mut self) -> ServerLogs {
        let mut direct: Vec<ServerLayout> = vec![];
        for log in std::mem::take(&mut self.logs) {
            let of_host = |host| self.layouts.iter().rposition(|(at, layout)| *at == host && layout.name == log.layout);
            let known = of_host(log.host).or_else(|| of_host(0));
            match known {
                Some(at) => add_file(&mut self.layouts[at].1.files, log.path),
                None if log.layout.contains('%') => match direct.iter_mut().find(|layout| layout.text == log.layout) {
                    Some(layout) => add_file(&mut layout.files, log.path),
                    None => {
                        let stem = log.path.rsplit('/').next().unwrap_or_default();
                        let name = stem.split('.').next().unwrap_or_default().to_owned();
                        let records = Records::Requests;
                        direct.push(ServerLayout { name, records, text: log.layout, place: log.place, files: vec![log.path] });
                    }
                },
                None => self.found.notes.push(format!("{}: there is no `LogFormat` of the name `{}`", log.place, log.layout)),
            }
        }
        for (host, path) in std::mem::take(&mut self.errors) {
            // A virtual host that says nothing has the layout of the server.
            let has = |host| self.error_layouts.iter().any(|(of, layout)| *of == host && layout.name == "error");
            let owner = if has(host) { host } else { 0 };
            if !has(owner) {
                add_file(&mut self.found.errors, path);
                continue;
            }
            let last = self.error_layouts.iter().rposition(|(of, layout)| *of == owner && layout.name == "error");
            for (at, (of, layout)) in self.error_layouts.iter_mut().enumerate() {
                if *of == owner && (layout.name != "error" || Some(at) == last) {
                    add_file(&mut layout.files, path.clone());
                }
            }
        }
        let errors = self.error_layouts.into_iter().map(|(_, layout)| layout).filter(|layout| !layout.files.is_empty());
        self.found.layouts = self.layouts.into_iter().map(|(_, layout)| layout).chain(direct).chain(errors).collect();
        self.found
    }
}

/// The words of a line. In quotes a backslash makes the quote behind it a part of the word; all other backslashes stay.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut chars = line.chars().peekable();
    while words.len() < MAX_ITEMS {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(first) = chars.next() else { break };
        let mut word = String::new();
        if let '"' | '\'' = first {
            while let Some(c) = chars.next() {
                match c {
                    '\\' if chars.peek() == Some(&first) => word.extend(chars.next()),
                    '\\' if chars.peek() == Some(&'\\') => {
                        chars.next();
                        word += "\\\\";
                    }
                    c if c == first => break,
                    c => word.push(c),
                }
            }
        } else {
            word.push(first);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::tests::Files;
    use super::*;

    fn read(main: &str, others: Vec<(&'static str, &str)>) -> ServerLogs {
        let others = others.into_iter().map(|(path, text)| (path, text.to_owned())).collect();
        let main = ConfigFile { path: "/etc/apache2/apache2.conf".to_owned(), text: main.to_owned() };
        httpd_conf(&main, &mut Files(others))
    }

    #[test]
    fn layouts_and_paths_are_found_wherever_they_are() {
        let main = r#"
            # LogFormat "%h" comment
            ErrorLog ${APACHE_LOG_DIR}/error.log
            Define SHOP /srv/shop
            LogFormat "%h %l %u %t \
\"%r\" %>s" short
            LogFormat "%U" unused
            IncludeOptional sites-enabled/*.conf
        "#;
        let site = r#"<VirtualHost *:80>
            LogFormat "%v \"%r\" \\ %s" short
            CustomLog "${SHOP}/access [1].log" short env=!skip
            CustomLog logs/direct.log "%t %U"
            CustomLog "|/usr/bin/rotatelogs -l /var/log/apache2/rot.%Y%m%d.log 86400" short
            CustomLog "|/bin/other /x" short
            customlog /x nope
            ErrorLog syslog:local7
        </VirtualHost>
        <Macro Site $name $port>
            CustomLog ${APACHE_LOG_DIR}/$name-access.log short
        </Macro>
        TransferLog /var/log/t.log"#;
        let env = "export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\nSUFFIX=x\nif [ x = y ]; then";
        let found = read(main, vec![("/etc/apache2/sites-enabled/a.conf", site), ("/etc/apache2/envvars", env)]);
        let layouts: Vec<(&str, &str, Vec<&str>)> = found
            .layouts
            .iter()
            .map(|layout| (layout.name.as_str(), layout.text.as_str(), layout.files.iter().map(String::as_str).collect()))
            .collect();
        let expected = [
            ("short", "%h %l %u %t \"%r\" %>s", vec!["/var/log/apache2/*-access.log"]),
            ("unused", "%U", vec![]),
            ("short", r#"%v "%r" \\ %s"#, vec!["/srv/shop/access \\[1].log", "/var/log/apache2/rot.*.log"]),
            ("direct", "%t %U", vec!["/etc/apache2/logs/direct.log"]),
            ("t", COMMON, vec!["/var/log/t.log"]),
        ];
        assert_eq!(layouts, expected);
        assert_eq!(found.errors, ["/var/log/apache2/error.log"]);
        let at = "/etc/apache2/sites-enabled/a.conf";
        let expected = [
            format!("{at}:6: `|/bin/other /x` is a program that is not known"),
            format!("{at}:8: `syslog:local7` goes to another program"),
            format!("{at}:7: there is no `LogFormat` of the name `nope`"),
        ];
        assert_eq!(found.notes, expected);
    }

    #[test]
    fn layouts_of_errors_are_those_of_the_host_or_of_the_server() {
        let main = r#"
            ErrorLogFormat "old"
            ErrorLogFormat "[%t] [%l] %M"
            ErrorLogFormat request "[%t] [%l] [R:%L] UA:'%+{User-Agent}i'"
            ErrorLog /var/log/main.log
            <VirtualHost *:80>
            ErrorLog /var/log/a.log
            </VirtualHost>
            <VirtualHost *:81>
            ErrorLogFormat "[%{cu}t] [client\ %a] %M% ,\ referer\ %{Referer}i"
            ErrorLog /var/log/b.log
            </VirtualHost>
        "#;
        let found = read(main, vec![]);
        let layouts: Vec<(&str, &str, Records, Vec<&str>)> = found
            .layouts
            .iter()
            .map(|layout| {
                let files = layout.files.iter().map(String::as_str).collect();
                (layout.name.as_str(), layout.text.as_str(), layout.records, files)
            })
            .collect();
        let expected = [
            ("error", "[%t] [%l] %M", Records::Errors, vec!["/var/log/main.log", "/var/log/a.log"]),
            (
                "error_request",
                "[%t] [%l] [R:%L] UA:'%+{User-Agent}i'",
                Records::Errors,
                vec!["/var/log/main.log", "/var/log/a.log"],
            ),
            ("error", r"[%{cu}t] [client\ %a] %M% ,\ referer\ %{Referer}i", Records::Errors, vec!["/var/log/b.log"]),
        ];
        assert_eq!(layouts, expected);
        assert_eq!((found.errors, found.notes), (vec![], vec![]));
        let default = read("ErrorLog /var/log/e.log", vec![]);
        assert_eq!(default.errors, ["/var/log/e.log"]);
    }

    #[test]
    fn a_hostile_configuration_is_read_to_its_end() {
        let grows = "Define A aaaaaaaaaaaaaaaa\n".to_owned() + &"Define A ${A}${A}\n".repeat(60) + "CustomLog ${A} %h";
        read(&grows, vec![("/etc/apache2/envvars", "A=1\nA=$A$A$A\nA=${A")]);
        read("Include apache2.conf\nInclude *", vec![("/etc/apache2/apache2.conf", "Include apache2.conf")]);
        read(&"\\\n".repeat(100_000), vec![]);
        read("LogFormat \"", vec![]);
        read("CustomLog \"|\" %h\nCustomLog | %h\n<\n<Macro\nErrorLog", vec![]);
    }

    proptest::proptest! {
        #[test]
        fn no_configuration_is_too_odd(text in r#"(LogFormat |CustomLog |ErrorLogFormat |ErrorLog |Include |Define |<Macro |a|\$\{a\}|%h|"|'|\\|\n|#|/| |é|>|\|){0,40}"#) {
            let _ = read(&text, vec![("/etc/apache2/a", &text)]);
        }
    }
}
