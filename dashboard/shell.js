// The frame around every view: where one is, how the connection stands, and what must be said at once.
import { html, useEffect, useState } from './vendor/htm-preact-3.1.1.js';
import { DeadLetters } from './dead/list.js';
import { Events } from './events/list.js';
import { EventPanel } from './events/panel.js';
import { Rate } from './health/now.js';
import { Health } from './health/view.js';
import { KEYS, useKeys } from './keys.js';
import { connection, gap, heldCount, isPaused, join, retry, setPaused } from './live.js';
import { Boundary } from './parts/boundary.js';
import { Dialog } from './parts/dialog.js';
import { count, useNow } from './parts/time.js';
import { Plans } from './plans/list.js';
import { PlanPage } from './plans/page.js';
import { linkTo, navigate, openEvent, setParams, useRoute } from './route.js';
import { SignIn, SignOut } from './signin.js';
import { useStore } from './store.js';

const VIEWS = [
  ['plans', 'Plans'],
  ['events', 'Events'],
  ['health', 'Health'],
  ['dead-letters', 'Dead letters'],
];

const viewOf = ({ path, params }) => {
  const [name] = path;
  if (name === 'plans' && path[1]) return html`<${PlanPage} key=${`${params.tenant} ${path[1]}`} id=${path[1]} params=${params} />`;
  if (name === 'plans') return html`<${Plans} key=${params.tenant} params=${params} />`;
  if (name === 'events') return html`<${Events} params=${params} />`;
  if (name === 'dead-letters') return html`<${DeadLetters} params=${params} />`;
  if (name === 'health') return html`<${Health} params=${params} />`;
  return html`<div class="notice"><h2>There is no such page</h2><p><a href=${linkTo(['plans'])}>Go to the plans</a></p></div>`;
};

const WORDS = {
  connecting: ['connecting', 'hue-grey'],
  live: ['live', 'hue-green'],
  cut: ['reconnecting', 'hue-yellow'],
  refused: ['signed out', 'hue-red'],
};

const Badge = () => {
  const { connection: state, since } = useStore(connection);
  const now = useNow(state === 'cut', 1_000);
  const [word, hue] = WORDS[state];
  const seconds = Math.floor((now - since) / 1_000);
  return html`<span role="status"><button class="badge ${hue}" onClick=${retry} title="The connection to the server; press to try again">
    <span class="dot" aria-hidden="true"></span>${word}${state === 'cut' && seconds >= 2 ? ` ${seconds} s` : ''}
  </button></span>`;
};

const Pause = () => {
  const paused = useStore(isPaused);
  const held = useStore(heldCount);
  return html`<button class=${paused ? 'is-on' : ''} aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
    ${paused ? `▶ ${count(held)} new` : '❚❚ Pause'}
  </button>`;
};

const THEMES = { system: 'light', light: 'dark', dark: 'system' };

const Theme = () => {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? 'system');
  const next = () => {
    const chosen = THEMES[theme];
    setTheme(chosen);
    if (chosen === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem('planbus.theme', chosen);
    } catch {
      // It holds until the page is closed.
    }
  };
  return html`<button class="theme" onClick=${next} title="Light, dark, or as the system has it">
    <span aria-hidden="true">◐</span> <span class="wide-only">${theme}</span><span class="sr-only"> theme</span>
  </button>`;
};

const GapBanner = () => {
  const told = useStore(gap);
  if (!told) return null;
  return html`<div class="banner hue-yellow" role="alert">
    <span>${told.after_seq === null ? 'The server has another log than before; what is shown was read again.'
      : `Events after ${count(told.after_seq)} were removed before this page read them. The log begins with ${count(told.oldest_seq)}; what is shown was read again.`}</span>
    <button onClick=${() => gap.set(null)}>Understood</button>
  </div>`;
};

const Help = ({ onClose }) => html`<${Dialog} label="Keys" onClose=${onClose}>
  <h2>Keys</h2>
  <dl>${KEYS.map(([key, what]) => html`<dt>${key.split(' ').map((one) => html`<kbd>${one}</kbd>`)}</dt><dd>${what}</dd>`)}</dl>
  <button autofocus onClick=${onClose}>Close</button>
<//>`;

export const Shell = () => {
  const route = useRoute();
  const state = useStore(connection);
  const [isHelp, setHelp] = useState(false);
  const tenant = route.params.tenant || 'default';
  const word = VIEWS.find(([view]) => view === route.path[0])?.[1] ?? 'planbus';
  useEffect(() => join(tenant), [tenant]);
  useEffect(() => {
    document.title = `${route.path[1] ?? word} · planbus`;
  }, [route]);
  useKeys({
    ...Object.fromEntries(VIEWS.map(([view], at) => [String(at + 1), () => navigate([view])])),
    '?': () => setHelp(!isHelp),
    p: () => setPaused(!isPaused.get()),
    '/': () => document.querySelector('input[type=search]')?.focus(),
    Escape: (event) => {
      if (isHelp) setHelp(false);
      else if (openEvent()) setParams({ event: '' });
      else if (event.target.matches?.('input')) event.target.blur();
      else return false;
      return true;
    },
  });
  const isRefused = state.connection === 'refused';
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById('main').focus(); }}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${linkTo(['plans'])}><img src="assets/icon.svg" alt="" width="20" height="20" />planbus</a>
      <nav aria-label="Views">${VIEWS.map(([view, word]) => html`<a href=${linkTo([view])} aria-current=${route.path[0] === view ? 'page' : undefined}>${word}</a>`)}</nav>
      <div class="tools">
        ${tenant !== 'default' && html`<span class="tenant" title="Whose events are shown">${tenant}</span>`}
        <${Pause} /><${Rate} /><${Badge} /><${Theme} /><${SignOut} />
        <button onClick=${() => setHelp(true)} title="Keys"><span aria-hidden="true">?</span><span class="sr-only">Keys</span></button>
      </div>
    </header>
    <${GapBanner} />
    <div class="stage">
      <main id="main" tabindex="-1">
        ${route.path.length < 2 && html`<h1 class="sr-only">${word}</h1>`}
        ${isRefused ? html`<${SignIn} status=${state.status} />` : html`<${Boundary} of=${route.path.join()}>${viewOf(route)}<//>`}</main>
      ${route.params.event && !isRefused && html`<${Boundary} of=${route.params.event}><${EventPanel} named=${route.params.event} tenant=${tenant} /><//>`}
    </div>
    ${isHelp && html`<${Help} onClose=${() => setHelp(false)} />`}`;
};
