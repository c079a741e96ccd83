//! The judgement of the regression guard in `benches/instructions`: what it reads, refuses and says.
//!
//! Counts nothing itself: every figure here is made up.

#[path = "../benches/instructions/judge.rs"]
mod judge;

use judge::*;

/// What callgrind writes at the end of a run with one counter, as far as it is read.
fn callgrind_out(events: &str, totals: &str) -> String {
    format!(
        "# callgrind format\nversion: 1\ncmd: ./x\n\nevents: {events}\nfn=(1) main\n1 5\n\ntotals: {totals}\n"
    )
}

fn counts(figures: &[(&str, f64)]) -> Counts {
    figures.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn baseline() -> Baseline {
    let text = include_str!("../benches/instructions/baseline.json");
    Baseline::from_json(text).expect("the baseline in the repository")
}

const SHAPE: Shape =
    Shape { promise: "publish does not grow", scenario: "at 10,000", beside: "at 10", most: 1.05 };

#[test]
fn the_instructions_of_a_run_are_its_totals() {
    assert_eq!(total(&callgrind_out("Ir", "8135")), Ok(8135));
}

#[test]
fn a_run_that_counted_nothing_or_something_else_is_no_count() {
    for (out, said) in [
        (callgrind_out("Ir", "0"), "none of the operations"),
        (callgrind_out("Ir Dr", "8135 7"), "`Ir Dr`"),
        (callgrind_out("Ir", "many"), "no number"),
        ("events: Ir\n".to_owned(), "no line `totals`"),
        (String::new(), "no line `events`"),
    ] {
        let error = total(&out).expect_err("it is no count");
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_scenario_is_refused_by_name_when_it_costs_more_than_the_tolerance() {
    let before = counts(&[("a", 100.0), ("b", 100.0), ("c", 100.0), ("d", 100.0)]);
    let within = 100.0 * (1.0 + TOLERANCE);
    let now = counts(&[("a", within), ("b", within + 0.1), ("c", 100.0 - 100.0 * TOLERANCE), ("d", 90.0)]);
    let verdicts = against_baseline(&before, &now);
    let outcomes: Vec<Outcome> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    assert_eq!(outcomes, [Outcome::Kept, Outcome::TooMuch, Outcome::Kept, Outcome::Better]);
    let said = complaints(&verdicts, true);
    assert!(matches!(&said[..], [one] if one.starts_with("b: 1.021 times")), "{said:?}");
    assert!(said[0].contains("PLANBUS_BASELINE=write"), "it says what to do: {said:?}");
    let shown = table("what", "baseline", &verdicts);
    assert!(shown.contains("| b | 100.0 | 102.1 | 1.021 | 1.02 | TOO MUCH |"), "{shown}");
    assert!(shown.contains("| d | 100.0 | 90.0 | 0.900 | 1.02 | better: lower the baseline |"), "{shown}");
}

#[test]
fn a_scenario_that_only_one_side_knows_is_refused() {
    let verdicts = against_baseline(&counts(&[("gone", 1.0)]), &counts(&[("new", 1.0)]));
    let said = complaints(&verdicts, true);
    assert!(said[0].starts_with("gone: in the baseline, but nothing counts it"), "{said:?}");
    assert!(said[1].starts_with("new: not in the baseline"), "{said:?}");
}

#[test]
fn a_ratio_is_refused_above_what_is_promised_and_when_a_side_of_it_is_missing() {
    let judge = |figures: &[(&str, f64)]| complaints(&against_each_other(&[SHAPE], &counts(figures)), false);
    assert!(judge(&[("at 10", 100.0), ("at 10,000", 105.0)]).is_empty());
    let grown = judge(&[("at 10", 100.0), ("at 10,000", 106.0)]);
    assert!(grown[0].starts_with("publish does not grow: the ratio is 1.060"), "{grown:?}");
    let missing = judge(&[("at 10", 100.0)]);
    assert!(missing[0].contains("was not counted"), "{missing:?}");
}

#[test]
fn a_slowdown_that_passes_the_count_or_the_ratio_of_its_scenario_is_told() {
    let now = counts(&[("at 10", 100.0), ("at 10,000", 100.0)]);
    let unseen_at = |count| {
        let slowed = Slowed { slowdown: "a search", scenario: "at 10,000", count };
        unseen(&[slowed], &[SHAPE], &now)
    };
    assert!(unseen_at(106.0).is_empty());
    let by_ratio = unseen_at(104.0);
    assert_eq!(by_ratio, ["publish does not grow: a deliberate slowdown (a search) was not refused"]);
    assert_eq!(unseen_at(101.0).len(), 2);
    let elsewhere = Slowed { slowdown: "a search", scenario: "nowhere", count: 1.0 };
    assert_eq!(unseen(&[elsewhere], &[SHAPE], &now).len(), 1, "what is not judged is not refused");
}

#[test]
fn a_baseline_comes_back_as_it_is_written_to_a_tenth() {
    let mut written = baseline();
    written.instructions = counts(&[("a", 1.26)]);
    let read = Baseline::from_json(&written.to_json().expect("is written")).expect("is read");
    assert_eq!((read.conditions, read.instructions), (written.conditions, counts(&[("a", 1.3)])));
    let error = Baseline::from_json("{}").expect_err("it is no baseline");
    assert!(error.starts_with("baseline.json cannot be read"), "{error}");
}

#[test]
fn the_baseline_in_the_repository_is_as_the_guard_writes_it() {
    let written = baseline().to_json().expect("is written");
    assert_eq!(written, include_str!("../benches/instructions/baseline.json"));
    assert!(baseline().instructions.values().all(|count| count.is_finite() && *count >= 1.0));
}
