//! Which code made at run time an address meant when a stack was recorded.

use crate::live::FastMap;
use crate::units::CodeId;
use log_format::reader::CodeFact;

/// Code that a runtime compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// Address of the first byte.
    pub start: u64,
    /// End of the last one.
    pub end: u64,
    /// First stack that can mean it.
    pub first_node: u32,
    /// As the runtime said it; empty if it did not.
    pub name: String,
}

/// Code by address.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    /// Numbers of the codes by the page they touch, each in the order of their making.
    by_page: FastMap<u64, Vec<u32>>,
}

const PAGE_SHIFT: u32 = 12;
/// Code longer than this is a damaged record, bytes.
const MAX_LEN: u64 = 64 << 20;

/// The codes of a log. Those that no log can have are left out.
pub(crate) fn codes(facts: &[CodeFact]) -> Vec<Code> {
    facts
        .iter()
        .filter(|fact| fact.len <= MAX_LEN)
        .filter_map(|fact| {
            Some(Code {
                start: fact.start,
                end: fact.start.checked_add(fact.len)?,
                first_node: fact.first_node,
                name: String::from_utf8_lossy(&fact.name).into_owned(),
            })
        })
        .collect()
}

impl CodeMap {
    pub fn new(codes: &[Code]) -> CodeMap {
        let mut by_page: FastMap<u64, Vec<u32>> = FastMap::default();
        for (number, code) in (0u32..).zip(codes) {
            for page in code.start >> PAGE_SHIFT..=code.end.saturating_sub(1) >> PAGE_SHIFT {
                by_page.entry(page).or_default().push(number);
            }
        }
        CodeMap { by_page }
    }

    /// The code in which the call before return address `address` stood when node `node` was
    /// made: the newest that was told before; failing that the oldest, which ran before
    /// anybody asked.
    pub fn find(&self, codes: &[Code], address: u64, node: u32) -> Option<CodeId> {
        let call = address.checked_sub(1)?;
        let mut oldest = None;
        for &number in self.by_page.get(&(call >> PAGE_SHIFT))?.iter().rev() {
            let code = codes.get(number as usize)?;
            if !(code.start..code.end).contains(&call) {
                continue;
            }
            let named = (!code.name.is_empty()).then_some(CodeId(number));
            if code.first_node <= node {
                return named;
            }
            oldest = named.or(oldest);
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(start: u64, end: u64, first_node: u32) -> Code {
        Code {
            start,
            end,
            first_node,
            name: "f".to_owned(),
        }
    }

    #[test]
    fn code_without_a_name_is_not_what_was_there_before() {
        let nameless = Code {
            name: String::new(),
            ..code(0x1000, 0x1400, 50)
        };
        let codes = [code(0x1000, 0x1400, 10), nameless];
        let map = CodeMap::new(&codes);
        assert_eq!(map.find(&codes, 0x1250, 49), Some(CodeId(0)));
        assert_eq!(map.find(&codes, 0x1250, 50), None);
    }

    #[test]
    fn a_reused_address_means_the_code_of_the_time() {
        let codes = [
            code(0x1000, 0x1400, 10),
            code(0x1200, 0x2100, 50),
            code(0x1000, 0x1100, 50),
            code(0x1200, 0x1300, 90),
        ];
        let map = CodeMap::new(&codes);
        let find = |address, node| map.find(&codes, address, node).map(|id| id.0);
        assert_eq!(find(0x1250, 5), Some(0), "it ran before it was told of");
        assert_eq!(find(0x1250, 49), Some(0));
        assert_eq!(find(0x1250, 50), Some(1));
        assert_eq!(find(0x1250, 95), Some(3));
        assert_eq!(find(0x1350, 95), Some(1));
        assert_eq!(find(0x1080, 60), Some(2));
        assert_eq!(
            find(0x1180, 60),
            Some(0),
            "the rest of what was there before"
        );
        assert_eq!(find(0x2080, 60), Some(1), "on a later page");
        assert_eq!(find(0x2100, 60), Some(1), "a call at the very end");
        assert_eq!(find(0x2101, 60), None);
        assert_eq!(find(0, 60), None);
    }
}
