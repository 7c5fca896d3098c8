//! SQL functions for logs: times in zones, addresses, URLs, templates of messages, sizes, sessions.
//!
//! ```text
//!   time.rs template.rs …  const X: Function { name, args, about, example, run }      data, one per function
//!                                   │
//!   mod.rs                          └─► LogFunction: ScalarUDFImpl                    types checked, constants kept
//!   sessionize.rs change.rs             Sessionize, Changes: WindowUDFImpl
//!                                   │
//!   session.rs                      └─► register()                                    the only caller
//! ```
//!
//! Rules for all of them: NULL in, NULL out; a value of a log that makes no sense is NULL; a constant that makes no sense is
//! an error that names the argument, since it is the query that is wrong. Nothing depends on what other rows hold.

mod change;
mod geoip;
mod grok;
mod ip;
mod json;
mod number;
mod sessionize;
pub(crate) mod template;
mod text;
mod time;
mod url;
mod user_agent;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringViewArray, StringViewBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, WindowUDF,
};

pub use number::bytes_human;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Time,
    /// Any number, as a fraction.
    Number,
    /// A number without a fraction.
    Whole,
    /// `INTERVAL '5 minutes'`, or the text `5 minutes`.
    Interval,
}

impl Kind {
    /// The type that a value of type `given` is turned into, or `None` if it cannot be meant.
    fn accept(self, given: &DataType) -> Option<DataType> {
        let plain = match given {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let is_text = matches!(plain, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match (self, plain) {
            (Self::Text, DataType::Null) => Some(DataType::Utf8View),
            (Self::Text, _) if is_text => Some(DataType::Utf8View),
            (Self::Time, DataType::Null | DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => Some(timestamp()),
            (Self::Time, _) if is_text => Some(timestamp()),
            (Self::Number, DataType::Null) => Some(DataType::Float64),
            (Self::Number, number) if number.is_numeric() => Some(DataType::Float64),
            (Self::Whole, DataType::Null) => Some(DataType::Int64),
            (Self::Whole, number) if number.is_integer() => Some(DataType::Int64),
            (Self::Interval, DataType::Null | DataType::Interval(_)) => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
            (Self::Interval, _) if is_text => Some(DataType::Utf8View),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Time => "a time",
            Self::Number => "a number",
            Self::Whole => "a whole number",
            Self::Interval => "an interval such as '5 minutes'",
        }
    }
}

/// An argument.
#[derive(Clone, Copy, Debug)]
struct Arg {
    name: &'static str,
    kind: Kind,
    need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Always,
    MayLack,
    /// The last one, once or more.
    Repeats,
}

const fn arg(name: &'static str, kind: Kind) -> Arg {
    Arg { name, kind, need: Need::Always }
}

const fn optional(name: &'static str, kind: Kind) -> Arg {
    Arg { name, kind, need: Need::MayLack }
}

/// A scalar function, as data.
struct Function {
    name: &'static str,
    args: &'static [Arg],
    about: &'static str,
    /// An expression with it, and what that gives.
    example: &'static str,
    returns: fn() -> DataType,
    run: fn(&Args<'_>) -> DfResult<ArrayRef>,
}

/// All scalar functions, in the order in which they are listed.
const FUNCTIONS: &[&[Function]] = &[
    time::FUNCTIONS,
    number::FUNCTIONS,
    template::FUNCTIONS,
    text::FUNCTIONS,
    grok::FUNCTIONS,
    ip::FUNCTIONS,
    geoip::FUNCTIONS,
    json::FUNCTIONS,
    url::FUNCTIONS,
    user_agent::FUNCTIONS,
];

/// What a person is told of a function.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: String,
    /// What it gives.
    pub about: &'static str,
    /// An expression with it, and what that gives.
    pub example: &'static str,
}

/// All functions that are ours.
pub fn described() -> Vec<Described> {
    let scalar = FUNCTIONS.iter().flat_map(|functions| functions.iter()).map(|function| Described {
        name: function.name,
        usage: usage(function.name, function.args),
        about: function.about,
        example: function.example,
    });
    scalar.chain([sessionize::described()]).chain(change::Change::ALL.map(change::Change::described)).collect()
}

/// Adds all functions to a session.
pub fn register(registry: &mut dyn FunctionRegistry) -> DfResult<()> {
    for function in FUNCTIONS.iter().flat_map(|functions| functions.iter()) {
        registry.register_udf(Arc::new(ScalarUDF::from(LogFunction::new(function))))?;
    }
    registry.register_udwf(Arc::new(WindowUDF::from(sessionize::Sessionize::new())))?;
    for change in change::Change::ALL {
        registry.register_udwf(Arc::new(WindowUDF::from(change::Changes::new(change))))?;
    }
    Ok(())
}

/// `time_bucket(interval, time[, zone])`
fn usage(name: &str, args: &[Arg]) -> String {
    let mut text = format!("{name}(");
    for (at, arg) in args.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        text += &match arg.need {
            Need::Always => format!("{comma}{}", arg.name),
            Need::MayLack => format!("[{comma}{}]", arg.name),
            Need::Repeats => format!("{comma}{}, …", arg.name),
        };
    }
    text + ")"
}

fn documentation(described: &Described) -> Documentation {
    let section = DocSection { include: true, label: "Log functions", description: None };
    let about = format!("{}: {}", described.about, described.example);
    Documentation::builder(section, about, described.usage.clone()).build()
}

/// The types that the arguments are turned into, or an error that names the one that is wrong.
fn coerce(name: &str, args: &[Arg], given: &[DataType]) -> DfResult<Vec<DataType>> {
    let needed = args.iter().filter(|arg| arg.need != Need::MayLack).count();
    let repeats = args.last().is_some_and(|arg| arg.need == Need::Repeats);
    if given.len() < needed || (given.len() > args.len() && !repeats) {
        return plan_err!("`{name}` is called as `{}`, and here with {} arguments", usage(name, args), given.len());
    }
    let mut types = vec![];
    for (at, given) in given.iter().enumerate() {
        let arg = &args[at.min(args.len() - 1)];
        match arg.kind.accept(given) {
            Some(accepted) => types.push(accepted),
            None => {
                return plan_err!(
                    "`{}`: its argument `{}` is {}, and here of type {given}",
                    usage(name, args),
                    arg.name,
                    arg.kind.name()
                );
            }
        }
    }
    Ok(types)
}

/// The type of all our times.
fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A [`Function`] for DataFusion.
struct LogFunction {
    def: &'static Function,
    signature: Signature,
    documentation: Documentation,
}

impl LogFunction {
    fn new(def: &'static Function) -> Self {
        let described = Described { name: def.name, usage: usage(def.name, def.args), about: def.about, example: def.example };
        Self { def, signature: Signature::user_defined(Volatility::Immutable), documentation: documentation(&described) }
    }
}

impl fmt::Debug for LogFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.def.name)
    }
}

impl PartialEq for LogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.def.name == other.def.name
    }
}

impl Eq for LogFunction {}

impl Hash for LogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.def.name.hash(state);
    }
}

impl ScalarUDFImpl for LogFunction {
    fn name(&self) -> &str {
        self.def.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DfResult<DataType> {
        Ok((self.def.returns)())
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        coerce(self.def.name, self.def.args, arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let is_constant: Vec<bool> = args.args.iter().map(|value| matches!(value, ColumnarValue::Scalar(_))).collect();
        // One row where all are constants.
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let shown_zone = args.config_options.execution.time_zone.as_deref();
        let called =
            Args { function: self.def.name, args: self.def.args, arrays: &arrays, is_constant: &is_constant, shown_zone };
        let result = (self.def.run)(&called)?;
        if is_constant.iter().all(|is| *is) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// What a function is called with: arrays of one length, of the types that [`Kind::accept`] gives.
struct Args<'a> {
    function: &'static str,
    args: &'static [Arg],
    arrays: &'a [ArrayRef],
    is_constant: &'a [bool],
    /// The zone in which this session shows times, where it is set.
    shown_zone: Option<&'a str>,
}

impl<'a> Args<'a> {
    fn rows(&self) -> usize {
        self.arrays.first().map_or(0, Array::len)
    }

    fn has(&self, at: usize) -> bool {
        at < self.arrays.len()
    }

    fn text(&self, at: usize) -> &'a StringViewArray {
        self.arrays[at].as_string_view()
    }

    fn time(&self, at: usize) -> &'a TimestampMicrosecondArray {
        self.arrays[at].as_primitive::<TimestampMicrosecondType>()
    }

    fn number(&self, at: usize) -> &'a Float64Array {
        self.arrays[at].as_primitive::<Float64Type>()
    }

    fn whole(&self, at: usize) -> &'a Int64Array {
        self.arrays[at].as_primitive::<Int64Type>()
    }

    /// The value of a constant that was not understood is the query's mistake; one from a log is just NULL.
    fn bad<T>(&self, at: usize, what: impl fmt::Display) -> DfResult<Option<T>> {
        if self.is_constant[at] {
            let name = self.args[at.min(self.args.len() - 1)].name;
            return exec_err!("`{}`: its argument `{name}` is wrong: {what}", self.function);
        }
        Ok(None)
    }
}

/// The value made of the text that was seen last: constants come as the same text again and again.
struct Last<'a, T> {
    seen: Option<(&'a str, T)>,
}

impl<'a, T> Last<'a, T> {
    fn new() -> Self {
        Self { seen: None }
    }

    fn get(&mut self, text: &'a str, make: impl FnOnce(&'a str) -> DfResult<T>) -> DfResult<&T> {
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != text) {
            self.seen = Some((text, make(text)?));
        }
        Ok(&self.seen.as_ref().expect("it was just put there").1)
    }
}

/// A column of texts.
fn texts<S: AsRef<str>>(rows: impl Iterator<Item = Option<S>>) -> DfResult<ArrayRef> {
    let mut out = StringViewBuilder::new();
    rows.for_each(|text| out.append_option(text));
    Ok(Arc::new(out.finish()))
}

/// A column of yes and no.
fn flags(rows: impl Iterator<Item = Option<bool>>) -> DfResult<ArrayRef> {
    Ok(Arc::new(rows.collect::<BooleanArray>()))
}
