//! [`Settings`]: everything that reaching a Redis needs, checked once.
//!
//! It holds the secrets of an endpoint: neither `Debug` nor `Display` of anything here shows one.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, Result};

/// The shortest timeout and back-off that can be asked for.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// The longest timeout and back-off that can be asked for.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// What a URL shows as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH_ENCODED: &AsciiSet = &ENCODED.remove(b'/');

/// A text that is never shown.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who logs in. Without a password nobody does, unless a user is named.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

impl Login {
    pub(super) fn is_none(&self) -> bool {
        self.user.is_none() && self.password.is_none()
    }
}

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// One server, or those that know where it is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Server(Address),
    Socket(PathBuf),
    /// The Sentinels, and the name that they give the master.
    Sentinel(Vec<Address>, String),
    /// Some nodes of a Cluster, which know the others.
    Cluster(Vec<Address>),
}

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) first: Duration,
    pub(super) max: Duration,
    /// Which part of a delay is left to chance, 0 to 1.
    pub(super) jitter: f64,
}

/// Everything that reaching a Redis needs.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) place: Place,
    pub(super) tls: bool,
    pub(super) db: u32,
    pub(super) login: Login,
    pub(super) sentinel_login: Login,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) back_off: Waits,
}

impl Settings {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            tls: false,
            db: 0,
            login: Login::default(),
            sentinel_login: Login::default(),
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(3),
            write_timeout: Duration::from_secs(3),
            ca_file: None,
            client_cert: None,
            client_key: None,
            back_off: Waits { first: Duration::from_millis(100), max: Duration::from_secs(5), jitter: 0.5 },
        }
    }

    /// Names the first setting that is out of its range, or fits no other.
    pub(super) fn check(&self) -> Result<()> {
        let waits = [
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
            ("write_timeout", self.write_timeout),
            ("back_off_first", self.back_off.first),
            ("back_off_max", self.back_off.max),
        ];
        for (name, wait) in waits {
            if !(WAIT_MIN..=WAIT_MAX).contains(&wait) {
                return Err(invalid(format!(
                    "{name} must be {WAIT_MIN:?} to {} s, got {wait:?}",
                    WAIT_MAX.as_secs()
                )));
            }
        }
        let Waits { first, max, jitter } = self.back_off;
        if first > max {
            return Err(invalid(format!("back_off_max must be at least back_off_first, got {max:?}")));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(invalid(format!("back_off_jitter must be 0 to 1, got {jitter}")));
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            return Err(invalid("client_cert and client_key go together, got one of them"));
        }
        if !self.tls && (self.ca_file.is_some() || self.client_cert.is_some()) {
            return Err(invalid("certificates need TLS: a URL that begins with rediss"));
        }
        if matches!(self.place, Place::Cluster(_)) && self.db != 0 {
            return Err(invalid("a Cluster has no database but 0"));
        }
        if !matches!(self.place, Place::Sentinel(..)) && !self.sentinel_login.is_none() {
            return Err(invalid("credentials for Sentinels need a URL of Sentinels"));
        }
        Ok(())
    }

    /// The part of a URL that says who logs in.
    fn shown_user(&self) -> String {
        let user = utf8_percent_encode(self.login.user.as_deref().unwrap_or_default(), ENCODED);
        match self.login.password {
            Some(_) => format!("{user}:***@"),
            None if self.login.user.is_some() => format!("{user}@"),
            None => String::new(),
        }
    }
}

/// The URL without its secrets, and without what goes without saying: database 0.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let user = self.shown_user();
        let db = if self.db == 0 { String::new() } else { format!("/{}", self.db) };
        match &self.place {
            Place::Server(address) => write!(f, "{scheme}://{user}{address}{db}"),
            Place::Sentinel(addresses, master) => {
                let master = utf8_percent_encode(master, ENCODED);
                write!(f, "{scheme}+sentinel://{user}{}/{master}{db}", joined(addresses))
            }
            Place::Cluster(addresses) => write!(f, "{scheme}+cluster://{user}{}", joined(addresses)),
            Place::Socket(path) => {
                let path = path.to_string_lossy();
                write!(f, "unix://{}", utf8_percent_encode(&path, PATH_ENCODED))?;
                let db = (self.db != 0).then(|| format!("db={}", self.db));
                let user = self.login.user.as_ref();
                let user = user.map(|user| format!("user={}", utf8_percent_encode(user, ENCODED)));
                let pass = self.login.password.as_ref().map(|_| "pass=***".to_owned());
                let shown: Vec<String> = [db, user, pass].into_iter().flatten().collect();
                if shown.is_empty() { Ok(()) } else { write!(f, "?{}", shown.join("&")) }
            }
        }
    }
}

fn joined(addresses: &[Address]) -> String {
    addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",")
}

/// Something about an endpoint is wrong. What is told never holds what may be a secret.
pub(super) fn invalid(problem: impl fmt::Display) -> Error {
    Error::invalid("redis", problem)
}

/// A file of the settings, read.
pub(super) fn read(name: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| {
        let told = format!("redis: read {name} {}", path.display());
        Error::with_source(crate::error::ErrorKind::InvalidInput, told, cause)
    })
}
