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
    builder::{RedisBuilder, SOCKET},
    port::free_port,
    process::{Process, last_lines},
    tls::Certificates,
    wait_for,
    wire::{self, Entry, Reply, Wire},
};

/// How many entries one XRANGE asks for.
const PAGE: usize = 1_000;

/// A private server.
pub(crate) struct RedisServer {
    process: Mutex<Option<Process>>,
    port: Mutex<Option<u16>>,
    certificates: Option<Certificates>,
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

    /// Of what was asked; it does not run yet.
    pub(super) fn new(setup: RedisBuilder, program: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the server");
        let make = || setup.tls_names.as_ref().map(|names| Certificates::make(dir.path(), names));
        let certificates = setup.certificates.clone().or_else(make);
        Self { process: Mutex::new(None), port: Mutex::new(None), certificates, program, setup, dir }
    }

    /// How a server is to be.
    pub(crate) fn builder() -> RedisBuilder {
        RedisBuilder::new()
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
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        match (*lock(&self.port), user) {
            (Some(port), None) => format!("{scheme}://127.0.0.1:{port}"),
            (Some(port), Some((user, password))) => format!("{scheme}://{user}:{password}@127.0.0.1:{port}"),
            (None, None) => format!("unix://{}", self.socket().display()),
            (None, Some((user, password))) => {
                format!("unix://{}?user={user}&pass={password}", self.socket().display())
            }
        }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// Its port; only one that was started with `tcp` has one.
    pub(crate) fn port(&self) -> u16 {
        lock(&self.port).expect("started with tcp()")
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The authority that signed its certificate, and one that did not.
    pub(crate) fn authorities(&self) -> [&Path; 2] {
        let made = self.certificates.as_ref().expect("started with tls()");
        [&made.ca, &made.other_ca]
    }

    /// How a server is to be that trusts this one and is trusted by it: one of TLS where this one is.
    pub(super) fn companion(&self) -> RedisBuilder {
        match &self.certificates {
            Some(certificates) => Self::builder().tls_with(certificates.clone()),
            None => Self::builder().tcp(),
        }
    }

    /// Whether it was not killed.
    pub(crate) fn is_running(&self) -> bool {
        lock(&self.process).is_some()
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
        let state = format!("/proc/{}/stat", self.pid());
        // The signal arrives a moment later than it is sent.
        wait_for("the server is stopped", || {
            fs::read_to_string(&state).is_ok_and(|text| text.contains(") T "))
        });
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

    /// Takes a port, where it is to have one, and writes the configuration.
    pub(super) fn configure(&self) {
        let port = self.setup.tcp.then(free_port);
        *lock(&self.port) = port;
        let text = self.setup.configuration(self.dir(), port.unwrap_or(0), self.certificates.as_ref());
        fs::write(self.configuration(), text).expect("writes");
    }

    /// Starts the process and waits until it answers; `false` when its port is taken.
    pub(super) fn run(&self) -> bool {
        let mut running = lock(&self.process);
        let configuration = self.configuration();
        let mut arguments = vec![configuration.to_str().expect("a path in UTF-8")];
        if self.setup.is_sentinel {
            arguments.push("--sentinel");
        }
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
