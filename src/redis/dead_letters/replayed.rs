//! [`Replayed`]: what an entry of a group's stream of replayed letters says of where it comes from.
//!
//! Pure: it puts our fields behind an entry's own, and takes them off again.

use super::trailer::{self, Field, Form, Ours};
use crate::redis::{entry::EntryId, reply::Fields};

/// What our fields of a replayed entry begin with.
const PREFIX: &str = "_replay_";

/// Where a replayed entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::redis) struct Replayed {
    /// The stream in which the entry first stood.
    pub(in crate::redis) stream: String,
    /// Its id there.
    pub(in crate::redis) id: EntryId,
    /// The id of the dead letter that was replayed.
    pub(in crate::redis) letter: EntryId,
}

/// Takes our fields off a replayed entry, so that its own are left as they first were. `None` for an
/// entry that has none of ours: it stays as it is.
pub(in crate::redis) fn replayed(fields: &mut Fields) -> Option<Replayed> {
    // Nobody but consumers of planbus reads these entries, so that their form is ours in every profile.
    let (own, ours) = Ours::split(fields, PREFIX, Form::Bare)?;
    let told = Replayed { stream: ours.text("stream")?, id: ours.parse("id")?, letter: ours.parse("of")? };
    *fields = own.into_owned();
    Some(told)
}

impl Replayed {
    /// The fields of the entry that is put into the stream of replayed letters.
    pub(super) fn append(&self, own: &[Field]) -> Fields {
        let ours = vec![
            ("stream", self.stream.clone()),
            ("id", self.id.to_string()),
            ("of", self.letter.to_string()),
        ];
        trailer::append(own.to_vec(), PREFIX, ours, Form::Bare)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from() -> Replayed {
        let id = |text: &str| text.parse().expect("an id");
        Replayed { stream: "events:a".to_owned(), id: id("7-1"), letter: id("9-2") }
    }

    proptest! {
        #[test]
        fn p8_whatever_an_entry_holds_a_replay_gives_it_back(
            own in prop::collection::vec(any::<(Vec<u8>, Vec<u8>)>(), 0..8),
            times in 1..3,
        ) {
            let mut fields = own.clone();
            for _ in 0..times {
                fields = from().append(&fields);
            }
            for _ in 0..times {
                prop_assert_eq!(replayed(&mut fields), Some(from()));
            }
            prop_assert_eq!(fields, own);
        }
    }

    #[test]
    fn p11_what_has_not_all_of_our_fields_stays_as_it_is() {
        let whole = from().append(&[(b"a".to_vec(), b"1".to_vec())]);
        for at in 0..whole.len() {
            let mut fields = whole.clone();
            fields.remove(at);
            let expected = fields.clone();
            assert_eq!((replayed(&mut fields).is_some(), fields == expected), (at == 0, at != 0), "{at}");
        }
    }
}
