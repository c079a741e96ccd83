//! Hosts and origins as text: read, and brought to the form in which two are compared.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderValue, uri::Authority};

use crate::{
    error::{Error, ErrorKind, Result},
    server::problem::Problem,
};

/// Checks the public URL; its host, and its origin.
pub(super) fn public_names(url: &str) -> Result<(String, String)> {
    let problem = || wrong(format!("public_url must be http://HOST[:PORT] or https://.., got {url:?}"));
    let (scheme, rest) = url.split_once("://").ok_or_else(problem)?;
    if !matches!(scheme, "http" | "https") || rest.contains(['?', '#']) {
        return Err(problem());
    }
    let place = rest.split('/').next().unwrap_or_default();
    let found = origin(&format!("{scheme}://{place}")).ok_or_else(problem)?;
    let authority: Authority = place.parse().map_err(|_| problem())?;
    Ok((bare(authority.host()), found))
}

/// A name that a server is given: without a port, since ports are often mapped on the way.
pub(super) fn host_name(text: &str) -> Result<String> {
    let is_address = text.parse::<Ipv6Addr>().is_ok();
    let text = if is_address { format!("[{text}]") } else { text.to_owned() };
    let read =
        text.parse::<Authority>().ok().filter(|read| read.port().is_none() && read.as_str() == read.host());
    read.filter(|read| !read.as_str().contains('*'))
        .map(|read| bare(read.host()))
        .ok_or_else(|| wrong(format!("allow_host must be a name or an address without a port, got {text:?}")))
}

/// An origin in the form in which two are compared: lower case, without the port that its scheme has.
pub(super) fn origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, place) = text.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let read: Authority = place.parse().ok()?;
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let is_origin = !scheme.is_empty()
        && scheme.bytes().all(is_scheme)
        && !read.host().is_empty()
        && !place.contains(['@', '*']);
    let short = place.strip_suffix(usual).filter(|_| !usual.is_empty()).unwrap_or(place);
    is_origin.then(|| format!("{scheme}://{short}"))
}

pub(super) fn authority(value: &HeaderValue) -> Result<Authority, Problem> {
    let read = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
    let read = read.filter(|read| {
        let has_port = read.as_str().len() > read.host().len();
        !read.as_str().contains('@') && !read.host().is_empty() && has_port == read.port_u16().is_some()
    });
    read.ok_or_else(|| Problem::invalid("Host", "must be HOST[:PORT]"))
}

pub(super) fn bare(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

pub(super) fn address(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

pub(super) fn wrong(problem: String) -> Error {
    Error::new(ErrorKind::InvalidOption, problem)
}
