//! The page in a real browser, given texts that would do something if anything took them for more.

#![cfg(feature = "server")]

mod dashboard_support;
mod server_support;

use dashboard_support::Browser;
use planbus::{Event, EventBus, ToolError};
use serde_json::json;
use server_support::Live;

/// A text that is a script, an element, an address and the end of an attribute.
fn hostile(what: &str) -> String {
    format!(
        "{what}<script>globalThis.hacked=1;alert(1)</script><img src=x onerror=\"hacked=1;alert(2)\">\
         <svg onload=alert(3)></svg><a href=\"javascript:alert(4)\">{what}</a>\"'`--></style>${{alert(5)}}&lt;b&gt;"
    )
}

/// A run whose every text is hostile; where a field of the envelope is limited, as much as fits.
fn publish(bus: &EventBus, plan: &str) {
    let run = bus.plan(plan).source("agent<img src=//planbus.invalid/a onerror=alert(6)>");
    let run = run.start(json!({"goal": hostile("goal"), hostile("key"): hostile("value")})).expect("starts");
    run.decide(hostile("decision"), json!({"reason": hostile("reason"), "links": ["javascript:alert(7)"]}))
        .expect("decides");
    let failed = run.tool(&hostile("tool"), json!({"arguments": hostile("argument")}), || {
        Err::<(), _>(hostile("tool error"))
    });
    assert!(matches!(failed, Err(ToolError::Tool(_))));
    run.tool("__proto__", json!({"__proto__": {"hacked": 1}, "constructor": 1}), || {
        Ok::<_, String>("toString")
    })
    .expect("runs");
    for event_type in ["constructor", "toString", "hasOwnProperty", "valueOf", "then"] {
        bus.publish(Event::untyped(
            plan,
            event_type,
            json!({"type": event_type, "ok": "no", "duration_us": "x"}),
        ))
        .expect("publishes");
    }
    // Numbers where texts are, texts where numbers are, nothing where something is; half of a character.
    for (event_type, payload) in [
        ("PlanStarted", r#"{"goal": {"a": []}, "parent": 7}"#),
        ("DecisionMade", r#"{"decision": null, "reason": [1, 2]}"#),
        ("ToolCalled", r#"{"call_id": {}, "tool": false, "arguments": "text"}"#),
        ("ToolCompleted", r#"{"call_id": [], "ok": "maybe", "duration_us": -1e400, "error": {}}"#),
        ("SubplanSpawned", r#"{"subplan": 12}"#),
        ("SubplanSpawned", r#"{"subplan": "half \ud800", "goal": "half of a name"}"#),
        ("SubplanCompleted", r#"{"subplan": "", "ok": null}"#),
        ("note", r#"{"half": "\ud800", "turned": "\u202e\u200b\u0000", "n": 9007199254740993}"#),
    ] {
        bus.publish(Event::raw(plan, event_type, payload)).expect("publishes");
    }
    run.fail(hostile("error")).expect("fails");
}

/// A text as a part of the URL behind `#`.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn p11_texts_of_events_are_shown_as_text_on_every_view_and_do_nothing() {
    let live = Live::start();
    // In a path of a page such an id is more than a name.
    let plan = format!("a/../b?c#d&e=%2F {}", hostile("plan"));
    for name in ["__proto__", "constructor", "..", ".", "%", "a\"b", "🦀".repeat(64).as_str()] {
        publish(&live.bus, name);
    }
    publish(&live.bus, &plan);
    let half = r#"{"goal": "half \ud800 of a goal", "parent": "half \udc00 of a name"}"#;
    live.bus.publish(Event::raw("half", "PlanStarted", half)).expect("publishes");
    let store = live.bus.store().expect("a store");
    let seqs: Vec<_> =
        store.list_by_plan(plan.as_str(), None).expect("reads").iter().filter_map(Event::seq).collect();
    let view = |hash: String, texts: &[&str]| json!({"hash": hash, "texts": texts});
    let of_plan = |more: &str| format!("#/plans/{}{more}", encoded(&plan));
    let mut views = vec![
        view("#/plans".to_owned(), &["goal<script>globalThis.hacked=1", "error<script>"]),
        view("#/events".to_owned(), &["PlanFailed", "constructor", "plan<script>"]),
        view("#/health".to_owned(), &["Log"]),
        view(of_plan(""), &["goal<script>", "decision<script>", "tool<script>", "tool error<script>"]),
        view(of_plan("?view=timeline"), &["goal<script>"]),
        view(of_plan("?view=log"), &["reason<script>", "PlanFailed"]),
    ];
    views.extend(seqs.iter().map(|seq| view(of_plan(&format!("?view=log&event={seq}")), &["Copy event"])));
    views.extend(
        ["__proto__", "constructor", "..", ".", "%", "half"]
            .map(|id| view(format!("#/plans/{}", encoded(id)), &["half"])),
    );
    views.push(view(format!("#/plans/{}", encoded("🦀🦀")), &["has not begun"]));
    views.push(view(format!("#/events?text={}", encoded(&hostile("x"))), &["No event is like this"]));
    let Some(mut page) = Browser::start_with("hostile.mjs", &live.server.url(), &json!({"views": views}))
    else {
        return;
    };
    page.reach("read");
    publish(&live.bus, &plan);
    publish(&live.bus, "another");
    page.finish();
}

#[test]
fn p11_the_browser_itself_takes_no_text_for_a_script_and_shows_the_page_in_no_other() {
    let live = Live::start();
    let Some(page) = Browser::start("policy.mjs", &live.server.url()) else { return };
    page.finish();
}
