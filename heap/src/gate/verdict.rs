//! From leaks to pass or fail.

use super::{Amount, Baseline, Identity, Known, Leak, Policy, Suppressions};

/// What becomes of a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It counts against the run.
    Counts,
    /// The baseline has it, with so much.
    Known(Amount),
    /// A suppression takes it away: its place in [`Suppressions::all`].
    Suppressed(usize),
    /// It is of a class that the policy does not count.
    Spared,
}

/// A leak and what becomes of it.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// The leak.
    pub leak: Leak<'a>,
    /// What it is called in baselines.
    pub identity: Identity,
    /// What becomes of it.
    pub status: Status,
}

/// Leaks of one status: how many, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Sites, each class apart.
    pub leaks: u64,
    /// Their blocks.
    pub amount: Amount,
}

impl Sum {
    fn add(&mut self, amount: Amount) {
        self.leaks += 1;
        self.amount += amount;
    }
}

/// What a check comes to.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// All leaks, those that count first, then by bytes, most first.
    pub findings: Vec<Finding<'a>>,
    /// Those that count.
    pub counted: Sum,
    /// Those of the baseline.
    pub known: Sum,
    /// Those that are suppressed.
    pub suppressed: Sum,
    /// Those that the policy does not count.
    pub spared: Sum,
    /// Whether the run fails.
    pub failed: bool,
}

/// Judges some leaks. Suppressions are tried before the baseline, so that their hits are complete.
pub fn judge<'a>(
    leaks: Vec<Leak<'a>>,
    suppressions: &mut Suppressions,
    baseline: Option<&Baseline>,
    policy: &Policy,
) -> Verdict<'a> {
    let mut verdict = Verdict {
        findings: Vec::with_capacity(leaks.len()),
        counted: Sum::default(),
        known: Sum::default(),
        suppressed: Sum::default(),
        spared: Sum::default(),
        failed: false,
    };
    for leak in leaks {
        let identity = Identity::of(&leak);
        let (status, sum) = if let Some(place) = suppressions.suppress(&leak) {
            (Status::Suppressed(place), &mut verdict.suppressed)
        } else if !policy.counts(&leak) {
            (Status::Spared, &mut verdict.spared)
        } else if let Some(Known::Yes(before)) = baseline.map(|baseline| baseline.knows(&identity))
        {
            (Status::Known(before), &mut verdict.known)
        } else {
            (Status::Counts, &mut verdict.counted)
        };
        sum.add(leak.amount);
        verdict.findings.push(Finding {
            leak,
            identity,
            status,
        });
    }
    verdict.failed = policy.fails(verdict.counted.amount);
    verdict.findings.sort_by_key(|finding| {
        let amount = finding.leak.amount;
        (
            finding.status != Status::Counts,
            std::cmp::Reverse((amount.bytes, amount.blocks)),
        )
    });
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::{NamedFrame, Source};
    use super::*;
    use log_format::reach::Class;
    use std::path::PathBuf;

    fn leak(function: &'static str, class: Option<Class>, bytes: u64) -> Leak<'static> {
        Leak {
            site: 0,
            class,
            growing: false,
            amount: Amount { blocks: 1, bytes },
            frames: vec![NamedFrame {
                function: Some(function),
                ..NamedFrame::default()
            }],
            allocator: 0,
            inside: 1,
        }
    }

    fn policy(text: &str) -> Policy {
        Policy {
            fail_on: text.parse().unwrap(),
        }
    }

    #[test]
    fn each_leak_has_one_status() {
        let leaks = vec![
            leak("lost", Some(Class::Unreachable), 10),
            leak("dragged", Some(Class::Indirect), 20),
            leak("kept", Some(Class::Reachable), 40),
            leak("known", Some(Class::Unreachable), 80),
            leak("ours", Some(Class::Unreachable), 160),
        ];
        let mut suppressions = Suppressions::default();
        let file = Source::File(PathBuf::from("s"));
        suppressions
            .add_text(&file, "leak:ours\nleak:never", &|_| None)
            .unwrap();
        let mut baseline = Baseline::new("app");
        baseline.add(
            Identity::of(&leaks[3]),
            Amount {
                blocks: 1,
                bytes: 8,
            },
        );
        let verdict = judge(
            leaks,
            &mut suppressions,
            Some(&baseline),
            &policy("unreachable"),
        );
        assert!(verdict.failed);
        let bytes = [
            verdict.counted,
            verdict.known,
            verdict.suppressed,
            verdict.spared,
        ]
        .map(|sum| sum.amount.bytes);
        assert_eq!(bytes, [30, 80, 160, 40]);
        let first = &verdict.findings[0];
        assert_eq!(
            (first.leak.amount.bytes, first.status),
            (20, Status::Counts)
        );
        assert_eq!(suppressions.all()[0].hits.amount.bytes, 160);
        let unused: Vec<_> = suppressions
            .unused()
            .map(|one| (one.name.as_str(), one.line))
            .collect();
        assert_eq!(unused, [("never", 2)]);
    }

    #[test]
    fn a_leak_without_a_class_counts_only_as_any() {
        let leaks = vec![leak("f", None, 1)];
        let mut none = Suppressions::default();
        assert!(judge(leaks.clone(), &mut none, None, &policy("any")).failed);
        assert!(!judge(leaks, &mut none, None, &policy("unreachable")).failed);
    }
}
