//! Logs in a store of a cloud and on a web server, both of which are a few lines of this file.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{logsql, ran, root};

const AZURE_ACCOUNT: &str = "devstoreaccount1";

/// A server of objects: what S3, Google's and Azure's stores and a web server have in common, and their lists.
#[derive(Default)]
struct Objects {
    /// By bucket and name.
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Bytes that were sent.
    sent: AtomicU64,
    /// It answers a request for a part with all.
    without_ranges: bool,
    /// Requests have to be signed.
    private: bool,
}

impl Objects {
    fn put(&self, name: &str, bytes: Vec<u8>) {
        self.objects.lock().expect("no panic").insert(name.to_owned(), bytes);
    }

    /// Serves from a thread of its own, and says where.
    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("as it is here");
        let address = listener.local_addr().expect("as it is here");
        let objects = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let objects = Arc::clone(&objects);
                std::thread::spawn(move || drop(objects.answer(stream)));
            }
        });
        format!("http://{address}")
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut headers = BTreeMap::new();
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let name = path.trim_start_matches('/').replace("%20", " ").replace("%2F", "/").replace("%2E", ".");
        // Azure's stores have the account in the path if they are on this machine.
        let name = name.strip_prefix(AZURE_ACCOUNT).map_or(name.as_str(), |name| name.trim_start_matches('/')).to_owned();
        if self.private && !headers.contains_key("authorization") {
            return reply(&mut stream, "403 Forbidden", "", b"<Error><Code>AccessDenied</Code></Error>");
        }
        if query.contains("list-type=2") || query.contains("comp=list") {
            let list = self.list(&name, query);
            return reply(&mut stream, "200 OK", "Content-Type: application/xml\r\n", list.as_bytes());
        }
        let Some(bytes) = self.objects.lock().expect("no panic").get(&name).cloned() else {
            return reply(&mut stream, "404 Not Found", "", b"<Error><Code>NoSuchKey</Code></Error>");
        };
        let sum = bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        let tag = format!("\"{sum:x}\"");
        if headers.get("if-match").is_some_and(|wanted| *wanted != tag) {
            return reply(&mut stream, "412 Precondition Failed", "", b"");
        }
        let mut more = format!("ETag: {tag}\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n");
        let range = headers.get("range").filter(|_| !self.without_ranges).and_then(|range| range.strip_prefix("bytes="));
        let (status, part) = match range.and_then(|range| range.split_once('-')) {
            None => ("200 OK", &bytes[..]),
            Some((first, _)) if first.parse::<usize>().is_ok_and(|first| first >= bytes.len()) => {
                return reply(&mut stream, "416 Range Not Satisfiable", "", b"");
            }
            Some((first, last)) => {
                let first: usize = first.parse().expect("as it is here");
                let last = last.parse().unwrap_or(usize::MAX).min(bytes.len() - 1);
                more.push_str(&format!("Content-Range: bytes {first}-{last}/{}\r\n", bytes.len()));
                ("206 Partial Content", &bytes[first..=last])
            }
        };
        if method == "HEAD" {
            write!(stream, "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n", part.len())?;
            return Ok(());
        }
        self.sent.fetch_add(part.len() as u64, Ordering::Relaxed);
        reply(&mut stream, status, &more, part)
    }

    fn list(&self, bucket: &str, query: &str) -> String {
        let value = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            pair.unwrap_or_default().replace("%2F", "/")
        };
        let (prefix, delimiter) = (format!("{}/{}", bucket.trim_end_matches('/'), value("prefix")), value("delimiter"));
        let is_azure = query.contains("comp=list");
        let mut list = String::from("<?xml version=\"1.0\"?>");
        list.push_str(if is_azure {
            "<EnumerationResults><Blobs>"
        } else {
            "<ListBucketResult><IsTruncated>false</IsTruncated>"
        });
        let objects = self.objects.lock().expect("no panic");
        for (name, bytes) in objects.iter().filter(|(name, _)| name.starts_with(&prefix)) {
            if !delimiter.is_empty() && name[prefix.len()..].contains('/') {
                continue;
            }
            let key = name.split_once('/').expect("a bucket").1;
            let size = bytes.len();
            list.push_str(&match is_azure {
                true => format!(
                    "<Blob><Name>{key}</Name><Properties><Last-Modified>Sat, 21 Nov 2026 10:00:00 GMT</Last-Modified>\
                     <Content-Length>{size}</Content-Length><Content-Type>text/plain</Content-Type></Properties></Blob>"
                ),
                false => format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified><Size>{size}</Size></Contents>"
                ),
            });
        }
        list + if is_azure { "</Blobs><NextMarker /></EnumerationResults>" } else { "</ListBucketResult>" }
    }
}

fn reply(stream: &mut TcpStream, status: &str, more: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// logsql that knows the store at `endpoint`; what it prints, and on stderr.
fn run(home: &Path, endpoint: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = logsql(home);
    command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    // Google's stores speak S3's protocol too.
    let key = r#"{"gcs_base_url":"URL","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#;
    command.env("GOOGLE_SERVICE_ACCOUNT_KEY", key.replace("URL", endpoint));
    command.env("AZURE_ENDPOINT", format!("{endpoint}/{AZURE_ACCOUNT}")).env("AZURE_ALLOW_HTTP", "true");
    command.env("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT).env("AZURE_STORAGE_ACCOUNT_KEY", "a2V5");
    ran(command.args(args))
}

fn testdata(name: &str) -> Vec<u8> {
    std::fs::read(root().join("testdata/logs").join(name)).expect("testdata")
}

fn rotated() -> Arc<Objects> {
    let objects = Arc::new(Objects::default());
    for entry in std::fs::read_dir(root().join("testdata/logs/rotated")).expect("testdata").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        objects.put(&format!("logs/web/{name}"), testdata(&format!("rotated/{name}")));
    }
    objects
}

const COUNT: &str = "SELECT status, count(*) AS n FROM access_log GROUP BY 1 ORDER BY 1";

#[test]
fn objects_of_a_bucket_are_files_by_name_pattern_and_folder() {
    let home = tempfile::tempdir().expect("a folder");
    let objects = rotated();
    objects.put("logs/other/combined.log", testdata("nginx/combined.log"));
    let endpoint = objects.serve();
    let (_, expected, _) = run(home.path(), &endpoint, &[COUNT, "testdata/logs/rotated/*"]);
    for cloud in ["s3", "gs", "az"] {
        for inputs in [&["web/*"][..], &["w*/access*"], &["-r", "web"], &["-r", "web/"]] {
            let inputs =
                inputs.iter().map(|input| if *input == "-r" { "-r".to_owned() } else { format!("{cloud}://logs/{input}") });
            let inputs: Vec<String> = inputs.collect();
            let args: Vec<&str> = std::iter::once(COUNT).chain(inputs.iter().map(String::as_str)).collect();
            let (code, out, err) = run(home.path(), &endpoint, &args);
            assert_eq!((code, out.as_str()), (0, expected.as_str()), "{inputs:?}: {err}");
        }
    }
    let sql = "SELECT count(*) AS n, min(_file) AS f FROM 's3://logs/other/combined.log'";
    let (code, out, err) = run(home.path(), &endpoint, &[sql]);
    assert!(code == 0 && out.contains("s3://logs/other/combined.log"), "{out}{err}");
    // By HTTP, the same objects.
    let (code, out, err) = run(home.path(), &endpoint, &[COUNT, &format!("{endpoint}/logs/other/combined.log")]);
    let (_, expected, _) = run(home.path(), &endpoint, &[COUNT, "testdata/logs/nginx/combined.log"]);
    assert_eq!((code, out.as_str()), (0, expected.as_str()), "{err}");
}

#[test]
fn what_is_not_there_or_not_given_is_said_with_what_to_do() {
    let home = tempfile::tempdir().expect("a folder");
    let endpoint = rotated().serve();
    for (path, told) in [
        ("s3://logs/web/none.log", "s3://logs/web/none.log: no such file"),
        ("s3://logs/web/*.none", "s3://logs/web/*.none: no file matches"),
        ("s3://logs/web", "s3://logs/web: is a directory"),
    ] {
        let (code, _, err) = run(home.path(), &endpoint, &[COUNT, path]);
        assert!(code != 0 && err.contains(told), "{path}: {code} {err}");
    }
    let private = Arc::new(Objects { private: true, ..Objects::default() }).serve();
    let (code, _, err) = run(home.path(), &private, &[COUNT, &format!("{private}/access.log")]);
    assert!(code != 0 && err.contains("access denied"), "{code} {err}");
    let (code, _, err) = run(home.path(), "http://127.0.0.1:9", &[COUNT, "s3://logs/web/access.log"]);
    assert!(code != 0 && err.contains("s3://logs/web/access.log"), "{code} {err}");
}

#[test]
fn a_server_without_ranges_is_read_as_a_whole() {
    let home = tempfile::tempdir().expect("a folder");
    let objects = Arc::new(Objects { without_ranges: true, ..Objects::default() });
    objects.put("a/access.log", testdata("nginx/combined.log"));
    objects.put("a/access.log.gz", testdata("rotated/access.log.2.gz"));
    let endpoint = objects.serve();
    for (name, local) in [("access.log", "nginx/combined.log"), ("access.log.gz", "rotated/access.log.2.gz")] {
        let (_, expected, _) = run(home.path(), &endpoint, &[COUNT, &format!("testdata/logs/{local}")]);
        let (code, out, err) = run(home.path(), &endpoint, &[COUNT, &format!("{endpoint}/a/{name}")]);
        assert_eq!((code, out.as_str()), (0, expected.as_str()), "{err}");
    }
}

#[test]
fn parts_of_large_objects_are_asked_for_and_a_new_object_is_noticed() {
    let home = tempfile::tempdir().expect("a folder");
    let objects = Arc::new(Objects::default());
    let line = |number: usize| {
        let (day, hour, minute, second) = (1 + number / 86400, number / 3600 % 24, number / 60 % 60, number % 60);
        format!(
            "192.0.2.{} - - [{day:02}/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /{number}/{:060} HTTP/1.1\" 200 1 \"-\" \"-\"\n",
            number % 250,
            number * 7
        )
    };
    let text: String = (0..300_000).map(line).collect();
    objects.put("logs/big.log", text.clone().into_bytes());
    objects.put("logs/more.log", line(1).into_bytes());
    let endpoint = objects.serve();
    let all = "SELECT count(*) AS n, count(DISTINCT _line) AS l, min(time) AS a, max(time) AS b FROM access_log";
    let (code, out, err) = run(home.path(), &endpoint, &[all, "s3://logs/big.log"]);
    assert!(code == 0 && out.contains("300000\t300000"), "{out}{err}");
    // The second time, times are known: an hour is a part of it.
    let hour = "SELECT count(*) AS n FROM access_log WHERE time >= '2026-03-02T10:00:00Z' AND time < '2026-03-02T11:00:00Z'";
    let before = objects.sent.load(Ordering::Relaxed);
    let (code, out, err) = run(home.path(), &endpoint, &[hour, "s3://logs/big.log"]);
    let sent = objects.sent.load(Ordering::Relaxed) - before;
    assert_eq!((code, out.as_str()), (0, "n\n3600\n"), "{err}");
    assert!(sent < text.len() as u64 * 7 / 10, "{sent} of {} bytes", text.len());
    // Another object of the same name and size is another log.
    objects.put("logs/big.log", text.replace("192.0.2.1 ", "192.0.3.1 ").into_bytes());
    let other = "SELECT count(*) AS n FROM access_log WHERE client_ip = '192.0.3.1'";
    let (code, out, err) = run(home.path(), &endpoint, &[other, "s3://logs/big.log"]);
    assert_eq!((code, out.as_str()), (0, "n\n1200\n"), "{err}");
}

#[test]
fn parquet_of_a_bucket_is_read_by_ranges() {
    let home = tempfile::tempdir().expect("a folder");
    let objects = Arc::new(Objects::default());
    let endpoint = objects.serve();
    let path = home.path().join("out.parquet");
    let (code, _, err) = run(
        home.path(),
        &endpoint,
        &["-o", path.to_str().expect("UTF-8"), "FROM access_log", "testdata/logs/nginx/combined.log"],
    );
    assert_eq!(code, 0, "{err}");
    objects.put("logs/out.parquet", std::fs::read(&path).expect("written"));
    let sql = "CREATE EXTERNAL TABLE past STORED AS PARQUET LOCATION 's3://logs/out.parquet'; SELECT count(*) > 0 AS n FROM past";
    let (code, out, err) = run(home.path(), &endpoint, &["-c", sql]);
    assert_eq!((code, out.as_str()), (0, "n\ntrue\n"), "{err}");
}
