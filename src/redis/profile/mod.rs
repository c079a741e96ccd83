//! [`Profile`]: how events stand in streams: keys, fields, and how much is kept.
//!
//! A profile turns an event into the key and the fields of an entry, and an entry back into an
//! event. It decides and never acts: nothing here talks to Redis.

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
mod keys;
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

use std::{borrow::Cow, sync::Arc};

use self::{
    built_in::{BuiltIn, Codec},
    keys::Keys,
    types::TypeMap,
};
#[cfg(feature = "sqlite")]
pub(crate) use self::{entry::Entry, inexpressible::Inexpressible};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{EventType, check_name},
};

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
    keys: Keys,
    max_len: Option<u64>,
    types: TypeMap,
}

impl From<&'static BuiltIn> for Profile {
    fn from(built_in: &'static BuiltIn) -> Self {
        Self(Arc::new(Inner {
            keys: Keys::new(built_in),
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
        self.inner().keys.set_key(template).map(|()| self)
    }

    /// Sets the template of the keys of dead letters; by default the stream's key and `:dlq`. The
    /// streams' own template is set before.
    ///
    /// # Errors
    /// `InvalidInput` when the template is wrong, has a placeholder that the stream's key does not
    /// have, or makes keys that a stream could have.
    pub fn with_dlq_key(mut self, template: &str) -> Result<Self> {
        self.inner().keys.set_dlq_key(template).map(|()| self)
    }

    /// Sets what `<stream>` stands for; by default `main`.
    ///
    /// # Errors
    /// `InvalidInput` unless it matches `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub fn with_stream(mut self, name: &str) -> Result<Self> {
        self.inner().keys.set_stream(name).map(|()| self)
    }

    /// Sets over how many partitions the plans are spread: `<partition>` is a number below it, the
    /// same for all events of a plan. By default there is one.
    ///
    /// # Errors
    /// `InvalidOption` unless it is 1 to 1024, and 1 where the key has no `<partition>`.
    pub fn with_partitions(mut self, partitions: u32) -> Result<Self> {
        self.inner().keys.set_partitions(partitions).map(|()| self)
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
        self.0.keys.pattern()
    }

    /// Checks that a Redis Cluster keeps each stream and its dead letters in one place.
    ///
    /// # Errors
    /// `InvalidOption`, with the template that would do.
    pub fn check_cluster(&self) -> Result<()> {
        self.0.keys.check_cluster(self.name())
    }

    /// Whether a key is that of a stream of this profile.
    pub(crate) fn is_stream(&self, key: &str) -> bool {
        self.0.keys.is_stream(key)
    }

    /// The tenant that a stream's key names.
    pub(crate) fn tenant_of<'k>(&self, key: &'k str) -> Option<Cow<'k, str>> {
        self.0.keys.tenant_of(key)
    }

    /// The key of the dead letters of a stream.
    pub(crate) fn dlq_key(&self, stream_key: &str) -> String {
        self.0.keys.dlq_key(stream_key)
    }

    /// The keys of dead letters as a pattern for `SCAN MATCH`; it matches other keys, too.
    pub(crate) fn dlq_pattern(&self) -> String {
        self.0.keys.dlq_pattern()
    }

    /// Whether a key is that of a stream's dead letters.
    pub(crate) fn is_dlq(&self, key: &str) -> bool {
        self.0.keys.is_dlq(key)
    }

    /// The stream whose dead letters have this key; `None` where several share it.
    pub(crate) fn stream_of(&self, dlq_key: &str) -> Option<String> {
        self.0.keys.stream_of(dlq_key)
    }

    /// Whether every field of an entry is a JSON value.
    pub(crate) fn is_json(&self) -> bool {
        self.0.built_in.codec == Codec::Orchestration
    }

    /// The set to which the keys of the streams are added, where the profile's system finds its
    /// streams that way.
    pub(crate) fn registry(&self) -> Option<&'static str> {
        self.0.built_in.registry
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}
