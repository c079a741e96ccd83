//! `planbus watch` on a real terminal: what is seen while plans run, and how the terminal is left.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod store_support;
mod terminal_support;

use std::{io::Write, process::Stdio};

use cli_support::{Place, planbus, signal};
use planbus::{Event, PlanStarted};
use serde_json::json;
use terminal_support::{Runtime, Terminal};

const WIDE: (usize, usize) = (120, 30);

fn watch(place: &Place, arguments: &str) -> Option<Terminal> {
    Terminal::run(place.path(), WIDE, &format!("echo before; planbus watch {arguments}"))
}

/// The line of a plan.
fn line_of<'a>(screen: &'a str, plan: &str) -> &'a str {
    screen.lines().find(|line| line.contains(plan)).unwrap_or_default()
}

/// How many tenths of a second a line says that something takes already.
fn tenths(line: &str) -> Option<u64> {
    let seconds = line.split(" s").next()?.rsplit(' ').next()?;
    seconds.replace('.', "").parse().ok()
}

#[test]
fn a_tree_grows_while_plans_run_and_its_durations_tick() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    let Some(terminal) = watch(&place, "") else { return };
    terminal.shows(&["0 running", "no plan runs"]);
    runtime.start("notes", None);
    runtime.start("notes/collect", Some("notes"));
    runtime.call("notes/collect", "1", "src/main.rs");
    runtime.decide("notes", "split in two");
    let screen =
        terminal.shows(&["2 running", "└─ ", "▸ read_file main.rs", "1 decision", "◆ notes  split in two"]);
    assert!(line_of(&screen, "└─").contains("collect"), "{screen}");
    assert!(screen.lines().next().is_some_and(|head| head.contains("planbus.db  default")), "{screen}");
    let before = tenths(line_of(&screen, "└─")).expect("a duration");
    terminal.wait("a later time", |screen| tenths(line_of(screen, "└─")).is_some_and(|now| now > before));
    // The call's own time.
    let call = |screen: &str| tenths(line_of(screen, "└─").split('▸').nth(1).unwrap_or_default());
    let before = call(&terminal.screen()).expect("a duration");
    terminal.wait("a later time of the call", |screen| call(screen).is_some_and(|now| now > before));
}

#[test]
fn outcomes_of_tools_and_plans_are_seen_and_then_only_counted() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    // What happened before somebody watches counts too.
    runtime.start("notes", None);
    runtime.call("notes", "1", "a.rs");
    runtime.answer("notes", "1", None);
    runtime.call("notes", "2", "b.rs");
    let Some(terminal) = watch(&place, "") else { return };
    terminal.shows(&["1 running", "2 tool calls", "▸ read_file b.rs"]);
    runtime.answer("notes", "2", Some("no such file"));
    terminal.shows(&[
        "2 tool calls, 1 failed",
        "✗ read_file b.rs",
        "✗ notes  read_file failed: no such file",
    ]);
    runtime.call("notes", "3", "c.rs");
    runtime.call("notes", "4", "d.rs");
    // Calls at once have a line each.
    let screen = terminal.shows(&["▸ read_file c.rs", "▸ read_file d.rs"]);
    assert!(!line_of(&screen, "4 tool calls").contains('▸'), "{screen}");
    runtime.start("other", None);
    runtime.complete("other");
    runtime.fail("notes", "the disk is full");
    terminal.wait("both ends", |screen| {
        ["0 running", "1 completed", "1 failed"].iter().all(|wanted| screen.contains(wanted))
            && line_of(screen, "✓ other").contains("notes for 1.4")
            && line_of(screen, "✗ notes").contains("the disk is full")
    });
    terminal.wait("nothing but counts", |screen| {
        ["no plan runs", "1 completed", "1 failed"].iter().all(|wanted| screen.contains(wanted))
            && !screen.contains("✓ other")
    });
}

#[test]
fn one_plan_is_watched_until_its_end_and_its_tree_stays_on_the_terminal() {
    for (ends_well, code) in [(true, 0), (false, 7)] {
        let place = Place::new();
        let runtime = Runtime::new(place.path());
        runtime.start("notes", None);
        runtime.start("strange", None);
        let Some(terminal) = watch(&place, "notes") else { return };
        terminal.shows(&["1 running", "notes"]);
        runtime.start("notes/collect", Some("notes"));
        terminal.shows(&["2 running", "└─ "]);
        runtime.complete("strange");
        runtime.fail("notes", "tried once");
        runtime.start("notes", None);
        runtime.complete("notes/collect");
        terminal.shows(&["1 completed", "1 running"]);
        if ends_well {
            runtime.complete("notes")
        } else {
            runtime.fail("notes", "the disk is full")
        }
        let screen = terminal.shows(&["before", &format!("ended with {code}"), "collect"]);
        assert!(!screen.contains("strange") && !screen.contains("q quit"), "{screen}");
        assert_eq!(screen.contains("plan notes failed: the disk is full"), !ends_well, "{screen}");
    }
}

#[test]
fn a_terminal_is_left_as_it_was_on_every_way_out() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    runtime.start("notes", None);
    type Way<'a> = (&'a str, &'a str, &'a dyn Fn(&Terminal), u8);
    let ways: [Way<'_>; 5] = [
        ("q", "", &|terminal| terminal.press(&["q"]), 0),
        ("Ctrl-C", "", &|terminal| terminal.press(&["C-c"]), 0),
        ("SIGTERM", "", &|terminal| signal("TERM", terminal.child()), 0),
        ("q", "notes", &|terminal| terminal.press(&["q"]), 130),
        ("Ctrl-C", "notes", &|terminal| terminal.press(&["C-c"]), 130),
    ];
    for (name, plan, leave, code) in ways {
        let line = format!("stty -a > before; planbus watch {plan}; code=$?; stty -a > after; (exit $code)");
        let Some(terminal) = Terminal::run(place.path(), WIDE, &line) else { return };
        terminal.shows(&["1 running", "q quit"]);
        leave(&terminal);
        let screen = terminal.shows(&[&format!("ended with {code}")]);
        assert!(!screen.contains("q quit"), "{name}: {screen}");
        if plan.is_empty() {
            assert_eq!(screen, "ended with 0", "{name}");
        } else {
            assert!(screen.contains("● notes  running"), "{name}: {screen}");
        }
        let settings = |name: &str| std::fs::read_to_string(place.path().join(name)).expect("settings");
        assert_eq!(settings("after"), settings("before"), "{name}");
        let cursor = terminal.ask(&["display-message", "-p", "#{cursor_flag} #{alternate_on} #{wrap_flag}"]);
        assert_eq!(cursor.trim(), "1 0 1", "{name}: a cursor, the first screen, lines that wrap");
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_the_watcher_goes_on() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    runtime.start("notes", None);
    let Some(terminal) = Terminal::run(place.path(), WIDE, "PS1='ready> ' sh -i") else { return };
    terminal.shows(&["ready>"]);
    terminal.press(&["planbus watch", "Enter"]);
    terminal.shows(&["q quit"]);
    terminal.press(&["C-z"]);
    let screen = terminal.shows(&["ready> planbus watch", "Stopped"]);
    assert!(!screen.contains("q quit"), "{screen}");
    terminal.press(&["fg", "Enter"]);
    terminal.shows(&["1 running", "q quit"]);
    terminal.press(&["q"]);
    terminal.wait("the shell", |screen| screen.ends_with("ready>") && !screen.contains("q quit"));
}

#[test]
fn any_size_shows_what_matters_most_and_a_resize_is_followed() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    runtime.start("notes", None);
    for number in 0..60 {
        runtime.start(&format!("notes/part-{number:02}"), Some("notes"));
    }
    runtime.decide("notes", "split in sixty");
    let Some(terminal) = watch(&place, "") else { return };
    terminal.shows(&["61 running", "part-10", "◆ notes", "1-26 of 61"]);
    terminal.press(&["PageDown"]);
    terminal.shows(&["26-51 of 61", "part-30"]);
    terminal.press(&["Up", "End"]);
    terminal.shows(&["36-61 of 61", "└─", "part-59"]);
    for (columns, rows) in [(20, 5), (10, 2), (1, 1), (40, 8), (200, 50)] {
        terminal.resize(columns, rows);
        terminal.wait(&format!("{columns}x{rows}"), |screen| {
            screen.lines().count() <= rows
                && screen.lines().all(|line| line.chars().count() <= columns)
                && (columns < 10 || screen.contains("61 runni"))
                && (rows < 5 || screen.contains("part"))
                && (rows != 50 || screen.contains("part-58"))
        });
    }
    terminal.press(&["Home", "q"]);
    terminal.shows(&["ended with 0"]);
}

#[test]
fn keys_hold_the_picture_still_show_only_what_failed_and_tell_of_themselves() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    runtime.start("good", None);
    runtime.start("bad", None);
    runtime.start("bad/inner", Some("bad"));
    runtime.call("bad/inner", "1", "a.rs");
    runtime.answer("bad/inner", "1", Some("no such file"));
    let Some(terminal) = watch(&place, "") else { return };
    terminal.shows(&["3 running", "good", "└─ "]);
    terminal.press(&["f"]);
    terminal.wait("only what failed", |screen| screen.contains("inner") && !screen.contains("good"));
    terminal.press(&["f", "?"]);
    terminal.shows(&["scroll by a screen"]);
    terminal.press(&["x"]);
    terminal.wait("the tree", |screen| screen.contains("good") && !screen.contains("scroll by"));
    terminal.press(&["p"]);
    let still = terminal.shows(&["paused, 0 new"]);
    runtime.start("late", None);
    runtime.decide("good", "go on");
    let screen = terminal.shows(&["paused, 2 new"]);
    assert!(!screen.contains("late"), "{screen}");
    assert_eq!(line_of(&screen, "good"), line_of(&still, "good"), "time stands still too");
    terminal.press(&["p"]);
    terminal.shows(&["4 running", "late", "go on"]);
}

#[test]
fn colours_tell_what_is_what_unless_somebody_objects() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    runtime.start("notes", None);
    runtime.call("notes", "1", "a.rs");
    runtime.decide("notes", "go on");
    let Some(terminal) = watch(&place, "") else { return };
    terminal.shows_coloured(&["[34m1 running", "[36m  ▸ read_file a.rs", "[33m◆ "]);
    drop(terminal);
    let line = "export NO_COLOR=1; planbus watch";
    let Some(terminal) = Terminal::run(place.path(), WIDE, line) else { return };
    terminal.shows(&["1 running", "▸ read_file", "◆ notes"]);
    assert!(!terminal.coloured().contains('\u{1b}'), "{}", terminal.coloured());
    drop(terminal);
    // Where nothing can be drawn in place, lines.
    for line in ["TERM=dumb planbus watch notes", "planbus watch notes -q"] {
        let Some(terminal) = Terminal::run(place.path(), WIDE, line) else { return };
        let screen = terminal.shows(&["● notes  started  notes for 1.4", "◆ notes  go on"]);
        assert!(!screen.contains("q quit"), "{screen}");
    }
}

#[test]
fn p11_nothing_that_a_terminal_acts_on_is_drawn() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n";
    runtime.publish(Event::new("odd \u{202e}plan", PlanStarted::new(hostile)));
    runtime.call("odd \u{202e}plan", "1", hostile);
    runtime.decide("odd \u{202e}plan", hostile);
    let Some(terminal) = watch(&place, "") else { return };
    let screen = terminal.shows(&["1 running", "◆ ", "\\u{1b}[2J", "▸ read_file", "q quit"]);
    assert!(!screen.contains('\u{202e}'), "{screen}");
    let title = terminal.ask(&["display-message", "-p", "#{pane_title}"]);
    assert!(!title.contains("owned"), "{title}");
}

#[test]
fn a_watcher_of_a_store_that_is_moved_away_says_that_it_was_cut_off() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    runtime.start("notes", None);
    for arguments in ["notes", ""] {
        let Some(terminal) = watch(&place, arguments) else { return };
        terminal.shows(&["1 running", "q quit"]);
        let (here, away) = (place.path().join("planbus.db"), place.path().join("away.db"));
        std::fs::rename(&here, &away).expect("moved");
        let screen = terminal.shows(&["before", "was moved, removed or replaced", "ended with 8"]);
        assert!(!screen.contains("q quit"), "{screen}");
        std::fs::rename(&away, &here).expect("moved back");
    }
}

#[test]
fn a_plan_whose_owner_was_killed_stands_still_until_another_goes_on_with_it() {
    let place = Place::new();
    let Some(terminal) = watch(&place, "notes --wait") else { return };
    terminal.shows(&["waiting for the store"]);
    let mut import = planbus(place.path());
    import.args(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut owner = import.spawn().expect("planbus starts");
    let mut lines = owner.stdin.take().expect("piped");
    let line = json!({"plan": "notes", "parent": null, "kind": "plan_started", "agent": "planner", "at": null, "data": {}});
    writeln!(lines, "{line}").expect("written");
    let turns =
        |screen: &str| line_of(screen, " notes  ").starts_with(|mark: char| ('⠀'..='⣿').contains(&mark));
    terminal.wait("a plan that runs", |screen| screen.contains("1 running") && turns(screen));
    owner.kill().expect("SIGKILL");
    owner.wait().expect("dead");
    let screen = terminal.shows(&["no process has the store open", "● notes", "1 running"]);
    assert!(!turns(&screen), "{screen}");
    let runtime = Runtime::new(place.path());
    runtime.decide("notes", "go on");
    terminal.wait("that it runs again", |screen| turns(screen) && !screen.contains("no process"));
    runtime.complete("notes");
    terminal.shows(&["✓ notes", "ended with 0"]);
}

#[test]
fn without_keys_ctrl_c_ends_it() {
    let place = Place::new();
    let runtime = Runtime::new(place.path());
    let line = "planbus watch notes --wait < /dev/null";
    let Some(terminal) = Terminal::run(place.path(), WIDE, line) else { return };
    terminal.shows(&["0 running", "waiting for plan notes to begin"]);
    runtime.start("notes", None);
    terminal.shows(&["1 running"]);
    terminal.press(&["C-c"]);
    let screen = terminal.shows(&["● notes  running", "ended with 130"]);
    assert!(screen.contains("interrupted: plan notes has not ended"), "{screen}");
}
