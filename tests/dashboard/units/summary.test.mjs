// The list of plans, kept up with what happens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow, step } from '../../../dashboard/plans/summary.js';

let seq = 0;
const event = (plan_id, event_type, payload = {}) => ({
  seq: (seq += 1), plan_id, event_type, payload, tenant: 'default', timestamp: new Date(seq * 1_000).toISOString(),
});
const all = () => true;
const ids = (rows) => rows.map((plan) => plan.plan_id);

test('a plan is counted and ended by its events, each once', () => {
  const events = [
    event('a', 'PlanStarted', { goal: 'go' }), event('a', 'ToolCalled'), event('a', 'ToolCompleted', { ok: false }),
    event('a', 'DecisionMade'), event('a', 'SubplanSpawned'), event('a', 'PlanFailed', { error: 'broken', duration_us: 7 }),
  ];
  const plan = [...events, ...events].reduce(step, undefined);
  const { status, goal, tool_calls, failed_tool_calls, decisions, subplans, error, duration_us, events: seen } = plan;
  assert.deepEqual([status, goal, tool_calls, failed_tool_calls, decisions, subplans], ['failed', 'go', 1, 1, 1, 1]);
  assert.deepEqual([error, duration_us, seen], ['broken', 7, 6]);
});

test('an end without a duration is counted from the start', () => {
  const plan = [event('a', 'PlanStarted'), event('a', 'PlanCompleted')].reduce(step, undefined);
  assert.equal(plan.duration_us, 1_000_000);
});

test('a plan that begins again is running again', () => {
  const plan = [event('a', 'PlanStarted'), event('a', 'PlanFailed', { error: 'x' }), event('a', 'PlanStarted')].reduce(step, undefined);
  assert.deepEqual([plan.status, plan.error, plan.ended_at], ['running', null, null]);
  assert.deepEqual([plan.started_at < plan.status_since, Date.parse(plan.status_since)], [true, seq * 1_000], 'since when it runs');
});

test('a goal and an error of any shape are shown, as the server shows them', () => {
  const plan = [event('a', 'PlanStarted', { goal: ['x', 1] }), event('a', 'PlanFailed', { error: { code: 7 } })].reduce(step, undefined);
  assert.deepEqual([plan.goal, plan.error], ['["x",1]', '{"code":7}']);
  assert.equal(step(undefined, event('b', 'PlanStarted', { goal: null })).goal, null);
});

test('new plans come on top, the newest first, and known ones stay where they are', () => {
  const rows = follow([], [event('a', 'PlanStarted'), event('b', 'PlanStarted')], all);
  assert.deepEqual(ids(rows), ['b', 'a']);
  const next = follow(rows, [event('a', 'PlanCompleted'), event('c', 'PlanStarted')], all);
  assert.deepEqual(ids(next), ['c', 'b', 'a']);
  assert.equal(next[2].status, 'completed');
  assert.equal(next[1], rows[0], 'a row that nothing happened to is the same');
});

test('rows stay the same where nothing concerns them', () => {
  const rows = follow([], [event('a', 'PlanStarted')], all);
  assert.equal(follow(rows, [event('elsewhere', 'ToolCalled')], all), rows);
  assert.equal(follow(rows, [event('b', 'PlanStarted')], ({ goal }) => goal === 'wanted'), rows);
});

test('types that are named like parts of an object do nothing', () => {
  const plan = ['constructor', '__proto__', 'toString', 'hasOwnProperty'].map((type) => event('a', type)).reduce(step, undefined);
  assert.deepEqual([plan.status, plan.events], ['running', 4]);
});
