//! Rules out lines that cannot pass the filter before they are split.
//!
//! `WHERE user_agent LIKE '%bingbot%'` can only be true for a line that holds `bingbot`. Finding that is many times quicker
//! than finding the fields of every line, so lines without it are counted as ruled out and never looked at. What a column is
//! worth may differ from the bytes of the line; a text is only asked for where it must be in the line as it stands.

use regex::bytes::Regex;

use super::plan::{ColumnPlan, RowKind};
use crate::format::{Extract, Feed, Source, TextRule};

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
    texts: Regex,
}

impl Prefilter {
    /// The one that rules out most, of those that every kind of row allows. `column_of` says where the values of a column of
    /// the table come from.
    pub(super) fn new(required: &[Required], kinds: &[RowKind], index_of: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        let usable = required.iter().filter_map(|required| {
            let shortest = required.any.iter().map(String::len).min()?;
            let index = index_of(required.column)?;
            let mut escapes = false;
            let verbatim = kinds.iter().all(|kind| is_verbatim(&kind.columns[index], &mut escapes));
            // What replaces bytes that are no text is not in the line.
            let is_text = required.any.iter().all(|text| !text.contains(char::REPLACEMENT_CHARACTER));
            (verbatim && is_text && shortest >= MIN_BYTES).then_some((shortest, required, escapes))
        });
        let (_, required, escapes) = usable.max_by_key(|(shortest, ..)| *shortest)?;
        let mut pattern = required.any.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
        if escapes {
            // An escaped byte may be one of the text.
            pattern += r"|\\";
        }
        Regex::new(&pattern).ok().map(|texts| Self { texts })
    }

    /// Where the next text is, from `at` on.
    pub(super) fn next(&self, bytes: &[u8], at: usize) -> Option<usize> {
        self.texts.find_at(bytes, at).map(|found| found.start())
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

fn is_verbatim_feed(feed: &Feed, escapes: &mut bool) -> bool {
    if matches!(feed.source, Source::Constant(_)) {
        return false;
    }
    match &feed.extract {
        Extract::Text(rule) | Extract::Request(_, rule) | Extract::Url(_, rule) => {
            let TextRule { unescape, lower, take: _, map, null: _ } = rule;
            *escapes |= unescape;
            !lower && map.is_empty()
        }
        Extract::Integer | Extract::Ip | Extract::HostIp | Extract::HostName | Extract::Address(..) => true,
        Extract::Float
        | Extract::Time(_)
        | Extract::TimeOffset(_)
        | Extract::Duration(..)
        | Extract::Priority
        | Extract::Facility
        | Extract::Severity
        | Extract::StructuredData => false,
    }
}
