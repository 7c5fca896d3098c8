//! Any bytes as a time, in every layout: what is read is a day of the calendar and a time of day.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logsql_kernel::decode::time::Layout;

fuzz_target!(|text: &[u8]| {
    for (name, layout) in Layout::NAMES {
        let Some(stamp) = layout.parse(text) else { continue };
        let shown = || format!("{name}: {stamp:?} of `{}`", text.escape_ascii());
        // Without a year, 29 February may be a day.
        let year = i16::try_from(stamp.year.unwrap_or(2000)).expect("a year of four digits");
        let day = jiff::civil::Date::new(year, stamp.month.cast_signed(), stamp.day.cast_signed());
        // The day of a clock alone is told by other lines.
        assert!(day.is_ok() != layout.lacks_day(), "{}", shown());
        assert!((0..86_400_000_000).contains(&stamp.clock_us), "{}", shown());
        assert!(stamp.offset.is_none_or(|offset| offset.abs() < 86_400), "{}", shown());
        // Digits in two groups at most: a letter is no part of a number.
        let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',');
        assert!(*layout != Layout::Epoch || text.iter().all(is_number), "{}", shown());
        assert!(stamp.year.is_some() || layout.may_lack_year(), "{}", shown());
        assert!(stamp.offset.is_some() || layout.may_lack_zone() || *layout == Layout::Clf, "{}", shown());
    }
});
