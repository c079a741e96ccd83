// A plan as a tree: under each plan its calls, decisions and subplans in order, with how long each took.
import { html, useEffect, useMemo, useState } from '../vendor/htm-preact-3.1.1.js';
import { below } from '../events.js';
import { useNeighbours } from '../events/neighbours.js';
import { Empty } from '../parts/notice.js';
import { duration, running } from '../parts/time.js';
import { VirtualList } from '../parts/virtual.js';
import { linkTo, setParams } from '../route.js';
import { standing } from './marks.js';
import { endOf, errorOf, isFailed, isRunning, lasted, seqNamed, startOf } from './model.js';
import { keyOfItem, rowsOf, selfTime } from './rows.js';
import { oneLine, wordsOf } from './words.js';

const ROW_HEIGHT = 30;
// Rows are not moved further to the right than this.
const DEPTH_MAX = 12;

const percent = (part, whole) => `${Math.min(Math.max((part / whole) * 100, 0), 100)}%`;

// Self time is worked out once for what has ended, again after each event of the plan.
const known = new WeakMap();
const selfOf = (plan) => {
  if (isRunning(plan)) return null;
  const before = known.get(plan);
  if (before?.items === plan.items.length && before.endMs === endOf(plan)) return before.self;
  const spans = plan.items.filter((item) => item.kind !== 'decision').map((item) => ({ start: startOf(item), end: endOf(item) ?? endOf(plan) }));
  const self = selfTime(startOf(plan), endOf(plan), spans);
  known.set(plan, { items: plan.items.length, endMs: endOf(plan), self });
  return self;
};

// When an item was, within the time of the whole plan.
const Span = ({ item, from, whole, now }) => {
  const [start, end] = [startOf(item), endOf(item) ?? now];
  const hue = isFailed(item) || isRunning(item) ? standing(item).hue : '';
  return html`<span class="span" aria-hidden="true"><span class=${hue}
    style=${{ left: percent(start - from, whole), width: percent(end - start, whole) }}></span></span>`;
};

// What the columns are; whoever does not see them hears each row whole.
const Columns = () => html`<div class="columns" aria-hidden="true"><span class="said">step</span><span class="span">when</span>
  <span class="number by-self" title="Without its calls and subplans">by itself</span><span class="number">took</span></div>`;

const Row = ({ row, root, now, whole, onToggle }) => {
  const { item, depth, isOpen } = row;
  const { mark, hue, word } = standing(item);
  const { title, more } = wordsOf(item);
  const error = errorOf(item);
  const isPlan = item.kind === 'plan';
  const self = isPlan && item.items.length ? selfOf(item) : null;
  const took = item.kind === 'decision' ? '' : isRunning(item) ? running(lasted(item, now)) : duration(lasted(item, now));
  const rest = isPlan && item.goal ? below(item.id, item.parent?.id) : more;
  return html`<span class="indent" style=${{ width: `${Math.min(depth, DEPTH_MAX) * 1.125}rem` }}></span>
    <span class="twist" aria-hidden="true" onClick=${isOpen === undefined ? undefined : (event) => { event.stopPropagation(); onToggle(item); }}>${
      isOpen === undefined ? '' : isOpen ? '▾' : '▸'}</span>
    <span class=${`mark ${hue}`} title=${word} aria-hidden="true">${mark}</span>
    <span class="said" title=${[title, error, rest].filter(Boolean).join('\n')}><span class="sr-only">${item.kind === 'decision' ? '' : `${item.kind} `}${word}: </span>
      <span class=${`title ${isPlan ? 'is-plan' : item.kind === 'call' ? 'hue-cyan' : ''}`}>${oneLine(title)}</span>${' '}
      ${error && html`<span class="hue-red">${oneLine(error)}</span>`}${' '}<span class="sub">${oneLine(rest)}</span></span>
    ${isPlan && item !== root && html`<a class="enter" href=${linkTo(['plans', item.id])} title="This subplan alone" tabindex="-1"
      onClick=${(event) => event.stopPropagation()}><span aria-hidden="true">↗</span><span class="sr-only">open</span></a>`}
    <${Span} item=${item} from=${startOf(root)} whole=${whole} now=${now} />
    <span class="number faint by-self">${self === null ? '' : duration(self)}</span>
    <span class=${`number ${isRunning(item) ? 'hue-blue' : ''}`}>${took}</span>`;
};

// What is open in the panel is not hidden: the plans above it are opened.
const useOpened = (item, setClosed) => {
  useEffect(() => {
    if (!item) return;
    const above = [];
    for (let plan = item.kind === 'plan' ? item.parent : item.plan; plan; plan = plan.parent) above.push(keyOfItem(plan));
    setClosed((closed) => (above.some((key) => closed.has(key)) ? new Set([...closed].filter((key) => !above.includes(key))) : closed));
  }, [item]);
};

export const Tree = ({ model, root, version, params, now }) => {
  const [closed, setClosed] = useState(new Set());
  const { text = '', failed } = params;
  const rows = useMemo(() => rowsOf(root, { closed, failedOnly: Boolean(failed), text }), [root, version, closed, failed, text]);
  const selected = model.items.get(seqNamed(model, params.event));
  const selectedAt = selected ? rows.findIndex(({ item }) => item === selected) : -1;
  useOpened(selected, setClosed);
  const rowOf = (seq) => rows.findIndex(({ item }) => item === model.items.get(seq));
  useNeighbours((seq, by) => (rowOf(seq) < 0 ? null : rows[rowOf(seq) + by]?.item.seq ?? null), (seq) => rowOf(seq) >= 0);
  const whole = Math.max((endOf(root) ?? now) - startOf(root), 0.001);
  const toggle = (item) => {
    const next = new Set(closed);
    if (!next.delete(keyOfItem(item))) next.add(keyOfItem(item));
    setClosed(next);
  };
  // Arrows as in every tree: right opens, then goes in; left closes, then goes out.
  const onKey = ({ key }, at) => {
    const { item, isOpen, depth } = rows[at];
    if (key === 'ArrowRight' && isOpen === false) toggle(item);
    else if (key === 'ArrowRight') return isOpen ? at + 1 : true;
    else if (key === 'ArrowLeft' && isOpen) toggle(item);
    else if (key === 'ArrowLeft') return Math.max(0, rows.slice(0, at).findLastIndex((row) => row.depth < depth));
    else return false;
    return true;
  };
  if (!rows.length) {
    return html`<${Empty} title=${failed && !text ? 'Nothing failed' : 'Nothing here is like this'}>
      <button onClick=${() => setParams({ failed: '', text: '' })}>Show all</button><//>`;
  }
  return html`<${Columns} /><${VirtualList} label="Steps of the plan" role="tree" count=${rows.length} height=${ROW_HEIGHT}
    row=${(at) => html`<${Row} row=${rows[at]} root=${root} now=${now} whole=${whole} onToggle=${toggle} />`}
    rowProps=${(at) => ({ role: 'treeitem', 'aria-level': rows[at].depth + 1, 'aria-expanded': rows[at].isOpen, 'aria-posinset': rows[at].at, 'aria-setsize': rows[at].of })}
    keyOf=${(at) => keyOfItem(rows[at].item)} onKey=${onKey} selectedAt=${selectedAt}
    selected=${selectedAt >= 0 ? keyOfItem(rows[selectedAt].item) : undefined}
    onOpen=${(at) => rows[at].item.seq && setParams({ event: rows[at].item.seq })} />`;
};
