//! `POST /redis/dead-letters/replay`: sends dead letters back to the group that gave them up.

use axum::{
    extract::{Request, State as Extract},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{group_name, redis, stream_name};
use crate::{
    redis::{DeadLetters, EntryId},
    server::{
        api::page,
        body,
        params::{Params, brief},
        problem::Problem,
        redis::told,
        state::Shared,
    },
};

/// The most letters of one request.
const IDS_MAX: usize = 100;

/// `POST /redis/dead-letters/replay`.
pub(super) async fn replay(Extract(state): Extract<Shared>, request: Request) -> Result<Response, Problem> {
    let redis = redis(&state)?;
    let (parts, body) = request.into_parts();
    Params::parse(parts.uri.query())?.finish()?;
    body::check_json(&parts.headers)?;
    let asked = Asked::parse(&body::read(&state.options, &parts.headers, body).await?)?;
    tracing::info!(
        target: "planbus.serve", stream = asked.stream, letters = asked.ids.len(), group = asked.group,
        "a client replays dead letters"
    );
    let replay = redis.ask(state.feed().reads(), move |streams| {
        DeadLetters::of(streams).replay(&asked.stream, &asked.ids, asked.group.as_deref())
    });
    let report = replay.await;
    // Where it failed, some may have been sent back before.
    redis.forget();
    let report = report.map_err(|mut problem| {
        if problem.status == StatusCode::SERVICE_UNAVAILABLE {
            problem.message.push_str("; some letters may have been sent back: look again");
        }
        problem
    })?;
    let refused = report.refused.iter().map(|letter| json!({"id": letter.id, "reason": told(&letter.error)}));
    let answer = json!({
        "replayed": report.replayed, "gone": report.gone, "refused": refused.collect::<Vec<_>>()
    });
    Ok(page::answer(answer.to_string()))
}

/// Which letters a client replays.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    stream: String,
    ids: Vec<EntryId>,
    group: Option<String>,
}

/// The fields as they were sent, each of any kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    ids: Option<&'a RawValue>,
    #[serde(borrow)]
    group: Option<&'a RawValue>,
}

impl Asked {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let sent: Sent<'_> = serde_json::from_slice(body)
            .map_err(|cause| Problem::invalid("body", brief(&cause.to_string())))?;
        let ids: Vec<String> = read("ids", sent.ids, "a list of strings")?.unwrap_or_default();
        if !(1..=IDS_MAX).contains(&ids.len()) {
            return Err(Problem::invalid("ids", format!("must be 1 to {IDS_MAX}, got {}", ids.len())));
        }
        let id = |id: &String| id.parse::<EntryId>().map_err(|error| error.within("ids").into());
        Ok(Self {
            stream: stream_name(read("stream", sent.stream, "a string")?)?,
            ids: ids.iter().map(id).collect::<Result<_, Problem>>()?,
            group: group_name(read("group", sent.group, "a string")?)?,
        })
    }
}

fn read<'a, T: Deserialize<'a>>(
    field: &str,
    sent: Option<&'a RawValue>,
    kind: &str,
) -> Result<Option<T>, Problem> {
    let read = sent.map_or(Ok(None), |sent| serde_json::from_str(sent.get()));
    read.map_err(|_| Problem::invalid(field, format_args!("must be {kind}")))
}
