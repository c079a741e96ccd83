//! Connections: how many there may be, and when one is given up.
//!
//! A client that does not finish its request, and one that does not read what it is sent, are cut off:
//! what they hold is bounded meanwhile by the buffers named here.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time,
};
use tokio_io_timeout::TimeoutStream;

use super::{
    counters::{Counters, CutReason},
    options::Options,
};

/// How many connections wait to be accepted.
const BACKLOG: u32 = 1_024;
/// The most bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// The most bytes that are read before they are looked at, and kept of an answer before it is sent.
const BUFFER_BYTES: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// How long no connection is accepted at most after one could not be, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection's place among those that there may be. Requests carry it: whoever takes a connection
/// over keeps its place, and a stop waits for it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Listens at an address. To be called inside the runtime.
pub(super) fn listen(addr: SocketAddr, options: &Options) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Connections take it over: with the system's default a client that does not read is sent
    // megabytes before anybody notices.
    socket.set_send_buffer_size(options.send_buffer_bytes)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves connections until told to stop; then waits for those that are left.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    options: &Options,
    counters: &Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let mut connections = JoinSet::new();
    // Told once, not with each that comes: whoever has all places must not fill the log as well.
    let mut is_full = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(target: "planbus.serve", %error, "a connection could not be accepted");
                tokio::select! {
                    // One that ends leaves what the next one needs.
                    Some(_) = connections.join_next() => {}
                    () = time::sleep(ACCEPT_PAUSE) => {}
                }
                continue;
            }
        };
        // One too many is closed unanswered: an answer would have to be waited for.
        let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
            if !std::mem::replace(&mut is_full, true) {
                tracing::warn!(target: "planbus.serve", max = options.connections_max, "too many connections");
            }
            continue;
        };
        is_full = false;
        let times = (options.request_time, options.slow_client);
        let (router, stop) = (router.clone(), stop.clone());
        let counters = Arc::clone(counters);
        let place = Place { _permit: Arc::new(permit) };
        connections.spawn(async move {
            if let Err(error) = connection(stream, router, place, times, stop).await {
                tracing::debug!(target: "planbus.serve", %error, "a connection ended");
                if is_slow(&*error) {
                    counters.cut(CutReason::Slow);
                }
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    // Connections that were taken over.
    let all = u32::try_from(options.connections_max).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    place: Place,
    (request_time, slow_client): (Duration, Duration),
    mut stop: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    // A client whose machine is gone says no goodbye, and heartbeats would fill no buffer for hours.
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_user_timeout(Some(slow_client))?;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(slow_client));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(request_time)
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let routes = TowerToHyperService::new(router.into_service::<Incoming>());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        routes.call(request)
    });
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        biased;
        done = connection.as_mut() => return Ok(done?),
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

/// Whether a connection ended because the client took nothing of what it was sent.
pub(super) fn is_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut timeouts = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    timeouts.any(|cause| cause.kind() == io::ErrorKind::TimedOut)
}
