//! Members of a packed file, unpacked beside each other.
//!
//! ```text
//!   raw   ├ member ┼ member ┼ member ┼ member ┤      cut where a member seems to begin, at least every 256 KiB
//!              ▼        ▼        ▼        ▼
//!             job      job      job      job         threads of the pool unpack each as if it was a file
//!              └────────┴───┬────┴────────┘
//!                           ▼
//!                       Unpacker                     takes the text of a job where it stands between two members at the job's first
//!                                                    byte, and unpacks all else itself
//! ```
//!
//! Where a member begins is a guess: the bytes that one begins with may stand in the middle of packed text, too. So the text of a job
//! counts only if whoever unpacks the file in its order comes to just that place, and only if nothing was odd about any of its
//! members. In all other cases the job was in vain, and the file is unpacked as if there had been none: rows, counts and what is
//! told of damage cannot differ.
//!
//! Who waits for a job that no thread has begun takes it back. So it does not matter whether the pool is busy, or waits for us.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use memchr::memmem::rfind_iter;

use super::error::{Change, Issue, SourceError};
use super::packed::{Unpacker, member_magic, seems_to_begin};
use super::snapshot::Compression;
use super::{ByteReader, DecompressLimit, Fill, ReadOptions};

/// How many packed bytes a job has at least, as a rule.
pub(super) const JOB_BYTES: usize = 256 << 10;

/// Members that are so many times longer are unpacked by whoever reads.
const MAX_JOBS_IN_ONE: usize = 16;

/// So are those of which more text comes out.
const MAX_TEXT: usize = 16 << 20;

/// Text takes so much room at first, and is given so much more at least.
const TEXT_ROOM: usize = 2 << 20;

/// More jobs are not kept at work for one file: what they have made waits in memory.
const MAX_JOBS: usize = 8;

/// So many bytes tell whether a member may begin with them.
const HEADER_BYTES: usize = 10;

/// After so many guesses that were wrong, and hardly any right ones, no more are made.
const MAX_MISSES: usize = 4;

/// Unpacked bytes.
#[derive(Default)]
pub(super) struct Text {
    /// Room for them, which is used again.
    bytes: Vec<u8>,
    len: usize,
}

impl Text {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A stretch of the packed file.
struct Chunk {
    bytes: Arc<Vec<u8>>,
    job: Option<Arc<Job>>,
}

struct Job {
    state: Mutex<JobState>,
    done: Condvar,
}

enum JobState {
    Waiting,
    Running,
    /// The text, unless something was odd.
    Done(Option<Text>),
    /// It was taken back.
    Off,
}

impl Job {
    fn state(&self) -> MutexGuard<'_, JobState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread of the pool unpack the members that these bytes are.
    fn start(bytes: &Arc<Vec<u8>>, kind: Compression, spare: &Spare) -> Arc<Self> {
        let job = Arc::new(Self { state: Mutex::new(JobState::Waiting), done: Condvar::new() });
        let (weak, bytes, spare): (Weak<Self>, _, _) = (Arc::downgrade(&job), Arc::clone(bytes), spare.clone());
        rayon::spawn(move || {
            // Nobody is there any more who wants it.
            let Some(job) = weak.upgrade() else { return };
            {
                let mut state = job.state();
                if !matches!(*state, JobState::Waiting) {
                    return;
                }
                *state = JobState::Running;
            }
            // What panics here does so again where the file is unpacked in its order, and is told there.
            let text = catch_unwind(AssertUnwindSafe(|| unpack_all(bytes, kind, spare.take()))).unwrap_or(None);
            *job.state() = JobState::Done(text);
            job.done.notify_all();
        });
        job
    }

    /// The text, or `None` if it has to be made by whoever asks.
    fn wait(&self) -> Outcome {
        let mut state = self.state();
        loop {
            match std::mem::replace(&mut *state, JobState::Off) {
                JobState::Running => *state = JobState::Running,
                JobState::Done(Some(text)) => return Outcome::Text(text),
                JobState::Done(None) => return Outcome::Odd,
                JobState::Waiting | JobState::Off => return Outcome::TakenBack,
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

enum Outcome {
    Text(Text),
    Odd,
    TakenBack,
}

/// Room for text that was handed out.
#[derive(Clone, Default)]
struct Spare {
    texts: Arc<Mutex<Vec<Text>>>,
}

impl Spare {
    fn lock(&self) -> MutexGuard<'_, Vec<Text>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Text {
        self.lock().pop().unwrap_or_default()
    }

    fn give_back(&self, text: Text) {
        let mut texts = self.lock();
        if texts.len() < MAX_JOBS {
            texts.push(text);
        }
    }
}

/// The text of members that are all of `bytes`; `None` if they are not, or there is anything to tell about them.
fn unpack_all(bytes: Arc<Vec<u8>>, kind: Compression, mut text: Text) -> Option<Text> {
    // What is too much is decided where the whole file is known.
    let options = ReadOptions { decompress_limit: DecompressLimit::Unlimited, ..ReadOptions::default() };
    let mut unpacker = Unpacker::modest(kind, &options)?(Box::new(Held { bytes, at: 0 }));
    text.len = 0;
    while !unpacker.is_over() {
        if text.bytes.len() - text.len < TEXT_ROOM / 2 {
            if text.bytes.len() >= MAX_TEXT {
                return None;
            }
            text.bytes.resize((text.bytes.len() * 2).max(TEXT_ROOM), 0);
        }
        text.len += unpacker.unpack(&mut text.bytes[text.len..]).ok()?;
        if !unpacker.issues().is_empty() {
            return None;
        }
    }
    Some(text)
}

/// [`ByteReader`] over bytes in memory.
struct Held {
    bytes: Arc<Vec<u8>>,
    at: usize,
}

impl ByteReader for Held {
    fn fill(&mut self, _min: usize) -> Result<Fill<'_>, SourceError> {
        Ok(Fill { bytes: &self.bytes[self.at..], end: true })
    }

    fn consume(&mut self, n: usize) {
        self.at = self.bytes.len().min(self.at + n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        Ok(())
    }

    fn issues(&self) -> &[Issue] {
        &[]
    }

    fn bytes_read(&self) -> u64 {
        self.at as u64
    }

    fn offset(&self) -> u64 {
        self.at as u64
    }
}

/// Cuts a packed file and has its members unpacked. As a [`ByteReader`] it hands out the packed bytes, for who unpacks them himself.
pub(super) struct Cutter {
    inner: Box<dyn ByteReader>,
    kind: Compression,
    /// Bytes behind the last cut.
    pending: Vec<u8>,
    /// How many of them were searched.
    searched: usize,
    /// A member seems to begin with them.
    begins: bool,
    /// The cursor is in the first one, at `from`.
    chunks: VecDeque<Chunk>,
    from: usize,
    /// Offset of the cursor.
    at: u64,
    /// Bytes of the chunks that the cursor was in.
    handed_out: u64,
    is_read: bool,
    max_chunks: usize,
    job_bytes: usize,
    spare: Spare,
    has_jobs: bool,
    hits: usize,
    misses: usize,
}

impl Cutter {
    /// Over the packed bytes from `at` on; `begins` if a member does there.
    pub(super) fn new(inner: Box<dyn ByteReader>, kind: Compression, at: u64, begins: bool, job_bytes: usize) -> Self {
        Self {
            job_bytes,
            handed_out: at,
            inner,
            kind,
            pending: Vec::new(),
            searched: 0,
            begins,
            chunks: VecDeque::new(),
            from: 0,
            at,
            is_read: false,
            max_chunks: rayon::current_num_threads().min(MAX_JOBS) + 1,
            spare: Spare::default(),
            has_jobs: false,
            hits: 0,
            misses: 0,
        }
    }

    /// Reads ahead.
    fn refill(&mut self) -> Result<(), SourceError> {
        loop {
            let wanted = if self.has_jobs && self.is_hopeful() { self.max_chunks } else { 1 };
            if self.chunks.len() >= wanted || (self.is_read && self.pending.is_empty()) {
                return Ok(());
            }
            if !self.read()? {
                return Ok(());
            }
            self.cut();
        }
    }

    /// One more chunk, however many there are. `false` if there is none.
    fn read_another(&mut self) -> Result<bool, SourceError> {
        let before = self.chunks.len();
        while self.chunks.len() == before && !(self.is_read && self.pending.is_empty()) {
            if !self.read()? {
                return Ok(false);
            }
            self.cut();
        }
        Ok(self.chunks.len() > before)
    }

    /// Reads a block. `false` if there is none yet.
    fn read(&mut self) -> Result<bool, SourceError> {
        if !self.is_read {
            let Fill { bytes, end } = self.inner.fill(self.job_bytes)?;
            // Of more than was asked for, the rest may wait.
            let n = bytes.len().min(self.job_bytes);
            self.pending.extend_from_slice(&bytes[..n]);
            self.is_read = end && n == bytes.len();
            self.inner.consume(n);
            return Ok(n > 0 || self.is_read);
        }
        Ok(true)
    }

    /// Are guesses right, as a rule?
    fn is_hopeful(&self) -> bool {
        self.misses < MAX_MISSES + self.hits
    }

    /// Makes a chunk of what is pending, if a member seems to begin in it, or it is enough.
    fn cut(&mut self) {
        if self.pending.is_empty() || (self.pending.len() < self.job_bytes && !self.is_read) {
            return;
        }
        let found = self.is_hopeful().then(|| self.last_begin()).flatten();
        self.searched = self.pending.len();
        let (len, is_whole) = match found {
            Some(at) => (at, true),
            None if self.is_read => (self.pending.len(), self.has_jobs),
            None if self.pending.len() >= MAX_JOBS_IN_ONE * self.job_bytes => (self.pending.len(), false),
            None => return,
        };
        let rest = self.pending.split_off(len);
        let bytes = Arc::new(std::mem::replace(&mut self.pending, rest));
        let job = (self.begins && is_whole).then(|| Job::start(&bytes, self.kind, &self.spare));
        self.has_jobs |= job.is_some();
        self.chunks.push_back(Chunk { bytes, job });
        (self.begins, self.searched) = (found.is_some(), 0);
    }

    /// Where the last member seems to begin in what is pending.
    fn last_begin(&self) -> Option<usize> {
        let from = self.searched.saturating_sub(HEADER_BYTES).max(1);
        let area = self.pending.get(from..)?;
        let magic = member_magic(self.kind)?;
        let seems = |at: &usize| area.len() - at >= HEADER_BYTES && seems_to_begin(self.kind, &area[*at..]);
        rfind_iter(area, magic).find(seems).map(|at| from + at)
    }

    /// Goes to the next chunk where one is over.
    fn advance(&mut self) -> Result<(), SourceError> {
        while self.chunks.front().is_some_and(|chunk| self.from == chunk.bytes.len()) {
            self.chunks.pop_front();
            self.from = 0;
            self.enter();
        }
        let was_empty = self.chunks.is_empty();
        self.refill()?;
        if was_empty {
            self.enter();
        }
        Ok(())
    }

    fn enter(&mut self) {
        self.handed_out += self.chunks.front().map_or(0, |chunk| chunk.bytes.len() as u64);
    }

    /// The text of the members from the cursor on, and how many packed bytes they are, if they have been unpacked and `fits` says that so
    /// much may come. The cursor is behind them then.
    pub(super) fn take(&mut self, fits: impl Fn(usize) -> bool) -> Result<Option<(Text, usize)>, SourceError> {
        self.advance()?;
        let Some(chunk) = self.chunks.front_mut().filter(|_| self.from == 0) else { return Ok(None) };
        let Some(job) = chunk.job.take() else { return Ok(None) };
        let len = chunk.bytes.len();
        match job.wait() {
            Outcome::Text(text) if fits(text.len) => {
                self.hits += 1;
                self.consume(len);
                Ok(Some((text, len)))
            }
            Outcome::Text(_) | Outcome::TakenBack => Ok(None),
            Outcome::Odd => {
                self.misses += 1;
                Ok(None)
            }
        }
    }

    /// Text that was handed out.
    pub(super) fn give_back(&self, text: Text) {
        self.spare.give_back(text);
    }

    /// Gets at least `min` bytes to stand next to each other, if there are as many.
    fn join(&mut self, min: usize) -> Result<(), SourceError> {
        self.advance()?;
        while let Some(first) = self.chunks.front()
            && first.bytes.len() - self.from < min
        {
            if self.chunks.len() == 1 && !self.read_another()? {
                return Ok(());
            }
            let Some(first) = self.chunks.pop_front() else { return Ok(()) };
            self.enter();
            let mut bytes = first.bytes[self.from..].to_vec();
            self.from = 0;
            if let Some(next) = self.chunks.pop_front() {
                bytes.extend_from_slice(&next.bytes);
            }
            self.chunks.push_front(Chunk { bytes: Arc::new(bytes), job: None });
        }
        Ok(())
    }
}

impl ByteReader for Cutter {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        self.join(min.max(1))?;
        let end = self.is_read && self.pending.is_empty() && self.chunks.len() <= 1;
        let bytes = self.chunks.front().map_or(&[][..], |chunk| &chunk.bytes[self.from..]);
        Ok(Fill { bytes, end })
    }

    fn consume(&mut self, n: usize) {
        debug_assert!(
            self.chunks.front().is_some_and(|chunk| n <= chunk.bytes.len() - self.from) || n == 0,
            "more consumed than was filled"
        );
        self.from += n;
        self.at += n as u64;
        if let Some(chunk) = self.chunks.front_mut().filter(|_| n > 0) {
            // Whoever is in the middle of it needs it no more.
            chunk.job = None;
        }
    }

    fn verify(&mut self) -> Result<(), Change> {
        self.inner.verify().inspect_err(|_| {
            self.chunks.clear();
            self.pending.clear();
            (self.from, self.is_read) = (0, true);
        })
    }

    fn issues(&self) -> &[Issue] {
        self.inner.issues()
    }

    fn bytes_read(&self) -> u64 {
        self.handed_out
    }

    fn offset(&self) -> u64 {
        self.at
    }
}
