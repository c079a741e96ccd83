//! `planbus verify`: whether anybody changed the log, and the head to keep elsewhere.
//!
//! Prints what it found in either case; a log that is not sound is a failure besides.

use std::path::Path;

use clap::Args;
use planbus::{ChainHash, Verification};
use serde_json::json;

use super::open;
use crate::{
    agent_runtime::units::number,
    cli::{Form, Global},
    failure::{Exit, Failure},
    output::Output,
    progress::Notice,
    style::Style,
    text::escape,
};

/// The options of `verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyOptions {
    /// The head that an earlier run printed: the log must still hold the row that it stands for
    #[arg(long, value_name = "HASH")]
    head: Option<ChainHash>,
}

/// Runs the command.
pub(crate) fn run(options: &VerifyOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("verify")?;
    let store = open(global)?;
    let notice = Notice::of("checking", &store, global);
    let found = match options.head {
        Some(head) => store.verify_against(head)?,
        None => store.verify()?,
    };
    drop(notice);
    match form {
        Form::Json => out.json(&to_json(&found).to_string())?,
        Form::Table | Form::Tree => write_table(&found, out)?,
    }
    unsound(store.path(), &found).map_or(Ok(()), Err)
}

/// The failure that a store which is not sound ends in.
pub(super) fn unsound(path: &Path, found: &Verification) -> Option<Failure> {
    let first = found.first_problem()?;
    let count = usize::from(found.broken.is_some()) + found.problems.len();
    let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
    Some(Failure::new(Exit::Unsound, format!("{} is not sound: {first}{more}", path.display())))
}

pub(super) fn to_json(found: &Verification) -> serde_json::Value {
    json!({
        "sound": found.is_sound(), "store_id": found.store_id, "events": found.events,
        "first_seq": found.first_seq, "last_seq": found.last_seq, "head": found.head.to_string(),
        "kept_head_seq": found.kept_head_seq, "first_bad_seq": found.broken.map(|broken| broken.seq),
        "broken": found.broken.map(|broken| broken.to_string()),
        "problems": found.problems, "notes": found.notes,
    })
}

pub(super) fn write_table(found: &Verification, out: &mut Output) -> Result<(), Failure> {
    let seqs = match found.events {
        0 => String::new(),
        _ => format!(", seq {} to {}", found.first_seq, found.last_seq),
    };
    let mut facts = vec![
        ("store id", found.store_id.clone()),
        ("sound events", format!("{}{seqs}", number(found.events))),
        ("head", found.head.to_string()),
    ];
    facts.extend(found.kept_head_seq.map(|seq| ("kept head", format!("the head of seq {seq}"))));
    facts.extend(found.broken.map(|broken| ("wrong", broken.to_string())));
    facts.extend(found.problems.iter().map(|problem| ("wrong", problem.clone())));
    facts.extend(found.notes.iter().map(|note| ("note", note.clone())));
    for (name, value) in facts {
        out.line(&format!("{}  {}", out.paint(Style::Faint, &format!("{name:<12}")), escape(&value)))?;
    }
    Ok(())
}
