// The other half of a tool call: the completion of a call, the call of a completion.
import { get } from '../api.js';
import { onEvents } from '../live.js';
import { useEffect, useState } from '../vendor/htm-preact-3.1.1.js';
import { payloadField } from './one.js';

// Calls that hold the id of another somewhere in their payload are passed over; no more of them than that.
const LOOKED_AT = 20;
const OTHER = { ToolCalled: 'ToolCompleted', ToolCompleted: 'ToolCalled' };

// {event} the other half in brief, {event: null} where there is none yet; null for events that have none.
export const usePair = (event) => {
  const [found, setFound] = useState(null);
  useEffect(() => {
    setFound(null);
    const type = event && Object.hasOwn(OTHER, event.fields.event_type) ? OTHER[event.fields.event_type] : null;
    const callId = type && payloadField(event, 'call_id');
    if (typeof callId !== 'string' || !callId) return undefined;
    const { seq, plan_id: plan } = event.fields;
    const isOther = (other) => other.event_type === type && other.plan_id === plan && other.payload?.call_id === callId;
    const abort = new AbortController();
    const place = type === 'ToolCompleted' ? { after: seq } : { before: seq, order: 'desc' };
    const text = JSON.stringify(callId).slice(1, -1);
    get('events', { plan, type, text, ...place, limit: LOOKED_AT, format: 'brief' }, { signal: abort.signal })
      .then((page) => setFound((before) => (before?.event ? before : { event: page.events.find(isOther) ?? null })))
      .catch(() => {}); // Without it the event is shown alone.
    const end = onEvents((events) => {
      const other = type === 'ToolCompleted' && events.find(isOther);
      if (other) setFound({ event: other });
    });
    return () => {
      abort.abort();
      end();
    };
  }, [event]);
  return found;
};
