//! Spans, rows and bars of any events, in any order, at any width.

use planbus::{Event, PlanId, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::{
    draw::{Axis, Layout, Rows},
    pick::pick,
    spans::{Kind, Outcome, PlanSpans, Span, arrange},
};
use crate::text::width;

fn event(plan: &str, event_type: &str, id: u8, micros: i64) -> Event {
    let ok = [json!(true), json!(false), json!(null)][usize::from(id) % 3].clone();
    let duration_us = [json!(null), json!(u64::MAX), json!(1_500)][usize::from(id) / 3 % 3].clone();
    let payload = json!({
        "call_id": id.to_string(), "tool": "grep", "subplan": format!("p{id}"), "decision": "yes", "ok": ok,
        "duration_us": duration_us, "error": "no", "goal": "all",
    });
    let at = Timestamp::from_micros(micros).expect("in range");
    Event::untyped(plan, event_type, payload).with_timestamp(at)
}

/// Plans in a chain, each with its events.
fn spans(plans: &[Vec<(usize, u8, i64)>]) -> Vec<Span> {
    const TYPES: [&str; 9] = [
        "PlanStarted",
        "PlanCompleted",
        "PlanFailed",
        "DecisionMade",
        "ToolCalled",
        "ToolCompleted",
        "SubplanSpawned",
        "SubplanCompleted",
        "agent.note",
    ];
    let plans = plans.iter().enumerate().map(|(depth, events)| {
        let plan = format!("p{depth}");
        let mut spans = PlanSpans::new(PlanId::try_from(plan.as_str()).expect("an id"), depth);
        for (event_type, id, micros) in events {
            spans.add(&event(&plan, TYPES[event_type % TYPES.len()], *id, *micros));
        }
        spans
    });
    arrange(plans.collect())
}

fn any_plans() -> impl Strategy<Value = Vec<Vec<(usize, u8, i64)>>> {
    let any_micros =
        prop_oneof![0i64..5, 0i64..10_000_000, -62_167_219_200_000_000i64..253_402_207_200_999_999];
    prop::collection::vec(prop::collection::vec((0usize..9, 0u8..9, any_micros), 1..30), 1..5)
}

proptest! {
    #[test]
    fn a_bar_of_any_span_is_on_its_axis_and_has_a_column(plans in any_plans(), columns in 1usize..70) {
        let spans = spans(&plans);
        prop_assert_eq!((spans[0].kind, spans[0].depth), (Kind::Plan, 0));
        let rows = Rows::new(&spans, Axis::of(&spans), Layout::new(Some(columns), 20));
        for span in &spans {
            let bar = rows.bar(span, columns);
            prop_assert!(!bar.trim().is_empty() && width(&bar) <= columns, "{bar:?} of {span:?}");
            prop_assert!(span.end.is_some() == (span.outcome != Outcome::Open));
        }
    }

    #[test]
    fn rows_are_picked_in_their_order_and_below_their_plans(plans in any_plans(), max in 1usize..40) {
        let spans = spans(&plans);
        let picked = pick(&spans, max);
        prop_assert!(picked.len() <= max.max(1));
        prop_assert_eq!(picked[0], &spans[0]);
        let places: Vec<usize> =
            picked.iter().filter_map(|span| spans.iter().position(|one| std::ptr::eq(one, *span))).collect();
        prop_assert!(places.len() == picked.len() && places.is_sorted());
        for span in &picked {
            let has_its_plan = picked.iter().any(|one| one.kind == Kind::Plan && one.plan == span.plan);
            prop_assert!(has_its_plan, "{span:?}");
        }
        if spans.len() <= max {
            prop_assert_eq!(picked.len(), spans.len());
        }
    }
}

#[test]
fn an_answer_belongs_to_the_call_before_it_and_a_second_one_stands_alone() {
    let call = |millis: i64| (4, 0, millis * 1_000);
    let answer = |millis: i64| (5, 0, millis * 1_000);
    let spans = spans(&[vec![(0, 2, 0), call(1), answer(3), call(4), answer(9), answer(10)]]);
    let calls: Vec<(i64, Option<i64>)> = spans
        .iter()
        .filter(|span| span.kind == Kind::Tool)
        .map(|span| (span.start_us() / 1_000, span.end_us().map(|end| end / 1_000)))
        .collect();
    assert_eq!(calls, [(1, Some(3)), (4, Some(9)), (10, Some(10))]);
}
