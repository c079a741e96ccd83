// Names in the paths of URLs: `parts/encoded.js`, and how a plan is read that no path leads to.
import assert from 'node:assert/strict';
import test from 'node:test';
import { encoded } from '../../../dashboard/parts/encoded.js';
import { openReader } from '../../../dashboard/plans/reader.js';
import { log } from './plan_events.mjs';

test('every text is one part of a path, half a character too', () => {
  for (const text of ['a/b', '%2F', 'ä 🦀', "it's", '?#&']) assert.equal(decodeURIComponent(encoded(text)), text);
  assert.equal(encoded('\ud800 and \udc00'), encoded('\ufffd and \ufffd'));
  assert.equal(encoded('a/b'), 'a%2Fb');
});

test('a plan that is named as a folder is found by its events, and asked for by no path', async () => {
  for (const id of ['.', '..']) {
    const event = log();
    const asked = [];
    const events = [event('PlanStarted', id, { parent: '..' }), event('PlanCompleted', id, {})];
    const get = async (path, params) => {
      asked.push(path);
      return { events: events.filter(({ seq }) => seq > (params.after ?? 0)), next: null };
    };
    const { model } = await new Promise((done, fail) => {
      const state = {};
      openReader(id, { get, onEvents: () => () => {} }, (told) => {
        Object.assign(state, told);
        if (state.error) fail(state.error);
        if (state.isReading === false) done(state);
      });
    });
    assert.equal(model.plans.get(id).status, 'completed');
    assert.deepEqual(new Set(asked), new Set(['events']));
  }
});
