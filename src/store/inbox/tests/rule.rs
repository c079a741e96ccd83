//! What counts as handled, against a model that is as plain as the rule.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Below the floor, ids are kept for so many seqs.
const SMALL: u64 = 4;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// An event of our store; another `log` is the same store, restored, with other events.
    Ours {
        log: u64,
        seq: u64,
        fails: bool,
    },
    Replay {
        log: u64,
        seq: u64,
    },
    Foreign {
        number: u64,
        ms: u64,
    },
    ForeignReplay {
        number: u64,
        ms: u64,
    },
    Floor(u64),
    ForeignFloor(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (log, seq, number, ms) = (0..2_u64, 1..24_u64, 0..6_u64, 0..12_u64);
    prop_oneof![
        8 => (log.clone(), seq.clone(), prop::bool::weighted(0.2))
            .prop_map(|(log, seq, fails)| Step::Ours { log, seq, fails }),
        3 => (log, seq.clone()).prop_map(|(log, seq)| Step::Replay { log, seq }),
        3 => (number.clone(), ms.clone()).prop_map(|(number, ms)| Step::Foreign { number, ms }),
        1 => (number, ms.clone()).prop_map(|(number, ms)| Step::ForeignReplay { number, ms }),
        3 => seq.prop_map(Step::Floor),
        1 => ms.prop_map(Step::ForeignFloor),
        1 => Just(Step::Reopen),
    ]
}

/// What a group has handled in one stream: ids with their places, and the floor.
#[derive(Debug, Default)]
struct Model {
    rows: BTreeMap<EventId, u64>,
    replays: BTreeSet<EventId>,
    floor: u64,
}

impl Model {
    /// Whether the handler is called.
    fn handle(&mut self, key: &InboxKey<'_>, fails: bool) -> bool {
        let is_below = self.floor.checked_sub(SMALL).is_some_and(|below| key.place <= below);
        let by_place = key.store.is_some() && !key.is_replay && is_below;
        let by_replay = key.is_replay && self.replays.contains(&key.event_id);
        if by_place || by_replay || self.rows.contains_key(&key.event_id) {
            return false;
        }
        if !fails {
            let place = if key.is_replay { key.place.max(self.floor) } else { key.place };
            self.rows.insert(key.event_id, place);
            if key.is_replay {
                self.replays.insert(key.event_id);
            }
        }
        true
    }

    fn raise(&mut self, place: u64, is_ours: bool) {
        self.floor = self.floor.max(place);
        let floor = self.floor;
        self.rows.retain(|_, place| if is_ours { *place + SMALL > floor } else { *place >= floor });
    }
}

fn ours(log: u64, seq: u64, is_replay: bool) -> InboxKey<'static> {
    InboxKey { event_id: id(1_000 * log + seq), is_replay, ..key(seq) }
}

fn foreign(number: u64, ms: u64, is_replay: bool) -> InboxKey<'static> {
    InboxKey { store: None, place: ms, event_id: id(5_000 + number), is_replay, ..key(0) }
}

/// Lets the handler act, or fail; whether it was called.
fn try_handle(inbox: &Inbox, key: &InboxKey<'_>, fails: bool) -> bool {
    let acted = inbox.batch(|batch| {
        batch.once(key, |transaction| {
            act(transaction, key).map_err(|error| error.to_string())?;
            if fails { Err("no".to_owned()) } else { Ok(()) }
        })
    });
    acted.expect("commits").expect("notes").is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p8_what_counts_as_handled_is_what_the_rule_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut fixture = Fixture::kept(SMALL);
        let (mut own, mut others, mut effects) = (Model::default(), Model::default(), Vec::new());
        for step in steps {
            let (model, key, fails) = match step {
                Step::Ours { log, seq, fails } => (&mut own, ours(log, seq, false), fails),
                Step::Replay { log, seq } => (&mut own, ours(log, seq, true), false),
                Step::Foreign { number, ms } => (&mut others, foreign(number, ms, false), false),
                Step::ForeignReplay { number, ms } => (&mut others, foreign(number, ms, true), false),
                Step::Floor(seq) => {
                    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), seq).expect("raises");
                    own.raise(seq, true);
                    continue;
                }
                Step::ForeignFloor(ms) => {
                    fixture.inbox.raise_floor(GROUP, STREAM, None, ms).expect("raises");
                    others.raise(ms, false);
                    continue;
                }
                Step::Reopen => {
                    fixture.inbox = Inbox::builder(fixture.path()).kept(SMALL).open().expect("opens");
                    continue;
                }
            };
            let is_new = model.handle(&key, fails);
            prop_assert_eq!(try_handle(&fixture.inbox, &key, fails), is_new, "{:?}, {:?}", key, model);
            if is_new && !fails {
                effects.push(key.event_id.to_string());
            }
        }
        effects.sort();
        prop_assert_eq!(fixture.effects(), effects);
        let floors = fixture.inbox.floors().expect("reads");
        for (store, model) in [(Some(STORE), own), (None, others)] {
            let found = floors.iter().find(|floor| floor.store.as_deref() == store);
            let found = found.map_or((0, 0), |floor| (floor.place, floor.rows));
            prop_assert_eq!(found, (model.floor, model.rows.len() as u64));
        }
    }
}

#[test]
fn a_seq_far_below_the_floor_is_handled_and_one_within_the_kept_range_only_by_its_id() {
    let fixture = Fixture::kept(10);
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 100).expect("raises");
    assert!(!handle(&fixture.inbox, &key(90)), "ten below the floor, by its seq");
    assert!(handle(&fixture.inbox, &key(91)), "never handled by its id");
    assert!(handle(&fixture.inbox, &InboxKey { event_id: id(7), ..key(91) }), "another event at the seq");
}

#[test]
fn what_was_forgotten_stays_handled_when_more_is_kept_later() {
    let fixture = Fixture::kept(10);
    assert!(handle(&fixture.inbox, &key(50)));
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 100).expect("raises");
    assert_eq!(fixture.rows(), 0);
    let roomy = Inbox::builder(fixture.path()).kept(1_000).open().expect("opens");
    roomy.raise_floor(GROUP, STREAM, Some(STORE), 101).expect("raises");
    assert!(!handle(&roomy, &key(50)), "its row is gone, and it is not new");
    assert!(handle(&roomy, &key(91)));
}

#[test]
fn p8_a_replay_is_not_handled_twice_however_many_events_came_meanwhile() {
    let fixture = Fixture::kept(10);
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 1_000).expect("raises");
    assert!(handle(&fixture.inbox, &replay(5)), "its seq says nothing");
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 9_000).expect("raises");
    assert_eq!(fixture.rows(), 0, "its id left with the others");
    assert!(!handle(&fixture.inbox, &replay(5)));
    // A week and a bit later.
    let aged =
        fixture.app().execute("UPDATE planbus_inbox_replays SET handled_at = handled_at - 604900000", []);
    assert_eq!(aged.expect("updates"), 1);
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 9_001).expect("raises");
    assert!(handle(&fixture.inbox, &replay(5)), "it could not be pending any more");
}

#[test]
fn a_floor_is_raised_in_steps_and_the_table_stays_bounded() {
    const EVENTS: u64 = 2_500;
    let fixture = Fixture::kept(10);
    let noted = fixture.inbox.batch(|batch| {
        let each = (1..=EVENTS).map(|number| batch.once(&key(number), |_| Ok::<_, ()>(())));
        each.filter(|acted| matches!(acted, Ok(Some(Ok(()))))).count()
    });
    assert_eq!((noted.expect("commits"), fixture.rows()), (EVENTS as usize, EVENTS));
    let changes = |app: &Connection| {
        app.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).expect("a number")
    };
    let app = fixture.app();
    let raise = |to| fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), to).expect("raises");
    raise(EVENTS);
    assert_eq!(fixture.rows(), 10);
    let before = changes(&app);
    raise(EVENTS);
    raise(3);
    assert_eq!(changes(&app), before, "where nothing changes, nothing is written");
    assert_eq!(fixture.inbox.floors().expect("reads")[0].place, EVENTS, "a floor is never lowered");
}

#[test]
fn a_raise_that_was_cut_short_is_finished_by_the_next_one() {
    let fixture = Fixture::kept(1);
    assert!(handle(&fixture.inbox, &key(1)));
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 9).expect("raises");
    // As a kill between two steps leaves it.
    let row =
        "INSERT INTO planbus_inbox SELECT id, '00000000000000000000000001', 1 FROM planbus_inbox_scopes";
    fixture.app().execute(row, []).expect("inserts");
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 9).expect("raises");
    assert_eq!(fixture.rows(), 0);
}

#[test]
fn p11_the_largest_numbers_are_places_like_others() {
    let fixture = Fixture::new();
    for store in [Some(STORE), None] {
        let last = InboxKey { store, place: u64::MAX, ..key(1) };
        assert!(handle(&fixture.inbox, &last) && !handle(&fixture.inbox, &last), "{store:?}");
        fixture.inbox.raise_floor(GROUP, STREAM, store, u64::MAX).expect("raises");
        assert!(!handle(&fixture.inbox, &last), "{store:?}");
    }
    let huge = "s".repeat(1 << 16);
    assert!(handle(&fixture.inbox, &InboxKey { stream: &huge, group: "a'b\0c", ..key(1) }));
}
