//! A2A over HTTP+JSON: `/a2a/v1/..`, version 1.0.
//!
//! A plan's id stands in the path, percent-encoded or not: it may hold slashes, which clients do not
//! encode. So paths are read here and not by the router. A tenant may stand in front.

use axum::{
    Extension,
    extract::{Request, State as Extract},
    http::{self, HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;

use super::{
    call::{self, Answer, Method},
    fault::{Fault, FaultKind, Result},
    follow::Wrapping,
    read_body,
    request::Params,
    tasks::Tasks,
};
use crate::server::{access::Caller, state::Shared, task::Dialect};

/// The parameter that stands for the header of the same name.
const VERSION: &str = "A2A-Version";

/// `/a2a/v1/{*path}`
pub(super) async fn answer(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let run = async {
        let body = read_body(&state, &headers, request.into_body()).await?;
        let (method, params) = read(&method, &uri, &headers, &body)?;
        let tasks = Tasks { state: &state, caller: &caller, dialect: Dialect::V1 };
        method.call(&tasks, &params, &headers).await
    };
    match run.await {
        Ok(Answer::Json(result)) => json(StatusCode::OK, "application/a2a+json", result),
        Ok(Answer::Stream(stream)) => stream.respond(&state, caller, Wrapping::default()),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(status, "application/json", fault.to_rest())
        }
    }
}

fn json(status: StatusCode, kind: &'static str, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// The method that a request is for, and its parameters from path, query and body.
fn read(method: &http::Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<(Method, Params)> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let pairs: Vec<_> = form_urlencoded::parse(query).into_owned().collect();
    let version = pairs.iter().find(|(name, _)| name == VERSION).map(|(_, value)| value.as_str());
    if call::dialect(headers, version)? != Dialect::V1 {
        let problem = "A2A-Version: must be 1.0 here, in a header or a parameter; without one it is 0.3";
        return Err(Fault::new(FaultKind::VersionNotSupported, problem));
    }
    let path = uri.path().strip_prefix("/a2a/v1/").unwrap_or_default();
    let target = Target::parse(method, path)?;
    let mut params = if body.is_empty() || method != http::Method::POST {
        Params::from_pairs(pairs)
    } else {
        let body = serde_json::from_slice(body)
            .map_err(|cause| Fault::new(FaultKind::ParseError, format!("body: is no JSON: {cause}")))?;
        Params::from_json(body)?
    };
    if let Some(id) = target.id {
        params.set("id", id);
    }
    if let Some(tenant) = target.tenant {
        params.set("tenant", tenant);
    }
    Ok((target.method, params))
}

/// What a path leads to.
#[derive(Debug, PartialEq)]
struct Target {
    method: Method,
    tenant: Option<String>,
    id: Option<String>,
}

impl Target {
    fn parse(method: &http::Method, path: &str) -> Result<Self> {
        if let Some((method, id)) = Self::own(method, path)? {
            return Ok(Self { method, tenant: None, id });
        }
        if let Some((tenant, path)) = path.split_once('/')
            && let Some((method, id)) = Self::own(method, path)?
        {
            return Ok(Self { method, tenant: Some(decoded("tenant", tenant)?), id });
        }
        Err(Fault::new(FaultKind::MethodNotFound, "there is nothing at this path, or not with this method"))
    }

    /// A path without a tenant.
    fn own(method: &http::Method, path: &str) -> Result<Option<(Method, Option<String>)>> {
        let (is_get, is_post) = (method == http::Method::GET, method == http::Method::POST);
        let found = match path {
            "tasks" if is_get => (Method::ListTasks, None),
            "message:send" if is_post => (Method::SendMessage, None),
            "message:stream" if is_post => (Method::SendStreamingMessage, None),
            "extendedAgentCard" if is_get => (Method::GetExtendedAgentCard, None),
            _ => {
                let Some(task) = path.strip_prefix("tasks/").filter(|task| !task.is_empty()) else {
                    return Ok(None);
                };
                if task.ends_with("/pushNotificationConfigs") || task.contains("/pushNotificationConfigs/") {
                    return Ok(Some((Method::PushNotification, None)));
                }
                let (method, id) = match (task.rsplit_once(':'), is_get, is_post) {
                    (Some((id, "subscribe")), true, _) | (Some((id, "subscribe")), _, true) => {
                        (Method::SubscribeToTask, id)
                    }
                    (Some((id, "cancel")), _, true) => (Method::CancelTask, id),
                    (_, true, _) => (Method::GetTask, task),
                    _ => return Ok(None),
                };
                (method, Some(decoded("id", id)?))
            }
        };
        Ok(Some(found))
    }
}

fn decoded(field: &str, text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(String::from).map_err(|_| Fault::params(field, "must be UTF-8 once it is decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: http::Method, path: &str) -> Option<(Method, String, String)> {
        let target = Target::parse(&method, path).ok()?;
        Some((target.method, target.tenant.unwrap_or_default(), target.id.unwrap_or_default()))
    }

    #[test]
    fn p11_a_path_leads_to_a_task_whatever_its_id_holds() {
        use http::Method as Http;
        let own = |method, id: &str| Some((method, String::new(), id.to_owned()));
        assert_eq!(target(Http::GET, "tasks/P"), own(Method::GetTask, "P"));
        assert_eq!(target(Http::GET, "tasks"), own(Method::ListTasks, ""));
        assert_eq!(target(Http::POST, "tasks/a/b%20c%2F:subscribe"), own(Method::SubscribeToTask, "a/b c/"));
        assert_eq!(target(Http::GET, "tasks/P:subscribe"), own(Method::SubscribeToTask, "P"));
        assert_eq!(target(Http::GET, "tasks/P%3Asubscribe"), own(Method::GetTask, "P:subscribe"));
        assert_eq!(target(Http::POST, "tasks/%C3%BC:cancel"), own(Method::CancelTask, "ü"));
        assert_eq!(target(Http::GET, "tasks/a:b"), own(Method::GetTask, "a:b"));
        assert_eq!(target(Http::POST, "message:send"), own(Method::SendMessage, ""));
        assert_eq!(target(Http::POST, "message:stream"), own(Method::SendStreamingMessage, ""));
        assert_eq!(target(Http::GET, "extendedAgentCard"), own(Method::GetExtendedAgentCard, ""));
        for method in [Http::GET, Http::POST, Http::DELETE] {
            let push = own(Method::PushNotification, "");
            assert_eq!(target(method.clone(), "tasks/P/pushNotificationConfigs/1"), push);
        }
        let of_acme = |method, id: &str| Some((method, "acme".to_owned(), id.to_owned()));
        assert_eq!(target(Http::GET, "acme/tasks/P"), of_acme(Method::GetTask, "P"));
        assert_eq!(target(Http::POST, "acme/message:send"), of_acme(Method::SendMessage, ""));
        for wrong in ["", "tasks/", "task/P", "acme/x/tasks/P", "tasks/%FF", "message:send"] {
            assert_eq!(target(Http::GET, wrong), None, "{wrong}");
        }
        assert_eq!(target(Http::DELETE, "tasks/P"), None);
    }
}
