//! The target of a request: how long and how well written it is, and the ticket in it.

use axum::http::{StatusCode, Uri, uri::PathAndQuery};

use crate::server::problem::Problem;

/// The most bytes of a path with its query.
const TARGET_BYTES_MAX: usize = 8 << 10;

/// Checks that a target reads as text: what is read leniently might be read differently by two.
pub(super) fn check(uri: &Uri) -> Result<(), Problem> {
    let length = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if length > TARGET_BYTES_MAX {
        let message = format!("path: must be at most {TARGET_BYTES_MAX} bytes with its query");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "TooLarge", message));
    }
    for (name, text) in [("path", uri.path()), ("query", uri.query().unwrap_or_default())] {
        if !is_encoded(text) {
            return Err(Problem::invalid(name, "must be UTF-8 that is percent-encoded"));
        }
    }
    Ok(())
}

/// Takes the ticket out of the query, so that nothing behind can show it.
pub(super) fn take_ticket(uri: &mut Uri) -> Result<Option<String>, Problem> {
    let Some(query) = uri.query() else { return Ok(None) };
    let read = |pair: &str| {
        form_urlencoded::parse(pair.as_bytes())
            .next()
            .filter(|(name, _)| name == "ticket")
            .map(|(_, value)| value.into_owned())
    };
    let mut tickets = query.split('&').filter_map(read);
    let Some(ticket) = tickets.next() else { return Ok(None) };
    if tickets.next().is_some() {
        return Err(Problem::invalid("ticket", "is given twice"));
    }
    let rest: Vec<&str> = query.split('&').filter(|pair| read(pair).is_none()).collect();
    let target = match rest.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), rest.join("&")),
    };
    let mut parts = std::mem::take(uri).into_parts();
    let wrong = |_| Problem::invalid("query", "cannot be read");
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(wrong)?);
    *uri = Uri::from_parts(parts).map_err(|_| Problem::invalid("query", "cannot be read"))?;
    Ok(Some(ticket))
}

/// Whether every `%` begins an escape, and what is escaped is UTF-8.
fn is_encoded(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let escapes_are_whole = (0..bytes.len()).filter(|&at| bytes[at] == b'%').all(is_escape);
    escapes_are_whole && percent_encoding::percent_decode_str(text).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect("a target")
    }

    #[test]
    fn p11_a_target_is_text_of_a_bounded_length() {
        let status = |text: &str| check(&uri(text)).map_err(|problem| problem.status.as_u16());
        assert_eq!(status("/plans/a%20b%2Fc%C3%BC/events?type=a+b&x=%25"), Ok(()));
        for wrong in ["/%zz", "/%", "/%f", "/%ff", "/plans/%C3", "/?a=%C3%28", "/?a=%"] {
            assert_eq!(status(wrong), Err(400), "{wrong}");
        }
        assert_eq!(status(&format!("/{}", "a".repeat(TARGET_BYTES_MAX - 1))), Ok(()));
        assert_eq!(status(&format!("/{}", "a".repeat(TARGET_BYTES_MAX))), Err(414));
    }

    #[test]
    fn a_ticket_is_taken_out_of_the_query_and_the_rest_is_left_as_it_was() {
        let taken = |text: &str| {
            let mut uri = uri(text);
            let ticket = take_ticket(&mut uri).map_err(|problem| problem.message);
            ticket.map(|ticket| (ticket, uri.to_string()))
        };
        let none = |text: &str| Ok((None, text.to_owned()));
        let some = |rest: &str| Ok((Some("t 1".to_owned()), rest.to_owned()));
        assert_eq!(taken("/events"), none("/events"));
        assert_eq!(taken("/events?after=1&tickets=2"), none("/events?after=1&tickets=2"));
        assert_eq!(taken("/events?ticket=t+1"), some("/events"));
        assert_eq!(taken("/events?a=%20&tick%65t=t%201&b=x+y&&"), some("/events?a=%20&b=x+y&&"));
        assert_eq!(taken("/events?ticket=1&ticket=1"), Err("ticket: is given twice".to_owned()));
        assert_eq!(taken("http://localhost:7/e?ticket=t+1"), some("http://localhost:7/e"));
    }
}
