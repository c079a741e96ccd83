//! planbus behind a few C functions, for a test that loads it into a process of another language.
//!
//! It is a package of its own because planbus forbids `unsafe`, and a function that C can call needs
//! some: a name that is not mangled, and pointers to text. One store at a time, no more than the test
//! needs; it is no interface for programs.

use std::{
    cell::RefCell,
    ffi::{CStr, CString, c_char},
    sync::RwLock,
};

use planbus::{Error, Event, EventStore, ToolCalled};
use serde_json::json;

/// What failed, for people.
type Result<T> = std::result::Result<T, String>;

static STORE: RwLock<Option<EventStore>> = RwLock::new(None);

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Opens the store at a path as its owner; 0, or -1 when it failed.
///
/// # Safety
/// `path` is a string that ends with a zero, and lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn planbus_open(path: *const c_char) -> i64 {
    // SAFETY: as the caller promises.
    let path = unsafe { text(path) };
    told(path.and_then(|path| {
        let store = EventStore::open(path).map_err(shown)?;
        *STORE.write().expect("no call panics while it holds the store") = Some(store);
        Ok(0)
    }))
}

/// Publishes the event of a number in a plan; its seq, or -1 when it failed.
///
/// # Safety
/// `plan` is a string that ends with a zero, and lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn planbus_publish(plan: *const c_char, number: u64) -> i64 {
    // SAFETY: as the caller promises.
    let plan = unsafe { text(plan) };
    let store = STORE.read().expect("no call panics while it holds the store");
    told(plan.and_then(|plan| {
        let store = store.as_ref().ok_or("no store is open")?;
        let call = ToolCalled::new(format!("call-{number}"), "write", json!({"number": number}));
        let saved = store.save(&Event::new(plan, call)).map_err(shown)?;
        Ok(saved.seq.cast_signed())
    }))
}

/// Closes the store; 0, or -1 when it failed.
#[unsafe(no_mangle)]
pub extern "C" fn planbus_close() -> i64 {
    let store = STORE.write().expect("no call panics while it holds the store").take();
    told(store.map_or(Ok(0), |store| store.close().map(|()| 0).map_err(shown)))
}

/// What failed last on this thread; valid until its next call.
#[unsafe(no_mangle)]
pub extern "C" fn planbus_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|error| error.as_ptr())
}

/// # Safety
/// `pointer` is a string that ends with a zero, and lives as long as the result is used.
unsafe fn text<'a>(pointer: *const c_char) -> Result<&'a str> {
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) }.to_str();
    text.map_err(|error| error.to_string())
}

fn told(outcome: Result<i64>) -> i64 {
    outcome.unwrap_or_else(|error| {
        LAST_ERROR.set(CString::new(error).unwrap_or_default());
        -1
    })
}

fn shown(error: Error) -> String {
    format!("{error:?}")
}
