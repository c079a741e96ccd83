//! `planbus serve`: the log over HTTP, beside the process that owns it or where nobody does.
//!
//! Opens the store for reading alone, and creates none. Ends at Ctrl-C, and where the store is no longer
//! the one that it began with.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::{Args, ValueHint};
use planbus::{
    EventBus, EventStore,
    redis::Streams,
    server::{Server, ServerBuilder},
};
use serde_json::json;

use super::open;
use crate::{
    cli::{Form, Global, whole_number},
    failure::{Exit, Failure, chain},
    interrupt::CtrlC,
    output::Output,
    redis::RedisBeside,
    serving::{self, About, Door},
    store_file::{StoreFile, file_id},
};

/// How often it is looked whether the store is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The options of `serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeOptions {
    /// Where to listen, HOST:PORT; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = serving::DEFAULT_ADDR, value_parser = serving::address)]
    addr: String,

    /// Let in only who has a token of this file: a line each, NAME TENANTS SECRET, where TENANTS is * for
    /// all or names separated by commas. Read again when it changes: who is taken out is gone
    #[arg(long, value_name = "FILE", env = serving::TOKEN_FILE_VARIABLE, value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,

    /// A name by which clients may ask for this server, such as that of a proxy; may be repeated
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,

    /// An origin whose pages may ask this server, such as https://ui.example.org; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// Under which URL clients know this server, where a proxy stands before it
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,

    /// Where the full-text index of the log is kept [default: beside the store, if it can be]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    search_file: Option<PathBuf>,

    /// How many connections there may be at a time [default: 4096]
    #[arg(long, value_name = "N", value_parser = whole_number::<1, 1_000_000>)]
    connections_max: Option<u64>,

    #[command(flatten)]
    redis: RedisBeside,
}

impl ServeOptions {
    fn apply(&self, mut builder: ServerBuilder) -> Result<ServerBuilder, Failure> {
        builder = self.allow_host.iter().fold(builder, ServerBuilder::allow_host);
        builder = self.allow_origin.iter().fold(builder, ServerBuilder::allow_origin);
        builder = match &self.search_file {
            Some(file) => builder.search_file(file),
            None => builder.search(),
        };
        if let Some(url) = &self.public_url {
            builder = builder.public_url(url);
        }
        if let Some(connections) = self.connections_max {
            builder = builder.connections_max(usize::try_from(connections).unwrap_or(usize::MAX));
        }
        if let Some(endpoint) = self.redis.endpoint()? {
            builder = builder.redis(Streams::new(endpoint, self.redis.profile()?));
        }
        Ok(builder)
    }
}

/// Runs the command.
pub(crate) fn run(options: &ServeOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("serve")?;
    options.redis.check()?;
    // How it stands before it is read: a change in between is seen.
    let mut tokens = options.token_file.as_deref().map(TokenFile::new);
    let door = Door::new(&options.addr, "--addr", options.token_file.as_deref())?;
    let store = open(global)?;
    let file = StoreFile::of(&global.db);
    let ctrl_c = CtrlC::listen()?;
    let bus = EventBus::builder().store(store.clone()).build()?;
    let is_closed = door.is_closed();
    let server = door.open(options.apply(Server::builder(&bus))?, global)?;
    serving::announce(&server, is_closed, About::default(), global);
    if form == Form::Json {
        let told = json!({"url": server.url(), "addr": server.addr(), "db": global.db.to_string_lossy()});
        out.json(&told.to_string())?;
        out.flush()?;
    }
    let ended = watch(&store, &file, &ctrl_c, global, || {
        if let Some(tokens) = &mut tokens {
            tokens.look(&server, global);
        }
    });
    serving::stop(server, global);
    ended
}

/// Waits for Ctrl-C, and looks meanwhile whether the log is there and can be read, and at what else is to
/// be looked at.
fn watch(
    store: &EventStore,
    file: &StoreFile,
    ctrl_c: &CtrlC,
    global: &Global,
    mut look: impl FnMut(),
) -> Result<(), Failure> {
    let mut trouble = None;
    while !ctrl_c.wait(LOOK) {
        look();
        let there = file.check(&global.db, Exit::Unavailable);
        there.map_err(|failure| failure.hint("start planbus serve again when it is there"))?;
        let now = store.head().err().map(|error| chain(&error));
        if now != trouble {
            serving::tell(global, now.as_deref().unwrap_or("the log can be read again"));
            trouble = now;
        }
    }
    Ok(())
}

/// The file of tokens, which is read again when it has changed: whoever was taken out of it is gone.
struct TokenFile<'a> {
    path: &'a Path,
    /// As it was when it was read last; nothing of what stands in it.
    seen: Option<FileState>,
}

/// By what a change of a file is noticed.
type FileState = (SystemTime, u64, Option<(u64, u64)>);

impl<'a> TokenFile<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, seen: Self::state(path) }
    }

    fn state(path: &Path) -> Option<FileState> {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((metadata.modified().ok()?, metadata.len(), file_id(&metadata)))
    }

    /// Reads the file again where it has changed. Where it is wrong, the tokens stay as they are.
    fn look(&mut self, server: &Server, global: &Global) {
        let now = Self::state(self.path);
        // One that is gone for a moment is being replaced; one that never was a file was read once.
        if now.is_none() || now == self.seen {
            return;
        }
        self.seen = now;
        let tokens = serving::tokens(self.path);
        let told = match tokens.and_then(|tokens| Ok(server.set_tokens(tokens)?)) {
            Ok(()) => "the tokens were read again".to_owned(),
            Err(Failure::Told { message, .. }) => format!("{message}; the tokens stay as they were"),
            Err(Failure::ClosedPipe) => return,
        };
        serving::tell(global, &told);
    }
}
