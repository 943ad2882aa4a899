//! Numbers as V8 writes them, 64 bytes at once.
//!
//! One number after the other, each waits for where the one before it ends: 15 cycles, whatever
//! else the processor could do meanwhile. Here 64 bytes become three masks (digits, commas, ends of
//! lines), all numbers' places follow from these, and the numbers no longer wait for each other.
//!
//! ```text
//! 1,22,333\n,4
//! S S  S      S    starts: digits behind none
//!  E  E   E        ends: none behind a digit
//!  C  C     C      the last comma is where the next block begins
//! ```

use std::arch::x86_64::{
    _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8, _mm_xor_si128,
    _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set1_epi8,
    _mm256_xor_si256,
};

use super::joined;

const BLOCK: usize = 64;
/// Longer numbers are left to others.
const LONGEST: usize = 16;
const ZEROS: u64 = 0x3030_3030_3030_3030;

#[derive(Default)]
struct Masks {
    digits: u64,
    commas: u64,
    lines: u64,
}

/// What a processor may have beyond SSE2: twice as many bytes in one instruction, and counting and
/// shifting of bits in one.
macro_rules! with_more {
    ($($item:item)*) => {
        $(#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")] $item)*
    };
}

#[inline]
#[target_feature(enable = "sse2")]
fn masks_16(block: &[u8; BLOCK]) -> Masks {
    let mut masks = Masks::default();
    let (zero, nine) = (_mm_set1_epi8(b'0' as i8), _mm_set1_epi8(9));
    let (comma, line) = (_mm_set1_epi8(b',' as i8), _mm_set1_epi8(b'\n' as i8));
    for (number, part) in block.chunks_exact(16).enumerate() {
        // SAFETY: `part` is 16 bytes long, and this load needs no alignment.
        let part = unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
        let mask = |found| u64::from(_mm_movemask_epi8(found) as u16) << (16 * number);
        let value = _mm_xor_si128(part, zero);
        masks.digits |= mask(_mm_cmpeq_epi8(_mm_min_epu8(value, nine), value));
        masks.commas |= mask(_mm_cmpeq_epi8(part, comma));
        masks.lines |= mask(_mm_cmpeq_epi8(part, line));
    }
    masks
}

with_more! {
    #[inline]
    fn masks_32(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        let (zero, nine) = (_mm256_set1_epi8(b'0' as i8), _mm256_set1_epi8(9));
        let (comma, line) = (_mm256_set1_epi8(b',' as i8), _mm256_set1_epi8(b'\n' as i8));
        for (number, part) in block.chunks_exact(32).enumerate() {
            // SAFETY: `part` is 32 bytes long, and this load needs no alignment.
            let part = unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
            let mask = |found| u64::from(_mm256_movemask_epi8(found) as u32) << (32 * number);
            let value = _mm256_xor_si256(part, zero);
            masks.digits |= mask(_mm256_cmpeq_epi8(_mm256_min_epu8(value, nine), value));
            masks.commas |= mask(_mm256_cmpeq_epi8(part, comma));
            masks.lines |= mask(_mm256_cmpeq_epi8(part, line));
        }
        masks
    }

    fn read_with_more(bytes: &[u8], at: usize, values: &mut [u64]) -> (usize, usize) {
        read_by(bytes, at, values, |block| masks_32(block))
    }
}

#[target_feature(enable = "sse2")]
fn read_with_sse2(bytes: &[u8], at: usize, values: &mut [u64]) -> (usize, usize) {
    read_by(bytes, at, values, |block| masks_16(block))
}

/// Reads numbers from `at`, where one begins, into `values`: how many, and where the next one
/// begins. Stops early at the end of the bytes, and where something else is written than V8 would.
pub(super) fn read(bytes: &[u8], at: usize, values: &mut [u64]) -> (usize, usize) {
    let more = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt");
    if more {
        // SAFETY: the processor has what it needs.
        unsafe { read_with_more(bytes, at, values) }
    } else {
        // SAFETY: every x86-64 has SSE2.
        unsafe { read_with_sse2(bytes, at, values) }
    }
}

/// The eight bytes before `end`.
#[inline(always)]
fn before(bytes: &[u8], end: usize) -> u64 {
    match bytes.get(end.wrapping_sub(8)..end) {
        Some(eight) => u64::from_le_bytes(eight.try_into().unwrap_or_default()),
        None => 0,
    }
}

#[inline(always)]
fn read_by(
    bytes: &[u8],
    mut at: usize,
    values: &mut [u64],
    masks: impl Fn(&[u8; BLOCK]) -> Masks,
) -> (usize, usize) {
    let mut done = 0;
    if at < LONGEST {
        return (done, at);
    }
    while done < values.len() {
        let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
            return (done, at);
        };
        let masks = masks(block);
        let whole = u64::MAX.checked_shr(masks.commas.leading_zeros());
        let Some(whole) = whole else {
            return (done, at);
        };
        let Masks {
            digits,
            commas,
            lines,
        } = masks;
        // Nothing else; commas behind digits or ends of lines, and these behind digits and before
        // commas.
        let wrong = !(digits | commas | lines)
            | commas & !((digits | lines) << 1)
            | lines & !(digits << 1)
            | (lines << 1) & !commas;
        if wrong & whole != 0 {
            return (done, at);
        }
        let mut starts = digits & !(digits << 1) & whole;
        let mut ends = !digits & (digits << 1) & whole;
        let room = values.len() - done;
        let count = (ends.count_ones() as usize).min(room);
        for value in &mut values[done..done + count] {
            let (start, end) = (starts.trailing_zeros(), ends.trailing_zeros());
            let length = (end - start) as usize;
            let low =
                (before(bytes, at + end as usize) ^ ZEROS) & (u64::MAX << (64 - 8 * length.min(8)));
            *value = joined(low);
            if length > 8 {
                if length > LONGEST {
                    return (done, at + start as usize);
                }
                let high = (before(bytes, at + end as usize - 8) ^ ZEROS)
                    & (u64::MAX << (64 - 8 * (length - 8)));
                *value += joined(high) * 100_000_000;
            }
            done += 1;
            starts &= starts - 1;
            ends &= ends - 1;
        }
        at += match starts {
            0 => BLOCK - whole.leading_zeros() as usize,
            _ => starts.trailing_zeros() as usize,
        };
    }
    (done, at)
}
