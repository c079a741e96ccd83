//! A worker of the group `db_writers`: a row for each tool call that was answered, in a SQLite database
//! of your own, exactly once, whatever is killed in between.
//!
//! ```sh
//! cargo run --release --example db_writer -- redis://127.0.0.1:6379 [DATABASE]     # or set PLANBUS_REDIS
//! ```
//!
//! It writes to `tool_calls.db` unless said otherwise, until its stdin ends (Ctrl-D).

use std::{env, error::Error, io, time::Duration};

use planbus::{
    EventType, Filter, ToolCompleted,
    redis::{Consumer, Delivery, Inbox, InboxTransaction, RedisEndpoint},
    rusqlite::Connection,
};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS answered_calls(
    plan TEXT NOT NULL, tool TEXT NOT NULL, ok INTEGER NOT NULL, duration_us INTEGER) STRICT";
const INSERT: &str = "INSERT INTO answered_calls VALUES (?1, ?2, ?3, ?4)";

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).or_else(|| env::var("PLANBUS_REDIS").ok());
    let endpoint = RedisEndpoint::parse(&url.ok_or("give the URL of a Redis")?)?;
    let database = env::args().nth(2).unwrap_or_else(|| "tool_calls.db".to_owned());

    Connection::open(&database)?.execute_batch(TABLE)?;
    let inbox = Inbox::open(&database)?;
    let consumer = Consumer::builder(endpoint)
        .group("db_writers")
        .filter(Filter::all().types([EventType::ToolCompleted]))
        // A row is written in no time: what a killed worker had in hand need not wait for a minute.
        .claim_idle(Duration::from_secs(2))
        .handler_in_inbox(&inbox, write)?;

    io::copy(&mut io::stdin(), &mut io::sink())?;
    let report = consumer.stop(Duration::from_secs(10))?;
    let counts = consumer.status().counts;
    println!("wrote {} rows; {} events had theirs already", counts.handled, counts.duplicates);
    println!("{} deliveries were given back", report.released);
    Ok(())
}

/// The row and the inbox's note are one transaction: what comes again finds the note.
fn write(
    transaction: &InboxTransaction<'_>,
    delivery: &Delivery,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let event = delivery.event();
    let call = event.payload::<ToolCompleted>()?;
    let duration_us = call.duration_us.map(i64::try_from).transpose()?;
    let row = (event.plan_id().as_str(), &call.tool, call.ok, duration_us);
    transaction.sqlite().prepare_cached(INSERT)?.execute(row)?;
    Ok(())
}
