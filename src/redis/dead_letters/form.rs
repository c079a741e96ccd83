//! A dead letter's fields: an entry's own, unchanged, and behind them what is known of its failure.
//!
//! Pure: written here, read here, by the rules of the profile's system. Never drops a field that it
//! does not know.

use super::{
    metadata::{self, Metadata},
    reason::DeadLetterReason,
    trailer::{self, Field, Form, Ours},
};
use crate::{
    event::Timestamp,
    redis::{entry::EntryId, profile::Profile, reply::Fields},
};

/// What our fields of a dead letter begin with.
const PREFIX: &str = "_dlq_";
/// What the tenant dialect's own retries add to an entry.
const RETRY_COUNT: &[u8] = b"_retry_count";
/// The most bytes of an error's text that a dead letter keeps.
const ERROR_MAX_BYTES: usize = 4 << 10;

/// What is known of the failure of an entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) stream: Option<String>,
    pub(super) id: Option<EntryId>,
    pub(super) group: Option<String>,
    pub(super) consumer: Option<String>,
    pub(super) attempts: Option<u32>,
    pub(super) deliveries: Option<u64>,
    pub(super) first_failed_at: Option<Timestamp>,
    pub(super) last_failed_at: Option<Timestamp>,
    pub(super) error: Option<String>,
    pub(super) reason: Option<DeadLetterReason>,
}

/// How texts stand in the entries of a profile.
pub(super) fn form(profile: &Profile) -> Form {
    if profile.is_json() { Form::Json } else { Form::Bare }
}

/// The fields of a dead letter. A time that is not known is left empty.
pub(super) fn write(mut own: Fields, facts: &Facts, form: Form) -> Fields {
    let text = |text: &Option<String>| form.write(text.as_deref().unwrap_or_default());
    let time = |at: Option<Timestamp>| at.map(|at| form.write(&time_text(at))).unwrap_or_default();
    let error = facts.error.as_deref().unwrap_or_default();
    let error = &error[..error.floor_char_boundary(ERROR_MAX_BYTES)];
    let attempts = facts.attempts.unwrap_or_default();
    let added = match form {
        Form::Json => metadata::add(&mut own, error, attempts, facts.stream.as_deref().unwrap_or_default()),
        Form::Bare => None,
    };
    let mut ours = vec![
        ("group", text(&facts.group)),
        ("consumer", text(&facts.consumer)),
        ("original_stream", text(&facts.stream)),
        ("original_id", form.write(&facts.id.unwrap_or_default().to_string())),
        ("retry_count", attempts.to_string()),
        ("deliveries", facts.deliveries.unwrap_or_default().to_string()),
        ("error", form.write(error)),
        ("reason", form.write(facts.reason.map(DeadLetterReason::as_str).unwrap_or_default())),
    ];
    ours.extend(added.map(|bytes| ("metadata_added", bytes.to_string())));
    // Where the script that buries looks for them.
    ours.push(("first_failed_at", time(facts.first_failed_at)));
    ours.push(("timestamp", time(facts.last_failed_at)));
    trailer::append(own, PREFIX, ours, form)
}

/// The entry's own fields, and what is known of its failure, whoever wrote the letter.
pub(super) fn read(fields: Fields, form: Form) -> (Fields, Facts) {
    read_ours(&fields, form).unwrap_or_else(|| match form {
        Form::Json => (fields.clone(), of_metadata(&fields)),
        Form::Bare => read_bare(fields),
    })
}

fn read_ours(fields: &[Field], form: Form) -> Option<(Fields, Facts)> {
    let (own, ours) = Ours::split(fields, PREFIX, form)?;
    let mut own = own.into_owned();
    if let Some(bytes) = ours.parse("metadata_added") {
        metadata::remove(&mut own, bytes)?;
    }
    Some((own, facts(&ours)))
}

/// As the tenant dialect writes it and strips it off again: its fields have the same names.
fn read_bare(fields: Fields) -> (Fields, Facts) {
    let is_added = |(name, _): &Field| name.starts_with(PREFIX.as_bytes()) || name == RETRY_COUNT;
    let (added, own): (Fields, Fields) = fields.into_iter().partition(is_added);
    (own, facts(&Ours::all(&added, PREFIX, Form::Bare)))
}

fn of_metadata(fields: &[Field]) -> Facts {
    let told = Metadata::read(fields).unwrap_or_default();
    Facts {
        stream: told.dlq_original_stream,
        attempts: told.dlq_retry_count,
        error: told.dlq_reason,
        ..Facts::default()
    }
}

fn facts(ours: &Ours<'_>) -> Facts {
    Facts {
        stream: ours.text("original_stream"),
        id: ours.parse("original_id"),
        group: ours.text("group"),
        consumer: ours.text("consumer"),
        attempts: ours.parse("retry_count"),
        deliveries: ours.parse("deliveries"),
        first_failed_at: ours.parse("first_failed_at"),
        last_failed_at: ours.parse("timestamp"),
        error: ours.text("error"),
        reason: ours.text("reason").and_then(|name| DeadLetterReason::named(&name)),
    }
}

/// A time as the tenant dialect writes it.
fn time_text(at: Timestamp) -> String {
    at.to_string().replace('Z', "+00:00")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn told(error: &str) -> Facts {
        Facts {
            stream: Some("planbus:{acme}:events".to_owned()),
            id: "7-1".parse().ok(),
            group: Some("db \"writers\"".to_owned()),
            consumer: Some("one.01".to_owned()),
            attempts: Some(4),
            deliveries: Some(5),
            first_failed_at: "2026-02-11T12:58:38.123456Z".parse().ok(),
            last_failed_at: "2026-02-11T12:58:59Z".parse().ok(),
            error: Some(error.to_owned()),
            reason: Some(DeadLetterReason::Refused),
        }
    }

    fn get<'f>(fields: &'f [Field], name: &str) -> &'f str {
        let (_, value) = fields.iter().find(|(own, _)| own == name.as_bytes()).expect(name);
        str::from_utf8(value).expect("UTF-8")
    }

    #[test]
    fn a_letter_has_the_fields_of_the_tenant_dialect_as_bare_texts_behind_its_own() {
        let letter = write(fields(&[("event_type", "task.failed")]), &told("no \"disk\""), Form::Bare);
        assert_eq!(letter[0], (b"event_type".to_vec(), b"task.failed".to_vec()));
        for (name, value) in [
            ("_dlq_original_stream", "planbus:{acme}:events"),
            ("_dlq_original_id", "7-1"),
            ("_dlq_error", "no \"disk\""),
            ("_dlq_retry_count", "4"),
            ("_dlq_timestamp", "2026-02-11T12:58:59.000000+00:00"),
            ("_dlq_first_failed_at", "2026-02-11T12:58:38.123456+00:00"),
            ("_dlq_group", "db \"writers\""),
            ("_dlq_consumer", "one.01"),
            ("_dlq_deliveries", "5"),
            ("_dlq_reason", "refused"),
            ("_dlq_fields", "11"),
        ] {
            assert_eq!(get(&letter, name), value, "{name}");
        }
        assert_eq!(letter.len(), 12);
    }

    #[test]
    fn a_letter_of_the_orchestration_dialect_is_json_in_every_field_with_its_facts_in_metadata() {
        let cases = [
            (r#" {"trace": 1.50, "é": "\u00e9"}"#, true),
            ("{}", true),
            ("{ }", true),
            ("null", false),
            ("{", false),
            (r#"{"dlq_reason":"earlier"}"#, false),
            (r#"{"dlq\u005freason":"earlier"}"#, false),
        ];
        for (metadata, is_added) in cases {
            let own = fields(&[("event_type", "\"task_failed\""), ("metadata", metadata)]);
            let letter = write(own.clone(), &told("no \"disk\"\n"), Form::Json);
            for (name, value) in &letter {
                let json = serde_json::from_slice::<serde_json::Value>(value);
                assert!(json.is_ok() || value == b"{", "{name:?}: {value:?}");
            }
            assert_eq!(get(&letter, "metadata") == metadata, !is_added, "{metadata}");
            let read_metadata = Metadata::read(&letter);
            assert_eq!(read(letter, Form::Json), (own, told("no \"disk\"\n")), "{metadata}");
            if is_added {
                let expected = Metadata {
                    dlq_reason: Some("no \"disk\"\n".to_owned()),
                    dlq_retry_count: Some(4),
                    dlq_original_stream: Some("planbus:{acme}:events".to_owned()),
                };
                assert_eq!(read_metadata, Some(expected), "{metadata}");
            }
        }
        for own in [fields(&[("a", "1")]), fields(&[("metadata", "{}"), ("metadata", "{}")])] {
            assert_eq!(read(write(own.clone(), &told("x"), Form::Json), Form::Json).0, own);
        }
    }

    #[test]
    fn a_letter_that_the_tenant_dialects_own_system_wrote_is_read_and_stripped_as_it_does_itself() {
        let letter = fields(&[
            ("event_type", "task.failed"),
            ("_retry_count", "3"),
            ("_dlq_original_stream", "t:acme:events:main"),
            ("_dlq_original_id", "7-1"),
            ("_dlq_error", "boom"),
            ("_dlq_retry_count", "3"),
            ("_dlq_timestamp", "2026-02-11T12:58:38.123456+00:00"),
        ]);
        let (own, facts) = read(letter, Form::Bare);
        assert_eq!(own, fields(&[("event_type", "task.failed")]));
        let expected = Facts {
            stream: Some("t:acme:events:main".to_owned()),
            id: "7-1".parse().ok(),
            attempts: Some(3),
            error: Some("boom".to_owned()),
            last_failed_at: "2026-02-11T12:58:38.123456Z".parse().ok(),
            ..Facts::default()
        };
        assert_eq!(facts, expected);
    }

    #[test]
    fn a_letter_that_the_orchestration_dialects_own_system_wrote_has_its_facts_in_metadata() {
        let metadata =
            r#"{"dlq_reason":"boom","dlq_retry_count":3,"dlq_original_stream":"orchestration:events"}"#;
        let letter = fields(&[("event_type", "\"task_failed\""), ("metadata", metadata)]);
        let (own, facts) = read(letter.clone(), Form::Json);
        assert_eq!(own, letter);
        assert_eq!((facts.attempts, facts.error.as_deref()), (Some(3), Some("boom")));
        assert_eq!((facts.stream.as_deref(), facts.group), (Some("orchestration:events"), None));
    }

    #[test]
    fn p11_an_error_is_cut_between_characters() {
        let error = format!("x{}", "🦀".repeat(2_000));
        let letter = write(Fields::new(), &told(&error), Form::Bare);
        assert_eq!(get(&letter, "_dlq_error"), &error[..4_093]);
    }

    /// Names that are near ours, and bytes of any kind.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            prop::sample::select(vec![
                "_dlq_fields",
                "_dlq_packed",
                "_dlq_timestamp",
                "_dlq_metadata_added",
                "metadata",
                "11",
                "3",
                "{",
                "{}",
                "{\"a\":1}",
                "_replay_fields",
                "_retry_count",
                "",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn p8_whatever_an_entry_holds_a_letter_gives_it_back(
            own in prop::collection::vec((part(), part()), 0..12),
            error in ".{0,40}",
            json in any::<bool>(),
        ) {
            let form = if json { Form::Json } else { Form::Bare };
            let letter = write(own.clone(), &told(&error), form);
            prop_assert_eq!(read(letter.clone(), form), (own, told(&error)));
            // A letter that was added again by hand is an entry like any other.
            let again = write(letter.clone(), &told(&error), form);
            prop_assert_eq!(read(again, form).0, letter);
        }

        #[test]
        fn p11_any_entry_among_the_dead_letters_is_read(
            own in prop::collection::vec((part(), part()), 0..12),
            json in any::<bool>(),
        ) {
            let (kept, _) = read(own.clone(), if json { Form::Json } else { Form::Bare });
            prop_assert!(kept.len() <= own.len());
        }
    }
}
