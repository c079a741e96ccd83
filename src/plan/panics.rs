//! The message of the panic that is unwinding this thread.
//!
//! The standard library gives it to the panic hook alone. So the first plan that starts puts a hook
//! before the one that is there, which notes the message and passes the panic on unchanged. A
//! program that later sets a hook of its own without calling the previous one loses the messages,
//! never the reports.

use std::{any::Any, cell::RefCell, panic, sync::Once};

use super::text;

/// The most bytes of a message: there is room for its place and for what is said around it.
const MESSAGE_MAX_BYTES: usize = text::ERROR_TEXT_MAX_BYTES - (1 << 10);

/// What is said of a panic whose payload is no text.
const NO_MESSAGE: &str = "without a message";

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Sees to it that the messages of later panics are known.
pub(super) fn remember() {
    // A thread that panics must not set a hook: that would end the process.
    if std::thread::panicking() {
        return;
    }
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let message = text::cut(info.payload_as_str().unwrap_or(NO_MESSAGE), MESSAGE_MAX_BYTES);
            let noted = match info.location() {
                Some(place) => format!("{message} ({place})"),
                None => message.into_owned(),
            };
            note(Some(noted));
            previous(info);
        }));
    });
    // What was noted belongs to a panic that somebody caught.
    note(None);
}

/// Notes a message as that of this thread's last panic.
pub(super) fn note(message: Option<String>) {
    // A panic while this thread ends, or inside the note itself, goes unnoted.
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = message));
}

/// Takes the note of this thread's last panic.
pub(super) fn take() -> Option<String> {
    LAST.try_with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take())).ok().flatten()
}

/// The message of the panic that is unwinding this thread, if one is.
pub(super) fn message() -> Option<String> {
    std::thread::panicking().then(|| last().unwrap_or_else(|| NO_MESSAGE.to_owned()))
}

/// The message of a caught panic, with its place where that is known.
///
/// `resume_unwind` calls no hook: then the note is of another panic, and the payload alone counts.
pub(super) fn told(payload: &(dyn Any + Send)) -> String {
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let said = text::cut(said.unwrap_or(NO_MESSAGE), MESSAGE_MAX_BYTES);
    let is_same = |noted: &String| noted.strip_prefix(&*said).is_some_and(|rest| rest.starts_with(" ("));
    last().filter(is_same).unwrap_or_else(|| said.into_owned())
}

fn last() -> Option<String> {
    LAST.try_with(|last| last.try_borrow().ok().and_then(|last| last.clone())).ok().flatten()
}
