// Signing in and out: the token goes to the server once, which keeps the session in a cookie.
import { html, useState } from './vendor/htm-preact-3.1.1.js';
import { isSignedIn, signIn, signOut } from './api.js';
import { connection, epoch, retry } from './live.js';
import { setParams, tenant } from './route.js';
import { useStore } from './store.js';

// Asks for a token where the server lets nobody in without, and for a tenant where the token has others.
export const SignIn = ({ status }) => {
  const [token, setToken] = useState('');
  // Whoever was told where the log ends was in before.
  const wasIn = useStore(connection).after !== null;
  const isIn = useStore(isSignedIn);
  const [named, setNamed] = useState(tenant());
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      if (token) await signIn(token.trim());
      setToken('');
      setProblem(null);
      setParams({ tenant: named === 'default' ? '' : named.trim() });
      retry();
      epoch.set((now) => now + 1);
    } catch (error) {
      setProblem(error.status === 401 ? 'The server knows no such token.' : error.message);
    }
  };
  return html`<form class="notice sign-in" onSubmit=${submit}>
    <h2>${status === 403 ? 'This token does not see this tenant' : isIn ? 'Your token no longer holds' : wasIn ? 'You have signed out' : 'This server asks for a token'}</h2>
    <p>It is a line of the server's token file. It is kept by the server for this browser, never by the page.</p>
    <label>Token <input type="password" autocomplete="current-password" value=${token} onInput=${(event) => setToken(event.target.value)} /></label>
    <label>Tenant <input type="text" value=${named} onInput=${(event) => setNamed(event.target.value)} /></label>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    <button class="is-main">Sign in</button>
  </form>`;
};

// Ends the session, for every tab of this browser.
export const SignOut = () => {
  const isIn = useStore(isSignedIn);
  const { status } = useStore(connection);
  const [problem, setProblem] = useState('');
  if (!isIn || status === 401) return null;
  const leave = async () => {
    try {
      await signOut();
      setProblem('');
      retry();
    } catch (error) {
      setProblem(error.message);
    }
  };
  return html`<button onClick=${leave} title=${problem || 'Ends the session of this browser'}>Sign out${problem && html`<span class="hue-red" role="alert"> failed</span>`}</button>`;
};
