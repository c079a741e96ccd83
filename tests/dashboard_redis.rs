//! The page in a real browser beside a real Redis: how all is, what groups have in hand, and dead letters,
//! which go back to their group by a press of a button.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]
#![allow(clippy::duplicate_mod, reason = "the browser and Redis are both installed by `./test`")]

mod consumer_support;
mod dashboard_support;
mod redis_support;
mod server_redis_support;
mod server_support;
mod store_support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use consumer_support::{Calls, builder};
use dashboard_support::Browser;
use planbus::{
    Event,
    redis::{Consumer, Delivery},
};
use redis_support::{Fsync, Persistence, RedisServer, wait_for};
use serde_json::json;
use server_redis_support::{QUEUE, STREAM, add_letter, mirror, watching};
use server_support::{
    Live,
    guarded::{ACME, CI, guarded},
};

/// What a handler says that a page must show as text.
const HOSTILE: &str = "card declined <img src=x onerror=alert(1)><script>alert(1)</script>";

/// A consumer that fails each third event until that is mended.
fn failing(redis: &RedisServer, is_mended: &Arc<AtomicBool>, calls: &Calls) -> Consumer {
    let (is_mended, calls) = (Arc::clone(is_mended), calls.clone());
    let consumer = builder(redis, "billing").handler(move |delivery: &Delivery| {
        let is_poison = delivery.event().seq().is_some_and(|seq| seq % 3 == 0);
        if is_poison && !is_mended.load(Ordering::SeqCst) {
            return Err(HOSTILE);
        }
        calls.note(delivery);
        Ok(())
    });
    consumer.expect("starts")
}

fn waiting(redis: &RedisServer) -> String {
    redis.command(&["XLEN", QUEUE])
}

#[test]
fn p8_dead_letters_are_understood_in_the_page_and_replayed_to_their_group_alone() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    let Some(mut page) = Browser::start("dead_letters.mjs", &live.server.url()) else { return };
    page.reach("no stream yet");
    for at in 1..=6 {
        live.note("plan/poison", at);
    }
    let _mirror = mirror(&live, &redis);
    let (is_mended, calls) = (Arc::new(AtomicBool::new(false)), Calls::default());
    let _consumer = failing(&redis, &is_mended, &calls);
    wait_for("both are given up", || waiting(&redis) == "2");
    // Of a group that is gone, and the newest of all.
    add_letter(&redis, "99999999999999-1", "long-gone", "nobody there");
    page.reach("understood");
    is_mended.store(true, Ordering::SeqCst);
    page.reach("replayed");
    wait_for("one of them is handled, by its group", || calls.all().len() == 5);
    page.reach("refused");
    assert_eq!(waiting(&redis), "2", "the one that was not chosen, and the one of no group");
    assert_eq!(calls.all().len(), 5, "nothing was replayed that was not chosen");
    page.finish();
}

#[test]
fn health_says_the_worst_first_and_what_to_do_and_that_all_is_well_again() {
    let durable = Persistence::Aof { fsync: Fsync::Always };
    let Some(redis) = RedisServer::builder().persistence(durable).start() else { return };
    let live = watching(&redis);
    live.note("plan", 1);
    let _mirror = mirror(&live, &redis);
    let Some(mut page) = Browser::start("health.mjs", &live.server.url()) else { return };
    page.reach("well");
    // A group that nobody works for, with an event in hand.
    redis.command(&["XGROUP", "CREATE", STREAM, "audit", "0"]);
    redis.command(&["XREADGROUP", "GROUP", "audit", "one", "COUNT", "1", "STREAMS", STREAM, ">"]);
    page.reach("in hand");
    redis.command(&["XGROUP", "DESTROY", STREAM, "audit"]);
    add_letter(&redis, "1-1", "billing", "no such column");
    page.reach("a letter");
    redis.kill();
    page.reach("away");
    redis.restart();
    redis.command(&["DEL", QUEUE]);
    page.finish();
}

#[test]
fn p10_a_token_of_one_tenant_sees_its_rate_and_nothing_of_the_server() {
    let live: Live = guarded();
    let given = json!({"acme": ACME, "ci": CI});
    let Some(mut page) = Browser::start_with("limited.mjs", &live.server.url(), &given) else { return };
    page.reach("signed in");
    for at in 0..20 {
        let event = Event::untyped("plan", "note", json!({"at": at})).with_tenant("acme");
        live.bus.publish(event).expect("publishes");
    }
    page.finish();
}

#[test]
fn health_and_dead_letters_are_accessible_and_fit_a_narrow_screen() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    live.note("plan", 1);
    let _mirror = mirror(&live, &redis);
    redis.command(&["XGROUP", "CREATE", STREAM, "audit", "0"]);
    redis.command(&["XREADGROUP", "GROUP", "audit", "one", "COUNT", "1", "STREAMS", STREAM, ">"]);
    add_letter(&redis, "1-1", "billing", &format!("no such column {}", "x".repeat(500)));
    let encoded = "planbus%3A%7Bdefault%7D%3Aevents";
    let views = json!({"views": [
        {"hash": "#/health", "text": "Groups"},
        {"hash": format!("#/health?stream={encoded}&group=audit"), "text": "delivered once"},
        {"hash": "#/dead-letters", "text": "no such column"},
        {"hash": format!("#/dead-letters?letter=1-1%40{encoded}%3Adlq"), "text": "Fields of the entry"},
    ]});
    for script in ["accessible.mjs", "narrow.mjs"] {
        let Some(page) = Browser::start_with(script, &live.server.url(), &views) else { return };
        page.finish();
    }
}
