//! [`Session`]: one connection for the length of one call, and answers without refusals.
//!
//! Never sends a command twice: what failed is the caller's to try again.

use std::time::Duration;

use ::redis::{Cmd, Value};

use super::entry::EntryId;
use crate::{
    error::{Error, ErrorKind, Result},
    redis::{
        client::{Client, Reply},
        endpoint::RedisEndpoint,
        fault::Refusal,
        reply,
    },
};

/// How many keys a server looks at between two answers of a scan.
const SCAN_COUNT: u32 = 1_000;
/// What a server says of a key that is not there.
const NO_SUCH_KEY: &str = "no such key";
/// How many commands wait for their answers at once.
const PIPELINE_MAX_COMMANDS: usize = 500;
/// How long an answer may take beyond the time that the server was asked to wait.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// One connection, and what is being done on it.
pub(super) struct Session {
    client: Client,
    doing: String,
}

impl Session {
    pub(super) fn open(endpoint: &RedisEndpoint, doing: impl Into<String>) -> Result<Self> {
        Ok(Self { client: endpoint.connect()?, doing: doing.into() })
    }

    /// The connection itself, for whoever looks at refusals.
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The answer to one command.
    pub(super) fn ask(&mut self, command: &Cmd) -> Result<Value> {
        self.client.call(command)?.map_err(|refusal| self.refused(refusal))
    }

    /// The answer to one command about a key, `None` where there is no such key.
    pub(super) fn find(&mut self, command: &Cmd) -> Result<Option<Value>> {
        match self.client.call(command)? {
            Err(refusal) if refusal.message.contains(NO_SUCH_KEY) => Ok(None),
            reply => reply.map(Some).map_err(|refusal| self.refused(refusal)),
        }
    }

    /// The answer to one command, or how the server refused it, which leaves the connection whole.
    pub(super) fn attempt(&mut self, command: &Cmd) -> Result<Result<Value>> {
        Ok(self.client.call(command)?.map_err(|refusal| self.refused(refusal)))
    }

    /// The answer to one command, `None` where its user may not give it or the server has none.
    pub(super) fn try_ask(&mut self, command: &Cmd) -> Result<Option<Value>> {
        Ok(self.client.call(command)?.ok())
    }

    /// The answer to one command, `None` where it is refused with this code.
    pub(super) fn ask_unless(&mut self, code: &str, command: &Cmd) -> Result<Option<Value>> {
        match self.client.call(command)? {
            Err(refusal) if refusal.code == code => Ok(None),
            reply => reply.map(Some).map_err(|refusal| self.refused(refusal)),
        }
    }

    /// Whether the server said that it is the wrong one: another connection may find the right one.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_over()
    }

    /// Lets the server wait for so long before it answers.
    pub(super) fn allow_wait(&mut self, wait: Duration) -> Result<()> {
        self.client.set_read_timeout(wait + ANSWER_MAX)
    }

    /// Refuses a key that is no stream.
    pub(super) fn check_stream(&mut self, name: &str) -> Result<()> {
        let kind = reply::text(self.ask(&kind_of(name))?)?;
        match kind.as_str() {
            "stream" => Ok(()),
            "none" => Err(self.no_stream(name)),
            other => {
                let told = format!("{}: {name} is no stream but a {other}", self.doing);
                Err(Error::new(ErrorKind::InvalidInput, told))
            }
        }
    }

    /// The error of a stream that is not there.
    pub(super) fn no_stream(&self, name: &str) -> Error {
        Error::new(ErrorKind::NotFound, format!("{}: there is no stream {name}", self.doing))
    }

    /// How many keys the server holds, on all masters together; as many as it tells.
    pub(super) fn keys(&mut self) -> Result<u64> {
        let replies = self.client.each_master(&::redis::cmd("DBSIZE"))?.into_iter();
        let told = replies.filter_map(|(_, reply)| reply::integer(reply.ok()?).ok());
        Ok(told.map(i64::unsigned_abs).sum())
    }

    /// The members of a set of names that match a pattern, maybe twice; what is no UTF-8 is no
    /// profile's.
    pub(super) fn members(&mut self, set: &str, pattern: &str) -> Result<Vec<String>> {
        let (mut names, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let mut command = ::redis::cmd("SSCAN");
            command.arg(set).arg(&cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
            cursor = take_page(self.ask(&command)?, &mut names)?;
            if cursor == "0" {
                return Ok(names);
            }
        }
    }

    /// Which of these keys are streams, in their order.
    pub(super) fn streams_of(&mut self, names: &[String]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (name, kind) in self.ask_each(names, kind_of)? {
            let kind = kind.map_err(|refusal| self.refused(refusal))?;
            if reply::text(kind)? == "stream" {
                found.push(name.clone());
            }
        }
        Ok(found)
    }

    /// The highest id that each of these streams ever gave; `None` for one that is not there.
    pub(super) fn last_ids(&mut self, names: Vec<String>) -> Result<Vec<(String, Option<EntryId>)>> {
        let mut found = Vec::with_capacity(names.len());
        for (name, facts) in self.ask_each(&names, facts_of)? {
            let facts = match facts {
                Err(refusal) if refusal.message.contains(NO_SUCH_KEY) => Vec::new(),
                facts => reply::pairs(facts.map_err(|refusal| self.refused(refusal))?)?,
            };
            let last = facts.into_iter().find(|(name, _)| name == b"last-generated-id");
            let last = last.map(|(_, id)| reply::text(id)?.parse()).transpose()?;
            found.push((name.clone(), last));
        }
        Ok(found)
    }

    /// The answers to commands that do not wait for each other, many at a time.
    pub(super) fn ask_all(&mut self, commands: &[Cmd]) -> Result<Vec<Value>> {
        let mut answers = Vec::with_capacity(commands.len());
        for part in commands.chunks(PIPELINE_MAX_COMMANDS) {
            self.client.send(part)?;
            for reply in self.client.receive()? {
                answers.push(reply.map_err(|refusal| self.refused(refusal))?);
            }
        }
        Ok(answers)
    }

    /// The answers to one command about each of these keys, many at a time.
    fn ask_each<'n>(
        &mut self,
        names: &'n [String],
        command: impl Fn(&str) -> Cmd,
    ) -> Result<Vec<(&'n String, Reply)>> {
        let mut answers = Vec::with_capacity(names.len());
        for part in names.chunks(PIPELINE_MAX_COMMANDS) {
            let commands: Vec<Cmd> = part.iter().map(|name| command(name)).collect();
            self.client.send(&commands)?;
            answers.extend(part.iter().zip(self.client.receive()?));
        }
        Ok(answers)
    }

    /// The keys of streams that a pattern matches, on every master, in no order and maybe twice. A
    /// key that is no UTF-8 is no profile's. Ends at the first name beyond `most`.
    pub(super) fn scan(&mut self, pattern: &str, most: usize) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut cursors: Vec<(String, String)> = Vec::new();
        for (node, page) in self.client.each_master(&scan("0", pattern))? {
            let page = page.map_err(|refusal| self.refused(refusal))?;
            cursors.push((node, take_page(page, &mut names)?));
        }
        while names.len() <= most && cursors.iter().any(|(_, cursor)| cursor != "0") {
            for (node, cursor) in cursors.iter_mut().filter(|(_, cursor)| cursor != "0") {
                let answer = self.client.call_master(node, &scan(cursor, pattern))?;
                let page = answer.map_err(|refusal| refusal.into_error(&self.doing))?;
                *cursor = take_page(page, &mut names)?;
            }
        }
        Ok(names)
    }

    fn refused(&self, refusal: Refusal) -> Error {
        refusal.into_error(&self.doing)
    }
}

fn kind_of(name: &str) -> Cmd {
    let mut command = ::redis::cmd("TYPE");
    command.arg(name);
    command
}

fn facts_of(name: &str) -> Cmd {
    let mut command = ::redis::cmd("XINFO");
    command.arg("STREAM").arg(name);
    command
}

fn scan(cursor: &str, pattern: &str) -> Cmd {
    let mut command = ::redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT).arg("TYPE").arg("stream");
    command
}

/// Takes the names of one page, and gives the cursor of the next.
fn take_page(page: Value, names: &mut Vec<String>) -> Result<String> {
    let mut parts = reply::list(page)?.into_iter();
    let (Some(cursor), Some(keys)) = (parts.next(), parts.next()) else {
        return Err(reply::unexpected("a page of keys"));
    };
    for key in reply::list(keys)? {
        names.extend(String::from_utf8(reply::bytes(key)?).ok());
    }
    reply::text(cursor)
}
