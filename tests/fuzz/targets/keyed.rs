//! Any bytes as JSON: the reader and serde_json agree on what is an object, and on the values of some paths. The fields of what
//! is read are read without a panic, and so is any logfmt.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use logsql_fuzz::traces_agree;
use logsql_kernel::scan::{Keyed, Matcher, PatternSet, Scratch, Span, Syntax, Ways};

/// Keys that are short, so that they come up; in the order of their slots.
const PATHS: [&str; 6] = ["a", "a.a.a", "a.b", "b", "b.0", "c"];

fn keyed(syntax: Syntax) -> Matcher {
    let captures = PATHS.map(|path| (path.to_owned(), vec![path.to_owned()]));
    let keyed = Keyed::try_new(syntax, &BTreeMap::from(captures), &BTreeMap::new());
    Matcher::Keyed(keyed.expect("no path stands twice").into())
}

static JSON: LazyLock<Matcher> = LazyLock::new(|| keyed(Syntax::Json));
static SET: LazyLock<PatternSet> = LazyLock::new(|| PatternSet::new([&*JSON, &keyed(Syntax::Logfmt)], Ways::Each));

fuzz_target!(|data: &[u8]| {
    let mut scratch = Scratch::default();
    traces_agree(&SET, data, &mut scratch);
    let mut slots = [Span::NONE; PATHS.len() + 1];
    let found = JSON.find(data, &mut slots, &mut scratch);
    let expected = serde_json::from_slice::<serde_json::Value>(data);
    match &expected {
        Ok(value) => assert_eq!(found.is_ok(), value.is_object(), "{}", data.escape_ascii()),
        // Sizes of numbers, halves of pairs and UTF-8 are not the reader's to judge.
        Err(error) if ["range", "surrogate", "unicode", "hex"].iter().any(|what| error.to_string().contains(what)) => {}
        Err(error) => assert!(found.is_err(), "{error}: {}", data.escape_ascii()),
    }
    if let (Ok(()), Ok(value)) = (found, &expected) {
        // Without a dot in it, a path is one key.
        for (path, span) in PATHS.iter().zip(&slots[1..]).filter(|(path, _)| !path.contains('.')) {
            let expected = value.get(path).filter(|value| !value.is_null());
            assert_eq!(span.of(data).is_some(), expected.is_some(), "{path} of {}", data.escape_ascii());
        }
    }
    if found.is_ok() {
        for field in JSON.as_keyed().expect("it goes by keys").rest(data, None) {
            assert!(field.path.len() <= data.len() && field.value.len() <= data.len());
        }
    }
});
