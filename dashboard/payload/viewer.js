// A payload as a tree that opens and closes, or as the text that it is. Every part is put on the page as
// text; what is closed is not on the page at all.
import { html, useEffect, useMemo, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { bytes, count, counted } from '../parts/time.js';
import { moveFrom, openJson, rowsOf } from './rows.js';

// So many characters of a text are shown, and so many more each time that somebody asks.
const TEXT_CHARS = 2_000;
const RAW_CHARS = 20_000;

const WORDS = { object: 'field', array: 'item' };
const BRACKETS = { object: '{}', array: '[]' };

const Long = ({ text, start, more, what }) => {
  const [shown, setShown] = useState(start);
  if (text.length <= shown) return text;
  const next = (event) => {
    event.stopPropagation();
    setShown(shown + more);
  };
  return html`${text.slice(0, shown)}…<button class="more" onClick=${next}>${count(text.length - shown)} more characters${what}</button>`;
};

const Value = ({ json, row }) => {
  if (row.kind === 'string') return html`<span class="is-string">"<${Long} text=${json.words(row.start, row.end)} start=${TEXT_CHARS} more=${10 * TEXT_CHARS} what="" />"</span>`;
  if (row.kind === 'object' || row.kind === 'array') {
    if (!row.count) return html`<span class="is-size">${BRACKETS[row.kind]}</span>`;
    return html`<span class="is-size">${counted(row.count, WORDS[row.kind])}</span>`;
  }
  return html`<span class="is-${row.kind}">${json.text.slice(row.start, row.end)}</span>`;
};

const Name = ({ row }) => {
  if (row.kind === 'group') return html`<span class="is-place">${count(row.from)} … ${count(row.to - 1)}</span>`;
  if (row.name === null) return html`<span class="is-place">payload</span>`;
  return html`<span class=${typeof row.name === 'number' ? 'is-place' : 'is-name'}>${row.name}</span>`;
};

// The tree of the value between two places of a text: the tree pattern of WAI-ARIA, moved through by keys.
const Tree = ({ text, start, end }) => {
  const json = useMemo(() => openJson(text), [text]);
  const [toggled, setToggled] = useState(new Set());
  const [active, setActive] = useState(0);
  const frame = useRef(null);
  const rows = useMemo(() => rowsOf(json, start, end, toggled), [json, start, end, toggled]);
  const at = Math.min(active, rows.length - 1);
  const toggle = (id) => setToggled((before) => (before.has(id) ? new Set([...before].filter((other) => other !== id)) : new Set([...before, id])));
  const onKeyDown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target !== frame.current) return;
    const move = moveFrom(rows, at, event.key);
    if (!move) return;
    event.preventDefault();
    setActive(move.at);
    if (move.toggle) toggle(move.toggle);
  };
  useEffect(() => {
    if (document.activeElement === frame.current) frame.current.children[at]?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  return html`<div class="json" role="tree" tabindex="0" aria-label="Payload" ref=${frame} onKeyDown=${onKeyDown} aria-activedescendant=${`json-${at}`}>
    ${rows.map((row, place) => html`<div key=${row.id} id=${`json-${place}`} class="json-row ${place === at ? 'is-active' : ''}" role="treeitem" aria-level=${row.depth + 1}
      aria-posinset=${row.at + 1} aria-setsize=${row.of} aria-expanded=${row.canOpen ? row.isOpen : undefined} aria-selected=${place === at}
      style=${{ paddingLeft: `${row.depth * 14}px` }} onClick=${() => { setActive(place); if (row.canOpen && !getSelection().toString()) toggle(row.id); }}>
      <span class="fold" aria-hidden="true">${row.canOpen ? (row.isOpen ? '▾' : '▸') : ''}</span>
      <${Name} row=${row} />${row.kind !== 'group' && html`<span class="json-value"><${Value} json=${json} row=${row} /></span>`}</div>`)}
  </div>`;
};

// `place` is where the payload stands in the text of its event.
export const Payload = ({ text, place: [start, end] }) => {
  const [view, setView] = useState('tree');
  const [source, size] = useMemo(() => {
    const cut = text.slice(start, end);
    return [cut, new Blob([cut]).size];
  }, [text, start, end]);
  const choice = (name, word) => html`<button aria-pressed=${view === name} onClick=${() => setView(name)}>${word}</button>`;
  return html`<section class="payload" aria-label="Payload">
    <header><h3>Payload</h3><span class="faint">${bytes(size)}</span>
      <div class="choice" role="group" aria-label="Payload as">${choice('tree', 'Tree')}${choice('raw', 'Raw')}</div></header>
    ${view === 'tree' ? html`<${Tree} key=${text} text=${text} start=${start} end=${end} />`
      : html`<pre class="raw" tabindex="0"><${Long} key=${text} text=${source} start=${RAW_CHARS} more=${RAW_CHARS} what="" /></pre>`}
  </section>`;
};
