//! Files of a server's configuration, for [`import`](crate::kernel::format::import): small, regular, and not too many.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::glob;
use crate::kernel::format::import::{ConfigFile, ConfigFiles};

/// Bytes of one file, bytes of all, and files at most: real ones are far below.
const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_BYTES: u64 = 16 << 20;
const MAX_FILES: usize = 2000;

/// Reads files below a root.
#[derive(Debug)]
pub struct ConfigReader {
    root: PathBuf,
    bytes_left: u64,
    files_left: usize,
}

impl ConfigReader {
    /// Reads files below `root`: `/`, or an image of another machine.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), bytes_left: MAX_BYTES, files_left: MAX_FILES }
    }

    /// One file by its path below the root. `None` if there is none; why it cannot be read is a note.
    pub fn file(&mut self, path: &str, notes: &mut Vec<String>) -> Option<ConfigFile> {
        let place = self.below(path);
        // A FIFO would keep us waiting, a device would never end.
        if !place.metadata().ok()?.is_file() {
            return None;
        }
        if self.files_left == 0 || self.bytes_left == 0 {
            if self.files_left > 0 {
                self.files_left = 0;
                notes.push(format!("{path}: the configuration has too many files, or too large ones; the rest is not read"));
            }
            return None;
        }
        self.files_left -= 1;
        let limit = MAX_FILE_BYTES.min(self.bytes_left);
        let mut bytes = vec![];
        if let Err(error) = File::open(&place).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            notes.push(format!("{path}: cannot be read: {error}"));
            return None;
        }
        self.bytes_left -= bytes.len() as u64;
        if bytes.len() as u64 == limit {
            notes.push(format!("{path}: is larger than a configuration is; its end is not read"));
        }
        Some(ConfigFile { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl ConfigFiles for ConfigReader {
    fn read(&mut self, pattern: &str, notes: &mut Vec<String>) -> Vec<ConfigFile> {
        if !glob::is_pattern(pattern.as_ref()) {
            return self.file(pattern, notes).into_iter().collect();
        }
        let root = glob::escape(&self.root);
        let expansion = glob::expand(&root.join(pattern.trim_start_matches('/')));
        for (folder, error) in &expansion.errors {
            notes.push(format!("{}: cannot be read: {error}", folder.display()));
        }
        let paths = expansion.paths.iter().filter_map(|path| {
            let inside = path.strip_prefix(&self.root).ok()?.to_str()?;
            Some(format!("/{inside}"))
        });
        let paths: Vec<String> = paths.collect();
        paths.iter().filter_map(|path| self.file(path, notes)).collect()
    }

    fn is_folder(&mut self, path: &str) -> bool {
        self.below(path).is_dir()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_read_below_the_root_and_bounded() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("etc/x");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("b.conf"), b"b \xff").unwrap();
        fs::write(folder.join("a.conf"), b"a").unwrap();
        fs::write(folder.join("big.txt"), vec![b'x'; 2 << 20]).unwrap();
        let mut reader = ConfigReader::new(root.path());
        let mut notes = vec![];
        let found = reader.read("/etc/x/*.conf", &mut notes);
        let found: Vec<(&str, &str)> = found.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
        assert_eq!(found, [("/etc/x/a.conf", "a"), ("/etc/x/b.conf", "b \u{fffd}")]);
        assert!(reader.is_folder("/etc/x/sub") && !reader.is_folder("/etc/x/a.conf"));
        assert!(
            reader.read("/etc/x/none", &mut notes).is_empty()
                && reader.read("/etc/x/sub", &mut notes).is_empty()
                && notes.is_empty()
        );
        assert_eq!(reader.read("/etc/x/big.txt", &mut notes)[0].text.len(), 1 << 20);
        assert_eq!(notes, ["/etc/x/big.txt: is larger than a configuration is; its end is not read"]);
    }
}
