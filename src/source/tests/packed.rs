//! Compressed files: whole, cut, damaged, of many members.

use std::fs::{self, OpenOptions};
use std::io::Read as _;

use flate2::write::GzEncoder;
use flate2::{Compression as Level, GzBuilder};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::*;

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read_gz(bytes: &[u8]) -> (Vec<u8>, Vec<Issue>) {
    // The name says nothing.
    let (_dir, path) = file("access.log", bytes);
    read_path(&path, &options(MmapMode::Auto))
}

#[test]
fn content_decides_what_is_compressed_and_not_the_name() {
    let text = lines("one", 10);
    let (_dir, path) = file("access.log.gz", &text);
    assert_eq!(Snapshot::take(&path).unwrap().compression, Compression::None);
    assert_eq!(read_path(&path, &ReadOptions::default()), (text.clone(), vec![]));
    let (_dir, path) = file("access.log", &gz(&text));
    assert_eq!(Snapshot::take(&path).unwrap().compression, Compression::Gzip);
    assert_eq!(read_path(&path, &ReadOptions::default()), (text, vec![]));
}

#[test]
fn all_members_are_read() {
    let (one, two, three) = (lines("one", 3000), lines("two", 1), lines("three", 500));
    let members = [gz(&one), gz(&two), gz(b""), gz(&three)].concat();
    assert_eq!(read_gz(&members), ([one, two, three].concat(), vec![]));
}

#[test]
fn every_part_of_a_header_is_skipped() {
    let builder = GzBuilder::new().filename("access.log").comment("a comment").extra(&[7; 300][..]).mtime(1_700_000_000);
    let mut encoder = builder.write(Vec::new(), Level::fast());
    encoder.write_all(b"hello\n").unwrap();
    let bytes = encoder.finish().unwrap();
    assert_eq!(read_gz(&bytes), (b"hello\n".to_vec(), vec![]));
    let (_dir, path) = file("access.log", &bytes);
    assert_eq!(Snapshot::take(&path).unwrap().time_hint_ns(), 1_700_000_000_000_000_000);
}

#[test]
fn a_file_cut_at_any_byte_gives_all_that_is_in_it_and_says_so() {
    let text = lines("one", 120);
    let whole = gz(&text);
    let members = [gz(&lines("zero", 3)), whole.clone()].concat();
    let first = members.len() - whole.len();
    let expected = [lines("zero", 3), text].concat();
    for cut in 2..members.len() {
        let (bytes, issues) = read_gz(&members[..cut]);
        // What a plain decoder can get out of the same bytes.
        let mut reference = Vec::new();
        let _ = flate2::read::MultiGzDecoder::new(&members[..cut]).read_to_end(&mut reference);
        assert!(expected.starts_with(&bytes), "cut at {cut}");
        assert!(bytes.len() >= reference.len(), "cut at {cut}: {} < {}", bytes.len(), reference.len());
        let is_between_members = cut == first;
        match issues.as_slice() {
            [] => assert!(is_between_members, "cut at {cut} without a word"),
            [Issue::Truncated { kind: Compression::Gzip, at, out }] => {
                assert_eq!((*at, *out), (cut as u64, bytes.len() as u64), "cut at {cut}");
                assert!(!is_between_members, "cut at {cut}");
            }
            // One byte of a second member is not known to be one.
            [Issue::TrailingGarbage { .. }] => {
                panic!("cut at {cut}: a cut member taken for garbage")
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn zeros_and_garbage_after_the_last_member_are_told_and_ignored() {
    let text = lines("one", 100);
    let whole = gz(&text);
    let at = whole.len() as u64;
    let cases: [(&str, &[u8], &[Issue]); 5] = [
        ("zeros", &[0; 9000], &[Issue::ZeroPadding { at, bytes: 9000 }]),
        ("garbage", b"x", &[Issue::TrailingGarbage { at }]),
        ("long garbage", &[b'x'; 9000], &[Issue::TrailingGarbage { at }]),
        ("almost a member", &[0x1F, 0x8B, 8, 0xFF, 0, 0, 0, 0, 0, 0, 0], &[Issue::TrailingGarbage { at }]),
        ("both", b"\0\0x", &[Issue::ZeroPadding { at, bytes: 2 }, Issue::TrailingGarbage { at: at + 2 }]),
    ];
    for (name, after, expected) in cases {
        let (bytes, issues) = read_gz(&[&whole, after].concat());
        assert_eq!(bytes, text, "{name}");
        assert_eq!(issues, expected, "{name}");
    }
}

#[test]
fn members_after_padding_are_read() {
    let (one, two) = (lines("one", 10), lines("two", 10));
    let (bytes, issues) = read_gz(&[gz(&one), vec![0; 512], gz(&two)].concat());
    assert_eq!(bytes, [one, two].concat());
    assert!(matches!(issues.as_slice(), [Issue::ZeroPadding { bytes: 512, .. }]), "{issues:?}");
}

#[test]
fn a_wrong_checksum_or_length_is_told_after_the_bytes_and_the_next_member_is_read() {
    let (one, two) = (lines("one", 10), lines("two", 10));
    for from_end in [8, 1] {
        let mut damaged = gz(&one);
        let at = damaged.len() - from_end;
        damaged[at] ^= 0x55;
        let end = damaged.len() as u64;
        let (bytes, issues) = read_gz(&[damaged, gz(&two)].concat());
        assert_eq!(bytes, [one.clone(), two.clone()].concat());
        assert_eq!(issues, [Issue::Checksum { at: end }]);
    }
}

#[test]
fn damage_in_the_data_ends_the_file_with_the_good_bytes_first() {
    let text: Vec<u8> = (0..40_000_u32).flat_map(|i| format!("{:08x}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let whole = gz(&text);
    for flip in [whole.len() / 2, whole.len() / 3, 12] {
        let mut damaged = whole.clone();
        for b in &mut damaged[flip..flip + 8] {
            *b = !*b;
        }
        let (bytes, issues) = read_gz(&damaged);
        let good = bytes.iter().zip(&text).take_while(|(a, b)| a == b).count();
        // Hexadecimal digits at random take more than half a byte each, so as many bytes came out as went in.
        let is_in_first_block = flip < 100;
        assert!(is_in_first_block || good > flip * 9 / 10, "flip at {flip}: only {good} good bytes");
        assert!(issues.iter().any(|issue| issue.severity() == Severity::Loss), "flip at {flip}: {issues:?}");
    }
}

#[test]
fn a_bomb_is_stopped_after_the_limit_and_only_then() {
    let bomb = gz(&vec![0; 3 << 20]);
    let (_dir, path) = file("bomb.gz", &bomb);
    let limit = |decompress_limit| ReadOptions { decompress_limit, ..ReadOptions::default() };
    let (bytes, issues) = read_path(&path, &limit(DecompressLimit::Ratio { ratio: 1000, after_bytes: 512 << 10 }));
    assert!((512 << 10..2 << 20).contains(&bytes.len()), "{}", bytes.len());
    assert!(matches!(issues.as_slice(), [Issue::DecompressLimit { out, .. }] if *out == bytes.len() as u64));
    for fine in
        [DecompressLimit::Unlimited, DecompressLimit::default(), DecompressLimit::Ratio { ratio: 1100, after_bytes: 512 << 10 }]
    {
        let (bytes, issues) = read_path(&path, &limit(fine));
        assert_eq!((bytes.len(), issues), (3 << 20, vec![]), "{fine:?}");
    }
}

#[test]
fn ordinary_text_that_compresses_well_is_no_bomb() {
    let text = b"127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1\n".repeat(10_000);
    let (_dir, path) = file("access.log.gz", &gz(&text));
    let decompress_limit = DecompressLimit::Ratio { ratio: 1000, after_bytes: 0 };
    let options = ReadOptions { decompress_limit, ..ReadOptions::default() };
    assert_eq!(read_path(&path, &options), (text, vec![]));
}

#[test]
fn a_piece_that_does_not_start_at_zero_is_empty() {
    let (_dir, path) = file("access.log.gz", &gz(&lines("one", 1000)));
    let snapshot = Snapshot::take(&path).unwrap();
    assert_eq!(pieces(&snapshot, 100).unwrap().len(), 1);
    let mut reader = open(&snapshot, 100, &ReadOptions::default()).unwrap();
    let fill = reader.fill(1).unwrap();
    assert!(fill.bytes.is_empty() && fill.end);
}

#[test]
fn a_compressed_file_that_is_replaced_during_the_read_is_noticed() {
    let text: Vec<u8> = (0..90_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_string().into_bytes()).collect();
    let (_dir, path) = file("access.log.gz", &gz(&text));
    let snapshot = Snapshot::take(&path).unwrap();
    let mut reader = open(&snapshot, 0, &options(MmapMode::Auto)).unwrap();
    assert!(!reader.fill(1).unwrap().end, "the file is longer than what is read at once");
    fs::write(&path, gz(&lines("two", 9))).unwrap();
    assert_eq!(reader.verify().unwrap_err().kind, ChangeKind::Truncated);
    assert!(reader.fill(1).unwrap().bytes.is_empty());
}

#[test]
fn a_member_appended_after_the_snapshot_waits_for_the_next_query() {
    let text = lines("one", 10);
    let (_dir, path) = file("access.log.gz", &gz(&text));
    let snapshot = Snapshot::take(&path).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&gz(b"more\n")).unwrap();
    let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
    assert_eq!(read_to_end(reader.as_mut(), 100).unwrap(), text);
    assert!(matches!(reader.issues(), [Issue::Grown { .. }]), "{:?}", reader.issues());
}

#[test]
fn offsets_count_uncompressed_bytes_and_bytes_read_compressed_ones() {
    let text = lines("one", 5000);
    let bytes = gz(&text);
    let (_dir, path) = file("access.log.gz", &bytes);
    let snapshot = Snapshot::take(&path).unwrap();
    let mut reader = open(&snapshot, 0, &ReadOptions::default()).unwrap();
    let first = reader.fill(100_000).unwrap().bytes[99_990..100_000].to_vec();
    reader.consume(99_990);
    assert_eq!(reader.offset(), 99_990);
    assert_eq!(first, text[99_990..100_000]);
    read_to_end(reader.as_mut(), 1 << 20).unwrap();
    assert_eq!(reader.offset(), text.len() as u64);
    assert_eq!(reader.bytes_read(), bytes.len() as u64);
}

#[test]
fn other_packed_files_are_refused_with_the_command_that_unpacks_them() {
    let cases: [(&str, Vec<u8>); 3] = [
        ("old lz4", vec![0x02, 0x21, 0x4C, 0x18, 0, 0]),
        ("7z", b"7z\xBC\xAF\x27\x1C\0\0".to_vec()),
        ("compressed zip", gz(b"PK\x03\x04\0\0\0\0")),
    ];
    for (name, bytes) in cases {
        let (_dir, path) = file("log", &bytes);
        let error = Snapshot::take(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("cannot read {name} files")), "{error}");
        assert!(error.hint().unwrap().contains("| logsql"), "{:?}", error.hint());
    }
}

fn lz4_frame(bytes: &[u8], mode: BlockMode) -> Vec<u8> {
    let info = FrameInfo::new().block_mode(mode).block_checksums(true).content_checksum(true).block_size(BlockSize::Max256KB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn lz4_is_read_with_blocks_of_its_own_or_linked_ones_and_its_checksums_are_looked_at() {
    let text = lines("one", 60_000);
    // What cannot be packed is stored.
    let noise: Vec<u8> = (0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for mode in [BlockMode::Linked, BlockMode::Independent] {
        for content in [&text, &noise] {
            let whole = lz4_frame(content, mode);
            let (bytes, issues) = read_gz(&whole);
            assert!(bytes == *content && issues.is_empty(), "{mode:?}: {} bytes, {issues:?}", bytes.len());
            // The checksum of the content is the last thing in the frame.
            let mut wrong = whole;
            *wrong.last_mut().unwrap() ^= 1;
            let (bytes, issues) = read_gz(&wrong);
            assert!(bytes == *content && matches!(issues[..], [Issue::Checksum { .. }]), "{mode:?}: {issues:?}");
        }
    }
}

/// One member of each kind but gzip, with levels that make several blocks of a megabyte.
pub(super) fn packed(kind: Compression, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Compression::Gzip | Compression::Deflate | Compression::None => unreachable!("has tests of its own"),
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => lz4_frame(bytes, BlockMode::Linked),
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

pub(super) const KINDS: [Compression; 4] = [Compression::Zstd, Compression::Xz, Compression::Bzip2, Compression::Lz4];

#[test]
fn members_of_every_kind_are_read_and_known_by_content() {
    let (one, two) = (lines("one", 40_000), lines("two", 1));
    for kind in KINDS {
        let members = [packed(kind, &one), packed(kind, b""), packed(kind, &two)].concat();
        let (_dir, path) = file("access.log", &members);
        assert_eq!(Snapshot::take(&path).unwrap().compression, kind);
        let (bytes, issues) = read_path(&path, &options(MmapMode::Auto));
        assert!(bytes == [one.clone(), two.clone()].concat(), "{kind}: {} bytes", bytes.len());
        assert_eq!(issues, [], "{kind}");
    }
}

#[test]
fn a_cut_or_damaged_member_of_any_kind_gives_what_can_be_had_and_says_so() {
    let text = lines("one", 60_000);
    for kind in KINDS {
        let whole = packed(kind, &text);
        for cut in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let (bytes, issues) = read_gz(&whole[..cut]);
            assert!(text.starts_with(&bytes), "{kind} cut at {cut}");
            assert!(matches!(issues[..], [Issue::Truncated { .. }]), "{kind} cut at {cut}: {issues:?}");
        }
        let mut damaged = whole.clone();
        let at = whole.len() / 2;
        damaged[at..at + 16].iter_mut().for_each(|byte| *byte = !*byte);
        let (bytes, issues) = read_gz(&damaged);
        assert!(bytes.len() < text.len() && issues.iter().any(|issue| issue.severity() == Severity::Loss), "{kind}: {issues:?}");
        let (bytes, issues) = read_gz(&[whole.clone(), b"garbage".to_vec()].concat());
        assert!(bytes == text && matches!(issues[..], [Issue::TrailingGarbage { .. }]), "{kind}: {issues:?}");
        let (bytes, issues) = read_gz(&[whole.clone(), vec![0; 64], whole].concat());
        assert!(
            bytes.len() == 2 * text.len() && matches!(issues[..], [Issue::ZeroPadding { bytes: 64, .. }]),
            "{kind}: {issues:?}"
        );
    }
}

#[test]
fn bombs_of_any_kind_are_stopped() {
    let zeros = vec![b'\n'; 32 << 20];
    for kind in KINDS {
        let options = ReadOptions {
            decompress_limit: DecompressLimit::Ratio { ratio: 100, after_bytes: 1 << 20 },
            ..ReadOptions::default()
        };
        let (_dir, path) = file("bomb", &packed(kind, &zeros));
        let (bytes, issues) = read_path(&path, &options);
        assert!(bytes.len() < 8 << 20, "{kind}: {}", bytes.len());
        assert!(matches!(issues[..], [Issue::DecompressLimit { .. }]), "{kind}: {issues:?}");
    }
}
