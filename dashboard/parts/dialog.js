// A dialog over the page: it has the focus, keeps it, and gives it back.
import { html, useLayoutEffect, useRef } from '../vendor/htm-preact-3.1.1.js';

export const Dialog = ({ label, onClose, children }) => {
  const frame = useRef(null);
  useLayoutEffect(() => {
    const dialog = frame.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  // Escape closes the dialog, and nothing below it.
  const onKeyDown = (event) => event.key === 'Escape' && event.stopPropagation();
  return html`<dialog class="help" ref=${frame} aria-label=${label} onClose=${onClose} onKeyDown=${onKeyDown}
    onClick=${({ target }) => target === frame.current && onClose()}>${children}</dialog>`;
};
