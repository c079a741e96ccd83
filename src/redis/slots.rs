//! Which master of a Cluster a command belongs to: its first key, the key's slot, the slot's owner.
//!
//! Pure: it connects to nothing.

use ::redis::{Arg, Cmd, Value};

use super::{reply, settings::Address};
use crate::error::Result;

/// How many slots the keys of a Cluster are divided into.
const SLOTS: u16 = 16_384;

/// Commands whose key stands behind a word of the command: `XINFO STREAM key`.
const KEY_AFTER_WORD: &[&[u8]] = &[b"MEMORY", b"OBJECT", b"XGROUP", b"XINFO"];

/// Commands whose number of keys stands before the keys: `EVALSHA sha 1 key`.
const KEY_AFTER_COUNT: &[&[u8]] = &[b"EVAL", b"EVALSHA", b"EVALSHA_RO", b"EVAL_RO", b"FCALL", b"FCALL_RO"];

/// Commands about a server, not about a key.
const KEYLESS: &[&[u8]] = &[
    b"ACL", b"CLIENT", b"CLUSTER", b"COMMAND", b"CONFIG", b"DBSIZE", b"HELLO", b"INFO", b"PING", b"ROLE",
    b"SCAN", b"SCRIPT", b"TIME", b"WAIT",
];

/// The masters of a Cluster and the slots that each owns.
#[derive(Debug)]
pub(super) struct SlotMap {
    pub(super) masters: Vec<Address>,
    /// First slot, last slot, index of the master.
    ranges: Vec<(u16, u16, usize)>,
}

impl SlotMap {
    /// Reads the answer of `CLUSTER SLOTS`. A node that does not know its own name is the one that
    /// was asked.
    pub(super) fn read(answer: Value, asked: &Address) -> Result<Self> {
        let mut map = Self { masters: Vec::new(), ranges: Vec::new() };
        for range in reply::list(answer)? {
            let mut parts = reply::list(range)?.into_iter();
            let mut next = || parts.next().ok_or_else(|| reply::unexpected("a range of slots"));
            let (first, last, master) = (slot_number(next()?)?, slot_number(next()?)?, next()?);
            let mut master = reply::list(master)?.into_iter();
            let host = match master.next() {
                None | Some(Value::Nil) => String::new(),
                Some(host) => reply::text(host)?,
            };
            let port = reply::integer(master.next().unwrap_or(Value::Nil))?;
            let address = Address {
                host: if host.is_empty() { asked.host.clone() } else { host },
                port: u16::try_from(port).map_err(|_| reply::unexpected("a port"))?,
            };
            let known = map.masters.iter().position(|known| *known == address);
            let master = known.unwrap_or_else(|| {
                map.masters.push(address);
                map.masters.len() - 1
            });
            map.ranges.push((first, last, master));
        }
        Ok(map)
    }

    /// The index of the master that owns a slot; none where the Cluster has lost it.
    pub(super) fn owner(&self, slot: u16) -> Option<usize> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.map(|(_, _, master)| *master)
    }
}

fn slot_number(value: Value) -> Result<u16> {
    u16::try_from(reply::integer(value)?).map_err(|_| reply::unexpected("a number of a slot"))
}

/// The slot of a command's first key; none for a command about a server.
pub(super) fn slot_of(command: &Cmd) -> Option<u16> {
    let mut arguments = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => bytes,
        _ => b"".as_slice(),
    });
    let name = arguments.next()?.to_ascii_uppercase();
    let key = match name.as_slice() {
        name if KEYLESS.contains(&name) => None,
        name if KEY_AFTER_WORD.contains(&name) => arguments.nth(1),
        name if KEY_AFTER_COUNT.contains(&name) => match arguments.nth(1) {
            Some(b"0") => None,
            _ => arguments.next(),
        },
        // A group may be named like the word that comes before the keys.
        b"XREADGROUP" => after_streams(arguments.skip(3)),
        b"XREAD" => after_streams(arguments),
        _ => arguments.next(),
    };
    key.map(slot)
}

fn after_streams<'a>(mut arguments: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    arguments.find(|argument| argument.eq_ignore_ascii_case(b"STREAMS"))?;
    arguments.next()
}

/// The slot of a key: a checksum of what stands in its first braces, or of all of it.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').map(|open| &key[open + 1..]);
    let tag = tag.and_then(|rest| Some(&rest[..rest.iter().position(|byte| *byte == b'}')?]));
    checksum(tag.filter(|tag| !tag.is_empty()).unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(
            sum ^ u16::from(*byte) << 8,
            |sum, _| {
                if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_the_specification_gives_it() {
        assert_eq!(checksum(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` answers.
        let cases: [(&[u8], u16); 5] = [
            (b"", 0),
            (b"foo", 12182),
            (b"somekey", 11058),
            (b"foo{hash_tag}", 2515),
            (b"planbus:{default}:events", slot(b"default")),
        ];
        for (key, expected) in cases {
            assert_eq!(slot(key), expected, "{}", key.escape_ascii());
        }
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        // An empty tag is none, and only the first brace counts.
        assert_ne!(slot(b"{}a"), slot(b"{}b"));
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
    }

    #[test]
    fn a_command_goes_to_the_slot_of_its_first_key() {
        let key = Some(slot(b"k"));
        let cases = [
            ("XADD k * a b", key),
            ("xadd k * a b", key),
            ("EVAL script 2 k other argument", key),
            ("EVALSHA sha 1 k argument", key),
            ("EVAL script 0 argument", None),
            ("XREAD COUNT 10 BLOCK 5 STREAMS k other 0 0", key),
            ("XREADGROUP GROUP streams me COUNT 1 STREAMS k >", key),
            ("XINFO STREAM k FULL", key),
            ("XGROUP CREATE k g 0", key),
            ("MEMORY USAGE k", key),
            ("DEL k other", key),
            ("PING", None),
            ("SCAN 0", None),
            ("INFO", None),
            ("XADD", None),
        ];
        for (text, expected) in cases {
            let mut command = Cmd::new();
            text.split(' ').for_each(|argument| {
                command.arg(argument);
            });
            assert_eq!(slot_of(&command), expected, "{text}");
        }
    }

    #[test]
    fn the_map_of_slots_names_their_owners_and_a_nameless_node_is_the_one_asked() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), Value::Okay]);
        let range = |first, last, master| {
            let replica = node(Value::BulkString(b"10.0.0.9".into()), 7009);
            Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
        };
        let asked = Address { host: "localhost".to_owned(), port: 7000 };
        let answer = Value::Array(vec![
            range(0, 99, node(Value::BulkString(b"10.0.0.1".into()), 7001)),
            range(100, 199, node(Value::Nil, 7000)),
            range(300, 16_383, node(Value::BulkString(b"10.0.0.1".into()), 7001)),
        ]);
        let map = SlotMap::read(answer, &asked).expect("an answer of a server");
        assert_eq!(map.masters.len(), 2);
        assert_eq!(map.masters[1], asked);
        assert_eq!([0, 99, 100, 199, 300].map(|slot| map.owner(slot)), [0, 0, 1, 1, 0].map(Some));
        assert_eq!(map.owner(200), None);
        assert!(SlotMap::read(Value::Array(vec![Value::Array(vec![Value::Int(-1)])]), &asked).is_err());
    }
}
