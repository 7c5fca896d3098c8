//! Finds where the fields of a record are.
//!
//! ```text
//!   regex ──lower──► Program (steps over bytes, memchr-driven) ─┐
//!     │                                                         ├─► Matcher::find ──► Spans, or how far it got
//!     └────────────► regex crate (what could not be lowered,  ──┘
//!                    and the oracle of every test)
//! ```
//!
//! A pattern is matched against a whole record, from its first byte to its last. Bytes are bytes: no Unicode
//! classes, and `.` takes every byte.
//!
//! JSON, logfmt, CEF, XML and columns under a header name their fields, so their patterns are not regular expressions but
//! [`keys`]. They give the same: spans.

mod ahead;
mod byteset;
mod cef;
mod delimited;
mod find;
mod json;
mod keys;
mod logfmt;
mod lower;
mod matcher;
mod planes;
mod program;
mod rest;
mod set;
mod shape;
mod simd;
mod trace;
mod tracing;
mod tree;
mod xml;

pub(crate) use ahead::{Ahead, Begin};
pub use byteset::ByteSet;
pub(crate) use delimited::undouble;
pub use delimited::{Dialect, Heading};
pub(crate) use json::plain;
pub(crate) use keys::Escapes;
pub use keys::{Field, Keyed, Syntax, Test, TwicePath, ValueType};
pub use lower::NotLowered;
pub use matcher::{Matcher, PatternError, RegexMatcher, Scratch};
pub use planes::Planes;
pub use program::{Failure, Program};
#[cfg(test)]
pub(crate) use set::check_traces;
pub use set::{Found, PatternSet, Ways};
pub use trace::{ABREAST, CaptureAbreast, Traces};
pub(crate) use tracing::{Reader, Tracing};

/// The name of the CPU's instructions that are used: the best that it has, or what `LOGSQL_SIMD` names.
pub fn simd_level() -> &'static str {
    simd::Level::best().name()
}

/// Where a capture begins and ends in its record; `start` is [`Span::NONE`]'s where it took no part in the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The span of a capture that took no part in the match.
    pub const NONE: Self = Self { start: u32::MAX, end: u32::MAX };

    /// The captured bytes, or `None` if the capture took no part.
    #[inline]
    pub fn of(self, record: &[u8]) -> Option<&[u8]> {
        if self.start == u32::MAX { None } else { record.get(self.start as usize..self.end as usize) }
    }
}
