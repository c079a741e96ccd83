// A chart of the last minutes, in the colours of the theme; its values stand beside it as text.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';

const HEIGHT = 150;
const AXIS_WIDTH = 56;
const FONT = '11px system-ui, sans-serif';

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const two = (number) => String(number).padStart(2, '0');
const hour = (seconds) => {
  const time = new Date(seconds * 1000);
  return `${two(time.getHours())}:${two(time.getMinutes())}`;
};

// Calls `then` when the drawing library is there; gives what ends the wait.
const whenReady = (then) => {
  if (globalThis.uPlot) {
    then();
    return () => {};
  }
  addEventListener('load', then, { once: true });
  return () => removeEventListener('load', then);
};

// Bars on one another: drawn from the top of the whole stack down, each over the one before.
const stacked = (values) => {
  const sums = [];
  values.forEach((kind, at) => sums.push(kind.map((value, time) => (value === null ? null : value + (sums[at - 1]?.[time] ?? 0)))));
  return sums.reverse();
};

// Whether there is anything to draw: without it an axis would measure nothing.
const isKnown = ([, ...lists]) => lists.some((list) => list.some((value) => value !== null));

const optionsOf = ({ series, isStacked, format }, width, windowOf, onCursor) => {
  const axis = { stroke: () => color('ink-3'), font: FONT, ticks: { show: false } };
  const grid = { stroke: () => color('line'), width: 1 };
  const drawn = isStacked ? [...series].reverse() : series;
  return {
    width,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false, x: false }, points: { show: !isStacked } },
    scales: { x: { time: true, range: windowOf }, y: { range: (_, min, max) => [0, Math.max(max || 0, 1) * 1.08] } },
    axes: [
      { ...axis, grid: { show: false }, size: 22, space: 60, incrs: [60], values: (_, times) => times.map(hour) },
      { ...axis, grid, size: AXIS_WIDTH, space: 32, gap: 4, values: (plot, values) => values.map((value) => (isKnown(plot.data) ? format(value) : '')) },
    ],
    series: [{}, ...drawn.map(({ hue, dash }) => (isStacked
      ? { fill: () => color(hue), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 12], align: 1 }) }
      : { stroke: () => color(hue), width: 1.5, dash, spanGaps: true, points: { show: true, size: 4, fill: () => color(hue) } }))],
    hooks: { setCursor: [({ cursor }) => onCursor(cursor.idx ?? null)] },
  };
};

// `series` are {label, hue, dash?}, `values` a list for each at `times` (seconds; null where nothing is
// known), `format` says a value in words. Shown is what is `from` to `until`. The values beside it are the
// last known, or those at the pointer.
export const Chart = ({ title, series, times, values, format, isStacked, from, until }) => {
  const frame = useRef(null);
  const plot = useRef(null);
  const [at, setAt] = useState(null);
  const data = [times, ...(isStacked ? stacked(values) : values)];
  const latest = useRef(null);
  latest.current = { data, span: [from, until] };

  useEffect(() => {
    const box = frame.current;
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => plot.current?.redraw(true, true);
    const theme = new MutationObserver(redraw);
    const size = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }));
    const stop = whenReady(() => {
      plot.current = new uPlot(optionsOf({ series, isStacked, format }, box.clientWidth, () => latest.current.span, setAt), latest.current.data, box);
      size.observe(box);
    });
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    scheme.addEventListener('change', redraw);
    return () => {
      stop();
      size.disconnect();
      theme.disconnect();
      scheme.removeEventListener('change', redraw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [values, until]);

  const told = (list) => (at === null ? list.findLast((value) => value !== null) : list[at]) ?? null;
  const words = (value) => (value === null ? '–' : format(value));
  const moment = at === null ? (isKnown(data) ? '' : 'none in these minutes') : new Date(times[at] * 1000).toLocaleTimeString('en-GB');
  return html`<figure class="chart" aria-label=${title}>
    <figcaption><h3>${title}</h3><span class="faint number">${moment}</span></figcaption>
    <div class="plot" ref=${frame} aria-hidden="true"></div>
    <dl class="key">${series.map(({ label, hue, dash }, place) => html`<div>
      <dt><span class="sample hue-${hue} ${dash ? 'is-dashed' : ''}" aria-hidden="true"></span>${label}</dt><dd class="number">${words(told(values[place]))}</dd>
    </div>`)}</dl>
  </figure>`;
};
