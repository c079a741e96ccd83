//! [`RedisEndpoint`]: where a Redis is, and how to reach it.

use std::{fmt, time::Duration};

use super::{client::Client, fault};
use crate::error::{Error, ErrorKind, Result};

/// Where a Redis is, and how to reach it.
#[derive(Clone)]
pub struct RedisEndpoint {
    client: ::redis::Client,
    connect_timeout: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl RedisEndpoint {
    /// The endpoint of a URL.
    ///
    /// # Errors
    /// `InvalidInput` when the URL is none of a Redis.
    pub fn parse(url: &str) -> Result<Self> {
        let client = ::redis::Client::open(url).map_err(|cause| {
            Error::with_source(ErrorKind::InvalidInput, "redis: is not a URL of a Redis", cause)
        })?;
        let second = Duration::from_millis(100);
        Ok(Self { client, connect_timeout: second, read_timeout: 3 * second, write_timeout: 3 * second })
    }

    pub(crate) fn back_off(&self) -> super::back_off::BackOff {
        super::back_off::BackOff::new()
    }
    pub(crate) fn is_cluster(&self) -> bool {
        false
    }
    /// A new connection.
    pub(crate) fn connect(&self) -> Result<Client> {
        let failed = |cause| fault::lost("connect", cause);
        let connection = self.client.get_connection_with_timeout(self.connect_timeout).map_err(failed)?;
        connection.set_read_timeout(Some(self.read_timeout)).map_err(failed)?;
        connection.set_write_timeout(Some(self.write_timeout)).map_err(failed)?;
        Ok(Client::new(connection))
    }
}

impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisEndpoint").finish_non_exhaustive()
    }
}
