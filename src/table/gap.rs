//! A reader for a piece that begins behind something that is no text: a hole of a sparse file, or a byte order mark.
//!
//! ```text
//!   file      ░░░░░░░░░░░░░ line 1 ⏎ line 2 ⏎        ░ a hole
//!   reader                ⏎ line 1 ⏎ line 2 ⏎        the decoder begins at the byte before its piece
//! ```

use crate::source::{ByteReader, Change, Fill, Issue, SourceError};

/// How much of the reader behind it is copied to stand next to the line feed.
const COPY: usize = 64 << 10;

/// A byte, then what `inner` reads.
pub(super) struct AfterGap {
    inner: Box<dyn ByteReader>,
    byte: u8,
    /// Has the byte been consumed?
    past: bool,
    joined: Vec<u8>,
}

impl AfterGap {
    /// A line begins with what `inner` reads.
    pub(super) fn new(inner: Box<dyn ByteReader>) -> Self {
        Self::behind(b'\n', inner)
    }

    /// The byte before is not `inner`'s to read.
    pub(super) fn behind(byte: u8, inner: Box<dyn ByteReader>) -> Self {
        Self { inner, byte, past: false, joined: Vec::new() }
    }
}

impl ByteReader for AfterGap {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        if self.past {
            return self.inner.fill(min);
        }
        let Fill { bytes, end } = self.inner.fill(min.saturating_sub(1).max(1))?;
        let take = bytes.len().min(min.max(COPY));
        self.joined.clear();
        self.joined.push(self.byte);
        self.joined.extend_from_slice(&bytes[..take]);
        let end = end && take == bytes.len();
        Ok(Fill { bytes: &self.joined, end })
    }

    fn consume(&mut self, n: usize) {
        if self.past || n == 0 {
            return self.inner.consume(n);
        }
        self.past = true;
        self.inner.consume(n - 1);
    }

    fn verify(&mut self) -> Result<(), Change> {
        self.inner.verify()
    }

    fn issues(&self) -> &[Issue] {
        self.inner.issues()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn offset(&self) -> u64 {
        if self.past { self.inner.offset() } else { self.inner.offset() - 1 }
    }
}
