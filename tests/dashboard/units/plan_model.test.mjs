// How a plan is made of its events: `plans/model.js`.
import assert from 'node:assert/strict';
import test from 'node:test';
import * as model from '../../../dashboard/plans/model.js';
import { log } from './plan_events.mjs';

const reduced = (...events) => model.take(model.createModel(), events);
const kinds = (plan) => plan.items.map((item) => (item.kind === 'plan' ? item.id : item.kind));

test('a plan has its calls, decisions and subplans in the order of the log', () => {
  const event = log();
  const { plans } = reduced(
    event('PlanStarted', 'p', { goal: 'release notes' }, { source: 'lead' }),
    event('DecisionMade', 'p', { decision: 'split in two', reason: 'too long' }),
    event('ToolCalled', 'p', { call_id: '1', tool: 'git_log', arguments: { since: 'v1' } }),
    event('SubplanSpawned', 'p', { subplan: 'p/a', goal: 'collect' }),
    event('PlanStarted', 'p/a', { parent: 'p' }, { correlation_id: 'p' }),
    event('ToolCompleted', 'p', { call_id: '1', tool: 'git_log', ok: true, duration_us: 913 }),
    event('PlanCompleted', 'p/a', { duration_us: 2_000 }, { correlation_id: 'p' }),
    event('PlanCompleted', 'p', {}),
  );
  const plan = plans.get('p');
  assert.deepEqual(kinds(plan), ['decision', 'call', 'p/a']);
  assert.equal(plan.goal, 'release notes');
  assert.equal(plan.source, 'lead');
  assert.equal(model.statusOf(plan), 'completed');
  const [, call, child] = plan.items;
  assert.equal(model.outcomeOf(call), 'ok');
  assert.equal(model.lasted(call, 0), 0.913);
  assert.equal(call.given, 'since=v1');
  assert.equal(model.lasted(child, 0), 2);
  assert.equal(child.goal, 'collect');
  assert.deepEqual(model.totalsOf(model.plansBelow(plan)), { events: 8, tools: 1, failed: 0, decisions: 1, subplans: 1 });
});

test('times are told to the microsecond', () => {
  const at = (timestamp) => model.timeOf({ timestamp });
  assert.equal(Math.round((at('2026-03-01T09:30:00.000913Z') - at('2026-03-01T09:30:00.000000Z')) * 1000), 913);
});

test('a call is answered by the completion of its own plan and id, the last of that id', () => {
  const event = log();
  const { plans } = reduced(
    event('PlanStarted', 'p', {}),
    event('PlanStarted', 'q', {}),
    event('ToolCalled', 'p', { call_id: '1', tool: 'a' }),
    event('ToolCalled', 'q', { call_id: '1', tool: 'b' }),
    event('ToolCompleted', 'q', { call_id: '1', tool: 'b', ok: false, error: 'no such file' }),
    event('ToolCalled', 'p', { call_id: '1', tool: 'a again' }),
    event('ToolCompleted', 'p', { call_id: '1', ok: true }),
  );
  const outcomes = (id) => plans.get(id).items.map(model.outcomeOf);
  assert.deepEqual(outcomes('p'), ['running', 'ok']);
  assert.deepEqual(outcomes('q'), ['failed']);
  assert.equal(model.errorOf(plans.get('q').items[0]), 'no such file');
});

test('a call that nobody answered is so once its plan has ended, and one of a new run is not', () => {
  const event = log();
  const ended = reduced(
    event('PlanStarted', 'p', {}),
    event('ToolCalled', 'p', { call_id: '1', tool: 'a' }),
    event('PlanFailed', 'p', { error: 'killed' }),
  );
  const plan = ended.plans.get('p');
  assert.deepEqual(plan.items.map(model.outcomeOf), ['unanswered']);
  model.take(ended, [event('PlanStarted', 'p', {}), event('ToolCalled', 'p', { call_id: '2', tool: 'a' })]);
  assert.deepEqual(plan.items.map(model.outcomeOf), ['unanswered', 'running']);
  assert.equal(plan.starts, 2);
  assert.equal(model.statusOf(plan), 'running');
  assert.equal(model.errorOf(plan), '');
  assert.deepEqual(plan.runs.map(({ status }) => status), ['failed', 'running']);
  // The first call ended, for the eye, with its run.
  assert.equal(model.endOf(plan.items[0]), plan.runs[0].endMs);
});

test('what a call brought is no error of it', () => {
  const event = log();
  const { plans } = reduced(
    event('ToolCalled', 'p', { call_id: '1', tool: 'read' }),
    event('ToolCompleted', 'p', { call_id: '1', ok: true, content: 'all of it' }),
    event('ToolCalled', 'p', { call_id: '2', tool: 'read' }),
    event('ToolCompleted', 'p', { call_id: '2', ok: false, content: 'no such file' }),
  );
  assert.deepEqual(plans.get('p').items.map(model.errorOf), ['', 'no such file']);
});

test('the first answer to a call stands', () => {
  const event = log();
  const { plans, items } = reduced(
    event('ToolCalled', 'p', { call_id: '1', tool: 'a' }),
    event('ToolCompleted', 'p', { call_id: '1', ok: true, duration_us: 5 }),
    event('ToolCompleted', 'p', { call_id: '1', ok: false, error: 'late' }),
  );
  const [call] = plans.get('p').items;
  assert.deepEqual([model.outcomeOf(call), model.errorOf(call), model.lasted(call, 0)], ['ok', '', 0.005]);
  assert.deepEqual([1, 2, 3].map((seq) => items.get(seq)), [call, call, call]);
});

test('a duration that is no whole number of microseconds is not believed, and the times of the events are', () => {
  for (const duration of [1e300, -5, 0.5, '7', null, Infinity]) {
    const event = log();
    const { plans } = reduced(event('ToolCalled', 'p', { call_id: '1' }), event('ToolCompleted', 'p', { call_id: '1', duration_us: duration }));
    assert.equal(model.lasted(plans.get('p').items[0], 0), 1, String(duration));
  }
});

test('an end without a call stands by itself, and begins as long before as it says it took', () => {
  const event = log();
  const { plans } = reduced(event('PlanStarted', 'p', {}), event('ToolCompleted', 'p', { call_id: '9', tool: 'x', ok: true, duration_us: 500 }));
  const [call] = plans.get('p').items;
  assert.equal(model.outcomeOf(call), 'ok');
  assert.ok(Math.abs(model.endOf(call) - model.startOf(call) - 0.5) < 0.001);
});

test('of an end alone one sees how long the plan was', () => {
  const event = log();
  const plan = reduced(event('PlanCompleted', 'p', { duration_us: 4_000_000 })).plans.get('p');
  assert.equal(model.statusOf(plan), 'completed');
  assert.equal(model.endOf(plan) - model.startOf(plan), 4_000);
});

test('a subplan of which only its parent speaks stands as the parent says', () => {
  const event = log();
  const { plans } = reduced(
    event('PlanStarted', 'p', {}),
    event('SubplanSpawned', 'p', { subplan: 'a' }),
    event('SubplanSpawned', 'p', { subplan: 'b' }),
    event('SubplanSpawned', 'p', { subplan: 'c' }),
    event('SubplanCompleted', 'p', { subplan: 'b', ok: false, error: 'lost', duration_us: 7_000 }),
    event('SubplanCompleted', 'p', { subplan: 'c', ok: true }),
  );
  assert.deepEqual(['a', 'b', 'c'].map((id) => model.statusOf(plans.get(id))), ['running', 'failed', 'completed']);
  assert.equal(model.lasted(plans.get('b'), 0), 7);
  assert.equal(model.errorOf(plans.get('b')), 'lost');
  plans.get('p').status = 'completed';
  assert.equal(model.statusOf(plans.get('a')), 'unknown');
});

test('parents that go round in a circle end, and each plan is seen once', () => {
  const event = log();
  const { plans } = reduced(
    event('SubplanSpawned', 'a', { subplan: 'b' }),
    event('SubplanSpawned', 'b', { subplan: 'c' }),
    event('SubplanSpawned', 'c', { subplan: 'a' }),
    event('SubplanSpawned', 'c', { subplan: 'c' }),
    event('PlanStarted', 'a', { parent: 'a' }),
  );
  assert.deepEqual(model.plansBelow(plans.get('a')).map(({ plan, depth }) => [plan.id, depth]), [['a', 0], ['b', 1], ['c', 2]]);
});

test('a plan of which only its correlation speaks belongs to that plan, until it is said whose it is', () => {
  const event = log();
  const first = reduced(event('PlanStarted', 'r', {}), event('ToolCalled', 'x', { call_id: '1', tool: 'a' }, { correlation_id: 'r' }));
  assert.deepEqual(kinds(first.plans.get('r')), ['x']);
  const then = model.take(first, [event('SubplanSpawned', 'r', { subplan: 'm' }), event('SubplanSpawned', 'm', { subplan: 'x' })]);
  assert.deepEqual(kinds(then.plans.get('r')), ['m']);
  assert.deepEqual(kinds(then.plans.get('m')), ['x']);
});

test('payloads of any shape are taken', () => {
  const event = log();
  const types = ['PlanStarted', 'PlanCompleted', 'PlanFailed', 'DecisionMade', 'ToolCalled', 'ToolCompleted', 'SubplanSpawned', 'SubplanCompleted', 'constructor'];
  const shapes = [null, undefined, 'text', 7, [], [1], {}, { goal: {}, tool: [], call_id: {}, subplan: 7, error: { a: 1 }, duration_us: 'x', ok: 'yes', reason: 1 }];
  const all = reduced(...types.flatMap((type) => shapes.map((payload) => event(type, 'p', payload))));
  assert.equal(all.plans.get('p').count.events, types.length * shapes.length);
  for (const item of all.plans.get('p').items) {
    assert.ok(Number.isFinite(model.lasted(item, 0)));
    assert.equal(typeof model.errorOf(item), 'string');
  }
});

test('events that were taken before change nothing, and those from before are put where they belong', () => {
  const event = log();
  const [start, call, done, end] = [
    event('PlanStarted', 'p', {}),
    event('ToolCalled', 'p', { call_id: '1', tool: 'a' }),
    event('ToolCompleted', 'p', { call_id: '1', ok: true }),
    event('PlanCompleted', 'p', {}),
  ];
  const some = reduced(start, end);
  const whole = model.take(some, [call, done, start]);
  assert.notEqual(whole, some);
  assert.deepEqual(whole.events.map(({ seq }) => seq), [1, 2, 3, 4]);
  assert.equal(model.outcomeOf(whole.plans.get('p').items[0]), 'ok');
  assert.equal(model.take(whole, [start, call, done, end]), whole);
  assert.equal(whole.plans.get('p').count.events, 4);
});

test('causes and effects are known by the ids of events', () => {
  const event = log();
  const start = event('PlanStarted', 'p', {});
  const { seqs, effects } = reduced(start, event('x', 'p', {}, { causation_id: start.event_id }), event('y', 'p', {}, { causation_id: start.event_id }));
  assert.equal(seqs.get(start.event_id), 1);
  assert.deepEqual(effects.get(start.event_id), [2, 3]);
});

test('subplans without events are looked for where their parent is the correlation', () => {
  const event = log();
  const all = reduced(
    event('PlanStarted', 'r', {}),
    event('SubplanSpawned', 'r', { subplan: 'a' }),
    event('PlanStarted', 'a', {}, { correlation_id: 'r' }),
    event('SubplanSpawned', 'a', { subplan: 'b' }, { correlation_id: 'r' }),
  );
  assert.deepEqual(model.unread(all, new Set(['r'])), ['a']);
  assert.deepEqual(model.unread(all, new Set(['r', 'a'])), []);
});

test('what is copied into the log goes by its own clock, which stops when nothing comes', () => {
  const event = log();
  const live = event('PlanStarted', 'p', {});
  assert.equal(model.nowOf(reduced(live), model.timeOf(live) + 5_000), model.timeOf(live) + 5_000);
  assert.equal(model.nowOf(reduced(live), 0), model.timeOf(live));
  const copied = event('PlanStarted', 'q', {}, { context_refs: ['trace:a.jsonl#line=1'], timestamp: '2020-01-01T00:00:00.000000Z' });
  const at = Date.parse(copied.recorded_at);
  assert.equal(model.nowOf(reduced(copied), at + 2_000) - model.timeOf(copied), 2_000);
  assert.equal(model.nowOf(reduced(copied), at + 86_400_000) - model.timeOf(copied), 60_000);
});

test('twenty thousand plans, each below the one before, are taken in and read', () => {
  const event = log();
  const events = [];
  for (let at = 0; at < 20_000; at += 1) events.push(event('SubplanSpawned', 'r', { subplan: `p${at}` }));
  const all = reduced(...events);
  assert.equal(model.plansBelow(all.plans.get('r')).length, 20_001);
  const deep = model.createModel();
  model.take(deep, Array.from({ length: 2_000 }, (_, at) => event('SubplanSpawned', `d${at}`, { subplan: `d${at + 1}` })));
  assert.equal(model.plansBelow(deep.plans.get('d0')).at(-1).depth, 2_000);
});
