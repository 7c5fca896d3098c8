//! Regular expressions of Oniguruma, PCRE and Python in the words of ours.
//!
//! What is only spelled otherwise is spelled as here. What a linear engine cannot do (to look ahead or behind, to refer back to a
//! group) is refused, or left away and named: a pattern without its `(?!…)` takes a few records more.

use super::NotationError;

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Grok's: `\h` is a hexadecimal digit, `(?m)` lets a dot take line feeds.
    Oniguruma,
    /// lnav's and Python's: `\h` is a blank.
    Pcre,
}

/// What becomes of `(?=…)`, `(?!…)`, `(?<=…)` and `(?<!…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookaround {
    Refuse,
    Leave,
}

/// Groups in groups at most.
const MAX_DEPTH: usize = 100;

/// Translates a pattern. `group` renames the groups that have names. What was left away is added to `left`.
pub(crate) fn translate(
    pattern: &str,
    dialect: Dialect,
    lookaround: Lookaround,
    group: &mut dyn FnMut(&str) -> String,
    left: &mut Vec<String>,
) -> Result<String, NotationError> {
    let mut translation =
        Translation { text: pattern, at: 0, out: String::with_capacity(pattern.len()), dialect, lookaround, group, left };
    translation.alternatives(0)?;
    match translation.peek() {
        None => Ok(translation.out),
        Some(_) => Err(NotationError::new(format!("`)` without `(` at byte {} of the pattern", translation.at + 1))),
    }
}

struct Translation<'a, 'b> {
    text: &'a str,
    at: usize,
    out: String,
    dialect: Dialect,
    lookaround: Lookaround,
    group: &'b mut dyn FnMut(&str) -> String,
    left: &'b mut Vec<String>,
}

impl Translation<'_, '_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.text[self.at..].starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn error(&self, what: &str) -> NotationError {
        NotationError::new(format!("{what} at byte {} of the pattern", self.at + 1))
    }

    /// Up to the bracket that closes this group, or to the end.
    fn alternatives(&mut self, depth: usize) -> Result<(), NotationError> {
        if depth > MAX_DEPTH {
            return Err(self.error("groups are nested too deep"));
        }
        while let Some(c) = self.peek() {
            match c {
                ')' => return Ok(()),
                '(' => self.parenthesis(depth)?,
                '[' => self.class()?,
                '\\' => self.escape()?,
                '{' => {
                    self.at += 1;
                    let count = self.count();
                    match count {
                        Some(count) => self.out += &count,
                        // In a definition `{name}` is a fragment, escaped or not.
                        None => self.out += "[{]",
                    }
                }
                // A possessive quantifier takes what a greedy one takes, as far as a linear engine is concerned.
                '+' if self.out.ends_with(['+', '*', '?', '}']) && self.is_behind_quantifier() => self.at += 1,
                c => {
                    self.at += c.len_utf8();
                    self.out.push(c);
                }
            }
        }
        Ok(())
    }

    /// Is the `+` here one behind a quantifier, and not behind an escaped `\+`?
    fn is_behind_quantifier(&self) -> bool {
        let before = &self.out[..self.out.len() - 1];
        before.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 0
    }

    /// `2,3}` behind a `{`.
    fn count(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        let end = rest.find('}')?;
        let inside = &rest[..end];
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let count = match inside.split_once(',') {
            Some(("", most)) if !most.is_empty() && digits(most) => format!("{{0,{most}}}"),
            Some((least, most)) if !least.is_empty() && digits(least) && digits(most) => format!("{{{inside}}}"),
            None if !inside.is_empty() && digits(inside) => format!("{{{inside}}}"),
            _ => return None,
        };
        self.at += end + 1;
        Some(count)
    }

    fn parenthesis(&mut self, depth: usize) -> Result<(), NotationError> {
        let start = self.at;
        self.at += 1;
        for (look, name) in [("?=", "ahead"), ("?!", "ahead"), ("?<=", "behind"), ("?<!", "behind")] {
            if !self.text[self.at..].starts_with(look) {
                continue;
            }
            self.at += look.len();
            let kept = self.out.len();
            self.alternatives(depth + 1)?;
            if !self.skip(")") {
                return Err(self.error("`(` without `)`"));
            }
            self.out.truncate(kept);
            let whole = &self.text[start..self.at];
            if self.lookaround == Lookaround::Refuse {
                return Err(NotationError {
                    message: format!("`{whole}` looks {name}, which a linear engine cannot"),
                    hint: Some("say what the value is made of instead, as in `[^,]*`".to_owned()),
                });
            }
            self.left.push(format!("`{whole}`"));
            // It was a thing of its own, so what stands beside it stays apart.
            self.out += "(?:)";
            return Ok(());
        }
        if self.skip("?#") {
            let end = self.text[self.at..].find(')').ok_or_else(|| self.error("`(?#` without `)`"))?;
            self.at += end + 1;
            return Ok(());
        }
        if self.skip("?>") || self.skip("?|") {
            // What was taken once is not given back: that only rules out records.
            self.out += "(?:";
        } else if self.skip("?P<") || self.skip("?<") || self.skip("?'") {
            let rest = &self.text[self.at..];
            let end = rest.find(['>', '\'']).ok_or_else(|| self.error("a group's name does not end"))?;
            let name = (self.group)(&rest[..end]);
            self.at += end + 1;
            self.out += &format!("(?<{name}>");
        } else if self.skip("?P=") || self.skip("?(") || self.skip("?R)") || self.skip("?&") || self.skip("?P>") {
            return Err(NotationError::new(format!(
                "`{}` refers to another group, which a linear engine cannot",
                &self.text[start..self.at]
            )));
        } else if self.skip("?") {
            self.flags()?;
            if self.skip(")") {
                self.out.push(')');
                return Ok(());
            }
            self.skip(":");
            self.out.push(':');
        } else {
            self.out += "(?:";
        }
        self.alternatives(depth + 1)?;
        if !self.skip(")") {
            return Err(self.error("`(` without `)`"));
        }
        self.out.push(')');
        Ok(())
    }

    /// `i`, `m-ix` and the like behind `(?`.
    fn flags(&mut self) -> Result<(), NotationError> {
        self.out += "(?";
        let mut flags = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphabetic() || *c == '-') {
            self.at += 1;
            match c {
                'm' if self.dialect == Dialect::Oniguruma => flags.push('s'),
                'i' | 'm' | 's' | 'x' | 'U' | '-' => flags.push(c),
                // Unicode and ASCII classes: bytes are bytes here.
                'u' | 'a' | 'L' | 'd' => {}
                other => return Err(self.error(&format!("unknown flag `{other}`"))),
            }
        }
        self.out += flags.trim_end_matches('-');
        Ok(())
    }

    fn escape(&mut self) -> Result<(), NotationError> {
        self.at += 1;
        let Some(c) = self.next() else { return Err(self.error("a backslash with nothing behind it")) };
        match c {
            'h' if self.dialect == Dialect::Oniguruma => self.out += "[0-9A-Fa-f]",
            'H' if self.dialect == Dialect::Oniguruma => self.out += "[^0-9A-Fa-f]",
            'h' => self.out += r"[ \t]",
            'H' => self.out += r"[^ \t]",
            'R' => self.out += r"(?:\r\n|\n|\r)",
            'Z' => self.out += r"\z",
            'e' => self.out += r"\x1b",
            'K' | 'G' | 'X' | 'C' => return Err(self.error(&format!("`\\{c}` is nothing that a linear engine knows"))),
            'k' | 'g' | '1'..='9' => {
                return Err(self.error(&format!("`\\{c}` refers to another group, which a linear engine cannot")));
            }
            '0' => self.out += r"\x00",
            '{' => self.out += "[{]",
            c if c.is_ascii_alphanumeric() => self.out.extend(['\\', c]),
            c => self.out += &super::literal(&c.to_string()),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), NotationError> {
        self.at += 1;
        self.out.push('[');
        if self.skip("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            if self.text[self.at..].starts_with("[:") && self.text[self.at..].contains(":]") {
                let end = self.text[self.at..].find(":]").unwrap_or_default() + 2;
                self.out += &self.text[self.at..self.at + end];
                self.at += end;
                is_first = false;
                continue;
            }
            let Some(c) = self.next() else { return Err(self.error("`[` without `]`")) };
            match c {
                ']' if !is_first => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => {
                    let Some(escaped) = self.next() else { return Err(self.error("`[` without `]`")) };
                    match escaped {
                        'h' if self.dialect == Dialect::Oniguruma => self.out += "0-9A-Fa-f",
                        'h' => self.out += r" \t",
                        'b' => self.out += r"\x08",
                        'e' => self.out += r"\x1b",
                        '0' => self.out += r"\x00",
                        'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'n' | 't' | 'r' | 'f' | 'v' | 'a' | 'x' | 'p' | 'P' => {
                            self.out.extend(['\\', escaped]);
                        }
                        other => self.in_class(other),
                    }
                }
                '-' => {
                    // At the end, or behind a class such as `\w`, it is a dash.
                    let is_last = self.peek() == Some(']');
                    let is_behind_class = [r"\d", r"\w", r"\s", r"\S", r"\W", ":]"].iter().any(|class| self.out.ends_with(class));
                    if is_first || is_last || is_behind_class { self.out += r"\-" } else { self.out.push('-') }
                }
                other => self.in_class(other),
            }
            is_first = false;
        }
    }

    /// A character in a class, which may mean something there.
    fn in_class(&mut self, c: char) {
        if "[]^-&~\\".contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_ours(pattern: &str, dialect: Dialect, lookaround: Lookaround) -> Result<(String, Vec<String>), String> {
        let mut left = vec![];
        let out = translate(pattern, dialect, lookaround, &mut str::to_owned, &mut left).map_err(|error| error.message)?;
        Ok((out, left))
    }

    #[test]
    fn words_of_other_engines_are_translated() {
        for (pattern, expected) in [
            (r"(a|b)\h+", r"(?:a|b)[0-9A-Fa-f]+"),
            (r"(?>[a-z]++)(?<x>\d*+)", r"(?:[a-z]+)(?<x>\d*)"),
            (r"(?P<n>a)(?'m'b)(?#no)c", r"(?<n>a)(?<m>b)c"),
            (r"[[:alpha:]\]\[[-]", r"[[:alpha:]\]\[\[\-]"),
            (r"[]a-c&&~~\w-x]", r"[\]a-c\&\&\~\~\w\-x]"),
            (r"{a}{2,3}{,4}x{2", r"[{]a}{2,3}{0,4}x[{]2"),
            (r#"\"\/\-\<\%\:"#, r#""/\-<%:"#),
            (r"(?m-ix:a)(?i)b\Z", r"(?s-ix:a)(?i)b\z"),
            (r"\++", r"\++"),
        ] {
            let (got, _) = to_ours(pattern, Dialect::Oniguruma, Lookaround::Refuse).unwrap();
            assert_eq!(got, expected, "{pattern}");
            regex::bytes::Regex::new(&format!("(?-u:{got})")).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        }
        assert_eq!(to_ours(r"\h", Dialect::Pcre, Lookaround::Refuse).unwrap().0, r"[ \t]");
    }

    #[test]
    fn what_cannot_be_is_refused_or_named() {
        assert_eq!(
            to_ours("(?<![0-9])a(?!b)", Dialect::Oniguruma, Lookaround::Leave).unwrap(),
            ("(?:)a(?:)".to_owned(), vec!["`(?<![0-9])`".to_owned(), "`(?!b)`".to_owned()])
        );
        for (pattern, message) in [
            ("(?=x)", "`(?=x)` looks ahead, which a linear engine cannot"),
            (r"(a)\1", r"`\1` refers to another group, which a linear engine cannot at byte 6 of the pattern"),
            ("(a", "`(` without `)` at byte 3 of the pattern"),
            ("a)", "`)` without `(` at byte 2 of the pattern"),
            ("[a", "`[` without `]` at byte 3 of the pattern"),
            ("a\\", "a backslash with nothing behind it at byte 3 of the pattern"),
        ] {
            assert_eq!(to_ours(pattern, Dialect::Oniguruma, Lookaround::Refuse).unwrap_err(), message);
        }
        assert!(to_ours(&"(".repeat(100_000), Dialect::Pcre, Lookaround::Leave).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_is_too_odd(pattern in r"([a-c()\[\]\\^$*+?{},|\-]|\(\?[=!<:P>#i]|\\[hdwx1]|é){0,24}") {
            for dialect in [Dialect::Oniguruma, Dialect::Pcre] {
                let _ = to_ours(&pattern, dialect, Lookaround::Leave);
            }
        }
    }
}
