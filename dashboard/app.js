// The entry: puts the shell on the page.
import { html, render } from './vendor/htm-preact-3.1.1.js';
import { Shell } from './shell.js';

render(html`<${Shell} />`, document.getElementById('app'));
