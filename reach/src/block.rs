//! A live block in 16 bytes.

/// `address:48 | serial bits 19..35` and `size:45 | serial bits 0..19`. Blocks order by
/// their address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct Block(u64, u64);

const _: () = assert!(core::mem::size_of::<Block>() == 16);

impl Block {
    /// A block at `address` (48 bits) of `size` bytes (45 bits); of the serial 35 bits
    /// are kept.
    pub fn new(address: u64, size: u64, serial: u64) -> Block {
        Block(
            address << 16 | (serial >> 19 & 0xffff),
            size.min((1 << 45) - 1) << 19 | (serial & 0x7_ffff),
        )
    }

    /// First address.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 >> 16
    }

    /// Bytes asked for.
    #[inline(always)]
    pub fn size(self) -> u64 {
        self.1 >> 19
    }

    /// End; one behind the start for a block of no bytes, so that it can be pointed to.
    #[inline(always)]
    pub fn end(self) -> u64 {
        self.address() + self.size().max(1)
    }

    /// Low 35 bits of its serial.
    pub fn serial(self) -> u64 {
        (self.0 & 0xffff) << 19 | (self.1 & 0x7_ffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let block = Block::new(0x7fff_ffff_fff0, (1 << 45) - 1, (1 << 35) - 2);
        assert_eq!(
            (block.address(), block.size(), block.serial()),
            (0x7fff_ffff_fff0, (1 << 45) - 1, (1 << 35) - 2)
        );
        assert!(Block::new(16, 9, 9) < Block::new(32, 1, 1));
    }
}
