//! What goes wrong in A2A, and how each binding says so.
//!
//! A [`Fault`] is an error with its A2A meaning: a code in JSON-RPC, a status in HTTP+JSON, and in
//! both an `ErrorInfo` with the reason. Pure.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    error::{Error, ErrorKind},
    server::problem::Problem,
};

/// The errors of A2A and JSON-RPC that this server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    ParseError,
    InvalidRequest,
    MethodNotFound,
    InvalidParams,
    Internal,
    TaskNotFound,
    TaskNotCancelable,
    PushNotificationNotSupported,
    UnsupportedOperation,
    ContentTypeNotSupported,
    ExtendedCardNotConfigured,
    VersionNotSupported,
    Unavailable,
    Unauthorized,
}

/// How a kind of fault is told: JSON-RPC's code, HTTP's, the name of google.rpc, the reason.
struct Wire(i32, u16, &'static str, &'static str);

impl FaultKind {
    fn wire(self) -> Wire {
        match self {
            Self::ParseError => Wire(-32700, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            Self::InvalidRequest => Wire(-32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            Self::MethodNotFound => Wire(-32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
            Self::InvalidParams => Wire(-32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
            Self::Internal => Wire(-32603, 500, "INTERNAL", "INTERNAL_ERROR"),
            Self::TaskNotFound => Wire(-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
            Self::TaskNotCancelable => Wire(-32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
            Self::PushNotificationNotSupported => {
                Wire(-32003, 400, "FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED")
            }
            Self::UnsupportedOperation => Wire(-32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
            Self::ContentTypeNotSupported => {
                Wire(-32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED")
            }
            Self::ExtendedCardNotConfigured => {
                Wire(-32007, 400, "FAILED_PRECONDITION", "EXTENDED_AGENT_CARD_NOT_CONFIGURED")
            }
            Self::VersionNotSupported => Wire(-32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
            // JSON-RPC leaves -32000 to servers, and A2A begins below it.
            Self::Unavailable => Wire(-32000, 503, "UNAVAILABLE", "UNAVAILABLE"),
            Self::Unauthorized => Wire(-32000, 403, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        }
    }
}

/// An error with its A2A meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: FaultKind,
    message: String,
}

pub(super) type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A parameter that does not keep its grammar: `field: problem`.
    pub(super) fn params(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(FaultKind::InvalidParams, format!("{field}: {problem}"))
    }

    #[cfg(test)]
    pub(super) fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The status of its HTTP+JSON form.
    pub(super) fn status(&self) -> u16 {
        self.kind.wire().1
    }

    /// `{"error": {"code": 404, "status": "NOT_FOUND", ..}}`, as HTTP+JSON has it.
    pub(super) fn to_rest(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Status<'a>,
        }
        #[derive(Serialize)]
        struct Status<'a> {
            code: u16,
            status: &'static str,
            message: &'a str,
            details: [ErrorInfo; 1],
        }
        let Wire(_, code, status, reason) = self.kind.wire();
        let error = Status { code, status, message: &self.message, details: [ErrorInfo::new(reason)] };
        written(&Body { error })
    }

    /// `{"jsonrpc": "2.0", "id": .., "error": {"code": -32001, ..}}`, as JSON-RPC has it.
    pub(super) fn to_rpc(&self, id: &RawValue) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            jsonrpc: &'static str,
            id: &'a RawValue,
            error: RpcError<'a>,
        }
        #[derive(Serialize)]
        struct RpcError<'a> {
            code: i32,
            message: &'a str,
            data: [ErrorInfo; 1],
        }
        let Wire(code, _, _, reason) = self.kind.wire();
        let error = RpcError { code, message: &self.message, data: [ErrorInfo::new(reason)] };
        written(&Body { jsonrpc: "2.0", id, error })
    }
}

/// A `google.rpc.ErrorInfo`.
#[derive(Serialize)]
struct ErrorInfo {
    #[serde(rename = "@type")]
    type_url: &'static str,
    reason: &'static str,
    domain: &'static str,
    metadata: Empty,
}

#[derive(Serialize)]
struct Empty {}

impl ErrorInfo {
    fn new(reason: &'static str) -> Self {
        let type_url = "type.googleapis.com/google.rpc.ErrorInfo";
        Self { type_url, reason, domain: "a2a-protocol.org", metadata: Empty {} }
    }
}

fn written(body: &impl Serialize) -> String {
    // Strings and numbers only: writing them cannot fail.
    serde_json::to_string(body).unwrap_or_default()
}

impl From<Error> for Fault {
    /// An error of planbus. What a store says of its files is not for clients: it is logged.
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidOption => FaultKind::InvalidParams,
            ErrorKind::NotFound => FaultKind::TaskNotFound,
            ErrorKind::Unauthorized => FaultKind::Unauthorized,
            ErrorKind::Closed | ErrorKind::Unavailable => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        };
        if kind == FaultKind::Internal {
            tracing::error!(%error, "an A2A request failed");
            return Self::new(kind, "the server could not do this; its log says why");
        }
        Self::new(kind, error.to_string())
    }
}

impl From<Problem> for Fault {
    /// What the rest of the server says of a request.
    fn from(problem: Problem) -> Self {
        let kind = match problem.status.as_u16() {
            401 | 403 => FaultKind::Unauthorized,
            404 => FaultKind::TaskNotFound,
            400..500 => FaultKind::InvalidParams,
            503 => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        };
        Self::new(kind, problem.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(kind: FaultKind) -> serde_json::Value {
        let id = serde_json::value::to_raw_value("u1").expect("a text");
        serde_json::from_str(&Fault::new(kind, "so it is").to_rpc(&id)).expect("JSON")
    }

    #[test]
    fn every_fault_has_its_code_its_status_and_its_reason() {
        use FaultKind::*;
        let cases = [
            (ParseError, -32700, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            (InvalidRequest, -32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            (MethodNotFound, -32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
            (InvalidParams, -32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
            (Internal, -32603, 500, "INTERNAL", "INTERNAL_ERROR"),
            (TaskNotFound, -32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
            (TaskNotCancelable, -32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
            (
                PushNotificationNotSupported,
                -32003,
                400,
                "FAILED_PRECONDITION",
                "PUSH_NOTIFICATION_NOT_SUPPORTED",
            ),
            (UnsupportedOperation, -32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
            (ContentTypeNotSupported, -32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
            (
                ExtendedCardNotConfigured,
                -32007,
                400,
                "FAILED_PRECONDITION",
                "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
            ),
            (VersionNotSupported, -32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
            (Unavailable, -32000, 503, "UNAVAILABLE", "UNAVAILABLE"),
            (Unauthorized, -32000, 403, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        ];
        for (kind, code, status, name, reason) in cases {
            let info = serde_json::json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "a2a-protocol.org",
                "metadata": {},
            }]);
            let error = serde_json::json!({"code": code, "message": "so it is", "data": info});
            assert_eq!(rpc(kind), serde_json::json!({"jsonrpc": "2.0", "id": "u1", "error": error}));
            let fault = Fault::new(kind, "so it is");
            assert_eq!(fault.status(), status);
            let error =
                serde_json::json!({"code": status, "status": name, "message": "so it is", "details": info});
            let rest: serde_json::Value = serde_json::from_str(&fault.to_rest()).expect("JSON");
            assert_eq!(rest, serde_json::json!({"error": error}));
        }
    }

    #[test]
    fn p11_what_a_store_says_of_its_files_is_not_told_to_clients() {
        let fault = Fault::from(Error::new(ErrorKind::Storage, "read /srv/planbus.db"));
        assert_eq!(fault.kind(), FaultKind::Internal);
        assert!(!fault.to_rest().contains("/srv"), "{}", fault.to_rest());
        let fault = Fault::from(Error::invalid("plan_id", "must be 1 to 256 bytes, got 0"));
        assert_eq!(fault, Fault::params("plan_id", "must be 1 to 256 bytes, got 0"));
    }
}
