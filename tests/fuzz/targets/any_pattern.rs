//! Any regular expression: the first line is the pattern, the rest the record. What compiles and is lowered finds what
//! the regex crate finds, and so do traces of its lines; what does not is refused without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logsql_fuzz::{matcher_agrees, set_agrees, traces_agree};
use logsql_kernel::scan::{Matcher, PatternSet, Scratch, Ways};

fuzz_target!(|data: &[u8]| {
    let Some(feed) = data.iter().position(|&byte| byte == b'\n') else { return };
    let (pattern, record) = (&data[..feed], &data[feed + 1..]);
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    let Ok(matcher) = Matcher::try_new(pattern) else { return };
    // A definition with a pattern that the regex crate cannot build is refused when it is added.
    if matcher.as_regex().is_none_or(|regex| regex.check_regex().is_err()) {
        return;
    }
    let mut scratch = Scratch::default();
    matcher_agrees(&matcher, record, &mut scratch);
    for ways in [Ways::Each, Ways::Together] {
        let set = PatternSet::new([&matcher, &matcher], ways);
        set_agrees(&set, record, &mut scratch);
        traces_agree(&set, record, &mut scratch);
    }
});
