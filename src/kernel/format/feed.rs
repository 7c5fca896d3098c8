//! Where the value of a column comes from: a capture or a constant, and what is done to it.

use std::sync::Arc;

use crate::decode::time::Layout;
use crate::scan::{Escapes, Keyed};

/// One way to fill a column.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) source: Source,
    pub(crate) extract: Extract,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A capture of the pattern, by slot.
    Capture(u16),
    /// The same for a value that may have escapes.
    Escaped(u16, Escapes),
    /// A fixed value.
    Constant(Arc<str>),
}

impl Source {
    /// The capture, if it is one.
    pub(crate) fn slot(&self) -> Option<u16> {
        match self {
            Self::Capture(slot) | Self::Escaped(slot, _) => Some(*slot),
            Self::Constant(_) => None,
        }
    }
}

/// What the bytes mean.
#[derive(Clone, Debug)]
pub(crate) enum Extract {
    Text(TextRule),
    /// An unsigned number; into the width that the column has.
    Integer,
    Float,
    /// The text if it is an address.
    Ip,
    /// The text if it is an address (`host` types: the address half).
    HostIp,
    /// The text if it is not an address.
    HostName,
    /// One half of `address:port`.
    Address(Address, Take),
    Time(Layout),
    /// The same, if the stamp has a year and a zone.
    SureTime(Layout),
    TimeOffset(Layout),
    /// A duration, with the factor that makes milliseconds of its unit.
    Duration(f64, Take),
    /// A part of a request line.
    Request(Part, TextRule),
    /// A part of a URL.
    Url(Part, TextRule),
    Priority,
    Facility,
    Severity,
    StructuredData,
    /// All fields of a record that no capture takes.
    Rest(Arc<Keyed>),
}

/// Half of `address:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Ip,
    Port,
}

/// A part of a request line or URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Method,
    Url,
    Path,
    Query,
    Protocol,
}

/// Which item of a list counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Take {
    #[default]
    All,
    First,
    Last,
}

/// How escapes are undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unescape {
    #[default]
    No,
    /// Apache's and nginx's: `\x22`, `\"`.
    Backslash,
    /// JSON's, between quotes or not.
    Json,
}

/// What is done to a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TextRule {
    pub(crate) unescape: Unescape,
    /// A quote is written as two.
    pub(crate) doubled: bool,
    pub(crate) lower: bool,
    /// Line ends behind it are no part of it.
    pub(crate) chomp: bool,
    /// Blanks around it are no part of it.
    pub(crate) trim: bool,
    pub(crate) take: Take,
    pub(crate) map: Vec<(Vec<u8>, Arc<str>)>,
    /// What texts mean that are not in the map; themselves where there is none.
    pub(crate) other: Option<Arc<str>>,
    pub(crate) null: Vec<Vec<u8>>,
}

impl TextRule {
    /// Is the text taken as it stands?
    pub(crate) fn is_plain(&self) -> bool {
        let Self { unescape, doubled, lower, chomp, trim, take, map, other, null } = self;
        let is_changed = *unescape != Unescape::No || *doubled || *lower || *chomp || *trim;
        !is_changed && *take == Take::All && map.is_empty() && other.is_none() && null.is_empty()
    }
}
