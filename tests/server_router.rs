//! The server's routes in an axum application of somebody else's, which runs and serves them itself.

#![cfg(feature = "server")]

mod server_support;

use std::{net::SocketAddr, time::Duration};

use planbus::{
    server::{AccessToken, Server, ServerBuilder, axum},
    *,
};
use serde_json::json;
use server_support::{
    guarded::{ACME, CI, bearer},
    wire::ask,
    *,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

/// An application of one's own: planbus beside a page of its own.
struct Application {
    bus: EventBus,
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
    runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl Application {
    fn start(options: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        Self::start_under("", options)
    }

    /// With the routes of planbus under a path of the application's.
    fn start_under(path: &str, options: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        let bus = EventBus::builder().store(store).build().expect("a bus");
        let runtime = Runtime::new().expect("a runtime");
        let router = {
            let _inside = runtime.enter();
            options(Server::builder(&bus)).into_axum_router().expect("a router")
        };
        let own = axum::Router::new().route("/own", axum::routing::get(async || "own"));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("listens");
        let addr = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let all = if path.is_empty() { own.merge(router) } else { own.nest(path, router) };
        let serve = axum::serve(listener, all).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let served = runtime.spawn(async move { serve.await.expect("serves") });
        Self { bus, addr, stop: Some(stop), served, runtime, _dir: dir }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn note(&self, at: u64) {
        self.bus.publish(Event::untyped("plan", "note", json!({"at": at}))).expect("publishes");
    }

    fn status(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        let request = headers
            .iter()
            .fold(agent().get(self.url(path)), |request, (name, value)| request.header(*name, *value));
        request.call().expect("an answer").status().as_u16()
    }
}

#[test]
fn an_application_of_ones_own_serves_the_routes_and_its_streams_end_with_the_bus() {
    let mut application = Application::start(|server| server);
    application.note(1);
    assert_eq!((application.status("/own", &[]), application.status("/readyz", &[])), (200, 200));
    assert_eq!(application.status("/events", &[]), 200);
    let mut stream = Sse::open(&application.url("/events/stream?after=0"), &[]).expect("a stream");
    let url = format!("ws://{}/events/ws?after=0", application.addr);
    let (mut socket, _) = tungstenite::connect(url).expect("a WebSocket");
    application.note(2);
    assert_eq!(stream.seqs(2), [1, 2]);
    for at in 1..=2 {
        let text = socket.read().expect("a message").into_text().expect("text");
        assert!(text.contains(&format!(r#""id":"{at}""#)), "{text}");
    }
    // An application that stops closes the bus: what was published is still sent, then streams end.
    application.note(3);
    application.bus.close();
    assert_eq!(stream.seqs(1), [3]);
    assert!(stream.next().is_none() && stream.cut.is_none());
    let told: Vec<_> = std::iter::from_fn(|| socket.read().ok()).collect();
    assert!(matches!(&told[..], [event, end] if event.is_text() && end.is_close()), "{told:?}");
    application.stop.take().expect("once").send(()).expect("is served");
    application.runtime.block_on(application.served).expect("ends, since no stream is left");
}

#[test]
fn p10_tokens_and_names_count_in_an_application_of_ones_own_too() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let application = Application::start(|server| {
        server.token(AccessToken::new("ops", SECRET).tenants(["default"])).allow_host("127.0.0.1")
    });
    application.note(1);
    let bearer = format!("Bearer {SECRET}");
    let bearer = ("Authorization", bearer.as_str());
    assert_eq!((application.status("/events", &[]), application.status("/events", &[bearer])), (401, 200));
    assert_eq!(application.status("/events?tenant=another", &[bearer]), 403);
    assert_eq!(application.status("/events", &[bearer, ("Host", "rebound.example.org")]), 421);
    let mut stream = Sse::open(&application.url("/events/stream?after=0"), &[bearer]).expect("a stream");
    assert_eq!(stream.seqs(1), [1]);
}

#[test]
fn a_websocket_of_an_application_that_limits_nothing_is_cut_when_nobody_reads_it() {
    const TEXT_BYTES: usize = 1 << 20;
    /// More than the system keeps for a client on its own.
    const EVENTS: usize = 24;
    let application = Application::start(|server| server.slow_client(Duration::from_millis(200)));
    let text = "x".repeat(TEXT_BYTES);
    for at in 0..EVENTS {
        let event = Event::untyped("plan", "note", json!({"at": at, "text": text}));
        application.bus.publish(event).expect("publishes");
    }
    let url = format!("ws://{}/events/ws?after=0", application.addr);
    let (socket, _) = tungstenite::connect(url).expect("a WebSocket");
    wait_until("it is cut, and counted as slow", || {
        let mut page = agent().get(application.url("/metrics")).call().expect("an answer");
        let page = page.body_mut().read_to_string().expect("a body");
        page.contains("planbus_clients_cut_total{reason=\"slow\"} 1\n")
    });
    drop(socket);
}

#[test]
fn an_application_serves_the_routes_under_a_path_of_its_own() {
    let application = Application::start_under("/bus", |builder| builder);
    let publish = |event| application.bus.publish(event).expect("publishes");
    publish(Event::new("plan", PlanStarted::new("a goal")));
    let mut stream = Sse::open(&application.url("/bus/plans/plan/events/stream"), &[]).expect("a stream");
    assert_eq!(stream.message().seq(), 1);
    publish(Event::new("plan", PlanCompleted::new()));
    assert_eq!(stream.message().seq(), 2);
    assert!(stream.next().is_none() && stream.cut.is_none(), "it ends with the plan");
    assert_eq!(application.status("/own", &[]), 200);
    assert_eq!(application.status("/bus/plans/plan", &[]), 200);
    let page = ask(application.addr, "GET /bus/events?limit=1", &[], "");
    assert!(page.body.contains(r#""next":"/bus/events?limit=1&after=1""#), "{}", page.body);
    let task = ask(application.addr, "GET /bus/a2a/v1/tasks/plan", &[("A2A-Version", "1.0")], "");
    assert_eq!(task.status, 200, "{task:?}");
    let page = ask(application.addr, "GET /bus", &[("Accept", "text/html")], "");
    assert!(page.body.contains(r#"<base href="/bus/">"#), "its files are found from there: {page:?}");
    assert_eq!(application.status("/bus/assets/app.js", &[]), 200);
    assert_eq!(application.status("/bus/nothing", &[]), 404);
    assert_eq!(application.status("/bus/events", &[("Origin", "http://evil.example")]), 403);
    assert_eq!(application.status("/bus/events", &[("Host", "evil.example")]), 421);
}

#[test]
fn p10_tokens_mean_the_same_under_another_applications_paths() {
    let application = Application::start_under("/bus", |builder| {
        let builder = builder.token(AccessToken::new("ci", CI));
        builder.token(AccessToken::new("acme", ACME).tenants(["acme"]))
    });
    let (ci, acme) = (bearer(CI), bearer(ACME));
    let status = |path: &str, bearer: &str| application.status(path, &[("Authorization", bearer)]);
    assert_eq!(application.status("/own", &[]), 200, "what is not ours is not guarded");
    for path in ["/bus/events", "/bus/metrics", "/bus/nothing", "/bus/events/stream"] {
        assert_eq!(application.status(path, &[]), 401, "{path}");
    }
    for path in ["/bus/healthz", "/bus/readyz", "/bus/.well-known/agent-card.json"] {
        assert_eq!(application.status(path, &[]), 200, "{path} is for strangers too");
    }
    assert_eq!((status("/bus/metrics", &ci), status("/bus/metrics", &acme)), (200, 403));
    assert_eq!(status("/bus/events?tenant=default", &acme), 403);
    assert_eq!(status("/bus/%6Detrics", &acme), 404, "no other spelling leads there");
}

#[test]
fn a_router_is_made_inside_a_runtime() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    let refused = Server::builder(&bus).into_axum_router().expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}
