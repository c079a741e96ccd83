// The panel beside every view: one event with its envelope, what it belongs to, and its payload.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { curlOf } from '../api.js';
import { hueOf } from '../events.js';
import { useKeys } from '../keys.js';
import { CopyButton } from '../parts/copy.js';
import { Empty, Failed, Loading } from '../parts/notice.js';
import { clock, count, duration } from '../parts/time.js';
import { Payload } from '../payload/viewer.js';
import { linkTo, setParams, useRoute } from '../route.js';
import { useStore } from '../store.js';
import { neighbours } from './neighbours.js';
import { addressOf, inPlan, payloadField, readEvent } from './one.js';
import { usePair } from './pair.js';

// The event that the URL names. The one before stays until it has come, so that nothing jumps.
const useEvent = (named, tenant) => {
  const [state, setState] = useState({ event: null, error: null, isThere: null });
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (state.isThere && String(state.event.fields.seq) === named && state.event.tenant === tenant) return undefined;
    const abort = new AbortController();
    readEvent(named, abort.signal).then(
      (event) => {
        setState({ event: event && { ...event, tenant }, error: null, isThere: Boolean(event) });
        // Lists know events by their seq.
        if (event && named !== String(event.fields.seq)) setParams({ event: event.fields.seq }, { replace: true });
      },
      (error) => error.name !== 'AbortError' && setState({ event: null, error, isThere: null }),
    );
    return () => abort.abort();
  }, [named, tenant, tries]);
  const isOurs = !state.event || state.event.tenant === tenant;
  return { ...state, event: isOurs ? state.event : null, again: () => setTries(tries + 1) };
};

const open = (event) => setParams({ event });

// A link to another event, which this panel then shows.
const EventLink = ({ to, children }) => {
  const { path, params } = useRoute();
  return html`<a href=${linkTo(path, { ...params, event: to })} onClick=${(click) => {
    if (click.ctrlKey || click.metaKey || click.shiftKey) return;
    click.preventDefault();
    open(to);
  }}>${children}</a>`;
};

const Pair = ({ event }) => {
  const pair = usePair(event);
  if (!pair) return null;
  const isCall = event.fields.event_type === 'ToolCalled';
  const took = pair.event && Math.abs(Date.parse(pair.event.timestamp) - Date.parse(event.fields.timestamp));
  const words = pair.event && html`<${EventLink} to=${pair.event.seq}>#${count(pair.event.seq)}<//>`;
  return html`<dt>${isCall ? 'Completed' : 'Called'}</dt>
    <dd>${words ? html`${words} <span class="faint">${duration(took)} ${isCall ? 'later' : 'earlier'}</span>` : isCall ? 'not yet' : 'by no event of this log'}</dd>`;
};

const list = (value) => (Array.isArray(value) ? value.join(' → ') : String(value));

const Facts = ({ event }) => {
  const { fields } = event;
  const isGiven = (name) => fields[name] !== undefined && fields[name] !== null;
  const of = (name, word, shown = list(fields[name])) => isGiven(name) && html`<dt>${word}</dt><dd>${shown}</dd>`;
  const plan = (id, filter) => html`<a href=${linkTo(['plans', id])}>${id}</a> · <a href=${linkTo(['events'], { [filter]: id })}>events</a>`;
  return html`<dl class="facts-of-event">
    ${of('plan_id', 'Plan', plan(fields.plan_id, 'plan'))}
    ${of('source', 'Agent', html`<a href=${linkTo(['events'], { source: fields.source })}>${fields.source}</a>`)}
    <${Pair} event=${event} />
    ${of('causation_id', 'Caused by', html`<${EventLink} to=${fields.causation_id}>${fields.causation_id}<//>`)}
    ${fields.correlation_id !== fields.plan_id && of('correlation_id', 'Run', plan(fields.correlation_id, 'correlation'))}
    ${fields.tenant !== 'default' && of('tenant', 'Tenant')}
    ${fields.priority !== 'normal' && of('priority', 'Priority')}
    ${of('call_chain', 'Call chain')}
    ${of('context_refs', 'Refers to', [fields.context_refs].flat().join('\n'))}
    ${of('trace_parent', 'Trace')}
    ${of('timestamp', 'Time', html`<time datetime=${fields.timestamp}>${fields.timestamp}</time>`)}
    ${of('recorded_at', 'Recorded', html`<time datetime=${fields.recorded_at}>${fields.recorded_at}</time>`)}
    ${of('event_id', 'Event id', html`<span class="mono">${fields.event_id}</span>`)}
  </dl>`;
};

const Tools = ({ event }) => {
  const address = addressOf(event);
  const { text, payload, fields } = event;
  return html`<div class="tools-of-event">
    <${CopyButton} text=${text} title="The event as the server sent it">Copy event<//>
    ${payload && html`<${CopyButton} text=${() => text.slice(...payload)} title="The payload as it was published">Copy payload<//>`}
    ${address && html`<${CopyButton} text=${curlOf(address)} title="A command that fetches this event">Copy as curl<//>
      <a class="button" href=${address.toString()} download=${`event-${fields.seq}.json`}>Download</a>`}
  </div>`;
};

const Shown = ({ event }) => {
  const { fields, text, payload } = event;
  const hue = hueOf({ event_type: fields.event_type, payload: { ok: payloadField(event, 'ok') } });
  return html`<h2 class=${hue}>${fields.event_type}</h2>
    <p class="faint">#${count(fields.seq)} · <time datetime=${fields.timestamp}>${clock(fields.timestamp)}</time></p>
    <${Tools} event=${event} /><${Facts} event=${event} />
    ${payload && html`<${Payload} text=${text} place=${payload} />`}`;
};

const Missing = ({ error, again }) => {
  if (error?.status === 410) {
    return html`<${Empty} title="This event was removed from the log">
      <p>Retention removed it.${error.oldestSeq > 0 ? ` The log begins with #${count(error.oldestSeq)}.` : ''}</p>
      ${error.oldestSeq > 0 && html`<button onClick=${() => open(error.oldestSeq)}>Show that one</button>`}<//>`;
  }
  if (error && error.status !== 404) return html`<${Failed} error=${error} again=${again} />`;
  return html`<${Empty} title="The log has no such event"><p>It was removed, belongs to another tenant, or never was.</p><//>`;
};

// Where one is back when the panel is closed.
const LISTS = ['listbox', 'tree', 'treegrid'].map((role) => `main [role="${role}"]`).join();

const Step = ({ go, by, mark, letter, word }) => html`<button onClick=${() => go(by)} title=${`${word} ( ${letter} )`}>
  <span aria-hidden="true">${mark}</span><span class="sr-only">${word}</span></button>`;

// `named` is the seq or the id of an event.
export const EventPanel = ({ named, tenant }) => {
  const { event, error, isThere, again } = useEvent(named, tenant);
  const order = useStore(neighbours);
  const frame = useRef(null);
  const opener = useRef(document.activeElement).current;
  // Whoever closes the panel from within is back where it was opened.
  useLayoutEffect(() => () => {
    const { activeElement } = document;
    if (activeElement !== document.body && !frame.current.contains(activeElement)) return;
    const list = document.querySelector(LISTS) ?? document.getElementById('main');
    const place = opener !== document.body && opener?.isConnected ? opener : list;
    place.focus({ preventScroll: true });
  }, []);
  // Along the list that is shown; an event that is in none, along its plan.
  const go = async (by) => {
    if (!event) return;
    const { seq } = event.fields;
    const next = order?.has(seq) ? order.seqAt(seq, by) : await inPlan(event, order?.isNewestFirst ? -by : by).catch(() => null);
    if (next !== null) open(next);
  };
  const isBusy = !error && isThere !== false && ![String(event?.fields.seq), event?.fields.event_id].includes(named);
  useKeys({ '[': () => void go(-1), ']': () => void go(1) });
  return html`<aside class="event-panel" ref=${frame} aria-label=${`Event ${named}`} aria-busy=${isBusy}>
    <div class="panel-bar"><${Step} go=${go} by=${-1} mark="↑" letter="[" word="The event above" /><${Step} go=${go} by=${1} mark="↓" letter="]" word="The event below" />
      <button class="close" onClick=${() => setParams({ event: '' })} title="Close (Esc)"><span aria-hidden="true">×</span><span class="sr-only">Close</span></button></div>
    <div class="panel-content">${event ? html`<${Shown} event=${event} />`
      : isThere === false || error ? html`<${Missing} error=${error} again=${again} />`
      : html`<${Loading} what="the event" />`}</div>
  </aside>`;
};
