//! What makes a run fail.

use super::Leak;
use log_format::reach::Class;
use std::fmt;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

/// Blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many blocks.
    pub blocks: u64,
    /// Bytes asked for.
    pub bytes: u64,
}

impl Add for Amount {
    type Output = Amount;

    fn add(self, other: Amount) -> Amount {
        Amount {
            blocks: self.blocks.saturating_add(other.blocks),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Amount) {
        *self = *self + other;
    }
}

/// Which leaks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Blocks that nothing points to, and those that only such blocks point to.
    Unreachable,
    /// Every block that was not freed.
    Any,
    /// The blocks of sites that kept growing.
    Growing,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Unreachable => "unreachable",
            What::Any => "any",
            What::Growing => "growing",
        })
    }
}

/// Which leaks count, and how much of them is put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailOn {
    /// Which.
    pub what: What,
    /// So many bytes, together, are no failure.
    pub bytes: Option<u64>,
    /// So many blocks, together, are no failure.
    pub blocks: Option<u64>,
}

impl Default for FailOn {
    /// One unreachable block is a failure.
    fn default() -> FailOn {
        FailOn {
            what: What::Unreachable,
            bytes: None,
            blocks: None,
        }
    }
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)?;
        let limits = [("bytes", self.bytes), ("blocks", self.blocks)];
        let given = limits
            .into_iter()
            .filter_map(|(name, limit)| Some((name, limit?)));
        given.enumerate().try_for_each(|(number, (name, limit))| {
            write!(f, "{}{name}={limit}", if number == 0 { ':' } else { ',' })
        })
    }
}

impl FromStr for FailOn {
    type Err = String;

    /// `what[:bytes=N,blocks=N]`; sizes may end in K, M, G or T (powers of 1024).
    fn from_str(text: &str) -> Result<FailOn, String> {
        let (name, limits) = text.split_once(':').unwrap_or((text, ""));
        let what = match name {
            "unreachable" => What::Unreachable,
            "any" => What::Any,
            "growing" => What::Growing,
            _ => return Err(format!("{name}: not one of unreachable, any, growing")),
        };
        let mut parsed = FailOn {
            what,
            bytes: None,
            blocks: None,
        };
        for limit in limits.split(',').filter(|_| text.contains(':')) {
            let number =
                |value: &str| amount(value).ok_or_else(|| format!("{limit}: {value} is no number"));
            match limit.split_once('=') {
                Some(("bytes", value)) => parsed.bytes = Some(number(value)?),
                Some(("blocks", value)) => parsed.blocks = Some(number(value)?),
                _ => return Err(format!("{limit:?}: not bytes=N or blocks=N")),
            }
        }
        Ok(parsed)
    }
}

/// A number, or one with K, M, G or T.
fn amount(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 10),
        (at, 'm' | 'M') => (&text[..at], 20),
        (at, 'g' | 'G') => (&text[..at], 30),
        (at, 't' | 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// When a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// On what.
    pub fail_on: FailOn,
}

impl Policy {
    /// Whether leaks count by their class.
    pub fn needs_classes(&self) -> bool {
        self.fail_on.what == What::Unreachable
    }

    /// Whether leaks count by how their sites grew.
    pub fn needs_growth(&self) -> bool {
        self.fail_on.what == What::Growing
    }

    /// Whether a leak counts. One without a class counts only where classes make no difference.
    pub fn counts(&self, leak: &Leak<'_>) -> bool {
        match self.fail_on.what {
            What::Any => true,
            What::Growing => leak.growing,
            What::Unreachable => leak.class.is_some_and(|class| class <= Class::Indirect),
        }
    }

    /// Whether so much, in all, is a failure.
    pub fn fails(&self, sum: Amount) -> bool {
        let FailOn { bytes, blocks, .. } = self.fail_on;
        let over = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is > limit);
        match (bytes, blocks) {
            (None, None) => sum.blocks > 0,
            _ => over(bytes, sum.bytes) || over(blocks, sum.blocks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy {
            fail_on: text.parse().unwrap(),
        }
    }

    #[test]
    fn without_a_limit_one_empty_block_is_a_failure() {
        assert!(policy("any").fails(Amount {
            blocks: 1,
            bytes: 0
        }));
        assert!(!policy("any").fails(Amount::default()));
    }

    #[test]
    fn up_to_its_limits_a_run_is_well() {
        let policy = policy("any:bytes=2K,blocks=3");
        assert!(!policy.fails(Amount {
            blocks: 3,
            bytes: 2048
        }));
        assert!(policy.fails(Amount {
            blocks: 4,
            bytes: 4
        }));
        assert!(policy.fails(Amount {
            blocks: 1,
            bytes: 2049
        }));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, word) in [
            ("lost", "lost"),
            ("any:", "bytes=N"),
            ("any:bytes", "bytes=N"),
            ("any:bytes=x", "x is no number"),
            ("any:bytes=99999999999999T", "no number"),
            ("any:blocks=-1", "no number"),
        ] {
            let error = text.parse::<FailOn>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
