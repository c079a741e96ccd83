//! Burials against real servers: what the consumers rely on and no caller of the public interface sees.

use super::{letters::replays, *};
use crate::error::ErrorKind;

#[test]
fn p8_an_entry_that_is_buried_is_acked_and_whole_among_the_dead_letters_once() {
    for kind in ServerKind::ALL {
        let Some(mut scene) = Scene::new(kind, hostile()) else { continue };
        scene.server.command(&["ZADD", &scene.keys.due, "1", "7-1", "2", "9-9"]);
        scene.server.command(&["HSET", &scene.keys.failures, "7-1", "x", "9-9", "y"]);
        assert_eq!(scene.buried(|_| ()), Buried::Done);
        assert_eq!(scene.pending(STREAM), "");
        let (own, facts) = scene.letter();
        assert_eq!(own, hostile());
        assert_eq!(facts.stream.as_deref(), Some(STREAM));
        assert_eq!(facts.id, "7-1".parse().ok());
        assert_eq!((facts.group.as_deref(), facts.consumer.as_deref()), (Some(GROUP), Some(CONSUMER)));
        assert_eq!((facts.attempts, facts.deliveries), (Some(4), Some(5)));
        assert_eq!(facts.first_failed_at, "2026-02-11T12:58:38.123Z".parse().ok());
        assert!(facts.last_failed_at > facts.first_failed_at, "{facts:?}");
        assert_eq!(facts.error.as_deref(), Some("disk \"full\""));
        assert_eq!(facts.reason, Some(DeadLetterReason::Failed));
        // What another entry waits for is left alone.
        assert_eq!(scene.server.command(&["ZRANGE", &scene.keys.due, "0", "-1"]), "9-9");
        assert_eq!(scene.server.command(&["HKEYS", &scene.keys.failures]), "9-9");
        // The same bytes again, as after an answer that was lost.
        assert_eq!(scene.buried(|_| ()), Buried::Gone);
        assert_eq!(scene.letters().len(), 1);
        assert_eq!(scene.count("moved"), "1");
        // A group that is destroyed takes all that was pending with it.
        scene.add(STREAM, "7-2");
        scene.server.command(&["XGROUP", "DESTROY", STREAM, GROUP]);
        assert_eq!(scene.buried(|burial| burial.id = id("7-2")), Buried::Gone);
        scene.server.command(&["DEL", STREAM]);
        assert_eq!(scene.buried(|_| ()), Buried::Gone);
        assert_eq!(scene.letters().len(), 1);
    }
}

#[test]
fn p8_a_burial_whose_answer_is_lost_is_made_once_however_often_it_is_sent() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let mut scene = Scene::on(server, Profile::native(), STREAM, hostile());
    let command = scene.burial().command(&scene.profile);
    for after_bytes in [0, 1, 3] {
        proxy.set(Fault::None);
        let endpoint = RedisEndpoint::parse(&proxy.url()).expect("a URL");
        let mut far = endpoint.connect().expect("answers");
        proxy.set(Fault::CutReply { after_bytes });
        assert_eq!(far.call(&command).expect_err("cut").kind(), ErrorKind::Unavailable);
    }
    wait_for("the server has run what it was sent", || scene.letters().len() == 1);
    assert_eq!(scene.buried(|_| ()), Buried::Gone);
    assert_eq!((scene.letters().len(), scene.count("moved")), (1, "1".to_owned()));
}

#[test]
fn p8_an_entry_that_another_consumer_owns_or_whose_lease_is_anothers_stays() {
    for kind in ServerKind::ALL {
        let Some(mut scene) = Scene::new(kind, hostile()) else { continue };
        assert_eq!(scene.buried(|burial| burial.consumer = "two"), Buried::NotOurs);
        assert_eq!(scene.buried(|burial| burial.lease = Some("token")), Buried::NotOurs);
        scene.server.command(&["SET", &scene.keys.lease, "another"]);
        assert_eq!(scene.buried(|burial| burial.lease = Some("token")), Buried::NotOurs);
        assert!(scene.pending(STREAM).starts_with("7-1\n"));
        assert!(scene.letters().is_empty());
        scene.server.command(&["SET", &scene.keys.lease, "token"]);
        assert_eq!(scene.buried(|burial| burial.lease = Some("token")), Buried::Done);
    }
}

#[test]
fn p8_a_burial_that_the_server_refuses_leaves_the_entry_pending_and_no_copy() {
    for kind in ServerKind::ALL {
        let Some(mut scene) = Scene::new(kind, hostile()) else { continue };
        let stays = |scene: &mut Scene, letters: usize| {
            assert!(scene.pending(STREAM).starts_with("7-1\n"), "{kind:?}");
            assert_eq!(scene.letters().len(), letters, "{kind:?}");
            assert_eq!(scene.count("moved"), "", "{kind:?}");
        };
        scene.server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let refusal = scene.bury(|_| ()).expect_err("no memory");
        assert!(refusal.code == "OOM" && refusal.is_transient(), "{kind:?}: {refusal:?}");
        scene.server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        stays(&mut scene, 0);
        let last = EntryId::MAX.to_string();
        scene.server.command(&["XADD", DLQ, &last, "foreign", "entry"]);
        let refusal = scene.bury(|_| ()).expect_err("behind a maximal id");
        assert_eq!(refusal.into_error("bury").kind(), ErrorKind::Storage);
        stays(&mut scene, 1);
        scene.server.command(&["DEL", DLQ]);
        scene.server.command(&["SET", DLQ, "no stream"]);
        scene.bury(|_| ()).expect_err("no stream");
        scene.server.command(&["DEL", DLQ]);
        stays(&mut scene, 0);
        // A user who may add and not ack: what was added is taken out again.
        scene.server.command(&["ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", "-xack"]);
        let url = scene.server.url_as("half", "pw");
        let mut half = RedisEndpoint::parse(&url).expect("a URL").connect().expect("answers");
        let command = scene.burial().command(&scene.profile);
        half.call(&command).expect("connected").expect_err("may not ack");
        stays(&mut scene, 0);
        assert_eq!(scene.buried(|_| ()), Buried::Done);
    }
}

#[test]
fn what_a_group_keeps_beside_the_letters_never_holds_up_a_burial() {
    let Some(mut scene) = Scene::new(ServerKind::Redis7, hostile()) else { return };
    for key in [&scene.keys.counts, &scene.keys.due, &scene.keys.failures] {
        scene.server.command(&["SET", key, "somebody's"]);
    }
    assert_eq!(scene.buried(|_| ()), Buried::Done);
    assert_eq!(scene.letter().0, hostile());
}

#[test]
fn the_oldest_dead_letters_beyond_the_limit_are_dropped_and_counted() {
    let Some(mut scene) = Scene::new(ServerKind::Redis62, hostile()) else { return };
    for number in 2..=5 {
        scene.add(STREAM, &format!("7-{number}"));
    }
    for number in 1..=5 {
        let id = id(&format!("7-{number}"));
        assert_eq!(scene.buried(|burial| (burial.id, burial.max_len) = (id, 3)), Buried::Done);
    }
    let form = form::form(&scene.profile);
    let ids: Vec<String> = scene
        .letters()
        .into_iter()
        .filter_map(|(_, fields)| Some(form::read(fields, form).1.id?.to_string()))
        .collect();
    assert_eq!(ids, ["7-3", "7-4", "7-5"]);
    assert_eq!((scene.count("moved"), scene.count("dropped")), ("5".to_owned(), "2".to_owned()));
}

#[test]
fn p11_an_entry_of_more_fields_than_a_script_passes_on_comes_back_as_it_was() {
    for kind in ServerKind::ALL {
        for count in [trailer::FIELDS_MAX, trailer::FIELDS_MAX + 1, 20_000] {
            let fields: Fields =
                (0..count).map(|n| (vec![n as u8, b':', 0xff], n.to_string().into_bytes())).collect();
            let streams = [(Profile::native(), STREAM), (Profile::orchestration(), "orchestration:events")];
            for (profile, stream) in streams {
                let Some(mut scene) = Scene::of(kind, profile, stream, fields.clone()) else { continue };
                assert_eq!(scene.buried(|_| ()), Buried::Done, "{kind:?} {count}");
                assert!(scene.letter().0 == fields, "{kind:?} {count}");
                let report = scene.dead_letters().replay_all(&DeadLetterQuery::new(), None).expect("answers");
                assert_eq!(report.replayed, 1, "{kind:?} {count} {report:?}");
                assert!(replays(&mut scene)[0].0 == fields, "{kind:?} {count}");
            }
        }
    }
}

#[test]
fn a_replayed_entry_that_fails_again_is_a_letter_of_its_first_stream_and_its_own_is_emptied() {
    for kind in ServerKind::ALL {
        let Some(mut scene) = Scene::new(kind, hostile()) else { continue };
        let from = Replayed { stream: STREAM.to_owned(), id: id("7-1"), letter: id("9-9") };
        let replay = scene.keys.replay.clone();
        scene.keys.stream.clone_from(&replay);
        scene.fields = from.append(&hostile());
        scene.add(&replay, "8-1");
        scene.add(&replay, "8-2");
        let bury =
            |scene: &mut Scene, text| scene.buried(|burial| (burial.id, burial.is_replay) = (id(text), true));
        assert_eq!(bury(&mut scene, "8-1"), Buried::Done);
        let (own, facts) = scene.letter();
        assert_eq!(own, hostile());
        assert_eq!((facts.stream.as_deref(), facts.id), (Some(STREAM), Some(from.id)));
        assert_eq!(scene.server.command(&["XRANGE", &replay, "-", "+"]).lines().next(), Some("8-2"));
        assert_eq!(bury(&mut scene, "8-1"), Buried::Gone);
        assert_eq!(bury(&mut scene, "8-2"), Buried::Done);
        assert_eq!(scene.server.command(&["EXISTS", &replay]), "0");
        // Its answer was lost, and the stream went with it.
        assert_eq!(bury(&mut scene, "8-2"), Buried::Gone);
        assert_eq!(scene.letters().len(), 2);
    }
}

#[test]
fn the_servers_time_is_written_as_the_calendar_has_it() {
    const SCRIPT: &str = concat!(include_str!("../utc.lua"), "return utc(ARGV)");
    let Some(server) = RedisServer::start() else { return };
    // The ends of months and years, leap days and centuries, and times between.
    let days = (0..150_000).step_by(37).chain([58, 59, 60, 789, 790, 11_016, 11_017, 47_540, 47_541]);
    for day in days {
        let seconds = day * 86_400 + (day * 7_919) % 86_400;
        let text = server.command(&["EVAL", SCRIPT, "0", &seconds.to_string(), "4021"]);
        let expected = crate::event::Timestamp::from_micros(seconds * 1_000_000 + 4_021).expect("a time");
        assert_eq!(text, expected.to_string().replace('Z', "+00:00"));
    }
}
