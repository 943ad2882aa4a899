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
//!
//! With AVX2 four numbers of up to eight digits are one vector: of the eight bytes before each end,
//! what is before the number is erased, and pairs, fours and eights of digits are joined in all of
//! them by one instruction each.

use std::arch::x86_64::{
    __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8,
    _mm_xor_si128, _mm256_add_epi64, _mm256_andnot_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_mul_epu32, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_srli_epi64,
    _mm256_storeu_si256, _mm256_xor_si256,
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

    /// The values of the eight digits before four places, of which those count that nothing else is behind.
    #[inline]
    fn four(words: [u64; 4]) -> __m256i {
        let [a, b, c, d] = words.map(|word| word as i64);
        let digits = _mm256_xor_si256(_mm256_setr_epi64x(a, b, c, d), _mm256_set1_epi8(b'0' as i8));
        // What is no digit, and all before it (the lower bytes), becomes 0.
        let other = _mm256_cmpgt_epi8(digits, _mm256_set1_epi8(9));
        let other = _mm256_or_si256(other, _mm256_srli_epi64::<8>(other));
        let other = _mm256_or_si256(other, _mm256_srli_epi64::<16>(other));
        let other = _mm256_or_si256(other, _mm256_srli_epi64::<32>(other));
        let digits = _mm256_andnot_si256(other, digits);
        let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a));
        let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
        let high = _mm256_mul_epu32(fours, _mm256_set1_epi64x(10_000));
        _mm256_add_epi64(high, _mm256_srli_epi64::<32>(fours))
    }

    fn read_with_more(bytes: &[u8], at: usize, values: &mut [u64]) -> (usize, usize) {
        let mut reader = Reader { bytes, at, values, done: 0 };
        while let Some(block) = reader.block() {
            let Some(spans) = masks_32(block).spans() else {
                break;
            };
            let count = spans.ends.count_ones() as usize;
            let room = reader.values.len() - reader.done;
            if spans.are_short && count.next_multiple_of(4) <= room {
                let mut ends = spans.ends;
                for four_values in reader.values[reader.done..].chunks_exact_mut(4).take(count.div_ceil(4)) {
                    let words = [(); 4].map(|()| {
                        // 64 behind the last one, whose value is overwritten by the next block's.
                        let end = reader.at + ends.trailing_zeros() as usize;
                        ends &= ends.wrapping_sub(1);
                        // SAFETY: `Reader::block` has checked that there are 16 bytes before `at`, and
                        // 64 behind it, and `end` is at most 64 more than `at`.
                        unsafe { bytes.as_ptr().add(end - 8).cast::<u64>().read_unaligned() }
                    });
                    // SAFETY: these are 32 bytes, and this store needs no alignment.
                    unsafe { _mm256_storeu_si256(four_values.as_mut_ptr().cast(), four(words)) };
                }
                reader.done += count;
                reader.at += spans.length;
            } else if !reader.one_by_one(&spans) {
                break;
            }
        }
        (reader.done, reader.at)
    }
}

#[target_feature(enable = "sse2")]
fn read_with_sse2(bytes: &[u8], at: usize, values: &mut [u64]) -> (usize, usize) {
    let mut reader = Reader {
        bytes,
        at,
        values,
        done: 0,
    };
    while let Some(block) = reader.block() {
        match masks_16(block).spans() {
            Some(spans) if reader.one_by_one(&spans) => {}
            _ => break,
        }
    }
    (reader.done, reader.at)
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

/// Where the numbers of a block are: those with a comma behind.
struct Spans {
    starts: u64,
    ends: u64,
    /// Up to behind the last comma.
    length: usize,
    /// None has more than eight digits.
    are_short: bool,
}

impl Masks {
    /// `None` if there is no comma, or something else is written than V8 would.
    #[inline(always)]
    fn spans(&self) -> Option<Spans> {
        let &Masks {
            digits,
            commas,
            lines,
        } = self;
        let whole = u64::MAX.checked_shr(commas.leading_zeros())?;
        // Nothing else; commas behind digits or ends of lines, and these behind digits and before
        // commas.
        let wrong = !(digits | commas | lines)
            | commas & !((digits | lines) << 1)
            | lines & !(digits << 1)
            | (lines << 1) & !commas;
        if wrong & whole != 0 {
            return None;
        }
        // Behind two digits, four, eight, nine.
        let two = digits & digits << 1;
        let four = two & two << 2;
        let nine = four & four << 4 & digits << 8;
        Some(Spans {
            starts: digits & !(digits << 1) & whole,
            ends: !digits & (digits << 1) & whole,
            length: BLOCK - whole.leading_zeros() as usize,
            are_short: nine & whole == 0,
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the next number begins.
    at: usize,
    values: &'a mut [u64],
    /// So many values have been read.
    done: usize,
}

impl<'a> Reader<'a> {
    /// The next block, if there is room for values; there are [`LONGEST`] bytes before it.
    #[inline(always)]
    fn block(&self) -> Option<&'a [u8; BLOCK]> {
        let is_wanted = self.done < self.values.len() && self.at >= LONGEST;
        let rest = self.bytes.get(self.at..).filter(|_| is_wanted)?;
        rest.first_chunk::<BLOCK>()
    }

    /// Reads the numbers of a block; whether to go on.
    #[inline(always)]
    fn one_by_one(&mut self, spans: &Spans) -> bool {
        let &Spans {
            mut starts,
            mut ends,
            ..
        } = spans;
        let (bytes, at) = (self.bytes, self.at);
        let values = self.values[self.done..].iter_mut();
        for value in values.take(ends.count_ones() as usize) {
            let (start, end) = (starts.trailing_zeros(), ends.trailing_zeros());
            let length = (end - start) as usize;
            let low =
                (before(bytes, at + end as usize) ^ ZEROS) & (u64::MAX << (64 - 8 * length.min(8)));
            *value = joined(low);
            if length > 8 {
                if length > LONGEST {
                    self.at += start as usize;
                    return false;
                }
                let high = (before(bytes, at + end as usize - 8) ^ ZEROS)
                    & (u64::MAX << (64 - 8 * (length - 8)));
                *value += joined(high) * 100_000_000;
            }
            self.done += 1;
            starts &= starts - 1;
            ends &= ends - 1;
        }
        self.at += match starts {
            0 => spans.length,
            _ => starts.trailing_zeros() as usize,
        };
        true
    }
}
