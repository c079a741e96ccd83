//! Ten thousand subscribers, each of one plan: finding the one that an event is for, and coming and
//! going among them.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, RwLock},
};

use bevy_ecs::{entity::Entity, event::EntityEvent, observer::On, world::World};
use planbus::{Event, EventBus, Filter, PlanId, PlanStarted};
use signals2::{Connect1, Signal};

use super::{PART, in_memory, look, looped, publish, rarely};
use crate::{
    measure::{Contender, medians},
    report::{Goal, Row},
};

const PLANS: usize = 10_000;
/// Everybody walks through so many of the plans, and finds them in the cache.
const WALKED: usize = 256;

/// How much rarer a peer works where every subscriber is shown every event, or all are copied.
const ONE_IN: u64 = 10_000;

type Handlers = HashMap<PlanId, Arc<dyn Fn(&Event) + Send + Sync>>;

pub(super) fn run(rounds: usize) -> Vec<Row> {
    let plans: Vec<PlanId> =
        (0..PLANS).map(|n| PlanId::try_from(format!("plan-{n}")).expect("a valid plan id")).collect();
    let bus = in_memory();
    for plan in &plans {
        bus.subscribe(Filter::all().plan(plan), look).expect("the filter is valid").detach();
    }
    vec![found(rounds, &bus, &plans), churned(rounds, &bus, &plans)]
}

/// Events of plans all over, one after the other and again.
fn walk(plans: &[PlanId]) -> impl FnMut() -> Event + use<> {
    let of = |plan| Event::new(plan, PlanStarted::new("goal")).with_correlation_id("root");
    let events: Vec<Event> = plans.iter().step_by(PLANS / WALKED).take(WALKED).map(of).collect();
    let mut at = 0;
    move || {
        at = (at + 1) % WALKED;
        events[at].clone()
    }
}

fn handlers(plans: &[PlanId]) -> Handlers {
    plans.iter().map(|plan| (plan.clone(), Arc::new(look) as _)).collect()
}

fn found(rounds: usize, bus: &EventBus, plans: &[PlanId]) -> Row {
    let map = handlers(plans);
    let (mut for_map, mut for_bus) = (walk(plans), walk(plans));
    let look_up = looped(|| {
        let event = for_map();
        black_box(map.get(event.plan_id()));
    });
    let mut contenders = [
        look_up,
        looped(|| publish(bus, for_bus())),
        shared_map(plans),
        entities(plans),
        every_receiver(plans),
    ];
    let figures = medians(rounds, 500_000, &mut contenders);
    let limit = ("one hash-map look-up", figures[0]);
    Row::new(PART, "publish, 1 match among 10,000 plans", limit, figures[1], Goal::AtMost(2.2))
        .peer("RwLock<Arc<HashMap>>", figures[2], None)
        .peer("bevy observers, one an entity", figures[3], None)
        .peer("tokio broadcast, receivers filter", figures[4], None)
}

fn shared_map(plans: &[PlanId]) -> Contender<'static> {
    let (map, mut next) = (RwLock::new(Arc::new(handlers(plans))), walk(plans));
    looped(move || {
        let event = next();
        let handlers = Arc::clone(&black_box(&map).read().expect("nobody panics"));
        if let Some(handler) = handlers.get(event.plan_id()) {
            handler(&event);
        }
    })
}

/// An event in bevy's sense, for one entity.
#[derive(EntityEvent)]
struct Triggered {
    entity: Entity,
    event: Event,
}

fn observed(triggered: On<'_, '_, Triggered>) {
    look(&triggered.event);
}

fn entities(plans: &[PlanId]) -> Contender<'static> {
    let mut world = World::new();
    let mut of_plan = HashMap::new();
    for plan in plans {
        of_plan.insert(plan.clone(), world.spawn_empty().observe(observed).id());
    }
    world.flush();
    let mut next = walk(plans);
    looped(move || {
        let event = next();
        if let Some(entity) = of_plan.get(event.plan_id()).copied() {
            world.trigger(Triggered { entity, event });
        }
    })
}

fn every_receiver(plans: &[PlanId]) -> Contender<'static> {
    let sender = tokio::sync::broadcast::Sender::<Event>::new(1);
    let mut receivers: Vec<_> = plans.iter().map(|plan| (plan.clone(), sender.subscribe())).collect();
    let mut next = walk(plans);
    rarely(ONE_IN, move || {
        drop(sender.send(next()));
        for (plan, receiver) in &mut receivers {
            let event = receiver.try_recv().expect("it was sent");
            if event.plan_id() == plan {
                look(&event);
            }
        }
    })
}

fn churned(rounds: usize, bus: &EventBus, plans: &[PlanId]) -> Row {
    let plan = &plans[77];
    let mut map = handlers(plans);
    let extra = PlanId::try_from("plan-of-nobody").expect("a valid plan id");
    let insert = looped(|| {
        map.insert(extra.clone(), Arc::new(look));
        black_box(map.remove(&extra));
    });
    let subscribe = looped(|| {
        let subscription = bus.subscribe(Filter::all().plan(plan), look);
        drop(black_box(subscription.expect("the filter is valid")));
    });
    let mut contenders =
        [insert, subscribe, copied_map(plans), connections(), subscribed_again(), observed_again()];
    let figures = medians(rounds, 20_000, &mut contenders);
    let limit = ("one hash-map insert + remove", figures[0]);
    Row::new(PART, "subscribe + unsubscribe at 10,000", limit, figures[1], Goal::Nanos(1_500.0))
        .peer("RwLock<Arc<HashMap>>, copied on write", figures[2], None)
        .peer("signals2", figures[3], None)
        .peer("tokio broadcast", figures[4], None)
        .peer("bevy observers", figures[5], None)
}

/// What a lock-free reader of a plain map costs the writer: both changes copy it, since a publish may
/// hold it.
fn copied_map(plans: &[PlanId]) -> Contender<'static> {
    let map = RwLock::new(Arc::new(handlers(plans)));
    let extra = PlanId::try_from("plan-of-nobody").expect("a valid plan id");
    let change = move |change: &dyn Fn(&mut Handlers)| {
        let mut current = map.write().expect("nobody panics");
        let _held = Arc::clone(&current);
        change(Arc::make_mut(&mut current));
    };
    rarely(ONE_IN, move || {
        change(&|map| drop(map.insert(extra.clone(), Arc::new(look))));
        change(&|map| drop(map.remove(&extra)));
    })
}

fn connections() -> Contender<'static> {
    let signal: Signal<(Event,)> = Signal::new();
    for _ in 0..PLANS {
        signal.connect(|event: Event| look(&event));
    }
    rarely(100, move || signal.connect(|event: Event| look(&event)).disconnect())
}

fn subscribed_again() -> Contender<'static> {
    let sender = tokio::sync::broadcast::Sender::<Event>::new(1);
    let receivers: Vec<_> = (0..PLANS).map(|_| sender.subscribe()).collect();
    looped(move || {
        black_box(&receivers);
        drop(black_box(sender.subscribe()));
    })
}

fn observed_again() -> Contender<'static> {
    let mut world = World::new();
    for _ in 0..PLANS {
        world.spawn_empty().observe(observed);
    }
    let entity = world.spawn_empty().id();
    world.flush();
    looped(move || {
        let observer = bevy_ecs::observer::Observer::new(observed).with_entity(entity);
        let observer = world.spawn(observer).id();
        black_box(world.despawn(observer));
    })
}
