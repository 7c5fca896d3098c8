//! How fast the fields of records are found: by format, lowered against the regex crate.
//!
//! `cargo bench -p logsql-kernel --bench scan`; `-- --test` runs each once and checks its answer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logsql_kernel::format::Catalog;
use logsql_kernel::scan::{Scratch, Span};

mod lines;

use lines::lines;

fn spans(criterion: &mut Criterion) {
    let catalog = Catalog::builtin();
    let mut group = criterion.benchmark_group("spans");
    for (format, name) in [("access", "combined"), ("nginx_error", "nginx_error"), ("bind", "bind_query"), ("syslog", "syslog")] {
        let lines = lines(format);
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let family = catalog.format(format).expect(format);
        let takes = |pattern: &&std::sync::Arc<logsql_kernel::format::Pattern>| {
            let mut slots = vec![Span::NONE; pattern.matcher.captures().len()];
            pattern.within.is_none() && pattern.matcher.find(lines[0].as_bytes(), &mut slots, &mut Scratch::default()).is_ok()
        };
        let matcher = &family.patterns().iter().find(takes).expect(name).matcher;
        let regex = matcher.as_regex().expect("a regex");
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut scratch = Scratch::default();
        let mut slots = vec![Span::NONE; matcher.captures().len()];
        group.bench_function(format!("{format}/lowered"), |bench| {
            bench.iter(|| {
                let taken = lines
                    .iter()
                    .filter(|line| matcher.find(black_box(line.as_bytes()), &mut slots, &mut scratch).is_ok())
                    .count();
                assert_eq!(taken, lines.len());
            });
        });
        group.bench_function(format!("{format}/regex"), |bench| {
            bench.iter(|| {
                let taken = lines
                    .iter()
                    .filter(|line| regex.find_by_regex(black_box(line.as_bytes()), &mut slots, &mut scratch).is_ok())
                    .count();
                assert_eq!(taken, lines.len());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, spans);
criterion_main!(benches);
