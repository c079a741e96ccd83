//! [`RedisBuilder`]: how a private server is to be, and its configuration.
//!
//! Takes nothing from the configuration of this machine.

use std::path::Path;

use super::{programs::ServerKind, server::RedisServer, tls::Certificates};

/// The name of a server's socket in its directory.
pub(super) const SOCKET: &str = "redis.sock";

/// How often a start is tried when somebody else takes the port first.
const STARTS_MAX: usize = 5;

/// What a server keeps over its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Persistence {
    /// Nothing.
    None,
    /// What the last SAVE or orderly shutdown wrote.
    Rdb,
    /// Every write, as durable as `fsync` says.
    Aof {
        /// When the file is synced.
        fsync: Fsync,
    },
}

/// When the append-only file is synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fsync {
    /// Before each answer.
    Always,
    /// Every second.
    EverySecond,
    /// When the system likes.
    Never,
}

/// How a server is to be.
#[derive(Clone)]
pub(crate) struct RedisBuilder {
    kind: ServerKind,
    lines: Vec<String>,
    pub(super) tcp: bool,
    pub(super) is_sentinel: bool,
    /// The names in its certificate, where it speaks TLS.
    pub(super) tls_names: Option<String>,
    /// Its certificate, where another server has it too.
    pub(super) certificates: Option<Certificates>,
    pub(super) password: Option<String>,
}

impl RedisBuilder {
    pub(super) fn new() -> Self {
        Self {
            kind: ServerKind::Redis7,
            lines: Vec::new(),
            tcp: false,
            is_sentinel: false,
            tls_names: None,
            certificates: None,
            password: None,
        }
    }

    /// Which server; [`ServerKind::Redis7`] unless told.
    pub(crate) fn kind(mut self, kind: ServerKind) -> Self {
        self.kind = kind;
        self
    }

    /// Listens on a free port of the loopback too, which [`RedisServer::url`] names then.
    pub(crate) fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Speaks TLS, and nothing else, on its port, with a certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn tls(self) -> Self {
        self.tls_for("DNS:localhost,IP:127.0.0.1")
    }

    /// As [`tls`](Self::tls), with a certificate for other names, like `DNS:elsewhere.example`.
    pub(crate) fn tls_for(mut self, names: &str) -> Self {
        self.tls_names = Some(names.to_owned());
        self.tcp()
    }

    /// Speaks TLS as another server does, with certificates that were made for it.
    pub(super) fn tls_with(mut self, certificates: Certificates) -> Self {
        self.certificates = Some(certificates);
        self.tcp()
    }

    /// Runs as a sentinel.
    pub(super) fn sentinel(mut self) -> Self {
        self.is_sentinel = true;
        self
    }

    /// What is kept over its end; nothing unless told.
    pub(crate) fn persistence(self, persistence: Persistence) -> Self {
        match persistence {
            Persistence::None => self,
            Persistence::Rdb => self.line("save 3600 1"),
            Persistence::Aof { fsync } => {
                let when = match fsync {
                    Fsync::Always => "always",
                    Fsync::EverySecond => "everysec",
                    Fsync::Never => "no",
                };
                self.line("appendonly yes").line(format!("appendfsync {when}"))
            }
        }
    }

    /// Its limit of memory, and what it does at the limit, like `noeviction`.
    pub(crate) fn maxmemory(self, bytes: u64, policy: &str) -> Self {
        self.line(format!("maxmemory {bytes}")).line(format!("maxmemory-policy {policy}"))
    }

    /// The password of the user `default`.
    pub(crate) fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(format!("requirepass {password}"))
    }

    /// One user more, with rules like `~planbus:* +xadd`.
    pub(crate) fn acl(self, user: &str, rules: &str, password: &str) -> Self {
        self.line(format!("user {user} on >{password} {rules}"))
    }

    /// Follows the server at a port of the loopback: its own or that of a proxy before it.
    pub(crate) fn replica_of(self, port: u16) -> Self {
        self.line(format!("replicaof 127.0.0.1 {port}"))
    }

    /// A line of configuration.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Starts it and waits until it answers; `None` where the test is to return, which has been told.
    pub(crate) fn start(self) -> Option<RedisServer> {
        let program = self.kind.program()?;
        let server = RedisServer::new(self, program);
        for _ in 0..STARTS_MAX {
            server.configure();
            if server.run() {
                return Some(server);
            }
        }
        panic!("no port is free");
    }

    /// The text of its configuration, in which what the test asked for comes last and so holds.
    pub(super) fn configuration(&self, dir: &Path, port: u16, certificates: Option<&Certificates>) -> String {
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("unixsocket {}", dir.join(SOCKET).display()),
            format!("dir {}", dir.display()),
            "save \"\"".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        match certificates {
            None => lines.push(format!("port {port}")),
            Some(made) => lines.extend([
                "port 0".to_owned(),
                format!("tls-port {port}"),
                format!("tls-ca-cert-file {}", made.ca.display()),
                format!("tls-cert-file {}", made.certificate.display()),
                format!("tls-key-file {}", made.key.display()),
                "tls-auth-clients no".to_owned(),
                "tls-replication yes".to_owned(),
                "tls-cluster yes".to_owned(),
            ]),
        }
        if self.kind != ServerKind::Redis62 {
            lines.push("enable-debug-command yes".to_owned());
        }
        lines.extend_from_slice(&self.lines);
        lines.join("\n") + "\n"
    }
}
