//! Which dead letters: the options that several commands of `planbus dlq` share.
//!
//! Talks to no Redis.

use clap::Args;
use planbus::{
    Filter, PlanId, Timestamp, TypePattern,
    redis::{DeadLetterQuery, EntryId},
};

use crate::{
    cli::Global,
    commands::check_times,
    failure::{Exit, Failure},
    when,
};

/// What a letter must be like.
#[derive(Args, Debug, Default)]
pub(crate) struct Wanted {
    /// Only what this group gave up
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Only events of this plan
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanId>,

    /// Only these types, or families like `workflow.*`; may be repeated, or separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<TypePattern>,

    /// Only those with this text in their error, taken literally
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,

    /// Only what failed from this time on: `90s`, `1h`, `2d` ago, `2026-03-01`, `2026-03-01T09:30` (UTC)
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    since: Option<Timestamp>,

    /// Only what failed before this time, given as for --since
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    until: Option<Timestamp>,
}

/// Which letters: by their ids, or by what they are like.
#[derive(Args, Debug)]
pub(crate) struct Chosen {
    /// The stream's key, or that of its dead letters
    pub(crate) name: Option<String>,

    /// The letters' ids
    #[arg(value_name = "ID", conflicts_with = "all")]
    ids: Vec<EntryId>,

    /// Every letter that the other options want, in place of ids; without a name of the whole profile
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    wanted: Wanted,
}

/// The letters that a command is about.
pub(crate) enum Letters<'a> {
    Named(&'a str, &'a [EntryId]),
    All(Box<DeadLetterQuery>),
}

impl Wanted {
    /// The query for these letters of a stream, or of the whole profile.
    pub(crate) fn query(&self, name: Option<&str>, global: &Global) -> Result<DeadLetterQuery, Failure> {
        check_times(self.since, self.until)?;
        let mut query = DeadLetterQuery::new();
        if let Some(name) = name {
            query = query.stream(name);
        }
        if let Some(group) = &self.group {
            query = query.group(group);
        }
        if let Some(error) = &self.error {
            query = query.error(error);
        }
        if let Some(since) = self.since {
            query = query.since(since);
        }
        if let Some(until) = self.until {
            query = query.until(until);
        }
        if let Some(filter) = self.filter(global) {
            query = query.filter(filter);
        }
        Ok(query)
    }

    /// `None` where entries without an event are wanted, too.
    fn filter(&self, global: &Global) -> Option<Filter> {
        let tenant = global.given_tenant();
        if tenant.is_none() && self.plan.is_none() && self.types.is_empty() {
            return None;
        }
        let mut filter = Filter::all();
        if let Some(tenant) = tenant {
            filter = filter.tenant(tenant);
        }
        if let Some(plan) = &self.plan {
            filter = filter.tenant(global.tenant()).plan(plan);
        }
        if !self.types.is_empty() {
            filter = filter.types(self.types.iter().cloned());
        }
        Some(filter)
    }

    fn is_given(&self) -> bool {
        let Self { group, plan, types, error, since, until } = self;
        let times = since.is_some() || until.is_some();
        group.is_some() || plan.is_some() || !types.is_empty() || error.is_some() || times
    }
}

impl Chosen {
    /// Refuses what names no letters, or names them twice.
    pub(crate) fn letters(&self, global: &Global) -> Result<Letters<'_>, Failure> {
        let wrong = |told: &str| Err(Failure::new(Exit::Usage, told));
        match (&self.name, self.ids.as_slice()) {
            (name, []) if self.all => Ok(Letters::All(self.wanted.query(name.as_deref(), global)?.into())),
            (Some(name), ids @ [_, ..]) if !self.wanted.is_given() => Ok(Letters::Named(name, ids)),
            (_, []) => wrong("give a stream and the ids of its dead letters, or --all"),
            _ => wrong("options that choose letters go with --all, not with ids"),
        }
    }
}
