//! The page in a real browser beside a Redis: what groups gave up, and how it is sent back.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]

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
use planbus::redis::Delivery;
use redis_support::{RedisServer, wait_for};
use server_redis_support::{QUEUE, mirror, watching};

#[test]
fn p8_what_a_group_gave_up_is_replayed_from_the_page_and_handled() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    (1..=6).for_each(|at| {
        live.note("plan/poison", at);
    });
    let _mirror = mirror(&live, &redis);
    let (is_mended, handled) = (Arc::new(AtomicBool::new(false)), Calls::default());
    let (mended, noted) = (Arc::clone(&is_mended), handled.clone());
    let consumer = builder(&redis, "writers").handler(move |delivery: &Delivery| {
        let is_poison = delivery.event().seq().is_some_and(|seq| seq % 3 == 0);
        if is_poison && !mended.load(Ordering::SeqCst) {
            return Err("no such column: <script>alert(1)</script>");
        }
        noted.note(delivery);
        Ok(())
    });
    let _consumer = consumer.expect("starts");
    wait_for("both are given up", || redis.command(&["XLEN", QUEUE]) == "2");
    let Some(mut page) = Browser::start("dead_letters.mjs", &live.server.url()) else { return };
    page.reach("seen");
    assert_eq!(handled.all().len(), 4);
    is_mended.store(true, Ordering::SeqCst);
    page.reach("replayed");
    wait_for("it is handled", || handled.all().len() == 5);
    page.finish();
    wait_for("the other is handled too", || handled.all().len() == 6);
}
