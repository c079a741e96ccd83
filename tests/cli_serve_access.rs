//! `planbus serve` for others than whoever runs it: tokens, names, origins, and an address that they reach.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod serve_support;
mod server_support;
mod store_support;

use std::fs;

use cli_support::{Place, fails, planbus, run, stderr};
use planbus::{Event, EventBus, EventStore};
use serde_json::json;
use serve_support::Serving;
use server_support::{Sse, agent};

const ALL: &str = "a-secret-for-all-tenants";
const ACME: &str = "a-secret-for-acme-alone";

/// A place with an event of each of two tenants, and a file of tokens.
fn place() -> Place {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    for tenant in ["default", "acme"] {
        bus.publish(Event::untyped("plan", "note", json!({})).with_tenant(tenant)).expect("publishes");
    }
    let tokens = format!("# who sees\nops * {ALL}\nui acme {ACME}\n");
    fs::write(place.path().join("tokens.txt"), tokens).expect("a file");
    place
}

fn serve(place: &Place, arguments: &[&str]) -> Serving {
    Serving::start(planbus(place.path()).args(["serve", "--addr", "127.0.0.1:0"]).args(arguments))
}

fn status(serving: &Serving, path: &str, headers: &[(&str, &str)]) -> u16 {
    let request = agent().get(format!("{}{path}", serving.url));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.call().expect("an answer").status().as_u16()
}

#[test]
fn p10_a_token_of_the_file_lets_its_holder_see_its_tenants_and_nobody_else_is_let_in() {
    let place = place();
    let serving = serve(&place, &["--token-file", "tokens.txt"]);
    let url = |tenant: &str| format!("{}/events/stream?after=0&tenant={tenant}", serving.url);
    let open = |tenant: &str, secret: &str| {
        let stream = Sse::open(&url(tenant), &[("Authorization", &format!("Bearer {secret}"))]);
        stream.map(|mut stream| stream.message().seq()).map_err(|answer| answer.status().as_u16())
    };
    assert_eq!((open("default", ALL), open("acme", ALL)), (Ok(1), Ok(2)));
    assert_eq!(open("acme", ACME), Ok(2));
    assert!(open("default", ACME).is_err());
    assert_eq!(open("acme", "a-secret-of-nobody-here"), Err(401));
    assert_eq!(status(&serving, "/events/stream", &[]), 401);
    let ended = serving.interrupt();
    assert!(ended.stderr.contains("curl -H 'Authorization: Bearer SECRET' -N "), "{ended:?}");
    assert!(!ended.stderr.contains(ALL) && !ended.stderr.contains(ACME), "{ended:?}");
}

#[test]
fn the_environment_may_name_the_file_of_tokens() {
    let place = place();
    let mut command = planbus(place.path());
    command.args(["serve", "--addr", "127.0.0.1:0"]).env("PLANBUS_TOKEN_FILE", "tokens.txt");
    assert_eq!(status(&Serving::start(&mut command), "/events/stream", &[]), 401);
}

#[test]
fn p10_who_is_taken_out_of_the_file_of_tokens_is_gone_and_the_others_go_on() {
    let place = place();
    let file = place.path().join("tokens.txt");
    let mut serving = serve(&place, &["--token-file", "tokens.txt"]);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let open = |serving: &Serving, secret: &str| {
        let url = format!("{}/events/stream?after=0&tenant=acme", serving.url);
        Sse::open(&url, &[("Authorization", &bearer(secret))]).expect("a stream")
    };
    let (mut kept, mut gone) = (open(&serving, ALL), open(&serving, ACME));
    assert_eq!((kept.message().seq(), gone.message().seq()), (2, 2));
    // What is wrong is told, and changes nothing.
    fs::write(&file, "ops * short\n").expect("is written");
    serving.wait_until_it_says("the tokens stay as they were");
    assert_eq!(status(&serving, "/events?tenant=acme", &[("Authorization", &bearer(ACME))]), 200);
    // Replaced as editors and deployments do it.
    let next = place.path().join("next.txt");
    fs::write(&next, format!("ops * {ALL}\nnew acme a-secret-of-somebody-new\n")).expect("is written");
    fs::rename(&next, &file).expect("is replaced");
    assert!(gone.next().is_none() && gone.cut.is_none(), "its stream ends");
    assert_eq!(status(&serving, "/events?tenant=acme", &[("Authorization", &bearer(ACME))]), 401);
    let new = bearer("a-secret-of-somebody-new");
    assert_eq!(status(&serving, "/events?tenant=acme", &[("Authorization", &new)]), 200);
    // The stream of the one that stayed goes on with what comes.
    let store = EventStore::open(place.path().join("planbus.db")).expect("opens");
    store.save(&Event::untyped("plan", "note", json!({})).with_tenant("acme")).expect("commits");
    assert_eq!(kept.message().seq(), 3);
    let ended = serving.interrupt();
    assert!(!ended.stderr.contains(ALL) && !ended.stderr.contains("short"), "{ended:?}");
}

#[test]
fn p11_a_wrong_file_of_tokens_is_told_without_what_stands_in_it() {
    let place = place();
    let at = place.path();
    fails(at, &["serve", "--token-file", "none.txt"], 3, &["read the tokens in none.txt", "No such file"]);
    fails(at, &["serve", "--token-file", "."], 4, &["read the tokens in ."]);
    for (text, told) in [
        (&b"ops * short"[..], "line 1: token secret must be 16 to 1,024 bytes"),
        (b"\nops *", "line 2: must be NAME TENANTS SECRET"),
        (b"# nobody\n", "has no token"),
        (b"ops * \xff\xfe", "read the tokens in wrong.txt"),
    ] {
        fs::write(at.join("wrong.txt"), text).expect("a file");
        fails(at, &["serve", "--token-file", "wrong.txt"], 2, &[told]);
        fails(
            at,
            &["demo", "--path", "tree", "--serve", "127.0.0.1:0", "--token-file", "wrong.txt"],
            2,
            &[told],
        );
    }
    assert_eq!(place.events().len(), 2, "no demo was begun");
}

#[test]
fn a_file_of_tokens_that_others_may_read_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let file = place.path().join("tokens.txt");
    for (mode, is_told) in [(0o644, true), (0o602, true), (0o640, false), (0o400, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("sets");
        // An address that cannot be listened at: it is told before.
        let arguments = ["serve", "--addr", "203.0.113.1:0", "--token-file", "tokens.txt"];
        let stderr = stderr(&run(place.path(), &arguments));
        assert_eq!(stderr.contains("chmod o-rw tokens.txt"), is_told, "{mode:o}: {stderr}");
        assert!(!stderr.contains(ALL), "{stderr}");
    }
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let place = place();
    let at = place.path();
    let told = ["0.0.0.0:0: whoever reaches it would read the log", "--token-file FILE"];
    fails(at, &["serve", "--addr", "0.0.0.0:0"], 2, &["--addr", told[0], told[1]]);
    fails(at, &["demo", "--path", "tree", "--serve", "0.0.0.0:0"], 2, &["--serve", told[0], told[1]]);
    fails(at, &["demo", "--path", "tree", "--token-file", "tokens.txt"], 2, &["--serve"]);
    let arguments = ["serve", "--addr", "0.0.0.0:0", "--token-file", "tokens.txt"];
    let serving = Serving::start(planbus(at).args(arguments));
    let port = serving.url.rsplit_once(':').expect("a port").1;
    let request = agent().get(format!("http://127.0.0.1:{port}/events/stream"));
    assert_eq!(request.call().expect("an answer").status().as_u16(), 401);
}

#[test]
fn names_and_origins_that_were_listed_are_served_and_others_are_not() {
    let place = place();
    let listed = [
        "--allow-host",
        "bus.example.org",
        "--allow-origin",
        "https://ui.example.org",
        "--public-url",
        "https://public.example.org",
    ];
    let serving = serve(&place, &listed);
    let with = |name: &str, value: &str| status(&serving, "/healthz", &[(name, value)]);
    assert_eq!((with("Host", "bus.example.org"), with("Host", "public.example.org")), (200, 200));
    assert!(with("Host", "evil.example.org") >= 400);
    assert_eq!(with("Origin", "https://ui.example.org"), 200);
    assert!(with("Origin", "https://evil.example.org") >= 400);
    for (option, wrong) in [("--allow-origin", "ui.example.org"), ("--public-url", "not a url")] {
        fails(place.path(), &["serve", "--addr", "127.0.0.1:0", option, wrong], 2, &[wrong]);
    }
}
