// How plans, calls and decisions are marked: a sign, a hue and a word each, so that none stands by colour
// alone. Pure.
import { STATUS } from '../events.js';
import { outcomeOf, statusOf } from './model.js';

const UNKNOWN = { mark: '○', hue: 'hue-grey', word: 'no end in the log' };

const OUTCOMES = {
  running: { mark: '●', hue: 'hue-blue', word: 'running' },
  ok: { mark: '✓', hue: 'hue-cyan', word: 'ok' },
  failed: { mark: '✗', hue: 'hue-red', word: 'failed' },
  done: { mark: '·', hue: 'hue-cyan', word: 'answered' },
  unanswered: { mark: '○', hue: 'hue-grey', word: 'no answer' },
};

const DECISION = { mark: '◆', hue: 'hue-yellow', word: 'decision' };

// {mark, hue, word} of an item.
export const standing = (item) => {
  if (item.kind === 'decision') return DECISION;
  if (item.kind === 'call') return OUTCOMES[outcomeOf(item)];
  return STATUS[statusOf(item)] ?? UNKNOWN;
};
