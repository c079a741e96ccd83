//! Text from anywhere made fit for a terminal: escaped, measured, cut.
//!
//! Nothing that comes from an event, a file's name or an argument reaches a terminal but through
//! here. JSON output alone stays as it is, since programs read it, save on a terminal itself.

use std::borrow::Cow;

/// Text with everything written out that moves the cursor, turns directions or starts an escape
/// sequence.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// One line of JSON with the same characters written as JSON escapes: they stand only in strings.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        // All of them are below U+10000, so one escape each is enough.
        if is_unsafe(c) { escaped.push_str(&format!("\\u{:04x}", c as u32)) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many columns a text takes, or a few more: a line that is cut too early is a line still, one
/// that wraps is two.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    match c as u32 {
        0x0000..0x1100 | 0x2000..0x2300 | 0x2500..0x2600 | 0x2713 | 0x2717 | 0x2800..0x2900 => 1,
        _ => 2,
    }
}

/// A text's beginning in at most `columns`, with `…` where something is left out.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += char_width(*c);
        used > room
    });
    Cow::Owned(format!("{}…", &text[..end.map_or(0, |(at, _)| at)]))
}

/// A text's end in at most `columns`: of nested ids the end tells more.
pub(crate) fn cut_start(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        used += char_width(*c);
        used > room
    });
    Cow::Owned(format!("…{}", &text[start.map_or(0, |(at, c)| at + c.len_utf8())..]))
}

/// A text in lines of at most `columns`, broken between words; a word that is longer has its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split(' ') {
        let width = width(word);
        match lines.last_mut() {
            Some(line) if used + 1 + width <= columns => {
                line.extend([" ", word]);
                used += 1 + width;
            }
            _ => {
                lines.push(word.to_owned());
                used = width;
            }
        }
    }
    lines
}

/// A text as one word of a shell's command line.
pub(crate) fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,~".contains(c);
    if !text.is_empty() && !text.starts_with('~') && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_written_out() {
        assert_eq!(escape("a\u{1b}[2J\r\n\u{9b}\u{202e}b"), r"a\u{1b}[2J\r\n\u{9b}\u{202e}b");
        assert_eq!(escape_json("{\"a\":\"\u{7f}\u{9b}\"}"), r#"{"a":"\u007f\u009b"}"#);
        assert!(matches!(escape("plain ü 漢"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cut_text_has_at_most_its_columns() {
        assert_eq!((cut("abcdef", 4), cut_start("abcdef", 4)), ("abc…".into(), "…def".into()));
        assert_eq!((cut("abc", 3), cut_start("abc", 3)), ("abc".into(), "abc".into()));
        assert_eq!((cut("漢字漢字", 4), cut_start("漢字漢字", 4)), ("漢…".into(), "…字".into()));
        for columns in 0..12 {
            assert!(width(&cut("ab漢字cd漢", columns)) <= columns);
            assert!(width(&cut_start("ab漢字cd漢", columns)) <= columns);
        }
    }

    #[test]
    fn a_text_is_broken_between_words_alone() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("a much-too-long word", 6), ["a", "much-too-long", "word"]);
        assert_eq!((wrap("one two", 7), wrap("", 0)), (vec!["one two".to_owned()], vec![String::new()]));
    }

    #[test]
    fn a_shell_takes_a_word_as_one() {
        assert_eq!(shell_word("survey-01/src"), "survey-01/src");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!((shell_word(""), shell_word("~x")), ("''".into(), "'~x'".into()));
    }
}
