//! Unpacking ahead of the reader, and for several of them.

use super::packed::{KINDS, gz, packed};
use super::*;

/// More than what is unpacked without a thread, and than several blocks.
fn long_text() -> Vec<u8> {
    lines("one", 120_000)
}

/// Where a stretch begins, the number of its first line, and its bytes.
type Read = (u64, u64, Vec<u8>);

/// Reads a shared text by `readers` at once; the stretches in the order of the text.
fn read_shared(path: &Path, readers: usize, options: &ReadOptions) -> (Vec<Read>, Vec<Issue>, u64) {
    let snapshot = Snapshot::take(path).unwrap();
    let text = share(&snapshot, true, None, options).unwrap().expect("large enough");
    let read = || {
        let mut found = Vec::new();
        while let Some(Stretch { start, end, first_line, mut reader }) = text.next_stretch().unwrap() {
            let bytes = read_to_end(reader.as_mut(), 100_000).unwrap();
            assert!(end == u64::MAX || end == start + bytes.len() as u64, "{start}..{end}: {} bytes", bytes.len());
            found.push((start, first_line, bytes, reader.issues().to_vec(), reader.bytes_read()));
        }
        found
    };
    let mut found = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..readers).map(|_| scope.spawn(read)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    found.sort_by_key(|(start, ..)| *start);
    let issues = found.iter().flat_map(|found| found.3.clone()).collect();
    let raw = found.iter().map(|found| found.4).sum();
    (found.into_iter().map(|(start, line, bytes, ..)| (start, line, bytes)).collect(), issues, raw)
}

#[test]
fn a_reader_ahead_hands_out_the_same_bytes_in_steps_of_any_size() {
    let text = long_text();
    let (_dir, path) = file("access.log", &gz(&text));
    let snapshot = Snapshot::take(&path).unwrap();
    for step in [999, 70_000, (1 << 20) - 1, 1 << 20, 3_000_000, text.len()] {
        let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
        let bytes = read_to_end(reader.as_mut(), step).unwrap();
        assert!(bytes == text, "step {step}: {} bytes", bytes.len());
        assert_eq!(reader.offset(), text.len() as u64);
        assert_eq!(reader.bytes_read(), snapshot.size);
        assert_eq!(reader.issues(), []);
    }
}

#[test]
fn a_reader_that_consumes_less_than_it_asks_for_loses_nothing() {
    let text = long_text();
    let (_dir, path) = file("access.log", &gz(&text));
    let mut reader = open(&Snapshot::take(&path).unwrap(), 0, &ReadOptions::default()).unwrap();
    let mut random = Random(7);
    let mut at = 0;
    while at < text.len() {
        let want = 1 + random.below(300_000);
        let Fill { bytes, end } = reader.fill(want).unwrap();
        assert!(text[at..].starts_with(bytes), "at {at}");
        assert!(bytes.len() >= want || end, "at {at}: {} of {want}", bytes.len());
        let n = random.below(bytes.len().min(want) + 1);
        reader.consume(n);
        at += n;
        assert_eq!(reader.offset(), at as u64);
    }
}

#[test]
fn damage_behind_the_first_blocks_is_told_after_all_good_bytes() {
    let text = lines("one", 50_000);
    for kind in KINDS {
        let whole = packed(kind, &text);
        let (_dir, path) = file("access.log", &whole[..whole.len() - 5]);
        let (bytes, issues) = read_path(&path, &ReadOptions::default());
        assert!(text.starts_with(&bytes) && bytes.len() > text.len() / 3, "{kind}: {} bytes", bytes.len());
        assert!(matches!(issues[..], [Issue::Truncated { .. }]), "{kind}: {issues:?}");
    }
}

#[test]
fn a_change_is_noticed_by_the_thread_and_told_to_the_reader() {
    // Digits at random, so that the compressed file is longer than what is read at once.
    let text: Vec<u8> = (0..800_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_string().into_bytes()).collect();
    let (_dir, path) = file("access.log", &gz(&text));
    let mut reader = open(&Snapshot::take(&path).unwrap(), 0, &ReadOptions::default()).unwrap();
    let n = reader.fill(2 << 20).unwrap().bytes.len();
    reader.consume(n);
    reader.verify().unwrap();
    std::fs::write(&path, b"another one\n").unwrap();
    let mut left = 0;
    loop {
        let Fill { bytes, end } = reader.fill(1).unwrap();
        let n = bytes.len();
        left += n;
        reader.consume(n);
        if end && n == 0 {
            break;
        }
    }
    assert_eq!(reader.verify().unwrap_err().kind, ChangeKind::Truncated);
    assert_eq!(reader.verify().unwrap_err().kind, ChangeKind::Truncated);
    assert!(left < text.len() / 2, "{left} bytes after the change");
}

#[test]
fn several_readers_get_each_line_once_with_its_number_and_place() {
    // Numbers at random, or the file would be too small to be shared.
    let text: Vec<u8> = (0..300_000_u32).flat_map(|i| format!("{:08x}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let marked = [b"\xEF\xBB\xBF".to_vec(), text.clone()].concat();
    for readers in [1, 2, 5] {
        let (_dir, path) = file("access.log", &gz(&text));
        let (stretches, issues, raw) = read_shared(&path, readers, &ReadOptions::default());
        assert!(stretches.len() > 2);
        let (mut at, mut line) = (0, 1);
        for (start, first_line, bytes) in &stretches {
            assert_eq!((*start, *first_line), (at as u64, line));
            assert!(text[at..].starts_with(bytes) && (bytes.is_empty() || bytes.ends_with(b"\n")));
            at += bytes.len();
            line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        assert_eq!((at, issues, raw), (text.len(), vec![], Snapshot::take(&path).unwrap().size));
    }
    let (_dir, path) = file("access.log", &gz(&marked));
    let (stretches, ..) = read_shared(&path, 2, &ReadOptions::default());
    assert_eq!(stretches[0].0, 3);
    assert!(stretches[0].2.starts_with(b"00000000\n"));
}

#[test]
fn a_line_longer_than_a_block_is_read_to_the_end_by_one_reader() {
    let noise: Vec<u8> = (0..400_000_u32).flat_map(|i| format!("{:08x}", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let text = [b"first\n".to_vec(), noise, b"\nlast\n".to_vec()].concat();
    let (_dir, path) = file("access.log", &gz(&text));
    for readers in [1, 3] {
        let (stretches, issues, _) = read_shared(&path, readers, &ReadOptions::default());
        assert!(stretches.iter().flat_map(|stretch| stretch.2.clone()).eq(text.iter().copied()), "{readers} readers");
        assert_eq!(issues, []);
    }
}

#[test]
fn a_shared_text_that_is_cut_gives_all_that_can_be_had_and_says_so_once() {
    let text: Vec<u8> = (0..300_000_u32).flat_map(|i| format!("{:08x}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let whole = gz(&text);
    let (_dir, path) = file("access.log", &whole[..whole.len() * 3 / 4]);
    let (alone, _) = read_path(&path, &ReadOptions::default());
    let (stretches, issues, _) = read_shared(&path, 3, &ReadOptions::default());
    assert!(stretches.into_iter().flat_map(|stretch| stretch.2).eq(alone.iter().copied()));
    assert!(matches!(issues[..], [Issue::Truncated { out, .. }] if out == alone.len() as u64), "{issues:?}");
}

#[test]
fn nothing_waits_for_a_reader_that_went_away() {
    let (_dir, path) = file("access.log", &gz(&long_text()));
    for _ in 0..20 {
        let mut reader = open(&Snapshot::take(&path).unwrap(), 0, &ReadOptions::default()).unwrap();
        let n = reader.fill(2 << 20).unwrap().bytes.len();
        reader.consume(n);
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let unpacking =
        || threads().filter(|task| std::fs::read(task.path().join("comm")).is_ok_and(|name| name == b"unpack\n")).count();
    // Other tests have threads of their own, but not as many.
    for _ in 0..100 {
        if unpacking() < 20 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} threads are left", unpacking());
}

#[test]
fn one_thread_unpacks_a_file_however_often_it_is_asked() {
    let text = lines("one", 100_000);
    let (_dir, path) = file("access.log.gz", &gz(&text));
    let snapshot = Snapshot::take(&path).unwrap();
    let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
    let before = crate::source::ahead::STARTED.get();
    assert_eq!(read_to_end(reader.as_mut(), 1000).unwrap(), text);
    assert_eq!(crate::source::ahead::STARTED.get() - before, 1);
}
