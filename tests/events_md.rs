//! EVENTS.md is true: its JSON is read, compared with the typed payloads, and written back.

use std::collections::BTreeMap;

use planbus::*;
use serde_json::Value;

const PAGE: &str = include_str!("../EVENTS.md");

/// The examples of the page in a language.
fn examples(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().trim().to_owned())
        .collect()
}

/// The payload's JSON after a detour through its type.
fn through<P: Payload>(event: &Event) -> Value {
    let payload = event.payload::<P>().unwrap_or_else(|error| panic!("{event:?}: {error}")).into_owned();
    serde_json::to_value(payload).expect("a payload is JSON")
}

#[test]
fn every_json_example_is_an_event_that_comes_back_as_it_is_written() {
    let examples = examples("json");
    for text in &examples {
        let event = Event::from_json(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(event.to_json().expect("writable"), *text);
    }
    assert!(examples.len() >= 10, "the examples were not found");
}

#[test]
fn every_plan_event_has_an_example_of_its_type_and_a_line_for_each_of_its_fields() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for text in examples("json") {
        let event = Event::from_json(&text).expect("checked above");
        let (name, typed) = match event.event_type() {
            EventType::PlanStarted => ("PlanStarted", through::<PlanStarted>(&event)),
            EventType::PlanCompleted => ("PlanCompleted", through::<PlanCompleted>(&event)),
            EventType::PlanFailed => ("PlanFailed", through::<PlanFailed>(&event)),
            EventType::DecisionMade => ("DecisionMade", through::<DecisionMade>(&event)),
            EventType::ToolCalled => ("ToolCalled", through::<ToolCalled>(&event)),
            EventType::ToolCompleted => ("ToolCompleted", through::<ToolCompleted>(&event)),
            EventType::SubplanSpawned => ("SubplanSpawned", through::<SubplanSpawned>(&event)),
            EventType::SubplanCompleted => ("SubplanCompleted", through::<SubplanCompleted>(&event)),
            _ => continue,
        };
        let written: Value = serde_json::from_str(event.payload_json().expect("JSON")).expect("JSON");
        assert_eq!(typed, written, "{name}");
        *seen.entry(name).or_default() += 1;
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
    let source = include_str!("../src/event/types.rs");
    let mut fields = 0;
    for block in source.split("payload! {").skip(1) {
        let block = block.split("\n}\n").next().unwrap_or_default();
        let name = block.lines().find_map(|line| line.trim().strip_suffix(" {")).expect("a name");
        let section =
            PAGE.split(&format!("### {name}\n")).nth(1).expect(name).split("\n##").next().unwrap_or_default();
        for line in
            block.lines().map(str::trim).filter(|line| line.ends_with(',') && !line.starts_with(['/', '#']))
        {
            let field = line.split(':').next().unwrap_or_default();
            assert!(section.contains(&format!("`{field}`")), "{name}.{field} is not in EVENTS.md");
            fields += 1;
        }
    }
    assert!(fields > 15, "the fields were not found");
}
