//! Numbers as text, without `std`.

use log_format::varint::Out;

/// A number with white space around it; `None` also if it does not fit.
pub fn number(text: &[u8], base: u32) -> Option<u64> {
    let mut value = 0u64;
    for &byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let digit = (byte as char).to_digit(base)?;
        value = value
            .checked_mul(u64::from(base))?
            .checked_add(u64::from(digit))?;
    }
    (!text.is_empty()).then_some(value)
}

/// The number that a text begins with, 0 if there is none.
pub fn leading(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(..digits)
        .and_then(|digits| number(digits, 10))
        .unwrap_or(0)
}

/// Appends a number.
pub fn decimal(out: &mut Out<'_>, value: impl Into<u64>) {
    let mut digits = [0u8; 20];
    let mut left = value.into();
    let mut count = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (left % 10) as u8;
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    out.bytes(digits.get(20 - count..).unwrap_or(&[]));
}
