// How a plan is read page by page while more happens: `plans/reader.js`, over a log in memory.
import assert from 'node:assert/strict';
import test from 'node:test';
import { EVENTS_STEP, openReader } from '../../../dashboard/plans/reader.js';
import { log } from './plan_events.mjs';

// A log that answers as the server does; `pass(request)` may hold an answer up or refuse it.
const serverOf = (events, plans, pass = async () => {}) => {
  const listeners = new Set();
  const asked = [];
  const answer = async (query) => {
    asked.push(query);
    await pass(query);
    const found = events.filter((event) => event.seq > query.after
      && (query.correlation === undefined || event.correlation_id === query.correlation) && (query.plan === undefined || event.plan_id === query.plan));
    const page = found.slice(0, query.limit);
    return { events: page, next: found.length > page.length ? JSON.stringify({ ...query, after: page.at(-1).seq }) : null };
  };
  return {
    asked,
    publish: (...batch) => {
      events.push(...batch);
      for (const listener of [...listeners]) listener(batch);
    },
    get: async (path, params) => {
      if (path === 'events') return answer(params);
      const plan = plans[decodeURIComponent(path.slice('plans/'.length))];
      if (!plan) throw Object.assign(new Error('there is no such plan'), { status: 404 });
      return plan;
    },
    getNext: (next) => answer(JSON.parse(next)),
    onEvents: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

// The state of a reader, and a way to wait until it is as `is` says.
const reading = (planId, server) => {
  const state = {};
  let waiting = [];
  const reader = openReader(planId, server, (told) => {
    Object.assign(state, told);
    waiting = waiting.filter(({ is, done }) => !is(state) || done());
  });
  const until = (is) => new Promise((done) => (is(state) ? done() : waiting.push({ is, done })));
  return { state, reader, until, atRest: () => until(({ isReading }) => isReading === false) };
};
const seqs = ({ model }) => model.events.map(({ seq }) => seq);
const head = (id, more = {}) => ({ plan_id: id, correlation_id: id, parent: null, first_seq: 1, ...more });
const steps = (event, planId, count, more) => Array.from({ length: count }, () => event('note', planId, {}, more));

test('a plan is read to its end, page by page, each event once', async () => {
  const event = log();
  const { state, atRest } = reading('p', serverOf([event('PlanStarted', 'p', {}), ...steps(event, 'p', 2_500)], { p: head('p') }));
  await atRest();
  assert.equal(state.model.events.length, 2_501);
  assert.equal(state.isCapped, false);
  assert.equal(state.error, null);
});

test('what happens while it is read comes behind what was there, none twice and none lost', async () => {
  const event = log();
  const before = [event('PlanStarted', 'p', {}), ...steps(event, 'p', 1_500)];
  let server = null;
  let pages = 0;
  const pass = async () => {
    pages += 1;
    // Before each answer: in the page too, or only told.
    if (pages <= 2) server.publish(event('note', 'p', {}), event('note', 'other', {}), event('note', 'p/a', {}, { correlation_id: 'p' }));
  };
  server = serverOf(before, { p: head('p') }, pass);
  const { state, atRest } = reading('p', server);
  await atRest();
  server.publish(event('PlanCompleted', 'p', {}));
  const wanted = before.filter(({ correlation_id: id }) => id === 'p').map(({ seq }) => seq);
  assert.deepEqual(seqs(state), wanted);
  assert.equal(wanted.length, 1_501 + 4 + 1);
});

test('of more than can be held while it is read the log is asked', async () => {
  const event = log();
  const events = [event('PlanStarted', 'p', {})];
  let server = null;
  let pages = 0;
  const pass = async () => {
    pages += 1;
    // Behind what the page of this request is about to give.
    if (pages === 1) queueMicrotask(() => queueMicrotask(() => server.publish(...steps(event, 'p', 20_001))));
  };
  server = serverOf(events, { p: head('p') }, pass);
  const { state, atRest } = reading('p', server);
  await atRest();
  assert.equal(state.model.events.length, 20_002);
});

test('a subplan is read from its own first event, and its ancestors are named', async () => {
  const event = log();
  const events = [event('PlanStarted', 'r', {}), ...steps(event, 'r', 9), event('PlanStarted', 'r/a', { parent: 'r' }, { correlation_id: 'r' })];
  const server = serverOf(events, { r: head('r', { goal: 'all' }), 'r/a': head('r/a', { correlation_id: 'r', parent: 'r', first_seq: 11 }) });
  const { state, until, atRest } = reading('r/a', server);
  await atRest();
  await until(({ ancestors }) => ancestors?.length > 0);
  assert.deepEqual(seqs(state), [11]);
  assert.deepEqual(state.ancestors.map(({ goal }) => goal), ['all']);
});

test('ancestors that go round in a circle or are not in the log do not hold it up', async () => {
  const event = log();
  const server = serverOf([event('PlanStarted', 'a', {})], { a: head('a', { parent: 'b' }), b: head('b', { parent: 'gone' }) });
  const one = reading('a', server);
  await one.until(({ ancestors }) => ancestors?.length === 2);
  assert.deepEqual(one.state.ancestors.map((plan) => plan.plan_id), ['gone', 'b']);
  const round = reading('a', serverOf([event('PlanStarted', 'a', {})], { a: head('a', { parent: 'b' }), b: head('b', { parent: 'a' }) }));
  await round.until(({ ancestors }) => ancestors?.length === 1);
});

test('subplans that recorded runs have under other correlation ids are found', async () => {
  const event = log();
  const events = [
    event('PlanStarted', 'r', {}),
    event('SubplanSpawned', 'r', { subplan: 'a' }),
    event('SubplanSpawned', 'a', { subplan: 'b' }, { correlation_id: 'r' }),
    event('ToolCalled', 'b', { call_id: '1', tool: 'x' }, { correlation_id: 'a' }),
    event('PlanCompleted', 'r', {}),
  ];
  const { state, atRest } = reading('r', serverOf(events, { r: head('r') }));
  await atRest();
  assert.deepEqual(seqs(state), [1, 2, 3, 4, 5]);
  assert.equal(state.model.plans.get('b').items.length, 1);
});

test('a plan without a correlation id is read by its own', async () => {
  const event = log();
  const server = serverOf([event('note', 'p', {}, { correlation_id: undefined }), event('note', 'q', {}, { correlation_id: undefined })], { p: head('p', { correlation_id: null }) });
  const { state, atRest } = reading('p', server);
  await atRest();
  server.publish(event('note', 'p', {}, { correlation_id: undefined }), event('note', 'q', {}, { correlation_id: undefined }));
  assert.deepEqual(seqs(state), [1, 3]);
});

test('more events than the step wait until the reader asks, and nothing is left out between', async () => {
  const event = log();
  const server = serverOf([event('PlanStarted', 'p', {}), ...steps(event, 'p', EVENTS_STEP + 10)], { p: head('p') });
  const { state, reader, until, atRest } = reading('p', server);
  await atRest();
  assert.equal(state.isCapped, true);
  assert.equal(state.model.events.length, EVENTS_STEP);
  server.publish(event('note', 'p', {}));
  assert.equal(state.model.events.length, EVENTS_STEP);
  reader.more();
  await until(({ isReading, isCapped }) => !isReading && !isCapped);
  assert.equal(state.model.events.length, EVENTS_STEP + 12);
  server.publish(event('PlanCompleted', 'p', {}));
  assert.equal(state.model.events.length, EVENTS_STEP + 13);
});

test('a plan that goes on for long is not followed without end, and what was left out is read when asked for', async () => {
  const event = log();
  const server = serverOf([event('PlanStarted', 'p', {})], { p: head('p') });
  const { state, reader, until, atRest } = reading('p', server);
  await atRest();
  server.publish(...steps(event, 'p', EVENTS_STEP));
  assert.equal(state.isCapped, true);
  server.publish(event('note', 'p', {}));
  assert.equal(state.model.events.length, EVENTS_STEP + 1);
  reader.more();
  await until(({ isReading, isCapped }) => !isReading && !isCapped);
  assert.equal(state.model.events.length, EVENTS_STEP + 2);
});

test('how a plan stands is kept up while not all of it is read', async () => {
  const event = log();
  const server = serverOf([event('PlanStarted', 'p', {}), ...steps(event, 'p', EVENTS_STEP + 10)], { p: head('p', { status: 'running', last_seq: EVENTS_STEP + 11 }) });
  const { state, atRest } = reading('p', server);
  await atRest();
  server.publish(event('note', 'p/sub', {}, { correlation_id: 'p' }), event('PlanFailed', 'p', { error: 'broken' }));
  assert.equal(state.isCapped, true);
  assert.deepEqual([state.plan.status, state.plan.error], ['failed', 'broken']);
});

test('a plan of which events are removed while it is read is read again from what is left', async () => {
  const event = log();
  const events = [event('PlanStarted', 'p', {}), ...steps(event, 'p', 1_999)];
  const plans = { p: head('p') };
  let isPruned = false;
  const pass = async ({ after }) => {
    if (after === 0 || isPruned) return;
    isPruned = true;
    events.splice(0, 1_500);
    plans.p = head('p', { first_seq: 1_501 });
    throw Object.assign(new Error('pruned'), { status: 410 });
  };
  const { state, reader, until, atRest } = reading('p', serverOf(events, plans, pass));
  await atRest();
  assert.equal(state.error.status, 410);
  reader.again();
  await until(({ isReading, error }) => !isReading && !error);
  assert.deepEqual([seqs(state)[0], seqs(state).length], [1_501, 500]);
});

test('a page that failed is asked for again, and reading goes on where it was', async () => {
  const event = log();
  let pages = 0;
  const pass = async () => {
    pages += 1;
    if (pages === 2) throw new Error('cut');
  };
  const { state, reader, until, atRest } = reading('p', serverOf([event('PlanStarted', 'p', {}), ...steps(event, 'p', 1_999)], { p: head('p') }, pass));
  await atRest();
  assert.equal(state.error.message, 'cut');
  assert.equal(state.model.events.length, 1_000);
  reader.goOn();
  await until(({ isReading, error }) => !isReading && !error);
  assert.equal(state.model.events.length, 2_000);
});

test('a plan that is not there yet is read when it begins', async () => {
  const event = log();
  const plans = {};
  const server = serverOf([], plans);
  const { state, until, atRest } = reading('p', server);
  await atRest();
  assert.equal(state.error.status, 404);
  plans.p = head('p');
  server.publish(event('note', 'q', {}), event('PlanStarted', 'p', {}));
  await until(({ isReading, model }) => !isReading && model);
  assert.deepEqual(seqs(state), [2]);
  assert.equal(state.error, null);
});

test('a reader that was closed tells nothing more', async () => {
  const event = log();
  const server = serverOf([event('PlanStarted', 'p', {})], { p: head('p') });
  const { state, reader, atRest } = reading('p', server);
  await atRest();
  reader.close();
  server.publish(event('note', 'p', {}));
  assert.deepEqual(seqs(state), [1]);
});
