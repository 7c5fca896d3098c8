//! The one sanitiser: log text is shown on a terminal, never sent to it.
//!
//! ```text
//!   "GET \u{1b}]52;c;…\u{7} /"          what an attacker put into the log
//!        │ sanitise
//!        ▼
//!   "GET \x1b]52;c;…\x07 /"             what the terminal is told to print
//! ```
//!
//! A terminal obeys what it prints: it can be made to fill the clipboard, to rename its window, to answer as if keys
//! were pressed, or simply to show another text than the one that is there. So every character that steers instead
//! of showing becomes visible: C0, DEL and C1 controls, bidirectional overrides and marks, zero-width and other
//! invisible formatting characters, tags, line and paragraph separators. The form is that of a Rust string literal.
//!
//! The result is for eyes only: text that already holds the four characters `\x1b` looks the same as one that held an
//! escape character. What goes to a file or a pipe is never touched by this module.
//!
//! Neighbours: all text writers of [`crate::output`] when the target is a terminal, tables always; the command line
//! and the REPL for file names and errors ([`for_terminal`]).

use std::borrow::Cow;
use std::fmt::Write;

/// Bytes with which a character that may have to be shown begins, in UTF-8.
///
/// Most text has none of them and is passed on without being decoded.
static SUSPICIOUS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[0x7f] = true;
    table[0xc2] = true; // U+0080–00BF: C1, soft hyphen
    table[0xcd] = true; // U+0340–037F: combining grapheme joiner
    table[0xd8] = true; // U+0600–063F: Arabic letter mark
    table[0xe1] = true; // U+1000–1FFF: Hangul fillers, Mongolian vowel separator
    table[0xe2] = true; // U+2000–2FFF: zero-width, bidi, separators
    table[0xe3] = true; // U+3000–3FFF: Hangul filler
    table[0xef] = true; // U+F000–FFFF: byte order mark, annotations, half-width Hangul filler
    table[0xf3] = true; // U+C0000–FFFFF: tags, variation selectors
    table
};

/// Whether a line feed and a tab are part of the text or are to be seen too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Keep,
    Show,
}

/// Whether a terminal must never be sent this character from outside.
///
/// Line feed and tab are not: they only move to the right and down.
pub(crate) fn is_forbidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180e}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// The text with everything that steers a terminal made visible; line feeds and tabs stay.
///
/// Borrowed where there is nothing to do, which costs one look at each byte.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    show(text, Breaks::Keep)
}

/// Like [`sanitise`], and line feeds and tabs are seen as `\n` and `\t`: for what must stay on one line.
pub fn sanitise_cell(text: &str) -> Cow<'_, str> {
    show(text, Breaks::Show)
}

/// A message (an error, a file name, a hint) ready for a terminal.
///
/// The text alone, before any colour of our own is put around it.
pub fn for_terminal(text: impl Into<String>) -> String {
    let text = text.into();
    match sanitise(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => shown,
    }
}

fn show(text: &str, breaks: Breaks) -> Cow<'_, str> {
    let Some(first) = text.bytes().position(|byte| SUSPICIOUS[usize::from(byte)]) else {
        return Cow::Borrowed(text);
    };
    let is_shown = |c: char| is_forbidden(c) || (breaks == Breaks::Show && matches!(c, '\n' | '\t'));
    // A suspicious byte is ASCII or begins a character, so `first` is a boundary.
    let Some(start) = text[first..].find(is_shown).map(|at| first + at) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..start]);
    for c in text[start..].chars() {
        if is_shown(c) { push_visible(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn push_visible(out: &mut String, c: char) {
    let written = match c {
        '\n' => out.write_str("\\n"),
        '\t' => out.write_str("\\t"),
        '\r' => out.write_str("\\r"),
        c if u32::from(c) < 0x80 => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_is_borrowed() {
        for text in ["", "GET /a HTTP/1.1", "grün 日本語 🦀 °", "two\nlines\tand a tab", "naïve — “quoted”…"] {
            assert!(matches!(sanitise(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn what_steers_a_terminal_is_shown() {
        for (name, text, shown) in [
            ("colour", "\x1b[31mred", "\\x1b[31mred"),
            ("clipboard", "\x1b]52;c;AA\x07", "\\x1b]52;c;AA\\x07"),
            ("8-bit CSI", "a\u{9b}31m", "a\\u{9b}31m"),
            ("overprinting", "good\rbad\x08", "good\\rbad\\x08"),
            ("NUL and DEL", "\0\x7f", "\\x00\\x7f"),
            ("override", "abc\u{202e}txt.exe", "abc\\u{202e}txt.exe"),
            ("isolate", "\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("marks", "\u{200e}\u{200f}\u{61c}", "\\u{200e}\\u{200f}\\u{61c}"),
            ("zero width", "pass\u{200b}word\u{feff}", "pass\\u{200b}word\\u{feff}"),
            ("tags", "a\u{e0041}", "a\\u{e0041}"),
            ("separators", "\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
        ] {
            assert_eq!(sanitise(text), shown, "{name}");
        }
    }

    #[test]
    fn a_cell_shows_its_line_feeds_and_tabs() {
        assert_eq!(sanitise_cell("a\n\tb"), "a\\n\\tb");
        assert_eq!(sanitise("a\n\tb"), "a\n\tb");
    }

    #[test]
    fn every_forbidden_character_is_found_by_its_first_byte() {
        let mut bytes = [0; 4];
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let first = c.encode_utf8(&mut bytes).as_bytes()[0];
            if is_forbidden(c) || matches!(c, '\n' | '\t') {
                assert!(SUSPICIOUS[usize::from(first)], "U+{:04X}", u32::from(c));
            }
        }
    }

    /// Written down again on purpose, so that a slip in `is_forbidden` is seen.
    fn is_dangerous(c: char) -> bool {
        let n = u32::from(c);
        (n < 0x20 && c != '\n' && c != '\t')
            || (0x7f..=0x9f).contains(&n)
            || (0x202a..=0x202e).contains(&n)
            || (0x2066..=0x2069).contains(&n)
            || (0x200b..=0x200f).contains(&n)
            || [0x61c, 0x2028, 0x2029, 0x2060, 0xfeff].contains(&n)
            || (0xe0000..=0xe007f).contains(&n)
    }

    fn hostile_char() -> impl Strategy<Value = char> {
        prop_oneof![
            any::<char>(),
            prop::char::range('\0', '\u{a0}'),
            prop::char::range('\u{2000}', '\u{2070}'),
            prop::char::range('\u{e0000}', '\u{e0100}'),
            Just('a'),
        ]
    }

    proptest! {
        #[test]
        fn what_comes_out_holds_nothing_that_steers(chars in prop::collection::vec(hostile_char(), 0..40)) {
            let text: String = chars.into_iter().collect();
            let shown = sanitise(&text);
            prop_assert!(!shown.chars().any(is_dangerous), "{shown:?}");
            let cell = sanitise_cell(&text);
            prop_assert!(!cell.chars().any(|c| is_dangerous(c) || c == '\n' || c == '\t'), "{cell:?}");
            prop_assert_eq!(for_terminal(text.as_str()), shown.as_ref());
            // What needed nothing is the same text, and a second pass changes nothing.
            if !text.chars().any(is_forbidden) { prop_assert_eq!(shown.as_ref(), text.as_str()); }
            let again = sanitise(&shown);
            prop_assert_eq!(again.as_ref(), shown.as_ref());
        }
    }
}
