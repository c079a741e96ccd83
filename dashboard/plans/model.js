// A plan with all that belongs to it, as its events tell it: subplans, tool calls, decisions, and what
// caused what. Pure. Events may say anything: parents that are missing or go round in a circle, calls
// that nobody answers, payloads of any shape.

import { failureOf, givenTo, goalOf } from './words.js';

// When an event happened, in milliseconds with the microseconds that a `Date` leaves out.
export const timeOf = ({ timestamp }) => Date.parse(timestamp) + (Number(String(timestamp).slice(23, 26)) || 0) / 1000;

const fieldsOf = ({ payload }) => (payload && typeof payload === 'object' && !Array.isArray(payload) ? payload : {});
const nameOf = (value) => (typeof value === 'string' && value ? value : null);
const textOf = (value) => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));
const millisOf = ({ duration_us: micros }) => (Number.isSafeInteger(micros) && micros >= 0 ? micros / 1000 : null);

// A run that was copied into the log has the clock of its own time.
const isCopied = ({ context_refs: refs }) => Array.isArray(refs) && String(refs[0]).startsWith('trace:');

export const createModel = () => ({
  events: [],
  lastSeq: 0,
  plans: new Map(),
  // By its seq: what an event is about, a plan, a call or a decision.
  items: new Map(),
  // By the id of an event: its seq, and the seqs of those that it caused.
  seqs: new Map(),
  effects: new Map(),
  isCopy: false,
});

const newPlan = (id) => ({
  kind: 'plan',
  id,
  parent: null,
  isGuess: false,
  items: [],
  // From each start to its end: a plan may begin again.
  runs: [],
  starts: 0,
  lastMs: null,
  calls: new Map(),
  status: null,
  told: null,
  goal: '',
  source: '',
  error: '',
  durationMs: null,
  spawnMs: null,
  seq: null,
  count: { events: 0, tools: 0, failed: 0, decisions: 0 },
});

const planOf = (model, id) => {
  if (!model.plans.has(id)) model.plans.set(id, newPlan(id));
  return model.plans.get(id);
};

// Puts a plan below its parent: where it was spawned first, and only there. What a correlation id lets
// one guess gives way to what is said.
const attach = (model, plan, parentId, isGuess) => {
  if (!parentId || (plan.parent && (!plan.isGuess || isGuess))) return;
  const parent = planOf(model, parentId);
  if (parent === plan.parent) plan.isGuess = isGuess;
  for (let above = parent; above; above = above.parent) if (above === plan) return;
  if (parent === plan.parent) return;
  if (plan.parent) plan.parent.items.splice(plan.parent.items.indexOf(plan), 1);
  Object.assign(plan, { parent, isGuess });
  parent.items.push(plan);
};

const lastRun = (plan) => plan.runs[plan.runs.length - 1];

const begin = (plan, ms) => {
  const before = lastRun(plan);
  if (before && before.endMs === null) before.endMs = plan.lastMs;
  plan.runs.push({ startMs: ms, endMs: null, status: 'running' });
  Object.assign(plan, { status: 'running', error: '', durationMs: null });
};

const end = (plan, ms, fields, status) => {
  const durationMs = millisOf(fields);
  // Of a plan whose start is not in the log, the end says how long it was.
  if (plan.count.events === 1 && durationMs !== null) lastRun(plan).startMs = ms - durationMs;
  Object.assign(lastRun(plan), { endMs: ms, status });
  Object.assign(plan, { status, durationMs, error: status === 'failed' ? failureOf(fields) : '' });
};

const keyOf = ({ call_id: callId, tool }) => (callId === undefined || callId === null ? `tool ${textOf(tool)}` : `id ${textOf(callId)}`);

const newCall = (plan, event, fields, startMs) => ({
  kind: 'call',
  plan,
  run: plan.runs.length,
  seq: event.seq,
  endSeq: null,
  name: textOf(fields.tool) || 'a tool without a name',
  given: givenTo(fields),
  startMs,
  endMs: null,
  durationMs: null,
  ok: null,
  error: '',
});

const answer = (call, event, fields, ms) =>
  Object.assign(call, { endSeq: event.seq, endMs: ms, durationMs: millisOf(fields), ok: fields.ok ?? null, error: fields.ok === false ? failureOf(fields) : textOf(fields.error) });

const keep = (plan, item) => {
  plan.items.push(item);
  return item;
};

// What each type of event does; it gives what the event is about, where that is not its plan.
const STEPS = {
  PlanStarted: (model, plan, event, fields, ms) => {
    plan.starts += 1;
    if (plan.count.events > 1 && (plan.starts > 1 || plan.status !== 'running')) begin(plan, ms);
    plan.goal ||= goalOf(fields);
    attach(model, plan, nameOf(fields.parent), false);
  },
  PlanCompleted: (model, plan, event, fields, ms) => end(plan, ms, fields, 'completed'),
  PlanFailed: (model, plan, event, fields, ms) => end(plan, ms, fields, 'failed'),
  DecisionMade: (model, plan, event, fields, ms) => {
    plan.count.decisions += 1;
    return keep(plan, { kind: 'decision', plan, seq: event.seq, startMs: ms, fields });
  },
  ToolCalled: (model, plan, event, fields, ms) => {
    plan.count.tools += 1;
    const call = newCall(plan, event, fields, ms);
    plan.calls.set(keyOf(fields), call);
    return keep(plan, call);
  },
  ToolCompleted: (model, plan, event, fields, ms) => {
    if (fields.ok === false) plan.count.failed += 1;
    const call = plan.calls.get(keyOf(fields));
    // Answered before: the second answer is in the log alone.
    if (call) return call.endSeq === null ? answer(call, event, fields, ms) : call;
    const alone = answer(newCall(plan, event, fields, ms - (millisOf(fields) ?? 0)), event, fields, ms);
    plan.calls.set(keyOf(fields), alone);
    return keep(plan, alone);
  },
  SubplanSpawned: (model, plan, event, fields, ms) => {
    const id = nameOf(fields.subplan);
    if (!id || id === plan.id) return plan;
    const child = planOf(model, id);
    child.seq ??= event.seq;
    child.spawnMs ??= ms;
    child.goal ||= goalOf(fields);
    attach(model, child, plan.id, false);
    return child;
  },
  SubplanCompleted: (model, plan, event, fields, ms) => {
    const child = model.plans.get(nameOf(fields.subplan));
    if (child) child.told = { ok: fields.ok ?? null, endMs: ms, durationMs: millisOf(fields), error: textOf(fields.error) };
    return child;
  },
};

const takeOne = (model, event) => {
  const [ms, fields, plan] = [timeOf(event), fieldsOf(event), planOf(model, event.plan_id)];
  model.events.push(event);
  model.lastSeq = event.seq;
  model.seqs.set(event.event_id, event.seq);
  if (event.causation_id) {
    if (!model.effects.has(event.causation_id)) model.effects.set(event.causation_id, []);
    model.effects.get(event.causation_id).push(event.seq);
  }
  plan.count.events += 1;
  if (plan.count.events === 1) {
    plan.seq = event.seq;
    model.isCopy ||= isCopied(event);
    begin(plan, ms);
    if (event.correlation_id !== event.plan_id) attach(model, plan, nameOf(event.correlation_id), true);
  }
  plan.source ||= textOf(event.source);
  const step = Object.hasOwn(STEPS, event.event_type) ? STEPS[event.event_type] : () => plan;
  model.items.set(event.seq, step(model, plan, event, fields, ms) ?? plan);
  plan.lastMs = ms;
};

// Takes events in. Those that follow what is there go into the same model; where one comes from before,
// the model is made again of all of them, and the new one is given.
export const take = (model, events) => {
  const fresh = events.filter(({ seq }) => seq > model.lastSeq);
  const before = events.filter(({ seq }) => seq <= model.lastSeq);
  if (before.length) {
    const known = new Set(model.events.map(({ seq }) => seq));
    const missed = before.filter(({ seq }) => !known.has(seq));
    if (missed.length) {
      const next = createModel();
      for (const event of [...model.events, ...missed, ...fresh].sort((a, b) => a.seq - b.seq)) takeOne(next, event);
      return next;
    }
  }
  for (const event of fresh) if (event.seq > model.lastSeq) takeOne(model, event);
  return model;
};

// The seq of an event that is named by its seq or its id; undefined where it is not known.
export const seqNamed = (model, name) => {
  const seq = model.seqs.get(name) ?? Number(name);
  return model.items.has(seq) ? seq : undefined;
};

// How a plan stands: running, completed, failed, or unknown where only its parent speaks of it.
export const statusOf = (plan) => {
  if (plan.status) return plan.status;
  if (plan.told) return plan.told.ok === false ? 'failed' : plan.told.ok === true ? 'completed' : 'unknown';
  return plan.parent?.status === 'running' ? 'running' : 'unknown';
};

// What became of a call: running, ok, failed, done (it does not say how), or unanswered.
export const outcomeOf = (call) => {
  if (call.endSeq !== null) return call.ok === false ? 'failed' : call.ok === true ? 'ok' : 'done';
  return call.plan.status === 'running' && call.run === call.plan.runs.length ? 'running' : 'unanswered';
};

export const isFailed = (item) =>
  item.kind === 'plan' ? statusOf(item) === 'failed' : item.kind === 'call' && outcomeOf(item) === 'failed';

export const isRunning = (item) =>
  item.kind === 'plan' ? statusOf(item) === 'running' : item.kind === 'call' && outcomeOf(item) === 'running';

export const startOf = (item) => (item.kind === 'plan' ? item.runs[0]?.startMs ?? item.spawnMs ?? 0 : item.startMs);

// When an item ended; null while it runs.
export const endOf = (item) => {
  if (isRunning(item)) return null;
  if (item.kind === 'decision') return item.startMs;
  if (item.kind === 'plan') return lastRun(item)?.endMs ?? item.told?.endMs ?? startOf(item);
  return item.endMs ?? item.plan.runs[item.run - 1]?.endMs ?? item.startMs;
};

// How long an item took, as it says itself or else by the clock; of a plan that began again, since then.
export const lasted = (item, now) => {
  const said = item.durationMs ?? (item.kind === 'plan' ? item.told?.durationMs : null);
  if (!isRunning(item) && said !== null && said !== undefined) return said;
  const start = item.kind === 'plan' ? lastRun(item)?.startMs ?? startOf(item) : item.startMs;
  return Math.max(0, (endOf(item) ?? now) - start);
};

export const errorOf = (item) => item.error || (item.kind === 'plan' && item.told?.error) || '';

// A plan and all below it, each once, in the order in which they were spawned: {plan, depth}.
export const plansBelow = (root) => {
  const found = [];
  const waiting = [{ plan: root, depth: 0 }];
  while (waiting.length) {
    const { plan, depth } = waiting.pop();
    found.push({ plan, depth });
    for (let at = plan.items.length - 1; at >= 0; at -= 1) {
      if (plan.items[at].kind === 'plan') waiting.push({ plan: plan.items[at], depth: depth + 1 });
    }
  }
  return found;
};

export const totalsOf = (plans) => {
  const total = { events: 0, tools: 0, failed: 0, decisions: 0, subplans: plans.length - 1 };
  for (const { plan } of plans) for (const name of Object.keys(plan.count)) total[name] += plan.count[name];
  return total;
};

// The correlation ids under which events of known subplans may stand, where none of theirs was found.
export const unread = (model, read) => {
  const wanted = new Set();
  for (const plan of model.plans.values()) {
    if (plan.count.events === 0 && plan.parent && !read.has(plan.parent.id)) wanted.add(plan.parent.id);
  }
  return [...wanted];
};

// What a copied run says of its own time goes on for this long after its last event was stored.
const QUIET_MS = 60_000;

// The time by which what runs is measured.
export const nowOf = (model, wallMs) => {
  const last = model.events[model.events.length - 1];
  if (!last) return wallMs;
  if (!model.isCopy) return Math.max(wallMs, timeOf(last));
  const since = wallMs - Date.parse(last.recorded_at ?? last.timestamp);
  return timeOf(last) + Math.min(Math.max(since, 0) || 0, QUIET_MS);
};
