//! [`GroupKeys`]: the keys of what a group of consumers keeps beside a stream.
//!
//! All of them begin with the key of the stream's dead letters, so that a Cluster which keeps the two
//! in one place keeps these there, too, and one script can touch them all.

use super::{group::mirror_of, profile::Profile};
use crate::error::{Error, Result};

/// The most bytes of a group's name.
const GROUP_MAX_BYTES: usize = 256;

/// The keys of one stream and of what one group keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupKeys {
    /// The stream.
    pub(super) stream: String,
    /// A stream: the dead letters of all groups of the stream.
    pub(super) dlq: String,
    /// A hash: how many dead letters were moved there, dropped at the limit, replayed and purged.
    pub(super) counts: String,
    /// A sorted set: the pending entries that wait for another attempt, by the server's time in
    /// milliseconds at which they are due.
    pub(super) due: String,
    /// A hash: what is known of the failures of a pending entry, by its id.
    pub(super) failures: String,
    /// A text: who alone may consume the stream for a group that keeps plans in order.
    pub(super) lease: String,
    /// A sorted set: who stands by for the lease, by the server's time in milliseconds until which
    /// that is true.
    pub(super) standby: String,
    /// A stream: dead letters that were sent back to this group, and to no other.
    pub(super) replay: String,
}

impl GroupKeys {
    /// The keys of a group of this stream.
    pub(super) fn new(profile: &Profile, stream: &str, group: &str) -> Self {
        let dlq = profile.dlq_key(stream);
        // Streams may share a queue; an id is one of its own stream.
        let own = if dlq == format!("{stream}:dlq") { dlq.clone() } else { format!("{dlq}:{stream}") };
        let of_group = |part: &str| format!("{own}:{group}:{part}");
        Self {
            stream: stream.to_owned(),
            counts: counts_key(&dlq),
            due: of_group("due"),
            failures: of_group("failures"),
            lease: of_group("lease"),
            standby: of_group("standby"),
            replay: of_group("replay"),
            dlq,
        }
    }

    /// The keys of the same group for what was sent back to it: the stream is that of its replays. Ids
    /// of entries may be the same in both.
    pub(super) fn for_replays(&self) -> Self {
        let of_replay = |key: &str| format!("{key}:replay");
        Self {
            stream: self.replay.clone(),
            due: of_replay(&self.due),
            failures: of_replay(&self.failures),
            lease: of_replay(&self.lease),
            standby: of_replay(&self.standby),
            ..self.clone()
        }
    }
}

/// The key of the counts beside dead letters.
pub(super) fn counts_key(dlq: &str) -> String {
    format!("{dlq}:counts")
}

/// Refuses what no group of consumers can be called.
pub(crate) fn check_group(group: &str) -> Result<()> {
    let problem = match group.len() {
        1..=GROUP_MAX_BYTES if group.chars().any(char::is_control) => {
            "must have no control characters".to_owned()
        }
        1..=GROUP_MAX_BYTES if mirror_of(group.as_bytes()).is_some() => {
            format!("{group:?} is the place of a mirror, which no consumer may move")
        }
        1..=GROUP_MAX_BYTES => return Ok(()),
        bytes => format!("must be 1 to {GROUP_MAX_BYTES} bytes, got {bytes}"),
    };
    Err(Error::invalid("group", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_groups_share_a_key_and_none_is_that_of_a_stream() {
        let profile = Profile::per_type();
        let of = |group: &str| {
            let keys = GroupKeys::new(&profile, "events:a", group);
            [keys.due, keys.failures, keys.lease, keys.standby, keys.replay]
        };
        let mut all: Vec<String> = ["a", "a:due", "due", "a:replay", "counts", ":"].map(of).concat();
        all.push("events:a:dlq:counts".to_owned());
        all.push("events:a:dlq".to_owned());
        assert!(all.iter().all(|key| !profile.is_stream(key)), "{all:?}");
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn streams_that_share_a_queue_share_nothing_else() {
        let profile = Profile::native().with_dlq_key("dead:{<tenant>}");
        let profile = profile.and_then(|profile| profile.with_key("x:{<tenant>}:<plan>")).expect("valid");
        let [a, b] = ["x:{acme}:a", "x:{acme}:b"].map(|stream| GroupKeys::new(&profile, stream, "g"));
        assert_eq!(a.dlq, b.dlq);
        assert!(a.due != b.due && a.failures != b.failures && a.lease != b.lease && a.replay != b.replay);
        assert!(a.due.starts_with("dead:{acme}:"), "{}", a.due);
    }

    #[test]
    fn the_page_names_each_key_of_a_group() {
        let page = include_str!("../../EVENTS.md");
        let GroupKeys { stream: _, dlq, counts, due, failures, lease, standby, replay } =
            GroupKeys::new(&Profile::native(), "planbus:{default}:events", "workers");
        for key in [dlq, counts, due, failures, lease, standby, replay] {
            assert!(page.contains(&format!("\n| `{key}` | a")), "{key}");
        }
    }

    #[test]
    fn p11_a_group_that_nobody_may_have_is_refused_by_name() {
        for group in ["", "a\nb", "planbus:01J8ZQ4X9T6V7W8Y0ABCDEFGHK", &"x".repeat(257)] {
            let error = check_group(group).expect_err(group);
            assert!(error.to_string().starts_with("group: "), "{error}");
        }
        for group in ["db-writers", "planbus:workers", "ü", &"x".repeat(256)] {
            check_group(group).expect(group);
        }
    }
}
