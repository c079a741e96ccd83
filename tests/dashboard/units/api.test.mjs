// What a request ends in, whatever answers it.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, mock, test } from 'node:test';

const server = createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/html') response.setHeader('content-type', 'text/html').end('<!doctype html><h1>Sign in</h1>');
  else if (path === '/busy') response.writeHead(429).end('<h1>slow down</h1>');
  else if (path === '/half') response.writeHead(200, { 'content-length': 100 }).write('{"events":[', () => response.destroy());
  else if (path === '/whole') response.end('{"events":[]}');
});
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
after(() => server.closeAllConnections() ?? server.close());

globalThis.location = { hash: '' };
globalThis.addEventListener ??= () => {};
globalThis.document = { baseURI: `http://127.0.0.1:${server.address().port}/` };
const { getWhole } = await import('../../../dashboard/api.js');
const failed = (path, options) => getWhole(path, {}, options).then(() => assert.fail('it was answered'), (error) => error);

test('an answer is read', async () => {
  assert.deepEqual(await getWhole('whole'), { events: [] });
});

test('a page in the place of an answer is called that, and not empty', async () => {
  const error = await failed('html');
  assert.equal(error.kind, 'NotJson');
  assert.match(error.advice, /proxy/);
});

test('a server that has too much to do is not told that the request is wrong', async () => {
  const error = await failed('busy');
  assert.equal(error.status, 429);
  assert.match(error.advice, /Try again/);
});

test('an answer that breaks off is a server that was not reached', async () => {
  assert.equal((await failed('half')).status, 0);
});

test('an answer that does not come ends in an error, and what is left in none', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const late = failed('never');
  mock.timers.tick(30_000);
  const error = await late;
  assert.deepEqual([error.status, error.message], [0, 'the server did not answer in time']);
  mock.timers.reset();
  const left = new AbortController();
  const gone = failed('never', { signal: left.signal });
  left.abort();
  assert.equal((await gone).name, 'AbortError');
});
