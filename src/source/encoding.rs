//! Byte order marks, and UTF-16 as UTF-8.
//!
//! A plain file's snapshot knows its encoding. Of a stream, and of what is inside a compressed one, only the first
//! bytes that arrive tell: [`Sniffed`] waits for them and then puts the right readers on top of each other.

use std::path::PathBuf;

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};

use super::archive::ArchiveKind;
use super::document::{DocumentReader, TELLING_BYTES, is_document};
use super::error::{Change, Issue, SourceError, Unsupported, take_issues};
use super::outbox::Outbox;
use super::packed::PackedReader;
use super::read::Empty;
use super::snapshot::{Compression, Encoding, unsupported};
use super::{ByteReader, Fill, ReadOptions};

/// [`ByteReader`] of what a reader of UTF-16 with a byte order mark holds, in UTF-8.
pub(super) struct Utf16Reader {
    inner: Box<dyn ByteReader>,
    decoder: Decoder,
    out: Outbox,
    mark_left: usize,
    done: bool,
    issues: Vec<Issue>,
    /// How many of the issues of `inner` are in `issues` already.
    taken: usize,
    is_malformed: bool,
    block_bytes: usize,
}

impl Utf16Reader {
    pub(super) fn new(inner: Box<dyn ByteReader>, encoding: Encoding, options: &ReadOptions) -> Self {
        let from = if encoding == Encoding::Utf16Be { UTF_16BE } else { UTF_16LE };
        Self {
            inner,
            decoder: from.new_decoder_without_bom_handling(),
            out: Outbox::default(),
            mark_left: 2,
            done: false,
            issues: Vec::new(),
            taken: 0,
            is_malformed: false,
            block_bytes: options.block_bytes.max(4096),
        }
    }

    /// Decodes what `inner` has. `false` if that is nothing yet.
    fn step(&mut self) -> Result<bool, SourceError> {
        let Fill { bytes, end } = self.inner.fill(self.mark_left.max(1))?;
        if bytes.is_empty() && !end {
            return Ok(false);
        }
        if self.mark_left > 0 {
            let n = self.mark_left.min(bytes.len());
            self.mark_left -= n;
            self.inner.consume(n);
            return Ok(true);
        }
        let room = self.out.room(self.block_bytes, self.block_bytes);
        let (result, used, made, replaced) = self.decoder.decode_to_utf8(bytes, room, end);
        if replaced && !self.is_malformed {
            self.is_malformed = true;
            self.issues.push(Issue::MalformedUtf16 { at: self.out.produced() });
        }
        self.out.made(made);
        self.inner.consume(used);
        self.done = end && result == CoderResult::InputEmpty;
        Ok(true)
    }
}

impl ByteReader for Utf16Reader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        while !self.done && self.out.bytes().len() < min.max(1) {
            if !self.step()? {
                break;
            }
        }
        take_issues(&mut self.issues, &mut self.taken, self.inner.issues());
        Ok(Fill { bytes: self.out.bytes(), end: self.done })
    }

    fn consume(&mut self, n: usize) {
        self.out.consume(n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        let verified = self.inner.verify();
        take_issues(&mut self.issues, &mut self.taken, self.inner.issues());
        verified.inspect_err(|_| {
            self.out.clear();
            self.done = true;
        })
    }

    fn issues(&self) -> &[Issue] {
        &self.issues
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn offset(&self) -> u64 {
        self.out.offset()
    }
}

/// What is still to be found out about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Compression,
    Text,
    Known,
}

/// [`ByteReader`] that decides by the first bytes what the rest is.
pub(super) struct Sniffed {
    inner: Box<dyn ByteReader>,
    stage: Stage,
    path: PathBuf,
    options: ReadOptions,
}

impl Sniffed {
    /// Over a stream that may be compressed.
    pub(super) fn stream(inner: Box<dyn ByteReader>, path: PathBuf, options: &ReadOptions) -> Self {
        Self { inner, stage: Stage::Compression, path, options: options.clone() }
    }

    /// Over what came out of a decompressor.
    pub(super) fn decompressed(inner: Box<dyn ByteReader>, path: PathBuf, options: &ReadOptions) -> Self {
        Self { inner, stage: Stage::Text, path, options: options.clone() }
    }

    /// `false` if the bytes that tell have not arrived.
    fn decide(&mut self) -> Result<bool, SourceError> {
        while self.stage != Stage::Known {
            let Fill { bytes, end } = self.inner.fill(1)?;
            let needed = needed(bytes);
            let is_known = if bytes.len() >= needed || end {
                true
            } else {
                let fill = self.inner.fill(needed)?;
                fill.bytes.len() >= needed || fill.end
            };
            if !is_known {
                return Ok(false);
            }
            let bytes = self.inner.fill(1)?.bytes;
            if self.stage == Stage::Compression
                && let Some(over) = PackedReader::new(Compression::of(bytes).into(), &self.options)
            {
                self.wrap(|inner| Box::new(over(inner)));
                self.stage = Stage::Text;
                continue;
            }
            let archive = ArchiveKind::of(bytes).filter(|kind| *kind == ArchiveKind::Zip).map(|_| Unsupported::StreamedZip);
            if let Some(what) = archive.or_else(|| unsupported(bytes)) {
                return Err(SourceError::Unsupported { path: self.path.clone(), what });
            }
            let encoding = match bytes {
                [0xEF, 0xBB, 0xBF, ..] => {
                    self.inner.consume(3);
                    Encoding::Utf8
                }
                [0xFF, 0xFE, ..] => Encoding::Utf16Le,
                [0xFE, 0xFF, ..] => Encoding::Utf16Be,
                bytes if is_document(bytes) => Encoding::Documents,
                _ => Encoding::Utf8,
            };
            let options = self.options.clone();
            match encoding {
                Encoding::Utf8 => {}
                Encoding::Documents => self.wrap(|inner| Box::new(DocumentReader::new(inner, &options))),
                encoding => self.wrap(|inner| Box::new(Utf16Reader::new(inner, encoding, &options))),
            }
            self.stage = Stage::Known;
        }
        Ok(true)
    }

    fn wrap(&mut self, over: impl FnOnce(Box<dyn ByteReader>) -> Box<dyn ByteReader>) {
        let inner = std::mem::replace(&mut self.inner, Box::new(Empty::at(0)));
        self.inner = over(inner);
    }
}

/// How many bytes tell what begins like this? JSON may go on over several lines, if its first one does not end it. Ordinary text is known by its first one, so that a line typed into a
/// terminal or written slowly into a FIFO is there at once.
fn needed(bytes: &[u8]) -> usize {
    match bytes.first() {
        None | Some(0x1F | 0xEF | 0xFF | 0xFE | 0x28 | 0xFD | 0x04 | b'B' | b'P' | b'7' | 0) => 8,
        Some(b'[' | b'{') if !bytes.ends_with(b"}\n") => TELLING_BYTES,
        Some(_) => 1,
    }
}

impl ByteReader for Sniffed {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        if self.decide()? { self.inner.fill(min) } else { Ok(Fill { bytes: &[], end: false }) }
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
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
        self.inner.offset()
    }
}
