//! What clients ask for: parameters from JSON or a query string, and messages.
//!
//! Names are taken in camelCase and in snake_case, numbers also as text, and what is not known is
//! passed over, as protobuf's JSON does. What is wrong is named in the fault.

use serde_json::{Map, Value};

use super::fault::{Fault, FaultKind, Result};
use crate::{
    event::{CorrelationId, Json, PlanId, Tenant, Timestamp},
    server::{params::brief, task::Dialect},
    store::PlanStatus,
};

/// How many tasks a page holds unless it says otherwise, and at most.
const PAGE_SIZE_DEFAULT: usize = 50;
const PAGE_SIZE_MAX: usize = 100;

/// The parameters of a request, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// The parameters of a JSON-RPC request, or the body of an HTTP+JSON one.
    pub(super) fn from_json(value: Option<Value>) -> Result<Self> {
        match value {
            Some(Value::Object(fields)) => Ok(Self(fields)),
            None | Some(Value::Null) => Ok(Self::default()),
            Some(_) => Err(Fault::params("params", "must be an object")),
        }
    }

    /// The parameters of a query string.
    pub(super) fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), Value::String(value.into()));
    }

    /// A field under its name, given in camelCase, or under the same in snake_case.
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.get(name).or_else(|| self.0.get(&snake_case(name)));
        found.filter(|value| !value.is_null())
    }

    fn object(&self, name: &str) -> Result<Option<Self>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(_) => Err(Fault::params(name, "must be an object")),
        }
    }

    /// A text that says something; an empty one is as good as none, as in protobuf.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Fault::params(name, "must be a text")),
        }
    }

    /// A value read from a text.
    fn parsed<T>(&self, name: &str) -> Result<Option<T>>
    where
        for<'a> T: TryFrom<&'a str, Error = crate::error::Error>,
    {
        let text = self.text(name)?;
        text.map(|text| T::try_from(text.as_str()).map_err(|error| named(name, &error))).transpose()
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => {
                Err(Fault::params(name, format!("must be true or false, got {}", brief(&other.to_string()))))
            }
        }
    }

    fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let got = brief(&self.get(name).map(Value::to_string).unwrap_or_default());
                Err(Fault::params(name, format!("must be a whole number from {least} to {most}, got {got}")))
            }
        }
    }

    /// The plan that a request is about.
    pub(super) fn plan(&self, name: &str) -> Result<PlanId> {
        self.parsed(name)?.ok_or_else(|| Fault::params(name, "must be given"))
    }

    /// The tenant that a request names.
    pub(super) fn tenant(&self) -> Result<Option<Tenant>> {
        self.parsed("tenant")
    }

    /// How many messages of a task's past are wanted. There are none, whatever is wanted.
    pub(super) fn check_history_length(&self) -> Result<()> {
        self.number("historyLength", 0, i32::MAX.unsigned_abs().into()).map(drop)
    }
}

/// An error of planbus, told of the field as the client calls it.
fn named(name: &str, error: &crate::error::Error) -> Fault {
    let message = error.to_string();
    Fault::params(name, message.split_once(": ").map_or(message.as_str(), |(_, problem)| problem))
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Which tasks to list.
#[derive(Debug)]
pub(super) struct TaskQuery {
    pub(super) context_id: Option<CorrelationId>,
    /// `Some(None)` asks for a state that no plan is ever in.
    pub(super) status: Option<Option<PlanStatus>>,
    pub(super) page_size: usize,
    /// The page begins behind the plan whose state changed at this seq.
    pub(super) before: Option<u64>,
    pub(super) since: Option<Timestamp>,
    pub(super) with_artifacts: bool,
}

impl TaskQuery {
    pub(super) fn parse(params: &Params) -> Result<Self> {
        params.check_history_length()?;
        let page_size = params.number("pageSize", 1, PAGE_SIZE_MAX as u64)?;
        Ok(Self {
            context_id: params.parsed("contextId")?,
            status: status(params)?,
            page_size: page_size.map_or(PAGE_SIZE_DEFAULT, |size| size as usize),
            before: match params.text("pageToken")? {
                None => None,
                Some(_) => params
                    .number("pageToken", 0, u64::MAX)
                    .map_err(|_| Fault::params("pageToken", "must be the nextPageToken of an answer"))?,
            },
            since: params.parsed("statusTimestampAfter")?,
            with_artifacts: params.flag("includeArtifacts")?.unwrap_or(false),
        })
    }
}

/// The state that is asked for, by its name or protobuf's number.
fn status(params: &Params) -> Result<Option<Option<PlanStatus>>> {
    const STATES: [&str; 9] = [
        "TASK_STATE_UNSPECIFIED",
        "TASK_STATE_SUBMITTED",
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED",
        "TASK_STATE_FAILED",
        "TASK_STATE_CANCELED",
        "TASK_STATE_INPUT_REQUIRED",
        "TASK_STATE_REJECTED",
        "TASK_STATE_AUTH_REQUIRED",
    ];
    let Some(text) = params.text("status")? else { return Ok(None) };
    let number = text.parse().ok();
    let state = STATES.iter().position(|name| *name == text).or(number.filter(|at| *at < STATES.len()));
    match state.map(|at| STATES[at]) {
        Some("TASK_STATE_UNSPECIFIED") => Ok(None),
        Some("TASK_STATE_WORKING") => Ok(Some(Some(PlanStatus::Running))),
        Some("TASK_STATE_COMPLETED") => Ok(Some(Some(PlanStatus::Completed))),
        Some("TASK_STATE_FAILED") => Ok(Some(Some(PlanStatus::Failed))),
        Some(_) => Ok(Some(None)),
        None => {
            let problem = format!("must be one of {}, got {:?}", STATES.join(", "), brief(&text));
            Err(Fault::params("status", problem))
        }
    }
}

/// A message to this agent.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) message_id: String,
    /// The plan that it is meant for, if it is to start none.
    pub(super) task_id: Option<PlanId>,
    pub(super) context_id: Option<CorrelationId>,
    /// Its text parts, a line each.
    pub(super) text: String,
    pub(super) data: Vec<Json>,
    /// Whether to answer before the plan has ended.
    pub(super) returns_at_once: bool,
}

impl Sending {
    pub(super) fn parse(dialect: Dialect, params: &Params) -> Result<Self> {
        let message = params.object("message")?.ok_or_else(|| Fault::params("message", "must be given"))?;
        let configuration = params.object("configuration")?.unwrap_or_default();
        configuration.check_history_length()?;
        if configuration.object("taskPushNotificationConfig")?.is_some()
            || configuration.object("pushNotificationConfig")?.is_some()
        {
            return Err(no_push());
        }
        let returns_at_once = match dialect {
            Dialect::V1 => configuration.flag("returnImmediately")?.unwrap_or(false),
            Dialect::V03 => !configuration.flag("blocking")?.unwrap_or(true),
        };
        let (text, data) = parts(&message)?;
        Ok(Self {
            message_id: message
                .text("messageId")?
                .ok_or_else(|| Fault::params("message.messageId", "must be given"))?,
            task_id: message.parsed("taskId")?,
            context_id: message.parsed("contextId")?,
            text,
            data,
            returns_at_once,
        })
    }
}

/// What every method of push notifications answers.
pub(super) fn no_push() -> Fault {
    let message = "push notifications are not supported: subscribe to the task";
    Fault::new(FaultKind::PushNotificationNotSupported, message)
}

/// The texts and the data of a message.
fn parts(message: &Params) -> Result<(String, Vec<Json>)> {
    let parts = match message.get("parts") {
        Some(Value::Array(parts)) if !parts.is_empty() => parts,
        _ => return Err(Fault::params("message.parts", "must hold at least one part")),
    };
    let (mut texts, mut data) = (Vec::new(), Vec::new());
    for part in parts {
        if let Some(Value::String(text)) = part.get("text") {
            texts.push(text.as_str());
        } else if let Some(value) = part.get("data") {
            data.push(Json::from(value.clone()));
        } else if ["raw", "url", "file"].iter().any(|kind| part.get(kind).is_some()) {
            let problem = "message.parts: only parts of text and data are taken, no files";
            return Err(Fault::new(FaultKind::ContentTypeNotSupported, problem));
        } else {
            return Err(Fault::params("message.parts", "each must hold a text or data"));
        }
    }
    Ok((texts.join("\n"), data))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> Params {
        Params::from_json(Some(value)).expect("an object")
    }

    fn sending(value: Value) -> Result<Sending> {
        Sending::parse(Dialect::V1, &params(value))
    }

    #[test]
    fn fields_are_taken_in_both_spellings_numbers_as_text_and_unknown_ones_passed_over() {
        for given in [
            json!({"contextId": "c", "pageSize": 7, "pageToken": "12", "includeArtifacts": true, "new": {}}),
            json!({"context_id": "c", "page_size": "7", "page_token": 12, "include_artifacts": "true"}),
        ] {
            let query = TaskQuery::parse(&params(given)).expect("valid");
            assert_eq!(query.context_id.as_ref().map(CorrelationId::as_str), Some("c"));
            assert_eq!((query.page_size, query.before, query.with_artifacts), (7, Some(12), true));
        }
        assert_eq!(params(json!({"id": 7})).plan("id").expect("valid"), "7");
        let query = TaskQuery::parse(&params(json!({"status": "", "pageToken": "", "contextId": null})));
        let query = query.expect("valid");
        assert!(query.status.is_none() && query.before.is_none() && query.page_size == PAGE_SIZE_DEFAULT);
    }

    #[test]
    fn p11_what_is_wrong_is_named() {
        let cases = [
            (json!({"pageSize": 0}), "pageSize: must be a whole number from 1 to 100, got 0"),
            (json!({"pageSize": 1.5}), "pageSize: must be a whole number from 1 to 100, got 1.5"),
            (json!({"page_size": "x"}), "pageSize: must be a whole number from 1 to 100, got \"x\""),
            (json!({"pageToken": "x"}), "pageToken: must be the nextPageToken of an answer"),
            (json!({"contextId": ["c"]}), "contextId: must be a text"),
            (json!({"includeArtifacts": "no"}), "includeArtifacts: must be true or false, got \"no\""),
            (
                json!({"historyLength": -1}),
                "historyLength: must be a whole number from 0 to 2147483647, got -1",
            ),
            (
                json!({"statusTimestampAfter": "yesterday"}),
                "statusTimestampAfter: must be an RFC 3339 time with an offset, like 2026-03-01T09:30:00Z, \
                 got \"yesterday\"",
            ),
        ];
        for (given, expected) in cases {
            let fault = TaskQuery::parse(&params(given.clone())).expect_err("wrong");
            let (field, problem) = expected.split_once(": ").expect("a field");
            assert_eq!(fault, Fault::params(field, problem), "{given}");
        }
        let fault = TaskQuery::parse(&params(json!({"status": "DONE"}))).expect_err("no state");
        assert_eq!(fault.kind(), FaultKind::InvalidParams);
        let large = "x".repeat(1 << 20);
        for name in ["status", "pageSize", "includeArtifacts"] {
            let fault = TaskQuery::parse(&params(json!({name: large.clone()}))).expect_err("wrong");
            assert!(fault.to_rest().len() < 1_000, "{name}: what is wrong is shown in part");
        }
        assert_eq!(params(json!({})).plan("id"), Err(Fault::params("id", "must be given")));
        let long = params(json!({"id": "x".repeat(257)})).plan("id");
        assert_eq!(long, Err(Fault::params("id", "must be 1 to 256 bytes, got 257")));
        assert_eq!(Params::from_json(Some(json!([1]))).expect_err("a list").kind(), FaultKind::InvalidParams);
    }

    #[test]
    fn a_state_is_known_by_its_name_and_its_number() {
        let status = |value: Value| super::status(&params(json!({"status": value})));
        assert_eq!(status(json!("TASK_STATE_WORKING")), Ok(Some(Some(PlanStatus::Running))));
        assert_eq!(status(json!(3)), Ok(Some(Some(PlanStatus::Completed))));
        assert_eq!(status(json!("TASK_STATE_CANCELED")), Ok(Some(None)), "no plan is ever in it");
        assert_eq!(status(json!(0)), Ok(None));
        assert!(status(json!(9)).is_err());
    }

    #[test]
    fn a_message_is_its_texts_and_its_data() {
        let message = json!({"messageId": "m", "contextId": "c", "role": "ROLE_USER",
            "parts": [{"text": "one"}, {"data": {"a": 1}}, {"kind": "text", "text": "two"}]});
        let sent = sending(json!({"message": message.clone()})).expect("valid");
        assert_eq!((sent.text.as_str(), sent.message_id.as_str()), ("one\ntwo", "m"));
        assert_eq!(sent.data, [Json::from(json!({"a": 1}))]);
        assert!(!sent.returns_at_once && sent.task_id.is_none());
        let at_once = json!({"message": message.clone(), "configuration": {"return_immediately": true}});
        assert!(sending(at_once).expect("valid").returns_at_once);
        let both = params(json!({"message": message, "configuration": {"blocking": false}}));
        assert!(Sending::parse(Dialect::V03, &both).expect("valid").returns_at_once);
    }

    #[test]
    fn p11_a_message_that_cannot_be_taken_says_why() {
        let cases = [
            (json!({}), FaultKind::InvalidParams),
            (json!({"message": {"parts": [{"text": "no id"}]}}), FaultKind::InvalidParams),
            (json!({"message": {"messageId": "m", "parts": []}}), FaultKind::InvalidParams),
            (json!({"message": {"messageId": "m", "parts": [{}]}}), FaultKind::InvalidParams),
            (
                json!({"message": {"messageId": "m", "parts": [{"url": "file:///etc/passwd"}]}}),
                FaultKind::ContentTypeNotSupported,
            ),
            (
                json!({"message": {"messageId": "m", "parts": [{"text": "x"}]},
                    "configuration": {"taskPushNotificationConfig": {"url": "http://elsewhere"}}}),
                FaultKind::PushNotificationNotSupported,
            ),
        ];
        for (given, kind) in cases {
            assert_eq!(sending(given.clone()).expect_err("refused").kind(), kind, "{given}");
        }
    }
}
