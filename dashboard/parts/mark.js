// A text in which what was looked for is marked.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { pieces } from './highlight.js';

export const Marked = ({ text, pattern }) => pieces(text, pattern).map(([piece, isMatch]) => (isMatch ? html`<mark>${piece}</mark>` : piece));
