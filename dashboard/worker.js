// The worker that all tabs of a browser share: one EventSource a tenant, whatever the number of tabs.
import { openFeed } from './feed.js';

// A tab says that it is there this often; one that is silent for longer than SILENCE_MS is gone.
const SILENCE_MS = 90_000;

const feeds = new Map();

const feedOf = (base, tenant) => {
  if (!feeds.has(tenant)) feeds.set(tenant, { feed: openFeed(base, tenant), tabs: new Set() });
  return feeds.get(tenant);
};

onconnect = ({ ports: [port] }) => {
  let joined = null;
  let heard = Date.now();
  let watch = null;
  const leave = () => {
    clearInterval(watch);
    if (!joined) return;
    const { entry, tenant, end } = joined;
    joined = null;
    end();
    entry.tabs.delete(port);
    if (entry.tabs.size) return;
    entry.feed.close();
    feeds.delete(tenant);
  };
  // A tab that was frozen, or asleep with its machine, reads this when it wakes, and joins again.
  const look = () => {
    if (!joined || Date.now() - heard < SILENCE_MS) return;
    leave();
    port.postMessage({ type: 'dropped' });
  };
  const join = ({ base, tenant }) => {
    leave();
    const entry = feedOf(base, tenant);
    const hand = (message) => port.postMessage({ ...message, tenant });
    entry.tabs.add(port);
    joined = { entry, tenant, end: entry.feed.listen(hand) };
    watch = setInterval(look, SILENCE_MS / 3);
    hand({ type: 'state', state: entry.feed.state() });
  };
  // Who signed in did so for all tabs: those of other tenants are tried again too.
  const retry = () => {
    for (const { feed } of feeds.values()) if (feed === joined?.entry.feed || feed.state().connection === 'refused') feed.retry();
  };
  port.onmessage = ({ data }) => {
    heard = Date.now();
    if (data.type === 'join') join(data);
    else if (data.type === 'retry') retry();
    else if (data.type === 'leave') leave();
    else port.postMessage({ type: 'alive' });
  };
};
