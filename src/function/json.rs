//! Values out of JSON that stands in a text.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use serde_json::Value;

use super::{Args, Function, Kind, Last, arg, texts};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "json_get",
    args: &[arg("json", Kind::Text), arg("path", Kind::Text)],
    about: "value at a path of a JSON text, as text: `$.a[0].b` or `a.0.b`; NULL where there is none",
    example: "json_get('{\"a\":[{\"b\":17}]}', '$.a[0].b') → 17",
    returns: || DataType::Utf8View,
    run: json_get,
}];

/// The keys of a path from the outside inwards.
fn keys(path: &str) -> Option<Vec<String>> {
    let mut keys = vec![];
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (key, behind) = match inside.chars().next()? {
                quote @ ('\'' | '"') => {
                    let (key, behind) = inside[1..].split_once(quote)?;
                    (key, behind.strip_prefix(']')?)
                }
                _ => inside.split_once(']')?,
            };
            keys.push(key.to_owned());
            rest = behind;
            continue;
        }
        let plain = rest.strip_prefix('.').unwrap_or(rest);
        let end = plain.find(['.', '[']).unwrap_or(plain.len());
        if end == 0 {
            return None;
        }
        keys.push(plain[..end].to_owned());
        rest = &plain[end..];
    }
    Some(keys)
}

fn value_at(json: &str, keys: &[String]) -> Option<String> {
    let root: Value = serde_json::from_str(json).ok()?;
    let found = keys.iter().try_fold(&root, |value, key| match value {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })?;
    match found {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn json_get(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut paths: Last<'_, Option<Vec<String>>> = Last::new();
    let mut found = Vec::with_capacity(args.rows());
    for (json, path) in args.text(0).iter().zip(args.text(1)) {
        let Some(path) = path else {
            found.push(None);
            continue;
        };
        let read = |path: &str| match keys(path) {
            Some(keys) => Ok(Some(keys)),
            None => args.bad(1, format!("`{path}` is no path; write '$.a[0].b' or 'a.0.b'")),
        };
        let keys = paths.get(path, read)?;
        found.push(json.zip(keys.as_ref()).and_then(|(json, keys)| value_at(json, keys)));
    }
    texts(found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_path() {
        let json = r#"{"a":[{"b":17,"c.d":"x","e":null,"f":{"g":true}}]}"#;
        for (path, expected) in [
            ("$.a[0].b", Some("17")),
            ("a.0.b", Some("17")),
            ("$['a'][0]['c.d']", Some("x")),
            ("a[0].f", Some(r#"{"g":true}"#)),
            ("$.a[0].e", None),
            ("a.1", None),
            ("a.b", None),
            ("a.0.b.c", None),
        ] {
            assert_eq!(value_at(json, &keys(path).expect(path)).as_deref(), expected, "{path}");
        }
        assert_eq!(value_at(json, &keys("$").unwrap()).as_deref(), Some(json));
        assert_eq!(value_at("no json", &[]), None);
        for bad in ["a..b", "a[0", "a['b]", "."] {
            assert_eq!(keys(bad), None, "{bad}");
        }
    }
}
