//! What can be read only once: standard input, FIFOs, devices, `/proc`.
//!
//! ```text
//!   stdin, FIFO ──► pump ──► Spool: memory up to 64 MiB, then an unlinked file ──► reader 1 (cursor)
//!   /dev/…          (poll, 100 ms)      one per stream and process             ──► reader 2 (a self join,
//!                                                                                  the next query)
//!   /proc/…  ────────────────────────────────────────────────────────────────► a reader of its own each time
//! ```
//!
//! There is no thread: whoever wants more than has arrived turns the pump, and the others wait for what it brings.
//! An archive is read twice: once for the list of its members, and once for what is in them.
//!
//! Nothing waits longer than 100 ms at a time. Past the limit of the spool the beginning of a stream is given up
//! where every reader is past it, so that an endless stream can be read, though only once.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use super::archive::ArchiveKind;
use super::error::{Change, ChangeKind, Issue, SourceError};
use super::snapshot::{self, Compression, FIRST_BLOCK_BYTES, FileKind, HEAD_BYTES, Nature, Snapshot, TELLING_BYTES};
use super::{ByteReader, Fill, ReadOptions};

/// How long `fill` may wait for a stream.
const PATIENCE: Duration = Duration::from_millis(100);

/// The unit in which the spool keeps and gives up bytes.
const CHUNK: usize = 256 << 10;

/// Opens a stream for reading from its beginning.
pub(super) fn open(snapshot: &Snapshot, options: &ReadOptions) -> Result<Box<dyn ByteReader>, SourceError> {
    let path = &snapshot.path;
    let key = (snapshot.dev, snapshot.ino);
    let mut spools = lock(registry());
    if let Some(spool) = spools.get(&key) {
        return Ok(Box::new(SpoolReader::new(Arc::clone(spool))?));
    }
    let file = match snapshot.kind {
        FileKind::Stdin => snapshot::stdin_file().map_err(|source| SourceError::from_open(path, source))?,
        FileKind::Regular | FileKind::Stream => snapshot::open_file(path)?,
    };
    let meta = file.metadata().map_err(|source| SourceError::from_open(path, source))?;
    if (meta.dev(), meta.ino()) != key {
        let change = Change { kind: ChangeKind::Replaced, at: 0 };
        return Err(SourceError::Changed { path: path.clone(), change });
    }
    let is_virtual = meta.is_file() && snapshot.kind != FileKind::Stdin;
    // A pipe ends with its writer, and nobody types a gigabyte into a terminal.
    let is_endless = is_virtual || (meta.file_type().is_char_device() && !is_terminal(&file));
    let limit = if is_endless { options.device_limit } else { u64::MAX };
    let pump = Pump { file, path: path.clone(), buffer: vec![0; CHUNK], done: 0, limit };
    if is_virtual {
        return Ok(Box::new(DirectReader::new(pump)));
    }
    let spool = Arc::new(Spool::new(pump, options));
    spools.insert(key, Arc::clone(&spool));
    Ok(Box::new(SpoolReader::new(spool)?))
}

/// Looks at what has arrived of a stream: an archive says so in its snapshot. `false` if too little has arrived to tell.
pub fn settle_stream(snapshot: &mut Snapshot, options: &ReadOptions) -> Result<bool, SourceError> {
    let mut raw = open(snapshot, options)?;
    let Fill { bytes, end } = raw.fill(TELLING_BYTES)?;
    // A line is no header of an archive, which is filled with zero bytes.
    let is_line = bytes.contains(&b'\n') && !bytes.contains(&0);
    let mut nature = Nature::of(&bytes[..bytes.len().min(HEAD_BYTES)]);
    let mut is_known = end || bytes.len() >= TELLING_BYTES || (is_line && nature.compression == Compression::None);
    if is_known && !end && nature.is_hidden() {
        let Fill { bytes, end } = raw.fill(FIRST_BLOCK_BYTES)?;
        nature = Nature::of(bytes);
        is_known = end || !nature.is_hidden() || bytes.len() >= FIRST_BLOCK_BYTES;
    }
    if is_known && nature.archive == Some(ArchiveKind::Tar) {
        (snapshot.archive, snapshot.compression) = (nature.archive, nature.compression);
    }
    Ok(is_known)
}

/// Forgets what was kept of the streams that no reader has open: the next reader of a FIFO reads what is written then.
pub fn forget_streams() {
    lock(registry()).retain(|_, spool| !lock(&spool.store).readers.is_empty());
}

type Registry = HashMap<(u64, u64), Arc<Spool>>;

/// One spool per stream. It keeps the stream open, so that no other one can get its inode number.
fn registry() -> &'static Mutex<Registry> {
    static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(|| Mutex::new(HashMap::new()))
}

/// A panic elsewhere must not take the stream with it: all state is valid between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_terminal(file: &File) -> bool {
    use std::io::IsTerminal as _;
    file.is_terminal()
}

/// The end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Reached,
    /// There would be more, but not from a device.
    Limit,
}

/// What the pump brought.
enum Brought<'a> {
    Bytes(&'a [u8]),
    NothingYet,
    End(End),
}

/// The only one that reads from the device.
struct Pump {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    done: u64,
    limit: u64,
}

impl Pump {
    fn turn(&mut self) -> Result<Brought<'_>, SourceError> {
        if self.done >= self.limit {
            return Ok(Brought::End(End::Limit));
        }
        let failed = |source| SourceError::Read { path: self.path.clone(), at: self.done, source };
        if !wait_readable(&self.file, PATIENCE).map_err(failed)? {
            return Ok(Brought::NothingYet);
        }
        let left = usize::try_from(self.limit - self.done).unwrap_or(usize::MAX);
        let room = self.buffer.len().min(left);
        match (&self.file).read(&mut self.buffer[..room]) {
            Ok(0) => Ok(Brought::End(End::Reached)),
            Ok(n) => {
                self.done += n as u64;
                Ok(Brought::Bytes(&self.buffer[..n]))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Brought::NothingYet)
            }
            // What a terminal whose other side is gone says at its end.
            Err(error) if error.raw_os_error() == Some(libc::EIO) && is_terminal(&self.file) => Ok(Brought::End(End::Reached)),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Waits until a read would not block. At the end of a stream that is so too; before the first writer of a FIFO it is
/// not, which a read alone could not tell from the end.
fn wait_readable(file: &File, patience: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `poll` is one valid entry, and its descriptor is open as long as `file` lives.
    match unsafe { libc::poll(&raw mut poll, 1, timeout) } {
        0 => Ok(false),
        n if n > 0 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
    }
}

/// All of a stream that has arrived, for any number of readers.
struct Spool {
    path: PathBuf,
    pump: Mutex<Pump>,
    store: Mutex<Store>,
    arrived: Condvar,
    memory_bytes: usize,
    disk_bytes: u64,
}

/// What is kept: bytes `forgotten..len` of the stream.
#[derive(Default)]
struct Store {
    /// Chunks of [`CHUNK`] bytes, the last one shorter. Empty once `disk` is there.
    memory: Vec<Vec<u8>>,
    disk: Option<(File, u64)>,
    len: u64,
    forgotten: u64,
    end: Option<End>,
    readers: HashMap<u64, u64>,
    next_reader: u64,
}

impl Spool {
    fn new(pump: Pump, options: &ReadOptions) -> Self {
        Self {
            path: pump.path.clone(),
            pump: Mutex::new(pump),
            store: Mutex::new(Store::default()),
            arrived: Condvar::new(),
            memory_bytes: options.spool_memory_bytes,
            disk_bytes: options.spool_disk_bytes,
        }
    }

    /// Tries to get more than `have` bytes of the stream into the store, for at most [`PATIENCE`].
    fn want_more_than(&self, have: u64) -> Result<(), SourceError> {
        let mut pump = match self.pump.try_lock() {
            Ok(pump) => pump,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let store = lock(&self.store);
                if store.len <= have && store.end.is_none() {
                    drop(self.arrived.wait_timeout(store, PATIENCE).unwrap_or_else(PoisonError::into_inner));
                }
                return Ok(());
            }
        };
        {
            let mut store = lock(&self.store);
            // Another reader may have turned the pump since this one looked.
            if store.len > have || store.end.is_some() {
                return Ok(());
            }
            self.make_room(&mut store)?;
        }
        let brought = pump.turn()?;
        let mut store = lock(&self.store);
        match brought {
            Brought::Bytes(bytes) => self.append(&mut store, bytes)?,
            Brought::NothingYet => return Ok(()),
            Brought::End(end) => store.end = Some(end),
        }
        drop(store);
        self.arrived.notify_all();
        Ok(())
    }

    /// Gives up the beginning of a stream that is longer than may be kept.
    fn make_room(&self, store: &mut Store) -> Result<(), SourceError> {
        let Some((disk, limit)) = &store.disk else {
            return Ok(());
        };
        if store.len - store.forgotten < *limit {
            return Ok(());
        }
        let needed_from = store.readers.values().copied().min().unwrap_or(store.len);
        let until = needed_from / CHUNK as u64 * CHUNK as u64;
        if until <= store.forgotten || !punch(disk, store.forgotten, until) {
            return Err(SourceError::SpoolFull { path: self.path.clone(), kept: *limit });
        }
        store.forgotten = until;
        Ok(())
    }

    fn append(&self, store: &mut Store, bytes: &[u8]) -> Result<(), SourceError> {
        let failed = |source| SourceError::Spool { path: self.path.clone(), source };
        if store.disk.is_none() && store.len + bytes.len() as u64 > self.memory_bytes as u64 {
            let (disk, free) = temporary_file().map_err(failed)?;
            for (i, chunk) in store.memory.iter().enumerate() {
                disk.write_all_at(chunk, (i * CHUNK) as u64).map_err(failed)?;
            }
            store.memory = Vec::new();
            store.disk = Some((disk, self.disk_bytes.min(free / 2).max(CHUNK as u64)));
        }
        if let Some((disk, _)) = &store.disk {
            disk.write_all_at(bytes, store.len).map_err(failed)?;
        } else {
            let mut rest = bytes;
            while !rest.is_empty() {
                if store.memory.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                    store.memory.push(Vec::with_capacity(CHUNK.min(self.memory_bytes)));
                }
                if let Some(chunk) = store.memory.last_mut() {
                    let (now, later) = rest.split_at(rest.len().min(CHUNK - chunk.len()));
                    chunk.extend_from_slice(now);
                    rest = later;
                }
            }
        }
        store.len += bytes.len() as u64;
        Ok(())
    }

    /// Copies up to a chunk from `at` on to the end of `out`.
    fn copy(&self, store: &Store, at: u64, out: &mut Vec<u8>) -> Result<(), SourceError> {
        let n = usize::try_from(store.len - at).unwrap_or(usize::MAX).min(CHUNK);
        if let Some((disk, _)) = &store.disk {
            let from = out.len();
            out.resize(from + n, 0);
            disk.read_exact_at(&mut out[from..], at).map_err(|source| {
                out.truncate(from);
                SourceError::Spool { path: self.path.clone(), source }
            })?;
        } else {
            let at = at as usize;
            if let Some(chunk) = store.memory.get(at / CHUNK) {
                out.extend_from_slice(&chunk[at % CHUNK..]);
            }
        }
        Ok(())
    }
}

/// [`ByteReader`] over a spool.
struct SpoolReader {
    spool: Arc<Spool>,
    id: u64,
    /// Bytes `from..` of it wait to be consumed.
    buffer: Vec<u8>,
    from: usize,
    /// Offset in the stream of the end of `buffer`.
    at: u64,
    issues: Vec<Issue>,
}

impl SpoolReader {
    fn new(spool: Arc<Spool>) -> Result<Self, SourceError> {
        let mut store = lock(&spool.store);
        if store.forgotten > 0 {
            return Err(SourceError::StreamGone { path: spool.path.clone() });
        }
        let id = store.next_reader;
        store.next_reader += 1;
        store.readers.insert(id, 0);
        drop(store);
        Ok(Self { spool, id, buffer: Vec::new(), from: 0, at: 0, issues: Vec::new() })
    }

    /// Takes over what has arrived. `Some` at the end of the stream.
    fn take_over(&mut self, min: usize) -> Result<Option<End>, SourceError> {
        let mut store = lock(&self.spool.store);
        while self.buffer.len() - self.from < min && self.at < store.len {
            let before = self.buffer.len();
            self.spool.copy(&store, self.at, &mut self.buffer)?;
            self.at += (self.buffer.len() - before) as u64;
        }
        store.readers.insert(self.id, self.at);
        Ok(store.end.filter(|_| self.at == store.len))
    }
}

impl ByteReader for SpoolReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        let min = min.max(1);
        if self.from > 0 && self.buffer.len() - self.from < min {
            self.buffer.drain(..self.from);
            self.from = 0;
        }
        let mut end = self.take_over(min)?;
        if end.is_none() && self.buffer.len() - self.from < min {
            self.spool.want_more_than(self.at)?;
            end = self.take_over(min)?;
        }
        if end == Some(End::Limit) && self.issues.is_empty() {
            self.issues.push(Issue::DeviceLimit { bytes: self.at });
        }
        Ok(Fill { bytes: &self.buffer[self.from..], end: end.is_some() })
    }

    fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.buffer.len() - self.from, "more consumed than was filled");
        self.from = self.buffer.len().min(self.from + n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        Ok(())
    }

    fn issues(&self) -> &[Issue] {
        &self.issues
    }

    fn bytes_read(&self) -> u64 {
        self.at
    }

    fn offset(&self) -> u64 {
        self.at - (self.buffer.len() - self.from) as u64
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        lock(&self.spool.store).readers.remove(&self.id);
    }
}

/// [`ByteReader`] of a virtual file, which is made anew at each opening: nothing to share, nothing to keep.
struct DirectReader {
    pump: Pump,
    buffer: Vec<u8>,
    from: usize,
    end: Option<End>,
    issues: Vec<Issue>,
}

impl DirectReader {
    fn new(pump: Pump) -> Self {
        Self { pump, buffer: Vec::new(), from: 0, end: None, issues: Vec::new() }
    }
}

impl ByteReader for DirectReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        while self.end.is_none() && self.buffer.len() - self.from < min.max(1) {
            self.buffer.drain(..self.from);
            self.from = 0;
            match self.pump.turn()? {
                Brought::Bytes(bytes) => self.buffer.extend_from_slice(bytes),
                Brought::NothingYet => break,
                Brought::End(end) => {
                    self.end = Some(end);
                    if end == End::Limit {
                        self.issues.push(Issue::DeviceLimit { bytes: self.pump.done });
                    }
                }
            }
        }
        Ok(Fill { bytes: &self.buffer[self.from..], end: self.end.is_some() })
    }

    fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.buffer.len() - self.from, "more consumed than was filled");
        self.from = self.buffer.len().min(self.from + n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        Ok(())
    }

    fn issues(&self) -> &[Issue] {
        &self.issues
    }

    fn bytes_read(&self) -> u64 {
        self.pump.done
    }

    fn offset(&self) -> u64 {
        self.pump.done - (self.buffer.len() - self.from) as u64
    }
}

/// A file without a name, readable by us only, that is gone with its last descriptor; and the free space around it.
pub(super) fn temporary_file() -> io::Result<(File, u64)> {
    // `/tmp` is memory on many machines; `/var/tmp` is a disk.
    let folder = match std::env::var_os("TMPDIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ if Path::new("/var/tmp").is_dir() => PathBuf::from("/var/tmp"),
        _ => std::env::temp_dir(),
    };
    let free = free_bytes(&folder)?;
    let unnamed = OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(&folder);
    if let Ok(file) = unnamed {
        return Ok((file, free));
    }
    // File systems without O_TMPFILE: make one that nobody else can have made, and remove its name.
    let mut last = io::Error::from_raw_os_error(libc::EEXIST);
    for n in 0..100 {
        let path = folder.join(format!(".logsql-spool-{}-{n}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok((file, free));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a string that ends with a zero byte, and `stat` is a valid place for the result.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs said that it filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives the disk space of `from..to` back. The offsets of the rest stay what they are.
fn punch(file: &File, from: u64, to: u64) -> bool {
    let (Ok(at), Ok(len)) = (libc::off_t::try_from(from), libc::off_t::try_from(to - from)) else {
        return false;
    };
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the descriptor is open as long as `file` lives.
    unsafe { libc::fallocate(file.as_raw_fd(), mode, at, len) == 0 }
}
