//! Any bytes as the head of a file, and as a chunk from further on: the verdict is one that the counts bear out.
//! The first two bytes say where the second chunk begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logsql_fuzz::CATALOG;
use logsql_kernel::format::{detect, explain};

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first_chunk::<2>() else { return };
    let cut = usize::from(u16::from_be_bytes(*cut)) % (bytes.len() + 1);
    let (head, more) = bytes.split_at(cut);
    for chunks in [&[bytes][..], &[head, more]] {
        let detection = explain(&CATALOG, chunks, None);
        for candidate in &detection.candidates {
            assert!(CATALOG.format(&candidate.format).is_some(), "{candidate:?}");
            assert!(0 < candidate.taken && candidate.taken <= candidate.lines && candidate.lines <= 200, "{candidate:?}");
            assert_eq!(candidate.miss.is_none(), candidate.taken == candidate.lines, "{candidate:?}");
            if let Some(miss) = &candidate.miss {
                assert!(miss.column <= miss.text.len() + 1, "{miss:?}");
            }
        }
        let quick = detect(&CATALOG, chunks, None).best.map(|best| best.format);
        assert_eq!(quick.as_ref(), detection.best.as_ref().map(|best| &best.format), "the quick way comes to what the slow one does");
        let Some(best) = &detection.best else { continue };
        assert!(best.taken * 2 >= best.lines, "{best:?}");
        assert_eq!(detection.candidates.first().map(|first| &first.format), Some(&best.format));
    }
});
