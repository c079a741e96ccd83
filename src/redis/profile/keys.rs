//! [`Keys`]: the keys of a profile's streams and of their dead letters.
//!
//! The two never meet: no key of dead letters can be that of a stream.

use std::borrow::Cow;

use super::{
    built_in::BuiltIn,
    template::{Placeholder, Template},
};
#[cfg(feature = "sqlite")]
use super::{hash::crc32, record::Record};
use crate::{
    error::{Error, ErrorKind, Result},
    event::check_name,
};

/// The most partitions that the plans of a stream are spread over.
const PARTITIONS_MAX: u32 = 1_024;

/// What the key of dead letters has behind that of their stream, unless a template says otherwise.
const DLQ_SUFFIX: &str = ":dlq";

/// What `<stream>` stands for unless it is set.
const STREAM: &str = "main";

/// The keys of streams and of their dead letters.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    key: Template,
    /// The stream's key and `:dlq` when not given.
    dlq_key: Option<Template>,
    stream: String,
    partitions: u32,
}

impl Keys {
    pub(super) fn new(built_in: &BuiltIn) -> Self {
        let key = Template::parse("key", built_in.key, STREAM).expect("a built-in template is valid");
        Self { key, dlq_key: None, stream: STREAM.to_owned(), partitions: 1 }
    }

    pub(super) fn set_key(&mut self, template: &str) -> Result<()> {
        self.key = Template::parse("key", template, &self.stream)?;
        self.check()
    }

    pub(super) fn set_dlq_key(&mut self, template: &str) -> Result<()> {
        self.dlq_key = Some(Template::parse("dlq_key", template, &self.stream)?);
        self.check()
    }

    pub(super) fn set_stream(&mut self, name: &str) -> Result<()> {
        check_name("stream", name)?;
        name.clone_into(&mut self.stream);
        self.key = self.key.with_stream("key", name)?;
        self.dlq_key = self.dlq_key.take().map(|key| key.with_stream("dlq_key", name)).transpose()?;
        self.check()
    }

    pub(super) fn set_partitions(&mut self, partitions: u32) -> Result<()> {
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            let problem = format!("partitions must be 1 to {PARTITIONS_MAX}, got {partitions}");
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        }
        self.partitions = partitions;
        self.check()
    }

    /// Checks what the parts must have in common.
    fn check(&self) -> Result<()> {
        if self.partitions > 1 && !self.key.has(Placeholder::Partition) {
            let problem =
                format!("partitions must be 1 where the key has no <partition>, got {}", self.partitions);
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        }
        let Some(dlq_key) = &self.dlq_key else { return Ok(()) };
        if let Some(placeholder) = dlq_key.beyond(&self.key) {
            let problem = format!("has {}, which the key does not have", placeholder.as_str());
            return Err(Error::invalid("dlq_key", problem));
        }
        // Values are made of the same bytes whatever they are, so one key stands for all.
        let mut sample = String::new();
        dlq_key.write(&mut sample, |_| "1".into());
        if self.key.values(&sample).is_some() {
            return Err(Error::invalid(
                "dlq_key",
                format!("{} can be the key of a stream", dlq_key.as_str()),
            ));
        }
        Ok(())
    }

    /// The streams' keys as a pattern of Redis.
    pub(super) fn pattern(&self) -> String {
        self.key.pattern()
    }

    /// Checks that a cluster keeps each stream and its dead letters in one place; where not, the
    /// error proposes what would do for the profile `name`.
    pub(super) fn check_cluster(&self, name: &str) -> Result<()> {
        let key = self.key.as_str();
        let dlq_key = match &self.dlq_key {
            Some(dlq_key) => dlq_key.as_str().to_owned(),
            None => format!("{key}{DLQ_SUFFIX}"),
        };
        // What a tag holds may be the whole of the other key.
        if hash_tag(key).unwrap_or(key) == hash_tag(&dlq_key).unwrap_or(&dlq_key) {
            return Ok(());
        }
        let fitting = match hash_tag(key) {
            Some(_) => format!("dlq_key {key}:dlq"),
            None if key.contains(['{', '}']) => "key planbus:{<tenant>}:events and no dlq_key".to_owned(),
            None => format!("dlq_key {{{key}}}:dlq"),
        };
        let problem =
            format!("profile {name}: a cluster may keep {key} and {dlq_key} apart; use the {fitting}");
        Err(Error::new(ErrorKind::InvalidOption, problem))
    }

    /// Whether a key is that of a stream.
    pub(super) fn is_stream(&self, key: &str) -> bool {
        self.key.values(key).is_some()
    }

    /// The tenant that a stream's key names.
    pub(super) fn tenant_of<'k>(&self, key: &'k str) -> Option<Cow<'k, str>> {
        self.key.values(key)?.get(Placeholder::Tenant)
    }

    /// The key of a stream's dead letters.
    pub(super) fn dlq_key(&self, stream_key: &str) -> String {
        match (&self.dlq_key, self.key.values(stream_key)) {
            (Some(template), Some(values)) => template.write_again(&values),
            _ => format!("{stream_key}{DLQ_SUFFIX}"),
        }
    }

    /// The keys of dead letters as a pattern of Redis.
    pub(super) fn dlq_pattern(&self) -> String {
        match &self.dlq_key {
            Some(template) => template.pattern(),
            None => format!("{}{DLQ_SUFFIX}", self.key.pattern()),
        }
    }

    /// Whether a key is that of a stream's dead letters.
    pub(super) fn is_dlq(&self, key: &str) -> bool {
        match &self.dlq_key {
            Some(template) => template.values(key).is_some(),
            None => key.strip_suffix(DLQ_SUFFIX).is_some_and(|stream| self.is_stream(stream)),
        }
    }

    /// The stream whose dead letters have this key; `None` where several share it.
    pub(super) fn stream_of(&self, dlq_key: &str) -> Option<String> {
        match &self.dlq_key {
            Some(template) if self.key.beyond(template).is_none() => {
                template.values(dlq_key).map(|values| self.key.write_again(&values))
            }
            Some(_) => None,
            None => {
                dlq_key.strip_suffix(DLQ_SUFFIX).filter(|stream| self.is_stream(stream)).map(str::to_owned)
            }
        }
    }

    /// Appends the key of an event's stream.
    #[cfg(feature = "sqlite")]
    pub(super) fn push_key(&self, key: &mut String, record: &Record<'_>) {
        let tenant = record.event.tenant().as_str();
        let plan = record.event.plan_id().as_str();
        self.key.write(key, |placeholder| match placeholder {
            Placeholder::Tenant => tenant.into(),
            Placeholder::Type => record.name.into(),
            Placeholder::Family => record.name.split('.').next().unwrap_or(record.name).into(),
            Placeholder::Plan => plan.into(),
            Placeholder::Partition => self.partition(tenant, plan).to_string().into(),
        });
    }

    /// The partition of a plan.
    #[cfg(feature = "sqlite")]
    fn partition(&self, tenant: &str, plan: &str) -> u32 {
        crc32(tenant.bytes().chain([0]).chain(plan.bytes())) % self.partitions
    }
}

/// The part of a key by which a cluster places it; `None` when that is the whole key. A value never
/// holds a brace, so what is true of a template is so of each of its keys.
fn hash_tag(key: &str) -> Option<&str> {
    let (_, after) = key.split_once('{')?;
    let (tag, _) = after.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::profile::built_in::NATIVE;

    #[test]
    fn a_hash_tag_is_what_redis_takes_for_one() {
        for (key, tag) in [
            ("planbus:{<tenant>}:events", Some("<tenant>")),
            ("{}:{a}", None),
            ("a{b}{c}", Some("b")),
            ("a}{b", None),
            ("{{a}}", Some("{a")),
            ("plain", None),
        ] {
            assert_eq!(hash_tag(key), tag, "{key}");
        }
    }

    #[test]
    fn the_key_of_dead_letters_has_the_values_of_its_stream() {
        let mut keys = Keys::new(&NATIVE);
        assert_eq!(keys.dlq_key("planbus:{acme}:events"), "planbus:{acme}:events:dlq");
        assert_eq!(keys.stream_of("planbus:{acme}:events:dlq").as_deref(), Some("planbus:{acme}:events"));
        assert_eq!(keys.dlq_pattern(), "planbus:{*}:events:dlq");
        for other in ["planbus:{acme}:events", "planbus:{acme}:events:dlq:counts", "x:dlq"] {
            assert!(!keys.is_dlq(other) && keys.stream_of(other).is_none(), "{other}");
        }
        keys.set_key("x:{<tenant>}:<plan>").expect("a template");
        keys.set_dlq_key("dead:<plan>:{<tenant>}").expect("a template");
        assert_eq!(keys.dlq_key("x:{acme}:a%3Ab"), "dead:a%3Ab:{acme}");
        assert_eq!(keys.stream_of("dead:a%3Ab:{acme}").as_deref(), Some("x:{acme}:a%3Ab"));
        assert!(keys.is_dlq("dead:a%3Ab:{acme}") && !keys.is_dlq("x:{acme}:a%3Ab:dlq"));
        assert_eq!(keys.dlq_pattern(), "dead:*:{*}");
        keys.set_dlq_key("dead:{<tenant>}").expect("a template");
        assert_eq!((keys.is_dlq("dead:{acme}"), keys.stream_of("dead:{acme}")), (true, None));
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_partition_of_a_plan_never_changes_and_all_are_used() {
        let mut keys = Keys::new(&NATIVE);
        keys.set_key("x:{<tenant>:<partition>}").expect("a template");
        keys.set_partitions(8).expect("in range");
        // Written down, so that no later version puts a plan elsewhere.
        for (tenant, partitions) in [("acme", [7, 5, 3]), ("other", [1, 3, 1])] {
            let partition = |plan| keys.partition(tenant, plan);
            assert_eq!(["plan-1", "plan-2", "ü 🙂"].map(partition), partitions, "{tenant}");
        }
        let mut used = [0; 8];
        for plan in 0..8_000 {
            used[keys.partition("acme", &format!("plan-{plan}")) as usize] += 1;
        }
        assert!(used.iter().all(|plans| (800..1_200).contains(plans)), "{used:?}");
    }
}
