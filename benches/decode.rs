//! How fast a block of lines becomes a batch: the access log, by the columns that are asked for.
//!
//! `cargo bench -p logsql-kernel --bench decode`; `-- --test` runs each once and checks its answer.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use logsql_kernel::decode::{DecodeOptions, LogDecoder, Piece, ScanPlan, ScanPlanArgs, Status};
use logsql_kernel::format::Catalog;
use logsql_kernel::table::table;

const LINES: u32 = 20_000;

fn log() -> Vec<u8> {
    let mut log = String::new();
    for i in 0..LINES {
        let _ = writeln!(
            log,
            "192.0.2.{} - - [21/Nov/2026:00:{:02}:{:02} +0000] \"GET /shop/item?id={i} HTTP/1.1\" {} {} \"https://example.org/list?page={}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"",
            i % 250,
            i / 60 % 60,
            i % 60,
            [200, 200, 200, 304, 404, 500][i as usize % 6],
            i * 37 % 100_000,
            i % 17
        );
    }
    log.into_bytes()
}

fn rows(plan: &Arc<ScanPlan>, log: &[u8]) -> usize {
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

fn columns(criterion: &mut Criterion) {
    let catalog = Catalog::builtin();
    let access = table("access_log").expect("a table");
    let log = log();
    let mut group = criterion.benchmark_group("decode/access");
    group.throughput(Throughput::Bytes(log.len() as u64));
    let cases: [(&str, &[&str]); 6] = [
        ("none", &[]),
        ("status", &["status"]),
        ("client_ip", &["client_ip"]),
        ("time", &["time"]),
        ("client_ip+url+bytes", &["client_ip", "url", "bytes"]),
        ("nine", &["time", "client_ip", "user_name", "request", "status", "bytes", "referer", "user_agent", "path"]),
    ];
    for (name, names) in cases {
        let columns: Vec<usize> = names.iter().map(|name| access.column(name).expect(name)).collect();
        let args = ScanPlanArgs {
            catalog: &catalog,
            format: "access",
            table: "access_log",
            columns: &columns,
            filter_columns: &[],
            required: &[],
            file: "bench",
            zone: TimeZone::UTC,
            reference_us: 0,
        };
        let plan = Arc::new(ScanPlan::try_new(&args).expect("a plan"));
        group.bench_function(name, |bench| bench.iter(|| assert_eq!(rows(&plan, black_box(&log)), LINES as usize)));
    }
    group.finish();
}

criterion_group!(benches, columns);
criterion_main!(benches);
