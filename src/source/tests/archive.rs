//! Archives: their members, and what is wrong with hostile ones.

use std::io::Cursor;

use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

use super::packed::{KINDS, gz, packed};
use super::*;

fn header(name: &str, size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mtime(1_700_000_000);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    // Not `set_path`, which refuses what a hostile archive has.
    let bytes = name.as_bytes();
    header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
    header.set_cksum();
    header
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        tar.append(&header(name, bytes.len() as u64, EntryType::Regular), *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A zip archive with one deflated member, by hand: the crate is here without its codecs.
fn deflated_zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    let data = encoder.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    raw_zip(name, 0, 8, crc.sum(), &data, bytes.len())
}

fn raw_zip(name: &str, flags: u16, method: u16, crc: u32, data: &[u8], size: usize) -> Vec<u8> {
    let (name_len, data_len) = (name.len() as u16, data.len() as u32);
    let mut common = Vec::new();
    for half in [20, flags, method, 0x6000, 0x5B21] {
        common.extend_from_slice(&u16::to_le_bytes(half));
    }
    for word in [crc, data_len, size as u32] {
        common.extend_from_slice(&word.to_le_bytes());
    }
    common.extend_from_slice(&name_len.to_le_bytes());
    common.extend_from_slice(&[0, 0]);
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), data].concat();
    let central = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], name.as_bytes()].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend_from_slice(&(central.len() as u32).to_le_bytes());
    end.extend_from_slice(&(local.len() as u32).to_le_bytes());
    end.extend_from_slice(&[0, 0]);
    [local, central, end].concat()
}

/// What is in an archive: names behind the mark, snapshots, and what was said.
fn list(path: &Path) -> (Vec<(String, Snapshot)>, Vec<String>) {
    let archive = Snapshot::take(path).unwrap();
    assert!(archive.archive.is_some(), "no archive");
    let mut members = Vec::new();
    let issues = list_members(&archive, &ReadOptions::default(), 64 << 10, &mut |member| {
        let name = member.snapshot.path.to_string_lossy().into_owned();
        members.push((name.split_once(MEMBER_MARK).unwrap().1.to_owned(), member.snapshot));
    });
    let name = format!("{}", path.display());
    (members, issues.unwrap().iter().map(|issue| issue.to_string().replace(&name, "ARCHIVE")).collect())
}

fn read_member(snapshot: &Snapshot) -> (Vec<u8>, Vec<Issue>) {
    let mut reader = open(snapshot, 0, &ReadOptions::default()).unwrap();
    let bytes = read_to_end(reader.as_mut(), 1000).unwrap();
    (bytes, reader.issues().to_vec())
}

fn names(members: &[(String, Snapshot)]) -> Vec<&str> {
    members.iter().map(|(name, _)| name.as_str()).collect()
}

/// The same members in an archive of every kind.
fn every_archive(members: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let tar = tar_of(members);
    let mut archives =
        vec![("tar".to_owned(), tar.clone()), ("zip".to_owned(), zip_of(members)), ("tar.gz".to_owned(), gz(&tar))];
    archives.extend(KINDS.map(|kind| (format!("tar.{kind}"), packed(kind, &tar))));
    archives
}

#[test]
fn members_of_every_archive_are_read_as_files() {
    let (access, error) = (lines("access", 30_000), lines("error", 70));
    let inner = gz(&lines("older", 500));
    let members: [(&str, &[u8]); 4] =
        [("./var/log/access.log", &access), ("/error.log", &error), ("empty", b""), ("access.log.1.gz", &inner)];
    for (kind, bytes) in every_archive(&members) {
        let (_dir, path) = file("logs", &bytes);
        let (found, issues) = list(&path);
        assert_eq!(issues, [""; 0], "{kind}");
        assert_eq!(names(&found), ["var/log/access.log", "error.log", "empty", "access.log.1.gz"], "{kind}");
        for ((name, snapshot), expected) in found.iter().zip([&access, &error, &vec![], &lines("older", 500)]) {
            assert_eq!(read_member(snapshot), (expected.clone(), vec![]), "{kind}: {name}");
        }
        assert_eq!(found[3].1.compression, Compression::Gzip);
        if kind != "zip" {
            assert_eq!(found[0].1.mtime_ns, 1_700_000_000_000_000_000, "{kind}");
        }
    }
}

#[test]
fn members_of_a_solid_archive_are_kept_as_far_as_there_is_room() {
    let (access, error) = (lines("access", 3000), lines("error", 70));
    let inner = gz(&lines("older", 500));
    let members: [(&str, &[u8]); 3] = [("access.log", &access), ("error.log", &error), ("access.log.1.gz", &inner)];
    let (_dir, path) = file("logs", &gz(&tar_of(&members)));
    let archive = Snapshot::take(&path).unwrap();
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    struct Taken(std::sync::Arc<std::sync::atomic::AtomicUsize>, usize);
    impl Drop for Taken {
        fn drop(&mut self) {
            self.0.fetch_sub(self.1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let in_use = || taken.load(std::sync::atomic::Ordering::Relaxed);
    for (room, kept) in [(0, vec![]), (error.len() + inner.len(), vec![1, 2]), (usize::MAX, vec![0, 1, 2])] {
        let claimed = std::sync::Arc::clone(&taken);
        let keep = Keep::new(room, move |bytes| {
            claimed.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
            Some(Box::new(Taken(std::sync::Arc::clone(&claimed), bytes)))
        });
        let options = ReadOptions { keep: keep.clone(), ..ReadOptions::default() };
        let mut found = Vec::new();
        assert!(list_members(&archive, &options, 1000, &mut |member| found.push(member)).unwrap().is_empty());
        let sizes: usize = kept.iter().map(|at: &usize| members[*at].1.len()).sum();
        assert_eq!(in_use(), sizes);
        for (at, expected) in [access.clone(), error.clone(), lines("older", 500)].iter().enumerate() {
            let snapshot = &found[at].snapshot;
            assert!(expected.starts_with(found[at].head.as_ref().unwrap()) && found[at].head.as_ref().unwrap().len() == 1000);
            let member = snapshot.member.as_ref().unwrap().take_kept();
            assert_eq!(member.is_some(), kept.contains(&at), "room for {room}: {at}");
            let pass = member.as_ref().map_or_else(Pass::default, Pass::of);
            for _ in 0..2 {
                let mut reader = open_in(&pass, snapshot, 0, &options).unwrap();
                assert_eq!(read_to_end(reader.as_mut(), 1000).unwrap(), *expected);
            }
            assert!(snapshot.member.as_ref().unwrap().take_kept().is_none(), "it is given away once");
        }
        assert_eq!(in_use(), 0, "what was read is gone");
        list_members(&archive, &options, 1000, &mut |member| found.push(member)).unwrap();
        assert_eq!(in_use(), sizes);
        keep.release();
        assert_eq!(in_use(), 0, "nobody has asked for it");
    }
}

#[test]
fn the_head_of_a_member_is_its_text_whatever_hides_it() {
    // So large that the first block of zstd or bzip2 is longer than the head that is asked for.
    let text: Vec<u8> = (0..150_000_u32).flat_map(|i| format!("{:08x}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let utf16: Vec<u8> = "\u{FEFF}one\ntwo\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut members = vec![("utf16.log", utf16), ("empty", Vec::new()), ("marked.log", b"\xEF\xBB\xBFone\n".to_vec())];
    members.extend(KINDS.map(|kind| ("packed.log", packed(kind, &text))));
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let (_dir, path) = file("logs.tgz", &gz(&tar_of(&members)));
    let mut heads = Vec::new();
    let archive = Snapshot::take(&path).unwrap();
    let mut each = |member: ListedMember| heads.push(member.head.expect("can be had"));
    list_members(&archive, &ReadOptions::default(), 1000, &mut each).unwrap();
    assert_eq!(heads[..3], [b"one\ntwo\n".to_vec(), b"".to_vec(), b"one\n".to_vec()]);
    assert!(heads.len() == 7 && heads[3..].iter().all(|head| *head == text[..1000]));
}

#[test]
fn a_member_of_a_plain_archive_is_cut_into_pieces_like_a_file() {
    let text = lines("one", 5000);
    let (_dir, path) = file("logs.tar", &tar_of(&[("before", b"another one\n"), ("access.log", &text), ("after", b"x\n")]));
    let (found, _) = list(&path);
    let snapshot = &found[1].1;
    let cuts = pieces(snapshot, 10_000).unwrap();
    assert!(cuts.len() > 10);
    for start in [1, 37, 10_000, 36 * 100, text.len() as u64 - 1, text.len() as u64] {
        let mut reader = open(snapshot, start, &options(MmapMode::Auto)).unwrap();
        let is_start = start as usize == text.len() || text[start as usize - 1] == b'\n';
        assert_eq!(reader.begins() == Begins::Line, is_start, "at {start}");
        assert_eq!(reader.offset(), start);
        assert_eq!(read_to_end(reader.as_mut(), 777).unwrap(), text[start as usize..], "at {start}");
    }
}

#[test]
fn deflated_members_are_read_and_their_checksum_is_looked_at() {
    let text = lines("one", 3000);
    let whole = deflated_zip("access.log", &text);
    let (_dir, path) = file("logs.zip", &whole);
    let (found, issues) = list(&path);
    assert_eq!(issues, [""; 0]);
    assert_eq!(read_member(&found[0].1), (text.clone(), vec![]));
    // 1 September 2025, 12:00.
    assert_eq!(found[0].1.mtime_ns, 1_756_728_000_000_000_000);
    let mut wrong = whole.clone();
    let central = memchr::memmem::find(&whole, b"PK\x01\x02").unwrap();
    wrong[central + 16] ^= 1;
    let (_dir, path) = file("logs.zip", &wrong);
    let (bytes, issues) = read_member(&list(&path).0[0].1);
    assert_eq!(bytes, text);
    assert!(matches!(issues[..], [Issue::Checksum { .. }]), "{issues:?}");
}

#[test]
fn the_checksum_of_a_stored_member_is_looked_at() {
    let text = lines("one", 3000);
    let mut crc = flate2::Crc::new();
    crc.update(&text);
    for (sum, is_right) in [(crc.sum(), true), (crc.sum() ^ 1, false)] {
        let (_dir, path) = file("logs.zip", &raw_zip("access.log", 0, 0, sum, &text, text.len()));
        let (bytes, issues) = read_member(&list(&path).0[0].1);
        assert_eq!(bytes, text);
        assert_eq!(matches!(issues[..], [Issue::Checksum { .. }]), !is_right, "{issues:?}");
        assert!(is_right != issues.iter().any(|issue| issue.severity() == Severity::Loss), "{issues:?}");
    }
}

#[test]
fn one_pass_reads_members_in_order_and_any_of_them_twice() {
    let texts: Vec<Vec<u8>> = (0..200).map(|i| lines(&format!("m{i}"), 50 + i)).collect();
    let named: Vec<String> = (0..200).map(|i| format!("{i}.log")).collect();
    let members: Vec<(&str, &[u8])> = named.iter().map(String::as_str).zip(texts.iter().map(Vec::as_slice)).collect();
    let (_dir, path) = file("logs.tar.zst", &packed(Compression::Zstd, &tar_of(&members)));
    let (found, _) = list(&path);
    let pass = Pass::default();
    let mut raw = 0;
    for (i, (_, snapshot)) in found.iter().enumerate().filter(|(i, _)| i % 3 > 0) {
        for again in [false, true] {
            let mut reader = open_in(&pass, snapshot, 0, &ReadOptions::default()).unwrap();
            assert_eq!(read_to_end(reader.as_mut(), 1 << 20).unwrap(), texts[i], "{i}, again: {again}");
            raw += reader.bytes_read();
        }
    }
    // The archive was read once.
    assert!(raw <= Snapshot::take(&path).unwrap().size, "{raw}");
    // Backwards is right, too.
    let mut reader = open_in(&pass, &found[3].1, 0, &ReadOptions::default()).unwrap();
    assert_eq!(read_to_end(reader.as_mut(), 100).unwrap(), texts[3]);
}

#[test]
fn a_member_larger_than_what_is_kept_is_read_through() {
    let large = lines("large", 600_000);
    let tar = tar_of(&[("a", b"first\n"), ("b", &large), ("c", b"last\n")]);
    let (_dir, path) = file("logs.tar.gz", &gz(&tar));
    let (found, _) = list(&path);
    let pass = Pass::default();
    assert!(found[1].1.member.as_ref().unwrap().is_read_through());
    for (i, expected) in [(1, large.as_slice()), (2, b"last\n"), (1, &large)] {
        let mut reader = open_in(&pass, &found[i].1, 0, &ReadOptions::default()).unwrap();
        assert!(read_to_end(reader.as_mut(), 1 << 20).unwrap() == expected, "{i}");
    }
}

#[test]
fn names_are_shown_and_never_followed_and_each_has_its_own() {
    let long = format!("{}/access.log", "long".repeat(60));
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["../../etc/passwd", "/etc/shadow", "a.log", "./a.log", "a//b", "a/b", "x\u{1b}[31m"] {
        tar.append(&header(name, 2, EntryType::Regular), &b"x\n"[..]).unwrap();
    }
    let mut plain = header("", 2, EntryType::Regular);
    tar.append_data(&mut plain, &long, &b"x\n"[..]).unwrap();
    let bytes = tar.into_inner().unwrap();
    for bytes in [bytes.clone(), gz(&bytes)] {
        let (dir, path) = file("logs.tar", &bytes);
        let (found, issues) = list(&path);
        assert_eq!(issues, [""; 0]);
        let expected = ["../../etc/passwd", "etc/shadow", "a.log", "a.log#2", "a//b", "a/b", "x\u{1b}[31m", &long];
        assert_eq!(names(&found), expected);
        assert!(found.iter().all(|(_, snapshot)| read_member(snapshot).0 == b"x\n"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something was written");
    }
}

#[test]
fn links_devices_folders_sparse_members_and_archives_are_no_files() {
    let mut tar = tar::Builder::new(Vec::new());
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::Directory] {
        let mut special = header("special", 0, kind);
        special.set_link_name("/etc/passwd").unwrap();
        special.set_cksum();
        tar.append(&special, &b""[..]).unwrap();
    }
    tar.append_pax_extensions([("GNU.sparse.major", &b"1"[..])]).unwrap();
    tar.append(&header("sparse", 2, EntryType::Regular), &b"x\n"[..]).unwrap();
    let inner = tar_of(&[("inner.log", b"y\n")]);
    tar.append(&header("inner.tar.gz", gz(&inner).len() as u64, EntryType::Regular), &gz(&inner)[..]).unwrap();
    tar.append(&header("good.log", 5, EntryType::Regular), &b"good\n"[..]).unwrap();
    let bytes = tar.into_inner().unwrap();
    for bytes in [bytes.clone(), gz(&bytes)] {
        let (_dir, path) = file("logs.tar", &bytes);
        let (found, issues) = list(&path);
        assert_eq!(names(&found), ["good.log"]);
        assert_eq!(
            issues,
            [
                "ARCHIVE!/sparse: is a sparse member, which cannot be read",
                "ARCHIVE!/inner.tar.gz: is an archive in an archive, which cannot be read",
                "ARCHIVE: 6 members that are no files (folders, links, devices) skipped",
            ]
        );
    }
}

#[test]
fn a_cut_archive_gives_the_members_before_the_cut_and_what_there_is_of_the_last() {
    let text = lines("one", 2000);
    let tar = tar_of(&[("a.log", &text), ("b.log", &text), ("c.log", &text)]);
    let cut = 512 + text.len().next_multiple_of(512) + 512 + 36_000;
    for (kind, bytes) in
        [("plain", tar[..cut].to_vec()), ("gzip", gz(&tar)[..gz(&tar).len() / 2].to_vec()), ("gzip of cut", gz(&tar[..cut]))]
    {
        let (_dir, path) = file("logs.tar", &bytes);
        let (found, issues) = list(&path);
        assert_eq!(names(&found)[..2], ["a.log", "b.log"], "{kind}");
        assert!(!issues.is_empty(), "{kind}");
        assert_eq!(read_member(&found[0].1).0, text, "{kind}");
        let (bytes, _) = read_member(&found[1].1);
        assert!(text.starts_with(&bytes) && !bytes.is_empty(), "{kind}: {} bytes", bytes.len());
    }
    let zip = zip_of(&[("a.log", &text), ("b.log", &text)]);
    let (_dir, path) = file("logs.zip", &zip[..zip.len() - 30]);
    let (found, issues) = list(&path);
    assert!(found.is_empty() && issues[0].contains("the archive is damaged"), "{issues:?}");
}

#[test]
fn a_damaged_header_ends_the_archive_with_a_word_and_the_members_before_it_stay() {
    let text = lines("one", 20);
    let mut tar = tar_of(&[("a.log", &text), ("b.log", &text)]);
    let second = 512 + text.len().next_multiple_of(512);
    tar[second + 5] ^= 0xFF;
    for bytes in [tar.clone(), gz(&tar)] {
        let (_dir, path) = file("logs.tar", &bytes);
        let (found, issues) = list(&path);
        assert_eq!(names(&found), ["a.log"]);
        assert!(issues.len() == 1 && issues[0].contains("damaged"), "{issues:?}");
    }
}

#[test]
fn archives_that_lie_are_bounded() {
    // A long name of two gigabytes.
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header("a.log", 2, EntryType::Regular), &b"a\n"[..]).unwrap();
    let mut bytes = tar.into_inner().unwrap();
    bytes.truncate(1024);
    bytes.extend_from_slice(header("././@LongLink", 2 << 30, EntryType::GNULongName).as_bytes());
    bytes.extend_from_slice(&vec![b'x'; 8 << 20]);
    let (_dir, path) = file("logs.tar.gz", &gz(&bytes));
    let (found, issues) = list(&path);
    assert_eq!(names(&found), ["a.log"]);
    assert!(issues[0].contains("a header is larger"), "{issues:?}");
    // A member of exabytes.
    let mut bytes = header("a.log", 1 << 60, EntryType::Regular).as_bytes().to_vec();
    bytes.extend_from_slice(b"only this\n");
    for bytes in [bytes.clone(), gz(&bytes)] {
        let (_dir, path) = file("logs.tar", &bytes);
        let (found, issues) = list(&path);
        assert_eq!(read_member(&found[0].1).0, b"only this\n");
        assert!(issues[0].contains("the archive ends within this member"), "{issues:?}");
    }
    // A directory that says more than there is.
    let mut zip = zip_of(&[("a.log", b"only this\n")]);
    let central = memchr::memmem::find(&zip, b"PK\x01\x02").unwrap();
    zip[central + 20..central + 28].copy_from_slice(&[0xF0, 0xFF, 0xFF, 0x7F, 0xF0, 0xFF, 0xFF, 0x7F]);
    let (_dir, path) = file("logs.zip", &zip);
    let (found, issues) = list(&path);
    assert!(found.is_empty() && !issues.is_empty(), "{issues:?}");
}

#[test]
fn encrypted_members_and_unknown_methods_are_named() {
    for (flags, method, what) in [(1, 0, "is encrypted"), (0, 14, "is compressed by the method")] {
        let (_dir, path) = file("logs.zip", &raw_zip("secret.log", flags, method, 0, b"????????????????", 4));
        let (found, issues) = list(&path);
        assert!(found.is_empty());
        assert!(issues[0].starts_with("ARCHIVE!/secret.log: ") && issues[0].contains(what), "{issues:?}");
    }
}

#[test]
fn members_that_overlap_are_not_read() {
    // Two entries of the directory for one member.
    let zip = zip_of(&[("a.log", b"only this\n")]);
    let central = memchr::memmem::find(&zip, b"PK\x01\x02").unwrap();
    let end = memchr::memmem::find(&zip, b"PK\x05\x06").unwrap();
    let mut second = zip[central..end].to_vec();
    let name = second.len() - 5;
    second[name] = b'b';
    let mut bytes = [&zip[..end], &second, &zip[end..]].concat();
    let at = bytes.len() - 22;
    bytes[at + 8] = 2;
    bytes[at + 10] = 2;
    let size = ((end - central) * 2) as u32;
    bytes[at + 12..at + 16].copy_from_slice(&size.to_le_bytes());
    let (_dir, path) = file("logs.zip", &bytes);
    let (found, issues) = list(&path);
    assert!(found.is_empty(), "{:?}", names(&found));
    assert!(issues[0].contains("overlap"), "{issues:?}");
}

#[test]
fn a_bomb_in_an_archive_is_stopped() {
    let tar = tar_of(&[("a.log", b"first\n"), ("bomb", &vec![b'\n'; 64 << 20])]);
    let (_dir, path) = file("logs.tar.gz", &gz(&tar));
    let archive = Snapshot::take(&path).unwrap();
    let decompress_limit = DecompressLimit::Ratio { ratio: 100, after_bytes: 8 << 20 };
    let options = ReadOptions { decompress_limit, ..ReadOptions::default() };
    let mut found = Vec::new();
    let issues = list_members(&archive, &options, 1 << 10, &mut |member| found.push(member.snapshot)).unwrap();
    assert!(issues.iter().any(|issue| issue.to_string().contains("decompression bomb")), "{issues:?}");
    let mut reader = open(&found[1], 0, &options).unwrap();
    let bytes = read_to_end(reader.as_mut(), 1 << 20).unwrap();
    assert!(bytes.len() < 16 << 20, "{}", bytes.len());
    assert!(reader.issues().iter().any(|issue| matches!(issue, Issue::DecompressLimit { .. })), "{:?}", reader.issues());
}

#[test]
fn members_are_named_on_the_command_line() {
    let tar = tar_of(&[("var/log/a.log", b"a\n"), ("var/log/b.log", b"b\n"), ("c[1].txt", b"c\n")]);
    let (_dir, path) = file("logs.tar.gz", &gz(&tar));
    let resolve_one = |name: &str| {
        let arg = format!("{}!/{name}", path.display());
        let inputs = resolve(&[arg], &ResolveOptions::default());
        let names: Vec<String> = inputs.files.iter().map(|file| file.path.display().to_string()).collect();
        (names.len(), inputs.issues.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(resolve_one("var/log/a.log"), (1, vec![]));
    assert_eq!(resolve_one("var/log/*.log"), (2, vec![]));
    assert_eq!(resolve_one("c[1].txt"), (1, vec![]));
    let (count, issues) = resolve_one("nothing.log");
    assert!(count == 0 && issues[0].contains("no file matches"), "{issues:?}");
}

#[test]
fn an_archive_that_is_replaced_is_noticed() {
    let (_dir, path) = file("logs.tar", &tar_of(&[("a.log", b"a\n"), ("b.log", b"b\n")]));
    let (found, _) = list(&path);
    write(&path, &tar_of(&[("other", b"another\n")]));
    let opened = open(&found[0].1, 0, &ReadOptions::default());
    assert!(matches!(opened.err(), Some(SourceError::Changed { .. })));
}

#[test]
fn an_archive_behind_the_largest_first_block_is_known() {
    use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
    let noise: Vec<u8> = (0..1_200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut encoder = FrameEncoder::with_frame_info(FrameInfo::new().block_size(BlockSize::Max4MB), Vec::new());
    encoder.write_all(&tar_of(&[("noise", &noise), ("a.log", b"a\n")])).unwrap();
    let (_dir, path) = file("logs.tar.lz4", &encoder.finish().unwrap());
    assert_eq!(names(&list(&path).0), ["noise", "a.log"]);
}
