//! The figures of Redis on the page that Prometheus reads.
//!
//! Only writes what a look found.

use std::fmt;

use super::page::Page;
use crate::{redis::GroupStatus, server::redis::Look};

/// The names and values of labels.
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// Writes what a look found.
pub(super) fn write(look: &Look, page: &mut Page<'_>) -> fmt::Result {
    page.gauge("planbus_redis_up", "Whether Redis told its figures.", u64::from(look.found.is_ok()))?;
    let Ok(found) = &look.found else { return Ok(()) };
    let told = |count: fn(&GroupStatus) -> Option<u64>| {
        found.groups.iter().filter_map(move |group| Some((labels(group), count(group)?)))
    };
    page.gauges(
        "planbus_consumer_lag_events",
        "Entries of a stream that a group has not read, where Redis can tell.",
        told(|group| group.info.lag),
    )?;
    page.gauges(
        "planbus_consumer_pending_events",
        "Entries that were delivered to a group and are not done.",
        told(|group| Some(group.info.pending)),
    )?;
    page.gauges(
        "planbus_consumer_waiting_events",
        "Those of the pending that wait for another attempt.",
        told(|group| Some(group.waiting)),
    )?;
    page.gauges(
        "planbus_dead_letters",
        "Dead letters that wait in a queue.",
        found
            .queues
            .iter()
            .map(|queue| -> (Labels<'_, 1>, u64) { ([("queue", &queue.count.queue)], queue.count.waiting) }),
    )?;
    page.gauge(
        "planbus_redis_left_out",
        "Groups and queues that are not told, since there are too many or their names are too long.",
        found.left_out,
    )
}

fn labels(group: &GroupStatus) -> Labels<'_, 2> {
    [("stream", &group.stream), ("group", &group.info.name)]
}
