//! `planbus restore`: a backup becomes the store again, once every event of it was checked.
//!
//! Never touches a store that is there.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use planbus::EventStore;

use super::verify::{to_json, write_table};
use crate::{
    cli::{Form, Global},
    failure::Failure,
    output::Output,
    progress::Notice,
    text::escape,
};

/// The options of `restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreOptions {
    /// The backup; the store that --db names must not be there
    #[arg(value_name = "FROM", value_hint = ValueHint::FilePath)]
    from: PathBuf,
}

/// Runs the command.
pub(crate) fn run(options: &RestoreOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("restore")?;
    // What is wrong with the backup is for the restore itself to say.
    let source = EventStore::open_read_only(&options.from).ok();
    let notice = source.map(|source| Notice::of("copying and checking", &source, global));
    let restored = EventStore::restore(&options.from, &global.db)?;
    drop(notice);
    match form {
        Form::Json => out.json(&to_json(&restored).to_string()),
        Form::Table | Form::Tree => {
            out.line(&format!("restored to {}", escape(&global.db.to_string_lossy())))?;
            write_table(&restored, out)
        }
    }
}
