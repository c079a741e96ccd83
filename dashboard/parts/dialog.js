// A dialog over the page: it has the focus, keeps it, and gives it back.
import { html, useLayoutEffect, useRef } from '../vendor/htm-preact-3.1.1.js';

export const Dialog = ({ label, onClose, children }) => {
  const frame = useRef(null);
  useLayoutEffect(() => {
    const dialog = frame.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`<dialog class="help" ref=${frame} aria-label=${label} onClose=${onClose}
    onClick=${({ target }) => target === frame.current && onClose()}>${children}</dialog>`;
};
