//! The dashboard's files: who is given them, and what their answers forbid a browser.

#![cfg(feature = "server")]

mod server_support;

use planbus::server::AccessToken;
use server_support::{
    Live,
    guarded::{get, guarded, json},
    wire::Answer,
};

const HTML: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn page(live: &Live) -> Answer {
    get(live, "/", &[HTML])
}

/// What the page names as its own.
fn named(page: &str) -> Vec<String> {
    let rest = page.split(['"']).filter(|part| part.starts_with("assets/"));
    rest.map(|path| format!("/{path}")).collect()
}

#[test]
fn the_page_is_for_browsers_and_the_list_of_routes_for_everybody_else() {
    let live = Live::start();
    let html = page(&live);
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(html.body.contains(r#"<base href="/">"#), "{}", html.body);
    let routes = get(&live, "/", &[("Accept", "*/*")]);
    assert_eq!(routes.header("content-type"), Some("application/json"));
    assert!(json(&routes)["routes"].as_array().is_some_and(|routes| routes.contains(&"/events".into())));
    for answer in [&html, &routes] {
        assert_eq!(answer.header("vary"), Some("Accept"));
    }
}

#[test]
fn every_file_that_the_page_names_is_there_and_is_sent_once() {
    let live = Live::start();
    let files = named(&page(&live).body);
    assert!(files.len() > 4, "{files:?}");
    for path in files {
        let answer = get(&live, &path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = get(&live, &path, &[("If-None-Match", &tag)]);
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(&*tag)));
        assert_eq!(get(&live, &path, &[("If-None-Match", "\"another\"")]).status, 200);
    }
    for path in [
        "/assets/none.js",
        "/assets/",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/index.html",
    ] {
        assert_eq!(get(&live, path, &[]).status, 404, "{path}");
    }
}

#[test]
fn p11_a_browser_takes_no_script_but_ours_and_no_text_for_html() {
    let live = Live::start();
    let html = page(&live);
    let policy = html.header("content-security-policy").expect("a policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types planbus",
    ] {
        assert!(policy.split(';').any(|rule| rule.trim() == part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let script = get(&live, "/assets/app.js", &[]);
    for answer in [&html, &script] {
        assert_eq!(answer.header("content-security-policy"), Some(policy));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
    let inline = html.body.split("<script").skip(1).filter(|script| {
        !script.starts_with(" src=")
            && !script.starts_with(" type=\"module\" src=")
            && !script.starts_with(" defer src=")
    });
    assert_eq!(inline.count(), 0, "no script stands in the page");
}

#[test]
fn p10_strangers_are_given_the_page_by_which_they_sign_in_and_nothing_that_it_shows() {
    let live = guarded();
    assert_eq!(page(&live).status, 200);
    assert_eq!(get(&live, "/assets/app.js", &[]).status, 200);
    for path in ["/events", "/plans", "/stats", "/redis", "/assets", "/events/stream?format=brief"] {
        assert_eq!(get(&live, path, &[]).status, 401, "{path}");
    }
    let foreign = [HTML, ("Origin", "http://evil.example")];
    assert_eq!(get(&live, "/", &foreign).status, 403, "no foreign page may read it");
    for path in ["/", "/assets/app.js"] {
        let renamed = [HTML, ("Host", "evil.example")];
        assert_eq!(get(&live, path, &renamed).status, 421, "{path} by a name that is not the server's");
    }
    live.server.add_token(AccessToken::new("late", "the-secret-of-late-late")).expect("is added");
    assert_eq!(page(&live).status, 200);
}
