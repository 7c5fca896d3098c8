//! Objects of a cloud's store and of a web server, as files: `s3://`, `gs://`, `az://`, `https://`.
//!
//! ```text
//!   s3://bucket/logs/*.gz ──list──► objects ──get the first KiB, the last 64 bytes──► Snapshot
//!                                                                                        │
//!   who reads ◄── block ◄── get bytes a..b, if its ETag is still that one ◄──────────────┘
//!                   │           the next block is on its way, where blocks are read one behind the other
//!                   └─ 256 KiB at first, up to 4 MiB
//! ```
//!
//! All that is above a [`Watch`](super::watch::Watch) knows no difference: an object is read in pieces, unpacked and looked into like
//! a file. What it was is its ETag, its size and its time, so an object that is replaced is noticed. Credentials are what the
//! environment says, as for the cloud's own tools.
//!
//! The crate `object_store` speaks to the stores. It wants to be awaited, while readers here wait: requests run on threads of
//! their own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Location;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use super::error::{Change, ChangeKind, SourceError};
use super::glob;
use super::snapshot::{self, FIRST_BLOCK_BYTES, HEAD_BYTES, Nature, Snapshot};
use super::stream::temporary_file;

/// How much is asked for at first, wherever that is.
const FIRST_BLOCK: u64 = 256 << 10;

/// How much is asked for at most.
const MAX_BLOCK: u64 = 4 << 20;

/// Pieces of a file usually begin at multiples of this. Behind the end of one, a reader wants the rest of a record only.
const PIECE: u64 = 16 << 20;

/// How many objects are looked into at once.
const AT_ONCE: usize = 16;

/// More objects than this are not listed.
const MAX_OBJECTS: usize = 100_000;

/// Is it the address of an object?
pub(super) fn is_url(path: &OsStr) -> bool {
    Address::parse(path).is_some()
}

/// The parts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    cloud: Cloud,
    /// What names the store: `s3://bucket`.
    store: String,
    /// The name of the object in it, or a pattern.
    key: String,
    /// What a web server is given behind the name.
    query: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cloud {
    Aws,
    Google,
    Azure,
    Web,
}

impl Address {
    fn parse(path: &OsStr) -> Option<Self> {
        let text = std::str::from_utf8(path.as_bytes()).ok()?;
        let (scheme, rest) = text.split_once("://")?;
        let cloud = match scheme {
            "s3" | "s3a" => Cloud::Aws,
            "gs" => Cloud::Google,
            "az" | "abfs" | "abfss" => Cloud::Azure,
            "http" | "https" => Cloud::Web,
            _ => return None,
        };
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (key, query) = match cloud {
            Cloud::Web => key.split_once('?').unwrap_or((key, "")),
            Cloud::Aws | Cloud::Google | Cloud::Azure => (key, ""),
        };
        let store = format!("{scheme}://{host}");
        (!host.is_empty()).then(|| Self { cloud, store, key: key.to_owned(), query: query.to_owned() })
    }

    fn location(&self) -> Location {
        let found = match self.cloud {
            Cloud::Web => Location::from_url_path(&self.key).ok(),
            Cloud::Aws | Cloud::Google | Cloud::Azure => Location::parse(&self.key).ok(),
        };
        found.unwrap_or_else(|| Location::from(self.key.as_str()))
    }

    fn is_pattern(&self) -> bool {
        self.cloud != Cloud::Web && glob::is_pattern(OsStr::new(&self.key))
    }

    /// The path of an object of the same store.
    fn path_of(&self, location: &Location) -> PathBuf {
        PathBuf::from(format!("{}/{location}", self.store))
    }

    /// What speaks to the store.
    fn open(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        // Somebody waits: a store that does not answer is told of soon.
        let retry = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
        Ok(match self.cloud {
            Cloud::Aws => Arc::new(AmazonS3Builder::from_env().with_url(&self.store).with_retry(retry).build()?),
            Cloud::Google => Arc::new(GoogleCloudStorageBuilder::from_env().with_url(&self.store).with_retry(retry).build()?),
            Cloud::Azure => Arc::new(MicrosoftAzureBuilder::from_env().with_url(&self.store).with_retry(retry).build()?),
            Cloud::Web => {
                let url = if self.query.is_empty() { self.store.clone() } else { format!("{}/?{}", self.store, self.query) };
                let client = ClientOptions::new().with_allow_http(true);
                Arc::new(HttpBuilder::new().with_url(url).with_client_options(client).with_retry(retry).build()?)
            }
        })
    }

    /// What to do about a request that was refused.
    fn hint(&self) -> &'static str {
        match self.cloud {
            Cloud::Aws => {
                "set `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_REGION` (`eval \"$(aws configure export-credentials \
                 --format env)\"` takes them from a profile), or `AWS_SKIP_SIGNATURE=true` for a public bucket; `AWS_ENDPOINT_URL` names \
                 another store than Amazon's"
            }
            Cloud::Google => {
                "set `GOOGLE_APPLICATION_CREDENTIALS` to the file of a service account, or run `gcloud auth application-default login`"
            }
            Cloud::Azure => "set `AZURE_STORAGE_ACCOUNT_NAME` and `AZURE_STORAGE_ACCOUNT_KEY` (or `AZURE_STORAGE_SAS_KEY`)",
            Cloud::Web => "the server wants to know who asks: fetch it with `curl` and pipe it in, `curl … | logsql … -`",
        }
    }
}

/// A store for a URL of the engine, which reads Parquet from it.
pub fn store_of(url: &str) -> Option<object_store::Result<Arc<dyn ObjectStore>>> {
    Address::parse(OsStr::new(url)).map(|address| address.open())
}

/// An object as it was found.
pub(super) struct Remote {
    address: Address,
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// All of it, where the server cannot give a part.
    whole: OnceLock<File>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address && self.meta == other.meta
    }
}

impl Eq for Remote {}

/// Why bytes of an object cannot be had.
pub(super) enum Fault {
    /// It is not that object any more.
    Changed,
    Failed(object_store::Error),
    /// What came cannot be kept.
    Io(std::io::Error),
}

impl From<object_store::Error> for Fault {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => Self::Changed,
            error => Self::Failed(error),
        }
    }
}

impl Remote {
    fn options(&self, range: Option<GetRange>) -> GetOptions {
        // A weak ETag equals none, not even itself; it is compared here.
        let if_match = self.meta.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        GetOptions { if_match, range, ..GetOptions::default() }
    }

    async fn get(self: Arc<Self>, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        if self.whole.get().is_none() {
            match self.store.get_opts(&self.meta.location, self.options(Some(GetRange::Bounded(range.clone())))).await {
                Ok(got) => {
                    if !is_same(&self.meta, &got.meta) {
                        return Err(Fault::Changed);
                    }
                    return Ok(got.bytes().await?.to_vec());
                }
                Err(error) if is_without_ranges(&error) => self.fetch().await?,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(file) = self.whole.get() else { return Ok(Vec::new()) };
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
        let n = snapshot::read_full_at(file, &mut bytes, range.start).map_err(Fault::Io)?;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Fetches all of it into a file without a name.
    async fn fetch(&self) -> Result<(), Fault> {
        let (mut file, free) = temporary_file().map_err(Fault::Io)?;
        if self.meta.size > free / 2 {
            return Err(Fault::Io(std::io::ErrorKind::StorageFull.into()));
        }
        let got = self.store.get_opts(&self.meta.location, self.options(None)).await?;
        if !is_same(&self.meta, &got.meta) {
            return Err(Fault::Changed);
        }
        let mut bytes = got.into_stream();
        while let Some(some) = bytes.try_next().await? {
            file.write_all(&some).map_err(Fault::Io)?;
        }
        // Two that fetch it at once have the same.
        let _ = self.whole.set(file);
        Ok(())
    }

    /// Reads once, without a block.
    pub(super) fn read(self: &Arc<Self>, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        if range.is_empty() { Ok(Vec::new()) } else { received(&start(Arc::clone(self).get(range))) }
    }

    /// What a failed request means to the user.
    pub(super) fn error(&self, path: &Path, at: u64, fault: Fault) -> SourceError {
        match fault {
            Fault::Changed => SourceError::Changed { path: path.to_owned(), change: Change { kind: ChangeKind::Replaced, at } },
            Fault::Failed(error) => told(&self.address, path, &error),
            Fault::Io(source) => SourceError::Spool { path: path.to_owned(), source },
        }
    }
}

/// Is it still that object?
fn is_same(then: &ObjectMeta, now: &ObjectMeta) -> bool {
    match (&then.e_tag, &now.e_tag) {
        (Some(then), Some(now)) => then == now,
        _ => then.size == now.size && then.last_modified == now.last_modified,
    }
}

/// Does the server answer a request for a part with all, or not at all?
fn is_without_ranges(error: &object_store::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("non-partial response") || error.to_string().contains("not support range") {
            return true;
        }
        cause = error.source();
    }
    matches!(error, object_store::Error::NotSupported { .. })
}

/// The error for what a store said, with what to do about it.
fn told(address: &Address, path: &Path, error: &object_store::Error) -> SourceError {
    let path = path.to_owned();
    if matches!(error, object_store::Error::NotFound { .. }) {
        return SourceError::NotFound { path };
    }
    // The cause says what it is; what is around it says how the crate is made.
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    let mut depth = 0;
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
        depth += 1;
        if depth > 20 {
            break;
        }
    }
    let is_refused = matches!(error, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. });
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_about_credentials = is_refused
        || [
            "169.254.169.254",
            "metadata.google",
            "redential",
            "oken",
            "Account must be specified",
            "MissingAccount",
            "403",
            "401",
        ]
        .iter()
        .any(|word| error.to_string().contains(word) || text.contains(word));
    let hint = is_about_credentials.then(|| address.hint());
    let text = if is_refused { format!("access denied ({text})") } else { text };
    SourceError::Remote { path, text, hint }
}

/// The threads that requests run on.
fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let build = || Builder::new_multi_thread().worker_threads(2).thread_name("remote").enable_all().build().ok();
    RUNTIME.get_or_init(build).as_ref()
}

/// Starts work on the threads of requests.
fn start<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
    let (to, from) = sync_channel(1);
    if let Some(runtime) = runtime() {
        runtime.spawn(async move {
            // Nobody waits any more, then.
            let _ = to.send(work.await);
        });
    }
    from
}

/// Waits for what was started. If there are no threads to be had, or the work panicked, it has failed.
fn received<T>(from: &Receiver<Result<T, Fault>>) -> Result<T, Fault> {
    from.recv().unwrap_or_else(|_| Err(Fault::Io(std::io::Error::other("the request came to no end"))))
}

/// Bytes of an object.
type Block = Result<Vec<u8>, Fault>;

/// The bytes of an object, in blocks.
pub(super) struct RemoteFile {
    pub(super) remote: Arc<Remote>,
    block: Vec<u8>,
    block_at: u64,
    /// The next block, which is on its way.
    next: Option<(Range<u64>, Receiver<Block>)>,
    /// How much was asked for last.
    asked: u64,
}

impl std::fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteFile").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl RemoteFile {
    pub(super) fn new(remote: Arc<Remote>) -> Self {
        Self { remote, block: Vec::new(), block_at: 0, next: None, asked: 0 }
    }

    /// Reads until `buffer` is full or the object ends.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], at: u64) -> Result<usize, Fault> {
        let mut done = 0;
        while done < buffer.len() && at + (done as u64) < self.remote.meta.size {
            let place = at + done as u64;
            let within = place.checked_sub(self.block_at).and_then(|from| usize::try_from(from).ok());
            let Some(from) = within.filter(|from| *from < self.block.len()) else {
                self.fetch(place)?;
                if self.block.is_empty() {
                    break;
                }
                continue;
            };
            let rest = &self.block[from..];
            let n = rest.len().min(buffer.len() - done);
            buffer[done..done + n].copy_from_slice(&rest[..n]);
            done += n;
        }
        Ok(done)
    }

    /// Gets the block that begins at `at`.
    fn fetch(&mut self, at: u64) -> Result<(), Fault> {
        let is_next = !self.block.is_empty() && at == self.block_at + self.block.len() as u64;
        let range = self.range(at, is_next);
        self.block = match self.next.take().filter(|(next, _)| *next == range) {
            Some((_, from)) => received(&from)?,
            None => self.remote.read(range.clone())?,
        };
        self.block_at = at;
        self.asked = range.end - range.start;
        let behind = at + self.block.len() as u64;
        // Who has read as much goes on, as a rule.
        if self.asked >= MAX_BLOCK / 4 && behind < self.remote.meta.size && !behind.is_multiple_of(PIECE) {
            let range = self.range(behind, true);
            self.next = Some((range.clone(), start(Arc::clone(&self.remote).get(range))));
        }
        Ok(())
    }

    fn range(&self, at: u64, is_next: bool) -> Range<u64> {
        let len = match is_next && !at.is_multiple_of(PIECE) {
            true => (self.asked * 4).clamp(FIRST_BLOCK, MAX_BLOCK),
            false => FIRST_BLOCK,
        };
        // Blocks do not cross the ends of pieces.
        let piece_end = (at / PIECE + 1) * PIECE;
        at..(at + len).min(piece_end).min(self.remote.meta.size)
    }
}

/// What an address leads to.
pub(super) enum Found {
    /// These objects; each with what is wrong where it cannot be read.
    Objects(Vec<Result<Snapshot, SourceError>>),
    /// No object, but there are some whose names begin so.
    Folder,
}

/// Finds the objects that an address means: one, or all that match a pattern; `recursive`: all below it, where it is a folder.
pub(super) fn find(path: &Path, recursive: bool) -> Result<Found, SourceError> {
    let Some(address) = Address::parse(path.as_os_str()) else {
        return Err(SourceError::NotFound { path: path.to_owned() });
    };
    if address.cloud == Cloud::Web && address.key.contains('*') {
        let (path, text) = (path.to_owned(), "a web server has no list of its files".to_owned());
        return Err(SourceError::Remote { path, text, hint: Some("name each file by its address") });
    }
    let (asked, found) = (address.clone(), path.to_owned());
    let work = async move {
        let store = asked.open()?;
        if asked.is_pattern() {
            return Ok((looked_into(&asked, &store, matching(&asked, store.as_ref()).await?).await, false));
        }
        let single = match asked.key.is_empty() || asked.key.ends_with('/') {
            true => None,
            false => match look_into(&asked, &store, &asked.location(), &found).await {
                Err(SourceError::NotFound { .. }) if asked.cloud != Cloud::Web => None,
                looked => Some(looked),
            },
        };
        if let Some(single) = single {
            return Ok((vec![single], false));
        }
        if asked.cloud == Cloud::Web {
            return Ok((vec![look_into(&asked, &store, &asked.location(), &found).await], false));
        }
        let prefix = asked.location();
        let below: Vec<ObjectMeta> =
            store.list(Some(&prefix)).take(if recursive { MAX_OBJECTS } else { 1 }).try_collect().await?;
        if recursive && !below.is_empty() {
            return Ok((looked_into(&asked, &store, below).await, false));
        }
        Ok((vec![], !below.is_empty()))
    };
    let answer = start(async move { work.await.map_err(Fault::Failed) });
    match received(&answer) {
        Ok((_, true)) => Ok(Found::Folder),
        Ok((objects, false)) if objects.is_empty() && !address.is_pattern() => {
            Err(SourceError::NotFound { path: path.to_owned() })
        }
        Ok((objects, false)) => Ok(Found::Objects(objects)),
        Err(Fault::Failed(error)) => Err(told(&address, path, &error)),
        Err(Fault::Changed) => Err(SourceError::NotFound { path: path.to_owned() }),
        Err(Fault::Io(source)) => Err(SourceError::Open { path: path.to_owned(), source }),
    }
}

/// Looks at one object.
pub(super) fn take(path: &Path) -> Result<Snapshot, SourceError> {
    match find(path, false)? {
        Found::Objects(mut objects) if objects.len() == 1 => objects.remove(0),
        Found::Objects(_) => Err(SourceError::NotFound { path: path.to_owned() }),
        Found::Folder => Err(SourceError::IsDirectory { path: path.to_owned() }),
    }
}

/// The objects whose names match the pattern.
async fn matching(address: &Address, store: &dyn ObjectStore) -> object_store::Result<Vec<ObjectMeta>> {
    let names: Vec<&str> = address.key.split('/').collect();
    let fixed = names.iter().take_while(|name| !glob::is_pattern(OsStr::new(name))).count();
    let prefix = Location::from(names[..fixed].join("/"));
    let prefix = Some(&prefix).filter(|prefix| !prefix.as_ref().is_empty());
    let found = match fixed + 1 == names.len() && names[fixed] != "**" {
        // One folder is enough.
        true => store.list_with_delimiter(prefix).await?.objects,
        false => store.list(prefix).take(MAX_OBJECTS).try_collect().await?,
    };
    let fits = |meta: &ObjectMeta| {
        let parts: Vec<&str> = meta.location.as_ref().split('/').collect();
        fits_parts(&names, &parts)
    };
    Ok(found.into_iter().filter(fits).collect())
}

/// Does a name fit a pattern, part by part? `**` is any number of parts.
fn fits_parts(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=name.len()).any(|skip| {
            let tail = &name[skip..];
            if rest.is_empty() { !tail.is_empty() } else { fits_parts(rest, tail) }
        }),
        (Some((first, rest)), Some((part, tail))) => glob::matches(first.as_bytes(), part.as_bytes()) && fits_parts(rest, tail),
        _ => false,
    }
}

async fn looked_into(
    address: &Address,
    store: &Arc<dyn ObjectStore>,
    objects: Vec<ObjectMeta>,
) -> Vec<Result<Snapshot, SourceError>> {
    let objects = objects.into_iter().filter(|meta| meta.size > 0 || !meta.location.as_ref().is_empty());
    let look = |meta: ObjectMeta| async move {
        let path = address.path_of(&meta.location);
        look_into(address, store, &meta.location, &path).await
    };
    futures::stream::iter(objects.map(look)).buffered(AT_ONCE).collect().await
}

/// What an object is, by its first and its last bytes.
async fn look_into(
    address: &Address,
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    path: &Path,
) -> Result<Snapshot, SourceError> {
    let failed = |error: object_store::Error| told(address, path, &error);
    let first = |bytes: usize| GetOptions { range: Some(GetRange::Bounded(0..bytes as u64)), ..GetOptions::default() };
    let (meta, head) = match store.get_opts(location, first(HEAD_BYTES)).await {
        Ok(got) => (got.meta.clone(), Some(got.bytes().await.map_err(failed)?.to_vec())),
        Err(
            error @ (object_store::Error::NotFound { .. }
            | object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }),
        ) => {
            return Err(failed(error));
        }
        // An empty object has no first byte, and some servers give no parts.
        Err(error) => match store.head(location).await {
            Ok(meta) => (meta, None),
            Err(_) => return Err(failed(error)),
        },
    };
    let size = meta.size;
    let remote = Arc::new(Remote { address: address.clone(), store: Arc::clone(store), meta, whole: OnceLock::new() });
    let wrong = |fault| remote.error(path, 0, fault);
    let get = |range: Range<u64>| {
        let remote = Arc::clone(&remote);
        async move { if range.is_empty() { Ok(Vec::new()) } else { remote.get(range).await } }
    };
    let head = match head {
        Some(head) => head,
        None => get(0..size.min(HEAD_BYTES as u64)).await.map_err(wrong)?,
    };
    let tail = get(size - snapshot::tail_len(size) as u64..size).await.map_err(wrong)?;
    let mut nature = Nature::of(&head);
    for bytes in [FIRST_BLOCK as usize, FIRST_BLOCK_BYTES] {
        if nature.is_hidden() && size > head.len() as u64 {
            nature = Nature::of(&get(0..size.min(bytes as u64)).await.map_err(wrong)?);
        }
    }
    let meta = &remote.meta;
    let mtime_ns = meta.last_modified.timestamp_nanos_opt().unwrap_or(0);
    let tag = meta.e_tag.as_deref().or(meta.version.as_deref()).unwrap_or_default();
    // In place of the numbers that a file has on a disk: what names it, and what is another if it is another.
    let (dev, ino) = (snapshot::hash(address.store.as_bytes()), snapshot::hash(meta.location.as_ref().as_bytes()));
    let changed = i64::from_le_bytes(snapshot::hash(tag.as_bytes()).to_le_bytes());
    Snapshot::of_remote(path, Arc::clone(&remote), (dev, ino), size, (mtime_ns, changed), (&head, &tail), nature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_store_and_a_name_in_it() {
        let parse = |text: &str| Address::parse(OsStr::new(text));
        let address = parse("s3://logs/web/2026/*.gz").unwrap();
        assert_eq!((address.store.as_str(), address.key.as_str(), address.is_pattern()), ("s3://logs", "web/2026/*.gz", true));
        let address = parse("https://h:8080/a%20b.log?sig=x").unwrap();
        assert_eq!((address.store.as_str(), address.query.as_str()), ("https://h:8080", "sig=x"));
        assert_eq!(address.location().as_ref(), "a b.log");
        for none in ["s3:/x", "/s3://x", "ftp://h/x", "s3://", "access.log"] {
            assert!(parse(none).is_none(), "{none}");
        }
    }

    #[test]
    fn patterns_are_matched_part_by_part() {
        let fits =
            |pattern: &str, name: &str| fits_parts(&pattern.split('/').collect::<Vec<_>>(), &name.split('/').collect::<Vec<_>>());
        assert!(fits("a/*.gz", "a/x.gz") && !fits("a/*.gz", "a/b/x.gz") && !fits("a/*.gz", "b/x.gz"));
        assert!(fits("a/**/x.gz", "a/x.gz") && fits("a/**/x.gz", "a/b/c/x.gz") && fits("**", "a/b"));
        assert!(fits("*/2026-1[12]-*.log", "web1/2026-11-03.log") && !fits("*/2026-1[12]-*.log", "web1/2026-10-03.log"));
    }
}
