//! `GET /redis/pending`: what a group has in hand, the oldest first.

use axum::{
    extract::{OriginalUri, RawQuery, State as Extract},
    response::Response,
};
use serde_json::{Value, json};

use super::{group_name, overview::micros, redis, stream_name};
use crate::{
    error::{Error, Result},
    event::Timestamp,
    redis::{EntryId, PendingEntry, PendingQuery, Streams},
    server::{
        api::page::{self, Address},
        params::Params,
        problem::Problem,
        state::Shared,
    },
};

/// How many entries are asked for at once: the events in them may be large.
const PART_ENTRIES: usize = 100;

/// `GET /redis/pending`.
pub(super) async fn list(
    Extract(state): Extract<Shared>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let redis = redis(&state)?;
    let asked = Asked::read(Params::parse(query.as_deref())?)?;
    let address = Address { path: uri.path().to_owned(), query };
    let (entries, next) = redis.ask(state.feed().reads(), move |streams| asked.page(streams)).await?;
    let next = next.map(|id| address.behind("after", id));
    Ok(page::answer(json!({"entries": entries, "next": next}).to_string()))
}

/// Which entries a client asks for.
#[derive(Debug)]
struct Asked {
    stream: String,
    group: String,
    after: EntryId,
    limit: usize,
}

impl Asked {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let group = group_name(params.take("group")?)?;
        let asked = Self {
            stream: stream_name(params.take("stream")?)?,
            group: group.ok_or_else(|| Problem::invalid("group", "must be given"))?,
            after: params.read("after")?.unwrap_or(EntryId::ZERO),
            limit: page::limit(&mut params)?,
        };
        params.finish()?;
        Ok(asked)
    }

    /// The page, and where the next one begins.
    fn page(&self, streams: &Streams) -> Result<(Vec<Value>, Option<EntryId>)> {
        let profile = streams.profile();
        if !profile.is_stream(&self.stream) {
            let problem = format!("{} is no stream of the profile {}", self.stream, profile.name());
            return Err(Error::invalid("stream", problem));
        }
        let (mut entries, mut after) = (Vec::new(), self.after);
        while entries.len() < self.limit {
            let count = PART_ENTRIES.min(self.limit - entries.len());
            let query = PendingQuery::new(&self.stream, &self.group).after(after).limit(count);
            let part = streams.pending(&query)?;
            let now = Timestamp::now();
            entries.extend(part.iter().map(|entry| to_json(entry, now)));
            match part.last() {
                Some(last) if part.len() == count => after = last.id,
                _ => return Ok((entries, None)),
            }
        }
        Ok((entries, Some(after)))
    }
}

fn to_json(entry: &PendingEntry, now: Timestamp) -> Value {
    let event = entry.event.as_ref();
    let due_at = entry.due_in.and_then(|wait| {
        let wait = i64::try_from(wait.as_micros()).ok()?;
        Timestamp::from_micros(now.as_micros().checked_add(wait)?).ok()
    });
    json!({
        "id": entry.id,
        "consumer": entry.consumer,
        "idle_us": micros(entry.idle),
        "deliveries": entry.deliveries,
        "attempts": entry.failed_attempts,
        "last_error": entry.last_error,
        "due_at": due_at,
        "event_id": event.map(|event| event.event_id()),
        "event_type": event.map(|event| event.event_type().as_str()),
        "plan_id": event.map(|event| event.plan_id().as_str()),
    })
}
