//! `planbus man`: the manual, made from the arguments as they are parsed.
//!
//! Writes into a directory only when it is named, and never over a page that something else wrote.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory, ValueHint};
use clap_mangen::Man;

use crate::{
    cli::{Cli, Form},
    failure::{Exit, Failure},
    output::Output,
};

/// With what our pages begin, and no other's.
const MARK: &str = ".\\\" Written by planbus man.\n";

/// The options of `man`.
#[derive(Args, Debug)]
pub(crate) struct ManOptions {
    /// Write a page for each command into this directory; it is made where it is missing, and what
    /// `planbus man` wrote there before is replaced
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    to: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(options: &ManOptions, out: &mut Output) -> Result<(), Failure> {
    if out.form_without_tree("man")? == Form::Json {
        return Err(Failure::new(Exit::Usage, "man prints what the program man reads, and no JSON"));
    }
    // `planbus help COMMAND` needs no pages of its own.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let Some(folder) = &options.to else { return out.text(&[&Page::of(&program).text]) };
    let mut pages = Vec::new();
    add_pages(&program, &mut pages);
    // All are looked at before the first is written.
    pages.iter().try_for_each(|page| page.check(folder))?;
    fs::create_dir_all(folder).map_err(|error| failed(&format!("make {}", folder.display()), &error))?;
    pages.iter().try_for_each(|page| page.write(folder))
}

/// Adds the page of a command and those of its commands.
fn add_pages(command: &Command, pages: &mut Vec<Page>) {
    pages.push(Page::of(command));
    command.get_subcommands().for_each(|command| add_pages(command, pages));
}

/// One page of the manual.
struct Page {
    /// The file's name, such as `planbus-show.1`.
    name: String,
    text: String,
}

impl Page {
    fn of(command: &Command) -> Self {
        let man = Man::new(command.clone()).manual("planbus manual");
        let mut text = MARK.as_bytes().to_vec();
        man.render(&mut text).expect("writing to memory does not fail");
        // What stands behind the help are the exit codes: a chapter that has its own name in manuals.
        let text = String::from_utf8_lossy(&text).replace(".SH EXTRA\n", ".SH \"EXIT STATUS\"\n");
        Self { name: man.get_filename(), text }
    }

    /// Refuses to replace a file that is none of ours.
    fn check(&self, folder: &Path) -> Result<(), Failure> {
        let path = folder.join(&self.name);
        match fs::read(&path) {
            Ok(found) if found.starts_with(MARK.as_bytes()) => Ok(()),
            Ok(_) => {
                let told = format!("--to: {} was not written by planbus man", path.display());
                Err(Failure::new(Exit::Usage, told).hint("move it away, or name another directory"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&format!("read {}", path.display()), &error)),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let path = folder.join(&self.name);
        fs::write(&path, &self.text).map_err(|error| failed(&format!("write {}", path.display()), &error))
    }
}

fn failed(doing: &str, error: &io::Error) -> Failure {
    Failure::of(Exit::Unavailable, doing, error)
}
