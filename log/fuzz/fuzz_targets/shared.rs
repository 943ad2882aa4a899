//! What both targets do with a file.

use std::path::PathBuf;
use std::sync::LazyLock;

/// One file in memory, written again and again.
static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = if std::fs::metadata("/dev/shm").is_ok() { "/dev/shm".into() } else { std::env::temp_dir() };
    folder.join(format!("leak-fuzz.{}.leak", std::process::id()))
});

/// Replays the bytes and walks over everything that comes out.
pub fn replay(bytes: &[u8]) {
    std::fs::write(&*PATH, bytes).expect("the file for the fuzzer can be written");
    let options = heap::Options {
        live_blocks: true,
        ..heap::Options::default()
    };
    if let Ok(profile) = heap::replay(&PATH, &options) {
        let frames = profile.sites().iter().flat_map(|site| profile.frames(site.stack).take(1000)).count();
        std::hint::black_box((frames, profile.live_blocks().count(), profile.mappings().count()));
        for line in &profile.loss.damage {
            std::hint::black_box(line.to_string());
        }
        // What a report adds up must add up.
        let bytes: heap::Bytes = profile.sites().iter().map(|site| site.figures.bytes).sum();
        assert_eq!(bytes, profile.totals.live_bytes);
    }
}
