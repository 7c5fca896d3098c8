//! Where a file has data, and how it is cut into pieces.
//!
//! ```text
//!   sparse file   ▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░░░░░░░░░░▓▓▓░░░░░░░░▓▓▓▓▓▓▓▓▓▓▓▓     ░ hole: reads as zero bytes
//!   data_extents  └────────┘                     └─┘        └──────────┘
//!   pieces        └───┘└───┘                     └─┘        └───┘└─────┘
//! ```
//!
//! Holes come from a writer that went on at its old offset after its log was truncated under it, or from a crash;
//! they can be as long as a disk is large. No line crosses one. File systems that do not know where data is say that
//! all of it is.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;

use super::Begins;
use super::error::SourceError;
use super::snapshot::Snapshot;
use super::watch::Watch;

/// What a reader that is opened at some offset reads.
pub(super) struct Around {
    pub(super) start: u64,
    pub(super) stop: u64,
    pub(super) begins: Begins,
}

/// From `start` to the first hole after the data there.
pub(super) fn around(watch: &mut Watch, start: u64) -> Around {
    let Snapshot { size, bom_len, sparse, .. } = *watch.snapshot();
    let start = start.max(u64::from(bom_len)).min(size);
    let mut stop = size;
    let mut after_hole = false;
    if let Some(file) = watch.file().filter(|_| sparse && start < size) {
        // Of a start inside a hole, the hole comes along: no piece starts there.
        let data = seek_data(file, start).unwrap_or(size);
        stop = seek_hole(file, data).unwrap_or(size).min(size).max(start);
        after_hole = start > 0 && data == start && seek_data(file, start - 1) == Some(start);
    }
    let mut before = [0];
    let begins = if start <= u64::from(bom_len)
        || after_hole
        || start == size
        || watch.peek_at(&mut before, start - 1).is_ok_and(|n| n == 1 && before[0] == b'\n')
    {
        Begins::Line
    } else {
        Begins::Middle
    };
    Around { start, stop, begins }
}

/// The parts of the file that hold data, in order. Of a stream or an empty file: none.
pub fn data_extents(snapshot: &Snapshot) -> Result<Vec<Range<u64>>, SourceError> {
    if snapshot.size == 0 {
        return Ok(Vec::new());
    }
    if !snapshot.sparse {
        return Ok(one(0..snapshot.size));
    }
    let watch = Watch::open(snapshot)?;
    let Some(file) = watch.file() else { return Ok(one(0..snapshot.size)) };
    let mut extents: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while let Some(start) = seek_data(file, at).filter(|start| *start < snapshot.size) {
        let stop = seek_hole(file, start).unwrap_or(snapshot.size).min(snapshot.size);
        if stop <= start {
            break;
        }
        extents.push(start..stop);
        at = stop;
    }
    Ok(extents)
}

/// Cuts the file into pieces of about `piece_bytes`, at least one. What cannot be entered in the middle is one piece. The pieces of
/// a small file are equal; a large one keeps those that it has as it grows, but for the last two.
///
/// A line belongs to the piece that its first byte is in: open a reader at the start of the piece, skip to behind the
/// first line feed if it [begins](super::ByteReader::begins) in the middle of a line, and read lines until one starts
/// at or after the end of the piece.
pub fn pieces(snapshot: &Snapshot, piece_bytes: u64) -> Result<Vec<Range<u64>>, SourceError> {
    if !snapshot.is_splittable() {
        return Ok(one(0..snapshot.size));
    }
    let mut pieces = Vec::new();
    for extent in data_extents(snapshot)? {
        let len = extent.end - extent.start;
        let piece_bytes = piece_bytes.max(1);
        // A short rest would cost as much to open as a whole piece.
        let (count, each) = match len / piece_bytes {
            0..4 => (len.div_ceil(piece_bytes).max(1), None),
            whole => (whole + u64::from(len % piece_bytes > piece_bytes / 2), Some(piece_bytes)),
        };
        let cut = |i: u64| match each {
            _ if i == count => extent.end,
            Some(each) => extent.start + i * each,
            None => extent.start + (u128::from(len) * u128::from(i) / u128::from(count)) as u64,
        };
        pieces.extend((0..count).map(|i| cut(i)..cut(i + 1)));
    }
    if pieces.is_empty() {
        pieces.push(0..0);
    }
    Ok(pieces)
}

/// Is there a hole before `size`?
pub(super) fn has_hole(file: &File, size: u64) -> bool {
    seek_hole(file, 0).is_some_and(|hole| hole < size)
}

/// The first byte of data at or after `at`; `None` if only a hole follows.
fn seek_data(file: &File, at: u64) -> Option<u64> {
    match seek(file, at, libc::SEEK_DATA) {
        Ok(data) => Some(data),
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => None,
        // A file system without an answer: all is data.
        Err(_) => Some(at),
    }
}

/// The first hole at or after `at`; the end of the file counts as one.
fn seek_hole(file: &File, at: u64) -> Option<u64> {
    seek(file, at, libc::SEEK_HOLE).ok()
}

/// Moves the descriptor's own offset, which nothing here uses: all reading of files is by `pread`.
fn seek(file: &File, at: u64, whence: libc::c_int) -> io::Result<u64> {
    let at = libc::off_t::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    // SAFETY: the descriptor is open as long as `file` lives.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at, whence) };
    u64::try_from(found).map_err(|_| io::Error::last_os_error())
}

fn one(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}
