//! From text to words: the same for what is indexed and for what is looked for.
//!
//! A word is a run of letters and digits; everything else only separates words. So `read_file` is the
//! words `read` and `file`, one after the other: it is found whole, as two words that follow each
//! other, and by part. Han and Kana are written without spaces: there each character is a word.
//! Never folds case or accents: the index's tokenizer does that, on both sides.

use sha2::{Digest, Sha256};

use crate::{
    event::{Event, PlanId, Tenant, strings},
    filter::{PatternKind, TypePattern},
};

/// Of a longer word only so many characters count, where it is indexed and where it is looked for.
pub(super) const WORD_MAX_CHARS: usize = 128;
/// Stands in the index between two texts, so that no phrase reaches from one into the next. No word
/// that is looked for can be this one.
const BREAK: &str = "¶";

/// What the index takes in of an event: words with spaces between them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// Names of the tenant, the plan, the type and its families, which text cannot spell.
    pub(super) scope: String,
    /// Type, plan, source, and every key and string of the payload.
    pub(super) text: String,
    /// The parts of words that are written in camel case: `PlanFailed` is also `Plan` and `Failed`.
    pub(super) parts: String,
}

impl Document {
    /// What the index takes in of an event; of its payload nothing, where it has none that can be read.
    pub(super) fn of(event: &Event) -> Self {
        let mut document = Self { scope: scope_of(event), ..Self::default() };
        document.add(event.event_type().as_str());
        document.add(event.plan_id().as_str());
        if let Some(source) = event.source() {
            document.add(source.as_str());
        }
        if let Ok(payload) = event.payload_json() {
            strings(payload).for_each(|string| document.add(string.as_str()));
        }
        document
    }

    fn add(&mut self, text: &str) {
        let is_first = self.text.is_empty();
        let mut has_words = false;
        for word in words(text) {
            if !has_words && !is_first {
                push(&mut self.text, BREAK);
            }
            has_words = true;
            push(&mut self.text, word);
            self.add_parts(word);
        }
    }

    fn add_parts(&mut self, word: &str) {
        let mut parts = camel_parts(word);
        let (Some(first), Some(second)) = (parts.next(), parts.next()) else { return };
        if !self.parts.is_empty() {
            push(&mut self.parts, BREAK);
        }
        [first, second].into_iter().chain(parts).for_each(|part| push(&mut self.parts, part));
    }
}

fn push(words: &mut String, word: &str) {
    if !words.is_empty() {
        words.push(' ');
    }
    words.push_str(word);
}

/// The words of a text, in their order.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word_char(c))
        .flat_map(split_han)
        // A mark alone is no word: the tokenizer would leave nothing of it.
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| word.char_indices().nth(WORD_MAX_CHARS).map_or(word, |(end, _)| &word[..end]))
}

/// Whether a character belongs to a word: letters, digits, and accents that stand after their letter.
pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

/// Cuts a run of word characters before and after each character of Han and Kana.
fn split_han(run: &str) -> impl Iterator<Item = &str> {
    split_before(run, |previous, c, _| is_han(previous) || is_han(c))
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Cuts a word where camel case begins a new one: `readFile` as read, File, and `HTTPServer` as HTTP,
/// Server.
fn camel_parts(word: &str) -> impl Iterator<Item = &str> {
    split_before(word, |previous, c, next| {
        c.is_uppercase() && (!previous.is_uppercase() || next.is_some_and(char::is_lowercase))
    })
}

/// Cuts a text before each character of which `begins(previous, it, next)` says so.
fn split_before(text: &str, begins: impl Fn(char, char, Option<char>) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices().peekable();
        let mut previous = chars.next()?.1;
        while let Some((at, c)) = chars.next() {
            if begins(previous, c, chars.peek().map(|next| next.1)) {
                let (part, behind) = rest.split_at(at);
                rest = behind;
                return Some(part);
            }
            previous = c;
        }
        Some(std::mem::take(&mut rest))
    })
}

/// The names that an event is found under whatever its text is.
fn scope_of(event: &Event) -> String {
    let mut scope = tenant_name(event.tenant());
    push(&mut scope, &plan_name(event.tenant(), event.plan_id()));
    let event_type = event.event_type().as_str();
    push(&mut scope, &type_name(event_type));
    for (dot, _) in event_type.match_indices('.') {
        push(&mut scope, &family_name(&event_type[..=dot]));
    }
    scope
}

pub(super) fn tenant_name(tenant: &Tenant) -> String {
    name('t', &[tenant.as_str()])
}

pub(super) fn plan_name(tenant: &Tenant, plan: &PlanId) -> String {
    name('p', &[tenant.as_str(), plan.as_str()])
}

pub(super) fn pattern_name(pattern: &TypePattern) -> String {
    match pattern.kind() {
        PatternKind::Exact(exact) => type_name(exact.as_str()),
        PatternKind::Family(prefix) => family_name(prefix),
    }
}

fn type_name(event_type: &str) -> String {
    name('e', &[event_type])
}

fn family_name(prefix: &str) -> String {
    name('f', &[prefix])
}

/// A word for a name of any length, case and characters: two names with the same word only cost time,
/// since what is found is compared with what was asked for.
fn name(kind: char, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let bits = hash.finalize().first_chunk().copied().map_or(0, u64::from_be_bytes);
    format!("{kind}{bits:016x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::ToolCalled;

    fn list(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn names_and_paths_fall_into_their_parts() {
        assert_eq!(list("src/store/mod.rs"), ["src", "store", "mod", "rs"]);
        assert_eq!(list("read_file(call-17)"), ["read", "file", "call", "17"]);
        assert_eq!(list(" -- \u{301} ¶"), [""; 0], "neither punctuation nor a lone accent is a word");
        assert_eq!(list("cafe\u{301}s"), ["cafe\u{301}s"]);
        assert_eq!(list("任务x失败"), ["任", "务", "x", "失", "败"]);
        assert_eq!(list(&"é".repeat(300)), ["é".repeat(WORD_MAX_CHARS)]);
    }

    #[test]
    fn camel_case_falls_into_its_parts_too() {
        let parts = |word| camel_parts(word).collect::<Vec<_>>();
        assert_eq!(parts("readFile"), ["read", "File"]);
        assert_eq!(parts("HTTPServer2Go"), ["HTTP", "Server2", "Go"]);
        assert_eq!(parts("plain"), ["plain"]);
        assert_eq!(parts("TODO"), ["TODO"]);
    }

    #[test]
    fn a_document_has_keys_and_strings_decoded_and_apart() {
        let call = ToolCalled::new("call-1", "WebSearch", json!({"q\"": ["a\u{e9}\n", 7, true], "": null}));
        let event = Event::new("plan/7", call).with_source("planner");
        let document = Document::of(&event);
        assert_eq!(
            document.text,
            "ToolCalled ¶ plan 7 ¶ planner ¶ call id ¶ call 1 ¶ tool ¶ WebSearch ¶ arguments ¶ q ¶ aé"
        );
        assert_eq!(document.parts, "Tool Called ¶ Web Search");
        assert_eq!(document.scope.split(' ').count(), 3);
    }

    #[test]
    fn a_plan_of_another_tenant_has_another_name() {
        let tenant = |name: &str| Tenant::try_from(name).expect("valid");
        let plan = |name: &str| PlanId::try_from(name).expect("valid");
        assert_ne!(plan_name(&tenant("a"), &plan("bc")), plan_name(&tenant("ab"), &plan("c")));
        assert_ne!(tenant_name(&tenant("a")), tenant_name(&tenant("A")));
    }

    proptest! {
        #[test]
        fn no_text_is_lost_or_made_up_when_it_is_cut(text in "\\PC{0,64}") {
            let kept: String = list(&text).concat();
            let mut rest = text.chars();
            prop_assert!(kept.chars().all(|c| rest.any(|other| other == c)), "{kept}");
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
            prop_assert_eq!(letters(&kept), letters(&text));
            for word in words(&text) {
                prop_assert_eq!(camel_parts(word).collect::<String>(), word);
            }
        }
    }
}
