//! One event for all of 0, 1, 8 and 64 handlers.

use std::hint::black_box;

use super::{
    PART, bus_with, closures, event, looped,
    peers::{ALL, CROSSBEAM, Peer, TOKIO},
    publish,
};
use crate::{
    measure::medians,
    python::Python,
    report::{Goal, Row},
};

/// The goals beside the bare loop, by the number of handlers.
const GOALS: [(usize, Goal); 4] =
    [(0, Goal::AtMostMore(3.0)), (1, Goal::AtMost(3.4)), (8, Goal::AtMost(1.4)), (64, Goal::AtMost(1.05))];

/// How often a round calls a handler, whatever their number.
const CALLS: u64 = 1_000_000;

/// The peer in Python does one part in so many of a round.
const PYTHON_PARTS: u32 = 50;

pub(super) fn run(rounds: usize) -> Vec<Row> {
    GOALS.into_iter().map(|(handlers, goal)| row(rounds, handlers, goal)).collect()
}

fn row(rounds: usize, handlers: usize, goal: Goal) -> Row {
    let (bus, closures, event) = (bus_with(handlers), closures(handlers), event());
    let peers: Vec<&Peer> = ALL.iter().filter(|peer| peer.sends_to_nobody || handlers > 0).collect();
    let bare = looped(|| {
        let event = black_box(event.clone());
        for closure in black_box(&closures) {
            closure(&event);
        }
    });
    let mut contenders = vec![bare, looped(|| publish(&bus, event.clone()))];
    contenders.extend(peers.iter().map(|peer| (peer.set_up)(handlers, event.clone())));
    let python = if matches!(handlers, 1 | 8) { Python::start() } else { None };
    contenders.extend(python.map(|python| python.contender(format!("emit {handlers}"), PYTHON_PARTS)));
    let figures = medians(rounds, CALLS / (handlers as u64 + 1), &mut contenders);
    let what = match handlers {
        1 => "publish, 1 matching handler".to_owned(),
        _ => format!("publish, {handlers} matching handlers"),
    };
    let row = Row::new(PART, what, ("bare closure loop", figures[0]), figures[1], goal);
    let names = peers.iter().map(|peer| peer.name).chain(["Python's pyee"]);
    names
        .zip(&figures[2..])
        .fold(row, |row, (name, nanos)| row.peer(name, *nanos, peer_goal(name).filter(|_| handlers == 1)))
}

/// What a peer is beaten by where there is one handler.
fn peer_goal(name: &str) -> Option<Goal> {
    match name {
        CROSSBEAM => Some(Goal::AtLeast(3.0)),
        TOKIO => Some(Goal::AtLeast(5.0)),
        _ => None,
    }
}
