//! What a site is called whatever the build: modules, functions and inlined calls, without addresses and
//! lines.
//!
//! So that moving code about does not make a leak new, and so that two machines agree: no directories;
//! nothing outside of `main` or a thread's function (its names depend on whether libc's symbols are
//! installed); no marks of copies that optimizers make; a recursion counts once, however deep. Only code
//! without a name is called by its place in its module: were all of it one, a new leak could hide there.

use super::{Leak, NamedFrame};
use std::fmt;

/// Longest recursion that is told by its pattern, frames.
const MAX_PERIOD: usize = 8;

/// The identity of a site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(Vec<String>);

impl Identity {
    /// That of a leak.
    pub fn of(leak: &Leak<'_>) -> Identity {
        let mut frames = Vec::new();
        for frame in leak.own_frames() {
            frames.push(name(frame));
            forget_repetition(&mut frames);
        }
        Identity(frames)
    }

    /// From its frames, as [`Identity::frames`] gave them.
    pub fn from_frames(frames: Vec<String>) -> Identity {
        Identity(frames)
    }

    /// `module!function`, innermost first.
    pub fn frames(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Identity {
    /// Sixteen hexadecimal digits (64-bit FNV-1a of the frames, each ended by a zero byte).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.iter().flat_map(|frame| frame.bytes().chain([0]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        write!(f, "{hash:016x}")
    }
}

fn name(frame: &NamedFrame<'_>) -> String {
    let module = frame
        .module
        .and_then(|path| path.file_name())
        .unwrap_or_default();
    let inlined = if frame.inlined { " (inlined)" } else { "" };
    let module = module.to_string_lossy();
    match frame.function {
        Some(function) => format!("{module}!{}{inlined}", original(function)),
        None => format!("{module}+{:#x}", frame.offset),
    }
}

/// The function that a compiler made a copy of: `f.constprop.0`, `f() [clone .part.1]`.
fn original(function: &str) -> &str {
    const COPIES: &[&str] = &[
        ".constprop.",
        ".isra.",
        ".part.",
        ".cold",
        ".lto_priv.",
        ".llvm.",
        ".localalias",
    ];
    let plain = function.split(" [clone ").next().unwrap_or(function);
    let end = COPIES.iter().filter_map(|copy| plain.find(copy)).min();
    end.filter(|&at| at > 0)
        .and_then(|at| plain.get(..at))
        .unwrap_or(plain)
}

/// If the last frames repeat those before them: once is enough.
fn forget_repetition(frames: &mut Vec<String>) {
    for period in 1..=MAX_PERIOD {
        let Some(middle) = frames.len().checked_sub(period) else {
            return;
        };
        let Some(first) = middle.checked_sub(period) else {
            return;
        };
        if frames[first..middle] == frames[middle..] {
            frames.truncate(middle);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Amount;
    use super::*;
    use std::path::Path;

    fn leak(functions: &[&'static str]) -> Leak<'static> {
        let frames: Vec<_> = functions
            .iter()
            .map(|function| NamedFrame {
                function: Some(function),
                module: Some(Path::new("/opt/app")),
                ..NamedFrame::default()
            })
            .collect();
        Leak {
            site: 0,
            class: None,
            growing: false,
            amount: Amount::default(),
            inside: frames.len(),
            frames,
            allocator: 0,
        }
    }

    #[test]
    fn lines_directories_and_copies_make_no_difference() {
        let mut one = leak(&["f.constprop.0", "g(int) [clone .part.2]", "main"]);
        let mut other = leak(&["f", "g(int)", "main"]);
        one.frames[0].line = Some(3);
        other.frames[0].line = Some(9);
        other.frames[1].module = Some(Path::new("/home/me/build/app"));
        assert_eq!(Identity::of(&one), Identity::of(&other));
        assert_eq!(
            Identity::of(&one).frames(),
            ["app!f", "app!g(int)", "app!main"]
        );
    }

    #[test]
    fn functions_modules_and_inlining_make_one() {
        let plain = Identity::of(&leak(&["f", "main"]));
        assert_ne!(plain, Identity::of(&leak(&["g", "main"])));
        let mut inlined = leak(&["f", "main"]);
        inlined.frames[0].inlined = true;
        assert_ne!(plain, Identity::of(&inlined));
        let mut elsewhere = leak(&["f", "main"]);
        elsewhere.frames[0].module = Some(Path::new("/lib/libf.so.1"));
        assert_ne!(plain, Identity::of(&elsewhere));
    }

    #[test]
    fn code_without_names_is_told_apart_by_its_place() {
        let mut one = leak(&["f", "main"]);
        one.frames[0].function = None;
        one.frames[0].offset = 0x10;
        let mut other = one.clone();
        other.frames[0].offset = 0x20;
        assert_ne!(Identity::of(&one), Identity::of(&other));
        assert_eq!(Identity::of(&one).frames()[0], "app+0x10");
    }

    #[test]
    fn recursion_counts_once() {
        let once = Identity::of(&leak(&["f", "a", "b", "main"]));
        assert_eq!(
            once,
            Identity::of(&leak(&["f", "a", "b", "a", "b", "a", "b", "main"]))
        );
        let direct = Identity::of(&leak(&["f", "main"]));
        assert_eq!(direct, Identity::of(&leak(&["f", "f", "f", "f", "main"])));
    }

    #[test]
    fn the_runtime_around_main_is_left_out() {
        let mut outer = leak(&["f", "main", "__libc_start_call_main", "_start"]);
        outer.inside = 2;
        assert_eq!(Identity::of(&outer), Identity::of(&leak(&["f", "main"])));
    }

    #[test]
    fn its_number_is_always_the_same() {
        assert_eq!(
            Identity::of(&leak(&["f", "main"])).to_string(),
            "dbc101b1d53428fe"
        );
    }
}
