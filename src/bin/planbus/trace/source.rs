//! The files of an import, read and parsed on a thread of their own.
//!
//! So Ctrl-C ends an import whose standard input is silent. The thread publishes nothing, and holds
//! at most a few chunks: whoever takes them sets the pace.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use planbus::{Event, Tenant, Timestamp};

use super::{
    clock::Clock,
    event::{self, Place, percent_encoded},
    line::Line,
    reader::{LINE_MAX_BYTES, LineReader, RawLine},
};
use crate::failure::{Exit, Failure};

/// How many chunks are read ahead.
const CHUNKS_MAX: usize = 2;
/// A chunk ends with the line that brings it to this many bytes, or before a wait.
const CHUNK_BYTES: u64 = 256 << 10;

/// A file of recorded runs, or standard input.
#[derive(Debug)]
pub(crate) struct Input {
    /// As messages call it.
    pub(crate) name: String,
    /// As context references call it.
    tag: String,
    /// `None` for standard input.
    path: Option<PathBuf>,
    /// Its size, where it has one.
    pub(crate) bytes: Option<u64>,
}

impl Input {
    /// The input of this name, `-` for standard input, if it is there and can be read.
    pub(crate) fn find(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self { name: "<stdin>".to_owned(), tag: "-".to_owned(), path: None, bytes: None });
        }
        let name = path.display().to_string();
        let unreadable = |error: io::Error| {
            let exit = match error.kind() {
                io::ErrorKind::NotFound => Exit::NotFound,
                _ => Exit::Unavailable,
            };
            Failure::of(exit, &format!("read {name}"), &error)
        };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::new(Exit::Usage, format!("read {name}: is a directory; name its files")));
        }
        // To open a pipe and let it go again would end whoever writes to it.
        if metadata.is_file() {
            File::open(path).map_err(unreadable)?;
        }
        Ok(Self {
            tag: percent_encoded(path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes()),
            bytes: metadata.is_file().then_some(metadata.len()),
            path: Some(path.to_owned()),
            name,
        })
    }

    fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match &self.path {
            Some(path) => Box::new(File::open(path)?),
            None => Box::new(io::stdin().lock()),
        })
    }
}

/// Lines that were read together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) items: Vec<Item>,
    bytes: u64,
}

/// A line that is not blank.
#[derive(Debug)]
pub(crate) struct Item {
    /// Which of the inputs.
    pub(crate) input: usize,
    /// The number of the line, from 1.
    pub(crate) line: u64,
    /// How many bytes of all inputs were read with it.
    pub(crate) offset: u64,
    /// The event, or what is wrong with the line.
    pub(crate) parsed: Result<Parsed, String>,
}

/// The event of a line.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) event: Event,
    /// The line's own time, if it has one.
    pub(crate) at: Option<Timestamp>,
    /// How long the line is.
    pub(crate) bytes: usize,
}

/// An input that broke off: which, and why.
pub(crate) type Broken = (usize, io::Error);

/// Reads the inputs, in their order, for a tenant. The thread ends when the receiver is dropped.
pub(crate) fn read(inputs: Vec<Input>, tenant: Tenant) -> Result<Receiver<Result<Chunk, Broken>>, Failure> {
    let (sender, receiver) = bounded(CHUNKS_MAX);
    let work = move || {
        let mut parser = Parser { tenant, clock: Clock::new(Timestamp::now()), base: 0, sender };
        for (at, input) in inputs.iter().enumerate() {
            if let Err(error) = parser.read(at, input) {
                // Nobody waits for it where the import has ended.
                let _ = parser.sender.send(Err((at, error)));
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("trace reader".to_owned()).spawn(work);
    thread.map(|_| receiver).map_err(|error| Failure::of(Exit::Failed, "start to read", &error))
}

struct Parser {
    tenant: Tenant,
    clock: Clock,
    /// The bytes of the inputs before.
    base: u64,
    sender: Sender<Result<Chunk, Broken>>,
}

impl Parser {
    fn read(&mut self, at: usize, input: &Input) -> io::Result<()> {
        self.clock.next_file();
        let mut lines = LineReader::new(input.open()?);
        let mut chunk = Chunk::default();
        loop {
            // What waits already is handed on before we wait ourselves.
            if (chunk.bytes >= CHUNK_BYTES || lines.may_wait())
                && !chunk.items.is_empty()
                && self.sender.send(Ok(std::mem::take(&mut chunk))).is_err()
            {
                return Ok(());
            }
            let number = lines.number() + 1;
            let parsed = match lines.next_line() {
                Ok(None) => break,
                Ok(Some(RawLine::Bytes(bytes))) if bytes.trim_ascii().is_empty() => continue,
                Ok(Some(RawLine::Bytes(bytes))) => {
                    chunk.bytes += bytes.len() as u64;
                    self.parse(&input.tag, number, bytes)
                }
                Ok(Some(RawLine::TooLong(got))) => {
                    Err(format!("must be at most {LINE_MAX_BYTES} bytes, got {got}"))
                }
                Err(error) => {
                    // What came before is good.
                    let _ = self.sender.send(Ok(chunk));
                    return Err(error);
                }
            };
            chunk.items.push(Item { input: at, line: number, offset: self.base + lines.bytes(), parsed });
        }
        self.base += lines.bytes();
        if !chunk.items.is_empty() {
            // The import may have ended.
            let _ = self.sender.send(Ok(chunk));
        }
        Ok(())
    }

    fn parse(&mut self, file: &str, number: u64, bytes: &[u8]) -> Result<Parsed, String> {
        let line = Line::parse(bytes)?;
        let at = line.at.moment();
        let moment = self.clock.moment(&line.plan, &line.event_type, at);
        let event = event::of(&line, Place { file, number, bytes }, &self.tenant, moment);
        Ok(Parsed { event, at, bytes: bytes.len() })
    }
}
