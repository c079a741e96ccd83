//! A2A over JSON-RPC: `POST /a2a`, versions 1.0 and 0.3.
//!
//! Every answer has the status 200: what went wrong stands in it. Batches are refused, since a stream
//! cannot be one answer among several.

use axum::{
    Extension,
    extract::{self, State as Extract},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, value::RawValue};

use super::{
    call::{self, Answer, Method},
    fault::{Fault, FaultKind, Result},
    follow::Wrapping,
    read_body,
    request::Params,
    tasks::Tasks,
};
use crate::server::{access::Caller, state::Shared};

/// `POST /a2a`
pub(super) async fn answer(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    request: extract::Request,
) -> Response {
    let headers = request.headers().clone();
    let request =
        match read_body(&state, &headers, request.into_body()).await.and_then(|body| Request::parse(&body)) {
            Ok(request) => request,
            Err(fault) => return json(fault.to_rpc(&call::no_id())),
        };
    let id = request.id.clone();
    let answered = run(&state, &caller, request, &headers).await;
    // Who sends no id wants no answer.
    let Some(id) = id else { return StatusCode::NO_CONTENT.into_response() };
    match answered {
        Ok(Answer::Json(result)) => json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)),
        Ok(Answer::Stream(stream)) => stream.respond(&state, caller, Wrapping::rpc(&id)),
        Err(fault) => json(fault.to_rpc(&id)),
    }
}

async fn run(state: &Shared, caller: &Caller, request: Request, headers: &HeaderMap) -> Result<Answer> {
    let method = request.method?;
    let dialect = call::dialect(headers, None)?;
    let method = Method::named(dialect, &method)?;
    let params = Params::from_json(request.params)?;
    method.call(&Tasks { state, caller, dialect }, &params, headers).await
}

fn json(text: String) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (kind, text).into_response()
}

/// A request that can be answered.
#[derive(Debug)]
struct Request {
    /// As it was written; `None` for a notification.
    id: Option<Box<RawValue>>,
    method: Result<String>,
    params: Option<Value>,
}

impl Request {
    fn parse(body: &[u8]) -> Result<Self> {
        let invalid = |message: &str| Fault::new(FaultKind::InvalidRequest, message);
        let value: Value = serde_json::from_slice(body)
            .map_err(|cause| Fault::new(FaultKind::ParseError, format!("body: is no JSON: {cause}")))?;
        let mut fields = match value {
            Value::Object(fields) => fields,
            Value::Array(_) => {
                return Err(invalid("body: batches are not taken: send one request at a time"));
            }
            _ => return Err(invalid("body: must be an object")),
        };
        let id = match fields.get("id") {
            None => None,
            Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => {
                Some(serde_json::value::to_raw_value(id).unwrap_or_else(|_| call::no_id()))
            }
            Some(_) => return Err(invalid("id: must be a text or a number")),
        };
        let method = match (fields.get("jsonrpc"), fields.get("method")) {
            (Some(Value::String(version)), Some(Value::String(method))) if version == "2.0" => {
                Ok(method.clone())
            }
            (Some(Value::String(version)), _) if version == "2.0" => Err(invalid("method: must be a text")),
            _ => Err(invalid("jsonrpc: must be \"2.0\"")),
        };
        Ok(Self { id, method, params: fields.remove("params") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_was_written_and_none_is_a_notification() {
        let id = |body: &str| Request::parse(body.as_bytes()).expect("a request").id.map(|id| id.to_string());
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":"ü\n","method":"m"}"#).as_deref(), Some(r#""ü\n""#));
        assert_eq!(
            id(r#"{"jsonrpc":"2.0","id":18446744073709551615}"#).as_deref(),
            Some("18446744073709551615")
        );
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#).as_deref(), Some("null"));
        assert_eq!(id(r#"{"jsonrpc":"2.0","method":"m"}"#), None);
    }

    #[test]
    fn p11_a_body_that_is_no_request_says_why() {
        let cases: [(&[u8], FaultKind); 7] = [
            (b"", FaultKind::ParseError),
            (b"{\"jsonrpc\":", FaultKind::ParseError),
            (b"\xff\xfe", FaultKind::ParseError),
            (b"[]", FaultKind::InvalidRequest),
            (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\"}]", FaultKind::InvalidRequest),
            (b"7", FaultKind::InvalidRequest),
            (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"GetTask\"}", FaultKind::InvalidRequest),
        ];
        for (body, kind) in cases {
            assert_eq!(Request::parse(body).expect_err("refused").kind(), kind, "{body:?}");
        }
        let deep =
            format!(r#"{{"jsonrpc":"2.0","id":1,"params":{}1{}}}"#, "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(Request::parse(deep.as_bytes()).expect_err("refused").kind(), FaultKind::ParseError);
        for body in
            [r#"{"id":1,"method":"GetTask"}"#, r#"{"jsonrpc":"2.0","id":1}"#, r#"{"jsonrpc":2.0,"id":1}"#]
        {
            let request = Request::parse(body.as_bytes()).expect("can be answered");
            assert_eq!(request.method.expect_err("refused").kind(), FaultKind::InvalidRequest, "{body}");
        }
    }
}
