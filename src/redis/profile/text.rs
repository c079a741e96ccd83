//! Appending to text: what a value displays, and JSON strings.
//!
//! Nothing here allocates but the text itself.

use std::fmt::{Display, Write};

/// Appends what `value` displays.
pub(super) fn push(text: &mut String, value: impl Display) {
    write!(text, "{value}").expect("a String takes all text");
}

/// Appends a JSON string.
pub(super) fn push_string(text: &mut String, value: &str) {
    text.push('"');
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        text.push_str(&value[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            control => push(text, format_args!("\\u{control:04x}")),
        }
    }
    text.push_str(&value[plain..]);
    text.push('"');
}

/// Appends a JSON array of strings.
pub(super) fn push_strings<T: AsRef<str>>(text: &mut String, values: &[T]) {
    text.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        push_string(text, value.as_ref());
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn p11_any_text_is_the_json_string_that_spells_it(texts in prop::collection::vec("\\PC|[\\x00-\\x1f\"\\\\\u{2028}]{0,8}", 0..4)) {
            let mut json = String::new();
            push_strings(&mut json, &texts);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).expect("JSON"), texts);
            prop_assert!(!json.contains(|c: char| c.is_ascii_control()));
        }
    }
}
