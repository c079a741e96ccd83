//! `watch` where there is no terminal to draw on: a line for each start and end of a plan, decision and
//! failed tool; or each event as JSON.

use std::time::Duration;

use planbus::{Event, EventQuery};

use super::{PAGE_EVENTS, Watched};
use crate::{
    cli::{Form, Global},
    failure::Failure,
    follow::cut,
    interrupt::CtrlC,
    live::News,
    output::Output,
    serving,
    style::Style,
    terminal,
    text::escape,
};

/// How long a wait for new events lasts before Ctrl-C is looked at again.
const WAIT: Duration = Duration::from_millis(100);

/// Writes what is watched until Ctrl-C, or until the plan that is watched has ended.
pub(crate) fn write(
    watched: &mut Watched<'_>,
    ctrl_c: &CtrlC,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    write_past(watched, out)?;
    out.flush()?;
    let (mut wait, mut is_owner_missed) = (WAIT, false);
    while !ctrl_c.has_come() {
        match watched.follow.next(wait)? {
            Some(event) => {
                if watched.wants(&event) {
                    write_event(&event, out)?;
                }
                wait = Duration::ZERO;
            }
            None if terminal::is_stdout_closed() => return Err(Failure::ClosedPipe),
            None if watched.has_ended() => break,
            None => {
                out.flush()?;
                wait = WAIT;
                let is_left = watched.family.is_some() && !watched.follow.has_owner();
                if is_left && !std::mem::replace(&mut is_owner_missed, is_left) {
                    serving::tell(global, super::NO_OWNER);
                }
            }
        }
    }
    Ok(())
}

/// What happened already: all of a plan that is watched; of all plans the starts of those that run.
fn write_past(watched: &mut Watched<'_>, out: &mut Output) -> Result<(), Failure> {
    let past = EventQuery::new().before(watched.head + 1);
    let Some(family) = &watched.family else {
        for plan in watched.running()?.0 {
            let start = past.clone().plan(&plan.plan_id).after(plan.status_seq - 1).limit(1);
            watched.store.query(start)?.iter().try_for_each(|event| write_event(event, out))?;
        }
        return Ok(());
    };
    let oldest = watched.store.query(past.clone().plan(family.root()).limit(1))?;
    let Some(first) = oldest.first().and_then(Event::seq) else { return Ok(()) };
    let mut after = first - 1;
    loop {
        let events =
            watched.store.query(past.clone().after(after).limit(PAGE_EVENTS)).map_err(|error| cut(&error))?;
        for event in &events {
            if watched.wants(event) {
                write_event(event, out)?;
            }
        }
        match events.last().and_then(Event::seq) {
            Some(seq) if events.len() == PAGE_EVENTS => after = seq,
            _ => return Ok(()),
        }
    }
}

fn write_event(event: &Event, out: &mut Output) -> Result<(), Failure> {
    if out.form(Form::Tree) == Form::Json {
        return out.json(&event.to_json()?);
    }
    let Some(news) = News::of(event) else { return Ok(()) };
    let time = event.timestamp().to_string();
    let parts = [
        (Style::Faint, format!("{}Z  ", time.get(..19).unwrap_or_default().replace('T', " "))),
        (news.style, format!("{} ", news.mark)),
        (Style::Plain, format!("{}  ", escape(news.plan.as_str()))),
        (Style::Plain, news.what),
    ];
    out.line(&out.line_of(&parts))
}
