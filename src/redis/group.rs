//! The groups by which mirrors keep their places in streams, told from those of readers.
//!
//! By the whole name alone: any other group reads, whatever its name begins with, and no entry is
//! taken from it. `group.lua` is the same rule, for scripts.

/// What the names of these groups begin with.
const PREFIX: &str = "planbus:";
/// How many characters the id of a store has.
const STORE_ID_CHARS: usize = 26;

/// The id of the store and the name of the mirror that keeps its place by this group; `None` for the
/// group of a reader.
pub(super) fn mirror_of(group: &[u8]) -> Option<(&str, Option<&str>)> {
    let rest = str::from_utf8(group).ok()?.strip_prefix(PREFIX)?;
    let (store, rest) = rest.split_at_checked(STORE_ID_CHARS)?;
    let is_id = store.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    match rest.strip_prefix(':') {
        _ if !is_id => None,
        None => rest.is_empty().then_some((store, None)),
        Some(name) => is_name(name).then_some((store, Some(name))),
    }
}

/// Whether a mirror could be called so.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::redis::redis_support::RedisServer;

    const SCRIPT: &str = concat!(include_str!("group.lua"), "return is_position_group(ARGV[1]) and 1 or 0");
    const STORE: &str = "01J8ZQ4X9T6V7W8Y0ABCDEFGHK";

    #[test]
    fn p9_only_the_whole_name_of_a_mirrors_group_is_taken_for_one_by_us_and_by_scripts() {
        let of = |rest: &str| format!("planbus:{STORE}{rest}").into_bytes();
        assert_eq!(mirror_of(&of("")), Some((STORE, None)));
        assert_eq!(mirror_of(&of(":per-type.2")), Some((STORE, Some("per-type.2"))));
        let readers = [
            &b"planbus:"[..],
            b"planbus:workers",
            b"planbus:workers:01",
            b"planbus:01J8ZQ4X9T6V7W8Y0ABCDEFGH",
            b"planbus:01j8zq4x9t6v7w8y0abcdefghk",
            b"planbus:01J8ZQ4X9T6V7W8Y0ABCDEFG\xc3\x89",
            b"planbus:01J8ZQ4X9T6V7W8Y0ABCDEFGHK\0",
            b"my-planbus:01J8ZQ4X9T6V7W8Y0ABCDEFGHK",
            b"PLANBUS:01J8ZQ4X9T6V7W8Y0ABCDEFGHK",
            b"\xff",
            b"",
        ];
        let rests = ["X", ":", ":-", ":a b", ":\u{e9}", ":a:b", "\n", " "];
        let readers: Vec<Vec<u8>> =
            readers.into_iter().map(<[u8]>::to_vec).chain(rests.into_iter().map(of)).collect();
        for reader in &readers {
            assert_eq!(mirror_of(reader), None, "{}", reader.escape_ascii());
        }
        let Some(server) = RedisServer::start() else { return };
        for group in readers.iter().chain([&of(""), &of(":per-type.2")]) {
            let told = server.command(&[b"EVAL", SCRIPT.as_bytes(), b"0", group]);
            assert_eq!(told == "1", mirror_of(group).is_some(), "{}", group.escape_ascii());
        }
    }
}
