//! What a client says when it runs us as an agent: the part of its `RunAgentInput` that matters here.
//!
//! Messages, tools, context and state are not looked at: a plan is followed, not asked.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::{Error, ErrorKind, Result},
    event::PlanId,
};

/// How many bytes the name of a thread or a run may have.
const NAME_MAX_BYTES: usize = 1_024;

/// Under which names the client knows the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunInput {
    pub(super) thread_id: String,
    pub(super) run_id: String,
}

/// The fields as they were sent, each of any kind.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    #[serde(borrow, alias = "thread_id")]
    thread_id: Option<&'a RawValue>,
    #[serde(borrow, alias = "run_id")]
    run_id: Option<&'a RawValue>,
}

impl RunInput {
    /// Reads a request's body. Who names no thread or no run gets the plan's id for it; an empty body
    /// names neither.
    ///
    /// Fails with [`ErrorKind::InvalidInput`], which names the field.
    pub(super) fn parse(body: &[u8], plan: &PlanId) -> Result<Self> {
        let sent = match body.trim_ascii() {
            [] => Sent::default(),
            body @ [b'{', ..] => serde_json::from_slice(body).map_err(|cause| {
                Error::with_source(ErrorKind::InvalidInput, "body: is no RunAgentInput".to_owned(), cause)
            })?,
            _ => return Err(Error::invalid("body", "must be a JSON object")),
        };
        Ok(Self {
            thread_id: name("threadId", sent.thread_id, plan)?,
            run_id: name("runId", sent.run_id, plan)?,
        })
    }
}

fn name(field: &str, sent: Option<&RawValue>, plan: &PlanId) -> Result<String> {
    let name = sent.map_or(Ok(None), |sent| serde_json::from_str::<Option<String>>(sent.get()));
    let name = name.map_err(|_| Error::invalid(field, "must be a string"))?.unwrap_or_default();
    match name.len() {
        0 => Ok(plan.as_str().to_owned()),
        1..=NAME_MAX_BYTES => Ok(name),
        bytes => Err(Error::invalid(field, format!("must be at most {NAME_MAX_BYTES} bytes, got {bytes}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<RunInput> {
        RunInput::parse(body.as_bytes(), &PlanId::try_from("plan-7").expect("a plan id"))
    }

    #[test]
    fn a_client_names_its_thread_and_run_and_the_rest_is_not_looked_at() {
        let whole =
            r#"{"threadId":"t-1","runId":"r-1","messages":[{"id":1}],"tools":7,"state":{"a":[]},"x":null}"#;
        let input = parse(whole).expect("read");
        assert_eq!((input.thread_id.as_str(), input.run_id.as_str()), ("t-1", "r-1"));
        for without in ["", "  \n", "{}", r#"{"threadId":null,"runId":""}"#] {
            let input = parse(without).expect("read");
            assert_eq!((input.thread_id.as_str(), input.run_id.as_str()), ("plan-7", "plan-7"), "{without}");
        }
        assert_eq!(parse(r#"{"thread_id":"t","run_id":"r"}"#).expect("read").thread_id, "t");
    }

    #[test]
    fn p11_a_wrong_input_is_refused_and_names_the_field() {
        let long = format!(r#"{{"runId":"{}"}}"#, "r".repeat(NAME_MAX_BYTES + 1));
        for (body, said) in [
            (r#"{"threadId":7}"#, "threadId: must be a string"),
            (r#"{"runId":{"a":1}}"#, "runId: must be a string"),
            (long.as_str(), "runId: must be at most 1024 bytes, got 1025"),
            ("[]", "body: must be a JSON object"),
            ("\"x\"", "body: must be a JSON object"),
            (r#"{"threadId":"a""#, "body: is no RunAgentInput"),
            (r#"{"threadId":"a","threadId":"b"}"#, "body: is no RunAgentInput"),
        ] {
            let error = parse(body).expect_err(body);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), said);
        }
        assert!(
            RunInput::parse(b"{\"runId\":\"\xff\"}", &PlanId::try_from("p").expect("a plan id")).is_err()
        );
    }
}
