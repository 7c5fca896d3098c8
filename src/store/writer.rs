//! A store that is written: one writer at a time.
//!
//! ```text
//!   temporary files, complete ──rename──► table=…/date=…/17-0.parquet ──sync of the folders──► manifest ──► they are part of the store
//! ```
//!
//! Killed before the manifest is replaced, a writer leaves files that nobody names; the next one removes them. Files that a new manifest
//! does not name any more are removed once no query reads the store.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::error::StoreError;
use super::lock::{ReadLock, WriteLock, without_readers};
use super::manifest::{MANIFEST, Manifest};
use super::write::{NewFile, temporary_in};

/// A store, and the right to write it.
#[derive(Debug)]
pub struct StoreWriter {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) manifest: Manifest,
    _lock: WriteLock,
}

impl StoreWriter {
    /// Opens the store in `folder`, which is made if it is not there. `command` is who we are, for other writers. `raw` is what a new
    /// store keeps.
    pub fn open(folder: &Path, disk: Arc<dyn Disk>, command: &str, raw: bool) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io { verb: "open", path: folder.to_owned(), source };
        disk.make_folder(folder).map_err(failed)?;
        let root = fs::canonicalize(folder).map_err(failed)?;
        let is_new = !root.join(MANIFEST).exists();
        if is_new && fs::read_dir(&root).map_err(failed)?.flatten().any(|entry| !is_ours(&entry.file_name().to_string_lossy())) {
            return Err(StoreError::Occupied { path: folder.to_owned() });
        }
        let lock = WriteLock::take(&root, command)?;
        if !root.join(MANIFEST).exists() {
            Manifest::new(raw).publish(&root, &temporary_in(&root), disk.as_ref())?;
        }
        let manifest = Manifest::read(&root)?;
        let mut writer = Self { root, disk, manifest, _lock: lock };
        writer.sweep();
        writer.remove_old()?;
        Ok(writer)
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Makes files and a change of the manifest part of the store, together.
    pub(super) fn commit(&mut self, files: Vec<NewFile>, change: impl FnOnce(&mut Manifest)) -> Result<(), StoreError> {
        let mut next = self.manifest.clone();
        next.generation += 1;
        change(&mut next);
        let mut named = vec![];
        let published = self
            .name_files(files, &mut next, &mut named)
            .and_then(|()| next.publish(&self.root, &temporary_in(&self.root), self.disk.as_ref()));
        match published {
            Ok(()) => self.manifest = next,
            Err(error) => {
                // Whether the new manifest is there decides what is part of the store.
                match Manifest::read(&self.root) {
                    Ok(found) if found.generation == next.generation => self.manifest = next,
                    Ok(_) => named.iter().for_each(|path| {
                        let _ = self.disk.remove(path);
                    }),
                    Err(_) => {}
                }
                return Err(error);
            }
        }
        self.remove_old()
    }

    /// Gives files their names, and adds them to the manifest.
    fn name_files(&self, files: Vec<NewFile>, next: &mut Manifest, named: &mut Vec<PathBuf>) -> Result<(), StoreError> {
        let mut folders = BTreeSet::new();
        for (number, NewFile { temporary, mut stored }) in files.into_iter().enumerate() {
            let folder = temporary.parent().unwrap_or(&self.root);
            let path = folder.join(format!("{}-{number}.parquet", next.generation));
            let failed = |source| StoreError::Io { verb: "write", path: path.clone(), source };
            if let Err(error) = self.disk.rename(&temporary, &path) {
                let _ = self.disk.remove(&temporary);
                return Err(failed(error));
            }
            named.push(path.clone());
            folders.extend(folder.ancestors().take_while(|above| above.starts_with(&self.root)).map(Path::to_owned));
            stored.name = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy().into_owned();
            next.files.push(stored);
        }
        for folder in folders {
            let failed = |source| StoreError::Io { verb: "sync", path: folder.clone(), source };
            self.disk.sync_folder(&folder).map_err(failed)?;
        }
        let key = |file: &super::manifest::StoredFile| (file.table.clone(), file.day.clone(), file.min_time, file.name.clone());
        next.files.sort_by_cached_key(key);
        Ok(())
    }

    /// Removes what earlier manifests named, if nobody can be reading it.
    fn remove_old(&mut self) -> Result<(), StoreError> {
        if self.manifest.removed.is_empty() {
            return Ok(());
        }
        let remove = || {
            let gone = |name: &String| match self.disk.remove(&self.root.join(name)) {
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
                Ok(()) => true,
            };
            self.manifest.removed.iter().filter(|name| !gone(name)).cloned().collect::<Vec<_>>()
        };
        let Some(left) = without_readers(&self.root, remove) else { return Ok(()) };
        if left.len() < self.manifest.removed.len() {
            // Written with the next change: until then they are removed once more, which does no harm.
            self.manifest.removed = left;
        }
        Ok(())
    }

    /// Removes what a writer left behind that was killed: nobody else writes here.
    fn sweep(&self) {
        let known: BTreeSet<PathBuf> = self
            .manifest
            .files
            .iter()
            .map(|file| &file.name)
            .chain(&self.manifest.removed)
            .map(|name| self.root.join(name))
            .collect();
        let folders = |path: &Path, prefix: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path()).collect()
        };
        let days = folders(&self.root, "table=").into_iter().flat_map(|table| folders(&table, "date="));
        for folder in std::iter::once(self.root.clone()).chain(days) {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_left = is_temporary(&name) || (is_numbered(&name) && folder != self.root);
                if is_left && !known.contains(&entry.path()) {
                    let _ = self.disk.remove(&entry.path());
                }
            }
        }
    }

    /// A lock for reading what is about to be replaced.
    pub(super) fn reading(&self) -> Arc<ReadLock> {
        Arc::new(ReadLock::take(&self.root))
    }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(".tmp-") && name.ends_with(".logsql")
}

/// `17-0.parquet`, as [`StoreWriter`] names files.
fn is_numbered(name: &str) -> bool {
    let numbers = name.strip_suffix(".parquet").and_then(|stem| stem.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(generation, number)| is_number(generation) && is_number(number))
}

/// What a writer may have left in a folder before it was a store.
fn is_ours(name: &str) -> bool {
    is_temporary(name) || matches!(name, ".lock" | ".readers")
}
