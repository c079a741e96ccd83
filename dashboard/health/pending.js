// What a group has in hand: entries that were delivered and are not done, the oldest first.
import { html, useEffect, useState } from '../vendor/htm-preact-3.1.1.js';
import { getNext, getWhole } from '../api.js';
import { hueOf } from '../events.js';
import { Empty, Failed, Loading } from '../parts/notice.js';
import { clock, count, duration } from '../parts/time.js';
import { Side } from '../parts/side.js';
import { setParams } from '../route.js';
import { usePoll } from './poll.js';

const LOOK_MS = 5_000;
const PAGE = 100;

const Entry = ({ entry }) => html`<li class="entry">
  <div class="line">
    <span class=${entry.event_type ? hueOf({ event_type: entry.event_type }) : 'faint'}>${entry.event_type ?? 'no event'}</span>
    <span class="mono faint">${entry.id}</span>
    ${entry.event_id && html`<button class="plain" onClick=${() => setParams({ event: entry.event_id })}>show</button>`}
  </div>
  <div class="line faint">
    <span class="cut" title=${entry.consumer}>${entry.consumer}</span>
    <span class="number">for ${duration(entry.idle_us / 1000)}</span>
  </div>
  <p>${entry.deliveries === 1 ? 'delivered once' : `delivered ${count(entry.deliveries)} times`}${entry.attempts ? `, failed ${entry.attempts === 1 ? 'once' : `${count(entry.attempts)} times`}` : ''}${entry.due_at ? `, again at ${clock(entry.due_at).replace(/\.\d+$/, '')}` : ''}</p>
  ${entry.last_error && html`<p class="cut hue-red" title=${entry.last_error}>${entry.last_error}</p>`}
</li>`;

export const Pending = ({ stream, group, onClose }) => {
  const key = `${stream}\n${group}`;
  const poll = usePoll((options) => getWhole('redis/pending', { stream, group, limit: PAGE }, options), LOOK_MS, { key });
  const [more, setMore] = useState({ entries: [], next: null, error: null });
  useEffect(() => setMore({ entries: [], next: null, error: null }), [key]);
  const first = poll.data?.entries ?? [];
  // Of what has moved on to the first page meanwhile, the first page knows more.
  const seen = new Set(first.map(({ id }) => id));
  const entries = [...first, ...more.entries.filter(({ id }) => !seen.has(id))];
  const next = more.entries.length ? more.next : poll.data?.next;
  const load = async () => {
    try {
      const page = await getNext(next);
      setMore((before) => ({ entries: [...before.entries, ...page.entries], next: page.next, error: null }));
    } catch (error) {
      setMore((before) => ({ ...before, error }));
    }
  };
  return html`<${Side} title=${`What ${group} has in hand`} label=${`What ${group} has in hand`} onClose=${onClose}>
    <p class="faint mono cut" title=${stream}>${stream}</p>
    ${poll.error && !poll.data ? html`<${Failed} error=${poll.error} again=${poll.again} />`
      : !poll.data ? html`<${Loading} what="what it has in hand" />`
      : !entries.length ? html`<${Empty} title="Nothing in hand"><p>All that was delivered to this group is done.</p><//>`
      : html`<ol class="entries">${entries.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}</ol>
        ${more.error && html`<p class="problem" role="alert">${more.error.message}</p>`}
        ${next && html`<button onClick=${load}>More</button>`}`}
  <//>`;
};
