// Reads a plan with all that belongs to it, page by page, and takes in what happens meanwhile and after,
// each event once. It knows neither the page nor the network: both are given to it.
import { encoded, isFolder } from '../parts/encoded.js';
import { createModel, take, unread } from './model.js';
import { step } from './summary.js';

const PAGE = 1_000;
// So many events are read before the reader is asked.
export const EVENTS_STEP = 50_000;
// What happens while older events are read waits; of more than this, the log is asked again.
const HELD_MAX = 20_000;
// Subplans of recorded runs may stand under other correlation ids; so many are looked for.
const CORRELATIONS_MAX = 64;
// Ancestors that the breadcrumb names.
const ANCESTORS_MAX = 16;

// What the server says of a plan; of one that no URL leads to, what its first event says.
const named = async (get, id, options) => {
  if (!isFolder(id)) return get(`plans/${encoded(id)}`, {}, options);
  const { events: [first] } = await get('events', { plan: id, limit: 1, format: 'brief' }, options);
  if (!first) throw Object.assign(new Error('there is no such plan'), { status: 404 });
  return { plan_id: id, first_seq: first.seq, correlation_id: first.correlation_id };
};

const ancestorsOf = async (get, plan, options) => {
  const found = [];
  const seen = new Set([plan.plan_id]);
  for (let id = plan.parent; id && !seen.has(id) && found.length < ANCESTORS_MAX; ) {
    seen.add(id);
    let above = null;
    try {
      above = await named(get, id, options);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
    found.unshift(above ?? { plan_id: id, goal: null });
    id = above?.parent;
  }
  return found;
};

// A reader of one plan. It asks by `get(path, params, options)` and `getNext(next, options)`, is told what
// happens by `onEvents(listener)`, and calls `tell(changes)` with what is new of {model, plan, ancestors,
// isReading, isCapped, error}.
export const openReader = (planId, { get, getNext, onEvents }, tell) => {
  const abort = new AbortController();
  const options = { signal: abort.signal };
  const correlations = new Set();
  const wanted = [];
  let model = createModel();
  let limit = EVENTS_STEP;
  let first = null;
  // As the server has it, kept up with what happens: it tells how the plan stands while events are unread.
  let plan = null;
  let isReading = false;
  let hasFailed = false;
  let held = [];
  let isHeldWhole = true;

  const add = (events) => {
    model = take(model, events);
    tell({ model });
  };
  const want = (params) => wanted.push({ params: { ...params, format: 'brief', limit: PAGE }, next: null });
  const wantCorrelation = (id) => {
    if (correlations.has(id) || correlations.size >= CORRELATIONS_MAX) return;
    correlations.add(id);
    want({ correlation: id, after: first });
  };
  // What the log took since the last event that is known.
  const wantRest = () => {
    if (correlations.size === 0) want({ plan: planId, after: model.lastSeq });
    for (const id of correlations) want({ correlation: id, after: model.lastSeq });
  };

  const readHead = async () => {
    plan = await named(get, planId, options);
    first = plan.first_seq - 1;
    if (plan.correlation_id) wantCorrelation(plan.correlation_id);
    else want({ plan: planId, after: first });
    if (plan.status) tell({ plan });
    ancestorsOf(get, plan, options).then((ancestors) => tell({ ancestors }), () => {});
  };
  const readPages = async () => {
    while (wanted.length && model.events.length < limit) {
      const [query] = wanted;
      const page = await (query.next ? getNext(query.next, options) : get('events', query.params, options));
      add(page.events);
      query.next = page.next;
      if (!page.next) wanted.shift();
      if (!wanted.length) unread(model, correlations).forEach(wantCorrelation);
    }
  };
  // What was held, or null where not all of it was.
  const drop = () => {
    const events = isHeldWhole ? held : null;
    held = [];
    isHeldWhole = true;
    return events;
  };
  // What happened meanwhile comes behind what was read.
  const takeHeld = async () => {
    while (!wanted.length && (held.length || !isHeldWhole)) {
      const events = drop();
      if (events) add(events);
      else wantRest();
      await readPages();
    }
    drop();
  };
  // What was read was removed meanwhile: the next try begins where the log begins now.
  const forget = () => {
    first = null;
    wanted.length = 0;
    correlations.clear();
    drop();
    model = createModel();
  };
  const run = async () => {
    isReading = true;
    hasFailed = false;
    tell({ isReading, isCapped: false, error: null });
    try {
      if (first === null) await readHead();
      await readPages();
      await takeHeld();
      isReading = false;
      tell({ isReading, isCapped: wanted.length > 0 });
    } catch (error) {
      isReading = false;
      if (error.name === 'AbortError') return;
      hasFailed = true;
      if (error.status === 410) forget();
      tell({ isReading, error });
    }
  };

  const isOurs = (event) => event.plan_id === planId || correlations.has(event.correlation_id) || model.plans.has(event.plan_id);
  const onBatch = (batch) => {
    const events = batch.filter(isOurs);
    if (!events.length) return;
    if (plan?.status) {
      plan = events.filter((event) => event.plan_id === planId).reduce(step, plan);
      tell({ plan });
    }
    if (isReading) {
      isHeldWhole &&= held.length + events.length <= HELD_MAX;
      if (isHeldWhole) held.push(...events);
    } else if (first === null) {
      // It was not there before.
      run();
    } else if (!wanted.length) {
      add(events);
      if (model.events.length < limit) return;
      wantRest();
      tell({ isCapped: true });
    }
  };
  const endEvents = onEvents(onBatch);
  run();
  return {
    more: () => {
      limit = model.events.length + EVENTS_STEP;
      if (!isReading) run();
    },
    again: () => isReading || run(),
    // After an error; without one there is nothing to go on with.
    goOn: () => hasFailed && !isReading && run(),
    close: () => {
      endEvents();
      abort.abort();
    },
  };
};
