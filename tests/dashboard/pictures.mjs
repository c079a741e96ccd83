// Pictures of the page: each view as a person first sees it, light, dark and narrow.
import { mkdirSync, statSync } from 'node:fs';
import { at, check, live, run, until } from './drive.mjs';

const BYTES_MAX = 150_000;
const WIDE = { width: 1120, height: 630 };
const NARROW = { width: 390, height: 780 };

await run({}, async ({ page, given, open }) => {
  mkdirSync(given.folder, { recursive: true });
  for (const { name, hash, text, press = [], click = '', theme = 'light', isNarrow = false, isBusy = false } of given.pictures) {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize(isNarrow ? NARROW : WIDE);
    await open(hash);
    await live(page);
    await page.getByText(text).first().waitFor();
    if (isBusy) {
      await at('much is to happen');
      await until('the charts have it', async () => /commits\s+[1-9]/.test(await page.getByRole('main').innerText()));
    }
    if (click) await page.getByRole('option').filter({ hasText: click }).first().click();
    for (const key of press) await page.keyboard.press(key);
    // Nothing is still on its way.
    await until('all was read', async () => (await page.getByText(/^Loading /).count()) === 0);
    const path = `${given.folder}/${name}.png`;
    await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
    check(`${name} is small enough for a page that has it`, statSync(path).size < BYTES_MAX, statSync(path).size);
  }
});
