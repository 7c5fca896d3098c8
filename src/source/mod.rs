//! Bytes of files and streams, and what a file was when it was opened.
//!
//! ```text
//!  arguments ──► discover ──► Snapshot of each file ──► pieces ──► open(snapshot, start)
//!  (paths, globs, -r, -)      (which generation of      (where         │
//!                              which file)               data is)      ▼
//!                                                              ┌── mmap      sealed, local, plain: no copy, SIGBUS guarded
//!                              ByteReader ◄── encoding ◄───────┼── read      live or remote: pread into a block of our own
//!                              fill, consume,  (BOM, UTF-16)   ├── packed ◄─ read | stream
//!                              verify, issues                  ├── archive   a member of a tar or zip: a range of another file
//!                                                              ├── remote    s3://, https://: as read, in blocks that are fetched
//!                                                              └── stream    stdin, FIFO, device, /proc; shared by a spool
//! ```
//!
//! The contract with the layer above:
//!
//! - A file is read as the *prefix* it was when its [`Snapshot`] was taken: bytes `[0, size)`, of that generation or
//!   not at all. Copy out what you need, then call [`ByteReader::verify`], and only then hand rows on: an `Err` means
//!   that what was filled since the last successful call may belong to another generation and must be thrown away.
//! - Only plain UTF-8 files, and such members that an archive holds as they are, can be entered in the middle. For all others [`pieces`] is one piece, and a reader opened
//!   at another offset than 0 is empty, so that a byte range laid over a compressed file reads it exactly once.
//! - Offsets ([`ByteReader::offset`]) count from the first byte of the file. A UTF-8 byte order mark is skipped but
//!   counted: the first line of such a file is at offset 3. In a compressed file they count uncompressed bytes, in a
//!   UTF-16 file the bytes of its UTF-8 form, without the mark (nothing can seek there anyway).
//! - A hole of a sparse file separates lines as a line feed does: [`pieces`] never cross one, and a reader ends at
//!   the first hole after the data it started in.
//! - A stream may have nothing *yet*: then [`ByteReader::fill`] returns what it has within about 100 ms, with
//!   `end: false`, so that a query can be cancelled.
//!
//! Nothing here knows lines (apart from the cut of pieces), formats or SQL, and no error is printed here: a problem
//! that stops a file is a [`SourceError`] or a [`Change`], one that does not is an [`Issue`].

mod ahead;
mod archive;
mod beside;
mod config_files;
mod discover;
mod document;
mod encoding;
mod error;
mod extent;
mod glob;
mod lz4;
mod mmap;
mod outbox;
mod packed;
mod read;
mod remote;
mod restart;
mod snapshot;
mod stream;
mod watch;

use std::time::Duration;

pub use ahead::{SharedText, Stretch};
pub use archive::{ArchiveKind, Claim, Keep, KeptMember, ListedMember, MEMBER_MARK, Member, Pass, list_members};
pub use config_files::ConfigReader;
pub use discover::{
    FileIssue, Found, Inputs, Place, Problem, ResolveOptions, discover, is_log_of, is_rotated, not_text_content, resolve,
    resolve_place, well_known,
};
pub use document::head_in_lines;
pub use error::{Change, ChangeKind, Issue, Severity, SourceError};
pub use extent::{data_extents, pieces};
pub use remote::store_of;
pub use restart::{RestartPoint, RestartPoints};
pub(crate) use snapshot::hash as stable_hash;
pub use snapshot::{Compression, Encoding, FileKind, Generation, Kinship, Snapshot};
pub(crate) use stream::free_bytes;
pub use stream::{forget_streams, settle_stream};

/// When to map a file into memory instead of reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MmapMode {
    /// Map sealed files on local file systems, read all others.
    #[default]
    Auto,
    /// Map live files too, as far as they are plain files on a local file system.
    Always,
    /// Read everything.
    Never,
}

/// When to stop decompressing what looks like a decompression bomb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressLimit {
    /// Stop once more than `after_bytes` came out and they are more than `ratio` times what went in.
    Ratio {
        /// Uncompressed bytes per compressed byte. Deflate itself cannot exceed 1032.
        ratio: u64,
        /// Uncompressed bytes that are always allowed.
        after_bytes: u64,
    },
    /// Never stop.
    Unlimited,
}

impl Default for DecompressLimit {
    fn default() -> Self {
        Self::Ratio { ratio: 1000, after_bytes: 256 << 20 }
    }
}

/// How files and streams are read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Map or read.
    pub mmap: MmapMode,
    /// How much one read asks for.
    pub block_bytes: usize,
    /// A file that was not modified for this long is sealed: not expected to change any more.
    pub sealed_after: Duration,
    /// Guards against decompression bombs.
    pub decompress_limit: DecompressLimit,
    /// How much of a stream is kept in memory for a second reader before it moves to a temporary file.
    pub spool_memory_bytes: usize,
    /// How large that temporary file may grow (and never over half of the free space) before the beginning of the
    /// stream is given up; from then on a second reading of it is an error.
    pub spool_disk_bytes: u64,
    /// How much text lies between two places where a compressed file can be entered, at least: unpacking that takes about 10 ms.
    pub restart_bytes: u64,
    /// How much is read from a character device (`/dev/zero` has no end) or a virtual file.
    pub device_limit: u64,
    /// Room for members of solid archives that come by while these are listed.
    pub keep: Keep,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            mmap: MmapMode::Auto,
            block_bytes: 256 << 10,
            sealed_after: Duration::from_secs(600),
            decompress_limit: DecompressLimit::default(),
            spool_memory_bytes: 64 << 20,
            spool_disk_bytes: 10 << 30,
            restart_bytes: 8 << 20,
            device_limit: 1 << 30,
            keep: Keep::default(),
        }
    }
}

/// What [`ByteReader::fill`] hands out.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// The bytes at the cursor. They stay the next ones until they are consumed.
    pub bytes: &'a [u8],
    /// Nothing follows `bytes`.
    pub end: bool,
}

/// Whether a reader starts where a line starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// The first byte is the first byte of a line: the start of the file, after a line feed or after a hole.
    Line,
    /// The first byte belongs to a line that began before; the reader of the piece before hands it out.
    Middle,
}

/// A cursor over the uncompressed bytes of a file, from where it was opened to the end of the snapshot (or to the
/// next hole of a sparse file). UTF-16 arrives as UTF-8; other bytes arrive as they are.
///
/// ```text
/// loop {
///     let Fill { bytes, end } = reader.fill(want)?;
///     let used = decode(bytes);          // copies out what it keeps
///     reader.consume(used);
///     reader.verify()?;                  // on Err: drop what was decoded since the last Ok
///     emit();
///     if end { break }
///     want = bytes.len() - used + 1;     // a piece of a line is left: ask for more than that
/// }
/// ```
pub trait ByteReader: Send {
    /// Bytes at the cursor: at least `min` of them, unless the end is reached (then `end` is true) or this is a
    /// stream that has no more yet (then there are fewer, maybe none, and `end` is false).
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError>;

    /// Moves the cursor over `n` of the bytes that `fill` handed out.
    fn consume(&mut self, n: usize);

    /// Is what was handed out since the last call still the snapshot's generation? Once it is not, every later call
    /// says so again and `fill` hands out nothing more.
    fn verify(&mut self) -> Result<(), Change>;

    /// What was wrong with the input but did not stop it, so far.
    fn issues(&self) -> &[Issue];

    /// Raw bytes taken from the device so far: of a compressed file, compressed ones.
    fn bytes_read(&self) -> u64;

    /// Where the cursor is; see the module's header for what is counted.
    fn offset(&self) -> u64;

    /// Does the first byte begin a line? Fixed at the opening.
    fn begins(&self) -> Begins {
        Begins::Line
    }
}

/// Opens what `snapshot` describes, at byte `start`.
///
/// Fails with [`SourceError::Changed`] if the path leads to other content than at the time of the snapshot. A file
/// that was only renamed within its folder since (rotation) is found again and read.
pub fn open(snapshot: &Snapshot, start: u64, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
    open_in(&Pass::default(), snapshot, start, options)
}

/// As [`open`]; a member of a solid archive is taken from where `pass` is, if that is not behind it.
pub fn open_in(pass: &Pass, snapshot: &Snapshot, start: u64, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
    if start > 0 && !snapshot.is_splittable() {
        return Ok(Box::new(read::Empty::at(start)));
    }
    if let Some(member) = &snapshot.member {
        return archive::open(pass, snapshot, member, start, options);
    }
    match snapshot.kind {
        FileKind::Stream | FileKind::Stdin => {
            let raw = stream::open(snapshot, options)?;
            Ok(Box::new(encoding::Sniffed::stream(raw, snapshot.path.clone(), options)))
        }
        FileKind::Regular => open_regular(snapshot, start, options),
    }
}

/// A few places of a file, to see what it is like. They are read, as a mapping costs more than so few bytes are worth.
pub struct Glimpse(watch::Watch);

impl Glimpse {
    /// `None` where a place cannot be had without what is before it.
    pub fn open(snapshot: &Snapshot) -> Result<Option<Self>, SourceError> {
        let is_direct = snapshot.is_splittable() && snapshot.member.is_none() && !snapshot.sparse;
        is_direct.then(|| watch::Watch::open(snapshot).map(Self)).transpose()
    }

    /// At most `len` bytes at `at`.
    pub fn at(&mut self, at: u64, len: usize) -> Result<Vec<u8>, SourceError> {
        let left = usize::try_from(self.0.snapshot().size.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(left)];
        let got = self.0.read_at(&mut bytes, at)?;
        bytes.truncate(got);
        Ok(bytes)
    }
}

/// Opens the text of a compressed file for several readers, which take pieces of it; `counted` if they want to know the numbers
/// of lines. `None` if it has to be read by one: not compressed, small, or not in UTF-8. Where it could be entered the next time, is
/// put into `points`.
pub fn share(
    snapshot: &Snapshot,
    counted: bool,
    points: Option<&RestartPoints>,
    options: &ReadOptions,
) -> Result<Option<SharedText>, SourceError> {
    if !snapshot.is_shareable() {
        return Ok(None);
    }
    let Some(over) = packed::Unpacker::new(snapshot.compression.into(), options) else { return Ok(None) };
    let raw = read::PlainReader::new(watch::Watch::open(snapshot)?, 0, options);
    let lines = if counted { ahead::Lines::Counted } else { ahead::Lines::Uncounted };
    let mut unpacker = over(Box::new(raw));
    if let Some(points) = points {
        unpacker = unpacker.recording(points, options.restart_bytes);
    }
    unpacker.in_parallel(beside::JOB_BYTES);
    Ok(SharedText::start(Box::new(unpacker), lines))
}

/// Opens the text of a compressed file at a restart point; `behind` is the next one. An error if the file is not the one any more that it
/// was, or the point is none.
pub fn open_at(
    snapshot: &Snapshot,
    point: &RestartPoint,
    behind: Option<&RestartPoint>,
    options: &ReadOptions,
) -> Result<Box<dyn ByteReader>, SourceError> {
    let raw = Box::new(read::PlainReader::new(watch::Watch::open(snapshot)?, point.raw(), options));
    let unpacker = packed::Unpacker::resume(raw, snapshot.compression, point, behind, options)?;
    let changed =
        || SourceError::Changed { path: snapshot.path.clone(), change: Change { kind: ChangeKind::Replaced, at: point.raw() } };
    Ok(Box::new(packed::PackedReader::resumed(unpacker.ok_or_else(changed)?, point.text())))
}

fn open_regular(snapshot: &Snapshot, start: u64, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
    let watch = watch::Watch::open(snapshot)?;
    if let Some(over) = packed::PackedReader::new(snapshot.compression.into(), options) {
        let text = Box::new(over(Box::new(read::PlainReader::new(watch, 0, options))).of_file());
        return Ok(Box::new(encoding::Sniffed::decompressed(text, snapshot.path.clone(), options)));
    }
    match (snapshot.compression, snapshot.encoding) {
        (Compression::None, Encoding::Utf8) => match mmap::MapReader::open(Box::new(watch), start, options) {
            Ok(mapped) => Ok(Box::new(mapped)),
            Err(watch) => Ok(Box::new(read::PlainReader::new(*watch, start, options))),
        },
        (_, encoding) => {
            let raw = Box::new(read::PlainReader::new(watch, 0, options));
            Ok(match encoding {
                Encoding::Documents => Box::new(document::DocumentReader::new(raw, options)),
                _ => Box::new(encoding::Utf16Reader::new(raw, encoding, options)),
            })
        }
    }
}

#[cfg(test)]
mod tests;
