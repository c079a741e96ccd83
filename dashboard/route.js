// Where the reader is: everything that a view shows stands in the part of the URL behind `#`, so that a
// link, a reload and the back button bring it again.
import { encoded } from './parts/encoded.js';
import { createStore, useStore } from './store.js';

// `#/plans/a%2Fb?view=log` is {path: ['plans', 'a/b'], params: {view: 'log'}}.
export const parseRoute = (hash) => {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const decode = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const parts = path.split('/').filter(Boolean).map(decode);
  return { path: parts.length ? parts : ['plans'], params: Object.fromEntries(new URLSearchParams(query)) };
};

// The other way round; params that are empty are left out.
export const formatRoute = (path, params = {}) => {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#/${path.map(encoded).join('/')}${query ? `?${query}` : ''}`;
};

const route = createStore(parseRoute(location.hash));
addEventListener('hashchange', () => route.set(parseRoute(location.hash)));

export const useRoute = () => useStore(route);

// A link to a view; the tenant goes along.
export const linkTo = (path, params = {}) => formatRoute(path, { tenant: route.get().params.tenant, ...params });

export const navigate = (path, params) => {
  location.hash = linkTo(path, params);
};

// Changes parameters of the view that is shown. What is typed replaces the last step of the history;
// what is chosen is a step of its own.
export const setParams = (changes, { replace = false } = {}) => {
  const { path, params } = route.get();
  const hash = formatRoute(path, { ...params, ...changes });
  if (hash === location.hash) return;
  if (!replace) {
    location.hash = hash;
    return;
  }
  history.replaceState(null, '', `${location.pathname}${location.search}${hash}`);
  route.set(parseRoute(hash));
};

// Whose events are shown.
export const tenant = () => route.get().params.tenant || 'default';
