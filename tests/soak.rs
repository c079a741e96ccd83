//! A soak: a runtime under the load that it was made for, with mirror, groups and clients, for as long as
//! it is told to, and whether it could go on like that for ever.
//!
//! A minute unless `PLANBUS_SOAK_MINUTES` says otherwise. With `--nocapture` it prints what it saw.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]

mod redis_support;
mod server_support;
mod soak_support;
mod store_support;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use soak_support::{
    Naive, Outcome, Rhythm, Scene,
    judge::{Violation, judge},
};

/// The test that is the process of the runtime.
const RUNTIME: &str = "role_runtime";

/// How long the soak lasts.
const MINUTES: &str = "PLANBUS_SOAK_MINUTES";
const SLICE: Duration = Duration::from_secs(60);
/// A slice of a soak of a minute or two.
const SHORT_SLICE: Duration = Duration::from_secs(10);

/// One scene at a time: the readers are this process, which is judged as a whole.
static ALONE: Mutex<()> = Mutex::new(());

fn play(scene: Scene) -> Option<Outcome> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    scene.play(RUNTIME)
}

#[test]
fn role_runtime() {
    if let Some(folder) = store_support::role(RUNTIME) {
        soak_support::run(&folder);
    }
}

#[test]
fn a_mixed_load_leaves_memory_files_and_lag_as_they_were_and_everybody_has_everything_once() {
    let minutes = std::env::var(MINUTES).map_or(1, |text| text.parse().expect("a number of minutes"));
    let slice = if minutes > 2 { SLICE } else { SHORT_SLICE };
    let slices = (Duration::from_secs(60) * minutes).as_secs() / slice.as_secs();
    let scene = Scene {
        naive: None,
        rhythm: Rhythm::Timed { slice },
        slices: slices.try_into().expect("some slices"),
        clients: 100,
        has_redis: true,
    };
    let Some(outcome) = play(scene) else { return };
    let Outcome { rate, returns, .. } = outcome;
    println!(
        "{rate:.0} events a second, 100 clients that came again {returns} times, two groups:\n\n{}",
        outcome.table()
    );
    let violations: Vec<String> = judge(&outcome.course).iter().map(Violation::to_string).collect();
    assert!(outcome.faults.is_empty(), "{:#?}", outcome.faults);
    assert!(returns > 0, "clients came and went");
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_soak_finds_what_leaks_and_what_pins_the_write_ahead_log() {
    let judged = |naive| {
        // A log that is pinned comes to its limit after some 6,000 events.
        let events = if naive == Some(Naive::Pinned) { 2_800 } else { 1_500 };
        let rhythm = Rhythm::Counted { events };
        let scene = Scene { naive, rhythm, slices: 3, clients: 2, has_redis: false };
        let outcome = play(scene).expect("needs no Redis");
        println!("{naive:?}\n\n{}", outcome.table());
        assert!(outcome.faults.is_empty(), "{:#?}", outcome.faults);
        judge(&outcome.course)
    };
    let grows = |found: &[Violation], wanted: &str| matches!(found, [Violation::Grows { what, .. }] if *what == wanted);
    assert_eq!(judged(None), []);
    let found = judged(Some(Naive::Leak));
    assert!(grows(&found, "memory of the runtime"), "{found:?}");
    let found = judged(Some(Naive::Descriptor));
    assert!(grows(&found, "descriptors of the runtime"), "{found:?}");
    let found = judged(Some(Naive::Pinned));
    let is_pinned =
        |found: &Violation| matches!(found, Violation::TooLong { what: "the write-ahead log", .. });
    assert!(found.iter().any(is_pinned), "{found:?}");
}
