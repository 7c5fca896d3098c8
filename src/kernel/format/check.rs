//! From what a definition says to what it means; and the proof by its samples.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, TimestampMicrosecondType, UInt16Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use toml::Spanned;

use super::definition::{BacktrackDef, CaptureDef, FormatDef, HasDef, OneOrMany, PatternDef, SampleDef};
use super::expand::{ExpandError, Expanded};
use super::library::library;
use super::nearest::nearest;
use super::notation::{self, Grok, Lookaround, typed};
use super::screen::Screen;
use super::trees;
use super::{
    Address, Catalog, Compiled, DefinitionError, Extract, Feed, Format, Part, Pattern, Sample, Screens, Source, Take, TextRule,
    Unescape,
};
use crate::decode::time::Layout;
use crate::decode::{DecodeOptions, LogDecoder, Piece, ScanPlan, ScanPlanArgs};
use crate::scan::{Keyed, Matcher, PatternError, Syntax, Test, ValueType, Ways};
use crate::table::{ColumnType, TableDef, table, tables};

/// Paths of a pattern at most, and keys of a path.
const MAX_KEYS: usize = 250;
const MAX_PATH_KEYS: usize = 8;

/// A definition's text, for turning places in it into line and column.
struct Origin<'a> {
    name: &'a str,
    text: &'a str,
}

impl Origin<'_> {
    /// Number of the line that holds the byte at `at`, from 1.
    fn line(&self, at: usize) -> usize {
        memchr::memchr_iter(b'\n', self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes())).count() + 1
    }

    fn error(&self, span: &Range<usize>, message: impl Into<String>, hint: Option<String>) -> DefinitionError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        DefinitionError {
            origin: self.name.to_owned(),
            line: self.line(span.start),
            column: before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1,
            message: message.into(),
            hint,
        }
    }
}

/// What the text says, with what the family says that it extends.
fn read(
    origin: &Origin<'_>,
    find: &dyn Fn(&str) -> Option<Arc<Format>>,
    names: &dyn Fn() -> Vec<String>,
) -> Result<(FormatDef, Option<Arc<Format>>), DefinitionError> {
    let mut def: FormatDef = toml::from_str(origin.text)
        .map_err(|error| origin.error(&error.span().unwrap_or(0..0), error.message().replace('\n', " "), None))?;
    let Some(extends) = &def.extends else { return Ok((def, None)) };
    let base = find(extends.get_ref()).ok_or_else(|| {
        let names = names();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let near = nearest(extends.get_ref(), &known).map(|near| format!("did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| "see all with `logsql format list`".to_owned());
        origin.error(&extends.span(), format!("there is no format `{}` to extend", extends.get_ref()), Some(hint))
    })?;
    def.inherit(definition_of(&base)?);
    Ok((def, Some(base)))
}

/// What the definition of a format says. It has been read before, so nothing of it fails.
fn definition_of(format: &Format) -> Result<FormatDef, DefinitionError> {
    let origin = Origin { name: &format.origin, text: &format.text[..format.head] };
    let own = |name: &str| format.base.clone().or_else(|| super::builtin_format(name));
    read(&origin, &own, &Vec::new).map(|(def, _)| def)
}

/// What is known of the lines of its patterns, as the build script has it.
fn screens_of(def: &FormatDef, patterns: &[Arc<Pattern>], start: Option<&Matcher>) -> Vec<Screen> {
    let screen = |(def, pattern): (&PatternDef, &Arc<Pattern>)| {
        let matcher = &pattern.matcher;
        // Of records in columns the first bytes are known where that is what tells them from further lines.
        let first = start.filter(|_| matcher.as_keyed().is_some_and(|keyed| keyed.dialect().is_some()));
        Screen::new(def, Some(matcher), first.unwrap_or(matcher).ahead())
    };
    def.pattern.iter().zip(patterns).filter(|(_, pattern)| pattern.within.is_none()).map(screen).collect()
}

/// Compiles a definition. Samples are read but not run. `find` knows the other families, and `names` what they are called.
pub(super) fn compile(
    (name, text): (&str, &str),
    screens: Screens,
    find: &dyn Fn(&str) -> Option<Arc<Format>>,
    names: &dyn Fn() -> Vec<String>,
) -> Result<Format, DefinitionError> {
    let origin = Origin { name, text };
    let (def, base) = read(&origin, find, names)?;
    let family_table = find_table(&origin, &def.table)?;
    let head = |head: &Spanned<String>| matcher(&origin, head, &format!("(?:{}).*", expand(&origin, &def, head)?.regex));
    let start = def.records.start.as_ref().map(head).transpose()?.map(Arc::new);
    let comment = def.records.comment.as_ref().map(head).transpose()?.map(Arc::new);
    let mut patterns: Vec<Arc<Pattern>> = vec![];
    for pattern in &def.pattern {
        if patterns.iter().any(|other| other.name == *pattern.name.get_ref()) {
            return Err(origin.error(&pattern.name.span(), format!("there are two patterns `{}`", pattern.name.get_ref()), None));
        }
        patterns.push(Arc::new(compile_pattern(&origin, &def, pattern, family_table)?));
    }
    if patterns.is_empty() {
        return Err(origin.error(&def.name.span(), "a format needs at least one [[pattern]]", None));
    }
    check_captures(&origin, &def, &patterns)?;
    check_tags(&origin, &def)?;
    if let Some(file) = def.files.iter().find(|file| !file.get_ref().starts_with('/')) {
        let hint = Some("write the whole path, with `*` where names differ".to_owned());
        return Err(origin.error(&file.span(), format!("`{}` is no absolute path", file.get_ref()), hint));
    }
    let carries = def.carries.as_ref().map(|carries| carries.capture.get_ref().clone());
    let samples: Vec<Sample> = def.sample.iter().map(|sample| read_sample(&origin, sample)).collect::<Result<_, _>>()?;
    let mut feeds = vec![];
    for pattern in &patterns {
        let feed = (pattern.within.clone(), pattern.table);
        if !feeds.iter().any(|(within, table): &(Option<String>, &TableDef)| (within, table.name) == (&feed.0, feed.1.name)) {
            feeds.push(feed);
        }
    }
    let screens = match screens {
        Screens::Made => screens_of(&def, &patterns, start.as_deref()),
        Screens::Known => vec![],
    };
    Ok(Format {
        name: def.name.get_ref().clone(),
        table: family_table,
        title: def.title.clone(),
        url: def.url.clone(),
        origin: name.to_owned(),
        text: text.to_owned().into(),
        hash: None,
        pattern_names: patterns.iter().map(|pattern| pattern.name.clone()).collect(),
        files: def.files.iter().map(|file| file.get_ref().clone()).collect(),
        feeds,
        is_joined: start.is_some(),
        is_envelope: carries.is_some(),
        carries_lines: def.carries.as_ref().is_some_and(|carries| carries.lines),
        carries_like: def.carries.as_ref().and_then(|carries| carries.like.as_ref()).map(|like| like.get_ref().clone()),
        has_header: def.delimited.as_ref().is_some_and(|delimited| delimited.get_ref().has_header()),
        screens: Cow::Owned(screens),
        head: text.len(),
        base,
        compiled: OnceLock::from(Compiled {
            patterns,
            start,
            comment,
            day: def.records.day.as_ref().map(|day| Arc::from(day.get_ref().as_str())),
            ways: match def.backtrack.unwrap_or_default() {
                BacktrackDef::Each => Ways::Each,
                BacktrackDef::Together => Ways::Together,
            },
            carries,
        }),
        samples: OnceLock::from(samples),
        set: OnceLock::new(),
    })
}

fn find_table(origin: &Origin<'_>, name: &Spanned<String>) -> Result<&'static TableDef, DefinitionError> {
    table(name.get_ref()).ok_or_else(|| {
        let known: Vec<&str> = tables().iter().map(|table| table.name).collect();
        origin.error(
            &name.span(),
            format!("there is no table `{}`", name.get_ref()),
            Some(format!("tables: {}", known.join(", "))),
        )
    })
}

/// The pattern with its fragments.
fn expand(origin: &Origin<'_>, def: &FormatDef, regex: &Spanned<String>) -> Result<Expanded, DefinitionError> {
    super::expand::expand(|name| def.fragment(name), regex.get_ref()).map_err(|error| {
        let hint = match &error {
            ExpandError::Missing(name) => {
                let known: Vec<&str> = def.define.keys().chain(library().define.keys()).map(String::as_str).collect();
                nearest(name, &known)
                    .map_or_else(|| format!("add it to [define]: {name} = '…'"), |near| format!("did you mean `{{{near}}}`?"))
            }
            ExpandError::TooLong => "does a fragment name others many times?".to_owned(),
            ExpandError::TooDeep => "does one name itself?".to_owned(),
        };
        origin.error(&regex.span(), error.to_string(), Some(hint))
    })
}

fn matcher(origin: &Origin<'_>, written: &Spanned<String>, regex: &str) -> Result<Matcher, DefinitionError> {
    if let Some(known) = trees::tree(regex).and_then(|tree| Matcher::with_tree(regex, tree)) {
        return Ok(known);
    }
    Matcher::try_new(regex).map_err(|error| {
        // The place is exact only where no fragment moved it; the text around it always helps.
        let near = match &error {
            PatternError::Syntax { at, .. } => regex.get(at.saturating_sub(12)..(at + 12).min(regex.len())),
            PatternError::TooLarge(_) => None,
        };
        let hint = near.map(|near| format!("near `{}`", near.trim()));
        origin.error(&written.span(), format!("bad pattern: {error}"), hint)
    })
}

fn compile_pattern(
    origin: &Origin<'_>,
    def: &FormatDef,
    pattern: &PatternDef,
    family_table: &'static TableDef,
) -> Result<Pattern, DefinitionError> {
    let table = pattern.table.as_ref().map_or(Ok(family_table), |name| find_table(origin, name))?;
    let Laid { matcher, written, implied } = read_layout(origin, def, pattern, table)?;
    let keyed = matcher.as_keyed();
    let mut columns: Vec<Vec<Feed>> = vec![vec![]; table.columns.len()];
    let mut fields = vec![];
    let plain = CaptureDef::default();
    let described = |capture: &str| pattern.capture.get(capture).or_else(|| def.capture.get(capture));
    let mut fill = |capture: &str, sources: &[Source], meaning: &CaptureDef, span: &Range<usize>| {
        for (column, extract) in feeds_of(origin, capture, meaning, span)? {
            if def.records.day.is_none() && matches!(&extract, Extract::Time(layout) if layout.lacks_day()) {
                let hint = Some("say in [records] what such lines begin with: day = '#Date:'".to_owned());
                return Err(origin.error(span, format!("capture `{capture}` has no day, and no line tells it"), hint));
            }
            let feeds = sources.iter().map(|source| Feed { source: source.clone(), extract: extract.clone() });
            if let Some(field) = column.strip_prefix("fields.") {
                fields.extend(feeds.map(|feed| (field.to_owned(), feed)));
                continue;
            }
            match table.column(&column) {
                Some(index) => {
                    check_type(origin, span, table, index, &extract)?;
                    columns[index].extend(feeds);
                }
                // Half of a `host` or an offset that the table has no place for is no field of its own.
                None if matches!(
                    extract,
                    Extract::TimeOffset(_) | Extract::HostName | Extract::HostIp | Extract::Address(..)
                ) => {}
                None => fields.extend(feeds.map(|feed| (column.clone(), feed))),
            }
        }
        Ok(())
    };
    // Who says how a value is put together means that one.
    for (capture, templates) in &pattern.concat {
        let span = templates.span();
        if matcher.captures().iter().any(|known| **known == **capture) {
            return Err(origin.error(&span, format!("`{capture}` is captured and put together"), None));
        }
        let sources = templates.get_ref().values().iter().map(|text| joined(origin, &matcher, text, &span));
        let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
        let (meaning, span) = described(capture).map_or((&plain, span), |said| (said.get_ref(), said.span()));
        fill(capture, &sources, meaning, &span)?;
    }
    // A keyed one has the whole record before the captures, and what it only looks at behind them.
    let (first, last) = keyed.map_or_else(|| (0, matcher.captures().len()), |keyed| (1, keyed.captured()));
    for (slot, capture) in matcher.captures().iter().enumerate().take(last).skip(first) {
        let inherited = || def.inherited.get(&**capture).map_or(&plain, Spanned::get_ref);
        let unsaid = || (implied.get(&**capture).unwrap_or_else(inherited), written.clone());
        let (meaning, span) = described(capture).map_or_else(unsaid, |said| (said.get_ref(), said.span()));
        let slot = u16::try_from(slot).map_err(|_| origin.error(&span, "too many captures", None))?;
        fill(capture, &[source_of(&matcher, slot)], meaning, &span)?;
    }
    if let Some(keyed) = keyed {
        fields.push((String::new(), Feed { source: Source::Capture(0), extract: Extract::Rest(Arc::clone(keyed)) }));
    }
    for (column, value) in &pattern.constant {
        if let Some(field) = column.strip_prefix("fields.") {
            let source = Source::Constant(Arc::from(value.get_ref().as_str()));
            fields.push((field.to_owned(), Feed { source, extract: Extract::Text(TextRule::default()) }));
            continue;
        }
        let Some(index) = table.column(column) else {
            return Err(origin.error(
                &value.span(),
                format!("`{}` has no column `{column}`", table.name),
                nearest_column(table, column),
            ));
        };
        let text = value.get_ref();
        let extract = match table.columns[index].kind {
            ColumnType::Text => Extract::Text(TextRule::default()),
            ColumnType::UInt16 | ColumnType::UInt64 => Extract::Integer,
            ColumnType::Float64 => Extract::Float,
            _ => return Err(origin.error(&value.span(), format!("`{column}` cannot be a constant"), None)),
        };
        columns[index].push(Feed { source: Source::Constant(Arc::from(text.as_str())), extract });
    }
    let requires = pattern
        .requires
        .iter()
        .map(|(capture, values)| {
            (capture.clone(), values.get_ref().values().iter().map(|value| value.clone().into_bytes()).collect())
        })
        .collect();
    // The fewest bytes that a record of this pattern has: fixed text and what its fields need. Keys may be missing, unless they
    // are asked for.
    let sure = keyed.map_or_else(|| matcher.captures().len(), |_| pattern.has.len());
    let specificity = matcher.min_bytes() + 2 * sure;
    Ok(Pattern {
        name: pattern.name.get_ref().clone(),
        table,
        matcher,
        within: pattern.within.as_ref().map(|within| within.get_ref().clone()),
        requires,
        catch_all: pattern.catch_all,
        columns,
        fields,
        specificity,
    })
}

/// The value of a capture.
fn source_of(matcher: &Matcher, slot: u16) -> Source {
    matcher.as_keyed().map_or(Source::Capture(slot), |keyed| Source::Escaped(slot, keyed.syntax().escapes()))
}

/// What `{scheme}://{vhost}` stands for. `{{` and `}}` are braces.
fn joined(origin: &Origin<'_>, matcher: &Matcher, text: &str, span: &Range<usize>) -> Result<Source, DefinitionError> {
    let last = matcher.as_keyed().map_or_else(|| matcher.captures().len(), |keyed| keyed.captured());
    let captures = &matcher.captures()[..last];
    let mut parts: Vec<Vec<Source>> = vec![];
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal += &rest[..at];
        let (brace, behind) = rest[at..].split_at(1);
        if behind.starts_with(brace) {
            literal += brace;
            rest = &behind[1..];
            continue;
        }
        let name = behind.split_once('}').filter(|_| brace == "{");
        let Some((name, behind)) = name else {
            let hint = Some("captures stand in braces, as in \"{scheme}://{vhost}\"; a brace itself is written twice".to_owned());
            return Err(origin.error(span, format!("`{text}` has a brace without another one"), hint));
        };
        let slots = (0u16..).zip(captures).filter(|(_, capture)| ***capture == *name);
        let part: Vec<Source> = slots.map(|(slot, _)| source_of(matcher, slot)).collect();
        if part.is_empty() {
            let known: Vec<&str> = captures.iter().map(|capture| &**capture).filter(|name| !name.is_empty()).collect();
            let hint = nearest(name, &known).map(|near| format!("did you mean `{{{near}}}`?"));
            return Err(origin.error(span, format!("the pattern captures no `{name}`"), hint));
        }
        if !literal.is_empty() {
            parts.push(vec![Source::Constant(Arc::from(std::mem::take(&mut literal)))]);
        }
        parts.push(part);
        rest = behind;
    }
    literal += rest;
    if !literal.is_empty() {
        parts.push(vec![Source::Constant(Arc::from(literal))]);
    }
    Ok(Source::Joined(parts))
}

/// The layout of a pattern.
struct Laid {
    matcher: Matcher,
    /// Where it is written.
    written: Range<usize>,
    /// What its captures mean where the definition does not say.
    implied: BTreeMap<String, CaptureDef>,
}

fn read_layout(origin: &Origin<'_>, def: &FormatDef, pattern: &PatternDef, table: &TableDef) -> Result<Laid, DefinitionError> {
    let servers = [&pattern.log_format, &pattern.apache, &pattern.error_log_format, &pattern.log_line_prefix];
    let texts = [&pattern.regex, &pattern.grok].into_iter().chain(servers);
    let count = texts.filter(|text| text.is_some()).count();
    if count + pattern.keyed().count() != 1 {
        let message = format!("pattern `{}` needs one layout", pattern.name.get_ref());
        let known: Vec<String> = Syntax::NAMES.iter().map(|(name, _)| format!("`{name}`")).collect();
        let hint = format!(
            "one of `regex`, `grok`, `log_format` (nginx), `apache`, `error_log_format` (Apache), `log_line_prefix` (PostgreSQL), {}",
            known.join(", ")
        );
        return Err(origin.error(&pattern.name.span(), message, Some(hint)));
    }
    if count == 1
        && let Some((what, has)) = pattern.has.iter().next()
    {
        let hint = Some("`has` is for layouts by names; others take nothing else anyway".to_owned());
        return Err(origin.error(&has.span(), format!("`has.{what}` of a layout without names"), hint));
    }
    let translated = |text: &Spanned<String>, read: fn(&str) -> Result<notation::Translated, notation::NotationError>| {
        let read = read(text.get_ref()).map_err(|error| origin.error(&text.span(), error.message, error.hint))?;
        Ok(Laid { matcher: matcher(origin, text, &read.regex)?, written: text.span(), implied: read.captures })
    };
    let (syntax, keys) = match (pattern, pattern.keyed().next()) {
        (PatternDef { regex: Some(regex), .. }, _) => {
            let Expanded { regex: text, tagged } = expand(origin, def, regex)?;
            let meaning = |tag: &String| def.tag.get(tag).or_else(|| library().tag.get(tag)).map(|tag| tag.get_ref().clone());
            let implied = tagged.into_iter().filter_map(|(capture, tag)| Some((capture, meaning(&tag)?))).collect();
            return Ok(Laid { matcher: matcher(origin, regex, &text)?, written: regex.span(), implied });
        }
        (PatternDef { grok: Some(grok), .. }, _) => return read_grok(origin, def, grok, table),
        (PatternDef { log_format: Some(text), .. }, _) => return translated(text, notation::nginx),
        (PatternDef { apache: Some(text), .. }, _) => return translated(text, notation::apache),
        (PatternDef { error_log_format: Some(text), .. }, _) => return translated(text, notation::error_log_format),
        (PatternDef { log_line_prefix: Some(text), .. }, _) => return translated(text, notation::postgres),
        (_, Some(keyed)) => keyed,
        (_, None) => unreachable!("one of them was counted"),
    };
    let dialect = match (syntax, &def.delimited) {
        (Syntax::Delimited, Some(delimited)) => {
            let dialect = delimited.get_ref().dialect();
            Some(Arc::new(dialect.map_err(|error| origin.error(&delimited.span(), error, None))?))
        }
        (Syntax::Delimited, None) => {
            let hint = Some("add a [delimited] table with `header` or `names`".to_owned());
            return Err(origin.error(&keys.span(), "nobody says how columns are told apart", hint));
        }
        _ => None,
    };
    let captures: BTreeMap<String, Vec<String>> =
        keys.get_ref().iter().map(|(name, paths)| (name.clone(), paths.values().to_vec())).collect();
    let paths = captures.values().flatten().chain(pattern.has.keys());
    if paths.clone().count() > MAX_KEYS {
        return Err(origin.error(&keys.span(), format!("more than {MAX_KEYS} paths"), None));
    }
    if let Some(deep) =
        paths.clone().find(|path| path.is_empty() || (dialect.is_none() && path.matches('.').count() >= MAX_PATH_KEYS))
    {
        return Err(origin.error(&keys.span(), format!("the path `{deep}` has no key, or more than {MAX_PATH_KEYS}"), None));
    }
    let mut has = BTreeMap::new();
    for (what, test) in &pattern.has {
        let test = match test.get_ref() {
            HasDef::Is(true) => Test::Present,
            HasDef::Is(false) => Test::Absent,
            HasDef::Value(values) => Test::OneOf(values.values().iter().map(|value| value.as_bytes().into()).collect()),
            HasDef::Typed { kind } => match ValueType::NAMES.iter().find(|(name, _)| name == kind) {
                Some((_, kind)) => Test::Type(*kind),
                None => {
                    let known: Vec<&str> = ValueType::NAMES.iter().map(|(name, _)| *name).collect();
                    let hint = Some(format!("types: {}", known.join(", ")));
                    return Err(origin.error(&pattern.has[what].span(), format!("unknown type of a value: `{kind}`"), hint));
                }
            },
        };
        has.insert(what.clone(), test);
    }
    let keyed = match dialect {
        Some(dialect) => Keyed::delimited(dialect, &captures, &has),
        None => Keyed::try_new(syntax, &captures, &has),
    };
    let keyed = keyed.map_err(|twice| origin.error(&keys.span(), format!("two captures have the path `{}`", twice.0), None))?;
    Ok(Laid { matcher: Matcher::Keyed(Arc::new(keyed)), written: keys.span(), implied: BTreeMap::new() })
}

fn read_grok(origin: &Origin<'_>, def: &FormatDef, text: &Spanned<String>, table: &TableDef) -> Result<Laid, DefinitionError> {
    let custom = |name: &str| def.patterns.get(name).map(|pattern| pattern.get_ref().clone());
    let grok = notation::whole_grok(text.get_ref(), &custom, Lookaround::Refuse)
        .map_err(|error| origin.error(&text.span(), error.message, error.hint))?;
    let implied = grok_captures(&grok, table);
    Ok(Laid { matcher: matcher(origin, text, &grok.regex)?, written: text.span(), implied })
}

/// What the fields of a Grok expression mean: each fills the column that is named like it, or that other tools name so.
fn grok_captures(grok: &Grok, table: &TableDef) -> BTreeMap<String, CaptureDef> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let has = |name: &str| grok.fields.iter().any(|field| field.field == name);
    let mut captures = BTreeMap::new();
    for field in &grok.fields {
        let known = notation::column_of(&field.field).filter(|column| table.column(column).is_some());
        let own = table.column(&field.field).map(|_| field.field.as_str());
        // In the patterns of web servers the request is its target.
        let target = (field.field == "request" && has("verb")).then_some("url").filter(|url| table.column(url).is_some());
        let is_time = field.layouts().is_some() && table.column("time").is_some();
        let column = if is_time { Some("time") } else { target.or(own).or(known).or_else(|| table.alias(&field.field)) };
        let meant = column.and_then(|column| {
            let kind = table.columns[table.column(column)?].kind;
            let prefix = column.strip_suffix("_ip");
            let has_host = prefix.is_some_and(|prefix| table.column(&format!("{prefix}_host")).is_some());
            let is_ip = matches!(field.pattern.as_deref(), Some("IP" | "IPV4" | "IPV6"));
            Some(match (kind, prefix) {
                (ColumnType::Text, _) if column == "url" => typed("url", "url"),
                (ColumnType::Text, Some(prefix)) if has_host && !is_ip => typed("host", prefix),
                (ColumnType::Text, Some(_)) => typed("ip", column),
                (ColumnType::Text, None) => typed("text", column),
                (ColumnType::UInt16 | ColumnType::UInt64, _) => typed("integer", column),
                // Another name does not tell the unit.
                (ColumnType::Float64, _) if own.is_some() => typed("float", column),
                (ColumnType::Time, _) => {
                    let layouts = field.layouts()?.iter().map(|&layout| layout.to_owned()).collect();
                    CaptureDef { layout: Some(OneOrMany::Many(layouts)), ..typed("time", "time") }
                }
                _ => return None,
            })
        });
        // Two groups of one name are the same value in two layouts; of two names, the first one has the column.
        let column = column.unwrap_or_default().to_owned();
        let owner = *owners.entry(column).or_insert(&field.field);
        let meant = meant.filter(|_| owner == field.field);
        captures.insert(field.capture.clone(), meant.unwrap_or_else(|| typed("text", &format!("fields.{}", field.field))));
    }
    captures
}

/// What is said of captures has to be about captures that there are.
fn check_captures(origin: &Origin<'_>, def: &FormatDef, patterns: &[Arc<Pattern>]) -> Result<(), DefinitionError> {
    let captured: HashSet<&str> =
        patterns.iter().flat_map(|pattern| pattern.matcher.captures()).map(|capture| &**capture).collect();
    let joined = def.pattern.iter().flat_map(|pattern| pattern.concat.keys()).map(String::as_str);
    let captured: HashSet<&str> = captured.into_iter().chain(joined).collect();
    let described = def.capture.iter().chain(def.pattern.iter().flat_map(|pattern| &pattern.capture));
    match described.into_iter().find(|(name, _)| !captured.contains(name.as_str())) {
        Some((name, described)) => Err(origin.error(&described.span(), format!("no pattern captures `{name}`"), None)),
        None => Ok(()),
    }
}

/// A tag is the type of a fragment.
fn check_tags(origin: &Origin<'_>, def: &FormatDef) -> Result<(), DefinitionError> {
    for (name, tag) in &def.tag {
        if def.fragment(name).is_none() {
            let known: Vec<&str> = def.define.keys().map(String::as_str).collect();
            let hint = nearest(name, &known)
                .map_or_else(|| format!("add it to [define]: {name} = '…'"), |near| format!("did you mean `{near}`?"));
            return Err(origin.error(&tag.span(), format!("there is no fragment `{{{name}}}` for this tag"), Some(hint)));
        }
        feeds_of(origin, name, tag.get_ref(), &tag.span())?;
    }
    Ok(())
}

/// The columns that a capture fills, and how.
fn feeds_of(
    origin: &Origin<'_>,
    capture: &str,
    def: &CaptureDef,
    span: &Range<usize>,
) -> Result<Vec<(String, Extract)>, DefinitionError> {
    let name = def.column.clone().unwrap_or_else(|| capture.to_owned());
    let take = match def.take.as_deref() {
        None => Take::All,
        Some("first") => Take::First,
        Some("last") => Take::Last,
        Some(other) => {
            return Err(origin.error(span, format!("unknown `take`: `{other}`"), Some("`first` or `last`".to_owned())));
        }
    };
    let (unescape, doubled) = match def.unescape.as_deref() {
        None => (Unescape::No, false),
        Some("apache" | "nginx") => (Unescape::Backslash, false),
        Some("json") => (Unescape::Json, false),
        Some("csv") => (Unescape::No, true),
        Some(other) => {
            return Err(origin.error(
                span,
                format!("unknown `unescape`: `{other}`"),
                Some("`apache`, `nginx`, `json` or `csv`".to_owned()),
            ));
        }
    };
    let rule = TextRule {
        unescape,
        url_decode: def.url_decode,
        doubled,
        lower: def.lower,
        chomp: def.chomp,
        trim: def.trim,
        take,
        map: def.map.iter().map(|(from, to)| (from.clone().into_bytes(), Arc::from(to.as_str()))).collect(),
        other: def.other.as_deref().map(Arc::from),
        null: def.null.iter().map(|text| text.clone().into_bytes()).collect(),
    };
    let prefixed = |suffix: &str| format!("{name}_{suffix}");
    Ok(match def.kind.as_deref().unwrap_or("text") {
        "text" => vec![(name, Extract::Text(rule))],
        "integer" | "port" | "status" => vec![(name, Extract::Integer)],
        "float" => vec![(name, Extract::Float)],
        "ip" => vec![(name, Extract::Ip)],
        "mac" => vec![(name, Extract::Mac)],
        "host" => vec![(prefixed("ip"), Extract::HostIp), (prefixed("host"), Extract::HostName)],
        "ip_port" => {
            vec![(prefixed("ip"), Extract::Address(Address::Ip, take)), (prefixed("port"), Extract::Address(Address::Port, take))]
        }
        "time" => {
            let names = def.layout.as_ref().map_or(&[][..], OneOrMany::values);
            let layouts: Option<Vec<Layout>> = names.iter().map(|name| Layout::named(name)).collect();
            let layouts = layouts.filter(|layouts| !layouts.is_empty()).ok_or_else(|| {
                let known: Vec<&str> = Layout::NAMES.iter().map(|(name, _)| *name).collect();
                origin.error(
                    span,
                    format!("capture `{capture}` needs a time layout"),
                    Some(format!("layouts: {}", known.join(", "))),
                )
            })?;
            let both = |layout| [(name.clone(), Extract::Time(layout)), ("time_offset".to_owned(), Extract::TimeOffset(layout))];
            layouts.into_iter().flat_map(both).collect()
        }
        "duration" => {
            let factor = match def.unit.as_deref() {
                Some("s") => 1e3,
                Some("ms") => 1.0,
                Some("us") => 1e-3,
                Some("ns") => 1e-6,
                _ => {
                    let hint = Some("`s`, `ms`, `us` or `ns`".to_owned());
                    return Err(origin.error(span, format!("capture `{capture}` needs the unit of its duration"), hint));
                }
            };
            vec![(name, Extract::Duration(factor, take))]
        }
        "http_request" => {
            let part = |part| Extract::Request(part, rule.clone());
            vec![
                (name, part(Part::Whole)),
                ("method".to_owned(), part(Part::Method)),
                ("url".to_owned(), part(Part::Url)),
                ("path".to_owned(), part(Part::Path)),
                ("query".to_owned(), part(Part::Query)),
                ("protocol".to_owned(), part(Part::Protocol)),
            ]
        }
        "url" => {
            let part = |part| Extract::Url(part, rule.clone());
            vec![(name, part(Part::Whole)), ("path".to_owned(), part(Part::Path)), ("query".to_owned(), part(Part::Query))]
        }
        "pri" => vec![
            ("priority".to_owned(), Extract::Priority),
            ("facility".to_owned(), Extract::Facility),
            ("severity".to_owned(), Extract::Severity),
        ],
        "structured_data" => vec![(name, Extract::StructuredData)],
        other => {
            let hint = nearest(other, TYPES)
                .map_or_else(|| format!("types: {}", TYPES.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(origin.error(span, format!("unknown field type `{other}`"), Some(hint)));
        }
    })
}

pub(super) const TYPES: &[&str] = &[
    "text",
    "integer",
    "float",
    "ip",
    "port",
    "status",
    "mac",
    "host",
    "ip_port",
    "time",
    "duration",
    "http_request",
    "url",
    "pri",
    "structured_data",
];

/// Can the column hold what the capture gives?
fn check_type(
    origin: &Origin<'_>,
    span: &Range<usize>,
    table: &TableDef,
    index: usize,
    extract: &Extract,
) -> Result<(), DefinitionError> {
    let column = &table.columns[index];
    let fits = match extract {
        Extract::Text(_)
        | Extract::Ip
        | Extract::Mac
        | Extract::HostIp
        | Extract::HostName
        | Extract::Facility
        | Extract::Severity => column.kind == ColumnType::Text,
        Extract::Request(..) | Extract::Url(..) | Extract::Address(Address::Ip, _) => column.kind == ColumnType::Text,
        Extract::Integer | Extract::Priority | Extract::Address(Address::Port, _) => {
            matches!(column.kind, ColumnType::UInt16 | ColumnType::UInt64 | ColumnType::Float64)
        }
        Extract::Float | Extract::Duration(..) => column.kind == ColumnType::Float64,
        Extract::Time(_) | Extract::SureTime(_) => column.kind == ColumnType::Time,
        Extract::TimeOffset(_) => column.kind == ColumnType::Int16,
        Extract::StructuredData | Extract::Rest(_) => column.kind == ColumnType::Map,
    };
    if fits {
        return Ok(());
    }
    let kind = match column.kind {
        ColumnType::Text => "text",
        ColumnType::UInt16 | ColumnType::UInt64 => "integer",
        ColumnType::Int16 | ColumnType::Float64 => "float",
        ColumnType::Time => "time",
        ColumnType::Map => "structured_data",
    };
    Err(origin.error(
        span,
        format!("column `{}` of `{}` does not hold this type", column.name, table.name),
        Some(format!("give its capture `type = \"{kind}\"`, or name another column")),
    ))
}

fn nearest_column(table: &TableDef, name: &str) -> Option<String> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    nearest(name, &names).map(|near| format!("did you mean `{near}`?"))
}

fn read_sample(origin: &Origin<'_>, sample: &Spanned<SampleDef>) -> Result<Sample, DefinitionError> {
    let span = sample.span();
    let def = sample.get_ref();
    let mut expect = vec![];
    for (column, value) in &def.expect {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Datetime(time) => time.to_string(),
            other => return Err(origin.error(&span, format!("expected value of `{column}` is {}", other.type_str()), None)),
        };
        expect.push((column.clone(), Some(text)));
    }
    expect.extend(def.null.iter().map(|column| (column.clone(), None)));
    let reference = match &def.reference {
        None => Timestamp::UNIX_EPOCH,
        Some(text) => text.parse().map_err(|error| origin.error(&span, format!("bad reference time `{text}`: {error}"), None))?,
    };
    let zone = match &def.zone {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|error| origin.error(&span, format!("bad zone `{name}`: {error}"), None))?,
    };
    let at_line = origin.line(span.start);
    Ok(Sample {
        line: def.line.clone(),
        pattern: def.pattern.clone(),
        expect,
        reference_us: reference.as_microsecond(),
        zone,
        at_line,
    })
}

/// A sample that is not worth what it should be.
#[derive(Clone, Debug)]
pub struct SampleFailure {
    /// Line of the definition file.
    pub at_line: usize,
    /// The record.
    pub sample: String,
    /// What differs: column or `pattern`, expected, got.
    pub differences: Vec<(String, String, String)>,
}

impl fmt::Display for SampleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample `{}` fails", self.sample.escape_debug())?;
        for (what, expected, got) in &self.differences {
            write!(f, "; {what}: expected {expected}, got {got}")?;
        }
        Ok(())
    }
}

/// What a sample came to.
#[derive(Clone, Debug)]
pub struct SampleOutcome {
    /// Line of the definition file.
    pub at_line: usize,
    /// The record.
    pub sample: String,
    /// The pattern that takes it; `None` if none should.
    pub pattern: Option<String>,
    /// All that was compared.
    pub values: Vec<SampleValue>,
}

/// A value of a sample.
#[derive(Clone, Debug)]
pub struct SampleValue {
    /// The column, or `pattern`, or `rows`.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
    /// Are these the same?
    pub is_same: bool,
}

impl SampleValue {
    fn differs(what: &str, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { what: what.to_owned(), expected: expected.into(), got: got.into(), is_same: false }
    }
}

impl SampleOutcome {
    /// Is all as it should be?
    pub fn is_right(&self) -> bool {
        self.values.iter().all(|value| value.is_same)
    }

    /// What differs, if anything does.
    fn failure(self) -> Option<SampleFailure> {
        let differences: Vec<_> = self.values.into_iter().filter(|value| !value.is_same).collect();
        let differences: Vec<_> = differences.into_iter().map(|value| (value.what, value.expected, value.got)).collect();
        (!differences.is_empty()).then_some(SampleFailure { at_line: self.at_line, sample: self.sample, differences })
    }
}

/// Runs the samples of one family through the same decoder that scans files.
pub(super) fn outcomes(catalog: &Catalog, format: &Format) -> Vec<SampleOutcome> {
    format.samples().iter().map(|sample| run_sample(catalog, format, sample)).collect()
}

/// Those that are not as they should be.
pub(super) fn samples(catalog: &Catalog, format: &Format) -> Vec<SampleFailure> {
    outcomes(catalog, format).into_iter().filter_map(SampleOutcome::failure).collect()
}

fn run_sample(catalog: &Catalog, format: &Format, sample: &Sample) -> SampleOutcome {
    let mut values = vec![];
    let wanted = sample.pattern.as_ref().and_then(|name| format.patterns().iter().find(|pattern| pattern.name == *name));
    match (&sample.pattern, wanted) {
        (Some(name), None) => values.push(SampleValue::differs("pattern", name, "no such pattern")),
        (None, _) => {
            if let Some(name) = taken_by(format, sample.line.as_bytes()) {
                values.push(SampleValue::differs("pattern", "none", name));
            }
        }
        (Some(name), Some(pattern)) => match decode_sample(catalog, format, pattern, sample) {
            Err(error) => values.push(SampleValue::differs("pattern", name, error)),
            Ok(None) => values.push(SampleValue::differs("pattern", name, "no row")),
            Ok(Some(batch)) => compare(&batch, pattern, sample, &mut values),
        },
    }
    SampleOutcome { at_line: sample.at_line, sample: sample.line.clone(), pattern: sample.pattern.clone(), values }
}

fn taken_by(format: &Format, line: &[u8]) -> Option<String> {
    let mut scratch = crate::scan::Scratch::default();
    format.own().find_map(|pattern| {
        let mut slots = vec![crate::scan::Span::NONE; pattern.matcher.captures().len()];
        pattern.matcher.find(line, &mut slots, &mut scratch).ok().map(|()| pattern.name.clone())
    })
}

fn decode_sample(catalog: &Catalog, format: &Format, pattern: &Pattern, sample: &Sample) -> Result<Option<RecordBatch>, String> {
    let columns: Vec<usize> = (0..pattern.table.columns.len()).collect();
    let plan = ScanPlan::try_new(&ScanPlanArgs {
        catalog,
        format: pattern.within.as_deref().unwrap_or(&format.name),
        table: pattern.table.name,
        columns: &columns,
        filter_columns: &[],
        required: &[],
        file: "sample",
        zone: sample.zone.clone(),
        reference_us: sample.reference_us,
    })
    .map_err(|error| error.to_string())?;
    let bytes = sample.line.as_bytes();
    let mut decoder = LogDecoder::new(Arc::new(plan), Piece::whole(bytes.len() as u64), DecodeOptions::default());
    decoder.decode(bytes, true).map_err(|error| error.to_string())?;
    decoder.flush().map_err(|error| error.to_string())
}

fn compare(batch: &RecordBatch, pattern: &Pattern, sample: &Sample, values: &mut Vec<SampleValue>) {
    if batch.num_rows() != 1 {
        values.push(SampleValue::differs("rows", "1", batch.num_rows().to_string()));
        return;
    }
    let got = |column: &str| cell(batch, column);
    let taken = got("_format").flatten().unwrap_or_default();
    if taken != pattern.name {
        values.push(SampleValue::differs("pattern", pattern.name.clone(), taken));
    }
    let show = |value: &Option<String>| value.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("`{text}`"));
    for (column, expected) in &sample.expect {
        values.push(match got(column) {
            None => SampleValue::differs(column, "a column", format!("`{}` has none of this name", pattern.table.name)),
            Some(value) => {
                SampleValue { what: column.clone(), expected: show(expected), got: show(&value), is_same: same(&value, expected) }
            }
        });
    }
}

/// Times and numbers may be written in several ways.
fn same(got: &Option<String>, expected: &Option<String>) -> bool {
    match (got, expected) {
        (None, None) => true,
        (Some(got), Some(expected)) => {
            let times = || Some(got.parse::<Timestamp>().ok()? == expected.parse::<Timestamp>().ok()?);
            let numbers = || Some((got.parse::<f64>().ok()? - expected.parse::<f64>().ok()?).abs() < 1e-9);
            got == expected || times() == Some(true) || (got.parse::<u64>().is_err() && numbers() == Some(true))
        }
        _ => false,
    }
}

/// The value of the only row as text: `None` if there is no such column, `Some(None)` if it is NULL. `fields.x` looks into a map.
fn cell(batch: &RecordBatch, column: &str) -> Option<Option<String>> {
    let (name, key) = column.split_once('.').map_or((column, None), |(name, key)| (name, Some(key)));
    let array = batch.column_by_name(name)?;
    if let Some(key) = key {
        let map = array.as_map_opt()?;
        if map.is_null(0) {
            return Some(None);
        }
        let entries = map.value(0);
        let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        return Some((0..entries.len()).find(|&i| keys.value(i) == key).map(|i| values.value(i).to_owned()));
    }
    if array.is_null(0) {
        return Some(None);
    }
    Some(Some(if let Some(text) = array.as_string_view_opt() {
        text.value(0).to_owned()
    } else if let Some(number) = array.as_primitive_opt::<UInt16Type>() {
        number.value(0).to_string()
    } else if let Some(number) = array.as_primitive_opt::<UInt64Type>() {
        number.value(0).to_string()
    } else if let Some(number) = array.as_primitive_opt::<Int16Type>() {
        number.value(0).to_string()
    } else if let Some(number) = array.as_primitive_opt::<Float64Type>() {
        number.value(0).to_string()
    } else if let Some(time) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        Timestamp::from_microsecond(time.value(0)).map_or_else(|_| "out of range".to_owned(), |time| time.to_string())
    } else {
        let map = array.as_map_opt()?;
        let pairs: BTreeMap<String, String> = {
            let entries = map.value(0);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            (0..entries.len()).map(|i| (keys.value(i).to_owned(), values.value(i).to_owned())).collect()
        };
        format!("{pairs:?}")
    }))
}
