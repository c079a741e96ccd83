// What a timeline draws over what: `plans/paint.js`, told by what it asks of a canvas.
import assert from 'node:assert/strict';
import test from 'node:test';
import { LANE, layout } from '../../../dashboard/plans/lanes.js';
import { createModel, take } from '../../../dashboard/plans/model.js';
import { paint } from '../../../dashboard/plans/paint.js';
import { log } from './plan_events.mjs';

const hues = ['line', 'line-strong', 'ink', 'ink-2', 'ink-3', 'focus', 'blue', 'green', 'red', 'yellow', 'cyan', 'magenta', 'grey', 'raised'];
const colours = { ...Object.fromEntries(hues.map((name) => [name, name])), font: '12px sans-serif' };

// The colour of each pixel of a canvas of so many columns in a row of pixels, the last fill on top.
const rowOf = (whole, y, width) => {
  const pixels = new Array(width).fill('');
  const context = {
    ...Object.fromEntries(['clearRect', 'fillText', 'strokeRect', 'beginPath', 'moveTo', 'lineTo', 'closePath', 'fill', 'stroke'].map((name) => [name, () => {}])),
    measureText: (text) => ({ width: 7 * text.length }),
    fillRect(left, top, wide, high) {
      if (top <= y && y < top + high) pixels.fill(this.fillStyle, Math.max(0, Math.round(left)), Math.max(0, Math.round(left + wide)));
    },
  };
  const size = { width, height: 400 };
  paint(context, colours, { whole, window: { from: 0, to: whole.to - whole.from }, size, top: 0, now: whole.to, ticks: [] });
  return pixels;
};

test('the one call that failed among thousands is seen', () => {
  const event = log(0);
  const at = (ms) => ({ timestamp: new Date(ms).toISOString().replace('Z', '000Z') });
  const events = [event('PlanStarted', 'p', {}, at(0))];
  for (let call = 0; call < 2_000; call += 1) {
    events.push(event('ToolCalled', 'p', { call_id: `${call}`, tool: 'read' }, at(10 * call)));
    events.push(event('ToolCompleted', 'p', { call_id: `${call}`, tool: 'read', ok: call !== 1_000 }, at(10 * call + 5)));
  }
  events.push(event('PlanCompleted', 'p', {}, at(20_000)));
  const whole = layout(take(createModel(), events).plans.get('p'));
  const row = rowOf(whole, LANE + LANE / 2, 800);
  const red = row.flatMap((hue, x) => (hue === 'red' ? [x] : []));
  assert.ok(red.length >= 3, `red at ${red}`);
  assert.ok(red.every((x) => Math.abs(x - 400) < 8), `red at ${red}`);
});
