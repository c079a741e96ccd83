//! Names of files as text: for plan ids, and for people.
//!
//! A file's name may hold any bytes; what comes from here is short enough, valid UTF-8 and free of
//! control characters. It is for reading, never for opening a file again.

use std::{
    ffi::OsStr,
    path::{Component, Path},
};

use sha2::{Digest, Sha256};

/// The most bytes of a folder's name in a plan id, before the mark of a changed one.
const NAME_MAX_BYTES: usize = 48;

/// A folder's name as a part of a plan id. A name that cannot stand there as it is gets a mark made
/// of its bytes, so that two folders never share a plan.
pub(crate) fn plan_name(name: &OsStr) -> String {
    let lossy = name.to_string_lossy();
    let mut text: String = lossy.chars().map(|c| if is_odd(c) { '_' } else { c }).collect();
    if text.len() > NAME_MAX_BYTES {
        text.truncate((0..=NAME_MAX_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    }
    if text.as_bytes() != name.as_encoded_bytes() {
        let mark = Sha256::digest(name.as_encoded_bytes());
        text.push_str(&format!("~{}", hex(&mark[..4])));
    }
    text
}

/// A path inside the survey for people, `.` for its root.
pub(crate) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for part in path.components().filter(|part| matches!(part, Component::Normal(_))) {
        if !text.is_empty() {
            text.push('/');
        }
        text.push_str(&escaped(&part.as_os_str().to_string_lossy()));
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// A text with its control characters written out.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_odd(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Characters that move the cursor or turn the direction of the text around them.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
