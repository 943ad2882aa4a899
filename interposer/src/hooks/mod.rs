//! The hooks. [`crate::originals`] lists them; here each has what runs before or
//! after its original.

pub mod allocate;
pub mod cxx;
pub mod exec;
pub mod load;
pub mod mapping;
pub mod process;
pub mod sanitizer;
pub mod thread;
