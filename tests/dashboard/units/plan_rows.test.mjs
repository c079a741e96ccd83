// The rows of a plan's tree and what they say: `plans/rows.js` and `plans/words.js`.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createModel, take } from '../../../dashboard/plans/model.js';
import { keyOfItem, rowsOf, selfTime } from '../../../dashboard/plans/rows.js';
import { saidIn } from '../../../dashboard/parts/said.js';
import { failureOf, givenTo, goalOf, wordsOf } from '../../../dashboard/plans/words.js';
import { log } from './plan_events.mjs';

const survey = () => {
  const event = log();
  const { plans } = take(createModel(), [
    event('PlanStarted', 'p', { goal: 'survey' }),
    event('ToolCalled', 'p', { call_id: '1', tool: 'list_dir', arguments: { path: '.' } }),
    event('ToolCompleted', 'p', { call_id: '1', ok: true }),
    event('SubplanSpawned', 'p', { subplan: 'p/a', goal: 'survey a' }),
    event('ToolCalled', 'p/a', { call_id: '1', tool: 'read_file', arguments: { path: 'a/broken.txt' } }),
    event('ToolCompleted', 'p/a', { call_id: '1', ok: false, error: 'not UTF-8' }),
    event('DecisionMade', 'p/a', { decision: 'skip broken.txt', reason: 'no text' }),
    event('SubplanSpawned', 'p', { subplan: 'p/b', goal: 'survey b' }),
    event('PlanFailed', 'p/b', { error: 'gone' }),
  ]);
  return plans.get('p');
};
const shown = (root, options) => rowsOf(root, { closed: new Set(), ...options }).map(({ item, depth }) => `${'  '.repeat(depth)}${wordsOf(item).title}`);

test('a tree has its plans with what is below them, each a step to the right', () => {
  assert.deepEqual(shown(survey()), ['survey', '  list_dir', '  survey a', '    read_file', '    skip broken.txt', '  survey b']);
});

test('what is closed is left out, and says that it is', () => {
  const root = survey();
  const rows = rowsOf(root, { closed: new Set(['plan p/a']) });
  assert.deepEqual(rows.map(({ item, isOpen }) => [keyOfItem(item), isOpen]), [
    ['plan p', true], ['call 2', undefined], ['plan p/a', false], ['plan p/b', undefined],
  ]);
});

test('a row knows its place among what is shown beside it', () => {
  const rows = rowsOf(survey(), { closed: new Set(), failedOnly: true });
  assert.deepEqual(rows.map(({ at, of }) => [at, of]), [[1, 1], [1, 2], [1, 1], [2, 2]]);
});

test('of what failed its plans are shown too, also those that were closed', () => {
  const closed = new Set(['plan p/a']);
  assert.deepEqual(shown(survey(), { failedOnly: true, closed }), ['survey', '  survey a', '    read_file', '  survey b']);
});

test('a text is looked for in names, arguments, reasons and errors, in upper or lower case', () => {
  const found = (text) => shown(survey(), { text });
  assert.deepEqual(found('NO TEXT'), ['survey', '  survey a', '    skip broken.txt']);
  assert.deepEqual(found('utf-8'), ['survey', '  survey a', '    read_file']);
  assert.deepEqual(found('path=.'), ['survey', '  list_dir']);
  assert.deepEqual(found('p/b'), ['survey', '  survey b']);
  assert.deepEqual(found('nowhere'), []);
  assert.deepEqual(shown(survey(), { text: 'broken', failedOnly: true }), ['survey', '  survey a', '    read_file']);
});

test('the time that a plan took by itself leaves out what ran below it, once where it ran side by side', () => {
  const span = (start, end) => ({ start, end });
  assert.equal(selfTime(0, 10, []), 10);
  assert.equal(selfTime(0, 10, [span(2, 4), span(6, 9)]), 5);
  assert.equal(selfTime(0, 10, [span(6, 9), span(2, 8), span(3, 4)]), 3);
  assert.equal(selfTime(0, 10, [span(8, 15)]), 8);
  assert.equal(selfTime(5, 10, [span(0, 6), span(12, 20)]), 4);
});

test('recorded runs of other makers say in their own fields what was decided, given and refused', () => {
  assert.equal(saidIn({ role: 'assistant', content: { type: 'text', text: 'Let me look.' } }), 'Let me look.');
  assert.equal(saidIn({ content: [{ type: 'x' }, { type: 'text', text: 'second' }] }), 'second');
  assert.equal(saidIn({ part: { text: 'hi' } }), 'hi');
  assert.equal(saidIn({ content: { text: '  \n' } }), '');
  assert.equal(givenTo({ call_id: '1', tool: 'Bash', input: { command: 'ls' } }), 'command=ls');
  assert.equal(givenTo({ call_id: '1', tool: 'run', message: 'Running ls' }), 'Running ls');
  assert.equal(givenTo({ call_id: '1', tool: 'run', timeout: 5 }), 'timeout=5');
  assert.equal(givenTo({ tool: 'none' }), '');
  assert.equal(failureOf({ ok: false, content: 'File not found' }), 'File not found');
  assert.equal(goalOf({ goal: 'book a trip', prompt: 'Book!' }), 'book a trip');
  assert.equal(goalOf({ prompt: 'Work on\nthe page' }), 'Work on the page');
  assert.equal(goalOf({}), '');
});

test('a text that goes round in itself or is deep is not followed without end', () => {
  let deep = { text: 'bottom' };
  for (let at = 0; at < 64; at += 1) deep = { content: deep };
  assert.equal(saidIn(deep), '');
});
