//! Patterns of file names: `*`, `?`, `[a-z]`, `[!a-z]`, `**`, and `\` before a character that means itself.
//!
//! Names are bytes, not text: a name in Latin-1 matches `*.log` like any other. As in a shell, no wildcard matches
//! the dot at the start of a name; `**` goes into folders, but not through symbolic links.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What a pattern leads to.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    /// Whatever exists and matches, each once, in no useful order.
    pub(super) paths: Vec<PathBuf>,
    /// Folders that could not be looked into.
    pub(super) errors: Vec<(PathBuf, io::Error)>,
}

/// Is it a pattern at all?
pub(super) fn is_pattern(path: &OsStr) -> bool {
    path.as_bytes().iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

/// The pattern that means just this path.
pub(super) fn escape(path: &Path) -> PathBuf {
    let mut pattern = Vec::new();
    for b in path.as_os_str().as_bytes() {
        if matches!(b, b'*' | b'?' | b'[' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*b);
    }
    PathBuf::from(std::ffi::OsString::from_vec(pattern))
}

/// All that matches the pattern now.
pub(super) fn expand(pattern: &Path) -> Expansion {
    let mut found = Expansion::default();
    let bytes = pattern.as_os_str().as_bytes();
    let base = if bytes.starts_with(b"/") { Path::new("/") } else { Path::new("") };
    let names: Vec<&[u8]> = bytes.split(|b| *b == b'/').filter(|name| !name.is_empty()).collect();
    found.descend(base, &names);
    found.paths.sort();
    found.paths.dedup();
    found
}

impl Expansion {
    fn descend(&mut self, folder: &Path, names: &[&[u8]]) {
        let Some((name, rest)) = names.split_first() else {
            return;
        };
        if *name == b"**" {
            return self.descend_any(folder, names, rest);
        }
        if !is_pattern(OsStr::from_bytes(name)) {
            let path = folder.join(OsStr::from_bytes(&unescaped(name)));
            return self.found(path, rest);
        }
        for entry in self.list(folder) {
            if matches(name, entry.file_name().as_bytes()) {
                self.found(folder.join(entry.file_name()), rest);
            }
        }
    }

    /// `**`: no folder, or any number of them.
    fn descend_any(&mut self, folder: &Path, names: &[&[u8]], rest: &[&[u8]]) {
        self.descend(folder, if rest.is_empty() { &[b"*"] } else { rest });
        for entry in self.list(folder) {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !entry.file_name().as_bytes().starts_with(b".") {
                self.descend(&folder.join(entry.file_name()), names);
            }
        }
    }

    fn found(&mut self, path: PathBuf, rest: &[&[u8]]) {
        if !rest.is_empty() {
            self.descend(&path, rest);
        } else if path.symlink_metadata().is_ok() {
            self.paths.push(path);
        }
    }

    fn list(&mut self, folder: &Path) -> Vec<std::fs::DirEntry> {
        let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match std::fs::read_dir(place) {
            Ok(entries) => entries.flatten().collect(),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Vec::new(),
            Err(error) => {
                self.errors.push((folder.to_owned(), error));
                Vec::new()
            }
        }
    }
}

fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = name.iter();
    let mut plain = Vec::new();
    while let Some(b) = bytes.next() {
        plain.push(if *b == b'\\' { *bytes.next().unwrap_or(b) } else { *b });
    }
    plain
}

/// Does the pattern of one name match all of `name`?
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") && !pattern.starts_with(b"\\.") {
        return false;
    }
    // The last `*` takes as little as possible, and one byte more each time the rest does not fit. Going back to an
    // earlier `*` is never needed, so this is no worse than pattern times name.
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
        } else if let Some((pattern_len, name_len)) = match_one(&pattern[p..], &name[n..]) {
            p += pattern_len;
            n += name_len;
        } else if let Some((after_star, from)) = retry {
            p = after_star;
            n = from + 1;
            retry = Some((after_star, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// Matches one character; returns how long it is in the pattern and in the name, which is not empty.
fn match_one(pattern: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    match pattern {
        [] => None,
        [b'?', ..] => Some((1, character_len(name))),
        [b'[', ..] if let Some((set, len)) = set_of(pattern) => is_in(set, name[0]).then_some((len, 1)),
        [b'\\', b, ..] => (*b == name[0]).then_some((2, 1)),
        [b, ..] => (*b == name[0]).then_some((1, 1)),
    }
}

/// What is between the brackets, and the length with them. `None` if they are not closed: then `[` means itself.
fn set_of(pattern: &[u8]) -> Option<(&[u8], usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    // A `]` at the first place is a member of the set.
    let first = if negated { 2 } else { 1 };
    let close = first + 1 + pattern.get(first + 1..)?.iter().position(|b| *b == b']')?;
    Some((&pattern[1..close], close + 1))
}

fn is_in(set: &[u8], b: u8) -> bool {
    let (negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let Some(first) = set.first() {
        match set {
            [low, b'-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&b);
                set = rest;
            }
            _ => {
                found |= *first == b;
                set = &set[1..];
            }
        }
    }
    found != negated
}

/// Length of the UTF-8 character at the start, or 1 if there is none.
fn character_len(name: &[u8]) -> usize {
    let len = match name[0] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if name.get(..len).is_some_and(|c| std::str::from_utf8(c).is_ok()) { len } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_as_in_a_shell() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("*", b"access.log", true),
            ("*", b"", true),
            ("*", b".hidden", false),
            (".*", b".hidden", true),
            ("*.log", b"access.log", true),
            ("*.log", b"access.log.1", false),
            ("*.log*", b"access.log.1", true),
            ("a*b*c", b"aXbXbXc", true),
            ("a*b*c", b"aXbXbX", false),
            ("access.log.?", b"access.log.1", true),
            ("access.log.?", b"access.log.10", false),
            ("?", "ä".as_bytes(), true),
            ("?", b"\xE4", true),
            ("*.log", b"\xE4\xF6.log", true),
            ("log.[0-9]", b"log.7", true),
            ("log.[0-9]", b"log.x", false),
            ("log.[!0-9]", b"log.x", true),
            ("log.[^0-9]", b"log.7", false),
            ("[]a]", b"]", true),
            ("[", b"[", true),
            ("[a", b"[a", true),
            ("\\*", b"*", true),
            ("\\*", b"x", false),
            ("a-[x-]", b"a--", true),
            ("****", b"x", true),
            ("", b"x", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), name), *expected, "{pattern} on {name:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), &[b'a'; 5000]));
    }

    #[test]
    fn an_escaped_path_matches_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a[1]*?\\");
        std::fs::create_dir(&odd).unwrap();
        std::fs::create_dir(dir.path().join("a1xx")).unwrap();
        assert_eq!(expand(&escape(&odd)).paths, [odd]);
    }
}
