//! What was typed, cut into commands and statements.
//!
//! ```text
//!   \timing on ⏎ SELECT 1; SELECT 2 \g two.csv ⏎ SELECT count(*) ⏎
//!   Command      Sql       Sql, to a file        rest: goes on with the next line
//! ```
//!
//! A command begins with `\` or `.` where a statement could begin, and ends with its line. A statement ends with `;`, `\g`,
//! `\gx`, `\watch` or `\tail`, never with a blank line.

use std::time::Duration;

use super::lexer::{End, Kind, tokens};

/// A piece of input that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A line that is a command, without blanks around it.
    Command(String),
    /// A statement, without what ended it.
    Sql { text: String, then: Then },
}

/// What becomes of the rows of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    /// What becomes of all others.
    #[default]
    Usual,
    /// `\gx`: one value per line.
    Expand,
    /// `\g FILE`
    File(String),
    /// `\watch SECONDS`: again and again.
    Watch(Duration),
    /// `\tail ROWS`: so many of the newest, and those that are still to come.
    Tail(usize),
}

/// What the rest of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Blanks and comments.
    Nothing,
    /// The beginning of a statement.
    Statement,
    /// The same, and it ends inside of quotes or of a comment.
    Quoted,
}

/// The input, cut up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) items: Vec<Item>,
    /// Where the rest begins.
    pub(super) rest_at: usize,
    pub(super) rest: Rest,
}

/// Words that are commands where a line, or what is left of it behind a statement, holds nothing else.
const BARE: [&str; 3] = ["help", "quit", "exit"];

/// Cuts `text` up.
pub(super) fn split(text: &str) -> Script {
    let mut items = Vec::new();
    let mut start = 0;
    let mut rest = Rest::Nothing;
    let mut tokens = tokens(text, 0);
    while let Some(token) = tokens.next() {
        let line = &text[token.at.start..];
        let line = &line[..line.find('\n').unwrap_or(line.len())];
        let here = &text[token.at.clone()];
        if rest == Rest::Nothing && is_command(line) {
            items.push(Item::Command(line.trim().to_owned()));
            start = token.at.start + line.len();
            tokens.seek(start);
            continue;
        }
        let then = match (token.kind, here) {
            (Kind::Symbol, ";") => Some((Then::Usual, token.at.end)),
            (Kind::Symbol, "\\") => go(line).map(|then| (then, token.at.start + line.len())),
            _ => None,
        };
        match then {
            Some((then, end)) => {
                let statement = text[start..token.at.start].trim();
                // `;;` and `-- nothing;` are no statements.
                if rest != Rest::Nothing {
                    items.push(Item::Sql { text: statement.to_owned(), then });
                }
                (start, rest) = (end, Rest::Nothing);
                tokens.seek(end);
            }
            None => {
                rest = match (token.kind, token.end) {
                    (_, End::Open) => Rest::Quoted,
                    (Kind::Blank | Kind::Comment, _) => rest,
                    _ => Rest::Statement,
                };
            }
        }
    }
    Script { items, rest_at: start, rest }
}

/// Does a command begin here, where nothing of a statement is before it?
fn is_command(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim_end();
    line.starts_with(['\\', '.']) || BARE.iter().any(|bare| bare.eq_ignore_ascii_case(word))
}

/// `\g`, `\g FILE`, `\gx`
fn go(line: &str) -> Option<Then> {
    let (word, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    match (word, argument) {
        ("\\g", "") => Some(Then::Usual),
        ("\\g", file) => Some(Then::File(unquote(file).to_owned())),
        ("\\gx", _) => Some(Then::Expand),
        ("\\watch", seconds) => interval(seconds).map(Then::Watch),
        ("\\tail", rows) => newest(rows).map(Then::Tail),
        _ => None,
    }
}

/// How long `\watch` waits between two runs: psql's two seconds, or as long as is said.
pub(super) fn interval(seconds: &str) -> Option<Duration> {
    let seconds: f64 = match seconds.trim_end_matches(';').trim() {
        "" => 2.0,
        text => text.strip_suffix('s').unwrap_or(text).parse().ok()?,
    };
    (0.1..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// How many of the newest rows `\tail` begins with: as many as tail, or as is said.
pub(super) fn newest(rows: &str) -> Option<usize> {
    match rows.trim_end_matches(';').trim() {
        "" => Some(10),
        text => text.parse().ok(),
    }
}

/// An argument without the quotes around it.
pub(super) fn unquote(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sql(text: &str) -> Item {
        Item::Sql { text: text.to_owned(), then: Then::Usual }
    }

    fn command(text: &str) -> Item {
        Item::Command(text.to_owned())
    }

    #[test]
    fn a_semicolon_ends_a_statement_but_not_inside_of_quotes_and_comments() {
        let script = split("SELECT ';', \";\", $$;$$ /* ; */ -- ;\n, 1; SELECT 2;");
        assert_eq!(script.items, [sql("SELECT ';', \";\", $$;$$ /* ; */ -- ;\n, 1"), sql("SELECT 2")]);
        assert_eq!(script.rest, Rest::Nothing);
    }

    #[test]
    fn a_blank_line_does_not_end_a_statement() {
        let script = split("SELECT 1\n\n\n");
        assert_eq!((script.items.len(), script.rest), (0, Rest::Statement));
        assert_eq!(split("SELECT 1\n\n;").items, [sql("SELECT 1")]);
    }

    #[test]
    fn the_rest_tells_how_it_goes_on() {
        for (text, rest) in [
            ("", Rest::Nothing),
            ("  \n", Rest::Nothing),
            ("-- what;", Rest::Nothing),
            ("SELECT 1; -- done", Rest::Nothing),
            ("SELECT 1; SELECT", Rest::Statement),
            ("SELECT 'a", Rest::Quoted),
            ("/* a", Rest::Quoted),
            ("SELECT $x$ ;", Rest::Quoted),
        ] {
            assert_eq!(split(text).rest, rest, "{text:?}");
        }
        let text = "SELECT 1; SELECT";
        assert_eq!(&text[split(text).rest_at..], " SELECT");
    }

    #[test]
    fn a_command_is_a_line_where_a_statement_could_begin() {
        let text = "\\x on\n.mode csv  \nSELECT 1; \\d access_log\nSELECT .5\n, '\n\\q\n';\n/* c */ .tables";
        let script = split(text);
        assert_eq!(
            script.items,
            [
                command("\\x on"),
                command(".mode csv"),
                sql("SELECT 1"),
                command("\\d access_log"),
                sql("SELECT .5\n, '\n\\q\n'"),
                command(".tables"),
            ]
        );
    }

    #[test]
    fn some_words_alone_on_a_line_are_commands() {
        assert_eq!(split("quit").items, [command("quit")]);
        assert_eq!(split("SELECT 1;\nEXIT;\n").items, [sql("SELECT 1"), command("EXIT;")]);
        assert_eq!(split("SELECT\nhelp\n;").items, [sql("SELECT\nhelp")]);
        assert_eq!(split("help me").items, []);
        // It is the same whether the line was read at once or is what a statement left of it.
        assert_eq!(split("SELECT 1; quit\n").items, [sql("SELECT 1"), command("quit")]);
    }

    #[test]
    fn go_ends_a_statement_with_its_line() {
        let script = split("SELECT 1 \\g 'a b.csv'\nSELECT 2 \\gx\nSELECT 3 \\g\nSELECT 4 \\watch 1.5");
        let then = |text: &str, then| Item::Sql { text: text.to_owned(), then };
        assert_eq!(
            script.items,
            [
                then("SELECT 1", Then::File("a b.csv".to_owned())),
                then("SELECT 2", Then::Expand),
                sql("SELECT 3"),
                then("SELECT 4", Then::Watch(Duration::from_millis(1500))),
            ]
        );
        assert_eq!((interval(""), interval("0"), interval("1h")), (Some(Duration::from_secs(2)), None, None));
        assert_eq!(split("SELECT 5 \\tail 3\n").items, [then("SELECT 5", Then::Tail(3))]);
        assert_eq!((newest(""), newest("0;"), newest("all")), (Some(10), Some(0), None));
    }

    #[test]
    fn empty_statements_are_none() {
        assert_eq!(split(";; -- a\n ; /* b */;").items, []);
    }

    proptest! {
        #[test]
        fn line_by_line_gives_the_same_as_all_at_once(text in "([a1;'$\" .\\\\\n-]|SELECT|\\\\g|quit|/\\*|\\*/){0,20}") {
            let all = split(&format!("{text}\n"));
            let mut items = Vec::new();
            let mut buffer = String::new();
            for line in text.split('\n') {
                buffer.push_str(line);
                buffer.push('\n');
                let script = split(&buffer);
                items.extend(script.items);
                buffer.drain(..if script.rest == Rest::Nothing { buffer.len() } else { script.rest_at });
            }
            prop_assert_eq!(all.items, items);
        }
    }
}
