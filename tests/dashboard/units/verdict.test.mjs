// What is wrong, the worst first.
import assert from 'node:assert/strict';
import test from 'node:test';
import { judge } from '../../../dashboard/health/verdict.js';

const stats = (changes = {}, log = {}) => ({
  log: { last_seq: 50_000, wal_pages: 900, wal_copied_pages: 0, ...log }, search: null, readers: [], mirrors: [], ...changes,
});
const redis = (changes = {}) => ({ is_up: true, error: null, server: { used_memory: 10, max_memory: null, warnings: [] }, groups: [], dead_letters: [], ...changes });
const mirror = (state, lag = 0) => ({ name: 'native', state, lag, redis: 'redis://h:6379', last_error: null });
const group = (changes) => ({ stream: 's', group: 'g', consumers: 1, pending: 0, lag: 0, waiting: 0, ...changes });
const told = (what) => judge(what).map(({ level, what: words }) => `${level}: ${words}`);

test('nothing is wrong with a store at rest, nor with what is not known', () => {
  assert.deepEqual(judge({ stats: stats(), redis: redis() }), []);
  assert.deepEqual(judge({ stats: null, redis: null }), []);
  assert.deepEqual(judge({ stats: stats({}, { wal_pages: null, wal_copied_pages: null }), redis: null }), []);
});

test('what stops something comes before what is only slow, in whatever order it is found', () => {
  const findings = told({
    stats: stats({ mirrors: [mirror('forked')], readers: [{ name: 'audit', lag: 20_000, is_mirror: false }] }, { wal_pages: 30_000 }),
    redis: redis({ groups: [group({ consumers: 0, pending: 1 })], dead_letters: [{ waiting: 2 }, { waiting: 1 }] }),
  });
  assert.deepEqual(findings.map((words) => words.split(':')[0]), ['bad', 'bad', 'warn', 'warn', 'warn']);
  assert.match(findings[1], /no consumer, 1 entry waiting/);
  assert.match(findings.at(-1), /3 dead letters/);
});

test('a write-ahead log that commits fill faster than they copy it is not held back', () => {
  assert.deepEqual(told({ stats: stats({}, { wal_pages: 60_000, wal_copied_pages: 58_000 }), redis: null }), []);
  assert.match(told({ stats: stats({}, { wal_pages: 60_000, wal_copied_pages: 0 }), redis: null })[0], /60,000 pages/);
});

test('a log that does not answer is the worst of all', () => {
  assert.match(told({ stats: stats({ log: null, mirrors: [mirror('stopped')] }), redis: null })[0], /^bad: The log cannot be read/);
});

test('every state of a mirror that is not live is told, and catching up only where it is far behind', () => {
  for (const state of ['forked', 'blocked', 'stopped', 'retrying']) assert.match(told({ stats: stats({ mirrors: [mirror(state, 7)] }), redis: null })[0] ?? '', /^bad: Mirror native/);
  assert.deepEqual(told({ stats: stats({ mirrors: [mirror('live'), mirror('catching_up', 10), mirror('catching_up', null), mirror('toString')] }), redis: null }), []);
  assert.match(told({ stats: stats({ mirrors: [mirror('catching_up', 20_000)] }), redis: null })[0], /20,000 events behind/);
});

test('a mirror that lags is told once, as a mirror and not as a reader', () => {
  assert.deepEqual(told({ stats: stats({ readers: [{ name: 'mirror.native', lag: 90_000, is_mirror: true }] }), redis: null }), []);
});

test('a group without a consumer is well as long as nothing waits for it', () => {
  assert.deepEqual(told({ stats: null, redis: redis({ groups: [group({ consumers: 0, lag: null })] }) }), []);
  assert.match(told({ stats: null, redis: redis({ groups: [group({ consumers: 0, lag: 3 })] }) })[0], /3 entries waiting/);
  assert.match(told({ stats: null, redis: redis({ groups: [group({ lag: 20_000 })] }) })[0], /^warn: Group g is 20,000 entries behind/);
});

test('a Redis that does not answer is told alone, and one that is nearly full before it is', () => {
  assert.equal(told({ stats: null, redis: { is_up: false, error: 'connection refused', server: null, streams: [], groups: [], dead_letters: [] } }).length, 1);
  const server = { used_memory: 95, max_memory: 100, warnings: ['it evicts: entries go: unread'] };
  assert.deepEqual(told({ stats: null, redis: redis({ server }) }), ['bad: Redis uses 95 B of 100 B', 'warn: Redis: it evicts']);
  assert.equal(judge({ stats: null, redis: redis({ server }) })[1].next, 'Entries go: unread');
});
