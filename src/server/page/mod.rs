//! The dashboard: `GET /` for browsers, and its files below `/assets/`.
//!
//! Everything is part of the program; nothing is fetched from elsewhere, and the policy that is sent
//! with it forbids the browser to. Tells a stranger no more than what the program is: what it shows, it
//! asks for as everybody else does.

mod assets;

use axum::{
    extract::{OriginalUri, Path},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use self::assets::Asset;
use super::{api, problem::Problem};

/// What a page of ours may do. Text is never taken for a script or for HTML: the browser refuses every
/// such assignment, but for the address of the one worker.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    worker-src 'self'; img-src 'self' data:; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types planbus";

/// Where the page's files are, seen from the page; the page of an application that has our routes below
/// a path of its own is there too.
const BASE: &str = r#"<base href="/">"#;

/// `GET /`: the dashboard for whoever asks for HTML, else what there is to ask for.
pub(super) async fn index(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let mut response = if wants_html(&headers) {
        let path = uri.path().trim_end_matches('/');
        let text = assets::INDEX.replace(BASE, &format!(r#"<base href="{}/">"#, escape(path)));
        with_headers(text.into_response(), "text/html; charset=utf-8")
    } else {
        api::index().await
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// `GET /assets/{path}`.
pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let Some(asset) = Asset::find(&path) else {
        return Err(Problem::not_found("path: the page has no such file"));
    };
    let tag = asset.tag.as_str();
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|tags| tags.to_str().is_ok_and(|tags| tags.split(',').any(|known| known.trim() == tag)));
    let response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { asset.bytes.into_response() };
    let mut response = with_headers(response, asset.content_type);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Whether HTML is asked for by name, as browsers do and other programs do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html")
    })
}

fn with_headers(mut response: Response, content_type: &'static str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        // Kept, and asked for again each time: a new program brings new files.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in
        [("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A path as the value of an attribute.
fn escape(path: &str) -> String {
    path.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_whoever_names_html() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            wants_html(&headers)
        };
        assert!(accepts("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(accepts("application/json, Text/HTML;q=0.1"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts("text/html5"));
        assert!(!wants_html(&HeaderMap::new()));
    }

    #[test]
    fn the_page_names_its_base_once_and_a_path_cannot_leave_the_attribute() {
        assert_eq!(assets::INDEX.matches(BASE).count(), 1);
        assert_eq!(escape(r#"/a"><script>&"#), "/a&quot;>&lt;script>&amp;");
    }
}
