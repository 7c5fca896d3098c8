//! Fragments and their types that all definitions share: `{ip:client_ip} {clf_time:time}`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;
use toml::Spanned;

use super::definition::CaptureDef;

/// What `library.toml` says, in the words of a definition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Library {
    pub(super) define: BTreeMap<String, String>,
    pub(super) tag: BTreeMap<String, Spanned<CaptureDef>>,
}

/// The library. It is the same in all programs, so the tests say whether it can be read.
pub(super) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| toml::from_str(include_str!("library.toml")).expect("the tests read the library"))
}
