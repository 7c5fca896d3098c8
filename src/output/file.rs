//! A result in a file: there as a whole, or not at all.
//!
//! ```text
//!   out.parquet   ◄── rename ◄── .tmp-4711-0.logsql     create, write, fsync, read the footer back
//!       │                            │
//!       └─ fsync of the folder       └─ removed on an error, and when the query is cancelled (Drop)
//! ```
//!
//! So a reader never sees half a result under the name that was asked for, a full disk leaves the old file as it was,
//! and after a power cut there is the old file or the new one. The temporary file of a process that was killed is removed
//! by the next one that writes into the folder a day later. What is not a regular file (a pipe, a device) is written to directly.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::execution::SendableRecordBatchStream;
use parquet::file::metadata::ParquetMetaDataReader;

use super::{OutputError, OutputFormat, OutputOptions, Target, Written, write_named};

const PREFIX: &str = ".tmp-";
const SUFFIX: &str = ".logsql";

/// A temporary file of a process that is gone is removed after this time; a process of that number may live in another
/// container that shares the folder.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells the temporary files of one process apart.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Writes a result to a file, which appears under its name when it is complete and on the disk.
///
/// A file that was there is replaced, and keeps its permissions; a symbolic link is followed. On an error, and if the
/// future is dropped, the file that was there is untouched and no other is left behind.
pub async fn write_file(stream: SendableRecordBatchStream, path: &Path, options: &OutputOptions) -> Result<Written, OutputError> {
    let options = OutputOptions { target: Target::File, width: None, ..options.clone() };
    let place = Place::of(path)?;
    let temporary = match place.open()? {
        Opened::Temporary(temporary) => temporary,
        Opened::Device(mut device) => {
            let options = OutputOptions { target: Target::Pipe, ..options };
            return write_named(stream, &mut device, &options, &place.name).await;
        }
    };
    let mut buffered = BufWriter::with_capacity(256 * 1024, &temporary.file);
    let written = write_named(stream, &mut buffered, &options, &place.name).await?;
    buffered.flush().map_err(|source| place.failed(source))?;
    drop(buffered);
    let rows = (options.format == OutputFormat::Parquet).then_some(written.rows);
    place.publish(temporary, rows)?;
    Ok(written)
}

/// Writes what is in memory to a file, in the same way.
pub fn write_whole(content: impl AsRef<[u8]>, path: &Path) -> Result<(), OutputError> {
    let place = Place::of(path)?;
    match place.open()? {
        Opened::Device(mut device) => device.write_all(content.as_ref()).map_err(|source| place.failed(source)),
        Opened::Temporary(mut temporary) => {
            temporary.file.write_all(content.as_ref()).map_err(|source| place.failed(source))?;
            place.publish(temporary, None)
        }
    }
}

/// Where a file goes, and what is there already.
struct Place {
    path: PathBuf,
    name: String,
    old: Option<fs::Metadata>,
}

enum Opened {
    /// A pipe, a device: written to directly.
    Device(File),
    Temporary(Temporary),
}

impl Place {
    fn of(path: &Path) -> Result<Self, OutputError> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut place = Self { name: path.display().to_string(), path, old: None };
        match fs::metadata(&place.path) {
            Ok(metadata) if metadata.is_dir() => return Err(place.failed(io::ErrorKind::IsADirectory.into())),
            Ok(metadata) => place.old = Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(place.failed(error)),
        }
        Ok(place)
    }

    fn failed(&self, source: io::Error) -> OutputError {
        OutputError::Write { target: self.name.clone(), source }
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
    }

    fn open(&self) -> Result<Opened, OutputError> {
        if self.old.as_ref().is_some_and(|old| !old.is_file()) {
            let device = OpenOptions::new().write(true).open(&self.path);
            return device.map(Opened::Device).map_err(|source| self.failed(source));
        }
        sweep(self.folder());
        let temporary = Temporary::create(self.folder()).map_err(|source| self.failed(source))?;
        if let Some(old) = &self.old {
            // Best effort: on a file system without permissions the result matters more.
            let _ = temporary.file.set_permissions(old.permissions());
        }
        Ok(Opened::Temporary(temporary))
    }

    /// Makes a file that is complete the one of this name; a Parquet file if it has so many rows.
    fn publish(&self, temporary: Temporary, rows: Option<u64>) -> Result<(), OutputError> {
        let failed = |source| self.failed(source);
        // After a failed fsync nobody knows what is on the disk, and a second one may lie: the file is given up.
        temporary.file.sync_all().map_err(failed)?;
        if let Some(rows) = rows {
            verify(&temporary.path, &self.name, rows)?;
        }
        temporary.publish(&self.path).map_err(failed)?;
        sync_folder(self.folder()).map_err(failed)
    }
}

/// Reads the footer back: a file that cannot be opened must not replace one that can.
fn verify(path: &Path, name: &str, rows: u64) -> Result<(), OutputError> {
    let unreadable = |reason: String| OutputError::Unreadable { path: name.to_owned(), reason };
    let file = File::open(path).map_err(|source| OutputError::Write { target: name.to_owned(), source })?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| unreadable(error.to_string()))?;
    match u64::try_from(metadata.file_metadata().num_rows()) {
        Ok(found) if found == rows => Ok(()),
        found => Err(unreadable(format!("it should have {rows} rows and says {}", found.unwrap_or(0)))),
    }
}

/// A file that is removed unless it is published.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(folder: &Path) -> io::Result<Self> {
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{PREFIX}{}-{number}{SUFFIX}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                // Left by a killed process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn publish(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.path.clear();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Nobody is left to be told; the next writer sweeps.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a rename durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync a folder; a rename there is as durable as they make it.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP | libc::EBADF)) => Ok(()),
        result => result,
    }
}

/// Removes the temporary files of processes that are gone. What cannot be looked at or removed stays.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let is_stale = entry.file_name().to_str().and_then(owner).is_some_and(|pid| !is_alive(pid))
            && entry
                .metadata()
                .ok()
                .filter(fs::Metadata::is_file)
                .and_then(|metadata| metadata.modified().ok()?.elapsed().ok())
                .is_some_and(|age| age > STALE_AFTER);
        if is_stale {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The process that a name of ours belongs to.
fn owner(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
    number.parse::<u64>().ok()?;
    pid.parse().ok()
}

fn is_alive(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 sends nothing, and `kill` touches no memory of ours.
    let found = unsafe { libc::kill(pid, 0) } == 0;
    found || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}
