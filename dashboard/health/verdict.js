// How all is, in findings: what is wrong, the worst first, and what to do next. Pure.
import { bytes, count, counted } from '../parts/time.js';

// Pages of the write-ahead log that are not in the database yet. The owner copies them every 4,000, so
// that more than this wait for a reader.
export const WAL_HELD_PAGES = 16_000;
// A reader, mirror or group that is so far behind does not just follow at its pace.
export const LAG_NOTED = 10_000;
// Of the memory that Redis may use.
const MEMORY_SHARE = 0.9;

const bad = (what, next, more = {}) => ({ level: 'bad', what, next, ...more });
const warn = (what, next, more = {}) => ({ level: 'warn', what, next, ...more });

const MIRROR = {
  forked: (mirror) => bad(
    `Mirror ${mirror.name}: a stream holds events that the log does not`,
    'The database was restored or copied. Look at the stream, then `planbus streams rebuild NAME`.'),
  blocked: (mirror) => bad(`Mirror ${mirror.name} is blocked`, mirror.last_error ?? 'The log of the server says by what.'),
  stopped: (mirror) => bad(`Mirror ${mirror.name} has stopped`, 'Start the program that mirrors again.'),
  retrying: (mirror) => bad(
    `Mirror ${mirror.name} does not reach its Redis${behind(mirror.lag)}`,
    `Is ${mirror.redis} running? The mirror goes on by itself when it is back.`),
  catching_up: (mirror) => mirror.lag > LAG_NOTED && warn(
    `Mirror ${mirror.name} catches up${behind(mirror.lag)}`, 'It needs time alone, unless that number grows.'),
};
const entries = (number) => `${count(number)} ${number === 1 ? 'entry' : 'entries'}`;
const behind = (lag) => (lag > 0 ? `, ${counted(lag, 'event')} behind` : '');

const ofLog = ({ log, search, readers }) => {
  if (!log) return [bad('The log cannot be read', 'The log of the server says why; `planbus verify` checks the file.')];
  const held = (log.wal_pages ?? 0) - (log.wal_copied_pages ?? 0);
  const unindexed = search ? log.last_seq - search.indexed_seq : 0;
  return [
    held > WAL_HELD_PAGES && warn(
      `The write-ahead log is held back: ${counted(held, 'page')} wait`,
      'Another program keeps a read of the database open (a long query in `sqlite3`, say). End it: the file grows until then.'),
    ...readers.filter(({ is_mirror, lag }) => !is_mirror && lag > LAG_NOTED).map(({ name, lag }) => warn(
      `Reader ${name} is ${counted(lag, 'event')} behind`, 'Retention keeps what it has not read. Start it, or remove its cursor.')),
    unindexed > LAG_NOTED && warn(`Search is ${counted(unindexed, 'event')} behind`, 'It catches up by itself.'),
  ];
};

const ofGroup = ({ stream, group, consumers, pending, lag }) => {
  const waiting = pending + (lag ?? 0);
  if (!consumers && waiting) {
    return bad(
      `Group ${group} has no consumer, ${entries(waiting)} waiting`, 'Start its consumers, or destroy the group: the stream is not trimmed past what it has not read.', { stream, group });
  }
  return lag > LAG_NOTED && warn(
    `Group ${group} is ${entries(lag)} behind`, 'Its consumers are too few or too slow; look at what they have in hand.', { stream, group });
};

// What is wrong stands before the first colon, what comes of it behind.
const ofWarning = (warning) => {
  const [what, next] = warning.split(/: (.*)/s);
  return warn(`Redis: ${what}`, next ? `${next[0].toUpperCase()}${next.slice(1)}` : null);
};

const ofRedis = (redis) => {
  if (!redis.is_up) return [bad('Redis does not answer', `${redis.error ?? 'It was not reached'}. The log goes on without it; mirrors and consumers wait.`)];
  const { server, groups, dead_letters: queues } = redis;
  const letters = queues.reduce((sum, { waiting }) => sum + waiting, 0);
  const isFull = server?.max_memory && server.used_memory > MEMORY_SHARE * server.max_memory;
  return [
    redis.error && bad('Redis does not tell about its streams', redis.error),
    isFull && bad(
      `Redis uses ${bytes(server.used_memory)} of ${bytes(server.max_memory)}`, 'When it is full it refuses writes. Trim streams (`planbus streams trim`), or let it use more.'),
    ...groups.map(ofGroup),
    letters > 0 && warn(`${counted(letters, 'dead letter')} ${letters === 1 ? 'waits' : 'wait'}`, 'See why they failed; when that is mended, replay them.', { path: 'dead-letters' }),
    ...(server?.warnings ?? []).map(ofWarning),
  ];
};

// Findings {level: 'bad' | 'warn', what, next, path?, stream?, group?}; none where all is well. What is
// not known (null) is not judged.
export const judge = ({ stats, redis }) => {
  const mirrors = (stats?.mirrors ?? []).map((mirror) => (Object.hasOwn(MIRROR, mirror.state) ? MIRROR[mirror.state](mirror) : null));
  const findings = [...(stats ? ofLog(stats) : []), ...mirrors, ...(redis ? ofRedis(redis) : [])].filter(Boolean);
  return [...findings.filter(({ level }) => level === 'bad'), ...findings.filter(({ level }) => level === 'warn')];
};
