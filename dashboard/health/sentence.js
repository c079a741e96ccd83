// The sentence on top: how all is, the worst first, and what to do next.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { counted } from '../parts/time.js';
import { linkTo } from '../route.js';
import { judge } from './verdict.js';

// A command in words stands between backticks.
const words = (text) => text.split('`').map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));

const Next = ({ finding, onGroup }) => {
  if (finding.path) return html`<span>${words(finding.next)} <a href=${linkTo([finding.path])}>Look at them</a></span>`;
  if (finding.group) return html`<span>${words(finding.next)} <button class="plain" onClick=${() => onGroup(finding)}>What it has in hand</button></span>`;
  return finding.next && html`<span>${words(finding.next)}</span>`;
};

const HUE = { bad: 'hue-red', warn: 'hue-yellow' };
const MARK = { bad: '✗', warn: '!' };
const Mark = ({ level }) => html`<span class="mark ${HUE[level]}" aria-hidden="true">${MARK[level]}</span>`;

const Quiet = ({ hue, title, children }) => html`<div class="verdict hue-${hue}"><div role="status"><h2>${title}</h2></div>${children}</div>`;

export const Verdict = ({ stats, redis, isBarred, hasNoRedis, onGroup }) => {
  if (isBarred) {
    return html`<${Quiet} hue="grey" title="Your token sees some tenants only">
      <p>How the log, its readers and Redis are is for a token that sees all. What happens in this tenant is below.</p><//>`;
  }
  const [worst, ...others] = judge({ stats: stats.data, redis: redis.data });
  if (!worst && !stats.data) return html`<${Quiet} hue="grey" title=${stats.error ? 'The figures cannot be read' : 'Reading the figures…'} />`;
  if (!worst) {
    const isAll = hasNoRedis || redis.data;
    return html`<${Quiet} hue=${isAll ? 'green' : 'grey'} title=${isAll ? '✓ All is well' : 'The log is well; Redis was not read yet'} />`;
  }
  // Its figures change all the time; a reader that speaks is told when there is more or less to look at.
  return html`<div class="verdict ${HUE[worst.level]}">
    <p class="sr-only" role="status">${counted(others.length + 1, 'thing')} to look at</p>
    <h2><span aria-hidden="true">${MARK[worst.level]} </span>${worst.what}</h2>
    <p><${Next} finding=${worst} onGroup=${onGroup} /></p>
    ${others.length > 0 && html`<h3 class="faint">${others.length === 1 ? 'And one thing more' : `And ${others.length} things more`}</h3>
      <ul>${others.map((finding) => html`<li key=${finding.what}><${Mark} level=${finding.level} />
        <span>${finding.what}</span><span class="next"><${Next} finding=${finding} onGroup=${onGroup} /></span></li>`)}</ul>`}
  </div>`;
};
