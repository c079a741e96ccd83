//! Lists that a server answers: followed from page to page, or refused.

use serde_json::Value;

use super::Live;

/// Follows a list from page to page; calls a closure before each page but the first.
pub(crate) fn pages(live: &Live, path: &str, list: &str, mut between: impl FnMut()) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let (status, mut page) = live.get(&path);
        assert_eq!(status, 200, "{path}: {page}");
        pages.push(page[list].take().as_array().expect("a list").clone());
        next = page["next"].as_str().map(str::to_owned);
        between();
    }
    pages
}

pub(crate) fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().expect("a seq")).collect()
}

/// The seqs of all events that a path lists.
pub(crate) fn found(live: &Live, path: &str) -> Vec<u64> {
    seqs(&pages(live, path, "events", || ()).concat())
}

/// The status and message of a refusal.
pub(crate) fn refused(live: &Live, path: &str) -> (u64, String) {
    let (status, body) = live.get(path);
    let error = &body["error"];
    assert_eq!(error["status"], status, "{path}: {body}");
    (status.into(), error["message"].as_str().expect("a message").to_owned())
}
