//! Channels: a subscription that queues its events for another thread to take.
//!
//! Every channel is bounded, and what happens when it is full is the subscriber's choice. A full
//! channel is never mistaken for a closed one, and every event given up is counted.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};

use super::{
    core::Core,
    slot::{DeliveryCounts, Handler, Missed, Slot, SubscriptionId},
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::Event,
};

/// The most events that a channel may hold.
pub const CHANNEL_MAX_EVENTS: usize = 1 << 20;

/// The longest that a full channel may make a publisher wait.
const BLOCK_MAX: Duration = Duration::from_secs(60);

/// What a full channel does with one more event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// Gives up the oldest event that waits.
    #[default]
    DropOldest,
    /// Gives up the new event.
    DropNewest,
    /// Makes the publisher wait this long for room, at most a minute, then gives up the new event.
    Block(Duration),
    /// Ends the subscription: the receiver takes what waits, then learns that it was too slow.
    Disconnect,
}

/// How large a channel is and what it does when full.
#[derive(Clone, Copy, Debug)]
pub struct ChannelOptions {
    capacity: usize,
    on_full: OnFull,
}

impl ChannelOptions {
    /// A channel that holds this many events, 1 to [`CHANNEL_MAX_EVENTS`]; when full it drops the
    /// oldest, unless [`on_full`](Self::on_full) says otherwise.
    #[must_use]
    pub fn bounded(capacity: usize) -> Self {
        Self { capacity, on_full: OnFull::default() }
    }

    /// Sets what a full channel does.
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }
}

impl Default for ChannelOptions {
    /// 1,024 events, dropping the oldest.
    fn default() -> Self {
        Self::bounded(1_024)
    }
}

/// The publishers' end of a channel.
pub(super) struct ChannelEnd {
    sender: Sender<Event>,
    full: Full,
    overrun: Arc<AtomicBool>,
}

/// What a full channel does, with what it needs for it.
enum Full {
    /// Only here a publisher holds a receiver, so that everywhere else it notices when the
    /// subscriber's is gone.
    DropOldest(Receiver<Event>),
    DropNewest,
    Block(Duration),
    Disconnect,
}

/// The two ends of a new channel, and what ends it.
pub(super) struct Parts {
    pub(super) end: ChannelEnd,
    pub(super) events: Receiver<Event>,
    pub(super) ended: Receiver<()>,
    pub(super) end_guard: Sender<()>,
    pub(super) overrun: Arc<AtomicBool>,
}

pub(super) fn open(options: ChannelOptions) -> Result<Parts> {
    if !(1..=CHANNEL_MAX_EVENTS).contains(&options.capacity) {
        let problem = format!("capacity must be 1 to {CHANNEL_MAX_EVENTS}, got {}", options.capacity);
        return Err(Error::new(ErrorKind::InvalidOption, problem));
    }
    let (sender, events) = bounded(options.capacity);
    let full = match options.on_full {
        OnFull::DropOldest => Full::DropOldest(events.clone()),
        OnFull::DropNewest => Full::DropNewest,
        OnFull::Block(timeout) if timeout <= BLOCK_MAX => Full::Block(timeout),
        OnFull::Block(timeout) => {
            let problem = format!("on_full must block for at most {BLOCK_MAX:?}, got {timeout:?}");
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        }
        OnFull::Disconnect => Full::Disconnect,
    };
    let (end_guard, ended) = bounded(0);
    let overrun = Arc::new(AtomicBool::new(false));
    let end = ChannelEnd { sender, full, overrun: Arc::clone(&overrun) };
    Ok(Parts { end, events, ended, end_guard, overrun })
}

impl ChannelEnd {
    /// The channel as a handler; `disconnect` ends the subscription.
    pub(super) fn into_handler(self, disconnect: impl Fn() + Send + Sync + 'static) -> Handler {
        Box::new(move |event| self.send(event.clone(), &disconnect).err().map(Box::new))
    }

    fn send(&self, event: Event, disconnect: &dyn Fn()) -> Result<(), Missed> {
        let event = match self.sender.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(Missed::Dropped),
            Err(TrySendError::Full(event)) => event,
        };
        match &self.full {
            Full::DropNewest => Err(Missed::Dropped),
            Full::DropOldest(waiting) => self.send_over(event, waiting),
            Full::Block(timeout) => self.sender.send_timeout(event, *timeout).map_err(|_| Missed::Dropped),
            Full::Disconnect => {
                self.overrun.store(true, Ordering::Release);
                disconnect();
                Err(Missed::Dropped)
            }
        }
    }

    /// Makes room and sends: what is given up are older events.
    fn send_over(&self, mut event: Event, waiting: &Receiver<Event>) -> Result<(), Missed> {
        let mut older = 0;
        loop {
            older += u64::from(waiting.try_recv().is_ok());
            match self.sender.try_send(event) {
                Err(TrySendError::Full(back)) => event = back,
                _ if older == 0 => return Ok(()),
                _ => return Err(Missed::Displaced(older)),
            }
        }
    }
}

/// The receiving end of a channel; dropping it unsubscribes.
#[must_use = "a channel ends when its receiver is dropped"]
pub struct EventReceiver {
    events: Receiver<Event>,
    ended: Receiver<()>,
    overrun: Arc<AtomicBool>,
    slot: Arc<Slot>,
    core: Weak<Core>,
}

impl EventReceiver {
    pub(super) fn new(
        events: Receiver<Event>,
        ended: Receiver<()>,
        overrun: Arc<AtomicBool>,
        slot: Arc<Slot>,
        core: &Arc<Core>,
    ) -> Self {
        Self { events, ended, overrun, slot, core: Arc::downgrade(core) }
    }

    /// Gives the subscription a name for statistics and logs; the first name stays.
    pub fn named(self, name: &str) -> Self {
        self.slot.set_name(name);
        self
    }

    /// Takes the next event, waiting for one.
    ///
    /// # Errors
    /// Once what waited is taken: `Closed` when the subscription ended, `Pruned` when it was ended
    /// by [`OnFull::Disconnect`].
    pub fn recv(&self) -> Result<Event> {
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(event);
            }
            select! {
                recv(self.events) -> event => if let Ok(event) = event { return Ok(event) },
                recv(self.ended) -> _ => {}
            }
        }
    }

    /// Takes the next event, waiting for at most `timeout`; `None` when none came.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Event>> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(Some(event));
            }
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            select! {
                recv(self.events) -> event => if let Ok(event) = event { return Ok(Some(event)) },
                recv(self.ended) -> _ => {}
                default(left) => return Ok(None),
            }
        }
    }

    /// Takes an event if one waits.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Event>> {
        // Looked at first: what was sent before the end is then seen below.
        let ended = matches!(self.ended.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
        match self.events.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(_) if ended => Err(self.end()),
            Err(_) => Ok(None),
        }
    }

    fn end(&self) -> Error {
        if self.overrun.load(Ordering::Acquire) {
            let problem = "channel: fell too far behind and was disconnected; later events were given up";
            return Error::new(ErrorKind::Pruned, problem);
        }
        Error::new(ErrorKind::Closed, "channel: its subscription has ended")
    }

    /// The events until the subscription ends, waiting for each. One that was too slow for
    /// [`OnFull::Disconnect`] gets that error as its last item.
    pub fn iter(&self) -> impl Iterator<Item = Result<Event>> + '_ {
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let item = self.recv();
            is_over = item.is_err();
            item.map_or_else(
                |error| (error.kind() != ErrorKind::Closed).then_some(Err(error)),
                |event| Some(Ok(event)),
            )
        })
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether no event waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many events were given up so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.slot.counts().dropped
    }

    /// What happened to the subscription's events so far.
    #[must_use]
    pub fn counts(&self) -> DeliveryCounts {
        self.core.upgrade().map_or_else(|| self.slot.counts(), |core| core.counts(&self.slot))
    }

    /// The subscription's id, for [`EventBus::unsubscribe`](crate::EventBus::unsubscribe).
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        self.slot.id
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.unsubscribe(self.slot.id);
        }
    }
}

impl fmt::Debug for EventReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReceiver").field("slot", &self.slot).field("waiting", &self.len()).finish()
    }
}
