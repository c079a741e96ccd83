//! [`Sentinels`]: a primary, its replicas, and three sentinels that replace it when it is gone.

use super::{RedisBuilder, RedisServer, wait_for};

/// How many sentinels there are; two of them must agree.
const SENTINELS: usize = 3;

/// How the sentinels name what they watch.
const NAME: &str = "planbus";

/// A primary with replicas, watched by sentinels.
pub(crate) struct Sentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// One primary and so many replicas; `None` where the test is to return.
    pub(crate) fn start(replicas: usize) -> Option<Self> {
        Self::of(RedisServer::builder().tcp(), replicas)
    }

    /// As [`start`](Self::start), of servers and sentinels that speak TLS alone, with each other too.
    pub(crate) fn start_tls(replicas: usize) -> Option<Self> {
        Self::of(RedisServer::builder().tls(), replicas)
    }

    fn of(primary: RedisBuilder, replicas: usize) -> Option<Self> {
        let primary = primary.start()?;
        let port = primary.port();
        let mut servers = vec![primary];
        for _ in 0..replicas {
            servers.push(servers[0].companion().replica_of(port).start()?);
        }
        servers[1..].iter().for_each(RedisServer::wait_until_synced);
        let sentinel = || {
            servers[0]
                .companion()
                .sentinel()
                .line(format!("sentinel monitor {NAME} 127.0.0.1 {port} {}", SENTINELS / 2 + 1))
                .line(format!("sentinel down-after-milliseconds {NAME} 500"))
                .line(format!("sentinel failover-timeout {NAME} 5000"))
                .start()
        };
        let sentinels = (0..SENTINELS).map(|_| sentinel()).collect::<Option<Vec<_>>>()?;
        let watched = Self { servers, sentinels };
        watched.wait_until_all_know(replicas);
        Some(watched)
    }

    fn wait_until_all_know(&self, replicas: usize) {
        for sentinel in &self.sentinels {
            wait_for("the sentinels know each other and the replicas", || {
                sentinel.call(&["SENTINEL", "SENTINELS", NAME]).items().len() == SENTINELS - 1
                    && sentinel.call(&["SENTINEL", "REPLICAS", NAME]).items().len() == replicas
            });
        }
    }

    /// How the sentinels name what they watch.
    pub(crate) fn name(&self) -> &'static str {
        NAME
    }

    /// Where the sentinels are: `127.0.0.1:PORT`.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect()
    }

    /// Where they are, for the product.
    pub(crate) fn url(&self) -> String {
        format!("redis+sentinel://{}/{NAME}", self.addresses().join(","))
    }

    /// The servers, the primary of the beginning first.
    pub(crate) fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The sentinels.
    pub(crate) fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The server that is the primary now, by what the first sentinel says.
    pub(crate) fn primary(&self) -> &RedisServer {
        let address = self.sentinels[0].command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        let port = address.lines().nth(1).expect("host and port");
        let named = |server: &&RedisServer| server.port().to_string() == port;
        self.servers.iter().find(named).expect("one of ours")
    }

    /// Kills the primary and waits until all sentinels name another, which has taken over; gives who was
    /// killed.
    pub(crate) fn kill_primary(&self) -> &RedisServer {
        let old = self.primary();
        old.kill();
        let port = old.port().to_string();
        for sentinel in &self.sentinels {
            wait_for("the sentinels name another primary", || {
                let address = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
                address.lines().nth(1) != Some(&port)
            });
        }
        wait_for("the new primary has taken over", || {
            self.primary().command(&["INFO", "replication"]).contains("role:master")
        });
        old
    }
}
