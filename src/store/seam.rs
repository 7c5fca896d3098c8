//! Which log a file is, and what of it was collected: by its text, whatever became of the file.
//!
//! ```text
//!   rename            access.log → access.log.1            the text up to the checkpoint is in access.log.1
//!   copytruncate      the same, under another inode        …there too; access.log begins with another text
//!   compression       access.log.1 → access.log.1.gz       …in what comes out of it
//!   delete, reuse     another log under the old inode      …nowhere: a new log, from its beginning
//! ```
//!
//! A source of the manifest matches a file if the first 1 KiB and the last 64 bytes before the checkpoint are there, at their places.
//! Device and inode decide only between two files of which both match. A file that is not collected yet, and whose text is the
//! beginning of another one of its folder, is a copy on its way (logrotate copies before it truncates, gzip writes before it removes): it is
//! left alone as long as the other one is there, and said to be.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::manifest::{Manifest, Source, State, Text};
use crate::source::{self, FileKind, Fill, ReadOptions, Severity, Snapshot, SourceError, stable_hash};
use crate::table::{Begin, Remark, Rest};

/// How much of the beginning of a text tells it from others.
const HEAD_BYTES: u64 = 1024;

/// How much before the checkpoint does.
const TAIL_BYTES: u64 = 64;

/// What about a file whose text is the beginning of another one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// It is the other one, on its way to somewhere else.
    Skip,
    /// It is a log of its own: somebody named it.
    Read,
}

/// What is known about a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What of it was not collected.
    pub(super) rest: Rest,
    /// The source that it continues.
    pub(super) source: Option<usize>,
}

impl Place {
    fn nothing(source: Option<usize>, remark: Option<Remark>) -> Self {
        Self { rest: Rest::Nothing(remark), source }
    }
}

/// The state of a file, or of the archive that it is in.
pub(super) fn state_of(snapshot: &Snapshot) -> (State, Option<u64>) {
    let of = |snapshot: &Snapshot| State { size: snapshot.size, head: snapshot.head_hash, tail: snapshot.tail_hash };
    match &snapshot.member {
        Some(member) => (of(member.archive()), Some(member.start())),
        None => (of(snapshot), None),
    }
}

/// What of these files was collected.
pub(super) fn places(manifest: &Manifest, files: &[&Snapshot], copies: Copies, read: &ReadOptions) -> Vec<Place> {
    let mut seam = Seam::new(manifest, read);
    let mut places: Vec<Option<Place>> = files.iter().map(|file| seam.by_state(file)).collect();
    let candidates: Vec<Vec<usize>> = files
        .iter()
        .zip(&mut places)
        .map(|(file, place)| match place {
            Some(_) => vec![],
            None => seam.candidates(file).unwrap_or_else(|error| {
                // Who cannot tell which log it is must not read it from its beginning.
                *place = Some(Place::nothing(None, Some(unsure(&error))));
                vec![]
            }),
        })
        .collect();
    for only_same_inode in [true, false] {
        for ((file, place), candidates) in files.iter().zip(&mut places).zip(&candidates) {
            if place.is_some() || candidates.is_empty() {
                continue;
            }
            let is_same = |source: &Source| (source.dev, source.ino) == (file.dev, file.ino);
            let free = candidates.iter().copied().filter(|at| !seam.taken.contains(at));
            let fitting = free.filter(|at| !only_same_inode || is_same(&manifest.sources[*at]));
            let rank = |at: &usize| {
                let source = &manifest.sources[*at];
                (is_same(source), source.path == file.path, source.text.map_or(0, |text| text.end))
            };
            if let Some(best) = fitting.max_by_key(rank) {
                *place = Some(seam.take(best));
            } else if !only_same_inode && copies == Copies::Skip {
                let of = candidates.first().map(|at| manifest.sources[*at].path.as_path());
                *place = Some(Place::nothing(None, of.map(copy_of)));
            }
        }
    }
    if copies == Copies::Skip {
        let originals: Vec<Option<usize>> =
            (0..files.len()).map(|at| if places[at].is_none() { original(files, at, read) } else { None }).collect();
        for (place, original) in places.iter_mut().zip(originals) {
            if let Some(original) = original {
                *place = Some(Place::nothing(None, Some(copy_of(&files[original].path))));
            }
        }
    }
    places.into_iter().map(|place| place.unwrap_or(Place { rest: Rest::All, source: None })).collect()
}

fn copy_of(path: &Path) -> Remark {
    Remark { severity: Severity::Note, text: format!("a copy of {}, as far as it goes", path.display()), hint: None }
}

fn unsure(error: &SourceError) -> Remark {
    let text = format!("left out, since nobody can tell what of it is in the store: {error}");
    Remark { severity: Severity::Loss, text, hint: Some("run it again".to_owned()) }
}

struct Seam<'a> {
    manifest: &'a Manifest,
    read: &'a ReadOptions,
    by_state: HashMap<(State, Option<u64>), usize>,
    by_head: HashMap<u64, Vec<usize>>,
    /// Texts of less than 1 KiB.
    short: Vec<usize>,
    taken: HashSet<usize>,
}

impl<'a> Seam<'a> {
    fn new(manifest: &'a Manifest, read: &'a ReadOptions) -> Self {
        let mut seam =
            Self { manifest, read, by_state: HashMap::new(), by_head: HashMap::new(), short: vec![], taken: HashSet::new() };
        for (at, source) in manifest.sources.iter().enumerate() {
            if source.done {
                seam.by_state.insert((source.state, source.member), at);
            }
            match source.text {
                Some(text) if text.end >= HEAD_BYTES => seam.by_head.entry(text.head).or_default().push(at),
                Some(text) if text.end > 0 => seam.short.push(at),
                _ => {}
            }
        }
        seam
    }

    /// The place of a file that is known as it stands, or that has no place.
    fn by_state(&mut self, file: &Snapshot) -> Option<Place> {
        if file.kind != FileKind::Regular || file.size == 0 {
            return Some(Place { rest: Rest::All, source: None });
        }
        let known = self.by_state.get(&state_of(file)).copied();
        if let Some(known) = known {
            self.taken.insert(known);
            return Some(Place::nothing(Some(known), None));
        }
        // What is in an archive is there as a whole: it does not grow, and is not rotated.
        file.member.is_some().then_some(Place { rest: Rest::All, source: None })
    }

    fn take(&mut self, at: usize) -> Place {
        self.taken.insert(at);
        let text = self.manifest.sources[at].text;
        let begin = text.map_or(Begin { offset: 0, line: 1 }, |text| Begin { offset: text.end, line: text.line });
        Place { rest: Rest::From(begin), source: Some(at) }
    }

    /// The sources whose text the file begins with.
    fn candidates(&self, file: &Snapshot) -> Result<Vec<usize>, SourceError> {
        if self.by_head.is_empty() && self.short.is_empty() {
            return Ok(vec![]);
        }
        let is_plain = file.is_splittable();
        let is_long = !is_plain || file.size >= HEAD_BYTES;
        let knows_head = is_plain && file.bom_len == 0 && is_long;
        let head = if knows_head && self.short.is_empty() { None } else { Some(head_of(file, self.read)?) };
        let long_hash = match &head {
            _ if knows_head => Some(file.head_hash),
            Some(head) if head.upto == HEAD_BYTES => Some(stable_hash(&head.bytes)),
            _ => None,
        };
        let long = long_hash.and_then(|hash| self.by_head.get(&hash)).into_iter().flatten();
        let short = self.short.iter().filter(|at| {
            let (Some(head), Some(text)) = (&head, self.manifest.sources[**at].text) else { return false };
            head.upto(text.end).is_some_and(|bytes| stable_hash(bytes) == text.head)
        });
        let mut found: Vec<(usize, Text)> =
            long.chain(short).filter_map(|at| Some((*at, self.manifest.sources[*at].text?))).collect();
        if is_plain {
            found.retain(|(_, text)| text.end <= file.size);
        }
        found.sort_by_key(|(_, text)| text.end);
        let ends: Vec<u64> = found.iter().map(|(_, text)| text.end).collect();
        let tails = tails_of(file, &ends, self.read)?;
        let fits = found.iter().zip(tails).filter(|((_, text), tail)| *tail == Some(text.tail));
        Ok(fits.map(|((at, _), _)| *at).collect())
    }
}

/// The file that the one at `at` is a copy of, as far as it goes.
fn original(files: &[&Snapshot], at: usize, read: &ReadOptions) -> Option<usize> {
    let file = files[at];
    if file.kind != FileKind::Regular || file.size == 0 || file.member.is_some() {
        return None;
    }
    (0..files.len()).find(|other_at| {
        let other = files[*other_at];
        let may = *other_at != at && other.is_splittable() && other.member.is_none() && other.path.parent() == file.path.parent();
        // Of two that are the same, the first is the log.
        let is_longer = !file.is_splittable() || (other.size, at) > (file.size, *other_at);
        may && is_longer && other.size > 0 && begins_with(other, file, read).unwrap_or(false)
    })
}

/// Does the text of `longer` begin with that of `file`?
fn begins_with(longer: &Snapshot, file: &Snapshot, read: &ReadOptions) -> Result<bool, SourceError> {
    let is_plain = file.is_splittable();
    if is_plain && file.size >= HEAD_BYTES && longer.size >= HEAD_BYTES && file.head_hash != longer.head_hash {
        return Ok(false);
    }
    let head = head_of(file, read)?;
    let same_head = head_of(longer, read)?.upto(head.upto).is_some_and(|bytes| bytes == head.bytes);
    if !same_head || !is_plain {
        return Ok(same_head);
    }
    let tail = tails_of(longer, &[file.size], read)?;
    Ok(tail == tails_of(file, &[file.size], read)?)
}

/// The beginning of a text: what is behind its byte order mark, up to an offset.
struct Head {
    begin: u64,
    upto: u64,
    bytes: Vec<u8>,
}

impl Head {
    /// What there is of it before `end`; `None` if it does not go that far.
    fn upto(&self, end: u64) -> Option<&[u8]> {
        let end = end.min(HEAD_BYTES);
        let len = usize::try_from(end.checked_sub(self.begin)?).ok()?;
        self.bytes.get(..len)
    }
}

fn head_of(file: &Snapshot, read: &ReadOptions) -> Result<Head, SourceError> {
    let mut reader = source::open(file, 0, read)?;
    let Fill { bytes, .. } = reader.fill(HEAD_BYTES as usize)?;
    // A file that is mapped is there as a whole, and behind a byte order mark the text begins later.
    let mut bytes = bytes[..bytes.len().min(HEAD_BYTES as usize)].to_vec();
    let begin = reader.offset();
    reader.verify().map_err(|change| SourceError::Changed { path: file.path.clone(), change })?;
    bytes.truncate(usize::try_from(HEAD_BYTES.saturating_sub(begin)).unwrap_or(0));
    Ok(Head { begin, upto: begin + bytes.len() as u64, bytes })
}

/// The hashes of the last bytes before each of these offsets, which ascend; `None` where the text ends before.
fn tails_of(file: &Snapshot, ends: &[u64], read: &ReadOptions) -> Result<Vec<Option<u64>>, SourceError> {
    let mut tails = Vec::with_capacity(ends.len());
    let Some(first) = ends.first() else { return Ok(tails) };
    let start = |end: u64| end.saturating_sub(TAIL_BYTES);
    let is_plain = file.is_splittable();
    let mut reader = source::open(file, if is_plain { start(*first) } else { 0 }, read)?;
    for end in ends {
        if is_plain && reader.offset() != start(*end) {
            reader = source::open(file, start(*end), read)?;
        }
        let mut over = false;
        while reader.offset() < start(*end) && !over {
            let left = usize::try_from(start(*end) - reader.offset()).unwrap_or(usize::MAX);
            let Fill { bytes, end } = reader.fill(1)?;
            let take = bytes.len().min(left);
            over = end && take == bytes.len() && take < left;
            reader.consume(take);
        }
        // Behind a byte order mark the text begins later.
        let len = usize::try_from(end.saturating_sub(reader.offset())).unwrap_or(0);
        let Fill { bytes, .. } = reader.fill(len)?;
        tails.push(bytes.get(..len).filter(|bytes| !bytes.is_empty()).map(stable_hash));
    }
    reader.verify().map_err(|change| SourceError::Changed { path: file.path.clone(), change })?;
    Ok(tails)
}

/// What identifies the text of a file up to `end`, where line number `line` begins. `None` if it has not that much.
pub(super) fn text_upto(file: &Snapshot, end: u64, line: u64, read: &ReadOptions) -> Result<Option<Text>, SourceError> {
    let head = head_of(file, read)?;
    let head = head.upto(end).map(stable_hash);
    let tail = tails_of(file, &[end], read)?.into_iter().next().flatten();
    Ok(head.zip(tail).map(|(head, tail)| Text { end, line, head, tail }))
}
