//! Containers that grow together: which of them is the one to tell, and which belong to one leak though they have
//! other objects.

use graph::Node;
use rustc_hash::FxHashSet;

use super::{Leak, Pattern, View};

/// So many containers that grow alike are weighed.
const MAX_WEIGHED: usize = 64;
/// So many objects of each are looked at.
const MAX_REACHED: usize = 200_000;

/// What has come from each snapshot to the next.
pub(super) fn steps(counts: &[u64]) -> Vec<u64> {
    counts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect()
}

/// Whether counts grow in every step as others do, or by a few times as much.
pub(super) fn grow_alike(counts: &[u64], others: &[u64]) -> bool {
    let (steps, others) = (steps(counts), steps(others));
    (1..=4).any(|times| {
        let mut pairs = steps.iter().zip(&others);
        pairs.all(|(&step, &other)| step.abs_diff(other * times) * 20 <= step)
    })
}

/// Whether counts grow about as others do: some may be elsewhere at the moment.
pub(super) fn go_along(counts: &[u64], others: &[u64]) -> bool {
    let (steps, others) = (steps(counts), steps(others));
    let mut pairs = steps.iter().zip(&others);
    pairs.all(|(&step, &other)| step.abs_diff(other) * 8 <= step.max(other))
}

/// Patterns of what keeps entries.
const CONTAINERS: [Pattern; 5] = [
    Pattern::Map,
    Pattern::Set,
    Pattern::Array,
    Pattern::Object,
    Pattern::List,
];

/// Whether two leaks are containers of one package, by the same function of the program, and grow in proportion.
pub(super) fn are_of_one_call(one: &Leak, other: &Leak) -> bool {
    let package = |leak: &Leak| {
        leak.place
            .as_ref()
            .and_then(|place| package_of(&place.at))
            .map(str::to_owned)
    };
    let is_one_call = one.program.is_some() && one.program == other.program;
    let counts = || {
        let (of_one, of_other) = (steps(&one.counts), steps(&other.counts));
        let pairs = of_one.iter().zip(&of_other);
        let all_grow = pairs.clone().all(|(&one, &other)| one > 0 && other > 0);
        let first = pairs.clone().next();
        all_grow
            && first.is_some_and(|(&one_first, &other_first)| {
                pairs.clone().all(|(&one, &other)| {
                    let (a, b) = (one * other_first, other * one_first);
                    a.abs_diff(b) * 20 <= a.max(b)
                })
            })
    };
    let are_containers = [one, other]
        .iter()
        .all(|leak| CONTAINERS.contains(&leak.pattern));
    are_containers
        && is_one_call
        && package(one).is_some()
        && package(one) == package(other)
        && counts()
}

/// The package that a file is in, with its scope.
fn package_of(file: &str) -> Option<&str> {
    const FOLDER: &str = "/node_modules/";
    let inside = &file[file.rfind(FOLDER)? + FOLDER.len()..];
    let mut slashes = inside.match_indices('/').map(|(at, _)| at);
    let end = match inside.starts_with('@') {
        true => slashes.nth(1),
        false => slashes.next(),
    };
    Some(&inside[..end?])
}

/// Puts those that grow alike in the order of what they reach, as far as it differs by the double, each group in the
/// places that it has: of a list of sockets and a list of their names the first one says more.
pub(super) fn order<T>(
    view: &View,
    all: &mut [T],
    of: impl Fn(&T) -> Option<(u8, &[u64], &[Node])>,
) {
    let mut groups: Vec<(u8, Vec<u64>, Vec<usize>)> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        if let Some((rank, counts, _)) = of(one) {
            let steps = steps(counts);
            match groups
                .iter_mut()
                .find(|group| (group.0, &group.1) == (rank, &steps))
            {
                Some(group) => group.2.push(at),
                None => groups.push((rank, steps, vec![at])),
            }
        }
    }
    let mut left = MAX_WEIGHED;
    for (.., places) in groups.into_iter().filter(|(.., places)| places.len() > 1) {
        left = match left.checked_sub(places.len()) {
            Some(left) => left,
            None => return,
        };
        let weight = |at: usize| {
            let (.., new) = of(&all[at])?;
            Some(reached(view, new).checked_ilog2())
        };
        let mut wanted: Vec<(usize, _)> = places.iter().map(|&at| (at, weight(at))).collect();
        wanted.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
        // By exchanges: where the one wanted at a place is after those before it have moved.
        let mut wanted: Vec<usize> = wanted.into_iter().map(|(at, _)| at).collect();
        for (number, &place) in places.iter().enumerate() {
            let from = wanted[number];
            all.swap(place, from);
            for other in &mut wanted[number..] {
                if *other == place {
                    *other = from;
                }
            }
        }
    }
}

/// The bytes of what is new and reached from some nodes by way of what is new.
fn reached(view: &View, starts: &[Node]) -> u64 {
    let snapshot = &view.analysis.snapshot;
    let mut seen: FxHashSet<Node> = starts.iter().copied().collect();
    let mut list: Vec<Node> = seen.iter().copied().collect();
    let mut bytes = 0;
    while let Some(node) = list.pop() {
        bytes += snapshot.sizes.get(node);
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let weak = snapshot.kind_of_edge(edge) == snapshot.edge_kind.weak;
            if !weak && view.is_new(to) && seen.len() < MAX_REACHED && seen.insert(to) {
                list.push(to);
            }
        }
    }
    bytes
}

/// Whether two containers belong to one object of a package, whatever it has them by.
pub(super) fn have_one_owner(view: &View, one: Node, other: Node) -> bool {
    let owners = |node| -> Vec<Node> {
        let way = view.ways.raw(view.analysis, node);
        let from = way.into_iter().map(|(from, _)| from);
        from.filter(|&from| is_of_package(view, from)).collect()
    };
    let owners_of_one = owners(one);
    owners(other)
        .iter()
        .any(|owner| owners_of_one.contains(owner))
}

/// Whether something is an old object of a package's class.
fn is_of_package(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    snapshot.kinds[node as usize] == snapshot.kind.object
        && !view.is_new(node)
        && snapshot.name(node) != "Object"
        && view.distance(snapshot.location(node)) == 1
}

/// Whether two containers are properties of one object, or variables of one scope.
pub(super) fn stand_together(view: &View, one: Node, other: Node) -> bool {
    let owner = |node| {
        view.ways
            .raw(view.analysis, node)
            .last()
            .map(|&(from, _)| from)
    };
    owner(one).is_some() && owner(one) == owner(other)
}

#[cfg(test)]
mod tests {
    use super::package_of;

    #[test]
    fn a_package_has_its_folder_s_name() {
        for (file, package) in [
            ("/app/node_modules/ws/lib/a.js:1:2", Some("ws")),
            ("/app/node_modules/@a/b/lib/a.js:1:2", Some("@a/b")),
            ("/app/node_modules/x/node_modules/ws/a.js:1:2", Some("ws")),
            ("/app/lib/a.js:1:2", None),
        ] {
            assert_eq!(package_of(file), package, "{file}");
        }
    }
}
