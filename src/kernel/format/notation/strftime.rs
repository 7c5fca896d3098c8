//! Times as `strftime` writes them: what they look like, and which of our layouts that is.

/// A time layout that is put together from directives and text.
#[derive(Clone, Debug, Default)]
pub(super) struct Directives {
    regex: String,
    /// The same in one spelling, which tells the layout.
    plain: String,
    /// How one moment is written: 2026-11-21T00:55:04.123+00:00, a Saturday.
    example: String,
    /// A directive that none of our layouts has.
    is_odd: bool,
}

/// The moment that examples are of.
pub(super) const MOMENT: &str = "2026-11-21T00:55:04Z";

/// Text of each layout in plain spelling; `#` stands for a fraction, `@` for a zone.
const LAYOUTS: &[(&str, &str)] = &[
    ("d/b/Y:H:M:S", "clf"),
    ("d/b/Y H:M:S", "clf"),
    ("Y-m-d H:M:S", "rfc3339"),
    ("Y-m-dTH:M:S", "rfc3339"),
    ("Y/m/d H:M:S", "slash"),
    ("Y.m.d H:M:S", "slash"),
    ("y/m/d H:M:S", "slash"),
    ("a b d H:M:S Y", "asctime"),
    ("b d H:M:S Y", "asctime"),
    ("d-b-Y H:M:S", "bind"),
    ("b d H:M:S", "syslog"),
    ("b d Y H:M:S", "syslog"),
    ("Ymd H:M:S", "compact"),
    ("ymd H:M:S", "compact"),
    ("YmdTH:M:S", "compact"),
    ("d b Y H:M:S", "day_month"),
    ("d b H:M:S", "day_month"),
    ("d-m-Y H:M:S", "day_first"),
    ("d/m/Y H:M:S", "day_first"),
    ("d.m.Y H:M:S", "day_first"),
    ("d/m/y-H:M:S", "day_first"),
    ("d/m-H:M:S", "day_first"),
    ("m/d/Y H:M:S", "month_first"),
    ("m-d-Y H:M:S", "month_first"),
    ("m/d/Y-H:M:S", "month_first"),
    ("b-d-y H:M:S", "month_first"),
];

impl Directives {
    /// The directives of a `strftime` text; `None` for one that nobody knows.
    pub(super) fn text(&mut self, format: &str) -> Result<(), char> {
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => {
                    // Flags and widths: `%-d`, `%_H`, `%03N`.
                    let mut code = chars.next().unwrap_or('%');
                    while matches!(code, '-' | '_' | '^' | '0'..='9' | 'E' | 'O') {
                        code = chars.next().unwrap_or('%');
                    }
                    self.directive(code)?;
                }
                c => self.literal(&c.to_string()),
            }
        }
        Ok(())
    }

    pub(super) fn literal(&mut self, text: &str) {
        self.regex += &regex_syntax::escape(text);
        self.plain += text;
        self.example += text;
    }

    fn part(&mut self, regex: &str, plain: &str, example: &str) {
        self.regex += regex;
        self.plain += plain;
        self.example += example;
    }

    fn directive(&mut self, code: char) -> Result<(), char> {
        match code {
            'd' => self.part(r"\d\d?", "d", "21"),
            'e' => self.part(r"[ \d]?\d", "d", "21"),
            'm' => self.part(r"\d\d?", "m", "11"),
            'Y' => self.part(r"\d{4}", "Y", "2026"),
            'y' => self.part(r"\d\d", "y", "26"),
            'b' | 'h' => self.part(r"[^ \d/:\-\[\]]+", "b", "Nov"),
            'B' => {
                self.is_odd = true;
                self.part(r"[^ \d/:\-\[\]]+", "B", "November");
            }
            'a' => self.part(r"[^ \d/:\-\[\]]+", "a", "Sat"),
            'A' => {
                self.is_odd = true;
                self.part(r"[^ \d/:\-\[\]]+", "A", "Saturday");
            }
            'H' | 'k' => self.part(r"[ \d]?\d", "H", "00"),
            'M' => self.part(r"\d\d", "M", "55"),
            'S' => self.part(r"\d\d", "S", "04"),
            'z' => self.part(r"(?:[+-]\d\d:?\d\d|Z)", "@", "+0000"),
            'Z' => self.part(r"[A-Za-z0-9+\-]+", "@", "UTC"),
            's' => self.part(r"\d+", "s", "1795222504"),
            'f' | 'L' | 'N' => self.part(r"\d+", "#", "000"),
            'F' => return self.text("%Y-%m-%d"),
            'T' => return self.text("%H:%M:%S"),
            'R' => return self.text("%H:%M"),
            'D' => return self.text("%m/%d/%y"),
            'c' => return self.text("%a %b %e %H:%M:%S %Y"),
            'n' | 't' => self.literal(" "),
            '%' => self.literal("%"),
            'I' | 'l' | 'p' | 'P' | 'r' | 'j' | 'u' | 'w' | 'U' | 'W' | 'V' | 'G' | 'g' | 'C' | 'x' | 'X' => {
                self.is_odd = true;
                self.part(".*?", "?", "1");
            }
            other => return Err(other),
        }
        Ok(())
    }

    /// A fraction of a second with so many digits.
    pub(super) fn fraction(&mut self, digits: usize) {
        self.part(&format!(r"\d{{{digits}}}"), "#", &"0".repeat(digits));
    }

    /// Seconds since 1970, and how many digits more.
    pub(super) fn epoch(&mut self, more: usize) {
        self.part(r"\d+", "s", &format!("1795222504{}", "0".repeat(more)));
    }

    /// What stands behind it.
    pub(super) fn append(&mut self, other: &Self) {
        self.part(&other.regex, &other.plain, &other.example);
        self.is_odd |= other.is_odd;
    }

    pub(super) fn regex(&self) -> &str {
        &self.regex
    }

    pub(super) fn example(&self) -> &str {
        &self.example
    }

    /// The layout of ours that reads such times.
    pub(super) fn layout(&self) -> Option<&'static str> {
        let plain = self.plain.replace(".#", "").replace(",#", "");
        let plain = plain.trim_end_matches('@').trim_end_matches(' ');
        let plain = plain.strip_suffix('Z').unwrap_or(plain);
        if self.is_odd {
            return None;
        }
        if plain == "s" {
            return Some("epoch");
        }
        LAYOUTS.iter().find(|(known, _)| *known == plain).map(|(_, layout)| *layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::time::Layout;

    #[test]
    fn what_is_said_to_be_a_layout_is_read_by_it() {
        for (format, layout) in [
            ("%d/%b/%Y:%H:%M:%S %z", Some("clf")),
            ("%d/%b/%Y %T", Some("clf")),
            ("%FT%T%z", Some("rfc3339")),
            ("%Y-%m-%d %H:%M:%S", Some("rfc3339")),
            ("%Y-%m-%dT%H:%M:%S.%f%z", Some("rfc3339")),
            ("%Y-%m-%d %H:%M:%S,%L", Some("rfc3339")),
            ("%c", Some("asctime")),
            ("%b %e %T", Some("syslog")),
            ("%s", Some("epoch")),
            ("%d-%b-%Y %T", Some("bind")),
            ("%Y%m%d %T", Some("compact")),
            ("%d.%m.%Y %T", Some("day_first")),
            ("%m/%d/%Y %T", Some("month_first")),
            ("%I:%M %p", None),
            ("%A %T", None),
        ] {
            let mut directives = Directives::default();
            directives.text(format).unwrap();
            assert_eq!(directives.layout(), layout, "{format}");
            let example = directives.example();
            let regex = regex::Regex::new(&format!("^(?:{})$", directives.regex())).unwrap();
            assert!(regex.is_match(example), "{format}: {example}");
            if let Some(layout) = layout.and_then(Layout::named) {
                let stamp = layout.parse(example.as_bytes()).unwrap_or_else(|| panic!("{format}: {example}"));
                assert_eq!((stamp.month, stamp.day, stamp.clock_us / 1_000_000), (11, 21, 55 * 60 + 4), "{format}");
            }
        }
        assert_eq!(Directives::default().text("%Q"), Err('Q'));
    }
}
