// What axe finds wrong on each view, in both themes: names, roles, contrast, order.
import { createRequire } from 'node:module';
import { check, run } from './drive.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

// There is no Redis, and no plan of that name.
await run({ expected: [/status of (501|404)/] }, async ({ page, given, open }) => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const { hash, text } of given.views) {
      await open(hash);
      await page.getByText(text).first().waitFor();
      // What is being read anew is pale until it is there.
      await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
      // By the browser itself: the page's policy lets no such script in.
      await page.evaluate((await import('node:fs')).readFileSync(axe, 'utf8'));
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      const told = violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.slice(0, 4).map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`) }));
      check(`${hash} in ${colorScheme} is accessible`, told.length === 0, told);
    }
  }
});
