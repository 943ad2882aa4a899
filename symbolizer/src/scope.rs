//! Namespaces and classes around functions whose linkage name the compiler left out.
//!
//! C++ compilers give no linkage name to functions that no other unit can see (anonymous
//! namespaces, local classes, lambdas). Debug information nests them in their scopes, but has
//! no way from the inside out, so a unit is walked once when its first such name is met.

use std::collections::HashMap;

use gimli::{AttributeValue, Unit, UnitOffset, UnitRef};

use crate::dwarf::Reader;

/// Longest chain of references and of scopes that is followed: enough for any program, and an
/// end for damaged ones that go round.
const MAX_CHAIN: usize = 64;

/// The scopes of one unit.
pub(crate) struct Scopes<'d>(HashMap<usize, Entry<'d>>);

struct Entry<'d> {
    tag: gimli::DwTag,
    name: Option<Reader<'d>>,
    /// The entry that this one completes or is a copy of.
    origin: Option<usize>,
    /// The scope it is written in.
    parent: Option<usize>,
}

impl<'d> Scopes<'d> {
    fn parse(unit: UnitRef<'_, Reader<'d>>) -> Result<Self, gimli::Error> {
        let mut found = HashMap::new();
        let mut around: Vec<(isize, usize)> = Vec::new();
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let depth = entries.next_depth();
            let offset = entries.next_offset().0;
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let tag = abbreviation.tag();
            if !is_scope(tag) && tag != gimli::DW_TAG_inlined_subroutine {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            while around.pop_if(|(outer, _)| *outer >= depth).is_some() {}
            let mut entry = Entry {
                tag,
                name: None,
                origin: None,
                parent: around.last().map(|&(_, offset)| offset),
            };
            for &spec in abbreviation.attributes() {
                let attribute = entries.read_attribute(spec)?;
                match (attribute.name(), attribute.value()) {
                    (gimli::DW_AT_name, value) => entry.name = unit.attr_string(value).ok(),
                    (
                        gimli::DW_AT_abstract_origin | gimli::DW_AT_specification,
                        AttributeValue::UnitRef(at),
                    ) => entry.origin = Some(at.0),
                    _ => {}
                }
            }
            found.insert(offset, entry);
            if is_scope(tag) {
                around.push((depth, offset));
            }
        }
        Ok(Scopes(found))
    }

    /// The name of a function with its scopes.
    fn qualified(&self, function: UnitOffset) -> Option<String> {
        let mut at = self.declaration(function.0)?;
        let mut names = vec![text(at.name.as_ref()?)];
        while let Some(parent) = at.parent {
            if names.len() > MAX_CHAIN {
                return None;
            }
            at = self.declaration(parent)?;
            names.push(match (&at.name, at.tag) {
                (Some(name), _) => text(name),
                (None, gimli::DW_TAG_namespace) => "(anonymous namespace)".to_owned(),
                (None, _) => "{unnamed}".to_owned(),
            });
        }
        names.reverse();
        Some(names.join("::"))
    }

    /// The entry that stands where it was declared.
    fn declaration(&self, offset: usize) -> Option<&Entry<'d>> {
        let mut entry = self.0.get(&offset)?;
        for _ in 0..MAX_CHAIN {
            match entry.origin {
                Some(origin) => entry = self.0.get(&origin)?,
                None => return Some(entry),
            }
        }
        None
    }
}

fn is_scope(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_subprogram
    )
}

fn text(name: &Reader<'_>) -> String {
    String::from_utf8_lossy(name.slice()).into_owned()
}

/// The scopes of the units met so far. A unit that cannot be read has none.
#[derive(Default)]
pub(crate) struct ScopeCache<'d>(HashMap<*const Unit<Reader<'d>>, Option<Scopes<'d>>>);

impl<'d> ScopeCache<'d> {
    /// The name of the function at an offset of a unit, with its scopes. The unit must stay
    /// where it is as long as the cache is used: its place identifies it.
    pub(crate) fn qualified(
        &mut self,
        unit: UnitRef<'_, Reader<'d>>,
        function: UnitOffset,
    ) -> Option<String> {
        self.0
            .entry(std::ptr::from_ref(unit.unit))
            .or_insert_with(|| Scopes::parse(unit).ok())
            .as_ref()?
            .qualified(function)
    }
}
