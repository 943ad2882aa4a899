//! Places in code that was built, as its source maps say them: `/app/dist/app.js:1:2034` is
//! `/app/src/queue.ts:41:3`.
//!
//! The map is the one that the script names (`sourceMappingURL`, a file beside it or the map itself), or `FILE.map`.
//! What is not there, is no map, or does not know the place leaves it as it is: it is right, only hard to read.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use super::compiled::Compiled;
use super::flags::{HeapFormat, OutputFlags};
use regex::{Captures, Regex};
use sourcemap::{DecodedMap, SourceMap};

/// Larger scripts and maps are not read, bytes.
const MOST: u64 = 64 << 20;
/// What stands before the name of a map, in the last lines of a script.
const NAMED: &str = "sourceMappingURL=";

/// `name() /path/file.js:line:column`, with the name or without.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    let text =
        r#"(?:([A-Za-z_$][0-9A-Za-z_$]*)\(\) )?(/[^ \t\r\n:"'<>]+\.[cm]?jsx?):([0-9]+):([0-9]+)"#;
    Regex::new(text).expect("a good expression")
});

/// Whether places are said as those of the sources: in text and pages, unless that is not wanted.
pub fn is_wanted(output: &OutputFlags) -> bool {
    output.format != HeapFormat::Json && !output.no_source_maps
}

/// Writes what a job says, with places in built scripts as places in their sources. A text ends with the scripts of
/// which that is so.
pub fn write(said: &[u8], format: HeapFormat, out: &mut impl Write) -> io::Result<()> {
    let Ok(text) = str::from_utf8(said) else {
        return out.write_all(said);
    };
    let mut built = Built::default();
    let said = built.places(text);
    let mut compiled = Compiled::but(std::mem::take(&mut built.sources));
    out.write_all(compiled.places(&said).as_bytes())?;
    if format != HeapFormat::Text {
        return Ok(());
    }
    let mut lines = compiled.lines();
    if !built.found.is_empty() {
        lines.push(format!(
            "Places of {} are those of the sources, by source maps (--no-source-maps: as they are).",
            built.found.join(", ")
        ));
    }
    if !lines.is_empty() {
        writeln!(out, "\n{}", lines.join("\n"))?;
    }
    Ok(())
}

/// Where the sources of places in built scripts are.
pub struct Sources(Option<RefCell<Built>>);

impl Sources {
    /// By source maps, unless these are not wanted.
    pub fn new(flags: &OutputFlags) -> Sources {
        Sources((!flags.no_source_maps).then(RefCell::default))
    }

    /// The place in its source, if there is a map. One that the map does not know, such as that of a whole bundle,
    /// may be of any source: of a package, if there is one among them.
    pub fn of(&self, place: &str) -> Option<String> {
        let mut built = self.0.as_ref()?.borrow_mut();
        let place = PLACE.captures(place)?;
        built.source(&place).or_else(|| {
            let map = built.maps.get(&place[2])?.as_ref()?;
            let sources = || {
                map.sources()
                    .map(|source| path(Path::new(&place[2]), source))
            };
            let package = sources().find(|source| source.contains("/node_modules/"));
            package.or_else(|| sources().next())
        })
    }
}

/// The maps of the scripts that a text names.
#[derive(Debug, Default)]
struct Built {
    maps: BTreeMap<String, Option<SourceMap>>,
    /// Scripts of which places were found.
    found: Vec<String>,
    /// The files where these are.
    sources: BTreeSet<String>,
}

impl Built {
    /// The text with places in built scripts said as places in their sources.
    fn places<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        PLACE.replace_all(text, |place: &Captures<'_>| {
            self.source(place).unwrap_or_else(|| place[0].to_owned())
        })
    }

    fn source(&mut self, place: &Captures<'_>) -> Option<String> {
        let script = &place[2];
        let map = self
            .maps
            .entry(script.to_owned())
            .or_insert_with(|| map(Path::new(script)))
            .as_ref()?;
        let line = place[3].parse::<u32>().ok()?.checked_sub(1)?;
        let column = place[4].parse::<u32>().ok()?.checked_sub(1)?;
        // A function begins at its parameters, behind its name. The nearest token before may be of another line.
        let token = map
            .lookup_token(line, column)
            .filter(|token| token.get_dst_line() == line)?;
        let source = path(Path::new(script), token.get_source()?);
        let called = place.get(1).map_or("", |name| name.as_str());
        let name = u32::try_from(called.len())
            .ok()
            .and_then(|len| map.lookup_token(line, column.checked_sub(len)?))
            .filter(|token| token.get_dst_line() == line)
            .and_then(|token| token.get_name())
            .filter(|_| !called.is_empty());
        if !self.found.iter().any(|known| known == script) {
            self.found.push(script.to_owned());
        }
        self.sources.insert(source.clone());
        let name = match (called, name) {
            ("", _) => String::new(),
            (called, name) => format!("{}() ", name.unwrap_or(called)),
        };
        Some(format!(
            "{name}{source}:{}:{}",
            token.get_src_line() + 1,
            token.get_src_col() + 1
        ))
    }
}

/// A file that is not too large.
pub fn read(file: &Path) -> Option<Vec<u8>> {
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && metadata.len() <= MOST).then(|| fs::read(file).ok())?
}

fn map(script: &Path) -> Option<SourceMap> {
    let text = String::from_utf8(read(script)?).ok()?;
    let named = text
        .rsplit_once(NAMED)
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let decoded = match named {
        Some(url) if url.starts_with("data:") => sourcemap::decode_data_url(url).ok()?,
        Some(url) => decode(&script.parent()?.join(url))?,
        None => {
            let mut beside = script.as_os_str().to_owned();
            beside.push(".map");
            decode(Path::new(&beside))?
        }
    };
    match decoded {
        DecodedMap::Regular(map) => Some(map),
        DecodedMap::Index(index) => index.flatten().ok(),
        DecodedMap::Hermes(_) => None,
    }
}

fn decode(file: &Path) -> Option<DecodedMap> {
    sourcemap::decode_slice(&read(file)?).ok()
}

/// Where a source is, said from the root as the script is; a name with a scheme (`webpack://…`) stays.
fn path(script: &Path, source: &str) -> String {
    let source = source.strip_prefix("file://").unwrap_or(source);
    if source.contains("://") {
        return source.to_owned();
    }
    let mut whole = PathBuf::new();
    let joined = script.parent().unwrap_or(script).join(source);
    for part in joined.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            other => whole.push(other),
        }
    }
    whole.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `function keep(text) {…}` in line 3 of `../src/app.ts`, which became `function k(t)`.
    const MAP: &str = r#"{"version":3,"sources":["../src/app.ts"],"names":["keep"],"mappings":"AAEA,SAASA,CAAI"}"#;

    fn folder(script: &str, map: Option<&str>) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        fs::create_dir(&dist).unwrap();
        fs::write(dist.join("app.js"), script).unwrap();
        if let Some(map) = map {
            fs::write(dist.join("app.js.map"), map).unwrap();
        }
        let script = dist.join("app.js").display().to_string();
        (folder, script)
    }

    #[test]
    fn places_and_names_of_a_built_script_are_those_of_its_source() {
        for script in [
            "function k(t){}",
            "function k(t){}\n//# sourceMappingURL=app.js.map\n",
        ] {
            let (folder, script) = folder(script, Some(MAP));
            let source = folder.path().join("src/app.ts").display().to_string();
            let mut built = Built::default();
            assert_eq!(
                built.places(&format!("by k() {script}:1:11, as {script}:1:1 says")),
                format!("by keep() {source}:3:14, as {source}:3:1 says")
            );
            assert_eq!(built.found, [script]);
        }
    }

    #[test]
    fn what_no_map_knows_stays_as_it_is() {
        let cases = [
            None,
            Some("no map"),
            Some(r#"{"version":3,"sources":["a.ts"],"names":[],"mappings":"!"}"#),
            Some(r#"{"version":3,"sources":[],"names":[],"mappings":";;;AAAA"}"#),
        ];
        for map in cases {
            let (_folder, script) = folder("function k(t){}", map);
            let mut built = Built::default();
            for text in [
                format!("by k() {script}:1:11"),
                format!("by k() {script}:0:0"),
                format!("by k() {script}:99999999999:1"),
                "by k() /nowhere/app.js:1:11".to_owned(),
            ] {
                assert_eq!(built.places(&text), text, "{map:?}");
            }
            assert_eq!(built.found, [""; 0]);
        }
    }

    #[test]
    fn sources_are_named_from_the_root_unless_they_have_a_scheme() {
        let of = |source| path(Path::new("/app/dist/js/app.js"), source);
        assert_eq!(of("../../src/./a.ts"), "/app/src/a.ts");
        assert_eq!(of("/abs/a.ts"), "/abs/a.ts");
        assert_eq!(of("webpack://app/./src/a.ts"), "webpack://app/./src/a.ts");
    }
}
