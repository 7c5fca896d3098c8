//! lnav's formats: JSON, with regular expressions or the keys of JSON lines, and samples.
//!
//! Reference: <https://docs.lnav.org/en/latest/formats.html>.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Catalog, ConfigFile, Imported, free_name, quoted};
use crate::decode::time::Layout;
use crate::format::notation::{Dialect, Lookaround, translate};
use crate::scan::{Matcher, Scratch, Span};
use crate::table::{ColumnType, TableDef, table};

/// Patterns and samples of a format at most.
const MAX_PATTERNS: usize = 200;

impl Imported {
    /// Makes a definition of each format of the file.
    pub fn lnav(&mut self, catalog: &Catalog, file: &ConfigFile) {
        let value: Value = match serde_json::from_str(&file.text) {
            Ok(value) => value,
            Err(error) => return self.notes.push(format!("{}: {error}", file.path)),
        };
        let mut taken = BTreeSet::new();
        for (name, format) in value.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('$')) {
            let Some(format) = format.as_object() else { continue };
            let about = format!("{}: `{name}`", file.path);
            let family = free_name(&format!("lnav_{name}"), &mut taken);
            let mut draft = Draft { name: family, about, format, notes: vec![] };
            let text = draft.write();
            let Draft { name, about, notes, .. } = draft;
            self.notes.extend(notes);
            if let Some(text) = text {
                self.add(catalog, &about, name, text);
            }
        }
    }
}

struct Draft<'a> {
    name: String,
    about: String,
    format: &'a Map<String, Value>,
    notes: Vec<String>,
}

/// A pattern of ours.
struct Pattern {
    name: String,
    regex: String,
    matcher: Matcher,
}

impl Draft<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.format.get(key)?.as_str()
    }

    fn note(&mut self, text: &str) {
        let note = format!("{}: {text}", self.about);
        self.notes.push(note);
    }

    fn write(&mut self) -> Option<String> {
        for key in ["converter", "search-table", "highlights", "partitions", "level", "opid", "tags", "action"] {
            if self.format.contains_key(key) {
                self.note(&format!("`{key}` is not carried over"));
            }
        }
        let is_json = self.format.get("json").and_then(Value::as_bool) == Some(true) || self.text("file-type") == Some("json");
        let lines: Vec<String> = self
            .format
            .get("sample")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|sample| sample.get("line")?.as_str())
            .take(MAX_PATTERNS)
            .map(|line| line.trim_end_matches('\n').to_owned())
            .collect();
        if is_json { self.write_json(&lines) } else { self.write_text(&lines) }
    }

    fn head(&self, table: &str) -> String {
        let title = self.text("title").or_else(|| self.text("description")).unwrap_or("a format of lnav");
        let url = self.format.get("url").and_then(|url| url.as_str().or_else(|| url.get(0)?.as_str()));
        let mut text = String::from("# From a format of lnav\n");
        let _ = writeln!(text, "name = {}\ntable = '{table}'", quoted(&self.name));
        let url = url.unwrap_or("https://docs.lnav.org/en/latest/formats.html");
        let _ = writeln!(text, "title = {}\nurl = {}", quoted(&title.replace('\n', " ")), quoted(url));
        text
    }

    fn write_text(&mut self, lines: &[String]) -> Option<String> {
        let mut patterns = vec![];
        let regexes = self.format.get("regex").and_then(Value::as_object).into_iter().flatten();
        for (name, pattern) in regexes.take(MAX_PATTERNS) {
            let Some(text) = pattern.get("pattern").and_then(Value::as_str) else { continue };
            let mut left = vec![];
            let trimmed = text.trim_start_matches('^');
            let trimmed = trimmed.strip_suffix('$').filter(|text| !text.ends_with('\\')).unwrap_or(trimmed);
            let mut seen = BTreeSet::new();
            let mut rename = |name: &str| free_name(name, &mut seen);
            let regex = match translate(trimmed, Dialect::Pcre, Lookaround::Leave, &mut rename, &mut left) {
                Ok(regex) => regex,
                Err(error) => {
                    self.note(&format!("pattern `{name}`: {}", error.message));
                    continue;
                }
            };
            for left in left {
                self.note(&format!("pattern `{name}`: {left} is left away; lines that it rules out are taken"));
            }
            match Matcher::try_new(&regex) {
                Ok(matcher) => patterns.push(Pattern {
                    name: free_name(&format!("{}_{name}", self.name), &mut BTreeSet::new()),
                    regex,
                    matcher,
                }),
                Err(error) => self.note(&format!("pattern `{name}`: {error}")),
            }
        }
        if patterns.is_empty() {
            self.note("no pattern could be carried over");
            return None;
        }
        let names: BTreeSet<&str> = patterns.iter().flat_map(|pattern| pattern.matcher.captures()).map(|name| &**name).collect();
        let table = table_for(&names);
        let mut text = self.head(table.name);
        let body = self.text("body-field").unwrap_or("body").to_owned();
        let body = body.as_str();
        if lines.iter().any(|line| line.contains('\n')) {
            match start(&patterns, body) {
                Some(start) => {
                    let _ = writeln!(text, "\n[records]\nstart = {}", quoted(&start));
                }
                None => self.note("records of several lines: what their first line looks like is not told; see `records.start`"),
            }
        }
        // What each capture means; a value that two columns could have, the first one has.
        let time = self.text("timestamp-field").unwrap_or("timestamp").to_owned();
        let mut columns = BTreeSet::new();
        text += "\n[capture]\n";
        for name in &names {
            let meant = if *name == time {
                self.layouts(&patterns, lines, name)
                    .map(|layouts| format!("type = 'time', layout = [{}], column = 'time'", layouts.join(", ")))
            } else {
                self.column(name, body, table)
                    .filter(|(column, _)| columns.insert(*column))
                    .map(|(column, kind)| format!("type = '{kind}', column = '{column}'"))
            };
            let meant = meant.unwrap_or_else(|| format!("column = {}", quoted(&format!("fields.{name}"))));
            let _ = writeln!(text, "{name} = {{ {meant} }}");
        }
        for pattern in &patterns {
            let _ = writeln!(text, "\n[[pattern]]\nname = {}\nregex = {}", quoted(&pattern.name), quoted(&pattern.regex));
        }
        let mut samples = 0;
        for line in lines {
            let taken = patterns.iter().find(|pattern| spans(&pattern.matcher, line).is_some());
            match taken {
                Some(pattern) => {
                    samples += 1;
                    let _ = writeln!(text, "\n[[sample]]\nline = {}\npattern = {}", quoted(line), quoted(&pattern.name));
                }
                None => self.note(&format!("no pattern takes the sample `{}`", line.escape_debug())),
            }
        }
        if samples == 0 {
            self.note("it has no sample that a pattern takes");
            return None;
        }
        Some(text)
    }

    /// The layouts that read the stamps of the samples.
    fn layouts(&mut self, patterns: &[Pattern], lines: &[String], capture: &str) -> Option<Vec<String>> {
        let mut layouts: Vec<String> = vec![];
        let mut missed = None;
        for line in lines {
            for pattern in patterns {
                let Some(spans) = spans(&pattern.matcher, line) else { continue };
                let slot = pattern.matcher.captures().iter().position(|name| **name == *capture);
                let Some(stamp) = slot.and_then(|slot| spans[slot].of(line.as_bytes())) else { continue };
                match Layout::NAMES.iter().find(|(_, layout)| !layout.lacks_day() && layout.parse(stamp).is_some()) {
                    Some((name, _)) if layouts.iter().any(|known| known.trim_matches('\'') == *name) => {}
                    Some((name, _)) => layouts.push(format!("'{name}'")),
                    None => missed = Some(String::from_utf8_lossy(stamp).into_owned()),
                }
            }
        }
        if let Some(stamp) = missed {
            self.note(&format!("the time `{}` has no layout of ours", stamp.escape_debug()));
        }
        (!layouts.is_empty()).then_some(layouts)
    }

    /// The column of a value, and its type.
    fn column<'a>(&self, name: &str, body: &str, table: &'a TableDef) -> Option<(&'a str, &'static str)> {
        let level = self.text("level-field").unwrap_or("level");
        let wanted = if name == body {
            "message"
        } else if name == level {
            "level"
        } else {
            name
        };
        let known = |name: &str| table.column(name).map(|index| &table.columns[index]);
        let own = known(wanted);
        let column = own.or_else(|| known(name)).or_else(|| known(table.alias(name)?))?;
        let kind = match column.kind {
            ColumnType::Text if column.name.ends_with("_ip") => "ip",
            ColumnType::Text if column.name == "url" => "url",
            ColumnType::Text => "text",
            ColumnType::UInt16 | ColumnType::UInt64 => "integer",
            // Another name does not tell the unit.
            ColumnType::Float64 if own.is_some() => "float",
            _ => return None,
        };
        Some((column.name, kind))
    }

    fn write_json(&mut self, lines: &[String]) -> Option<String> {
        let time = self.text("timestamp-field").unwrap_or("timestamp").replace('/', ".");
        let level = self.text("level-field").map(|field| field.replace('/', "."));
        let body = self.text("body-field").unwrap_or("body").replace('/', ".");
        let app_log = table("app_log")?;
        let mut text = self.head(app_log.name);
        let mut paths = vec![format!("time = {}", quoted(&time)), format!("message = {}", quoted(&body))];
        paths.extend(level.map(|level| format!("level = {}", quoted(&level))));
        let mut taken: BTreeSet<String> = [time.clone(), body.clone()].into();
        for name in
            self.format.get("value").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.replace('/', "."))
        {
            let column = app_log.column(&name).map(|index| app_log.columns[index]);
            let fits =
                column.is_some_and(|column| column.kind == ColumnType::Text && !["message", "level"].contains(&column.name));
            if fits && taken.insert(name.clone()) {
                paths.push(format!("{name} = {}", quoted(&name)));
            }
        }
        let mut layouts: Vec<String> = vec![];
        for line in lines {
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            let found = time.split('.').try_fold(&value, |value, key| value.get(key));
            let stamp = found.map(|stamp| stamp.as_str().map_or_else(|| stamp.to_string(), str::to_owned));
            let Some(stamp) = stamp else { continue };
            let layout = Layout::NAMES.iter().find(|(_, layout)| !layout.lacks_day() && layout.parse(stamp.as_bytes()).is_some());
            layouts.extend(layout.map(|(name, _)| format!("'{name}'")));
        }
        layouts.sort();
        layouts.dedup();
        if layouts.is_empty() {
            layouts = vec!["'rfc3339'".to_owned(), "'epoch'".to_owned()];
        }
        let _ = writeln!(text, "\n[capture]\ntime = {{ type = 'time', layout = [{}] }}", layouts.join(", "));
        let _ = writeln!(text, "\n[[pattern]]\nname = {}\njson = {{ {} }}", quoted(&self.name), paths.join(", "));
        let _ = writeln!(text, "has = {{ time = true }}");
        let mut samples = 0;
        for line in lines.iter().filter(|line| !line.contains('\n')) {
            samples += 1;
            let _ = writeln!(text, "\n[[sample]]\nline = {}\npattern = {}", quoted(line), quoted(&self.name));
        }
        if samples == 0 {
            self.note("it has no sample of one line");
            return None;
        }
        Some(text)
    }
}

fn spans(matcher: &Matcher, line: &str) -> Option<Vec<Span>> {
    let mut slots = vec![Span::NONE; matcher.captures().len()];
    matcher.find(line.as_bytes(), &mut slots, &mut Scratch::default()).ok()?;
    Some(slots)
}

/// What the first line of a record looks like: all up to its text.
fn start(patterns: &[Pattern], body: &str) -> Option<String> {
    let heads = patterns.iter().map(|pattern| {
        let head = &pattern.regex[..pattern.regex.find(&format!("(?<{body}>"))?];
        // Inside of a group it is no expression of its own.
        Matcher::try_new(head).ok()?;
        let plain = head.split("(?<").enumerate().map(|(at, part)| match part.split_once('>') {
            Some((_, rest)) if at > 0 => format!("(?:{rest}"),
            _ => part.to_owned(),
        });
        Some(format!("(?:{})", plain.collect::<String>()))
    });
    Some(heads.collect::<Option<Vec<String>>>()?.join("|"))
}

/// The table that records with such values belong to.
fn table_for(names: &BTreeSet<&str>) -> &'static TableDef {
    let has = |known: &[&str]| known.iter().any(|name| names.contains(name));
    let name = if has(&["cs_method", "cs_uri_stem", "sc_status", "request_method", "http_status"]) {
        "access_log"
    } else if has(&["log_procname", "syslog_version", "log_hostname"]) && has(&["body"]) {
        "syslog"
    } else {
        "app_log"
    };
    table(name).expect("one of ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_become_definitions_and_what_they_lack_is_named() {
        let text = r#"{ "$schema": "x",
          "shop_log": { "title": "Shop", "url": "https://example.org/shop", "level-field": "level", "level": {"error": "E"},
            "regex": { "std": { "pattern": "^(?<timestamp>\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2})(?!x) (?<level>\\w+) \\[(?<thread>[^\\]]+)\\]\\h(?<order>\\d+) (?<body>.*)$" } },
            "value": { "order": { "kind": "integer" } },
            "sample": [ { "line": "2026-11-21T00:55:04 WARN [main] 17 sold\nout" } ] },
          "json_log": { "json": true, "timestamp-field": "t", "level-field": "l", "body-field": "m/text", "sample": [ { "line": "{\"t\":\"2026-11-21T00:55:04Z\",\"l\":\"warn\",\"m\":{\"text\":\"x\"}}" } ] },
          "web_log": { "regex": { "a": { "pattern": "^(?<c_ip>\\S+) (?<cs_method>\\w+) (?<cs_uri_stem>\\S+) (?<sc_status>\\d+)$" } }, "sample": [ { "line": "::1 GET /a 404" } ] },
          "bad_log": { "regex": { "a": { "pattern": "(a)\\1" } } } }"#;
        let mut imported = Imported::default();
        let mut catalog = Catalog::builtin();
        imported.lnav(&catalog, &ConfigFile { path: "/l/shop.json".to_owned(), text: text.to_owned() });
        let names: Vec<&str> = imported.made.iter().map(|made| made.name.as_str()).collect();
        assert_eq!(names, ["lnav_json_log", "lnav_shop_log", "lnav_web_log"], "{:?}", imported.notes);
        for made in &imported.made {
            catalog.add("x", &made.text).unwrap_or_else(|error| panic!("{error}\n{}", made.text));
        }
        assert_eq!(catalog.format("lnav_web_log").unwrap().table.name, "access_log");
        let expected = [
            "/l/shop.json: `bad_log`: pattern `a`: `\\1` refers to another group, which a linear engine cannot at byte 6 of the pattern",
            "/l/shop.json: `bad_log`: no pattern could be carried over",
            "/l/shop.json: `shop_log`: `level` is not carried over",
            "/l/shop.json: `shop_log`: pattern `std`: `(?!x)` is left away; lines that it rules out are taken",
        ];
        let mut notes = imported.notes.clone();
        notes.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(notes, expected);
        let shop = catalog.format("lnav_shop_log").unwrap();
        assert!(shop.text.contains("layout = ['rfc3339']") && shop.text.contains("start = "), "{}", shop.text);
    }
}
