//! The first words on a connection: who we are, which database, and what the server is.
//!
//! All are sent at once and cost one round trip. The password is in `AUTH` only, and what the server
//! says to that is cleared of it: some servers repeat the command that they refuse.

use ::redis::{Cmd, Value, cmd};

use super::{
    fault::Refusal,
    node::{Hello, Node, Reply},
    reply,
    settings::{Login, invalid},
};
use crate::error::{Error, ErrorKind, Result};

/// The name of our connections in `CLIENT LIST`.
const CLIENT_NAME: &str = "planbus";

/// What to do about a server that asks for a password where the URL has none.
const NO_PASSWORD: &str = "asks for a password: give it as redis://:PASSWORD@HOST, for a socket as \
                           unix://PATH?pass=PASSWORD, for a Sentinel as ?sentinel_pass=PASSWORD";

/// Logs in, chooses the database, and asks what the server is.
pub(super) fn greet(node: &mut Node, login: &Login, db: u32) -> Result<Hello> {
    let mut commands = vec![hello_command()];
    let has_login = !login.is_none();
    if has_login {
        commands.insert(0, auth_command(login));
    }
    if db != 0 {
        commands.push(cmd("SELECT").arg(db).to_owned());
    }
    commands.push(cmd("CLIENT").arg("SETNAME").arg(CLIENT_NAME).to_owned());
    let mut replies = exchange(node, &commands)?.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let name = node.name().to_owned();
    if has_login {
        next().map_err(|refusal| not_let_in(&name, login, refusal))?;
    }
    let hello = match next() {
        Ok(value) => read_hello(value)?,
        Err(refusal) if refusal.code == "NOAUTH" => return Err(not_let_in(&name, login, refusal)),
        // An old server, or one that stands in for another, does not know the word.
        Err(_) => asked(node)?,
    };
    if db != 0 {
        next().map_err(|refusal| match refusal.code.as_str() {
            "ERR" => invalid(format!("{name} has no database {db}")),
            _ => refusal.into_error(&format!("choose database {db} of {name}")),
        })?;
    }
    Ok(hello)
}

fn hello_command() -> Cmd {
    cmd("HELLO").arg(2).to_owned()
}

fn auth_command(login: &Login) -> Cmd {
    let mut auth = cmd("AUTH");
    // Without a user in the older form, which servers with one password know, too.
    if let Some(user) = &login.user {
        auth.arg(user);
    }
    auth.arg(login.password.as_ref().map_or("", |password| &password.0));
    auth
}

/// Sends commands and takes their answers. A server that is full, or that lets in nobody from here,
/// says so and closes: then what it said is the failure, not that it closed.
fn exchange(node: &mut Node, commands: &[Cmd]) -> Result<Vec<Reply>> {
    let packed: Vec<u8> = commands.iter().flat_map(Cmd::get_packed_command).collect();
    let sent = node.send(&packed, commands.len());
    let mut replies: Vec<Reply> = Vec::with_capacity(commands.len());
    while replies.len() < commands.len() {
        match (node.receive(), replies.first()) {
            (Ok(reply), _) => replies.push(reply),
            (Err(_), Some(Err(refusal))) => return Err(turned_away(node.name(), refusal)),
            (Err(lost), _) => return Err(sent.err().unwrap_or(lost)),
        }
    }
    Ok(replies)
}

fn turned_away(name: &str, refusal: &Refusal) -> Error {
    let refusal = Refusal { message: first_line(&refusal.message), ..refusal.clone() };
    let kind = match refusal.code.as_str() {
        "DENIED" => ErrorKind::Unauthorized,
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, format!("redis: connect to {name}: the server closed the connection"), refusal)
}

fn first_line(text: &str) -> String {
    text.split(". ").next().unwrap_or_default().to_owned()
}

fn not_let_in(name: &str, login: &Login, refusal: Refusal) -> Error {
    let message = match &login.password {
        Some(password) if !password.0.is_empty() => refusal.message.replace(&password.0, "***"),
        _ => refusal.message,
    };
    let refusal = Refusal { message, ..refusal };
    if refusal.is_transient() {
        return refusal.into_error(&format!("log in at {name}"));
    }
    let told = match (login.is_none(), &login.user) {
        // What the server says to that is about its own protocol.
        (true, _) => return Error::new(ErrorKind::Unauthorized, format!("redis: {name} {NO_PASSWORD}")),
        (false, None) => format!("redis: {name} refused the password"),
        (false, Some(user)) => format!("redis: {name} refused the user {user}"),
    };
    Error::with_source(ErrorKind::Unauthorized, told, refusal)
}

fn read_hello(value: Value) -> Result<Hello> {
    let mut hello = Hello::default();
    for (name, value) in reply::pairs(value)? {
        let part = match name.as_slice() {
            b"server" => &mut hello.kind,
            b"version" => &mut hello.version,
            b"mode" => &mut hello.mode,
            b"role" => &mut hello.role,
            _ => continue,
        };
        *part = reply::text(value)?;
    }
    Ok(hello)
}

/// What the server is, as far as its `INFO` says.
fn asked(node: &mut Node) -> Result<Hello> {
    node.send(&cmd("INFO").get_packed_command(), 1)?;
    let text = match node.receive()? {
        Ok(value) => reply::text(value)?,
        Err(_) => return Ok(Hello::default()),
    };
    let part = |name: &str| reply::info_part(&text, name).unwrap_or_default().to_owned();
    let role = if part("role") == "slave" { "replica".to_owned() } else { part("role") };
    Ok(Hello { kind: "redis".to_owned(), version: part("redis_version"), mode: part("redis_mode"), role })
}
