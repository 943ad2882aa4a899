//! Long ways made short: links of a chain are said once.

use super::Step;

/// Kinds of links that a chain may have in turn.
const LONGEST_PERIOD: usize = 4;
/// Steps shown at either end of a way that is longer than both.
const END: usize = 20;

/// Folds chains; what is long all the same is cut in the middle.
pub(super) fn shorten(mut steps: Vec<Step>) -> Vec<Step> {
    for period in 1..=LONGEST_PERIOD {
        steps = fold(steps, period);
    }
    if steps.len() > 2 * END + 1 {
        let last = steps.split_off(steps.len() - END);
        let left = steps.split_off(END);
        let links: u32 = left.iter().map(|step| step.times).sum();
        steps.push(Step {
            by: String::new(),
            what: format!("… {links} more steps …"),
            id: left.last().map_or(0, |step| step.id),
            times: 1,
        });
        steps.extend(last);
    }
    steps
}

fn same(a: &Step, b: &Step) -> bool {
    a.by == b.by && a.what == b.what
}

/// Makes groups of so many steps that follow each other again and again into one.
fn fold(steps: Vec<Step>, period: usize) -> Vec<Step> {
    let mut folded: Vec<Step> = Vec::with_capacity(steps.len());
    let mut next = 0;
    while next < steps.len() {
        let known = folded.len().checked_sub(period).map(|at| &folded[at..]);
        let group = steps.get(next..next + period);
        match (known, group) {
            (Some(known), Some(group)) if known.iter().zip(group).all(|(a, b)| same(a, b)) => {
                let at = folded.len() - period;
                for (kept, more) in folded[at..].iter_mut().zip(group) {
                    kept.times += more.times;
                    kept.id = more.id;
                }
                next += period;
            }
            _ => {
                folded.push(steps[next].clone());
                next += 1;
            }
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        text.split_whitespace()
            .map(|word| Step {
                by: word.to_owned(),
                what: word.to_owned(),
                id: 1,
                times: 1,
            })
            .collect()
    }

    fn shown(steps: &[Step]) -> String {
        let one = |step: &Step| match step.times {
            1 => step.by.clone(),
            times => format!("{}*{times}", step.by),
        };
        steps.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn links_of_one_kind_and_of_several_in_turn_are_said_once() {
        assert_eq!(shown(&shorten(steps("a b b b c"))), "a b*3 c");
        assert_eq!(shown(&shorten(steps("a b c b c b c d"))), "a b*3 c*3 d");
        assert_eq!(shown(&shorten(steps("a b c d b c"))), "a b c d b c");
    }

    #[test]
    fn a_chain_of_a_million_links_is_short() {
        let links = "n v ".repeat(500_000);
        assert_eq!(shown(&shorten(steps(&links))), "n*500000 v*500000");
    }

    #[test]
    fn a_long_way_without_a_pattern_keeps_its_ends() {
        let all: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let short = shorten(steps(&all.join(" ")));
        assert_eq!(short.len(), 2 * END + 1);
        assert_eq!(short[END].what, "… 60 more steps …");
        assert_eq!(short[2 * END].by, "99");
    }
}
