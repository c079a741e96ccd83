//! Dead letters as rows, in full, or as JSON; and how many there are.
//!
//! Only prints what it is given.

use planbus::{
    Timestamp,
    redis::{DeadLetter, DeadLetterCount, DeadLetterReason},
};
use serde_json::json;

use crate::{
    agent_runtime::units::{self, number},
    describe,
    entry_view::{fields_json, raw},
    failure::Failure,
    output::Output,
    style::Style,
    table::{Cell, Column, cell, write_table},
    text::escape,
};

/// The part of a terminal's columns that a group's name or a plan's id takes at most: one of so many.
const NAME_SHARE: usize = 8;

/// The width of a fact's name.
const FACT_COLUMNS: usize = 8;

/// Writes a line a letter, those of each queue below its key.
pub(crate) fn write_list(letters: &[DeadLetter], out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("ID", Column::Left),
        ("AGO", Column::Right),
        ("TRIES", Column::Right),
        ("GROUP", Column::End(NAME_SHARE)),
        ("PLAN", Column::End(NAME_SHARE)),
        ("WHAT", Column::Left),
    ];
    for (at, letters) in letters.chunk_by(|one, other| one.queue == other.queue).enumerate() {
        if at > 0 {
            out.line("")?;
        }
        out.line(&out.paint(Style::Heading, &escape(&letters[0].queue)))?;
        write_table(&heads, &letters.iter().map(row).collect::<Vec<_>>(), out)?;
    }
    Ok(())
}

fn row(letter: &DeadLetter) -> Vec<Cell> {
    let (plan, event_type) = match &letter.event {
        Ok(event) => (event.plan_id().to_string(), event.event_type().as_str()),
        Err(_) => (String::new(), "no event"),
    };
    vec![
        cell(letter.id.to_string()),
        (Style::Faint, letter.failed_at().map(about).unwrap_or_default()),
        cell(letter.attempts.map(|attempts| attempts.to_string()).unwrap_or_default()),
        cell(letter.group.clone().unwrap_or_default()),
        cell(plan),
        (Style::Bad, format!("{}  {event_type}", why(letter))),
    ]
}

/// What failed: of all that a line tells the part that counts.
fn why(letter: &DeadLetter) -> &str {
    letter.error.as_deref().filter(|error| !error.is_empty()).unwrap_or("nobody said why")
}

/// How long ago, by its largest unit.
fn about(time: Timestamp) -> String {
    let ago = units::duration(Timestamp::now().duration_since(time));
    match ago.split_once(' ') {
        Some((largest, _)) if largest.ends_with(char::is_alphabetic) => largest.to_owned(),
        _ => ago,
    }
}

/// Writes all about one letter.
pub(crate) fn write_letter(letter: &DeadLetter, out: &mut Output) -> Result<(), Failure> {
    let mut facts = vec![("letter", letter.id.to_string()), ("queue", letter.queue.clone())];
    let from = (letter.stream.as_ref(), letter.original_id);
    facts.extend(from.0.map(|stream| ("stream", stream.clone())));
    facts.extend(from.1.map(|id| ("entry", id.to_string())));
    facts.extend(letter.group.clone().map(|group| ("group", group)));
    facts.extend(letter.consumer.clone().map(|consumer| ("consumer", consumer)));
    facts.extend(letter.reason.map(|reason| ("reason", told(reason).to_owned())));
    facts.push(("error", why(letter).to_owned()));
    facts.extend(letter.attempts.map(|attempts| ("attempts", attempts.to_string())));
    facts.extend(letter.deliveries.map(|times| ("given", format!("to consumers {}", counted(times)))));
    let time = |at: Timestamp| format!("{at}  {}", ago(at));
    facts.extend(letter.first_failed_at.map(|at| ("first", time(at))));
    facts.extend(letter.failed_at().map(|at| ("last", time(at))));
    match &letter.event {
        Ok(event) => {
            facts.push(("event", format!("{} {}", event.event_type(), describe::event(event))));
            facts.push(("plan", event.plan_id().to_string()));
            facts.push(("payload", event.payload_json()?.to_owned()));
        }
        Err(error) => {
            facts.push(("event", format!("none: {error}")));
            facts.push(("fields", raw(&letter.fields)));
        }
    }
    for (name, value) in facts {
        let head = out.paint(Style::Faint, &format!("{name:<FACT_COLUMNS$}"));
        out.wrapped(&format!("{head}  "), FACT_COLUMNS + 2, &escape(&value))?;
    }
    Ok(())
}

fn told(reason: DeadLetterReason) -> &'static str {
    match reason {
        DeadLetterReason::Failed => "failed: its attempts are used up",
        DeadLetterReason::Refused => "refused: its handler or the policy gave it up",
        DeadLetterReason::Undecodable => "undecodable: the profile reads no event in it",
        DeadLetterReason::Deliveries => {
            "deliveries: it never came to an end, and most likely ends its process"
        }
        other => other.as_str(),
    }
}

fn counted(times: u64) -> String {
    if times == 1 { "once".to_owned() } else { format!("{} times", number(times)) }
}

/// A letter as one line of JSON: the event as it is; all fields where there is none, or where they
/// are asked for.
pub(crate) fn to_json(letter: &DeadLetter, with_fields: bool) -> Result<String, Failure> {
    let mut json = json!({
        "queue": letter.queue,
        "id": letter.id,
        "stream": letter.stream,
        "original_id": letter.original_id,
        "group": letter.group,
        "consumer": letter.consumer,
        "attempts": letter.attempts,
        "deliveries": letter.deliveries,
        "first_failed_at": letter.first_failed_at,
        "last_failed_at": letter.last_failed_at,
        "error": letter.error,
        "reason": letter.reason,
    });
    if let Err(error) = &letter.event {
        json["event_error"] = error.to_string().into();
    }
    if with_fields || letter.event.is_err() {
        json["fields"] = fields_json(&letter.fields);
    }
    let json = json.to_string();
    let Ok(event) = &letter.event else { return Ok(json) };
    // As its own text: a number in a payload is not to be written anew.
    let facts = json.strip_suffix('}').unwrap_or(&json);
    Ok(format!(r#"{facts},"event":{}}}"#, event.to_json()?))
}

/// Writes a line a queue.
pub(crate) fn write_counts(counts: &[DeadLetterCount], out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("WAITING", Column::Right),
        ("MOVED", Column::Right),
        ("DROPPED", Column::Right),
        ("REPLAYED", Column::Right),
        ("PURGED", Column::Right),
        ("DEAD LETTERS", Column::Whole),
    ];
    let row = |count: &DeadLetterCount| -> Vec<Cell> {
        vec![
            (if count.waiting == 0 { Style::Good } else { Style::Bad }, number(count.waiting)),
            cell(number(count.moved)),
            cell(number(count.dropped)),
            cell(number(count.replayed)),
            cell(number(count.purged)),
            cell(&count.queue),
        ]
    };
    write_table(&heads, &counts.iter().map(row).collect::<Vec<_>>(), out)
}

fn ago(time: Timestamp) -> String {
    format!("{} ago", units::duration(Timestamp::now().duration_since(time)))
}
