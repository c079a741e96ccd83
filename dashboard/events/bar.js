// The bar above the log: what is searched, what is left out, and where to go.
import { html, useState } from '../vendor/htm-preact-3.1.1.js';
import { Chips, Menu, TextField, TypesMenu } from '../parts/filters.js';
import { clock } from '../parts/time.js';
import { setParams } from '../route.js';
import { FIELDS, NOT_SEARCHED, parseJump, typesOf } from './query.js';

const NOTHING = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, '']));
const BLOCKED = 'The search looks through whole events: clear it to use this';

const Jump = () => {
  const [isWrong, setWrong] = useState(false);
  const go = (event, close) => {
    event.preventDefault();
    const place = parseJump(event.target.elements.place.value);
    setWrong(!place);
    if (!place) return;
    setParams(place);
    close();
  };
  return html`<${Menu} label="Go to">${(close) => html`<form class="jump" onSubmit=${(event) => go(event, close)}>
    <label>Seq or time <input type="text" name="place" aria-invalid=${isWrong ? 'true' : undefined} autocomplete="off" /></label>
    <button class="is-main">Go</button>
    <p class=${isWrong ? 'problem' : 'faint'} role=${isWrong ? 'alert' : undefined}>${isWrong ? 'That is neither. ' : ''}Such as ${' '}
      <code>1234</code>, <code>90m</code> ago, <code>14:05</code>, <code>2026-03-01 10:00</code></p>
  </form>`}<//>`;
};

// What a filter is called on its chip.
const said = (name, value) => (name === 'until' ? clock(value) : name === 'before' ? `#${value}` : value);

const chipsOf = (filter) =>
  Object.entries(filter).flatMap(([name, value]) => {
    if (name !== 'type') return [{ label: FIELDS[name], value: said(name, value), onRemove: () => setParams({ [name]: '' }) }];
    const types = typesOf(filter);
    const without = (type) => setParams({ type: types.filter((other) => other !== type).join(',') });
    return types.map((type) => ({ label: 'type', value: type, onRemove: () => without(type) }));
  });

// `wrong` is the field that the server refused, `seen()` the event types that the page knows.
export const Bar = ({ filter, wrong, seen, children }) => {
  const problemOf = (name) => (wrong?.name === name ? wrong.message : '');
  const field = (name, label, change = (value) => ({ [name]: value })) => html`<${TextField} label=${label} value=${filter[name]} problem=${problemOf(name)}
    blocked=${filter.q && NOT_SEARCHED.includes(name) ? BLOCKED : ''} onChange=${(value) => setParams(change(value), { replace: true })} />`;
  const search = (q) => (q ? { q, ...Object.fromEntries(NOT_SEARCHED.map((name) => [name, ''])) } : { q });
  const more = ['source', 'plan'].filter((name) => filter[name]).length;
  return html`<div class="bar events-bar">
      ${field('q', 'Search words', search)}
      ${field('text', 'With this text')}
      ${field('exclude', 'Without this text')}
      <${TypesMenu} types=${typesOf(filter)} seen=${seen} problem=${problemOf('type')} onChange=${(types) => setParams({ type: types.join(',') })} />
      <${Menu} label=${more ? `From (${more})` : 'From'} isActive=${more > 0} problem=${problemOf('source') || problemOf('plan')}>${() => html`
        <label>Agent ${field('source', 'Agent')}</label><label>Plan ${field('plan', 'Plan')}</label>`}<//>
      <${Jump} />
      ${children}
    </div>
    ${wrong && html`<p class="problem bar-problem" role="alert"><b>${FIELDS[wrong.name]}</b>: ${wrong.message}</p>`}
    <${Chips} items=${chipsOf(filter)} onClear=${() => setParams(NOTHING)} />`;
};
