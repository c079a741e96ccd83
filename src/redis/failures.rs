//! [`FailureRecord`]: what Redis keeps of the failures of a pending entry, beside its stream.
//!
//! Only reads it: the script that notes a failure writes it.

/// What Redis keeps of the failures of a pending entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FailureRecord {
    /// How many attempts failed.
    pub(super) attempts: u32,
    /// When the first one did, by the server's clock.
    pub(super) first_failed_ms: Option<u64>,
    /// When the last one did, by the server's clock.
    pub(super) last_failed_ms: Option<u64>,
    /// What the last one said.
    pub(super) error: Option<Box<str>>,
}

impl FailureRecord {
    /// Reads `consumer \n attempts \n first \n last \n error`. What somebody else put there counts as
    /// nothing.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        // Whoever failed is the pending list's to tell: it may be another's by now.
        let mut parts = text.splitn(5, '\n').skip(1);
        let attempts = parts.next().and_then(|text| text.parse().ok()).unwrap_or_default();
        let mut time = || parts.next().and_then(|text| text.parse().ok());
        let (first_failed_ms, last_failed_ms) = (time(), time());
        Self { attempts, first_failed_ms, last_failed_ms, error: parts.next().map(Into::into) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_what_is_none_counts_as_nothing() {
        let text = b"worker.1\n3\n1700000000000\n1700000005000\nfirst line\nsecond";
        let record = FailureRecord::parse(text);
        assert_eq!(record.attempts, 3);
        assert_eq!(record.first_failed_ms, Some(1_700_000_000_000));
        assert_eq!(record.last_failed_ms, Some(1_700_000_005_000));
        assert_eq!(record.error.as_deref(), Some("first line\nsecond"));
        for text in [&b""[..], b"\xff", b"a\nb\nc", b"w\n-1\n\n\n", b"w\n99999999999\n1"] {
            assert_eq!(FailureRecord::parse(text).attempts, 0, "{}", text.escape_ascii());
        }
    }
}
