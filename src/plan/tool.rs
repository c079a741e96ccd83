//! Reporting a tool call: `ToolCalled` before it runs, `ToolCompleted` whatever happens.

use std::{
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::Ordering,
    time::Instant,
};

use super::{PlanRun, micros, panics, text::error_text};
use crate::{
    error::{Error, ErrorKind, Result},
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
    /// panic goes on. An error's text is kept up to 16 KiB.
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
    /// Where `describe` panics, the call is reported as failed, and the panic goes on.
    ///
    /// # Errors
    /// As [`tool`](Self::tool). A description that is refused is [`ToolError::Publish`], and the
    /// call is reported as failed without it.
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
        let mut completed = ToolCompleted { call_id, tool: tool.to_owned(), ..Default::default() };
        let outer_panic = panics::take();
        let begun = Instant::now();
        // All of the caller's code is inside the shield: no panic may leave the call open.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let outcome = run();
            completed.duration_us = Some(micros(begun.elapsed()));
            match &outcome {
                Ok(result) => {
                    completed.result = describe(result);
                    completed.ok = true;
                }
                Err(error) => completed.error = Some(error_text(&error.to_string())),
            }
            outcome
        }));
        match &outcome {
            Err(panic) => {
                let told = panics::told(&**panic);
                let what = match completed.duration_us {
                    None => "panicked",
                    Some(_) => "panicked while its outcome was described",
                };
                completed.error = Some(error_text(&format!("{what}: {told}")));
                completed.duration_us.get_or_insert_with(|| micros(begun.elapsed()));
                panics::note(Some(told));
            }
            // The tool ran while this thread unwinds: open plans still ask why it does.
            Ok(_) if std::thread::panicking() => panics::note(outer_panic),
            Ok(_) => {}
        }
        let published = self.completed(called.event_id, completed);
        if let (Err(refused), Err(_) | Ok(Err(_))) = (&published, &outcome) {
            // The tool's own error or panic says more than a second failure to report it.
            tracing::error!(plan = self.id().as_str(), tool, %refused, "a tool's failure could not be reported");
        }
        match outcome {
            Err(panic) => resume_unwind(panic),
            Ok(Err(error)) => Err(ToolError::Tool(error)),
            Ok(Ok(result)) => published.map(|()| result).map_err(ToolError::Publish),
        }
    }

    /// Publishes the completion; where its result is refused, as failed without it.
    fn completed(&self, call: EventId, mut payload: ToolCompleted) -> Result<()> {
        let publish = |payload| self.scope.publish(&self.plan_id, Some(call), payload).map(drop);
        let without_result = payload.result.is_some().then(|| {
            let result = payload.result.take();
            let bare = payload.clone();
            payload.result = result;
            bare
        });
        let published = publish(payload);
        if let (Err(refused), Some(mut bare)) = (&published, without_result)
            && matches!(refused.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge)
        {
            bare.ok = false;
            bare.error = Some(error_text(&format!("its result was refused: {refused}")));
            if let Err(error) = publish(bare) {
                tracing::error!(plan = self.id().as_str(), %error, "a call's completion could not be reported");
            }
        }
        published
    }
}
