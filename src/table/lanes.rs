//! Several partitions at one compressed file.
//!
//! ```text
//!   pieces of the plan     a.gz  b.gz  c.log …  │  a.gz:1  b.gz:1        helpers stand at the end of the queue, so that only
//!                            │                  │     │                  partitions without other work take them
//!                            ▼                        ▼
//!                         SharedText ──► stretches of whole lines, each to the one that asks first
//! ```
//!
//! The piece that starts at 0 reads the whole file, and the others only help it: where it is not at work (any more) they read
//! nothing. So rows are the same wherever and in whatever order the pieces are run.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use datafusion::common::Result as DfResult;
use futures::Stream;

use super::opener::{Counted, PieceStream, StretchOpener};
use super::report::PieceEnd;
use crate::source::{SharedText, SourceError};

/// Where the readers of one file in one scan find each other.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody reads the file.
    #[default]
    Idle,
    /// The piece that starts at 0 is being opened.
    Opening,
    Shared(Weak<SharedText>),
}

impl Lanes {
    /// The piece that starts at 0 is about to be opened; helpers wait for what comes of it.
    pub(super) fn announce(self: &Arc<Self>) -> Announced {
        *self.state() = State::Opening;
        Announced { lanes: Arc::clone(self) }
    }

    /// What there is to help with.
    pub(super) fn join(&self) -> Option<Arc<SharedText>> {
        let mut state = self.state();
        while matches!(*state, State::Opening) {
            state = self.opened.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match &*state {
            State::Shared(text) => text.upgrade(),
            State::Idle | State::Opening => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the helpers go, whatever came of the opening.
pub(super) struct Announced {
    lanes: Arc<Lanes>,
}

impl Announced {
    /// The file is read together.
    pub(super) fn share(&self, text: &Arc<SharedText>) {
        *self.lanes.state() = State::Shared(Arc::downgrade(text));
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        if matches!(*state, State::Opening) {
            *state = State::Idle;
        }
        drop(state);
        self.lanes.opened.notify_all();
    }
}

/// The batches of all stretches that one partition gets of a shared text.
pub(super) struct LaneStream {
    text: Arc<SharedText>,
    opener: StretchOpener,
    /// `None` once the lane is over.
    counted: Option<Counted>,
    stretch: Option<PieceStream>,
}

impl LaneStream {
    pub(super) fn new(text: Arc<SharedText>, opener: StretchOpener) -> Self {
        let counted = Some(opener.count());
        Self { text, opener, counted, stretch: None }
    }

    /// Takes the next stretch. `true` if there may be more to come.
    fn advance(&mut self) -> DfResult<bool> {
        match self.text.next_stretch() {
            Ok(Some(stretch)) => {
                self.stretch = Some(self.opener.open(stretch)?);
                Ok(true)
            }
            Ok(None) => {
                let Some(counted) = self.counted.take() else { return Ok(false) };
                match self.text.verify() {
                    Ok(()) => {
                        self.opener.finish();
                        counted.end(PieceEnd::Whole);
                    }
                    Err(change) => self.opener.changed(&counted, change)?,
                }
                Ok(false)
            }
            Err(error) => self.fail(error).map(|()| false),
        }
    }

    fn fail(&mut self, error: SourceError) -> DfResult<()> {
        self.counted.take().map_or(Ok(()), |counted| self.opener.failed(&counted, error))
    }
}

impl Stream for LaneStream {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(stretch) = &mut self.stretch {
            match Pin::new(stretch).poll_next(context) {
                Poll::Ready(None) => self.stretch = None,
                polled => return polled,
            }
        }
        match self.advance() {
            Ok(true) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(false) => Poll::Ready(None),
            Err(error) => {
                self.counted = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}
