//! Tests of the layer as its callers use it: take a snapshot, open, fill, consume, verify.

mod ahead;
mod archive;
mod beside;
mod change;
mod discovery;
mod offsets;
mod packed;
mod restart;
mod streams;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::*;

/// Every way of reading a plain file.
const EVERY_MODE: [MmapMode; 2] = [MmapMode::Always, MmapMode::Never];

fn options(mmap: MmapMode) -> ReadOptions {
    // The smallest block: as many seams as possible.
    ReadOptions { mmap, block_bytes: 4096, ..ReadOptions::default() }
}

/// Lines that tell their number and their generation.
fn lines(generation: &str, count: usize) -> Vec<u8> {
    let line = |i| format!("{generation} line {i:07} GET /index.html 200\n");
    (0..count).map(line).collect::<String>().into_bytes()
}

fn write(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Makes it look as if nobody had written to it for an hour.
fn seal(path: &Path) {
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(hour_ago).unwrap();
}

/// A file of its own folder; the folder is gone with the first value.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    write(&path, bytes);
    (dir, path)
}

/// All that a reader hands out, `step` bytes at a time.
fn read_to_end(reader: &mut dyn ByteReader, step: usize) -> Result<Vec<u8>, SourceError> {
    let mut all = Vec::new();
    loop {
        let Fill { bytes, end } = reader.fill(step)?;
        let n = bytes.len().min(step);
        let is_last = end && n == bytes.len();
        all.extend_from_slice(&bytes[..n]);
        reader.consume(n);
        reader.verify().unwrap();
        if is_last {
            return Ok(all);
        }
    }
}

/// The content of a file and what was odd about it.
fn read_path(path: &Path, options: &ReadOptions) -> (Vec<u8>, Vec<Issue>) {
    let snapshot = Snapshot::take(path).unwrap();
    let mut reader = open(&snapshot, 0, options).unwrap();
    let bytes = read_to_end(reader.as_mut(), 1000).unwrap();
    (bytes, reader.issues().to_vec())
}

/// A small generator of numbers, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
