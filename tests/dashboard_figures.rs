//! How fast the page is in a real browser, with `PLANBUS_PAGE_FIGURES` events in the log, and while 1,000
//! events a second come: `PLANBUS_PAGE_FIGURES=1000000 cargo test --release --features server --test
//! dashboard_figures -- --nocapture`. Without it a few events, for the shape of it. Times are printed and
//! never judged: they are those of the machine.

#![cfg(feature = "server")]

mod dashboard_support;
mod server_support;

use std::time::{Duration, Instant};

use dashboard_support::Browser;
use planbus::{
    DecisionMade, Event, EventBus, PlanCompleted, PlanFailed, PlanStarted, ToolCalled, ToolCompleted,
};
use serde_json::{Value, json};
use server_support::{Live, wait_until};

const PLAN_EVENTS: usize = 50;
/// Events a second while much happens.
const RATE: u32 = 1_000;
/// How many are committed at once then.
const BATCH: u32 = 20;

/// The events of a plan: what an agent does that reads and searches files.
fn plan(number: usize) -> Vec<Event> {
    let id = format!("survey-{number:06}");
    let mut events = vec![Event::new(id.as_str(), PlanStarted::new(format!("survey folder {number}")))];
    for call in 0..(PLAN_EVENTS - 4) / 2 {
        let path = format!("src/part_{}/file_{call}.rs", number % 97);
        let name = format!("call-{call}");
        events.push(Event::new(
            id.as_str(),
            ToolCalled::new(name.as_str(), "read_file", json!({"path": path})),
        ));
        let text = format!("{number} lines, word{} word{}", number % 1_009, call * 31 % 499);
        events.push(Event::new(id.as_str(), ToolCompleted::ok(name.as_str(), "read_file", text)));
    }
    events.push(Event::untyped(id.as_str(), "agent.note", json!({"tokens": number * 31 % 9_973})));
    events.push(Event::new(id.as_str(), DecisionMade::new("skip the rest").because("nothing new was found")));
    events.push(match number % 20 {
        0 => Event::new(id.as_str(), PlanFailed::new(format!("folder {number} is gone"))),
        _ => Event::new(id.as_str(), PlanCompleted::new()),
    });
    events
}

/// Publishes so many events; the number of plans.
fn fill(bus: &EventBus, events: usize) -> usize {
    let plans = events.div_ceil(PLAN_EVENTS).max(20);
    let mut next = 0;
    while next < plans {
        let end = plans.min(next + 100);
        bus.publish_all((next..end).flat_map(plan)).expect("publishes");
        next = end;
    }
    plans
}

/// Publishes events at the rate, for so long; what the last one says.
fn hurry(bus: &EventBus, time: Duration, round: usize) -> String {
    let plans: Vec<String> = (0..50).map(|at| format!("hurry-{round}-{at}")).collect();
    let starts = plans.iter().map(|plan| Event::new(plan.as_str(), PlanStarted::new("be quick")));
    bus.publish_all(starts.collect::<Vec<_>>()).expect("publishes");
    let pause = crossbeam_channel::tick(Duration::from_secs(1) / (RATE / BATCH));
    let begun = Instant::now();
    let mut said = String::new();
    let mut number = 0;
    while begun.elapsed() < time {
        let batch = (0..BATCH).map(|_| {
            number += 1;
            said = format!("hurried {round}.{number}.");
            let call = ToolCalled::new(format!("call-{number}"), "note", json!({"text": said}));
            Event::new(plans[number % plans.len()].as_str(), call)
        });
        bus.publish_all(batch.collect::<Vec<_>>()).expect("publishes");
        pause.recv().expect("a tick");
    }
    println!("{number} events in {:.1?}", begun.elapsed());
    said
}

fn table(title: &str, rows: &Value, columns: &[&str]) {
    println!("\n{title}\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows.as_array().expect("rows") {
        let cell = |column: &&str| match &row[*column] {
            Value::Number(number) if !number.is_u64() => {
                format!("{:.1}", number.as_f64().unwrap_or(f64::NAN))
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        println!("| {} |", columns.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

#[test]
fn figures_of_the_page() {
    let wanted: Option<usize> =
        std::env::var("PLANBUS_PAGE_FIGURES").ok().and_then(|count| count.parse().ok());
    let live = Live::with(|builder| builder.search());
    let begun = Instant::now();
    let plans = fill(&live.bus, wanted.unwrap_or(2_000));
    let head = live.bus.store().expect("a store").head().expect("a head");
    println!("{head} events of {plans} plans published in {:.1?}", begun.elapsed());
    let is_indexed = || live.get("/events?q=nothing").1["indexed_seq"].as_u64() == Some(head);
    let begun = Instant::now();
    while !is_indexed() && begun.elapsed() < Duration::from_secs(600) {
        std::thread::yield_now();
    }
    wait_until("the index has all", is_indexed);
    println!("indexed in {:.1?}", begun.elapsed());
    let time = Duration::from_secs(if wanted.is_some() { 20 } else { 1 });
    let given = json!({
        "plan": format!("#/plans/survey-{:06}", plans / 2), "frames": if wanted.is_some() { 600 } else { 30 },
        "isShort": wanted.is_none(), "words": ["word17", "file_3", "gone"],
    });
    let Some(mut page) = Browser::start_with("figures.mjs", &live.server.url(), &given) else { return };
    let told = page.reach("scrolled");
    table("Until something is seen, ms", &told["paints"], &["hash", "isAgain", "paint", "row"]);
    table("Until a search has rows, ms", &told["searches"], &["word", "took"]);
    let frames = ["hash", "frames", "p50", "p95", "max", "longTasks", "longest"];
    table("Frames while scrolling, ms", &told["scrolls"], &frames);
    let mut told = json!({});
    for round in 0..2 {
        page.reach_with("ready for much", &told);
        told = json!({"last": hurry(&live.bus, time, round)});
    }
    let told = page.reach_with("rates", &told);
    table(
        "Frames while 1,000 events a second come, ms",
        &told["rates"],
        &[&frames[..], &["heapMiB"]].concat(),
    );
    page.finish();
}
