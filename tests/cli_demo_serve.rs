//! `planbus demo --serve` as a person has it: the page's address first, and a survey that begins when
//! the page is open.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod dashboard_support;
mod serve_support;
mod server_support;
mod store_support;

use std::{
    io::{BufRead, BufReader, Lines, Write},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use cli_support::{Place, fails, planbus, stdout};
use dashboard_support::Browser;
use planbus::EventType;
use serde_json::json;
use serve_support::Serving;
use server_support::Sse;

/// What the program says while it waits.
const WAITS: &str = "planbus: the survey begins when the page is open; Enter begins it now";

/// The program at a terminal of its own.
struct AtTerminal {
    script: Child,
    keys: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl AtTerminal {
    /// A demo that serves.
    fn demo(place: &Place, arguments: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_planbus");
        let inner = format!(
            "stty rows 30 cols 200 -echo && exec '{program}' demo --path tree --serve 127.0.0.1:0 {arguments}"
        );
        let mut script = Command::new("script");
        script.args(["-qec", &inner, "/dev/null"]).current_dir(place.path()).env("TERM", "xterm");
        for name in ["PLANBUS_DB", "PLANBUS_TOKEN_FILE", "RUST_LOG", "NO_COLOR"] {
            script.env_remove(name);
        }
        let mut script =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`script` starts");
        let lines = BufReader::new(script.stdout.take().expect("piped")).lines();
        Self { keys: script.stdin.take().expect("piped"), script, lines }
    }

    fn line(&mut self) -> String {
        let line = self.lines.next().expect("a line").expect("UTF-8");
        line.trim_end_matches('\r').to_owned()
    }

    /// All lines up to the first that holds this.
    fn lines_to(&mut self, what: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines[lines.len() - 1].contains(what) {
            lines.push(self.line());
        }
        lines
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).expect("it takes the key");
    }

    /// Waits for its end.
    fn code(mut self) -> Option<i32> {
        let rest = self.lines.by_ref().map_while(Result::ok).count();
        println!("{rest} more lines");
        self.script.wait().expect("it ends").code()
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// Where the server is that a line tells of.
fn url(lines: &[String]) -> &str {
    let told = lines.iter().find_map(|line| line.strip_prefix("planbus: serving ")).expect("where it serves");
    told.split_once(" at ").expect("an address").1.trim_end_matches("; Ctrl-C ends")
}

#[test]
fn a_survey_at_a_terminal_begins_when_the_page_is_open_and_is_seen_from_its_first_event() {
    let place = Place::with_tree();
    let mut demo = AtTerminal::demo(&place, "");
    let told = demo.lines_to(WAITS);
    // Asked by a process of its own: a survey that waits for nobody has begun before that has started.
    let before = stdout(place.path(), &["events", "-o", "json"]);
    assert_eq!(before, "", "nothing happens until the page is open");
    // As the page follows: what comes from now on.
    let mut page = Sse::open(&format!("{}/events/stream", url(&told)), &[]).expect("a stream");
    let first = page.message();
    assert_eq!((first.seq(), first.event.as_deref()), (1, Some("PlanStarted")));
    demo.lines_to("still serving");
    let events = place.events();
    assert!(page.by_ref().take(events.len() - 1).map(|message| message.seq()).eq(2..=events.len() as u64));
    demo.press("\x03");
    assert_eq!(demo.code(), Some(0));
}

#[test]
fn the_page_that_is_told_shows_the_survey_from_its_first_event_to_its_end() {
    let place = Place::with_tree();
    let mut demo = AtTerminal::demo(&place, "");
    let told = demo.lines_to(WAITS);
    let page = told[0].trim_start_matches("planbus: open \x1b[1m").split('\x1b').next().expect("an address");
    let hash = page.strip_prefix(url(&told)).expect("of this server").trim_start_matches('/');
    let Some(page) = Browser::start_with("demo.mjs", url(&told), &json!({"hash": hash})) else { return };
    page.finish();
    demo.lines_to("still serving");
    demo.press("\x03");
    assert_eq!(demo.code(), Some(0));
}

#[test]
fn enter_begins_a_survey_without_a_page() {
    let place = Place::with_tree();
    let mut demo = AtTerminal::demo(&place, "");
    demo.lines_to(WAITS);
    demo.press("\n");
    demo.lines_to("still serving");
    demo.press("\x03");
    assert_eq!(demo.code(), Some(0));
    assert_eq!(place.events().last().expect("an event").event_type(), &EventType::PlanCompleted);
}

#[test]
fn ctrl_c_before_it_begins_leaves_the_log_as_it_was() {
    let place = Place::with_tree();
    let mut demo = AtTerminal::demo(&place, "");
    demo.lines_to(WAITS);
    demo.press("\x03");
    demo.lines_to("interrupted before the survey began");
    assert_eq!(demo.code(), Some(130));
    assert!(place.events().is_empty());
}

#[test]
fn nobody_is_waited_for_where_nobody_could_know() {
    let place = Place::with_tree();
    let mut demo = AtTerminal::demo(&place, "--no-wait");
    let told = demo.lines_to("still serving");
    assert!(!told.iter().any(|line| line.contains("begins when")), "{told:?}");
    demo.press("\x03");
    assert_eq!(demo.code(), Some(0));
    // Without a word of what it waits for.
    let mut quiet = AtTerminal::demo(&place, "-q");
    quiet.lines_to("Look further");
    quiet.press("\x03");
    assert_eq!(quiet.code(), Some(0));
    // Stderr is no terminal.
    let mut command = planbus(place.path());
    let mut piped = Serving::start(command.args(["demo", "--path", "tree", "--serve", "127.0.0.1:0"]));
    piped.wait_until_still_serving();
}

#[test]
fn the_page_to_open_is_told_first_and_stands_out() {
    let place = Place::with_tree();
    let mut demo = AtTerminal::demo(&place, "");
    let told = demo.lines_to(WAITS);
    let url = url(&told);
    let page = told[0].strip_prefix("planbus: open \x1b[1m").expect("bold, at once");
    let page = page.strip_suffix("\x1b[0m in a browser").expect("an address");
    assert!(page.starts_with(&format!("{url}/#/plans/survey-")), "{told:?}");
    let others: Vec<_> = told.iter().filter(|line| line.contains("curl")).collect();
    assert!(others.iter().all(|line| line.starts_with("\x1b[2m")) && others.len() == 3, "{told:?}");
}

#[test]
fn the_page_is_that_of_the_tenant() {
    let place = Place::with_tree();
    for (arguments, path) in [
        (&["demo", "--path", "tree", "--tenant", "acme", "--serve", "127.0.0.1:0"][..], "?tenant=acme"),
        (&["serve", "--addr", "127.0.0.1:0"], "/"),
    ] {
        let mut child = planbus(place.path()).args(arguments).stderr(Stdio::piped()).spawn().expect("starts");
        let mut first = String::new();
        let stderr = child.stderr.take().expect("piped");
        BufReader::new(stderr).read_line(&mut first).expect("a line");
        child.kill().expect("is there");
        child.wait().expect("ends");
        let page = first.strip_prefix("planbus: open http://127.0.0.1:").expect("the page's address");
        let page = page.strip_suffix(" in a browser\n").expect("and nothing else");
        assert!(page.ends_with(path) && page.contains("/#/plans/survey-") == (path != "/"), "{page}");
    }
}

#[test]
fn serve_without_an_address_is_the_one_that_everything_names() {
    // Whoever has it: it is taken.
    let taken = TcpListener::bind("127.0.0.1:7070");
    let place = Place::with_tree();
    fails(
        place.path(),
        &["demo", "--serve", "--path", "tree"],
        4,
        &["listen at 127.0.0.1:7070: Address already"],
    );
    drop(taken);
    fails(place.path(), &["demo", "--serve", "tree"], 2, &["--serve", "must be HOST:PORT"]);
    fails(place.path(), &["demo", "--no-wait"], 2, &["--serve"]);
    fails(place.path(), &["import", "--serve"], 2, &["--serve <ADDR>"]);
}
