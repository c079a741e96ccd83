//! [`Profile`]: how events stand in streams: keys, fields, and how much is kept.
//!
//! A profile turns an event into the key and the fields of an entry, and an entry back into an
//! event. It decides and never acts: nothing here talks to Redis.

// Written for the mirror and the consumers that are to come.
#![allow(dead_code)]

mod attune;
mod built_in;
#[cfg(feature = "sqlite")]
mod classes;
mod decode;
#[cfg(feature = "sqlite")]
mod encode;
#[cfg(feature = "sqlite")]
mod entry;
mod fields;
#[cfg(feature = "sqlite")]
mod forms;
mod hash;
#[cfg(feature = "sqlite")]
mod inexpressible;
mod marks;
mod native;
mod object;
mod orchestration;
mod parts;
mod per_type;
#[cfg(feature = "sqlite")]
mod record;
mod template;
mod tenant;
#[cfg(all(test, feature = "sqlite"))]
mod tests;
mod text;
mod types;

use std::sync::Arc;

use self::{
    built_in::{BuiltIn, Codec},
    template::{Placeholder, Template},
    types::TypeMap,
};
#[cfg(feature = "sqlite")]
pub(crate) use self::{entry::Entry, inexpressible::Inexpressible};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{EventType, check_name},
};

/// The most partitions that the plans of a stream are spread over.
const PARTITIONS_MAX: u32 = 1_024;

/// How events stand in streams: the keys of the streams, the fields of an entry, and how many
/// entries are kept. Cloning is cheap.
///
/// Six profiles are built in. `native` says all of an event; the others are read by programs that
/// were written for another event system, without a change on their side. EVENTS.md has the fields.
///
/// ```
/// use planbus::redis::Profile;
///
/// let profile = Profile::named("native")?.with_key("acme:{<tenant>}:<family>")?;
/// assert_eq!(profile.stream_pattern(), "acme:{*}:*");
///
/// let error = profile.with_key("acme:<agent>").unwrap_err();
/// assert!(error.to_string().starts_with("key: <agent> is no placeholder"));
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    built_in: &'static BuiltIn,
    /// The template as it was given, for another stream name to be filled in.
    key_text: String,
    key: Template,
    /// The template of the dead letters' keys; the stream's key and `:dlq` when not given.
    dlq_key: Option<(String, Template)>,
    stream: String,
    partitions: u32,
    max_len: Option<u64>,
    types: TypeMap,
}

impl From<&'static BuiltIn> for Profile {
    fn from(built_in: &'static BuiltIn) -> Self {
        let stream = "main".to_owned();
        Self(Arc::new(Inner {
            key_text: built_in.key.to_owned(),
            key: built_in.key(&stream),
            dlq_key: None,
            stream,
            partitions: 1,
            max_len: Some(built_in.max_len),
            types: TypeMap::new(built_in.types),
            built_in,
        }))
    }
}

impl Profile {
    /// The profile of planbus itself: one stream a tenant, one field for each part of the envelope.
    #[must_use]
    pub fn native() -> Self {
        Self::from(&built_in::NATIVE)
    }

    /// Twelve bare strings, in one stream for each tenant and [stream name](Self::with_stream):
    /// `t:<tenant>:events:<stream>`.
    #[must_use]
    pub fn tenant() -> Self {
        Self::from(&built_in::TENANT)
    }

    /// One field, `data`, with the whole event as JSON, in one stream a type: `events:<type>`.
    #[must_use]
    pub fn per_type() -> Self {
        Self::from(&built_in::PER_TYPE)
    }

    /// Fields that are each a JSON value, in one stream: `orchestration:events`.
    #[must_use]
    pub fn orchestration() -> Self {
        Self::from(&built_in::ORCHESTRATION)
    }

    /// Type, time, data and source, in one stream a type: `empathy:events:<type>`.
    #[must_use]
    pub fn attune() -> Self {
        Self::from(&built_in::ATTUNE)
    }

    /// The same fields in `stream:<type>`; the keys of the streams are in the set `stream_registry`.
    #[must_use]
    pub fn attune_registry() -> Self {
        Self::from(&built_in::ATTUNE_REGISTRY)
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// `InvalidInput`, with all names, when there is none of this name.
    pub fn named(name: &str) -> Result<Self> {
        let names = built_in::ALL.map(|built_in| built_in.name).join(", ");
        let found = built_in::ALL.into_iter().find(|built_in| built_in.name == name);
        found
            .map(Self::from)
            .ok_or_else(|| Error::invalid("profile", format!("must be one of {names}, got {name:?}")))
    }

    /// The profile's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.built_in.name
    }

    /// Sets the template of the streams' keys.
    ///
    /// Placeholders are `<tenant>`, `<type>`, `<family>` (the type up to its first dot), `<plan>`,
    /// `<partition>` and `<stream>`. What they stand for is written with letters, digits and
    /// `._-/@+~=`, and any other byte as `%XX`; after a placeholder comes another character or the
    /// end. So different plans never share a key where the template has them apart. Everything else
    /// stands as it is: braces name the part by which a Redis Cluster places the key.
    ///
    /// # Errors
    /// `InvalidInput` that names the placeholder which is wrong.
    pub fn with_key(mut self, template: &str) -> Result<Self> {
        let inner = self.inner();
        inner.key = Template::parse("key", template, &inner.stream)?;
        template.clone_into(&mut inner.key_text);
        self.check_dlq_key()
    }

    /// Sets the template of the keys of dead letters; by default the stream's key and `:dlq`.
    ///
    /// # Errors
    /// `InvalidInput` when the template is wrong, has a placeholder that the stream's key does not
    /// have, or is the stream's own.
    pub fn with_dlq_key(mut self, template: &str) -> Result<Self> {
        let inner = self.inner();
        inner.dlq_key = Some((template.to_owned(), Template::parse("dlq_key", template, &inner.stream)?));
        self.check_dlq_key()
    }

    /// Sets what `<stream>` stands for; by default `main`.
    ///
    /// # Errors
    /// `InvalidInput` unless it matches `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub fn with_stream(mut self, name: &str) -> Result<Self> {
        check_name("stream", name)?;
        let inner = self.inner();
        name.clone_into(&mut inner.stream);
        inner.key = Template::parse("key", &inner.key_text, name)?;
        if let Some((text, template)) = &mut inner.dlq_key {
            *template = Template::parse("dlq_key", text, name)?;
        }
        self.check_dlq_key()
    }

    /// Sets over how many partitions the plans are spread: `<partition>` is a number below it, the
    /// same for all events of a plan.
    ///
    /// # Errors
    /// `InvalidOption` unless it is 1 to 1024.
    pub fn with_partitions(mut self, partitions: u32) -> Result<Self> {
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            let problem = format!("partitions must be 1 to {PARTITIONS_MAX}, got {partitions}");
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        }
        self.inner().partitions = partitions;
        Ok(self)
    }

    /// Sets what a type is called in the profile's system, whatever its outcome.
    ///
    /// # Errors
    /// `InvalidInput` when the system does not have the type, or the profile is `native`, where
    /// every type keeps its name.
    pub fn with_type(
        mut self,
        ours: impl TryInto<EventType, Error: Into<Error>>,
        theirs: &str,
    ) -> Result<Self> {
        let ours = ours.try_into().map_err(Into::into)?;
        self.check_type(theirs)?;
        self.inner().types.set(ours, theirs);
        Ok(self)
    }

    /// Sets what a type that is in the map is called where it failed: where its payload says
    /// `"ok": false`.
    ///
    /// # Errors
    /// As [`with_type`](Self::with_type), and when the type is not in the map.
    pub fn with_failed_type(
        mut self,
        ours: impl TryInto<EventType, Error: Into<Error>>,
        theirs: &str,
    ) -> Result<Self> {
        let ours = ours.try_into().map_err(Into::into)?;
        self.check_type(theirs)?;
        match self.inner().types.set_failed(&ours, theirs) {
            true => Ok(self),
            false => Err(Error::invalid("type map", format!("{ours} must be given its name first"))),
        }
    }

    /// Takes a type out of the map. An event of it keeps its name where the system takes any type
    /// or has it itself, and cannot be said otherwise.
    #[must_use]
    pub fn without_type(mut self, ours: &EventType) -> Self {
        self.inner().types.remove(ours);
        self
    }

    fn check_type(&self, theirs: &str) -> Result<()> {
        let BuiltIn { name, is_open, codec, family, .. } = self.0.built_in;
        match () {
            () if *codec == Codec::Native => Err(Error::invalid(
                "type map",
                format!("the profile {name} has none: every type keeps its name"),
            )),
            () if *is_open => check_name("type map", theirs),
            () if family.contains(&theirs) => Ok(()),
            () => {
                let family = family.join(", ");
                Err(Error::invalid(
                    "type map",
                    format!("a type of {name} must be one of {family}, got {theirs:?}"),
                ))
            }
        }
    }

    /// Sets how many entries about a stream keeps; `None` keeps all.
    ///
    /// # Errors
    /// `InvalidOption` when it is 0.
    pub fn with_max_len(mut self, entries: Option<u64>) -> Result<Self> {
        if entries == Some(0) {
            return Err(Error::new(ErrorKind::InvalidOption, "max_len must be at least 1, got 0"));
        }
        self.inner().max_len = entries;
        Ok(self)
    }

    /// How many entries about a stream keeps; `None` when all.
    #[must_use]
    pub fn max_len(&self) -> Option<u64> {
        self.0.max_len
    }

    /// The keys of the streams as a pattern for `SCAN MATCH`. It matches other keys, too, like some
    /// of dead letters.
    #[must_use]
    pub fn stream_pattern(&self) -> String {
        self.0.key.pattern()
    }

    /// Checks that a Redis Cluster keeps each stream and its dead letters in one place.
    ///
    /// # Errors
    /// `InvalidOption`, with the template of the dead letters' key that would do.
    pub fn check_cluster(&self) -> Result<()> {
        let key = &self.0.key;
        let Some((_, dlq_key)) = &self.0.dlq_key else {
            return match key.hash_tag() {
                Some(_) => Ok(()),
                None => Err(self.apart(&format!("{}:dlq", key.as_str()))),
            };
        };
        // The tag of one may be the whole key of the other.
        let place = |template: &Template| template.hash_tag().unwrap_or(template.as_str()).to_owned();
        if place(key) == place(dlq_key) { Ok(()) } else { Err(self.apart(dlq_key.as_str())) }
    }

    fn apart(&self, dlq_key: &str) -> Error {
        let key = self.0.key.as_str();
        let fitting = match self.0.key.hash_tag() {
            Some(_) => format!("dlq_key {key}:dlq"),
            None if key.contains(['{', '}']) => {
                "key planbus:{<tenant>}:events and its own dlq_key".to_owned()
            }
            None => format!("dlq_key {{{key}}}:dlq"),
        };
        let name = self.name();
        let problem =
            format!("profile {name}: a cluster may keep {key} and {dlq_key} apart; use the {fitting}");
        Error::new(ErrorKind::InvalidOption, problem)
    }

    /// Whether a key is that of a stream of this profile.
    pub(crate) fn is_stream(&self, key: &str) -> bool {
        self.0.key.values(key).is_some()
    }

    /// The tenant that a stream's key names.
    pub(crate) fn tenant_of<'k>(&self, key: &'k str) -> Option<std::borrow::Cow<'k, str>> {
        self.0.key.values(key)?.get(Placeholder::Tenant)
    }

    /// The key of the dead letters of a stream.
    pub(crate) fn dlq_key(&self, stream_key: &str) -> String {
        match (&self.0.dlq_key, self.0.key.values(stream_key)) {
            (Some((_, template)), Some(values)) => template.write_again(&values),
            _ => format!("{stream_key}:dlq"),
        }
    }

    /// The set to which the keys of the streams are added, where the profile's system finds its
    /// streams that way.
    pub(crate) fn registry(&self) -> Option<&'static str> {
        self.0.built_in.registry
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    fn check_dlq_key(self) -> Result<Self> {
        if let Some((text, template)) = &self.0.dlq_key {
            if let Some(placeholder) = template.beyond(&self.0.key) {
                let problem = format!("has {}, which the key does not have", placeholder.as_str());
                return Err(Error::invalid("dlq_key", problem));
            }
            if template.as_str() == self.0.key.as_str() {
                return Err(Error::invalid("dlq_key", format!("must differ from the key, got {text:?}")));
            }
        }
        Ok(self)
    }
}
