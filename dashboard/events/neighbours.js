// Which event stands before and behind another in the list that is shown: the panel goes along it.
import { useLayoutEffect, useRef } from '../vendor/htm-preact-3.1.1.js';
import { createStore } from '../store.js';

// {seqAt(seq, by), has(seq), isNewestFirst} of the list that is on the page, or null.
export const neighbours = createStore(null);

// A list says what stands `by` rows below an event (above, where negative): a seq, or null.
export const useNeighbours = (seqAt, has, isNewestFirst = false) => {
  const latest = useRef(null);
  latest.current = { seqAt, has };
  useLayoutEffect(() => {
    neighbours.set({ seqAt: (seq, by) => latest.current.seqAt(seq, by), has: (seq) => latest.current.has(seq), isNewestFirst });
    return () => neighbours.set(null);
  }, [isNewestFirst]);
};
