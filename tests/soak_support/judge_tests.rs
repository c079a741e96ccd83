//! The judge, and the numbers that it trusts, before what they must find and what they must let pass.

use std::time::Duration;

use super::{
    judge::{Course, Moment, Slice, Violation, WAL_MAX_BYTES, judge},
    process::Usage,
    tally::Tally,
};

const MIB: u64 = 1 << 20;
/// An hour at 400 events a second, looked at six times a minute.
const MOMENTS: u64 = 360;
const EVENTS: u64 = 4_000;

/// A run without fault; what it has in memory and how many descriptors is made of the moment's number.
fn hour(memory: impl Fn(u64) -> u64, descriptors: impl Fn(u64) -> u64) -> Course {
    let moment = |at: u64| Moment {
        events: at * EVENTS,
        runtime: Usage { memory_bytes: memory(at), descriptors: descriptors(at), threads: 20 },
        wal_bytes: WAL_MAX_BYTES,
        ..Moment::default()
    };
    let slice = Slice { held: 2_000, kept: 1_000, caught_up: Some(Duration::ZERO), ..Slice::default() };
    Course { moments: (0..MOMENTS).map(moment).collect(), slices: vec![slice; 60] }
}

fn steady() -> Course {
    hour(|_| 40 * MIB, |_| 130)
}

fn grown(course: &Course) -> Vec<&'static str> {
    let name = |found: Violation| match found {
        Violation::Grows { what, .. } => what,
        other => panic!("{other}"),
    };
    judge(course).into_iter().map(name).collect()
}

#[test]
fn a_run_that_rises_to_a_level_or_goes_up_and_down_passes() {
    assert_eq!(judge(&steady()), []);
    let fills = hour(|at| (at * MIB).min(MOMENTS / 2 * MIB), |at| at.min(100));
    assert_eq!(judge(&fills), [], "in the first half");
    let saw = hour(|at| 40 * MIB + at % 30 * 2 * MIB, |at| 100 + at % 40);
    assert_eq!(judge(&saw), []);
    let one_high = hour(|at| if at == MOMENTS - 1 { 4_000 * MIB } else { 40 * MIB }, |_| 130);
    assert_eq!(judge(&one_high), []);
    assert_eq!(judge(&Course::default()), []);
}

#[test]
fn a_leak_of_60_bytes_an_event_and_of_a_descriptor_in_two_minutes_is_found_in_an_hour() {
    assert_eq!(grown(&hour(|at| 40 * MIB + at * EVENTS * 60, |_| 130)), ["memory of the runtime"]);
    assert_eq!(grown(&hour(|_| 40 * MIB, |at| 130 + at / 12)), ["descriptors of the runtime"]);
    // Beside much that comes and goes.
    let noisy = |at: u64| 40 * MIB + at * EVENTS * 80 + at % 7 * MIB;
    assert_eq!(
        grown(&hour(noisy, |at| 130 + at / 12 + at % 5)),
        ["memory of the runtime", "descriptors of the runtime"]
    );
}

#[test]
fn a_write_ahead_log_that_is_too_long_once_is_found() {
    let mut course = steady();
    course.moments[10].wal_bytes += 1;
    let (what, allowed) = ("the write-ahead log", WAL_MAX_BYTES);
    assert_eq!(judge(&course), [Violation::TooLong { events: 40_000, what, bytes: allowed + 1, allowed }]);
}

#[test]
fn a_search_index_that_outgrows_its_log_is_found() {
    let mut course = steady();
    course.moments[10].search_bytes = 17 * MIB;
    let found = judge(&course);
    assert!(matches!(found[..], [Violation::TooLong { what: "the search index", .. }]), "{found:?}");
    course.moments[10].log_bytes = MIB;
    assert_eq!(judge(&course), []);
}

#[test]
fn a_log_that_is_not_pruned_and_a_reader_that_stays_behind_are_found() {
    let mut course = steady();
    course.slices[3].held += 1;
    course.slices[4].caught_up = None;
    let held = Violation::Held { events: 0, held: 2_001, kept: 1_000 };
    assert_eq!(judge(&course), [held, Violation::Behind { events: 0 }]);
}

#[test]
fn a_tally_tells_an_event_that_is_missing_twice_there_another_or_out_of_order() {
    let of = |seqs: &[u64]| {
        let mut tally = Tally::default();
        seqs.iter().for_each(|seq| tally.add(*seq));
        tally
    };
    let whole = of(&[1, 2, 3, 4]);
    for wrong in [&[1, 2, 4][..], &[1, 2, 3, 3, 4], &[1, 2, 2, 4], &[1, 2, 4, 5]] {
        assert!(!of(wrong).has_same_events(&whole), "{wrong:?}");
    }
    let shuffled = of(&[2, 1, 3, 4]);
    assert!(shuffled.has_same_events(&whole));
    assert_ne!(shuffled, whole);
    assert!(whole.without(&of(&[2, 4])).has_same_events(&of(&[3, 1])));
}
