//! A bus in an async program: a durable publish in `spawn_blocking`, an in-memory bus directly.

#![cfg(feature = "sqlite")]

use planbus::*;
use tokio::{runtime, task::spawn_blocking};

#[test]
fn a_durable_bus_is_used_through_spawn_blocking_and_an_in_memory_bus_directly() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable =
        EventBus::builder().store(EventStore::open(folder.path().join("planbus.db")).expect("opens"));
    let durable = durable.build().expect("a bus");
    let live = EventBus::builder().in_memory().build().expect("a bus");
    // Events of the durable bus are forwarded to async tasks by a handler that never waits.
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let _forward = durable
        .subscribe(Filter::all(), move |event: &Event| sender.send(event.clone()))
        .expect("subscribes");
    let seen = live.channel(Filter::all(), ChannelOptions::default()).expect("opens");
    runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
        for _ in 0..10 {
            let bus = durable.clone();
            let publish = move || bus.publish(Event::new("p", PlanStarted::new("goal")));
            let published = spawn_blocking(publish).await.expect("no panic").expect("publishes");
            let event = receiver.recv().await.expect("was forwarded");
            assert_eq!((event.seq(), published.delivered), (published.seq, 1));
            live.publish(event).expect("publishes");
        }
    });
    assert_eq!(seen.len(), 10);
}
