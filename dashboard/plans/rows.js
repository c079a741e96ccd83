// The rows of a plan's tree, from its model: what is open, and what the reader asked for. Pure.
import { errorOf, isFailed } from './model.js';
import { wordsOf } from './words.js';

const hasText = (item, text) => {
  const { title, more } = wordsOf(item);
  return [title, more, errorOf(item), item.kind === 'plan' ? item.id : ''].some((part) => part.toLowerCase().includes(text));
};

// Items are numbered over all rows; a row is closed by its item.
export const keyOfItem = (item) => (item.kind === 'plan' ? `plan ${item.id}` : `${item.kind} ${item.seq}`);

// All rows below a plan, the plan first: {item, depth, parent (the row's place or -1)}.
const spread = (root, isOpen) => {
  const rows = [];
  const waiting = [{ item: root, depth: 0, parent: -1 }];
  while (waiting.length) {
    const row = waiting.pop();
    rows.push(row);
    if (row.item.kind !== 'plan' || !isOpen(row.item)) continue;
    const at = rows.length - 1;
    for (let child = row.item.items.length - 1; child >= 0; child -= 1) {
      waiting.push({ item: row.item.items[child], depth: row.depth + 1, parent: at });
    }
  }
  return rows;
};

// The rows that are shown: {item, depth, isOpen (undefined for what holds nothing), at, of}, where `at`
// of `of` is the place among siblings. While something is looked for, all that holds it is open.
export const rowsOf = (root, { closed, failedOnly = false, text = '' }) => {
  const wanted = text.toLowerCase();
  const isFiltered = failedOnly || wanted !== '';
  const isOpen = (plan) => isFiltered || !closed.has(keyOfItem(plan));
  const rows = spread(root, isOpen);
  const kept = new Uint8Array(rows.length);
  for (let at = rows.length - 1; at >= 0; at -= 1) {
    const { item, parent } = rows[at];
    if ((!failedOnly || isFailed(item)) && (!wanted || hasText(item, wanted))) kept[at] = 1;
    if (kept[at] && parent >= 0) kept[parent] = 1;
  }
  if (isFiltered && !kept[0]) return [];
  const counts = new Map();
  const shown = [];
  rows.forEach((row, at) => {
    if (!kept[at]) return;
    const place = (counts.get(row.parent) ?? 0) + 1;
    counts.set(row.parent, place);
    const holds = row.item.kind === 'plan' && row.item.items.length > 0;
    shown.push({ item: row.item, depth: row.depth, parent: row.parent, isOpen: holds ? isOpen(row.item) : undefined, at: place });
  });
  for (const row of shown) row.of = counts.get(row.parent);
  return shown;
};

// How long a plan did nothing but its own: without the calls and subplans within [from, to], which are
// given by their starts and ends and may overlap.
export const selfTime = (from, to, spans) => {
  let [free, reached] = [0, from];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    if (start > reached) free += Math.min(start, to) - Math.min(reached, to);
    reached = Math.max(reached, end);
  }
  return free + Math.max(0, to - reached);
};
