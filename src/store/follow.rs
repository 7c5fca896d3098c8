//! What is new in logs since the last look, without a store: the same seam, in memory.
//!
//! ```text
//!   files as they are ──skip──► checkpoints ◄──note── parts that were read
//!   files a moment later ──seam──► which log is this, and what of it is behind its checkpoint? ──look──► parts
//! ```
//!
//! Rotation is therefore what it is for a store: the rest of a renamed log is read under its new name, a log that was copied and
//! truncated begins anew, and its copy is no news.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::collect::{Work, blocking, last_line_feed, last_whole, lines_in, noted};
use super::manifest::Manifest;
use super::seam::{Copies, Place, places, text_upto};
use crate::kernel::table::TableDef;
use crate::session::Session;
use crate::source::{ReadOptions, Snapshot, SourceError};
use crate::table::{Begin, Listing, LogFile, Part, Rest};

/// A record of several lines has all of them when nothing was written for this time.
const SETTLED: Duration = Duration::from_secs(1);

/// The lines before a checkpoint are counted when the log has grown, if that ever comes.
const NOT_COUNTED: u64 = 0;

/// Up to where logs were read.
#[derive(Debug)]
pub struct Follower {
    manifest: Manifest,
    read: ReadOptions,
    /// What the last look gave, until it is noted.
    given: Vec<Work>,
}

impl Follower {
    /// Nothing was read yet.
    pub fn new(read: ReadOptions) -> Self {
        Self { manifest: Manifest::new(false), read, given: vec![] }
    }

    /// Takes all that feeds a table now as read, and gives it: records that are not whole yet are still to come.
    pub async fn skip(&mut self, session: &Session, listing: &Listing, def: &TableDef) -> Vec<Arc<LogFile>> {
        let mut there = vec![];
        for file in feeding(session, listing, def) {
            if !is_followed(&file.snapshot) {
                self.note([Work { file: Arc::clone(file), source: None, text: None, done: true }]);
                there.push(Arc::clone(file));
                continue;
            }
            let begin = Begin { offset: 0, line: 1 };
            let Some(end) = self.end(session, file, begin).await else { continue };
            let (snapshot, read) = (file.snapshot.clone(), self.read.clone());
            let text = blocking(move || text_upto(&snapshot, end, NOT_COUNTED, &read)).await.ok().flatten();
            let part = Arc::new(file.with_part(session.schema().context(), Part { begin, end }));
            self.note([Work { file: Arc::clone(&part), source: None, text, done: end == file.snapshot.size }]);
            there.push(part);
        }
        there
    }

    /// The parts of the files that nobody was given before. They count as read with [`Self::read`].
    pub async fn look(&mut self, session: &Session, listing: &Listing, def: &TableDef) -> Vec<Arc<LogFile>> {
        let files: Vec<&Arc<LogFile>> = feeding(session, listing, def).collect();
        let snapshots: Vec<&Snapshot> = files.iter().map(|file| &file.snapshot).collect();
        let found = tokio::task::block_in_place(|| places(&self.manifest, &snapshots, Copies::Skip, &self.read));
        self.given.clear();
        for (file, place) in files.into_iter().zip(found) {
            // What cannot be read now is looked at again the next time.
            if let Ok(Some(work)) = self.new_part(session, file, &place).await {
                self.given.push(work);
            }
        }
        self.given.iter().filter(|work| work.file.part.is_some()).map(|work| Arc::clone(&work.file)).collect()
    }

    /// What the last look gave was read.
    pub fn read(&mut self) {
        let given = std::mem::take(&mut self.given);
        self.note(given);
    }

    async fn new_part(&self, session: &Session, file: &Arc<LogFile>, place: &Place) -> Result<Option<Work>, SourceError> {
        let snapshot = &file.snapshot;
        let mut begin = match &place.rest {
            Rest::Nothing(_) => return Ok(None),
            Rest::From(begin) => *begin,
            // Packed logs and archives are of the past, wherever they come from.
            Rest::All if !is_followed(snapshot) => {
                return Ok(Some(Work { file: Arc::clone(file), source: place.source, text: None, done: true }));
            }
            Rest::All => Begin { offset: 0, line: 1 },
        };
        if !is_followed(snapshot) {
            // A log that was packed in between: what was written last is in there.
            let file = Arc::new(file.with_part(session.schema().context(), Part { begin, end: u64::MAX }));
            return Ok(Some(Work { file, source: place.source, text: None, done: true }));
        }
        let Some(end) = self.end(session, file, begin).await.filter(|end| *end > begin.offset) else { return Ok(None) };
        let (read, whole) = (self.read.clone(), snapshot.clone());
        let (line, text) = blocking(move || {
            let line = match begin.line {
                NOT_COUNTED => 1 + lines_in(&whole, 0, begin.offset, &read)?,
                line => line,
            };
            let next = line + lines_in(&whole, begin.offset, end, &read)?;
            Ok((line, text_upto(&whole, end, next, &read)?))
        })
        .await?;
        begin.line = line;
        let part = Arc::new(file.with_part(session.schema().context(), Part { begin, end }));
        Ok(Some(Work { file: part, source: place.source, text, done: end == snapshot.size }))
    }

    /// The end of the last record that gets no more lines.
    async fn end(&self, session: &Session, file: &Arc<LogFile>, begin: Begin) -> Option<u64> {
        let age_ns = Timestamp::now().as_nanosecond() - i128::from(file.snapshot.mtime_ns);
        if age_ns < i128::try_from(SETTLED.as_nanos()).unwrap_or(i128::MAX) {
            return last_whole(session, file, begin, file.snapshot.size, &self.read).await.ok().flatten();
        }
        let (snapshot, read) = (file.snapshot.clone(), self.read.clone());
        blocking(move || last_line_feed(&snapshot, begin.offset, snapshot.size, &read)).await.ok().flatten()
    }

    fn note(&mut self, work: impl IntoIterator<Item = Work>) {
        let now = Timestamp::now().as_second();
        for work in work {
            let (at, source) = noted(&work, now);
            match at {
                Some(at) => self.manifest.sources[at] = source,
                None => self.manifest.sources.push(source),
            }
        }
    }
}

/// Can it grow?
fn is_followed(snapshot: &Snapshot) -> bool {
    snapshot.is_splittable() && snapshot.member.is_none()
}

fn feeding<'a>(session: &'a Session, listing: &'a Listing, def: &'a TableDef) -> impl Iterator<Item = &'a Arc<LogFile>> {
    listing.files.iter().filter(|file| file.feeds(session.formats(), def.name))
}
