// Reads the log for one filter: pages downwards, and what happens now on top.
import { get } from '../api.js';
import { connection, onEvents } from '../live.js';
import { isJumped, matcherOf, needsServer, placeOf } from './query.js';
import { listOf, ROWS_MAX, withHeld, withNewer, withOlder, withReleased } from './rows.js';

// How many events a page has.
const PAGE = 200;
// What only the server can decide is asked for at most this often.
const ASK_MS = 500;

// The last seq that this tab was handed, whoever read it.
let heard = 0;
onEvents((events) => {
  heard = events.at(-1).seq;
});
// Of another log, or another tenant's: places of the one before say nothing.
connection.subscribe(({ after }) => {
  if (after === null) heard = 0;
});

// Follows `filter`, and calls `draw(state)` with {list, error, isReading, lookedTo, index, opened}, once a
// frame at most while events come: `list` as rows.js has it, null before the first page; `lookedTo` the
// place down to which the log was looked through for something rare; `index` how far the search index has
// come; `opened` how often the log was read from its top.
export const openReader = (filter, draw) => {
  const isServed = needsServer(filter);
  const matches = matcherOf(filter);
  let state = { list: null, error: null, isReading: true, lookedTo: null, index: null, opened: 0 };
  let [isAtTop, isOpening] = [true, true];
  let arrived = [];
  let [frame, timer] = [null, null];
  let abort = new AbortController();
  // Of a filter that the server decides: up to where it has answered, and up to where there are events.
  let [seen, head, askedAt] = [0, 0, 0];

  const change = (changes) => {
    state = { ...state, ...changes };
    draw(state);
  };
  const ask = (place) => get('events', { ...filter, order: 'desc', format: 'brief', limit: PAGE, ...place }, { signal: abort.signal });
  const indexOf = (page) => (page.indexed_seq === undefined ? null : { indexed: page.indexed_seq, last: page.last_seq });
  const fail = (error) => error.name !== 'AbortError' && change({ error, isReading: false });

  // The distance that rows have moved goes on from that of the list before.
  const anew = (rows, older) => ({ ...listOf(rows, older), origin: state.list?.origin ?? 0 });

  // Older pages until one has rows: what is rare may be far down.
  const readFrom = async (before) => {
    change({ isReading: true, error: null });
    const { signal } = abort;
    let place = before;
    do {
      const page = await ask(place === null ? {} : { before: place });
      signal.throwIfAborted();
      place = placeOf(page.next);
      const list = isOpening ? anew(page.events, place) : withOlder(state.list, page.events, place);
      if (isOpening) change({ opened: state.opened + 1 });
      isOpening = false;
      change({ list, lookedTo: page.events.length ? null : place, index: indexOf(page) ?? state.index });
      if (page.events.length) break;
    } while (place !== null);
    change({ isReading: false });
  };
  const begin = async () => {
    abort.abort();
    abort = new AbortController();
    isOpening = true;
    seen = Math.max(connection.get().after, heard);
    try {
      await readFrom(null);
      if (state.index) [seen, head] = [Math.min(seen, state.index.indexed), Math.max(head, state.index.last)];
      seen = Math.max(seen, state.list.rows[0]?.seq ?? 0);
      flush();
      if (isServed && seen < head && !isJumped(filter)) wake();
    } catch (error) {
      fail(error);
    }
  };

  // Puts what has arrived on top, or keeps it for a reader who is further down.
  const flush = () => {
    frame = null;
    if (isOpening || !arrived.length) return;
    const list = (isAtTop ? withNewer : withHeld)(state.list, arrived);
    arrived = [];
    if (list !== state.list) change({ list });
  };
  const arrive = (events) => {
    arrived = arrived.length ? [...arrived, ...events].slice(-ROWS_MAX) : events;
    frame ??= requestAnimationFrame(flush);
  };

  const wake = () => {
    timer ??= setTimeout(catchUp, Math.max(0, askedAt + ASK_MS - Date.now()));
  };
  // Asks for what is new. More than a page of it is read like a log that is opened.
  const catchUp = async () => {
    timer = null;
    askedAt = Date.now();
    // A tab that nobody looks at asks nothing.
    if (state.isReading || document.hidden) return wake();
    // The log could not be opened; when it is, this is woken.
    if (isOpening) return undefined;
    const { signal } = abort;
    const upTo = head;
    try {
      const page = await ask({ after: seen });
      signal.throwIfAborted();
      const index = indexOf(page);
      seen = Math.max(seen, index ? Math.min(upTo, index.indexed) : upTo, page.events[0]?.seq ?? 0);
      if (index) change({ index });
      if (page.next === null) arrive(page.events.reverse());
      else if (isAtTop && !state.list.isPast) {
        abort.abort();
        abort = new AbortController();
        change({ list: anew(page.events, placeOf(page.next)), isReading: false });
      } else change({ list: withHeld(state.list, page.events.reverse(), false) });
    } catch (error) {
      // What was not read is gone: the log is opened anew. Everything else is tried with the next events,
      // or when the server is back.
      if (error.status === 410) begin();
      return undefined;
    }
    return seen < head ? wake() : undefined;
  };

  const end = isJumped(filter)
    ? () => {}
    : onEvents((events) => {
        head = Math.max(head, events.at(-1).seq);
        if (isServed) return wake();
        const wanted = events.filter(matches);
        return wanted.length ? arrive(wanted) : undefined;
      });
  const endState = connection.subscribe(({ connection: now }) => {
    if (now !== 'live') return;
    if (state.error) again();
    else if (isServed && seen < head) wake();
  });
  const atTop = (is) => {
    isAtTop = is;
    if (!is || !state.list?.heldCount || isOpening) return;
    if (state.list.isHeldWhole) change({ list: withReleased(state.list) });
    else begin();
  };
  const more = () => {
    if (state.list?.older && !state.isReading && !isOpening) readFrom(state.list.older).catch(fail);
  };
  // After an error: what is on the page stays there.
  const again = () => (isOpening ? begin() : more());
  begin();
  return {
    again,
    more: () => !state.error && more(),
    // Says whether the reader is at the top, where new rows are seen.
    atTop,
    // Shows what is new, wherever the reader is.
    toTop: () => (state.list?.isPast ? begin() : atTop(true)),
    close: () => {
      end();
      endState();
      abort.abort();
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    },
  };
};
