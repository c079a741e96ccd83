// A plan in a component: what its reader tells, drawn at most once a frame, a large one less often.
import { useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { get, getNext } from '../api.js';
import { connection, epoch, onBack, onEvents } from '../live.js';
import { useStore } from '../store.js';
import { openReader } from './reader.js';

// What a picture costs grows with the plan: one of so many events is drawn again after a millisecond, one of
// a thousand times as many after a second.
const EVENTS_A_MS = 50;

const NOTHING = { model: null, plan: null, ancestors: [], isReading: true, isCapped: false, error: null, version: 0 };

// What the reader of a plan tells, and `version`, which changes with it.
export const usePlan = (planId) => {
  const [state, setState] = useState(NOTHING);
  const isReady = useStore(connection).after !== null;
  const round = useStore(epoch);
  const reader = useRef(null);
  useEffect(() => {
    if (!isReady) return undefined;
    let [frame, timer] = [null, null];
    let [drawnAt, size] = [0, 0];
    let changes = {};
    const show = () => {
      const told = changes;
      frame = null;
      drawnAt = performance.now();
      changes = {};
      setState((before) => ({ ...before, ...told, version: before.version + 1 }));
    };
    const draw = () => {
      timer = null;
      frame = requestAnimationFrame(show);
    };
    reader.current = openReader(planId, { get, getNext, onEvents }, (told) => {
      Object.assign(changes, told);
      size = told.model?.events.length ?? size;
      if (frame !== null || timer !== null) return;
      const wait = drawnAt + size / EVENTS_A_MS - performance.now();
      if (wait <= 0) frame = requestAnimationFrame(show);
      else timer = setTimeout(draw, wait);
    });
    const endBack = onBack(() => reader.current.goOn());
    return () => {
      endBack();
      reader.current.close();
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }, [planId, isReady, round]);
  return { ...state, more: () => reader.current?.more(), again: () => reader.current?.again() };
};
