//! Reporting a tool call: `ToolCalled` before it runs, `ToolCompleted` whatever happens.

use std::{
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::Ordering,
    time::Instant,
};

use super::{PlanRun, micros, panics};
use crate::{
    error::{Error, Result},
    event::{EventId, Json, ToolCalled, ToolCompleted},
};

/// Why a reported tool call gave no result.
#[derive(Debug)]
pub enum ToolError<E> {
    /// The tool failed with its own error; the failure is in the log.
    Tool(E),
    /// The call or its completion could not be published. When `ToolCalled` was refused, the tool
    /// did not run; when `ToolCompleted` was, it did.
    Publish(Error),
}

impl<E: fmt::Display> fmt::Display for ToolError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(error) => error.fmt(f),
            Self::Publish(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for ToolError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Tool(error) => error.source(),
            Self::Publish(error) => error.source(),
        }
    }
}

impl PlanRun {
    /// Runs a tool and reports it: `ToolCalled` first, and when that is stored the tool, then
    /// `ToolCompleted` with outcome and duration. A tool that panics is reported as failed, and the
    /// panic goes on.
    ///
    /// # Errors
    /// [`ToolError::Tool`] with what the tool returned, [`ToolError::Publish`] when an event was
    /// refused; if that was `ToolCalled`, the tool did not run.
    pub fn tool<T, E: fmt::Display>(
        &self,
        tool: &str,
        arguments: impl Into<Json>,
        run: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, ToolError<E>> {
        self.report(tool, arguments.into(), run, |_| None)
    }

    /// As [`tool`](Self::tool), and keeps in `ToolCompleted` what `describe` says of the result.
    ///
    /// # Errors
    /// As [`tool`](Self::tool).
    pub fn tool_with<T, E: fmt::Display>(
        &self,
        tool: &str,
        arguments: impl Into<Json>,
        run: impl FnOnce() -> Result<T, E>,
        describe: impl FnOnce(&T) -> Json,
    ) -> Result<T, ToolError<E>> {
        self.report(tool, arguments.into(), run, |result| Some(describe(result)))
    }

    fn report<T, E: fmt::Display>(
        &self,
        tool: &str,
        arguments: Json,
        run: impl FnOnce() -> Result<T, E>,
        describe: impl FnOnce(&T) -> Option<Json>,
    ) -> Result<T, ToolError<E>> {
        let call_id = format!("call-{}", self.next_call.fetch_add(1, Ordering::Relaxed));
        let called =
            self.publish(ToolCalled::new(call_id.as_str(), tool, arguments)).map_err(ToolError::Publish)?;
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(run));
        let duration_us = Some(micros(begun.elapsed()));
        let mut completed =
            ToolCompleted { call_id, tool: tool.to_owned(), duration_us, ..Default::default() };
        match &outcome {
            Ok(Ok(result)) => {
                completed.ok = true;
                completed.result = describe(result);
            }
            Ok(Err(error)) => completed.error = Some(error.to_string()),
            Err(_) => completed.error = Some(format!("panicked: {}", panics::last().unwrap_or_default())),
        }
        let published = self.completed(called.event_id, completed);
        match outcome {
            Err(panic) => resume_unwind(panic),
            Ok(Err(error)) => {
                // The tool's own error says more than a second failure to report it.
                if let Err(refused) = published {
                    tracing::error!(plan = self.id().as_str(), tool, %refused, "a tool's failure could not be reported");
                }
                Err(ToolError::Tool(error))
            }
            Ok(Ok(result)) => published.map(|()| result).map_err(ToolError::Publish),
        }
    }

    fn completed(&self, call: EventId, payload: ToolCompleted) -> Result<()> {
        self.scope.publish(&self.plan_id, Some(call), payload).map(drop)
    }
}
