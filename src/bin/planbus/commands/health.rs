//! `planbus health`: how a Redis is, and what it holds of a profile.
//!
//! Works without a store and changes nothing.

use clap::Args;
use planbus::redis::{HealthStatus, Persistence, StreamsHealth};

use crate::{
    agent_runtime::units::{bytes, counted, duration, number},
    cli::{Form, Global},
    failure::{Failure, chain},
    output::Output,
    redis::{self, ProfileOptions, RedisOptions, failed},
    style::Style,
    text::escape,
};

/// The width of a fact's name.
const FACT_COLUMNS: usize = 11;

/// The exit codes that mean something of their own here.
const EXIT_CODES: &str = "\
Exit codes: 0 it answers, also with warnings; 1 refused: wrong password or missing rights; 4 Redis cannot be
reached; `planbus --help` lists all";

/// The options of `health`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct HealthOptions {
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    profile: ProfileOptions,
}

/// Runs the command.
pub(crate) fn run(options: &HealthOptions, _global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("health")?;
    let endpoint = options.redis.endpoint()?;
    let health = redis::streams(&options.redis, &options.profile)?.health().map_err(failed)?;
    match form {
        Form::Json => out.json(&serde_json::to_string(&health).unwrap_or_default()),
        Form::Table | Form::Tree => write_facts(&endpoint.to_string(), &health, out),
    }
}

fn write_facts(endpoint: &str, health: &StreamsHealth, out: &mut Output) -> Result<(), Failure> {
    let redis = &health.server;
    let (status, style) = match redis.status {
        HealthStatus::Healthy => ("healthy", Style::Good),
        _ => ("degraded: it answers, and see the warnings", Style::Bad),
    };
    write_fact("status", status, style, out)?;
    let unknown = || "unknown: the user may not ask".to_owned();
    let plain = |text: String| if text.is_empty() { unknown() } else { text };
    let server = &redis.server;
    let persistence = match server.persistence {
        Persistence::Unknown => "unknown: give the user +info and +config|get".to_owned(),
        known => known.to_string(),
    };
    let facts = [
        ("redis", endpoint.to_owned()),
        ("server", plain(format!("{} {}", server.kind, server.version).trim().to_owned())),
        ("mode", format!("{}, {}", server.mode, plain(server.role.clone()))),
        ("latency", duration(redis.latency)),
        ("clients", number(redis.connected_clients)),
        ("memory", memory(redis.used_memory_bytes, redis.max_memory_bytes)),
        ("when full", server.maxmemory_policy.clone().unwrap_or_else(unknown)),
        ("persistence", persistence),
        ("streams", streams(health)),
    ];
    for (name, value) in facts {
        write_fact(name, &value, Style::Plain, out)?;
    }
    for master in redis.masters.iter().filter(|_| redis.masters.len() > 1) {
        let told = format!(
            "{}: {}, {}",
            master.address,
            counted(master.connected_clients, "client"),
            memory(master.used_memory_bytes, master.max_memory_bytes)
        );
        write_fact("master", &told, Style::Plain, out)?;
    }
    server.warnings.iter().try_for_each(|warning| write_fact("warning", warning, Style::Bad, out))
}

/// How many streams there are, or why nobody knows.
fn streams(health: &StreamsHealth) -> String {
    let profile = &health.profile;
    let (Some(streams), Some(queues)) = (health.streams, health.dead_letters) else {
        let why = health.not_counted.as_ref().map(|error| chain(error)).unwrap_or_default();
        return format!("not counted for the profile {profile}: {why}");
    };
    let plural = if queues == 1 { "queue" } else { "queues" };
    let streams = counted(streams as u64, "stream");
    format!("{streams} of the profile {profile}, {} dead-letter {plural}", number(queues as u64))
}

fn memory(used: u64, limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!("{} of {}", bytes(used), bytes(limit)),
        None => bytes(used),
    }
}

fn write_fact(name: &str, value: &str, style: Style, out: &mut Output) -> Result<(), Failure> {
    let head = out.paint(Style::Faint, &format!("{name:<FACT_COLUMNS$}"));
    let value = escape(value).into_owned();
    match style {
        // Colours have no width, which only a line that is not wrapped may ignore.
        Style::Good => out.line(&format!("{head}  {}", out.paint(style, &value))),
        _ => out.wrapped(&format!("{head}  "), FACT_COLUMNS + 2, &value),
    }
}
