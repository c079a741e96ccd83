//! What planbus says through `tracing`: slow handlers and failures, with the place that subscribed.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use planbus::*;
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Keeps every event as one line of `field=value`.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("a string takes all");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn p3_slow_and_failing_handlers_are_logged_with_the_place_that_subscribed() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let limit = Duration::from_millis(2);
        let bus = EventBus::builder().in_memory().slow_handler(limit).build().expect("a bus");
        let _quick = bus.subscribe(Filter::all(), |_: &Event| ()).expect("subscribes").named("quick");
        let _slow = bus
            .subscribe(Filter::all(), move |_: &Event| {
                let begun = Instant::now();
                while begun.elapsed() <= limit * 2 {
                    std::hint::spin_loop();
                }
            })
            .expect("subscribes")
            .named("slow");
        let _bad = bus.subscribe(Filter::all(), |_: &Event| Err("no luck")).expect("subscribes").named("bad");
        bus.publish(Event::new("plan-7", PlanStarted::new("goal"))).expect("publishes");
    });
    let lines = lines.0.lock().expect("not poisoned").clone();
    let slow: Vec<&String> = lines.iter().filter(|line| line.contains("a handler was slow")).collect();
    assert!(slow.iter().any(|line| line.contains("name=\"slow\"")), "{lines:?}");
    assert!(
        slow.iter()
            .all(|line| line.starts_with("WARN") && line.contains("subscribed_at=tests/diagnostics.rs:"))
    );
    assert!(
        slow.iter()
            .all(|line| line.contains("plan=\"plan-7\"") && line.contains("event_type=\"PlanStarted\""))
    );
    let failed: Vec<&String> = lines.iter().filter(|line| line.contains("a handler failed")).collect();
    assert_eq!(failed.len(), 1);
    assert!(
        failed[0].starts_with("ERROR")
            && failed[0].contains("no luck")
            && failed[0].contains("tests/diagnostics.rs:")
    );
}

#[cfg(feature = "sqlite")]
#[test]
fn an_owner_that_finds_plans_unfinished_says_how_many() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("planbus.db");
    let store = EventStore::open(&path).expect("opens");
    for plan in ["one", "two"] {
        store.save(&Event::new(plan, PlanStarted::new("a goal"))).expect("commits");
    }
    store.close().expect("closes");
    let lines = Lines::default();
    let found = || lines.0.lock().expect("not poisoned").join("\n").matches("unfinished").count();
    tracing::subscriber::with_default(lines.clone(), || {
        drop(EventStore::open(&path).expect("opens"));
        assert!(lines.0.lock().expect("not poisoned").iter().any(|line| line.contains("count=2")));
        let fail = EventStore::options().unfinished(Unfinished::Fail);
        drop(fail.clone().open(&path).expect("opens"));
        assert_eq!(found(), 2);
        drop(fail.open(&path).expect("opens"));
        assert_eq!(found(), 2, "nothing to say");
    });
}
