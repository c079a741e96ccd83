// What the view of the log keeps, asks for and marks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterOf, isJumped, matcherOf, needsServer, parseJump, placeOf, wrongField } from '../../../dashboard/events/query.js';
import { HELD_MAX, listOf, placeOfSeq, ROWS_MAX, withHeld, withNewer, withOlder, withReleased } from '../../../dashboard/events/rows.js';
import { othersOf } from '../../../dashboard/parts/filters.js';
import { around, patternOf, pieces } from '../../../dashboard/parts/highlight.js';

const events = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => ({ seq: from + at }));
const page = (from, to) => events(from, to).reverse();
const seqs = ({ rows }) => rows.map(({ seq }) => seq);

test('what was read and what came meanwhile have no row twice and none missing', () => {
  const list = withNewer(listOf(page(5, 8), 5), events(7, 10));
  assert.deepEqual(seqs(list), [10, 9, 8, 7, 6, 5]);
  assert.equal(list.origin, -2);
  assert.equal(withNewer(list, events(6, 10)), list, 'nothing new');
  assert.deepEqual(seqs(withOlder(list, page(3, 6), 3)), [10, 9, 8, 7, 6, 5, 4, 3]);
});

test('new rows push out the oldest, which are read again from where the list ends', () => {
  let list = listOf(page(1, 100), null);
  for (let seq = 101; seq <= 200_000; seq += 1_000) list = withNewer(list, events(seq, seq + 999));
  assert.equal(list.rows.length, ROWS_MAX);
  assert.equal(list.older, list.rows.at(-1).seq);
  const further = seqs(withOlder(list, page(list.older - 2, list.older - 1), 7));
  assert.deepEqual(further.slice(-3).map((seq) => seq - list.older), [0, -1, -2]);
  assert.deepEqual([further.length, further[0]], [ROWS_MAX, list.rows[2].seq], 'the two newest went');
});

test('a reader far down keeps the rows around, and the newest go', () => {
  let list = withHeld(listOf(page(100_001, 100_100), 100_001), events(100_101, 100_105));
  for (let before = 100_001; before > 70_000; before -= 100) list = withOlder(list, page(before - 100, before - 1), before - 100);
  assert.equal(list.rows.length, ROWS_MAX);
  assert.ok(list.isPast && list.heldCount === 0);
  assert.equal(list.origin, 100_100 - list.rows[0].seq, 'every row moved up by what went above it');
  assert.equal(withNewer(list, events(200_000, 200_001)), list, 'what is new does not stand on what is old');
  assert.equal(withHeld(list, events(200_000, 200_001)), list);
});

test('what waits comes on top once, in order', () => {
  let list = listOf(page(1, 3), null);
  list = withHeld(withHeld(list, events(3, 5)), events(5, 6));
  assert.deepEqual([list.heldCount, seqs(list)], [3, [3, 2, 1]]);
  list = withReleased(list);
  assert.deepEqual([list.heldCount, list.held, seqs(list)], [0, [], [6, 5, 4, 3, 2, 1]]);
});

test('of very many that wait only the number is kept', () => {
  let list = listOf([], null);
  for (let seq = 1; seq <= 100_000; seq += 500) list = withHeld(list, events(seq, seq + 499));
  assert.equal(list.heldCount, 100_000);
  assert.ok(list.held.length <= HELD_MAX && !list.isHeldWhole);
});

test('what waits with a hole in it is never put on top', () => {
  const list = withHeld(listOf(page(1, 3), null), events(300, 310), false);
  assert.deepEqual([list.isHeldWhole, list.heldCount], [false, 11]);
  assert.equal(withHeld(list, events(311, 312)).isHeldWhole, false);
  const unseen = withHeld(listOf(page(1, 3), null), [], false);
  assert.deepEqual([unseen.isHeldWhole, unseen.heldCount], [false, 1]);
});

test('an event is found among the rows by its seq', () => {
  const { rows } = listOf([{ seq: 90 }, { seq: 7 }, { seq: 3 }], null);
  assert.deepEqual([90, 7, 3, 4, 100, 0].map((seq) => placeOfSeq(rows, seq)), [0, 1, 2, -1, -1, -1]);
  assert.equal(placeOfSeq([], 1), -1);
});

test('types, families, plan and agent are decided as the server does', () => {
  const is = (filter, event) => matcherOf(filter)(event);
  const event = { event_type: 'workflow.started', plan_id: 'a/b', source: 'planner', correlation_id: 'a' };
  assert.ok(is({}, event) && is({ type: ' ToolCalled, workflow.* ' }, event) && is({ type: 'workflow.started' }, event));
  assert.ok(!is({ type: 'workflow' }, event) && !is({ type: 'workflow.start' }, event) && !is({ type: 'work.*' }, event));
  assert.ok(!is({ type: 'workflow.*' }, { event_type: 'workflows.started' }) && !is({ type: 'workflow.*' }, { event_type: 'workflow' }));
  assert.ok(is({ plan: 'a/b', source: 'planner', correlation: 'a' }, event));
  assert.ok(!is({ plan: 'a' }, event) && !is({ source: 'plan' }, event) && !is({ correlation: 'a/b' }, event));
});

test('the URL says what is asked for, and who has to answer', () => {
  const filter = filterOf({ q: 'x', type: '', tenant: 'acme', event: '4', before: '9' });
  assert.deepEqual(filter, { q: 'x', before: '9' });
  assert.ok(isJumped(filter) && needsServer(filter) && !needsServer({ type: 'a', plan: 'b' }) && !isJumped({ text: 'a' }));
  assert.equal(placeOf('/events?text=a%26before%3D1&before=42'), 42);
  assert.equal(placeOf(null), null);
});

test('the field that the server calls wrong is told from other errors', () => {
  assert.deepEqual(wrongField({ status: 400, message: 'type: event_type: must match [A-Z]: x' }), { name: 'type', message: 'event_type: must match [A-Z]: x' });
  for (const error of [null, { status: 400, message: 'limit: too many' }, { status: 501, message: 'q: no index' }, { status: 400, message: 'no field' }]) {
    assert.equal(wrongField(error), null);
  }
});

test('a place is written as people write it', () => {
  const now = new Date(2026, 2, 5, 12, 0, 0);
  const until = (text) => new Date(parseJump(text, now).until).getTime();
  assert.deepEqual(parseJump(' 41 '), { before: '42', until: '' });
  assert.deepEqual(parseJump('#41'), { before: '42', until: '' });
  assert.equal(until('90m'), now.getTime() - 90 * 60_000);
  assert.equal(until('2 h ago'), now.getTime() - 2 * 3_600_000);
  assert.equal(until('9:05'), new Date(2026, 2, 5, 9, 5, 59, 999).getTime());
  assert.equal(until('2026-03-01'), new Date(2026, 2, 1, 23, 59, 59, 999).getTime());
  assert.equal(until('2026-03-01 10:00'), new Date(2026, 2, 1, 10, 0).getTime());
  assert.equal(until('2026-03-01T10:00:00Z'), Date.UTC(2026, 2, 1, 10));
  for (const wrong of ['', 'x', '25:00', '12:61', '2026-13-01', '-4', '1e3', '9'.repeat(20)]) assert.equal(parseJump(wrong, now), null, wrong);
});

test('what was looked for is marked as it stands, and nothing else', () => {
  const marked = (words, asked) => pieces(words, patternOf(asked)).map(([piece, isMatch]) => (isMatch ? `[${piece}]` : piece)).join('');
  assert.equal(marked('a.b a+b A.B', { text: 'a.b' }), '[a.b] a+b A.B');
  assert.equal(marked('Read the File, reading', { q: 'read* "the file" "' }), '[Read] [the File], [read]ing');
  assert.equal(marked('reading', { q: 'read reading' }), '[reading]');
  assert.equal(marked('<script>x</script>', { text: '<script>' }), '[<script>]x</script>');
  assert.equal(marked('anything', {}), 'anything');
  assert.equal(patternOf({ q: '** "' }), null);
  assert.deepEqual(pieces('', patternOf({ text: 'a' })), []);
});

test('a match that no row shows is shown with what is around it', () => {
  const words = `${'x'.repeat(200)}needle${'y'.repeat(200)}`;
  const shown = around(words, patternOf({ text: 'needle' }));
  assert.ok(shown.startsWith('…x') && shown.includes('needle') && shown.endsWith('y…') && shown.length < 140);
  assert.equal(around(words, patternOf({ text: 'pin' })), '');
  assert.equal(around('needle', null), '');
});

test('families are offered before the types of them, the eight and doubles never', () => {
  const seen = ['ToolCalled', 'weather.wind', 'note', 'weather.rain', 'note', 'weather.*'];
  assert.deepEqual(othersOf(seen), ['weather.*', 'note', 'weather.rain', 'weather.wind']);
  assert.equal(othersOf(Array.from({ length: 1_000 }, (_, at) => `type${at}`)).length, 50);
});
