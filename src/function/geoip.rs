//! Where an address is, by a database of the user's own: MaxMind's format (.mmdb), which others write as well (DB-IP, IPinfo).

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use arrow::array::{Array as _, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use maxminddb::{PathElement, Reader};
use serde_json::Value;

use super::{Args, Function, Kind, Last, arg, ip, optional, texts};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "geoip",
    args: &[arg("ip", Kind::Text), arg("what", Kind::Text), optional("file", Kind::Text)],
    about: "what a GeoIP database (.mmdb) says of an address: country, country_name, continent, city, latitude, longitude, asn, organization, or a path of it; \
            without a file the first one in /usr/share/GeoIP and /var/lib/GeoIP",
    example: "geoip('10.1.2.3', 'country', 'testdata/geoip.mmdb') → DE",
    returns: || DataType::Utf8View,
    run: geoip,
}];

/// Short names of paths.
const NAMES: &[(&str, &str)] = &[
    ("country", "country.iso_code"),
    ("country_name", "country.names.en"),
    ("continent", "continent.code"),
    ("city", "city.names.en"),
    ("latitude", "location.latitude"),
    ("longitude", "location.longitude"),
    ("asn", "autonomous_system_number"),
    ("organization", "autonomous_system_organization"),
];

/// Where packages put databases; those that know most first.
const FOLDERS: &[&str] = &["/usr/share/GeoIP", "/var/lib/GeoIP", "/usr/local/share/GeoIP"];
const FILES: &[&str] = &[
    "GeoIP2-City.mmdb",
    "GeoLite2-City.mmdb",
    "dbip-city-lite.mmdb",
    "GeoIP2-Country.mmdb",
    "GeoLite2-Country.mmdb",
    "dbip-country-lite.mmdb",
];

/// Databases that are kept open.
const KEPT: usize = 4;

type Database = Arc<Reader<Vec<u8>>>;

/// The database of a file. It is read once, and again when it is another file: they are updated every week.
fn database(file: &str) -> Result<Database, String> {
    static KNOWN: LazyLock<Mutex<Vec<(String, SystemTime, Database)>>> = LazyLock::new(Mutex::default);
    let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified()).map_err(|error| format!("{file}: {error}"))?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., database)) = known.iter().find(|(path, time, _)| path == file && *time == changed) {
        return Ok(Arc::clone(database));
    }
    let database = Arc::new(Reader::open_readfile(file).map_err(|error| format!("{file}: {error}"))?);
    known.retain(|(path, ..)| path != file);
    if known.len() >= KEPT {
        drop(known.remove(0));
    }
    known.push((file.to_owned(), changed, Arc::clone(&database)));
    Ok(database)
}

/// The first database in the usual places.
fn usual() -> Result<Database, String> {
    let files = FOLDERS.iter().flat_map(|folder| FILES.iter().map(move |file| format!("{folder}/{file}")));
    match files.into_iter().find(|file| Path::new(file).is_file()) {
        Some(file) => database(&file),
        None => Err(format!("there is no database in {}; name a .mmdb file as the third argument", FOLDERS.join(", "))),
    }
}

/// What is found at a path: keys with dots between them, and numbers of items.
fn find(database: &Reader<Vec<u8>>, address: &str, path: &[PathElement<'_>]) -> Option<String> {
    let found = database.lookup(ip::parse(address)?).ok()?;
    match found.decode_path::<Value>(path).ok()?? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn path_of(what: &str) -> Vec<PathElement<'_>> {
    let path = NAMES.iter().find(|(name, _)| *name == what).map_or(what, |(_, path)| *path);
    path.split('.').map(|key| key.parse().map_or(PathElement::Key(key), PathElement::Index)).collect()
}

fn geoip(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut databases: Last<'_, Option<Database>> = Last::new();
    let mut paths: Last<'_, Vec<PathElement<'_>>> = Last::new();
    let mut found = Vec::with_capacity(args.rows());
    for row in 0..args.rows() {
        let text = |at: usize| Some(args.text(at)).filter(|column| column.is_valid(row)).map(|column| column.value(row));
        found.push(match (text(0), text(1), if args.has(2) { text(2) } else { Some("") }) {
            (Some(address), Some(what), Some(file)) => {
                let opened = databases.get(file, |file| {
                    let opened = if file.is_empty() { usual() } else { database(file) };
                    // Without any database it is the query that is wrong, whoever wrote the name.
                    match opened {
                        Ok(database) => Ok(Some(database)),
                        Err(message) => args.bad(if args.has(2) { 2 } else { 1 }, message),
                    }
                })?;
                let path = paths.get(what, |what| Ok(path_of(what)))?;
                opened.as_ref().and_then(|database| find(database, address, path))
            }
            _ => None,
        });
    }
    texts(found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of one node: addresses below 128.0.0.0 are in Germany.
    fn bytes() -> Vec<u8> {
        fn text(text: &str) -> Vec<u8> {
            [&[0x40 | text.len() as u8], text.as_bytes()].concat()
        }
        let mut file = vec![0, 0, 17, 0, 0, 1];
        file.extend([0; 16]);
        file.push(0xE1);
        file.extend(text("country"));
        file.push(0xE2);
        file.extend([text("iso_code"), text("DE"), text("ids"), vec![0x02, 0x04, 0xA1, 7, 0xA1, 9]].concat());
        file.extend(b"\xab\xcd\xefMaxMind.com");
        file.push(0xE9);
        let metadata: [(&str, &[u8]); 9] = [
            ("node_count", &[0xC1, 1]),
            ("record_size", &[0xA1, 24]),
            ("ip_version", &[0xA1, 4]),
            ("database_type", &text("Test")),
            ("languages", &[0x00, 0x04]),
            ("binary_format_major_version", &[0xA1, 2]),
            ("binary_format_minor_version", &[0xA0]),
            ("build_epoch", &[0x01, 0x02, 1]),
            ("description", &[0xE0]),
        ];
        metadata.iter().for_each(|(name, value)| file.extend([&text(name)[..], value].concat()));
        file
    }

    #[test]
    fn an_address_is_looked_up_by_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.mmdb");
        std::fs::write(&file, bytes()).unwrap();
        let name = file.to_str().unwrap();
        let read = database(name).unwrap();
        assert!(Arc::ptr_eq(&read, &database(name).unwrap()), "it is read once");
        let found = |address: &str, what: &str| find(&read, address, &path_of(what));
        assert_eq!(found("10.1.2.3", "country").as_deref(), Some("DE"));
        assert_eq!(found("::ffff:10.1.2.3", "country.ids.1").as_deref(), Some("9"));
        assert_eq!(found("10.1.2.3", "country.ids").as_deref(), Some("[7,9]"));
        for (address, what) in [("192.0.2.1", "country"), ("2001:db8::1", "country"), ("x", "country"), ("10.1.2.3", "city")] {
            assert_eq!(found(address, what), None, "{address} {what}");
        }
        assert!(database("/nowhere.mmdb").unwrap_err().starts_with("/nowhere.mmdb: "));
        std::fs::write(&file, "no database").unwrap();
        assert!(Reader::open_readfile(&file).is_err());
    }
}
