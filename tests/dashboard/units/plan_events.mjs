// Events as the server sends them, for the tests of the view of one plan: one a millisecond.

// Gives a function that makes the next event of a log.
export const log = (startMs = Date.parse('2026-03-01T09:30:00Z')) => {
  let seq = 0;
  return (type, planId, payload, more = {}) => {
    seq += 1;
    const timestamp = new Date(startMs + seq).toISOString().replace('Z', '000Z');
    return {
      seq,
      event_id: `E${String(seq).padStart(25, '0')}`,
      event_type: type,
      plan_id: planId,
      timestamp,
      recorded_at: timestamp,
      tenant: 'default',
      correlation_id: planId,
      payload,
      ...more,
    };
  };
};
