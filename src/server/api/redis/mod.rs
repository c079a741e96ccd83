//! `GET /redis` and what is below it: how Redis stands, what groups have in hand, and dead letters, which
//! can be sent back to their groups.
//!
//! That replay is the one thing that a client changes, and it changes Redis, never the log. All of it is
//! for tokens that see all tenants, which the gate looks at.

#[cfg(feature = "redis")]
mod dead_letters;
#[cfg(feature = "redis")]
mod overview;
#[cfg(feature = "redis")]
mod pending;
#[cfg(feature = "redis")]
mod replay;

use axum::{Router, http::StatusCode};

use crate::server::{problem::Problem, state::Shared};
#[cfg(feature = "redis")]
use crate::server::{redis::Redis, state::State};

/// The longest name of a stream that is taken.
#[cfg(feature = "redis")]
const STREAM_MAX_BYTES: usize = 512;

#[cfg(feature = "redis")]
pub(in crate::server) fn routes() -> Router<Shared> {
    use axum::routing::{get, post};

    Router::new()
        .route("/redis", get(overview::show))
        .route("/redis/pending", get(pending::list))
        .route("/redis/dead-letters", get(dead_letters::list))
        .route("/redis/dead-letters/{stream}/{id}", get(dead_letters::one))
        .route("/redis/dead-letters/replay", post(replay::replay))
}

#[cfg(not(feature = "redis"))]
pub(in crate::server) fn routes() -> Router<Shared> {
    use axum::routing::any;

    Router::new().route("/redis", any(unbuilt)).route("/redis/{*what}", any(unbuilt))
}

#[cfg(not(feature = "redis"))]
async fn unbuilt() -> Problem {
    unsupported("redis: planbus was built without the feature `redis`")
}

fn unsupported(message: &str) -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "Unsupported", message)
}

/// The Redis that the server was given.
#[cfg(feature = "redis")]
fn redis(state: &State) -> Result<&Redis, Problem> {
    let message = "redis: this server was given none: start it with `planbus serve --redis URL`, or with \
                   `ServerBuilder::redis`";
    state.redis.as_ref().ok_or_else(|| unsupported(message))
}

/// The name of a stream, or of its dead letters; whether the profile has it is looked at later.
#[cfg(feature = "redis")]
fn stream_name(given: Option<String>) -> Result<String, Problem> {
    let name = given.ok_or_else(|| Problem::invalid("stream", "must be given"))?;
    match name.len() {
        1..=STREAM_MAX_BYTES => Ok(name),
        bytes => {
            Err(Problem::invalid("stream", format!("must be 1 to {STREAM_MAX_BYTES} bytes, got {bytes}")))
        }
    }
}

/// The name of a group of consumers.
#[cfg(feature = "redis")]
fn group_name(given: Option<String>) -> Result<Option<String>, Problem> {
    given.as_deref().map(crate::redis::check_group).transpose()?;
    Ok(given)
}
