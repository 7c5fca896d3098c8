//! What captured bytes are worth: one function per type of the definition language.
//!
//! `None` means NULL. Nothing here fails: a value that is not of its type is NULL and its row stays.

use std::borrow::Cow;

use crate::format::{Address, Part, Take, TextRule, Unescape};
use crate::scan::{plain, undouble};

/// Is this how logs write that there is nothing?
#[inline]
pub(crate) fn is_null(text: &[u8]) -> bool {
    matches!(text, b"" | b"-")
}

/// A text by its rule.
pub(crate) fn text<'a>(rule: &TextRule, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let mut bytes = take(rule.take, bytes);
    if rule.chomp {
        bytes = chomp(bytes);
    }
    if rule.trim {
        bytes = bytes.trim_ascii();
    }
    if is_null(bytes) || rule.null.iter().any(|null| null == bytes) {
        return None;
    }
    if let Some(to) = rule.map.iter().find(|(from, _)| from == bytes).map(|(_, to)| to).or(rule.other.as_ref()) {
        return (!to.is_empty()).then(|| Cow::Owned(to.as_bytes().to_vec()));
    }
    let mut value = match rule.unescape {
        Unescape::No => Cow::Borrowed(bytes),
        Unescape::Backslash => unescape(bytes),
        Unescape::Json => plain(bytes),
    };
    if rule.url_decode && value.contains(&b'%') {
        value = Cow::Owned(percent_encoding::percent_decode(&value).collect());
    }
    if rule.doubled && memchr::memmem::find(bytes, b"\"\"").is_some() {
        value = Cow::Owned(undouble(bytes));
    }
    if rule.lower && value.iter().any(u8::is_ascii_uppercase) {
        value = Cow::Owned(value.to_ascii_lowercase());
    }
    Some(value)
}

/// The text without the line ends behind it.
pub(crate) fn chomp(mut bytes: &[u8]) -> &[u8] {
    while let [text @ .., b'\n' | b'\r'] = bytes {
        bytes = text;
    }
    bytes
}

/// The item of a list that counts. nginx lists upstreams as `a, b : c`.
pub(crate) fn take(which: Take, bytes: &[u8]) -> &[u8] {
    let separator = |window: &[u8]| window == b", " || window == b" :";
    match which {
        Take::All => bytes,
        Take::First => bytes.windows(2).position(separator).map_or(bytes, |at| &bytes[..at]),
        Take::Last => match bytes.windows(2).rposition(separator) {
            Some(at) => bytes[at + 2..].trim_ascii_start(),
            None => bytes,
        },
    }
}

/// Undoes `\"`, `\\`, `\n`, `\t`, `\xhh` and their like, as Apache and nginx write them.
pub(crate) fn unescape(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', bytes) else { return Cow::Borrowed(bytes) };
    let mut plain = bytes[..first].to_vec();
    let mut rest = &bytes[first..];
    while let [b'\\', escaped @ ..] = rest {
        let hex = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        rest = match escaped {
            [b'x', high, low, behind @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                plain.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                behind
            }
            [code, behind @ ..] => {
                match code {
                    b'n' => plain.push(b'\n'),
                    b't' => plain.push(b'\t'),
                    b'r' => plain.push(b'\r'),
                    b'b' => plain.push(8),
                    b'f' => plain.push(12),
                    b'v' => plain.push(11),
                    b'"' | b'\\' => plain.push(*code),
                    // Not an escape of theirs: both bytes are text.
                    other => plain.extend([b'\\', *other]),
                }
                behind
            }
            [] => {
                plain.push(b'\\');
                &[]
            }
        };
        let next = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        plain.extend_from_slice(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(plain)
}

/// A hardware address, however it is written, as `00:1a:2b:3c:4d:5e`.
pub(crate) fn mac(bytes: &[u8]) -> Option<String> {
    let is_between = |at: usize, byte: u8| match byte {
        b':' | b'-' => at % 3 == 2 && bytes.len() == 17,
        b'.' => at % 5 == 4 && bytes.len() == 14,
        _ => false,
    };
    let mut digits = Vec::with_capacity(12);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_between(at, byte) => {}
            _ if byte.is_ascii_hexdigit() => digits.push(byte.to_ascii_lowercase() as char),
            _ => return None,
        }
    }
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    (digits.len() == 12).then(|| pairs.join(":"))
}

/// Is it an address, IPv4 or IPv6 (with or without a zone)?
pub(crate) fn is_ip(text: &[u8]) -> bool {
    is_ipv4(text) || is_ipv6(text)
}

/// All bytes of a word are this one.
const fn all(byte: u8) -> u128 {
    u128::from_le_bytes([byte; 16])
}

/// Where the dots are differs from address to address, so this looks at all bytes at once and has no branch that depends on that.
fn is_ipv4(text: &[u8]) -> bool {
    let len = text.len();
    let word = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        // The two overlap, in the same bytes.
        (Some(first), Some(last)) if len <= 15 => {
            u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (8 * (len - 8))
        }
        (None, _) if len == 7 => {
            let mut bytes = [0; 16];
            bytes[..7].copy_from_slice(text);
            u128::from_le_bytes(bytes)
        }
        _ => return false,
    };
    // The top bit of each byte that is a dot, and of each one behind the end.
    let no_dot = word ^ all(b'.');
    let dots = !(((no_dot & all(0x7f)) + all(0x7f)) | no_dot) & all(0x80);
    let behind = all(0x80) << (8 * len);
    let digit = word ^ all(b'0');
    let no_digit = (digit | ((digit & all(0x0f)) + all(6))) & all(0xf0);
    // All bits of these are no part of a number.
    let skipped = dots | behind;
    let mut ends = skipped;
    let (mut start, mut is_number) = (0, no_digit & !(skipped << 1).wrapping_sub(skipped >> 7) == 0);
    for _ in 0..4 {
        let end = ends.trailing_zeros() / 8;
        let digits = end.wrapping_sub(start);
        // As texts of one length compare, so do their numbers.
        let number = ((word >> (8 * start)) as u32 & 0x00ff_ffff).swap_bytes() >> 8;
        is_number &= digits.wrapping_sub(1) < 3 && (digits != 3 || number <= 0x0032_3535);
        ends &= ends.wrapping_sub(1);
        start = (end + 1) & 15;
    }
    is_number && dots.count_ones() == 3
}

/// By the rules of the standard library, which a test holds beside it; it takes five times as long.
fn is_ipv6(text: &[u8]) -> bool {
    let mut rest = match memchr::memchr(b'%', text) {
        Some(at) => &text[..at],
        None => text,
    };
    let (mut groups, mut is_shortened) = (0, false);
    if let Some(behind) = rest.strip_prefix(b"::") {
        (rest, is_shortened) = (behind, true);
        if rest.is_empty() {
            return true;
        }
    }
    let fits = |groups: usize, is_shortened: bool| if is_shortened { groups < 8 } else { groups == 8 };
    loop {
        let digits = rest.iter().take(5).take_while(|byte| byte.is_ascii_hexdigit()).count();
        match rest.get(digits) {
            None => return (1..5).contains(&digits) && fits(groups + 1, is_shortened),
            Some(b':') if (1..5).contains(&digits) => {
                (groups, rest) = (groups + 1, &rest[digits + 1..]);
                if let Some(behind) = rest.strip_prefix(b":") {
                    if is_shortened {
                        return false;
                    }
                    (rest, is_shortened) = (behind, true);
                    if rest.is_empty() {
                        return fits(groups, is_shortened);
                    }
                }
            }
            // The last two groups as an IPv4 address, whose numbers begin with no zero.
            Some(b'.') => {
                let is_padded = rest.split(|&byte| byte == b'.').any(|number| number.len() > 1 && number[0] == b'0');
                return fits(groups + 2, is_shortened) && is_ipv4(rest) && !is_padded;
            }
            Some(_) => return false,
        }
    }
}

/// The address of a client, also behind the file and the number that `grep -Hn` puts in front of a line.
pub(crate) fn host_ip(text: &[u8]) -> Option<&[u8]> {
    if is_ip(text) {
        return Some(text);
    }
    let mut parts = text.splitn(3, |&byte| byte == b':');
    let (name, number) = (parts.next()?.len() + 1, parts.next()?.len() + 1);
    [name, name + number].into_iter().filter_map(|skipped| text.get(skipped..)).find(|text| is_ip(text))
}

/// Half of `1.2.3.4:80`, `[::1]:80`, or of an address alone. Sockets of the file system have neither half.
pub(crate) fn address(half: Address, bytes: &[u8]) -> Option<&[u8]> {
    let (ip, port) = if let Some(rest) = bytes.strip_prefix(b"[") {
        let end = rest.iter().position(|&byte| byte == b']')?;
        (&rest[..end], rest[end + 1..].strip_prefix(b":"))
    } else if is_ip(bytes) {
        (bytes, None)
    } else {
        let colon = bytes.iter().rposition(|&byte| byte == b':')?;
        let (ip, port) = (&bytes[..colon], &bytes[colon + 1..]);
        // SonicWall puts the interface behind the port.
        match ip.iter().position(|&byte| byte == b':') {
            Some(first) if is_ipv4(&ip[..first]) => (&ip[..first], Some(&ip[first + 1..])),
            _ => (ip, Some(port)),
        }
    };
    match half {
        Address::Ip => is_ip(ip).then_some(ip),
        Address::Port => port.filter(|_| is_ip(ip)),
    }
}

/// A number with an optional sign, fraction and exponent; no `inf`.
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    let plain = bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    if plain { std::str::from_utf8(bytes).ok()?.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// The milliseconds of a duration with its units, as Go and others write them: `18ms`, `1m2.5s`, `230.1µs`.
pub(crate) fn duration_with_units(bytes: &[u8]) -> Option<f64> {
    let mut milliseconds = 0.0;
    let mut rest = std::str::from_utf8(bytes).ok()?;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, behind) = rest.split_at(number);
        let unit = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let factor = match unit {
            "ns" => 1e-6,
            "us" | "µs" | "μs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            _ => return None,
        };
        milliseconds += count.parse::<f64>().ok()? * factor;
        rest = behind;
    }
    (!bytes.is_empty()).then_some(milliseconds)
}

/// The seconds of `hours:minutes:seconds`. `None` for any other text, plain numbers too.
pub(crate) fn clock_seconds(bytes: &[u8]) -> Option<u64> {
    let mut parts = bytes.split(|&byte| byte == b':').map(super::time::integer);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = minutes < 60 && seconds < 60 && parts.next().is_none();
    if fits { hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds) } else { None }
}

/// Where the parts of `GET /path?query HTTP/1.1` are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine {
    method_end: u32,
    target_end: u32,
    has_protocol: bool,
}

impl RequestLine {
    /// `None` if it is no such line.
    pub(crate) fn new(line: &[u8]) -> Option<Self> {
        let blank = memchr::memchr(b' ', line)?;
        let method = &line[..blank];
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if method.is_empty() || !method.iter().all(is_token) {
            return None;
        }
        let (target_end, has_protocol) = match memchr::memrchr(b' ', &line[blank + 1..]) {
            Some(at) if line[blank + 2 + at..].starts_with(b"HTTP/") => (blank + 1 + at, true),
            _ => (line.len(), false),
        };
        Some(Self { method_end: blank as u32, target_end: target_end as u32, has_protocol })
    }

    /// A part of the line.
    pub(crate) fn part(self, part: Part, line: &[u8]) -> Option<&[u8]> {
        let Self { method_end, target_end, has_protocol } = self;
        let target_end = target_end as usize;
        match part {
            Part::Whole => Some(line),
            Part::Method => line.get(..method_end as usize),
            Part::Protocol => line.get(target_end + 1..).filter(|_| has_protocol),
            part => url(part, line.get(method_end as usize + 1..target_end)?),
        }
    }
}

/// A part of `GET /path?query HTTP/1.1`. What is no such line has no parts.
pub(crate) fn request(part: Part, line: &[u8]) -> Option<&[u8]> {
    if part == Part::Whole { Some(line) } else { RequestLine::new(line)?.part(part, line) }
}

/// A part of the target of a request: `/path?query`, `http://host/path`, `host:443`, `*`.
pub(crate) fn url(part: Part, target: &[u8]) -> Option<&[u8]> {
    let question = memchr::memchr(b'?', target);
    match part {
        Part::Query => question.map(|at| &target[at + 1..]),
        Part::Path => {
            let before = question.map_or(target, |at| &target[..at]);
            if before.starts_with(b"/") || before == b"*" {
                return Some(before);
            }
            let scheme = memchr::memmem::find(before, b"://")?;
            let authority = scheme + 3;
            memchr::memchr(b'/', &before[authority..]).map(|at| &before[authority + at..])
        }
        _ => Some(target),
    }
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
    "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// The keyword of the facility in a syslog priority.
pub(crate) fn facility(priority: u64) -> Option<&'static str> {
    FACILITIES.get(usize::try_from(priority >> 3).ok()?).copied()
}

/// The keyword of the severity in a syslog priority.
pub(crate) fn severity(priority: u64) -> Option<&'static str> {
    facility(priority).map(|_| SEVERITIES[(priority & 7) as usize])
}

/// The elements of RFC 5424 structured data, as `id.name` and value.
pub(crate) fn structured_data(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = vec![];
    let mut rest = bytes;
    while let Some(element) = rest.strip_prefix(b"[") {
        let id_end = element.iter().position(|byte| matches!(byte, b' ' | b']')).unwrap_or(element.len());
        let id = &element[..id_end];
        rest = &element[id_end..];
        while let Some(param) = rest.strip_prefix(b" ") {
            let Some(equals) = memchr::memchr(b'=', param) else { return pairs };
            let Some(quoted) = param[equals + 1..].strip_prefix(b"\"") else { return pairs };
            let mut value = vec![];
            let mut at = 0;
            loop {
                match quoted[at..] {
                    [b'\\', escaped @ (b'"' | b'\\' | b']'), ..] => {
                        value.push(escaped);
                        at += 2;
                    }
                    [b'"', ..] => break,
                    [byte, ..] => {
                        value.push(byte);
                        at += 1;
                    }
                    [] => return pairs,
                }
            }
            pairs.push(([id, b".", &param[..equals]].concat(), value));
            rest = &quoted[at + 1..];
        }
        let Some(behind) = rest.strip_prefix(b"]") else { return pairs };
        rest = behind;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_apache_and_nginx_are_undone_and_others_kept() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"plain", b"plain"),
            (br#"a\"b\\c"#, br#"a"b\c"#),
            (br"\x22\x5C\xff", b"\"\\\xff"),
            (br"\q\xzz\", br"\q\xzz\"),
            (br"\n\t\r", b"\n\t\r"),
        ];
        for (from, to) in cases {
            assert_eq!(&*unescape(from), *to, "{}", from.escape_ascii());
        }
    }

    #[test]
    fn hardware_addresses_are_written_in_one_way() {
        for text in ["00:1A:2b:3c:4d:5e", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e", "001a2b3c4d5e"] {
            assert_eq!(mac(text.as_bytes()).as_deref(), Some("00:1a:2b:3c:4d:5e"), "{text}");
        }
        for bad in ["", "-", "00:1a:2b:3c:4d", "00:1a:2b:3c:4d:5g", "0:1a:2b:3c:4d:5e", "001a.2b3c4d5e", "00:1a:2b:3c:4d:5e:6f"] {
            assert_eq!(mac(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_is_a_number_of_seconds() {
        for (text, seconds) in [("0:00:00", 0), ("0:10:06", 606), ("123:59:59", 446_399)] {
            assert_eq!(clock_seconds(text.as_bytes()), Some(seconds), "{text}");
        }
        for bad in ["", "17", "1:2", "0:60:00", "0:00:60", "1:2:3:4", "a:00:00", "-1:00:00", "99999999999999999999:00:00"] {
            assert_eq!(clock_seconds(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_may_say_its_units() {
        for (text, milliseconds) in
            [("18ms", 18.0), ("1m2.5s", 62_500.0), ("2h", 7.2e6), ("1.5µs", 1.5e-3), ("7ns", 7e-6), ("0s", 0.0)]
        {
            let got = duration_with_units(text.as_bytes()).expect(text);
            assert!((got - milliseconds).abs() < 1e-9, "{text}: {got}");
        }
        for bad in ["", "18", "ms", "18 ms", "1.2.3s", "18ms4", "-1s", "3d", "1e3s", "\u{ff}"] {
            assert_eq!(duration_with_units(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn doubled_quotes_are_one() {
        for (from, to) in [("a", "a"), (r#"""a"" ""#, r#""a" ""#), ("\"\"\"\"", "\"\"")] {
            assert_eq!(undouble(from.as_bytes()), to.as_bytes(), "{from}");
        }
    }

    #[test]
    fn addresses_are_told_from_names() {
        for good in ["1.2.3.4", "255.255.255.255", "::1", "2001:db8::1", "fe80::1%eth0", "::ffff:1.2.3.4"] {
            assert!(is_ip(good.as_bytes()), "{good}");
        }
        for bad in ["1.2.3", "1.2.3.256", "1.2.3.4.5", "1..2.3", "localhost", "", ":", "a:b", "1.2.3.4 ", "0001.2.3.4"] {
            assert!(!is_ip(bad.as_bytes()), "{bad}");
        }
        for (client, ip) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("access.log.1:192.0.2.1", Some("192.0.2.1")),
            ("/var/log/access.log:12:192.0.2.1", Some("192.0.2.1")),
            ("access.log:2001:db8::1", Some("2001:db8::1")),
            ("12:192.0.2.1", Some("192.0.2.1")),
            ("a:b:c:192.0.2.1", None),
            ("192.0.2.1:443", None),
            ("www.example.com", None),
            (":", None),
        ] {
            assert_eq!(host_ip(client.as_bytes()), ip.map(str::as_bytes), "{client}");
        }
    }

    proptest::proptest! {
        #[test]
        fn addresses_are_those_of_the_standard_library(
            text in "([0-9a-f]{0,5}|[0-9]{1,3}|:|\\.|::|0|1|25[4-6]|ffff){0,20}",
            v4 in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,4}",
            v6: u128,
            cut in 0usize..40,
        ) {
            use std::net::{Ipv4Addr, Ipv6Addr};
            let plain = |text: &str| {
                // The library takes no zeros in front of a number.
                let numbers: Vec<Option<u32>> = text.split('.').map(|number| number.parse().ok().filter(|_| number.len() < 4)).collect();
                numbers.len() == 4 && text.bytes().all(|b| b == b'.' || b.is_ascii_digit()) && numbers.iter().all(|n| n.is_some_and(|n| n < 256))
            };
            let mut v6 = Ipv6Addr::from_bits((v6 >> cut) & (u128::MAX << (cut * 3))).to_string();
            for text in [&text, &v4, &v6.clone(), &{ v6.truncate(cut.min(v6.len())); v6 }, &format!("::{v4}"), &format!("1::2:{text}")] {
                proptest::prop_assert_eq!(is_ipv4(text.as_bytes()), plain(text), "{}", text);
                proptest::prop_assert!(plain(text) || text.parse::<Ipv4Addr>().is_err());
                proptest::prop_assert_eq!(is_ipv6(text.as_bytes()), text.parse::<Ipv6Addr>().is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn both_halves_of_an_address_are_found() {
        let halves = |text: &'static str| {
            let half = |half| address(half, text.as_bytes()).map(|b| String::from_utf8_lossy(b).into_owned());
            (half(Address::Ip), half(Address::Port))
        };
        let some = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
        assert_eq!(halves("1.2.3.4:80"), some("1.2.3.4", "80"));
        assert_eq!(halves("[::1]:80"), some("::1", "80"));
        assert_eq!(halves("1.2.3.4:80:X0"), some("1.2.3.4", "80"));
        assert_eq!(halves("::1"), (Some("::1".to_owned()), None));
        assert_eq!(halves("unix:/run/x.sock"), (None, None));
        assert_eq!(halves("backend:80"), (None, None));
    }

    #[test]
    fn requests_are_split_and_garbage_is_not() {
        let parts = |line: &'static str| {
            [Part::Method, Part::Url, Part::Path, Part::Query, Part::Protocol]
                .map(|part| {
                    request(part, line.as_bytes()).map_or_else(|| "-".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
                })
                .join("|")
        };
        assert_eq!(parts("GET /a/b?c=d?e HTTP/1.1"), "GET|/a/b?c=d?e|/a/b|c=d?e|HTTP/1.1");
        assert_eq!(parts("GET /a b HTTP/1.1"), "GET|/a b|/a b|-|HTTP/1.1");
        assert_eq!(parts("GET /"), "GET|/|/|-|-");
        assert_eq!(parts("CONNECT h:443 HTTP/1.1"), "CONNECT|h:443|-|-|HTTP/1.1");
        assert_eq!(parts("GET http://h/x?y HTTP/1.0"), "GET|http://h/x?y|/x|y|HTTP/1.0");
        assert_eq!(parts("OPTIONS * HTTP/1.1"), "OPTIONS|*|*|-|HTTP/1.1");
        assert_eq!(parts(r"\x16\x03\x01"), "-|-|-|-|-");
        assert_eq!(parts("\\x16 \\x03"), "-|-|-|-|-");
    }

    #[test]
    fn lists_give_their_ends() {
        assert_eq!(take(Take::Last, b"0.1, 0.2 : 0.3"), b"0.3");
        assert_eq!(take(Take::Last, b"0.1 : -"), b"-");
        assert_eq!(take(Take::First, b"10.0.0.1, 10.0.0.2"), b"10.0.0.1");
        assert_eq!(take(Take::First, b"x"), b"x");
    }

    #[test]
    fn structured_data_is_read_to_its_last_good_element() {
        let shown = |text: &str| {
            let pairs = structured_data(text.as_bytes()).into_iter();
            pairs
                .map(|(k, v)| format!("{}={}", String::from_utf8_lossy(&k), String::from_utf8_lossy(&v)))
                .collect::<Vec<_>>()
                .join(";")
        };
        assert_eq!(shown(r#"[a@1 x="1" y="q\"\]\\"][b z=""]"#), r#"a@1.x=1;a@1.y=q"]\;b.z="#);
        assert_eq!(shown(r#"[a@1]"#), "");
        assert_eq!(shown(r#"[a x="1" y]"#), "a.x=1");
        assert_eq!(shown("-"), "");
    }
}
