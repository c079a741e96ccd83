// What events say in one line, whatever their payload is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, describe, hueOf } from '../../../dashboard/events.js';

const TYPES = ['PlanStarted', 'PlanCompleted', 'PlanFailed', 'DecisionMade', 'ToolCalled', 'ToolCompleted', 'SubplanSpawned', 'SubplanCompleted', 'note', 'constructor'];
const say = (event_type, payload, more = {}) => describe({ event_type, payload, plan_id: 'trip', ...more });

test('the eight types are said in words', () => {
  assert.equal(say('PlanStarted', { goal: 'go' }), 'go');
  assert.equal(say('PlanFailed', { error: 'broken', duration_us: 2_000_000 }), 'broken  after 2.00 s');
  assert.equal(say('DecisionMade', { decision: 'train', reason: 'nearer' }), 'train: nearer');
  assert.equal(say('ToolCalled', { tool: 'grep', arguments: { q: 'x', deep: { a: 1 } } }), 'grep  q=x deep={1}');
  assert.equal(say('ToolCompleted', { tool: 'grep', ok: false, error: 'no', duration_us: 1_500 }), 'grep  failed: no  1.50 ms');
  assert.equal(say('SubplanSpawned', { subplan: 'trip/hotel', goal: 'a room' }), '→ hotel  a room');
});

test('recorded runs are said in words too, whatever their fields are called', () => {
  assert.equal(say('PlanStarted', { prompt: 'book a room', role: 'user' }), 'book a room');
  assert.equal(say('PlanFailed', { reason: 'interrupted', open_calls: [] }), 'interrupted');
  assert.equal(say('DecisionMade', { role: 'user', content: [{ type: 'text', text: 'two nights' }], uuid: 'a' }), 'two nights');
  assert.equal(say('ToolCalled', { call_id: 'c', tool: 'ls', input: { path: '/' }, uuid: 'a' }), 'ls  path=/');
  assert.equal(say('ToolCompleted', { tool: 'ls', ok: true, content: [{ text: 'a.txt' }] }), 'ls  ok  a.txt');
  assert.equal(say('ToolCompleted', { tool: 'ls', ok: false, error: 'no', content: null }), 'ls  failed: no');
});

test('no payload makes it fail, and none is left without a word', () => {
  for (const type of TYPES) {
    for (const payload of [{}, null, [], [1, { a: 2 }], 'text', 7, true, { decision: null }, { tool: {} }, { error: { a: [] } }, { subplan: 12 }, { goal: [] }]) {
      assert.equal(typeof say(type, payload), 'string', `${type} ${JSON.stringify(payload)}`);
    }
    assert.equal(say(type, undefined, { payload_bytes: 9_000 }), '9000 bytes');
  }
});

test('an event has the hue of its kind, and a failure is red', () => {
  const hue = (event_type, payload) => hueOf({ event_type, payload });
  assert.deepEqual(TYPES.map((type) => hue(type, {})), ['blue', 'green', 'red', 'yellow', 'cyan', 'cyan', 'magenta', 'magenta', 'grey', 'grey'].map((name) => `hue-${name}`));
  assert.deepEqual([hue('ToolCompleted', { ok: false }), hue('SubplanCompleted', { ok: false }), hue('note', { ok: false })], ['hue-red', 'hue-red', 'hue-grey']);
});

test('a subplan goes on from its parent only where it is below it', () => {
  assert.deepEqual([below('a/b', 'a'), below('ab/c', 'a'), below('a', 'a'), below('x', '')], ['b', 'ab/c', 'a', 'x']);
});
