//! pylogsparser's normalizers: XML, with patterns whose words are tags, and Python for what is done to the values.
//!
//! ```text
//!   <text>ACTION by USER</text>            ──┐
//!   <tag name="user" tagType="Word">…       ├──►  (?<action>…) by (?<user>…)   and what each capture means
//!   <callback name="act">log['action'] = …  ──┘    (python.rs: by the text of the code)
//! ```
//!
//! Reference: `normalizers/normalizer.dtd` and `logsparser/normalizer.py` in its source distribution. What a callback does that is none of
//! the usual things is named in a note, and what it would have set is missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};

use super::python::{Action, Other};
use super::{Catalog, ConfigFile, Imported, free_name, quoted};
use crate::decode::time::Layout;
use crate::format::notation::{Dialect, Lookaround, literal, translate};
use crate::scan::{Matcher, Scratch, Span};
use crate::table::{ColumnType, TableDef, table};

/// Nodes of a file at most.
const MAX_NODES: u32 = 200_000;
/// Tags of a pattern at most.
const MAX_TAGS: usize = 0x1000;
/// The first of the characters that stand for the tags of a pattern while it is translated: nobody writes them.
const FIRST_MARK: u32 = 0xF0000;

impl Imported {
    /// Makes a definition of a normalizer. `shared` are the files of tag types and callbacks that normalizers have in common; one of
    /// those in the place of a normalizer gives nothing.
    pub fn pylogsparser(&mut self, catalog: &Catalog, file: &ConfigFile, shared: &[ConfigFile]) {
        let mut library = Library::default();
        for other in shared {
            if let Err(error) = parse(&other.text, |root| library.read(root)) {
                self.notes.push(format!("{}: {error}", other.path));
            }
        }
        let read = parse(&file.text, |root| {
            root.has_tag_name("normalizer").then(|| {
                library.read(root);
                Normalizer::read(root, &library)
            })
        });
        match read {
            Err(error) => self.notes.push(format!("{}: {error}", file.path)),
            Ok(None) => {}
            Ok(Some(mut normalizer)) => {
                let text = normalizer.write(catalog);
                self.notes.extend(normalizer.notes.iter().map(|note| format!("{}: {note}", file.path)));
                if let Some(text) = text {
                    self.add(catalog, &file.path, normalizer.family, text);
                }
            }
        }
    }
}

fn parse<T>(text: &str, read: impl FnOnce(Node<'_, '_>) -> T) -> Result<T, String> {
    // All of them name a DTD. Nothing is fetched, and the parser bounds what entities become.
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text.trim_start_matches('\u{feff}'), options).map_err(|error| error.to_string())?;
    Ok(read(document.root_element()))
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// All elements of this name; the files write `callBack` as well as `callback`.
fn elements<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants().filter(move |node| node.tag_name().name().eq_ignore_ascii_case(name))
}

/// The text of an element, comments left out.
fn text_of(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|child| child.text()).collect()
}

/// The texts of the elements inside of it, by their attribute `name`.
fn named_texts(node: Node<'_, '_>, name: &'static str) -> Vec<(String, String)> {
    elements(node, name).map(|tag| (tag.attribute("name").unwrap_or_default().to_owned(), text_of(tag))).collect()
}

/// What normalizers share, and what one says of its own.
#[derive(Default)]
struct Library {
    /// The regular expression of each type of tags.
    types: HashMap<String, String>,
    /// What each callback does.
    callbacks: HashMap<String, Action>,
}

impl Library {
    fn read(&mut self, root: Node<'_, '_>) {
        for node in elements(root, "tagType") {
            if let (Some(name), Some(regexp)) = (node.attribute("name"), child(node, "regexp")) {
                self.types.insert(name.to_owned(), text_of(regexp));
            }
        }
        for node in elements(root, "callback") {
            if let Some(name) = node.attribute("name") {
                self.callbacks.insert(name.to_owned(), Action::of(&text_of(child(node, "code").unwrap_or(node))));
            }
        }
    }
}

/// A capture of a pattern.
struct Captured {
    capture: String,
    /// The tag that it gives.
    tag: String,
    action: Action,
    /// Its values are numbers.
    is_number: bool,
    /// It stands between quotes, where a quote is written as two.
    is_quoted: bool,
}

/// A pattern of ours.
struct Pattern {
    name: String,
    regex: String,
    matcher: Matcher,
    captures: Vec<Captured>,
    constants: BTreeMap<String, String>,
}

/// A line, and the values expected of it by tag.
struct Example {
    line: String,
    expected: Vec<(String, String)>,
}

impl Example {
    fn about(&self) -> String {
        format!("sample `{}`", self.line.chars().take(60).collect::<String>().escape_debug())
    }
}

struct Normalizer {
    family: String,
    description: String,
    patterns: Vec<Pattern>,
    examples: Vec<Example>,
    /// It reads a value that another normalizer found, and so may take nearly anything.
    is_value: bool,
    /// It reads the message of a syslog record.
    is_message: bool,
    /// What that record's program has to be.
    program: Option<String>,
    ignores_case: bool,
    is_unicode: bool,
    is_search: bool,
    /// A blank stands for any blanks and line ends.
    is_spaced: bool,
    is_trimmed: bool,
    notes: Vec<String>,
}

/// Tags that are called otherwise here.
const TAGS: &[(&str, &[&str])] = &[
    ("source_ip", &["client_ip"]),
    ("source_port", &["client_port"]),
    ("source_host", &["client_host"]),
    ("source_mac", &["client_mac"]),
    ("dest_ip", &["server_ip"]),
    ("dest_port", &["server_port"]),
    ("user", &["user_name"]),
    ("username", &["user_name"]),
    ("source", &["host"]),
    ("body", &["message"]),
    ("inbound_int", &["inbound_if"]),
    ("outbound_int", &["outbound_if"]),
    ("useragent", &["user_agent"]),
    ("len", &["bytes"]),
    ("filename", &["path"]),
    ("message_sender", &["sender"]),
    ("message_recipient", &["recipient"]),
    ("domain", &["query_name"]),
    ("class", &["query_class"]),
    ("url_path", &["path"]),
];

/// The table of each kind of event.
const TAXONOMY: &[(&str, &str)] = &[
    ("access control", "auth_log"),
    ("address assignation", "dhcp_log"),
    ("file transfer", "transfer_log"),
    ("firewall", "firewall_log"),
    ("mail", "mail_log"),
    ("name resolution", "dns_log"),
    ("web proxy", "proxy_log"),
    ("web server", "access_log"),
];

impl Normalizer {
    fn read(root: Node<'_, '_>, library: &Library) -> Self {
        let is = |name: &str, value: &str| root.attribute(name) == Some(value);
        let name = root.attribute("name").unwrap_or("unnamed");
        let english = child(root, "description")
            .and_then(|node| node.children().find(|node| node.attribute("language") == Some("en")))
            .map(text_of);
        let description = english.unwrap_or_else(|| format!("the normalizer `{name}` of pylogsparser"));
        let mut normalizer = Self {
            family: free_name(&format!("pylogsparser_{}", name.to_ascii_lowercase()), &mut BTreeSet::new()),
            description: description.split_whitespace().collect::<Vec<_>>().join(" "),
            patterns: vec![],
            examples: vec![],
            is_value: false,
            is_message: is("appliedTo", "body"),
            program: None,
            ignores_case: is("ignorecase", "yes"),
            is_unicode: is("unicode", "yes"),
            is_search: is("matchtype", "search"),
            is_spaced: is("expandWhitespaces", "yes"),
            is_trimmed: false,
            notes: vec![],
        };
        match root.attribute("appliedTo") {
            None | Some("raw" | "body") => {}
            Some(applied) => {
                normalizer.is_value = true;
                normalizer.notes.push(format!("it reads values of `{applied}`; here it reads whole lines, and decides nothing"));
            }
        }
        for (tag, value) in named_texts(root, "prereqTag") {
            let plain = value.replace(".+", "*").replace(".*", "*");
            if tag == "program" && normalizer.is_message && plain.trim_end_matches('*').chars().all(is_word) {
                normalizer.program = Some(plain);
            } else {
                normalizer.notes.push(format!("that `{tag}` is `{value}` is not asked for"));
            }
        }
        for callback in child(root, "finalCallbacks").into_iter().flat_map(|node| elements(node, "callback")) {
            let called = text_of(callback).trim().to_owned();
            match library.callbacks.get(&called) {
                Some(Action::Trim) => normalizer.is_trimmed = true,
                _ => normalizer.note_callback(&called),
            }
        }
        let own = |node| child(node, "commonTags").map_or_else(Vec::new, |tags| named_texts(tags, "commonTag"));
        let mut common: BTreeMap<String, String> = own(root).into_iter().collect();
        common.extend(
            root.attribute("taxonomy").filter(|text| !text.is_empty()).map(|text| ("taxonomy".to_owned(), text.to_owned())),
        );
        let mut patterns: Vec<Node<'_, '_>> = elements(root, "pattern").collect();
        patterns.sort_by_key(|pattern| pattern.attribute("name").unwrap_or_default().to_owned());
        let mut taken = BTreeSet::new();
        for pattern in patterns {
            let name = pattern.attribute("name").unwrap_or_default();
            let mut constants = common.clone();
            constants.extend(own(pattern));
            match normalizer.pattern(pattern, library, constants, &mut taken) {
                Ok(read) => normalizer.patterns.push(read),
                Err(error) => normalizer.notes.push(format!("pattern `{name}`: {error}")),
            }
            for example in elements(pattern, "example") {
                let line = child(example, "text").map(text_of).unwrap_or_default();
                let expected = named_texts(example, "expectedTag");
                normalizer.examples.push(Example { line: line.trim_end_matches('\n').to_owned(), expected });
            }
        }
        normalizer
    }

    fn note_callback(&mut self, name: &str) {
        let note = format!("the callback `{name}` is Python that is not known: what it sets is missing");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A pattern with captures in the place of its tags.
    fn pattern(
        &mut self,
        pattern: Node<'_, '_>,
        library: &Library,
        constants: BTreeMap<String, String>,
        taken: &mut BTreeSet<String>,
    ) -> Result<Pattern, String> {
        let name = pattern.attribute("name").unwrap_or_default();
        let written = child(pattern, "text").ok_or("it has no text")?;
        let mut tags: Vec<(String, Node<'_, '_>)> =
            elements(pattern, "tag").filter_map(|tag| Some((text_of(child(tag, "substitute")?), tag))).collect();
        // Each has a mark of its own, and one more in CSV.
        tags.truncate(MAX_TAGS);
        // The name of one tag may be a part of another's.
        tags.sort_by_key(|(substitute, _)| std::cmp::Reverse(substitute.len()));
        let mut text = text_of(written);
        for ((substitute, _), mark) in tags.iter().zip(FIRST_MARK..) {
            text = text.replacen(substitute.as_str(), &mark_of(mark), 1);
        }
        let mut left = vec![];
        let mut ours = |text: &str| {
            translate(text, Dialect::Pcre, Lookaround::Leave, &mut str::to_owned, &mut left).map_err(|error| error.message)
        };
        let separator = written.attribute("separator").unwrap_or(",");
        let is_csv = written.attribute("type") == Some("csv");
        let mut regex = match is_csv {
            true => csv(&text, separator, written.attribute("quotechar").unwrap_or("\"")),
            false if self.is_spaced => ours(&text.split_whitespace().collect::<Vec<_>>().join(r"\s+"))?,
            false => ours(&text)?,
        };
        let mut captures = vec![];
        let mut names = BTreeSet::new();
        for ((_, tag), mark) in tags.iter().zip(FIRST_MARK..) {
            let kind = tag.attribute("tagType").unwrap_or("Anything");
            let inner =
                ours(library.types.get(kind).map_or(".*", String::as_str)).map_err(|error| format!("`{kind}`: {error}"))?;
            let given = self.given(*tag, library);
            let is_number = ["Integer", "integer"].contains(&kind);
            // One group for each value that is made of the text. In CSV there is a second place for each, for the text between quotes.
            for place in 0..if is_csv { 2 } else { 1 } {
                let mark = mark_of(mark + if place == 1 { 0x1000 } else { 0 });
                if !regex.contains(&mark) {
                    continue;
                }
                let mut group = if is_csv { mark.clone() } else { format!("(?:{inner})") };
                // A part of the text stands inside of all that is made of the whole.
                for (tag, action) in &given {
                    let Action::Cut { front, back, begin, .. } = action else { continue };
                    let mut capture = || {
                        let capture = free_name(tag, &mut names);
                        let (tag, action) = (tag.clone(), action.clone());
                        captures.push(Captured { capture: capture.clone(), tag, action, is_number, is_quoted: false });
                        capture
                    };
                    if is_csv {
                        self.notes
                            .push(format!("pattern `{name}`: a part of a value in columns cannot be told: `{tag}` is missing"));
                    } else if !begin.is_empty() {
                        let behind = format!(".{{{back}}}").repeat(usize::from(*back > 0));
                        let begin = literal(begin);
                        group = format!("(?:(?i:{begin})(?<{}>.*?){behind}|(?<{}>{inner}))", capture(), capture());
                    } else if let Some([before, part, behind]) = cut(&inner, *front, *back) {
                        group = format!("{before}(?<{}>{part}){behind}", capture());
                    } else {
                        self.notes.push(format!("pattern `{name}`: a part of `{kind}` cannot be told: `{tag}` is missing"));
                    }
                    break;
                }
                for (tag, action) in given.iter().filter(|(_, action)| !matches!(action, Action::Cut { .. })) {
                    let capture = free_name(tag, &mut names);
                    group = format!("(?<{capture}>{group})");
                    captures.push(Captured {
                        capture,
                        tag: tag.clone(),
                        action: action.clone(),
                        is_number,
                        is_quoted: place == 1,
                    });
                }
                regex = regex.replacen(&mark, &group, 1);
            }
        }
        if is_csv {
            regex = csv_values(&regex, separator, written.attribute("quotechar").unwrap_or("\""));
        }
        let left: BTreeSet<String> = left.into_iter().collect();
        if !left.is_empty() {
            let left: Vec<String> = left.into_iter().collect();
            let note = format!("{} is left away; lines that it rules out are taken", left.join(" and "));
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        let regex = regex.trim_start_matches('^');
        let is_closed = regex.ends_with('$') && !regex.ends_with("\\$");
        let (regex, end) = match regex.strip_suffix('$').filter(|_| is_closed) {
            Some(text) => (text, ""),
            None if is_csv => (regex, ""),
            None => (regex, "(?s:.*)"),
        };
        let regex = as_bytes(regex, self.is_unicode);
        let case = if self.ignores_case { "(?i)" } else { "" };
        let search = if self.is_search { "(?s:.*?)" } else { "" };
        let regex = format!("{case}{search}(?:{regex}){end}");
        let matcher = Matcher::try_new(&regex).map_err(|error| error.to_string())?;
        let name = free_name(&format!("{}_{}", self.family, name.to_ascii_lowercase()), taken);
        Ok(Pattern { name, regex, matcher, captures, constants })
    }

    /// The tags that a tag's text gives, and how: its own, unless it is private, and those of its callbacks.
    fn given(&mut self, tag: Node<'_, '_>, library: &Library) -> Vec<(String, Action)> {
        let own = tag.attribute("name").unwrap_or_default();
        let mut given = vec![];
        if !own.starts_with("__") {
            given.push((own.to_owned(), Action::Copy { tag: own.to_owned() }));
        }
        for callback in child(tag, "callbacks").into_iter().flat_map(|node| elements(node, "callback")) {
            let called = text_of(callback).trim().to_owned();
            match library.callbacks.get(&called) {
                Some(action @ Action::Date) => given.push(("date".to_owned(), action.clone())),
                Some(
                    action @ (Action::Map { tag, .. } | Action::Lower { tag } | Action::Copy { tag } | Action::Cut { tag, .. }),
                ) => {
                    given.retain(|(known, _)| known != tag);
                    given.push((tag.clone(), action.clone()));
                }
                Some(Action::Number { tag }) => {
                    given.retain(|(known, _)| known != tag);
                    given.push((tag.clone(), Action::Copy { tag: tag.clone() }));
                    self.notes.push(format!("the callback `{called}` makes dates of numbers, which stay numbers"));
                }
                Some(action @ Action::Milliseconds { tag }) => given.push((tag.clone(), action.clone())),
                None | Some(Action::Trim | Action::Unknown) => self.note_callback(&called),
            }
        }
        given
    }

    /// The table that its records belong to.
    fn table(&self) -> &'static TableDef {
        let kinds: BTreeSet<&str> =
            self.patterns.iter().filter_map(|pattern| pattern.constants.get("taxonomy")).map(String::as_str).collect();
        let known = TAXONOMY.iter().find(|(kind, _)| kinds.contains(kind)).map_or("app_log", |(_, table)| table);
        table(known).expect("one of ours")
    }

    /// The definition, if there is one line that it is right on.
    fn write(&mut self, catalog: &Catalog) -> Option<String> {
        let table = self.table();
        let mut head = String::from("# From a normalizer of pylogsparser\n");
        let _ = writeln!(head, "name = {}\ntable = '{}'", quoted(&self.family), table.name);
        let _ = writeln!(head, "title = {}\nurl = 'https://pypi.org/project/pylogsparser/'", quoted(&self.description));
        let starts = self.starts();
        if !starts.is_empty() {
            let starts: Vec<&str> = starts.iter().map(String::as_str).collect();
            let _ = writeln!(head, "\n[records]\nstart = {}", quoted(&starts.join("|")));
        }
        for pattern in &self.patterns {
            let layouts = self.layouts(pattern);
            write_pattern(&mut head, pattern, table, &layouts, self.is_trimmed, None);
            if self.is_value {
                head += "catch_all = true\n";
            }
        }
        // The same inside of syslog, in whose messages they really are.
        for pattern in self.patterns.iter().filter(|_| self.is_message) {
            let layouts = self.layouts(pattern);
            write_pattern(&mut head, pattern, table, &layouts, self.is_trimmed, Some(self.program.as_deref()));
        }
        let mut notes = vec![];
        let mut samples: Vec<Sample<'_>> = vec![];
        for example in &self.examples {
            let about = example.about();
            let Some(pattern) = self.patterns.iter().find(|pattern| spans(&pattern.matcher, &example.line).is_some()) else {
                notes.push(format!("{about}: no pattern takes it"));
                continue;
            };
            let (mut expect, mut unset) = (vec![], vec![]);
            for (tag, value) in &example.expected {
                let captured = pattern.captures.iter().find(|captured| captured.tag == *tag);
                match captured.map(|captured| captured.is_number).or_else(|| pattern.constants.get(tag).map(|_| false)) {
                    Some(is_number) => expect.push((place(tag, is_number, table).0, expected_text(tag, value))),
                    None => unset.push(format!("`{tag}`")),
                }
            }
            if !unset.is_empty() {
                notes.push(format!("{about}: nothing sets {}", unset.join(", ")));
            }
            samples.push(Sample { example, pattern, expect });
        }
        // Only what comes out stays in the definition.
        let written: String = samples.iter().map(Sample::write).collect();
        match catalog.test("samples", &format!("{head}{written}")) {
            Err(error) if !samples.is_empty() => {
                notes.push(error.message);
                samples.clear();
            }
            Err(_) => {}
            Ok((_, failures)) => {
                for failure in failures {
                    let Some(index) = samples.iter().position(|sample| sample.example.line == failure.sample) else { continue };
                    let about = samples[index].example.about();
                    for (what, wanted, got) in &failure.differences {
                        notes.push(format!("{about}: {what}: expected {wanted}, got {got}"));
                    }
                    if failure.differences.iter().any(|(what, ..)| what == "pattern" || what == "rows") {
                        samples.remove(index);
                    } else {
                        samples[index].expect.retain(|(column, _)| failure.differences.iter().all(|(what, ..)| what != column));
                    }
                }
            }
        }
        let written: String = samples.iter().map(Sample::write).collect();
        let has_values = samples.iter().any(|sample| !sample.expect.is_empty());
        drop(samples);
        self.notes.append(&mut notes);
        if !has_values {
            self.notes.push("no value of its samples comes out: no definition is made".to_owned());
            return None;
        }
        Some(head + &written)
    }

    /// What first lines of records look like, where records have several: as much of a pattern as the first lines of its samples have.
    fn starts(&self) -> BTreeSet<String> {
        if !self.is_spaced || self.examples.iter().all(|example| !example.line.contains('\n')) {
            return BTreeSet::new();
        }
        let first = |example: &Example| example.line.trim_start().lines().next().unwrap_or_default().to_owned();
        let mut starts = BTreeSet::new();
        for pattern in &self.patterns {
            let own = self.examples.iter().filter(|example| spans(&pattern.matcher, &example.line).is_some());
            let lines: Vec<String> = own.map(first).collect();
            let regex = unnamed(&pattern.regex.trim_end_matches("(?s:.*)").replace("(?s:.*?)", r"\s*"));
            // What has no sample begins with its first title.
            let cuts = regex.match_indices(r"\s+").map(|(at, _)| at).chain([regex.len()]);
            let heads = cuts.map(|at| format!("{}{}", &regex[..at], ")".repeat(open_groups(&regex[..at]))));
            let titled = |head: &String| !lines.is_empty() || head.trim_end_matches(')').ends_with(':');
            let fits = |head: &String| {
                let whole = Matcher::try_new(&format!("{head}(?s:.*)"));
                whole.is_ok_and(|matcher| lines.iter().all(|line| spans(&matcher, line).is_some()))
            };
            let mut fitting = heads.filter(|head| titled(head) && fits(head));
            starts.extend(if lines.is_empty() { fitting.next() } else { fitting.last() });
        }
        starts
    }

    /// The layouts that read the dates of the samples, by capture.
    fn layouts(&self, pattern: &Pattern) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for example in &self.examples {
            // A date that one pattern reads, the others have in the same layout.
            for other in &self.patterns {
                let Some(spans) = spans(&other.matcher, &example.line) else { continue };
                for captured in other.captures.iter().filter(|captured| captured.action == Action::Date) {
                    let slot = other.matcher.captures().iter().position(|name| **name == *captured.capture);
                    let Some(stamp) = slot.and_then(|slot| spans[slot].of(example.line.as_bytes())) else { continue };
                    let Some((name, _)) =
                        Layout::NAMES.iter().find(|(_, layout)| !layout.lacks_day() && layout.parse(stamp).is_some())
                    else {
                        continue;
                    };
                    for own in pattern.captures.iter().filter(|own| own.action == Action::Date) {
                        let layouts = found.entry(own.capture.clone()).or_default();
                        if !layouts.contains(name) {
                            layouts.push(name);
                        }
                    }
                }
            }
        }
        let written = |layouts: Vec<&str>| layouts.iter().map(|layout| format!("'{layout}'")).collect::<Vec<_>>().join(", ");
        found.into_iter().map(|(capture, layouts)| (capture, written(layouts))).collect()
    }
}

/// The expression for bytes: a dot is no line feed, and words have letters that are no ASCII, too.
fn as_bytes(regex: &str, is_unicode: bool) -> String {
    let mut wide = String::with_capacity(regex.len());
    let (mut is_class, mut is_escaped) = (false, false);
    for c in regex.chars() {
        match c {
            '.' if !is_escaped && !is_class => wide += r"[^\n]",
            c if !is_unicode => wide.push(c),
            'w' if is_escaped && is_class => wide += r"w\x80-\xff",
            'w' if is_escaped => {
                wide.pop();
                wide += r"[\w\x80-\xff]";
            }
            c => wide.push(c),
        }
        is_class = if is_escaped { is_class } else { c == '[' || (is_class && c != ']') };
        is_escaped = !is_escaped && c == '\\';
    }
    wide
}

/// The expression's text in front of a part, that part, and the text behind it, where these are as long as they should be and plain.
fn cut(regex: &str, front: usize, back: usize) -> Option<[String; 3]> {
    let is_plain = |text: &str| {
        text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '"' | '\'' | '<' | '>' | '=' | ':' | '-' | '/'))
    };
    let alternatives: Vec<&str> = if regex.contains(['(', '[', '\\']) { vec![regex] } else { regex.split('|').collect() };
    if alternatives.len() == 1 && regex.contains('|') {
        return None;
    }
    let mut parts = vec![];
    let mut around: Option<(&str, &str)> = None;
    for alternative in alternatives {
        let begin = alternative.char_indices().nth(front).map(|(at, _)| at)?;
        let end = match back.checked_sub(1) {
            Some(last) => alternative.char_indices().rev().nth(last)?.0,
            None => alternative.len(),
        };
        let (before, rest) = (alternative.get(..begin)?, alternative.get(begin..end)?);
        let behind = &alternative[end..];
        // What is repeated is not there once.
        let is_whole = is_plain(before) && is_plain(behind) && !rest.starts_with(['*', '+', '?', '{']);
        if !is_whole || around.is_some_and(|around| around != (before, behind)) {
            return None;
        }
        around = Some((before, behind));
        parts.push(rest);
    }
    let (before, behind) = around?;
    Some([literal(before), format!("(?:{})", parts.join("|")), literal(behind)])
}

/// How many groups of an expression are not closed.
fn open_groups(regex: &str) -> usize {
    let (mut open, mut is_class, mut is_escaped) = (0usize, false, false);
    for c in regex.chars() {
        match c {
            '(' if !is_escaped && !is_class => open += 1,
            ')' if !is_escaped && !is_class => open = open.saturating_sub(1),
            _ => {}
        }
        is_class = if is_escaped { is_class } else { c == '[' || (is_class && c != ']') };
        is_escaped = !is_escaped && c == '\\';
    }
    open
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/')
}

fn mark_of(mark: u32) -> String {
    char::from_u32(mark).unwrap_or('\u{F0000}').to_string()
}

/// The columns of a CSV line, each as it is between quotes and without; both have the tag's mark, the first one moved.
fn csv(text: &str, separator: &str, quote: &str) -> String {
    let field = |field: &str| {
        let mark = field.trim().chars().next().map(u32::from).filter(|mark| *mark >= FIRST_MARK);
        let marks = mark.map_or([String::new(), String::new()], |mark| [mark_of(mark + 0x1000), mark_of(mark)]);
        let [quoted, plain] = marks;
        let quote = literal(quote);
        format!("(?:{quote}{quoted}\u{FFFF0}{quote}|{plain}\u{FFFF1})")
    };
    text.split(separator).map(field).collect::<Vec<_>>().join(&literal(separator))
}

/// The same, with the groups of the captures around the values, which are still marks.
fn csv_values(regex: &str, separator: &str, quote: &str) -> String {
    let (separator, quote) = (literal(separator), literal(quote));
    let between = format!("(?:[^{quote}]|{quote}{quote})*");
    let plain = format!("(?:[^{separator}{quote}][^{separator}]*)?");
    let mut out = String::new();
    let mut is_done = false;
    for c in regex.chars() {
        let is_quoted = (FIRST_MARK + 0x1000..FIRST_MARK + 0x2000).contains(&u32::from(c));
        match c {
            '\u{FFFF0}' | '\u{FFFF1}' if is_done => is_done = false,
            '\u{FFFF0}' => out += &between,
            '\u{FFFF1}' => out += &plain,
            _ if u32::from(c) >= FIRST_MARK => {
                out += if is_quoted { &between } else { &plain };
                is_done = true;
            }
            c => out.push(c),
        }
    }
    out
}

/// Where a tag goes, and the type of that.
fn place(tag: &str, is_number: bool, table: &TableDef) -> (String, &'static str) {
    let renamed = TAGS.iter().find(|(known, _)| *known == tag).map_or(&[][..], |(_, columns)| columns);
    for name in std::iter::once(&tag).chain(renamed) {
        let Some(index) = table.column(name) else { continue };
        match table.columns[index].kind {
            ColumnType::Text => return ((*name).to_owned(), "text"),
            ColumnType::UInt16 | ColumnType::UInt64 if is_number => return ((*name).to_owned(), "integer"),
            _ => {}
        }
    }
    if tag == "date" { ("time".to_owned(), "time") } else { (format!("fields.{tag}"), "text") }
}

/// `within` is for the messages of syslog, with the program that they have to be of.
fn write_pattern(
    text: &mut String,
    pattern: &Pattern,
    table: &TableDef,
    layouts: &BTreeMap<String, String>,
    is_trimmed: bool,
    within: Option<Option<&str>>,
) {
    let name = if within.is_some() { format!("{}_message", pattern.name) } else { pattern.name.clone() };
    let _ = writeln!(text, "\n[[pattern]]\nname = {}\nregex = {}", quoted(&name), quoted(&pattern.regex));
    if let Some(program) = within {
        *text += "within = 'syslog'\n";
        if let Some(program) = program {
            let _ = writeln!(text, "requires = {{ program = {} }}", quoted(program));
        }
    }
    let mut meant = vec![];
    for Captured { capture, tag, action, is_number, is_quoted } in &pattern.captures {
        let (column, kind) = place(tag, *is_number, table);
        let column = quoted(&column);
        let trim = match (is_trimmed, is_quoted) {
            (_, true) => ", unescape = 'csv'",
            (true, false) => ", trim = true",
            (false, false) => "",
        };
        meant.push(match action {
            Action::Date => match layouts.get(capture) {
                Some(layouts) => format!("{capture} = {{ type = 'time', column = 'time', layout = [{layouts}] }}"),
                None => format!("{capture} = {{ column = 'fields.date' }}"),
            },
            Action::Map { map, other, .. } => {
                let mut seen = BTreeSet::new();
                let pairs = map.iter().filter(|(from, _)| seen.insert(from));
                let pairs: Vec<String> =
                    pairs.map(|(from, to)| format!("{} = {}", toml::Value::String(from.clone()), quoted(to))).collect();
                let other = match other {
                    Other::Same => String::new(),
                    Other::Text(text) => format!(", other = {}", quoted(text)),
                    Other::Nothing => ", other = ''".to_owned(),
                };
                format!("{capture} = {{ column = {column}, map = {{ {} }}{other}{trim} }}", pairs.join(", "))
            }
            Action::Milliseconds { .. } if table.column("duration_ms").is_some() => {
                format!("{capture} = {{ type = 'duration', unit = 'ms', column = 'duration_ms' }}")
            }
            Action::Lower { .. } => format!("{capture} = {{ column = {column}, lower = true{trim} }}"),
            _ if kind == "text" => format!("{capture} = {{ column = {column}{trim} }}"),
            _ => format!("{capture} = {{ type = '{kind}', column = {column} }}"),
        });
    }
    let _ = writeln!(text, "capture = {{ {} }}", meant.join(", "));
    let constants = pattern.constants.iter().filter(|(tag, _)| pattern.captures.iter().all(|captured| captured.tag != **tag));
    let constants: Vec<String> = constants
        .map(|(tag, value)| format!("{} = {}", toml::Value::String(place(tag, false, table).0), quoted(value)))
        .collect();
    if !constants.is_empty() {
        let _ = writeln!(text, "constant = {{ {} }}", constants.join(", "));
    }
}

/// A line, the pattern that takes it, and what its columns should be.
struct Sample<'a> {
    example: &'a Example,
    pattern: &'a Pattern,
    expect: Vec<(String, String)>,
}

impl Sample<'_> {
    fn write(&self) -> String {
        let pairs: Vec<String> = self
            .expect
            .iter()
            .map(|(column, value)| format!("{} = {}", toml::Value::String(column.clone()), quoted(value)))
            .collect();
        format!(
            "\n[[sample]]\nline = {}\npattern = {}\nreference = '2012-06-30T00:00:00Z'\nexpect = {{ {} }}\n",
            quoted(&self.example.line),
            quoted(&self.pattern.name),
            pairs.join(", ")
        )
    }
}

/// A date is expected as Python shows it.
fn expected_text(tag: &str, value: &str) -> String {
    if tag == "date" { format!("{}Z", value.trim().replacen(' ', "T", 1)) } else { value.to_owned() }
}

/// The expression without the names of its groups.
fn unnamed(regex: &str) -> String {
    let parts = regex.split("(?<").enumerate().map(|(at, part)| match part.split_once('>') {
        Some((_, rest)) if at > 0 => format!("(?:{rest}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

fn spans(matcher: &Matcher, line: &str) -> Option<Vec<Span>> {
    let mut slots = vec![Span::NONE; matcher.captures().len()];
    matcher.find(line.as_bytes(), &mut slots, &mut Scratch::default()).ok()?;
    Some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMALIZER: &str = r#"<?xml version="1.0"?><!DOCTYPE normalizer SYSTEM "normalizer.dtd">
        <normalizer name="door" version="1" ignorecase="yes" matchtype="match" appliedTo="body" taxonomy="access control">
        <tagTypes><tagType name="Act" type="basestring"><regexp>Opened|Closed</regexp></tagType></tagTypes>
        <callbacks><callback name="act">log['action'] = {'Opened' : 'open'}.get(value, 'shut')</callback>
        <callback name="odd">log['odd'] = odd(value)</callback></callbacks>
        <prerequisites><prereqTag name="program">doord.*</prereqTag></prerequisites>
        <patterns><pattern name="door-1"><text>ACTION by USER from IP(?: \(NOTE\))?</text><tags>
          <tag name="__action" tagType="Act"><substitute>ACTION</substitute><callbacks><callback>act</callback></callbacks></tag>
          <tag name="user" tagType="Anything"><substitute>USER</substitute></tag>
          <tag name="source_ip" tagType="Anything"><substitute>IP</substitute></tag>
          <tag name="__note" tagType="Anything"><substitute>NOTE</substitute><callbacks><callback>odd</callback></callbacks></tag></tags>
          <commonTags><commonTag name="kind">door</commonTag></commonTags>
          <examples><example><text>opened by bob from 192.0.2.7</text><expectedTags><expectedTag name="user">bob</expectedTag>
          <expectedTag name="kind">door</expectedTag><expectedTag name="taxonomy">access control</expectedTag></expectedTags></example>
          <example><text>Closed by al from x (y)</text><expectedTags><expectedTag name="action">shut</expectedTag><expectedTag name="odd">z</expectedTag></expectedTags></example>
          </examples></pattern></patterns></normalizer>"#;

    fn import(text: &str) -> Imported {
        let mut imported = Imported::default();
        imported.pylogsparser(&Catalog::builtin(), &ConfigFile { path: "/n/door.xml".to_owned(), text: text.to_owned() }, &[]);
        imported
    }

    #[test]
    fn normalizers_become_definitions_and_what_they_lack_is_named() {
        let imported = import(NORMALIZER);
        assert_eq!(
            imported.notes,
            [
                "/n/door.xml: the callback `odd` is Python that is not known: what it sets is missing",
                "/n/door.xml: sample `Closed by al from x (y)`: nothing sets `odd`",
            ]
        );
        let mut catalog = Catalog::builtin();
        let text = &imported.made[0].text;
        catalog.add("x", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let format = catalog.format("pylogsparser_door").expect("added");
        assert_eq!((format.table.name, format.samples().len()), ("auth_log", 2));
        assert_eq!(format.samples()[1].expect, [("action".to_owned(), Some("shut".to_owned()))]);
        assert!(text.contains("requires = { program = 'doord*' }") && text.contains("other = 'shut'"), "{text}");
    }

    #[test]
    fn values_in_columns_and_over_several_lines_are_read() {
        let csv = r#"<normalizer name="c" ignorecase="no" appliedTo="raw"><callbacks/><patterns><pattern name="1"><text type="csv" separator="," quotechar='"'>A,B, C</text>
          <tags><tag name="a" tagType="Anything"><substitute>A</substitute></tag><tag name="c" tagType="Anything"><substitute>C</substitute></tag></tags>
          <examples><example><text>"x, ""y""",2,z "q"</text><expectedTags><expectedTag name="a">x, "y"</expectedTag><expectedTag name="c">z "q"</expectedTag></expectedTags></example></examples>
          </pattern></patterns></normalizer>"#;
        let imported = import(csv);
        assert_eq!((imported.notes, imported.made.len()), (vec![], 1));
        let spaced = r#"<normalizer name="s" appliedTo="raw" expandWhitespaces="yes"><callbacks><callback name="strip">for t in log:
          log[t] = log[t].strip()</callback></callbacks><tagTypes><tagType name="Anything"><regexp>[^\n]*</regexp></tagType></tagTypes>
          <patterns><pattern name="1"><text>Door opened: Who: A Key: B</text>
          <tags><tag name="a" tagType="Anything"><substitute>A</substitute></tag><tag name="b" tagType="Anything"><substitute>B</substitute></tag></tags>
          <examples><example><text>Door opened:
  Who: al b  
  Key: 7 </text><expectedTags><expectedTag name="a">al b</expectedTag><expectedTag name="b">7</expectedTag></expectedTags></example></examples>
          </pattern></patterns><finalCallbacks><callback>strip</callback></finalCallbacks></normalizer>"#;
        let imported = import(spaced);
        assert_eq!((imported.notes, imported.made.len()), (vec![], 1));
    }

    #[test]
    fn a_hostile_file_is_a_note() {
        let mut entities = String::from("<!ENTITY a \"aaaaaaaaaa\">");
        for (name, inner) in ('b'..='h').zip('a'..) {
            entities += &format!("<!ENTITY {name} \"{}\">", format!("&{inner};").repeat(8));
        }
        let bomb = format!("<!DOCTYPE a [{entities}]><normalizer>&h;</normalizer>");
        for text in ["<normalizer", &bomb, "<a/>", "", "<normalizer/>", &"<a>".repeat(100_000)] {
            assert!(import(text).made.is_empty());
        }
    }
}
