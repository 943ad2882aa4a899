//! Requests are taken back when the user interrupts the command, or when nobody waits for what they
//! give any more.

use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

/// The signal that came, [`GIVEN_UP`], or 0.
static CAME: AtomicI32 = AtomicI32::new(0);
/// Without a signal.
const GIVEN_UP: i32 = -1;

/// Lets the signals by which users and supervisors end a command be noted instead; the second one ends it.
pub fn catch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: live locals, zeroes are a valid sigaction; the handler stores a word.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            let asked = libc::sigaction(signal, std::ptr::null(), &mut old);
            if asked != 0 || old.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            let mut new: libc::sigaction = std::mem::zeroed();
            new.sa_sigaction = note as *const () as usize;
            // Without SA_RESTART: a wait for an answer ends.
            new.sa_flags = libc::SA_RESETHAND;
            libc::sigaction(signal, &new, std::ptr::null_mut());
        }
    }
}

extern "C" fn note(signal: i32) {
    CAME.store(signal, Relaxed);
}

/// From now on nobody waits for answers.
pub fn give_up() {
    let _ = CAME.compare_exchange(0, GIVEN_UP, Relaxed, Relaxed);
}

/// Whether to wait no longer.
pub fn came() -> bool {
    CAME.load(Relaxed) != 0
}

/// Ends this process by the signal that came, if one did.
pub fn end() {
    let signal = CAME.load(Relaxed);
    if signal > 0 {
        // SAFETY: plain calls on this process.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}
