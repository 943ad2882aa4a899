//! Unwind rules by return address: one table for all threads, no lock.
//!
//! An entry is two words, `check` and `rule`, with `check = address ^ rule ^
//! generation`. A torn entry fails the check and counts as absent. When a module
//! goes away the generation changes and every entry is absent, also one that a
//! slow thread writes later.

use super::cfi;
use core::sync::atomic::{AtomicU64, Ordering::*};

/// log2 of the entries: 32 Ki × 16 bytes = 512 KiB, touched as used.
const BITS: u32 = 15;
/// log2 of the entries at first, 64 KiB: a short program's few addresses, spread over the
/// whole table, would touch a page each.
const FIRST_BITS: u32 = 12;
/// Addresses looked for in vain before the whole table is used.
const FEW: u32 = 1 << (FIRST_BITS - 2);

/// How to find the canonical frame address (CFA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No way is known.
    None,
    /// sp + offset.
    Sp,
    /// bp + offset.
    Bp,
    /// Nothing: the outermost frame.
    End,
    /// No unwind information: frame pointer.
    FramePointer,
    /// Expressions, signal frames: evaluate each time.
    Slow,
}

/// A packed rule: kind (8 bits), CFA offset (32), offset of the saved bp from
/// the CFA (24, signed; 0: not saved). Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule(u64);

const _: () = assert!(core::mem::size_of::<Rule>() == 8);

impl Rule {
    /// Packs a rule; one that does not fit is slow.
    pub fn new(kind: Kind, cfa_offset: i64, bp_offset: i64) -> Rule {
        let number = match kind {
            Kind::None => 1u64,
            Kind::Sp => 2,
            Kind::Bp => 3,
            Kind::End => 4,
            Kind::FramePointer => 5,
            Kind::Slow => 6,
        };
        let fits = i32::try_from(cfa_offset).is_ok() && (-(1 << 23)..1 << 23).contains(&bp_offset);
        if !fits {
            return Rule(6);
        }
        Rule(number | (cfa_offset as u32 as u64) << 8 | ((bp_offset as u64) << 40))
    }

    /// The kind.
    #[inline(always)]
    pub fn kind(self) -> Kind {
        match self.0 as u8 {
            2 => Kind::Sp,
            3 => Kind::Bp,
            4 => Kind::End,
            5 => Kind::FramePointer,
            6 => Kind::Slow,
            _ => Kind::None,
        }
    }

    /// CFA − base register, to be added wrapping.
    #[inline(always)]
    pub fn cfa_offset(self) -> u64 {
        (self.0 >> 8) as i32 as i64 as u64
    }

    /// Place of the saved bp − CFA; 0: not saved.
    #[inline(always)]
    pub fn bp_offset(self) -> i64 {
        (self.0 as i64) >> 40
    }
}

/// The rule for code that continues at `ra` (with or without
/// [`super::EXACT`]); found now if it was not known.
#[inline(always)]
pub fn rule(ra: u64, scratch: &mut cfi::Scratch) -> Rule {
    let Some(global) = crate::global::get() else {
        return Rule::new(Kind::None, 0, 0);
    };
    let word = global.rules.load(Relaxed) as usize;
    let (table, shift) = ((word & !63) as *mut u64, word & 63);
    let generation = global.rules_generation.load(Relaxed);
    let index = (ra.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
    // SAFETY: the table has 2^(64 − shift) entries of two words and stays mapped.
    let (check, packed) = unsafe {
        let entry = table.add(index * 2).cast::<AtomicU64>();
        (&*entry, &*entry.add(1))
    };
    let value = packed.load(Relaxed);
    if value != 0 && check.load(Relaxed) ^ value ^ generation == ra {
        return Rule(value);
    }
    let fresh = cfi::find_rule(ra, scratch);
    packed.store(fresh.0, Relaxed);
    check.store(ra ^ fresh.0 ^ generation, Relaxed);
    if shift == 64 - FIRST_BITS as usize && global.rules_missed.fetch_add(1, Relaxed) == FEW {
        use_whole(global);
    }
    fresh
}

/// Gives a new process its small table.
pub fn init(global: &crate::global::Global) -> bool {
    let Some(memory) = crate::sys::map_touched(16 << FIRST_BITS) else {
        return false;
    };
    global.rules.store(
        memory.wrapping_add(64 - FIRST_BITS as usize).cast(),
        Relaxed,
    );
    global.rules_generation.store(0, Relaxed);
    true
}

/// From the small table to the whole one. The small one stays mapped for those who
/// look into it at this moment; what stood in it is found again.
#[cold]
pub fn use_whole(global: &crate::global::Global) {
    if global.filtered.load(Relaxed) != 0 {
        return;
    }
    if let Some(memory) = crate::sys::map_touched(16 << BITS) {
        global
            .rules
            .store(memory.wrapping_add(64 - BITS as usize).cast(), Release);
    }
}

/// Makes every entry absent.
pub fn invalidate(global: &crate::global::Global) {
    // The top bits of addresses are equal, so a counter there disturbs nothing.
    global.rules_generation.fetch_add(1 << 40 | 1, Release);
    forget_stacks(global);
}

/// Makes the threads forget the stacks they keep: some addresses mean other code, to be
/// walked as before.
pub fn forget_stacks(global: &crate::global::Global) {
    global.stacks_generation.fetch_add(1, Release);
}
