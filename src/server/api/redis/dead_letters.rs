//! `GET /redis/dead-letters` and `GET /redis/dead-letters/{stream}/{id}`: what groups gave up, and why.

use axum::{
    extract::{OriginalUri, Path, RawQuery, State as Extract},
    response::Response,
};
use serde_json::{Map, Value, json, value::RawValue};

use super::{group_name, redis, stream_name};
use crate::{
    error::{Error, Result},
    redis::{DeadLetter, DeadLetterCursor, DeadLetterQuery, DeadLetters, EntryId, Reading},
    server::{
        api::page::{self, Address},
        params::Params,
        problem::Problem,
        state::Shared,
    },
};

/// How much of the queues is read for a page: what is asked for may be rare, and letters large.
const READING_MAX: Reading = Reading { letters: 10_000, bytes: 32 << 20 };

/// `GET /redis/dead-letters`.
pub(super) async fn list(
    Extract(state): Extract<Shared>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let redis = redis(&state)?;
    let asked = read_query(Params::parse(query.as_deref())?)?;
    let address = Address { path: uri.path().to_owned(), query };
    let page = redis.ask(state.feed().reads(), move |streams| {
        let page = DeadLetters::of(streams).list(&asked)?;
        Ok((page.letters.iter().map(to_json).collect::<Vec<_>>(), page.next))
    });
    let (letters, next) = page.await?;
    let next = next.map(|next| address.behind("after", format_args!("{}@{}", next.id, next.queue)));
    Ok(page::answer(json!({"letters": letters, "next": next}).to_string()))
}

fn read_query(mut params: Params) -> Result<DeadLetterQuery, Problem> {
    let mut query = DeadLetterQuery::new().limit(page::limit(&mut params)?).reading_max(READING_MAX);
    if let Some(stream) = params.take("stream")? {
        query = query.stream(stream_name(Some(stream))?);
    }
    if let Some(group) = group_name(params.take("group")?)? {
        query = query.group(group);
    }
    if let Some(text) = params.take("error")? {
        query = query.error(text);
    }
    if page::order(&mut params)?.unwrap_or(true) {
        query = query.newest_first();
    }
    if let Some(place) = params.take("after")? {
        query = query.after(cursor(&place)?);
    }
    params.finish()?;
    Ok(query)
}

/// A place as `next` names it.
fn cursor(text: &str) -> Result<DeadLetterCursor, Problem> {
    let place = text.split_once('@').and_then(|(id, queue)| Some((id.parse().ok()?, queue)));
    let (id, queue) = place.ok_or_else(|| Problem::invalid("after", "must be one that `next` gave"))?;
    Ok(DeadLetterCursor { queue: queue.to_owned(), id })
}

/// `GET /redis/dead-letters/{stream}/{id}`.
pub(super) async fn one(
    Extract(state): Extract<Shared>,
    Path((stream, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let redis = redis(&state)?;
    Params::parse(query.as_deref())?.finish()?;
    let (stream, id) =
        (stream_name(Some(stream))?, id.parse::<EntryId>().map_err(|error| error.within("id"))?);
    let letter = redis.ask(state.feed().reads(), move |streams| {
        let letter = DeadLetters::of(streams).show(&stream, id)?;
        whole(&letter)
    });
    Ok(page::answer(letter.await?))
}

fn to_json(letter: &DeadLetter) -> Value {
    let event = letter.event.as_ref().ok();
    json!({
        "stream": letter.queue,
        "id": letter.id,
        "group": letter.group,
        "event_type": event.map(|event| event.event_type().as_str()),
        "plan_id": event.map(|event| event.plan_id().as_str()),
        "tenant": event.map(|event| event.tenant().as_str()),
        "event_id": event.map(|event| event.event_id()),
        "seq": event.and_then(|event| event.seq()),
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "failed_at": letter.failed_at(),
    })
}

/// A letter with its event, as it was published, and with the fields of the entry.
fn whole(letter: &DeadLetter) -> Result<String> {
    let event = letter.event.as_ref().ok().map(|event| event.to_json()).transpose()?;
    let event = event.map(RawValue::from_string).transpose();
    let event = event.map_err(|cause| Error::invalid("event", cause))?;
    let mut head = to_json(letter).to_string();
    // The event as its own text: numbers that are read and written again may change.
    head.pop();
    let event = event.as_ref().map_or("null", |event| event.get());
    Ok(format!(r#"{head},"event":{event},"fields":{}}}"#, fields(&letter.fields)))
}

/// The fields as text; a name that is there twice has its values in a list.
fn fields(fields: &[(Vec<u8>, Vec<u8>)]) -> Value {
    let mut told = Map::new();
    for (name, value) in fields {
        let value = Value::String(text(value));
        match told.get_mut(&text(name)) {
            None => drop(told.insert(text(name), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    told.into()
}

/// Bytes as they are where they are text, else with what is none escaped.
fn text(bytes: &[u8]) -> String {
    str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}
