// Replaying: what it will do is said before, and what it did after.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { post } from '../api.js';
import { Dialog } from '../parts/dialog.js';
import { count, counted } from '../parts/time.js';
import { groupsOf, keyOf, replayAll, requestsOf } from './letters.js';

const letters = (number) => counted(number, 'letter');

// Asks before letters are replayed. `onDone(report)` comes after it, `onClose` when the reader leaves it.
export const Confirm = ({ chosen, onDone, onClose }) => {
  const main = useRef(null);
  const [group, setGroup] = useState('');
  const [isAsking, setAsking] = useState(false);
  useEffect(() => main.current.focus(), []);
  const groups = groupsOf(chosen);
  const unnamed = groups.find(([name]) => !name)?.[1] ?? 0;
  const title = `Replay ${letters(chosen.length)}?`;
  const submit = async (event) => {
    event.preventDefault();
    setAsking(true);
    onDone(await replayAll(requestsOf(chosen, group.trim()), (request) => post('redis/dead-letters/replay', request)));
  };
  // Keys of the page mean nothing while it is open.
  return html`<${Dialog} label=${title} onClose=${onClose}>
    <form class="confirm" onSubmit=${submit} onKeyDown=${(event) => event.stopPropagation()}>
      <h2>${title}</h2>
      <ul>${groups.map(([name, number]) => html`<li>${name
        ? html`${letters(number)} put again before the group <code>${name}</code> alone`
        : html`${letters(number)} of no group that is known`}</li>`)}</ul>
      <p>Each is handled again, once, with all its attempts. Other groups do not see it. What fails again comes back here.</p>
      ${unnamed > 0 && html`<label>Group for those without one <input type="text" value=${group} placeholder="leave them" spellcheck=${false} onInput=${(event) => setGroup(event.target.value)} /></label>`}
      <div class="actions"><button type="button" onClick=${onClose}>Cancel</button>
        <button class="is-main" ref=${main} disabled=${isAsking}>${isAsking ? 'Replaying…' : 'Replay'}</button></div>
    </form>
  <//>`;
};

// What a replay did. Stays until the reader closes it.
export const Report = ({ report, onClose }) => {
  const { replayed, gone, refused, error, unasked } = report;
  const isGood = !refused.length && !error;
  return html`<div class="banner report ${isGood ? 'hue-green' : 'hue-yellow'}" role="status">
    <div>
      <p>${replayed === 1 ? '1 letter was put before its group again' : `${count(replayed)} letters were put before their groups again`}.
        ${gone > 0 && ` ${count(gone)} ${gone === 1 ? 'was' : 'were'} no longer here.`}
        ${refused.length > 0 && ` ${count(refused.length)} stayed here:`}</p>
      ${refused.length > 0 && html`<ul>${refused.slice(0, 20).map((letter) => html`<li key=${keyOf(letter)}><span class="mono">${letter.id}</span> ${letter.reason}</li>`)}
        ${refused.length > 20 && html`<li>and ${count(refused.length - 20)} more</li>`}</ul>`}
      ${error && html`<p class="problem">${error.message}. ${error.advice ?? ''} ${unasked > 0 ? `${letters(unasked)} were not asked for.` : ''}</p>`}
    </div>
    <button onClick=${onClose}>Close</button>
  </div>`;
};
