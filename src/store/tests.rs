//! A store under rotation, faults and power cuts: every line is in it, or in the logs, once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt as _;
use jiff::tz::TimeZone;

use super::disk::{Disk, DiskFile, RealDisk};
use super::*;
use crate::session::{Session, SessionOptions, TimeWindow};
use crate::source::ReadOptions;
use crate::table::{InputSpec, ScanOptions};

const DAY: i64 = 86_400;
/// 2026-03-09, in seconds since 1970.
const MONDAY: i64 = 1_773_014_400;

struct Room {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    threads: usize,
    piece_bytes: u64,
    sizes: Sizes,
    memory_bytes: usize,
}

impl Room {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime,
            threads: 2,
            piece_bytes: 16 << 20,
            sizes: Sizes::within(1 << 30),
            memory_bytes: 256 << 20,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn session(&self, inputs: &[PathBuf], store: Option<PathBuf>, copies: Copies) -> Session {
        let options = SessionOptions {
            inputs: InputSpec::Args(inputs.iter().map(Into::into).collect()),
            store,
            copies,
            bindings: vec![],
            definition_folders: vec![],
            server_root: None,
            scan: ScanOptions {
                zone: TimeZone::UTC,
                piece_bytes: self.piece_bytes,
                resolve: crate::source::ResolveOptions { recursive: true, ..Default::default() },
                ..ScanOptions::default()
            },
            window: TimeWindow::default(),
            memory_bytes: self.memory_bytes,
            disk_bytes: 1 << 30,
            threads: self.threads,
            shown_zone: None,
            settings: vec![],
            pseudonyms: None,
        };
        Session::try_new(&options).unwrap()
    }

    /// Collects what matches `log*`, and keeps the store tidy.
    fn collect_with(&self, disk: Arc<dyn Disk>, inputs: &[PathBuf], copies: Copies, now: i64) -> Result<Collected, StoreError> {
        let mut writer = StoreWriter::open(&self.store(), disk, "collect", false)?;
        let session = self.session(inputs, Some(self.store()), copies);
        let options = CollectOptions { level: 1, copies, read: ReadOptions::default(), sizes: self.sizes, now };
        let is_complete = copies == Copies::Read;
        let keep_options = KeepOptions { age_s: None, bytes: None, level: 1, now, is_complete };
        self.runtime.block_on(async {
            let collected = collect(&session, &mut writer, &options, &|_, _| {}).await?;
            keep(&session, &mut writer, &keep_options).await?;
            Ok(collected)
        })
    }

    fn collect(&self) -> Collected {
        self.collect_with(Arc::new(RealDisk), &[self.logs()], Copies::Skip, jiff::Timestamp::now().as_second()).unwrap()
    }

    fn logs(&self) -> PathBuf {
        self.path("logs/*log*")
    }

    fn query(&self, session: &Session, sql: &str) -> Vec<String> {
        let statement = session.statements(sql).unwrap().remove(0);
        let batches = self.runtime.block_on(async {
            let answer = session.run(statement).await.map_err(|error| error.message).unwrap();
            answer.rows.try_collect::<Vec<_>>().await.unwrap()
        });
        let mut rows = vec![];
        for batch in &batches {
            let options = FormatOptions::default().with_null("NULL");
            let columns: Vec<_> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|")),
            );
        }
        rows
    }

    /// The requests of the store and of the logs together.
    fn one_table(&self) -> Vec<String> {
        let session = self.session(&[self.logs()], Some(self.store()), Copies::Skip);
        self.query(&session, "SELECT path FROM access_log ORDER BY path")
    }

    /// The requests of the store alone.
    fn stored(&self) -> Vec<String> {
        let session = self.session(&[], Some(self.store()), Copies::Skip);
        self.query(&session, "SELECT path FROM access_log ORDER BY path")
    }
}

fn line(number: usize) -> String {
    let time = jiff::Timestamp::from_second(MONDAY + number as i64 * 61).unwrap();
    let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("192.0.2.{} - - [{time}] \"GET /{number:06} HTTP/1.1\" 200 {} \"-\" \"curl/8\"\n", number % 250, number * 7)
}

fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn paths(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let mut paths: Vec<String> = numbers.into_iter().map(|number| format!("/{number:06}")).collect();
    paths.sort();
    paths
}

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Every Parquet file under its name can be read.
fn assert_all_readable(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_all_readable(&path);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            let file = fs::File::open(&path).unwrap();
            let read = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
                .and_then(|builder| builder.build())
                .map(|reader| reader.map(|batch| batch.map(|batch| batch.num_rows())).collect::<Result<Vec<_>, _>>());
            assert!(matches!(read, Ok(Ok(_))), "{} cannot be read: {read:?}", path.display());
        }
    }
}

#[test]
fn a_store_has_the_rows_of_the_logs() {
    let room = Room::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/logs");
    let inputs = [root];
    room.collect_with(Arc::new(RealDisk), &inputs, Copies::Read, jiff::Timestamp::now().as_second() + DAY).unwrap();
    let (logs, store) = (room.session(&inputs, None, Copies::Read), room.session(&[], Some(room.store()), Copies::Read));
    let mut compared = 0;
    for def in crate::kernel::table::tables() {
        let columns = def.columns.iter().map(|column| column.name).filter(|name| *name != "_raw");
        let columns: Vec<String> = columns.map(|name| format!("\"{name}\"")).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY _file, _offset", columns.join(", "), def.name);
        let (expected, found) = (room.query(&logs, &sql), room.query(&store, &sql));
        assert_eq!(found.len(), expected.len(), "{}", def.name);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{}", def.name);
        }
        compared += expected.len();
        let count = room.query(&store, &format!("SELECT count(*) FROM {}", def.name));
        assert_eq!(count, [expected.len().to_string()], "{}", def.name);
    }
    assert!(compared > 1000, "{compared}");
    // And a second time there is nothing to do.
    let again = room.collect_with(Arc::new(RealDisk), &inputs, Copies::Read, jiff::Timestamp::now().as_second() + DAY).unwrap();
    assert_eq!(again.files, 0, "{:?}", again.rows);
}

#[test]
fn the_files_are_the_same_for_any_number_of_threads() {
    let mut rooms = vec![];
    for (threads, piece_bytes) in [(1, 16 << 20), (2, 4096), (7, 997)] {
        let mut room = Room::new();
        (room.threads, room.piece_bytes) = (threads, piece_bytes);
        rooms.push(room);
    }
    let logs = Room::new();
    let text: String = (0..3000).map(|number| line((number * 7919) % 3000)).collect();
    append(&logs.path("logs/a.log"), &text);
    append(&logs.path("logs/b.log"), &(0..500).map(line).collect::<String>());
    let files_of = |room: &Room| {
        let mut files = BTreeMap::new();
        let manifest = Manifest::read(&room.store()).unwrap();
        for file in manifest.files {
            files.insert(file.name.clone(), fs::read(room.store().join(&file.name)).unwrap());
        }
        files
    };
    for room in &rooms {
        room.collect_with(Arc::new(RealDisk), &[logs.path("logs")], Copies::Read, MONDAY).unwrap();
        assert!(files_of(room) == files_of(&rooms[0]), "{} threads", room.threads);
    }
    assert!(files_of(&rooms[0]).len() >= 3);
}

#[test]
fn a_large_log_is_collected_in_parts() {
    let mut room = Room::new();
    room.sizes = Sizes { unit: 1, part: 10_000, window: 3_000 };
    append(&room.path("logs/access.log"), &(0..2000).map(line).collect::<String>());
    // Rows that come hours late.
    append(&room.path("logs/shuffled.log"), &(0..2000).map(|number| line((number * 7919) % 2000)).collect::<String>());
    let record = |n: usize| {
        format!(
            "2026-03-09 10:{:02}:{:02},123 ERROR com.example.Shop: order {n}\n\tat com.example.Shop.order(Shop.java:{n})\n",
            n / 60,
            n % 60
        )
    };
    append(&room.path("logs/app.log"), &(0..900).map(record).collect::<String>());
    let inputs = [room.path("logs")];
    // Nobody writes to them any more.
    let tomorrow = jiff::Timestamp::now().as_second() + DAY;
    let collected = room.collect_with(Arc::new(RealDisk), &inputs, Copies::Read, tomorrow).unwrap();
    assert!(collected.remarks.is_empty(), "{:?}", collected.remarks);
    let manifest = Manifest::read(&room.store()).unwrap();
    assert!(manifest.generation > 20, "{}", manifest.generation);
    assert_eq!(manifest.sources.len(), 3);
    let (logs, store) = (room.session(&inputs, None, Copies::Read), room.session(&[], Some(room.store()), Copies::Read));
    for (sql, rows) in [
        ("SELECT time, path, bytes, _file, _line, _offset FROM access_log ORDER BY _file, _offset", 4000),
        ("SELECT time, message, stack, _line, _offset FROM app_log ORDER BY _offset", 900),
    ] {
        let found = room.query(&store, sql);
        let expected = room.query(&logs, sql);
        assert_eq!((found.len(), expected.len()), (rows, rows));
        found.iter().zip(&expected).for_each(|(found, expected)| assert_eq!(found, expected));
    }
    let again = room.collect_with(Arc::new(RealDisk), &inputs, Copies::Read, tomorrow).unwrap();
    assert_eq!((again.files, again.known), (0, 3));
}

#[test]
fn what_does_not_fit_into_memory_is_sorted_all_the_same() {
    let mut room = Room::new();
    let rows = 160_000;
    for log in ["a", "b"] {
        let text: String = (0..rows / 2).map(|number| line((number * 7919) % 400)).collect();
        append(&room.path(&format!("logs/{log}.log")), &text);
    }
    let inputs = [room.path("logs")];
    let logs = room.session(&inputs, None, Copies::Read);
    let sql = "SELECT time, path, url, request, _line FROM access_log ORDER BY _file, _offset";
    let expected = room.query(&logs, sql);
    room.memory_bytes = 48 << 20;
    room.collect_with(Arc::new(RealDisk), &inputs, Copies::Read, jiff::Timestamp::now().as_second()).unwrap();
    room.memory_bytes = 1 << 30;
    let store = room.session(&[], Some(room.store()), Copies::Read);
    assert_eq!(expected.len(), rows);
    assert!(room.query(&store, sql) == expected);
    let order = "SELECT count(*) FROM (SELECT time, lag(time) OVER () AS before FROM access_log) WHERE time < before";
    assert_eq!(room.query(&store, order), ["0"], "a file is in order");
}

#[test]
fn a_log_is_collected_once_whatever_becomes_of_its_file() {
    for seed in 0..8 {
        let room = Room::new();
        let mut dice = Dice(seed);
        let log = room.path("logs/access.log");
        let rotated = |n: usize, packed: bool| room.path(&format!("logs/access.log.{n}{}", if packed { ".gz" } else { "" }));
        let shift = |room: &Room| {
            for n in (1..20).rev() {
                for packed in [false, true] {
                    let name = |n: usize| room.path(&format!("logs/access.log.{n}{}", if packed { ".gz" } else { "" }));
                    if name(n).exists() {
                        fs::rename(name(n), name(n + 1)).unwrap();
                    }
                }
            }
        };
        let mut written = 0;
        let mut told = vec![];
        append(&log, "");
        room.collect();
        for _ in 0..30 {
            let action = dice.roll(9);
            told.push(action);
            match action {
                0..=2 => {
                    let count = 1 + dice.roll(40);
                    append(&log, &(written..written + count).map(line).collect::<String>());
                    written += count;
                }
                3 if log.metadata().is_ok_and(|log| log.len() > 0) => {
                    shift(&room);
                    fs::rename(&log, rotated(1, false)).unwrap();
                    append(&log, "");
                }
                4 if log.metadata().is_ok_and(|log| log.len() > 0) => {
                    shift(&room);
                    fs::copy(&log, rotated(1, false)).unwrap();
                    if dice.roll(2) == 0 {
                        // Caught between the two steps of logrotate.
                        room.collect();
                    }
                    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
                }
                5 => {
                    for n in 1..20 {
                        if rotated(n, false).exists() {
                            let text = fs::read(rotated(n, false)).unwrap();
                            let mut packer = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
                            packer.write_all(&text).unwrap();
                            fs::write(rotated(n, true), packer.finish().unwrap()).unwrap();
                            if dice.roll(3) == 0 {
                                room.collect();
                            }
                            fs::remove_file(rotated(n, false)).unwrap();
                        }
                    }
                }
                6 => {
                    // What was collected may go; the inode of the log is used again.
                    room.collect();
                    (1..20).for_each(|n| drop(fs::remove_file(rotated(n, dice.roll(2) == 0))));
                    fs::remove_file(&log).unwrap();
                    append(&log, "");
                }
                7 => {
                    room.collect();
                }
                _ => {
                    // A line that is still being written.
                    let text = line(written);
                    append(&log, &text[..30]);
                    room.collect();
                    append(&log, &text[30..]);
                    written += 1;
                }
            }
            assert_eq!(room.one_table(), paths(0..written), "seed {seed}, actions {told:?}");
        }
        room.collect();
        assert_eq!(room.stored(), paths(0..written), "seed {seed}, actions {told:?}");
    }
}

#[test]
fn a_record_of_several_lines_is_collected_when_it_is_whole() {
    let room = Room::new();
    let log = room.path("logs/app.log");
    let record = |n: usize| format!("2026-03-09 10:00:{n:02},123 ERROR com.example.Shop: order {n} failed\n");
    append(&log, &(0..5).map(record).collect::<String>());
    room.collect();
    append(&log, "java.lang.IllegalStateException: no stock\n\tat com.example.Shop.order(Shop.java:42)\n");
    append(&log, &record(5));
    room.collect();
    append(&log, &record(6));
    room.collect();
    let inputs = [room.logs()];
    let with_store = room.session(&inputs, Some(room.store()), Copies::Skip);
    let without = room.session(&inputs, None, Copies::Skip);
    let sql = "SELECT message, stack, _line, _offset FROM app_log ORDER BY _offset";
    let expected = room.query(&without, sql);
    assert_eq!(expected.len(), 7);
    assert_eq!(room.query(&with_store, sql), expected);
    let sources = room.query(&with_store, "SELECT _source, count(*) FROM app_log GROUP BY 1 ORDER BY 1");
    assert_eq!(sources, ["live|1", "store|6"]);
}

#[test]
fn both_sides_tell_where_rows_come_from_and_are_pruned_by_time() {
    let room = Room::new();
    let log = room.path("logs/access.log");
    append(&log, &(0..3000).map(line).collect::<String>());
    room.collect();
    append(&log, &(3000..3010).map(line).collect::<String>());
    let session = room.session(&[room.logs()], Some(room.store()), Copies::Skip);
    let rows = room.query(&session, "SELECT _source, count(*), min(_line), max(_line) FROM access_log GROUP BY 1 ORDER BY 1");
    assert_eq!(rows, ["live|10|3001|3010", "store|3000|1|3000"]);
    assert_eq!(room.query(&session, "SELECT count(*) FROM access_log WHERE _source = 'live'"), ["10"]);
    assert_eq!(room.query(&session, "SELECT path FROM access_log ORDER BY time DESC LIMIT 2"), ["/003009", "/003008"]);
    let plan =
        room.query(&session, "EXPLAIN SELECT * FROM access_log WHERE time >= '2026-03-10' AND time < '2026-03-10T00:10:00Z'");
    let plan = plan.join("\n");
    assert!(plan.contains("date=2026-03-10") && !plan.contains("date=2026-03-09") && !plan.contains("date=2026-03-11"), "{plan}");
    let star = room.query(&session, "SELECT * FROM access_log LIMIT 1");
    assert!(!star[0].contains("store"), "{star:?}");
    assert_eq!(room.query(&session, "SELECT count(*) FROM access_log a JOIN access_log b USING (path)"), ["3010"]);
}

#[test]
fn two_do_not_write_at_once() {
    let room = Room::new();
    let first = StoreWriter::open(&room.store(), Arc::new(RealDisk), "collect", false).unwrap();
    let second = StoreWriter::open(&room.store(), Arc::new(RealDisk), "convert", false).unwrap_err();
    let told = second.to_string();
    assert!(told.contains(&format!("process {}", std::process::id())) && told.contains("`logsql collect`"), "{told}");
    drop(first);
    StoreWriter::open(&room.store(), Arc::new(RealDisk), "convert", false).unwrap();
}

#[test]
fn a_folder_with_something_else_in_it_is_no_store() {
    let room = Room::new();
    append(&room.path("store/mine.txt"), "mine");
    let refused = StoreWriter::open(&room.store(), Arc::new(RealDisk), "convert", false).unwrap_err();
    assert!(matches!(refused, StoreError::Occupied { .. }), "{refused}");
    assert!(room.path("store/mine.txt").exists());
}

#[test]
fn small_files_become_one_and_old_ones_go_but_not_under_a_query() {
    let room = Room::new();
    let log = room.path("logs/access.log");
    let now = MONDAY + 5 * DAY;
    let mut written = 0;
    for _ in 0..12 {
        append(&log, &(written..written + 400).map(line).collect::<String>());
        written += 400;
        room.collect_with(Arc::new(RealDisk), &[room.logs()], Copies::Skip, now).unwrap();
    }
    let manifest = Manifest::read(&room.store()).unwrap();
    let days = |manifest: &Manifest| {
        manifest.files.iter().filter_map(|file| file.day.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    // Days that are over have one file each.
    assert_eq!(manifest.files.len(), days(&manifest).len(), "{:?}", manifest.files);
    assert_eq!(room.stored(), paths(0..written));
    // A query that has begun keeps what it reads.
    let session = room.session(&[], Some(room.store()), Copies::Skip);
    let statement = session.statements("SELECT path FROM access_log ORDER BY path").unwrap().remove(0);
    let answer = room.runtime.block_on(session.run(statement)).map_err(|error| error.message).unwrap();
    let reader = lock::ReadLock::take(&room.store());
    let mut writer = StoreWriter::open(&room.store(), Arc::new(RealDisk), "collect", false).unwrap();
    let oldest = MONDAY + 2 * DAY;
    let options = KeepOptions { age_s: Some(now - oldest), bytes: None, level: 1, now, is_complete: false };
    let kept = room.runtime.block_on(keep(&session, &mut writer, &options)).unwrap();
    assert!(kept.removed > 0);
    let rows: usize =
        room.runtime.block_on(answer.rows.map_ok(|batch| batch.num_rows()).try_fold(0, |a, b| async move { Ok(a + b) })).unwrap();
    assert_eq!(rows, written);
    drop(session);
    assert_eq!(room.stored(), paths((0..written).filter(|n| *n as i64 * 61 >= 2 * DAY)));
    // Then they go.
    let removed = writer.manifest().removed.iter();
    let old: Vec<String> = removed.filter(|name| room.store().join(name).exists()).cloned().collect();
    assert!(!old.is_empty());
    drop((writer, reader));
    StoreWriter::open(&room.store(), Arc::new(RealDisk), "collect", false).unwrap();
    assert!(old.iter().all(|name| !room.store().join(name).exists()));
    // And by size: nothing is left that is older than what went.
    let session = room.session(&[], Some(room.store()), Copies::Skip);
    let mut writer = StoreWriter::open(&room.store(), Arc::new(RealDisk), "collect", false).unwrap();
    let most = writer.manifest().bytes() / 2 + 1;
    let options = KeepOptions { age_s: None, bytes: Some(most), level: 1, now, is_complete: false };
    room.runtime.block_on(keep(&session, &mut writer, &options)).unwrap();
    assert!(writer.manifest().bytes() <= most && !writer.manifest().files.is_empty());
}

/// A disk that fails at one of its operations, or whose power fails there.
#[derive(Debug)]
struct FaultyDisk {
    fault: Fault,
    state: Arc<Mutex<FaultyState>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Operation number `.0` fails, once.
    Once(usize),
    /// It fails, and all that follow: what was not synced is lost.
    PowerCut(usize),
    /// From there on there is no room.
    Full(usize),
}

#[derive(Debug, Default)]
struct FaultyState {
    done: usize,
    /// What was done at each operation.
    points: Vec<String>,
    /// Files that were not synced.
    unsynced: Vec<PathBuf>,
    /// What happened in folders that were not synced.
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Rename { from: PathBuf, to: PathBuf, old: Option<Vec<u8>> },
    Remove { path: PathBuf, old: Vec<u8> },
}

impl FaultyDisk {
    fn new(fault: Fault) -> Self {
        Self { fault, state: Arc::default() }
    }

    fn point(&self, what: &str, path: &Path) -> io::Result<()> {
        point(self.fault, &self.state, what, path)
    }

    /// What is there when the power comes back.
    fn after_power_cut(&self, dice: &mut Dice) {
        let mut state = self.state.lock().unwrap();
        for change in std::mem::take(&mut state.changes).into_iter().rev() {
            if dice.roll(2) == 0 {
                continue;
            }
            match change {
                Change::Rename { from, to, old } => {
                    if let Ok(text) = fs::read(&to) {
                        fs::write(&from, text).unwrap();
                        match old {
                            Some(old) => fs::write(&to, old).unwrap(),
                            None => fs::remove_file(&to).unwrap(),
                        }
                    }
                }
                Change::Remove { path, old } => fs::write(&path, old).unwrap(),
            }
        }
        for path in std::mem::take(&mut state.unsynced) {
            if let Ok(text) = fs::read(&path) {
                fs::write(&path, &text[..dice.roll(text.len() + 1)]).unwrap();
            }
        }
    }
}

fn point(fault: Fault, state: &Mutex<FaultyState>, what: &str, path: &Path) -> io::Result<()> {
    let mut state = state.lock().unwrap();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kind = if name.starts_with("table=") {
        "table folder"
    } else if name.starts_with("date=") {
        "day folder"
    } else if name == "store" {
        "root"
    } else if path.parent().is_some_and(|parent| parent.ends_with("store")) {
        "manifest"
    } else {
        "part"
    };
    let at = state.done;
    state.done += 1;
    state.points.push(format!("{what} {kind}"));
    let fails = match fault {
        Fault::None => false,
        Fault::Once(n) => at == n,
        Fault::PowerCut(n) => at >= n,
        Fault::Full(n) => at >= n && matches!(what, "create" | "write"),
    };
    match (fails, fault) {
        (false, _) => Ok(()),
        (true, Fault::Full(_)) => Err(io::ErrorKind::StorageFull.into()),
        (true, _) => Err(io::Error::from_raw_os_error(libc::EIO)),
    }
}

struct FaultyFile {
    inner: Box<dyn DiskFile>,
    path: PathBuf,
    fault: Fault,
    state: Arc<Mutex<FaultyState>>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        point(self.fault, &self.state, "write", &self.path)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl DiskFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        point(self.fault, &self.state, "sync", &self.path)?;
        self.inner.sync()?;
        self.state.lock().unwrap().unsynced.retain(|path| *path != self.path);
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.point("create", path)?;
        let inner = RealDisk.create(path)?;
        self.state.lock().unwrap().unsynced.push(path.to_owned());
        Ok(Box::new(FaultyFile { inner, path: path.to_owned(), fault: self.fault, state: Arc::clone(&self.state) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.point("rename", to)?;
        let old = fs::read(to).ok();
        RealDisk.rename(from, to)?;
        let mut state = self.state.lock().unwrap();
        state.unsynced.iter_mut().filter(|path| *path == from).for_each(|path| *path = to.to_owned());
        state.changes.push(Change::Rename { from: from.to_owned(), to: to.to_owned(), old });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.point("remove", path)?;
        let old = fs::read(path)?;
        RealDisk.remove(path)?;
        self.state.lock().unwrap().changes.push(Change::Remove { path: path.to_owned(), old });
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.point("sync", path)?;
        let of = |change: &Change| match change {
            Change::Rename { to, .. } => to.parent() == Some(path),
            Change::Remove { path: removed, .. } => removed.parent() == Some(path),
        };
        self.state.lock().unwrap().changes.retain(|change| !of(change));
        RealDisk.sync_folder(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.point("make", path)?;
        RealDisk.make_folder(path)
    }
}

/// A store that has collected twice, with a third collection to come that also puts small files together.
fn prepared(now: i64) -> (Room, usize) {
    let room = Room::new();
    let log = room.path("logs/access.log");
    append(&log, &(0..300).map(line).collect::<String>());
    room.collect_with(Arc::new(RealDisk), &[room.logs()], Copies::Skip, now).unwrap();
    append(&log, &(300..900).map(line).collect::<String>());
    append(&log, "no format takes this\n");
    (room, 900)
}

/// One run with a fault, and all that has to be true after it.
fn survives(fault: Fault, seed: u64) -> (bool, Vec<String>) {
    let now = MONDAY + 30 * DAY;
    let (room, written) = prepared(now);
    let disk = Arc::new(FaultyDisk::new(fault));
    let result = room.collect_with(Arc::clone(&disk) as Arc<dyn Disk>, &[room.logs()], Copies::Skip, now);
    if matches!(fault, Fault::PowerCut(_)) {
        disk.after_power_cut(&mut Dice(seed));
    }
    let told = format!("{fault:?}, seed {seed}: {:?}", disk.state.lock().unwrap().points);
    assert_all_readable(&room.store());
    // What was not collected is in the log still.
    assert_eq!(room.one_table(), paths(0..written), "{told}");
    room.collect_with(Arc::new(RealDisk), &[room.logs()], Copies::Skip, now).unwrap();
    assert_eq!(room.stored(), paths(0..written), "{told}");
    let session = room.session(&[], Some(room.store()), Copies::Skip);
    assert_eq!(room.query(&session, "SELECT count(*) FROM unparsed"), ["1"], "{told}");
    // Nothing is left that nobody names.
    let manifest = Manifest::read(&room.store()).unwrap();
    let named: Vec<PathBuf> = manifest.files.iter().map(|file| room.store().join(&file.name)).collect();
    let mut found = vec![];
    files_below(&room.store(), &mut found);
    found.retain(|path| !path.ends_with(MANIFEST) && !path.ends_with(".lock") && !path.ends_with(".readers"));
    assert!(found.iter().all(|path| named.contains(path)), "{told}: {found:?}");
    let points = disk.state.lock().unwrap().points.clone();
    (result.is_ok(), points)
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files_below(&path, files),
            path => files.push(path),
        }
    }
}

/// How often each point is tried: `LOGSQL_FAULT_RUNS=20` for a thorough test.
fn runs() -> u64 {
    std::env::var("LOGSQL_FAULT_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1)
}

#[test]
fn a_power_cut_at_any_point_loses_nothing() {
    let (is_ok, points) = survives(Fault::None, 0);
    assert!(is_ok);
    let mut names: Vec<&String> = points.iter().collect();
    names.sort();
    names.dedup();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let places: Vec<usize> = (0..points.len()).filter(|at| points[*at] == *name).collect();
        for seed in 0..runs() {
            let mut dice = Dice(seed ^ name.len() as u64);
            let at = places[dice.roll(places.len())];
            survives(Fault::PowerCut(at), seed);
        }
    }
}

#[test]
fn an_error_at_any_call_loses_nothing() {
    let (_, points) = survives(Fault::None, 0);
    let step = if runs() > 1 { 1 } else { 5 };
    for at in (0..points.len()).step_by(step) {
        survives(Fault::Once(at), 0);
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let (_, points) = survives(Fault::None, 0);
    let step = if runs() > 1 { 1 } else { 9 };
    for at in (0..points.len()).step_by(step) {
        survives(Fault::Full(at), 0);
    }
}
