//! Arguments, patterns, folders and the usual places.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("this is {name}\n")).unwrap();
    }
    dir
}

fn names(dir: &Path, inputs: &Inputs) -> Vec<String> {
    let name = |file: &Snapshot| file.path.strip_prefix(dir).unwrap_or(&file.path).to_string_lossy().into_owned();
    inputs.files.iter().map(name).collect()
}

fn issues(dir: &Path, inputs: &Inputs) -> Vec<String> {
    let prefix = format!("{}/", dir.display());
    inputs.issues.iter().map(|issue| issue.to_string().replace(&prefix, "").replace(&prefix[..prefix.len() - 1], ".")).collect()
}

const RECURSIVE: ResolveOptions = ResolveOptions { recursive: true, follow_symlinks: true };

#[test]
fn a_rotated_set_is_read_from_the_oldest_file_to_the_live_one() {
    let dir = tree(&[
        "access.log",
        "access.log.1",
        "access.log.2.gz",
        "access.log.10.gz",
        "error.log",
        "error.log-20260102",
        "error.log-20251231.gz",
        "node10.log",
        "node2.log",
        "access.log-20250101.gz",
    ]);
    let inputs = resolve(&[dir.path().join("*.log*")], &ResolveOptions::default());
    assert_eq!(
        names(dir.path(), &inputs),
        [
            "access.log-20250101.gz",
            "access.log.10.gz",
            "access.log.2.gz",
            "access.log.1",
            "access.log",
            "error.log-20251231.gz",
            "error.log-20260102",
            "error.log",
            "node2.log",
            "node10.log",
        ]
    );
    assert!(inputs.issues.is_empty(), "{:?}", inputs.issues);
}

#[test]
fn a_plain_path_names_only_itself_and_arguments_keep_their_order() {
    let dir = tree(&["b.log", "a.log", "a.log.1"]);
    let inputs = resolve(&[dir.path().join("b.log"), dir.path().join("a.log")], &ResolveOptions::default());
    assert_eq!(names(dir.path(), &inputs), ["b.log", "a.log"]);
}

#[test]
fn names_are_bytes_and_existing_names_are_no_patterns() {
    let dir = tree(&["a[1].log", "a1.log", "with space\nand line feed.log", "-.log", "tab\t.log"]);
    let latin1 = dir.path().join(std::ffi::OsString::from_vec(b"\xE4\xF6\xFC.log".to_vec()));
    fs::write(&latin1, "latin\n").unwrap();
    let inputs = resolve(&[dir.path().join("*.log")], &ResolveOptions::default());
    assert_eq!(inputs.files.len(), 6, "{:?}", inputs.files);
    assert!(inputs.files.iter().any(|file| file.path == latin1));
    let inputs = resolve(&[dir.path().join("a[1].log")], &ResolveOptions::default());
    assert_eq!(names(dir.path(), &inputs), ["a[1].log"]);
}

#[test]
fn patterns_reach_into_folders() {
    let dir = tree(&["web1/access.log", "web2/access.log", "web2/deep/er/access.log", "db/mysql.log", ".git/x.log"]);
    let find = |pattern: &str| names(dir.path(), &resolve(&[dir.path().join(pattern)], &ResolveOptions::default()));
    assert_eq!(find("web*/access.log"), ["web1/access.log", "web2/access.log"]);
    assert_eq!(find("**/access.log"), ["web1/access.log", "web2/access.log", "web2/deep/er/access.log"]);
    assert_eq!(find("**/*.log").len(), 4);
    assert_eq!(find("web?/**/access.log").len(), 3);
    assert_eq!(find("[!d]*/*.log").len(), 2);
}

#[test]
fn what_is_missing_is_told_and_the_rest_is_read() {
    let dir = tree(&["a.log"]);
    let args = ["missing.log", "none*.log", "a.log"].map(|name| dir.path().join(name));
    let inputs = resolve(&args, &ResolveOptions::default());
    assert_eq!(names(dir.path(), &inputs), ["a.log"]);
    assert_eq!(issues(dir.path(), &inputs), ["missing.log: no such file", "none*.log: no file matches"]);
    assert!(inputs.issues.iter().all(|issue| issue.severity == Severity::Loss));
}

#[test]
fn the_same_file_is_read_once_and_that_is_told() {
    let dir = tree(&["a.log"]);
    fs::hard_link(dir.path().join("a.log"), dir.path().join("b.log")).unwrap();
    symlink("a.log", dir.path().join("c.log")).unwrap();
    let inputs = resolve(&[dir.path().join("*.log"), dir.path().join("a.log")], &ResolveOptions::default());
    assert_eq!(names(dir.path(), &inputs), ["a.log"]);
    assert_eq!(
        issues(dir.path(), &inputs),
        [
            "b.log: the same file as a.log, read once",
            "c.log: the same file as a.log, read once",
            "a.log: the same file as a.log, read once",
        ]
    );
}

#[test]
fn different_files_with_equal_content_are_both_read() {
    let dir = tree(&[]);
    fs::write(dir.path().join("a.log"), "#Fields: x\n").unwrap();
    fs::write(dir.path().join("b.log"), "#Fields: x\n").unwrap();
    assert_eq!(resolve(&[dir.path().join("*")], &ResolveOptions::default()).files.len(), 2);
}

#[test]
fn a_folder_is_its_files_and_with_the_option_all_that_is_below_it() {
    let dir = tree(&["logs/a.log", "logs/sub/b.log", "logs/.hidden", "logs/.dir/c.log"]);
    let logs = dir.path().join("logs");
    let inputs = resolve(&[&logs], &ResolveOptions::default());
    assert_eq!(names(dir.path(), &inputs), ["logs/a.log"]);
    let found = issues(dir.path(), &inputs);
    assert!(found.contains(&"logs/sub: is a directory, skipped".to_owned()), "{found:?}");
    assert!(found.contains(&"logs: 2 hidden files and folders skipped".to_owned()), "{found:?}");
    let inputs = resolve(&[&logs], &RECURSIVE);
    assert_eq!(names(dir.path(), &inputs), ["logs/a.log", "logs/sub/b.log"]);
    assert_eq!(issues(dir.path(), &inputs), ["logs: 2 hidden files and folders skipped"]);
    let inputs = resolve(&[dir.path().join("*")], &ResolveOptions::default());
    assert_eq!(issues(dir.path(), &inputs), ["logs: is a directory, skipped"]);
}

#[test]
fn symbolic_links_in_a_circle_are_told_and_end() {
    let dir = tree(&["logs/a.log"]);
    let logs = dir.path().join("logs");
    symlink("..", logs.join("up")).unwrap();
    symlink("loop2", logs.join("loop1")).unwrap();
    symlink("loop1", logs.join("loop2")).unwrap();
    symlink("nowhere", logs.join("dangling")).unwrap();
    let inputs = resolve(&[&logs], &RECURSIVE);
    assert_eq!(names(dir.path(), &inputs), ["logs/a.log"]);
    let mut told = issues(dir.path(), &inputs);
    told.sort();
    assert_eq!(
        told,
        [
            "logs/dangling: no such file",
            "logs/loop1: symbolic links lead in a circle",
            "logs/loop2: symbolic links lead in a circle",
            "logs/up/logs: symbolic links lead in a circle",
        ]
    );
    let inputs = resolve(&[logs.join("loop1")], &ResolveOptions::default());
    assert_eq!(issues(dir.path(), &inputs), ["logs/loop1: symbolic links lead in a circle"]);
}

#[test]
fn links_are_not_followed_if_that_is_asked_for_unless_they_were_typed() {
    let dir = tree(&["outside.log", "logs/a.log"]);
    let logs = dir.path().join("logs");
    symlink("../outside.log", logs.join("link.log")).unwrap();
    let options = ResolveOptions { recursive: true, follow_symlinks: false };
    for arg in [logs.clone(), logs.join("*.log")] {
        let inputs = resolve(&[&arg], &options);
        assert_eq!(names(dir.path(), &inputs), ["logs/a.log"]);
        assert_eq!(issues(dir.path(), &inputs), ["logs/link.log: symbolic link not followed"]);
    }
    assert_eq!(resolve(&[logs.join("link.log")], &options).files.len(), 1);
}

#[test]
fn what_is_no_file_is_skipped_unless_it_was_typed() {
    let dir = tree(&["a.log"]);
    let fifo = dir.path().join("fifo.log");
    let name = CString::new(fifo.as_os_str().as_bytes()).unwrap();
    // SAFETY: `name` is a string that ends with a zero byte.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    for arg in [dir.path().to_owned(), dir.path().join("*.log")] {
        let inputs = resolve(&[&arg], &RECURSIVE);
        assert_eq!(names(dir.path(), &inputs), ["a.log"]);
        assert_eq!(issues(dir.path(), &inputs), ["fifo.log: not a regular file, skipped"]);
    }
    assert_eq!(resolve(&[&fifo], &RECURSIVE).files[0].kind, FileKind::Stream);
}

/// Works as root too: a thread that takes another user's id for its file accesses loses root's rights with it.
#[test]
fn a_file_that_may_not_be_read_hides_no_other() {
    let dir = tree(&["a.log", "b.log", "closed/c.log"]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path().join("a.log"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let root = dir.path().to_owned();
    let told = std::thread::spawn(move || {
        // SAFETY: changes only this thread's identity, and the thread ends with this closure.
        unsafe { libc::syscall(libc::SYS_setfsuid, 65_534) };
        let inputs = resolve(&[&root], &RECURSIVE);
        (names(&root, &inputs), issues(&root, &inputs), inputs.issues[0].severity)
    });
    let (files, told, severity) = told.join().unwrap();
    assert_eq!(files, ["b.log"]);
    assert_eq!(told, ["closed: permission denied", "a.log: permission denied"]);
    assert_eq!(severity, Severity::Loss);
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_usual_places_are_found_below_a_root_and_binary_files_are_left_out() {
    let dir = tree(&[
        "var/log/nginx/access.log",
        "var/log/nginx/access.log.1",
        "var/log/nginx/access.log-20260101",
        "var/log/apache2/error.log",
        "var/log/syslog",
        "var/log/syslog.1",
        "var/log/messages-20260101",
        "var/log/syslog-ng/own.log",
        "var/log/auth.log",
        "var/log/secure",
        "var/log/pihole.log",
        "var/log/named/queries.log",
        "var/named/data/named.run",
        "var/log/wtmp",
        "var/log/unbound.log",
        "var/log/mail.log",
        "etc/passwd",
    ]);
    fs::write(dir.path().join("var/log/nginx/core"), b"\x7FELF\x02\x01\x01\0\0\0\0").unwrap();
    fs::write(dir.path().join("var/log/nginx/zeros.log"), [0; 5000]).unwrap();
    fs::write(dir.path().join("var/log/nginx/after-crash.log"), [&[0; 5000][..], b"a line\n"].concat()).unwrap();
    let found = discover(dir.path(), &ResolveOptions::default(), &[]);
    let all: Vec<(&str, Vec<String>)> =
        found.iter().map(|found| (found.label, names(&dir.path().join("var"), &found.inputs))).collect();
    let expected = [
        (
            "nginx",
            vec!["log/nginx/access.log-20260101", "log/nginx/access.log.1", "log/nginx/access.log", "log/nginx/after-crash.log"],
        ),
        ("apache", vec!["log/apache2/error.log"]),
        ("bind", vec!["log/named/queries.log", "named/data/named.run"]),
        ("dnsmasq", vec!["log/pihole.log"]),
        ("unbound", vec!["log/unbound.log"]),
        ("auth", vec!["log/auth.log", "log/secure"]),
        ("mail", vec!["log/mail.log"]),
        ("syslog", vec!["log/syslog.1", "log/syslog", "log/messages-20260101"]),
    ];
    let expected: Vec<(&str, Vec<String>)> =
        expected.into_iter().map(|(label, names)| (label, names.into_iter().map(str::to_owned).collect())).collect();
    assert_eq!(all, expected);
    let left_out = issues(&dir.path().join("var/log/nginx"), &found[0].inputs);
    assert_eq!(left_out, ["core: holds binary data, skipped", "zeros.log: holds only zero bytes, skipped"]);
}

#[test]
fn a_walk_leaves_out_what_is_certainly_no_text_log() {
    let dir = tree(&["wtmp", "wtmp.1.gz", "lastlog", "system.journal", "a.log"]);
    fs::write(dir.path().join("latin1.log"), b"gr\xFC\xDFe\n").unwrap();
    fs::write(dir.path().join("utf16.log"), b"\xFF\xFEa\0\n\0").unwrap();
    fs::write(dir.path().join("colour.log"), b"\x1b[31mred\x1b[0m\n").unwrap();
    let inputs = resolve(&[dir.path()], &RECURSIVE);
    assert_eq!(names(dir.path(), &inputs), ["a.log", "colour.log", "latin1.log", "utf16.log"]);
    assert_eq!(inputs.issues.len(), 4);
    // Typed, it is read.
    assert_eq!(resolve(&[dir.path().join("lastlog")], &ResolveOptions::default()).files.len(), 1);
}

#[test]
fn thousands_of_files_need_no_more_than_a_few_open_ones() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..5000 {
        fs::write(dir.path().join(format!("{i}.log")), format!("{i}\n")).unwrap();
    }
    let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_files();
    let inputs = resolve(&[dir.path().join("*.log")], &ResolveOptions::default());
    // Other tests open files meanwhile, but not that many.
    assert!(open_files() < before + 64, "{before} open files before, {} after", open_files());
    assert_eq!((inputs.files.len(), inputs.issues.len()), (5000, 0));
    assert!(inputs.files[4999].path.ends_with("4999.log"));
}

#[test]
fn stdin_is_a_dash() {
    let inputs = resolve(&[OsStr::new("-")], &ResolveOptions::default());
    // What it is depends on who runs the tests; it is never a file called `-`.
    match (inputs.files.as_slice(), inputs.issues.as_slice()) {
        ([stdin], []) => {
            assert!(stdin.kind == FileKind::Stdin || stdin.path == Path::new("/dev/stdin"))
        }
        ([], [issue]) => assert!(!matches!(issue.problem, Problem::NoMatch)),
        other => panic!("{other:?}"),
    }
}
