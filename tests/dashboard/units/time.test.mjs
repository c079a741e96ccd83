// Times, durations and sizes, in the words of the terminal.
import assert from 'node:assert/strict';
import { test } from 'node:test';

process.env.TZ = 'UTC';
const { bytes, clock, count, counted, duration, running } = await import('../../../dashboard/parts/time.js');

test('a duration is said in the unit that a person reads it in', () => {
  for (const [ms, words] of [
    [0, '0 µs'], [0.25, '250 µs'], [1, '1.00 ms'], [12.34, '12.3 ms'], [999, '999.0 ms'], [1_000, '1.00 s'],
    [59_990, '59.99 s'], [60_000, '1m 00s'], [3_599_999, '59m 59s'], [7_620_000, '2h 07m'], [172_800_000, '2d 0h'],
  ]) assert.equal(duration(ms), words, String(ms));
});

test('what is no duration is nothing', () => {
  for (const wrong of [-1, NaN, Infinity, undefined]) assert.equal(duration(wrong), '', String(wrong));
});

test('what runs is shown in steps that a reader can follow, and never before its begin', () => {
  assert.deepEqual([running(-50), running(1_234), running(61_000)], ['0.0 s', '1.2 s', '1m 01s']);
});

test('a time of another day has its date, one of another year its year', () => {
  const now = new Date('2026-03-02T12:00:00Z');
  assert.equal(clock('2026-03-02T09:05:07.089123Z', now), '09:05:07.089');
  assert.equal(clock('2026-03-01T09:05:07Z', now), '03-01 09:05:07.000');
  assert.equal(clock('2025-12-31T23:59:59.999Z', now), '2025-12-31 23:59:59.999');
  assert.equal(clock('no time', now), '');
});

test('counts and sizes are said for people', () => {
  assert.deepEqual([count(1_234_567), counted(1, 'event'), counted(0, 'event')], ['1,234,567', '1 event', '0 events']);
  assert.deepEqual([bytes(1_023), bytes(1_024), bytes(5 * 1024 ** 4)], ['1023 B', '1.0 KiB', '5.0 TiB']);
});
