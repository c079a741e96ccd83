//! When the feed rests, and that nothing is missed then.

use std::time::Instant;

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    event::Event,
    server::subscriber::{A2AEventSubscriber, Update},
};

/// What has not come by then does not come.
const LIMIT: Duration = Duration::from_secs(60);

struct Followed {
    thread: FeedThread,
    bus: EventBus,
    runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl Followed {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        let bus = EventBus::builder().store(store.clone()).build().expect("builds");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let thread = FeedThread::start(&bus, &store, Reads::new(runtime.handle().clone())).expect("starts");
        Self { thread, bus, runtime, _dir: dir }
    }

    fn publish(&self) -> u64 {
        let published = self.bus.publish(Event::untyped("plan", "note", json!({}))).expect("publishes");
        published.seq.expect("a store")
    }

    fn is_resting(&self) -> bool {
        self.thread.feed().is_resting.load(Ordering::SeqCst)
    }

    /// Publishes until the feed rests; the last seq.
    fn publish_until_it_rests(&self) -> u64 {
        let begun = Instant::now();
        loop {
            let seq = self.publish();
            if self.is_resting() {
                return seq;
            }
            assert!(begun.elapsed() < LIMIT, "it follows for nobody");
        }
    }

    fn subscribe(&self) -> A2AEventSubscriber {
        A2AEventSubscriber::open(self.thread.feed(), Filter::all(), Start::Now).expect("subscribes")
    }

    fn next(&self, subscriber: &mut A2AEventSubscriber) -> u64 {
        let next = async { tokio::time::timeout(LIMIT, subscriber.next()).await };
        match self.runtime.block_on(next).expect("comes in time").expect("goes on").expect("reads") {
            Update::Event(event) => event.seq().expect("stored"),
            Update::Gap(gap) => panic!("{gap:?}"),
        }
    }
}

#[test]
fn p6_a_feed_rests_while_no_client_takes_anything_and_they_miss_nothing() {
    let followed = Followed::new();
    let (mut first, mut second) = (followed.subscribe(), followed.subscribe());
    for seq in 1..=3 {
        followed.publish();
        assert_eq!((followed.next(&mut first), followed.next(&mut second)), (seq, seq));
    }
    let last = followed.publish_until_it_rests();
    let head = followed.thread.feed().ring.read().head();
    let more = followed.publish();
    assert_eq!(followed.thread.feed().ring.read().head(), head, "nobody asks for what comes");
    for seq in 4..=last + 1 {
        assert_eq!(followed.next(&mut first), seq);
    }
    // One that waits is enough: the others are woken with it.
    for seq in more + 1..=more + 100 {
        followed.publish();
        assert_eq!(followed.next(&mut first), seq);
    }
    for seq in 4..=more + 100 {
        assert_eq!(followed.next(&mut second), seq);
    }
}

#[test]
fn a_feed_whose_clients_are_gone_rests_and_follows_for_the_next_one() {
    let followed = Followed::new();
    let mut gone = followed.subscribe();
    let seq = followed.publish();
    assert_eq!(followed.next(&mut gone), seq);
    // It was waiting when it went.
    let waits = async { tokio::time::timeout(Duration::ZERO, gone.next()).await };
    assert!(followed.runtime.block_on(waits).is_err(), "nothing more was published");
    assert_eq!(followed.thread.feed().eager.load(Ordering::SeqCst), 1);
    drop(gone);
    assert_eq!(followed.thread.feed().eager.load(Ordering::SeqCst), 0);
    let last = followed.publish_until_it_rests();
    let mut next = followed.subscribe();
    followed.publish();
    assert_eq!(followed.next(&mut next), last + 1);
}
