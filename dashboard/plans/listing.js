// The rows of a list of plans: read page by page, and kept up with what happens. Knows neither the page
// nor the server: `read(next, signal)` asks for a page, the first where next is null.
import { follow } from './summary.js';

// More rows are not kept: older plans are found by search.
const ROWS_MAX = 20_000;
// What happens while a page is read is put on it when it comes. Of more, the list is read again.
const MEANWHILE_MAX = 20_000;
// A list of plans in one state is read again this long after plans turned.
const REFRESH_MS = 500;

const TURNS = ['PlanStarted', 'PlanCompleted', 'PlanFailed'];

// A listing calls `draw({rows, next, error, isReading})`: rows is null before the first page. `isWanted`
// says whether a plan belongs to it; `isPartial`, whether plans come to belong to it later;
// `isHidden`, whether nobody sees it now.
export const openListing = ({ read, isWanted, isPartial, isHidden = () => false }, draw) => {
  let state = { rows: null, next: null, error: null, isReading: false };
  let meanwhile = [];
  let isTold = true;
  let timer = null;
  let abort = new AbortController();

  const change = (changes) => {
    state = { ...state, ...changes };
    draw(state);
  };
  // A page may be from before what this tab has been told since it was asked for.
  const pageFrom = async (next) => {
    const { signal } = abort;
    meanwhile = [];
    isTold = true;
    change({ isReading: true, error: null });
    let page = await read(next, signal);
    // What is rare may be farther down.
    while (!page.plans.length && page.next) page = await read(page.next, signal);
    signal.throwIfAborted();
    return page;
  };
  // What failed is what is tried again.
  let again = () => begin();
  const attempt = async (whole, step) => {
    try {
      await step();
    } catch (error) {
      if (error.name === 'AbortError') return;
      again = whole;
      change({ isReading: false, error });
    }
  };
  const begin = () => attempt(begin, async () => {
    abort.abort();
    abort = new AbortController();
    const page = await pageFrom(null);
    const last = page.plans.at(-1)?.first_seq ?? 0;
    // Rows below the page stay, where it is the top of the same list.
    const older = page.next && state.rows ? state.rows.filter((plan) => plan.first_seq < last) : [];
    const rows = follow([...page.plans, ...older], meanwhile, isWanted);
    change({ rows: keep(rows), next: older.length ? state.next : page.next, isReading: false });
    if (!isTold) begin();
  });
  const more = () => attempt(more, async () => {
    const page = await pageFrom(state.next);
    // A plan that began again came on top as a new one: its place, and all that it did before, are here.
    const own = new Set(page.plans.map((plan) => plan.plan_id));
    const rows = [...state.rows.filter((plan) => !own.has(plan.plan_id)), ...follow(page.plans, meanwhile, () => false)];
    change({ rows: keep(rows), next: page.next, isReading: false });
    if (!isTold) begin();
  });
  const keep = (rows) => (isPartial ? rows.filter(isWanted) : rows).slice(0, ROWS_MAX);

  const refresh = () => {
    timer = null;
    if (state.isReading || isHidden()) later();
    else begin();
  };
  const later = () => {
    timer ??= setTimeout(refresh, REFRESH_MS);
  };
  return {
    begin,
    // Reads the page below the last row.
    more: () => {
      if (state.next && !state.isReading && !state.error && state.rows.length < ROWS_MAX) more();
    },
    again: () => again(),
    // After an error, when the server is back.
    goOn: () => state.error && again(),
    take: (events) => {
      if (state.isReading && isTold) {
        isTold = meanwhile.length + events.length <= MEANWHILE_MAX;
        if (isTold) meanwhile.push(...events);
      }
      // A plan that this list left out may belong there now: only the server knows all of it.
      if (isPartial && events.some((event) => TURNS.includes(event.event_type))) later();
      if (!state.rows) return;
      const rows = follow(state.rows, events, isWanted);
      if (rows !== state.rows) change({ rows: keep(rows) });
    },
    close: () => {
      clearTimeout(timer);
      abort.abort();
    },
  };
};
