//! Where rendered bytes go, and what became of them.
//!
//! A reader that went away (`| head`) is not an error of the query, so it must be told apart from a full disk even
//! after it has passed through the Parquet writer, which keeps only the text of an error. [`Sink`] therefore
//! remembers the first failure itself.

use std::io::{self, Write};

use super::OutputError;

/// Text is handed on in pieces of about this size, so that one batch of long lines is not in memory twice.
const SPILL_BYTES: usize = 64 * 1024;

/// A writer that remembers its first failure, and for whom it writes.
pub(super) struct Sink<'a> {
    inner: &'a mut (dyn Write + Send),
    name: &'a str,
    failure: Option<io::Error>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(inner: &'a mut (dyn Write + Send), name: &'a str) -> Self {
        Self { inner, name, failure: None }
    }

    /// The failure of the target if there was one: what is behind an error of any layer above it.
    pub(super) fn failure(&mut self) -> Option<OutputError> {
        let source = self.failure.take()?;
        Some(if source.kind() == io::ErrorKind::BrokenPipe {
            OutputError::ClosedPipe
        } else {
            OutputError::Write { target: self.name.to_owned(), source }
        })
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            // The caller gets a copy of the kind; the error itself, with its number and text, waits in `failure`.
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failure.get_or_insert(error);
            }
            kind.into()
        })
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
    }
}

/// A text buffer in front of a [`Sink`].
pub(super) struct TextSink<'a> {
    /// What was rendered and not yet written.
    pub(super) text: String,
    sink: Sink<'a>,
}

impl<'a> TextSink<'a> {
    pub(super) fn new(sink: Sink<'a>) -> Self {
        Self { text: String::with_capacity(2 * SPILL_BYTES), sink }
    }

    /// Writes if much is waiting: called after each row.
    pub(super) fn row_done(&mut self) -> Result<(), OutputError> {
        if self.text.len() < SPILL_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes all and flushes: called after each batch, so that rows are seen as they come.
    pub(super) fn flush(&mut self) -> Result<(), OutputError> {
        self.write()?;
        let result = self.sink.flush();
        self.checked(result)
    }

    fn write(&mut self) -> Result<(), OutputError> {
        let result = self.sink.write_all(self.text.as_bytes());
        self.text.clear();
        // One huge row must not keep its memory for the rest of the query.
        self.text.shrink_to(2 * SPILL_BYTES);
        self.checked(result)
    }

    fn checked(&mut self, result: io::Result<()>) -> Result<(), OutputError> {
        result.map_err(|source| {
            self.sink.failure().unwrap_or_else(|| OutputError::Write { target: self.sink.name.to_owned(), source })
        })
    }
}
