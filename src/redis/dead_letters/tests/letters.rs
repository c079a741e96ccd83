//! What becomes of a letter: it is read, replayed to its group alone, and read by other systems.

use serde_json::json;

use super::*;
use crate::redis::redis_support::read_with;

const EVENT_ID: &str = "01981415-8983-691c-579a-078a2499aa8b";

fn texts(fields: &[(&str, &str)]) -> Fields {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn native() -> Fields {
    texts(&[
        ("event_id", "01K0A1B2C3D4E5F6G7H8J9KAMB"),
        ("event_type", "ToolCalled"),
        ("plan_id", "plan-7"),
        ("timestamp", "2026-02-11T12:58:38.123456Z"),
        ("tenant", "acme"),
        ("payload", r#"{"call_id":"call-1","n":1.50}"#),
    ])
}

fn tenant() -> Fields {
    texts(&[
        ("event_id", EVENT_ID),
        ("version", "1.0"),
        ("event_type", "task.assigned"),
        ("timestamp", "2026-02-11T12:58:38.123456+00:00"),
        ("tenant_id", "acme"),
        ("priority", "high"),
        ("source_agent_id", "planner"),
        ("call_chain", "root,planner"),
        ("data", r#"{"plan_id":"plan-7"}"#),
        ("context_refs", ""),
        ("correlation_id", "plan-7"),
        ("parent_event_id", ""),
    ])
}

fn orchestration() -> Fields {
    texts(&[
        ("event_id", &format!("\"{EVENT_ID}\"")),
        ("event_type", "\"agent_failed\""),
        ("timestamp", "\"2026-02-11T12:58:38.123456Z\""),
        ("trace_id", "null"),
        ("source_agent_id", "\"planner\""),
        ("workflow_id", "\"plan-7\""),
        ("metadata", r#"{ "attempt" : 1.50 }"#),
        ("agent_id", "\"a\""),
        ("error_message", "\"no\""),
        ("error_type", "\"E\""),
    ])
}

/// The entries that wait for a group in its stream of replayed letters, as a consumer reads them.
pub(super) fn replays(scene: &mut Scene) -> Vec<(Fields, Replayed)> {
    let key = scene.keys.replay.clone();
    let mut read = cmd("XREADGROUP");
    scene.answer(read.arg("GROUP").arg(GROUP).arg(CONSUMER).arg("STREAMS").arg(&key).arg(">"));
    let entries = reply::entries(scene.answer(cmd("XRANGE").arg(&key).arg("-").arg("+"))).expect("entries");
    let taken = |(id, mut fields): (String, Fields)| {
        assert!(scene.pending(&key).contains(&id), "{id} was not delivered");
        let from = replayed(&mut fields).expect("a replayed entry");
        (fields, from)
    };
    entries.into_iter().map(taken).collect()
}

#[test]
fn p8_a_letter_goes_back_to_its_own_group_once_and_as_it_first_was() {
    for kind in ServerKind::ALL {
        for (profile, stream, fields) in [
            (Profile::native(), STREAM, native()),
            (Profile::tenant(), "t:acme:events:main", tenant()),
            (Profile::orchestration(), "orchestration:events", orchestration()),
        ] {
            let Some(mut scene) = Scene::of(kind, profile, stream, fields.clone()) else { continue };
            assert_eq!(scene.buried(|_| ()), Buried::Done);
            let letters = scene.dead_letters();
            let page = letters.list(&DeadLetterQuery::new()).expect("lists");
            assert_eq!((page.letters.len(), page.next), (1, None));
            let letter = &page.letters[0];
            assert_eq!((letter.stream.as_deref(), letter.original_id), (Some(stream), Some(id("7-1"))));
            assert_eq!(letter.fields, fields);
            let event = letter.event.as_ref().expect("an event");
            assert_eq!(event.plan_id().as_str(), "plan-7");
            assert_eq!(letters.show(stream, letter.id).expect("is there").fields, fields);
            let report = letters.replay(stream, &[letter.id, id("1-1")], None).expect("replays");
            assert_eq!((report.replayed, report.gone, report.refused.len()), (1, 1, 0));
            let from = Replayed { stream: stream.to_owned(), id: id("7-1"), letter: letter.id };
            assert_eq!(replays(&mut scene), [(fields, from)]);
            // No other group sees it again: nothing was added to the stream.
            assert_eq!(scene.server.command(&["XLEN", stream]), "1");
            let again = letters.replay(&letter.queue, &[letter.id], None).expect("answers");
            assert_eq!((again.replayed, again.gone), (0, 1));
            let counted = letters.count().expect("counts");
            let expected = DeadLetterCount {
                queue: scene.keys.dlq.clone(),
                stream: Some(stream.to_owned()),
                moved: 1,
                replayed: 1,
                ..DeadLetterCount::default()
            };
            assert_eq!(counted, [expected]);
        }
    }
}

#[test]
fn p8_a_replay_that_is_refused_leaves_the_letter_where_it_is_and_no_copy() {
    for kind in ServerKind::ALL {
        let Some(mut scene) = Scene::new(kind, native()) else { continue };
        assert_eq!(scene.buried(|_| ()), Buried::Done);
        let letters = scene.dead_letters();
        let letter: EntryId = scene.letters()[0].0.parse().expect("an id");
        let refused = |group: Option<&str>, copies: &str| {
            let report = letters.replay(STREAM, &[letter], group).expect("answers");
            assert_eq!((report.replayed, report.gone, report.refused.len()), (0, 0, 1), "{kind:?}");
            assert_eq!(scene.server.command(&["XLEN", &scene.keys.replay]), copies, "{kind:?}");
            letters.show(STREAM, letter).expect("is there still");
            report.refused[0].error.clone()
        };
        let error = refused(Some("nobody"), "0");
        assert!(
            error.kind() == ErrorKind::NotFound && error.to_string().contains("has no group nobody"),
            "{error}"
        );
        assert_eq!(refused(Some(""), "0").kind(), ErrorKind::InvalidInput);
        scene.server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(refused(None, "0").kind(), ErrorKind::Unavailable);
        scene.server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        scene.server.command(&["XADD", &scene.keys.replay, &EntryId::MAX.to_string(), "foreign", "entry"]);
        assert_eq!(refused(None, "1").kind(), ErrorKind::Storage);
        scene.server.command(&["DEL", &scene.keys.replay]);
        // A group that is gone with its stream, as after FLUSHALL: nobody would read the letter.
        scene.server.command(&["RENAME", STREAM, "elsewhere"]);
        assert_eq!(refused(None, "0").kind(), ErrorKind::NotFound);
        scene.server.command(&["RENAME", "elsewhere", STREAM]);
        assert_eq!(letters.replay(STREAM, &[letter], None).expect("replays").replayed, 1);
    }
}

#[test]
fn a_walk_gives_what_was_there_when_it_began_and_no_letter_that_came_since() {
    let Some(mut scene) = Scene::new(ServerKind::Redis7, native()) else { return };
    scene.add(STREAM, "7-2");
    assert_eq!(scene.buried(|_| ()), Buried::Done);
    let query = DeadLetterQuery::new();
    let selection = query.compile().expect("valid");
    let mut session = Session::open(&endpoint(&scene.server), "walk").expect("connects");
    let profile = scene.profile.clone();
    let mut walk = Walk::begin(&mut session, &profile, &selection).expect("begins");
    assert_eq!(scene.buried(|burial| burial.id = id("7-2")), Buried::Done);
    assert_eq!(walk.page(&mut session).expect("a page").letters.len(), 1);
    assert_eq!(scene.letters().len(), 2);
}

#[test]
fn the_tenant_dialects_own_program_lists_our_letters_and_replays_them_in_its_way() {
    let stream = "t:acme:events:main";
    let Some(mut scene) = Scene::of(ServerKind::Redis7, Profile::tenant(), stream, tenant()) else { return };
    assert_eq!(scene.buried(|_| ()), Buried::Done);
    let Some(read) = read_with("tenant-dead-letters", &scene.server, &[&scene.keys.dlq]) else { return };
    let read = read.expect("it understands the letter");
    assert_eq!(read.len(), 1);
    for (name, expected) in [
        ("stream", json!(stream)),
        ("id", json!("7-1")),
        ("error", json!("disk \"full\"")),
        ("retry_count", json!(4)),
        ("type", json!("task.assigned")),
    ] {
        assert_eq!(read[0][name], expected, "{name}");
    }
    let at: crate::event::Timestamp =
        read[0]["timestamp"].as_str().expect("a text").parse().expect("its time is one");
    assert!(crate::event::Timestamp::now().duration_since(at).as_secs() < 3_600, "{at}");
    // Its replay: our fields stripped, the rest appended to the stream, the letter deleted.
    let entries = reply::entries(scene.answer(cmd("XRANGE").arg(stream).arg("-").arg("+"))).expect("entries");
    assert_eq!(entries[1].1, tenant());
    assert!(scene.letters().is_empty());
}

#[test]
fn the_orchestration_dialects_own_program_reads_our_letters_and_finds_its_facts_in_metadata() {
    let stream = "orchestration:events";
    let profile = Profile::orchestration();
    let Some(mut scene) = Scene::of(ServerKind::Redis7, profile, stream, orchestration()) else { return };
    assert_eq!(scene.buried(|_| ()), Buried::Done);
    let Some(read) = read_with("orchestration", &scene.server, &[&scene.keys.dlq]) else { return };
    let read = read.expect("it understands the letter");
    let metadata = json!({"dlq_reason": "disk \"full\"", "dlq_retry_count": 4,
        "dlq_original_stream": stream, "attempt": 1.5});
    assert_eq!((&read[0]["metadata"], &read[0]["type"]), (&metadata, &json!("agent_failed")));
    assert_eq!(read[0]["data"]["_dlq_error"], json!("disk \"full\""));
}
