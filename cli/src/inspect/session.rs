//! The DevTools protocol: commands and their answers, events between them.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::problem::Problem;
use crate::live::interrupt;

/// Longest silence: a collection of a large heap comes before the first word.
const SILENCE: Duration = Duration::from_secs(120);
/// Longest wait for the first answer.
const FIRST: Duration = Duration::from_secs(20);
/// Silence after which a program is taken for one that does not come back to its event loop.
const BUSY: Duration = Duration::from_secs(4);

/// A connection to a target.
pub struct Session {
    socket: WebSocket<TcpStream>,
    next: u64,
    patience: Duration,
}

/// What comes from a target: an answer (with the id of the command) or an event.
#[derive(Deserialize)]
struct Word {
    id: Option<u64>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Session {
    /// Connects to `ws://HOST:PORT/ID`.
    pub fn connect(url: &str) -> Result<Session, Problem> {
        let host = url
            .strip_prefix("ws://")
            .and_then(|rest| rest.split('/').next())
            .ok_or_else(|| Problem::Address(url.to_owned()))?;
        let mut error = io::ErrorKind::AddrNotAvailable.into();
        for address in host.to_socket_addrs().map_err(Problem::Connect)? {
            let stream = match TcpStream::connect_timeout(&address, FIRST) {
                Ok(stream) => stream,
                Err(why) => {
                    error = why;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            stream
                .set_read_timeout(Some(FIRST))
                .map_err(Problem::Connect)?;
            return match tungstenite::client(url, stream) {
                Ok((socket, _)) => Ok(Session {
                    socket,
                    next: 1,
                    patience: FIRST,
                }),
                Err(tungstenite::HandshakeError::Failure(why)) => {
                    Err(Problem::Refused(why.to_string()))
                }
                Err(tungstenite::HandshakeError::Interrupted(_)) => {
                    Err(Problem::Silent(FIRST.as_secs()))
                }
            };
        }
        Err(Problem::Connect(error))
    }

    /// Sends a command without waiting for its answer.
    pub fn send(&mut self, method: &str, params: Value) -> Result<u64, Problem> {
        let id = self.next;
        self.next += 1;
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        self.socket
            .send(Message::text(text))
            .map_err(|error| self.lost(error))?;
        Ok(id)
    }

    /// Sends a command and waits for its answer; events meanwhile are told to `event`.
    pub fn ask(
        &mut self,
        method: &str,
        params: Value,
        event: impl FnMut(&str, Value) -> Result<(), Problem>,
    ) -> Result<Value, Problem> {
        let id = self.send(method, params)?;
        self.answer(id, event)
    }

    /// Waits for the answer to a command.
    fn answer(
        &mut self,
        id: u64,
        mut event: impl FnMut(&str, Value) -> Result<(), Problem>,
    ) -> Result<Value, Problem> {
        loop {
            let message = self.socket.read().map_err(|error| self.lost(error))?;
            let Message::Text(text) = message else {
                if matches!(message, Message::Close(_)) {
                    return Err(Problem::Lost);
                }
                continue;
            };
            let word: Word = serde_json::from_str(&text)
                .map_err(|error| Problem::NotInspector(error.to_string()))?;
            if let Some(method) = word.method {
                event(&method, word.params)?;
            } else if word.id == Some(id) {
                return match word.error {
                    Some(refusal) => Err(Problem::Said(refusal.message)),
                    None => Ok(word.result),
                };
            }
        }
    }

    /// Takes a heap snapshot into a file, and says how long the program stood still for it. `progress`
    /// is told how much of how much is done.
    pub fn heap_snapshot(
        &mut self,
        file: &mut impl Write,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Duration, Written> {
        let mut failed = None;
        let mut event = |method: &str, params: Value| {
            // Also where the signal came between two reads.
            if interrupt::came() {
                return Err(Problem::Interrupted);
            }
            match method {
                "HeapProfiler.addHeapSnapshotChunk" => {
                    if let Some(chunk) = params["chunk"].as_str()
                        && let Err(error) = file.write_all(chunk.as_bytes())
                    {
                        failed = Some(error);
                        return Err(Problem::Lost);
                    }
                }
                "HeapProfiler.reportHeapSnapshotProgress" => {
                    let figure = |name: &str| params[name].as_u64().unwrap_or_default();
                    progress(figure("done"), figure("total"));
                }
                _ => {}
            }
            Ok(())
        };
        let taken = self.take(&mut event);
        taken.map_err(|problem| match failed {
            Some(error) => Written::File(error),
            None => Written::Problem(problem),
        })
    }

    fn take(
        &mut self,
        event: &mut impl FnMut(&str, Value) -> Result<(), Problem>,
    ) -> Result<Duration, Problem> {
        let begin = Instant::now();
        let id = self.send(
            "HeapProfiler.takeHeapSnapshot",
            json!({"reportProgress": true}),
        )?;
        self.wait_for(BUSY)?;
        let first = self.answer(id, &mut *event);
        self.wait_for(SILENCE)?;
        if !matches!(first, Err(Problem::Silent(_))) {
            return first.map(|_| begin.elapsed());
        }
        // V8 12 and later take it as a task of the event loop, to which a busy program does not come; a
        // program that the debugger has stopped runs such tasks.
        let begin = Instant::now();
        self.send("Debugger.enable", json!({}))?;
        self.send("Debugger.pause", json!({}))?;
        let second = self.answer(id, &mut *event);
        if second.is_ok() {
            self.ask("Debugger.disable", json!({}), |_, _| Ok(()))?;
        }
        second.map(|_| begin.elapsed())
    }

    /// How long the next silence may be.
    fn wait_for(&mut self, patience: Duration) -> Result<(), Problem> {
        self.patience = patience;
        let stream = self.socket.get_ref();
        stream
            .set_read_timeout(Some(patience))
            .map_err(Problem::Connect)
    }

    /// Ends the connection.
    pub fn close(mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    fn lost(&self, error: tungstenite::Error) -> Problem {
        match error {
            _ if interrupt::came() => Problem::Interrupted,
            tungstenite::Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                Problem::Silent(self.patience.as_secs())
            }
            _ => Problem::Lost,
        }
    }
}

/// Why a snapshot was not written.
#[derive(Debug)]
pub enum Written {
    /// The target's side.
    Problem(Problem),
    /// Ours.
    File(io::Error),
}
