//! [`Access`]: what a server knows of those who may ask it, and whom it lets in.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode, header, request::Parts};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    book::Book,
    caller::{Caller, Shown},
    names::{From, Names},
    options::AccessOptions,
    target,
    token::AccessToken,
};
use crate::{error::Result, server::problem::Problem};

/// The cookie of a session.
const COOKIE: &str = "planbus_session";
/// What answers to strangers too: whether the server is well, and what it is.
const OPEN_PATHS: &[&str] = &["/", "/.well-known/agent-card.json", "/healthz", "/readyz"];
/// Below it are the files of the page, by which strangers sign in.
const OPEN_FOLDER: &str = "/assets/";
/// What concerns all tenants together, with all that is below.
const WHOLE_PATHS: &[&str] = &["/metrics", "/redis", "/stats"];

/// Whom a server lets in.
#[derive(Debug)]
pub(in crate::server) struct Access {
    pub(super) names: Names,
    book: Mutex<Book>,
}

impl Access {
    pub(in crate::server) fn new(options: &AccessOptions) -> Result<Self> {
        Ok(Self { names: Names::new(options)?, book: Mutex::new(Book::new(options.tokens.iter().cloned())?) })
    }

    pub(in crate::server) fn add_token(&self, token: AccessToken) -> Result<()> {
        self.book.lock().add(token)
    }

    pub(in crate::server) fn set_tokens(&self, tokens: Vec<AccessToken>) -> Result<()> {
        self.book.lock().replace(tokens)
    }

    pub(in crate::server) fn revoke(&self, name: &str) -> bool {
        self.book.lock().revoke(name)
    }

    /// Whether nobody needs a token.
    pub(in crate::server) fn is_open(&self) -> bool {
        self.book.lock().anybody().is_some()
    }

    /// Opens a session; the cookie by which a browser keeps it.
    pub(in crate::server) fn open_session(&self, caller: &Caller) -> Result<String> {
        let secret = self.book.lock().open_session(caller, Instant::now())?;
        Ok(self.cookie(&secret, super::SESSION_TIME))
    }

    /// Ends the sessions that a request shows; the cookie by which a browser forgets them.
    pub(in crate::server) fn close_session(&self, headers: &HeaderMap) -> String {
        let mut book = self.book.lock();
        sessions(headers).for_each(|secret| book.close_session(secret));
        self.cookie("", Duration::ZERO)
    }

    pub(in crate::server) fn ticket(&self, caller: &Caller) -> Result<String> {
        self.book.lock().ticket(caller, Instant::now())
    }

    fn cookie(&self, value: &str, time: Duration) -> String {
        let secure = if self.names.is_https() { "; Secure" } else { "" };
        let seconds = time.as_secs();
        format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}")
    }

    /// Looks who asks, and whether it may ask this.
    pub(super) fn admit(&self, parts: &mut Parts, from: From) -> Result<Caller, Problem> {
        let ticket = target::take_ticket(&mut parts.uri)?;
        let known = self.known(parts, ticket);
        let path = parts.uri.path();
        let caller = match known {
            Some(caller) => caller,
            None if OPEN_PATHS.contains(&path) || path.starts_with(OPEN_FOLDER) => Caller::stranger(),
            None => return Err(unauthorized()),
        };
        // A browser sends the cookie whoever made it ask: what changes something takes a page of ours.
        if caller.shown() == Shown::Session && from == From::Unsaid && !parts.method.is_safe() {
            let message = "Origin: must be given with a session that is to change something";
            return Err(Problem::new(StatusCode::FORBIDDEN, "Unauthorized", message));
        }
        if is_whole(path) && !caller.sees_all() {
            let message = "path: needs a token that sees all tenants";
            return Err(Problem::new(StatusCode::FORBIDDEN, "Unauthorized", message));
        }
        Ok(caller)
    }

    /// Who asks, where it is known. A token that is wrong is not made good by a cookie.
    fn known(&self, parts: &Parts, ticket: Option<String>) -> Option<Caller> {
        let mut book = self.book.lock();
        if let Some(anybody) = book.anybody() {
            return Some(anybody);
        }
        let now = Instant::now();
        match (parts.headers.contains_key(header::AUTHORIZATION), ticket) {
            (true, _) => bearer(&parts.headers).and_then(|secret| book.by_token(secret)),
            // For clients that cannot send a header: they cannot do more than follow either.
            (false, Some(ticket)) if parts.method == Method::GET => book.by_ticket(&ticket, now),
            (false, Some(_)) => None,
            (false, None) => sessions(&parts.headers).find_map(|secret| book.by_session(secret, now)),
        }
    }
}

/// Whether a path concerns all tenants together.
fn is_whole(path: &str) -> bool {
    let below = |whole: &&str| path.strip_prefix(whole);
    WHOLE_PATHS.iter().filter_map(below).any(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to whoever shows nothing, or nothing that is known.
pub(super) fn unauthorized() -> Problem {
    let message = "a token is needed: `Authorization: Bearer`, the cookie of a session, or a ticket";
    Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, secret) = given.next()?.to_str().ok()?.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && given.next().is_none();
    is_bearer.then(|| secret.trim())
}

/// The secrets of sessions in the cookies: other servers of this host may have set some too.
fn sessions(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}
