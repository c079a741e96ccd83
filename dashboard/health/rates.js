// How much happened in each second of the last minutes, by hue, and how long tools took. Pure: events and
// times come in, figures go out.
import { hueOf } from '../events.js';
import { quantileOf } from './histogram.js';

// How far back is counted.
export const WINDOW_S = 300;
// A point of the charts.
export const RATE_STEP_S = 2;
export const TOOL_STEP_S = 5;
// Durations that are kept of one such step; of more, a sample.
const DURATIONS_MAX = 256;
// The rate of now is that of the last full seconds.
const NOW_S = 5;

// What an event is, as the hues tell it; the order is that of the stack, from its bottom.
export const KINDS = [
  ['cyan', 'tools'],
  ['yellow', 'decisions'],
  ['magenta', 'subplans'],
  ['blue', 'started'],
  ['green', 'completed'],
  ['red', 'failed'],
  ['grey', 'other'],
];
const PLACE = new Map(KINDS.map(([hue], at) => [`hue-${hue}`, at]));

// Counts since `began` (milliseconds).
export const createRates = (began) => {
  const slots = new Map();
  // The clock of the server may differ from ours: the shortest way that an event had is taken for none.
  let skew = Infinity;
  let wholeSince = began;
  let firstSeq = Infinity;
  let newest = Math.floor(began / 1000);

  const slotAt = (second) => {
    if (!slots.has(second)) slots.set(second, { counts: new Uint32Array(KINDS.length), durations: [], seen: 0 });
    return slots.get(second);
  };
  const forget = (now) => {
    const second = Math.floor(now / 1000);
    if (second === newest) return;
    newest = second;
    for (const known of slots.keys()) if (known < second - WINDOW_S - TOOL_STEP_S) slots.delete(known);
  };
  const count = (event, at) => {
    const own = slotAt(Math.floor(at / 1000));
    own.counts[PLACE.get(hueOf(event))] += 1;
    const took = event.event_type === 'ToolCompleted' ? event.payload?.duration_us : undefined;
    if (!Number.isFinite(took) || took < 0) return;
    own.seen += 1;
    const chosen = Math.floor(Math.random() * own.seen);
    if (own.durations.length < DURATIONS_MAX) own.durations.push(took);
    else if (chosen < DURATIONS_MAX) own.durations[chosen] = took;
  };
  const recorded = (event, now) => Date.parse(event.recorded_at ?? '') || now;
  const place = (event, now) => Math.min(now, recorded(event, now) + (Number.isFinite(skew) ? skew : 0));

  return {
    // Events as they come, also such that were held back or that the connection was cut from.
    add: (events, now) => {
      forget(now);
      for (const event of events) {
        firstSeq = Math.min(firstSeq, event.seq);
        skew = Math.min(skew, now - recorded(event, now));
      }
      for (const event of events) {
        const at = place(event, now);
        if (at >= now - WINDOW_S * 1000) count(event, at);
      }
    },
    // What was there before: a page of the log from its end; `isWhole` where nothing is older.
    fill: (events, isWhole, now) => {
      const older = events.filter(({ seq }) => seq < firstSeq);
      const oldest = events.length ? Math.min(...events.map((event) => place(event, now))) : now;
      const from = Math.max(isWhole ? 0 : oldest, now - WINDOW_S * 1000);
      for (const event of older) if (place(event, now) >= from) count(event, place(event, now));
      firstSeq = Math.min(firstSeq, ...older.map(({ seq }) => seq));
      wholeSince = Math.min(wholeSince, from);
    },
    // How many seconds are kept.
    kept: () => slots.size,
    // The seq before which nothing was counted.
    firstSeq: () => firstSeq,
    // Events a second, just now.
    rate: (now) => {
      const second = Math.floor(now / 1000);
      const from = Math.max(second - NOW_S, Math.floor(wholeSince / 1000));
      let sum = 0;
      for (let at = from; at < second; at += 1) sum += slots.get(at)?.counts.reduce((a, b) => a + b) ?? 0;
      return sum / Math.max(1, second - from);
    },
    // {times, kinds}: for each step its beginning in seconds, and for each kind events a second; null
    // where it is not known.
    series: (now) => {
      const times = steps(now, RATE_STEP_S);
      const perKind = (kind) => (time) => {
        if (time * 1000 < Math.floor(wholeSince / 1000) * 1000) return null;
        let sum = 0;
        for (let at = time; at < time + RATE_STEP_S; at += 1) sum += slots.get(at)?.counts[kind] ?? 0;
        return sum / RATE_STEP_S;
      };
      return { times, kinds: KINDS.map((_, kind) => times.map(perKind(kind))) };
    },
    // {times, quantiles}: how long tools took, in microseconds, for each share that is asked for.
    tools: (now, shares) => {
      const times = steps(now, TOOL_STEP_S);
      const durations = times.map((time) => {
        const taken = [];
        for (let at = time; at < time + TOOL_STEP_S; at += 1) taken.push(...(slots.get(at)?.durations ?? []));
        return taken;
      });
      return { times, quantiles: shares.map((share) => durations.map((taken) => quantileOf(taken, share))) };
    },
  };
};

// The beginnings of the full steps of the window, in seconds; the one that has begun is not among them.
const steps = (now, step) => {
  const end = Math.floor(now / 1000 / step) * step;
  return Array.from({ length: WINDOW_S / step }, (_, at) => end - WINDOW_S + at * step);
};
