// The keys of the page, as help lists them. A key that is pressed while text is typed is text.
import { useLayoutEffect } from './vendor/htm-preact-3.1.1.js';

export const KEYS = [
  ['1 2 3 4', 'plans, events, health, dead letters'],
  ['/', 'search'],
  ['p', 'pause, and go on'],
  ['↑ ↓ PgUp PgDn Home End', 'move in a list'],
  ['Enter', 'open what is chosen'],
  ['[ ]', 'the event above and below the one that is open'],
  ['t i l', 'tree, timeline, log of a plan'],
  ['Esc', 'close, go back'],
  ['?', 'this help'],
];

const isTyping = ({ target }) => target.matches?.('input, textarea, select, [contenteditable]');

// Calls `keys[key](event)` while the component is there. What is on the screen has its keys: they do not
// come some time after it.
export const useKeys = (keys) => {
  useLayoutEffect(() => {
    const onKeyDown = (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
      if (isTyping(event) && event.key !== 'Escape') return;
      if (!Object.hasOwn(keys, event.key)) return;
      if (keys[event.key](event) !== false) event.preventDefault();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  });
};
