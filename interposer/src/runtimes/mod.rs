//! Languages whose frames or memory the hooks alone cannot name: one module per runtime.
//!
//! A runtime's module finds out by itself whether the program has it, through symbols that
//! the program exports, and adds facts to the log. What is absent leaves the native record
//! as it is.

pub mod v8;
