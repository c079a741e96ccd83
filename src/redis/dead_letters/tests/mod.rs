//! Dead letters on real servers, from a pending entry to its replay.

mod burial;
mod letters;

use ::redis::{Value, cmd};

use super::{replayed::Replayed, *};
use crate::redis::{
    client::{Client, Reply},
    group_keys::GroupKeys,
    redis_support::{Fault, Proxy, RedisServer, ServerKind, wait_for},
    reply::Fields,
};

const GROUP: &str = "writers";
const CONSUMER: &str = "one.01J8ZQ4X9T6V7W8Y0ABCDEFGHK";
const STREAM: &str = "planbus:{acme}:events";
const DLQ: &str = "planbus:{acme}:events:dlq";

fn endpoint(server: &RedisServer) -> RedisEndpoint {
    RedisEndpoint::parse(&server.url()).expect("a URL")
}

fn id(text: &str) -> EntryId {
    text.parse().expect("an id")
}

/// A server with a pending entry in its stream.
struct Scene {
    server: RedisServer,
    client: Client,
    profile: Profile,
    keys: GroupKeys,
    fields: Fields,
}

fn bytes(fields: &[(&[u8], &[u8])]) -> Fields {
    fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Names that stand twice, that look like ours, and bytes that are no text.
fn hostile() -> Fields {
    bytes(&[
        (b"plan_id", b"p"),
        (b"_dlq_timestamp", b""),
        (b"plan_id", b""),
        (b"\xff\0", b"\xfe"),
        (b"", b""),
    ])
}

impl Scene {
    fn new(kind: ServerKind, fields: Fields) -> Option<Self> {
        Self::of(kind, Profile::native(), STREAM, fields)
    }

    fn of(kind: ServerKind, profile: Profile, stream: &str, fields: Fields) -> Option<Self> {
        Some(Self::on(RedisServer::builder().kind(kind).start()?, profile, stream, fields))
    }

    fn on(server: RedisServer, profile: Profile, stream: &str, fields: Fields) -> Self {
        let client = endpoint(&server).connect().expect("answers");
        let keys = GroupKeys::new(&profile, stream, GROUP);
        let mut scene = Self { server, client, profile, keys, fields };
        scene.add(stream, "7-1");
        scene
    }

    fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(endpoint(&self.server), self.profile.clone())
    }

    /// Makes the group in a stream, an entry, and the entry pending.
    fn add(&mut self, stream: &str, id: &str) {
        let _ = self.client.call(cmd("XGROUP").arg("CREATE").arg(stream).arg(GROUP).arg(0).arg("MKSTREAM"));
        let mut add = cmd("XADD");
        add.arg(stream).arg(id);
        for (name, value) in &self.fields {
            add.arg(name).arg(value);
        }
        self.answer(&add);
        let mut read = cmd("XREADGROUP");
        self.answer(read.arg("GROUP").arg(GROUP).arg(CONSUMER).arg("STREAMS").arg(stream).arg(">"));
    }

    fn answer(&mut self, command: &::redis::Cmd) -> Value {
        self.client.call(command).expect("connected").expect("allowed")
    }

    fn burial(&self) -> Burial<'_> {
        Burial {
            keys: &self.keys,
            group: GROUP,
            consumer: CONSUMER,
            id: id("7-1"),
            fields: &self.fields,
            attempts: 4,
            deliveries: 5,
            first_failed_ms: Some(1_770_814_718_123),
            error: "disk \"full\"",
            reason: DeadLetterReason::Failed,
            max_len: 100,
            lease: None,
            is_replay: false,
        }
    }

    fn bury(&mut self, change: impl FnOnce(&mut Burial<'_>)) -> Reply {
        let mut burial = self.burial();
        change(&mut burial);
        let command = burial.command(&self.profile);
        self.client.call(&command).expect("connected")
    }

    fn buried(&mut self, change: impl FnOnce(&mut Burial<'_>)) -> Buried {
        Buried::of_reply(self.bury(change).expect("not refused")).expect("an answer")
    }

    fn pending(&self, stream: &str) -> String {
        self.server.command(&["XPENDING", stream, GROUP, "-", "+", "10"])
    }

    fn letters(&mut self) -> Vec<(String, Fields)> {
        let letters = self.answer(cmd("XRANGE").arg(&self.keys.dlq).arg("-").arg("+"));
        reply::entries(letters).expect("entries")
    }

    /// The only letter, as it is read.
    fn letter(&mut self) -> (Fields, form::Facts) {
        let mut letters = self.letters();
        assert_eq!(letters.len(), 1, "{letters:?}");
        form::read(letters.remove(0).1, form::form(&self.profile))
    }

    fn count(&self, of: &str) -> String {
        self.server.command(&["HGET", &self.keys.counts, of])
    }
}
