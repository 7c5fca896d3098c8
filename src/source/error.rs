//! What can be wrong with an input, in three grades.
//!
//! ```text
//!   SourceError   this file cannot be read (any further)        the query goes on without the rest of it
//!   Change        it is not the file any more that it was        what was read since the last check is thrown away
//!   Issue         it was read, but something was odd about it    counted in the scan report
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::snapshot::Compression;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The path leads nowhere.
    #[error("{}: no such file", .path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file or a folder on the way may not be read.
    #[error("{}: permission denied", .path.display())]
    PermissionDenied {
        /// The file.
        path: PathBuf,
    },
    /// A folder where a file was expected.
    #[error("{}: is a directory", .path.display())]
    IsDirectory {
        /// The folder.
        path: PathBuf,
    },
    /// Symbolic links that lead in a circle.
    #[error("{}: symbolic links lead in a circle", .path.display())]
    SymlinkLoop {
        /// Where the circle was noticed.
        path: PathBuf,
    },
    /// A kind of file or content that this program does not read.
    #[error("{}: cannot read {what}", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is, with its article.
        what: Unsupported,
    },
    /// The system refused to open it, for another reason than the ones above.
    #[error("{}: cannot open", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system failed to read it.
    #[error("{}: cannot read at byte {at}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Where, in raw (compressed) bytes.
        at: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not the file any more that the snapshot was taken of.
    #[error("{}: {change}", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// How it changed.
        change: Change,
    },
    /// A store or web server does not give it.
    #[error("{}: {text}", .path.display())]
    Remote {
        /// Its address.
        path: PathBuf,
        /// What was said.
        text: String,
        /// What to do about it, where that is known.
        hint: Option<&'static str>,
    },
    /// The temporary file that keeps a stream for a second reader cannot be written.
    #[error("{}: cannot keep the stream in a temporary file", .path.display())]
    Spool {
        /// The stream.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Two readers of a stream are further apart than may be kept.
    #[error("{}: one reader of the stream is more than {kept} bytes behind another", .path.display())]
    SpoolFull {
        /// The stream.
        path: PathBuf,
        /// How much is kept.
        kept: u64,
    },
    /// A second reading of a stream that was too long to be kept.
    #[error("{}: the stream was too long to be kept and can be read only once", .path.display())]
    StreamGone {
        /// The stream.
        path: PathBuf,
    },
}

/// What [`SourceError::Unsupported`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// A Unix socket.
    Socket,
    /// A disk.
    BlockDevice,
    /// Compressed by this program, or an archive of its kind; holds the command that turns it into plain text on stdout.
    Packed(&'static str, &'static str),
    /// A zip archive from a stream, which says at its end what is in it.
    StreamedZip,
    /// Text in this encoding.
    Text(&'static str),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("a socket"),
            Self::BlockDevice => f.write_str("a block device"),
            Self::Packed(name, _) => write!(f, "{name} files yet"),
            Self::StreamedZip => f.write_str("a zip archive from a stream, since it says at its end what is in it"),
            Self::Text(name) => write!(f, "{name} text"),
        }
    }
}

impl SourceError {
    /// The file it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotFound { path }
            | Self::PermissionDenied { path }
            | Self::IsDirectory { path }
            | Self::SymlinkLoop { path }
            | Self::Unsupported { path, .. }
            | Self::Open { path, .. }
            | Self::Read { path, .. }
            | Self::Changed { path, .. }
            | Self::Remote { path, .. }
            | Self::Spool { path, .. }
            | Self::SpoolFull { path, .. }
            | Self::StreamGone { path } => path,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let path = self.path().display();
        match self {
            Self::NotFound { .. } | Self::SymlinkLoop { .. } => None,
            Self::PermissionDenied { .. } => {
                Some("run as a user who may read it (on many systems a member of the group `adm`)".to_owned())
            }
            Self::IsDirectory { .. } => Some(format!("use `{path}/*.log`, or `-r` for all files in it")),
            Self::Unsupported { what, .. } => match what {
                Unsupported::Socket | Unsupported::BlockDevice => None,
                Unsupported::Packed(_, command) => Some(format!("unpack it on the way: `{command} {path} | logsql … -`")),
                Unsupported::StreamedZip => Some("write it to a file and name that".to_owned()),
                Unsupported::Text(name) => Some(format!("convert it: `iconv -f {name} -t UTF-8 {path} | logsql … -`")),
            },
            Self::Open { source, .. } if source.raw_os_error() == Some(libc::EMFILE) => {
                Some("raise the limit of open files with `ulimit -n`".to_owned())
            }
            Self::Open { .. } | Self::Read { .. } => None,
            Self::Changed { .. } => Some("run the query again: the file was rotated or rewritten".to_owned()),
            Self::Remote { hint, .. } => hint.map(str::to_owned),
            Self::Spool { .. } => Some("set `TMPDIR` to a folder with room".to_owned()),
            Self::SpoolFull { .. } | Self::StreamGone { .. } => Some("write the stream to a file and query the file".to_owned()),
        }
    }

    /// The typed error for what the system said when `path` was opened.
    pub(super) fn from_open(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => Self::NotFound { path },
            Some(libc::EACCES | libc::EPERM) => Self::PermissionDenied { path },
            Some(libc::EISDIR) => Self::IsDirectory { path },
            Some(libc::ELOOP) => Self::SymlinkLoop { path },
            _ => Self::Open { path, source },
        }
    }
}

/// How a file stopped being what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It became shorter than it was.
    Truncated,
    /// Its content is another one: rewritten in place, truncated and grown again, or another file of its name.
    Replaced,
    /// The device failed under a mapped page, or does not tell the file's state any more.
    Unreadable,
}

/// A file is not any more what its snapshot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Change {
    /// What happened to it.
    pub kind: ChangeKind,
    /// The byte of the file where it was noticed: nothing before it is known to be wrong, nothing after it is right.
    pub at: u64,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.kind {
            ChangeKind::Truncated => write!(f, "was truncated to {at} bytes while it was read"),
            ChangeKind::Replaced => write!(f, "was replaced or rewritten while it was read (noticed at byte {at})"),
            ChangeKind::Unreadable => write!(f, "became unreadable at byte {at}"),
        }
    }
}

/// How much an [`Issue`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All that was asked for was read.
    Note,
    /// Something was left out that is probably no log text.
    Warning,
    /// Log text is missing.
    Loss,
}

/// What was wrong with an input without stopping it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Issue {
    /// The file grew since its snapshot; the new bytes are left to the next query.
    Grown {
        /// Size at the snapshot.
        from: u64,
        /// Size when it was noticed.
        to: u64,
    },
    /// The file was renamed since its snapshot and read under its new name.
    Moved {
        /// The new name.
        to: PathBuf,
    },
    /// Zero bytes after a member (padding by tape and copy tools).
    ZeroPadding {
        /// Where, in compressed bytes.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes after the last member that are none.
    TrailingGarbage {
        /// Where, in compressed bytes.
        at: u64,
    },
    /// The compressed data end in the middle of a member.
    Truncated {
        /// How they are compressed.
        kind: Compression,
        /// Size of the compressed data.
        at: u64,
        /// Uncompressed bytes that could be had.
        out: u64,
    },
    /// The compressed data are damaged; what follows cannot be had.
    Corrupt {
        /// How they are compressed.
        kind: Compression,
        /// Where, in compressed bytes.
        at: u64,
        /// Uncompressed bytes that could be had.
        out: u64,
    },
    /// The checksum or length of a gzip or zip member does not fit what came out of it.
    Checksum {
        /// Where the member ends, in compressed bytes.
        at: u64,
    },
    /// Stopped by [`DecompressLimit`](super::DecompressLimit).
    DecompressLimit {
        /// Where, in compressed bytes.
        at: u64,
        /// Uncompressed bytes that were handed out.
        out: u64,
    },
    /// A device or virtual file gave more than is read of one.
    DeviceLimit {
        /// How much was read.
        bytes: u64,
    },
    /// Code units that are no UTF-16; each is `U+FFFD` in the text.
    MalformedUtf16 {
        /// Where in the UTF-8 form the first one is, within a block.
        at: u64,
    },
}

impl Issue {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Grown { .. } | Self::Moved { .. } | Self::ZeroPadding { .. } => Severity::Note,
            Self::TrailingGarbage { .. } | Self::MalformedUtf16 { .. } => Severity::Warning,
            Self::Truncated { .. }
            | Self::Corrupt { .. }
            | Self::Checksum { .. }
            | Self::DecompressLimit { .. }
            | Self::DeviceLimit { .. } => Severity::Loss,
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grown { from, to } => write!(f, "grew from {from} to {to} bytes while it was read; the new bytes wait"),
            Self::Moved { to } => write!(f, "was renamed to {} and read there", to.display()),
            Self::ZeroPadding { at, bytes } => write!(f, "{bytes} zero bytes after the compressed data at byte {at}, skipped"),
            Self::TrailingGarbage { at } => write!(f, "trailing bytes that are no compressed data at byte {at}, skipped"),
            Self::Truncated { kind, at, out } => {
                write!(f, "{kind} data ends in the middle of a member at byte {at}; {out} bytes of text could be read")
            }
            Self::Corrupt { kind, at, out } => {
                write!(f, "{kind} data is damaged at byte {at}; {out} bytes of text could be read")
            }
            Self::Checksum { at } => write!(f, "checksum of the member that ends at byte {at} is wrong"),
            Self::DecompressLimit { at, out } => {
                write!(f, "stopped after {out} bytes of text from {at} compressed bytes: this looks like a decompression bomb")
            }
            Self::DeviceLimit { bytes } => write!(f, "stopped after {bytes} bytes: this looks like a device without an end"),
            Self::MalformedUtf16 { at } => write!(f, "malformed UTF-16 from about byte {at} of the text on, shown as U+FFFD"),
        }
    }
}

/// Copies the issues of a reader below that came since the last time; `taken` counts them.
pub(super) fn take_issues(issues: &mut Vec<Issue>, taken: &mut usize, below: &[Issue]) {
    let new = below.get(*taken..).unwrap_or(&[]);
    *taken += new.len();
    issues.extend_from_slice(new);
}
