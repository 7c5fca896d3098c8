//! From what the user typed to a list of snapshots.
//!
//! ```text
//!   access.log            that file alone              ┐
//!   '/var/log/*.log*'     a pattern                    │   regular files, each once     Inputs
//!   /var/log -r           a folder, with all below     ├─► (by device and inode) ──►      files: Vec<Snapshot>
//!   -                     standard input               │   in rotation order              issues: Vec<FileIssue>
//!   (nothing)             the usual places: discover() ┘
//! ```
//!
//! One bad file never hides the others: each is an issue of its own, and nothing is left out without one.
//!
//! **Order.** Arguments keep the order they were typed in. What a pattern or a folder brings is sorted by folder and
//! name, numbers by value; within a rotated set the oldest comes first and the live file last, so that reading on
//! from one file to the next goes forward in time:
//! `access.log-20260101.gz`, `access.log.10.gz`, `access.log.2.gz`, `access.log.1`, `access.log`.

use std::cmp::{Ordering, Reverse};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{Severity, SourceError};
use super::glob::{self, Expansion};
use super::snapshot::{self, Compression, Encoding, FileKind, HEAD_BYTES, Snapshot};
use super::{ReadOptions, archive, packed, remote};

/// How arguments are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolveOptions {
    /// A folder means all files in it and below.
    pub recursive: bool,
    /// Follow symbolic links that a pattern or a folder brings. One that was typed is always followed.
    pub follow_symlinks: bool,
}

impl Default for ResolveOptions {
    fn default() -> Self {
        Self { recursive: false, follow_symlinks: true }
    }
}

/// The files of a query, and what was left out.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Each once, in reading order.
    pub files: Vec<Snapshot>,
    /// In the order in which they came up.
    pub issues: Vec<FileIssue>,
}

/// Why something is not among the files.
#[derive(Debug)]
pub struct FileIssue {
    /// What it is about.
    pub path: PathBuf,
    /// How much it matters: [`Severity::Loss`] if it was asked for and could not be had.
    pub severity: Severity,
    /// What it is.
    pub problem: Problem,
}

/// See [`FileIssue`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be read.
    Error(SourceError),
    /// A pattern that matches nothing.
    NoMatch,
    /// A folder that a pattern brought.
    Directory,
    /// A FIFO, socket or device that a pattern or folder brought.
    NotRegular,
    /// Names that start with a dot, in a folder.
    Hidden {
        /// How many.
        count: usize,
    },
    /// A symbolic link that is not to be followed.
    Symlink,
    /// The same file under another name.
    SameFile {
        /// The name it is read under.
        as_path: PathBuf,
    },
    /// What is wrong with an archive.
    Archive {
        /// In words.
        text: String,
    },
    /// Members of an archive that are no files.
    NoFiles {
        /// How many.
        count: usize,
    },
    /// A member of a zip archive that is encrypted.
    Encrypted,
    /// A member of a zip archive that is compressed in a way that cannot be read.
    Method {
        /// The way.
        name: String,
    },
    /// A member of a tar archive that was stored without its holes.
    SparseMember,
    /// An archive in an archive.
    NestedArchive,
    /// A member that goes on behind the end of the archive.
    CutMember {
        /// How many bytes it has.
        whole: u64,
        /// How many of them are there.
        left: u64,
    },
    /// Certainly no text log.
    NotText {
        /// What it is instead.
        reason: &'static str,
    },
}

impl FileIssue {
    pub(super) fn new(path: &Path, severity: Severity, problem: Problem) -> Self {
        Self { path: path.to_owned(), severity, problem }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            Problem::Error(error) => error.hint(),
            Problem::Directory => Some("use `-r` to read the files in it".to_owned()),
            Problem::Encrypted | Problem::Method { .. } | Problem::SparseMember | Problem::NestedArchive => {
                Some("unpack it into a folder and name that".to_owned())
            }
            Problem::NotRegular | Problem::NotText { .. } => Some("name it itself to read it all the same".to_owned()),
            _ => None,
        }
    }
}

impl fmt::Display for FileIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Error(error) => error.fmt(f),
            Problem::NoMatch => write!(f, "{path}: no file matches"),
            Problem::Directory => write!(f, "{path}: is a directory, skipped"),
            Problem::NotRegular => write!(f, "{path}: not a regular file, skipped"),
            Problem::Hidden { count: 1 } => write!(f, "{path}: 1 hidden file or folder skipped"),
            Problem::Hidden { count } => {
                write!(f, "{path}: {count} hidden files and folders skipped")
            }
            Problem::Symlink => write!(f, "{path}: symbolic link not followed"),
            Problem::SameFile { as_path } => write!(f, "{path}: the same file as {}, read once", as_path.display()),
            Problem::Archive { text } => write!(f, "{path}: {text}"),
            Problem::NoFiles { count: 1 } => write!(f, "{path}: 1 member that is no file (folder, link, device) skipped"),
            Problem::NoFiles { count } => {
                write!(f, "{path}: {count} members that are no files (folders, links, devices) skipped")
            }
            Problem::Encrypted => write!(f, "{path}: is encrypted"),
            Problem::Method { name } => write!(f, "{path}: is compressed by the method {name}, which cannot be read"),
            Problem::SparseMember => write!(f, "{path}: is a sparse member, which cannot be read"),
            Problem::NestedArchive => write!(f, "{path}: is an archive in an archive, which cannot be read"),
            Problem::CutMember { whole, left } => {
                write!(f, "{path}: the archive ends within this member; {left} of its {whole} bytes are there")
            }
            Problem::NotText { reason } => write!(f, "{path}: {reason}, skipped"),
        }
    }
}

/// Finds the files that the arguments mean.
///
/// An argument that exists is that file, whatever its name looks like; otherwise one with wildcards is a pattern.
pub fn resolve<S: AsRef<OsStr>>(args: &[S], options: &ResolveOptions) -> Inputs {
    let mut collector = Collector::new(*options);
    for arg in args {
        collector.argument(Path::new(arg));
    }
    collector.inputs
}

/// Finds the files of one place. That there are none is no issue.
pub fn resolve_place(place: &Place, options: &ResolveOptions) -> Inputs {
    let mut collector = Collector::new(*options);
    collector.place(place);
    collector.inputs
}

/// What [`discover`] found at a place.
#[derive(Debug)]
pub struct Found {
    /// The label of the [`Place`].
    pub label: &'static str,
    /// What is there.
    pub inputs: Inputs,
}

/// Finds the logs of this machine below `root`, where servers are `configured` to write them and in the usual places: those
/// places where there is something. A file that two places share is at the first one only.
pub fn discover(root: &Path, options: &ResolveOptions, configured: &[PathBuf]) -> Vec<Found> {
    let mut collector = Collector::new(*options);
    let mut found = Vec::new();
    let below = glob::escape(root);
    // Live logs first: what one server calls a rotated log may be the live log of another.
    let inside = |pattern: PathBuf| below.join(pattern.strip_prefix("/").unwrap_or(&pattern));
    let live = configured.iter().cloned().map(inside).collect();
    let rotated = configured.iter().flat_map(|pattern| rotated_names(pattern)).map(inside).collect();
    let places = [live, rotated].map(|patterns| Place { label: "configured", patterns });
    for place in places.into_iter().chain(well_known(root)) {
        collector.place(&place);
        let mut inputs = std::mem::take(&mut collector.inputs);
        // `messages*` of one place and `messages` of another: nobody typed them, so nobody wonders.
        inputs.issues.retain(|issue| !matches!(issue.problem, Problem::SameFile { .. }));
        if !inputs.files.is_empty() || !inputs.issues.is_empty() {
            found.push(Found { label: place.label, inputs });
        }
    }
    found
}

/// Patterns of the rotated logs of a live one: `access.log.1`, `access.log-20261121.gz`, `access-20261121.log`.
fn rotated_names(live: &Path) -> Vec<PathBuf> {
    let Some(name) = live.file_name().map(OsStr::as_bytes) else { return vec![] };
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    let parts = [(name, &b""[..])].into_iter().chain(dot.map(|dot| name.split_at(dot)));
    let patterns = parts.map(|(stem, ending)| {
        let middle: &[u8] = if ending.is_empty() { b"[.-]*" } else { b"[.-][0-9]*" };
        live.with_file_name(OsStr::from_bytes(&[stem, middle, ending].concat()))
    });
    patterns.collect()
}

/// Is this file the live log of the pattern (`true`), or a rotated one of it (`false`)? `None` if it is neither.
pub fn is_log_of(pattern: &Path, file: &Path) -> Option<bool> {
    let fits = |pattern: &Path| {
        let parts = |path: &Path| path.iter().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>();
        let (pattern, file) = (parts(pattern), parts(file));
        pattern.len() == file.len() && pattern.iter().zip(&file).all(|(pattern, name)| glob::matches(pattern, name))
    };
    if fits(pattern) {
        return Some(true);
    }
    rotated_names(pattern).iter().any(|rotated| fits(rotated)).then_some(false)
}

/// A usual place of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose logs they are.
    pub label: &'static str,
    /// Patterns of the files, rotated ones included.
    pub patterns: Vec<PathBuf>,
}

/// The usual places below `root` (`/`, or an image of another machine).
pub fn well_known(root: &Path) -> Vec<Place> {
    const PLACES: &[(&str, &[&str])] = &[
        ("nginx", &["var/log/nginx/*"]),
        ("apache", &["var/log/apache2/*", "var/log/httpd/*", "var/log/apache/*"]),
        ("caddy", &["var/log/caddy/*"]),
        ("lighttpd", &["var/log/lighttpd/*"]),
        ("haproxy", &["var/log/haproxy*"]),
        ("squid", &["var/log/squid/*"]),
        ("bind", &["var/log/named*", "var/log/named/*", "var/log/bind/*", "var/log/bind9/*", "var/named/data/*"]),
        ("dnsmasq", &["var/log/dnsmasq*", "var/log/pihole*", "var/log/pihole/*"]),
        ("unbound", &["var/log/unbound*", "var/log/unbound/*"]),
        ("auth", &["var/log/auth.log*", "var/log/secure*", "var/log/authlog*"]),
        ("mail", &["var/log/mail.*", "var/log/maillog*", "var/log/exim4/*", "var/log/dovecot*"]),
        ("cron", &["var/log/cron", "var/log/cron[.-]*"]),
        (
            "syslog",
            &[
                "var/log/syslog*",
                "var/log/messages*",
                "var/log/daemon.log*",
                "var/log/kern.log*",
                "var/log/user.log*",
                "var/log/debug",
                "var/log/debug[.-]*",
            ],
        ),
        ("dhcp", &["var/log/dhcpd*", "var/log/kea/*"]),
        ("firewall", &["var/log/ufw.log*", "var/log/firewalld*", "var/log/fail2ban.log*"]),
        ("audit", &["var/log/audit/*"]),
        (
            "database",
            &[
                "var/log/postgresql/*",
                "var/lib/pgsql/data/log/*",
                "var/log/mysql/*",
                "var/log/mysqld.log*",
                "var/log/mariadb/*",
                "var/log/mongodb/*",
                "var/log/redis/*",
            ],
        ),
        ("transfer", &["var/log/xferlog*", "var/log/vsftpd.log*", "var/log/proftpd/*"]),
        ("packages", &["var/log/dpkg.log*", "var/log/apt/*", "var/log/dnf*", "var/log/yum.log*"]),
    ];
    let root = glob::escape(root);
    let place = |(label, patterns): &(&'static str, &[&str])| Place {
        label,
        patterns: patterns.iter().map(|pattern| root.join(pattern)).collect(),
    };
    PLACES.iter().map(place).collect()
}

/// Who brought a path: decides what is said about it if it is no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The user typed it.
    Named,
    /// A pattern that the user typed.
    Pattern,
    /// Everything in a folder.
    Folder,
    /// A pattern of a usual place.
    Place,
}

struct Collector {
    options: ResolveOptions,
    inputs: Inputs,
    /// By device and inode (and member): the name a file is read under.
    seen: HashMap<(u64, u64, u64), PathBuf>,
}

impl Collector {
    fn new(options: ResolveOptions) -> Self {
        Self { options, inputs: Inputs::default(), seen: HashMap::new() }
    }

    fn argument(&mut self, path: &Path) {
        let exists = path.as_os_str() == "-" || path.symlink_metadata().is_ok();
        if !exists && remote::is_url(path.as_os_str()) && !path.as_os_str().as_bytes().windows(2).any(|mark| mark == b"!/") {
            return self.remote(path);
        }
        if !exists && let Some(members) = archive::named_members(path, &ReadOptions::default()) {
            return self.members(path, members);
        }
        if exists || !glob::is_pattern(path.as_os_str()) {
            return self.add(path, Origin::Named);
        }
        let expansion = glob::expand(path);
        if expansion.paths.is_empty() && expansion.errors.is_empty() {
            self.issue(path, Severity::Loss, Problem::NoMatch);
        }
        self.add_all(expansion, Origin::Pattern);
    }

    /// Objects of a store.
    fn remote(&mut self, path: &Path) {
        let objects = match remote::find(path, self.options.recursive) {
            Ok(remote::Found::Objects(objects)) => objects,
            Ok(remote::Found::Folder) => {
                return self.error(SourceError::IsDirectory { path: path.to_owned() }, Severity::Loss);
            }
            Err(error) => return self.error(error, Severity::Loss),
        };
        if objects.is_empty() {
            self.issue(path, Severity::Loss, Problem::NoMatch);
        }
        let (found, failed): (Vec<_>, Vec<_>) = objects.into_iter().partition(Result::is_ok);
        failed.into_iter().filter_map(Result::err).for_each(|error| self.error(error, Severity::Loss));
        let mut by_path: HashMap<PathBuf, Snapshot> =
            found.into_iter().flatten().map(|snapshot| (snapshot.path.clone(), snapshot)).collect();
        for path in in_rotation_order(by_path.keys().cloned().collect()) {
            by_path.remove(&path).into_iter().for_each(|snapshot| self.add_snapshot(snapshot, Origin::Pattern));
        }
    }

    /// Members of an archive that were typed.
    fn members(&mut self, path: &Path, members: Result<Inputs, SourceError>) {
        match members {
            Ok(Inputs { files: found, issues }) => {
                // What is wrong with other members was not asked for.
                let about = |issue: &FileIssue| !issue.path.as_os_str().as_bytes().contains(&b'!') || found.is_empty();
                self.inputs.issues.extend(issues.into_iter().filter(about));
                if found.is_empty() {
                    self.issue(path, Severity::Loss, Problem::NoMatch);
                }
                found.into_iter().for_each(|member| self.add_snapshot(member, Origin::Named));
            }
            Err(error) => self.error(error, Severity::Loss),
        }
    }

    fn place(&mut self, place: &Place) {
        for pattern in &place.patterns {
            self.add_all(glob::expand(pattern), Origin::Place);
        }
    }

    fn add_all(&mut self, expansion: Expansion, origin: Origin) {
        for (folder, error) in expansion.errors {
            self.error(SourceError::from_open(&folder, error), Severity::Loss);
        }
        for path in in_rotation_order(expansion.paths) {
            self.add(&path, origin);
        }
    }

    fn add(&mut self, path: &Path, origin: Origin) {
        if origin != Origin::Named && !self.is_acceptable(path, origin) {
            return;
        }
        match Snapshot::take(path) {
            Ok(snapshot) => self.add_snapshot(snapshot, origin),
            Err(SourceError::IsDirectory { .. }) if origin == Origin::Place => {}
            // A folder that was typed is its files; what is below it takes the option.
            Err(SourceError::IsDirectory { .. }) if self.options.recursive || origin == Origin::Named => self.folder(path),
            Err(SourceError::IsDirectory { .. }) if origin == Origin::Pattern => {
                self.issue(path, Severity::Note, Problem::Directory);
            }
            // It was there when the folder was listed: rotated away, or deleted. Nothing was asked for by that name.
            Err(error @ SourceError::NotFound { .. }) if origin != Origin::Named => self.error(error, Severity::Note),
            // Nobody named it, so it may be no log at all; beside a log of the table that is asked for it is one, see `LogTable`.
            Err(error @ SourceError::Unsupported { .. }) if origin == Origin::Place => self.error(error, Severity::Warning),
            Err(error) => self.error(error, Severity::Loss),
        }
    }

    /// Of something that was not typed: is it a file, by a way that may be taken?
    fn is_acceptable(&mut self, path: &Path, origin: Origin) -> bool {
        let is_link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        if is_link && !self.options.follow_symlinks {
            self.issue(path, Severity::Note, Problem::Symlink);
            return false;
        }
        match path.metadata() {
            Ok(meta) if !meta.is_file() && !meta.is_dir() => {
                if origin != Origin::Place {
                    self.issue(path, Severity::Note, Problem::NotRegular);
                }
                false
            }
            // What is wrong is said where it is opened.
            Ok(_) | Err(_) => true,
        }
    }

    fn add_snapshot(&mut self, snapshot: Snapshot, origin: Origin) {
        if matches!(origin, Origin::Folder | Origin::Place)
            && let Some(reason) = not_text(&snapshot)
        {
            return self.issue(&snapshot.path, Severity::Note, Problem::NotText { reason });
        }
        let key = snapshot.key();
        if let Some(as_path) = self.seen.get(&key) {
            let problem = Problem::SameFile { as_path: as_path.clone() };
            return self.issue(&snapshot.path, Severity::Note, problem);
        }
        self.seen.insert(key, snapshot.path.clone());
        self.inputs.files.push(snapshot);
    }

    fn folder(&mut self, folder: &Path) {
        let mut walk = Walk { above: Vec::new(), visited: HashSet::new(), files: Vec::new() };
        self.walk(folder, &mut walk);
        for path in in_rotation_order(walk.files) {
            self.add(&path, Origin::Folder);
        }
    }

    fn walk(&mut self, folder: &Path, walk: &mut Walk) {
        let listed = folder.metadata().and_then(|meta| Ok((meta, std::fs::read_dir(folder)?)));
        let (meta, entries) = match listed {
            Ok(listed) => listed,
            Err(error) => return self.error(SourceError::from_open(folder, error), Severity::Loss),
        };
        let id = (meta.dev(), meta.ino());
        if walk.above.contains(&id) {
            return self.error(SourceError::SymlinkLoop { path: folder.to_owned() }, Severity::Note);
        }
        // Two links to one folder: its files are read once anyway.
        if !walk.visited.insert(id) {
            return;
        }
        walk.above.push(id);
        let mut hidden = 0;
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_name().as_bytes().starts_with(b".") {
                hidden += 1;
            } else if entry.file_type().is_ok_and(|kind| kind.is_symlink()) && !self.options.follow_symlinks {
                self.issue(&path, Severity::Note, Problem::Symlink);
            } else if path.metadata().as_ref().is_ok_and(Metadata::is_dir) {
                if self.options.recursive {
                    self.walk(&path, walk);
                } else {
                    self.issue(&path, Severity::Note, Problem::Directory);
                }
            } else {
                walk.files.push(path);
            }
        }
        if hidden > 0 {
            self.issue(folder, Severity::Note, Problem::Hidden { count: hidden });
        }
        walk.above.pop();
    }

    fn error(&mut self, error: SourceError, severity: Severity) {
        let path = error.path().to_owned();
        self.issue(&path, severity, Problem::Error(error));
    }

    fn issue(&mut self, path: &Path, severity: Severity, problem: Problem) {
        self.inputs.issues.push(FileIssue::new(path, severity, problem));
    }
}

/// A walk through a folder, so far.
struct Walk {
    /// The folders from the first one down to the current one.
    above: Vec<(u64, u64)>,
    visited: HashSet<(u64, u64)>,
    files: Vec<PathBuf>,
}

/// Says what a file is that is certainly no text log: by its name where that is fixed, else by its content.
fn not_text(snapshot: &Snapshot) -> Option<&'static str> {
    let name = snapshot.path.file_name().unwrap_or_default().as_bytes();
    let (stem, _) = rotation(name);
    match stem {
        b"wtmp" | b"btmp" | b"utmp" => return Some("login records in binary form (see `last -f`)"),
        b"lastlog" | b"faillog" | b"tallylog" => {
            return Some("a table of logins in binary form (see `lastlog`)");
        }
        _ if stem.ends_with(b".journal") || stem.ends_with(b".journal~") => {
            return Some("a systemd journal (see `journalctl -o json`)");
        }
        _ => {}
    }
    if snapshot.kind != FileKind::Regular || snapshot.encoding != Encoding::Utf8 || snapshot.archive.is_some() {
        return None;
    }
    let file = snapshot::open_file(&snapshot.path).ok()?;
    let mut head = [0; HEAD_BYTES];
    let n = snapshot::read_full_at(&file, &mut head, 0).ok()?;
    if snapshot.compression != Compression::None {
        let mut inside = [0; HEAD_BYTES];
        return not_text_content(packed::peek(&head[..n], &mut inside));
    }
    let head = without_zeros(&head[..n]);
    if n > 0 && head.is_empty() {
        // Zero bytes at the start are what a log that was truncated under its writer has; then text follows.
        let mut tail = [0; HEAD_BYTES];
        let n = snapshot::read_full_at(&file, &mut tail, snapshot.size.saturating_sub(HEAD_BYTES as u64)).ok()?;
        let tail = without_zeros(&tail[..n]);
        return if tail.is_empty() { Some("holds only zero bytes") } else { not_text_content(tail) };
    }
    not_text_content(head)
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|b| **b == 0).count()..]
}

/// Says what bytes of a file are, if they are certainly no text.
pub fn not_text_content(bytes: &[u8]) -> Option<&'static str> {
    let is_control = |b: &&u8| matches!(b, 0x00..=0x07 | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F);
    let controls = bytes.iter().filter(is_control).count();
    (bytes.contains(&0) || controls * 10 > bytes.len()).then_some("holds binary data")
}

/// Where in a rotated set a file is, oldest first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// The digits of a date.
    Date(Vec<u8>),
    Number(Reverse<u32>),
    Live,
}

/// Splits a name into that of the live file and the rest: `access.log.2.gz` is number 2 of `access.log`.
fn rotation(name: &[u8]) -> (&[u8], Age) {
    const PACKED: [&[u8]; 7] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".Z", b".zip"];
    let name = PACKED.iter().find_map(|ending| name.strip_suffix(*ending)).unwrap_or(name);
    let is_part = |b: &&u8| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    let ending = name.iter().rev().take_while(is_part).count();
    let (stem, ending) = name.split_at(name.len() - ending);
    let digits: Vec<u8> = ending.iter().copied().filter(u8::is_ascii_digit).collect();
    if stem.is_empty() || digits.is_empty() || ending[0].is_ascii_digit() {
        return (name, Age::Live);
    }
    if digits.len() >= 8 {
        return (stem, Age::Date(digits));
    }
    let number = std::str::from_utf8(&ending[1..]).ok().and_then(|number| number.parse().ok());
    match (ending[0], number) {
        (b'.', Some(number)) => (stem, Age::Number(Reverse(number))),
        _ => (name, Age::Live),
    }
}

/// Does its name say that it was rotated away, and nobody writes to it any more?
pub fn is_rotated(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    rotation(name.as_bytes()).1 != Age::Live
}

fn in_rotation_order(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort_by(|a, b| {
        let folder = |path: &Path| path.parent().map(|folder| folder.as_os_str().to_owned()).unwrap_or_default();
        let name = |path: &Path| path.file_name().map(OsStr::to_owned).unwrap_or_default();
        let (a_name, b_name) = (name(a), name(b));
        let ((a_stem, a_age), (b_stem, b_age)) = (rotation(a_name.as_bytes()), rotation(b_name.as_bytes()));
        natural(folder(a).as_bytes(), folder(b).as_bytes())
            .then_with(|| natural(a_stem, b_stem))
            .then(a_age.cmp(&b_age))
            .then_with(|| a.cmp(b))
    });
    paths
}

/// Compares names with numbers by value: `node2` before `node10`.
fn natural(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (x, a_rest) = number(a);
            let (y, b_rest) = number(b);
            match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
                Ordering::Equal => (a, b) = (a_rest, b_rest),
                unequal => return unequal,
            }
        } else if x == y {
            (a, b) = (&a[1..], &b[1..]);
        } else {
            return x.cmp(y);
        }
    }
    a.len().cmp(&b.len())
}

/// The digits at the start, without leading zeros, and the rest.
fn number(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (digits, rest) = bytes.split_at(bytes.iter().take_while(|b| b.is_ascii_digit()).count());
    (&digits[digits.iter().take_while(|b| **b == b'0').count()..], rest)
}
