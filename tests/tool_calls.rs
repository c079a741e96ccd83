//! Which completion answers which call: the view `tool_calls`, the query of docs/audit.md for open
//! calls, the timeline and a look by hand say the same of any log.

#![cfg(feature = "cli")]

mod cli_support;

use std::collections::BTreeMap;

use cli_support::{Place, stdout};
use planbus::{Event, EventBus, EventStore};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};

/// What is known of one call: the seq and the outcome of its answer, and how long it took.
type Answer = (Option<i64>, String, Option<i64>);

/// An event of the plan: its type, its call id, what it says of its outcome, and how long it took.
type Step = (bool, usize, usize, Option<i64>);

fn call_id(of: usize) -> Value {
    [json!("1"), json!("2"), json!(1), json!({"n": 1})][of].clone()
}

fn event((is_call, id, ok, duration_us): &Step) -> Event {
    let mut payload = json!({"call_id": call_id(*id), "tool": "run"});
    if *is_call {
        return Event::untyped("plan", "ToolCalled", payload);
    }
    payload["ok"] = [json!(true), json!(false), json!(null)][*ok].clone();
    if let Some(duration_us) = duration_us {
        payload["duration_us"] = json!(duration_us);
    }
    Event::untyped("plan", "ToolCompleted", payload)
}

/// The rule, word for word: a completion answers the last call before it with its id, if no other
/// completion did.
fn by_hand(steps: &[Step]) -> BTreeMap<i64, Option<i64>> {
    let mut answers = BTreeMap::new();
    for (at, (is_call, id, ..)) in steps.iter().enumerate() {
        let seq = at as i64 + 1;
        if *is_call {
            answers.insert(seq, None);
        } else if let Some(last) = steps[..at].iter().rposition(|step| step.0 && step.1 == *id) {
            answers.entry(last as i64 + 1).or_default().get_or_insert(seq);
        }
    }
    answers
}

fn of_the_view(place: &Place) -> BTreeMap<i64, Answer> {
    let log = Connection::open(place.path().join("planbus.db")).expect("opens");
    let mut statement = log
        .prepare("SELECT called_seq, completed_seq, outcome, duration_us FROM tool_calls")
        .expect("prepares");
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))
        .expect("reads");
    rows.collect::<rusqlite::Result<_>>().expect("reads")
}

fn of_the_timeline(place: &Place, calls: &BTreeMap<i64, Option<i64>>) -> BTreeMap<i64, Answer> {
    let text = stdout(place.path(), &["show", "plan", "--timeline", "-o", "json"]);
    let spans = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON object"));
    let tools = spans.filter(|span| span["kind"] == "tool").filter_map(|span| {
        let outcome = span["outcome"].as_str()?.to_owned();
        let answer = (span["seq_end"].as_i64(), outcome, span["duration_us"].as_i64());
        // Completions that answer no call stand alone.
        Some((span["seq_start"].as_i64().filter(|seq| calls.contains_key(seq))?, answer))
    });
    tools.collect()
}

fn of_the_page(place: &Place) -> Vec<i64> {
    let page = include_str!("../docs/audit.md");
    let (_, text) = page.split_once("### Which calls were never answered?").expect("is on the page");
    let sql = text.split("```sql\n").nth(1).and_then(|text| text.split("```").next()).expect("a query");
    let log = Connection::open(place.path().join("planbus.db")).expect("opens");
    let mut statement = log.prepare(sql).expect("prepares");
    let rows = statement.query_map([], |row| row.get(0)).expect("reads");
    rows.collect::<rusqlite::Result<_>>().expect("reads")
}

fn check(steps: &[Step]) {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    bus.publish_all(steps.iter().map(event)).expect("commits");
    let expected = by_hand(steps);
    let view = of_the_view(&place);
    let answers: BTreeMap<_, _> = view.iter().map(|(seq, answer)| (*seq, answer.0)).collect();
    assert_eq!(answers, expected, "{steps:?}");
    let is_open = |answer: &Option<i64>| answer.is_none();
    let open: Vec<i64> =
        expected.iter().rev().filter(|(_, answer)| is_open(answer)).map(|(seq, _)| *seq).collect();
    assert_eq!(of_the_page(&place), open, "{steps:?}");
    // Where no answer says how long it took, the two events do: to the microsecond, in both.
    assert_eq!(of_the_timeline(&place, &expected), view, "{steps:?}");
}

#[test]
fn an_id_that_is_used_again_before_its_answer_leaves_the_first_call_open() {
    let call = |id| (true, id, 0, None);
    let answer = |id, ok| (false, id, ok, Some(7));
    check(&[call(0), call(0), answer(0, 0)]);
    check(&[call(0), answer(0, 1), answer(0, 0), call(0), call(1), answer(0, 2)]);
    check(&[answer(0, 0), call(0), call(2), answer(2, 0), call(3), call(0), answer(3, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_view_the_page_and_the_timeline_answer_the_same_calls(
        steps in prop::collection::vec(
            (any::<bool>(), 0usize..4, 0usize..3, prop::option::of(0i64..1_000_000)),
            1..40,
        ),
    ) {
        check(&steps);
    }
}
