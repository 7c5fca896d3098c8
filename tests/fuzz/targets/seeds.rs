//! Makes the first inputs of each target from real logs and from the built-in definitions:
//! `seeds <folder with logs> <folder for the corpora>`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

// Its library has the functions that the coverage flags call.
use libfuzzer_sys as _;
use logsql_fuzz::{CATALOG, PATTERNS};
use logsql_kernel::format::{builtin_definitions, detect};
use logsql_kernel::scan::{Scratch, Span};

/// Bytes of a file that become a seed.
const HEAD: usize = 2048;
/// Lines of a file that become seeds for a pattern.
const LINES: usize = 3;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(logs), Some(corpora)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: seeds <folder with logs> <folder for the corpora>"));
    };
    let mut files = vec![];
    walk(&logs, &mut files)?;
    files.sort();
    let mut writer = Writer { corpora, count: 0 };
    for path in &files {
        of_log(&mut writer, &fs::read(path)?)?;
    }
    for (_, text) in builtin_definitions() {
        writer.write("definition", text.as_bytes())?;
        // A definition with its first sample only: short inputs are tried more often.
        let samples: Vec<usize> = text.match_indices("\n[[sample]]").map(|(at, _)| at).collect();
        if let Some(&second) = samples.get(1) {
            writer.write("definition", &text.as_bytes()[..second])?;
        }
    }
    for pattern in PATTERNS.iter() {
        // Without the anchors that the matcher puts around it.
        let Some(regex) = pattern.matcher.as_regex().map(|regex| regex.regex()) else { continue };
        let plain = regex.strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z")).unwrap_or(regex);
        for sample in CATALOG.formats().iter().flat_map(|format| format.samples()) {
            if sample.pattern.as_deref() == Some(&pattern.name) && !plain.contains('\n') {
                writer.write("any_pattern", format!("{plain}\n{}", sample.line).as_bytes())?;
                break;
            }
        }
    }
    for (pattern, record) in PAIRS {
        writer.write("any_pattern", format!("{pattern}\n{record}").as_bytes())?;
    }
    for sample in CATALOG.formats().iter().flat_map(|format| format.samples()) {
        if sample.pattern.as_ref().is_some_and(|name| PATTERNS.iter().any(|p| p.name == *name && p.matcher.as_keyed().is_some()))
        {
            writer.write("keyed", sample.line.as_bytes())?;
        }
    }
    for time in TIMES {
        writer.write("time_layouts", time.as_bytes())?;
    }
    Ok(())
}

/// Patterns that go through each kind of step.
const PAIRS: &[(&str, &str)] = &[
    (r"(?<a>[^ ]*) (?<b>[^ ]+)", "x y"),
    (r#""(?<q>(?:[^"\\]|\\.)*)" (?<n>\d{3}) (?<m>\d+|-)"#, r#""a\"b" 200 -"#),
    (r"(?<m>.*?)(?:, client: (?<c>[^,]*))?(?:, server: (?<s>[^,]*))?", "x, client: y, server: z"),
    (r"(?<a>a|ab)(?<b>c|bcd)(?<d>d*)", "abcd"),
    (r"(?:(?<w>\w+)[ ,])*end", "a b,end"),
    (r"(?:(?<x>a)|b){2,3}c?", "abc"),
    (r"\b(?<w>\w+)\b.*", "ab cd"),
    (r"(?<a>(?:ab)+?)(?<b>(?:ab)*)", "ababab"),
    (r"(?<a>a{2,4}?)(?<b>a+)b?", "aaaaab"),
    (r"(?i)(?<a>error|warn)(?:ing)?:? *(?<b>.*)", "WARNING: x"),
];

const TIMES: &[&str] = &[
    "10/Oct/2000:13:55:36 -0700",
    "2026/11/21 00:55:04",
    "Sat Nov 21 00:55:04.123456 2026",
    "21-Nov-2026 00:55:04.123",
    "2026-11-21T00:55:04.123+01:00",
    "2026-11-21 24:00:00,5 Z",
    "Nov  1 2024 23:59:60",
    "Feb 29 00:55:04 2024",
    "1700000000.25",
    "1700000000123456789",
];

fn of_log(writer: &mut Writer, bytes: &[u8]) -> io::Result<()> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let half = (head.len() / 2) as u16;
    writer.write("detect", &[&half.to_be_bytes(), head].concat())?;
    let best = detect(&CATALOG, &[bytes], None).best;
    let family = CATALOG.formats().iter().position(|format| best.as_ref().is_some_and(|best| best.format == format.name));
    let family = family.unwrap_or(CATALOG.formats().len()) as u8;
    let [a, b] = (head.len() as u16 / 3).to_be_bytes();
    let [c, d] = (head.len() as u16 / 3 * 2 + 1).to_be_bytes();
    for which in 0..4 {
        // Short ones are tried more often, long ones hold records of several lines. With the high bit, no record is too long.
        for (head, limit) in [(head, 0x80), (&head[..head.len() / 4], 0x80), (&head[..head.len() / 2], 0)] {
            writer.write("decode", &[&[family, which | limit, a, b, c, d, 63], head].concat())?;
        }
    }
    let mut scratch = Scratch::default();
    for (index, pattern) in PATTERNS.iter().enumerate() {
        let mut slots = vec![Span::NONE; pattern.matcher.captures().len()];
        let taken =
            bytes.split(|&byte| byte == b'\n').filter(|line| pattern.matcher.find(line, &mut slots, &mut scratch).is_ok());
        for line in taken.take(LINES) {
            writer.write("program_against_regex", &[&[index as u8], line].concat())?;
        }
    }
    Ok(())
}

struct Writer {
    corpora: PathBuf,
    count: usize,
}

impl Writer {
    fn write(&mut self, target: &str, input: &[u8]) -> io::Result<()> {
        let folder = self.corpora.join(target);
        fs::create_dir_all(&folder)?;
        self.count += 1;
        fs::write(folder.join(format!("seed-{:04}", self.count)), input)
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
