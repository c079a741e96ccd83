// One plan: its head, and below it the tree, the timeline or the log of all that belongs to it.
import { html, useMemo, useRef } from '../vendor/htm-preact-3.1.1.js';
import { useKeys } from '../keys.js';
import { TextField } from '../parts/filters.js';
import { Empty, Failed, Loading } from '../parts/notice.js';
import { serverTime } from '../parts/server_time.js';
import { count, useNow } from '../parts/time.js';
import { linkTo, setParams } from '../route.js';
import { Head } from './head.js';
import { Log } from './log.js';
import { isRunning, nowOf, plansBelow, timeOf } from './model.js';
import { usePlan } from './reading.js';
import { Timeline } from './timeline.js';
import { Tree } from './tree.js';

const VIEWS = [
  ['tree', 'Tree', Tree],
  ['timeline', 'Timeline', Timeline],
  ['log', 'Log', Log],
];

const show = (view) => setParams({ view: view === 'tree' ? '' : view });

const Tabs = ({ view }) => {
  const list = useRef(null);
  const move = (event) => {
    const at = VIEWS.findIndex(([name]) => name === view);
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: VIEWS.length - 1 };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    const to = (moves[event.key] + VIEWS.length) % VIEWS.length;
    show(VIEWS[to][0]);
    list.current.children[to].focus();
  };
  return html`<div class="choice" role="tablist" aria-label="How the plan is shown" ref=${list} onKeyDown=${move}>
    ${VIEWS.map(([name, word]) => html`<button role="tab" id=${`tab-${name}`} aria-selected=${name === view} aria-controls="plan-view"
      tabindex=${name === view ? 0 : -1} onClick=${() => show(name)}>${word}</button>`)}
  </div>`;
};

const Filters = ({ params }) => html`<${TextField} label="Tool, goal, reason, error" value=${params.text ?? ''}
    onChange=${(text) => setParams({ text }, { replace: true })} />
  <label class="check"><input type="checkbox" checked=${Boolean(params.failed)}
    onChange=${(event) => setParams({ failed: event.target.checked ? 'true' : '' })} /> failed only</label>`;

export const PlanPage = ({ id, params }) => {
  const reading = usePlan(id);
  const { model, plan, error, version, isReading, isCapped, more, again } = reading;
  const root = model?.plans.get(id);
  const plans = useMemo(() => (root ? plansBelow(root) : []), [root, version]);
  // What is half read may have ended long ago: only what is known to the last event ticks.
  const isLive = !isReading && !isCapped && plans.some((one) => isRunning(one.plan));
  const wall = useNow(isLive || (isCapped && plan?.status === 'running'), isLive ? 100 : 1_000);
  const view = VIEWS.some(([name]) => name === params.view) ? params.view : 'tree';
  useKeys({ t: () => show('tree'), i: () => show('timeline'), l: () => show('log') });
  const name = html`<h1 class="sr-only">${id}</h1>`;
  // The reader of a plan goes on by itself when it begins.
  if (error?.status === 404 && !root) {
    return html`${name}<${Empty} title="This plan has not begun"><p><code>${id}</code> is shown here as soon as it does. If it was there before,
      retention removed it, or it belongs to another tenant.</p><p><a href=${linkTo(['plans'])}>Go to the plans</a></p><//>`;
  }
  if (error && !root) return html`${name}<${Failed} error=${error} again=${again} />`;
  if (!root) return html`${name}<${Loading} what="the plan" />`;
  const now = isLive ? nowOf(model, serverTime(wall)) : timeOf(model.events[model.events.length - 1]);
  const [, , View] = VIEWS.find(([name]) => name === view);
  return html`<section class="view plan" aria-label="Plan">
    <${Head} plan=${isReading || isCapped ? plan : null} correlation=${plan?.correlation_id} root=${root} plans=${plans} ancestors=${reading.ancestors} now=${now} />
    <div class="bar">
      <${Tabs} view=${view} />
      ${view !== 'timeline' && html`<${Filters} params=${params} />`}
      <span class="faint wide-only" role="status">${isReading ? `${count(model.events.length)} events read…` : ''}</span>
    </div>
    ${isCapped && html`<p class="banner hue-yellow" role="status"><span>The first ${count(model.events.length)} events are shown.</span>
      <button onClick=${more}>Load more</button></p>`}
    ${error && html`<p class="banner hue-red" role="alert"><span>${error.message}. ${error.advice}</span><button onClick=${again}>Try again</button></p>`}
    <div class="view" role="tabpanel" id="plan-view" aria-labelledby=${`tab-${view}`}>
      <${View} key=${view} model=${model} root=${root} plans=${plans} version=${version} params=${params} now=${now} isReading=${isReading} isLive=${isLive} />
    </div>
  </section>`;
};
