//! Trimming: the beginning of a stream leaves, never what a group has not read and acked.
//!
//! One script decides and removes, since groups move meanwhile. It never looks at the server's own
//! figure of a group's lag, which is unknown after a deletion and as wrong as whoever set it.

use ::redis::{Cmd, Value};

/// The most entries that one call removes as whole nodes of the stream, which costs no reading.
pub(crate) const TRIM_STEP_MAX_ENTRIES: u64 = 10_000;
/// The most entries that one call removes one by one, where only a part of a node may leave. As
/// many as a node holds, where nobody configured it otherwise.
const TRIM_PARTIAL_MAX_ENTRIES: u64 = 100;
/// How many entries more than its limit a stream may have before a mirror trims it: so many leave
/// in one piece.
const TRIM_SLACK_ENTRIES: u64 = 100;

const SCRIPT: &str = concat!(include_str!("group.lua"), include_str!("trim.lua"));

/// What one call of the script did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrimStep {
    /// How many entries left.
    pub(crate) removed: u64,
    /// The group that kept entries from leaving.
    pub(crate) held_by: Option<String>,
}

impl TrimStep {
    /// Reads the answer to a command of this file; `None` when it is none.
    pub(crate) fn of_reply(reply: &Value) -> Option<Self> {
        let Value::Array(fields) = reply else { return None };
        let (Value::Int(removed), Value::BulkString(group)) = (fields.first()?, fields.get(1)?) else {
            return None;
        };
        let held_by = (!group.is_empty()).then(|| String::from_utf8_lossy(group).into_owned());
        Some(Self { removed: u64::try_from(*removed).ok()?, held_by })
    }
}

/// Trims a stream to about so many entries, as a mirror does after it appended: at most
/// [`TRIM_STEP_MAX_ENTRIES`] a call, and never what a group needs. [`TrimStep::of_reply`] reads the
/// answer.
pub(crate) fn trim_command(key: &str, max_len: u64) -> Cmd {
    command(key, "max_len", &max_len.to_string(), TRIM_SLACK_ENTRIES, false)
}

/// Trims a stream by a rule that somebody gave, to the entry: at most [`TRIM_STEP_MAX_ENTRIES`] a
/// call. With `force`, also what groups need.
pub(super) fn rule_command(key: &str, rule: &str, limit: &str, force: bool) -> Cmd {
    command(key, rule, limit, 0, force)
}

fn command(key: &str, rule: &str, limit: &str, slack: u64, force: bool) -> Cmd {
    let mut command = ::redis::cmd("EVAL");
    command.arg(SCRIPT).arg(1).arg(key).arg(rule).arg(limit).arg(slack);
    command.arg(TRIM_STEP_MAX_ENTRIES).arg(TRIM_PARTIAL_MAX_ENTRIES).arg(if force { "force" } else { "" });
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_shape_is_none() {
        let group = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        let step =
            |removed, held_by: Option<&str>| Some(TrimStep { removed, held_by: held_by.map(str::to_owned) });
        let of = |fields| TrimStep::of_reply(&Value::Array(fields));
        assert_eq!(of(vec![Value::Int(7), group("")]), step(7, None));
        assert_eq!(of(vec![Value::Int(0), group("workers")]), step(0, Some("workers")));
        assert_eq!(of(vec![Value::Int(-1), group("")]), None);
        assert_eq!((of(vec![Value::Int(1)]), TrimStep::of_reply(&Value::Okay)), (None, None));
    }
}
