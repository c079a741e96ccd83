// A part at the right of a view, below it on narrow screens, with a name and a way to close it.
import { html, useEffect, useRef } from '../vendor/htm-preact-3.1.1.js';

// Takes the focus when it opens; Escape closes it, unless a dialog is open above it.
export const Side = ({ title, label, onClose, children }) => {
  const heading = useRef(null);
  useEffect(() => heading.current?.focus(), [label]);
  const onKeyDown = (event) => {
    if (event.key !== 'Escape' || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    onClose();
  };
  return html`<aside class="side" aria-label=${label} onKeyDown=${onKeyDown}>
    <header><h2 tabindex="-1" ref=${heading}>${title}</h2><button onClick=${onClose} aria-label="Close"><span aria-hidden="true">✕</span></button></header>
    ${children}
  </aside>`;
};
