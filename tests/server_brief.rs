//! Events in brief, and what is left out of a list: what a page in a browser asks for.

#![cfg(feature = "server")]

mod server_support;

use planbus::Event;
use serde_json::{Value, json};
use server_support::{
    Live, agent,
    listed::{found, refused},
    socket::Socket,
    wait_until,
};

/// The payload of an event of which a list need not show all.
fn large(at: u64) -> String {
    let result = "a line of the file\\n".repeat(1_000);
    format!(
        r#"{{"call_id":"call-{at}","ok":true,"duration_us":{at}.50,"result":"{result}","list":[{result:?}]}}"#
    )
}

/// What is sent of it in brief.
fn brief(at: u64) -> Value {
    let begun: String = "a line of the file\n".repeat(1_000).chars().take(256).collect();
    json!({"call_id": format!("call-{at}"), "ok": true, "duration_us": at as f64 + 0.5, "result": begun + "…"})
}

#[test]
fn an_event_in_brief_is_the_same_wherever_it_is_asked_for() {
    let live = Live::start();
    let mut stream = live.follow("/events/stream?format=brief");
    let mut socket = Socket::open(&live, "/events/ws?format=brief", &[]).expect("a WebSocket");
    let id = live.bus.publish(Event::raw("plan", "ToolCompleted", large(1))).expect("publishes").event_id;
    live.note("plan", 2);
    let (status, event) = live.get(&format!("/events/{id}?format=brief"));
    assert_eq!(
        (status, &event["payload"], &event["payload_bytes"]),
        (200, &brief(1), &json!(large(1).len()))
    );
    let text = agent().get(live.url(&format!("/events/{id}?format=brief"))).call().expect("an answer");
    let text = text.into_body().read_to_string().expect("a body");
    assert!(text.contains(r#""ok":true,"duration_us":1.50,"result":"#), "as it was written: {text}");
    let (_, small) = live.get("/events?format=brief&after=1");
    let (_, plain) = live.get("/events?after=1");
    assert_eq!(small, plain, "nothing is cut off what is small");
    assert_eq!(plain["events"][0].get("payload_bytes"), None);
    assert_eq!(live.get("/events?format=brief").1["events"], json!([event, plain["events"][0]]));
    assert_eq!(live.get("/plans/plan/events?format=brief&limit=1").1["events"], json!([event]));
    let told = stream.message();
    assert_eq!((told.json(), told.event), (event.clone(), None), "a page hears what has no name of its own");
    assert_eq!(stream.message().json(), plain["events"][0]);
    assert_eq!(socket.next().expect("a message")["data"], event);
    let whole = live.follow("/plans/plan/events/stream").message().json();
    assert_eq!(whole["payload"], serde_json::from_str::<Value>(&large(1)).expect("JSON"));
    assert_eq!(live.get("/events?format=cloudevents").1["events"][0]["specversion"], "1.0");
}

#[test]
fn p10_what_is_excluded_is_left_out_of_the_tenants_events_and_nothing_else_is() {
    let live = Live::with(|server| server.search());
    let publish = |event: Event| {
        live.bus.publish(event).expect("publishes");
    };
    publish(Event::untyped("plan", "note", json!({"text": "100% noise"})).with_source("planner"));
    publish(Event::untyped("plan", "note", json!({"text": "a needle"})));
    publish(Event::untyped("plan", "noise.made", json!({"text": "a needle"})).with_source("planner"));
    publish(Event::untyped("plan", "note", json!({"text": "a needle"})).with_source("noise"));
    publish(Event::untyped("plan", "note", json!({"text": "Noise, and a needle"})));
    publish(Event::untyped("plan", "note", json!({"text": "a needle"})).with_tenant("acme"));
    wait_until("the index has read the log", || live.get("/events?q=needle&limit=1").1["indexed_seq"] == 6);
    let finds = |path: &str, wanted: &[u64]| assert_eq!(found(&live, path), wanted, "{path}");
    finds("/events?exclude=noise", &[2, 5]);
    finds("/events?exclude=noise&order=desc&limit=1", &[5, 2]);
    finds("/plans/plan/events?exclude=needle", &[1]);
    finds("/events?exclude=100%25", &[2, 3, 4, 5]);
    finds("/events?text=needle&exclude=noise", &[2, 5]);
    finds("/events?text=noise&exclude=noise", &[]);
    finds("/events?exclude='%20OR%201=1%20--", &[1, 2, 3, 4, 5]);
    finds("/events?exclude=noise&tenant=acme", &[6]);
    finds("/events?q=needle&exclude=noise", &[5, 2]);
    finds("/events?q=needle&exclude=noise&order=asc&limit=1&type=note", &[2, 5]);
    finds("/events?q=needle&exclude=noise&tenant=acme", &[6]);
}

#[test]
fn p11_what_is_wrong_with_a_form_or_a_text_is_told_by_name() {
    let live = Live::with(|server| server.search());
    let plan = live.note("plan", 1);
    let id = live.get(&format!("/events?limit={plan}")).1["events"][0]["event_id"].clone();
    let long = "x".repeat(1_025);
    let one = format!("/events/{}", id.as_str().expect("an id"));
    for (path, told) in [
        ("/events?format=short", "format: must be plain, brief or cloudevents"),
        ("/events?format=a2a", "format: must be plain, brief or cloudevents"),
        ("/events?q=x&format=a2a", "format: must be plain, brief or cloudevents"),
        (&format!("{one}?format=Brief"), "format: must be plain, brief or cloudevents"),
        ("/plans/plan/events?format=brief&format=plain", "format: is given twice"),
        ("/events/stream?format=short", "format: must be plain, brief, cloudevents or a2a"),
        (&format!("/events?exclude={long}"), "exclude: must be 1 to 1024 bytes, got 1025"),
        (&format!("/events?q=x&exclude={long}"), "exclude: must be 1 to 1024 bytes, got 1025"),
        (&format!("/events?q={long}"), "q: must be 1 to 1024 bytes, got 1025"),
        ("/events/stream?exclude=x", "exclude: is not a parameter of this request"),
        (&format!("{one}?exclude=x"), "exclude: is not a parameter of this request"),
    ] {
        assert_eq!(refused(&live, path), (400, told.to_owned()), "{path}");
    }
}
