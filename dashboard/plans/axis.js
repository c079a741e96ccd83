// The window of time that a timeline shows: zoom, and the ticks of its axis. Pure; milliseconds.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  ...[0.001, 0.01, 0.1, 1, 10, 100].flatMap((unit) => [unit, 2 * unit, 5 * unit]),
  ...[1, 2, 5, 10, 15, 30].map((at) => at * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((at) => at * MINUTE),
  ...[1, 2, 3, 6, 12].map((at) => at * HOUR),
  ...[1, 2, 7, 14, 30, 90, 365].map((at) => at * DAY),
];

// No window is shorter: timestamps tell microseconds.
const SHORTEST = 0.01;

// A time behind the start, in the unit of the steps between ticks.
const label = (at, step) => {
  if (at === 0) return '0';
  const places = (unit) => Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
  if (step < 1 && Math.abs(at) < SECOND) return `${at.toFixed(places(1))} ms`;
  if (step < SECOND) return Math.abs(at) < SECOND ? `${at.toFixed(0)} ms` : `${(at / SECOND).toFixed(places(SECOND))} s`;
  const parts = [[DAY, 'd'], [HOUR, 'h'], [MINUTE, 'm'], [SECOND, 's']]
    .map(([unit, word], nth, all) => [Math.floor((nth ? at % all[nth - 1][0] : at) / unit), word])
    .filter(([number]) => number > 0)
    .slice(0, 3);
  if (parts[0][1] === 's') return `${parts[0][0]} s`;
  return parts.map(([number, word], nth) => `${nth ? String(number).padStart(2, '0') : number}${word}`).join(' ');
};

// At most `most` ticks between two times, at round places: [{at, label}].
export const ticks = (from, to, most) => {
  const span = to - from;
  if (!(span > 0) || most < 1) return [];
  const step = STEPS.find((one) => span / one <= most) ?? STEPS[STEPS.length - 1] * Math.ceil(span / STEPS[STEPS.length - 1] / most);
  const found = [];
  for (let nth = Math.ceil(from / step - 1e-6); nth * step <= to; nth += 1) {
    const at = Number((nth * step).toPrecision(12));
    found.push({ at, label: label(at, step) });
  }
  return found;
};

// A window within all of it, not shorter than what can be told apart.
export const within = ({ from, to }, whole) => {
  const length = Math.min(Math.max(to - from, SHORTEST), whole);
  const start = Math.min(Math.max(from, 0), whole - length);
  return { from: start, to: start + length };
};

// The window made `factor` times as long, with one time where it is.
export const zoom = ({ from, to }, factor, at, whole) => within({ from: at - (at - from) * factor, to: at + (to - at) * factor }, whole);

export const pan = ({ from, to }, by, whole) => within({ from: from + by, to: to + by }, whole);

// As it stands in the URL: `1200-3400.5`; null is all of it.
export const formatRange = (range) => (range ? `${Number(range.from.toFixed(3))}-${Number(range.to.toFixed(3))}` : '');

export const parseRange = (text) => {
  const [from, to, more] = String(text ?? '').split('-').map((part) => (part.trim() === '' ? NaN : Number(part)));
  return more === undefined && from >= 0 && to > from && Number.isFinite(to) ? { from, to } : null;
};
