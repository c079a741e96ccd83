//! What a publish costs with 1 to 100,000 subscribers, and what coming and going does.
//!
//! All in memory: what a store adds does not know of subscribers.

use std::hint::black_box;

use planbus::{Event, EventBus, EventType, Filter, PlanStarted, Subscription};

use super::{
    Extent,
    plot::{Plot, Series, Unit},
};
use crate::measure::{Clock, Contender, medians};

const SUBSCRIBERS_MAX: u64 = 100_000;
/// How many handlers a measurement of calls calls at least.
const CALLS: u64 = 2_000_000;
/// How often a round does what must not grow.
const TIMES: u64 = 100_000;

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    let sizes = extent.decades(1, SUBSCRIBERS_MAX);
    let publish = vec![
        all_match(extent, &sizes),
        beside_others(extent, &sizes, "one of n plans matches", |n| plan(n / 2)),
        beside_others(extent, &sizes, "none matches", |_| "plan-nobody-follows".to_owned()),
    ];
    let plot = |name, title: &str, of, series| Plot {
        name,
        title: title.to_owned(),
        x: "subscribers",
        y: Unit::Nanoseconds,
        of,
        series,
    };
    vec![
        plot("subscribers", "Publishing, by subscribers", "one publish", publish),
        plot(
            "subscribe",
            "Subscribing, by subscribers",
            "a subscribe and an unsubscribe",
            vec![subscribe(extent, &sizes)],
        ),
    ]
}

fn plan(number: u64) -> String {
    format!("plan-{number}")
}

fn event(plan: &str) -> Event {
    Event::new(plan, PlanStarted::new("goal")).with_correlation_id("root")
}

fn look(event: &Event) {
    black_box(event.seq());
}

/// A bus with this many subscribers, each with its own filter.
fn bus(subscribers: u64, filter: impl Fn(u64) -> Filter) -> EventBus {
    let bus = EventBus::builder().in_memory().build().expect("an in-memory bus");
    for number in 0..subscribers {
        bus.subscribe(filter(number), look).expect("subscribes").detach();
    }
    bus
}

/// A publish that calls every subscriber.
fn all_match(extent: Extent<'_>, sizes: &[u64]) -> Series {
    let point = |&size: &u64| {
        let bus = bus(size, |_| Filter::all().types([EventType::PlanStarted]));
        let event = event("plan-7");
        let publish = || assert!(black_box(bus.publish(event.clone())).is_ok());
        let times = (extent.times(CALLS) / size).clamp(1, extent.times(TIMES));
        let figures = medians(extent.rounds(), times, &mut [Contender::looped(Clock::ThreadCpu, publish)]);
        (size, figures[0])
    };
    Series::new("publish, all match", sizes.iter().map(point).collect())
}

/// A publish to a plan among subscribers that follow a plan each. All sizes take turns, so that what the
/// machine does meanwhile befalls them alike.
fn beside_others(extent: Extent<'_>, sizes: &[u64], what: &str, published: impl Fn(u64) -> String) -> Series {
    let buses: Vec<(EventBus, Event)> = sizes
        .iter()
        .map(|&size| (bus(size, |number| Filter::all().plan(plan(number))), event(&published(size))))
        .collect();
    let publish = |(bus, event): &(EventBus, Event)| assert!(black_box(bus.publish(event.clone())).is_ok());
    let mut contenders: Vec<_> =
        buses.iter().map(|place| Contender::looped(Clock::ThreadCpu, move || publish(place))).collect();
    let figures = medians(extent.rounds(), extent.times(TIMES), &mut contenders);
    Series::new(format!("publish, {what}"), sizes.iter().copied().zip(figures).collect()).flat()
}

/// Coming and going among others that stay.
fn subscribe(extent: Extent<'_>, sizes: &[u64]) -> Series {
    let buses: Vec<EventBus> =
        sizes.iter().map(|&size| bus(size, |number| Filter::all().plan(plan(number)))).collect();
    let come_and_go = |bus: &EventBus| {
        let subscription: Subscription =
            bus.subscribe(Filter::all().plan("plan-new"), look).expect("subscribes");
        drop(black_box(subscription));
    };
    let mut contenders: Vec<_> =
        buses.iter().map(|bus| Contender::looped(Clock::ThreadCpu, move || come_and_go(bus))).collect();
    let figures = medians(extent.rounds(), extent.times(TIMES / 10), &mut contenders);
    Series::new("subscribe + unsubscribe", sizes.iter().copied().zip(figures).collect())
}

#[cfg(test)]
mod tests {
    use planbus::PlanCompleted;

    use super::*;

    #[test]
    fn who_matches_is_called_and_who_does_not_is_not() {
        let followed = bus(100, |number| Filter::all().plan(plan(number)));
        assert_eq!(followed.publish(event(&plan(50))).expect("publishes").delivered, 1);
        assert_eq!(followed.publish(event("plan-nobody-follows")).expect("publishes").delivered, 0);
        let all = bus(100, |_| Filter::all().types([EventType::PlanStarted]));
        assert_eq!(all.publish(event("plan-7")).expect("publishes").delivered, 100);
        let other = Event::new("plan-7", PlanCompleted::new());
        assert_eq!(all.publish(other).expect("publishes").delivered, 0);
    }
}
