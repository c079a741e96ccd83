//! The index as a server runs it: it follows the log on a thread while others write and search.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::store::search::tests::damage::wait_until;

/// An index that a thread keeps up to date.
struct Followed {
    index: Arc<SearchIndex>,
    store: EventStore,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Followed {
    fn start(store: &EventStore) -> Self {
        let path = SearchIndex::default_path(store);
        let index = Arc::new(SearchIndex::open(store, &path).expect("opens"));
        let stop = Arc::new(AtomicBool::new(false));
        let (followed, asked) = (Arc::clone(&index), Arc::clone(&stop));
        let thread = std::thread::spawn(move || followed.follow(|| asked.load(Ordering::Acquire)));
        Self { index, store: store.clone(), stop, thread: Some(thread) }
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.store.wake_tails();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread ends");
        }
    }
}

#[test]
fn what_is_committed_is_found_soon_by_the_owner_and_in_another_process_alike() {
    let fixture = Fixture::new();
    let reader = EventStore::open_read_only(fixture.store.path()).expect("opens");
    for store in [&fixture.store, &reader] {
        let mut followed = Followed::start(store);
        for _ in 0..3 {
            fixture.fill(1);
            let seq = fixture.store.head().expect("a head");
            let word = format!("word{seq}");
            wait_until("it is found", || found(&followed.index, &word) == [seq]);
        }
        followed.stop();
    }
}

#[test]
fn an_index_stops_following_when_its_store_is_closed() {
    let fixture = Fixture::new();
    let mut followed = Followed::start(&fixture.store);
    fixture.store.close().expect("closes");
    followed.thread.take().expect("runs").join().expect("the thread ends");
}

#[test]
fn searches_commits_and_indexing_at_once_with_an_index_that_breaks_end_exact() {
    let fixture = Fixture::new();
    fixture.fill(50);
    let mut followed = Followed::start(&fixture.store);
    let index = Arc::clone(&followed.index);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..60 {
                    let seen = found(&index, "common");
                    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "in order, and once");
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5 {
                index.start_over(number(&index), "as if it were damaged").expect("is made anew");
            }
        });
        for _ in 0..40 {
            fixture.fill(10);
        }
    });
    wait_until("all is indexed", || search(&index, &SearchQuery::new("common")).indexed_seq == 450);
    followed.stop();
    check_exact(&fixture, &index);
}

#[test]
fn a_batch_for_an_index_that_was_made_anew_meanwhile_is_not_taken() {
    let fixture = Fixture::new();
    fixture.fill(10);
    let index = fixture.index();
    let from = index.with_file(IndexFile::place).expect("reads");
    index.start_over(number(&index), "as if it were damaged").expect("is made anew");
    let to = Place { indexed: 11, ..from.clone() };
    let change = Change { removed: 0..0, added: &[], from: &from, to: &to };
    assert!(!index.with_file(|file| file.apply(&change)).expect("answers"));
    complete(&index);
    check_exact(&fixture, &index);
}

fn number(index: &SearchIndex) -> Option<u64> {
    index.file.read().as_ref().map(|file| file.number)
}

#[test]
fn what_fails_is_tried_again() {
    let fixture = Fixture::new();
    let mut followed = Followed::start(&fixture.store);
    let execute = |sql: &str| followed.index.file.read().as_ref().expect("open").execute(sql);
    execute("PRAGMA max_page_count = 1");
    fixture.fill(500);
    execute("PRAGMA max_page_count = 1000000");
    wait_until("it goes on", || search(&followed.index, &SearchQuery::new("common")).indexed_seq == 500);
    followed.stop();
}
