//! Input that means harm: sizes that cost time, depths that cost the stack, lists that came out empty.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use planbus::*;
use serde_json::{Value, json};

fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

/// A value nested so deep that recursion over it would end the process.
fn abyss() -> Value {
    (0..200_000).fold(Value::Null, |inner, _| json_in(inner))
}

fn json_in(inner: Value) -> Value {
    Value::Array(vec![inner])
}

/// In memory a typed payload is not written until somebody asks for its JSON.
fn refused_as_too_deep(event: Event) {
    let asked = bus().publish(event.clone()).and_then(|_| event.payload_json().map(drop));
    let error = asked.expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "payload: must be nested at most 64 deep");
}

fn time_to_check(text: &str) -> Duration {
    let text = text.to_owned();
    let begun = Instant::now();
    assert!(Event::raw("p", "t", text).payload_json().is_ok());
    begun.elapsed()
}

/// Four times the text may take four times as long; sixteen times is what quadratic work takes.
/// The least times of ever more tries are compared, so that a busy machine does not count.
fn assert_linear(text_of: impl Fn(usize) -> String) {
    const KEYS: usize = 6_000;
    const TRIES_MIN: usize = 5;
    const TRIES_MAX: usize = 50;
    let texts = [text_of(KEYS), text_of(4 * KEYS)];
    let [mut short, mut long] = [Duration::MAX; 2];
    for tries in 1..=TRIES_MAX {
        short = short.min(time_to_check(&texts[0]));
        long = long.min(time_to_check(&texts[1]));
        if tries >= TRIES_MIN && long < 9 * short {
            return;
        }
    }
    panic!("{short:?}, and {long:?} for four times the text");
}

/// `"\n0":0,"\n1":0,` and so on.
fn escaped_keys(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, at| {
        write!(text, "\"\\n{at}\":0,").expect("writes to a string");
        text
    })
}

#[test]
fn p11_escaped_keys_are_checked_in_linear_time() {
    assert_linear(|keys| format!("{{{}\"last\":0}}", escaped_keys(keys)));
}

#[test]
fn p11_brackets_behind_escaped_keys_are_checked_in_linear_time() {
    assert_linear(|keys| format!("{{{}\"last\":[{}[]]}}", escaped_keys(keys), "[],".repeat(5 * keys)));
}

#[test]
fn p11_keys_are_compared_by_what_they_spell_and_lone_surrogates_by_how_they_are_written() {
    for twice in [
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"\n":1,"\u000a":2}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
        r#"{"\ud800":1,"\ud800":2}"#,
        r#"{"x":[{"\n":[],"\n":{}}]}"#,
    ] {
        let error = bus().publish(Event::raw("p", "t", twice)).expect_err(twice).to_string();
        assert!(error.contains("twice"), "{twice}: {error}");
    }
    for once in [r#"{"\ud800":1,"\\ud800":2,"\ud801":3}"#, r#"{"\n":{"\n":[{"\n":1},{"\n":1}]},"n":1}"#] {
        assert_eq!(Event::raw("p", "t", once).payload_json().expect(once), once);
    }
}

#[test]
fn p11_a_deep_value_in_a_payload_can_be_cloned_compared_printed_and_replaced() {
    let call = ToolCalled::new("c", "t", abyss());
    assert_eq!(call.clone(), call);
    assert!(!format!("{call:?} {}", call.arguments).is_empty());
    refused_as_too_deep(Event::new("p", call));
    let replaced = PlanStarted::new("g").with("x", abyss()).with("x", 1);
    bus().publish(Event::new("p", replaced)).expect("the deep value is gone");
    let started = PlanStarted::new("g").with("x", abyss());
    assert_eq!(started.clone(), started);
    refused_as_too_deep(Event::new("p", started));
}

#[test]
fn p11_a_deep_value_is_refused_when_redaction_has_changed_the_payload_that_holds_it() {
    let redacting = EventBus::builder().in_memory().redact(|draft| {
        draft.payload_mut::<ToolCalled>()?.tool = "x".into();
        Ok(())
    });
    let bus = redacting.build().expect("a bus");
    let rx = bus.channel(Filter::all(), Default::default()).expect("a channel");
    bus.publish(Event::new("p", ToolCalled::new("c", "t", abyss()))).expect("no JSON is asked for");
    let event = rx.try_recv().expect("open").expect("the event");
    assert_eq!(event.payload::<ToolCalled>().expect("a call").tool, "x");
    refused_as_too_deep(event);
}

#[test]
fn p11_arguments_of_64_levels_less_the_payloads_own_are_kept_whole() {
    let nested = |levels: usize| (0..levels).fold(json!("core"), |inner, _| json_in(inner));
    let event = Event::new("p", ToolCalled::new("c", "t", nested(63)).with("x", nested(63)));
    let text = event.payload_json().expect("63 levels and the payload");
    assert_eq!(text.matches("\"core\"").count(), 2, "{text}");
    refused_as_too_deep(Event::new("p", ToolCalled::new("c", "t", nested(64))));
    refused_as_too_deep(Event::new("p", PlanStarted::new("g").with("x", nested(64))));
    let untyped = |levels: usize| Event::untyped("p", "t", json!({ "x": nested(levels) }));
    assert!(untyped(63).payload_json().expect("64 levels").contains("core"));
    refused_as_too_deep(untyped(64));
    // What was cut is one level too deep wherever it is put.
    refused_as_too_deep(Event::untyped("p", "t", Json::from(abyss()).into_inner()));
}

#[test]
fn fields_that_a_payload_does_not_name_are_set_and_taken_out_in_order() {
    let mut started = PlanStarted::new("g").with("a", 1).with("b", json!([2])).with("c", Json::from(3));
    assert_eq!(started.extra.insert("a", "one"), Some(json!(1)));
    assert_eq!(started.extra.remove("b"), Some(json!([2])));
    assert_eq!(started.extra.remove("b"), None);
    let text = Event::new("p", started.clone()).payload_json().expect("valid").to_owned();
    assert_eq!(text, r#"{"goal":"g","a":"one","c":3}"#);
    assert_eq!(Value::Object(started.extra.into_inner()), json!({"a": "one", "c": 3}));
}

#[test]
fn p11_an_events_json_that_is_refused_names_the_field() {
    let cases = [
        (r#""priority":5"#, "priority: must be low, normal, high or critical, got 5"),
        (r#""priority":"urgent""#, "priority: must be low, normal, high or critical, got \"urgent\""),
        (r#""priority":{"low":null}"#, "priority: must be low, normal, high or critical, got {\"low\":null}"),
        (r#""seq":-1"#, "seq: must be a whole number from 0 to 18446744073709551615, got -1"),
        (r#""schema_version":1.5"#, "schema_version: must be a whole number from 0 to 4294967295, got 1.5"),
        (
            r#""tenant":["a",
            "b"]"#,
            "tenant: must be a string, got [\"a\",             \"b\"]",
        ),
        (r#""foo":1"#, "foo: is not a field of an event"),
        (r#""fo\u006f":1"#, "foo: is not a field of an event"),
        (r#""source":"a","source":"a""#, "source: is given twice"),
        (
            r#""recorded_at":"x""#,
            "recorded_at: must be an RFC 3339 time with an offset, like 2026-03-01T09:30:00Z, got \"x\"",
        ),
        (r#""recorded_at":7"#, "recorded_at: must be a string, got 7"),
        (r#""call_chain":["","b"]"#, "call_chain: must be 1 to 256 bytes, got 0"),
        (r#""call_chain":["b",7]"#, "call_chain: must be a list of strings, got [\"b\",7]"),
        (r#""call_chain":[]"#, "call_chain: must not be empty when given"),
        (r#""context_refs":"x""#, "context_refs: must be a list of strings, got \"x\""),
        (r#""causation_id":"x""#, "causation_id: must be a ULID of 26 characters, got \"x\""),
        (r#""source":"\ud800""#, "source: must be a string, got \"\\ud800\""),
    ];
    for (field, told) in cases {
        let text = format!(r#"{{"event_type":"x","plan_id":"p",{field},"payload":{{}}}}"#);
        let error = Event::from_json(&text).expect_err(field);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, told));
    }
    for (text, told) in [
        (r#"{"event_type":"x","payload":{}}"#, "plan_id: is missing"),
        (r#"{"plan_id":"p","payload":{}}"#, "event_type: is missing"),
        (r#"{"plan_id":"p","event_type":"x"}"#, "payload: is missing"),
        (r#"{"plan_id":5,"event_type":"x","payload":{}}"#, "plan_id: must be a string, got 5"),
        (r#"{"plan_id":"p","event_type":"x","payload":[1]}"#, "payload: must be a JSON object, got \"[1]\""),
        ("[]", "event: is not a JSON object"),
        ("", "event: is not a JSON object"),
    ] {
        assert_eq!(Event::from_json(text).expect_err(text).to_string(), told);
    }
    let long = format!(r#"{{"plan_id":[{}1]}}"#, "1,".repeat(1 << 20));
    assert!(Event::from_json(&long).expect_err("a list").to_string().len() < 200);
}

#[test]
fn p11_absent_fields_of_an_events_json_may_be_null() {
    let text = r#"{"plan_id":"p","event_type":"x","seq":null,"source":null,"call_chain":null,"priority":null,
        "recorded_at":null,"payload":{"a":null}}"#;
    let event = Event::from_json(text).expect("readable");
    assert_eq!((event.seq(), event.source(), event.call_chain().len()), (None, None, 0));
    assert_eq!(event.payload_json().expect("JSON"), r#"{"a":null}"#);
}

#[test]
fn p11_publishers_too_are_told_the_field_that_they_gave_wrong() {
    let refused = |event: Event| bus().publish(event).expect_err("must be refused").to_string();
    let event = || Event::new("p", PlanStarted::new("g"));
    assert_eq!(
        refused(event().with_call_chain(["a", ""])),
        "call_chain: must be 1 to 256 bytes, got 0",
        "not the source"
    );
    assert!(refused(event().with_causation_id("x")).starts_with("causation_id: must be a ULID"));
}

#[test]
fn p11_an_event_id_of_more_than_128_bits_is_refused_instead_of_changed() {
    for (text, valid) in [
        ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", true),
        ("7zzzzzzzzzzzzzzzzzzzzzzzzz", true),
        ("01jz8q4v7n5t3m2k1h0g9f8e7d", true),
        ("80000000000000000000000000", false),
        ("ZZZZZZZZZZZZZZZZZZZZZZZZZZ", false),
        ("zzzzzzzzzzzzzzzzzzzzzzzzzz", false),
    ] {
        match text.parse::<EventId>() {
            Ok(id) => assert!(valid && id.to_string() == text.to_uppercase(), "{text}: {id}"),
            Err(error) => {
                assert!(!valid && error.to_string().starts_with("event_id: must be"), "{text}: {error}")
            }
        }
    }
}

#[test]
fn p11_masking_keeps_keys_as_they_are_written_and_finds_those_that_spell_no_text() {
    for (pointer, text, masked) in [
        ("/token", r#"{"\ud800":1,"token":2}"#, r#"{"\ud800":1,"token":"[redacted]"}"#),
        ("/token", r#"{"a\u0062":1,"\u0074oken":2}"#, r#"{"a\u0062":1,"\u0074oken":"[redacted]"}"#),
        (r"/\ud800", r#"{"\ud800":1,"token":2}"#, r#"{"\ud800":"[redacted]","token":2}"#),
        (r"/\ud800", r#"{"\ud800":1,"\\ud800":2}"#, r#"{"\ud800":1,"\\ud800":"[redacted]"}"#),
    ] {
        let redacting = EventBus::builder().in_memory().redact(move |draft| draft.mask(pointer).map(drop));
        let bus = redacting.build().expect("a bus");
        let rx = bus.channel(Filter::all(), Default::default()).expect("a channel");
        bus.publish(Event::raw("p", "t", text)).expect("publishes");
        assert_eq!(rx.recv().expect("the event").payload_json().expect("JSON"), masked, "{text}");
    }
}

#[test]
fn an_empty_list_of_types_is_refused_instead_of_wanting_everything() {
    let told = "types: must name at least one type";
    let empty = || Filter::all().types(Vec::<EventType>::new());
    let refused = |filter: Filter| {
        bus().subscribe(filter, |_: &Event| ()).map(drop).expect_err("an empty list").to_string()
    };
    assert_eq!(refused(empty()), told);
    assert_eq!(refused(empty().types(["PlanFailed"])), told);
    assert_eq!(refused(Filter::all().types(["a b"])), refused(Filter::all().types(["a b"]).types([""; 0])));
    bus().subscribe(Filter::all(), |_: &Event| ()).expect("every type, as nothing was said").detach();
}

#[cfg(feature = "sqlite")]
#[test]
fn an_empty_list_of_types_is_refused_by_a_query_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(dir.path().join("log.db")).expect("opens");
    let error = store.query(EventQuery::new().types(Vec::<EventType>::new())).expect_err("an empty list");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::InvalidInput, "types: must name at least one type")
    );
    assert!(store.query(EventQuery::new()).expect("every type").is_empty());
}

#[test]
fn every_pattern_that_there_is_gets_from_the_bus_what_it_matches() {
    for text in ["task", "task.*", "task.a.*", "task.a", "PlanStarted"] {
        let pattern: TypePattern = text.parse().expect(text);
        assert_eq!(format!("{pattern} {pattern:?}"), format!("{text} TypePattern({text})"));
        let bus = bus();
        let rx = bus.channel(Filter::all().types([pattern.clone()]), Default::default()).expect("a channel");
        for name in ["task", "task.a", "task.a.b", "tasks.a", "task_created", "PlanStarted", "PlanStarted.x"]
        {
            bus.publish(Event::untyped("p", name, json!({}))).expect("publishes");
            let event_type = EventType::new(name).expect(name);
            assert_eq!(rx.try_recv().expect("open").is_some(), pattern.matches(&event_type), "{text} {name}");
        }
    }
    for text in ["task*", "*", ".*", "ta sk.*", ""] {
        assert!(text.parse::<TypePattern>().is_err(), "{text}");
    }
}
