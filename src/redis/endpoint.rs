//! [`RedisEndpoint`]: where a Redis is, and how to reach it.
//!
//! It holds no connection, and shows its secrets nowhere.

use std::{
    fmt,
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    back_off::BackOff,
    client::Client,
    cluster::Cluster,
    dial::{Target, check_files, dial},
    node::Node,
    sentinel,
    settings::{Place, Secret, Settings, Waits, invalid},
    url,
};
use crate::error::Result;

/// Where a Redis is, and how to reach it. Cheap to clone.
///
/// | URL | reaches |
/// |---|---|
/// | `redis://[user:password@]host[:6379][/db]` | one server |
/// | `unix:///path[?db=0&user=..&pass=..]`, also `redis+unix://` | one server at a socket |
/// | `redis+sentinel://[user:password@]host[:26379],../master[/db]` | the master that Sentinels name |
/// | `redis+cluster://[user:password@]host[:6379],..` | a Cluster, which any of its nodes names |
///
/// With `rediss`, `rediss+sentinel` and `rediss+cluster` every connection is one of TLS. Characters
/// of a user or password that mean something in a URL are percent-encoded.
///
/// Behind a question mark: `connect_timeout`, `read_timeout`, `write_timeout`, `back_off_first` and
/// `back_off_max` (like `500ms` or `3s`), `ca_file`, `client_cert` and `client_key` (paths of PEM
/// files), `sentinel_user` and `sentinel_pass`. Each is described at the builder's method of its
/// name.
///
/// `Debug` and `Display` show the URL without its secrets.
///
/// ```
/// use planbus::redis::RedisEndpoint;
///
/// let endpoint = RedisEndpoint::parse("rediss://app:s3cret@redis.example/2?read_timeout=5s")?;
/// assert_eq!(endpoint.to_string(), "rediss://app:***@redis.example:6379/2");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisEndpoint {
    settings: Arc<Settings>,
    /// How many connections were asked for, of all clones together.
    connections: Arc<AtomicUsize>,
}

impl RedisEndpoint {
    /// The endpoint of a URL.
    ///
    /// # Errors
    /// `InvalidInput` says what is wrong with the URL, and repeats nothing of it; also where a file
    /// of certificates cannot be read.
    pub fn parse(url: &str) -> Result<Self> {
        Self::builder(url).build()
    }

    /// An endpoint with more than its URL says.
    pub fn builder(url: &str) -> RedisEndpointBuilder {
        RedisEndpointBuilder(url::parse(url))
    }

    /// A new connection, to the master where there are several servers.
    pub(crate) fn connect(&self) -> Result<Client> {
        let (settings, mode) = (&self.settings, self.mode());
        let one = |target| Client::one(single(dial(settings, target, &settings.login, settings.db)?)?, mode);
        let client = match &settings.place {
            Place::Server(address) => one(Target::Server(address))?,
            Place::Socket(path) => one(Target::Socket(path))?,
            Place::Sentinel(addresses, master) => {
                Client::one(sentinel::connect(settings, addresses, master)?, mode)?
            }
            Place::Cluster(addresses) => {
                let turn = self.connections.fetch_add(1, Ordering::Relaxed);
                Client::cluster(Cluster::connect(settings, addresses, turn)?, mode)?
            }
        };
        tracing::debug!(endpoint = %self, server = ?client, "planbus.redis: connected");
        Ok(client)
    }

    /// Whether keys are spread over several masters.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.settings.place, Place::Cluster(_))
    }

    /// How long to wait between attempts to connect.
    pub(crate) fn back_off(&self) -> BackOff {
        let Waits { first, max, jitter } = self.settings.back_off;
        BackOff::new(first, max, jitter)
    }

    /// `standalone`, `sentinel` or `cluster`.
    pub(super) fn mode(&self) -> &'static str {
        match self.settings.place {
            Place::Server(_) | Place::Socket(_) => "standalone",
            Place::Sentinel(..) => "sentinel",
            Place::Cluster(_) => "cluster",
        }
    }
}

/// One server that answers for itself: a node of a Cluster would refuse most keys, and a Sentinel
/// holds none.
fn single(node: Node) -> Result<Node> {
    match node.hello.mode.as_str() {
        "cluster" => Err(invalid(format!("{} is a node of a Cluster: use redis+cluster://", node.name()))),
        "sentinel" => {
            let name = node.name();
            Err(invalid(format!("{name} is a Sentinel: use redis+sentinel:// with the master's name")))
        }
        _ => Ok(node),
    }
}

impl FromStr for RedisEndpoint {
    type Err = crate::error::Error;

    /// As [`parse`](Self::parse).
    fn from_str(url: &str) -> Result<Self> {
        Self::parse(url)
    }
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.settings, f)
    }
}

impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisEndpoint({self})")
    }
}

/// What a URL cannot say well. What is set here stands over the URL.
///
/// ```
/// use std::time::Duration;
/// use planbus::redis::RedisEndpoint;
///
/// let password = "p@ss/w#rd";
/// let endpoint = RedisEndpoint::builder("redis+sentinel://one:26379,two:26379/main")
///     .user("app")
///     .password(password)
///     .read_timeout(Duration::from_secs(10))
///     .build()?;
/// assert_eq!(endpoint.to_string(), "redis+sentinel://app:***@one:26379,two:26379/main");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RedisEndpointBuilder(Result<Settings>);

impl RedisEndpointBuilder {
    /// The user of the server's access control list; by default the server's own default user.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.set(|settings| settings.login.user = Some(user.into()))
    }

    /// The password of the user.
    pub fn password(self, password: impl Into<String>) -> Self {
        self.set(|settings| settings.login.password = Some(Secret(password.into())))
    }

    /// The user at the Sentinels themselves, who share nothing with the servers' users.
    pub fn sentinel_user(self, user: impl Into<String>) -> Self {
        self.set(|settings| settings.sentinel_login.user = Some(user.into()))
    }

    /// The password at the Sentinels themselves.
    pub fn sentinel_password(self, password: impl Into<String>) -> Self {
        self.set(|settings| settings.sentinel_login.password = Some(Secret(password.into())))
    }

    /// How long to wait for a connection, for each answer of its login, and for the server's
    /// certificate; by default 1 second. Looking up the name of a host is not bounded by it.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.connect_timeout = timeout)
    }

    /// How long to wait for an answer, or the next bytes of it; by default 3 seconds.
    pub fn read_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.read_timeout = timeout)
    }

    /// How long to wait until the server takes more bytes; by default 3 seconds.
    pub fn write_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.write_timeout = timeout)
    }

    /// Delays between attempts to connect: the first, doubled each time up to the longest; by
    /// default 100 ms and 5 s.
    pub fn back_off(self, first: Duration, max: Duration) -> Self {
        self.set(|settings| (settings.back_off.first, settings.back_off.max) = (first, max))
    }

    /// Which part of a delay is left to chance, 0 to 1, so that many who lost the same server do not
    /// all come back at once; by default 0.5.
    pub fn back_off_jitter(self, part: f64) -> Self {
        self.set(|settings| settings.back_off.jitter = part)
    }

    /// With TLS, the PEM file of the authorities to trust; by default those that the system trusts.
    /// The file is read again for each connection.
    pub fn ca_file(self, path: impl AsRef<Path>) -> Self {
        self.set(|settings| settings.ca_file = Some(path.as_ref().to_owned()))
    }

    /// With TLS, the PEM files of the client's own certificate and its key, where the server asks
    /// for one. They are read again for each connection.
    pub fn client_certificate(self, cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.set(|settings| {
            settings.client_cert = Some(cert.as_ref().to_owned());
            settings.client_key = Some(key.as_ref().to_owned());
        })
    }

    /// The endpoint, checked.
    ///
    /// # Errors
    /// `InvalidInput` names what is wrong, as [`RedisEndpoint::parse`] does.
    pub fn build(self) -> Result<RedisEndpoint> {
        let settings = self.0?;
        settings.check()?;
        check_files(&settings)?;
        Ok(RedisEndpoint { settings: Arc::new(settings), connections: Arc::default() })
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        if let Ok(settings) = &mut self.0 {
            change(settings);
        }
        self
    }
}
