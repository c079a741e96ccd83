// How a plan stands, kept up with its events. Pure: rows come in and go out.

const textOf = (value) => (typeof value === 'string' ? value : null);
// What is said in another shape is shown as it is.
const shown = (value) => textOf(value) ?? (value === undefined || value === null ? null : JSON.stringify(value));

// A plan of which only its start is known.
const begun = (event) => ({
  plan_id: event.plan_id,
  tenant: event.tenant,
  parent: textOf(event.payload?.parent),
  status: 'running',
  goal: shown(event.payload?.goal),
  source: event.source ?? null,
  started_at: event.timestamp,
  ended_at: null,
  duration_us: null,
  status_since: event.timestamp,
  correlation_id: event.correlation_id ?? null,
  events: 0,
  tool_calls: 0,
  failed_tool_calls: 0,
  decisions: 0,
  subplans: 0,
  error: null,
  first_seq: event.seq,
  last_seq: 0,
});

const ended = (plan, event, status) => ({
  ...plan,
  status,
  ended_at: event.timestamp,
  status_since: event.timestamp,
  duration_us: Number.isFinite(event.payload?.duration_us)
    ? event.payload.duration_us
    : (Date.parse(event.timestamp) - Date.parse(plan.started_at)) * 1000,
  error: status === 'failed' ? shown(event.payload?.error) ?? shown(event.payload?.reason) : null,
});

const STEPS = {
  // A plan that begins again is running again.
  PlanStarted: (plan, { timestamp }) => ({ ...plan, status: 'running', status_since: timestamp, ended_at: null, duration_us: null, error: null }),
  PlanCompleted: (plan, event) => ended(plan, event, 'completed'),
  PlanFailed: (plan, event) => ended(plan, event, 'failed'),
  ToolCalled: (plan) => ({ ...plan, tool_calls: plan.tool_calls + 1 }),
  ToolCompleted: (plan, { payload }) => (payload?.ok === false ? { ...plan, failed_tool_calls: plan.failed_tool_calls + 1 } : plan),
  DecisionMade: (plan) => ({ ...plan, decisions: plan.decisions + 1 }),
  SubplanSpawned: (plan) => ({ ...plan, subplans: plan.subplans + 1 }),
};

// The plan after an event of its own; one that it has taken in before changes nothing.
export const step = (plan, event) => {
  const before = plan ?? begun(event);
  if (event.seq <= before.last_seq) return before;
  const next = Object.hasOwn(STEPS, event.event_type) ? STEPS[event.event_type](before, event) : before;
  return { ...next, events: next.events + 1, last_seq: event.seq };
};

// Where plans stand in rows. What happens is of few plans, mostly of the newest: no more is looked at.
const placesOf = (rows, ids) => {
  const places = new Map();
  for (let at = 0; at < rows.length && places.size < ids.size; at += 1) if (ids.has(rows[at].plan_id)) places.set(rows[at].plan_id, at);
  return places;
};

// Rows, the newest first, after events: known plans go on, those that begin come on top where `isWanted`
// says so. The same rows come back where nothing changed.
export const follow = (rows, events, isWanted) => {
  const places = placesOf(rows, new Set(events.map((event) => event.plan_id)));
  const changed = new Map();
  const added = new Map();
  for (const event of events) {
    const id = event.plan_id;
    const at = places.get(id);
    if (at !== undefined) changed.set(at, step(changed.get(at) ?? rows[at], event));
    else if (added.has(id) || event.event_type === 'PlanStarted') added.set(id, step(added.get(id), event));
  }
  const next = changed.size ? rows.slice() : rows;
  for (const [at, plan] of changed) next[at] = plan;
  const fresh = [...added.values()].filter(isWanted).sort((a, b) => b.first_seq - a.first_seq);
  return fresh.length ? [...fresh, ...next] : next;
};
