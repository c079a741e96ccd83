// Dead letters: what groups gave up, and why; chosen ones are replayed.
import { html, useState } from '../vendor/htm-preact-3.1.1.js';
import { getWhole } from '../api.js';
import { hueOf } from '../events.js';
import { Age } from '../health/card.js';
import { usePoll } from '../health/poll.js';
import { TextField } from '../parts/filters.js';
import { Empty, Failed, Loading } from '../parts/notice.js';
import { clock, count, counted } from '../parts/time.js';
import { VirtualList } from '../parts/virtual.js';
import { setParams } from '../route.js';
import { Letter } from './letter.js';
import { keyOf, parseKey, reasonOf } from './letters.js';
import { useLetters } from './reading.js';
import { Confirm, Report } from './replay.js';

const ROW_HEIGHT = 52;
const COUNTS_MS = 5_000;
// Whether the server has a Redis does not change while it runs; another may come in its place.
const SERVER_MS = 10_000;

const Row = ({ letter, isChosen, onChoose }) => html`
  <span class="tick ${isChosen ? 'is-on' : ''}" aria-hidden="true" onClick=${(event) => { event.stopPropagation(); onChoose(); }}>${isChosen ? '✓' : ''}</span>
  <span class="what">
    <span class="title"><span class=${letter.event_type ? hueOf(letter) : 'faint'}>${letter.event_type ?? 'no event'}</span> <span class="plan">${letter.plan_id ?? letter.id}</span></span>
    <span class="sub" title=${letter.error}>${letter.error ?? reasonOf(letter) ?? 'no error is known'}</span>
  </span>
  <span class="facts">
    <span class="reason" title="Why it is here">${letter.reason ?? '–'}</span>
    <span class="number attempts" title="Failed attempts">${letter.attempts === null ? '' : counted(letter.attempts, 'attempt')}</span>
  </span>
  <span class="who"><span class="title">${letter.group ?? html`<span class="faint">no group</span>`}</span><span class="sub mono" title=${letter.stream}>${letter.stream}</span></span>
  <time class="number faint" datetime=${letter.failed_at}>${letter.failed_at ? clock(letter.failed_at).replace(/\.\d+$/, '') : ''}</time>`;

// How many are shown, of how many where that is known.
const shownOf = (shown, next, all) => (next && all ? `${count(shown)} of ${count(Math.max(all, shown))}` : `${count(shown)}${next ? '+' : ''}`);

// The filters that stand in the URL.
const Bar = ({ params, counts, rows, next }) => {
  const named = (list, own) => [...new Set([...list, ...(own ? [own] : [])])].sort();
  const queues = named((counts?.dead_letters ?? []).map(({ queue }) => queue), params.stream);
  const groups = named([...(counts?.groups ?? []).map(({ group }) => group), ...(rows ?? []).map(({ group }) => group).filter(Boolean)], params.group);
  const waiting = (counts?.dead_letters ?? []).reduce((sum, queue) => sum + queue.waiting, 0);
  const isFiltered = params.error || params.group || params.stream;
  const choose = (name, word, options) => html`<select aria-label=${word} value=${params[name] ?? ''} onChange=${({ target }) => setParams({ [name]: target.value })}>
    <option value="">${`all ${word}`}</option>${options.map((option) => html`<option key=${option} value=${option}>${option}</option>`)}</select>`;
  return html`<div class="bar">
    <${TextField} label="Text of the error" value=${params.error ?? ''} onChange=${(error) => setParams({ error }, { replace: true })} />
    ${choose('group', 'groups', groups)}${choose('stream', 'queues', queues)}
    <span class="faint" role="status">${rows && shownOf(rows.length, next, isFiltered ? null : waiting)}</span>
  </div>`;
};

const Nothing = ({ isFiltered, next, more }) => {
  if (next) return html`<${Empty} title="None so far"><p>Many letters were looked through, and there are more.</p><button onClick=${more}>Look further</button><//>`;
  if (isFiltered) return html`<${Empty} title="No dead letter is like this"><button onClick=${() => setParams({ stream: '', group: '', error: '' })}>Show all</button><//>`;
  return html`<${Empty} title="No dead letters"><p>What a group gives up after all its attempts comes here, with the error, until it is replayed or removed.</p><//>`;
};

// What a server without a Redis would answer.
const NO_REDIS = { status: 501 };

const Unavailable = ({ error, again }) => {
  if (error.status === 501) {
    return html`<${Empty} title="This server was given no Redis"><p>Dead letters are in the Redis that your groups read. Start the server with it:</p><pre>planbus serve --redis URL</pre><//>`;
  }
  if (error.status === 403) return html`<${Empty} title="Your token sees some tenants only"><p>Dead letters of all tenants stand together: they are for a token that sees all.</p><//>`;
  if (error.status !== 503) return html`<${Failed} error=${error} again=${again} />`;
  return html`<div class="notice is-error" role="alert"><h2>Redis does not answer</h2><p>${error.message}</p>
    <p>Look whether it runs and whether the server reaches it. The log goes on without it. It is asked again by itself.</p><button onClick=${again}>Try now</button></div>`;
};

export const DeadLetters = ({ params }) => {
  const filter = { stream: params.stream, group: params.group, error: params.error };
  const server = usePoll((options) => getWhole('stats', {}, options), SERVER_MS);
  const hasRedis = Boolean(server.data?.has_redis);
  const { rows, next, poll, problem, more, reread } = useLetters(filter, hasRedis);
  const counts = usePoll((options) => getWhole('redis', {}, options), COUNTS_MS, { isWanted: hasRedis });
  const [chosen, setChosen] = useState(new Map());
  const [asked, setAsked] = useState(null);
  const [report, setReport] = useState(null);
  const [replays, setReplays] = useState(0);

  const named = params.letter ? parseKey(params.letter) : null;
  const there = new Set((rows ?? []).map(keyOf));
  const selected = [...chosen.values()].filter((letter) => there.has(keyOf(letter)));
  const choose = (at) => setChosen((before) => {
    const after = new Map(before);
    if (!after.delete(keyOf(rows[at]))) after.set(keyOf(rows[at]), rows[at]);
    return after;
  });
  const chooseAll = () => setChosen(selected.length ? new Map() : new Map(rows.map((letter) => [keyOf(letter), letter])));
  const onDone = (done) => {
    setAsked(null);
    setReport(done);
    setReplays((before) => before + 1);
    setChosen(new Map());
    reread();
    counts.again();
  };
  const replaying = (counts.data?.dead_letters ?? []).reduce((sum, queue) => sum + queue.replaying, 0);

  const trouble = rows ? null : server.data && !hasRedis ? NO_REDIS : poll.error ?? server.error;
  return html`<section class="view split" aria-label="Dead letters">
    <div class="view dead">
      ${!trouble && html`<${Bar} params=${params} counts=${counts.data} rows=${rows} next=${next} />`}
      ${report && html`<${Report} report=${report} onClose=${() => setReport(null)} />`}
      ${!trouble && (rows?.length > 0 || replaying > 0) && html`<div class="strip">
        ${rows?.length > 0 && html`<label class="check"><input type="checkbox" checked=${selected.length > 0} indeterminate=${selected.length > 0 && selected.length < rows.length} onChange=${chooseAll} />
          ${selected.length ? `${count(selected.length)} chosen` : `choose all ${count(rows.length)} that are shown`}</label>
          <button class="is-main replay" disabled=${!selected.length} onClick=${() => setAsked(selected)}>${selected.length ? `Replay ${count(selected.length)}` : 'Replay'}</button>`}
        ${replaying > 0 && html`<span class="hue-blue" role="status">${counted(replaying, 'letter')} being handled again</span>`}
      </div>`}
      ${rows && html`<${Age} what="Dead letters" poll=${poll} />`}${problem && html`<p class="age problem" role="alert">${problem.message}</p>`}
      ${trouble ? html`<${Unavailable} error=${trouble} again=${() => { server.again(); poll.again(); }} />`
        : !rows ? html`<${Loading} what="dead letters" />`
        : rows.length ? html`<${VirtualList} label="Dead letters" count=${rows.length} height=${ROW_HEIGHT} keyOf=${(at) => keyOf(rows[at])} anchorKey=${keyOf(rows[0])} selected=${params.letter}
            row=${(at) => html`<${Row} letter=${rows[at]} isChosen=${chosen.has(keyOf(rows[at]))} onChoose=${() => choose(at)} />`}
            rowProps=${(at) => ({ 'aria-checked': chosen.has(keyOf(rows[at])) })}
            onKey=${(event, at) => event.key === ' ' && (choose(at), true)}
            onOpen=${(at) => setParams({ letter: keyOf(rows[at]) })} onEnd=${more} resetKey=${JSON.stringify(filter)} />`
        : html`<${Nothing} isFiltered=${params.stream || params.group || params.error} next=${next} more=${more} />`}
    </div>
    ${named && !trouble && !params.event && html`<${Letter} named=${named} replays=${replays} onReplay=${(letter) => setAsked([letter])}
      onClose=${() => { setParams({ letter: '' }); document.querySelector('.dead [role=listbox]')?.focus(); }} />`}
    ${asked && html`<${Confirm} chosen=${asked} onDone=${onDone} onClose=${() => setAsked(null)} />`}
  </section>`;
};
