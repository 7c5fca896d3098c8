//! The user's own editor.

use std::path::Path;
use std::process::Command;

use super::SavedQueryError;

/// Opens a file in `$VISUAL`, `$EDITOR` or vi, and waits until it is closed.
pub fn open_editor(path: &Path) -> Result<(), SavedQueryError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    // The variable may hold options too, so a shell reads it; the path is an argument, never a part of the command.
    let mut command = Command::new("/bin/sh");
    let status =
        command.arg("-c").arg("exec $LOGSQL_EDITOR_COMMAND \"$0\"").arg(path).env("LOGSQL_EDITOR_COMMAND", &editor).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(SavedQueryError::Editor { what: format!("ended with {status}") }),
        Err(error) => Err(SavedQueryError::Editor { what: format!("cannot be started: {error}") }),
    }
}
