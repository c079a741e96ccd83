// Signing in: the token goes to the server once, which keeps the session in a cookie.
import { html, useState } from './vendor/htm-preact-3.1.1.js';
import { signIn } from './api.js';
import { connection, epoch, retry } from './live.js';
import { setParams, tenant } from './route.js';
import { useStore } from './store.js';

// Asks for a token where the server lets nobody in without, and for a tenant where the token has others.
export const SignIn = ({ status }) => {
  const [token, setToken] = useState('');
  // Whoever was told where the log ends was in before.
  const wasIn = useStore(connection).after !== null;
  const [named, setNamed] = useState(tenant());
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      if (token) await signIn(token.trim());
      setToken('');
      setProblem(null);
      setParams({ tenant: named === 'default' ? '' : named.trim() });
      connection.set({ ...connection.get(), connection: 'connecting', status: 0 });
      retry();
      epoch.set((now) => now + 1);
    } catch (error) {
      setProblem(error.status === 401 ? 'The server knows no such token.' : error.message);
    }
  };
  return html`<form class="notice sign-in" onSubmit=${submit}>
    <h2>${status === 403 ? 'This token does not see this tenant' : wasIn ? 'Your token no longer holds' : 'This server asks for a token'}</h2>
    <p>It is a line of the server's token file. It is kept by the server for this browser, never by the page.</p>
    <label>Token <input type="password" autocomplete="current-password" value=${token} onInput=${(event) => setToken(event.target.value)} /></label>
    <label>Tenant <input type="text" value=${named} onInput=${(event) => setNamed(event.target.value)} /></label>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    <button class="is-main">Sign in</button>
  </form>`;
};
