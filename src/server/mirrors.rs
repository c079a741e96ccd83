//! How the mirrors of this process are doing, as JSON.
//!
//! Asks no Redis and reads nothing: it tells what the mirrors last told.

use serde_json::{Value, json};

use super::redis::told;
use crate::redis::MirrorWatch;

/// The part `mirrors` of `GET /stats`.
pub(super) fn to_json(mirrors: &[MirrorWatch]) -> Vec<Value> {
    let to_json = |mirror: &MirrorWatch| {
        let status = mirror.glance();
        json!({
            "name": status.name,
            "state": status.state,
            // Before it has looked into Redis it only remembers.
            "lag": status.is_compared.then_some(status.lag_events),
            "redis": mirror.endpoint().to_string(),
            "last_error": status.last_error.as_ref().map(told),
            "skipped": status.skipped.iter().map(|skipped| skipped.events).sum::<u64>(),
        })
    };
    mirrors.iter().map(to_json).collect()
}
