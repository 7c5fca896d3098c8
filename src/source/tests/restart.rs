//! A gzip file that was unpacked once can be entered in the middle.

use std::io::Write as _;

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::*;
use crate::source::packed::Unpacker;

fn gzip(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::new(level));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Lines that do not pack too well, so that there are many blocks.
fn noisy(count: u64) -> Vec<u8> {
    let line =
        |i: u64| format!("{i} {:x} GET /{:x}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15), i.wrapping_mul(0xD1B5_4A32_D192_ED03));
    (0..count).map(line).collect::<String>().into_bytes()
}

/// The points of a file, as one reading of it finds them.
fn points_of(snapshot: &Snapshot, spacing: u64, room: usize) -> (Vec<u8>, Vec<RestartPoint>) {
    let options = options(MmapMode::Never);
    let raw = Box::new(read::PlainReader::new(watch::Watch::open(snapshot).unwrap(), 0, &options));
    let points = RestartPoints::default();
    let over = Unpacker::new(snapshot.compression.into(), &options).unwrap();
    let mut unpacker = over(raw).recording(&points, spacing);
    let (mut text, mut buffer) = (Vec::new(), vec![0; room]);
    while !unpacker.is_over() {
        let made = unpacker.unpack(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..made]);
    }
    assert!(unpacker.issues().is_empty(), "{:?}", unpacker.issues());
    (text, points.take())
}

#[test]
fn a_gzip_file_is_entered_at_every_point_and_gives_the_same_text() {
    let text = noisy(50_000);
    let halves = [gzip(&text[..text.len() / 2], 6), gzip(&text[text.len() / 2..], 3)].concat();
    let small: Vec<u8> = text.chunks(5000).flat_map(|part| gzip(part, 6)).collect();
    let named = [(gzip(&text, 3), "3"), (gzip(&text, 6), "6"), (gzip(&text, 0), "0"), (halves, "halves"), (small, "small")];
    for (packed, what) in named {
        let (_dir, path) = file("log.gz", &packed);
        let snapshot = Snapshot::take(&path).unwrap();
        for room in [65_536, 300_000] {
            let (all, mut points) = points_of(&snapshot, 60_000, room);
            assert!(all == text, "{what}");
            assert!(points.len() > 3 || what == "0", "{what}: {} points of {} bytes", points.len(), text.len());
            // As if they had been kept.
            let windows = RestartPoint::windows(&points);
            points = serde_json::from_str(&serde_json::to_string(&points).unwrap()).unwrap();
            assert!(RestartPoint::restore(&mut points, &windows), "{what}");
            for (at, point) in points.iter().enumerate() {
                let start = point.text() as usize;
                let feeds = text[..start].iter().filter(|byte| **byte == b'\n').count();
                assert_eq!((point.before(), point.line_feeds()), (text[start - 1], feeds as u64), "{what}");
                let mut reader = open_at(&snapshot, point, points.get(at + 1), &options(MmapMode::Never)).unwrap();
                assert_eq!(reader.offset(), point.text());
                assert!(read_to_end(reader.as_mut(), 10_000).unwrap() == text[start..], "{what}: point {at}");
                assert!(reader.issues().is_empty(), "{what}: {:?}", reader.issues());
                assert!(reader.bytes_read() <= snapshot.size - point.raw());
            }
        }
    }
}

#[test]
fn a_point_that_is_none_is_found_out() {
    let text = noisy(50_000);
    let (_dir, path) = file("log.gz", &gzip(&text, 6));
    let snapshot = Snapshot::take(&path).unwrap();
    let (_, points) = points_of(&snapshot, 60_000, 65_536);
    let behind = &points[2];
    let good = &points[1];
    let shifted = RestartPoint { bit: (good.bit + 1) % 8, ..good.clone() };
    let elsewhere = RestartPoint { raw: good.raw + 1, ..good.clone() };
    let other_window = RestartPoint { window: points[0].window.clone(), ..good.clone() };
    for bad in [shifted, elsewhere, other_window] {
        let mut reader = match open_at(&snapshot, &bad, Some(behind), &options(MmapMode::Never)) {
            Ok(reader) => reader,
            Err(_) => continue,
        };
        let text = read_to_end(reader.as_mut(), 10_000);
        let lossy = reader.issues().iter().any(|issue| issue.severity() == Severity::Loss);
        assert!(text.is_err() || lossy, "{:?}", reader.issues());
    }
    assert!(!RestartPoint::restore(&mut points.clone(), b"too short"));
}
