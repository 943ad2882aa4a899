//! Why there is no heap snapshot over the DevTools protocol, each in one line.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::error::reason;
use crate::figures::bytes;

/// What ends `leak snapshot --inspect`. Nothing has been written then.
#[derive(Debug)]
pub enum Problem {
    /// Neither a process id nor an address.
    Address(String),
    /// There is no such process, or no more.
    Gone,
    /// The system does not let us look at it.
    NotOurs(io::Error),
    /// It is no Node, and has no inspector open.
    NotNode(String),
    /// Node, but SIGUSR1 would end it.
    Deaf,
    /// Node with another network name space that cannot be entered.
    Elsewhere(io::Error),
    /// Somebody else has the port that its inspector would use.
    PortTaken(u16),
    /// It got the signal and opened nothing.
    NotOpened(u16),
    /// Nobody answers there.
    Connect(io::Error),
    /// Somebody answers, but does not speak the protocol.
    NotInspector(String),
    /// There is nothing to choose from.
    NoTargets,
    /// Several, and none was chosen, or the choice fits none or several.
    Choose {
        /// What was chosen.
        wanted: Option<String>,
        /// All that there are.
        all: Vec<String>,
    },
    /// Somebody debugs it already, or the address is old.
    Refused(String),
    /// It ended, or closed the connection.
    Lost,
    /// The user waits no longer.
    Interrupted,
    /// No word for this many seconds.
    Silent(u64),
    /// It said no.
    Said(String),
    /// What came is no snapshot.
    NotWhole,
    /// It may need more memory than there is.
    Memory {
        /// Bytes that taking it may need.
        needs: u64,
        /// Bytes that are available.
        has: u64,
    },
    /// The file cannot be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Address(text) if text.starts_with("wss:") || text.starts_with("https:") => {
                write!(
                    f,
                    "{text:?} speaks TLS, which leak does not; give ws:// or HOST:PORT of the inspector behind it, through a \
                 tunnel if need be (ssh -L)"
                )
            }
            Problem::Address(text) => write!(
                f,
                "{text:?} is neither a process id nor an address; give PID, HOST:PORT, http://HOST:PORT or ws://…"
            ),
            Problem::Gone => write!(f, "there is no such process, or it has ended"),
            Problem::Interrupted => write!(f, "interrupted; nothing was written"),
            Problem::NotOurs(error) => write!(
                f,
                "it may not be looked at ({}): it belongs to someone else; try as its user or as root",
                reason(error)
            ),
            Problem::NotNode(name) => write!(
                f,
                "{name} is not Node, and has no inspector open; it got no signal. A Chromium needs \
                 --remote-debugging-port"
            ),
            Problem::Deaf => write!(
                f,
                "this Node does not open its inspector when it is asked to (SIGUSR1 is not caught: permission model, \
                 --disable-sigusr1, or it is just starting); it got no signal. Start it with leak run or with --inspect"
            ),
            Problem::Elsewhere(error) => write!(
                f,
                "it lives in another network ({}); run leak there (nsenter -t PID -n), or as root",
                reason(error)
            ),
            Problem::PortTaken(port) => write!(
                f,
                "port {port}, which its inspector would use, is taken by another process; it got no signal. End that \
                 one, or start the program with --inspect-port=0"
            ),
            Problem::NotOpened(port) => write!(
                f,
                "it got SIGUSR1, but opened no inspector (port {port}): it has a listener of its own for that signal, \
                 is stopped, or its standard error says why"
            ),
            Problem::Connect(error) => write!(
                f,
                "nobody answers ({}); is the inspector open, and the port right?",
                reason(error)
            ),
            Problem::NotInspector(why) => {
                write!(
                    f,
                    "this is no inspector ({why}); give the address that --inspect or --remote-debugging-port prints"
                )
            }
            Problem::NoTargets => {
                write!(f, "the inspector has nothing to look at; open a page first")
            }
            Problem::Choose { wanted, all } => {
                match wanted {
                    None => write!(f, "there are several targets")?,
                    Some(wanted) => write!(f, "--target {wanted} is not one of the targets")?,
                }
                write!(
                    f,
                    "; choose one by --target with its number or a part of its text:"
                )?;
                for (number, one) in all.iter().enumerate() {
                    write!(
                        f,
                        "{} {} {one}",
                        if number == 0 { "" } else { "," },
                        number + 1
                    )?;
                }
                Ok(())
            }
            Problem::Refused(why) => write!(
                f,
                "the inspector refuses ({why}); take the address anew, or give HOST:PORT"
            ),
            Problem::Lost => write!(
                f,
                "it ended or closed the connection before the snapshot was whole; nothing was written"
            ),
            Problem::Silent(seconds) => write!(
                f,
                "it says nothing for {seconds} s (in a long native call, or stopped); try again"
            ),
            Problem::Said(why) => write!(f, "it says: {why}"),
            Problem::NotWhole => write!(
                f,
                "what it sent is no whole snapshot; nothing was written, try again"
            ),
            Problem::Memory { needs, has } => write!(
                f,
                "taking it may need {} of memory, and {} are available; --force takes it nevertheless",
                bytes(*needs),
                bytes(*has)
            ),
            Problem::Write(path, error) => {
                write!(f, "cannot write {}: {}", path.display(), reason(error))
            }
        }
    }
}
