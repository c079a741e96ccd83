// Draws the bars of a timeline on a canvas: what is seen, and nothing else. It keeps no state.
import { blocksWithin, firstWhere, LANE } from './lanes.js';
import { isRunning, outcomeOf } from './model.js';

// A bar is never narrower.
const NARROWEST = 2;
const PAD = 3;
// A name is written into a bar, or beside it, that has room for so much.
const NAME_MIN = 28;

const NAMES = ['line', 'line-strong', 'ink', 'ink-2', 'ink-3', 'focus', 'blue', 'green', 'red', 'yellow', 'cyan', 'magenta', 'grey', 'raised'];

// The colours of the page as they are now, light or dark.
export const coloursOf = (element) => {
  const style = getComputedStyle(element);
  return { ...Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])), font: style.font };
};

const RUN_HUES = { running: 'blue', completed: 'green', failed: 'red' };
const CALL_HUES = { running: 'blue', ok: 'cyan', failed: 'red', done: 'cyan', unanswered: 'grey' };
const hueOf = ({ item, status }) => (item.kind === 'plan' ? RUN_HUES[status] ?? 'grey' : CALL_HUES[outcomeOf(item)]);

// As much of a text as fits.
const widths = new Map();
const WIDTHS_MAX = 5_000;
const widthOf = (context, text) => {
  const key = `${context.font} ${text}`;
  if (!widths.has(key)) {
    if (widths.size >= WIDTHS_MAX) widths.clear();
    widths.set(key, context.measureText(text).width);
  }
  return widths.get(key);
};
const fitted = (context, text, room) => {
  if (widthOf(context, text) <= room) return text;
  let length = Math.floor((text.length * room) / widthOf(context, text));
  while (length > 0 && widthOf(context, `${text.slice(0, length)}…`) > room) length -= 1;
  return length > 1 ? `${text.slice(0, length)}…` : '';
};

// `scene` is {whole, window: {from, to}, size: {width, height}, top, now, ticks, selected}; times of
// `window` and `ticks` count from the start of the whole.
export const paint = (context, colours, scene) => {
  const { whole, window, size, top, now, ticks, selected } = scene;
  const scale = size.width / (window.to - window.from);
  const xOf = (time) => (time - whole.from - window.from) * scale;
  const until = (time) => Math.min(time, Math.max(now, whole.from));
  const first = whole.from + window.from;
  const last = whole.from + window.to;
  context.clearRect(0, 0, size.width, size.height);
  context.font = colours.font;
  context.textBaseline = 'middle';

  context.fillStyle = colours.line;
  for (const { at } of ticks) context.fillRect(Math.round((at - window.from) * scale), 0, 1, size.height);

  const rect = (bar, y, height, hue, alpha) => {
    const left = Math.max(xOf(bar.start), -PAD);
    const width = Math.max(Math.min(xOf(until(bar.end)), size.width + PAD) - left, NARROWEST);
    context.globalAlpha = width <= 3 * NARROWEST ? 1 : alpha;
    context.fillStyle = colours[hue];
    context.fillRect(left, y, width, height);
    context.globalAlpha = 1;
    return { left, width };
  };

  const paintRuns = (block, y) => {
    for (const run of block.runs) {
      if (run.start > last || until(run.end) < first) continue;
      const hue = hueOf(run);
      const { left, width } = rect(run, y + PAD + 3, LANE - 2 * PAD - 6, hue, 0.25);
      context.fillStyle = colours[hue];
      context.fillRect(left, y + PAD, 1.5, LANE - 2 * PAD);
      if (run.end <= now) context.fillRect(left + width - 1.5, y + PAD, 1.5, LANE - 2 * PAD);
      // Where nothing below is at work the plan itself thinks, or waits: the bar is pale there.
      for (let at = firstWhere(block.busy, ({ end }) => end >= Math.max(first, run.start)); at < block.busy.length; at += 1) {
        const span = block.busy[at];
        if (span.start > Math.min(last, run.end)) break;
        rect({ start: Math.max(span.start, run.start), end: Math.min(span.end, run.end) }, y + PAD + 3, LANE - 2 * PAD - 6, hue, 0.7);
      }
    }
  };

  const paintName = (bar, y, { left, width }, next) => {
    const inside = Math.max(left, 0) + 2 * PAD;
    const roomInside = left + width - inside - PAD;
    const text = bar.item.name;
    if (widthOf(context, text) > roomInside) {
      const outside = left + width + 2 * PAD;
      const room = (next ? Math.min(xOf(next.start), size.width) : size.width) - outside - PAD;
      if (room > roomInside && room >= NAME_MIN) {
        context.fillStyle = colours['ink-2'];
        context.fillText(fitted(context, text, room), outside, y + LANE / 2 + 0.5);
        return;
      }
    }
    if (roomInside < NAME_MIN) return;
    context.fillStyle = colours.ink;
    context.fillText(fitted(context, text, roomInside), inside, y + LANE / 2 + 0.5);
  };

  const paintLane = (bars, y) => {
    // Many bars within one pixel are drawn as one.
    let drawn = { right: -Infinity, hue: '' };
    const slivers = [];
    for (let at = firstWhere(bars, ({ reach }) => reach >= first); at < bars.length && bars[at].start <= last; at += 1) {
      const bar = bars[at];
      const right = xOf(until(bar.end));
      const hue = hueOf(bar);
      if (right < drawn.right && hue === drawn.hue) continue;
      const place = rect(bar, y + 2, LANE - 4, hue, 0.25);
      drawn = { right: place.left + place.width, hue };
      if (hue === 'red' && place.width <= 3 * NARROWEST) slivers.push(place.left);
      context.fillStyle = colours[hue];
      context.fillRect(place.left, y + 2, NARROWEST, LANE - 4);
      if (isRunning(bar.item)) context.fillRect(place.left, y + LANE - 4, place.width, 2);
      if (bar.item === selected) {
        context.strokeStyle = colours.focus;
        context.strokeRect(place.left + 0.5, y + 1.5, Math.max(place.width - 1, NARROWEST), LANE - 3);
      }
      paintName(bar, y, place, bars[at + 1]);
    }
    // What failed stands over its neighbours: one among thousands is seen.
    context.fillStyle = colours.red;
    for (const left of slivers) context.fillRect(left - 1, y, 2 * NARROWEST, LANE);
  };

  const paintMarks = (block, y) => {
    let drawn = -Infinity;
    for (let at = firstWhere(block.marks, ({ startMs }) => startMs >= first); at < block.marks.length; at += 1) {
      const mark = block.marks[at];
      if (mark.startMs > last) break;
      const x = xOf(mark.startMs);
      if (x - drawn < 1 && mark !== selected) continue;
      // Those that stand closer than they are wide make one thin band, which leaves the plan's bar to be seen.
      const isAlone = x - drawn > 4.5;
      drawn = x;
      const half = mark === selected ? 6 : isAlone ? 4.5 : 2;
      context.beginPath();
      context.moveTo(x, y + LANE / 2 - half);
      context.lineTo(x + half, y + LANE / 2);
      context.lineTo(x, y + LANE / 2 + half);
      context.lineTo(x - half, y + LANE / 2);
      context.closePath();
      context.fillStyle = colours.yellow;
      context.fill();
      context.strokeStyle = mark === selected ? colours.focus : colours.raised;
      if (isAlone || mark === selected) context.stroke();
    }
  };

  for (const block of blocksWithin(whole, top, top + size.height)) {
    const y = block.top - top;
    context.fillStyle = colours.line;
    context.fillRect(0, Math.round(y + block.height) - 1, size.width, 1);
    paintRuns(block, y);
    const from = Math.max(0, Math.floor((top - block.top) / LANE) - 1);
    const to = Math.min(block.lanes.length, Math.ceil((top + size.height - block.top) / LANE));
    for (let lane = from; lane < to; lane += 1) paintLane(block.lanes[lane], y + (lane + 1) * LANE);
    paintMarks(block, y);
  }

  if (whole.to === null) {
    const x = xOf(now);
    context.fillStyle = colours.blue;
    context.fillRect(Math.round(Math.min(x, size.width - 1)), 0, 1, x <= size.width ? size.height : 0);
  }
};
