//! One column of a batch, ready to be written value by value, as text or as JSON.
//!
//! ```text
//!   RecordBatch ──► [Column]  ──text(row)──►  GET /a    {k: v}      csv, tsv, table, line, markdown
//!                             ──json(row)──►  "GET /a"  {"k":"v"}   json, ndjson
//! ```
//!
//! The type is looked at once per batch and column. Dictionaries and runs are followed, not unpacked. Arrow's own
//! formatters serve the rare types (decimals, intervals, unions); the rest is here because they allocate for each
//! value, have no form for maps that people want to read, and cannot say a zone.

use std::fmt::Write;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray,
    LargeBinaryArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::*;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use jiff::tz::TimeZone;

use super::instant::{self, Stamp};
use super::sanitise::is_forbidden;

/// How values are spelled, for all columns of a result.
#[derive(Debug, Clone)]
pub(super) struct Spelling {
    pub(super) stamp: Stamp,
    /// The zone in which columns of UTC are shown; a column with a zone of its own keeps that.
    pub(super) zone: Option<TimeZone>,
    /// NULL inside a list, a map or a struct.
    pub(super) inner_null: &'static str,
    pub(super) json: JsonEscape,
}

/// What a JSON string escapes besides what JSON itself asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonEscape {
    /// Nothing: text stays as it is.
    Needed,
    /// What steers a terminal, as `\u009b`: valid JSON with the same value.
    Terminal,
}

/// One column of one batch.
pub(super) struct Column<'a> {
    kind: Kind<'a>,
    nulls: Option<NullBuffer>,
    spelling: &'a Spelling,
}

enum Kind<'a> {
    /// All rows are NULL.
    Null,
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F16(&'a PrimitiveArray<Float16Type>),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    FixedBinary(&'a FixedSizeBinaryArray),
    Instant {
        values: &'a [i64],
        unit: TimeUnit,
        zone: Option<TimeZone>,
    },
    Local {
        values: &'a [i64],
        unit: TimeUnit,
    },
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Time32 {
        values: &'a [i32],
        unit: TimeUnit,
    },
    Time64 {
        values: &'a [i64],
        unit: TimeUnit,
    },
    Duration {
        values: &'a [i64],
        unit: TimeUnit,
    },
    /// A dictionary or runs: where each row's value is.
    Indirect {
        rows: Vec<usize>,
        values: Box<Column<'a>>,
    },
    List {
        ranges: Ranges<'a>,
        values: Box<Column<'a>>,
    },
    Struct {
        names: Vec<&'a str>,
        fields: Vec<Column<'a>>,
    },
    Map {
        offsets: &'a [i32],
        keys: Box<Column<'a>>,
        values: Box<Column<'a>>,
    },
    /// Arrow's own text; as JSON a bare number if `is_number`, else a string.
    Other {
        formatter: ArrayFormatter<'a>,
        is_number: bool,
    },
}

/// Where the elements of each list are.
enum Ranges<'a> {
    Offsets(&'a [i32]),
    LargeOffsets(&'a [i64]),
    Views { offsets: &'a [i32], sizes: &'a [i32] },
    LargeViews { offsets: &'a [i64], sizes: &'a [i64] },
    Fixed(usize),
}

impl Ranges<'_> {
    fn of(&self, row: usize) -> std::ops::Range<usize> {
        match self {
            Self::Offsets(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::LargeOffsets(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::Views { offsets, sizes } => offsets[row] as usize..(offsets[row] + sizes[row]) as usize,
            Self::LargeViews { offsets, sizes } => offsets[row] as usize..(offsets[row] + sizes[row]) as usize,
            Self::Fixed(size) => row * size..(row + 1) * size,
        }
    }
}

/// The columns of a batch.
pub(super) fn columns<'a>(columns: &'a [ArrayRef], spelling: &'a Spelling) -> Result<Vec<Column<'a>>, ArrowError> {
    columns.iter().map(|column| Column::try_new(column, spelling)).collect()
}

fn natives<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

fn timestamps(array: &dyn Array, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => natives::<TimestampSecondType>(array),
        TimeUnit::Millisecond => natives::<TimestampMillisecondType>(array),
        TimeUnit::Microsecond => natives::<TimestampMicrosecondType>(array),
        TimeUnit::Nanosecond => natives::<TimestampNanosecondType>(array),
    }
}

fn durations(array: &dyn Array, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => natives::<DurationSecondType>(array),
        TimeUnit::Millisecond => natives::<DurationMillisecondType>(array),
        TimeUnit::Microsecond => natives::<DurationMicrosecondType>(array),
        TimeUnit::Nanosecond => natives::<DurationNanosecondType>(array),
    }
}

impl<'a> Column<'a> {
    fn try_new(array: &'a dyn Array, spelling: &'a Spelling) -> Result<Self, ArrowError> {
        let boxed = |child: &'a dyn Array| Self::try_new(child, spelling).map(Box::new);
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Bool(array.as_boolean()),
            DataType::Int8 => Kind::I8(natives::<Int8Type>(array)),
            DataType::Int16 => Kind::I16(natives::<Int16Type>(array)),
            DataType::Int32 => Kind::I32(natives::<Int32Type>(array)),
            DataType::Int64 => Kind::I64(natives::<Int64Type>(array)),
            DataType::UInt8 => Kind::U8(natives::<UInt8Type>(array)),
            DataType::UInt16 => Kind::U16(natives::<UInt16Type>(array)),
            DataType::UInt32 => Kind::U32(natives::<UInt32Type>(array)),
            DataType::UInt64 => Kind::U64(natives::<UInt64Type>(array)),
            DataType::Float16 => Kind::F16(array.as_primitive()),
            DataType::Float32 => Kind::F32(natives::<Float32Type>(array)),
            DataType::Float64 => Kind::F64(natives::<Float64Type>(array)),
            DataType::Utf8 => Kind::Text(array.as_string()),
            DataType::LargeUtf8 => Kind::LargeText(array.as_string()),
            DataType::Utf8View => Kind::TextView(array.as_string_view()),
            DataType::Binary => Kind::Binary(array.as_binary()),
            DataType::LargeBinary => Kind::LargeBinary(array.as_binary()),
            DataType::BinaryView => Kind::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Kind::FixedBinary(array.as_fixed_size_binary()),
            DataType::Timestamp(unit, None) => Kind::Local { values: timestamps(array, *unit), unit: *unit },
            DataType::Timestamp(unit, Some(name)) => {
                let zone = instant::zone_of(name).or_else(|| spelling.zone.clone());
                Kind::Instant { values: timestamps(array, *unit), unit: *unit, zone }
            }
            DataType::Date32 => Kind::Date32(natives::<Date32Type>(array)),
            DataType::Date64 => Kind::Date64(natives::<Date64Type>(array)),
            DataType::Time32(unit @ TimeUnit::Second) => Kind::Time32 { values: natives::<Time32SecondType>(array), unit: *unit },
            DataType::Time32(unit @ TimeUnit::Millisecond) => {
                Kind::Time32 { values: natives::<Time32MillisecondType>(array), unit: *unit }
            }
            DataType::Time64(unit @ TimeUnit::Microsecond) => {
                Kind::Time64 { values: natives::<Time64MicrosecondType>(array), unit: *unit }
            }
            DataType::Time64(unit @ TimeUnit::Nanosecond) => {
                Kind::Time64 { values: natives::<Time64NanosecondType>(array), unit: *unit }
            }
            DataType::Duration(unit) => Kind::Duration { values: durations(array, *unit), unit: *unit },
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let rows = match dictionary.values().len() {
                    0 => vec![0; array.len()], // all rows are NULL, and never looked up
                    _ => dictionary.normalized_keys(),
                };
                Kind::Indirect { rows, values: boxed(dictionary.values())? }
            }
            DataType::RunEndEncoded(ends, _) => Self::runs(array, ends.data_type(), spelling)?,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Kind::List { ranges: Ranges::Offsets(list.value_offsets()), values: boxed(list.values())? }
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Kind::List { ranges: Ranges::LargeOffsets(list.value_offsets()), values: boxed(list.values())? }
            }
            DataType::ListView(_) => {
                let list = array.as_list_view::<i32>();
                let ranges = Ranges::Views { offsets: list.value_offsets(), sizes: list.value_sizes() };
                Kind::List { ranges, values: boxed(list.values())? }
            }
            DataType::LargeListView(_) => {
                let list = array.as_list_view::<i64>();
                let ranges = Ranges::LargeViews { offsets: list.value_offsets(), sizes: list.value_sizes() };
                Kind::List { ranges, values: boxed(list.values())? }
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                Kind::List { ranges: Ranges::Fixed(*size as usize), values: boxed(list.values())? }
            }
            DataType::Struct(fields) => Kind::Struct {
                names: fields.iter().map(|field| field.name().as_str()).collect(),
                fields: columns(array.as_struct().columns(), spelling)?,
            },
            DataType::Map(..) => {
                let map = array.as_map();
                Kind::Map { offsets: map.value_offsets(), keys: boxed(map.keys())?, values: boxed(map.values())? }
            }
            other => {
                // An unreadable value becomes its own error text instead of ending the query: `safe` is the default.
                static OPTIONS: FormatOptions<'static> = FormatOptions::new();
                Kind::Other { formatter: ArrayFormatter::try_new(array, &OPTIONS)?, is_number: is_number(other) }
            }
        };
        Ok(Self { kind, nulls: array.logical_nulls(), spelling })
    }

    fn runs(array: &'a dyn Array, ends: &DataType, spelling: &'a Spelling) -> Result<Kind<'a>, ArrowError> {
        fn rows<R: RunEndIndexType>(array: &dyn Array) -> (Vec<usize>, &ArrayRef) {
            let runs = array.as_run::<R>();
            ((0..array.len()).map(|row| runs.get_physical_index(row)).collect(), runs.values())
        }
        let (rows, values) = match ends {
            DataType::Int16 => rows::<Int16Type>(array),
            DataType::Int32 => rows::<Int32Type>(array),
            _ => rows::<Int64Type>(array),
        };
        Ok(Kind::Indirect { rows, values: Box::new(Self::try_new(values, spelling)?) })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The value itself if the column holds text: nothing to render, nothing to copy.
    ///
    /// The row must not be NULL, here and below.
    pub(super) fn as_str(&self, row: usize) -> Option<&str> {
        match &self.kind {
            Kind::Text(array) => Some(array.value(row)),
            Kind::LargeText(array) => Some(array.value(row)),
            Kind::TextView(array) => Some(array.value(row)),
            Kind::Indirect { rows, values } => values.as_str(rows[row]),
            _ => None,
        }
    }

    /// Whether the text of this column is made only of digits, signs and words of our own, so that it needs no
    /// escaping in any format.
    pub(super) fn is_plain(&self) -> bool {
        match &self.kind {
            Kind::Indirect { values, .. } => values.is_plain(),
            Kind::Text(_) | Kind::LargeText(_) | Kind::TextView(_) => false,
            Kind::List { .. } | Kind::Struct { .. } | Kind::Map { .. } | Kind::Other { .. } => false,
            _ => true,
        }
    }

    /// Appends the value as text. Not escaped for any format.
    pub(super) fn text(&self, row: usize, out: &mut String) {
        let stamp = self.spelling.stamp;
        match &self.kind {
            Kind::Null => out.push_str(self.spelling.inner_null),
            Kind::Bool(array) => out.push_str(if array.value(row) { "true" } else { "false" }),
            Kind::I8(values) => push(out, format_args!("{}", values[row])),
            Kind::I16(values) => push(out, format_args!("{}", values[row])),
            Kind::I32(values) => push(out, format_args!("{}", values[row])),
            Kind::I64(values) => push(out, format_args!("{}", values[row])),
            Kind::U8(values) => push(out, format_args!("{}", values[row])),
            Kind::U16(values) => push(out, format_args!("{}", values[row])),
            Kind::U32(values) => push(out, format_args!("{}", values[row])),
            Kind::U64(values) => push(out, format_args!("{}", values[row])),
            // `{:?}` is the shortest text that reads back as the same number, and has an exponent where that is
            // shorter; `{}` would write 1e300 with 300 zeros.
            Kind::F16(array) => push(out, format_args!("{:?}", array.value(row).to_f32())),
            Kind::F32(values) => push(out, format_args!("{:?}", values[row])),
            Kind::F64(values) => push(out, format_args!("{:?}", values[row])),
            Kind::Text(array) => out.push_str(array.value(row)),
            Kind::LargeText(array) => out.push_str(array.value(row)),
            Kind::TextView(array) => out.push_str(array.value(row)),
            Kind::Binary(array) => push_hex(out, array.value(row)),
            Kind::LargeBinary(array) => push_hex(out, array.value(row)),
            Kind::BinaryView(array) => push_hex(out, array.value(row)),
            Kind::FixedBinary(array) => push_hex(out, array.value(row)),
            Kind::Instant { values, unit, zone } => {
                instant::push_instant(out, values[row], *unit, zone.as_ref(), stamp);
            }
            Kind::Local { values, unit } => instant::push_local(out, values[row], *unit, stamp),
            Kind::Date32(values) => instant::push_date(out, values[row].into()),
            Kind::Date64(values) => instant::push_date(out, values[row].div_euclid(86_400_000)),
            Kind::Time32 { values, unit } => instant::push_time(out, values[row].into(), *unit),
            Kind::Time64 { values, unit } => instant::push_time(out, values[row], *unit),
            Kind::Duration { values, unit } => instant::push_duration(out, values[row], *unit, stamp),
            Kind::Indirect { rows, values } => values.text(rows[row], out),
            Kind::List { ranges, values } => {
                let range = ranges.of(row);
                enclose(out, "[", "]", ", ", range, |out, element| values.text_or_null(element, out));
            }
            Kind::Struct { names, fields } => {
                enclose(out, "{", "}", ", ", 0..fields.len(), |out, field| {
                    out.push_str(names[field]);
                    out.push_str(": ");
                    fields[field].text_or_null(row, out);
                });
            }
            Kind::Map { offsets, keys, values } => {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                enclose(out, "{", "}", ", ", range, |out, entry| {
                    keys.text_or_null(entry, out);
                    out.push_str(": ");
                    values.text_or_null(entry, out);
                });
            }
            Kind::Other { formatter, .. } => push(out, format_args!("{}", formatter.value(row))),
        }
    }

    fn text_or_null(&self, row: usize, out: &mut String) {
        if self.is_null(row) { out.push_str(self.spelling.inner_null) } else { self.text(row, out) }
    }

    /// Appends the value as JSON, `null` for NULL and for numbers that JSON does not have.
    pub(super) fn json(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return out.push_str("null");
        }
        let escape = self.spelling.json;
        match &self.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(_)
            | Kind::I8(_)
            | Kind::I16(_)
            | Kind::I32(_)
            | Kind::I64(_)
            | Kind::U8(_)
            | Kind::U16(_)
            | Kind::U32(_)
            | Kind::U64(_)
            | Kind::Other { is_number: true, .. } => self.text(row, out),
            Kind::F16(array) if !array.value(row).is_finite() => out.push_str("null"),
            Kind::F32(values) if !values[row].is_finite() => out.push_str("null"),
            Kind::F64(values) if !values[row].is_finite() => out.push_str("null"),
            Kind::F16(_) | Kind::F32(_) | Kind::F64(_) => self.text(row, out),
            Kind::Text(array) => push_json_string(out, array.value(row), escape),
            Kind::LargeText(array) => push_json_string(out, array.value(row), escape),
            Kind::TextView(array) => push_json_string(out, array.value(row), escape),
            Kind::Indirect { rows, values } => values.json(rows[row], out),
            Kind::List { ranges, values } => {
                enclose(out, "[", "]", ",", ranges.of(row), |out, element| values.json(element, out));
            }
            Kind::Struct { names, fields } => {
                enclose(out, "{", "}", ",", 0..fields.len(), |out, field| {
                    push_json_string(out, names[field], escape);
                    out.push(':');
                    fields[field].json(row, out);
                });
            }
            Kind::Map { offsets, keys, values } => {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                enclose(out, "{", "}", ",", range, |out, entry| {
                    match keys.as_str(entry) {
                        Some(key) => push_json_string(out, key, escape),
                        None => {
                            let mut key = String::new();
                            keys.text_or_null(entry, &mut key);
                            push_json_string(out, &key, escape);
                        }
                    }
                    out.push(':');
                    values.json(entry, out);
                });
            }
            Kind::Other { formatter, .. } => push_json_string(out, &formatter.value(row).to_string(), escape),
            // Hex, dates, times: text of our own that has nothing to escape.
            _ => {
                out.push('"');
                self.text(row, out);
                out.push('"');
            }
        }
    }
}

/// Whether values of this type are numbers: set flush right, never cut, bare in JSON.
pub(super) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        DataType::RunEndEncoded(_, values) => is_number(values.data_type()),
        other => other.is_numeric(),
    }
}

/// Whether half a value of this type is worse than none: such a column is never made narrower than its values.
pub(super) fn is_rigid(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_rigid(values),
        DataType::RunEndEncoded(_, values) => is_rigid(values.data_type()),
        DataType::Boolean => true,
        other => other.is_numeric() || other.is_temporal(),
    }
}

fn enclose(
    out: &mut String,
    open: &str,
    close: &str,
    between: &str,
    range: std::ops::Range<usize>,
    mut write: impl FnMut(&mut String, usize),
) {
    out.push_str(open);
    let start = range.start;
    for at in range {
        if at > start {
            out.push_str(between);
        }
        write(out, at);
    }
    out.push_str(close);
}

/// Appends a JSON string with its quotes.
pub(super) fn push_json_string(out: &mut String, text: &str, escape: JsonEscape) {
    out.push('"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        push_json_run(out, &text[done..at], escape);
        match short {
            "" => push(out, format_args!("\\u{byte:04x}")),
            short => out.push_str(short),
        }
        done = at + 1;
    }
    push_json_run(out, &text[done..], escape);
    out.push('"');
}

/// Appends text that JSON itself has nothing against.
fn push_json_run(out: &mut String, text: &str, escape: JsonEscape) {
    if escape == JsonEscape::Needed || !text.contains(is_forbidden) {
        return out.push_str(text);
    }
    let mut units = [0; 2];
    for c in text.chars() {
        if is_forbidden(c) {
            for unit in c.encode_utf16(&mut units) {
                push(out, format_args!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}
