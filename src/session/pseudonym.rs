//! Pseudonyms in place of addresses and names, in results that leave the house.
//!
//! ```text
//!   SELECT client_ip, upper(user_name) AS u, count(*) …       what each column of the plan is made of ──► address, name, free text, –
//!     192.0.2.7   ALICE       41          rows ──►  85.3.201.94   user-3f9a1c02b7   41
//! ```
//!
//! The query itself sees what was logged, so filters and joins mean what they say; its result is changed, in every face and format.
//! What a column is made of is followed through the plan, so no alias, function or subquery leads around it. Numbers stay.
//!
//! Addresses are encrypted so that those of one network stay in one (ipcrypt-pfx); names are keyed hashes. Both are the same wherever the key is.
//! In free text (messages, URLs, `fields`) addresses, hardware addresses and e-mail addresses are found by their looks, and the names that other
//! columns of the same record have, wherever they stand. These are put in right above FROM and WHERE, where a row still is a record: what is
//! selected, grouped and sorted then has them. A whole line is one name.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StringViewArray, StringViewBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, DFSchema, Result as DfResult};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Projection, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt as _;
use ipcrypt_rs::IpcryptPfx;
use regex::{Captures, Regex};

/// The key of pseudonyms.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymKey([u8; 32]);

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(…)")
    }
}

impl PseudonymKey {
    /// The key that a text stands for.
    pub fn of_text(text: &str) -> Self {
        Self(blake3::derive_key("logsql pseudonyms: key of a text", text.as_bytes()))
    }

    /// The key in a file, which is made, for this user alone, if it is not there.
    pub fn kept(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut key = [0; 32];
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                File::open("/dev/urandom")?.read_exact(&mut key)?;
                file.write_all(&key)?;
                file.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(path)?.read_exact(&mut key)?,
            Err(error) => return Err(error),
        }
        Ok(Self(key))
    }
}

/// The kind of name that a whole line is.
const LINE: &str = "line";

/// Shorter names are in too many words.
const SHORTEST: usize = 2;

/// What a column of text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing of anybody.
    Open,
    /// An address, or a network.
    Address,
    /// A name of this kind.
    Name(&'static str),
    /// Text with whatever in it.
    Text,
}

impl Kind {
    /// The kind of a column that was logged.
    fn of(column: &str) -> Self {
        match column {
            "client_ip" | "server_ip" | "upstream_ip" | "source_ip" | "dest_ip" => Self::Address,
            "user_name" | "target_user" | "ident" => Self::Name("user"),
            "host" | "client_host" | "vhost" | "server" => Self::Name("host"),
            "query_name" => Self::Name("name"),
            "sender" | "recipient" => Self::Name("mail"),
            "source_mac" | "dest_mac" | "client_mac" => Self::Name("mac"),
            // Whole lines, with all names that stand in them.
            "_raw" | "raw" => Self::Name(LINE),
            "method" | "level" | "status" | "protocol" | "action" | "_format" => Self::Open,
            _ => Self::Text,
        }
    }

    /// Of a value that is made of two.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, another) if one == another => one,
            (Self::Open, other) | (other, Self::Open) => other,
            (Self::Name(name), _) | (_, Self::Name(name)) => Self::Name(name),
            (Self::Address, _) | (_, Self::Address) => Self::Address,
            _ => Self::Text,
        }
    }
}

/// Makes pseudonyms.
pub(super) struct Pseudonyms {
    addresses: IpcryptPfx,
    names: [u8; 32],
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms(…)")
    }
}

impl Pseudonyms {
    pub(super) fn new(key: &PseudonymKey) -> Self {
        let part = |of: &str| blake3::derive_key(of, &key.0);
        Self { addresses: IpcryptPfx::new(part("logsql pseudonyms: addresses")), names: part("logsql pseudonyms: names") }
    }

    /// The plan with pseudonyms in its texts for the names that the same record has.
    pub(super) fn in_texts(self: &Arc<Self>, plan: LogicalPlan) -> DfResult<LogicalPlan> {
        match plan {
            plan if is_from(&plan) => self.named(plan),
            // What these do to texts is no result.
            LogicalPlan::Explain(_) | LogicalPlan::Ddl(_) | LogicalPlan::Statement(_) | LogicalPlan::DescribeTable(_) => Ok(plan),
            plan => Ok(plan.map_children(|input| self.in_texts(input).map(Transformed::yes))?.data),
        }
    }

    /// A projection that has pseudonyms in its texts.
    fn named(self: &Arc<Self>, plan: LogicalPlan) -> DfResult<LogicalPlan> {
        let schema = Arc::clone(plan.schema());
        let is_text = |of: &DataType| match of {
            DataType::Map(entries, _) => {
                matches!(entries.data_type(), DataType::Struct(fields) if fields.len() == 2 && is_string(fields[1].data_type()))
            }
            of => is_string(of),
        };
        let mut kinds = vec![];
        let mut names = vec![];
        for (relation, field) in schema.iter() {
            if let Kind::Name(what) = Kind::of(field.name())
                && what != LINE
                && is_string(field.data_type())
            {
                kinds.push(what);
                names.push(Expr::Column(Column::new(relation.cloned(), field.name())));
            }
        }
        if names.is_empty() {
            return Ok(plan);
        }
        let replace = ScalarUDF::from(NamesInText {
            pseudonyms: Arc::clone(self),
            kinds,
            signature: Signature::any(names.len() + 1, Volatility::Immutable),
        });
        let exprs = schema.iter().map(|(relation, field)| {
            let column = Expr::Column(Column::new(relation.cloned(), field.name()));
            if Kind::of(field.name()) != Kind::Text || !is_text(field.data_type()) {
                return column;
            }
            let args = std::iter::once(column).chain(names.iter().cloned()).collect();
            replace.call(args).alias_qualified(relation.cloned(), field.name())
        });
        Ok(LogicalPlan::Projection(Projection::try_new(exprs.collect(), Arc::new(plan))?))
    }

    /// A text with pseudonyms for these names, wherever they stand as words.
    fn without_names(&self, text: &str, names: &[(&str, &'static str)]) -> Option<String> {
        let mut out = String::new();
        let mut from = 0;
        while from < text.len() {
            let word_end = |at: usize| text[at..].find(|c: char| !is_of_word(c)).map_or(text.len(), |length| at + length);
            // The longest one that begins here.
            let found = names.iter().filter(|(name, _)| text[from..].starts_with(name)).max_by_key(|(name, _)| name.len());
            let found = found.filter(|(name, _)| text[from + name.len()..].chars().next().is_none_or(|c| !is_of_word(c)));
            let next = match found {
                Some((name, what)) => {
                    out += &self.name(name, what);
                    from + name.len()
                }
                None => {
                    let end = word_end(from);
                    let end = if end > from { end } else { from + text[from..].chars().next().map_or(1, char::len_utf8) };
                    out += &text[from..end];
                    end
                }
            };
            from = next;
        }
        (out != text).then_some(out)
    }

    /// What an error says, without what was logged.
    pub(super) fn in_error(&self, text: &str) -> String {
        static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new("'[^']*'|\"[^\"]*\"").expect("written here, and tested"));
        self.found(&QUOTED.replace_all(text, "'…'"))
    }

    /// The rows of a plan, with pseudonyms.
    pub(super) fn hide(self: &Arc<Self>, plan: &LogicalPlan, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let kinds = kinds(plan);
        let schema = rows.schema();
        let (shape, pseudonyms) = (Arc::clone(&schema), Arc::clone(self));
        let rows = rows.map(move |batch| {
            let batch = batch?;
            // What is not known is text of any kind.
            let kind = |at: usize| kinds.get(at).copied().unwrap_or(Kind::Text);
            let columns = batch.columns().iter().enumerate().map(|(at, column)| pseudonyms.array(column, kind(at)));
            let columns = columns.collect::<DfResult<Vec<_>>>()?;
            RecordBatch::try_new_with_options(
                Arc::clone(&shape),
                columns,
                &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
            )
            .map_err(DataFusionError::from)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    fn array(&self, array: &ArrayRef, kind: Kind) -> DfResult<ArrayRef> {
        if kind == Kind::Open {
            return Ok(Arc::clone(array));
        }
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => self.texts(array, kind)?,
            DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                self.texts(array, kind)?
            }
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                let values = self.array(list.values(), kind)?;
                Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?)
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().map(|column| self.array(column, kind));
                let columns = columns.collect::<DfResult<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, array.nulls().cloned())?)
            }
            DataType::Map(field, sorted) => {
                let map = array.as_map();
                let (keys, values) = (Arc::clone(map.keys()), self.array(map.values(), kind)?);
                let DataType::Struct(fields) = field.data_type() else { return Ok(Arc::clone(array)) };
                let entries = StructArray::try_new(fields.clone(), vec![keys, values], map.entries().nulls().cloned())?;
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted)?)
            }
            // Other nestings of text are rare enough to be left out whole.
            other if other.is_nested() => arrow::array::new_null_array(other, array.len()),
            _ => Arc::clone(array),
        })
    }

    fn texts(&self, array: &ArrayRef, kind: Kind) -> DfResult<ArrayRef> {
        let texts = cast(array, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        let mut known: HashMap<&str, String> = HashMap::new();
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for text in texts {
            out.append_option(text.map(|text| known.entry(text).or_insert_with(|| self.text(text, kind)).as_str()));
        }
        let hidden: ArrayRef = Arc::new(out.finish());
        Ok(cast(&hidden, array.data_type())?)
    }

    /// One value.
    fn text(&self, text: &str, kind: Kind) -> String {
        match kind {
            Kind::Open => text.to_owned(),
            _ if text.is_empty() => String::new(),
            Kind::Address => self.address(text).unwrap_or_else(|| match self.found(text) {
                hidden if hidden != text => hidden,
                // A part of one, perhaps.
                _ => self.name(text, "ip"),
            }),
            Kind::Name(what) => self.address(text).unwrap_or_else(|| self.name(text, what)),
            Kind::Text => self.found(text),
        }
    }

    /// An address or a network that is all of a text.
    fn address(&self, text: &str) -> Option<String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(self.addresses.encrypt_ipaddr(ip.to_canonical()).to_string());
        }
        let network = text.parse::<ipnet::IpNet>().ok()?;
        let hidden = self.addresses.encrypt_ipaddr(network.network());
        Some(ipnet::IpNet::new(hidden, network.prefix_len()).ok()?.trunc().to_string())
    }

    fn name(&self, text: &str, what: &str) -> String {
        let hash = blake3::keyed_hash(&self.names, text.as_bytes());
        format!("{what}-{}", &hash.to_hex().as_str()[..10])
    }

    /// A text with pseudonyms for what looks like an address.
    fn found(&self, text: &str) -> String {
        static LOOKS: LazyLock<Regex> = LazyLock::new(|| {
            let parts = [
                r"(?P<mail>[\w.+%-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
                r"(?P<mac>\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b)",
                r"(?P<ip>\b(?:\d{1,3}\.){3}\d{1,3}\b|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)",
            ];
            Regex::new(&parts.join("|")).expect("written here, and tested")
        });
        let hidden = LOOKS.replace_all(text, |found: &Captures<'_>| {
            let all = &found[0];
            match ["mail", "mac"].into_iter().find(|name| found.name(name).is_some()) {
                Some(what) => self.name(all, what),
                // A clock has colons too, a version has dots, and `::` is in the names of programs.
                None => {
                    let ends = all.trim_end_matches('.');
                    let is_ip =
                        ends.parse::<IpAddr>().is_ok() && (ends.len() > 7 || ends.bytes().any(|byte| byte.is_ascii_digit()));
                    let hidden = if is_ip { self.address(ends) } else { None };
                    hidden.map_or_else(|| all.to_owned(), |hidden| hidden + &all[ends.len()..])
                }
            }
        });
        hidden.into_owned()
    }
}

fn is_string(of: &DataType) -> bool {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_string(values),
        _ => false,
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Is it FROM and WHERE of a query, where a row is a record, or one of each table?
fn is_from(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Join(_) => {
            plan.inputs().iter().all(|input| is_from(input))
        }
        _ => false,
    }
}

/// `text` with pseudonyms for what stands in the other arguments.
#[derive(Debug)]
struct NamesInText {
    pseudonyms: Arc<Pseudonyms>,
    /// Of which kind the names in each of the other arguments are.
    kinds: Vec<&'static str>,
    signature: Signature,
}

impl PartialEq for NamesInText {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pseudonyms, &other.pseudonyms) && self.kinds == other.kinds
    }
}

impl Eq for NamesInText {}

impl Hash for NamesInText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kinds.hash(state);
    }
}

/// Its name, by which it is known again in plans.
const NAMES_IN_TEXT: &str = "pseudonyms_in_text";

impl ScalarUDFImpl for NamesInText {
    fn name(&self) -> &str {
        NAMES_IN_TEXT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let columns = arrays[1..].iter().map(|names| cast(names, &DataType::Utf8View)).collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<&StringViewArray> = columns.iter().map(AsArray::as_string_view).collect();
        let names_of = |row: usize| {
            let mut names: Vec<(&str, &'static str)> = vec![];
            for (column, what) in columns.iter().zip(&self.kinds) {
                if column.is_null(row) {
                    continue;
                }
                let name = column.value(row);
                // Of a host, people write the first part alone.
                let first = name
                    .split('.')
                    .next()
                    .filter(|first| *what == "host" && first.bytes().any(|byte| byte.is_ascii_alphabetic()));
                let all = std::iter::once(name).chain(first);
                names.extend(
                    all.filter(|name| name.len() >= SHORTEST && name.parse::<IpAddr>().is_err()).map(|name| (name, *what)),
                );
            }
            names
        };
        Ok(ColumnarValue::Array(self.replaced(&arrays[0], &names_of)?))
    }
}

impl NamesInText {
    fn replaced<'a>(&self, array: &ArrayRef, names_of: &dyn Fn(usize) -> Vec<(&'a str, &'static str)>) -> DfResult<ArrayRef> {
        if let DataType::Map(field, sorted) = array.data_type() {
            let map = array.as_map();
            let DataType::Struct(fields) = field.data_type() else { return Ok(Arc::clone(array)) };
            // Which record each value is of.
            let offsets = map.offsets();
            let first = usize::try_from(offsets[0]).unwrap_or(0);
            let mut rows = vec![0; map.values().len()];
            for row in 0..map.len() {
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                rows[from..to].fill(row);
            }
            let of_value = |value: usize| if value < first { vec![] } else { names_of(rows[value]) };
            let values = self.replaced(map.values(), &of_value)?;
            let entries =
                StructArray::try_new(fields.clone(), vec![Arc::clone(map.keys()), values], map.entries().nulls().cloned())?;
            let nulls = map.nulls().cloned();
            return Ok(Arc::new(MapArray::try_new(Arc::clone(field), offsets.clone(), entries, nulls, *sorted)?));
        }
        let texts = cast(array, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else {
                out.append_null();
                continue;
            };
            let names = names_of(row);
            let hidden = if names.is_empty() { None } else { self.pseudonyms.without_names(text, &names) };
            out.append_value(hidden.as_deref().unwrap_or(text));
        }
        let hidden: ArrayRef = Arc::new(out.finish());
        Ok(cast(&hidden, array.data_type())?)
    }
}

/// What each column of a plan's result is made of.
fn kinds(plan: &LogicalPlan) -> Vec<Kind> {
    let schema = plan.schema();
    let inputs = plan.inputs();
    let of_exprs = |exprs: &mut dyn Iterator<Item = &Expr>, input: &LogicalPlan| {
        let below = kinds(input);
        exprs.map(|expr| kind_of(expr, input.schema(), &below)).collect::<Vec<_>>()
    };
    match plan {
        LogicalPlan::TableScan(scan) => scan.projected_schema.fields().iter().map(|field| Kind::of(field.name())).collect(),
        LogicalPlan::Projection(projection) => of_exprs(&mut projection.expr.iter(), &projection.input),
        LogicalPlan::Aggregate(aggregate) => {
            let mut exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            let kinds = of_exprs(&mut exprs, &aggregate.input);
            // Grouping sets have columns of their own.
            if kinds.len() == schema.fields().len() { kinds } else { all_of(&inputs, schema) }
        }
        LogicalPlan::Window(window) => {
            let below = kinds(&window.input);
            let mut all = below.clone();
            all.extend(window.window_expr.iter().map(|expr| kind_of(expr, window.input.schema(), &below)));
            all
        }
        LogicalPlan::Join(join) => {
            let both: Vec<Kind> = [kinds(&join.left), kinds(&join.right)].concat();
            let (left, right) = (join.left.schema().fields().len(), join.right.schema().fields().len());
            match schema.fields().len() {
                all if all == left + right => both,
                all if all == left && join.join_type.to_string().starts_with("Left") => both[..left].to_vec(),
                all if all == right => both[left..].to_vec(),
                _ => all_of(&inputs, schema),
            }
        }
        LogicalPlan::Union(_) => {
            let below: Vec<Vec<Kind>> = inputs.iter().map(|input| kinds(input)).collect();
            let of = |at: usize| below.iter().filter_map(|kinds| kinds.get(at)).fold(Kind::Open, |kind, other| kind.and(*other));
            (0..schema.fields().len()).map(of).collect()
        }
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => vec![Kind::Open; schema.fields().len()],
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Repartition(_)
            if inputs.len() == 1 && inputs[0].schema().fields().len() == schema.fields().len() =>
        {
            kinds(inputs[0])
        }
        // Explanations name columns, and literals of the query.
        LogicalPlan::Explain(_) | LogicalPlan::DescribeTable(_) => vec![Kind::Open; schema.fields().len()],
        _ => all_of(&inputs, schema),
    }
}

/// Where it is not known which column comes from which: each may be made of all.
fn all_of(inputs: &[&LogicalPlan], schema: &DFSchema) -> Vec<Kind> {
    let all = inputs.iter().flat_map(|input| kinds(input)).fold(Kind::Open, Kind::and);
    vec![if inputs.is_empty() { Kind::Text } else { all }; schema.fields().len()]
}

fn kind_of(expr: &Expr, schema: &DFSchema, below: &[Kind]) -> Kind {
    if let Expr::Alias(alias) = expr
        && matches!(&*alias.expr, Expr::ScalarFunction(call) if call.func.name() == NAMES_IN_TEXT)
    {
        return Kind::Text;
    }
    let of = |column: &Column| schema.index_of_column(column).ok().and_then(|at| below.get(at)).copied();
    let mut kind = Kind::Open;
    for column in expr.column_refs() {
        kind = kind.and(of(column).unwrap_or(Kind::Text));
    }
    // Columns of subqueries are not among those of the expression.
    let has_subquery = expr.exists(|expr| {
        Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)))
    });
    if has_subquery.unwrap_or(true) { kind.and(Kind::Name("value")) } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pseudonyms(key: &str) -> Pseudonyms {
        Pseudonyms::new(&PseudonymKey::of_text(key))
    }

    #[test]
    fn pseudonyms_are_stable_and_networks_stay_networks() {
        let (a, again, other) = (pseudonyms("a"), pseudonyms("a"), pseudonyms("b"));
        let hide = |text: &str| a.text(text, Kind::Address);
        assert_eq!(hide("192.0.2.7"), again.text("192.0.2.7", Kind::Address));
        assert_ne!(hide("192.0.2.7"), other.text("192.0.2.7", Kind::Address));
        let network = |text: &str| text.rsplit_once('.').map(|(network, _)| network.to_owned());
        assert_eq!(network(&hide("192.0.2.7")), network(&hide("192.0.2.8")));
        assert_ne!(hide("192.0.2.7"), hide("192.0.2.8"));
        assert_eq!(hide("::ffff:192.0.2.7"), hide("192.0.2.7"));
        let net: ipnet::IpNet = hide("192.0.2.0/24").parse().expect("a network");
        assert!(net.contains(&hide("192.0.2.7").parse::<IpAddr>().expect("an address")));
        assert!(a.text("alice", Kind::Name("user")).starts_with("user-"));
        assert_eq!(a.text("192", Kind::Address).split_once('-').map(|(what, _)| what.to_owned()), Some("ip".to_owned()));
    }

    #[test]
    fn what_looks_like_an_address_is_found_in_text() {
        let a = pseudonyms("a");
        let text =
            "at 10:20:30 tokio::net v1.2.3.400: from 192.0.2.7:443 to [2001:db8::1] by x@example.com of 52:54:00:12:34:56.";
        let hidden = a.text(text, Kind::Text);
        assert!(hidden.starts_with("at 10:20:30 tokio::net v1.2.3.400: from ") && hidden.contains(":443 to ["), "{hidden}");
        for secret in ["192.0.2.7", "2001:db8::1", "example.com", "52:54"] {
            assert!(!hidden.contains(secret), "{hidden}");
        }
        assert!(hidden.contains("by mail-") && hidden.contains("of mac-"), "{hidden}");
    }

    #[test]
    fn names_of_the_record_are_found_in_its_texts_as_words() {
        let a = pseudonyms("a");
        let names = [("root", "user"), ("web1.example.org", "host"), ("web1", "host"), ("jürgen", "user")];
        let hidden = a.without_names("web1 sshd: root@web1.example.org, not rooted; root; (jürgen) jürgens x_root", &names);
        let hidden = hidden.expect("something was hidden");
        assert!(hidden.ends_with(" jürgens x_root") && hidden.contains(", not rooted; user-"), "{hidden}");
        assert_eq!((hidden.matches("host-").count(), hidden.matches("user-").count()), (2, 3), "{hidden}");
        assert_eq!(a.without_names("nobody", &names), None);
        let said = a.in_error("cannot cast 'alice' of 192.0.2.7");
        assert!(said.starts_with("cannot cast '…' of ") && !said.contains("192.0.2.7"), "{said}");
    }

    #[test]
    fn a_kept_key_is_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state/key");
        let key = PseudonymKey::kept(&path).expect("made");
        assert_eq!(PseudonymKey::kept(&path).expect("read"), key);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    proptest! {
        #[test]
        fn no_address_stays(a in any::<u32>(), b in any::<u128>(), text in ".{0,30}") {
            let pseudonyms = pseudonyms("a");
            let (four, six) = (IpAddr::from(a.to_be_bytes()), IpAddr::from(b.to_be_bytes()));
            let hidden = pseudonyms.text(&format!("{four} and {six} end"), Kind::Text);
            let (four, six) = (format!("{four} "), format!("{six} "));
            prop_assert!(!hidden.contains(&four) || pseudonyms.address(four.trim()).as_deref() == Some(four.trim()));
            prop_assert!(!hidden.contains(&six));
            let _ = pseudonyms.text(&text, Kind::Text);
        }
    }
}
