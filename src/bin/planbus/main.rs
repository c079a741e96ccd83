//! `planbus`, the program: runs the demo survey, and reads logs of plan events.
//!
//! Data goes to stdout, everything else to stderr. It is an ordinary user of the library: it never
//! touches a store but through the public API, and its reading commands never create a store.

mod cli;
mod commands;
mod consuming;
mod dead_letter_options;
mod dead_letter_view;
mod describe;
mod diagnostics;
mod entry_view;
mod event_printer;
mod exec;
mod export;
mod failure;
mod family;
mod fields;
mod follow;
mod interrupt;
mod live;
mod mirror_watch;
mod mirroring;
mod output;
mod plan_view;
mod progress;
mod redis;
mod serving;
mod store_file;
mod stream_view;
mod style;
mod table;
mod terminal;
mod text;
mod timeline;
mod trace;
mod watch;
mod when;

#[path = "../../../examples/agent_runtime/mod.rs"]
mod agent_runtime;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use self::{
    cli::{Cli, Command},
    failure::Failure,
    output::Output,
};

fn main() -> ExitCode {
    let cli = Cli::of_process();
    diagnostics::start(cli.global.verbose);
    let mut out = Output::new(&cli.global);
    let done = cli.check().and_then(|()| match &cli.command {
        Command::Backup(options) => commands::backup::run(options, &cli.global, &mut out),
        Command::Completions(options) => commands::completions::run(options, &mut out),
        Command::Consume(options) => commands::consume::run(options, &cli.global, &mut out),
        Command::Demo(options) => commands::demo::run(options, &cli.global, &mut out),
        Command::Dlq(options) => commands::dlq::run(options, &cli.global, &mut out),
        Command::Events(options) => commands::events::run(options, &cli.global, &mut out),
        Command::Export(options) => commands::export::run(options, &cli.global, &mut out),
        Command::Groups(options) => commands::groups::run(options, &cli.global, &mut out),
        Command::Health(options) => commands::health::run(options, &cli.global, &mut out),
        Command::Import(options) => commands::import::run(options, &cli.global, &mut out),
        Command::Man(options) => commands::man::run(options, &mut out),
        Command::Mirror(options) => commands::mirror::run(options, &cli.global, &mut out),
        Command::Pending(options) => commands::pending::run(options, &cli.global, &mut out),
        Command::Plans(options) => commands::plans::run(options, &cli.global, &mut out),
        Command::Prune(options) => commands::prune::run(options, &cli.global, &mut out),
        Command::Restore(options) => commands::restore::run(options, &cli.global, &mut out),
        Command::Serve(options) => commands::serve::run(options, &cli.global, &mut out),
        Command::Show(options) => commands::show::run(options, &cli.global, &mut out),
        Command::Stats(options) => commands::stats::run(options, &cli.global, &mut out),
        Command::Streams(options) => commands::streams::run(options, &cli.global, &mut out),
        Command::Verify(options) => commands::verify::run(options, &cli.global, &mut out),
        Command::Watch(options) => commands::watch::run(options, &cli.global, &mut out),
    });
    match done.and_then(|()| out.flush()) {
        // Whoever reads us has seen enough: that is no error.
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(Failure::Told { exit, message }) => {
            // What was written before the failure is still data.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "planbus: {message}");
            ExitCode::from(exit as u8)
        }
    }
}
