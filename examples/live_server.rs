//! The smallest runtime that others follow: its bus is served over HTTP, to whoever has the token, and
//! a message of A2A runs a plan, which counts the message's words.
//!
//! ```sh
//! PLANBUS_SECRET=$(openssl rand -hex 16) cargo run --features server --example live_server
//! ```
//!
//! It says what to try, and serves until its stdin ends (Ctrl-D).

use std::{env, error::Error as StdError, io, thread, time::Duration};

use planbus::{
    Error, ErrorKind, EventBus, EventStore, PlanId, Tenant, Unfinished,
    server::{AccessToken, PlanExecutor, PlanRequest, Server},
};
use serde_json::json;

/// How long requests may take that run when the server is asked to end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Runs a plan for each message. A runtime would also count them, and refuse one too many.
struct WordCounter {
    bus: EventBus,
}

impl PlanExecutor for WordCounter {
    fn start(&self, request: PlanRequest) -> planbus::Result<PlanId> {
        let PlanRequest { tenant, message_id, text, context_id, .. } = request;
        let id: PlanId = format!("words/{message_id}").try_into()?;
        let store = self.bus.store().expect("the bus was built with one").for_tenant(&tenant)?;
        if store.plan(&id)?.is_some() {
            // A client that got no answer sends its message again: nothing is run twice.
            return Ok(id);
        }
        let mut plan = self.bus.plan(&id).source("word-counter").tenant(tenant);
        if let Some(context) = context_id {
            plan = plan.correlation_id(context);
        }
        let run = plan.start(json!({"goal": "count the words of a message"}))?;
        thread::spawn(move || -> planbus::Result<()> {
            let count = || Ok::<_, Error>(text.split_whitespace().count());
            match run.tool("count", json!({"text": text}), count) {
                Ok(words) => run.complete(json!({"words": words}))?,
                Err(error) => run.fail(error)?,
            };
            Ok(())
        });
        Ok(id)
    }

    fn cancel(&self, _: &Tenant, plan: &PlanId) -> planbus::Result<()> {
        Err(Error::new(ErrorKind::InvalidInput, format!("{plan} cannot be stopped: it ends by itself")))
    }
}

fn main() -> Result<(), Box<dyn StdError>> {
    let secret = env::var("PLANBUS_SECRET").map_err(|_| "set PLANBUS_SECRET to 16 random bytes or more")?;
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7070".to_owned());
    // Plans of a process that was killed are nobody's: clients are told that they failed.
    let store = EventStore::options().unfinished(Unfinished::Fail).open("live_server.db")?;
    let bus = EventBus::builder().store(store).build()?;
    let server = Server::builder(&bus)
        .bind(addr)
        .token(AccessToken::new("me", secret))
        .executor(WordCounter { bus: bus.clone() })
        .start()?;
    let (url, bearer) = (server.url(), r#"-H "Authorization: Bearer $PLANBUS_SECRET""#);
    println!("follow:  curl -N {bearer} '{url}/events/stream?after=0'");
    println!(
        r#"run:     curl {bearer} -H 'A2A-Version: 1.0' {url}/a2a/v1/message:send -d '{{"message": {{"messageId": "m-1", "role": "ROLE_USER", "parts": [{{"text": "how many words"}}]}}}}'"#
    );

    io::copy(&mut io::stdin(), &mut io::sink())?;
    server.stop(STOP_MAX);
    bus.close();
    Ok(())
}
