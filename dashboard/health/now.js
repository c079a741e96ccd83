// What happens in this tab's tenant, counted from the moment the page was opened, whatever view is shown.
import { html, useEffect } from '../vendor/htm-preact-3.1.1.js';
import { get } from '../api.js';
import { connection, epoch, isPaused, onEvents } from '../live.js';
import { useNow } from '../parts/time.js';
import { createStore, useStore } from '../store.js';
import { createRates } from './rates.js';

// What is there already is taken from one page of the log.
const PAGE = 1_000;

export const rates = createStore(createRates(Date.now()));
let isFilled = false;

// Events were left out, or are another tenant's: counting begins anew.
const reset = () => {
  rates.set(createRates(Date.now()));
  isFilled = false;
};
epoch.subscribe(reset);
connection.subscribe(({ after }) => after === null && reset());
onEvents((events) => rates.get().add(events, Date.now()));

const fill = async () => {
  const counted = rates.get();
  isFilled = true;
  try {
    const before = Math.min(counted.firstSeq(), connection.get().after + 1);
    const page = await get('events', { order: 'desc', limit: PAGE, before, format: 'brief' });
    counted.fill(page.events, !page.next, Date.now());
  } catch {
    // The charts begin with what comes, then.
    isFilled = rates.get() === counted;
  }
};

// The counts, with those of the last minutes before the page was opened.
export const useRates = () => {
  const known = useStore(rates);
  const { after } = useStore(connection);
  useEffect(() => {
    if (after !== null && !isFilled) fill();
  }, [known, after]);
  return known;
};

const short = (rate) => (rate >= 9.95 || rate === 0 ? Math.round(rate).toLocaleString('en-US') : rate.toFixed(1));

// Events a second, beside the badge of the connection; once a second, and at rest while paused.
export const Rate = () => {
  const known = useStore(rates);
  const paused = useStore(isPaused);
  const now = useNow(!paused, 1_000);
  return html`<span class="rate number faint wide-only" title="Events a second, of the last five">${short(known.rate(now))}/s</span>`;
};
