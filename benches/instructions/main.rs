//! The regression guard: counts the instructions of what the library does, on any machine, and refuses
//! a change that costs more than the baseline allows or that makes a cost grow.
//!
//! `cargo bench --no-default-features --features sqlite --bench instructions` needs valgrind. Each
//! scenario runs in a process of its own; the same run puts deliberate slowdowns into scenarios and
//! fails unless each is refused. With `PLANBUS_BASELINE=write` what was counted becomes the baseline.

mod callgrind;
mod guard;
mod judge;
mod logged;
mod scenarios;
mod slowdowns;

use std::{env, path::Path, process::ExitCode};

use callgrind::counted_operations;
use logged::Logs;
use scenarios::SCENARIOS;
use slowdowns::SLOWDOWNS;

/// The first argument of the process that runs one scenario.
const COUNTED: &str = "--counted";
/// In place of a slowdown's name, where there is none.
const UNSLOWED: &str = "-";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [COUNTED, scenario, slowdown, folder] = arguments[..] {
        be_counted(scenario, slowdown, Path::new(folder));
        return ExitCode::SUCCESS;
    }
    match guard::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does a scenario's work, first until everything is warm, then again while it is counted.
fn be_counted(scenario: &str, slowdown: &str, folder: &Path) {
    let scenario = SCENARIOS.iter().find(|known| known.name == scenario).expect("a scenario's name");
    let mut work = (scenario.prepare)(&Logs::within(folder));
    if let Some(slowdown) = SLOWDOWNS.iter().find(|known| known.name == slowdown) {
        let mut extra = (slowdown.prepare)();
        work = Box::new(move || {
            extra();
            work();
        });
    }
    (0..scenario.times).for_each(|_| work());
    counted_operations(scenario.times, &mut work);
}
