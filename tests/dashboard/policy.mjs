// What the browser itself forbids the page, whatever its scripts might do: text for HTML or for a script, a
// policy of another's, a request elsewhere, and being shown inside of another page.
import { live, run, same } from './drive.mjs';

const complaints = [/Content Security Policy/, /trusted/i];

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

  // Whoever frames the page could have the reader press what is not seen. Of the same origin: a browser keeps
  // others from this machine for reasons of its own.
  const thief = `${given.url}/thief`;
  await context.route(thief, (route) => route.fulfill({ contentType: 'text/html', body: `<iframe src="${given.url}/"></iframe>` }));
  const frame = await context.newPage();
  await frame.goto(thief);
  const [inner] = frame.mainFrame().childFrames();
  same('what is shown of the page in another', await inner.evaluate(() => document.querySelectorAll('#app').length), 0);
});
