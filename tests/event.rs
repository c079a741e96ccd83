//! What an event keeps, what it refuses, and how it is written: P11 and the envelope of EVENTS.md.

use planbus::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

/// The error that publishing gives.
fn refused(event: Event) -> Error {
    bus().publish(event).expect_err("must be refused")
}

#[test]
fn p11_any_json_object_comes_back_as_it_went_in() {
    for text in [
        r#"{}"#,
        r#"{"z":1,"a":2,"m":{"y":1,"b":2}}"#,
        r#"{"big":123456789012345678901234567890,"small":-0.0,"exp":1e999,"precise":0.1000000000000000055511151231257827}"#,
        r#"{"nul":"a\u0000b","lone":"\ud800","slash":"\/","line":"\u2028"}"#,
        r#"{"": "", " spaced " :  [ 1 , 2 ]}"#,
        "{\"tab\":\t1}",
    ] {
        let event = Event::raw("plan", "ToolCalled", text);
        assert_eq!(event.payload_json().expect("valid"), text);
        let back = Event::from_json(&event.to_json().expect("writable")).expect("readable");
        assert_eq!(back, event, "{text}");
        assert_eq!(back.payload_json().expect("valid"), text);
    }
}

#[test]
fn p11_line_breaks_between_tokens_become_spaces_so_that_an_event_is_one_line() {
    let event = Event::raw("plan", "note", "{\r\n \"a\": \"x\\n\"\n}");
    assert_eq!(event.payload_json().expect("valid"), "{   \"a\": \"x\\n\" }");
    assert!(!event.to_json().expect("writable").contains('\n'));
}

#[test]
fn p11_every_wrong_field_is_refused_with_its_name() {
    let started = || PlanStarted::new("goal");
    let long = "x".repeat(257);
    let cases: Vec<(&str, Event)> = vec![
        ("plan_id", Event::new("", started())),
        ("plan_id", Event::new("a\nb", started())),
        ("plan_id", Event::new("nul\0", started())),
        ("plan_id", Event::new(long.as_str(), started())),
        ("event_type", Event::untyped("p", "no spaces", json!({}))),
        ("event_type", Event::untyped("p", ".dot", json!({}))),
        ("event_type", Event::untyped("p", "", json!({}))),
        ("event_type", Event::untyped("p", "a".repeat(65).as_str(), json!({}))),
        ("payload", Event::untyped("p", "t", json!([1]))),
        ("payload", Event::untyped("p", "t", json!("text"))),
        ("payload", Event::raw("p", "t", "{")),
        ("payload", Event::raw("p", "t", "{} {}")),
        ("payload", Event::raw("p", "t", "{\"a\":\"\n\"}")),
        ("payload", Event::raw("p", "t", r#"{"a":1,"a":2}"#)),
        ("payload", Event::raw("p", "t", r#"{"a":1,"b":{"x":1,"\u0078":2}}"#)),
        ("payload", Event::raw("p", "t", r#"{"a":[{"k":1},{"k":1,"k":1}]}"#)),
        ("tenant", Event::new("p", started()).with_tenant("%")),
        ("tenant", Event::new("p", started()).with_tenant("a b")),
        ("source", Event::new("p", started()).with_source("")),
        ("correlation_id", Event::new("p", started()).with_correlation_id("\u{7f}")),
        ("event_id", Event::new("p", started()).with_event_id("not-a-ulid")),
        ("timestamp", Event::new("p", started()).with_timestamp("yesterday")),
        ("trace_parent", Event::new("p", started()).with_trace_parent("00-0-0-0")),
        ("call_chain", Event::new("p", started()).with_call_chain(Vec::<String>::new())),
        ("call_chain", Event::new("p", started()).with_source("me").with_call_chain(["other"])),
        ("context_refs", Event::new("p", started()).with_context_ref("")),
    ];
    for (field, event) in cases {
        let error = refused(event);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{field}: {error}");
        assert!(error.to_string().starts_with(field), "{field}: {error}");
    }
}

#[test]
fn p11_the_first_fault_is_the_one_that_is_told() {
    let event = Event::new("", PlanStarted::new("x")).with_tenant("%");
    assert_eq!(refused(event).to_string(), "plan_id: must be 1 to 256 bytes, got 0");
}

#[test]
fn p11_same_keys_in_different_objects_are_no_duplicates() {
    let text = r#"{"a":{"k":1},"b":{"k":1},"k":[{"k":1},{"k":2}],"\u006b2":1}"#;
    assert_eq!(Event::raw("p", "t", text).payload_json().expect("valid"), text);
}

#[test]
fn p11_depth_is_limited_to_64_on_every_way_in() {
    let nested = |levels: usize| format!("{}{}", "{\"a\":".repeat(levels - 1) + "{}", "}".repeat(levels - 1));
    assert!(Event::raw("p", "t", nested(64)).payload_json().is_ok());
    assert_eq!(refused(Event::raw("p", "t", nested(65))).kind(), ErrorKind::TooLarge);
    assert_eq!(refused(Event::raw("p", "t", nested(200_000))).kind(), ErrorKind::TooLarge);
}

/// A value nested so deep that recursion over it would end the process.
fn abyss() -> Value {
    let mut value = Value::Null;
    for _ in 0..200_000 {
        value = Value::Array(vec![value]);
    }
    value
}

#[test]
fn p11_a_value_200_000_deep_is_refused_and_dropped_without_a_stack_overflow() {
    assert_eq!(refused(Event::untyped("p", "t", abyss())).kind(), ErrorKind::TooLarge);
    let typed = Event::new("p", ToolCalled::new("c", "t", abyss()));
    assert_eq!(typed.payload_json().expect_err("too deep").kind(), ErrorKind::TooLarge);
    drop(typed);
    drop(PlanStarted::new("x").with("deep", abyss()));
}

#[derive(Clone, Serialize, Deserialize)]
struct Sneaky {
    part: Box<RawValue>,
}

impl Payload for Sneaky {
    const EVENT_TYPE: EventType = EventType::from_static("sneaky");
}

#[test]
fn p11_raw_parts_of_a_typed_payload_keep_the_same_rules() {
    let sneaky = |text: &str| Sneaky { part: RawValue::from_string(text.into()).expect("JSON") };
    let twice = Event::new("p", sneaky(r#"{"a":1,"a":2}"#));
    assert_eq!(twice.payload_json().expect_err("twice").kind(), ErrorKind::InvalidInput);
    let deep = Event::new("p", sneaky(&format!("{}{}", "[".repeat(64), "]".repeat(64))));
    assert_eq!(deep.payload_json().expect_err("deep").kind(), ErrorKind::TooLarge);
    let kept = Event::new("p", sneaky("[1e999]"));
    assert_eq!(kept.payload_json().expect("valid"), r#"{"part":[1e999]}"#);
}

#[test]
fn p11_a_field_named_twice_by_with_is_refused() {
    let event = Event::new("p", PlanStarted::new("x").with("goal", "y"));
    assert!(event.payload_json().expect_err("twice").to_string().contains("\"goal\" twice"));
}

#[test]
fn typed_payloads_keep_the_fields_that_they_do_not_name_in_order() {
    let text = r#"{"call_id":"c","tool":"grep","arguments":{"z":1,"a":2},"zeta":1,"alpha":[2]}"#;
    let event = Event::raw("p", "ToolCalled", text);
    let call = event.payload::<ToolCalled>().expect("a call").into_owned();
    assert_eq!(call.extra.keys().collect::<Vec<_>>(), ["zeta", "alpha"]);
    assert_eq!(Event::new("p", call).payload_json().expect("valid"), text);
}

#[test]
fn a_payload_of_another_shape_names_its_type() {
    let event = Event::raw("p", "ToolCalled", r#"{"call_id":7}"#);
    let error = event.payload::<ToolCalled>().expect_err("another shape");
    assert_eq!(error.to_string(), "payload: is not a ToolCalled");
    assert!(std::error::Error::source(&error).is_some_and(|cause| !cause.to_string().is_empty()));
}

#[test]
fn the_whole_envelope_comes_back_from_its_json() {
    let event = Event::new("plan-7", DecisionMade::new("split").because("large"))
        .with_event_id("01JZ8Q4V7N5T3M2K1H0G9F8E7D")
        .with_timestamp("2026-03-01T10:30:00.1234567+01:00")
        .with_tenant("acme")
        .with_source("planner")
        .with_call_chain(["root", "planner"])
        .with_correlation_id("plan-1")
        .with_causation_id("01JZ8Q4V7N5T3M2K1H0G9F8E7C")
        .with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .with_priority(Priority::High)
        .with_context_ref("s3://bucket/key")
        .with_schema_version(2);
    let text = event.to_json().expect("writable");
    assert!(text.contains(r#""timestamp":"2026-03-01T09:30:00.123456Z""#), "{text}");
    let back = Event::from_json(&text).expect("readable");
    assert_eq!(back, event);
    assert_eq!(serde_json::from_str::<Event>(&text).expect("by serde"), event);
    let missing = Event::from_json(r#"{"event_type":"x","payload":{}}"#).expect_err("no plan");
    assert_eq!(missing.to_string(), "plan_id: is missing");
    let unknown = text.replacen('{', r#"{"plan":"x","#, 1);
    assert_eq!(Event::from_json(&unknown).expect_err("unknown").kind(), ErrorKind::InvalidInput);
}

#[test]
fn timestamps_have_one_width_and_sort_as_text() {
    let times = [
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "9999-12-30T22:00:00.999999Z",
    ];
    let texts: Vec<String> = times.map(|time| time.parse::<Timestamp>().expect("valid").to_string()).into();
    assert!(texts.iter().all(|text| text.len() == 27) && texts.is_sorted(), "{texts:?}");
    assert!("2026-03-01T09:30:00".parse::<Timestamp>().is_err(), "a time without an offset");
}

#[test]
fn ids_of_one_thread_increase() {
    let ids: Vec<EventId> = (0..10_000).map(|_| EventId::generate()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn p11_any_object_survives_the_envelope(members in prop::collection::vec((any::<String>(), any_json()), 0..8)) {
        let object = Value::Object(members.into_iter().collect());
        let event = Event::untyped("plan", "any.type", object.clone());
        let back = Event::from_json(&event.to_json().expect("writable")).expect("readable");
        prop_assert_eq!(serde_json::from_str::<Value>(back.payload_json().expect("valid")).expect("JSON"), object);
        prop_assert_eq!(back, event);
    }

    #[test]
    fn p11_no_text_panics_the_decoders(text in any::<String>(), cut in 0usize..200) {
        let _ = Event::raw("p", "t", text.as_str()).payload_json().map(str::len);
        let _ = Event::from_json(&text);
        let _ = (text.parse::<Timestamp>(), text.parse::<EventId>(), EventType::new(&text), text.parse::<TypePattern>());
        let whole = Event::new("plan", ToolCalled::new("c", "t", json!({"q": text}))).to_json().expect("writable");
        let cut = whole.char_indices().nth(cut).map_or(whole.len(), |(at, _)| at);
        prop_assert!(cut == whole.len() || Event::from_json(&whole[..cut]).is_err());
    }

    #[test]
    fn p11_ids_take_what_their_grammar_says(text in "\\PC{0,300}|[ -~]{0,80}|.{0,20}") {
        let valid = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
        prop_assert_eq!(PlanId::try_from(text.as_str()).is_ok(), valid);
        let name = !text.is_empty() && text.len() <= 64 && text.as_bytes()[0].is_ascii_alphanumeric()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        prop_assert_eq!(Tenant::try_from(text.as_str()).is_ok(), name);
        prop_assert_eq!(EventType::new(&text).is_ok(), name);
    }
}
