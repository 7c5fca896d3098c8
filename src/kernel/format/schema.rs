//! A JSON Schema of definition files, for editors that complete, explain and check TOML by one.
//!
//! `definition.rs` is what counts; a test compares the fields of both, and holds all built-in definitions against this.

use serde_json::{Map, Value, json};

use super::check::TYPES;
use crate::decode::time::Layout;
use crate::table::{UNPARSED, tables};

/// A field: its name, its schema, and what it is.
type Field = (&'static str, Value, &'static str);

/// The schema.
pub fn schema() -> Value {
    let tables: Vec<&str> = tables().iter().map(|table| table.name).filter(|table| *table != UNPARSED).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "logsql format definition",
        "description": "One format family: how its lines look, what their values mean, and samples that prove it.",
        "definitions": {
            "table": { "type": "string", "enum": tables },
            "text": { "type": "string" },
            "texts": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
            "map": { "type": "object", "additionalProperties": { "type": "string" } },
            "captures": { "type": "object", "additionalProperties": reference("capture") },
            "paths": { "type": "object", "additionalProperties": reference("texts") },
            "has": {
                "anyOf": [
                    { "type": "boolean" },
                    reference("texts"),
                    object(&["type"], vec![("type", names(&["text", "number", "boolean", "object", "array"]), "type of the value")]),
                ],
            },
            "records": object(&[], records()),
            "delimited": object(&[], delimited()),
            "carries": object(&["capture"], carries()),
            "capture": object(&[], capture()),
            "pattern": object(&["name"], pattern()),
            "sample": object(&["line"], sample()),
        },
        "allOf": [object(&["name", "table", "title", "url", "pattern"], family())],
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn names(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": reference(of) })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn object(required: &[&str], fields: Vec<Field>) -> Value {
    let property = |(name, mut schema, about): Field| {
        // Beside a reference draft 7 hears nothing.
        if schema.get("$ref").is_some() {
            schema = json!({ "allOf": [schema] });
        }
        schema["description"] = about.into();
        (name.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.into_iter().map(property).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn family() -> Vec<Field> {
    vec![
        ("name", reference("text"), "name of the family, as in --input-format"),
        ("table", reference("table"), "table that its patterns feed unless they name another"),
        ("title", reference("text"), "what it is, in one line"),
        ("url", reference("text"), "the daemon's own documentation of the layout"),
        ("extends", reference("text"), "family whose fragments, captures and records hold here, too"),
        ("backtrack", names(&["each", "together"]), "together: patterns that begin alike share an ambiguous part"),
        ("records", reference("records"), "how lines make records"),
        ("delimited", reference("delimited"), "how values in columns are told apart, for patterns that go by `columns`"),
        ("carries", reference("carries"), "which capture holds a whole record of another family"),
        ("define", reference("map"), "fragments that patterns name as {name}, or captured as {name:capture}"),
        ("tag", reference("captures"), "types of fragments: what {name:capture} captures"),
        ("patterns", reference("map"), "patterns that Grok expressions name as %{NAME}"),
        ("capture", reference("captures"), "what captures mean, for all patterns"),
        ("files", list("text"), "where such logs are on this machine: paths, with wildcards"),
        ("pattern", list("pattern"), "the layouts; the first that takes a record wins"),
        ("sample", list("sample"), "lines, and what they are worth; one at least"),
    ]
}

fn records() -> Vec<Field> {
    vec![
        ("start", reference("text"), "regular expression of what the first line of a record begins with"),
        ("comment", reference("text"), "regular expression of what a line begins with that tells of no event"),
        ("day", reference("text"), "what a comment begins with that tells the day of the lines behind it"),
    ]
}

fn delimited() -> Vec<Field> {
    let count = json!({ "type": "integer", "minimum": 0 });
    vec![
        ("separator", reference("text"), "byte between two values"),
        ("header", reference("text"), "what a line begins with that has the names of the columns behind it"),
        ("titles", reference("text"), "what a line begins with that is nothing but the names of the columns"),
        ("names", list("text"), "the columns in their order, where no line names them"),
        ("optional", count, "the last so many of these may be missing"),
    ]
}

fn carries() -> Vec<Field> {
    vec![
        ("capture", reference("text"), "capture with the inner record"),
        ("lines", flag(), "what it holds can be a line of any family"),
        ("like", reference("text"), "envelope whose records may be in this one as well, such as syslog"),
    ]
}

fn pattern() -> Vec<Field> {
    vec![
        ("name", reference("text"), "its name; what _format says"),
        ("regex", reference("text"), "the layout as a regular expression with named captures, for the whole record"),
        ("grok", reference("text"), "or as a Grok expression"),
        ("log_format", reference("text"), "or as the text of nginx's log_format"),
        ("apache", reference("text"), "or as the text of Apache's LogFormat"),
        ("error_log_format", reference("text"), "or as the text of Apache's ErrorLogFormat"),
        ("log_line_prefix", reference("text"), "or as the text of PostgreSQL's log_line_prefix"),
        ("json", reference("paths"), "or: the record is a JSON object, and these are the paths of its captures"),
        ("logfmt", reference("paths"), "or logfmt, with the keys of its captures"),
        ("pairs", reference("paths"), "or the pairs that firewalls send"),
        ("cef", reference("paths"), "or CEF, by the keys of its extension and the names of its head"),
        ("leef", reference("paths"), "or LEEF"),
        ("xml", reference("paths"), "or one XML element, by the names inside of it"),
        ("columns", reference("paths"), "or values in columns, by the names of those"),
        (
            "has",
            json!({ "type": "object", "additionalProperties": reference("has") }),
            "for layouts by names: what a record has to have, by capture or path",
        ),
        ("table", reference("table"), "table that it feeds, where that is not the family's"),
        ("within", reference("text"), "family whose inner record it reads, such as syslog"),
        ("requires", reference("paths"), "values that the envelope's captures must have; `postfix/*` for all that begin so"),
        ("capture", reference("captures"), "what captures mean, where that is not what the family says"),
        ("constant", reference("map"), "columns with a fixed value; fields.NAME for a key of the map"),
        ("concat", reference("paths"), "captures that are put together of others: url = \"{scheme}://{vhost}{path}\""),
        ("catch_all", flag(), "it takes nearly anything, and never decides what a file is"),
    ]
}

fn capture() -> Vec<Field> {
    let layouts: Vec<&str> = Layout::NAMES.iter().map(|(name, _)| *name).collect();
    let layouts = json!({ "anyOf": [names(&layouts), { "type": "array", "items": names(&layouts) }] });
    vec![
        ("type", names(TYPES), "type of the value; text where nothing is said"),
        ("column", reference("text"), "column, where it is not named like the capture; fields.NAME for a key of the map"),
        ("layout", layouts, "layout of a time, or several; the first that fits counts"),
        ("unit", names(&["s", "ms", "us", "ns"]), "unit of a duration"),
        ("unescape", names(&["apache", "nginx", "json", "csv"]), "how text was escaped"),
        ("url_decode", flag(), "the text is a part of a URL: %20 is a blank"),
        ("take", names(&["first", "last"]), "which item of a list counts"),
        ("map", reference("map"), "texts that mean another one"),
        ("other", reference("text"), "what all texts mean that are not in map; the empty text for nothing"),
        ("null", list("text"), "texts that mean nothing, beside `-` and the empty one"),
        ("lower", flag(), "texts are lower-cased"),
        ("chomp", flag(), "line ends behind a text are no part of it"),
        ("trim", flag(), "blanks and line ends around a text are no part of it"),
    ]
}

fn sample() -> Vec<Field> {
    let scalar = json!({ "type": ["string", "number"] });
    vec![
        ("line", reference("text"), "the record"),
        ("pattern", reference("text"), "pattern that has to take it; without it, none of the family may"),
        ("expect", json!({ "type": "object", "additionalProperties": scalar }), "values of some of its columns"),
        ("null", list("text"), "columns that have to be NULL"),
        ("reference", reference("text"), "time of the file, for stamps without a year; RFC 3339"),
        ("zone", reference("text"), "zone of stamps without one; UTC where nothing is said"),
        ("source", reference("text"), "where the line comes from: for people"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::DeserializeOwned;

    use super::super::definition::{CaptureDef, CarriesDef, DelimitedDef, FormatDef, PatternDef, RecordsDef, SampleDef};
    use super::*;

    /// The fields that serde knows of a type: it lists them where it is given another one.
    fn known<T: DeserializeOwned>() -> BTreeSet<String> {
        let Err(error) = toml::from_str::<T>("zzz = 1") else { panic!("it takes any field") };
        let text = error.message().to_owned();
        let (_, listed) = text.split_once("expected").expect("a list of the fields");
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_fields_of_the_definition() {
        let named = |fields: Vec<Field>| fields.into_iter().map(|(name, ..)| name.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(named(family()), known::<FormatDef>());
        assert_eq!(named(records()), known::<RecordsDef>());
        assert_eq!(named(delimited()), known::<DelimitedDef>());
        assert_eq!(named(carries()), known::<CarriesDef>());
        assert_eq!(named(pattern()), known::<PatternDef>());
        assert_eq!(named(capture()), known::<CaptureDef>());
        assert_eq!(named(sample()), known::<SampleDef>());
    }

    /// What is wrong with a value, as far as this schema uses JSON Schema.
    fn check(root: &Value, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
        for (keyword, says) in schema.as_object().expect("a schema is an object") {
            let is_right = match keyword.as_str() {
                "$schema" | "title" | "description" | "definitions" | "properties" | "minimum" => true,
                "$ref" => {
                    let name = says.as_str().and_then(|name| name.strip_prefix('#')).expect("a place in the schema");
                    check(root, root.pointer(name).expect(name), value, place, wrong);
                    true
                }
                "allOf" => {
                    says.as_array().expect("a list").iter().for_each(|schema| check(root, schema, value, place, wrong));
                    true
                }
                "anyOf" => says.as_array().expect("a list").iter().any(|schema| {
                    let mut own = vec![];
                    check(root, schema, value, place, &mut own);
                    own.is_empty()
                }),
                "type" => {
                    let is = |kind: &Value| match kind.as_str().expect("a type") {
                        "string" => value.is_string(),
                        "number" => value.is_number(),
                        "integer" => value.is_u64() || value.is_i64(),
                        "boolean" => value.is_boolean(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        other => panic!("the type {other}"),
                    };
                    says.as_array().map_or_else(|| is(says), |kinds| kinds.iter().any(is))
                }
                "enum" => says.as_array().expect("a list").contains(value),
                "required" => says.as_array().expect("a list").iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        check(root, says, item, &format!("{place}[{index}]"), wrong);
                    }
                    true
                }
                "additionalProperties" => {
                    let own = schema.get("properties").and_then(Value::as_object);
                    for (name, item) in value.as_object().into_iter().flatten() {
                        let place = format!("{place}.{name}");
                        match (own.and_then(|own| own.get(name)), says) {
                            (Some(schema), _) => check(root, schema, item, &place, wrong),
                            (None, Value::Bool(false)) => wrong.push(format!("{place} is not known")),
                            (None, schema) => check(root, schema, item, &place, wrong),
                        }
                    }
                    true
                }
                other => panic!("the keyword {other} is not looked at"),
            };
            if !is_right {
                wrong.push(format!("{place}: {keyword}: {says}"));
            }
        }
    }

    fn wrong(text: &str) -> Vec<String> {
        let root = schema();
        let value: Value = toml::from_str(text).expect("TOML");
        let mut wrong = vec![];
        check(&root, &root, &value, "", &mut wrong);
        wrong
    }

    #[test]
    fn all_built_in_definitions_are_of_the_schema() {
        for (file, text) in super::super::builtin_definitions() {
            assert_eq!(wrong(text), [""; 0], "{file}");
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let good = "name = 'x'\ntable = 'app_log'\ntitle = 'x'\nurl = 'x'\n[[pattern]]\nname = 'x'\nregex = 'x'\n";
        assert_eq!(wrong(good), [""; 0]);
        assert!(wrong(&good.replace("regex", "rogex")).contains(&".pattern[0].rogex is not known".to_owned()));
        assert_eq!(wrong(&good.replace("app_log", "applog")).len(), 1);
        assert_eq!(wrong(&good.replace("title = 'x'", "")).len(), 1);
        assert_eq!(wrong(&format!("{good}capture = {{ x = {{ type = 'tme' }} }}")).len(), 1);
    }
}
