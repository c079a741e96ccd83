//! What a subscriber and a client of the server hold in memory: the resident set, before and after.

use std::fs;

use planbus::{Event, EventBus, Filter};

use super::{
    Extent, clients,
    plot::{Plot, Series, Unit},
};

const SUBSCRIBERS: [u64; 3] = [1_000, 10_000, 100_000];
const CLIENTS: [u64; 3] = [100, 1_000, 5_000];

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    // It stays until the end, so that nothing of it serves the clients.
    let bus = EventBus::builder().in_memory().build().expect("an in-memory bus");
    let series = vec![
        Series::new("a subscriber to a plan", subscribers(extent, &bus)),
        Series::new("a client that follows the log", clients(extent)),
    ];
    vec![Plot {
        name: "memory",
        title: "Resident memory of the process, by how many there are".to_owned(),
        x: "subscribers, clients",
        y: Unit::Bytes,
        of: "each",
        series,
    }]
}

fn subscribers(extent: Extent<'_>, bus: &EventBus) -> Vec<(u64, f64)> {
    grown(SUBSCRIBERS.map(|n| extent.times(n)), |number| {
        let filter = Filter::all().plan(format!("plan-{number}"));
        bus.subscribe(filter, |_: &Event| ()).expect("subscribes").detach();
    })
}

/// The server's half of each connection; the other is a bare socket, of which the kernel holds all.
fn clients(extent: Extent<'_>) -> Vec<(u64, f64)> {
    let most = clients::clients_max(CLIENTS[2]);
    let place = clients::Place::new(extent);
    drop(place.connect()); // what the first one brings is not each one's
    let mut streams = Vec::with_capacity(CLIENTS[2] as usize);
    grown(CLIENTS.map(|n| extent.times(n).min(most)), |_| streams.push(place.connect()))
}

/// What each costs where there are so many, by adding one after the other.
fn grown(sizes: [u64; 3], mut add: impl FnMut(u64)) -> Vec<(u64, f64)> {
    let before = resident_bytes();
    let mut there = 0;
    let mut point = |size: u64| {
        (there..size).for_each(&mut add);
        there = size;
        // A page is the least that can be seen.
        (size, resident_bytes().saturating_sub(before).max(1) as f64 / size as f64)
    };
    sizes.map(&mut point).into()
}

/// The pages of this process that are in memory.
fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident set");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}
