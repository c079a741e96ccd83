//! [`Filter`]: which events a subscription, channel or tail wants; [`Start`]: where a tail begins.
//!
//! A filter is built without failing and validated once, where it is used. It never looks into
//! payloads: what it tests is in the envelope, so that matching costs nanoseconds.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Result},
    event::{AgentId, CorrelationId, Event, EventId, EventType, PlanId, Priority, Tenant, check_name},
};

/// Which events a reader wants: everything, until narrowed.
///
/// A plan is named by its tenant and its id. Naming a plan therefore names a tenant too: the
/// tenant `default`, unless [`tenant`](Self::tenant) says which. A correlation id is by default a
/// plan's id, so the same holds for it.
///
/// ```
/// use planbus::{EventType, Filter};
///
/// let all_failures = Filter::all().types([EventType::PlanFailed]);
/// let one_plan = Filter::all().plan("plan-7").types(["ToolCalled", "workflow.*"]);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a filter does nothing until it is given to a reader"]
pub struct Filter {
    tenant: Option<Tenant>,
    plan: Option<PlanId>,
    types: Vec<TypePattern>,
    source: Option<AgentId>,
    correlation_id: Option<CorrelationId>,
    min_priority: Option<Priority>,
    fault: Option<Error>,
}

/// An event type, or a family of types: `workflow.*` is every type that begins with `workflow.`.
///
/// ```
/// use planbus::{EventType, TypePattern};
///
/// let family: TypePattern = "workflow.*".parse()?;
/// assert!(family.matches(&EventType::new("workflow.started")?));
/// assert!("work*".parse::<TypePattern>().is_err(), "a family ends at a dot");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TypePattern(PatternKind);

/// The two kinds of a [`TypePattern`], whose grammar was checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum PatternKind {
    /// Exactly this type.
    Exact(EventType),
    /// Every type that begins with this prefix, which ends with a dot.
    Family(Box<str>),
}

impl TypePattern {
    /// Whether the pattern covers the type.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        match &self.0 {
            PatternKind::Exact(exact) => exact == event_type,
            PatternKind::Family(prefix) => event_type.as_str().starts_with(&**prefix),
        }
    }

    pub(crate) fn kind(&self) -> &PatternKind {
        &self.0
    }
}

impl FromStr for TypePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('.') => {
                check_name("event_type", prefix)?;
                Ok(Self(PatternKind::Family(prefix.into())))
            }
            _ => EventType::new(text).map(Self::from),
        }
    }
}

impl TryFrom<&str> for TypePattern {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl TryFrom<String> for TypePattern {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl TryFrom<&String> for TypePattern {
    type Error = Error;
    fn try_from(text: &String) -> Result<Self> {
        text.parse()
    }
}

impl From<EventType> for TypePattern {
    fn from(event_type: EventType) -> Self {
        Self(PatternKind::Exact(event_type))
    }
}

impl From<&EventType> for TypePattern {
    fn from(event_type: &EventType) -> Self {
        event_type.clone().into()
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            PatternKind::Exact(exact) => exact.fmt(f),
            PatternKind::Family(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl fmt::Debug for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypePattern({self})")
    }
}

impl Filter {
    /// Every event of every tenant.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only events of these types or families, at least one; called again, it adds to them. A
    /// filter on which it is never called wants every type; an empty list is refused where the
    /// filter is used, since a list that came out empty must not widen a subscription to everything.
    pub fn types<T: TryInto<TypePattern, Error: Into<Error>>>(
        mut self,
        types: impl IntoIterator<Item = T>,
    ) -> Self {
        let mut is_empty = true;
        for pattern in types {
            is_empty = false;
            match pattern.try_into() {
                Ok(pattern) if self.types.contains(&pattern) => {}
                Ok(pattern) => self.types.push(pattern),
                Err(fault) => self.keep_fault(fault),
            }
        }
        if is_empty {
            self.keep_fault(Error::invalid("types", "must name at least one type"));
        }
        self
    }

    /// Only events of this plan (of the tenant `default`, unless [`tenant`](Self::tenant) is set).
    pub fn plan(mut self, plan: impl TryInto<PlanId, Error: Into<Error>>) -> Self {
        self.plan = self.parsed(plan);
        self
    }

    /// Only events of this tenant.
    pub fn tenant(mut self, tenant: impl TryInto<Tenant, Error: Into<Error>>) -> Self {
        self.tenant = self.parsed(tenant);
        self
    }

    /// Only events that come from this agent.
    pub fn source(mut self, agent: impl TryInto<AgentId, Error: Into<Error>>) -> Self {
        self.source = self.parsed(agent);
        self
    }

    /// Only events with this correlation id: by default, the root plan's and all of its subplans'
    /// (of the tenant `default`, unless [`tenant`](Self::tenant) is set).
    pub fn correlation_id(mut self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        self.correlation_id = self.parsed(id);
        self
    }

    /// Only events at least this urgent.
    pub fn min_priority(mut self, priority: Priority) -> Self {
        self.min_priority = Some(priority);
        self
    }

    fn parsed<T>(&mut self, value: impl TryInto<T, Error: Into<Error>>) -> Option<T> {
        match value.try_into() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.keep_fault(fault);
                None
            }
        }
    }

    fn keep_fault(&mut self, fault: impl Into<Error>) {
        if self.fault.is_none() {
            self.fault = Some(fault.into());
        }
    }

    /// The filter ready for use, or the first field that was given wrong.
    pub(crate) fn compile(self) -> Result<CompiledFilter> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let scope = match (self.plan, self.tenant) {
            (Some(plan), tenant) => Scope::Plan(tenant.unwrap_or_default(), plan),
            (None, Some(tenant)) => Scope::Tenant(tenant),
            (None, None) if self.correlation_id.is_some() => Scope::Tenant(Tenant::default()),
            (None, None) => Scope::Everything,
        };
        let rest = Rest {
            source: self.source,
            correlation_id: self.correlation_id,
            min_priority: self.min_priority,
        };
        Ok(CompiledFilter { scope, types: self.types, rest })
    }
}

/// Whose events a filter wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scope {
    Everything,
    Tenant(Tenant),
    Plan(Tenant, PlanId),
}

/// A filter whose fields are valid.
#[derive(Clone, Debug)]
pub(crate) struct CompiledFilter {
    pub(crate) scope: Scope,
    /// Empty for every type.
    pub(crate) types: Vec<TypePattern>,
    rest: Rest,
}

/// What no index helps with.
#[derive(Clone, Debug, PartialEq, Default)]
struct Rest {
    source: Option<AgentId>,
    correlation_id: Option<CorrelationId>,
    min_priority: Option<Priority>,
}

impl CompiledFilter {
    /// Whether the filter wants the event.
    #[inline]
    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.scope.matches(event)
            && (self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(event.event_type())))
            && self.rest.matches(event)
    }

    /// Whether scope and type say all there is to say, so that an exact index needs no more test.
    pub(crate) fn is_scope_and_type_only(&self) -> bool {
        self.rest == Rest::default()
    }

    /// The same filter, narrowed to one type on top.
    pub(crate) fn narrowed_to(mut self, event_type: EventType) -> Result<Self> {
        let wanted = self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(&event_type));
        if !wanted {
            let problem = format!("has types that leave out {event_type}, the type of the payload");
            return Err(Error::invalid("filter", problem));
        }
        self.types = vec![event_type.into()];
        Ok(self)
    }
}

impl Scope {
    #[inline]
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Everything => true,
            Self::Tenant(tenant) => tenant == event.tenant(),
            Self::Plan(tenant, plan) => plan == event.plan_id() && tenant == event.tenant(),
        }
    }
}

impl Rest {
    #[inline]
    fn matches(&self, event: &Event) -> bool {
        self.source.as_ref().is_none_or(|source| event.source() == Some(source))
            && self.correlation_id.as_ref().is_none_or(|id| event.correlation_id() == Some(id))
            && self.min_priority.is_none_or(|least| event.priority() >= least)
    }
}

/// Where a reader of the log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the events published from now on.
    Now,
    /// With the oldest event that the log still holds.
    Beginning,
    /// After this place in the log; `After(0)` is before the first event ever, and tells when that
    /// one was pruned.
    After(u64),
    /// After this event.
    AfterEvent(EventId),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(tenant: &str, plan: &str) -> Event {
        Event::untyped(plan, "note", json!({})).with_tenant(tenant).with_correlation_id("root")
    }

    fn compiled(filter: Filter) -> CompiledFilter {
        filter.compile().expect("a valid filter")
    }

    #[test]
    fn p10_a_plan_of_one_tenant_does_not_match_the_same_plan_id_of_another() {
        let of_acme = compiled(Filter::all().tenant("acme").plan("plan-7"));
        assert!(of_acme.matches(&event("acme", "plan-7")));
        assert!(!of_acme.matches(&event("rival", "plan-7")));
        assert!(!of_acme.matches(&event("default", "plan-7")));
        assert!(!of_acme.matches(&event("acme", "plan-70")));
        let of_default = compiled(Filter::all().plan("plan-7"));
        assert!(of_default.matches(&event("default", "plan-7")));
        assert!(!of_default.matches(&event("acme", "plan-7")));
    }

    #[test]
    fn p10_a_correlation_id_is_one_tenants_unless_said_otherwise_the_default_ones() {
        let of_default = compiled(Filter::all().correlation_id("root"));
        assert!(of_default.matches(&event("default", "plan-7")));
        assert!(!of_default.matches(&event("acme", "plan-7")));
        let of_acme = compiled(Filter::all().correlation_id("root").tenant("acme"));
        assert!(of_acme.matches(&event("acme", "plan-7")));
        assert!(!of_acme.matches(&event("default", "plan-7")));
    }
}
