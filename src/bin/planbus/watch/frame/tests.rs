//! What a picture shows of a model, in terminals of any size.

use planbus::{DecisionMade, Event, PlanCompleted, PlanStarted, ToolCalled, ToolCompleted};
use serde_json::json;

use super::*;
use crate::text::width;

const LINGER: Duration = Duration::from_secs(5);

fn started(plan: &str, parent: Option<&str>) -> Event {
    let mut payload = PlanStarted::new("survey \u{1b}[2J");
    payload.parent = parent.map(str::to_owned);
    Event::new(plan, payload)
}

fn picture(model: &Model, view: &mut View, size: (usize, usize)) -> Vec<String> {
    let facts = Facts { title: "a.db  default", seq: 7, held: None, note: None, empty: "nothing" };
    frame(model, view, &facts, size, Timestamp::now(), Painter::new(false))
}

/// A plan with so many subplans that run, and news.
fn model(subplans: usize) -> Model {
    let mut model = Model::new(LINGER);
    model.apply(&started("root", None));
    for number in 0..subplans {
        let plan = format!("root/{number} {}", "long ".repeat(30));
        model.apply(&started(&plan, Some("root")));
        let call = ToolCalled::new("call", "read_file", json!({"path": "a/b\u{202e}.txt"}));
        model.apply(&Event::new(plan.as_str(), call));
        model.apply(&Event::new(plan.as_str(), DecisionMade::new("split\r\n it")));
    }
    model
}

#[test]
fn a_picture_fits_any_terminal_to_the_line_and_the_column() {
    let mut model = model(100);
    model.apply(&Event::new("root", ToolCompleted::failed("x", "git", "\u{9b}31m no repository")));
    let sizes = [(200, 60), (80, 24), (40, 16), (20, 5), (10, 4), (3, 2), (1, 1), (0, 0)];
    for ((columns, rows), key) in sizes.into_iter().flat_map(|size| [(size, Key::Other), (size, Key::Help)]) {
        let mut view = View::default();
        view.press(key);
        let lines = picture(&model, &mut view, (columns, rows));
        assert_eq!(lines.len(), rows, "{columns}x{rows}");
        assert!(lines.iter().all(|line| width(line) <= columns), "{columns}x{rows}: {lines:#?}");
        assert!(!lines.concat().contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r', '\n']), "{lines:#?}");
    }
}

#[test]
fn the_last_line_is_as_far_as_one_can_scroll_and_a_larger_screen_leaves_nothing_empty() {
    let model = model(50);
    let mut view = View::default();
    picture(&model, &mut view, (80, 10));
    view.press(Key::Bottom);
    let lines = picture(&model, &mut view, (80, 10));
    assert!(lines[8].contains("└─") && lines[9].starts_with("44-51 of 51"), "{lines:#?}");
    view.press(Key::Down);
    assert_eq!(picture(&model, &mut view, (80, 10))[9], lines[9]);
    let lines = picture(&model, &mut view, (80, 100));
    assert!(lines[1].contains("root") && !lines[99].contains("of 51"), "{lines:#?}");
}

#[test]
fn plans_that_completed_make_way_for_those_that_run_and_those_that_failed_do_not() {
    let mut model = model(4);
    for number in 0..30 {
        let plan = format!("root/over-{number:02}");
        model.apply(&started(&plan, Some("root")));
        model.apply(&match number {
            3 => Event::new(plan.as_str(), planbus::PlanFailed::new("no disk")),
            _ => Event::new(plan.as_str(), PlanCompleted::new()),
        });
    }
    let text = picture(&model, &mut View::default(), (80, 14)).join("\n");
    assert_eq!(text.matches("1 tool call").count(), 4, "{text}");
    assert!(text.contains("✗ over-03") && text.contains("✓ over-29") && !text.contains("over-00"), "{text}");
    let text = picture(&model, &mut View::default(), (80, 60)).join("\n");
    assert!(text.contains("✓ over-00"), "with room they stay: {text}");
}

#[test]
fn plans_that_ended_are_shown_for_a_while_and_what_outlives_them_stays() {
    let mut model = model(0);
    model.apply(&started("root/sub", Some("root")));
    model.apply(&Event::new("root", PlanCompleted::new()));
    let now = Timestamp::now();
    let at = |seconds: i64| Timestamp::from_micros(now.as_micros() + seconds * 1_000_000).expect("a time");
    model.fold(at(4));
    let lines = picture(&model, &mut View::default(), (80, 12));
    assert!(lines[1].starts_with("✓ root") && lines[2].starts_with("└─ "), "{lines:#?}");
    model.fold(at(6));
    let lines = picture(&model, &mut View::default(), (80, 12));
    assert!(lines[1].contains("root/sub") && lines[2].is_empty(), "{lines:#?}");
    assert!(lines[0].contains("1 running  1 completed"), "{lines:#?}");
    model.apply(&started("root", None));
    model.fold(at(60));
    let lines = picture(&model, &mut View::default(), (80, 12));
    assert!(lines[0].contains("2 running"), "begun again: {lines:#?}");
}

#[test]
fn a_narrow_terminal_shows_what_is_done_now_in_place_of_what_went_well() {
    let mut model = Model::new(LINGER);
    model.apply(&started("root", None));
    model.apply(&Event::new("root", DecisionMade::new("go on")));
    let tool = |id: &str| Event::new("root", ToolCalled::new(id, "cat", json!({"file_path": "src/a.rs"})));
    model.apply(&tool("1"));
    model.apply(&Event::new("root", ToolCompleted::failed("1", "cat", "no file")));
    model.apply(&tool("2"));
    let wide = picture(&model, &mut View::default(), (120, 5));
    assert!(wide[1].contains("2 tool calls, 1 failed, 1 decision  ▸ cat a.rs"), "{wide:#?}");
    let narrow = picture(&model, &mut View::default(), (40, 5));
    assert!(narrow[1].contains(" s, 1 failed  ▸ cat a.rs"), "{narrow:#?}");
}

#[test]
fn a_record_of_another_time_ticks_since_it_came_and_lasted_as_its_own_times_say() {
    let mut model = Model::new(LINGER);
    let at =
        |event: Event, second: u32| event.with_timestamp(format!("2020-01-01T00:00:{second:02}Z").as_str());
    model.apply(&at(started("root", None), 0));
    model.apply(&at(Event::new("root", ToolCalled::new("1", "cat", json!({}))), 1));
    model.apply(&at(Event::new("root", ToolCompleted::ok("1", "cat", json!({}))), 4));
    let lines = picture(&model, &mut View::default(), (120, 5));
    assert!(lines[1].contains("✓ cat  3.00 s"), "{lines:#?}");
    model.apply(&at(Event::new("root", PlanCompleted::new()), 9));
    let sums = picture(&model, &mut View::default(), (120, 5));
    assert!(sums[1].contains("✓ root  9.00 s"), "{sums:#?}");
}

#[test]
fn an_age_has_one_unit() {
    let age = |seconds| age(Duration::from_secs(seconds));
    assert_eq!([age(0), age(59), age(60), age(3_600), age(172_800)], ["0s", "59s", "1m", "1h", "2d"]);
}
