//! Fragments: `{name}` in a pattern stands for what `[define]` or the library says, and `{name:capture}` captures it.

use thiserror::Error;

/// How deep fragments may name fragments.
const MAX_DEPTH: usize = 8;
/// How long a pattern may become by them.
const MAX_PATTERN_BYTES: usize = 64 << 10;

/// A pattern whose fragments cannot be put in.
#[derive(Debug, Error)]
pub(crate) enum ExpandError {
    /// There is no fragment of this name.
    #[error("there is no fragment `{{{0}}}`")]
    Missing(String),
    /// The pattern would be too long.
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes with its fragments")]
    TooLong,
    /// Fragments are nested too deep.
    #[error("fragments are nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// A pattern with its fragments.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    /// The regular expression.
    pub(crate) regex: String,
    /// Captures of it, and the fragments that they are: `{ip:client_ip}`.
    pub(crate) tagged: Vec<(String, String)>,
}

/// Puts fragments in the place of `{name}` and `{name:capture}`. `fragment` knows them.
pub(crate) fn expand<'a>(fragment: impl Fn(&str) -> Option<&'a str>, regex: &str) -> Result<Expanded, ExpandError> {
    let mut text = regex.to_owned();
    let mut tagged = vec![];
    for _ in 0..=MAX_DEPTH {
        let Some(mut next) = find(&text) else { return Ok(Expanded { regex: text, tagged }) };
        let mut grown = String::with_capacity(text.len());
        let mut rest = text.as_str();
        loop {
            let Some(value) = fragment(next.name) else { return Err(ExpandError::Missing(next.name.to_owned())) };
            grown.push_str(&rest[..next.at]);
            match next.capture {
                Some(capture) => {
                    grown += &format!("(?<{capture}>{value})");
                    tagged.push((capture.to_owned(), next.name.to_owned()));
                }
                None => grown += &format!("(?:{value})"),
            }
            if grown.len() > MAX_PATTERN_BYTES {
                return Err(ExpandError::TooLong);
            }
            rest = &rest[next.end..];
            let Some(found) = find(rest) else { break };
            next = found;
        }
        grown.push_str(rest);
        text = grown;
    }
    Err(ExpandError::TooDeep)
}

/// A place in a pattern where a fragment goes.
struct Place<'a> {
    at: usize,
    end: usize,
    name: &'a str,
    capture: Option<&'a str>,
}

/// The first `{name}` of a pattern; `{2,3}` is a count.
fn find(text: &str) -> Option<Place<'_>> {
    text.match_indices('{').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let inside = &rest[..rest.find('}')?];
        let (name, capture) = inside.split_once(':').map_or((inside, None), |(name, capture)| (name, Some(capture)));
        // `\x{7f}` and `\p{…}` are no fragments.
        let escaped = text[..at].ends_with(['x', 'u', 'p', 'P']) && text[..at.saturating_sub(1)].ends_with('\\');
        let end = at + inside.len() + 2;
        (is_name(name) && capture.is_none_or(is_name) && !escaped).then_some(Place { at, end, name, capture })
    })
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
