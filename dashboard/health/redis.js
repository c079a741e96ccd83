// Cards of Redis: how it is, its streams, groups and dead letters.
import { html } from '../vendor/htm-preact-3.1.1.js';
import { bytes, count, duration } from '../parts/time.js';
import { linkTo } from '../route.js';
import { Card, Figures, Marked, Table } from './card.js';
import { LAG_NOTED } from './verdict.js';

const known = (value) => (value === null || value === undefined ? '–' : count(value));

// `redis`, `valkey` as they are written.
const named = (kind) => `${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}`;

const Server = ({ server }) => html`<${Card} title="Redis" note=${html`<span class="faint">${named(server.kind)} ${server.version}</span>`}><${Figures} rows=${[
  ['memory', bytes(server.used_memory)],
  ['limit', server.max_memory ? bytes(server.max_memory) : 'none'],
  ['clients', count(server.clients)],
  ['answers within', duration(server.latency_us / 1000)],
  server.mode && ['mode', server.mode],
]} /><//>`;

const Streams = ({ streams }) => html`<${Card} title="Streams" isWide><${Table} label="Streams"
  columns=${[['stream'], ['entries', true], ['mirrored to seq', true], ['behind', true], ['last id', true]]}
  rows=${streams.map((stream) => ({ key: stream.name, cells: [
    html`<span class="cut mono" title=${stream.name}>${stream.name}</span>`, count(stream.length), known(stream.mirrored_seq),
    html`<${Marked} hue=${stream.lag > LAG_NOTED && 'yellow'} word="far behind">${known(stream.lag)}<//>`, html`<span class="mono">${stream.last_id ?? '–'}</span>`,
  ] }))} /><//>`;

const Groups = ({ groups, params, onGroup }) => html`<${Card} title="Groups" isWide><${Table} label="Groups"
  columns=${[['group'], ['stream'], ['consumers', true], ['in hand', true], ['to try again', true], ['behind', true]]}
  rows=${groups.map((group) => {
    const isOpen = params.stream === group.stream && params.group === group.group;
    const isLeft = !group.consumers && (group.pending || group.lag);
    return { key: `${group.stream} ${group.group}`, isOpen, cells: [
      html`<button class="plain" aria-expanded=${isOpen} onClick=${() => onGroup(group)} title="What it has in hand">${group.group}</button>`,
      html`<span class="cut mono" title=${group.stream}>${group.stream}</span>`,
      html`<${Marked} hue=${isLeft && 'red'} word="nobody handles what waits">${count(group.consumers)}<//>`,
      count(group.pending), count(group.waiting),
      html`<${Marked} hue=${group.lag > LAG_NOTED && 'yellow'} word="far behind">${known(group.lag)}<//>`,
    ] };
  })} /><//>`;

const DeadLetters = ({ queues }) => html`<${Card} title="Dead letters" isWide><${Table} label="Dead letters"
  columns=${[['queue'], ['waiting', true], ['being replayed', true]]}
  rows=${queues.map((queue) => ({ key: queue.queue, cells: [
    html`<a class="cut mono" href=${linkTo(['dead-letters'], { stream: queue.queue })} title=${queue.queue}>${queue.queue}</a>`,
    html`<${Marked} hue=${queue.waiting && 'yellow'} word="look at them">${count(queue.waiting)}<//>`, count(queue.replaying),
  ] }))} /><//>`;

export const RedisCards = ({ redis, hasNoRedis, params, onGroup }) => {
  if (hasNoRedis) {
    return html`<${Card} title="Redis"><p class="faint">This server was given none. To see streams, groups and dead letters:</p>
      <pre>planbus serve --redis URL</pre><//>`;
  }
  if (!redis?.is_up) return null;
  return html`
    ${redis.server && html`<${Server} server=${redis.server} />`}
    ${redis.groups.length > 0 && html`<${Groups} groups=${redis.groups} params=${params} onGroup=${onGroup} />`}
    ${redis.streams.length > 0 && html`<${Streams} streams=${redis.streams} />`}
    ${redis.dead_letters.length > 0 && html`<${DeadLetters} queues=${redis.dead_letters} />`}
    ${redis.left_out > 0 && html`<p class="faint">${count(redis.left_out)} more are left out here; <code>planbus streams list</code> and <code>planbus groups</code> tell all.</p>`}`;
};
