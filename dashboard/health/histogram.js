// Histograms as the server tells them: counts of values that were at most as large as a bound. Pure.

// What was counted between two readings. A server that began anew counts from nothing, so that all it
// tells is new.
export const between = (before, now) => {
  if (!now) return null;
  if (!before || now.count < before.count || before.buckets.length !== now.buckets.length) return now;
  return {
    count: now.count - before.count,
    sum_us: now.sum_us - before.sum_us,
    buckets: now.buckets.map(({ le_us, count }, at) => ({ le_us, count: count - before.buckets[at].count })),
  };
};

// The value below which a share of all lie, taken as spread evenly within its bucket; null where there is
// none. Above the last bound, that bound: it was at least as large.
export const quantile = (histogram, share) => {
  if (!histogram?.count) return null;
  const wanted = share * histogram.count;
  let [low, below] = [0, 0];
  for (const { le_us: high, count } of histogram.buckets) {
    if (count >= wanted && count > below) return high === null ? low : low + (high - low) * ((wanted - below) / (count - below));
    if (high !== null) low = high;
    below = count;
  }
  return low;
};

// The same of single values, which need not be in order.
export const quantileOf = (values, share) => {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? sorted[0];
};
