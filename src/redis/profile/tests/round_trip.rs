//! What is written is read back, whatever the event says and in whatever profile.

use proptest::prelude::*;

use super::*;
use crate::event::EventId;

/// The six, each able to say an event of the type `task_created` or `task.assigned`.
fn profiles() -> Vec<(Profile, &'static str)> {
    let profile = |name| Profile::named(name).expect("built in");
    vec![
        (profile("native"), "note"),
        (profile("tenant").with_key("t:{<tenant>}:<plan>:<family>").expect("a key"), "task.assigned"),
        (profile("per-type"), "note"),
        (profile("orchestration"), "task_created"),
        (profile("attune"), "note"),
        (profile("attune-registry"), "agent_heartbeat"),
    ]
}

/// Ids that mean harm: quotes, braces, glob characters, line separators, everything but controls.
fn id(more: &'static str) -> impl Strategy<Value = String> {
    let hostile =
        prop::sample::select(vec!["\"", "\\", "{", "}", "<", ">", "%", "*", "\u{2028}", "🙂", "'", ";", " "]);
    let hostile = prop::collection::vec(hostile, 1..20).prop_map(|parts| parts.concat());
    prop_oneof![more.prop_map(|text| text), hostile, Just("x".repeat(256))]
}

prop_compose! {
    fn event()(
        (plan, source, chain) in (id("\\PC{1,40}"), prop::option::of(id("[^,\\p{C}]{1,20}")), prop::collection::vec(id("[^,\\p{C}]{1,20}"), 0..3)),
        correlation in prop::option::of(id("\\PC{1,20}")),
        cause in prop::option::of(any::<u128>()),
        bits in any::<u128>(),
        micros in -62_167_219_200_000_000..253_402_207_200_999_999_i64,
        traced in any::<bool>(),
        priority in prop::sample::select(vec![Priority::Low, Priority::Normal, Priority::High, Priority::Critical]),
        reference in prop::option::of("[^,]{1,20}"),
        version in any::<u32>(),
        tenant in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        (key, text, number) in ("k\\PC{0,10}|plan_id|_call_chain", "(?s).{0,20}", "-?[1-9][0-9]{0,60}(\\.[0-9]{1,40})?(e[1-9]{1,4})?"),
        (space, empty) in ("[ \t]{0,2}", any::<bool>()),
    ) -> Event {
        let payload = match empty {
            true => format!("{{{space}}}"),
            false => {
                let (key, text) = (serde_json::json!(key), serde_json::json!(text));
                format!(r#"{{{space}{key}:{space}{text},"n":{space}{number},"deep":[{{"lone":"\ud800\u0000\/"}}]{space}}}"#)
            }
        };
        let mut event = Event::raw(plan, "note", payload)
            .with_event_id(EventId::from_u128(bits))
            .with_timestamp(Timestamp::from_micros(micros).expect("in range"))
            .with_tenant(tenant)
            .with_priority(priority)
            .with_schema_version(version);
        let mut chain = chain;
        if let Some(source) = source {
            if !chain.is_empty() {
                chain.push(source.clone());
            }
            event = event.with_source(source);
        }
        if !chain.is_empty() {
            event = event.with_call_chain(chain);
        }
        if let Some(correlation) = correlation {
            event = event.with_correlation_id(correlation);
        }
        if let Some(cause) = cause {
            event = event.with_causation_id(EventId::from_u128(cause));
        }
        if traced {
            event = event.with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        }
        if let Some(reference) = reference {
            event = event.with_context_ref(reference);
        }
        event
    }
}

proptest! {
    #[test]
    fn p11_any_event_is_read_back_in_every_field_from_every_profile(event in event(), seq in 1..u64::MAX) {
        for (profile, event_type) in profiles() {
            let mut event = logged(event.clone(), seq);
            event.envelope_mut().event_type = EventType::from_static(event_type);
            let entry = encoded(&profile, &event);
            let back = read_back(&profile, &entry).unwrap_or_else(|error| panic!("{error}: {entry:?}"));
            prop_assert_eq!(back.envelope() == event.envelope(), true, "{}: {:?}", profile.name(), entry);
            prop_assert_eq!(back.payload_json().expect("JSON"), event.payload_json().expect("JSON"));
            let fields = fields(&entry);
            prop_assert_eq!(profile.origin(&fields), Some((STORE.into(), seq)));
            prop_assert!(profile.is_stream(entry.key()), "{}", entry.key());
        }
    }

    #[test]
    fn p11_every_field_of_an_orchestration_entry_and_all_data_are_json(event in event()) {
        for (profile, event_type) in profiles() {
            let mut event = logged(event.clone(), 1);
            event.envelope_mut().event_type = EventType::from_static(event_type);
            let entry = encoded(&profile, &event);
            for (name, value) in entry.fields() {
                let is_json = serde_json::from_str::<&serde_json::value::RawValue>(value).is_ok();
                let must_be = profile.name() == "orchestration" || ["data", "payload"].contains(&name);
                prop_assert!(is_json || !must_be, "{}: {name}: {value}", profile.name());
            }
        }
    }

    #[test]
    fn p11_an_entry_of_any_fields_is_an_event_or_an_error_and_never_a_panic(
        texts in prop::collection::vec((
            prop::sample::select(vec![
                "data", "event_type", "timestamp", "event_id", "metadata", "payload", "payload_ref", "plan_id", "seq",
                "store", "_seq", "_store", "_type", "_plan", "_event_id", "_added", "_filled", "call_chain", "context_refs",
            ]),
            prop_oneof![
                "(?s).{0,20}", Just("{}".to_owned()), Just("2".to_owned()), Just("note".to_owned()), Just("null".to_owned()),
                Just("2026-03-01T09:30:00".to_owned()), Just(r#"{"a":1,"a":2,"planbus":{"store":"x"}}"#.to_owned()), Just("[]".to_owned()),
            ],
        ), 0..12),
        key in ".{0,20}",
    ) {
        let fields: Vec<_> = texts.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes())).collect();
        for (profile, _) in profiles() {
            let _ = profile.origin(&fields);
            match profile.decode(&key, "1-1", &fields) {
                Ok(event) => prop_assert!(event.check().is_ok() && event.payload_json().is_ok()),
                Err(error) => prop_assert!(error.to_string().contains(", entry 1-1: "), "{}", error),
            }
        }
    }
}
