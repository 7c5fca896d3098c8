//! Places in a compressed file where unpacking can begin.
//!
//! Where a member of any kind begins (a frame of zstd, a stream of xz), nothing is needed but the place. Within a member there are such
//! places in gzip:
//!
//! ```text
//!   raw      │ header │ block │ block │ block ▲ block │ block ▲ …            a block of deflate begins at any bit of a byte
//!   text     0 ······························ 8 MiB ········· 16 MiB …       and copies from the 32 KiB of text before it
//! ```
//!
//! [`Recorder`] finds them while a file is unpacked from its beginning, as zlib's example `zran.c` does: the state of the inflater
//! at the begin of a block is no more than the bit at which it begins and the text before it. The inflater says where a block
//! ends, but not at which bit of the last bytes that it took: of all that it may be, the one is taken from which the same text
//! comes out.
//!
//! To go on at a bit in the middle of a byte, an inflater is given blocks that hold nothing, and end at that bit: so it needs no
//! entry that other inflaters do not have.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crc32fast::Hasher as Crc;
use memchr::memchr_iter;
use serde::{Deserialize, Serialize};
use zlib_rs::{Inflate, InflateFlush, Status};

use super::snapshot::Compression;

/// How far back a deflate stream may copy from.
pub(super) const WINDOW: usize = 32 << 10;

/// An inflater has taken so many bytes more than it has used, at most.
const HELD_BYTES: usize = 8;

/// So much text tells the right bit from a wrong one. (A wrong one is hardly ever the begin of anything at all.)
const TELLING: usize = 2048;

/// Raw bytes from which so much text comes, as a rule.
const TRIED_BYTES: usize = 8 << 10;

/// A place in a compressed file where unpacking can begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPoint {
    /// Offset in the file of the byte that holds the first bit.
    pub(super) raw: u64,
    /// How many bits of that byte belong to what is before.
    pub(super) bit: u8,
    /// Offset in the text.
    pub(super) text: u64,
    /// Line feeds in the text before.
    pub(super) line_feeds: u64,
    /// The last byte of the text before.
    pub(super) before: u8,
    /// Checksum of the text from the point before this one to here.
    pub(super) crc: u32,
    /// The text before that it may copy from, packed; empty where a member begins. Kept beside the others, which are text.
    #[serde(skip)]
    pub(super) window: Vec<u8>,
    pub(super) window_bytes: usize,
}

impl RestartPoint {
    /// The windows of points, one behind the other.
    pub fn windows(points: &[Self]) -> Vec<u8> {
        points.iter().flat_map(|point| &point.window).copied().collect()
    }

    /// Gives points their windows back. `false` if these are not theirs, or the points are none.
    pub fn restore(points: &mut [Self], mut windows: &[u8]) -> bool {
        for point in points.iter_mut() {
            let Some((window, rest)) = windows.split_at_checked(point.window_bytes) else { return false };
            point.window = window.to_vec();
            windows = rest;
        }
        let goes_on = |pair: &[Self]| pair[0].text < pair[1].text && pair[0].raw < pair[1].raw;
        windows.is_empty() && points.windows(2).all(goes_on) && points.iter().all(|point| point.bit < 8 && point.text > 0)
    }

    /// Line feeds in the text before.
    pub fn line_feeds(&self) -> u64 {
        self.line_feeds
    }

    /// The last byte of the text before.
    pub fn before(&self) -> u8 {
        self.before
    }

    /// Offset in the file.
    pub fn raw(&self) -> u64 {
        self.raw
    }

    /// Offset in the text.
    pub fn text(&self) -> u64 {
        self.text
    }

    /// Does a member of the file begin here, with its header?
    pub(super) fn begins_member(&self) -> bool {
        self.window.is_empty()
    }

    /// An inflater that goes on from here, and has taken `first`, the byte at the point's offset, unless all of it is to come. `None` if
    /// the point is no such place.
    pub(super) fn inflater(&self, first: u8) -> Option<Inflate> {
        let window = match self.begins_member() {
            true => Vec::new(),
            false => zstd::bulk::decompress(&self.window, WINDOW).ok()?,
        };
        resume(&window, self.bit, first)
    }
}

/// Points by their place in the text; shared by who unpacks and who wants to know.
#[derive(Clone, Debug, Default)]
pub struct RestartPoints {
    found: Arc<Mutex<Vec<RestartPoint>>>,
}

impl RestartPoints {
    /// Those that were found so far.
    pub fn take(&self) -> Vec<RestartPoint> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, point: RestartPoint) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(point);
    }
}

/// An inflater that has given out `window`, and stands at bit `bit` of the byte `first`, which it has taken.
fn resume(window: &[u8], bit: u8, first: u8) -> Option<Inflate> {
    let mut inflate = Inflate::new(false, 15);
    if !window.is_empty() {
        inflate.set_dictionary(window).ok()?;
    }
    if bit == 0 {
        return Some(inflate);
    }
    let mut lead = nothing(bit);
    let last = lead.last_mut()?;
    *last |= first & (0xFF << bit);
    let before = lead.len() as u64;
    // A block of its own may follow at once: room for its text would be taken from it.
    while inflate.total_in() < before {
        let used = inflate.total_in() as usize;
        match inflate.decompress(&lead[used..], &mut [], InflateFlush::NoFlush) {
            Ok(Status::Ok) if inflate.total_in() as usize > used => {}
            _ => return None,
        }
    }
    Some(inflate)
}

/// Blocks that hold nothing and end at bit `bit` of their last byte.
fn nothing(bit: u8) -> Vec<u8> {
    let mut bits = Bits::default();
    if bit % 2 == 1 {
        bits.push_dynamic();
    }
    // One with the fixed code takes ten bits.
    while bits.len % 8 != usize::from(bit) {
        bits.push(0b010, 3);
        bits.push(0, 7);
    }
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// The low `count` bits of `value`, low ones first.
    fn push(&mut self, value: u32, count: usize) {
        for at in 0..count {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((value >> at) & 1) as u8) << (self.len % 8);
            }
            self.len += 1;
        }
    }

    /// A Huffman code stands with its high bit first.
    fn push_code(&mut self, code: u32, count: usize) {
        (0..count).rev().for_each(|at| self.push((code >> at) & 1, 1));
    }

    /// An empty block with a code of its own, of 99 bits: an odd number.
    fn push_dynamic(&mut self) {
        self.push(0b100, 3);
        // 257 codes for bytes and the end, one for distances, 18 lengths of codes for lengths.
        self.push(0, 5);
        self.push(0, 5);
        self.push(14, 4);
        // In the order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1: `18` has one bit, `17` two, `0` and `1` three.
        for length in [0, 2, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3] {
            self.push(length, 3);
        }
        // So 18 is 0, 17 is 10, 0 is 110, 1 is 111. No byte has a code: 138 + 108 + 10 times.
        for (code, bits, more, more_bits) in [(0, 1, 138 - 11, 7), (0, 1, 108 - 11, 7), (0b10, 2, 10 - 3, 3)] {
            self.push_code(code, bits);
            self.push(more, more_bits);
        }
        // The end has one bit, the distance none.
        self.push_code(0b111, 3);
        self.push_code(0b110, 3);
        self.push_code(0, 1);
    }
}

/// A place where a block begins, though not all is known of it.
struct Place {
    /// Offset in the file behind the last byte that the inflater took.
    raw: u64,
    text: u64,
    line_feeds: u64,
    crc: u32,
    window: Vec<u8>,
    /// What comes out for each of the bits that it may be: the byte's offset, its bit, the text.
    tried: Vec<(u64, u8, Vec<u8>)>,
    /// The text that did come out behind it: its begin, and the checksum of all.
    seen: Vec<u8>,
    since: Crc,
}

impl Place {
    fn new(raw: u64, recorder: &Recorder, tried: Vec<(u64, u8, Vec<u8>)>, window: Vec<u8>) -> Self {
        let (text, line_feeds, crc) = (recorder.text, recorder.line_feeds, recorder.crc.clone().finalize());
        Self { raw, text, line_feeds, crc, window, tried, seen: Vec::new(), since: Crc::new() }
    }
}

/// Finds restart points in what is unpacked.
pub(super) struct Recorder {
    points: RestartPoints,
    spacing: u64,
    /// The last bytes of the text.
    window: VecDeque<u8>,
    text: u64,
    line_feeds: u64,
    last_point: u64,
    crc: Crc,
    /// The last bytes that the inflater took.
    taken: Vec<u8>,
    pending: Option<Place>,
    /// Points may be within members.
    is_gzip: bool,
}

impl Recorder {
    /// So much text lies between two points, at least.
    pub(super) fn new(points: RestartPoints, spacing: u64, kind: Compression) -> Self {
        Self {
            is_gzip: kind == Compression::Gzip,
            points,
            spacing,
            window: VecDeque::with_capacity(WINDOW),
            text: 0,
            line_feeds: 0,
            last_point: 0,
            crc: Crc::new(),
            taken: Vec::new(),
            pending: None,
        }
    }

    /// How the next block is to be unpacked: to its end and no further, where a point is due.
    pub(super) fn flush(&self) -> InflateFlush {
        let is_due = self.is_gzip && self.pending.is_none() && self.text - self.last_point >= self.spacing;
        if is_due { InflateFlush::Block } else { InflateFlush::NoFlush }
    }

    /// The inflater took these bytes and made that text of them.
    pub(super) fn ran(&mut self, used: &[u8], made: &[u8]) {
        let keep = HELD_BYTES.saturating_sub(used.len()).min(self.taken.len());
        self.taken.drain(..self.taken.len() - keep);
        self.taken.extend_from_slice(&used[used.len().saturating_sub(HELD_BYTES)..]);
        self.crc.update(made);
        self.text += made.len() as u64;
        self.line_feeds += memchr_iter(b'\n', made).count() as u64;
        let kept = &made[made.len().saturating_sub(WINDOW)..];
        let over = (self.window.len() + kept.len()).saturating_sub(WINDOW);
        self.window.drain(..over);
        self.window.extend(kept);
        self.settle(made);
    }

    /// The inflater may stand at the begin of a block: `next` are the bytes that it has not taken, the first of which is at `raw`.
    pub(super) fn look(&mut self, raw: u64, next: &[u8]) {
        let window: Vec<u8> = self.window.iter().copied().collect();
        let next = &next[..next.len().min(TRIED_BYTES)];
        let mut tried = Vec::new();
        for back in 0..=self.taken.len() {
            let first_at = raw - back as u64;
            let bytes: Vec<u8> = self.taken[self.taken.len() - back..].iter().chain(next).copied().collect();
            let Some((first, rest)) = bytes.split_first() else { continue };
            for bit in 0..8 {
                let inflate = resume(&window, bit, *first);
                let input = if bit == 0 { &bytes[..] } else { rest };
                if let Some(text) = inflate.and_then(|inflate| first_text(inflate, input)) {
                    tried.push((first_at, bit, text));
                }
            }
        }
        if tried.is_empty() {
            return;
        }
        self.pending = Some(Place::new(raw, self, tried, window));
    }

    /// A member begins at `raw`: nothing is copied from before it.
    pub(super) fn member(&mut self, raw: u64) {
        self.pending = None;
        if self.text - self.last_point >= self.spacing {
            let window = self.window.iter().copied().collect();
            let place = Place::new(raw, self, Vec::new(), window);
            self.push(place, raw, 0, true);
        }
        self.window.clear();
        self.taken.clear();
    }

    /// Compares what came out with what might have.
    fn settle(&mut self, made: &[u8]) {
        let Some(place) = &mut self.pending else { return };
        place.since.update(made);
        let take = TELLING.saturating_sub(place.seen.len()).min(made.len());
        place.seen.extend_from_slice(&made[..take]);
        let seen = &place.seen;
        place.tried.retain(|(_, _, text)| {
            let both = text.len().min(seen.len());
            text[..both] == seen[..both]
        });
        if place.tried.is_empty() {
            self.pending = None;
        } else if place.seen.len() == TELLING
            && let Some(place) = self.pending.take()
        {
            // Text that is stored as it is comes out from several bits, and not all of them know where the data end.
            if let [(raw, bit, _)] = place.tried[..] {
                self.push(place, raw, bit, false);
            }
        }
    }

    fn push(&mut self, place: Place, raw: u64, bit: u8, is_member: bool) {
        // A member that begins here has a header, and copies from nothing.
        let Ok(window) = (if is_member { Ok(Vec::new()) } else { zstd::bulk::compress(&place.window, 1) }) else { return };
        let Some(before) = place.window.last().copied() else { return };
        debug_assert!(raw <= place.raw, "a point behind its place");
        let Place { text, line_feeds, crc, since, .. } = place;
        let window_bytes = window.len();
        self.points.push(RestartPoint { raw, bit, text, line_feeds, before, crc, window, window_bytes });
        (self.last_point, self.crc) = (text, since);
    }
}

/// What comes out first; `None` if too little does.
fn first_text(mut inflate: Inflate, input: &[u8]) -> Option<Vec<u8>> {
    let mut text = vec![0; TELLING];
    let (used, made) = (inflate.total_in(), inflate.total_out());
    loop {
        let (read, written) = ((inflate.total_in() - used) as usize, (inflate.total_out() - made) as usize);
        match inflate.decompress(&input[read..], &mut text[written..], InflateFlush::NoFlush) {
            Ok(Status::Ok) if written < TELLING && inflate.total_out() - made > written as u64 => {}
            Ok(_) => break,
            Err(_) => return None,
        }
    }
    text.truncate((inflate.total_out() - made) as usize);
    (text.len() >= TELLING / 2).then_some(text)
}
