// Cards of what this server knows by itself: log, write-ahead log, commits, readers, mirrors, search, clients.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { bytes, clock, count, counted, duration } from '../parts/time.js';
import { Card, Figures, Marked, Table } from './card.js';
import { LAG_NOTED, WAL_HELD_PAGES } from './verdict.js';

const micros = (value) => (value === null ? null : duration(value / 1000));
const known = (value, say = count) => (value === null || value === undefined ? null : say(value));
const ago = (time, now) => {
  const ms = now - Date.parse(time);
  return ms < 1_000 ? 'now' : `${duration(Math.floor(ms / 1000) * 1000).replace('.00', '')} ago`;
};

const Log = ({ log, store, now }) => html`<${Card} title="Log" isTall note=${html`<span class="faint mono">${store}</span>`}>
  <${Figures} rows=${[
    ['events', count(log.events)],
    ['last seq', count(log.last_seq)],
    log.last_recorded_at && ['last event', ago(log.last_recorded_at, now), { title: log.last_recorded_at }],
    log.first_recorded_at && ['oldest', clock(log.first_recorded_at).replace(/\.\d+$/, ''), { title: `${log.first_recorded_at}, seq ${log.first_seq}` }],
    ['last minute', count(log.last_minute)],
    ['last hour', count(log.last_hour)],
    ['last day', count(log.last_day)],
    ['size', bytes(log.db_bytes)],
  ]} />
<//>`;

const Wal = ({ log }) => {
  const held = (log.wal_pages ?? 0) - (log.wal_copied_pages ?? 0);
  return html`<${Card} title="Write-ahead log"><${Figures} rows=${[
    ['size', bytes(log.wal_bytes)],
    ['pages in use', known(log.wal_pages)],
    ['copied to the database', known(log.wal_copied_pages)],
    log.wal_pages !== null && ['held back', held > WAL_HELD_PAGES ? count(held) : 'nothing', { hue: held > WAL_HELD_PAGES ? 'hue-yellow' : '' }],
  ]} /><//>`;
};

const Commits = ({ commits, stats, bus }) => {
  const { count: own, p50, p99 } = commits.all();
  return html`<${Card} title="Commits" note=${html`<span class="faint">since the page was opened</span>`}><${Figures} rows=${[
    ['commits', count(own)],
    ['p50', micros(p50), { title: 'Half of them took no longer' }],
    ['p99', micros(p99), { title: '99 of 100 took no longer' }],
    ['since the start', count(stats.count)],
    bus && stats.count > 0 && ['events in one', (bus.published / stats.count).toFixed(1)],
  ]} /><//>`;
};

const Bus = ({ bus }) => html`<${Card} title="Handlers"><${Figures} rows=${[
  ['published', count(bus.published)],
  ['delivered', count(bus.delivered)],
  ['failed', count(bus.failed), { hue: bus.failed ? 'hue-red' : '' }],
  ['panicked', count(bus.panicked), { hue: bus.panicked ? 'hue-red' : '' }],
  ['dropped', count(bus.dropped), { hue: bus.dropped ? 'hue-yellow' : '' }],
]} /><//>`;

const Server = ({ stats, now }) => {
  const { search, log, clients } = stats;
  const behind = search && log ? Math.max(0, log.last_seq - search.indexed_seq) : null;
  return html`<${Card} title="Server" note=${html`<span class="faint">planbus ${stats.version}</span>`}><${Figures} rows=${[
    ['followers', count(clients.followers)],
    ['owns the store', stats.is_owner ? 'yes' : 'no, reads beside'],
    ['search', search ? (behind ? `${count(behind)} behind` : 'all read') : 'off', { hue: behind > LAG_NOTED ? 'hue-yellow' : '', title: search ? undefined : 'The program asks for it by `search()`; `planbus serve` keeps one' }],
  ]} /><//>`;
};

const STATE_HUE = { live: 'green', catching_up: 'blue', retrying: 'yellow' };

const Mirrors = ({ mirrors }) => html`<${Card} title="Mirrors" isWide><${Table} label="Mirrors"
  columns=${[['name'], ['state'], ['behind', true], ['skipped', true], ['Redis'], ['last error']]}
  rows=${mirrors.map((mirror) => ({ key: mirror.name, cells: [
    mirror.name,
    html`<span class="hue-${STATE_HUE[mirror.state] ?? 'red'}">${mirror.state.replace('_', ' ')}</span>`,
    known(mirror.lag) ?? '–', count(mirror.skipped), html`<span class="mono">${mirror.redis}</span>`,
    html`<span class="cut" title=${mirror.last_error}>${mirror.last_error ?? ''}</span>`,
  ] }))} /><//>`;

const Readers = ({ readers }) => html`<${Card} title="Readers of the log" isWide><${Table} label="Readers"
  columns=${[['name'], ['has finished', true], ['behind', true]]}
  rows=${readers.map((reader) => ({ key: reader.name, cells: [
    html`${reader.name}${reader.is_mirror && html` <span class="faint">mirror</span>`}`, count(reader.seq),
    html`<${Marked} hue=${reader.lag > LAG_NOTED && 'yellow'} word="far behind">${count(reader.lag)}<//>`,
  ] }))} /><//>`;

export const LogCards = ({ stats, commits, now }) => html`
  ${stats.log && html`<${Log} log=${stats.log} store=${stats.store} now=${now} /><${Wal} log=${stats.log} />`}
  ${stats.commits && html`<${Commits} commits=${commits} stats=${stats.commits} bus=${stats.bus} />`}
  ${stats.bus && html`<${Bus} bus=${stats.bus} />`}
  <${Server} stats=${stats} now=${now} />
  ${stats.mirrors.length > 0 && html`<${Mirrors} mirrors=${stats.mirrors} />`}
  ${stats.readers.length > 0 && html`<${Readers} readers=${stats.readers} />`}`;
