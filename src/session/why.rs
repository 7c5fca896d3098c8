//! Why a file has the format that it has, in words.

use std::path::Path;

use super::Session;
use crate::kernel::format::{Candidate, Detection};
use crate::kernel::table::{UNPARSED, tables};

/// Families that are shown beside the chosen one.
const RUNNERS_UP: usize = 3;

impl Session {
    /// The choice, the runners-up and the first line that each of them failed on; each line ends with a line feed.
    pub fn describe_detection(&self, path: &Path, detection: &Detection) -> String {
        let mut text = format!("{}: ", path.display());
        match &detection.best {
            Some(best) => {
                let formats = self.formats();
                let fed = tables().iter().map(|table| table.name).filter(|table| *table != UNPARSED);
                let fed = fed.filter(|table| formats.feeds(&best.format, table));
                let (lines, inside): (Vec<&str>, Vec<&str>) = fed.partition(|table| formats.feeds_by_lines(&best.format, table));
                text += &format!("{} (mostly `{}`), feeds {}\n", best.format, best.pattern, lines.join(", "));
                if !inside.is_empty() {
                    text += &format!("  its records may also hold rows of {}\n", inside.join(", "));
                }
            }
            None => text += "no format takes half of its lines\n",
        }
        for (index, candidate) in detection.candidates.iter().take(1 + RUNNERS_UP).enumerate() {
            text += &self.describe_candidate(candidate, index == 0 && detection.best.is_some());
        }
        if detection.candidates.is_empty() {
            text += "  no format takes any of its lines\n";
        }
        if let Some(Candidate { format, taken, lines, .. }) = &detection.inner {
            text += &format!(
                "  {taken} of {lines} lines are messages of `{format}` without a log's head: `-i {format}` reads them\n"
            );
        }
        text
    }

    fn describe_candidate(&self, candidate: &Candidate, chosen: bool) -> String {
        let percent = 100.0 * candidate.taken as f64 / candidate.lines.max(1) as f64;
        let mark = if chosen { "→" } else { " " };
        let mut text =
            format!("{mark} {}: {} of {} lines ({percent:.0} %)\n", candidate.format, candidate.taken, candidate.lines);
        if let Some(miss) = &candidate.miss {
            let field = miss.field.as_ref().map(|field| format!(" in `{field}`")).unwrap_or_default();
            text += &format!("    first miss: `{}` failed at column {}{field}\n", miss.pattern, miss.column);
            if self.has_pseudonyms() {
                return text;
            }
            let line = String::from_utf8_lossy(&miss.text);
            // The place of the failure stays in sight, also in a long line.
            let from = miss.column.saturating_sub(60);
            let shown: String = line.chars().skip(from).take(100).collect();
            let shown = crate::output::sanitise_cell(&shown).into_owned();
            text += &format!("    {shown}\n    {:>width$}\n", "^", width = miss.column - from);
        }
        text
    }
}
