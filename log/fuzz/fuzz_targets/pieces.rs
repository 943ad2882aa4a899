//! Logs whose checksums are right and whose content is not: the input is cut into
//! pieces, each of which becomes a block, a ring or an extent of a sound file.
//!
//! ```text
//! piece = kind:1 | length:2 | bytes
//! ```
//!
//! With `cargo fuzz`, on a stable toolchain, from the folder `log`:
//! ```sh
//! cargo fuzz run --sanitizer none pieces -- -max_total_time=60
//! RUSTC_BOOTSTRAP=1 cargo fuzz run pieces -- -max_total_time=60     # with AddressSanitizer
//! ```
//! Without it, from this folder:
//! ```sh
//! RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
//!   -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
//!   -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
//!   cargo run --release --target x86_64-unknown-linux-gnu --bin pieces -- -max_total_time=60 corpus/pieces
//! ```

#![no_main]

mod shared;
#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use log_format::block::{BlockKind, Codec};
use log_format::layout::{Header, Node, flag};
use std::mem::offset_of;
use support::LogFile;

fuzz_target!(|data: &[u8]| {
    shared::replay(&build(data));
});

fn build(mut data: &[u8]) -> Vec<u8> {
    let mut file = LogFile::new();
    let mut blocks = Vec::new();
    let mut rings = 0;
    while let [kind, low, high, rest @ ..] = data {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (piece, rest) = rest.split_at(len);
        data = rest;
        let codec = if kind & 0x80 != 0 { Codec::Zstd } else { Codec::Raw };
        match kind & 15 {
            0 => blocks.push(file.block(BlockKind::Meta, codec, piece)),
            1 | 2 | 3 => blocks.push(file.block(BlockKind::Window, codec, piece)),
            4 => blocks.push(file.block(BlockKind::Nodes, codec, piece)),
            5 | 6 | 7 => {
                let (position, records) = piece.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
                let position = u64::from(u16::from_le_bytes(*position)) * 8;
                let records = &records[..records.len().min(8192) & !7];
                file.ring(rings, 8192, position, records);
                rings += 1;
            }
            8 => {
                let nodes = piece.chunks_exact(16).take(100).map(|bytes| Node {
                    parent: u32::from(bytes[0]),
                    kind: u32::from(bytes[4]),
                    payload: u64::from(bytes[8]),
                });
                file.raw_nodes(u32::from(kind >> 4 & 7), &nodes.collect::<Vec<_>>());
            }
            9 => {
                file.data(&std::mem::take(&mut blocks));
            }
            10 => file.header_u64(offset_of!(Header, flags), flag::FORK_CHILD),
            // A wound: some bytes of what is there already.
            _ => {
                let bytes = file.bytes_mut();
                if let Some((place, wound)) = piece.split_first_chunk::<2>() {
                    let at = (4096 + usize::from(u16::from_le_bytes(*place))) % bytes.len();
                    let end = (at + wound.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&wound[..end - at]);
                }
            }
        }
    }
    file.data(&blocks);
    file.bytes().to_vec()
}
