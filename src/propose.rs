//! Proposes a definition for lines that no format takes: what to begin with, not to end with.
//!
//! ```text
//!   lines ──► stamp: which layout, where ──► head: what stands at the same place in all lines ──► message: its templates
//!                                                 brackets, levels, `name:`, key=            constants and variables
//!                                                                         │
//!             definition with samples ◄── values read back by the decoder that scans files ◄┘
//! ```
//!
//! A head is what all lines have alike; where they begin to differ in form, the message begins. Its most frequent templates
//! ([`variables`]) become patterns of their own, whose variables are columns or `fields`. What is left is looked at again, a few times.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use crate::function::template::variables;
use crate::kernel::decode::time::Layout;
use crate::kernel::format::{Catalog, DefinitionError};
use crate::kernel::table::TableDef;
use crate::settings::quoted;

/// Lines that are looked at for a stamp.
const VOTERS: usize = 200;
/// Places of a line at which a stamp may begin, and how long one is at most.
const STAMP_STARTS: usize = 8;
const STAMP_BYTES: usize = 45;
/// Tokens that a head may have.
const HEAD_TOKENS: usize = 8;
/// Tokens that a line of nothing but fields may have.
const ROW_TOKENS: usize = 40;
/// Patterns for templates of messages, and how many lines one needs.
const TEMPLATES: usize = 8;
const TEMPLATE_LINES: usize = 3;
/// How often what is left is looked at.
const ROUNDS: usize = 4;
/// Samples of a pattern.
const SAMPLES: usize = 2;

const LEVELS: [&str; 24] = [
    "trace",
    "debug",
    "verbose",
    "info",
    "information",
    "notice",
    "warn",
    "warning",
    "error",
    "err",
    "severe",
    "crit",
    "critical",
    "fatal",
    "alert",
    "emerg",
    "emergency",
    "panic",
    "fine",
    "finer",
    "finest",
    "config",
    "success",
    "failure",
];

/// A definition, and what it is worth.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The file.
    pub text: String,
    /// Lines that its patterns take or join.
    pub taken: usize,
}

/// One pattern.
struct Shape {
    name: String,
    regex: String,
    compiled: Regex,
    captures: Vec<String>,
    types: BTreeMap<String, String>,
    /// How many lines it took.
    lines: usize,
    samples: Vec<String>,
}

/// Proposes a definition of this name that feeds this table. `reference` is the time of the file, for stamps without a year.
pub fn propose(
    name: &str,
    table: &TableDef,
    lines: &[String],
    reference: Timestamp,
    catalog: &Catalog,
) -> Result<Proposal, DefinitionError> {
    let stamp = Stamps::of(lines);
    // Where records begin with a stamp and many lines have none, those belong to the record before them.
    let begins = stamp.as_ref().filter(|stamp| stamp.has < lines.len()).and_then(|stamp| stamp.begin_of(lines, table));
    let begins = begins.and_then(|regex| Some((Regex::new(&format!("^(?:{regex})")).ok()?, regex)));
    let heads: Vec<&String> = match &begins {
        Some((regex, _)) => lines.iter().filter(|line| regex.is_match(line)).collect(),
        None => lines.iter().collect(),
    };
    let mut records: Vec<(&String, String)> = vec![];
    if let Some((regex, _)) = &begins {
        for line in lines {
            match records.last_mut() {
                Some((_, text)) if !regex.is_match(line) => *text += &format!("\n{line}"),
                _ => records.push((line, line.clone())),
            }
        }
    }
    let mut shapes: Vec<Shape> = vec![];
    let mut left = heads;
    for round in 0..ROUNDS {
        if left.is_empty() {
            break;
        }
        let before = left.len();
        for mut shape in shapes_of(name, round, table, &left) {
            let (taken, others): (Vec<&String>, Vec<&String>) = left.iter().partition(|line| shape.compiled.is_match(line));
            if taken.is_empty() {
                continue;
            }
            shape.lines = taken.len();
            // The first, and one from the middle.
            shape.samples =
                taken.iter().step_by((taken.len() / SAMPLES).max(1)).take(SAMPLES).map(|line| (*line).clone()).collect();
            // A record of several lines, too.
            let long = records.iter().find(|(head, text)| text.len() > head.len() && taken.contains(head));
            shape.samples.extend(long.map(|(_, text)| text.clone()));
            shape.samples.dedup();
            if begins.is_some() {
                shape.captures.push("stack".to_owned());
            }
            shapes.push(shape);
            left = others;
        }
        if left.len() == before {
            break;
        }
    }
    let joined = begins.as_ref().map_or(0, |(regex, _)| lines.iter().filter(|line| !regex.is_match(line)).count());
    let taken = shapes.iter().map(|shape| shape.lines).sum::<usize>() + joined;
    let start = begins.map(|(_, regex)| regex);
    let write = |values: &dyn Fn(&str, &str) -> Option<Option<String>>| {
        definition(name, table, &shapes, start.as_deref(), reference, taken, lines.len(), values)
    };
    // Nothing is expected that nothing can be: so the decoder says what there is.
    let probe = "\u{1}";
    let text = write(&|_, _| Some(Some(probe.to_owned())));
    let (_, failures) = catalog.test(name, &text)?;
    let mut got: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for failure in failures {
        for (column, _, value) in failure.differences {
            let value = value.strip_prefix('`').and_then(|value| value.strip_suffix('`')).map(str::to_owned);
            got.insert((failure.sample.clone(), column), value);
        }
    }
    let text = write(&|line, column| got.get(&(line.to_owned(), column.to_owned())).cloned());
    let (_, failures) = catalog.test(name, &text)?;
    if failures.is_empty() {
        return Ok(Proposal { text, taken });
    }
    // What the decoder takes in another way than the lines were sorted here is no example of its pattern.
    for shape in &mut shapes {
        shape.samples.retain(|line| failures.iter().all(|failure| failure.sample != *line));
    }
    let values = |line: &str, column: &str| got.get(&(line.to_owned(), column.to_owned())).cloned();
    let text = definition(name, table, &shapes, start.as_deref(), reference, taken, lines.len(), &values);
    Ok(Proposal { text, taken })
}

/// The patterns that lines ask for, best first.
fn shapes_of(name: &str, round: usize, table: &TableDef, lines: &[&String]) -> Vec<Shape> {
    let owned: Vec<String> = lines.iter().map(|line| (*line).clone()).collect();
    let stamp = Stamps::of(&owned);
    let mut names = Names::default();
    let mut head = String::new();
    let mut types = BTreeMap::new();
    let mut rests: Vec<&str> = vec![];
    match &stamp {
        Some(stamp) => {
            let found = lines.iter().filter_map(|line| Some((*line, stamp.find(line)?)));
            let (before, behind): (Vec<&str>, Vec<&str>) = found.map(|(line, at)| (&line[..at.start], &line[at.end..])).unzip();
            head += &lead(&before, &mut names, &mut types, table).unwrap_or_else(|| ".*?".to_owned());
            head += &format!("(?<{}>{})", names.take("time"), stamp.regex);
            types.insert("time".to_owned(), format!("type = \"time\", layout = {}", quoted(stamp.name)));
            rests = behind;
        }
        None => rests.extend(lines.iter().map(|line| line.as_str())),
    }
    let columns = Columns::of(&rests);
    for column in &columns.head {
        column.write(&mut head, &mut names, &mut types, table, columns.is_all);
    }
    let base = if round == 0 { name.to_owned() } else { format!("{name}_{}", round + 1) };
    let make = |name: String, regex: String, names: &Names, types: &BTreeMap<String, String>| {
        let compiled = Regex::new(&format!("^(?:{regex})$")).ok()?;
        Some(Shape { name, regex, compiled, captures: names.0.clone(), types: types.clone(), lines: 0, samples: vec![] })
    };
    if columns.is_all {
        return make(base, head, &names, &types).into_iter().collect();
    }
    let gap = if columns.head.is_empty() && stamp.is_none() { "" } else { "[ \\t]*" };
    let messages: Vec<&str> = columns.tails.iter().map(|tail| tail.trim_start()).collect();
    let mut shapes = vec![];
    for (at, members) in templates(&messages).into_iter().enumerate() {
        let (mut own_names, mut own_types) = (names.clone(), types.clone());
        own_names.take("message");
        let inside = template_regex(&members, &mut own_names, &mut own_types, table);
        shapes.extend(make(
            format!("{base}_message_{}", at + 1),
            format!("{head}{gap}(?<message>{inside})"),
            &own_names,
            &own_types,
        ));
    }
    names.take("message");
    shapes.extend(make(base, format!("{head}{gap}(?<message>.*)"), &names, &types));
    shapes
}

/// What takes the texts before the stamps, if they are alike.
fn lead(before: &[&str], names: &mut Names, types: &mut BTreeMap<String, String>, table: &TableDef) -> Option<String> {
    let first = before.first()?;
    if before.iter().all(|text| text == first) {
        return Some(regex::escape(first));
    }
    let (columns, tails) = Columns::alike(before);
    let end = tails.first()?;
    if !tails.iter().all(|tail| tail == end && tail.trim().is_empty()) {
        return None;
    }
    let mut regex = String::new();
    for column in &columns {
        column.write(&mut regex, names, types, table, false);
    }
    Some(regex + &regex::escape(end))
}

/// Names of captures, each once.
#[derive(Clone, Default)]
struct Names(Vec<String>);

impl Names {
    fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while self.0.contains(&name) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        self.0.push(name.clone());
        name
    }
}

/// Where the stamp of most lines is, and how it is written.
struct Stamps {
    layout: Layout,
    name: &'static str,
    /// Which place of a line it begins at.
    start: usize,
    /// Lines that have it.
    has: usize,
    regex: String,
}

impl Stamps {
    fn of(lines: &[String]) -> Option<Self> {
        let mut votes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for line in lines.iter().take(VOTERS) {
            for (start, at) in starts(line).into_iter().enumerate() {
                for (index, (_, layout)) in Layout::NAMES.iter().enumerate().filter(|(_, (_, layout))| !layout.lacks_day()) {
                    if stamp_at(line, at, *layout).is_some() {
                        *votes.entry((start, index)).or_default() += 1;
                    }
                }
            }
        }
        let voters = lines.len().min(VOTERS);
        // Most lines; among equals the leftmost, and the layout that takes the longest text of the first line.
        let best = votes.values().max().copied().filter(|most| most * 2 >= voters)?;
        let ((start, index), _) = votes.iter().filter(|(_, count)| **count == best).max_by_key(|((start, index), _)| {
            let length =
                lines.iter().find_map(|line| Some(stamp_at(line, *starts(line).get(*start)?, Layout::NAMES[*index].1)?.len()));
            (std::cmp::Reverse(*start), length)
        })?;
        let (name, layout) = Layout::NAMES[*index];
        let mut found = Self { layout, name, start: *start, has: 0, regex: String::new() };
        let mut forms: Vec<String> = vec![];
        for line in lines {
            let Some(at) = found.find(line) else { continue };
            found.has += 1;
            let form = form_of(&line[at]);
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        // Longest first, so that a fraction is not left to the message.
        forms.sort_by_key(|form| (std::cmp::Reverse(form.len()), form.clone()));
        found.regex = match (layout, forms.as_slice()) {
            (Layout::Syslog, _) if forms.iter().all(|form| form.len() < 60) => {
                let tail = if forms.iter().any(|form| form.contains("\\d\\d\\d\\d")) { "(?: \\d\\d\\d\\d)?" } else { "" };
                format!("[A-Z][a-z][a-z] [ \\d]\\d{tail} \\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?")
            }
            (_, [one]) => one.clone(),
            (_, few) if few.len() <= 4 => few.join("|"),
            (_, many) => loose(&many[0]),
        };
        Some(found)
    }

    /// What records begin with, if all of them begin alike.
    fn begin_of(&self, lines: &[String], table: &TableDef) -> Option<String> {
        let before: Vec<&str> = lines.iter().filter_map(|line| Some(&line[..self.find(line)?.start])).collect();
        let mut names = Names::default();
        let mut lead = lead(&before, &mut names, &mut BTreeMap::new(), table)?;
        for name in names.0 {
            lead = lead.replace(&format!("(?<{name}>"), "(?:");
        }
        Some(format!("{lead}(?:{})", self.regex))
    }

    fn find(&self, line: &str) -> Option<Range<usize>> {
        stamp_at(line, *starts(line).get(self.start)?, self.layout)
    }
}

/// Where a stamp may begin: with the line, and behind what words stand behind.
fn starts(line: &str) -> Vec<usize> {
    let bytes = line.as_bytes();
    let begins = |at: &usize| bytes[*at].is_ascii_alphanumeric() || bytes[*at] == b'@';
    // Not inside of a word, a number, a path or another stamp.
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b".:-/+_\\".contains(&byte);
    let behind = |at: &usize| *at == 0 || !goes_on(bytes[*at - 1]);
    (0..bytes.len().min(200)).filter(|at| behind(at) && begins(at)).take(STAMP_STARTS).collect()
}

/// The longest stamp of this layout that begins here.
fn stamp_at(line: &str, at: usize, layout: Layout) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let most = bytes.len().min(at + STAMP_BYTES);
    let ends = |end: &usize| *end == bytes.len() || b" ]|,\t\")>;:!}'".contains(&bytes[*end]);
    // A time has a clock or is a number of seconds: ten figures at least.
    (at + 8..=most).rev().filter(ends).find(|end| layout.parse(&bytes[at..*end]).is_some()).map(|end| at..end)
}

/// A stamp with its figures and letters as classes.
fn form_of(text: &str) -> String {
    let mut form = String::new();
    let mut letters = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_alphabetic() {
            letters += 1;
            if chars.peek().is_some_and(char::is_ascii_alphabetic) {
                continue;
            }
            form += &if letters == 1 { c.to_string() } else { "[A-Za-z]+".to_owned() };
            letters = 0;
        } else if c.is_ascii_digit() {
            form += "\\d";
        } else {
            form += &regex::escape(&c.to_string());
        }
    }
    form
}

/// Runs of figures of any length.
fn loose(form: &str) -> String {
    let mut out = String::new();
    let mut rest = form;
    while let Some(at) = rest.find("\\d") {
        out += &rest[..at];
        out += "\\d+";
        rest = rest[at..].trim_start_matches("\\d");
    }
    out + rest
}

/// How a token is marked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Plain,
    Within(char, char),
}

/// A token, and what stands before and behind it.
#[derive(Clone, Debug)]
struct Token<'a> {
    gap: &'a str,
    mark: Mark,
    text: &'a str,
    /// `:` or `,` behind it.
    suffix: &'a str,
    /// All that is behind it.
    rest: &'a str,
}

fn next_token(text: &str) -> Option<Token<'_>> {
    let content = text.trim_start_matches([' ', '\t']);
    let gap = &text[..text.len() - content.len()];
    let first = content.chars().next()?;
    let pairs = [('[', ']'), ('(', ')'), ('"', '"'), ('<', '>')];
    if let Some((open, close)) = pairs.into_iter().find(|(open, _)| *open == first)
        && let Some(end) = content[1..].find(close)
    {
        let (inner, rest) = (&content[1..=end], &content[end + 2..]);
        let suffix = suffix_at_start(rest);
        return Some(Token { gap, mark: Mark::Within(open, close), text: inner, suffix, rest: &rest[suffix.len()..] });
    }
    let end = content.find([' ', '\t', '|']).unwrap_or(content.len());
    // A `|` parts fields.
    let end = if end == 0 { 1 } else { end };
    let word = &content[..end];
    let bare = word.trim_end_matches([':', ',', ';']);
    // Nothing but signs is a word of its own.
    let bare = if bare.is_empty() { word } else { bare };
    Some(Token { gap, mark: Mark::Plain, text: bare, suffix: &word[bare.len()..], rest: &content[end..] })
}

fn suffix_at_start(rest: &str) -> &str {
    let end = rest.find(|c| !matches!(c, ':' | ',' | ';')).unwrap_or(rest.len());
    &rest[..end]
}

/// What stands at one place of all lines.
struct Column<'a> {
    tokens: Vec<Token<'a>>,
}

/// The head of lines, and what is behind it.
struct Columns<'a> {
    head: Vec<Column<'a>>,
    tails: Vec<&'a str>,
    /// There is nothing behind it.
    is_all: bool,
}

impl<'a> Columns<'a> {
    /// The tokens that all texts have alike, and what is behind them.
    fn alike(rests: &[&'a str]) -> (Vec<Column<'a>>, Vec<&'a str>) {
        let mut found: Vec<Column<'a>> = vec![];
        let mut tails = rests.to_vec();
        while found.len() < ROW_TOKENS {
            let tokens: Vec<Token<'a>> = tails.iter().filter_map(|tail| next_token(tail)).collect();
            if tokens.is_empty() {
                break;
            }
            let like = |token: &Token<'_>| token.mark == tokens[0].mark && token.suffix == tokens[0].suffix;
            if tokens.len() < tails.len() || !tokens.iter().all(like) {
                break;
            }
            tails = tokens.iter().map(|token| token.rest).collect();
            found.push(Column { tokens });
        }
        (found, tails)
    }

    fn of(rests: &[&'a str]) -> Self {
        let (mut found, tails) = Self::alike(rests);
        let is_all = !found.is_empty() && tails.iter().all(|tail| next_token(tail).is_none());
        // Where most of it is the same in all lines, it is one message rather than fields.
        let telling = found.iter().filter(|column| column.is_marked() || !column.is_constant()).count();
        if is_all && telling >= 3 && telling * 2 >= found.len() && rests.len() >= 3 {
            return Self { head: found, tails, is_all: true };
        }
        // The head ends with the last place that is marked off; words behind it belong to the message.
        let marked = found.iter().take(HEAD_TOKENS).rposition(Column::is_marked).map_or(0, |last| last + 1);
        found.truncate(marked);
        let tails = found.last().map_or_else(|| rests.to_vec(), |last| last.tokens.iter().map(|token| token.rest).collect());
        Self { head: found, tails, is_all: false }
    }
}

impl Column<'_> {
    fn all(&self, is: impl Fn(&str) -> bool) -> bool {
        self.tokens.iter().all(|token| is(token.text))
    }

    fn is_level(&self) -> bool {
        self.all(|text| LEVELS.contains(&text.to_ascii_lowercase().as_str()))
    }

    fn is_signs(&self) -> bool {
        self.all(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_punctuation()))
    }

    /// `key=` before each value.
    fn key(&self) -> Option<&str> {
        let (key, _) = self.tokens.first()?.text.split_once('=')?;
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        let has = |text: &str| text.split_once('=').is_some_and(|(other, value)| other == key && !value.starts_with('"'));
        (is_key && self.all(has)).then_some(key)
    }

    fn is_constant(&self) -> bool {
        self.all(|text| text == self.tokens[0].text)
    }

    fn is_marked(&self) -> bool {
        let first = &self.tokens[0];
        let is_boxed = matches!(first.mark, Mark::Within('[' | '<', _));
        is_boxed || !first.suffix.is_empty() || self.is_level() || self.is_signs() || self.key().is_some()
    }

    /// Writes what takes it. In a row of fields a word that never changes is text; in front of a message it is a value that did not change yet.
    fn write(&self, out: &mut String, names: &mut Names, types: &mut BTreeMap<String, String>, table: &TableDef, is_row: bool) {
        let first = &self.tokens[0];
        let is_one_gap = self.tokens.iter().all(|token| token.gap == first.gap);
        *out += &if is_one_gap { regex::escape(first.gap) } else { "[ \\t]*".to_owned() };
        let (open, close) = match first.mark {
            Mark::Within(open, close) => (regex::escape(&open.to_string()), regex::escape(&close.to_string())),
            Mark::Plain => (String::new(), String::new()),
        };
        *out += &open;
        if self.is_constant()
            && (self.is_signs() || (is_row && first.mark == Mark::Plain && !self.is_level() && self.key().is_none()))
        {
            *out += &regex::escape(first.text);
        } else if let Some(key) = self.key() {
            *out += &regex::escape(&format!("{key}="));
            let name = names.take(&name_of(key));
            *out += &format!("(?<{name}>[^ |]*)");
        } else if let Some(()) = self.all(is_process).then_some(()) {
            let (program, pid) = (names.take("program"), names.take("pid"));
            if table.column(&pid).is_some() {
                types.insert(pid.clone(), "type = \"integer\"".to_owned());
            }
            *out += &format!("(?<{program}>[^ \\[\\]]+)\\[(?<{pid}>\\d+)\\]");
        } else {
            let (name, regex, kind) = self.value(table);
            let name = names.take(name);
            if let Some(kind) = kind.filter(|_| table.column(&name).is_some()) {
                types.insert(name.clone(), format!("type = \"{kind}\""));
            }
            *out += &format!("(?<{name}>{regex})");
        }
        *out += &close;
        *out += &regex::escape(first.suffix);
    }

    /// Its name, what takes it, and its type.
    fn value(&self, table: &TableDef) -> (&'static str, String, Option<&'static str>) {
        let first = &self.tokens[0];
        let any = match first.mark {
            Mark::Within(_, close) => format!("[^{}]*", regex::escape(&close.to_string())),
            Mark::Plain if first.suffix.is_empty() => "[^ |]+".to_owned(),
            Mark::Plain => format!("[^ |{}]+", regex::escape(&first.suffix[..1])),
        };
        let is_boxed = first.mark != Mark::Plain;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_path = |text: &str| text.contains('.') || text.contains("::") || text.contains('/');
        let address = |text: &str| text.parse::<std::net::IpAddr>().is_ok() || text == "-";
        if self.is_level() {
            ("level", "[A-Za-z]+".to_owned(), None)
        } else if self.all(address) && !self.all(|text| text == "-") {
            ("client_ip", "[0-9A-Fa-f.:-]+".to_owned(), Some("ip"))
        } else if self.all(is_number) {
            (
                if is_boxed { "pid" } else { "number" },
                "\\d+".to_owned(),
                Some("integer").filter(|_| is_boxed && table.column("pid").is_some()),
            )
        } else if first.mark == Mark::Within('"', '"') {
            ("text", any, None)
        } else if is_boxed && self.all(|text| text.contains('-') || text == "main") {
            ("thread", any, None)
        } else if is_boxed || (!first.suffix.is_empty() && self.all(is_path)) {
            ("logger", any, None)
        } else if !first.suffix.is_empty() {
            ("program", any, None)
        } else if self.all(|text| text == first.text) {
            ("host", any, None)
        } else {
            ("word", any, None)
        }
    }
}

/// `sshd[123]`
fn is_process(text: &str) -> bool {
    text.strip_suffix(']')
        .and_then(|text| text.split_once('['))
        .is_some_and(|(name, pid)| !name.is_empty() && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A key as the name of a capture.
fn name_of(key: &str) -> String {
    let name: String = key.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("key_{}", name.trim_start_matches('_')) }
}

/// The most frequent templates that say something and have variables, with their messages.
fn templates<'a>(messages: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut groups: BTreeMap<String, Vec<&'a str>> = BTreeMap::new();
    for message in messages {
        let mut key = String::new();
        let mut done = 0;
        for (range, mark) in parts(message) {
            key += &message[done..range.start];
            key += &mark;
            done = range.end;
        }
        key += &message[done..];
        groups.entry(key).or_default().push(message);
    }
    let least = TEMPLATE_LINES.max(messages.len() / 50);
    let mut groups: Vec<Vec<&str>> = groups
        .into_iter()
        .filter(|(key, members)| {
            let constant: usize = key.split('<').map(|part| part.rsplit('>').next().unwrap_or(part)).map(letters).sum();
            members.len() >= least && constant >= 5 && !parts(members[0]).is_empty()
        })
        .map(|(_, members)| members)
        .collect();
    groups.sort_by_key(|members| std::cmp::Reverse(members.len()));
    groups.truncate(TEMPLATES);
    groups
}

/// The variables of a message, each with what stands for it in a template: `<=KEY>` for the value of a key.
fn parts(message: &str) -> Vec<(Range<usize>, Cow<'static, str>)> {
    static KEYS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[ ,;(\[{])([A-Za-z_][A-Za-z0-9_.-]*)=([^ ,;()\[\]{}<>]+)").expect("a regular expression of ours")
    });
    let of_key = |found: regex::Captures<'_>| {
        let (_, [key, value]) = found.extract();
        let quoted = value.starts_with(['"', '\'']);
        let range = found.get(2).expect("the expression has two groups").range();
        (!quoted).then(|| (range, Cow::from(format!("<={key}>"))))
    };
    let mut parts: Vec<(Range<usize>, Cow<'static, str>)> = KEYS.captures_iter(message).filter_map(of_key).collect();
    let apart = |range: &Range<usize>, other: &Range<usize>| range.end <= other.start || other.end <= range.start;
    let others = variables(message).into_iter().filter(|(range, _)| parts.iter().all(|(other, _)| apart(range, other)));
    let others: Vec<_> = others.map(|(range, mark)| (range, Cow::from(mark))).collect();
    parts.extend(others);
    parts.sort_by_key(|(range, _)| range.start);
    parts
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

/// What takes the messages of one template.
fn template_regex(members: &[&str], names: &mut Names, types: &mut BTreeMap<String, String>, table: &TableDef) -> String {
    let message = members[0];
    let mut out = String::new();
    let mut done = 0;
    for (range, mark) in parts(message) {
        out += &regex::escape(&message[done..range.start]);
        done = range.end;
        if let Some(key) = mark.strip_prefix("<=").and_then(|key| key.strip_suffix('>')) {
            let name = names.take(&name_of(key));
            out += &format!("(?<{name}>[^ \\n,;()\\[\\]{{}}<>]+)");
            continue;
        }
        let (wanted, taking) = match &*mark {
            "<ip>" => ("client_ip", "[0-9A-Fa-f.:]+".to_owned()),
            "<num>" => ("number", "[0-9][0-9.:]*".to_owned()),
            "<hex>" => ("hex", "[0-9A-Za-z]+".to_owned()),
            "<str>" => {
                let quote = message[..range.start].chars().last().unwrap_or('"');
                ("text", format!("[^{}]+", regex::escape(&quote.to_string())))
            }
            "<path>" => ("path", "[^ ]+".to_owned()),
            "<url>" => ("url", "[^ ]+".to_owned()),
            "<email>" => ("email", "[^ ]+".to_owned()),
            "<uuid>" => ("uuid", "[0-9A-Fa-f-]+".to_owned()),
            "<mac>" => ("mac", "[0-9A-Fa-f:-]+".to_owned()),
            _ => ("moment", "[^ ]+".to_owned()),
        };
        let name = names.take(wanted);
        if mark == "<ip>" && table.column(&name).is_some() {
            types.insert(name.clone(), "type = \"ip\"".to_owned());
        }
        out += &format!("(?<{name}>{taking})");
    }
    out + &regex::escape(&message[done..])
}

/// The definition as text. `values` has what the columns of a sample are worth: `None` if that is not known.
#[expect(clippy::too_many_arguments, reason = "the parts of one page, used in one place")]
fn definition(
    name: &str,
    table: &TableDef,
    shapes: &[Shape],
    start: Option<&str>,
    reference: Timestamp,
    taken: usize,
    lines: usize,
    values: &dyn Fn(&str, &str) -> Option<Option<String>>,
) -> String {
    let mut text = format!(
        "# Proposed by `logsql format new` from {lines} lines, of which it takes {taken}. Names are guesses: rename captures to columns of `{}`\n\
         # (`\\d {}` in the REPL lists them); what is no column goes to `fields`. Then run `logsql format test` on this file.\n\n\
         name = {}\ntable = {}\ntitle = {}\nurl = \"\"\n",
        table.name,
        table.name,
        quoted(name),
        quoted(table.name),
        quoted(&format!("{name} (proposed)"))
    );
    if let Some(start) = start {
        text +=
            &format!("\n# Lines that begin otherwise belong to the record before them.\n[records]\nstart = {}\n", literal(start));
    }
    for shape in shapes {
        let mut regex = shape.regex.clone();
        if start.is_some() {
            // In a definition a dot takes line ends, too.
            regex = regex.replace("[^ |", "[^ |\\n").replace("(?<message>.*)", "(?<message>[^\\n]*)") + "(?:\\n(?<stack>.*))?";
        }
        let noun = if shape.lines == 1 { "line" } else { "lines" };
        text +=
            &format!("\n# {} {noun}\n[[pattern]]\nname = {}\nregex = {}\n", shape.lines, quoted(&shape.name), literal(&regex));
        if !shape.types.is_empty() {
            let types: Vec<String> = shape.types.iter().map(|(name, kind)| format!("{name} = {{ {kind} }}")).collect();
            text += &format!("capture = {{ {} }}\n", types.join(", "));
        }
    }
    for shape in shapes {
        for line in &shape.samples {
            let (mut expect, mut null) = (vec![], vec![]);
            for capture in &shape.captures {
                let column = if table.column(capture).is_some() { capture.clone() } else { format!("fields.{capture}") };
                let key = if column.contains('.') { quoted(&column) } else { column.clone() };
                match values(line, &column) {
                    Some(Some(value)) => expect.push(format!("{key} = {}", value_of(&value))),
                    Some(None) => null.push(quoted(&column)),
                    None => {}
                }
            }
            text += &format!(
                "\n[[sample]]\nline = {}\npattern = {}\nreference = {}\n",
                literal(line),
                quoted(&shape.name),
                quoted(&reference.to_string())
            );
            text += &format!("expect = {{ {} }}\n", expect.join(", "));
            if !null.is_empty() {
                text += &format!("null = [{}]\n", null.join(", "));
            }
        }
    }
    text
}

/// A value as TOML has it: numbers without quotes.
fn value_of(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_number { text.to_owned() } else { quoted(text) }
}

/// A text without escapes, where that can be.
fn literal(text: &str) -> String {
    let is_plain = !text.contains("'''")
        && !text.ends_with('\'')
        && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n'))
        && !text.starts_with('\n');
    if is_plain { format!("'''{text}'''") } else { quoted(text) }
}
