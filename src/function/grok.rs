//! Grok: fields of a text by named patterns.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::array::{ArrayRef, MapBuilder, MapFieldNames, StringBuilder};
use datafusion::common::Result as DfResult;

use super::{Args, Function, Kind, arg};
use crate::kernel::format::GrokSearch;
use crate::kernel::table::ColumnType;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "grok",
    args: &[arg("text", Kind::Text), arg("pattern", Kind::Text)],
    about: "fields of a text by a Grok expression, as a map; NULL where it does not match",
    example: "grok('from 192.0.2.7 in 15 ms', '%{IP:ip} in %{INT:ms} ms')['ms'] → 15",
    returns: || ColumnType::Map.data_type(),
    run: grok,
}];

/// Expressions that are kept: those of a query, and of a few before it.
const KEPT: usize = 32;

type Compiled = Result<Arc<GrokSearch>, String>;

/// The expression, compiled when it is first seen: a batch is thousands of rows, and compiling costs as much.
fn compiled(expression: &str) -> Compiled {
    static KNOWN: LazyLock<Mutex<Vec<(String, Compiled)>>> = LazyLock::new(Mutex::default);
    let find = |known: &[(String, Compiled)]| known.iter().find(|(text, _)| text == expression).map(|(_, search)| search.clone());
    if let Some(search) = find(&KNOWN.lock().unwrap_or_else(PoisonError::into_inner)) {
        return search;
    }
    let search = GrokSearch::try_new(expression).map(Arc::new).map_err(|error| match error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message,
    });
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= KEPT {
        drop(known.remove(0));
    }
    known.push((expression.to_owned(), search.clone()));
    search
}

fn grok(args: &Args<'_>) -> DfResult<ArrayRef> {
    let names = MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut out = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    let mut last: Option<(&str, Option<Arc<GrokSearch>>)> = None;
    for (text, pattern) in args.text(0).iter().zip(args.text(1)) {
        let (Some(text), Some(pattern)) = (text, pattern) else {
            out.append(false)?;
            continue;
        };
        if last.as_ref().is_none_or(|(seen, _)| *seen != pattern) {
            let search = match compiled(pattern) {
                Ok(search) => Some(search),
                Err(message) => args.bad(1, message)?,
            };
            last = Some((pattern, search));
        }
        let fields = last.as_ref().and_then(|(_, search)| search.as_ref()).and_then(|search| search.find(text));
        for (name, value) in fields.iter().flatten() {
            out.keys().append_value(name);
            out.values().append_value(value);
        }
        out.append(fields.is_some())?;
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_compiled_once() {
        let one = compiled("%{INT:n}").unwrap();
        assert!(Arc::ptr_eq(&one, &compiled("%{INT:n}").unwrap()));
        assert_eq!(one.find("a 17 b"), Some(vec![("n", "17")]));
        assert_eq!(compiled("%{IINT:n}").unwrap_err(), "there is no pattern `IINT`; did you mean `%{INT}`?");
    }
}
