//! Stacks of sampled allocations by the place in the program that made them: one function is called on many ways
//! (`next` of a web framework, recursion), and its leak is one.

use std::collections::HashMap;

use heap::js::{JsFrame, JsHeap, JsSite};

use super::super::hiding::Script;
use super::{frames, path};
use crate::flags::Merge;

/// Sites that are shown as one.
pub struct JsPlace<'h> {
    /// Sums; the frame is that of the largest.
    pub site: JsSite,
    /// What their stacks have in common, innermost first.
    pub frames: Vec<&'h JsFrame>,
    /// How many stacks there are besides the largest.
    pub others: u64,
}

/// What tells functions apart.
type Function<'h> = (&'h str, &'h str, Option<u64>, Option<u64>);

/// The sites with live bytes, most bytes first; each for itself if they shall be by stack.
pub fn places(heap: &JsHeap, merge: Merge, all_frames: bool) -> Vec<JsPlace<'_>> {
    let mut numbers: HashMap<Vec<Function<'_>>, usize> = HashMap::new();
    let mut groups: Vec<Vec<(&JsSite, Vec<&JsFrame>)>> = Vec::new();
    for site in heap.sites.iter().filter(|site| site.bytes.0 > 0) {
        let stack = frames(heap, site, all_frames);
        let whole = || stack.iter().map(|frame| identity(frame)).collect();
        let key = match (merge, home(&stack)) {
            (Merge::Stack, _) | (_, None) => whole(),
            (_, Some(at)) => vec![identity(stack[at])],
        };
        let next = groups.len();
        let number = *numbers.entry(key).or_insert(next);
        if number == next {
            groups.push(Vec::new());
        }
        groups[number].push((site, stack));
    }
    let merged = groups.into_iter().filter_map(|group| {
        let sites: Vec<&JsSite> = group.iter().map(|(site, _)| *site).collect();
        let site = heap.merged(&sites)?;
        let mut group = group.into_iter().map(|(_, stack)| stack);
        let mut shown = group.next()?;
        let mut others = 0;
        for other in group {
            let inside = home(&shown).zip(home(&other));
            let (ours, theirs) = inside.unwrap_or_default();
            let pairs = shown[ours..].iter().zip(&other[theirs..]);
            let equal = pairs.take_while(|(a, b)| identity(a) == identity(b));
            let common = ours + equal.count();
            let same = common == shown.len() && other.len() - theirs == shown.len() - ours;
            others += u64::from(!same);
            shown.truncate(common);
        }
        Some(JsPlace {
            site,
            frames: shown,
            others,
        })
    });
    let mut places: Vec<JsPlace<'_>> = merged.collect();
    places.sort_by_key(|place| (std::cmp::Reverse(place.site.bytes), place.site.frame));
    places
}

fn identity(frame: &JsFrame) -> Function<'_> {
    (&frame.function, &frame.file, frame.line, frame.column)
}

/// The innermost function of the program, or else of a package.
fn home(stack: &[&JsFrame]) -> Option<usize> {
    let whose = |frame: &JsFrame| match path(frame) {
        "" => Script::Node,
        file => Script::of(file),
    };
    [Script::Own, Script::Package]
        .into_iter()
        .find_map(|wanted| stack.iter().position(|frame| whose(frame) == wanted))
}
