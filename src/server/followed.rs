//! [`Followed`]: what a client that follows the log is told, and when.
//!
//! The same for every transport: it decides what is next, when a sign of life is due, and when all is
//! over. It writes nothing; whoever does asks again once there is room.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use super::{
    access::Caller,
    counters::{CutReason, OpenStream, Transport},
    frame::Frame,
    reads::{Work, Working},
    state::Shared,
    subscriber::{A2AEventSubscriber, Gap, Given},
};
use crate::{
    event::{EventType, PlanId, Tenant},
    filter::CompiledFilter,
};

/// What a stream follows.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) subscriber: A2AEventSubscriber,
    /// Which of the subscriber's events are said.
    pub(super) wanted: CompiledFilter,
    /// The plan with which the stream ends, whether its end is wanted or not.
    pub(super) until: Option<(Tenant, PlanId)>,
}

/// What a client is told next.
#[derive(Debug)]
pub(super) enum Said {
    /// An event; with `is_last`, the plan that the client follows ends with it.
    Event { frame: Arc<Frame>, is_last: bool },
    /// Events are missing here.
    Gap(Gap),
    /// The stream is alive, and has looked at all events up to a seq.
    Alive { cursor: u64 },
    /// Nothing more comes; so it is from now on.
    End(Ending),
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The plan has ended.
    Plan,
    /// The server stops, or the bus was closed.
    Server,
    /// The caller may see nothing more.
    Caller,
    /// The log could not be read; the client comes again where it was.
    Failure,
}

/// A client's way through what it follows.
pub(super) struct Followed {
    state: Shared,
    /// Counts the client as there for as long as it follows.
    _open: OpenStream,
    transport: Transport,
    caller: Caller,
    caller_ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    subscriber: A2AEventSubscriber,
    wanted: CompiledFilter,
    until: Option<(Tenant, PlanId)>,
    /// An end of the plan, and whether it is its last.
    plan_end: Option<(Arc<Frame>, Working<bool>)>,
    /// To be told before the stream ends with the plan.
    last_cursor: Option<u64>,
    ending: Option<Ending>,
    heartbeat: Duration,
    beat: Pin<Box<Sleep>>,
    said_at: Instant,
}

impl Followed {
    pub(super) fn new(state: &Shared, caller: Caller, following: Following, transport: Transport) -> Self {
        Self {
            state: Arc::clone(state),
            _open: state.counters.stream_opened(transport),
            transport,
            caller_ended: {
                let caller = caller.clone();
                Box::pin(async move { caller.ended().await })
            },
            caller,
            subscriber: following.subscriber,
            wanted: following.wanted,
            until: following.until,
            plan_end: None,
            last_cursor: None,
            ending: None,
            heartbeat: state.options.heartbeat,
            beat: Box::pin(tokio::time::sleep(state.options.heartbeat)),
            said_at: Instant::now(),
        }
    }

    /// What comes next.
    pub(super) fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        // Asked each time; waited for, which costs more, once there is nothing to say.
        if self.ending.is_none() && self.caller.is_over() {
            self.end_for_caller();
        }
        let mut said = self.poll_log(context);
        if said.is_pending() && self.caller_ended.as_mut().poll(context).is_ready() {
            self.end_for_caller();
            said = self.poll_log(context);
        }
        if said.is_ready() {
            self.said_at = Instant::now();
            return said;
        }
        ready!(self.poll_beat(context));
        self.said_at = Instant::now();
        Poll::Ready(Said::Alive { cursor: self.subscriber.cursor() })
    }

    fn poll_log(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        loop {
            if let Some(cursor) = self.last_cursor.take() {
                return Poll::Ready(Said::Alive { cursor });
            }
            if let Some(ending) = self.ending {
                return Poll::Ready(Said::End(ending));
            }
            let said = if self.plan_end.is_some() {
                ready!(self.poll_plan_end(context))
            } else {
                match ready!(self.subscriber.poll_given(context)) {
                    Some(Ok(Given::Frame(frame))) => self.look_at(frame),
                    Some(Ok(Given::Gap(gap))) => {
                        self.state.counters.gap();
                        Some(Said::Gap(gap))
                    }
                    Some(Err(error)) => {
                        tracing::warn!(target: "planbus.serve", %error, "a stream was cut");
                        self.end(Ending::Failure);
                        None
                    }
                    None => {
                        self.end(Ending::Server);
                        None
                    }
                }
            };
            if let Some(said) = said {
                return Poll::Ready(said);
            }
        }
    }

    fn look_at(&mut self, frame: Arc<Frame>) -> Option<Said> {
        match &self.until {
            Some((tenant, plan)) if is_end_of(&frame, tenant, plan) => {
                let (store, tenant, plan) = (self.state.store.clone(), tenant.clone(), plan.clone());
                let seq = frame.seq();
                let look = move || {
                    let turn = store.last_turn(&tenant, &plan)?;
                    Ok(turn.is_none_or(|turn| turn.seq <= seq))
                };
                self.plan_end = Some((frame, self.state.feed().reads().run(Work::LookUp, look)));
                None
            }
            _ => self.said_if_wanted(frame, false),
        }
    }

    fn said_if_wanted(&self, frame: Arc<Frame>, is_last: bool) -> Option<Said> {
        if !self.wanted.matches(frame.event()) {
            return None;
        }
        self.state.counters.delivered(self.transport, 1);
        Some(Said::Event { frame, is_last })
    }

    fn end_for_caller(&mut self) {
        self.end(Ending::Caller);
        self.last_cursor = None;
    }

    fn end(&mut self, ending: Ending) {
        let cut = match ending {
            Ending::Plan => None,
            Ending::Server => self.state.feed().is_stopping().then_some(CutReason::Stopped),
            Ending::Caller => Some(CutReason::Revoked),
            Ending::Failure => Some(CutReason::Failed),
        };
        if let Some(reason) = cut {
            self.state.counters.cut(reason);
        }
        self.ending = Some(ending);
    }

    /// Says an end of the plan once it is known whether the plan was begun again.
    fn poll_plan_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Said>> {
        let Some((_, look)) = &mut self.plan_end else { return Poll::Ready(None) };
        let looked = ready!(look.as_mut().poll(context));
        let Some((frame, _)) = self.plan_end.take() else { return Poll::Ready(None) };
        let Ok(is_last) = looked else {
            self.end(Ending::Failure);
            return Poll::Ready(None);
        };
        if is_last {
            self.end(Ending::Plan);
            // Where the end was not wanted, the client knows all the same where it stands.
            self.last_cursor = Some(frame.seq());
        }
        Poll::Ready(self.said_if_wanted(frame, is_last))
    }

    fn poll_beat(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // The timer is not set again with each event: it looks how long ago the last one was.
        while self.beat.as_mut().poll(context).is_ready() {
            let due = self.said_at + self.heartbeat;
            let now = Instant::now();
            if due <= now {
                self.beat.as_mut().reset(now + self.heartbeat);
                return Poll::Ready(());
            }
            self.beat.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("subscriber", &self.subscriber).finish_non_exhaustive()
    }
}

fn is_end_of(frame: &Frame, tenant: &Tenant, plan: &PlanId) -> bool {
    let event = frame.event();
    matches!(event.event_type(), EventType::PlanCompleted | EventType::PlanFailed)
        && event.plan_id() == plan
        && event.tenant() == tenant
}
