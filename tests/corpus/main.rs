//! How well are real logs read? The corpus is lines that others found worth testing, with what they expect of them; it is not
//! part of the repository. `LOGSQL_CORPUS` names its folder; without it there is nothing to do here.
//!
//! ```text
//!   files.toml   which family and table each file should be        ┐
//!   words.toml   what the sources' words are called here           ├─► Score per family, printed as a table
//!   the corpus   lines, and expected.jsonl in the sources' words   ┘
//! ```
//!
//! Every file is detected and decoded whole as a scan does it, for all tables that it feeds, in four assumed zones. What holds
//! now (`holds` in `files.toml`) may not get worse. `LOGSQL_CORPUS_SHOW=100` shows more than the first few differences of each
//! family, `LOGSQL_CORPUS_ONLY=sshd` only one family.

mod compare;
mod expectation;
mod pylogsparser;
mod read;
mod score;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use score::{Score, Scorer, percent};

/// Written past the capture of libtest: the table is what this is for.
fn say(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).expect("stdout");
}

#[test]
fn the_corpus_is_read_as_well_as_it_was() {
    let Some(folder) = std::env::var_os("LOGSQL_CORPUS") else {
        say("skipped: LOGSQL_CORPUS is not set\n");
        return;
    };
    let only = std::env::var("LOGSQL_CORPUS_ONLY").ok();
    let shown = std::env::var("LOGSQL_CORPUS_SHOW").ok().and_then(|count| count.parse().ok()).unwrap_or(3);
    let expectations = expectation::Expectations::load();
    let mut scorer = Scorer::new(Path::new(&folder), &expectations);
    let mut totals: BTreeMap<&str, Score> = BTreeMap::new();
    let mut table = Score::head();
    for (name, family) in expectations.families.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name)) {
        let score = scorer.family(name, family);
        totals.entry(family.goal.as_str()).or_default().add(&score);
        table += &score.row(name, "");
        for difference in score.differences.iter().take(shown) {
            let _ = writeln!(table, "    {difference}");
        }
        for (what, got, holds) in [
            ("landed", percent(score.landed, score.records), family.holds.landed),
            ("values", percent(score.equal, score.values), family.holds.values),
        ] {
            if got < holds {
                scorer.problems.push(format!("{name}: {what} {got:.2} %, was {holds} %"));
            }
        }
    }
    table += "\n";
    for (goal, score) in &totals {
        let wanted = expectations.goals.get(*goal).expect("a goal of files.toml");
        table += &score.row(goal, &format!("goal: {wanted} % landed, {} % equal", expectations.values));
    }
    let mut all = Score::default();
    totals.values().for_each(|score| all.add(score));
    let _ = writeln!(
        table,
        "detected right: {:.1} % of the files, goal: {} %",
        percent(all.detected, all.files),
        expectations.detected
    );
    table += &scorer.detection_times();
    say(&table);
    if only.is_none() {
        scorer.check_lists();
    }
    assert!(scorer.problems.is_empty(), "{}", scorer.problems.join("\n"));
}
