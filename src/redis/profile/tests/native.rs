//! The profile `native`: its fields, and that nothing is lost.

use proptest::prelude::*;

use super::*;

#[test]
fn a_native_entry_has_a_field_for_each_part_of_the_envelope() {
    let mut entry = Entry::default();
    Profile::native().encode(&full(), STORE, 1 << 20, &mut entry).expect("native says all");
    assert_eq!(entry.key(), "planbus:{acme}:events");
    assert_eq!(
        entry.fields().collect::<Vec<_>>(),
        [
            ("event_id", "01JZ8Q4V7N5T3M2K1H0G9F8E7D"),
            ("event_type", "ToolCalled"),
            ("plan_id", "release-notes"),
            ("timestamp", "2026-03-01T09:30:00.000000Z"),
            ("recorded_at", "2026-03-01T09:30:00.000731Z"),
            ("tenant", "acme"),
            ("source", "planner"),
            ("call_chain", r#"["super\"visor","planner"]"#),
            ("correlation_id", "release"),
            ("causation_id", "01JZ8Q4V7N5T3M2K1H0G9F8E7C"),
            ("trace_parent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("priority", "high"),
            ("context_refs", r#"["s3://bucket/a"]"#),
            ("schema_version", "3"),
            ("seq", "42"),
            ("store", STORE),
            ("payload", r#"{"call_id":"call-1", "tool":"grep"}"#),
        ]
    );
}

#[test]
fn a_payload_that_is_too_large_is_written_as_a_reference() {
    let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(5_000));
    let event = logged(Event::raw("p", "note", text.as_str()), 7);
    let mut entry = Entry::default();
    Profile::native().encode(&event, STORE, 4_096, &mut entry).expect("native says all");
    assert!(entry.bytes() <= 4_096);
    let reference = format!(r#"{{"store":"{STORE}","seq":7,"bytes":{}}}"#, text.len());
    assert_eq!(entry.fields().last(), Some(("payload_ref", reference.as_str())));
    let back = Profile::native().decode(entry.key(), "1-0", &fields(&entry)).expect("readable");
    assert_eq!(back.payload_json().expect("JSON"), format!(r#"{{"_payload_ref":{reference}}}"#));
    assert_eq!((back.seq(), back.event_id()), (Some(7), event.event_id()));
}

proptest! {
    #[test]
    fn p11_a_native_entry_is_read_back_in_every_field(
        plan in "\\PC{1,40}", agent in "\\PC{1,20}", reference in ".{1,20}", number in "-?[1-9][0-9]{0,60}", seq in 1..u64::MAX,
    ) {
        let text = format!(r#"{{ "n": {number} ,"s":"\u0000\ud800\/"}}"#);
        let event = logged(
            Event::raw(plan, "agent.note", text.as_str())
                .with_source(&*agent)
                .with_call_chain(["first", agent.as_str()])
                .with_context_ref(reference),
            seq,
        );
        let mut entry = Entry::default();
        Profile::native().encode(&event, STORE, 1 << 20, &mut entry).expect("native says all");
        let fields = fields(&entry);
        let back = Profile::native().decode(entry.key(), "1-0", &fields).expect("readable");
        prop_assert_eq!(&back, &event);
        prop_assert_eq!(back.payload_json().expect("JSON"), text);
        prop_assert_eq!(Profile::native().origin(&fields), Some((STORE.into(), seq)));
    }
}
