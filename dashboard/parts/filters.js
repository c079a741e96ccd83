// The parts of a bar of filters: fields that wait until the reader has typed, a menu of event types, and
// what is asked for as chips that can be taken away.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { hueOf } from '../events.js';

// A field is taken so long after the last key.
const TYPED_MS = 250;

// A text that narrows a list. `onChange(value)` comes when the reader stops typing, or presses Enter;
// `problem` is what the server says about it, `blocked` why it cannot be used now.
export const TextField = ({ label, value = '', onChange, problem, blocked, type = 'search' }) => {
  const [typed, setTyped] = useState(value);
  const timer = useRef(null);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const take = (text) => {
    clearTimeout(timer.current);
    timer.current = null;
    if (text !== value) onChange(text);
  };
  const onInput = ({ target }) => {
    setTyped(target.value);
    clearTimeout(timer.current);
    timer.current = setTimeout(take, TYPED_MS, target.value);
  };
  return html`<input type=${type} class="filter" placeholder=${label} aria-label=${label} value=${typed} spellcheck=${false} autocomplete="off"
    disabled=${Boolean(blocked)} title=${blocked || problem || undefined} aria-invalid=${problem ? 'true' : undefined}
    onInput=${onInput} onKeyDown=${({ key }) => key === 'Enter' && take(typed)} onBlur=${() => timer.current && take(typed)} />`;
};

const MARGIN_PX = 8;

// A button with a panel below it, which goes when the reader does something else.
export const Menu = ({ label, isActive, problem, children }) => {
  const [isOpen, setOpen] = useState(false);
  const [shift, setShift] = useState(0);
  const frame = useRef(null);
  // A panel that would leave the window moves into it.
  useLayoutEffect(() => {
    const panel = isOpen && frame.current.lastElementChild.getBoundingClientRect();
    setShift(panel ? Math.min(0, document.documentElement.clientWidth - MARGIN_PX - panel.right) : 0);
  }, [isOpen]);
  useEffect(() => {
    if (!isOpen) return undefined;
    frame.current.querySelector('.menu-panel input, .menu-panel button')?.focus();
    const onPointer = ({ target }) => frame.current.contains(target) || setOpen(false);
    addEventListener('pointerdown', onPointer);
    return () => removeEventListener('pointerdown', onPointer);
  }, [isOpen]);
  const onKeyDown = (event) => {
    if (event.key !== 'Escape' || !isOpen) return;
    event.preventDefault();
    setOpen(false);
    frame.current.querySelector('button').focus();
  };
  const onFocusOut = ({ relatedTarget }) => relatedTarget && !frame.current.contains(relatedTarget) && setOpen(false);
  return html`<div class="menu" ref=${frame} onKeyDown=${onKeyDown} onFocusOut=${onFocusOut}>
    <button class="${isActive ? 'is-active' : ''} ${problem ? 'is-wrong' : ''}" aria-expanded=${isOpen} title=${problem || undefined}
      onClick=${() => setOpen(!isOpen)}>${label} <span aria-hidden="true">▾</span></button>
    ${isOpen && html`<div class="menu-panel" role="group" aria-label=${label} style=${{ left: `${shift}px` }}>${children(() => setOpen(false))}</div>`}
  </div>`;
};

const TYPES = ['PlanStarted', 'PlanCompleted', 'PlanFailed', 'DecisionMade', 'ToolCalled', 'ToolCompleted', 'SubplanSpawned', 'SubplanCompleted'];

// So many others are offered; a reader can name any.
const OTHERS_MAX = 50;

// Types that were seen and are none of the eight, with their families (`workflow.*`) before them.
export const othersOf = (seen) => {
  const others = [...new Set(seen)].filter((type) => !TYPES.includes(type)).sort();
  const families = others.filter((type) => type.includes('.')).map((type) => `${type.slice(0, type.indexOf('.'))}.*`);
  return [...new Set([...families, ...others])].slice(0, OTHERS_MAX);
};

// The event types: the eight, those that `seen()` names, and whatever the reader writes.
export const TypesMenu = ({ types, seen, onChange, problem }) => {
  const toggle = (type) => onChange(types.includes(type) ? types.filter((other) => other !== type) : [...types, type]);
  const choice = (type) => html`<label key=${type} class="check"><input type="checkbox" checked=${types.includes(type)} onChange=${() => toggle(type)} />
    <span class=${hueOf({ event_type: type })}>${type}</span></label>`;
  const add = (event) => {
    event.preventDefault();
    const field = event.target.elements.type;
    const named = field.value.split(/[\s,]+/).filter(Boolean);
    field.value = '';
    if (named.length) onChange([...new Set([...types, ...named])]);
  };
  return html`<${Menu} label=${types.length ? `Types (${types.length})` : 'Types'} isActive=${types.length > 0} problem=${problem}>${() => html`
    ${TYPES.map(choice)}
    <div class="others">${othersOf([...seen(), ...types]).map(choice)}</div>
    <form onSubmit=${add}>
      <input type="text" name="type" aria-label="Another type or family" placeholder="name or family.*" spellcheck=${false} autocomplete="off" />
      <button>Add</button></form>
    ${types.length > 0 && html`<button onClick=${() => onChange([])}>All types</button>`}`}<//>`;
};

// What is asked for: {label, value, onRemove} each.
export const Chips = ({ items, onClear }) =>
  items.length > 0 && html`<ul class="chips" aria-label="Filters">
    ${items.map(({ label, value, onRemove }) => html`<li key=${`${label} ${value}`} class="chip">
      <span class="faint">${label}</span> <span class="chip-value" title=${value}>${value}</span>
      <button aria-label=${`Remove ${label} ${value}`} onClick=${onRemove}>×</button></li>`)}
    <li><button onClick=${onClear}>Clear all</button></li>
  </ul>`;
