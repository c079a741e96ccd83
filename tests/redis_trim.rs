//! Trimming, on every kind of server: what a group has not read and acked stays, whatever the rule.

#![cfg(feature = "redis")]

mod redis_support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use planbus::redis::{EntryId, Profile, RedisEndpoint, Streams, TrimReport, TrimRule};
use redis_support::*;

const STREAM: &str = "planbus:{default}:events";
/// A group by which a mirror keeps its place.
const MIRROR: &str = "planbus:01J8ZQ4X9T6V7W8Y0ABCDEFGHK";

fn streams(server: &RedisServer) -> Streams {
    Streams::new(RedisEndpoint::parse(&server.url()).expect("a URL"), Profile::native())
}

/// Appends entries with the ids `from-0` to `to-0`.
fn fill(server: &RedisServer, from: u64, to: u64) {
    let mut wire = server.wire().expect("connects");
    for number in from..=to {
        wire.send(&["XADD", STREAM, &format!("{number}-0"), "number", &number.to_string()]).expect("sends");
    }
    (from..=to).for_each(|_| drop(wire.receive().expect("answers")));
}

fn ids(server: &RedisServer) -> Vec<u64> {
    let number = |id: &str| id.split_once('-').expect("an id").0.parse().expect("a number");
    server.entries(STREAM).iter().map(|(id, _)| number(id)).collect()
}

fn each_kind(test: impl Fn(&RedisServer)) {
    for kind in [ServerKind::Redis7, ServerKind::Redis62, ServerKind::Valkey] {
        if let Some(server) = RedisServer::builder().kind(kind).start() {
            test(&server);
        }
    }
}

fn report(removed: u64, held_by: Option<&str>) -> TrimReport {
    let mut report = TrimReport::default();
    (report.removed, report.held_by) = (removed, held_by.map(str::to_owned));
    report
}

#[test]
fn every_rule_keeps_exactly_what_it_says() {
    each_kind(|server| {
        fill(server, 1, 25_000);
        let streams = streams(server);
        let trim = |rule| streams.trim(STREAM, rule, false).expect("trims");
        assert_eq!(trim(TrimRule::MaxLen(30_000)), report(0, None));
        assert_eq!(trim(TrimRule::MaxLen(1_234)), report(23_766, None));
        assert_eq!(ids(server), (23_767..=25_000).collect::<Vec<_>>());
        assert_eq!(trim(TrimRule::MinId("24950-0".parse().expect("an id"))), report(1_183, None));
        assert_eq!(ids(server), (24_950..=25_000).collect::<Vec<_>>());
        assert_eq!(trim(TrimRule::MinId(EntryId::ZERO)), report(0, None));
        assert_eq!(trim(TrimRule::OlderThan(Duration::from_secs(1 << 40))), report(0, None));
        // Their ids are of the year 1970.
        server.command(&["XADD", STREAM, "*", "number", "new"]);
        assert_eq!(trim(TrimRule::OlderThan(Duration::from_secs(3_600))), report(51, None));
        assert_eq!(trim(TrimRule::MaxLen(0)), report(1, None));
        assert_eq!(ids(server), Vec::<u64>::new());
    });
}

#[test]
fn p9_what_a_group_has_not_read_or_not_acked_stays_unless_forced() {
    each_kind(|server| {
        fill(server, 1, 1_000);
        let streams = streams(server);
        let trim = |force| streams.trim(STREAM, TrimRule::MaxLen(10), force).expect("trims");
        server.command(&["XGROUP", "CREATE", STREAM, "slow", "0"]);
        server.command(&["XGROUP", "CREATE", STREAM, "done", "$"]);
        assert_eq!(trim(false), report(0, Some("slow")));
        server.command(&["XREADGROUP", "GROUP", "slow", "one", "COUNT", "450", "STREAMS", STREAM, ">"]);
        assert_eq!(trim(false), report(0, Some("slow")), "read, and not acked");
        for number in (1..=449).filter(|number| *number != 333) {
            server.command(&["XACK", STREAM, "slow", &format!("{number}-0")]);
        }
        assert_eq!(trim(false), report(332, Some("slow")));
        assert_eq!(ids(server)[0], 333);
        server.command(&["XACK", STREAM, "slow", "333-0"]);
        assert_eq!(trim(false), report(117, Some("slow")));
        assert_eq!(ids(server)[0], 450);
        assert_eq!(trim(true), report(541, None));
        assert_eq!(ids(server), (991..=1_000).collect::<Vec<_>>());
        // A group whose pending entry was taken from it holds back nothing but what is still there.
        assert_eq!(trim(false), report(0, None));
        fill(server, 1_001, 1_020);
        assert_eq!(trim(false), report(0, Some("slow")));
    });
}

#[test]
fn p9_a_reader_that_is_named_like_a_mirror_is_trimmed_over_no_more_than_another() {
    each_kind(|server| {
        fill(server, 1, 5_000);
        server.command(&["XGROUP", "CREATE", STREAM, MIRROR, "0"]);
        server.command(&["XGROUP", "CREATE", STREAM, "planbus:workers", "0"]);
        let streams = streams(server);
        let trimmed = streams.trim(STREAM, TrimRule::MaxLen(10), false).expect("trims");
        assert_eq!(trimmed, report(0, Some("planbus:workers")));
        let info = streams.info(STREAM).expect("is there");
        assert_eq!(info.groups.iter().map(|group| &group.name).collect::<Vec<_>>(), ["planbus:workers"]);
        assert_eq!((info.mirrors.len(), info.held_by.is_some()), (1, true));
        assert_eq!(streams.rebuild(STREAM).expect("rebuilds").groups, ["planbus:workers"]);
        assert_eq!(server.call(&["XINFO", "GROUPS", STREAM]).items().len(), 1, "the mirror's place is gone");
    });
}

#[test]
fn a_mirrors_position_is_no_reader_and_ids_of_any_size_are_understood() {
    each_kind(|server| {
        fill(server, 1, 50);
        server.command(&["XGROUP", "CREATE", STREAM, MIRROR, "3-18446744073709551615"]);
        server.command(&["XADD", STREAM, "18446744073709551614-18446744073709551615", "a", "1"]);
        server.command(&["XADD", STREAM, &EntryId::MAX.to_string(), "a", "1"]);
        server.command(&["XGROUP", "CREATE", STREAM, "all", "$"]);
        let streams = streams(server);
        let held = streams.trim(STREAM, TrimRule::MaxLen(2), false).expect("trims");
        assert_eq!(held, report(50, None));
        assert_eq!(streams.info(STREAM).expect("is there").held_by, None);
    });
}

#[test]
fn p9_whatever_groups_do_no_trim_takes_an_entry_from_one() {
    each_kind(|server| {
        for seed in 0..8 {
            server.command(&["DEL", STREAM]);
            let mut random = Random(seed);
            let mut model = Model::default();
            for _ in 0..60 {
                model.act(server, &mut random);
            }
            assert!(model.trimmed > 0, "seed {seed} tried nothing");
        }
    });
}

/// What each group has still to read or to ack, as a client sees it.
#[derive(Default)]
struct Model {
    last: u64,
    groups: Vec<(String, u64, BTreeSet<u64>)>,
    trimmed: u64,
}

impl Model {
    fn act(&mut self, server: &RedisServer, random: &mut Random) {
        match random.below(6) {
            0 | 1 => {
                let count = 1 + random.below(200);
                fill(server, self.last + 1, self.last + count);
                self.last += count;
            }
            2 if self.groups.len() < 4 && self.last > 0 => {
                let name = format!("group-{}", self.groups.len());
                server.command(&["XGROUP", "CREATE", STREAM, &name, "$"]);
                self.groups.push((name, self.last, BTreeSet::new()));
            }
            3 => self.read(server, random),
            4 => {
                let at = random.below(self.groups.len().max(1) as u64) as usize;
                let Some((name, _, pending)) = self.groups.get_mut(at) else { return };
                for id in pending.iter().copied().filter(|_| random.below(3) > 0).collect::<Vec<_>>() {
                    server.command(&["XACK", STREAM, name, &format!("{id}-0")]);
                    pending.remove(&id);
                }
            }
            _ => self.trim(server, random),
        }
    }

    fn read(&mut self, server: &RedisServer, random: &mut Random) {
        let at = random.below(self.groups.len().max(1) as u64) as usize;
        let Some((name, read, pending)) = self.groups.get_mut(at) else { return };
        let count = (1 + random.below(150)).to_string();
        let command = ["XREADGROUP", "GROUP", name, "one", "COUNT", &count, "STREAMS", STREAM, ">"];
        let Some(Reply::Array(stream)) = server.call(&command).items().into_iter().next() else { return };
        let entries = delivered_ids(stream);
        for id in entries {
            assert_eq!(id, *read + 1, "{name} got the next entry");
            *read = id;
            pending.insert(id);
        }
    }

    fn trim(&mut self, server: &RedisServer, random: &mut Random) {
        if self.last == 0 {
            return;
        }
        let rule = match random.below(2) {
            0 => TrimRule::MaxLen(random.below(300)),
            _ => TrimRule::MinId(format!("{}-0", random.below(self.last + 1)).parse().expect("an id")),
        };
        self.trimmed += streams(server).trim(STREAM, rule, false).expect("trims").removed;
        let there: BTreeSet<u64> = ids(server).into_iter().collect();
        for (name, read, pending) in &self.groups {
            let missing = pending.iter().copied().chain(*read + 1..=self.last).find(|id| !there.contains(id));
            assert_eq!(missing, None, "taken from {name} by {rule:?}");
        }
    }
}

/// The ids of what `XREADGROUP` answered for one stream.
fn delivered_ids(stream: Vec<Reply>) -> Vec<u64> {
    let entries = stream.into_iter().nth(1).map(Reply::items).unwrap_or_default();
    let id = |entry: Reply| entry.items().into_iter().next().map(|id| id.to_string()).unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| id(entry).split_once('-').expect("an id").0.parse().expect("a number"))
        .collect()
}

/// Numbers that look random, the same for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn a_long_trim_leaves_the_server_to_others_between_its_steps() {
    let Some(server) = RedisServer::start() else { return };
    let append = "for i = 1, 5000 do redis.call('XADD', KEYS[1], '*', 'a', i) end";
    for _ in 0..60 {
        server.command(&["EVAL", append, "1", STREAM]);
    }
    let streams = streams(&server);
    let begun = Instant::now();
    let trimming = std::thread::spawn(move || streams.trim(STREAM, TrimRule::MaxLen(10), false));
    let mut wire = server.wire().expect("connects");
    let mut lengths = BTreeSet::new();
    while !trimming.is_finished() {
        lengths.insert(wire.call(&["XLEN", STREAM]).expect("answers").to_string());
    }
    assert_eq!(trimming.join().expect("no panic").expect("trims").removed, 299_990, "{:?}", begun.elapsed());
    assert!(lengths.len() > 2, "others were let in between: {lengths:?}");
}
