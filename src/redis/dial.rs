//! Opens one connection to one server: TCP, TLS or a socket, the login, the timeouts.
//!
//! `TCP_NODELAY` is always on. It asks nobody where a server is, and it tries once.

use std::path::PathBuf;

use ::redis::{
    ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates,
    io::tcp::TcpSettings,
};

use super::{
    fault, handshake,
    node::Node,
    settings::{Address, Login, Settings, invalid, read},
};
use crate::error::{Error, ErrorKind, Result};

/// One server to connect to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    Server(&'a Address),
    Socket(&'a PathBuf),
}

/// A connection on which the login has succeeded.
pub(super) fn dial(settings: &Settings, target: Target<'_>, login: &Login, db: u32) -> Result<Node> {
    let name = match target {
        Target::Server(address) => address.to_string(),
        Target::Socket(path) => path.display().to_string(),
    };
    let client = client(settings, target)?;
    let connection = client
        .get_connection_with_timeout(settings.connect_timeout)
        .map_err(|cause| fault::lost(&format!("connect to {name}"), cause))
        .map_err(|error| with_hint(error, |_| UNREACHED))?;
    let mut node = Node::new(connection, name);
    // With TLS, the first command also waits for the server's certificate.
    node.set_timeouts(settings.connect_timeout, settings.connect_timeout)?;
    node.hello = handshake::greet(&mut node, login, db)
        .map_err(|error| with_hint(error, |cause| disagreement(cause, settings.tls)))?;
    node.set_timeouts(settings.read_timeout, settings.write_timeout)?;
    Ok(node)
}

/// Fails as connecting would where a file of the settings is missing or is none of its kind.
pub(super) fn check_files(settings: &Settings) -> Result<()> {
    let anywhere = Address { host: "localhost".to_owned(), port: 1 };
    client(settings, Target::Server(&anywhere)).map(drop)
}

/// The files are read each time: certificates are renewed while a program runs.
fn client(settings: &Settings, target: Target<'_>) -> Result<::redis::Client> {
    let failed = |cause| Error::with_source(ErrorKind::InvalidInput, "redis: read the certificates", cause);
    let address = match target {
        Target::Socket(path) => ConnectionAddr::Unix(path.clone()),
        Target::Server(Address { host, port }) if settings.tls => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
        Target::Server(Address { host, port }) => ConnectionAddr::Tcp(host.clone(), *port),
    };
    // The handshake is our own: the crate's waits one timeout for each of its commands.
    let info = address
        .into_connection_info()
        .map_err(failed)?
        .set_tcp_settings(TcpSettings::default().set_nodelay(true))
        .set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
    if !settings.tls {
        return ::redis::Client::open(info).map_err(failed);
    }
    install_cryptography();
    ::redis::Client::build_with_tls(info, certificates(settings)?).map_err(failed)
}

/// The crate takes the process's own provider of cryptography, and panics where it finds two to
/// choose from. Where the program installed one, that one stays.
fn install_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Failing means that another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn certificates(settings: &Settings) -> Result<TlsCertificates> {
    let root_cert = settings.ca_file.as_ref().map(|path| {
        let pem = read("ca_file", path)?;
        // The crate takes a file without a certificate for one that trusts nobody.
        match pem.windows(PEM.len()).any(|window| window == PEM) {
            true => Ok(pem),
            false => Err(invalid(format!("ca_file {} holds no certificate in PEM", path.display()))),
        }
    });
    let client_tls = match (&settings.client_cert, &settings.client_key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: read("client_cert", cert)?,
            client_key: read("client_key", key)?,
        }),
        _ => None,
    };
    Ok(TlsCertificates { client_tls, root_cert: root_cert.transpose()? })
}

const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What to look at where nobody is there.
const UNREACHED: &str = "is Redis up, and is this its address?";

/// Adds what to look at first to a failure of the connection.
fn with_hint(error: Error, hint: impl FnOnce(&fault::Cause) -> &'static str) -> Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<fault::Cause>());
    match cause {
        Some(cause) => Error::with_source(error.kind(), error.to_string(), cause.with_hint(hint(cause))),
        None => error,
    }
}

/// What the two sides may disagree about, where the first words failed on a connection that stood.
fn disagreement(cause: &fault::Cause, tls: bool) -> &'static str {
    match tls {
        true if cause.is_unknown_authority() => {
            "the certificate is of an authority that is not known here: name it with ?ca_file=PATH"
        }
        true if cause.is_authority_itself() => {
            "the certificate is an authority's own: the server needs one that the authority signed"
        }
        true if cause.is_certificate_required() => {
            "the server wants a client's certificate: ?client_cert=PATH&client_key=PATH"
        }
        true if cause.is_no_tls() => "does it speak TLS? (redis:// goes without)",
        false if cause.is_no_redis() => "does it want TLS? (rediss://)",
        _ => UNREACHED,
    }
}
