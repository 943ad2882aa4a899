//! When heap snapshots of JavaScript were taken: what V8 allocates for them is not the program's
//! work, and would be most of it in a short run.

use crate::live::Block;
use log_format::reader::{Clock, TimelineMark};

/// While a thread took a snapshot; times are of the event clock.
#[derive(Clone, Copy, Debug)]
struct Span {
    thread: u32,
    start: u64,
    end: u64,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    /// From the time line of a log.
    pub fn of(marks: &[(u64, TimelineMark)], clock: &Clock) -> Spans {
        let spans = marks.iter().filter_map(|&(end, ref mark)| match *mark {
            TimelineMark::HeapSnapshot {
                thread, pause_ns, ..
            } => {
                let start = clock.to_ns(end).saturating_sub(pause_ns);
                Some(Span {
                    thread,
                    start: clock.to_ticks(start).min(end),
                    end,
                })
            }
            TimelineMark::Named(_) => None,
        });
        Spans(spans.collect())
    }

    /// Whether a block was made for a snapshot.
    #[inline]
    pub fn made(&self, block: &Block) -> bool {
        self.at(block.thread, block.time).is_some()
    }

    /// Whether a snapshot was taken at some time after `start`, up to `end`.
    pub fn meet(&self, start: u64, end: u64) -> bool {
        let meets = |span: &Span| span.start < end && span.end > start;
        self.0.iter().any(meets)
    }

    /// Ticks from `start` to `end` without those in which snapshots were taken; with two at a time
    /// too few, at least 0.
    pub fn between(&self, start: u64, end: u64) -> u64 {
        let inside = |span: &Span| span.end.min(end).saturating_sub(span.start.max(start));
        let taken = self.0.iter().map(inside).fold(0, u64::saturating_add);
        end.saturating_sub(start).saturating_sub(taken)
    }

    /// Number of the snapshot that a thread was taking then.
    pub fn at(&self, thread: u32, time: u64) -> Option<usize> {
        let holds = |span: &Span| span.thread == thread && (span.start..=span.end).contains(&time);
        self.0.iter().position(holds)
    }
}

#[cfg(test)]
impl Spans {
    /// Of thread 1, from start to end.
    pub fn given(spans: &[(u64, u64)]) -> Spans {
        let span = |&(start, end): &(u64, u64)| Span {
            thread: 1,
            start,
            end,
        };
        Spans(spans.iter().map(span).collect())
    }
}
