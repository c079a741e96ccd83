//! Splits what is read into lines, within a limit: a line of any length costs no more memory.
//!
//! Knows nothing of what stands in a line.

use std::io::{self, BufRead, BufReader, Read};

/// The most bytes of a line: the largest payload, and room for white space and the other fields.
pub(crate) const LINE_MAX_BYTES: usize = 8 << 20;
/// How much is read at once.
const BUFFER_BYTES: usize = 256 << 10;
/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a stream, one after the other.
pub(crate) struct LineReader<R> {
    stream: BufReader<R>,
    /// The number of the line that was read last.
    number: u64,
    /// How many bytes were read, line ends included.
    bytes: u64,
    line: Vec<u8>,
}

/// What stands in a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RawLine<'a> {
    /// Its bytes, without the line end.
    Bytes(&'a [u8]),
    /// So many that none were kept.
    TooLong(u64),
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        Self { stream, number: 0, bytes: 0, line: Vec::new() }
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the next line has yet to be asked of the stream, which may wait for it.
    pub(crate) fn may_wait(&self) -> bool {
        self.stream.buffer().is_empty()
    }

    /// The next line; `None` at the end. A last line needs no line end.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.line.clear();
        let mut length = 0_u64;
        let mut is_ended = false;
        while !is_ended {
            let read = match self.stream.fill_buf() {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read.is_empty() {
                break;
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            is_ended = end.is_some();
            let taken = end.map_or(read.len(), |end| end + 1);
            length += taken as u64;
            // One more than the limit, and the line end: enough to tell.
            if self.line.len() <= LINE_MAX_BYTES + 2 {
                self.line.extend_from_slice(&read[..taken]);
            }
            self.stream.consume(taken);
        }
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes += length;
        let kept = self.line.len() as u64;
        let mut line = self.line.as_slice();
        if is_ended && kept == length {
            line = line.strip_suffix(b"\n").unwrap_or(line);
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        if kept < length || line.len() > LINE_MAX_BYTES {
            return Ok(Some(RawLine::TooLong(length)));
        }
        if self.number == 1 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        Ok(Some(RawLine::Bytes(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(stream: impl Read) -> Vec<Result<String, u64>> {
        let mut reader = LineReader::new(stream);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().expect("reads") {
            lines.push(match line {
                RawLine::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
                RawLine::TooLong(bytes) => Err(bytes),
            });
        }
        assert_eq!(reader.number() as usize, lines.len());
        lines
    }

    fn texts(text: &str) -> Vec<String> {
        lines(text.as_bytes()).into_iter().map(|line| line.expect("short")).collect()
    }

    #[test]
    fn line_ends_of_either_kind_and_a_mark_at_the_start_belong_to_no_line() {
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("a\nb"), ["a", "b"]);
        assert_eq!(texts("\u{feff}a\r\n\r\n\n\u{feff}b\r"), ["a", "", "", "\u{feff}b\r"]);
        assert_eq!(texts("\u{feff}"), [""]);
    }

    #[test]
    fn p11_a_line_over_the_limit_is_passed_over_and_the_next_one_is_read() {
        let limit = LINE_MAX_BYTES as u64;
        let long = |bytes: u64, end: &'static str| io::repeat(b'x').take(bytes).chain(end.as_bytes());
        let stream = long(limit, "\r\n").chain(long(limit + 1, "\nshort\n")).chain(long(limit * 3, "\nend"));
        let lines = lines(stream);
        assert_eq!(lines[0].as_ref().map(String::len), Ok(LINE_MAX_BYTES));
        assert_eq!(lines[1], Err(limit + 2));
        assert_eq!(lines[2], Ok("short".to_owned()));
        assert_eq!(lines[3], Err(limit * 3 + 1));
        assert_eq!(lines[4], Ok("end".to_owned()));
    }

    #[test]
    fn p11_a_line_over_the_limit_costs_no_memory() {
        let mut reader = LineReader::new(io::repeat(b'x').take(LINE_MAX_BYTES as u64 * 20));
        assert!(matches!(reader.next_line(), Ok(Some(RawLine::TooLong(_)))));
        assert!(reader.line.capacity() <= LINE_MAX_BYTES * 2 + BUFFER_BYTES, "{}", reader.line.capacity());
    }
}
