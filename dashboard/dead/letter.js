// One dead letter, whole: why it is here, its event, and the entry as it stood in the stream.
import { html, useEffect } from '../vendor/htm-preact-3.1.1.js';
import { getWholeText } from '../api.js';
import { hueOf } from '../events.js';
import { usePoll } from '../health/poll.js';
import { encoded } from '../parts/encoded.js';
import { Failed, Loading } from '../parts/notice.js';
import { Side } from '../parts/side.js';
import { clock, count } from '../parts/time.js';
import { Payload } from '../payload/viewer.js';
import { formatRoute } from '../route.js';
import { reasonOf } from './letters.js';
import { wholeOf } from './whole.js';

// A letter does not change; it may go.
const LOOK_MS = 10_000;

// The parts of a letter as people look for them; those that it does not say are left out.
const Facts = ({ letter }) => {
  const tenant = letter.tenant === 'default' ? undefined : letter.tenant;
  const rows = [
    ['Reason', reasonOf(letter)],
    ['Group', letter.group],
    ['Attempts', letter.attempts === null ? null : count(letter.attempts)],
    ['Failed', letter.failed_at && html`<time datetime=${letter.failed_at} title=${letter.failed_at}>${clock(letter.failed_at)}</time>`],
    ['Queue', html`<span class="mono">${letter.stream}</span>`],
    ['Id', html`<span class="mono">${letter.id}</span>`],
    ['Plan', letter.plan_id && html`<a href=${formatRoute(['plans', letter.plan_id], { tenant })}>${letter.plan_id}</a>`],
    ['Tenant', tenant],
    ['Seq', letter.seq && html`<a href=${formatRoute(['plans', letter.plan_id], { tenant, view: 'log', event: letter.seq })}>${count(letter.seq)}</a>`],
    ['Event id', letter.event_id && html`<span class="mono">${letter.event_id}</span>`],
  ];
  return html`<dl class="facts-of-event">${rows.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
};

// What is in the entry; a name that is there twice has a list.
const Fields = ({ fields }) => html`<details><summary>Fields of the entry (${count(Object.keys(fields).length)})</summary>
  <dl class="facts-of-event mono">${Object.entries(fields).map(([name, value]) => html`<dt>${name}</dt><dd>${[value].flat().map((one) => html`<div>${one}</div>`)}</dd>`)}</dl>
</details>`;

// It is read anew when `replays` changes: it may have gone.
export const Letter = ({ named: { stream, id }, replays, onReplay, onClose }) => {
  const { data: letter, error, again } = usePoll(
    async (options) => wholeOf(await getWholeText(`redis/dead-letters/${encoded(stream)}/${encoded(id)}`, {}, options)), LOOK_MS, { key: `${id}@${stream}` });
  useEffect(() => {
    if (replays) again();
  }, [replays]);
  const isGone = error?.status === 404;
  return html`<${Side} label="Dead letter ${id}" onClose=${onClose}
    title=${letter ? html`<span class=${letter.event_type ? hueOf(letter) : 'faint'}>${letter.event_type ?? 'No event'}</span>` : 'Dead letter'}>
    ${isGone ? html`<p class="note" role="status">It is no longer a dead letter: it was replayed, or removed.</p>`
      : !letter && error ? html`<${Failed} error=${error} again=${again} />` : !letter && html`<${Loading} what="the letter" />`}
    ${letter && html`
      ${!isGone && html`<div class="actions"><button class="is-main" onClick=${() => onReplay(letter)}>Replay</button></div>`}
      ${letter.error && html`<section><h3>Error</h3><pre class="error">${letter.error}</pre></section>`}
      <${Facts} letter=${letter} />
      ${letter.payload && html`<${Payload} text=${letter.text} place=${letter.payload} />`}
      ${letter.fields && html`<${Fields} fields=${letter.fields} />`}`}
  <//>`;
};
