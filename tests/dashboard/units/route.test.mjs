// The part of the URL behind `#`: what was put in comes out again, whatever it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.location = { hash: '', pathname: '/', search: '' };
globalThis.addEventListener = () => {};
const { formatRoute, parseRoute } = await import('../../../dashboard/route.js');

const HARD = ['a/b', 'a?b', 'a#b', 'a%2Fb', '%', 'ü 🦀', '..', 'a&b=c', 'a+b', '"<script>', '__proto__', 'constructor'];

test('a path and its parameters come back as they were', () => {
  for (const id of HARD) {
    const { path, params } = parseRoute(formatRoute(['plans', id], { q: id, view: 'log' }));
    assert.deepEqual([path, params.q, params.view], [['plans', id], id, 'log'], id);
  }
});

test('what is empty is left out', () => {
  assert.equal(formatRoute(['plans'], { status: '', q: undefined, type: null, limit: 0 }), '#/plans?limit=0');
});

test('nothing is the plans, and what nobody wrote is borne', () => {
  for (const hash of ['', '#', '#/', '#?q=1']) assert.deepEqual(parseRoute(hash).path, ['plans'], hash);
  assert.deepEqual(parseRoute('#/plans/%zz').path, ['plans', '%zz']);
  assert.equal(parseRoute('#/events?text=a?b').params.text, 'a?b');
});
