//! What a file was when the list of files was made.
//!
//! ```text
//!   identity   dev, inode                          the same file under any name
//!   state      size, mtime, ctime                  has anything happened to it?
//!   content    hash of the first 1 KiB             another log under the same inode (copytruncate, inode reuse)
//!              hash of the last 64 bytes           the same head, but not the same log any more
//!   nature     kind, compression, encoding, holes  how to read it: by content, never by name
//! ```
//!
//! An inode number alone is never trusted: a log that was deleted and made anew often has the old one. A snapshot
//! holds no file open.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive::{ArchiveKind, Member};
use super::error::{Change, ChangeKind, SourceError, Unsupported};
use super::remote::{self, Remote};
use super::watch::Watch;
use super::{document, extent, packed};

/// How much of the beginning is part of a file's identity.
pub(super) const HEAD_BYTES: usize = 1024;

/// How much of the end, and of what was handed out last, is.
pub(super) const TAIL_BYTES: usize = 64;

/// Compressed files that are smaller are unpacked before a second reader would be at work.
const SHARED_BYTES: u64 = 1 << 20;

/// So much of a text says whether it is an archive.
pub(super) const TELLING_BYTES: usize = 512;

/// zstd, bzip2 and lz4 give nothing out before their first block is complete. Those of lz4 are the largest.
pub(super) const FIRST_BLOCK_BYTES: usize = (4 << 20) + 1024;

/// How something can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file on a disk: it has a size and can be read at any offset.
    Regular,
    /// A FIFO, a character device or a virtual file (`/proc`): once, from its beginning, to an end not known before.
    Stream,
    /// The standard input, where it is not a file on a disk.
    Stdin,
}

/// How the bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all. Of a stream: not known before it is read.
    None,
    /// Gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
    /// XZ, of one or more streams.
    Xz,
    /// bzip2, of one or more streams.
    Bzip2,
    /// lz4, of one or more frames.
    Lz4,
    /// Deflate without a frame of its own, as in zip archives.
    Deflate,
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Deflate => "deflate",
        })
    }
}

/// How the (uncompressed) bytes are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, or any bytes that are not marked as something else.
    Utf8,
    /// UTF-16, low byte first, by its byte order mark.
    Utf16Le,
    /// UTF-16, high byte first, by its byte order mark.
    Utf16Be,
    /// JSON over several lines or in an array, in UTF-8.
    Documents,
}

/// What a file was when something was found out about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    dev: u64,
    ino: u64,
    head_hash: u64,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    tail_hash: u64,
}

impl Generation {
    /// What a file keeps as it grows, and under another name.
    pub fn key(&self) -> u64 {
        let parts = [self.dev, self.ino, self.head_hash];
        hash(&parts.map(u64::to_le_bytes).concat())
    }

    /// How large it was.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What a file is to one that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// It is that one.
    Same,
    /// It may be that one, renamed or touched, or written anew with its old times put back.
    Alike,
    /// It may be that one, and has grown.
    Grown,
    /// It is another one.
    Other,
}

/// Which generation of which file: taken when the file list is made, checked before and while it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The path as it was given.
    pub path: PathBuf,
    /// How it can be read.
    pub kind: FileKind,
    /// Device of the file.
    pub dev: u64,
    /// Inode of the file.
    pub ino: u64,
    /// Size in (compressed) bytes; 0 for a stream.
    pub size: u64,
    /// Time of the last modification, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Time of the last change of data or inode, in nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Hash of the first 1 KiB, or of all that was there; 0 for a stream.
    pub head_hash: u64,
    /// Hash of the last 64 bytes, or of all that was there; 0 for a stream.
    pub tail_hash: u64,
    /// By content.
    pub compression: Compression,
    /// By byte order mark.
    pub encoding: Encoding,
    /// Length of a UTF-8 byte order mark at the start of a plain file: 3, or 0 without one.
    pub bom_len: u8,
    /// It has holes, so that it is worth asking where data is.
    pub sparse: bool,
    /// The time in the gzip header, in seconds since 1970; 0 if there is none.
    pub gzip_mtime_s: u32,
    /// It is an archive: its members are what there is to read.
    pub archive: Option<ArchiveKind>,
    /// It is a member of an archive: where it is there. `dev` and `ino` are those of the archive, `size` is what it takes there.
    pub member: Option<Arc<Member>>,
    /// It is an object of a store or of a web server. `dev` and `ino` are made of its address, `ctime_ns` of its ETag.
    pub(super) remote: Option<Arc<Remote>>,
}

impl Snapshot {
    /// Looks at what is at `path`; `-` is the standard input.
    ///
    /// A FIFO or a device is not opened for it: that alone can end a writer, or start a watchdog.
    pub fn take(path: &Path) -> Result<Self, SourceError> {
        if path.as_os_str() == OsStr::new("-") {
            return Self::take_stdin();
        }
        if remote::is_url(path.as_os_str()) {
            return remote::take(path);
        }
        let meta = std::fs::metadata(path).map_err(|source| SourceError::from_open(path, source))?;
        if let Some(error) = unreadable_kind(path, &meta) {
            return Err(error);
        }
        if !meta.is_file() {
            return Ok(Self::of_stream(path, FileKind::Stream, &meta));
        }
        let file = open_file(path)?;
        // A live file may be truncated between the look at its size and the look into it: look again.
        let mut last = Change { kind: ChangeKind::Replaced, at: 0 };
        for _ in 0..8 {
            match Self::of_file(path, &file) {
                Ok(Ok(snapshot)) => return Ok(snapshot),
                Ok(Err(change)) => last = change,
                Err(error) => return Err(error),
            }
        }
        Err(SourceError::Changed { path: path.to_owned(), change: last })
    }

    /// Can it be entered in the middle? True of plain UTF-8 files on a disk.
    pub fn is_splittable(&self) -> bool {
        let is_text = self.compression == Compression::None && self.encoding == Encoding::Utf8;
        self.kind == FileKind::Regular && is_text && self.member.as_ref().is_none_or(|member| member.is_direct())
    }

    /// What no other file has.
    pub fn key(&self) -> (u64, u64, u64) {
        (self.dev, self.ino, self.member.as_ref().map_or(u64::MAX, |member| member.range.start))
    }

    /// Is it worth to be read by several at once, though it cannot be entered in the middle? See [`share`](super::share).
    pub fn is_shareable(&self) -> bool {
        let is_packed_text = self.compression != Compression::None && self.encoding == Encoding::Utf8;
        self.kind == FileKind::Regular && is_packed_text && self.member.is_none() && self.size >= SHARED_BYTES
    }

    /// What has to stay the same for what is found out about it to stay true.
    pub fn generation(&self) -> Generation {
        let Self { dev, ino, head_hash, size, mtime_ns, ctime_ns, tail_hash, .. } = *self;
        Generation { dev, ino, head_hash, size, mtime_ns, ctime_ns, tail_hash }
    }

    /// What it is to the file that was there `then`, as far as this can be told without a look into it.
    pub fn since(&self, then: &Generation) -> Kinship {
        let now = self.generation();
        if now == *then {
            return Kinship::Same;
        }
        let is_like = Generation { ctime_ns: then.ctime_ns, ..now } == *then;
        match now.key() == then.key() {
            true if is_like => Kinship::Alike,
            true if now.size > then.size => Kinship::Grown,
            _ => Kinship::Other,
        }
    }

    /// Hashes of the 64 bytes before each of these offsets: they tell one file from another where times do not.
    pub fn prints(&self, ends: &[u64]) -> Result<Vec<u64>, SourceError> {
        let mut watch = Watch::open(self)?;
        let mut bytes = [0; TAIL_BYTES];
        let mut print = |end: &u64| {
            let bytes = &mut bytes[..tail_len(*end)];
            let at = end - bytes.len() as u64;
            watch.peek_at(bytes, at).map(|n| hash(&bytes[..n]))
        };
        ends.iter().map(&mut print).collect()
    }

    /// About when the last line was written, for lines without a year: the time in the gzip header if there is one
    /// (`mtime` may be that of a copy), else that of the last modification. Nanoseconds since 1970.
    pub fn time_hint_ns(&self) -> i64 {
        match self.gzip_mtime_s {
            0 => self.mtime_ns,
            seconds => i64::from(seconds) * 1_000_000_000,
        }
    }

    /// Of an object: its address in numbers, its size, its times, its first and last bytes, and what those say.
    pub(super) fn of_remote(
        path: &Path,
        remote: Arc<Remote>,
        (dev, ino): (u64, u64),
        size: u64,
        (mtime_ns, ctime_ns): (i64, i64),
        (head, tail): (&[u8], &[u8]),
        nature: Nature,
    ) -> Result<Self, SourceError> {
        if let Some(what) = nature.unsupported {
            return Err(SourceError::Unsupported { path: path.to_owned(), what });
        }
        Ok(Self {
            path: path.to_owned(),
            kind: FileKind::Regular,
            dev,
            ino,
            size,
            mtime_ns,
            ctime_ns,
            head_hash: hash(head),
            tail_hash: hash(tail),
            compression: nature.compression,
            encoding: nature.encoding,
            bom_len: nature.bom_len,
            sparse: false,
            gzip_mtime_s: nature.gzip_mtime_s,
            archive: nature.archive,
            member: None,
            remote: Some(remote),
        })
    }

    fn take_stdin() -> Result<Self, SourceError> {
        let path = Path::new("-");
        let stdin = stdin_file().map_err(|source| SourceError::from_open(path, source))?;
        let meta = stdin.metadata().map_err(|source| SourceError::from_open(path, source))?;
        if let Some(error) = unreadable_kind(path, &meta) {
            return Err(error);
        }
        // `logsql … - < access.log`: the file behind it can be cut into pieces and mapped, a stream cannot.
        // Not if someone has read a part of it already.
        if meta.is_file() && io::Seek::stream_position(&mut &stdin).is_ok_and(|at| at == 0) {
            let name = Path::new("/dev/stdin");
            if let Ok(snapshot) = Self::take(name)
                && (snapshot.dev, snapshot.ino) == (meta.dev(), meta.ino())
            {
                return Ok(snapshot);
            }
        }
        Ok(Self::of_stream(path, FileKind::Stdin, &meta))
    }

    fn of_stream(path: &Path, kind: FileKind, meta: &Metadata) -> Self {
        let stat = Stat::of(meta);
        Self {
            path: path.to_owned(),
            kind,
            dev: meta.dev(),
            ino: meta.ino(),
            size: 0,
            mtime_ns: stat.mtime_ns,
            ctime_ns: stat.ctime_ns,
            head_hash: 0,
            tail_hash: 0,
            compression: Compression::None,
            encoding: Encoding::Utf8,
            bom_len: 0,
            sparse: false,
            gzip_mtime_s: 0,
            archive: None,
            member: None,
            remote: None,
        }
    }

    fn of_file(path: &Path, file: &File) -> Result<Result<Self, Change>, SourceError> {
        let failed = |source| SourceError::Read { path: path.to_owned(), at: 0, source };
        let meta = file.metadata().map_err(failed)?;
        if let Some(error) = unreadable_kind(path, &meta) {
            return Err(error);
        }
        if !meta.is_file() || is_virtual(file) {
            return Ok(Ok(Self::of_stream(path, FileKind::Stream, &meta)));
        }
        let stat = Stat::of(&meta);
        let mut head = [0; HEAD_BYTES];
        let head_len = read_full_at(file, &mut head, 0).map_err(failed)?;
        if stat.size == 0 && head_len > 0 {
            // Data without a size: a virtual file of a kind not on the list, or a log that just got its first line.
            let again = Stat::of(&file.metadata().map_err(failed)?);
            if again.size == 0 {
                return Ok(Ok(Self::of_stream(path, FileKind::Stream, &meta)));
            }
            return Ok(Err(Change { kind: ChangeKind::Replaced, at: 0 }));
        }
        let head = &head[..head_len.min(usize::try_from(stat.size).unwrap_or(usize::MAX))];
        let mut tail = [0; TAIL_BYTES];
        let tail = &mut tail[..tail_len(stat.size)];
        let tail_read = read_full_at(file, tail, stat.size - tail.len() as u64).map_err(failed)?;
        if head.len() < head_bytes(stat.size) || tail_read < tail.len() {
            return Ok(Err(Change { kind: ChangeKind::Truncated, at: head_len as u64 }));
        }
        let mut nature = Nature::of(head);
        if nature.is_hidden && stat.size > head.len() as u64 {
            let mut more = vec![0; usize::try_from(stat.size).map_or(FIRST_BLOCK_BYTES, |size| size.min(FIRST_BLOCK_BYTES))];
            let n = read_full_at(file, &mut more, 0).map_err(failed)?;
            nature = Nature::of(&more[..n]);
        }
        if let Some(what) = nature.unsupported {
            return Err(SourceError::Unsupported { path: path.to_owned(), what });
        }
        Ok(Ok(Self {
            path: path.to_owned(),
            kind: FileKind::Regular,
            dev: meta.dev(),
            ino: meta.ino(),
            size: stat.size,
            mtime_ns: stat.mtime_ns,
            ctime_ns: stat.ctime_ns,
            head_hash: hash(head),
            tail_hash: hash(tail),
            compression: nature.compression,
            encoding: nature.encoding,
            bom_len: nature.bom_len,
            sparse: meta.blocks().saturating_mul(512) < stat.size && extent::has_hole(file, stat.size),
            gzip_mtime_s: nature.gzip_mtime_s,
            archive: nature.archive,
            member: None,
            remote: None,
        }))
    }
}

/// The part of a file's metadata that tells whether something happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
}

impl Stat {
    pub(super) fn of(meta: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Self { size: meta.size(), mtime_ns: ns(meta.mtime(), meta.mtime_nsec()), ctime_ns: ns(meta.ctime(), meta.ctime_nsec()) }
    }
}

/// What the first bytes say about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nature {
    pub(super) compression: Compression,
    pub(super) encoding: Encoding,
    pub(super) bom_len: u8,
    pub(super) gzip_mtime_s: u32,
    pub(super) archive: Option<ArchiveKind>,
    pub(super) unsupported: Option<Unsupported>,
    /// It is packed, and so little came out of its head that it does not tell.
    is_hidden: bool,
}

impl Nature {
    /// Is it packed, and did so little come out of its head that it does not tell?
    pub(super) fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// By the first 1 KiB (or less, if there is no more).
    pub(super) fn of(head: &[u8]) -> Self {
        let compression = Compression::of(head);
        if compression == Compression::None {
            return Self::of_text(head);
        }
        let mut inside = [0; HEAD_BYTES];
        let inside = packed::peek(head, &mut inside);
        let time = head.get(4..8).filter(|_| compression == Compression::Gzip);
        let gzip_mtime_s = time.map_or(0, |t| u32::from_le_bytes([t[0], t[1], t[2], t[3]]));
        let is_hidden = inside.len() < TELLING_BYTES;
        let text = Self::of_text(inside);
        // The directory of a zip archive is at its end: it cannot be read as a stream.
        let unsupported = match text.archive {
            Some(ArchiveKind::Zip) => Some(Unsupported::Packed("compressed zip", "zcat -f")),
            _ => text.unsupported,
        };
        let archive = text.archive.filter(|kind| *kind == ArchiveKind::Tar);
        // The mark is inside of what is packed, not at the start of the file.
        Self { compression, gzip_mtime_s, is_hidden, archive, unsupported, bom_len: 0, ..text }
    }

    fn of_text(head: &[u8]) -> Self {
        let (encoding, bom_len) = match head {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 0),
            [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 0),
            _ if document::is_document(head) => (Encoding::Documents, 0),
            _ => (Encoding::Utf8, 0),
        };
        Self {
            compression: Compression::None,
            encoding,
            bom_len,
            gzip_mtime_s: 0,
            archive: ArchiveKind::of(head),
            unsupported: unsupported(head),
            is_hidden: false,
        }
    }
}

/// What these first bytes are, if it is something that would only come out as garbage.
pub(super) fn unsupported(head: &[u8]) -> Option<Unsupported> {
    let packed = |name, command| Some(Unsupported::Packed(name, command));
    match head {
        [0x02, 0x21, 0x4C, 0x18, ..] => packed("old lz4", "lz4 -dc"),
        [0x1F, 0x9D, ..] => packed("compress (.Z)", "zcat"),
        [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => packed("7z", "7z x -so"),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some(Unsupported::Text("UTF-32")),
        _ => None,
    }
}

fn unreadable_kind(path: &Path, meta: &Metadata) -> Option<SourceError> {
    let path = path.to_owned();
    let kind = meta.file_type();
    if kind.is_dir() {
        Some(SourceError::IsDirectory { path })
    } else if kind.is_socket() {
        Some(SourceError::Unsupported { path, what: Unsupported::Socket })
    } else if kind.is_block_device() {
        Some(SourceError::Unsupported { path, what: Unsupported::BlockDevice })
    } else {
        None
    }
}

/// Opens for reading, so that neither a FIFO without a writer nor a terminal can take hold of us.
pub(super) fn open_file(path: &Path) -> Result<File, SourceError> {
    let open = || OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    match open() {
        // 1024 is a usual soft limit, and the hard one is usually far above it.
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) && raise_open_file_limit() => open(),
        opened => opened,
    }
    .map_err(|source| SourceError::from_open(path, source))
}

fn raise_open_file_limit() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 || limit.rlim_cur >= limit.rlim_max {
        return false;
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid limit, read from the system just now.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 }
}

/// A handle of our own on the standard input.
pub(super) fn stdin_file() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Reads until `buffer` is full or the file ends.
pub(super) fn read_full_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Some virtual files can only be read in sequence.
            Err(error) if error.raw_os_error() == Some(libc::ESPIPE) && at == 0 && done == 0 => {
                return (&mut &*file).read(buffer);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// How many bytes of a file of this size its `head_hash` is of.
pub(super) fn head_bytes(size: u64) -> usize {
    usize::try_from(size).map_or(HEAD_BYTES, |size| size.min(HEAD_BYTES))
}

/// How many bytes before offset `end` a fingerprint is of.
pub(super) fn tail_len(end: u64) -> usize {
    usize::try_from(end).map_or(TAIL_BYTES, |end| end.min(TAIL_BYTES))
}

/// FNV-1a, 64 bits: the same in every version of this program, because snapshots may be stored, and ids made of it too.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// The magic number of the file system that holds `file`.
pub(super) fn file_system(file: &File) -> Option<u32> {
    let mut stat = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open as long as `file` lives, and `stat` is a valid place for the result.
    let done = unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) };
    if done != 0 {
        return None;
    }
    // SAFETY: fstatfs said that it filled it.
    let magic = unsafe { stat.assume_init() }.f_type;
    // All magic numbers have 32 bits; the type of the field differs between platforms.
    Some(magic as u32)
}

/// Is it made by the kernel as it is read? Such files have no size, or a wrong one.
fn is_virtual(file: &File) -> bool {
    const PROC: u32 = 0x9fa0;
    const SYSFS: u32 = 0x6265_6572;
    const CGROUP: u32 = 0x0027_e0eb;
    const CGROUP2: u32 = 0x6367_7270;
    const DEBUGFS: u32 = 0x6462_6720;
    const TRACEFS: u32 = 0x7472_6163;
    const SECURITYFS: u32 = 0x7363_6673;
    matches!(file_system(file), Some(PROC | SYSFS | CGROUP | CGROUP2 | DEBUGFS | TRACEFS | SECURITYFS))
}
