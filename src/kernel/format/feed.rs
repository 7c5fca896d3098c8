//! Where the value of a column comes from: a capture or a constant, and what is done to it.

use std::sync::Arc;

use crate::decode::time::Layout;

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
    /// A fixed value.
    Constant(Arc<str>),
}

/// What the bytes mean.
#[derive(Clone, Debug, PartialEq)]
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

/// What is done to a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TextRule {
    pub(crate) unescape: bool,
    /// A quote is written as two.
    pub(crate) doubled: bool,
    pub(crate) lower: bool,
    pub(crate) take: Take,
    pub(crate) map: Vec<(Vec<u8>, Arc<str>)>,
    pub(crate) null: Vec<Vec<u8>>,
}

impl TextRule {
    /// Is the text taken as it stands?
    pub(crate) fn is_plain(&self) -> bool {
        !self.unescape && !self.doubled && !self.lower && self.take == Take::All && self.map.is_empty() && self.null.is_empty()
    }
}
