//! How fast a search is: a heap of a given number of blocks of 104 bytes, each with a pointer to
//! its predecessor or to any earlier one, or with none, all held by one table, or by nobody; made
//! in the order of their addresses or (`scattered`) in any.
//!
//! `cargo run --release -p leak-reach --example speed -- BLOCKS [near|far|none] [table|chain|lost] [scattered]`

use reach::{Arrays, Block, Memory, Region, RootRule, Search};
use std::time::Duration;

struct Here;

impl Memory for Here {
    #[inline(always)]
    fn words(&self, start: u64, end: u64, mut each: impl FnMut(u64, &[u64])) {
        // SAFETY: the heap below; it is not written to during the search.
        each(start, unsafe {
            std::slice::from_raw_parts(start as *const u64, ((end - start) / 8) as usize)
        });
    }

    fn word(&self, address: u64) -> Option<u64> {
        // SAFETY: as above: asked for places in blocks only.
        Some(unsafe { *(address as *const u64) })
    }

    fn is_constant(&self, _: u64) -> bool {
        false
    }

    #[inline(always)]
    fn prefetch(&self, address: u64) {
        // SAFETY: a prefetch reads nothing.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(address as *const i8);
            _mm_prefetch::<_MM_HINT_T0>((address + 64) as *const i8);
        }
    }

    fn is_late(&self) -> bool {
        false
    }
}

/// Processor time of this thread, so that a busy machine does not count.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(ns.expect("the kernel counts it"))
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let links = arguments.next().unwrap_or_else(|| "near".into());
    let kind = arguments.next().unwrap_or_else(|| "table".into());
    let scattered = arguments.next().is_some_and(|word| word == "scattered");
    const SIZE: usize = 104;
    let mut heap = vec![0u64; count * (SIZE + 8) / 8 + 2];
    let base = heap.as_ptr() as u64 + 16;
    let address = |n: usize| base + (n * (SIZE + 8)) as u64;
    let mut seed = 1u64;
    let mut blocks = Vec::new();
    for n in 0..count {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let at = 2 + n * (SIZE + 8) / 8;
        if n > 0 {
            heap[at] = match links.as_str() {
                "far" => address((seed >> 20) as usize % n),
                "none" => 0,
                _ => address(n - 1),
            };
        }
        heap[at + 5] = seed;
        heap[at + 6] = n as u64;
        let serial = if scattered {
            (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30
        } else {
            n as u64 + 1
        };
        blocks.push(Block::new(address(n), SIZE as u64, serial));
    }
    let table: Vec<u64> = match kind.as_str() {
        "table" => (0..count).map(address).collect(),
        "chain" => vec![address(count - 1)],
        _ => Vec::new(),
    };
    // As a hash table gives them.
    blocks.sort_by_key(|block| block.address().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let begin = cpu();
    let (mut links, mut marks) = (vec![(0, 0); count], vec![0; count]);
    let (mut queue, mut order) = (vec![0; count], vec![0; count]);
    let mut regions = vec![Region::default(); 1024];
    let mut index = vec![0; Arrays::table_len(count, 1024)];
    let arrays = Arrays {
        blocks: &mut blocks,
        links: &mut links,
        marks: &mut marks,
        queue: &mut queue,
        order: &mut order,
        regions: &mut regions,
        table: &mut index,
    };
    let mut search = Search::new(arrays).expect("there are blocks");
    let prepared = cpu() - begin;
    let begin = cpu();
    let (start, end) = (
        table.as_ptr() as u64,
        table.as_ptr() as u64 + table.len() as u64 * 8,
    );
    search
        .root(&Here, 0, start, start, end, RootRule::default())
        .expect("in time");
    search.finish(&Here).expect("in time");
    let marked = cpu() - begin;
    let mut classes = [0usize; 5];
    for turn in 0..search.len() {
        classes[search.found(turn).map_or(0, |found| found.class as usize)] += 1;
    }
    // Lost blocks are read twice, and count once here.
    let bytes = (count * SIZE) as f64;
    println!(
        "{count} blocks: sorted and indexed in {prepared:.0?}, {:.0} MB of blocks in {marked:.0?}: {:.2} GB/s; classes {:?}",
        bytes / 1e6,
        bytes / 1e9 / marked.as_secs_f64(),
        &classes[1..]
    );
}
