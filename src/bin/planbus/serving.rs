//! A server of the log, as a command runs it: where it listens, what a person is told, and its end.
//!
//! Writes to stderr alone, and only before and after the work of a command, so that nothing is written
//! into what a command draws.

use std::{
    error::Error as _,
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use planbus::{
    Error, EventBus, PlanId,
    server::{Server, ServerBuilder},
};

use crate::{
    cli::Global,
    failure::Failure,
    interrupt::CtrlC,
    text::{escape, shell_word},
};

/// How long requests may take that run when a server is asked to end.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How long one wait for Ctrl-C lasts, where nothing else is to be looked at.
const WAIT: Duration = Duration::from_secs(60);

/// A server beside a command that publishes.
#[derive(Args, Debug)]
pub(crate) struct ServeBeside {
    /// Serve the log over HTTP meanwhile, at HOST:PORT, and when the work is done go on until Ctrl-C;
    /// port 0 takes a free one
    #[arg(long = "serve", value_name = "ADDR", value_parser = address)]
    addr: Option<String>,
}

/// Reads an address to listen at.
pub(crate) fn address(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("must be HOST:PORT, such as 127.0.0.1:7070"),
    }
}

/// Starts a server; where it cannot listen, says what to do with the option that named the address.
pub(crate) fn start(builder: ServerBuilder, option: &str) -> Result<Server, Failure> {
    builder.start().map_err(|error| {
        let is_taken = is_taken(&error);
        let failure = Failure::from(error);
        if is_taken {
            failure.hint(&format!("choose another port with {option}, or port 0 for a free one"))
        } else {
            failure
        }
    })
}

fn is_taken(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AddrInUse)
}

/// Says where a server listens, and what to try there; with the plan that runs, where there is one.
pub(crate) fn announce(server: &Server, plan: Option<&PlanId>, global: &Global) {
    let url = server.url();
    let plan = plan.map_or_else(|| "PLAN".to_owned(), |plan| path_part(plan.as_str()));
    let get = |path: &str| format!("{url}{path}");
    tell(global, &format!("serving {} at {url}; Ctrl-C ends", global.db.display()));
    for (what, command) in [
        ("all events", format!("curl -N {}", shell_word(&get("/events/stream?after=0")))),
        ("one plan", format!("curl -N {}", shell_word(&get(&format!("/plans/{plan}/events/stream"))))),
        ("plans", format!("curl {}", shell_word(&get("/plans")))),
        ("A2A", get("/.well-known/agent-card.json")),
    ] {
        note(global, &format!("  {what:<10}  {command}"));
    }
}

/// Ends a server when what it sends has been sent, but not for ever.
pub(crate) fn stop(server: Server, global: &Global) {
    if !server.stop(STOP_MAX) {
        tell(global, "some requests took too long and were cut off");
    }
}

/// A server that may be there or not.
pub(crate) struct Serving(Option<Server>);

impl Serving {
    /// Starts a server of the bus's log where one was asked for, and says where.
    pub(crate) fn start(
        options: &ServeBeside,
        bus: &EventBus,
        plan: Option<&PlanId>,
        global: &Global,
    ) -> Result<Self, Failure> {
        let Some(addr) = &options.addr else { return Ok(Self(None)) };
        let server = start(Server::builder(bus).bind(addr), "--serve")?;
        announce(&server, plan, global);
        Ok(Self(Some(server)))
    }

    /// Goes on serving until Ctrl-C, for whoever wants to look at what the command did.
    pub(crate) fn go_on(self, ctrl_c: &CtrlC, global: &Global) {
        let Some(server) = self.0 else { return };
        tell(global, &format!("still serving at {}; Ctrl-C ends", server.url()));
        while !ctrl_c.wait(WAIT) {}
        stop(server, global);
    }
}

/// Tells a person something, unless nobody wants to know.
pub(crate) fn tell(global: &Global, what: &str) {
    note(global, &format!("planbus: {}", escape(what)));
}

fn note(global: &Global, line: &str) {
    if !global.quiet {
        // Where nobody can read it, nobody is told.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// A text as one part of a URL's path.
fn path_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                part.push(char::from(byte));
            }
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for right in ["127.0.0.1:7070", "localhost:0", "[::1]:65535"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        for wrong in ["", "7070", ":7070", "localhost", "localhost:", "localhost:65536", "localhost:http"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_id_is_one_part_of_a_path() {
        assert_eq!(path_part("survey-1/src é?"), "survey-1%2Fsrc%20%C3%A9%3F");
    }
}
