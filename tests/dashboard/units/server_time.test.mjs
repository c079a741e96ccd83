// Durations of what runs are measured by the server's clock.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aheadOf, learn, serverTime } from '../../../dashboard/parts/server_time.js';

const NOON = Date.parse('2026-03-01T12:00:00Z');
const dateAt = (ms) => new Date(ms).toUTCString();

test('a clock that is an hour off is put right, either way', () => {
  for (const off of [3_600_000, -3_600_000]) {
    learn(dateAt(NOON + off), NOON);
    assert.equal(serverTime(NOON + 250), NOON + off + 250);
  }
});

test('what the seconds of a date leave out is no difference', () => {
  learn(dateAt(NOON - 1_000), NOON);
  assert.equal(serverTime(NOON), NOON);
});

test('an answer without a date changes nothing', () => {
  learn(dateAt(NOON + 60_000), NOON);
  learn(null, NOON);
  learn('soon', NOON);
  assert.deepEqual([aheadOf('soon', NOON), serverTime(NOON)], [null, NOON + 60_000]);
});
