// How fast the page is: until something is seen, until a search has its rows, frames while one scrolls and
// while much happens. Times in milliseconds, measured inside the page.
import { at, check, live, run, until } from './drive.mjs';

// When the first row stood on the page, and how long frames and tasks took since `frames()`.
const watch = () => {
  const seen = new MutationObserver(() => {
    if (!document.querySelector('[role=option], [role=treeitem], [role=row]')) return;
    requestAnimationFrame((now) => { globalThis.firstRow = now; });
    seen.disconnect();
  });
  seen.observe(document, { childList: true, subtree: true });
  globalThis.frames = () => {
    const times = [];
    const tasks = [];
    let [last, isOver] = [performance.now(), false];
    const next = (now) => {
      times.push(now - last);
      last = now;
      if (!isOver) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ type: 'longtask' });
    return () => {
      isOver = true;
      observer.disconnect();
      const sorted = times.slice(1).sort((a, b) => a - b);
      const quantile = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
      return { frames: sorted.length, p50: quantile(0.5), p95: quantile(0.95), max: sorted.at(-1), longTasks: tasks.length, longest: Math.max(0, ...tasks) };
    };
  };
};

await run({}, async ({ page, context, given, open }) => {
  await context.addInitScript(watch);
  const options = page.getByRole('option');

  // The first time, with nothing kept, and again.
  const paints = [];
  for (const hash of ['#/plans', '#/events', given.plan]) {
    for (const kept of given.isShort ? [false] : [false, true]) {
      const tab = await context.newPage();
      if (!kept) await (await context.newCDPSession(tab)).send('Network.clearBrowserCache');
      await open(hash, tab);
      await until(`rows of ${hash}`, () => tab.evaluate(() => globalThis.firstRow > 0));
      const [paint, row] = await tab.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, globalThis.firstRow]);
      paints.push({ hash, isAgain: kept, paint, row });
      await tab.close();
    }
  }

  // From the last key of a search to its rows.
  await open('#/events');
  await options.first().waitFor();
  const searches = [];
  for (const word of given.words) {
    await page.evaluate((wanted) => {
      const begun = performance.now();
      location.hash = `#/events?q=${wanted}`;
      globalThis.found = null;
      const look = (now) => {
        const [row] = document.querySelectorAll('[role=option]');
        if (row?.textContent.includes(wanted)) globalThis.found = now - begun;
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, word);
    await until(`rows of ${word}`, () => page.evaluate(() => globalThis.found !== null));
    searches.push({ word, took: await page.evaluate(() => globalThis.found) });
  }

  // As a wheel does that is turned fast: from frame to frame, for so many frames.
  const scrolls = [];
  for (const hash of ['#/plans', '#/events']) {
    await open(hash);
    await options.first().waitFor();
    const list = await page.getByRole('listbox').elementHandle();
    scrolls.push({ hash, ...(await list.evaluate(async (box, frames) => {
      const end = globalThis.frames();
      for (let at = 0; at < frames; at += 1) {
        box.scrollTop += 240;
        await new Promise(requestAnimationFrame);
      }
      return { ...end(), scrolled: box.scrollTop };
    }, given.frames)) });
  }
  check('it was scrolled', scrolls.every(({ scrolled }) => scrolled > 1_000), scrolls);
  await at('scrolled', { paints, searches, scrolls });

  // While much happens.
  const rates = [];
  for (const hash of ['#/plans', '#/events']) {
    await open(hash);
    await options.first().waitFor();
    await live(page);
    await page.evaluate(() => { globalThis.end = globalThis.frames(); });
    const { last } = await at('ready for much');
    // The list of events has the very last one; that of plans what they are at.
    await options.filter({ hasText: hash === '#/events' ? last : 'be quick' }).first().waitFor();
    const frames = await page.evaluate(() => globalThis.end());
    const session = await context.newCDPSession(page);
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    rates.push({ hash, ...frames, heapMiB: usedSize / 1024 / 1024 });
  }
  await at('rates', { rates });
});
