//! What a store does to a disk, in one place, so that tests can make any of it fail.
//!
//! ```text
//!   .tmp-4711-0.logsql ──create, write, sync──► rename ──► sync of the folder
//! ```
//!
//! Only what changes something is here; reading goes the usual ways.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::output::sync_folder;

/// What is done to a disk.
pub trait Disk: Debug + Send + Sync {
    /// A new file; an error if there is one of this name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in whose place there may be one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes what was created, renamed and removed in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder, unless it is there.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait DiskFile: Write + Send {
    /// Makes what was written durable. After an error nobody knows what is on the disk, and asking again may lie.
    fn sync(&mut self) -> io::Result<()>;
}

/// The disk itself.
#[derive(Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        sync_folder(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
