//! P8 on the command line: `planbus consume` handles every event of its group, prints it or runs a
//! command for it, and loses none, however it ends.

#![cfg(all(target_os = "linux", feature = "cli"))]

mod cli_support;
mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use cli_support::{fails, json_lines, planbus, run, signal, stderr};
use consumer_support::{Fed, STREAM, pending};
use planbus::{Event, redis::Profile};
use redis_support::*;
use serde_json::{Value, json};
use store_support::{Dir, Killed};

/// The arguments of a consumer of the group `workers`.
fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["consume", "--redis", url, "--group", "workers"][..], more].concat()
}

/// Runs a consumer to its end, which must be a good one.
fn consume(dir: &Path, url: &str, more: &[&str]) -> Output {
    let output = run(dir, &arguments(url, more));
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    output
}

fn objects(output: &Output) -> Vec<Value> {
    json_lines(&String::from_utf8_lossy(&output.stdout))
}

/// Starts a consumer.
fn start(dir: &Path, url: &str, more: &[&str]) -> Killed {
    let mut command = planbus(dir);
    command.args(arguments(url, more)).stdout(Stdio::piped()).stderr(Stdio::piped());
    Killed(command.spawn().expect("planbus starts"))
}

/// The output of a consumer that ends.
fn ended(mut killed: Killed) -> Output {
    let empty = Command::new("true").spawn().expect("true");
    let child: Child = std::mem::replace(&mut killed.0, empty);
    child.wait_with_output().expect("ends")
}

/// The lines of a file; none where there is no file.
fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The fields of the only dead letter.
fn dead_letter(server: &RedisServer) -> Vec<(String, String)> {
    let letters = server.entries(&format!("{STREAM}:dlq"));
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.into_iter().next().map(|(_, fields)| fields).unwrap_or_default()
}

fn whole(fields: &[(String, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[test]
fn p8_each_event_is_printed_once_and_acked_when_it_was_written() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 20);
    let (dir, url) = (Dir::new(), fed.server.url());
    let printed = consume(dir.path(), &url, &["--until-idle", "-o", "json"]);
    let listed = run(dir.path(), &["events", "--redis", &url, "-o", "json"]);
    assert_eq!(objects(&printed).len(), 20);
    assert_eq!(objects(&printed), objects(&listed));
    assert!(stderr(&printed).contains("20 events handled"), "{}", stderr(&printed));
    assert_eq!(pending(&fed.server, STREAM, "workers"), 0);
    let again = consume(dir.path(), &url, &["--until-idle=300ms", "-o", "json", "-q"]);
    assert!(again.stdout.is_empty() && again.stderr.is_empty(), "{}", stderr(&again));
    // Another group gets them all again.
    let other = ["consume", "--redis", &url, "--group", "others", "--count", "20"];
    let table = String::from_utf8(run(dir.path(), &other).stdout).expect("UTF-8");
    assert_eq!(table.lines().count(), 21, "{table}");
    assert!(table.contains("ToolCalled") && table.starts_with("   SEQ"), "{table}");
}

#[test]
fn a_command_gets_the_event_on_stdin_and_its_place_in_the_environment() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let (dir, url) = (Dir::new(), fed.server.url());
    let told = "\"$PLANBUS_STREAM|$PLANBUS_ENTRY_ID|$PLANBUS_GROUP|$PLANBUS_ATTEMPT|$PLANBUS_REPLAY|$PLANBUS_LAST_ERROR\"";
    let exec = format!("cat > event; echo {told} > environment; echo said");
    let output = consume(dir.path(), &url, &["--exec", &exec, "--count", "1"]);
    assert_eq!(output.stdout, b"said\n");
    let given = fs::read_to_string(dir.path().join("event")).expect("was written");
    let log = fed.store.read_after(0, 10).expect("the log");
    // As a mirror's entry says it: with the same envelope and the payload as it was.
    let event = Event::from_json(given.trim_end()).expect("an event");
    assert!(given.ends_with('\n') && given.lines().count() == 1, "{given}");
    assert_eq!(event.event_id(), log[0].event_id());
    assert_eq!(event.payload_json().expect("a payload"), log[0].payload_json().expect("a payload"));
    let id = &fed.server.entries(STREAM)[0].0;
    assert_eq!(lines(&dir.path().join("environment")), [format!("{STREAM}|{id}|workers|1|0|")]);
}

#[test]
fn p8_a_failing_command_is_tried_again_and_then_a_dead_letter_with_what_it_said() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = r#"echo "$PLANBUS_ATTEMPT $PLANBUS_LAST_ERROR" >> attempts; echo no such table >&2; exit 3"#;
    let more = ["--exec", exec, "--retry", "50ms,100ms", "--until-idle=2s"];
    let output = consume(dir.path(), &url, &more);
    // The error has two lines: what happened, and what was said.
    assert_eq!(
        lines(&dir.path().join("attempts")),
        ["1 ", "2 exit code 3: no such table", "3 exit code 3: no such table"]
    );
    let letter = whole(&dead_letter(&fed.server));
    assert!(letter.contains("exit code 3: no such table"), "{letter}");
    let told = stderr(&output);
    assert_eq!(told.matches("no such table\n").count(), 6, "passed on, and told: {told}");
    assert!(told.contains("attempt 2 failed, again in 100 ms: exit code 3"), "{told}");
    assert!(told.contains("0 events handled, 3 failed attempts, 1 dead letter"), "{told}");
    assert_eq!(pending(&fed.server, STREAM, "workers"), 0);
}

#[test]
fn p8_exit_code_65_is_a_dead_letter_at_once_and_a_signal_is_a_failure() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 2);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = "echo >> begun; case $(cat) in *call-0*) exit 65;; *) kill -9 $$;; esac";
    let more = ["--exec", exec, "--retry", "10ms", "--until-idle=1s"];
    let output = consume(dir.path(), &url, &more);
    assert_eq!(lines(&dir.path().join("begun")).len(), 3, "one, and two attempts of the other");
    let letters = fed.server.entries(&format!("{STREAM}:dlq"));
    let told: Vec<String> = letters.iter().map(|(_, fields)| whole(fields)).collect();
    assert!(told.len() == 2 && told.iter().any(|letter| letter.contains("exit code 65")), "{told:?}");
    assert!(told.iter().any(|letter| letter.contains("killed by signal 9")), "{told:?}");
    assert!(stderr(&output).contains("2 dead letters"), "{}", stderr(&output));
}

#[test]
fn a_command_that_reads_nothing_has_not_failed_and_what_it_leaves_behind_holds_nobody_up() {
    let Some(fed) = Fed::start() else { return };
    let large = json!({"text": "x".repeat(300_000)});
    let event = Event::new("plan-1", planbus::ToolCalled::new("call-1", "grep", large));
    fed.store.save(&event).expect("commits");
    fed.publish("plan-1", 1);
    let (dir, url) = (Dir::new(), fed.server.url());
    // What goes on behind it has its stderr still, and does not hold it up.
    let exec = "sleep 60 > /dev/null & echo $! >> behind";
    let output = consume(dir.path(), &url, &["--exec", exec, "--count", "2"]);
    for pid in lines(&dir.path().join("behind")) {
        signal("KILL", pid.parse().expect("a pid"));
    }
    assert!(stderr(&output).contains("2 events handled"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("failed"), "{}", stderr(&output));
    // And one that reads gets all of it.
    let other = ["consume", "--redis", &url, "--group", "others", "--count", "1", "--exec", "wc -c", "-q"];
    let bytes = String::from_utf8(run(dir.path(), &other).stdout).expect("UTF-8");
    assert!(bytes.trim().parse::<usize>().expect("a number") > 300_000, "{bytes}");
}

/// Whether a process of this group is alive.
fn group_lives(leader: &str) -> bool {
    let kill = format!("kill -0 -{leader} 2> /dev/null");
    Command::new("sh").args(["-c", &kill]).status().expect("sh").success()
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_what_it_started() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = "echo $$ > leader; echo so far >&2; sleep 300 > /dev/null & sleep 300 > /dev/null";
    let more = ["--exec", exec, "--timeout", "300ms", "--retry", "none", "--until-idle=300ms"];
    consume(dir.path(), &url, &more);
    let letter = whole(&dead_letter(&fed.server));
    assert!(letter.contains("took longer than 300 ms and was killed: so far"), "{letter}");
    let leader = &lines(&dir.path().join("leader"))[0];
    wait_for("nothing of it is left", || !group_lives(leader));
}

#[test]
fn p8_ctrl_c_lets_a_command_end_and_acks_it() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 3);
    for (group, name) in [("one", "INT"), ("two", "TERM")] {
        let (dir, url) = (Dir::new(), fed.server.url());
        let exec = "cat >> given; touch begun; while [ ! -e go ]; do sleep 0.01; done";
        let mut command = planbus(dir.path());
        command.args(["consume", "--redis", &url, "--group", group, "--exec", exec]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let killed = Killed(child);
        wait_for("the command runs", || dir.path().join("begun").exists());
        signal(name, killed.0.id());
        wait_for("the rest is given back", || due(&fed.server, group) == 2);
        fs::write(dir.path().join("go"), "").expect("writes");
        let output = ended(killed);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("1 event handled, 2 given back"), "{}", stderr(&output));
        assert_eq!((lines(&dir.path().join("given")).len(), pending(&fed.server, STREAM, group)), (1, 2));
    }
}

/// How many entries wait for anybody of the group.
fn due(server: &RedisServer, group: &str) -> usize {
    server.command(&["ZCARD", &format!("{STREAM}:dlq:{group}:due")]).parse().expect("a number")
}

#[test]
fn p8_a_command_that_is_cut_off_at_the_deadline_has_not_failed_and_its_event_comes_again() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 2);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = "echo $$ > leader; touch begun; sleep 300 > /dev/null";
    let killed = start(dir.path(), &url, &["--exec", exec, "--stop-after", "100ms"]);
    wait_for("the command runs", || dir.path().join("begun").exists());
    signal("INT", killed.0.id());
    let output = ended(killed);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("0 events handled, 2 given back"), "{}", stderr(&output));
    let leader = &lines(&dir.path().join("leader"))[0];
    wait_for("nothing of it is left", || !group_lives(leader));
    let exec = "echo $PLANBUS_ATTEMPT >> attempts";
    consume(dir.path(), &url, &["--exec", exec, "--count", "2"]);
    assert_eq!(lines(&dir.path().join("attempts")), ["1", "1"]);
}

#[test]
fn p8_a_second_ctrl_c_ends_at_once_and_leaves_no_command_behind() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = "echo $$ > leader; touch begun; sleep 300 > /dev/null";
    let more = ["--exec", exec, "--stop-after", "300s", "--claim-idle", "100ms"];
    let killed = start(dir.path(), &url, &more);
    wait_for("the command runs", || dir.path().join("begun").exists());
    // Two that come together count as one.
    let pid = killed.0.id();
    signal("INT", pid);
    wait_for("it stops", || {
        signal("INT", pid);
        fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
    assert_eq!(ended(killed).status.code(), Some(130));
    let leader = &lines(&dir.path().join("leader"))[0];
    wait_for("nothing of it is left", || !group_lives(leader));
    consume(dir.path(), &url, &["--exec", "cat > given", "--claim-idle", "100ms", "--count", "1"]);
    assert_eq!(lines(&dir.path().join("given")).len(), 1);
}

#[test]
fn p8_what_nobody_reads_is_not_acked() {
    let Some(fed) = Fed::start() else { return };
    let (dir, url) = (Dir::new(), fed.server.url());
    fed.publish("plan-1", 5);
    let mut reader = start(dir.path(), &url, &["-o", "json"]);
    drop(reader.0.stdout.take());
    let output = ended(reader);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rest = consume(dir.path(), &url, &["--until-idle", "-o", "json"]);
    assert_eq!(objects(&rest).len(), 5, "all are there still");
    // It ends also while nothing comes.
    let mut reader = start(dir.path(), &url, &[]);
    drop(reader.0.stdout.take());
    assert_eq!(ended(reader).status.code(), Some(0));
    // And head gets what it asks for.
    fed.publish("plan-2", 500);
    let program = env!("CARGO_BIN_EXE_planbus");
    let line = format!("'{program}' consume --redis '{url}' --group workers -o json -q | head -1");
    let head = Command::new("sh").args(["-c", &line]).output().expect("sh");
    assert_eq!((objects(&head).len(), stderr(&head)), (1, String::new()));
}

#[test]
fn count_ends_when_so_many_were_handled_and_begins_no_more() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 6);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = "echo $PLANBUS_ENTRY_ID >> handled; [ $PLANBUS_ATTEMPT = 2 ]";
    let more = ["--exec", exec, "--count", "2", "--workers", "3", "--retry", "10ms"];
    let output = consume(dir.path(), &url, &more);
    assert!(stderr(&output).contains("2 events handled"), "{}", stderr(&output));
    let left = 6 - 2;
    let rest = consume(dir.path(), &url, &["--exec", "cat >> rest", "--until-idle"]);
    assert!(stderr(&rest).contains(&format!("{left} events handled")), "{}", stderr(&rest));
    assert_eq!(pending(&fed.server, STREAM, "workers"), 0);
}

#[test]
fn p8_events_of_a_plan_keep_their_order_also_where_one_is_tried_again() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 4);
    let (dir, url) = (Dir::new(), fed.server.url());
    let exec = "read -r event; echo \"${event##*call-}\" | cut -c1 >> order; [ $PLANBUS_ATTEMPT = 2 ] || \
                [ -e failed ] || { touch failed; exit 1; }";
    let more = ["--exec", exec, "--per-plan", "--workers", "4", "--retry", "100ms,100ms", "--count", "4"];
    consume(dir.path(), &url, &more);
    assert_eq!(lines(&dir.path().join("order")), ["0", "0", "1", "2", "3"]);
}

#[test]
fn p8_a_redis_that_is_killed_while_events_are_consumed_is_waited_for() {
    let aof = Persistence::Aof { fsync: Fsync::Always };
    let Some(server) = RedisServer::builder().tcp().persistence(aof).start() else { return };
    let Some(fed) = Fed::on(server, Profile::native()) else { return };
    fed.publish("plan-1", 10);
    let (dir, url) = (Dir::new(), format!("{}?back_off_max=100ms", fed.server.url()));
    let given = dir.path().join("given");
    let told = dir.path().join("told");
    let mut command = planbus(dir.path());
    command.args(arguments(&url, &["--exec", "cat >> given"]));
    let stderr = fs::File::create(&told).expect("a file");
    let mut killed = Killed(command.stderr(stderr).spawn().expect("planbus starts"));
    wait_for("all are handled", || lines(&given).len() == 10);
    wait_for("all are acked", || pending(&fed.server, STREAM, "workers") == 0);
    fed.server.kill();
    let says = |text: &str| lines(&told).iter().any(|line| line.contains(text));
    wait_for("it is told", || says("redis cannot be reached"));
    fed.server.restart();
    wait_for("it is told", || says("redis is back"));
    fed.publish("plan-2", 10);
    wait_for("the others are handled", || lines(&given).len() == 20);
    signal("TERM", killed.0.id());
    assert_eq!(killed.0.wait().expect("ends").code(), Some(0));
    assert!(says("20 events handled") && lines(&told).len() == 3, "{:?}", lines(&told));
    let ids: std::collections::BTreeSet<String> =
        json_lines(&fs::read_to_string(&given).expect("was written"))
            .into_iter()
            .map(|event| event["event_id"].to_string())
            .collect();
    assert_eq!(ids.len(), 20);
}

#[test]
fn what_is_wrong_is_named_before_anything_is_consumed() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let (dir, url) = (Dir::new(), fed.server.url());
    fails(dir.path(), &["consume", "--redis", &url], 2, &["--group <NAME>"]);
    for (more, word) in [
        (&["--group", ""][..], "group: must be 1 to 256 bytes"),
        (&["--retry", "1s,x"], "must be delays like 1s,4s,16s, or none"),
        (&["--from", "end"], "must be beginning, now, or an id"),
        (&["--workers", "2"], "--exec <CMD>"),
        (&["--exec", "true", "--workers", "300"], "must be at most 256"),
        (&["--exec", "true", "--timeout", "0s"], "must be more than 0s"),
        (&["--claim-idle", "1ms"], "claim_idle must be 100 ms to a day"),
        (&["--name", "a b"], "name: "),
        (&["--profile", "nonesuch"], "nonesuch"),
        (&["--type", "a b"], "--type"),
        (&["-o", "tree"], "consume has no tree"),
    ] {
        let base: &[&str] =
            if more[0] == "--group" { &["--redis", &url] } else { &["--redis", &url, "-g", "g"] };
        fails(dir.path(), &[&["consume"], base, more].concat(), 2, &[word]);
    }
    assert_eq!(fed.server.command(&["XINFO", "GROUPS", STREAM]).matches("planbus:").count(), 1);
    fed.server.kill();
    fails(dir.path(), &arguments(&url, &["--count", "1"]), 4, &["redis"]);
}

#[test]
fn what_is_passed_over_has_come_and_idle_is_when_nothing_is_left() {
    let Some(fed) = Fed::start() else { return };
    for (plan, events) in [("first", 1), ("others", 2_000), ("first", 1)] {
        fed.publish(plan, events);
    }
    let (dir, url) = (Dir::new(), fed.server.url());
    let output = consume(dir.path(), &url, &["--until-idle=50ms", "--plan", "first", "-o", "json"]);
    assert_eq!(objects(&output).len(), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("2 events handled, 2,000 passed over"), "{}", stderr(&output));
}
