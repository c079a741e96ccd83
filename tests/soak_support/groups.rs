//! [`Groups`]: two consumer groups. `ledger` writes into an inbox, each plan in order; `alerts` fails now
//! and then, and for some events always.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use planbus::{
    EventType,
    redis::{Consumer, DeadLetters, Delivery, Inbox, Ordering, Profile, RedisEndpoint, RetryPolicy},
};
use rusqlite::Connection;

use super::tally::{Fate, Marks, Tally, mix};

/// The delays of retries: a soak does not wait long for dead letters.
const DELAYS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];
const WORKERS: usize = 2;
/// How long a consumer may take to end in order.
const STOP: Duration = Duration::from_secs(10);

/// Both groups.
pub(super) struct Groups {
    ledger: Consumer,
    alerts: Consumer,
    dead_letters: DeadLetters,
    effects: PathBuf,
    seen: Arc<Seen>,
}

/// What the handlers have seen.
#[derive(Default)]
struct Seen {
    /// What the handler of `alerts` has taken.
    taken: Mutex<Tally>,
    /// The last seq of each plan that `ledger` has begun and not ended.
    plans: Mutex<HashMap<String, u64>>,
    faults: Mutex<Vec<String>>,
}

impl Groups {
    pub(super) fn start(url: &str, folder: &Path) -> Self {
        let endpoint = RedisEndpoint::parse(url).expect("a URL");
        let effects = folder.join("effects.db");
        let database = Connection::open(&effects).expect("opens");
        let table = "CREATE TABLE effects (events INTEGER, sum INTEGER); INSERT INTO effects VALUES (0, 0)";
        database.execute_batch(table).expect("a table");
        drop(database);
        let seen = Arc::<Seen>::default();
        let inbox = Inbox::open(&effects).expect("opens");
        let builder = |group: &str| Consumer::builder(endpoint.clone()).group(group).workers(WORKERS);
        let writing = Arc::clone(&seen);
        let ledger =
            builder("ledger").ordering(Ordering::PerPlan).handler_in_inbox(&inbox, move |tx, delivery| {
                writing.check_order(delivery);
                write(tx.sqlite(), seq(delivery)).map_err(|error| error.to_string())
            });
        let taking = Arc::clone(&seen);
        let alerts = builder("alerts")
            .retry(RetryPolicy::delays(DELAYS))
            .handler(move |delivery: &Delivery| taking.attempt(delivery));
        Self {
            ledger: ledger.expect("starts"),
            alerts: alerts.expect("starts"),
            dead_letters: DeadLetters::new(endpoint, Profile::native()),
            effects,
            seen,
        }
    }

    /// Whether both have handled what the log had.
    pub(super) fn have(&self, marks: &Marks) -> bool {
        let settled = lock(&self.seen.taken).events + self.alerts.status().counts.dead_lettered;
        settled >= marks.all.events && self.ledger.status().counts.handled >= marks.all.events
    }

    /// What is wrong with what they did, once the log has ended and they have all.
    pub(super) fn faults(&self, marks: &Marks) -> Vec<String> {
        let mut faults = lock(&self.seen.faults).clone();
        let mut check = |is_right: bool, fault: String| {
            if !is_right {
                faults.push(format!("{fault}; the log has {marks:?}"));
            }
        };
        let effects = self.effects();
        check(effects.has_same_events(&marks.all), format!("the ledger's effects are of {effects:?}"));
        let taken = *lock(&self.seen.taken);
        let wanted = marks.all.without(&marks.poison);
        check(taken.has_same_events(&wanted), format!("alerts has taken {taken:?}"));
        let letters = self.dead_letters.count().expect("Redis answers");
        let moved: u64 = letters.iter().map(|count| count.moved).sum();
        check(moved == marks.poison.events, format!("there are {moved} dead letters"));
        for consumer in [&self.ledger, &self.alerts] {
            let counts = consumer.status().counts;
            let wrong = [counts.undecodable, counts.lost, counts.trimmed, counts.healed, counts.panicked];
            check(wrong == [0; 5], format!("{} had {counts:?}", consumer.status().group));
        }
        faults
    }

    /// How long the file of the inbox is, with the effects in it.
    pub(super) fn inbox_bytes(&self) -> u64 {
        fs::metadata(&self.effects).map_or(0, |metadata| metadata.len())
    }

    /// Ends both; whether in order.
    pub(super) fn stop(self) -> bool {
        [self.ledger, self.alerts].iter().all(|consumer| {
            let report = consumer.stop(STOP).expect("stops");
            (report.abandoned, report.unsettled) == (0, 0)
        })
    }

    fn effects(&self) -> Tally {
        let database = Connection::open(&self.effects).expect("opens");
        let row = database.query_row("SELECT events, sum FROM effects", [], |row| {
            Ok(Tally::unordered(row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
        });
        row.expect("a row")
    }
}

impl Seen {
    /// Each plan comes in order, and an event again only where nothing of its plan has come since.
    fn check_order(&self, delivery: &Delivery) {
        let (event, seq) = (delivery.event(), seq(delivery));
        let mut plans = lock(&self.plans);
        let last = plans.insert(event.plan_id().to_string(), seq).unwrap_or(0);
        if seq < last {
            lock(&self.faults).push(format!("the ledger was given {seq} of a plan after {last}"));
        }
        if matches!(event.event_type(), EventType::PlanCompleted | EventType::PlanFailed) {
            plans.remove(event.plan_id().as_str());
        }
    }

    fn attempt(&self, delivery: &Delivery) -> Result<(), &'static str> {
        match Fate::of(seq(delivery)) {
            Fate::Poison => return Err("it cannot be taken"),
            Fate::Retried if delivery.attempt() == 1 => return Err("not now"),
            _ => {}
        }
        lock(&self.taken).add(seq(delivery));
        Ok(())
    }
}

fn seq(delivery: &Delivery) -> u64 {
    delivery.event().seq().expect("planbus's own entries say it")
}

/// SQLite makes a sum that is too large for an integer another number: it is added here.
fn write(database: &Connection, seq: u64) -> rusqlite::Result<()> {
    let sum: i64 = database.query_row("SELECT sum FROM effects", [], |row| row.get(0))?;
    let sum = sum.wrapping_add(mix(seq).cast_signed());
    database.execute("UPDATE effects SET events = events + 1, sum = ?1", [sum]).map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A handler that panics is counted by its consumer.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
