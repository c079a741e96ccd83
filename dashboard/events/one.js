// Reads one event, as it was sent: no number and no order of its fields is changed.
import { get, getText, tenantUrl } from '../api.js';
import { endOf, fieldsOf, kindAt, membersOf, valueOf } from '../payload/json.js';

const SEQ = /^\d{1,16}$/;
const EVENT_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

// What the text of an event says, without its payload being read: {text, seq, fields, payload: [start, end]};
// `fields` has the envelope as it reads, but for seq.
export const eventOf = (text) => {
  const places = fieldsOf(text);
  const payload = places.get('payload') ?? null;
  const fields = {};
  for (const [name, [start, end]] of places) if (name !== 'payload') fields[name] = valueOf(text, start, end);
  return { text, fields, payload };
};

// A field of the payload that is a text, a number, true, false or null; undefined where there is none.
export const payloadField = ({ text, payload }, name) => {
  const place = payload && kindAt(text, payload[0]) === 'object' && fieldsOf(text, payload[0]).get(name);
  return place && !['object', 'array'].includes(kindAt(text, place[0])) ? valueOf(text, ...place) : undefined;
};

// The only event of a page, or null.
const firstOf = (text) => {
  const place = fieldsOf(text).get('events');
  const members = place ? membersOf(text, place[0]) : [];
  return members.length ? text.slice(members[1], endOf(text, members[1])) : null;
};

// The event of a seq or an id; null where the log has none.
export const readEvent = async (named, signal) => {
  if (EVENT_ID.test(named)) return eventOf(await getText(`events/${named}`, {}, { signal }));
  if (!SEQ.test(named)) return null;
  const text = firstOf(await getText('events', { after: Math.max(0, Number(named) - 1), limit: 1 }, { signal }));
  const event = text && eventOf(text);
  return event?.fields.seq === Number(named) ? event : null;
};

// Where the server has the event.
export const addressOf = ({ fields }) => (EVENT_ID.test(fields.event_id) ? tenantUrl(`events/${fields.event_id}`) : null);

// The seq of the event before (-1) or after (1) another of its plan; null where there is none.
export const inPlan = async ({ fields }, by) => {
  const place = by > 0 ? { after: fields.seq } : { before: fields.seq, order: 'desc' };
  const page = await get('events', { plan: fields.plan_id, ...place, limit: 1, format: 'brief' });
  return page.events[0]?.seq ?? null;
};
