//! Compressed files: all members of one, as far as they go.
//!
//! ```text
//!   ┌────────┬──────────┬───────┐┌────────┬──────────┬───────┐ 0 0 0 0   x y z
//!   │ header │ deflate… │ CRC,  ││ header │ deflate… │ CRC,  │ padding   garbage
//!   │ 10…    │          │ size  ││        │          │ size  │ (a note)  (a warning)
//!   └────────┴──────────┴───────┘└────────┴──────────┴───────┘
//!     Header ──► Body ──► Trailer ──► Header … ──► Done
//! ```
//!
//! Real compressed logs are often of many members: appended to by logrotate, flushed by nginx, cut into blocks by bgzip, pzstd
//! or xz -T. The framing of gzip is our own, so that what is odd about it can be told apart; frames of zstd and streams of xz and
//! bzip2 are their libraries', with a header of no length and without a trailer. Everything that could be unpacked is handed
//! out before damage is told. Never is more than a block of a file in memory, or what its window asks for within bounds.

use bzip2::Decompress as Bunzip;
use crc32fast::Hasher as Crc;
use flate2::{Decompress, FlushDecompress, Status};
use liblzma::stream::{Action, MtStreamBuilder, Stream as Unxz};
use zip::CompressionMethod;
use zlib_rs::{Inflate, InflateFlush};
use zstd::stream::raw::{DParameter, Decoder as Unzstd, Operation as _};

use super::ahead::{AheadReader, Cut, Feed, Lines};
use super::beside::{Cutter, JOB_BYTES, Text};
use super::error::{Change, Issue, SourceError, take_issues};
use super::lz4::{self, Unlz4};
use super::outbox::Outbox;
use super::read::Empty;
use super::restart::{Recorder, RestartPoint, RestartPoints};
use super::snapshot::Compression;
use super::{ByteReader, DecompressLimit, Fill, ReadOptions};

/// Room for unpacked bytes. Measured on 100 MB of access log: 256 KiB to 1 MiB within 2 %, 32 KiB 6 % slower.
const OUT_BYTES: usize = 512 << 10;

/// What is larger, unpacked, is left to a thread. Starting one costs as much as unpacking some 50 KB, and a look at the first
/// lines needs none.
const AHEAD_AFTER: u64 = 1 << 20;

/// A codec is called only with at least this much room, or the calls cost more than the work.
pub(super) const MIN_ROOM: usize = 64 << 10;

/// A gzip header is 10 bytes and a name, as a rule. More than this is none.
const MAX_HEADER: usize = 256 << 10;

/// A window of zstd that is larger (128 MiB) is refused, and so is what xz would need more memory for.
const ZSTD_WINDOW_LOG: u32 = 27;
const XZ_MEMORY_BYTES: u64 = 256 << 20;

/// Blocks of xz that are unpacked at once, at most.
const MAX_XZ_THREADS: usize = 8;

/// The bounds where several members are unpacked at once.
const MODEST_WINDOW_LOG: u32 = 24;
const MODEST_XZ_BYTES: u64 = 40 << 20;

const GZIP: &[u8] = &[0x1F, 0x8B, 8];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
const XZ: &[u8] = b"\xFD7zXZ\0";
const BZIP2: &[u8] = b"BZh";

/// How bytes are packed, and what is known about them from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packing {
    pub(super) compression: Compression,
    /// The checksum of what is packed.
    pub(super) crc: Option<u32>,
}

impl From<Compression> for Packing {
    fn from(compression: Compression) -> Self {
        Self { compression, crc: None }
    }
}

impl Packing {
    /// Of a member of a zip archive; `None` if it cannot be unpacked.
    pub(super) fn of_zip(method: CompressionMethod, crc: u32) -> Option<Self> {
        const METHODS: [(CompressionMethod, Compression); 5] = [
            (CompressionMethod::STORE, Compression::None),
            (CompressionMethod::DEFLATE, Compression::Deflate),
            (CompressionMethod::BZIP2, Compression::Bzip2),
            (CompressionMethod::ZSTD, Compression::Zstd),
            (CompressionMethod::XZ, Compression::Xz),
        ];
        let (_, compression) = METHODS.iter().find(|(known, _)| *known == method)?;
        Some(Self { compression: *compression, crc: Some(crc) })
    }
}

impl Compression {
    /// What begins like this. Gzip is known by its first two bytes, so that a cut file is known as what it was.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1F, 0x8B] | [0x1F, 0x8B, 8, ..] => Self::Gzip,
            _ if head.starts_with(ZSTD) => Self::Zstd,
            _ if head.starts_with(XZ) => Self::Xz,
            _ if head.starts_with(&lz4::MAGIC) => Self::Lz4,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Self::Bzip2,
            // All that is left of a file that was cut. No text begins so.
            [0x28, 0xB5] | [0x28, 0xB5, 0x2F] => Self::Zstd,
            [0xFD, b'7', ..] if XZ.starts_with(head) => Self::Xz,
            [0x04, 0x22] | [0x04, 0x22, 0x4D] => Self::Lz4,
            _ => Self::None,
        }
    }
}

/// What a member begins with; `None` if that does not tell one.
pub(super) fn member_magic(kind: Compression) -> Option<&'static [u8]> {
    match kind {
        Compression::Gzip => Some(GZIP),
        Compression::Zstd => Some(ZSTD),
        Compression::Xz => Some(XZ),
        Compression::Lz4 => Some(&lz4::MAGIC),
        Compression::Bzip2 => Some(BZIP2),
        Compression::None | Compression::Deflate => None,
    }
}

/// May a member begin with these bytes, which begin as one does?
pub(super) fn seems_to_begin(kind: Compression, bytes: &[u8]) -> bool {
    match (kind, bytes) {
        // Flags that mean something, and how hard and on what it was packed.
        (Compression::Gzip, [_, _, _, flags, _, _, _, _, effort, system, ..]) => {
            flags & 0xE0 == 0 && matches!(effort, 0 | 2 | 4) && matches!(system, 0..=13 | 255)
        }
        (Compression::Bzip2, [_, _, _, level, rest @ ..]) => {
            level.is_ascii_digit() && rest.starts_with(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59])
        }
        (Compression::Zstd | Compression::Xz | Compression::Lz4, _) => true,
        _ => false,
    }
}

/// Unpacks the beginning of the first member, as far as `head` goes.
pub(super) fn peek<'a>(head: &[u8], out: &'a mut [u8]) -> &'a [u8] {
    let Some(mut codec) = Codec::new(Compression::of(head).into(), Effort::Usual) else { return &[] };
    let Header::Complete { len } = codec.header(head) else { return &[] };
    // Damage is told by the reader; here, what came out before it is enough.
    let made = codec.run(&head[len..], out, InflateFlush::NoFlush).map_or(0, |ran| ran.made);
    &out[..made]
}

/// What unpacks the body of a member.
enum Codec {
    Gzip {
        inflate: Box<Inflate>,
        crc: Crc,
        /// It was entered in the middle: what came out is not all that the trailer is about.
        is_partial: bool,
    },
    /// The one member of a zip archive, without a header and a trailer.
    Deflate {
        inflate: Box<Decompress>,
        crc: Crc,
        expected: Option<u32>,
        begun: bool,
    },
    Zstd(Box<Unzstd<'static>>),
    Xz {
        unxz: Box<Unxz>,
        effort: Effort,
    },
    Bzip2(Box<Bunzip>),
    Lz4(Box<Unlz4>),
}

/// How much memory and how many threads a codec may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// It is one of several.
    Modest,
    Usual,
    /// Threads of its own, where the library has a way to use them.
    Threads,
}

/// What a codec did.
pub(super) struct Ran {
    pub(super) used: usize,
    pub(super) made: usize,
    /// The member is over.
    pub(super) ended: bool,
}

/// The member cannot be unpacked any further.
pub(super) struct Damaged;

impl Codec {
    /// For the first member; `None` if there is no codec, or no memory for it.
    fn new(packing: Packing, effort: Effort) -> Option<Self> {
        Some(match packing.compression {
            Compression::None => return None,
            Compression::Deflate => {
                let inflate = Box::new(Decompress::new(false));
                Self::Deflate { inflate, crc: Crc::new(), expected: packing.crc, begun: false }
            }
            Compression::Gzip => Self::Gzip { inflate: Box::new(Inflate::new(false, 15)), crc: Crc::new(), is_partial: false },
            Compression::Zstd => {
                let mut unzstd = Unzstd::new().ok()?;
                let window = if effort == Effort::Modest { MODEST_WINDOW_LOG } else { ZSTD_WINDOW_LOG };
                unzstd.set_parameter(DParameter::WindowLogMax(window)).ok()?;
                Self::Zstd(Box::new(unzstd))
            }
            Compression::Xz => {
                let unxz = match effort {
                    Effort::Modest => Unxz::new_stream_decoder(MODEST_XZ_BYTES, 0),
                    Effort::Usual => Unxz::new_stream_decoder(XZ_MEMORY_BYTES, 0),
                    // Blocks beside each other, where their headers say how long they are; as many as the memory is enough for.
                    Effort::Threads => {
                        let threads = rayon::current_num_threads().clamp(1, MAX_XZ_THREADS) as u32;
                        let mut builder = MtStreamBuilder::new();
                        builder.threads(threads).memlimit_threading(XZ_MEMORY_BYTES).memlimit_stop(XZ_MEMORY_BYTES).decoder()
                    }
                };
                Self::Xz { unxz: Box::new(unxz.ok()?), effort }
            }
            Compression::Bzip2 => Self::Bzip2(Box::new(Bunzip::new(false))),
            Compression::Lz4 => Self::Lz4(Box::new(Unlz4::new())),
        })
    }

    fn compression(&self) -> Compression {
        match self {
            Self::Gzip { .. } => Compression::Gzip,
            Self::Deflate { .. } => Compression::Deflate,
            Self::Zstd(_) => Compression::Zstd,
            Self::Xz { .. } => Compression::Xz,
            Self::Bzip2(_) => Compression::Bzip2,
            Self::Lz4(_) => Compression::Lz4,
        }
    }

    /// Does a member begin here?
    fn header(&self, bytes: &[u8]) -> Header {
        let magic = match self {
            Self::Gzip { .. } => return Header::parse(bytes),
            Self::Deflate { begun: false, .. } => return Header::Complete { len: 0 },
            Self::Deflate { begun: true, .. } => return Header::NotPacked,
            // Frames that are to be skipped have sixteen magic numbers of their own.
            Self::Zstd(_) if matches!(bytes, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]) => return Header::Complete { len: 0 },
            Self::Zstd(_) => ZSTD,
            Self::Xz { .. } => XZ,
            Self::Bzip2(_) => BZIP2,
            Self::Lz4(_) => &lz4::MAGIC,
        };
        let known = bytes.len().min(magic.len());
        match bytes[..known] == magic[..known] {
            true if known == magic.len() => Header::Complete { len: 0 },
            true => Header::Cut,
            false => Header::NotPacked,
        }
    }

    /// Forgets the member before.
    fn restart(&mut self) {
        match self {
            Self::Gzip { inflate, crc, is_partial } => {
                inflate.reset(false);
                crc.reset();
                *is_partial = false;
            }
            Self::Deflate { begun, .. } => *begun = true,
            Self::Zstd(unzstd) => drop(unzstd.reinit()),
            Self::Xz { effort, .. } => {
                let effort = *effort;
                self.replace(effort);
            }
            Self::Bzip2(_) | Self::Lz4(_) => self.replace(Effort::Usual),
        }
    }

    /// By a new one of its kind.
    fn replace(&mut self, effort: Effort) {
        if let Some(fresh) = Self::new(self.compression().into(), effort) {
            *self = fresh;
        }
    }

    /// What still comes out once all has been put in: of what has threads of its own.
    fn drain(&mut self, out: &mut [u8]) -> usize {
        let Self::Xz { unxz, effort: Effort::Threads } = self else { return 0 };
        let before = unxz.total_out();
        // What is wrong is that the data end: who asks knows that.
        let _ = unxz.process(&[], out, Action::Finish);
        (unxz.total_out() - before) as usize
    }

    /// `flush` is for gzip: whether to stop at the end of a block.
    fn run(&mut self, input: &[u8], out: &mut [u8], flush: InflateFlush) -> Result<Ran, Damaged> {
        match self {
            Self::Gzip { inflate, crc, .. } => {
                let before = (inflate.total_in(), inflate.total_out());
                let result = inflate.decompress(input, out, flush);
                let (used, made) = ((inflate.total_in() - before.0) as usize, (inflate.total_out() - before.1) as usize);
                crc.update(&out[..made]);
                // What came out before the damage counts; the next call finds it again, without any progress.
                match result {
                    Ok(status) => Ok(Ran { used, made, ended: status == zlib_rs::Status::StreamEnd }),
                    Err(_) if made > 0 => Ok(Ran { used, made, ended: false }),
                    Err(_) => Err(Damaged),
                }
            }
            Self::Deflate { inflate, crc, .. } => {
                let before = (inflate.total_in(), inflate.total_out());
                let result = inflate.decompress(input, out, FlushDecompress::None);
                let (used, made) = ((inflate.total_in() - before.0) as usize, (inflate.total_out() - before.1) as usize);
                crc.update(&out[..made]);
                // What came out before the damage counts; the next call finds it again, without any progress.
                match result {
                    Ok(status) => Ok(Ran { used, made, ended: status == Status::StreamEnd }),
                    Err(_) if made > 0 => Ok(Ran { used, made, ended: false }),
                    Err(_) => Err(Damaged),
                }
            }
            Self::Zstd(unzstd) => {
                let status = unzstd.run_on_buffers(input, out).map_err(|_| Damaged)?;
                Ok(Ran { used: status.bytes_read, made: status.bytes_written, ended: status.remaining == 0 })
            }
            Self::Xz { unxz, .. } => {
                let before = (unxz.total_in(), unxz.total_out());
                let result = unxz.process(input, out, Action::Run);
                let (used, made) = ((unxz.total_in() - before.0) as usize, (unxz.total_out() - before.1) as usize);
                // As above: threads may notice damage while the text before it is handed out.
                match result {
                    Ok(status) => Ok(Ran { used, made, ended: status == liblzma::stream::Status::StreamEnd }),
                    Err(_) if made > 0 => Ok(Ran { used, made, ended: false }),
                    Err(_) => Err(Damaged),
                }
            }
            Self::Bzip2(bunzip) => {
                let before = (bunzip.total_in(), bunzip.total_out());
                let status = bunzip.decompress(input, out).map_err(|_| Damaged)?;
                let (used, made) = ((bunzip.total_in() - before.0) as usize, (bunzip.total_out() - before.1) as usize);
                Ok(Ran { used, made, ended: status == bzip2::Status::StreamEnd })
            }
            Self::Lz4(unlz4) => unlz4.run(input, out),
        }
    }

    /// Is what came out what was packed, as far as this is known without a trailer?
    fn is_as_expected(&self) -> bool {
        match self {
            Self::Deflate { crc, expected: Some(expected), .. } => crc.clone().finalize() == *expected,
            Self::Lz4(unlz4) => unlz4.is_as_checked(),
            _ => true,
        }
    }

    /// Does the trailer of a gzip member fit what came out of it? The others check themselves.
    fn fits(&self, trailer: [u8; 8]) -> bool {
        let Self::Gzip { inflate, crc, is_partial: false } = self else { return true };
        let [c0, c1, c2, c3, s0, s1, s2, s3] = trailer;
        let sum = u32::from_le_bytes([c0, c1, c2, c3]);
        // The length of a member is stored modulo 2^32.
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        sum == crc.clone().finalize() && size == inflate.total_out() as u32
    }
}

/// What bytes at the start of a member turn out to be.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    Complete {
        len: usize,
    },
    /// So far a header, but it goes on.
    Cut,
    NotPacked,
}

impl Header {
    fn parse(bytes: &[u8]) -> Self {
        const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
        const HAS_CRC: u8 = 2;
        const HAS_EXTRA: u8 = 4;
        const HAS_NAME: u8 = 8;
        const HAS_COMMENT: u8 = 16;
        let known = bytes.len().min(3);
        if bytes[..known] != MAGIC[..known] {
            return Self::NotPacked;
        }
        let Some(flags) = bytes.get(3) else {
            return Self::Cut;
        };
        if flags & 0xE0 != 0 {
            return Self::NotPacked;
        }
        let mut len = 10;
        if flags & HAS_EXTRA != 0 {
            let Some(extra) = bytes.get(len..len + 2) else {
                return Self::Cut;
            };
            len += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
        }
        for text in [HAS_NAME, HAS_COMMENT] {
            if flags & text != 0 {
                let Some(zero) = bytes.get(len..).and_then(|rest| memchr::memchr(0, rest)) else {
                    return Self::Cut;
                };
                len += zero + 1;
            }
        }
        if flags & HAS_CRC != 0 {
            len += 2;
        }
        if bytes.len() < len { Self::Cut } else { Self::Complete { len } }
    }
}

enum State {
    /// Before the first member or between two.
    Header,
    Body,
    Trailer,
    Done,
}

/// What one step came to.
enum Step {
    /// So many bytes were made, perhaps none.
    Progress(usize),
    /// The stream below has nothing yet.
    Blocked,
}

/// Where compressed bytes come from.
enum Raw {
    Whole(Box<dyn ByteReader>),
    /// Members of it are unpacked elsewhere.
    Cut(Box<Cutter>),
}

impl Raw {
    fn reader(&mut self) -> &mut dyn ByteReader {
        match self {
            Self::Whole(reader) => reader.as_mut(),
            Self::Cut(cutter) => cutter.as_mut(),
        }
    }

    fn as_reader(&self) -> &dyn ByteReader {
        match self {
            Self::Whole(reader) => reader.as_ref(),
            Self::Cut(cutter) => cutter.as_ref(),
        }
    }
}

/// Unpacks what a reader of compressed data holds, into whatever room it is given.
pub(super) struct Unpacker {
    inner: Raw,
    state: State,
    codec: Codec,
    /// Text of members that were unpacked elsewhere, and how much of it was handed out.
    given: Option<(Text, usize)>,
    /// Compressed bytes that were used up.
    at: u64,
    /// Uncompressed bytes that came out.
    produced: u64,
    limit: DecompressLimit,
    issues: Vec<Issue>,
    /// How many of the issues of `inner` are in `issues` already.
    taken: usize,
    /// To be told once what came out before it is handed out.
    error: Option<SourceError>,
    /// Finds places to begin at.
    recorder: Option<Box<Recorder>>,
    /// Up to which offset the text that comes out has which checksum.
    check: Option<Check>,
}

/// A checksum that text has to have up to some offset.
struct Check {
    until: u64,
    expected: u32,
    crc: Crc,
}

impl Unpacker {
    /// `None` if this is not compressed, or in no way that can be read.
    pub(super) fn new(packing: Packing, options: &ReadOptions) -> Option<impl FnOnce(Box<dyn ByteReader>) -> Self + use<>> {
        Self::with(packing, Effort::Usual, options)
    }

    /// For one of several members that are unpacked at once.
    pub(super) fn modest(kind: Compression, options: &ReadOptions) -> Option<impl FnOnce(Box<dyn ByteReader>) -> Self + use<>> {
        Self::with(kind.into(), Effort::Modest, options)
    }

    fn with(packing: Packing, effort: Effort, options: &ReadOptions) -> Option<impl FnOnce(Box<dyn ByteReader>) -> Self + use<>> {
        let (codec, limit) = (Codec::new(packing, effort)?, options.decompress_limit);
        Some(move |inner| Self {
            inner: Raw::Whole(inner),
            state: State::Header,
            codec,
            at: 0,
            produced: 0,
            limit,
            issues: Vec::new(),
            taken: 0,
            error: None,
            recorder: None,
            check: None,
            given: None,
        })
    }

    /// Members are unpacked beside each other from here on, where the file has several.
    pub(super) fn in_parallel(&mut self, job_bytes: usize) {
        let kind = self.codec.compression();
        if member_magic(kind).is_none() || self.check.is_some() || !matches!(self.state, State::Header | State::Body) {
            return;
        }
        let begins = matches!(self.state, State::Header);
        if begins && kind == Compression::Xz {
            self.codec.replace(Effort::Threads);
        }
        let nothing = Raw::Whole(Box::new(Empty::at(0)));
        self.inner = match std::mem::replace(&mut self.inner, nothing) {
            Raw::Whole(inner) => Raw::Cut(Box::new(Cutter::new(inner, kind, self.at, begins, job_bytes))),
            cut => cut,
        };
    }

    /// Finds restart points as it goes, where there can be any.
    pub(super) fn recording(mut self, points: &RestartPoints, spacing: u64) -> Self {
        self.recorder = Some(Box::new(Recorder::new(points.clone(), spacing, self.codec.compression())));
        self
    }

    /// Goes on from a point; `inner` begins at its raw offset. The text up to the point behind has to be what it was. `None` if it is
    /// no such point.
    pub(super) fn resume(
        mut inner: Box<dyn ByteReader>,
        kind: Compression,
        point: &RestartPoint,
        behind: Option<&RestartPoint>,
        options: &ReadOptions,
    ) -> Result<Option<Self>, SourceError> {
        let Some(&first) = inner.fill(1)?.bytes.first() else { return Ok(None) };
        let Some(inflate) = point.inflater(first) else { return Ok(None) };
        let is_gzip = kind == Compression::Gzip;
        if !is_gzip && !point.begins_member() {
            return Ok(None);
        }
        let Some(over) = Self::new(kind.into(), options) else { return Ok(None) };
        let taken = usize::from(point.bit > 0);
        inner.consume(taken);
        let mut unpacker = over(inner);
        (unpacker.at, unpacker.produced) = (point.raw + taken as u64, point.text);
        if !point.begins_member() {
            unpacker.state = State::Body;
            unpacker.codec = Codec::Gzip { inflate: Box::new(inflate), crc: Crc::new(), is_partial: true };
        }
        unpacker.check = behind.map(|behind| Check { until: behind.text, expected: behind.crc, crc: Crc::new() });
        Ok(Some(unpacker))
    }

    /// Unpacks until less than [`MIN_ROOM`] is left of `room`. Less, if the stream below has no more yet or
    /// [is over](Self::is_over).
    pub(super) fn unpack(&mut self, room: &mut [u8]) -> Result<usize, SourceError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut made = 0;
        while room.len() - made >= MIN_ROOM && !matches!(self.state, State::Done) {
            match self.step(&mut room[made..]) {
                Ok(Step::Progress(n)) => made += n,
                Ok(Step::Blocked) => break,
                Err(error) if made == 0 => return Err(error),
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        take_issues(&mut self.issues, &mut self.taken, self.inner.as_reader().issues());
        Ok(made)
    }

    /// Nothing more comes out.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done) && self.error.is_none() && self.given.is_none()
    }

    pub(super) fn verify(&mut self) -> Result<(), Change> {
        let verified = self.inner.reader().verify();
        take_issues(&mut self.issues, &mut self.taken, self.inner.as_reader().issues());
        verified.inspect_err(|_| {
            self.state = State::Done;
            self.given = None;
        })
    }

    pub(super) fn issues(&self) -> &[Issue] {
        &self.issues
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.inner.as_reader().bytes_read()
    }

    fn step(&mut self, room: &mut [u8]) -> Result<Step, SourceError> {
        if self.given.is_some() {
            return Ok(self.step_given(room));
        }
        match self.state {
            State::Header => self.step_header(),
            State::Body => self.step_body(room),
            State::Trailer => self.step_trailer(),
            State::Done => Ok(Step::Progress(0)),
        }
    }

    /// Takes the text of members that were unpacked elsewhere, if the next ones are such.
    fn take_given(&mut self) -> Result<bool, SourceError> {
        let Raw::Cut(cutter) = &mut self.inner else { return Ok(false) };
        let (limit, produced, at) = (self.limit, self.produced, self.at);
        // Where it may be too much, it has to be told at which byte.
        let fits = |made: usize| match limit {
            DecompressLimit::Ratio { ratio, after_bytes } => {
                let produced = produced + made as u64;
                produced <= after_bytes || produced / ratio.max(1) <= at
            }
            DecompressLimit::Unlimited => true,
        };
        let Some((text, used)) = cutter.take(fits)? else { return Ok(false) };
        if let Some(recorder) = &mut self.recorder {
            recorder.member(self.at);
        }
        self.at += used as u64;
        self.given = Some((text, 0));
        Ok(true)
    }

    fn step_given(&mut self, room: &mut [u8]) -> Step {
        let Some((text, from)) = &mut self.given else { return Step::Progress(0) };
        let rest = &text.bytes()[*from..];
        let made = rest.len().min(room.len());
        room[..made].copy_from_slice(&rest[..made]);
        *from += made;
        let is_over = made == rest.len();
        if let Some(recorder) = &mut self.recorder {
            recorder.ran(&[], &room[..made]);
        }
        self.produced += made as u64;
        if is_over && let (Some((text, _)), Raw::Cut(cutter)) = (self.given.take(), &self.inner) {
            cutter.give_back(text);
        }
        Step::Progress(made)
    }

    fn step_header(&mut self) -> Result<Step, SourceError> {
        if self.take_given()? {
            return Ok(Step::Progress(0));
        }
        let mut want = 10;
        let header = loop {
            let Fill { bytes, end } = self.inner.reader().fill(want)?;
            if bytes.is_empty() && end {
                self.state = State::Done;
                return Ok(Step::Progress(0));
            }
            let zeros = bytes.iter().take_while(|b| **b == 0).count();
            if zeros > 0 {
                return Ok(self.skip_zeros(zeros));
            }
            match self.codec.header(&bytes[..bytes.len().min(MAX_HEADER)]) {
                Header::Cut if bytes.len() >= MAX_HEADER => break Header::NotPacked,
                Header::Cut if end => break Header::Cut,
                Header::Cut if bytes.len() < want => return Ok(Step::Blocked),
                Header::Cut => want = bytes.len() * 2,
                header => break header,
            }
        };
        match header {
            Header::Complete { len } => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.member(self.at);
                }
                self.use_up(len);
                self.codec.restart();
                self.state = State::Body;
            }
            Header::Cut => self.stop_cut(),
            Header::NotPacked => self.stop(Issue::TrailingGarbage { at: self.at }),
        }
        Ok(Step::Progress(0))
    }

    fn skip_zeros(&mut self, zeros: usize) -> Step {
        match self.issues.last_mut() {
            Some(Issue::ZeroPadding { at, bytes }) if *at + *bytes == self.at => *bytes += zeros as u64,
            _ => self.issues.push(Issue::ZeroPadding { at: self.at, bytes: zeros as u64 }),
        }
        self.use_up(zeros);
        Step::Progress(0)
    }

    fn step_body(&mut self, room: &mut [u8]) -> Result<Step, SourceError> {
        let Fill { bytes, end } = self.inner.reader().fill(1)?;
        if bytes.is_empty() {
            if !end {
                return Ok(Step::Blocked);
            }
            let made = self.codec.drain(room);
            if let Some(recorder) = &mut self.recorder {
                recorder.ran(&[], &room[..made]);
            }
            self.produced += made as u64;
            if made == 0 {
                self.stop_cut();
            }
            return Ok(Step::Progress(made));
        }
        let flush = self.recorder.as_ref().map_or(InflateFlush::NoFlush, |recorder| recorder.flush());
        let ran = self.codec.run(bytes, room, flush);
        let kind = self.codec.compression();
        let Ok(Ran { used, made, ended }) = ran else {
            self.stop(Issue::Corrupt { kind, at: self.at, out: self.produced });
            return Ok(Step::Progress(0));
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.ran(&bytes[..used], &room[..made]);
            // It stopped with work left to do.
            if flush == InflateFlush::Block && !ended && used < bytes.len() && made < room.len() {
                recorder.look(self.at + used as u64, &bytes[used..]);
            }
        }
        self.check_sum(&room[..made]);
        self.produced += made as u64;
        self.use_up(used);
        if ended {
            self.state = if kind == Compression::Gzip { State::Trailer } else { State::Header };
            if !self.codec.is_as_expected() {
                self.issues.push(Issue::Checksum { at: self.at });
            }
        } else if used == 0 && made == 0 {
            // No progress with input and room: as good as an error, and it must not go round for ever.
            self.stop(Issue::Corrupt { kind, at: self.at, out: self.produced });
        }
        if let DecompressLimit::Ratio { ratio, after_bytes } = self.limit
            && self.produced > after_bytes
            && self.produced / ratio.max(1) > self.at
        {
            self.stop(Issue::DecompressLimit { at: self.at, out: self.produced });
        }
        Ok(Step::Progress(made))
    }

    /// Looks at the checksum of text that came out from a point on, as far as it is known.
    fn check_sum(&mut self, made: &[u8]) {
        let Some(Check { until, expected, crc }) = &mut self.check else { return };
        let left = usize::try_from(*until - self.produced).unwrap_or(usize::MAX);
        crc.update(&made[..made.len().min(left)]);
        if made.len() >= left {
            if crc.clone().finalize() != *expected {
                self.issues.push(Issue::Checksum { at: self.at });
            }
            self.check = None;
        }
    }

    fn step_trailer(&mut self) -> Result<Step, SourceError> {
        let Fill { bytes, end } = self.inner.reader().fill(8)?;
        let Some(trailer) = bytes.first_chunk::<8>() else {
            if !end {
                return Ok(Step::Blocked);
            }
            self.stop_cut();
            return Ok(Step::Progress(0));
        };
        let fits = self.codec.fits(*trailer);
        self.use_up(8);
        if !fits {
            self.issues.push(Issue::Checksum { at: self.at });
        }
        self.state = State::Header;
        Ok(Step::Progress(0))
    }

    fn stop(&mut self, issue: Issue) {
        self.issues.push(issue);
        self.state = State::Done;
    }

    fn use_up(&mut self, n: usize) {
        self.inner.reader().consume(n);
        self.at += n as u64;
    }

    /// The data end in the middle of a member; what is left of them is used up.
    fn stop_cut(&mut self) {
        let left = self.inner.reader().fill(1).map_or(0, |fill| fill.bytes.len());
        self.use_up(left);
        self.stop(Issue::Truncated { kind: self.codec.compression(), at: self.at, out: self.produced });
    }
}

/// [`ByteReader`] of what a reader of compressed data holds.
pub(super) struct PackedReader {
    way: Way,
    out: Outbox,
    /// How much is unpacked here before a thread takes over.
    here_bytes: u64,
    /// It may be read far ahead of who unpacks it.
    is_file: bool,
}

/// Who unpacks.
enum Way {
    /// Whoever reads: all of what is small, and the beginning of everything.
    Here(Box<Unpacker>),
    /// A thread of its own.
    Ahead(Box<AheadReader>),
}

impl PackedReader {
    /// `None` if this is not compressed, or in no way that can be read.
    pub(super) fn new(packing: Packing, options: &ReadOptions) -> Option<impl FnOnce(Box<dyn ByteReader>) -> Self + use<>> {
        let over = Unpacker::new(packing, options)?;
        let here_bytes = AHEAD_AFTER;
        Some(move |inner| Self { way: Way::Here(Box::new(over(inner))), out: Outbox::default(), here_bytes, is_file: false })
    }

    /// Of a file: all of it is there, and members of it may be unpacked beside each other.
    pub(super) fn of_file(self) -> Self {
        Self { is_file: true, ..self }
    }

    /// What an unpacker makes that begins at offset `text` of the text. Nobody unpacks ahead of who reads: others read what is behind.
    pub(super) fn resumed(unpacker: Unpacker, text: u64) -> Self {
        Self { way: Way::Here(Box::new(unpacker)), out: Outbox::at(text), here_bytes: u64::MAX, is_file: true }
    }

    /// Leaves the rest to a thread, unless there can be none.
    fn go_ahead(&mut self) {
        let Way::Here(unpacker) = &mut self.way else { return };
        let Some(feed) = Feed::start(Cut::Anywhere, Lines::Uncounted) else {
            self.here_bytes = u64::MAX;
            return;
        };
        if self.is_file {
            unpacker.in_parallel(JOB_BYTES);
        }
        let ahead = Box::new(AheadReader::behind(feed.clone(), &self.out, unpacker));
        if let Way::Here(unpacker) = std::mem::replace(&mut self.way, Way::Ahead(ahead)) {
            feed.give(unpacker);
        }
    }
}

impl ByteReader for PackedReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        let mut end = false;
        if let Way::Here(unpacker) = &mut self.way {
            while self.out.bytes().len() < min.max(1) && self.out.produced() < self.here_bytes && !unpacker.is_over() {
                match unpacker.unpack(self.out.room(MIN_ROOM, OUT_BYTES))? {
                    0 => break,
                    made => self.out.made(made),
                }
            }
            end = unpacker.is_over();
            if !end && self.out.bytes().len() < min.max(1) && self.out.produced() >= self.here_bytes {
                self.go_ahead();
            }
        }
        match &mut self.way {
            Way::Ahead(ahead) => ahead.fill(min),
            Way::Here(_) => Ok(Fill { bytes: self.out.bytes(), end }),
        }
    }

    fn consume(&mut self, n: usize) {
        match &mut self.way {
            Way::Ahead(ahead) => ahead.consume(n),
            Way::Here(_) => self.out.consume(n),
        }
    }

    fn verify(&mut self) -> Result<(), Change> {
        match &mut self.way {
            Way::Here(unpacker) => unpacker.verify().inspect_err(|_| self.out.clear()),
            Way::Ahead(ahead) => ahead.verify(),
        }
    }

    fn issues(&self) -> &[Issue] {
        match &self.way {
            Way::Here(unpacker) => unpacker.issues(),
            Way::Ahead(ahead) => ahead.issues(),
        }
    }

    fn bytes_read(&self) -> u64 {
        match &self.way {
            Way::Here(unpacker) => unpacker.bytes_read(),
            Way::Ahead(ahead) => ahead.bytes_read(),
        }
    }

    fn offset(&self) -> u64 {
        match &self.way {
            Way::Ahead(ahead) => ahead.offset(),
            Way::Here(_) => self.out.offset(),
        }
    }
}
