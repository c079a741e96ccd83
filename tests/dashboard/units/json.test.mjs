// What the payload viewer reads of a JSON text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOf, fieldsOf, kindAt, membersOf, valueOf } from '../../../dashboard/payload/json.js';
import { parseExact } from '../../../dashboard/parts/exact.js';
import { GROUP, moveFrom, openJson, rowsOf } from '../../../dashboard/payload/rows.js';

const sources = (text, at = 0) => {
  const members = membersOf(text, at);
  const found = [];
  for (let i = 0; i < members.length; i += 3) found.push(text.slice(members[i + 1], members[i + 2]));
  return found;
};
const rows = (text, toggled) => rowsOf(openJson(text), 0, text.length, toggled);

test('a number keeps the digits that a double cannot hold', () => {
  const text = '{"id":9007199254740993,"small":1.50,"large":1e400,"zero":-0}';
  assert.deepEqual(sources(text), ['9007199254740993', '1.50', '1e400', '-0']);
});

test('fields keep their order, also those that look like places in an array', () => {
  const names = rows('{"b":1,"2":2,"a":3,"1":4}').slice(1).map(({ name }) => name);
  assert.deepEqual(names, ['b', '2', 'a', '1']);
});

test('a string ends at its own quote, whatever is escaped or looks like brackets', () => {
  const strings = ['a', 'quote " here', 'back \\', '\\"', ']}{[', 'é\u{1f600}', '\n\t', ''];
  const text = JSON.stringify(strings);
  assert.deepEqual(sources(text).map((source) => JSON.parse(source)), strings);
  assert.equal(endOf('"\\\\\\\\" ,1', 0), 6);
  const nested = JSON.stringify([strings, { '}"': strings }, 1]);
  assert.deepEqual(sources(nested).map((source) => JSON.parse(source)), [strings, { '}"': strings }, 1]);
});

test('spaces and line breaks around the parts belong to none of them', () => {
  const text = ' {\n "a" : [ 1 , { } ] ,\r\n\t"b": null }';
  const fields = fieldsOf(text);
  assert.deepEqual([...fields].map(([name, [start, end]]) => [name, text.slice(start, end)]), [['a', '[ 1 , { } ]'], ['b', 'null']]);
  assert.deepEqual(sources('[ ]'), []);
  assert.deepEqual(sources(' {}', 1), []);
});

test('the parts of random values are those that JSON.parse finds', () => {
  let seed = 7;
  const next = (below) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  const random = (depth) => {
    const kind = next(depth > 4 ? 4 : 6);
    if (kind === 4) return Array.from({ length: next(5) }, () => random(depth + 1));
    if (kind === 5) return Object.fromEntries(Array.from({ length: next(5) }, (_, at) => [`k${at}"\\`, random(depth + 1)]));
    return [null, next(2) === 0, next(100_000) / 100, String.fromCharCode(...Array.from({ length: next(9) }, () => 32 + next(95)))][kind];
  };
  const read = (text, start, end) => {
    const kind = kindAt(text, start);
    if (kind !== 'array' && kind !== 'object') return valueOf(text, start, end);
    const members = membersOf(text, start);
    const parts = [];
    for (let i = 0; i < members.length; i += 3) {
      const value = read(text, members[i + 1], members[i + 2]);
      parts.push(kind === 'array' ? value : [valueOf(text, members[i], endOf(text, members[i])), value]);
    }
    return kind === 'array' ? parts : Object.fromEntries(parts);
  };
  for (let round = 0; round < 300; round += 1) {
    const value = random(0);
    const text = JSON.stringify(value, null, round % 3);
    assert.deepEqual(read(text, 0, text.length), value);
  }
});

test('what is no JSON is borne', () => {
  for (const text of ['', '{', '[1,', '{"a"', '{"a":', '"open', '[}', '{]', '[1 2 3]', '{,,}', '[\\]', '\u0000']) {
    assert.ok(rows(text).length >= 1, text);
    assert.ok(fieldsOf(text).size <= 2, text);
  }
  assert.equal(valueOf('{oops', 0, 5), undefined);
});

test('a small payload is open, of a large one the first level', () => {
  assert.deepEqual(rows('{"a":{"b":[1,2]}}').map(({ name }) => name), [null, 'a', 'b', 0, 1]);
  const large = JSON.stringify({ a: { list: Array.from({ length: 400 }, () => 1) }, b: 1 });
  assert.deepEqual(rows(large).map(({ name, isOpen }) => [name, isOpen]), [[null, true], ['a', false], ['b', false]]);
});

test('a million members are reached in steps of a hundred rows', () => {
  const text = `[${'7,'.repeat(999_999)}8]`;
  const json = openJson(text);
  const toggled = new Set();
  const shown = () => rowsOf(json, 0, text.length, toggled);
  assert.equal(shown().length, 1 + GROUP);
  toggled.add(shown().at(-1).id);
  assert.equal(shown().length, 1 + 2 * GROUP);
  toggled.add(shown().at(-1).id);
  const last = shown().at(-1);
  assert.equal(shown().length, 1 + 3 * GROUP);
  assert.deepEqual([last.name, text.slice(last.start, last.end), last.depth], [999_999, '8', 3]);
  const odd = rows(JSON.stringify(Array.from({ length: 101 }, (_, at) => at)), new Set());
  assert.deepEqual(odd.filter(({ kind }) => kind === 'group').map(({ from, to }) => [from, to]), [[0, 100], [100, 101]]);
});

test('of a payload of megabytes the first level is read, and nothing twice', () => {
  const text = JSON.stringify({ lines: Array.from({ length: 40_000 }, (_, at) => ({ at, text: 'x'.repeat(80) })), end: 1 });
  const json = openJson(text);
  assert.equal(rowsOf(json, 0, text.length).length, 3);
  assert.equal(json.members(0), json.members(0));
});

test('the keys of the tree open, close and lead to the parent', () => {
  const text = '{"a":{"b":1},"c":[]}';
  const open = rows(text);
  assert.deepEqual(moveFrom(open, 0, 'ArrowDown'), { at: 1 });
  assert.deepEqual(moveFrom(open, 2, 'ArrowLeft'), { at: 1 });
  assert.deepEqual(moveFrom(open, 3, 'ArrowLeft'), { at: 0 }, 'past what its sibling holds');
  assert.deepEqual(moveFrom(open, 1, 'ArrowLeft'), { at: 1, toggle: open[1].id });
  const closed = rows(text, new Set([open[1].id]));
  assert.equal(closed.length, 3);
  assert.deepEqual(moveFrom(closed, 1, 'ArrowRight'), { at: 1, toggle: open[1].id });
  assert.deepEqual(moveFrom(closed, 2, 'ArrowRight'), { at: 2 }, 'nothing is in it');
  assert.deepEqual(moveFrom(closed, 2, 'End'), { at: 2 });
  assert.deepEqual(moveFrom(closed, 0, 'ArrowUp'), { at: 0 });
  assert.equal(moveFrom(closed, 0, 'x'), null);
});

test('what is read for a row keeps numbers that a double would change, and all others as numbers', () => {
  const read = parseExact('{"id":9007199254740993,"far":[-12345678901234567890],"big":1e400,"seq":9007199254740991,"price":1.50,"text":"1e5"}');
  assert.deepEqual(read, { id: '9007199254740993', far: ['-12345678901234567890'], big: '1e400', seq: 9007199254740991, price: 1.5, text: '1e5' });
  assert.deepEqual(parseExact('[1,2.5,null,"a"]'), [1, 2.5, null, 'a']);
  assert.throws(() => parseExact('{'), SyntaxError);
});
