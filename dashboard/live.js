// What happens now: the connection of this tab to the feed of its tenant.
import { openFeed } from './feed.js';
import { createStore } from './store.js';

const ALIVE_MS = 30_000;
// Which messages tab and worker exchange: a tab of another kind has a worker of its own.
const MESSAGES = 1;
// A worker that does not answer in this time is gone, with the tab that it lived in.
const WORKER_SILENCE_MS = 150_000;
const listeners = new Set();
const base = document.baseURI;

// {connection, status, since, after}: `after` is the seq behind which every event is handed to this tab;
// null until the server has answered once.
export const connection = createStore({ connection: 'connecting', status: 0, since: Date.now(), after: null });
// What retention took before this tab could be told of it: {after_seq, oldest_seq}, or null. Both are null
// where another log stands in the place of the one that was followed.
export const gap = createStore(null);

// Whether what comes is held back, and how many events are.
export const isPaused = createStore(false);
export const heldCount = createStore(0);
// Changes when a view must read all it shows again: events were left out before this tab was told.
export const epoch = createStore(0);

// More than this is not held: with the pause the views read again what they show.
const HELD_MAX = 20_000;
let held = [];

const hand = (events) => {
  for (const listener of [...listeners]) listener(events);
};
const take = (message) => {
  if (message.type === 'state') {
    if (message.state.after === null) drop();
    connection.set(message.state);
  }
  if (message.type === 'gap') {
    // What is held is read again with all else.
    drop();
    gap.set(message.gap);
    epoch.set((now) => now + 1);
  }
  if (message.type !== 'events') return;
  if (!isPaused.get()) return hand(message.events);
  heldCount.set((before) => before + message.events.length);
  if (heldCount.get() <= HELD_MAX) held.push(...message.events);
};
const drop = () => {
  held = [];
  heldCount.set(0);
};

export const setPaused = (paused) => {
  isPaused.set(paused);
  if (paused) return;
  const [events, isWhole] = [held, heldCount.get() <= HELD_MAX];
  drop();
  if (!isWhole) epoch.set((now) => now + 1);
  else if (events.length) hand(events);
};

// The browser lets a text become the address of a script by a policy alone: this one lets one pass.
let workerUrl = null;
const addressOfWorker = () => {
  const target = new URL('assets/worker.js', base).toString();
  if (!globalThis.trustedTypes) return target;
  const policy = trustedTypes.createPolicy('planbus', {
    createScriptURL: (text) => {
      if (text === target) return text;
      throw new TypeError('only the worker of the page');
    },
  });
  return policy.createScriptURL(target);
};

const shared = () => {
  workerUrl ??= addressOfWorker();
  const worker = new SharedWorker(workerUrl, { type: 'module', name: `planbus ${MESSAGES} ${base}` });
  const { port } = worker;
  let heard = Date.now();
  let alive = null;
  const close = () => {
    clearInterval(alive);
    port.postMessage({ type: 'leave' });
    port.close();
  };
  const instead = (open) => {
    close();
    follower = open();
    rejoin();
  };
  port.onmessage = ({ data }) => {
    heard = Date.now();
    if (data.type === 'dropped') rejoin();
    // What was on its way when this tab went to another tenant is not for it.
    else if (data.tenant === joined) take(data);
  };
  // Its script did not come: this tab follows by itself.
  worker.onerror = () => instead(own);
  alive = setInterval(() => {
    if (Date.now() - heard > WORKER_SILENCE_MS) instead(shared);
    else port.postMessage({ type: 'alive' });
  }, ALIVE_MS);
  return {
    join: (tenant) => port.postMessage({ type: 'join', base, tenant }),
    retry: () => port.postMessage({ type: 'retry' }),
    leave: () => port.postMessage({ type: 'leave' }),
  };
};

const own = () => {
  let feed = null;
  return {
    join: (tenant) => {
      feed?.close();
      feed = openFeed(base, tenant);
      feed.listen(take);
      take({ type: 'state', state: feed.state() });
    },
    retry: () => feed?.retry(),
    leave: () => feed?.close(),
  };
};

// There may be such workers, and none for this page: a browser that keeps nothing refuses them.
const open = () => {
  try {
    return globalThis.SharedWorker ? shared() : own();
  } catch {
    return own();
  }
};

let follower = null;
let joined = null;

// Begins anew: the views read all they show when it is known where the log ends.
const rejoin = () => {
  drop();
  connection.set({ connection: 'connecting', status: 0, since: Date.now(), after: null });
  follower.join(joined);
};

// Follows a tenant from now on.
export const join = (tenant) => {
  if (joined === tenant) return;
  joined = tenant;
  gap.set(null);
  follower ??= open();
  rejoin();
};
addEventListener('pagehide', () => follower?.leave());
// A page that comes back as it was left has missed what happened since.
addEventListener('pageshow', ({ persisted }) => persisted && follower && rejoin());

export const retry = () => follower?.retry();

// Calls `listener()` whenever the connection is there again; gives what ends it.
export const onBack = (listener) => {
  let before = connection.get().connection;
  return connection.subscribe(({ connection: now }) => {
    const isBack = now === 'live' && before !== 'live';
    before = now;
    if (isBack) listener();
  });
};

// Calls `listener(events)` with each batch, in the order of the log; gives what ends it.
export const onEvents = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
