// The events of a plan and all below it, in the order of the log; each with what caused it and what it
// caused.
import { html, useMemo, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { below, describe, hueOf } from '../events.js';
import { useNeighbours } from '../events/neighbours.js';
import { Empty } from '../parts/notice.js';
import { clock, duration } from '../parts/time.js';
import { VirtualList } from '../parts/virtual.js';
import { setParams } from '../route.js';
import { firstWhere } from './lanes.js';
import { seqNamed, startOf, timeOf } from './model.js';
import { oneLine } from './words.js';

const ROW_HEIGHT = 28;
// Rails beyond this depth lie on one another.
const DEPTH_MAX = 8;

const hasFailed = ({ event_type: type, payload }) => type === 'PlanFailed' || payload?.ok === false;

const hasText = (event, text) =>
  [event.event_type, event.plan_id, event.source ?? '', describe(event)].some((part) => part.toLowerCase().includes(text));

const eventsOf = (model, depths, { text = '', failed }) => {
  const wanted = text.toLowerCase();
  return model.events.filter((event) => depths.has(event.plan_id) && (!failed || hasFailed(event)) && (!wanted || hasText(event, wanted)));
};

// A link within the log; the row around it stays closed.
const Jump = ({ event: named, title, children }) => html`<span class="link" title=${title}
  onClick=${(event) => { event.stopPropagation(); setParams({ event: named }); }}>${children}</span>`;

// The marks beside the row that is open: what caused it, and what it caused.
const RELATIONS = { cause: ['◂', 'caused the one that is open'], effect: ['▸', 'caused by the one that is open'] };

const Row = ({ event, model, root, depth, isClock, relation }) => {
  const cause = model.seqs.get(event.causation_id);
  const effects = model.effects.get(event.event_id) ?? [];
  const words = describe(event);
  const offset = timeOf(event) - startOf(root);
  const [mark, meaning] = RELATIONS[relation] ?? ['', ''];
  return html`<span class="relation" title=${meaning}>${mark}<span class="sr-only">${meaning}</span></span>
    <span class="number faint seq">${event.seq}</span>
    <time class="number faint" datetime=${event.timestamp} title=${event.timestamp}>${isClock ? clock(event.timestamp) : `${offset < 0 ? '−' : '+'}${duration(Math.abs(offset))}`}</time>
    <span class="type"><span class="rails" aria-hidden="true">${Array.from({ length: Math.min(depth, DEPTH_MAX) }, () => html`<span></span>`)}</span><span
      class=${hueOf(event)}>${event.event_type}</span></span>
    <span class="of faint" title=${event.plan_id}>${event.plan_id === root.id ? '' : below(event.plan_id, root.id)}</span>
    <span class="said" title=${words}>${oneLine(words)}</span>
    <span class="jump">${event.causation_id && html`<${Jump} event=${cause ?? event.causation_id}
      title="Go to the event that caused this one">caused by ${cause ? `#${cause}` : 'another'}<//>`}</span>
    <span class="jump is-effects">${effects.length > 0 && html`<${Jump} event=${effects[0]} title="Go to the first event that this one caused">caused ${effects.length}<//>`}</span>`;
};

const Columns = ({ isClock, onClock }) => html`<div class="columns"><span class="relation"></span>
  <span class="number seq" aria-hidden="true">seq</span>
  <span class="number time"><button aria-pressed=${isClock} onClick=${onClock} title="From the start of the plan, or the time of day">${isClock ? 'time of day' : 'from start'} ⇄</button></span>
  <span class="type" aria-hidden="true">type</span><span class="of" aria-hidden="true">plan</span><span class="said" aria-hidden="true">what</span>
  <span class="jump" aria-hidden="true">cause</span><span class="jump is-effects" aria-hidden="true">effects</span></div>`;

export const Log = ({ model, root, plans, version, params, isLive }) => {
  const [isClock, setClock] = useState(false);
  const wasLive = useRef(false);
  wasLive.current ||= isLive;
  const depths = useMemo(() => new Map(plans.map(({ plan, depth }) => [plan.id, depth])), [plans]);
  const events = useMemo(() => eventsOf(model, depths, params), [model, version, depths, params.text, params.failed]);
  const placeOf = (seq) => {
    const at = firstWhere(events, (event) => event.seq >= seq);
    return events[at]?.seq === seq ? at : -1;
  };
  const selected = seqNamed(model, params.event);
  const selectedAt = selected === undefined ? -1 : placeOf(selected);
  const open = events[selectedAt];
  useNeighbours((seq, by) => (placeOf(seq) < 0 ? null : events[placeOf(seq) + by]?.seq ?? null), (seq) => placeOf(seq) >= 0);
  const relationOf = (event) => {
    if (!open || event === open) return '';
    if (open.causation_id === event.event_id) return 'cause';
    return event.causation_id === open.event_id ? 'effect' : '';
  };
  if (!events.length) {
    return html`<${Empty} title=${params.failed && !params.text ? 'Nothing failed' : 'No event is like this'}>
      <button onClick=${() => setParams({ failed: '', text: '' })}>Show all</button><//>`;
  }
  return html`<${Columns} isClock=${isClock} onClock=${() => setClock(!isClock)} />
    <${VirtualList} label="Events of the plan" count=${events.length} height=${ROW_HEIGHT} isTailing=${wasLive.current} resetKey=${wasLive.current}
      row=${(at) => html`<${Row} event=${events[at]} model=${model} root=${root} depth=${depths.get(events[at].plan_id)} isClock=${isClock}
        relation=${relationOf(events[at])} />`}
      keyOf=${(at) => events[at].seq} selected=${selected} selectedAt=${selectedAt} onOpen=${(at) => setParams({ event: events[at].seq })} />`;
};
