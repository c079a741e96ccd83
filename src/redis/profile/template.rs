//! [`Template`]: the text that the keys of streams are made of, and read back by.
//!
//! Different values never make the same key: what a placeholder stands for is written with bytes
//! that never follow it in the template, and every other byte of it as `%XX`. It never looks at a
//! key in Redis.

use std::{borrow::Cow, fmt::Write, ops::Range};

use crate::error::{Error, Result};

/// The most bytes of a template.
const TEMPLATE_MAX_BYTES: usize = 256;

/// What a key says of the events in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Tenant,
    Type,
    Family,
    Plan,
    Partition,
}

/// How many placeholders there are; `<stream>` is filled in before a template is read.
const PLACEHOLDERS: usize = 5;

impl Placeholder {
    const ALL: [Self; PLACEHOLDERS] = [Self::Tenant, Self::Type, Self::Family, Self::Plan, Self::Partition];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "<tenant>",
            Self::Type => "<type>",
            Self::Family => "<family>",
            Self::Plan => "<plan>",
            Self::Partition => "<partition>",
        }
    }
}

#[derive(Clone, Debug)]
enum Piece {
    /// A part of the template's text.
    Literal(Range<usize>),
    Value(Placeholder),
}

/// The text that keys are made of.
#[derive(Clone, Debug)]
pub(super) struct Template {
    given: String,
    /// With the name of the stream filled in.
    text: String,
    pieces: Vec<Piece>,
}

/// What the placeholders of one template stand for in one key, as it is written there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyValues<'k>([Option<&'k str>; PLACEHOLDERS]);

impl<'k> KeyValues<'k> {
    /// What a placeholder stands for; `None` when the template has no such placeholder.
    pub(super) fn get(&self, placeholder: Placeholder) -> Option<Cow<'k, str>> {
        decode(self.0[placeholder as usize]?)
    }
}

impl Template {
    /// Reads a template; `field` is what an error names.
    pub(super) fn parse(field: &str, text: &str, stream: &str) -> Result<Self> {
        if text.is_empty() || text.len() > TEMPLATE_MAX_BYTES {
            let problem = format!("must be 1 to {TEMPLATE_MAX_BYTES} bytes, got {}", text.len());
            return Err(Error::invalid(field, problem));
        }
        if text.contains(char::is_control) {
            return Err(Error::invalid(field, format!("must not contain control characters, got {text:?}")));
        }
        let given = text.to_owned();
        let text = text.replace("<stream>", stream);
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let open = text[at..].find('<').map_or(text.len(), |open| at + open);
            if open > at {
                follows(field, &pieces, &text[at..open])?;
                pieces.push(Piece::Literal(at..open));
            }
            if open == text.len() {
                break;
            }
            at = text[open..].find('>').map_or(text.len(), |close| open + close + 1);
            let placeholder = named(field, &text[open..at])?;
            follows(field, &pieces, placeholder.as_str())?;
            if pieces.iter().any(|piece| matches!(piece, Piece::Value(other) if *other == placeholder)) {
                return Err(Error::invalid(field, format!("has {} twice", placeholder.as_str())));
            }
            pieces.push(Piece::Value(placeholder));
        }
        Ok(Self { given, text, pieces })
    }

    /// The same template, with another name of the stream filled in.
    pub(super) fn with_stream(&self, field: &str, stream: &str) -> Result<Self> {
        Self::parse(field, &self.given, stream)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn has(&self, placeholder: Placeholder) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Value(own) if *own == placeholder))
    }

    /// The first placeholder of this template that `other` does not have.
    pub(super) fn beyond(&self, other: &Self) -> Option<Placeholder> {
        Placeholder::ALL.into_iter().find(|placeholder| self.has(*placeholder) && !other.has(*placeholder))
    }

    /// Appends a key; `value` writes what a placeholder stands for.
    pub(super) fn write<'v>(&self, key: &mut String, mut value: impl FnMut(Placeholder) -> Cow<'v, str>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => key.push_str(&self.text[range.clone()]),
                Piece::Value(placeholder) => encode(key, &value(*placeholder)),
            }
        }
    }

    /// The key of the same values by another template.
    pub(super) fn write_again(&self, values: &KeyValues<'_>) -> String {
        let mut key = String::new();
        for piece in &self.pieces {
            key.push_str(match piece {
                Piece::Literal(range) => &self.text[range.clone()],
                Piece::Value(placeholder) => values.0[*placeholder as usize].unwrap_or_default(),
            });
        }
        key
    }

    /// What the placeholders stand for in a key; `None` when the key is not of this template.
    pub(super) fn values<'k>(&self, key: &'k str) -> Option<KeyValues<'k>> {
        let mut values = KeyValues::default();
        let mut rest = key;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => rest = rest.strip_prefix(&self.text[range.clone()])?,
                Piece::Value(placeholder) => {
                    let end = rest.bytes().position(|byte| !is_written(byte)).unwrap_or(rest.len());
                    let (value, after) = rest.split_at(end);
                    decode(value)?;
                    values.0[*placeholder as usize] = Some(value);
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(values)
    }

    /// The keys of this template as a pattern of Redis; it matches some others, too.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => {
                    for c in self.text[range.clone()].chars() {
                        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
                            pattern.push('\\');
                        }
                        pattern.push(c);
                    }
                }
                Piece::Value(_) => pattern.push('*'),
            }
        }
        pattern
    }
}

/// The placeholder that is written like this.
fn named(field: &str, text: &str) -> Result<Placeholder> {
    Placeholder::ALL.into_iter().find(|placeholder| placeholder.as_str() == text).ok_or_else(|| {
        let known = Placeholder::ALL.map(Placeholder::as_str).join(" ");
        Error::invalid(field, format!("{text} is no placeholder; there are <stream> {known}"))
    })
}

/// Checks that a value cannot run into what comes after it.
fn follows(field: &str, before: &[Piece], next: &str) -> Result<()> {
    match before.last() {
        Some(Piece::Value(placeholder)) if next.starts_with('<') || is_written(next.as_bytes()[0]) => {
            let name = placeholder.as_str();
            let problem = format!("after {name} must come the end or a character like ':', got {next:?}");
            Err(Error::invalid(field, problem))
        }
        _ => Ok(()),
    }
}

/// Whether a value keeps this byte as it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'@' | b'+' | b'~' | b'=')
}

/// Whether this byte can stand in a written value.
fn is_written(byte: u8) -> bool {
    is_plain(byte) || byte == b'%'
}

/// Appends a value, each byte that is not plain as `%XX`.
fn encode(key: &mut String, value: &str) {
    if value.bytes().all(is_plain) {
        key.push_str(value);
        return;
    }
    for byte in value.bytes() {
        if is_plain(byte) {
            key.push(char::from(byte));
        } else {
            write!(key, "%{byte:02X}").expect("a String takes all text");
        }
    }
}

/// Reads a written value; `None` where [`encode`] would not have written it so.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    if value.is_empty() {
        return None;
    }
    if value.bytes().all(is_plain) {
        return Some(Cow::Borrowed(value));
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            bytes.push(u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut again = String::with_capacity(value.len());
    encode(&mut again, &text);
    (again == value).then_some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Template {
        Template::parse("key", text, "main").expect("a template")
    }

    fn key(template: &Template, tenant: &str, plan: &str) -> String {
        let mut key = String::new();
        template.write(&mut key, |placeholder| match placeholder {
            Placeholder::Tenant => tenant.into(),
            Placeholder::Plan => plan.into(),
            other => panic!("{other:?} is not in the template"),
        });
        key
    }

    #[test]
    fn p10_a_key_says_whose_it_is_whatever_the_plan_is_called() {
        let template = template("t:{<tenant>}:<plan>:<stream>");
        for (plan, written) in [
            ("plan-7", "plan-7"),
            ("a:b", "a%3Ab"),
            ("{t1}", "%7Bt1%7D"),
            ("100% *?[x]\\", "100%25%20%2A%3F%5Bx%5D%5C"),
            ("ü🙂\u{2028}", "%C3%BC%F0%9F%99%82%E2%80%A8"),
            ("a/b@c+d~e=f", "a/b@c+d~e=f"),
        ] {
            let key = key(&template, "acme", plan);
            assert_eq!(key, format!("t:{{acme}}:{written}:main"));
            let values = template.values(&key).expect("its own key");
            assert_eq!(values.get(Placeholder::Tenant).as_deref(), Some("acme"));
            assert_eq!(values.get(Placeholder::Plan).as_deref(), Some(plan));
            assert_eq!(values.get(Placeholder::Type), None);
        }
    }

    #[test]
    fn a_key_of_another_template_or_written_otherwise_has_no_values() {
        let template = template("t:<tenant>:<plan>");
        for key in [
            "",
            "t:a",
            "t:a:",
            "t::b",
            "t:a:b:dlq",
            "x:a:b",
            "t:a:b c",
            "t:a:%41",  // a plain byte needs no code
            "t:a:%3a",  // codes are in upper case
            "t:a:%3",   // cut short
            "t:a:%FF",  // no UTF-8
            "t:a:%+1A", // no code
            "t:{a}:b",
        ] {
            assert_eq!(template.values(key), None, "{key}");
        }
    }

    #[test]
    fn a_wrong_template_is_refused_with_the_placeholder_that_is_wrong() {
        let refused = |text: &str| Template::parse("key", text, "main").expect_err(text).to_string();
        assert_eq!(refused(""), "key: must be 1 to 256 bytes, got 0");
        assert_eq!(
            refused("a:<agent>"),
            "key: <agent> is no placeholder; there are <stream> <tenant> <type> <family> <plan> <partition>"
        );
        assert!(refused("a:<tenant").contains("<tenant is no placeholder"));
        assert_eq!(
            refused("<tenant><plan>"),
            "key: after <tenant> must come the end or a character like ':', got \"<plan>\""
        );
        assert!(refused("<tenant>.events").contains("after <tenant> must come"));
        assert!(refused("<plan><stream>").contains("after <plan> must come"));
        assert_eq!(refused("<plan>:<plan>"), "key: has <plan> twice");
        assert!(refused("a\nb").contains("control characters"));
        assert!(refused(&"a".repeat(257)).contains("got 257"));
    }

    #[test]
    fn a_pattern_matches_its_keys_and_nothing_of_the_template_is_taken_for_a_wildcard() {
        assert_eq!(template("planbus:{<tenant>}:events").pattern(), "planbus:{*}:events");
        assert_eq!(template(r"a*b?[c]\:<type>").pattern(), r"a\*b\?\[c\]\\:*");
    }

    proptest! {
        #[test]
        fn p10_different_plans_never_share_a_key(one in "\\PC{1,20}", other in "[ab:{}%*]{1,4}", third in "[ab:{}%*]{1,4}") {
            let template = template("<tenant>:<plan>");
            let made = key(&template, "t", &one);
            let values = template.values(&made).expect("its own key");
            prop_assert_eq!(values.get(Placeholder::Plan), Some(Cow::Borrowed(one.as_str())));
            prop_assert_eq!(values.get(Placeholder::Tenant), Some(Cow::Borrowed("t")));
            prop_assert_eq!(other == third, key(&template, "t", &other) == key(&template, "t", &third));
        }

        #[test]
        fn p11_any_text_is_a_template_or_refused_and_any_key_is_read_or_not(text in ".{0,40}", key in ".{0,40}") {
            if let Ok(template) = Template::parse("key", &text, "main") {
                let _ = template.values(&key).map(|values| assert_eq!(template.write_again(&values), key));
            }
        }
    }
}
