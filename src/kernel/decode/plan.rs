//! What a scan of one file wants, worked out once: which patterns are tried, and where each column comes from in each.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use jiff::tz::TimeZone;
use thiserror::Error;

use super::prefilter::{Prefilter, Required};
use super::time::{Layout, Zone};
use crate::format::{Carried, Catalog, Extract, Feed, Lines, Pattern, Source};
use crate::scan::{Escapes, PatternSet};
use crate::table::{ColumnType, UNPARSED, table};

/// What [`ScanPlan::try_new`] is made of.
#[derive(Clone, Debug)]
pub struct ScanPlanArgs<'a> {
    /// All formats.
    pub catalog: &'a Catalog,
    /// The family that the file was detected as; empty if none, and then every line is unparsed.
    pub format: &'a str,
    /// The table whose rows are wanted.
    pub table: &'a str,
    /// Which of its columns, in the order of the output.
    pub columns: &'a [usize],
    /// Which of its columns the filter looks at, in its order.
    pub filter_columns: &'a [usize],
    /// What the filter asks for at least: all of it has to hold.
    pub required: &'a [Required],
    /// The value of `_file`.
    pub file: &'a str,
    /// The zone of stamps without one.
    pub zone: TimeZone,
    /// The time of the file in microseconds since the epoch, for stamps without a year.
    pub reference_us: i64,
}

/// A plan that cannot be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// No such table.
    #[error("there is no table `{0}`")]
    Table(String),
    /// No such format.
    #[error("there is no format `{0}`")]
    Format(String),
}

/// What a scan of one file wants.
#[derive(Debug)]
pub struct ScanPlan {
    pub(super) schema: SchemaRef,
    pub(super) filter_schema: SchemaRef,
    /// Columns that are read at all, and their types.
    pub(super) wanted: Vec<ColumnType>,
    /// The output and the filter's view, as indices into `wanted`.
    pub(super) output: Vec<usize>,
    pub(super) filter: Vec<usize>,
    /// What is tried on records, and for each of these patterns, what becomes of its records.
    pub(super) lines: Arc<Lines>,
    /// The patterns of these, as far as they have to be read.
    pub(super) set: Arc<PatternSet>,
    pub(super) entries: Vec<Entry>,
    pub(super) carried: Arc<Vec<Carried>>,
    /// The same of what is tried inside.
    pub(super) carried_sets: Vec<Arc<PatternSet>>,
    pub(super) kinds: Vec<RowKind>,
    /// The most spans that a row keeps.
    pub(super) stride: usize,
    /// The most captures that a record has.
    pub(super) captures: usize,
    pub(super) file: Box<str>,
    pub(super) zone: Zone,
    pub(super) reference_us: i64,
    /// Rows are the lines that no pattern takes.
    pub(super) unparsed_kind: Option<u16>,
    /// Lines that it does not find cannot pass the filter.
    pub(super) prefilter: Option<Prefilter>,
    needs_lines: bool,
    needs_context: bool,
}

/// What becomes of the records of a pattern. Slots are those of the set.
#[derive(Debug)]
pub(super) struct Entry {
    /// The kind of row that its records are, if they are rows of the table.
    pub(super) kind: Option<u16>,
    /// What is tried on the record inside, if that is where the table's rows are.
    pub(super) inner: Vec<Inner>,
    /// The captures with the record's time, where that depends on the records before it.
    pub(super) tracked: Vec<(Source, Layout)>,
    /// How captures may be escaped.
    pub(super) escapes: Option<Escapes>,
}

/// Patterns that are tried on the record inside of another one.
#[derive(Debug)]
pub(super) struct Inner {
    /// Which of the plan's carried ones they are.
    pub(super) carried: usize,
    /// The captures of the envelope that have to have one of these values.
    pub(super) requires: Vec<(usize, Vec<Vec<u8>>)>,
    /// The capture of the envelope that holds the record inside.
    pub(super) capture: usize,
    /// For each pattern, the kind of row that its records are.
    pub(super) kinds: Vec<u16>,
}

/// Rows of one pattern.
#[derive(Debug)]
pub(super) struct RowKind {
    pub(super) name: Box<str>,
    /// Which captures a row keeps, as slots of the record.
    pub(super) needed: Vec<u16>,
    /// For each wanted column, its value.
    pub(super) columns: Vec<ColumnPlan>,
}

impl RowKind {
    /// Are rows of the two the same, whichever they are said to be?
    fn is_like(&self, other: &Self) -> bool {
        let names = self.columns.contains(&ColumnPlan::Format) && self.name != other.name;
        !names && self.needed == other.needed && self.columns == other.columns
    }
}

/// Where the values of a column come from in one kind of row. Slots are indices into what the row keeps.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ColumnPlan {
    Null,
    Feeds(Vec<Feed>),
    /// The time that the tracker gave, unless a feed has one.
    Tracked(Vec<Feed>),
    Fields(Vec<(String, Feed)>),
    File,
    Line,
    Offset,
    Format,
    Raw,
    Reason,
    NearestFormat,
    FailedColumn,
    FailedField,
}

impl ScanPlan {
    /// Works a plan out.
    pub fn try_new(args: &ScanPlanArgs<'_>) -> Result<Self, PlanError> {
        let table = table(args.table).ok_or_else(|| PlanError::Table(args.table.to_owned()))?;
        if !args.format.is_empty() && args.catalog.format(args.format).is_none() {
            return Err(PlanError::Format(args.format.to_owned()));
        }
        let mut wanted_columns: Vec<usize> = vec![];
        let mut index_of = |column: usize| {
            wanted_columns.iter().position(|&other| other == column).unwrap_or_else(|| {
                wanted_columns.push(column);
                wanted_columns.len() - 1
            })
        };
        let output: Vec<usize> = args.columns.iter().map(|&column| index_of(column)).collect();
        let filter: Vec<usize> = args.filter_columns.iter().map(|&column| index_of(column)).collect();
        let fields = |columns: &[usize]| -> SchemaRef {
            Arc::new(Schema::new(columns.iter().map(|&column| Arc::clone(&table.schema().fields()[column])).collect::<Vec<_>>()))
        };
        let zone = Zone::new(args.zone.clone());
        let mut builder = Builder { wanted: &wanted_columns, table, kinds: vec![] };

        let unparsed_kind = (args.table == UNPARSED).then(|| builder.unparsed());
        let lines = args.catalog.lines_of(args.format);
        let carried = args.catalog.carried(args.format, args.table);
        let family = args.catalog.format(args.format);
        let carries = family.and_then(|format| format.carries());
        // Of what carries any line, the line is the better row even of the same table.
        let own = family.filter(|format| format.carries_lines()).map_or(0, |format| format.own().count());
        let of_family = family.map_or(0, |format| if format.is_inner() { lines.patterns.len() } else { format.own().count() });
        let mut entries = vec![];
        for (index, pattern) in lines.patterns.iter().enumerate() {
            let outer = Outer { pattern, slots: &|slot| lines.set.slot(index, usize::from(slot)) as u16 };
            let depends = |layout: Layout| layout.may_lack_year() || (layout.may_lack_zone() && zone.has_transitions());
            let mut tracked: Vec<(Source, Layout)> = time_feeds(pattern)
                .map(|(source, layout)| (source.moved(&mut |slot| lines.set.slot(index, usize::from(slot)) as u16), layout))
                .collect();
            // A line that belongs to another family than its file stands for itself: else the layouts of all families, which are
            // tried on each line, would make each query that shows times go through all lines in order.
            if index >= of_family || !tracked.iter().any(|(_, layout)| depends(*layout)) {
                tracked.clear();
            }
            let kind = (pattern.table.name == args.table).then(|| builder.kind(pattern, &outer, None, !tracked.is_empty()));
            let mut inner = vec![];
            if (kind.is_none() || index < own)
                && let Some(capture) = carries.and_then(|name| slot_of(pattern, name))
            {
                for (number, inside) in carried.iter().enumerate() {
                    let requires = inside.requires.iter();
                    let requires = requires.map(|(name, values)| match (slot_of(pattern, name), constant_of(pattern, name)) {
                        (Some(slot), _) => Some(vec![(lines.set.slot(index, slot), values.clone())]),
                        // What is the same in all records of a layout either is what is asked for or not.
                        (None, Some(text)) => values.iter().any(|wanted| is_wanted(wanted, text.as_bytes())).then(Vec::new),
                        // A layout of the envelope without the required capture cannot hold such a record, unless it is to have none.
                        (None, None) => values.iter().any(Vec::is_empty).then(Vec::new),
                    });
                    let Some(requires) = requires.collect::<Option<Vec<_>>>() else { continue };
                    let requires = requires.concat();
                    // The captures of what is inside stand behind those of the envelope.
                    let behind = lines.set.captures();
                    let kinds = inside.patterns.iter().enumerate().map(|(which, pattern)| {
                        let slots = |slot| (behind + inside.set.slot(which, usize::from(slot))) as u16;
                        let own = Outer { pattern, slots: &slots };
                        builder.kind(pattern, &own, Some((&outer, capture)), !tracked.is_empty())
                    });
                    let kinds = kinds.collect();
                    inner.push(Inner { carried: number, requires, capture: lines.set.slot(index, capture), kinds });
                }
            }
            let escapes = pattern.matcher.as_keyed().map(|keyed| keyed.syntax().escapes());
            entries.push(Entry { kind, inner, tracked, escapes });
        }

        let kinds = builder.kinds;
        let uses = |test: fn(&ColumnPlan) -> bool| kinds.iter().flat_map(|kind| &kind.columns).any(test);
        let needs_lines = uses(|plan| matches!(plan, ColumnPlan::Line));
        let tracks = uses(|plan| matches!(plan, ColumnPlan::Tracked(_)));
        if !tracks {
            entries.iter_mut().for_each(|entry| entry.tracked.clear());
        }
        let position = |column: usize| wanted_columns.iter().position(|&wanted| wanted == column);
        // Where records join lines or move a clock, and where lines say what others mean, no line may be passed over.
        let is_bound = lines.starts.is_some() || tracks || !lines.headings.is_empty();
        let prefilter = if is_bound { None } else { Prefilter::new(args.required, &kinds, position) };
        let behind = lines.set.captures();
        let (inside, outside): (BTreeSet<usize>, BTreeSet<usize>) =
            read_slots(&kinds, &entries).partition(|&slot| slot >= behind);
        let set = lines.set.set_for(outside, &classes(entries.len(), |one, other| entries[one].is_like(&entries[other], &kinds)));
        let inside: BTreeSet<usize> = inside.into_iter().map(|slot| slot - behind).collect();
        let carried_sets = carried.iter().enumerate().map(|(number, inner)| {
            let uses = || entries.iter().flat_map(|entry| &entry.inner).filter(|inner| inner.carried == number);
            let is_like = |one, other| uses().all(|inner| is_like_row(&kinds, (inner.kinds[one], inner.kinds[other])));
            inner.set.set_for(inside.clone(), &classes(inner.patterns.len(), is_like))
        });
        let carried_sets = carried_sets.collect();
        let inner_captures = carried.iter().map(|inside| inside.set.captures()).max();
        Ok(Self {
            schema: fields(args.columns),
            filter_schema: fields(args.filter_columns),
            wanted: wanted_columns.iter().map(|&column| table.columns[column].kind).collect(),
            output,
            filter,
            stride: kinds.iter().map(|kind| kind.needed.len()).max().unwrap_or(0),
            captures: lines.set.captures() + inner_captures.unwrap_or(0),
            lines,
            set,
            entries,
            carried,
            carried_sets,
            kinds,
            file: args.file.into(),
            zone,
            reference_us: args.reference_us,
            unparsed_kind,
            prefilter,
            needs_lines,
            needs_context: tracks,
        })
    }

    /// The captures of a record that are looked at, those of the record inside behind the others.
    pub(super) fn read_slots(&self) -> impl Iterator<Item = usize> {
        read_slots(&self.kinds, &self.entries)
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Are the numbers of lines asked for?
    pub fn needs_line_numbers(&self) -> bool {
        self.needs_lines
    }

    /// May a record span lines?
    pub fn joins_lines(&self) -> bool {
        self.lines.starts.is_some()
    }

    /// Do lines say what the columns of those behind them are?
    pub fn has_headers(&self) -> bool {
        !self.lines.headings.is_empty()
    }

    /// Does the line say what the columns of those behind it are?
    pub fn is_header(&self, line: &[u8]) -> bool {
        self.lines.is_heading(line)
    }

    /// Do values depend on the records before a piece?
    pub fn needs_stamp_context(&self) -> bool {
        self.needs_context
    }

    /// Is the time of rows among the columns?
    pub(super) fn gives_time(&self) -> bool {
        self.reads_time(&self.output)
    }

    /// Does the filter look at the time of rows?
    pub(super) fn filters_by_time(&self) -> bool {
        self.reads_time(&self.filter)
    }

    fn reads_time(&self, columns: &[usize]) -> bool {
        columns.iter().any(|&column| self.wanted[column] == ColumnType::Time)
    }

    /// The time of the file in microseconds since the epoch.
    pub fn reference_us(&self) -> i64 {
        self.reference_us
    }
}

fn read_slots(kinds: &[RowKind], entries: &[Entry]) -> impl Iterator<Item = usize> {
    let needed = kinds.iter().flat_map(|kind| &kind.needed).map(|&slot| usize::from(slot));
    let of_entries = entries.iter().flat_map(|entry| {
        let tracked = entry.tracked.iter().flat_map(|(source, _)| source.slots()).map(usize::from);
        let inner = entry.inner.iter();
        tracked.chain(inner.flat_map(|inner| inner.requires.iter().map(|(slot, _)| *slot).chain([inner.capture])))
    });
    needed.chain(of_entries)
}

/// For each of so many patterns the first one whose records come to the same.
fn classes(patterns: usize, is_like: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    (0..patterns).map(|one| (0..one).find(|&other| is_like(one, other)).unwrap_or(one)).collect()
}

/// Are rows of two kinds the same, whichever they are said to be?
fn is_like_row(kinds: &[RowKind], (one, other): (u16, u16)) -> bool {
    one == other || kinds[usize::from(one)].is_like(&kinds[usize::from(other)])
}

impl Entry {
    /// Does the same come of records of the two?
    fn is_like(&self, other: &Self, kinds: &[RowKind]) -> bool {
        let is_like_row = |pair| is_like_row(kinds, pair);
        let is_inner_like = |(one, other): (&Inner, &Inner)| {
            (one.carried, &one.requires, one.capture) == (other.carried, &other.requires, other.capture)
                && one.kinds.iter().zip(&other.kinds).all(|(one, other)| is_like_row((*one, *other)))
        };
        (self.kind.is_some(), &self.tracked, self.escapes) == (other.kind.is_some(), &other.tracked, other.escapes)
            && self.kind.zip(other.kind).is_none_or(is_like_row)
            && self.inner.len() == other.inner.len()
            && self.inner.iter().zip(&other.inner).all(is_inner_like)
    }
}

/// The captures of a pattern that are its time.
fn time_feeds(pattern: &Pattern) -> impl Iterator<Item = (&Source, Layout)> {
    let feeds = pattern.table.column("time").map_or(&[][..], |column| &pattern.columns[column]);
    feeds.iter().filter_map(|feed| match (&feed.source, &feed.extract) {
        (Source::Constant(_), _) => None,
        (source, Extract::Time(layout)) => Some((source, *layout)),
        _ => None,
    })
}

/// The value that a column has in all records of a pattern.
fn constant_of<'a>(pattern: &'a Pattern, name: &str) -> Option<&'a str> {
    pattern.columns[pattern.table.column(name)?].iter().find_map(|feed| match &feed.source {
        Source::Constant(text) => Some(&**text),
        _ => None,
    })
}

/// Is this what a carried record requires? `postfix/*` takes all that begins so.
#[inline]
pub(super) fn is_wanted(wanted: &[u8], value: &[u8]) -> bool {
    wanted == value || wanted.strip_suffix(b"*").is_some_and(|begin| value.starts_with(begin))
}

fn slot_of(pattern: &Pattern, capture: &str) -> Option<usize> {
    pattern.matcher.captures().iter().position(|name| **name == *capture)
}

/// A pattern, and where its captures lie in a record's slots.
struct Outer<'a> {
    pattern: &'a Pattern,
    slots: &'a dyn Fn(u16) -> u16,
}

struct Builder<'a> {
    wanted: &'a [usize],
    table: &'static crate::table::TableDef,
    kinds: Vec<RowKind>,
}

impl Builder<'_> {
    /// The kind of row that `pattern` gives, on its own or inside of an envelope whose capture `carried` holds it.
    fn kind(&mut self, pattern: &Pattern, own: &Outer<'_>, envelope: Option<(&Outer<'_>, usize)>, tracked: bool) -> u16 {
        let mut needed = vec![];
        let columns = self.wanted.iter().map(|&column| {
            let name = self.table.columns[column].name;
            match name {
                "_file" => return ColumnPlan::File,
                "_line" => return ColumnPlan::Line,
                "_offset" => return ColumnPlan::Offset,
                "_format" => return ColumnPlan::Format,
                "_raw" => return ColumnPlan::Raw,
                "fields" => {
                    let fields = pattern.fields.iter().map(|(name, feed)| (name.clone(), keep(feed, own.slots, &mut needed)));
                    let fields: Vec<(String, Feed)> = fields.collect();
                    return if fields.is_empty() { ColumnPlan::Null } else { ColumnPlan::Fields(fields) };
                }
                _ => {}
            }
            let feeds_of_own = pattern.columns[column].iter();
            let is_time = self.table.columns[column].kind == ColumnType::Time && name == "time";
            // On its own, the pattern's time is the record's; inside of an envelope, that of the envelope is.
            let mut feeds: Vec<Feed> = match (envelope, is_time && tracked) {
                (None, true) => vec![],
                _ => feeds_of_own.map(|feed| keep(feed, own.slots, &mut needed)).collect(),
            };
            if let Some((outer, carried)) = envelope
                && !(is_time && tracked)
                && let Some(outer_column) = outer.pattern.table.column(name)
            {
                let others = outer.pattern.columns[outer_column]
                    .iter()
                    .filter(|feed| feed.source.slot().is_none_or(|slot| usize::from(slot) != carried));
                let others: Vec<Feed> = others.map(|feed| keep(feed, outer.slots, &mut needed)).collect();
                if is_time {
                    // What the envelope knows for sure is better than what the line inside leaves open.
                    let sure = |feed: &Feed| match feed.extract {
                        Extract::Time(layout) => Some(Feed { source: feed.source.clone(), extract: Extract::SureTime(layout) }),
                        _ => None,
                    };
                    let known = [&feeds, &others].map(|feeds| feeds.iter().filter_map(sure).collect::<Vec<_>>());
                    feeds.splice(0..0, known.into_iter().flatten());
                }
                feeds.extend(others);
            }
            match (is_time && tracked, feeds.is_empty()) {
                (true, _) => ColumnPlan::Tracked(feeds),
                (false, true) => ColumnPlan::Null,
                (false, false) => ColumnPlan::Feeds(feeds),
            }
        });
        let columns = columns.collect();
        self.kinds.push(RowKind { name: pattern.name.as_str().into(), needed, columns });
        (self.kinds.len() - 1) as u16
    }

    fn unparsed(&mut self) -> u16 {
        let columns = self.wanted.iter().map(|&column| match self.table.columns[column].name {
            "_file" => ColumnPlan::File,
            "_line" => ColumnPlan::Line,
            "_offset" => ColumnPlan::Offset,
            "raw" => ColumnPlan::Raw,
            "reason" => ColumnPlan::Reason,
            "nearest_format" => ColumnPlan::NearestFormat,
            "failed_column" => ColumnPlan::FailedColumn,
            "failed_field" => ColumnPlan::FailedField,
            _ => ColumnPlan::Null,
        });
        let columns = columns.collect();
        self.kinds.push(RowKind { name: UNPARSED.into(), needed: vec![], columns });
        (self.kinds.len() - 1) as u16
    }
}

/// The feed with its slot as an index into what the row keeps.
fn keep(feed: &Feed, slots: &dyn Fn(u16) -> u16, needed: &mut Vec<u16>) -> Feed {
    let mut kept = |slot: u16| {
        let slot = slots(slot);
        let index = needed.iter().position(|&other| other == slot).unwrap_or_else(|| {
            needed.push(slot);
            needed.len() - 1
        });
        index as u16
    };
    Feed { source: feed.source.moved(&mut kept), extract: feed.extract.clone() }
}
