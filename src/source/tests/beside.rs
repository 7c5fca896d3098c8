//! Members that are unpacked beside each other give what one reader gives that takes them in their order.

use proptest::prelude::*;

use super::packed::{gz, packed};
use super::*;
use crate::source::packed::Unpacker;

/// What comes out of an unpacker, and what it says about it.
fn unpack(path: &Path, kind: Compression, room: usize, job_bytes: Option<usize>) -> (Vec<u8>, Vec<Issue>, u64) {
    let options = options(MmapMode::Never);
    let snapshot = Snapshot::take(path).unwrap();
    let raw = Box::new(read::PlainReader::new(watch::Watch::open(&snapshot).unwrap(), 0, &options));
    let mut unpacker = Unpacker::new(kind.into(), &options).unwrap()(raw);
    job_bytes.iter().for_each(|bytes| unpacker.in_parallel(*bytes));
    let (mut text, mut buffer) = (Vec::new(), vec![0; room]);
    while !unpacker.is_over() {
        let made = unpacker.unpack(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..made]);
        unpacker.verify().unwrap();
    }
    (text, unpacker.issues().to_vec(), unpacker.bytes_read())
}

const ALL: [Compression; 5] = [Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2, Compression::Lz4];

fn pack(kind: Compression, bytes: &[u8]) -> Vec<u8> {
    if kind == Compression::Gzip { gz(bytes) } else { packed(kind, bytes) }
}

/// Is the same said? Where damage is noticed depends for gzip on how much the library is given at once, for xz on how far its threads are.
fn are_alike(kind: Compression, one: &[Issue], other: &[Issue]) -> bool {
    let without_place = |issue: &Issue| match issue {
        Issue::Corrupt { kind, .. } => Issue::Corrupt { kind: *kind, at: 0, out: 0 },
        issue => issue.clone(),
    };
    match kind {
        Compression::Gzip | Compression::Xz => one.iter().map(without_place).eq(other.iter().map(without_place)),
        _ => one == other,
    }
}

/// Lines with members of the same kind between them, as a log of an archiver might have.
fn text_of(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut text = Vec::new();
    while text.len() < len {
        match random.below(20) {
            0 => text.extend_from_slice(&gz(b"inner\n")),
            1 => text.extend_from_slice(&packed(Compression::Zstd, b"inner\n")),
            page => text.extend_from_slice(format!("{:x} GET /{page}\n", random.0).as_bytes()),
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn text_and_issues_are_those_of_one_reader(
        kind in prop::sample::select(ALL.to_vec()),
        members in prop::collection::vec((any::<u64>(), 0..2000_usize), 1..14),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in prop::option::of(any::<prop::sample::Index>()),
        after in prop::sample::select(vec![&b""[..], b"\0\0\0", b"x", b"\x1F\x8B\x08", b"\0garbage"]),
        job_bytes in prop::sample::select(vec![1_usize, 100, 1000, 5000]),
    ) {
        let mut bytes: Vec<u8> = members.iter().flat_map(|(seed, len)| pack(kind, &text_of(*seed, *len))).collect();
        bytes.extend_from_slice(after);
        for (place, flip) in &damage {
            let at = place.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Some(cut) = &cut {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        let (_dir, path) = file("log", &bytes);
        let (text, issues, _) = unpack(&path, kind, 70_000, None);
        let (beside, told, raw) = unpack(&path, kind, 66_000, Some(job_bytes));
        if damage.is_empty() || kind == Compression::Gzip {
            prop_assert_eq!(text, beside);
            prop_assert!(are_alike(kind, &issues, &told), "{:?} {:?}", issues, told);
        } else {
            // How much comes out before a library says that there is damage depends on how much it is given at once.
            prop_assert!(text.starts_with(&beside) || beside.starts_with(&text));
            let loss = |issues: &[Issue]| issues.iter().any(|issue| issue.severity() == Severity::Loss);
            prop_assert_eq!(loss(&issues), loss(&told), "{:?} {:?}", issues, told);
        }
        prop_assert!(raw <= bytes.len() as u64);
    }
}

#[test]
fn a_file_that_is_cut_at_any_byte_gives_the_same() {
    for kind in ALL {
        let bytes: Vec<u8> = (1..4).flat_map(|seed| pack(kind, &text_of(seed, 60))).collect();
        for cut in 1..bytes.len() {
            let (_dir, path) = file("log", &bytes[..cut]);
            let (text, issues, _) = unpack(&path, kind, 70_000, None);
            let (beside, told, _) = unpack(&path, kind, 70_000, Some(64));
            assert!(text == beside, "{kind} cut at {cut}: {} {}", text.len(), beside.len());
            assert!(are_alike(kind, &issues, &told), "{kind} cut at {cut}: {issues:?} {told:?}");
        }
    }
}

#[test]
fn large_files_of_many_members_are_read_to_their_last_byte() {
    for kind in ALL {
        let text = text_of(7, 3 << 20);
        for member in [40_000, 900_000] {
            let bytes: Vec<u8> = text.chunks(member).flat_map(|part| pack(kind, part)).collect();
            let (_dir, path) = file("log", &bytes);
            let (beside, issues, raw) = unpack(&path, kind, 1 << 20, Some(100_000));
            assert!(beside == text, "{kind} {member}: {} bytes", beside.len());
            assert_eq!((issues, raw), (vec![], bytes.len() as u64), "{kind} {member}");
            // And as everybody opens it.
            assert!(read_path(&path, &ReadOptions::default()) == (text.clone(), vec![]), "{kind} {member}");
        }
    }
}

#[test]
fn blocks_of_xz_are_unpacked_by_threads() {
    use liblzma::stream::{Action, Check, MtStreamBuilder};
    let text = text_of(9, 3 << 20);
    let mut encoder = MtStreamBuilder::new().threads(2).preset(1).block_size(300_000).check(Check::Crc64).encoder().unwrap();
    let mut bytes = Vec::with_capacity(4 << 20);
    let mut used = 0;
    while used < text.len() {
        encoder.process_vec(&text[used..], &mut bytes, Action::Run).unwrap();
        used = encoder.total_in() as usize;
    }
    while encoder.process_vec(&[], &mut bytes, Action::Finish).unwrap() != liblzma::stream::Status::StreamEnd {}
    let (_dir, path) = file("log.xz", &bytes);
    assert!(read_path(&path, &ReadOptions::default()) == (text.clone(), vec![]));
    let (beside, issues, raw) = unpack(&path, Compression::Xz, 1 << 20, Some(100_000));
    assert!(beside == text);
    assert_eq!((issues, raw), (vec![], bytes.len() as u64));
    for cut in [bytes.len() - 1, bytes.len() / 2, bytes.len() / 3] {
        let (_dir, path) = file("log.xz", &bytes[..cut]);
        let (alone, issues, _) = unpack(&path, Compression::Xz, 1 << 20, None);
        let (beside, told, _) = unpack(&path, Compression::Xz, 1 << 20, Some(100_000));
        assert!(text.starts_with(&beside) && beside.len() >= alone.len(), "cut at {cut}: {} {}", alone.len(), beside.len());
        assert!(
            matches!((&issues[..], &told[..]), ([Issue::Truncated { .. }], [Issue::Truncated { .. }])),
            "{issues:?} {told:?}"
        );
    }
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 0x55;
    let (_dir, path) = file("log.xz", &damaged);
    let (alone, issues, _) = unpack(&path, Compression::Xz, 1 << 20, None);
    let (beside, told, _) = unpack(&path, Compression::Xz, 1 << 20, Some(100_000));
    let good = |bytes: &[u8]| bytes.iter().zip(&text).take_while(|(a, b)| a == b).count();
    assert!(good(&beside) >= good(&alone), "{} {}", good(&alone), good(&beside));
    assert!(matches!((&issues[..], &told[..]), ([Issue::Corrupt { .. }], [Issue::Corrupt { .. }])), "{issues:?} {told:?}");
}
