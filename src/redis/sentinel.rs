//! Finds the master that Sentinels watch.
//!
//! Every new connection asks again: after a failover the next one is to the new master. A server
//! that says itself that it is no master is never taken for one, whatever a Sentinel says.

use ::redis::cmd;

use super::{
    dial::{Target, dial},
    node::Node,
    reply,
    settings::{Address, Settings, invalid},
};
use crate::error::{Error, ErrorKind, Result};

/// A connection to the master, found by the first Sentinel that knows it.
pub(super) fn connect(settings: &Settings, sentinels: &[Address], master: &str) -> Result<Node> {
    let mut last = None;
    for sentinel in sentinels {
        match try_one(settings, sentinel, master) {
            Ok(node) => return Ok(node),
            // That it cannot be reached now says more than that another Sentinel knows nothing.
            Err(error) if last.as_ref().is_none_or(|last: &Error| !last.is_transient()) => last = Some(error),
            Err(_) => {}
        }
    }
    let none = || Error::new(ErrorKind::InvalidInput, "redis: the URL names no Sentinel");
    Err(last.unwrap_or_else(none))
}

fn try_one(settings: &Settings, sentinel: &Address, master: &str) -> Result<Node> {
    let mut asked = dial(settings, Target::Server(sentinel), &settings.sentinel_login, 0)
        .map_err(|error| error.within("ask a Sentinel"))?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    asked.send(&question.get_packed_command(), 1)?;
    let answer = asked.receive()?.map_err(|refusal| match refusal.code.as_str() {
        "ERR" if asked.hello.mode != "sentinel" => {
            invalid(format!("{sentinel} is no Sentinel: name it with redis:// or redis+cluster://"))
        }
        _ => refusal.into_error(&format!("ask {}", asked.name())),
    })?;
    let mut parts = reply::list(answer)?.into_iter();
    let (Some(host), Some(port)) = (parts.next(), parts.next()) else {
        let told = format!("redis: the Sentinel {sentinel} knows no master named {master}");
        return Err(Error::new(ErrorKind::NotFound, told));
    };
    let port =
        u16::try_from(reply::integer(port)?).map_err(|_| reply::unexpected("the address of a master"))?;
    let address = Address { host: reply::text(host)?, port };
    let node = dial(settings, Target::Server(&address), &settings.login, settings.db)?;
    match node.hello.role.as_str() {
        "replica" => {
            let told = format!("redis: {address}, which the Sentinel {sentinel} named, is no master now");
            Err(Error::new(ErrorKind::Unavailable, told))
        }
        _ => Ok(node),
    }
}
