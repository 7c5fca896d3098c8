//! FIFOs, devices, virtual files.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::thread::{sleep, spawn};
use std::time::Instant;

use super::*;

fn fifo() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: `name` is a string that ends with a zero byte.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    (dir, path)
}

/// All of a stream, with the longest time that one `fill` took.
fn drain(reader: &mut dyn ByteReader) -> (Vec<u8>, Duration) {
    let (mut all, mut longest) = (Vec::new(), Duration::ZERO);
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let start = Instant::now();
        let Fill { bytes, end } = reader.fill(1).unwrap();
        longest = longest.max(start.elapsed());
        all.extend_from_slice(bytes);
        let n = bytes.len();
        reader.consume(n);
        assert_eq!(reader.offset(), all.len() as u64);
        assert!(start < give_up, "the stream does not end");
        if end {
            return (all, longest);
        }
    }
}

#[test]
fn a_fifo_with_a_slow_writer_is_read_to_its_end_and_never_blocks() {
    let (_dir, path) = fifo();
    let snapshot = Snapshot::take(&path).unwrap();
    assert_eq!((snapshot.kind, snapshot.is_splittable()), (FileKind::Stream, false));
    let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
    // No writer yet: that is not the end.
    let fill = reader.fill(1).unwrap();
    assert!(fill.bytes.is_empty() && !fill.end);
    let writer = spawn(move || {
        let mut fifo = OpenOptions::new().write(true).open(path).unwrap();
        for i in 0..4 {
            fifo.write_all(format!("line {i}\n").as_bytes()).unwrap();
            sleep(Duration::from_millis(150));
        }
    });
    let (all, longest) = drain(reader.as_mut());
    writer.join().unwrap();
    assert_eq!(all, b"line 0\nline 1\nline 2\nline 3\n");
    assert!(longest < Duration::from_millis(400), "one fill took {longest:?}");
}

#[test]
fn two_readers_of_a_stream_see_the_same_bytes_in_memory_and_on_disk() {
    for spool_memory_bytes in [64 << 20, 300_000, 0] {
        let (_dir, path) = fifo();
        let snapshot = Snapshot::take(&path).unwrap();
        let options = ReadOptions { spool_memory_bytes, ..ReadOptions::default() };
        let mut first = open(&snapshot, 0, &options).unwrap();
        let text = lines("one", 50_000);
        let expected = text.clone();
        let writer = spawn(move || OpenOptions::new().write(true).open(path).unwrap().write_all(&text).unwrap());
        let begin = loop {
            let bytes = first.fill(100_000).unwrap().bytes;
            if bytes.len() >= 100_000 {
                break bytes[..100_000].to_vec();
            }
        };
        // The second one starts while the first one is in the middle, and overtakes it.
        let mut second = open(&snapshot, 0, &options).unwrap();
        assert_eq!(drain(second.as_mut()).0, expected);
        assert_eq!(begin, expected[..100_000]);
        assert_eq!(drain(first.as_mut()).0, expected);
        writer.join().unwrap();
        // The next query, after the end.
        let mut third = open(&snapshot, 0, &options).unwrap();
        assert_eq!(drain(third.as_mut()).0, expected);
    }
}

#[test]
fn two_threads_can_read_one_stream_at_once() {
    let (_dir, path) = fifo();
    let snapshot = Snapshot::take(&path).unwrap();
    let text = lines("one", 30_000);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
            spawn(move || drain(reader.as_mut()).0)
        })
        .collect();
    OpenOptions::new().write(true).open(path).unwrap().write_all(&text).unwrap();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), text);
    }
}

#[test]
fn a_stream_longer_than_may_be_kept_is_read_once() {
    let (_dir, path) = fifo();
    let snapshot = Snapshot::take(&path).unwrap();
    let options = ReadOptions { spool_memory_bytes: 0, spool_disk_bytes: 1 << 20, ..ReadOptions::default() };
    let mut reader = open(&snapshot, 0, &options).unwrap();
    let text = lines("one", 150_000);
    let expected = text.clone();
    let writer = spawn(move || OpenOptions::new().write(true).open(path).unwrap().write_all(&text).unwrap());
    assert_eq!(drain(reader.as_mut()).0, expected);
    writer.join().unwrap();
    let error = open(&snapshot, 0, &options).err().unwrap();
    assert!(matches!(error, SourceError::StreamGone { .. }), "{error}");
}

#[test]
fn a_reader_left_far_behind_is_an_error_and_no_endless_file() {
    let (_dir, path) = fifo();
    let snapshot = Snapshot::take(&path).unwrap();
    let options = ReadOptions { spool_memory_bytes: 0, spool_disk_bytes: 1 << 20, ..ReadOptions::default() };
    let mut reader = open(&snapshot, 0, &options).unwrap();
    let _behind = open(&snapshot, 0, &options).unwrap();
    let writer = spawn(move || {
        let mut fifo = OpenOptions::new().write(true).open(path).unwrap();
        // Ends by itself or because nobody reads on.
        let _ = fifo.write_all(&lines("one", 150_000));
    });
    let error = loop {
        match reader.fill(1) {
            Ok(Fill { bytes, end }) => {
                assert!(!end);
                let n = bytes.len();
                reader.consume(n);
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::SpoolFull { .. }), "{error}");
    drop((reader, _behind));
    forget_streams();
    writer.join().unwrap();
}

#[test]
fn forgotten_streams_are_read_anew() {
    let (_dir, path) = fifo();
    let snapshot = Snapshot::take(&path).unwrap();
    for text in ["first\n", "second\n"] {
        let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
        let to = path.clone();
        let writer = spawn(move || OpenOptions::new().write(true).open(to).unwrap().write_all(text.as_bytes()).unwrap());
        assert_eq!(drain(reader.as_mut()).0, text.as_bytes());
        writer.join().unwrap();
        drop(reader);
        forget_streams();
    }
}

#[test]
fn compressed_and_encoded_streams_are_known_by_their_first_bytes() {
    let text = lines("one", 100);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"\xEF\xBB\xBF").unwrap();
    encoder.write_all(&text).unwrap();
    let gzip = encoder.finish().unwrap();
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.iter().flat_map(|b| [*b, 0])).collect();
    for (name, bytes) in [("gzip", gzip), ("utf-16", utf16), ("plain", text.clone())] {
        let (_dir, path) = fifo();
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
        let writer = spawn(move || {
            let mut fifo = OpenOptions::new().write(true).open(path).unwrap();
            // The bytes that tell come one by one.
            for b in &bytes[..12] {
                fifo.write_all(&[*b]).unwrap();
                sleep(Duration::from_millis(2));
            }
            fifo.write_all(&bytes[12..]).unwrap();
        });
        let mut all = Vec::new();
        loop {
            let Fill { bytes, end } = reader.fill(1).unwrap();
            all.extend_from_slice(bytes);
            let n = bytes.len();
            reader.consume(n);
            if end {
                break;
            }
        }
        writer.join().unwrap();
        assert_eq!(all, text, "{name}");
        assert!(reader.issues().is_empty(), "{name}");
    }
}

#[test]
fn a_device_without_an_end_is_stopped_at_the_limit() {
    let snapshot = Snapshot::take(Path::new("/dev/zero")).unwrap();
    assert_eq!(snapshot.kind, FileKind::Stream);
    let options = ReadOptions { device_limit: 3_000_000, ..ReadOptions::default() };
    let mut reader = open(&snapshot, 0, &options).unwrap();
    assert_eq!(drain(reader.as_mut()).0.len(), 3_000_000);
    assert_eq!(reader.issues(), [Issue::DeviceLimit { bytes: 3_000_000 }]);
    assert_eq!(read_path(Path::new("/dev/null"), &options), (vec![], vec![]));
}

#[test]
fn a_virtual_file_without_a_size_is_read_to_its_end_each_time() {
    let path = Path::new("/proc/version");
    let snapshot = Snapshot::take(path).unwrap();
    assert_eq!((snapshot.kind, snapshot.size), (FileKind::Stream, 0));
    let mut expected = Vec::new();
    File::open(path).unwrap().read_to_end(&mut expected).unwrap();
    assert!(!expected.is_empty());
    for _ in 0..2 {
        assert_eq!(read_path(path, &ReadOptions::default()), (expected.clone(), vec![]));
    }
    // One that claims a page and has less.
    let sysfs = Path::new("/sys/kernel/mm/transparent_hugepage/enabled");
    if sysfs.exists() {
        let (bytes, issues) = read_path(sysfs, &ReadOptions::default());
        assert!(bytes.ends_with(b"\n") && issues.is_empty());
    }
}

#[test]
fn a_socket_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = Snapshot::take(&path).unwrap_err();
    assert!(error.to_string().ends_with("cannot read a socket"), "{error}");
}

/// Runs itself again with another standard input.
#[test]
fn standard_input_is_read_from_where_it_is_by_every_reader() {
    const MARK: &str = "LOGSQL_TEST_STDIN";
    let text = lines("one", 3000);
    if let Some(kind) = std::env::var_os(MARK) {
        let snapshot = Snapshot::take(Path::new("-")).unwrap();
        let is_file = kind == "file";
        assert_eq!(snapshot.kind == FileKind::Regular, is_file);
        assert_eq!(snapshot.is_splittable(), is_file, "a file behind it can be cut");
        let from = if kind == "rest" { 9 } else { 0 };
        let mut readers = [0, 0].map(|start| open(&snapshot, start, &ReadOptions::default()).unwrap());
        for reader in &mut readers {
            assert_eq!(drain(reader.as_mut()).0, text[from..]);
        }
        return;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::standard_input_is_read_from_where_it_is_by_every_reader");
    let (_dir, path) = file("access.log", &text);
    for kind in ["pipe", "file", "rest"] {
        let mut stdin = File::open(&path).unwrap();
        if kind == "rest" {
            stdin.read_exact(&mut [0; 9]).unwrap();
        }
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &name]).env(MARK, kind).stdout(std::process::Stdio::null());
        let status = if kind == "pipe" {
            let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&text).unwrap();
            child.wait().unwrap()
        } else {
            command.stdin(stdin).status().unwrap()
        };
        assert!(status.success(), "{kind}: {status}");
    }
}
