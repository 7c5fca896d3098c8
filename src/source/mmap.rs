//! Mapping a sealed file into memory, with a guard against its truncation.
//!
//! ```text
//!   file       ├──────────────────────────────┤                truncated by someone: ├──────┤
//!   mapping        ├ start's page ────────────┤                                     ├──────────────────────┤
//!   guard                                                       touched here ────────────────▲
//!                                                              SIGBUS: zero pages over ──────└──────────────┘
//!                                                              the rest, region marked, reading goes on;
//!                                                              verify() says what happened
//! ```
//!
//! Each reader maps from its own start to the end of the snapshot, rather than sharing one mapping of the file: that
//! costs about 4 µs for a piece of megabytes, needs no owner that outlives readers, and what a piece touched leaves
//! the resident set with the piece.
//!
//! The handler is installed once, before the first mapping. It only reads a table of atomics and calls `mmap`, and it
//! hands every fault that is not ours to the handler that was there before. If the table is full, or mapping fails,
//! the file is read instead.

use std::cell::UnsafeCell;
use std::fs::File;
use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memmap2::{Advice, Mmap, MmapOptions};

use super::error::{Change, ChangeKind, Issue, SourceError};
use super::snapshot::{self, TAIL_BYTES};
use super::watch::Watch;
use super::{Begins, ByteReader, Fill, MmapMode, ReadOptions, extent};

/// [`ByteReader`] over a mapping: hands out all the rest of the file at once, without a copy.
pub(super) struct MapReader {
    watch: Box<Watch>,
    /// `None` of an empty range.
    map: Option<GuardedMap>,
    /// Offset in the file of the mapping's first byte.
    base: u64,
    /// Index in the mapping of the cursor.
    cursor: usize,
    start: usize,
    printed: usize,
    begins: Begins,
}

impl MapReader {
    /// Maps the file from `start` on, or gives it back to be read.
    pub(super) fn open(mut watch: Box<Watch>, start: u64, options: &ReadOptions) -> Result<Self, Box<Watch>> {
        if !is_wanted(&watch, options) {
            return Err(watch);
        }
        let extent = extent::around(&mut watch, start);
        let page = page_size() as u64;
        let base = extent.start / page * page;
        let begins = extent.begins;
        let Ok(len) = usize::try_from(extent.stop - base) else {
            return Err(watch);
        };
        let cursor = (extent.start - base) as usize;
        let map = match len - cursor {
            0 => None,
            _ => match watch.file().and_then(|file| GuardedMap::new(file, base, len)) {
                Some(map) => Some(map),
                None => return Err(watch),
            },
        };
        Ok(Self { watch, map, base, cursor, start: cursor, printed: cursor, begins })
    }

    fn bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], GuardedMap::bytes)
    }
}

impl ByteReader for MapReader {
    fn fill(&mut self, _min: usize) -> Result<Fill<'_>, SourceError> {
        if self.watch.change().is_some() {
            return Ok(Fill { bytes: &[], end: true });
        }
        if self.printed < self.cursor
            && let Some(map) = &self.map
        {
            let last = &map.bytes()[self.cursor.saturating_sub(TAIL_BYTES).max(self.start)..self.cursor];
            self.watch.remember(last, self.base + self.cursor as u64);
            self.printed = self.cursor;
        }
        Ok(Fill { bytes: self.bytes().get(self.cursor..).unwrap_or(&[]), end: true })
    }

    fn consume(&mut self, n: usize) {
        let to = self.cursor + n;
        let end = self.bytes().len().max(self.cursor);
        debug_assert!(to <= end, "more consumed than was filled");
        self.cursor = to.min(end);
    }

    fn verify(&mut self) -> Result<(), Change> {
        if let Some(broken) = self.map.as_ref().and_then(GuardedMap::broken_at) {
            // Zero bytes may have been handed out. Does the file say why?
            let at = self.base + broken as u64;
            let change = match self.watch.check_content() {
                Err(change) => change,
                Ok(()) => Change { kind: ChangeKind::Unreadable, at },
            };
            self.watch.fail(change);
        }
        self.watch.verify()
    }

    fn issues(&self) -> &[Issue] {
        self.watch.issues()
    }

    fn bytes_read(&self) -> u64 {
        (self.cursor - self.start) as u64
    }

    fn offset(&self) -> u64 {
        self.base + self.cursor as u64
    }

    fn begins(&self) -> Begins {
        self.begins
    }
}

fn is_wanted(watch: &Watch, options: &ReadOptions) -> bool {
    let wanted = match options.mmap {
        MmapMode::Never => false,
        MmapMode::Always => true,
        MmapMode::Auto => is_sealed(watch.snapshot().mtime_ns, options.sealed_after),
    };
    wanted && watch.file().and_then(snapshot::file_system).is_some_and(is_local)
}

/// Not modified for `sealed_after`. A time in the future seals nothing.
fn is_sealed(mtime_ns: i64, sealed_after: Duration) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return false;
    };
    i128::from(mtime_ns) + (sealed_after.as_nanos() as i128) <= now.as_nanos() as i128
}

/// File systems of this machine's own disks and memory. On others (NFS, CIFS, FUSE, 9p …) a page may fail to come, or
/// a size may be an old one: files there are read.
fn is_local(magic: u32) -> bool {
    const LOCAL: [u32; 19] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
        0x794C_7630, // overlayfs
        0x2FC1_2FC1, // zfs
        0xF2F5_2010, // f2fs
        0xCA45_1A4E, // bcachefs
        0x7371_7368, // squashfs
        0xE0F5_E1E2, // erofs
        0x5265_4973, // reiserfs
        0x3153_464A, // jfs
        0x3434,      // nilfs
        0x7366_746E, // ntfs3
        0x2011_BAB0, // exfat
        0x4D44,      // fat
        0x9660,      // iso9660
        0x1501_3346, // udf
    ];
    LOCAL.contains(&magic)
}

/// A mapping that the guard knows.
struct GuardedMap {
    // Dropped in this order: the region must leave the table before its addresses can become someone else's.
    region: Region,
    map: Mmap,
}

impl GuardedMap {
    /// `base` is a multiple of the page size, `len` is not 0. `None` if it cannot be mapped or guarded.
    fn new(file: &File, base: u64, len: usize) -> Option<Self> {
        if !install_handler() {
            return None;
        }
        // SAFETY: the map is read-only and leaves this module only as `&[u8]` borrowed from the reader. What is in it
        // may change if another process writes to the file: whoever copies from it checks what was copied, and
        // `Watch::verify` discards it. If the file is truncated, the guard keeps the pages readable.
        let map = unsafe { MmapOptions::new().offset(base).len(len).map(file) }.ok()?;
        // A cold file is read ahead of the cursor rather than around it. Of a warm one it makes no difference, nor does
        // populating the page tables in advance (20 GB/s of line feeds counted with and without either).
        let _ = map.advise(Advice::Sequential);
        let region = Region::claim(map.as_ptr() as usize, map.len())?;
        Some(Self { region, map })
    }

    fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Index of the first byte that the guard had to replace.
    fn broken_at(&self) -> Option<usize> {
        self.region.broken_at().map(|address| address - self.map.as_ptr() as usize)
    }
}

/// How many mappings can be guarded at once. The table is searched only in a fault and when a file is opened.
const SLOTS: usize = 1024;

const INTACT: usize = usize::MAX;

/// A line of the table. Written by the one thread that claimed it, read by the handler in any thread.
struct Slot {
    claimed: AtomicBool,
    /// Odd while the addresses change, so that the handler does not mistake two halves for one region. It cannot be
    /// the handler's own region then: that one does not change while a thread reads in it.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    broken: AtomicUsize,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        claimed: AtomicBool::new(false),
        version: AtomicUsize::new(0),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        broken: AtomicUsize::new(INTACT),
    }
}; SLOTS];

impl Slot {
    fn set(&self, start: usize, end: usize) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(start, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.broken.store(INTACT, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The region, if `address` is in it and it is not changing.
    fn region_of(&self, address: usize) -> Option<(usize, usize)> {
        let version = self.version.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let stable = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        (stable && start <= address && address < end).then_some((start, end))
    }
}

/// A claimed slot; let go when dropped.
struct Region(&'static Slot);

impl Region {
    fn claim(start: usize, len: usize) -> Option<Self> {
        let slot = TABLE.iter().find(|slot| !slot.claimed.swap(true, Ordering::Acquire))?;
        slot.set(start, start + len.next_multiple_of(page_size()));
        Some(Self(slot))
    }

    fn broken_at(&self) -> Option<usize> {
        Some(self.0.broken.load(Ordering::Acquire)).filter(|address| *address != INTACT)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.0.set(0, 0);
        self.0.claimed.store(false, Ordering::Release);
    }
}

/// The action that was there before ours. Written once, before ours is installed.
struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once inside `Once`, before the handler that reads it is installed, and never again.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::uninit()));
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);

fn page_size() -> usize {
    match PAGE_SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: asks for a constant of the system.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let size = usize::try_from(size).unwrap_or(4096);
            PAGE_SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// Installs the handler if that has not been done. `false` if it cannot be.
fn install_handler() -> bool {
    static INSTALL: Once = Once::new();
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    INSTALL.call_once(|| {
        page_size();
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        // SAFETY: all-zero is a valid `sigaction`; its mask is emptied below by the system's own function. The old
        // action is written to `PREVIOUS` before the new one can run, and `Once` keeps a second writer out.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            // On the alternate stack, because a stack overflow may be a SIGBUS too and is passed on from here.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            let previous = (*PREVIOUS.0.get()).as_mut_ptr();
            libc::sigaction(libc::SIGBUS, std::ptr::null(), previous) == 0
                && libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) == 0
        };
        INSTALLED.store(done, Ordering::Release);
    });
    INSTALLED.load(Ordering::Acquire)
}

/// Runs inside a fault: only atomics and system calls here.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes a valid `siginfo_t`, and each thread has an `errno`.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        // A code of 0 or less: sent by a process with `kill`, not by a fault, and without an address.
        let ours = (*info).si_code > 0 && cover((*info).si_addr() as usize);
        if !ours {
            pass_on(signal, info, context);
        }
        *errno = saved;
    }
}

/// Maps zero pages from the page of `address` to the end of its region. `false` if it is in no region of ours.
fn cover(address: usize) -> bool {
    let Some((slot, (_, end))) = TABLE.iter().find_map(|slot| Some((slot, slot.region_of(address)?))) else {
        return false;
    };
    let page = address & !(page_size() - 1);
    // SAFETY: `page..end` is the rest of a live mapping of ours: the faulting thread holds it, so it cannot be unmapped
    // now, and mapping over it takes away only file pages that nobody can read. Its bytes may change under a reader's
    // eyes, as those of any mapped file may.
    let zeros = unsafe {
        libc::mmap(
            page as *mut libc::c_void,
            end - page,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if zeros == libc::MAP_FAILED {
        return false;
    }
    slot.broken.fetch_min(page, Ordering::Release);
    true
}

/// Does what would have been done without our handler.
///
/// # Safety
///
/// To be called only from the handler, with its own arguments.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: written before the handler was installed, and never again.
    let previous = unsafe { (*PREVIOUS.0.get()).assume_init_ref() };
    // SAFETY: the system passes a valid `siginfo_t`.
    let sent = unsafe { (*info).si_code } <= 0;
    match previous.sa_sigaction {
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: all-zero is the default action. Back at the faulting instruction, the fault happens again and
            // ends the process as it would have; a signal that was sent has to be sent again.
            unsafe {
                let default: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, &raw const default, std::ptr::null_mut());
                if sent {
                    libc::raise(signal);
                }
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with this flag, the address is that of a function of three arguments.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without the flag, it is that of a function of one.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}
