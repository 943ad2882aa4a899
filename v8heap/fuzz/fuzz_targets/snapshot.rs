//! Any bytes as a heap snapshot. What is not refused must have figures and classes, and what the
//! root retains must be all there is. The seeds are small snapshots.

#![no_main]

use libfuzzer_sys::fuzz_target;
use v8heap::string_use::StringUse;
use v8heap::{Analysis, Classes, Scripts, fanout, hidden_classes};

fuzz_target!(|data: &[u8]| {
    let Ok(snapshot) = v8heap::load_bytes(data.to_vec()) else {
        return;
    };
    let sum = |snapshot: &v8heap::Snapshot| {
        (0..snapshot.ids.len() as u32).fold(0u64, |sum, node| sum.saturating_add(snapshot.sizes.get(node)))
    };
    let before = sum(&snapshot);
    let analysis = Analysis::new(snapshot, 1);
    assert_eq!(before, sum(&analysis.snapshot));
    assert_eq!(before, analysis.retained[analysis.snapshot.root as usize]);
    let classes = Classes::new(&analysis, None);
    let _ = classes.sums(&analysis);
    let _ = Scripts::new(&analysis.snapshot);
    let _ = hidden_classes::shapes(&analysis);
    let _ = fanout::fanout(&analysis, 0, usize::MAX);
    let _ = StringUse::new(&analysis);
    if let Some(stacks) = &analysis.snapshot.stacks {
        for (stack, _) in stacks.sums(&analysis.snapshot) {
            let _ = stacks.frames(&analysis.snapshot, stack).count();
        }
        let _ = stacks.functions(&analysis.snapshot);
        let _ = stacks.made(5);
    }
});
