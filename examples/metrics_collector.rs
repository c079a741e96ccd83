//! A worker of the group `metrics_collectors`: how many events of each type there were, and how long
//! what they tell of took, in the text form that Prometheus reads.
//!
//! ```sh
//! cargo run --release --example metrics_collector -- redis://127.0.0.1:6379     # or set PLANBUS_REDIS
//! ```
//!
//! Each line on its stdin (Enter) prints the figures, and its end (Ctrl-D) prints them a last time.

use std::{collections::BTreeMap, env, error::Error, io, sync::Arc, sync::Mutex, time::Duration};

use planbus::redis::{Consumer, Delivery, RedisEndpoint};
use serde_json::Value;

/// By type: the events, those of them that tell a duration, and its sum in microseconds.
type Figures = BTreeMap<String, [u64; 3]>;

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).or_else(|| env::var("PLANBUS_REDIS").ok());
    let endpoint = RedisEndpoint::parse(&url.ok_or("give the URL of a Redis")?)?;

    let figures = Arc::new(Mutex::new(Figures::new()));
    let counted = Arc::clone(&figures);
    let consumer = Consumer::builder(endpoint).group("metrics_collectors").handler(
        move |delivery: &Delivery| -> Result<(), Box<dyn Error + Send + Sync>> {
            let event = delivery.event();
            let payload: Value = serde_json::from_str(event.payload_json()?)?;
            let mut figures = counted.lock().expect("nobody panics with it");
            let [events, timed, sum_us] = figures.entry(event.event_type().to_string()).or_default();
            *events += 1;
            if let Some(duration_us) = payload["duration_us"].as_u64() {
                *timed += 1;
                *sum_us = sum_us.saturating_add(duration_us);
            }
            Ok(())
        },
    )?;

    for _line in io::stdin().lines() {
        print(&figures.lock().expect("nobody panics with it"));
    }
    consumer.stop(Duration::from_secs(10))?;
    print(&figures.lock().expect("nobody panics with it"));
    Ok(())
}

fn print(figures: &Figures) {
    println!("# TYPE planbus_events_total counter");
    for (event_type, [events, ..]) in figures {
        println!("planbus_events_total{{type=\"{event_type}\"}} {events}");
    }
    println!("# TYPE planbus_event_duration_seconds summary");
    for (event_type, [_, timed, sum_us]) in figures.iter().filter(|(_, [_, timed, _])| *timed > 0) {
        let seconds = Duration::from_micros(*sum_us).as_secs_f64();
        println!("planbus_event_duration_seconds_sum{{type=\"{event_type}\"}} {seconds}");
        println!("planbus_event_duration_seconds_count{{type=\"{event_type}\"}} {timed}");
    }
}
