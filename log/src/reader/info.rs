//! The header page, read once, and the clock that follows from it.

use super::source::{Source, u32_at, u64_at};
use crate::error::Error;
use crate::layout::{self, CLOCK_MONOTONIC, Calibration, Header, SeenEnd, State, StopReason};
use std::mem::{offset_of, size_of};

/// What the header page says, as plain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Info {
    /// Random identity of the log.
    pub log_id: [u8; 16],
    /// Identity of the parent's log; zeros if none.
    pub parent_log_id: [u8; 16],
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub ppid: u32,
    /// How the run ended.
    pub state: State,
    /// Why recording ended early.
    pub stop_reason: StopReason,
    /// Exit status, if `state` is [`State::Exited`].
    pub exit_status: u32,
    /// `CLOCK_REALTIME` at the start, ns since 1970.
    pub start_wall_ns: u64,
    /// Event clock when the parent called `fork`; zero if not a fork child.
    pub fork_ticks: u64,
    /// Event clock at the end; zero if the log has none.
    pub end_ticks: u64,
    /// Events that could not be recorded.
    pub events_lost: u64,
    /// Captures whose stack ended before the outermost frame.
    pub unwinds_truncated: u64,
    /// Captures that the self-check compared.
    pub selfcheck_checked: u64,
    /// … that differed.
    pub selfcheck_disagreed: u64,
    /// … that could not be compared.
    pub selfcheck_no_cfi: u64,
    /// Stack nodes handed out.
    pub node_count: u64,
    /// [`layout::flag`] bits.
    pub flags: u64,
    /// Blocks in the file after a clean end; 0 if there was none.
    pub block_count: u64,
    /// See [`Header`].
    pub children_without_log: u64,
    /// How the process ended, if it could not say so itself and somebody saw it.
    pub seen_end: Option<SeenEnd>,
    /// Event clock to nanoseconds.
    pub clock: Clock,
}

impl Info {
    /// Whether a flag of [`layout::flag`] is set.
    pub fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// Reads the header page.
    pub(crate) fn read(source: &Source) -> Result<Info, Error> {
        let path = || source.path.clone();
        let mut page = [0u8; layout::HEADER_SIZE as usize];
        let len = source.read_at(0, &mut page);
        let magic_len = len.min(layout::MAGIC.len());
        let magic = page.get(..magic_len).unwrap_or(&[]);
        if magic_len == layout::MAGIC.len() && magic.iter().all(|&byte| byte == 0) {
            // Only zeros, and the size of one: reserved, not yet begun.
            let zeros = page.iter().all(|&byte| byte == 0);
            return Err(if zeros && source.len >= layout::HEADER_SIZE {
                Error::NotBegun { path: path() }
            } else {
                Error::NotALog { path: path() }
            });
        }
        if page.starts_with(b"{\"snapshot\":") {
            return Err(Error::HeapSnapshot { path: path() });
        }
        if len == 0 || !layout::MAGIC.starts_with(magic) {
            return Err(Error::NotALog { path: path() });
        }
        if len < page.len() {
            return Err(Error::HeaderTruncated {
                path: path(),
                len: source.len,
            });
        }
        let version = u32_at(&page, offset_of!(Header, version));
        if version != layout::VERSION {
            return Err(Error::Version {
                path: path(),
                found: version,
            });
        }
        let id = |at: usize| {
            page.get(at..)
                .and_then(|rest| rest.first_chunk::<16>())
                .copied()
                .unwrap_or_default()
        };
        Ok(Info {
            log_id: id(offset_of!(Header, log_id)),
            parent_log_id: id(offset_of!(Header, parent_log_id)),
            pid: u32_at(&page, offset_of!(Header, pid)),
            ppid: u32_at(&page, offset_of!(Header, ppid)),
            state: State::from_raw(u32_at(&page, offset_of!(Header, state))),
            stop_reason: StopReason::from_raw(u32_at(&page, offset_of!(Header, stop_reason))),
            exit_status: u32_at(&page, offset_of!(Header, exit_status)),
            start_wall_ns: u64_at(&page, offset_of!(Header, start_wall_ns)),
            fork_ticks: u64_at(&page, offset_of!(Header, fork_ticks)),
            end_ticks: u64_at(&page, offset_of!(Header, end_ticks)),
            events_lost: u64_at(&page, offset_of!(Header, events_lost)),
            unwinds_truncated: u64_at(&page, offset_of!(Header, unwinds_truncated)),
            selfcheck_checked: u64_at(&page, offset_of!(Header, selfcheck_checked)),
            selfcheck_disagreed: u64_at(&page, offset_of!(Header, selfcheck_disagreed)),
            selfcheck_no_cfi: u64_at(&page, offset_of!(Header, selfcheck_no_cfi)),
            node_count: u64_at(&page, offset_of!(Header, node_count)),
            flags: u64_at(&page, offset_of!(Header, flags)),
            block_count: u64_at(&page, offset_of!(Header, block_count)),
            children_without_log: u64_at(&page, offset_of!(Header, children_without_log)),
            seen_end: SeenEnd::from_raw(u64_at(&page, offset_of!(Header, seen_end))),
            clock: Clock::read(&page),
        })
    }
}

/// Turns event-clock readings into nanoseconds since the start of recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    start: u64,
    /// Nanoseconds a tick, times 2^32; 0 if not known.
    rate: u64,
}

/// Rates that a processor's counter may have: 2^32 ns a tick at 1 GHz.
const ONE_GHZ: u64 = 1 << 32;

impl Clock {
    /// A clock that was `start` when recording began and runs at `ns / ticks`.
    pub fn new(start: u64, ticks: u64, ns: u64) -> Clock {
        let rate = (u128::from(ns) << 32).checked_div(u128::from(ticks));
        Clock {
            start,
            rate: rate.and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0),
        }
    }

    /// The reading of the event clock so many nanoseconds after the start of
    /// recording; saturates.
    pub fn to_ticks(&self, ns: u64) -> u64 {
        let ticks = (u128::from(ns) << 32)
            .checked_div(u128::from(self.rate))
            .unwrap_or(0);
        self.start
            .saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    fn read(page: &[u8]) -> Clock {
        let start = u64_at(page, offset_of!(Header, start_ticks));
        if u32_at(page, offset_of!(Header, clock)) == CLOCK_MONOTONIC {
            return Clock::new(start, 1, 1);
        }
        let start_ns = u64_at(page, offset_of!(Header, start_ns));
        // One of the two may have been half written when the program was
        // killed; the ticks of the later one count if its rate is possible
        // and, where both are there, near the other's.
        let slot = |number: usize| {
            let at = offset_of!(Header, calibration) + number * size_of::<Calibration>();
            let ticks = u64_at(page, at + offset_of!(Calibration, ticks)).checked_sub(start)?;
            let ns = u64_at(page, at + offset_of!(Calibration, ns)).checked_sub(start_ns)?;
            let clock = Clock::new(start, ticks, ns);
            // 20 MHz to 20 GHz.
            let possible = (ONE_GHZ / 20..=ONE_GHZ * 50).contains(&clock.rate);
            possible.then_some((ticks, clock))
        };
        match (slot(0), slot(1)) {
            (Some(a), Some(b)) => {
                let (early, late) = if a.0 <= b.0 { (a, b) } else { (b, a) };
                let near = early.1.rate.abs_diff(late.1.rate) <= early.1.rate / 16;
                // Very early readings are coarse and prove nothing.
                if near || early.0 < 1 << 20 {
                    late.1
                } else {
                    early.1
                }
            }
            (Some(one), None) | (None, Some(one)) => one.1,
            (None, None) => Clock { start, rate: 0 },
        }
    }

    /// Whether the log tells how long a tick is. If not, a tick counts as a
    /// nanosecond.
    pub fn is_known(&self) -> bool {
        self.rate != 0
    }

    /// A length of time in nanoseconds.
    pub fn span_ns(&self, ticks: u64) -> u64 {
        let rate = if self.rate == 0 { ONE_GHZ } else { self.rate };
        u64::try_from((u128::from(ticks) * u128::from(rate) + (1 << 31)) >> 32).unwrap_or(u64::MAX)
    }

    /// A reading as nanoseconds since the start; 0 if before it.
    pub fn to_ns(&self, ticks: u64) -> u64 {
        self.span_ns(ticks.saturating_sub(self.start))
    }

    /// The reading at the start of recording.
    pub fn start(&self) -> u64 {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(slots: [(u64, u64); 2]) -> std::vec::Vec<u8> {
        let mut page = std::vec![0u8; 4096];
        let mut put =
            |at: usize, value: u64| page[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put(offset_of!(Header, start_ticks), 1_000_000);
        put(offset_of!(Header, start_ns), 500);
        for (number, (ticks, ns)) in slots.into_iter().enumerate() {
            let at = offset_of!(Header, calibration) + number * size_of::<Calibration>();
            put(at, ticks);
            put(at + 8, ns);
        }
        page
    }

    /// Nanoseconds of 2000 ticks, by a log with these calibration slots.
    fn ns(slots: [(u64, u64); 2]) -> (bool, u64) {
        let clock = Clock::read(&page(slots));
        (clock.is_known(), clock.to_ns(1_000_000 + 2000))
    }

    #[test]
    fn ticks_become_nanoseconds_by_the_later_slot() {
        let early = (1_000_000 + 200_000_000, 500 + 100_000_000);
        let late = (1_000_000 + 400_000_000, 500 + 201_000_000);
        assert_eq!(ns([early, late]), (true, 1005));
        assert_eq!(ns([late, early]), (true, 1005));
        assert_eq!(ns([early, (0, 0)]), (true, 1000));
    }

    #[test]
    fn a_slot_that_was_being_written_does_not_count() {
        let early = (1_000_000 + 200_000_000, 500 + 100_000_000);
        // The ticks of a later reading, the nanoseconds of an older one.
        assert_eq!(
            ns([early, (1_000_000 + 2_000_000_000, 500 + 100_000_000)]),
            (true, 1000)
        );
        assert_eq!(ns([early, (1_000_000 + 400_000_000, 0)]), (true, 1000));
    }

    #[test]
    fn without_a_slot_a_tick_counts_as_a_nanosecond() {
        assert_eq!(ns([(0, 0), (0, 0)]), (false, 2000));
        assert_eq!(Clock::new(5, 1, 1).to_ns(3), 0, "before the start");
        assert_eq!(
            Clock::new(0, 1, 1 << 31).span_ns(u64::MAX),
            u64::MAX,
            "absurd numbers stay in range"
        );
    }
}
