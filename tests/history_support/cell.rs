//! A cell: a server behind a proxy, a store, and the process that publishes and mirrors.

use std::path::PathBuf;

use super::{
    check::{self, Violations},
    publisher::{NAIVE, Publisher},
    random::Random,
};
use crate::{
    redis_support::{Fsync, Persistence, Proxy, RedisServer, ServerKind},
    store_support::memory_dir,
};

/// What a history runs in.
pub(crate) struct Cell {
    role: &'static str,
    mirror: &'static str,
    pub(crate) kind: ServerKind,
    pub(crate) server: RedisServer,
    pub(crate) proxy: Proxy,
    pub(crate) publisher: Publisher,
    /// The server was a replica: its configuration says so still.
    pub(crate) is_promoted: bool,
    dir: tempfile::TempDir,
}

impl Cell {
    /// A cell whose process runs the test `role` with a mirror of a profile; `None` where the test is to return.
    pub(crate) fn start(role: &'static str, kind: ServerKind, mirror: &'static str) -> Option<Self> {
        let server = server(kind, None)?;
        let proxy = Proxy::before(server.port());
        let dir = memory_dir();
        let publisher = Publisher::start(role, &dir.path().join("planbus.db"), &proxy.url(), mirror);
        Some(Self { role, mirror, kind, server, proxy, publisher, is_promoted: false, dir })
    }

    pub(crate) fn is_naive(&self) -> bool {
        self.mirror == NAIVE
    }

    /// The store.
    pub(crate) fn db(&self) -> PathBuf {
        self.dir.path().join("planbus.db")
    }

    /// Where the store is, and what else the processes leave.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A path beside the store.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Kills the process and starts another one on the same store.
    pub(crate) fn restart_publisher(&mut self) {
        self.replace_publisher(|_| {});
    }

    /// Kills the process, does something to the store, and starts another process.
    pub(crate) fn replace_publisher(&mut self, between: impl FnOnce(&Self)) {
        self.publisher.kill();
        between(self);
        self.publisher = self.another_publisher(&self.db());
    }

    /// A process more, on another store, into the same server.
    pub(crate) fn another_publisher(&self, db: &std::path::Path) -> Publisher {
        Publisher::start(self.role, db, &self.proxy.url(), self.mirror)
    }

    /// Kills the server, does something to its files, and starts it again.
    pub(crate) fn restart_server(&self, between: impl FnOnce(&Self)) {
        self.server.kill();
        between(self);
        self.server.restart();
        if self.is_promoted {
            self.server.promote();
        }
    }

    /// A server that follows this one through a port.
    pub(crate) fn replica_through(&self, port: u16) -> Option<RedisServer> {
        server(self.kind, Some(port))
    }

    /// One of the streams that are there, or will be.
    pub(crate) fn stream(&self, random: &mut Random) -> String {
        let streams = check::streams(&self.server);
        match streams.len() {
            0 if self.mirror == "per-type" => "events:workflow.progressed".to_owned(),
            0 => "planbus:{default}:events".to_owned(),
            several => streams[random.below(several)].clone(),
        }
    }

    /// What the streams lack, or have too much.
    pub(crate) fn violations(&self) -> Violations {
        check::compare(&self.db(), &self.server)
    }
}

/// Most histories run on Redis 7, some on what else is there.
pub(crate) fn server_of(seed: u64) -> ServerKind {
    let kind = match seed % 5 {
        1 => ServerKind::Valkey,
        3 => ServerKind::Redis62,
        _ => ServerKind::Redis7,
    };
    if kind.program().is_some() { kind } else { ServerKind::Redis7 }
}

fn server(kind: ServerKind, primary: Option<u16>) -> Option<RedisServer> {
    let builder = RedisServer::builder().kind(kind).tcp();
    let builder = builder.persistence(Persistence::Aof { fsync: Fsync::EverySecond });
    match primary {
        Some(port) => builder.replica_of(port).start(),
        None => builder.start(),
    }
}
