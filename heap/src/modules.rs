//! Which module an address meant when a stack was recorded.

use crate::profile::Module;
use crate::units::ModuleId;

/// Modules by address.
#[derive(Debug, Default)]
pub(crate) struct ModuleMap {
    /// Start, greatest end so far, module; ascending by start.
    by_start: Vec<(u64, u64, u32)>,
}

impl ModuleMap {
    pub fn new(modules: &[Module]) -> ModuleMap {
        let mut by_start: Vec<(u64, u64, u32)> = (0u32..)
            .zip(modules)
            .map(|(number, module)| (module.start, module.end, number))
            .collect();
        by_start.sort_by_key(|entry| entry.0);
        let mut greatest = 0;
        for entry in &mut by_start {
            greatest = entry.1.max(greatest);
            entry.1 = greatest;
        }
        ModuleMap { by_start }
    }

    /// The module in which the call before return address `address` stood when
    /// node `node` was made. Of several that cover it, the one that was loaded
    /// last before the node; failing that, the one loaded first after it and
    /// still there (its constructors ran before it was noticed).
    pub fn find(&self, modules: &[Module], address: u64, node: u32) -> Option<ModuleId> {
        let call = address.checked_sub(1)?;
        let above = self.by_start.partition_point(|entry| entry.0 <= call);
        let mut best: Option<(bool, u32, u32)> = None;
        for &(_, greatest, number) in self.by_start.get(..above)?.iter().rev() {
            if greatest <= call {
                break;
            }
            let Some(module) = modules.get(number as usize) else {
                continue;
            };
            if module.end <= call || module.end_node.is_some_and(|end| node >= end) {
                continue;
            }
            let before = module.first_node <= node;
            let rank = if before {
                module.first_node
            } else {
                u32::MAX - module.first_node
            };
            if best.is_none_or(|(b, r, _)| (before, rank) >= (b, r)) {
                best = Some((before, rank, number));
            }
        }
        best.map(|(_, _, number)| ModuleId(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Nanos;

    fn module(start: u64, end: u64, first_node: u32, end_node: Option<u32>) -> Module {
        Module {
            path: "x".into(),
            build_id: vec![],
            bias: start,
            start,
            end,
            first_node,
            end_node,
            loaded: Nanos(0),
            unloaded: None,
        }
    }

    #[test]
    fn a_place_used_by_two_libraries_in_turn_means_the_one_of_the_time() {
        let modules = [
            module(100, 900, 1, None),
            module(1000, 2000, 1, Some(50)),
            module(1500, 2500, 60, None),
        ];
        let map = ModuleMap::new(&modules);
        let find = |address, node| map.find(&modules, address, node).map(|id| id.0);
        assert_eq!(find(1600, 10), Some(1));
        assert_eq!(find(1600, 70), Some(2));
        assert_eq!(
            find(1600, 55),
            Some(2),
            "a constructor of the second ran before it was noticed"
        );
        assert_eq!(find(500, 70), Some(0));
        assert_eq!(find(900, 70), Some(0), "a call at the very end of a module");
        assert_eq!(
            find(100, 70),
            None,
            "a return address at a start belongs to what is before"
        );
        assert_eq!(find(1400, 70), None);
        assert_eq!(find(0, 1), None);
    }
}
