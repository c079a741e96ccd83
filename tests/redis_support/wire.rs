//! [`Wire`]: a client of our own, so that what the tests see has not passed through the crate that the
//! product uses.
//!
//! Binary-safe, with a time limit on every read and write; it never reconnects.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long a server may take over one answer.
const LIMIT: Duration = Duration::from_secs(30);

/// An entry of a stream: its id, and its fields in their order.
pub(crate) type Entry = (String, Vec<(String, String)>);

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing is there.
    Nil,
    /// A number.
    Integer(i64),
    /// A string of any kind.
    Bytes(Vec<u8>),
    /// The command was refused.
    Error(String),
    /// Several answers.
    Array(Vec<Reply>),
}

impl Reply {
    /// The answers of an array; of anything else, none.
    pub(crate) fn items(self) -> Vec<Reply> {
        match self {
            Self::Array(items) => items,
            _ => Vec::new(),
        }
    }
}

/// As `redis-cli` prints it into a file: one line an item, nothing for nil.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => Ok(()),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Error(text) => f.write_str(text),
            Self::Array(items) => {
                let lines: Vec<String> = items.iter().map(Reply::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

trait Stream: Read + Write + Send {
    /// How long a read and a write may take.
    fn set_limit(&self, limit: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Stream for TcpStream {
    fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// A connection to a server.
pub(crate) struct Wire(BufReader<Box<dyn Stream>>);

impl Wire {
    /// Connects to a socket.
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        Self::new(UnixStream::connect(path)?)
    }

    /// Connects to a port of this machine.
    pub(crate) fn tcp(port: u16) -> io::Result<Self> {
        Self::tcp_within(port, LIMIT)
    }

    /// As [`tcp`](Self::tcp), with another limit for one read or write.
    pub(crate) fn tcp_within(port: u16, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let wire = Self::new(stream)?;
        wire.set_limit(limit)?;
        Ok(wire)
    }

    fn new(stream: impl Stream + 'static) -> io::Result<Self> {
        stream.set_limit(LIMIT)?;
        Ok(Self(BufReader::new(Box::new(stream))))
    }

    /// How long one answer may take from now on.
    pub(crate) fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.0.get_ref().set_limit(limit)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<Reply> {
        self.send(arguments)?;
        self.receive()
    }

    /// Sends a command.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<()> {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments.iter().map(AsRef::as_ref) {
            bytes.extend(format!("${}\r\n", argument.len()).bytes());
            bytes.extend_from_slice(argument);
            bytes.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)
    }

    /// Waits for the answer to what was sent.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        let Some([kind, rest @ ..]) = line.strip_suffix(b"\r\n") else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let text = String::from_utf8_lossy(rest);
        let number = || text.parse::<i64>().map_err(|_| wrong(&line));
        match kind {
            b'+' => Ok(Reply::Bytes(rest.to_vec())),
            b'-' => Ok(Reply::Error(text.into_owned())),
            b':' => Ok(Reply::Integer(number()?)),
            b'$' => match usize::try_from(number()?) {
                Err(_) => Ok(Reply::Nil),
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    Ok(Reply::Bytes(bytes))
                }
            },
            b'*' => match usize::try_from(number()?) {
                Err(_) => Ok(Reply::Nil),
                Ok(length) => {
                    (0..length).map(|_| self.receive()).collect::<io::Result<_>>().map(Reply::Array)
                }
            },
            _ => Err(wrong(&line)),
        }
    }
}

fn wrong(line: &[u8]) -> io::Error {
    io::Error::other(format!("no answer of Redis: {}", String::from_utf8_lossy(line)))
}

/// The entries of an answer to XRANGE.
pub(crate) fn entries(reply: Reply) -> Vec<Entry> {
    reply.items().into_iter().map(entry).collect()
}

fn entry(reply: Reply) -> Entry {
    let mut parts = reply.items().into_iter();
    let id = parts.next().expect("an entry has an id").to_string();
    let fields = parts.next().expect("an entry has fields").items();
    (id, fields.chunks_exact(2).map(|pair| (pair[0].to_string(), pair[1].to_string())).collect())
}
