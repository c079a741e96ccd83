// Copies a text: to the clipboard where the page may, otherwise by a field that the reader copies from.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { Dialog } from './dialog.js';

// A button says "Copied" for so long.
const SAID_MS = 1_600;

// Whether the text is in the clipboard.
const toClipboard = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS on another host than this one, or without permission.
    return false;
  }
};

const Field = ({ text, onCopied, onClose }) => {
  const field = useRef(null);
  useEffect(() => {
    field.current.select();
    if (document.execCommand?.('copy')) onCopied();
  }, []);
  return html`<${Dialog} label="Copy" onClose=${onClose}>
    <p>The browser does not let this page use the clipboard. Press <kbd>Ctrl</kbd> <kbd>C</kbd>: the text is selected.</p>
    <textarea ref=${field} class="copied-text" readonly rows="8" aria-label="The text to copy" value=${text} onCopy=${onCopied}></textarea>
    <button onClick=${onClose}>Close</button>
  <//>`;
};

// A button that copies `text`, or what `text()` gives.
export const CopyButton = ({ text, title, children }) => {
  const [state, setState] = useState('idle');
  const [shown, setShown] = useState('');
  useEffect(() => {
    if (state !== 'copied') return undefined;
    const timer = setTimeout(() => setState('idle'), SAID_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async () => {
    const words = typeof text === 'function' ? text() : text;
    if (await toClipboard(words)) return setState('copied');
    setShown(words);
    return setState('field');
  };
  return html`<button class="copy" title=${title} onClick=${copy}>${children}
      <span class="said" role="status">${state === 'copied' ? 'copied' : ''}</span></button>
    ${state === 'field' && html`<${Field} text=${shown} onCopied=${() => setState('copied')} onClose=${() => setState('idle')} />`}`;
};
