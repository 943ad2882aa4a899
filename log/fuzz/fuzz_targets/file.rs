//! Any bytes as a log file. Most are refused soon; what is not refused must be
//! read to its end. Running: see `pieces.rs`.

#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    shared::replay(data);
});
