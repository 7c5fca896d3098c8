//! Where reading starts and ends: pieces, holes, byte order marks, encodings.

use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use super::*;

/// Lines of all pieces, each taken by the rule in [`pieces`], as (offset, line).
fn lines_by_pieces(path: &Path, piece_bytes: u64, options: &ReadOptions) -> Vec<(u64, Vec<u8>)> {
    let snapshot = Snapshot::take(path).unwrap();
    let mut all = Vec::new();
    for piece in pieces(&snapshot, piece_bytes).unwrap() {
        let mut reader = open(&snapshot, piece.start, options).unwrap();
        let mut is_inside = reader.begins() == Begins::Middle;
        let mut want = 1;
        while reader.offset() < piece.end || is_inside {
            let at = reader.offset();
            let Fill { bytes, end } = reader.fill(want).unwrap();
            let Some(len) = bytes.iter().position(|b| *b == b'\n').map(|i| i + 1).or_else(|| end.then_some(bytes.len())) else {
                want = bytes.len() + 1;
                continue;
            };
            if len == 0 {
                break;
            }
            if !is_inside {
                all.push((at, bytes[..len].to_vec()));
            }
            is_inside = false;
            want = 1;
            reader.consume(len);
        }
    }
    all
}

#[test]
fn every_line_is_read_once_wherever_the_file_is_cut() {
    let texts: [&[u8]; 5] = [
        b"one\ntwo\n\nthree, longer than a piece\nfour",
        b"\n\n\n",
        b"no line feed at all",
        b"\xEF\xBB\xBFwith a mark\nsecond\n",
        b"",
    ];
    for text in texts {
        let (_dir, path) = file("log", text);
        let whole = lines_by_pieces(&path, u64::MAX, &options(MmapMode::Never));
        let mark = if text.starts_with(b"\xEF") { 3 } else { 0 };
        let joined: Vec<u8> = whole.iter().flat_map(|(_, line)| line.clone()).collect();
        assert_eq!(joined, text[mark..]);
        for (at, line) in &whole {
            assert_eq!(text[*at as usize..][..line.len()], line[..], "offsets are those of the file");
        }
        for mode in EVERY_MODE {
            for piece_bytes in 1..=text.len() as u64 + 1 {
                assert_eq!(lines_by_pieces(&path, piece_bytes, &options(mode)), whole, "{mode:?}, {piece_bytes}");
            }
        }
    }
}

#[test]
fn a_line_longer_than_the_buffer_is_handed_out_whole() {
    let text = [vec![b'x'; 1_000_000], b"\nend\n".to_vec()].concat();
    let (_dir, path) = file("log", &text);
    for mode in EVERY_MODE {
        let snapshot = Snapshot::take(&path).unwrap();
        let mut reader = open(&snapshot, 0, &options(mode)).unwrap();
        reader.consume(0);
        let bytes = reader.fill(1_000_001).unwrap().bytes;
        assert_eq!(bytes[..1_000_001], text[..1_000_001], "{mode:?}");
    }
}

#[test]
fn the_reader_knows_whether_it_begins_at_a_line() {
    let (_dir, path) = file("log", b"ab\ncd\n");
    let snapshot = Snapshot::take(&path).unwrap();
    let expected = [Begins::Line, Begins::Middle, Begins::Middle, Begins::Line, Begins::Middle, Begins::Middle, Begins::Line];
    for mode in EVERY_MODE {
        let begins: Vec<Begins> = (0..=6).map(|start| open(&snapshot, start, &options(mode)).unwrap().begins()).collect();
        assert_eq!(begins, expected, "{mode:?}");
    }
}

#[test]
fn pieces_cover_the_file_and_are_about_equal() {
    let (_dir, path) = file("log", &lines("one", 1000));
    let snapshot = Snapshot::take(&path).unwrap();
    for piece_bytes in [700, 7000, 10_000, 13_000, 100_000] {
        let pieces = pieces(&snapshot, piece_bytes).unwrap();
        assert_eq!(pieces.first().unwrap().start, 0);
        assert_eq!(pieces.last().unwrap().end, snapshot.size);
        for pair in pieces.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        let longest = pieces.iter().map(|piece| piece.end - piece.start).max().unwrap();
        assert!(longest <= piece_bytes + piece_bytes / 2, "{longest} of {piece_bytes}");
    }
}

#[test]
fn a_large_file_that_grows_keeps_its_pieces() {
    let (_dir, path) = file("log", &lines("one", 1000));
    let before = pieces(&Snapshot::take(&path).unwrap(), 700).unwrap();
    std::fs::write(&path, lines("one", 1400)).unwrap();
    let after = pieces(&Snapshot::take(&path).unwrap(), 700).unwrap();
    assert!(before.len() > 40 && after.len() > before.len());
    assert_eq!(before[..before.len() - 2], after[..before.len() - 2]);
}

#[test]
fn an_empty_file_is_one_empty_piece_and_no_problem() {
    let (_dir, path) = file("log", b"");
    let snapshot = Snapshot::take(&path).unwrap();
    assert_eq!((snapshot.kind, pieces(&snapshot, 100).unwrap()), (FileKind::Regular, std::iter::once(0..0).collect()));
    for mode in EVERY_MODE {
        assert_eq!(read_path(&path, &options(mode)), (vec![], vec![]), "{mode:?}");
    }
}

#[test]
fn three_lines_in_a_sparse_tebibyte_are_read_in_no_time() {
    const TIB: u64 = 1 << 40;
    let (_dir, path) = file("sparse.log", b"first line\n");
    let log = File::options().write(true).open(&path).unwrap();
    log.write_all_at(b"second line\nthird line without an end", 512 << 30).unwrap();
    log.set_len(TIB).unwrap();
    let start = Instant::now();
    let snapshot = Snapshot::take(&path).unwrap();
    assert!(snapshot.sparse && snapshot.size == TIB);
    let extents = data_extents(&snapshot).unwrap();
    assert_eq!(extents.len(), 2, "{extents:?}");
    for mode in EVERY_MODE {
        let found = lines_by_pieces(&path, 8 << 20, &options(mode));
        let texts: Vec<&[u8]> = found.iter().map(|(_, line)| trim(line)).filter(|line| !line.is_empty()).collect();
        assert_eq!(texts, [&b"first line\n"[..], b"second line\n", b"third line without an end"], "{mode:?}");
        assert!(found.iter().any(|(at, _)| *at == 512 << 30), "{mode:?}");
    }
    assert!(start.elapsed() < Duration::from_millis(900), "took {:?}", start.elapsed());
}

fn trim(line: &[u8]) -> &[u8] {
    &line[..line.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1)]
}

#[test]
fn a_hole_separates_lines_however_the_file_is_cut() {
    let (_dir, path) = file("holes.log", b"");
    let log = File::options().write(true).open(&path).unwrap();
    // Extents on block borders, with and without a line feed before the hole.
    log.write_all_at(&[b'a'; 4096], 0).unwrap();
    log.write_all_at(&[vec![b'b'; 4095], b"\n".to_vec()].concat(), 1 << 20).unwrap();
    log.write_all_at(&[b'c'; 4096], 2 << 20).unwrap();
    drop(log);
    let expected = [(0, b'a', 4096), (1 << 20, b'b', 4096), (2 << 20, b'c', 4096)];
    for mode in EVERY_MODE {
        for piece_bytes in [1 << 30, 1000, 4096, 5] {
            let found = lines_by_pieces(&path, piece_bytes, &options(mode));
            let found: Vec<_> = found.iter().map(|(at, line)| (*at, line[0], line.len())).collect();
            assert_eq!(found, expected, "{mode:?}, {piece_bytes}");
        }
    }
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(to_bytes).collect()
}

#[test]
fn utf16_arrives_as_utf8() {
    let text: String = (0..5000).map(|i| format!("Zeile {i} größer als 😀\r\n")).collect();
    for (encoding, to_bytes) in
        [(Encoding::Utf16Le, u16::to_le_bytes as fn(u16) -> [u8; 2]), (Encoding::Utf16Be, u16::to_be_bytes)]
    {
        let (_dir, path) = file("log", &utf16(&text, to_bytes));
        let snapshot = Snapshot::take(&path).unwrap();
        assert_eq!((snapshot.encoding, snapshot.is_splittable()), (encoding, false));
        assert_eq!(read_path(&path, &options(MmapMode::Always)), (text.clone().into_bytes(), vec![]));
    }
}

#[test]
fn broken_utf16_is_replaced_and_told() {
    let (_dir, path) = file("log", b"\xFF\xFEa\0\x00\xD8b\0c");
    let (bytes, issues) = read_path(&path, &ReadOptions::default());
    assert_eq!(String::from_utf8(bytes).unwrap(), "a\u{FFFD}b\u{FFFD}");
    assert!(matches!(issues.as_slice(), [Issue::MalformedUtf16 { .. }]), "{issues:?}");
}

#[test]
fn a_utf8_mark_is_skipped_and_counted_at_the_start_only() {
    let text = b"\xEF\xBB\xBFfirst\n\xEF\xBB\xBFsecond\n";
    let (_dir, path) = file("log", text);
    let snapshot = Snapshot::take(&path).unwrap();
    assert_eq!(snapshot.bom_len, 3);
    for mode in EVERY_MODE {
        for start in 0..=3 {
            let mut reader = open(&snapshot, start, &options(mode)).unwrap();
            assert_eq!((reader.offset(), reader.begins()), (3, Begins::Line), "{mode:?}, {start}");
            assert_eq!(read_to_end(reader.as_mut(), 2).unwrap(), text[3..], "{mode:?}, {start}");
        }
        assert_eq!(open(&snapshot, 9, &options(mode)).unwrap().offset(), 9);
    }
}

#[test]
fn utf32_is_refused() {
    let (_dir, path) = file("log", b"\xFF\xFE\0\0a\0\0\0");
    let error = Snapshot::take(&path).unwrap_err();
    assert!(error.to_string().ends_with("cannot read UTF-32 text"), "{error}");
}
