//! A built-in pattern, or the patterns of a family as a set, on any record: the program finds what the regex crate finds,
//! and traces of its lines find what the program finds.
//! The first byte chooses, the rest is the record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logsql_fuzz::{PATTERNS, SETS, matcher_agrees, set_agrees, traces_agree};
use logsql_kernel::scan::Scratch;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, record)) = data.split_first() else { return };
    let mut scratch = Scratch::default();
    let choice = usize::from(choice) % (PATTERNS.len() + SETS.len());
    match PATTERNS.get(choice) {
        Some(pattern) => matcher_agrees(&pattern.matcher, record, &mut scratch),
        None => {
            let set = &SETS[choice - PATTERNS.len()];
            set_agrees(set, record, &mut scratch);
            traces_agree(set, record, &mut scratch);
        }
    }
});
