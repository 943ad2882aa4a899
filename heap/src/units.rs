//! Units and ids: one type each, so that a byte count is never taken for a
//! block count or a stack for a thread.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        number!($(#[$doc])* $name(u64));

        impl Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(self.0.wrapping_add(other.0))
            }
        }

        impl Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(self.0.wrapping_sub(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                *self = *self - other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = $name>>(iter: I) -> $name {
                iter.fold($name(0), Add::add)
            }
        }
    };
}

quantity! {
    /// A number of bytes. Arithmetic wraps: a damaged log may name absurd sizes.
    Bytes
}
quantity! {
    /// Nanoseconds since the start of recording.
    Nanos
}
number! {
    /// A stack: the node id of its innermost frame; 0 is the empty stack.
    StackId(u32)
}
number! {
    /// A thread's serial number in its log, from 1; 0 if not known.
    ThreadId(u32)
}
number! {
    /// A module's place in [`crate::Profile::modules`].
    ModuleId(u32)
}
number! {
    /// The place of code made at run time in [`crate::Profile::codes`].
    CodeId(u32)
}
