//! The recorder's own mappings: what is in them is nobody's pointer.
//!
//! A table in static memory: a place is taken before the mapping is used and given
//! back when it goes. When it is full, further mappings are not known; with the
//! default settings that takes more threads than the recorder has rings for.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

const PLACES: usize = 32 << 10;

struct Place {
    start: AtomicU64,
    len: AtomicU64,
}

static OWN: [Place; PLACES] = [const {
    Place {
        start: AtomicU64::new(0),
        len: AtomicU64::new(0),
    }
}; PLACES];
/// Places used so far: those above were never used.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Places below [`USED`] that may be free.
static FREE: AtomicUsize = AtomicUsize::new(0);

/// Notes a new mapping.
pub fn note(start: u64, len: usize) {
    if FREE.load(Relaxed) > 0 {
        let used = USED.load(Relaxed).min(PLACES);
        for place in OWN.iter().take(used).rev() {
            if place.start.load(Relaxed) == 0
                && place
                    .start
                    .compare_exchange(0, start, AcqRel, Relaxed)
                    .is_ok()
            {
                place.len.store(len as u64, Release);
                FREE.fetch_sub(1, Relaxed);
                return;
            }
        }
    }
    if let Some(place) = OWN.get(USED.fetch_add(1, Relaxed)) {
        place.start.store(start, Relaxed);
        place.len.store(len as u64, Release);
    }
}

/// Forgets a mapping that is about to go; late ones first, for they are short-lived.
pub fn forget(start: u64) {
    let used = USED.load(Relaxed).min(PLACES);
    for place in OWN.iter().take(used).rev() {
        if place.start.load(Relaxed) == start {
            place.len.store(0, Relaxed);
            place.start.store(0, Release);
            FREE.fetch_add(1, Relaxed);
            return;
        }
    }
}

/// All of them: start and end.
pub fn all() -> impl Iterator<Item = (u64, u64)> {
    let used = USED.load(Acquire).min(PLACES);
    OWN.iter().take(used).filter_map(|place| {
        let (len, start) = (place.len.load(Acquire), place.start.load(Relaxed));
        (start != 0 && len != 0).then(|| (start, start + len))
    })
}
