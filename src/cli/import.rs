//! `logsql format import`: definitions of layouts that other programs know.

use std::fs;
use std::path::{Path, PathBuf};

use super::Exit;
use super::config::Config;
use super::options::ImportKind;
use super::tell::{self, Mark, Problem};
use crate::kernel::format::import::{self, Imported, Kind, Server};
use crate::source::ConfigReader;

/// What normalizers of pylogsparser have in common stands beside them.
const SHARED: [&str; 2] = ["common_tagTypes.xml", "common_callBacks.xml"];

/// Makes definitions of the files and writes them where definitions are looked for.
pub(super) fn run(config: &Config, files: &[PathBuf], kind: Option<ImportKind>) -> Result<Exit, Problem> {
    let catalog = super::formats::catalog(config)?;
    let mut reader = ConfigReader::new(Path::new("/"));
    let mut imported = Imported::default();
    let mut texts = vec![];
    for file in files {
        let failed = |why: String| Problem::new(Exit::Failed, format!("cannot read `{}`: {why}", file.display()), None);
        let path = std::path::absolute(file).map_err(|error| failed(error.to_string()))?;
        let path = path.to_str().ok_or_else(|| failed("its name is no UTF-8".to_owned()))?;
        let text = reader.file(path, &mut imported.notes).ok_or_else(|| failed("there is no such file".to_owned()))?;
        let kind = kind.map(kind_of).or_else(|| Kind::guess(&text)).ok_or_else(|| {
            let hint = "say it with `--as nginx`, `apache`, `grok`, `lnav`, or `pylogsparser`".to_owned();
            Problem::new(Exit::Failed, format!("`{}` is nothing that is known", file.display()), Some(hint))
        })?;
        texts.push((kind, text));
    }
    for (kind, text) in texts {
        match kind {
            Kind::Server(server) => imported.server(&catalog, server, &text, &mut reader),
            Kind::Grok => imported.grok(&catalog, &text),
            Kind::Lnav => imported.lnav(&catalog, &text),
            Kind::Pylogsparser => {
                let folder = Path::new(&text.path).parent();
                let shared = SHARED.iter().filter_map(|name| reader.file(folder?.join(name).to_str()?, &mut imported.notes));
                let shared: Vec<_> = shared.collect();
                imported.pylogsparser(&catalog, &text, &shared);
            }
        }
    }
    let mut shown = String::new();
    for path in write(config, &imported)? {
        shown += &format!("{}\n", path.display());
    }
    tell::out(&shown)?;
    for note in &imported.notes {
        let note = crate::output::sanitise_cell(note).into_owned();
        tell::line(config.color_messages, Mark::Warning, &note);
    }
    if imported.made.is_empty() {
        return Err(Problem::new(Exit::Failed, "no definition was made", None));
    }
    Ok(Exit::Done)
}

fn kind_of(kind: ImportKind) -> Kind {
    match kind {
        ImportKind::Nginx => Kind::Server(Server::Nginx),
        ImportKind::Apache => Kind::Server(Server::Apache),
        ImportKind::Grok => Kind::Grok,
        ImportKind::Lnav => Kind::Lnav,
        ImportKind::Pylogsparser => Kind::Pylogsparser,
    }
}

/// Writes each definition to a file of its own; one that is there already is not overwritten.
fn write(config: &Config, imported: &Imported) -> Result<Vec<PathBuf>, Problem> {
    let no_folder = || Problem::usage("there is no config folder", Some("name a folder with `-o`".to_owned()));
    let target = config.output_file.as_ref().or(config.format_folder.as_ref()).ok_or_else(no_folder)?;
    let is_file = target.extension().is_some_and(|extension| extension == "toml") && imported.made.len() == 1;
    let folder = if is_file { target.parent().filter(|parent| !parent.as_os_str().is_empty()) } else { Some(target.as_path()) };
    let failed = |path: &Path, error: &std::io::Error| {
        Problem::new(Exit::Failed, format!("cannot write `{}`: {error}", path.display()), None)
    };
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    let mut written = vec![];
    for import::Made { name, text } in &imported.made {
        let path = if is_file { target.clone() } else { target.join(format!("{name}.toml")) };
        let is_same = fs::read_to_string(&path).is_ok_and(|old| old == *text);
        if path.exists() && !is_same {
            let hint = Some("remove it, or name another folder with `-o`".to_owned());
            return Err(Problem::new(Exit::Failed, format!("`{}` is there already, and is another one", path.display()), hint));
        }
        fs::write(&path, text).map_err(|error| failed(&path, &error))?;
        written.push(path);
    }
    Ok(written)
}
