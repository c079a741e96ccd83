// What stands where there is nothing to show: loading, nothing there, or an error with what to do next.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { retry } from '../live.js';

export const Loading = ({ what }) => html`<p class="notice is-loading" role="status">Loading ${what}…</p>`;

export const Empty = ({ title, children }) => html`<div class="notice" role="status"><h2>${title}</h2>${children}</div>`;

// An `ApiError`, or any other error, with a button where trying again may help.
export const Failed = ({ error, again }) => html`<div class="notice is-error" role="alert">
  <h2>${error.message}</h2>
  <p>${error.advice ?? 'Reload the page. If it happens again, the console of the browser says more.'}</p>
  ${again && html`<button onClick=${() => { retry(); again(); }}>Try again</button>`}
</div>`;
