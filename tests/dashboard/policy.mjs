// What the browser itself forbids the page, whatever its scripts might do: text for HTML or for a script, a
// policy of another's, a request elsewhere, and being shown inside of another page.
import { live, run, same } from './drive.mjs';

const complaints = [/Content Security Policy/, /TrustedHTML|TrustedScript|trusted/i];

await run({ expected: complaints }, async ({ page, context, given, open }) => {
  await open();
  await live(page);
  const passed = await page.evaluate(async () => {
    const tries = {
      html: () => { document.createElement('div').innerHTML = '<b>text</b>'; },
      inside: () => document.body.insertAdjacentHTML('beforeend', '<b>text</b>'),
      timer: () => setTimeout('1'),
      worker: () => new Worker('assets/worker.js'),
      again: () => trustedTypes.createPolicy('planbus', { createHTML: (text) => text }),
      another: () => trustedTypes.createPolicy('another', { createHTML: (text) => text }),
      byDefault: () => trustedTypes.createPolicy('default', { createHTML: (text) => text }),
      elsewhere: () => fetch('http://planbus.invalid/'),
    };
    const found = [];
    for (const [name, attempt] of Object.entries(tries)) {
      try {
        await attempt();
        found.push(name);
      } catch {
        // As it should be.
      }
    }
    return found;
  });
  same('what was let through', passed, []);

  // Whoever frames the page could have the reader press what is not seen.
  const framed = await context.newPage();
  await framed.setContent(`<iframe src="${given.url}"></iframe>`);
  await framed.waitForLoadState('load');
  const inner = framed.frames().find((frame) => frame !== framed.mainFrame());
  same('what a frame shows of the page', await inner.evaluate(() => document.querySelectorAll('#app').length).catch(() => 0), 0);
});
