//! What both bindings share: the methods, the version that is spoken, and who answers.

use axum::http::HeaderMap;
use serde_json::value::RawValue;

use super::{
    fault::{Fault, FaultKind, Result},
    follow::Stream,
    request::{Params, no_push},
    tasks::Tasks,
};
use crate::server::{following::last_event_id, task::Dialect};

/// The methods of A2A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    SendMessage,
    SendStreamingMessage,
    GetTask,
    ListTasks,
    CancelTask,
    SubscribeToTask,
    /// Any method of push notifications.
    PushNotification,
    GetExtendedAgentCard,
}

/// An answer without a fault.
#[derive(Debug)]
pub(super) enum Answer {
    /// One JSON value.
    Json(String),
    Stream(Box<Stream>),
}

impl Method {
    /// A method of JSON-RPC by its name in a version.
    pub(super) fn named(dialect: Dialect, name: &str) -> Result<Self> {
        match (dialect, Self::of_v1(name), Self::of_v03(name)) {
            (Dialect::V1, Some(method), _) | (Dialect::V03, _, Some(method)) => Ok(method),
            // A client that sends no version is taken to speak 0.3, as the specification has it.
            (Dialect::V03, Some(_), None) => Err(Fault::new(
                FaultKind::VersionNotSupported,
                format!("{name} is a method of A2A 1.0: send the header A2A-Version: 1.0 with it"),
            )),
            (Dialect::V1, None, Some(_)) => Err(Fault::new(
                FaultKind::MethodNotFound,
                format!("{name} is a method of A2A 0.3: send the header A2A-Version: 0.3 with it"),
            )),
            (_, None, None) => Err(Fault::new(FaultKind::MethodNotFound, "there is no such method")),
        }
    }

    fn of_v1(name: &str) -> Option<Self> {
        Some(match name {
            "SendMessage" => Self::SendMessage,
            "SendStreamingMessage" => Self::SendStreamingMessage,
            "GetTask" => Self::GetTask,
            "ListTasks" => Self::ListTasks,
            "CancelTask" => Self::CancelTask,
            "SubscribeToTask" => Self::SubscribeToTask,
            "CreateTaskPushNotificationConfig"
            | "GetTaskPushNotificationConfig"
            | "ListTaskPushNotificationConfigs"
            | "DeleteTaskPushNotificationConfig" => Self::PushNotification,
            "GetExtendedAgentCard" => Self::GetExtendedAgentCard,
            _ => return None,
        })
    }

    fn of_v03(name: &str) -> Option<Self> {
        Some(match name {
            "message/send" => Self::SendMessage,
            "message/stream" => Self::SendStreamingMessage,
            "tasks/get" => Self::GetTask,
            "tasks/cancel" => Self::CancelTask,
            "tasks/resubscribe" => Self::SubscribeToTask,
            "tasks/pushNotificationConfig/set"
            | "tasks/pushNotificationConfig/get"
            | "tasks/pushNotificationConfig/list"
            | "tasks/pushNotificationConfig/delete" => Self::PushNotification,
            "agent/getAuthenticatedExtendedCard" => Self::GetExtendedAgentCard,
            _ => return None,
        })
    }

    /// Does what the method is there for.
    pub(super) async fn call(
        self,
        tasks: &Tasks<'_>,
        params: &Params,
        headers: &HeaderMap,
    ) -> Result<Answer> {
        match self {
            Self::SendMessage => tasks.send(params).await.map(Answer::Json),
            Self::SendStreamingMessage => tasks.send_streaming(params).await.map(Answer::stream),
            Self::GetTask => tasks.get(params).await.map(Answer::Json),
            Self::ListTasks => tasks.list(params).await.map(Answer::Json),
            Self::CancelTask => tasks.cancel(params).await.map(Answer::Json),
            Self::SubscribeToTask => {
                tasks.subscribe(params, last_event_id(headers)?).await.map(Answer::stream)
            }
            Self::PushNotification => Err(no_push()),
            Self::GetExtendedAgentCard => Err(no_extended_card(tasks.dialect)),
        }
    }
}

impl Answer {
    fn stream(stream: Stream) -> Self {
        Self::Stream(Box::new(stream))
    }
}

/// 1.0 has a word for agents that offer no such card, 0.3 only for those that have none at hand.
fn no_extended_card(dialect: Dialect) -> Fault {
    let kind = match dialect {
        Dialect::V1 => FaultKind::UnsupportedOperation,
        Dialect::V03 => FaultKind::ExtendedCardNotConfigured,
    };
    Fault::new(kind, "there is no other card than the public one")
}

/// The version that a request speaks: none is 0.3, as the specification has it.
pub(super) fn dialect(headers: &HeaderMap, parameter: Option<&str>) -> Result<Dialect> {
    let header = headers.get("a2a-version").map(|value| value.to_str().unwrap_or("?"));
    let version = header.filter(|version| !version.is_empty()).or(parameter).unwrap_or_default().trim();
    let mut numbers = version.splitn(3, '.');
    match (numbers.next(), numbers.next()) {
        (Some("1"), Some("0")) => Ok(Dialect::V1),
        (Some("0"), Some("3")) | (Some(""), None) => Ok(Dialect::V03),
        _ => Err(Fault::new(
            FaultKind::VersionNotSupported,
            format!("A2A-Version: must be 1.0 or 0.3, got {version:.20}"),
        )),
    }
}

/// The id of a request of which none could be read.
pub(super) fn no_id() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(value: &str) -> Result<Dialect> {
        let mut headers = HeaderMap::new();
        headers.insert("a2a-version", value.parse().expect("a value"));
        dialect(&headers, None)
    }

    #[test]
    fn the_version_is_told_by_its_first_two_numbers_and_none_is_0_3() {
        assert_eq!(version("1.0"), Ok(Dialect::V1));
        assert_eq!(version("1.0.1"), Ok(Dialect::V1));
        assert_eq!(version("0.3.0"), Ok(Dialect::V03));
        assert_eq!(version(""), Ok(Dialect::V03));
        assert_eq!(dialect(&HeaderMap::new(), None), Ok(Dialect::V03));
        assert_eq!(dialect(&HeaderMap::new(), Some("1.0")), Ok(Dialect::V1));
        for wrong in ["2.0", "1", "1.1", "0.2.5", "x", "\u{e9}"] {
            assert_eq!(
                version(wrong).expect_err("refused").kind(),
                FaultKind::VersionNotSupported,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_method_of_the_other_version_is_refused_with_what_to_send() {
        assert_eq!(Method::named(Dialect::V1, "GetTask"), Ok(Method::GetTask));
        assert_eq!(Method::named(Dialect::V03, "tasks/resubscribe"), Ok(Method::SubscribeToTask));
        let kind = |dialect, name| Method::named(dialect, name).expect_err("refused").kind();
        assert_eq!(kind(Dialect::V03, "GetTask"), FaultKind::VersionNotSupported);
        assert_eq!(kind(Dialect::V1, "tasks/get"), FaultKind::MethodNotFound);
        assert_eq!(kind(Dialect::V1, "gettask"), FaultKind::MethodNotFound);
        assert_eq!(kind(Dialect::V03, "tasks/list"), FaultKind::MethodNotFound);
    }
}
