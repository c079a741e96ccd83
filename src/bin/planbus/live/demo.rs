//! The live tree of a run, drawn on stderr while it goes on.
//!
//! It knows only what the bus delivers: a subscription keeps the [`Model`], a thread draws it a few
//! times a second. A publisher never waits for the terminal.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;
use planbus::{Event, EventBus, Filter, PlanId, Subscription, Timestamp};

use super::{
    model::Model,
    pane::Pane,
    rows::{Outline, Pen, spinner},
};
use crate::{
    agent_runtime::units::{counted, duration, number},
    failure::{Exit, Failure},
    style::{Painter, Style},
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
        // Plans come and go by the hundred: those that ended are counted, not shown.
        let model = Arc::new(Mutex::new(Model::new(Duration::ZERO)));
        let writer = Arc::clone(&model);
        let subscription = bus
            .subscribe(Filter::all().correlation_id(root.as_str()), move |event: &Event| {
                writer.lock().apply(event);
            })?
            .named("live tree");
        let (stop, stopped) = bounded::<()>(0);
        let begun = Instant::now();
        let draw = move || {
            let mut pane = Pane::default();
            let painter = Painter::new(true);
            // Ends when the sender is dropped.
            while stopped.recv_timeout(FRAME).is_err_and(|error| error.is_timeout()) {
                let size = terminal::stderr_size();
                let frame = frame(&model.lock(), size, begun.elapsed(), Timestamp::now(), painter);
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

/// The picture at `now`, in at most so many columns, and one row fewer than the terminal has: the
/// cursor rests on the last.
fn frame(
    model: &Model,
    (columns, rows): (usize, usize),
    elapsed: Duration,
    now: Timestamp,
    painter: Painter,
) -> String {
    // A line that fills the last column makes some terminals begin the next one.
    let columns = columns.saturating_sub(1);
    let room = rows.saturating_sub(3).max(1);
    let outline = Outline::of(model, false, room);
    let mut lines = outline.lines(0, room, Pen { columns, now, running: spinner(now), painter });
    let hidden = outline.len().saturating_sub(room) as u64 + model.sums.unlisted;
    if hidden > 0 {
        let more = format!("  … and {} more", number(hidden));
        lines.push(painter.line(&[(Style::Faint, more)], columns));
    }
    lines.push(painter.line(&[(Style::Heading, sums(model, elapsed))], columns));
    lines.join("\n")
}

fn sums(model: &Model, elapsed: Duration) -> String {
    let sums = &model.sums;
    let rate = (sums.events as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    format!(
        "{}  {} running, {} done, {} failed  {} ({} failed)  {}  {} ({}/s)",
        duration(Duration::from_millis(elapsed.as_millis() as u64 / 100 * 100)),
        number(sums.running),
        number(sums.completed),
        number(sums.failed),
        counted(sums.tools, "tool call"),
        number(sums.failed_tools),
        counted(sums.decisions, "decision"),
        counted(sums.events, "event"),
        number(rate),
    )
}

#[cfg(test)]
mod tests {
    use planbus::{PlanCompleted, PlanStarted, ToolCalled};
    use serde_json::json;

    use super::*;
    use crate::text::width;

    fn started(plan: &str, parent: &str) -> Event {
        let mut payload = PlanStarted::new("survey \u{1b}[2J");
        payload.parent = Some(parent.to_owned());
        Event::new(plan, payload)
    }

    fn picture(model: &Model, size: (usize, usize)) -> String {
        frame(model, size, Duration::ZERO, Timestamp::now(), Painter::new(false))
    }

    #[test]
    fn a_frame_fits_the_terminal_and_tells_how_much_it_leaves_out() {
        let mut model = Model::new(Duration::ZERO);
        model.apply(&Event::new("root", PlanStarted::new("survey \u{1b}[2J")));
        for plan in 0..100 {
            let id = format!("root/{plan} {}", "long ".repeat(30));
            model.apply(&started(&id, "root"));
            let call = ToolCalled::new("call-1", "read_file", json!({"path": "a/b\u{202e}.txt"}));
            model.apply(&Event::new(id.as_str(), call));
        }
        for (columns, rows) in [(60, 10), (200, 50), (20, 5), (1, 1), (0, 0)] {
            let frame = picture(&model, (columns, rows));
            let lines: Vec<&str> = frame.lines().collect();
            assert!(lines.len() < rows.max(4), "{columns}x{rows}: {} lines", lines.len());
            assert!(lines.iter().all(|line| width(line) < columns.max(2)), "{columns}x{rows}:\n{frame}");
            assert!(!frame.contains(['\u{1b}', '\u{202e}']), "{frame:?}");
        }
        assert!(picture(&model, (60, 10)).contains("… and 94 more"));
    }

    #[test]
    fn ended_plans_leave_the_tree_and_are_counted() {
        let mut model = Model::new(Duration::ZERO);
        model.apply(&Event::new("root", PlanStarted::new("survey")));
        model.apply(&started("root/a", "root"));
        model.apply(&Event::new("root/a", PlanCompleted::new()));
        model.apply(&Event::untyped("root", "SubplanCompleted", json!({"subplan": "root/a", "ok": true})));
        let frame = picture(&model, (80, 24));
        assert!(frame.contains("1 subplan done") && frame.contains("1 running, 1 done, 0 failed"), "{frame}");
        assert_eq!(frame.lines().count(), 2);
    }
}
