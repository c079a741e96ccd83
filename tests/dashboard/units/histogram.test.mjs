// Histograms, and what is made of their readings.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createCommits } from '../../../dashboard/health/commits.js';
import { between, quantile, quantileOf } from '../../../dashboard/health/histogram.js';

const reading = (...counts) => ({
  count: counts.at(-1), sum_us: 0,
  buckets: [100, 200, 1_000, null].map((le_us, at) => ({ le_us, count: counts[at] })),
});

test('a quantile lies within the bucket that holds it, and 0 values have none', () => {
  assert.equal(quantile(reading(10, 10, 10, 10), 0.5), 50);
  assert.equal(quantile(reading(0, 10, 10, 10), 0.5), 150);
  assert.equal(quantile(reading(0, 0, 4, 4), 1), 1_000);
  assert.equal(quantile(reading(0, 0, 0, 0), 0.5), null);
  assert.equal(quantile(null, 0.5), null);
});

test('above the last bound, a value was at least as large as that', () => {
  assert.equal(quantile(reading(0, 0, 0, 5), 0.99), 1_000);
});

test('an empty bucket before the wanted one is passed over', () => {
  assert.equal(quantile(reading(5, 5, 10, 10), 0.5), 100);
  assert.ok(quantile(reading(5, 5, 10, 10), 0.51) > 200);
});

test('between two readings counts only what came; after a restart all is new', () => {
  assert.deepEqual(between(reading(10, 10, 10, 10), reading(10, 14, 14, 14)).buckets.map(({ count }) => count), [0, 4, 4, 4]);
  assert.equal(between(reading(10, 10, 10, 10), reading(3, 3, 3, 3)).count, 3);
  assert.equal(between(null, reading(3, 3, 3, 3)).count, 3);
  assert.equal(between(reading(3, 3, 3, 3), null), null);
});

test('a quantile of values needs no order and spoils none', () => {
  const values = [300, 100, 200, 400];
  assert.equal(quantileOf(values, 0.5), 200);
  assert.equal(quantileOf(values, 0.95), 400);
  assert.deepEqual(values, [300, 100, 200, 400]);
  assert.equal(quantileOf([], 0.5), null);
  assert.equal(quantileOf([7], 0.01), 7);
});

test('commits are counted since the first reading, whatever was before', () => {
  const commits = createCommits();
  commits.add(reading(1_000, 1_000, 1_000, 1_000), 1_000);
  assert.deepEqual(commits.all(), { count: 0, p50: null, p99: null });
  commits.add(reading(1_000, 1_010, 1_010, 1_010), 3_000);
  const { count, p50 } = commits.all();
  assert.deepEqual([count, p50], [10, 150]);
  assert.deepEqual(commits.series().times, [3]);
});

test('a server that began anew has committed all it tells of since then, also when it has overtaken the first reading', () => {
  const commits = createCommits();
  commits.add(reading(50, 50, 50, 50), 1_000);
  commits.add(reading(0, 7, 7, 7), 3_000);
  assert.equal(commits.all().count, 7);
  commits.add(reading(0, 90, 90, 90), 5_000);
  assert.equal(commits.all().count, 90);
});

test('one reading is counted once, and points older than the window are forgotten', () => {
  const commits = createCommits();
  const one = reading(0, 0, 0, 0);
  commits.add(one, 0);
  commits.add(one, 1_000);
  commits.add(null, 1_500);
  commits.add(reading(5, 5, 5, 5), 2_000);
  assert.equal(commits.series().times.length, 1);
  commits.add(reading(9, 9, 9, 9), 400_000);
  assert.deepEqual(commits.series().times, [400]);
});
