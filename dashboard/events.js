// What events say, in words and hues: the same as in the terminal.
import { ARGUMENTS, ERROR, firstOf, GOAL, saidIn } from './parts/said.js';
import { duration } from './parts/time.js';

const HUES = {
  PlanStarted: 'blue',
  PlanCompleted: 'green',
  PlanFailed: 'red',
  DecisionMade: 'yellow',
  ToolCalled: 'cyan',
  ToolCompleted: 'cyan',
  SubplanSpawned: 'magenta',
  SubplanCompleted: 'magenta',
};

// The hue of an event, as a class.
export const hueOf = ({ event_type: type, payload }) => {
  const failed = (type === 'ToolCompleted' || type === 'SubplanCompleted') && payload?.ok === false;
  return `hue-${failed ? 'red' : Object.hasOwn(HUES, type) ? HUES[type] : 'grey'}`;
};

export const STATUS = {
  running: { mark: '●', hue: 'hue-blue', word: 'running' },
  completed: { mark: '✓', hue: 'hue-green', word: 'completed' },
  failed: { mark: '✗', hue: 'hue-red', word: 'failed' },
};

// A subplan's id as it goes on from its parent's, where it does.
export const below = (planId, parent) =>
  parent && planId.startsWith(`${parent}/`) ? planId.slice(parent.length + 1) : planId;

const text = (value) => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));

// A value: an object as its fields, each large one by its size alone.
export const brief = (value) => {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return JSON.stringify(value);
  const shown = (field) =>
    Array.isArray(field) ? `[${field.length}]` : field && typeof field === 'object' ? `{${Object.keys(field).length}}` : String(field);
  return Object.entries(value).map(([name, field]) => `${name}=${shown(field)}`).join(' ');
};

const took = (micros) => (typeof micros === 'number' ? duration(micros / 1000) : '');
const joined = (...parts) => parts.filter(Boolean).join('  ');
const rest = ({ duration_us, ...fields }) => brief(fields);
const outcome = ({ ok, error }) => (ok === false ? `failed${error ? `: ${text(error)}` : ''}` : ok === true ? 'ok' : '');

// What a result says that stands elsewhere; an error was said already.
const said = ({ error, ...fields }) => saidIn(fields);

const WORDS = {
  PlanStarted: (start) => text(start.goal) || saidIn(firstOf(start, GOAL)) || brief(start),
  PlanCompleted: (end) => joined(took(end.duration_us), rest(end)),
  PlanFailed: (end) => joined(text(end.error) || saidIn(firstOf(end, ERROR)) || rest(end), took(end.duration_us) && `after ${took(end.duration_us)}`),
  DecisionMade: ({ decision, reason, ...fields }) =>
    decision === undefined ? saidIn(fields) || brief(fields) : reason ? `${text(decision)}: ${text(reason)}` : text(decision),
  ToolCalled: (call) => (call.tool === undefined ? brief(call) : joined(text(call.tool), brief(firstOf(call, ARGUMENTS)))),
  ToolCompleted: (done) =>
    done.tool === undefined ? brief(done) : joined(text(done.tool), outcome(done), took(done.duration_us), brief(done.result) || said(done)),
  SubplanSpawned: ({ subplan, goal }, planId) => joined(`→ ${below(text(subplan), planId)}`, text(goal)),
  SubplanCompleted: (done, planId) => joined(`← ${below(text(done.subplan), planId)}`, outcome(done), took(done.duration_us)),
};

// An event in one line. Payloads may be of any shape; what does not fit is shown as it is.
export const describe = (event) => {
  const { event_type: type, payload, plan_id: planId } = event;
  if (payload === undefined) return `${event.payload_bytes ?? 0} bytes`;
  const isObject = payload && typeof payload === 'object' && !Array.isArray(payload);
  const words = isObject && Object.hasOwn(WORDS, type) ? WORDS[type](payload, planId) : brief(payload);
  return words || brief(payload);
};
