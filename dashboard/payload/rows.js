// A JSON text as the rows of a tree, as far as it is open. Pure. Of a container with many members no more
// than GROUP rows come at once: longer ones are cut into groups, and groups into smaller ones.
import { endOf, kindAt, membersOf, valueOf } from './json.js';

export const GROUP = 100;
// A value with so few characters is open from the beginning.
const OPEN_CHARS = 600;

// A text and what has been read of it, so that nothing is looked for twice.
export const openJson = (text) => {
  const members = new Map();
  const values = new Map();
  return {
    text,
    members: (at) => {
      if (!members.has(at)) members.set(at, membersOf(text, at));
      return members.get(at);
    },
    // A string or a name, as it reads.
    words: (at, end) => {
      if (!values.has(at)) values.set(at, valueOf(text, at, end) ?? text.slice(at, end));
      return values.get(at);
    },
  };
};

const sizeOfGroups = (count) => {
  let size = GROUP;
  while (size * GROUP < count) size *= GROUP;
  return size;
};

const isContainer = (kind) => kind === 'object' || kind === 'array';

// A node: `id` stays the same as long as the text does. A value has `name` (null for the whole, a number
// in an array), `start`, `end` and, where it has members, their `count`; a group has `from` and `to`.
const valueNode = (json, depth, name, start, end) => {
  const kind = kindAt(json.text, start);
  const count = isContainer(kind) ? json.members(start).length / 3 : 0;
  return { id: String(start), kind, depth, name, start, end, count, canOpen: count > 0 };
};
const groupNode = (of, depth, from, to) => ({
  id: `${of.start}:${from}-${to}`, kind: 'group', depth, name: null, start: of.start, end: of.end, from, to, of: of.kind, count: to - from, canOpen: true,
});

const childrenOf = (json, node) => {
  const members = json.members(node.start);
  const [from, to] = node.kind === 'group' ? [node.from, node.to] : [0, members.length / 3];
  const depth = node.depth + 1;
  const children = [];
  if (to - from > GROUP) {
    const size = sizeOfGroups(to - from);
    const of = node.kind === 'group' ? { ...node, kind: node.of } : node;
    for (let at = from; at < to; at += size) children.push(groupNode(of, depth, at, Math.min(at + size, to)));
    return children;
  }
  for (let at = from; at < to; at += 1) {
    const [name, start, end] = members.slice(at * 3, at * 3 + 3);
    children.push(valueNode(json, depth, name < 0 ? at : json.words(name, endOf(json.text, name)), start, end));
  }
  return children;
};

const isOpenAtFirst = (node) => node.depth === 0 || (node.kind !== 'group' && node.end - node.start <= OPEN_CHARS);

// The rows of the value between two places, from top to bottom. `toggled` holds the ids of the nodes that
// the reader opened or closed against what they were at first.
export const rowsOf = (json, start, end, toggled = new Set()) => {
  const rows = [];
  const visit = (node, at, of) => {
    const isOpen = node.canOpen && isOpenAtFirst(node) !== toggled.has(node.id);
    rows.push({ ...node, isOpen, at, of });
    if (!isOpen) return;
    const children = childrenOf(json, node);
    children.forEach((child, place) => visit(child, place, children.length));
  };
  visit(valueNode(json, 0, null, start, end), 0, 1);
  return rows;
};

// The row that a key leads to from row `at`, as trees have it; `toggle` where the row opens or closes.
export const moveFrom = (rows, at, key) => {
  const row = rows[at];
  const last = rows.length - 1;
  const to = (place) => ({ at: Math.min(Math.max(place, 0), last) });
  if (!row) return to(0);
  if (key === 'ArrowDown') return to(at + 1);
  if (key === 'ArrowUp') return to(at - 1);
  if (key === 'Home') return to(0);
  if (key === 'End') return to(last);
  if (key === 'ArrowRight') return !row.canOpen ? { at } : row.isOpen ? to(at + 1) : { at, toggle: row.id };
  if (key === 'ArrowLeft') {
    if (row.isOpen) return { at, toggle: row.id };
    const parent = rows.slice(0, at).findLastIndex(({ depth }) => depth < row.depth);
    return { at: parent < 0 ? at : parent };
  }
  if (key === 'Enter' || key === ' ') return row.canOpen ? { at, toggle: row.id } : { at };
  return null;
};
