//! The least that a status histogram of a combined access log can cost: one loop by hand, for this one format
//! and this one question.
//!
//! ```text
//! bare_loop [--status-only] [--threads N] FILE
//! ```
//!
//! It is the yardstick of the benches. No general program can be faster than a loop that does the same work on the same
//! bytes, so the time over this one's is what logsql's generality costs.
//!
//! ```text
//!   client ident user [09/Mar/2026:00:00:00 +0000] "request" 200 12078 "referer" "agent"
//!   └────┬────┴──┬──┘ └ digits where they belong ┘ └──┬──┘ └┬┘ └─┬─┘ └───┬─────────┬──┘
//!   not empty, no blank                     quoted, \ escapes 3  digits or -  quoted, then the end of the line
//! ```
//!
//! By default each line is checked whole; `--status-only` stops at the status, as a program may that does not care
//! whether the rest of the line is there. Prints `status<TAB>count`, sorted, and on stderr how many lines are not
//! in the format (blank ones are not counted).
//!
//! Threads take blocks of the file in turn and read them with `pread`: the standard library has no mmap, and blocks that
//! fit the second-level cache lose little against one.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A line that starts in a block is read by whoever has that block, however long it is.
const BLOCK: u64 = 512 << 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy)]
enum Check {
    WholeLine,
    UpToStatus,
}

fn run() -> io::Result<()> {
    let usage = || io::Error::other("usage: bare_loop [--status-only] [--threads N] FILE");
    let mut check = Check::WholeLine;
    let mut threads = thread::available_parallelism()?.get();
    let mut path = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--status-only" => check = Check::UpToStatus,
            "--threads" => threads = args.next().and_then(|n| n.parse().ok()).ok_or_else(usage)?,
            _ => path = Some(arg),
        }
    }
    let file = File::open(path.ok_or_else(usage)?)?;
    let size = file.metadata()?.len();
    let next = AtomicU64::new(0);

    let counts = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&file, size, &next, check))).collect();
        let mut total = Counts::new();
        for worker in workers {
            let counts = worker.join().map_err(|_| io::Error::other("a thread panicked"))??;
            total.add(&counts);
        }
        Ok::<_, io::Error>(total)
    })?;

    let mut out = io::stdout().lock();
    for (status, count) in counts.by_status.iter().enumerate().filter(|(_, count)| **count > 0) {
        writeln!(out, "{status:03}\t{count}")?;
    }
    if counts.invalid > 0 {
        writeln!(io::stderr(), "{} lines are not in combined format", counts.invalid)?;
    }
    Ok(())
}

struct Counts {
    by_status: Vec<u64>,
    invalid: u64,
}

impl Counts {
    fn new() -> Self {
        Self { by_status: vec![0; 1000], invalid: 0 }
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.by_status.iter_mut().zip(&other.by_status) {
            *mine += theirs;
        }
        self.invalid += other.invalid;
    }
}

/// Takes blocks until none is left.
fn work(file: &File, size: u64, next: &AtomicU64, check: Check) -> io::Result<Counts> {
    let mut counts = Counts::new();
    let mut block = Vec::new();
    loop {
        let start = next.fetch_add(BLOCK, Ordering::Relaxed);
        if start >= size {
            return Ok(counts);
        }
        read_lines(file, start, size, &mut block)?;
        count_lines(&block, check, &mut counts);
    }
}

/// Zeros behind each block, so that a vector can be loaded at any byte of it.
const PADDING: usize = 64;

/// Fills `block` with the lines that start in the block at `start`, each with its line feed, and `PADDING`.
fn read_lines(file: &File, start: u64, size: u64, block: &mut Vec<u8>) -> io::Result<()> {
    // One byte earlier: a line starts at `start` only if a line feed is before it.
    let from = start.saturating_sub(1);
    let end = (start + BLOCK).min(size);
    block.resize((end - from) as usize, 0);
    file.read_exact_at(block, from)?;
    let first = match block.iter().position(|&byte| byte == b'\n') {
        _ if start == 0 => 0,
        Some(feed) => feed + 1,
        // The inside of a long line.
        None => block.len(),
    };
    if first < block.len() {
        let mut at = end;
        while block.last() != Some(&b'\n') && at < size {
            let length = block.len();
            let more = (16 << 10).min(size - at);
            block.resize(length + more as usize, 0);
            file.read_exact_at(&mut block[length..], at)?;
            if let Some(feed) = block[length..].iter().position(|&byte| byte == b'\n') {
                block.truncate(length + feed + 1);
            }
            at += more;
        }
        if block.last() != Some(&b'\n') {
            block.push(b'\n');
        }
    }
    // Moving the block down by part of a line would cost more than the loop: blank the part out instead.
    block[..first].fill(b'\n');
    block.extend_from_slice(&[0; PADDING]);
    Ok(())
}

fn count_lines(block: &[u8], check: Check, counts: &mut Counts) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this CPU has AVX2.
        return unsafe { avx2::count_lines(block, check, counts) };
    }
    count_lines_with(Scalar, block, check, counts);
}

/// The two questions that are worth asking of many bytes at once.
trait Vector: Copy {
    /// Where `a`, `b` or a line feed is next. There always is a line feed.
    fn find(self, block: &[u8], at: usize, a: u8, b: u8) -> usize;

    /// Whether `[09/Mar/2026:00:00:00 +0000] "` is at `at`.
    fn is_time(self, block: &[u8], at: usize) -> bool;
}

/// What stands before the request: `0` for a digit, `a` for a letter, `+` for a sign, and else itself.
const TIME: &[u8; 30] = b"[00/aaa/0000:00:00:00 +0000] \"";

#[derive(Clone, Copy)]
struct Scalar;

impl Vector for Scalar {
    fn find(self, block: &[u8], at: usize, a: u8, b: u8) -> usize {
        let is_it = |&byte: &u8| byte == a || byte == b || byte == b'\n';
        at + block[at..].iter().position(is_it).unwrap_or(block.len() - PADDING - 1 - at)
    }

    fn is_time(self, block: &[u8], at: usize) -> bool {
        block[at..].iter().zip(TIME).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            b'+' => matches!(byte, b'+' | b'-'),
            literal => byte == literal,
        })
    }
}

#[inline(always)]
fn count_lines_with<V: Vector>(vector: V, block: &[u8], check: Check, counts: &mut Counts) {
    match check {
        Check::WholeLine => count_lines_of::<V, true>(vector, block, counts),
        Check::UpToStatus => count_lines_of::<V, false>(vector, block, counts),
    }
}

#[inline(always)]
fn count_lines_of<V: Vector, const WHOLE: bool>(vector: V, block: &[u8], counts: &mut Counts) {
    let end = block.len() - PADDING;
    let mut at = 0;
    while at < end {
        if block[at] == b'\n' {
            at += 1;
            continue;
        }
        match line::<V, WHOLE>(vector, block, at) {
            Ok((status, next)) => {
                counts.by_status[status] += 1;
                at = next;
            }
            Err(Stuck { at: stuck }) => {
                counts.invalid += 1;
                at = vector.find(block, stuck, b'\n', b'\n') + 1;
            }
        }
    }
}

/// Where a line stopped being one of the format: somewhere in it, at its line feed at the latest.
struct Stuck {
    at: usize,
}

/// Reads the line at `at`; its status, and where the next line starts.
#[inline(always)]
fn line<V: Vector, const WHOLE: bool>(vector: V, block: &[u8], at: usize) -> Result<(usize, usize), Stuck> {
    // The client, ident and user: not empty, without blanks.
    let client = vector.find(block, at, b' ', b' ');
    if client == at || block[client] != b' ' {
        return Err(Stuck { at: client });
    }
    let ident = vector.find(block, client + 1, b' ', b' ');
    if ident == client + 1 || block[ident] != b' ' {
        return Err(Stuck { at: ident });
    }
    let user = vector.find(block, ident + 1, b' ', b' ');
    if user == ident + 1 || block[user] != b' ' || !vector.is_time(block, user + 1) {
        return Err(Stuck { at: user });
    }
    let request = quoted(vector, block, user + 1 + TIME.len())?;

    let &[b' ', a, b, c, b' '] = &block[request + 1..request + 6] else {
        return Err(Stuck { at: request });
    };
    let (a, b, c) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'), c.wrapping_sub(b'0'));
    if a > 9 || b > 9 || c > 9 {
        return Err(Stuck { at: request });
    }
    let status = usize::from(a) * 100 + usize::from(b) * 10 + usize::from(c);
    if !WHOLE {
        return Ok((status, vector.find(block, request + 6, b'\n', b'\n') + 1));
    }

    // The bytes: digits or `-`, then the referer's quote.
    let mut bytes = request + 6;
    if block[bytes] == b'-' {
        bytes += 1;
    } else {
        while block[bytes].is_ascii_digit() {
            bytes += 1;
        }
    }
    if bytes == request + 6 || block[bytes] != b' ' || block[bytes + 1] != b'"' {
        return Err(Stuck { at: request });
    }
    let referer = quoted(vector, block, bytes + 2)?;
    if block[referer + 1] != b' ' || block[referer + 2] != b'"' {
        return Err(Stuck { at: referer });
    }
    let agent = quoted(vector, block, referer + 3)?;
    match (block[agent + 1], block[agent + 2]) {
        (b'\n', _) => Ok((status, agent + 2)),
        (b'\r', b'\n') => Ok((status, agent + 3)),
        _ => Err(Stuck { at: agent }),
    }
}

/// Where the quote is that ends the text at `at`. A backslash takes the next byte's meaning away.
#[inline(always)]
fn quoted<V: Vector>(vector: V, block: &[u8], mut at: usize) -> Result<usize, Stuck> {
    loop {
        at = vector.find(block, at, b'"', b'\\');
        match block[at] {
            b'"' => return Ok(at),
            b'\\' if block[at + 1] != b'\n' => at += 2,
            _ => return Err(Stuck { at }),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Check, Counts, PADDING, TIME, Vector, count_lines_with};
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };

    /// Exists only inside `count_lines`, so only on a CPU with AVX2.
    #[derive(Clone, Copy)]
    struct Avx2(());

    #[target_feature(enable = "avx2")]
    pub(super) fn count_lines(block: &[u8], check: Check, counts: &mut Counts) {
        count_lines_with(Avx2(()), block, check, counts);
    }

    #[inline(always)]
    fn load(block: &[u8], at: usize) -> __m256i {
        let bytes = &block[at..at + 32];
        // SAFETY: `bytes` is 32 bytes long, and there is an `Avx2`, so the CPU has AVX2.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    impl Vector for Avx2 {
        #[inline(always)]
        fn find(self, block: &[u8], mut at: usize, a: u8, b: u8) -> usize {
            const { assert!(PADDING >= 32) };
            loop {
                let bytes = load(block, at);
                // SAFETY: there is an `Avx2`, so the CPU has AVX2.
                let found = unsafe {
                    let is_a = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(a as i8));
                    let is_b = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b as i8));
                    let is_feed = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\n' as i8));
                    _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(is_a, is_b), is_feed)) as u32
                };
                if found != 0 {
                    return at + found.trailing_zeros() as usize;
                }
                at += 32;
            }
        }

        #[inline(always)]
        fn is_time(self, block: &[u8], at: usize) -> bool {
            const DIGITS: u32 = positions(b'0');
            const LETTERS: u32 = positions(b'a');
            const SIGNS: u32 = positions(b'+');
            const LITERALS: u32 = ((1 << TIME.len()) - 1) & !DIGITS & !LETTERS & !SIGNS;
            let bytes = load(block, at);
            let wanted = load(&PADDED_TIME, 0);
            // SAFETY: there is an `Avx2`, so the CPU has AVX2.
            let (literals, digits, letters) = unsafe {
                let under = |bytes, shift: u8, limit: u8| {
                    let shifted = _mm256_add_epi8(bytes, _mm256_set1_epi8(shift.wrapping_neg() as i8));
                    let least = _mm256_min_epu8(shifted, _mm256_set1_epi8(limit as i8));
                    _mm256_movemask_epi8(_mm256_cmpeq_epi8(shifted, least)) as u32
                };
                let upper = _mm256_and_si256(bytes, _mm256_set1_epi8(!0x20));
                let literals = _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, wanted)) as u32;
                (literals, under(bytes, b'0', 9), under(upper, b'A', 25))
            };
            let sign = matches!(block[at + SIGNS.trailing_zeros() as usize], b'+' | b'-');
            literals & LITERALS == LITERALS && digits & DIGITS == DIGITS && letters & LETTERS == LETTERS && sign
        }
    }

    const PADDED_TIME: [u8; 32] = {
        let mut padded = [0; 32];
        let mut at = 0;
        while at < TIME.len() {
            padded[at] = TIME[at];
            at += 1;
        }
        padded
    };

    /// A bit for each place of `TIME` where this class stands.
    const fn positions(class: u8) -> u32 {
        let (mut bits, mut at) = (0, 0);
        while at < TIME.len() {
            if TIME[at] == class {
                bits |= 1 << at;
            }
            at += 1;
        }
        bits
    }
}
