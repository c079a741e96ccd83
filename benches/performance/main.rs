//! `cargo bench`: the rows of the performance goals that the bus and the store answer for, each
//! against its limit and its peers in one run.
//!
//! `PLANBUS_BENCH_ROUNDS` sets the number of rounds; a word after `--` picks `consumer`, `dispatch`,
//! `durable`, `mirror`, `readers` or `server` (with the feature `server`).

#[cfg(all(feature = "redis", target_os = "linux"))]
mod consumer;
mod dispatch;
mod durable;
#[cfg(all(feature = "redis", target_os = "linux"))]
mod mirror;
mod readers;
#[cfg(all(feature = "redis", target_os = "linux"))]
#[path = "../../tests/redis_support/mod.rs"]
mod redis_support;
#[cfg(all(feature = "server", target_os = "linux"))]
mod server;
mod table;

fn main() {
    readers::run_as_reader();
    // Cargo passes `--bench`; words that are no flags pick a part.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    if wants("dispatch") {
        dispatch::run();
    }
    if wants("durable") {
        durable::run();
    }
    #[cfg(all(feature = "redis", target_os = "linux"))]
    if wants("mirror") {
        mirror::run();
    }
    #[cfg(all(feature = "redis", target_os = "linux"))]
    if wants("consumer") {
        consumer::run();
    }
    if wants("readers") {
        readers::run();
    }
    #[cfg(all(feature = "server", target_os = "linux"))]
    if wants("server") {
        server::run();
    }
}
