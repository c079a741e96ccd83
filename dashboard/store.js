// A value that components look at: set it, and whoever looks is drawn again.
import { useLayoutEffect, useState } from './vendor/htm-preact-3.1.1.js';

// A store: `get()`, `set(next)` where next may be a function of the value, `subscribe(listener)` gives
// what ends it.
export const createStore = (value) => {
  const listeners = new Set();
  return {
    get: () => value,
    set: (next) => {
      const before = value;
      value = typeof next === 'function' ? next(before) : next;
      if (value !== before) for (const listener of [...listeners]) listener(value);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

// What a store holds, in a component.
export const useStore = (store) => {
  const [value, setValue] = useState(store.get());
  useLayoutEffect(() => {
    setValue(store.get());
    return store.subscribe(setValue);
  }, [store]);
  return value;
};
