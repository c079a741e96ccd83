//! Pages of what is found, and text of any kind.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;
use crate::store::Retention;

/// Every page of a query, from the first to the last.
fn all_pages(index: &SearchIndex, query: &SearchQuery, newest_first: bool) -> Vec<u64> {
    let mut next = query.clone();
    let mut seen = Vec::new();
    loop {
        let page = search(index, &next);
        assert!(page.events.len() <= query.page_limit());
        seen.extend(seqs(&page));
        match page.next {
            Some(seq) if newest_first => next = query.clone().before(seq),
            Some(seq) => next = query.clone().after(seq),
            None => return seen,
        }
    }
}

#[test]
fn nothing_is_doubled_or_missed_across_pages_while_the_log_grows() {
    let fixture = Fixture::new();
    fixture.fill(300);
    let index = fixture.index();
    for limit in [1, 7, 64, 65, 299, 300] {
        let query = SearchQuery::new("common").limit(limit);
        assert!(all_pages(&index, &query, true).into_iter().eq((1..=300).rev()), "{limit}");
        assert!(all_pages(&index, &query.oldest_first(), false).into_iter().eq(1..=300), "{limit}");
    }
    let query = SearchQuery::new("common").limit(100);
    let first = search(&index, &query);
    fixture.fill(50);
    complete(&index);
    let second = search(&index, &query.clone().before(first.next.expect("more")));
    assert!([seqs(&first), seqs(&second)].concat().into_iter().eq((101..=300).rev()));
    assert_eq!(search(&index, &query.limit(350)).next, None, "nothing is after the last");
}

#[test]
fn what_retention_took_is_left_out_at_once_and_leaves_the_index() {
    let fixture = Fixture::new();
    fixture.fill(2_500);
    let index = fixture.index();
    fixture.store.prune(Retention::keep_last(80)).expect("prunes");
    let query = SearchQuery::new("common").limit(50).oldest_first();
    assert!(all_pages(&index, &query, false).into_iter().eq(2_421..=2_500));
    let first = index.catch_up(0).expect("removes");
    assert!(!first.is_complete(), "in steps");
    complete(&index);
    let rows = |sql: &str| {
        let connection = rusqlite::Connection::open(fixture.path()).expect("opens");
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counts")
    };
    assert_eq!(rows("SELECT count(*) FROM words_docsize"), 80);
    check_exact(&fixture, &index);
}

#[test]
fn a_page_that_would_be_too_large_ends_early_and_names_the_next() {
    let fixture = Fixture::new();
    let large = format!("common {}", "-".repeat(3 << 20));
    for _ in 0..4 {
        fixture.save("plan", "cat", &large);
    }
    let index = fixture.index();
    let page = search(&index, &SearchQuery::new("common"));
    assert_eq!((seqs(&page), page.next), (vec![4, 3, 2], Some(2)));
    assert_eq!(all_pages(&index, &SearchQuery::new("common"), true), [4, 3, 2, 1]);
}

#[test]
fn the_longest_texts_are_searched() {
    let fixture = Fixture::new();
    fixture.fill(1);
    let index = fixture.index();
    let numbers: Vec<String> = (0..204).map(|number| format!("w{number:03}")).collect();
    let many = numbers.join(" ");
    fixture.save("plan", "cat", &many);
    complete(&index);
    assert!(many.len() > 1_000);
    assert_eq!(found(&index, &many), [2]);
    assert_eq!(found(&index, &format!("\"{many}\"")), [2]);
    assert_eq!(found(&index, &"w*".repeat(512)), [0; 0]);
    assert_eq!(found(&index, &"a ".repeat(512)), [0; 0]);
}

/// What is typed by people, and by those who want to get at the index.
fn typed() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "\\PC{0,12}",
        "[a-c]{1,2}",
        proptest::sample::select(vec![
            "\"",
            "*",
            " ",
            "(",
            ")",
            ":",
            "^",
            "+",
            "-",
            "AND",
            "OR",
            "NOT",
            "NEAR(a b, 2)",
            "scope:",
            "{text}:",
            "'",
            ";",
            "\0",
            "¶",
            "e\u{301}",
            "\u{301}",
            "İ",
            "ß",
            "任务",
            "📦",
            "camelCase",
            "x_y/z.rs",
        ])
        .prop_map(str::to_owned),
    ];
    vec(part, 1..12).prop_map(|parts| parts.concat())
}

#[test]
fn p11_any_text_is_searched_for_literally_and_finds_the_event_that_holds_it() {
    let fixture = Fixture::new();
    let index = fixture.index();
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    proptest!(config, |(text in typed())| {
        prop_assume!(text.len() <= 1_024 && !text.is_empty());
        let seq = fixture.save("plan", "tool", &text);
        complete(&index);
        let query = SearchQuery::new(&text).limit(1_000);
        match index.search(&Tenant::default(), &query) {
            Ok(page) => prop_assert!(seqs(&page).contains(&seq), "{text:?}"),
            Err(error) => {
                prop_assert_eq!(error.to_string(), "q: must have a letter or a digit to look for");
                prop_assert!(words::words(&text).next().is_none());
            }
        }
        let other = SearchQuery::new(&format!("neverwritten {text}"));
        prop_assert!(search(&index, &other).events.is_empty(), "no text widens a search: {text:?}");
    });
}

#[test]
fn a_search_finds_just_the_events_that_have_all_its_words() {
    let fixture = Fixture::new();
    let index = fixture.index();
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let word = || proptest::sample::select(vec!["red", "green", "blue", "cyan"]);
    let mut log: Vec<BTreeSet<&str>> = Vec::new();
    let log = std::cell::RefCell::new(&mut log);
    proptest!(config, |(events in vec(vec(word(), 1..4), 1..5), asked in vec(word(), 1..4), limit in 1usize..70)| {
        let mut log = log.borrow_mut();
        for words in events {
            fixture.save("plan", "tool", &words.join(" "));
            log.push(words.into_iter().collect());
        }
        complete(&index);
        let asked_for: BTreeSet<&str> = asked.iter().copied().collect();
        let expected: Vec<u64> =
            (1..).zip(log.iter()).filter(|(_, words)| asked_for.is_subset(words)).map(|(seq, _)| seq).collect();
        let query = SearchQuery::new(&asked.join(" ")).limit(limit).oldest_first();
        prop_assert_eq!(all_pages(&index, &query, false), expected);
    });
}
