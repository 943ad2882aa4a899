//! Whose code a place is in: the program's own, or a package's.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use crate::scripts::Scripts;
use crate::snapshot::Location;

/// Where the source of a place (`file:line:column`) in built code is, if that is known.
pub type SourceOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parts of paths in which packages are.
const PACKAGES: &str = "/node_modules/";

/// Parts of a page's addresses in which libraries are by custom.
const OF_PAGES: [&str; 8] = [
    "/vendor/",
    "/vendors/",
    "/lib/",
    "/libs/",
    "/third_party/",
    "/bower_components/",
    "/vendor.",
    "/vendors~",
];

/// Hosts that have nothing but libraries.
const HOSTS: [&str; 8] = [
    "ajax.googleapis.com",
    "cdn.jsdelivr.net",
    "cdn.skypack.dev",
    "cdnjs.cloudflare.com",
    "code.jquery.com",
    "esm.sh",
    "esm.run",
    "unpkg.com",
];

/// See the module.
pub(super) struct Origins<'a> {
    source_of: SourceOf<'a>,
    known: RefCell<FxHashMap<Location, bool>>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(source_of: SourceOf<'a>) -> Origins<'a> {
        Origins {
            source_of,
            known: RefCell::default(),
        }
    }

    /// Whether a place is in a package that the program uses.
    pub(super) fn is_of_package(&self, scripts: &Scripts, location: Location) -> bool {
        *self.known.borrow_mut().entry(location).or_insert_with(|| {
            let place = scripts.place(location);
            // Maps are asked for the program's own scripts alone: there are few, and each is read.
            is_of_package(&place)
                || (self.source_of)(&place).is_some_and(|source| source.contains(PACKAGES))
        })
    }
}

fn is_of_package(place: &str) -> bool {
    if place.contains(PACKAGES) {
        return true;
    }
    let Some(address) = ["http://", "https://"]
        .iter()
        .find_map(|scheme| place.strip_prefix(scheme))
    else {
        return false;
    };
    let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    HOSTS.contains(&host)
        || OF_PAGES.iter().any(|part| path.contains(part))
        || path.contains(".min.js")
}

#[cfg(test)]
mod tests {
    use super::is_of_package;

    #[test]
    fn libraries_are_told_from_the_program_by_where_they_are() {
        for place in [
            "/app/node_modules/redux/dist/cjs/redux.cjs:12:3",
            "file:///app/node_modules/mitt/dist/mitt.mjs:1:1",
            "webpack-internal:///./node_modules/zustand/vanilla.js:3:4",
            "http://localhost:3000/lib/zustand.js:3:4",
            "https://example.com/static/vendors~main.js:1:3",
            "https://unpkg.com/mitt:1:3",
            "https://example.com/js/jquery.min.js?v=3:1:3",
        ] {
            assert!(is_of_package(place), "{place}");
        }
        for place in [
            "/app/lib/server.js:12:3",
            "file:///app/vendor/own.mjs:1:1",
            "http://localhost:3000/app.js?from=/lib/x.js:3:4",
            "https://example.com/library.js:1:3",
            "https://unpkg.com.example.org/app.js:1:3",
        ] {
            assert!(!is_of_package(place), "{place}");
        }
    }
}
