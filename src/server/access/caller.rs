//! [`Caller`]: who asks, what it may see, and until when.

use std::{future, sync::Arc};

use axum::http::StatusCode;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{event::Tenant, server::problem::Problem};

/// What the holder of a token may see. It holds until whoever keeps the other end of `life` drops it.
#[derive(Debug)]
pub(super) struct Grant {
    /// Which token of this server, in the order in which they were added.
    pub(super) id: u64,
    pub(super) name: String,
    /// All where `None`.
    pub(super) tenants: Option<Vec<Tenant>>,
    pub(super) life: watch::Receiver<()>,
}

impl Grant {
    /// Whether two let the same holder see the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.tenants == other.tenants
    }
}

/// How a caller showed who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Shown {
    /// Nothing, where nothing is asked for.
    Nothing,
    Token,
    /// The cookie of a session, which a browser sends whoever made it ask.
    Session,
    Ticket,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(in crate::server) struct Caller {
    grant: Arc<Grant>,
    /// The session in which it asks, directly or by a ticket: it ends then too.
    session: Option<(watch::Receiver<()>, Instant)>,
    shown: Shown,
}

impl Caller {
    pub(super) fn new(grant: &Arc<Grant>, shown: Shown) -> Self {
        Self { grant: Arc::clone(grant), session: None, shown }
    }

    /// Somebody who showed nothing where a token is needed: it sees no tenant, and no longer than now.
    pub(super) fn stranger() -> Self {
        let life = watch::channel(()).1;
        let grant = Grant { id: u64::MAX, name: String::new(), tenants: Some(Vec::new()), life };
        Self::new(&Arc::new(grant), Shown::Nothing)
    }

    /// The same caller, as it asks in a session.
    pub(super) fn in_session(mut self, life: watch::Receiver<()>, until: Instant) -> Self {
        self.session = Some((life, until));
        self.shown = Shown::Session;
        self
    }

    /// The same caller, as it asks by a ticket.
    pub(super) fn with_ticket(mut self) -> Self {
        self.shown = Shown::Ticket;
        self
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    pub(in crate::server) fn shown(&self) -> Shown {
        self.shown
    }

    /// Whose events the caller is sent: those of the tenant that it asks for, if it may see them. What
    /// it is refused is refused alike whether there is such a tenant or not.
    pub(in crate::server) fn tenant(&self, asked: Option<Tenant>) -> Result<Tenant, Problem> {
        let forbidden = |message| Problem::new(StatusCode::FORBIDDEN, "Unauthorized", message);
        let Some(tenants) = &self.grant.tenants else { return Ok(asked.unwrap_or_default()) };
        match (asked, &tenants[..]) {
            (Some(tenant), _) if tenants.contains(&tenant) => Ok(tenant),
            (Some(_), _) => Err(forbidden("tenant: must be one that the token sees")),
            (None, _) if tenants.contains(&Tenant::default()) => Ok(Tenant::default()),
            (None, [only]) => Ok(only.clone()),
            (None, []) => Err(forbidden("tenant: a token is needed")),
            (None, _) => Err(Problem::invalid("tenant", "must be given: the token sees several")),
        }
    }

    /// Whether it may see anything at all.
    pub(in crate::server) fn is_known(&self) -> bool {
        self.grant.tenants.as_ref().is_none_or(|tenants| !tenants.is_empty())
    }

    /// Whether it may see what concerns all tenants together.
    pub(super) fn sees_all(&self) -> bool {
        self.grant.tenants.is_none()
    }

    /// Whether its token was revoked meanwhile, or its session ended.
    pub(in crate::server) fn is_over(&self) -> bool {
        let is_over = |life: &watch::Receiver<()>| life.has_changed().is_err();
        let session = self.session.as_ref();
        is_over(&self.grant.life)
            || session.is_some_and(|(life, until)| is_over(life) || *until <= Instant::now())
    }

    /// Waits until the caller may see nothing more: its token was revoked, or its session is over.
    pub(in crate::server) async fn ended(&self) {
        let session = async {
            match &self.session {
                Some((life, until)) => tokio::select! {
                    () = over(life) => {}
                    () = sleep_until(*until) => {}
                },
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = over(&self.grant.life) => {}
            () = session => {}
        }
    }
}

/// Waits until the other end is dropped.
async fn over(life: &watch::Receiver<()>) {
    let mut life = life.clone();
    while life.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn caller(tenants: Option<&[&str]>) -> Caller {
        let read = |name: &&str| Tenant::try_from(*name).expect("a tenant");
        let tenants = tenants.map(|names| names.iter().map(read).collect());
        let grant = Grant { id: 0, name: "ci".to_owned(), tenants, life: watch::channel(()).1 };
        Caller::new(&Arc::new(grant), Shown::Token)
    }

    #[test]
    fn p10_a_caller_is_given_a_tenant_that_its_token_sees_or_none() {
        let tenant = |name: &str| Tenant::try_from(name).expect("a tenant");
        let asked = |caller: &Caller, name: Option<&str>| {
            caller.tenant(name.map(tenant)).map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(asked(&caller(None), None), Ok(Tenant::default()));
        assert_eq!(asked(&caller(None), Some("acme")), Ok(tenant("acme")));
        assert_eq!(asked(&caller(Some(&["acme"])), None), Ok(tenant("acme")));
        assert_eq!(asked(&caller(Some(&["acme"])), Some("default")), Err(403));
        assert_eq!(asked(&caller(Some(&["acme", "default"])), None), Ok(Tenant::default()));
        assert_eq!(asked(&caller(Some(&["acme", "t2"])), None), Err(400));
        assert_eq!(asked(&caller(Some(&["acme", "t2"])), Some("t2")), Ok(tenant("t2")));
        assert_eq!(asked(&Caller::stranger(), None), Err(403));
        assert_eq!(asked(&Caller::stranger(), Some("default")), Err(403));
        assert!(caller(None).is_known() && !Caller::stranger().is_known());
        assert!(caller(None).sees_all() && !caller(Some(&["acme"])).sees_all());
    }

    #[test]
    fn a_session_ends_by_itself_with_all_that_was_opened_in_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let (_token, life) = watch::channel(());
            let grant = Arc::new(Grant { id: 0, name: "ci".to_owned(), tenants: None, life: life.clone() });
            let is_over = async |until| {
                let caller = Caller::new(&grant, Shown::Token).in_session(life.clone(), until).with_ticket();
                tokio::select! {
                    biased;
                    () = caller.ended() => true,
                    () = sleep_until(Instant::now()) => false,
                }
            };
            assert!(is_over(Instant::now()).await);
            assert!(!is_over(Instant::now() + Duration::from_secs(3_600)).await);
        });
    }
}
