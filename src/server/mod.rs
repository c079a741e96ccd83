//! The server: follows the log for programs elsewhere, over HTTP.
//!
//! Server-sent events and WebSockets follow the log or a plan; A2A 1.0 and 0.3 and AG-UI follow plans
//! in other makers' words; a JSON API gives pages of events and plans, `/metrics` figures. A client
//! that was cut off goes on where it was, and has every event once, in the order of the log. The
//! repository's `docs/http.md` has the routes, their parameters and what each promises.
//!
//! Whoever reaches the server sees the log, unless it has [tokens](ServerBuilder::token): without one it
//! listens at loopback addresses only. Clients start plans where a [`PlanExecutor`] runs them.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use planbus::{EventBus, EventStore, server::Server};
//!
//! let bus = EventBus::builder().store(EventStore::open("planbus.db")?).build()?;
//! let server = Server::builder(&bus).bind("127.0.0.1:7070").start()?;
//! println!("curl -N {}/events/stream", server.url());
//! // The runtime publishes; clients follow.
//! server.stop(Duration::from_secs(5));
//! # Ok::<(), planbus::Error>(())
//! ```
//!
//! Everything asynchronous stays in this module, on threads of the server's own: the rest of planbus is
//! synchronous and knows nothing of it. The server reads the log, never writes it, and never holds up
//! whoever does. The one thing that a client changes is in a Redis that the server was given: it may
//! send dead letters back to their groups.

mod a2a;
mod access;
mod agui;
mod api;
mod body;
mod brief;
mod builder;
mod cloud_event;
mod counters;
mod credentials;
mod executor;
mod feed;
mod figures;
mod followed;
mod following;
mod form;
mod frame;
mod listener;
mod metrics;
#[cfg(feature = "redis")]
mod mirrors;
mod monitoring;
mod options;
mod page;
mod params;
mod problem;
mod readiness;
mod reads;
#[cfg(feature = "redis")]
mod redis;
mod rendering;
mod ring;
mod routes;
mod running;
mod searching;
mod sse;
mod state;
mod stream;
mod subscriber;
mod task;
mod websocket;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// The crate whose router [`ServerBuilder::into_axum_router`] gives.
pub use axum;

use self::running::Running;
pub use self::{
    access::AccessToken,
    builder::ServerBuilder,
    executor::{PlanExecutor, PlanRequest},
    subscriber::{A2AEventSubscriber, Gap, Update},
};
use crate::{
    bus::EventBus,
    error::Result,
    filter::{Filter, Start},
};

/// A server that runs, on threads of its own. Dropped, it stops at once.
#[derive(Debug)]
#[must_use = "a server stops when it is dropped"]
pub struct Server {
    running: Running,
}

impl Server {
    /// Begins to build a server of a bus's log. The bus must have a store; one that was opened for
    /// reading only, beside the process that owns it, does as well.
    pub fn builder(bus: &EventBus) -> ServerBuilder {
        ServerBuilder::new(bus)
    }

    fn new(running: Running) -> Self {
        Self { running }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// Its address as a URL, `http://127.0.0.1:7070`; where it listens at all addresses, that of this
    /// machine for itself.
    #[must_use]
    pub fn url(&self) -> String {
        let addr = self.running.addr;
        let ip = match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, addr.port()))
    }

    /// Lets the holder of one more token in. With the first one nobody is let in without a token any
    /// more, and streams of those who came without end.
    ///
    /// # Errors
    /// `InvalidOption` where a field of the token is wrong; `Conflict` where another has its name or its
    /// secret.
    pub fn add_token(&self, token: AccessToken) -> Result<()> {
        self.running.state.access.add_token(token)
    }

    /// Lets the holders of these tokens in, and nobody else: what a token opened that is not among them, or
    /// has changed, ends at once; what another opened goes on. An empty list lets nobody in.
    ///
    /// # Errors
    /// As [`add_token`](Self::add_token); then nothing has changed.
    pub fn set_tokens(&self, tokens: impl IntoIterator<Item = AccessToken>) -> Result<()> {
        self.running.state.access.set_tokens(tokens.into_iter().collect())
    }

    /// Takes a token back, by its name: what it opened ends at once, streams, sessions and tickets; says
    /// whether there was one. Without its last token a server lets nobody in.
    pub fn revoke(&self, name: &str) -> bool {
        self.running.state.access.revoke(name)
    }

    /// A cursor over the events that the filter matches, for a transport of one's own: it replays from
    /// `start`, then follows. A place that the log does not hold is told as a [`Gap`].
    ///
    /// # Errors
    /// `InvalidInput` for a filter with a wrong field; `Storage`, `Corrupt` and `Closed` from the store.
    pub async fn subscribe(&self, filter: Filter, start: Start) -> Result<A2AEventSubscriber> {
        self.running.state.subscribe(filter, start).await
    }

    /// Figures about who follows now.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        ServerStats { followers: self.running.state.feed().readers() }
    }

    /// Waits until somebody follows the log, at most this long, and says whether somebody does: for a
    /// program that is to be watched from its first event.
    pub fn wait_for_followers(&self, time: Duration) -> bool {
        self.running.state.feed().wait_for_reader(time)
    }

    /// Stops: no client is taken any more, streams end where they are, and requests that run have until
    /// the deadline. Clients of streams come again where they were. Says whether all ended by
    /// themselves; what did not is cut.
    pub fn stop(mut self, deadline: Duration) -> bool {
        self.running.stop(deadline)
    }
}

/// Figures about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// How many follow the log at the moment: streams of clients, and [subscribers](Server::subscribe).
    pub followers: usize,
}
