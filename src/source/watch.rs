//! Is an open file still what its snapshot says?
//!
//! ```text
//!   0        1 KiB                    anchor        recent prints     cursor          size - 64   size
//!   ├─ head ──┤ ···················· [64 B] ········ [64 B] [64 B] ── ▲ ················ [tail] ──┤ · appended ·
//!                └── handed out and verified ──┘└── handed out since ──┘
//! ```
//!
//! A look at size, mtime and ctime is enough as long as they do not change. If they do, the content decides: a log
//! that was appended to still has the same head, the same tail at the old size and the same bytes wherever some were
//! taken; one that was truncated and has grown past its old size has not, even if both generations start with the
//! same header.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::{Change, ChangeKind, Issue, SourceError};
use super::remote::RemoteFile;
use super::snapshot::{self, HEAD_BYTES, Snapshot, Stat, TAIL_BYTES};

/// Times of files are as coarse as the kernel's clock tick (10 ms at worst): a file written this short before it was
/// looked at may be written again without a sign.
const CLOCK_TICK_NS: i64 = 50_000_000;

/// More recent prints than this are not kept: the oldest ones say the most.
const MAX_PRINTS: usize = 64;

/// Some bytes of the file as they were when they were handed out.
#[derive(Clone, Copy, Debug)]
struct Print {
    at: u64,
    len: usize,
    hash: u64,
}

/// What is open.
#[derive(Debug)]
enum Held {
    File(File),
    /// Each request says which object it means, so there is nothing to check afterwards.
    Remote(RemoteFile),
}

/// An open file and the generation it is expected to be.
#[derive(Debug)]
pub(super) struct Watch {
    held: Held,
    snapshot: Snapshot,
    /// At the last check that went well. `None` where times cannot be relied on: the next check looks into the file.
    settled: Option<Stat>,
    anchor: Option<Print>,
    recent: Vec<Print>,
    change: Option<Change>,
    issues: Vec<Issue>,
}

impl Watch {
    /// Opens the file of `snapshot`, if it is still there, under its name or under another one in the same folder.
    pub(super) fn open(snapshot: &Snapshot) -> Result<Self, SourceError> {
        if let Some(remote) = &snapshot.remote {
            return Ok(Self::over(Held::Remote(RemoteFile::new(Arc::clone(remote))), snapshot, Vec::new()));
        }
        let mut issues = Vec::new();
        let opened = snapshot::open_file(&snapshot.path);
        let file = match opened {
            Ok(file) if is_same_inode(&file, snapshot) => file,
            Ok(_) | Err(SourceError::NotFound { .. }) => match find_renamed(snapshot) {
                Some((file, to)) => {
                    issues.push(Issue::Moved { to });
                    file
                }
                None => {
                    opened?;
                    let change = Change { kind: ChangeKind::Replaced, at: 0 };
                    return Err(SourceError::Changed { path: snapshot.path.clone(), change });
                }
            },
            Err(error) => return Err(error),
        };
        let mut watch = Self::over(Held::File(file), snapshot, issues);
        watch.verify().map_err(|change| SourceError::Changed { path: snapshot.path.clone(), change })?;
        Ok(watch)
    }

    fn over(held: Held, snapshot: &Snapshot, issues: Vec<Issue>) -> Self {
        Self {
            held,
            snapshot: snapshot.clone(),
            // Not the times of the snapshot: it may have been taken within a tick of the last write.
            settled: None,
            anchor: None,
            recent: Vec::new(),
            change: None,
            issues,
        }
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<&File> {
        match &self.held {
            Held::File(file) => Some(file),
            Held::Remote(_) => None,
        }
    }

    /// Reads at `at` what is for nobody to see.
    pub(super) fn peek_at(&mut self, buffer: &mut [u8], at: u64) -> Result<usize, SourceError> {
        let path = &self.snapshot.path;
        match &mut self.held {
            Held::File(file) => {
                snapshot::read_full_at(file, buffer, at).map_err(|source| SourceError::Read { path: path.clone(), at, source })
            }
            Held::Remote(file) => file.read_at(buffer, at).map_err(|fault| file.remote.error(path, at, fault)),
        }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn issues(&self) -> &[Issue] {
        &self.issues
    }

    /// A change that is known already.
    pub(super) fn change(&self) -> Option<Change> {
        self.change
    }

    /// Reads at `at`, never past the snapshot's size. Fewer bytes than asked for within that size mean that the
    /// file was truncated; that is remembered.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], at: u64) -> Result<usize, SourceError> {
        let left = usize::try_from(self.snapshot.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let n = match self.peek_at(&mut buffer[..want], at) {
            Ok(n) => n,
            Err(SourceError::Changed { change, .. }) => {
                self.change = Some(change);
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        if n < want {
            self.change = Some(Change { kind: ChangeKind::Truncated, at: at + n as u64 });
        }
        self.remember(&buffer[..n], at + n as u64);
        Ok(n)
    }

    /// Remembers the last of `bytes`, which end at offset `end` of the file, to look for them at the next check.
    pub(super) fn remember(&mut self, bytes: &[u8], end: u64) {
        let last = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        if !last.is_empty() && self.recent.len() < MAX_PRINTS {
            let print = Print { at: end - last.len() as u64, len: last.len(), hash: snapshot::hash(last) };
            self.recent.push(print);
        }
    }

    /// Remembers a change that was noticed elsewhere (a guarded mapping).
    pub(super) fn fail(&mut self, change: Change) {
        self.change.get_or_insert(change);
    }

    /// Has anything been done to the file since the last check, as far as its metadata tell?
    pub(super) fn verify(&mut self) -> Result<(), Change> {
        if let Some(change) = self.change {
            return Err(change);
        }
        if self.file().is_none() {
            self.recent.clear();
            return Ok(());
        }
        let checked = match self.stat() {
            Ok(now) if self.settled == Some(now) => Ok(()),
            Ok(now) => self.check(now),
            Err(_) => Err(Change { kind: ChangeKind::Unreadable, at: self.last_print() }),
        };
        match checked {
            Ok(()) => {
                self.anchor = self.recent.last().copied().or(self.anchor);
                self.recent.clear();
            }
            Err(change) => self.change = Some(change),
        }
        checked
    }

    /// Looks into the file, whatever its metadata say.
    pub(super) fn check_content(&mut self) -> Result<(), Change> {
        match self.stat() {
            Ok(now) => self.check(now),
            Err(_) => Err(Change { kind: ChangeKind::Unreadable, at: self.last_print() }),
        }
    }

    fn check(&mut self, now: Stat) -> Result<(), Change> {
        let Snapshot { size, head_hash, tail_hash, .. } = self.snapshot;
        if now.size < size {
            return Err(Change { kind: ChangeKind::Truncated, at: now.size });
        }
        let head = Print { at: 0, len: snapshot::head_bytes(size), hash: head_hash };
        let tail_len = snapshot::tail_len(size);
        let tail = Print { at: size - tail_len as u64, len: tail_len, hash: tail_hash };
        let prints = [head, tail].into_iter().chain(self.anchor).chain(self.recent.iter().copied());
        for print in prints {
            self.check_print(print)?;
        }
        if now.size > size && !self.issues.iter().any(|issue| matches!(issue, Issue::Grown { .. })) {
            self.issues.push(Issue::Grown { from: size, to: now.size });
        }
        // The times were read before the content, so a change in between is seen the next time.
        self.settled = (!is_fresh(now)).then_some(now);
        Ok(())
    }

    fn check_print(&self, print: Print) -> Result<(), Change> {
        let mut buffer = [0; HEAD_BYTES];
        let buffer = &mut buffer[..print.len];
        let Some(file) = self.file() else { return Ok(()) };
        match snapshot::read_full_at(file, buffer, print.at) {
            Ok(n) if n < print.len => Err(Change { kind: ChangeKind::Truncated, at: print.at + n as u64 }),
            Ok(_) if snapshot::hash(buffer) == print.hash => Ok(()),
            Ok(_) => Err(Change { kind: ChangeKind::Replaced, at: print.at }),
            Err(_) => Err(Change { kind: ChangeKind::Unreadable, at: print.at }),
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        match &self.held {
            Held::File(file) => Ok(Stat::of(&file.metadata()?)),
            Held::Remote(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn last_print(&self) -> u64 {
        self.recent.last().or(self.anchor.as_ref()).map_or(0, |print| print.at)
    }
}

fn is_same_inode(file: &File, snapshot: &Snapshot) -> bool {
    file.metadata().is_ok_and(|meta| (meta.dev(), meta.ino()) == (snapshot.dev, snapshot.ino))
}

/// Log rotation renames within a folder: what was `access.log` a moment ago may be `access.log.1` now.
fn find_renamed(snapshot: &Snapshot) -> Option<(File, std::path::PathBuf)> {
    use std::os::unix::fs::DirEntryExt as _;
    let folder = match snapshot.path.parent()? {
        empty if empty.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.filter(|entry| entry.ino() == snapshot.ino).find_map(|entry| {
        let file = snapshot::open_file(&entry.path()).ok()?;
        is_same_inode(&file, snapshot).then(|| (file, entry.path()))
    })
}

fn is_fresh(stat: Stat) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return true;
    };
    let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    now_ns.saturating_sub(stat.mtime_ns.max(stat.ctime_ns)) < CLOCK_TICK_NS
}
