//! [`AccessOptions`]: who may ask a server, as it was told.

use std::net::IpAddr;

use super::token::AccessToken;
use crate::error::{Error, ErrorKind, Result};

/// Who may ask a server.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct AccessOptions {
    pub(in crate::server) tokens: Vec<AccessToken>,
    pub(in crate::server) hosts: Vec<String>,
    pub(in crate::server) origins: Vec<String>,
    pub(in crate::server) public_url: Option<String>,
    /// Where the server listens itself.
    pub(in crate::server) bound: Option<IpAddr>,
}

impl AccessOptions {
    /// Says where the server will listen. An address that others reach takes a token: whoever reaches
    /// the server without one reads everything.
    pub(in crate::server) fn bind(&mut self, ip: IpAddr) -> Result<()> {
        self.bound = Some(ip);
        if ip.is_loopback() || !self.tokens.is_empty() {
            return Ok(());
        }
        let problem = format!(
            "bind must be a loopback address where there is no token, got {ip}: everybody who reaches it \
             would read the log; add a token, or bind 127.0.0.1"
        );
        Err(Error::new(ErrorKind::InvalidOption, problem))
    }
}
