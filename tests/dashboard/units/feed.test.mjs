// A feed follows one log, once: it tells another log from a server that was away, and a stream that is
// silent from one that is dead.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { openFeed } from '../../../dashboard/feed.js';

const event = (seq, log = 'one') => ({ seq, event_id: `${log} ${seq}`, event_type: 'note', payload: {} });
const settled = () => new Promise((resolve) => { setImmediate(resolve); });

// A server whose log, answers and streams the test decides.
const server = () => {
  const own = { log: [], status: 200, isAway: false, streams: [], asked: [] };
  globalThis.fetch = async (target) => {
    own.asked.push(target);
    if (own.isAway) throw new TypeError('not reached');
    const after = Number(target.searchParams.get('after') ?? 0);
    const found = target.searchParams.get('order') === 'desc' ? own.log.toReversed() : own.log.filter(({ seq }) => seq > after);
    return { ok: own.status === 200, status: own.status, json: async () => ({ events: found.slice(0, 1) }) };
  };
  globalThis.EventSource = class {
    constructor(target) {
      Object.assign(this, { target, isClosed: false, gaps: [] });
      own.streams.push(this);
    }
    addEventListener(_, listener) {
      this.gaps.push(listener);
    }
    close() {
      this.isClosed = true;
    }
    say(one) {
      this.onmessage({ data: JSON.stringify(one) });
    }
    gap(told) {
      for (const listener of this.gaps) listener({ data: JSON.stringify(told) });
    }
  };
  own.after = () => Number(own.streams.at(-1).target.searchParams.get('after'));
  return own;
};

const opened = async (t, own) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const told = [];
  const feed = openFeed('http://example.test/', 'default');
  feed.listen((message) => told.push(message));
  t.after(() => {
    feed.close();
    mock.timers.reset();
  });
  await settled();
  own.streams.at(-1).onopen();
  return { feed, told, types: () => told.map(({ type }) => type) };
};
const pass = async (ms) => {
  mock.timers.tick(ms);
  await settled();
  await settled();
};

test('a server that comes back with the same log goes on behind the last event', async (t) => {
  const own = server();
  own.log = [event(1), event(2)];
  const { feed, types } = await opened(t, own);
  own.streams[0].say(event(3));
  own.log.push(event(3), event(4));
  own.streams[0].onerror();
  await pass(500);
  own.streams[1].onopen();
  assert.equal(own.after(), 3);
  assert.equal(feed.state().connection, 'live');
  assert.ok(!types().includes('gap'));
});

test('a server that comes back with another log is read anew, however long that log is', async (t) => {
  const own = server();
  own.log = [event(1), event(2)];
  const { feed, told } = await opened(t, own);
  own.streams[0].onerror();
  own.log = [1, 2, 3, 4, 5].map((seq) => event(seq, 'other'));
  await pass(500);
  assert.equal(own.after(), 5);
  assert.equal(feed.state().after, 5);
  assert.deepEqual(told.find(({ type }) => type === 'gap').gap, { after_seq: null, oldest_seq: null });
  const afters = told.filter(({ type }) => type === 'state').map(({ state }) => state.after);
  assert.ok(afters.indexOf(null) >= 0 && afters.at(-1) === 5, 'views are told to begin anew, and then where');
});

test('a place that is none of the log begins at its end, and does not stream all of it', async (t) => {
  const own = server();
  own.log = [event(1), event(2)];
  const { told } = await opened(t, own);
  own.log = [event(1, 'other')];
  own.streams[0].gap({ after_seq: null, oldest_seq: 1 });
  await settled();
  await settled();
  assert.equal(own.after(), 1);
  assert.ok(own.streams[0].isClosed);
  assert.equal(told.filter(({ type }) => type === 'state').at(-1).state.after, 1);
});

test('a silent stream is left alone while it has nothing to say, and is cut when the log has more', async (t) => {
  const own = server();
  own.log = [event(1)];
  const { feed } = await opened(t, own);
  await pass(60_000);
  assert.equal(feed.state().connection, 'live');
  assert.equal(own.streams.length, 1);
  own.log.push(event(2));
  await pass(15_000);
  assert.equal(feed.state().connection, 'cut');
  await pass(500);
  assert.deepEqual([own.streams.length, own.after()], [2, 1], 'and goes on where it was');
});

test('a silent stream of a server that is gone, or lets nobody in, is not called live', async (t) => {
  const own = server();
  const { feed } = await opened(t, own);
  own.status = 503;
  await pass(15_000);
  assert.equal(feed.state().connection, 'live', 'busy is not gone');
  own.isAway = true;
  await pass(15_000);
  assert.equal(feed.state().connection, 'cut');
  Object.assign(own, { isAway: false, status: 401 });
  await pass(1_000);
  assert.equal(feed.state().connection, 'refused');
});

test('a stream that never opens is tried again', async (t) => {
  const own = server();
  const { feed } = await opened(t, own);
  own.streams[0].onerror();
  await pass(500);
  assert.equal(own.streams.length, 2);
  await pass(30_000);
  await pass(1_000);
  assert.ok(own.streams[1].isClosed && own.streams.length > 2);
  assert.equal(feed.state().connection, 'cut');
});

test('who is refused again after signing in is told again', async (t) => {
  const own = server();
  const { feed, told } = await opened(t, own);
  own.status = 403;
  own.streams[0].onerror();
  await pass(500);
  told.length = 0;
  feed.retry();
  await settled();
  assert.deepEqual(told.map(({ state }) => state.connection), ['connecting', 'refused']);
});

test('a feed that is closed says nothing more', async (t) => {
  const own = server();
  const { feed, told } = await opened(t, own);
  own.isAway = true;
  own.streams[0].onerror();
  mock.timers.tick(500);
  told.length = 0;
  feed.close();
  await pass(60_000);
  assert.deepEqual(told, []);
});
