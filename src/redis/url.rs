//! Reads the URL of a Redis.
//!
//! What it says of a wrong URL never repeats a part of it: where a password is not written as a URL
//! needs it, any part may be a piece of the password.

use std::{path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;

use super::settings::{Address, Login, Place, Secret, Settings, invalid};
use crate::error::Result;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

const SCHEMES: &str = "redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, \
                       redis+cluster:// or rediss+cluster://";

const PARAMETERS: &str = "connect_timeout, read_timeout, write_timeout, back_off_first, back_off_max, \
                          ca_file, client_cert, client_key; for Sentinels sentinel_user, sentinel_pass; \
                          for a socket db, user, pass";

/// The settings that a URL names; they are not checked against each other yet.
pub(super) fn parse(url: &str) -> Result<Settings> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(invalid("the URL must hold no blank or control character"));
    }
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| invalid(format!("the URL must begin with {SCHEMES}")))?;
    if rest.contains('#') {
        return Err(invalid("a # in the URL must be written as %23"));
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut settings = match scheme {
        "unix" | "redis+unix" => socket(before)?,
        _ => servers(scheme, before, query)?,
    };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        set(&mut settings, parameter)?;
    }
    Ok(settings)
}

fn socket(path: &str) -> Result<Settings> {
    if !path.starts_with('/') {
        return Err(invalid("the URL of a socket must name an absolute path: unix:///path"));
    }
    Ok(Settings::new(Place::Socket(PathBuf::from(decoded("path", path)?))))
}

fn servers(scheme: &str, before: &str, query: &str) -> Result<Settings> {
    let (kind, tls) = match scheme.strip_prefix("rediss") {
        Some(kind) => (kind, true),
        None => (scheme.strip_prefix("redis").unwrap_or("?"), false),
    };
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    // An @ behind the hosts is that of a password with one of these characters.
    if path.contains('@') || query.contains('@') {
        return Err(invalid("the characters / ? # @ of a user or password must be percent-encoded"));
    }
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    let path = path.trim_end_matches('/');
    let (place, db) = match kind {
        "" => (Place::Server(address(hosts, PORT)?), path),
        "+cluster" => (Place::Cluster(addresses(hosts, PORT)?), path),
        "+sentinel" => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err(invalid(
                    "the URL of Sentinels must name the master: redis+sentinel://host:26379/NAME",
                ));
            }
            (Place::Sentinel(addresses(hosts, SENTINEL_PORT)?, decoded("name of the master", master)?), db)
        }
        _ => return Err(invalid(format!("the URL must begin with {SCHEMES}"))),
    };
    Ok(Settings {
        tls,
        db: if db.is_empty() { 0 } else { database(db)? },
        login: user.map_or_else(|| Ok(Login::default()), login)?,
        ..Settings::new(place)
    })
}

fn login(text: &str) -> Result<Login> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    Ok(Login {
        user: if user.is_empty() { None } else { Some(decoded("user", user)?) },
        password: password.map(|text| decoded("password", text).map(Secret)).transpose()?,
    })
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>> {
    hosts.split(',').map(|host| address(host, port)).collect()
}

fn address(text: &str, default: u16) -> Result<Address> {
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("?"))),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_v6 = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if host.is_empty() {
        return Err(invalid("the URL must name a host"));
    }
    if !(is_v6 || is_name && !text.starts_with('[')) {
        return Err(invalid("the host must be a name, an IPv4 address, or an IPv6 address in brackets"));
    }
    if host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Err(invalid("the host must not be the address of all interfaces"));
    }
    let port = port.map_or(Some(default), |port| port.parse().ok().filter(|port| *port != 0));
    let port = port.ok_or_else(|| invalid("the port must be 1 to 65535"))?;
    Ok(Address { host: host.to_owned(), port })
}

fn database(text: &str) -> Result<u32> {
    text.parse().map_err(|_| invalid("the database must be a number"))
}

/// Takes one `name=value` behind the question mark.
fn set(settings: &mut Settings, parameter: &str) -> Result<()> {
    let unknown = || invalid(format!("a parameter of the URL is unknown; known are {PARAMETERS}"));
    let (name, value) = parameter.split_once('=').ok_or_else(unknown)?;
    let is_socket = matches!(settings.place, Place::Socket(_));
    let text = || decoded(name, value);
    match name {
        "connect_timeout" => settings.connect_timeout = duration(name, value)?,
        "read_timeout" => settings.read_timeout = duration(name, value)?,
        "write_timeout" => settings.write_timeout = duration(name, value)?,
        "back_off_first" => settings.back_off.first = duration(name, value)?,
        "back_off_max" => settings.back_off.max = duration(name, value)?,
        "ca_file" => settings.ca_file = Some(text()?.into()),
        "client_cert" => settings.client_cert = Some(text()?.into()),
        "client_key" => settings.client_key = Some(text()?.into()),
        "sentinel_user" => settings.sentinel_login.user = Some(text()?),
        "sentinel_pass" => settings.sentinel_login.password = Some(Secret(text()?)),
        "db" if is_socket => settings.db = database(value)?,
        "user" if is_socket => settings.login.user = Some(text()?),
        "pass" if is_socket => settings.login.password = Some(Secret(text()?)),
        _ => return Err(unknown()),
    }
    Ok(())
}

fn duration(name: &str, text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let parsed = number.parse().ok().and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    });
    parsed.ok_or_else(|| invalid(format!("{name} must be a whole number of ms or s, like 500ms or 3s")))
}

fn decoded(what: &str, text: &str) -> Result<String> {
    let wrong = || invalid(format!("the {what} of the URL must be percent-encoded UTF-8"));
    let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong())?;
    if text.contains('\0') { Err(wrong()) } else { Ok(text.into_owned()) }
}
