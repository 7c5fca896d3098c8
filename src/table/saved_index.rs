//! What scans have found out about large files, kept from run to run.
//!
//! ```text
//!   $XDG_CACHE_HOME/logsql/index/5f3a….idx      one file per log, by device, inode and first bytes: under another name it is found
//!     checksum
//!     generation   size, times, hashes of the log's head and tail     is it still that log, has it grown, or is it another one?
//!     reading      definitions, format, zone                          is it still read in the same way?
//!     prints       hashes of 64 bytes here and there                  asked for where the times of the log do not settle it
//!     facts        by table and stretch: lines, rows, times
//!     values       by table, column and stretch: all of them, or how large the filter is that says which ones there are not
//!     points       of a gzip file: where it can be entered
//!     filters      the bits of each of them
//!     windows      the text before each of the points, packed
//! ```
//!
//! It is a cache: what is damaged, does not fit or cannot be written is as if it was not there, and nothing is said about it.
//! It is written as a by-product of scans, to a name of its own first, so that whoever writes at the same time harms nobody: one
//! of them wins.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crc32fast::Hasher as Crc;
use serde::{Deserialize, Serialize};

use super::facts::{FileFacts, TableFacts};
use super::file_index::FileIndex;
use super::file_set::LogFile;
use super::options::ScanContext;
use super::values::FileValues;
use crate::source::{FileKind, Generation, Kinship, RestartPoint, Snapshot, stable_hash};

/// What the files begin with. The number is one more whenever what is written, or how records are read, is another.
const MAGIC: &[u8; 16] = b"logsql index 2\r\n";

/// The end of their names.
const EXTENSION: &str = "idx";

/// Where the index is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Smaller files are read anew each time.
    pub min_bytes: u64,
    /// The same for compressed files.
    pub min_packed_bytes: u64,
    /// How large the folder may grow: then the files that were written first go.
    pub max_bytes: u64,
}

impl IndexOptions {
    /// In this folder, with the usual limits.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, min_bytes: 32 << 20, min_packed_bytes: 4 << 20, max_bytes: 1 << 30 }
    }

    /// Is it worth to keep what is found out about a file?
    pub fn takes(&self, snapshot: &Snapshot) -> bool {
        let least = if snapshot.is_splittable() { self.min_bytes } else { self.min_packed_bytes };
        snapshot.kind == FileKind::Regular && snapshot.member.is_none() && snapshot.archive.is_none() && snapshot.size >= least
    }

    fn path_of(&self, generation: &Generation) -> PathBuf {
        self.folder.join(format!("{:016x}.{EXTENSION}", generation.key()))
    }
}

/// What a file of the folder holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    /// The log, for people: a path need not be text.
    path: Vec<u8>,
    generation: Generation,
    reading: u64,
    prints: Vec<(u64, u64)>,
    tables: Vec<(String, TableFacts)>,
    values: FileValues,
    points: Vec<RestartPoint>,
}

/// What is known of a log from earlier runs; nothing, if it is not the one any more that it was.
pub(super) fn recall(context: &ScanContext, snapshot: &Snapshot, format: Option<&str>) -> FileIndex {
    let recall = || {
        let options = context.options.index.as_ref().filter(|options| options.takes(snapshot))?;
        let saved = read(&options.path_of(&snapshot.generation())).ok()?;
        // Where a file can be entered does not depend on how it is read.
        let is_read_so = saved.reading == reading(context, format);
        let (tables, values) = if is_read_so { (saved.tables, saved.values) } else { (Vec::new(), FileValues::default()) };
        let (tables, values) = match snapshot.since(&saved.generation) {
            Kinship::Same => (tables, values),
            Kinship::Alike if has_prints(snapshot, &saved.prints) => (tables, values),
            Kinship::Grown if snapshot.is_splittable() && has_prints(snapshot, &saved.prints) => {
                let size = saved.generation.size();
                (FileFacts::before(tables, size), values.before(size))
            }
            Kinship::Alike | Kinship::Grown | Kinship::Other => return None,
        };
        Some(FileIndex::with(FileFacts::of(tables), values, saved.points))
    };
    recall().unwrap_or_default()
}

/// Writes down what is known of a log. Whatever keeps us from that, the next run finds it out anew.
pub(super) fn keep(context: &ScanContext, file: &LogFile) {
    let Some(options) = &context.options.index else { return };
    let tables = {
        let mut facts = file.index.facts();
        if !std::mem::take(&mut facts.is_news) {
            return;
        }
        facts.to_save(if file.snapshot.is_splittable() { 0 } else { context.options.read.restart_bytes / 2 })
    };
    let Some(prints) = prints(&file.snapshot, &tables) else { return };
    let saved = Saved {
        path: std::path::absolute(&file.snapshot.path).unwrap_or_else(|_| file.snapshot.path.clone()).into_os_string().into_vec(),
        generation: file.snapshot.generation(),
        reading: reading(context, file.format.name()),
        prints,
        tables,
        values: file.index.values().clone(),
        points: file.index.points().map_or_else(Vec::new, |points| points.to_vec()),
    };
    if write(options, &saved).is_ok() {
        shrink(options);
    }
}

/// A number for the way in which records of a file are read: with another one, what was found out may not be true.
fn reading(context: &ScanContext, format: Option<&str>) -> u64 {
    let options = &context.options;
    let zone = options.zone.iana_name().map_or_else(|| format!("{:?}", options.zone), str::to_owned);
    let parts = (env!("CARGO_PKG_VERSION"), context.fingerprint(), format, zone, options.max_record_bytes);
    stable_hash(format!("{parts:?}").as_bytes())
}

/// Prints of a log at the ends of its stretches, and at its own. `None` if it cannot be read.
fn prints(snapshot: &Snapshot, tables: &[(String, TableFacts)]) -> Option<Vec<(u64, u64)>> {
    let mut ends = vec![snapshot.size];
    if snapshot.is_splittable() {
        ends.extend(tables.iter().flat_map(|(_, facts)| facts.ends()).filter(|end| *end <= snapshot.size));
    } else {
        ends.extend((1..64).map(|part| snapshot.size / 64 * part));
    }
    ends.sort_unstable();
    ends.dedup();
    let prints = snapshot.prints(&ends).ok()?;
    Some(ends.into_iter().zip(prints).collect())
}

fn has_prints(snapshot: &Snapshot, saved: &[(u64, u64)]) -> bool {
    let (ends, expected): (Vec<u64>, Vec<u64>) = saved.iter().copied().unzip();
    ends.iter().all(|end| *end <= snapshot.size) && snapshot.prints(&ends).is_ok_and(|prints| prints == expected)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.finalize().to_le_bytes()
}

fn read(path: &Path) -> io::Result<Saved> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(invalid());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(invalid)?;
    let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(invalid)?;
    if checksum(body) != *sum {
        return Err(invalid());
    }
    let (length, body) = body.split_first_chunk::<8>().ok_or_else(invalid)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| invalid())?;
    let (text, bits) = body.split_at_checked(length).ok_or_else(invalid)?;
    let mut saved: Saved = serde_json::from_slice(text)?;
    let windows = saved.values.restore(bits).ok_or_else(invalid)?;
    if !RestartPoint::restore(&mut saved.points, windows) {
        return Err(invalid());
    }
    if saved.tables.iter().all(|(_, facts)| facts.is_plausible()) { Ok(saved) } else { Err(invalid()) }
}

/// What is larger was not written by us.
const MAX_FILE_BYTES: u64 = 256 << 20;

fn write(options: &IndexOptions, saved: &Saved) -> io::Result<()> {
    let text = serde_json::to_vec(saved)?;
    let (filters, windows) = (saved.values.bits(), RestartPoint::windows(&saved.points));
    let body = [&(text.len() as u64).to_le_bytes()[..], &text, &filters, &windows].concat();
    if body.len() as u64 >= MAX_FILE_BYTES.min(options.max_bytes) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Names of logs and times of events are nobody else's business.
    DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
    let path = options.path_of(&saved.generation);
    let new = options.folder.join(format!(".{:016x}.{}.new", saved.generation.key(), std::process::id()));
    let written = write_new(&new, &[MAGIC, &checksum(&body), &body]).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    // A rest of a run that was killed, with the number of this one.
    let _ = fs::remove_file(path);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Removes what was written first, until the folder is as small as it has to be; and what runs that were killed have left.
fn shrink(options: &IndexOptions) {
    let Ok(entries) = fs::read_dir(&options.folder) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let (path, meta) = (entry.path(), entry.metadata());
        let Ok((meta, written)) = meta.and_then(|meta| meta.modified().map(|time| (meta, time))) else { continue };
        let is_old = written.elapsed().is_ok_and(|age| age.as_secs() > 3600);
        if path.extension().is_some_and(|end| end == "new") && is_old {
            let _ = fs::remove_file(&path);
        } else if path.extension().is_some_and(|end| end == EXTENSION) {
            files.push((written, meta.len(), path));
        }
    }
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    files.sort();
    for (_, size, path) in files {
        if bytes <= options.max_bytes {
            break;
        }
        if fs::remove_file(path).is_ok() {
            bytes -= size;
        }
    }
}

/// What is known of one log, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The log.
    pub path: PathBuf,
    /// Where what is known of it is kept.
    pub index: PathBuf,
    /// How large that is.
    pub index_bytes: u64,
    /// How large the log was.
    pub log_bytes: u64,
    /// Is the log still what it was, or has it only grown?
    pub is_current: bool,
    /// The tables that something is known of.
    pub tables: Vec<IndexedTable>,
}

/// What is known of the rows that one log has for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedTable {
    /// The table.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Their first and last time in microseconds.
    pub times: Option<(i64, i64)>,
    /// The columns whose values are known, at least in a part of the log.
    pub columns: Vec<String>,
}

impl IndexOptions {
    /// All that is kept, by the path of the log.
    pub fn entries(&self) -> Vec<IndexEntry> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let paths =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
        let mut all: Vec<IndexEntry> = paths.map(IndexEntry::of).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }
}

impl IndexEntry {
    /// What is no index (any more) is listed, too, so that it can be removed.
    fn of(index: PathBuf) -> Self {
        let index_bytes = fs::metadata(&index).map_or(0, |meta| meta.len());
        let Ok(saved) = read(&index) else {
            return Self { path: index.clone(), index, index_bytes, log_bytes: 0, is_current: false, tables: Vec::new() };
        };
        let path = PathBuf::from(OsString::from_vec(saved.path));
        let now = Snapshot::take(&path).ok();
        let is_current = now.is_some_and(|now| now.since(&saved.generation) != Kinship::Other);
        let tables = saved.tables.iter().map(|(name, facts)| {
            let (rows, times) = facts.totals();
            let columns = saved.values.known_columns(name);
            IndexedTable { name: name.clone(), rows, times: times.map(|bounds| (bounds.min, bounds.max)), columns }
        });
        let (tables, log_bytes) = (tables.collect(), saved.generation.size());
        Self { path, index, index_bytes, log_bytes, is_current, tables }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(folder: &Path) -> Saved {
        let log = folder.join("a.log");
        fs::write(&log, "one\ntwo\n").unwrap();
        let generation = Snapshot::take(&log).unwrap().generation();
        Saved {
            path: log.into_os_string().into_vec(),
            generation,
            reading: 7,
            prints: vec![(8, 1)],
            tables: vec![("syslog".to_owned(), TableFacts::default())],
            values: FileValues::default(),
            points: Vec::new(),
        }
    }

    #[test]
    fn what_is_damaged_is_as_if_it_was_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let options = IndexOptions::new(folder.path().join("index"));
        let saved = saved(folder.path());
        write(&options, &saved).unwrap();
        let path = options.path_of(&saved.generation);
        assert_eq!(read(&path).unwrap(), saved);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert!(read(&path).is_err(), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(read(&path).is_err(), "cut at {at}");
        }
        assert_eq!(options.entries().len(), 1);
    }

    #[test]
    fn the_folder_stays_small_and_nothing_else_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let options = IndexOptions { max_bytes: 3000, ..IndexOptions::new(folder.path().join("index")) };
        write(&options, &saved(folder.path())).unwrap();
        for at in 0..5 {
            fs::write(options.folder.join(format!("{at}.idx")), [0; 1000]).unwrap();
        }
        shrink(&options);
        let left: u64 = fs::read_dir(&options.folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(left <= 3000, "{left}");
        // Where nothing can be written, nothing is.
        let nowhere = IndexOptions::new(PathBuf::from("/proc/nowhere"));
        assert!(write(&nowhere, &saved(folder.path())).is_err());
        assert!(nowhere.entries().is_empty());
    }
}
