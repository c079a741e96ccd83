//! The message of the panic that is unwinding this thread.
//!
//! The standard library gives it to the panic hook alone. So the first plan that starts puts a hook
//! before the one that is there, which notes the message and passes the panic on unchanged. A
//! program that later sets a hook of its own without calling the previous one loses the messages,
//! never the reports.

use std::{cell::RefCell, panic, sync::Once};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Sees to it that the messages of later panics are known.
pub(super) fn remember() {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let message = info.payload_as_str().unwrap_or("without a message");
            let noted = match info.location() {
                Some(place) => format!("{message} ({place})"),
                None => message.to_owned(),
            };
            // A panic while this thread ends, or inside the note itself, goes unnoted.
            let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(noted)));
            previous(info);
        }));
    });
}

/// The message of the panic that is unwinding this thread, if one is.
pub(super) fn message() -> Option<String> {
    std::thread::panicking().then(|| last().unwrap_or_else(|| "without a message".to_owned()))
}

/// The message of this thread's last panic.
pub(super) fn last() -> Option<String> {
    LAST.try_with(|last| last.try_borrow().ok().and_then(|last| last.clone())).ok().flatten()
}
