//! Numbers: buckets of a histogram, sizes for people.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Float64Builder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;

use super::{Arg, Args, Function, Kind, Need, arg, optional, texts};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "histogram",
        args: &[arg("value", Kind::Number), optional("width", Kind::Number)],
        about: "lower end of the bucket that a number is in: of equal width, or without one of 1, 2, 5, 10, 20, 50 …",
        example: "histogram(137.2, 50) → 100; histogram(137.2) → 100",
        returns: || DataType::Float64,
        run: histogram,
    },
    Function {
        name: "histogram_label",
        args: &[arg("value", Kind::Number), Arg { name: "bound", kind: Kind::Number, need: Need::Repeats }],
        about: "name of the bucket between rising bounds that a number is in",
        example: "histogram_label(137.2, 10, 100, 1000) → 100 to 1000",
        returns: || DataType::Utf8View,
        run: histogram_label,
    },
    Function {
        name: "bytes_human",
        args: &[arg("bytes", Kind::Number)],
        about: "a number of bytes for people",
        example: "bytes_human(1500) → 1.5 kB",
        returns: || DataType::Utf8View,
        run: |args| texts(args.number(0).iter().map(|bytes| bytes.map(bytes_human))),
    },
];

/// Bytes: `1.0 GB`.
pub fn bytes_human(number: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = number;
    let mut unit = 0;
    while value.abs() >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn histogram(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut out = Float64Builder::with_capacity(args.rows());
    if !args.has(1) {
        for value in args.number(0) {
            out.append_option(value.and_then(step_below));
        }
        return Ok(Arc::new(out.finish()));
    }
    for (value, width) in args.number(0).iter().zip(args.number(1)) {
        let (Some(value), Some(width)) = (value, width) else {
            out.append_null();
            continue;
        };
        let width = if width > 0.0 && width.is_finite() { Some(width) } else { args.bad(1, "it has to be above 0")? };
        let begin = width.map(|width| (value / width).floor() * width);
        out.append_option(begin.filter(|begin| begin.is_finite()));
    }
    Ok(Arc::new(out.finish()))
}

/// The largest of … 0.1, 0.2, 0.5, 1, 2, 5, 10 … that is not above the value, by its sign.
fn step_below(value: f64) -> Option<f64> {
    if value == 0.0 {
        return Some(0.0);
    }
    if !value.is_finite() {
        return None;
    }
    // Powers of ten as texts are read have no rounding errors; those of `powi` have.
    let power: f64 = format!("1e{}", value.abs().log10().floor()).parse().ok()?;
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0];
    let below = steps.iter().rev().map(|step| step * power).find(|step| *step <= value.abs())?;
    Some(below.copysign(value))
}

fn histogram_label(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(args.rows()).with_deduplicate_strings();
    let mut bounds = vec![];
    for (row, value) in args.number(0).iter().enumerate() {
        out.append_option(label(args, row, value, &mut bounds)?);
    }
    Ok(Arc::new(out.finish()))
}

fn label(args: &Args<'_>, row: usize, value: Option<f64>, bounds: &mut Vec<f64>) -> DfResult<Option<String>> {
    bounds.clear();
    for at in 1..args.arrays.len() {
        if args.number(at).is_null(row) {
            return Ok(None);
        }
        let bound = args.number(at).value(row);
        if bound.is_nan() || bounds.last().is_some_and(|last| bound <= *last) {
            return args.bad(at, "bounds have to rise");
        }
        bounds.push(bound);
    }
    let Some(value) = value.filter(|value| !value.is_nan()) else { return Ok(None) };
    let above = bounds.partition_point(|bound| *bound <= value);
    Ok(match (above.checked_sub(1).map(|below| bounds[below]), bounds.get(above)) {
        (None, above) => above.map(|above| format!("below {above}")),
        (Some(below), Some(above)) => Some(format!("{below} to {above}")),
        (Some(below), None) => Some(format!("{below} and above")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_are_one_two_and_five() {
        for (value, step) in
            [(0.0, 0.0), (1.0, 1.0), (1.99, 1.0), (3.0, 2.0), (9.99, 5.0), (1000.0, 1000.0), (0.07, 0.05), (-30.0, -20.0)]
        {
            assert_eq!(step_below(value), Some(step), "{value}");
        }
        assert_eq!((step_below(f64::NAN), step_below(f64::INFINITY)), (None, None));
    }

    proptest! {
        #[test]
        fn a_step_is_never_above_its_value(value in any::<f64>()) {
            if let Some(step) = step_below(value) {
                prop_assert!(step.abs() <= value.abs());
            }
            prop_assert!(!bytes_human(value).is_empty());
        }
    }
}
