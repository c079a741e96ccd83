//! Endpoints: every way to name a Redis reaches it, and what is wrong with one is told by name.

#![cfg(all(feature = "redis", target_os = "linux"))]

mod redis_support;

use std::{error::Error as _, process::Command, time::Duration};

use planbus::{
    Error, ErrorKind,
    redis::{Health, HealthStatus, Persistence as Kept, RedisEndpoint},
};
use redis_support::*;

fn health(url: &str) -> Result<Health, Error> {
    RedisEndpoint::parse(url)?.health()
}

/// The whole chain of an error, as the program prints it.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        told += &format!(": {cause}");
        next = cause.source();
    }
    told
}

fn refused(url: &str) -> (ErrorKind, String) {
    let error = health(url).expect_err("must not be let in");
    (error.kind(), told(&error))
}

#[test]
fn a_server_of_any_kind_is_reached_by_tcp_and_by_its_socket_and_says_what_it_is() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).tcp().start() else { continue };
        let socket = server.socket().display().to_string();
        for url in [
            server.url(),
            server.url() + "/3",
            format!("unix://{socket}?db=3"),
            format!("redis+unix://{socket}"),
        ] {
            let health = health(&url).expect("the server answers");
            let name = if kind == ServerKind::Valkey { "valkey" } else { "redis" };
            assert_eq!(
                (health.server.kind.as_str(), health.server.mode.as_str()),
                (name, "standalone"),
                "{url}"
            );
            assert!(health.server.version.contains('.') && health.server.role == "master", "{health:?}");
            assert!(health.connected_clients > 0 && health.used_memory_bytes > 0, "{health:?}");
            assert_eq!(health.server.maxmemory_policy.as_deref(), Some("noeviction"));
        }
        if kind == ServerKind::Valkey {
            // It calls itself a Redis 7.2.4 in INFO; its own version is told.
            assert_ne!(health(&server.url()).expect("answers").server.version, "7.2.4");
        }
        let (kind, told) = refused(&format!("{}/99", server.url()));
        assert!(kind == ErrorKind::InvalidInput && told.contains("has no database 99"), "{told}");
    }
}

#[test]
fn with_tls_only_a_server_with_a_certificate_for_its_name_by_a_trusted_authority_is_spoken_to() {
    let Some(server) = RedisServer::builder().tls().start() else { return };
    let [ca, other_ca] = server.authorities().map(|path| path.display().to_string());
    let port = server.port();
    for host in ["127.0.0.1", "localhost"] {
        let health = health(&format!("rediss://{host}:{port}?ca_file={ca}")).expect("trusted");
        assert_eq!(health.server.kind, "redis");
    }
    for (url, expected) in [
        (format!("rediss://127.0.0.1:{port}?ca_file={other_ca}"), "invalid peer certificate"),
        (format!("rediss://127.0.0.1:{port}"), "name it with ?ca_file=PATH"),
        (format!("redis://127.0.0.1:{port}"), "does it want TLS? (rediss://)"),
    ] {
        let (kind, told) = refused(&url);
        assert!(kind == ErrorKind::Unavailable && told.contains(expected), "{url}: {told}");
    }
    let Some(elsewhere) = RedisServer::builder().tls_for("DNS:elsewhere.example").start() else { return };
    let ca = elsewhere.authorities()[0].display();
    let (_, told) = refused(&format!("rediss://127.0.0.1:{}?ca_file={ca}", elsewhere.port()));
    assert!(told.contains("certificate not valid for name"), "{told}");
    let Some(plain) = RedisServer::builder().tcp().start() else { return };
    let (kind, told) = refused(&format!("rediss://127.0.0.1:{}?ca_file={ca}", plain.port()));
    assert!(
        kind == ErrorKind::Unavailable && told.contains("does it speak TLS? (redis:// goes without)"),
        "{told}"
    );
}

#[test]
fn a_server_that_asks_for_a_client_certificate_gets_it_and_files_that_are_none_are_named() {
    let Some(server) = RedisServer::builder().tls().line("tls-auth-clients yes").start() else { return };
    let file = |name: &str| server.dir().join(name);
    let url = format!("rediss://localhost:{}", server.port());
    let with = || RedisEndpoint::builder(&url).ca_file(file("ca.crt"));
    let endpoint = with().client_certificate(file("server.crt"), file("server.key")).build();
    endpoint.expect("files of certificates").health().expect("let in");
    let without = with().build().expect("a URL").health().expect_err("let in without a certificate");
    assert!(told(&without).contains("?client_cert=PATH&client_key=PATH"), "{}", told(&without));
    assert!(!told(&without).contains("is Redis up"), "{}", told(&without));
    for (builder, expected) in [
        (with().client_certificate(file("missing"), file("server.key")), "read client_cert"),
        (with().client_certificate(file("server.crt"), file("ca.crt")), "private key"),
        (RedisEndpoint::builder(&url).ca_file(file("server.key")), "holds no certificate"),
        (RedisEndpoint::builder("redis://localhost").ca_file(file("ca.crt")), "begins with rediss"),
    ] {
        let error = builder.build().expect_err("no such files");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(told(&error).contains(expected), "{}", told(&error));
    }
}

#[test]
fn who_may_not_come_in_is_told_why() {
    let Some(server) =
        RedisServer::builder().requirepass("s3cret").acl("app", "~planbus:* +xadd", "s3cret").start()
    else {
        return;
    };
    let socket = server.socket().display().to_string();
    for (login, expected) in [
        ("", "asks for a password: give it as redis://:PASSWORD@HOST"),
        ("?pass=wrong", "refused the password"),
        ("?user=app&pass=wrong", "refused the user app"),
        ("?user=nobody&pass=s3cret", "refused the user nobody"),
    ] {
        let (kind, told) = refused(&format!("unix://{socket}{login}"));
        assert!(kind == ErrorKind::Unauthorized && told.contains(expected), "{login}: {told}");
    }
    // A user who may do nothing but append sees nothing, and that is no error.
    let seen = health(&server.url_as("app", "s3cret")).expect("let in");
    assert_eq!((seen.status, seen.used_memory_bytes), (HealthStatus::Healthy, 0));
    assert_eq!((seen.server.persistence, seen.server.maxmemory_policy), (Kept::Unknown, None));
    assert!(!seen.server.version.is_empty(), "HELLO is for everybody");
    let (kind, told) = refused(&format!("unix://{socket}?user=app&pass=s3cret&db=1"));
    assert!(kind == ErrorKind::Unauthorized && told.contains("choose database 1"), "{told}");
}

#[test]
fn a_server_that_is_full_away_or_no_redis_is_told_as_such() {
    let Some(server) = RedisServer::builder().line("maxclients 1").start() else { return };
    let _one = server.wire().expect("the one client");
    let (kind, told) = refused(&server.url());
    assert!(kind == ErrorKind::Unavailable && told.contains("max number of clients reached"), "{told}");
    let socket = server.url();
    server.kill();
    let (kind, told) = refused(&socket);
    assert!(kind == ErrorKind::Unavailable && told.contains("connect to /"), "{told}");
    // Accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let (kind, told) = refused(&format!("redis://127.0.0.1:{port}?connect_timeout=50ms"));
    assert!(kind == ErrorKind::Unavailable && told.contains("no answer in time"), "{told}");
    assert!(told.contains("is Redis up") && !told.contains("os error"), "{told}");
}

#[test]
fn a_peer_that_is_no_redis_or_no_sentinel_is_told_as_such() {
    let http = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = http.local_addr().expect("bound").port();
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut peer, _) = http.accept().expect("one comes");
        let _ = peer.read(&mut [0; 64]);
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("is read");
    });
    let (kind, told) = refused(&format!("redis://127.0.0.1:{port}"));
    answering.join().expect("answers");
    assert!(kind == ErrorKind::Unavailable && told.contains("it does not speak Redis' protocol"), "{told}");
    assert!(!told.contains("ParseError"), "{told}");
    let Some(plain) = RedisServer::builder().tcp().start() else { return };
    let (kind, told) = refused(&format!("redis+sentinel://127.0.0.1:{}/main", plain.port()));
    assert!(kind == ErrorKind::InvalidInput && told.contains("is no Sentinel"), "{told}");
}

#[test]
fn a_connection_by_tcp_holds_no_small_command_back() {
    const URL: &str = "PLANBUS_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        // This is the process that is watched.
        health(&url).expect("the server answers");
        return;
    }
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let log = server.dir().join("strace.log");
    let strace = Command::new("strace")
        .args(["-f", "-e", "trace=setsockopt", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "a_connection_by_tcp_holds_no_small_command_back"])
        .env(URL, server.url())
        .output();
    let Ok(output) = strace else { return println!("skipped: there is no strace") };
    assert!(output.status.success(), "{output:?}");
    let calls = std::fs::read_to_string(log).expect("strace wrote");
    assert!(calls.contains("TCP_NODELAY, [1]"), "{calls}");
}

#[test]
fn what_puts_events_at_risk_degrades_the_health_and_what_does_not_leaves_it() {
    let aof = |fsync| Persistence::Aof { fsync };
    let start = |persistence, policy| {
        RedisServer::builder().persistence(persistence).maxmemory(100 << 20, policy).start()
    };
    let cases = [
        (aof(Fsync::EverySecond), "noeviction", Kept::AppendOnly, None),
        (Persistence::Rdb, "noeviction", Kept::Snapshots, None),
        (Persistence::None, "noeviction", Kept::None, Some("set appendonly to yes")),
        (aof(Fsync::Never), "noeviction", Kept::AppendOnly, Some("set it to everysec")),
        (aof(Fsync::Always), "allkeys-lru", Kept::AppendOnly, Some("set it to noeviction")),
    ];
    for (persistence, policy, kept, warning) in cases {
        let Some(server) = start(persistence, policy) else { return };
        let health = health(&server.url()).expect("answers");
        assert_eq!(health.server.persistence, kept, "{health:?}");
        match warning {
            None => assert_eq!(health.status, HealthStatus::Healthy, "{health:?}"),
            Some(expected) => {
                assert_eq!(health.status, HealthStatus::Degraded);
                assert!(
                    health.server.warnings.len() == 1 && health.server.warnings[0].contains(expected),
                    "{health:?}"
                );
            }
        }
    }
}

#[test]
fn health_of_sentinels_is_that_of_the_master_and_of_a_cluster_that_of_all_masters() {
    let Some(sentinels) = Sentinels::start(1) else { return };
    let url = format!("redis+sentinel://{}/{}", sentinels.addresses().join(","), sentinels.name());
    let of_master = health(&url).expect("a master");
    assert_eq!((of_master.server.mode.as_str(), of_master.server.role.as_str()), ("sentinel", "master"));
    assert_eq!(of_master.masters[0].address, format!("127.0.0.1:{}", sentinels.primary().port()));
    sentinels.kill_primary();
    assert_eq!(
        health(&url).expect("the new master").masters[0].address,
        format!("127.0.0.1:{}", sentinels.primary().port())
    );
    let Some(cluster) = Cluster::start(false) else { return };
    let health = health(&format!("redis+cluster://{}", cluster.addresses()[0])).expect("whole");
    assert_eq!((health.server.mode.as_str(), health.masters.len()), ("cluster", 3));
    assert_eq!(
        health.used_memory_bytes,
        health.masters.iter().map(|master| master.used_memory_bytes).sum::<u64>()
    );
    let json = serde_json::to_value(&health).expect("health is JSON");
    for name in [
        "status",
        "latency_ms",
        "connected_clients",
        "used_memory_bytes",
        "version",
        "kind",
        "persistence",
        "maxmemory_policy",
        "role",
        "warnings",
        "mode",
        "masters",
    ] {
        assert!(json.get(name).is_some(), "{name} is missing: {json}");
    }
    assert!(
        json["latency_ms"].as_f64().is_some_and(|latency| latency > 0.0) && json["status"] == "healthy",
        "{json}"
    );
}

#[test]
fn with_tls_every_node_of_a_cluster_is_spoken_to_so_and_none_of_another_authority() {
    let Some(cluster) = Cluster::start_tls() else { return };
    let [ca, other_ca] = cluster.nodes()[0].authorities().map(|path| path.display().to_string());
    let url = format!("rediss+cluster://{}", cluster.addresses()[0]);
    let health = health(&format!("{url}?ca_file={ca}")).expect("trusted");
    assert_eq!((health.server.mode.as_str(), health.masters.len()), ("cluster", 3));
    let (kind, told) = refused(&format!("{url}?ca_file={other_ca}"));
    assert!(kind == ErrorKind::Unavailable && told.contains("invalid peer certificate"), "{told}");
}

#[test]
fn with_tls_sentinels_and_the_master_that_they_name_are_spoken_to_so() {
    let Some(sentinels) = Sentinels::start_tls(1) else { return };
    let [ca, other_ca] = sentinels.servers()[0].authorities().map(|path| path.display().to_string());
    let url = format!("rediss+sentinel://{}/{}", sentinels.addresses().join(","), sentinels.name());
    let health = health(&format!("{url}?ca_file={ca}")).expect("trusted");
    assert_eq!((health.server.mode.as_str(), health.server.role.as_str()), ("sentinel", "master"));
    let (kind, told) = refused(&format!("{url}?ca_file={other_ca}"));
    assert!(kind == ErrorKind::Unavailable && told.contains("invalid peer certificate"), "{told}");
}

#[test]
fn what_is_wrong_with_an_endpoint_is_named() {
    for (url, expected) in [
        ("", "must begin with redis://"),
        ("localhost:6379", "must begin with redis://"),
        ("http://localhost", "must begin with redis://"),
        ("redis+nobody://localhost", "must begin with redis://"),
        ("redis://", "must name a host"),
        ("redis://:6380", "must name a host"),
        ("redis://localhost:0", "port must be 1 to 65535"),
        ("redis://localhost:65536", "port must be 1 to 65535"),
        ("redis://localhost:", "port must be 1 to 65535"),
        ("redis://local host", "no blank"),
        ("redis://local\0host", "control character"),
        ("redis://0.0.0.0", "all interfaces"),
        ("redis://[::]:6379", "all interfaces"),
        ("redis://[::1", "in brackets"),
        ("redis://::1", "must name a host"),
        ("redis://a,b", "host must be a name"),
        ("redis://localhost/x", "database must be a number"),
        ("redis://localhost/-1", "database must be a number"),
        ("redis://localhost/0#insecure", "must be written as %23"),
        ("redis://localhost?nothing=1", "a parameter of the URL is unknown"),
        ("redis://localhost?read_timeout=3", "read_timeout must be a whole number of ms or s"),
        ("redis://localhost?read_timeout=0s", "read_timeout must be 1ms to 3600 s"),
        ("redis://localhost?back_off_first=2s&back_off_max=1s", "back_off_max must be at least"),
        ("redis://localhost?ca_file=/ca.pem", "begins with rediss"),
        ("redis://localhost?sentinel_user=a", "need a URL of Sentinels"),
        ("redis://localhost?db=1", "a parameter of the URL is unknown"),
        ("rediss://localhost?client_cert=/c.pem", "go together"),
        ("redis+sentinel://one,two", "must name the master"),
        ("redis+cluster://one,two/3", "no database but 0"),
        ("redis+cluster://one,,two", "must name a host"),
        ("unix://relative/path", "absolute path"),
        ("unix:///tmp/%ff", "percent-encoded UTF-8"),
    ] {
        let error = RedisEndpoint::parse(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        assert!(
            error.to_string().starts_with("redis: ") && error.to_string().contains(expected),
            "{url}: {error}"
        );
    }
    let jitter = RedisEndpoint::builder("redis://localhost").back_off_jitter(1.5).build();
    assert!(
        jitter.expect_err("more than all").to_string().contains("back_off_jitter must be 0 to 1, got 1.5")
    );
    let zero = RedisEndpoint::builder("redis://localhost").connect_timeout(Duration::ZERO).build();
    assert!(zero.expect_err("no time").to_string().contains("connect_timeout must be"));
}

#[test]
fn an_endpoint_shows_what_it_was_made_of_but_for_its_secrets() {
    for (url, shown) in [
        ("redis://localhost", "redis://localhost:6379"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix:///r?pass=x", "unix:///r?pass=***"),
        ("rediss://app:s3cret@[::1]:7000/2?read_timeout=5s", "rediss://app:***@[::1]:7000/2"),
        ("redis://:p%40ss@h", "redis://:***@h:6379"),
        ("redis://a%40b@h", "redis://a%40b@h:6379"),
        ("redis+unix:///tmp/a%20b?db=1&user=app&pass=s3cret", "unix:///tmp/a%20b?db=1&user=app&pass=***"),
        (
            "redis+sentinel://app:x@one,two:1/main/3?sentinel_pass=y",
            "redis+sentinel://app:***@one:26379,two:1/main/3",
        ),
        ("rediss+cluster://one,two:7001/", "rediss+cluster://one:6379,two:7001"),
    ] {
        let endpoint = RedisEndpoint::parse(url).expect(url);
        assert_eq!(endpoint.to_string(), shown);
        assert_eq!(format!("{endpoint:?}"), format!("RedisEndpoint({shown})"));
    }
}
