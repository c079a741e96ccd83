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

// The browser tells of a new hash some time later; who sets it goes there at once, so that what is set or
// pressed next finds it.
let shown = location.hash;
const route = createStore(parseRoute(shown));
const follow = () => {
  if (location.hash === shown) return;
  shown = location.hash;
  route.set(parseRoute(shown));
};
addEventListener('hashchange', follow);
const goTo = (hash) => {
  location.hash = hash;
  follow();
};

export const useRoute = () => useStore(route);

// A link to a view; the tenant goes along.
export const linkTo = (path, params = {}) => formatRoute(path, { tenant: route.get().params.tenant, ...params });

export const navigate = (path, params) => {
  goTo(linkTo(path, params));
};

// Changes parameters of the view that is shown. What is typed replaces the last step of the history;
// what is chosen is a step of its own.
export const setParams = (changes, { replace = false } = {}) => {
  const { path, params } = route.get();
  const hash = formatRoute(path, { ...params, ...changes });
  if (hash === location.hash) return;
  if (!replace) {
    goTo(hash);
    return;
  }
  history.replaceState(null, '', `${location.pathname}${location.search}${hash}`);
  follow();
};

// The event that is open beside the view, by its seq or id.
export const openEvent = () => route.get().params.event;

// Whose events are shown.
export const tenant = () => route.get().params.tenant || 'default';
