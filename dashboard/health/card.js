// Cards of figures, tables in them, and how old what is shown is.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { duration, useNow } from '../parts/time.js';

export const Card = ({ title, note, isWide, isTall, children }) => html`<section class="card ${isWide ? 'is-wide' : ''} ${isTall ? 'is-tall' : ''}" aria-label=${title}>
  <header><h3>${title}</h3>${note}</header>
  ${children}
</section>`;

// `rows` are [name, value] or [name, value, {hue, title}]; what is not known is left out.
export const Figures = ({ rows }) => html`<dl class="figures">${rows.filter(Boolean).map(([name, value, { hue = '', title } = {}]) => html`
  <div title=${title}><dt>${name}</dt><dd class="number ${hue}">${value ?? '–'}</dd></div>`)}</dl>`;

// `columns` are [title, isNumber]; `rows` lists of cells, with `onOpen` for what a row opens.
export const Table = ({ label, columns, rows }) => html`<div class="table"><table aria-label=${label}>
  <thead><tr>${columns.map(([title, isNumber]) => html`<th scope="col" class=${isNumber ? 'number' : ''}>${title}</th>`)}</tr></thead>
  <tbody>${rows.map(({ key, cells, isOpen }) => html`<tr key=${key} class=${isOpen ? 'is-selected' : ''}>${cells.map((cell, at) => html`<td class=${columns[at][1] ? 'number' : ''}>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;

// A figure that says more than it should is red or yellow, and has a word for who sees no colours.
export const Marked = ({ hue, word, children }) => html`<span class=${hue ? `hue-${hue}` : ''}>${children}${hue && word && html`<span class="sr-only"> (${word})</span>`}</span>`;

// Tells a failed reading, and since when nothing came. Nothing where all is as it should be.
export const Age = ({ what, poll }) => {
  const now = useNow(Boolean(poll.error), 1_000);
  if (!poll.error) return null;
  const age = poll.at ? `${what} as of ${duration(Math.max(0, Math.floor((now - poll.at) / 1000)) * 1000).replace('.00', '')} ago` : `${what} not read yet`;
  return html`<p class="age hue-yellow" role="status">${age}: ${poll.error.message}. The page tries again by itself.</p>`;
};
