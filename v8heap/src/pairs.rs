//! Entries of WeakMaps.
//!
//! V8 writes the value of an entry as held twice, by the table and by the key, with edges named
//! `N / part of key (…) -> value (…) pair in WeakMap (table @ID)`. It is held only while both live.

use crate::strings::Strings;
use rustc_hash::FxHashMap as HashMap;

/// The bit of an edge's kind that says that it is one of a pair.
pub(crate) const PAIR: u8 = 0x80;

/// What the name of such an edge says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// The same for both edges of a pair.
    pub(crate) number: u32,
    /// The id of the table.
    pub(crate) table: u32,
}

/// The entries of WeakMaps that a file's strings name.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    by_name: HashMap<u32, Pair>,
    /// Bits of the numbers of these names.
    names: Vec<u64>,
}

/// Numbers of strings that begin and end like a name of such an edge.
#[derive(Debug, Default)]
pub(crate) struct PairNames(Vec<u32>);

impl PairNames {
    /// Looks at a string as it is written in the file.
    #[inline]
    pub(crate) fn see(&mut self, number: u32, raw: &[u8]) {
        if raw.first().is_some_and(u8::is_ascii_digit) && raw.ends_with(b")") {
            self.0.push(number);
        }
    }

    /// Those that are.
    pub(crate) fn pairs(self, strings: &Strings) -> Pairs {
        let mut pairs = Pairs::default();
        let mut numbers: HashMap<String, u32> = HashMap::default();
        for name in self.0 {
            if let Some((part, table)) = split(&strings.get(name)) {
                let new = numbers.len() as u32;
                let number = *numbers.entry(part.to_owned()).or_insert(new);
                pairs.by_name.insert(name, Pair { number, table });
            }
        }
        if !pairs.by_name.is_empty() {
            pairs.names = vec![0; strings.len() / 64 + 1];
        }
        for &name in pairs.by_name.keys() {
            pairs.names[name as usize / 64] |= 1 << (name % 64);
        }
        pairs
    }
}

impl Pairs {
    /// The pair of an edge's name.
    pub(crate) fn get(&self, name: u32) -> Option<&Pair> {
        self.by_name.get(&name)
    }

    /// Marks internal edges of such names.
    pub(crate) fn mark(&self, internal: u8, kinds: &mut [u8], names: &[u32]) {
        if self.names.is_empty() {
            return;
        }
        for (kind, &name) in kinds.iter_mut().zip(names) {
            let is_pair = |name: u32| {
                let word = self.names.get(name as usize / 64);
                word.is_some_and(|word| word >> (name % 64) & 1 == 1)
            };
            if *kind == internal && is_pair(name) {
                *kind |= PAIR;
            }
        }
    }
}

/// The part of a name that both edges share, and the id of the table.
fn split(name: &str) -> Option<(&str, u32)> {
    let part = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let inner = part.strip_prefix(" / part of key (")?.strip_suffix(')')?;
    // From the end: the table's id, the value's id; then somewhere the key's.
    let (inner, table) = cut_number(inner)?;
    let inner = inner.strip_suffix(") pair in WeakMap (table @")?;
    let (inner, _) = cut_number(inner)?;
    let inner = inner.strip_suffix(" @")?;
    let breaks = |c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    if part.len() == name.len() || inner.contains(breaks) {
        return None;
    }
    let key = inner
        .match_indices(") -> value (")
        .any(|(at, _)| cut_number(&inner[..at]).is_some_and(|(before, _)| before.ends_with(" @")));
    key.then_some((part, table.parse().unwrap_or(u32::MAX)))
}

/// Cuts the digits off the end.
fn cut_number(text: &str) -> Option<(&str, &str)> {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    (before.len() < text.len()).then(|| text.split_at(before.len()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_of_pairs_are_told_from_others() {
        let name =
            "12 / part of key (A) -> b (c @7) -> value (x) @9 @21) pair in WeakMap (table @33)";
        assert_eq!(split(name), Some((&name[2..], 33)));
        for other in [
            "",
            "12",
            " / part of key (A @7) -> value (B @9) pair in WeakMap (table @33)",
            "1 / part of key (A @x) -> value (B @9) pair in WeakMap (table @33)",
            "1 / part of key (A @7) -> value (B @9) pair in WeakMap (table @33",
            "1 / part of key (A\n @7) -> value (B @9) pair in WeakMap (table @33)",
        ] {
            assert_eq!(split(other), None, "{other}");
        }
    }
}
