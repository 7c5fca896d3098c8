//! Rules out lines that cannot pass the filter before they are split.
//!
//! `WHERE user_agent LIKE '%bingbot%'` can only be true for a line that holds `bingbot`. Finding that is many times quicker
//! than finding the fields of every line, so lines without it are counted as ruled out and never looked at. What a column is
//! worth may differ from the bytes of the line; a text is only asked for where it must be in the line as it stands.

use memchr::memchr;
use regex::bytes::Regex;

use super::plan::{ColumnPlan, RowKind};
use crate::format::{Extract, Feed, Source, TextRule, Unescape};
use crate::scan::Escapes;

/// Shorter texts are in most lines.
const MIN_BYTES: usize = 3;

/// What a row has to have to pass the filter: a column whose value, as text, holds one of some texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The column of the table.
    pub column: usize,
    /// Its value holds one of these.
    pub any: Vec<String>,
}

/// Finds the lines that may pass.
#[derive(Debug)]
pub(super) struct Prefilter {
    /// What is looked for, and what else a line with it needs.
    first: Texts,
    others: Vec<Texts>,
}

/// Texts of which one has to be in the line.
#[derive(Debug)]
struct Texts {
    any: Regex,
    /// An escaped byte may be one of the text.
    escapes: bool,
}

/// Where the prefilter has looked in the bytes that are being decoded.
#[derive(Debug, Default)]
pub(super) struct Seen {
    text: usize,
    escape: usize,
}

impl Prefilter {
    /// Asks for all that every kind of row allows; the longest text is looked for. `index_of` says where the values of a column
    /// of the table come from.
    pub(super) fn new(required: &[Required], kinds: &[RowKind], index_of: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        let usable = required.iter().filter_map(|required| {
            let shortest = required.any.iter().map(String::len).min().filter(|&shortest| shortest >= MIN_BYTES)?;
            let index = index_of(required.column)?;
            let mut escapes = false;
            let verbatim = kinds.iter().all(|kind| {
                let mut stands_in = kind.escapes.iter();
                stands_in.all(|of| is_verbatim_text(*of, &mut escapes)) && is_verbatim(&kind.columns[index], &mut escapes)
            });
            // What replaces bytes that are no text is not in the line.
            let is_text = required.any.iter().all(|text| !text.contains(char::REPLACEMENT_CHARACTER));
            let pattern = required.any.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
            let any = Regex::new(&pattern).ok().filter(|_| verbatim && is_text)?;
            Some((shortest, Texts { any, escapes }))
        });
        let mut usable: Vec<(usize, Texts)> = usable.collect();
        usable.sort_by_key(|(shortest, _)| std::cmp::Reverse(*shortest));
        let mut texts = usable.into_iter().map(|(_, texts)| texts);
        Some(Self { first: texts.next()?, others: texts.collect() })
    }

    /// Where the next line is that may pass, or rather a byte of it, from `at` on.
    #[inline]
    pub(super) fn next(&self, bytes: &[u8], at: usize, seen: &mut Seen) -> usize {
        if seen.text <= at {
            seen.text = self.first.any.find_at(bytes, at).map_or(bytes.len(), |found| found.start());
        }
        if self.first.escapes && seen.escape <= at {
            seen.escape = memchr(b'\\', &bytes[at..]).map_or(bytes.len(), |found| at + found);
        }
        if self.first.escapes { seen.text.min(seen.escape) } else { seen.text }
    }

    /// May the line pass, as far as the other texts tell?
    #[inline]
    pub(super) fn may_pass(&self, line: &[u8]) -> bool {
        self.others.iter().all(|texts| texts.any.is_match(line) || (texts.escapes && memchr(b'\\', line).is_some()))
    }
}

/// Are the values of a column a part of the line, but for escapes?
fn is_verbatim(column: &ColumnPlan, escapes: &mut bool) -> bool {
    match column {
        // NULL holds nothing.
        ColumnPlan::Null | ColumnPlan::Raw => true,
        ColumnPlan::Feeds(feeds) => feeds.iter().all(|feed| is_verbatim_feed(feed, escapes)),
        _ => false,
    }
}

/// Does a text stand in the line as it is, but for what is behind a backslash? Others escape without one.
fn is_verbatim_text(written: Escapes, escapes: &mut bool) -> bool {
    match written {
        Escapes::Quoted | Escapes::Backslash => *escapes = true,
        Escapes::Doubled | Escapes::Entities => return false,
    }
    true
}

fn is_verbatim_feed(feed: &Feed, escapes: &mut bool) -> bool {
    if matches!(feed.source, Source::Constant(_)) {
        return false;
    }
    match feed.source {
        Source::Escaped(_, written) if !is_verbatim_text(written, escapes) => return false,
        Source::Joined(_) => return false,
        Source::Escaped(..) | Source::Capture(_) | Source::Constant(_) => {}
    }
    match &feed.extract {
        Extract::Text(rule) | Extract::Request(_, rule) | Extract::Url(_, rule) => {
            let TextRule { unescape, url_decode, doubled, lower, chomp: _, trim: _, take: _, map, other, null: _ } = rule;
            *escapes |= *unescape != Unescape::No;
            !url_decode && !doubled && !lower && map.is_empty() && other.is_none()
        }
        Extract::Integer | Extract::Ip | Extract::HostIp | Extract::HostName | Extract::Address(..) => true,
        Extract::Float
        | Extract::Mac
        | Extract::Time(_)
        | Extract::SureTime(_)
        | Extract::TimeOffset(_)
        | Extract::Duration(..)
        | Extract::Priority
        | Extract::Facility
        | Extract::Severity
        | Extract::StructuredData
        | Extract::Rest(_) => false,
    }
}
