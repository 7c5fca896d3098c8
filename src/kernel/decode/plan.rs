//! What a scan of one file wants, worked out once: which patterns are tried, and where each column comes from in each.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use jiff::tz::TimeZone;
use thiserror::Error;

use super::is_null;
use super::prefilter::{Prefilter, Required};
use super::time::{Layout, Zone};
use crate::format::{Carried, Catalog, Extract, Feed, Lines, Pattern, Source};
use crate::scan::{Escapes, PatternSet, Reader, Span};
use crate::table::{ColumnType, TableDef, UNPARSED, table};

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
    /// What is tried on the records inside.
    pub(super) carried: Vec<CarriedPlan>,
    pub(super) kinds: Vec<RowKind>,
    /// The captures of a record that are looked at, those of the records inside behind the others.
    pub(super) read: BTreeSet<usize>,
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

/// What is tried on the record inside of another one.
#[derive(Debug)]
pub(super) struct CarriedPlan {
    pub(super) carried: Arc<Carried>,
    /// Its patterns, as far as they have to be read.
    pub(super) set: Arc<PatternSet>,
    /// Its captures stand behind those of what it is inside of.
    pub(super) slots: Range<usize>,
}

/// What becomes of the records of a pattern. Slots are those of a record, those of the records inside behind them.
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
    /// For each pattern, what becomes of its records.
    pub(super) entries: Arc<Vec<Entry>>,
}

/// Rows of one pattern.
#[derive(Debug)]
pub(super) struct RowKind {
    pub(super) name: Box<str>,
    /// Which captures a row keeps, as slots of the record.
    pub(super) needed: Vec<u16>,
    /// For each wanted column, its value.
    pub(super) columns: Vec<ColumnPlan>,
    /// How all of it may be escaped, if it stands inside of another record.
    pub(super) escapes: Vec<Escapes>,
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
        let mut builder = Builder::new(&wanted_columns, table);

        let unparsed_kind = (args.table == UNPARSED).then(|| builder.unparsed());
        let lines = args.catalog.lines_of(args.format);
        let family = args.catalog.format(args.format);
        let behind = lines.set.captures();
        let carried = args.catalog.carried(args.format, args.table);
        builder.number(&carried, behind);
        let carries = family.and_then(|format| format.carries());
        // Of what carries any line, the line is the better row even of the same table.
        let own = family.filter(|format| format.carries_lines()).map_or(0, |format| format.own().count());
        let of_family = family.map_or(0, |format| if format.is_inner() { lines.patterns.len() } else { format.own().count() });
        let mut entries = vec![];
        for (index, pattern) in lines.patterns.iter().enumerate() {
            let slots = |slot| lines.set.slot(index, usize::from(slot)) as u16;
            let depends = |layout: Layout| layout.may_lack_year() || (layout.may_lack_zone() && zone.has_transitions());
            let mut tracked: Vec<(Source, Layout)> =
                time_feeds(pattern).map(|(source, layout)| (source.moved(&mut |slot| slots(slot)), layout)).collect();
            // A line that belongs to another family than its file stands for itself: else the layouts of all families, which are
            // tried on each line, would make each query that shows times go through all lines in order.
            if index >= of_family || !tracked.iter().any(|(_, layout)| depends(*layout)) {
                tracked.clear();
            }
            let outer = Outer { pattern, slots: &slots, carries };
            let entry = builder.entry((&outer, index < own), (None, !tracked.is_empty()), &carried);
            entries.push(Entry { tracked, ..entry });
        }

        let Builder { kinds, numbered, .. } = builder;
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
        let read = read_slots(&kinds, &entries);
        let outside = read.range(..behind).copied().collect();
        let set = lines.set.set_for(outside, &classes(entries.len(), |one, other| entries[one].is_like(&entries[other], &kinds)));
        let mut uses: Vec<Vec<&Inner>> = vec![vec![]; numbered.len()];
        inner_of(&entries, &mut |inner| {
            let uses = &mut uses[inner.carried];
            if !uses.iter().any(|known| Arc::ptr_eq(&known.entries, &inner.entries)) {
                uses.push(inner);
            }
        });
        let carried = numbered.into_iter().zip(uses).map(|((carried, first), uses)| {
            let is_like =
                |one: usize, other: usize| uses.iter().all(|inner| inner.entries[one].is_like(&inner.entries[other], &kinds));
            let slots = first..first + carried.set.captures();
            let needed = read.range(slots.clone()).map(|slot| slot - first).collect();
            let set = carried.set.set_for(needed, &classes(carried.patterns.len(), is_like));
            CarriedPlan { carried, set, slots }
        });
        let carried: Vec<CarriedPlan> = carried.collect();
        Ok(Self {
            schema: fields(args.columns),
            filter_schema: fields(args.filter_columns),
            wanted: wanted_columns.iter().map(|&column| table.columns[column].kind).collect(),
            output,
            filter,
            stride: kinds.iter().map(|kind| kind.needed.len()).max().unwrap_or(0),
            captures: carried.iter().map(|inside| inside.slots.end).max().unwrap_or(behind),
            lines,
            set,
            entries,
            carried,
            read,
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

    /// Who reads records by this plan.
    pub(super) fn reader(&self) -> Reader<'_> {
        let carried = self.carried.iter().map(|inside| (&*inside.set, inside.slots.clone())).collect();
        Reader { read: &self.read, starts: self.lines.starts.as_deref(), carried }
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

/// The captures of a record that are looked at, those of the records inside behind the others.
fn read_slots(kinds: &[RowKind], entries: &[Entry]) -> BTreeSet<usize> {
    let needed = kinds.iter().flat_map(|kind| &kind.needed).map(|&slot| usize::from(slot));
    let tracked = entries.iter().flat_map(|entry| &entry.tracked).flat_map(|(source, _)| source.slots()).map(usize::from);
    let mut read: BTreeSet<usize> = needed.chain(tracked).collect();
    inner_of(entries, &mut |inner| read.extend(inner.requires.iter().map(|(slot, _)| *slot).chain([inner.capture])));
    read
}

/// All that is tried on records inside, also inside of those.
fn inner_of<'a>(entries: &'a [Entry], found: &mut impl FnMut(&'a Inner)) {
    for inner in entries.iter().flat_map(|entry| &entry.inner) {
        found(inner);
        inner_of(&inner.entries, found);
    }
}

/// For each of so many patterns the first one whose records come to the same.
fn classes(patterns: usize, is_like: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    (0..patterns).map(|one| (0..one).find(|&other| is_like(one, other)).unwrap_or(one)).collect()
}

impl Inner {
    /// Does the record have the capture, and what is required beside it? `text_of` is what a span of the record holds.
    #[inline]
    pub(super) fn is_possible<'a>(&self, spans: &[Span], text_of: impl Fn(Span) -> Option<&'a [u8]>) -> bool {
        let required = |(slot, values): &(usize, Vec<Vec<u8>>)| match text_of(spans[*slot]).filter(|value| !is_null(value)) {
            Some(value) => values.iter().any(|wanted| is_wanted(wanted, value)),
            None => values.iter().any(Vec::is_empty),
        };
        spans[self.capture] != Span::NONE && self.requires.iter().all(required)
    }
}

impl Entry {
    /// Does the same come of records of the two?
    fn is_like(&self, other: &Self, kinds: &[RowKind]) -> bool {
        let is_like_row = |(one, other): (u16, u16)| one == other || kinds[usize::from(one)].is_like(&kinds[usize::from(other)]);
        let is_inner_like = |(one, other): (&Inner, &Inner)| {
            (one.carried, &one.requires, one.capture) == (other.carried, &other.requires, other.capture)
                && (Arc::ptr_eq(&one.entries, &other.entries)
                    || one.entries.iter().zip(&*other.entries).all(|(one, other)| one.is_like(other, kinds)))
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
fn is_wanted(wanted: &[u8], value: &[u8]) -> bool {
    wanted == value || wanted.strip_suffix(b"*").is_some_and(|begin| value.starts_with(begin))
}

fn slot_of(pattern: &Pattern, capture: &str) -> Option<usize> {
    pattern.matcher.captures().iter().position(|name| **name == *capture)
}

/// A pattern, where its captures lie in a record's slots, and which of them holds a record.
#[derive(Clone, Copy)]
struct Outer<'a> {
    pattern: &'a Pattern,
    slots: &'a dyn Fn(u16) -> u16,
    carries: Option<&'a str>,
}

impl Outer<'_> {
    /// The capture that holds a record, as one of the pattern.
    fn carried(&self) -> Option<usize> {
        slot_of(self.pattern, self.carries?)
    }

    fn escapes(&self) -> Option<Escapes> {
        self.pattern.matcher.as_keyed().map(|keyed| keyed.syntax().escapes())
    }
}

/// What envelopes give to the records that they hold.
#[derive(Debug, PartialEq)]
struct Around {
    /// For each wanted column, where a value may come from; the nearest envelope's stand first.
    feeds: Vec<Vec<Feed>>,
    escapes: Vec<Escapes>,
    /// The time depends on the records before.
    tracked: bool,
}

struct Builder<'a> {
    wanted: &'a [usize],
    table: &'static TableDef,
    kinds: Vec<RowKind>,
    /// What is tried on records inside, and where the captures of each begin.
    numbered: Vec<(Arc<Carried>, usize)>,
    /// Most layouts of an envelope give the same, and then the same becomes of what is inside.
    arounds: Vec<Around>,
    /// By which of these, and by number.
    known: HashMap<(usize, usize), Arc<Vec<Entry>>>,
}

impl<'a> Builder<'a> {
    fn new(wanted: &'a [usize], table: &'static TableDef) -> Self {
        Self { wanted, table, kinds: vec![], numbered: vec![], arounds: vec![], known: HashMap::new() }
    }

    /// Numbers what is tried on records inside, and inside of those. The captures of what is inside stand behind those of the envelope.
    fn number(&mut self, carried: &[Arc<Carried>], first: usize) {
        for inside in carried {
            self.numbered.push((Arc::clone(inside), first));
            if let Some((_, in_turn)) = &inside.carries {
                self.number(in_turn, first + inside.set.captures());
            }
        }
    }

    /// What becomes of the records of a pattern. A record that is a row may `give way` to the one that it carries.
    fn entry(
        &mut self,
        (own, gives_way): (&Outer<'_>, bool),
        (around, tracked): (Option<usize>, bool),
        carried: &[Arc<Carried>],
    ) -> Entry {
        let is_row = own.pattern.table.name == self.table.name;
        let kind = is_row.then(|| self.kind(own, (around, tracked)));
        let mut inner = vec![];
        if (!is_row || gives_way)
            && !carried.is_empty()
            && let Some(capture) = own.carried()
        {
            let around = self.around(own, (around, tracked));
            inner.extend(carried.iter().filter_map(|inside| self.inner(own, capture, around, inside)));
        }
        Entry { kind, inner, tracked: vec![], escapes: own.escapes() }
    }

    /// What an envelope gives to what it holds, and the envelopes around it do.
    fn around(&mut self, own: &Outer<'_>, (around, tracked): (Option<usize>, bool)) -> usize {
        let around = around.map(|around| &self.arounds[around]);
        let carried = own.carried();
        let is_else = |feed: &&Feed| feed.source.slot().is_none_or(|slot| Some(usize::from(slot)) != carried);
        let feeds = self.wanted.iter().enumerate().map(|(index, &column)| {
            let own_column = own.pattern.table.column(self.table.columns[column].name);
            let feeds = own_column.map_or(&[][..], |column| &own.pattern.columns[column]).iter().filter(is_else);
            let moved = feeds.map(|feed| Feed { source: feed.source.moved(&mut |slot| (own.slots)(slot)), ..feed.clone() });
            let others = around.iter().flat_map(|around| &around.feeds[index]);
            moved.chain(others.cloned()).collect()
        });
        let feeds = feeds.collect();
        let escapes = own.escapes().into_iter().chain(around.iter().flat_map(|around| &around.escapes).copied()).collect();
        let grown = Around { feeds, escapes, tracked };
        self.arounds.iter().position(|known| *known == grown).unwrap_or_else(|| {
            self.arounds.push(grown);
            self.arounds.len() - 1
        })
    }

    /// What is tried on the record that an envelope holds, unless that cannot have what is required.
    fn inner(&mut self, outer: &Outer<'_>, capture: usize, around: usize, inside: &Arc<Carried>) -> Option<Inner> {
        let Outer { pattern, slots, .. } = outer;
        let slot = |slot: usize| usize::from(slots(slot as u16));
        let requires = inside.requires.iter();
        let requires = requires.map(|(name, values)| match (slot_of(pattern, name), constant_of(pattern, name)) {
            (Some(own), _) => Some(vec![(slot(own), values.clone())]),
            // What is the same in all records of a layout either is what is asked for or not.
            (None, Some(text)) => values.iter().any(|wanted| is_wanted(wanted, text.as_bytes())).then(Vec::new),
            // A layout of the envelope without the required capture cannot hold such a record, unless it is to have none.
            (None, None) => values.iter().any(Vec::is_empty).then(Vec::new),
        });
        let requires = requires.collect::<Option<Vec<_>>>()?.concat();
        let number = self.numbered.iter().position(|(numbered, _)| Arc::ptr_eq(numbered, inside))?;
        let entries = match self.known.get(&(around, number)) {
            Some(known) => Arc::clone(known),
            None => {
                let entries = Arc::new(self.entries_inside(around, number));
                self.known.insert((around, number), Arc::clone(&entries));
                entries
            }
        };
        Some(Inner { carried: number, requires, capture: slot(capture), entries })
    }

    /// What becomes of the records that are tried inside of others.
    fn entries_inside(&mut self, around: usize, number: usize) -> Vec<Entry> {
        let (inside, first) = (Arc::clone(&self.numbered[number].0), self.numbered[number].1);
        let (carries, in_turn) =
            inside.carries.as_ref().map_or((None, &[][..]), |(name, in_turn)| (Some(name.as_str()), in_turn));
        let tracked = self.arounds[around].tracked;
        let entries = inside.patterns.iter().enumerate().map(|(which, pattern)| {
            let slots = |slot| (first + inside.set.slot(which, usize::from(slot))) as u16;
            self.entry((&Outer { pattern, slots: &slots, carries }, false), (Some(around), tracked), in_turn)
        });
        entries.collect()
    }

    /// The kind of row that the records of a pattern are, on their own or inside of envelopes.
    fn kind(&mut self, own: &Outer<'_>, (around, tracked): (Option<usize>, bool)) -> u16 {
        let pattern = own.pattern;
        let around = around.map(|around| &self.arounds[around]);
        let mut needed = vec![];
        let columns = self.wanted.iter().enumerate().map(|(index, &column)| {
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
            let mut feeds: Vec<Feed> = match (around, is_time && tracked) {
                (None, true) => vec![],
                _ => feeds_of_own.map(|feed| keep(feed, own.slots, &mut needed)).collect(),
            };
            if let Some(around) = around.filter(|_| !(is_time && tracked)) {
                feeds.extend(around.feeds[index].iter().map(|feed| keep(feed, &|slot| slot, &mut needed)));
                if is_time {
                    // What an envelope knows for sure is better than what the line inside leaves open.
                    let sure = |feed: &Feed| match feed.extract {
                        Extract::Time(layout) => Some(Feed { source: feed.source.clone(), extract: Extract::SureTime(layout) }),
                        _ => None,
                    };
                    let known: Vec<Feed> = feeds.iter().filter_map(sure).collect();
                    feeds.splice(0..0, known);
                }
            }
            match (is_time && tracked, feeds.is_empty()) {
                (true, _) => ColumnPlan::Tracked(feeds),
                (false, true) => ColumnPlan::Null,
                (false, false) => ColumnPlan::Feeds(feeds),
            }
        });
        let columns = columns.collect();
        let escapes = around.map_or_else(Vec::new, |around| around.escapes.clone());
        self.kinds.push(RowKind { name: pattern.name.as_str().into(), needed, columns, escapes });
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
        self.kinds.push(RowKind { name: UNPARSED.into(), needed: vec![], columns, escapes: vec![] });
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
