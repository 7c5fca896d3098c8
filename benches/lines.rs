//! The lines that the benches of the kernel read.

/// Lines of the shapes that the built-in formats are for, from a fixed recipe.
pub(crate) fn lines(format: &str) -> Vec<String> {
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
