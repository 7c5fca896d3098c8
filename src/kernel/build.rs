//! Writes down what can be known of the built-in definitions without compiling them when the program starts: names,
//! tables, and which bytes their lines can begin with. Compiling all of them costs as much as reading a gigabyte. And the trees of
//! their regular expressions, for those that are compiled: reading these takes longer than the rest of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

// What the crate itself does with a definition, as far as it is needed here.
#[path = "format/definition.rs"]
#[expect(dead_code, reason = "only a part of it is needed here")]
mod definition;
#[path = "format/expand.rs"]
#[expect(dead_code, reason = "only a part of it is needed here")]
mod expand;
#[path = "format/library.rs"]
#[expect(dead_code, reason = "only a part of it is needed here")]
mod library;
#[path = "format/nearest.rs"]
#[expect(unreachable_pub, reason = "only a part of it is needed here")]
mod nearest;
#[path = "format/notation/mod.rs"]
#[expect(dead_code, unreachable_pub, unused_imports, reason = "only a part of it is needed here")]
mod notation;
#[path = "scan/mod.rs"]
#[expect(dead_code, unreachable_pub, unused_imports, reason = "only a part of it is needed here")]
mod scan;
#[path = "format/screen.rs"]
#[expect(dead_code, reason = "only a part of it is needed here")]
mod screen;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("format/builtin");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut code = String::from("&[\n");
    let mut regexes = Regexes::default();
    for file in files {
        outline(&file, &mut regexes, &mut code).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    code += "]\n";
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("builtin.rs"), code)?;
    regexes.write(&out)
}

/// The regular expressions of all definitions.
#[derive(Default)]
struct Regexes(BTreeMap<String, scan::Matcher>);

impl Regexes {
    fn matcher(&mut self, regex: String) -> Result<&scan::Matcher, Box<dyn Error>> {
        use std::collections::btree_map::Entry;
        Ok(match self.0.entry(regex) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let matcher = scan::Matcher::try_new(new.key())?;
                new.insert(matcher)
            }
        })
    }

    /// All texts in their order, all trees, and where those of each expression end.
    fn write(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let (mut texts, mut trees, mut ends) = (String::new(), vec![], String::from("&["));
        for (text, matcher) in &self.0 {
            let Some(tree) = matcher.as_regex().and_then(scan::RegexMatcher::tree) else { continue };
            texts += text;
            trees.extend(tree);
            write!(ends, "({}, {}), ", texts.len(), trees.len())?;
        }
        std::fs::write(folder.join("regexes.txt"), texts)?;
        std::fs::write(folder.join("trees.bin"), trees)?;
        std::fs::write(folder.join("regexes.rs"), ends + "]\n")?;
        Ok(())
    }
}

/// One definition. What is wrong with it, the tests say better.
fn outline(file: &Path, regexes: &mut Regexes, code: &mut String) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let def = definition_of(file, 0)?;
    let family_table = def.table.get_ref();
    let (mut names, mut feeds) = (vec![], vec![]);
    for pattern in &def.pattern {
        names.push(pattern.name.get_ref());
        let feed = (
            pattern.within.as_ref().map(toml::Spanned::get_ref),
            pattern.table.as_ref().map_or(family_table, toml::Spanned::get_ref),
        );
        if !feeds.contains(&feed) {
            feeds.push(feed);
        }
    }
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("its name is no text")?;
    let path = file.to_str().ok_or("its path is no text")?;
    writeln!(code, "    Outline {{")?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    writeln!(code, "        file: {name:?}, text: include_str!({path:?}), hash: {},", hasher.finish())?;
    writeln!(
        code,
        "        name: {:?}, table: {family_table:?}, title: {:?}, url: {:?},",
        def.name.get_ref(),
        def.title,
        def.url
    )?;
    writeln!(code, "        patterns: &{names:?}, feeds: &{feeds:?},")?;
    let carries_lines = def.carries.as_ref().is_some_and(|carries| carries.lines);
    let (is_joined, carries) = (def.records.start.is_some(), def.carries.is_some());
    let like = def.carries.as_ref().and_then(|carries| carries.like.as_ref()).map(toml::Spanned::get_ref);
    writeln!(
        code,
        "        is_joined: {is_joined:?}, carries: {carries:?}, carries_lines: {carries_lines:?}, carries_like: {like:?},"
    )?;
    writeln!(
        code,
        "        has_header: {:?},",
        def.delimited.as_ref().is_some_and(|delimited| delimited.get_ref().has_header())
    )?;
    writeln!(code, "        screens: &[\n{}        ], head: {},", screens_of(&def, regexes)?, head_of(&text))?;
    writeln!(code, "    }},")?;
    // What is only read when the family is compiled.
    for head in [&def.records.start, &def.records.comment].into_iter().flatten() {
        regexes.matcher(head_regex(&def, head)?)?;
    }
    for pattern in def.pattern.iter().filter(|pattern| pattern.within.is_some() && pattern.keyed().next().is_none()) {
        regexes.matcher(regex(&def, pattern)?)?;
    }
    Ok(())
}

/// The regular expression of what lines begin with.
fn head_regex(def: &definition::FormatDef, head: &toml::Spanned<String>) -> Result<String, Box<dyn Error>> {
    Ok(format!("(?:{}).*", expand::expand(|name| def.fragment(name), head.get_ref())?.regex))
}

/// A definition, with what it extends.
fn definition_of(file: &Path, depth: usize) -> Result<definition::FormatDef, Box<dyn Error>> {
    let mut def: definition::FormatDef = toml::from_str(&std::fs::read_to_string(file)?)?;
    if let Some(extends) = &def.extends {
        if depth > 8 {
            return Err("extends itself".into());
        }
        let base = file.with_file_name(format!("{}.toml", extends.get_ref()));
        def.inherit(definition_of(&base, depth + 1)?);
    }
    Ok(def)
}

/// The regular expression of a pattern without keys.
fn regex(def: &definition::FormatDef, pattern: &definition::PatternDef) -> Result<String, Box<dyn Error>> {
    if let Some(regex) = &pattern.regex {
        return Ok(expand::expand(|name| def.fragment(name), regex.get_ref())?.regex);
    }
    if let Some(grok) = &pattern.grok {
        let custom = |name: &str| def.patterns.get(name).map(|pattern| pattern.get_ref().clone());
        return Ok(notation::whole_grok(grok.get_ref(), &custom, notation::Lookaround::Refuse).map_err(|e| e.message)?.regex);
    }
    if let Some(text) = &pattern.log_format {
        return Ok(notation::nginx(text.get_ref()).map_err(|e| e.message)?.regex);
    }
    if let Some(text) = &pattern.error_log_format {
        return Ok(notation::error_log_format(text.get_ref()).map_err(|e| e.message)?.regex);
    }
    if let Some(text) = &pattern.log_line_prefix {
        return Ok(notation::postgres(text.get_ref()).map_err(|e| e.message)?.regex);
    }
    match &pattern.apache {
        Some(text) => Ok(notation::apache(text.get_ref()).map_err(|e| e.message)?.regex),
        None => Err(format!("pattern `{}` has no layout", pattern.name.get_ref()).into()),
    }
}

/// Those of the patterns for whole lines.
fn screens_of(def: &definition::FormatDef, regexes: &mut Regexes) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for pattern in def.pattern.iter().filter(|pattern| pattern.within.is_none()) {
        let screen = match (pattern.keyed().next(), &def.delimited, &def.records.start) {
            // Of records in columns the first bytes are known where that is what tells them from further lines.
            (Some((scan::Syntax::Delimited, _)), _, Some(start)) => {
                let start = regexes.matcher(head_regex(def, start)?)?;
                screen::Screen::new(pattern, None, start.ahead())
            }
            (Some((scan::Syntax::Delimited, _)), Some(delimited), None) => {
                screen::Screen::new(pattern, None, scan::Keyed::ahead_of(&delimited.get_ref().dialect()?))
            }
            (Some((syntax, _)), ..) => screen::Screen::new(pattern, None, syntax.ahead()),
            (None, ..) => {
                let matcher = regexes.matcher(regex(def, pattern)?)?;
                screen::Screen::new(pattern, Some(matcher), matcher.ahead())
            }
        };
        let list = |of: Vec<String>| format!("Cow::Borrowed(&[{}])", of.join(", "));
        let ways =
            |ways: &screen::Ways| list(ways.iter().map(|way| format!("Cow::Borrowed(b\"{}\")", way.escape_ascii())).collect());
        let texts = list(screen.texts.iter().map(ways).collect());
        writeln!(code, "            Screen {{ begin: Cow::Borrowed(&Begin::from_raw({:?})), texts: {texts} }},", screen.begin)?;
    }
    Ok(code)
}

/// The bytes of a definition before its samples, where nothing stands behind these.
fn head_of(text: &str) -> usize {
    let head = text.find("\n[[sample]]").unwrap_or(text.len());
    let read = |text: &str| toml::from_str::<definition::FormatDef>(text).map_or(0, |def| def.pattern.len());
    if read(&text[..head]) == read(text) { head } else { text.len() }
}
