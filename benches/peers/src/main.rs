//! What planbus costs, beside the limit of what it does and beside its peers, in one run.
//!
//! `./bench` runs it: `./bench table` prints a row for each performance goal, `./bench growth` plots how
//! cost grows with everything that grows. Both say what they measured as JSON and draw it as SVG.

#[path = "../../../tests/chain_support/mod.rs"]
mod chain_support;
mod chart;
mod growth;
mod measure;
mod private_redis;
mod python;
#[path = "../../../tests/redis_support/mod.rs"]
mod redis_support;
mod report;
mod table;

use std::{num::NonZero, path::PathBuf};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench", about = "Measures planbus beside its limits and its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One row for each performance goal: limit, ours, ratio, goal and peers.
    Table {
        /// Parts to measure: all where none is named.
        #[arg(value_parser = table::names())]
        parts: Vec<String>,
        /// How many interleaved rounds the medians are of.
        #[arg(long, default_value = "9")]
        rounds: NonZero<usize>,
        /// Where table.json and table.svg are written.
        #[arg(long, default_value = "target/bench")]
        out: PathBuf,
    },
    /// Reads a log again and again: what a part that measures publishing beside readers starts.
    #[command(hide = true)]
    Read { log: PathBuf },
    /// How cost grows, a chart for each plot.
    Growth {
        /// What to follow: all where nothing is named.
        #[arg(value_parser = growth::names())]
        parts: Vec<String>,
        /// Where growth.json and growth-NAME.svg are written.
        #[arg(long, default_value = "target/bench")]
        out: PathBuf,
        /// Sizes cut by a hundred, to see that all is there: the figures say little.
        #[arg(long)]
        quick: bool,
    },
}

fn main() -> std::io::Result<()> {
    let Arguments { command } = Arguments::parse();
    match command {
        Command::Table { parts, rounds, out } => table::run(&parts, rounds.get(), &out),
        Command::Read { log } => {
            table::read_for_ever(&log);
            Ok(())
        }
        Command::Growth { parts, out, quick } => growth::run(&parts, quick, &out),
    }
}
