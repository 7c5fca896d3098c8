//! How fast a block of lines becomes a batch: by format, by the columns that are asked for, and by the CPU's instructions.
//!
//! `cargo bench -p logsql-kernel --bench decode`; `-- --test` runs each once and checks its answer. The instructions are chosen
//! once per process: `LOGSQL_SIMD=scalar` (or `ssse3`, `avx2`, `avx512`, `neon`) before the command measures another level.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use logsql_kernel::decode::{ScanPlan, ScanPlanArgs};
use logsql_kernel::format::Catalog;
use logsql_kernel::scan::simd_level;
use logsql_kernel::table::table;

mod lines;
mod reading;

use lines::lines;
use reading::rows;

const LINES: usize = 20_000;

fn log(format: &str) -> Vec<u8> {
    let lines = lines(format);
    let mut log = Vec::new();
    for line in lines.iter().cycle().take(LINES) {
        log.extend_from_slice(line.as_bytes());
        log.push(b'\n');
    }
    log
}

fn columns(criterion: &mut Criterion) {
    let catalog = Catalog::builtin();
    let nine = ["time", "client_ip", "user_name", "request", "status", "bytes", "referer", "user_agent", "path"];
    let cases: [(&str, &str, &[&[&str]]); 4] = [
        ("access", "access_log", &[&[], &["status"], &["client_ip"], &["time"], &["client_ip", "url", "bytes"], &nine]),
        ("nginx_error", "error_log", &[&[], &["level"], &["time", "level", "message"]]),
        ("bind", "dns_log", &[&[], &["query_type"], &["time", "client_ip", "query_name", "query_type"]]),
        ("syslog", "syslog", &[&[], &["program"], &["time", "host", "program", "message"]]),
    ];
    for (format, of, cases) in cases {
        let of = table(of).expect("a table");
        let log = log(format);
        let mut group = criterion.benchmark_group(format!("decode/{}/{format}", simd_level()));
        group.throughput(Throughput::Bytes(log.len() as u64));
        for names in cases {
            let columns: Vec<usize> = names.iter().map(|name| of.column(name).expect(name)).collect();
            let args = ScanPlanArgs {
                catalog: &catalog,
                format,
                table: of.name,
                columns: &columns,
                filter_columns: &[],
                required: &[],
                file: "bench",
                zone: TimeZone::UTC,
                reference_us: 0,
            };
            let plan = Arc::new(ScanPlan::try_new(&args).expect("a plan"));
            let name = format!("{} {}", names.len(), names.first().unwrap_or(&"none"));
            group.bench_function(name, |bench| bench.iter(|| assert_eq!(rows(&plan, black_box(&log)), LINES)));
        }
        group.finish();
    }
}

criterion_group!(benches, columns);
criterion_main!(benches);
