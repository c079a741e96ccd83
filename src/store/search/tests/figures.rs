//! How fast the index is, how large, and what a commit beside it costs. Printed where
//! `PLANBUS_SEARCH_FIGURES` says how many events to use: `cargo test --release --all-features --lib
//! search::tests::figures -- --nocapture`. Else a few events, for the shape of it.

use std::time::Instant;

use super::*;

/// Words in proportion to how often text has them.
fn text(seed: &mut u64) -> String {
    let mut random = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    };
    let words: Vec<String> =
        (0..30).map(|_| random() % 20_000).map(|word| format!("w{}", word * word / 20_000)).collect();
    format!("src/module{}/file_{}.rs: {}", random() % 50, random() % 500, words.join(" "))
}

#[test]
fn figures_of_an_index_that_has_all_its_events() {
    let count: usize =
        std::env::var("PLANBUS_SEARCH_FIGURES").ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    let fixture = Fixture::within(tempfile::tempdir().expect("a directory"));
    let mut seed = 88_172_645_463_325_252;
    let mut payload_bytes = 0;
    for _ in 0..count.div_ceil(500) {
        let events: Vec<Event> = (0..500)
            .map(|at| event(&format!("plan-{}", at % 40), "read_file", &text(&mut seed)))
            .inspect(|event| payload_bytes += event.payload_json().map_or(0, str::len))
            .collect();
        fixture.store.commit(events).expect("commits");
    }
    let index = SearchIndex::open(&fixture.store, &fixture.path()).expect("opens");
    let started = Instant::now();
    let mut progress = index.catch_up(SEARCH_BATCH_MAX).expect("indexes");
    while !progress.is_complete() {
        progress = index.catch_up(SEARCH_BATCH_MAX).expect("indexes");
    }
    let took = started.elapsed();
    let events = fixture.store.head().expect("a head");
    println!("indexed {events} events in {took:.2?}: {:.0} a second", events as f64 / took.as_secs_f64());
    for text in
        ["read_file", "w1", "w19000", "w12 w13", "src/module7/*", "w*", "\"file 77\"", "nowhere", "path tool"]
    {
        let started = Instant::now();
        let page = search(&index, &SearchQuery::new(text));
        println!("{text:>16}: {:>4} found in {:?}", page.events.len(), started.elapsed());
    }
    drop(index);
    let size = std::fs::metadata(fixture.path()).expect("is there").len();
    println!("payloads {payload_bytes} bytes, index {size} bytes");
    assert_eq!(progress.indexed_seq, events);
    let started = Instant::now();
    drop(fixture.index());
    println!("opened and closed in {:?}", started.elapsed());
}

/// Commits of one publisher, one after the other, with and without an index that follows.
#[test]
fn figures_of_commits_beside_an_index() {
    let count: usize =
        std::env::var("PLANBUS_SEARCH_FIGURES").ok().and_then(|count| count.parse().ok()).unwrap_or(200) / 20;
    let dir = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    let mut seed = 88_172_645_463_325_252;
    let commits = |seed: &mut u64| {
        let mut took: Vec<Duration> = (0..count.max(10))
            .map(|_| {
                let event = event("plan", "read_file", &text(seed));
                let started = Instant::now();
                store.save(&event).expect("commits");
                started.elapsed()
            })
            .collect();
        took.sort_unstable();
        (took[took.len() / 2], took[took.len() * 99 / 100])
    };
    let index = SearchIndex::open(&store, &SearchIndex::default_path(&store)).expect("opens");
    for round in 0..3 {
        let alone = commits(&mut seed);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            scope.spawn(|| index.follow(|| stop.load(std::sync::atomic::Ordering::Acquire)));
            let beside = commits(&mut seed);
            stop.store(true, std::sync::atomic::Ordering::Release);
            store.wake_tails();
            beside
        });
        println!(
            "round {round}: commit (median, p99) alone {alone:?}, beside an index that follows {beside:?}"
        );
    }
    complete(&index);
    assert_eq!(index.catch_up(0).expect("says").indexed_seq, store.head().expect("a head"));
}
