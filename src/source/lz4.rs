//! Frames of lz4. The blocks in them are unpacked by the crate `lz4_flex`, whose own reader of frames wants to pull its input, while a
//! codec here is handed what has arrived.
//!
//! ```text
//!   magic │ flags, size of blocks, … , check │ size │ block │ check? │ size │ block │ … │ 0 │ check?
//! ```

use std::hash::Hasher as _;

use lz4_flex::block::decompress_into_with_dict;
use twox_hash::XxHash32;

use super::packed::{Damaged, Ran};

/// What a frame begins with.
pub(super) const MAGIC: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];

/// How far back a block may refer to those before it.
const WINDOW: usize = 64 << 10;

/// A size with this bit is that of a block that is not packed.
const PLAIN: u32 = 1 << 31;

/// What comes next in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Descriptor,
    BlockSize,
    Block { len: usize, plain: bool },
    ContentCheck,
    End,
}

/// Unpacks one frame after the other.
pub(super) struct Unlz4 {
    part: Part,
    /// The beginning of `part`.
    gathered: Vec<u8>,
    linked: bool,
    block_check: bool,
    content_check: bool,
    max_block: usize,
    /// The last block; bytes `from..to` of it wait to be handed out.
    block: Vec<u8>,
    from: usize,
    to: usize,
    /// The text before the next block, as far as it may refer to it.
    window: Vec<u8>,
    hash: XxHash32,
    is_damaged: bool,
    is_as_checked: bool,
}

impl Unlz4 {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Descriptor,
            gathered: Vec::new(),
            linked: false,
            block_check: false,
            content_check: false,
            max_block: 0,
            block: Vec::new(),
            from: 0,
            to: 0,
            window: Vec::new(),
            hash: XxHash32::with_seed(0),
            is_damaged: false,
            is_as_checked: true,
        }
    }

    /// Is the text of the frame what its checksum says?
    pub(super) fn is_as_checked(&self) -> bool {
        self.is_as_checked
    }

    pub(super) fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<Ran, Damaged> {
        let (mut used, mut made) = (0, 0);
        while !self.is_damaged {
            let n = (self.to - self.from).min(out.len() - made);
            out[made..made + n].copy_from_slice(&self.block[self.from..self.from + n]);
            self.from += n;
            made += n;
            let is_handed_out = self.from == self.to;
            if !is_handed_out || self.part == Part::End {
                return Ok(Ran { used, made, ended: is_handed_out });
            }
            let needed = self.needed();
            let take = needed.saturating_sub(self.gathered.len()).min(input.len() - used);
            self.gathered.extend_from_slice(&input[used..used + take]);
            used += take;
            if self.gathered.len() < needed {
                return Ok(Ran { used, made, ended: false });
            }
            // The descriptor says only at its begin how long it is.
            if needed == self.needed() {
                self.is_damaged = self.advance().is_none();
            }
        }
        // What came out before the damage counts; the next call finds it again.
        if made > 0 { Ok(Ran { used, made, ended: false }) } else { Err(Damaged) }
    }

    /// How many bytes `part` has, as far as is known.
    fn needed(&self) -> usize {
        match self.part {
            Part::Descriptor => {
                let flags = self.gathered.get(4).copied().unwrap_or(0);
                let content_size = if flags & 0x08 != 0 { 8 } else { 0 };
                let dictionary = if flags & 0x01 != 0 { 4 } else { 0 };
                MAGIC.len() + 3 + content_size + dictionary
            }
            Part::BlockSize | Part::ContentCheck => 4,
            Part::Block { len, .. } => len + if self.block_check { 4 } else { 0 },
            Part::End => 0,
        }
    }

    /// Deals with `part`, which is gathered. `None` if it is damaged.
    fn advance(&mut self) -> Option<()> {
        let gathered = std::mem::take(&mut self.gathered);
        self.part = match self.part {
            Part::Descriptor => {
                self.descriptor(&gathered[MAGIC.len()..])?;
                Part::BlockSize
            }
            Part::BlockSize => match word(&gathered)? {
                0 if self.content_check => Part::ContentCheck,
                0 => Part::End,
                size => {
                    let len = (size & !PLAIN) as usize;
                    if len > self.max_block {
                        return None;
                    }
                    Part::Block { len, plain: size & PLAIN != 0 }
                }
            },
            Part::Block { len, plain } => {
                let (block, check) = gathered.split_at(len);
                if self.block_check && word(check)? != XxHash32::oneshot(0, block) {
                    return None;
                }
                self.unpack(block, plain)?;
                Part::BlockSize
            }
            Part::ContentCheck => {
                self.is_as_checked = word(&gathered)? == self.hash.finish_32();
                Part::End
            }
            Part::End => Part::End,
        };
        // Its room is used again.
        self.gathered = gathered;
        self.gathered.clear();
        Some(())
    }

    fn descriptor(&mut self, bytes: &[u8]) -> Option<()> {
        let (check, described) = bytes.split_last()?;
        let (flags, sizes) = (described[0], described[1]);
        let is_known = flags >> 6 == 1 && flags & 0x02 == 0 && sizes & 0x8F == 0;
        // A dictionary would have to come from elsewhere.
        let has_dictionary = flags & 0x01 != 0;
        if !is_known || has_dictionary || (XxHash32::oneshot(0, described) >> 8) as u8 != *check {
            return None;
        }
        self.linked = flags & 0x20 == 0;
        self.block_check = flags & 0x10 != 0;
        self.content_check = flags & 0x04 != 0;
        self.max_block = match sizes >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return None,
        };
        Some(())
    }

    fn unpack(&mut self, packed: &[u8], plain: bool) -> Option<()> {
        self.block.resize(self.max_block, 0);
        let made = if plain {
            self.block[..packed.len()].copy_from_slice(packed);
            packed.len()
        } else {
            decompress_into_with_dict(packed, &mut self.block, &self.window).ok()?
        };
        (self.from, self.to) = (0, made);
        let made = &self.block[..made];
        if self.content_check {
            self.hash.write(made);
        }
        if self.linked {
            let keep = WINDOW.saturating_sub(made.len()).min(self.window.len());
            self.window.drain(..self.window.len() - keep);
            self.window.extend_from_slice(&made[made.len().saturating_sub(WINDOW)..]);
        }
        Some(())
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
