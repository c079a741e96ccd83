// Where the bars of a timeline lie, and the window and axis of time: `plans/lanes.js`, `plans/axis.js`.
import assert from 'node:assert/strict';
import test from 'node:test';
import { formatRange, pan, parseRange, ticks, within, zoom } from '../../../dashboard/plans/axis.js';
import { blocksWithin, firstWhere, hit, LANE, LANES_MAX, layout, stops } from '../../../dashboard/plans/lanes.js';
import { createModel, take } from '../../../dashboard/plans/model.js';
import { log } from './plan_events.mjs';

// A plan of calls [name, start, end or null]: the log of them in the order of time, a millisecond a step.
const planOf = (calls, more = []) => {
  const event = log(0);
  const at = (ms) => ({ timestamp: new Date(ms).toISOString().replace('Z', '000Z') });
  const steps = calls.flatMap(([name, start, end]) => [
    [start, 'ToolCalled', 'p', { call_id: name, tool: name }],
    ...(end === null ? [] : [[end, 'ToolCompleted', 'p', { call_id: name, tool: name, ok: true }]]),
  ]);
  const all = [[0, 'PlanStarted', 'p', {}], ...steps, ...more].sort((a, b) => a[0] - b[0]);
  return take(createModel(), all.map(([ms, type, plan, payload]) => event(type, plan, payload, at(ms)))).plans.get('p');
};
const lanesOf = (root) => layout(root).blocks[0].lanes.map((lane) => lane.map(({ item }) => item.name));

test('calls that overlap lie in lanes of their own, and those that follow share one', () => {
  assert.deepEqual(lanesOf(planOf([['a', 0, 10], ['b', 2, 5], ['c', 5, 8], ['d', 10, 12]])), [['a', 'd'], ['b', 'c']]);
});

test('a call that runs keeps its lane to the end', () => {
  const whole = layout(planOf([['a', 0, null], ['b', 5, 6], ['c', 900, 901]]));
  assert.deepEqual(whole.blocks[0].lanes.map((lane) => lane.map(({ item }) => item.name)), [['a'], ['b', 'c']]);
  assert.equal(whole.to, null);
});

test('however much runs side by side, a plan has no more lanes than the most', () => {
  const lanes = lanesOf(planOf(Array.from({ length: LANES_MAX + 40 }, (_, at) => [`c${at}`, at, 1_000])));
  assert.equal(lanes.length, LANES_MAX);
  assert.equal(lanes.flat().length, LANES_MAX + 40);
});

test('the whole reaches from the start of the plan to the last end of anything below it', () => {
  const more = [[3, 'SubplanSpawned', 'p', { subplan: 'q' }], [4, 'PlanStarted', 'q', {}], [20, 'PlanCompleted', 'p', {}], [30, 'PlanCompleted', 'q', {}]];
  const whole = layout(planOf([['a', 1, 10]], more));
  assert.deepEqual([whole.from, whole.to], [0, 30]);
  assert.deepEqual(whole.blocks.map(({ plan, depth, top }) => [plan.id, depth, top]), [['p', 0, 0], ['q', 1, whole.blocks[0].height]]);
  assert.equal(whole.height, whole.blocks[0].height + whole.blocks[1].height);
});

test('times in which nothing below a plan works are gaps between those in which something does', () => {
  const [{ busy }] = layout(planOf([['a', 1, 6], ['b', 3, 4], ['c', 5, 7], ['d', 9, 10]])).blocks;
  assert.deepEqual(busy, [{ start: 1, end: 7 }, { start: 9, end: 10 }]);
});

test('a plan that began again has a bar for each time', () => {
  const [{ runs }] = layout(planOf([], [[5, 'PlanFailed', 'p', {}], [9, 'PlanStarted', 'p', {}], [12, 'PlanCompleted', 'p', {}]])).blocks;
  assert.deepEqual(runs.map(({ start, end, status }) => [start, end, status]), [[0, 5, 'failed'], [9, 12, 'completed']]);
});

test('what lies under a point is found: a bar, a mark, the plan, or nothing', () => {
  const whole = layout(planOf([['a', 0, 10], ['b', 2, 5]], [[7, 'DecisionMade', 'p', { decision: 'x' }], [40, 'PlanCompleted', 'p', {}]]));
  const nameAt = (y, time, slack = 0) => {
    const found = hit(whole, y, time, slack)?.item;
    return found ? (found.name ?? found.kind) : null;
  };
  assert.equal(nameAt(LANE * 1.5, 4), 'a');
  assert.equal(nameAt(LANE * 2.5, 4), 'b');
  assert.equal(nameAt(LANE * 2.5, 8), null);
  assert.equal(nameAt(LANE * 2.5, 6, 2), 'b');
  assert.equal(nameAt(LANE * 0.5, 30), 'plan');
  assert.equal(nameAt(LANE * 0.5, 7.5, 1), 'decision');
  assert.equal(nameAt(LANE * 20, 4), null);
});

test('of many blocks those that are seen are found', () => {
  const more = Array.from({ length: 100 }, (_, at) => [at + 1, 'SubplanSpawned', 'p', { subplan: `p/${at}` }]);
  const whole = layout(planOf([], more));
  const seen = blocksWithin(whole, whole.blocks[40].top + 1, whole.blocks[43].top);
  assert.deepEqual(seen.map(({ plan }) => plan.id), ['p/39', 'p/40', 'p/41']);
  assert.equal(firstWhere([1, 3, 5], (one) => one >= 4), 2);
  assert.equal(firstWhere([], () => true), 0);
});

test('keys go from the plan through its bars and marks in the order of time', () => {
  const [block] = layout(planOf([['a', 1, 9], ['b', 2, 3]], [[5, 'DecisionMade', 'p', {}]])).blocks;
  assert.deepEqual(stops(block).map(({ item, lane }) => [item.name ?? item.kind, lane]), [['plan', 0], ['a', 1], ['b', 2], ['decision', 0]]);
});

test('ticks stand at round places, and no more than asked for', () => {
  const labels = (from, to, most) => ticks(from, to, most).map(({ label }) => label);
  assert.deepEqual(labels(0, 1_850, 5), ['0', '500 ms', '1.0 s', '1.5 s']);
  assert.deepEqual(labels(0, 4_365_000, 8), ['0', '10m', '20m', '30m', '40m', '50m', '1h', '1h 10m']);
  assert.deepEqual(labels(61_000, 64_000, 4), ['1m 01s', '1m 02s', '1m 03s', '1m 04s']);
  assert.deepEqual(labels(0, 0.02, 5), ['0', '0.005 ms', '0.010 ms', '0.015 ms', '0.020 ms']);
  assert.deepEqual(labels(0, 3 * 86_400_000, 4), ['0', '1d', '2d', '3d']);
  assert.deepEqual(ticks(5, 5, 4), []);
  for (let span = 0.01; span < 1e12; span *= 3.7) {
    const found = ticks(span / 3, span / 3 + span, 8);
    assert.ok(found.length >= 1 && found.length <= 9, `${found.length} ticks in ${span}`);
    assert.equal(new Set(found.map(({ label }) => label)).size, found.length, `labels of ${span} differ`);
  }
});

test('a window stays within the whole, and what is pointed at stays where it is', () => {
  assert.deepEqual(zoom({ from: 0, to: 100 }, 0.5, 20, 100), { from: 10, to: 60 });
  assert.deepEqual(zoom({ from: 10, to: 60 }, 4, 20, 100), { from: 0, to: 100 });
  assert.deepEqual(pan({ from: 10, to: 60 }, 90, 100), { from: 50, to: 100 });
  assert.deepEqual(pan({ from: 10, to: 60 }, -90, 100), { from: 0, to: 50 });
  const least = within({ from: 5, to: 5 }, 100);
  assert.ok(least.to > least.from);
});

test('a window is read from a URL as it was written, and nothing else is', () => {
  const range = { from: 1_200.25, to: 3_400 };
  assert.deepEqual(parseRange(formatRange(range)), range);
  assert.equal(formatRange(null), '');
  for (const text of [undefined, '', '5', '5-', '-5', '9-3', 'a-b', '1-2-3', '0-Infinity', '1-NaN']) assert.equal(parseRange(text), null, `${text}`);
});
