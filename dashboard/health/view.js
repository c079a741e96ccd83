// How all is: one sentence, charts of the last minutes, and cards for every part.
import { html, useRef } from '../vendor/htm-preact-3.1.1.js';
import { getWhole } from '../api.js';
import { isPaused } from '../live.js';
import { useNow } from '../parts/time.js';
import { setParams } from '../route.js';
import { useStore } from '../store.js';
import { Age } from './card.js';
import { Charts } from './charts.js';
import { createCommits } from './commits.js';
import { LogCards } from './log.js';
import { useRates } from './now.js';
import { Pending } from './pending.js';
import { usePoll } from './poll.js';
import { RedisCards } from './redis.js';
import { Verdict } from './sentence.js';

const STATS_MS = 2_000;
const REDIS_MS = 5_000;

// Since the page was opened, whatever view is shown.
const commits = createCommits();

export const Health = ({ params }) => {
  const rates = useRates();
  const paused = useStore(isPaused);
  const now = useNow(!paused, 1_000);
  const stats = usePoll((options) => getWhole('stats', {}, options), STATS_MS);
  const hasNoRedis = stats.data?.has_redis === false;
  const redis = usePoll((options) => getWhole('redis', {}, options), REDIS_MS, { isWanted: stats.data?.has_redis === true });
  const opener = useRef(null);
  // A reading counts once, however often it is drawn.
  commits.add(stats.data?.commits, stats.at);
  const isBarred = stats.error?.status === 403;
  const open = (group) => {
    opener.current = document.activeElement;
    setParams({ stream: group.stream, group: group.group });
  };
  const close = () => {
    setParams({ stream: '', group: '' });
    opener.current?.focus();
  };
  return html`<section class="view split" aria-label="Health">
    <div class="health">
      <${Verdict} stats=${stats} redis=${redis} isBarred=${isBarred} hasNoRedis=${hasNoRedis} onGroup=${open} />
      ${!isBarred && html`<${Age} what="Figures" poll=${stats} />`}
      ${!isBarred && !hasNoRedis && html`<${Age} what="Redis" poll=${redis} />`}
      <${Charts} rates=${rates} commits=${isBarred || !stats.data?.commits ? null : commits} now=${now} />
      <div class="cards">
        ${stats.data && html`<${LogCards} stats=${stats.data} commits=${commits} now=${now} />`}
        ${!isBarred && html`<${RedisCards} redis=${redis.data} hasNoRedis=${hasNoRedis} params=${params} onGroup=${open} />`}
      </div>
    </div>
    ${params.stream && params.group && !params.event && !isBarred && html`<${Pending} stream=${params.stream} group=${params.group} onClose=${close} />`}
  </section>`;
};
