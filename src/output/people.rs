//! Numbers for people, and the line under a result.

use std::time::Duration;

use super::Written;
use crate::function::bytes_human;

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many new lines nobody could read: `3 new lines fit no format`.
pub fn new_unparsed(lines: u64) -> String {
    if lines == 1 { "1 new line fits no format".to_owned() } else { format!("{} new lines fit no format", count(lines)) }
}

/// Bytes: `1.0 GB`.
pub fn bytes(number: u64) -> String {
    bytes_human(number as f64)
}

/// The line under a result: `3 rows (2 shown) · 1.0 GB in 0.21 s (4.8 GB/s)`.
pub fn footer(written: Written, bytes_read: u64, took: Duration) -> String {
    let rows = if written.rows == 1 { "1 row".to_owned() } else { format!("{} rows", count(written.rows)) };
    let shown = if written.shown < written.rows { format!(" ({} shown)", count(written.shown)) } else { String::new() };
    let seconds = took.as_secs_f64();
    let rate = bytes_read as f64 / seconds.max(1e-6);
    let read = if bytes_read == 0 {
        format!(" · {seconds:.2} s")
    } else {
        format!(" · {} in {seconds:.2} s ({}/s)", bytes(bytes_read), bytes(rate as u64))
    };
    format!("{rows}{shown}{read}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!(
            (bytes(12), bytes(1500), bytes(999_999), bytes(1 << 30)),
            ("12 B".into(), "1.5 kB".into(), "1.0 MB".into(), "1.1 GB".into())
        );
    }

    #[test]
    fn the_footer_tells_rows_bytes_and_rate() {
        let written = |rows, shown| Written { rows, shown };
        let took = Duration::from_millis(210);
        assert_eq!(footer(written(1, 1), 0, took), "1 row · 0.21 s");
        assert_eq!(footer(written(3000, 40), 1_000_000_000, took), "3,000 rows (40 shown) · 1.0 GB in 0.21 s (4.8 GB/s)");
    }
}
