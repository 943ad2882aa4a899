//! What programs asked while they ran through LeakSanitizer's interface, and were told.

use heap::{LeakCheck, Profile};
use serde::Serialize;

use super::reach::unknown;
use crate::figures::{bytes, count, counted, duration};

/// A question and its answer.
#[derive(Clone, Serialize)]
pub struct JsonCheck {
    time_ns: u64,
    last: bool,
    lost_blocks: Option<u64>,
    lost_bytes: Option<u64>,
    set_aside_blocks: u64,
    not_known: Option<&'static str>,
}

impl From<&LeakCheck> for JsonCheck {
    fn from(check: &LeakCheck) -> JsonCheck {
        let lost = check.lost.ok();
        JsonCheck {
            time_ns: check.time.0,
            last: check.last,
            lost_blocks: lost.map(|lost| lost.blocks),
            lost_bytes: lost.map(|lost| lost.bytes.0),
            set_aside_blocks: check.set_aside,
            not_known: check.lost.err().map(unknown),
        }
    }
}

/// All questions of some processes in one line; `None` if there were none.
pub fn line(profiles: &[Profile]) -> Option<String> {
    let asked = || profiles.iter().flat_map(|profile| &profile.checks.asked);
    let some = asked().filter(|check| check.lost.is_ok_and(|lost| lost.blocks > 0));
    let (all, lost) = (asked().count() as u64, some.clone().count() as u64);
    let unknown = asked().filter(|check| check.lost.is_err()).count() as u64;
    let first = asked().next()?;
    if all == 1 {
        return Some(format!("when the program asked, {}", one(first)));
    }
    let mut text = format!("{} that the program asked: ", counted(all, "time"));
    match some.max_by_key(|check| check.lost.map_or(0, |lost| lost.bytes.0)) {
        Some(most) => {
            text += &format!(
                "blocks were lost at {}, most of them {}",
                count(lost),
                one(most)
            );
        }
        None => text += "nothing was lost",
    }
    if let (true, Some(Err(why))) = (
        unknown > 0,
        asked().map(|check| check.lost).find(Result::is_err),
    ) {
        text += &format!("; {} not known: {}", count(unknown), self::unknown(why));
    }
    Some(text)
}

/// When, and what the answer was.
fn one(check: &LeakCheck) -> String {
    let when = format!("{} after the start", duration(check.time.0));
    let aside = match check.set_aside {
        0 => String::new(),
        number => format!(" ({} ignored or suppressed)", count(number)),
    };
    match check.lost {
        Ok(lost) if lost.blocks > 0 => format!(
            "{when}: {} in {} lost{aside}",
            bytes(lost.bytes.0),
            counted(lost.blocks, "block")
        ),
        Ok(_) => format!("{when}: nothing lost{aside}"),
        Err(why) => format!("{when}: not known, {}", unknown(why)),
    }
}
