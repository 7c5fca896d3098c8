//! Reads the time layouts of logs. A closed list, each by hand: a line's time is the most read field there is.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `10/Oct/2000:13:55:36 -0700`, `10/Oct/2000 13:55:36.123`
    Clf,
    /// `2026/11/21 00:55:04`, `26/11/21 00:55:04`, `2026.11.21 00:55:04.123`
    Slash,
    /// `Sat Nov 21 00:55:04.123456 2026`, maybe with a zone in front of the year
    Asctime,
    /// `21-Nov-2026 00:55:04.123`, maybe with a zone
    Bind,
    /// `2026-11-21T00:55:04.123+01:00`, `2026-11-21 00:55:04 CET`, `2026-11-21  0:55:04`
    Rfc3339,
    /// The same in UTC where no zone is written, by the document of the format
    Rfc3339Utc,
    /// `Nov 21 00:55:04`, with or without a year, maybe with a zone
    Syslog,
    /// `1700000000.123`
    Epoch,
    /// `20261121 00:55:04.123`, `261121  0:55:04`, and without a year `1121 00:55:04.123`
    Compact,
    /// `21 Nov 2026 00:55:04.123`, with or without a year
    DayMonth,
    /// `Nov 21, 2026 12:55:04 AM`
    TwelveHour,
    /// `21-11-2026 00:55:04 +0300`, `21/11/26-00:55:04`, `21/11-00:55:04`, `21.11 00:55:04`
    DayFirst,
    /// `11/21/2026-00:55:04.123`, `Nov-21-26 00:55:04`, `11/21-00:55:04`, `11.21 00:55:04`, `11/21/2026, 0:55:04`
    MonthFirst,
    /// The same, always with a year
    MonthFirstYear,
    /// `@400000006a1f0a18075bcd15`, as multilog writes it
    Tai64n,
    /// `00:55:04.123` alone; another line says on which day
    Clock,
    /// The same in UTC
    ClockUtc,
}

/// A time as it was written: what of it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The year, where one was written.
    pub year: Option<i32>,
    /// 1 to 12; 0 where no day was written.
    pub month: u8,
    /// 1 to 31; 0 where none was written.
    pub day: u8,
    /// Microseconds since midnight, below a day.
    pub clock_us: i64,
    /// Offset from UTC in seconds, where one was written.
    pub offset: Option<i32>,
}

impl Layout {
    /// The layouts and their names in definitions.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("clf", Self::Clf),
        ("slash", Self::Slash),
        ("asctime", Self::Asctime),
        ("bind", Self::Bind),
        ("rfc3339", Self::Rfc3339),
        ("rfc3339_utc", Self::Rfc3339Utc),
        ("syslog", Self::Syslog),
        ("epoch", Self::Epoch),
        ("compact", Self::Compact),
        ("day_month", Self::DayMonth),
        ("twelve_hour", Self::TwelveHour),
        ("day_first", Self::DayFirst),
        ("month_first", Self::MonthFirst),
        ("month_first_year", Self::MonthFirstYear),
        ("tai64n", Self::Tai64n),
        ("clock", Self::Clock),
        ("clock_utc", Self::ClockUtc),
    ];

    /// The layout of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, layout)| *layout)
    }

    /// May stamps of this layout lack the year?
    pub fn may_lack_year(self) -> bool {
        matches!(self, Self::Syslog | Self::Compact | Self::DayMonth | Self::DayFirst | Self::MonthFirst) || self.lacks_day()
    }

    /// Is the day told by other lines?
    pub fn lacks_day(self) -> bool {
        matches!(self, Self::Clock | Self::ClockUtc)
    }

    /// May stamps of this layout lack the zone?
    pub fn may_lack_zone(self) -> bool {
        !matches!(self, Self::Clf | Self::Epoch | Self::Rfc3339Utc | Self::Tai64n | Self::ClockUtc)
    }

    /// Reads a time. `None` if it is not of this layout or no such day exists.
    pub fn parse(self, text: &[u8]) -> Option<Stamp> {
        let mut at = Cursor { text, at: 0 };
        let stamp = match self {
            Self::Clf => {
                let day = at.digits(2)?;
                at.expect(b'/')?;
                let month = at.month()?;
                at.expect(b'/')?;
                let year = at.digits(4)?;
                // Apache's own documentation has an example with a blank here.
                at.one_of(b": ")?;
                let clock_us = at.clock()?;
                let offset = if at.is_done() { None } else { at.expect(b' ').and_then(|()| at.offset()) };
                Stamp { year: Some(year as i32), month, day: day as u8, clock_us, offset }
            }
            Self::Slash => {
                let year = if matches!(text.get(2), Some(b'/' | b'.')) { at.short_year()? } else { at.digits(4)? };
                let separator = at.peek().filter(|byte| matches!(byte, b'/' | b'.'))?;
                at.expect(separator)?;
                // DansGuardian pads nothing.
                let month = at.day()?;
                at.expect(separator)?;
                let day = at.day()?;
                at.expect(b' ')?;
                let clock_us = at.padded_clock()?;
                let offset = if at.is_done() { None } else { at.expect(b' ').and_then(|()| at.zone())? };
                Stamp { year: Some(year as i32), month, day, clock_us, offset }
            }
            Self::Asctime => {
                at.weekday();
                let month = at.month()?;
                at.blanks()?;
                let day = at.day()?;
                at.blanks()?;
                let clock_us = at.clock()?;
                at.blanks()?;
                // `date` puts its zone in front of the year.
                let offset = if at.peek()?.is_ascii_digit() { None } else { at.zone_before_blank()? };
                let year = at.digits(4)?;
                Stamp { year: Some(year as i32), month, day, clock_us, offset }
            }
            Self::Bind => {
                let day = at.digits(2)?;
                at.expect(b'-')?;
                let month = at.month()?;
                at.expect(b'-')?;
                let year = at.digits(4)?;
                at.expect(b' ')?;
                let clock_us = at.clock()?;
                let offset = if at.is_done() { None } else { at.expect(b' ').and_then(|()| at.zone())? };
                Stamp { year: Some(year as i32), month, day: day as u8, clock_us, offset }
            }
            Self::Rfc3339 => {
                let year = at.digits(4)?;
                at.expect(b'-')?;
                let month = at.digits(2)?;
                at.expect(b'-')?;
                let day = at.digits(2)?;
                at.one_of(b"Tt \t")?;
                // FortiGate's clock is a pair of its own.
                if at.peek() == Some(b't') && text[at.at..].starts_with(b"time=") {
                    at.at += 5;
                }
                // MariaDB pads the hour with a blank, apt writes two blanks.
                let clock_us = if at.skip(b' ') { at.padded_clock()? } else { at.clock()? };
                let offset = if at.is_done() {
                    None
                } else if at.skip(b' ') {
                    at.zone()?
                } else {
                    Some(at.offset()?)
                };
                Stamp { year: Some(year as i32), month: month as u8, day: day as u8, clock_us, offset }
            }
            Self::Syslog => {
                let month = at.month()?;
                at.blanks()?;
                let day = at.day()?;
                at.blanks()?;
                // Cisco and others put a year in front of the clock, some behind it.
                let mut year = at.year_before_clock();
                let clock_us = at.clock()?;
                let mut offset = None;
                if at.peek() == Some(b' ') {
                    at.blanks()?;
                    match at.peek()? {
                        b'0'..=b'9' if year.is_none() => year = Some(at.digits(4)? as i32),
                        _ => offset = at.zone()?,
                    }
                }
                Stamp { year, month, day, clock_us, offset }
            }
            Self::Epoch => return epoch(text),
            Self::Compact => {
                let year = match text.iter().position(|byte| !byte.is_ascii_digit())? {
                    8 => Some(at.digits(4)? as i32),
                    6 => Some(at.short_year()? as i32),
                    _ => None,
                };
                let month = at.digits(2)?;
                let day = at.digits(2)?;
                at.one_of(b" T:")?;
                while at.skip(b' ') {}
                let clock_us = match text[at.at..].iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len() - at.at) {
                    6 => at.bare_clock()?,
                    _ => at.padded_clock()?,
                };
                Stamp { year, month: month as u8, day: day as u8, clock_us, offset: None }
            }
            Self::DayMonth => {
                let day = at.day()?;
                at.blanks()?;
                let month = at.month()?;
                at.blanks()?;
                let year = at.year_before_clock();
                let clock_us = at.clock()?;
                Stamp { year, month, day, clock_us, offset: None }
            }
            Self::TwelveHour => {
                let month = at.month()?;
                at.blanks()?;
                let day = at.day()?;
                at.expect(b',')?;
                at.blanks()?;
                let year = at.digits(4)?;
                at.skip(b',');
                at.blanks()?;
                if !text.ends_with(b"M") {
                    return None;
                }
                let clock_us = at.padded_clock()?;
                Stamp { year: Some(year as i32), month, day, clock_us, offset: None }
            }
            Self::DayFirst | Self::MonthFirst => {
                let mut part = || {
                    let part = u32::from(if at.peek()?.is_ascii_digit() { at.day()? } else { at.month()? });
                    let separator = at.peek()?;
                    at.one_of(b"/-. ")?;
                    Some((part, separator))
                };
                let (first, separator) = part()?;
                let (second, other) = part()?;
                let (day, month) = if self == Self::DayFirst { (first, second) } else { (second, first) };
                let mut year = None;
                if other == separator {
                    let is_long = text.get(at.at + 2).is_some_and(u8::is_ascii_digit);
                    year = Some(if is_long { at.digits(4)? } else { at.short_year()? } as i32);
                    at.one_of(b" -T,")?;
                    if text[at.at - 1] == b',' {
                        at.expect(b' ')?;
                    }
                }
                let clock_us = at.padded_clock()?;
                let offset = if at.is_done() { None } else { at.expect(b' ').and_then(|()| at.zone())? };
                Stamp { year, month: month as u8, day: day as u8, clock_us, offset }
            }
            Self::MonthFirstYear => return Self::MonthFirst.parse(text).filter(|stamp| stamp.year.is_some()),
            Self::Rfc3339Utc => {
                return Self::Rfc3339.parse(text).map(|stamp| Stamp { offset: stamp.offset.or(Some(0)), ..stamp });
            }
            Self::Tai64n => return tai64n(text),
            Self::Clock | Self::ClockUtc => {
                let clock_us = at.padded_clock()?;
                let offset = (self == Self::ClockUtc).then_some(0);
                return at.is_done().then_some(Stamp { year: None, month: 0, day: 0, clock_us, offset });
            }
        };
        if !at.is_done() || stamp.month == 0 || stamp.month > 12 || stamp.day == 0 {
            return None;
        }
        // Without a year, 29 February may be a day.
        (stamp.day <= days_in_month(stamp.year.unwrap_or(2000), stamp.month)).then_some(stamp)
    }
}

/// Seconds with an optional fraction; longer numbers are milli-, micro- or nanoseconds.
fn epoch(text: &[u8]) -> Option<Stamp> {
    let (whole, fraction) = match text.iter().position(|&b| b == b'.' || b == b',') {
        // Only seconds have a fraction, and it is not empty.
        Some(at) if at + 1 == text.len() || at > 11 => return None,
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &text[..0]),
    };
    let number = integer(whole)?;
    let micros = match whole.len() {
        0 => return None,
        1..=11 => {
            let mut micros = i64::try_from(number).ok()?.checked_mul(SECOND)?;
            let mut unit = SECOND / 10;
            for &byte in fraction {
                micros += i64::from(byte.is_ascii_digit().then(|| byte - b'0')?) * unit;
                unit /= 10;
            }
            micros
        }
        12..=14 => i64::try_from(number).ok()?.checked_mul(1000)?,
        15..=17 => i64::try_from(number).ok()?,
        _ => i64::try_from(number / 1000).ok()?,
    };
    let (year, month, day) = civil_of_days(micros.div_euclid(DAY))?;
    Some(Stamp { year: Some(year), month, day, clock_us: micros.rem_euclid(DAY), offset: Some(0) })
}

/// A label of the external TAI64N format. As everybody does it, ten seconds are taken away and no leap seconds.
fn tai64n(text: &[u8]) -> Option<Stamp> {
    let digits = std::str::from_utf8(text.strip_prefix(b"@")?).ok()?;
    if digits.len() != 24 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let seconds = u64::from_str_radix(&digits[..16], 16).ok()?.checked_sub((1 << 62) + 10)?;
    let nanos = i64::from_str_radix(&digits[16..], 16).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let micros = i64::try_from(seconds).ok()?.checked_mul(SECOND)?.checked_add(nanos / 1000)?;
    let (year, month, day) = civil_of_days(micros.div_euclid(DAY))?;
    Some(Stamp { year: Some(year), month, day, clock_us: micros.rem_euclid(DAY), offset: Some(0) })
}

/// Months as other locales write them, where that is not as in English.
const MONTHS: &[(&str, u8)] = &[
    ("janv", 1),
    ("jän", 1),
    ("ene", 1),
    ("gen", 1),
    ("févr", 2),
    ("fév", 2),
    ("fev", 2),
    ("mars", 3),
    ("mär", 3),
    ("märz", 3),
    ("mrz", 3),
    ("mrt", 3),
    ("avr", 4),
    ("abr", 4),
    ("april", 4),
    ("mai", 5),
    ("mei", 5),
    ("mag", 5),
    ("maj", 5),
    ("juin", 6),
    ("juni", 6),
    ("giu", 6),
    ("juil", 7),
    ("juli", 7),
    ("lug", 7),
    ("août", 8),
    ("ago", 8),
    ("sept", 9),
    ("set", 9),
    ("okt", 10),
    ("ott", 10),
    ("out", 10),
    ("déc", 12),
    ("dez", 12),
    ("dic", 12),
];

/// A number of decimal digits only, within `u64`.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// Abbreviations of zones that have one meaning, and their minutes from UTC. `CST`, `IST` and `BST` have several.
const ZONES: &[(&str, i32)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("Etc/UTC", 0),
    ("UCT", 0),
    ("WET", 0),
    ("WEST", 60),
    ("CET", 60),
    ("MET", 60),
    ("CEST", 120),
    ("MEST", 120),
    ("EET", 120),
    ("SAST", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("EST", -300),
    ("EDT", -240),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("JST", 540),
    ("KST", 540),
    ("AWST", 480),
    ("ACST", 570),
    ("ACDT", 630),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
];

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn skip(&mut self, byte: u8) -> bool {
        self.expect(byte).is_some()
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<()> {
        self.peek().filter(|byte| bytes.contains(byte)).map(|_| self.at += 1)
    }

    fn blanks(&mut self) -> Option<()> {
        self.expect(b' ')?;
        while self.skip(b' ') {}
        Some(())
    }

    #[inline]
    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + count)?;
        let mut number = 0;
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u32::from(digit);
        }
        self.at += count;
        Some(number)
    }

    /// A day of one or two digits.
    fn day(&mut self) -> Option<u8> {
        let first = self.digits(1)?;
        Some(match self.peek() {
            Some(byte @ b'0'..=b'9') => {
                self.at += 1;
                (first * 10) as u8 + (byte - b'0')
            }
            _ => first as u8,
        })
    }

    /// The last two digits of a year.
    fn short_year(&mut self) -> Option<u32> {
        let year = self.digits(2)?;
        Some(if year < 70 { 2000 + year } else { 1900 + year })
    }

    /// A four-digit year that stands where the clock could.
    fn year_before_clock(&mut self) -> Option<i32> {
        let start = self.at;
        let year = self.digits(4).filter(|_| self.peek() == Some(b' '));
        match year {
            Some(year) => {
                self.blanks()?;
                Some(year as i32)
            }
            None => {
                self.at = start;
                None
            }
        }
    }

    fn weekday(&mut self) {
        let known = self.text.first_chunk::<3>().is_some_and(|day| {
            let day = day.map(|b| b.to_ascii_lowercase());
            matches!(&day, b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun")
        });
        if known && self.text.get(3) == Some(&b' ') {
            self.at = 4;
            while self.skip(b' ') {}
        }
    }

    fn month(&mut self) -> Option<u8> {
        let name = self.text.get(self.at..)?.first_chunk::<3>()?.map(|byte| byte | 0x20);
        let month = match &name {
            b"jan" => 1,
            b"feb" => 2,
            b"mar" => 3,
            b"apr" => 4,
            b"may" => 5,
            b"jun" => 6,
            b"jul" => 7,
            b"aug" => 8,
            b"sep" => 9,
            b"oct" => 10,
            b"nov" => 11,
            b"dec" => 12,
            _ => 0,
        };
        self.at += 3;
        match self.peek() {
            Some(b' ' | b'/' | b'-' | b'.') if month != 0 => Some(month),
            _ => self.foreign_month(),
        }
    }

    /// A name of a month in another language, whose first three bytes are passed; a dot may end it.
    fn foreign_month(&mut self) -> Option<u8> {
        let start = self.at - 3;
        let word = self.text[start..].iter().position(|byte| matches!(byte, b' ' | b'/' | b'-' | b'.'))?;
        let name = std::str::from_utf8(&self.text[start..start + word]).ok()?.to_lowercase();
        let (_, month) = MONTHS.iter().find(|(known, _)| *known == name)?;
        self.at = start + word;
        self.skip(b'.');
        Some(*month)
    }

    /// `HH:MM:SS` with an optional fraction. A leap second, and the end of the day as 24:00:00, are the last microsecond
    /// of their minute.
    #[inline]
    fn clock(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        self.clock_behind(hour)
    }

    /// The same, where the hour may have one digit.
    fn padded_clock(&mut self) -> Option<i64> {
        let hour = u32::from(self.day()?);
        self.clock_behind(hour)
    }

    #[inline]
    fn clock_behind(&mut self, hour: u32) -> Option<i64> {
        self.expect(b':')?;
        let minute = self.digits(2)?;
        self.expect(b':')?;
        let second = self.digits(2)?;
        self.clock_of(hour, minute, second)
    }

    /// Six figures with nothing between them.
    fn bare_clock(&mut self) -> Option<i64> {
        let (hour, minute, second) = (self.digits(2)?, self.digits(2)?, self.digits(2)?);
        self.clock_of(hour, minute, second)
    }

    #[inline]
    fn clock_of(&mut self, hour: u32, minute: u32, second: u32) -> Option<i64> {
        let mut micros = 0;
        // Some Java programs put a colon in front of the milliseconds.
        let behind = &self.text[self.at..];
        let is_millis = matches!(behind, [b':', a, b, c, ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()));
        if matches!(self.peek(), Some(b'.' | b',')) || (is_millis && !behind.get(4).is_some_and(u8::is_ascii_digit)) {
            self.at += 1;
            let mut unit = SECOND / 10;
            let start = self.at;
            while let Some(byte @ b'0'..=b'9') = self.peek() {
                micros += i64::from(byte - b'0') * unit;
                unit /= 10;
                self.at += 1;
            }
            if self.at == start {
                return None;
            }
        }
        let whole = i64::from(hour * 3600 + minute * 60) * SECOND;
        let clock_us = match (hour, minute, second) {
            (0..=23, 0..=59, 0..=59) => whole + i64::from(second) * SECOND + micros,
            (0..=23, 0..=59, 60) => whole + 60 * SECOND - 1,
            (24, 0, 0) => DAY - 1,
            _ => return None,
        };
        match self.peek() {
            Some(b' ' | b'A' | b'P' | b'a' | b'p' | 0xE2) => self.in_half_of_day(clock_us),
            _ => Some(clock_us),
        }
    }

    /// A clock of twelve hours if `AM` or `PM` stands behind it.
    fn in_half_of_day(&mut self, clock_us: i64) -> Option<i64> {
        let rest = &self.text[self.at..];
        // Newer Javas put a narrow no-break space in front of it.
        let mark = rest.strip_prefix("\u{202f}".as_bytes()).or_else(|| rest.strip_prefix(b" ")).unwrap_or(rest);
        let [half @ (b'A' | b'P' | b'a' | b'p'), b'M' | b'm', behind @ ..] = mark else { return Some(clock_us) };
        if behind.first().is_some_and(u8::is_ascii_alphanumeric) {
            return Some(clock_us);
        }
        self.at = self.text.len() - behind.len();
        let noon = DAY / 2;
        if clock_us < noon / 12 || clock_us >= noon + noon / 12 {
            return None;
        }
        Some(clock_us % noon + if half.eq_ignore_ascii_case(&b'P') { noon } else { 0 })
    }

    /// The rest: an offset or the name of a zone. A name that means several zones, and one that is not known, are none:
    /// the zone of the source holds.
    fn zone(&mut self) -> Option<Option<i32>> {
        if !self.peek()?.is_ascii_alphabetic() {
            return self.offset().map(Some);
        }
        let name = &self.text[self.at..];
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte)) {
            return None;
        }
        self.at = self.text.len();
        Some(ZONES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, minutes)| minutes * 60))
    }

    /// The same with blanks behind it.
    fn zone_before_blank(&mut self) -> Option<Option<i32>> {
        let end = self.at + self.text[self.at..].iter().position(|&byte| byte == b' ')?;
        let zone = Cursor { text: &self.text[..end], at: self.at }.zone()?;
        self.at = end;
        self.blanks()?;
        Some(zone)
    }

    /// `Z`, `+0200`, `+02:00`, `+02`.
    fn offset(&mut self) -> Option<i32> {
        let sign = match self.peek()? {
            b'Z' | b'z' => {
                self.at += 1;
                return Some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.at += 1;
        let hours = self.digits(2)?;
        let colon = self.skip(b':');
        let minutes = if self.is_done() && !colon { 0 } else { self.digits(2)? };
        (hours <= 23 && minutes <= 59).then(|| sign * (hours * 3600 + minutes * 60) as i32)
    }
}

/// Is it a leap year?
pub(crate) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
#[inline]
pub(crate) fn days_of_civil(year: i32, month: u8, day: u8) -> i64 {
    // The year begins in March here, so that the leap day is its last.
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

pub(super) fn civil_of_days(days: i64) -> Option<(i32, u8, u8)> {
    let date = Date::new(1970, 1, 1).ok()?.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    Some((i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs()))
}

/// Microseconds from the epoch to a local time, as if it were UTC.
#[inline]
pub(crate) fn local_us(year: i32, stamp: &Stamp) -> i64 {
    days_of_civil(year, stamp.month, stamp.day) * DAY + stamp.clock_us
}

/// Turns local times of one zone into UTC.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    zone: TimeZone,
    /// The only offset of the zone, in microseconds.
    fixed: Option<i64>,
    /// The last day that was asked for, and its only offset.
    day: (i64, Option<i64>),
}

/// What a local time is in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// One point in time; also the one meant in a gap.
    Once(i64),
    /// Two, an hour or so apart: the clock was set back.
    Twice { first: i64, second: i64 },
}

impl Zone {
    pub(crate) fn new(zone: TimeZone) -> Self {
        let fixed =
            if zone == TimeZone::UTC { Some(0) } else { zone.to_fixed_offset().ok().map(|o| i64::from(o.seconds()) * SECOND) };
        Self { zone, fixed, day: (i64::MIN, None) }
    }

    /// Are there local times that happen twice?
    pub(crate) fn has_transitions(&self) -> bool {
        self.fixed.is_none()
    }

    /// The time in UTC of a local time in microseconds.
    #[inline]
    pub(crate) fn utc(&mut self, local: i64) -> Local {
        if let Some(offset) = self.fixed {
            return Local::Once(local - offset);
        }
        let day = local.div_euclid(DAY);
        if self.day.0 != day {
            self.day = (day, self.only_offset(day));
        }
        match self.day.1 {
            Some(offset) => Local::Once(local - offset),
            None => self.ask(local),
        }
    }

    /// The offset of a whole day, if it has but one.
    fn only_offset(&self, day: i64) -> Option<i64> {
        // A transition within the day shows in one of its ends, or in a local time that is missing or doubled.
        let mut offsets = (0..=24).map(|hour| {
            match civil(day * DAY + hour * 3600 * SECOND).map(|c| self.zone.to_ambiguous_timestamp(c).offset()) {
                Some(AmbiguousOffset::Unambiguous { offset }) => Some(i64::from(offset.seconds()) * SECOND),
                _ => None,
            }
        });
        let first = offsets.next()??;
        offsets.all(|offset| offset == Some(first)).then_some(first)
    }

    fn ask(&self, local: i64) -> Local {
        let shifted = |offset: jiff::tz::Offset| local - i64::from(offset.seconds()) * SECOND;
        match civil(local).map(|civil| self.zone.to_ambiguous_timestamp(civil).offset()) {
            Some(AmbiguousOffset::Unambiguous { offset }) => Local::Once(shifted(offset)),
            // RFC 5545: a time in a gap is read with the offset before it.
            Some(AmbiguousOffset::Gap { before, .. }) => Local::Once(shifted(before)),
            Some(AmbiguousOffset::Fold { before, after }) => Local::Twice { first: shifted(before), second: shifted(after) },
            None => Local::Once(local),
        }
    }
}

fn civil(local: i64) -> Option<DateTime> {
    let (year, month, day) = civil_of_days(local.div_euclid(DAY))?;
    let clock = local.rem_euclid(DAY);
    let seconds = clock / SECOND;
    let date = Date::new(i16::try_from(year).ok()?, month.cast_signed(), day.cast_signed()).ok()?;
    let time = Time::new((seconds / 3600) as i8, (seconds / 60 % 60) as i8, (seconds % 60) as i8, (clock % SECOND * 1000) as i32);
    Some(date.to_datetime(time.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn utc(layout: Layout, text: &str) -> Option<String> {
        let stamp = layout.parse(text.as_bytes())?;
        let local = local_us(stamp.year?, &stamp);
        let time = Timestamp::from_microsecond(local - i64::from(stamp.offset.unwrap_or(0)) * SECOND).ok()?;
        Some(time.to_string())
    }

    #[test]
    fn every_layout_is_read() {
        let cases = [
            (Layout::Clf, "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
            (Layout::Clf, "29/Feb/2024:23:59:60 +0530", "2024-02-29T18:29:59.999999Z"),
            (Layout::Slash, "2026/11/21 00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Asctime, "Sat Nov 21 00:55:04.123456 2026", "2026-11-21T00:55:04.123456Z"),
            (Layout::Asctime, "Sun Oct  9 05:03:16 2016", "2016-10-09T05:03:16Z"),
            (Layout::Bind, "21-Nov-2026 00:55:04.123", "2026-11-21T00:55:04.123Z"),
            (Layout::Rfc3339, "2026-11-21T00:55:04.123456789Z", "2026-11-21T00:55:04.123456Z"),
            (Layout::Rfc3339, "2026-11-21 00:55:04,5 +0200", "2026-11-20T22:55:04.5Z"),
            (Layout::Rfc3339, "2026-11-21T00:55:04-03:30", "2026-11-21T04:25:04Z"),
            (Layout::Rfc3339, "2026-11-21T24:00:00", "2026-11-21T23:59:59.999999Z"),
            (Layout::Rfc3339, "2026-11-21  00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Syslog, "Nov 21 2026 00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Syslog, "nov  1 00:55:04 2026", "2026-11-01T00:55:04Z"),
            (Layout::Epoch, "1700000000.25", "2023-11-14T22:13:20.25Z"),
            (Layout::Epoch, "1700000000123", "2023-11-14T22:13:20.123Z"),
            (Layout::Epoch, "1700000000123456", "2023-11-14T22:13:20.123456Z"),
            (Layout::Epoch, "1700000000123456789", "2023-11-14T22:13:20.123456Z"),
            (Layout::Slash, "26/11/21 00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Slash, "2026.1.2 0:55:04", "2026-01-02T00:55:04Z"),
            (Layout::Rfc3339, "2026-11-21 time=00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Slash, "2026.11.21 00:55:04.123456", "2026-11-21T00:55:04.123456Z"),
            (Layout::Bind, "21-Nov-2026 00:55:04 UTC", "2026-11-21T00:55:04Z"),
            (Layout::Bind, "21-Nov-2026 00:55:04 Europe/Berlin", "2026-11-21T00:55:04Z"),
            (Layout::Rfc3339, "2026-11-21 00:55:04.123 UTC", "2026-11-21T00:55:04.123Z"),
            (Layout::Rfc3339, "2026-11-21 00:55:04 PST", "2026-11-21T08:55:04Z"),
            (Layout::Rfc3339, "2026-11-21 00:55:04 CST", "2026-11-21T00:55:04Z"),
            (Layout::Rfc3339, "2026-11-21 00:55:04 -08", "2026-11-21T08:55:04Z"),
            (Layout::Rfc3339, "2026-11-21  0:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Rfc3339, "2026-11-21\t00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Compact, "20261121 00:55:04.123456", "2026-11-21T00:55:04.123456Z"),
            (Layout::Compact, "261121  0:55:04", "2026-11-21T00:55:04Z"),
            (Layout::Compact, "20261121:005504.123", "2026-11-21T00:55:04.123Z"),
            (Layout::Compact, "20261121T005504", "2026-11-21T00:55:04Z"),
            (Layout::Compact, "991121 10:55:04", "1999-11-21T10:55:04Z"),
            (Layout::DayMonth, "21 Nov 2026 00:55:04.123", "2026-11-21T00:55:04.123Z"),
            (Layout::DayMonth, "1 Nov 2026 00:55:04,123", "2026-11-01T00:55:04.123Z"),
            (Layout::TwelveHour, "Nov 21, 2026 12:55:04 AM", "2026-11-21T00:55:04Z"),
            (Layout::TwelveHour, "Nov 21, 2026, 1:55:04\u{202f}PM", "2026-11-21T13:55:04Z"),
            (Layout::TwelveHour, "Nov 21, 2026 12:55:04 PM", "2026-11-21T12:55:04Z"),
            (Layout::Asctime, "Sat Nov 21 00:55:04 CET 2026", "2026-11-20T23:55:04Z"),
            (Layout::Asctime, "Sat Nov 21 00:55:04 +0530 2026", "2026-11-20T19:25:04Z"),
            (Layout::DayFirst, "21-11-2026 00:55:04 +0300", "2026-11-20T21:55:04Z"),
            (Layout::DayFirst, "21/11/26-00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::DayFirst, "21.11.2026 00:55:04.5", "2026-11-21T00:55:04.5Z"),
            (Layout::MonthFirst, "11/21/2026-00:55:04.123456", "2026-11-21T00:55:04.123456Z"),
            (Layout::MonthFirst, "Nov-21-26 00:55:04", "2026-11-21T00:55:04Z"),
            (Layout::MonthFirst, "11/21/2026 1:55:04 PM", "2026-11-21T13:55:04Z"),
            (Layout::MonthFirst, "06/09/2014 04:08:22:515 PM UTC", "2014-06-09T16:08:22.515Z"),
            (Layout::Rfc3339, "2026-11-21 12:55:04 am", "2026-11-21T00:55:04Z"),
            (Layout::Rfc3339, "2026-11-21 19:46:43:259", "2026-11-21T19:46:43.259Z"),
            (Layout::Slash, "2015/05/24 07:48:22 -05:00", "2015-05-24T12:48:22Z"),
            (Layout::Slash, "2015/05/24 07:48:22PM", "2015-05-24T19:48:22Z"),
            (Layout::Tai64n, "@400000006a1f0a18075bcd15", "2026-06-02T16:51:26.123456Z"),
            (Layout::Syslog, "Nov 21 2026 00:55:04.5 CET", "2026-11-20T23:55:04.5Z"),
            (Layout::Syslog, "août 21 2026 00:55:04", "2026-08-21T00:55:04Z"),
            (Layout::Syslog, "Mär 21 2026 00:55:04", "2026-03-21T00:55:04Z"),
            (Layout::Syslog, "juil. 21 2026 00:55:04", "2026-07-21T00:55:04Z"),
        ];
        for (layout, text, expected) in cases {
            assert_eq!(utc(layout, text).as_deref(), Some(expected), "{layout:?} {text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let cases = [
            (Layout::Clf, "31/Feb/2024:00:00:00 +0000"),
            (Layout::Clf, "10/Xyz/2000:13:55:36 -0700"),
            (Layout::Clf, "10/Oct/2000:25:55:36 -0700"),
            (Layout::Clf, "10/Oct/2000:13:55:36 -0700 "),
            (Layout::Slash, "2026/13/21 00:55:04"),
            (Layout::Rfc3339, "2026-11-21T00:55:61Z"),
            (Layout::Rfc3339, "2026-11-21T00:55:04."),
            (Layout::Syslog, "Nov 21"),
            (Layout::Syslog, ""),
            (Layout::Epoch, "17.x"),
            (Layout::Slash, "2026/11.21 00:55:04"),
            (Layout::Slash, "2026-11-21 00:55:04"),
            (Layout::Rfc3339, "2026-11-21 00:55:04 a zone"),
            (Layout::Rfc3339, "2026-11-21 0:55:04"),
            (Layout::Compact, "2611 00:55:04"),
            (Layout::Compact, "261121"),
            (Layout::TwelveHour, "Nov 21, 2026 13:55:04 PM"),
            (Layout::MonthFirst, "11/21/2026 13:55:04 PM"),
            (Layout::Rfc3339, "2026-11-21 19:46:43:25"),
            (Layout::TwelveHour, "Nov 21, 2026 0:55:04 AM"),
            (Layout::TwelveHour, "Nov 21, 2026 1:55:04"),
            (Layout::Epoch, "1700000000."),
            (Layout::Epoch, "1700000000123.x"),
            (Layout::Epoch, "99999999999999999999"),
            (Layout::Asctime, "Sat Nov 21 00:55:04 CET"),
            (Layout::DayFirst, "11/21/2026 00:55:04"),
            (Layout::MonthFirst, "21/11/2026 00:55:04"),
            (Layout::DayFirst, "21-11/2026 00:55:04"),
            (Layout::Tai64n, "@400000006a1f0a18ffffffff"),
            (Layout::Tai64n, "400000006a1f0a18075bcd15"),
            (Layout::Tai64n, "@000000006a1f0a18075bcd15"),
            (Layout::Syslog, "jui 21 2026 00:55:04"),
        ];
        for (layout, text) in cases {
            assert_eq!(layout.parse(text.as_bytes()), None, "{layout:?} {text}");
        }
    }

    #[test]
    fn days_agree_with_jiff_for_four_centuries() {
        let mut date = Date::new(1800, 1, 1).expect("a date");
        for days in days_of_civil(1800, 1, 1)..days_of_civil(2200, 1, 1) {
            let (year, month, day) = (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs());
            assert_eq!(days_of_civil(year, month, day), days, "{date}");
            date = date.tomorrow().expect("a date");
        }
    }

    #[test]
    fn local_times_follow_rfc_5545_in_gaps_and_happen_twice_in_folds() {
        let mut zone = Zone::new(TimeZone::get("Europe/Berlin").expect("a zone"));
        let at = |text: &str| {
            let stamp = Layout::Rfc3339.parse(text.as_bytes()).expect("a time");
            local_us(stamp.year.expect("a year"), &stamp)
        };
        let shown = |us| Timestamp::from_microsecond(us).expect("in range").to_string();
        let Local::Once(gap) = zone.utc(at("2026-03-29T02:30:00")) else { panic!("a gap happens once") };
        assert_eq!(shown(gap), "2026-03-29T01:30:00Z");
        let Local::Twice { first, second } = zone.utc(at("2026-10-25T02:30:00")) else { panic!("a fold happens twice") };
        assert_eq!((shown(first), shown(second)), ("2026-10-25T00:30:00Z".to_owned(), "2026-10-25T01:30:00Z".to_owned()));
        let Local::Once(plain) = zone.utc(at("2026-10-25T12:00:00")) else { panic!("noon happens once") };
        assert_eq!(shown(plain), "2026-10-25T11:00:00Z");
    }
}
