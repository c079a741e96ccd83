//! Server-sent events: how long after a publish its clients have it, what a delivery costs the server,
//! and what clients that never read cost a publisher.
//!
//! The limit writes the same bytes to the same number of sockets in a bare loop and does nothing else.
//! The peer is what one writes with axum alone: its own `Sse` on a broadcast channel, nothing stored.

mod clients;
mod silent;
mod subject;

use std::time::Instant;

use crate::{
    measure::median,
    report::{Goal, Row, print_head},
};
use subject::{Bare, Ours, Peer, Subject};

/// How many clients follow, and the p99 in milliseconds that is the goal.
const CLIENTS: [(usize, f64); 3] = [(1, 1.0), (100, 5.0), (1_000, 25.0)];
/// What a delivery may cost the server.
const CPU_NANOS: f64 = 12e3;

pub(crate) fn run(rounds: usize) -> Vec<Row> {
    let begun = Instant::now();
    let mut subjects: [Box<dyn Subject>; 3] =
        [Box::new(Bare::start()), Box::new(Peer::start()), Box::new(Ours::start())];
    print_head("Server-sent events at 50 events a second", rounds);
    let mut rows = Vec::new();
    for (clients, most_ms) in CLIENTS {
        let mut figures = [const { (Vec::new(), Vec::new()) }; 3];
        for round in 0..=rounds {
            for (subject, (p99, cpu)) in subjects.iter_mut().zip(&mut figures) {
                let measured = clients::measure(begun, clients, subject.as_mut());
                if round > 0 {
                    p99.push(measured.p99);
                    cpu.push(measured.cpu);
                }
            }
        }
        let [bare, peer, ours] = figures.map(|(p99, cpu)| (median(p99), median(cpu)));
        let row = |what, figure: fn(&(f64, f64)) -> f64, goal| {
            let limit = ("bare writes", figure(&bare));
            let row = Row::new("server", what, limit, figure(&ours), goal);
            let row = row.peer("axum Sse on broadcast, no log", figure(&peer), None);
            row.print();
            row
        };
        let who = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
        rows.push(row(format!("publish to {who}, p99"), |it| it.0, Goal::Nanos(most_ms * 1e6)));
        // With one client, what is done once for all is no delivery's.
        if clients > 1 {
            rows.push(row(format!("processor time a delivery, {who}"), |it| it.1, Goal::Nanos(CPU_NANOS)));
        }
    }
    rows.extend(silent::run(rounds));
    rows
}
