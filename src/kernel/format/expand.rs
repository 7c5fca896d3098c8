//! Fragments: `{name}` in a pattern stands for what `[define]` says.

use std::collections::BTreeMap;

use thiserror::Error;
use toml::Spanned;

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

/// Puts fragments in the place of `{name}`.
pub(crate) fn expand(define: &BTreeMap<String, Spanned<String>>, regex: &str) -> Result<String, ExpandError> {
    let mut text = regex.to_owned();
    for _ in 0..=MAX_DEPTH {
        let Some((at, name)) = fragment(&text) else { return Ok(text) };
        let Some(value) = define.get(name) else { return Err(ExpandError::Missing(name.to_owned())) };
        let mut grown = String::with_capacity(text.len() + value.get_ref().len());
        let mut rest = text.as_str();
        let mut next = Some((at, name));
        while let Some((at, name)) = next {
            if grown.len() > MAX_PATTERN_BYTES {
                return Err(ExpandError::TooLong);
            }
            let Some(value) = define.get(name) else { break };
            grown.push_str(&rest[..at]);
            grown.push_str("(?:");
            grown.push_str(value.get_ref());
            grown.push(')');
            rest = &rest[at + name.len() + 2..];
            next = fragment(rest);
        }
        grown.push_str(rest);
        text = grown;
    }
    Err(ExpandError::TooDeep)
}

/// The first `{name}` of a pattern; `{2,3}` is a count.
fn fragment(text: &str) -> Option<(usize, &str)> {
    text.match_indices('{').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let name = &rest[..rest.find('}')?];
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        // `\x{7f}` and `\p{…}` are no fragments.
        let escaped = text[..at].ends_with(['x', 'u', 'p', 'P']) && text[..at.saturating_sub(1)].ends_with('\\');
        (is_name && !escaped).then_some((at, name))
    })
}
