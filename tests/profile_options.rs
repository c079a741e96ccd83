//! What a profile can be told, and what it refuses.

#![cfg(feature = "redis")]

use planbus::{Error, ErrorKind, redis::Profile};

const NAMES: [&str; 6] = ["native", "tenant", "per-type", "orchestration", "attune", "attune-registry"];

fn named(name: &str) -> Profile {
    Profile::named(name).expect("built in")
}

fn text(refused: Result<Profile, Error>) -> String {
    refused.expect_err("must be refused").to_string()
}

#[test]
fn six_profiles_are_built_in_with_their_streams_and_lengths() {
    let patterns = [
        ("planbus:{*}:events", 1_000_000),
        ("t:*:events:main", 1_000),
        ("events:*", 10_000),
        ("orchestration:events", 10_000),
        ("empathy:events:*", 10_000),
        ("stream:*", 10_000),
    ];
    for (name, (pattern, max_len)) in NAMES.into_iter().zip(patterns) {
        let profile = named(name);
        assert_eq!((profile.name(), &*profile.stream_pattern()), (name, pattern));
        assert_eq!(profile.max_len(), Some(max_len));
    }
    let made = [
        Profile::native(),
        Profile::tenant(),
        Profile::per_type(),
        Profile::orchestration(),
        Profile::attune(),
        Profile::attune_registry(),
    ];
    assert_eq!(made.each_ref().map(Profile::name), NAMES);
}

#[test]
fn an_unknown_profile_is_refused_with_all_names() {
    assert_eq!(
        text(Profile::named("kafka")),
        "profile: must be one of native, tenant, per-type, orchestration, attune, attune-registry, got \"kafka\""
    );
}

#[test]
fn a_profile_is_changed_without_a_change_to_its_clones() {
    let one = named("tenant");
    let other = one.clone().with_stream("tasks").expect("a name").with_max_len(None).expect("all");
    assert_eq!(
        (one.stream_pattern(), other.stream_pattern()),
        ("t:*:events:main".into(), "t:*:events:tasks".into())
    );
    assert_eq!((one.max_len(), other.max_len()), (Some(1_000), None));
}

#[test]
fn the_name_of_the_stream_is_filled_in_whenever_it_is_given() {
    let key = "x:<stream>:<tenant>";
    let before = named("native").with_stream("a").and_then(|profile| profile.with_key(key));
    let after = named("native").with_key(key).and_then(|profile| profile.with_stream("a"));
    assert_eq!(before.expect("valid").stream_pattern(), "x:a:*");
    assert_eq!(after.expect("valid").stream_pattern(), "x:a:*");
    assert_eq!(
        text(named("native").with_stream("a:b")),
        "stream: must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}, got \"a:b\""
    );
}

#[test]
fn options_out_of_range_are_refused_with_their_name() {
    let refused = named("native").with_partitions(0).expect_err("none");
    assert_eq!(refused.kind(), ErrorKind::InvalidOption);
    assert_eq!(refused.to_string(), "partitions must be 1 to 1024, got 0");
    assert_eq!(text(named("native").with_partitions(1_025)), "partitions must be 1 to 1024, got 1025");
    assert_eq!(
        text(named("native").with_partitions(2)),
        "partitions must be 1 where the key has no <partition>, got 2"
    );
    let parted =
        named("native").with_key("x:{<tenant>:<partition>}").and_then(|profile| profile.with_partitions(2));
    assert_eq!(parted.expect("has one").stream_pattern(), "x:{*:*}");
    assert_eq!(text(named("native").with_max_len(Some(0))), "max_len must be at least 1, got 0");
}

#[test]
fn a_key_of_dead_letters_has_only_what_the_key_has_and_differs_from_it() {
    let profile = || named("native");
    assert_eq!(
        text(profile().with_dlq_key("dead:<plan>")),
        "dlq_key: has <plan>, which the key does not have"
    );
    assert_eq!(
        text(profile().with_dlq_key("planbus:{<tenant>}:events")),
        "dlq_key: planbus:{<tenant>}:events can be the key of a stream"
    );
    let plans = profile().with_key("x:<plan>").expect("a template");
    assert!(text(plans.with_dlq_key("x:dead-<plan>")).ends_with("can be the key of a stream"));
    let with = profile().with_dlq_key("dead:{<tenant>}").expect("a template");
    assert!(text(with.with_key("events:<type>")).starts_with("dlq_key: has <tenant>"));
}

#[test]
fn a_map_takes_only_types_that_the_system_has() {
    let refused = text(named("tenant").with_type("note", "workflow.started"));
    assert!(refused.starts_with("type map: a type of tenant must be one of task.assigned, "), "{refused}");
    assert!(text(named("orchestration").with_type("note", "task.assigned")).contains("workflow_resumed"));
    assert!(text(named("attune").with_type("note", "a b")).starts_with("type map: must match"));
    assert!(text(named("native").with_type("note", "task.assigned")).contains("native has none"));
    assert!(text(named("attune").with_type("no type", "x")).starts_with("event_type: must match"));
    assert!(named("per-type").with_type("note", "anything.else").is_ok());
    let refused = text(named("tenant").with_failed_type("note", "task.failed"));
    assert_eq!(refused, "type map: note must be given its name first");
}

#[test]
fn a_cluster_keeps_a_stream_and_its_dead_letters_together_or_the_profile_is_refused() {
    let refused = |profile: &Profile| profile.check_cluster().expect_err("apart").to_string();
    assert!(named("native").check_cluster().is_ok());
    assert_eq!(
        refused(&named("orchestration")),
        "profile orchestration: a cluster may keep orchestration:events and orchestration:events:dlq apart; \
         use the dlq_key {orchestration:events}:dlq"
    );
    // What an error proposes is accepted.
    for (name, proposed) in [
        ("tenant", "{t:<tenant>:events:main}:dlq"),
        ("per-type", "{events:<type>}:dlq"),
        ("orchestration", "{orchestration:events}:dlq"),
        ("attune", "{empathy:events:<type>}:dlq"),
        ("attune-registry", "{stream:<type>}:dlq"),
    ] {
        assert!(refused(&named(name)).ends_with(&format!("use the dlq_key {proposed}")), "{name}");
        assert!(named(name).with_dlq_key(proposed).expect("a template").check_cluster().is_ok(), "{name}");
    }
    let apart = named("native").with_dlq_key("dead:{all}").expect("a template");
    assert!(refused(&apart).ends_with("use the dlq_key planbus:{<tenant>}:events:dlq"));
    let together = named("native").with_dlq_key("dead:{<tenant>}").expect("a template");
    assert!(together.check_cluster().is_ok());
    let braces = named("native").with_key("a}b{c").expect("a template");
    assert!(refused(&braces).contains("use the key planbus:{<tenant>}:events"));
}
