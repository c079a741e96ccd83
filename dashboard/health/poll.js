// Asks the server again and again while somebody looks: the view is shown, the tab is visible, nothing is
// paused. A failure clears nothing: what is known stays, with its age.
import { useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { connection, isPaused } from '../live.js';
import { useStore } from '../store.js';

// Answers that stay as they are: the request is wrong, not allowed, or of what the server has not.
const FINAL = [400, 403, 501];
// An answer that does not come is a failure after this time.
const ANSWER_MS = 10_000;

// {data, error, at, again}: `read({signal})` asks, as long as `isWanted`; `at` is when the data came.
// Reads anew when `key` changes, and forgets then.
export const usePoll = (read, everyMs, { key = '', isWanted = true } = {}) => {
  const [state, setState] = useState({ data: null, error: null, at: 0, key });
  const paused = useStore(isPaused);
  // Asked again at once where the server is back.
  const isCut = useStore(connection).connection === 'cut';
  const ask = useRef(null);

  useEffect(() => {
    if (!isWanted) return undefined;
    let timer = null;
    let abort = null;
    const run = async () => {
      let isFinal = false;
      clearTimeout(timer);
      abort?.abort();
      const own = new AbortController();
      abort = own;
      try {
        const data = await read({ signal: AbortSignal.any([own.signal, AbortSignal.timeout(ANSWER_MS)]) });
        if (!own.signal.aborted) setState({ data, error: null, at: Date.now(), key });
      } catch (error) {
        if (own.signal.aborted) return;
        isFinal = FINAL.includes(error.status);
        setState((before) => ({ ...(before.key === key ? before : { data: null, at: 0, key }), error }));
      }
      if (!own.signal.aborted && !paused && !document.hidden && !isFinal) timer = setTimeout(run, everyMs);
    };
    const onVisible = () => {
      clearTimeout(timer);
      if (!document.hidden && !paused) run();
    };
    ask.current = run;
    if (!paused || !state.data || state.key !== key) run();
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      clearTimeout(timer);
      abort?.abort();
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [key, paused, everyMs, isCut, isWanted]);

  const own = state.key === key ? state : { data: null, error: null, at: 0 };
  return { ...own, again: () => ask.current?.() };
};
