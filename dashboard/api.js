// Asks the server: JSON in, JSON out, and errors that a person can act on.
import { parseExact } from './parts/exact.js';
import { learn } from './parts/server_time.js';
import { tenant } from './route.js';
import { createStore } from './store.js';

// An answer to a question that has not begun by then does not come.
const ANSWER_MS = 30_000;

// What went wrong with a request: `status` is 0 where the server was not reached.
export class ApiError extends Error {
  constructor(status, kind, message, fields = {}) {
    super(message);
    Object.assign(this, { status, kind, ...fields });
  }

  // What to do next.
  get advice() {
    if (this.kind === 'NotJson') return 'Something answers in the place of the server: a proxy, or a page to sign in to one.';
    if (this.status === 0) return 'The server does not answer. Is it running? The page goes on by itself when it is back.';
    if (this.status === 401) return 'Sign in with a token.';
    if (this.status === 403) return 'The token that you signed in with may not see this. Sign in with another.';
    if (this.status === 404) return 'It is not in the log: it was pruned, belongs to another tenant, or never was.';
    if (this.status === 410) return 'Retention removed it from the log. Begin with what the log still holds.';
    if (this.status === 429 || this.status === 503) return 'The server is busy or stopping. Try again in a moment.';
    return this.status >= 500 ? 'The log of the server says why.' : 'Change what you asked for.';
  }
}

// A URL of the server; paths begin without a slash, relative to the page.
export const url = (path, params = {}) => {
  const target = new URL(path.replace(/^\//, ''), document.baseURI);
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '') target.searchParams.set(name, value);
  }
  return target;
};

// The same, for what belongs to a tenant.
export const tenantUrl = (path, params = {}) => {
  const named = tenant();
  return url(path, named === 'default' ? params : { tenant: named, ...params });
};

const parsed = (text) => {
  try {
    return text ? parseExact(text) : null;
  } catch {
    return null;
  }
};

// The text of an answer; an error where the server says that something is wrong.
const textOf = async (response) => {
  const text = await response.text();
  if (response.ok) return text;
  const body = parsed(text);
  const error = body?.error ?? {};
  throw new ApiError(response.status, error.kind ?? 'Http', error.message ?? `the server answered ${response.status}`, {
    oldestSeq: error.oldest_seq,
  });
};

const requestText = async (target, options = {}) => {
  const late = new AbortController();
  // What is asked for is read to its end, however long that takes; what is done has no such limit.
  const timer = options.method ? null : setTimeout(() => late.abort(new DOMException('no answer', 'TimeoutError')), ANSWER_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, late.signal]) : late.signal;
  try {
    const response = await fetch(target, { credentials: 'same-origin', ...options, signal });
    clearTimeout(timer);
    learn(response.headers.get('date'));
    return await textOf(response);
  } catch (cause) {
    if (cause.name === 'AbortError' || cause instanceof ApiError) throw cause;
    throw new ApiError(0, 'Unreachable', cause.name === 'TimeoutError' ? 'the server did not answer in time' : 'the server was not reached');
  } finally {
    clearTimeout(timer);
  }
};

export const request = async (target, options) => {
  const text = await requestText(target, options);
  const body = parsed(text);
  if (text && body === null) throw new ApiError(200, 'NotJson', 'the answer is none of a planbus server');
  return body;
};

// GET of what belongs to the tenant.
export const get = (path, params, options) => request(tenantUrl(path, params), options);

// The same as it was sent: numbers keep digits that JavaScript would lose.
export const getText = (path, params, options) => requestText(tenantUrl(path, params), options);

// The page that follows, as `next` names it: with the path that the server is known under.
export const getNext = (next, options) => request(new URL(next, document.baseURI), options);

// GET and POST of what belongs to no tenant.
export const getWhole = (path, params, options) => request(url(path, params), options);
export const getWholeText = (path, params, options) => requestText(url(path, params), options);
export const post = (path, body) =>
  request(url(path), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

const SIGNED_IN = 'planbus.signed_in';
const recalled = () => {
  try {
    return localStorage.getItem(SIGNED_IN) === 'yes';
  } catch {
    return false;
  }
};
// Whether the reader has signed in, and not out again: the session itself is in a cookie that scripts cannot
// read.
export const isSignedIn = createStore(recalled());
addEventListener('storage', ({ key }) => key === SIGNED_IN && isSignedIn.set(recalled()));
const remember = (isIn) => {
  isSignedIn.set(isIn);
  try {
    localStorage.setItem(SIGNED_IN, isIn ? 'yes' : 'no');
  } catch {
    // It holds until the page is closed.
  }
};

// Opens a session, and ends it.
export const signIn = async (token) => {
  await request(url('session'), { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  remember(true);
};
export const signOut = async () => {
  try {
    await request(url('session'), { method: 'DELETE' });
  } catch (error) {
    // It has ended already.
    if (error.status !== 401) throw error;
  }
  remember(false);
};


// A request as a command: the token comes from the shell's environment, and is never part of it.
export const curlOf = (target, needsToken = isSignedIn.get()) =>
  `curl -s${needsToken ? ' -H "Authorization: Bearer $PLANBUS_TOKEN"' : ''} '${target.toString().replaceAll("'", '%27')}'`;
