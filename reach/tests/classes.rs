//! The classes against their definition, on random heaps.

use proptest::prelude::*;
use reach::{Arrays, Block, Class, From, Memory, Region, RootRule, Search};
use std::collections::BTreeMap;

/// A heap of blocks of up to four words each, at 64 bytes' distance.
struct Heap {
    words: BTreeMap<u64, u64>,
}

impl Memory for Heap {
    fn words(&self, start: u64, end: u64, mut each: impl FnMut(u64, &[u64])) {
        for (&address, &value) in self.words.range(start..end) {
            each(address, &[value]);
        }
    }

    fn word(&self, address: u64) -> Option<u64> {
        self.words.get(&address).copied()
    }

    fn is_constant(&self, address: u64) -> bool {
        (TABLES..TABLES + 4096).contains(&address)
    }

    fn prefetch(&self, _: u64) {}

    fn is_late(&self) -> bool {
        false
    }
}

const BASE: u64 = 0x7f00_0000_0000;
const ROOTS: u64 = 0x5500_0000_0000;
const TABLES: u64 = 0x4400_0000_0000;

fn address(block: usize) -> u64 {
    BASE + block as u64 * 64
}

/// Runs a search; the class and parent of each block, blocks by their serial − 1.
fn classes(heap: &Heap, blocks: &[Block], roots: usize) -> Vec<(Class, From)> {
    classes_and_rings(heap, blocks, roots)
        .into_iter()
        .map(|(class, from, _)| (class, from))
        .collect()
}

/// The same, and whether other leaks lead back to it.
fn classes_and_rings(heap: &Heap, blocks: &[Block], roots: usize) -> Vec<(Class, From, bool)> {
    let count = blocks.len();
    let mut sorted = blocks.to_vec();
    let (mut links, mut marks) = (vec![(0, 0); count], vec![0; count]);
    let (mut queue, mut order) = (vec![0; count], vec![0u64; count]);
    let mut regions = vec![Region::default(); 4];
    let mut table = vec![0; Arrays::table_len(count, 4)];
    let mut search = Search::new(Arrays {
        blocks: &mut sorted,
        links: &mut links,
        marks: &mut marks,
        queue: &mut queue,
        order: &mut order,
        regions: &mut regions,
        table: &mut table,
    })
    .expect("it fits");
    let rule = RootRule::default();
    search
        .root(heap, 0, ROOTS, ROOTS, ROOTS + roots as u64 * 8, rule)
        .expect("in time");
    search.finish(heap).expect("in time");
    (0..count)
        .map(|turn| {
            let found = search.found(turn).expect("every block has a class");
            let from = match found.from {
                From::Block(at, word) => From::Block(
                    search.block(at).expect("a block").serial() as usize - 1,
                    word,
                ),
                other => other,
            };
            (found.class, from, found.ring)
        })
        .collect()
}

/// A pointer: to a block, and whether to its start.
type Pointer = (prop::sample::Index, bool);

fn value((to, start): &Pointer, count: usize) -> u64 {
    // 20 is no multiple of 8: no heuristic takes it.
    address(to.index(count)) + if *start { 0 } else { 20 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_classes_are_what_they_mean(
        edges in prop::collection::vec(prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.7)), 0..3), 1..14),
        roots in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.7)), 0..3),
    ) {
        let count = edges.len();
        let mut words = BTreeMap::new();
        let mut pointers = vec![Vec::new(); count];
        for (from, list) in edges.iter().enumerate() {
            for (word, pointer) in list.iter().enumerate() {
                words.insert(address(from) + word as u64 * 8, value(pointer, count));
                pointers[from].push((pointer.0.index(count), pointer.1));
            }
        }
        for (word, pointer) in roots.iter().enumerate() {
            words.insert(ROOTS + word as u64 * 8, value(pointer, count));
        }
        let heap = Heap { words };
        let blocks: Vec<Block> = (0..count).map(|n| Block::new(address(n), 32, n as u64 + 1)).collect();
        let rings = classes_and_rings(&heap, &blocks, roots.len());
        let got: Vec<(Class, From)> = rings.iter().map(|&(class, from, _)| (class, from)).collect();

        // The definition, by closure.
        let close = |mut set: Vec<bool>, only_starts: bool| {
            loop {
                let before = set.clone();
                for (from, list) in pointers.iter().enumerate() {
                    for &(to, start) in list {
                        if set[from] && (start || !only_starts) { set[to] = true; }
                    }
                }
                if set == before { return set; }
            }
        };
        let held = |only_starts: bool| {
            let mut set = vec![false; count];
            for (to, start) in &roots {
                if *start || !only_starts { set[to.index(count)] = true; }
            }
            close(set, only_starts)
        };
        let (reachable, somehow) = (held(true), held(false));
        let leads: Vec<Vec<bool>> = (0..count).map(|n| {
            let mut set = vec![false; count];
            set[n] = true;
            close(set, false)
        }).collect();
        for n in 0..count {
            let leaked = |m: usize| !somehow[m];
            let expected = if reachable[n] {
                Class::Reachable
            } else if somehow[n] {
                Class::Possible
            } else if (0..count).filter(|&m| leaked(m) && leads[m][n]).all(|m| leads[n][m] && m >= n) {
                // All that leads to it is a ring with it, of which it is the oldest.
                Class::Unreachable
            } else {
                Class::Indirect
            };
            prop_assert_eq!(got[n].0, expected, "block {} of {:?}, roots {:?}", n, pointers, roots);
            let back = |m: usize| m != n && leads[n][m] && pointers[m].iter().any(|pointer| pointer.0 == n);
            let ring = expected == Class::Unreachable && (0..count).any(back);
            prop_assert_eq!(rings[n].2, ring, "block {} of {:?}, roots {:?}", n, pointers, roots);
        }
        // Chains of parents end at a root, or at a direct leak for indirect ones.
        for (n, &held) in somehow.iter().enumerate() {
            let mut at = n;
            let mut steps = 0;
            let end = loop {
                steps += 1;
                prop_assert!(steps <= count);
                match got[at].1 {
                    From::Nothing => break Class::Unreachable,
                    From::Root(root, word) => {
                        prop_assert_eq!(root, 0);
                        prop_assert!((word as usize) < roots.len());
                        break Class::Reachable;
                    }
                    From::Block(parent, word) => {
                        prop_assert_eq!(pointers[parent][word as usize].0, at);
                        at = parent;
                    }
                }
            };
            let expected = if held { Class::Reachable } else { Class::Unreachable };
            prop_assert_eq!(end, expected);
        }
    }
}

#[test]
fn the_chain_of_parents_is_a_shortest_one() {
    // 0 -> 1 -> 2 -> 3 -> 4, and 0 -> 4 by its second word.
    let mut words = BTreeMap::from([(ROOTS, address(0)), (address(0) + 8, address(4))]);
    for n in 0..4 {
        words.insert(address(n), address(n + 1));
    }
    let blocks: Vec<Block> = (0..5)
        .map(|n| Block::new(address(n), 32, n as u64 + 1))
        .collect();
    let got = classes(&Heap { words }, &blocks, 1);
    assert_eq!(got[4], (Class::Reachable, From::Block(0, 1)));
    assert_eq!(got[3], (Class::Reachable, From::Block(2, 0)));
}

fn held_at(offset: u64, size: u64, content: &[(u64, u64)]) -> Class {
    let mut words = BTreeMap::from([(ROOTS, address(0) + offset)]);
    words.extend(content.iter().map(|&(at, value)| (address(0) + at, value)));
    // A virtual table that is 24 bytes inside its object, and one at the top.
    words.extend([(TABLES + 48, 24u64.wrapping_neg()), (TABLES + 16, 0)]);
    classes(&Heap { words }, &[Block::new(address(0), size, 1)], 1)[0].0
}

#[test]
fn pointers_behind_a_count_or_to_a_string_or_a_base_hold_the_block() {
    assert_eq!(
        held_at(8, 48, &[(0, 40)]),
        Class::Reachable,
        "a length in bytes"
    );
    assert_eq!(
        held_at(8, 48, &[(0, 5)]),
        Class::Reachable,
        "five elements of new[]"
    );
    assert_eq!(
        held_at(8, 48, &[(0, 7)]),
        Class::Possible,
        "seven do not divide 40 bytes"
    );
    assert_eq!(held_at(8, 48, &[(0, 0)]), Class::Possible, "no elements");
    assert_eq!(
        held_at(24, 35, &[(0, 6), (8, 10)]),
        Class::Reachable,
        "a shared std::string"
    );
    assert_eq!(
        held_at(24, 35, &[(0, 11), (8, 10)]),
        Class::Possible,
        "longer than its capacity"
    );
    assert_eq!(
        held_at(24, 48, &[(24, TABLES + 64)]),
        Class::Reachable,
        "a second base class"
    );
    assert_eq!(
        held_at(16, 48, &[(16, TABLES + 64)]),
        Class::Possible,
        "another place than the table says"
    );
    assert_eq!(held_at(16, 48, &[]), Class::Possible);
    assert_eq!(
        held_at(48, 48, &[]),
        Class::Unreachable,
        "one behind the end"
    );
    assert_eq!(held_at(0, 0, &[]), Class::Reachable, "a block of no bytes");
}

#[test]
fn an_array_of_no_elements_is_held_by_the_place_behind_its_count() {
    assert_eq!(held_at(8, 8, &[(0, 0)]), Class::Reachable);
    assert_eq!(held_at(8, 8, &[(0, 1)]), Class::Unreachable, "no count");
    assert_eq!(
        held_at(16, 16, &[(8, 0)]),
        Class::Unreachable,
        "where allocators have the next block"
    );
}

#[test]
fn the_table_of_a_hash_map_is_held_by_its_control_bytes() {
    const EMPTY: u64 = !0;
    let four = [(64, 0xffff_ffff_ff0b_ff7a), (72, EMPTY), (80, 0xff0b_ff7a)];
    assert_eq!(held_at(64, 64 + 20, &four), Class::Reachable);
    let eight = [
        (64, 0x1122_80ff_ff05_0607),
        (72, EMPTY),
        (80, 0x1122_80ff_ff05_0607),
    ];
    assert_eq!(held_at(64, 64 + 24, &eight), Class::Reachable);
    let mut many: Vec<(u64, u64)> = (0..10)
        .map(|n| (512 + n * 8, 0x0102_0304_0506_0708))
        .collect();
    for at in [0, 8] {
        many[at].1 = 0xff00_1122_3344_5566;
    }
    many[8].1 = many[0].1;
    many[9].1 = many[1].1;
    assert_eq!(held_at(512, 512 + 64 + 16, &many), Class::Reachable);
    many[3].1 = 0x0102_9304_0506_0708;
    assert_eq!(
        held_at(512, 512 + 64 + 16, &many),
        Class::Possible,
        "no control byte"
    );
    let full: Vec<(u64, u64)> = (0..10).map(|n| (512 + n * 8, 0)).collect();
    assert_eq!(
        held_at(512, 512 + 64 + 16, &full),
        Class::Possible,
        "no room is left"
    );
    assert_eq!(
        held_at(496, 512 + 64, &[]),
        Class::Possible,
        "not in memory"
    );
}
