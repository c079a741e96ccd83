//! Opens the user's database for its inbox, and keeps handlers from ending the transaction they are
//! given.
//!
//! Never opens the file by any other way than SQLite: closing it again would drop the locks of the
//! user's own connections.

use std::{
    ffi::OsString,
    fs,
    io::ErrorKind::NotFound,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, OpenFlags,
    hooks::{AuthAction, AuthContext, Authorization},
};

use super::{fault, schema};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{connect::set_no_checkpoint_on_close, create, files, guards::WalWatch},
};

/// The savepoint that a handler's work goes back to when it fails.
pub(super) const SAVEPOINT: &str = "planbus_inbox";
/// How long another one's switch of the journal is let alone before it is tried again.
const OPEN_PAUSE: Duration = Duration::from_millis(5);
/// How many prepared statements the connection keeps: ours are few, the rest is for handlers.
const STATEMENTS_MAX: usize = 128;

/// Who may do what on the connection. SQLite asks it, on the thread that runs the statement.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Planbus itself is committing: nobody else's commit goes through.
    pub(super) may_commit: AtomicBool,
    /// A handler has the connection.
    pub(super) has_handler: AtomicBool,
    /// The handler asked for what would end its transaction, and was refused.
    pub(super) was_refused: AtomicBool,
}

/// The connection and what watches it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) sqlite: Connection,
    pub(super) watch: Arc<Watch>,
    wal: WalWatch,
}

impl Watched {
    /// Makes sure, after a commit, that it went where the next one who opens the database looks.
    pub(super) fn check_wal(&self) -> Result<()> {
        if self.wal.is_intact() {
            return Ok(());
        }
        let problem = "inbox: another program removed or replaced the database's write-ahead log";
        Err(Error::new(ErrorKind::Indeterminate, problem))
    }
}

/// The file that is meant, wherever the process goes later.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    if path == Path::new(":memory:") || path.file_name().is_none() {
        let problem = format!("must name a file, which outlives its process, got {:?}", path.display());
        return Err(Error::invalid("inbox", problem));
    }
    std::path::absolute(path).map_err(|cause| crate::store::fault::file("find the inbox", path, cause))
}

/// Opens the database for writing; the tables are made where they are missing.
pub(super) fn writer(path: &Path, busy_timeout: Duration) -> Result<Watched> {
    let begun = Instant::now();
    loop {
        // Where two open a new file at once, the switch of its journal does not wait for the other.
        match writer_at_once(path, busy_timeout) {
            Err(error) if error.kind() == ErrorKind::Locked && begun.elapsed() < busy_timeout => {
                std::thread::sleep(OPEN_PAUSE);
            }
            opened => return opened,
        }
    }
}

fn writer_at_once(path: &Path, busy_timeout: Duration) -> Result<Watched> {
    let failed = |cause| opening(path, cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut sqlite = Connection::open_with_flags(path, flags).map_err(failed)?;
    sqlite.busy_timeout(busy_timeout).map_err(failed)?;
    // What is refused stays as it is: a store may have left a write-ahead log that its owner looks at.
    set_no_checkpoint_on_close(&sqlite, true).map_err(failed)?;
    let has_tables = {
        // At one moment: another one may be making the tables.
        let moment = sqlite.unchecked_transaction().map_err(failed)?;
        schema::check(&moment, path)?
    };
    if sqlite.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
        return Err(read_only(path));
    }
    // The journal of the switch itself: where a power cut brings its name back, SQLite takes the switch
    // back, and all that is in the write-ahead log is gone. EXTRA syncs the directory for it.
    sqlite.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON").map_err(failed)?;
    let mode: String =
        sqlite.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(fault::refused(path, &format!("cannot have a write-ahead log, its journal is {mode}")));
    }
    sqlite.execute_batch("PRAGMA synchronous = FULL").map_err(failed)?;
    if !has_tables {
        // The file may be new, and be found with tables only when its name is on the disk.
        let directory = directory_of(path);
        create::sync_directory(directory)
            .map_err(|cause| crate::store::fault::file("sync the directory", directory, cause))?;
        schema::create(&sqlite, path)?;
    }
    set_no_checkpoint_on_close(&sqlite, false).map_err(failed)?;
    sqlite.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let watch = Arc::new(Watch::default());
    set_watch(&mut sqlite, &watch).map_err(failed)?;
    let mut wal = OsString::from(path);
    wal.push("-wal");
    Ok(Watched { sqlite, watch, wal: WalWatch::start(Path::new(&wal)) })
}

/// Opens the database for one look, which waits for no handler.
pub(super) fn reader(path: &Path, busy_timeout: Duration) -> Result<Connection> {
    let failed = |cause| opening(path, cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(busy_timeout).map_err(failed)?;
    Ok(connection)
}

/// A handler's COMMIT is refused when it is prepared, which leaves the transaction as it is. What gets
/// past that, an `INSERT OR ROLLBACK` and a statement after it, say, is not committed.
fn set_watch(sqlite: &mut Connection, watch: &Arc<Watch>) -> rusqlite::Result<()> {
    let asked = Arc::clone(watch);
    sqlite.authorizer(Some(move |context: AuthContext<'_>| {
        let ends_it = match context.action {
            AuthAction::Transaction { .. } => true,
            AuthAction::Savepoint { savepoint_name, .. } => savepoint_name.eq_ignore_ascii_case(SAVEPOINT),
            _ => false,
        };
        if ends_it && asked.has_handler.load(Relaxed) {
            asked.was_refused.store(true, Relaxed);
            return Authorization::Deny;
        }
        Authorization::Allow
    }))?;
    let committing = Arc::clone(watch);
    sqlite.commit_hook(Some(move || !committing.may_commit.load(Relaxed)))
}

/// Makes the file where it is missing.
pub(super) fn make_file(path: &Path) -> Result<()> {
    if let Some(network) = files::network_of(directory_of(path)) {
        let problem = format!("is on {network}: processes cannot share a database there");
        return Err(fault::refused(path, &problem));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) if found.is_dir() => Err(fault::refused(path, "is a directory")),
        Ok(_) => Err(fault::refused(path, "is no regular file")),
        Err(cause) if cause.kind() == NotFound => create::private_file(path).or_else(|error| {
            // Another one may have been faster.
            let is_there = fs::metadata(path).is_ok_and(|found| found.is_file());
            if is_there { Ok(()) } else { Err(error.within("make the inbox")) }
        }),
        Err(cause) => Err(crate::store::fault::file("look at the inbox", path, cause)),
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn opening(path: &Path, cause: rusqlite::Error) -> Error {
    if crate::store::fault::cannot_open(&cause) {
        return Error::with_source(ErrorKind::ReadOnly, read_only(path).to_string(), cause);
    }
    fault::sqlite(&format!("open the inbox {}", path.display()), cause)
}

fn read_only(path: &Path) -> Error {
    let problem = format!("open the inbox {}: the file or its directory cannot be written", path.display());
    Error::new(ErrorKind::ReadOnly, problem)
}
