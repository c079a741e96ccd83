//! [`Health`]: how a Redis is now, for people and monitors.
//!
//! Asked anew each time over a connection of its own; nothing is kept and nothing is changed.

use std::time::{Duration, Instant};

use ::redis::cmd;
use serde::{Serialize, Serializer};

use super::{
    RedisEndpoint,
    server::{Facts, ServerInfo},
};
use crate::error::Result;

/// Whether a Redis that answers is fit for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthStatus {
    /// It answers, and nothing is to be warned of.
    Healthy,
    /// It answers, and the warnings say what is wrong.
    Degraded,
}

/// How a Redis is now.
///
/// As JSON, the parts of [`server`](Self::server) stand beside the others, and the latency is
/// `latency_ms`, a number with fractions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether it is fit for use.
    pub status: HealthStatus,
    /// How long a `PING` took, in a Cluster until the last master had answered.
    #[serde(rename = "latency_ms", serialize_with = "millis")]
    pub latency: Duration,
    /// How many clients are connected, on all masters together.
    pub connected_clients: u64,
    /// How much memory is in use, on all masters together.
    pub used_memory_bytes: u64,
    /// How much memory may be in use, on all masters together; `None` where one has no limit, or
    /// does not say.
    pub max_memory_bytes: Option<u64>,
    /// What it is. In a Cluster the warnings of all masters, with the addresses of those that do
    /// not concern every one.
    #[serde(flatten)]
    pub server: ServerInfo,
    /// The figures of each master: one, or those of a Cluster.
    pub masters: Vec<NodeHealth>,
}

/// How one server is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeHealth {
    /// Its host and port, or the path of its socket.
    pub address: String,
    /// How many clients are connected to it.
    pub connected_clients: u64,
    /// How much memory it uses.
    pub used_memory_bytes: u64,
    /// How much memory it may use; `None` where it has no limit, or does not say.
    pub max_memory_bytes: Option<u64>,
}

fn millis<S: Serializer>(latency: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(latency.as_micros() as f64 / 1_000.0)
}

impl RedisEndpoint {
    /// How the Redis is now. In a Cluster, every master is asked.
    ///
    /// # Errors
    /// `Unavailable` when the server, or a master of the Cluster, cannot be reached; `Unauthorized`
    /// when it refuses the credentials. What the credentials do not allow to see is left out.
    pub fn health(&self) -> Result<Health> {
        let mut client = self.connect()?;
        let mut masters: Vec<(String, Facts)> = Vec::new();
        for (address, reply) in client.each_master(&cmd("INFO"))? {
            masters.push((address, Facts::read(reply)));
        }
        if let Some(question) = masters.first().map(|(_, facts)| facts.configuration()) {
            let answers = client.each_master(&question)?;
            for ((_, facts), (_, answer)) in masters.iter_mut().zip(answers) {
                facts.configure(answer);
            }
        }
        let start = Instant::now();
        client.each_master(&cmd("PING"))?;
        let latency = start.elapsed();
        let server = ServerInfo::new(client.hello(), self.mode(), &masters);
        let masters: Vec<NodeHealth> = masters.into_iter().map(NodeHealth::new).collect();
        Ok(Health {
            status: if server.warnings.is_empty() { HealthStatus::Healthy } else { HealthStatus::Degraded },
            latency,
            connected_clients: masters.iter().map(|master| master.connected_clients).sum(),
            used_memory_bytes: masters.iter().map(|master| master.used_memory_bytes).sum(),
            max_memory_bytes: masters.iter().map(|master| master.max_memory_bytes).sum(),
            server,
            masters,
        })
    }
}

impl NodeHealth {
    fn new((address, facts): (String, Facts)) -> Self {
        Self {
            address,
            connected_clients: facts.number("connected_clients"),
            used_memory_bytes: facts.number("used_memory"),
            max_memory_bytes: facts.memory_limit(),
        }
    }
}
