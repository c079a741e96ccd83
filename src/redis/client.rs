//! [`Client`]: a live connection, on which commands are sent together and answered one by one.
//!
//! It never sends anything twice and never reconnects: after the first failure of the connection,
//! or once the server said that it is the wrong one, it is dropped, and whoever needs another one
//! asks the endpoint.

use std::{fmt, time::Duration};

use ::redis::{Cmd, Value, cmd};

use super::{
    cluster::Cluster,
    node::{Hello, Node},
    server::{Facts, ServerInfo},
};
use crate::error::{Error, ErrorKind, Result};

pub(crate) use super::node::Reply;

/// A live connection to a Redis. In a Cluster it is one to each master that was needed so far, and
/// each command goes to the owner of its first key.
pub(crate) struct Client {
    link: Link,
    /// A failure, or a server that refused a command as only the wrong one does: a master that
    /// became a replica.
    is_over: bool,
    server: ServerInfo,
}

enum Link {
    One(Node),
    Cluster(Cluster),
}

impl Client {
    /// A connection to one server.
    pub(super) fn one(node: Node, mode: &str) -> Result<Self> {
        Self::new(Link::One(node), mode)
    }

    /// Connections to the masters of a Cluster.
    pub(super) fn cluster(cluster: Cluster, mode: &str) -> Result<Self> {
        Self::new(Link::Cluster(cluster), mode)
    }

    fn new(link: Link, mode: &str) -> Result<Self> {
        let mut client = Self { link, is_over: false, server: ServerInfo::default() };
        let mut facts = Facts::read(client.call(&cmd("INFO"))?);
        facts.configure(client.call(&facts.configuration())?);
        client.server = ServerInfo::new(client.hello(), mode, &[(String::new(), facts)]);
        Ok(client)
    }

    /// What the server is; in a Cluster the one that was asked first.
    pub(crate) fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// What the server, in a Cluster the first one, said of itself.
    pub(super) fn hello(&self) -> &Hello {
        match &self.link {
            Link::One(node) => &node.hello,
            Link::Cluster(cluster) => &cluster.hello,
        }
    }

    /// Sends one command and waits for its answer. `Err` means that the connection is lost.
    pub(crate) fn call(&mut self, command: &Cmd) -> Result<Reply> {
        self.send(std::slice::from_ref(command))?;
        let mut replies = self.receive()?;
        Ok(replies.pop().unwrap_or(Ok(Value::Nil)))
    }

    /// Sends commands without waiting for their answers, which [`receive`](Self::receive) takes.
    pub(crate) fn send(&mut self, commands: &[Cmd]) -> Result<()> {
        self.attempt(|link| match link {
            Link::Cluster(cluster) => cluster.send(commands),
            Link::One(node) => {
                let mut packed = Vec::new();
                commands.iter().for_each(|command| command.write_packed_command(&mut packed));
                node.send(&packed, commands.len())
            }
        })
    }

    /// Waits for the answers to all that was sent, in its order. A server that stands still is given
    /// up after one read timeout, however many answers are missing.
    pub(crate) fn receive(&mut self) -> Result<Vec<Reply>> {
        let replies = self.attempt(|link| match link {
            Link::One(node) => node.receive_all(),
            Link::Cluster(cluster) => cluster.receive_all(),
        })?;
        replies.iter().for_each(|reply| self.look_at(reply));
        Ok(replies)
    }

    /// Sends one command to every master, for what concerns no key, and names who answered what.
    pub(crate) fn each_master(&mut self, command: &Cmd) -> Result<Vec<(String, Reply)>> {
        let replies = self.attempt(|link| match link {
            Link::Cluster(cluster) => cluster.each_master(command),
            Link::One(node) => {
                node.send(&command.get_packed_command(), 1)?;
                Ok(vec![(node.name().to_owned(), node.receive()?)])
            }
        })?;
        replies.iter().for_each(|(_, reply)| self.look_at(reply));
        Ok(replies)
    }

    /// Sends one command to the master of this name, one that [`each_master`](Self::each_master) gave,
    /// to go on with what began there.
    pub(crate) fn call_master(&mut self, name: &str, command: &Cmd) -> Result<Reply> {
        let reply = self.attempt(|link| match link {
            Link::Cluster(cluster) => cluster.call_master(name, command),
            Link::One(node) => {
                node.send(&command.get_packed_command(), 1)?;
                node.receive()
            }
        })?;
        self.look_at(&reply);
        Ok(reply)
    }

    /// Another read timeout from now on: of a read that blocks, longer than it blocks.
    pub(crate) fn set_read_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.attempt(|link| match link {
            Link::One(node) => node.set_read_timeout(timeout),
            Link::Cluster(cluster) => cluster.set_read_timeout(timeout),
        })
    }

    /// Whether it is given up.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    fn look_at(&mut self, reply: &Reply) {
        self.is_over |= reply.as_ref().is_err_and(|refusal| refusal.needs_reconnect());
    }

    fn attempt<T>(&mut self, act: impl FnOnce(&mut Link) -> Result<T>) -> Result<T> {
        if self.is_over {
            let told = "redis: this connection is given up, another one is needed";
            return Err(Error::new(ErrorKind::Unavailable, told));
        }
        let done = act(&mut self.link);
        self.is_over = done.is_err();
        done
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hello { kind, version, .. } = self.hello();
        f.debug_struct("Client").field("kind", kind).field("version", version).finish_non_exhaustive()
    }
}
