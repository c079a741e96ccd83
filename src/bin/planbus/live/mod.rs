//! The live tree of a run, drawn on stderr while it goes on.
//!
//! It knows only what the bus delivers: a subscription keeps the [`Model`], a thread draws it a few
//! times a second. A publisher never waits for the terminal.

mod model;
pub(crate) mod pane;

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;
use planbus::{Event, EventBus, Filter, PlanId, Subscription};

use self::{model::Model, pane::Pane};
use crate::{
    failure::{Exit, Failure},
    style::Painter,
    terminal,
};

/// The time between two frames.
const FRAME: Duration = Duration::from_millis(80);

/// A live tree; dropping it clears the terminal.
pub(crate) struct Live {
    /// Ends before the thread does: what is drawn last is complete.
    subscription: Option<Subscription>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Draws the plan `root` and all of its subplans from now on.
    pub(crate) fn start(bus: &EventBus, root: &PlanId) -> Result<Self, Failure> {
        let model = Arc::new(Mutex::new(Model::new(Instant::now())));
        let writer = Arc::clone(&model);
        let subscription = bus
            .subscribe(Filter::all().correlation_id(root.as_str()), move |event: &Event| {
                writer.lock().apply(event, Instant::now());
            })?
            .named("live tree");
        let (stop, stopped) = bounded::<()>(0);
        let draw = move || {
            let mut pane = Pane::default();
            let painter = Painter::new(true);
            // Ends when the sender is dropped.
            while stopped.recv_timeout(FRAME).is_err_and(|error| error.is_timeout()) {
                let (columns, rows) = terminal::stderr_size();
                let frame = model.lock().frame(columns, rows, Instant::now(), painter);
                // A terminal that is gone needs no frames.
                if pane.draw(&frame, &mut io::stderr()).is_err() {
                    return;
                }
            }
            let _ = pane.clear(&mut io::stderr());
        };
        let thread = thread::Builder::new().name("live tree".to_owned()).spawn(draw);
        let thread = thread.map_err(|error| Failure::of(Exit::Failed, "start the live tree", &error))?;
        Ok(Self { subscription: Some(subscription), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.subscription.take();
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A frame that could not be drawn is no reason to fail.
            let _ = thread.join();
        }
    }
}
