// A panel at the right of a view, as that of an event: below it on narrow screens, alone on a phone.
import { html, useLayoutEffect, useRef } from '../vendor/htm-preact-3.1.1.js';
import { useKeys } from '../keys.js';

// Takes the focus when it opens; Escape closes it, unless a dialog is open above it or text is typed.
export const Side = ({ title, label, onClose, children }) => {
  const heading = useRef(null);
  useLayoutEffect(() => heading.current?.focus(), [label]);
  useKeys({
    Escape: ({ target }) => {
      if (target.matches?.('input, select') || document.querySelector('dialog[open]')) return false;
      return onClose();
    },
  });
  return html`<aside class="event-panel side" aria-label=${label}>
    <div class="panel-bar"><button class="close" onClick=${onClose} title="Close (Esc)"><span aria-hidden="true">×</span><span class="sr-only">Close</span></button></div>
    <div class="panel-content"><h2 tabindex="-1" ref=${heading}>${title}</h2>${children}</div>
  </aside>`;
};
