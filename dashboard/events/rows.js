// The rows of the log that are on the page, the newest first: what comes on top, what is read below, and
// what waits while the reader is further down. Pure: lists come in and go out.

// So many rows are kept. Beyond it the oldest go where new ones come, the newest where older ones are read.
export const ROWS_MAX = 20_000;
// So many new events wait for a reader who is further down; of more than that only the number is known.
export const HELD_MAX = 2_000;

// `older` is the place where the next page begins, null at the log's beginning; `origin` counts the rows
// that were taken from the top less those that were put there, so that a list knows how far rows moved;
// `isPast` says that the top of the list is no longer the newest event; `held` waits, all of it where
// `isHeldWhole`.
const NOTHING_HELD = { held: [], heldCount: 0, isHeldWhole: true };
export const listOf = (rows, older) => ({ rows, older, isPast: false, origin: 0, ...NOTHING_HELD });

const newestOf = ({ rows, held }) => held.at(-1)?.seq ?? rows[0]?.seq ?? 0;

// Events in the order of the log come on top; those that are there already do not come again.
export const withNewer = (list, events) => {
  const fresh = events.filter(({ seq }) => seq > newestOf(list));
  if (!fresh.length || list.isPast) return list;
  const rows = [...fresh.toReversed(), ...list.rows];
  if (rows.length <= ROWS_MAX) return { ...list, rows, origin: list.origin - fresh.length };
  const kept = rows.slice(0, ROWS_MAX);
  return { ...list, rows: kept, older: kept.at(-1).seq, origin: list.origin - fresh.length };
};

// A page of older events comes below.
export const withOlder = (list, events, older) => {
  const oldest = list.rows.at(-1)?.seq ?? Infinity;
  const rows = [...list.rows, ...events.filter(({ seq }) => seq < oldest)];
  const excess = rows.length - ROWS_MAX;
  if (excess <= 0) return { ...list, rows, older };
  return { ...list, rows: rows.slice(excess), older, isPast: true, origin: list.origin + excess, ...NOTHING_HELD };
};

// Events wait until the reader comes back to the top; `isAll` where they are all that there are. Of those
// that are not, and of too many, the last stays: it says what is new.
export const withHeld = (list, events, isAll = true) => {
  const newest = newestOf(list);
  const fresh = events.filter(({ seq }) => seq > newest);
  if ((!fresh.length && isAll) || list.isPast) return list;
  const heldCount = list.heldCount + Math.max(fresh.length, 1);
  const held = [...list.held, ...fresh];
  const isHeldWhole = list.isHeldWhole && isAll && heldCount <= HELD_MAX;
  return { ...list, heldCount, isHeldWhole, held: isHeldWhole ? held : held.slice(-1) };
};

export const withReleased = (list) => withNewer({ ...list, ...NOTHING_HELD }, list.held);

// The place of an event in the rows, or -1: they are in order, so that no row is looked at in vain.
export const placeOfSeq = (rows, seq) => {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle].seq > seq) low = middle + 1;
    else high = middle;
  }
  return rows[low]?.seq === seq ? low : -1;
};
