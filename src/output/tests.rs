//! The writers as their callers use them: whole results in, bytes out.

use std::io::{self, Write};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::executor::block_on;
use futures::stream;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::layout::text_width;
use super::*;

const STAMP: i64 = 1_795_222_504_123_456;

fn stream_of(schema: SchemaRef, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches.into_iter().map(Ok))))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn bytes(batches: &[RecordBatch], options: &OutputOptions) -> (Vec<u8>, Written) {
    let mut out = Vec::new();
    let stream = stream_of(batches[0].schema(), batches.to_vec());
    let written = block_on(write_stream(stream, &mut out, options)).unwrap();
    (out, written)
}

fn text(batches: &[RecordBatch], options: &OutputOptions) -> String {
    String::from_utf8(bytes(batches, options).0).unwrap()
}

fn terminal(format: OutputFormat, width: u16) -> OutputOptions {
    OutputOptions { target: Target::Terminal, width: Some(width), ..OutputOptions::new(format) }
}

fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringViewArray::from(values.to_vec()))
}

type Entries<'a> = &'a [(&'a str, Option<&'a str>)];

fn map_array(rows: &[Option<Entries<'_>>]) -> ArrayRef {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row.unwrap_or_default() {
            builder.keys().append_value(key);
            builder.values().append_option(*value);
        }
        builder.append(row.is_some()).unwrap();
    }
    Arc::new(builder.finish())
}

fn times(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC"))
}

/// Two rows of what a log query gives; the second is all NULL.
fn log_rows() -> RecordBatch {
    batch(vec![
        ("time", times(&[Some(STAMP), None])),
        ("path", strings(&[Some("/a,\"b\"\tc\\\n"), None])),
        ("status", Arc::new(UInt16Array::from(vec![Some(200), None]))),
        ("bytes", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("ratio", Arc::new(Float64Array::from(vec![Some(0.5), None]))),
        ("extra", map_array(&[Some(&[("k", Some("v")), ("n", None)]), None])),
    ])
}

/// One column of each kind of type there is, with a NULL in the second row.
fn every_type() -> RecordBatch {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("red"), None, Some("red")].into_iter().collect();
    let numbers = || Int32Array::from(vec![Some(1), None, Some(3)]);
    let lists = || ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    let view = ListViewArray::from(lists());
    let structs = StructArray::new(
        vec![Field::new("a", DataType::Int32, true), Field::new("b c", DataType::Utf8, true)].into(),
        vec![Arc::new(numbers()), Arc::new(StringArray::from(vec![Some("x"), None, Some("\"")]))],
        Some(NullBuffer::from(vec![true, false, true])),
    );
    let runs = RunArray::<Int32Type>::try_new(
        &Int32Array::from(vec![1, 2, 3]),
        &StringArray::from(vec![Some("run"), None, Some("run")]),
    )
    .unwrap();
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        vec![Some(vec![Some(1), Some(2)]), None, Some(vec![Some(5), Some(6)])],
        2,
    );
    let some = |value: i64| vec![Some(value), None, Some(-value)];
    let some32 = |value: i32| vec![Some(value), None, Some(0)];
    batch(vec![
        ("null", Arc::new(NullArray::new(3))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NAN)]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(1e300), None, Some(f64::NEG_INFINITY)]))),
        (
            "dec",
            Arc::new(
                Decimal128Array::from(some32(12345).into_iter().map(|v| v.map(i128::from)).collect::<Vec<_>>())
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        ("text", Arc::new(StringArray::from(vec![Some("a"), None, Some("")]))),
        ("large", Arc::new(LargeStringArray::from(vec![Some("b"), None, Some("ü")]))),
        ("view", strings(&[Some("a view that is longer than twelve"), None, Some("日本")])),
        ("bin", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None, Some(b"")]))),
        ("dict", Arc::new(dictionary)),
        ("runs", Arc::new(runs)),
        ("list", Arc::new(lists())),
        ("lview", Arc::new(view)),
        ("fixed", Arc::new(fixed)),
        ("struct", Arc::new(structs)),
        ("map", map_array(&[Some(&[("k", Some("v"))]), None, Some(&[])])),
        ("ts", Arc::new(TimestampMillisecondArray::from(some(86_400_000)))),
        ("tz", Arc::new(TimestampSecondArray::from(some(3600)).with_timezone("+02:00"))),
        ("d32", Arc::new(Date32Array::from(some32(20_000)))),
        ("d64", Arc::new(Date64Array::from(some(86_400_000)))),
        ("t32", Arc::new(Time32SecondArray::from(some32(3661)))),
        ("t64", Arc::new(Time64NanosecondArray::from(vec![Some(1), None, Some(86_399_999_999_999)]))),
        ("dur", Arc::new(DurationMillisecondArray::from(some(1500)))),
        ("iv", Arc::new(IntervalYearMonthArray::from(some32(14)))),
    ])
}

#[test]
fn csv_quotes_what_it_must_and_tells_null_from_empty() {
    let batch = batch(vec![
        ("a b", strings(&[Some("x,y"), Some(""), None, Some("say \"hi\""), Some("two\r\nlines"), Some(" as is ")])),
        ("n", Arc::new(Int32Array::from(vec![Some(-1), None, Some(3), Some(4), Some(5), Some(6)]))),
    ]);
    assert_eq!(
        text(&[batch], &OutputOptions::new(OutputFormat::Csv)),
        "a b,n\n\"x,y\",-1\n\"\",\n,3\n\"say \"\"hi\"\"\",4\n\"two\r\nlines\",5\n as is ,6\n"
    );
}

#[test]
fn csv_and_tsv_of_a_log_row() {
    assert_eq!(
        text(&[log_rows()], &OutputOptions::new(OutputFormat::Csv)),
        "time,path,status,bytes,ratio,extra\n\
         2026-11-21T00:55:04.123456Z,\"/a,\"\"b\"\"\tc\\\n\",200,18446744073709551615,0.5,\"{k: v, n: NULL}\"\n,,,,,\n"
    );
    assert_eq!(
        text(&[log_rows()], &OutputOptions::new(OutputFormat::Tsv)),
        "time\tpath\tstatus\tbytes\tratio\textra\n\
         2026-11-21T00:55:04.123456Z\t/a,\"b\"\\tc\\\\\\n\t200\t18446744073709551615\t0.5\t{k: v, n: NULL}\n\t\t\t\t\t\n"
    );
}

#[test]
fn a_null_text_of_the_user_differs_from_the_same_text_in_the_log() {
    let batch = batch(vec![("a", strings(&[None, Some("NULL"), Some("\\N")]))]);
    let options = |format, null: &str| OutputOptions { null: Some(null.into()), ..OutputOptions::new(format) };
    assert_eq!(text(std::slice::from_ref(&batch), &options(OutputFormat::Csv, "NULL")), "a\nNULL\n\"NULL\"\n\\N\n");
    assert_eq!(text(&[batch], &options(OutputFormat::Tsv, "\\N")), "a\n\\N\nNULL\n\\\\N\n");
}

#[test]
fn a_null_in_a_single_csv_column_is_not_an_empty_line() {
    let batch = batch(vec![("a", strings(&[Some("x"), None]))]);
    assert_eq!(text(&[batch], &OutputOptions::new(OutputFormat::Csv)), "a\nx\n\"\"\n");
}

#[test]
fn formulas_are_defused_only_on_request_and_numbers_never() {
    let batch = batch(vec![
        ("=h", strings(&[Some("=1+1"), Some("@x"), Some("-a,b"), Some("a=b"), Some("\tx"), Some("＝1")])),
        ("n", Arc::new(Int32Array::from(vec![-1; 6]))),
    ]);
    let raw = OutputOptions::new(OutputFormat::Csv);
    let safe = OutputOptions { csv: CsvSafety::FormulaSafe, ..raw.clone() };
    assert_eq!(text(std::slice::from_ref(&batch), &raw), "=h,n\n=1+1,-1\n@x,-1\n\"-a,b\",-1\na=b,-1\n\tx,-1\n＝1,-1\n");
    assert_eq!(text(&[batch], &safe), "'=h,n\n'=1+1,-1\n'@x,-1\n\"'-a,b\",-1\na=b,-1\n'\tx,-1\n'＝1,-1\n");
}

#[test]
fn json_has_every_key_and_exact_numbers() {
    assert_eq!(
        text(&[log_rows()], &OutputOptions::new(OutputFormat::Json)),
        concat!(
            "[\n{\"time\":\"2026-11-21T00:55:04.123456Z\",\"path\":\"/a,\\\"b\\\"\\tc\\\\\\n\",\"status\":200,",
            "\"bytes\":18446744073709551615,\"ratio\":0.5,\"extra\":{\"k\":\"v\",\"n\":null}},\n",
            "{\"time\":null,\"path\":null,\"status\":null,\"bytes\":null,\"ratio\":null,\"extra\":null}\n]\n"
        )
    );
}

#[test]
fn every_type_is_written_in_every_format() {
    let json: serde_json::Value = serde_json::from_str(&text(&[every_type()], &OutputOptions::new(OutputFormat::Json))).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "null": null, "bool": true, "i8": -128, "i64": i64::MIN, "u64": 0, "f32": 0.1, "f64": 1e300, "dec": 123.45,
            "text": "a", "large": "b", "view": "a view that is longer than twelve", "bin": "00ff", "dict": "red",
            "runs": "run", "list": [1, null], "lview": [1, null], "fixed": [1, 2], "struct": {"a": 1, "b c": "x"},
            "map": {"k": "v"}, "ts": "1970-01-02T00:00:00", "tz": "1970-01-01T03:00:00+02:00", "d32": "2024-10-04",
            "d64": "1970-01-02", "t32": "01:01:01", "t64": "00:00:00.000000001", "dur": "PT1.500S",
            "iv": "1 years 2 mons"
        })
    );
    for (name, value) in json[1].as_object().unwrap() {
        assert!(value.is_null(), "{name} is {value}");
    }
    assert_eq!(json[2]["u64"], u64::MAX);
    assert_eq!(json[2]["f32"], serde_json::Value::Null);
    assert_eq!(json[2]["f64"], serde_json::Value::Null);
    assert_eq!(json[2]["dur"], "-PT1.500S");
    assert_eq!(json[2]["struct"], serde_json::json!({"a": 3, "b c": "\""}));

    let csv = text(&[every_type()], &OutputOptions::new(OutputFormat::Csv));
    assert_eq!(
        csv.lines().nth(1),
        Some(
            ",true,-128,-9223372036854775808,0,0.1,1e300,123.45,a,b,a view that is longer than twelve,00ff,red,run,\
             \"[1, NULL]\",\"[1, NULL]\",\"[1, 2]\",\"{a: 1, b c: x}\",{k: v},1970-01-02T00:00:00,\
             1970-01-01T03:00:00+02:00,2024-10-04,1970-01-02,01:01:01,00:00:00.000000001,PT1.500S,1 years 2 mons"
        )
    );
    assert_eq!(csv.lines().nth(2), Some(",".repeat(26).as_str()));
    assert!(csv.lines().nth(3).unwrap().contains(",NaN,-inf,"));

    for format in OutputFormat::ALL {
        for header in [Header::Show, Header::Hide] {
            let options = OutputOptions { header, ..OutputOptions::new(format) };
            // Runs are the one type that Parquet's writer is handed unpacked; all others go as they are.
            let (bytes, written) = bytes(&[every_type(), every_type().slice(1, 2)], &options);
            assert_eq!(written, Written { rows: 5, shown: 5 }, "{format}");
            assert!(!bytes.is_empty(), "{format}");
        }
    }
}

#[test]
fn a_slice_shows_its_own_rows() {
    let all = text(&[every_type()], &OutputOptions::new(OutputFormat::Ndjson));
    let last = text(&[every_type().slice(2, 1)], &OutputOptions::new(OutputFormat::Ndjson));
    assert_eq!(all.lines().nth(2).unwrap(), last.trim_end());
}

#[test]
fn a_dictionary_without_values_is_null() {
    let keys = Int32Array::from(vec![None, None]);
    let array = DictionaryArray::new(keys, Arc::new(StringArray::from(Vec::<&str>::new())));
    let batch = batch(vec![("d", Arc::new(array)), ("n", Arc::new(Int32Array::from(vec![1, 2])))]);
    assert_eq!(text(&[batch], &OutputOptions::new(OutputFormat::Csv)), "d,n\n,1\n,2\n");
}

#[test]
fn a_table_on_a_terminal() {
    let batch = batch(vec![
        ("status", Arc::new(UInt16Array::from(vec![Some(200), Some(404), None]))),
        ("path", strings(&[Some("/"), Some("/日本/\x1b[31m\n"), None])),
        ("time", times(&[Some(STAMP), Some(STAMP - 123_456), None])),
    ]);
    let options = OutputOptions { charset: Charset::Ascii, ..terminal(OutputFormat::Table, 80) };
    assert_eq!(
        text(std::slice::from_ref(&batch), &terminal(OutputFormat::Table, 80)),
        "\
┌────────┬──────────────────┬─────────────────────────────┐
│ status │ path             │ time                        │
├────────┼──────────────────┼─────────────────────────────┤
│    200 │ /                │ 2026-11-21 00:55:04.123456Z │
│    404 │ /日本/\\x1b[31m\\n │ 2026-11-21 00:55:04Z        │
│   NULL │ NULL             │ NULL                        │
└────────┴──────────────────┴─────────────────────────────┘
"
    );
    assert_eq!(
        text(&[batch], &options).lines().take(4).collect::<Vec<_>>().join("\n"),
        "\
+--------+------------------+-----------------------------+
| status | path             | time                        |
+--------+------------------+-----------------------------+
|    200 | /                | 2026-11-21 00:55:04.123456Z |"
    );
}

#[test]
fn colour_is_added_after_sanitising() {
    let batch = batch(vec![("a\x1b[0m", strings(&[None, Some("\x1b[2mNULL")]))]);
    let options = OutputOptions { color: Color::Always, ..terminal(OutputFormat::Table, 80) };
    let out = text(&[batch], &options);
    assert!(out.contains("│ \x1b[1ma\\x1b[0m\x1b[0m    │"), "{out}");
    assert!(out.contains("│ \x1b[2mNULL\x1b[0m        │"), "{out}");
    assert!(out.contains("│ \\x1b[2mNULL │"), "{out}");
}

#[test]
fn cells_are_cut_to_the_screen_and_numbers_are_not() {
    let long = "x".repeat(3000);
    let batch = batch(vec![
        ("n", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
        ("long", strings(&[Some(&long), Some("日本語".repeat(50).as_str())])),
    ]);
    for width in [48, 80, 200] {
        let out = text(std::slice::from_ref(&batch), &terminal(OutputFormat::Table, width));
        assert!(out.contains(" 18446744073709551615 "), "{out}");
        assert!(out.contains("x… │"), "{out}");
        for line in out.lines() {
            assert_eq!(text_width(line), usize::from(width), "{line}");
        }
    }
    // Nothing is cut where there is no screen.
    let piped = text(&[batch], &OutputOptions::new(OutputFormat::Table));
    assert!(piped.contains(&long) && !piped.contains('…'));
}

#[test]
fn a_cell_shows_one_kibibyte_at_most() {
    let batch = batch(vec![("long", strings(&[Some("é".repeat(1_000_000).as_str()), None]))]);
    let out = text(&[batch], &terminal(OutputFormat::Table, 10_000));
    assert_eq!(out.matches('é').count(), 512);
    assert!(out.contains("é… │"));
}

#[test]
fn what_is_too_wide_goes_one_value_per_line() {
    let out = text(&[log_rows()], &terminal(OutputFormat::Table, 40));
    assert_eq!(
        out,
        "\
─[ RECORD 1 ]───────────────────────
time   │ 2026-11-21 00:55:04.123456Z
path   │ /a,\"b\"\\tc\\\\n
status │ 200
bytes  │ 18446744073709551615
ratio  │ 0.5
extra  │ {k: v, n: NULL}
─[ RECORD 2 ]
time   │ NULL
path   │ NULL
status │ NULL
bytes  │ NULL
ratio  │ NULL
extra  │ NULL
"
        .replace("─[ RECORD 2 ]\n", "─[ RECORD 2 ]─\n")
    );
    let off = OutputOptions { expanded: Expanded::Off, ..terminal(OutputFormat::Table, 40) };
    assert!(text(&[log_rows()], &off).starts_with('┌'));
    let on = OutputOptions { expanded: Expanded::On, ..terminal(OutputFormat::Table, 400) };
    assert!(text(&[log_rows()], &on).starts_with("─[ RECORD 1 ]"));
    assert!(text(&[log_rows()], &terminal(OutputFormat::Table, 200)).starts_with('┌'));
}

#[test]
fn the_only_row_is_not_cut() {
    let batch = batch(vec![("a", strings(&[Some("x".repeat(100).as_str())])), ("b", strings(&[Some("y")]))]);
    assert!(text(&[batch], &terminal(OutputFormat::Table, 80)).contains(&format!("a │ {}\n", "x".repeat(100))));
}

#[test]
fn no_width_is_too_small() {
    for width in 0..60 {
        for expanded in [Expanded::Off, Expanded::Auto, Expanded::On] {
            for charset in [Charset::Unicode, Charset::Ascii] {
                let options = OutputOptions { expanded, charset, ..terminal(OutputFormat::Table, width) };
                let out = text(&[every_type()], &options);
                assert!(out.contains("9223372036854775807"), "{width}");
            }
        }
    }
}

#[test]
fn a_terminal_shows_some_rows_and_counts_all() {
    let numbers = |from: i32| batch(vec![("n", Arc::new(Int32Array::from_iter_values(from..from + 30)))]);
    let batches = [numbers(0), numbers(30), numbers(60)];
    let (out, written) = bytes(&batches, &terminal(OutputFormat::Table, 80));
    assert_eq!(written, Written { rows: 90, shown: 40 });
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.lines().count(), 44);
    assert!(out.contains(" 39 │\n└"));

    let all = OutputOptions { max_rows: MaxRows::Inf, ..terminal(OutputFormat::Table, 80) };
    assert_eq!(bytes(&batches, &all).1, Written { rows: 90, shown: 90 });
    let none = OutputOptions { max_rows: MaxRows::Rows(0), ..terminal(OutputFormat::Table, 80) };
    assert_eq!(bytes(&batches, &none).1, Written { rows: 90, shown: 0 });
    // The limit is for eyes: a pipe gets all.
    assert_eq!(bytes(&batches, &OutputOptions::new(OutputFormat::Table)).1, Written { rows: 90, shown: 90 });
}

#[test]
fn a_long_table_streams_with_the_widths_of_its_beginning() {
    let rows = |value: &str, count: usize| {
        batch(vec![("a", strings(&vec![Some(value); count])), ("b", strings(&vec![Some("y"); count]))])
    };
    let out = text(&[rows("short", 1500), rows("much longer", 2)], &OutputOptions::new(OutputFormat::Table));
    assert_eq!(out.lines().count(), 1502 + 4);
    assert!(out.contains("│ short │ y │\n│ much longer │ y │\n"));
}

#[test]
fn line_mode_aligns_its_names() {
    let batch =
        batch(vec![("status", Arc::new(Int32Array::from(vec![Some(200), None]))), ("ü", strings(&[Some("a\nb"), Some("")]))]);
    assert_eq!(
        text(&[batch], &OutputOptions::new(OutputFormat::Line)),
        "status = 200\nü      = a\\nb\n\nstatus = NULL\nü      = \n"
    );
}

#[test]
fn log_text_cannot_forge_markdown() {
    let batch = batch(vec![
        ("a|b", strings(&[Some("| x | `c` **b** _i_ [l](u)"), Some("<script>&lt;\\|"), Some("# h\r\n- l\x1b"), None])),
        ("n", Arc::new(Int32Array::from(vec![-1, 2, 3, 4]))),
    ]);
    assert_eq!(
        text(&[batch], &OutputOptions::new(OutputFormat::Markdown)),
        "| a\\|b | n |\n| --- | ---: |\n\
         | \\| x \\| \\`c\\` \\*\\*b\\*\\* \\_i\\_ \\[l\\](u) | -1 |\n\
         | &lt;script>&amp;lt;\\\\\\| | 2 |\n\
         | \\# h<br>\\- l\\\\x1b | 3 |\n\
         | NULL | 4 |\n"
    );
}

#[test]
fn empty_results_are_well_formed() {
    let none = log_rows().slice(0, 0);
    for (format, expected) in [
        (OutputFormat::Csv, "time,path,status,bytes,ratio,extra\n"),
        (OutputFormat::Json, "[]\n"),
        (OutputFormat::Ndjson, ""),
        (OutputFormat::Line, ""),
    ] {
        assert_eq!(text(std::slice::from_ref(&none), &OutputOptions::new(format)), expected, "{format}");
        // No batch at all.
        let mut out = Vec::new();
        block_on(write_stream(stream_of(none.schema(), vec![]), &mut out, &OutputOptions::new(format))).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format}");
    }
    let table = text(&[none], &terminal(OutputFormat::Table, 80));
    assert_eq!(table.lines().count(), 4);
}

#[test]
fn results_without_columns_keep_their_rows() {
    let options = RecordBatchOptions::new().with_row_count(Some(2));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    for (format, expected) in [
        (OutputFormat::Csv, "\n\n"),
        (OutputFormat::Tsv, "\n\n"),
        (OutputFormat::Json, "[\n{},\n{}\n]\n"),
        (OutputFormat::Ndjson, "{}\n{}\n"),
        (OutputFormat::Table, ""),
        (OutputFormat::Markdown, ""),
    ] {
        let (out, written) = bytes(std::slice::from_ref(&batch), &OutputOptions::new(format));
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format}");
        assert_eq!(written.rows, 2, "{format}");
    }
    let mut out = Vec::new();
    let stream = stream_of(batch.schema(), vec![batch]);
    let error = block_on(write_stream(stream, &mut out, &OutputOptions::new(OutputFormat::Parquet))).unwrap_err();
    assert_eq!(error.to_string(), "a result without columns cannot be written as parquet");
}

#[test]
fn equal_names_are_told_apart_where_a_reader_would_lose_one() {
    let column = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
    let batch = batch(vec![("a", column(1)), ("a", column(2)), ("a_2", column(3)), ("a", column(4))]);
    assert_eq!(
        text(std::slice::from_ref(&batch), &OutputOptions::new(OutputFormat::Ndjson)),
        "{\"a\":1,\"a_3\":2,\"a_2\":3,\"a_4\":4}\n"
    );
    assert_eq!(text(std::slice::from_ref(&batch), &OutputOptions::new(OutputFormat::Csv)), "a,a,a_2,a\n1,2,3,4\n");
    assert!(text(&[batch], &terminal(OutputFormat::Table, 80)).contains("│ a │ a │ a_2 │ a │"));
}

#[test]
fn a_zone_is_applied_and_named() {
    let zone = Some(TimeZone::get("Europe/Berlin").unwrap());
    let options = OutputOptions { zone, header: Header::Hide, ..OutputOptions::new(OutputFormat::Csv) };
    assert_eq!(text(&[batch(vec![("t", times(&[Some(STAMP)]))])], &options), "2026-11-21T01:55:04.123456+01:00\n");
}

const HOSTILE: &str = "\x1b]52;c;Zm9v\x07\u{9b}31m\r\u{202e}cod\u{2066}\u{200b}\u{e0041}\u{feff}\x7f\0 ü日\u{85}\u{2028}";

fn is_dangerous(c: char) -> bool {
    let n = u32::from(c);
    (n < 0x20 && c != '\n' && c != '\t')
        || (0x7f..=0x9f).contains(&n)
        || [0x202e, 0x2066, 0x200b, 0xe0041, 0xfeff, 0x2028].contains(&n)
}

fn hostile_rows() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.values().append_value(HOSTILE);
    lists.append(true);
    batch(vec![
        (HOSTILE, strings(&[Some(HOSTILE)])),
        ("map", map_array(&[Some(&[(HOSTILE, Some(HOSTILE))])])),
        ("list", Arc::new(lists.finish())),
    ])
}

#[test]
fn no_format_sends_log_text_to_a_terminal_as_it_is() {
    for format in OutputFormat::ALL.into_iter().filter(|format| !format.is_binary()) {
        for width in [20, 80, 1000] {
            for expanded in [Expanded::Off, Expanded::On] {
                let out = text(&[hostile_rows()], &OutputOptions { expanded, ..terminal(format, width) });
                assert!(!out.chars().any(is_dangerous), "{format}: {out:?}");
                assert!(out.contains('ü') || width < 1000, "{format}: {out:?}");
            }
        }
    }
    // Tables never carry it, wherever they go; nor do lines and Markdown.
    for format in [OutputFormat::Table, OutputFormat::Line, OutputFormat::Markdown] {
        let out = text(&[hostile_rows()], &OutputOptions::new(format));
        assert!(!out.chars().any(is_dangerous), "{format}: {out:?}");
    }
}

#[test]
fn the_null_text_is_sanitised_too() {
    for format in [OutputFormat::Csv, OutputFormat::Tsv, OutputFormat::Table, OutputFormat::Line, OutputFormat::Markdown] {
        let options = OutputOptions { null: Some("\x1b[5m".into()), ..terminal(format, 80) };
        let out = text(&[batch(vec![("a", strings(&[None, Some("x")]))])], &options);
        assert!(!out.contains('\x1b') && out.contains("x1b[5m") | out.contains("x1b\\[5m"), "{format}: {out:?}");
    }
}

#[test]
fn pipes_and_files_carry_log_text_unchanged() {
    for target in [Target::Pipe, Target::File] {
        for format in [OutputFormat::Csv, OutputFormat::Ndjson] {
            let out = text(&[hostile_rows()], &OutputOptions { target, ..OutputOptions::new(format) });
            if format == OutputFormat::Csv {
                assert!(out.contains(HOSTILE));
            } else {
                let json: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(json[HOSTILE], HOSTILE);
                assert_eq!(json["map"][HOSTILE], HOSTILE);
            }
        }
    }
}

#[test]
fn json_on_a_terminal_is_the_same_value() {
    let piped = text(&[hostile_rows()], &OutputOptions::new(OutputFormat::Ndjson));
    let shown = text(&[hostile_rows()], &terminal(OutputFormat::Ndjson, 80));
    let [piped, shown]: [serde_json::Value; 2] = [&piped, &shown].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(piped, shown);
}

#[test]
fn binary_formats_are_refused_on_a_terminal() {
    for format in [OutputFormat::Parquet, OutputFormat::Arrow] {
        let mut out = Vec::new();
        let stream = stream_of(log_rows().schema(), vec![log_rows()]);
        let error = block_on(write_stream(stream, &mut out, &terminal(format, 80))).unwrap_err();
        assert!(matches!(error, OutputError::Binary { .. }) && error.hint().is_some() && out.is_empty());
    }
}

/// Counts how often it is asked for a batch, which it always has.
fn endless(pulls: &Arc<AtomicUsize>) -> SendableRecordBatchStream {
    let pulls = Arc::clone(pulls);
    let batches = stream::repeat_with(move || {
        pulls.fetch_add(1, Ordering::Relaxed);
        Ok(log_rows())
    });
    Box::pin(RecordBatchStreamAdapter::new(log_rows().schema(), batches))
}

#[test]
fn a_closed_pipe_ends_the_query_without_an_error_of_its_own() {
    for format in OutputFormat::ALL {
        // A table needs a sample, and Parquet a row group, before there is anything to write.
        let most = if matches!(format, OutputFormat::Table) { 600 } else { 2 };
        let pulls = Arc::new(AtomicUsize::new(0));
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let stream: SendableRecordBatchStream = match format {
            OutputFormat::Parquet => stream_of(log_rows().schema(), vec![log_rows()]),
            _ => endless(&pulls),
        };
        let error = block_on(write_stream(stream, &mut writer, &OutputOptions::new(format))).unwrap_err();
        assert!(matches!(error, OutputError::ClosedPipe), "{format}: {error:?}");
        assert!(pulls.load(Ordering::Relaxed) <= most, "{format}");
    }
}

struct FullDisk;

impl Write for FullDisk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::ENOSPC))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn another_failure_names_the_target_and_keeps_its_cause() {
    for format in OutputFormat::ALL {
        let stream = stream_of(log_rows().schema(), vec![log_rows()]);
        let error = block_on(write_stream(stream, &mut FullDisk, &OutputOptions::new(format))).unwrap_err();
        let OutputError::Write { target, source } = &error else { panic!("{format}: {error:?}") };
        assert_eq!((target.as_str(), source.raw_os_error()), ("standard output", Some(libc::ENOSPC)), "{format}");
        assert!(error.hint().is_some());
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn rows_are_written_before_the_next_batch_is_asked_for() {
    use OutputFormat::*;
    for format in [Csv, Tsv, Json, Ndjson, Markdown, Line] {
        let sink = Shared::default();
        let seen = sink.clone();
        let batches = stream::unfold(0, move |number| {
            let seen = seen.clone();
            async move {
                if number > 0 {
                    let text = String::from_utf8(seen.0.lock().unwrap().clone()).unwrap();
                    assert!(text.contains(&format!("row-{}", number - 1)), "{format}: {text}");
                }
                let row = batch(vec![("a", strings(&[Some(&format!("row-{number}"))]))]);
                (number < 3).then_some((Ok(row), number + 1))
            }
        });
        let schema = batch(vec![("a", strings(&[None]))]).schema();
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
        let mut sink = sink;
        assert_eq!(block_on(write_stream(stream, &mut sink, &OutputOptions::new(format))).unwrap().rows, 3);
    }
}

fn failing() -> SendableRecordBatchStream {
    let error = Err(DataFusionError::Execution("the log is gone".into()));
    Box::pin(RecordBatchStreamAdapter::new(log_rows().schema(), stream::iter([Ok(log_rows()), error])))
}

#[test]
fn a_query_that_fails_at_once_writes_nothing() {
    let error = Err(DataFusionError::Execution("no".into()));
    let stream = Box::pin(RecordBatchStreamAdapter::new(log_rows().schema(), stream::iter([error])));
    let mut out = Vec::new();
    let error = block_on(write_stream(stream, &mut out, &OutputOptions::new(OutputFormat::Csv))).unwrap_err();
    assert!(matches!(error, OutputError::Query(_)) && out.is_empty());
}

fn read_parquet(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn parquet_reads_back_as_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.parquet");
    let stream = stream_of(log_rows().schema(), vec![log_rows(), log_rows()]);
    let written = block_on(write_file(stream, &path, &OutputOptions::new(OutputFormat::Parquet))).unwrap();
    assert_eq!(written.rows, 4);
    assert_eq!(names_in(folder.path()), ["out.parquet"]);

    let batches = read_parquet(&path);
    let csv = OutputOptions::new(OutputFormat::Csv);
    assert_eq!(text(&batches, &csv), text(&[log_rows(), log_rows()], &csv));
    assert_eq!(*batches[0].schema().field(0).data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(*batches[0].schema().field(3).data_type(), DataType::UInt64);
    assert_eq!(*batches[0].schema().field(1).data_type(), DataType::LargeUtf8);

    let file = std::fs::File::open(&path).unwrap();
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let column = metadata.row_group(0).column(1);
    assert!(matches!(column.compression(), parquet::basic::Compression::ZSTD(_)));
    assert!(column.statistics().is_some());
    assert_eq!(column.column_descr().logical_type_ref(), Some(&parquet::basic::LogicalType::String));
    assert!(metadata.file_metadata().created_by().unwrap().starts_with("logsql "));
}

#[test]
fn parquet_unpacks_dictionaries_runs_and_views_wherever_they_are() {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("red"), None].into_iter().collect();
    let field = Arc::new(Field::new("item", DataType::Utf8View, true));
    let list = ListArray::new(field, OffsetBuffer::from_lengths([1, 1]), strings(&[Some("deep"), None]), None);
    let batch = batch(vec![("d", Arc::new(dictionary)), ("l", Arc::new(list))]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.parquet");
    let stream = stream_of(batch.schema(), vec![batch.clone()]);
    block_on(write_file(stream, &path, &OutputOptions::new(OutputFormat::Parquet))).unwrap();
    let options = OutputOptions::new(OutputFormat::Ndjson);
    assert_eq!(text(&read_parquet(&path), &options), text(&[batch], &options));
}

#[test]
fn arrow_is_a_file_in_files_and_a_stream_in_pipes() {
    let ndjson = OutputOptions::new(OutputFormat::Ndjson);
    // Each batch has another dictionary, which an IPC file could not hold.
    let colour = |name: &str| {
        let dictionary: DictionaryArray<Int8Type> = vec![Some(name), None].into_iter().collect();
        batch(vec![("c", Arc::new(dictionary)), ("v", strings(&[Some("a view of more than twelve bytes"), None]))])
    };
    let batches = [colour("red"), colour("blue")];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.arrow");
    let stream = stream_of(batches[0].schema(), batches.to_vec());
    block_on(write_file(stream, &path, &OutputOptions::new(OutputFormat::Arrow))).unwrap();
    let reader = arrow::ipc::reader::FileReader::try_new(std::fs::File::open(&path).unwrap(), None).unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(text(&read, &ndjson), text(&batches, &ndjson));

    let (piped, _) = bytes(&batches, &OutputOptions::new(OutputFormat::Arrow));
    let reader = arrow::ipc::reader::StreamReader::try_new(piped.as_slice(), None).unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(text(&read, &ndjson), text(&batches, &ndjson));
}

#[test]
fn arrow_does_not_drag_along_what_a_filter_left_behind() {
    let lines: Vec<String> = (0..1000).map(|number| format!("{number} {}", "x".repeat(1000))).collect();
    let all = batch(vec![("line", Arc::new(StringViewArray::from_iter_values(&lines)))]);
    let (bytes, _) = bytes(&[all.slice(7, 1)], &OutputOptions::new(OutputFormat::Arrow));
    assert!(bytes.len() < 10_000, "{} bytes for one line", bytes.len());
}

#[test]
fn a_failed_query_leaves_the_old_file_and_no_other() {
    for format in [OutputFormat::Csv, OutputFormat::Parquet, OutputFormat::Arrow] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let error = block_on(write_file(failing(), &path, &OutputOptions::new(format))).unwrap_err();
        assert!(matches!(error, OutputError::Query(_)), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names_in(folder.path()), ["out"]);
    }
}

#[test]
fn a_cancelled_query_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.parquet");
    let batches = stream::iter([Ok(log_rows())]).chain(stream::pending());
    let stream = Box::pin(RecordBatchStreamAdapter::new(log_rows().schema(), batches));
    let options = OutputOptions::new(OutputFormat::Parquet);
    {
        let mut writing = pin!(write_file(stream, &path, &options));
        block_on(async { assert!(futures::poll!(&mut writing).is_pending()) });
        assert_eq!(names_in(folder.path()).len(), 1, "the temporary file is there while the query runs");
    }
    assert_eq!(names_in(folder.path()), [] as [&str; 0]);
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_its_link() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.csv");
    let link = folder.path().join("link.csv");
    std::fs::write(&real, "old").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.csv", &link).unwrap();
    let stream = stream_of(log_rows().schema(), vec![log_rows()]);
    block_on(write_file(stream, &link, &OutputOptions::new(OutputFormat::Csv))).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().starts_with("time,"));
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let stream = stream_of(log_rows().schema(), vec![log_rows()]);
    let written = block_on(write_file(stream, Path::new("/dev/null"), &OutputOptions::new(OutputFormat::Csv))).unwrap();
    assert_eq!(written.rows, 2);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());

    let stream = stream_of(log_rows().schema(), vec![log_rows()]);
    let error = block_on(write_file(stream, Path::new("/dev/full"), &OutputOptions::new(OutputFormat::Csv))).unwrap_err();
    assert_eq!(error.to_string(), "cannot write to `/dev/full`");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
    let path = Path::new("/nowhere/at/all.csv");
    let stream = stream_of(log_rows().schema(), vec![log_rows()]);
    let error = block_on(write_file(stream, path, &OutputOptions::new(OutputFormat::Csv))).unwrap_err();
    assert_eq!(error.to_string(), "cannot write to `/nowhere/at/all.csv`");
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not() {
    let folder = tempfile::tempdir().unwrap();
    // Above the largest number that Linux gives a process.
    let (dead, living) = (4_194_304 + 1, std::process::id());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 24 * 60 * 60);
    for (name, is_old) in [
        (format!(".tmp-{dead}-0.logsql"), true),
        (format!(".tmp-{dead}-1.logsql"), false),
        (format!(".tmp-{living}-99999999.logsql"), true),
        (".tmp-of-somebody-else".to_owned(), true),
    ] {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        if is_old {
            file.set_modified(old).unwrap();
        }
    }
    let stream = stream_of(log_rows().schema(), vec![log_rows()]);
    block_on(write_file(stream, &folder.path().join("out.csv"), &OutputOptions::new(OutputFormat::Csv))).unwrap();
    let expected = [
        format!(".tmp-{dead}-1.logsql"),
        format!(".tmp-{living}-99999999.logsql"),
        ".tmp-of-somebody-else".to_owned(),
        "out.csv".to_owned(),
    ];
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(names_in(folder.path()), expected);
}

#[test]
fn names_of_formats_are_known_by_word_and_by_extension() {
    for format in OutputFormat::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        assert_eq!(format.name().to_uppercase().parse(), Ok(format));
    }
    assert_eq!("jsonl".parse(), Ok(OutputFormat::Ndjson));
    let error = "yaml".parse::<OutputFormat>().unwrap_err();
    assert!(error.to_string().starts_with("unknown output format `yaml`"));
    for (path, format) in [
        ("a.CSV", Some(OutputFormat::Csv)),
        ("a/b.jsonl", Some(OutputFormat::Ndjson)),
        ("x.parquet", Some(OutputFormat::Parquet)),
        ("x.log", None),
        ("csv", None),
    ] {
        assert_eq!(OutputFormat::from_extension(Path::new(path)), format, "{path}");
    }
}

#[test]
fn a_terminal_draws_what_its_locale_can_show() {
    assert_eq!(Charset::of(Some("xterm-256color"), Some("de_DE.UTF-8")), Charset::Unicode);
    assert_eq!(Charset::of(Some("xterm"), Some("C.utf8")), Charset::Unicode);
    assert_eq!(Charset::of(Some("dumb"), Some("C.UTF-8")), Charset::Ascii);
    assert_eq!(Charset::of(Some("xterm"), Some("C")), Charset::Ascii);
    assert_eq!(Charset::of(None, None), Charset::Ascii);
}

fn awkward() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        Just(','),
        Just('"'),
        Just('\n'),
        Just('\r'),
        Just('\t'),
        Just('\\'),
        Just('\''),
        Just(' '),
        Just('\0'),
        Just('日'),
        any::<char>(),
        prop::char::range('a', 'f'),
    ];
    prop::collection::vec(c, 0..12).prop_map(String::from_iter)
}

fn unescaped(field: &str) -> String {
    let mut out = String::new();
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('\\') => '\\',
                other => panic!("no such escape: {other:?}"),
            },
            c => c,
        });
    }
    out
}

proptest! {
    #[test]
    fn csv_reads_back(rows in prop::collection::vec((awkward(), prop::option::of(awkward())), 1..20)) {
        let a: Vec<Option<&str>> = rows.iter().map(|(a, _)| Some(a.as_str())).collect();
        let b: Vec<Option<&str>> = rows.iter().map(|(_, b)| b.as_deref()).collect();
        let batch = batch(vec![("a", strings(&a)), ("b", strings(&b))]);
        let csv = text(&[batch], &OutputOptions::new(OutputFormat::Csv));
        let schema = Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Utf8, true)]);
        let reader = arrow::csv::ReaderBuilder::new(Arc::new(schema)).with_header(true).build(csv.as_bytes()).unwrap();
        let mut read = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let (a, b) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
            // That reader does not tell an empty text from NULL.
            let get = |column: &StringArray, row| if column.is_null(row) { String::new() } else { column.value(row).to_owned() };
            read.extend((0..batch.num_rows()).map(|row| (get(a, row), get(b, row))));
        }
        let expected: Vec<(String, String)> = rows.into_iter().map(|(a, b)| (a, b.unwrap_or_default())).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn tsv_reads_back(rows in prop::collection::vec((awkward(), prop::option::of(awkward())), 0..20)) {
        let a: Vec<Option<&str>> = rows.iter().map(|(a, _)| Some(a.as_str())).collect();
        let b: Vec<Option<&str>> = rows.iter().map(|(_, b)| b.as_deref()).collect();
        let batch = batch(vec![("a", strings(&a)), ("b", strings(&b))]);
        let options = OutputOptions { null: Some("\\N".into()), header: Header::Hide, ..OutputOptions::new(OutputFormat::Tsv) };
        let tsv = text(&[batch], &options);
        let read: Vec<(String, Option<String>)> = tsv
            .split_terminator('\n')
            .map(|line| {
                let (a, b) = line.split_once('\t').unwrap();
                (unescaped(a), (b != "\\N").then(|| unescaped(b)))
            })
            .collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn json_reads_back(rows in prop::collection::vec(prop::option::of(awkward()), 0..20)) {
        let values: Vec<Option<&str>> = rows.iter().map(Option::as_deref).collect();
        let batch = batch(vec![("a", strings(&values))]);
        for options in [OutputOptions::new(OutputFormat::Json), terminal(OutputFormat::Json, 80)] {
            let json: Vec<serde_json::Value> = serde_json::from_str(&text(std::slice::from_ref(&batch), &options)).unwrap();
            let read: Vec<Option<&str>> = json.iter().map(|row| row["a"].as_str()).collect();
            prop_assert_eq!(&read, &values);
        }
    }

    #[test]
    fn a_table_row_is_as_wide_as_its_frame(rows in prop::collection::vec(awkward(), 1..10), width in 24_u16..60) {
        let values: Vec<Option<&str>> = rows.iter().map(|row| Some(row.as_str())).collect();
        let batch = batch(vec![("a", strings(&values)), ("b", strings(&values))]);
        let options = OutputOptions { expanded: Expanded::Off, ..terminal(OutputFormat::Table, width) };
        let out = text(&[batch], &options);
        prop_assert_eq!(out.lines().count(), rows.len() + 4);
        let frame = text_width(out.lines().next().unwrap());
        prop_assert!(frame <= usize::from(width));
        for line in out.lines() {
            prop_assert_eq!(text_width(line), frame, "{}", line);
        }
    }
}
