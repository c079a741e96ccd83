//! planbus's own consumers, in the child: one for each way of handling.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use planbus::redis::{Consumer, Deliveries, Delivery, Inbox, Ordering, Profile, RedisEndpoint, RetryPolicy};

use super::{
    consumer::{Handling, Kind, Runs},
    consumer_cell::EFFECTS,
    journal::DELAYS,
};

/// How long what a dead consumer held is left alone.
pub(crate) const CLAIM_IDLE: Duration = Duration::from_secs(1);

/// How long a consumer may take to end in order.
const STOP: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
const WORKERS: usize = 4;

pub(crate) fn start(handling: Handling) -> Box<dyn Runs> {
    let role = handling.role.clone();
    let ordering = if role.kind == Kind::PerPlan { Ordering::PerPlan } else { Ordering::Shared };
    let builder = Consumer::builder(RedisEndpoint::parse(&handling.url).expect("a URL"))
        .profile(Profile::named(&role.profile).expect("is built in"))
        .group(&role.group)
        .name(role.name())
        .workers(WORKERS)
        .claim_idle(CLAIM_IDLE)
        .retry(RetryPolicy::delays(DELAYS))
        .ordering(ordering);
    match role.kind {
        Kind::Inbox => {
            let inbox = Inbox::open(handling.folder.join(EFFECTS)).expect("opens");
            let consumer = builder.handler_in_inbox(&inbox, move |tx, delivery: &Delivery| {
                let (id, number) = (delivery.event().event_id().to_string(), role.number as i64);
                handling.attempt(&id, delivery.attempt(), || {
                    let insert = "INSERT INTO effects VALUES (?1, ?2, ?3)";
                    let done = tx.sqlite().execute(insert, (&id, &role.group, number));
                    done.map(drop).map_err(|error| error.to_string())
                })
            });
            Box::new(consumer.expect("starts"))
        }
        Kind::Manual => Box::new(Manual::start(builder.deliveries().expect("starts"), handling)),
        _ => {
            let consumer = builder.handler(move |delivery: &Delivery| attempt(&handling, delivery));
            Box::new(consumer.expect("starts"))
        }
    }
}

fn attempt(handling: &Handling, delivery: &Delivery) -> Result<(), String> {
    handling.attempt(&delivery.event().event_id().to_string(), delivery.attempt(), || Ok(()))
}

impl Runs for Consumer {
    fn status(&self) -> String {
        format!("{:?}", self.status())
    }

    fn stop(self: Box<Self>) -> String {
        format!("{:?}", Consumer::stop(&self, STOP))
    }
}

/// A program that takes what comes, and acks.
struct Manual {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Manual {
    fn start(deliveries: Deliveries, handling: Handling) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let ordered = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !ordered.load(Relaxed) {
                let Some(delivery) = deliveries.next_timeout(POLL).expect("is open") else { continue };
                match attempt(&handling, &delivery) {
                    Ok(()) => delivery.ack(),
                    Err(error) => delivery.retry(error),
                }
            }
        });
        Self { stop, thread }
    }
}

impl Runs for Manual {
    fn status(&self) -> String {
        format!("runs: {}", !self.thread.is_finished())
    }

    fn stop(self: Box<Self>) -> String {
        self.stop.store(true, Relaxed);
        format!("{:?}", self.thread.join())
    }
}
