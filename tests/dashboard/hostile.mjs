// Texts that would do something if anything took them for more than text: on every view, read from the
// log and come live. `run` fails at a dialog, a request elsewhere, a broken policy, an exception.
import { at, check, live, run } from './drive.mjs';

const isUnharmed = async (page) => {
  const seen = await page.evaluate(() => ({
    hacked: 'hacked' in globalThis,
    // What the texts would have made.
    made: document.querySelectorAll('script:not([src]), main img, iframe, main svg, object, embed, form[action], [onerror], [onload], [onclick]').length,
    // A text that runs from right to left, or says so, would turn those beside it round.
    turning: [...document.querySelectorAll('main :is(h1, p, a, span, strong, code)')].filter((part) => getComputedStyle(part).unicodeBidi !== 'plaintext').length,
    links: [...document.querySelectorAll('a[href]')].map((link) => link.href).filter((href) => !/^https?:/.test(href)),
  }));
  check('the texts are nothing but texts', !seen.hacked && seen.made === 0 && seen.turning === 0 && seen.links.length === 0, seen);
};

// There is no Redis, and no plan of two crabs.
await run({ expected: [/status of (501|404)/] }, async ({ page, given, open }) => {
  await open();
  await live(page);
  for (const round of ['read', 'live']) {
    for (const { hash, texts } of given.views) {
      if (round === 'read') await open(hash);
      else await page.evaluate((to) => { location.hash = to; }, hash || '#/plans');
      for (const text of texts) await page.getByText(text).first().waitFor();
      await isUnharmed(page);
    }
    // What comes while the page is open goes another way than what is read.
    if (round === 'read') await at('read');
  }
});
