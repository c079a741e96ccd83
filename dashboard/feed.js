// Follows the log of one tenant by one EventSource, and hands what comes to whoever listens, in batches.
// Runs in the worker that all tabs share, and in the page where there is no such worker.
import { parseExact } from './parts/exact.js';

// What waits is handed on this often: a screen shows no more.
const BATCH_MS = 100;
// How long a source that the server refused is left alone, at first and at most.
const RETRY_MS = 500;
const RETRY_MAX_MS = 8_000;

// A feed: `state` is {connection: 'connecting' | 'live' | 'cut' | 'refused', status, since}; `listen`
// gives what ends it. Listeners are handed {type: 'state'}, {type: 'events'} and {type: 'gap'} messages.
export const openFeed = (base, tenant) => {
  const listeners = new Set();
  const at = (path, params) => {
    const target = new URL(path, base);
    if (tenant !== 'default') target.searchParams.set('tenant', tenant);
    for (const [name, value] of Object.entries(params)) target.searchParams.set(name, value);
    return target;
  };
  let closed = false;
  let state = { connection: 'connecting', status: 0, since: Date.now(), after: null };
  let source = null;
  let waiting = [];
  let timer = null;
  let retry = null;
  let delay = RETRY_MS;

  const tell = (message) => {
    for (const listener of [...listeners]) listener(message);
  };
  const become = (connection, status = 0) => {
    if (state.connection === connection && state.status === status) return;
    state = { ...state, connection, status, since: Date.now() };
    tell({ type: 'state', state });
  };
  const flush = () => {
    clearTimeout(timer);
    timer = null;
    if (!waiting.length) return;
    const events = waiting;
    waiting = [];
    tell({ type: 'events', events });
  };

  // Where the log ends now; all behind it will be handed on, once.
  const begin = async () => {
    retry = null;
    try {
      const response = await fetch(at('events', { order: 'desc', limit: 1, format: 'brief' }), { credentials: 'same-origin' });
      if (!response.ok) return refused(response.status);
      const page = await response.json();
      if (state.after === null) state = { ...state, after: page.events[0]?.seq ?? 0 };
    } catch {
      return later('cut');
    }
    follow();
  };
  const refused = (status) => (status === 401 || status === 403 ? become('refused', status) : later('cut', status));
  const later = (connection, status) => {
    become(connection, status);
    if (retry || closed) return;
    retry = setTimeout(begin, delay);
    delay = Math.min(delay * 2, RETRY_MAX_MS);
  };

  const follow = () => {
    if (closed) return;
    source?.close();
    source = new EventSource(at('events/stream', { format: 'brief', after: state.after }));
    source.onopen = () => {
      delay = RETRY_MS;
      become('live');
    };
    source.onmessage = ({ data }) => {
      const event = parseExact(data);
      // A source that comes again by itself begins behind the last id; nothing is handed on twice.
      if (event.seq <= state.after) return;
      state = { ...state, after: event.seq };
      waiting.push(event);
      timer ??= setTimeout(flush, BATCH_MS);
    };
    source.addEventListener('Gap', ({ data }) => {
      flush();
      const gap = JSON.parse(data);
      // Also back, where the log is another one than before.
      state = { ...state, after: gap.oldest_seq - 1 };
      tell({ type: 'gap', gap });
    });
    // What the browser would try again by itself is begun anew too: only a request of our own can tell a
    // server that is away from a session that has ended.
    source.onerror = () => {
      source.close();
      flush();
      later('cut');
    };
  };

  begin();
  return {
    state: () => state,
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    // Tries again at once, as after signing in.
    retry: () => {
      clearTimeout(retry);
      delay = RETRY_MS;
      if (state.connection !== 'live') begin();
    },
    close: () => {
      closed = true;
      clearTimeout(retry);
      clearTimeout(timer);
      source?.close();
    },
  };
};
