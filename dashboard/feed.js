// Follows the log of one tenant by one EventSource, and hands what comes to whoever listens, in batches.
// Runs in the worker that all tabs share, and in the page where there is no such worker.
import { parseExact } from './parts/exact.js';

// What waits is handed on this often: a screen shows no more.
const BATCH_MS = 100;
// How long a source that the server refused is left alone, at first and at most.
const RETRY_MS = 500;
const RETRY_MAX_MS = 8_000;
// An answer that has not begun by then does not come.
const ANSWER_MS = 10_000;
// A stream that is as silent is looked after: a connection may be gone without either side being told.
const SILENCE_MS = 15_000;

// A feed: `state` is {connection: 'connecting' | 'live' | 'cut' | 'refused', status, since}; `listen`
// gives what ends it. Listeners are handed {type: 'state'}, {type: 'events'} and {type: 'gap'} messages; a
// gap without a place says that another log stands where one was followed.
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
  // The id of the event at `after`, which tells one log from another; and when the source was last heard.
  let lastId = null;
  let heardAt = 0;

  const tell = (message) => {
    if (closed) return;
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

  const ask = (params) =>
    fetch(at('events', { limit: 1, format: 'brief', ...params }), { credentials: 'same-origin', signal: AbortSignal.timeout(ANSWER_MS) });
  const begin = async () => {
    retry = null;
    try {
      if (!(await (state.after === null ? start() : goOn()))) return;
    } catch {
      return later('cut');
    }
    follow();
  };
  // Where the log ends now; all behind it will be handed on, once.
  const start = async () => {
    const response = await ask({ order: 'desc' });
    if (!response.ok) return refused(response.status);
    const [last] = (await response.json()).events;
    if (state.after === null) {
      state = { ...state, after: last?.seq ?? 0 };
      lastId = last?.event_id ?? null;
      tell({ type: 'state', state });
    }
    return true;
  };
  // Whether the log is the one that was followed: its place alone does not tell. Of a place that is not
  // in the log the stream itself tells, by a gap.
  const goOn = async () => {
    const response = await ask({ after: Math.max(0, state.after - 1) });
    if (response.status === 400 || response.status === 410) return true;
    if (!response.ok) return refused(response.status);
    const [event] = (await response.json()).events;
    const isOther = lastId !== null && event?.seq === state.after && event.event_id !== lastId;
    if (!isOther) return true;
    anew();
    return start();
  };
  // Another log stands where one was followed: whoever listens reads all of it again, and is told why.
  const anew = () => {
    flush();
    state = { ...state, after: null };
    lastId = null;
    tell({ type: 'state', state });
    tell({ type: 'gap', gap: { after_seq: null, oldest_seq: null } });
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
    heardAt = Date.now();
    source = new EventSource(at('events/stream', { format: 'brief', after: state.after }));
    source.onopen = () => {
      delay = RETRY_MS;
      heardAt = Date.now();
      become('live');
    };
    source.onmessage = ({ data }) => {
      const event = parseExact(data);
      heardAt = Date.now();
      // A source that comes again by itself begins behind the last id; nothing is handed on twice.
      if (event.seq <= state.after) return;
      state = { ...state, after: event.seq };
      lastId = event.event_id;
      waiting.push(event);
      timer ??= setTimeout(flush, BATCH_MS);
    };
    source.addEventListener('Gap', ({ data }) => {
      flush();
      const gap = JSON.parse(data);
      heardAt = Date.now();
      if (gap.after_seq === null) {
        // The place is none of this log.
        end();
        anew();
        begin();
        return;
      }
      state = { ...state, after: gap.oldest_seq - 1 };
      lastId = null;
      tell({ type: 'gap', gap });
    });
    // What the browser would try again by itself is begun anew too: only a request of our own can tell a
    // server that is away from a session that has ended.
    source.onerror = cut;
  };
  const end = () => {
    source?.close();
    source = null;
  };
  const cut = () => {
    end();
    flush();
    later('cut');
  };
  // Whether the log has what the source should have handed on, or is another one.
  const hasMore = (last) => last && (last.seq > state.after || (last.seq === state.after && lastId !== null && last.event_id !== lastId));
  // A source that says nothing may have nothing to say, or nobody to say it.
  const lookAfter = async () => {
    const isSilent = () => source && Date.now() - heardAt >= SILENCE_MS;
    if (!isSilent()) return;
    if (state.connection !== 'live') return cut();
    const looked = source;
    let isCut;
    try {
      const response = await ask({ order: 'desc' });
      isCut = response.ok ? hasMore((await response.json()).events[0]) : [401, 403].includes(response.status);
    } catch {
      isCut = true;
    }
    if (isCut && source === looked && isSilent()) cut();
  };
  const care = setInterval(lookAfter, SILENCE_MS);

  begin();
  return {
    state: () => state,
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    // Tries again at once, as after signing in.
    retry: () => {
      if (state.connection === 'live') return;
      clearTimeout(retry);
      delay = RETRY_MS;
      // Who is refused again is told again.
      if (state.connection === 'refused') become('connecting');
      begin();
    },
    close: () => {
      closed = true;
      clearInterval(care);
      clearTimeout(retry);
      clearTimeout(timer);
      source?.close();
    },
  };
};
