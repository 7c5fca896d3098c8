//! Bytes that a reader has made of others and that wait to be consumed.

/// A buffer that is filled at its end and consumed from its beginning.
#[derive(Default)]
pub(super) struct Outbox {
    /// Bytes `from..to` of it wait.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// All that was ever made.
    produced: u64,
}

impl Outbox {
    /// As if so many bytes had been made and consumed.
    pub(super) fn at(produced: u64) -> Self {
        Self { produced, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.from..self.to]
    }

    /// Room for at least `min` bytes, and for `usual` where it has to grow.
    pub(super) fn room(&mut self, min: usize, usual: usize) -> &mut [u8] {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        }
        if self.from > 0 && self.buffer.len() - self.to < min {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.buffer.len() - self.to < min {
            self.buffer.resize(self.buffer.len() * 2 + usual, 0);
        }
        &mut self.buffer[self.to..]
    }

    /// So many bytes were put into the room.
    pub(super) fn made(&mut self, n: usize) {
        self.to += n;
        self.produced += n as u64;
    }

    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.to - self.from, "more consumed than was filled");
        self.from = self.to.min(self.from + n);
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self) {
        self.to = self.from;
    }

    /// How many bytes were made before this one.
    pub(super) fn produced(&self) -> u64 {
        self.produced
    }

    /// Where the cursor is among all that was made.
    pub(super) fn offset(&self) -> u64 {
        self.produced - (self.to - self.from) as u64
    }
}
