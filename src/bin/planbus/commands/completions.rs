//! `planbus completions`: what makes a shell complete the program's commands and options.
//!
//! Made from the arguments as they are parsed, so that none is missing. Installs nothing.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{
    cli::{Cli, Form},
    failure::{Exit, Failure},
    output::Output,
};

/// The options of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsOptions {
    /// For which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(options: &CompletionsOptions, out: &mut Output) -> Result<(), Failure> {
    if out.form_without_tree("completions")? == Form::Json {
        return Err(Failure::new(Exit::Usage, "completions prints what a shell reads, and no JSON"));
    }
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(options.shell, &mut command, name, &mut script);
    out.text(&[&String::from_utf8_lossy(&script)])
}
