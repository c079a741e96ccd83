//! planbus inside an agent runtime: a synchronous agent surveys a directory, and everything that it
//! does is in SQLite before it goes on.
//!
//! ```sh
//! cargo run --release --example agent_runtime -- [DIRECTORY] [DATABASE]
//! cargo run --release --example agent_runtime --features server -- DIRECTORY DATABASE 127.0.0.1:7070
//! ```
//!
//! The directory is the current one, the database a new one among the temporary files, unless said
//! otherwise. With an address other programs look on there, and agents ask for surveys of their own. The runtime itself is in `agent_runtime/executor.rs`: take that as a start.

#[path = "agent_runtime/mod.rs"]
mod agent_runtime;

use std::{
    env,
    error::Error,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use planbus::{Event, EventBus, EventStore, EventType, Filter, Tenant};

use self::agent_runtime::survey::Survey;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let directory = arguments.next().unwrap_or_else(|| PathBuf::from("."));
    let new_database = || env::temp_dir().join(format!("planbus-{}.db", planbus::EventId::generate()));
    let database = arguments.next().unwrap_or_else(new_database);

    // 1. A store, which this process owns, and a bus on it. From here on `publish` returns only
    //    when the event would survive the process, and a power cut too.
    let bus = EventBus::builder()
        .store(EventStore::open(&database)?)
        // The agent's own faults are its business; a handler's are told here.
        .on_handler_failure(|failure| eprintln!("{failure:?}"))
        .build()?;

    // 2. Whoever wants to see events gives a closure. It runs on the thread that published, after
    //    the event became durable, and only for what its filter matches.
    let survey = Survey::of(&directory, Tenant::default())?;
    println!("surveying {}", survey.root().display());
    let watched = Filter::all()
        .correlation_id(survey.plan_id().as_str()) // this run and all of its subplans
        .types([
            EventType::PlanStarted,
            EventType::DecisionMade,
            EventType::PlanFailed,
            EventType::PlanCompleted,
        ]);
    let printer = bus.subscribe(watched, |event: &Event| -> io::Result<()> {
        let seq = event.seq().unwrap_or_default();
        writeln!(io::stdout(), "{seq:>7}  {:<14} {}", event.event_type(), event.plan_id())
    })?;

    // 3. The agent runs: on this thread and its own, with no async runtime. A runtime with a signal
    //    handler sets `stop` there; every open plan then ends as failed, none stays open.
    let stop = Arc::new(AtomicBool::new(false));
    let report = survey.run(&bus, Arc::clone(&stop))?;
    drop(printer);

    // 4. The log answers questions, here and, read-only, in any other process.
    let log = bus.store().ok_or("the bus was built with a store")?;
    let failed = log.list_by_plan(survey.plan_id(), Some(&[EventType::ToolCompleted]))?.len();
    let mut out = io::stdout().lock();
    writeln!(out, "\n{}", report.to_text())?;
    writeln!(out, "The root plan completed {failed} tool calls; the log is {}.", database.display())?;

    // 5. With the feature `server`, programs elsewhere read it over HTTP, and agents send messages that
    //    become plans: `survey src` by A2A is one.
    #[cfg(feature = "server")]
    if let Some(addr) = arguments.next() {
        let on_demand = agent_runtime::on_demand::OnDemand::below(&survey, &bus, stop);
        let server = planbus::server::Server::builder(&bus)
            .executor(on_demand.executor())
            .bind(addr.to_string_lossy())
            .start()?;
        writeln!(out, "Serving it at {} until Enter is pressed.", server.url())?;
        io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}
