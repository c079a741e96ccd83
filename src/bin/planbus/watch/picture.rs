//! `watch` on a terminal: the picture, drawn again in place, and the keys.
//!
//! One thread does all of it. Between two pictures it takes in what the log has, so a picture is never
//! late by more than the time between two.

use std::time::Duration;

use planbus::Timestamp;

use super::{
    NO_OWNER, Watched,
    frame::{Facts, View, frame},
    keys::Key,
    screen::{self, Screen},
};
use crate::{
    cli::Global,
    failure::{Exit, Failure},
    interrupt::CtrlC,
    live::Model,
    style::Painter,
    terminal,
};

/// The time between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// How many events are taken in between two pictures.
const FRAME_EVENTS: usize = 5_000;
/// How long a plan that has ended is shown.
const LINGER: Duration = Duration::from_secs(5);

/// Listens for Ctrl-C, of which the second gives the terminal back too.
pub(crate) fn ctrl_c() -> Result<CtrlC, Failure> {
    CtrlC::listen_before(screen::give_back)
}

/// Shows what is watched until somebody quits, or the plan that is watched has ended.
pub(crate) fn show(watched: &mut Watched<'_>, ctrl_c: &CtrlC, global: &Global) -> Result<(), Failure> {
    let mut model = Model::new(LINGER);
    let unlisted = watched.read_past(|event| model.apply(event))?;
    model.begin(unlisted, watched.family.is_some());
    let failed = |error| Failure::of(Exit::Failed, "draw on the terminal", &error);
    let mut screen = Screen::take().map_err(failed)?;
    let painter = Painter::new(true);
    let title = format!("{}  {}", global.db.display(), global.tenant());
    let empty = watched.family.as_ref().map_or_else(
        || "no plan runs; those that start are shown here".to_owned(),
        |family| format!("waiting for plan {} to begin", family.root()),
    );
    let mut view = View::default();
    // The picture that is held still.
    let mut held: Option<(Model, Timestamp)> = None;
    while !ctrl_c.has_come() {
        let is_up_to_date = take_in(watched, &mut model)?;
        let now = Timestamp::now();
        model.fold(now);
        if is_up_to_date && watched.has_ended() && held.is_none() {
            break;
        }
        let new = held.as_ref().map(|(still, _)| model.sums.events - still.sums.events);
        let (seen, at) = held.as_ref().map_or((&model, now), |(still, at)| (still, *at));
        let is_left = model.sums.running > 0 && !watched.follow.has_owner();
        let note = is_left.then_some(NO_OWNER);
        let facts = Facts { title: &title, seq: watched.follow.seq(), held: new, note, empty: &empty };
        let size = terminal::stdout_size().unwrap_or_default();
        screen.draw(&frame(seen, &mut view, &facts, size, at, painter)).map_err(failed)?;
        let Some(keys) = screen.keys(FRAME).map_err(failed)? else {
            ctrl_c.wait(FRAME);
            continue;
        };
        for key in keys {
            match key {
                Key::Quit => return Ok(()),
                Key::Suspend => screen.suspend().map_err(failed)?,
                Key::Pause => held = if held.is_none() { Some((model.clone(), now)) } else { None },
                key => view.press(key),
            }
        }
    }
    Ok(())
}

/// Takes in what the log has; whether that was all.
fn take_in(watched: &mut Watched<'_>, model: &mut Model) -> Result<bool, Failure> {
    for _ in 0..FRAME_EVENTS {
        let Some(event) = watched.follow.next(Duration::ZERO)? else { return Ok(true) };
        if watched.wants(&event) {
            model.apply(&event);
        }
    }
    Ok(false)
}
