// What the steps of a plan say in a line: what was decided, what a tool was given. Recorded runs of other
// makers say it in fields of their own. Pure.
import { brief } from '../events.js';
import { ARGUMENTS, ERROR, firstOf, GOAL, saidIn } from '../parts/said.js';

const textOf = (value) => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));

// What a tool was given: `arguments`, or what others call it.
export const givenTo = ({ call_id, source_call_id, tool, ...fields }) => {
  const given = firstOf(fields, ARGUMENTS);
  return given === undefined ? saidIn(fields) || brief(fields) : brief(given);
};

// Why a call or a plan failed.
export const failureOf = (fields) => textOf(fields.error) || saidIn(firstOf(fields, ERROR));

// What a plan is to reach.
export const goalOf = (fields) => textOf(fields.goal) || oneLine(saidIn(firstOf(fields, GOAL)));

// A row shows no more characters.
const LINE_MAX = 300;

export const oneLine = (text) => text.slice(0, LINE_MAX).replaceAll(/[\r\n\t\v\f\u2028\u2029]+/g, ' ');

const decided = ({ reason, ...fields }) => (fields.decision === undefined ? saidIn(fields) || brief(fields) : textOf(fields.decision));

// What a row says beside its marks: {title, more}.
export const wordsOf = (item) => {
  if (item.kind === 'plan') return { title: item.goal || item.id, more: item.goal ? item.id : item.source };
  if (item.kind === 'call') return { title: item.name, more: oneLine(item.given) };
  return { title: oneLine(decided(item.fields)) || 'a decision without words', more: oneLine(textOf(item.fields.reason)) };
};
