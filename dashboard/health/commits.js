// How long commits took: all since the page was opened, and those of each reading. Pure.
import { between, quantile } from './histogram.js';
import { WINDOW_S } from './rates.js';

const SHARES = [0.5, 0.99];
const quantiles = (histogram) => SHARES.map((share) => quantile(histogram, share));

// Readings go in by `add`; `all()` is {count, p50, p99} since the first of them, `series()` what a chart
// shows, in microseconds.
export const createCommits = () => {
  let first;
  let last = null;
  let points = [];
  return {
    add: (reading, atMs) => {
      if (!reading || reading === last) return;
      // A server that began anew committed all that it tells of since then.
      if (first === undefined) first = reading;
      else if (reading.count < last.count) first = null;
      else points.push([atMs / 1000, ...quantiles(between(last, reading))]);
      points = points.filter(([at]) => at >= atMs / 1000 - WINDOW_S);
      last = reading;
    },
    all: () => {
      const own = between(first, last);
      const [p50, p99] = quantiles(own);
      return { count: own?.count ?? 0, p50, p99 };
    },
    series: () => ({ times: points.map(([at]) => at), quantiles: SHARES.map((_, at) => points.map((point) => point[at + 1])) }),
  };
};
