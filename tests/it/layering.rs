//! A layer imports only from the ones below it.

use std::fs;
use std::path::Path;

/// The rank of a top-level module; a module may use those of a lower rank, and itself.
fn rank(module: &str) -> Option<u8> {
    Some(match module {
        "kernel" => 0,
        "source" | "interrupt" => 1,
        "table" | "function" => 2,
        "session" | "settings" | "query" | "output" | "schedule" | "propose" | "store" => 3,
        "repl" | "report" | "monitor" | "server" | "cluster" => 4,
        "cli" | "main" => 5,
        _ => return None,
    })
}

fn offences(src: &Path) -> Vec<String> {
    let mut files = vec![];
    walk(src, &mut files);
    files.sort();
    let mut found = vec![];
    for file in files {
        let inside = file.strip_prefix(src).expect("a file below src");
        let top = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let module = top.trim_end_matches(".rs");
        let text = fs::read_to_string(&file).expect("source is text");
        for (number, line) in text.lines().enumerate() {
            let mut problem = |what: String| found.push(format!("src/{}:{}: {what}", inside.display(), number + 1));
            let code = line.split("//").next().unwrap_or_default();
            if module == "kernel" {
                for other in ["datafusion", "tokio", "std::fs", "SystemTime", "Instant::now"] {
                    if code.contains(other) {
                        problem(format!("the kernel may not use `{other}`"));
                    }
                }
                continue;
            }
            let Some(own) = rank(module) else { continue };
            for used in code.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                // Modules of layer 3 build on each other; faces never do.
                let sibling = own == 3 && rank(&name) == Some(3);
                let may = name == module || sibling || rank(&name).is_none_or(|other| other < own);
                if !may {
                    problem(format!("layer {own} may not use `crate::{name}`"));
                }
            }
        }
    }
    found
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("build.rs") {
            // A build script runs before the program, and is no part of it.
            files.push(path);
        }
    }
}

#[test]
fn a_layer_imports_only_from_the_ones_below_it() {
    assert_eq!(offences(&super::root().join("src")), [] as [String; 0]);
}

#[test]
fn the_checker_finds_what_it_is_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in [
        ("source/mmap.rs", "use crate::kernel::scan;\nuse crate::table::LogTable;\n"),
        ("repl/mod.rs", "use crate::session::Session; use crate::cli::run;\n// crate::cli in a comment\n"),
        ("kernel/lib.rs", "use tokio::spawn;\n"),
    ] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    let expected = [
        "src/kernel/lib.rs:1: the kernel may not use `tokio`",
        "src/repl/mod.rs:1: layer 4 may not use `crate::cli`",
        "src/source/mmap.rs:2: layer 1 may not use `crate::table`",
    ];
    assert_eq!(offences(folder.path()), expected);
}
