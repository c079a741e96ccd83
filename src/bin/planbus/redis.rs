//! Which Redis, and which profile: the options that several commands share.
//!
//! A URL may hold a password: it is never printed, not even where it is wrong. Only the endpoint that
//! is read from it says where it leads.

use std::{env, error::Error as _, fmt, path::Path, str::FromStr};

use clap::Args;
use planbus::{
    ErrorKind,
    redis::{Profile, RedisEndpoint, Streams},
};

use crate::{
    failure::{Exit, Failure},
    text::shell_word,
};

/// Names the Redis where `--redis` gives no URL.
const REDIS_VARIABLE: &str = "PLANBUS_REDIS";

/// A URL as it was given, never shown.
#[derive(Clone)]
pub(crate) struct Url(String);

impl FromStr for Url {
    type Err = String;

    /// Takes any text but the name of a file: what is wrong with it is told later, without the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains("://") && Path::new(text).is_file() {
            let told = "--redis took a file for its URL: put the files first, or write --redis=URL";
            return Err(told.to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(***)")
    }
}

/// Where Redis is, for a command that is about Redis.
#[derive(Args, Debug)]
pub(crate) struct RedisOptions {
    /// Where Redis is: redis://HOST:PORT, rediss://HOST:PORT, unix:///PATH, redis+sentinel://...,
    /// redis+cluster://... [env: PLANBUS_REDIS]
    #[arg(long, value_name = "URL", global = true)]
    redis: Option<Url>,
}

impl RedisOptions {
    pub(crate) fn endpoint(&self) -> Result<RedisEndpoint, Failure> {
        endpoint(self.redis.as_ref())
    }
}

/// Redis, for a command that works without one as well.
#[derive(Args, Debug)]
pub(crate) struct RedisBeside {
    /// Use this Redis: a URL as for `planbus mirror`; without one, that of PLANBUS_REDIS
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    redis: Option<Url>,

    #[command(flatten)]
    profile: ProfileOptions,
}

impl RedisBeside {
    /// Refuses what is wrong before anything is done.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.endpoint()?;
        self.profile().map(|_| ())
    }

    /// The endpoint, where one was asked for.
    pub(crate) fn endpoint(&self) -> Result<Option<RedisEndpoint>, Failure> {
        let Some(url) = &self.redis else {
            return match self.profile.given() {
                Some(option) => Err(Failure::new(Exit::Usage, format!("{option}: goes with --redis URL"))),
                None => Ok(None),
            };
        };
        endpoint(Some(url).filter(|url| !url.0.is_empty())).map(Some)
    }

    /// The options of the profile, as they are typed behind a command; each with a space before it.
    pub(crate) fn profile_words(&self) -> String {
        let words = |(option, value): (&str, &String)| format!(" {option} {}", shell_word(value));
        self.profile.all_given().map(words).collect()
    }

    /// How the events stand there.
    pub(crate) fn profile(&self) -> Result<Profile, Failure> {
        self.profile.profile()
    }
}

/// How events stand in Redis.
#[derive(Args, Debug)]
pub(crate) struct ProfileOptions {
    /// How events stand in Redis: native, tenant, per-type, orchestration, attune or attune-registry
    /// [default: native]
    #[arg(long, value_name = "NAME", global = true)]
    profile: Option<String>,

    /// The keys of the streams, with placeholders like <tenant> and <type>, instead of the profile's own
    #[arg(long, value_name = "TEMPLATE", global = true)]
    key: Option<String>,

    /// What <stream> stands for in the keys
    #[arg(long, value_name = "NAME", global = true)]
    stream: Option<String>,
}

impl ProfileOptions {
    pub(crate) fn profile(&self) -> Result<Profile, Failure> {
        profile(self.profile.as_deref(), self.key.as_deref(), self.stream.as_deref())
    }

    /// The first of these options that was given.
    fn given(&self) -> Option<&'static str> {
        self.all_given().map(|(option, _)| option).next()
    }

    fn all_given(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let all = [("--profile", &self.profile), ("--key", &self.key), ("--stream", &self.stream)];
        all.into_iter().filter_map(|(option, value)| Some((option, value.as_ref()?)))
    }
}

/// The profile of these options; `native` where none is named.
pub(crate) fn profile(
    name: Option<&str>,
    key: Option<&str>,
    stream: Option<&str>,
) -> Result<Profile, Failure> {
    let wrong = |error: planbus::Error| Failure::of(Exit::Usage, "redis", &error);
    let profile = name.map_or_else(|| Ok(Profile::native()), Profile::named).map_err(wrong)?;
    let profile = match stream {
        Some(name) => profile.with_stream(name).map_err(wrong)?,
        None => profile,
    };
    let profile = match key {
        Some(template) => profile.with_key(template).map_err(wrong)?,
        None => profile,
    };
    if let Some(name) = stream {
        let other = if name == "a" { "b" } else { "a" };
        let renamed = profile.clone().with_stream(other).map_err(wrong)?;
        if renamed.stream_pattern() == profile.stream_pattern() {
            let told = format!("--stream: the key of the profile {} has no <stream>", profile.name());
            return Err(Failure::new(Exit::Usage, told));
        }
    }
    Ok(profile)
}

/// The streams of a profile, for a command that looks after them.
pub(crate) fn streams(redis: &RedisOptions, profile: &ProfileOptions) -> Result<Streams, Failure> {
    Ok(Streams::new(redis.endpoint()?, profile.profile()?))
}

/// Adds to a failure of Redis what to do about it.
pub(crate) fn failed(error: planbus::Error) -> Failure {
    let hint = match (error.kind(), error.source()) {
        // Nobody tried to log in: nothing of the server's is the cause.
        (ErrorKind::Unauthorized, None) => {
            "best in the variable PLANBUS_REDIS, which no list of processes shows"
        }
        (ErrorKind::Unauthorized, Some(_)) => {
            "check the user and the password; EVENTS.md lists the rights that a user needs"
        }
        _ => return Failure::from(error),
    };
    Failure::from(error).hint(hint)
}

fn endpoint(given: Option<&Url>) -> Result<RedisEndpoint, Failure> {
    let variable = || env::var(REDIS_VARIABLE).ok().filter(|url| !url.is_empty()).map(Url);
    let Some(url) = given.cloned().or_else(variable) else {
        let told = format!("which Redis? Name it with --redis URL or {REDIS_VARIABLE}");
        return Err(Failure::new(Exit::Usage, told));
    };
    RedisEndpoint::parse(&url.0).map_err(|error| Failure::of(Exit::Usage, "--redis", &error))
}
