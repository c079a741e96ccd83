// The head of a plan: what it is to reach, how it stands, its figures, and its names to take along. `plan`
// is what the server says of it while its events are read.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { curlOf, tenantUrl } from '../api.js';
import { below, STATUS } from '../events.js';
import { CopyButton } from '../parts/copy.js';
import { serverTime } from '../parts/server_time.js';
import { clock, counted, duration, running } from '../parts/time.js';
import { linkTo } from '../route.js';
import { standing } from './marks.js';
import { errorOf, isRunning, lasted, startOf, totalsOf } from './model.js';

const Crumbs = ({ ancestors, root }) => html`<nav class="crumbs" aria-label="Plans above">
  <a href=${linkTo(['plans'])}>Plans</a>
  ${ancestors.map((plan, at) => html`<span aria-hidden="true">›</span><a class="crumb" href=${linkTo(['plans', plan.plan_id])} title=${plan.plan_id}>${
    plan.goal || below(plan.plan_id, ancestors[at - 1]?.plan_id)}</a>`)}
  <span aria-hidden="true">›</span><span class="crumb" aria-current="page" title=${root.id}>${below(root.id, ancestors[ancestors.length - 1]?.plan_id)}</span>
</nav>`;

const Figures = ({ plans, root }) => {
  const { events, tools, failed, decisions, subplans } = totalsOf(plans);
  return html`<li>${counted(events, 'event')}</li><li>${counted(tools, 'tool call')}</li>
    ${failed > 0 && html`<li><a class="hue-red" href=${linkTo(['plans', root.id], { failed: 'true' })} title="Show what failed alone">${counted(failed, 'failed call')}</a></li>`}
    ${decisions > 0 && html`<li>${counted(decisions, 'decision')}</li>`}
    ${subplans > 0 && html`<li>${counted(subplans, 'subplan')}</li>`}`;
};

// How a plan stands: as its events say, or, where not all of them are read, as the server says.
const standingOf = (plan, root, now) => {
  if (!plan) return { ...standing(root), error: errorOf(root), took: isRunning(root) ? running(lasted(root, now)) : duration(lasted(root, now)) };
  const took = plan.status === 'running' ? serverTime() - Date.parse(plan.status_since ?? plan.started_at) : (plan.duration_us ?? 0) / 1000;
  return { ...STATUS[plan.status], error: plan.error ?? '', took: plan.status === 'running' ? running(took) : duration(took) };
};

export const Head = ({ plan, correlation, root, plans, ancestors, now }) => {
  const { mark, hue, word, error, took } = standingOf(plan, root, now);
  const started = new Date(startOf(root)).toISOString();
  return html`<header class="plan-head">
    <${Crumbs} ancestors=${ancestors} root=${root} />
    <div class="plan-title">
      <h1 title=${root.goal || root.id}>${root.goal || root.id}</h1>
      <p class=${`standing ${hue}`}><span aria-hidden="true">${mark}</span> ${word} <span class="number">${took}</span></p>
    </div>
    ${error && html`<p class="plan-error hue-red" title=${error}>${error}</p>`}
    <ul class="plan-facts">
      <li>started <time datetime=${started} title=${started}>${clock(started)}</time></li>
      ${root.source && html`<li>by ${root.source}</li>`}
      ${root.starts > 1 && html`<li class="hue-yellow">begun ${root.starts} times</li>`}
      <${Figures} plans=${plans} root=${root} />
      <li class="plan-copies">
        <${CopyButton} text=${root.id} title=${root.id}>Copy id<//>
        ${correlation && correlation !== root.id && html`<${CopyButton} text=${correlation} title=${correlation}>Copy correlation id<//>`}
        <${CopyButton} text=${() => curlOf(tenantUrl('events', { plan: root.id, limit: 1000 }))}
          title="A command that fetches the events of this plan">Copy as curl<//>
      </li>
    </ul>
  </header>`;
};
