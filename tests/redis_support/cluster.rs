//! [`Cluster`]: masters and replicas on the loopback, as `examples/redis/cluster.conf` configures them.
//!
//! Put together by commands of the servers themselves, not by `redis-cli`, which waits longer.

use std::path::Path;

use super::{RedisBuilder, RedisServer, wait_for, wire::Entry};

/// How many masters a cluster has; Redis wants three for a failover.
const MASTERS: usize = 3;

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// A cluster.
pub(crate) struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Three masters; with a replica each where `with_replicas`; `None` where the test is to return.
    pub(crate) fn start(with_replicas: bool) -> Option<Self> {
        Self::of(RedisServer::builder().tcp(), if with_replicas { 2 * MASTERS } else { MASTERS })
    }

    /// Three masters that speak TLS alone, with each other too.
    pub(crate) fn start_tls() -> Option<Self> {
        Self::of(RedisServer::builder().tls(), MASTERS)
    }

    fn of(first: RedisBuilder, count: usize) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/redis/cluster.conf");
        let configuration = std::fs::read_to_string(path).expect("the example is there");
        let start =
            |node: RedisBuilder| configuration.lines().fold(node, |node, line| node.line(line)).start();
        let mut nodes = vec![start(first)?];
        for _ in 1..count {
            nodes.push(start(nodes[0].companion())?);
        }
        let cluster = Self { nodes };
        cluster.join();
        Some(cluster)
    }

    fn join(&self) {
        let (masters, replicas) = self.nodes.split_at(MASTERS);
        for (at, node) in self.nodes.iter().enumerate() {
            // Each its own, so that they need not find out who yields.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
            for other in &self.nodes[..at] {
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
            }
        }
        for (at, master) in masters.iter().enumerate() {
            let (first, end) = (SLOTS * at / MASTERS, SLOTS * (at + 1) / MASTERS);
            master.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()]);
        }
        for (replica, master) in replicas.iter().zip(masters) {
            let id = master.command(&["CLUSTER", "MYID"]);
            wait_for("the replica knows its master", || {
                replica.command(&["CLUSTER", "NODES"]).lines().any(|line| {
                    line.starts_with(&id) && line.contains("master") && !line.contains("handshake")
                })
            });
            replica.command(&["CLUSTER", "REPLICATE", &id]);
        }
        self.wait_until_whole();
    }

    /// Waits until all nodes that run agree that each slot is served, and replicas follow.
    pub(crate) fn wait_until_whole(&self) {
        for node in self.running() {
            wait_for("the cluster is whole", || {
                let info = node.command(&["CLUSTER", "INFO"]);
                let replication = node.command(&["INFO", "replication"]);
                let knows = format!("cluster_known_nodes:{}", self.nodes.len());
                info.contains("cluster_state:ok")
                    && info.contains(&knows)
                    && (replication.contains("role:master") || replication.contains("master_link_status:up"))
            });
        }
    }

    /// Where its nodes are: `127.0.0.1:PORT`.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect()
    }

    /// Where it is, for the product.
    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://{}", self.addresses().join(","))
    }

    /// Its nodes, the masters of the beginning first.
    pub(crate) fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The master that serves a key now.
    pub(crate) fn master_of(&self, key: &str) -> &RedisServer {
        let mut found = None;
        wait_for("a master serves the key", || {
            found = self.running().find(|node| serves(node, key));
            found.is_some()
        });
        found.expect("was waited for")
    }

    /// All entries of a stream.
    pub(crate) fn entries(&self, key: &str) -> Vec<Entry> {
        self.master_of(key).entries(key)
    }

    /// Kills the master of a key and waits until its replica has taken over; gives who was killed.
    pub(crate) fn kill_master_of(&self, key: &str) -> &RedisServer {
        let master = self.master_of(key);
        master.kill();
        self.wait_until_served(key);
        master
    }

    /// Makes the replica of the master of a key the master, in order: nothing is lost.
    pub(crate) fn failover(&self, key: &str) {
        let master = self.master_of(key);
        let id = master.command(&["CLUSTER", "MYID"]);
        let follows = |node: &&RedisServer| {
            node.command(&["CLUSTER", "NODES"])
                .lines()
                .any(|line| line.contains("myself,slave") && line.split(' ').nth(3) == Some(&id))
        };
        let replica = self.running().find(follows).expect("the master has a replica");
        replica.command(&["CLUSTER", "FAILOVER"]);
        wait_for("the replica is the master", || serves(replica, key) && !serves(master, key));
        self.wait_until_served(key);
    }

    fn wait_until_served(&self, key: &str) {
        self.master_of(key);
        for node in self.running() {
            wait_for("all know of the new master", || {
                node.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
            });
        }
    }

    fn running(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.is_running())
    }
}

/// Whether a node is the master of a key in its own eyes: others are answered with MOVED.
fn serves(node: &RedisServer, key: &str) -> bool {
    use super::Reply;
    matches!(node.call(&["EXISTS", key]), Reply::Integer(_))
}
