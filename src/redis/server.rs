//! [`ServerInfo`]: what a server is, and what of its configuration puts events at risk.
//!
//! It asks, and changes nothing. What an access control list keeps from us is unknown, never an
//! error.

use std::fmt;

use ::redis::{Cmd, cmd};
use serde::Serialize;

use super::{
    node::{Hello, Reply},
    reply,
};

/// From which part of its limit on a server's memory is nearly full.
const NEARLY_FULL_PERCENT: u128 = 80;

/// How a server keeps what it holds over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Persistence {
    /// The server does not say.
    #[default]
    Unknown,
    /// Not at all.
    None,
    /// By snapshots from time to time: a crash loses what came after the last one.
    Snapshots,
    /// By a file that every write is appended to.
    AppendOnly,
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Snapshots => "snapshots",
            Self::AppendOnly => "append-only file",
        })
    }
}

/// What a server is, and what of its configuration puts events at risk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// `redis`, `valkey` or another name that the server gives itself; empty where it gives none.
    pub kind: String,
    /// The version of this kind of server.
    pub version: String,
    /// How it is reached: `standalone`, `sentinel` or `cluster`.
    pub mode: String,
    /// `master` or `replica`; empty where the server does not say.
    pub role: String,
    /// How it keeps what it holds.
    pub persistence: Persistence,
    /// What it does when its memory is full: `noeviction`, or which keys it drops. `None` where it
    /// does not say.
    pub maxmemory_policy: Option<String>,
    /// What an operator should know, a sentence each. Empty where nothing is wrong.
    pub warnings: Vec<String>,
}

/// What a server says in answer to `INFO`, and to the one part of its configuration that `INFO`
/// does not hold.
#[derive(Debug, Default)]
pub(super) struct Facts {
    info: String,
    /// When the append-only file is synced, or else when snapshots are made.
    configured: Option<String>,
}

impl Facts {
    /// A server that tells nothing has no facts.
    pub(super) fn read(info: Reply) -> Self {
        Self {
            info: info.ok().and_then(|value| reply::text(value).ok()).unwrap_or_default(),
            configured: None,
        }
    }

    /// What to ask for the part that `INFO` does not hold.
    pub(super) fn configuration(&self) -> Cmd {
        let name = if self.is_append_only() { "appendfsync" } else { "save" };
        cmd("CONFIG").arg("GET").arg(name).to_owned()
    }

    /// Takes the answer to [`configuration`](Self::configuration).
    pub(super) fn configure(&mut self, answer: Reply) {
        let mut pairs = answer.ok().and_then(|value| reply::pairs(value).ok()).unwrap_or_default();
        self.configured = pairs.pop().and_then(|(_, value)| reply::text(value).ok());
    }

    pub(super) fn part(&self, name: &str) -> Option<&str> {
        reply::info_part(&self.info, name)
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.part(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// How much memory it may use, where there is a limit.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        Some(self.number("maxmemory")).filter(|limit| *limit > 0)
    }

    fn is_nearly_full(&self) -> bool {
        let used = u128::from(self.number("used_memory")) * 100;
        self.memory_limit().is_some_and(|limit| used >= u128::from(limit) * NEARLY_FULL_PERCENT)
    }

    fn is_append_only(&self) -> bool {
        self.part("aof_enabled") == Some("1")
    }

    fn persistence(&self) -> Persistence {
        match (self.part("aof_enabled"), self.configured.as_deref()) {
            (Some("1"), _) => Persistence::AppendOnly,
            (Some(_), Some("")) => Persistence::None,
            (Some(_), Some(_)) => Persistence::Snapshots,
            _ => Persistence::Unknown,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let policy = self.part("maxmemory_policy").unwrap_or("noeviction");
        if self.memory_limit().is_some() && policy != "noeviction" {
            warnings.push(format!(
                "maxmemory-policy is {policy}: the server may drop whole streams when its memory is full; \
                 set it to noeviction"
            ));
        }
        if policy == "noeviction" && self.is_nearly_full() {
            warnings.push(
                "the memory is nearly full: appends will be refused; raise maxmemory, or trim streams"
                    .to_owned(),
            );
        }
        match self.persistence() {
            Persistence::None => warnings.push(
                "the server keeps nothing over a restart (no append-only file, no snapshots): the mirror fills \
                 the streams again, but what groups have handled is lost; set appendonly to yes"
                    .to_owned(),
            ),
            Persistence::AppendOnly if self.configured.as_deref() == Some("no") => warnings.push(
                "appendfsync is no: a power cut loses what the system had not written yet; set it to everysec"
                    .to_owned(),
            ),
            _ => {}
        }
        if self.part("role") == Some("slave") {
            warnings.push("the server is a replica: it takes no entries".to_owned());
        }
        if self.part("loading") == Some("1") {
            warnings.push("the server is loading its data and answers nothing else yet".to_owned());
        }
        let failed = |name: &str| self.part(name).is_some_and(|status| status != "ok");
        if failed("aof_last_write_status") || failed("rdb_last_bgsave_status") {
            warnings
                .push("the server failed to write its data to the disk; it may refuse entries".to_owned());
        }
        warnings
    }
}

impl ServerInfo {
    /// What these servers are, one or the masters of a Cluster by address. What not all of them
    /// have in common is told with the addresses of those that it concerns.
    pub(super) fn new(hello: &Hello, mode: &str, servers: &[(String, Facts)]) -> Self {
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        for (address, facts) in servers {
            for warning in facts.warnings() {
                match told.iter_mut().find(|(known, _)| *known == warning) {
                    Some((_, addresses)) => addresses.push(address),
                    None => told.push((warning, vec![address])),
                }
            }
        }
        let warning = |(warning, addresses): (String, Vec<&str>)| match addresses.len() == servers.len() {
            true => warning,
            false => format!("{}: {warning}", addresses.join(", ")),
        };
        let Hello { kind, version, role, .. } = hello.clone();
        let first = servers.first().map(|(_, facts)| facts);
        let policy = first.and_then(|facts| facts.part("maxmemory_policy"));
        Self {
            kind,
            version,
            mode: mode.to_owned(),
            role,
            persistence: first.map_or(Persistence::Unknown, Facts::persistence),
            maxmemory_policy: policy.map(str::to_owned),
            warnings: told.into_iter().map(warning).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ::redis::Value;

    use super::*;

    fn facts(info: &str, configured: Option<&str>) -> Facts {
        let bulk = |text: &str| Value::BulkString(text.into());
        let configured = configured.map(|value| Value::Array(vec![bulk("save"), bulk(value)]));
        let refused = super::super::fault::Refusal::new("NOPERM", "no permission");
        let mut facts = Facts::read(Ok(bulk(info)));
        facts.configure(configured.ok_or(refused));
        facts
    }

    #[test]
    fn a_configuration_that_puts_events_at_risk_is_told_with_what_to_set() {
        let cases = [
            ("maxmemory:100\r\nmaxmemory_policy:allkeys-lru", None, "set it to noeviction"),
            ("maxmemory:100\r\nmaxmemory_policy:volatile-lru", None, "set it to noeviction"),
            ("maxmemory:100\r\nmaxmemory_policy:noeviction\r\nused_memory:80", None, "nearly full"),
            ("maxmemory:100\r\nused_memory:120", None, "nearly full"),
            ("aof_enabled:0", Some(""), "set appendonly to yes"),
            ("aof_enabled:1", Some("no"), "set it to everysec"),
            ("role:slave", None, "is a replica"),
            ("loading:1", None, "is loading"),
            ("aof_last_write_status:err", None, "failed to write"),
        ];
        for (info, configured, expected) in cases {
            let warnings = facts(info, configured).warnings();
            assert!(warnings.len() == 1 && warnings[0].contains(expected), "{info}: {warnings:?}");
        }
    }

    #[test]
    fn a_sound_server_and_one_that_tells_nothing_have_no_warnings() {
        let cases = [
            ("", None),
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru", None),
            ("maxmemory:0\r\nused_memory:80", None),
            ("maxmemory:100\r\nused_memory:79", None),
            (
                "maxmemory:100\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master",
                Some("everysec"),
            ),
            ("aof_enabled:0\r\nloading:0\r\nrdb_last_bgsave_status:ok", Some("3600 1")),
            ("aof_enabled:0", None),
        ];
        for (info, configured) in cases {
            assert_eq!(facts(info, configured).warnings(), Vec::<String>::new(), "{info}");
        }
        assert_eq!(facts("aof_enabled:0", None).persistence(), Persistence::Unknown);
        assert_eq!(facts("aof_enabled:0", Some("3600 1")).persistence(), Persistence::Snapshots);
    }

    #[test]
    fn a_warning_names_the_masters_that_it_concerns_unless_it_concerns_all() {
        let named = |name: &str, info: &str| (name.to_owned(), facts(info, Some("")));
        let servers = [named("a", "aof_enabled:0\r\nloading:1"), named("b", "aof_enabled:0")];
        let info = ServerInfo::new(&Hello::default(), "cluster", &servers);
        assert_eq!(info.warnings.len(), 2, "{info:?}");
        assert!(info.warnings[0].starts_with("the server keeps nothing"), "{info:?}");
        assert!(info.warnings[1].starts_with("a: the server is loading"), "{info:?}");
    }
}
