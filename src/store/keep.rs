//! What becomes of the files of a store: small ones are put together, old ones go away.
//!
//! ```text
//!   one day of a table   ▪▪▪▪▪▪▪▪ ──► ■        as soon as there are eight of about one size
//!   its day is over      ■ ▪ ▪ ■  ──► █        as soon as there are two that are small
//! ```
//!
//! Either way the new manifest names the new files and not the old ones: a query sees all rows once. The old files are removed when
//! nobody reads the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::file::metadata::ParquetMetaDataReader;

use super::collect::write_stream;
use super::error::StoreError;
use super::manifest::StoredFile;
use super::table::StoreTable;
use super::write::{DayFiles, DayFilesArgs, SOURCES_NOTE, Sources, date};
use super::writer::StoreWriter;
use crate::kernel::table::table;
use crate::session::Session;

/// Files of one size that are put together.
const SAME_SIZE: usize = 8;

/// A file that is smaller is put together with others of its day, once that is over.
const SMALL_BYTES: u64 = 64 << 20;

/// The smallest size that is told from others.
const LEAST_BYTES: u64 = 64 << 10;

/// What is kept.
#[derive(Clone, Debug)]
pub struct KeepOptions {
    /// Rows that are not older than so many seconds.
    pub age_s: Option<i64>,
    /// The latest days that fit into so many bytes.
    pub bytes: Option<u64>,
    /// zstd's level.
    pub level: i32,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// All days are over: nothing more will come.
    pub is_complete: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Files that were put together.
    pub merged: usize,
    /// Files that were removed.
    pub removed: usize,
    /// Their rows.
    pub removed_rows: u64,
    /// Their bytes.
    pub removed_bytes: u64,
}

/// Removes what is too old or too much, and puts small files together.
pub async fn keep(session: &Session, writer: &mut StoreWriter, options: &KeepOptions) -> Result<Kept, StoreError> {
    let mut kept = retain(writer, options)?;
    let today = date(options.now.div_euclid(86_400));
    let mut days: BTreeMap<(String, Option<String>), Vec<StoredFile>> = BTreeMap::new();
    for file in &writer.manifest.files {
        days.entry((file.table.clone(), file.day.clone())).or_default().push(file.clone());
    }
    for ((_, day), files) in days {
        let is_over = options.is_complete || day.is_some_and(|day| day < today);
        for together in to_merge(files, is_over) {
            kept.merged += together.len();
            merge(session, writer, together, options.level).await?;
        }
    }
    Ok(kept)
}

/// Which files of one day become one.
fn to_merge(files: Vec<StoredFile>, is_over: bool) -> Vec<Vec<StoredFile>> {
    if is_over {
        let small: Vec<StoredFile> = files.into_iter().filter(|file| file.bytes < SMALL_BYTES).collect();
        return if small.len() > 1 { vec![small] } else { vec![] };
    }
    let mut sizes: BTreeMap<u32, Vec<StoredFile>> = BTreeMap::new();
    for file in files {
        // Each size is eight times the one before.
        sizes.entry((file.bytes.max(LEAST_BYTES) / LEAST_BYTES).ilog2() / 3).or_default().push(file);
    }
    sizes.into_values().filter(|files| files.len() >= SAME_SIZE).collect()
}

async fn merge(session: &Session, writer: &mut StoreWriter, files: Vec<StoredFile>, level: i32) -> Result<(), StoreError> {
    let Some(def) = files.first().and_then(|file| table(&file.table)) else { return Ok(()) };
    let written = files.iter().map(|file| file.written).max().unwrap_or(0);
    let (notes, sources) = notes_of(&writer.root, &files);
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let new = {
        let stored = StoreTable::new(writer.root.clone(), def, files, writer.reading());
        let stream = stored.merged(&session.state(), writer.manifest.raw)?;
        let (root, disk, schema) = (&writer.root, &writer.disk, &stream.schema());
        let args = DayFilesArgs { root, disk, table: def.name, schema, level, notes, sources, written };
        write_stream(stream, DayFiles::try_new(args)?, &writer.disk).await?
    };
    let found: u64 = new.iter().map(|file| file.stored.rows).sum();
    if found != rows {
        super::collect::discard(writer.disk.as_ref(), &new);
        let reason = format!("{} files of {} should have {rows} rows together and have {found}", names.len(), def.name);
        return Err(StoreError::Unreadable { path: writer.root.clone(), reason });
    }
    writer.commit(new, |manifest| {
        manifest.files.retain(|file| !names.contains(&file.name));
        manifest.removed.extend(names);
    })
}

/// What was noted in files, and what of each log that their rows come from.
fn notes_of(root: &Path, files: &[StoredFile]) -> (Vec<(String, String)>, Sources) {
    let mut notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sources = Sources::new();
    for file in files {
        let metadata =
            File::open(root.join(&file.name)).ok().and_then(|file| ParquetMetaDataReader::new().parse_and_finish(&file).ok());
        let Some(metadata) = metadata else { continue };
        for pair in metadata.file_metadata().key_value_metadata().into_iter().flatten() {
            let (true, Some(value)) = (pair.key.starts_with("logsql."), &pair.value) else { continue };
            if pair.key != SOURCES_NOTE {
                let values = notes.entry(pair.key.clone()).or_default();
                values.extend(Some(value.clone()).filter(|value| !values.contains(value)));
                continue;
            }
            for source in serde_json::from_str::<Vec<serde_json::Value>>(value).unwrap_or_default() {
                let Some(path) = source.get("path").and_then(serde_json::Value::as_str) else { continue };
                let known = sources.entry(path.to_owned()).or_default();
                if !known.contains(&source) {
                    known.push(source);
                }
            }
        }
    }
    (notes.into_iter().map(|(key, values)| (key, values.join(" "))).collect(), sources)
}

/// Removes the files of whole days from the manifest.
fn retain(writer: &mut StoreWriter, options: &KeepOptions) -> Result<Kept, StoreError> {
    let mut files: Vec<&StoredFile> = writer.manifest.files.iter().collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.latest()));
    let oldest = options.age_s.map(|age| options.now.saturating_sub(age).saturating_mul(1_000_000));
    let mut bytes = 0u64;
    let mut is_full = false;
    let mut gone = vec![];
    let mut kept = Kept::default();
    for file in files {
        // Once a file does not fit, none that is older stays: a gap would look like a quiet day.
        is_full |= options.bytes.is_some_and(|most| bytes + file.bytes > most);
        let is_old = oldest.is_some_and(|oldest| file.latest() < oldest);
        if is_full || is_old {
            kept.removed += 1;
            kept.removed_rows += file.rows;
            kept.removed_bytes += file.bytes;
            gone.push(file.name.clone());
        } else {
            bytes += file.bytes;
        }
    }
    if !gone.is_empty() {
        writer.commit(vec![], |manifest| {
            manifest.files.retain(|file| !gone.contains(&file.name));
            manifest.removed.extend(gone);
        })?;
    }
    Ok(kept)
}
