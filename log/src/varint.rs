//! LEB128 integers and a bounded output buffer.

/// Output into a caller's slice; overflow is remembered, never written.
#[derive(Debug)]
pub struct Out<'a> {
    buf: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> Out<'a> {
    /// Writes from the start of `buf`.
    pub fn new(buf: &'a mut [u8]) -> Out<'a> {
        Out {
            buf,
            len: 0,
            overflow: false,
        }
    }

    /// Bytes written so far; `None` if something did not fit.
    pub fn finish(&self) -> Option<usize> {
        (!self.overflow).then_some(self.len)
    }

    /// What was written so far.
    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or(&[])
    }

    /// Appends one byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        match self.buf.get_mut(self.len) {
            Some(slot) => {
                *slot = byte;
                self.len += 1;
            }
            None => self.overflow = true,
        }
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        match self
            .buf
            .get_mut(self.len..self.len.saturating_add(bytes.len()))
        {
            Some(slot) => {
                slot.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflow = true,
        }
    }

    /// Appends an unsigned LEB128 number, 1 to 10 bytes.
    #[inline]
    pub fn uint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// Appends a signed number as zigzag LEB128.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.uint(((value << 1) ^ (value >> 63)) as u64);
    }
}

/// Input from a slice; the first read past the end makes every later one fail.
#[derive(Clone, Copy, Debug)]
pub struct In<'a> {
    buf: &'a [u8],
}

impl<'a> In<'a> {
    /// Reads from the start of `buf`.
    pub fn new(buf: &'a [u8]) -> In<'a> {
        In { buf }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.buf
    }

    /// Takes one byte.
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.buf.split_first()?;
        self.buf = rest;
        Some(first)
    }

    /// Takes `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.buf.split_at_checked(len)?;
        self.buf = rest;
        Some(head)
    }

    /// Takes an unsigned LEB128 number; `None` past the end or beyond 64 bits.
    #[inline]
    pub fn uint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        let mut shift = 0u32;
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || (shift == 63 && bits > 1) {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    /// Takes a zigzag LEB128 number.
    #[inline]
    pub fn int(&mut self) -> Option<i64> {
        let value = self.uint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Takes an unsigned number that must fit 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.uint()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(value: u64, signed: i64) {
            let mut buf = [0u8; 32];
            let mut out = Out::new(&mut buf);
            out.uint(value);
            out.int(signed);
            let len = out.finish().unwrap();
            let mut input = In::new(&buf[..len]);
            prop_assert_eq!(input.uint(), Some(value));
            prop_assert_eq!(input.int(), Some(signed));
            prop_assert!(input.rest().is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut input = In::new(&bytes);
            while input.uint().is_some() {}
        }
    }

    #[test]
    fn overflow_is_remembered() {
        let mut buf = [0u8; 1];
        let mut out = Out::new(&mut buf);
        out.uint(300);
        assert_eq!(out.finish(), None);
    }
}
