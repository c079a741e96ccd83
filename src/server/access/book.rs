//! [`Book`]: which tokens, sessions and tickets let somebody in, and whom.
//!
//! Everything is kept by the digest of its secret. Whatever lets somebody in holds one end of a line to
//! those whom it let in: it is dropped from the book, and they are gone. The book knows no request and
//! looks at no clock.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    caller::{Caller, Grant, Shown},
    secret::{self, Digest},
    token::AccessToken,
};
use crate::error::{Error, ErrorKind, Result};

/// The most tokens of a server.
const TOKENS_MAX: usize = 10_000;
/// How long a session lasts.
pub(in crate::server) const SESSION_TIME: Duration = Duration::from_secs(12 * 3_600);
/// The most sessions of one token at a time; one more ends the oldest.
const SESSIONS_MAX: usize = 100;
/// How long a ticket may wait to be used.
pub(in crate::server) const TICKET_TIME: Duration = Duration::from_secs(60);
/// The most tickets of one token at a time; one more takes the oldest away.
const TICKETS_MAX: usize = 1_000;

/// Who is let in.
#[derive(Debug)]
pub(super) struct Book {
    tokens: HashMap<Digest, Token>,
    /// Everybody, until there is a token; not again when the last is revoked.
    anybody: Option<Token>,
    sessions: Passes,
    tickets: Passes,
    next_id: u64,
}

#[derive(Debug)]
struct Token {
    grant: Arc<Grant>,
    /// Dropped with the token: whoever it let in is gone.
    _life: watch::Sender<()>,
}

impl Book {
    pub(super) fn new(tokens: impl IntoIterator<Item = AccessToken>) -> Result<Self> {
        let mut book = Self {
            tokens: HashMap::new(),
            anybody: Some(Token::new(0, String::new(), None)),
            sessions: Passes::new(SESSION_TIME, SESSIONS_MAX),
            tickets: Passes::new(TICKET_TIME, TICKETS_MAX),
            next_id: 1,
        };
        tokens.into_iter().try_for_each(|token| book.add(token))?;
        Ok(book)
    }

    /// Adds a token. With the first one, nobody is let in without one any more.
    pub(super) fn add(&mut self, token: AccessToken) -> Result<()> {
        let (name, digest, tenants) = token.parts()?;
        if self.tokens.values().any(|token| token.grant.name == name) {
            let problem = format!("token name must be new, {name} is another token's");
            return Err(Error::new(ErrorKind::Conflict, problem));
        }
        if self.tokens.contains_key(&digest) {
            let problem = format!("token secret of {name} must be its own, it is another token's");
            return Err(Error::new(ErrorKind::Conflict, problem));
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("tokens must be at most {TOKENS_MAX}")));
        }
        self.tokens.insert(digest, Token::new(self.next_id, name, tenants));
        self.next_id += 1;
        self.anybody = None;
        Ok(())
    }

    /// Has these tokens alone from now on; what is the same as before goes on. Where one is wrong, nothing
    /// is changed.
    pub(super) fn replace(&mut self, tokens: Vec<AccessToken>) -> Result<()> {
        let mut next = Self::new(tokens)?;
        for (digest, token) in std::mem::take(&mut self.tokens) {
            let is_same = next.tokens.get(&digest).is_some_and(|next| next.grant.is_same(&token.grant));
            if is_same {
                next.tokens.remove(&digest);
                self.tokens.insert(digest, token);
            } else {
                self.drop_of(token.grant.id);
            }
        }
        for (digest, token) in next.tokens {
            let (name, tenants) = (token.grant.name.clone(), token.grant.tenants.clone());
            self.tokens.insert(digest, Token::new(self.next_id, name, tenants));
            self.next_id += 1;
        }
        self.anybody = None;
        Ok(())
    }

    /// Takes a token away with all that was made of it; whether there was one of this name.
    pub(super) fn revoke(&mut self, name: &str) -> bool {
        let Some((digest, token)) = self.tokens.iter().find(|(_, token)| token.grant.name == name) else {
            return false;
        };
        let (digest, id) = (*digest, token.grant.id);
        self.drop_of(id);
        self.tokens.remove(&digest);
        true
    }

    fn drop_of(&mut self, id: u64) {
        self.sessions.drop_of(id);
        self.tickets.drop_of(id);
    }

    /// Who shows nothing, where nothing is asked for.
    pub(super) fn anybody(&self) -> Option<Caller> {
        self.anybody.as_ref().map(|anybody| Caller::new(&anybody.grant, Shown::Nothing))
    }

    pub(super) fn by_token(&self, secret: &str) -> Option<Caller> {
        self.tokens.get(&Digest::of(secret)).map(|token| Caller::new(&token.grant, Shown::Token))
    }

    pub(super) fn by_session(&self, secret: &str, now: Instant) -> Option<Caller> {
        let pass = self.sessions.by_digest.get(&Digest::of(secret))?;
        let caller = pass.caller.clone().in_session(pass.life.subscribe(), pass.until);
        (now < pass.until).then_some(caller)
    }

    /// Who shows a ticket, which is used with this.
    pub(super) fn by_ticket(&mut self, secret: &str, now: Instant) -> Option<Caller> {
        let pass = self.tickets.remove(&Digest::of(secret))?;
        (now < pass.until).then(|| pass.caller.with_ticket())
    }

    /// Opens a session of a token; what a browser keeps of it.
    pub(super) fn open_session(&mut self, caller: &Caller, now: Instant) -> Result<String> {
        self.sessions.issue(caller, now)
    }

    pub(super) fn close_session(&mut self, secret: &str) {
        self.sessions.remove(&Digest::of(secret));
    }

    /// Makes a ticket, with which somebody is let in once as this caller.
    pub(super) fn ticket(&mut self, caller: &Caller, now: Instant) -> Result<String> {
        self.tickets.issue(caller, now)
    }
}

impl Token {
    fn new(id: u64, name: String, tenants: Option<Vec<crate::event::Tenant>>) -> Self {
        let (sender, life) = watch::channel(());
        Self { grant: Arc::new(Grant { id, name, tenants, life }), _life: sender }
    }
}

/// What was made of tokens for a time: sessions, or tickets. Each token has a number of its own, so
/// that nobody takes away another's.
#[derive(Debug)]
struct Passes {
    time: Duration,
    max: usize,
    by_digest: HashMap<Digest, Pass>,
    /// By token, oldest first.
    by_age: BTreeMap<(u64, u64), Digest>,
    next: u64,
}

#[derive(Debug)]
struct Pass {
    caller: Caller,
    key: (u64, u64),
    until: Instant,
    life: watch::Sender<()>,
}

impl Passes {
    fn new(time: Duration, max: usize) -> Self {
        Self { time, max, by_digest: HashMap::new(), by_age: BTreeMap::new(), next: 0 }
    }

    fn issue(&mut self, caller: &Caller, now: Instant) -> Result<String> {
        if caller.is_over() {
            return Err(Error::new(ErrorKind::Unauthorized, "the token was revoked"));
        }
        let secret = secret::random()?;
        let owner = caller.grant().id;
        self.make_room(owner, now);
        let (digest, key) = (Digest::of(&secret), (owner, self.next));
        self.next += 1;
        let life = watch::channel(()).0;
        self.by_age.insert(key, digest);
        self.by_digest.insert(digest, Pass { caller: caller.clone(), key, until: now + self.time, life });
        Ok(secret)
    }

    /// Drops a token's passes that are over, and its oldest where it has as many as it may.
    fn make_room(&mut self, owner: u64, now: Instant) {
        let own: Vec<Digest> =
            self.by_age.range((owner, 0)..=(owner, u64::MAX)).map(|(_, key)| *key).collect();
        let surplus = (own.len() + 1).saturating_sub(self.max);
        for (at, digest) in own.iter().enumerate() {
            let is_over = self.by_digest.get(digest).is_none_or(|pass| pass.until <= now);
            if !is_over && at >= surplus {
                break;
            }
            self.remove(digest);
        }
    }

    fn remove(&mut self, digest: &Digest) -> Option<Pass> {
        let pass = self.by_digest.remove(digest)?;
        self.by_age.remove(&pass.key);
        Some(pass)
    }

    fn drop_of(&mut self, owner: u64) {
        let own: Vec<Digest> =
            self.by_age.range((owner, 0)..=(owner, u64::MAX)).map(|(_, key)| *key).collect();
        own.iter().for_each(|digest| drop(self.remove(digest)));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    fn token(name: &str) -> AccessToken {
        AccessToken::new(name, format!("the secret of {name}").replace(' ', "-"))
    }

    fn book(names: &[&str]) -> Book {
        Book::new(names.iter().map(|name| token(name))).expect("a book")
    }

    fn is_ended(caller: &Caller) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut ended = std::pin::pin!(caller.ended());
            std::future::poll_fn(|context| std::task::Poll::Ready(ended.as_mut().poll(context).is_ready()))
                .await
        })
    }

    #[test]
    fn everybody_is_let_in_until_there_is_a_token_and_never_again() {
        let mut book = book(&[]);
        let anybody = book.anybody().expect("open");
        assert!(!is_ended(&anybody) && anybody.sees_all());
        book.add(token("ci")).expect("added");
        assert!(book.anybody().is_none() && is_ended(&anybody), "who came without one is gone");
        assert!(book.revoke("ci") && !book.revoke("ci"));
        assert!(book.anybody().is_none(), "without its last token a server lets nobody in");
    }

    #[test]
    fn a_token_that_is_revoked_takes_all_along_that_was_made_of_it() {
        let mut book = book(&["ci", "ui"]);
        let now = Instant::now();
        let by_token = book.by_token("the-secret-of-ci").expect("known");
        let session = book.open_session(&by_token, now).expect("a session");
        let by_session = book.by_session(&session, now).expect("known");
        let (used, unused) =
            (book.ticket(&by_session, now).expect("one"), book.ticket(&by_token, now).expect("one"));
        let by_ticket = book.by_ticket(&used, now).expect("known");
        let other = book.by_token("the-secret-of-ui").expect("known");
        assert_eq!((by_token.shown(), by_session.shown()), (Shown::Token, Shown::Session));
        assert!(![&by_token, &by_session, &by_ticket, &other].into_iter().any(is_ended));
        assert!(book.revoke("ci"));
        assert!([&by_token, &by_session, &by_ticket].into_iter().all(is_ended) && !is_ended(&other));
        assert!(book.by_token("the-secret-of-ci").is_none() && book.by_session(&session, now).is_none());
        assert!(book.by_ticket(&unused, now).is_none());
        // Whoever was let in a moment before makes nothing that would outlive the token.
        for made in
            [book.ticket(&by_token, now), book.ticket(&by_session, now), book.open_session(&by_token, now)]
        {
            assert_eq!(made.expect_err("refused").kind(), ErrorKind::Unauthorized);
        }
        assert!(
            book.sessions.by_age.is_empty() && book.tickets.by_digest.is_empty(),
            "nothing is left behind"
        );
    }

    #[test]
    fn a_session_ends_and_so_does_what_was_opened_in_it() {
        let mut book = book(&["ci"]);
        let now = Instant::now();
        let by_token = book.by_token("the-secret-of-ci").expect("known");
        let session = book.open_session(&by_token, now).expect("a session");
        let by_session = book.by_session(&session, now).expect("known");
        let ticket = book.ticket(&by_session, now).expect("a ticket");
        let by_ticket = book.by_ticket(&ticket, now).expect("known");
        assert!(book.by_session(&session, now + SESSION_TIME).is_none(), "it lasts for a time");
        book.close_session(&session);
        assert!(book.by_session(&session, now).is_none());
        assert!(is_ended(&by_session) && is_ended(&by_ticket) && !is_ended(&by_token));
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_minute() {
        let mut book = book(&["ci"]);
        let now = Instant::now();
        let by_token = book.by_token("the-secret-of-ci").expect("known");
        let ticket = book.ticket(&by_token, now).expect("a ticket");
        assert!(book.by_ticket("another", now).is_none());
        assert!(book.by_ticket(&ticket, now + TICKET_TIME - Duration::from_millis(1)).is_some());
        assert!(book.by_ticket(&ticket, now).is_none());
        let late = book.ticket(&by_token, now).expect("a ticket");
        assert!(book.by_ticket(&late, now + TICKET_TIME).is_none());
    }

    #[test]
    fn one_token_takes_away_no_ticket_or_session_of_another() {
        let mut book = book(&["ci", "ui"]);
        let now = Instant::now();
        let ci = book.by_token("the-secret-of-ci").expect("known");
        let ui = book.by_token("the-secret-of-ui").expect("known");
        let kept = book.ticket(&ui, now).expect("a ticket");
        let tickets: Vec<_> = (0..=TICKETS_MAX).map(|_| book.ticket(&ci, now).expect("a ticket")).collect();
        assert_eq!(book.tickets.by_age.len(), TICKETS_MAX + 1);
        assert!(book.by_ticket(&tickets[0], now).is_none(), "the oldest is gone");
        assert!(book.by_ticket(&tickets[1], now).is_some() && book.by_ticket(&kept, now).is_some());
        let sessions: Vec<_> =
            (0..=SESSIONS_MAX).map(|_| book.open_session(&ci, now).expect("one")).collect();
        assert!(book.by_session(&sessions[0], now).is_none() && book.by_session(&sessions[1], now).is_some());
        // Those that are over make room by themselves.
        book.ticket(&ci, now + TICKET_TIME).expect("a ticket");
        assert_eq!(book.tickets.by_age.len(), 1);
    }

    #[test]
    fn a_name_and_a_secret_are_one_tokens() {
        let mut book = book(&["ci"]);
        let same_name = book.add(AccessToken::new("ci", "another-secret-of-it")).expect_err("refused");
        let same_secret = book.add(AccessToken::new("other", "the-secret-of-ci")).expect_err("refused");
        assert_eq!((same_name.kind(), same_secret.kind()), (ErrorKind::Conflict, ErrorKind::Conflict));
        assert!(!same_secret.to_string().contains("the-secret-of-ci"), "{same_secret}");
    }
}
