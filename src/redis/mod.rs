//! Redis: streams that equal the log, and their administration.
//!
//! [`RedisEndpoint`] says where a server is and makes connections to it. Commands of Redis stand
//! only in this folder, and no type of the client library leaves it.

mod client;
mod endpoint;
mod fault;
mod profile;
mod reply;
mod trim;

pub use self::{endpoint::RedisEndpoint, profile::Profile};
