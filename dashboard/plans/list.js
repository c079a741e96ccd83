// All plans, the newest first: how each stands, and what it does now.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { get, getNext } from '../api.js';
import { STATUS } from '../events.js';
import { connection, epoch, onBack, onEvents } from '../live.js';
import { Empty, Failed, Loading } from '../parts/notice.js';
import { serverTime } from '../parts/server_time.js';
import { clock, count, counted, duration, running, useNow } from '../parts/time.js';
import { VirtualList } from '../parts/virtual.js';
import { navigate, setParams } from '../route.js';
import { useStore } from '../store.js';
import { openListing } from './listing.js';

const PAGE = 100;
const ROW_HEIGHT = 52;

const STATES = [
  ['', 'All'],
  ['running', 'Running'],
  ['failed', 'Failed'],
  ['completed', 'Completed'],
];

const hasText = (plan, text) =>
  !text || [plan.plan_id, plan.goal, plan.source].some((field) => String(field ?? '').toLowerCase().includes(text.toLowerCase()));

// The rows of a query, kept up with what happens.
const usePlans = ({ status = '', text = '', subplans = '' }) => {
  const [list, setList] = useState({ rows: null, next: null, error: null });
  const round = useStore(epoch);
  const isReady = useStore(connection).after !== null;
  const listing = useRef(null);
  useEffect(() => {
    if (!isReady) return undefined;
    const query = { status, text, roots: subplans ? '' : 'true', limit: PAGE };
    const opened = openListing({
      read: (next, signal) => (next ? getNext(next, { signal }) : get('plans', query, { signal })),
      isWanted: (plan) => (!status || plan.status === status) && hasText(plan, text) && (subplans || !plan.parent),
      isPartial: Boolean(status),
      isHidden: () => document.hidden,
      // What was shown stays until there is an answer to what is asked now.
    }, (next) => setList((before) => (next.rows || next.error ? next : { ...before, error: null })));
    listing.current = opened;
    const end = onEvents(opened.take);
    const endBack = onBack(opened.goOn);
    opened.begin();
    return () => {
      end();
      endBack();
      opened.close();
    };
  }, [status, text, subplans, round, isReady]);
  return { ...list, more: () => listing.current?.more(), again: () => listing.current?.again() };
};

const Row = ({ plan, now }) => {
  const { mark, hue, word } = STATUS[plan.status];
  const isRunning = plan.status === 'running';
  const lasted = isRunning ? running(serverTime(now) - Date.parse(plan.status_since ?? plan.started_at)) : duration((plan.duration_us ?? 0) / 1000);
  return html`<span class="mark ${hue}" aria-hidden="true">${mark}</span>
    <span class="what"><span class="title">${plan.goal || plan.plan_id}</span>
      <span class="sub">${plan.error ? html`<span class="hue-red">${plan.error}</span>` : plan.goal ? plan.plan_id : plan.source ?? ''}</span></span>
    <span class="facts"><span class="sr-only">${word}, </span>
      ${plan.tool_calls > 0 && html`<span>${counted(plan.tool_calls, 'tool call')}</span>`}
      ${plan.failed_tool_calls > 0 && html`<span class="hue-red">${count(plan.failed_tool_calls)} failed</span>`}
      ${plan.subplans > 0 && html`<span>${counted(plan.subplans, 'subplan')}</span>`}</span>
    <span class="number ${isRunning ? 'hue-blue' : ''}">${lasted}</span>
    <time class="number faint wide-only" datetime=${plan.started_at} title=${plan.started_at}>${clock(plan.started_at)}</time>`;
};

export const Plans = ({ params }) => {
  const { rows, next, error, more, again } = usePlans(params);
  const now = useNow(Boolean(rows?.some((plan) => plan.status === 'running')));
  const isFiltered = params.status || params.text;
  return html`<section class="view" aria-label="Plans">
    <div class="bar">
      <div class="choice" role="group" aria-label="Status">${STATES.map(([status, word]) => html`<button
        aria-pressed=${(params.status ?? '') === status} onClick=${() => setParams({ status })}>${word}</button>`)}</div>
      <input type="search" placeholder="Goal, id or agent" aria-label="Search plans" value=${params.text ?? ''}
        onInput=${(event) => setParams({ text: event.target.value }, { replace: true })} />
      <label class="check"><input type="checkbox" checked=${Boolean(params.subplans)}
        onChange=${(event) => setParams({ subplans: event.target.checked ? 'true' : '' })} /> with subplans</label>
      <span class="faint wide-only" role="status">${rows && (next ? `${count(rows.length)}+ plans` : counted(rows.length, 'plan'))}</span>
    </div>
    ${error && rows && html`<p class="note" role="alert">Plans were not read: ${error.message}. <button onClick=${again}>Try again</button></p>`}
    ${error && !rows ? html`<${Failed} error=${error} again=${again} />`
      : !rows ? html`<${Loading} what="plans" />`
      : rows.length ? html`<${VirtualList} label="Plans" count=${rows.length} height=${ROW_HEIGHT} anchorKey=${rows[0].plan_id}
          row=${(at) => html`<${Row} plan=${rows[at]} now=${now} />`} keyOf=${(at) => rows[at].plan_id}
          onOpen=${(at) => navigate(['plans', rows[at].plan_id])} onEnd=${more} />`
      : isFiltered ? html`<${Empty} title="No plan is like this"><button onClick=${() => setParams({ status: '', text: '' })}>Show all</button><//>`
      : html`<${Empty} title="No plan yet"><p>Plans appear here as they start. For a first one, run</p>
          <pre>planbus demo --path . --db STORE</pre><p>with the store that this server reads (the log's file in Health), or publish from your program:</p>
          <pre>${'let run = bus.plan("my-plan").start(json!({"goal": "try it"}))?;'}</pre><//>`}
  </section>`;
};
