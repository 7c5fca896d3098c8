//! Where what was typed is kept: for this user only, and never a reason to stop.
//!
//! `$LOGSQL_HISTORY`, else `$XDG_STATE_HOME/logsql/history`, else `~/.local/state/logsql/history`. An empty
//! `LOGSQL_HISTORY` keeps nothing.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustyline::history::{FileHistory, History, SearchDirection};

use crate::output::sanitise;
use crate::session::xdg_folder;

/// How many entries are kept.
pub(super) const ENTRIES: usize = 10_000;

/// The file, if there is to be one.
pub(super) fn path() -> Option<PathBuf> {
    match std::env::var_os("LOGSQL_HISTORY") {
        Some(path) => (!path.is_empty()).then(|| PathBuf::from(path)),
        None => xdg_folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("history")),
    }
}

/// Makes the file and its folder, readable for this user alone, and loads it.
pub(super) fn load(history: &mut FileHistory, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        // The library would take the permissions of a device away from everybody else.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    if metadata.len() == 0 {
        return Ok(());
    }
    history.load(path).map_err(io::Error::other)?;
    clean(history, path)
}

/// What steers a terminal must not come from a file, whoever wrote it: entries are shown as they are.
fn clean(history: &mut FileHistory, path: &Path) -> io::Result<()> {
    let entries = entries(history);
    if entries.iter().all(|entry| matches!(sanitise(entry), std::borrow::Cow::Borrowed(_))) {
        return Ok(());
    }
    history.clear().map_err(io::Error::other)?;
    for entry in &entries {
        history.add(&sanitise(entry)).map_err(io::Error::other)?;
    }
    history.save(path).map_err(io::Error::other)
}

/// All entries, oldest first.
pub(super) fn entries(history: &FileHistory) -> Vec<String> {
    let entry = |at| history.get(at, SearchDirection::Forward).ok().flatten().map(|found| found.entry.into_owned());
    (0..history.len()).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::Config;

    fn history() -> FileHistory {
        FileHistory::with_config(&Config::builder().max_history_size(ENTRIES).unwrap().build())
    }

    #[test]
    fn the_file_is_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/logsql/history");
        let mut first = history();
        load(&mut first, &path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        first.add("SELECT 1;").unwrap();
        first.append(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut second = history();
        load(&mut second, &path).unwrap();
        assert_eq!((entries(&second), mode(&path)), (vec!["SELECT 1;".to_owned()], 0o600));
    }

    #[test]
    fn hostile_entries_are_made_visible() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        fs::write(&path, "#V2\nSELECT 1;\nSELECT '\x1b]0;owned\x07';\n").unwrap();
        let mut loaded = history();
        load(&mut loaded, &path).unwrap();
        assert_eq!(entries(&loaded), ["SELECT 1;", "SELECT '\\x1b]0;owned\\x07';"]);
        // And later additions are appended to the cleaned file, once.
        loaded.add("SELECT 2;").unwrap();
        loaded.append(&path).unwrap();
        let mut again = history();
        load(&mut again, &path).unwrap();
        assert_eq!(entries(&again).len(), 3);
    }

    #[test]
    fn a_device_is_not_touched() {
        let before = fs::metadata("/dev/null").unwrap().permissions().mode();
        assert!(load(&mut history(), Path::new("/dev/null")).is_err());
        assert_eq!(fs::metadata("/dev/null").unwrap().permissions().mode(), before);
    }
}
