//! The way of every request: checked, let in, run, and answered, whatever becomes of it.
//!
//! A route that panics is answered for, and every answer gets the headers that keep browsers from
//! guessing. The server's log has the path of a request, never its query, where a ticket may stand.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{gate::Access, names::From, target};
use crate::server::problem::Problem;

/// What an answer says of itself unless its route says otherwise.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// What pages of listed origins may ask.
const PAGE_METHODS: &str = "GET, HEAD, POST, DELETE";
const PAGE_HEADERS: &str =
    "Accept, A2A-Extensions, A2A-Version, Authorization, Cache-Control, Content-Type, Last-Event-ID";
/// How long a browser keeps what a page may ask, in seconds.
const PAGE_RULES_TIME: &str = "600";

/// Serves a request.
pub(in crate::server) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let asking = request.headers().get(header::ORIGIN).cloned();
    let from = place(&access, &request);
    let is_listed = matches!(from, Ok(From::Listed));
    let answer = match from {
        Ok(From::Listed) if is_preflight(&request) => Ok(preflight()),
        Ok(from) => match caught(serve(&access, request, from, next)).await {
            Some(answer) => answer,
            None => {
                tracing::error!(target: "planbus.serve", %method, ?path, "a request panicked");
                let message = "the server failed; its log says how";
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Storage", message))
            }
        },
        Err(problem) => Err(problem),
    };
    let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
    let status = answer.status().as_u16();
    tracing::debug!(target: "planbus.serve", %method, ?path, status, "a request was answered");
    finish(answer.headers_mut(), access.names.has_origins(), asking.filter(|_| is_listed));
    answer
}

/// Checks what needs no secret: the name of the server, the page that asks, the target.
fn place(access: &Access, request: &Request) -> Result<From, Problem> {
    let host = access.names.host(request.headers(), request.version(), request.uri().authority())?;
    let from = access.names.from(request.headers(), host.as_ref(), request.method())?;
    target::check(request.uri())?;
    Ok(from)
}

async fn serve(access: &Access, request: Request, from: From, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = access.admit(&mut parts, from)?;
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Runs a request to its answer, or to a panic.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // What the panic broke is dropped with the request.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or(std::task::Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

/// Whether a browser asks what a page may ask.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    let rules = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, PAGE_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, PAGE_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, PAGE_RULES_TIME),
    ];
    (StatusCode::NO_CONTENT, rules).into_response()
}

/// Completes the headers of an answer; `page` is a listed origin.
fn finish(headers: &mut HeaderMap, has_origins: bool, page: Option<HeaderValue>) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if has_origins {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(page) = page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use tokio::sync::watch;

    use super::*;
    use crate::server::{access::AccessOptions, listener, options::Options};

    async fn panics() -> &'static str {
        panic!("a route that is wrong")
    }

    #[test]
    fn p11_a_route_that_panics_is_answered_for_and_the_server_lives() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let access = Arc::new(Access::new(&AccessOptions::default()).expect("access"));
        let router = Router::new().route("/panics", get(panics)).route("/works", get(async || "works"));
        let router = router.layer(middleware::from_fn_with_state(access, guard));
        let (_stop, stopping) = watch::channel(false);
        let addr = runtime.block_on(async {
            let options = Options::default();
            let listener = listener::listen(([127, 0, 0, 1], 0).into(), &options).expect("listens");
            let addr = listener.local_addr().expect("an address");
            tokio::spawn(async move {
                listener::serve(listener, router, &options, &Arc::default(), stopping).await
            });
            addr
        });
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        for _ in 0..3 {
            // On one connection, which is kept.
            let mut answer = agent.get(format!("http://{addr}/panics")).call().expect("an answer");
            let text = answer.body_mut().read_to_string().expect("a body");
            assert_eq!(answer.status(), 500);
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            assert!(!text.contains("a route that is wrong"), "{text}");
            let works = agent.get(format!("http://{addr}/works")).call().expect("an answer");
            assert_eq!(works.status(), 200);
        }
    }
}
