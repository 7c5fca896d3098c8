//! Where the value of a column comes from: a capture or a constant, and what is done to it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::decode::is_null;
use crate::decode::time::Layout;
use crate::scan::{Escapes, Keyed, Span};

/// One way to fill a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Feed {
    pub(crate) source: Source,
    pub(crate) extract: Extract,
}

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A capture of the pattern, by slot.
    Capture(u16),
    /// The same for a value that may have escapes.
    Escaped(u16, Escapes),
    /// A fixed value.
    Constant(Arc<str>),
    /// Several values behind each other, of each the first that is there. Without one of them there is none.
    Joined(Vec<Vec<Source>>),
}

impl Source {
    /// The capture, if it is one.
    pub(crate) fn slot(&self) -> Option<u16> {
        match self {
            Self::Capture(slot) | Self::Escaped(slot, _) => Some(*slot),
            Self::Constant(_) | Self::Joined(_) => None,
        }
    }

    /// All captures that it looks at.
    pub(crate) fn slots(&self) -> Vec<u16> {
        match self {
            Self::Joined(parts) => parts.iter().flatten().flat_map(Self::slots).collect(),
            source => source.slot().into_iter().collect(),
        }
    }

    /// The same with other numbers for the captures.
    pub(crate) fn moved(&self, to: &mut impl FnMut(u16) -> u16) -> Self {
        match self {
            Self::Capture(slot) => Self::Capture(to(*slot)),
            Self::Escaped(slot, escapes) => Self::Escaped(to(*slot), *escapes),
            Self::Constant(text) => Self::Constant(Arc::clone(text)),
            Self::Joined(parts) => {
                let mut part = |part: &Vec<Self>| part.iter().map(|source| source.moved_dyn(to)).collect();
                Self::Joined(parts.iter().map(&mut part).collect())
            }
        }
    }

    /// What [`moved`](Self::moved) gives, without a new type for each depth.
    fn moved_dyn(&self, to: &mut dyn FnMut(u16) -> u16) -> Self {
        self.moved(&mut |slot| to(slot))
    }

    /// The value in a record whose captures are known.
    pub(crate) fn value<'a>(&'a self, record: &'a [u8], spans: &[Span]) -> Option<Cow<'a, [u8]>> {
        self.value_by(&|slot| {
            let span = spans[usize::from(slot)];
            let before = (span.start as usize).checked_sub(1).and_then(|before| record.get(before));
            Some((span.of(record)?, before.copied()))
        })
    }

    /// The value by what captures hold, and the byte before each; not the texts that stand for nothing.
    #[inline]
    pub(crate) fn value_by<'a>(&'a self, capture: &dyn Fn(u16) -> Option<(&'a [u8], Option<u8>)>) -> Option<Cow<'a, [u8]>> {
        let value = match self {
            Self::Capture(slot) => Cow::Borrowed(capture(*slot)?.0),
            Self::Escaped(slot, escapes) => {
                let (bytes, before) = capture(*slot)?;
                escapes.undo(bytes, before)
            }
            Self::Constant(text) => return Some(Cow::Borrowed(text.as_bytes())),
            Self::Joined(parts) => {
                let mut joined = vec![];
                for part in parts {
                    joined.extend_from_slice(&part.iter().find_map(|source| source.value_by(capture))?);
                }
                Cow::Owned(joined)
            }
        };
        (!is_null(&value)).then_some(value)
    }
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
    /// The address in the text, if there is one (`host` types: the address half).
    HostIp,
    /// The text if there is none.
    HostName,
    /// One half of `address:port`.
    Address(Address, Take),
    /// A hardware address, as six bytes with colons between them.
    Mac,
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

/// What takes the rest of a record is the same where it is of the same pattern.
impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
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
    /// `%20` is a blank.
    pub(crate) url_decode: bool,
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
        self.unescape == Unescape::No && self.only_unescapes()
    }

    /// Is a text without a backslash taken as it stands?
    pub(crate) fn only_unescapes(&self) -> bool {
        let Self { unescape: _, url_decode, doubled, lower, chomp, trim, take, map, other, null } = self;
        let is_changed = *url_decode || *doubled || *lower || *chomp || *trim;
        !is_changed && *take == Take::All && map.is_empty() && other.is_none() && null.is_empty()
    }
}
