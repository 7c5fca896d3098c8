//! Lists the saved queries of `queries/`, so that a new file there is shipped without being named anywhere.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("queries");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).ok_or("a name is no text")?;
        let path = file.to_str().ok_or("a path is no text")?;
        writeln!(code, "    ({name:?}, include_str!({path:?})),")?;
    }
    code += "]\n";
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("queries.rs"), code)?;
    Ok(())
}
