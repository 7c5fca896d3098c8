//! nginx.conf: `log_format`, `access_log`, `error_log`, `include`.

use std::collections::HashSet;

use super::{ConfigFile, ConfigFiles, MAX_DEPTH, MAX_ITEMS, MAX_LAYOUT_BYTES, Records, ServerLayout, ServerLogs, add_file};

/// What `access_log` without a layout means, and where it is said.
const COMBINED: &str =
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// Folders that relative paths of logs are below, as packages build nginx.
const PREFIXES: &[&str] = &["/usr/share/nginx", "/usr/local/nginx", "/etc/nginx", "/var/lib/nginx"];

/// Reads nginx.conf and all that it includes.
pub(super) fn nginx_conf(main: &ConfigFile, files: &mut dyn ConfigFiles) -> ServerLogs {
    let folder = main.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut reader = Reader { files, folder, seen: HashSet::new(), formats: vec![], logs: vec![], found: ServerLogs::default() };
    reader.file(main, "http", 0);
    reader.finish()
}

/// A `log_format`.
struct Named {
    /// `http` and `stream` have names of their own.
    context: &'static str,
    layout: ServerLayout,
}

struct Reader<'a> {
    files: &'a mut dyn ConfigFiles,
    /// Where relative includes are.
    folder: String,
    seen: HashSet<String>,
    formats: Vec<Named>,
    /// Context, name of the layout, path.
    logs: Vec<(&'static str, String, String)>,
    found: ServerLogs,
}

impl Reader<'_> {
    fn note(&mut self, text: String) {
        if self.found.notes.len() < MAX_ITEMS {
            self.found.notes.push(text);
        }
    }

    fn file(&mut self, file: &ConfigFile, context: &'static str, depth: usize) {
        if depth > MAX_DEPTH {
            return self.note(format!("{}: included too deep", file.path));
        }
        if !self.seen.insert(file.path.clone()) {
            return;
        }
        let mut tokens = Tokens { text: &file.text, at: 0, line: 1 };
        let mut words: Vec<String> = vec![];
        let mut first_line = 1;
        let mut blocks: Vec<&'static str> = vec![context];
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        first_line = tokens.line;
                    }
                    // No directive of ours is that long.
                    if words.len() < MAX_ITEMS {
                        words.push(word);
                    }
                }
                Token::End => {
                    let context = blocks.last().copied().unwrap_or("http");
                    let place = format!("{}:{first_line}", file.path);
                    self.directive(&words, context, &place, depth);
                    words.clear();
                }
                Token::Open => {
                    let name = words.first().map_or("", String::as_str);
                    if name.ends_with("_by_lua_block") {
                        tokens.skip_block();
                    } else if blocks.len() < MAX_ITEMS {
                        let inherited = blocks.last().copied().unwrap_or("http");
                        blocks.push(if name == "stream" { "stream" } else { inherited });
                    }
                    words.clear();
                }
                Token::Close => {
                    if blocks.len() > 1 {
                        blocks.pop();
                    }
                    words.clear();
                }
            }
        }
        if !words.is_empty() {
            self.note(format!("{}:{first_line}: `{}` does not end with `;`", file.path, words[0]));
        }
    }

    fn directive(&mut self, words: &[String], context: &'static str, place: &str, depth: usize) {
        let Some((name, args)) = words.split_first() else { return };
        match (name.as_str(), args) {
            ("include", [pattern]) => {
                let pattern = if pattern.starts_with('/') { pattern.clone() } else { format!("{}/{pattern}", self.folder) };
                let mut notes = vec![];
                let found = self.files.read(&pattern, &mut notes);
                notes.into_iter().for_each(|note| self.note(note));
                for file in &found {
                    self.file(file, context, depth + 1);
                }
            }
            ("log_format", [name, parts @ ..]) if !parts.is_empty() => {
                let (escape, parts) = match &parts[0] {
                    first if first.starts_with("escape=") && parts.len() > 1 => (format!("{first} "), &parts[1..]),
                    _ => (String::new(), parts),
                };
                let text = escape + &parts.concat();
                if text.len() > MAX_LAYOUT_BYTES || self.formats.len() >= MAX_ITEMS {
                    return self.note(format!("{place}: `log_format {name}` is too long"));
                }
                let (name, place) = (name.clone(), place.to_owned());
                let layout = ServerLayout { name, records: Records::Requests, text, place, files: vec![] };
                self.formats.push(Named { context, layout });
            }
            ("access_log", [path, options @ ..]) if path != "off" => {
                if path.starts_with("syslog:") {
                    return self.note(format!("{place}: `access_log {path}` goes to another machine or program"));
                }
                let is_option = |word: &&String| word.contains('=') || *word == "gzip";
                let format = options.first().filter(|first| !is_option(first)).map_or("combined", String::as_str);
                for path in self.paths(path) {
                    if self.logs.len() < MAX_ITEMS {
                        self.logs.push((context, format.to_owned(), path));
                    }
                }
            }
            ("error_log", [path, ..]) if path != "stderr" && path != "off" && path != "/dev/null" => {
                if path.starts_with("syslog:") || path.starts_with("memory:") {
                    return self.note(format!("{place}: `error_log {path}` goes to another machine or program"));
                }
                for path in self.paths(path) {
                    add_file(&mut self.found.errors, path);
                }
            }
            _ => {}
        }
    }

    /// The path of a log, with wildcards for variables. A relative one is below a folder that was chosen when nginx was built.
    fn paths(&mut self, path: &str) -> Vec<String> {
        if path.starts_with("/dev/") {
            return vec![];
        }
        let mut pattern = String::new();
        let mut rest = path;
        while let Some(at) = rest.find('$') {
            pattern += &escape(&rest[..at]);
            pattern.push('*');
            let behind = &rest[at + 1..];
            rest = match behind.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                Some((_, behind)) => behind,
                None => behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
            };
        }
        pattern += &escape(rest);
        if pattern.starts_with('/') {
            return vec![pattern];
        }
        let below = PREFIXES.iter().filter(|prefix| self.files.is_folder(prefix));
        below.map(|prefix| format!("{prefix}/{pattern}")).collect()
    }

    fn finish(mut self) -> ServerLogs {
        let mut missing = vec![];
        for (context, name, path) in std::mem::take(&mut self.logs) {
            // The server refuses two of one name, so the last one is as good as any.
            let known = self.formats.iter_mut().rev().find(|format| format.context == context && format.layout.name == name);
            match known {
                Some(format) => add_file(&mut format.layout.files, path),
                None if name == "combined" => {
                    let (text, place) = (COMBINED.to_owned(), "nginx itself".to_owned());
                    let layout = ServerLayout { name, records: Records::Requests, text, place, files: vec![path] };
                    self.formats.push(Named { context, layout });
                }
                None => missing.push(format!("`access_log {path} {name}`: there is no `log_format {name}`")),
            }
        }
        missing.into_iter().for_each(|note| self.note(note));
        self.found.layouts = self.formats.into_iter().map(|format| format.layout).collect();
        self.found
    }
}

/// What means something in a pattern of files means itself.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    End,
    Open,
    Close,
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Tokens<'_> {
    fn bump(&mut self) -> Option<char> {
        let c = self.text[self.at..].chars().next()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            match self.peek()? {
                c if c.is_ascii_whitespace() => drop(self.bump()),
                '#' => while self.bump().is_some_and(|c| c != '\n') {},
                ';' => return self.bump().map(|_| Token::End),
                '{' => return self.bump().map(|_| Token::Open),
                '}' => return self.bump().map(|_| Token::Close),
                quote @ ('"' | '\'') => {
                    self.bump();
                    return Some(Token::Word(self.word(Some(quote))));
                }
                _ => return Some(Token::Word(self.word(None))),
            }
        }
    }

    /// Up to the quote, or to what ends a word without quotes.
    fn word(&mut self, quote: Option<char>) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match (c, quote) {
                (c, Some(quote)) if c == quote => {
                    self.bump();
                    break;
                }
                ('\\', _) => {
                    self.bump();
                    match self.bump() {
                        Some(c @ ('"' | '\'' | '\\')) => word.push(c),
                        Some('t') => word.push('\t'),
                        Some('r') => word.push('\r'),
                        Some('n') => word.push('\n'),
                        Some(c) => word.extend(['\\', c]),
                        None => word.push('\\'),
                    }
                }
                // `${name}` is a variable and no block.
                ('$', None) if self.text[self.at..].starts_with("${") => {
                    while let Some(c) = self.bump() {
                        word.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                (';' | '{', None) => break,
                (c, None) if c.is_ascii_whitespace() => break,
                (c, _) => {
                    self.bump();
                    word.push(c);
                }
            }
        }
        word
    }

    /// Passes over a block of another language, up to the brace that closes it.
    fn skip_block(&mut self) {
        let mut depth = 1;
        while let Some(c) = self.bump() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                '-' if self.peek() == Some('-') => while self.bump().is_some_and(|c| c != '\n') {},
                quote @ ('"' | '\'') => drop(self.word(Some(quote))),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Files;
    use super::*;

    fn read(main: &str, others: Vec<(&'static str, &str)>) -> ServerLogs {
        let others = others.into_iter().map(|(path, text)| (path, text.to_owned())).collect();
        let main = ConfigFile { path: "/etc/nginx/nginx.conf".to_owned(), text: main.to_owned() };
        nginx_conf(&main, &mut Files(others))
    }

    #[test]
    fn layouts_and_paths_are_found_wherever_they_are() {
        let main = r#"
            error_log /var/log/nginx/error.log warn; # a comment with access_log /no;
            stream { log_format main '$protocol $status'; access_log /var/log/nginx/stream.log main; }
            http {
                log_format main '$remote_addr [$time_local] '
                                "\"$request\" ${status}";
                log_format json escape=json '{"a":"$remote_addr"}';
                access_log /var/log/nginx/access.log;
                content_by_lua_block { local x = "}" .. { 1 } access_log /lua; }
                include sites/*.conf;
            }
        "#;
        let site = r#"server { server_name shop; access_log "/srv/$host/[a] ${x}.log" main buffer=32k; error_log /srv/e.log;
            location / { access_log off; } access_log logs/rel.log json if=$loggable; access_log syslog:server=10.0.0.1 main; }"#;
        let found = read(main, vec![("/etc/nginx/sites/a.conf", site), ("/usr/share/nginx/x", "")]);
        let layouts: Vec<(&str, &str, Vec<&str>)> = found
            .layouts
            .iter()
            .map(|layout| (layout.name.as_str(), layout.text.as_str(), layout.files.iter().map(String::as_str).collect()))
            .collect();
        let expected = [
            ("main", "$protocol $status", vec!["/var/log/nginx/stream.log"]),
            ("main", "$remote_addr [$time_local] \"$request\" ${status}", vec!["/srv/*/\\[a] *.log"]),
            ("json", "escape=json {\"a\":\"$remote_addr\"}", vec!["/usr/share/nginx/logs/rel.log", "/etc/nginx/logs/rel.log"]),
            ("combined", COMBINED, vec!["/var/log/nginx/access.log"]),
        ];
        assert_eq!(layouts, expected);
        assert_eq!(found.layouts[1].place, "/etc/nginx/nginx.conf:5");
        assert_eq!(found.errors, ["/var/log/nginx/error.log", "/srv/e.log"]);
        assert_eq!(
            found.notes,
            ["/etc/nginx/sites/a.conf:2: `access_log syslog:server=10.0.0.1` goes to another machine or program"]
        );
    }

    #[test]
    fn a_hostile_configuration_is_read_to_its_end() {
        let found = read(
            "include nginx.conf; include a;",
            vec![("/etc/nginx/nginx.conf", "include nginx.conf;"), ("/etc/nginx/a", "include a; log_format")],
        );
        assert_eq!(found.notes, ["/etc/nginx/a:1: `log_format` does not end with `;`"]);
        read(&"{".repeat(100_000), vec![]);
        read(&"}".repeat(1000), vec![]);
        read(&"access_log ".repeat(100_000), vec![]);
        read("access_log \"", vec![]);
        read("log_format a \\", vec![]);
        let found = read("access_log /x nope;", vec![]);
        assert_eq!(found.notes, ["`access_log /x nope`: there is no `log_format nope`"]);
    }

    proptest::proptest! {
        #[test]
        fn no_configuration_is_too_odd(text in r#"(log_format |access_log |include |a|\$|\{|\}|;|"|'|\\|\n|#|/| |é){0,40}"#) {
            let _ = read(&text, vec![("/etc/nginx/a", &text)]);
        }
    }
}
