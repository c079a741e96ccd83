//! Those whom the bus is compared with when one event goes to several receivers: each is set up with
//! this many receivers, sends the event, and sees to it that each receiver has had it.

use std::{
    hint::black_box,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bevy_ecs::{observer::On, world::World};
use planbus::Event;
use signals2::{Connect1, Emit1, Signal};

use super::{closures, look, looped};
use crate::measure::Contender;

/// How many events a peer's channel holds: it never holds more than one.
const CHANNEL_MAX_EVENTS: usize = 64;

/// A peer: what it is called, whether it can be sent to without a receiver, and how it is set up.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) sends_to_nobody: bool,
    pub(super) set_up: fn(usize, Event) -> Contender<'static>,
}

pub(super) const CROSSBEAM: &str = "crossbeam fan-out";
pub(super) const TOKIO: &str = "tokio broadcast";

pub(super) const ALL: [Peer; 8] = [
    Peer { name: "the bare loop with what is promised", sends_to_nobody: true, set_up: promised },
    Peer { name: "RwLock<Arc<Vec>>", sends_to_nobody: true, set_up: shared_list },
    Peer { name: CROSSBEAM, sends_to_nobody: false, set_up: crossbeam },
    Peer { name: TOKIO, sends_to_nobody: true, set_up: tokio },
    Peer { name: "async-broadcast", sends_to_nobody: false, set_up: async_broadcast },
    Peer { name: "bus", sends_to_nobody: false, set_up: bus },
    Peer { name: "signals2", sends_to_nobody: true, set_up: signals },
    Peer { name: "bevy observers", sends_to_nobody: true, set_up: bevy },
];

/// The least that our promises cost, whatever the design: a flag is read before each call, since none may
/// begin after the end of a subscription; what the handler answers is looked at; a panic goes no further.
fn promised(receivers: usize, event: Event) -> Contender<'static> {
    type Answering = Box<dyn Fn(&Event) -> Option<Box<u64>> + Send + Sync>;
    struct Subscription {
        is_active: AtomicBool,
        handler: Answering,
    }
    let subscription = |_| {
        let handler = |event: &Event| {
            look(event);
            None
        };
        Arc::new(Subscription { is_active: AtomicBool::new(true), handler: Box::new(handler) })
    };
    let subscriptions: Vec<_> = (0..receivers).map(subscription).collect();
    looped(move || {
        let event = event.clone();
        let active = |one: &&Arc<Subscription>| one.is_active.load(Ordering::Acquire);
        let call_all =
            || black_box(&subscriptions).iter().filter(active).find_map(|one| (one.handler)(&event));
        assert!(matches!(catch_unwind(AssertUnwindSafe(call_all)), Ok(None)), "nobody fails");
    })
}

/// What everybody writes first: closures behind a lock that is let go before they are called, so that
/// they may subscribe.
fn shared_list(receivers: usize, event: Event) -> Contender<'static> {
    let list = RwLock::new(Arc::new(closures(receivers)));
    looped(move || {
        let event = event.clone();
        let closures = Arc::clone(&black_box(&list).read().expect("nobody panics"));
        for closure in &*closures {
            closure(&event);
        }
    })
}

fn crossbeam(receivers: usize, event: Event) -> Contender<'static> {
    let channels: Vec<_> = (0..receivers).map(|_| crossbeam_channel::bounded(CHANNEL_MAX_EVENTS)).collect();
    looped(move || {
        for (sender, receiver) in &channels {
            sender.try_send(event.clone()).expect("it has room");
            look(&receiver.try_recv().expect("it was sent"));
        }
    })
}

fn tokio(receivers: usize, event: Event) -> Contender<'static> {
    let sender = tokio::sync::broadcast::Sender::<Event>::new(CHANNEL_MAX_EVENTS);
    let mut receivers: Vec<_> = (0..receivers).map(|_| sender.subscribe()).collect();
    looped(move || {
        // Without a receiver it gives the event back.
        drop(black_box(sender.send(event.clone())));
        for receiver in &mut receivers {
            look(&receiver.try_recv().expect("it was sent"));
        }
    })
}

fn async_broadcast(receivers: usize, event: Event) -> Contender<'static> {
    let (sender, first) = async_broadcast::broadcast(CHANNEL_MAX_EVENTS);
    let mut receivers: Vec<_> = (1..receivers).map(|_| first.new_receiver()).collect();
    receivers.push(first);
    looped(move || {
        drop(black_box(sender.try_broadcast(event.clone())));
        for receiver in &mut receivers {
            look(&receiver.try_recv().expect("it was sent"));
        }
    })
}

fn bus(receivers: usize, event: Event) -> Contender<'static> {
    let mut bus = bus::Bus::new(CHANNEL_MAX_EVENTS);
    let mut receivers: Vec<_> = (0..receivers).map(|_| bus.add_rx()).collect();
    looped(move || {
        drop(black_box(bus.try_broadcast(event.clone())));
        for receiver in &mut receivers {
            look(&receiver.try_recv().expect("it was sent"));
        }
    })
}

fn signals(receivers: usize, event: Event) -> Contender<'static> {
    let signal: Signal<(Event,)> = Signal::new();
    for _ in 0..receivers {
        signal.connect(|event: Event| look(&event));
    }
    looped(move || {
        black_box(signal.emit(event.clone()));
    })
}

/// An event in bevy's sense.
#[derive(bevy_ecs::event::Event)]
struct Triggered(Event);

fn bevy(receivers: usize, event: Event) -> Contender<'static> {
    let mut world = World::new();
    for _ in 0..receivers {
        world.add_observer(|triggered: On<'_, '_, Triggered>| look(&triggered.0));
    }
    world.flush();
    looped(move || world.trigger(Triggered(event.clone())))
}
