//! A server of the log, as a command runs it: where it listens, what a person is told, for whom it
//! waits, and its end.
//!
//! Writes to stderr alone, and only before and after the work of a command, so that nothing is written
//! into what a command draws.

use std::{
    env,
    error::Error as _,
    fs,
    io::{self, Write},
    net::ToSocketAddrs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Arg, Args, ValueHint};
use planbus::{
    Error, PlanId, Tenant,
    server::{AccessToken, Server, ServerBuilder},
};

use crate::{
    cli::Global,
    failure::{Exit, Failure},
    interrupt::CtrlC,
    style::{Painter, Style},
    terminal,
    text::{escape, shell_word},
};

/// Names the file of tokens where `--token-file` does not.
pub(crate) const TOKEN_FILE_VARIABLE: &str = "PLANBUS_TOKEN_FILE";
/// Where a server listens unless somebody says otherwise.
pub(crate) const DEFAULT_ADDR: &str = "127.0.0.1:7070";
/// How long requests may take that run when a server is asked to end.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How long one wait for Ctrl-C lasts, where nothing else is to be looked at.
const WAIT: Duration = Duration::from_secs(60);
/// How often it is looked for Enter and Ctrl-C, while a page is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// A server beside a command that publishes.
#[derive(Args, Debug)]
pub(crate) struct ServeBeside {
    /// Serve the log over HTTP meanwhile, at HOST:PORT, and when the work is done go on until Ctrl-C;
    /// port 0 takes a free one
    #[arg(long = "serve", value_name = "ADDR", value_parser = address)]
    addr: Option<String>,

    /// With --serve, let in only who has a token of this file, as for `planbus serve`; PLANBUS_TOKEN_FILE
    /// may name it too
    // Not by clap: there the variable alone would ask for --serve.
    #[arg(long, value_name = "FILE", requires = "addr", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

impl ServeBeside {
    /// Where a server is to listen, if there is to be one; to be looked at before anything is done.
    pub(crate) fn door(&self) -> Result<Option<Door<'_>>, Failure> {
        let Some(addr) = self.addr.as_deref() else { return Ok(None) };
        let named = env::var_os(TOKEN_FILE_VARIABLE).map(PathBuf::from);
        Door::new(addr, "--serve", self.token_file.as_deref().or(named.as_deref())).map(Some)
    }
}

/// For a command without other words, to which `--serve` alone says enough.
pub(crate) fn may_be_left_out(addr: Arg) -> Arg {
    let help = format!(
        "Serve the log over HTTP meanwhile, at HOST:PORT, by default {DEFAULT_ADDR}, and when the work is \
         done go on until Ctrl-C; port 0 takes a free one. On a terminal it begins when the page is open"
    );
    addr.num_args(0..=1).default_missing_value(DEFAULT_ADDR).help(help)
}

/// Reads an address to listen at.
pub(crate) fn address(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("must be HOST:PORT, such as 127.0.0.1:7070"),
    }
}

/// Where a server listens, and who is let in.
pub(crate) struct Door<'a> {
    addr: &'a str,
    /// The option that named the address.
    option: &'static str,
    tokens: Vec<AccessToken>,
    /// What a person should know of the file of tokens.
    warning: Option<String>,
}

impl<'a> Door<'a> {
    /// Reads the tokens. An address that others reach is refused where nobody needs one.
    pub(crate) fn new(
        addr: &'a str,
        option: &'static str,
        token_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let tokens = token_file.map(tokens).transpose()?.unwrap_or_default();
        // Whether it is an address at all is looked at when it is listened at.
        let mut found = addr.to_socket_addrs().into_iter().flatten();
        if tokens.is_empty() && found.any(|addr| !addr.ip().is_loopback()) {
            let told = format!("{option} {addr}: whoever reaches it would read the log");
            let hint = "let in only who has a token, with --token-file FILE, or listen at 127.0.0.1";
            return Err(Failure::new(Exit::Usage, told).hint(hint));
        }
        let warning = token_file.filter(|file| is_shared(file)).map(|file| {
            let file = file.display().to_string();
            format!(
                "others on this machine may read or write the tokens in {file}: chmod o-rw {}",
                shell_word(&file)
            )
        });
        Ok(Self { addr, option, tokens, warning })
    }

    /// Whether nobody is let in without a token.
    pub(crate) fn is_closed(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Starts a server there; where it cannot listen, says what to do.
    pub(crate) fn open(self, builder: ServerBuilder, global: &Global) -> Result<Server, Failure> {
        if let Some(warning) = &self.warning {
            tell(global, warning);
        }
        let builder = self.tokens.into_iter().fold(builder.bind(self.addr), ServerBuilder::token);
        builder.start().map_err(|error| {
            let is_taken = is_taken(&error);
            let failure = Failure::from(error);
            if is_taken {
                failure.hint(&format!("choose another port with {}, or port 0 for a free one", self.option))
            } else {
                failure
            }
        })
    }
}

/// The tokens of a file; nothing of it is ever shown.
pub(crate) fn tokens(file: &Path) -> Result<Vec<AccessToken>, Failure> {
    let doing = format!("read the tokens in {}", file.display());
    let text = fs::read_to_string(file).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::InvalidData => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Failure::of(exit, &doing, &error)
    })?;
    AccessToken::parse_file(&text).map_err(|error| Failure::of(Exit::Usage, &doing, &error))
}

/// Whether people whom the file was not given to may read secrets in it, or put theirs there. What is no
/// file, such as a pipe, has no such people.
#[cfg(unix)]
fn is_shared(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o006;
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & OTHERS != 0)
}

#[cfg(not(unix))]
fn is_shared(_: &Path) -> bool {
    false
}

fn is_taken(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AddrInUse)
}

/// What there is to see at a server.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The plan that runs now, of many that there may be.
    pub(crate) plan: Option<&'a PlanId>,
    /// What messages of A2A bring about.
    pub(crate) messages: Option<&'a str>,
}

/// Says where the page is to be opened, and what else to try there; with a token, where one is needed.
pub(crate) fn announce(server: &Server, is_closed: bool, about: About<'_>, global: &Global) {
    let url = server.url();
    let tenant = global.tenant();
    let is_named = tenant != Tenant::default();
    let (which, plan, page) = match about.plan.map(|plan| path_part(plan.as_str())) {
        Some(plan) => ("this plan", plan.clone(), format!("/#/plans/{plan}")),
        None if is_named => ("one plan", "PLAN".to_owned(), "/#/plans".to_owned()),
        None => ("one plan", "PLAN".to_owned(), "/".to_owned()),
    };
    let curl = if is_closed { "curl -H 'Authorization: Bearer SECRET'" } else { "curl" };
    // A request that names no tenant is shown the default one.
    let named = |path: &str| {
        let sign = if path.contains('?') { '&' } else { '?' };
        let named = if is_named { format!("{sign}tenant={tenant}") } else { String::new() };
        format!("{url}{path}{named}")
    };
    let at = |path: &str| shell_word(&named(path)).into_owned();
    let messages = about.messages.map(|messages| format!("; the message {messages}")).unwrap_or_default();
    let painter = Painter::new(terminal::is_stderr());
    let page = painter.paint(Style::Heading, &named(&page));
    note(global, &format!("planbus: open {page} in a browser"));
    tell(global, &format!("serving {} at {url}; Ctrl-C ends", global.db.display()));
    for (what, command) in [
        ("all events", format!("{curl} -N {}", at("/events/stream?after=0"))),
        (which, format!("{curl} -N {}", at(&format!("/plans/{plan}/events/stream")))),
        ("plans", format!("{curl} {}", at("/plans"))),
        ("A2A", format!("{url}/.well-known/agent-card.json{messages}")),
    ] {
        note(global, &painter.paint(Style::Faint, &format!("  {what:<10}  {command}")));
    }
}

/// Ends a server when what it sends has been sent, but not for ever.
pub(crate) fn stop(server: Server, global: &Global) {
    if !server.stop(STOP_MAX) {
        tell(global, "some requests took too long and were cut off");
    }
}

/// A server that may be there or not.
pub(crate) struct Serving(Option<Server>);

impl Serving {
    /// Starts a server where one was asked for, and says where.
    pub(crate) fn start(
        door: Option<Door<'_>>,
        builder: ServerBuilder,
        about: About<'_>,
        global: &Global,
    ) -> Result<Self, Failure> {
        let Some(door) = door else { return Ok(Self(None)) };
        let is_closed = door.is_closed();
        let server = door.open(builder.search(), global)?;
        announce(&server, is_closed, about, global);
        Ok(Self(Some(server)))
    }

    /// Where somebody sits at a terminal, waits until the page is open there or Enter is pressed, so that
    /// the work, `what`, is seen from its first event. Says whether to begin: Ctrl-C says no.
    pub(crate) fn wait_for_page(&self, what: &str, ctrl_c: &CtrlC, global: &Global) -> Result<bool, Failure> {
        let Some(server) = &self.0 else { return Ok(true) };
        if !terminal::is_stdin() || !terminal::is_stderr() || global.quiet {
            return Ok(true);
        }
        tell(global, &format!("{what} begins when the page is open; Enter begins it now"));
        while !server.wait_for_followers(LOOK) {
            if ctrl_c.has_come() {
                return Ok(false);
            }
            if terminal::has_line() {
                let read = io::stdin().read_line(&mut String::new());
                read.map_err(|error| Failure::of(Exit::Failed, "read from the terminal", &error))?;
                break;
            }
        }
        Ok(!ctrl_c.has_come())
    }

    /// Goes on serving until Ctrl-C, for whoever wants to look at what the command did.
    pub(crate) fn go_on(self, ctrl_c: &CtrlC, global: &Global) {
        let Some(server) = self.0 else { return };
        tell(global, &format!("still serving at {}; Ctrl-C ends", server.url()));
        while !ctrl_c.wait(WAIT) {}
        stop(server, global);
    }
}

/// Tells a person something, unless nobody wants to know.
pub(crate) fn tell(global: &Global, what: &str) {
    note(global, &format!("planbus: {}", escape(what)));
}

fn note(global: &Global, line: &str) {
    if !global.quiet {
        // Where nobody can read it, nobody is told.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// A text as one part of a URL's path.
fn path_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                part.push(char::from(byte));
            }
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for right in ["127.0.0.1:7070", "localhost:0", "[::1]:65535"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        for wrong in ["", "7070", ":7070", "localhost", "localhost:", "localhost:65536", "localhost:http"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_id_is_one_part_of_a_path() {
        assert_eq!(path_part("survey-1/src é?"), "survey-1%2Fsrc%20%C3%A9%3F");
    }
}
