//! What is in an archive: its members, as files with a name, a time and a place of their own.
//!
//! ```text
//!   web.tar        ├ header ┤ access.log … ├ header ┤ error.log … │      a member is a range of the file: entered at once
//!   web.zip        │ access.log … │ error.log … │ directory │            the same, each member packed by itself
//!   web.tar.zst    └──────────────── one stream ────────────────┘        solid: a member is a range of what is unpacked
//! ```
//!
//! The headers are read by the crates `tar` and `zip`, the bytes of members by the readers of this layer: nothing is ever
//! unpacked to a disk, and a name is only a name. A member may be compressed itself (`access.log.1.gz` in a tar), but no archive
//! is looked for in an archive.
//!
//! A solid archive, and one that comes in by a stream, can only be read from its beginning. A [`Pass`] is one walk through it: members that are opened in their order
//! go on where the one before has ended. What comes by while such an archive is listed is kept as far as there is room ([`Keep`]), so that
//! it need not be unpacked once more.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::{Deref, DerefMut, Range};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crc32fast::Hasher as Crc;
use memmap2::{MmapMut, MmapOptions};

use super::discover::{FileIssue, Inputs, Problem};
use super::encoding::Sniffed;
use super::error::{Change, Issue, Severity, SourceError, take_issues};
use super::glob;
use super::packed::{PackedReader, Packing};
use super::read::PlainReader;
use super::remote;
use super::snapshot::{self, Compression, FIRST_BLOCK_BYTES, FileKind, HEAD_BYTES, Nature, Snapshot};
use super::stream;
use super::watch::Watch;
use super::{ByteReader, Fill, ReadOptions};

/// What stands between the path of an archive and the name of a member.
pub const MEMBER_MARK: &str = "!/";

/// More members are left out.
const MAX_MEMBERS: usize = 1_000_000;

/// Headers between two members are some KiB; names and attributes that are longer are made to fill memory.
const MAX_HEADERS: u64 = 4 << 20;

/// A member of a solid archive up to this size is taken out whole, so that it can be read twice.
const WHOLE_BYTES: u64 = 16 << 20;

/// A kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Tape archive, perhaps compressed as a whole.
    Tar,
    /// Zip.
    Zip,
}

impl ArchiveKind {
    /// What begins like this.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }
}

/// Where a member of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The archive.
    pub(super) archive: Snapshot,
    /// Where its bytes are in the archive; if it is solid, in what is unpacked.
    pub(super) range: Range<u64>,
    /// How the archive holds them.
    packing: Packing,
    /// It can only be reached through all that is before it.
    is_solid: bool,
    /// Its bytes, where they were kept.
    kept: Slot,
}

impl Member {
    /// The archive.
    pub fn archive(&self) -> &Snapshot {
        &self.archive
    }

    /// The path of the archive.
    pub fn archive_path(&self) -> &Path {
        &self.archive.path
    }

    /// Where it begins in the archive: no other member does there.
    pub fn start(&self) -> u64 {
        self.range.start
    }

    /// Can it only be reached through all that is before it?
    pub fn is_solid(&self) -> bool {
        self.is_solid
    }

    /// Is it read from a solid archive as it comes, and not taken out whole? Then it cannot be read twice in one pass.
    pub fn is_read_through(&self) -> bool {
        self.is_solid && self.range.end - self.range.start > WHOLE_BYTES
    }

    /// Its bytes, if they were kept when the archive was listed. They are given away once.
    pub fn take_kept(&self) -> Option<KeptMember> {
        let whole = self.kept.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(KeptMember { archive: self.archive.clone(), range: self.range.clone(), whole })
    }

    /// Can its bytes be had at any offset?
    pub(super) fn is_direct(&self) -> bool {
        !self.is_solid && self.packing.compression == Compression::None
    }
}

/// Room in memory for members that come by while a solid archive is listed.
#[derive(Clone, Default)]
pub struct Keep(Option<Arc<KeepState>>);

/// Memory is taken as long as this is there.
pub type Claim = Box<dyn Any + Send + Sync>;

struct KeepState {
    max_bytes: usize,
    claim: Box<dyn Fn(usize) -> Option<Claim> + Send + Sync>,
    used: AtomicUsize,
    kept: Mutex<Vec<Weak<Mutex<Option<Whole>>>>>,
}

impl Keep {
    /// Room for so many bytes, as far as `claim` gives them. Without that nothing is kept.
    pub fn new(max_bytes: usize, claim: impl Fn(usize) -> Option<Claim> + Send + Sync + 'static) -> Self {
        let (claim, used, kept) = (Box::new(claim), AtomicUsize::new(0), Mutex::default());
        Self(Some(Arc::new(KeepState { max_bytes, claim, used, kept })))
    }

    /// Forgets what nobody has asked for.
    pub fn release(&self) {
        let Some(state) = &self.0 else { return };
        let kept = std::mem::take(&mut *state.kept.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in kept.iter().filter_map(Weak::upgrade) {
            slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    fn room(&self, bytes: usize) -> Option<Room> {
        let state = self.0.as_ref()?;
        if state.used.load(Ordering::Relaxed).saturating_add(bytes) > state.max_bytes {
            return None;
        }
        let _claim = (state.claim)(bytes)?;
        state.used.fetch_add(bytes, Ordering::Relaxed);
        Some(Room { state: Arc::clone(state), bytes, _claim })
    }

    fn hold(&self, whole: Whole) -> Slot {
        let slot = Arc::new(Mutex::new(Some(whole)));
        if let Some(state) = &self.0 {
            state.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&slot));
        }
        Slot(Some(slot))
    }
}

impl std::fmt::Debug for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keep")
    }
}

/// Memory that is taken.
struct Room {
    state: Arc<KeepState>,
    bytes: usize,
    _claim: Claim,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.state.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A member's bytes until somebody takes them. It says nothing about which member it is.
#[derive(Clone, Default)]
struct Slot(Option<Arc<Mutex<Option<Whole>>>>);

impl PartialEq for Slot {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Slot {}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

/// A member of a solid archive that is in memory; [`Pass::of`] reads it.
#[derive(Clone)]
pub struct KeptMember {
    archive: Snapshot,
    range: Range<u64>,
    whole: Whole,
}

impl std::fmt::Debug for KeptMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptMember").field("range", &self.range).finish_non_exhaustive()
    }
}

/// A member, and its first bytes where it would cost too much to ask for them later.
pub struct ListedMember {
    /// The member.
    pub snapshot: Snapshot,
    /// Of a solid archive: its first bytes, unpacked.
    pub head: Option<Vec<u8>>,
}

/// Hands out the members of an archive, in its order. What is no log text, and what is wrong with the archive, is returned.
pub fn list_members(
    archive: &Snapshot,
    options: &ReadOptions,
    head_bytes: usize,
    each: &mut dyn FnMut(ListedMember),
) -> Result<Vec<FileIssue>, SourceError> {
    let mut listing =
        Listing { archive, options, head_bytes, each, names: HashMap::new(), count: 0, special: 0, issues: Vec::new() };
    match archive.archive {
        Some(ArchiveKind::Zip) => listing.zip()?,
        Some(ArchiveKind::Tar) if archive.compression == Compression::None && archive.kind == FileKind::Regular => {
            listing.tar()?
        }
        Some(ArchiveKind::Tar) => listing.solid_tar()?,
        None => {}
    }
    if listing.special > 0 {
        let problem = Problem::NoFiles { count: listing.special };
        listing.issues.push(FileIssue::new(&archive.path, Severity::Note, problem));
    }
    Ok(listing.issues)
}

/// Finds the members that `path` names: `web.tar.zst!/var/log/*.log`. `None` if it names no member of an archive.
pub(super) fn named_members(path: &Path, options: &ReadOptions) -> Option<Result<Inputs, SourceError>> {
    let bytes = path.as_os_str().as_bytes();
    let at = memchr::memmem::find_iter(bytes, MEMBER_MARK.as_bytes());
    let (file, name) = at
        .map(|at| (Path::new(OsStr::from_bytes(&bytes[..at])), &bytes[at..]))
        .find(|(file, _)| file.is_file() || remote::is_url(file.as_os_str()))?;
    let archive = match Snapshot::take(file) {
        Ok(archive) => archive,
        Err(error) => return Some(Err(error)),
    };
    archive.archive?;
    let mut found = Vec::new();
    let listed = list_members(&archive, options, HEAD_BYTES, &mut |member: ListedMember| {
        let whole = &member.snapshot.path.as_os_str().as_bytes()[file.as_os_str().len()..];
        if whole == name || glob::matches(name, whole) {
            found.push(member.snapshot);
        }
    });
    Some(listed.map(|issues| Inputs { files: found, issues }))
}

struct Listing<'a> {
    archive: &'a Snapshot,
    options: &'a ReadOptions,
    head_bytes: usize,
    each: &'a mut dyn FnMut(ListedMember),
    /// How often each name was there.
    names: HashMap<Vec<u8>, usize>,
    count: usize,
    /// Links, folders and devices.
    special: usize,
    issues: Vec<FileIssue>,
}

/// What an archive says about a member.
struct Entry {
    path: PathBuf,
    range: Range<u64>,
    packing: Packing,
    is_solid: bool,
    mtime_ns: i64,
}

impl Listing<'_> {
    fn tar(&mut self) -> Result<(), SourceError> {
        let cursor = Cursor::new(Watch::open(self.archive)?);
        let mut tar = tar::Archive::new(cursor.clone());
        tar.set_ignore_zeros(true);
        let entries = match tar.entries_with_seek() {
            Ok(entries) => entries,
            Err(error) => return self.damaged(&error, cursor.error()),
        };
        for entry in entries {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.damaged(&error, cursor.error()),
            };
            let Some(mut found) = self.tar_entry(&mut entry, false) else { continue };
            if found.range.end > self.archive.size {
                self.cut(&mut found, self.archive.size);
            }
            if !self.push(found, None, Slot::default())? {
                break;
            }
        }
        Ok(())
    }

    fn solid_tar(&mut self) -> Result<(), SourceError> {
        let pull = Pull::new(solid_stream(self.archive, self.options)?);
        let mut tar = tar::Archive::new(pull.clone());
        tar.set_ignore_zeros(true);
        pull.allow(MAX_HEADERS);
        let mut stopped = None;
        match tar.entries() {
            Err(error) => stopped = Some(error),
            Ok(entries) => {
                for entry in entries {
                    let mut entry = match entry {
                        Ok(entry) => entry,
                        Err(error) => {
                            stopped = Some(error);
                            break;
                        }
                    };
                    // All of its bytes, then the headers of the next one.
                    let padded = entry.size().saturating_add(512).saturating_add(MAX_HEADERS);
                    pull.allow(padded);
                    let Some(mut found) = self.tar_entry(&mut entry, true) else { continue };
                    let size = usize::try_from(found.range.end - found.range.start).unwrap_or(usize::MAX);
                    let mut want = size.min(self.head_bytes);
                    let room = (size as u64 <= WHOLE_BYTES).then(|| self.options.keep.room(size)).flatten();
                    let raw_before = pull.bytes_read();
                    let mut bytes = Memory::zeroed(if room.is_some() { size } else { want });
                    let mut got = read_full(&mut entry, &mut bytes[..want]);
                    if got == want && Compression::of(&bytes[..got]) != Compression::None {
                        // Nothing comes out of some before a whole block is there.
                        want = size.min(FIRST_BLOCK_BYTES);
                        bytes = bytes.grown(want);
                        got += read_full(&mut entry, &mut bytes[got..want]);
                    }
                    if got < want {
                        let end = found.range.start + got as u64;
                        self.cut(&mut found, end);
                    }
                    let mut kept = None;
                    if let Some(room) = room.filter(|_| got == want) {
                        // A member that is cut is told of where it is read.
                        if got + read_full(&mut entry, &mut bytes[got..size]) == size {
                            kept = Some((room, pull.bytes_read() - raw_before));
                        }
                    }
                    let bytes = Arc::new(bytes);
                    let kept = kept.map(|(room, raw_bytes)| {
                        let whole =
                            Whole { bytes: Arc::clone(&bytes), issues: Vec::new(), raw_bytes, _room: Some(Arc::new(room)) };
                        self.options.keep.hold(whole)
                    });
                    let head = Head { bytes, len: got };
                    if !self.push(found, Some(head), kept.unwrap_or_default())? {
                        break;
                    }
                }
            }
        }
        let (error, issues) = pull.end();
        // What was kept is of this generation of the archive, or forgotten.
        if error.is_some() || pull.has_changed() {
            self.options.keep.release();
        }
        // What the compressed data are like says more than what the tar crate makes of their end.
        let lossy = issues.iter().any(|issue| issue.severity() == Severity::Loss);
        self.issues.extend(issues.into_iter().map(|issue| {
            let severity = issue.severity();
            FileIssue::new(&self.archive.path, severity, Problem::Archive { text: issue.to_string() })
        }));
        match (stopped, error) {
            (_, Some(error)) => Err(error),
            (Some(stopped), None) if !lossy => self.damaged(&stopped, None),
            _ => Ok(()),
        }
    }

    /// `None` if it is no file.
    fn tar_entry(&mut self, entry: &mut tar::Entry<'_, impl Read>, is_solid: bool) -> Option<Entry> {
        let kind = entry.header().entry_type();
        let name = entry.path_bytes().into_owned();
        let is_sparse = kind.is_gnu_sparse() || has_sparse_key(entry);
        if is_sparse {
            let path = self.member_path(&name);
            self.issues.push(FileIssue::new(&path, Severity::Loss, Problem::SparseMember));
            return None;
        }
        if !(kind.is_file() || kind.is_contiguous()) || name.ends_with(b"/") {
            self.special += 1;
            return None;
        }
        let start = entry.raw_file_position();
        let mtime_ns = entry.header().mtime().map_or(0, |seconds| ns_of(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let range = start..start.saturating_add(entry.size());
        Some(Entry { path: self.member_path(&name), range, packing: Compression::None.into(), is_solid, mtime_ns })
    }

    fn zip(&mut self) -> Result<(), SourceError> {
        let cursor = Cursor::new(Watch::open(self.archive)?);
        let mut zip = match zip::ZipArchive::new(cursor.clone()) {
            Ok(zip) => zip,
            Err(error) => return self.damaged(&io::Error::other(error), cursor.error()),
        };
        if zip.has_overlapping_entries().unwrap_or(false) {
            let text = "its members overlap: this looks like a decompression bomb".to_owned();
            self.issues.push(FileIssue::new(&self.archive.path, Severity::Loss, Problem::Archive { text }));
            return Ok(());
        }
        for at in 0..zip.len() {
            let entry = match zip.by_index_raw(at) {
                Ok(entry) => entry,
                Err(error) => {
                    let text = format!("member {} cannot be read: {error}", at + 1);
                    self.issues.push(FileIssue::new(&self.archive.path, Severity::Loss, Problem::Archive { text }));
                    continue;
                }
            };
            let name = entry.name_raw().to_vec();
            if !entry.is_file() || name.ends_with(b"/") {
                self.special += 1;
                continue;
            }
            let path = self.member_path(&name);
            let packing = Packing::of_zip(entry.compression(), entry.crc32());
            let problem = match packing {
                _ if entry.encrypted() => Some(Problem::Encrypted),
                None => Some(Problem::Method { name: entry.compression().to_string() }),
                Some(_) => None,
            };
            if let Some(problem) = problem {
                self.issues.push(FileIssue::new(&path, Severity::Loss, problem));
                continue;
            }
            let Some((start, packing)) = entry.data_start().zip(packing) else { continue };
            let range = start..start.saturating_add(entry.compressed_size());
            let mtime_ns = entry.last_modified().map_or(0, dos_time_ns);
            let mut found = Entry { path, range, packing, is_solid: false, mtime_ns };
            drop(entry);
            if found.range.end > self.archive.size {
                self.cut(&mut found, self.archive.size);
            }
            if !self.push(found, None, Slot::default())? {
                break;
            }
        }
        Ok(())
    }

    /// The path of a member, which no other member of the archive has.
    fn member_path(&mut self, name: &[u8]) -> PathBuf {
        let mut name = name;
        while let Some(rest) = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/")) {
            name = rest;
        }
        let mut path = self.archive.path.as_os_str().as_bytes().to_vec();
        path.extend_from_slice(MEMBER_MARK.as_bytes());
        path.extend_from_slice(name);
        let count = self.names.entry(name.to_vec()).or_insert(0);
        *count += 1;
        if *count > 1 {
            path.extend_from_slice(format!("#{count}").as_bytes());
        }
        PathBuf::from(OsString::from_vec(path))
    }

    /// Hands a member out. `false` once there are too many.
    fn push(&mut self, entry: Entry, head: Option<Head>, kept: Slot) -> Result<bool, SourceError> {
        self.count += 1;
        if self.count > MAX_MEMBERS {
            let text = format!("has more than {MAX_MEMBERS} members; the rest is left out");
            self.issues.push(FileIssue::new(&self.archive.path, Severity::Loss, Problem::Archive { text }));
            return Ok(false);
        }
        let member = Arc::new(Member {
            archive: self.archive.clone(),
            range: entry.range.clone(),
            packing: entry.packing,
            is_solid: entry.is_solid,
            kept,
        });
        let first = match &head {
            Some(head) => head.bytes[..head.len.min(HEAD_BYTES)].to_vec(),
            None => {
                let mut reader = unpacked(&Pass::default(), &member, 0, self.options)?;
                let bytes = reader.fill(HEAD_BYTES)?.bytes;
                bytes[..bytes.len().min(HEAD_BYTES)].to_vec()
            }
        };
        let nature = Nature::of(&first);
        if nature.archive.is_some() {
            self.issues.push(FileIssue::new(&entry.path, Severity::Loss, Problem::NestedArchive));
            return Ok(true);
        }
        if let Some(what) = nature.unsupported {
            let error = SourceError::Unsupported { path: entry.path.clone(), what };
            self.issues.push(FileIssue::new(&entry.path, Severity::Loss, Problem::Error(error)));
            return Ok(true);
        }
        let snapshot = Snapshot {
            path: entry.path,
            kind: FileKind::Regular,
            dev: self.archive.dev,
            ino: self.archive.ino,
            size: entry.range.end - entry.range.start,
            mtime_ns: entry.mtime_ns,
            ctime_ns: self.archive.ctime_ns,
            head_hash: snapshot::hash(&first),
            tail_hash: 0,
            compression: nature.compression,
            encoding: nature.encoding,
            bom_len: nature.bom_len,
            sparse: false,
            gzip_mtime_s: nature.gzip_mtime_s,
            archive: None,
            member: Some(member),
            remote: None,
        };
        // Where its text is still hidden, whoever wants to see it has to open the member.
        let head = head.filter(|_| entry.is_solid).map(|head| self.text_of(&snapshot, head)).transpose()?;
        let head = head.filter(|text| !text.is_empty() || snapshot.size == 0);
        (self.each)(ListedMember { snapshot, head });
        Ok(true)
    }

    /// The text that the first bytes of a member are.
    fn text_of(&self, snapshot: &Snapshot, head: Head) -> Result<Vec<u8>, SourceError> {
        let whole = Whole { bytes: head.bytes, issues: Vec::new(), raw_bytes: 0, _room: None };
        let bytes = Box::new(WholeReader { whole, at: 0, end: head.len });
        let mut reader = text_reader(bytes, snapshot, self.options);
        let bytes = reader.fill(self.head_bytes)?.bytes;
        Ok(bytes[..bytes.len().min(self.head_bytes)].to_vec())
    }

    /// The archive ends before the member does.
    fn cut(&mut self, entry: &mut Entry, end: u64) {
        let whole = entry.range.end - entry.range.start;
        entry.range.end = end.max(entry.range.start);
        let left = entry.range.end - entry.range.start;
        self.issues.push(FileIssue::new(&entry.path, Severity::Loss, Problem::CutMember { whole, left }));
    }

    fn damaged(&mut self, error: &io::Error, source: Option<SourceError>) -> Result<(), SourceError> {
        if let Some(source) = source {
            return Err(source);
        }
        let text = format!("the archive is damaged, and only {} of its members could be found: {error}", self.count);
        self.issues.push(FileIssue::new(&self.archive.path, Severity::Loss, Problem::Archive { text }));
        Ok(())
    }
}

/// Sparse members in the manner of newer GNU tar: their map is in attributes, or in front of their data.
fn has_sparse_key(entry: &mut tar::Entry<'_, impl Read>) -> bool {
    let Ok(Some(extensions)) = entry.pax_extensions() else { return false };
    extensions.flatten().any(|extension| extension.key_bytes().starts_with(b"GNU.sparse."))
}

/// Reads until `bytes` are full or the entry ends, and says how many they are.
fn read_full(entry: &mut impl Read, bytes: &mut [u8]) -> usize {
    let mut got = 0;
    while got < bytes.len() {
        match entry.read(&mut bytes[got..]) {
            Ok(0) | Err(_) => break,
            Ok(n) => got += n,
        }
    }
    got
}

/// The first bytes of a member.
struct Head {
    bytes: Arc<Memory>,
    len: usize,
}

/// Bytes of a member. They come by once and stay for long: large ones get their pages from the system in one go, where the
/// allocator's would be got one by one as they are written to.
enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

/// What is smaller is not worth a mapping, of which a process can have some ten thousand.
const MAPPED_BYTES: usize = 128 << 10;

impl Memory {
    fn zeroed(len: usize) -> Self {
        let mapped = (len >= MAPPED_BYTES).then(|| MmapOptions::new().len(len).populate().map_anon().ok()).flatten();
        mapped.map_or_else(|| Self::Heap(vec![0; len]), Self::Mapped)
    }

    /// The same, and room for more if there is too little.
    fn grown(self, len: usize) -> Self {
        if self.len() >= len {
            return self;
        }
        let mut larger = Self::zeroed(len);
        larger[..self.len()].copy_from_slice(&self);
        larger
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

fn ns_of(seconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000)
}

/// Zip has local time without a zone; that is near enough for the year of a line.
fn dos_time_ns(time: zip::DateTime) -> i64 {
    let date = jiff::civil::DateTime::new(
        i16::try_from(time.year()).unwrap_or(1980),
        time.month() as i8,
        time.day() as i8,
        time.hour() as i8,
        time.minute() as i8,
        (time.second() as i8).min(59),
        0,
    );
    let zoned = date.ok().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    zoned.map_or(0, |zoned| ns_of(zoned.timestamp().as_second()))
}

/// A place in a plain file, for those who want to read and seek.
#[derive(Clone)]
struct Cursor {
    inner: Rc<RefCell<CursorState>>,
}

struct CursorState {
    watch: Watch,
    at: u64,
    /// A block of the file and where it begins: headers are small, and lie beside each other in a directory.
    block: Vec<u8>,
    block_at: u64,
    error: Option<SourceError>,
}

/// How much a [`Cursor`] reads at once.
const CURSOR_BLOCK: usize = 16 << 10;

impl Cursor {
    fn new(watch: Watch) -> Self {
        let state = CursorState { watch, at: 0, block: Vec::new(), block_at: 0, error: None };
        Self { inner: Rc::new(RefCell::new(state)) }
    }

    /// What made a read fail.
    fn error(&self) -> Option<SourceError> {
        self.inner.borrow_mut().error.take()
    }
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let state = &mut *self.inner.borrow_mut();
        let within = state.at.checked_sub(state.block_at).and_then(|from| usize::try_from(from).ok());
        let mut from = within.filter(|from| *from < state.block.len());
        if from.is_none() {
            state.block.resize(CURSOR_BLOCK, 0);
            match state.watch.read_at(&mut state.block, state.at) {
                Ok(n) => state.block.truncate(n),
                Err(error) => {
                    state.block.clear();
                    let told = io::Error::other(error.to_string());
                    state.error = Some(error);
                    return Err(told);
                }
            }
            state.block_at = state.at;
            from = Some(0);
        }
        let bytes = &state.block[from.unwrap_or(0)..];
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        state.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let state = &mut *self.inner.borrow_mut();
        let size = state.watch.snapshot().size;
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => state.at.checked_add_signed(by),
            SeekFrom::End(by) => size.checked_add_signed(by),
        };
        state.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(state.at)
    }
}

/// A reader as the tar crate wants one. It gives out no more than is allowed: what is read as a header is kept in memory.
#[derive(Clone)]
struct Pull {
    inner: Rc<RefCell<PullState>>,
}

struct PullState {
    reader: Box<dyn ByteReader>,
    allowed: u64,
    error: Option<SourceError>,
}

impl Pull {
    fn new(reader: Box<dyn ByteReader>) -> Self {
        Self { inner: Rc::new(RefCell::new(PullState { reader, allowed: 0, error: None })) }
    }

    fn allow(&self, bytes: u64) {
        self.inner.borrow_mut().allowed = bytes;
    }

    /// How much of the archive was read.
    fn bytes_read(&self) -> u64 {
        self.inner.borrow().reader.bytes_read()
    }

    /// Is the archive another one since it was opened?
    fn has_changed(&self) -> bool {
        self.inner.borrow_mut().reader.verify().is_err()
    }

    /// What made a read fail, and what was odd about the compressed data, which are read to their end.
    fn end(&self) -> (Option<SourceError>, Vec<Issue>) {
        let state = &mut *self.inner.borrow_mut();
        let mut error = state.error.take();
        while error.is_none() {
            match state.reader.fill(1) {
                Ok(Fill { bytes: [], end: true }) => break,
                Ok(Fill { bytes, .. }) => {
                    let n = bytes.len();
                    state.reader.consume(n);
                }
                Err(failed) => error = Some(failed),
            }
        }
        (error, state.reader.issues().to_vec())
    }
}

impl Read for Pull {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let state = &mut *self.inner.borrow_mut();
        if state.allowed == 0 {
            return Err(io::Error::other("a header is larger than any that is meant to be read"));
        }
        loop {
            let Fill { bytes, end } = match state.reader.fill(1) {
                Ok(fill) => fill,
                Err(error) => {
                    let told = io::Error::other(error.to_string());
                    state.error = Some(error);
                    return Err(told);
                }
            };
            if bytes.is_empty() && !end {
                continue;
            }
            let allowed = usize::try_from(state.allowed).unwrap_or(usize::MAX);
            let n = bytes.len().min(out.len()).min(allowed);
            out[..n].copy_from_slice(&bytes[..n]);
            state.reader.consume(n);
            state.allowed -= n as u64;
            return Ok(n);
        }
    }
}

/// All that is in a solid archive, unpacked.
fn solid_stream(archive: &Snapshot, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
    if archive.kind != FileKind::Regular {
        let raw = stream::open(archive, options)?;
        return Ok(match PackedReader::new(archive.compression.into(), options) {
            Some(over) => Box::new(over(raw)),
            None => raw,
        });
    }
    let raw = Box::new(PlainReader::new(Watch::open(archive)?, 0, options));
    Ok(match PackedReader::new(archive.compression.into(), options) {
        Some(over) => Box::new(over(raw).of_file()),
        None => raw,
    })
}

/// The bytes of a member as they were put into the archive.
fn unpacked(pass: &Pass, member: &Member, start: u64, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
    if member.is_solid {
        return pass.reader(member, options);
    }
    let raw = Box::new(PlainReader::window(Watch::open(&member.archive)?, &member.range, start, options));
    let bytes: Box<dyn ByteReader> = match PackedReader::new(member.packing, options) {
        Some(over) => Box::new(over(raw)),
        None => raw,
    };
    // Who enters it in the middle does not see all that the checksum is of. (What is deflated checks it itself.)
    Ok(match member.packing.crc.filter(|_| start == 0 && member.packing.compression != Compression::Deflate) {
        Some(expected) => {
            Box::new(Checked { bytes, crc: Crc::new(), expected, at_end: member.range.end, issues: Vec::new(), taken: 0 })
        }
        None => bytes,
    })
}

/// [`ByteReader`] that looks at the checksum of what was read from begin to end.
struct Checked {
    bytes: Box<dyn ByteReader>,
    crc: Crc,
    expected: u32,
    at_end: u64,
    issues: Vec<Issue>,
    taken: usize,
}

impl ByteReader for Checked {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        self.bytes.fill(min)
    }

    fn consume(&mut self, n: usize) {
        if n > 0
            && let Ok(Fill { bytes, end }) = self.bytes.fill(n)
        {
            self.crc.update(&bytes[..n]);
            let is_over = end && n == bytes.len();
            self.bytes.consume(n);
            take_issues(&mut self.issues, &mut self.taken, self.bytes.issues());
            // Data that end early have no checksum to be right.
            if is_over
                && self.crc.clone().finalize() != self.expected
                && self.issues.iter().all(|issue| issue.severity() != Severity::Loss)
            {
                self.issues.push(Issue::Checksum { at: self.at_end });
            }
        }
    }

    fn verify(&mut self) -> Result<(), Change> {
        let verified = self.bytes.verify();
        take_issues(&mut self.issues, &mut self.taken, self.bytes.issues());
        verified
    }

    fn issues(&self) -> &[Issue] {
        if self.taken == self.bytes.issues().len() { &self.issues } else { self.bytes.issues() }
    }

    fn bytes_read(&self) -> u64 {
        self.bytes.bytes_read()
    }

    fn offset(&self) -> u64 {
        self.bytes.offset()
    }

    fn begins(&self) -> super::Begins {
        self.bytes.begins()
    }
}

/// Opens a member.
pub(super) fn open(
    pass: &Pass,
    snapshot: &Snapshot,
    member: &Member,
    start: u64,
    options: &ReadOptions,
) -> Result<Box<dyn ByteReader>, SourceError> {
    if snapshot.is_splittable() {
        return unpacked(pass, member, start.max(u64::from(snapshot.bom_len)), options);
    }
    Ok(text_reader(unpacked(pass, member, 0, options)?, snapshot, options))
}

/// The text that the bytes of a member are.
fn text_reader(bytes: Box<dyn ByteReader>, snapshot: &Snapshot, options: &ReadOptions) -> Box<dyn ByteReader> {
    let text = match PackedReader::new(snapshot.compression.into(), options) {
        Some(over) => Box::new(over(bytes)),
        None => bytes,
    };
    Box::new(Sniffed::decompressed(text, snapshot.path.clone(), options))
}

/// One walk through a solid archive. Members that are opened in their order cost one unpacking of the archive altogether.
#[derive(Clone, Default)]
pub struct Pass {
    state: Arc<Mutex<PassState>>,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass")
    }
}

#[derive(Default)]
struct PassState {
    /// The archive as far as nobody has read it yet.
    stream: Option<(Snapshot, Box<dyn ByteReader>)>,
    /// The member that was opened last, if it is small.
    last: Option<(Snapshot, Range<u64>, Whole)>,
    /// The member that was kept when the archive was listed.
    kept: Option<KeptMember>,
}

/// A member that was taken out whole.
#[derive(Clone)]
struct Whole {
    bytes: Arc<Memory>,
    issues: Vec<Issue>,
    raw_bytes: u64,
    _room: Option<Arc<Room>>,
}

impl Pass {
    /// A walk that needs the archive for no more than what is before it.
    pub fn of(kept: &KeptMember) -> Self {
        let pass = Self::default();
        pass.state().kept = Some(kept.clone());
        pass
    }

    fn state(&self) -> MutexGuard<'_, PassState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self, member: &Member, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
        let mut state = self.state();
        if let Some((archive, range, whole)) = &state.last
            && *range == member.range
            && *archive == member.archive
        {
            return Ok(Box::new(WholeReader::of(Whole { raw_bytes: 0, ..whole.clone() })));
        }
        state.last = None;
        let is_kept = |kept: &mut KeptMember| kept.range == member.range && kept.archive == member.archive;
        if let Some(KeptMember { archive, range, whole }) = state.kept.take_if(is_kept) {
            state.last = Some((archive, range, whole.clone()));
            return Ok(Box::new(WholeReader::of(whole)));
        }
        let behind = |(archive, stream): &(Snapshot, Box<dyn ByteReader>)| {
            *archive == member.archive && stream.offset() <= member.range.start
        };
        let mut stream = match state.stream.take().filter(behind) {
            Some((_, stream)) => stream,
            None => solid_stream(&member.archive, options)?,
        };
        drop(state);
        skip(stream.as_mut(), member.range.start)?;
        let raw_before = stream.bytes_read();
        let mut reader = SolidReader {
            left: member.range.end - member.range.start,
            size: member.range.end - member.range.start,
            taken: stream.issues().len(),
            issues: Vec::new(),
            raw_before,
            archive: member.archive.clone(),
            pass: self.clone(),
            stream: Some(stream),
        };
        if reader.size > WHOLE_BYTES {
            return Ok(Box::new(reader));
        }
        let mut bytes = Vec::with_capacity(reader.size as usize);
        loop {
            let Fill { bytes: more, end } = reader.fill(1)?;
            let n = more.len();
            bytes.extend_from_slice(more);
            reader.consume(n);
            if end {
                break;
            }
        }
        reader.verify().map_err(|change| SourceError::Changed { path: member.archive.path.clone(), change })?;
        let bytes = Arc::new(Memory::Heap(bytes));
        let whole = Whole { bytes, issues: reader.issues.clone(), raw_bytes: reader.bytes_read(), _room: None };
        drop(reader);
        self.state().last = Some((member.archive.clone(), member.range.clone(), whole.clone()));
        Ok(Box::new(WholeReader::of(whole)))
    }
}

/// Moves a reader to `offset`, or to its end.
fn skip(stream: &mut dyn ByteReader, offset: u64) -> Result<(), SourceError> {
    while stream.offset() < offset {
        let left = usize::try_from(offset - stream.offset()).unwrap_or(usize::MAX);
        let Fill { bytes, end } = stream.fill(1)?;
        let n = bytes.len().min(left);
        if n == 0 && end {
            break;
        }
        stream.consume(n);
    }
    Ok(())
}

/// [`ByteReader`] over a member that is in memory.
struct WholeReader {
    whole: Whole,
    at: usize,
    end: usize,
}

impl WholeReader {
    fn of(whole: Whole) -> Self {
        Self { at: 0, end: whole.bytes.len(), whole }
    }
}

impl ByteReader for WholeReader {
    fn fill(&mut self, _min: usize) -> Result<Fill<'_>, SourceError> {
        Ok(Fill { bytes: &self.whole.bytes[self.at..self.end], end: true })
    }

    fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.at, "more consumed than was filled");
        self.at = self.end.min(self.at + n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        Ok(())
    }

    fn issues(&self) -> &[Issue] {
        &self.whole.issues
    }

    fn bytes_read(&self) -> u64 {
        self.whole.raw_bytes
    }

    fn offset(&self) -> u64 {
        self.at as u64
    }
}

/// [`ByteReader`] over a range of a stream, which goes back to the pass.
struct SolidReader {
    pass: Pass,
    archive: Snapshot,
    /// There until the reader is dropped.
    stream: Option<Box<dyn ByteReader>>,
    size: u64,
    left: u64,
    issues: Vec<Issue>,
    taken: usize,
    raw_before: u64,
}

impl ByteReader for SolidReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        let Some(stream) = &mut self.stream else { return Ok(Fill { bytes: &[], end: true }) };
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(Fill { bytes: &[], end: true });
        }
        let is_short = {
            let Fill { bytes, end } = stream.fill(min.clamp(1, left))?;
            end && bytes.len() < left
        };
        if is_short {
            // The archive ends within the member: what is wrong with it is wrong with the member.
            take_issues(&mut self.issues, &mut self.taken, stream.issues());
        }
        let Fill { bytes, end } = stream.fill(min.clamp(1, left))?;
        let n = bytes.len().min(left);
        Ok(Fill { bytes: &bytes[..n], end: end || n == left })
    }

    fn consume(&mut self, n: usize) {
        self.left -= n as u64;
        if let Some(stream) = &mut self.stream {
            stream.consume(n);
        }
    }

    fn verify(&mut self) -> Result<(), Change> {
        self.stream.as_mut().map_or(Ok(()), |stream| stream.verify())
    }

    fn issues(&self) -> &[Issue] {
        &self.issues
    }

    fn bytes_read(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.bytes_read() - self.raw_before)
    }

    fn offset(&self) -> u64 {
        self.size - self.left
    }
}

impl Drop for SolidReader {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.pass.state().stream = Some((self.archive.clone(), stream));
        }
    }
}
