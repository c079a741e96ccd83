// A list of plans that is read while things happen: no page may put an older state over what was told.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { openListing } from '../../../dashboard/plans/listing.js';

let seq = 100;
const event = (plan_id, event_type, payload = {}) => ({
  seq: (seq += 1), plan_id, event_type, payload, tenant: 'default', timestamp: new Date(seq * 1_000).toISOString(),
});
const plan = (at, more = {}) => ({
  plan_id: `plan-${at}`, status: 'running', started_at: new Date(at).toISOString(), tool_calls: 0, failed_tool_calls: 0,
  decisions: 0, subplans: 0, events: 1, first_seq: at, last_seq: at, ...more,
});

// A server that answers when it is told to.
const opened = ({ isWanted = () => true, isPartial = false, isHidden = () => false } = {}) => {
  const asked = [];
  let state = null;
  const read = (next, signal) => new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
    asked.push({ next, answer: async (page) => { resolve(page); await settled(); }, refuse: async (error) => { reject(error); await settled(); } });
  });
  const listing = openListing({ read, isWanted, isPartial, isHidden }, (next) => { state = next; });
  return { listing, asked, state: () => state, ids: () => state.rows.map((row) => row.plan_id) };
};
const settled = () => new Promise((resolve) => { setImmediate(resolve); });

test('what happens while the first page is read is on it, also where the page is older', async () => {
  const { listing, asked, state, ids } = opened();
  listing.begin();
  listing.take([event('plan-2', 'PlanCompleted'), event('new', 'PlanStarted', { goal: 'later' })]);
  await asked[0].answer({ plans: [plan(2), plan(1)], next: null });
  assert.deepEqual(ids(), ['new', 'plan-2', 'plan-1']);
  assert.equal(state().rows[1].status, 'completed');
});

test('what happens while an older page is read is on its rows, and no row comes twice', async () => {
  const { listing, asked, state, ids } = opened();
  listing.begin();
  await asked[0].answer({ plans: [plan(3)], next: '/plans?before=3' });
  listing.more();
  listing.more();
  assert.equal(asked.length, 2, 'one page at a time');
  listing.take([event('plan-1', 'PlanFailed', { error: 'broken' })]);
  await asked[1].answer({ plans: [plan(3), plan(2), plan(1)], next: null });
  assert.deepEqual(ids(), ['plan-3', 'plan-2', 'plan-1']);
  assert.equal(state().rows[2].error, 'broken');
  assert.equal(state().next, null);
});

test('an empty page goes on to the next one', async () => {
  const { listing, asked, ids } = opened();
  listing.begin();
  await asked[0].answer({ plans: [], next: '/plans?before=9' });
  assert.equal(asked[1].next, '/plans?before=9');
  await asked[1].answer({ plans: [plan(1)], next: null });
  assert.deepEqual(ids(), ['plan-1']);
});

test('plans of one state come and go, and older rows stay where they are', async () => {
  const { listing, asked, ids } = opened({ isWanted: (row) => row.status === 'failed', isPartial: true });
  const failed = (at) => plan(at, { status: 'failed' });
  listing.begin();
  await asked[0].answer({ plans: [failed(5), failed(4)], next: '/plans?before=4' });
  listing.more();
  await asked[1].answer({ plans: [failed(2)], next: null });
  listing.take([event('plan-4', 'PlanStarted')]);
  assert.deepEqual(ids(), ['plan-5', 'plan-2'], 'one that begins again is no longer failed');
  while (asked.length < 3) await settled();
  await asked[2].answer({ plans: [failed(6), failed(5)], next: '/plans?before=5' });
  assert.deepEqual(ids(), ['plan-6', 'plan-5', 'plan-2']);
  listing.close();
});

test('a page that could not be read is told, and read when it is asked for again', async () => {
  const { listing, asked, state, ids } = opened();
  listing.begin();
  await asked[0].refuse(new Error('away'));
  assert.equal(state().error.message, 'away');
  listing.again();
  await asked[1].answer({ plans: [plan(1)], next: null });
  assert.equal(state().error, null);
  assert.deepEqual(ids(), ['plan-1']);
});

test('a refresh that failed is what is tried again when the server is back, not the page below', async () => {
  const { listing, asked, state, ids } = opened();
  listing.begin();
  await asked[0].answer({ plans: [plan(5)], next: '/plans?before=5' });
  listing.goOn();
  assert.equal(asked.length, 1, 'nothing had failed');
  listing.begin();
  await asked[1].refuse(new Error('away'));
  listing.goOn();
  assert.equal(asked[2].next, null);
  await asked[2].answer({ plans: [plan(6), plan(5)], next: '/plans?before=5' });
  assert.deepEqual([ids(), state().error], [['plan-6', 'plan-5'], null]);
});

test('a plan of a page below that begins again is there once, where it belongs, with all that it did', async () => {
  const { listing, asked, state, ids } = opened();
  listing.begin();
  await asked[0].answer({ plans: [plan(5)], next: '/plans?before=5' });
  listing.take([event('plan-2', 'PlanStarted')]);
  assert.deepEqual(ids(), ['plan-2', 'plan-5']);
  listing.more();
  await asked[1].answer({ plans: [plan(2, { tool_calls: 7, last_seq: seq })], next: null });
  assert.deepEqual(ids(), ['plan-5', 'plan-2']);
  assert.equal(state().rows[1].tool_calls, 7);
});

test('a list that nobody sees is not read again before somebody does', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  let isUnseen = true;
  const { listing, asked } = opened({ isPartial: true, isHidden: () => isUnseen });
  listing.begin();
  await asked[0].answer({ plans: [plan(5)], next: null });
  listing.take([event('new', 'PlanStarted')]);
  for (let round = 0; round < 10; round += 1) mock.timers.tick(500);
  assert.equal(asked.length, 1);
  isUnseen = false;
  mock.timers.tick(500);
  assert.equal(asked.length, 2);
  listing.close();
  mock.timers.reset();
});
