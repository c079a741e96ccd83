// Reads dead letters: the first page again and again, further pages as the reader comes to them.
import { useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { getNext, getWhole } from '../api.js';
import { usePoll } from '../health/poll.js';
import { append, refresh } from './letters.js';

const PAGE = 100;
const LOOK_MS = 5_000;
// The most that one page holds.
const PAGE_MAX = 1_000;
const ROWS_MAX = 20_000;

// A queue that is not there holds nothing.
const readPage = async (params, options) => {
  try {
    return await getWhole('redis/dead-letters', params, options);
  } catch (error) {
    if (error.status === 404) return { letters: [], next: null };
    throw error;
  }
};

// {rows, next, poll, problem, more, reread}; `rows` is null until the first page came.
export const useLetters = (filter, isWanted) => {
  const key = JSON.stringify(filter);
  const [list, setList] = useState({ key, rows: null, next: null });
  const [problem, setProblem] = useState(null);
  const isLoading = useRef(false);
  const poll = usePoll((options) => readPage({ ...filter, limit: PAGE }, options), LOOK_MS, { key, isWanted });
  useEffect(() => {
    if (poll.data) setList((before) => ({ key, ...refresh(before.key === key ? before : { rows: null, next: null }, poll.data) }));
  }, [poll.data, key]);
  const isOwn = list.key === key;

  const run = async (read, put) => {
    if (isLoading.current) return;
    isLoading.current = true;
    setProblem(null);
    try {
      const page = await read();
      setList((before) => (before.key === key ? { key, ...put(before, page) } : before));
    } catch (error) {
      setProblem(error);
    } finally {
      isLoading.current = false;
    }
  };
  const more = () => {
    if (isOwn && list.next && list.rows.length < ROWS_MAX) run(() => getNext(list.next), append);
  };
  // All that is shown, as far as one page goes: what was replayed is gone from it.
  const reread = () => {
    const limit = Math.min(PAGE_MAX, Math.max(PAGE, isOwn && list.rows ? list.rows.length : 0));
    return run(() => readPage({ ...filter, limit }), (_, page) => ({ rows: page.letters, next: page.next }));
  };
  return { rows: isOwn ? list.rows : null, next: isOwn ? list.next : null, poll, problem, more, reread };
};
