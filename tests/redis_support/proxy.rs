//! [`Proxy`]: stands between a client and a port of the loopback, and does on demand what networks do.
//!
//! Knows nothing of Redis, only bytes, and chooses nothing by itself: what goes wrong, and after how many
//! bytes, is the caller's, so that a seed repeats a run.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// How many bytes are carried at once.
const PIECE_BYTES: usize = 16 << 10;

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Connections stay and nothing comes through. What was sent meanwhile arrives when this ends, as on
    /// a network that heals: late, be the client still there or not.
    BlackHole,
    /// Each new connection is closed at once; those that are open stay.
    Refuse,
    /// The connection ends when so many more bytes have reached the server. Once; then nothing goes wrong.
    CutRequest {
        /// How many bytes still pass.
        after_bytes: usize,
    },
    /// The connection ends when so many more bytes have reached the client; with 0 the server has done
    /// what it was asked, and the client hears nothing of it. Once; then nothing goes wrong.
    CutReply {
        /// How many bytes still pass.
        after_bytes: usize,
    },
    /// When so many more bytes have reached the client, the connection ends in this way. Once.
    EndReply {
        /// How many bytes still pass.
        after_bytes: usize,
        /// How it ends.
        ending: Ending,
    },
    /// Each piece, in both directions, is held for so long.
    Delay(Duration),
    /// One byte at a time, in both directions, with a pause before each.
    Dribble(Duration),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Closed on both sides: what has passed arrives.
    Close,
    /// Reset on both sides: what was not read yet may be lost.
    Reset,
    /// The server is told that the client sends nothing more; the client hears what the server makes of it.
    HalfClose,
    /// Not at all: [`Fault::BlackHole`] begins.
    Stall,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

struct State {
    fault: Fault,
    /// Where connections go to.
    port: u16,
    /// Both ends of each open connection.
    open: HashMap<usize, [TcpStream; 2]>,
    /// How many connections there were.
    accepted: usize,
    /// How many connections were ended by the proxy.
    cuts: usize,
    /// How many bytes the kernel is to keep on the way to a client.
    narrow_bytes: Option<usize>,
    is_over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A proxy before a port of the loopback; its connections end with it.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before this port.
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = listener.local_addr().expect("is bound").port();
        let state = State {
            fault: Fault::None,
            port,
            open: HashMap::new(),
            accepted: 0,
            cuts: 0,
            narrow_bytes: None,
            is_over: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        let listener = thread::spawn(move || accepting.accept(&listener));
        Self { port: own, shared, listener: Some(listener) }
    }

    /// Its own port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, for the product.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What goes wrong from now on.
    pub(crate) fn set(&self, fault: Fault) {
        self.shared.lock().fault = fault;
        self.shared.changed.notify_all();
    }

    /// What goes wrong now.
    pub(crate) fn fault(&self) -> Fault {
        self.shared.lock().fault
    }

    /// Where new connections go to from now on; those that are open stay.
    pub(crate) fn forward_to(&self, port: u16) {
        self.shared.lock().port = port;
    }

    /// Keeps so few bytes on the way to clients from now on: the server notices one that does not read.
    pub(crate) fn narrow(&self, bytes: usize) {
        self.shared.lock().narrow_bytes = Some(bytes);
    }

    /// Ends all connections now, with all that is on the way.
    pub(crate) fn cut_now(&self) {
        let mut state = self.shared.lock();
        let numbers: Vec<usize> = state.open.keys().copied().collect();
        numbers.into_iter().for_each(|number| state.cut(number));
        self.shared.changed.notify_all();
    }

    /// How many connections it has ended.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.lock().cuts
    }

    /// How many connections there were, the open ones too.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.cut_now();
        // Wakes the listener, which looks at the state before anything else.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(listener) = self.listener.take() {
            // It has panicked when a thread could not be started, and the test has failed by that.
            let _ = listener.join();
        }
    }
}

impl State {
    /// Ends a connection, where it is still open.
    fn cut(&mut self, number: usize) {
        if let Some(ends) = self.open.remove(&number) {
            self.cuts += 1;
            // One that has ended by itself is no fault.
            ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
    }

    /// Resets a connection: the last of its handles to be dropped does it.
    fn reset(&mut self, number: usize) {
        let Some(ends) = self.open.remove(&number) else { return };
        self.cuts += 1;
        for end in &ends {
            let _ = set_socket_linger(end, Some(Duration::ZERO));
            // Whoever waits for bytes of it waits no more; nothing is sent by this.
            let _ = end.shutdown(Shutdown::Read);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            let Ok(client) = client else { continue };
            state.accepted += 1;
            if state.fault == Fault::Refuse {
                state.cuts += 1;
                continue;
            }
            // No server there: the client sees its connection end.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, state.port)) else { continue };
            if let Some(bytes) = state.narrow_bytes {
                let _ = set_socket_send_buffer_size(&client, bytes);
                let _ = set_socket_recv_buffer_size(&server, bytes);
            }
            let number = state.accepted;
            let Ok(ends) = clones(&client, &server) else { continue };
            state.open.insert(number, ends);
            drop(state);
            let Ok([to_client, to_server]) = clones(&client, &server) else { continue };
            for (way, from, to) in [(Way::ToServer, client, to_server), (Way::ToClient, server, to_client)] {
                let shared = Arc::clone(&self);
                thread::spawn(move || shared.carry(number, way, from, to));
            }
        }
    }

    fn carry(&self, number: usize, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = [0; PIECE_BYTES];
        loop {
            // An end that was cut reads as an end.
            let read = from.read(&mut piece).unwrap_or(0);
            let mut rest = &piece[..read];
            loop {
                let Some(allowed) = self.wait_for_way(number, way, rest.len()) else { return };
                if to.write_all(&rest[..allowed.bytes]).is_err() {
                    return self.forget(number);
                }
                match allowed.then {
                    None | Some(Ending::Stall) => {}
                    Some(Ending::Close) => return self.lock().cut(number),
                    Some(Ending::Reset) => return self.lock().reset(number),
                    Some(Ending::HalfClose) => {
                        self.lock().cuts += 1;
                        let _ = from.shutdown(Shutdown::Write);
                    }
                }
                rest = &rest[allowed.bytes..];
                if rest.is_empty() {
                    break;
                }
            }
            if read == 0 {
                let _ = to.shutdown(Shutdown::Write);
                // The server ends a connection whose client has ended it, so this comes for both.
                if way == Way::ToClient {
                    self.forget(number);
                }
                return;
            }
        }
    }

    /// Waits until bytes may go on, and says how many; `None` when their connection has been cut.
    fn wait_for_way(&self, number: usize, way: Way, count: usize) -> Option<Allowed> {
        let start = Instant::now();
        let mut state = self.lock();
        loop {
            if !state.open.contains_key(&number) {
                return None;
            }
            let (after_bytes, ending) = match (&mut state.fault, way) {
                (Fault::CutRequest { after_bytes }, Way::ToServer)
                | (Fault::CutReply { after_bytes }, Way::ToClient) => (Some(after_bytes), Ending::Close),
                (Fault::EndReply { after_bytes, ending }, Way::ToClient) => (Some(after_bytes), *ending),
                _ => (None, Ending::Close),
            };
            if let Some(after_bytes) = after_bytes.filter(|_| count > 0) {
                let bytes = count.min(*after_bytes);
                *after_bytes -= bytes;
                let then = (*after_bytes == 0).then_some(ending);
                if let Some(ending) = then {
                    let is_stall = ending == Ending::Stall;
                    state.fault = if is_stall { Fault::BlackHole } else { Fault::None };
                }
                return Some(Allowed { bytes, then });
            }
            let pause = match state.fault {
                Fault::BlackHole => Duration::MAX,
                Fault::Delay(pause) | Fault::Dribble(pause) => pause,
                _ => return Some(Allowed { bytes: count, then: None }),
            };
            let left = pause.saturating_sub(start.elapsed());
            if left.is_zero() {
                let is_dribble = matches!(state.fault, Fault::Dribble(_));
                let bytes = if is_dribble { count.min(1) } else { count };
                return Some(Allowed { bytes, then: None });
            }
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// A connection has ended by itself.
    fn forget(&self, number: usize) {
        if let Some(ends) = self.lock().open.remove(&number) {
            ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
    }
}

/// How many bytes may go on, and how their connection ends then, if it does.
struct Allowed {
    bytes: usize,
    then: Option<Ending>,
}

/// Both ends again, told not to hold small pieces back.
fn clones(client: &TcpStream, server: &TcpStream) -> std::io::Result<[TcpStream; 2]> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok([client.try_clone()?, server.try_clone()?])
}
