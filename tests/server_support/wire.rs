//! A client that sends bytes as they are, right or wrong.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{Live, PATIENCE};

/// One connection.
pub(crate) struct Wire(pub(crate) TcpStream);

/// What was answered, until the connection was closed.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 where nothing was.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Wire {
    pub(crate) fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Sends; whether the server still took it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more comes.
    pub(crate) fn finish(&self) {
        // A connection that the server closed is finished already.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// All that the server says until it closes, which it must: a stream that goes on is no answer.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let (mut said, mut part) = (Vec::new(), [0; 4_096]);
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "no end of {:?}", String::from_utf8_lossy(&said));
            match self.0.read(&mut part) {
                Ok(0) => return said,
                Ok(read) => said.extend_from_slice(&part[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the server neither answers nor closes after {:?}", String::from_utf8_lossy(&said))
                }
                // Closed while some of what was sent was on its way.
                Err(_) => return said,
            }
        }
    }

    /// The one answer before the server closes.
    pub(crate) fn answer(&mut self) -> Answer {
        let said = String::from_utf8_lossy(&self.rest()).into_owned();
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends one byte after another until the server answers or closes, which it must while more come:
    /// whoever waits for a pause is kept for ever. What it says.
    pub(crate) fn drip(&mut self, mut bytes: impl Iterator<Item = u8>, pause: Duration) -> Answer {
        self.0.set_read_timeout(Some(pause)).expect("a timeout");
        let is_heard = bytes.any(|byte| !self.send([byte]) || self.0.peek(&mut [0]).is_ok());
        assert!(is_heard, "the server took every byte, however slowly they came");
        self.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        self.answer()
    }
}

/// Asks on a connection of its own. `Connection: close` and, unless it is among the headers, `Host` are
/// added.
pub(crate) fn ask(addr: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: {addr}\r\n"));
    }
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut wire = Wire::open(addr);
    wire.send(format!("{text}\r\n{body}"));
    wire.answer()
}

/// What all of this must leave as it was: a client is served.
pub(crate) fn check_serves(live: &Live) {
    let seq = live.note("honest", 1);
    let mut stream = live.follow(&format!("/plans/honest/events/stream?after={}", seq - 1));
    assert_eq!(stream.message().seq(), seq);
}
