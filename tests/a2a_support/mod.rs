//! A2A's own client as a child process, and an agent that runs plans for it.

#![allow(dead_code)]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use planbus::{
    Error, ErrorKind, EventBus, PlanId, Tenant,
    server::{PlanExecutor, PlanRequest},
};
use serde_json::{Value, json};

#[path = "../installed_support/mod.rs"]
mod installed;

/// The variable that leaves the tests with clients out.
const SKIP: &str = "PLANBUS_SKIP_CLIENTS";

/// The ways in which the client can talk to a server.
pub(crate) const BINDINGS: [&str; 3] = ["jsonrpc", "rest", "0.3"];

/// How long a client is waited for that must say something.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client came upon: the name of its error, and the text.
pub(crate) type Refusal = (String, String);

/// The client of the package `a2a-sdk`. It ends with this value.
pub(crate) struct A2aClient {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl A2aClient {
    pub(crate) fn start(python: &Path, server: &str, binding: &str) -> Self {
        let mut command = Command::new(python);
        // No compiled copies beside the source.
        command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/a2a_client.py"));
        // A proxy of the system's has no place between a client and this machine.
        command.env("NO_PROXY", "*").env("no_proxy", "*");
        command.args([server, binding]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).expect("a line of JSON")).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    /// Tells it what to do.
    pub(crate) fn tell(&mut self, command: &Value) {
        let stdin = self.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{command}").expect("it listens");
    }

    /// What came next, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, Refusal> {
        self.next_within(PATIENCE).expect("the client says something in time")
    }

    /// What came next within a time; `None` where nothing did.
    pub(crate) fn next_within(&mut self, time: Duration) -> Option<Result<Option<Value>, Refusal>> {
        let line = match self.lines.recv_timeout(time) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => panic!("the client died: its words are above"),
        };
        if let Some(error) = line.get("error") {
            let text = |name: &str| error[name].as_str().expect("a text").to_owned();
            return Some(Err((text("type"), text("message"))));
        }
        Some(Ok(line.get("item").cloned()))
    }

    /// All that is left to come.
    pub(crate) fn rest(&mut self) -> Result<Vec<Value>, Refusal> {
        let mut items = Vec::new();
        while let Some(item) = self.next()? {
            items.push(item);
        }
        Ok(items)
    }

    pub(crate) fn ask(&mut self, command: Value) -> Result<Vec<Value>, Refusal> {
        self.tell(&command);
        self.rest()
    }

    /// The one thing that a command brings.
    pub(crate) fn ask_one(&mut self, command: Value) -> Result<Value, Refusal> {
        let mut items = self.ask(command)?;
        assert_eq!(items.len(), 1, "{items:?}");
        Ok(items.remove(0))
    }
}

impl Drop for A2aClient {
    fn drop(&mut self) {
        // Without a stdin it ends by itself; where it hangs on a stream, it does not.
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python that has the client; `None` where tests with clients are to return, which has been told.
pub(crate) fn python() -> Option<PathBuf> {
    if installed::is_set(SKIP) {
        installed::tell_skipped(&format!("{SKIP} is set"));
        return None;
    }
    let folder = installed::folder("python");
    let client = folder.join("installed/a2a-sdk==1.3.0");
    assert!(
        client.exists(),
        "no {}: run ./test, which installs the clients; {SKIP}=1 leaves their tests out",
        client.display()
    );
    Some(folder.join("bin/python3"))
}

/// Text as a message asks for a plan with it.
pub(crate) fn message(id: &str, text: &str) -> Value {
    json!({"message": {"messageId": id, "role": "ROLE_USER", "parts": [{"text": text}]}})
}

/// An agent: its plans look something up and answer; with the text `wait`, once they are told to end.
pub(crate) struct Agent {
    bus: EventBus,
    waiting: Mutex<HashMap<PlanId, Sender<()>>>,
}

impl Agent {
    pub(crate) fn new(bus: &EventBus) -> Self {
        Self { bus: bus.clone(), waiting: Mutex::default() }
    }
}

impl PlanExecutor for Agent {
    fn start(&self, request: PlanRequest) -> planbus::Result<PlanId> {
        if request.text == "nonsense" {
            return Err(Error::new(ErrorKind::InvalidInput, "text: must make sense"));
        }
        let mut plan = self.bus.plan(format!("answer-{}", request.message_id)).tenant(request.tenant);
        if let Some(context) = request.context_id {
            plan = plan.correlation_id(context);
        }
        let run = plan.start(json!({"goal": request.text}))?;
        let id = run.id().clone();
        let (stop, stopped) = mpsc::channel();
        if request.text == "wait" {
            self.waiting.lock().expect("no panic").insert(id.clone(), stop);
        }
        thread::spawn(move || {
            let found =
                run.tool("look_up", json!({"q": request.text}), || Ok::<_, &str>("found")).expect("runs");
            // Whoever is not waited for has no sender left, and that ends the wait.
            if stopped.recv().is_ok() {
                run.fail("cancelled").expect("fails");
            } else {
                run.complete(json!({"answer": found, "data": request.data})).expect("completes");
            }
        });
        Ok(id)
    }

    fn cancel(&self, _: &Tenant, plan: &PlanId) -> planbus::Result<()> {
        match self.waiting.lock().expect("no panic").remove(plan) {
            Some(stop) => stop.send(()).map_err(|_| Error::new(ErrorKind::NotFound, "it has just ended")),
            None => Err(Error::new(ErrorKind::NotFound, "it is not one of this agent's")),
        }
    }
}
