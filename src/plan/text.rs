//! Error texts as the log keeps them: cut short, so that none is too large to be stored.
//!
//! A text of any size comes from a tool or a panic. Were it refused with its event, the plan or the
//! call would look alive.

use std::borrow::Cow;

/// The most bytes of an error text in an event.
pub(super) const ERROR_TEXT_MAX_BYTES: usize = 16 << 10;

/// The text in at most `max_bytes`; where that cuts it, it says how long it was.
pub(super) fn cut(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let note = format!("... ({} bytes)", text.len());
    let end = text.floor_char_boundary(max_bytes.saturating_sub(note.len()));
    Cow::Owned(format!("{}{note}", &text[..end]))
}

/// An error's text as an event holds it.
pub(super) fn error_text(error: &str) -> String {
    cut(error, ERROR_TEXT_MAX_BYTES).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_how_long_it_was() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut(&"ä".repeat(20), 20), "äää... (40 bytes)");
        let long = "€".repeat(10_000);
        let shown = error_text(&long);
        assert!(shown.len() <= ERROR_TEXT_MAX_BYTES && shown.ends_with("€... (30000 bytes)"));
        assert_eq!(error_text(&shown), shown, "what is cut is not cut again");
    }
}
