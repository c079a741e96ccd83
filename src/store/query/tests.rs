//! Queries in parts: what retention takes in between, and where a long search pauses.

use super::*;
use crate::{
    error::ErrorKind,
    event::PlanStarted,
    store::{EventStore, Retention},
};

#[test]
fn p9_the_next_window_of_a_query_says_when_it_was_pruned_in_between() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    for _ in 0..30 {
        store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
    }
    store.prune(Retention::keep_last(19)).expect("prunes");
    let statement = EventQuery::new().statement(&store.tenant);
    let page = |from, reach| {
        let page = store.inner.read(|connection| statement.page(connection, from..31, reach, 100));
        page.map(|(events, _)| events.len())
    };
    assert_eq!(page(11, 10).expect_err("told").kind(), ErrorKind::Pruned);
    assert_eq!(page(12, 11).expect("reads"), 19);
    assert_eq!(page(1, u64::MAX).expect("reads"), 19, "what nobody was promised");
}

#[cfg(feature = "server")]
#[test]
fn a_search_for_what_is_rare_ends_with_its_budget_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    let note = |at: usize| match at {
        44_999 => Event::untyped("plan", "note", serde_json::json!({"at": "needle"})),
        _ => Event::untyped("plan", "note", serde_json::json!({"at": at})),
    };
    for batch in 0..45 {
        store.commit((0..1_000).map(|at| note(batch * 1_000 + at)).collect()).expect("commits");
    }
    let rare = || EventQuery::new().text("needle");
    let part = |query: EventQuery, seqs| {
        let (events, place) = store.query_page(query, usize::MAX, seqs).expect("reads");
        (events.iter().filter_map(Event::seq).collect::<Vec<_>>(), place)
    };
    assert_eq!(part(rare(), 1), (vec![], Some(20_000)));
    assert_eq!(part(rare().after(20_000), 1), (vec![], Some(40_000)));
    assert_eq!(part(rare().after(40_000), 1), (vec![45_000], None));
    assert_eq!(part(rare().newest_first(), 1), (vec![45_000], Some(25_001)));
    assert_eq!(part(rare().newest_first().before(25_001), 40_000), (vec![], None));
    assert_eq!(part(rare(), u64::MAX), (vec![45_000], None));
}

#[cfg(feature = "server")]
#[test]
fn a_search_through_a_long_plan_takes_no_more_of_it_at_once_than_of_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    // Every other event is of the plan, and one of these is looked for.
    let note = |seq: u64| {
        let plan = if seq.is_multiple_of(2) { "long" } else { "another" };
        let event = Event::untyped(plan, "note", serde_json::json!({"at": seq}));
        if seq == 86_000 { event.with_source("needle") } else { event }
    };
    for batch in 0..90 {
        store.commit((1..=1_000).map(|at| note(batch * 1_000 + at)).collect()).expect("commits");
    }
    let plan = || EventQuery::new().plan("long");
    let part = |query: EventQuery, seqs| {
        let (events, place) = store.query_page(query, usize::MAX, seqs).expect("reads");
        (events.iter().filter_map(Event::seq).collect::<Vec<_>>(), place)
    };
    let rare = || plan().text("needle");
    assert_eq!(part(rare(), 1), (vec![], Some(40_001)), "20,000 events of the plan");
    assert_eq!(part(rare().after(40_001), 1), (vec![], Some(80_001)));
    assert_eq!(part(rare().after(80_001), 1), (vec![86_000], None));
    assert_eq!(part(rare().newest_first(), 1), (vec![86_000], Some(50_001)));
    assert_eq!(part(rare().newest_first().before(50_001), 1), (vec![], Some(10_001)));
    assert_eq!(part(rare().newest_first().before(10_001), 1), (vec![], None));
    assert_eq!(part(rare(), u64::MAX), (vec![86_000], None));
    let all = part(plan().limit(50_000), u64::MAX).0;
    assert!(all.iter().copied().eq((1..=45_000).map(|at| at * 2)), "all of the plan, each once");
    let all = part(plan().source("needle").limit(1_000).newest_first(), u64::MAX).0;
    assert_eq!(all, [86_000]);
}
