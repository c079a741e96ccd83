//! [`RedisServer`]: a private server in a directory of its own, which ends with its test.
//!
//! Always on a unix socket, by which the test itself looks into it; on a port of the loopback too where
//! the test asks. Reads no configuration of this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{
    SERVER_LIMIT,
    port::free_port,
    process::{Process, last_lines},
    programs::ServerKind,
    wait_for,
    wire::{self, Entry, Reply, Wire},
};

/// How many entries one XRANGE asks for.
const PAGE: usize = 1_000;

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
    tcp: bool,
    password: Option<String>,
}

impl RedisBuilder {
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
        let dir = tempfile::tempdir().expect("a directory for the server");
        let server =
            RedisServer { port: Mutex::new(None), process: Mutex::new(None), program, dir, setup: self };
        for _ in 0..STARTS_MAX {
            server.configure();
            if server.run() {
                return Some(server);
            }
        }
        panic!("no port is free");
    }
}

/// A private server.
pub(crate) struct RedisServer {
    process: Mutex<Option<Process>>,
    port: Mutex<Option<u16>>,
    program: PathBuf,
    setup: RedisBuilder,
    // The last to go: the server is gone before its directory.
    dir: TempDir,
}

impl RedisServer {
    /// A Redis 7 on a unix socket that keeps nothing; `None` where the test is to return.
    pub(crate) fn start() -> Option<Self> {
        Self::builder().start()
    }

    /// How a server is to be.
    pub(crate) fn builder() -> RedisBuilder {
        RedisBuilder { kind: ServerKind::Redis7, lines: Vec::new(), tcp: false, password: None }
    }

    /// Where it is, for the product: its port where it has one, else its socket.
    pub(crate) fn url(&self) -> String {
        match &self.setup.password {
            None => self.url_of(None),
            Some(password) => self.url_of(Some(("default", password))),
        }
    }

    /// Where it is, for this user.
    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        self.url_of(Some((user, password)))
    }

    fn url_of(&self, user: Option<(&str, &str)>) -> String {
        match (*lock(&self.port), user) {
            (Some(port), None) => format!("redis://127.0.0.1:{port}"),
            (Some(port), Some((user, password))) => format!("redis://{user}:{password}@127.0.0.1:{port}"),
            (None, None) => format!("unix://{}", self.socket().display()),
            (None, Some((user, password))) => {
                format!("unix://{}?user={user}&pass={password}", self.socket().display())
            }
        }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Its port; only one that was started with `tcp` has one.
    pub(crate) fn port(&self) -> u16 {
        lock(&self.port).expect("started with tcp()")
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        lock(&self.process).as_ref().expect("it runs").id()
    }

    /// A connection of the test's own, by the socket.
    pub(crate) fn wire(&self) -> std::io::Result<Wire> {
        let mut wire = Wire::unix(&self.socket())?;
        if let Some(password) = &self.setup.password {
            wire.call(&["AUTH", password])?;
        }
        Ok(wire)
    }

    /// Runs a command, which must succeed, and gives its answer as `redis-cli` would print it.
    pub(crate) fn command<A: AsRef<[u8]>>(&self, arguments: &[A]) -> String {
        match self.call(arguments) {
            Reply::Error(error) => panic!("{}: {error}", String::from_utf8_lossy(arguments[0].as_ref())),
            reply => reply.to_string(),
        }
    }

    /// Runs a command and gives its answer, be it an error.
    pub(crate) fn call<A: AsRef<[u8]>>(&self, arguments: &[A]) -> Reply {
        self.wire().and_then(|mut wire| wire.call(arguments)).expect("the server answers")
    }

    /// All entries of a stream; none where there is no stream.
    pub(crate) fn entries(&self, key: &str) -> Vec<Entry> {
        let mut wire = self.wire().expect("the server answers");
        let (count, mut all, mut start) = (PAGE.to_string(), Vec::new(), "-".to_owned());
        loop {
            let reply = wire.call(&["XRANGE", key, &start, "+", "COUNT", &count]).expect("answers");
            if let Reply::Error(error) = reply {
                panic!("XRANGE {key}: {error}");
            }
            let page = wire::entries(reply);
            let Some((last, _)) = page.last() else { return all };
            start = format!("({last}");
            all.extend(page);
        }
    }

    /// Stops it in its tracks (SIGSTOP): connections stay, answers do not come.
    pub(crate) fn stop(&self) {
        lock(&self.process).as_ref().expect("it runs").signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn cont(&self) {
        lock(&self.process).as_ref().expect("it runs").signal(Signal::SIGCONT);
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub(crate) fn kill(&self) {
        lock(&self.process).take();
    }

    /// Kills it where it runs, and starts it again: same directory, same address.
    pub(crate) fn restart(&self) {
        self.kill();
        assert!(self.run(), "its port was taken meanwhile:\n{}", self.last_lines());
    }

    /// Ends it in order, without saving.
    pub(crate) fn shutdown_nosave(&self) {
        let mut process = lock(&self.process);
        let wire = self.wire().and_then(|mut wire| wire.call(&["SHUTDOWN", "NOSAVE"]));
        assert!(!matches!(wire, Ok(Reply::Error(_))), "SHUTDOWN: {wire:?}");
        process.take().expect("it runs").wait();
    }

    /// Makes a replica a primary.
    pub(crate) fn promote(&self) {
        self.command(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Waits until it has taken over all that its primary has, and follows it.
    pub(crate) fn wait_until_synced(&self) {
        wait_for("the replica follows", || {
            self.command(&["INFO", "replication"]).contains("master_link_status:up")
        });
    }

    /// The last lines that it put out.
    pub(crate) fn last_lines(&self) -> String {
        last_lines(&self.output())
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("output.log")
    }

    fn configuration(&self) -> PathBuf {
        self.dir.path().join("redis.conf")
    }

    fn configure(&self) {
        let port = self.setup.tcp.then(free_port);
        *lock(&self.port) = port;
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {}", port.unwrap_or(0)),
            format!("unixsocket {}", self.socket().display()),
            format!("dir {}", self.dir.path().display()),
            "save \"\"".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        if self.setup.kind != ServerKind::Redis62 {
            lines.push("enable-debug-command yes".to_owned());
        }
        lines.extend_from_slice(&self.setup.lines);
        fs::write(self.configuration(), lines.join("\n") + "\n").expect("writes");
    }

    /// Starts the process and waits until it answers; `false` when its port is taken.
    fn run(&self) -> bool {
        let mut running = lock(&self.process);
        let configuration = self.configuration();
        let arguments = [configuration.to_str().expect("a path in UTF-8")];
        let mut process = Process::start(&self.program, &arguments, &self.output());
        let mut ended = None;
        wait_for("the server answers", || {
            ended = process.ended();
            // A replica that is still copying answers, and so does one that loads its file, with an error.
            let is_ready =
                || matches!(self.wire().and_then(|mut wire| wire.call(&["PING"])), Ok(Reply::Bytes(_)));
            ended.is_some() || is_ready()
        });
        if let Some(status) = ended {
            let lines = self.last_lines();
            assert!(lines.contains("Address already in use"), "the server ended: {status}\n{lines}");
            return false;
        }
        *running = Some(process);
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing of ours is left half done by a panic: a failing test must still end its servers.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
