//! Files that change while they are read.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::mpsc;

use super::*;

/// Reads on until the end or a change; returns what was verified.
fn read_verified(reader: &mut dyn ByteReader, step: usize) -> (Vec<u8>, Result<(), Change>) {
    let mut verified = Vec::new();
    loop {
        let Fill { bytes, end } = reader.fill(step).unwrap();
        let batch = bytes[..bytes.len().min(step)].to_vec();
        let is_last = end && batch.len() == bytes.len();
        reader.consume(batch.len());
        if let Err(change) = reader.verify() {
            return (verified, Err(change));
        }
        verified.extend_from_slice(&batch);
        if is_last {
            return (verified, Ok(()));
        }
    }
}

fn read_some(reader: &mut dyn ByteReader, n: usize) {
    assert!(reader.fill(n).unwrap().bytes.len() >= n);
    reader.consume(n);
    reader.verify().unwrap();
}

#[test]
fn pages_that_a_truncation_takes_away_read_as_zeros_and_are_reported() {
    let original = lines("one", 5000);
    let (_dir, path) = file("access.log", &original);
    seal(&path);
    let snapshot = Snapshot::take(&path).unwrap();
    let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
    let Fill { bytes, end } = reader.fill(1).unwrap();
    assert!(end && bytes.len() == original.len(), "a sealed file is mapped, all of it");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(5000).unwrap();
    // Without the guard this ends the process.
    assert_eq!(bytes[..5000], original[..5000]);
    assert!(bytes[8192..].iter().all(|b| *b == 0));
    let change = reader.verify().unwrap_err();
    assert_eq!(change, Change { kind: ChangeKind::Truncated, at: 5000 });
    assert_eq!(change.to_string(), "was truncated to 5000 bytes while it was read");
    assert!(reader.fill(1).unwrap().bytes.is_empty());
    assert!(reader.verify().is_err(), "once changed, always changed");
}

#[test]
fn a_file_truncated_and_grown_again_under_the_guard_is_reported_as_replaced() {
    let (_dir, path) = file("access.log", &lines("one", 5000));
    seal(&path);
    let snapshot = Snapshot::take(&path).unwrap();
    let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
    let bytes = reader.fill(1).unwrap().bytes;
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(bytes[100_000], 0);
    write(&path, &lines("two", 9000));
    assert_eq!(reader.verify().unwrap_err().kind, ChangeKind::Replaced);
}

#[test]
fn truncation_at_random_offsets_during_500_scans_never_crashes_and_never_shows_wrong_bytes() {
    let seed = 0x5EED_0001;
    let mut random = Random(seed);
    let original = lines("one", 6000);
    let (_dir, path) = file("access.log", &original);
    let (to_thread, orders) = mpsc::channel::<(usize, usize)>();
    let (done, from_thread) = mpsc::channel();
    let victim = path.clone();
    let truncater = std::thread::spawn(move || {
        for (len, delay) in orders {
            for _ in 0..delay {
                std::hint::spin_loop();
            }
            OpenOptions::new().write(true).open(&victim).unwrap().set_len(len as u64).unwrap();
            done.send(()).unwrap();
        }
    });
    let mut caught = 0;
    for round in 0..500 {
        // A new file: written over, some file systems would put the old one on the disk first.
        fs::remove_file(&path).unwrap();
        write(&path, &original);
        let snapshot = Snapshot::take(&path).unwrap();
        let options = options(EVERY_MODE[round % 2]);
        to_thread.send((random.below(original.len()), random.below(20_000))).unwrap();
        // Scan after scan until it happens, so that it happens in the middle of one, as a rule.
        while let Ok(mut reader) = open(&snapshot, 0, &options) {
            let (verified, outcome) = read_verified(reader.as_mut(), 1 + random.below(60_000));
            assert!(original.starts_with(&verified), "round {round}, seed {seed:#x}: not a prefix");
            match outcome {
                Ok(()) => assert_eq!(verified.len(), original.len(), "round {round}, seed {seed:#x}"),
                Err(change) => {
                    assert_eq!(change.kind, ChangeKind::Truncated, "round {round}, seed {seed:#x}");
                    caught += 1;
                    break;
                }
            }
        }
        from_thread.recv().unwrap();
    }
    drop(to_thread);
    truncater.join().unwrap();
    assert!(caught > 50, "only {caught} of 500 truncations came during a scan: this test tests nothing");
}

#[test]
fn copytruncate_and_growth_past_the_old_size_is_noticed_in_every_mode() {
    for mode in EVERY_MODE {
        // The same header in both generations, as of a W3C log.
        let header = "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n".repeat(40).into_bytes();
        let original = [header.clone(), lines("one", 2000)].concat();
        let (_dir, path) = file("u_ex.log", &original);
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        read_some(reader.as_mut(), 20_000);
        write(&path, &[header, lines("two", 4000)].concat());
        let (verified, outcome) = read_verified(reader.as_mut(), 10_000);
        assert_eq!(outcome.unwrap_err().kind, ChangeKind::Replaced, "{mode:?}");
        assert!(verified.is_empty(), "{mode:?}: bytes of the second generation were passed");
    }
}

#[test]
fn copytruncate_to_the_same_size_within_a_clock_tick_is_noticed() {
    for mode in EVERY_MODE {
        let original = lines("one", 200);
        let (_dir, path) = file("access.log", &original);
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        write(&path, &lines("two", 200));
        let (verified, outcome) = read_verified(reader.as_mut(), 1000);
        assert_eq!(outcome.unwrap_err().kind, ChangeKind::Replaced, "{mode:?}");
        assert!(verified.is_empty());
    }
}

#[test]
fn appended_bytes_are_left_to_the_next_query_and_noted_once() {
    for mode in EVERY_MODE {
        let original = lines("one", 2000);
        let (_dir, path) = file("access.log", &original);
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        let mut verified = Vec::new();
        loop {
            log.write_all(b"one more line\n").unwrap();
            let Fill { bytes, end } = reader.fill(5000).unwrap();
            let n = bytes.len().min(5000);
            let is_last = end && n == bytes.len();
            verified.extend_from_slice(&bytes[..n]);
            reader.consume(n);
            reader.verify().unwrap();
            if is_last {
                break;
            }
        }
        assert_eq!(verified, original, "{mode:?}");
        let grown = reader.issues().iter().filter(|issue| matches!(issue, Issue::Grown { .. })).count();
        assert_eq!(grown, 1, "{mode:?}: {:?}", reader.issues());
    }
}

#[test]
fn a_file_renamed_or_deleted_during_the_read_is_read_to_its_end() {
    for mode in EVERY_MODE {
        let original = lines("one", 2000);
        let (_dir, path) = file("access.log", &original);
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        let begin = reader.fill(5000).unwrap().bytes[..5000].to_vec();
        reader.consume(5000);
        fs::rename(&path, path.with_extension("log.1")).unwrap();
        write(&path, &lines("two", 100));
        reader.verify().unwrap();
        fs::remove_file(path.with_extension("log.1")).unwrap();
        let (rest, outcome) = read_verified(reader.as_mut(), 5000);
        assert_eq!(outcome, Ok(()), "{mode:?}");
        assert_eq!([begin, rest].concat(), original, "{mode:?}");
    }
}

#[test]
fn a_file_rotated_between_snapshot_and_opening_is_found_under_its_new_name() {
    let original = lines("one", 100);
    let (_dir, path) = file("access.log", &original);
    let snapshot = Snapshot::take(&path).unwrap();
    fs::rename(&path, path.with_extension("log.1")).unwrap();
    for step in ["gone", "made anew"] {
        let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
        assert_eq!(read_to_end(reader.as_mut(), 1000).unwrap(), original, "{step}");
        let to = path.with_extension("log.1");
        assert_eq!(reader.issues(), [Issue::Moved { to }], "{step}");
        write(&path, &lines("two", 100));
    }
}

#[test]
fn another_file_under_the_path_is_an_error_when_it_is_opened() {
    let (dir, path) = file("access.log", &lines("one", 100));
    let snapshot = Snapshot::take(&path).unwrap();
    let other = dir.path().join("other");
    write(&other, &lines("two", 200));
    fs::rename(&other, &path).unwrap();
    let error = open(&snapshot, 0, &ReadOptions::default()).err().unwrap();
    assert!(matches!(error, SourceError::Changed { change, .. } if change.kind == ChangeKind::Replaced), "{error}");
    assert!(error.hint().is_some());
    fs::remove_file(&path).unwrap();
    let error = open(&snapshot, 0, &ReadOptions::default()).err().unwrap();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
}

#[test]
fn a_new_log_with_the_inode_number_of_the_old_one_is_not_taken_for_it() {
    let (_dir, path) = file("access.log", &lines("one", 100));
    let snapshot = Snapshot::take(&path).unwrap();
    // The same inode with certainty, which a deletion and a new file have only by chance.
    write(&path, &lines("two", 300));
    let error = open(&snapshot, 0, &ReadOptions::default()).err().unwrap();
    assert!(matches!(error, SourceError::Changed { .. }), "{error}");
}

#[test]
fn a_snapshot_follows_a_file_only_as_far_as_its_size() {
    let original = lines("one", 10);
    let (_dir, path) = file("access.log", &original);
    let snapshot = Snapshot::take(&path).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&lines("more", 10)).unwrap();
    for mode in EVERY_MODE {
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        assert_eq!(read_to_end(reader.as_mut(), 7).unwrap(), original, "{mode:?}");
    }
}

/// What a log can go through, and a reader that looks now and then: whatever it verified is a prefix of the snapshot.
#[test]
fn no_order_of_writes_and_rotations_shows_bytes_of_two_generations() {
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mode = EVERY_MODE[random.below(2)];
        let mut generation = 0;
        let original = lines("g0", 100 + random.below(1000));
        let (_dir, path) = file("access.log", &original);
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        let mut verified = Vec::new();
        let mut is_harmed = false;
        let mut is_own = true;
        let outcome = loop {
            match random.below(12) {
                0 => {
                    let more = lines(&format!("g{generation}"), 1 + random.below(50));
                    let mut log = OpenOptions::new().append(true).create(true).open(&path).unwrap();
                    log.write_all(&more).unwrap();
                }
                1 => {
                    let _ = fs::rename(&path, path.with_extension("log.1"));
                    is_own = false;
                    generation += 1;
                }
                2 if random.below(4) == 0 => {
                    generation += 1;
                    write(&path, &lines(&format!("g{generation}"), random.below(2000)));
                    is_harmed |= is_own;
                }
                3 if random.below(4) == 0 => {
                    let _ = fs::remove_file(&path);
                    is_own = false;
                }
                _ => {}
            }
            let step = 1 + random.below(9000);
            let Fill { bytes, end } = reader.fill(step).unwrap();
            let batch = bytes[..bytes.len().min(step)].to_vec();
            let is_last = end && batch.len() == bytes.len();
            reader.consume(batch.len());
            if let Err(change) = reader.verify() {
                break Err(change);
            }
            verified.extend_from_slice(&batch);
            if is_last {
                break Ok(());
            }
        };
        assert!(original.starts_with(&verified), "seed {seed}: not a prefix");
        match outcome {
            Ok(()) => assert_eq!(verified.len(), original.len(), "seed {seed}: incomplete without a word"),
            Err(change) => assert!(is_harmed, "seed {seed}: {change}, but nothing was done to this file"),
        }
    }
}

/// Runs itself again as the process that is to die.
#[test]
fn a_fault_outside_our_mappings_still_ends_the_process() {
    const MARK: &str = "LOGSQL_TEST_FAULT";
    let (_dir, path) = file("access.log", &lines("one", 5000));
    if std::env::var_os(MARK).is_some() {
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(MmapMode::Always)).unwrap();
        assert!(!reader.fill(1).unwrap().bytes.is_empty(), "the handler is installed");
        let file = File::open(&path).unwrap();
        // SAFETY: it is not, and that is the point: this process ends by the signal.
        let foreign = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        std::hint::black_box(foreign[50_000]);
        return;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::a_fault_outside_our_mappings_still_ends_the_process");
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name])
        .env(MARK, "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
}
