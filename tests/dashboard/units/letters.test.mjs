// Dead letters that are read again while they go and come, and what a replay asks.
import assert from 'node:assert/strict';
import test from 'node:test';
import { append, groupsOf, keyOf, parseKey, reasonOf, refresh, replayAll, requestsOf } from '../../../dashboard/dead/letters.js';
import { wholeOf } from '../../../dashboard/dead/whole.js';

const letter = (number, own = {}) => ({ id: `${number}-0`, stream: 'q', group: 'billing', ...own });
const letters = (...numbers) => numbers.map((number) => letter(number));
const ids = ({ rows }) => rows.map(({ id }) => Number(id.split('-')[0]));

test('what is new comes on top, what has gone leaves, and further pages stay with their place', () => {
  const list = { rows: letters(9, 8, 7, 6, 5), next: 'behind 5' };
  const after = refresh(list, { letters: letters(11, 9, 7), next: 'behind 7' });
  assert.deepEqual(ids(after), [11, 9, 7, 6, 5]);
  assert.equal(after.next, 'behind 5');
});

test('a first page without a next one is all there is', () => {
  assert.deepEqual(refresh({ rows: letters(9, 8, 7), next: null }, { letters: letters(9), next: null }), { rows: letters(9), next: null });
  assert.deepEqual(refresh({ rows: letters(9), next: 'x' }, { letters: [], next: null }).rows, []);
});

test('where the first page has nothing of what was known, the list begins anew with it', () => {
  const after = refresh({ rows: letters(3, 2, 1), next: 'behind 1' }, { letters: letters(99, 98), next: 'behind 98' });
  assert.deepEqual(after, { rows: letters(99, 98), next: 'behind 98' });
  assert.deepEqual(refresh({ rows: null, next: null }, { letters: letters(2), next: 'n' }).next, 'n');
});

test('a letter is known by its queue as well as by its id', () => {
  const twin = letter(5, { stream: 'other' });
  const after = append({ rows: letters(6, 5) }, { letters: [letter(5), twin], next: null });
  assert.deepEqual(after.rows.map(keyOf), ['6-0@q', '5-0@q', '5-0@other']);
});

test('a key is read back, whatever the queue is called', () => {
  const odd = { id: '17-3', stream: 'a@b/ü:{x}' };
  assert.deepEqual(parseKey(keyOf(odd)), odd);
  assert.equal(parseKey('17-3'), null);
  assert.equal(parseKey('@q'), null);
});

test('a request has letters of one queue, no more than the server takes, and a group only for those without', () => {
  const many = Array.from({ length: 150 }, (_, at) => letter(at));
  const requests = requestsOf([...many, letter(900, { stream: 'r' }), letter(901, { group: null })], 'rescue');
  assert.deepEqual(requests.map(({ stream, group, ids: asked }) => [stream, group, asked.length]), [
    ['q', null, 100], ['q', null, 50], ['r', null, 1], ['q', 'rescue', 1],
  ]);
  assert.deepEqual(requestsOf([letter(1, { group: null })])[0].group, null);
});

test('a report sums what every request did, and says what was not asked after one that failed', async () => {
  const requests = requestsOf([...Array.from({ length: 250 }, (_, at) => letter(at))]);
  let asked = 0;
  const report = await replayAll(requests, async ({ ids: own }) => {
    asked += 1;
    if (asked === 2) throw new Error('redis: no answer');
    return { replayed: own.length - 1, gone: 0, refused: [{ id: own[0], reason: 'its group is not there' }] };
  });
  assert.equal(asked, 2, 'the third would have failed too');
  assert.deepEqual([report.replayed, report.unasked, report.error.message], [99, 50, 'redis: no answer']);
  assert.deepEqual(report.refused, [{ id: '0-0', stream: 'q', reason: 'its group is not there' }]);
});

test('the groups that handle letters again are counted, those without one too', () => {
  assert.deepEqual(groupsOf([letter(1), letter(2, { group: null }), letter(3), letter(4, { group: 'audit' })]), [['', 1], ['audit', 1], ['billing', 2]]);
});

test('a whole letter keeps its payload as it was sent, and an entry that is no event has none', () => {
  const text = '{"id":"1-0","text":"no","event":{"payload":{"big":9007199254740993,"rate":1.50}},"error":"a \\"b\\"","fields":{"payload":"x"}}';
  const whole = wholeOf(text);
  assert.equal(text.slice(...whole.payload), '{"big":9007199254740993,"rate":1.50}');
  assert.deepEqual([whole.id, whole.error, whole.fields], ['1-0', 'a "b"', { payload: 'x' }]);
  assert.equal(wholeOf('{"id":"1-0","event":null}').payload, null);
});

test('a reason that is known is said in words, any other as it stands', () => {
  assert.equal(reasonOf({ reason: 'failed' }), 'failed every attempt');
  for (const reason of ['constructor', '__proto__', 'tired', null]) assert.equal(reasonOf({ reason }), reason);
});
