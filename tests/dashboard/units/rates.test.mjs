// Rates by kind, and how long tools took.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createRates, KINDS, WINDOW_S } from '../../../dashboard/health/rates.js';

const T0 = Date.parse('2026-11-21T12:00:00Z');
const at = (seconds) => new Date(T0 + seconds * 1000).toISOString();
let seq = 0;
const event = (seconds, type = 'ToolCalled', payload = {}, own = {}) => ({ seq: (seq += 1), event_type: type, recorded_at: at(seconds), payload, ...own });
const kind = (name) => KINDS.findIndex(([, word]) => word === name);
const point = ({ times, kinds }, name, seconds) => kinds[kind(name)][times.indexOf(T0 / 1000 + seconds)];

test('events are counted in the second in which they were recorded, not in that in which they are handed on', () => {
  const rates = createRates(T0);
  rates.add([event(2)], T0 + 2_000);
  // Held back by a pause for twenty seconds.
  rates.add([event(4), event(5), event(10)], T0 + 30_000);
  const series = rates.series(T0 + 30_000);
  assert.equal(point(series, 'tools', 4), 1);
  assert.equal(point(series, 'tools', 10), 0.5);
  assert.equal(point(series, 'tools', 28), 0);
});

test('a server whose clock is behind or ahead is counted by ours', () => {
  for (const skew of [-3_600, 3_600]) {
    const rates = createRates(T0);
    rates.add([event(skew + 2)], T0 + 2_000);
    rates.add([event(skew + 4)], T0 + 9_000);
    assert.equal(point(rates.series(T0 + 12_000), 'tools', 4), 0.5, `clock differs by ${skew} s`);
  }
});

test('an event has the kind of its hue, and one that failed is a failure', () => {
  const rates = createRates(T0);
  rates.add([
    event(1, 'PlanStarted'), event(1, 'PlanCompleted'), event(1, 'PlanFailed'), event(1, 'ToolCompleted', { ok: false }),
    event(1, 'ToolCompleted', { ok: true }), event(1, 'DecisionMade'), event(1, 'SubplanSpawned'), event(1, 'agent.heartbeat', null),
    event(1, 'constructor', 'text'),
  ], T0 + 1_000);
  const told = Object.fromEntries(KINDS.map(([, word], place) => [word, rates.series(T0 + 4_000).kinds[place].at(-2) * 2]));
  assert.deepEqual(told, { tools: 1, decisions: 1, subplans: 1, started: 1, completed: 1, failed: 2, other: 2 });
});

test('what was before the page was opened is not known, rather than nothing', () => {
  const rates = createRates(T0);
  const series = rates.series(T0 + 10_000);
  assert.equal(point(series, 'tools', -2), null);
  assert.equal(point(series, 'tools', 2), 0);
});

test('a page of the log fills what was before, and counts nothing twice', () => {
  const rates = createRates(T0);
  const page = [event(-20), event(-10), event(0.5)];
  rates.add([page[2]], T0 + 500);
  rates.fill([...page].reverse(), false, T0 + 1_000);
  const series = rates.series(T0 + 10_000);
  assert.equal(point(series, 'tools', -10), 0.5);
  assert.equal(point(series, 'tools', 0), 0.5);
  assert.equal(point(series, 'tools', -30), null, 'older ones were not on the page');
  const whole = createRates(T0);
  whole.fill([], true, T0);
  assert.equal(point(whole.series(T0 + 10_000), 'tools', -30), 0, 'there are none');
});

test('the rate of now is that of the last full seconds, and of fewer when the page was just opened', () => {
  const rates = createRates(T0);
  rates.add(Array.from({ length: 20 }, (_, n) => event(n / 10)), T0 + 1_999);
  assert.equal(rates.rate(T0 + 2_000), 10);
  assert.equal(rates.rate(T0 + 5_900), 4);
  assert.equal(rates.rate(T0 + 60_000), 0);
});

test('durations of tools are told in their steps, and none of any other shape', () => {
  const rates = createRates(T0);
  rates.add([
    ...[100, 200, 300, 10_000].map((duration_us) => event(1, 'ToolCompleted', { duration_us })),
    event(1, 'ToolCompleted', { duration_us: 'long' }), event(1, 'ToolCompleted', { duration_us: -1 }), event(1, 'ToolCompleted', { duration_us: -1 }),
    event(1, 'ToolCompleted', null), event(1, 'PlanCompleted', { duration_us: 5e9 }),
  ], T0 + 1_000);
  const { times, quantiles: [half, most] } = rates.tools(T0 + 10_000, [0.5, 0.95]);
  const place = times.indexOf(T0 / 1000);
  assert.deepEqual([half[place], most[place]], [200, 10_000]);
  assert.equal(half[place + 1], null);
});

test('an hour at a thousand events a second keeps the window, no more', () => {
  const rates = createRates(T0);
  for (let second = 0; second < 700; second += 1) {
    rates.add(Array.from({ length: 1_000 }, () => event(second, 'ToolCompleted', { duration_us: second })), T0 + second * 1_000 + 999);
  }
  assert.equal(rates.rate(T0 + 700_000), 1_000);
  const { kinds } = rates.series(T0 + 700_000);
  assert.equal(kinds[kind('tools')].length, WINDOW_S / 2);
  assert.ok(rates.kept() <= WINDOW_S + 6, `${rates.kept()} seconds are kept`);
});
