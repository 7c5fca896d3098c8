//! How the benches of the kernel read a log.

use std::sync::Arc;

use logsql_kernel::decode::{DecodeOptions, LogDecoder, Piece, ScanPlan, Status};

/// Decodes all of `log`: how many rows it has.
pub(crate) fn rows(plan: &Arc<ScanPlan>, log: &[u8]) -> usize {
    let mut decoder = LogDecoder::new(Arc::clone(plan), Piece::whole(log.len() as u64), DecodeOptions::default());
    let (mut at, mut rows) = (0, 0);
    loop {
        let decoded = decoder.decode(&log[at..], true).expect("decodes");
        at += decoded.used;
        if decoded.status != Status::NeedMore {
            rows += decoder.flush().expect("a batch").map_or(0, |batch| batch.num_rows());
        }
        if decoded.status == Status::Done {
            return rows;
        }
    }
}
