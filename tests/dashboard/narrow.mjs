// Narrow screens: nothing is wider than the screen, on no view.
import { check, run } from './drive.mjs';

// There is no Redis, and no plan of that name.
await run({ expected: [/status of (501|404)/], viewport: { width: 360, height: 740 } }, async ({ page, given, open }) => {
  for (const { hash, text } of given.views) {
    await open(hash);
    await page.getByText(text).first().waitFor();
    const seen = await page.evaluate(() => ({
      width: document.documentElement.scrollWidth,
      // A text to read is not cut at the edge, where no bar moves it.
      cut: [...document.querySelectorAll('.notice, .notice *')].filter((node) => node.getBoundingClientRect().right > 361).map((node) => node.textContent),
      // What stands out, so that a failure names it.
      wide: [...document.querySelectorAll('main *, header *')]
        .filter((node) => node.getBoundingClientRect().right > 361 && !node.closest('.sr-only, nav'))
        .slice(0, 5).map((node) => `${node.tagName}.${node.className}`),
    }));
    check(`${hash} is no wider than the screen`, seen.width <= 360 && seen.cut.length === 0, seen);
    // What can be pressed can be hit by a finger, and is on the screen.
    const search = page.getByRole('banner').getByRole('link', { name: 'Plans', exact: true });
    await search.click();
  }
});
