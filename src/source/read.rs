//! Reading a plain file block by block, into memory of our own.
//!
//! The way of live files, of files on network file systems, and of everything compressed: whatever happens to the
//! file, the bytes that were read stay what they were.

use std::ops::Range;

use super::error::{Change, Issue, SourceError};
use super::watch::Watch;
use super::{Begins, ByteReader, Fill, ReadOptions, extent};

/// [`ByteReader`] over `pread`.
pub(super) struct PlainReader {
    watch: Watch,
    /// Bytes `from..to` of it wait to be consumed.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// Offset in the file of what the next read gets.
    at: u64,
    stop: u64,
    /// Offset in the file from which offsets are counted.
    origin: u64,
    block_bytes: usize,
    bytes_read: u64,
    begins: Begins,
}

impl PlainReader {
    pub(super) fn new(mut watch: Watch, start: u64, options: &ReadOptions) -> Self {
        let extent = extent::around(&mut watch, start);
        Self {
            buffer: Vec::new(),
            from: 0,
            to: 0,
            at: extent.start,
            stop: extent.stop,
            origin: 0,
            block_bytes: options.block_bytes.max(4096),
            bytes_read: 0,
            begins: extent.begins,
            watch,
        }
    }

    /// Reads `range` of the file as if it were a file, from its byte `start` on.
    pub(super) fn window(mut watch: Watch, range: &Range<u64>, start: u64, options: &ReadOptions) -> Self {
        let at = range.start.saturating_add(start).min(range.end);
        let mut before = [0];
        let begins =
            if start == 0 || at == range.end || watch.peek_at(&mut before, at - 1).is_ok_and(|n| n == 1 && before[0] == b'\n') {
                Begins::Line
            } else {
                Begins::Middle
            };
        let window = Self::new(watch, 0, options);
        Self { at, stop: range.end.min(window.watch.snapshot().size).max(at), origin: range.start, begins, ..window }
    }

    /// Makes room for `min` bytes from `from` on, and at least half a block to read into.
    fn make_room(&mut self, min: usize) {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        let left = usize::try_from(self.stop - self.at).unwrap_or(usize::MAX);
        let room = min.saturating_sub(self.to).max(self.block_bytes).min(left);
        if self.buffer.len() < self.to + room {
            self.buffer.resize(self.to + room, 0);
        }
    }
}

impl ByteReader for PlainReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        let min = min.max(1);
        while self.to - self.from < min && self.at < self.stop && self.watch.change().is_none() {
            self.make_room(min);
            let left = usize::try_from(self.stop - self.at).unwrap_or(usize::MAX);
            let until = self.buffer.len().min(self.to.saturating_add(left));
            let n = self.watch.read_at(&mut self.buffer[self.to..until], self.at)?;
            self.to += n;
            self.at += n as u64;
            self.bytes_read += n as u64;
        }
        let end = self.at >= self.stop || self.watch.change().is_some();
        Ok(Fill { bytes: &self.buffer[self.from..self.to], end })
    }

    fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.to - self.from, "more consumed than was filled");
        self.from = self.to.min(self.from + n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        self.watch.verify().inspect_err(|_| self.to = self.from)
    }

    fn issues(&self) -> &[Issue] {
        self.watch.issues()
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn offset(&self) -> u64 {
        self.at - (self.to - self.from) as u64 - self.origin
    }

    fn begins(&self) -> Begins {
        self.begins
    }
}

/// A reader of nothing: the later pieces of what only the first piece can read.
pub(super) struct Empty {
    at: u64,
}

impl Empty {
    pub(super) fn at(at: u64) -> Self {
        Self { at }
    }
}

impl ByteReader for Empty {
    fn fill(&mut self, _min: usize) -> Result<Fill<'_>, SourceError> {
        Ok(Fill { bytes: &[], end: true })
    }

    fn consume(&mut self, n: usize) {
        debug_assert_eq!(n, 0, "more consumed than was filled");
    }

    fn verify(&mut self) -> Result<(), Change> {
        Ok(())
    }

    fn issues(&self) -> &[Issue] {
        &[]
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn offset(&self) -> u64 {
        self.at
    }
}
