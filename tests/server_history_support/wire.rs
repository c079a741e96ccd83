//! A client's side of the wire: HTTP/1.1 with chunks, and server-sent events, as strict as they are
//! specified. What is cut off is never taken for an end.
//!
//! A client of our own, because what the real ones do with a socket cannot be chosen: how much it holds,
//! and when it is read.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    sync::Arc,
};

use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt::set_socket_recv_buffer_size};

use super::watch::Watch;
use crate::store_support::LIMIT;

/// How a client reads.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// At once.
    Prompt,
    /// Through a small buffer, and after so many bytes not before the log has gone on by so many events.
    Slow { bytes: usize, events: u64, watch: Arc<Watch> },
}

/// What the kernel holds for a slow client.
const SLOW_BUFFER_BYTES: usize = 32 << 10;

/// Connects to a port of the loopback.
pub(crate) fn dial(port: u16, pace: &Pace) -> io::Result<Paced> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    if matches!(pace, Pace::Slow { .. }) {
        // Before it connects: what it says then it cannot take back.
        set_socket_recv_buffer_size(&socket, SLOW_BUFFER_BYTES)?;
    }
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(Paced { stream, pace: pace.clone(), since_pause: 0 })
}

/// A connection that is read at a pace.
pub(crate) struct Paced {
    stream: TcpStream,
    pace: Pace,
    since_pause: usize,
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.pace {
            Pace::Prompt => self.stream.read(buffer),
            Pace::Slow { bytes, events, watch } => {
                if self.since_pause >= *bytes {
                    self.since_pause = 0;
                    watch.wait_for_more(*events);
                }
                let room = buffer.len().min(SLOW_BUFFER_BYTES);
                self.stream.read(&mut buffer[..room])
            }
        };
        // Every stream of the server beats: one that is silent hangs.
        let is_silent = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        assert!(!read.as_ref().is_err_and(is_silent), "the server is silent");
        self.since_pause += read.as_ref().copied().unwrap_or(0);
        read
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The head of an answer, and its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Body,
}

/// Asks over a connection of its own.
pub(crate) fn ask(mut stream: Paced, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let status_line = line(&mut reader)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {status_line:?}"));
    let (mut content_type, mut length) = (String::new(), Length::UntilClosed);
    loop {
        let header = line(&mut reader)?;
        let Some((name, value)) = header.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-type" => value.clone_into(&mut content_type),
            "content-length" => length = Length::Bytes(value.parse().expect("a length")),
            "transfer-encoding" => length = Length::Chunks { left: 0, is_first: true },
            _ => {}
        }
    }
    if status == 204 {
        length = Length::Bytes(0);
    }
    Ok(Answer { status, content_type, body: Body { reader, length } })
}

/// A line without its end, which must be there.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(whole) = line.strip_suffix("\r\n") else { return Err(cut_off()) };
    Ok(whole.to_owned())
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "cut off")
}

enum Length {
    Bytes(usize),
    Chunks { left: usize, is_first: bool },
    UntilClosed,
}

/// The body of an answer; it ends well, or with an error.
pub(crate) struct Body {
    reader: BufReader<Paced>,
    length: Length,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = match &mut self.length {
            Length::UntilClosed => return self.reader.read(buffer),
            Length::Bytes(left) => left,
            Length::Chunks { left, is_first } => {
                if *left == 0 {
                    if !std::mem::take(is_first) && !line(&mut self.reader)?.is_empty() {
                        panic!("a chunk is longer than it says");
                    }
                    let size = line(&mut self.reader)?;
                    *left = usize::from_str_radix(&size, 16).expect("the size of a chunk");
                    if *left == 0 {
                        line(&mut self.reader)?;
                        self.length = Length::Bytes(0);
                        return Ok(0);
                    }
                }
                left
            }
        };
        let room = buffer.len().min(*left);
        let read = self.reader.read(&mut buffer[..room])?;
        if read == 0 && room > 0 {
            return Err(cut_off());
        }
        *left -= read;
        Ok(read)
    }
}

/// One message of a stream of server-sent events; without data it only moves the client's place.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
}

/// Reads the next message; `None` at the stream's end. What ends before its empty line is no message.
pub(crate) fn message(body: &mut BufReader<Body>) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    let mut line = String::new();
    loop {
        line.clear();
        if body.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some(line) = line.strip_suffix('\n') else { return Ok(None) };
        if line.is_empty() {
            return Ok(Some(message));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => message.id = Some(value.to_owned()),
            "event" => message.event = Some(value.to_owned()),
            "data" => match &mut message.data {
                Some(data) => *data = format!("{data}\n{value}"),
                None => message.data = Some(value.to_owned()),
            },
            "" | "retry" => {}
            _ => panic!("no field of server-sent events: {line:?}"),
        }
    }
}
