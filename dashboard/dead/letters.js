// Dead letters as a list that is read again and again, and what is asked when they are replayed. Pure.

// The most letters of one request.
export const REPLAY_MAX = 100;

export const keyOf = ({ id, stream }) => `${id}@${stream}`;

// The stream and the id of a key; null where it is none.
export const parseKey = (key) => {
  const at = key.indexOf('@');
  return at > 0 && at < key.length - 1 ? { id: key.slice(0, at), stream: key.slice(at + 1) } : null;
};

const REASONS = {
  failed: 'failed every attempt',
  refused: 'refused by its handler',
  undecodable: 'cannot be read',
  deliveries: 'ended its consumers',
};

// Why a letter is one, in words; whoever wrote the entry may have written anything.
export const reasonOf = ({ reason }) => (Object.hasOwn(REASONS, reason) ? REASONS[reason] : reason);

// Rows after their first page was read anew: what is new is there, what has gone from it is not, and the
// pages behind it stay. A first page without a next one is all there is.
export const refresh = ({ rows, next }, page) => {
  if (!page.next || !rows) return { rows: page.letters, next: page.next };
  const places = new Map(rows.map((letter, at) => [keyOf(letter), at]));
  const last = page.letters.findLast((letter) => places.has(keyOf(letter)));
  const behind = last ? rows.slice(places.get(keyOf(last)) + 1) : [];
  const fresh = new Set(page.letters.map(keyOf));
  const kept = behind.filter((letter) => !fresh.has(keyOf(letter)));
  return kept.length ? { rows: [...page.letters, ...kept], next } : { rows: page.letters, next: page.next };
};

// Rows with the page that follows them.
export const append = ({ rows }, page) => {
  const known = new Set(rows.map(keyOf));
  return { rows: [...rows, ...page.letters.filter((letter) => !known.has(keyOf(letter)))], next: page.next };
};

// The requests that replay these letters. Those that name no group go to the one that the reader named.
export const requestsOf = (letters, group = '') => {
  const parts = new Map();
  for (const letter of letters) {
    const given = letter.group ? null : group || null;
    const name = JSON.stringify([letter.stream, given]);
    if (!parts.has(name)) parts.set(name, { stream: letter.stream, group: given, ids: [] });
    parts.get(name).ids.push(letter.id);
  }
  return [...parts.values()].flatMap(({ stream, group: given, ids }) => {
    const pieces = [];
    for (let at = 0; at < ids.length; at += REPLAY_MAX) pieces.push({ stream, ids: ids.slice(at, at + REPLAY_MAX), group: given });
    return pieces;
  });
};

// Asks one request after the other by `ask`; stops at the first that fails, since those behind it would
// fail as well. Gives {replayed, gone, refused: [{id, stream, reason}], error, unasked}.
export const replayAll = async (requests, ask) => {
  const report = { replayed: 0, gone: 0, refused: [], error: null, unasked: 0 };
  for (const [at, request] of requests.entries()) {
    try {
      const { replayed, gone = 0, refused } = await ask(request);
      report.replayed += replayed;
      report.gone += gone;
      report.refused.push(...refused.map((letter) => ({ ...letter, stream: request.stream })));
    } catch (error) {
      report.error = error;
      // Of the one that failed nobody knows how many went.
      report.unasked = requests.slice(at + 1).reduce((sum, { ids }) => sum + ids.length, 0);
      break;
    }
  }
  return report;
};

// Which groups handle these letters again, by how many each; '' are those that name none.
export const groupsOf = (letters) => {
  const counts = new Map();
  for (const { group } of letters) counts.set(group ?? '', (counts.get(group ?? '') ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
};
