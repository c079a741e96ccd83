//! Keys that a terminal sends, and what they mean.
//!
//! Pure: bytes in, keys out.

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Quit,
    Suspend,
    Pause,
    FailedOnly,
    Help,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    /// A key without a meaning, which ends the help like any other.
    Other,
}

/// The keys in what was read at once; the beginning of a key that is not complete stays.
pub(super) fn take(bytes: &mut Vec<u8>) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((key, length)) = first(rest) {
        keys.push(key);
        rest = &rest[length..];
    }
    *bytes = rest.to_vec();
    keys
}

/// The first key, and how many bytes it has.
fn first(bytes: &[u8]) -> Option<(Key, usize)> {
    let key = match bytes {
        [] => return None,
        [0x1b, b'[' | b'O', rest @ ..] => {
            // Parameters, then one letter or ~.
            let end = rest.iter().position(|byte| matches!(byte, 0x40..=0x7e))?;
            return Some((control(&rest[..end], rest[end]), end + 3));
        }
        [0x1b] => return None,
        [0x1b, ..] => Key::Other,
        [b'q' | b'Q' | 0x03, ..] => Key::Quit,
        [0x1a, ..] => Key::Suspend,
        [b'p' | b' ', ..] => Key::Pause,
        [b'f', ..] => Key::FailedOnly,
        [b'?' | b'h', ..] => Key::Help,
        [b'k', ..] => Key::Up,
        [b'j', ..] => Key::Down,
        [b'b' | 0x02, ..] => Key::PageUp,
        [0x06, ..] => Key::PageDown,
        [b'g', ..] => Key::Top,
        [b'G', ..] => Key::Bottom,
        _ => Key::Other,
    };
    Some((key, 1))
}

fn control(parameters: &[u8], last: u8) -> Key {
    match (parameters, last) {
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (b"5", b'~') => Key::PageUp,
        (b"6", b'~') => Key::PageDown,
        (_, b'H') | (b"1" | b"7", b'~') => Key::Top,
        (_, b'F') | (b"4" | b"8", b'~') => Key::Bottom,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_also_when_they_come_in_pieces() {
        let mut bytes = b"q\x1b[A\x1bOB\x1b[5~x\x1b[1;5".to_vec();
        assert_eq!(take(&mut bytes), [Key::Quit, Key::Up, Key::Down, Key::PageUp, Key::Other]);
        assert_eq!(bytes, b"\x1b[1;5");
        bytes.extend(b"D\x1a\x1b");
        assert_eq!(take(&mut bytes), [Key::Other, Key::Suspend]);
        bytes.extend(b"q");
        assert_eq!(take(&mut bytes), [Key::Other, Key::Quit], "escape by itself, then q");
        assert!(bytes.is_empty());
    }
}
