//! SQL text in tokens: as much as is needed to know where a statement ends and how to colour it.
//!
//! ```text
//!   SELECT  'a;b' || $$;$$ -- ; \n  ;
//!   Word    Text     Text  Comment  Symbol
//! ```
//!
//! The rules are those of the parser that runs the statement (its generic dialect): quotes are doubled, `E'…'` knows
//! backslashes, block comments nest. Nothing is ever refused: what is still open at the end says so.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blank,
    Word,
    Number,
    /// `'…'`, `E'…'`, `$$…$$`
    Text,
    /// `"…"`, `` `…` ``
    Name,
    Comment,
    /// One character.
    Symbol,
}

/// Whether a token came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    /// The text ends inside of it.
    Open,
}

/// A token: its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
    pub(super) end: End,
}

/// The tokens of `text` from `start` on. Together they cover all of it.
pub(super) fn tokens(text: &str, start: usize) -> Tokens<'_> {
    Tokens { text, at: start }
}

/// See [`tokens`].
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    /// Goes on from there.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let (kind, len, end) = match first {
            c if c.is_whitespace() => (Kind::Blank, run(rest, char::is_whitespace), End::Closed),
            '\'' => quoted(rest, 0, '\'', Kind::Text),
            '"' | '`' => quoted(rest, 0, first, Kind::Name),
            'e' | 'E' if rest[1..].starts_with('\'') => escaped(rest),
            c if c.is_alphabetic() || c == '_' => {
                (Kind::Word, run(rest, |c| c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '#')), End::Closed)
            }
            c if c.is_ascii_digit() => {
                (Kind::Number, run(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')), End::Closed)
            }
            '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), End::Closed),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '$' => dollars(rest),
            c => (Kind::Symbol, c.len_utf8(), End::Closed),
        };
        let token = Token { kind, at: self.at..self.at + len, end };
        self.at += len;
        Some(token)
    }
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// A quote inside is doubled.
fn quoted(text: &str, start: usize, quote: char, kind: Kind) -> (Kind, usize, End) {
    let mut at = start + 1;
    while let Some(found) = text[at..].find(quote) {
        at += found + 1;
        if !text[at..].starts_with(quote) {
            return (kind, at, End::Closed);
        }
        at += 1;
    }
    (kind, text.len(), End::Open)
}

/// `E'…'`: a backslash takes the meaning of what follows.
fn escaped(text: &str) -> (Kind, usize, End) {
    let mut chars = text.char_indices().skip(2).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            '\'' => return (Kind::Text, at + 1, End::Closed),
            _ => {}
        }
    }
    (Kind::Text, text.len(), End::Open)
}

fn block_comment(text: &str) -> (Kind, usize, End) {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (2, 1);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return (Kind::Comment, at, End::Closed);
        }
    }
    (Kind::Comment, text.len(), End::Open)
}

/// `$tag$…$tag$`; a `$` alone is a symbol, and `$1` a word.
fn dollars(text: &str) -> (Kind, usize, End) {
    let tag = 1 + run(&text[1..], |c| c.is_alphanumeric() || c == '_');
    if !text[tag..].starts_with('$') {
        return if tag == 1 { (Kind::Symbol, 1, End::Closed) } else { (Kind::Word, tag, End::Closed) };
    }
    let fence = &text[..=tag];
    match text[fence.len()..].find(fence) {
        Some(found) => (Kind::Text, found + 2 * fence.len(), End::Closed),
        None => (Kind::Text, text.len(), End::Open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text, 0).filter(|token| token.kind != Kind::Blank).map(|token| (token.kind, &text[token.at])).collect()
    }

    #[test]
    fn quotes_comments_and_dollars_are_one_token_each() {
        assert_eq!(
            kinds("SELECT 'it''s;', \"a\"\"b\", E'\\';' -- x;\n 1.5e3 /* a /* ; */ b */ $q$;$$;$q$ $1"),
            [
                (Kind::Word, "SELECT"),
                (Kind::Text, "'it''s;'"),
                (Kind::Symbol, ","),
                (Kind::Name, "\"a\"\"b\""),
                (Kind::Symbol, ","),
                (Kind::Text, "E'\\';'"),
                (Kind::Comment, "-- x;"),
                (Kind::Number, "1.5e3"),
                (Kind::Comment, "/* a /* ; */ b */"),
                (Kind::Text, "$q$;$$;$q$"),
                (Kind::Word, "$1"),
            ]
        );
    }

    #[test]
    fn what_is_open_at_the_end_says_so() {
        for text in ["'a", "'a''", "\"a", "`a", "E'\\'", "/* /* */", "$$ ;", "$t$ $$", "/*/"] {
            assert_eq!(tokens(text, 0).last().map(|token| token.end), Some(End::Open), "{text}");
        }
        for text in ["''", "'a'''", "E'\\\\'", "/**/", "$$$$", "-- '", "some'thing'"] {
            assert_eq!(tokens(text, 0).last().map(|token| token.end), Some(End::Closed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn tokens_cover_any_text(text in "[-eE'\"`$/* \\\\\n;a1é_]{0,40}|.{0,40}") {
            let mut at = 0;
            for token in tokens(&text, 0) {
                prop_assert_eq!(token.at.start, at);
                prop_assert!(token.at.end > at);
                prop_assert!(text.is_char_boundary(token.at.end));
                at = token.at.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
