//! Where an inspector listens, and which of its targets is meant.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::problem::Problem;

/// Longest wait for a small answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The same where somebody else may be listening.
const PROBE: Duration = Duration::from_secs(2);

/// What the user gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Address {
    /// A process id.
    Process(i32),
    /// `HOST:PORT` of an inspector.
    Http(String),
    /// `ws://…`, a target.
    Socket(String),
}

impl Address {
    /// Understands what the user gave.
    pub fn parse(text: &str) -> Result<Address, Problem> {
        let wrong = || Problem::Address(text.to_owned());
        if let Ok(pid) = text.parse::<i32>() {
            return if pid > 0 {
                Ok(Address::Process(pid))
            } else {
                Err(wrong())
            };
        }
        if let Some(rest) = text.strip_prefix("ws://") {
            let host = rest.split('/').next().unwrap_or_default();
            return has_port(host)
                .then(|| Address::Socket(text.to_owned()))
                .ok_or_else(wrong);
        }
        let host = text.strip_prefix("http://").unwrap_or(text);
        let host = host.split('/').next().unwrap_or_default();
        has_port(host)
            .then(|| Address::Http(host.to_owned()))
            .ok_or_else(wrong)
    }
}

/// Whether a text ends in a port.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// What an inspector tells of a target (`/json/list`).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// A page's title; a program's name.
    #[serde(default)]
    pub title: String,
    /// Its page or main module.
    #[serde(default)]
    pub url: String,
    /// `node`, `page`, `iframe`, `worker`, …
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Where it is spoken to; none while some other debugger has it.
    pub web_socket_debugger_url: Option<String>,
}

impl Target {
    /// One line for people.
    pub fn shown(&self) -> String {
        match (&*self.title, &*self.url) {
            ("", url) => format!("{} {url}", self.kind),
            (title, "" | "file://") => format!("{} {title:?}", self.kind),
            (title, url) => format!("{} {title:?} ({url})", self.kind),
        }
    }
}

/// Whether an inspector listens there.
pub fn is_inspector(address: SocketAddr) -> bool {
    list(&address.to_string(), PROBE).is_ok()
}

/// All targets of an inspector.
pub fn targets(host: &str) -> Result<Vec<Target>, Problem> {
    list(host, ANSWER)
}

fn list(host: &str, most: Duration) -> Result<Vec<Target>, Problem> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(most))
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let failed = |error: ureq::Error| match error {
        ureq::Error::Io(error) => Problem::Connect(error),
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
            Problem::Connect(std::io::ErrorKind::NotFound.into())
        }
        error => Problem::NotInspector(error.to_string()),
    };
    let text = agent
        .get(format!("http://{host}/json/list"))
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string())
        .map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| Problem::NotInspector(error.to_string()))
}

/// The target that is meant: by number (from 1) or a part of its title or address; without a word
/// the only one, or the only page.
pub fn choose(all: Vec<Target>, wanted: Option<&str>) -> Result<Target, Problem> {
    if all.is_empty() {
        return Err(Problem::NoTargets);
    }
    let shown: Vec<String> = all.iter().map(Target::shown).collect();
    let fits = |(number, target): &(usize, &Target)| match wanted {
        Some(wanted) => match wanted.parse::<usize>() {
            Ok(index) => number + 1 == index,
            Err(_) => target.title.contains(wanted) || target.url.contains(wanted),
        },
        None => true,
    };
    let fitting: Vec<&Target> = all
        .iter()
        .enumerate()
        .filter(fits)
        .map(|(_, t)| t)
        .collect();
    let pages = || fitting.iter().filter(|target| target.kind == "page");
    let found = match fitting[..] {
        [one] => Some(one),
        _ if wanted.is_none() && pages().count() == 1 => pages().next().copied(),
        _ => None,
    };
    found.cloned().ok_or_else(|| Problem::Choose {
        wanted: wanted.map(str::to_owned),
        all: shown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(title: &str, kind: &str) -> Target {
        Target {
            title: title.to_owned(),
            url: format!("http://example.org/{title}"),
            kind: kind.to_owned(),
            web_socket_debugger_url: None,
        }
    }

    #[test]
    fn addresses_are_understood() {
        let parse = |text| Address::parse(text).ok();
        assert_eq!(parse("4711"), Some(Address::Process(4711)));
        for text in [
            "localhost:9229",
            "http://localhost:9229",
            "http://localhost:9229/json",
        ] {
            assert_eq!(
                parse(text),
                Some(Address::Http("localhost:9229".to_owned()))
            );
        }
        assert_eq!(
            parse("[::1]:9229"),
            Some(Address::Http("[::1]:9229".to_owned()))
        );
        let socket = "ws://127.0.0.1:9229/0e7";
        assert_eq!(parse(socket), Some(Address::Socket(socket.to_owned())));
        for text in [
            "",
            "0",
            "-3",
            "app.js",
            "localhost",
            "ws://x",
            "x:0",
            "https://x:1",
            "x:65536",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_target_is_chosen_by_number_or_text_and_the_only_page_by_itself() {
        let all = || vec![target("Shop", "page"), target("frame", "iframe")];
        let title = |wanted| choose(all(), wanted).map(|target| target.title).ok();
        assert_eq!(title(None).as_deref(), Some("Shop"));
        assert_eq!(title(Some("2")).as_deref(), Some("frame"));
        assert_eq!(title(Some("Sho")).as_deref(), Some("Shop"));
        assert_eq!(title(Some("3")), None);
        assert_eq!(title(Some("example.org")), None);
        let two = vec![target("a", "page"), target("b", "page")];
        let error = choose(two, None).expect_err("two pages").to_string();
        assert!(
            error.contains("1 page \"a\"") && !error.contains('\n'),
            "{error}"
        );
    }
}
