// The log of all plans, the newest first: filters, search, and what happens now.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { get } from '../api.js';
import { describe, hueOf } from '../events.js';
import { connection, epoch } from '../live.js';
import { around, patternOf } from '../parts/highlight.js';
import { Marked } from '../parts/mark.js';
import { Empty, Failed, Loading } from '../parts/notice.js';
import { clock, count } from '../parts/time.js';
import { VirtualList } from '../parts/virtual.js';
import { setParams, tenant } from '../route.js';
import { useStore } from '../store.js';
import { Bar } from './bar.js';
import { useNeighbours } from './neighbours.js';
import { filterOf, isJumped, wrongField } from './query.js';
import { openReader } from './reader.js';
import { placeOfSeq } from './rows.js';

const ROW_HEIGHT = 28;
// A line of a row has no more characters than the widest screen.
const WORDS_CHARS = 400;
// What was looked for is shown at the line's beginning where it stands further in it.
const NEAR_CHARS = 60;

// The beginning of the log is shown with so many events.
const FIRST_ROWS = 100;

// The log for a filter. What was read before stays on the page until the first answer for another one.
const useLog = (filter) => {
  const [state, setState] = useState(null);
  const now = useStore(epoch);
  const isReady = useStore(connection).after !== null;
  const reader = useRef(null);
  const key = JSON.stringify([tenant(), filter]);
  useEffect(() => {
    if (!isReady) return undefined;
    const name = `${key} ${now}`;
    reader.current = openReader(filter, (next) => {
      if (next.list || next.error) setState({ ...next, key, tenant: tenant(), name: `${name} ${next.opened}` });
    });
    return () => reader.current.close();
  }, [key, now, isReady]);
  const shown = state?.tenant === tenant() ? state : null;
  return { ...shown, isStale: shown !== null && shown.key !== key, reader };
};

// The time of day; the date of another day stands before it where there is room.
const When = ({ time }) => {
  const words = clock(time);
  const at = words.lastIndexOf(' ') + 1;
  return html`<time class="number faint when" datetime=${time} title=${time}><span class="date">${words.slice(0, at)}</span>${words.slice(at)}</time>`;
};

const Row = ({ event, pattern }) => {
  const words = describe(event).slice(0, WORDS_CHARS);
  const at = pattern ? words.search(pattern) : 0;
  const elsewhere = at >= 0 && at < NEAR_CHARS ? '' : around(at >= 0 ? words : JSON.stringify(event.payload ?? null), pattern);
  return html`<span class="number faint seq">${event.seq}</span>
    <${When} time=${event.timestamp} />
    <span class="kind ${hueOf(event)}"><${Marked} text=${event.event_type} pattern=${pattern} /></span>
    <span class="plan-name" title=${event.plan_id}><bdi>${event.plan_id}</bdi></span>
    <span class="words" title=${words}>
      ${elsewhere && html`<span class="elsewhere"><${Marked} text=${elsewhere} pattern=${pattern} /></span>${' '}`}
      <${Marked} text=${words} pattern=${pattern} /></span>`;
};

// An index is behind by so many events at times while much is published; that is no news.
const LAG_SHOWN = 1_000;

// Over the rows, so that none moves: what is new or that the reader is in the past, and how far the search
// index has come.
const Notes = ({ list, filter, index, toTop }) => html`
  ${list.isPast || isJumped(filter)
    ? html`<p class="pill is-past" role="status">You are reading older events
        <button onClick=${() => (isJumped(filter) ? setParams({ before: '', until: '' }) : toTop())}>Back to now</button></p>`
    : list.heldCount > 0 && html`<button class="pill is-main" onClick=${toTop}>↑ ${count(list.heldCount)} new</button>`}
  ${index && index.last - index.indexed >= LAG_SHOWN && html`<p class="note">
    The search has read up to #${count(index.indexed)} of #${count(index.last)}: newer events are not found yet.</p>`}`;

const Unsupported = ({ filter }) => html`<div class="notice" role="alert"><h2>This server has no search index</h2>
  <p><code>planbus serve</code> keeps one beside the store; a program asks for it with <code>search()</code>. Without it, a text is looked for in the log itself.</p>
  <button class="is-main" onClick=${() => setParams({ q: '', text: filter.q })}>Look for this text</button></div>`;

const Problem = ({ error, filter, again }) => {
  if (error.status === 501) return html`<${Unsupported} filter=${filter} />`;
  if (wrongField(error)) return html`<${Empty} title="The server does not take this filter"><p>Change it above, where it says why.</p><//>`;
  return html`<${Failed} error=${error} again=${again} />`;
};

// What stands before a place may have been removed: says where the log begins, which only the server knows.
const Before = ({ place }) => {
  const [oldest, setOldest] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    get('events', { limit: 1, format: 'brief' }, { signal: abort.signal })
      .then((page) => setOldest(page.events[0]?.seq ?? null))
      .catch(() => {}); // Then it is not said.
    return () => abort.abort();
  }, [place]);
  const isGone = oldest !== null && oldest >= Number(place);
  return html`<${Empty} title=${isGone ? `The log begins with #${count(oldest)}` : 'No event before this place is like this'}>
    <p>${isGone ? 'What was before it was removed, or belongs to other tenants.' : 'Go elsewhere, or take a filter away.'}</p>
    ${isGone && html`<button onClick=${() => setParams({ before: oldest + FIRST_ROWS, until: '' })}>Show its beginning</button>`}<//>`;
};

const Nothing = ({ filter, isReading, lookedTo }) => {
  if (isReading) return html`<p class="notice" role="status">Looking through the log${lookedTo ? `: down to #${count(lookedTo)}` : ''}…</p>`;
  if (filter.before) return html`<${Before} place=${filter.before} />`;
  if (Object.keys(filter).length) return html`<${Empty} title="No event is like this"><p>Take a filter away, or look for less.</p><//>`;
  return html`<${Empty} title="No event yet"><p>Events appear here as they are published. For the first, run</p>
    <pre>planbus demo --path . --db STORE</pre><p>with the store that this server reads (the log's file in Health).</p><//>`;
};

export const Events = ({ params }) => {
  const filter = filterOf(params);
  const { list, error, isReading, isStale, lookedTo, index, name, reader } = useLog(filter);
  const [tops, setTops] = useState(0);
  const rows = list?.rows ?? [];
  const selected = Number(params.event);
  useNeighbours((seq, by) => rows[placeOfSeq(rows, seq) + by]?.seq ?? null, (seq) => placeOfSeq(rows, seq) >= 0, true);
  const toTop = () => {
    reader.current.toTop();
    setTops(tops + 1);
  };
  const pattern = patternOf(filter);
  const isShown = rows.length > 0;
  const again = () => reader.current.again();
  return html`<section class="view" aria-label="Events">
    <${Bar} filter=${filter} wrong=${wrongField(error)} seen=${() => rows.map(({ event_type: type }) => type)}>
      <span class="faint wide-only">${list && `${count(rows.length)}${list.older ? '+' : ''} events`}</span>
    <//>
    <div class="events ${isStale ? 'is-stale' : ''}" aria-busy=${isStale}>
      ${list && html`<${Notes} list=${list} filter=${filter} index=${index} toTop=${toTop} />`}
      ${error && (isShown ? html`<p class="note" role="alert">Older events were not read: ${error.message}. <button onClick=${again}>Try again</button></p>`
        : html`<${Problem} error=${error} filter=${filter} again=${again} />`)}
      ${isShown ? html`<${VirtualList} label="Events" count=${rows.length} height=${ROW_HEIGHT} origin=${list.origin} resetKey=${`${name} ${tops}`}
          row=${(place) => html`<${Row} event=${rows[place]} pattern=${pattern} />`} keyOf=${(place) => rows[place].seq}
          selected=${selected} selectedAt=${placeOfSeq(rows, selected)} onOpen=${(place) => setParams({ event: rows[place].seq })}
          onEnd=${() => reader.current.more()} onTop=${(is) => reader.current.atTop(is)} />`
        : error ? null
        : list ? html`<${Nothing} filter=${filter} isReading=${isReading} lookedTo=${lookedTo} />`
        : html`<${Loading} what="events" />`}
    </div>
  </section>`;
};
