// Whoever reads further down the log is not moved by what comes, and misses none of it.
import { at, live, run, same, until } from './drive.mjs';

await run({}, async ({ page, given, open }) => {
  const list = page.getByRole('listbox', { name: 'Events' });
  const rows = list.getByRole('option');
  // What the rows on the page say, from top to bottom, and where they stand.
  const shown = () => rows.evaluateAll((all) => all
    .map((row) => ({ place: Number(row.ariaPosInSet), top: row.getBoundingClientRect().top, seq: Number(row.innerText.split(/\s/)[0]) }))
    .sort((a, b) => a.place - b.place));
  const dense = (seen) => seen.every(({ seq }, i) => i === 0 || seq === seen[i - 1].seq - 1);

  await open('#/events');
  await live(page);
  await rows.first().waitFor();
  await list.focus();
  for (let press = 0; press < 8; press += 1) await page.keyboard.press('PageDown');
  await until('the rows below are there', async () => {
    const seen = await shown();
    return seen[0].place > 1 && dense(seen);
  });
  const before = await shown();

  await at('below');
  await page.getByRole('button', { name: `${given.more} new` }).waitFor();
  const after = new Map((await shown()).map(({ seq, top }) => [seq, top]));
  same('where the rows stand', before.map(({ seq }) => [seq, after.get(seq)]), before.map(({ seq, top }) => [seq, top]));

  await page.getByRole('button', { name: `${given.more} new` }).click();
  await until('the newest is on top', async () => (await shown())[0].seq === given.last);
  await until('no row is doubled or missing', async () => dense(await shown()));
  await at('on top');
  await until('a row comes by itself', async () => (await shown())[0].seq === given.last + 1);
});
