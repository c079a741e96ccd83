//! The limit of a durable publish: leader and followers over a plain file, write and fdatasync.
//!
//! Nothing here can be read back: no index, no chain, no page, no crash that is recovered from.

use std::{
    collections::VecDeque,
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

/// What the file holds before it is written over from its beginning: a file that grows costs a
/// second write, of its length.
const FILE_BYTES: u64 = 64 << 20;

/// A file to which threads append, in the grouping of a group commit.
pub(super) struct BareLog {
    file: Mutex<File>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Waiter>>,
    pending: Vec<u8>,
    is_led: bool,
}

struct Waiter {
    thread: Thread,
    is_done: AtomicBool,
    leads: AtomicBool,
}

impl BareLog {
    pub(super) fn create(folder: &Path) -> Self {
        let mut file = File::create(folder.join("bare.log")).expect("a file");
        file.write_all(&vec![0; FILE_BYTES as usize]).and_then(|()| file.sync_all()).expect("is written");
        file.rewind().expect("rewinds");
        Self { file: Mutex::new(file), state: Mutex::default() }
    }

    /// Appends, and returns when the bytes are durable.
    pub(super) fn submit(&self, bytes: &[u8]) {
        let mut state = self.state.lock().expect("not poisoned");
        state.pending.extend_from_slice(bytes);
        if state.is_led {
            let me =
                Arc::new(Waiter { thread: thread::current(), is_done: false.into(), leads: false.into() });
            state.waiting.push_back(Arc::clone(&me));
            drop(state);
            while !me.is_done.load(Ordering::Acquire) && !me.leads.load(Ordering::Acquire) {
                thread::park();
            }
            if me.is_done.load(Ordering::Acquire) {
                return;
            }
            state = self.state.lock().expect("not poisoned");
            state.waiting.pop_front();
        }
        state.is_led = true;
        let batch = std::mem::take(&mut state.pending);
        let served = std::mem::take(&mut state.waiting);
        drop(state);
        self.write(&batch);
        let mut state = self.state.lock().expect("not poisoned");
        match state.waiting.front() {
            Some(next) => {
                next.leads.store(true, Ordering::Release);
                next.thread.unpark();
            }
            None => state.is_led = false,
        }
        drop(state);
        for waiter in served {
            waiter.is_done.store(true, Ordering::Release);
            waiter.thread.unpark();
        }
    }

    fn write(&self, batch: &[u8]) {
        let mut file = self.file.lock().expect("not poisoned");
        if file.stream_position().expect("a place") + batch.len() as u64 > FILE_BYTES {
            file.seek(SeekFrom::Start(0)).expect("rewinds");
        }
        file.write_all(batch).and_then(|()| file.sync_data()).expect("is written");
    }
}
