// What the log is asked for: from the URL of the page to a query of the server, and to words. Pure.

// What a reader may ask for, with its word on the page.
export const FIELDS = { q: 'search', text: 'with', exclude: 'without', type: 'type', source: 'agent', plan: 'plan', correlation: 'run', until: 'until', before: 'before' };
// What the search index does not answer.
export const NOT_SEARCHED = ['text', 'source', 'correlation', 'until'];
const NAMES = Object.keys(FIELDS);

export const filterOf = (params) => Object.fromEntries(NAMES.filter((name) => params[name]).map((name) => [name, params[name]]));
export const typesOf = (params) => (params.type ?? '').split(',').map((type) => type.trim()).filter(Boolean);

// A reader who went to a place in the past is not brought what is new.
export const isJumped = (filter) => Boolean(filter.before || filter.until);
// Only the server can tell what has a text: it looks through whole payloads.
export const needsServer = (filter) => Boolean(filter.q || filter.text || filter.exclude);

const matchesType = (pattern, type) => (pattern.endsWith('.*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern);

// Whether an event belongs to what was asked for by its envelope alone, as the server decides it.
export const matcherOf = (filter) => {
  const types = typesOf(filter);
  return (event) =>
    (!types.length || types.some((pattern) => matchesType(pattern, event.event_type))) &&
    (!filter.plan || event.plan_id === filter.plan) &&
    (!filter.source || event.source === filter.source) &&
    (!filter.correlation || event.correlation_id === filter.correlation);
};

// The place where the page that follows begins, or null.
export const placeOf = (next) => {
  const before = next && new URLSearchParams(next.slice(next.indexOf('?'))).get('before');
  return before ? Number(before) : null;
};

// The field that an error of the server is about, with the server's words; null where it names none of ours.
export const wrongField = (error) => {
  const [, name, message] = /^([a-z_]+): (.*)$/s.exec(error?.message ?? '') ?? [];
  return error?.status === 400 && Object.hasOwn(FIELDS, name) ? { name, message } : null;
};

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

// Where to go, as people write it: `1234` a seq, `90m` so long ago, `14:05` today, a date with or without
// a time. Gives the parameters of the place, or null where it is none.
export const parseJump = (text, now = new Date()) => {
  const given = text.trim();
  if (/^#?\d{1,15}$/.test(given)) return { before: String(Number(given.replace('#', '')) + 1), until: '' };
  const at = (time) => (Number.isNaN(time.getTime()) ? null : { before: '', until: time.toISOString() });
  const ago = /^(\d{1,6}) ?([smhd])(?: ago)?$/.exec(given);
  if (ago) return at(new Date(now.getTime() - Number(ago[1]) * UNITS[ago[2]]));
  const hour = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(given);
  if (hour) {
    const [h, m, s] = [Number(hour[1]), Number(hour[2]), Number(hour[3] ?? 59)];
    return h > 23 || m > 59 || s > 59 ? null : at(new Date(now.getFullYear(), now.getMonth(), now.getDate(), h, m, s, 999));
  }
  const day = /^(\d{4}-\d{2}-\d{2})(?:[ T](.+))?$/.exec(given);
  return day ? at(new Date(`${day[1]}T${day[2] ?? '23:59:59.999'}`)) : null;
};
