//! What was still in the rings when the program ended: read post mortem and
//! merged by time.
//!
//! Nothing in a ring is trusted. A ring begins at the greater of its own tail
//! and the last one that a window names (the program may have been killed
//! between writing the window and giving room back).
//!
//! Inside one ring the times nearly ascend: a signal handler may write its
//! records between the moment at which the interrupted record took its time
//! and the moment at which it took its place. So a few records are looked
//! ahead and put in order of time before rings are merged.

use super::ring_view::RingView;
use super::source::{Source, u64_at};
use crate::blob::{BlobKind, Thread};
use crate::error::DamageList;
use crate::layout::PAGE;
use crate::record::{self, MAX_RECORD, Record, UNIT};
use crate::window::Tail;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::format;
use std::sync::Arc;
use std::vec::Vec;

/// Records of a ring that are put in order of time.
const LOOK_AHEAD: usize = 64;
/// Bytes of a ring that are read at once.
const READ: u64 = 1 << 15;

/// A record of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingEvent {
    /// Id of the ring.
    pub ring: u32,
    /// Serial of the thread that owned it then; 0 if not known.
    pub thread: u32,
    /// Event clock.
    pub time: u64,
    /// What happened.
    pub record: Record,
    /// A blob's content, else empty.
    pub payload: Vec<u8>,
}

/// The records of all rings, by time.
#[derive(Debug)]
pub struct TailEvents {
    cursors: Vec<Cursor>,
    /// Time of each cursor's first record.
    order: BinaryHeap<Reverse<(u64, usize)>>,
    /// Nothing later is given.
    until: u64,
    /// Damage met while reading; for [`super::Log::damage_mut`].
    damage: DamageList,
}

impl TailEvents {
    pub(super) fn new(
        source: &Arc<Source>,
        rings: &[Arc<RingView>],
        tails: &[Tail],
        since: u64,
        damage: &mut DamageList,
    ) -> TailEvents {
        let mut seen = HashSet::new();
        let mut cursors = Vec::new();
        for view in rings {
            match Cursor::open(source, view, tails, since) {
                Ok((cursor, complaint)) => {
                    if !seen.insert(view.id) {
                        damage.add(format!(
                            "ring {} at {:#x}: there are two of it",
                            view.id, view.offset
                        ));
                        continue;
                    }
                    if let Some(what) = complaint {
                        damage.add(format!("ring {} at {:#x}: {what}", view.id, view.offset));
                    }
                    cursors.push(cursor);
                }
                Err(what) => damage.add(format!("ring at {:#x}: {what}; skipped", view.offset)),
            }
        }
        // The latest event that the first look saw, if there were two.
        let until = if cursors.iter().any(|cursor| cursor.view.copy.is_some()) {
            cursors
                .iter()
                .filter_map(Cursor::last_of_first_look)
                .max()
                .unwrap_or(0)
        } else {
            u64::MAX
        };
        let mut events = TailEvents {
            cursors,
            order: BinaryHeap::new(),
            until,
            damage: DamageList::new(&source.path),
        };
        for index in 0..events.cursors.len() {
            events.requeue(index);
        }
        events
    }

    /// Whether the rings were empty.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Damage met while reading so far.
    pub fn damage(&self) -> &DamageList {
        &self.damage
    }

    /// The next record in order of time. Where several rings have one at the
    /// same instant, the first that `fits` says fits what went before (a free
    /// of a block that is there, an allocation where none is).
    pub fn next(&mut self, fits: impl Fn(&RingEvent) -> bool) -> Option<RingEvent> {
        let Reverse((time, first)) = self.order.pop()?;
        if time > self.until {
            self.order.clear();
            return None;
        }
        let mut equal = Vec::new();
        while let Some(&Reverse((other, index))) = self.order.peek()
            && other == time
        {
            self.order.pop();
            equal.push(index);
        }
        let mut chosen = first;
        if !equal.is_empty() {
            equal.push(first);
            equal.sort_unstable();
            let front = |&index: &usize| self.cursors.get(index)?.ready.front();
            chosen = equal
                .iter()
                .copied()
                .find(|index| front(index).is_some_and(&fits))
                .or_else(|| equal.first().copied())?;
            let rest = equal.iter().filter(|&&index| index != chosen);
            self.order.extend(rest.map(|&index| Reverse((time, index))));
        }
        let event = self.cursors.get_mut(chosen)?.ready.pop_front();
        self.requeue(chosen);
        event
    }

    fn requeue(&mut self, index: usize) {
        if let Some(cursor) = self.cursors.get_mut(index) {
            cursor.fill(&mut self.damage);
            if let Some(event) = cursor.ready.front() {
                self.order.push(Reverse((event.time, index)));
            }
        }
    }
}

/// Reads one ring.
#[derive(Clone, Debug)]
struct Cursor {
    source: Arc<Source>,
    view: Arc<RingView>,
    thread: u32,
    pos: u64,
    end: u64,
    /// The head cannot be believed: stop where times stop ascending.
    doubtful: bool,
    last_time: u64,
    buf: Vec<u8>,
    /// Position of the first byte in `buf`.
    buf_pos: u64,
    ready: VecDeque<RingEvent>,
}

impl Cursor {
    fn open(
        source: &Arc<Source>,
        view: &Arc<RingView>,
        tails: &[Tail],
        since: u64,
    ) -> Result<(Cursor, Option<&'static str>), &'static str> {
        let &RingView {
            head,
            tail: own_tail,
            capacity,
            id,
            ..
        } = &**view;
        let mut cursor = Cursor {
            source: Arc::clone(source),
            view: Arc::clone(view),
            thread: 0,
            pos: 0,
            end: 0,
            doubtful: false,
            last_time: since,
            buf: Vec::new(),
            buf_pos: 0,
            ready: VecDeque::new(),
        };
        if capacity == 0 && head == 0 && own_tail == 0 {
            // Reserved, not yet begun.
            return Ok((cursor, None));
        }
        if id != view.extent_id {
            return Err("its two ids differ");
        }
        if !capacity.is_power_of_two() || capacity < UNIT {
            return Err("its size is impossible");
        }
        let told = tails
            .iter()
            .find(|tail| tail.ring == id)
            .copied()
            .unwrap_or_default();
        let tail = own_tail.max(told.tail);
        // A head before the tail is one that its thread was correcting, or a
        // window whose end stands in the log already.
        let pending = head.saturating_sub(tail);
        cursor.pos = tail;
        cursor.end = tail.saturating_add(pending);
        cursor.thread = told.thread;
        let mut complaint = None;
        if capacity > view.len.saturating_sub(PAGE) {
            complaint = Some("the file ends inside; read what is there");
        }
        if !tail.is_multiple_of(UNIT) || tail.checked_add(capacity).is_none() {
            return Err("its tail is impossible");
        }
        if pending > capacity || !head.is_multiple_of(UNIT) {
            cursor.end = tail + capacity;
            cursor.doubtful = true;
            complaint = Some("its head is impossible; read the records that make sense");
        } else if own_tail > told.tail {
            complaint = Some("records were consumed, but the window with them is not in the log");
        }
        Ok((cursor, complaint))
    }

    /// Time of the latest record that the first look at the ring saw.
    fn last_of_first_look(&self) -> Option<u64> {
        let mut cursor = self.clone();
        cursor.end = cursor.end.min(cursor.view.first_head);
        let mut last = None;
        while cursor.pos < cursor.end {
            let Some((event, len)) = cursor.parse() else {
                break;
            };
            cursor.last_time = event.time;
            cursor.pos += len;
            last = last.max(Some(event.time));
        }
        last
    }

    /// Reads ahead until [`LOOK_AHEAD`] records are in order.
    fn fill(&mut self, damage: &mut DamageList) {
        while self.ready.len() < LOOK_AHEAD && self.pos < self.end {
            let Some((event, len)) = self.parse() else {
                if !self.doubtful {
                    damage.add(format!(
                        "ring {}: no record at position {:#x}; the last {} bytes are skipped",
                        self.view.id,
                        self.pos,
                        self.end - self.pos
                    ));
                }
                self.end = self.pos;
                return;
            };
            if self.doubtful && event.time < self.last_time {
                self.end = self.pos;
                return;
            }
            self.last_time = event.time;
            self.pos += len;
            if let Record::Time { .. } = event.record {
                continue;
            }
            let place = self.ready.partition_point(|other| other.time <= event.time);
            self.ready.insert(place, event);
        }
    }

    /// The record at `pos` and its length.
    fn parse(&mut self) -> Option<(RingEvent, u64)> {
        let first = u64_at(self.bytes(UNIT)?, 0);
        let len = record::length(first);
        let last_time = self.last_time;
        if len == 0 || len > self.end - self.pos {
            return None;
        }
        let bytes = self.bytes(len)?;
        let record = Record::decode(|word| u64_at(bytes, word as usize * 8))?;
        let time = match record {
            Record::Time { time } => time,
            _ if record::has_time(first) => u64_at(bytes, 8),
            // Not before the last time told.
            _ => last_time,
        };
        let mut payload = Vec::new();
        if let Record::Blob { len, .. } = record {
            payload.extend_from_slice(bytes.get(16..16 + len)?);
        }
        if let Record::Blob { what, .. } = record
            && what == BlobKind::ThreadStart as u8
            && let Some(thread) = Thread::decode(&payload)
        {
            self.thread = thread.serial;
        }
        let event = RingEvent {
            ring: self.view.id,
            thread: self.thread,
            time,
            record,
            payload,
        };
        Some((event, len))
    }

    /// The next `len` bytes from `pos`, at most [`MAX_RECORD`].
    fn bytes(&mut self, len: u64) -> Option<&[u8]> {
        let have = (self.buf_pos + self.buf.len() as u64).saturating_sub(self.pos);
        if self.buf.is_empty() || have < len {
            self.refill()?;
        }
        let at = usize::try_from(self.pos - self.buf_pos).ok()?;
        self.buf.get(at..at + usize::try_from(len).ok()?)
    }

    fn refill(&mut self) -> Option<()> {
        const { assert!(READ >= MAX_RECORD) };
        let want = usize::try_from((self.end - self.pos).min(READ)).ok()?;
        self.buf.clear();
        self.buf.resize(want, 0);
        self.buf_pos = self.pos;
        let Cursor { view, source, .. } = self;
        let place = self.pos & (view.capacity - 1);
        let before_wrap = usize::try_from(view.capacity - place).ok()?.min(want);
        let (one, two) = self.buf.split_at_mut_checked(before_wrap)?;
        let got = view.read(source, place, one);
        let got = if got == before_wrap {
            got + view.read(source, 0, two)
        } else {
            got
        };
        self.buf.truncate(got);
        Some(())
    }
}
