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
  const leave = () => {
    if (!joined) return;
    const { entry, tenant, end } = joined;
    joined = null;
    end();
    entry.tabs.delete(port);
    if (entry.tabs.size) return;
    entry.feed.close();
    feeds.delete(tenant);
  };
  const watch = setInterval(() => {
    if (Date.now() - heard < SILENCE_MS) return;
    clearInterval(watch);
    leave();
  }, SILENCE_MS / 3);
  port.onmessage = ({ data }) => {
    heard = Date.now();
    if (data.type === 'join') {
      leave();
      const entry = feedOf(data.base, data.tenant);
      entry.tabs.add(port);
      joined = { entry, tenant: data.tenant, end: entry.feed.listen((message) => port.postMessage(message)) };
      port.postMessage({ type: 'state', state: entry.feed.state() });
    } else if (data.type === 'retry') {
      joined?.entry.feed.retry();
    } else if (data.type === 'leave') {
      leave();
    }
  };
};
