//! Any text as a definition: it is refused with a place inside of the text, or it compiles, and then its patterns find in
//! its samples what the regex crate finds. Adding it does not panic either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logsql_fuzz::{CATALOG, matcher_agrees};
use logsql_kernel::scan::Scratch;

fuzz_target!(|text: &str| {
    match CATALOG.test("fuzz.toml", text) {
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&error.line) && error.column >= 1, "{error} of {lines} lines");
        }
        Ok((format, _)) => {
            let mut scratch = Scratch::default();
            for pattern in format
                .patterns()
                .iter()
                .filter(|pattern| pattern.matcher.as_regex().is_none_or(|regex| regex.check_regex().is_ok()))
            {
                for sample in format.samples() {
                    matcher_agrees(&pattern.matcher, sample.line.as_bytes(), &mut scratch);
                }
            }
        }
    }
    let mut catalog = CATALOG.clone();
    let known = catalog.formats().len();
    if catalog.add("fuzz.toml", text).is_err() {
        assert_eq!(catalog.formats().len(), known, "a refused definition is not added");
    }
});
