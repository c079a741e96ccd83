//! Ctrl-C: a flag that is set at the first, and the end of the process at the second.
//!
//! Nothing is cut off in the middle at the first Ctrl-C: whoever runs looks at the flag, or waits for it.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded};

use crate::failure::{Exit, Failure};

/// Ctrl-C, for a command that also waits for it.
#[derive(Clone)]
pub(crate) struct CtrlC {
    /// Set at the first Ctrl-C.
    pub(crate) flag: Arc<AtomicBool>,
    first: Receiver<()>,
}

impl CtrlC {
    /// Listens for it from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Self::listen_before(|| {})
    }

    /// The same; `last` is done at the second one, before the process ends.
    pub(crate) fn listen_before(last: impl Fn() + Send + 'static) -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        let (told, first) = bounded(1);
        ctrlc::set_handler(move || {
            // Asked twice, we go at once: the log is whole at any moment.
            if set.swap(true, Ordering::Relaxed) {
                last();
                process::exit(Exit::Interrupted as i32);
            }
            // There is room for the only one.
            let _ = told.try_send(());
        })
        .map_err(|error| Failure::of(Exit::Failed, "listen for Ctrl-C", &error))?;
        Ok(Self { flag, first })
    }

    /// Whether the first Ctrl-C has come.
    pub(crate) fn has_come(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits for the first Ctrl-C at most this long; says whether it has come.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.has_come() || self.first.recv_timeout(time).is_ok()
    }
}

/// A flag that Ctrl-C sets.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    Ok(CtrlC::listen()?.flag)
}
