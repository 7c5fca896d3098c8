//! What a reader of records has learned of them, and hands on to the next one.
//!
//! What lines look like is learned from some hundred of them, which is most of the work on a small file. A trace takes what its program
//! takes, whatever it was learned from, so a reader can go on with those of another one.

use std::collections::BTreeSet;
use std::ops::Range;

use super::planes::Planes;
use super::set::PatternSet;
use super::trace::Traces;

/// Where the line feeds and the ends of fields are in the bytes that are being read, and what was learned of lines, of the first lines of
/// records, and of the records inside.
#[derive(Default)]
pub(crate) struct Tracing {
    pub(crate) planes: Planes,
    pub(crate) traces: Traces,
    pub(crate) start_traces: Traces,
    pub(crate) carried_traces: Vec<Traces>,
    /// Who can use it.
    learned_for: LearnedFor,
}

/// Traces belong to sets, and know only the captures that are asked for.
#[derive(Default, PartialEq)]
struct LearnedFor {
    read: BTreeSet<usize>,
    starts: Option<u64>,
    carried: Vec<(u64, Range<usize>)>,
}

/// Who reads records, beside the set that takes the lines.
pub(crate) struct Reader<'a> {
    /// The captures that are looked at, those of the records inside behind the others.
    pub(crate) read: &'a BTreeSet<usize>,
    /// What records of several lines begin with.
    pub(crate) starts: Option<&'a PatternSet>,
    /// What is tried on records inside, and where its captures are.
    pub(crate) carried: Vec<(&'a PatternSet, Range<usize>)>,
}

impl Tracing {
    pub(super) fn new(set: &PatternSet, reader: &Reader<'_>) -> Self {
        let of = |range: Range<usize>| Traces::of_slots(reader.read.range(range.clone()).map(|slot| slot - range.start));
        Self {
            planes: Planes::default(),
            traces: of(0..set.captures()),
            start_traces: Traces::of_slots([]),
            carried_traces: reader.carried.iter().map(|(_, slots)| of(slots.clone())).collect(),
            learned_for: reader.key(),
        }
    }

    pub(super) fn serves(&self, reader: &Reader<'_>) -> bool {
        self.learned_for == reader.key()
    }

    /// Is there room for more? Else it may be full of what is found in other files.
    pub(super) fn has_room(&self) -> bool {
        [&self.traces, &self.start_traces].into_iter().chain(&self.carried_traces).all(Traces::has_room)
    }
}

impl Reader<'_> {
    fn key(&self) -> LearnedFor {
        LearnedFor {
            read: self.read.clone(),
            starts: self.starts.map(PatternSet::number),
            carried: self.carried.iter().map(|(set, slots)| (set.number(), slots.clone())).collect(),
        }
    }
}
