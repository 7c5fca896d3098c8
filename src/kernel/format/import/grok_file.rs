//! Named patterns, as Logstash reads them: `NAME regular expression`, one per line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::example::example;
use super::{Catalog, ConfigFile, Imported, free_name, quoted};
use crate::format::notation::{Grok, Lookaround, whole_grok};
use crate::table::table;

/// Patterns of a file at most.
const MAX_PATTERNS: usize = 2000;
/// Bytes of a pattern at most.
const MAX_BYTES: usize = 16 << 10;

impl Imported {
    /// Makes a definition of a file of patterns: those that no other one names, and that have fields, are layouts of lines.
    pub fn grok(&mut self, catalog: &Catalog, file: &ConfigFile) {
        let mut patterns: BTreeMap<&str, &str> = BTreeMap::new();
        for (number, line) in file.text.lines().enumerate() {
            let line = line.trim_end();
            if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            match line.trim_start().split_once(char::is_whitespace) {
                Some((name, pattern)) if pattern.len() <= MAX_BYTES && patterns.len() < MAX_PATTERNS => {
                    patterns.insert(name, pattern.trim_start());
                }
                _ => self.notes.push(format!("{}:{}: is no `NAME pattern`, or too long", file.path, number + 1)),
            }
        }
        let named: BTreeSet<&str> =
            patterns.iter().flat_map(|(own, text)| references(text).filter(|name| *name != *own)).collect();
        let custom = |name: &str| patterns.get(name).map(|pattern| (*pattern).to_owned());
        let stem = file.path.rsplit('/').next().unwrap_or_default();
        let mut taken = BTreeSet::new();
        let mut made = 0;
        for (pattern_name, _) in patterns.iter().filter(|(name, _)| !named.contains(*name)) {
            let about = format!("{}: `{pattern_name}`", file.path);
            let grok = match whole_grok(&format!("%{{{pattern_name}}}"), &custom, Lookaround::Leave) {
                Ok(grok) => grok,
                Err(error) => {
                    self.notes.push(format!("{about}: {}", error.message));
                    continue;
                }
            };
            if grok.fields.is_empty() {
                continue;
            }
            self.notes
                .extend(grok.left.iter().map(|left| format!("{about}: {left} is left away; lines that it rules out are taken")));
            let name = free_name(&format!("{}_{pattern_name}", stem.split('.').next().unwrap_or_default()), &mut taken);
            let Some(line) = example(&grok.regex) else {
                self.notes.push(format!("{about}: there is no line that it takes"));
                continue;
            };
            let text = definition(&name, pattern_name, file, &grok, &line, &patterns, &custom);
            made += usize::from(self.add(catalog, &about, name, text));
        }
        if made > 0 {
            self.notes.push(format!("{}: the samples are made up: put a line of a log in their place", file.path));
        } else {
            self.notes
                .push(format!("{}: no pattern is a layout of lines: none has fields and is named by no other one", file.path));
        }
    }
}

/// The patterns that a text names.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("%{").skip(1).filter_map(|rest| rest.split(['}', ':']).next())
}

/// The table that has most of the fields; of two, the first.
fn table_for(grok: &Grok) -> &'static str {
    let has = |name: &str| grok.fields.iter().any(|field| field.field == name);
    let counts = ["app_log", "access_log", "firewall_log", "mail_log", "database_log"].map(|name| {
        let known = |field: &str| table(name).is_some_and(|table| table.column(field).is_some() || table.alias(field).is_some());
        (grok.fields.iter().filter(|field| known(&field.field)).count(), name)
    });
    // A message of a program is what most lines are.
    if has("message") && !has("verb") && !has("src_ip") {
        return "app_log";
    }
    counts.iter().rev().max_by_key(|(count, _)| *count).map_or("app_log", |(_, name)| name)
}

fn definition(
    name: &str,
    pattern: &str,
    file: &ConfigFile,
    grok: &Grok,
    line: &str,
    patterns: &BTreeMap<&str, &str>,
    custom: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut text = format!("# From the pattern {pattern} of {}\n", file.path.replace(|c: char| c.is_control(), "?"));
    text += "# The sample is made up: put a line of a log in its place, with the values expected of it.\n";
    let url = "https://www.elastic.co/docs/reference/logstash/plugins/plugins-filters-grok";
    let _ = writeln!(text, "name = {}\ntable = '{}'", quoted(name), table_for(grok));
    let _ = writeln!(text, "title = {}\nurl = '{url}'\n\n[patterns]", quoted(&format!("Grok: the pattern {pattern}")));
    // Only what it needs.
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let mut waiting = vec![pattern];
    while let Some((name, body)) = waiting.pop().and_then(|name| patterns.get_key_value(name)) {
        if needed.insert(name) {
            waiting.extend(references(body).filter(|name| patterns.contains_key(name)));
        }
    }
    for name in needed {
        let body = custom(name).unwrap_or_default();
        let plain = without_lookaround(&body);
        let _ = writeln!(text, "{} = {}", toml::Value::String(name.to_owned()), quoted(&plain));
    }
    let _ = writeln!(text, "\n[[pattern]]\nname = {}\ngrok = '%{{{pattern}}}'", quoted(name));
    let _ = writeln!(text, "\n[[sample]]\nline = {}\npattern = {}", quoted(line), quoted(name));
    text
}

/// The pattern without what looks ahead or behind: what names other patterns stays as it is.
fn without_lookaround(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some(at) = ["(?=", "(?!", "(?<=", "(?<!"].iter().filter_map(|look| rest.find(look)).min() {
        out += &rest[..at];
        let mut depth = 0;
        let mut is_escaped = false;
        let mut is_class = false;
        let end = rest[at..].char_indices().find_map(|(index, c)| {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '[' => is_class = true,
                ']' => is_class = false,
                '(' if !is_class => depth += 1,
                ')' if !is_class => depth -= 1,
                _ => {}
            }
            (depth == 0 && c == ')').then_some(at + index + 1)
        });
        out += "(?:)";
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_nobody_names_become_definitions() {
        let text = "# a comment\nSHOPID [A-Z]{2}\\d+\nSHOPLINE %{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:level} (?<![0-9])%{SHOPID:order} %{GREEDYDATA:message}\nbroken\nLOOP %{LOOP:x}\n";
        let file = ConfigFile { path: "/p/shop.patterns".to_owned(), text: text.to_owned() };
        let mut imported = Imported::default();
        let catalog = Catalog::builtin();
        imported.grok(&catalog, &file);
        assert_eq!(imported.made.len(), 1, "{:?}", imported.notes);
        let made = &imported.made[0];
        assert_eq!(made.name, "shop_shopline");
        let mut catalog = catalog.clone();
        catalog.add("x", &made.text).unwrap_or_else(|error| panic!("{error}\n{}", made.text));
        assert_eq!(catalog.format("shop_shopline").unwrap().table.name, "app_log");
        let expected = [
            "/p/shop.patterns:4: is no `NAME pattern`, or too long",
            "/p/shop.patterns: `LOOP`: patterns are nested deeper than 24",
            "/p/shop.patterns: `SHOPLINE`: `(?<![0-9])` is left away; lines that it rules out are taken",
            "/p/shop.patterns: the samples are made up: put a line of a log in their place",
        ];
        assert_eq!(imported.notes, expected);
    }
}
