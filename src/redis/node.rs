//! [`Node`]: one connection to one server, on which commands are sent together and answered in order.
//!
//! It sends nothing twice and never reconnects. The first failure ends what was being done, so that a
//! server that stands still costs one timeout whatever the number of commands. After it the node is
//! dropped: what comes late would be taken for the answer to a later command.

use std::{fmt, time::Duration};

use ::redis::{Connection, RedisResult, Value};

use super::fault::{self, Refusal};
use crate::error::Result;

/// What the server answered to one command.
pub(crate) type Reply = Result<Value, Refusal>;

/// What a server says of itself when greeted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// `redis`, `valkey` or another.
    pub(crate) kind: String,
    /// The version that this kind of server gives itself.
    pub(crate) version: String,
    /// `standalone`, `sentinel` or `cluster`.
    pub(crate) mode: String,
    /// `master` or `replica`.
    pub(crate) role: String,
}

/// One connection to one server.
pub(super) struct Node {
    connection: Connection,
    /// The server, as messages name it.
    name: String,
    /// How many answers are still to come.
    awaited: usize,
    pub(super) hello: Hello,
}

impl Node {
    pub(super) fn new(connection: Connection, name: String) -> Self {
        Self { connection, name, awaited: 0, hello: Hello::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends `count` commands, packed.
    pub(super) fn send(&mut self, packed: &[u8], count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.awaited += count;
        self.attempt("send commands to", |connection| connection.send_packed_command(packed))
    }

    /// Waits for one answer.
    pub(super) fn receive(&mut self) -> Result<Reply> {
        let value = self.attempt("read an answer from", Connection::recv_response)?;
        self.awaited = self.awaited.saturating_sub(1);
        Ok(match value {
            Value::ServerError(error) => Err(Refusal::from(error)),
            value => Ok(value),
        })
    }

    /// Waits for the answers to all that was sent, in its order.
    pub(super) fn receive_all(&mut self) -> Result<Vec<Reply>> {
        (0..self.awaited).map(|_| self.receive()).collect()
    }

    pub(super) fn set_timeouts(&mut self, read: Duration, write: Duration) -> Result<()> {
        self.attempt("set the timeouts of", |connection| {
            connection.set_read_timeout(Some(read))?;
            connection.set_write_timeout(Some(write))
        })
    }

    pub(super) fn set_read_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.attempt("set the timeout of", |connection| connection.set_read_timeout(Some(timeout)))
    }

    fn attempt<T>(&mut self, doing: &str, act: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T> {
        act(&mut self.connection).map_err(|cause| fault::lost(&format!("{doing} {}", self.name), cause))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.name).finish_non_exhaustive()
    }
}
