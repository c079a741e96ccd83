//! [`Running`]: a server on threads of its own.

use std::{
    net::SocketAddr,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    runtime::{self, Runtime},
    sync::watch,
};

use super::{
    listener,
    options::Options,
    reads, routes,
    state::{Shared, State},
};
use crate::{
    bus::EventBus,
    error::{Error, ErrorKind, Result},
};

/// A server that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) addr: SocketAddr,
    pub(super) state: Shared,
    stop: watch::Sender<bool>,
    /// The runtime's thread; `None` once stopped.
    thread: Option<JoinHandle<()>>,
    done: mpsc::Receiver<()>,
    abandon: watch::Sender<bool>,
}

impl Running {
    pub(super) fn start(bus: EventBus, options: Options, addr: SocketAddr) -> Result<Self> {
        let failed = |cause| Error::with_source(ErrorKind::Unavailable, "start the server", cause);
        let runtime = runtime(options.threads).map_err(failed)?;
        let state = State::new(bus, options, runtime.handle().clone())?;
        let listening = {
            let _inside = runtime.enter();
            listener::listen(addr, &state.options).and_then(|listener| Ok((listener.local_addr()?, listener)))
        };
        let (addr, listener) = listening.map_err(|cause| {
            Error::with_source(ErrorKind::Unavailable, format!("listen at {addr}"), cause)
        })?;
        let (stop, stopping) = watch::channel(false);
        let (abandon, mut abandoned) = watch::channel(false);
        let (finished, done) = mpsc::channel();
        let router = routes::router(state.clone());
        let served = state.clone();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = listener::serve(listener, router, &served.options, &served.counters, stopping) => {}
                    _ = abandoned.wait_for(|abandoned| *abandoned) => {}
                }
            });
            // A read of the log that still runs is not waited for.
            runtime.shutdown_background();
            drop(served);
            // Nobody may listen any more.
            let _ = finished.send(());
        };
        let thread = thread::Builder::new().name("planbus-server".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { addr, state, stop, thread: Some(thread), done, abandon })
    }

    /// Ends streams, waits for answers that are being sent, then cuts what is left; says whether
    /// anything was.
    pub(super) fn stop(&mut self, deadline: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        self.state.feed().stop();
        self.stop.send_replace(true);
        let is_clean = self.done.recv_timeout(deadline).is_ok();
        self.abandon.send_replace(true);
        // It serves nobody any more, and ends at once.
        let _ = thread.join();
        is_clean
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(reads::THREADS_MAX)
        .thread_name("planbus-server")
        .enable_io()
        .enable_time()
        .build()
}
