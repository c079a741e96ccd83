//! Ctrl-C: a flag that is set at the first, and the end of the process at the second.
//!
//! Nothing is cut off in the middle at the first Ctrl-C: whoever runs looks at the flag.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::failure::{Exit, Failure};

/// A flag that Ctrl-C sets.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    flag_before(|| {})
}

/// A flag that Ctrl-C sets, and what is done at the second one before the process ends.
pub(crate) fn flag_before(last: impl Fn() + Send + 'static) -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        // Asked twice, we go at once: the log is whole at any moment.
        if set.swap(true, Ordering::Relaxed) {
            last();
            process::exit(Exit::Interrupted as i32);
        }
    })
    .map_err(|error| Failure::of(Exit::Failed, "listen for Ctrl-C", &error))?;
    Ok(flag)
}
