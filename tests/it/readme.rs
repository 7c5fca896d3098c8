//! The commands in the README's `console` blocks print what stands below them.

use std::process::Command;

use super::root;

/// Each `$ command` and the lines below it.
fn examples(readme: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = vec![];
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => found.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => *output += &format!("{line}\n"),
                (None, None) => panic!("a console block begins with a command: {line}"),
            },
        }
    }
    found
}

#[test]
fn the_commands_of_the_readme_print_what_it_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let examples = examples(&readme);
    assert!(examples.len() >= 8, "the tour is gone");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_logsql")).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let home = tempfile::tempdir().expect("a folder");
    let mut wrong = String::new();
    for (command, expected) in examples {
        let output = Command::new("sh")
            .args(["-c", &format!("{command} 2>&1")])
            .current_dir(root())
            .env("PATH", &path)
            .env("HOME", home.path())
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("NO_COLOR", "1")
            .output()
            .expect("runs");
        let got = String::from_utf8_lossy(&output.stdout).into_owned();
        if got != expected {
            wrong += &format!("$ {command}\n--- the README\n{expected}--- the program\n{got}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
