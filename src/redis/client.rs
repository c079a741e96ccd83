//! [`Client`]: one live connection, on which commands are sent together and answered one by one.
//!
//! It never sends anything twice and never reconnects: after the first failure of the connection
//! it is dropped, and whoever needs another one asks the endpoint.

use std::fmt;

use ::redis::{Cmd, Value};

use super::fault::{self, Refusal};
use crate::error::Result;

/// One live connection to a Redis.
pub(crate) struct Client {
    connection: ::redis::Connection,
    /// How many answers are still to come.
    in_flight: usize,
}

/// What the server answered to one command.
pub(crate) type Reply = Result<Value, Refusal>;

impl Client {
    pub(super) fn new(connection: ::redis::Connection) -> Self {
        Self { connection, in_flight: 0 }
    }

    pub(crate) fn server(&self) -> super::ServerInfo {
        super::ServerInfo::default()
    }
    /// Sends one command and waits for its answer. `Err` means that the connection is lost.
    pub(crate) fn call(&mut self, command: &Cmd) -> Result<Reply> {
        self.send(std::slice::from_ref(command))?;
        let mut replies = self.receive()?;
        Ok(replies.pop().unwrap_or(Ok(Value::Nil)))
    }

    /// Sends commands without waiting for their answers, which [`receive`](Self::receive) takes.
    pub(crate) fn send(&mut self, commands: &[Cmd]) -> Result<()> {
        let mut packed = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut packed));
        self.in_flight += commands.len();
        self.connection.send_packed_command(&packed).map_err(|cause| fault::lost("send commands", cause))
    }

    /// Waits for the answers to all that was sent, in its order.
    pub(crate) fn receive(&mut self) -> Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(self.in_flight);
        while self.in_flight > 0 {
            let value =
                self.connection.recv_response().map_err(|cause| fault::lost("read an answer", cause))?;
            self.in_flight -= 1;
            replies.push(match value {
                Value::ServerError(error) => Err(Refusal::from(error)),
                value => Ok(value),
            });
        }
        Ok(replies)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
