//! What each subscription counts: exact at every moment at which nobody publishes, whatever came and went.

mod bus_support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use bus_support::*;
use planbus::*;
use proptest::prelude::*;

/// A thread that publishes when it is told to.
struct Publisher {
    events: Sender<(EventBus, Event, Sender<()>)>,
    thread: JoinHandle<()>,
}

impl Publisher {
    fn start() -> Self {
        let (events, told) = mpsc::channel::<(EventBus, Event, Sender<()>)>();
        let thread = thread::spawn(move || {
            for (bus, event, done) in told {
                bus.publish(event).expect("publishes");
                drop(bus);
                done.send(()).expect("is awaited");
            }
        });
        Self { events, thread }
    }

    fn publish(&self, bus: &EventBus, event: Event) {
        let (done, is_done) = mpsc::channel();
        self.events.send((bus.clone(), event, done)).expect("is there");
        is_done.recv_timeout(SOON).expect("publishes");
    }

    fn end(self) {
        drop(self.events);
        self.thread.join().expect("ends");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe {
        filter: u8,
        panics_at: Option<usize>,
    },
    /// One that subscribes another each time that it is called, and keeps the last.
    SubscribeSubscriber,
    Unsubscribe(usize),
    Publish {
        publisher: usize,
        kind: u8,
    },
    EndPublisher(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, prop::option::weighted(0.2, 0..3_usize))
            .prop_map(|(filter, panics_at)| Step::Subscribe { filter, panics_at }),
        1 => Just(Step::SubscribeSubscriber),
        3 => (0..8_usize).prop_map(Step::Unsubscribe),
        12 => (0..3_usize, 0..3_u8).prop_map(|(publisher, kind)| Step::Publish { publisher, kind }),
        1 => (0..3_usize).prop_map(Step::EndPublisher),
    ]
}

fn filter(number: u8) -> Filter {
    match number {
        0 => Filter::all(),
        1 => Filter::all().types([EventType::PlanStarted]),
        2 => Filter::all().types([EventType::PlanStarted, EventType::PlanCompleted]),
        _ => Filter::all().plan("p"),
    }
}

fn event(kind: u8) -> Event {
    match kind {
        0 => started("p"),
        1 => started("q"),
        _ => Event::new("p", PlanCompleted::new()),
    }
}

/// A subscription, and what it took and failed by its own account.
struct Watched {
    sub: Subscription,
    taken: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Watched {
    fn new(bus: &EventBus, wanted: Filter, panics_at: Option<usize>) -> Self {
        let (taken, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (takes, fails) = (Arc::clone(&taken), Arc::clone(&failed));
        let handler = move |_: &Event| {
            if panics_at == Some(takes.load(Ordering::SeqCst)) && fails.fetch_add(1, Ordering::SeqCst) == 0 {
                panic!("as it was told to");
            }
            takes.fetch_add(1, Ordering::SeqCst);
        };
        Self { sub: bus.subscribe(wanted, handler).expect("subscribes"), taken, failed }
    }

    fn check(&self) {
        let (failed, tries) = (self.sub.counts().failed, self.failed.load(Ordering::SeqCst));
        assert_eq!(failed, u64::from(tries > 0));
        assert_eq!(self.sub.counts().delivered, self.taken.load(Ordering::SeqCst) as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn each_subscription_counts_what_it_took_whatever_came_and_went(steps in prop::collection::vec(step(), 1..60)) {
        let bus = bus();
        let mut publishers: Vec<Publisher> = (0..2).map(|_| Publisher::start()).collect();
        let (mut watched, mut subscribers) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Subscribe { filter: number, panics_at } => {
                    watched.push(Watched::new(&bus, filter(number), panics_at));
                }
                Step::SubscribeSubscriber => {
                    let (weak, kept) = (bus.clone(), parking_lot::Mutex::new(None));
                    let handler = move |_: &Event| {
                        let inner = weak.subscribe(Filter::all().types([EventType::PlanFailed]), |_: &Event| {});
                        drop(kept.lock().replace(inner.expect("subscribes")));
                    };
                    subscribers.push(bus.subscribe(Filter::all(), handler).expect("subscribes"));
                }
                Step::Unsubscribe(at) if !watched.is_empty() => {
                    // Its handle stays, and with it what it counted.
                    bus.unsubscribe(watched[at % watched.len()].sub.id());
                }
                Step::Unsubscribe(_) => {}
                Step::Publish { publisher, kind } => match publishers.get(publisher) {
                    Some(publisher) => publisher.publish(&bus, event(kind)),
                    None => drop(bus.publish(event(kind)).expect("publishes")),
                },
                Step::EndPublisher(at) if at < publishers.len() => {
                    publishers.remove(at).end();
                    publishers.push(Publisher::start());
                }
                Step::EndPublisher(_) => {}
            }
            watched.iter().for_each(Watched::check);
        }
        bus.close();
        watched.iter().for_each(Watched::check);
        drop((bus, subscribers));
        watched.iter().for_each(Watched::check);
        publishers.into_iter().for_each(Publisher::end);
        watched.iter().for_each(Watched::check);
    }
}
