//! Turns the spans of a chunk of rows into the values of one column.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder as _, Float64Builder, Int16Builder, MapBuilder, MapFieldNames, StringBuilder, StringViewBuilder,
    TimestampMicrosecondBuilder, UInt16Builder, UInt64Builder,
};
use arrow_array::{Array as _, ArrayRef, StringViewArray, new_null_array};
use arrow_buffer::Buffer;

use super::plan::{ColumnPlan, RowKind, ScanPlan};
use super::rows::Rows;
use super::stamp::TimeBounds;
use super::time::{Stamp, integer};
use super::value::{self, RequestLine};
use crate::format::{Extract, Feed, Part, Source, TextRule};
use crate::table::ColumnType;

/// Bytes of text that are allocated at a time. The library's own blocks grow to 2 MiB and are kept for every batch, of which
/// most columns use a tenth: the kernel clears the rest for nothing, and a sort counts it as memory that it holds.
const TEXT_BLOCK_BYTES: u32 = 128 << 10;

/// Arrow keeps a text of so many bytes within its view.
const INLINE_BYTES: u32 = 12;

/// A column that is being filled.
pub(super) struct ColumnBuilder {
    kind: ColumnType,
    values: Values,
    /// Rows behind those in `values` whose pattern does not have the column.
    nulls: usize,
    /// A column of nothing but NULL, as long as the longest that was asked for.
    all_null: Option<ArrayRef>,
}

/// The values of a column.
enum Values {
    Text(StringViewBuilder),
    UInt16(UInt16Builder),
    UInt64(UInt64Builder),
    Int16(Int16Builder),
    Float64(Float64Builder),
    Time(TimestampMicrosecondBuilder),
    Map(MapBuilder<StringBuilder, StringBuilder>),
}

/// What a column is filled from: the bytes, the rows in them, and what all rows share.
pub(super) struct Chunk<'a> {
    pub(super) plan: &'a ScanPlan,
    pub(super) bytes: &'a [u8],
    pub(super) rows: &'a Rows,
    /// The offset in the file of the first of `bytes`.
    pub(super) offset: u64,
    /// The line that says what the columns of these records are.
    pub(super) header: Option<&'a [u8]>,
    /// What all rows are, if they are the same.
    pub(super) only: Option<&'a RowKind>,
    /// Several columns are parts of one request.
    pub(super) requests: RefCell<Requests>,
}

/// The requests of the rows of one chunk, each once it was taken apart.
#[derive(Default)]
pub(super) struct Requests {
    slot: u16,
    lines: Vec<Option<Option<RequestLine>>>,
}

impl Requests {
    /// Those that are capture `slot` of so many rows.
    fn of(&mut self, slot: u16, rows: usize) -> &mut [Option<Option<RequestLine>>] {
        if self.slot != slot {
            self.lines.clear();
        }
        self.slot = slot;
        self.lines.resize(rows, None);
        &mut self.lines
    }
}

/// What filling a column costs, beyond its values.
#[derive(Default)]
pub(super) struct Tally {
    /// Values that were there but not of their type.
    pub(super) bad: u64,
    /// Bytes of text that were copied.
    pub(super) text_bytes: usize,
    /// The times that were read.
    pub(super) times: TimeBounds,
}

impl ColumnBuilder {
    pub(super) fn new(kind: ColumnType) -> Self {
        Self { kind, values: Values::new(kind, 0), nulls: 0, all_null: None }
    }

    /// The column, which is empty then.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let filled = self.values.len();
        let nulls = std::mem::take(&mut self.nulls);
        if filled == 0 {
            return self.null_column(nulls);
        }
        self.values.append_nulls(nulls);
        // The next batch will be of about that many rows.
        std::mem::replace(&mut self.values, Values::new(self.kind, filled + nulls)).finish()
    }

    /// A column of NULL. All have the same memory.
    fn null_column(&mut self, rows: usize) -> ArrayRef {
        let known = self.all_null.take().filter(|known| known.len() >= rows);
        let known = self.all_null.insert(known.unwrap_or_else(|| new_null_array(&self.kind.data_type(), rows)));
        known.slice(0, rows)
    }

    /// Appends the wanted column `column` of the chosen rows.
    pub(super) fn append(&mut self, chunk: &Chunk<'_>, column: usize, rows: impl Iterator<Item = usize>, tally: &mut Tally) {
        if chunk.only.is_some_and(|kind| matches!(kind.columns[column], ColumnPlan::Null)) {
            self.nulls += rows.count();
            return;
        }
        self.values.append_nulls(std::mem::take(&mut self.nulls));
        self.values.append(chunk, column, rows, tally);
    }
}

impl Values {
    fn new(kind: ColumnType, rows: usize) -> Self {
        match kind {
            ColumnType::Text => Self::Text(StringViewBuilder::with_capacity(rows).with_fixed_block_size(TEXT_BLOCK_BYTES)),
            ColumnType::UInt16 => Self::UInt16(UInt16Builder::with_capacity(rows)),
            ColumnType::UInt64 => Self::UInt64(UInt64Builder::with_capacity(rows)),
            ColumnType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            ColumnType::Time => Self::Time(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")),
            ColumnType::Map => {
                let names = MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
                Self::Map(MapBuilder::with_capacity(Some(names), StringBuilder::new(), StringBuilder::new(), rows))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(builder) => builder.len(),
            Self::UInt16(builder) => builder.len(),
            Self::UInt64(builder) => builder.len(),
            Self::Int16(builder) => builder.len(),
            Self::Float64(builder) => builder.len(),
            Self::Time(builder) => builder.len(),
            Self::Map(builder) => builder.len(),
        }
    }

    fn append_nulls(&mut self, rows: usize) {
        match self {
            Self::Text(builder) => (0..rows).for_each(|_| builder.append_null()),
            Self::UInt16(builder) => builder.append_nulls(rows),
            Self::UInt64(builder) => builder.append_nulls(rows),
            Self::Int16(builder) => builder.append_nulls(rows),
            Self::Float64(builder) => builder.append_nulls(rows),
            Self::Time(builder) => builder.append_nulls(rows),
            Self::Map(builder) => (0..rows).for_each(|_| append_pairs(builder, &[])),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut builder) => Arc::new(builder.finish()) as Arc<StringViewArray> as ArrayRef,
            Self::UInt16(mut builder) => Arc::new(builder.finish()),
            Self::UInt64(mut builder) => Arc::new(builder.finish()),
            Self::Int16(mut builder) => Arc::new(builder.finish()),
            Self::Float64(mut builder) => Arc::new(builder.finish()),
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::Map(mut builder) => Arc::new(builder.finish()),
        }
    }

    fn append(&mut self, chunk: &Chunk<'_>, column: usize, rows: impl Iterator<Item = usize>, tally: &mut Tally) {
        match self {
            Self::Text(builder) => match (chunk.same_text(column), chunk.alike(column)) {
                (Some(text), _) => append_same(builder, text, rows, tally),
                (_, Some((slot, Extract::Text(rule)))) if rule.is_plain() => {
                    rows.for_each(|row| push_text(builder, chunk.capture(slot, row), tally));
                }
                (_, Some((slot, Extract::Text(rule)))) if rule.only_unescapes() => {
                    rows.for_each(|row| push_unescaped(builder, rule, chunk.capture(slot, row), tally));
                }
                (_, Some((slot, Extract::Request(part, rule)))) if rule.only_unescapes() => {
                    let mut requests = chunk.requests.borrow_mut();
                    let requests = requests.of(slot, chunk.rows.len());
                    rows.for_each(|row| {
                        let part = chunk.capture(slot, row).and_then(|line| match part {
                            Part::Whole => Some(line),
                            part => (*requests[row].get_or_insert_with(|| RequestLine::new(line)))?.part(*part, line),
                        });
                        push_unescaped(builder, rule, part, tally);
                    });
                }
                (_, Some((slot, Extract::Ip))) => rows.for_each(|row| {
                    push_text(builder, chunk.capture(slot, row).filter(|bytes| value::is_ip(bytes)), tally);
                }),
                (_, Some((slot, Extract::HostIp))) => rows.for_each(|row| {
                    push_text(builder, chunk.capture(slot, row).and_then(value::host_ip), tally);
                }),
                (_, Some((slot, Extract::HostName))) => rows.for_each(|row| {
                    push_text(builder, chunk.capture(slot, row).filter(|bytes| value::host_ip(bytes).is_none()), tally);
                }),
                _ => rows.for_each(|row| append_text(builder, chunk, column, row, tally)),
            },
            Self::UInt16(builder) => {
                let narrow = |number: Option<u64>, tally: &mut Tally| number.and_then(|number| narrow(number, tally));
                match chunk.alike(column) {
                    Some((slot, Extract::Integer)) => {
                        rows.for_each(|row| builder.append_option(narrow(chunk.integer(slot, row, tally), tally)));
                    }
                    _ => rows.for_each(|row| builder.append_option(narrow(number(chunk, column, row, tally), tally))),
                }
            }
            Self::UInt64(builder) => match chunk.alike(column) {
                Some((slot, Extract::Integer)) => rows.for_each(|row| builder.append_option(chunk.integer(slot, row, tally))),
                _ => rows.for_each(|row| builder.append_option(number(chunk, column, row, tally))),
            },
            Self::Int16(builder) => match chunk.alike(column) {
                Some((slot, extract)) => {
                    let mut same = Same::new(|bytes| minutes(extract, bytes));
                    rows.for_each(|row| builder.append_option(chunk.capture(slot, row).and_then(|bytes| same.value(bytes))));
                }
                None => rows.for_each(|row| builder.append_option(offset_minutes(chunk, column, row))),
            },
            Self::Float64(builder) => rows.for_each(|row| builder.append_option(float(chunk, column, row, tally))),
            Self::Time(builder) => {
                let mut push = |time: Option<i64>, tally: &mut Tally| {
                    tally.times.add(time);
                    builder.append_option(time);
                };
                match chunk.alike(column) {
                    Some((slot, extract)) => {
                        let mut same = Same::new(|bytes| chunk.rows.alone(&stamp(extract, bytes)?));
                        rows.for_each(|row| {
                            let bytes = chunk.capture(slot, row);
                            let time = bytes.and_then(|bytes| same.value(bytes));
                            tally.bad += u64::from(bytes.is_some() && time.is_none());
                            push(time, tally);
                        });
                    }
                    None => rows.for_each(|row| push(time(chunk, column, row, tally), tally)),
                }
            }
            Self::Map(builder) => rows.for_each(|row| append_map(builder, chunk, column, row, tally)),
        }
    }
}

/// Appends one text for each of the rows, and copies it once.
fn append_same(builder: &mut StringViewBuilder, text: &str, rows: impl Iterator<Item = usize>, tally: &mut Tally) {
    let Some(len) = u32::try_from(text.len()).ok().filter(|&len| len > INLINE_BYTES) else {
        return rows.for_each(|_| builder.append_value(text));
    };
    let block = builder.append_block(Buffer::from(text.as_bytes()));
    tally.text_bytes += text.len();
    rows.for_each(|_| {
        // SAFETY: the block was added above, is the whole of a `str`, and `len` is its length.
        unsafe { builder.append_view_unchecked(block, 0, len) };
    });
}

fn narrow(number: u64, tally: &mut Tally) -> Option<u16> {
    let narrow = u16::try_from(number).ok();
    tally.bad += u64::from(narrow.is_none());
    narrow
}

impl<'a> Chunk<'a> {
    fn kind(&self, row: usize) -> &'a RowKind {
        &self.plan.kinds[self.rows.kind(row)]
    }

    /// The whole record.
    fn record(&self, row: usize) -> &'a [u8] {
        self.rows.record(row).of(self.bytes).unwrap_or_default()
    }

    /// The capture that has the values of the column as they stand, and what is read there, if that is the same in all rows.
    fn alike(&self, column: usize) -> Option<(u16, &'a Extract)> {
        let ColumnPlan::Feeds(feeds) = &self.only?.columns[column] else { return None };
        match &feeds[..] {
            [Feed { source: Source::Capture(slot), extract }] => Some((*slot, extract)),
            _ => None,
        }
    }

    /// The text that the column has in all rows.
    fn same_text(&self, column: usize) -> Option<&'a str> {
        let kind = self.only?;
        match kind.columns[column] {
            ColumnPlan::File => Some(&self.plan.file),
            ColumnPlan::Format => Some(&kind.name),
            _ => None,
        }
    }

    /// The bytes of a capture, unless it took no part or says that there is nothing.
    #[inline]
    fn capture(&self, slot: u16, row: usize) -> Option<&'a [u8]> {
        self.rows.capture(self.bytes, row, slot).map(|(bytes, _)| bytes).filter(|bytes| !value::is_null(bytes))
    }

    /// The number that is a capture; what is there and none is counted.
    #[inline]
    fn integer(&self, slot: u16, row: usize, tally: &mut Tally) -> Option<u64> {
        let bytes = self.capture(slot, row)?;
        let number = integer_of(bytes);
        tally.bad += u64::from(number.is_none());
        number
    }

    /// The bytes of a feed, unless its capture took no part or says that there is nothing.
    #[inline]
    fn bytes_of(&self, feed: &'a Feed, row: usize) -> Option<Text<'a>> {
        match &feed.source {
            Source::Capture(slot) => self.capture(*slot, row).map(Cow::Borrowed),
            Source::Escaped(slot, escapes) => {
                let (bytes, before) = self.rows.capture(self.bytes, row, *slot)?;
                Some(escapes.undo(bytes, before)).filter(|bytes| !value::is_null(bytes))
            }
            Source::Constant(text) => Some(Cow::Borrowed(text.as_bytes())).filter(|bytes| !value::is_null(bytes)),
            joined => joined.value_by(&|slot| self.rows.capture(self.bytes, row, slot)),
        }
    }

    /// The first value that a feed of the column has, by `read`; what is there but cannot be read is counted.
    #[inline]
    fn first<T>(
        &self,
        feeds: &'a [Feed],
        row: usize,
        tally: &mut Tally,
        read: impl Fn(&Extract, &[u8]) -> Option<T>,
    ) -> Option<T> {
        let mut bad = false;
        for feed in feeds {
            let Some(bytes) = self.bytes_of(feed, row) else { continue };
            match read(&feed.extract, &bytes) {
                Some(value) => return Some(value),
                None => bad = true,
            }
        }
        tally.bad += u64::from(bad);
        None
    }
}

/// Reads texts that are often the same as the one before.
struct Same<'a, T, F> {
    bytes: &'a [u8],
    value: Option<T>,
    read: F,
}

impl<'a, T: Copy, F: FnMut(&[u8]) -> Option<T>> Same<'a, T, F> {
    fn new(read: F) -> Self {
        Self { bytes: b"", value: None, read }
    }

    /// What is there is not empty.
    #[inline]
    fn value(&mut self, bytes: &'a [u8]) -> Option<T> {
        if bytes != self.bytes {
            (self.bytes, self.value) = (bytes, (self.read)(bytes));
        }
        self.value
    }
}

/// A text by a rule that only undoes escapes.
#[inline]
fn push_unescaped(builder: &mut StringViewBuilder, rule: &TextRule, bytes: Option<&[u8]>, tally: &mut Tally) {
    let Some(bytes) = bytes.filter(|bytes| !value::is_null(bytes)) else { return builder.append_null() };
    if is_bare(bytes) {
        tally.text_bytes += bytes.len();
        // SAFETY: ASCII is UTF-8.
        return builder.append_value(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    push_text(builder, value::text(rule, bytes).as_deref(), tally);
}

#[inline]
fn push_text(builder: &mut StringViewBuilder, bytes: Option<&[u8]>, tally: &mut Tally) {
    let Some(bytes) = bytes else { return builder.append_null() };
    tally.text_bytes += bytes.len();
    // Nearly all text is ASCII and short: the library's way to find that out costs more than all else here.
    if is_ascii(bytes) {
        // SAFETY: ASCII is UTF-8.
        return builder.append_value(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => builder.append_value(text),
        Err(_) => builder.append_value(String::from_utf8_lossy(bytes)),
    }
}

/// Are the top bits of all bytes zero?
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0, |all, word| all | u64::from_le_bytes(*word));
    let rest = match bytes.last_chunk::<8>() {
        // What is left, and more that was seen.
        Some(last) => u64::from_le_bytes(*last),
        None => u64::from(rest.iter().fold(0, |all, byte| all | byte)),
    };
    (words | rest) & 0x8080_8080_8080_8080 == 0
}

/// The same, and is none of them a backslash?
#[inline]
fn is_bare(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let odd = |odd: u8, byte: &u8| odd | byte & 0x80 | u8::from(*byte == b'\\');
    let mut odds = [0; 16];
    for block in blocks {
        odds.iter_mut().zip(block).for_each(|(all, byte)| *all = odd(*all, byte));
    }
    let rest = match bytes.last_chunk::<16>() {
        // What is left, and more that was seen.
        Some(last) => last.iter().fold(0, odd),
        None => rest.iter().fold(0, odd),
    };
    odds.iter().fold(rest, |all, odd| all | odd) == 0
}

fn append_text(builder: &mut StringViewBuilder, chunk: &Chunk<'_>, column: usize, row: usize, tally: &mut Tally) {
    let kind = chunk.kind(row);
    let mut push = |bytes: Option<&[u8]>| push_text(builder, bytes, tally);
    match &kind.columns[column] {
        ColumnPlan::Feeds(feeds) => {
            for feed in feeds {
                let Some(bytes) = chunk.bytes_of(feed, row) else { continue };
                if let Extract::Text(rule) = &feed.extract
                    && rule.is_plain()
                {
                    return push(Some(&bytes));
                }
                if let Some(text) = text_of(&feed.extract, &bytes) {
                    return push(Some(&text));
                }
            }
            push(None);
        }
        ColumnPlan::File => push(Some(chunk.plan.file.as_bytes())),
        ColumnPlan::Format => push(Some(kind.name.as_bytes())),
        ColumnPlan::Raw => push(Some(chunk.record(row))),
        ColumnPlan::Reason => push(chunk.rows.failure(row).map(|failure| failure.reason.as_bytes())),
        ColumnPlan::NearestFormat => {
            push(chunk.rows.failure(row).and_then(|failure| failure.pattern.as_deref()).map(str::as_bytes))
        }
        ColumnPlan::FailedField => push(chunk.rows.failure(row).and_then(|failure| failure.field.as_deref()).map(str::as_bytes)),
        _ => push(None),
    }
}

fn text_of<'a>(extract: &Extract, bytes: &'a [u8]) -> Option<Text<'a>> {
    use Cow::Borrowed;
    let ruled = |rule: &TextRule, part: Option<&'a [u8]>| value::text(rule, part?);
    match extract {
        Extract::Text(rule) => ruled(rule, Some(bytes)),
        Extract::Ip => value::is_ip(bytes).then_some(Borrowed(bytes)),
        Extract::HostIp => value::host_ip(bytes).map(Borrowed),
        Extract::HostName => value::host_ip(bytes).is_none().then_some(Borrowed(bytes)),
        Extract::Mac => value::mac(bytes).map(|mac| mac.into_bytes().into()),
        Extract::Address(half, take) => {
            let bytes = value::take(*take, bytes);
            if value::is_null(bytes) { None } else { value::address(*half, bytes).map(Borrowed) }
        }
        Extract::Request(part, rule) => ruled(rule, value::request(*part, bytes)),
        Extract::Url(part, rule) => ruled(rule, if *part == Part::Whole { Some(bytes) } else { value::url(*part, bytes) }),
        Extract::Facility => value::facility(integer(bytes)?).map(|text| Borrowed(text.as_bytes())),
        Extract::Severity => value::severity(integer(bytes)?).map(|text| Borrowed(text.as_bytes())),
        _ => None,
    }
}

/// Rarely a list, as nginx has them where several upstreams were asked: its last item counts.
#[inline]
fn integer_of(bytes: &[u8]) -> Option<u64> {
    integer(bytes).or_else(|| integer(value::take(crate::format::Take::Last, bytes)))
}

#[inline]
fn number(chunk: &Chunk<'_>, column: usize, row: usize, tally: &mut Tally) -> Option<u64> {
    match &chunk.kind(row).columns[column] {
        ColumnPlan::Feeds(feeds) => chunk.first(feeds, row, tally, |extract, bytes| match extract {
            Extract::Address(half, take) => integer(value::address(*half, value::take(*take, bytes))?),
            Extract::Priority => integer(bytes).filter(|&priority| value::facility(priority).is_some()),
            Extract::Integer => integer_of(bytes),
            _ => None,
        }),
        ColumnPlan::Line => Some(chunk.rows.lines[row]),
        ColumnPlan::Offset => Some(chunk.offset + u64::from(chunk.rows.start(row))),
        ColumnPlan::FailedColumn => chunk.rows.failure(row).and_then(|failure| failure.column),
        _ => None,
    }
}

fn float(chunk: &Chunk<'_>, column: usize, row: usize, tally: &mut Tally) -> Option<f64> {
    let ColumnPlan::Feeds(feeds) = &chunk.kind(row).columns[column] else { return None };
    chunk.first(feeds, row, tally, |extract, bytes| match extract {
        Extract::Float | Extract::Integer => value::float(bytes),
        Extract::Duration(factor, take) => {
            let bytes = value::take(*take, bytes);
            if let Some(seconds) = value::clock_seconds(bytes) {
                return Some(seconds as f64 * 1e3);
            }
            // The product of a decimal fraction and a power of ten is rounded to what was written.
            let milliseconds = value::float(bytes).map(|number| number * factor);
            milliseconds.or_else(|| value::duration_with_units(bytes)).map(|number| (number * 1e6).round() / 1e6)
        }
        _ => None,
    })
}

fn stamp(extract: &Extract, bytes: &[u8]) -> Option<Stamp> {
    match extract {
        Extract::Time(layout) | Extract::TimeOffset(layout) => layout.parse(bytes),
        Extract::SureTime(layout) => layout.parse(bytes).filter(|stamp| stamp.year.is_some() && stamp.offset.is_some()),
        _ => None,
    }
}

fn time(chunk: &Chunk<'_>, column: usize, row: usize, tally: &mut Tally) -> Option<i64> {
    match &chunk.kind(row).columns[column] {
        ColumnPlan::Feeds(feeds) => chunk.first(feeds, row, tally, |extract, bytes| chunk.rows.alone(&stamp(extract, bytes)?)),
        ColumnPlan::Tracked(feeds) => chunk
            .first(feeds, row, tally, |extract, bytes| chunk.rows.alone(&stamp(extract, bytes)?))
            .or_else(|| chunk.rows.times.get(row).copied().flatten()),
        _ => None,
    }
}

fn offset_minutes(chunk: &Chunk<'_>, column: usize, row: usize) -> Option<i16> {
    let ColumnPlan::Feeds(feeds) = &chunk.kind(row).columns[column] else { return None };
    // A time without an offset is no bad value.
    chunk.first(feeds, row, &mut Tally::default(), minutes)
}

fn minutes(extract: &Extract, bytes: &[u8]) -> Option<i16> {
    i16::try_from(stamp(extract, bytes)?.offset? / 60).ok()
}

/// Bytes of a key or value, changed or not.
type Text<'a> = Cow<'a, [u8]>;

fn append_map(
    builder: &mut MapBuilder<StringBuilder, StringBuilder>,
    chunk: &Chunk<'_>,
    column: usize,
    row: usize,
    tally: &mut Tally,
) {
    let mut pairs: Vec<(Text<'_>, Text<'_>)> = vec![];
    match &chunk.kind(row).columns[column] {
        ColumnPlan::Fields(fields) => {
            for (name, feed) in fields {
                let Some(bytes) = chunk.bytes_of(feed, row) else { continue };
                let value = match &feed.extract {
                    Extract::Rest(keyed) => {
                        // A whole record is never a quoted value, so its bytes are those of the chunk.
                        let Cow::Borrowed(record) = bytes else { continue };
                        let fields = keyed.rest(record, chunk.header).into_iter();
                        pairs.extend(fields.map(|field| {
                            let value = keyed.plain(&field);
                            (field.path.into(), value)
                        }));
                        continue;
                    }
                    Extract::Text(_)
                    | Extract::Mac
                    | Extract::Request(..)
                    | Extract::Url(..)
                    | Extract::Facility
                    | Extract::Severity => match bytes {
                        Cow::Borrowed(bytes) => text_of(&feed.extract, bytes),
                        Cow::Owned(bytes) => text_of(&feed.extract, &bytes).map(|text| text.into_owned().into()),
                    },
                    _ => Some(bytes),
                };
                if let Some(value) = value {
                    pairs.push((name.as_bytes().into(), value));
                }
            }
        }
        ColumnPlan::Feeds(feeds) => {
            for feed in feeds {
                let Some(bytes) = chunk.bytes_of(feed, row) else { continue };
                pairs.extend(value::structured_data(&bytes).into_iter().map(|(key, value)| (key.into(), value.into())));
            }
        }
        _ => {}
    }
    for (key, value) in &pairs {
        tally.text_bytes += key.len() + value.len();
    }
    append_pairs(builder, &pairs);
}

/// Appends one map; NULL if nothing is in it.
fn append_pairs(builder: &mut MapBuilder<StringBuilder, StringBuilder>, pairs: &[(Text<'_>, Text<'_>)]) {
    for (key, value) in pairs {
        builder.keys().append_value(String::from_utf8_lossy(key));
        builder.values().append_value(String::from_utf8_lossy(value));
    }
    // The builder's keys and values have one length by construction, so this cannot fail.
    let appended = builder.append(!pairs.is_empty());
    debug_assert!(appended.is_ok(), "keys and values of a map differ in number");
}
