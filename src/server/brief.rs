//! An event in brief: as it is, but for a large payload, of which the small top-level fields are kept.
//!
//! For lists, which show a line of each event and ask for one when somebody opens it. What is kept stands
//! as it was written: no number is read, no escape undone.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, Members},
};

/// A payload of so many bytes of JSON is sent whole.
const WHOLE_MAX_BYTES: usize = 1_024;
/// The most fields that are kept of a larger one.
const FIELDS_MAX: usize = 32;
/// A field is kept whole where its value has so many bytes of JSON, and left out where its name has more.
const FIELD_MAX_BYTES: usize = 512;
/// So many characters are kept of a longer text.
const TEXT_CHARS: usize = 256;

/// The event as JSON; line breaks of the payload stay in it. Where something was cut off the payload,
/// `payload_bytes` comes last and says how long it is.
pub(super) fn render(event: &Event) -> Result<String> {
    let payload = event.payload_json()?;
    let Some(kept) = cut(payload) else { return event.to_json() };
    let kept = RawValue::from_string(kept).map_err(|cause| {
        Error::with_source(ErrorKind::Storage, "write the beginning of a payload as JSON", cause)
    })?;
    let mut json = Event::from_parts(event.envelope().clone(), kept.into()).to_json()?;
    json.pop();
    json.push_str(&format!(r#","payload_bytes":{}}}"#, payload.len()));
    Ok(json)
}

/// What is kept of a payload, `null` where that is no object; `None` where it is kept whole.
fn cut(payload: &str) -> Option<String> {
    if payload.len() <= WHOLE_MAX_BYTES {
        return None;
    }
    let Ok(Members(members)) = serde_json::from_str(payload) else { return Some("null".to_owned()) };
    let members = members.iter().map(|(name, value)| (name.get(), value.get()));
    let (mut kept, mut count, mut is_cut) = (String::new(), 0, false);
    for (name, value) in members {
        match small(value).filter(|_| count < FIELDS_MAX && name.len() <= FIELD_MAX_BYTES) {
            Some(small) => {
                let separator = if count == 0 { '{' } else { ',' };
                kept.extend([separator.encode_utf8(&mut [0; 4]), name, ":", &*small]);
                count += 1;
                is_cut |= matches!(small, Cow::Owned(_));
            }
            None => is_cut = true,
        }
    }
    kept.push_str(if count == 0 { "{}" } else { "}" });
    is_cut.then_some(kept)
}

/// What is kept of a value: all of a small one, the beginning of a text, nothing of another.
fn small(value: &str) -> Option<Cow<'_, str>> {
    if value.len() <= FIELD_MAX_BYTES {
        return Some(value.into());
    }
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    match starts(text).nth(TEXT_CHARS) {
        Some(end) => Some(format!("\"{}…\"", &text[..end]).into()),
        // Few characters, but long ones.
        None => Some(value.into()),
    }
}

/// Where each character of a string begins, as JSON writes it. An escape is one character, and so are
/// the two that make a pair of surrogates.
fn starts(text: &str) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        at += width(text.get(at..)?)?;
        Some(start)
    })
}

/// How many bytes the first character has.
fn width(text: &str) -> Option<usize> {
    const ESCAPED: usize = 6;
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    match (text.chars().next()?, unit(text)) {
        ('\\', None) => Some(2),
        ('\\', Some(0xD800..=0xDBFF)) => match text.get(ESCAPED..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => Some(2 * ESCAPED),
            _ => Some(ESCAPED),
        },
        ('\\', Some(_)) => Some(ESCAPED),
        (character, _) => Some(character.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload with a value that is too long to be kept, before the others.
    fn with_long(fields: &str) -> String {
        format!(r#"{{"long":[{}1],{fields}}}"#, "1,".repeat(WHOLE_MAX_BYTES))
    }

    #[test]
    fn a_payload_is_kept_whole_as_long_as_it_is_short_or_all_of_its_fields_are() {
        let text = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - r#"{"a":""}"#.len()));
        assert_eq!(cut(&text(WHOLE_MAX_BYTES)), None);
        assert_eq!(
            cut(&text(WHOLE_MAX_BYTES + 1)),
            Some(format!(r#"{{"a":"{}…"}}"#, "x".repeat(TEXT_CHARS)))
        );
        let fields: Vec<_> = (0..10).map(|at| format!(r#""{at}":"{}""#, "x".repeat(200))).collect();
        assert_eq!(cut(&format!("{{{}}}", fields.join(","))), None, "nothing of it is long");
    }

    #[test]
    fn fields_keep_their_order_and_values_stay_as_they_were_written() {
        let fields = r#""b":1.50,"a":12345678901234567890123,"e\u0301":{"x": [1e400]},"c":null"#;
        assert_eq!(cut(&with_long(fields)), Some(format!("{{{fields}}}")));
        assert_eq!(cut(&with_long("\"a\" :\n true")), Some(r#"{"a":true}"#.to_owned()));
    }

    #[test]
    fn what_is_too_long_is_left_out_but_for_the_beginning_of_a_text() {
        let at_most = format!(r#""{}""#, "x".repeat(FIELD_MAX_BYTES - 2));
        let kept = format!(r#""text":{at_most},"list":[{}]"#, "1,".repeat(254) + "10");
        assert_eq!(cut(&with_long(&kept)), Some(format!("{{{kept}}}")), "512 bytes each");
        let longer = format!(r#""object":{{"a":{at_most}}},"number":{},"b":1"#, "7".repeat(513));
        assert_eq!(cut(&with_long(&longer)), Some(r#"{"b":1}"#.to_owned()));
        let name = format!(r#""{}":1"#, "n".repeat(FIELD_MAX_BYTES));
        assert_eq!(cut(&with_long(&name)), Some("{}".to_owned()));
        let many: Vec<_> = (0..40).map(|at| format!(r#""{at}":{at}"#)).collect();
        assert_eq!(cut(&with_long(&many.join(","))), Some(format!("{{{}}}", many[..FIELDS_MAX].join(","))));
    }

    #[test]
    fn a_text_is_cut_between_characters_however_they_are_written() {
        let begins = |character: &str| {
            let text = format!(r#""t":"{}""#, character.repeat(600));
            let kept = cut(&with_long(&text)).expect("is cut");
            assert_eq!(kept, format!(r#"{{"t":"{}…"}}"#, character.repeat(TEXT_CHARS)));
            serde_json::from_str::<Box<RawValue>>(&kept).expect("JSON");
        };
        for character in ["x", "é", "\u{1f600}", r"\n", r#"\""#, r"\\", r"\u00e9", r"\ud83d\ude00"] {
            begins(character);
        }
        let few = format!(r#""t":"{}""#, r"\u0001".repeat(TEXT_CHARS));
        assert_eq!(cut(&with_long(&few)), Some(format!("{{{few}}}")), "256 characters are no more than 256");
    }

    #[test]
    fn p11_escapes_that_spell_no_text_are_borne() {
        for lone in [r"\ud83d", r"\ude00", r"\ud83d\n"] {
            let text = format!(r#""{lone}":"{}""#, lone.repeat(600));
            let kept = cut(&with_long(&text)).expect("is cut");
            assert!(kept.starts_with(&format!(r#"{{"{lone}":"{lone}"#)) && kept.ends_with("…\"}"), "{kept}");
            serde_json::from_str::<Box<RawValue>>(&kept).expect("JSON");
        }
    }

    #[test]
    fn p11_a_long_payload_that_is_no_object_is_left_out() {
        for payload in [format!("[{}1]", "1,".repeat(2_000)), "x".repeat(2_000), "{".repeat(2_000)] {
            assert_eq!(cut(&payload), Some("null".to_owned()));
        }
    }

    #[test]
    fn the_envelope_says_how_long_the_payload_is_only_where_some_of_it_is_missing() {
        let payload = format!(r#"{{"tool":"grep","result":"{}"}}"#, "y".repeat(2_000));
        let event = Event::raw("plan", "ToolCompleted", payload.as_str()).with_source("planner");
        let json = render(&event).expect("JSON");
        let whole = event.to_json().expect("JSON");
        let (envelope, _) = whole.split_once(r#""payload":"#).expect("a payload");
        let kept = format!(r#"{{"tool":"grep","result":"{}…"}}"#, "y".repeat(TEXT_CHARS));
        assert_eq!(json, format!(r#"{envelope}"payload":{kept},"payload_bytes":{}}}"#, payload.len()));
        let event = Event::raw("plan", "note", r#"{"a": 1.50}"#);
        assert_eq!(render(&event).expect("JSON"), event.to_json().expect("JSON"));
    }
}
