//! [`ServerBuilder`]: what a server is told to do. Each option is checked once, when it is started.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    AccessToken, Server,
    executor::PlanExecutor,
    options::{Executor, Options},
    routes,
    running::Running,
    searching::SearchFile,
    state::State,
};
#[cfg(feature = "redis")]
use crate::redis::{RedisMirror, Streams};
use crate::{
    bus::EventBus,
    error::{Error, ErrorKind, Result},
};

/// Options of a [`Server`].
#[derive(Clone, Debug)]
#[must_use = "a server does nothing until it is started"]
pub struct ServerBuilder {
    bus: EventBus,
    options: Options,
}

impl ServerBuilder {
    pub(super) fn new(bus: &EventBus) -> Self {
        Self { bus: bus.clone(), options: Options::default() }
    }

    /// Where to listen, `HOST:PORT`; by default `127.0.0.1:7070`. Port 0 takes a free one, which
    /// [`Server::addr`] tells.
    pub fn bind(mut self, addr: impl Into<String>) -> Self {
        self.options.bind = addr.into();
        self
    }

    /// On how many threads clients are served, 1 to 64; by default 2.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads;
        self
    }

    /// How many connections there may be at a time, 1 to 1,000,000; by default 4,096. One more is
    /// closed at once.
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.options.connections_max = connections;
        self
    }

    /// How many bytes the system keeps for a client that reads slowly (`SO_SNDBUF`), 4 KiB to 16 MiB;
    /// by default 128 KiB.
    pub fn send_buffer_bytes(mut self, bytes: u32) -> Self {
        self.options.send_buffer_bytes = bytes;
        self
    }

    /// After how long without an event a stream says that it is alive, 100 ms to 3 s; by default 2 s.
    pub fn heartbeat(mut self, time: Duration) -> Self {
        self.options.heartbeat = time;
        self
    }

    /// How long a client may take nothing of what it is sent before it is cut off, 100 ms to 10 min;
    /// by default 10 s.
    pub fn slow_client(mut self, time: Duration) -> Self {
        self.options.slow_client = time;
        self
    }

    /// The streams of a profile whose groups and dead letters `/metrics` and `/redis` tell of; whoever
    /// has a token that sees all tenants, or where there is none everybody, may also send dead letters
    /// back to their groups there. Redis is asked when somebody asks for it, for figures at most every few
    /// seconds; where it does not answer that is told.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, streams: Streams) -> Self {
        self.options.redis = Some(streams);
        self
    }

    /// A mirror of this process, which `/stats` tells of; may be called for several. The server does not
    /// keep it running.
    #[cfg(feature = "redis")]
    pub fn mirror(mut self, mirror: &RedisMirror) -> Self {
        self.options.mirrors.push(mirror.watch());
        self
    }

    /// What runs a plan when a client sends a message; by default nothing does, and messages are
    /// refused.
    pub fn executor(mut self, executor: impl PlanExecutor + 'static) -> Self {
        self.options.executor = Some(Executor(Arc::new(executor)));
        self
    }

    /// How long a client may take to send the head of a request, and then its body, 100 ms to 10 min; by
    /// default 10 s. A connection on which no request begins for so long is closed too.
    pub fn request_time(mut self, time: Duration) -> Self {
        self.options.request_time = time;
        self
    }

    /// How many bytes the body of a request may have, 1 KiB to 64 MiB; by default 5 MiB.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.options.body_bytes_max = bytes;
        self
    }

    /// Lets the holder of a token in, and nobody any more without one. A server without a token serves
    /// everything to everybody who reaches it, and therefore binds loopback addresses only.
    pub fn token(mut self, token: AccessToken) -> Self {
        self.options.access.tokens.push(token);
        self
    }

    /// A name or an address by which the server may be asked, without a port. By default these are
    /// `localhost`, loopback addresses and the host of the [public URL](Self::public_url); where the
    /// server binds other than loopback addresses, and in a router for another application, every
    /// address. Any other is refused: under a name of its own a foreign page could read the answer.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.options.access.hosts.push(host.into());
        self
    }

    /// An origin whose pages may ask the server, `https://ui.example.org`, exactly as browsers send it.
    /// Pages of other origins than the server's own are refused.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.options.access.origins.push(origin.into());
        self
    }

    /// Under which URL clients know the server, where a proxy stands before it:
    /// `https://bus.example.org`. With `https` the cookie of a session travels encrypted only.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.options.access.public_url = Some(url.into());
        self
    }

    /// Keeps a full-text index of the log, for `GET /events?q=...`, in a file beside the database, named
    /// as it with `.search` behind; by default there is none. It is made from the log, and may be
    /// removed while no server runs. Where it cannot be there, since another server has it or the
    /// directory cannot be written to, the log is served without.
    pub fn search(mut self) -> Self {
        self.options.search = Some(SearchFile::Beside);
        self
    }

    /// As [`search`](Self::search), in a file elsewhere, which must be usable. One server has it at a
    /// time.
    pub fn search_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.search = Some(SearchFile::At(path.into()));
        self
    }

    /// Starts the server, on threads of its own.
    ///
    /// # Errors
    /// `InvalidOption` names an option, or the bus where it has no store; `Unavailable` where the
    /// address cannot be listened at; of a search file also `Locked`, `InvalidInput`, `ReadOnly` and
    /// `DiskFull`.
    pub fn start(mut self) -> Result<Server> {
        self.options.check()?;
        let addr = self.resolve()?;
        self.options.access.bind(addr.ip())?;
        Running::start(self.bus, self.options, addr).map(Server::new)
    }

    /// The routes alone, for a program that has an axum application of its own and serves them there:
    /// an escape hatch to the types of [`planbus::server::axum`](super::axum). They have a fallback, so an
    /// application that has one too nests them under a path.
    ///
    /// What concerns connections, such as their number and how long one may take nothing of what it is
    /// sent, is then that program's to limit; without a token everybody who reaches that program sees
    /// everything. Streams end when the [bus is closed](EventBus::close): an application that waits for
    /// its connections to end closes it first.
    ///
    /// # Errors
    /// As [`start`](Self::start); `Unavailable` outside a tokio runtime.
    pub fn into_axum_router(self) -> Result<axum::Router> {
        self.options.check()?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|cause| {
            let message = "make a router: must be called inside a tokio runtime";
            Error::with_source(ErrorKind::Unavailable, message, cause)
        })?;
        Ok(routes::router(State::new(self.bus, self.options, runtime)?))
    }

    fn resolve(&self) -> Result<SocketAddr> {
        let bind = &self.options.bind;
        let wrong = |problem: String| Error::new(ErrorKind::InvalidOption, problem);
        let mut found = bind
            .to_socket_addrs()
            .map_err(|cause| wrong(format!("bind must be HOST:PORT, got {bind:?} ({cause})")))?;
        found.next().ok_or_else(|| wrong(format!("bind: {bind:?} has no address")))
    }
}
