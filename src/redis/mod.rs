//! Redis: streams that equal the log, and their administration.
//!
//! [`RedisEndpoint`] says where a server is and makes connections to it. Commands of Redis stand
//! only in this folder, and no type of the client library leaves it.

mod back_off;
mod client;
mod endpoint;
mod fault;
#[cfg(feature = "sqlite")]
mod mirror;
mod profile;
mod reply;
mod server;
mod trim;

#[cfg(feature = "sqlite")]
pub use self::mirror::{
    MirrorBuilder, MirrorState, MirrorStatus, OnInexpressible, RedisMirror, StreamTrouble,
};
pub use self::{endpoint::RedisEndpoint, profile::Profile, server::ServerInfo};
#[cfg(feature = "sqlite")]
pub use crate::store::Skipped;
