//! What takes long holds up only its like.

#![cfg(feature = "server")]

mod server_support;

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use planbus::{
    server::{PlanExecutor, PlanRequest},
    *,
};
use serde_json::json;
use server_support::*;

/// More messages than a server has threads for all its reads.
const MESSAGES: usize = 24;

/// An executor that does not return before it is told to.
struct Stuck {
    called: mpsc::Sender<()>,
    told: Mutex<mpsc::Receiver<()>>,
}

impl PlanExecutor for Stuck {
    fn start(&self, _: PlanRequest) -> Result<PlanId> {
        let _ = self.called.send(());
        let _ = self.told.lock().recv();
        Err(Error::new(ErrorKind::Unavailable, "not now"))
    }

    fn cancel(&self, _: &Tenant, plan: &PlanId) -> Result<()> {
        Err(Error::new(ErrorKind::NotFound, format!("{plan} is not here")))
    }
}

fn send(url: String) -> JoinHandle<String> {
    let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message}});
    thread::spawn(move || {
        let mut answer =
            agent().post(url).header("A2A-Version", "1.0").send(body.to_string()).expect("an answer");
        answer.body_mut().read_to_string().expect("a body")
    })
}

#[test]
fn an_executor_that_does_not_return_holds_up_neither_streams_nor_lists_nor_readiness() {
    let (called, calls) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let stuck = Stuck { called, told: Mutex::new(told) };
    let live = Live::with(|server| server.executor(stuck));
    live.note("plan", 1);
    let senders: Vec<_> = (0..MESSAGES).map(|_| send(live.url("/a2a"))).collect();
    calls.recv_timeout(PATIENCE).expect("the executor is called");
    // All that can be stuck is, as far as one can see from here: each of these reads the log.
    for _ in 0..MESSAGES {
        assert_eq!(live.get("/readyz").0, 200);
        assert_eq!(live.get("/events").1["events"][0]["seq"], 1);
        assert_eq!(live.follow("/events/stream?after=0").seqs(1), [1]);
    }
    drop(tell);
    for sender in senders {
        let answer = sender.join().expect("is answered");
        assert!(answer.contains("not now"), "{answer}");
    }
}
