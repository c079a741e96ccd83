//! Where an export goes: to stdout, or to a file that is there as a whole or not at all.
//!
//! A file is written under a temporary name beside its own, a new one each time, synced and renamed.
//! Nobody but the user may read it, as nobody may read the store.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use planbus::EventId;

use super::form::Format;
use crate::{
    failure::{Exit, Failure},
    output::Output,
};

/// How much is written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Where the lines go.
pub(crate) enum Target<'a> {
    Stdout(&'a mut Output),
    File(NewFile),
}

impl<'a> Target<'a> {
    /// The file, or stdout without one and for `-`. A file that is there already is kept unless
    /// forced, and those of the store at `store` always.
    pub(crate) fn open(
        file: Option<&Path>,
        force: bool,
        store: &Path,
        out: &'a mut Output,
    ) -> Result<Self, Failure> {
        match file.filter(|path| path.as_os_str() != "-") {
            Some(path) if is_of_store(path, store) => {
                Err(Failure::new(Exit::Usage, format!("write {}: is a file of the store", path.display())))
            }
            Some(path) => Ok(Self::File(NewFile::create(path, force)?)),
            None => Ok(Self::Stdout(out)),
        }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, format: Format, line: &str) -> Result<(), Failure> {
        match self {
            Self::Stdout(out) if out.columns().is_some() => match format {
                // All that is unsafe for a terminal is unsafe inside strings of JSON only.
                Format::Jsonl | Format::Cloudevents => out.json(line),
                Format::Csv => out.line(&crate::text::escape(line)),
            },
            Self::Stdout(out) => out.text(&[line, format.line_end()]),
            Self::File(file) => file.write(&[line, format.line_end()]),
        }
    }

    /// Gives the file its name; until then it has none.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.finish(),
        }
    }
}

/// A file that has no name of its own yet; dropped unfinished, it is removed.
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: Temporary,
    writer: BufWriter<File>,
    force: bool,
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already when it got its name.
        let _ = fs::remove_file(&self.0);
    }
}

impl NewFile {
    fn create(path: &Path, force: bool) -> Result<Self, Failure> {
        let failed = |error: &io::Error| unwritable(path, error);
        check_free(path, force)?;
        let name = path.file_name().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("write {}: is no name of a file", path.display()))
        })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", EventId::generate()));
        let temporary = path.with_file_name(hidden);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&temporary).map_err(|error| failed(&error))?;
        Ok(Self {
            path: path.to_owned(),
            temporary: Temporary(temporary),
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            force,
        })
    }

    fn write(&mut self, parts: &[&str]) -> Result<(), Failure> {
        let mut parts = parts.iter();
        let written = parts.try_for_each(|part| self.writer.write_all(part.as_bytes()));
        written.map_err(|error| unwritable(&self.path, &error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        check_free(&self.path, self.force)?;
        let mut work = || {
            self.writer.flush()?;
            self.writer.get_ref().sync_all()?;
            fs::rename(&self.temporary.0, &self.path)?;
            sync_name(&self.path)
        };
        work().map_err(|error| unwritable(&self.path, &error))
    }
}

/// Makes a file's name as durable as its content: the name is in the directory.
#[cfg(unix)]
fn sync_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A directory cannot be synced here.
#[cfg(not(unix))]
fn sync_name(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Only a file is ever replaced: what a link, a pipe or a device stands for would be lost.
fn check_free(path: &Path, force: bool) -> Result<(), Failure> {
    let told = |what: &str| Failure::new(Exit::Usage, format!("write {}: {what}", path.display()));
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(told("is a directory")),
        Ok(found) if !found.is_file() => Err(told("is no regular file; without --to, lines go to stdout")),
        Ok(_) if !force => Err(told("is there already").hint("--force replaces it")),
        _ => Ok(()),
    }
}

/// Whether SQLite or planbus keep the store at `store` in this file, or look for it there.
fn is_of_store(path: &Path, store: &Path) -> bool {
    const SUFFIXES: [&str; 6] = ["", "-wal", "-shm", "-journal", ".lock", ".creating"];
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()
    };
    let (Some(name), Some(own)) = (path.file_name(), store.file_name()) else { return false };
    let is_own = |suffix: &str| {
        let mut own = own.to_owned();
        own.push(suffix);
        name == own
    };
    SUFFIXES.into_iter().any(is_own) && folder(path) == folder(store)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Failed,
    };
    Failure::of(exit, &format!("write {}", path.display()), error)
}
