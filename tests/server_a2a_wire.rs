//! A2A byte by byte: what the client of its makers hides, or never sends.

#![cfg(feature = "server")]

mod server_support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use planbus::{
    server::{PlanExecutor, PlanRequest},
    *,
};
use serde_json::{Value, json};
use server_support::*;
use ureq::http::Response;

const V1: (&str, &str) = ("A2A-Version", "1.0");
const V03: (&str, &str) = ("A2A-Version", "0.3");

fn post(live: &Live, path: &str, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let request = agent().post(live.url(path));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    text(request.send(body).expect("an answer"))
}

fn get(live: &Live, path: &str, headers: &[(&str, &str)]) -> Response<String> {
    let request = agent().get(live.url(path));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    text(request.call().expect("an answer"))
}

fn text(mut response: Response<ureq::Body>) -> Response<String> {
    let text = response.body_mut().read_to_string().expect("a body");
    Response::from_parts(response.into_parts().0, text)
}

/// The answer to a request of JSON-RPC.
fn rpc(live: &Live, version: (&str, &str), method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
    let answer = post(live, "/a2a", &[version], &body);
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
    let answer: Value = serde_json::from_str(answer.body()).expect("JSON");
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)), "{answer}");
    answer
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What went wrong over JSON-RPC: its code and its reason.
fn fault(answer: &Value) -> (i64, String) {
    let error = &answer["error"];
    let reason = error["data"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(error["data"][0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{answer}");
    (error["code"].as_i64().unwrap_or_default(), reason)
}

/// A plan that was run to its end: seqs 1 to 4, and a note of another plan before the last.
fn ended(live: &Live) {
    let run = live.bus.plan("p").start(json!({"goal": "g"})).expect("starts");
    run.tool("read", json!({}), || Ok::<_, &str>("text")).expect("runs");
    live.note("another", 1);
    run.complete(json!({"answer": 42})).expect("completes");
}

fn replay(live: &Live, version: (&str, &str), method: &str, after: &str) -> Vec<Message> {
    let body = json!({"jsonrpc": "2.0", "id": "u2", "method": method, "params": {"id": "p"}}).to_string();
    let answer = post(live, "/a2a", &[version, ("Last-Event-ID", after)], &body);
    assert_eq!(header(&answer, "content-type"), "text/event-stream", "{}", answer.body());
    messages(answer.body())
}

/// The messages of a stream that has ended.
fn messages(body: &str) -> Vec<Message> {
    let blocks = body.split("\n\n").filter(|block| block.contains("data: "));
    let message = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Message { id: field("id: "), event: field("event: "), data: field("data: ").expect("data") }
    };
    blocks.map(message).collect()
}

#[test]
fn a_stream_is_the_task_and_then_each_event_with_its_id_on_its_last_message() {
    let live = Live::start();
    ended(&live);
    let id = |id: &str| Some(id.to_owned());
    let told = replay(&live, V1, "SubscribeToTask", "2");
    let heads: Vec<_> = told.iter().map(|message| (message.id.clone(), message.event.as_deref())).collect();
    let expected = [
        (None, Some("Task")),
        (id("3"), Some("ToolCompleted")),
        (None, Some("PlanCompleted")),
        (id("5"), Some("PlanCompleted")),
    ];
    assert_eq!(heads, expected);
    assert!(told.iter().all(|message| message.data.starts_with(r#"{"jsonrpc":"2.0","id":"u2","result":{"#)));
    let result = |at: usize| told[at].json()["result"].clone();
    assert_eq!(result(0)["task"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(result(1)["statusUpdate"]["metadata"]["sequence"], "3");
    assert_eq!(result(2)["artifactUpdate"]["artifact"]["parts"], json!([{"data": {"answer": 42}}]));
    assert_eq!(result(3)["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
    // The same from an event's id, and over HTTP+JSON without the wrapping.
    let event_id = result(1)["statusUpdate"]["metadata"]["eventId"].as_str().expect("an id").to_owned();
    assert_eq!(replay(&live, V1, "SubscribeToTask", &event_id)[1..], told[2..]);
    for method in ["GET", "POST"] {
        let headers = [V1, ("Last-Event-ID", "2")];
        let answer = match method {
            "GET" => get(&live, "/a2a/v1/tasks/p:subscribe", &headers),
            _ => post(&live, "/a2a/v1/tasks/p:subscribe", &headers, ""),
        };
        let bare: Vec<Value> = messages(answer.body()).iter().map(Message::json).collect();
        assert_eq!(bare, (0..4).map(result).collect::<Vec<_>>(), "{method}");
    }
}

#[test]
fn a_stream_of_0_3_says_what_each_message_is_and_which_is_the_last() {
    let live = Live::start();
    ended(&live);
    let told = replay(&live, V03, "tasks/resubscribe", "2");
    let kinds: Vec<_> = told.iter().map(|message| message.json()["result"]["kind"].clone()).collect();
    assert_eq!(kinds, ["task", "status-update", "artifact-update", "status-update"]);
    let last = told[3].json()["result"].clone();
    assert_eq!((&last["final"], &last["status"]["state"]), (&json!(true), &json!("completed")));
    assert_eq!(told[1].json()["result"]["final"], false);
}

#[test]
fn p11_what_is_no_request_is_refused_with_its_code_and_its_id() {
    let live = Live::start();
    let ask = |body: &str| -> Value {
        let answer = post(&live, "/a2a/", &[V1], body);
        assert_eq!(answer.status().as_u16(), 200);
        serde_json::from_str(answer.body()).expect("JSON")
    };
    for body in ["{", "", "[]", "7", r#"[{"jsonrpc":"2.0","id":1,"method":"GetTask"}]"#] {
        let answer = ask(body);
        assert!(matches!(fault(&answer).0, -32700 | -32600) && answer["id"].is_null(), "{body}: {answer}");
    }
    for (rest, code) in [
        (r#""method":"GetTask""#, -32600),
        (r#""jsonrpc":"2.0""#, -32600),
        (r#""jsonrpc":"2.0","method":"Nothing""#, -32601),
        (r#""jsonrpc":"2.0","method":"GetTask""#, -32602),
        (r#""jsonrpc":"2.0","method":"GetTask","params":["p"]"#, -32602),
        (r#""jsonrpc":"2.0","method":"GetTask","params":{"id":"p\u0000"}"#, -32602),
        (r#""jsonrpc":"2.0","method":"GetTask","params":{"id":"p"}"#, -32001),
        (r#""jsonrpc":"2.0","method":"SubscribeToTask","params":{"id":"p"}"#, -32001),
        (r#""jsonrpc":"2.0","method":"CreateTaskPushNotificationConfig","params":{}"#, -32003),
        (r#""jsonrpc":"2.0","method":"GetExtendedAgentCard","params":{}"#, -32004),
    ] {
        let answer = ask(&format!(r#"{{"id":"x",{rest}}}"#));
        assert_eq!((fault(&answer).0, &answer["id"]), (code, &json!("x")), "{rest}");
    }
    assert_eq!(fault(&ask(r#"{"jsonrpc":"2.0","id":[1],"method":"GetTask"}"#)).0, -32600);
    let silent = post(&live, "/a2a", &[V1], r#"{"jsonrpc":"2.0","method":"GetTask","params":{"id":"p"}}"#);
    assert_eq!((silent.status().as_u16(), silent.body().as_str()), (204, ""));
}

#[test]
fn p11_a_body_that_is_too_large_is_refused_before_it_is_read() {
    let live = Live::start();
    let mut socket = TcpStream::connect(live.server.addr()).expect("connects");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = "POST /a2a HTTP/1.1\r\nHost: 127.0.0.1\r\nA2A-Version: 1.0\r\n\
                Connection: close\r\nContent-Length: 6000000\r\n\r\n";
    socket.write_all(head.as_bytes()).expect("writes");
    let answer = BufReader::new(socket).lines().map_while(Result::ok).find(|line| line.starts_with('{'));
    let answer: Value = serde_json::from_str(&answer.expect("an answer")).expect("JSON");
    assert_eq!(fault(&answer).0, -32600);
}

#[test]
fn the_version_decides_which_methods_there_are_and_none_is_0_3() {
    let live = Live::start();
    ended(&live);
    let of = |version, method| rpc(&live, version, method, json!({"id": "p"}));
    assert_eq!(of(V1, "GetTask")["result"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(of(V03, "tasks/get")["result"]["status"]["state"], "completed");
    assert_eq!(of(("X", ""), "tasks/get")["result"]["kind"], "task");
    let wrong = |version, method| fault(&of(version, method));
    let unsupported = (-32009, "VERSION_NOT_SUPPORTED".to_owned());
    assert_eq!(wrong(("A2A-Version", "2.0"), "GetTask"), unsupported);
    assert_eq!(wrong(("X", ""), "GetTask"), unsupported);
    assert_eq!(wrong(V1, "tasks/get").0, -32601);
    assert_eq!(wrong(V03, "agent/getAuthenticatedExtendedCard").0, -32007);
    assert_eq!(wrong(V03, "tasks/pushNotificationConfig/list").0, -32003);
    assert_eq!(wrong(V1, "SubscribeToTask"), (-32004, "UNSUPPORTED_OPERATION".to_owned()));
}

#[test]
fn http_json_says_what_is_wrong_with_a_status_and_a_reason() {
    let live = Live::start();
    ended(&live);
    let found = get(&live, "/a2a/v1/tasks/p", &[V1]);
    assert_eq!((found.status().as_u16(), header(&found, "content-type")), (200, "application/a2a+json"));
    let by_parameter = get(&live, "/a2a/v1/tasks?A2A-Version=1.0&page_size=1", &[]);
    let page: Value = serde_json::from_str(by_parameter.body()).expect("JSON");
    assert_eq!((&page["totalSize"], &page["nextPageToken"]), (&json!(1), &json!("")));
    let cases = [
        ("/a2a/v1/tasks/nobody", V1, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
        ("/a2a/v1/tasks/p:subscribe", V1, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
        ("/a2a/v1/tasks/p", ("X", ""), 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
        ("/a2a/v1/tasks/p", V03, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
        ("/a2a/v1/tasks?pageSize=0", V1, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        ("/a2a/v1/tasks?pageToken=x", V1, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        ("/a2a/v1/tasks/p%00", V1, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        ("/a2a/v1/nothing", V1, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
        (
            "/a2a/v1/tasks/p/pushNotificationConfigs",
            V1,
            400,
            "FAILED_PRECONDITION",
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        ("/a2a/v1/extendedAgentCard", V1, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    ];
    for (path, version, code, status, reason) in cases {
        let answer = get(&live, path, &[version]);
        let error = serde_json::from_str::<Value>(answer.body()).expect("JSON")["error"].clone();
        assert_eq!(answer.status().as_u16(), code, "{path}");
        assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)), "{path}");
        assert_eq!(error["details"][0]["reason"], reason, "{path}");
    }
    let refused = post(&live, "/a2a/v1/message:send", &[V1], "{");
    assert_eq!(refused.status().as_u16(), 400);
    let refused = post(&live, "/a2a/v1/tasks/p:cancel", &[V1], "");
    assert!(refused.body().contains("TASK_NOT_CANCELABLE"), "{}", refused.body());
}

#[test]
fn p10_a_tenant_sees_its_own_tasks_only() {
    let live = Live::start();
    ended(&live);
    let theirs = live.bus.plan("p").tenant("acme").start(json!({"goal": "theirs"})).expect("starts");
    theirs.decide("secret", json!({})).expect("decides");
    live.bus
        .plan("q")
        .tenant("acme")
        .start(json!({}))
        .expect("starts")
        .complete(json!({}))
        .expect("completes");
    let goal = |params: Value| rpc(&live, V1, "GetTask", params)["result"]["metadata"]["goal"].clone();
    assert_eq!(goal(json!({"id": "p"})), "g");
    assert_eq!(goal(json!({"id": "p", "tenant": "acme"})), "theirs");
    assert_eq!(fault(&rpc(&live, V1, "GetTask", json!({"id": "q"}))).0, -32001);
    assert_eq!(rpc(&live, V1, "ListTasks", json!({}))["result"]["totalSize"], 1);
    assert_eq!(rpc(&live, V1, "ListTasks", json!({"tenant": "acme"}))["result"]["totalSize"], 2);
    let by_path = get(&live, "/a2a/v1/acme/tasks/p", &[V1]);
    assert!(by_path.body().contains("theirs"), "{}", by_path.body());
    let replayed = replay(&live, V1, "SubscribeToTask", "0");
    assert!(replayed.iter().all(|message| !message.data.contains("secret")));
    theirs.complete(json!({})).expect("completes");
}

#[test]
fn a_plan_that_was_started_again_is_followed_beyond_its_first_end() {
    let live = Live::start();
    ended(&live);
    let again = live.bus.plan("p").start(json!({})).expect("starts");
    again.fail("second time").expect("fails");
    let told = replay(&live, V1, "SubscribeToTask", "3");
    let types: Vec<_> =
        told.iter().filter(|message| message.id.is_some()).map(|message| message.event.clone()).collect();
    let expected = ["PlanCompleted", "PlanStarted", "PlanFailed"];
    assert_eq!(types, expected.map(|name| Some(name.to_owned())));
}

#[test]
fn p9_a_place_that_the_log_no_longer_holds_is_told_as_a_gap() {
    let live = Live::start();
    ended(&live);
    live.bus.store().expect("a store").prune(Retention::keep_last(2)).expect("prunes");
    let told = replay(&live, V1, "SubscribeToTask", "1");
    assert_eq!(told[1].event.as_deref(), Some("Gap"));
    let gap = told[1].json()["result"]["statusUpdate"]["metadata"].clone();
    assert_eq!(gap, json!({"gap": {"after": "1", "oldest": "4"}}));
    assert_eq!(told.last().and_then(|message| message.id.as_deref()), Some("5"));
    let far = replay(&live, V1, "SubscribeToTask", "999999");
    assert_eq!(far[1].event.as_deref(), Some("Gap"), "a place that no log has is not taken for the end");
}

#[test]
fn an_event_of_the_type_error_ends_no_stream() {
    let live = Live::start();
    live.bus.publish(Event::untyped("p", "error", json!({}))).expect("publishes");
    live.bus.publish(Event::new("p", PlanCompleted::new())).expect("publishes");
    let told = replay(&live, V1, "SubscribeToTask", "0");
    assert_eq!((told[1].event.as_deref(), told[1].id.as_deref()), (None, Some("1")));
    assert_eq!(told[1].json()["result"]["statusUpdate"]["metadata"]["eventType"], "error");
}

#[test]
fn server_sent_events_of_our_own_can_speak_as_a2a_does() {
    let live = Live::start();
    ended(&live);
    let told: Vec<Message> = live.follow("/plans/p/events/stream?format=a2a&after=3").collect();
    let bare: Vec<Value> = told.iter().map(Message::json).collect();
    let replayed = replay(&live, V1, "SubscribeToTask", "3");
    assert_eq!(
        bare,
        replayed[1..].iter().map(|message| message.json()["result"].clone()).collect::<Vec<_>>()
    );
    assert_eq!((told[0].id.as_deref(), told[1].id.as_deref()), (None, Some("5")));
}

/// An executor that does what none should.
struct Unruly;

impl PlanExecutor for Unruly {
    fn start(&self, request: PlanRequest) -> Result<PlanId> {
        match request.text.as_str() {
            "panic" => panic!("as it was asked to"),
            "lie" => PlanId::try_from("a plan that was never started"),
            "done" => PlanId::try_from("done"),
            _ => Err(Error::new(ErrorKind::Storage, "secret: /srv/agent.db")),
        }
    }

    fn cancel(&self, _: &Tenant, _: &PlanId) -> Result<()> {
        panic!("as it was asked to")
    }
}

#[test]
fn p11_an_executor_that_panics_or_lies_takes_no_server_with_it() {
    let live = Live::with(|builder| builder.executor(Unruly));
    let send = |text: &str| {
        let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]});
        rpc(
            &live,
            V1,
            "SendMessage",
            json!({"message": message, "configuration": {"returnImmediately": true}}),
        )
    };
    assert_eq!(fault(&send("panic")).0, -32603);
    assert_eq!(fault(&send("lie")).0, -32001);
    let told = send("fail");
    assert_eq!(fault(&told).0, -32603);
    assert!(!told.to_string().contains("secret"), "{told}");
    let run = live.bus.plan("p").start(json!({})).expect("starts");
    assert_eq!(fault(&rpc(&live, V1, "CancelTask", json!({"id": "p"}))).0, -32603);
    run.complete(json!({})).expect("completes");
    assert_eq!(
        rpc(&live, V1, "GetTask", json!({"id": "p"}))["result"]["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[test]
fn p11_a_page_of_tasks_ends_for_what_they_say_and_no_task_is_left_out() {
    let live = Live::start();
    let goal = "g".repeat(3_000_000);
    for plan in ["a", "b", "c", "d"] {
        live.bus.publish(Event::new(plan, PlanStarted::new(goal.clone()))).expect("publishes");
    }
    let (mut seen, mut token) = (Vec::new(), json!(""));
    loop {
        let page = rpc(&live, V1, "ListTasks", json!({"pageSize": 100, "pageToken": token}))["result"].take();
        let tasks = page["tasks"].as_array().expect("tasks").clone();
        assert!(tasks.len() <= 3 && page["totalSize"] == 4, "{}", tasks.len());
        seen.extend(tasks.iter().map(|task| task["id"].as_str().expect("an id").to_owned()));
        token = page["nextPageToken"].clone();
        if token == "" {
            break;
        }
    }
    assert_eq!(seen, ["d", "c", "b", "a"]);
}

#[test]
fn a_message_that_brings_about_nothing_new_is_answered_at_once() {
    let live = Live::with(|builder| builder.executor(Unruly));
    let run = live.bus.plan("done").start(json!({})).expect("starts");
    run.complete(json!({"words": 3})).expect("completes");
    live.note("another", 1);
    let message =
        |text: &str| json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}});
    // Both are to be waited for: no end will come, within the patience of a client.
    let done = rpc(&live, V1, "SendMessage", message("done"));
    let task = &done["result"]["task"];
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{done}");
    assert_eq!(task["artifacts"][0]["parts"][0]["data"], json!({"words": 3}), "{done}");
    assert_eq!(fault(&rpc(&live, V1, "SendMessage", message("lie"))).0, -32001);
}
