//! How fast the fields of records are found: by format, lowered against the regex crate.
//!
//! `cargo bench -p logsql-kernel --bench scan`; `-- --test` runs each once and checks its answer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logsql_kernel::format::Catalog;
use logsql_kernel::scan::{Scratch, Span};

/// Lines of the shapes that the built-in formats are for, from a fixed recipe.
fn lines(format: &str) -> Vec<String> {
    let line = |i: u32| match format {
        "access" => format!(
            "192.0.2.{} - - [21/Nov/2026:00:{:02}:{:02} +0000] \"GET /shop/item?id={i} HTTP/1.1\" {} {} \"https://example.org/list?page={}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"",
            i % 250,
            i / 60 % 60,
            i % 60,
            [200, 200, 200, 304, 404, 500][i as usize % 6],
            i * 37 % 100_000,
            i % 17
        ),
        "nginx_error" => format!(
            "2026/11/21 00:{:02}:{:02} [error] 17#17: *{i} open() \"/srv/www/x{i}\" failed (2: No such file or directory), client: 192.0.2.{}, server: example.org, request: \"GET /x{i} HTTP/1.1\", host: \"example.org\"",
            i / 60 % 60,
            i % 60,
            i % 250
        ),
        "bind" => format!(
            "21-Nov-2026 00:{:02}:{:02}.123 queries: info: client @0x7f0c8c00 192.0.2.{}#{} (www{i}.example.org): query: www{i}.example.org IN A +E(0)K (192.0.2.53)",
            i / 60 % 60,
            i % 60,
            i % 250,
            1024 + i % 60_000
        ),
        _ => format!(
            "Nov 21 00:{:02}:{:02} web1 sshd[{i}]: Failed password for invalid user u{i} from 192.0.2.{} port {} ssh2",
            i / 60 % 60,
            i % 60,
            i % 250,
            1024 + i % 60_000
        ),
    };
    (0..2000).map(line).collect()
}

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
