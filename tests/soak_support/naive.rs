//! [`Naive`]: the mistakes that a soak is there to find.

use std::{
    fs::File,
    sync::{Arc, Mutex},
};

use planbus::*;

/// What is kept of an event by the one that leaks.
const LEAK_BYTES: usize = 16 << 10;
/// After so many events the one that leaks descriptors has one more.
const DESCRIPTOR_EVENTS: u64 = 100;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naive {
    /// A handler keeps something of every event.
    Leak,
    /// A handler opens a file now and then, and never closes it.
    Descriptor,
    /// A reader in another process begins a transaction and never ends it.
    Pinned,
}

impl Naive {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Leak, Self::Descriptor, Self::Pinned].into_iter().find(|naive| format!("{naive:?}") == name)
    }

    /// The handler that makes the mistake, where a handler makes it.
    pub(crate) fn subscribe(self, bus: &EventBus) -> Option<Subscription> {
        match self {
            Self::Leak => {
                let kept: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
                let keep = move |_: &Event| kept.lock().expect("no panic").push(vec![1; LEAK_BYTES]);
                Some(bus.subscribe(Filter::all(), keep).expect("subscribes"))
            }
            Self::Descriptor => {
                let kept: Arc<Mutex<Vec<File>>> = Arc::default();
                let open = move |event: &Event| {
                    if event.seq().is_some_and(|seq| seq.is_multiple_of(DESCRIPTOR_EVENTS)) {
                        kept.lock().expect("no panic").push(File::open("/dev/null").expect("opens"));
                    }
                };
                Some(bus.subscribe(Filter::all(), open).expect("subscribes"))
            }
            Self::Pinned => None,
        }
    }
}
