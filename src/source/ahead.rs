//! Unpacking in a thread of its own, ahead of whoever reads.
//!
//! ```text
//!              thread                                                      one reader: the blocks one after the other
//!   reader ──► Unpacker ──► block ──► block ──► block ──► block ──► take ──┤
//!              verify                 at most READY_BLOCKS                 or several: each takes the next block
//!                 ▲                                            │
//!                 └───────────── spare buffers ◄───────────────┘
//! ```
//!
//! For several readers the blocks are cut at line feeds, so that each is a piece of its own: no line crosses one. A line that
//! is longer than a block ends that: whoever takes the block it begins in reads on alone to the end.
//!
//! A block leaves the thread only after the file was found to be still the same one. What is odd about the input goes with the
//! block after which it was found, so that it is told once, whoever takes it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memchr::{memchr_iter, memrchr};

use super::error::{Change, Issue, SourceError};
use super::outbox::Outbox;
use super::packed::Unpacker;
use super::{ByteReader, Fill};

/// Size of a block: what is unpacked is still in a near cache when it is read.
const BLOCK_BYTES: usize = 1 << 20;

/// How many blocks may wait to be taken.
const READY_BLOCKS: usize = 4;

/// How much of the next block is copied to stand behind the rest of the one before.
const COPY: usize = 64 << 10;

/// The byte order mark of UTF-8.
const BOM: &[u8] = &[0xEF, 0xBB, 0xBF];

/// How long `fill` may wait for a stream that has nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where blocks may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Anywhere,
    /// Behind a line feed, so that they can be read by themselves.
    AtLines,
}

/// Does anybody want to know the numbers of lines?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    Counted,
    Uncounted,
}

/// Unpacked bytes.
struct Block {
    bytes: Vec<u8>,
    /// How many of them there are.
    len: usize,
    /// Offset of the first one in the unpacked file.
    start: u64,
    /// Number of the line that it begins, where lines are counted.
    first_line: u64,
    /// The next block begins with a line, too.
    is_closed: bool,
    /// Nothing follows it.
    is_last: bool,
    /// Raw bytes that were read for it.
    raw_bytes: u64,
    issues: Vec<Issue>,
}

#[cfg(test)]
thread_local! {
    /// How many threads this one has started.
    pub(super) static STARTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The blocks of one file.
pub(super) struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is a block, or there will be none any more.
    arrived: Condvar,
    /// There is work for the thread, or there will be none any more.
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    /// What the thread is to unpack.
    given: Option<Box<Unpacker>>,
    ready: VecDeque<Block>,
    spare: Vec<Vec<u8>>,
    feeds: usize,
    /// The stream below has had nothing for 100 ms.
    is_idle: bool,
    /// The thread is done, for one of the reasons below or because all is unpacked.
    ended: bool,
    /// One reader has the rest for itself.
    alone: bool,
    error: Option<SourceError>,
    change: Option<Change>,
    panic: Option<Box<dyn Any + Send>>,
}

/// Who takes blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    /// A reader that has all of them, or all that are left.
    Only,
    OneOfSeveral,
}

/// What is there to be taken.
enum Taken {
    Block(Block),
    NothingYet,
    End,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Starts the thread; `None` if there can be none.
    pub(super) fn start(cut: Cut, lines: Lines) -> Option<Self> {
        let state = Mutex::new(State { feeds: 1, ..State::default() });
        let feed = Self { shared: Arc::new(Shared { state, arrived: Condvar::new(), wanted: Condvar::new() }) };
        let shared = Arc::clone(&feed.shared);
        let run = move || {
            let ran = catch_unwind(AssertUnwindSafe(|| run(&shared, cut, lines)));
            let mut state = shared.state();
            state.ended = true;
            state.panic = ran.err();
            drop(state);
            shared.arrived.notify_all();
        };
        std::thread::Builder::new().name("unpack".to_owned()).spawn(run).ok()?;
        #[cfg(test)]
        STARTED.set(STARTED.get() + 1);
        Some(feed)
    }

    /// Gives the thread what it is to unpack.
    pub(super) fn give(&self, unpacker: Box<Unpacker>) {
        self.shared.state().given = Some(unpacker);
        self.shared.wanted.notify_all();
    }

    /// The next block; for one of several, only if no other one has the rest for itself. An error and a panic of the thread are
    /// told once.
    fn take(&self, taker: Taker) -> Result<Taken, SourceError> {
        let mut state = self.shared.state();
        // A file always has more; a stream may have nothing for as long as it likes.
        while state.ready.is_empty() && !state.ended && !state.is_idle {
            state = self.shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ready.is_empty() && !state.ended {
            let waited = self.shared.arrived.wait_timeout(state, PATIENCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if taker == Taker::OneOfSeveral && state.alone {
            return Ok(Taken::End);
        }
        if let Some(block) = state.ready.pop_front() {
            state.alone |= taker == Taker::OneOfSeveral && !block.is_closed;
            drop(state);
            self.shared.wanted.notify_all();
            return Ok(Taken::Block(block));
        }
        if let Some(panic) = state.panic.take() {
            drop(state);
            resume_unwind(panic);
        }
        match state.error.take() {
            Some(error) => Err(error),
            None if state.ended => Ok(Taken::End),
            None => Ok(Taken::NothingYet),
        }
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut state = self.shared.state();
        if state.spare.len() < READY_BLOCKS {
            state.spare.push(bytes);
        }
    }

    /// A change that was noticed behind all that was taken.
    fn change(&self) -> Result<(), Change> {
        let state = self.shared.state();
        state.change.filter(|_| state.ready.is_empty()).map_or(Ok(()), Err)
    }
}

impl Clone for Feed {
    fn clone(&self) -> Self {
        self.shared.state().feeds += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.state().feeds -= 1;
        self.shared.wanted.notify_all();
    }
}

/// [`ByteReader`] over the blocks of a feed, from one of them on.
pub(super) struct AheadReader {
    feed: Feed,
    block: Option<Block>,
    /// Where the cursor is in `block`, unless it is in `joined`.
    from: usize,
    /// The rest of the blocks before, and the first `copied` bytes of `block`; bytes `joined_from..` of it wait to be consumed.
    joined: Vec<u8>,
    joined_from: usize,
    copied: usize,
    /// Nothing follows `block`.
    end: bool,
    offset: u64,
    raw_bytes: u64,
    issues: Vec<Issue>,
}

impl AheadReader {
    /// Goes on where another reader has left the unpacker: its bytes that wait come first.
    pub(super) fn behind(feed: Feed, out: &Outbox, unpacker: &Unpacker) -> Self {
        Self {
            feed,
            block: None,
            from: 0,
            joined: out.bytes().to_vec(),
            joined_from: 0,
            copied: 0,
            end: false,
            offset: out.offset(),
            raw_bytes: unpacker.bytes_read(),
            issues: unpacker.issues().to_vec(),
        }
    }

    /// Reads a block that was taken, and what follows if no line begins behind it.
    fn over(feed: Feed, mut block: Block, from: usize) -> Self {
        Self {
            feed,
            from,
            joined: Vec::new(),
            joined_from: 0,
            copied: 0,
            end: block.is_closed || block.is_last,
            offset: block.start + from as u64,
            raw_bytes: block.raw_bytes,
            issues: std::mem::take(&mut block.issues),
            block: Some(block),
        }
    }

    /// `false` if there is no further block, or not yet.
    fn next_block(&mut self) -> Result<bool, SourceError> {
        if let Some(block) = self.block.take() {
            self.feed.give_back(block.bytes);
        }
        (self.from, self.copied) = (0, 0);
        if self.end {
            return Ok(false);
        }
        match self.feed.take(Taker::Only)? {
            Taken::Block(mut block) => {
                self.end = block.is_last;
                self.raw_bytes += block.raw_bytes;
                self.issues.append(&mut block.issues);
                self.block = Some(block);
                Ok(true)
            }
            Taken::NothingYet => Ok(false),
            Taken::End => {
                self.end = true;
                Ok(false)
            }
        }
    }

    fn block_len(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.len)
    }

    fn block_bytes(&self, from: usize) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block.bytes[from..block.len])
    }

    /// Gets at least `min` bytes to stand next to each other, if there are as many.
    fn gather(&mut self, min: usize) -> Result<(), SourceError> {
        loop {
            let waiting = self.joined.len() - self.joined_from;
            if waiting <= self.copied {
                // The cursor is in the block itself.
                if !self.joined.is_empty() {
                    self.from = self.copied - waiting;
                    self.joined.clear();
                    (self.joined_from, self.copied) = (0, 0);
                }
                let left = self.block_len() - self.from;
                if left >= min || (self.end && self.block.is_some()) {
                    return Ok(());
                }
                let mut joined = std::mem::take(&mut self.joined);
                joined.extend_from_slice(self.block_bytes(self.from));
                self.joined = joined;
            } else if waiting >= min {
                return Ok(());
            } else {
                let take = (min - waiting).max(COPY).min(self.block_len() - self.copied);
                if take > 0 {
                    let mut joined = std::mem::take(&mut self.joined);
                    joined.extend_from_slice(&self.block_bytes(self.copied)[..take]);
                    self.joined = joined;
                    self.copied += take;
                    continue;
                }
            }
            if !self.next_block()? {
                return Ok(());
            }
        }
    }
}

impl ByteReader for AheadReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        self.gather(min.max(1))?;
        if self.joined.is_empty() {
            return Ok(Fill { bytes: self.block_bytes(self.from), end: self.end });
        }
        let end = self.end && self.copied == self.block_len();
        Ok(Fill { bytes: &self.joined[self.joined_from..], end })
    }

    fn consume(&mut self, n: usize) {
        self.offset += n as u64;
        if self.joined.is_empty() {
            debug_assert!(n <= self.block_len() - self.from, "more consumed than was filled");
            self.from += n;
        } else {
            debug_assert!(n <= self.joined.len() - self.joined_from, "more consumed than was filled");
            self.joined_from += n;
        }
    }

    fn verify(&mut self) -> Result<(), Change> {
        // What was taken was checked by the thread.
        self.feed.change()
    }

    fn issues(&self) -> &[Issue] {
        &self.issues
    }

    fn bytes_read(&self) -> u64 {
        self.raw_bytes
    }

    fn offset(&self) -> u64 {
        self.offset
    }
}

impl Drop for AheadReader {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.feed.give_back(block.bytes);
        }
    }
}

/// The text of one packed file, for any number of readers that take pieces of it.
pub struct SharedText {
    feed: Feed,
}

/// A piece of a [`SharedText`]: the lines that begin in it.
pub struct Stretch {
    /// Offset of its first byte in the text; that byte begins a line.
    pub start: u64,
    /// Offset behind its last byte; `u64::MAX` if it goes to the end of the text.
    pub end: u64,
    /// Number of its first line, if lines are counted.
    pub first_line: u64,
    /// Reads it.
    pub reader: Box<dyn ByteReader>,
}

impl SharedText {
    pub(super) fn start(unpacker: Box<Unpacker>, lines: Lines) -> Option<Self> {
        let feed = Feed::start(Cut::AtLines, lines)?;
        feed.give(unpacker);
        Some(Self { feed })
    }

    /// The next piece, which nobody else gets; `None` if there are no more. An error is told to one of the readers.
    pub fn next_stretch(&self) -> Result<Option<Stretch>, SourceError> {
        let block = loop {
            match self.feed.take(Taker::OneOfSeveral)? {
                Taken::Block(block) => break block,
                Taken::NothingYet => {}
                Taken::End => return Ok(None),
            }
        };
        // A byte order mark is skipped but counted.
        let mark = if block.start == 0 && block.bytes[..block.len].starts_with(BOM) { BOM.len() } else { 0 };
        let start = block.start + mark as u64;
        let end = if block.is_closed { block.start + block.len as u64 } else { u64::MAX };
        let first_line = block.first_line;
        let reader = Box::new(AheadReader::over(self.feed.clone(), block, mark));
        Ok(Some(Stretch { start, end, first_line, reader }))
    }

    /// A change of the file that was noticed behind all that was taken.
    pub fn verify(&self) -> Result<(), Change> {
        self.feed.change()
    }
}

/// What the thread does.
fn run(shared: &Shared, cut: Cut, lines: Lines) {
    let Some(mut unpacker) = wait_until(shared, |state| state.given.take()) else { return };
    let (mut cut, mut start, mut first_line) = (cut, 0, 1);
    let (mut raw_bytes, mut issues) = (unpacker.bytes_read(), unpacker.issues().len());
    // The beginning of a line whose end is not there yet.
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let room = |state: &mut State| (state.ready.len() < READY_BLOCKS).then(|| state.spare.pop().unwrap_or_default());
        let Some(mut bytes) = wait_until(shared, room) else { return };
        bytes.resize(BLOCK_BYTES, 0);
        bytes[..rest.len()].copy_from_slice(&rest);
        let unpacked = unpacker.unpack(&mut bytes[rest.len()..]);
        let verified = unpacker.verify();
        let (made, error) = match unpacked {
            Ok(made) => (made, None),
            Err(error) => (0, Some(error)),
        };
        if let Err(change) = verified {
            shared.state().change = Some(change);
            return;
        }
        let filled = rest.len() + made;
        let is_last = unpacker.is_over();
        let mut is_closed = false;
        let len = match memrchr(b'\n', &bytes[..filled]).filter(|_| cut == Cut::AtLines && !is_last && error.is_none()) {
            Some(feed) => {
                is_closed = true;
                feed + 1
            }
            // The stream has no more yet, or the line is longer than a block.
            None => filled,
        };
        rest.clear();
        rest.extend_from_slice(&bytes[len..filled]);
        if cut == Cut::AtLines && !is_closed {
            cut = Cut::Anywhere;
        }
        let block = Block {
            len,
            start,
            first_line,
            is_closed,
            is_last,
            raw_bytes: unpacker.bytes_read() - raw_bytes,
            issues: unpacker.issues()[issues..].to_vec(),
            bytes,
        };
        start += len as u64;
        if lines == Lines::Counted {
            first_line += memchr_iter(b'\n', &block.bytes[..len]).count() as u64;
        }
        let is_over = is_last || error.is_some();
        let mut state = shared.state();
        state.is_idle = len == 0 && !is_over;
        if len > 0 || is_last {
            (raw_bytes, issues) = (unpacker.bytes_read(), unpacker.issues().len());
            state.ready.push_back(block);
        }
        state.error = error;
        drop(state);
        shared.arrived.notify_all();
        if is_over {
            return;
        }
    }
}

/// Waits for what `look` finds; `None` once nobody is there any more to take anything.
fn wait_until<T>(shared: &Shared, look: impl Fn(&mut State) -> Option<T>) -> Option<T> {
    let mut state = shared.state();
    loop {
        if state.feeds == 0 {
            return None;
        }
        if let Some(found) = look(&mut state) {
            return Some(found);
        }
        state = shared.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}
