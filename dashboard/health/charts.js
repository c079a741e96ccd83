// The charts: events a second by kind, how long tools took, how long commits took.
import { html, useMemo } from '../vendor/htm-preact-3.1.1.js';
import { count, duration } from '../parts/time.js';
import { Chart } from './chart.js';
import { KINDS, WINDOW_S } from './rates.js';

const micros = (value) => duration(value / 1000);
// As on an axis: without digits that are always 0.
const short = (value) => (value === 0 ? '0' : micros(value).replace(/\.0+ /, ' '));
const perSecond = (value) => (value >= 10 || Number.isInteger(value) ? count(Math.round(value)) : value.toFixed(1));

const KIND_SERIES = KINDS.map(([hue, label]) => ({ hue, label }));
const TOOL_SERIES = [{ hue: 'cyan', label: 'p50' }, { hue: 'cyan', label: 'p95', dash: [4, 3] }];
const COMMIT_SERIES = [{ hue: 'grey', label: 'p50' }, { hue: 'grey', label: 'p99', dash: [4, 3] }];

export const Charts = ({ rates, commits, now }) => {
  const until = now / 1000;
  const kinds = useMemo(() => rates.series(now), [rates, now]);
  const tools = useMemo(() => rates.tools(now, [0.5, 0.95]), [rates, now]);
  const taken = commits?.series();
  const span = { from: until - WINDOW_S, until };
  return html`<div class="charts">
    <${Chart} title="Events a second" series=${KIND_SERIES} times=${kinds.times} values=${kinds.kinds} format=${perSecond} isStacked ...${span} />
    <${Chart} title="Tool calls" series=${TOOL_SERIES} times=${tools.times} values=${tools.quantiles} format=${short} ...${span} />
    ${taken && html`<${Chart} title="Commits" series=${COMMIT_SERIES} times=${taken.times} values=${taken.quantiles} format=${short} ...${span} />`}
  </div>`;
};
