//! [`Names`]: by which names a server may be asked, and which pages may ask it.
//!
//! A browser lets a foreign page speak to a server of this machine where the page's own name is made to
//! point here; what gives such a page away is the name in `Host`. Other pages are known by `Origin`.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, uri::Authority};

use super::{
    forms::{address, authority, bare, host_name, origin, public_names, wrong},
    options::AccessOptions,
};
use crate::{error::Result, server::problem::Problem};

/// By which names a server may be asked, and which pages may ask it.
#[derive(Debug)]
pub(super) struct Names {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Whether any address is a name of the server: one that is no page's name can be made to point here.
    takes_addresses: bool,
    bound: Option<IpAddr>,
    /// Host and origin of the public URL.
    public: Option<(String, String)>,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A program, or a page that does not say.
    Unsaid,
    /// A page of the server's own.
    Own,
    /// A page of a listed origin.
    Listed,
}

impl Names {
    pub(super) fn new(options: &AccessOptions) -> Result<Self> {
        let hosts = options.hosts.iter().map(|host| host_name(host)).collect::<Result<_>>()?;
        let origins = options.origins.iter().map(|text| {
            let problem = || wrong(format!("allow_origin must be SCHEME://HOST[:PORT], got {text:?}"));
            origin(text).ok_or_else(problem)
        });
        let public = options.public_url.as_deref().map(public_names).transpose()?;
        Ok(Self {
            hosts,
            origins: origins.collect::<Result<_>>()?,
            takes_addresses: options.bound.is_none_or(|ip| !ip.is_loopback()),
            bound: options.bound,
            public,
        })
    }

    /// Whether cookies may only travel encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.public.as_ref().is_some_and(|(_, origin)| origin.starts_with("https:"))
    }

    /// Whether answers depend on the page that asks.
    pub(super) fn has_origins(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Checks by which name the server is asked; that name with its port.
    pub(super) fn host(
        &self,
        headers: &HeaderMap,
        version: Version,
        target: Option<&Authority>,
    ) -> Result<Option<Authority>, Problem> {
        let mut given = headers.get_all(header::HOST).iter();
        let host = match (given.next(), given.next()) {
            // Only programs still speak HTTP/1.0, and only such may leave the name out.
            (None, _) if version < Version::HTTP_11 => None,
            (None, _) => return Err(Problem::invalid("Host", "must be given")),
            (Some(_), Some(_)) => return Err(Problem::invalid("Host", "is given twice")),
            (Some(host), None) => Some(authority(host)?),
        };
        for name in [host.as_ref(), target].into_iter().flatten() {
            if !self.is_own(name.host()) {
                let message = "Host: is no name of this server; it must be allowed with `allow_host`";
                return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "Unauthorized", message));
            }
        }
        Ok(host)
    }

    fn is_own(&self, host: &str) -> bool {
        let host = bare(host);
        if let Some(ip) = address(&host) {
            let is_bound = self.bound.is_some_and(|bound| bound == ip);
            return ip.is_loopback() || is_bound || self.takes_addresses || self.hosts.contains(&host);
        }
        host == "localhost"
            || self.hosts.contains(&host)
            || self.public.as_ref().is_some_and(|(public, _)| *public == host)
    }

    /// Checks which page asks.
    pub(super) fn from(
        &self,
        headers: &HeaderMap,
        host: Option<&Authority>,
        method: &Method,
    ) -> Result<From, Problem> {
        let forbidden = |message| Err(Problem::new(StatusCode::FORBIDDEN, "Unauthorized", message));
        let said = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let mut given = headers.get_all(header::ORIGIN).iter();
        let Some(asking) = given.next() else {
            // A page that shows an image of ours, or runs a script, names no origin; a browser says so.
            return match (said("sec-fetch-site"), said("sec-fetch-mode")) {
                (Some("same-origin"), _) => Ok(From::Own),
                (None | Some("none"), _) => Ok(From::Unsaid),
                (Some(_), Some("navigate")) if *method == Method::GET => Ok(From::Unsaid),
                (Some(_), _) => forbidden("Sec-Fetch-Site: pages of other sites may not ask this"),
            };
        };
        let asking = asking.to_str().ok().and_then(origin).filter(|_| given.next().is_none());
        match asking {
            Some(asking) if host.is_some_and(|host| self.own_origin(host) == asking) => Ok(From::Own),
            Some(asking) if self.origins.contains(&asking) => Ok(From::Listed),
            _ => {
                forbidden("Origin: pages of this origin may not ask; it must be allowed with `allow_origin`")
            }
        }
    }

    /// The origin of pages that the server itself shows under a name.
    fn own_origin(&self, host: &Authority) -> String {
        match &self.public {
            Some((public, origin)) if *public == bare(host.host()) => origin.clone(),
            _ => origin(&format!("http://{host}")).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(change: impl FnOnce(&mut AccessOptions)) -> Names {
        let mut options =
            AccessOptions { bound: Some(IpAddr::V4([127, 0, 0, 1].into())), ..AccessOptions::default() };
        change(&mut options);
        Names::new(&options).expect("names")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    /// What a request gets for these headers.
    fn asked(names: &Names, pairs: &[(&'static str, &str)]) -> Result<From, u16> {
        let headers = headers(pairs);
        let host = names.host(&headers, Version::HTTP_11, None).map_err(|problem| problem.status.as_u16())?;
        let from = names.from(&headers, host.as_ref(), &Method::GET);
        from.map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_server_is_asked_by_a_name_of_its_own_only() {
        let own = names(|options| options.hosts = vec!["Bus.example.org".to_owned(), "fd00::7".to_owned()]);
        let host = |names: &Names, host: &str| asked(names, &[("host", host)]);
        for name in [
            "localhost",
            "LocalHost:7070",
            "localhost.",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:7070",
            "bus.example.org",
            "bus.EXAMPLE.org.:80",
            "[fd00::7]",
        ] {
            assert_eq!(host(&own, name), Ok(From::Unsaid), "{name}");
        }
        for name in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "10.0.0.1",
            "bus.example.org.evil.example",
            "0x7f.1",
            "2130706433",
            "[::2]",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(host(&own, name), Err(421), "{name}");
        }
        for name in ["", ":80", "a@localhost", "local host", "localhost/", "localhost:99999999"] {
            assert!(matches!(host(&own, name), Err(400 | 421)), "{name}");
        }
        assert_eq!(asked(&own, &[]), Err(400));
        assert_eq!(asked(&own, &[("host", "localhost"), ("host", "localhost")]), Err(400));
        let target = "evil.example".parse().expect("an authority");
        let twofold = own.host(&headers(&[("host", "localhost")]), Version::HTTP_11, Some(&target));
        assert_eq!(twofold.expect_err("refused").status, 421);
    }

    #[test]
    fn an_address_is_a_name_of_a_server_that_others_reach_and_no_other_name_is() {
        let reached = names(|options| options.bound = Some(IpAddr::V4([0, 0, 0, 0].into())));
        assert_eq!(asked(&reached, &[("host", "192.168.1.7:7070")]), Ok(From::Unsaid));
        assert_eq!(asked(&reached, &[("host", "[fd00::1]")]), Ok(From::Unsaid));
        assert_eq!(asked(&reached, &[("host", "evil.example")]), Err(421));
        let one = names(|options| options.bound = Some(IpAddr::V4([127, 0, 0, 2].into())));
        assert_eq!(asked(&one, &[("host", "192.168.1.7")]), Err(421));
    }

    #[test]
    fn a_page_may_ask_if_it_is_the_servers_own_or_listed() {
        let listed = names(|options| options.origins = vec!["https://UI.example.org:443".to_owned()]);
        let page = |origin: &str| asked(&listed, &[("host", "localhost:7070"), ("origin", origin)]);
        assert_eq!(page("http://localhost:7070"), Ok(From::Own));
        assert_eq!(page("https://ui.example.org"), Ok(From::Listed));
        for foreign in [
            "null",
            "",
            "http://localhost",
            "http://localhost:7071",
            "https://localhost:7070",
            "http://ui.example.org",
            "https://ui.example.org.evil.example",
            "http://127.0.0.1:7070",
            "https://ui.example.org/",
            "file://",
        ] {
            assert_eq!(page(foreign), Err(403), "{foreign}");
        }
        let twice = [("host", "localhost:7070"), ("origin", "http://localhost:7070"), ("origin", "null")];
        assert_eq!(asked(&listed, &twice), Err(403));
    }

    #[test]
    fn what_a_page_loads_without_an_origin_is_told_by_its_browser() {
        let own = names(|_| {});
        let fetched = |site: &str, mode: &str| {
            asked(&own, &[("host", "localhost"), ("sec-fetch-site", site), ("sec-fetch-mode", mode)])
        };
        assert_eq!(fetched("same-origin", "cors"), Ok(From::Own));
        assert_eq!(fetched("none", "navigate"), Ok(From::Unsaid));
        assert_eq!(fetched("cross-site", "navigate"), Ok(From::Unsaid), "a link");
        assert_eq!(fetched("cross-site", "no-cors"), Err(403), "an image or a script");
        assert_eq!(fetched("same-site", "no-cors"), Err(403), "another port of this machine");
    }

    #[test]
    fn behind_a_proxy_the_public_url_is_the_origin() {
        let public =
            names(|options| options.public_url = Some("https://bus.example.org/planbus/".to_owned()));
        let page = |origin: &str| asked(&public, &[("host", "bus.example.org"), ("origin", origin)]);
        assert!(public.is_https());
        assert_eq!(page("https://bus.example.org"), Ok(From::Own));
        assert_eq!(page("http://bus.example.org"), Err(403), "who reads along could have written that page");
        let local = [("host", "127.0.0.1:7070"), ("origin", "http://127.0.0.1:7070")];
        assert_eq!(asked(&public, &local), Ok(From::Own));
    }

    #[test]
    fn p11_a_name_that_cannot_be_one_is_refused() {
        let told = |options: AccessOptions| Names::new(&options).expect_err("refused").to_string();
        let wrong =
            |host: &str| told(AccessOptions { hosts: vec![host.to_owned()], ..AccessOptions::default() });
        for host in ["", "*", "*.example.org", "bus.example.org:80", "http://bus", "a b", "u@host"] {
            assert!(wrong(host).starts_with("allow_host must be"), "{host}");
        }
        let wrong = |origin: &str| {
            told(AccessOptions { origins: vec![origin.to_owned()], ..AccessOptions::default() })
        };
        for origin in [
            "",
            "*",
            "null",
            "ui.example.org",
            "https://",
            "https://a/b",
            "https://*.a",
            "://a",
            "https://u@a",
        ] {
            assert!(wrong(origin).starts_with("allow_origin must be"), "{origin}");
        }
        let wrong =
            |url: &str| told(AccessOptions { public_url: Some(url.to_owned()), ..AccessOptions::default() });
        for url in ["", "bus.example.org", "ftp://bus", "https://", "https://bus?x", "https://u@bus"] {
            assert!(wrong(url).starts_with("public_url must be"), "{url}");
        }
    }
}
