// The worker of all tabs: one that was silent is told that it was left out, and who signs in does so for all.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
const asked = [];
let status = 200;
globalThis.fetch = async (target) => {
  asked.push(target.searchParams.get('tenant') ?? 'default');
  return { ok: status === 200, status, json: async () => ({ events: [] }) };
};
const streams = [];
globalThis.EventSource = class {
  constructor() {
    this.isClosed = false;
    streams.push(this);
  }
  addEventListener() {}
  close() {
    this.isClosed = true;
  }
};
globalThis.onconnect = null;
await import('../../../dashboard/worker.js');

const settled = () => new Promise((resolve) => { setImmediate(resolve); });
const tab = () => {
  const own = { told: [] };
  const port = { postMessage: (message) => own.told.push(message) };
  onconnect({ ports: [port] });
  own.say = (data) => port.onmessage({ data });
  own.join = (tenant) => own.say({ type: 'join', base: 'http://example.test/', tenant });
  own.types = () => own.told.map(({ type }) => type);
  return own;
};
const pass = async (seconds, each = () => {}) => {
  for (let at = 0; at < seconds; at += 10) {
    mock.timers.tick(10_000);
    each();
    await settled();
  }
};

test('a tab that was asleep is told that it was left out, once, and joins again', async () => {
  const [asleep, awake] = [tab(), tab()];
  asleep.join('default');
  awake.join('default');
  await settled();
  assert.equal(streams.length, 1);
  await pass(300, () => awake.say({ type: 'alive' }));
  assert.deepEqual(asleep.types().filter((type) => type === 'dropped'), ['dropped']);
  assert.ok(!awake.types().includes('dropped'));
  const before = asleep.told.length;
  asleep.join('default');
  assert.equal(asleep.told[before].type, 'state');
  // It is looked after as before.
  await pass(120, () => awake.say({ type: 'alive' }));
  assert.equal(asleep.told.at(-1).type, 'dropped');
  awake.say({ type: 'leave' });
  assert.ok(streams.every(({ isClosed }) => isClosed), 'a stream that nobody follows is ended');
});

test('each message says whose tenant it is of, and each sign of life is answered', () => {
  const one = tab();
  one.join('acme');
  one.join('other');
  assert.deepEqual(one.told.map(({ tenant }) => tenant), ['acme', 'other']);
  one.say({ type: 'alive' });
  assert.equal(one.told.at(-1).type, 'alive');
  one.say({ type: 'leave' });
});

test('who signs in does so for the tabs of all tenants that were refused', async () => {
  status = 401;
  const [one, other] = [tab(), tab()];
  one.join('acme');
  other.join('other');
  await settled();
  assert.equal(other.told.at(-1).state.connection, 'refused');
  asked.length = 0;
  one.say({ type: 'retry' });
  await settled();
  assert.deepEqual(asked, ['acme', 'other']);
  one.say({ type: 'leave' });
  other.say({ type: 'leave' });
});
