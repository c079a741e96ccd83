// A plan in a component: what its reader tells, drawn at most once a frame.
import { useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { get, getNext } from '../api.js';
import { connection, epoch, onBack, onEvents } from '../live.js';
import { useStore } from '../store.js';
import { openReader } from './reader.js';

const NOTHING = { model: null, plan: null, ancestors: [], isReading: true, isCapped: false, error: null, version: 0 };

// What the reader of a plan tells, and `version`, which changes with it.
export const usePlan = (planId) => {
  const [state, setState] = useState(NOTHING);
  const isReady = useStore(connection).after !== null;
  const round = useStore(epoch);
  const reader = useRef(null);
  useEffect(() => {
    if (!isReady) return undefined;
    let frame = null;
    let changes = {};
    const show = () => {
      const told = changes;
      frame = null;
      changes = {};
      setState((before) => ({ ...before, ...told, version: before.version + 1 }));
    };
    reader.current = openReader(planId, { get, getNext, onEvents }, (told) => {
      Object.assign(changes, told);
      frame ??= requestAnimationFrame(show);
    });
    const endBack = onBack(() => reader.current.goOn());
    return () => {
      endBack();
      reader.current.close();
      cancelAnimationFrame(frame);
    };
  }, [planId, isReady, round]);
  return { ...state, more: () => reader.current?.more(), again: () => reader.current?.again() };
};
