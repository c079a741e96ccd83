//! `planbus backup`: a whole, checked copy of the store in one file.
//!
//! A log that is not sound is copied too, as evidence, and is a failure besides.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{
    open,
    verify::{to_json, unsound, write_table},
};
use crate::{
    agent_runtime::units::bytes,
    cli::{Form, Global},
    failure::Failure,
    output::Output,
    progress::Notice,
    text::escape,
};

/// The options of `backup`.
#[derive(Args, Debug)]
pub(crate) struct BackupOptions {
    /// The file to write, which must not be there
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs the command.
pub(crate) fn run(options: &BackupOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("backup")?;
    let store = open(global)?;
    let notice = Notice::of("copying and checking", &store, global);
    let report = store.backup(&options.file)?;
    drop(notice);
    match form {
        Form::Json => {
            let mut json = to_json(&report.verification);
            json["path"] = report.path.to_string_lossy().into();
            json["bytes"] = report.bytes.into();
            out.json(&json.to_string())?;
        }
        Form::Table | Form::Tree => {
            let path = report.path.to_string_lossy();
            out.line(&format!("backed up to {}, {}", escape(&path), bytes(report.bytes)))?;
            write_table(&report.verification, out)?;
        }
    }
    unsound(&report.path, &report.verification).map_or(Ok(()), Err)
}
