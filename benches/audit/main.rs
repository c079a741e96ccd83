//! `cargo bench --bench audit --features cli`: what an auditor waits for on a large log, and what a
//! large log costs who publishes.
//!
//! `PLANBUS_BENCH_EVENTS` sets the size of the log (200,000 by default; the goal is judged at
//! 10,000,000: about 5 GB of disk). `PLANBUS_BENCH_LOG` names a file to keep the log in: it is made
//! when it is missing and measured as it is when it is there.

mod ask;
#[path = "../../tests/chain_support/mod.rs"]
mod chain_support;
mod log;
mod publish;

use std::{env, path::PathBuf, time::Instant};

fn main() {
    let events =
        env::var("PLANBUS_BENCH_EVENTS").ok().and_then(|events| events.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let kept = env::var_os("PLANBUS_BENCH_LOG").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| folder.path().join("planbus.db"));
    if !path.exists() {
        let begun = Instant::now();
        log::generate(&path, events);
        println!("generated {events} events in {:.1} s", begun.elapsed().as_secs_f64());
        log::spread(&path);
    }
    ask::run(&path);
    publish::run(&path, folder.path());
}
